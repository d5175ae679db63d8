"""What a catalogue tells of one thing: a package, a data set or a model. Plain, bounded text; every standard is written from it."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pellucid.pipeline.declaration import Creator

if TYPE_CHECKING:
    from pellucid.packages.receipts import ReceiptCounts

PACKAGE, DATASET, MODEL = "package", "dataset", "model"
FOLDERS = {PACKAGE: "package", DATASET: "data", MODEL: "model"}
WORDS = {PACKAGE: "package", DATASET: "data set", MODEL: "model"}


@dataclass(frozen=True)
class File:
    """A file that the site offers: where it lies in it, its name in the package, bytes, SHA-256 and media type."""

    path: str
    name: str
    size: int
    sha256: str
    media: str


@dataclass(frozen=True)
class Release:
    """A differentially private release: its step, epsilon and delta for each unit, the relation, and sentences for people."""

    step: str
    epsilon: float
    delta: float
    unit: str
    relation: str
    words: tuple[str, ...]


@dataclass(frozen=True)
class Record:
    """One page of the catalogue.

    `id` names it in the site and nowhere else; `urn` depends on its content alone. `package` is the id of the package it belongs to
    (its own, for a package), `digest` the SHA-256 of that package's list of files. `columns` are (name, type) as its publisher
    describes them; `lineage` says in sentences where it comes from; `releases` are those it rests on. `date` is the day of the run.
    """

    id: str
    kind: str
    urn: str
    title: str
    description: str
    creators: tuple[Creator, ...]
    keywords: tuple[str, ...]
    date: str
    version: str
    licences: tuple[str, ...]
    package: str
    digest: str
    files: tuple[File, ...]
    lineage: tuple[str, ...] = ()
    releases: tuple[Release, ...] = ()
    columns: tuple[tuple[str, str], ...] = ()

    @property
    def path(self) -> str:
        """Where its page lies in the site."""
        return f"{FOLDERS[self.kind]}/{self.id}.html"

    @property
    def package_path(self) -> str:
        """Where its package's page lies."""
        return f"{FOLDERS[PACKAGE]}/{self.package}.html"

    @property
    def citation(self) -> str:
        """How to cite it, on one line."""
        return f"{'; '.join(person.name for person in self.creators)} ({self.date[:4]}). {self.title}. Version {self.version}."

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        known = {**vars(self), "creators": [[person.name, person.url] for person in self.creators]}
        return known | {"files": [vars(file) for file in self.files], "releases": [vars(release) for release in self.releases]}

    @property
    def state(self) -> str:
        """A digest of all that is told: it changes when the record does."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Preview:
    """The first rows of a table: how many rows it has, (column, type), the cells as text, and how many columns are not shown."""

    rows: int
    columns: tuple[tuple[str, str], ...]
    cells: tuple[tuple[str, ...], ...]
    more: int = 0


@dataclass(frozen=True)
class Block:
    """A part of what a notebook showed: kind is "h2", "p", "pre" (`text`), "table" (`rows`) or "picture" (a PNG, its place in the site)."""

    kind: str
    text: str = ""
    rows: tuple[tuple[str, ...], ...] = ()
    picture: bytes = b""
    path: str = ""


@dataclass(frozen=True)
class Shelf:
    """A package with its data sets and models, the receipts that were given for it, and what only its own page shows.

    `steps` are (step, kind, role); `metrics` (artifact, name, value); `cards` the text of each model's card, by record; `signed` the id
    of the key that signed it, or "". `previews` are by record, `shown` what the cells of its notebooks showed,
    `wheels` what its zip leaves out.
    """

    package: Record
    parts: tuple[Record, ...]
    tally: ReceiptCounts
    steps: tuple[tuple[str, str, str], ...]
    metrics: tuple[tuple[str, str, str], ...]
    cards: dict[str, str] = field(default_factory=dict)
    signed: str = ""
    receipts: tuple[tuple[str, Path], ...] = ()  # (place in the site, the file that was given)
    previews: dict[str, Preview] = field(default_factory=dict)
    shown: tuple[Block, ...] = ()
    wheels: tuple[File, ...] = ()

    @property
    def records(self) -> tuple[Record, ...]:
        return (self.package, *self.parts)


@dataclass(frozen=True)
class Site:
    """What holds for the whole: its title, who publishes it, and the address it will have ("": not known; links are relative)."""

    title: str
    publisher: str
    url: str = ""

    def address(self, path: str, depth: int = 0) -> str:
        """The address of a file of the site: absolute where the site's is known, else as seen from a page `depth` folders down."""
        return (self.url or "../" * depth) + quote(path)


def slug(text: str, most: int = 40) -> str:
    """A text as it can be part of a file's name on any system: a to z, digits, hyphens."""
    return re.sub("[^a-z0-9]+", "-", text.lower()).strip("-")[:most].strip("-") or "x"
