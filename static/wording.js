// What is said with a segment: title, caption, hashtags, who sees it, and the platform's switches; counted while typing.

import { h, setHidden, setText } from "./dom.js";
import { platformName } from "./publication-words.js";

const PRIVACY = {
  youtube: [["public", "Everybody"], ["unlisted", "Who has the link"], ["private", "Only me"]],
  tiktok: [["public", "Everybody"], ["friends", "Friends"], ["followers", "Followers"], ["private", "Only me"]],
  instagram: [],
};
const SWITCHES = {
  youtube: [["made_for_kids", "Made for kids"], ["notify", "Tell subscribers"]],
  tiktok: [
    ["comments", "Comments allowed"],
    ["duet", "Duets allowed"],
    ["stitch", "Stitches allowed"],
    ["brand_content", "Paid partnership"],
    ["brand_organic", "Promotes my own business"],
  ],
  instagram: [["share_to_feed", "Also in the feed"]],
};
const USUAL = {
  youtube: { privacy: "public", made_for_kids: false, notify: true },
  tiktok: { privacy: null, comments: false, duet: false, stitch: false, brand_content: false, brand_organic: false },
  instagram: { privacy: "public", share_to_feed: true },
};
const CAPTION = { youtube: "Description", tiktok: "Caption", instagram: "Caption" };
const MUSIC = ["Music Usage Confirmation", "https://www.tiktok.com/legal/page/global/music-usage-confirmation/en"];
const BRANDED = ["Branded Content Policy", "https://www.tiktok.com/legal/page/global/bc-policy/en"];
const JUDGE_AFTER_MS = 250; // of silence while typing
const COUNTED = { title: "title", caption: "caption", hashtags: "hashtags", tags: "hashtags", mentions: "caption" };

export class WordingForm {
  #before = {};
  #judging = 0;
  #asked = false;

  /**
   * `templates`: of an account, where {title} stands for what each segment has; else of one post.
   * `preview(values)` asks the server what comes of it: {counts, faults}; null: it is not asked.
   * `onInput` hears of each change by hand; `direct()`: TikTok posts it, and does not leave a draft; `choices()` then
   * asks what the account offers.
   */
  constructor({ id, platform, templates, preview, onInput = () => {}, direct = () => false, choices = null }) {
    Object.assign(this, { id, platform, templates, preview, onInput, direct, choices });
    this.element = this.#build();
  }

  /** Shows a wording or a post. */
  show(values) {
    const usual = USUAL[this.platform];
    this.title.value = values.title ?? "";
    this.caption.value = values.caption ?? "";
    this.hashtags.value = (values.hashtags ?? []).map((tag) => `#${tag}`).join(" ");
    if (this.privacy) this.privacy.value = values.privacy ?? usual.privacy ?? "";
    for (const [name, box] of this.switches) box.checked = values[name] ?? usual[name];
    this.synthetic.value = values.synthetic === null || values.synthetic === undefined ? "" : String(values.synthetic);
    if (this.cover) this.cover.value = String((values.cover_ms ?? 0) / 1000);
    setText(this.syntheticWhy, values.synthetic_reason ?? "");
    this.agree();
    this.#before = this.values();
    this.#judgeSoon();
  }

  /** All that is chosen, as a wording has it. */
  values() {
    const empty = this.templates ? null : "";
    const found = { title: this.title.value.trim() || empty, caption: this.caption.value.trim() || empty, hashtags: hashtagsOf(this.hashtags.value) };
    if (this.privacy) found.privacy = this.privacy.value || null;
    for (const [name, box] of this.switches) found[name] = box.checked;
    found.synthetic = this.synthetic.value === "" ? null : this.synthetic.value === "true";
    if (this.cover) found.cover_ms = Math.round(1000 * (this.cover.valueAsNumber || 0));
    return found;
  }

  /** What differs from what was shown. */
  changes() {
    const now = Object.entries(this.values());
    return Object.fromEntries(now.filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(this.#before[name])));
  }

  /** What a direct post agrees to, as TikTok wants it said; of a draft, that all but its text is chosen in the app. */
  agree() {
    if (!this.terms) return;
    if (!this.direct()) return setText(this.terms, "A draft takes the text along. All else is chosen in the app, and whether it was made by AI is said there.");
    const paid = this.switches.some(([name, box]) => name === "brand_content" && box.checked);
    const [first, ...others] = (paid ? [BRANDED, MUSIC] : [MUSIC]).map(([words, href]) => h("a", { href, target: "_blank", rel: "noopener noreferrer" }, words));
    const parts = ["By posting, you agree to TikTok\u2019s ", first, ...others.flatMap((link) => [" and ", link]), ". It may take minutes until it can be seen."];
    this.terms.replaceChildren(...parts);
    this.#ask();
  }

  /** Once, when it is to be posted directly: what the account offers at this moment. */
  async #ask() {
    if (this.#asked) return;
    this.#asked = true;
    try {
      this.#offer(await this.choices());
    } catch (problem) {
      setText(this.offered, problem.words);
    }
  }

  #offer({ name, username, privacy, ...offered }) {
    for (const option of this.privacy.options) option.disabled = Boolean(option.value) && !privacy.includes(option.value);
    const off = SWITCHES[this.platform].filter(([what], n) => (this.switches[n][1].disabled = offered[what] === false)).map(([, words]) => words.replace(" allowed", "").toLowerCase());
    setText(this.offered, [`Posted as ${name}, @${username}.`, off.length && `Off in the TikTok app: ${off.join(", ")}.`].filter(Boolean).join(" "));
  }

  /** Counts of the server, and what the platform would refuse. Counts are null where the text cannot be made. */
  judge({ counts, faults }) {
    if (counts) this.#count(counts);
    this.faults.replaceChildren(...faults.map((fault) => h("li", {}, fault)));
    setHidden(this.faults, faults.length === 0);
  }

  #count(counts) {
    const found = Object.entries(counts);
    for (const [place, element] of Object.entries(this.counts)) {
      const mine = found.filter(([name]) => COUNTED[name] === place);
      setText(element, mine.map(([name, { used, max, unit }]) => `${used} of ${max} ${name === "tags" ? "characters of tags" : unit}`).join(" · "));
      element.dataset.over = String(mine.some(([, { used, max }]) => used > max));
    }
  }

