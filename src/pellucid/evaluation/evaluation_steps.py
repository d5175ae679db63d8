"""Evaluation as pipeline steps that keep people apart, so that what they give can be released.

Both functions they wrap are per-unit by construction (hold_out_split and ranking_measures have the arguments, tests hold them to it),
so they run on the whole table at once instead of person by person.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, NamedTuple

from pellucid.errors import UsageError
from pellucid.pipeline.declaration import Output, OutputOf, Source, Step, keeps_units_apart, own
from pellucid.store import Model, Table

Node = Source | Step | OutputOf | str


class People(NamedTuple):
    """The outputs of `hold_out`."""

    train: Table
    holdout: Table


@keeps_units_apart
def split_people(
    visits: Table, item: str, unit: str, split_seed: int = 0, share: float = 0.2, hide: float = 0.2, order: str | None = None
) -> People:
    """Train and hold-out people (`pellucid.evaluation.split`): each person's place and rows depend on their own rows alone."""
    from pellucid.evaluation.hold_out_split import split

    return split(visits, unit, item, split_seed, share, hide, order)  # type: ignore[return-value]


def hold_out(
    of: Node, *, item: str, share: float = 0.2, hide: float = 0.2, seed: int = 0, order: str | None = None, name: str = "people"
) -> Step:
    """A step that holds out a `share` of the people and hides the share `hide` of each one's items; outputs train and holdout.

    With another `name` its outputs bear it too (`<name>_train`, `<name>_holdout`), so that two can stand in one pipeline.
    `of` is a private table with a unit. `seed` is public; `order` names a column by which the last items are hidden.
    """
    settings = {"item": item, "split_seed": seed, "share": share, "hide": hide, "order": order}
    own = name != "people"
    outputs = (Output("train", "table", prefixed=own), Output("holdout", "table", prefixed=own))
    return Step(split_people, name, outputs, {"visits": of}, settings, per_unit=True, kind="features")


def score(holdout: Node, models: Mapping[str, Node], *, item: str, name: str = "scores") -> Step:
    """A step that scores models on the hold-out people: one row a person, `<model>_ndcg_10` and `<model>_recall_20` for each.

    `models` maps a short name to an open model. The result keeps its unit, so that its mean can be released.
    """
    if not models:
        raise UsageError("name at least one model", where="pl.evaluation.score")
    fn = _Scorer(tuple(models), item)
    return Step(fn, name, (Output("", "table"),), {"holdout": holdout, **models}, {}, per_unit=True, kind="evaluate")


@own("keeps units apart")
class _Scorer:
    """`score`'s function: its parameters are the models' names. Keeps people apart as `ranking.per_person` does."""

    def __init__(self, models: tuple[str, ...], item: str) -> None:
        self.models, self.item = models, item
        kind = inspect.Parameter.KEYWORD_ONLY
        annotated = {"holdout": Table, **dict.fromkeys(models, Model), "unit": str}
        self.__signature__ = inspect.Signature([inspect.Parameter(n, kind, annotation=hint) for n, hint in annotated.items()])
        self.__annotations__ = {**annotated, "return": Table}

    def __call__(self, holdout: Table, unit: str, **models: Model) -> Any:
        from pellucid.evaluation.ranking_measures import MEASURES, per_person

        joined: Any = None
        for name in self.models:
            found = per_person(models[name], holdout, unit, self.item)
            columns = [found.column(measure) for measure in MEASURES]
            joined = found.select([unit]) if joined is None else joined
            for measure, column in zip(MEASURES, columns, strict=True):
                joined = joined.append_column(f"{name}_{measure}", column)
        return joined
