// The way in where the server has none that resumes: the whole file in one request, from its beginning after each loss.

import { Problem, parsed } from "./api.js";
import { Later, refusal } from "./doors.js";
import { exchange } from "./exchange.js";

const HELD_WAIT_S = 5;
const HELD = new Problem({
  title: "The server still waits for what was sent before",
  detail: "It lets go of a connection that is gone within about a minute. Then the upload starts again by itself.",
});

export class FormDoor {
  resumes = false;

  constructor(file, recipe, memory) {
    Object.assign(this, { file, recipe, memory });
  }

  /** One attempt. Comes with the job. Raises Lost, Later, or a Problem that ends it. */
  async send({ signal, onProgress, onSent }) {
    const query = new URLSearchParams(this.recipe);
    query.set("filename", this.file.name);
    const headers = { "Content-Type": this.file.type || "application/octet-stream", "Idempotency-Key": this.memory.key(this.recipe) };
    onProgress(0);
    const answer = await exchange("PUT", `/upload?${query}`, { headers, body: this.file, signal, onProgress, onSent });
    const job = parsed(answer.text);
    if (answer.status >= 200 && answer.status < 300 && job?.job_id) return job;
    const why = refusal(answer);
    // The one before still counts as under way: this was no failure.
    if (why.problem?.code === "in_flight") throw new Later(HELD, { afterS: HELD_WAIT_S, free: true });
    throw why;
  }

  /** Nothing stays behind on the server. */
  async discard() {}
}