  #judgeSoon() {
    clearTimeout(this.#judging);
    this.#judging = setTimeout(async () => {
      const asked = this.values();
      if (!this.element.isConnected) return;
      try {
        const said = await this.preview(asked);
        if (said && JSON.stringify(asked) === JSON.stringify(this.values())) this.judge(said);
      } catch {
        // the connection is gone, or the text cannot be saved either, which then says why
      }
    }, JUDGE_AFTER_MS);
  }

  #typed() {
    this.agree();
    this.#judgeSoon();
    this.onInput();
  }

  #build() {
    const name = platformName(this.platform);
    this.title = h("input", { type: "text", autocomplete: "off" });
    this.caption = h("textarea", { rows: "4" });
    this.hashtags = h("input", { type: "text", autocomplete: "off", autocapitalize: "none", spellcheck: "false" });
    this.counts = { title: h("span", { class: "count" }), caption: h("span", { class: "count" }), hashtags: h("span", { class: "count" }) };
    const text = (control, what, words) => this.#field(control, what, words, this.counts[what]);
    const titleHelp = this.platform === "youtube" ? "" : ", if there is no caption";
    this.faults = h("ul", { class: "faults", hidden: true, "aria-label": `What ${name} would refuse` });
    this.terms = this.platform === "tiktok" ? h("p", { class: "help", id: `${this.id}-terms` }) : null;
    this.switches = SWITCHES[this.platform].map(([what]) => [what, h("input", { type: "checkbox", id: `${this.id}-${what}` })]);
    const element = h(
      "div",
      { class: "fields" },
      text(this.title, "title", `Title${titleHelp}`),
      text(this.caption, "caption", CAPTION[this.platform]),
      text(this.hashtags, "hashtags", "Hashtags"),
      this.faults,
      this.#buildPrivacy(),
      h(
        "div",
        { class: "switches" },
        ...SWITCHES[this.platform].map(([what, words], n) =>
          h("div", { class: "field check" }, this.switches[n][1], h("label", { for: `${this.id}-${what}` }, words)),
        ),
      ),
      this.#buildSynthetic(),
      this.#buildCover(),
      this.terms,
    );
    element.addEventListener("input", () => this.#typed());
    return element;
  }

  #field(control, what, words, count = null, help = null) {
    const id = `${this.id}-${what}`;
    control.id = id;
    const notes = [count, help].filter(Boolean);
    notes.forEach((note, n) => (note.id = `${id}-note${n}`));
    if (notes.length) control.setAttribute("aria-describedby", notes.map((note) => note.id).join(" "));
    return h("div", { class: "field" }, h("div", { class: "field-head" }, h("label", { for: id }, words), count), control, help);
  }

  #buildPrivacy() {
    const known = PRIVACY[this.platform];
    if (!known.length) return null;
    const choose = this.platform === "tiktok" ? [["", "Choose…"]] : [];
    this.privacy = h("select", {}, ...[...choose, ...known].map(([value, words]) => h("option", { value }, words)));
    this.offered = this.platform === "tiktok" ? h("p", { class: "help" }, "TikTok wants a person to choose.") : null;
    return this.#field(this.privacy, "privacy", "Who sees it", null, this.offered);
  }

  #buildSynthetic() {
    this.syntheticWhy = h("p", { class: "help" });
    const as = this.templates ? [["", "As each segment is"]] : [];
    const known = [...as, ["true", "Yes, it is labelled"], ["false", "No"]];
    this.synthetic = h("select", {}, ...known.map(([value, words]) => h("option", { value }, words)));
    return this.#field(this.synthetic, "synthetic", "Altered or made by AI", null, this.syntheticWhy);
  }

  #buildCover() {
    if (this.platform === "youtube" || this.templates) return null;
    this.cover = h("input", { type: "number", min: "0", step: "0.1", inputmode: "decimal" });
    return this.#field(this.cover, "cover", "Cover at, seconds");
  }
}

/** The hashtags of a text field, without "#", each once. */
function hashtagsOf(text) {
  const kept = new Map();
  for (const word of text.split(/[\s,]+/)) {
    const name = word.replace(/^#+/, "");
    if (name && !kept.has(name.toLowerCase())) kept.set(name.toLowerCase(), name);
  }
  return [...kept.values()];
}
