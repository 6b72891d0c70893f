// What a take will take, asked before its first byte: how long it uploads and is worked on, when its first post goes out,
// and whether there is room for it. All of it is a guess, and says so.

import { Problem, request } from "./api.js";
import { Later } from "./doors.js";
import { Memory, fingerprint } from "./memory.js";
import { now } from "./now.js";
import { moment, span } from "./words.js";

const LOOK_MS = 3_000; // for the browser to read the head of a file
const ANSWER_MS = 4_000; // then it is sent without a quote
const RATE = "vidprod.rate";
const KEEP_RATE_MS = 7 * 24 * 3600 * 1000;
const LEAST_BYTES = 1 << 20; // less says nothing of a line
const LEAST_WAIT_S = 60;

/**
 * What is known of a file that shall be sent: a line of words, "" where nobody answers. Raises Later when there will be
 * room for it, a Problem when there is none.
 */
export async function ask(file, query) {
  if (!navigator.onLine || !file.size || (await isBegun(file))) return "";
  const asked = new URLSearchParams(query);
  const known = { size: file.size, ...(await looked(file)), rate: lastRate() };
  for (const [name, value] of Object.entries(known)) {
    if (value) asked.set(name, value);
  }
  const quote = await within(ANSWER_MS, request("GET", `/v1/quote?${asked}`).catch(() => null));
  if (quote && !quote.fits) throw refusal(quote);
  return quote ? inWords(quote) : ""; // without one the upload itself says what is wrong, better than a guess
}

/** What an upload came to, in bytes a second: the next is guessed by it. */
export function measured({ file, speed }) {
  if (file.size < LEAST_BYTES || !(speed > 0)) return;
  try {
    localStorage.setItem(RATE, JSON.stringify({ speed: Math.round(speed), at: Date.now() }));
  } catch {
    // storage is full or forbidden: then nothing is guessed
  }
}

/** What was begun has its room already. */
async function isBegun(file) {
  try {
    return Boolean(new Memory(await fingerprint(file)).read().url);
  } catch {
    return false; // it cannot be read: the upload will say so
  }
}

/** Length and size of the picture, as far as this browser can tell: not every one reads what phones record. */
function looked(file) {
  const video = document.createElement("video");
  const url = URL.createObjectURL(file);
  const seen = new Promise((resolve) => {
    video.addEventListener("loadedmetadata", () => {
      const { duration, videoWidth, videoHeight } = video;
      resolve({ duration_s: Number.isFinite(duration) ? duration : 0, width: videoWidth, height: videoHeight });
    });
    video.addEventListener("error", () => resolve({}));
  });
  video.preload = "metadata";
  video.muted = true;
  video.src = url;
  return within(LOOK_MS, seen).then((found) => {
    video.removeAttribute("src");
    URL.revokeObjectURL(url);
    return found ?? {};
  });
}

/** What `promise` gives, or null when it takes too long. */
function within(ms, promise) {
  return Promise.race([promise, new Promise((resolve) => setTimeout(() => resolve(null), ms))]);
}

function lastRate() {
  try {
    const { speed, at } = JSON.parse(localStorage.getItem(RATE)) ?? {};
    return Date.now() - at < KEEP_RATE_MS ? speed : 0;
  } catch {
    return 0;
  }
}

function inWords({ upload_s, processing_s, processing_low_s, processing_high_s, first_post_at, first_post_needs_approval, basis }) {
  const parts = [];
  if (upload_s !== null) parts.push(`${span(upload_s)} to upload`);
  const [low, high] = [span(processing_low_s), span(processing_high_s)];
  parts.push(processing_high_s > 2 * processing_low_s && low !== high ? `${low} to ${high} to make` : `${span(processing_s)} to make`);
  if (first_post_at) parts.push(`first post ${moment(first_post_at)}${first_post_needs_approval ? " if you approve it" : ""}`);
  const guess = basis.jobs ? "" : " Nothing like it was made here yet: that is a rough guess.";
  return `About ${parts.join(", ")}.${guess}`;
}

function refusal({ refusal: detail, fits_at }) {
  const hint = fits_at ? "Deleting finished takes makes room at once." : "Deleting finished takes, or a larger volume, makes room.";
  const problem = new Problem({ title: "There is no room for it", detail, hint, status: 507, code: "quote" });
  return fits_at ? new Later(problem, { afterS: Math.max(LEAST_WAIT_S, (Date.parse(fits_at) - now()) / 1000) }) : problem;
}
