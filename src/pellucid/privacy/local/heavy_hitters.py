"""Heavy hitters over texts that nobody listed beforehand: frequent prefixes first, then what continues them."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pellucid.errors import PrivacyError
from pellucid.privacy.local.oracles import Olh, estimate
from pellucid.privacy.parameters import checked_count

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pellucid.privacy.noise import Stream

END = "\0"
MAX_CANDIDATES = 1 << 20
MISTAKES = 0.05  # the chance that a prefix nobody has is kept at one length, all candidates together


@dataclass(frozen=True)
class Hitter:
    """A frequent text, the share of clients that hold it, and that share's standard error."""

    text: str
    share: float
    error: float


@dataclass(frozen=True)
class PrefixSearch:
    """PEM, the prefix extending method (Wang, Li, Jha 2019), on optimised local hashing.

    Unit: one report. Neighbouring: any two texts. Each client is in one group, drawn independently of its text; the clients of group
    k report the first (k + 1) `step` characters, by `Olh` over a public 32-bit fingerprint of them (SHA-256). Texts are cut at
    `length` and padded with an end mark.
    Guarantee: the epsilon of `Olh`, exact. Why: the group says nothing of the text, and what is reported is a fixed function of the text,
    randomised once.
    The search: of each length the candidates are the kept prefixes with every continuation over the `alphabet`; kept are at most
    `keep` whose share is clear of 0 by so many errors that a prefix nobody has is kept in at most 5 % of runs at that length.
    A text is found only if all its prefixes are kept. Two candidates share a fingerprint with chance 2^-32.
    """

    alphabet: str
    length: int
    requested_epsilon: float
    step: int = 1
    keep: int = 100

    def __post_init__(self) -> None:
        if len(set(self.alphabet)) != len(self.alphabet) or not self.alphabet or END in self.alphabet:
            raise PrivacyError("the alphabet must be different characters, the NUL character not among them")
        checked_count("length", self.length, 1, 255)
        checked_count("step", self.step, 1, self.length)
        checked_count("keep", self.keep, 1, 10_000)
        if (len(self.alphabet) + 1) ** self.step * self.keep > MAX_CANDIDATES:
            raise PrivacyError(
                f"a step would try more than {MAX_CANDIDATES} candidates", fix="Take a smaller step, alphabet or keep"
            )

    @cached_property
    def oracle(self) -> Olh:
        return Olh(1 << 32, self.requested_epsilon)

    @property
    def epsilon(self) -> float:
        return self.oracle.epsilon

    @cached_property
    def lengths(self) -> tuple[int, ...]:
        """The prefix length of each group."""
        return (*range(self.step, self.length, self.step), self.length)

    def perturb(self, texts: Sequence[str], stream: Stream) -> NDArray[Any]:
        """One report for each text: uint8 rows of the group and the oracle's report. PrivacyError for undeclared characters."""
        import numpy as np

        if not set().union(*texts) <= set(self.alphabet):
            raise PrivacyError("a text has a character that was never declared in the alphabet", fix="Normalise it on the client")
        own = stream.split()
        groups = (
            ((own.fork("group").words(len(texts)) >> np.uint64(32)) * np.uint64(len(self.lengths))) >> np.uint64(32)
        ).astype(np.uint8)
        codes = [self._code(self._padded(text), int(group)) for text, group in zip(texts, groups, strict=True)]
        reports = self.oracle.perturb(np.array(codes, dtype=np.int64), own.fork("report"))
        return np.concatenate([groups.reshape(-1, 1), reports], axis=1)

    def valid(self, reports: NDArray[Any]) -> NDArray[Any]:
        """Which rows are reports at all."""
        good: NDArray[Any] = (reports[:, 0] < len(self.lengths)) & self.oracle.valid(reports[:, 1:])
        return good

    def search(self, reports: NDArray[Any]) -> list[Hitter]:
        """The frequent texts, the most frequent first."""
        import numpy as np
        from scipy.special import ndtri

        if not self.valid(reports).all():
            raise PrivacyError("a report of this search is malformed")
        kept, found = [""], np.zeros((2, 1))
        for group, length in enumerate(self.lengths):
            mine = reports[reports[:, 0] == group][:, 1:]
            grown = [prefix + more for prefix in kept for more in self._continuations(prefix, length - len(prefix))]
            if not len(mine) or not grown:
                return []
            codes = np.array([self._code(prefix, group) for prefix in grown], dtype=np.int64)
            result = estimate(self.oracle, self.oracle.support(mine, codes), len(mine))
            share, error = result.frequencies, result.errors
            nothing = estimate(self.oracle, np.array([float(self.oracle.q) * len(mine)]), len(mine)).errors[0]
            clear = np.flatnonzero(share > -ndtri(MISTAKES / len(grown)) * nothing)
            best = clear[np.argsort(-share[clear], kind="stable")[: self.keep]]
            kept, found = [grown[at] for at in best], np.stack([share[best], error[best]])
        return [Hitter(text.rstrip(END), *map(float, found[:, at])) for at, text in enumerate(kept)]

    def _continuations(self, prefix: str, more: int) -> list[str]:
        if prefix.endswith(END):
            return [END * more]
        return [
            "".join(body) + END * (more - size)
            for size in range(more + 1)
            for body in itertools.product(self.alphabet, repeat=size)
        ]

    def _padded(self, text: str) -> str:
        return text[: self.length].ljust(self.length, END)

    def _code(self, text: str, group: int) -> int:
        prefix = text[: self.lengths[group]]
        return int.from_bytes(hashlib.sha256(f"pellucid/prefix/{group}/{prefix}".encode()).digest()[:4], "little")
