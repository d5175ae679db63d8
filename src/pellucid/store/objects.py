"""The content-addressed folder: each file under the SHA-256 of its bytes, whole or absent, and checked when it is opened.

    root/objects/ab/ab12…ef.parquet     mode 0400; never changed, only replaced by the same bytes
    root/tmp/…                          scratch folders, on the same file system so that a rename is atomic
    root/damaged/…                      what was found damaged and moved aside

Several processes may use one folder at once without a lock: a name stands for its content, so two that adopt the same file
write the same thing, and a rename replaces one whole file by another.
"""

from __future__ import annotations

import errno
import functools
import hashlib
import os
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pellucid.errors import DamagedError, StoreError
from pellucid.store import folders
from pellucid.store.atomic_write import Saved, flush, sha256_of, writing

_NAME = re.compile(r"([0-9a-f]{64})(\.[a-z0-9]+)?")
_SETTLED = 100_000_000  # ns; a file changed more recently could change again within the clock's tick and look the same


class Objects:
    """A content-addressed folder. `sha256` is in hex, `suffix` begins with a dot."""

    def __init__(self, root: Path) -> None:
        self.root = Path(root)
        self._objects = os.fspath(self.root / "objects")
        self._verified: set[tuple[str, int, int, int, int]] = set()

    def path(self, sha256: str, suffix: str) -> Path:
        """Where the file with these bytes is or would be. Raises ValueError for what is not a hash or a suffix."""
        if not _NAME.fullmatch(sha256 + suffix) or len(sha256) != 64:
            raise ValueError(f"not the name of an object: {sha256 + suffix!r}")
        return self.root / "objects" / sha256[:2] / f"{sha256}{suffix}"

    def scratch(self) -> Path:
        """A fresh folder on the same file system, for one step to write in. The caller removes it; `clean_tmp` the forgotten."""
        tmp = self.root / "tmp"
        with writing(tmp):
            try:
                return Path(tempfile.mkdtemp(dir=tmp))
            except FileNotFoundError:
                self._folder(tmp)
                return Path(tempfile.mkdtemp(dir=tmp))

    def hash_of(self, handle: int) -> str:
        """Flush an open file to the disk; the SHA-256 of its bytes, in hex."""
        with writing(self.root), os.fdopen(os.dup(handle), "rb") as file:
            flush(file.fileno())
            file.seek(0)
            return hashlib.file_digest(file, "sha256").hexdigest()

    def adopt(self, saved: Saved, *, handle: int | None = None) -> Path:
        """Take a written file in: rename it to its name, durably. The scratch copy is gone afterwards. Idempotent.

        With `handle`, the very file that is open there is taken, whatever its path names meanwhile; its other name stays.

        A whole file of that name stays as it is: a confined reader has leave to read that very file, and would lose it to another
        of the same bytes. A damaged one is replaced, which heals it.
        """
        target = self.path(saved.sha256, saved.path.suffix)
        with writing(target):
            place = self._place if handle is None else functools.partial(self._place_open, handle)
            os.chmod(saved.path if handle is None else handle, 0o400)
            try:
                place(saved, target)
            except FileNotFoundError:
                if handle is None and not saved.path.exists():
                    raise
                self._folder(target.parent)
                place(saved, target)
                _sync_folder(target.parent.parent)
            _sync_folder(target.parent)
        return target

    def _place(self, saved: Saved, target: Path) -> None:
        """Give the file its name, unless a whole one has it."""
        try:
            os.link(saved.path, target)  # unlike a rename it never takes the place of another
        except FileExistsError:
            if not _holds(target, saved.sha256):
                saved.path.replace(target)
                return
        except FileNotFoundError:
            raise
        except OSError:  # a file system without hard links
            saved.path.replace(target)
            return
        saved.path.unlink()

    def _place_open(self, handle: int, saved: Saved, target: Path) -> None:
        """The same for an open file: linked by its descriptor, so that nothing can be put in its place."""
        source = f"/proc/self/fd/{handle}"
        try:
            os.link(source, target, src_dir_fd=handle)  # by linkat(2), which follows the link in /proc
        except FileExistsError:
            if _holds(target, saved.sha256):
                return
            beside = target.with_name(f"{secrets.token_hex(16)}.new")
            os.link(source, beside, src_dir_fd=handle)
            beside.replace(target)
        except FileNotFoundError:
            raise
        except OSError:  # a file system without hard links
            _copy_open(handle, saved, target)

    def has(self, sha256: str, suffix: str) -> bool:
        """Whether a file of that name is there. Cheap: its bytes are not read."""
        return os.path.isfile(f"{self._objects}/{sha256[:2]}/{sha256}{suffix}")

    def open(self, sha256: str, suffix: str) -> Path:
        """The path of a file whose bytes have just been found to be what its name says.

        The check is remembered within the process for as long as size, times and inode stay the same. Raises DamagedError for
        other bytes, StoreError when the file is not there.
        """
        path = self.path(sha256, suffix)
        try:
            before = path.stat()
        except FileNotFoundError:
            raise _gone(path) from None
        seen = (str(path), before.st_size, before.st_mtime_ns, before.st_ctime_ns, before.st_ino)
        if seen in self._verified:
            return path
        try:
            found = sha256_of(path)
        except OSError as error:
            raise _damaged(path, f"it cannot be read: {error.strerror}") from error
        if found != sha256:
            raise _damaged(path, f"its {before.st_size} bytes have the SHA-256 {found[:12]}…, not {sha256[:12]}…")
        if time.time_ns() - max(before.st_ctime_ns, before.st_mtime_ns) > _SETTLED:
            self._verified.add(seen)
        return path

    def read(self, sha256: str, suffix: str) -> bytes:
        """The bytes of a small file, found to be what its name says. Raises as `open`."""
        place = f"{self._objects}/{sha256[:2]}/{sha256}{suffix}"
        try:
            with open(place, "rb", buffering=0) as file:
                data = file.readall()
        except FileNotFoundError:
            raise _gone(Path(place)) from None
        except OSError as error:
            raise _damaged(Path(place), f"it cannot be read: {error.strerror}") from error
        if hashlib.sha256(data).hexdigest() != sha256:
            raise _damaged(Path(place), f"its {len(data)} bytes are not those that were stored")
        return data

    def quarantine(self, sha256: str, suffix: str) -> Path:
        """Move a damaged file aside, so that it can be computed anew; return where it is now."""
        path = self.path(sha256, suffix)
        aside = self.root / "damaged" / f"{path.name}.{time.time_ns()}"
        with writing(aside):
            self._folder(aside.parent)
            with suppress(FileNotFoundError):  # another process moved it aside meanwhile
                path.replace(aside)
            _sync_folder(path.parent)
        return aside

    def remove(self, sha256: str, suffix: str) -> int:
        """Delete a file; return the bytes freed, 0 if it was not there."""
        path = self.path(sha256, suffix)
        with writing(path):
            try:
                size = path.stat().st_size
                path.unlink()
            except FileNotFoundError:
                return 0
        return size

    def __iter__(self) -> Iterator[tuple[str, str, int]]:
        """(sha256, suffix, size in bytes) of every object, sorted."""
        folders = sorted(path for path in (self.root / "objects").glob("??") if path.is_dir())
        for folder in folders:
            for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
                name = _NAME.fullmatch(entry.name)
                if name:
                    yield name[1], name[2] or "", entry.stat().st_size

    def clean_tmp(self, older_than: float = 86400.0) -> int:
        """Remove scratch folders in which nothing changed for `older_than` seconds; return how many."""
        limit = time.time() - older_than
        count = 0
        for folder in (self.root / "tmp").glob("*"):
            if _newest(folder) <= limit:
                folders.remove(folder)
                count += 1
        return count

    def _folder(self, folder: Path) -> None:
        """Make a folder below the root and those above it, for the owner alone (`parents=True` would not keep the mode)."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        for part in (*reversed([parent for parent in folder.parents if self.root in parent.parents]), folder):
            part.mkdir(mode=0o700, exist_ok=True)


def _copy_open(handle: int, saved: Saved, target: Path) -> None:
    """Copy an open file to its name. The copy is hashed: the open one could change meanwhile."""
    beside = target.with_name(f"{secrets.token_hex(16)}.new")
    with os.fdopen(os.dup(handle), "rb") as source, beside.open("xb") as file:
        source.seek(0)
        shutil.copyfileobj(source, file, 1 << 20)
        file.flush()
        flush(file.fileno())
    if not _holds(beside, saved.sha256):
        beside.unlink()
        raise OSError(errno.EIO, "the file changed while it was copied")
    beside.chmod(0o400)
    beside.replace(target)


def _holds(path: Path, sha256: str) -> bool:
    try:
        return sha256_of(path) == sha256
    except OSError:
        return False


def _newest(folder: Path) -> float:
    """The latest modification below a folder; now, if it is vanishing under our eyes."""
    try:
        return max(stat.st_mtime for stat in (folder.stat(), *(e.stat(follow_symlinks=False) for e in folders.entries(folder))))
    except OSError:
        return time.time()


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        flush(handle)
    finally:
        os.close(handle)


def _gone(path: Path) -> StoreError:
    return StoreError("is not in the store", where=str(path), fix="Run the pipeline again: it is computed anew")


def _damaged(path: Path, why: str) -> DamagedError:
    return DamagedError(
        "the stored file is damaged",
        where=str(path),
        why=why,
        fix="Run the pipeline again: it is moved aside and computed anew, unless it is a source or release that cannot be",
    )
