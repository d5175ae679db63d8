// What this browser keeps for its reader, in its own storage (IndexedDB): the history, settings, and where results are put. Nothing of it is
// sent.

function store() {
  return new Promise((done, failed) => {
    const asked = indexedDB.open("pellucid", 2);
    asked.onupgradeneeded = () => {
      const there = asked.result.objectStoreNames;
      if (!there.contains("history")) asked.result.createObjectStore("history", { keyPath: "id" });
      if (!there.contains("settings")) asked.result.createObjectStore("settings");
      if (!there.contains("places")) asked.result.createObjectStore("places", { keyPath: "key" });
    };
    asked.onsuccess = () => done(asked.result);
    asked.onerror = () => failed(asked.error);
  });
}

export async function use(name, mode, work) {
  const db = await store();
  try {
    return await new Promise((done, failed) => {
      const turn = db.transaction(name, mode);
      const asked = work(turn.objectStore(name));
      turn.oncomplete = () => done(asked?.result);
      turn.onerror = turn.onabort = () => failed(turn.error);
    });
  } finally {
    db.close();
  }
}

export const setting = (name) => use("settings", "readonly", (held) => held.get(name));
export const set = (name, value) => use("settings", "readwrite", (held) => held.put(value, name));
export const dismissed = async () => (await setting("dismissed")) ?? [];
export const history = async () => (await use("history", "readonly", (held) => held.getAll())).sort((a, b) => b.at - a.at);

// Where the reader wants something: { key, kind: "document" or "source", name, title, place: one of PLACES }, oldest first.
export const PLACES = ["raise", "lower", "pin", "block"];
export const keyOf = (kind, name) => `${kind}:${name}`;
export const places = async () => (await use("places", "readonly", (held) => held.getAll())).sort((a, b) => a.at - b.at || (a.key < b.key ? -1 : 1));

export async function put(kind, name, title, place) {
  const key = keyOf(kind, name);
  if (PLACES.includes(place)) await use("places", "readwrite", (held) => held.put({ key, kind, name, title, place, at: Date.now() }));
  else await use("places", "readwrite", (held) => held.delete(key));
}

export async function eraseAll() {
  for (const name of ["history", "places"]) await use(name, "readwrite", (held) => held.clear());
  await set("dismissed", []);
}

// A list in the reader's own order: pinned ones first, in the order in which they were pinned; raised and lowered ones by their scores with half
// the range of all scores added or taken; blocked ones not at all. What is said of a document counts before what is said of its source.
// `entries`: { id, source, score } by rank; each comes back with `place`, where there is one.
export function placed(entries, held) {
  const wanted = new Map(held.map((one, at) => [one.key, { ...one, at }]));
  const scores = entries.map((one) => one.score);
  const half = entries.length ? (Math.max(...scores) - Math.min(...scores)) / 2 || 1 : 0;
  const all = entries.map((one, rank) => {
    const said = wanted.get(keyOf("document", one.id)) ?? (one.source ? wanted.get(keyOf("source", one.source)) : undefined);
    const place = said?.place;
    return { ...one, rank, place, pinned: place === "pin" ? said.at : Infinity, moved: one.score + (place === "raise" ? half : place === "lower" ? -half : 0) };
  });
  const by = (a, b) => (a.pinned === b.pinned ? 0 : a.pinned - b.pinned) || b.moved - a.moved || a.rank - b.rank;
  return { shown: all.filter((one) => one.place !== "block").sort(by), blocked: all.filter((one) => one.place === "block") };
}
