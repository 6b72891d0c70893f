// One finished segment: its picture, a player made when it is asked for, a control to look through it, its figures.

import { announce } from "./announce.js";
import { h, icon, setAttribute, setHidden, setText } from "./dom.js";
import { Eyes } from "./eyes.js";
import { Outlets } from "./outlets.js";
import { inShort } from "./report.js";
import { SegmentReview } from "./segment-review.js";
import { bytes, clock, decimal, rate, seconds } from "./words.js";

// One player at a time: each open one holds a connection, and a browser gives a server only six.
let playing = null;

const UNDER_WAY = new Set(["available", "running"]); // of a segment's next making

export class SegmentCard {
  #video = null;
  #at = 0; // where to play from, seconds

  /** `look` asks the server for the job again. */
  constructor(segment, job, { of, look }) {
    this.segment = segment;
    this.name = `segment ${segment.index + 1} of ${of}`;
    this.outlets = new Outlets(segment, { of, name: this.name, job: job.job_id });
    this.review = new SegmentReview(segment, job, { of, name: this.name, look });
    this.eyes = new Eyes({ id: segment.segment_id, name: this.name, look, onFold: (open) => this.element.classList.toggle("is-wide", open) });
    this.element = this.#build();
    this.#fill();
    this.#reviewed(job);
    this.eyes.show(segment, job, { behind: false });
  }

  /** The segment as an answer has it; it may have been made again. */
  show(segment, job, { behind = false } = {}) {
    const before = this.segment;
    this.segment = segment;
    this.outlets.segment = segment;
    this.outlets.show();
    this.#reviewed(job);
    if (segment.video_url !== before.video_url) this.#renew();
    this.eyes.show(segment, job, { behind });
    this.#announce(before);
  }

  /** A transient note about its being made again. */
  progress(percents) {
    this.eyes.progress(percents);
  }

  /** Back to the picture; the place in the segment is remembered. */
  close() {
    const video = this.#video;
    if (!video) return;
    this.#video = null;
    if (playing === this) playing = null;
    this.#at = video.ended ? 0 : video.currentTime;
    video.pause();
    video.removeAttribute("src");
    video.load(); // lets go of the connection
    const hadFocus = video === document.activeElement;
    video.remove();
    this.poster.hidden = false;
    this.element.classList.remove("is-open");
    if (hadFocus) this.poster.focus();
  }

  remove() {
    this.close();
    this.outlets.remove();
    this.element.remove();
  }

  #build() {
    this.picture = h("img", { class: "segment-picture", alt: "", loading: "lazy", decoding: "async" });
    this.length = h("span", { class: "segment-length", "aria-hidden": "true" });
    this.poster = h(
      "button",
      { class: "segment-play", type: "button", "aria-label": `Play ${this.name}`, onclick: () => this.#play() },
      this.picture,
      h("span", { class: "play-badge" }, icon("play")),
      this.length,
    );
    this.trouble = h("p", { class: "segment-trouble", hidden: true }, "It could not be played. Try again in a moment.");
    this.tile = h("div", { class: "segment-tile", hidden: true });
    this.stage = h("div", { class: "segment-stage" }, this.poster, this.tile);
    this.altered = h("span", { class: "chip" }, "Altered");
    this.facts = h("div", { class: "segment-facts" });
    this.download = h("a", { class: "button", download: "" }, icon("down"), h("span", {}, "Download"));
    return h(
      "li",
      { class: "segment" },
      this.stage,
      this.#buildSlider(),
      h(
        "div",
        { class: "segment-words" },
        h("div", { class: "segment-head" }, h("h4", { class: "segment-name" }, `Segment ${this.segment.index + 1}`), this.review.chip, this.altered),
        this.trouble,
        this.facts,
        this.outlets.element,
        this.download,
      ),
      this.review.element,
      this.eyes.element,
    );
  }

