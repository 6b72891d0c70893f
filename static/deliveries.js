// What was sent to one endpoint: each event, each attempt and what came back, and sending it again.

import { request } from "./api.js";
import { announce } from "./announce.js";
import { h, icon, setHidden, setText, whileBusy } from "./dom.js";
import { MomentField } from "./moment-field.js";
import { now } from "./now.js";
import { problemBox } from "./problem.js";
import { count, when } from "./words.js";
import { here } from "./zones.js";

const PAGE = 20;
const LOOK_AGAIN_MS = 1_500;
const UNDER_WAY_MS = 600;
const SOON_MS = 2_000; // by then it was tried, also where an answer took a while to come here
const STATE = { pending: "Waiting", delivered: "Delivered", failed: "Failed" };

export class Deliveries {
  #rows = new Map(); // delivery id → row
  #cursor = null;
  #timer = 0;
  #open = false;

  constructor(endpoint, { name }) {
    this.id = endpoint.id;
    this.name = name;
    this.element = h("div", { class: "fold-body" });
    this.#build();
  }

  /** Loaded while it is to be seen. */
  open(isOpen) {
    this.#open = isOpen;
    if (isOpen) this.load();
    else clearTimeout(this.#timer);
  }

  /** Something happened: soon there is something new to see. */
  stir(afterMs = LOOK_AGAIN_MS) {
    if (!this.#open) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.load(), afterMs);
  }

  async load() {
    try {
      const { deliveries, next_cursor: cursor } = await this.#page(null);
      for (const row of this.#rows.values()) if (row.state !== this.state.value && this.state.value) row.element.remove();
      this.#put(deliveries, { first: true });
      if (this.#rows.size <= PAGE) this.#cursor = cursor;
      setHidden(this.more, this.#cursor === null);
      this.#problem(null);
      if (deliveries.some(isUnderWay)) this.stir(UNDER_WAY_MS);
    } catch (problem) {
      this.#problem(problem);
    }
  }

  async #older() {
    try {
      const { deliveries, next_cursor: cursor } = await this.#page(this.#cursor);
      this.#cursor = cursor;
      this.#put(deliveries, { first: false });
      setHidden(this.more, cursor === null, this.list);
      announce(`${count(deliveries.length, "older delivery").replace(/ys$/, "ies")} shown.`);
    } catch (problem) {
      this.#problem(problem);
    }
  }

  #page(cursor) {
    const query = new URLSearchParams({ limit: PAGE });
    if (this.state.value) query.set("state", this.state.value);
    if (cursor) query.set("cursor", cursor);
    return request("GET", `/v1/endpoints/${this.id}/deliveries?${query}`);
  }

  #put(deliveries, { first }) {
    let before = first ? this.list.firstElementChild : null;
    for (const delivery of deliveries) {
      const known = this.#rows.get(delivery.id);
      if (known) {
        known.show(delivery);
        if (known.element === before) before = before.nextElementSibling;
        else if (!known.element.isConnected) this.list.insertBefore(known.element, before);
        continue;
      }
      const row = new DeliveryRow(delivery, { of: this.name, again: () => this.load() });
      this.#rows.set(delivery.id, row);
      this.list.insertBefore(row.element, before);
    }
    setHidden(this.none, this.list.children.length > 0);
  }

  async #replay() {
    const [from, to] = [this.from.value, this.to.value];
    if (!from || !to) return this.#problem({ title: "Choose from when to when" });
    try {
      const { replayed } = await request("POST", `/v1/endpoints/${this.id}/replay`, { from, to });
      setText(this.replayed, `${count(replayed, "event")} will be sent again.`);
      announce(this.replayed.textContent);
      await this.load();
    } catch (problem) {
      this.#problem(problem);
      announce(problem.words);
    }
    return undefined;
  }

  #problem(problem) {
    this.trouble.replaceChildren(...(problem ? [problemBox(problem)] : []));
  }

