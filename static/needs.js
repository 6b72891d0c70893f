// What stands still until somebody decides: missed, unclear, rejected, or waiting for approval.

import { setHidden } from "./dom.js";
import { PublicationLine } from "./publication-line.js";
import { isNews } from "./publication-words.js";
import { publications } from "./publications.js";

export class Needs {
  #lines = new Map(); // publication id → PublicationLine

  constructor() {
    this.section = document.getElementById("needs");
    this.heading = document.getElementById("needs-title");
    this.list = document.getElementById("needs-list");
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

  #take(id, line) {
    const hadFocus = line.element.contains(document.activeElement);
    line.element.remove();
    this.#lines.delete(id);
    if (!hadFocus) return;
    if (this.#lines.size) this.heading.focus();
    else document.getElementById("calendar-title").focus();
  }

  #around() {
    setHidden(this.section, this.#lines.size === 0);
  }
}
