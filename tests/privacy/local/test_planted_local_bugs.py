"""Each planted bug is caught by a check that passes on the real code."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from local_checks import audit_breach, chi_squared, grr_distributions, key, olh_breaches, ratio_breaches, unary_distributions

from pellucid.privacy.local.oracles import grr, olh, unary
from pellucid.privacy.local.oracles.dyadic import FINE
from pellucid.privacy.local.oracles.grr import Grr
from pellucid.privacy.local.oracles.hadamard import Hadamard
from pellucid.privacy.local.oracles.olh import Olh
from pellucid.privacy.local.oracles.rappor import Rappor
from pellucid.privacy.local.oracles.subset import Subset
from pellucid.privacy.local.oracles.unary import Oue, Sue
from pellucid.privacy.noise.stream import Stream


@pytest.mark.parametrize("make", [Grr, Subset, Hadamard, Oue, Sue, Rappor])
def test_doubled_epsilon(make: Any) -> None:
    declared, doubled = make(4, 1.0), make(4, 2.0)
    perturb = "permanent" if make is Rappor else "perturb"
    assert audit_breach(getattr(declared, perturb), (0, 3), declared.epsilon, 40_000, 2) <= 0
    assert audit_breach(getattr(doubled, perturb), (0, 3), declared.epsilon, 40_000, 2) > 0


def test_doubled_epsilon_in_hashing() -> None:
    declared, doubled = Olh(4, 1.0), Olh(4, 2.0)
    assert olh_breaches(declared.perturb, 4, declared.epsilon) == []
    assert olh_breaches(doubled.perturb, 4, declared.epsilon)


def test_p_and_q_swapped_for_the_wrong_threshold(monkeypatch: pytest.MonkeyPatch) -> None:
    """A true bit kept with 1 - q instead of 1/2: the accuracy is better than it may be."""
    chosen = Oue(4, 1.0)
    assert ratio_breaches(unary_distributions(chosen.perturb, 4), chosen.epsilon) == []
    real = unary.unary
    monkeypatch.setattr(unary, "unary", lambda codes, size, one, zero, stream: real(codes, size, FINE - zero, zero, stream))
    assert ratio_breaches(unary_distributions(chosen.perturb, 4), chosen.epsilon)


def test_off_by_one_in_the_domain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others counted without passing over the true value: one value is never given by some."""
    chosen = Grr(4, 1.0)

    def planted(codes: Any, draw: Any, truth: int, other: int) -> Any:
        past = draw.astype(np.int64) - truth
        return np.where(past < 0, codes, past // other)

    assert ratio_breaches(grr_distributions(chosen.perturb, 4), chosen.epsilon) == []
    monkeypatch.setattr(grr, "respond", planted)
    assert ratio_breaches(grr_distributions(chosen.perturb, 4), chosen.epsilon)


def test_float_remainder_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A true value's mass rounded to twice its share: caught exactly, however small the domain."""
    chosen = Grr(3, 0.5)
    planted = Grr(3, 0.5)
    planted.__dict__["other"] = chosen.other - chosen.other // 50
    assert ratio_breaches(grr_distributions(chosen.perturb, 3), chosen.epsilon) == []
    assert ratio_breaches(grr_distributions(planted.perturb, 3), chosen.epsilon)


def seeds_seen(chosen: Olh) -> int:
    reports = chosen.perturb(np.zeros(1000, dtype=int), Stream(key(7)))
    return len({bytes(row[:8]) for row in reports})


def test_one_hash_function_shared_by_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """No breach of privacy, but estimates of colliding values are wrong, together: caught by support and by the seeds."""
    chosen = Olh(1000, 1.0)
    assert seeds_seen(chosen) == 1000
    real = olh.Olh._mixed

    def planted(self: Olh, seed: Any, codes: Any) -> Any:
        seed[:] = seed[0]
        return real(self, seed, codes)

    monkeypatch.setattr(olh.Olh, "_mixed", planted)
    assert seeds_seen(chosen) == 1


def joint_breach(chosen: Rappor, redraw: bool) -> float:
    """Epsilon of two reports together: more reports may not say more than the kept response does."""

    def pairs(codes: Any, stream: Any) -> Any:
        kept = chosen.permanent(codes, stream)
        reports = []
        for _ in range(6):
            reports.append(chosen.respond(kept, stream))
            if redraw:
                kept = chosen.permanent(codes, stream)
        votes = sum(np.unpackbits(one, axis=1, count=2, bitorder="little").astype(np.uint8) for one in reports)
        return np.ascontiguousarray(votes)

    return audit_breach(pairs, (0, 1), chosen.epsilon, 60_000, 3)


def test_memoised_response_redrawn() -> None:
    chosen = Rappor(2, 0.5, 4.0)
    assert joint_breach(chosen, redraw=False) <= 0
    assert joint_breach(chosen, redraw=True) > 0


def test_reused_stream() -> None:
    """The same words for two reports: who knows one client's value knows the other's draw. Caught by equal reports."""
    chosen, codes = Grr(1000, 1.0), np.zeros(500, dtype=int)
    stream = Stream(key(8))
    fresh = [chosen.perturb(codes, stream) for _ in range(2)]
    again = [chosen.perturb(codes, Stream(key(8))) for _ in range(2)]
    assert (fresh[0] == fresh[1]).all(axis=1).mean() < 0.05
    assert (again[0] == again[1]).all(axis=1).mean() == 1


def flip_probability(chosen: Hadamard) -> float:
    """Chi-squared of rows and bits against the exact distribution for value 2."""
    reports = chosen.perturb(np.full(100_000, 2), Stream(key(9))).reshape(-1)
    flip = chosen.flip / 2**32
    wanted = [
        (1 - flip if (row & 2).bit_count() % 2 == bit else flip) / chosen.order for row in range(chosen.order) for bit in (0, 1)
    ]
    return chi_squared(np.bincount(reports, minlength=2 * chosen.order), wanted)


def test_row_and_flip_drawn_from_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = Hadamard(4, 1.0)
    assert flip_probability(chosen) > 1e-6

    class Doubled:
        def __init__(self, stream: Any) -> None:
            self.stream = stream

        def words(self, count: int) -> Any:
            low = self.stream.words(count) & np.uint64(0xFFFFFFFF)
            return low | (((low * np.uint64(1 << 30)) & np.uint64(0xFFFFFFFF)) << np.uint64(32))

    real = chosen.perturb
    monkeypatch.setattr(Hadamard, "perturb", lambda self, codes, stream: real.__func__(self, codes, Doubled(stream)))  # type: ignore[attr-defined]
    assert flip_probability(chosen) < 1e-6
