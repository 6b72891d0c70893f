// One upload: through the door that resumes or, where the server has none, in one piece. With one key, so that no repeat
// makes a second job.
//
//   waiting → sending → finishing → done
//      │         │ ├───────┴──→ retrying → sending
//      │         │ ├──────────→ elsewhere (another tab has it) → sending, or done by that one
//      │         │ ├──────────→ deferred (until the server takes it again) → waiting
//      │         │ ├──────────→ paused → waiting
//      │         │ └──────────→ refused (a person may try again)
//      └─────────┴────────────→ cancelled

import { Problem } from "./api.js";
import { holdAlone } from "./alone.js";
import { Later, NoDoor } from "./doors.js";
import { Lost } from "./exchange.js";
import { FormDoor } from "./form-door.js";
import { Memory, fingerprint } from "./memory.js";
import { TusDoor } from "./tus.js";

const STALL_MS = 30_000; // no byte moves for so long: the connection is dead, whatever it says
const FINISH_MS = 120_000; // all bytes are sent, the answer does not come
const SLOW_MS = 6_000; // no byte moves: say so
const WAITS_S = [1, 2, 4, 8, 15, 30]; // between attempts that got no further
const LONG_S = 60; // told to come again after more: until then it takes nobody's turn
const LONGEST_MS = 2 ** 31 - 1; // of a timer
const FURTHER_BYTES = 8 << 20; // in one piece, fewer may only have gone into this device's own buffers

let Door = TusDoor; // until the server says that it has none

export class Upload {
  state = "waiting";
  sent = 0;
  speed = 0; // bytes a second, smoothed
  attempt = 0;
  problem = null;
  retryAt = 0;
  job = null; // {job_id, status_url} once the server has it
  kept = null; // its id among the files that outlive the page
  quote = null; // what it will take, in words; until that is known it is not sent
  #memory = null;
  #door = null;
  #release = null; // ends the hold over other tabs
  #going = null; // the attempt under way
  #furthest = 0; // bytes of the attempt that got furthest
  #moved = 0;
  #sample = null;
  #timer = 0;

  constructor(file, recipe, onChange) {
    this.file = file;
    this.recipe = recipe;
    this.onChange = onChange;
  }

  get busy() {
    return this.state === "sending" || this.state === "finishing" || this.state === "retrying";
  }

  get slow() {
    return this.state === "sending" && Date.now() - this.#moved > SLOW_MS;
  }

  get secondsLeft() {
    return this.speed > 0 ? (this.file.size - this.sent) / this.speed : Infinity;
  }

  /** Its address on the server, once it has one; from then on nothing that arrived is sent twice. */
  get url() {
    return this.#memory?.read().url ?? null;
  }

  get resumes() {
    return this.url !== null;
  }

  get waitsForRoom() {
    return this.state === "deferred" && this.problem.status === 507;
  }

