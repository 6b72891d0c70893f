// What both ways in to the server say when an attempt ends without a job.

import { problemFrom } from "./api.js";

const AGAIN = new Set([0, 408, 409, 423, 425, 429, 500, 502, 503, 504]);

/** The server is there and may take it later. */
export class Later extends Error {
  /** `free`: no failure, so it does not count as an attempt. */
  constructor(problem, { afterS = 0, free = false } = {}) {
    super(problem.title);
    Object.assign(this, { problem, afterS, free });
  }
}

/** The server has no such door. */
export class NoDoor extends Error {}

/** An answer that is none of the good ones, as what is to be raised: Later, or a Problem that ends the upload. */
export function refusal({ status, text, header }) {
  const problem = problemFrom(status, text);
  return AGAIN.has(status) ? new Later(problem, { afterS: Number(header("Retry-After")) || 0 }) : problem;
}
