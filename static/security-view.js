// Who gets in: browsers that are signed in, keys of programs, the password, an authenticator.

import { request } from "./api.js";
import { announce } from "./announce.js";
import { KeyPanel } from "./key-panel.js";
import { PasswordPanel, TotpPanel } from "./way-in.js";
import { h, setHidden, whileBusy } from "./dom.js";
import { problemBox } from "./problem.js";
import { view } from "./routes.js";
import { when } from "./words.js";

export class SecurityView {
  #old = true;

  constructor() {
    this.problem = document.getElementById("security-problem");
    this.state = h("section", { class: "panel card", "aria-labelledby": "security-state-title" });
    this.keys = new KeyPanel();
    const changed = () => this.load();
    this.password = new PasswordPanel({ onChanged: changed });
    this.totp = new TotpPanel({ onChanged: changed });
    document.getElementById("security-parts").append(this.state, this.keys.element, this.password.element, this.totp.element);
  }

  show() {
    if (this.#old) this.load();
  }

  resync() {
    this.#old = true;
    if (view() === "security") this.load();
  }

  event({ type }) {
    if (/^(owner|key)\./.test(type)) this.#old = true; // looked at when it is gone to: what is typed here is not taken away
  }

  async load() {
    try {
      const [security, { keys }] = await Promise.all([request("GET", "/v1/security"), request("GET", "/v1/keys")]);
      this.#old = false;
      this.#show(security);
      this.keys.show(keys);
      this.problem.replaceChildren();
    } catch (problem) {
      this.problem.replaceChildren(problemBox(problem));
    }
    setHidden(document.getElementById("security-loading"), true);
    setHidden(document.getElementById("security-parts"), false);
  }

  #show(security) {
    const { owner, mode, name, sessions } = security;
    setHidden(this.password.element, !owner);
    setHidden(this.totp.element, !owner);
    this.password.show(security);
    this.totp.show(security);
    const title = h("h2", { class: "card-name", id: "security-state-title", tabindex: "-1" }, owner ? "Signed in" : "Nobody is asked");
    const asks = mode === "open" ? "Who reaches this page may do all." : `${name} signs in, and programs show a key.`;
    const first = h("a", { class: "button primary", href: "/setup" }, "Make an owner");
    this.state.replaceChildren(
      title,
      h("p", { class: "card-facts" }, owner || mode !== "open" ? asks : `${asks} Make an owner, and from then on everybody signs in.`),
      ...(owner ? [h("ul", { class: "line-list" }, ...sessions.map((one) => this.#session(one))), this.#out(sessions)] : [h("div", { class: "line-actions" }, first)]),
    );
  }

  #session({ id, current, agent, address, used_at: used, created_at: made }) {
    const named = agentWords(agent);
    const end = h("button", { class: "button", type: "button", "aria-label": `Sign out ${named}, ${when(made)}`, onclick: () => whileBusy(end, () => this.#end(id, named)) }, "Sign out");
    return h(
      "li",
      { class: "line" },
      h("p", {}, named, current && h("span", { class: "chip" }, "this one")),
      h("p", { class: "card-facts" }, [`signed in ${when(made)}`, `here last ${when(used)}`, address && `from ${address}`].filter(Boolean).join(" · ")),
      !current && h("div", { class: "line-actions" }, end),
    );
  }

  #out(sessions) {
    const here = h("button", { class: "button", type: "button", onclick: () => whileBusy(here, () => this.#leave("POST", "/logout")) }, "Sign out here");
    const all = h("button", { class: "button", type: "button", onclick: () => whileBusy(all, () => this.#leave("DELETE", "/v1/sessions")) }, "Sign out everywhere");
    return h("div", { class: "line-actions" }, sessions.some(({ current }) => current) && here, all);
  }

  async #end(id, named) {
    await this.#ask("DELETE", `/v1/sessions/${id}`);
    announce(`${named} is signed out.`);
    await this.load();
    document.getElementById("security-state-title").focus();
  }

  async #leave(method, path) {
    if (await this.#ask(method, path)) location.assign("/login");
  }

  async #ask(method, path) {
    try {
      await request(method, path);
      return true;
    } catch (problem) {
      this.problem.replaceChildren(problemBox(problem));
      announce(problem.words);
      return false;
    }
  }
}

/** "Firefox on Android": enough to know one's own. */
function agentWords(agent) {
  const browser = [["Edg", "Edge"], ["Firefox", "Firefox"], ["Chrome", "Chrome"], ["Safari", "Safari"]].find(([sign]) => agent.includes(sign));
  const system = [["Android", "Android"], ["iPhone", "iPhone"], ["iPad", "iPad"], ["Windows", "Windows"], ["Mac OS X", "macOS"], ["Linux", "Linux"]].find(([sign]) => agent.includes(sign));
  if (!browser) return agent.slice(0, 40) || "Some program";
  return system ? `${browser[1]} on ${system[1]}` : browser[1];
}
