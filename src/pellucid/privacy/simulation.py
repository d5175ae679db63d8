"""What a release would look like: the same computation, under a throwaway key, spending nothing.

The result is as private as the data, and stays so: it is for the steward who chooses a setting, who must know that choosing by
quality on private data is itself a use of the data that no guarantee here covers. Averaging many simulated draws gives the data
back; that is why none of them may leave.
"""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path
from typing import Any

from pellucid.privacy.release_step import Mechanism
from pellucid.store import Table, Unit


def simulate(mechanism: Mechanism, table: Table, *, unit: str | Unit, epsilon: float, delta: float, draw: int) -> Any:
    """One simulated release of a private table; another `draw` gives other noise. Private: keep it within a private step.

    The key is public (a hash of `draw`), so it must never be, and cannot be, the key of a release: those are derived from the
    steward's key.
    """
    key = hashlib.sha256(f"pellucid simulation, not a release: {draw}".encode()).digest()
    with tempfile.TemporaryDirectory() as scratch:
        return mechanism.run(table.path, unit, epsilon, delta, key, Path(scratch))
