"""What is put into a repository: a package that `check` finds whole, as one zip, and what it says of itself.

The zip of a package is the same bytes each time and is named by its digest, so an upload that broke off goes on where it was: a file
that is there with the same checksum is not sent again.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.errors import UploadError, UsageError, suggest

if TYPE_CHECKING:
    from pellucid.pipeline.declaration import About

# service -> (what it is called, what stands before the token in the header)
SERVICES = {"zenodo": ("Zenodo", "Bearer "), "invenio": ("InvenioRDM", "Bearer "), "ckan": ("CKAN", "")}
UNTRIED = "tried against a server that keeps to the published API, not tried against the real service: look at the draft"
_PORTION = 1 << 20


@dataclass(frozen=True)
class Deposit:
    """What goes into a repository: what the package says of itself, its day, its digest, and the one file."""

    about: About
    date: str
    digest: str
    name: str
    path: Path
    size: int
    sha256: str
    md5: str

    def portions(self) -> Iterator[bytes]:
        """The file, in portions."""
        with self.path.open("rb") as file:
            while portion := file.read(_PORTION):
                yield portion

    @property
    def licence(self) -> str:
        """The licence of the data, where it is one and not an expression, else ""."""
        text = self.about.data_licence
        return "" if " " in text or text.startswith("LicenseRef-") else text

    @property
    def text(self) -> str:
        """The description with what a reader needs to check it."""
        return f"{self.about.description} Check and re-run it: pellucid reproduce {self.name}. Its list of files: sha256:{self.digest}."


@dataclass(frozen=True)
class Uploaded:
    """What is in the repository: the draft's id and page, the file with its checksums, and whether it is published.

    `sent` is false where the file was there already; `notes` say what could not be said there, and what was not tried.
    """

    service: str
    id: str
    page: str
    file: str
    size: int
    sha256: str
    sent: bool
    published: bool
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {**vars(self), "notes": list(self.notes)}


def upload(
    service: str,
    package: Path,
    *,
    url: str,
    token: str,
    publish: bool = False,
    draft: str = "",
    organization: str = "",
    pause: float = 1.0,
) -> Uploaded:
    """Put the package (a folder or a zip) into a repository as a draft; with `publish`, publish it there.

    `service` is one of zenodo, invenio, ckan; `url` its address, `token` what it gave you; `draft` the id of a draft to go on with;
    `organization` whose the data set is (CKAN asks for one); `pause` the first pause before another attempt, in seconds. Raises
    PackageError for a package that `check` refuses, before anything is sent; UsageError; UploadError, which names the draft to go on
    with where there is one. Nothing is published unless asked for.
    """
    from pellucid.packages.upload import http_client

    if service not in SERVICES:
        raise UsageError(f"there is no service {service!r:.40}", where="upload", fix=suggest(str(service), SERVICES))
    connection = http_client.connect(url, token, scheme=SERVICES[service][1], pause=pause)
    if (service == "ckan") != bool(organization):
        raise UsageError(
            "CKAN asks whose the data set is" if service == "ckan" else f"{SERVICES[service][0]} knows no organizations",
            where="--organization",
            fix="Name your organization there" if service == "ckan" else "Leave it out",
        )
    module = import_module(f"pellucid.packages.upload.{service}")
    with deposit(package) as one:
        done: Uploaded = module.put(connection, one, publish=publish, draft=draft, organization=organization)
    return done


@contextmanager
def deposit(package: Path) -> Iterator[Deposit]:
    """The package checked, and as one zip. Raises PackageError."""
    from pellucid.packages.catalogue import about_of, slug
    from pellucid.packages.checking import package_check
    from pellucid.packages.format import archive, wheel_store

    package = package.resolve()
    with tempfile.TemporaryDirectory(prefix="pellucid-upload-") as scratch:
        with archive.opened(package, Path(scratch)) as folder:
            whole = package_check.whole_package(folder)
            package_check.told(folder, whole)
            about = about_of(whole.manifest)
            path = package
            if not package.is_file() or wheel_store.left_out(package):
                path = Path(scratch) / "packed.zip"
                archive.write(folder, path)
        sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)  # what these repositories compare by
        with path.open("rb") as file:
            while portion := file.read(_PORTION):
                sha256.update(portion)
                md5.update(portion)
        yield Deposit(
            about,
            whole.manifest.date,
            whole.digest,
            f"{slug(whole.manifest.pipeline)}-{whole.digest[:12]}.zip",
            path,
            path.stat().st_size,
            sha256.hexdigest(),
            md5.hexdigest(),
        )


@contextmanager
def going_on(draft: str) -> Iterator[None]:
    """Whatever goes wrong from here on, the error says how to go on with the draft."""
    try:
        yield
    except UploadError as error:
        fix = f"{error.fix}. " if error.fix else ""
        raise UploadError(error.what, where=error.where, why=error.why, fix=f"{fix}Go on with: --draft {draft}") from None


def refuse_other_bytes(one: Deposit, checksum: object, size: object) -> None:
    """What the repository says it has must be what was sent. `checksum` is MD5, with or without "md5:". Raises UploadError."""
    if str(checksum).removeprefix("md5:") != one.md5 or (size is not None and size != one.size):
        raise UploadError("what it has is not what was sent", where=one.name, why="its checksum or size is another")


def identifier(value: object, kind: type) -> str:
    """An id that a repository gave, as it can be part of a path. Raises UploadError."""
    text = str(value)
    if (
        not isinstance(value, kind)
        or isinstance(value, bool)
        or not text.replace("-", "").replace("_", "").isalnum()
        or not text.isascii()
    ):
        raise UploadError("it gave no id that can be one", why=repr(text)[:80])
    return text
