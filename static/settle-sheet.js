// What somebody saw who looked at the platform, where it does not tell itself what became of a publication.

import { announce } from "./announce.js";
import { h, named, whileBusy } from "./dom.js";
import { problemBox } from "./problem.js";
import { nameOf } from "./publication-actions.js";
import { platformName, segmentWords } from "./publication-words.js";
import { publications } from "./publications.js";
import { Sheet } from "./sheet.js";

export function openSettleSheet(id) {
  const publication = publications.get(id);
  const where = platformName(publication.platform);
  const sheet = new Sheet({ title: ["Is ", named(segmentWords(publication)), ` on ${where}?`], label: `Is it there: ${nameOf(publication)}` });
  const trouble = h("div", { class: "trouble" });
  const url = h("input", { type: "url", id: "settle-url", autocomplete: "off", maxlength: "2000", required: true });
  const there = h("button", { class: "button primary", type: "submit" }, "It is there");
  const missing = h("button", { class: "button", type: "button", onclick: () => whileBusy(missing, () => say(null)) }, "It is not there");

  async function say(address) {
    trouble.replaceChildren();
    try {
      await publications.ask(id, "settle", { url: address });
      sheet.close();
    } catch (problem) {
      trouble.replaceChildren(problemBox(problem));
      announce(problem.words);
    }
  }

  const submit = (event) => {
    event.preventDefault();
    whileBusy(there, () => say(url.value.trim()));
  };
  const words = `Look on ${where} itself, at your posts and drafts. What is there and called missing may go out twice; what is missing and called there never does.`;
  sheet.body.append(
    h(
      "form",
      { "aria-label": `What you saw on ${where}`, onsubmit: submit },
      h("p", { class: "card-facts" }, words),
      h("div", { class: "field" }, h("label", { for: "settle-url" }, "Its address there"), url),
      trouble,
      h("div", { class: "line-actions" }, there, missing),
    ),
  );
  sheet.open();
}
