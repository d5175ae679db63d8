"""The survey: which code a run's open side needs, and whether that code, and all else in the keys, is still what ran.

Done in a process of its own, which loads the pipeline file as `pellucid run` does: so what the file imports can be told from what
was imported before. A run whose code, settings or environment is no longer there is refused: a package must hold what ran.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.errors import PackageError, PellucidError, UsageError

if TYPE_CHECKING:
    from pellucid.pipeline.declaration import Bound, Pipeline, Source
    from pellucid.pipeline.record import Artifact, Record, StepRecord
    from pellucid.pipeline.running import Plan

_HASH_SEED = "determinism hash seed"
ELSEWHERE = "code/_elsewhere"  # modules from outside of the pipeline's folder, by their names


@dataclass(frozen=True)
class Survey:
    """What a package needs of a run's code.

    `code`: path in the package -> (source file, SHA-256), with the files that the pipeline file reads while it loads. `settings` and
    `parts` (digests of code) by open step. `imports`: module from the environment -> the distributions that have it. `lock`: the lock
    file the run's environment is named by. `about`: what the pipeline says of itself; `licences`: licence and credit of its open sources.
    """

    code: Mapping[str, tuple[str, str]]
    settings: Mapping[str, Mapping[str, Any]]
    parts: Mapping[str, Mapping[str, str]]
    imports: Mapping[str, list[str]]
    lock: str
    about: Mapping[str, Any] | None
    licences: Mapping[str, Mapping[str, Any]]


def survey(home: Path, run: str) -> Survey:
    """Survey a run in a fresh process. Raises PackageError with the reason when its code can no longer be told."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "survey.json")
        command = [sys.executable, "-m", "pellucid.packages.publishing.code_dependencies", str(home), run, str(out)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, errors="replace")
        if not out.is_file():
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise PackageError("its pipeline file could not be loaded again", where=f"run {run}", why=last)
        found = json.loads(out.read_text())
    if "error" in found:
        raise PackageError(found["error"])
    return Survey(**{**found, "code": {path: (source, digest) for path, (source, digest) in found["code"].items()}})


def main(home: str, run: str, out: str) -> None:
    """Entry of the process: write the survey, or the error, as JSON to `out`."""
    found: dict[str, Any]
    try:
        found = asdict(_survey(Path(home), run))
    except PellucidError as error:
        found = {"error": str(error)}
    Path(out).write_text(json.dumps(found))


def _survey(home: Path, wanted: str) -> Survey:
    from pellucid.pipeline.declaration import Source, Step, settings
    from pellucid.pipeline.keys import environment
    from pellucid.pipeline.record import Record
    from pellucid.pipeline.running import Plan, described, load, refuse_private_loading

    record = Record(home)
    run = record.find(wanted)
    rows = {row.step: row for row in record.steps(run["run"])}
    file = Path(run["file"])
    before = set(sys.modules)
    pipeline = load(file).with_settings(run["settings"])
    refuse_private_loading(pipeline, record)
    loaded = _project_modules(set(sys.modules) - before, file)
    if json.loads(json.dumps(described(pipeline))) != run["graph"]:
        raise _other(f"run {run['run']}", f"the steps, inputs or labels in {file.name} are no longer those of the run")
    lock = environment.find_lock(file.parent)
    hash_seed = next((row.parts[_HASH_SEED] for row in rows.values() if _HASH_SEED in row.parts), "0")
    plan = Plan(pipeline, record, lock, seed=run["seed"], hash_seed=hash_seed)
    artifacts = {name: artifact for row in rows.values() for name, artifact in row.outputs.items()}
    steps = [b for b in pipeline.steps.values() if b.label.is_open and b.name in rows]
    steps = [b for b in steps if isinstance(b.node, Step) and b.node.gate is None]
    closures = {bound.name: plan.closure(bound) for bound in steps}
    for bound in steps:
        _refuse_changed(plan, record, bound, rows, artifacts)
    modules = dict(loaded)
    for closure in closures.values():
        modules = dict.fromkeys(closure.files, "") | modules | {path: name for name, path in closure.modules}
    code = _placed(modules, file) | _read_while_loading(pipeline, file)
    texts = {path: Path(source).read_bytes() for path, source in code.items()}
    private = [b for b in pipeline.steps.values() if b not in steps]
    return Survey(
        code={path: (source, hashlib.sha256(texts[path]).hexdigest()) for path, source in code.items()},
        settings={b.name: {n: settings.plain(v, b.name) for n, v in b.settings.items()} for b in steps},
        parts={name: {k: v for k, v in c.parts.items() if k.startswith(("code ", "module "))} for name, c in closures.items()},
        imports=_imports(texts, f"code/{file.name}", _lines_of(private, file) - _lines_of(steps, file)),
        lock=str(lock),
        about=pipeline.about.to_json() if pipeline.about else None,
        licences={
            name: _known(bound.node)
            for name, bound in pipeline.steps.items()
            if isinstance(bound.node, Source) and bound.label.is_open and name in rows
        },
    )


def _known(source: Source) -> dict[str, Any]:
    """Licence, credit and origin of an open source; an origin says the first two as well."""
    from pellucid.packages.format import origin

    known: dict[str, Any] = {"licence": source.licence, "credit": source.credit}
    if source.origin is not None:
        found = origin.read(source.origin)
        credit = f"{'; '.join(map(str, found['creators']))}: {found['title']} ({found['date'][:4]}), {found['artifact']}"
        known = {"licence": source.licence or found["licence"], "credit": source.credit or credit, "origin": found}
    return known


