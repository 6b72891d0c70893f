// One job: what it is, how far it got, what went wrong, and its finished segments.

import { request } from "./api.js";
import { announce } from "./announce.js";
import { confirmDelete } from "./confirm.js";
import { h, icon, named, setAttribute, setHidden, setText, whileBusy } from "./dom.js";
import { problemBox } from "./problem.js";
import { isOpen } from "./publication-words.js";
import { publications } from "./publications.js";
import { SegmentCard } from "./segment-card.js";
import { STATE, STEP, bytes, clock, count, percent, plainName, rate, when } from "./words.js";

const WORKING = new Set(["queued", "processing"]);
const TO_COME = new Set(["waiting", "available", "running"]); // of a step

export class JobCard {
  #segments = new Map(); // segment id → SegmentCard
  #shownProblem = "";

  constructor(job, { open, ask, look, onDeleted }) {
    this.job = job;
    this.id = job.job_id;
    this.ask = ask;
    this.look = look;
    this.onDeleted = onDeleted;
    this.name = plainName(job.source.filename);
    this.element = this.#build(open || WORKING.has(job.state));
    this.show(job, { quiet: true });
  }

  /**
   * The job as an answer has it. `behind`: a note came since it was asked for, which may know more of what is under way.
   */
  show(job, { quiet = false, behind = false } = {}) {
    const before = this.job;
    this.job = job;
    const working = WORKING.has(job.state);
    this.element.dataset.state = job.state;
    setText(this.chip, STATE[job.state] ?? job.state);
    setText(this.facts, facts(job).join(" · "));
    setHidden(this.overall, !working);
    setHidden(this.steps, !working && job.state !== "failed");
    this.#overall(working && behind ? Math.max(job.progress, this.overallBar.value) : job.progress);
    this.#steps(job, { behind });
    this.#problem(job.error && { title: job.error.message, hint: job.error.hint });
    this.#notes(job);
    this.#ready(job, { behind });
    this.#buttons(job);
    if (!quiet) this.#announce(before, job);
  }

  /** A transient note. One that comes late, after the end or behind what is known, changes nothing. */
  progress({ step, progress, job_progress: overall, segment_id: segment }) {
    if (segment && Number.isFinite(progress)) return void this.#segments.get(segment)?.progress(progress);
    if (!WORKING.has(this.job.state)) return;
    if (Number.isFinite(overall) && overall >= this.overallBar.value) this.#overall(overall);
    const row = this.stepRows.get(step);
    if (!row || row.state === "completed" || !Number.isFinite(progress)) return;
    if (row.state !== "running") this.#step(row, { state: "running", progress });
    else if (progress >= row.progress) this.#step(row, { state: "running", progress });
  }

  focus() {
    this.title.focus();
  }

  remove() {
    this.#segments.forEach((segment) => segment.close());
    this.element.remove();
  }

