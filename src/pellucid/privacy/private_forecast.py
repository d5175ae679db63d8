"""What releases would give, by the rows themselves: for the data's steward, private, and a use of the data that no guarantee covers.

Each release is simulated under throwaway keys (simulation.py). That somebody looked is noted before anything is shown (looks.py), and
every later release from the same accounts says so in its guarantee.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pellucid.errors import UsageError
from pellucid.pipeline.declaration import Bound, Pipeline, Step
from pellucid.privacy.accounting import note_look
from pellucid.privacy.release_step import ReleaseGate
from pellucid.privacy.simulation import simulate
from pellucid.store import Table, Unit, unit_of

DRAWS = 10
WARNING = (
    "From the rows themselves: private, for the data's steward alone. Choosing by it is a use of the data that no guarantee covers; the"
    " card of every later release of these data will say so."
)


@dataclass(frozen=True)
class PrivateForecast:
    """One release by its rows: `lines` in words, and `figures`: what they say as numbers. As private as the rows."""

    release: str
    lines: tuple[str, ...]
    figures: dict[str, float]


def forecast_from_rows(pipeline: Pipeline, home: Path) -> list[PrivateForecast]:
    """Each release of the pipeline, simulated. Brings its inputs up to date, pays for nothing, and notes the look first.

    Raises UsageError where an input waits for a release that is not there yet, and what reading the data raises.
    """
    from pellucid.pipeline.record import path_of
    from pellucid.pipeline.running import foresee, run
    from pellucid.store import Objects

    gated = [bound for bound in pipeline.steps.values() if _gate(bound) is not None]
    inputs = [bound.edges[0].node for bound in gated]
    waits = {one.step for one in foresee(pipeline, home=home, only=inputs) if one.action != "reuse"}
    for name in sorted(waits):
        if _gate(pipeline.steps[name]) is not None:
            said = f'its rows wait for the release "{name}", which is not paid for yet'
            raise UsageError("there is no forecast from the rows", why=said, fix=f"Run it first: --only {name}")
    accounts = {name for bound in gated for name in pipeline.steps[bound.edges[0].node].label.accounts}
    note_look(home, accounts)
    done = run(pipeline, home=home, only=inputs, confined=True)
    objects, found = Objects(home), []
    for bound in gated:
        gate, (edge,) = _gate(bound), bound.edges
        assert gate is not None
        unit = pipeline.steps[edge.node].label.unit
        assert unit is not None
        terms = gate.resolved(bound.settings, f'release "{bound.name}"', unit_of(unit).relation)
        table = Table(path_of(objects, done.steps[edge.node].outputs[edge.output]))
        found.append(simulated_forecast(bound.name, table, unit, *terms))
    return found


def simulated_forecast(
    name: str, table: Table, unit: str | Unit, mechanism: Any, epsilon: float, delta: float, draws: int = DRAWS
) -> PrivateForecast:
    """One release of a private table, simulated so many times."""
    made = [simulate(mechanism, table, unit=unit, epsilon=epsilon, delta=delta, draw=draw) for draw in range(draws)]
    numbers = mechanism.numbers(epsilon, delta, unit_of(unit).relation)
    if isinstance(made[0], dict):
        lines, figures = _numbers(mechanism, numbers, made)
    elif mechanism.name in ("top_k", "select_best"):
        answers = [str(one.column(one.column_names[-1]).to_pylist()) for one in made]
        share = max(answers.count(one) for one in answers) / draws
        lines, figures = [f"its most frequent answer is given {share:.0%} of the time"], {"share": share}
    elif getattr(mechanism, "public_keys", ()):
        lines, figures = _declared(numbers, made)
    else:
        lines, figures = _named(mechanism, made)
    return PrivateForecast(name, (*lines, f"by {draws} simulated releases"), figures)


def _gate(bound: Bound) -> ReleaseGate | None:
    gate = bound.node.gate if isinstance(bound.node, Step) else None
    return gate if isinstance(gate, ReleaseGate) else None


def _named(mechanism: Any, made: Sequence[Any]) -> tuple[list[str], dict[str, float]]:
    """How many items or pairs are named."""
    thing = "pairs" if mechanism.name == "pairs" else "items"
    columns = ("item_a",) if mechanism.name in ("gram", "equal_norm_gram") else ()
    named = [len(set(one.column(columns[0]).to_pylist())) if columns else one.num_rows for one in made]
    empty, mean = sum(not one for one in named) / len(named), sum(named) / len(named)
    lines = [f"it names {mean:,.3g} of its {thing} ({min(named):,} to {max(named):,})"]
    return lines + ([f"it is empty in {empty:.0%} of them"] if empty else []), {"named": mean, "empty": empty}


def _declared(numbers: Any, made: Sequence[Any]) -> tuple[list[str], dict[str, float]]:
    """How many of the declared counts are told from noise."""
    import numpy as np

    column = "count" if "count" in made[0].column_names else made[0].column_names[-1]
    counts = np.concatenate([np.asarray(one.column(column), dtype=np.float64) for one in made])
    sigma = numbers.get("sigma") or math.sqrt(2) * numbers.get("scale", 1.0)
    share = float((np.abs(counts) <= 2 * sigma).mean())
    return [f"{share:.0%} of its counts are no more than noise (of standard deviation {sigma:.3g})"], {"noise": share}


def _numbers(mechanism: Any, numbers: Any, made: Sequence[Any]) -> tuple[list[str], dict[str, float]]:
    """How far off a number is expected to be: a mean by its noise, its people and where it lies in its range; others by how they spread."""
    lines, figures = [], {}
    people = sum(one.get("people", 0.0) for one in made) / len(made)
    for name in (one for one in made[0] if one != "people" and not one.endswith("_error")):
        drawn = [float(one[name]) for one in made]
        if mechanism.name == "mean":
            width = mechanism.upper - mechanism.lower
            off_centre = min(1.0, abs(2 * (sum(drawn) / len(drawn) - mechanism.lower) / width - 1))
            error = numbers["noise"] / max(1.0, people) * math.sqrt(1 + off_centre**2)
            lines.append(f"{name} is expected to be off by {error:.3g} (its range is {width:g})")
        else:
            middle = sum(drawn) / len(drawn)
            error = math.sqrt(sum((one - middle) ** 2 for one in drawn) / max(1, len(drawn) - 1))
            lines.append(f"{name} lies between {min(drawn):.4g} and {max(drawn):.4g}")
        figures[name] = error
    return lines, figures
