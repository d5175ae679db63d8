// Keys and completion: "/" goes to the box, arrows walk the results, the box completes its last word. The page is whole without it.
const box = document.getElementById("q");
const links = () => [...document.querySelectorAll("a.hit")];

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select");
  if ((event.key === "/" && !typing) || (event.key === "k" && (event.ctrlKey || event.metaKey))) {
    event.preventDefault();
    box.focus();
    box.select();
    return;
  }
  if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
  const all = links();
  const at = all.indexOf(document.activeElement);
  if (at < 0 && document.activeElement !== box) return;
  if (document.activeElement === box && (event.key === "ArrowUp" || list.childElementCount)) return; // the list of completions is open
  const next = event.key === "ArrowDown" ? at + 1 : at - 1;
  const target = next < 0 ? box : all[next];
  if (target) {
    event.preventDefault();
    target.focus();
  }
});

const list = document.getElementById("suggestions");
let waiting;
let asked = "";
box.addEventListener("input", () => {
  clearTimeout(waiting);
  waiting = setTimeout(async () => {
    const text = box.value;
    if (text.trim().length < 2) return list.replaceChildren();
    asked = text;
    const answer = await fetch(`/suggest?q=${encodeURIComponent(text)}`);
    if (!answer.ok || asked !== text) return;
    const { suggestions } = await answer.json();
    list.replaceChildren(...suggestions.map((one) => Object.assign(document.createElement("option"), { value: one })));
  }, 120);
});
