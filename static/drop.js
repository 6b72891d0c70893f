// Dropping files anywhere on the page.

import { rememberDropped } from "./choose.js";

const veil = document.getElementById("drop");

export function startDrop({ onFiles }) {
  let depth = 0; // enter and leave come for each element that is crossed
  const end = () => {
    depth = 0;
    veil.hidden = true;
  };
  addEventListener("dragenter", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    depth += 1;
    veil.hidden = false;
  });
  addEventListener("dragover", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "copy";
  });
  addEventListener("dragleave", (event) => {
    if (!carriesFiles(event)) return;
    depth -= 1;
    if (depth <= 0) end();
  });
  addEventListener("drop", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault(); // else the browser leaves the page and shows the file
    end();
    const dropped = files(event.dataTransfer);
    rememberDropped(event.dataTransfer).then(() => onFiles(dropped));
  });
}

function carriesFiles(event) {
  return event.dataTransfer?.types.includes("Files") ?? false;
}

/** The files, without folders: a folder looks like a file of 4096 bytes that cannot be read. */
function files(transfer) {
  const folders = new Set();
  for (const item of transfer.items) {
    const entry = item.webkitGetAsEntry?.();
    if (entry?.isDirectory) folders.add(entry.name);
  }
  return [...transfer.files].filter((file) => !(folders.has(file.name) && file.type === ""));
}
