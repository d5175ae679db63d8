"""The folder of a site: built beside the old one, and put in its place at once."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pellucid.errors import PackageError, UsageError

FORMAT = "pellucid catalogue 1"
STATE = "harvest.json"  # what OAI-PMH is answered from, and how a site is known for one


def earlier(site: Path) -> Mapping[str, Any]:
    """What the site that is there told harvesters. Raises UsageError for a folder that is something else."""
    from pellucid.packages.format import read_json

    if not site.exists() and not site.is_symlink():
        if not site.parent.is_dir():
            raise UsageError("there is no such folder", where=str(site.parent), fix="Make it first")
        return {}
    try:
        found = read_json(site / STATE, STATE)
    except PackageError:
        found = {}
    if found.get("format") != FORMAT or site.is_symlink():
        raise UsageError("it is there already and is no catalogue", where=str(site), fix="Name a new folder with --out")
    return found


@contextmanager
def beside(site: Path) -> Iterator[Path]:
    """A folder beside the site to build in; gone when the build fails."""
    draft = Path(tempfile.mkdtemp(prefix=f".{site.name}.", suffix=".partial", dir=site.parent))
    draft.chmod(0o755)
    try:
        yield draft
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def put_in_place(draft: Path, site: Path) -> None:
    """Put the draft where the site is; the old one stays where that fails."""
    if not site.exists():
        draft.rename(site)
        return
    old = site.with_name(f".{site.name}.{os.getpid()}.old")
    site.rename(old)
    try:
        draft.rename(site)
    except OSError:
        old.rename(site)
        raise
    shutil.rmtree(old)


def state_of(site: Path) -> dict[str, Any]:
    """What a site tells harvesters. Raises UsageError for a folder that is no catalogue."""
    from pellucid.packages.format import read_json

    try:
        found = read_json(site / STATE, STATE)
    except PackageError as error:
        raise UsageError("it is no catalogue", where=str(site), why=error.what, fix="Build one: pellucid catalogue") from None
    if found.get("format") != FORMAT:
        raise UsageError("it is no catalogue of this version", where=str(site), fix="Build it again: pellucid catalogue")
    return json.loads(json.dumps(found))  # type: ignore[no-any-return]
