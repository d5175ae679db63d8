"""Completion, and spelling: the nearest word that the documents have, for one that none of them has.

Nearest by edits (Damerau 1964: a letter added, left out, changed, or two neighbours swapped), at most one for words up to five letters and
two for longer ones; among equals the more frequent word, then the first by alphabet. Words that could be near are found by their length and
the set of their letters, so that only a few are compared letter by letter.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHORTEST = 4  # letters: shorter words are near to too many others
_WORD = re.compile(r"\w+", re.UNICODE)


class Words:
    """The whole words of an index, sorted, with the number of documents that have each."""

    def __init__(self, words: Sequence[str], documents: Sequence[int] | NDArray[Any]) -> None:
        import numpy as np

        self._sorted, self._documents = list(words), np.asarray(documents)
        self._known = dict(zip(self._sorted, self._documents.tolist(), strict=True))
        self._words = [word for word in words if len(word) >= SHORTEST - 1 and not word.isdecimal()]
        self._lengths = np.array([len(word) for word in self._words], dtype=np.int16)
        self._letters = np.array([_letters(word) for word in self._words], dtype=np.uint64)

    def beginning_with(self, prefix: str, most: int) -> list[str]:
        """The words that begin so, those of most documents first, equal ones by alphabet."""
        import numpy as np

        low, high = bisect_left(self._sorted, prefix), bisect_left(self._sorted, prefix + "\U0010ffff")
        order = np.argsort(-self._documents[low:high], kind="stable")[:most]
        return [self._sorted[low + at] for at in order.tolist()]

    def corrected(self, query: str) -> str | None:
        """The query with its unknown words replaced; None where nothing is to replace."""
        changed = False

        def better(found: re.Match[str]) -> str:
            nonlocal changed
            near = self.nearest(found[0].lower())
            changed = changed or near is not None
            return found[0] if near is None else near

        text = _WORD.sub(better, query)
        return text if changed else None

    def nearest(self, word: str) -> str | None:
        """The nearest known word; None for a known one, a short one, and one that nothing is near to."""
        import numpy as np

        if word in self._known or not SHORTEST <= len(word) <= 40 or any(one.isdecimal() for one in word):
            return None
        most = 1 if len(word) <= 5 else 2
        apart = np.bitwise_count(self._letters ^ np.uint64(_letters(word)))
        close = (np.abs(self._lengths - len(word)) <= most) & (apart <= 2 * most)
        found = []
        for place in np.flatnonzero(close).tolist():
            other = self._words[place]
            edits = _edits(word, other, most)
            if edits <= most:
                found.append((edits, -self._known[other], other))
        return min(found)[2] if found else None


def _letters(word: str) -> int:
    """The set of a word's letters as bits; letters beyond 64 share them."""
    held = 0
    for one in word:
        held |= 1 << (ord(one) % 64)
    return held


def _edits(a: str, b: str, most: int) -> int:
    """How many edits lead from one word to the other; `most` + 1 where there are more."""
    before: list[int] = []
    last = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        row = [i, *[0] * len(b)]
        for j, y in enumerate(b, 1):
            row[j] = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                row[j] = min(row[j], before[j - 2] + 1)
        if min(row) > most:
            return most + 1
        before, last = last, row
    return last[-1]
