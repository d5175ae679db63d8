"""What a pipeline file did while it was loaded: the files it opened and the environment it looked up, with the lines that did."""

from __future__ import annotations

from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import dataclass

Line = tuple[str, int]
"""A file of the project and a line of it."""
Seen = tuple[str, frozenset[Line]]
"""A file or variable, and the lines that led to it."""
BEING_LOADED: ContextVar[str] = ContextVar("BEING_LOADED", default="")
"""The pipeline file that is being loaded; empty when none is."""


@dataclass(frozen=True)
class Loading:
    """Each file that was opened and each variable that was looked up, with every line of the project that led there; and the modules of
    the project that were imported."""

    files: tuple[Seen, ...] = ()
    variables: tuple[Seen, ...] = ()
    modules: tuple[str, ...] = ()

    @classmethod
    def of(cls, files: Iterable[Seen], variables: Iterable[Seen], modules: Iterable[str]) -> Loading:
        """What was seen, one entry for each file and variable."""
        return cls(_by_name(files), _by_name(variables), tuple(modules))

    @property
    def environment_names(self) -> frozenset[str]:
        """The variables that were looked up."""
        return frozenset(name for name, _ in self.variables)


def _by_name(found: Iterable[Seen]) -> tuple[Seen, ...]:
    lines: dict[str, frozenset[Line]] = {}
    for name, places in found:
        lines[name] = lines.get(name, frozenset()) | places
    return tuple(sorted(lines.items()))
