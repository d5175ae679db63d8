// What the results a reader opens say about the ranking: added up here, in this browser's own storage, over a week; then one of 256 public
// directions is drawn and sent (see client.js). Off unless the reader turns it on.
import { batch, open, Refused, spent } from "./local/client.js";

const KEY = "pellucid.feedback", WEEK = 7 * 24 * 3600;

// The week is read from this device's clock: a server that made the weeks short would get more reports than were agreed to.
const week = () => Math.floor(Date.now() / 1000 / WEEK);

// on: since which week, or null. agreed: the epsilon that was shown then. sums: by collection and week. waiting: reports that were drawn
// and not yet taken. sent: what became of the others.
const load = () => ({ on: null, agreed: 0, sums: {}, waiting: [], sent: [], ...JSON.parse(localStorage.getItem(KEY) || "{}") });
const save = (state) => localStorage.setItem(KEY, JSON.stringify(state));
const change = (work) => { const state = load(); work(state); save(state); };

function add(place) {
  const list = place.closest("[data-collection]");
  const statement = place.dataset.statement.split(" ").map(Number), weight = Number(list.dataset.weight);
  change((state) => {
    const key = `${list.dataset.collection}:${week()}`, held = state.sums[key] ?? statement.map(() => 0);
    state.sums[key] = held.map((number, at) => number + weight * statement[at]);
  });
}

// Whether the service asks for more than the reader agreed to.
const asksMore = (state, collection) => JSON.parse(collection).epsilon > state.agreed * (1 + 1e-9);

async function report({ collection, id }) {
  const state = load(), last = week() - 1, key = `${id}:${last}`;
  const done = [...state.waiting, ...state.sent].some((one) => one.period >= last); // one a week, whatever model is served meanwhile
  if (state.on !== null && state.on <= last && !done && !asksMore(state, collection)) {
    const table = await (await fetch("/assets/local/directions.json")).json();
    const client = await open(collection, { storage: localStorage, table });
    const { parameters } = JSON.parse(collection);
    const vector = load().sums[key] ?? new Array(parameters.size).fill(0); // who opened nothing reports too: silence would say so
    try {
      const bytes = [...client.report(vector, last)];
      change((now) => now.waiting.push({ key, period: last, bytes }));
    } catch (error) {
      if (!(error instanceof Refused)) throw error; // another page of this browser was faster
    }
  }
  for (const one of load().waiting) {
    const body = batch([Uint8Array.from(one.bytes)]);
    const answer = await fetch("/feedback", { method: "POST", headers: { "Content-Type": "application/octet-stream" }, body });
    if (!answer.ok) continue; // kept, and sent again: it is the same report, so it costs nothing more
    const told = await answer.json();
    const outcome = told.taken || told.refused.replayed ? "taken" : `refused: ${Object.keys(told.refused).join(", ")}`;
    const [turn, code] = one.bytes.slice(-2);
    change((now) => {
      now.waiting = now.waiting.filter((other) => other.key !== one.key);
      now.sent.push({ key: one.key, period: one.period, turn, code, outcome });
      now.sums = Object.fromEntries(Object.entries(now.sums).filter(([name]) => Number(name.split(":")[1]) > last));
    });
  }
}

const day = (number) => new Date(number * WEEK * 1000).toISOString().slice(0, 10);

function show({ collection }) {
  const box = document.getElementById("feedback-on");
  if (!box) return;
  const said = document.getElementById("feedback-said"), list = document.getElementById("feedback-sent");
  const erase = document.getElementById("feedback-erase"), { epsilon } = JSON.parse(collection);
  const fill = () => {
    const state = load(), sum = spent(localStorage).epsilon;
    box.checked = state.on !== null;
    const count = state.sent.length;
    said.textContent =
      `A report costs epsilon ${epsilon.toFixed(2)}: what you did changes the chance of any report by a factor of at most ${Math.exp(epsilon).toFixed(1)}. ` +
      (count ? `Sent by this browser: ${count}, epsilon ${sum.toFixed(2)} in sum.` : "This browser has sent nothing.") +
      (state.on !== null && asksMore(state, collection) ? " The service now asks for more than you agreed to: nothing is sent unless you turn it off and on again." : "");
    list.replaceChildren(
      ...state.sent.slice(-20).reverse().map((one) =>
        Object.assign(document.createElement("li"), {
          textContent: `Week of ${day(one.period)}: direction ${one.code} under turn ${one.turn}, ${one.outcome}`,
        }),
      ),
    );
  };
  box.disabled = erase.disabled = false;
  box.addEventListener("change", () => {
    change((state) => { state.on = box.checked ? week() : null; state.agreed = box.checked ? epsilon : 0; if (!box.checked) state.sums = {}; });
    fill();
  });
  erase.addEventListener("click", () => { change((state) => { state.sums = {}; }); fill(); });
  fill();
}

async function begin() {
  if (load().on === null && !document.getElementById("feedback-on")) return;
  const answer = await fetch("/feedback");
  if (!answer.ok) return;
  const told = await answer.json();
  document.addEventListener("click", (event) => {
    const place = event.target.closest?.("a.hit")?.closest("[data-statement]");
    if (place?.closest("[data-collection]") && load().on !== null) add(place); // not of a list in the reader's own order (places.js)
  });
  await report(told);
  show(told);
}

begin();
