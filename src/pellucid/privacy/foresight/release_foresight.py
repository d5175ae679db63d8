"""The foresight of one release: expected items, errors beside their ranges, what is wrong with it, and what would help, computed."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from pellucid.errors import PrivacyError
from pellucid.privacy.foresight.expected_numbers import LAWS, ExpectedNumbers
from pellucid.privacy.foresight.named_items import Naming
from pellucid.privacy.foresight.noisy_maximum import NoisyMaximum
from pellucid.store import ADD_REMOVE

QUARTER = 0.25  # of a number's range: an error beyond it says nothing
BETA = 0.05  # of the rank of a quantile: the chance to be off by more
HIGHEST_EPSILON = 8.0  # that is advised
CENTRED = 1.189  # sqrt(1 + c^2) for a mean somewhere between the middle (c = 0) and an end (c = 1) of its range, within 19 %


@dataclass(frozen=True)
class Foresight:
    """What to expect: `lines` in words, `problem` ("" where there is none), and what would help (`advice`)."""

    release: str
    lines: tuple[str, ...]
    problem: str = ""
    advice: tuple[str, ...] = ()


def foresee_release(
    name: str, mechanism: Any, epsilon: float, delta: float, numbers: ExpectedNumbers, relation: str = ADD_REMOVE
) -> Foresight:
    """What the release `name` of this mechanism is expected to give to so many people. Raises PrivacyError for unusable parameters."""
    lines, problem = _look(mechanism, epsilon, delta, numbers, relation)
    advice = tuple(_advice(mechanism, epsilon, delta, numbers, relation)) if problem else ()
    return Foresight(name, tuple(lines), problem, advice)


def _look(mechanism: Any, epsilon: float, delta: float, numbers: ExpectedNumbers, relation: str) -> tuple[list[str], str]:
    """What is to be expected in words, and the problem."""
    naming = _naming(mechanism, epsilon, delta, relation)
    if naming is not None:
        return _named(mechanism, naming, epsilon, delta, numbers, relation)
    if mechanism.name in ("select_best", "top_k"):
        return _chosen(mechanism, epsilon, delta, numbers, relation)
    errors = _errors(mechanism, epsilon, delta, relation, numbers)
    if errors is None:
        return ["no forecast for this mechanism"], ""
    what, error, spread, fewest = errors
    lines = [f"{what}, for {numbers.people:,} people"] if numbers.people else []
    if fewest is not None:
        lines.append(f"it says something from {fewest:,} people on")
    if not numbers.people:
        lines.append("say how many people there are, and it is compared with that")
    if numbers.people and error > QUARTER * spread:
        return lines, f"the expected error passes a quarter of the range: {error:.3g} of {spread:.3g}"
    return lines, ""


# by threshold -----------------------------------------------------------------------------------------------------------------


NAMING = ("clicks", "equal_norm_gram", "gram", "histogram", "pairs", "partitions")


def _naming(mechanism: Any, epsilon: float, delta: float, relation: str) -> Naming | None:
    """How a mechanism names items; None for one whose items are declared, or that names none."""
    if getattr(mechanism, "public_keys", ()) or mechanism.name not in NAMING:
        return None
    if mechanism.name == "equal_norm_gram":
        # In eighths of what a person with one item adds to its cell; the eighth more makes up for what lies between two of them.
        weighed = mechanism.plan(epsilon, delta, relation)
        scale = 2**weighed.digits
        mass = 1 - (-8 * max(m * own for m, (own, _) in enumerate(weighed.weights, 1)) // scale)
        return Naming(lambda count: weighed.noise.tail(weighed.threshold - scale * count // 8), mass, 8, mechanism.max_items)
    if mechanism.name == "partitions":
        if mechanism.method == "geometric":
            chances = mechanism.probabilities(epsilon, delta, relation)
            return Naming(lambda count: chances[min(count, len(chances) - 1)], mechanism.max_contributions, 1, 10**9)
        chosen = mechanism.threshold(epsilon, delta, relation)
    else:
        chosen = mechanism.plan(epsilon, delta, relation)
    cells = {"pairs": getattr(mechanism, "cells", 0), "clicks": getattr(mechanism, "cells", 0)}
    kept = cells.get(mechanism.name) or mechanism.max_contributions
    at_most = int(getattr(mechanism, "max_items", getattr(mechanism, "max_pairs", 10**9)))
    lift = getattr(mechanism, "rows", 1)
    return Naming(lambda count: chosen.noise.tail(chosen.threshold - count), kept * lift, lift, at_most)


def _named(
    mechanism: Any, naming: Naming, epsilon: float, delta: float, numbers: ExpectedNumbers, relation: str
) -> tuple[list[str], str]:
    thing = "pairs" if mechanism.name == "pairs" else "items"
    fewest = naming.fewest_people()
    sigma = mechanism.numbers(epsilon, delta, relation).get("sigma")
    weights = mechanism.name == "equal_norm_gram"
    if weights:
        sigma = sigma / mechanism.numbers(epsilon, delta, relation)["scale"]
    what = "cell, where a person with one item adds 1" if weights else "count"
    lines = [f"noise of standard deviation {sigma:.3g} on each {what}"] if sigma else []
    lines.append(f"it can name one of its {thing} from {fewest:,} people on, if the data suit it")
    if numbers.people is None:
        return [*lines, "say how many people there are, and it is compared with that"], ""
    most = naming.most_expected(numbers.people)
    if most < 1:
        return lines, f"no data of {numbers.people:,} people can be expected to name one of its {thing}"
    if weights:
        lines.append("how many items it will name depends on how many each person has: no forecast by a law")
    elif numbers.complete:
        bracket = sorted(_by_law(mechanism, naming, numbers, law) for law in LAWS)
        told = " to ".join(f"{one:,.0f}" for one in bracket)
        lines.append(f"expected by Zipf's law, exponent {LAWS[0]:g} to {LAWS[1]:g}: {told} of its {thing}")
        if mechanism.name == "gram" and sigma:
            shares = sorted(_cells_above(mechanism, naming, numbers, law, sigma) for law in LAWS)
            lines.append(
                f"of the pairs of those, {shares[0]:.0%} to {shares[1]:.0%} stand out of the noise, were they independent"
            )
        if bracket[-1] < 1:
            return lines, f"by Zipf's law fewer than one of its {thing} is expected"
    else:
        lines.append("say how many items there are and how many each person has, and a forecast by Zipf's law is added")
    return lines, ""


def _by_law(mechanism: Any, naming: Naming, numbers: ExpectedNumbers, law: float) -> float:
    """Expected items or pairs by a law of popularity; pairs as if items were independent, and those of rare items left out."""
    import numpy as np

    counts = numbers.counts(law, mechanism.queries if mechanism.name == "clicks" else mechanism.max_contributions)
    if mechanism.name != "pairs":
        return naming.expected(counts * naming.lift if naming.lift > 1 else counts)
    first = counts[: min(len(counts), 1000)]
    together = np.outer(first, first)[np.triu_indices(len(first), 1)] / float(numbers.people or 1)
    values, times = np.unique(np.round(together[together >= 0.5]), return_counts=True)
    return min(
        float(naming.at_most), sum(naming.chance(int(value)) * int(many) for value, many in zip(values, times, strict=True))
    )


def _cells_above(mechanism: Any, naming: Naming, numbers: ExpectedNumbers, law: float, sigma: float) -> float:
    """The share of the cells off the diagonal that pass three standard deviations, were the named items independent."""
    import numpy as np
    from scipy.special import ndtr

    counts = numbers.counts(law, mechanism.max_contributions)
    on = counts[: max(2, round(naming.expected(counts)))]
    cells = np.outer(on, on)[np.triu_indices(len(on), 1)] / float(numbers.people or 1)
    return float(ndtr(cells / sigma - 3).mean()) if len(cells) else 0.0


# the best of declared ones ----------------------------------------------------------------------------------------------------


def _maximum(mechanism: Any, epsilon: float, delta: float, relation: str) -> tuple[NoisyMaximum, int]:
    """The noisy maxima of a mechanism, and what one person is worth at most of a score."""
    scale = float(mechanism.plan(epsilon, delta, relation).scale)
    if mechanism.name == "top_k":
        return NoisyMaximum(len(mechanism.public_keys), mechanism.k, scale), 1
    return NoisyMaximum(len(mechanism.columns), 1, scale), mechanism.grid


def _chosen(mechanism: Any, epsilon: float, delta: float, numbers: ExpectedNumbers, relation: str) -> tuple[list[str], str]:
    maximum, worth = _maximum(mechanism, epsilon, delta, relation)
    gap, sure, people = maximum.gap(BETA) / worth, f"{1 - BETA:.0%}", numbers.people
    fewest = maximum.least(worth, BETA)
    if mechanism.name == "top_k":
        thing = f"the {maximum.k} largest of {maximum.candidates:,} keys"
        lines = [f"{thing} are named with a probability of {sure} where the last of them is {gap:,.0f} people ahead of the next"]
    else:
        thing, width = f"the best of {maximum.candidates:,} settings", mechanism.upper - mechanism.lower
        total = f"{gap * width:,.3g}" + ("" if people is None else f", a mean quality of {gap * width / people:.3g}")
        lines = [f"{thing} is named with a probability of {sure} where its total quality is {total} ahead of the next"]
        if people is not None:
            loss = maximum.loss() / worth * width / people
            lines.append(
                f"the one named is expected to have a mean quality at most {loss:.3g} below the best (its range is {width:g})"
            )
    lines.append(f"it can tell them apart from {fewest:,} people on, if the data suit it")
    if people is None:
        return [*lines, "say how many people there are, and it is compared with that"], ""
    return lines, f"no data of {people:,} people can tell {thing} with a probability of {sure}" if people < fewest else ""


# errors -----------------------------------------------------------------------------------------------------------------------


def _errors(
    mechanism: Any, epsilon: float, delta: float, relation: str, numbers: ExpectedNumbers
) -> tuple[str, float, float, int | None] | None:
    """In words, the error and the range it is compared with, and from how many people on it is below a quarter; None for no forecast."""
    told, people = mechanism.numbers(epsilon, delta, relation), numbers.people or 1
    if mechanism.name == "mean":
        error, width = told["noise"] / people * CENTRED, mechanism.upper - mechanism.lower
        fewest = math.ceil(told["noise"] * CENTRED / (QUARTER * width))
        return f"each mean is expected to be off by {error:.3g} (its range is {width:g})", error, width, fewest
    if mechanism.name == "sum":
        most = mechanism.max_contributions * (mechanism.upper - mechanism.lower)
        fewest = math.ceil(told["error"] / (QUARTER * most))
        said = f"each sum is expected to be off by {told['error']:.3g} (its range is {people * most:.3g})"
        return said, told["error"], people * most, fewest
    if mechanism.name == "quantiles":
        ranks = max(
            2 * float(noise.scale) / _lowest(part)[1] * math.log((mechanism.steps + 1) / BETA)
            for part, noise in zip(mechanism.parts, mechanism.plan(epsilon, delta, relation), strict=True)
        )
        said = f"each quantile is off by at most {ranks:,.0f} people with a probability of {1 - BETA:.0%}"
        return said, ranks, float(people), math.ceil(ranks / QUARTER)
    if mechanism.name == "marginals":  # two cells of a column: the half of their distance; no column and no data do better
        error = told["sigma"] / math.sqrt(math.pi) / people
        said = f"at least {error:.2%} of the people are expected to be counted in a wrong cell of a column of two cells"
        return (
            f"{said}; each count is off by {told['sigma']:.3g}",
            error,
            1.0,
            math.ceil(told["sigma"] / math.sqrt(math.pi) / QUARTER),
        )
    if mechanism.name in ("gram", "histogram", "pairs") and mechanism.public_keys:
        most = getattr(mechanism, "rows", 1)
        said = f"each count is expected to be off by {told['sigma']:.3g} (its range is 0 to {people * most:,})"
        return said, told["sigma"], float(people * most), math.ceil(told["sigma"] / (QUARTER * most))
    return None


def _lowest(part: int) -> tuple[int, int]:
    """A level in thousandths in lowest terms."""
    common = math.gcd(part, 1000)
    return part // common, 1000 // common


# advice -----------------------------------------------------------------------------------------------------------------------


def _advice(mechanism: Any, epsilon: float, delta: float, numbers: ExpectedNumbers, relation: str) -> Iterator[str]:
    """What would mend the problem, each tried: a larger epsilon, another cap, a declared catalogue, a histogram, more people."""

    def works(other: Any, at: float) -> bool:
        try:
            return not _look(other, at, delta, numbers, relation)[1]
        except PrivacyError:
            return False

    enough = _least_epsilon(lambda at: works(mechanism, at), epsilon)
    if enough is not None:
        yield f"epsilon {enough:.2g} instead of {epsilon:g}"
    cap = getattr(mechanism, "max_contributions", None)
    if isinstance(cap, int):
        least = 2 if mechanism.name == "pairs" else 1
        other = next(
            (one for one in range(cap - 1, least - 1, -1) if works(_with(mechanism, max_contributions=one), epsilon)), None
        )
        if other is not None:
            yield f"max_contributions {other} instead of {cap}"
    if mechanism.name in ("pairs", "gram"):
        from pellucid.privacy.mechanisms import histogram

        if works(histogram(mechanism.item, mechanism.max_contributions), epsilon):
            yield "a histogram of the items instead of their pairs"
    if (
        hasattr(mechanism, "public_keys")
        and not mechanism.public_keys
        and works(_with(mechanism, public_keys=("a", "b")), epsilon)
    ):
        yield "a declared catalogue (public_keys=[...]): then all of it is released, and nothing has to reach a threshold"
    if mechanism.name == "top_k":
        fewer = next((k for k in range(mechanism.k - 1, 0, -1) if works(_with(mechanism, k=k), epsilon)), None)
        if fewer is not None:
            yield f"k {fewer} instead of {mechanism.k}"
    if mechanism.name in ("select_best", "top_k"):
        maximum, worth = _maximum(mechanism, epsilon, delta, relation)
        yield f"more people: it can work from {maximum.least(worth, BETA):,} on"
        return
    naming = _naming(mechanism, epsilon, delta, relation)
    if naming is not None:
        yield f"more people: it can work from {naming.fewest_people():,} on"
    else:
        found = _errors(mechanism, epsilon, delta, relation, numbers)
        if found is not None and found[3] is not None:
            yield f"more people: it works from {found[3]:,} on"


def _least_epsilon(works: Callable[[float], bool], epsilon: float) -> float | None:
    """The smallest epsilon above this one that works, to two digits; None where the highest that is advised does not."""
    if not works(HIGHEST_EPSILON) or epsilon >= HIGHEST_EPSILON:
        return None
    low, high = epsilon, HIGHEST_EPSILON
    while high / low > 1.02:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if works(middle) else (middle, high)
    scale = 10.0 ** (1 - math.floor(math.log10(high)))
    return math.ceil(high * scale) / scale


def _with(mechanism: Any, **changes: Any) -> Any:
    return dataclasses.replace(mechanism, **changes)
