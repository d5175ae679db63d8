"""A model as a folder that MLflow serves (`mlflow models serve -m FOLDER --env-manager local`). It is loaded from code, not from a pickle.

Needs MLflow in the environment, and pellucid where it is served. What goes in is one column: `items` for a recommender (a list of items in
each row), or the features of an estimator by their names; out come lists of items, or predictions.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import tempfile
from pathlib import Path

from pellucid.errors import LabelError, UsageError
from pellucid.models import KINDS, estimators
from pellucid.pipeline.record import path_of
from pellucid.registry import ModelVersion, find_model
from pellucid.store import Objects

CODE = '''"""Loaded by MLflow: a model that Pellucid made, from its own open file."""

from pathlib import Path

import mlflow
import pandas

from pellucid.models import estimators, recommend
from pellucid.store import kinds


class PellucidModel(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        self.model = kinds.load(Path(context.artifacts["model"]), "model")
        self.estimator = estimators.restore(self.model) if self.model.kind in estimators.KINDS else None

    def predict(self, context, model_input, params=None):
        if self.estimator is not None:
            features = self.model.settings.get("features")
            rows = model_input[features] if features and isinstance(model_input, pandas.DataFrame) else model_input
            return estimators.predict(self.model, rows.to_numpy().tolist() if hasattr(rows, "to_numpy") else rows, estimator=self.estimator)
        known = {str(item): item for item in self.model.arrays["items"].tolist()}
        count = int((params or {}).get("k", 10))
        histories = model_input["items"] if isinstance(model_input, pandas.DataFrame) else model_input
        known_of = [[known[str(one)] for one in row if str(one) in known] for row in histories]
        return [[item for item, _ in recommend(self.model, row, count)] for row in known_of]


mlflow.models.set_model(PellucidModel())
'''


def export(home: Path, wanted: str, folder: Path) -> ModelVersion:
    """Write the model that `wanted` (NAME[@VERSION]) means to a new folder.

    Raises UsageError where MLflow is not installed, the folder is there already or the model is of a kind that answers nothing, LabelError
    for what is not open.
    """
    model = find_model(home, wanted)
    if model.label != "open":
        raise LabelError(f'"{model.output}" is {model.label}', why="what is exported is public", fix="Release first")
    kind = model.kind(home)
    if kind not in (*KINDS, *estimators.KINDS):
        raise UsageError(f"a model of kind {kind} is asked nothing", fix=f"These are: {', '.join((*KINDS, *estimators.KINDS))}")
    if folder.exists():
        raise UsageError("it is there already", where=str(folder), fix="Name a folder that does not exist yet")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("DO_NOT_TRACK", "true")
    try:
        import mlflow
    except ImportError as error:
        raise UsageError("MLflow is not installed", fix="Install it: pip install mlflow") from error
    with tempfile.TemporaryDirectory() as scratch, contextlib.redirect_stdout(io.StringIO()):
        code, held = Path(scratch, "pellucid_model.py"), Path(scratch, f"{model.output}{model.artifact.suffix}")
        code.write_text(CODE)
        shutil.copyfile(path_of(Objects(home), model.artifact), held)
        about = {"name": model.name, "version": str(model.version), "digest": model.artifact.digest, "run": model.run}
        mlflow.pyfunc.save_model(
            str(folder),
            python_model=str(code),
            artifacts={"model": str(held)},
            pip_requirements=[],
            metadata=about,
        )
    return model
