// What this browser keeps, on the page about privacy: seen, exported, erased.
import { dismissed, eraseAll, history, places, put, set, setting } from "./storage.js";

const of = (id) => document.getElementById(id);

async function switched(id, name) {
  const box = of(id);
  if (!box) return;
  box.checked = (await setting(name)) === true;
  box.addEventListener("change", () => set(name, box.checked));
}

const words = { raise: "raised", lower: "lowered", pin: "pinned", block: "blocked" };

async function fill() {
  const held = await history(), mine = await places();
  of("history-count").textContent = held.length ? `Kept in this browser: ${held.length}` : "Nothing is kept in this browser.";
  of("history-list").replaceChildren(...held.slice(0, 20).map((one) => Object.assign(document.createElement("li"), { textContent: one.title })));
  of("places-count").textContent = mine.length ? `Raised, lowered, pinned or blocked: ${mine.length}` : "Nothing is raised, lowered, pinned or blocked.";
  of("places-list").replaceChildren(
    ...mine.map((one) => {
      const item = document.createElement("li");
      const undo = Object.assign(document.createElement("button"), { type: "button", textContent: "Undo" });
      undo.setAttribute("aria-label", `Undo: ${one.title}, ${words[one.place]}`);
      undo.addEventListener("click", async () => { await put(one.kind, one.name, one.title, ""); await fill(); });
      item.append(`${one.kind === "source" ? "Source " : ""}${one.title}: ${words[one.place]} `, undo);
      return item;
    }),
  );
}

async function begin() {
  await switched("personal-on", "on");
  await switched("personal-varied", "varied");
  of("history-export").addEventListener("click", async () => {
    const text = JSON.stringify({ history: await history(), dismissed: await dismissed(), places: await places() }, null, 1);
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
    link.download = "history.json";
    link.click();
    URL.revokeObjectURL(link.href);
  });
  of("history-erase").addEventListener("click", async () => { await eraseAll(); await fill(); });
  await fill();
  of("privacy-panel").hidden = false;
}

begin();
