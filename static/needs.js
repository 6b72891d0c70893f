// What stands still until somebody decides: missed, unclear, rejected, or waiting for approval; and takes whose segments
// wait to be kept.

import { h, named, setHidden } from "./dom.js";
import { PublicationLine } from "./publication-line.js";
import { isNews } from "./publication-words.js";
import { publications } from "./publications.js";
import { toReview } from "./to-review.js";
import { count } from "./words.js";

export class Needs {
  #lines = new Map(); // publication id → PublicationLine
  #takes = new Map(); // job id → its line

  constructor() {
    this.section = document.getElementById("needs");
    this.heading = document.getElementById("needs-title");
    this.list = document.getElementById("needs-list");
    toReview.onChange(() => this.#review());
    this.#review();
    publications.onChange((publication) => this.#put(publication));
    for (const publication of publications.news) this.#put(publication);
  }

  #put(publication) {
    const line = this.#lines.get(publication.id);
    if (!isNews(publication)) {
      if (line) this.#take(publication.id, line);
    } else if (line) {
      line.show(publication);
    } else {
      const added = new PublicationLine(publication, { says: "segment", acts: true });
      this.#lines.set(publication.id, added);
      const after = [...this.#lines.values()].find((one) => Date.parse(one.publication.due_at) > Date.parse(publication.due_at));
      this.list.insertBefore(added.element, after?.element.parentNode === this.list ? after.element : null);
    }
    this.#around();
  }

  /** Takes first: nothing of them is planned before somebody looked. */
  #review() {
    const wanted = new Set(toReview.takes.map((take) => take.job_id));
    for (const [id, line] of this.#takes) {
      if (wanted.has(id)) continue;
      if (line.contains(document.activeElement)) this.heading.focus();
      line.remove();
      this.#takes.delete(id);
    }
    toReview.takes.forEach((take, place) => {
      const line = this.#takes.get(take.job_id) ?? h("li", { class: "line" });
      const words = `${count(take.segments, "segment")} to keep or drop`;
      if (line.dataset.words !== words) line.replaceChildren(takeLine(take, words));
      line.dataset.words = words;
      this.#takes.set(take.job_id, line);
      if (this.list.children[place] !== line) this.list.insertBefore(line, this.list.children[place] ?? null);
    });
    this.#around();
  }

  #take(id, line) {
    const hadFocus = line.element.contains(document.activeElement);
    line.element.remove();
    this.#lines.delete(id);
    if (!hadFocus) return;
    if (this.#lines.size || this.#takes.size) this.heading.focus();
    else document.getElementById("calendar-title").focus();
  }

  #around() {
    setHidden(this.section, this.#lines.size === 0 && this.#takes.size === 0);
  }
}

/** Its card, where that is among those that are listed. */
function focusTake(id) {
  document.querySelector(`[data-job="${CSS.escape(id)}"] h3`)?.focus();
}

function takeLine(take, words) {
  return h(
    "a",
    { class: "line-main", href: "#takes", onclick: () => addEventListener("hashchange", () => focusTake(take.job_id), { once: true }) },
    h("span", { class: "line-time" }, words),
    h("span", { class: "line-name" }, named(take.filename)),
    h("span", { class: "chip" }, "Look"),
  );
}