  /** What is not kept goes nowhere. */
  #reviewed(job) {
    const { review } = this.segment;
    this.review.show(this.segment, job);
    this.element.classList.toggle("is-dropped", review === "dropped");
    setHidden(this.outlets.element, review !== "kept" && !this.outlets.some);
  }

  /** All that is said of the file, and where it is. */
  #fill() {
    const { segment } = this;
    setAttribute(this.picture, "width", segment.width);
    setAttribute(this.picture, "height", segment.height);
    setAttribute(this.picture, "src", segment.poster_url);
    setText(this.length, clock(segment.duration_s));
    this.stage.style.setProperty("--shape", `${segment.width} / ${segment.height}`);
    setAttribute(this.slider, "max", segment.duration_s);
    this.#time(this.#at);
    setHidden(this.altered, !segment.synthetic);
    this.facts.replaceChildren(...[figures(segment), warnings(segment)].filter(Boolean));
    setAttribute(this.download, "href", segment.download_url);
    setAttribute(this.download, "aria-label", `Download ${this.name}, ${bytes(segment.size)}`);
  }

  /** Its new file takes the old one's place, also in an open player: the old one is gone. */
  #renew() {
    const video = this.#video;
    this.#hideTile();
    this.trouble.hidden = true;
    if (video) {
      const plays = !video.paused;
      this.#at = video.ended ? 0 : video.currentTime;
      video.poster = this.segment.poster_url;
      video.src = this.segment.video_url;
      video.currentTime = this.#at;
      if (plays) video.play().catch(() => {});
    }
    this.#fill();
  }

  #announce(before) {
    const { segment } = this;
    const [was, is] = [before, segment].map((one) => one.remake?.state ?? "");
    if (segment.video_url !== before.video_url) announce(`${this.name} ${before.remake?.poster_only ? "has its cover" : "was made again"}.`);
    else if (is === "discarded" && was !== is) announce(`${this.name} could not be made again. ${segment.remake.error?.message ?? ""}`);
    else if (UNDER_WAY.has(is) && !UNDER_WAY.has(was)) announce(`${this.name} is being made again.`);
  }

  #buildSlider() {
    this.slider = h("input", {
      type: "range",
      class: "slider",
      min: "0",
      step: "0.1",
      value: "0",
      "aria-label": `Look through ${this.name}`,
      oninput: () => this.#look(),
      onchange: () => this.#seek(),
      onkeydown: (event) => this.#stride(event),
      onblur: () => this.#hideTile(),
      onpointerup: () => this.#hideTile(),
      onpointercancel: () => this.#hideTile(),
      onpointermove: (event) => this.#hover(event),
      onpointerleave: () => this.#hideTile(),
    });
    this.sliderTime = h("span", { class: "segment-time", "aria-hidden": "true" });
    return h("div", { class: "segment-look" }, this.slider, this.sliderTime);
  }

  #play() {
    playing?.close();
    playing = this;
    this.trouble.hidden = true;
    const video = (this.#video = h("video", {
      class: "segment-video",
      controls: true,
      playsinline: true,
      preload: "none",
      poster: this.segment.poster_url,
      src: this.segment.video_url,
      "aria-label": this.name,
      tabindex: "0",
      ontimeupdate: () => this.tile.hidden && this.#time(video.currentTime), // while it is looked through, the slider leads
      onerror: () => this.#broken(video),
    }));
    this.stage.insertBefore(video, this.tile);
    this.poster.hidden = true;
    this.element.classList.add("is-open");
    if (this.#at) video.currentTime = this.#at;
    video.focus({ preventScroll: true });
    video.play().catch(() => {}); // a browser that wants another tap shows its own play button
    this.element.scrollIntoView({ block: "nearest" });
  }

  /** Often the network's fault and over in a moment: the next click tries again. */
  #broken(video) {
    if (video !== this.#video) return;
    this.close();
    this.trouble.hidden = false;
    announce(`${this.name} could not be played.`);
  }

  #time(at) {
    this.slider.value = String(at);
    const text = `${clock(at)} / ${clock(this.segment.duration_s)}`;
    setText(this.sliderTime, text);
    this.slider.setAttribute("aria-valuetext", `${seconds(at)} of ${seconds(this.segment.duration_s)}`);
  }

  // Looking through: the sprite's picture lies over the stage while the slider is moved or hovered.

  #look() {
    const at = Number(this.slider.value);
    this.#showTile(at);
    this.#time(at);
  }

  #seek() {
    this.#at = Number(this.slider.value);
    if (this.#video) {
      this.#video.currentTime = this.#at;
      this.#hideTile();
    }
  }

  /** Arrow keys move by one picture of the sprite: a tenth of a second shows nothing new. */
  #stride(event) {
    const strides = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -5, PageUp: 5 };
    const stride = strides[event.key];
    if (stride === undefined) return;
    event.preventDefault();
    this.slider.value = String(Number(this.slider.value) + stride * (this.segment.sprite?.interval_s ?? 2));
    this.#look();
    this.#seek();
  }

  #hover(event) {
    if (event.pointerType !== "mouse" || event.buttons) return;
    const box = this.slider.getBoundingClientRect();
    const share = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    this.#showTile(share * this.segment.duration_s);
  }

  #showTile(at) {
    const { sprite } = this.segment;
    if (!sprite) return;
    const place = Math.min(sprite.count - 1, Math.max(0, Math.floor(at / sprite.interval_s)));
    const { style } = this.tile;
    style.backgroundImage = `url("${encodeURI(sprite.url)}")`;
    style.setProperty("--columns", sprite.columns);
    style.setProperty("--rows", sprite.rows);
    style.setProperty("--column", place % sprite.columns);
    style.setProperty("--row", Math.floor(place / sprite.columns));
    this.tile.hidden = false;
  }

  #hideTile() {
    this.tile.hidden = true;
  }
}

function figures(segment) {
  const loudness = said(segment.loudness_lufs, segment.recipe);
  return h(
    "ul",
    { class: "figures" },
    h("li", { class: "figures-place" }, `From ${clock(segment.in_s, { tenths: true })} to ${clock(segment.out_s, { tenths: true })}`),
    h("li", {}, `${seconds(segment.duration_s)} \u00b7 ${bytes(segment.size)}`),
    h("li", {}, `${segment.width}\u00d7${segment.height} \u00b7 ${rate(segment.fps)}\u00a0fps`),
    loudness && h("li", {}, loudness),
    ...inShort(segment).map((words) => h("li", {}, words)),
  );
}

/** Sound that was copied with its pixels was not measured: nothing is said of it. */
function said(loudness, { video, loudness: wanted }) {
  if (loudness !== null) return `${decimal(loudness)}\u00a0LUFS`;
  return video === "copy" && wanted !== "on" ? null : "silent";
}

function warnings(segment) {
  if (!segment.warnings?.length) return null;
  return h("ul", { class: "notes", "aria-label": "Notes" }, ...segment.warnings.map((warning) => h("li", {}, warning)));
}
