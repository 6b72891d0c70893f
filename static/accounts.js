// What is known of accounts, logins and the switch that stops all publishing. The server's answer is the truth; an event
// says "look again".

import { request } from "./api.js";
import { announce } from "./announce.js";
import { setClock } from "./now.js";
import { platformName } from "./publication-words.js";

const LOOK_AGAIN_MS = 120;

class Accounts {
  list = [];
  logins = [];
  pausedAt = null;
  held = null; // why, where it is more than a pause
  loaded = false;
  problem = null;
  #listeners = [];
  #loading = null;
  #again = false;
  #timer = 0;
  #nowKnown;

  /** Comes when the first question was answered, or could not be. */
  known = new Promise((resolve) => (this.#nowKnown = resolve));

  onChange(listener) {
    this.#listeners.push(listener);
  }

  get(id) {
    return this.list.find((account) => account.id === id) ?? null;
  }

  /** Those that something can be published to. */
  get connected() {
    return this.list.filter((account) => account.state !== "disconnected");
  }

  /** Asks now, or again after the question under way. */
  load() {
    if (this.#loading) this.#again = true;
    this.#loading ??= this.#load().finally(() => {
      this.#loading = null;
      if (!this.#again) return undefined;
      this.#again = false;
      return this.load();
    });
    return this.#loading;
  }

  event({ type, data }) {
    const account = this.get(data?.account_id);
    const name = account ? `${account.name} on ${platformName(account.platform)}` : "An account";
    if (type === "account.needs_reauth") announce(`${name} needs to be connected again.`);
    if (type === "account.expiring") announce(`${name} has to be connected again soon.`);
    this.#soon();
  }

  /** What TikTok lets posts of an account be at this moment. */
  choices(id) {
    return request("GET", `/v1/accounts/${id}/choices`);
  }

  /** One account as an answer has it. */
  put(account) {
    const place = this.list.findIndex((one) => one.id === account.id);
    if (place < 0) this.list = [...this.list, account];
    else this.list = this.list.with(place, account);
    this.#tell();
  }

  setPaused(at) {
    this.pausedAt = at;
    this.#tell();
  }

  #soon() {
    this.#timer ||= setTimeout(() => {
      this.#timer = 0;
      this.load();
    }, LOOK_AGAIN_MS);
  }

  async #load() {
    try {
      const { accounts, logins, publishing, clock } = await request("GET", "/v1/accounts");
      setClock(clock);
      this.list = accounts;
      this.logins = logins;
      this.pausedAt = publishing.paused_at;
      this.held = publishing.held ?? null;
      this.problem = null;
      this.loaded = true;
    } catch (problem) {
      this.problem = problem;
    }
    this.#nowKnown();
    this.#tell();
  }

  #tell() {
    for (const listener of this.#listeners) listener();
  }
}

export const accounts = new Accounts();
