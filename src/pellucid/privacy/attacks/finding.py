"""What an attack found: a number with its interval, beside what it is to be compared with."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Rate:
    """A share of successes with its Clopper-Pearson interval (two-sided, exact: it covers at least `confidence`).

    `successes` may be a fraction where ties were broken by splitting; the interval is then that of the whole numbers around it.
    """

    successes: float
    trials: int
    confidence: float = CONFIDENCE

    @property
    def value(self) -> float:
        return self.successes / self.trials if self.trials else math.nan

    @property
    def low(self) -> float:
        return lower_bound(math.floor(self.successes), self.trials, (1 - self.confidence) / 2)

    @property
    def high(self) -> float:
        return upper_bound(math.ceil(self.successes), self.trials, (1 - self.confidence) / 2)

    def to_json(self) -> dict[str, float]:
        return {"value": self.value, "low": self.low, "high": self.high, "trials": self.trials, "confidence": self.confidence}

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def lower_bound(successes: int, trials: int, alpha: float) -> float:
    """The largest probability that is refuted, from below, at level alpha (Clopper and Pearson 1934)."""
    from scipy import stats

    return float(stats.beta.ppf(alpha, successes, trials - successes + 1)) if successes > 0 else 0.0


def upper_bound(successes: int, trials: int, alpha: float) -> float:
    """The smallest probability that is refuted, from above, at level alpha (Clopper and Pearson 1934)."""
    from scipy import stats

    return float(stats.beta.ppf(1 - alpha, successes + 1, trials - successes)) if successes < trials else 1.0


@dataclass(frozen=True)
class Finding:
    """One attack on one thing.

    `question` is what the adversary tries to learn; `rate` how often they do; `baselines` are the same question asked without the
    thing attacked or of people who are not in it (chance, a control group), and `references` the same attack on other forms of
    the data (hashed identifiers, exact counts). `details` are further numbers, `assumes` what the adversary is given.
    """

    attack: str
    target: str
    question: str
    rate: Rate
    baselines: Mapping[str, Rate | float] = field(default_factory=dict)
    references: Mapping[str, Rate | float] = field(default_factory=dict)
    details: Mapping[str, float] = field(default_factory=dict)
    assumes: str = ""

    @property
    def within_control(self) -> bool:
        """Whether the rate is no higher than the interval of the control group (of the best baseline where there is none)."""
        found = [self.baselines["control"]] if "control" in self.baselines else list(self.baselines.values())
        highest = max((rate.high if isinstance(rate, Rate) else rate for rate in found), default=0.0)
        return self.rate.value <= highest

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "attack": self.attack,
            "target": self.target,
            "question": self.question,
            "assumes": self.assumes,
            "rate": self.rate.to_json(),
            "baselines": {name: _plain(rate) for name, rate in self.baselines.items()},
            "references": {name: _plain(rate) for name, rate in self.references.items()},
            "details": dict(self.details),
            "within_control": self.within_control,
        }

    def to_lines(self) -> list[str]:
        """A few lines at 80 columns."""
        told = [f"{self.attack} on {self.target}: {self.rate}", f"  {self.question}"]
        told += [f"  {name}: {_shown(rate)}" for name, rate in (*self.baselines.items(), *self.references.items())]
        told += [f"  {name} {value:.4g}" for name, value in self.details.items()]
        return told


def _plain(rate: Rate | float) -> dict[str, float] | float:
    return rate.to_json() if isinstance(rate, Rate) else float(rate)


def _shown(rate: Rate | float) -> str:
    return str(rate) if isinstance(rate, Rate) else f"{rate:.5g}"
