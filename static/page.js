// The page: joins the upload queue, the list of jobs and the live connection.

import { Jobs } from "./jobs.js";
import { Live } from "./live.js";
import { Uploads } from "./uploads.js";
import { announce } from "./announce.js";
import { chosenRecipe, startRecipe } from "./recipe.js";
import { setText } from "./dom.js";
import { startDrop } from "./drop.js";

const OPEN_WITHIN_MS = 1_500; // then the list is loaded even without the stream
const AWAY_MS = 5_000; // a page that was hidden longer may have missed something: phones freeze them

const jobs = new Jobs();
const uploads = new Uploads({ onJob: (job) => jobs.look(job.job_id, { now: true }) });
const live = new Live({
  onOpen: opened,
  onLost: lost,
  onEvent: (event) => jobs.event(event),
  onProgress: (note) => jobs.progress(note),
});

startRecipe();
startDrop({ onFiles: send });
startPicker();
startLink();

function send(files) {
  uploads.add(files, chosenRecipe());
}

function startPicker() {
  const files = document.getElementById("files");
  document.getElementById("choose").addEventListener("click", () => files.click());
  files.addEventListener("change", () => {
    send([...files.files]);
    files.value = ""; // so that the same file can be chosen again
  });
}

// First the stream, then the list: what happens in between is then seen twice, never not at all.

function startLink() {
  live.start();
  setTimeout(() => live.open || jobs.resync(), OPEN_WITHIN_MS);
  let hiddenAt = 0;
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "hidden") hiddenAt = Date.now();
    else if (hiddenAt && Date.now() - hiddenAt > AWAY_MS) comeBack();
  });
  addEventListener("pageshow", (event) => event.persisted && comeBack());
}

function comeBack() {
  if (live.open) jobs.resync();
  else live.start();
}

let wasLost = false;

function opened() {
  link("live", "Live");
  if (wasLost) announce("The connection to the server is back.");
  wasLost = false;
  jobs.resync();
}

function lost() {
  link("lost", "Reconnecting…");
  if (!wasLost) announce("The connection to the server is lost. Reconnecting.");
  wasLost = true;
}

function link(state, words) {
  document.getElementById("link").dataset.state = state;
  setText(document.getElementById("link-words"), words);
}
