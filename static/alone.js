// One tab sends a file, however many have it chosen. Where the browser has no locks (plain http:// in a home network), the
// server's rule is enough for whole bytes: the newest request wins.

/** Comes with what ends the hold. `onWait` is called when another tab has it; then it comes once that one lets go. */
export async function holdAlone(name, { signal, onWait }) {
  if (!navigator.locks) return () => {};
  const release = await ask(name, { ifAvailable: true });
  if (release) return release;
  onWait();
  return ask(name, { signal });
}

/** The names that any tab holds, this one too. */
export async function held() {
  if (!navigator.locks) return new Set();
  const { held: locks } = await navigator.locks.query();
  return new Set(locks.map((lock) => lock.name));
}

function ask(name, options) {
  return new Promise((resolve, reject) => {
    const hold = (lock) => (lock ? new Promise((release) => resolve(release)) : resolve(null));
    navigator.locks.request(name, options, hold).catch(reject);
  });
}
