"""The content-addressed folder: whole files or none, checked when opened, healed when damaged, shared by processes."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.errors import DamagedError, StoreError
from pellucid.store import Model, Objects, save


def put(objects: Objects, content: bytes) -> str:
    scratch = objects.scratch()
    saved = save(content, "file", scratch, "out")
    objects.adopt(saved)
    scratch.rmdir()
    return saved.sha256


def modes(path: Path) -> str:
    return oct(path.stat().st_mode & 0o777)


def test_a_file_lies_under_the_hash_of_its_bytes(tmp_path):
    objects = Objects(tmp_path / "store")
    scratch = objects.scratch()
    saved = save(pa.table({"a": [1]}), "table", scratch, "t")
    path = objects.adopt(saved)
    assert path == tmp_path / "store" / "objects" / saved.sha256[:2] / f"{saved.sha256}.parquet"
    assert hashlib.sha256(path.read_bytes()).hexdigest() == saved.sha256
    assert objects.open(saved.sha256, ".parquet") == path
    assert objects.has(saved.sha256, ".parquet")
    assert not objects.has(saved.sha256, ".npy")
    assert list(objects) == [(saved.sha256, ".parquet", saved.size)]
    assert list(scratch.iterdir()) == []


def test_only_the_owner_can_look_in(tmp_path):
    previous = os.umask(0)
    try:
        objects = Objects(tmp_path / "store")
        path = objects.path(put(objects, b"x"), ".bin")
        objects.quarantine(path.stem, ".bin")
        path = objects.path(put(objects, b"x"), ".bin")
    finally:
        os.umask(previous)
    folders = [tmp_path / "store", *(entry for entry in (tmp_path / "store").rglob("*") if entry.is_dir())]
    assert {modes(folder) for folder in folders} == {"0o700"}
    assert modes(path) == "0o400"


def test_adopting_twice_is_adopting_once(tmp_path):
    objects = Objects(tmp_path)
    sha256 = put(objects, b"same")
    inode = objects.path(sha256, ".bin").stat().st_ino
    assert put(objects, b"same") == sha256
    assert len(list(objects)) == 1
    assert objects.path(sha256, ".bin").stat().st_ino == inode  # a confined reader has leave to read this very file


@given(st.binary(min_size=1, max_size=200), st.data())
def test_any_flipped_bit_and_any_lost_tail_is_found_and_named(tmp_path_factory, content, data):
    objects = Objects(tmp_path_factory.mktemp("store"))
    sha256 = put(objects, content)
    path = objects.open(sha256, ".bin")
    path.chmod(0o600)
    if data.draw(st.booleans()):
        at, bit = data.draw(st.integers(0, len(content) - 1)), data.draw(st.integers(0, 7))
        path.write_bytes(content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :])
    else:
        path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    with pytest.raises(DamagedError) as caught:
        objects.open(sha256, ".bin")
    assert str(path) in str(caught.value)
    assert "Run the pipeline again" in str(caught.value)


def test_other_bytes_with_the_old_size_and_time_are_found_after_a_check_was_remembered(tmp_path):
    objects = Objects(tmp_path)
    sha256 = put(objects, b"right")
    path = objects.path(sha256, ".bin")
    time.sleep(0.15)  # older than the tick of the file system's clock, so that the check is remembered
    before = objects.open(sha256, ".bin").stat()
    assert objects._verified
    path.chmod(0o600)
    path.write_bytes(b"wrong")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(DamagedError):
        objects.open(sha256, ".bin")


def test_a_file_that_just_changed_is_not_trusted_by_its_times(tmp_path):
    objects = Objects(tmp_path)
    for i in range(20):
        sha256 = put(objects, b"right%d" % i)
        path = objects.open(sha256, ".bin")
        assert not objects._verified  # where the clock is coarse, times could not tell the next write from the first
        path.chmod(0o600)
        path.write_bytes(b"wrong%d" % i)
        with pytest.raises(DamagedError):
            objects.open(sha256, ".bin")


def test_a_checked_file_is_not_read_again(tmp_path, monkeypatch):
    objects = Objects(tmp_path)
    sha256 = put(objects, b"x")
    time.sleep(0.15)
    objects.open(sha256, ".bin")
    monkeypatch.setattr("pellucid.store.objects.sha256_of", lambda path: pytest.fail("read again"))
    objects.open(sha256, ".bin")


def test_a_damaged_file_is_moved_aside_and_can_be_computed_anew(tmp_path):
    objects = Objects(tmp_path)
    sha256 = put(objects, b"right")
    objects.path(sha256, ".bin").chmod(0o600)
    objects.path(sha256, ".bin").write_bytes(b"wrong")
    aside = objects.quarantine(sha256, ".bin")
    assert aside.read_bytes() == b"wrong"
    assert not objects.has(sha256, ".bin")
    with pytest.raises(StoreError, match="not in the store"):
        objects.open(sha256, ".bin")
    assert put(objects, b"right") == sha256
    assert objects.open(sha256, ".bin").read_bytes() == b"right"


def test_adopting_over_a_damaged_file_heals_it(tmp_path):
    objects = Objects(tmp_path)
    sha256 = put(objects, b"right")
    objects.path(sha256, ".bin").chmod(0o600)
    objects.path(sha256, ".bin").write_bytes(b"wr")
    put(objects, b"right")
    assert objects.open(sha256, ".bin").read_bytes() == b"right"


def test_a_name_that_is_not_a_hash_never_becomes_a_path(tmp_path):
    objects = Objects(tmp_path)
    for sha256, suffix in (
        ("../../etc/passwd", ".bin"),
        ("a" * 63, ".bin"),
        ("a" * 64, "/../x"),
        ("A" * 64, ".bin"),
        ("a" * 64, "x"),
    ):
        with pytest.raises(ValueError, match="not the name of an object"):
            objects.path(sha256, suffix)


def test_removing_says_what_was_freed(tmp_path):
    objects = Objects(tmp_path)
    sha256 = put(objects, b"12345")
    assert objects.remove(sha256, ".bin") == 5
    assert objects.remove(sha256, ".bin") == 0
    assert list(objects) == []


def test_strangers_in_the_folder_are_not_objects(tmp_path):
    objects = Objects(tmp_path)
    assert list(objects) == []
    put(objects, b"x")
    (tmp_path / "objects" / "README").write_text("hello")
    (next((tmp_path / "objects").glob("??")) / "note.txt").write_text("hello")
    assert len(list(objects)) == 1


def test_only_forgotten_scratch_folders_are_cleaned(tmp_path):
    objects = Objects(tmp_path)
    old, new, busy = objects.scratch(), objects.scratch(), objects.scratch()
    (old / "x").write_bytes(b"x")
    (busy / "x").write_bytes(b"x")
    hour_ago = time.time() - 3600
    for path in (old / "x", old, busy):
        os.utime(path, (hour_ago, hour_ago))
    assert objects.clean_tmp(older_than=1800) == 1
    assert not old.exists()
    assert new.exists()
    assert busy.exists()


def _adopt_many(root: Path, seed: int) -> list[str]:
    objects = Objects(root)
    return [put(objects, b"content %d" % ((i * seed) % 50)) for i in range(100)]


@pytest.mark.slow
def test_four_processes_fill_one_store_at_once(tmp_path):
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
        hashes = [pool.submit(_adopt_many, tmp_path, seed) for seed in (1, 3, 7, 9)]
        named = {sha256 for future in hashes for sha256 in future.result()}
    objects = Objects(tmp_path)
    assert {sha256 for sha256, _, _ in objects} == named
    assert len(named) == 50
    for sha256 in named:
        objects.open(sha256, ".bin")
    assert list((tmp_path / "tmp").iterdir()) == []


@contextmanager
def mounted(kind: str, folder: Path, *options: str):
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(["mount", *options, kind, str(folder)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"cannot mount here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


BIG = {
    "table": lambda: pa.table({"x": np.random.default_rng(1).random(1 << 19)}),
    "array": lambda: np.zeros(1 << 19),
    "model": lambda: Model("m", {"a": np.zeros(1 << 19)}),
    "metrics": lambda: {f"metric {i}": i / 7 for i in range(1 << 16)},
    "file": lambda: os.urandom(1 << 22),
}


@pytest.mark.parametrize("kind", BIG)
def test_a_full_disk_is_one_clear_line_and_leaves_nothing_half_written(kind, tmp_path):
    with mounted("tmpfs", tmp_path / "small", "-t", "tmpfs", "-o", "size=1m") as root:
        objects = Objects(root / "store")
        kept = put(objects, b"before")
        scratch = objects.scratch()
        with pytest.raises(StoreError) as caught:
            save(BIG[kind](), kind, scratch, "big")
        assert "No space left on device" in str(caught.value)
        assert "\n" not in str(caught.value)
        assert list(scratch.iterdir()) == []
        assert [sha256 for sha256, _, _ in objects] == [kept]
        assert objects.open(kept, ".bin").read_bytes() == b"before"


def test_a_limit_on_file_size_is_one_clear_line_too(tmp_path):
    script = f"""
