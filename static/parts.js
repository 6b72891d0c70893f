// What is not seen at first sight: loaded when it is opened, all files of it at once, so that no import waits for another.

import { Problem } from "./api.js";

const PARTS = {
  accounts: { scripts: ["accounts-view", "account-card", "account-settings", "slots", "wording"], styles: ["cards"] },
  calendar: { scripts: ["calendar", "calendar-week", "needs"], styles: ["calendar"] },
  webhooks: { scripts: ["webhooks-view", "deliveries", "endpoint-card", "endpoint-form", "secret-box"], styles: ["cards", "webhooks"] },
  security: { scripts: ["security-view", "key-panel", "secret-box", "way-in"], styles: ["cards", "webhooks", "security"] },
  publication: { scripts: ["publication-sheet", "sheet", "wording"], styles: ["sheet"] },
  settle: { scripts: ["settle-sheet", "sheet"], styles: ["sheet"] },
  edit: { scripts: ["edit-sheet", "cover", "filmstrip", "reel", "segment-words", "sheet", "trim"], styles: ["sheet", "edit"] },
  publish: { scripts: ["publish-sheet", "sheet", "slots", "wording"], styles: ["sheet"] },
};

const styles = new Map(); // name → its loading

/** The first module of a part. Raises a Problem when one of its files cannot be had; the next call asks again. */
export async function part(name) {
  const files = PARTS[name];
  try {
    const [module] = await Promise.all([...files.scripts.map((script) => import(`./${script}.js`)), ...files.styles.map(style)]);
    return module;
  } catch (error) {
    console.debug(error); // a file that came and is broken would be seen nowhere else
    throw new Problem({
      title: "This part of the page could not be loaded",
      detail: "The server cannot be reached, or has another version by now.",
      hint: "Try again. If that does not help, load the page anew.",
      code: "unreachable",
    });
  }
}

function style(name) {
  if (!styles.has(name)) styles.set(name, load(name));
  return styles.get(name);
}

function load(name) {
  return new Promise((resolve, reject) => {
    const link = Object.assign(document.createElement("link"), { rel: "stylesheet", href: `/static/${name}.css` });
    link.onload = resolve;
    link.onerror = () => {
      link.remove();
      styles.delete(name);
      reject(new Error(`${name}.css could not be loaded`));
    };
    document.head.append(link);
  });
}
