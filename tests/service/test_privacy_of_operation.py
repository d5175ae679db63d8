"""After a day of searches nothing that the service keeps holds a query, an item that somebody asked with, or their address."""

from __future__ import annotations

import http.client
import json
import os
import re
import secrets
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest

from pellucid.maintenance import write_backup

SEARCHES, RECOMMENDATIONS = 1000, 200
ADDRESS = "127.77.31.9"  # all of 127/8 is this machine: an address that nothing else has


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_nothing_kept_holds_what_was_asked_or_by_whom(shop: Path, tmp_path: Path):
    words = [f"zq{secrets.token_hex(5)}" for _ in range(SEARCHES)]
    items = [f"item-{secrets.token_hex(5)}" for _ in range(RECOMMENDATIONS)]
    out = tmp_path / "out.txt"
    command = [sys.executable, "-m", "pellucid", "serve", "--home", str(shop), "--port", "0"]
    with out.open("wb") as held:
        process = subprocess.Popen(command, stdout=held, stderr=subprocess.STDOUT, cwd=shop.parent)
    try:
        while not (found := re.search(r"http://\S+", out.read_text())):
            assert process.poll() is None
        host = urlsplit(found[0]).netloc
        connection = http.client.HTTPConnection(host, timeout=60, source_address=(ADDRESS, 0))

        def ask(path: str, body: bytes | None = None) -> bytes:
            connection.request(
                "POST" if body else "GET", path, body, {"Content-Type": "application/json", "User-Agent": f"reader-of-{words[0]}"}
            )
            answer = connection.getresponse()
            told = answer.read()
            assert answer.status in (200, 303, 404), told
            return told

        for at, word in enumerate(words):
            ask(
                (f"/search?q={quote(word)}+windows", f"/suggest?q={word}", f"/search?q={word}&f.letter=W", f"/documents/{word}")[
                    at % 4
                ]
            )
        for at, item in enumerate(items):
            if at % 2:
                ask("/recommend", json.dumps({"items": [item, 18]}).encode())
            else:
                ask(f"/recommend?items={item},18")
        told = b"".join(ask(path) for path in ("/metrics", "/health", "/system", "/overview", "/models"))
        connection.close()
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)
    backup = tmp_path / "backup.tar"
    write_backup(shop, backup)
    kept = [out.read_bytes(), told, backup.read_bytes()]
    for folder, _, names in os.walk(shop):
        for name in names:
            path = Path(folder, name)
            kept += [path.read_bytes(), str(path).encode()]
    asked = re.compile("|".join([*words, *items, re.escape(ADDRESS)]).encode())
    assert sum(map(len, kept)) > 1_000_000
    assert [match[0] for text in kept if (match := asked.search(text))] == []