import os, resource
from pathlib import Path
from pellucid.errors import StoreError
from pellucid.store import Objects, save
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
objects = Objects(Path({str(tmp_path)!r}))
scratch = objects.scratch()
try:
    save(os.urandom(1 << 20), "file", scratch, "x")
except StoreError as error:
    print(error.why, list(scratch.iterdir()), list(objects))
"""
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert shown == "File too large [] []\n"


def test_a_read_only_store_can_be_read_and_says_so_when_written(tmp_path):
    root = tmp_path / "store"
    sha256 = put(Objects(root), b"x")
    with mounted(str(root), tmp_path / "view", "--bind") as view:
        done = subprocess.run(["mount", "-o", "remount,ro,bind", str(view)], capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"cannot remount read-only here: {done.stderr.strip()}")
        objects = Objects(view)
        assert objects.open(sha256, ".bin").read_bytes() == b"x"
        for work in (objects.scratch, lambda: objects.remove(sha256, ".bin"), lambda: objects.quarantine(sha256, ".bin")):
            with pytest.raises(StoreError, match="Read-only file system"):
                work()
    assert Objects(root).has(sha256, ".bin")


def test_a_store_below_a_file_is_one_clear_line(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(StoreError, match="Not a directory"):
        Objects(tmp_path / "file" / "store").scratch()
