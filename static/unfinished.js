// What waits for a person before it can be uploaded: unfinished uploads whose file this page has not, files that may only
// be read after a tap, and files that were shared where it is not sure by whom.

import { Problem, request } from "./api.js";
import { announce } from "./announce.js";
import { held } from "./alone.js";
import { confirm } from "./confirm.js";
import { h, icon, named, setHidden, whileBusy } from "./dom.js";
import { chooseVideos, fileOf } from "./choose.js";
import { isInstalled } from "./installed.js";
import { keep, keptTakes, letGo } from "./kept.js";
import { Memory, fingerprint, rememberedAt } from "./memory.js";
import { problemBox } from "./problem.js";
import { bytes, percent, plainName, when } from "./words.js";

const VERSION = { "Tus-Resumable": "1.0.0" };

export class Unfinished {
  #known = []; // of the server
  #waiting = []; // kept files that need a tap
  #elsewhere = new Set(); // names that another tab of this browser sends
  #items = new Map(); // its key → {element, facts}

  /** `options()` is the query of what is chosen now, for what was shared without any. */
  constructor(uploads, { options }) {
    this.uploads = uploads;
    this.options = options;
    this.section = document.getElementById("unfinished");
    this.title = document.getElementById("unfinished-title");
    this.list = document.getElementById("unfinished-list");
    this.after = document.getElementById("choose");
  }

