// A field for a moment: date and time on the clocks of a zone, said also in the viewer's own when that is another.

import { h, setText } from "./dom.js";
import { asInput, fromInput, here, momentWords, rfc3339 } from "./zones.js";

export class MomentField {
  constructor({ id, label, zone, at = null, onInput = () => {} }) {
    this.zone = zone;
    this.input = h("input", { type: "datetime-local", id, "aria-describedby": `${id}-zone` });
    this.note = h("p", { class: "help", id: `${id}-zone` });
    this.element = h("div", { class: "field" }, h("label", { for: id }, label), this.input, this.note);
    this.input.addEventListener("input", () => {
      this.#tell();
      onInput();
    });
    this.set(at, zone);
  }

  /** Shows an instant on the clocks of a zone; null: none. */
  set(at, zone = this.zone) {
    this.zone = zone;
    this.input.value = at === null ? "" : asInput(at, zone);
    this.shown = this.input.value;
    this.#tell();
  }

  get at() {
    return fromInput(this.input.value, this.zone);
  }

  get changed() {
    return this.input.value !== this.shown;
  }

  /** As the server takes it; "" when there is none. */
  get value() {
    return Number.isNaN(this.at) ? "" : rfc3339(this.at, this.zone);
  }

  #tell() {
    const other = this.zone !== here() && !Number.isNaN(this.at) ? `, ${momentWords(this.at)} where you are` : "";
    setText(this.note, `Time of ${this.zone}${other}`);
  }
}
