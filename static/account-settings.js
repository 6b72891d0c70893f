// How one account is published to. What is typed stays when the page looks again; only what was changed is sent.

import { request } from "./api.js";
import { announce } from "./announce.js";
import { accounts } from "./accounts.js";
import { h, setHidden, setText, whileBusy } from "./dom.js";
import { now } from "./now.js";
import { problemBox } from "./problem.js";
import { publications } from "./publications.js";
import { nextSlots, parseSlots, slotLines } from "./slots.js";
import { WordingForm } from "./wording.js";
import { allZones, here, isZone, momentWords } from "./zones.js";

const SHOWN_TIMES = 3;

export class AccountSettings {
  #touched = false;
  #built = false;

  constructor(account, { name }) {
    this.account = account;
    this.name = name;
    this.element = h("div", { class: "fold-body" });
  }

  /** The form is made when its fold is first opened. */
  open(isOpen) {
    if (!isOpen || this.#built) return;
    this.#built = true;
    this.#build();
    this.show(this.account);
  }

  show(account) {
    this.account = account;
    if (this.#built && !this.#touched) this.#fill(account.settings);
  }

  #fill(settings) {
    this.automatic.checked = settings.automatic;
    this.zone.value = this.#unset(settings) ? here() : settings.zone;
    this.slots.value = settings.slots.join("\n");
    this.gap.value = String(Math.round(settings.gap_s / 60));
    this.cap.value = settings.daily_cap === null ? "" : String(settings.daily_cap);
    this.approve.checked = settings.approve;
    if (this.delivery) this.delivery.value = settings.delivery;
    if (this.hands) this.hands.checked = settings.hands_over_time;
    this.wording.show(settings.wording);
    this.#read();
  }

  /** Whether nobody has chosen when it goes out: the first slots that are typed are meant in the zone of who types them. */
  #unset({ slots, zone }) {
    return zone === "UTC" && slots.length === 0;
  }

