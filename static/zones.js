// Times in time zones. An instant is unix milliseconds; a wall time is {year, month, day, hour, minute} in a zone.

import { now } from "./now.js";

const HERE = new Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
const DAY_MS = 86_400_000;
const clocks = new Map();

/** The viewer's own zone. */
export function here() {
  return HERE;
}

/** Whether this browser knows a zone by that name. */
export function isZone(name) {
  try {
    return Boolean(name) && Boolean(clock(name));
  } catch {
    return false;
  }
}

export function allZones() {
  const names = Intl.supportedValuesOf?.("timeZone") ?? [];
  return names.includes("UTC") ? names : [...names, "UTC"];
}

function clock(zone) {
  if (!clocks.has(zone)) {
    const parts = { year: "numeric", month: "numeric", day: "numeric", hour: "numeric", minute: "numeric", second: "numeric" };
    clocks.set(zone, new Intl.DateTimeFormat("en-US", { timeZone: zone, hourCycle: "h23", era: "short", ...parts }));
  }
  return clocks.get(zone);
}

/** The wall time of an instant. */
export function wall(ms, zone) {
  const found = {};
  for (const { type, value } of clock(zone).formatToParts(ms)) found[type] = Number(value);
  const { year, month, day, hour, minute, second } = found;
  return { year, month, day, hour, minute, second };
}

function offsetMs(ms, zone) {
  const { year, month, day, hour, minute, second } = wall(ms, zone);
  return Date.UTC(year, month - 1, day, hour, minute, second) - Math.floor(ms / 1000) * 1000;
}

/** The instant of a wall time. Of two the first is meant; for one that the clocks skip, the moment they skip to. */
export function instant({ year, month, day, hour = 0, minute = 0 }, zone) {
  const plain = Date.UTC(year, month - 1, day, hour, minute);
  const [before, after] = [offsetMs(plain - DAY_MS, zone), offsetMs(plain + DAY_MS, zone)];
  for (const offset of [before, after]) {
    if (offsetMs(plain - offset, zone) === offset) return plain - offset;
  }
  return change(plain - DAY_MS, plain + DAY_MS, zone);
}

/** When the offset changes between two instants that have different ones. */
function change(from, to, zone) {
  const offset = offsetMs(from, zone);
  let [before, after] = [from, to];
  while (after - before > 1000) {
    const middle = Math.floor((before + after) / 2000) * 1000;
    if (offsetMs(middle, zone) === offset) before = middle;
    else after = middle;
  }
  return after;
}

const two = (number) => String(number).padStart(2, "0");

/** "2026-12-01" */
export function dayOf(ms, zone) {
  const { year, month, day } = wall(ms, zone);
  return `${year}-${two(month)}-${two(day)}`;
}

/** "2026-12-01" and days later or earlier. */
export function addDays(key, days) {
  return new Date(Date.parse(`${key}T00:00:00Z`) + days * DAY_MS).toISOString().slice(0, 10);
}

/** The instant at which a day begins there. */
export function startOf(key, zone) {
  const [year, month, day] = key.split("-").map(Number);
  return instant({ year, month, day }, zone);
}

/** Monday 1 … Sunday 7. */
export function weekday(key) {
  return new Date(`${key}T12:00:00Z`).getUTCDay() || 7;
}

/** As an <input type="datetime-local"> has it: "2026-12-01T18:00". */
export function asInput(ms, zone) {
  const { hour, minute } = wall(ms, zone);
  return `${dayOf(ms, zone)}T${two(hour)}:${two(minute)}`;
}

/** The instant of such an input's value; NaN when there is none. */
export function fromInput(text, zone) {
  const found = /^(\d{4,6})-(\d\d)-(\d\d)T(\d\d):(\d\d)/.exec(text);
  if (!found) return NaN;
  const [year, month, day, hour, minute] = found.slice(1).map(Number);
  return instant({ year, month, day, hour, minute }, zone);
}

/** RFC 3339 with the zone's offset: "2026-12-01T18:00:00+01:00". */
export function rfc3339(ms, zone) {
  const minutes = Math.round(offsetMs(ms, zone) / 60_000);
  const sign = minutes < 0 ? "-" : "+";
  const size = Math.abs(minutes);
  return `${asInput(ms, zone)}:${two(wall(ms, zone).second)}${sign}${two(Math.floor(size / 60))}:${two(size % 60)}`;
}

const formats = new Map();

function format(options) {
  const key = JSON.stringify(options);
  if (!formats.has(key)) formats.set(key, new Intl.DateTimeFormat(undefined, options));
  return formats.get(key);
}

/** "18:00" */
export function timeWords(ms, zone = HERE) {
  return format({ timeZone: zone, hour: "2-digit", minute: "2-digit" }).format(ms);
}

/** "Tue 1 Dec" of a key like "2026-12-01". */
export function dayWords(key, { long = false } = {}) {
  const name = long ? "long" : "short";
  return format({ timeZone: "UTC", weekday: name, day: "numeric", month: name }).format(Date.parse(`${key}T12:00:00Z`));
}

/** "Tue 1 Dec, 18:00"; the year is said when it is another one. */
export function momentWords(ms, zone = HERE) {
  const year = wall(ms, zone).year === wall(now(), zone).year ? undefined : "numeric";
  return format({ timeZone: zone, weekday: "short", day: "numeric", month: "short", year, hour: "2-digit", minute: "2-digit" }).format(ms);
}

/** "30 Nov – 6 Dec 2026" */
export function weekWords(first, last) {
  const options = { timeZone: "UTC", day: "numeric", month: "short", year: "numeric" };
  return format(options).formatRange(Date.parse(`${first}T12:00:00Z`), Date.parse(`${last}T12:00:00Z`));
}
