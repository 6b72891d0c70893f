// Asking the server. What goes wrong comes out as a Problem: a title, a detail and what to do.

export class Problem extends Error {
  constructor({ title, detail = "", hint = "", status = 0, code = "" }) {
    super(detail || title);
    Object.assign(this, { title, detail, hint, status, code });
  }

  /** To be read out. */
  get words() {
    return this.detail ? `${this.title}. ${this.detail}` : `${this.title}.`;
  }
}

/** The server could not be reached at all. */
function unreachable() {
  return new Problem({
    title: "No connection",
    detail: "The server cannot be reached.",
    hint: "Check that the server runs and that this device is online, then try again.",
    code: "unreachable",
  });
}

/** What a refused request says: the server's own words when it sent any. */
export function problemFrom(status, body) {
  const said = parsed(body);
  if (said && (said.title || said.detail)) {
    // RFC 9457, 4.2.1: the title of an "about:blank" is its status code's phrase, which tells a person nothing.
    const plain = said.type === "about:blank" && text(said.detail).replace(/\.$/, "");
    return new Problem({
      title: plain || text(said.title) || `The server answered ${status}`,
      detail: plain ? "" : text(said.detail),
      hint: text(said.hint),
      code: text(said.code),
      status,
    });
  }
  return new Problem({
    title: `The server answered ${status}`,
    detail: "It gave no reason.",
    hint: "Try again. If it happens again, look at the server's log.",
    status,
  });
}

/** `send`: what goes along, as JSON. `more`: further headers. */
export async function request(method, url, send, more = {}) {
  const headers = { Accept: "application/json", ...more };
  if (send !== undefined) headers["Content-Type"] = "application/json";
  let response;
  let body;
  try {
    response = await fetch(url, { method, headers, cache: "no-store", body: send === undefined ? undefined : JSON.stringify(send) });
    body = await response.text();
  } catch {
    throw unreachable();
  }
  if (!response.ok) throw signedOut(problemFrom(response.status, body));
  return parsed(body);
}

/** Who was signed out, here or elsewhere, is led to where they can sign in. */
function signedOut(problem) {
  if (problem.code === "not_signed_in") location.assign(`/login?next=${encodeURIComponent(location.pathname)}${location.hash}`);
  return problem;
}

export function parsed(body) {
  try {
    return JSON.parse(body);
  } catch {
    return null;
  }
}

function text(value) {
  return typeof value === "string" ? value : "";
}
