// What this device remembers of an upload: where it is on the server, and the key that keeps a repeat from being a second
// one. It outlives the page: picking the same file again goes on where it was.

import { parsed } from "./api.js";

const PREFIX = "vidprod.upload.";
const KEEP_MS = 24 * 3600 * 1000; // as long as the server keeps what does not grow, and remembers answers
const LOOK_BYTES = 64 << 10;

/**
 * The same for the same file, however it was picked: by name, size and what is at its beginning, in its middle and at its
 * end. Not by when it was changed: phones say another time at each pick.
 */
export async function fingerprint(file) {
  const places = [0, Math.floor(file.size / 2), Math.max(0, file.size - LOOK_BYTES)];
  const pieces = await Promise.all(places.map((at) => file.slice(at, at + LOOK_BYTES).arrayBuffer()));
  return `${file.name}|${file.size}|${pieces.map((piece) => hash(new Uint8Array(piece))).join("-")}`;
}

export class Memory {
  constructor(print) {
    this.print = print;
    this.name = PREFIX + print;
  }

  read() {
    return recall(this.name) ?? {};
  }

  write(changes) {
    store(this.name, { ...this.read(), ...changes, at: Date.now() });
  }

  /** It goes on: not to be forgotten yet. */
  touch() {
    this.write({});
  }

  /** For one order of this file; another recipe is another order. */
  key(recipe) {
    const known = this.read();
    if (known.key && known.recipe === recipe) return known.key;
    const key = freshKey();
    this.write({ key, recipe, job: undefined });
    return key;
  }

  /** The server has it all. Another tab that waits to send the same finds the job here; a new pick is a new upload. */
  finish(recipe, job) {
    this.write({ key: undefined, url: undefined, recipe, job });
  }

  forget() {
    drop(this.name);
  }
}

/** What is remembered, by the address on the server. */
export function rememberedAt(url) {
  return memories().find((memory) => memory.read().url === url) ?? null;
}

export function sweep() {
  for (const memory of memories()) {
    if (!(Date.now() - memory.read().at < KEEP_MS)) memory.forget();
  }
}

function memories() {
  try {
    return Object.keys(localStorage)
      .filter((name) => name.startsWith(PREFIX))
      .map((name) => new Memory(name.slice(PREFIX.length)));
  } catch {
    return [];
  }
}

// Where storage is full or forbidden, what is known lives as long as the page.

const spare = new Map();

function recall(name) {
  try {
    return parsed(localStorage.getItem(name)) ?? spare.get(name) ?? null;
  } catch {
    return spare.get(name) ?? null;
  }
}

function store(name, value) {
  try {
    localStorage.setItem(name, JSON.stringify(value));
  } catch {
    spare.set(name, value);
  }
}

function drop(name) {
  spare.delete(name);
  try {
    localStorage.removeItem(name);
  } catch {
    // forbidden: then nothing was stored
  }
}

/** FNV-1a, twice 32 bits: it tells files apart, no more. Not crypto.subtle, which plain http:// in a home network lacks. */
function hash(data) {
  let one = 0x811c9dc5;
  let two = 0x050c5d1f;
  for (const byte of data) {
    one = Math.imul(one ^ byte, 0x01000193);
    two = Math.imul(two ^ byte, 0x01000197);
  }
  return [one, two].map((part) => (part >>> 0).toString(16).padStart(8, "0")).join("");
}

// Not crypto.randomUUID: it does not exist on a plain http:// address in the local network.
function freshKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
