// The queue of uploads and what is seen of it: two go at once, the others wait.

import { Upload } from "./upload.js";
import { announce } from "./announce.js";
import { h, icon, named, setHidden, setText } from "./dom.js";
import { problemBox } from "./problem.js";
import { bytes, percent, plainName, speed, timeLeft } from "./words.js";
import { keepAwake, letSleep, staysAwake } from "./awake.js";

const AT_ONCE = 2;

export class Uploads {
  #uploads = [];
  #rows = new Map();
  #ticking = 0;

  /** `onJob(job)` is called with the server's answer for each upload that arrived. */
  constructor({ onJob }) {
    this.onJob = onJob;
    this.section = document.getElementById("uploads");
    this.list = document.getElementById("upload-list");
    this.after = document.getElementById("takes-title");
    this.keepOpen = document.getElementById("keep-open");
    this.title = document.getElementById("uploads-title");
    this.choose = document.getElementById("choose");
    addEventListener("online", () => this.#uploads.forEach((upload) => upload.hurry()));
    addEventListener("beforeunload", (event) => {
      if (!this.active) return;
      event.preventDefault();
      event.returnValue = ""; // what older browsers wait for
    });
  }

  get active() {
    return this.#uploads.some((upload) => upload.busy || upload.state === "waiting");
  }

  add(files, recipe) {
    for (const file of files) {
      if (this.#pending(file, recipe)) continue; // picked twice by accident: it is in the queue already
      const upload = new Upload(file, recipe, (changed, what) => this.#changed(changed, what));
      const row = new UploadRow(upload, { onGone: () => this.#remove(upload) });
      this.#uploads.push(upload);
      this.#rows.set(upload, row);
      this.list.append(row.element);
      row.show();
    }
    this.#next();
    this.#around();
    this.#bringIntoView();
  }

  /** Below a long form, or on a phone, one would not see that anything began. */
  #bringIntoView() {
    const { top, bottom } = this.section.getBoundingClientRect();
    const seen = top >= 0 && bottom <= innerHeight;
    if (!seen && document.activeElement === this.choose) this.title.focus({ preventScroll: true }); // else Tab would lead back
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.section.scrollIntoView({ block: "nearest", behavior: still ? "instant" : "smooth" });
  }

  #pending(file, recipe) {
    return this.#uploads.some(
      ({ file: other, recipe: itsRecipe, state }) =>
        state !== "refused" &&
        other.name === file.name &&
        other.size === file.size &&
        other.lastModified === file.lastModified &&
        itsRecipe === recipe,
    );
  }

  #next() {
    // Counted anew each time: starting one calls back here before it returns.
    const free = () => this.#uploads.filter((upload) => upload.busy).length < AT_ONCE;
    for (const upload of this.#uploads) {
      if (upload.state === "waiting" && free()) upload.send();
    }
  }

  #changed(upload, { changed }) {
    const row = this.#rows.get(upload);
    if (!row) return;
    row.show();
    if (!changed) return;
    const name = plainName(upload.file.name);
    if (upload.state === "done") {
      announce(`${name} is uploaded.`);
      this.onJob(upload.job);
      this.#remove(upload);
    } else if (upload.state === "cancelled") {
      announce(`The upload of ${name} is cancelled.`);
      this.#remove(upload);
    } else if (upload.state === "refused") {
      announce(`${name} was not uploaded: ${upload.problem.words}`);
    } else if (upload.state === "retrying" && row.announced !== upload.problem) {
      row.announced = upload.problem; // what is the same after each pause is said once
      announce(`${name}: ${upload.problem.title}. The upload is tried again.`);
    }
    this.#next();
    this.#around();
  }

