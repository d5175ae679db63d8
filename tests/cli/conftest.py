"""Desks to run commands at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from desk import Desk, laid


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return laid(tmp_path)


@pytest.fixture(scope="module")
def worked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Desk, dict[str, Any], dict[str, Any]]:
    """A desk on which the pipeline ran twice, the second time with another setting: for tests that only look."""
    desk = laid(tmp_path_factory.mktemp("worked"))
    return desk, desk.run(), desk.run("--set", "model.regularization=20")
