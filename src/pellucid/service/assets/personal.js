// Personal suggestions, computed here. The history stays in this browser's own storage (IndexedDB); only the open model is asked for.
import { read, score } from "./scoring.js";
import { dismissed, history, placed, places, set, setting, use } from "./storage.js";

const SHOWN = 5, CANDIDATES = 50;
const VARIED = 0.3; // see scoring.js
const MOST = 500; // items that are kept; the oldest go first

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
  const ranked = score(await model(), held.map((one) => one.id), CANDIDATES, {
    without: new Set(await dismissed()),
    diversity: (await setting("varied")) === true ? VARIED : 0,
  });
  const { shown } = placed(ranked.map((one, rank) => ({ ...one, score: -rank })), await places());
  const found = shown.slice(0, SHOWN);
  if (!found.length) return;
  const titles = new Map(held.map((one) => [one.id, one.title]));
  document.getElementById("personal-list").replaceChildren(...found.map((one) => entry(one, titles.get(one.because))));
  document.getElementById("personal-said").textContent = "Computed in this browser; nothing of it was sent.";
  panel.hidden = false;
}

async function begin() {
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
