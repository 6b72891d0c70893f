// A week as a table of hours. What is planned can be dragged to another cell, or moved with Shift and the arrow keys.

import { h, setAttribute, setText, whileBusy } from "./dom.js";
import { now } from "./now.js";
import { nameOf } from "./publication-actions.js";
import { isMovable, platformName, segmentWords, stateWord, tone } from "./publication-words.js";
import { addDays, dayOf, dayWords, instant, momentWords, timeWords, wall } from "./zones.js";

const HOURS = Array.from({ length: 14 }, (_, n) => n + 8); // those that are there also when nothing is in them
const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }; // days, hours
const SEND_AFTER_MS = 500; // of no further key

export class WeekTable {
  #chips = new Map(); // publication id → its button
  #places = new Map(); // publication id → {at, timer} while keys move it
  #shape = "";

  /** `onMove(id, at, {follow})` hears where one was put; `follow`: to where this table does not show it.
   * `onOpen(id)` hears which one is to be seen whole. */
  constructor({ zone, onMove, onOpen }) {
    Object.assign(this, { zone, onMove, onOpen });
    this.head = h("tr", {});
    this.rows = h("tbody", {});
    const table = h("table", { class: "hours" }, h("caption", { class: "sr-only" }, "The week, hour by hour"), h("thead", {}, this.head), this.rows);
    this.element = h("div", { class: "hours-around" }, table);
    this.rows.addEventListener("dragover", (event) => this.#over(event));
    this.rows.addEventListener("dragleave", (event) => event.target.closest("td")?.classList.remove("is-over"));
    this.rows.addEventListener("drop", (event) => this.#drop(event));
  }

  /** `shown`: {publication, at} in order. */
  draw(days, shown) {
    const placed = shown.map(({ publication, at }) => ({ publication, at: this.#places.get(publication.id)?.at ?? at }));
    const focused = this.element.contains(document.activeElement) ? document.activeElement : null;
    this.#frame(days, new Set([...HOURS, ...placed.map(({ at }) => wall(at, this.zone).hour)]));
    const kept = new Set();
    const filled = new Map(); // cell → how many it has
    for (const { publication, at } of placed) {
      const cell = this.#cell(dayOf(at, this.zone), wall(at, this.zone).hour);
      if (!cell) continue; // moved out of this week
      kept.add(publication.id);
      const place = filled.get(cell) ?? 0;
      filled.set(cell, place + 1);
      const chip = this.#chip(publication, at);
      if (cell.children[place] !== chip) cell.insertBefore(chip, cell.children[place] ?? null);
    }
    for (const [id, chip] of this.#chips) {
      if (kept.has(id)) continue;
      chip.remove();
      this.#chips.delete(id);
    }
    if (focused?.isConnected && focused !== document.activeElement) focused.focus();
  }

  #cell(day, hour) {
    return this.rows.querySelector(`[data-day="${day}"][data-hour="${hour}"]`);
  }

  #frame(days, wanted) {
    const today = dayOf(now(), this.zone);
    const hours = [...wanted].sort((one, other) => one - other);
    const shape = `${days[0]} ${hours} ${today}`;
    if (shape === this.#shape) return;
    this.#shape = shape;
    const current = (day) => (day === today ? "date" : null);
    this.head.replaceChildren(
      h("td", { class: "hour" }),
      ...days.map((day) => h("th", { scope: "col", "aria-current": current(day) }, dayWords(day))),
    );
    this.rows.replaceChildren(
      ...hours.map((hour) =>
        h(
          "tr",
          {},
          h("th", { scope: "row", class: "hour" }, timeWords(Date.UTC(2026, 0, 1, hour), "UTC")),
          ...days.map((day) => h("td", { "data-day": day, "data-hour": hour, "aria-current": current(day) })),
        ),
      ),
    );
  }

  #chip(publication, at) {
    const { id } = publication;
    let chip = this.#chips.get(id);
    if (!chip) {
      chip = h(
        "button",
        {
          class: "plan",
          type: "button",
          "data-publication": id,
          "aria-describedby": "calendar-help",
          onclick: () => whileBusy(chip, () => this.onOpen(id)),
          onkeydown: (event) => this.#key(event, id),
          ondragstart: (event) => {
            event.dataTransfer.setData("text/plain", id);
            event.dataTransfer.effectAllowed = "move";
          },
        },
        h("span", { class: "plan-time" }),
        h("span", {}),
        h("span", { class: "plan-state" }),
      );
      this.#chips.set(id, chip);
    }
    const [time, name, state] = chip.children;
    setText(time, timeWords(at, this.zone));
    setText(name, `${platformName(publication.platform)} · ${segmentWords(publication)}`);
    setText(state, stateWord(publication));
    setAttribute(chip, "draggable", isMovable(publication) && "true");
    setAttribute(chip, "data-tone", tone(publication));
    chip.setAttribute("aria-label", `${nameOf(publication)}, ${momentWords(at, this.zone)}: ${stateWord(publication)}`);
    chip.dataset.at = String(at);
    return chip;
  }

  #over(event) {
    const cell = event.target.closest("td[data-hour]");
    if (!cell || !event.dataTransfer.types.includes("text/plain")) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "move";
    cell.classList.add("is-over");
  }

  #drop(event) {
    const cell = event.target.closest("td[data-hour]");
    const id = event.dataTransfer.getData("text/plain");
    const chip = this.#chips.get(id);
    cell?.classList.remove("is-over");
    if (!cell || !chip) return;
    event.preventDefault();
    this.onMove(id, this.#at(cell.dataset.day, Number(cell.dataset.hour), wall(Number(chip.dataset.at), this.zone).minute));
  }

  #key(event, id) {
    const step = event.shiftKey && STEPS[event.key];
    const chip = this.#chips.get(id);
    if (!step || chip.getAttribute("draggable") !== "true") return undefined;
    event.preventDefault();
    const { hour, minute } = wall(Number(chip.dataset.at), this.zone);
    const day = addDays(dayOf(Number(chip.dataset.at), this.zone), step[0]);
    const wanted = hour + step[1];
    if (wanted < 0 || wanted > 23) return undefined;
    const at = this.#at(day, wanted, minute);
    clearTimeout(this.#places.get(id)?.timer);
    const cell = this.#cell(day, wanted);
    if (!cell) return this.#settle(id, at, { follow: true }); // out of what is shown, which then shows it
    const timer = setTimeout(() => this.#settle(id, at), SEND_AFTER_MS);
    this.#places.set(id, { at, timer });
    chip.dataset.at = String(at);
    setText(chip.firstChild, `${timeWords(at, this.zone)} …`);
    cell.append(chip);
    chip.focus();
    return undefined;
  }

  #settle(id, at, { follow = false } = {}) {
    this.#places.delete(id);
    this.onMove(id, at, { follow });
  }

  #at(day, hour, minute) {
    const [year, month, date] = day.split("-").map(Number);
    return instant({ year, month, day: date, hour, minute }, this.zone);
  }
}