  #build(open) {
    const titleId = `${this.id}-name`;
    this.title = h("h3", { id: titleId, tabindex: "-1", class: "job-name" }, named(this.name));
    this.chip = h("span", { class: "chip" });
    this.facts = h("p", { class: "job-facts" });
    this.overallBar = h("progress", { max: "100", "aria-label": `Progress of ${this.name}` });
    this.overallFigure = h("span", { class: "overall-figure" });
    this.overall = h("div", { class: "overall" }, this.overallBar, this.overallFigure);
    this.stepRows = new Map(Object.keys(STEP).map((name) => [name, stepRow(name)]));
    this.steps = h("ol", { class: "steps", "aria-label": `Steps of ${this.name}` }, ...[...this.stepRows.values()].map((row) => row.element));
    this.trouble = h("div", { class: "job-trouble" });
    this.notes = h("ul", { class: "notes", "aria-label": `Notes about ${this.name}` });
    this.summary = h("summary", { class: "segments-summary" });
    this.segmentList = h("ol", { class: "segment-list" });
    this.segments = h("details", { class: "segments", open, ontoggle: () => this.#ready(this.job) }, this.summary, this.segmentList);
    this.buttons = this.#buildButtons();
    const article = h(
      "article",
      { class: "panel job-panel", "aria-labelledby": titleId },
      h("header", { class: "job-head" }, this.title, this.chip),
      this.facts,
      this.overall,
      this.steps,
      this.trouble,
      this.notes,
      this.segments,
      this.buttons,
    );
    return h("li", { class: "job", "data-job": this.id }, article);
  }

  #buildButtons() {
    const button = (words, look, drawing, label, work) => {
      const onclick = () => whileBusy(element, work);
      const element = h("button", { class: `button ${look}`, type: "button", "aria-label": label, onclick }, icon(drawing), h("span", {}, words));
      return element;
    };
    this.archive = h(
      "a",
      { class: "button primary", download: "" },
      icon("down"),
      h("span", {}),
    );
    this.keep = button("Keep all", "primary", "done", null, () => this.#ask("keep"));
    this.retry = button("Try again", "primary", "again", `Try again: ${this.name}`, () => this.#ask("retry"));
    this.cancel = button("Cancel", "", "stop", `Cancel the work on ${this.name}`, () => this.#ask("cancel"));
    this.bin = button("Delete", "quiet", "bin", `Delete ${this.name}`, () => this.#delete());
    return h("div", { class: "job-buttons" }, this.keep, this.archive, this.retry, this.cancel, this.bin);
  }

  #overall(value) {
    const whole = percent(value);
    if (this.overallBar.value !== whole || !this.overallBar.hasAttribute("value")) this.overallBar.value = whole;
    setText(this.overallFigure, `${whole} %`);
  }

  #steps(job, { behind }) {
    for (const [name, row] of this.stepRows) {
      const step = job.steps.find((one) => one.name === name);
      setHidden(row.element, !step); // not every job needs every step
      if (!step) continue;
      if (behind && row.state === "running" && step.progress < row.progress && TO_COME.has(step.state)) continue;
      this.#step(row, step);
    }
  }

  #step(row, { state, progress = 0, attempt, max_attempts: most, pause = null }) {
    row.state = state;
    row.progress = progress;
    row.element.dataset.state = state;
    setAttribute(row.element, "aria-current", state === "running" ? "step" : null);
    const again = attempt > 1 && state !== "completed" ? `attempt ${attempt} of ${most}` : "";
    const now = pause ? pauseWord(pause) : (STEP_STATE[state]?.(percent(progress)) ?? state);
    setText(row.figure, [now, again].filter(Boolean).join(", "));
  }

  #problem(problem) {
    const key = problem ? JSON.stringify(problem) : "";
    if (key === this.#shownProblem) return;
    this.#shownProblem = key;
    this.trouble.replaceChildren(...(problem ? [problemBox(problem)] : []));
  }

  #notes(job) {
    const notes = [...job.warnings, ...(job.source.info?.warnings ?? [])];
    for (const { pause } of job.steps) if (pause) notes.push(`${pause.message} ${PAUSE_NOTE[pause.code] ?? "It is tried again by itself."}`);
    if (job.media_deleted) notes.push("The segments' files are gone: their keeping time is over.");
    const shown = [...new Set(notes)];
    setHidden(this.notes, shown.length === 0);
    if (this.notes.children.length === shown.length && shown.every((note, n) => this.notes.children[n].textContent === note)) return;
    this.notes.replaceChildren(...shown.map((note) => h("li", {}, note)));
  }

