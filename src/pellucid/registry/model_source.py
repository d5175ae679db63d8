"""A model of the registry as a source of a pipeline: `registry_model`.

Which model it is, is looked up when a run is planned, once for the run, and written into its record: what is promoted or rolled back while
it is under way is for the next one. Its key is the model's name, version and digest. So a promotion makes the steps that use it run again,
and nothing else does: not a new version that nobody promoted, nor the same model behind the alias once more.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path

from pellucid.errors import StoreError, UsageError, suggest
from pellucid.pipeline.declaration import Budget, Source, StoredModel, checked_licence, own
from pellucid.pipeline.record import Artifact, Record
from pellucid.registry.deployments import Deployments, open_model
from pellucid.registry.trained_models import find_model, model_versions
from pellucid.store import OPEN, Objects

_ALIAS = re.compile(r"[a-z][a-z0-9-]{0,31}")
_VERSION = re.compile(r"[^@/\s]{1,200}@[0-9]{1,9}")
_OUTPUT = re.compile(r"[0-9A-Za-z][^/@\s]{3,80}/[^/@\s]{1,200}")


@own("model reference")
@dataclass(frozen=True)
class RegistryModel:
    """The model that `wanted` means: ALIAS, NAME@VERSION or RUN/OUTPUT."""

    wanted: str

    def look_up(self, home: Path, where: str) -> StoredModel:
        """The open model that it means now, its file there. Raises UsageError, LabelError, StoreError."""
        try:
            run, output = self._meant(home)
        except UsageError as error:
            raise UsageError(error.what, where=where, why=error.why, fix=error.fix) from None
        run, artifact = open_model(home, run, output)
        if not all(Objects(home).has(leaf.sha256, leaf.suffix) for leaf in artifact.leaves):
            raise StoreError(f"the file of {self.wanted} is gone", where=where, fix="Run the pipeline that trains it again")
        name, version = _version_of(home, run, output, artifact, where)
        return StoredModel(name, version, artifact)

    def _meant(self, home: Path) -> tuple[str, str]:
        """The run and the output."""
        if "@" in self.wanted:
            chosen = find_model(home, self.wanted)
            return chosen.run, chosen.output
        run, slash, output = self.wanted.partition("/")
        if slash:
            return run, output
        current = Deployments(home).current()
        if self.wanted not in current:
            fix = suggest(self.wanted, current) if current else f"Promote a model: pellucid promote NAME {self.wanted}"
            raise UsageError(f"no model stands behind {self.wanted}", fix=fix)
        return current[self.wanted].run, current[self.wanted].output


def _version_of(home: Path, run: str, output: str, artifact: Artifact, where: str) -> tuple[str, int]:
    """Name and version of what a run gave. Raises UsageError for a run that did not finish: what it gave has no version."""
    record = Record(home)
    try:
        name = f"{record.find(run)['pipeline']}.{output}"
    finally:
        record.close()
    for one in model_versions(home):
        if one.name == name and one.artifact.digest == artifact.digest:
            return name, one.version
    raise UsageError(f"{name} of run {run} has no version", where=where, why="the run did not finish", fix="Run it to its end")


def registry_model(wanted: str, *, name: str | None = None, licence: str | None = None, credit: str = "") -> Source:
    """Declare an open model of the registry that enters a pipeline, as a source does.

    `wanted` is an alias, such as "production": what stands behind it when a run is planned. Or NAME@VERSION, or RUN/OUTPUT: the same one
    for ever. `licence` (an SPDX expression) and `credit` go with it when a run is published: the package holds the model. A model that is
    not open is used in the pipeline that trains it. Raises UsageError.
    """
    where = f'registry_model("{wanted}")'
    if not isinstance(wanted, str) or not any(form.fullmatch(wanted) for form in (_ALIAS, _VERSION, _OUTPUT)):
        raise UsageError(
            "it names no model", where=where,
            fix='Give an alias ("production"), a version ("areas.model@3") or the output of a run ("<run>/model")',
        )  # fmt: skip
    if wanted.startswith("last") and "/" in wanted:
        raise UsageError("the last run is another one after each run", where=where, fix="Name the run as pellucid runs does")
    file = sys._getframe(1).f_globals.get("__file__")
    folder = Path(file).absolute().parent if file else Path.cwd()
    return Source(
        path=folder / f"{wanted.replace('/', '-')} of the registry",
        label=OPEN,
        name=name,
        format=None,
        options={},
        budget=Budget(),
        account=None,
        licence=None if licence is None else checked_licence(licence, where),
        credit=credit,
        model=RegistryModel(wanted),
    )
