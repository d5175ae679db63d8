"""The adversary's own randomness: whom to attack, what they know. Public and repeatable; nothing private depends on it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from pellucid.privacy.noise import Stream

if TYPE_CHECKING:
    from numpy.typing import NDArray


def stream_of(seed: int, label: str) -> Stream:
    """A stream for one purpose of one attack."""
    return Stream(hashlib.sha256(f"pellucid attack {label} {seed}".encode()).digest())


def chosen(stream: Stream, among: int, count: int) -> NDArray[Any]:
    """`count` different numbers below `among`, or all of them where there are fewer; in random order."""
    import numpy as np

    return np.argsort(stream.words(among), kind="stable")[:count]


def uniform(stream: Stream, count: int) -> NDArray[Any]:
    """Numbers from [0, 1)."""
    import numpy as np

    return np.asarray((stream.words(count) >> np.uint64(11)).astype(np.float64) * 2.0**-53)
