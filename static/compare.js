// Before and after: the two halves of a sheet of pictures on top of each other, with a divider between them.

import { h, setHidden, setText } from "./dom.js";
import { clock } from "./words.js";

export class CompareView {
  #shown = ""; // the address of the sheet that is shown or on its way

  constructor({ name }) {
    this.element = this.#build(name);
  }

  /** Of this segment; its sheet is asked for only while the view is to be seen. */
  show({ compare, compare_url: url }, { open }) {
    setHidden(this.element, !compare || !url);
    if (!compare || !url || !open || url === this.#shown) return;
    this.#shown = url;
    this.#shape(compare);
    this.#load(url);
  }

  #build(name) {
    this.before = h("div", { class: "compare-picture" });
    this.after = h("div", { class: "compare-picture is-after" });
    this.divider = h("input", {
      type: "range",
      class: "compare-divider",
      min: "0",
      max: "100",
      value: "50",
      "aria-label": `Before and after of ${name}`,
      oninput: () => this.#divide(),
    });
    this.stage = h(
      "div",
      { class: "compare-stage" },
      this.before,
      this.after,
      h("span", { class: "compare-word", "aria-hidden": "true" }, "Before"),
      h("span", { class: "compare-word is-after", "aria-hidden": "true" }, "After"),
      this.divider,
    );
    this.moment = h("input", { type: "range", class: "slider", min: "0", value: "0", "aria-label": `Moment of ${name}`, oninput: () => this.#turnTo() });
    this.time = h("span", { class: "segment-time", "aria-hidden": "true" });
    this.moments = h("div", { class: "compare-moments" }, this.moment, this.time);
    this.trouble = h("p", { class: "segment-trouble", hidden: true }, "The pictures could not be loaded. Fold this and open it again.");
    return h("div", { class: "compare" }, this.stage, this.moments, this.trouble);
  }

  /** For a sheet of its own number of rows; the moment that is looked at stays when it is made again. */
  #shape(compare) {
    this.compare = compare;
    this.moment.max = String(compare.rows - 1);
    this.stage.style.setProperty("--wide", compare.tile_width);
    this.stage.style.setProperty("--high", compare.tile_height);
    this.stage.style.setProperty("--rows", compare.rows);
    setHidden(this.moments, compare.rows < 2);
    this.#turnTo();
    this.#divide();
  }

  #load(url) {
    const sheet = new Image();
    sheet.onload = () => url === this.#shown && this.#put(url);
    sheet.onerror = () => {
      if (url !== this.#shown) return;
      this.#shown = "";
      this.trouble.hidden = false;
    };
    this.trouble.hidden = true;
    sheet.src = url;
  }

  #put(url) {
    for (const half of [this.before, this.after]) half.style.backgroundImage = `url("${encodeURI(url)}")`;
  }

  #turnTo() {
    const row = this.moment.valueAsNumber;
    const text = clock(this.compare.at_s[row] ?? 0, { tenths: true });
    this.stage.style.setProperty("--row", row);
    setText(this.time, text);
    this.moment.setAttribute("aria-valuetext", `${row + 1} of ${this.compare.rows}, at ${text}`);
  }

  #divide() {
    this.stage.style.setProperty("--share", this.divider.valueAsNumber / 100);
    this.divider.setAttribute("aria-valuetext", `${this.divider.value} % before, ${100 - this.divider.valueAsNumber} % after`);
  }
}
