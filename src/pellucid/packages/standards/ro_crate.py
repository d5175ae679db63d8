"""RO-Crate 1.1 with the Process, Workflow and Provenance Run Crate profiles 0.5: the pair of versions that validators know today.

The pipeline file is the workflow, each open step a tool, each run of one a CreateAction; one ControlAction a step ties the plan to
what was done. Private steps are steps of the plan without an action: of their run nothing is said. `sha256` is added to the
context, which the 1.1 context lacks.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from pellucid.packages.format import as_json
from pellucid.packages.standards.description import Description, media, spdx

FILE = "ro-crate-metadata.json"
CONTEXT = [
    "https://w3id.org/ro/crate/1.1/context",
    "https://w3id.org/ro/terms/workflow-run/context",
    {"sha256": "https://schema.org/sha256"},
]
PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": ("Process Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/workflow/0.5": ("Workflow Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/provenance/0.5": ("Provenance Run Crate", "0.5"),
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": ("Workflow RO-Crate", "1.0"),
}
PARAMETER = "https://bioschemas.org/profiles/FormalParameter/1.0-RELEASE"
WORKFLOW = "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"
PYTHON, RUNNER, TERMS = "https://www.python.org/", "urn:pellucid:runner", "#data-terms"


def files(description: Description) -> Iterator[tuple[str, bytes]]:
    """The metadata file, which lists all files that were written before it."""
    yield FILE, as_json({"@context": CONTEXT, "@graph": _Graph(description).entities()})


def _ref(*ids: str) -> Any:
    return {"@id": ids[0]} if len(ids) == 1 else [{"@id": one} for one in ids]


def _encoded(value: Any) -> Any:
    """The same with every id as a part of an address may be written: names of steps and files may hold spaces, brackets, any letter."""
    if isinstance(value, list):
        return [_encoded(one) for one in value]
    if not isinstance(value, dict):
        return value
    known = {name: _encoded(one) for name, one in value.items()}
    if isinstance(known.get("@id"), str) and not known["@id"].startswith(("http://", "https://", "mailto:")):
        known["@id"] = quote(known["@id"], safe="/#:@!$&'()*+,;=~")
    return known


class _Graph:
    """The entities of a crate, by id, in the order in which they are first needed."""

    def __init__(self, description: Description) -> None:
        self.about, self.of, self.found = description.about, description, dict[str, dict[str, Any]]()
        self.manifest = description.manifest
        self.time = f"{description.date}T00:00:00+00:00"
        self.agent = self._creators()

    def entities(self) -> list[dict[str, Any]]:
        steps = [entry for entry in self.manifest.trace if entry.role == "re-run"]
        self._profiles()
        for path, (sha256, size) in sorted(self.of.files.items()):
            self._file(path, sha256, size)
        self._file("MANIFEST.sha256", "", 0)
        actions = [self._action(entry) for entry in steps]
        self._workflow(steps)
        run = self._run(actions)
        self._root([run, *actions])
        return [_encoded(entity) for entity in self.found.values()]

    def _add(self, at: str, kind: str | list[str], /, **properties: Any) -> str:
        known = {name: value for name, value in properties.items() if value not in (None, "", [], {})}
        known = {name: value[0] if isinstance(value, list) and len(value) == 1 else value for name, value in known.items()}
        self.found.setdefault(at, {"@id": at}).update({"@type": kind, **known})
        return at

    def _creators(self) -> list[str]:
        found: list[str] = []
        self.organisation = next(
            (p.url or f"#creator-{at + 1}" for at, p in enumerate(self.about.people) if not p.is_person), None
        )
        for at, person in enumerate(self.about.people):
            identifier = person.url or f"#creator-{at + 1}"
            kind = "Person" if person.is_person else "Organization"
            names: dict[str, Any] = {"givenName": person.given, "familyName": person.family} if person.is_person else {}
            if person.is_person and self.organisation:
                names["affiliation"] = _ref(self.organisation)
            found.append(self._add(identifier, kind, name=person.name, url=person.url, **names))
        return found

    def _profiles(self) -> None:
        conforms = _ref("https://w3id.org/ro/crate/1.1", "https://w3id.org/workflowhub/workflow-ro-crate/1.0")
        self._add(FILE, "CreativeWork", about=_ref("./"), conformsTo=conforms)
        self._add("./", "Dataset")
        for identifier, (name, version) in PROFILES.items():
            self._add(identifier, "CreativeWork", name=name, version=version)
        for licence in sorted({self.about.licence, *(self.of.licence_of(entry) for _, entry, _ in self.of.leaves())}):
            for uri in spdx(licence):
                self._add(uri, "CreativeWork", name=uri.rpartition("/")[2], description="An SPDX licence", url=uri)

    def _file(self, path: str, sha256: str, size: int) -> None:
        _, entry = self.of.origins.get(path, ("", None))
        self._add(
            path,
            "File",
            name=path,
            encodingFormat=media(path),
            about=_ref("./") if path == "README.md" else None,
            contentSize=str(size) if sha256 else None,
            sha256=sha256,
            license=_ref(*spdx(self.of.licence_of(entry))) if entry is not None else None,
            exampleOfWork=_ref(f"#parameter-{_artifact(self.of, path)}") if entry is not None else None,
        )

    def _parameters(self, names: list[str]) -> Any:
        """Formal parameters of these artifacts."""
        for name in names:
            value = self.manifest.open[name]
            many = value.items is not None
            self._add(
                f"#parameter-{name}",
                "FormalParameter",
                name=name,
                description=f"{'A collection of artifacts' if many else 'An artifact'} of kind {value.kind}, digest {value.digest}",
                additionalType="Dataset" if many else "File",
                encodingFormat=None if many else media(value.path),
                valueRequired=True,
                conformsTo=_ref(PARAMETER),
            )
            if many:
                self._add(
                    f"artifacts/{name}/",
                    "Dataset",
                    name=f"artifacts/{name}/",
                    description=f"The elements of {name}",
                    hasPart=_ref(*(leaf.path for leaf in value.leaves)) if value.leaves else None,
                    exampleOfWork=_ref(f"#parameter-{name}"),
                )
                for leaf in value.leaves:
                    self.found[leaf.path].pop("exampleOfWork", None)
        return _ref(*(f"#parameter-{name}" for name in names)) if names else None

    def _data(self, names: list[str]) -> Any:
        ids = [
            f"artifacts/{name}/" if self.manifest.open[name].items is not None else self.manifest.open[name].path
            for name in names
        ]
        return _ref(*ids) if ids else None

    def _action(self, entry: Any) -> str:
        """The tool of a step, what it was set to, and its run."""
        taken = list(dict.fromkeys(name for name, _ in entry.inputs.values()))
        settings = [
            self._add(
                f"#{entry.step}.{name}",
                "PropertyValue",
                name=name,
                value=_plain(value),
                exampleOfWork=_ref(f"#setting-{entry.step}-{name}"),
            )
            for name, value in entry.settings.items()
        ]
        for name, value in entry.settings.items():
            self._add(
                f"#setting-{entry.step}-{name}",
                "FormalParameter",
                name=name,
                description=f"Setting {name} of step {entry.step}",
                additionalType=_kind(value),
                conformsTo=_ref(PARAMETER),
            )
        wanted = self._parameters(taken)
        wanted = (wanted if isinstance(wanted, list) else [wanted] if wanted else []) + [
            {"@id": f"#setting-{entry.step}-{name}"} for name in entry.settings
        ]
        self._add(
            f"urn:pellucid:{self.manifest.pipeline}:{entry.step}",
            "SoftwareApplication",
            name=entry.step,
            description=f"Step {entry.step} of kind {entry.kind}",
            url=_ref(self.manifest.file),
            softwareVersion=self.about.version,
            input=wanted,
            output=self._parameters(list(entry.outputs)),
        )
        given = self._data(taken)
        given = (given if isinstance(given, list) else [given] if given else []) + [{"@id": one} for one in settings]
        return self._add(
            f"#run-of-{entry.step}",
            "CreateAction",
            name=f"Run of {entry.step}",
            description=f"One execution of step {entry.step}",
            instrument=_ref(f"urn:pellucid:{self.manifest.pipeline}:{entry.step}"),
            agent=_ref(self.agent[0]),
            endTime=self.time,
            actionStatus="http://schema.org/CompletedActionStatus",
            object=given,
            result=self._data(list(entry.outputs)),
        )

    def _workflow(self, steps: list[Any]) -> None:
        taken = [name for entry in self.manifest.trace if entry.role == "given" for name in entry.outputs]
        made = [name for entry in steps for name in entry.outputs]
        for at, entry in enumerate(steps, 1):
            self._add(
                f"{self.manifest.file}#{entry.step}",
                "HowToStep",
                name=entry.step,
                position=str(at),
                workExample=_ref(f"urn:pellucid:{self.manifest.pipeline}:{entry.step}"),
            )
        for entry in self.manifest.trace:
            if entry.role == "private":
                said = f"Step {entry.step} works on data that are not open: you cannot re-run it, and nothing of its run is here"
                self._add(f"#private-{entry.step}", "CreativeWork", name=entry.step, description=said)
        self._add(
            self.manifest.file,
            ["File", "SoftwareSourceCode", "ComputationalWorkflow", "HowTo"],
            name=self.manifest.pipeline,
            description=self.about.description,
            programmingLanguage=_ref(PYTHON),
            version=self.about.version,
            url=self.manifest.file,
            license=_ref(*spdx(self.about.licence)),
            creator=_ref(*self.agent),
            author=_ref(*self.agent),
            dateCreated=self.of.date,
            input=self._parameters(taken),
            output=self._parameters(made),
            hasPart=_ref(*(f"urn:pellucid:{self.manifest.pipeline}:{entry.step}" for entry in steps)) if steps else None,
            step=_ref(*(f"{self.manifest.file}#{entry.step}" for entry in steps)) if steps else None,
            conformsTo=_ref(WORKFLOW),
        )
        version = str(self.manifest.environment.get("python", ""))
        self._add(
            PYTHON,
            ["ComputerLanguage", "SoftwareApplication"],
            name="Python",
            version=version,
            url=PYTHON,
            identifier=_ref(PYTHON),
        )
        self._add(
            RUNNER,
            "SoftwareApplication",
            name="Pellucid",
            description="Runs pipelines so that they can be re-run bit for bit",
            url=next((path for path in sorted(self.of.files) if path.startswith("environment/pellucid-")), None),
            softwareVersion=str(self.manifest.environment.get("pellucid", "")),
        )

    def _run(self, actions: list[str]) -> str:
        taken = [name for entry in self.manifest.trace if entry.role == "given" for name in entry.outputs]
        made = [name for entry in self.manifest.trace if entry.role == "re-run" for name in entry.outputs]
        run = self._add(
            "#run",
            "CreateAction",
            name=f"Run {self.manifest.run}",
            description=f"Run {self.manifest.run} of the pipeline {self.manifest.pipeline}",
            instrument=_ref(self.manifest.file),
            agent=_ref(self.agent[0]),
            endTime=self.time,
            actionStatus="http://schema.org/CompletedActionStatus",
            object=self._data(taken),
            result=self._data(made) or self._data(taken),
        )
        controls = [
            self._add(
                f"#control-{action.removeprefix('#run-of-')}",
                "ControlAction",
                name=f"Control of {action.removeprefix('#run-of-')}",
                instrument=_ref(f"{self.manifest.file}#{action.removeprefix('#run-of-')}"),
                object=_ref(action),
            )
            for action in actions
        ]
        self._add(
            "#organize",
            "OrganizeAction",
            name=f"Pellucid's execution of {self.manifest.pipeline}",
            description="The runner's own action",
            agent=_ref(self.agent[0]),
            endTime=self.time,
            instrument=_ref(RUNNER),
            object=_ref(*controls) if controls else None,
            result=_ref(run),
        )
        return run

    def _origins(self) -> Any:
        """The packages that this one builds on, directly or not."""
        from pellucid.packages.format import chain

        found = []
        for _, origin in chain(self.manifest):
            said = f"{origin['artifact']} ({origin['digest']}) of the package with the list of files {origin['package']}"
            identifier = f"urn:sha256:{origin['package']}"
            found.append(
                self._add(identifier, "Dataset", name=str(origin["title"]), description=said, datePublished=str(origin["date"]))
            )
        return _ref(*dict.fromkeys(found)) if found else None

    def _root(self, actions: list[str]) -> None:
        parts = [i for i, e in self.found.items() if "File" in (e["@type"] if isinstance(e["@type"], list) else [e["@type"]])]
        folders = [i for i, e in self.found.items() if e["@type"] == "Dataset" and i.endswith("/") and i != "./"]
        licence = _ref(*dict.fromkeys([*spdx(self.about.data_licence), *spdx(self.about.licence)]))
        self._add(
            "./",
            "Dataset",
            name=self.about.title,
            description=self.about.description,
            identifier=self.of.identifier,
            datePublished=self.of.date,
            author=_ref(*self.agent),
            creator=_ref(*self.agent),
            publisher=_ref(self.organisation or self.agent[0]),
            license=licence,
            version=self.about.version,
            keywords=", ".join(self.about.keywords),
            conformsTo=_ref(*PROFILES),
            mainEntity=_ref(self.manifest.file),
            isBasedOn=self._origins(),
            hasPart=_ref(*parts, *folders),
            mentions=_ref(*actions, "#organize", *(i for i in self.found if i.startswith("#private-"))),
        )


def _artifact(description: Description, path: str) -> str:
    return description.origins[path][0]


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool) else str(value)


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "Boolean"
    return {int: "Integer", float: "Float", str: "Text"}.get(type(value), "PropertyValue")
