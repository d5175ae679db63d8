"""The steward's key: made once, kept closed, never shown."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path

import pytest

from pellucid.errors import PrivacyError
from pellucid.pipeline.record import keys_folder
from pellucid.privacy import commitment, pseudonym, release_key, steward_key
from pellucid.privacy.secret_keys import KEY_FILE


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PELLUCID_KEYS", str(tmp_path / "keys"))
    return tmp_path / "keys"


def test_a_key_is_made_once_closed_to_others_and_found_again(folder: Path) -> None:
    key = steward_key()
    assert len(key) == 32
    assert steward_key() == key
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / KEY_FILE).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in folder.iterdir()] == [KEY_FILE]


def _create(folder: str, gate: object, answers: object) -> None:
    gate.wait()  # type: ignore[attr-defined]
    answers.put(steward_key(Path(folder)))  # type: ignore[attr-defined]


def test_processes_that_create_at_once_agree_on_one_key(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    for attempt in range(5):
        gate, answers = context.Barrier(8), context.Queue()
        workers = [context.Process(target=_create, args=(str(tmp_path / f"k{attempt}"), gate, answers)) for _ in range(8)]
        for worker in workers:
            worker.start()
        keys = {answers.get(timeout=30) for _ in workers}
        for worker in workers:
            worker.join()
        assert len(keys) == 1


@pytest.mark.parametrize(("what", "mode"), [("file", 0o640), ("file", 0o604), ("folder", 0o750), ("folder", 0o705)])
def test_a_key_others_can_read_is_refused_with_the_way_out(folder: Path, what: str, mode: int) -> None:
    steward_key()
    (folder / KEY_FILE if what == "file" else folder).chmod(mode)
    with pytest.raises(PrivacyError, match=r"chmod [67]00 "):
        steward_key()


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_key_of_another_length_is_refused_and_not_replaced(folder: Path, size: int) -> None:
    steward_key()
    (folder / KEY_FILE).write_bytes(bytes(size))
    with pytest.raises(PrivacyError, match="32 bytes"):
        steward_key()
    assert (folder / KEY_FILE).stat().st_size == size


def test_a_link_to_a_key_elsewhere_is_refused(folder: Path, tmp_path: Path) -> None:
    steward_key()
    (folder / KEY_FILE).rename(tmp_path / "moved")
    (folder / KEY_FILE).symlink_to(tmp_path / "moved")
    with pytest.raises(PrivacyError):
        steward_key()


def test_the_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("PELLUCID_KEYS", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert keys_folder() == tmp_path / "pellucid" / "keys"
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert keys_folder() == tmp_path / ".config" / "pellucid" / "keys"


def test_derived_values_depend_on_key_and_text_and_never_show_the_key() -> None:
    one, two = bytes(32), os.urandom(32)
    assert commitment(one) != commitment(two)
    assert release_key(one, "a") != release_key(one, "b") != release_key(two, "b")
    assert pseudonym(one, "digest") != pseudonym(two, "digest")
    assert len({commitment(one), pseudonym(one, ""), release_key(one, "a").hex(), one.hex()}) == 4
    with pytest.raises(PrivacyError):
        release_key(one, "")
    with pytest.raises(PrivacyError):
        commitment(b"short")
