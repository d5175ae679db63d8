// Times in the reader's zone, keys for tables, and what a running pipeline prints. The pages are complete without it.

for (const time of document.querySelectorAll("time[datetime]")) {
  const at = new Date(time.dateTime);
  if (!Number.isNaN(at.getTime())) time.title = at.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "long" });
}

// j and k walk the rows, x ticks one, c compares those ticked, / goes to the filter.
const links = () => [...document.querySelectorAll(".runs tbody th a")];
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input:not([type=checkbox]), select, textarea")) return;
  const rows = links();
  const row = event.target.closest ? event.target.closest("tr") : null;
  const at = row ? rows.findIndex((link) => row.contains(link)) : -1;
  if (event.key === "j" || event.key === "k") {
    const next = rows[Math.max(0, Math.min(rows.length - 1, at + (event.key === "j" ? 1 : -1)))];
    if (next) next.focus();
  } else if (event.key === "x" && row) {
    const box = row.querySelector("input[type=checkbox]");
    if (box) box.checked = !box.checked;
  } else if (event.key === "c" && rows.length) {
    document.getElementById("runs").requestSubmit();
  } else if (event.key === "/") {
    const filter = document.querySelector(".filters");
    if (!filter) return;
    filter.open = true;
    filter.querySelector("input").focus();
    event.preventDefault();
  }
});

const live = document.getElementById("live");
if (live) {
  const source = new EventSource(`/runs/${encodeURIComponent(live.dataset.run)}/events`);
  source.onmessage = (message) => {
    const said = JSON.parse(message.data);
    const lines = said.text ? said.text.split("\n").filter((line) => line).map((line) => `${said.step} | ${line}\n`) : [`${said.step} began\n`];
    live.append(lines.join(""));
    live.scrollTop = live.scrollHeight;
  };
  source.addEventListener("end", () => {
    source.close();
    location.reload();
  });
}
