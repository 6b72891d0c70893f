// The owner's password and authenticator.

import { request } from "./api.js";
import { announce } from "./announce.js";
import { h, setHidden, whileBusy } from "./dom.js";
import { problemBox } from "./problem.js";
import { when } from "./words.js";

export class PasswordPanel {
  constructor({ onChanged }) {
    this.facts = h("p", { class: "card-facts" });
    this.name = field({ id: "owner-name", words: "Name", type: "text", autocomplete: "username" });
    const current = field({ id: "password-now", words: "Present password", autocomplete: "current-password" });
    const fresh = field({ id: "password-new", words: "New password", autocomplete: "new-password", help: "8 characters at least; 15 and more are better." });
    const form = new SmallForm({
      label: "Another password",
      go: "Change it",
      fields: [this.name, current, fresh],
      send: async () => {
        await request("POST", "/v1/security/password", { current: current.input.value, password: fresh.input.value, name: this.name.input.value });
        form.element.reset();
        announce("The password is changed. Every other browser is signed out.");
        onChanged();
      },
    });
    this.element = panel("password-title", "Password", this.facts, fold("Change it", form.element));
  }

  show({ name, password_at: since }) {
    this.name.input.value = name;
    this.facts.textContent = since ? `Set ${when(since)}. Another one signs out every other browser.` : "";
  }
}

export class TotpPanel {
  constructor({ onChanged }) {
    this.onChanged = onChanged;
    this.facts = h("p", { class: "card-facts" });
    this.shown = h("div", { class: "trouble" });
    this.begin = this.#asking("totp-begin", "Begin", "/v1/security/totp", (begun) => this.#confirm(begun));
    this.off = this.#asking("totp-off", "Turn it off", "/v1/security/totp/off", () => this.#done("No codes are asked for any more."));
    this.renew = this.#asking("totp-renew", "Make ten new ones", "/v1/security/recovery-codes", (answer) => this.#recovery(answer));
    this.folds = {
      begin: fold("Set one up", this.begin.element),
      renew: fold("New recovery codes", this.renew.element),
      off: fold("Turn it off", this.off.element),
    };
    this.element = panel("totp-title", "Authenticator", this.facts, this.shown, this.folds.begin, this.folds.renew, this.folds.off);
  }

  show({ totp, recovery_codes: left }) {
    const codes = `${left} recovery ${left === 1 ? "code is" : "codes are"} left.`;
    this.facts.textContent = totp ? `A code is asked for beside the password. ${codes}` : "An app on a phone that shows a new code each half minute, asked for beside the password.";
    setHidden(this.folds.begin, totp);
    setHidden(this.folds.renew, !totp);
    setHidden(this.folds.off, !totp);
  }

  /** A form that asks for the password again: a browser that somebody found open must not do this. */
  #asking(id, go, path, done) {
    const password = field({ id, words: "Password", autocomplete: "current-password" });
    const form = new SmallForm({
      label: go,
      go,
      fields: [password],
      send: async () => {
        const answer = await request("POST", path, { password: password.input.value });
        form.element.reset();
        form.element.closest("details").open = false;
        done(answer);
      },
    });
    return form;
  }

  #confirm({ secret }) {
    const code = field({ id: "totp-code", words: "The code it shows now", type: "text", autocomplete: "one-time-code" });
    code.input.setAttribute("inputmode", "numeric");
    const form = new SmallForm({
      label: "Confirm the authenticator",
      go: "Ask for codes from now on",
      fields: [code],
      send: async () => this.#recovery(await request("POST", "/v1/security/totp/confirm", { code: code.input.value })),
    });
    const picture = h("img", { class: "qr", src: `/v1/security/totp.svg?${Date.now()}`, alt: "The secret below as a picture, for the app's camera", width: "220", height: "220" });
    this.shown.replaceChildren(h("div", { class: "secret-box" }, h("p", {}, "Take this picture with the app, or type the secret."), picture, h("code", { class: "code" }, secret), form.element));
    code.input.focus();
  }

  #recovery({ recovery_codes: codes }) {
    const title = h("p", { tabindex: "-1" }, "Ten codes for when the phone is lost. Each helps once. They are shown this once: print them, or keep them with your passwords.");
    const done = h("button", { class: "button", type: "button", onclick: () => this.#done("Codes are asked for from now on.") }, "I have kept them");
    this.shown.replaceChildren(h("div", { class: "secret-box" }, title, h("pre", { class: "code" }, codes.join("\n")), h("div", { class: "line-actions" }, done)));
    title.focus();
  }

  #done(words) {
    this.shown.replaceChildren();
    announce(words);
    this.onChanged();
    document.getElementById("totp-title").focus();
  }
}

class SmallForm {
  /** `send()` tells the server; a Problem it throws is shown here. */
  constructor({ label, go, fields, send }) {
    const trouble = h("div", { class: "trouble" });
    const button = h("button", { class: "button primary", type: "submit" }, go);
    const work = async () => {
      trouble.replaceChildren();
      try {
        await send();
      } catch (problem) {
        trouble.replaceChildren(problemBox(problem));
        announce(problem.words);
      }
    };
    const submit = (event) => {
      event.preventDefault();
      whileBusy(button, work);
    };
    this.element = h("form", { class: "settings", "aria-label": label, onsubmit: submit }, ...fields.map((one) => one.element), trouble, h("div", { class: "save" }, button));
  }
}

function field({ id, words, type = "password", autocomplete, help = "" }) {
  const input = h("input", { type, id, autocomplete, autocapitalize: "none", spellcheck: "false", required: true, "aria-describedby": help ? `${id}-help` : null });
  return { input, element: h("div", { class: "field" }, h("label", { for: id }, words), input, help && h("p", { class: "help", id: `${id}-help` }, help)) };
}

function fold(words, body) {
  return h("details", { class: "fold" }, h("summary", { class: "fold-summary" }, h("span", {}, words)), h("div", { class: "fold-body" }, body));
}

function panel(id, title, ...parts) {
  return h("section", { class: "panel card", "aria-labelledby": id }, h("h2", { class: "card-name", id, tabindex: "-1" }, title), ...parts);
}
