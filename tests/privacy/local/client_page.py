"""The page of the browser tests of the local client, and bugs planted in the client on the way to it."""

from __future__ import annotations

import http.server
from pathlib import Path
from typing import Any

from pellucid.privacy.local import collection as collections_file

CLIENT = Path(collections_file.__file__).with_name("client.js")
PAGE = b"<!doctype html><title>client</title>"

# Bugs planted in the client: (what stands there, what is put in its place).
MUTANTS = [
    ("place >= code ? place + 1 : place", "place > code ? place + 1 : place"),  # the domain, off by one
    ("drawn < truth) return code", "drawn < other) return code"),  # the masses swapped
    ("(isOne(value) ? one : zero)", "(isOne(value) ? FINE - zero : zero)"),  # the wrong threshold
    ("words.getUint32(4, true) < flip", "words.getUint32(4, true) < flip / 2"),  # more epsilon than declared
    ("report.set(raw.subarray(0, 4 * seeds))", "report.fill(7, 0, 4 * seeds)"),  # one hash for all
    ("flips ^ kept[at]", "kept[at]"),  # the kept response itself is sent
    ("words.getUint16(2 * value, true)", "words.getUint16(0, true)"),  # one draw for all bits
    ("getUint32(8 * word, true) >>> 11", "getUint32(8 * word, true) >>> 31"),  # most bits of the draw thrown away
    # of directions:
    ("turn = word.getUint8(0)", "turn = 0"),
    ("number * signs[at]", "number"),  # the turn without its signs
    ("past < 0) return Uint8Array.of(turn, close[", "past < 0) return Uint8Array.of(turn, order["),  # not in order of codes
    ("rest + quotient(past - edge, far)", "quotient(past, far)"),  # the remainder forgotten
    ("all[b] - all[a] || a - b", "all[a] - all[b] || a - b"),  # the farthest
    ("word.getUint16(2, true)", "word.getUint16(0, true)"),  # the turn's bits decide too
    ("Uint8Array.of(turn, Math.floor(drawn / 2 ** 40))", "Uint8Array.of(turn, 0)"),  # who clicked nothing says so
]
OF_DIRECTIONS = 7  # the last of them


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        script = self.path.startswith("/client.js")
        text = CLIENT.read_text()
        if "?" in self.path:  # a bug planted on the way
            old, new = MUTANTS[int(self.path.partition("?")[2])]
            assert text.count(old) >= 1, old
            text = text.replace(old, new)
        self.send_response(200)
        self.send_header("Content-Type", "text/javascript" if script else "text/html")
        self.end_headers()
        self.wfile.write(text.encode() if script else PAGE)

    def log_message(self, *arguments: Any) -> None:
        pass


PRELUDE = """
const done = arguments[arguments.length - 1], given = arguments[0];
const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
const unhex = (text) => Uint8Array.from(text.match(/../g) || [], (pair) => parseInt(pair, 16));
const memory = () => { const held = {}; return { getItem: (k) => held[k] ?? null, setItem: (k, v) => { held[k] = v; }, held }; };
const refusal = (act) => { try { act(); return ""; } catch (error) { return error.message; } };
import("/client.js").then(async (c) => {
"""


def run(browser: Any, body: str, given: Any = None, client: str = "/client.js") -> Any:
    found = browser.execute_async_script(
        PRELUDE.replace("/client.js", client) + body + "\n}).catch((error) => done({ failed: String(error.stack) }));", given
    )
    assert not (isinstance(found, dict) and "failed" in found), found
    return found
