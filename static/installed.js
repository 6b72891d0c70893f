// The page as an app: its service worker, and a notice while there is no network.

import { setHidden, setText } from "./dom.js";

const notice = document.getElementById("offline");

/** Whether this window is the installed app, not a tab of the browser. */
export function isInstalled() {
  return matchMedia("(display-mode: standalone)").matches || navigator.standalone === true;
}

export function startInstalled() {
  addEventListener("online", tell);
  addEventListener("offline", tell);
  tell();
  if (document.readyState === "complete") register();
  else addEventListener("load", register, { once: true }); // what the page needs now comes first
}

function tell() {
  setText(notice, navigator.onLine ? "" : "You are offline. Videos that you choose wait here and are sent when the network is back.");
  setHidden(notice, navigator.onLine);
}

async function register() {
  try {
    await navigator.serviceWorker?.register("/sw.js", { type: "module", updateViaCache: "none" });
  } catch {
    // an old browser, or plain http:// in a home network: the page works without
  }
}
