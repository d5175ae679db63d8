"""Models of scikit-learn and LightGBM, kept in an open form: `keep` in the step that trains one, `restore` in the one that uses it.

What scikit-learn fitted is described by skops (a tree of types and values as JSON, its arrays beside it) instead of being pickled: loading
builds objects of known types and runs no code of the file. skops numbers objects by where they lay in memory; here they are numbered in the
order they come, so that the same fit gives the same bytes and the same digest in every process. A LightGBM model is its own text format.

Both need their library in the environment of whoever uses them: scikit-learn and skops are the extra `sklearn`, LightGBM is there.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pellucid.errors import DataError, UsageError
from pellucid.store import Model

if TYPE_CHECKING:
    from numpy.typing import NDArray

KINDS = ("sklearn", "lightgbm")
TRUSTED = ("sklearn.", "scipy.", "numpy.")  # packages whose types may be built
_SCHEMA = "schema"


def keep(estimator: Any, features: list[str] | None = None) -> Model:
    """A fitted estimator or pipeline of scikit-learn, or a LightGBM Booster or estimator, as a model of kind "sklearn" or "lightgbm".

    `features` names its inputs in order; by default what it was fitted with says (a table with names), else none. Raises UsageError for
    what is neither, or has parts of types that are not scikit-learn's, scipy's or numpy's (such as a function of your own).
    """
    root = type(estimator).__module__.partition(".")[0]
    if root == "lightgbm":
        booster = getattr(estimator, "booster_", estimator)
        text = booster.model_to_string(num_iteration=-1)
        about = {"features": list(features or booster.feature_name()), "classes": _classes(estimator)}
        return Model(
            "lightgbm", {"text": _bytes(text.encode())}, {name: value for name, value in about.items() if value is not None}
        )
    if root != "sklearn":
        raise UsageError(
            f"a {type(estimator).__module__}.{type(estimator).__qualname__} cannot be kept",
            fix="Give a model of scikit-learn or LightGBM",
        )
    return _described(estimator, features)


def restore(model: Model) -> Any:
    """The estimator that `keep` was given: scikit-learn's, or a LightGBM Booster.

    Raises UsageError for a model of another kind, DataError for one that holds types which are not to be built.
    """
    if model.kind == "lightgbm":
        import lightgbm

        return lightgbm.Booster(model_str=model.arrays["text"].tobytes().decode())
    if model.kind != "sklearn":
        raise UsageError(f"a model of kind {model.kind:.40} is no estimator", fix=f"These are: {', '.join(KINDS)}")
    skops = _skops()
    try:
        held = _zipped(model)
        named = skops.get_untrusted_types(data=held)
        unknown = [name for name in named if not (name.startswith(TRUSTED) and _is_type(name))]
        if not unknown:
            return skops.loads(held, trusted=named)
    except Exception as error:  # noqa: BLE001 - the file is a stranger's: whatever it is
        raise DataError(
            "the model cannot be built", why=f"{type(error).__name__}: {error}"[:300], fix="Train it with this version"
        ) from None
    raise DataError(f"the model holds types that are not to be built: {', '.join(unknown)[:200]}", fix="Do not use it")


def predict(model: Model, rows: Any, *, estimator: Any = None) -> NDArray[Any]:
    """What a kept model predicts for rows (in the order of its `features`): classes of a classifier, numbers of anything else.

    `estimator` is what `restore` gave, where it is at hand.
    """
    import numpy as np

    found = restore(model) if estimator is None else estimator
    features = model.settings.get("features")
    if features is not None and any(len(row) != len(features) for row in (rows if isinstance(rows, list) else ())):
        raise ValueError(f"a row has {len(features)} values: {', '.join(features)}"[:500])
    if model.kind == "sklearn":
        return np.asarray(found.predict(_named(rows, features, found)))
    raw = np.asarray(found.predict(np.asarray(rows, dtype=float), num_threads=1))
    classes = model.settings.get("classes")
    if classes is None:
        return raw
    chosen: NDArray[Any] = np.asarray(classes)[raw.argmax(axis=1) if raw.ndim == 2 else (raw > 0.5).astype(int)]
    return chosen


def _named(rows: Any, features: list[str] | None, estimator: Any) -> Any:
    """Rows as a table with names where the estimator was fitted with names and they have none."""
    if features is None or not hasattr(estimator, "feature_names_in_") or hasattr(rows, "columns"):
        return rows
    import numpy as np
    import polars

    held = rows.tolist() if isinstance(rows, np.ndarray) else [list(row) for row in rows]
    return polars.DataFrame(held, schema=features, orient="row", strict=False)


def _described(estimator: Any, features: list[str] | None) -> Model:
    skops = _skops()
    held = skops.dumps(estimator)
    unknown = sorted(name for name in skops.get_untrusted_types(data=held) if not name.startswith(TRUSTED))
    if unknown:
        raise UsageError(
            f"the model has parts that are not scikit-learn's: {', '.join(unknown)[:200]}",
            why="to load them would run code of the file", fix="Do that part in a step of its own, before the model",
        )  # fmt: skip
    with zipfile.ZipFile(io.BytesIO(held)) as archive:
        schema = json.loads(archive.read("schema.json"))
        files = {name: archive.read(name) for name in archive.namelist() if name != "schema.json"}
    numbered = _Numbered()
    schema = numbered.node(schema)
    arrays = {_SCHEMA: _bytes(json.dumps(schema, separators=(",", ":")).encode())}
    for old, new in numbered.files.items():
        arrays[new.replace(".", "_")] = _bytes(files[old])
    import sklearn

    named = features if features is not None else getattr(estimator, "feature_names_in_", None)
    about = {"features": [str(one) for one in named] if named is not None else None, "classes": _classes(estimator)}
    told = {name: value for name, value in about.items() if value is not None}
    return Model("sklearn", arrays, {"type": type(estimator).__name__, "sklearn": sklearn.__version__, **told})


class _Numbered:
    """A schema with objects and files numbered in the order they come, instead of by their places in memory."""

    def __init__(self) -> None:
        self.objects: dict[int, int] = {}
        self.files: dict[str, str] = {}
        self._next = 0

    def node(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self.node(one) for one in value]
        if not isinstance(value, Mapping):
            return value
        found: dict[str, Any] = {}
        for name, one in value.items():
            if name == "__id__":
                # whether two equal numbers or words are one object depends on the process: each gets a number of its own
                found[name] = self._fresh() if value.get("is_json") else self.objects.setdefault(one, self._fresh())
            elif name == "file":
                found[name] = self.files.setdefault(one, f"part_{len(self.files)}.{one.rpartition('.')[2]}")
            else:
                found[name] = self.node(one)
        return found

    def _fresh(self) -> int:
        self._next += 1
        return self._next


def _zipped(model: Model) -> bytes:
    """The file that skops reads."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("schema.json", model.arrays[_SCHEMA].tobytes())
        for name, part in model.arrays.items():
            if name != _SCHEMA:
                stem, _, suffix = name.rpartition("_")
                archive.writestr(f"{stem}.{suffix}", part.tobytes())
    return held.getvalue()


def _is_type(name: str) -> bool:
    """Whether a name is that of a class: a function is not to be handed out for a type."""
    from importlib import import_module

    module, _, last = name.rpartition(".")
    try:
        return isinstance(getattr(import_module(module), last, None), type)
    except ImportError:
        return False


def _classes(estimator: Any) -> list[Any] | None:
    found = getattr(estimator, "classes_", None)
    return (
        None
        if found is None or getattr(found, "ndim", 1) != 1
        else [one.item() if hasattr(one, "item") else one for one in found]
    )


def _bytes(data: bytes) -> NDArray[Any]:
    import numpy as np

    return np.frombuffer(data, dtype=np.uint8)


def _skops() -> Any:
    try:
        import skops.io
    except ImportError:
        raise UsageError("skops is not installed here", fix="Install it: pip install skops") from None
    return skops.io
