// Where the takes that are sent now go when they are done, for the upload's query. Nothing of it is remembered: what is
// published by a choice of yesterday is published by accident.

import { accounts } from "./accounts.js";
import { h, setHidden, setText } from "./dom.js";
import { MomentField } from "./moment-field.js";
import { now } from "./now.js";
import { accountWords } from "./publication-words.js";
import { here } from "./zones.js";

const HOUR_MS = 3_600_000;
const LOOK_FIRST = "vidprod.review"; // that nothing goes out by itself is remembered, on this device

let boxes = new Map(); // account id → its checkbox
let shown = "";

const place = document.getElementById("targets");
const where = h(
  "select",
  { id: "publish", "aria-describedby": "publish-help", onchange: tell },
  h("option", { value: "automatic" }, "As the accounts are set"),
  h("option", { value: "none" }, "Nowhere"),
  h("option", { value: "chosen" }, "To these accounts"),
);
const whereHelp = h("p", { class: "help", id: "publish-help" });
const list = h("div", { class: "switches" });
const time = h(
  "select",
  { id: "publish_when", onchange: tell },
  h("option", { value: "slot" }, "In the accounts' slots"),
  h("option", { value: "now" }, "At once"),
  h("option", { value: "at" }, "From a time on"),
);
const timeField = h("div", { class: "field" }, h("label", { for: "publish_when" }, "When it goes out"), time);
const moment = new MomentField({ id: "publish_at", label: "From", zone: here() });
const title = h("input", { type: "text", id: "title", autocomplete: "off", placeholder: "{filename}" });
const caption = h("textarea", { id: "caption", rows: "3", "aria-describedby": "wording-help" });
const hashtags = h("input", { type: "text", id: "hashtags", autocomplete: "off", autocapitalize: "none", spellcheck: "false", placeholder: "#one #two" });
const wordingHelp = h("p", { class: "help", id: "wording-help" }, "Empty: as the account says it. {title}, {n}, {total}, {filename} and {date} stand for what each segment has.");
const look = h("input", { type: "checkbox", id: "review", "aria-describedby": "review-help", onchange: remember });
const lookField = h(
  "div",
  { class: "field check" },
  look,
  h("label", { for: "review" }, "I look at the segments first"),
  h("p", { class: "help", id: "review-help" }, "Nothing of them is planned until you keep it."),
);
const field = (control, words, ...more) => h("div", { class: "field" }, h("label", { for: control.id }, words), control, ...more);
const said = h("div", { class: "fields" }, field(title, "Title"), field(caption, "Caption"), field(hashtags, "Hashtags"), wordingHelp);

export function startTargets() {
  try {
    look.checked = localStorage.getItem(LOOK_FIRST) === "on";
  } catch {
    // storage is forbidden: it is chosen anew each time
  }
  place.append(field(where, "Publish", whereHelp), list, lookField, timeField, moment.element, said);
  place.addEventListener("submit", (event) => event.preventDefault());
  accounts.onChange(show);
  show();
}

/** What is chosen, as part of the upload's query; "" leaves it to the accounts. */
export function chosenTargets() {
  if (place.hidden) return "";
  const query = new URLSearchParams();
  const chosen = [...boxes].filter(([, box]) => box.checked).map(([id]) => id);
  if (where.value === "none" || (where.value === "chosen" && !chosen.length)) return "publish=none";
  if (look.checked) query.set("review", "on");
  if (where.value === "chosen") query.set("publish", chosen.join(","));
  if (time.value === "now" || (time.value === "at" && moment.value)) query.set("publish_when", time.value === "now" ? "now" : moment.value);
  for (const [name, control] of Object.entries({ title, caption, hashtags })) {
    if (control.value.trim()) query.set(name, control.value.trim());
  }
  return query.toString();
}

function remember() {
  try {
    localStorage.setItem(LOOK_FIRST, look.checked ? "on" : "off");
  } catch {
    // it holds until the page goes
  }
}

function show() {
  setHidden(place, accounts.connected.length === 0);
  const known = accounts.connected.map((account) => [account.id, accountWords(account)]);
  if (JSON.stringify(known) !== shown) {
    shown = JSON.stringify(known);
    const checked = new Set([...boxes].filter(([, box]) => box.checked).map(([id]) => id));
    boxes = new Map(known.map(([id]) => [id, h("input", { type: "checkbox", id: `to-${id}`, checked: checked.has(id), onchange: tell })]));
    list.replaceChildren(...known.map(([id, words]) => h("div", { class: "field check" }, boxes.get(id), h("label", { for: `to-${id}` }, words))));
  }
  tell();
}

function tell() {
  const automatic = accounts.connected.filter((account) => account.settings.automatic).map(accountWords);
  const words = {
    automatic: automatic.length ? `To ${automatic.join(" and ")}.` : "No account takes segments by itself: they go nowhere.",
    none: "Segments can be published one by one when they are ready.",
    chosen: "",
  };
  setText(whereHelp, words[where.value]);
  setHidden(whereHelp, !words[where.value]);
  setHidden(list, where.value !== "chosen");
  for (const part of [lookField, timeField, said]) setHidden(part, where.value === "none");
  const at = time.value === "at" && where.value !== "none";
  if (at && Number.isNaN(moment.at)) moment.set(Math.ceil(now() / HOUR_MS) * HOUR_MS);
  setHidden(moment.element, !at);
}
