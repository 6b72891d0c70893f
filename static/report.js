// What was done to a segment, in words: eyes that were turned to the lens, and a crop that followed the face.

import { count, degrees, share } from "./words.js";

const LEFT_ALONE = {
  at_lens: "at the lens already",
  blink: "blink",
  away: "looking away",
  head_turned: "head turned",
  no_face: "no face",
  too_small: "too small",
  glare: "covered or in glare",
  too_slow: "too slow",
};

/** In a few words each, for a list of figures. */
export function inShort({ gaze, framing }) {
  return [gaze && eyesInShort(gaze), framing && (framing.followed ? "Crop follows the face" : "No face to follow")].filter(Boolean);
}

/** What platforms want to be told; "" where nothing was altered. */
export function altered({ synthetic, synthetic_reason: reason }) {
  return synthetic ? `Altered: ${reason ?? "what it shows did not happen so"}.` : "";
}

/** Sentences. */
export function inFull({ gaze, framing, synthetic }) {
  return [
    ...(gaze ? eyes(gaze, { told: synthetic }) : []),
    ...(framing ? crop(framing) : []),
  ].filter(Boolean);
}

function eyesInShort({ corrected, faded }) {
  return corrected + faded ? `Eyes turned in ${share(corrected + faded)}` : "Eyes left as they were";
}

/** `told`: that they were turned, and in which share of the frames. */
function eyes({ corrected, faded, left_alone: alone, mean_deg: mean, largest_deg: largest, reason }, { told }) {
  const turned = corrected + faded;
  if (reason && !turned) return [`The eyes were left as they were: ${reason}.`];
  const why = Object.entries(alone)
    .filter(([, part]) => part > 0)
    .sort(([, one], [, other]) => other - one)
    .map(([name, part]) => `${LEFT_ALONE[name] ?? name} ${share(part)}`);
  return [
    !turned && "The eyes were left as they were.",
    turned && !told && `The eyes were turned to the lens in ${share(turned)} of the frames.`,
    faded && `In ${share(faded)} they were turned only in part.`,
    turned && mean !== null && largest !== null && `Before, they looked ${degrees(mean)} past the lens on average, ${degrees(largest)} at most.`,
    why.length && `Left alone: ${why.join(", ")}.`,
    reason && `Then no more: ${reason}.`,
  ];
}

function crop({ followed, blurred, moves, cuts, speakers }) {
  if (!followed) return ["There was no face for the crop to follow."];
  return [
    moves + cuts
      ? `The crop follows the face in ${share(followed)} of the frames, with ${count(moves, "move")} and ${count(cuts, "cut")}.`
      : `The crop holds still around the face in ${share(followed)} of the frames.`,
    blurred && `In ${share(blurred)} the whole picture lies over its blurred copy.`,
    speakers > 1 && `Of ${speakers} faces it shows the one that seems to speak, which is a guess.`,
  ];
}