  /** What the form says, as the server has it. */
  #values() {
    const values = {
      automatic: this.automatic.checked,
      zone: this.zone.value.trim(),
      slots: slotLines(this.slots.value),
      gap_s: 60 * (this.gap.valueAsNumber || 0),
      daily_cap: Number.isNaN(this.cap.valueAsNumber) ? null : this.cap.valueAsNumber,
      approve: this.approve.checked,
    };
    if (this.delivery) values.delivery = this.delivery.value;
    if (this.hands) values.hands_over_time = this.hands.checked;
    return values;
  }

  #changes() {
    const { settings } = this.account;
    const changed = Object.entries(this.#values()).filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(settings[name]));
    const wording = this.wording.changes();
    return { ...Object.fromEntries(changed), ...(Object.keys(wording).length ? { wording } : {}) };
  }

  #useHere() {
    this.zone.value = here();
    this.zone.dispatchEvent(new Event("input", { bubbles: true }));
  }

  /** Says the next times while slots and zone are typed. */
  #read() {
    const zone = this.zone.value.trim();
    const lines = slotLines(this.slots.value);
    const { week, fault } = parseSlots(lines);
    setHidden(this.fromHere, zone === here(), this.zone);
    const wrong = fault || (isZone(zone) ? "" : `There is no time zone \u201c${zone}\u201d: write a name like Europe/Paris.`);
    this.next.dataset.wrong = String(Boolean(wrong));
    if (wrong) return setText(this.next, wrong);
    if (!lines.length) return setText(this.next, "No slots: a segment goes out at once when it is ready.");
    const times = nextSlots(week, zone, now(), SHOWN_TIMES).map((at) => momentWords(at, zone));
    return setText(this.next, `Next: ${times.join(" \u00b7 ")}`);
  }

  #build() {
    const { id, platform } = this.account;
    const field = (what, words, control, ...notes) => {
      control.id = `${id}-${what}`;
      notes.forEach((note, n) => (note.id = `${id}-${what}-note${n}`));
      if (notes.length) control.setAttribute("aria-describedby", notes.map((note) => note.id).join(" "));
      return h("div", { class: "field" }, h("label", { for: control.id }, words), control, ...notes);
    };
    const check = (what, words, help = "") => {
      const box = h("input", { type: "checkbox", id: `${id}-${what}`, "aria-describedby": help && `${id}-${what}-help` });
      const note = help && h("p", { class: "help", id: `${id}-${what}-help` }, help);
      return [box, h("div", { class: "field check" }, box, h("label", { for: box.id }, words), note)];
    };
    const help = (words) => h("p", { class: "help" }, words);

    const [automatic, automaticRow] = check("automatic", "Publish here by itself", "Segments of takes that name no account go here.");
    const [approve, approveRow] = check("approve", "Ask me before each one", "What is due waits until it is approved.");
    const [hands, handsRow] = check("hands", "Let YouTube keep the time", "Sent early, as private; YouTube makes it public on time.");
    this.automatic = automatic;
    this.approve = approve;
    this.hands = platform === "youtube" ? hands : null;
    const zones = h("datalist", { id: `${id}-zones` }, ...allZones().map((value) => h("option", { value })));
    this.zone = h("input", { type: "text", list: zones.id, autocomplete: "off", autocapitalize: "none", spellcheck: "false", placeholder: here() });
    this.fromHere = h(
      "button",
      { class: "button quiet", type: "button", "aria-label": `Use ${here()} for ${this.name}`, onclick: () => this.#useHere() },
      `Use ${here()}`,
    );
    this.slots = h("textarea", { rows: "2", spellcheck: "false", placeholder: "Mon-Fri 12:00, 18:00" });
    this.next = help("");
    this.gap = h("input", { type: "number", min: "0", step: "1", inputmode: "numeric" });
    this.cap = h("input", { type: "number", min: "1", step: "1", inputmode: "numeric", placeholder: "any" });
    this.delivery =
      platform === "tiktok"
        ? h("select", {}, h("option", { value: "draft" }, "As a draft in the app"), h("option", { value: "direct" }, "Posted directly"))
        : null;
    this.wording = new WordingForm({
      id: `${id}-wording`,
      platform,
      templates: true,
      preview: (wording) => publications.preview({ account_id: id, wording }),
      direct: () => this.delivery?.value === "direct",
      choices: () => accounts.choices(id),
    });
    this.trouble = h("div", { class: "trouble" });
    this.saved = h("p", { class: "help" });
    const save = h("button", { class: "button primary", type: "submit", "aria-label": `Save the settings of ${this.name}` }, h("span", {}, "Save"));
    const form = h(
      "form",
      {
        class: "settings",
        "aria-label": `Settings of ${this.name}`,
        autocomplete: "off",
        novalidate: true,
        oninput: () => {
          this.#touched = true;
          setText(this.saved, "");
          this.#read();
          this.wording.agree();
        },
        onsubmit: (event) => {
          event.preventDefault();
          whileBusy(save, () => this.#save());
        },
      },
      h(
        "fieldset",
        { class: "group" },
        h("legend", {}, "When"),
        automaticRow,
        field("slots", "Weekly slots, one line each", this.slots, this.next),
        h("div", { class: "zone" }, field("zone", "Time zone", this.zone), this.fromHere),
        zones,
        h("div", { class: "pair" }, field("gap", "Minutes between two", this.gap), field("cap", "At most a day", this.cap)),
        approveRow,
        this.hands && handsRow,
        this.delivery && field("delivery", "How TikTok gets it", this.delivery, help("TikTok must have audited your app before it posts directly to everybody.")),
      ),
      h(
        "fieldset",
        { class: "group" },
        h("legend", {}, "What is said, unless the take says something else"),
        help("{title}, {n}, {total}, {filename} and {date} stand for what each segment has. Empty: the usual."),
        this.wording.element,
      ),
      this.trouble,
      h("div", { class: "save" }, save, this.saved),
    );
    this.element.append(form);
  }

  async #save() {
    const changes = this.#changes();
    this.trouble.replaceChildren();
    try {
      if (Object.keys(changes).length) {
        const account = await request("PATCH", `/v1/accounts/${this.account.id}`, changes);
        this.#touched = false;
        accounts.put(account);
        publications.resync(); // what is planned in slots moves with them
      }
      this.#touched = false;
      setText(this.saved, "Saved.");
      announce(`The settings of ${this.name} are saved.`);
    } catch (problem) {
      this.trouble.replaceChildren(problemBox(problem));
      announce(problem.words);
    }
    setHidden(this.saved, false);
  }
}
