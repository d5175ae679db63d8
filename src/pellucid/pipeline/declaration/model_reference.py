"""What a pipeline's file says instead of a path where it takes in a model that is in the store already.

The registry is a room above: here stands only what the runner asks of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pellucid.pipeline.record import Artifact


@dataclass(frozen=True)
class StoredModel:
    """A model of the registry: its name, its version (from 1), and where its bytes are. It is open."""

    name: str
    version: int
    artifact: Artifact


class ModelReference(Protocol):
    """Names a model; which one it is, is looked up once for each run, when the run is planned.

    Only Pellucid's own class may play it (`own_code`): the runner takes its word that the model is open.
    """

    @property
    def wanted(self) -> str:
        """What the pipeline's file says."""
        ...

    def look_up(self, home: Path, where: str) -> StoredModel:
        """The model that it means now, its file there. Raises UsageError, LabelError for what is not open, StoreError."""
        ...
