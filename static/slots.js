// Weekly slots as people write them, read as the server reads them: "Mon-Fri 12:00, 18:00".

import { addDays, dayOf, instant, weekday } from "./zones.js";

const NAMES = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
const EVERY = [1, 2, 3, 4, 5, 6, 7];
const GROUPS = { daily: EVERY, everyday: EVERY, weekdays: EVERY.slice(0, 5), weekends: [6, 7], weekend: [6, 7] };

/** The lines of a text field, each a slot. */
export function slotLines(text) {
  return text.split(/[\n;]/).map((line) => line.trim()).filter(Boolean);
}

/** {week: [[weekday, minute]], fault}: the moments of a week in order; the first fault in words, "" when there is none. */
export function parseSlots(lines) {
  const moments = new Map();
  for (const line of lines) {
    const { days, minutes, fault } = parse(line);
    if (fault) return { week: [], fault };
    for (const day of days) for (const minute of minutes) moments.set(day * 1440 + minute, [day, minute]);
  }
  return { week: [...moments.keys()].sort((one, other) => one - other).map((key) => moments.get(key)), fault: "" };
}

/** The next moments after an instant. */
export function nextSlots(week, zone, after, count) {
  const found = [];
  let day = addDays(dayOf(after, zone), -1); // what a gap swallowed may have been a slot of the day before
  for (let tries = 0; week.length && found.length < count && tries < 7 * (count + 2); tries += 1) {
    const [year, month, date] = day.split("-").map(Number);
    for (const [on, minute] of week) {
      if (on !== weekday(day)) continue;
      const moment = instant({ year, month, day: date, hour: Math.floor(minute / 60), minute: minute % 60 }, zone);
      if (moment > (found.at(-1) ?? after)) found.push(moment);
    }
    day = addDays(day, 1);
  }
  return found.slice(0, count);
}

function parse(line) {
  const text = line.replace(/[\u2010\u2011\u2012\u2013\u2014\u2212]/g, "-").replace(/\s*-\s*/g, "-").replace(/\bevery day\b/gi, "daily");
  const words = text.split(/\s*(?:,|&|\band\b)\s*|\s+/i).filter(Boolean);
  const first = words.findIndex((word) => /^\d/.test(word));
  const names = first < 0 ? words : words.slice(0, first);
  const times = first < 0 ? [] : words.slice(first);
  if (!names.length) return { fault: `\u201c${line}\u201d names no day: write \u201cdaily ${line}\u201d, or on which days.` };
  const days = [];
  for (const name of names) {
    const found = weekdays(name);
    if (!found) return { fault: `\u201c${name}\u201d is no day: days are Mon, Tue, Wed, Thu, Fri, Sat, Sun, daily, weekdays, weekends.` };
    days.push(...found);
  }
  if (!times.length) return { fault: `\u201c${line}\u201d names no time: write it after the days, like \u201c${line} 18:00\u201d.` };
  const minutes = times.map(minuteOf);
  const wrong = minutes.indexOf(null);
  if (wrong >= 0) return { fault: `\u201c${times[wrong]}\u201d is no time of day: write hours and minutes, like 9:00 or 18:30.` };
  return { days, minutes, fault: "" };
}

function weekdays(word) {
  const group = GROUPS[word.toLowerCase()];
  if (group) return group;
  const [from, to = from] = word.split("-").map(weekdayOf);
  if (!from || !to) return null;
  return Array.from({ length: ((to - from + 7) % 7) + 1 }, (_, step) => ((from + step - 1) % 7) + 1);
}

function weekdayOf(word) {
  const name = word.toLowerCase().replace(/\.$/, "");
  if (name === "weds") return 3;
  return name.length < 3 ? 0 : NAMES.findIndex((whole) => `${whole}s`.startsWith(name)) + 1;
}

function minuteOf(word) {
  const found = /^(\d{1,2}):(\d\d)$/.exec(word);
  const [hour, minute] = found ? [Number(found[1]), Number(found[2])] : [24, 60];
  return hour < 24 && minute < 60 ? 60 * hour + minute : null;
}
