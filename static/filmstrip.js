// A strip of small pictures along a stretch of a take, from the sprites of its segments.

import { h } from "./dom.js";

/** From second `from` to `to` of the take. `segments`: the first that shows a moment gives its picture. */
export function filmstrip(segments, { from, to }) {
  const count = matchMedia("(min-width: 640px)").matches ? 18 : 10;
  const tiles = Array.from({ length: count }, (_, n) => tile(segments, from + ((n + 0.5) / count) * (to - from)));
  return h("div", { class: "filmstrip", "aria-hidden": "true" }, ...tiles);
}

function tile(segments, at) {
  const segment = segments.find((one) => one.sprite && at >= one.in_s && at < one.in_s + one.duration_s);
  const picture = h("div", { class: "filmstrip-picture" });
  if (segment) {
    const { sprite } = segment;
    const place = Math.min(sprite.count - 1, Math.max(0, Math.floor((at - segment.in_s) / sprite.interval_s)));
    const { style } = picture;
    style.backgroundImage = `url("${encodeURI(sprite.url)}")`;
    style.aspectRatio = `${sprite.tile_width} / ${sprite.tile_height}`;
    style.backgroundSize = `${sprite.columns * 100}% ${sprite.rows * 100}%`;
    style.backgroundPosition = [
      (100 * (place % sprite.columns)) / Math.max(1, sprite.columns - 1),
      (100 * Math.floor(place / sprite.columns)) / Math.max(1, sprite.rows - 1),
    ]
      .map((share) => `${share}%`)
      .join(" ");
  }
  return h("div", { class: "filmstrip-tile" }, picture);
}
