// Personal suggestions, computed here. The history stays in this browser's own storage (IndexedDB); only the open model is asked for.
import { read, score } from "./scoring.js";

const VARIED = 0.3; // see scoring.js
const MOST = 500; // items that are kept; the oldest go first

function store() {
  return new Promise((done, failed) => {
    const asked = indexedDB.open("pellucid", 1);
    asked.onupgradeneeded = () => {
      asked.result.createObjectStore("history", { keyPath: "id" });
      asked.result.createObjectStore("settings");
    };
    asked.onsuccess = () => done(asked.result);
    asked.onerror = () => failed(asked.error);
  });
}

async function use(name, mode, work) {
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

const setting = (name) => use("settings", "readonly", (held) => held.get(name));
const set = (name, value) => use("settings", "readwrite", (held) => held.put(value, name));
const history = async () => (await use("history", "readonly", (held) => held.getAll())).sort((a, b) => b.at - a.at);

async function remember(id, title) {
  await use("history", "readwrite", (held) => held.put({ id, title, at: Date.now() }));
  const all = await history();
  await Promise.all(all.slice(MOST).map((one) => use("history", "readwrite", (held) => held.delete(one.id))));
}

async function model() {
  const answer = await fetch("/models/recommend/browser"); // the browser keeps it and asks only whether its digest is still the same
  if (!answer.ok) throw new Error(`the model cannot be had: ${answer.status}`);
  return read(await answer.arrayBuffer());
}

const dismissed = async () => (await setting("dismissed")) ?? [];

function entry(one, reason) {
  const item = document.createElement("li");
  const link = document.createElement("a");
  link.href = `/documents/${encodeURIComponent(one.id)}`;
  link.textContent = one.title;
  link.dataset.id = one.id;
  const why = document.createElement("span");
  why.className = "about";
  why.textContent = reason ? ` because you opened ${reason} ` : " because many people use it ";
  const not = document.createElement("button");
  not.type = "button";
  not.textContent = "Not interested";
  not.setAttribute("aria-label", `Not interested in ${one.title}`);
  not.addEventListener("click", async () => {
    await set("dismissed", [...(await dismissed()), one.id]);
    item.remove();
  });
  item.append(link, why, not);
  return item;
}

async function suggest() {
  const panel = document.getElementById("personal");
  if (!panel) return;
  const held = await history();
  if (!held.length) return;
  const found = score(await model(), held.map((one) => one.id), 5, {
    without: new Set(await dismissed()),
    diversity: (await setting("varied")) === true ? VARIED : 0,
  });
  if (!found.length) return;
  const titles = new Map(held.map((one) => [one.id, one.title]));
  document.getElementById("personal-list").replaceChildren(...found.map((one) => entry(one, titles.get(one.because))));
  document.getElementById("personal-said").textContent = "Computed in this browser; nothing of it was sent.";
  panel.hidden = false;
}

async function show() {
  const panel = document.getElementById("privacy-panel");
  if (!panel) return;
  panel.hidden = false;
  const on = document.getElementById("personal-on");
  on.checked = (await setting("on")) === true;
  on.addEventListener("change", () => set("on", on.checked));
  const varied = document.getElementById("personal-varied");
  varied.checked = (await setting("varied")) === true;
  varied.addEventListener("change", () => set("varied", varied.checked));
  const fill = async () => {
    const held = await history();
    document.getElementById("history-count").textContent = held.length ? `Kept in this browser: ${held.length}` : "Nothing is kept in this browser.";
    document.getElementById("history-list").replaceChildren(
      ...held.slice(0, 20).map((one) => Object.assign(document.createElement("li"), { textContent: one.title })),
    );
  };
  document.getElementById("history-export").addEventListener("click", async () => {
    const text = JSON.stringify({ history: await history(), dismissed: await dismissed() }, null, 1);
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
    link.download = "history.json";
    link.click();
    URL.revokeObjectURL(link.href);
  });
  document.getElementById("history-erase").addEventListener("click", async () => {
    await use("history", "readwrite", (held) => held.clear());
    await set("dismissed", []);
    await fill();
  });
  await fill();
}

async function begin() {
  await show();
  if ((await setting("on")) !== true) return;
  document.addEventListener("click", (event) => {
    const place = event.target.closest("a.hit")?.closest("[data-id]");
    if (place) remember(place.dataset.id, place.dataset.title);
  });
  const opened = document.querySelector("article[data-id]");
  if (opened) await remember(opened.dataset.id, opened.dataset.title);
  await suggest();
}

begin();
