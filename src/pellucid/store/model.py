"""Models: named arrays and settings in one `.npz` file that numpy alone can open.

    with numpy.load(path, allow_pickle=False) as file:      # no pellucid, no pickle
        about = json.loads(file["__model__"].tobytes())      # {"kind": ..., "settings": {...}}
        weights = file["weights"]

The archive is deterministic: arrays sorted by name, stored without compression, all dated 1 January 1980.
"""

from __future__ import annotations

import json
import re
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid import html_display
from pellucid.errors import DamagedError
from pellucid.store import array as arrays
from pellucid.store.atomic_write import RECOMPUTE, writing
from pellucid.store.row_iteration import named_type

if TYPE_CHECKING:
    import numpy as np

SUFFIX = ".npz"
_ABOUT = "__model__"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


@dataclass(frozen=True, eq=False, repr=False)
class Model:
    """A fitted model: its `kind` (who can use it, e.g. "ease"), its `arrays` by name, and its `settings` (JSON scalars or lists).

    Array names are made of letters, digits, `_`, `.` and `-`. Two models are the same when their digests are.
    """

    kind: str
    arrays: Mapping[str, np.ndarray[Any, Any]]
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        arrays = ", ".join(f"{name} {value.dtype}{list(value.shape)}" for name, value in self.arrays.items())
        settings = ", ".join(f"{name} {value!r:.40}" for name, value in self.settings.items())
        return f"Model {self.kind}: arrays {arrays or 'none'}; settings {settings or 'none'}"

    def _repr_html_(self) -> str:
        rows = [[name, f"{value.dtype}", f"{list(value.shape)}"] for name, value in self.arrays.items()]
        rows += [[name, "setting", value] for name, value in self.settings.items()]
        return html_display.table(f"Model {self.kind}", ["name", "type", "shape or value"], rows)

    def __getitem__(self, name: str) -> Any:
        """An array or a setting by name."""
        return self.arrays[name] if name in self.arrays else self.settings[name]


def write(value: Any, path: Path) -> str:
    """Write one model; return its canonical digest. A plain dictionary of arrays and settings is a model of kind "arrays"."""
    import numpy as np

    if isinstance(value, Mapping):
        held = {name: part for name, part in value.items() if isinstance(part, np.ndarray)}
        value = Model("arrays", held, {name: part for name, part in value.items() if name not in held})
    if not isinstance(value, Model):
        raise TypeError(
            f"returned {named_type(value)}, declared a model: return pl.Model(kind, arrays, settings) or a dictionary of arrays"
        )
    if not isinstance(value.kind, str):
        raise TypeError(f"returned a model whose kind is {named_type(value.kind)}: it must be a string")
    about = _about(value)
    ready = {name: _checked(name, array) for name, array in sorted(value.arrays.items())}
    entries = {_ABOUT: np.frombuffer(about, np.uint8), **ready}
    with writing(path), zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, array in sorted(entries.items()):
            entry = zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0))
            entry.create_system, entry.external_attr = 3, 0o600 << 16
            with archive.open(entry, "w", force_zip64=True) as file:
                arrays.write_npy(file, array)
    return _digest(about, ready)


def _checked(name: Any, array: Any) -> np.ndarray[Any, Any]:
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name == _ABOUT or name.endswith(".npy"):
        raise TypeError(f"returned a model with an array named {name!r}: use letters, digits, '_', '.' and '-', a letter first")
    return arrays.plain(array, f"returned a model in which {name!r} is")


def _about(model: Model) -> bytes:
    settings = {name: _setting(name, setting) for name, setting in model.settings.items()}
    return json.dumps({"kind": model.kind, "settings": settings}, sort_keys=True, ensure_ascii=False, allow_nan=False).encode()


def _setting(name: Any, setting: Any) -> Any:
    if not isinstance(name, str):
        raise TypeError(f"returned a model with a setting named {name!r}: names must be strings")
    if isinstance(setting, list | tuple):
        return [_setting(name, item) for item in setting]
    if type(setting).__module__ == "numpy" and getattr(setting, "ndim", None) == 0:
        setting = setting.item()
    if isinstance(setting, float) and not (setting - setting == 0):
        raise TypeError(f"returned a model whose setting {name!r} is {setting}: settings must be finite")
    if setting is None or isinstance(setting, str | int | float):
        return setting
    raise TypeError(
        f"returned a model whose setting {name!r} is {named_type(setting)}: use strings, numbers, booleans, None or lists"
    )


def _digest(about: bytes, ready: Mapping[str, np.ndarray[Any, Any]]) -> str:
    from pellucid.store.canonical_digest import FORMAT, array_digest, framed

    parts = [part for name in sorted(ready) for part in (name.encode(), array_digest(ready[name]))]
    return f"model:{framed(FORMAT.encode(), b'model', about, struct.pack('<q', len(ready)), *parts).hex()}"


def read(path: Path) -> Model:
    """The model in a file, its arrays in memory and read-only."""
    import numpy as np

    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            found = {name: file[name] for name in file.files}
        about = json.loads(found.pop(_ABOUT).tobytes())
        model = Model(about["kind"], found, about["settings"])
    except (ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zipfile.LargeZipFile) as error:
        raise DamagedError("not a model file", where=str(path), why=str(error), fix=RECOMPUTE) from error
    for array in found.values():
        array.setflags(write=False)
    return model


def model_kind(path: Path) -> str:
    """The kind of the model in a file; its arrays are not read. Raises DamagedError."""
    import numpy as np

    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            return str(json.loads(file[_ABOUT].tobytes())["kind"])
    except (ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zipfile.LargeZipFile) as error:
        raise DamagedError("not a model file", where=str(path), why=str(error), fix=RECOMPUTE) from error


def digest(path: Path) -> str:
    """The canonical digest, from the file."""
    model = read(path)
    return _digest(_about(model), model.arrays)
