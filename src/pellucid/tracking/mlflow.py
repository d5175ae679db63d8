"""Mirror a run's open side to an MLflow server: settings as parameters, metrics, open artifacts, and what was withheld as a tag.

Needs MLflow in the environment. One Pellucid run is one MLflow run, found again by the tag `pellucid.run`: exporting twice
gives the same run back. MLflow is the place to look, not the truth: nothing is read back from it.
"""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pellucid.errors import LabelError, UsageError
from pellucid.pipeline.record import Record, StepRecord, metrics_of, path_of
from pellucid.store import PROVES_NOTHING, Objects

_VALUE_LIMIT = 6000  # MLflow's own limit on a parameter's length


@dataclass(frozen=True)
class Mirrored:
    """Where a run went: MLflow's run id, what was sent, and the steps that were withheld because they are not open."""

    uri: str
    experiment: str
    mlflow_run: str
    metrics: int
    artifacts: tuple[str, ...]
    withheld: tuple[str, ...]
    fresh: bool

    def to_json(self) -> dict[str, Any]:
        return dict(vars(self))


def mirror(home: Path, wanted: str, uri: str, *, artifacts: bool = True) -> Mirrored:
    """Send the open side of a finished run to the MLflow server at `uri`.

    Raises UsageError when MLflow is not installed or the server does not answer, LabelError when the run has nothing open.
    """
    client, exceptions = _client(uri)
    record, objects = Record(home), Objects(home)
    run = record.find(wanted)
    if run["status"] != "done":
        raise UsageError(f"run {run['run']} is {run['status']}", fix="Finish it first: run the pipeline again")
    steps = record.steps(run["run"])
    record.close()
    open_steps = [step for step in steps if step.label == "open"]
    withheld = tuple(step.step for step in steps if step.label != "open")
    if not open_steps:
        why = PROVES_NOTHING if any(step.label == "protected" for step in steps) else ""
        raise LabelError("nothing in this run is open", where=run["run"], why=why, fix="Release what should be seen (pl.release)")
    chatter = io.StringIO()  # MLflow prints links of its own, which have no place in our output
    try:
        with contextlib.redirect_stdout(chatter):
            experiment = _experiment(client, run["pipeline"])
            found = client.search_runs([experiment], f"tags.`pellucid.run` = '{run['run']}'", max_results=1)
            if found:
                return Mirrored(uri, run["pipeline"], found[0].info.run_id, 0, (), withheld, fresh=False)
            created = client.create_run(
                experiment, start_time=int(run["started"] * 1000), tags=_tags(run, withheld), run_name=run["run"]
            )
            target = created.info.run_id
            sent = _send(client, objects, target, open_steps, artifacts)
            client.set_terminated(target, "FINISHED", end_time=int((run["started"] + (run["seconds"] or 0)) * 1000))
    except exceptions as error:
        why = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise UsageError("the MLflow server refused or did not answer", where=uri, why=why, fix="Check its address") from error
    return Mirrored(uri, run["pipeline"], target, sent[0], sent[1], withheld, fresh=True)


def _client(uri: str) -> tuple[Any, Any]:
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("DO_NOT_TRACK", "true")
    try:
        from mlflow.exceptions import MlflowException
        from mlflow.tracking import MlflowClient
    except ImportError as error:
        raise UsageError("MLflow is not installed", fix="Install it: pip install mlflow") from error
    return MlflowClient(tracking_uri=uri), (MlflowException, OSError)


def _experiment(client: Any, name: str) -> str:
    found = client.get_experiment_by_name(name)
    return str(found.experiment_id if found is not None else client.create_experiment(name))


def _tags(run: dict[str, Any], withheld: tuple[str, ...]) -> dict[str, str]:
    environment = run["environment"]
    tags = {
        "pellucid.run": run["run"],
        "pellucid.seed": str(run["seed"]),
        "pellucid.lock": environment["lock"],
        "pellucid.python": environment["python"],
        "pellucid.withheld": ", ".join(withheld) or "nothing",
    }
    return tags | ({"mlflow.source.git.commit": run["git"]} if run["git"] else {})


def _send(client: Any, objects: Objects, target: str, steps: list[StepRecord], artifacts: bool) -> tuple[int, tuple[str, ...]]:
    from mlflow.entities import Metric, Param

    params, metrics, sent = [], [], []
    timestamp = int(time.time() * 1000)
    for step in steps:
        for part, value in step.parts.items():
            if part.startswith("setting "):
                params.append(Param(f"{step.step}.{part.removeprefix('setting ')}", value[:_VALUE_LIMIT]))
        for name, artifact in step.outputs.items():
            if artifact.items is not None:
                continue
            if artifact.kind == "metrics":
                values = metrics_of(objects, {name: artifact})
                metrics += [Metric(f"{name}.{key}", float(value), timestamp, 0) for key, value in values.items()]
            if artifacts:
                with tempfile.TemporaryDirectory() as folder:  # MLflow names an artifact after its file
                    named = Path(folder, f"{name}{artifact.suffix}")
                    named.symlink_to(path_of(objects, artifact))
                    client.log_artifact(target, str(named))
                sent.append(name)
    for at in range(0, max(len(metrics), len(params)), 100):  # MLflow's limit for one call
        client.log_batch(target, metrics=metrics[at : at + 100], params=params[at : at + 100])
    return len(metrics), tuple(sent)
