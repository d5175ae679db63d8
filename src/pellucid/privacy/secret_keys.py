"""The steward's key: made once, kept in its own folder, never in a store, a record or a package.

All private randomness derives from it. Whoever holds it can subtract the noise of every release made with it; whoever loses it
can no longer finish or repeat a release. Only a commitment to it is ever written elsewhere.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import stat
from pathlib import Path

from pellucid.errors import PrivacyError
from pellucid.pipeline.record import keys_folder

KEY_BYTES = 32
KEY_FILE = "steward.key"


def steward_key(folder: Path | None = None) -> bytes:
    """The steward's 32-byte key, created on first use.

    Created whole or not at all: 32 bytes from the system's generator go to a temporary file (0600, synced), which is then
    linked to its final name. The link fails if the name exists, so of two processes that create at once one wins and both
    read the winner's key. Raises PrivacyError for a key others can read, a wrong length, or a folder that cannot be used.
    """
    folder = keys_folder() if folder is None else folder
    path = folder / KEY_FILE
    try:
        if not path.exists():
            _create(folder, path)
        _refuse_readable_by_others(folder, "700")
        return _read(path)
    except OSError as error:
        raise PrivacyError(
            "the steward's key cannot be used",
            where=str(path),
            why=error.strerror or str(error),
            fix="Set PELLUCID_KEYS to a folder that only you can read and write",
        ) from error


def commitment(key: bytes) -> str:
    """A public value that binds to the key and does not reveal it (SHA-256 under its own domain; the key has 256 random bits)."""
    return hashlib.sha256(b"pellucid/commitment/v1\0" + _checked(key)).hexdigest()


def release_key(key: bytes, release_id: str) -> bytes:
    """The key of one release (HKDF-SHA256 of the steward's key; RFC 5869): another release id gives an unrelated key."""
    if not release_id:
        raise PrivacyError("a release needs an id that covers its data, statistic, bounds, epsilon and delta")
    return derive(key, f"release/{release_id}")


def pseudonym(key: bytes, text: str) -> str:
    """A keyed stand-in (HMAC-SHA256) for the digest of something private.

    A bare SHA-256 of private data lets anyone confirm a guess of the data; this confirms nothing without the key.
    """
    return hmac.digest(derive(key, "pseudonym"), text.encode(), "sha256").hex()


def derive(key: bytes, label: str) -> bytes:
    """32 bytes that depend on the key and the label; unrelated for different labels (HKDF-SHA256)."""
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=b"pellucid/v1/" + label.encode()).derive(_checked(key))


def _checked(key: bytes) -> bytes:
    if not isinstance(key, bytes) or len(key) != KEY_BYTES:
        raise PrivacyError(f"a key is {KEY_BYTES} bytes")
    return key


def _create(folder: Path, path: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _refuse_readable_by_others(folder, "700")
    draft = folder / f".{secrets.token_hex(8)}.draft"
    try:
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            return  # another process was first: its key is the key
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    finally:
        draft.unlink(missing_ok=True)


def _read(path: Path) -> bytes:
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise PrivacyError("the steward's key is not a regular file", where=str(path))
        _refuse_mode(status.st_mode, path, "600")
        key = file.read(KEY_BYTES + 1)
    if len(key) != KEY_BYTES:
        raise PrivacyError(
            f"the steward's key is not {KEY_BYTES} bytes long",
            where=str(path),
            fix="Restore it from a backup; a new key can neither finish nor repeat earlier releases",
        )
    return key


def _refuse_readable_by_others(path: Path, mode: str) -> None:
    _refuse_mode(path.stat().st_mode, path, mode)


def _refuse_mode(mode: int, path: Path, wanted: str) -> None:
    if mode & 0o077:
        raise PrivacyError("others can read the steward's key", where=str(path), fix=f"Close it: chmod {wanted} {path}")
