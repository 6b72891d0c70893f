// The endpoints, and a form for one more.

import { request } from "./api.js";
import { announce } from "./announce.js";
import { EndpointCard } from "./endpoint-card.js";
import { h, icon, setHidden, setText, whileBusy } from "./dom.js";
import { problemBox } from "./problem.js";
import { view } from "./routes.js";

const LOOK_AGAIN_MS = 150;
const NOUNS = {
  job: "Takes",
  segment: "Segments",
  publication: "Publications",
  account: "Accounts",
  publishing: "Pause of all publishing",
  endpoint: "Endpoints",
};

export class WebhooksView {
  #cards = new Map();
  #old = true;
  #timer = 0;

  constructor() {
    this.list = document.getElementById("endpoint-list");
    this.loading = document.getElementById("webhooks-loading");
    this.problem = document.getElementById("webhooks-problem");
    this.badge = document.getElementById("webhooks-badge");
    document.getElementById("add-endpoint").append(this.#build());
  }

  show() {
    if (this.#old) this.load();
  }

  resync() {
    this.#old = true;
    if (view() === "webhooks") this.load();
  }

  event({ type }) {
    for (const card of this.#cards.values()) card.stir();
    if (!type.startsWith("endpoint.")) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.resync(), LOOK_AGAIN_MS);
  }

  async load() {
    try {
      const { endpoints } = await request("GET", "/v1/endpoints");
      this.#old = false;
      this.#show(endpoints);
      this.problem.replaceChildren();
    } catch (problem) {
      this.problem.replaceChildren(problemBox(problem));
    }
    setHidden(this.loading, true);
    setHidden(document.getElementById("add"), false);
  }

  #show(endpoints) {
    const ids = new Set(endpoints.map((endpoint) => endpoint.id));
    for (const id of [...this.#cards.keys()]) if (!ids.has(id)) this.#drop(id);
    endpoints.forEach((endpoint, place) => {
      const card = this.#card(endpoint);
      if (this.list.children[place] !== card.element) this.list.insertBefore(card.element, this.list.children[place] ?? null);
    });
    setHidden(this.list, endpoints.length === 0);
    const off = endpoints.filter((endpoint) => endpoint.state === "disabled" || endpoint.failing_since).length;
    setHidden(this.badge, off === 0);
    this.badge.replaceChildren(String(off), h("span", { class: "sr-only" }, " with trouble"));
  }

  #card(endpoint) {
    const known = this.#cards.get(endpoint.id);
    if (known) {
      known.show(endpoint);
      return known;
    }
    const card = new EndpointCard(endpoint, { onGone: () => this.#gone(endpoint), onChanged: () => this.load() });
    this.#cards.set(endpoint.id, card);
    return card;
  }

  #gone(endpoint) {
    this.#drop(endpoint.id);
    announce(`${endpoint.url} is deleted.`);
    document.getElementById("webhooks-title").focus();
    this.load();
  }

  #drop(id) {
    this.#cards.get(id)?.element.remove();
    this.#cards.delete(id);
  }

  async #add() {
    const types = Object.keys(NOUNS).filter((noun) => this.nouns.get(noun).checked).map((noun) => `${noun}.*`);
    this.trouble.replaceChildren();
    try {
      const added = await request("POST", "/v1/endpoints", { url: this.url.value.trim(), types, description: this.description.value.trim() });
      const { secret, ...endpoint } = added;
      this.form.reset();
      const card = this.#card(endpoint);
      this.list.append(card.element);
      setHidden(this.list, false);
      card.reveal(secret);
      card.focus();
      announce(`${endpoint.url} is added. Its secret is shown once.`);
    } catch (problem) {
      this.trouble.replaceChildren(problemBox(problem));
      announce(problem.words);
    }
  }

  #build() {
    this.url = h("input", { type: "url", id: "endpoint-url", autocomplete: "off", placeholder: "https://example.com/hook", inputmode: "url" });
    this.description = h("input", { type: "text", id: "endpoint-description", autocomplete: "off" });
    this.nouns = new Map(Object.keys(NOUNS).map((noun) => [noun, h("input", { type: "checkbox", id: `endpoint-${noun}` })]));
    this.trouble = h("div", { class: "trouble" });
    const add = h("button", { class: "button primary", type: "submit" }, icon("plus"), h("span", {}, "Add"));
    const help = h("p", { class: "help", id: "endpoint-types" });
    setText(help, "None chosen: of everything.");
    this.form = h(
      "form",
      {
        class: "settings",
        autocomplete: "off",
        novalidate: true,
        onsubmit: (event) => {
          event.preventDefault();
          whileBusy(add, () => this.#add());
        },
      },
      h("div", { class: "field" }, h("label", { for: "endpoint-url" }, "Address"), this.url),
      h(
        "fieldset",
        { class: "group", "aria-describedby": "endpoint-types" },
        h("legend", {}, "It hears of"),
        h("div", { class: "switches" }, ...[...this.nouns].map(([noun, box]) => h("div", { class: "field check" }, box, h("label", { for: box.id }, NOUNS[noun])))),
        help,
      ),
      h("div", { class: "field" }, h("label", { for: "endpoint-description" }, "A note for yourself"), this.description),
      this.trouble,
      h("div", { class: "save" }, add),
    );
    return this.form;
  }
}
