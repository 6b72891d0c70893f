// One endpoint: what it hears of, whether it answers, a test, its secrets, its log.

import { request } from "./api.js";
import { announce } from "./announce.js";
import { confirm } from "./confirm.js";
import { Deliveries, attemptWords } from "./deliveries.js";
import { EndpointForm } from "./endpoint-form.js";
import { h, icon, redraw, setHidden, setText, whileBusy } from "./dom.js";
import { now } from "./now.js";
import { problemBox } from "./problem.js";
import { secretBox } from "./secret-box.js";
import { count, when } from "./words.js";

const ASK_AGAIN_MS = 300;
const ASKED_FOR_MS = 20_000; // longer than an endpoint may take to answer

export class EndpointCard {
  #refusal = null;

  constructor(endpoint, { onGone, onChanged }) {
    this.endpoint = endpoint;
    this.onGone = onGone;
    this.onChanged = onChanged;
    this.name = endpoint.url;
    this.log = new Deliveries(endpoint, { name: this.name });
    this.form = new EndpointForm({ id: endpoint.id, of: `Change ${this.name}`, go: "Save", drawing: null, send: (wanted) => this.#change(wanted) });
    this.element = this.#build();
    this.show(endpoint);
  }

  show(endpoint) {
    this.endpoint = endpoint;
    const off = endpoint.state === "disabled";
    const failing = !off && endpoint.failing_since;
    this.element.dataset.state = off ? "disabled" : failing ? "failing" : "enabled";
    setText(this.chip, off ? "Disabled" : failing ? "Failing" : "Enabled");
    setText(this.facts, [endpoint.description, typesWords(endpoint), endpoint.job_id && "of one take only"].filter(Boolean).join(" · "));
    setText(this.story, storyOf(endpoint));
    setHidden(this.story, !this.story.textContent);
    setText(this.turnWords, off ? "Enable" : "Disable");
    redraw(this.turn.firstChild, off ? "play" : "pause");
    this.turn.setAttribute("aria-label", `${off ? "Enable" : "Disable"}: ${this.name}`);
  }

  /** Something happened that it may have heard of. */
  stir() {
    this.log.stir();
  }

  /** The secret, this once. */
  reveal(secret) {
    const words = "The secret that signs. It is shown this once: keep it where the receiver can read it.";
    this.secret.replaceChildren(secretBox(secret, { words, of: this.name, onDone: () => this.secret.replaceChildren() }));
  }

  focus() {
    this.title.focus();
  }

  #build() {
    const { id, url } = this.endpoint;
    const button = (words, look, drawing, work) => {
      const element = h(
        "button",
        { class: "button", type: "button", "aria-label": `${words}: ${this.name}`, onclick: () => whileBusy(element, work) },
        icon(drawing),
        h("span", {}, words),
      );
      element.classList.toggle("quiet", look === "quiet");
      return element;
    };
    this.title = h("h2", { class: "card-name", id: `${id}-name`, tabindex: "-1" }, h("bdi", {}, url));
    this.chip = h("span", { class: "chip" });
    this.facts = h("p", { class: "card-facts" });
    this.story = h("p", { class: "story" });
    this.secret = h("div", { class: "trouble" });
    this.trouble = h("div", { class: "trouble" });
    this.result = h("div", { class: "trouble" });
    const test = button("Test", "", "send", () => this.#test());
    const rotate = button("New secret", "", "again", () => this.#rotate());
    this.turn = button("Disable", "", "pause", () => this.#turn());
    this.turnWords = this.turn.lastChild;
    const bin = button("Delete", "quiet", "bin", () => this.#delete());
    const changes = h("summary", { class: "fold-summary" }, h("span", {}, "Change", h("span", { class: "sr-only" }, ` ${this.name}`)));
    const shown = () => this.changing.open && this.form.show(this.endpoint);
    this.changing = h("details", { class: "fold", ontoggle: shown }, changes, h("div", { class: "fold-body" }, this.form.element));
    const summary = h("summary", { class: "fold-summary" }, h("span", {}, "Deliveries", h("span", { class: "sr-only" }, ` to ${this.name}`)));
    const fold = h("details", { class: "fold", ontoggle: () => this.log.open(fold.open) }, summary, this.log.element);
    return h(
      "li",
      { "data-endpoint": id },
      h(
        "article",
        { class: "panel card", "aria-labelledby": `${id}-name` },
        h("header", { class: "card-head" }, this.title, this.chip),
        this.facts,
        this.story,
        this.secret,
        this.trouble,
        this.result,
        this.changing,
        fold,
        h("div", { class: "job-buttons" }, test, rotate, this.turn, bin),
      ),
    );
  }

  async #change(wanted) {
    const endpoint = await request("PATCH", `/v1/endpoints/${this.endpoint.id}`, wanted);
    this.changing.open = false;
    this.changing.firstChild.focus();
    this.title.firstChild.textContent = endpoint.url;
    this.show(endpoint);
    announce(`${endpoint.url} is changed.`);
  }

  /** Sends a test and waits for what comes of it. */
  async #test() {
    this.result.replaceChildren(h("p", { class: "help" }, "Sending…"));
    const delivery = await this.#ask("POST", "test");
    if (!delivery) return this.result.replaceChildren();
    const until = Date.now() + ASKED_FOR_MS;
    let found = { attempts: [] };
    try {
      do {
        found = await request("GET", `/v1/deliveries/${delivery.id}`);
        if (found.attempts.length) break;
        await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_MS));
      } while (Date.now() < until);
    } catch (problem) {
      this.#refuse(problem);
    }
    const last = found.attempts.at(-1);
    const good = last && last.status >= 200 && last.status < 300;
    const words = good ? "The test arrived." : last ? "The test did not arrive." : "There is no answer yet: see its deliveries.";
    this.result.replaceChildren(h("div", { class: "result", "data-good": String(Boolean(good)) }, h("p", {}, words), last && h("ol", { class: "attempts" }, attemptWords(last))));
    announce(`${this.name}: ${words}`);
    this.log.stir();
    return undefined;
  }

  async #rotate() {
    const agreed = await confirm({
      title: ["Make a new secret for ", h("bdi", {}, this.name), "?"],
      text: "Both secrets sign for a day. Then the present one ends.",
      go: "Make a new secret",
      keep: "Keep it",
    });
    if (!agreed) return;
    const answer = await this.#ask("POST", "rotate");
    if (!answer) return;
    this.reveal(answer.secret);
    announce(`${this.name} has a new secret.`);
    this.onChanged();
  }

