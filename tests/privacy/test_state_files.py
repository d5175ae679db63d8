"""The state file: for its owner alone, and whole without the log beside it."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

import pytest

from pellucid.errors import StoreError
from pellucid.privacy.accounting import Ledger


def test_the_state_file_and_those_beside_it_are_for_their_owner(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        ledger = Ledger(tmp_path / "home")
        ledger.open_account("a", "u", 1.0, 1e-5)
        found = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "home").iterdir()}
        ledger.close()
    finally:
        os.umask(before)
    assert {"pellucid.db"} <= found.keys()
    assert all(mode == 0o600 for mode in found.values()), found
    assert stat.S_IMODE((tmp_path / "home").stat().st_mode) == 0o700


def test_a_state_file_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "home")
    ledger.open_account("a", "u", 1.0, 1e-5)
    ledger.close()
    (tmp_path / "home/pellucid.db").chmod(0o644)
    Ledger(tmp_path / "home").accounts()
    assert stat.S_IMODE((tmp_path / "home/pellucid.db").stat().st_mode) == 0o600


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o701, 0o777])
def test_a_state_folder_that_others_can_read_is_refused_in_one_line(tmp_path: Path, mode: int) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home").chmod(mode)
    with pytest.raises(StoreError, match="others can read the state folder") as refused:
        Ledger(tmp_path / "home").accounts()
    assert "chmod 700" in str(refused.value) and "\n" not in str(refused.value)


def test_a_copy_of_the_state_file_alone_has_every_event(tmp_path: Path) -> None:
    """A backup made while the ledger is open, without the write-ahead log, as a careless one is."""
    ledger = Ledger(tmp_path / "home")
    ledger.open_account("a", "u", 5.0, 1e-5)
    for number in range(5):
        ledger.spend(["a"], f"r{number}", 0.5, 1e-7, {}, "key")
        (tmp_path / f"copy-{number}").mkdir(mode=0o700)
        shutil.copy(tmp_path / "home/pellucid.db", tmp_path / f"copy-{number}/pellucid.db")
        copy = Ledger(tmp_path / f"copy-{number}")
        assert copy.verify() == ledger.verify() == 2 + number
        assert copy.head() == ledger.head()
        copy.close()
    ledger.close()
