"""What looking into packages gave, kept for the next build: by the SHA-256 of a package's list of files, and of this pellucid.

A package whose bytes changed has another list, and one that another pellucid looked at is looked at again. Before anything is taken from
here, every file of the package was held against its list. It lies in the user's own cache, never in the site: who can write to a site
must not be able to say what was checked. Losing it costs time alone.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any


def _place(digest: str) -> Path:
    from pellucid.pipeline.keys import pellucid_digest

    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    name = hashlib.sha256(f"{digest} {pellucid_digest()}".encode()).hexdigest()
    return caches / "pellucid" / "looks" / name[:2] / f"{name}.json"


def known(digest: str) -> Mapping[str, Any] | None:
    """What an earlier look into the package with this digest gave; None where there was none, or a file that only its owner may write
    does not say."""
    with suppress(OSError, ValueError):
        handle = os.open(_place(digest), os.O_RDONLY | os.O_NOFOLLOW)
        with open(handle, "rb") as file:
            there = os.fstat(handle)
            if stat.S_ISREG(there.st_mode) and there.st_uid == os.geteuid() and not there.st_mode & 0o022:
                found = json.load(file)
                return found if isinstance(found, dict) and "otherwise" in found else None
    return None


def keep(digest: str, look: Mapping[str, Any]) -> None:
    """Keep what a look gave that refused nothing."""
    if "error" in look:
        return
    place = _place(digest)
    draft = place.with_suffix(f".{os.getpid()}")
    with suppress(OSError):
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft.write_bytes(json.dumps(look).encode())
        draft.chmod(0o600)
        draft.replace(place)
