// Elements, made without markup: text is always a text node, so nothing a file is called can become a tag.

/**
 * An element with attributes, listeners (`onclick: f`) and children (nodes or text; null and false are left out).
 * There is no `style`: the page's policy forbids style attributes.
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** One of the drawings in index.html; decoration, so it is hidden from screen readers. */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("focusable", "false");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

/** Another drawing in the same place. */
export function redraw(svg, name) {
  setAttribute(svg.firstChild, "href", `#i-${name}`);
}

/** A file's name: isolated, so that its direction does not turn the words around it. */
export function named(filename) {
  return h("bdi", { dir: "auto", title: filename }, filename);
}

/** Sets text only when it differs: an untouched node keeps its selection and is not read out again. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Sets or removes one attribute, only when it differs. */
export function setAttribute(element, name, value) {
  if (value === null || value === false) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, String(value));
}

/** Hides a control; a focus inside it goes to `heir`, not to the top of the page. */
export function setHidden(element, hidden, heir = null) {
  if (element.hidden === hidden) return;
  const hadFocus = hidden && element.contains(document.activeElement);
  element.hidden = hidden;
  if (hadFocus && heir) heir.focus();
}

/**
 * Runs `work` once per click at most. The button is not `disabled` meanwhile: that would throw the focus away, and
 * with it the place of someone who uses the keyboard.
 */
export async function whileBusy(button, work) {
  if (button.getAttribute("aria-disabled") === "true") return;
  button.setAttribute("aria-disabled", "true");
  try {
    await work();
  } finally {
    button.removeAttribute("aria-disabled");
  }
}
