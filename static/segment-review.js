// What somebody thinks of one segment: kept, dropped, or still to be looked at; and the way to its cuts, cover and words.

import { request } from "./api.js";
import { announce } from "./announce.js";
import { h, icon, setHidden, setText, whileBusy } from "./dom.js";
import { part } from "./parts.js";
import { problemBox } from "./problem.js";
import { toast } from "./toast.js";

export class SegmentReview {
  /** `name` is what it is called; `of` the take's name; `look` asks for the job again. */
  constructor(segment, job, { of, name, look }) {
    Object.assign(this, { segment, job, of, name, look });
    this.chip = h("span", { class: "chip", hidden: true });
    this.said = h("p", { class: "segment-said", hidden: true });
    this.keep = this.#button("Keep", "primary", "done", `Keep ${name}`, () => this.#ask("keep"));
    this.drop = this.#button("Drop", "", "bin", `Drop ${name}`, () => this.#drop());
    this.back = this.#button("Take it back", "", "again", `Take it back: ${name}`, () => this.#ask("restore"));
    this.edit = this.#button("Edit…", "quiet", "edit", `Edit cuts, cover and words of ${name}`, () => this.#edit());
    this.trouble = h("div", { class: "trouble" });
    this.element = h("div", { class: "review" }, this.said, h("div", { class: "review-buttons" }, this.keep, this.drop, this.back, this.edit), this.trouble);
    this.show(segment, job);
  }

  show(segment, job) {
    this.segment = segment;
    this.job = job;
    const { review } = segment;
    setHidden(this.chip, review === "kept");
    setText(this.chip, review === "dropped" ? "Dropped" : "Keep it?");
    this.chip.dataset.review = review;
    setText(this.said, segment.title ?? "");
    setHidden(this.said, !segment.title);
    setHidden(this.back, review !== "dropped");
    setHidden(this.edit, review === "dropped", this.back);
    setHidden(this.drop, review === "dropped" || !job.review, review === "dropped" ? this.back : this.edit);
    setHidden(this.keep, review !== "waiting", review === "dropped" ? this.back : this.drop);
  }

  #button(words, look, drawing, label, work) {
    const element = h(
      "button",
      { class: `button ${look}`, type: "button", "aria-label": label, onclick: () => whileBusy(element, work) },
      icon(drawing),
      h("span", {}, words),
    );
    return element;
  }

  async #ask(what) {
    this.trouble.replaceChildren();
    try {
      const answer = await request("POST", `/v1/segments/${encodeURIComponent(this.segment.segment_id)}/${what}`);
      const segment = answer.segment ?? answer;
      this.show({ ...this.segment, review: segment.review }, this.job); // at once; the whole of it comes with the job
      if (what !== "drop") announce(`${this.name} is ${{ kept: "kept", waiting: "to be looked at again", dropped: "dropped" }[segment.review]}.`);
      this.look();
      return answer;
    } catch (problem) {
      this.trouble.replaceChildren(problemBox(problem));
      announce(problem.words);
      return null;
    }
  }

  async #drop() {
    const answer = await this.#ask("drop");
    if (!answer) return;
    const late = answer.too_late.length ? " What is public or on its way stays: take it down there." : "";
    toast(`Segment ${this.segment.index + 1} is dropped.${late}`, { undo: () => this.#ask("restore"), label: `Undo: take ${this.name} back` });
  }

  async #edit() {
    this.trouble.replaceChildren();
    try {
      const { openEdit } = await part("edit");
      openEdit(this.segment, this.job, { of: this.of, name: this.name, look: this.look });
    } catch (problem) {
      this.trouble.replaceChildren(problemBox(problem));
      announce(problem.words);
    }
  }
}
