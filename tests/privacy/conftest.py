"""Real tables: the census, and logs of visits, ratings and chats."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import settings

from pellucid.data import open_table

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

DATA = Path(__file__).parents[3] / "shared" / "data"


@pytest.fixture(scope="session")
def data() -> Path:
    if not DATA.is_dir():
        pytest.skip(f"the real data are not at {DATA}")
    return DATA


@pytest.fixture(scope="session")
def adult(data: Path) -> pa.Table:
    return open_table(data / "adult" / "adult.csv", options={"delimiter": ";"}).read_all()
