"""A step's key: everything its result may depend on, by content, as named parts.

Equal keys mean that the step need not run again. The parts are kept in the record, so that a re-run can say why.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

FORMAT = 1
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def canonical(value: Any) -> bytes:
    """JSON with one form for one value: sorted keys, no spaces, ASCII."""
    return _ENCODER.encode(value).encode()


def parts(
    *,
    inputs: Mapping[str, str],
    settings: Mapping[str, Any],
    exact: Mapping[str, str] | None = None,
    code: Mapping[str, str],
    environment: Mapping[str, str],
    determinism: Mapping[str, Any],
    shape: str,
) -> dict[str, str]:
    """The named parts of a key, each a digest or a short value.

    `inputs` maps parameters to canonical digests, `settings` are in plain form, `exact` has digests of the values
    themselves (a tuple is not a list, 1 is not 1.0), `code` is the import closure's parts, `shape` is
    what the step is declared to give and how it is fanned out.
    """
    found = {f"input {name}": digest for name, digest in inputs.items()}
    found |= {f"setting {name}": json.dumps(value) for name, value in settings.items()}
    found |= {f"value of setting {name}": digest for name, digest in (exact or {}).items()}
    found |= {
        name if name.startswith(("code", "module", "global", "file", "variable")) else f"code {name}": value
        for name, value in code.items()
    }
    found |= {f"environment {name}": value for name, value in environment.items()}
    found |= {f"determinism {name}": str(value) for name, value in determinism.items()}
    found["shape"] = shape
    return found


def key_of(named: Mapping[str, str]) -> str:
    """SHA-256 over the parts, in hex."""
    return hashlib.sha256(canonical([FORMAT, sorted(named.items())])).hexdigest()


def changed(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """The parts in which two keys differ, in words; settings with their values."""
    lines = []
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if old == new or (name.startswith("value of ") and before.get(name[9:]) != after.get(name[9:])):
            continue
        if old is None or new is None:
            lines.append(f"{name} {'is new' if old is None else 'is gone'}")
        elif name.startswith(("setting", "determinism", "environment python")):
            lines.append(f"{name} was {old}, is {new}")
        else:
            lines.append(f"{name} changed")
    return lines
