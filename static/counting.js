// How much of a platform's limits a text uses, counted as the platform counts; the server counts the same way.

const LIMITS = {
  youtube: { title: [100, "characters"], caption: [5000, "UTF-8 bytes"], tags: [500, "characters"] },
  tiktok: { caption: [2200, "UTF-16 units"] },
  instagram: { caption: [2200, "characters"], hashtags: [5, "hashtags"], mentions: [20, "mentions"] },
};
const HASHTAG = /(?<![\p{L}\p{N}_#&/])#(?=[^\s#@])[^\s#@]+/gu;
const MENTION = /(?<![\p{L}\p{N}_@.])@[\p{L}\p{N}_]/gu;

/** {title: {used, max, unit}, …} of {title, caption, hashtags}. */
export function countsOf({ title, caption, hashtags }, platform) {
  const limits = LIMITS[platform];
  const text = textOf({ title, caption, hashtags }, platform);
  const used = {
    title: [...title].length,
    caption: length(text, limits.caption[1]),
    hashtags: (text.match(HASHTAG) ?? []).length,
    mentions: (text.match(MENTION) ?? []).length,
    tags: hashtags.reduce((sum, tag) => sum + [...tag].length + (tag.includes(" ") ? 2 : 0), Math.max(0, hashtags.length - 1)),
  };
  return Object.fromEntries(Object.entries(limits).map(([name, [max, unit]]) => [name, { used: used[name], max, unit }]));
}

/** The hashtags of a text field, without "#", each once. */
export function hashtagsOf(text) {
  const kept = new Map();
  for (const word of text.split(/[\s,]+/)) {
    const name = word.replace(/^#+/, "");
    if (name && !kept.has(name.toLowerCase())) kept.set(name.toLowerCase(), name);
  }
  return [...kept.values()];
}

function textOf({ title, caption, hashtags }, platform) {
  const said = caption || (platform === "youtube" ? "" : title);
  const has = new Set((said.match(HASHTAG) ?? []).map((tag) => tag.slice(1).toLowerCase()));
  const more = hashtags.filter((tag) => !has.has(tag.toLowerCase())).map((tag) => `#${tag}`);
  return [said, more.join(" ")].filter(Boolean).join("\n\n");
}

function length(text, unit) {
  if (unit === "UTF-8 bytes") return new TextEncoder().encode(text).length;
  return unit === "UTF-16 units" ? text.length : [...text].length;
}
