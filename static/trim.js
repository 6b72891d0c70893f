// The two cuts of one segment: dragged along pictures of the take, or moved in steps; and what lies between them, played.

import { request } from "./api.js";
import { announce } from "./announce.js";
import { h, icon, redraw, setAttribute, setHidden, setText, whileBusy } from "./dom.js";
import { filmstrip } from "./filmstrip.js";
import { problemBox } from "./problem.js";
import { Reel } from "./reel.js";
import { clock, seconds } from "./words.js";

const AROUND_S = 15; // of the take, on both sides
const STEP_S = 0.1;
const SNAP_S = 0.25; // a dragged cut comes to rest in a pause that is so near
const SNAP_PX = 8;
const NEAR_S = 0.02;
const WORDS = { in: "Start", out: "End" };

export class Trim {
  #cut = null; // what the server says of where it may be cut
  #at = { in: 0, out: 0 }; // seconds of the take

  constructor(segment, job, { name, look, close }) {
    Object.assign(this, { segment, job, name, look, close });
    this.#at = { in: segment.in_s, out: segment.out_s };
    this.loading = h("p", { class: "help" }, "Looking at the take…");
    this.trouble = h("div", { class: "trouble" });
    this.place = h("div", { class: "sheet-parts" });
    this.element = h("div", { class: "sheet-parts" }, this.loading, this.place, this.trouble);
  }

  async open() {
    if (this.#cut) return;
    try {
      this.#cut = await request("GET", `/v1/segments/${encodeURIComponent(this.segment.segment_id)}/cut`);
      this.#build();
    } catch (problem) {
      this.trouble.replaceChildren(problemBox(problem));
      announce(problem.words);
    }
    setHidden(this.loading, true);
  }

  leave() {
    this.reel?.stop();
  }

  remove() {
    this.reel?.close();
  }

  get #frame() {
    return this.#cut.frame_us / 1e6;
  }

  get #changed() {
    return Math.abs(this.#at.in - this.segment.in_s) > this.#frame / 2 || Math.abs(this.#at.out - this.segment.out_s) > this.#frame / 2;
  }

