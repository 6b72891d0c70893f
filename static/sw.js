// The service worker. It keeps the shell for when there is no network, takes what is shared, and shows what is pushed.
// It never keeps an answer of the API, nor media.
//
// The server puts one line before this file: `SHELL`, with the files of the page and a version that is made of them.

import { keep } from "/static/kept.js";

const CACHE = `vidprod-shell-${SHELL.version}`;
const PAGE = "/";
const STORED_PAGE = "/static/index.html"; // the same without a login before it
const PATIENCE_MS = 5_000; // a network that answers nothing for so long is none

addEventListener("install", (event) => {
  const fresh = SHELL.files.map((path) => new Request(path, { cache: "no-cache" }));
  // At once: with a network the pages of any version ask the server, whichever worker is there.
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(fresh)).then(() => skipWaiting()));
});

addEventListener("activate", (event) => {
  event.waitUntil(dropOthers().then(() => clients.claim()));
});

addEventListener("fetch", (event) => {
  const { request } = event;
  const { origin, pathname } = new URL(request.url);
  if (origin !== location.origin) return;
  if (request.method === "POST" && pathname === "/share") event.respondWith(share(request));
  else if (request.method !== "GET") return;
  else if (request.mode === "navigate" && pathname === PAGE) event.respondWith(page(request));
  else if (SHELL.files.includes(pathname)) event.respondWith(fetch(request).catch(() => stored(pathname)));
});

async function dropOthers() {
  const names = await caches.keys();
  await Promise.all(names.filter((name) => name.startsWith("vidprod-shell-") && name !== CACHE).map((name) => caches.delete(name)));
}

/** From the server, so that it may lead to its login; from the cache when it does not answer. */
async function page(request) {
  const impatience = new AbortController();
  const timer = setTimeout(() => impatience.abort(), PATIENCE_MS);
  try {
    const answer = await fetch(request, { signal: impatience.signal });
    if (![502, 503, 504].includes(answer.status)) return answer;
    return stored(STORED_PAGE, { orElse: answer });
  } catch {
    return stored(STORED_PAGE);
  } finally {
    clearTimeout(timer);
  }
}

async function stored(path, { orElse = Response.error() } = {}) {
  const cache = await caches.open(CACHE);
  return (await cache.match(path)) ?? orElse;
}

/** A file of the share sheet: stored, then the page is opened, which sends it as any other. Any other site may have asked
 * for this in a tab, and a worker cannot tell: the page sends by itself only what came to the installed app. */
async function share(request) {
  const form = await request.formData();
  const files = form.getAll("file").filter((one) => one instanceof File && one.size);
  for (const file of files) await keep({ file, recipe: "", shared: true });
  return Response.redirect("/#takes", 303);
}

// What is pushed: {title, body, url, tag}.

addEventListener("push", (event) => {
  const { title, body, url, tag } = told(event.data);
  const more = { body, tag, icon: "/static/icon-192.png", badge: "/static/icon-192.png", data: { url } };
  event.waitUntil(registration.showNotification(title, more));
});

addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(goTo(event.notification.data?.url));
});

/** Something has to be shown for each push: browsers take the permission back otherwise. */
function told(data) {
  let said = null;
  try {
    said = data.json();
  } catch {
    // not ours, or nothing
  }
  const { title = "VidProd", body = "There is news.", url = PAGE, tag } = said ?? {};
  return { title, body, url, tag };
}

/** To a page of ours alone, in the window that is open. */
async function goTo(address) {
  let url = new URL(address ?? PAGE, location.origin);
  if (url.origin !== location.origin) url = new URL(PAGE, location.origin);
  const [open] = await clients.matchAll({ type: "window", includeUncontrolled: true });
  if (!open) return clients.openWindow(url.href);
  await open.focus();
  return open.navigate(url.href).catch(() => clients.openWindow(url.href));
}
