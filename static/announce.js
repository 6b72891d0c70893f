// What a screen reader hears: changes of state, politely, never each percent.

const region = document.getElementById("announcer");
let waiting = [];
let timer = 0;

/** Says a sentence; sentences that come close together are said as one. */
export function announce(sentence) {
  if (!waiting.includes(sentence)) waiting.push(sentence);
  clearTimeout(timer);
  timer = setTimeout(speak, 150);
}

function speak() {
  // An equal text twice would be no change and stay silent: a no-break space makes it one.
  const text = waiting.join(" ");
  region.textContent = region.textContent === text ? `${text}\u00a0` : text;
  waiting = [];
}
