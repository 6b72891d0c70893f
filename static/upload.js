// One upload: bytes to the server, again after a lost connection, with one key so that no repeat makes a second job.
//
//   waiting → sending → finishing → done
//      │         │ └───────┴──→ retrying → sending
//      │         ├──────────────→ refused (a person may try again)
//      └─────────┴──────────────→ cancelled

import { Problem, parsed, problemFrom } from "./api.js";

const STALL_MS = 30_000; // no byte moves for so long: the connection is dead, whatever it says
const FINISH_MS = 120_000; // all bytes are sent, the answer does not come
const SLOW_MS = 6_000; // no byte moves: say so
const WAITS_S = [1, 2, 4, 8, 15, 30]; // between attempts that got no further
const HELD_WAIT_S = 5;
const FURTHER_BYTES = 8 << 20; // fewer may only have gone into this device's own buffers
const TRY_AGAIN = new Set([0, 408, 409, 425, 429, 500, 502, 503, 504]);
const HELD = new Problem({
  title: "The server still waits for what was sent before",
  detail: "It lets go of a connection that is gone within about a minute. Then the upload starts again by itself.",
});
const KEEP_KEY_MS = 24 * 3600 * 1000; // the server remembers answers for a day

export class Upload {
  state = "waiting";
  sent = 0;
  speed = 0; // bytes a second, smoothed
  attempt = 0;
  problem = null;
  retryAt = 0;
  job = null; // {job_id, status_url} once the server has it
  #xhr = null;
  #furthest = 0; // bytes of the attempt that got furthest
  #moved = 0;
  #sample = null;
  #timer = 0;

