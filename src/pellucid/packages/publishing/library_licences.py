"""The licences of the locked libraries, as the installed distributions state them: for the bill of materials."""

from __future__ import annotations

import importlib.metadata
from typing import Any

from pellucid.errors import PellucidError
from pellucid.packages.format import lock_file

_CLASSIFIERS = {  # trove classifiers that stand for one licence; "BSD License" stands for several
    "MIT License": "MIT",
    "Apache Software License": "Apache-2.0",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "ISC License (ISCL)": "ISC",
    "Python Software Foundation License": "PSF-2.0",
}


def licences(lock_text: str) -> list[dict[str, str]]:
    """{name, version, licence} of each locked library that is installed in the locked version and states a licence, sorted by name.

    A licence is an SPDX expression where the distribution states one, else what it says in a few words; a text of a whole licence is none.
    """
    found = []
    for name, version in sorted(lock_file.parse(lock_text, lock_file.FILE).files):
        try:
            told = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        licence = _stated(told.metadata) if told.version == version else ""
        if licence:
            found.append({"name": name, "version": version, "licence": licence})
    return found


def _stated(metadata: Any) -> str:
    from pellucid.pipeline.declaration import checked_licence

    classifiers = [text for text in metadata.get_all("Classifier") or [] if text.startswith("License :: ")]
    said = [metadata.get("License-Expression"), metadata.get("License"), *(text.rpartition(" :: ")[2] for text in classifiers)]
    short = [" ".join(text.split()) for text in said if text and "\n" not in text.strip() and len(text) <= 100]
    for text in short:
        try:
            return checked_licence(_CLASSIFIERS.get(text, text), "a library")
        except PellucidError:
            continue
    return next((text for text in short if text.isprintable()), "")
