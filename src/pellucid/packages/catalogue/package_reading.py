"""Reading a package for the catalogue: checked as `pellucid check` does, then taken as the word of a stranger, field by field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.errors import PellucidError
from pellucid.packages.catalogue.entries import DATASET, MODEL, PACKAGE, File, Record, Release, Shelf, slug
from pellucid.packages.format import printable, read_json, refuse
from pellucid.pipeline.declaration import About

if TYPE_CHECKING:
    from pellucid.packages.checking import WholePackage
    from pellucid.packages.format import Entry, Manifest, Value

_TABLES = ("table", "array")


def shelf(
    folder: Path, whole: WholePackage, look: Mapping[str, Any], receipts: Mapping[str, Sequence[Path]], trusted: set[str]
) -> Shelf:
    """All that the catalogue tells of the package in a folder, which is whole; `look` is what looking into its artifacts gave, `receipts`
    are given by the digest of the package they name.

    Raises PackageError for a package that `check` refuses.
    """
    from pellucid.packages.catalogue import package_previews
    from pellucid.packages.checking import package_check
    from pellucid.packages.receipts import sorted_out

    package_check.refuse_otherwise(whole.manifest, look["otherwise"])
    confirmed = not look["otherwise"]
    about, manifest = about_of(whole.manifest), whole.manifest
    identifier = f"{slug(manifest.pipeline)}-{whole.digest[:12]}"
    licences = {entry.step: _licence_of(entry, manifest, about) for entry in manifest.trace if entry.outputs}
    shared: dict[str, Any] = {
        "creators": about.people,
        "keywords": about.keywords,
        "date": manifest.date,
        "version": about.version,
        "package": identifier,
        "digest": whole.digest,
    }
    columns = _columns(folder) if confirmed else {}  # another pellucid's descriptions may say anything
    named = list(_parts(folder, whole, about, licences, shared, columns))
    parts = tuple(record for _, record in named)
    package = Record(
        id=identifier,
        kind=PACKAGE,
        urn=f"urn:pellucid:{whole.listed['manifest.json']}",
        title=about.title,
        description=about.description,
        licences=tuple(sorted({about.licence, *licences.values()})),
        files=(),
        lineage=tuple(_lineage(manifest, [entry.step for entry in manifest.trace], licences)),
        releases=tuple(_releases(manifest, [entry.step for entry in manifest.trace])),
        **shared,
    )
    counted = sorted_out(whole, receipts.get(whole.digest, ()), trusted)
    return Shelf(
        package=package,
        parts=parts,
        tally=counted,
        steps=tuple((shown(entry.step), shown(entry.kind), entry.role) for entry in manifest.trace),
        metrics=tuple(_metrics(folder, manifest)),
        cards={record.id: _card(folder, name) for name, record in named if record.kind == MODEL and confirmed},
        signed="" if whole.signed is None else whole.signed.key,
        receipts=tuple((f"receipts/{identifier}/{one.key[:16]}.json", one.path) for one, _ in counted.counted),
        previews=package_previews.previews(look, parts),
        shown=package_previews.blocks(look, identifier),
        wheels=package_previews.wheels(folder, whole),
    )


def shown(value: object, most: int = 200) -> str:
    """A stranger's text: one line, without control characters, not endless."""
    text = " ".join(printable(str(value)).split())
    return text if len(text) <= most else f"{text[: most - 1]}…"


def about_of(manifest: Manifest) -> About:
    """What a package says of itself, each part of its kind and bounded. Raises PackageError."""
    known, where = manifest.about, "manifest.json, about"
    try:
        date.fromisoformat(manifest.date)
        if len(manifest.date) != 10:
            raise ValueError
    except ValueError:
        refuse("manifest.json", f"its date {manifest.date!r:.40} is not one")
    for name in ("title", "description", "version", "licence", "data_licence"):
        if not isinstance(known.get(name), str):
            refuse(where, f"its {name} is not text")
    for name in ("creators", "keywords"):
        if not isinstance(known.get(name), list) or len(known[name]) > 1000:
            refuse(where, f"its {name} are not a list")
    try:
        about = About(
            title=shown(known["title"], 300),
            description=shown(known["description"], 5000),
            creators=tuple(shown(one) for one in known["creators"][:100]),
            licence=known["licence"][:200],
            data_licence=known["data_licence"][:200],
            keywords=tuple(shown(one, 100) for one in known["keywords"][:50]),
            version=shown(known["version"], 40),
        )
    except PellucidError as error:
        refuse(where, error.what, error.why)
    if not all(person.name for person in about.people):
        refuse(where, "a creator of it has no name")
    return about


def _licence_of(entry: Entry, manifest: Manifest, about: About) -> str:
    """An open source's own licence, else that of the pipeline's data."""
    from pellucid.pipeline.declaration import checked_licence

    if entry.kind != "source":
        return about.data_licence
    known = manifest.licences.get(entry.step)
    try:
        return checked_licence(known.get("licence") if isinstance(known, Mapping) else "", "manifest.json, licences")
    except PellucidError as error:
        refuse("manifest.json, licences", f"the open source {entry.step!r:.60} has no licence", error.why)


