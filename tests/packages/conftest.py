"""The shop's pipeline, run once in a folder of its own, published once; each test gets a copy to spoil."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from package_shop import Shop, run_file, write_shop

from pellucid.packages.publishing import publish


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("steward") / "keys"


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory, keys: Path) -> Shop:
    folder = tmp_path_factory.mktemp("shop-of-the-publisher") / "work"
    file = write_shop(folder)
    return Shop(folder, folder / ".pellucid", run_file(file, "--set", "best.floor=0.25", keys=keys))


@pytest.fixture(scope="session")
def published(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    destination = tmp_path_factory.mktemp("published") / "package"
    publish(shop.home, shop.run, destination)
    return destination


@pytest.fixture
def package(published: Path, tmp_path: Path) -> Path:
    """A copy of the package that a test may spoil."""
    return Path(shutil.copytree(published, tmp_path / "package"))