def _project_modules(names: set[str], file: Path) -> dict[Path, str]:
    """The project's modules among those loaded: file -> module name ("" for the pipeline file)."""
    from pellucid.pipeline.declaration import is_project_file

    found = {file: ""}
    for name in sorted(names):
        path = getattr(sys.modules.get(name), "__file__", None)
        if path and is_project_file(path) and Path(path) != file:
            found[Path(path)] = name
    return found


def _other(where: str, why: str) -> UsageError:
    return UsageError("what ran is no longer here", where=where, why=why, fix="Run the pipeline again and publish that run")


def _refuse_changed(
    plan: Plan, record: Record, bound: Bound, rows: Mapping[str, StepRecord], artifacts: Mapping[str, Artifact]
) -> None:
    """Compute the step's keys anew; every one must be the recorded one."""
    from pellucid.pipeline.declaration import Step
    from pellucid.pipeline.keys import changed

    assert isinstance(bound.node, Step)
    row = rows[bound.name]
    if bound.node.by is not None:
        cut = plan.partition(bound, artifacts)
        pieces = record.result(cut.key)
        if pieces is None:
            raise _other(f'step "{bound.name}"', "how its input was cut is no longer in the record, or the environment changed")
        edge = next(edge for edge in bound.edges if edge.parameter == bound.node.over)
        artifacts = {**artifacts, edge.output: pieces[0]}
    branches = plan.branches(bound, artifacts)
    if not bound.fanned:
        said = changed(row.parts, branches[0].parts) if branches[0].key != row.key else []
    else:
        said = changed(row.parts, {f"branch {branch.name}": branch.key for branch in branches})
    if said:
        raise _other(f'step "{bound.name}"', "; ".join(said[:3]))


def _placed(modules: Mapping[Path, str], file: Path) -> dict[str, str]:
    """Where each source file goes in the package, so that it is imported there by the same name. Raises UsageError."""
    placed: dict[str, str] = {}
    for path, name in sorted(modules.items()):
        parts = name.split(".") if name else []
        as_module = Path(*parts[:-1], path.name) if parts and path.stem.split(".")[0] == parts[-1] else Path(*parts, path.name)
        inside = _below(path, file.parent)
        if inside is not None and (not name or path == file or inside == as_module):
            place = f"code/{inside.as_posix()}"
        elif name:
            place = f"{ELSEWHERE}/{as_module.as_posix()}"
        else:
            raise UsageError("it lies outside of the pipeline's folder and is not a module", where=str(path))
        if placed.setdefault(place, str(path)) != str(path):
            raise UsageError(f"{path.name} and {Path(placed[place]).name} would be one file in the package", where=str(path))
    return placed


def _read_while_loading(pipeline: Pipeline, file: Path) -> dict[str, str]:
    """The files of the pipeline's folder that it opened while it loaded: settings, queries, templates, and data beside the code.

    None of them is private: a pipeline file that opens a private one is refused when it is loaded. A file elsewhere is not taken
    along; where it is needed, the package does not load, and is not published (loading_check.py).
    """
    found: dict[str, str] = {}
    for name, _ in pipeline.loading.files if pipeline.loading else ():
        path = Path(name)
        inside = _below(path, file.parent)
        if inside is not None and path.is_file() and ".pellucid" not in inside.parts:
            found[f"code/{inside.as_posix()}"] = str(path)
    return found


def _below(path: Path, folder: Path) -> Path | None:
    for one, other in ((path, folder), (path.resolve(), folder.resolve())):
        if one.is_relative_to(other):
            return one.relative_to(other)
    return None


def _lines_of(bounds: list[Bound], file: Path) -> set[int]:
    """The first lines of functions in the pipeline file that only private steps call: what they import is not needed."""
    codes = [getattr(getattr(bound.node, "fn", None), "__code__", None) for bound in bounds]
    return {code.co_firstlineno for code in codes if code is not None and code.co_filename == str(file)}


def _imports(texts: Mapping[str, bytes], pipeline: str, skipped: set[int]) -> dict[str, list[str]]:
    """The environment's modules that the code imports anywhere, each with the distributions that have it."""
    import importlib.metadata

    from pellucid.pipeline.declaration import is_project_file, spec_of

    tops = {
        top for path, text in texts.items() if path.endswith(".py") for top in _tops(text, skipped if path == pipeline else set())
    }
    foreign = []
    for top in sorted(tops - set(sys.stdlib_module_names) - {"pellucid"}):
        spec = spec_of(top, None)
        if spec is not None and not (spec.origin and is_project_file(spec.origin)):
            foreign.append(top)
    distributions = importlib.metadata.packages_distributions() if foreign else {}
    return {top: sorted(set(distributions[top])) for top in foreign if top in distributions}


def _tops(text: bytes, skipped: set[int]) -> Iterator[str]:
    waiting: list[ast.AST] = [ast.parse(text)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef) and min([node.lineno, *(d.lineno for d in node.decorator_list)]) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0]
        waiting.extend(ast.iter_child_nodes(node))


if __name__ == "__main__":
    os.environ.setdefault("PYTHONDONTWRITEBYTECODE", "1")
    main(*sys.argv[1:])