def _parts(
    folder: Path,
    whole: WholePackage,
    about: About,
    licences: Mapping[str, str],
    shared: Mapping[str, Any],
    columns: Mapping[str, tuple[tuple[str, str], ...]],
) -> Iterator[tuple[str, Record]]:
    """Each open data set and model, with the artifact's own name."""
    from pellucid.packages.standards import Description, ancestry

    manifest = whole.manifest
    for entry in manifest.trace:
        for name, value in entry.outputs.items():
            kind = MODEL if value.kind == "model" else DATASET if value.kind in _TABLES else None
            leaves = [leaf for leaf in value.leaves if leaf.kind == value.kind]
            if kind is None or not leaves:
                continue
            steps = ancestry(Description(manifest, folder), entry.step)
            origin = "open data as it was given" if entry.kind == "source" else f"made by the step {shown(entry.step, 80)}"
            record = Record(
                id=f"{slug(name)}-{slug(manifest.pipeline, 20)}-{whole.digest[:12]}-{_short(name)}",
                kind=kind,
                urn=f"urn:pellucid:{whole.listed['manifest.json']}:{_short(name)}",
                title=f"{shown(name, 100)}: {about.title}",
                description=f"The {value.kind} “{shown(name, 100)}”, {origin}. {about.description}",
                licences=(licences[entry.step],),
                files=tuple(_file(leaf, str(shared["package"])) for leaf in leaves),
                lineage=tuple(_lineage(manifest, steps, licences)),
                releases=tuple(_releases(manifest, steps)),
                columns=columns.get(leaves[0].path, ()),
                **shared,
            )
            yield name, record


def _short(name: str) -> str:
    import hashlib

    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]


def _file(leaf: Value, package: str) -> File:
    from pellucid.packages.standards import media

    name = leaf.path.removeprefix("artifacts/")
    return File(f"files/{package}/{name}", name, leaf.size, leaf.sha256, media(leaf.path))


def _columns(folder: Path) -> dict[str, tuple[tuple[str, str], ...]]:
    """File -> (column, type), as the package's Croissant file says; the files themselves are not opened here."""
    found: dict[str, list[tuple[str, str]]] = {}
    for records in read_json(folder / "croissant.json", "croissant.json").get("recordSet", []):
        fields = records.get("field", []) if isinstance(records, dict) else []
        for field in fields[:500] if isinstance(fields, list) else []:
            source = field["source"]  # it is as pellucid writes it
            kind = shown(field.get("dataType", ""), 40).removeprefix("sc:")
            extract = source.get("extract")
            name = extract.get("column", "") if isinstance(extract, dict) else field.get("name", "")
            found.setdefault(source["fileObject"]["@id"], []).append((shown(name, 100), kind))
    return {path: tuple(columns) for path, columns in found.items()}


def _releases(manifest: Manifest, steps: list[str]) -> Iterator[Release]:
    from pellucid.packages.standards import in_words

    for entry in manifest.trace:
        if entry.step in steps and entry.guarantee is not None:
            known = entry.guarantee
            unit, relation = shown(known["mechanism"]["unit"], 60), shown(known["mechanism"]["relation"])
            epsilon, delta = float(known["epsilon"]), float(known["delta"])
            yield Release(shown(entry.step, 80), epsilon, delta, unit, relation, tuple(in_words(epsilon, delta, unit)))


def _lineage(manifest: Manifest, steps: list[str], licences: Mapping[str, str]) -> Iterator[str]:
    """Where it comes from, a sentence for each step that leads to it."""
    for entry in manifest.trace:
        if entry.step not in steps or entry.role == "private":
            continue
        name = shown(entry.step, 80)
        if entry.guarantee is not None:
            known = entry.guarantee
            unit = shown(known["mechanism"]["unit"], 60)
            yield f"{name}: released from private data, epsilon {known['epsilon']:g}, delta {known['delta']:g} for each {unit}."
        elif entry.kind == "source":
            known = manifest.licences.get(entry.step, {})
            credit = shown(known.get("credit") or "no credit stated")
            said = f"{name}: open data under {licences[entry.step]} ({credit})."
            if origin := known.get("origin"):
                of = f"{shown(origin['artifact'], 80)} of the package {shown(origin['title'])}"
                said += f" It is {of}, sha256:{shown(origin['package'], 80)}."
            yield said
        else:
            inputs = ", ".join(shown(artifact, 80) for artifact, _ in entry.inputs.values())
            yield f"{name}: computed from {inputs or 'nothing'}; anyone can re-run it."


def _metrics(folder: Path, manifest: Manifest) -> Iterator[tuple[str, str, str]]:
    """Each open number, at most 200."""
    left = 200
    for name, value in manifest.open.items():
        for leaf in value.leaves:
            if leaf.kind != "metrics" or name.endswith("_guarantee"):
                continue
            for key, number in read_json(folder / leaf.path, leaf.path).items():
                if left and isinstance(number, int | float | str):
                    left -= 1
                    said = f"{number:.6g}" if isinstance(number, float) else shown(number, 60)
                    yield shown(name, 80), shown(key, 80), said


def _card(folder: Path, name: str) -> str:
    """The model's card as its publisher wrote it, at most 20,000 characters."""
    from pellucid.packages.standards import path_of

    path = folder / path_of(name)
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        text = file.read(20_000).decode(errors="replace")
    return "\n".join(printable(line) for line in text.splitlines())
