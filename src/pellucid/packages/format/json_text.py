"""JSON as it is written into packages: the same bytes each time."""

from __future__ import annotations

import json
from typing import Any


def as_json(value: Any) -> bytes:
    """JSON as it is written into packages: indented, in the order given."""
    return (json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()