  /** The finished segments; made only while they are to be seen. */
  #ready(job, { behind = false } = {}) {
    const ready = job.media_deleted ? [] : job.segments.filter((segment) => segment.state === "ready");
    const planned = job.segments.length;
    setHidden(this.segments, ready.length === 0);
    const made = ready.length < planned && WORKING.has(job.state) ? `${ready.length} of ${count(planned, "segment")} ready` : count(ready.length, "segment");
    setText(this.summary, waiting(job) ? `${made} · ${waiting(job)} to keep or drop` : made);
    const wanted = this.segments.open ? ready.sort((one, other) => one.index - other.index) : [];
    const ids = new Set(wanted.map((segment) => segment.segment_id));
    for (const [id, card] of this.#segments) {
      if (ids.has(id)) continue;
      card.remove();
      this.#segments.delete(id);
    }
    wanted.forEach((segment, place) => {
      let card = this.#segments.get(segment.segment_id);
      if (card) {
        card.show(segment, job, { behind });
      } else {
        card = new SegmentCard(segment, job, { of: this.name, look: this.look });
        this.#segments.set(segment.segment_id, card);
      }
      const there = this.segmentList.children[place] ?? null;
      if (there !== card.element) this.segmentList.insertBefore(card.element, there);
    });
  }

  #buttons(job) {
    const working = WORKING.has(job.state);
    const ready = job.media_deleted ? [] : job.segments.filter((segment) => segment.state === "ready");
    const zipped = ready.filter((segment) => segment.review !== "dropped");
    setHidden(this.keep, !waiting(job), this.title);
    setText(this.keep.lastChild, `Keep all ${waiting(job)}`);
    setAttribute(this.keep, "aria-label", `Keep all ${waiting(job)} that wait: ${this.name}`);
    this.archive.classList.toggle("primary", !waiting(job));
    setHidden(this.archive, working || !zipped.length, this.title);
    setAttribute(this.archive, "href", job.archive_url);
    this.#zip(zipped.length, ready.length - zipped.length);
    setHidden(this.retry, !["failed", "cancelled"].includes(job.state) || job.source.deleted, this.title);
    setHidden(this.cancel, !working, this.title);
  }

  #zip(segments, dropped) {
    const words = dropped ? `Download ${segments}, without ${dropped} dropped` : "Download all";
    setText(this.archive.lastChild, words);
    setAttribute(this.archive, "aria-label", `${words}${dropped ? "," : ""} segments of ${this.name} as one zip file`);
  }

  async #ask(what) {
    try {
      await this.ask(what);
    } catch (problem) {
      this.#refused(problem);
    }
  }

  async #delete() {
    const agreed = await confirmDelete({ name: this.name, text: whatIsLost(this.job) });
    if (!agreed) return;
    try {
      await request("DELETE", `/v1/jobs/${encodeURIComponent(this.id)}`);
      this.onDeleted();
    } catch (problem) {
      if (problem.status === 404) this.onDeleted();
      else this.#refused(problem);
    }
  }

  #refused(problem) {
    this.#problem(problem);
    announce(`${this.name}: ${problem.words}`);
  }

  #announce(before, job) {
    const readyBefore = before.segments.filter((segment) => segment.state === "ready").length;
    const ready = job.segments.filter((segment) => segment.state === "ready").length;
    if (before.state !== job.state) announce(`${this.name}: ${sentence(job, ready)}`);
    else if (ready > readyBefore) announce(`${this.name}: ${ready} of ${count(job.segments.length, "segment")} ready.`);
  }
}

/** How many of its finished segments wait to be kept. */
const waiting = (job) => (job.media_deleted ? 0 : job.segments.filter(({ state, review }) => state === "ready" && review === "waiting").length);

const STEP_STATE = {
  waiting: () => "",
  available: () => "next",
  running: (percents) => `${percents} %`,
  completed: () => "done",
  discarded: () => "failed",
  cancelled: () => "cancelled",
};

const ROOM_NOTE = "The work goes on by itself when there is room: delete jobs that are done, or enlarge the volume.";
const PAUSE_NOTE = { no_space: ROOM_NOTE, low_memory: "The work goes on by itself.", too_many_files: "The work goes on by itself." };

const PAUSE_WORD = { no_space: "waits for room", low_memory: "waits for memory", too_many_files: "waits for connections to end" };
const pauseWord = ({ code }) => PAUSE_WORD[code] ?? "waits to try again";

function stepRow(name) {
  const figure = h("span", { class: "step-figure" });
  const element = h("li", { class: "step" }, h("span", { class: "step-mark" }, icon("done")), h("span", {}, STEP[name]), figure);
  return { element, figure, state: "waiting", progress: 0 };
}

function sentence(job, ready) {
  switch (job.state) {
    case "processing":
      return "the work has begun.";
    case "completed":
      return `done, ${count(ready, "segment")}.`;
    case "failed":
      return `failed. ${job.error?.message ?? ""}`;
    default:
      return `${(STATE[job.state] ?? job.state).toLowerCase()}.`;
  }
}

function facts(job) {
  const { source } = job;
  const { info } = source;
  return [
    when(job.created_at),
    info && clock(info.duration_us / 1e6),
    info && `${info.video.width}\u00d7${info.video.height}`,
    info && `${rate(info.video.average_rate)}\u00a0fps`,
    bytes(source.size),
  ].filter(Boolean);
}

function whatIsLost(job) {
  const planned = job.segments.some(({ segment_id: id }) => publications.ofSegment(id).some(isOpen)) ? " What is planned of it does not go out." : "";
  const ready = job.segments.filter((segment) => segment.state === "ready").length;
  const stops = WORKING.has(job.state) ? "The work on it stops. " : "";
  const what = ready ? `The uploaded video and its ${count(ready, "finished segment")}` : "The uploaded video";
  return `${stops}${what} will be gone from this server for good.${planned}`;
}
