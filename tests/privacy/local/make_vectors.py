"""Test vectors that Python and the browser's client share: words in, report out. Run to write vectors.json anew."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from local_checks import key

from pellucid.privacy.local import ORACLES
from pellucid.privacy.local.oracles import oracle
from pellucid.privacy.noise.stream import Stream

FILE = Path(__file__).with_name("vectors.json")
CASES = [(name, size, epsilon) for name in sorted(ORACLES) for size, epsilon in ((2, 0.5), (10, 1.0), (33, 2.0), (1000, 4.0))]
CASES += [("olh", 1 << 32, 1.0), ("olh", 70_000, 6.0), ("grr", 70_000, 3.0), ("hadamard", 70_000, 1.0)]


class Recorder:
    """A stream that remembers its words."""

    def __init__(self, stream: Stream) -> None:
        self.stream, self.taken = stream, b""

    def words(self, count: int) -> Any:
        words = self.stream.words(count)
        self.taken += words.astype("<u8").tobytes()
        return words


def vectors() -> list[dict[str, Any]]:
    found = []
    for at, (name, size, epsilon) in enumerate(CASES):
        if name == "subset" and size > 64:
            continue
        chosen, reports = oracle(name, size, epsilon), []
        for code in sorted({0, 1, size // 2, size - 1}):
            stream = Recorder(Stream(key(10_000 + 100 * at + code % 97)))
            for _ in range(2 if size > 500 else 12):
                stream.taken = b""
                report = chosen.perturb(np.array([code]), stream)
                reports.append({"code": code, "words": stream.taken.hex(), "report": bytes(report[0]).hex()})
        found.append({"parameters": chosen.parameters(), "epsilon": chosen.epsilon, "reports": reports})
    return found


def text() -> str:
    return json.dumps(vectors(), indent=0, sort_keys=True) + "\n"


if __name__ == "__main__":
    FILE.write_text(text())
