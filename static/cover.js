// The picture that stands for a segment: looked for in its video, and chosen.

import { request } from "./api.js";
import { announce } from "./announce.js";
import { h, setText, whileBusy } from "./dom.js";
import { filmstrip } from "./filmstrip.js";
import { problemBox } from "./problem.js";
import { Reel } from "./reel.js";
import { clock, seconds } from "./words.js";

export class Cover {
  constructor(segment, job, { name, look, close }) {
    Object.assign(this, { segment, name, look, close });
    const [over, under = 1] = segment.fps.split("/").map(Number);
    this.frame = under / over;
    const last = Math.max(0, segment.duration_s - this.frame);
    this.reel = new Reel({ segments: [segment], own: segment, label: `Cover of ${name}` });
    this.slider = h("input", {
      type: "range",
      class: "slider",
      min: "0",
      max: String(last),
      step: "any",
      "aria-label": `Picture of ${name} that is its cover`,
      oninput: () => this.#look(this.slider.valueAsNumber),
      onkeydown: (event) => this.#key(event),
    });
    this.value = h("span", { class: "trim-value" });
    const step = (words, frames, label) =>
      h("button", { class: "button square", type: "button", "aria-label": `${words}: cover ${label}`, onclick: () => this.#step(frames * this.frame) }, words);
    this.save = h("button", { class: "button primary", type: "button", onclick: () => whileBusy(this.save, () => this.#send()) }, h("span", {}, "Use this picture"));
    this.trouble = h("div", { class: "trouble" });
    const busy = segment.remake && segment.remake.state !== "discarded";
    const help = busy ? "It is being made again. A cover can be chosen when that is done." : "Its poster here, and what TikTok and Instagram show. YouTube chooses a Short's picture itself.";
    this.element = h(
      "div",
      { class: "sheet-parts" },
      this.reel.element,
      h("div", { class: "cover-strip" }, filmstrip([segment], { from: segment.in_s, to: segment.in_s + segment.duration_s }), this.slider),
      h(
        "div",
        { class: "trim-row", role: "group", "aria-label": `Cover of ${name}` },
        step("−1 s", -1 / this.frame, "a second earlier"),
        step("−1 f", -1, "a frame earlier"),
        h("span", { class: "trim-which" }, "Cover", this.value),
        step("+1 f", 1, "a frame later"),
        step("+1 s", 1 / this.frame, "a second later"),
      ),
      h("p", { class: "help" }, help),
      this.trouble,
      !busy && h("div", { class: "save" }, this.save),
    );
  }

  open() {
    if (!this.reel.element.hasAttribute("src")) this.#look((this.segment.cover_us ?? 0) / 1e6);
  }

  leave() {
    this.reel.stop();
  }

  remove() {
    this.reel.close();
  }

  #key(event) {
    const steps = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -1 / this.frame, PageUp: 1 / this.frame };
    if (!(event.key in steps)) return;
    event.preventDefault();
    this.#step(steps[event.key] * this.frame);
  }

  #step(by) {
    this.#look(this.slider.valueAsNumber + by);
  }

  #look(wanted) {
    const last = Number(this.slider.max);
    this.at = Math.min(last, Math.max(0, Math.round(wanted / this.frame) * this.frame));
    this.slider.value = String(this.at);
    this.slider.setAttribute("aria-valuetext", `${seconds(this.at)} of ${seconds(this.segment.duration_s)}`);
    setText(this.value, clock(this.at, { tenths: true }));
    this.reel.show(this.segment.in_s + this.at + this.frame / 4); // not on the edge between two pictures
  }

  async #send() {
    this.trouble.replaceChildren();
    try {
      await request("PATCH", `/v1/segments/${encodeURIComponent(this.segment.segment_id)}`, { cover_us: Math.round(this.at * 1e6) });
      announce(`The cover of ${this.name} is being made.`);
      this.look();
      this.close();
    } catch (problem) {
      this.trouble.replaceChildren(problemBox(problem));
      announce(problem.words);
    }
  }
}
