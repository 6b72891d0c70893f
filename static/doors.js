// What both ways in to the server say when an attempt ends without a job.

import { problemFrom } from "./api.js";

const AGAIN = new Set([0, 408, 409, 423, 425, 429, 500, 502, 503, 504]);
const NO_ROOM = 507; // to be asked again where the server says when there may be some

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
  const afterS = seconds(header("Retry-After"));
  return AGAIN.has(status) || (status === NO_ROOM && afterS) ? new Later(problem, { afterS }) : problem;
}

/** RFC 9110, 10.2.3: seconds or, from some proxies, a date. */
function seconds(said) {
  return Number(said) || Math.max(0, (Date.parse(said) - Date.now()) / 1000) || 0;
}
