// What time it is by the daemon's clock: this device's own may be wrong, and beside simulated platforms time runs faster.

let told = null; // {now: its unix milliseconds, at: ours on a clock that nobody sets, speed}

/** Unix milliseconds; those of this device until the daemon has said its own. */
export function now() {
  return told ? told.now + (performance.now() - told.at) * told.speed : Date.now();
}

/** The daemon's clock, as an answer has it. */
export function setClock({ now: iso, speed }) {
  told = { now: Date.parse(iso), at: performance.now(), speed };
}
