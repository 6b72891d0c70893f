// The calendar: a week of publications, as a table of hours on a desk and day by day on a phone.

import { announce } from "./announce.js";
import { accounts } from "./accounts.js";
import { WeekTable } from "./calendar-week.js";
import { h, setHidden, setText, whileBusy } from "./dom.js";
import { Needs } from "./needs.js";
import { now } from "./now.js";
import { part } from "./parts.js";
import { problemBox } from "./problem.js";
import { nameOf } from "./publication-actions.js";
import { PublicationLine } from "./publication-line.js";
import { timeOf } from "./publication-words.js";
import { publications } from "./publications.js";
import { view } from "./routes.js";
import { addDays, dayOf, dayWords, here, momentWords, rfc3339, startOf, weekWords, weekday } from "./zones.js";

const DAYS = [0, 1, 2, 3, 4, 5, 6];

export class Calendar {
  #ids = new Set(); // what the shown week has
  #moved = new Map(); // publication id → where it was put, until the server has answered
  #lines = new Map(); // publication id → its line in the days
  #asked = 0;
  #drawing = false;
  #known = false; // what the shown week has

  constructor() {
    this.zone = here();
    this.monday = this.#thisWeek();
    this.words = document.getElementById("week-words");
    this.help = document.getElementById("calendar-help");
    this.problem = document.getElementById("calendar-problem");
    this.place = document.getElementById("week");
    this.needs = new Needs();
    this.table = new WeekTable({ zone: this.zone, onMove: (id, at, how) => this.#move(id, at, how), onOpen: (id) => this.#openSheet(id) });
    this.narrow = matchMedia("(max-width: 899px)");
    this.narrow.addEventListener("change", () => this.#draw());
    publications.onChange((publication) => this.#changed(publication));
    accounts.onChange(() => this.#soon());
    const steps = { "week-before": -7, "week-after": 7, "week-now": 0 };
    for (const [id, step] of Object.entries(steps)) {
      const button = document.getElementById(id);
      button.addEventListener("click", () => whileBusy(button, () => this.#go(step)));
    }
  }

  /** It comes to be seen: the week once it is known what stands above it, so that nothing that is seen moves. */
  async show() {
    this.#draw();
    await Promise.all([this.#load(), publications.lookForNews()]);
    for (const shown of [this.help, this.place]) setHidden(shown, false);
  }

  /** Something may have changed unheard. */
  resync() {
    if (view() === "calendar") this.#load();
  }

  event() {}

  #thisWeek() {
    return mondayOf(dayOf(now(), this.zone));
  }

  #go(step) {
    this.monday = step ? addDays(this.monday, step) : this.#thisWeek();
    this.#ids.clear();
    this.#known = false;
    this.#draw();
    announce(this.words.textContent);
    return this.#load();
  }

  async #load() {
    const asked = ++this.#asked;
    const [from, to] = this.#bounds();
    this.place.setAttribute("aria-busy", "true");
    try {
      const ids = await publications.between(from, to);
      if (asked !== this.#asked) return;
      this.#known = true;
      this.#ids = new Set([...ids, ...this.#moved.keys()]);
      this.#refused(null);
    } catch (problem) {
      this.#refused(problem);
    }
    this.place.removeAttribute("aria-busy");
    this.#draw();
  }

  #bounds() {
    return [startOf(this.monday, this.zone), startOf(addDays(this.monday, 7), this.zone)];
  }

  #changed(publication) {
    const [from, to] = this.#bounds();
    const at = timeOf(publication);
    const isHere = this.#moved.has(publication.id) || (at >= from && at < to); // where it was put, whatever was heard of before
    const is = isHere && publication.state !== "cancelled";
    if (is) this.#ids.add(publication.id);
    else if (!this.#ids.delete(publication.id)) return;
    this.#soon();
  }

  /** Many changes make one drawing. */
  #soon() {
    if (this.#drawing || view() !== "calendar") return;
    this.#drawing = true;
    queueMicrotask(() => {
      this.#drawing = false;
      this.#draw();
    });
  }

  #draw() {
    if (view() !== "calendar") return;
    const days = DAYS.map((step) => addDays(this.monday, step));
    const shown = this.#shown();
    setText(this.words, weekWords(days[0], days[6]));
    const narrow = this.narrow.matches;
    const keys = "Drag one to another time, or press Shift and an arrow key on it. ";
    setText(this.help, `${narrow ? "" : keys}Times of ${this.zone}.`);
    const empty = shown.length === 0 && this.#known ? this.#empty() : null;
    if (narrow) this.place.replaceChildren(...(empty ? [empty] : []), ...this.#agenda(days, shown));
    else {
      this.table.draw(days, shown);
      const there = [...this.place.children];
      const wanted = empty ? [empty, this.table.element] : [this.table.element];
      if (empty || there.length !== 1 || there[0] !== this.table.element) this.place.replaceChildren(...wanted);
    }
  }

  /** {publication, at} in order; one that was moved by hand is where it was put. */
  #shown() {
    const found = [...this.#ids].map((id) => publications.get(id)).filter((one) => one && one.state !== "cancelled");
    return found.map((publication) => ({ publication, at: this.#moved.get(publication.id) ?? timeOf(publication) })).sort((one, other) => one.at - other.at);
  }

  #empty() {
    if (!accounts.loaded || accounts.connected.length) return h("p", { class: "loading" }, "Nothing is planned this week.");
    return h("p", { class: "loading" }, "Connect an account, and segments stand here at their times. ", h("a", { class: "inline-link", href: "#accounts" }, "To the accounts"));
  }

  #agenda(days, shown) {
    const today = dayOf(now(), this.zone);
    const focused = this.place.contains(document.activeElement) ? document.activeElement.closest("[data-publication]")?.dataset.publication : null;
    const sections = days.map((day) => {
      const lines = shown.filter(({ at }) => dayOf(at, this.zone) === day).map(({ publication }) => this.#line(publication));
      if (!lines.length && day !== today) return null;
      const name = day === today ? `Today, ${dayWords(day)}` : dayWords(day, { long: true });
      return h(
        "section",
        { class: "day", "aria-labelledby": `day-${day}` },
        h("h2", { class: "day-name", id: `day-${day}` }, name),
        lines.length ? h("ul", { class: "line-list panel" }, ...lines.map((line) => line.element)) : h("p", { class: "help" }, "Nothing today."),
      );
    });
    if (focused) queueMicrotask(() => this.#lines.get(focused)?.focus());
    return sections.filter(Boolean);
  }

  #line(publication) {
    const known = this.#lines.get(publication.id);
    if (known) {
      known.show(publication);
      return known;
    }
    const line = new PublicationLine(publication, { says: "segment", day: true });
    this.#lines.set(publication.id, line);
    return line;
  }

  async #move(id, at, { follow = false } = {}) {
    const publication = publications.get(id);
    if (at <= now()) {
      announce("That time is over.");
      return;
    }
    this.#moved.set(id, at);
    this.#ids.add(id);
    const monday = mondayOf(dayOf(at, this.zone));
    if (follow && monday !== this.monday) {
      this.monday = monday;
      this.#load();
    }
    this.#draw();
    announce(`${nameOf(publication)}: moved to ${momentWords(at, this.zone)}.`);
    try {
      const zone = accounts.get(publication.account_id)?.settings.zone ?? this.zone;
      await publications.change(id, { when: rfc3339(at, zone) });
      this.#refused(null);
    } catch (problem) {
      this.#refused(problem);
      announce(problem.words);
      publications.look(id);
    }
    if (this.#moved.get(id) === at) this.#moved.delete(id);
    this.#draw();
  }

  async #openSheet(id) {
    try {
      const { openPublication } = await part("publication");
      openPublication(id);
    } catch (problem) {
      this.#refused(problem);
      announce(problem.words);
    }
  }

  #refused(problem) {
    this.problem.replaceChildren(...(problem ? [problemBox(problem)] : []));
    setHidden(this.problem, !problem);
  }
}

function mondayOf(day) {
  return addDays(day, 1 - weekday(day));
}
