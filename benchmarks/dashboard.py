"""The dashboard over 10,000 runs of 20 steps with 500 metrics each, in a real browser: time, bytes, requests, blocked main thread, memory.

    python benchmarks/dashboard.py [--runs 10000] [--datasette PYTHON]

Each page is opened cold (cache cleared) and a second time, three times each; the best is told, as the machine is shared. With --datasette,
Datasette (the Python of an environment that has it) serves the same state file in the same run, as a baseline. Needs chromium and
chromium-driver.
"""

from __future__ import annotations

import argparse
import json
import random
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from pellucid.pipeline.record import Record
from pellucid.privacy import Ledger

STEPS, METRICS, POINTS = 20, 500, 50
REPEATS = 3


def fill(home: Path, runs: int) -> None:
    """A state file with that many runs, written as the runner writes it but in one transaction."""
    record, draw = Record(home), random.Random(1)
    graph = [
        {"step": f"step_{at}", "kind": "step", "label": "open", "inputs": {"x": f"step_{at - 1}"} if at else {},
         "outputs": [[f"step_{at}", "metrics", False]], "tolerance": None}
        for at in range(STEPS)
    ]  # fmt: skip
    environment = json.dumps({"lock": "0" * 64, "lock_file": "requirements.lock", "python": "3.11.7", "cpu": "x"})
    names = [f"step_{at % STEPS}.metric_{at:03d}" for at in range(METRICS)]
    db = record.db
    with db.turn():
        db.execute("BEGIN")
        db.executemany("INSERT INTO metric_names (name) VALUES (?)", [(name,) for name in names])
        for number in range(runs):
            started = 1_790_000_000 + 60.0 * number
            run = f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime(started))}-{number:06x}"
            settings = json.dumps({"step_1.rate": f"{draw.random():.3f}", "step_2.width": str(draw.choice([4, 8, 16]))})
            row = (
                run,
                "training",
                "/home/ana/training.py",
                started,
                30 * draw.random(),
                "failed" if number % 50 == 7 else "done",
                1,
                settings,
                environment,
            )
            db.execute("INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", (*row, None, json.dumps(graph)))
            steps = []
            for at in range(STEPS):
                outputs = {
                    f"step_{at}": {
                        "kind": "metrics",
                        "digest": f"metrics:{secrets.token_hex(32)}",
                        "sha256": "0" * 64,
                        "suffix": ".json",
                        "size": 100,
                    }
                }
                key = f"{number:06x}{at:02d}" if at == 1 else secrets.token_hex(32)
                parts = json.dumps({"setting rate": "0.1"})
                steps.append(
                    (
                        run,
                        at,
                        f"step_{at}",
                        "step",
                        "open",
                        key,
                        parts,
                        "ran",
                        json.dumps(outputs),
                        draw.random(),
                        1,
                        "landlock",
                        "",
                        "",
                    )
                )
            db.executemany("INSERT INTO steps VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", steps)
            db.executemany("INSERT INTO run_metrics VALUES (?, ?, ?)", [(run, at + 1, draw.random()) for at in range(METRICS)])
            if number >= runs - 500:
                db.executemany(
                    "INSERT INTO curves VALUES (?, 'loss', ?, ?)",
                    [(f"{number:06x}01", at, 1 / (at + 1 + draw.random())) for at in range(POINTS)],
                )
        db.execute("COMMIT")
    record.close()
    ledger = Ledger(home)
    ledger.open_account("people", "person", 4.0, 1e-5)


def free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


def start(words: list[str], address: str) -> tuple[subprocess.Popen[bytes], float]:
    """A server and the seconds until its first answer."""
    begun = time.perf_counter()
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while True:
        try:
            with urllib.request.urlopen(address, timeout=5) as answer:
                if answer.status == 200:
                    return process, time.perf_counter() - begun
        except OSError:
            if time.perf_counter() - begun > 120 or process.poll() is not None:
                raise
        time.sleep(0.01)


def pss(process: subprocess.Popen[bytes]) -> tuple[float, int]:
    """MiB of proportional memory of a process and its children, and how many there are."""
    found, waiting = [], [process.pid]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        for task in Path(f"/proc/{pid}/task").iterdir():
            waiting += [int(child) for child in (task / "children").read_text().split()]
    total = 0
    for pid in found:
        total += next(
            int(line.split()[1]) for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines() if line.startswith("Pss:")
        )
    return total / 1024, len(found)


def browser(folder: Path) -> Any:
    from selenium import webdriver
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service

    options = Options()
    options.binary_location = shutil.which("chromium") or ""
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", f"--user-data-dir={folder}"):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
    return webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))


LONG_TASKS = """
window.__long = 0;
new PerformanceObserver((list) => { for (const one of list.getEntries()) window.__long += one.duration; })
  .observe({type: 'longtask', buffered: true});
"""
SHOWN = "const n = performance.getEntriesByType('navigation')[0]; return [n.loadEventEnd / 1000, window.__long || 0]"


