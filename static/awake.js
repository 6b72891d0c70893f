// The screen stays on while bytes move: a phone that falls asleep cuts the upload.

let lock = null;
let asking = false;
let wanted = false;

/** Whether this browser can keep the screen on here (only on https:// and on this very machine). */
export function staysAwake() {
  return "wakeLock" in navigator;
}

export async function keepAwake() {
  wanted = true;
  if (lock || asking || !staysAwake() || document.visibilityState !== "visible") return;
  asking = true;
  try {
    const got = await navigator.wakeLock.request("screen");
    if (!wanted) return void got.release();
    lock = got;
    got.addEventListener("release", () => {
      if (lock === got) lock = null;
    });
  } catch {
    // battery saver says no; the advice on the page stays
  } finally {
    asking = false;
  }
}

export function letSleep() {
  wanted = false;
  lock?.release();
  lock = null;
}

// The browser takes the lock back when the page is hidden.
document.addEventListener("visibilitychange", () => {
  if (wanted && document.visibilityState === "visible") keepAwake();
});
