// The page: joins the upload queue, the list of jobs, what is known of publishing, the other views and the live connection.

import { Jobs } from "./jobs.js";
import { Live } from "./live.js";
import { Unfinished } from "./unfinished.js";
import { Uploads } from "./uploads.js";
import { accounts } from "./accounts.js";
import { announce } from "./announce.js";
import { chooseVideos } from "./choose.js";
import { chosenRecipe, startRecipe } from "./recipe.js";
import { chosenTargets, startTargets } from "./targets.js";
import { lookForBackup } from "./backup.js";
import { lookForPressure } from "./pressure.js";
import { publications } from "./publications.js";
import { setText } from "./dom.js";
import { showPauseAll, startPauseAll } from "./pause-all.js";
import { startBadges } from "./badges.js";
import { startDrop } from "./drop.js";
import { startRoutes } from "./routes.js";
import { toReview } from "./to-review.js";
import { startInstalled } from "./installed.js";
import { startNotify } from "./notify.js";
import { openView, resyncViews, tellViews } from "./views.js";

const OPEN_WITHIN_MS = 1_500; // then the list is loaded even without the stream
const MAKES_ROOM = new Set(["job.deleted", "media.pruned", "system.relieved"]);
const AWAY_MS = 5_000; // a page that was hidden longer may have missed something: phones freeze them

const jobs = new Jobs();
const uploads = new Uploads({ onJob: (job) => jobs.look(job.job_id, { now: true }), onChange: () => unfinished.show() });
const unfinished = new Unfinished(uploads, { options: chosen });
const live = new Live({
  onOpen: opened,
  onLost: lost,
  onEvent: hand,
  onProgress: (note) => jobs.progress(note),
});

startRecipe();
startTargets();
startBadges();
startPauseAll();
startRoutes({ onView: show });
startDrop({ onFiles: send });
startPicker();
startLink();
startInstalled();
startNotify();
unfinished.restore();

function show(name) {
  showPauseAll();
  if (name !== "takes") openView(name);
}

/** An event, to who is concerned by it. */
function hand(event) {
  const noun = event.type.split(".")[0];
  if (noun === "publication") publications.event(event);
  else if (noun === "account" || noun === "publishing") accounts.event(event);
  else if (noun === "system") lookForPressure();
  else if (noun === "backup") lookForBackup();
  else if (!["endpoint", "owner", "key"].includes(noun)) jobs.event(event);
  if (MAKES_ROOM.has(event.type)) uploads.roomWasMade();
  toReview.event(event);
  tellViews(event);
}

/** Looks at everything that may have changed unheard. */
function resync() {
  jobs.resync({ within: resyncPublishing() });
  unfinished.load();
  lookForPressure();
  lookForBackup();
}

/** Comes when it is known what stands within takes. */
async function resyncPublishing() {
  await accounts.load();
  await publications.recent();
  publications.resync();
  publications.lookForNews();
  toReview.look();
  resyncViews();
}

function send(files) {
  uploads.add(files, chosen());
}

function chosen() {
  return [chosenRecipe(), chosenTargets()].filter(Boolean).join("&");
}

function startPicker() {
  const files = document.getElementById("files");
  document.getElementById("choose").addEventListener("click", async () => {
    const chosen = await chooseVideos({ multiple: true });
    if (chosen) send(chosen);
    else files.click();
  });
  files.addEventListener("change", () => {
    send([...files.files]);
    files.value = ""; // so that the same file can be chosen again
  });
}

// First the stream, then the list: what happens in between is then seen twice, never not at all.

function startLink() {
  live.start();
  setTimeout(() => live.open || resync(), OPEN_WITHIN_MS);
  let hiddenAt = 0;
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "hidden") hiddenAt = Date.now();
    else if (hiddenAt && Date.now() - hiddenAt > AWAY_MS) comeBack();
  });
  addEventListener("pageshow", (event) => event.persisted && comeBack());
  addEventListener("online", () => live.start()); // at once, and anew: the old line may be dead without a word
  addEventListener("offline", lost);
}

function comeBack() {
  if (live.open) resync();
  else live.start();
}

let wasLost = false;

function opened() {
  link("live", "Live");
  if (wasLost) announce("The connection to the server is back.");
  wasLost = false;
  resync();
}

function lost() {
  link("lost", navigator.onLine ? "Reconnecting…" : "Offline");
  if (!wasLost) announce("The connection to the server is lost. Reconnecting.");
  wasLost = true;
}

function link(state, words) {
  document.getElementById("link").dataset.state = state;
  setText(document.getElementById("link-words"), words);
}
