"""The accounts of a graph: whose privacy each keeps, by which budget, and which data it is about."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pellucid.errors import UsageError
from pellucid.pipeline.declaration.graph_node import Bound
from pellucid.pipeline.declaration.nodes import Source
from pellucid.pipeline.declaration.release_protocol import Budget
from pellucid.pipeline.record import Artifact


def budgets(steps: Mapping[str, Bound]) -> dict[str, tuple[str, Budget]]:
    """Unit and budget of each account. Raises UsageError where two sources declare one account otherwise."""
    found: dict[str, tuple[str, Budget]] = {}
    for account, bound, source in _of(steps):
        declared = (str(bound.label.unit or ""), source.budget)
        if found.setdefault(account, declared) != declared:
            raise UsageError(
                f'account "{account}" is declared twice, with different budgets or units',
                where=f'source "{bound.name}"',
                fix="Declare the same for all its sources, or give each source an account of its own",
            )
    return found


def data_of(
    steps: Mapping[str, Bound], artifacts: Mapping[str, Artifact], files: Mapping[str, str] | None = None
) -> dict[str, tuple[str, ...]]:
    """The digests (private) of the sources that each account is about: of their artifacts, and of their `files` by the source's name, as
    far as they are known."""
    found: dict[str, tuple[str, ...]] = {}
    for account, bound, _ in _of(steps):
        digests = tuple(artifacts[name].digest for name, *_ in bound.outputs if name in artifacts)
        digests += (f"file:{files[bound.name]}",) if files and bound.name in files else ()
        found[account] = found.get(account, ()) + digests
    return found


def _of(steps: Mapping[str, Bound]) -> Iterator[tuple[str, Bound, Source]]:
    for bound in steps.values():
        if isinstance(bound.node, Source):
            for account in sorted(bound.label.accounts):
                yield account, bound, bound.node
