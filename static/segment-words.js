// What is said with one segment and with no other: its title and caption, counted as each platform counts while typing.

import { request } from "./api.js";
import { announce } from "./announce.js";
import { accounts } from "./accounts.js";
import { h, setHidden, whileBusy } from "./dom.js";
import { problemBox } from "./problem.js";
import { platformName } from "./publication-words.js";
import { publications } from "./publications.js";

const JUDGE_AFTER_MS = 250; // of silence while typing
const CALLED = { youtube: { caption: "description" } };

export class SegmentWords {
  #judging = 0;

  constructor(segment, job, { name, look, close }) {
    Object.assign(this, { segment, name, look, close });
    const id = `${segment.segment_id}-said`;
    this.title = h("input", { type: "text", id: `${id}-title`, autocomplete: "off", "aria-describedby": `${id}-help` });
    this.caption = h("textarea", { id: `${id}-caption`, rows: "4", "aria-describedby": `${id}-help` });
    this.title.value = segment.title ?? "";
    this.caption.value = segment.caption ?? "";
    this.counts = h("ul", { class: "counts", hidden: true, "aria-label": "As the platforms count it" });
    this.trouble = h("div", { class: "trouble" });
    this.save = h("button", { class: "button primary", type: "submit" }, h("span", {}, "Save the words"));
    this.element = h(
      "form",
      {
        class: "sheet-parts",
        autocomplete: "off",
        oninput: () => this.#judgeSoon(),
        onsubmit: (event) => {
          event.preventDefault();
          whileBusy(this.save, () => this.#send());
        },
      },
      h("div", { class: "field" }, h("label", { for: this.title.id }, "Title"), this.title),
      h("div", { class: "field" }, h("label", { for: this.caption.id }, "Caption"), this.caption),
      h("p", { class: "help", id: `${id}-help` }, "Empty: as the take and the account say it. {title}, {n}, {total}, {filename} and {date} stand for what each segment has. What is planned already follows."),
      this.counts,
      this.trouble,
      h("div", { class: "save" }, this.save),
    );
  }

  open() {
    this.#judgeSoon();
  }

  leave() {}

  remove() {
    clearTimeout(this.#judging);
  }

  get #said() {
    return { title: this.title.value.trim() || null, caption: this.caption.value.trim() || null };
  }

  #judgeSoon() {
    clearTimeout(this.#judging);
    this.#judging = setTimeout(() => this.#judge(), JUDGE_AFTER_MS);
  }

  /** One account of each platform: the limits are the platform's. */
  async #judge() {
    const wording = this.#said;
    const one = [...new Map(accounts.connected.map((account) => [account.platform, account])).values()];
    try {
      const found = await Promise.all(one.map((account) => publications.preview({ segment_id: this.segment.segment_id, account_id: account.id, wording })));
      if (JSON.stringify(wording) !== JSON.stringify(this.#said)) return;
      const lines = found.map((said, n) => line(one[n].platform, said));
      this.counts.replaceChildren(...lines);
      setHidden(this.counts, lines.length === 0);
    } catch {
      // the connection is gone, or the words cannot be saved either, which then says why
    }
  }

  async #send() {
    this.trouble.replaceChildren();
    try {
      await request("PATCH", `/v1/segments/${encodeURIComponent(this.segment.segment_id)}`, this.#said);
      announce(`The words of ${this.name} are saved.`);
      this.look();
      this.close();
    } catch (problem) {
      this.trouble.replaceChildren(problemBox(problem));
      announce(problem.words);
    }
  }
}

function line(platform, { counts, faults }) {
  const used = ["title", "caption"].filter((what) => counts?.[what]).map((what) => `${CALLED[platform]?.[what] ?? what} ${counts[what].used} of ${counts[what].max} ${counts[what].unit}`);
  const over = Object.values(counts ?? {}).some(({ used: much, max }) => much > max) || faults.length > 0;
  return h("li", { "data-over": String(over) }, h("b", {}, platformName(platform)), ` ${[...used, ...faults].join("; ")}`);
}
