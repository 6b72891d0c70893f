// The queue of uploads and what is seen of it: two go at once, the others wait.

import { Upload } from "./upload.js";
import { UploadRow } from "./upload-row.js";
import { announce } from "./announce.js";
import { handleOf } from "./choose.js";
import { keep, letGo } from "./kept.js";
import { sweep } from "./memory.js";
import { setHidden, setText } from "./dom.js";
import { ask, measured } from "./quote.js";
import { plainName } from "./words.js";
import { keepAwake, letSleep, staysAwake } from "./awake.js";

const AT_ONCE = 2;

export class Uploads {
  #uploads = [];
  #rows = new Map();
  #keeping = new Set();
  #ticking = 0;

  /** `onJob(job)` is called with the server's answer for each upload that arrived, `onChange()` when the queue is another. */
  constructor({ onJob, onChange }) {
    this.onJob = onJob;
    this.onChange = onChange;
    this.section = document.getElementById("uploads");
    this.list = document.getElementById("upload-list");
    this.after = document.getElementById("takes-title");
    this.keepOpen = document.getElementById("keep-open");
    this.title = document.getElementById("uploads-title");
    this.choose = document.getElementById("choose");
    sweep();
    const hurry = () => this.#uploads.forEach((upload) => upload.hurry());
    addEventListener("online", hurry);
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && hurry());
    addEventListener("beforeunload", (event) => {
      if (!this.#wanted.some((upload) => upload.kept === null)) return;
      event.preventDefault();
      event.returnValue = ""; // what older browsers wait for
    });
  }

  get active() {
    return this.#wanted.length > 0;
  }

  /** Those that go on by themselves. */
  get #wanted() {
    return this.#uploads.filter((upload) => upload.busy || ["waiting", "deferred"].includes(upload.state));
  }

  /** Something was deleted: what waits for room need not wait for its time. */
  roomWasMade() {
    for (const upload of this.#uploads.filter((one) => one.waitsForRoom)) upload.again();
  }

  /** Whether one of these is the upload at `url` on the server. */
  has(url) {
    return this.#uploads.some((upload) => upload.url === url);
  }

  /** `kept`: the id of one that was kept from before. */
  add(files, recipe, { kept = null } = {}) {
    for (const file of files) {
      if (this.#pending(file, recipe)) continue; // picked twice by accident: it is in the queue already
      const upload = new Upload(file, recipe, (changed, what) => this.#changed(changed, what));
      upload.kept = kept;
      if (kept === null) this.#keep(upload);
      const row = new UploadRow(upload, { onGone: () => this.#dismiss(upload) });
      this.#uploads.push(upload);
      this.#rows.set(upload, row);
      this.list.append(row.element);
      row.show();
      this.#ask(upload);
    }
    this.#next();
    this.#around();
    this.#bringIntoView();
  }

  /** What it will take, before a byte of it is sent. */
  async #ask(upload) {
    try {
      upload.quoted(await ask(upload.file, upload.recipe));
    } catch (problem) {
      upload.quoted("", problem);
    }
  }

  /** So that it goes on after the page was closed. A handle costs nothing; a copy of the bytes is made only where the wait
   * may be long: offline, and where the server has said so. */
  async #keep(upload) {
    const handle = handleOf(upload.file);
    if (!handle && navigator.onLine && upload.state !== "deferred") return;
    if (upload.kept !== null || this.#keeping.has(upload)) return;
    this.#keeping.add(upload);
    const what = handle ? { handle } : { file: upload.file };
    try {
      const id = await keep({ ...what, recipe: upload.recipe, shared: false });
      upload.kept = id;
      if (!this.#rows.has(upload)) await letGo(id); // it was quicker
    } catch {
      // no room, or forbidden: then the page has to stay open, which it says
    }
    this.#keeping.delete(upload);
    this.#around();
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

  /** In the order in which they were chosen: one that still asks what it will take keeps its place. */
  #next() {
    const free = AT_ONCE - this.#uploads.filter((upload) => upload.busy).length;
    const next = this.#uploads.filter((upload) => upload.state === "waiting").slice(0, Math.max(0, free));
    for (const upload of next) {
      // Looked at anew each time: starting one calls back here before it returns.
      if (upload.state === "waiting" && upload.quote !== null) upload.send();
    }
  }

  #changed(upload, { changed }) {
    const row = this.#rows.get(upload);
    if (!row) return;
    row.show();
    if (!changed) return setText(this.keepOpen, this.#advice()); // what can go on where it was is known only on the way
    const name = plainName(upload.file.name);
    if (["done", "cancelled"].includes(upload.state)) this.#forget(upload);
    if (upload.state === "done") {
      announce(`${name} is uploaded.`);
      measured(upload);
      this.onJob(upload.job);
      this.#remove(upload);
    } else if (upload.state === "cancelled") {
      announce(`The upload of ${name} is cancelled.`);
      this.#remove(upload);
    } else if (upload.state === "refused") {
      announce(`${name} was not uploaded: ${upload.problem.words}`);
    } else if (upload.state === "deferred") {
      announce(`${name}: ${upload.problem.title}. ${row.deferred}.`);
      this.#keep(upload);
    } else if (upload.state === "paused") {
      announce(`The upload of ${name} is paused.`);
    } else if (upload.state === "retrying" && row.announced !== upload.problem) {
      row.announced = upload.problem; // what is the same after each pause is said once
      announce(`${name}: ${upload.problem.title}. The upload is tried again.`);
    }
    this.#next();
    this.#around();
    this.onChange();
  }

  #forget(upload) {
    if (upload.kept !== null) letGo(upload.kept).catch(() => {}); // forbidden: then it was not kept
  }

  #dismiss(upload) {
    upload.leave();
    this.#forget(upload);
    this.#remove(upload);
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
    setText(this.keepOpen, this.#advice());
    if (this.#wanted.some((upload) => upload.state !== "deferred")) keepAwake();
    else letSleep();
    clearInterval(this.#ticking);
    if (this.active) this.#ticking = setInterval(() => this.#uploads.forEach((upload) => upload.tick()), 1000);
  }

  #advice() {
    const wanted = this.#wanted;
    if (wanted.length && wanted.every((upload) => upload.kept !== null)) return "If this page is closed, the upload goes on when it is opened again.";
    const screen = staysAwake() ? "" : " and the screen on";
    const later = wanted.some((upload) => upload.resumes) ? " If it is cut off, choose the same file again: it goes on where it was." : "";
    return `Keep this page open${screen} until the upload is done.${later}`;
  }
}
