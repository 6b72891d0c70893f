// All of one publication: how it is doing, in the platform's own words; its time and text, as long as they can be changed.

import { request } from "./api.js";
import { announce } from "./announce.js";
import { accounts } from "./accounts.js";
import { h, icon, named, setAttribute, setHidden, setText, whileBusy } from "./dom.js";
import { MomentField } from "./moment-field.js";
import { problemBox } from "./problem.js";
import { actionButtons, nameOf } from "./publication-actions.js";
import { isMissed, isOpen, platformName, stateWord, storyOf, tone } from "./publication-words.js";
import { publications } from "./publications.js";
import { Sheet } from "./sheet.js";
import { count, plainName } from "./words.js";
import { WordingForm } from "./wording.js";
import { here, momentWords } from "./zones.js";

const JUDGE_AFTER_MS = 300; // of silence while typing
const SHOWN_ERRORS = 5;

let open = null;

publications.onChange((publication) => {
  if (publication?.id === open?.id) open.show(publication);
});

export function openPublication(id) {
  open?.sheet.close();
  open = new PublicationSheet(publications.get(id));
  open.sheet.open();
  publications.look(id);
}

class PublicationSheet {
  #buttons = "";
  #touched = false;
  #judging = 0;

  constructor(publication) {
    this.id = publication.id;
    this.publication = publication;
    const title = [`Segment ${publication.segment_index + 1} of `, named(plainName(publication.filename))];
    this.sheet = new Sheet({ title, label: nameOf(publication), onClose: () => this.#closed() });
    this.#build();
    this.show(publication);
    this.#judge();
  }

  show(publication) {
    this.publication = publication;
    const opens = isOpen(publication);
    this.element.dataset.tone = tone(publication);
    setText(this.chip, stateWord(publication));
    setText(this.where, `${platformName(publication.platform)} · ${publication.account_name}`);
    setText(this.story, storyOf(publication));
    setHidden(this.story, !this.story.textContent);
    this.#facts(publication);
    this.#errors(publication);
    this.#links(publication);
    this.#act(publication);
    if (!this.#touched) this.#fill(publication);
    setHidden(this.form, !opens, this.sheet.title);
  }

  get #zone() {
    return accounts.get(this.publication.account_id)?.settings.zone ?? here();
  }

  #fill(publication) {
    this.moment.set(Date.parse(publication.due_at), this.#zone);
    this.wording.show(publication.post);
  }

  #facts(publication) {
    const facts = [];
    const at = (iso) => momentWords(Date.parse(iso));
    if (publication.published_at) facts.push(`Published ${at(publication.published_at)}`);
    else facts.push(`${isMissed(publication) ? "Was due" : "Due"} ${at(publication.due_at)}`);
    if (publication.failures) facts.push(`${count(publication.failures, "attempt")} failed in a row`);
    if (publication.retry_at) facts.push(`tried again ${at(publication.retry_at)}`);
    if (publication.privacy_seen) facts.push(`seen there as ${publication.privacy_seen}`);
    setText(this.facts, facts.join(" · "));
    const said = publication.said && publication.said !== this.story.textContent ? publication.said : "";
    setText(this.said, said && `${platformName(publication.platform)} says: ${said}`);
    setHidden(this.said, !said);
  }

  #errors({ errors }) {
    setHidden(this.errors, errors.length === 0);
    const shown = errors.slice(-SHOWN_ERRORS).reverse();
    this.errorList.replaceChildren(
      ...shown.map(({ at, code, message, trace }) =>
        h("li", {}, `${momentWords(Date.parse(at))}: ${message}`, h("span", { class: "code" }, [code, trace].filter(Boolean).join(" · "))),
      ),
    );
  }

