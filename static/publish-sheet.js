// Sending one segment somewhere by hand: to which account, when, and with what words.

import { announce } from "./announce.js";
import { accounts } from "./accounts.js";
import { h, named, setAttribute, setHidden, setText, whileBusy } from "./dom.js";
import { MomentField } from "./moment-field.js";
import { now } from "./now.js";
import { problemBox } from "./problem.js";
import { accountWords } from "./publication-words.js";
import { publications } from "./publications.js";
import { Sheet } from "./sheet.js";
import { nextSlots, parseSlots } from "./slots.js";
import { WordingForm } from "./wording.js";
import { momentWords } from "./zones.js";

const HOUR_MS = 3_600_000;
const FREE_AGAIN = new Set(["rejected", "cancelled"]);

let forms = 0;

export function openPublish(segment, { of, name }) {
  new PublishSheet(segment, { of, name }).sheet.open();
}

class PublishSheet {
  constructor(segment, { of, name }) {
    this.segment = segment;
    this.name = name;
    this.id = `publish-${++forms}`;
    const title = [`Publish segment ${segment.index + 1} of `, named(of)];
    this.sheet = new Sheet({ title, label: `publishing of ${name}` });
    this.sheet.body.append(this.#build());
    this.#choose();
  }

  get #account() {
    return accounts.get(this.account.value);
  }

  #build() {
    const taken = new Set(publications.ofSegment(this.segment.segment_id).filter(({ state }) => !FREE_AGAIN.has(state)).map((one) => one.account_id));
    const options = accounts.connected.map((one) =>
      h("option", { value: one.id, disabled: taken.has(one.id) }, `${accountWords(one)}${taken.has(one.id) ? " (goes there already)" : ""}`),
    );
    this.account = h("select", { id: `${this.id}-account`, onchange: () => this.#choose() }, ...options);
    const open = accounts.connected.filter((one) => !taken.has(one.id));
    const free = open.find((one) => one.state === "connected") ?? open[0];
    if (free) this.account.value = free.id;
    this.when = h(
      "select",
      { id: `${this.id}-when`, "aria-describedby": `${this.id}-when-note`, onchange: () => this.#chooseWhen() },
      h("option", { value: "slot" }, "In the next free slot"),
      h("option", { value: "now" }, "Now"),
      h("option", { value: "at" }, "At a time"),
    );
    this.whenNote = h("p", { class: "help", id: `${this.id}-when-note` });
    this.moment = new MomentField({ id: `${this.id}-at`, label: "Date and time", zone: "UTC" });
    this.words = h("div", {});
    this.trouble = h("div", { class: "trouble" });
    this.go = h("button", { class: "button primary", type: "submit" }, h("span", {}));
    const none = h("p", { class: "help", hidden: Boolean(free) }, "This segment goes to all connected accounts already.");
    this.form = h(
      "form",
      {
        class: "settings",
        autocomplete: "off",
        novalidate: true,
        hidden: !free,
        onsubmit: (event) => {
          event.preventDefault();
          whileBusy(this.go, () => this.#send());
        },
      },
      h("div", { class: "field" }, h("label", { for: this.account.id }, "Account"), this.account),
      h("div", { class: "field" }, h("label", { for: this.when.id }, "When"), this.when, this.whenNote),
      this.moment.element,
      this.words,
      this.trouble,
      h("div", { class: "save" }, this.go),
    );
    return h("div", { class: "sheet-parts" }, none, this.form);
  }

  /** Another account: its zone, its slots, its platform's fields, and the words that would be said there. */
  #choose() {
    const account = this.#account;
    if (!account) return;
    this.wording = new WordingForm({
      id: `${this.id}-post`,
      platform: account.platform,
      templates: false,
      preview: (wording) => this.#preview(wording),
      direct: () => account.settings.delivery === "direct",
      choices: () => accounts.choices(account.id),
    });
    this.words.replaceChildren(this.wording.element);
    this.moment.set(Math.ceil((now() + HOUR_MS / 2) / HOUR_MS) * HOUR_MS, account.settings.zone);
    setAttribute(this.when.options[0], "disabled", account.settings.slots.length === 0 && "");
    if (this.when.value !== "at") this.when.value = account.settings.slots.length ? "slot" : "now";
    this.#chooseWhen();
    this.#prefill(account);
  }

  #chooseWhen() {
    const { settings } = this.#account;
    const next = nextSlots(parseSlots(settings.slots).week, settings.zone, now(), 1)[0];
    const words = { slot: next ? `The first free one from ${momentWords(next, settings.zone)} on, ${settings.zone}.` : "", now: "As soon as it can be sent.", at: "" };
    setText(this.whenNote, words[this.when.value]);
    setHidden(this.moment.element, this.when.value !== "at");
    setText(this.go.firstChild, this.when.value === "now" ? "Publish now" : "Plan it");
  }

  async #prefill(account) {
    try {
      const said = await this.#preview({});
      if (account !== this.#account) return;
      if (said.post) this.wording.show(said.post);
      this.wording.judge(said);
    } catch (problem) {
      this.trouble.replaceChildren(problemBox(problem));
    }
  }

  #preview(wording) {
    return publications.preview({ segment_id: this.segment.segment_id, account_id: this.account.value, wording });
  }

  async #send() {
    const when = this.when.value === "at" ? this.moment.value : this.when.value;
    this.trouble.replaceChildren();
    if (!when) {
      this.trouble.replaceChildren(problemBox({ title: "Choose a date and a time" }));
      return;
    }
    try {
      await publications.add({ segment_id: this.segment.segment_id, account_id: this.account.value, when, wording: this.wording.changes() });
      announce(`${this.name} is planned for ${accountWords(this.#account)}.`);
      this.sheet.close();
    } catch (problem) {
      this.trouble.replaceChildren(problemBox(problem));
      announce(problem.words);
    }
  }
}