  #build() {
    const { segment, job } = this;
    this.from = Math.max(0, segment.in_s - AROUND_S);
    this.to = Math.min(this.#cut.take_us / 1e6, segment.out_s + AROUND_S);
    this.pauses = this.#cut.pauses_us.map((at) => at / 1e6).filter((at) => at > this.from && at < this.to);
    const shown = [segment, ...job.segments.filter((one) => one.segment_id !== segment.segment_id && one.state === "ready" && one.video_url)];
    this.reel = new Reel({
      segments: shown,
      own: segment,
      label: `Preview of ${this.name}`,
      onTime: (at) => this.#head(at),
      onStop: () => this.#playing(false),
    });
    this.before = h("div", { class: "trim-out" });
    this.after = h("div", { class: "trim-out is-after" });
    this.head = h("div", { class: "trim-head", hidden: true });
    this.handles = { in: this.#handle("in"), out: this.#handle("out") };
    const ticks = this.pauses.map((at) => this.#placed(h("div", { class: "trim-pause" }), at));
    this.strip = h("div", { class: "trim-strip" }, filmstrip(shown, { from: this.from, to: this.to }), ...ticks, this.before, this.after, this.head, this.handles.in, this.handles.out);
    this.length = h("p", { class: "trim-length" });
    this.rows = { in: this.#row("in"), out: this.#row("out") };
    this.playIcon = icon("play");
    this.playWords = h("span", {}, "Play from start to end");
    this.play = h("button", { class: "button", type: "button", onclick: () => this.#play() }, this.playIcon, this.playWords);
    this.save = h("button", { class: "button primary", type: "button", onclick: () => whileBusy(this.save, () => this.#send()) }, h("span", {}, "Cut it here"));
    const why = whyNot(segment, job);
    const pausesHelp = this.pauses.length ? " The marks below the pictures are pauses: a cut that is dragged near one comes to rest in it." : "";
    this.place.replaceChildren(
      ...[
        this.reel.element,
        this.strip,
        this.length,
        this.rows.in.element,
        this.rows.out.element,
        this.play,
        h("p", { class: "help" }, why || `1 f is one frame. Only this segment is made again; the others stay as they are.${pausesHelp}`),
        !why && h("div", { class: "save" }, this.save),
      ].filter(Boolean),
    );
    this.reel.show(segment.in_s);
    this.#draw();
  }

  #handle(which) {
    const element = h("button", {
      class: which === "in" ? "trim-handle is-in" : "trim-handle is-out",
      type: "button",
      role: "slider",
      "aria-label": `${WORDS[which]} of ${this.name}`,
      "aria-orientation": "horizontal",
      onkeydown: (event) => this.#key(event, which),
      onpointerdown: (event) => {
        event.preventDefault();
        element.focus();
        element.setPointerCapture(event.pointerId);
        this.held = this.#at[which] - this.#under(event); // the finger need not be on the cut itself
      },
      onpointermove: (event) => element.hasPointerCapture(event.pointerId) && this.#move(which, this.#under(event) + this.held, { snap: true }),
    });
    return element;
  }

  /** One cut in words, and its steps: a tenth of a second, and a frame. */
  #row(which) {
    const step = (words, by, label) =>
      h("button", { class: "button square", type: "button", "aria-label": `${words}: ${WORDS[which].toLowerCase()} ${label}`, onclick: () => this.#step(which, by()) }, words);
    const value = h("span", { class: "trim-value" });
    const element = h(
      "div",
      { class: "trim-row", role: "group", "aria-label": `${WORDS[which]} of ${this.name}` },
      step("−0.1 s", () => -STEP_S, "a tenth of a second earlier"),
      step("−1 f", () => -this.#frame, "a frame earlier"),
      h("span", { class: "trim-which" }, WORDS[which], value),
      step("+1 f", () => this.#frame, "a frame later"),
      step("+0.1 s", () => STEP_S, "a tenth of a second later"),
    );
    return { element, value };
  }

  #key(event, which) {
    const step = event.shiftKey ? this.#frame : STEP_S;
    const steps = { ArrowLeft: -step, ArrowDown: -step, ArrowRight: step, ArrowUp: step, PageDown: -1, PageUp: 1, Home: -Infinity, End: Infinity };
    if (!(event.key in steps)) return;
    event.preventDefault();
    this.#step(which, steps[event.key]);
  }

  #step(which, by) {
    this.#move(which, this.#at[which] + by);
  }

  /** To a frame, within what a segment may be. */
  #move(which, wanted, { snap = false } = {}) {
    if (this.reel.plays) this.reel.stop();
    const near = Math.max(SNAP_S, (SNAP_PX * (this.to - this.from)) / this.strip.clientWidth);
    const pause = snap && this.#pauseAt(wanted, near);
    const [least, most] = this.#limits(which);
    const at = Math.min(most, Math.max(least, pause || wanted));
    this.#at[which] = Math.min(most, Math.max(least, Math.round(at / this.#frame) * this.#frame));
    this.reel.show(which === "in" ? this.#at.in : this.#at.out - this.#frame);
    this.#draw();
  }

  #limits(which) {
    const [shortest, longest] = [this.#cut.shortest_us / 1e6, this.#cut.longest_us / 1e6];
    const { in: start, out: end } = this.#at;
    if (which === "in") return [Math.max(this.from, end - longest), end - shortest];
    return [start + shortest, Math.min(this.to, start + longest)];
  }

  #pauseAt(at, near) {
    const [nearest] = [...this.pauses].sort((one, other) => Math.abs(one - at) - Math.abs(other - at));
    return nearest !== undefined && Math.abs(nearest - at) <= near ? nearest : null;
  }

  #under(event) {
    const box = this.strip.getBoundingClientRect();
    return this.from + ((event.clientX - box.left) / box.width) * (this.to - this.from);
  }

  #placed(element, at) {
    element.style.insetInlineStart = `${(100 * (at - this.from)) / (this.to - this.from)}%`;
    return element;
  }

  #draw() {
    const { in: start, out: end } = this.#at;
    const length = end - start;
    for (const which of ["in", "out"]) {
      const handle = this.#placed(this.handles[which], this.#at[which]);
      const [least, most] = this.#limits(which);
      const rest = this.#pauseAt(this.#at[which], this.#frame + NEAR_S) === null ? "" : ", in a pause";
      setAttribute(handle, "aria-valuemin", least.toFixed(2));
      setAttribute(handle, "aria-valuemax", most.toFixed(2));
      setAttribute(handle, "aria-valuenow", this.#at[which].toFixed(2));
      setAttribute(handle, "aria-valuetext", `at ${clock(this.#at[which], { tenths: true })} of the take${rest}; the segment takes ${seconds(length)}`);
      setText(this.rows[which].value, clock(this.#at[which], { tenths: true }));
    }
    this.before.style.inlineSize = `${(100 * (start - this.from)) / (this.to - this.from)}%`;
    this.after.style.inlineSize = `${(100 * (this.to - end)) / (this.to - this.from)}%`;
    const limit = length >= this.#cut.longest_us / 1e6 - this.#frame ? ", the longest there is" : length <= this.#cut.shortest_us / 1e6 + this.#frame ? ", the shortest there is" : "";
    setText(this.length, `${seconds(length)} long${limit}. From ${this.#cut.shortest_us / 1e6} to ${this.#cut.longest_us / 1e6} s.`);
    setAttribute(this.save, "aria-disabled", this.#changed ? null : "true");
  }

  #play() {
    if (this.reel.plays) return void this.reel.stop();
    this.#playing(true);
    this.reel.play(this.#at.in, this.#at.out);
  }

  #playing(plays) {
    setHidden(this.head, !plays);
    redraw(this.playIcon, plays ? "pause" : "play");
    setText(this.playWords, plays ? "Stop" : "Play from start to end");
  }

  #head(at) {
    this.#placed(this.head, at);
  }

  async #send() {
    this.trouble.replaceChildren();
    this.reel.stop();
    try {
      await request("PATCH", `/v1/segments/${encodeURIComponent(this.segment.segment_id)}`, {
        in_us: Math.round(this.#at.in * 1e6),
        out_us: Math.round(this.#at.out * 1e6),
      });
      announce(`${this.name} is cut anew. It keeps its file until the new one is there.`);
      this.look();
      this.close();
    } catch (problem) {
      this.trouble.replaceChildren(problemBox(problem));
      announce(problem.words);
    }
  }
}

function whyNot(segment, job) {
  if (job.recipe.video === "copy") return "The pixels of this take were kept: it is cut where its keyframes are.";
  if (job.source.deleted) return "The take is gone: nothing can be cut of it any more.";
  if (job.state !== "completed") return "It can be cut when all segments of the take are finished.";
  if (segment.remake && segment.remake.state !== "discarded") return "It is being made again. It can be cut when that is done.";
  return "";
}
