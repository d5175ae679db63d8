"""The search service under load: indexing speed, then requests at a fixed rate from another process, latency, errors and memory.

    python benchmarks/service.py [DOCUMENTS] [SECONDS]      200,000 documents and 60 seconds a rate unless said otherwise

Documents are Cranfield's abstracts over and over, each copy with a tenth of its words left out by a fixed seed, so that no two are alike;
queries are Cranfield's. The server is `pellucid serve`; the client keeps to its rate whether answers come or not, so that a slow answer
delays none after it. Exits 1 where a bar is missed.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from queue import Queue
from urllib.parse import quote, urlsplit

import pyarrow as pa
import pyarrow.parquet as pq

from pellucid.pipeline.running import load, run
from pellucid.search import read_documents, read_queries
from pellucid.search.full_text import FullText

CRANFIELD = Path(__file__).parents[2] / "shared" / "data" / "cranfield-original"
RATES = {"bm25f": (50, 10.0, 60.0), "label-free": (20, 30.0, 120.0)}  # requests a second, p50 and p99 in ms
TOOK = re.compile(rb'"took_ms":([0-9.]+)')
LEAST_INDEXED = 25_000  # documents a second
PIPELINE = """
import pellucid as pl

documents = pl.source("documents.parquet", label="open")
index = pl.search.index(documents)
pipeline = pl.Pipeline("library", [documents, index])
"""


def documents(count: int) -> pa.Table:
    rows = read_documents(CRANFIELD / "cran.all.1400", "smart").table.to_pylist()
    draw, made = random.Random(7), {"id": [], "title": [], "text": []}
    for number in range(count):
        row = rows[number % len(rows)]
        made["id"].append(f"{number:07}")
        made["title"].append(row["title"])
        made["text"].append(" ".join(word for word in row["text"].split() if draw.random() > 0.1))
    return pa.table(made)


def load_at(address: str, path: str, queries: list[str], rate: int, seconds: int) -> tuple[list[float], list[float], int]:
    """Latencies in milliseconds, from when each request was due; how long the server worked on each; how many failed."""
    waiting: Queue[tuple[float, str] | None] = Queue()
    times: list[float] = []
    served: list[float] = []
    failed = [0]
    host = urlsplit(address).netloc

    def client() -> None:
        connection = http.client.HTTPConnection(host, timeout=30)
        while (due := waiting.get()) is not None:
            try:
                connection.request("GET", path.format(quote(due[1])), headers={"Accept": "application/json"})
                answer = connection.getresponse()
                told = answer.read()
                failed[0] += answer.status != 200
                served.append(float(TOOK.search(told)[1]) if answer.status == 200 else 0.0)
            except OSError:
                failed[0] += 1
                connection = http.client.HTTPConnection(host, timeout=30)
            times.append((time.perf_counter() - due[0]) * 1000)

    clients = [threading.Thread(target=client) for _ in range(16)]
    for one in clients:
        one.start()
    begun = time.perf_counter()
    for number in range(rate * seconds):
        due = begun + number / rate
        time.sleep(max(0.0, due - time.perf_counter()))
        waiting.put((due, queries[number % len(queries)]))
    for _ in clients:
        waiting.put(None)
    for one in clients:
        one.join()
    return sorted(times), sorted(served), failed[0]


def memory(process: int) -> int:
    """Resident memory in MB."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) // 1000
    return 0


def main() -> int:
    if not CRANFIELD.exists():
        print(f"Cranfield is not here: {CRANFIELD}")
        return 0
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    seconds = int(sys.argv[2]) if len(sys.argv) > 2 else 60
    queries = [text for _, text in read_queries(CRANFIELD / "cran.qry", "smart")]
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        pq.write_table(documents(count), place / "documents.parquet")
        (place / "library.py").write_text(PIPELINE)
        os.environ["PELLUCID_KEYS"] = str(place / "keys")
        begun = time.perf_counter()
        done = run(load(place / "library.py"), home=place / ".pellucid", jobs=1, confined=True)
        took = time.perf_counter() - begun
        index = done["index"]
        print(
            f"{count:,} documents: the index as an artifact in {took:.0f} s ({count / took:,.0f} a second), {_size(place):,} MB stored",
            flush=True,
        )
        begun = time.perf_counter()
        FullText(index)
        speed = count / (time.perf_counter() - begun)
        wrong += speed < LEAST_INDEXED
        print(f"full text, one writer: {speed:,.0f} documents a second (bar {LEAST_INDEXED:,})", flush=True)
        del index, done
        command = [sys.executable, "-m", "pellucid", "serve", "--home", str(place / ".pellucid"), "--port", "0"]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert server.stdout is not None
        begun = time.perf_counter()
        address = server.stdout.readline().split()[0]
        print(f"served after {time.perf_counter() - begun:.1f} s", flush=True)
        load_at(address, "/search?q={}", queries, 10, 5)
        for ranking, (rate, middle, late) in RATES.items():
            before = memory(server.pid)
            times, served, failed = load_at(address, "/search?q={}&rank=" + ranking, queries, rate, seconds)
            after = memory(server.pid)
            p50, p99 = times[len(times) // 2], times[int(len(times) * 0.99)]
            inside = f"{served[len(served) // 2]:.1f} and {served[int(len(served) * 0.99)]:.1f} ms of it at work"
            low = failed or p50 > middle or p99 > late or after > before * 1.1
            wrong += bool(low)
            said = f"{ranking:<11} {rate} a second for {seconds} s: p50 {p50:.1f} ms (bar {middle:g}), p99 {p99:.1f} ms (bar {late:g})"
            print(
                f"{said}, {inside}, failed {failed}, memory {before:,} to {after:,} MB{'   BELOW ITS BAR' if low else ''}",
                flush=True,
            )
        server.send_signal(signal.SIGTERM)
        print(json.dumps({"exit": server.wait(30)}))
    return int(wrong > 0)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in (folder / ".pellucid").rglob("*") if path.is_file()) // 1_000_000


if __name__ == "__main__":
    sys.exit(main())
