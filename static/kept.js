// Files that outlive the page, in IndexedDB: a handle where the browser gives one, the bytes of what was chosen offline or
// shared. For the page and for its service worker.

const NAME = "vidprod";
const STORE = "kept";

/** `take`: {file | handle, recipe, shared}; with an `id` in place of the one before. Comes with its id. */
export function keep(take) {
  return within("readwrite", (store) => store.put(take));
}

/** Each with its `id`, the oldest first. */
export function keptTakes() {
  return within("readonly", (store) => store.getAll());
}

export function letGo(id) {
  return within("readwrite", (store) => store.delete(id));
}

async function within(mode, work) {
  const database = await opened();
  try {
    return await new Promise((resolve, reject) => {
      const transaction = database.transaction(STORE, mode);
      const request = work(transaction.objectStore(STORE));
      transaction.oncomplete = () => resolve(request.result);
      transaction.onabort = () => reject(transaction.error); // also when there is no room
      transaction.onerror = () => reject(transaction.error);
    });
  } finally {
    database.close();
  }
}

function opened() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: "id", autoIncrement: true });
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
