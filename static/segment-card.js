// One finished segment: its picture, a player made when it is asked for, a control to look through it, its figures.

import { announce } from "./announce.js";
import { h, icon, setText } from "./dom.js";
import { bytes, clock, decimal, rate, seconds } from "./words.js";

// One player at a time: each open one holds a connection, and a browser gives a server only six.
let playing = null;

export class SegmentCard {
  #video = null;
  #at = 0; // where to play from, seconds

  constructor(segment, { of, recipe }) {
    this.segment = segment;
    this.recipe = recipe;
    this.name = `segment ${segment.index + 1} of ${of}`;
    this.element = this.#build();
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
    this.element.remove();
  }

  #build() {
    const { segment } = this;
    const picture = h("img", {
      class: "segment-picture",
      src: segment.poster_url,
      alt: "",
      loading: "lazy",
      decoding: "async",
      width: segment.width,
      height: segment.height,
    });
    this.poster = h(
      "button",
      { class: "segment-play", type: "button", "aria-label": `Play ${this.name}`, onclick: () => this.#play() },
      picture,
      h("span", { class: "play-badge" }, icon("play")),
      h("span", { class: "segment-length", "aria-hidden": "true" }, clock(segment.duration_s)),
    );
    this.trouble = h("p", { class: "segment-trouble", hidden: true }, "It could not be played. Try again in a moment.");
    this.tile = h("div", { class: "segment-tile", hidden: true });
    this.stage = h("div", { class: "segment-stage" }, this.poster, this.tile);
    this.stage.style.setProperty("--shape", `${segment.width} / ${segment.height}`);
    return h(
      "li",
      { class: "segment" },
      this.stage,
      this.#buildSlider(),
      h(
        "div",
        { class: "segment-words" },
        h("h4", { class: "segment-name" }, `Segment ${segment.index + 1}`),
        this.trouble,
        figures(segment, this.recipe),
        warnings(segment),
        h(
          "a",
          { class: "button", href: segment.download_url, download: "", "aria-label": `Download ${this.name}, ${bytes(segment.size)}` },
          icon("down"),
          h("span", {}, "Download"),
        ),
      ),
    );
  }

  #buildSlider() {
    this.slider = h("input", {
      type: "range",
      class: "segment-slider",
      min: "0",
      max: String(this.segment.duration_s),
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
    this.#time(0);
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

function figures(segment, recipe) {
  const loudness = said(segment.loudness_lufs, recipe);
  return h(
    "ul",
    { class: "figures" },
    h("li", { class: "figures-place" }, `From ${clock(segment.in_s, { tenths: true })} to ${clock(segment.out_s, { tenths: true })}`),
    h("li", {}, `${seconds(segment.duration_s)} \u00b7 ${bytes(segment.size)}`),
    h("li", {}, `${segment.width}\u00d7${segment.height} \u00b7 ${rate(segment.fps)}\u00a0fps`),
    loudness && h("li", {}, loudness),
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