  #remove(upload) {
    const row = this.#rows.get(upload);
    const hadFocus = row.element.contains(document.activeElement);
    row.element.remove();
    this.#rows.delete(upload);
    this.#uploads = this.#uploads.filter((other) => other !== upload);
    if (hadFocus) this.choose.focus();
    this.#around();
  }

  /** Everything around the rows: the section, the advice, the screen's lock, the clock. */
  #around() {
    setHidden(this.section, this.#uploads.length === 0, this.after);
    setHidden(this.keepOpen, !this.active);
    setText(
      this.keepOpen,
      staysAwake() ? "Keep this page open until the upload is done." : "Keep this page open and the screen on until the upload is done.",
    );
    if (this.active) keepAwake();
    else letSleep();
    clearInterval(this.#ticking);
    if (this.active) this.#ticking = setInterval(() => this.#uploads.forEach((upload) => upload.tick()), 1000);
  }
}

class UploadRow {
  constructor(upload, { onGone }) {
    this.upload = upload;
    const name = plainName(upload.file.name);
    this.state = h("span", { class: "upload-state" });
    this.figures = h("span", { class: "upload-figures" });
    this.bar = h("progress", { max: "100", "aria-label": `Upload of ${name}` });
    this.trouble = h("div", { class: "upload-trouble" });
    this.cancel = h(
      "button",
      { class: "button quiet", type: "button", "aria-label": `Cancel the upload of ${name}`, onclick: () => upload.cancel() },
      icon("stop"),
      h("span", {}, "Cancel"),
    );
    this.again = h(
      "button",
      { class: "button", type: "button", "aria-label": `Try the upload of ${name} again`, onclick: () => upload.again() },
      icon("again"),
      h("span", {}, "Try again"),
    );
    this.away = h(
      "button",
      { class: "button quiet", type: "button", "aria-label": `Take ${name} off this list`, onclick: onGone },
      h("span", {}, "Dismiss"),
    );
    this.element = h(
      "li",
      { class: "upload" },
      h("div", { class: "upload-head" }, h("p", { class: "upload-name" }, named(name)), h("p", { class: "upload-size" }, bytes(upload.file.size))),
      this.bar,
      h("p", { class: "upload-line" }, this.state, this.figures),
      this.trouble,
      h("div", { class: "upload-buttons" }, this.cancel, this.again, this.away),
    );
  }

  show() {
    const { upload } = this;
    const refused = upload.state === "refused";
    this.element.dataset.state = upload.state;
    this.#buttons(refused);
    setHidden(this.bar, refused);
    this.#bar();
    setText(this.state, this.#words());
    setText(this.figures, this.#figures());
    this.#trouble();
  }

  /** Those that come are there before the others go: a focus is handed only to what can be seen. */
  #buttons(refused) {
    const [come, go] = refused ? [[this.again, this.away], [this.cancel]] : [[this.cancel], [this.again, this.away]];
    come.forEach((button) => setHidden(button, false));
    go.forEach((button) => setHidden(button, true, come[0]));
  }

  #bar() {
    const { upload } = this;
    if (upload.state === "finishing") {
      this.bar.removeAttribute("value"); // the server's turn: how long it takes is not known
    } else {
      this.bar.value = upload.file.size ? percent((100 * upload.sent) / upload.file.size) : 0;
    }
  }

  #words() {
    const { upload } = this;
    switch (upload.state) {
      case "waiting":
        return "Waits for its turn";
      case "sending":
        return upload.slow ? "Waiting for the network…" : `${this.bar.value} %`;
      case "finishing":
        return "Sent. The server stores it…";
      case "retrying": {
        const wait = Math.max(0, Math.ceil((upload.retryAt - Date.now()) / 1000));
        const count = upload.attempt ? ` (${upload.attempt} of ${upload.attempt + upload.attemptsLeft - 1})` : "";
        return `Trying again in ${wait} s${count}`;
      }
      case "refused":
        return "Not uploaded";
      default:
        return "";
    }
  }

  #figures() {
    const { upload } = this;
    if (upload.state !== "sending" || upload.slow || !upload.speed) return "";
    return [speed(upload.speed), timeLeft(upload.secondsLeft)].filter(Boolean).join(" · ");
  }

  #trouble() {
    if (this.shown === this.upload.problem) return;
    this.shown = this.upload.problem;
    this.trouble.replaceChildren(...(this.shown ? [problemBox(this.shown)] : []));
  }
}