def opened(driver: Any, address: str, cold: bool) -> dict[str, float]:
    """Seconds until loaded, bytes and requests over the network, milliseconds in tasks longer than 50 ms."""
    if cold:
        driver.execute_cdp_cmd("Network.clearBrowserCache", {})
    driver.get("about:blank")
    driver.get_log("performance")
    driver.get(address)
    time.sleep(0.15)
    seconds, blocked = driver.execute_script(SHOWN)
    size, requests = 0.0, 0
    for entry in driver.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.loadingFinished":
            size += message["params"]["encodedDataLength"]
            requests += 1
    return {"seconds": seconds, "KB": size / 1000, "requests": requests, "blocked ms": blocked}


def best(driver: Any, address: str, cold: bool) -> dict[str, float]:
    return min((opened(driver, address, cold) for _ in range(REPEATS)), key=lambda one: one["seconds"])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--datasette", metavar="PYTHON", help="an environment with Datasette, to serve the same file beside")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pellucid-dashboard-") as name:
        home = Path(name) / "state"
        begun = time.perf_counter()
        fill(home, arguments.runs)
        size = sum(file.stat().st_size for file in home.iterdir() if file.is_file())
        took = time.perf_counter() - begun
        print(f"{arguments.runs:,} runs of {STEPS} steps and {METRICS} metrics: {size / 1e6:,.0f} MB, written in {took:.0f} s")
        port = free_port()
        address = f"http://127.0.0.1:{port}"
        process, seconds = start(
            [sys.executable, "-m", "pellucid", "serve", "--home", str(home), "--port", str(port)], f"{address}/health"
        )
        driver = browser(Path(name) / "chromium")
        driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": LONG_TASKS})
        driver.execute_cdp_cmd("Network.enable", {})
        try:
            idle, count = pss(process)
            print(f"first answer after {seconds:.2f} s; idle {idle:.0f} MiB in {count} process")
            with urllib.request.urlopen(f"{address}/runs?limit=1&page=1", timeout=60) as answer:
                run = json.loads(answer.read())["runs"][0]["run"]
            pages = {
                "runs, 100 rows": "/runs",
                "sorted by a metric": "/runs?sort=step_3.metric_123&metric=step_3.metric_123",
                "run with lineage": f"/runs/{run}",
                "50 compared": "/compare?pipeline=training&last=50",
                "200 compared": "/compare?pipeline=training&last=200",
                "500 compared": "/compare?pipeline=training&last=500",
                "what if": "/ledger?account=people&epsilon=0.5&times=3",
                "overview": "/overview",
            }
            print(f"{'page':<20} {'cold s':>7} {'KB':>6} {'requests':>8} {'blocked ms':>10} {'second s':>9} {'KB':>6}")
            for title, path in pages.items():
                cold, second = best(driver, address + path, True), best(driver, address + path, False)
                row = f"{cold['seconds']:>7.3f} {cold['KB']:>6.0f} {cold['requests']:>8} {cold['blocked ms']:>10.0f}"
                print(f"{title:<20} {row} {second['seconds']:>9.3f} {second['KB']:>6.0f}", flush=True)
            print(f"a printed line reaches the page after at most {_lag(Path(name), home, address):.2f} s")
            used, count = pss(process)
            print(f"after use {used:.0f} MiB in {count} process")
            if arguments.datasette:
                _datasette(arguments.datasette, home, driver)
        finally:
            driver.quit()
            process.send_signal(signal.SIGTERM)
            process.wait(20)


PRINTING = """
import time
import pellucid as pl


@pl.step
def printing() -> pl.Metrics:
    for _ in range(16):
        print("at", time.time(), flush=True)
        time.sleep(0.27)
    return {"x": 1}


pipeline = pl.Pipeline("printing", [printing])
"""


def _lag(folder: Path, home: Path, address: str) -> float:
    """Seconds from when a running step prints a line until the page's event stream has it, at most."""
    (folder / "printing.py").write_text(PRINTING)
    words = [sys.executable, "-m", "pellucid", "run", str(folder / "printing.py"), "--home", str(home), "--quiet"]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    while True:
        with urllib.request.urlopen(f"{address}/runs?status=running", timeout=60) as answer:
            running = json.loads(answer.read())["runs"]
        if running:
            break
    lags = []
    with urllib.request.urlopen(f"{address}/runs/{running[0]['run']}/events", timeout=60) as stream:
        for line in stream:
            now = time.time()
            said = json.loads(line[6:]).get("text", "") if line.startswith(b"data: ") else ""
            lags += [now - float(word) for word in said.split() if word != "at"]
    process.wait(30)
    return max(lags)


def _datasette(python: str, home: Path, driver: Any) -> None:
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    words = [python, "-m", "datasette", "serve", str(home / "pellucid.db"), "-h", "127.0.0.1", "-p", str(port)]
    process, seconds = start(words, f"{address}/-/versions.json")
    try:
        idle, count = pss(process)
        cold = best(driver, f"{address}/pellucid/runs?_size=100", True)
        told = f"{cold['seconds']:.3f} s, {cold['KB']:.0f} KB, {cold['requests']} requests"
        print(
            f"Datasette on the same file: first answer {seconds:.2f} s, idle {idle:.0f} MiB in {count}; its runs table, 100 rows: {told}"
        )
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


if __name__ == "__main__":
    main()
