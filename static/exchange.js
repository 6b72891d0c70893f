// One request whose body is watched as it goes: only XMLHttpRequest says how much of it is sent.

/** No answer came. An abort that nobody here asked for (a phone's browser does that) is the same: no wish, a lost line. */
export class Lost extends Error {}

/**
 * Comes with `{status, text, header(name)}`, whatever the status. Raises Lost.
 * `onProgress(bytes)` of the body that went, `onSent()` when all of it did.
 */
export function exchange(method, url, { headers = {}, body = null, signal, onProgress, onSent }) {
  return new Promise((resolve, reject) => {
    const xhr = new XMLHttpRequest();
    xhr.open(method, url);
    xhr.setRequestHeader("Accept", "application/json");
    for (const [name, value] of Object.entries(headers)) xhr.setRequestHeader(name, value);
    if (onProgress) xhr.upload.addEventListener("progress", (event) => onProgress(event.loaded));
    if (onSent) xhr.upload.addEventListener("load", onSent);
    xhr.addEventListener("load", () => resolve({ status: xhr.status, text: xhr.responseText, header: (name) => xhr.getResponseHeader(name) }));
    for (const end of ["error", "abort", "timeout"]) xhr.addEventListener(end, () => reject(new Lost(end)));
    const stop = () => xhr.abort();
    signal.addEventListener("abort", stop);
    xhr.addEventListener("loadend", () => signal.removeEventListener("abort", stop)); // an upload has hundreds of these
    if (signal.aborted) reject(new Lost("abort"));
    else xhr.send(body);
  });
}
