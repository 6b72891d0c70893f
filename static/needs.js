// What stands still until somebody decides: missed, unclear, rejected, or waiting for approval.

import { h, setHidden } from "./dom.js";
import { accounts } from "./accounts.js";
import { PublicationLine } from "./publication-line.js";
import { isNews } from "./publication-words.js";
import { publications } from "./publications.js";

export class Needs {
  #lines = new Map(); // publication id → PublicationLine
  #loading = null;

  constructor() {
    this.section = document.getElementById("needs");
    this.heading = document.getElementById("needs-title");
    this.list = document.getElementById("needs-list");
    this.badge = document.getElementById("calendar-badge");
    publications.onChange((publication) => this.#put(publication));
  }

  /** Asks which there are; without accounts there are none. */
  load() {
    if (accounts.list.length === 0) return this.#loading;
    this.#loading ??= publications
      .thatNeedSomebody()
      .then((found) => {
        const ids = new Set(found.map((one) => one.id));
        for (const id of [...this.#lines.keys()]) if (!ids.has(id)) this.#put(publications.get(id));
        for (const one of found) this.#put(one);
      })
      .finally(() => (this.#loading = null));
    return this.#loading;
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

  #take(id, line) {
    const hadFocus = line.element.contains(document.activeElement);
    line.element.remove();
    this.#lines.delete(id);
    if (!hadFocus) return;
    if (this.#lines.size) this.heading.focus();
    else document.getElementById("calendar-title").focus();
  }

  #around() {
    const count = this.#lines.size;
    setHidden(this.section, count === 0);
    setHidden(this.badge, count === 0);
    this.badge.replaceChildren(String(count), h("span", { class: "sr-only" }, count === 1 ? " needs you" : " need you"));
  }
}
