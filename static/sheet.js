// A dialog over the page: at the bottom of a phone, in the middle of a desk. Escape, its cross and the way back close it.

import { h, icon } from "./dom.js";

let numbers = 0;

/** `open` shows it, `close` takes it away; the focus goes back to where it was. */
export class Sheet {
  /** `title`: text and nodes. `label`: what the cross says it closes. */
  constructor({ title, label, onClose = () => {} }) {
    const id = `sheet-${++numbers}`;
    this.title = h("h2", { id, tabindex: "-1" }, ...title);
    this.body = h("div", { class: "sheet-body" });
    const cross = h("button", { class: "button quiet square", type: "button", "aria-label": `Close ${label}`, onclick: () => this.close() }, icon("stop"));
    this.element = h(
      "dialog",
      {
        class: "sheet",
        "aria-labelledby": id,
        onclose: () => {
          this.element.remove();
          onClose();
        },
      },
      h("div", { class: "sheet-head" }, this.title, cross),
      this.body,
    );
  }

  open() {
    document.body.append(this.element);
    this.element.showModal();
    this.title.focus();
  }

  close() {
    this.element.close();
  }
}
