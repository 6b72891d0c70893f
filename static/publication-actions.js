// What a person can do with a publication, as buttons.

import { announce } from "./announce.js";
import { accounts } from "./accounts.js";
import { confirm } from "./confirm.js";
import { h, icon, named, whileBusy } from "./dom.js";
import { part } from "./parts.js";
import { accountWords, isHanded, isMissed, isMovable, needsApproval, platformName, segmentWords } from "./publication-words.js";
import { publications } from "./publications.js";

/** Buttons for what can be done now. `refused(problem)` hears why something was not; `null` when something is tried anew. */
export function actionButtons(publication, { refused }) {
  return actionsOf(publication).map(({ what, words, look, drawing, ask = null, opens = null }) => {
    const work = async () => {
      if (opens) return opens(publication, refused);
      if (ask && !(await ask())) return undefined;
      refused(null);
      try {
        await publications.ask(publication.id, what);
      } catch (problem) {
        refused(problem);
        announce(problem.words);
        publications.look(publication.id); // what stood here was not what the server knows
      }
      return undefined;
    };
    const label = `${words}: ${nameOf(publication)}`;
    const button = h("button", { class: "button", type: "button", "aria-label": label, "data-what": what, onclick: () => whileBusy(button, work) });
    button.classList.toggle("primary", look === "primary");
    button.classList.toggle("quiet", look === "quiet");
    button.append(icon(drawing), h("span", {}, words));
    return button;
  });
}

/** What tells it from all others, to be read out. */
export function nameOf(publication) {
  const account = accounts.get(publication.account_id);
  const where = account ? accountWords(account) : `${publication.account_name ?? "an account"}, ${platformName(publication.platform)}`;
  return `${segmentWords(publication)}, ${where}`;
}

function actionsOf(publication) {
  const { state } = publication;
  const missed = isMissed(publication);
  const actions = [];
  if (needsApproval(publication) && !missed) actions.push({ what: "approve", words: "Approve", look: "primary", drawing: "done" });
  if (isMovable(publication)) {
    actions.push({ what: "publish", words: "Publish now", look: missed ? "primary" : "", drawing: "send", ask: () => agreeToPublish(publication) });
  }
  if (state === "unknown") actions.push({ what: "check", words: "Check again", look: "primary", drawing: "again" });
  if (state === "unknown" && publication.phase !== "begin") actions.push({ what: "settle", words: "I looked there", look: "", drawing: "out", opens: openSettle });
  if (state === "rejected") actions.push({ what: "retry", words: "Try again", look: "primary", drawing: "again" });
  if (canBeCancelled(publication)) actions.push({ what: "cancel", words: missed ? "Drop it" : "Cancel it", look: "quiet", drawing: "stop" });
  return actions;
}

/** Whether nothing of it can be public yet; the server knows best, and says why when it cannot. */
function canBeCancelled(publication) {
  const { state, phase, wait } = publication;
  return isMovable(publication) || (state === "uploading" && phase === null) || (state === "processing" && wait?.code === "paused");
}

async function openSettle({ id }, refused) {
  refused(null);
  try {
    const { openSettleSheet } = await part("settle");
    openSettleSheet(id);
  } catch (problem) {
    refused(problem);
    announce(problem.words);
  }
}

function agreeToPublish(publication) {
  return confirm({
    title: ["Publish ", named(segmentWords(publication)), " now?"],
    text: `It goes to ${platformName(publication.platform)} at once. That cannot be taken back from here.`,
    go: "Publish now",
    keep: "Not now",
  });
}
