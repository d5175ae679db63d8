"""The service that the tests of this folder ask."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from served_shop import serving, shop

__all__ = ["serving", "shop"]


@pytest.fixture(scope="session")
def axe(tool: Callable[[str], Path]) -> str:
    """The source of axe-core, which reads a page as its rules on accessibility say."""
    (found,) = tool("axe").parents[1].rglob("axe_playwright_python/axe.min.js")
    return found.read_text()
