"""CITATION.cff 1.2.0 (Druskat et al. 2021, https://doi.org/10.5281/zenodo.5171937): how to cite a package."""

from __future__ import annotations

import json
from collections.abc import Iterator

from pellucid.packages.standards.description import Description

FILE = "CITATION.cff"


def files(description: Description) -> Iterator[tuple[str, bytes]]:
    """The one file, as YAML whose texts are written as in JSON, which YAML reads too."""
    about = description.about
    lines = ["cff-version: 1.2.0", 'message: "If you use this package, please cite it as below."', "type: dataset"]
    lines += [f"title: {text(about.title)}", f"abstract: {text(about.description)}", "authors:"]
    for person in about.people:
        if person.is_person:
            lines += [f"  - family-names: {text(person.family)}", f"    given-names: {text(person.given)}"]
            lines += [f'    orcid: "https://orcid.org/{person.orcid}"'] if person.orcid else []
        else:
            lines.append(f"  - name: {text(person.name)}")
    lines += [f"date-released: {description.date}", f"version: {text(about.version)}"]
    if " " not in about.data_licence and not about.data_licence.startswith("LicenseRef-"):
        lines.append(f"license: {about.data_licence}")
    lines += ["identifiers:", "  - type: other", f"    value: {text(description.identifier)}"]
    lines += ["keywords:", *(f"  - {text(word)}" for word in about.keywords)] if about.keywords else []
    yield FILE, ("\n".join(lines) + "\n").encode()


def text(value: str) -> str:
    """A text on one line, quoted as in JSON, which YAML reads too."""
    return json.dumps(" ".join(value.split()), ensure_ascii=False)
