// The endpoints, and a form for one more.

import { request } from "./api.js";
import { announce } from "./announce.js";
import { showBadge } from "./badges.js";
import { EndpointCard } from "./endpoint-card.js";
import { EndpointForm } from "./endpoint-form.js";
import { icon, setHidden } from "./dom.js";
import { problemBox } from "./problem.js";
import { view } from "./routes.js";

const LOOK_AGAIN_MS = 150;

export class WebhooksView {
  #cards = new Map();
  #old = true;
  #timer = 0;

  constructor() {
    this.list = document.getElementById("endpoint-list");
    this.loading = document.getElementById("webhooks-loading");
    this.problem = document.getElementById("webhooks-problem");
    this.form = new EndpointForm({ id: "endpoint", of: "A new endpoint", go: "Add", drawing: icon("plus"), send: (wanted) => this.#add(wanted) });
    document.getElementById("add-endpoint").append(this.form.element);
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
    showBadge("webhooks", off, " with trouble");
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

  async #add(wanted) {
    const { secret, ...endpoint } = await request("POST", "/v1/endpoints", wanted);
    this.form.element.reset();
    const card = this.#card(endpoint);
    this.list.append(card.element);
    setHidden(this.list, false);
    card.reveal(secret);
    card.focus();
    announce(`${endpoint.url} is added. Its secret is shown once.`);
  }
}
