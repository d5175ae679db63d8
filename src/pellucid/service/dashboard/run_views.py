"""What the pages of runs show: lists, one run, its outputs, several side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pellucid.errors import StoreError, UsageError, suggest
from pellucid.pipeline.declaration import graph_drawing
from pellucid.pipeline.record import (
    Artifact,
    ListedRun,
    Record,
    RunTags,
    StepRecord,
    curves_of,
    metric_names,
    numbers_of,
    path_of,
    tags_of_runs,
)
from pellucid.service.dashboard import charts
from pellucid.store import Objects, kinds

MOST_COMPARED = 500
DEFAULT_METRICS = 4  # columns of a list, where none are chosen
PREVIEW_ROWS = 50
MOST_PICTURE = 4 << 20


def usual_metrics(record: Record, pipeline: str) -> list[str]:
    """The metrics a list shows where none are chosen: the first few of the newest run, releases' parameters last."""
    names = metric_names(record, pipeline)
    told = [name for name in names if "_guarantee." not in name and "[" not in name]
    plain = [name for name in told if not name.endswith(("_error", "_count", ".people", ".rows"))]
    return (plain or told)[:DEFAULT_METRICS]


def with_epsilon(record: Record, names: Sequence[str]) -> list[str]:
    """These metrics, and those that a run's epsilon is summed from."""
    return [*names, *(name for name in metric_names(record) if name.endswith("_guarantee.epsilon"))]


def step_told(step: StepRecord, private: bool) -> dict[str, Any]:
    """One step as anyone may see it; with `private` all of it, for the data's steward."""
    quiet = step.label != "open" and not private  # a digest confirms a guess of what is private, and a size may too
    outputs = {
        name: {
            "kind": artifact.kind,
            "digest": None if quiet else artifact.digest,
            "bytes": None if quiet else artifact.size,
            "branches": None if quiet or artifact.items is None else len(artifact.items),
        }
        for name, artifact in step.outputs.items()
    }
    return {
        "step": step.step, "kind": step.kind, "label": step.label, "action": step.action, "seconds": step.seconds,
        "attempts": step.attempts, "message": step.message, "outputs": outputs,
        "key": None if quiet else step.key,
    }  # fmt: skip


def settings_of(steps: Iterable[StepRecord]) -> dict[str, str]:
    """The settings that a run's steps had, by STEP.SETTING, of steps that are not a branch."""
    return {
        f"{step.step}.{part.removeprefix('setting ')}": value
        for step in steps
        if "[" not in step.step
        for part, value in step.parts.items()
        if part.startswith("setting ")
    }


def one_run(record: Record, wanted: str, private: bool) -> dict[str, Any]:
    """All that the page of a run shows. Raises UsageError where there is none."""
    run = record.find(wanted)
    steps = record.steps(run["run"])
    objects = Objects(record.home)
    order = {node["step"]: at for at, node in enumerate(run["graph"])}
    whole = sorted((step for step in steps if "[" not in step.step), key=lambda step: order.get(step.step, len(order)))
    metrics: dict[str, float] = {}
    for step in whole:
        if step.label == "open" or private:
            metrics |= numbers_of(objects, step.outputs)
    tags = tags_of_runs(record.db, [run["run"]]).get(run["run"], RunTags())
    keep = ("run", "pipeline", "status", "started", "seconds", "seed", "git", "environment", "file")
    told = {name: run[name] for name in keep}
    closed = {step.step for step in whole if step.label != "open"}
    told["set"] = {name: value for name, value in run["settings"].items() if private or name.partition(".")[0] not in closed}
    told["file"] = Path(run["file"]).name if run["file"] else None  # where it lies on this machine is nobody's business
    return {
        **told, "name": tags.name, "tags": dict(tags.tags), "note": tags.note,
        "settings": settings_of(step for step in whole if step.label == "open" or private), "metrics": metrics,
        "steps": [step_told(step, private) for step in whole],
        "curves": curves_of(record.db, run["run"], private=private),
        "failed": [step_told(step, private) for step in steps if step.action == "failed"],
        "graph": [{name: node[name] for name in ("step", "kind", "label", "inputs", "outputs")} for node in run["graph"]],
    }  # fmt: skip


def drawing(graph: Sequence[Mapping[str, Any]]) -> str:
    """The graph of a run as SVG."""
    maker = {output[0]: node["step"] for node in graph for output in node["outputs"]}
    nodes = [
        graph_drawing.Drawn(
            node["step"], node["kind"], node["label"],
            tuple(dict.fromkeys(maker[name] for name in node["inputs"].values() if name in maker)),
            tuple(output[0] for output in node["outputs"] if output[0] != node["step"]),
        )
        for node in graph
    ]  # fmt: skip
    return graph_drawing.svg(nodes)


def lineage(graph: Sequence[Mapping[str, Any]], output: str) -> dict[str, list[str]]:
    """The steps that an output was made from (`up`) and those that use it (`down`), directly or not, in running order."""
    maker = {name[0]: node["step"] for node in graph for name in node["outputs"]}
    needs = {node["step"]: {maker[name] for name in node["inputs"].values() if name in maker} for node in graph}
    uses = {node["step"]: {name for name, found in needs.items() if node["step"] in found} for node in graph}
    start = maker.get(output, output)
    return {"up": _reached(start, needs, graph), "down": _reached(start, uses, graph)}


