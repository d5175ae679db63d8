"""The lock of a package: names, versions and hashes, and nothing else (no addresses, no options, no paths)."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass

from pellucid.errors import PackageError

FILE = "environment/requirements.lock"
_OPTION = re.compile(
    r"(-i|-f|--(index-url|extra-index-url|find-links|only-binary|no-binary|pre|prefer-binary|trusted-host))(?![\w-])"
)
_PINNED = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)(\[[A-Za-z0-9,._ -]*\])? *== *([^\s;@]+) *(?:; *([^#@]+?))?")
_HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")
HOW = "Make one with hashes: uv pip compile --universal --generate-hashes pyproject.toml -o requirements.lock"
EXPORT = "Make one: uv export --no-emit-project -o requirements.lock"


@dataclass(frozen=True)
class Lock:
    """Pinned requirements by normalised name, each as lines of a requirements file."""

    pins: dict[str, str]

    def text(self) -> str:
        return "".join(self.pins.values())

    @functools.cached_property
    def files(self) -> dict[tuple[str, str], frozenset[str]]:
        """(Normalised name, version) -> the SHA-256 of every file that may be taken for it."""
        found: dict[tuple[str, str], frozenset[str]] = {}
        for name, pins in self.pins.items():
            for pin in re.split(r"(?m)^(?=\S)", pins):
                if match := re.match(r"[^=;]+==([^\s;]+)", pin):
                    hashes = frozenset(re.findall("--hash=sha256:([0-9a-f]{64})", pin))
                    found[name, match[1]] = found.get((name, match[1]), frozenset()) | hashes
        return found

    @property
    def unconditional(self) -> set[tuple[str, str]]:
        """(Normalised name, version) of what is needed everywhere."""
        return {
            (name, match[1]) for name, pins in self.pins.items() for match in re.finditer(r"(?m)^[^\s=;]+ ?==([^\s;]+) \\", pins)
        }


def normal(name: str) -> str:
    """A distribution's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def parse(text: str, where: str) -> Lock:
    """The lock in the text of a requirements file. Addresses of indexes and comments are left out: they tell of the publisher.

    Raises PackageError for a requirement without exact version and SHA-256, and for one that is a path, a link or another file.
    """
    pins: dict[str, str] = {}
    for line in re.sub(r"\\\r?\n", " ", text).splitlines():
        line = re.sub(r"(^|\s)#.*$", "", line).strip()
        if not line or _OPTION.match(line):
            continue
        requirement, *hashes = re.split(r"\s+(?=--)", line)
        pinned = _PINNED.fullmatch(requirement.strip())
        if not pinned:
            raise PackageError(f"{requirement!r:.80} is not name==version", where=where, fix=HOW)
        name, extras, version, marker = pinned.groups()
        if not hashes or not all(_HASH.fullmatch(one.strip()) for one in hashes):
            raise PackageError(f"{name} has no SHA-256", where=where, why="without it anything could be installed", fix=HOW)
        head = f"{name}{extras or ''}=={version}" + (f" ; {marker.strip()}" if marker else "")
        pin = " \\\n    ".join([head, *(one.strip() for one in hashes)]) + "\n"
        pins[normal(name)] = pins.get(normal(name), "") + pin
    if not pins:
        raise PackageError("it pins nothing", where=where, fix=HOW)
    return Lock(pins)


def refuse_lacking(lock: Lock, needed: Iterable[tuple[str, Iterable[str]]], where: str) -> None:
    """Each (who needs it, distributions that would do) must find one in the lock. Raises PackageError for one that does not."""
    for what, distributions in needed:
        names = [normal(name) for name in distributions]
        if names and not any(name in lock.pins for name in names):
            raise PackageError(f"the lock lacks {names[0]}", where=where, why=f"{what} needs it", fix=f"Add it. {HOW}")
