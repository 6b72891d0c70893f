// Files with handles: where the browser gives them, a file can be read again after a reload without being chosen again.

const handles = new WeakMap(); // File → its handle
const VIDEOS = [".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".ts", ".mts", ".m2ts", ".flv", ".3gp"];

export function handleOf(file) {
  return handles.get(file) ?? null;
}

/** The file of a handle. Raises when it is gone, or may not be read. */
export async function fileOf(handle) {
  const file = await handle.getFile();
  handles.set(file, handle);
  return file;
}

/** The videos chosen, none when it was called off; null where an input is the better way, or the only one. */
export async function chooseVideos({ multiple }) {
  // With a finger the input is better: it opens the gallery and the camera.
  if (!("showOpenFilePicker" in window) || !matchMedia("(pointer: fine)").matches) return null;
  try {
    const picked = await showOpenFilePicker({ multiple, types: [{ description: "Videos", accept: { "video/*": VIDEOS } }] });
    return await Promise.all(picked.map(fileOf));
  } catch (error) {
    return error.name === "AbortError" ? [] : null;
  }
}

/** The handles of what is dropped. To be called while the drop is handled: after that the browser has forgotten it. */
export async function rememberDropped(transfer) {
  const files = [...transfer.files];
  const asked = [...transfer.items].filter((item) => item.kind === "file").map((item) => item.getAsFileSystemHandle?.());
  const found = await Promise.allSettled(asked);
  found.forEach(({ value }, index) => value?.kind === "file" && files[index] && handles.set(files[index], value));
}
