"""Protect: transforms in a pipeline. What they give is labelled `protected`, and no transform ever makes it open.

A pseudonym, a coarser value or a missing row proves nothing: whoever knows something else about a person (a few visits, a date, a
job) may still find their row, and no one can bound what others know. So the label says that work was done on the table, and everything
that publishes refuses it, as it refuses private data. The way out is a release, which is charged to the same accounts.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pellucid.errors import PrivacyError, UsageError
from pellucid.pipeline.declaration import Output, OutputOf, Source, Step, own
from pellucid.privacy.secret_keys import KEY_BYTES
from pellucid.privacy.transforms.row_transform import Rows, Transform, rows_from
from pellucid.store import Table

if TYPE_CHECKING:
    import pyarrow as pa

_INPUT = "of"


def transformed(data: Any, transforms: Transform | Sequence[Transform], *, key: bytes | None = None) -> pa.RecordBatchReader:
    """The rows of `data` after the transforms, one after the other, as a stream. It is protected at best: never open.

    `data` is a path, a stored table or anything that holds rows; `key` is by default the steward's. Raises DataError, PrivacyError.
    """
    from pellucid.privacy.secret_keys import steward_key

    chain = _chain(transforms)
    own = steward_key() if key is None else key
    return _applied(rows_from(data), chain, {release: _key_of(own, release) for release in _releases(chain)}).reader()


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


@own("protection")
@dataclass(frozen=True)
class Chain:
    """The protection of one step: its transforms, in order (see `pellucid.pipeline.declaration.release_protocol.Protection`)."""

    transforms: tuple[Transform, ...]

    def keeps(self, unit: str) -> bool:
        """Whether each row of the result still belongs to one unit, and depends on nothing but that unit's rows."""
        return all(t.own_rows and not t.merges(unit) for t in self.transforms)

    def parameters(self) -> list[dict[str, Any]]:
        """All that defines the transforms, as JSON."""
        return [t.parameters() for t in self.transforms]

    def secret(self) -> bytes:
        """The keys of the releases that the transforms name, from the steward's key: no worker gets the key of another release."""
        from pellucid.privacy.secret_keys import steward_key

        key = steward_key()
        return b"".join(_key_of(key, release) for release in _releases(self.transforms))

    def commitment(self) -> str:
        """What stands for the keys in the step's key: another steward's key gives other pseudonyms."""
        from pellucid.privacy.secret_keys import commitment, derive, steward_key

        return commitment(derive(steward_key(), "protect"))

    def perform(self, arguments: Mapping[str, Any], key: bytes) -> Any:
        """The protected rows as a stream; `key` is what `secret` gave."""
        releases = _releases(self.transforms)
        keys = {release: key[at * KEY_BYTES : (at + 1) * KEY_BYTES] for at, release in enumerate(releases)}
        return _applied(rows_from(arguments[_INPUT]), self.transforms, keys).reader()


def _releases(chain: Sequence[Transform]) -> list[str]:
    """The releases that the transforms of a chain name, each once, in order."""
    return sorted({str(getattr(transform, "release", "")) for transform in chain})


def _key_of(key: bytes, release: str) -> bytes:
    """The key of one release's protections, from the steward's."""
    from pellucid.privacy.secret_keys import derive

    return derive(key, f"protect/{release}")


def _applied(rows: Rows, chain: Sequence[Transform], keys: Mapping[str, bytes]) -> Rows:
    for transform in chain:
        rows = transform.apply(rows, keys[str(getattr(transform, "release", ""))])
    return rows


@functools.cache
def _own_transforms() -> frozenset[type]:
    """Pellucid's transforms. A class of another module, or one derived from these, is none, whatever it is named."""
    from pellucid.privacy.transforms.clip import Clip
    from pellucid.privacy.transforms.dates import Coarsen
    from pellucid.privacy.transforms.generalise import Generalise, Mask
    from pellucid.privacy.transforms.pseudonym import Pseudonym
    from pellucid.privacy.transforms.sample import Sample
    from pellucid.privacy.transforms.suppress import Drop, DropRare, SuppressSmall

    return frozenset((Clip, Coarsen, Drop, DropRare, Generalise, Mask, Pseudonym, Sample, SuppressSmall))


def _chain(transforms: Transform | Sequence[Transform]) -> tuple[Transform, ...]:
    chain = tuple(transforms) if isinstance(transforms, list | tuple) else (transforms,)
    if not chain:
        raise UsageError("no transform is given", where="pl.protect", fix="Give one, such as Pseudonym, Generalise or DropRare")
    for transform in chain:
        if type(transform) not in _own_transforms():
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
