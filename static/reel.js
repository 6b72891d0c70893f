// A take as far as its segments show it: one video that goes from file to file by the take's clock.

import { h } from "./dom.js";

export class Reel {
  #current = null; // the segment whose file is loaded
  #until = null; // where playing ends; null: it stands
  #frame = 0;

  /** `segments` with their files; `own` goes before others where both show a moment. `onTime(at)` hears while it plays. */
  constructor({ segments, own, label, onTime = () => {}, onStop = () => {} }) {
    Object.assign(this, { own, onTime, onStop });
    this.segments = [own, ...segments.filter((one) => one.segment_id !== own.segment_id && one.video_url)];
    this.element = h("video", {
      class: "reel",
      playsinline: true,
      preload: "auto",
      poster: own.poster_url,
      "aria-label": label,
      onended: () => this.#next(),
    });
    this.element.style.setProperty("--shape", `${own.width} / ${own.height}`);
  }

  get plays() {
    return this.#until !== null;
  }

  /** The moment `at` of the take, in seconds; where no file shows it, the nearest of its own. */
  show(at) {
    const segment = this.segments.find((one) => at >= one.in_s && at < one.in_s + one.duration_s) ?? this.own;
    if (segment !== this.#current) {
      this.#current = segment;
      this.element.src = segment.video_url;
    }
    this.element.currentTime = Math.min(Math.max(0, at - segment.in_s), segment.duration_s);
  }

  play(from, until) {
    this.show(from);
    this.#until = until;
    this.element.play().catch(() => this.stop());
    this.#watch();
  }

  stop() {
    this.#until = null;
    cancelAnimationFrame(this.#frame);
    this.element.pause();
    this.onStop();
  }

  /** Lets go of the file. */
  close() {
    this.stop();
    this.element.removeAttribute("src");
    this.element.load();
  }

  #watch() {
    cancelAnimationFrame(this.#frame);
    this.#frame = requestAnimationFrame(() => {
      if (this.#until === null) return;
      const at = this.#current.in_s + this.element.currentTime;
      this.onTime(Math.min(at, this.#until));
      if (at >= this.#until) this.stop();
      else this.#watch();
    });
  }

  #next() {
    if (this.#until === null) return;
    const at = this.#current.in_s + this.#current.duration_s;
    const more = this.segments.some((one) => at + 0.001 >= one.in_s && at + 0.001 < one.in_s + one.duration_s);
    if (!more || at >= this.#until) this.stop();
    else this.play(at + 0.001, this.#until);
  }
}
