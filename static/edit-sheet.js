// One segment edited: where it is cut, which picture stands for it, and what is said with it.

import { Cover } from "./cover.js";
import { h, named } from "./dom.js";
import { SegmentWords } from "./segment-words.js";
import { Sheet } from "./sheet.js";
import { Trim } from "./trim.js";

const TABS = { trim: ["Cuts", Trim], cover: ["Cover", Cover], words: ["Words", SegmentWords] };

export function openEdit(segment, job, names) {
  new EditSheet(segment, job, names).sheet.open();
}

class EditSheet {
  #panels = new Map(); // tab → what is in it, once it was opened
  #shown = "";

  constructor(segment, job, { of, name, look }) {
    Object.assign(this, { segment, job, name, look });
    this.sheet = new Sheet({
      title: [`Edit segment ${segment.index + 1} of `, named(of)],
      label: `editing of ${name}`,
      onClose: () => this.#panels.forEach((panel) => panel.remove()),
    });
    const id = `${segment.segment_id}-edit`;
    this.tabs = new Map(Object.entries(TABS).map(([tab, [words]]) => [tab, this.#tab(tab, words, id)]));
    this.places = new Map(
      Object.keys(TABS).map((tab) => [tab, h("div", { role: "tabpanel", id: `${id}-${tab}`, "aria-labelledby": `${id}-${tab}-tab`, hidden: true })]),
    );
    const list = h("div", { class: "tablist", role: "tablist", "aria-label": `What to edit of ${name}`, onkeydown: (event) => this.#key(event) }, ...this.tabs.values());
    this.sheet.body.append(h("div", { class: "sheet-parts" }, list, ...this.places.values()));
    this.#show("trim");
  }

  #tab(tab, words, id) {
    return h("button", { class: "button", type: "button", role: "tab", id: `${id}-${tab}-tab`, "aria-controls": `${id}-${tab}`, onclick: () => this.#show(tab) }, words);
  }

  #key(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const names = [...this.tabs.keys()];
    const next = names[(names.indexOf(this.#shown) + step + names.length) % names.length];
    this.#show(next);
    this.tabs.get(next).focus();
  }

  #show(tab) {
    if (tab === this.#shown) return;
    this.#panels.get(this.#shown)?.leave();
    this.#shown = tab;
    for (const [name, button] of this.tabs) {
      button.setAttribute("aria-selected", String(name === tab));
      button.tabIndex = name === tab ? 0 : -1;
      this.places.get(name).hidden = name !== tab;
    }
    if (!this.#panels.has(tab)) {
      const [, Panel] = TABS[tab];
      const panel = new Panel(this.segment, this.job, { name: this.name, look: this.look, close: () => this.sheet.close() });
      this.#panels.set(tab, panel);
      this.places.get(tab).append(panel.element);
    }
    this.#panels.get(tab).open();
  }
}
