// What an endpoint hears of and where: a form for a new one, and for changing one.

import { announce } from "./announce.js";
import { h, whileBusy } from "./dom.js";
import { problemBox } from "./problem.js";

const NOUNS = {
  job: "Takes",
  segment: "Segments",
  publication: "Publications",
  account: "Accounts",
  publishing: "Pause of all publishing",
  endpoint: "Endpoints",
  system: "Disk and memory of the machine",
  backup: "Backups",
};

export class EndpointForm {
  /** `send(values)` tells the server; a Problem it throws is shown here. `of` tells the form from others to the ear. */
  constructor({ id, of, go, drawing, send }) {
    Object.assign(this, { id, send });
    this.url = h("input", { type: "url", id: `${id}-url`, autocomplete: "off", placeholder: "https://example.com/hook", inputmode: "url" });
    this.description = h("input", { type: "text", id: `${id}-description`, autocomplete: "off" });
    this.nouns = new Map(Object.keys(NOUNS).map((noun) => [noun, h("input", { type: "checkbox", id: `${id}-${noun}` })]));
    this.more = h("input", { type: "text", id: `${id}-more`, autocomplete: "off", autocapitalize: "none", spellcheck: "false", placeholder: "job.completed" });
    this.trouble = h("div", { class: "trouble" });
    this.button = h("button", { class: "button primary", type: "submit" }, drawing, h("span", {}, go));
    this.element = this.#build(of);
  }

  show({ url, types, description }) {
    this.url.value = url;
    this.description.value = description;
    for (const [noun, box] of this.nouns) box.checked = types.includes(`${noun}.*`);
    this.more.value = types.filter((type) => !(type.endsWith(".*") && this.nouns.has(type.slice(0, -2)))).join(", ");
    this.trouble.replaceChildren();
  }

  #values() {
    const chosen = [...this.nouns].filter(([, box]) => box.checked).map(([noun]) => `${noun}.*`);
    const more = this.more.value.split(/[\s,]+/).filter(Boolean);
    return { url: this.url.value.trim(), types: [...chosen, ...more], description: this.description.value.trim() };
  }

  async #send() {
    this.trouble.replaceChildren();
    try {
      await this.send(this.#values());
    } catch (problem) {
      this.trouble.replaceChildren(problemBox(problem));
      announce(problem.words);
    }
  }

  #build(of) {
    const field = (control, words) => h("div", { class: "field" }, h("label", { for: control.id }, words), control);
    const help = h("p", { class: "help", id: `${this.id}-help` }, "None chosen: of everything.");
    return h(
      "form",
      {
        class: "settings",
        "aria-label": of,
        autocomplete: "off",
        novalidate: true,
        onsubmit: (event) => {
          event.preventDefault();
          whileBusy(this.button, () => this.#send());
        },
      },
      field(this.url, "Address"),
      h(
        "fieldset",
        { class: "group", "aria-describedby": help.id },
        h("legend", {}, "It hears of"),
        h("div", { class: "switches" }, ...[...this.nouns].map(([noun, box]) => h("div", { class: "field check" }, box, h("label", { for: box.id }, NOUNS[noun])))),
        help,
        field(this.more, "And of these types alone"),
      ),
      field(this.description, "A note for yourself"),
      this.trouble,
      h("div", { class: "save" }, this.button),
    );
  }
}
