// The fold of a segment: what was done to the eyes and the crop, before and after, and making it again.

import { CompareView } from "./compare.js";
import { h, setHidden, setText } from "./dom.js";
import { Remake } from "./remake.js";
import { altered, inFull } from "./report.js";

export class Eyes {
  #said = "";

  /** `onFold` hears that it was opened or closed. */
  constructor({ id, name, look, onFold }) {
    this.state = h("span", { class: "fold-state" });
    this.summary = h(
      "summary",
      { class: "fold-summary" },
      h("span", {}, "Eyes and framing", h("span", { class: "sr-only" }, ` of ${name}`)),
      this.state,
    );
    this.report = h("ul", { class: "report" });
    this.compare = new CompareView({ name });
    this.remake = new Remake({ id, name, look, heir: this.summary });
    const body = h("div", { class: "fold-body" }, this.report, this.compare.element, this.remake.element);
    this.element = h("details", { class: "fold", ontoggle: () => this.#folded(onFold) }, this.summary, body);
  }

  show(segment, job, { behind }) {
    this.segment = segment;
    this.#report([altered(segment), ...inFull(segment)], { marked: segment.synthetic });
    this.compare.show(segment, { open: this.element.open });
    this.remake.show(segment, job, { behind });
    setText(this.state, this.remake.state);
  }

  progress(percents) {
    this.remake.progress(percents);
    setText(this.state, this.remake.state);
  }

  #report(sentences, { marked }) {
    const said = sentences.filter(Boolean);
    setHidden(this.report, said.length === 0);
    if (said.join() === this.#said) return; // untouched text keeps its selection
    this.#said = said.join();
    this.report.replaceChildren(...said.map((sentence, n) => h("li", { class: marked && n === 0 && "is-altered" }, sentence)));
  }

  #folded(onFold) {
    this.compare.show(this.segment, { open: this.element.open });
    onFold(this.element.open);
  }
}
