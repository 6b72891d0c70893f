// The recipe options, remembered on this device.

import { setText } from "./dom.js";

const MEMORY = "vidprod.recipe";
const form = document.getElementById("recipe");
const now = document.getElementById("options-now");
const DEFAULTS = {
  segment_s: "60",
  snap: "pause",
  frame: "auto",
  loudness: "auto",
  gaze: "on",
  gaze_strength: "0.9",
  look_away_deg: "4",
  video: "encode",
};
const SNAP_WORDS = { pause: "cut in pauses", none: "cut exactly" };
const FRAME_WORDS = {
  auto: "vertical, follows the face",
  face: "vertical, close to the face",
  blur: "vertical, over blur",
  fill: "vertical, cropped",
  original: "as recorded",
};
const FRAME_HELP = {
  auto: "What is too wide is cropped around the speaker. Landscape without a face lies over its blurred copy.",
  face: "Moves up and down with the face in upright takes too, and tells you where there was none.",
  blur: "All of a landscape picture, over its blurred copy. Nothing moves.",
  fill: "What lies outside the middle is cut off. Nothing moves.",
  original: "The shape of the take, be it upright or not.",
};
const GAZE_HELP = "Turns the speaker's eyes from a script beside the lens into it.";
const KEPT_HELP = "Not while the original pixels are kept.";

/** What is chosen, as a query: only what differs from the defaults, so that the server's defaults stay its own. */
export function chosenRecipe() {
  const values = chosen();
  if (values.video === "copy") {
    values.frame = DEFAULTS.frame; // kept pixels cannot be framed anew
    values.snap = DEFAULTS.snap; // and are cut where their keyframes are
    values.gaze = DEFAULTS.gaze; // nor is an eye in them turned
  }
  if (!turns(values)) {
    values.gaze_strength = DEFAULTS.gaze_strength;
    values.look_away_deg = DEFAULTS.look_away_deg;
  }
  const changed = Object.entries(values).filter(([name, value]) => value !== DEFAULTS[name]);
  return new URLSearchParams(changed).toString();
}

export function startRecipe() {
  recall();
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", tell);
  form.addEventListener("change", () => {
    form.elements.segment_s.value = length(form.elements.segment_s.value);
    tell();
    try {
      localStorage.setItem(MEMORY, JSON.stringify(chosen()));
    } catch {
      // storage is full or forbidden: the choice holds until the page goes
    }
  });
  tell();
}

function chosen() {
  const { segment_s, snap, frame, loudness, gaze, gaze_strength, look_away_deg, video } = form.elements;
  return {
    segment_s: length(segment_s.value),
    snap: snap.value,
    frame: frame.value,
    loudness: loudness.value,
    gaze: gaze.checked ? "on" : "off",
    gaze_strength: String(gaze_strength.valueAsNumber / 100),
    look_away_deg: look_away_deg.value,
    video: video.checked ? "copy" : "encode",
  };
}

/** Whether the eyes are turned at all. */
function turns({ video, gaze }) {
  return video === "encode" && gaze === "on";
}

function length(text) {
  const value = Number(text);
  return String(Number.isFinite(value) && text !== "" ? Math.min(60, Math.max(3, value)) : DEFAULTS.segment_s);
}

function recall() {
  let known = null;
  try {
    known = JSON.parse(localStorage.getItem(MEMORY));
  } catch {
    return;
  }
  if (!known) return;
  form.elements.segment_s.value = length(known.segment_s ?? "");
  form.elements.video.checked = known.video === "copy";
  form.elements.gaze.checked = known.gaze !== "off";
  const strength = Number(known.gaze_strength ?? DEFAULTS.gaze_strength);
  if (Number.isFinite(strength)) form.elements.gaze_strength.value = String(Math.round(100 * strength));
  for (const name of ["snap", "frame", "loudness", "look_away_deg"]) {
    const select = form.elements[name];
    if ([...select.options].some((option) => option.value === known[name])) select.value = known[name];
  }
}

function tell() {
  const values = chosen();
  const copies = values.video === "copy";
  const { frame, snap, gaze, gaze_strength: strength, look_away_deg: glance } = form.elements;
  for (const control of [frame, snap, gaze]) control.disabled = copies;
  for (const control of [strength, glance]) control.disabled = !turns(values);
  const figure = `${strength.value}\u00a0%`;
  strength.setAttribute("aria-valuetext", figure);
  setText(document.getElementById("gaze_strength-now"), figure);
  setText(document.getElementById("frame-help"), copies ? KEPT_HELP : FRAME_HELP[values.frame]);
  setText(document.getElementById("gaze-help"), copies ? KEPT_HELP : GAZE_HELP);
  const eyes = turns(values) && strength.valueAsNumber > 0 ? `eyes ${figure}` : "eyes as recorded";
  const words = copies ? ["cut at keyframes", "pixels kept"] : [SNAP_WORDS[values.snap], FRAME_WORDS[values.frame], eyes];
  setText(now, [`${values.segment_s}\u00a0s`, ...words].join(" · "));
}
