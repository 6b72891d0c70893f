// How the page says what becomes of a publication.

import { now } from "./now.js";
import { momentWords } from "./zones.js";
import { plainName } from "./words.js";

const PLATFORM = { youtube: "YouTube", tiktok: "TikTok", instagram: "Instagram" };
const STATE = {
  scheduled: "Planned",
  uploading: "Uploading",
  processing: "Processing",
  published: "Published",
  rejected: "Rejected",
  cancelled: "Cancelled",
  unknown: "Unclear",
};
const WAIT = {
  approval: "Needs approval",
  paused: "Paused",
  reauth: "Connect again",
  missed: "Missed",
  quota: "Waits",
  cap: "Waits",
  gap: "Waits",
  retry: "Tried again",
  hold: "Waits",
};
const THERE = { handed: "Handed over", moving: "Being moved", withdrawing: "Being cancelled", paused: "Paused" };
const NEWS_MS = 7 * 86_400_000;
const OVER = new Set(["published", "rejected", "cancelled"]);

export function platformName(platform) {
  return PLATFORM[platform] ?? platform;
}

/** "My channel, YouTube" */
export function accountWords({ name, platform }) {
  return `${name}, ${platformName(platform)}`;
}

/** "Segment 2 of take.mov"; of a deleted take nobody knows which it was. */
export function segmentWords({ segment_index: index, filename }) {
  return `${index === null ? "A segment" : `Segment ${index + 1}`} of ${plainName(filename)}`;
}

function isOver({ state }) {
  return OVER.has(state);
}

export function isMissed({ state, missed_at: at }) {
  return (state === "scheduled" || state === "processing") && Boolean(at);
}

/** Whether YouTube was handed it with its time, and can still be told of another, or of none. */
export function isHanded({ state, platform, wait }) {
  return state === "processing" && platform === "youtube" && ["handed", "moving", "paused", "missed"].includes(wait?.code);
}

export function needsApproval({ state, needs_approval: needs, approved_at: at }) {
  return state === "scheduled" && needs && !at;
}

/** Whether it is no post yet, but waits in TikTok's app for a person to finish it. */
function isDraft({ state, platform, said }) {
  return state === "published" && platform === "tiktok" && said === "SEND_TO_USER_INBOX";
}

/** Whether its time and words may still be changed: nothing of it is at the platform. */
export function isOpen({ state }) {
  return state === "scheduled";
}

/** Whether its time may still be changed. */
export function isMovable(publication) {
  return isOpen(publication) || isHanded(publication);
}

/** One word or two. */
export function stateWord(publication) {
  if (isMissed(publication)) return "Missed";
  if (needsApproval(publication)) return "Needs approval";
  if (isDraft(publication)) return "In the inbox";
  if (publication.state === "scheduled" && publication.wait) return WAIT[publication.wait.code] ?? STATE.scheduled;
  if (publication.state === "processing" && publication.wait) return THERE[publication.wait.code] ?? STATE.processing;
  return STATE[publication.state] ?? publication.state;
}

/** How much of a person's eye it wants: "bad", "ask", "good", "busy" or "". */
export function tone(publication) {
  if (publication.state === "rejected") return "bad";
  if (needsYou(publication)) return "ask";
  if (publication.state === "published") return "good";
  if (isHanded(publication)) return "";
  return publication.state === "uploading" || publication.state === "processing" ? "busy" : "";
}

/** Whether it stands still until somebody decides. */
function needsYou(publication) {
  return publication.state === "unknown" || isMissed(publication) || needsApproval(publication);
}

/** Whether it belongs on a person's list: it stands still, or was rejected lately. */
export function isNews(publication) {
  const { state, finalized_at: at } = publication;
  return needsYou(publication) || (state === "rejected" && now() - Date.parse(at) < NEWS_MS);
}

/** What is going on, in a sentence; "" when its state and time say it all. */
export function storyOf(publication) {
  if (isMissed(publication) && isHanded(publication)) return publication.wait.message;
  if (isMissed(publication)) return "It came due while the machine slept: publish now, choose a time, or drop it.";
  const { state, wait, said, errors } = publication;
  const until = wait?.until ? ` Until ${momentWords(Date.parse(wait.until))}.` : "";
  if (state === "rejected") return errors.at(-1)?.message || said;
  if (wait && !isOver(publication)) return `${wait.message}${until}`;
  if (state === "unknown") return "Whether it was posted is not known. It is asked of the platform, never posted again blindly.";
  if (isDraft(publication)) return `A draft in TikTok's inbox: finish it in the app${publication.post.synthetic ? ", and say there that AI altered it" : ""}.`;
  if (state === "published") return lockedWords(publication);
  return isOver(publication) ? "" : said;
}

/** When the platform shows it to others than was asked for. */
function lockedWords({ privacy_seen: seen, post, platform }) {
  if (!seen || !post.privacy || seen === post.privacy) return "";
  return `It was to be ${post.privacy}; ${platformName(platform)} keeps it ${seen}.`;
}

/** "Tue 1 Dec, 18:00", of what matters: when it went out, or when it shall. */
export function timeOf({ published_at: published, due_at: due }) {
  return Date.parse(published ?? due);
}
