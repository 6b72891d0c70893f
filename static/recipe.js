// The recipe options, remembered on this device.

const MEMORY = "vidprod.recipe";
const form = document.getElementById("recipe");
const now = document.getElementById("options-now");
const DEFAULTS = { segment_s: "60", snap: "pause", frame: "auto", loudness: "auto", video: "encode" };
const SNAP_WORDS = { pause: "cut in pauses", none: "cut exactly" };
const FRAME_WORDS = { auto: "vertical", fill: "vertical, cropped", original: "as recorded" };

/** What is chosen, as a query: only what differs from the defaults, so that the server's defaults stay its own. */
export function chosenRecipe() {
  const values = chosen();
  if (values.video === "copy") {
    values.frame = DEFAULTS.frame; // kept pixels cannot be framed anew
    values.snap = DEFAULTS.snap; // and are cut where their keyframes are
  }
  const changed = Object.entries(values).filter(([name, value]) => value !== DEFAULTS[name]);
  return new URLSearchParams(changed).toString();
}

export function startRecipe() {
  recall();
  form.addEventListener("submit", (event) => event.preventDefault());
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
  const { segment_s, snap, frame, loudness, video } = form.elements;
  return {
    segment_s: length(segment_s.value),
    snap: snap.value,
    frame: frame.value,
    loudness: loudness.value,
    video: video.checked ? "copy" : "encode",
  };
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
  for (const name of ["snap", "frame", "loudness"]) {
    const select = form.elements[name];
    if ([...select.options].some((option) => option.value === known[name])) select.value = known[name];
  }
}

function tell() {
  const values = chosen();
  const copies = values.video === "copy";
  form.elements.frame.disabled = copies;
  form.elements.snap.disabled = copies;
  const words = copies ? ["cut at keyframes", "pixels kept"] : [SNAP_WORDS[values.snap], FRAME_WORDS[values.frame]];
  now.textContent = [`${values.segment_s} s`, ...words].join(" · ");
}
