"""The keyed stream: all randomness of the private side, reproducible by the key's holder and by nobody else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pellucid.privacy.secret_keys import derive

if TYPE_CHECKING:
    from numpy.typing import NDArray


ZEROS = memoryview(bytes(1 << 18))  # what the keystream is added to: the words are the keystream itself


class Stream:
    """AES-256-CTR keystream under a key derived (HKDF-SHA256) from a 32-byte key.

    Words come in one fixed order however they are asked for in portions. `fork` gives a stream under an unrelated key, so
    forks with different labels never overlap, with each other or with their parent; a fork with the same label IS the same
    stream, so each use needs a label of its own.

    That its words can be treated as uniform and independent rests on AES-256 being a pseudorandom function: the guarantee of
    every mechanism here is computational in that sense (as with any generator that is not a physical source).
    """

    def __init__(self, key: bytes) -> None:
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

        self._key = key
        self._cipher = Cipher(algorithms.AES(derive(key, "stream/words")), modes.CTR(bytes(16))).encryptor()

    def words(self, count: int) -> NDArray[Any]:
        """The next `count` words, uniform on 64 bits (uint64)."""
        import numpy as np

        words = np.empty(count, dtype="<u8")
        view = words.data.cast("B") if count else memoryview(bytearray())
        for start in range(0, len(view), len(ZEROS)):
            part = view[start : start + len(ZEROS)]
            self._cipher.update_into(ZEROS[: len(part)], part)
        return words.astype(np.uint64, copy=False)

    def fork(self, label: str) -> Stream:
        """The stream of this label under this stream."""
        return Stream(derive(self._key, f"stream/fork/{label}"))

    def split(self) -> Stream:
        """A stream of its own for one call, under a key of the next words here: another call gets another."""
        return Stream(self.words(4).tobytes())

    def subkey(self, label: str) -> bytes:
        """A 32-byte key of this label, for a keyed function instead of a sequence (never the key of any stream)."""
        return derive(self._key, f"stream/subkey/{label}")

    def __repr__(self) -> str:
        return "Stream(...)"