  constructor(file, recipe, onChange) {
    this.file = file;
    this.recipe = recipe;
    this.onChange = onChange;
    this.memory = `vidprod.upload.${file.name}|${file.size}|${file.lastModified}|${recipe}`;
    this.key = rememberedKey(this.memory);
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

  get attemptsLeft() {
    return WAITS_S.length + 1 - this.attempt;
  }

  send() {
    clearTimeout(this.#timer);
    this.attempt += 1;
    this.sent = 0;
    this.speed = 0;
    this.#sample = null;
    this.#moved = Date.now();
    const xhr = (this.#xhr = new XMLHttpRequest());
    const query = new URLSearchParams(this.recipe);
    query.set("filename", this.file.name);
    xhr.open("PUT", `/upload?${query}`);
    xhr.setRequestHeader("Accept", "application/json");
    xhr.setRequestHeader("Content-Type", this.file.type || "application/octet-stream");
    xhr.setRequestHeader("Idempotency-Key", this.key);
    xhr.upload.addEventListener("progress", (event) => this.#progress(event.loaded));
    xhr.upload.addEventListener("load", () => this.#allSent(xhr));
    xhr.addEventListener("load", () => this.#answered(xhr));
    // An abort that nobody here asked for (a phone's browser does that) is a lost connection, not a wish.
    for (const end of ["error", "abort", "timeout"]) xhr.addEventListener(end, () => this.#lost(xhr));
    xhr.send(this.file);
    this.#become("sending");
  }

  cancel() {
    this.#drop();
    forget(this.memory);
    this.#become("cancelled");
  }

  /** A person asks for another round after a refusal. */
  again() {
    this.attempt = 0;
    this.#furthest = 0;
    this.problem = null;
    this.#become("waiting");
  }

  /** The network is back: no need to wait out the rest. */
  hurry() {
    if (this.state === "retrying") this.send();
  }

  /** Once a second, and never trusted to come: a page in the background is woken seldom. */
  tick() {
    const still = Date.now() - this.#moved;
    if (this.state === "sending" && still > STALL_MS) this.#connectionLost("No byte has moved for a while");
    else if (this.state === "finishing" && still > FINISH_MS) this.#connectionLost("The server has not answered");
    else if (this.busy) this.onChange(this, { changed: false });
  }

  #progress(loaded) {
    if (this.state !== "sending") return;
    const now = performance.now();
    if (loaded > this.sent) this.#moved = Date.now();
    this.sent = loaded;
    if (loaded >= this.#furthest + FURTHER_BYTES) {
      this.#furthest = loaded;
      this.attempt = 1; // a line that breaks now and then is no line that lets nothing through
    }
    const sample = (this.#sample ??= { at: now, sent: loaded });
    const elapsed = (now - sample.at) / 1000;
    if (elapsed >= 0.4) {
      const speed = (loaded - sample.sent) / elapsed;
      const weight = 1 - Math.exp(-elapsed / 3); // what was 3 s ago counts a third
      this.speed = this.speed ? this.speed + weight * (speed - this.speed) : speed;
      this.#sample = { at: now, sent: loaded };
    }
    this.onChange(this, { changed: false });
  }

  #allSent(xhr) {
    if (xhr !== this.#xhr || this.state !== "sending") return;
    this.sent = this.file.size;
    this.#moved = Date.now();
    this.#become("finishing");
  }

  #answered(xhr) {
    if (xhr !== this.#xhr) return;
    this.#xhr = null;
    const answer = parsed(xhr.responseText);
    if (xhr.status >= 200 && xhr.status < 300 && answer?.job_id) {
      forget(this.memory);
      this.sent = this.file.size;
      this.job = answer;
      this.#become("done");
      return;
    }
    const problem = problemFrom(xhr.status, xhr.responseText);
    if (problem.code === "in_flight") {
      this.attempt -= 1; // the one before still counts as under way: this was no failure
      this.#later(HELD, HELD_WAIT_S);
    } else if (TRY_AGAIN.has(xhr.status)) this.#later(problem, Number(xhr.getResponseHeader("Retry-After")) || 0);
    else this.#refuse(problem);
  }

  async #lost(xhr) {
    if (xhr !== this.#xhr) return;
    this.#xhr = null;
    if (!(await readable(this.file))) {
      this.#refuse(
        new Problem({
          title: "The file cannot be read any more",
          detail: "It was changed, moved or deleted on this device while it was being sent.",
          hint: "Choose it again.",
        }),
      );
      return;
    }
    if (this.state === "sending" || this.state === "finishing") this.#connectionLost("The connection was lost");
  }

  #connectionLost(what) {
    this.#later(
      new Problem({
        title: what,
        detail: "The upload starts again from its beginning by itself.",
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
    const wait = Math.max(WAITS_S[this.attempt - 1] ?? 0, atLeastS);
    this.problem = problem;
    this.retryAt = Date.now() + wait * 1000;
    this.#timer = setTimeout(() => this.send(), wait * 1000);
    this.#become("retrying");
  }

  #refuse(problem) {
    this.#drop();
    forget(this.memory);
    this.problem = problem;
    this.#become("refused");
  }

  #drop() {
    clearTimeout(this.#timer);
    const xhr = this.#xhr;
    this.#xhr = null; // first: its abort event is then nobody's
    xhr?.abort();
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

// The key outlives the page. When a tab dies between the last byte and the answer, picking the same file again
// returns the job that exists instead of making a second one. An answer, a refusal or a cancel ends it.

function rememberedKey(memory) {
  const now = Date.now();
  try {
    sweep(now);
    const known = parsed(localStorage.getItem(memory));
    if (known) return known.key;
    const key = freshKey();
    localStorage.setItem(memory, JSON.stringify({ key, at: now }));
    return key;
  } catch {
    return freshKey(); // storage is full or forbidden
  }
}

function sweep(now) {
  for (const name of Object.keys(localStorage)) {
    if (!name.startsWith("vidprod.upload.")) continue;
    const known = parsed(localStorage.getItem(name));
    if (!known || now - known.at > KEEP_KEY_MS) localStorage.removeItem(name);
  }
}

function forget(memory) {
  try {
    localStorage.removeItem(memory);
  } catch {
    // forbidden: then nothing was remembered
  }
}

// Not crypto.randomUUID: it does not exist on a plain http:// address in the local network.
function freshKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
