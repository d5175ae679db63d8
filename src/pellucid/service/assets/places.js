// "My ranking" under each result: raise, lower, pin, block, for the document or its source. Kept and applied in this browser (storage.js): the
// service does not learn of it, and this puts the page's results in the reader's order.
import { placed, places, put } from "./storage.js";

const WORDS = { "": "As it comes", raise: "Raise", lower: "Lower", pin: "Pin", block: "Block" };
const SAID = { raise: "raised by you", lower: "lowered by you", pin: "pinned by you", block: "blocked by you" };
const list = document.querySelector("ol.hits");
const said = Object.assign(document.createElement("p"), { className: "about", id: "places-said" });
said.setAttribute("role", "status");
let open = false; // whether blocked results are shown

const about = (item) => ({ id: item.dataset.id, source: item.dataset.source ?? "", score: Number(item.dataset.score), item });

function choice(kind, name, title, label) {
  const select = document.createElement("select");
  for (const [value, word] of Object.entries(WORDS)) select.append(new Option(word, value));
  select.dataset.key = `${kind}:${name}`;
  select.setAttribute("aria-label", `${label}: ${title}`);
  select.addEventListener("change", async () => {
    await put(kind, name, title, select.value);
    await apply();
    said.firstChild.nodeValue = `${title}: ${SAID[select.value] ?? "as it comes"}. `;
    select.focus();
  });
  const line = document.createElement("label");
  line.append(`${label} `, select);
  return line;
}

function controls(item) {
  const box = document.createElement("details");
  box.className = "place";
  const summary = document.createElement("summary");
  summary.textContent = "My ranking";
  const mark = document.createElement("span");
  mark.className = "mine";
  box.append(summary, choice("document", item.dataset.id, item.dataset.title, "This document"));
  if (item.dataset.source) box.append(choice("source", item.dataset.source, item.dataset.source, "All from this source"));
  item.querySelector(".foot").append(box);
  item.querySelector("h2").append(mark);
}

const original = list ? [...list.children] : [];

async function apply() {
  const held = await places(), wanted = new Map(held.map((one) => [one.key, one.place]));
  const { shown, blocked } = placed(original.map(about), held);
  for (const { item, place } of [...shown, ...blocked]) {
    item.hidden = place === "block" && !open;
    item.querySelector(".mine").textContent = place ? ` ${SAID[place]}` : "";
    for (const select of item.querySelectorAll(".place select")) select.value = wanted.get(select.dataset.key) ?? "";
  }
  const order = [...shown, ...blocked].map((one) => one.item);
  if (order.some((item, at) => item !== list.children[at])) list.append(...order);
  // Opening a result says something about the ranking, or about a duel, only where the list is shown as it came.
  if (blocked.length || order.some((item, at) => item !== original[at])) for (const name of ["collection", "duel"]) delete list.dataset[name];
  said.replaceChildren("");
  if (!blocked.length) return;
  const button = Object.assign(document.createElement("button"), { type: "button", textContent: open ? "Hide them" : "Show them" });
  button.addEventListener("click", async () => { open = !open; await apply(); said.querySelector("button")?.focus(); });
  said.append(`Blocked by you on this page: ${blocked.length}. `, button);
}

if (list) {
  original.forEach(controls);
  list.after(said);
  apply();
}
