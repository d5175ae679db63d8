"""Arrays of numbers, booleans or fixed-width text: `.npy` files, in C order and little-endian, never with pickled objects."""

from __future__ import annotations

from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from pellucid.errors import DamagedError
from pellucid.store.atomic_write import RECOMPUTE, writing
from pellucid.store.row_iteration import named_type

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]
else:

    class Array:
        """Annotation of a parameter or result that is a numpy array. The value itself is a plain `numpy.ndarray`."""


SUFFIX = ".npy"


def plain(value: Any, what: str) -> np.ndarray[Any, Any]:
    """`value` as an array that can be stored: bool, integer, float (up to 64 bits), complex or fixed unicode, C order,
    little-endian. Raises TypeError for anything else; `what` begins the message ("returned")."""
    import numpy as np

    if not isinstance(value, np.ndarray):
        raise TypeError(f"{what} {named_type(value)}, declared an array: convert it with numpy.asarray")
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{what} a masked array, declared an array: fill it first, the mask would be lost")
    if value.dtype.kind not in "biufcU" or value.dtype.str[1:] in ("f12", "f16", "c24", "c32"):  # long doubles carry stray bytes
        raise TypeError(
            f"{what} an array of dtype {value.dtype}, which cannot be stored: use bool, integer, float, complex or fixed unicode"
        )
    return np.asarray(value, dtype=value.dtype.newbyteorder("<"), order="C")


def write_npy(file: IO[bytes], array: np.ndarray[Any, Any]) -> None:
    """The bytes of `numpy.save`, in one write: numpy would copy the array, or not say why the disk refused it."""
    import numpy as np

    np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(array))
    file.write(array.reshape(-1).view(np.uint8).data)


def write(value: Any, path: Path) -> str:
    """Write one array; return its canonical digest."""

    from pellucid.store.canonical_digest import array_digest

    array = plain(value, "returned")
    with writing(path), path.open("wb") as file:
        write_npy(file, array)
    return f"array:{array_digest(array).hex()}"


def read(path: Path) -> np.ndarray[Any, Any]:
    """The array, read-only; its pages are read from the file as they are touched."""
    import numpy as np

    try:
        try:
            mapped: np.ndarray[Any, Any] = np.load(path, mmap_mode="r", allow_pickle=False).view(np.ndarray)
            return mapped
        except ValueError:
            array: np.ndarray[Any, Any] = np.load(path, allow_pickle=False)  # without elements it cannot be mapped
            array.setflags(write=False)
            return array
    except (ValueError, EOFError) as error:
        raise DamagedError("not a whole .npy file", where=str(path), why=str(error), fix=RECOMPUTE) from error


def digest(path: Path) -> str:
    """The canonical digest, from the file."""
    from pellucid.store.canonical_digest import array_digest

    return f"array:{array_digest(read(path)).hex()}"
