"""Names that may stand in a package: of pipelines, steps, artifacts and files. A stranger chose them, and people read them.

A name of a step or an artifact is one that a pipeline takes itself. A path must be the same file wherever a package is unpacked: on
systems that do not tell cases or ways of writing an accent apart, and on Windows.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable
from datetime import date

LONGEST = 200
DEEPEST = 100  # folders in one another
_PLAIN = re.compile(r"[A-Za-z0-9._=-]+")
_DEVICE = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])", re.IGNORECASE)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_RUN = re.compile(r"[A-Za-z0-9._-]+")


def is_step(name: str) -> bool:
    """Whether a pipeline takes this name for a step, and so for an artifact."""
    return len(name) <= LONGEST and name.isprintable() and name.replace("-", "_").isidentifier()


def is_pipeline(name: str) -> bool:
    """Whether a pipeline can have this name."""
    return 0 < len(name) <= LONGEST and name.isprintable() and all(letter.isalnum() or letter in "-_" for letter in name)


def is_run(name: str) -> bool:
    """Whether a run can have this name."""
    return len(name) <= LONGEST and _RUN.fullmatch(name) is not None


def is_text(text: object, most: int = LONGEST) -> bool:
    """Whether it is text on one line, without control characters, not endless."""
    return isinstance(text, str) and len(text) <= most and text.isprintable()


def is_date(text: str) -> bool:
    """Whether it is a day: YYYY-MM-DD."""
    try:
        return _DATE.fullmatch(text) is not None and date.fromisoformat(text) is not None
    except ValueError:
        return False


def is_artifact_path(path: str) -> bool:
    """Whether it is a path in artifacts/, of plain letters, digits and ._=- alone."""
    parts = path.split("/")
    return parts[0] == "artifacts" and len(parts) > 1 and all(map(_PLAIN.fullmatch, parts)) and not unfit(path)


def as_file(name: str) -> str:
    """An artifact's name as that of a file on any system: itself where that is plain and can be one, else one that no other name has."""
    if _PLAIN.fullmatch(name) and not unfit(name):
        return name
    return f"_{re.sub(r'[^A-Za-z0-9._=-]+', '_', name)[:60]}-{hashlib.sha256(name.encode()).hexdigest()[:12]}"


def unfit(path: str) -> str:
    """Why a path cannot be one in a package, "" where it can."""
    if not path.isprintable() or "\\" in path or unicodedata.normalize("NFC", path) != path:
        return "it holds a backslash, a control character, or an accent apart from its letter"
    if len(path) > 1000 or path.count("/") > DEEPEST:
        return "it is too long"
    for part in path.split("/"):
        if part in ("", ".", ".."):
            return "it leads out of the package"
        if part.startswith("-"):
            return "a name with a dash in front is taken for an option"
        if part.endswith((".", " ")) or _DEVICE.fullmatch(part.partition(".")[0].rstrip()) or set('<>:"|?*') & set(part):
            return "it cannot be the name of a file on Windows"
    return ""


def twins(paths: Iterable[str]) -> tuple[str, str] | None:
    """Two paths, or folders of them, that are one on some systems: they differ in case, or in how an accent is written."""
    spelled: dict[str, str] = {}
    for path in paths:
        parts = path.split("/")
        for at in range(1, len(parts) + 1):
            place = "/".join(parts[:at])
            known = spelled.setdefault(unicodedata.normalize("NFC", unicodedata.normalize("NFKC", place).casefold()), place)
            if known != place:
                return known, place
    return None