  #links(publication) {
    const safe = /^https?:\/\//.test(publication.url ?? "");
    setHidden(this.link, !safe, this.sheet.title);
    if (safe) setAttribute(this.link, "href", publication.url);
    setText(this.link.lastChild, `Open on ${platformName(publication.platform)}`);
    setHidden(this.receipt, publication.state !== "published", this.sheet.title);
  }

  #act(publication) {
    const buttons = actionButtons(publication, { refused: (problem) => this.#refused(problem) });
    const key = buttons.map((button) => button.dataset.what).join();
    if (key === this.#buttons) return;
    this.#buttons = key;
    const hadFocus = this.actions.contains(document.activeElement);
    this.actions.replaceChildren(...buttons);
    if (hadFocus) this.sheet.title.focus();
  }

  /** What the server makes of the text as it is typed. */
  #judge() {
    clearTimeout(this.#judging);
    if (!isOpen(this.publication)) return;
    this.#judging = setTimeout(async () => {
      const { segment_id, account_id } = this.publication;
      const asked = this.wording.values();
      try {
        const said = await request("POST", "/v1/posts/preview", { segment_id, account_id, wording: asked });
        if (JSON.stringify(asked) === JSON.stringify(this.wording.values())) this.wording.judge(said);
      } catch (problem) {
        if (problem.status === 400) this.wording.judge({ counts: null, faults: [problem.detail || problem.title] });
      }
    }, JUDGE_AFTER_MS);
  }

  async #save() {
    const changes = {};
    const wording = this.wording.changes();
    if (this.moment.changed) changes.when = this.moment.value;
    if (Object.keys(wording).length) changes.wording = wording;
    this.#refused(null);
    if (changes.when === "") return this.#refused({ title: "Choose a date and a time" });
    if (!Object.keys(changes).length) return this.sheet.close();
    try {
      this.#touched = false;
      await publications.change(this.id, changes);
      announce(`${nameOf(this.publication)}: saved, due ${momentWords(Date.parse(this.publication.due_at))}.`);
      this.sheet.close();
    } catch (problem) {
      this.#touched = true;
      this.#refused(problem);
      announce(problem.words);
    }
    return undefined;
  }

  #refused(problem) {
    this.trouble.replaceChildren(...(problem ? [problemBox(problem)] : []));
  }

  #closed() {
    clearTimeout(this.#judging);
    if (open === this) open = null;
  }

  #build() {
    const { publication } = this;
    this.chip = h("span", { class: "chip" });
    this.where = h("span", {});
    this.story = h("p", { class: "story" });
    this.facts = h("p", { class: "card-facts" });
    this.said = h("p", { class: "said" });
    this.errorList = h("ul", { class: "notes", "aria-label": "What went wrong" });
    this.errors = h("details", { class: "fold" }, h("summary", { class: "fold-summary" }, h("span", {}, "What went wrong")), this.errorList);
    this.actions = h("div", { class: "line-actions" });
    this.trouble = h("div", { class: "trouble" });
    this.link = h("a", { class: "button", target: "_blank", rel: "noopener noreferrer" }, icon("out"), h("span", {}));
    this.receipt = h("a", { class: "button quiet", href: `/v1/publications/${this.id}/receipt`, target: "_blank" }, "Receipt");
    this.moment = new MomentField({ id: `${this.id}-due`, label: "When", zone: this.#zone, onInput: () => this.#touch() });
    this.wording = new WordingForm({
      id: `${this.id}-post`,
      platform: publication.platform,
      templates: false,
      onInput: () => {
        this.#touch();
        this.#judge();
      },
    });
    const save = h("button", { class: "button primary", type: "submit" }, h("span", {}, "Save changes"));
    this.form = h(
      "form",
      {
        class: "settings",
        autocomplete: "off",
        novalidate: true,
        onsubmit: (event) => {
          event.preventDefault();
          whileBusy(save, () => this.#save());
        },
      },
      this.moment.element,
      this.wording.element,
      h("div", { class: "save" }, save),
    );
    this.element = h(
      "div",
      { class: "sheet-parts" },
      h("p", { class: "where" }, this.chip, this.where),
      this.story,
      this.facts,
      this.said,
      this.errors,
      this.trouble,
      this.actions,
      h("div", { class: "line-actions" }, this.link, this.receipt),
      this.form,
    );
    this.sheet.body.append(this.element);
  }

  #touch() {
    this.#touched = true;
  }
}
