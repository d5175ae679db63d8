"""Protect: transforms in a pipeline. What they give is labelled `protected`, and no transform ever makes it open.

A pseudonym, a coarser value or a missing row proves nothing: whoever knows something else about a person (a few visits, a date, a
job) may still find their row, and no one can bound what others know. So the label says that work was done on the table, and everything
that publishes refuses it, as it refuses private data. The way out is a release, which is charged to the same accounts.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pellucid.errors import PrivacyError, UsageError
from pellucid.pipeline.step import Output, OutputOf, Source, Step
from pellucid.privacy.transforms.rows import Rows, Transform, rows_from
from pellucid.store.kinds import Table

if TYPE_CHECKING:
    import pyarrow as pa

_INPUT = "of"


def transformed(data: Any, transforms: Transform | Sequence[Transform], *, key: bytes | None = None) -> pa.RecordBatchReader:
    """The rows of `data` after the transforms, one after the other, as a stream. It is protected at best: never open.

    `data` is a path, a stored table or anything that holds rows; `key` is by default the steward's. Raises DataError, PrivacyError.
    """
    from pellucid.privacy.keys import steward_key

    chain = _chain(transforms)
    return _applied(rows_from(data), chain, steward_key() if key is None else key).reader()


def protect(transforms: Transform | Sequence[Transform], *, of: Source | Step | OutputOf | str, name: str | None = None) -> Step:
    """Declare a step that transforms the private table `of`; its output is labelled protected.

    Where every transform looks at one person's rows alone (`own_rows`) and keeps the unit column whole, the result keeps its unit, so it
    can be released, and the release is charged to the accounts of the data; otherwise it has none and cannot. Raises UsageError.
    """
    if not isinstance(of, Source | Step | OutputOf | str):
        raise UsageError(f"of= must be a source, a step or the name of an output, not a {type(of).__name__}", where="pl.protect")
    return Step(
        fn=_Signature(),
        name=name,
        outputs=(Output("", "table"),),
        inputs={_INPUT: of},
        kind="protect",
        protection=Chain(_chain(transforms)),
    )


@dataclass(frozen=True)
class Chain:
    """The protection of one step: its transforms, in order (see `pellucid.pipeline.gate.Protection`)."""

    transforms: tuple[Transform, ...]

    def keeps(self, unit: str) -> bool:
        """Whether each row of the result still belongs to one unit, and depends on nothing but that unit's rows."""
        return all(t.own_rows and not t.merges(unit) for t in self.transforms)

    def parameters(self) -> list[dict[str, Any]]:
        """All that defines the transforms, as JSON."""
        return [t.parameters() for t in self.transforms]

    def secret(self) -> bytes:
        """The key of all protections, from the steward's key; it goes to the worker as a release's key does."""
        from pellucid.privacy.keys import derive, steward_key

        return derive(steward_key(), "protect")

    def commitment(self) -> str:
        """What stands for the key in the step's key: another key gives other pseudonyms."""
        from pellucid.privacy.keys import commitment

        return commitment(self.secret())

    def perform(self, arguments: Mapping[str, Any], key: bytes) -> Any:
        """The protected rows as a stream."""
        return _applied(rows_from(arguments[_INPUT]), self.transforms, key).reader()


def _applied(rows: Rows, chain: Sequence[Transform], key: bytes) -> Rows:
    for transform in chain:
        rows = transform.apply(rows, key)
    return rows


def _chain(transforms: Transform | Sequence[Transform]) -> tuple[Transform, ...]:
    chain = tuple(transforms) if isinstance(transforms, list | tuple) else (transforms,)
    if not chain:
        raise UsageError("no transform is given", where="pl.protect", fix="Give one, such as Pseudonym, Generalise or DropRare")
    for transform in chain:
        home = type(transform).__module__
        if not home.startswith("pellucid.privacy.transforms."):
            raise PrivacyError(
                f"a {type(transform).__name__} is not one of pellucid's transforms",
                where="pl.protect",
                why="whether rows still belong to one person is known of those alone",
                fix="Write it as a step (@pl.step): its output stays private",
            )
    return chain


class _Signature:
    """Stands for a protection where the graph asks for parameters: one input, no settings."""

    def __init__(self) -> None:
        parameter = inspect.Parameter(_INPUT, inspect.Parameter.KEYWORD_ONLY, annotation=Table)
        self.__signature__ = inspect.Signature([parameter])
        self.__annotations__ = {_INPUT: Table}

    def __call__(self, **arguments: Any) -> Any:
        raise UsageError("a protection runs only in a pipeline", fix="Outside of one use pellucid.privacy.transforms.transformed")
