// Notifications of this device: asked for only when somebody presses the switch.

import { announce } from "./announce.js";
import { request } from "./api.js";
import { setAttribute, setHidden, setText, whileBusy } from "./dom.js";
import { problemBox } from "./problem.js";

const MEMORY = "vidprod.subscription"; // its id on the server
const WORDS = "When a take is ready, a post is out, or something needs you.";
const ON_WORDS = "This device is told when a take is ready, a post is out, or something needs you.";
const DENIED = "This browser forbids it for this page. Its settings for this site can allow it again.";
const HOME_FIRST = "On this device first add this page to the home screen: Share, then Add to Home Screen. Open it from there and come back here.";

const place = document.getElementById("notify");
const button = document.getElementById("notify-switch");
const words = document.getElementById("notify-words");
const trouble = document.getElementById("notify-problem");

export async function startNotify() {
  if (!canBeTold()) {
    if (!isHomeless()) return; // an address without https, or a browser without notifications
    setHidden(button, true);
    setText(words, HOME_FIRST);
    setHidden(place, false);
    return;
  }
  button.addEventListener("click", () => whileBusy(button, press));
  show(Boolean(await subscribed()));
  setHidden(place, false);
}

function canBeTold() {
  return "serviceWorker" in navigator && "PushManager" in window && "Notification" in window;
}

/** Apple's phones and tablets tell only what was added to the home screen. An iPad calls itself a Mac. */
function isHomeless() {
  const mobile = /iP(hone|ad|od)/.test(navigator.userAgent) || (navigator.platform === "MacIntel" && navigator.maxTouchPoints > 1);
  return mobile && isSecureContext && !navigator.standalone;
}

async function press() {
  trouble.replaceChildren();
  const on = button.getAttribute("aria-checked") === "true";
  try {
    if (on) await leave();
    else if ((await Notification.requestPermission()) === "granted") await subscribe();
    else return show(false);
    show(!on);
    announce(on ? "This device is told nothing more." : "This device will be told.");
  } catch (problem) {
    trouble.replaceChildren(problemBox({ title: problem.title ?? "The browser did not do it", detail: problem.detail ?? problem.message, hint: problem.hint }));
    announce(problem.words ?? "Notifications could not be changed.");
  }
}

async function subscribe() {
  const { public_key } = await request("GET", "/v1/push/key");
  const { pushManager } = await worker();
  const key = bytesOf(public_key);
  const before = await pushManager.getSubscription();
  if (before && !sameKey(before, key)) await before.unsubscribe(); // made with a key that is gone
  const subscription = await pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key });
  const { id } = await request("POST", "/v1/push/subscriptions", { ...subscription.toJSON(), label: device() });
  localStorage.setItem(MEMORY, id);
  await request("POST", `/v1/push/subscriptions/${id}/test`, {});
}

async function leave() {
  const id = localStorage.getItem(MEMORY);
  await (await subscribed())?.unsubscribe();
  if (id) await request("DELETE", `/v1/push/subscriptions/${id}`).catch(gone);
  localStorage.removeItem(MEMORY);
}

function gone(problem) {
  if (problem.status !== 404) throw problem;
}

/** What this browser has, if the server was told of it. */
async function subscribed() {
  if (!localStorage.getItem(MEMORY)) return null;
  const registration = await navigator.serviceWorker.getRegistration("/");
  return (await registration?.pushManager.getSubscription()) ?? null;
}

/** The service worker that will show them, once it works. */
async function worker() {
  await navigator.serviceWorker.register("/sw.js", { type: "module", updateViaCache: "none" });
  return navigator.serviceWorker.ready;
}

function show(on) {
  setAttribute(button, "aria-checked", String(on));
  setText(words, Notification.permission === "denied" ? DENIED : on ? ON_WORDS : WORDS);
}

/** What the device is called in the list: the browser's own words for it, where it has any. */
function device() {
  const { brands = [], platform = navigator.platform } = navigator.userAgentData ?? {};
  const brand = brands.find(({ brand: name }) => !/not.a.brand|chromium/i.test(name))?.brand ?? "Browser";
  return `${brand} on ${platform || "this device"}`.slice(0, 80);
}

function bytesOf(text) {
  const plain = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(plain, (character) => character.charCodeAt(0));
}

function sameKey({ options }, key) {
  const theirs = new Uint8Array(options.applicationServerKey ?? []);
  return theirs.length === key.length && theirs.every((byte, place) => byte === key[place]);
}
