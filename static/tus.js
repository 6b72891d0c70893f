// The way in that resumes: a small client of tus 1.0 (core, creation, termination; https://tus.io/protocols/resumable-upload).

import { Problem } from "./api.js";
import { Later, NoDoor, refusal } from "./doors.js";
import { exchange } from "./exchange.js";

const FILES = "/files/";
const PART_BYTES = 8 << 20; // proxies refuse long bodies and end long requests; what a cut part had sent is kept anyway
const VERSION = { "Tus-Resumable": "1.0.0" };
const GONE = new Set([404, 410]);

export class TusDoor {
  resumes = true;
  #offset = 0;

  constructor(file, recipe, memory) {
    Object.assign(this, { file, recipe, memory });
  }

  /**
   * One attempt: asks how far it is, or makes the upload, then sends the rest part by part. Comes with the job.
   * `onOffset(bytes)`: so many are stored. `onProgress(bytes)`: so many are on their way or stored.
   * Raises Lost, Later, NoDoor, or a Problem that ends it.
   */
  async send({ signal, onOffset, onProgress, onSent }) {
    const at = (offset) => {
      this.#offset = offset;
      onOffset(offset);
      onProgress(offset);
    };
    if (!this.file.size) throw new Problem({ title: "The file is empty", detail: "There is nothing in it to upload." });
    let answer = (await this.#found(signal)) ?? (await this.#made(signal));
    at(offsetOf(answer));
    while (this.#offset < this.file.size) {
      answer = await this.#part(signal, onProgress, onSent);
      at(offsetOf(answer));
      this.memory.touch();
    }
    const job = answer.header("VidProd-Job");
    if (!job) throw new Later(new Problem({ title: "All is sent, but the server has not said what became of it" }));
    return { job_id: job, status_url: `/status/${job}` };
  }

  /** The server may forget what it has. When it cannot be told, it expires there. */
  async discard() {
    const { url } = this.memory.read();
    if (url) await fetch(url, { method: "DELETE", headers: VERSION, keepalive: true }).catch(() => {});
  }

  /** The answer of an upload that is there already, or null. */
  async #found(signal) {
    const { url } = this.memory.read();
    if (!url) return null;
    const answer = await exchange("HEAD", url, { headers: VERSION, signal });
    if (GONE.has(answer.status)) {
      this.memory.forget();
      return null;
    }
    if (answer.status !== 200) throw refusal(answer);
    const length = answer.header("Upload-Length");
    if (length === null || Number(length) === this.file.size) return answer;
    this.memory.forget();
    return null;
  }

  async #made(signal) {
    const headers = {
      ...VERSION,
      "Upload-Length": String(this.file.size),
      "Upload-Metadata": metadata([["filename", this.file.name], ...new URLSearchParams(this.recipe)]),
      "Idempotency-Key": this.memory.key(this.recipe),
    };
    const answer = await exchange("POST", FILES, { headers, signal });
    const location = answer.header("Location");
    if ([404, 405, 501].includes(answer.status)) throw new NoDoor();
    if (![200, 201].includes(answer.status) || !location) throw refusal(answer);
    // The path alone: behind a proxy the server may not know by which scheme and name it was asked.
    this.memory.write({ url: new URL(location, document.baseURI).pathname });
    return answer;
  }

  async #part(signal, onProgress, onSent) {
    const start = this.#offset;
    const end = Math.min(start + PART_BYTES, this.file.size);
    const answer = await exchange("PATCH", this.memory.read().url, {
      headers: { ...VERSION, "Upload-Offset": String(start), "Content-Type": "application/offset+octet-stream" },
      body: this.file.slice(start, end),
      signal,
      onProgress: (sent) => onProgress(Math.min(start + sent, end)),
      onSent: end === this.file.size ? onSent : null,
    });
    if (answer.status === 204 || answer.status === 200) return answer;
    if (GONE.has(answer.status)) {
      this.memory.forget();
      throw new Later(new Problem({ title: "The server has forgotten this upload", detail: "It starts again by itself." }));
    }
    throw refusal(answer);
  }
}

function offsetOf(answer) {
  return Number(answer.header("Upload-Offset") ?? 0);
}

/** tus 1.0, "Upload-Metadata": keys and base64 of the values. */
function metadata(pairs) {
  return pairs.map(([name, value]) => (value === "" ? name : `${name} ${base64(value)}`)).join(",");
}

function base64(text) {
  return btoa(String.fromCharCode(...new TextEncoder().encode(text)));
}