  /** What was begun with other options goes on with those. */
  get otherOptions() {
    return this.resumes && (this.#memory.read().recipe ?? "") !== this.recipe;
  }

  get attemptsLeft() {
    return Door === TusDoor ? Infinity : WAITS_S.length + 1 - this.attempt; // what resumes gets there, however long it takes
  }

  async send() {
    clearTimeout(this.#timer);
    this.attempt += 1;
    this.speed = 0;
    this.#sample = null;
    this.#moved = Date.now();
    const going = (this.#going = new AbortController());
    const ours = () => this.#going === going;
    this.#become("sending");
    try {
      const job = await this.#attempted(going.signal, ours);
      if (ours()) this.#done(job);
    } catch (error) {
      if (ours()) await this.#failed(error, ours);
    }
  }

  /** It may be sent, unless there is a problem: then a person may try all the same. With a Later it is tried by itself. */
  quoted(words, error = null) {
    this.quote = words;
    if (this.state !== "waiting") return;
    if (error instanceof Later) this.#defer(error);
    else if (error) this.#refuse(error);
    else this.#become("waiting");
  }

  pause() {
    this.#drop();
    this.#become("paused");
  }

  cancel() {
    this.#drop();
    if (this.state !== "elsewhere") this.#discard();
    this.#letGo();
    this.#become("cancelled");
  }

  /** A person wants no other round after a refusal. */
  leave() {
    this.#discard();
  }

  /** Another round: a person asks for it after a pause or a refusal, or the time has come. */
  again() {
    clearTimeout(this.#timer);
    this.attempt = 0;
    this.#furthest = 0;
    this.problem = null;
    this.#become("waiting");
  }

  /** The network is back, or the page is seen again: no need to wait out the rest. */
  hurry() {
    if (this.state === "retrying") this.send();
    else if (this.state === "deferred" && Date.now() >= this.retryAt) this.again(); // a frozen page's timers are late
  }

  /** Once a second, and never trusted to come: a page in the background is woken seldom. */
  tick() {
    const still = Date.now() - this.#moved;
    if (this.state === "sending" && still > STALL_MS) this.#connectionLost("No byte has moved for a while");
    else if (this.state === "finishing" && still > FINISH_MS) this.#connectionLost("The server has not answered");
    else if (this.busy) this.onChange(this, { changed: false });
  }

  async #attempted(signal, ours) {
    this.#memory ??= new Memory(await fingerprint(this.file));
    const job = this.#release ? null : await this.#alone(signal, ours);
    if (job) return job;
    if (!(this.#door instanceof Door)) this.#door = new Door(this.file, this.recipe, this.#memory);
    try {
      return await this.#door.send({
        signal,
        onOffset: (bytes) => ours() && this.#stored(bytes),
        onProgress: (bytes) => ours() && this.#progress(bytes),
        onSent: () => ours() && this.#allSent(),
      });
    } catch (error) {
      if (!(error instanceof NoDoor) || !ours()) throw error;
      Door = FormDoor;
      return this.#attempted(signal, ours);
    }
  }

  /** Comes when no other tab sends this file; with the job, when one did meanwhile. */
  async #alone(signal, ours) {
    let waited = false;
    const onWait = () => {
      waited = true;
      if (ours()) this.#become("elsewhere");
    };
    const release = await holdAlone(this.#memory.name, { signal, onWait });
    if (!ours()) {
      release();
      throw new Lost("dropped");
    }
    this.#release = release;
    if (!waited) return null;
    const { job, recipe } = this.#memory.read();
    if (job && recipe === this.recipe) return job;
    this.#moved = Date.now();
    this.#become("sending");
    return null;
  }

  #stored(bytes) {
    if (bytes <= this.#furthest) return;
    this.#furthest = bytes;
    this.attempt = 1;
  }

  #progress(bytes) {
    if (this.state !== "sending") return;
    const now = performance.now();
    if (bytes !== this.sent) this.#moved = Date.now();
    this.sent = bytes;
    if (!this.resumes && bytes >= this.#furthest + FURTHER_BYTES) {
      this.#furthest = bytes;
      this.attempt = 1; // a line that breaks now and then is no line that lets nothing through
    }
    if (!this.#sample || bytes < this.#sample.sent) this.#sample = { at: now, sent: bytes };
    const elapsed = (now - this.#sample.at) / 1000;
    if (elapsed >= 0.4) {
      const speed = (bytes - this.#sample.sent) / elapsed;
      const weight = 1 - Math.exp(-elapsed / 3); // what was 3 s ago counts a third
      this.speed = this.speed ? this.speed + weight * (speed - this.speed) : speed;
      this.#sample = { at: now, sent: bytes };
    }
    this.onChange(this, { changed: false });
  }

  #allSent() {
    if (this.state !== "sending") return;
    this.sent = this.file.size;
    this.#moved = Date.now();
    this.#become("finishing");
  }

  #done(job) {
    this.#memory.finish(this.recipe, job);
    this.#letGo();
    this.sent = this.file.size;
    this.job = job;
    this.#become("done");
  }

  async #failed(error, ours) {
    if (error instanceof Problem) return this.#refuse(error);
    if (error instanceof Later && error.afterS >= LONG_S) return this.#defer(error);
    if (error instanceof Later) {
      if (error.free) this.attempt -= 1;
      return this.#later(error.problem, error.afterS);
    }
    if (!(error instanceof Lost || error instanceof DOMException)) throw error;
    const still = await readable(this.file);
    if (!ours()) return;
    if (still) return this.#connectionLost("The connection was lost");
    this.#refuse(
      new Problem({
        title: "The file cannot be read any more",
        detail: "It was changed, moved or deleted on this device while it was being sent.",
        hint: "Choose it again.",
      }),
    );
  }

  #connectionLost(what) {
    this.#later(
      new Problem({
        title: what,
        detail: this.resumes ? "The upload goes on by itself, from where it was." : "The upload starts again from its beginning by itself.",
        hint: navigator.onLine ? "" : "This device is offline.",
      }),
    );
  }

  #later(problem, atLeastS = 0) {
    this.#drop();
    if (this.attemptsLeft <= 0) {
      this.#refuse(
        new Problem({
          title: "The upload did not get through",
          detail: `${problem.title} – ${this.attempt} times in a row.`,
          hint: problem.hint || "Check the connection to the server, then try again. Nothing is lost: the file is still on this device.",
        }),
      );
      return;
    }
    const usual = WAITS_S[Math.min(this.attempt, WAITS_S.length) - 1] ?? 0;
    const wait = Math.max(usual * (0.75 + Math.random() / 4), atLeastS); // many phones lose the same network at once
    this.problem = problem;
    this.retryAt = Date.now() + wait * 1000;
    this.#timer = setTimeout(() => this.send(), wait * 1000);
    this.#become("retrying");
  }

  #defer({ problem, afterS }) {
    this.#drop();
    this.problem = problem;
    this.retryAt = Date.now() + afterS * 1000;
    this.#timer = setTimeout(() => this.again(), Math.min(afterS * 1000, LONGEST_MS));
    this.#become("deferred");
  }

  #refuse(problem) {
    this.#drop();
    this.#letGo();
    if (!this.resumes) this.#memory?.forget();
    this.problem = problem;
    this.#become("refused");
  }

  #drop() {
    clearTimeout(this.#timer);
    const going = this.#going;
    this.#going = null; // first: what its end says is then nobody's
    going?.abort();
  }

  #discard() {
    this.#door?.discard();
    this.#memory?.forget();
  }

  #letGo() {
    this.#release?.();
    this.#release = null;
  }

  #become(state) {
    this.state = state;
    if (state === "sending") this.problem = null;
    this.onChange(this, { changed: true });
  }
}

/** Whether the picked file still is what was picked: browsers say "network error" when it is not. */
async function readable(file) {
  try {
    await file.slice(0, 1).arrayBuffer();
    return true;
  } catch {
    return false;
  }
}
