"""An order in which every node comes after what it needs, or the cycle that stands in its way."""

from __future__ import annotations

import heapq
from collections.abc import Mapping

from pellucid.errors import UsageError


def order(pipeline: str, needs: Mapping[str, list[str]]) -> list[str]:
    """Topological order, stable: what was listed first comes first. Raises UsageError that spells out a cycle."""
    waiting = {name: set(found) for name, found in needs.items()}
    users: dict[str, list[str]] = {name: [] for name in needs}
    for name, found in waiting.items():
        for need in found:
            users[need].append(name)
    rank = {name: at for at, name in enumerate(needs)}
    ready = [rank[name] for name, found in waiting.items() if not found]
    heapq.heapify(ready)
    listed, found_order = list(needs), []
    while ready:
        name = listed[heapq.heappop(ready)]
        found_order.append(name)
        for user in users[name]:
            waiting[user].discard(name)
            if not waiting[user]:
                heapq.heappush(ready, rank[user])
    if len(found_order) < len(needs):
        at = next(name for name in needs if waiting[name])
        path: list[str] = []
        while at not in path:
            path.append(at)
            at = min(waiting[at], key=lambda need: rank[need])
        raise UsageError(f"the steps form a cycle: {' <- '.join([*path[path.index(at) :], at])}", where=f'Pipeline("{pipeline}")')
    return found_order
