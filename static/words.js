// How the page says figures, times and states. Times of day are in the viewer's own locale and zone.

import { now } from "./now.js";

const one = new Intl.NumberFormat(undefined, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const whole = new Intl.NumberFormat(undefined, { maximumFractionDigits: 0 });

const CONTROLS = /[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g;

/** A client's file name without control characters and without marks that reverse what follows them. */
export function plainName(filename) {
  return String(filename ?? "").replace(CONTROLS, "").trim() || "unnamed file";
}

// No line ends between a figure and its unit.

export function bytes(count) {
  if (count < 1000) return `${whole.format(count)}\u00a0B`;
  const units = ["kB", "MB", "GB", "TB"];
  let value = count;
  let unit = "B";
  while (value >= 999.5 && units.length) {
    value /= 1000;
    unit = units.shift();
  }
  return `${value < 9.95 ? one.format(value) : whole.format(value)}\u00a0${unit}`;
}

export function speed(bytesPerSecond) {
  return `${bytes(bytesPerSecond)}/s`;
}

/** Whole percent, rounded down: 100 is said only when all is done. */
export function percent(value) {
  return Math.max(0, Math.min(100, Math.floor(value + 1e-9)));
}

/** 83.4 → "1:23"; with `tenths` "1:23.4". */
export function clock(seconds, { tenths = false } = {}) {
  const units = tenths ? Math.round(seconds * 10) : Math.floor(seconds + 1e-6) * 10;
  const total = Math.floor(units / 10);
  const parts = [Math.floor(total / 60) % 60, total % 60].map((part) => String(part).padStart(2, "0"));
  const hours = Math.floor(total / 3600);
  const text = hours ? `${hours}:${parts[0]}:${parts[1]}` : `${Number(parts[0])}:${parts[1]}`;
  return tenths ? `${text}.${units % 10}` : text;
}

export function seconds(value) {
  return `${one.format(value)}\u00a0s`;
}

/** A share of the frames. What is there is never "0 %", what is not whole never "100 %". */
export function share(part) {
  if (part > 0 && part < 0.005) return "less than 1\u00a0%";
  if (part >= 0.995 && part < 0.9999) return "more than 99\u00a0%";
  return `${whole.format(100 * part)}\u00a0%`;
}

export function degrees(value) {
  return `${whole.format(value)}°`;
}

export function timeLeft(value) {
  if (!Number.isFinite(value)) return "";
  if (value < 8) return "a few seconds left";
  if (value < 55) return `about ${Math.ceil(value / 5) * 5} s left`;
  if (value < 3300) return `about ${Math.max(1, Math.round(value / 60))} min left`;
  return `about ${one.format(value / 3600)} h left`;
}

/** A length of time, roughly: "40 s", "12 min", "1.5 h". */
export function span(value) {
  if (value < 55) return `${Math.max(1, value < 10 ? Math.ceil(value) : Math.ceil(value / 5) * 5)}\u00a0s`;
  if (value < 3300) return `${Math.max(1, Math.round(value / 60))}\u00a0min`;
  return `${value < 36_000 ? one.format(value / 3600) : whole.format(value / 3600)}\u00a0h`;
}

export function decimal(value) {
  return one.format(value).replace("-", "\u2212");
}

/** "30000/1001" → "29.97". */
export function rate(fraction) {
  const [top, bottom = 1] = String(fraction).split("/").map(Number);
  return new Intl.NumberFormat(undefined, { maximumFractionDigits: 2 }).format(top / bottom);
}

/** "10:32" today, "20 Nov, 10:32" before. */
export function when(iso) {
  const time = new Date(iso);
  const present = new Date(now());
  const today = time.toDateString() === present.toDateString();
  const year = time.getFullYear() === present.getFullYear() ? undefined : "numeric";
  const day = today ? {} : { day: "numeric", month: "short", year };
  return new Intl.DateTimeFormat(undefined, { ...day, hour: "2-digit", minute: "2-digit" }).format(time);
}

/** "today 18:00", "tomorrow 12:00", "30 Nov, 12:00". */
export function moment(at) {
  const [time, present] = [new Date(at), new Date(now())];
  const next = new Date(present.getFullYear(), present.getMonth(), present.getDate() + 1);
  const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" }).format(time);
  if (time.toDateString() === present.toDateString()) return `today ${clock}`;
  return time.toDateString() === next.toDateString() ? `tomorrow ${clock}` : when(at);
}

export function count(number, noun) {
  return `${whole.format(number)} ${noun}${number === 1 ? "" : "s"}`;
}

export const STATE = {
  queued: "Waiting",
  processing: "Working",
  completed: "Done",
  failed: "Failed",
  cancelled: "Cancelled",
};

export const STEP = {
  probe: "Looking at the file",
  plan: "Listening and planning the cuts",
  track: "Finding faces",
  render: "Making segments",
};
