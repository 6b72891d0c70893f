// One account: whether it is connected and until when, what is missing, how it is published to.

import { request } from "./api.js";
import { announce } from "./announce.js";
import { AccountSettings } from "./account-settings.js";
import { accounts } from "./accounts.js";
import { confirm } from "./confirm.js";
import { h, icon, named, redraw, setHidden, setText, whileBusy } from "./dom.js";
import { now } from "./now.js";
import { problemBox } from "./problem.js";
import { platformName } from "./publication-words.js";
import { when } from "./words.js";

export class AccountCard {
  #shownTrouble = "";
  #refusal = null;

  /** `connect(button)` leads to the platform, to connect it again. */
  constructor(account, { connect }) {
    this.account = account;
    this.connect = connect;
    this.name = `${account.name} on ${platformName(account.platform)}`;
    this.element = this.#build();
    this.show(account);
  }

  show(account) {
    this.account = account;
    const gone = account.state === "disconnected";
    this.element.dataset.state = account.paused_at && account.state === "connected" ? "paused" : account.state;
    setText(this.chip, gone ? "Disconnected" : account.state === "needs_reauth" ? "Connect again" : account.paused_at ? "Paused" : "Connected");
    setText(this.facts, [platformName(account.platform), account.username && `@${account.username}`].filter(Boolean).join(" · "));
    setText(this.until, untilWords(account));
    setText(this.plan, gone ? "" : planWords(account.settings, account.platform));
    setHidden(this.plan, gone);
    this.#notes(account);
    this.#trouble(account.state === "needs_reauth" ? { title: "It needs to be connected again", detail: account.fault ?? "" } : this.#refusal);
    setHidden(this.fold, gone, this.title);
    this.settings.show(account);
    setHidden(this.pause, gone, this.title);
    setText(this.pauseWords, account.paused_at ? "Resume" : "Pause");
    redraw(this.pause.firstChild, account.paused_at ? "play" : "pause");
    this.pause.setAttribute("aria-label", `${account.paused_at ? "Resume" : "Pause"} ${this.name}`);
    this.again.classList.toggle("primary", account.state !== "connected");
    setHidden(this.away, gone, this.title);
  }

  #build() {
    const { account } = this;
    const titleId = `${account.id}-name`;
    this.title = h("h2", { class: "card-name", id: titleId, tabindex: "-1" }, named(account.name));
    this.chip = h("span", { class: "chip" });
    this.facts = h("p", { class: "card-facts" });
    this.until = h("p", {});
    this.plan = h("p", { class: "card-facts" });
    this.notes = h("ul", { class: "notes", "aria-label": `Notes about ${this.name}` });
    this.trouble = h("div", { class: "trouble" });
    this.settings = new AccountSettings(account, { name: this.name });
    const state = h("span", { class: "fold-state" });
    const summary = h("summary", { class: "fold-summary" }, h("span", {}, "Settings", h("span", { class: "sr-only" }, ` of ${this.name}`)), state);
    this.fold = h("details", { class: "fold", ontoggle: () => this.settings.open(this.fold.open) }, summary, this.settings.element);
    this.pauseWords = h("span", {});
    this.pause = h("button", { class: "button", type: "button", onclick: () => whileBusy(this.pause, () => this.#pause()) }, icon("pause"), this.pauseWords);
    this.again = h(
      "button",
      { class: "button", type: "button", "aria-label": `Connect again: ${this.name}`, onclick: () => this.connect(this.again) },
      icon("again"),
      h("span", {}, "Connect again"),
    );
    this.away = h(
      "button",
      { class: "button quiet", type: "button", "aria-label": `Disconnect ${this.name}`, onclick: () => whileBusy(this.away, () => this.#disconnect()) },
      icon("bin"),
      h("span", {}, "Disconnect"),
    );
    return h(
      "li",
      { "data-account": account.id },
      h(
        "article",
        { class: "panel card", "aria-labelledby": titleId },
        h("header", { class: "card-head" }, this.title, this.chip),
        this.facts,
        this.until,
        this.notes,
        this.trouble,
        this.plan,
        this.fold,
        h("div", { class: "job-buttons" }, this.pause, this.again, this.away),
      ),
    );
  }

  #notes({ notices, parked_until: parked, platform }) {
    const shown = [...notices];
    if (parked && Date.parse(parked) > now()) shown.push(`${platformName(platform)} takes nothing more until ${when(parked)}. It goes on by itself.`);
    setHidden(this.notes, shown.length === 0);
    if (this.notes.children.length === shown.length && shown.every((note, n) => this.notes.children[n].textContent === note)) return;
    this.notes.replaceChildren(...shown.map((note) => h("li", {}, note)));
  }

  async #pause() {
    const what = this.account.paused_at ? "resume" : "pause";
    await this.#ask(() => request("POST", `/v1/accounts/${this.account.id}/${what}`));
    if (!this.#refusal) announce(`${this.name} is ${what === "pause" ? "paused" : "resumed"}.`);
  }

  async #disconnect() {
    const agreed = await confirm({
      title: ["Disconnect ", named(this.account.name), "?"],
      text: `VidProd forgets its right to ${platformName(this.account.platform)}. What is planned for it waits until it is connected again; what was published stays.`,
      go: "Disconnect",
      keep: "Keep it connected",
    });
    if (agreed) await this.#ask(() => request("DELETE", `/v1/accounts/${this.account.id}`));
  }

  async #ask(work) {
    this.#refusal = null;
    try {
      await work();
    } catch (problem) {
      this.#refusal = problem;
      announce(`${this.name}: ${problem.words}`);
    }
    await accounts.load();
    this.show(accounts.get(this.account.id) ?? this.account);
  }

  #trouble(problem) {
    const key = problem ? `${problem.title} ${problem.detail}` : "";
    if (key === this.#shownTrouble) return;
    this.#shownTrouble = key;
    this.trouble.replaceChildren(...(problem ? [problemBox(problem)] : []));
  }
}

function untilWords({ state, refresh_expires_at: ends, platform }) {
  if (state === "disconnected") return "It was disconnected. Its settings are kept.";
  if (state === "needs_reauth") return "Nothing goes out until it is connected again.";
  return ends ? `Connected until ${when(ends)}; renewed by itself while it can be.` : `Connected until you end it here or at ${platformName(platform)}.`;
}

/** How it is published to, in short. */
function planWords({ automatic, slots, zone, approve, delivery, daily_cap: cap }, platform) {
  const where = automatic ? "Finished segments go here by themselves" : "Only what is sent here";
  const times = slots.length ? `${slots.join("; ")} (${zone})` : "at once";
  return [where, times, cap && `at most ${cap} a day`, approve && "after your approval", platform === "tiktok" && (delivery === "draft" ? "as drafts" : "posted directly")]
    .filter(Boolean)
    .join(" · ");
}
