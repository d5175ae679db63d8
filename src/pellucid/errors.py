"""Errors as part of the interface: one line that says what, where, why and what to do.

Every error a user can meet derives from `PellucidError`. The command line prints `str(error)` on one line and exits with
`error.exit_code`; a traceback is for bugs only.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


class PellucidError(Exception):
    """Base of all errors meant for people.

    `what` happened, `where` (file, step, column), `why`, and `fix`: what to do now. Empty parts are left out.
    """

    exit_code = 2
    run: Any = None  # the run that ended with it (a `pellucid.pipeline.record.run_report.Run`), where there was one

    def __init__(self, what: str, *, where: str = "", why: str = "", fix: str = "") -> None:
        self.what, self.where, self.why, self.fix = what, where, why, fix
        super().__init__(what)

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows instead of a traceback (IPython asks for it): the one line."""
        return [f"{type(self).__name__}: {self}"]

    def __str__(self) -> str:
        head = f"{self.where}: {self.what}" if self.where else self.what
        if self.why:
            head = f"{head}: {self.why}"
        return f"{head}{'' if head.endswith(('?', '.')) else '.'} {self.fix}" if self.fix else head


class UsageError(PellucidError):
    """A command, a pipeline file or a setting that cannot be used as it stands."""


class DataError(PellucidError):
    """Input data that cannot be read as declared. Only `why` may quote the data: it is withheld where they are private."""


class StoreError(PellucidError):
    """The store or the state file cannot be used: read-only, full, newer, or damaged."""


class DamagedError(StoreError):
    """A stored file whose bytes are not those its digest names (torn write, flipped bit, edit by hand)."""


class StepError(PellucidError):
    """A step that failed: it raised, timed out, returned another type, or touched what it had not declared."""

    exit_code = 1


class LabelError(PellucidError):
    """Something that is not open was about to leave, or a release was asked of data that has no unit."""


class PrivacyError(PellucidError):
    """A release with unusable parameters, an unusable key, or a broken account."""


class BudgetError(PrivacyError):
    """A release that would spend more than its account has left."""


class PackageError(PellucidError):
    """A package that cannot be read: a changed byte, a missing file, a path that leaves it."""


class UploadError(PellucidError):
    """A repository that cannot be reached, refuses, or has not kept what was sent."""


def suggest(name: str, known: Iterable[str], otherwise: str = "", *, quoted: bool = True) -> str:
    """The way out from a name that is not known: the nearest known one if it is close, else `otherwise`, else all of them."""
    import difflib

    there = list(dict.fromkeys(known))
    folded = {one.casefold(): one for one in reversed(there)}
    near = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.7)
    if near:
        return f'Did you mean "{folded[near[0]]}"?' if quoted else f"Did you mean {folded[near[0]]}?"
    return otherwise or f"There are: {', '.join(there) or 'none'}"
