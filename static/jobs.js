// The list of jobs: loaded in pages, then kept true by events. A durable event says "look again" and nothing more,
// so events may come late, twice or in any order; the job's status is the truth.

import { request } from "./api.js";
import { announce } from "./announce.js";
import { JobCard } from "./job-card.js";
import { problemBox } from "./problem.js";
import { count, plainName } from "./words.js";
import { setHidden, whileBusy } from "./dom.js";

const PAGE = 20;
const MOST = 400; // jobs asked for when the page comes back after a long time
const TOGETHER_MS = 250;
const LOOK_AGAIN_MS = 120; // events come in bursts: one look for all of them

export class Jobs {
  #cards = new Map(); // job id → JobCard
  #looks = new Map(); // job id → {timer, running, again}
  #deleted = new Set();
  #seen = new Map(); // job id → when its newest known answer was asked for
  #noted = new Map(); // job id → when its last note came, on the same clock
  #asked = 0;
  #cursor = null;
  #loaded = false;
  #resyncing = null;

  constructor() {
    this.list = document.getElementById("job-list");
    this.heading = document.getElementById("takes-title");
    this.loading = document.getElementById("takes-loading");
    this.empty = document.getElementById("empty");
    this.more = document.getElementById("more");
    this.problem = document.getElementById("takes-problem");
    this.more.addEventListener("click", () => whileBusy(this.more, () => this.#loadMore()));
  }

  /**
   * Loads what is shown again: at the start, and whenever events may have been missed. The first takes are drawn when
   * `within` comes, which is what stands within them, or without it when that takes longer than one sees: then they move.
   */
  async resync({ within }) {
    const together = Promise.race([within, new Promise((resolve) => setTimeout(resolve, TOGETHER_MS))]);
    this.#resyncing ??= this.#resync(together).finally(() => (this.#resyncing = null));
    return this.#resyncing;
  }

  /** A durable event. */
  event({ type, job_id: id }) {
    if (!id) return;
    if (type === "job.deleted") this.#drop(id);
    else this.look(id);
  }

  /** A transient note: `{job_id, step, progress, job_progress}`. */
  progress(note) {
    const card = this.#cards.get(note.job_id);
    if (!card) return;
    card.progress(note);
    this.#noted.set(note.job_id, ++this.#asked);
  }

  /** Asks for a job's status soon; many calls make one request, and never two at a time. */
  look(id, { now = false } = {}) {
    if (this.#deleted.has(id)) return;
    const look = this.#looks.get(id) ?? { timer: 0, running: false, again: false };
    this.#looks.set(id, look);
    if (look.running) look.again = true;
    else if (!look.timer) look.timer = setTimeout(() => this.#look(id, look), now ? 0 : LOOK_AGAIN_MS);
  }

  async #look(id, look) {
    look.timer = 0;
    look.running = true;
    const asked = ++this.#asked;
    try {
      this.#put(await request("GET", `/status/${encodeURIComponent(id)}`), asked);
    } catch (problem) {
      if (problem.status === 404) this.#drop(id);
      // else: the connection is gone, and its return brings a resync
    }
    look.running = false;
    if (look.again) {
      look.again = false;
      this.look(id);
    } else if (!look.timer) {
      this.#looks.delete(id);
    }
  }

  /** A click on a job's button. The answer is the whole job; a refusal comes out as its Problem. */
  async #ask(id, what) {
    const asked = ++this.#asked;
    this.#put(await request("POST", `/v1/jobs/${encodeURIComponent(id)}/${what}`), asked);
    if (this.#seen.get(id) > asked) this.look(id); // two answers crossed: which of them is newer is not known
  }

  async #resync(together) {
    const oldest = this.list.lastElementChild?.dataset.job ?? "";
    const found = new Set();
    const asked = ++this.#asked;
    let cursor = null;
    let reached = "";
    try {
      do {
        const page = await this.#page(cursor);
        if (!this.#loaded) await together;
        for (const job of page.jobs) {
          found.add(job.job_id);
          reached = job.job_id;
          this.#put(job, asked, { first: !this.#loaded });
        }
        cursor = page.next_cursor;
      } while (cursor && oldest && newest(reached, oldest) < 0 && found.size < MOST);
    } catch (problem) {
      this.#trouble(problem);
      return;
    }
    for (const [id, card] of this.#cards) {
      if (found.has(id) || this.#seen.get(id) > asked) continue; // listed, or news that came meanwhile
      if (cursor && newest(reached, id) < 0) this.#leave(id, card); // beyond what was listed: "older" brings it back
      else this.#drop(id);
    }
    this.#cursor = cursor;
    this.#loaded = true;
    this.#trouble(null);
    this.#around();
  }

  async #loadMore() {
    const asked = ++this.#asked;
    try {
      const page = await this.#page(this.#cursor);
      page.jobs.forEach((job) => this.#put(job, asked, { first: true, old: true }));
      this.#cursor = page.next_cursor;
      this.#trouble(null);
      const oldest = page.jobs[0] && this.#cards.get(page.jobs[0].job_id);
      if (!this.#cursor) oldest?.focus(); // the button goes; the reading goes on below
      announce(`${count(page.jobs.length, "older take")} shown.`);
    } catch (problem) {
      this.#trouble(problem);
    }
    this.#around();
  }

  #page(cursor) {
    const query = new URLSearchParams({ limit: PAGE });
    if (cursor) query.set("cursor", cursor);
    return request("GET", `/v1/jobs?${query}`);
  }

  /** Takes in an answer, unless a newer question about this job was answered already. */
  #put(job, asked, { first = false, old = false } = {}) {
    const id = job.job_id;
    if (this.#deleted.has(id) || (this.#seen.get(id) ?? 0) > asked) return;
    let card = this.#cards.get(id);
    if (!card) {
      if (!first && !old && this.#beyond(job)) return;
      card = new JobCard(job, {
        open: !old && (this.#cards.size === 0 || !first),
        ask: (what) => this.#ask(id, what),
        look: () => this.look(id, { now: true }),
        onDeleted: () => this.#drop(id, { byHand: true }),
      });
      this.#cards.set(id, card);
      this.#insert(card);
    } else {
      card.show(job, { behind: (this.#noted.get(id) ?? 0) > asked });
    }
    this.#seen.set(id, asked);
    this.#around();
  }

  /** Whether the job is older than everything on the page while there are older ones to load. */
  #beyond(job) {
    const oldest = this.list.lastElementChild;
    return this.#cursor !== null && oldest !== null && newest(job.job_id, oldest.dataset.job) > 0;
  }

  #insert(card) {
    const after = [...this.list.children].find((other) => newest(card.id, other.dataset.job) < 0);
    this.list.insertBefore(card.element, after ?? null);
  }

  #drop(id, { byHand = false } = {}) {
    this.#deleted.add(id);
    const card = this.#cards.get(id);
    if (!card) return;
    const next = card.element.nextElementSibling ?? card.element.previousElementSibling;
    const hadFocus = byHand || card.element.contains(document.activeElement);
    this.#leave(id, card);
    announce(`${plainName(card.job.source.filename)} is deleted.`);
    if (hadFocus) (this.#cards.get(next?.dataset.job) ?? this.heading).focus();
    this.#around();
  }

  #leave(id, card) {
    card.remove();
    this.#cards.delete(id);
    this.#seen.delete(id);
    this.#noted.delete(id);
  }

  #trouble(problem) {
    this.problem.replaceChildren(...(problem ? [problemBox(problem)] : []));
    if (problem) setHidden(this.loading, true);
  }

  #around() {
    if (!this.#loaded && this.#cards.size === 0) return;
    setHidden(this.loading, true);
    setHidden(this.empty, this.#cards.size > 0);
    setHidden(this.more, this.#cursor === null, this.heading);
  }
}

/** Ids sort by time: below 0 when `one` is newer than `other`. */
function newest(one, other) {
  return one < other ? 1 : one > other ? -1 : 0;
}
