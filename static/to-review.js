// The takes with segments that wait to be kept, kept true by events.

import { request } from "./api.js";

const LOOK_AGAIN_MS = 250;
const CONCERNS = new Set(["segment.ready", "segment.kept", "segment.dropped", "segment.restored", "media.pruned", "job.deleted"]);

class ToReview {
  takes = []; // {job_id, filename, segments, since}, the newest first
  segments = 0;
  #listeners = [];
  #timer = 0;
  #asked = 0;

  onChange(listener) {
    this.#listeners.push(listener);
  }

  event({ type }) {
    if (!CONCERNS.has(type)) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.look(), LOOK_AGAIN_MS);
  }

  async look() {
    const asked = ++this.#asked;
    try {
      const { takes, segments } = await request("GET", "/v1/review");
      if (asked !== this.#asked) return;
      Object.assign(this, { takes, segments });
      for (const listener of this.#listeners) listener();
    } catch {
      // the connection is gone, and its return brings a resync
    }
  }
}

export const toReview = new ToReview();
