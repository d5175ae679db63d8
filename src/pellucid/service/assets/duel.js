// Which of two rankings a reader opens more of: counted here, in this browser's own storage, over a week; then one randomised bit is sent, once
// a duel (see client.js). Off unless the reader turns it on. A list that takes part shows both rankings, a pick of each in turn.
import { batch, open, Refused, spent } from "./local/client.js";

const KEY = "pellucid.duel", WEEK = 7 * 24 * 3600;
const week = () => Math.floor(Date.now() / 1000 / WEEK); // this device's clock, as for the reports on the ranking

// on: since which week, or null. agreed: the epsilon that was shown then. counts: by duel and week, what was opened of each side.
const load = () => ({ on: null, agreed: 0, counts: {}, waiting: [], sent: [], ...JSON.parse(localStorage.getItem(KEY) || "{}") });
const save = (state) => localStorage.setItem(KEY, JSON.stringify(state));
const change = (work) => { const state = load(); work(state); save(state); };
const asksMore = (state, collection) => JSON.parse(collection).epsilon > state.agreed * (1 + 1e-9);

function count(list, item) {
  const side = Number(item.dataset.pick);
  if (side !== 0 && side !== 1) return;
  change((state) => {
    const key = `${list.dataset.duel}:${week()}`, held = state.counts[key] ?? [0, 0];
    held[side] += 1;
    state.counts[key] = held;
  });
}

async function report({ collection, id, period }) {
  const state = load(), last = week() - 1;
  const done = [...state.waiting, ...state.sent].some((one) => one.duel === id || one.week >= last); // one a duel, and one a week
  if (state.on !== null && state.on <= last && !done && !asksMore(state, collection)) {
    const client = await open(collection, { storage: localStorage });
    const [champion, challenger] = load().counts[`${id}:${last}`] ?? [0, 0];
    const coin = crypto.getRandomValues(new Uint8Array(1))[0] & 1; // who opened as much of both, or nothing, reports too
    const bit = champion === challenger ? coin : Number(challenger > champion);
    try {
      const bytes = [...client.report(bit ? "challenger" : "champion", period)];
      change((now) => now.waiting.push({ duel: id, week: last, bytes }));
    } catch (error) {
      if (!(error instanceof Refused)) throw error; // another page of this browser was faster
    }
  }
  for (const one of load().waiting) {
    const body = batch([Uint8Array.from(one.bytes)]);
    const answer = await fetch("/duel", { method: "POST", headers: { "Content-Type": "application/octet-stream" }, body });
    if (!answer.ok) continue; // kept, and sent again: it is the same report, so it costs nothing more
    const told = await answer.json();
    const outcome = told.taken || told.refused.replayed ? "taken" : `refused: ${Object.keys(told.refused).join(", ")}`;
    change((now) => {
      now.waiting = now.waiting.filter((other) => other.duel !== one.duel);
      now.sent.push({ duel: one.duel, week: one.week, bit: one.bytes.at(-1), outcome });
      now.counts = Object.fromEntries(Object.entries(now.counts).filter(([name]) => Number(name.split(":")[1]) > one.week));
    });
  }
}

const day = (number) => new Date(number * WEEK * 1000).toISOString().slice(0, 10);

function show({ collection }) {
  const box = document.getElementById("duel-on");
  if (!box) return;
  const said = document.getElementById("duel-said"), list = document.getElementById("duel-sent"), { epsilon } = JSON.parse(collection);
  const fill = () => {
    const state = load(), sum = spent(localStorage).epsilon;
    box.checked = state.on !== null;
    said.textContent =
      `A bit costs epsilon ${epsilon.toFixed(2)}: what you did changes the chance of either bit by a factor of at most ${Math.exp(epsilon).toFixed(1)}. ` +
      `Bits sent by this browser: ${state.sent.length}; everything it sent, epsilon ${sum.toFixed(2)} in sum.` +
      (state.on !== null && asksMore(state, collection) ? " The service now asks for more than you agreed to: nothing is sent unless you turn it off and on again." : "");
    list.replaceChildren(
      ...state.sent.slice(-20).reverse().map((one) => Object.assign(document.createElement("li"), { textContent: `Week of ${day(one.week)}: bit ${one.bit}, ${one.outcome}` })),
    );
  };
  box.disabled = false;
  box.addEventListener("change", () => {
    change((state) => { state.on = box.checked ? week() : null; state.agreed = box.checked ? epsilon : 0; if (!box.checked) state.counts = {}; });
    fill();
  });
  fill();
}

function takePart(id) {
  const form = document.querySelector("form[role=search]");
  if (form && load().on !== null) form.append(Object.assign(document.createElement("input"), { type: "hidden", name: "duel", value: id }));
}

async function begin() {
  if (load().on === null && !document.getElementById("duel-on")) return;
  const answer = await fetch("/duel");
  if (!answer.ok) return;
  const told = await answer.json();
  takePart(told.id);
  document.addEventListener("click", (event) => {
    const item = event.target.closest?.("a.hit")?.closest("[data-pick]"), list = item?.closest("[data-duel]");
    if (list?.dataset.duel === told.id && load().on !== null) count(list, item); // not of a list in the reader's own order (places.js)
  });
  await report(told);
  show(told);
}

begin();
