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
            edits = _edits(word, other)
            if edits <= most:
                found.append((edits, -self._known[other], other))
        return min(found)[2] if found else None


def _letters(word: str) -> int:
    """The set of a word's letters as bits; letters beyond 64 share them."""
    held = 0
    for one in word:
        held |= 1 << (ord(one) % 64)
    return held


def _edits(a: str, b: str) -> int:
    """How many edits lead from one word to the other (optimal string alignment), by Hyyro's bit-parallel rows (2003)."""
    if not a or not b:
        return len(a) + len(b)
    whole, last = (1 << len(a)) - 1, 1 << (len(a) - 1)
    places: dict[str, int] = {}
    for at, letter in enumerate(a):
        places[letter] = places.get(letter, 0) | 1 << at
    up, down, diagonal, before, edits = whole, 0, 0, 0, len(a)
    for letter in b:
        here = places.get(letter, 0)
        swapped = ((~diagonal & here) << 1) & before
        diagonal = ((((here & up) + up) ^ up) | here | down | swapped) & whole
        right, left = (down | ~(diagonal | up)) & whole, diagonal & up
        edits += bool(right & last) - bool(left & last)
        right, left = (right << 1 | 1) & whole, left << 1 & whole
        up, down, before = (left | ~(diagonal | right)) & whole, right & diagonal, here
    return edits
