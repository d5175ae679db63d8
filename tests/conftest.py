"""What tests of several rooms share: the environments of peers and validators, and a browser."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pellucid.pipeline.record import private_contents

ROOT = Path(__file__).parents[1]


def pytest_addoption(parser: pytest.Parser) -> None:
    said = "which share of its full size a soak test runs (default: 0.01, as CI does; make soak: 1)"
    parser.addoption("--soak-share", type=float, default=0.01, help=said)


@pytest.fixture(scope="session", autouse=True)
def own_notes(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Runs of the tests leave no notes with whoever runs them."""
    os.environ["XDG_STATE_HOME"] = str(tmp_path_factory.mktemp("notes"))


@pytest.fixture(autouse=True)
def nothing_private_was_read() -> None:
    """What another test has read in this process is not the business of this one."""
    private_contents._read.clear()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """`@pytest.mark.quick(n)` on a table of cases: n of them, spread over the table, are quick tests; the others are slow ones."""
    tables: dict[str, list[pytest.Item]] = {}
    for item in items:
        if item.get_closest_marker("quick"):
            tables.setdefault(item.nodeid.partition("[")[0], []).append(item)
    for cases in tables.values():
        (count,) = cases[0].get_closest_marker("quick").args  # type: ignore[union-attr]
        kept = {at * len(cases) // count for at in range(count)}
        for at, item in enumerate(cases):
            if at not in kept:
                item.add_marker("slow")


@pytest.fixture
def soak(request: pytest.FixtureRequest) -> Callable[[int], int]:
    """The size at which a soak test runs: `soak(10_000)` is 10,000 under `make soak` and 100 in CI."""
    share = request.config.getoption("--soak-share")
    return lambda whole: max(1, round(whole * share))


@pytest.fixture(scope="session")
def tool() -> Callable[[str], Path]:
    """The Python of the environment of tests/tools/NAME.lock, made when first asked for: `tool("pycanon")`."""

    def python_of(name: str) -> Path:
        made = subprocess.run([ROOT / "scripts" / "tool", name], capture_output=True, text=True, check=False)
        assert made.returncode == 0, made.stderr
        return Path(made.stdout.strip())

    return python_of


def missing_from_browser() -> list[str]:
    """Which of the Debian packages that the tests in a browser need are not here."""
    return [
        package
        for program, package in (("chromium", "chromium"), ("chromedriver", "chromium-driver"))
        if not shutil.which(program)
    ]


def refuse_or_skip() -> None:
    """Say what is missing and how to get it: a skipped test here, a failed one in CI, where everything must be there."""
    missing = " ".join(missing_from_browser())
    said = f"needs a browser and its driver; missing here: {missing} (Debian: apt-get install {missing})"
    if os.environ.get("CI"):
        pytest.fail(said)
    pytest.skip(said)


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A real browser without a window (selenium's driver), its console kept; the test is skipped where there is none."""
    if missing_from_browser():
        refuse_or_skip()
    from selenium import webdriver
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service

    options = Options()
    options.binary_location = shutil.which("chromium") or ""
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(word)
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('chromium')}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    driver.set_page_load_timeout(60)
    yield driver
    driver.quit()
