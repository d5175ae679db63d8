"""The gate, which makes a step a release, and the protection, which makes it a transform that is no release.

Both are made by `pellucid.privacy` alone; the runner asks them before, while and after.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from pellucid.store import Label, Unit


@dataclass(frozen=True)
class Budget:
    """The most a source's account may ever spend: user-level epsilon and delta, over all releases of its data.

    `composition` says how releases add up: "basic" (epsilons and deltas add), "zcdp" (tighter for many releases; half of delta is
    for what releases bring along, half for the conversion) or "gaussian" (the same split, tightest for Gaussian noise).
    `period` ("day", "week", "month", "year"; UTC) caps each such period too, by `period_epsilon` and `period_delta`. `sign_off` makes
    every release wait until somebody has signed for it (`pellucid steward decide`). All of this is fixed when the account first pays.
    """

    epsilon: float = 10.0
    delta: float = 1e-4
    composition: str = "basic"
    period: str | None = None
    period_epsilon: float = 0.0
    period_delta: float = 0.0
    sign_off: bool = False


@dataclass(frozen=True)
class GateRequest:
    """What the runner tells a gate before a release may run: the input's canonical digest (private), and, once the release is to
    run, the verified file that holds it. `sources` are the digests (private) of the sources that each account is about."""

    home: Path
    step: str
    pipeline: str
    label: Label
    digest: str
    settings: Mapping[str, Any]
    budgets: Mapping[str, tuple[str, Budget]]
    path: Path | None = None
    sources: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Grant:
    """A durable spend: the release's identity and the key of its noise stream (never stored, never printed)."""

    release_id: str
    stream_key: bytes = field(repr=False)


class Gate(Protocol):
    """The only thing that lowers a label. Made by `pellucid.privacy` alone; the runner asks it before and after."""

    def check(self, request: GateRequest) -> str:
        """Refuse unusable parameters or data without a unit; return the release's identity, which is its key."""
        ...

    def notices(self, request: GateRequest) -> list[str]:
        """What the steward should know before this spends: lines of text. Spends nothing."""
        ...

    def refusal(self, request: GateRequest) -> str:
        """Why the release would be refused, as far as it can be told from the columns (`request.path`: a table without rows) and from its
        account (where the digest is known); "" where nothing is wrong. Reads no row, spends nothing."""
        ...

    def authorize(self, request: GateRequest) -> Grant:
        """Make the spend durable, or refuse. Called before anything of the release runs."""
        ...

    def perform(self, arguments: Mapping[str, Any], *, unit: str | Unit, key: bytes, scratch: Path) -> Mapping[str, Any]:
        """Compute the release in a worker: the outputs by name. `key` seeds its noise stream."""
        ...

    def settle(self, home: Path, grant: Grant, digests: Mapping[str, str]) -> None:
        """Note what was released; refuse a second, different value under one spend."""
        ...


class Protection(Protocol):
    """What makes a step a protection: its output is labelled protected, never open. Made by `pellucid.privacy` alone."""

    def keeps(self, unit: str) -> bool:
        """Whether each row of the result belongs to one unit, and depends on nothing but that unit's rows."""
        ...

    def parameters(self) -> list[dict[str, Any]]:
        """All that defines what is done, as JSON, for the step's key."""
        ...

    def secret(self) -> bytes:
        """The key it works with; it goes to the worker as a release's key does."""
        ...

    def commitment(self) -> str:
        """What stands for that key in the step's key."""
        ...

    def perform(self, arguments: Mapping[str, Any], key: bytes) -> Any:
        """The protected rows, in a worker."""
        ...
