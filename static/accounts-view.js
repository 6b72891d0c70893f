// The accounts: those that are connected, and the platforms one can be connected of.

import { request } from "./api.js";
import { announce } from "./announce.js";
import { AccountCard } from "./account-card.js";
import { accounts } from "./accounts.js";
import { h, icon, setHidden, setText, whileBusy } from "./dom.js";
import { problemBox } from "./problem.js";
import { accountWords, platformName } from "./publication-words.js";

const MEMORY = "vidprod.connecting"; // what was connected when the page was left for a platform

export class AccountsView {
  #cards = new Map();
  #shownLogins = "";
  #trouble = null;

  constructor() {
    this.list = document.getElementById("account-list");
    this.loading = document.getElementById("accounts-loading");
    this.problem = document.getElementById("accounts-problem");
    this.outcome = document.getElementById("accounts-outcome");
    this.connect = document.getElementById("connect");
    this.logins = document.getElementById("login-list");
    accounts.onChange(() => this.show());
  }

  show() {
    this.#problem(accounts.problem ?? this.#trouble);
    setHidden(this.loading, accounts.loaded || Boolean(accounts.problem));
    if (!accounts.loaded) return;
    this.#showCards();
    this.#showLogins();
    this.#showOutcome();
  }

  /** The list of accounts says itself when it has changed. */
  resync() {}

  event() {}

  #showCards() {
    const ids = new Set(accounts.list.map((account) => account.id));
    for (const [id, card] of this.#cards) {
      if (ids.has(id)) continue;
      card.element.remove();
      this.#cards.delete(id);
    }
    accounts.list.forEach((account, place) => {
      let card = this.#cards.get(account.id);
      if (card) {
        card.show(account);
      } else {
        card = new AccountCard(account, { connect: (button) => whileBusy(button, () => this.#go(account)) });
        this.#cards.set(account.id, card);
      }
      if (this.list.children[place] !== card.element) this.list.insertBefore(card.element, this.list.children[place] ?? null);
    });
    setHidden(this.list, accounts.list.length === 0);
  }

  #showLogins() {
    setHidden(this.connect, false);
    const key = JSON.stringify(accounts.logins);
    if (key === this.#shownLogins) return;
    this.#shownLogins = key;
    this.logins.replaceChildren(...accounts.logins.map((login) => this.#login(login)));
  }

  #login(login) {
    const { platform, flavour, name, configured, hint } = login;
    const words = name || platformName(platform);
    if (!configured) return h("li", { class: "login" }, h("p", { class: "login-name" }, words), h("p", { class: "help" }, hint));
    const direct = platform === "tiktok" ? h("input", { type: "checkbox", id: "connect-direct" }) : null;
    const go = () => whileBusy(button, () => this.#go({ platform, flavour, direct: direct?.checked }));
    const button = h("button", { class: "button", type: "button", onclick: go }, icon("plus"), h("span", {}, `Connect ${words}`));
    return h(
      "li",
      { class: "login" },
      button,
      hint && h("p", { class: "help" }, hint),
      direct && h("div", { class: "field check" }, direct, h("label", { for: "connect-direct" }, "Allow posting directly, not only drafts")),
    );
  }

  /** Off to the platform. */
  async #go({ platform, flavour = "", direct = false, settings = null }) {
    try {
      const asked = { platform, flavour, ...(direct || settings?.delivery === "direct" ? { direct: true } : {}) };
      const { url } = await request("POST", "/v1/accounts/connect", asked);
      leave({ platform, known: Object.fromEntries(accounts.list.map((one) => [one.id, `${one.state} ${one.connected_at}`])) });
      location.assign(url);
    } catch (problem) {
      this.#trouble = problem;
      this.#problem(problem);
      announce(problem.words);
    }
  }

  /** How the way to a platform and back ended. */
  #showOutcome() {
    const left = comeBack();
    if (!left) return;
    const made = accounts.list.filter((one) => one.state === "connected" && left.known[one.id] !== `${one.state} ${one.connected_at}`);
    const words = made.length
      ? `Connected: ${made.map(accountWords).join("; ")}.`
      : `${platformName(left.platform)} was not connected. Nothing was changed; you can try again.`;
    setText(this.outcome, words);
    this.outcome.dataset.made = String(made.length > 0);
    setHidden(this.outcome, false);
    announce(words);
  }

  #problem(problem) {
    this.problem.replaceChildren(...(problem ? [problemBox(problem)] : []));
  }
}

function leave(memory) {
  try {
    sessionStorage.setItem(MEMORY, JSON.stringify(memory));
  } catch {
    // forbidden: then the list alone says how it ended
  }
}

function comeBack() {
  try {
    const memory = sessionStorage.getItem(MEMORY);
    sessionStorage.removeItem(MEMORY);
    return memory && JSON.parse(memory);
  } catch {
    return null;
  }
}
