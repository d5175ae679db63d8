"""What people should know of what a pipeline makes: who, what, and under which licences. Needed to publish, and for nothing else."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from pellucid.errors import UsageError

_WITH_URL = re.compile(r"(.*?)\s*<(https://[^\s<>]+)>")
_ORCID = re.compile(r"https://orcid\.org/(\d{4}-\d{4}-\d{4}-\d{3}[\dX])")


@dataclass(frozen=True)
class Creator:
    """A person ("Family, Given") or an organisation (a name without a comma), with the address that names them, where there is one."""

    name: str
    url: str = ""

    @property
    def orcid(self) -> str:
        """The ORCID, where the address is one."""
        match = _ORCID.fullmatch(self.url)
        return match[1] if match else ""

    @property
    def is_person(self) -> bool:
        return "," in self.name

    @property
    def family(self) -> str:
        return self.name.partition(",")[0].strip()

    @property
    def given(self) -> str:
        return self.name.partition(",")[2].strip()


@dataclass(frozen=True)
class About:
    """The title, a description, and who made it.

    `creators`: "Family, Given" or an organisation's name, each with an address where it has one: "Family, Given
    <https://orcid.org/0000-0000-0000-0000>". `licence` is that
    of the code, `data_licence` that of the data and models the pipeline makes open: SPDX expressions, such as Apache-2.0 and CC-BY-4.0
    (https://spdx.org/licenses). `version` is the publisher's own. Raises UsageError for what is missing or no licence.
    """

    title: str
    description: str
    creators: tuple[str, ...]
    licence: str
    data_licence: str
    keywords: tuple[str, ...] = ()
    version: str = "1"

    def __post_init__(self) -> None:
        for name in ("title", "description", "version"):
            if not isinstance(getattr(self, name), str) or not getattr(self, name).strip():
                raise UsageError(f"{name} must be text", where="About")
        for name in ("creators", "keywords"):
            value = getattr(self, name)
            if isinstance(value, str) or not all(isinstance(text, str) and text.strip() for text in value):
                raise UsageError(f"{name} must be a list of texts", where="About", fix=f'Such as: {name}=("Doe, Jane",)')
            object.__setattr__(self, name, tuple(value))
        if not self.creators:
            raise UsageError("it has no creators", where="About", fix='Name who made it: creators=("Doe, Jane",)')
        for name in ("licence", "data_licence"):
            object.__setattr__(self, name, checked_licence(getattr(self, name), f"About, {name}"))

    @property
    def people(self) -> tuple[Creator, ...]:
        """The creators, taken apart."""
        found = []
        for text in self.creators:
            match = _WITH_URL.fullmatch(text.strip())
            found.append(Creator(match[1].strip(), match[2]) if match else Creator(text.strip()))
        return tuple(found)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {**vars(self), "creators": list(self.creators), "keywords": list(self.keywords)}


def checked_licence(text: object, where: str) -> str:
    """An SPDX licence expression in its usual form. Raises UsageError for anything else."""
    from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

    try:
        return str(canonicalize_license_expression(text if isinstance(text, str) else ""))
    except InvalidLicenseExpression as error:
        raise UsageError(
            f"{text!r:.60} is no licence",
            where=where,
            why=str(error),
            fix="Take one of https://spdx.org/licenses, such as CC-BY-4.0",
        ) from None