  /** What was kept goes on; what may not without a tap is listed. */
  async restore() {
    let takes;
    try {
      takes = await keptTakes();
    } catch {
      return; // storage is forbidden: nothing was kept
    }
    for (const take of takes) {
      if (await this.#mayGo(take)) await this.#goOn(take);
      else this.#waiting.push(take);
    }
    this.show();
  }

  /** Asks the server for what it has unfinished. */
  async load() {
    try {
      const [{ uploads }, elsewhere] = await Promise.all([request("GET", "/v1/uploads"), held()]);
      this.#known = uploads.filter(({ kind, size }) => kind === "whole" && size !== null); // the others are scripts' own
      this.#elsewhere = elsewhere;
    } catch (problem) {
      if (problem.status !== 404) return; // what was known is still shown
      this.#known = [];
    }
    this.show();
  }

  show() {
    this.#known = this.#known.filter(({ url }) => !this.uploads.has(url)); // those end in the queue
    const entries = this.#entries();
    const keys = new Set(entries.map((entry) => entry.key));
    const hadFocus = this.list.contains(document.activeElement);
    for (const [key, { element }] of this.#items) {
      if (keys.has(key)) continue;
      element.remove();
      this.#items.delete(key);
    }
    for (const entry of entries) {
      const facts = JSON.stringify([entry.offset, entry.expiresAt]);
      if (this.#items.get(entry.key)?.facts === facts) continue;
      const element = this.#element(entry);
      const before = this.#items.get(entry.key)?.element;
      if (before) before.replaceWith(element);
      else if (entry.take) this.list.prepend(element); // what just came, above what lies there
      else this.list.append(element);
      this.#items.set(entry.key, { element, facts });
    }
    if (hadFocus && !this.list.contains(document.activeElement)) (entries.length ? this.title : this.after).focus();
    setHidden(this.section, entries.length === 0, this.after);
  }

  #entries() {
    const kept = this.#waiting.map((take) => ({
      key: `kept ${take.id}`,
      take,
      name: plainName(take.file?.name ?? take.handle.name),
      size: take.file?.size ?? null,
    }));
    const known = this.#known
      .filter(({ url }) => !this.#elsewhere.has(rememberedAt(url)?.name))
      .map(({ id, url, filename, size, offset, expires_at: expiresAt }) => ({
        key: id,
        url,
        name: plainName(filename),
        size,
        offset,
        expiresAt,
      }));
    return [...kept, ...known.filter(({ name }) => !kept.some((one) => one.take.handle && one.name === name))];
  }

  #element(entry) {
    const { name, size, take } = entry;
    const trouble = h("div", { class: "upload-trouble" });
    const tried = (button, work) =>
      whileBusy(button, async () => {
        trouble.replaceChildren();
        try {
          await work();
        } catch (problem) {
          if (!(problem instanceof Problem)) throw problem;
          trouble.replaceChildren(problemBox(problem));
          announce(problem.words);
        }
      });
    const [words, label] = take
      ? take.shared
        ? ["Send it", `Send it: ${name}`]
        : ["Go on", `Go on with ${name}`]
      : ["Choose the file again", `Choose the file again: ${name}`];
    const go = h("button", { class: "button", type: "button", "aria-label": label }, h("span", {}, words));
    go.addEventListener("click", () => tried(go, () => (take ? this.#allowed(take) : this.#chosenAgain(entry))));
    const discard = h("button", { class: "button quiet", type: "button", "aria-label": `Discard ${name}` }, icon("bin"), h("span", {}, "Discard"));
    discard.addEventListener("click", () => tried(discard, () => this.#discard(entry)));
    return h(
      "li",
      { class: "upload" },
      h("div", { class: "upload-head" }, h("p", { class: "upload-name" }, named(name)), size !== null && h("p", { class: "upload-size" }, bytes(size))),
      h("p", { class: "upload-note" }, this.#words(entry)),
      trouble,
      h("div", { class: "upload-buttons" }, go, discard),
    );
  }

  #words({ take, size, offset, expiresAt }) {
    if (take?.shared) return "Was handed to this page from outside. It is not sent unless you say so.";
    if (take) return "The browser asks before it reads the file again.";
    const there = size ? `${percent((100 * offset) / size)} % is on the server` : `${bytes(offset)} are on the server`;
    return `${there}, kept until ${when(expiresAt)}.`;
  }

  /** Without a tap only what surely came from this person: chosen here, or shared with the installed app. */
  async #mayGo(take) {
    if (take.file) return !take.shared || isInstalled();
    return (await take.handle.queryPermission({ mode: "read" }).catch(() => "denied")) === "granted";
  }

  async #allowed(take) {
    if (take.handle && (await take.handle.requestPermission({ mode: "read" })) !== "granted") return;
    if (take.shared) await keep({ ...take, shared: false, recipe: this.options() });
    await this.#goOn(take);
  }

  async #goOn(take) {
    let file;
    try {
      file = take.file ?? (await fileOf(take.handle));
    } catch {
      await letGo(take.id); // moved or deleted since; what the server has of it is listed
      this.#forgetTake(take);
      return;
    }
    this.uploads.add([file], take.shared ? this.options() : take.recipe, { kept: take.id });
    this.#forgetTake(take);
  }

  #forgetTake(take) {
    this.#waiting = this.#waiting.filter((other) => other !== take);
    this.show();
  }

  async #chosenAgain(entry) {
    const file = await chosenFile();
    if (!file) return;
    const print = await fingerprint(file);
    const remembered = rememberedAt(entry.url);
    if (file.size !== entry.size || (remembered && remembered.print !== print)) {
      throw new Problem({
        title: "This is another file",
        detail: `${plainName(file.name)} has ${bytes(file.size)} and is not what was begun with.`,
        hint: `Choose ${entry.name}, or discard this upload.`,
      });
    }
    const recipe = remembered?.read().recipe ?? "";
    if (!remembered) new Memory(print).write({ url: entry.url, recipe }); // begun on another device, or by a script
    this.uploads.add([file], recipe);
  }

  async #discard({ name, take, url }) {
    const sure = await confirm({
      title: ["Discard ", named(name), "?"],
      text: "What is there of it is deleted on the server. The file on this device stays.",
      go: "Discard",
    });
    if (!sure) return;
    if (take) {
      await letGo(take.id);
      this.#forgetTake(take);
      return;
    }
    await request("DELETE", url, undefined, VERSION).catch((problem) => {
      if (![404, 410].includes(problem.status)) throw problem;
    });
    rememberedAt(url)?.forget();
    this.#known = this.#known.filter((upload) => upload.url !== url);
    this.show();
    announce(`${name} is discarded.`);
  }
}

async function chosenFile() {
  const picked = await chooseVideos({ multiple: false });
  if (picked) return picked[0];
  const input = h("input", { type: "file", accept: "video/*" });
  return new Promise((resolve) => {
    input.addEventListener("change", () => resolve(input.files[0]));
    input.addEventListener("cancel", () => resolve(undefined));
    input.click();
  });
}
