"""What the commands for packages say fits eighty columns: text is broken between words, a digest or a command stays whole."""

from __future__ import annotations

import os
import pty
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from package_shop import Shop
from repositories import TOKEN, running
from witnesses import receipt_of, verdict_of

from pellucid.cli import options
from pellucid.packages.reproducing.verdict import FirstDifference

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def place(shop: Shop, published: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a package, receipts of it, a script, and the shop's state."""
    folder = tmp_path_factory.mktemp("place")
    shutil.copytree(published, folder / "package")
    (folder / "home").symlink_to(shop.home)
    for name in ("ann", "somebody-with-a-long-name-of-2026"):
        receipt_of(published, folder, name, when=datetime.now(UTC))
    receipt_of(published, folder, "late", when=datetime(2200, 1, 1, tzinfo=UTC))
    (folder / "script").mkdir()
    (folder / "script" / "count.py").write_text(
        "print(len(open('rows-of-a-table.txt').read()), open('another-table.txt').read())"
    )
    for name in ("rows-of-a-table.txt", "another-table.txt"):
        (folder / "script" / name).write_text("x")
    return folder


def said(place: Path, *words: str, code: int = 0) -> str:
    environment = {**os.environ, "COLUMNS": "80", "TOKEN_OF_MINE": TOKEN}
    command = [sys.executable, "-m", "pellucid", *words]
    done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    return done.stdout


def refuse_long(text: str) -> None:
    """No line is longer than 80, but for one that cannot be broken or is a command."""
    for line in text.splitlines():
        assert len(line) <= 80 or " " not in line.strip() or line.startswith("  pellucid "), line


@pytest.mark.quick(1)
@pytest.mark.parametrize(
    "words",
    ["check package", "publish last again --home home", "import package counts --to somewhere/else/where/nobody/looks",
     "import package goods", "catalogue package --out site", "catalogue package --out quite-a-long-name-for-a-site/x",
     "adopt script/count.py adopted --licence MIT --data-licence CC0-1.0 --creator Doe"],
)  # fmt: skip
def test_commands_for_packages_fit_eighty_columns(place: Path, words: str) -> None:
    (place / "quite-a-long-name-for-a-site").mkdir(exist_ok=True)
    refuse_long(said(place, *words.split()))


def test_receipts_fit_eighty_columns(place: Path) -> None:
    names = ("ann.json", "somebody-with-a-long-name-of-2026.json", "late.json")
    out = said(place, "receipts", "package", *names, code=1)
    refuse_long(out)
    assert all(name in out for name in names)


def test_an_upload_fits_eighty_columns(place: Path) -> None:
    with running() as server:
        out = said(place, "upload", "zenodo", "package", "--url", server.base, "--token-env", "TOKEN_OF_MINE")
    refuse_long(out)


def test_a_verdict_is_broken_between_words(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    long = " ".join(["word"] * 60)
    verdict = verdict_of(
        published, "different", first_difference=FirstDifference("a", "b", long), reason=long, private=long, signed=f"sha256:{'0' * 64}",
    )  # fmt: skip
    text = options.wrapped(str(verdict))
    refuse_long(text)
    assert text.split() == str(verdict).split()
    assert re.search("^  signature: sha256:0{64}$|^ +sha256:0{64}$", text, re.MULTILINE)


def test_a_command_stays_whole_and_is_quoted_for_a_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert options.then("run it", "pellucid", "run", Path("a b/$x.py")) == "run it: pellucid run 'a b/$x.py'"
    assert options.then("run it", "pellucid", "run", "x" * 90) == f"run it:\n  pellucid run {'x' * 90}"


def test_an_error_is_one_line_and_broken_between_words_in_a_terminal(place: Path) -> None:
    words = [sys.executable, "-m", "pellucid", "import", "package", "nothing-of-that-name"]
    done = subprocess.run(words, cwd=place, capture_output=True, text=True, check=False)
    assert len(done.stderr.splitlines()) == 1
    assert len(done.stderr) > 120
    mine, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": "80"}
    child = subprocess.Popen(words, cwd=place, env=environment, stdout=subprocess.PIPE, stderr=theirs)
    child.communicate(timeout=60)
    os.close(theirs)
    seen = os.read(mine, 65536).decode()
    os.close(mine)
    refuse_long(seen.replace("\r", ""))
    assert seen.split() == done.stderr.split()


@pytest.mark.slow
def test_a_re_run_and_its_receipt_fit_eighty_columns(place: Path) -> None:
    refuse_long(said(place, "reproduce", "package", "--receipt", "of-mine-and-nobody-elses.json", "--sign", "ann.pem"))
