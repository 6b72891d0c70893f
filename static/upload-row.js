// What is seen of one upload: how far it is, what went wrong, and what can be done.

import { h, icon, named, setHidden, setText } from "./dom.js";
import { problemBox } from "./problem.js";
import { bytes, moment, percent, plainName, speed, timeLeft } from "./words.js";

export class UploadRow {
  constructor(upload, { onGone }) {
    this.upload = upload;
    const name = plainName(upload.file.name);
    this.state = h("span", { class: "upload-state" });
    this.figures = h("span", { class: "upload-figures" });
    this.bar = h("progress", { max: "100", "aria-label": `Upload of ${name}` });
    this.note = h("p", { class: "upload-note", hidden: true }, "Goes on with the options it was begun with. To use others, cancel it and choose the file again.");
    this.quote = h("p", { class: "upload-quote", hidden: true });
    this.trouble = h("div", { class: "upload-trouble" });
    const button = (words, drawing, label, look, work) =>
      h("button", { class: `button ${look}`, type: "button", hidden: true, "aria-label": label, onclick: work }, drawing && icon(drawing), h("span", {}, words));
    this.pause = button("Pause", "pause", `Pause the upload of ${name}`, "quiet", () => upload.pause());
    this.goOn = button("Go on", "play", `Go on with the upload of ${name}`, "", () => upload.again());
    this.cancel = button("Cancel", "stop", `Cancel the upload of ${name}`, "quiet", () => upload.cancel());
    this.again = button("Try again", "again", `Try again: the upload of ${name}`, "", () => upload.again());
    this.away = button("Dismiss", null, `Dismiss ${name}`, "quiet", onGone);
    this.buttons = [this.pause, this.goOn, this.again, this.cancel, this.away];
    this.element = h(
      "li",
      { class: "upload" },
      h("div", { class: "upload-head" }, h("p", { class: "upload-name" }, named(name)), h("p", { class: "upload-size" }, bytes(upload.file.size))),
      this.bar,
      h("p", { class: "upload-line" }, this.state, this.figures),
      this.quote,
      this.note,
      this.trouble,
      h("div", { class: "upload-buttons" }, ...this.buttons),
    );
  }

  show() {
    const { upload } = this;
    this.element.dataset.state = upload.state;
    this.#buttons();
    setHidden(this.bar, upload.state === "refused");
    this.#bar();
    setText(this.state, this.#words());
    setText(this.figures, this.#figures());
    setText(this.quote, upload.quote ?? "");
    setHidden(this.quote, !upload.quote || upload.state === "refused");
    setHidden(this.note, !upload.otherOptions);
    this.#trouble();
  }

  /** Those that come are there before the others go: a focus is handed only to what can be seen. */
  #buttons() {
    const shown = this.#useful();
    shown.forEach((button) => setHidden(button, false));
    for (const button of this.buttons) {
      if (!shown.includes(button)) setHidden(button, true, shown[0]);
    }
  }

  #useful() {
    const { state, resumes } = this.upload;
    if (state === "refused") return [this.again, this.away];
    if (state === "deferred") return [this.again, this.cancel];
    if (state === "paused") return [this.goOn, this.cancel];
    return resumes && (state === "sending" || state === "retrying") ? [this.pause, this.cancel] : [this.cancel];
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
        return upload.quote === null ? "Asks what it will take…" : "Waits for its turn";
      case "sending":
        return upload.slow ? "Waiting for the network…" : `${this.bar.value} %`;
      case "finishing":
        return "Sent. The server stores it…";
      case "elsewhere":
        return "Another tab sends this file";
      case "paused":
        return `Paused at ${this.bar.value} %`;
      case "retrying": {
        const wait = Math.max(0, Math.ceil((upload.retryAt - Date.now()) / 1000));
        if (upload.attemptsLeft === Infinity) return `Trying again in ${wait} s`;
        const count = upload.attempt ? ` (${upload.attempt} of ${upload.attempt + upload.attemptsLeft - 1})` : "";
        return `Trying again in ${wait} s${count}`;
      }
      case "deferred":
        return this.deferred;
      case "refused":
        return "Not uploaded";
      default:
        return "";
    }
  }

  /** Until when it waits, in words. */
  get deferred() {
    const { problem, retryAt } = this.upload;
    const at = moment(retryAt);
    return problem.code === "quote" ? `There should be room ${at}: it goes on by itself` : `It is tried again ${at}, by itself`;
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
