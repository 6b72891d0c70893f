// The keys of programs: made, shown once, rotated, revoked.

import { request } from "./api.js";
import { announce } from "./announce.js";
import { confirm } from "./confirm.js";
import { h, icon, whileBusy } from "./dom.js";
import { problemBox } from "./problem.js";
import { secretBox } from "./secret-box.js";
import { when } from "./words.js";

const SCOPES = {
  read: "Look at everything but keys and webhooks",
  upload: "Send takes, and work on them",
  publish: "Plan and publish",
  admin: "Everything",
};
const LASTS = [
  ["", "Until it is revoked"],
  ["30", "30 days"],
  ["90", "90 days"],
  ["365", "A year"],
];
const DAY_MS = 86_400_000;

export class KeyPanel {
  constructor() {
    this.title = h("h2", { class: "card-name", id: "keys-title", tabindex: "-1" }, "Keys for programs");
    this.list = h("ul", { class: "line-list" });
    this.none = h("p", { class: "card-facts" }, "No program has a key.");
    this.secret = h("div", { class: "trouble" });
    this.trouble = h("div", { class: "trouble" });
    this.element = h("section", { class: "panel card", "aria-labelledby": "keys-title" }, this.title, this.none, this.list, this.secret, this.trouble, this.#form());
  }

  show(keys) {
    const live = keys.filter((key) => key.live);
    this.none.hidden = live.length > 0;
    this.list.replaceChildren(...live.map((key) => this.#line(key)));
  }

  #line({ id, name, public_id: shown, scopes, used_at: used, expires_at: until, replaced_by: replaced }) {
    const called = `${name}, ${shown}`;
    const turn = h("button", { class: "button", type: "button", "aria-label": `New key for ${called}`, onclick: () => whileBusy(turn, () => this.#make("POST", `/v1/keys/${id}/rotate`, {})) }, "New key");
    const end = h("button", { class: "button quiet", type: "button", "aria-label": `Revoke ${called}`, onclick: () => whileBusy(end, () => this.#revoke(id, name)) }, "Revoke");
    const facts = [scopes.join(", "), used ? `used ${when(used)}` : "never used", until && `until ${when(until)}`];
    return h(
      "li",
      { class: "line" },
      h("p", {}, h("bdi", {}, name), " ", h("code", { class: "code" }, `vp_live_${shown}…`)),
      h("p", { class: "card-facts" }, facts.filter(Boolean).join(" · ")),
      h("div", { class: "line-actions" }, !replaced && turn, end),
    );
  }

  #form() {
    const name = h("input", { type: "text", id: "key-name", autocomplete: "off", maxlength: "80", required: true });
    const lasts = h("select", { id: "key-lasts" }, ...LASTS.map(([value, words]) => h("option", { value }, words)));
    const boxes = Object.entries(SCOPES).map(([scope, words]) => [
      h("input", { type: "checkbox", id: `key-${scope}`, value: scope, checked: scope === "read" || scope === "upload" }),
      h("label", { for: `key-${scope}` }, words),
    ]);
    const go = h("button", { class: "button primary", type: "submit" }, icon("plus"), h("span", {}, "Make a key"));
    const form = h(
      "form",
      {
        class: "settings",
        "aria-label": "A new key",
        autocomplete: "off",
        onsubmit: (event) => {
          event.preventDefault();
          whileBusy(go, work);
        },
      },
      h("div", { class: "field" }, h("label", { for: name.id }, "Which program"), name),
      h("fieldset", { class: "group" }, h("legend", {}, "It may"), h("div", { class: "switches" }, ...boxes.map((pair) => h("div", { class: "field check" }, ...pair)))),
      h("div", { class: "field" }, h("label", { for: lasts.id }, "It lasts"), lasts),
      h("div", { class: "save" }, go),
    );
    const work = async () => {
      const wanted = { name: name.value.trim(), scopes: boxes.map(([box]) => box).filter((box) => box.checked).map((box) => box.value) };
      if (lasts.value) wanted.expires_at = new Date(Date.now() + Number(lasts.value) * DAY_MS).toISOString();
      if (await this.#make("POST", "/v1/keys", wanted)) form.reset();
    };
    return form;
  }

  async #make(method, path, wanted) {
    const made = await this.#ask(method, path, wanted);
    if (!made) return false;
    const words = "The key. It is shown this once: keep it where the program can read it.";
    const done = () => {
      this.secret.replaceChildren();
      this.title.focus();
    };
    this.secret.replaceChildren(secretBox(made.key, { words, of: made.name, onDone: done }));
    announce(`${made.name} has a key. It is shown once.`);
    await this.#load();
    return true;
  }

  async #revoke(id, name) {
    const agreed = await confirm({ title: ["Revoke the key of ", h("bdi", {}, name), "?"], text: "The program gets in with it no more, from now on.", go: "Revoke" });
    if (!agreed || !(await this.#ask("DELETE", `/v1/keys/${id}`))) return;
    announce(`The key of ${name} is revoked.`);
    await this.#load();
    this.title.focus();
  }

  async #load() {
    const found = await this.#ask("GET", "/v1/keys");
    if (found) this.show(found.keys);
  }

  async #ask(method, path, send) {
    this.trouble.replaceChildren();
    try {
      return (await request(method, path, send)) ?? {};
    } catch (problem) {
      this.trouble.replaceChildren(problemBox(problem));
      announce(problem.words);
      return null;
    }
  }
}
