// What a reader of the page needs, measured on the page as it is drawn. Each function returns a list of faults.
(() => {
  const TEXT_CONTRAST = 4.5; // WCAG 2.2, 1.4.3
  const PART_CONTRAST = 3; // WCAG 2.2, 1.4.11
  const TARGET = 44; // CSS pixels, WCAG 2.2, 2.5.5
  const CONTROLS = "button, a[href], input, select, summary, textarea, video";

  const shown = (element) =>
    element.checkVisibility({ opacityProperty: true, visibilityProperty: true }) && !element.closest(".sr-only, .symbols, .skip");
  const label = (element) => `<${element.localName} ${element.className?.baseVal ?? element.className}> ${element.textContent.trim().slice(0, 40)}`;

  const pen = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d", { willReadFrequently: true });
  const colours = new Map();

  function colour(text) {
    if (!colours.has(text)) colours.set(text, drawn(text));
    return colours.get(text);
  }

  function drawn(text) {
    pen.clearRect(0, 0, 1, 1);
    pen.fillStyle = text;
    pen.fillRect(0, 0, 1, 1);
    const [red, green, blue, alpha] = pen.getImageData(0, 0, 1, 1).data;
    return { channels: [red, green, blue], alpha: alpha / 255 };
  }

  function over(top, bottom) {
    return top.channels.map((channel, n) => channel * top.alpha + bottom[n] * (1 - top.alpha));
  }

  function ground(element) {
    const layers = [];
    for (let node = element; node; node = node.parentElement) {
      const layer = colour(getComputedStyle(node).backgroundColor);
      layers.push(layer);
      if (layer.alpha === 1) break;
    }
    return layers.reduceRight((below, layer) => over(layer, below), [255, 255, 255]);
  }

  function luminance(channels) {
    const [red, green, blue] = channels.map((channel) => {
      const share = channel / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  }

  function contrast(one, other) {
    const [light, dark] = [luminance(one), luminance(other)].sort((a, b) => b - a);
    return (light + 0.05) / (dark + 0.05);
  }

  function texts() {
    const faults = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    let seen = 0;
    while (walker.nextNode()) {
      const element = walker.currentNode.parentElement;
      if (!walker.currentNode.data.trim() || ["SCRIPT", "OPTION", "NOSCRIPT"].includes(element.tagName) || !shown(element)) continue;
      seen += 1;
      const behind = ground(element);
      const ratio = contrast(over(colour(getComputedStyle(element).color), behind), behind);
      if (ratio < TEXT_CONTRAST) faults.push(`${ratio.toFixed(2)}: ${label(element)}`);
    }
    return seen ? faults : ["no text was seen"];
  }

  /** Outlines of controls without a fill of their own, and the drawings that carry meaning. */
  function parts() {
    const faults = [];
    for (const element of [...document.querySelectorAll(".button, select, input[type=number], .step-mark")].filter(shown)) {
      const style = getComputedStyle(element);
      if (element.matches(".quiet, :disabled")) continue;
      const around = ground(element.parentElement);
      const best = Math.max(contrast(over(colour(style.borderTopColor), around), around), contrast(ground(element), around));
      if (best < PART_CONTRAST) faults.push(`${best.toFixed(2)}: ${label(element)}`);
    }
    for (const bar of [...document.querySelectorAll("progress")].filter(shown)) {
      const ratio = contrast(colour(getComputedStyle(bar).color).channels, ground(bar));
      if (ratio < PART_CONTRAST) faults.push(`${ratio.toFixed(2)}: progress`);
    }
    return faults;
  }

  function targets() {
    const faults = [];
    for (const element of [...document.querySelectorAll(CONTROLS)].filter(shown)) {
      let { width, height } = element.getBoundingClientRect();
      if (element.type === "checkbox") ({ height } = element.labels[0].getBoundingClientRect()); // its label is pressed too
      if (element.type === "checkbox") width += element.labels[0].getBoundingClientRect().width;
      if (width < TARGET - 0.5 || height < TARGET - 0.5) faults.push(`${Math.round(width)}×${Math.round(height)}: ${label(element)}`);
    }
    return faults;
  }

  /** Nothing reaches out of the window to the right, and no words are cut off in a box that hides them. */
  function overflow() {
    const faults = [];
    if (document.documentElement.scrollWidth > innerWidth) faults.push(`the page is ${document.documentElement.scrollWidth} wide`);
    for (const element of [...document.querySelectorAll("body *")].filter(shown)) {
      const { right, width } = element.getBoundingClientRect();
      if (width && right > innerWidth + 0.5) faults.push(`ends at ${Math.round(right)}: ${label(element)}`);
    }
    return faults;
  }

  /** Headings go down one level at a time. */
  function headings() {
    const levels = [...document.querySelectorAll("h1, h2, h3, h4, h5, h6")].filter(shown).map((heading) => Number(heading.localName[1]));
    const faults = levels.flatMap((level, n) => (level > (levels[n - 1] ?? 0) + 1 ? [`h${level} after h${levels[n - 1] ?? 0}`] : []));
    return levels.filter((level) => level === 1).length === 1 ? faults : [...faults, "there is not one h1"];
  }

  function ids() {
    const all = [...document.querySelectorAll("[id]")].map((element) => element.id);
    const faults = all.filter((id, n) => all.indexOf(id) !== n).map((id) => `#${id} twice`);
    for (const attribute of ["aria-labelledby", "aria-describedby", "for"]) {
      for (const element of document.querySelectorAll(`[${attribute}]`)) {
        const id = element.getAttribute(attribute);
        if (!all.includes(id)) faults.push(`${attribute}=${id} leads nowhere`);
      }
    }
    return faults;
  }

  /** What has the focus, and whether that can be seen. */
  function focus() {
    const element = document.activeElement;
    const style = getComputedStyle(element);
    const ring = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
    const { width, height } = element.getBoundingClientRect();
    const place = [...document.querySelectorAll("*")].indexOf(element);
    return { place, what: element === document.body ? "" : label(element), seen: ring && width > 0 && height > 0 };
  }

  window.audit = { texts, parts, targets, overflow, headings, ids, focus };
})();
