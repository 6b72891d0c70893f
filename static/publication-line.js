// One publication in a list: when, where, how it is doing, and what it says of itself. A press on it shows all of it.

import { announce } from "./announce.js";
import { h, icon, setAttribute, setHidden, setText, whileBusy } from "./dom.js";
import { part } from "./parts.js";
import { problemBox } from "./problem.js";
import { actionButtons, nameOf } from "./publication-actions.js";
import { isMissed, platformName, segmentWords, stateWord, storyOf, timeOf, tone } from "./publication-words.js";
import { momentWords, timeWords } from "./zones.js";

export class PublicationLine {
  #buttons = "";

  /**
   * `says`: "account" where the segment is clear from around it, else "segment".
   * `day`: the list is of one day. `acts`: with buttons for what can be done.
   */
  constructor(publication, { says, day = false, acts = false }) {
    Object.assign(this, { says, day, acts });
    this.time = h("span", { class: "line-time" });
    this.name = h("span", { class: "line-name" });
    this.chip = h("span", { class: "chip" });
    this.button = h(
      "button",
      { class: "line-main", type: "button", onclick: () => whileBusy(this.button, () => this.#open()) },
      this.time,
      this.name,
      this.chip,
    );
    this.story = h("p", { class: "line-story" });
    this.link = h("a", { class: "button quiet line-link", target: "_blank", rel: "noopener noreferrer" }, icon("out"), h("span", {}));
    this.actions = h("div", { class: "line-actions" });
    this.trouble = h("div", { class: "trouble" });
    this.element = h("li", { class: "line" }, this.button, this.story, this.trouble, this.actions, this.link);
    this.show(publication);
  }

  show(publication) {
    this.publication = publication;
    const at = timeOf(publication);
    const account = `${platformName(publication.platform)} · ${publication.account_name}`;
    this.element.dataset.tone = tone(publication);
    setAttribute(this.element, "data-publication", publication.id);
    setText(this.time, this.day ? timeWords(at) : momentWords(at));
    setText(this.name, this.says === "account" ? account : `${segmentWords(publication)} \u2192 ${account}`);
    setText(this.chip, stateWord(publication));
    setAttribute(this.button, "aria-label", `${nameOf(publication)}, ${momentWords(at)}: ${stateWord(publication)}`);
    setText(this.story, storyOf(publication));
    setHidden(this.story, !this.story.textContent);
    this.#link(publication);
    this.#act(publication);
  }

  focus() {
    this.button.focus();
  }

  async #open() {
    this.#refused(null);
    try {
      const { openPublication } = await part("publication");
      openPublication(this.publication.id);
    } catch (problem) {
      this.#refused(problem);
      announce(problem.words);
    }
  }

  #link({ url, platform }) {
    const safe = /^https?:\/\//.test(url ?? "");
    setHidden(this.link, !safe, this.button);
    if (!safe) return;
    setAttribute(this.link, "href", url);
    setText(this.link.lastChild, `Open on ${platformName(platform)}`);
    setAttribute(this.link, "aria-label", `Open on ${platformName(platform)}: ${nameOf(this.publication)}`);
  }

  #act(publication) {
    const buttons = this.acts ? actionButtons(publication, { refused: (problem) => this.#refused(problem) }) : [];
    if (this.acts && isMissed(publication)) buttons.splice(1, 0, this.#choose());
    const key = buttons.map((button) => button.dataset.what).join();
    if (key === this.#buttons) return; // the same buttons keep their focus
    this.#buttons = key;
    const hadFocus = this.actions.contains(document.activeElement);
    this.actions.replaceChildren(...buttons);
    setHidden(this.actions, buttons.length === 0);
    if (hadFocus) this.button.focus();
  }

  #choose() {
    const label = `Choose a time: ${nameOf(this.publication)}`;
    const button = h("button", { class: "button", type: "button", "data-what": "choose", "aria-label": label, onclick: () => whileBusy(button, () => this.#open()) }, "Choose a time");
    return button;
  }

  #refused(problem) {
    this.trouble.replaceChildren(...(problem ? [problemBox(problem)] : []));
  }
}