  async #turn() {
    const what = this.endpoint.state === "disabled" ? "enable" : "disable";
    const answer = await this.#ask("POST", what);
    if (answer) announce(`${this.name} is ${what}d.`);
    this.onChanged();
  }

  async #delete() {
    const agreed = await confirm({
      title: ["Delete ", h("bdi", {}, this.name), "?"],
      text: "It hears of nothing more, and its log of deliveries is gone for good.",
      go: "Delete",
    });
    if (!agreed) return;
    await this.#ask("DELETE");
    if (!this.#refusal || this.#refusal.status === 404) this.onGone();
  }

  /** The answer; null when it was refused, and said so. */
  async #ask(method, what = "") {
    this.#refuse(null);
    try {
      return (await request(method, `/v1/endpoints/${this.endpoint.id}${what && `/${what}`}`)) ?? {};
    } catch (problem) {
      this.#refuse(problem);
      announce(`${this.name}: ${problem.words}`);
      return null;
    }
  }

  #refuse(problem) {
    this.#refusal = problem;
    this.trouble.replaceChildren(...(problem ? [problemBox(problem)] : []));
  }
}

function typesWords({ types }) {
  return types.length ? types.join(", ") : "all events";
}

function storyOf({ state, disabled_reason: reason, failing_since: failing, held_until: held, older_secret_until: older, waiting }) {
  const wait = waiting ? `${count(waiting, "event")} to be sent.` : "";
  if (state === "disabled") return [`${reason[0].toUpperCase()}${reason.slice(1)}.`, wait].filter(Boolean).join(" ");
  const old = older && `The secret before signs too, until ${when(older)}.`;
  const asked = held && Date.parse(held) > now() && `It asked for time: nothing is sent until ${when(held)}.`;
  const silent = failing && `Nothing was delivered since ${when(failing)}. It is tried again by itself.`;
  return [silent, asked, (failing || asked) && wait, old].filter(Boolean).join(" ");
}
