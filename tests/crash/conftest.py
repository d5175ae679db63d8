"""The desks of tests/cli, for runs that are cut short or run side by side."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "cli"))

if TYPE_CHECKING:
    from desk import Desk


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    from desk import laid

    return laid(tmp_path)
