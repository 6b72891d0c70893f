// One finished segment made again with its eyes turned further, less or not at all.

import { request } from "./api.js";
import { announce } from "./announce.js";
import { h, setHidden, setText, whileBusy } from "./dom.js";
import { problemBox } from "./problem.js";
import { percent } from "./words.js";

export class Remake {
  #touched = false; // by the person: what is chosen stays when the page looks again
  #making = ""; // the address of the file that the choice is about
  #refusal = null; // why the server did not take the last request
  #shownProblem = "";

  /** `look` asks for the job again; `heir` takes the focus when the button goes. */
  constructor({ id, name, look, heir }) {
    Object.assign(this, { id, name, look, heir });
    this.element = this.#build();
  }

  show(segment, job, { behind = false } = {}) {
    const { remake } = segment;
    const works = Boolean(remake) && remake.state !== "discarded";
    const cannot = whyNot(segment, job);
    if (segment.video_url !== this.#making) this.#begin(segment);
    else if (!this.#touched) this.#choose(segment.recipe);
    if (works) this.#work(doing(remake), behind ? Math.max(remake.progress, this.bar.value) : remake.progress);
    else this.#rest(cannot, { retry: remake?.state === "discarded" });
    this.#problem(remake?.error ? { title: "It could not be made again", detail: remake.error.message, hint: remake.error.hint } : this.#refusal);
  }

  /** A transient note. */
  progress(percents) {
    if (this.#works && percents >= this.bar.value) this.#progress(percents);
  }

  /** For the fold above it; "" when there is nothing to say. */
  get state() {
    if (this.#works) return `being made again, ${this.figure.textContent}`;
    return this.#shownProblem ? "not made again" : "";
  }

  get #works() {
    return !this.under.hidden;
  }

  #build() {
    const turn = `${this.id}-gaze`;
    const strength = `${this.id}-strength`;
    this.turn = h("input", { type: "checkbox", id: turn, oninput: () => this.#touch() });
    this.strength = h("input", { type: "range", class: "slider", id: strength, min: "0", max: "100", oninput: () => this.#touch() });
    this.strengthNow = h("span", { class: "unit", "aria-hidden": "true" });
    const label = (control, words) => h("label", { for: control }, words, h("span", { class: "sr-only" }, ` of ${this.name}`));
    const button = h(
      "button",
      { class: "button", type: "submit", "aria-label": `Make this segment again: ${this.name}` },
      h("span", {}, "Make this segment again"),
    );
    this.form = h(
      "form",
      {
        class: "remake-form",
        autocomplete: "off",
        onsubmit: (event) => {
          event.preventDefault();
          whileBusy(button, () => this.#ask(`render?${this.#asked()}`));
        },
      },
      h(
        "fieldset",
        { class: "remake-choice" },
        h("legend", {}, "Eyes"),
        h("div", { class: "field check" }, this.turn, label(turn, "Look into the lens")),
        h(
          "div",
          { class: "field" },
          label(strength, "How far the eyes are turned"),
          h("div", { class: "with-unit" }, this.strength, this.strengthNow),
        ),
      ),
      button,
    );
    this.retry = h(
      "button",
      { class: "button", type: "button", "aria-label": `Try again: ${this.name}`, onclick: () => whileBusy(this.retry, () => this.#ask("retry")) },
      h("span", {}, "Try again"),
    );
    this.bar = h("progress", { max: "100", value: "0", "aria-label": `Making ${this.name} again` });
    this.figure = h("span", { class: "remake-figure" });
    this.doing = h("p", { class: "help" });
    this.under = h("div", { class: "remake-under" }, h("div", { class: "remake-bar" }, this.bar, this.figure), this.doing);
    this.cannot = h("p", { class: "help" });
    this.trouble = h("div", { class: "remake-trouble" });
    return h("div", { class: "remake" }, this.under, this.trouble, this.retry, this.cannot, this.form);
  }

  #touch() {
    this.#touched = true;
    this.#tell();
  }

  #begin(segment) {
    this.#making = segment.video_url;
    this.#touched = false;
    this.#refusal = null;
    this.#choose(segment.recipe);
  }

  #choose({ gaze, gaze_strength: strength }) {
    this.turn.checked = gaze === "on";
    this.strength.value = String(Math.round(100 * strength));
    this.#tell();
  }

  #tell() {
    const figure = `${this.strength.value}\u00a0%`;
    this.strength.disabled = !this.turn.checked;
    this.strength.setAttribute("aria-valuetext", figure);
    setText(this.strengthNow, figure);
  }

  #asked() {
    return new URLSearchParams(this.turn.checked ? { gaze: "on", gaze_strength: this.strength.valueAsNumber / 100 } : { gaze: "off" });
  }

  async #ask(what) {
    this.#refusal = null;
    try {
      await request("POST", `/v1/segments/${encodeURIComponent(this.id)}/${what}`);
      this.#work("Asked for.", 0); // the answer to the look below is the truth
    } catch (problem) {
      this.#refusal = problem;
      announce(`${this.name}: ${problem.words}`);
    }
    this.#problem(this.#refusal);
    this.look(); // also after a refusal: what stood here was not what the server knows
  }

  #work(words, progress) {
    this.#progress(progress);
    setText(this.doing, words);
    setHidden(this.under, false);
    for (const part of [this.cannot, this.form, this.retry]) setHidden(part, true, this.heir);
  }

  #rest(cannot, { retry }) {
    setHidden(this.under, true);
    setText(this.cannot, cannot);
    setHidden(this.cannot, !cannot);
    setHidden(this.form, Boolean(cannot), this.heir);
    setHidden(this.retry, !retry || Boolean(cannot), this.heir);
  }

  #progress(value) {
    const whole = percent(value);
    if (this.bar.value !== whole) this.bar.value = whole;
    setText(this.figure, `${whole} %`);
  }

  #problem(problem) {
    const key = problem ? `${problem.title} ${problem.detail} ${problem.hint}` : "";
    if (key === this.#shownProblem) return;
    this.#shownProblem = key;
    this.trouble.replaceChildren(...(problem ? [problemBox(problem)] : []));
  }
}

function doing({ recipe, pause }) {
  const eyes = recipe.gaze === "on" ? `with eyes at ${Math.round(100 * recipe.gaze_strength)}\u00a0%` : "with the eyes as recorded";
  return pause ? `${pause.message} It goes on by itself.` : `Being made again, ${eyes}. Until then the present one plays.`;
}

function whyNot(segment, job) {
  if (segment.recipe.video === "copy") return "The original pixels were kept: no eye in them can be turned.";
  if (job.source.deleted) return "The uploaded take is gone: this segment cannot be made again.";
  return job.state === "completed" ? "" : "It can be made again when the whole take is done.";
}