  #build() {
    const states = [["", "All"], ["pending", "Waiting"], ["delivered", "Delivered"], ["failed", "Failed"]];
    const stateId = `${this.id}-shown`;
    this.state = h("select", { id: stateId, onchange: () => this.#choose() }, ...states.map(([value, words]) => h("option", { value }, words)));
    this.list = h("ol", { class: "delivery-list", "aria-label": `Deliveries to ${this.name}`, tabindex: "-1" });
    this.none = h("p", { class: "help", hidden: true }, "Nothing was sent yet.");
    this.trouble = h("div", { class: "trouble" });
    this.more = h("button", { class: "button", type: "button", hidden: true, "aria-label": `Show older deliveries to ${this.name}`, onclick: () => whileBusy(this.more, () => this.#older()) }, "Show older");
    this.from = new MomentField({ id: `${this.id}-from`, label: "Everything from", zone: here() });
    this.to = new MomentField({ id: `${this.id}-to`, label: "to", zone: here() });
    this.replayed = h("p", { class: "help" });
    const send = h("button", { class: "button", type: "submit", "aria-label": `Send again what ${this.name} was sent in that time` }, icon("again"), h("span", {}, "Send again"));
    const range = h(
      "form",
      {
        class: "settings",
        "aria-label": `Send again to ${this.name}`,
        autocomplete: "off",
        novalidate: true,
        onsubmit: (event) => {
          event.preventDefault();
          whileBusy(send, () => this.#replay());
        },
      },
      h("div", { class: "pair" }, this.from.element, this.to.element),
      h("div", { class: "save" }, send, this.replayed),
    );
    this.element.append(
      h("div", { class: "field" }, h("label", { for: stateId }, "Shown", h("span", { class: "sr-only" }, ` of what was sent to ${this.name}`)), this.state),
      this.trouble,
      this.none,
      this.list,
      this.more,
      range,
    );
  }

  #choose() {
    this.#rows.clear();
    this.list.replaceChildren();
    this.#cursor = null;
    this.load();
  }
}

class DeliveryRow {
  #shownAttempts = -1;

  constructor(delivery, { of, again }) {
    this.id = delivery.id;
    this.again = again;
    this.type = h("span", { class: "line-name" }, delivery.event_type);
    this.time = h("span", { class: "line-time" }, when(delivery.created_at));
    this.chip = h("span", { class: "chip" });
    this.summary = h("summary", { class: "line-main" }, this.time, this.type, this.chip);
    this.next = h("p", { class: "help" });
    this.attempts = h("ol", { class: "attempts" });
    this.trouble = h("div", { class: "trouble" });
    const what = `${delivery.event_type} of ${when(delivery.created_at)} to ${of}, ${delivery.id.slice(-4)}`;
    this.replay = h(
      "button",
      { class: "button", type: "button", "aria-label": `Send again: ${what}`, onclick: () => whileBusy(this.replay, () => this.#replay()) },
      icon("again"),
      (this.replayWords = h("span", {}, "Send again")),
    );
    this.fold = h("details", { class: "line", ontoggle: () => this.#load() }, this.summary, this.next, this.attempts, this.trouble, this.replay);
    this.element = h("li", {}, this.fold);
    this.show(delivery);
  }

  show(delivery) {
    this.delivery = delivery;
    this.state = delivery.state;
    const { state, attempt, run_at: next } = delivery;
    const failing = state === "pending" && attempt > 0 && !isUnderWay(delivery);
    this.fold.dataset.tone = state === "failed" ? "bad" : state === "delivered" ? "good" : failing ? "ask" : "";
    setText(this.chip, failing ? "Tried again" : STATE[state]);
    setText(this.next, failing ? `${count(attempt, "attempt")}, the next one ${when(next)}.` : "");
    setHidden(this.next, !this.next.textContent);
    setText(this.replayWords, state === "pending" ? "Send now" : "Send again");
    this.#load();
  }

  async #load() {
    if (!this.fold.open || this.#shownAttempts === this.delivery.attempt) return;
    this.#shownAttempts = this.delivery.attempt;
    try {
      const { attempts } = await request("GET", `/v1/deliveries/${this.id}`);
      this.attempts.replaceChildren(...attempts.map(attemptWords));
    } catch (problem) {
      this.#shownAttempts = -1;
      this.trouble.replaceChildren(problemBox(problem));
    }
  }

  async #replay() {
    this.trouble.replaceChildren();
    try {
      await request("POST", `/v1/deliveries/${this.id}/replay`);
      announce("It is sent again.");
      this.#shownAttempts = -1;
      this.again();
    } catch (problem) {
      this.trouble.replaceChildren(problemBox(problem));
      announce(problem.words);
    }
  }
}

/** Whether it is on its way now, also for another time: soon there is an answer. */
function isUnderWay({ state, run_at: at }) {
  return state === "pending" && Date.parse(at) <= now() + SOON_MS;
}

/** "10:32: it answered 500, 12 ms", and its first bytes. */
export function attemptWords({ at, took_ms: took, status, error, answer }) {
  const ended = error || `it answered ${status}`;
  return h("li", {}, `${when(at)}: ${ended}, ${took}\u00a0ms`, answer && h("code", { class: "code" }, answer));
}