def _reached(start: str, next_to: Mapping[str, set[str]], graph: Sequence[Mapping[str, Any]]) -> list[str]:
    seen, waiting = set[str](), [start]
    while waiting:
        new = next_to.get(waiting.pop(), set()) - seen
        seen |= new
        waiting += new
    return [node["step"] for node in graph if node["step"] in seen]


def find_output(record: Record, run: str, name: str) -> tuple[StepRecord, Artifact]:
    """An output of a run by its name, or a branch of one (means[shrink=1.0]). Raises UsageError."""
    there: dict[str, tuple[StepRecord, Artifact]] = {}
    for step in record.steps(run):
        if "[" in step.step:
            continue
        for output, artifact in step.outputs.items():
            there[output] = (step, artifact)
            there |= {f"{output}[{label}]": (step, item) for label, item in artifact.items or ()}
    if name not in there:
        raise UsageError(f'run {run} has no output "{name:.80}"', fix=suggest(name, there))
    return there[name]


def preview(home: Path, artifact: Artifact) -> dict[str, Any]:
    """The beginning of a value: rows and columns of a table, numbers, a model's parts, a picture. `trouble` where it cannot be read."""
    if artifact.items is not None:
        return {"branches": [label for label, _ in artifact.items]}
    objects = Objects(home)
    try:
        value = kinds.load(path_of(objects, artifact), artifact.kind)
        if artifact.kind == "table":
            rows = next(iter(value.batches(PREVIEW_ROWS)), None)  # never more of it in memory
            columns = [{"name": field.name, "type": str(field.type)} for field in value.schema]
            cells = [] if rows is None else [[_cell(cell) for cell in row.values()] for row in rows.to_pylist()]
            return {"columns": columns, "rows": cells, "total": value.num_rows}
        if artifact.kind == "metrics":
            return {"numbers": dict(value)}
        if artifact.kind == "model":
            arrays = {name: f"{array.dtype} {list(array.shape)}" for name, array in sorted(value.arrays.items())}
            return {"model": value.kind, "arrays": arrays, "settings": dict(value.settings)}
        if artifact.kind == "array":
            return {"array": f"{value.dtype} {list(value.shape)}"}
        path = path_of(objects, artifact)
        with path.open("rb") as file:
            picture = artifact.size <= MOST_PICTURE and file.read(8) == b"\x89PNG\r\n\x1a\n"
        return {"picture": picture, "file": artifact.suffix}
    except (StoreError, OSError) as error:
        return {"trouble": str(error)}


def _cell(value: Any) -> str:
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)[:200]


def compared(record: Record, rows: Sequence[ListedRun], metrics: Sequence[str]) -> dict[str, Any]:
    """Runs side by side: the settings that differ, the chosen metrics, and the curves that several have."""
    settings = {
        row.run: settings_of(step for step in record.steps(row.run) if step.label == "open")
        if len(rows) <= 50
        else dict(row.settings)
        for row in rows
    }
    names = sorted({name for found in settings.values() for name in found})
    differing = [name for name in names if len({settings[row.run].get(name) for row in rows}) > 1]
    if len({row.pipeline for row in rows}) > 1:  # of other pipelines what they both have: all else differs anyhow
        differing = [name for name in differing if all(name in settings[row.run] for row in rows)]
    return {
        "runs": [
            {
                "run": row.run, "name": row.name, "status": row.status, "started": row.started,
                "settings": {name: settings[row.run].get(name) for name in differing},
                "metrics": {name: row.metrics.get(name) for name in metrics},
            }
            for row in rows
        ],
        "settings": differing,
        "metrics": list(metrics),
    }  # fmt: skip


def comparison_charts(record: Record, told: Mapping[str, Any], x: str, y: str, curve: str) -> dict[str, str]:
    """Parallel lines over what differs, a scatter of two of it, and one logged metric of every run."""
    axes = [*told["settings"], *told["metrics"]]
    values = {run["run"]: {**run["settings"], **run["metrics"]} for run in told["runs"]}
    shown = [
        name for name in axes if all(_number(found.get(name)) is not None or found.get(name) is None for found in values.values())
    ][:8]
    rows = [(run, [_number(found.get(name)) for name in shown]) for run, found in values.items()]
    points = [
        (run, a, b)
        for run, found in values.items()
        if (a := _number(found.get(x))) is not None and (b := _number(found.get(y))) is not None
    ]
    series = []
    if curve:
        for run in list(values)[:100]:
            found = curves_of(record.db, run).get(curve)
            if found:
                series.append((run, charts.thinned(found)))
    return {
        "parallel": charts.parallel("Settings and metrics of each run", shown, rows),
        "scatter": charts.scatter(f"{y} over {x}", x, y, points) if x and y else "",
        "curves": charts.lines(curve, "step", series),
    }


def curve_names(record: Record, runs: Sequence[str]) -> list[str]:
    """What the first of these runs that logged anything logged."""
    for run in runs[:20]:
        if found := curves_of(record.db, run):
            return list(found)
    return []


def _number(value: Any) -> float | None:
    if isinstance(value, int | float):
        return float(value)
    try:
        return float(value) if value is not None else None
    except (TypeError, ValueError):
        return None
