// Where one segment goes: its publications, and a button for one more.

import { accounts } from "./accounts.js";
import { announce } from "./announce.js";
import { h, icon, setHidden, whileBusy } from "./dom.js";
import { part } from "./parts.js";
import { problemBox } from "./problem.js";
import { PublicationLine } from "./publication-line.js";
import { publications } from "./publications.js";

const shown = new Map(); // segment id → Outlets

publications.onChange((publication) => shown.get(publication?.segment_id)?.show());
accounts.onChange(() => shown.forEach((outlets) => outlets.show()));

export class Outlets {
  #lines = new Map();

  constructor(segment, { of, name, job }) {
    this.segment = segment;
    this.job = job;
    this.list = h("ul", { class: "line-list", "aria-label": `Where ${name} goes` });
    this.publish = h(
      "button",
      { class: "button", type: "button", "aria-label": `Publish ${name}`, onclick: () => whileBusy(this.publish, () => this.#publish({ of, name })) },
      icon("send"),
      h("span", {}, "Publish…"),
    );
    this.trouble = h("div", { class: "trouble" });
    this.element = h("div", { class: "outlets" }, this.list, this.publish, this.trouble);
    shown.set(segment.segment_id, this);
    this.show();
  }

  show() {
    publications.watch(this.job);
    const found = publications.ofSegment(this.segment.segment_id);
    found.forEach((publication, place) => {
      let line = this.#lines.get(publication.id);
      if (line) line.show(publication);
      else this.#lines.set(publication.id, (line = new PublicationLine(publication, { says: "account" })));
      if (this.list.children[place] !== line.element) this.list.insertBefore(line.element, this.list.children[place] ?? null);
    });
    setHidden(this.list, found.length === 0);
    this.some = found.length > 0;
    setHidden(this.publish, accounts.connected.length === 0 || this.segment.review !== "kept");
  }

  async #publish(names) {
    this.trouble.replaceChildren();
    try {
      const { openPublish } = await part("publish");
      openPublish(this.segment, names);
    } catch (problem) {
      this.trouble.replaceChildren(problemBox(problem));
      announce(problem.words);
    }
  }

  remove() {
    shown.delete(this.segment.segment_id);
  }
}
