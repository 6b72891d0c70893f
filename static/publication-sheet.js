// All of one publication: how it is doing, in the platform's own words; its time and text, as long as they can be changed.

import { announce } from "./announce.js";
import { accounts } from "./accounts.js";
import { h, icon, named, setAttribute, setHidden, setText, whileBusy } from "./dom.js";
import { MomentField } from "./moment-field.js";
import { problemBox } from "./problem.js";
import { actionButtons, nameOf } from "./publication-actions.js";
import { isMissed, isMovable, isOpen, platformName, segmentWords, stateWord, storyOf, tone } from "./publication-words.js";
import { publications } from "./publications.js";
import { Sheet } from "./sheet.js";
import { count } from "./words.js";
import { WordingForm } from "./wording.js";
import { here, momentWords } from "./zones.js";

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

  constructor(publication) {
    this.id = publication.id;
    this.publication = publication;
    const title = [named(segmentWords(publication))];
    this.sheet = new Sheet({ title, label: nameOf(publication), onClose: () => this.#closed() });
    this.#build();
    this.show(publication);
  }

  show(publication) {
    this.publication = publication;
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
    setHidden(this.form, !this.#rewords && !isMovable(publication), this.sheet.title);
    setHidden(this.moment.element, !isMovable(publication), this.sheet.title);
    setHidden(this.wording.element, !this.#rewords, this.sheet.title);
    setText(this.save, isMovable(publication) ? "Save changes" : "Try again with these words");
  }

  /** Whether other words can be chosen: it is planned, or was rejected, perhaps for its words. */
  get #rewords() {
    return isOpen(this.publication) || this.publication.state === "rejected";
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

  /** What the server makes of the text as it stands: it is no template, so its braces are meant. */
  async #preview(values) {
    if (!this.#rewords) return null;
    const { segment_id, account_id } = this.publication;
    const meant = (text) => text?.replace(/[{}]/g, "$&$&");
    const wording = { ...values, title: meant(values.title), caption: meant(values.caption), hashtags: values.hashtags.map(meant) };
    return publications.preview({ segment_id, account_id, wording });
  }

  async #save() {
    const changes = {};
    const wording = this.#rewords ? this.wording.changes() : {};
    if (this.moment.changed && isMovable(this.publication)) changes.when = this.moment.value;
    if (Object.keys(wording).length) changes.wording = wording;
    this.#refused(null);
    if (changes.when === "") return this.#refused({ title: "Choose a date and a time" });
    if (!Object.keys(changes).length && isMovable(this.publication)) return this.sheet.close();
    try {
      this.#touched = false;
      if (isMovable(this.publication)) await publications.change(this.id, changes);
      else await publications.ask(this.id, "retry", changes);
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
      preview: (values) => this.#preview(values),
      onInput: () => this.#touch(),
      direct: () => accounts.get(publication.account_id)?.settings.delivery === "direct",
      choices: () => accounts.choices(publication.account_id),
    });
    this.save = h("span", {});
    const save = h("button", { class: "button primary", type: "submit" }, this.save);
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
