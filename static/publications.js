// What is known of publications, kept true by events: of the jobs that are open on the page, and those that need somebody.

import { request } from "./api.js";
import { announce } from "./announce.js";
import { accounts } from "./accounts.js";
import { now } from "./now.js";
import { isMissed, isNews, platformName, segmentWords } from "./publication-words.js";

const LOOK_AGAIN_MS = 120;
const PAGE = 100;
const DAY_MS = 86_400_000;
const APPROVE_DAYS = 14; // what is due later is asked about later

class Publications {
  #known = new Map();
  #news = new Set(); // ids
  #jobs = new Map(); // job id → its loading
  #looks = new Map(); // publication id → timer
  #asked = 0;
  #seen = new Map(); // publication id → the question its newest known answer was to
  #listeners = [];
  #looking = null;

  /** `listener(publication)` hears of each that changed. */
  onChange(listener) {
    this.#listeners.push(listener);
  }

  get(id) {
    return this.#known.get(id) ?? null;
  }

  /** Of one segment, the next first. */
  ofSegment(id) {
    return [...this.#known.values()].filter((one) => one.segment_id === id).sort(byTime);
  }

  /** Those that are known to want somebody, the next first. */
  get news() {
    return [...this.#news].map((id) => this.#known.get(id)).filter(isNews).sort(byTime);
  }

  /** The newest, so that the takes that are drawn first have theirs. */
  recent() {
    return accounts.list.length ? this.#load({}, { once: true }) : null;
  }

  /** Loads those of a job once; without accounts there are none. */
  watch(jobId) {
    if (this.#jobs.has(jobId) || accounts.list.length === 0) return;
    this.#jobs.set(jobId, this.#load({ job: jobId }));
  }

  /** What may have changed unheard. */
  resync() {
    const jobs = [...this.#jobs.keys()];
    this.#jobs.clear();
    for (const id of jobs) this.watch(id);
  }

  event({ data }) {
    const id = data?.publication_id;
    if (!id) return;
    clearTimeout(this.#looks.get(id));
    this.#looks.set(id, setTimeout(() => this.look(id), LOOK_AGAIN_MS));
  }

  async look(id) {
    this.#looks.delete(id);
    const asked = ++this.#asked;
    try {
      this.put(await request("GET", `/v1/publications/${encodeURIComponent(id)}`), { asked });
    } catch {
      // the connection is gone, and its return brings a resync
    }
  }

  /** Takes in an answer, unless a newer question about it was answered already. */
  put(publication, { asked = ++this.#asked, quiet = false } = {}) {
    if ((this.#seen.get(publication.id) ?? 0) > asked) return;
    const before = this.#known.get(publication.id);
    this.#seen.set(publication.id, asked);
    this.#known.set(publication.id, publication);
    if (isNews(publication)) this.#news.add(publication.id);
    else this.#news.delete(publication.id);
    if (!quiet) this.#say(before, publication);
    for (const listener of this.#listeners) listener(publication);
  }

  /** Asks something of one: approve, cancel, retry, check, publish. Raises a Problem. */
  async ask(id, what, send) {
    const asked = ++this.#asked;
    this.put(await request("POST", `/v1/publications/${encodeURIComponent(id)}/${what}`, send), { asked });
  }

  /** Changes its time or words. Raises a Problem. */
  async change(id, changes) {
    const asked = ++this.#asked;
    this.put(await request("PATCH", `/v1/publications/${encodeURIComponent(id)}`, changes), { asked });
  }

  async add(wanted) {
    const asked = ++this.#asked;
    this.put(await request("POST", "/v1/publications", wanted), { asked });
  }

  /** What comes of a wording at an account: {post, counts, faults}. */
  preview(wanted) {
    return request("POST", "/v1/posts/preview", wanted);
  }

  /** Those between two instants. */
  async between(from, to) {
    const asked = ++this.#asked;
    const query = new URLSearchParams({ from: new Date(from).toISOString(), to: new Date(to).toISOString() });
    const { days } = await request("GET", `/v1/calendar?${query}`);
    const found = days.flatMap((day) => day.publications);
    for (const one of found) this.put(one, { asked, quiet: true });
    return found.map((one) => one.id);
  }

  /** Asks which stand still until somebody decides, and what was rejected lately; without accounts there are none. */
  lookForNews() {
    if (accounts.list.length === 0) return null;
    const due = (days) => this.#load({ state: "scheduled", to: new Date(now() + days * DAY_MS).toISOString() }, { once: true });
    const asks = accounts.list.some((account) => account.settings.approve);
    this.#looking ??= Promise.all([this.#load({ state: "unknown,rejected" }, { once: true }), due(0), asks && due(APPROVE_DAYS)]).finally(
      () => (this.#looking = null),
    );
    return this.#looking;
  }

  async #load(wanted, { once = false } = {}) {
    let cursor = null;
    try {
      do {
        const asked = ++this.#asked;
        const query = new URLSearchParams({ limit: PAGE, ...wanted, ...(cursor ? { cursor } : {}) });
        const page = await request("GET", `/v1/publications?${query}`);
        for (const one of page.publications) this.put(one, { asked, quiet: true });
        cursor = once ? null : page.next_cursor;
      } while (cursor);
    } catch {
      if (wanted.job) this.#jobs.delete(wanted.job); // asked again when its card is shown again
    }
  }

  #say(before, now) {
    if (!before || (before.state === now.state && isMissed(before) === isMissed(now))) return;
    const where = `${segmentWords(now)} on ${platformName(now.platform)}`;
    if (now.state === "published") announce(`${where}: published.`);
    else if (now.state === "rejected") announce(`${where}: rejected. ${now.errors.at(-1)?.message ?? ""}`);
    else if (now.state === "unknown") announce(`${where}: it is not known whether it was posted.`);
    else if (isMissed(now)) announce(`${where}: missed its time.`);
  }
}

function byTime(one, other) {
  return Date.parse(one.due_at) - Date.parse(other.due_at) || (one.id < other.id ? -1 : 1);
}

export const publications = new Publications();
