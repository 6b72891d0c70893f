// The server's events, over one connection that comes back by itself.

import { request } from "./api.js";

const TYPES = [
  "upload.created",
  "upload.completed",
  "upload.expired",
  "upload.terminated",
  "video.stored",
  "job.created",
  "job.started",
  "job.completed",
  "job.failed",
  "job.cancelled",
  "job.retried",
  "job.deleted",
  "step.completed",
  "step.retrying",
  "step.discarded",
  "segment.planned",
  "segment.ready",
  "segment.remaking",
  "segment.remade",
  "segment.remake_failed",
  "segment.kept",
  "segment.dropped",
  "segment.restored",
  "segment.edited",
  "segment.cover",
  "media.pruned",
  "publication.scheduled",
  "publication.uploading",
  "publication.processing",
  "publication.published",
  "publication.rejected",
  "publication.cancelled",
  "publication.unknown",
  "publication.waiting",
  "publication.missed",
  "publication.approved",
  "publication.changed",
  "account.connected",
  "account.needs_reauth",
  "account.expiring",
  "account.paused",
  "account.resumed",
  "account.disconnected",
  "publishing.paused",
  "publishing.resumed",
  "endpoint.created",
  "endpoint.deleted",
  "endpoint.disabled",
  "endpoint.enabled",
  "endpoint.rotated",
  "endpoint.test",
  "backup.completed",
  "backup.failed",
  "backup.restored",
  "owner.created",
  "owner.forgotten",
  "owner.password_changed",
  "owner.authenticator_on",
  "owner.authenticator_off",
  "owner.recovery_codes_changed",
  "owner.signed_in",
  "owner.code_refused",
  "key.created",
  "key.rotated",
  "key.revoked",
  "system.pressure",
  "system.relieved",
];
const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 15_000;

/**
 * Calls `onOpen` each time the stream (re)opens: something may have been missed in between, also when the browser
 * resumed by its last event's id, because progress has none.
 */
export class Live {
  #source = null;
  #wait = FIRST_WAIT_MS;
  #timer = 0;

  constructor({ onOpen, onLost, onEvent, onProgress }) {
    Object.assign(this, { onOpen, onLost, onEvent, onProgress });
  }

  start() {
    clearTimeout(this.#timer);
    this.#source?.close();
    const source = (this.#source = new EventSource("/v1/events/stream"));
    source.addEventListener("open", () => {
      this.#wait = FIRST_WAIT_MS;
      this.onOpen();
    });
    source.addEventListener("error", () => this.#lost(source));
    for (const type of TYPES) source.addEventListener(type, (message) => hand(message, this.onEvent));
    source.addEventListener("progress", (message) => hand(message, this.onProgress));
  }

  get open() {
    return this.#source?.readyState === EventSource.OPEN;
  }

  #lost(source) {
    if (source !== this.#source) return;
    this.onLost();
    if (source.readyState !== EventSource.CLOSED) return; // the browser reconnects, with Last-Event-ID
    request("GET", "/v1/events?limit=1").catch(() => {}); // whoever was signed out is led away by this
    // An answer other than 200 (a proxy's 502, the server's 503 while it stops) ends an EventSource for good.
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.start(), this.#wait);
    this.#wait = Math.min(this.#wait * 2, LONGEST_WAIT_MS);
  }
}

function hand(message, take) {
  let data;
  try {
    data = JSON.parse(message.data);
  } catch {
    return; // half a message is no message
  }
  take(data);
}
