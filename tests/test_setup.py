"""Setting up: what the locks promise, what `make` offers, and when `scripts/setup` does what."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LAYERS = tomllib.loads((ROOT / "importlinter.toml").read_text())
LOCKS = ("src/pellucid/requirements.lock", "requirements-dev.lock")


def read_lock(name: str) -> dict[str, tuple[Requirement, list[str]]]:
    """The requirements of a lock by canonical name, each with its hashes."""
    entries = (ROOT / name).read_text().replace("\\\n", " ").splitlines()
    parsed = {}
    for entry in entries:
        text, *hashes = entry.split("--hash=")
        requirement = Requirement(text)
        assert canonicalize_name(requirement.name) not in parsed, f"{requirement.name} has two versions in {name}"
        parsed[canonicalize_name(requirement.name)] = requirement, [value.strip() for value in hashes]
    return parsed


# ---------------------------------------------------------------------------------------------------------------- locks


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_holds_no_address_and_no_option(name: str) -> None:
    text = (ROOT / name).read_text()
    assert "://" not in text
    assert "@" not in text
    assert not [line for line in text.splitlines() if line.startswith(("-", "#"))]


@pytest.mark.parametrize("name", LOCKS)
def test_every_locked_package_has_one_exact_version_and_sha256_hashes(name: str) -> None:
    for requirement, hashes in read_lock(name).values():
        assert re.fullmatch(r"==[^,*]+", str(requirement.specifier)), requirement
        assert hashes, requirement
        assert all(re.fullmatch("sha256:[0-9a-f]{64}", value) for value in hashes), requirement


def test_the_dev_lock_holds_the_runtime_lock_with_the_very_same_files() -> None:
    runtime, dev = map(read_lock, LOCKS)
    for name, (requirement, hashes) in runtime.items():
        assert (dev[name][0].specifier, dev[name][1]) == (requirement.specifier, hashes)


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("src/pellucid/requirements.lock", PROJECT["project"]["dependencies"]),
        ("requirements-dev.lock", PROJECT["dependency-groups"]["dev"] + PROJECT["project"]["optional-dependencies"]["mlflow"]),
    ],
)
def test_a_lock_answers_what_the_project_asks_for(name: str, asked: list[str], python: str) -> None:
    here = {"python_version": python, "python_full_version": f"{python}.0", "sys_platform": "linux"}
    locked = read_lock(name)
    for wanted in map(Requirement, asked):
        requirement, _ = locked[canonicalize_name(wanted.name)]
        version = str(requirement.specifier).removeprefix("==")
        assert wanted.specifier.contains(version), f"{wanted} is not met by {version}: make lock"
        assert requirement.marker is None or requirement.marker.evaluate(here)


# ----------------------------------------------------------------------------------------------------------- the habits


def test_plain_make_lists_every_habit() -> None:
    listed = subprocess.run(["make", "-C", ROOT, "--no-print-directory"], capture_output=True, text=True, check=True).stdout
    for habit in ("setup", "demo", "test", "test-all", "check", "docs", "bench", "lock", "clean"):
        assert re.search(rf"^  {habit} +\S", listed, re.MULTILINE), habit


def test_every_room_of_the_package_has_its_layer() -> None:
    layers = next(
        contract for contract in LAYERS["tool"]["importlinter"]["contracts"] if contract.get("containers") == ["pellucid"]
    )
    placed = set(re.findall(r"\w+", " ".join(layers["layers"])))
    rooms = {file.parent.name for file in (ROOT / "src/pellucid").glob("*/__init__.py")}
    assert layers["exhaustive"]
    assert rooms <= placed


# --------------------------------------------------------------------------------------------------------------- set-up

# Stands in for uv: notes what it was asked, fails if told to, and on `sync` leaves itself in the environment as the lock would.
STAND_IN = """#!/bin/sh
[ "$1" != --version ] || { echo 'uv 0.99.0'; exit; }
echo "$*" >>"$CALLS"
case "$*" in
*--require-hashes*) [ -z "${COMPLAINT:-}" ] || { echo "$COMPLAINT" >&2; exit 2; }; cp "$0" .venv/bin/uv ;;
esac
"""


class Checkout:
    """A copy of what set-up reads, in a folder with a space in its name, and a stand-in for uv on the path."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "a checkout"
        self.calls = folder / "calls"
        for name in ("pyproject.toml", "scripts/setup", "scripts/network", *LOCKS):
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, self.root / name)
        (folder / "bin").mkdir()
        (folder / "bin/uv").write_text(STAND_IN)
        (folder / "bin/uv").chmod(0o755)
        self.env = {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "HOME": str(folder), "CALLS": str(self.calls)}

    def setup(self, level: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run set-up; with PYTHON as the interpreter of these tests unless told otherwise."""
        self.calls.write_text("")
        env = {**self.env, "PYTHON": sys.executable, **env}
        return subprocess.run(["scripts/setup", level], cwd=self.root, env=env, capture_output=True, text=True, check=False)

    def installed(self) -> list[str]:
        """The locks that the last set-up installed."""
        return [call.split()[-1] for call in self.calls.read_text().splitlines() if "--require-hashes" in call]


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_a_second_set_up_does_and_says_nothing(checkout: Checkout) -> None:
    first = checkout.setup("dev")
    assert (first.returncode, checkout.installed()) == (0, ["requirements-dev.lock"]), first.stderr
    for level in ("dev", "runtime"):
        again = checkout.setup(level, PATH="/usr/bin:/bin")
        assert (again.returncode, again.stdout, again.stderr, checkout.calls.read_text()) == (0, "", "", "")


def test_the_project_is_installed_without_a_network(checkout: Checkout) -> None:
    checkout.setup("runtime")
    *_, last = checkout.calls.read_text().splitlines()
    assert last.endswith("-e .")
    assert "--offline" in last


def test_a_runtime_environment_grows_into_a_dev_one(checkout: Checkout) -> None:
    checkout.setup("runtime")
    assert checkout.installed() == ["src/pellucid/requirements.lock"]
    checkout.setup("dev")
    assert checkout.installed() == ["requirements-dev.lock"]


def test_a_changed_lock_is_installed_and_a_dev_environment_stays_one(checkout: Checkout) -> None:
    checkout.setup("dev")
    with (checkout.root / "src/pellucid/requirements.lock").open("a") as lock:
        lock.write("\n")
    checkout.setup("runtime")
    assert checkout.installed() == ["requirements-dev.lock"]


def test_a_changed_setting_of_a_tool_installs_nothing(checkout: Checkout) -> None:
    checkout.setup("dev")
    with (checkout.root / "pyproject.toml").open("a") as project:
        project.write("\n[tool.other]\nkey = 1\n")
    checkout.setup("dev")
    assert checkout.installed() == []


def test_an_interrupted_set_up_is_finished_by_the_next(checkout: Checkout) -> None:
    assert checkout.setup("dev", COMPLAINT="killed").returncode == 1
    assert checkout.setup("runtime").returncode == 0
    assert checkout.installed() == ["requirements-dev.lock"]


def test_a_moved_checkout_is_set_up_again(checkout: Checkout, tmp_path: Path) -> None:
    checkout.setup("runtime")
    checkout.root = checkout.root.rename(tmp_path / "moved")
    assert checkout.setup("runtime").returncode == 0
    assert checkout.installed() == ["src/pellucid/requirements.lock"]


def test_a_broken_interpreter_is_replaced(checkout: Checkout) -> None:
    checkout.setup("runtime")
    link = checkout.root / ".venv/bin/python"
    link.unlink()
    link.symlink_to("/nowhere/python3")
    assert checkout.setup("runtime").returncode == 0
    assert checkout.installed() == ["src/pellucid/requirements.lock"]


def test_what_the_machine_tells_pip_about_its_index_reaches_uv(checkout: Checkout, tmp_path: Path) -> None:
    (tmp_path / "bin/uv").write_text(STAND_IN.replace('"$*" >>', '"$UV_DEFAULT_INDEX $*" >>'))
    checkout.setup("runtime", PIP_INDEX_URL="mirror-of-pip")
    assert checkout.calls.read_text().startswith("mirror-of-pip pip sync")
    shutil.rmtree(checkout.root / ".venv")
    checkout.setup("runtime", PIP_INDEX_URL="mirror-of-pip", UV_DEFAULT_INDEX="mirror-of-uv")
    assert checkout.calls.read_text().startswith("mirror-of-uv pip sync")


@pytest.mark.parametrize(
    ("complaint", "told"),
    [
        ("error: failed to write: No space left on device (os error 28)", "the disk is full"),
        ("error: Failed to fetch: dns error: failed to lookup", "the package index cannot be reached"),
        ("error: Hash mismatch for `numpy==2`", "hash differs from the lock"),
        ("error: invalid peer certificate: UnknownIssuer", "SSL_CERT_FILE"),
    ],
)
def test_a_failure_is_one_clear_line(checkout: Checkout, complaint: str, told: str) -> None:
    failed = checkout.setup("runtime", COMPLAINT=complaint)
    assert failed.returncode == 1
    assert len(failed.stderr.splitlines()) == 1
    assert told in failed.stderr


def test_an_old_or_missing_interpreter_is_named(checkout: Checkout, tmp_path: Path) -> None:
    old = tmp_path / "bin/python-old"
    old.write_text("#!/bin/sh\ncase $2 in *print*) echo 3.9 ;; *) exit 1 ;; esac\n")
    old.chmod(0o755)
    assert checkout.setup("dev", PYTHON="python-old").stderr.startswith("setup: Python 3.9 is too old, 3.11 or newer is needed")
    assert "no interpreter 'python-none'" in checkout.setup("dev", PYTHON="python-none").stderr
