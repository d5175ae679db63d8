"""Models of scikit-learn and LightGBM: kept as bytes that any process makes again, built without running code, asked by row or by name."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid.errors import DataError, UsageError
from pellucid.models import estimators
from pellucid.pipeline.running import load, run
from pellucid.store import Model, kinds

MAKE = """
import sys
from pathlib import Path

import lightgbm
import numpy as np
from sklearn.cluster import KMeans
from sklearn.compose import make_column_transformer
from sklearn.ensemble import GradientBoostingRegressor, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

X = np.random.default_rng(0).normal(size=(300, 4))
X[:, 2] = np.round(X[:, 2])
y = (X[:, 0] + X[:, 2] > 0).astype(int)
MADE = {
    "logistic": make_pipeline(StandardScaler(), LogisticRegression()),
    "columns": make_pipeline(make_column_transformer((StandardScaler(), [0, 1]), (OneHotEncoder(), [2])), LogisticRegression()),
    "forest": RandomForestClassifier(n_estimators=5, random_state=0),
    "histogram": HistGradientBoostingClassifier(max_iter=5, random_state=0),
    "boosted": GradientBoostingRegressor(n_estimators=5, random_state=0),
    "neighbours": KNeighborsClassifier(),
    "means": KMeans(3, n_init=1, random_state=0),
    "ridge": Ridge(),
    "words": None,
    "lightgbm": lightgbm.LGBMClassifier(n_estimators=5, verbosity=-1, n_jobs=1, deterministic=True, force_row_wise=True),
    "regressor": lightgbm.LGBMRegressor(n_estimators=5, verbosity=-1, n_jobs=1, deterministic=True, force_row_wise=True),
}
LABELS = np.where(y > 0, "yes", "no")


def made(name):
    if name == "words":
        return LogisticRegression().fit(X, LABELS)
    return MADE[name].fit(X, y)


if __name__ == "__main__":
    import json
    import tempfile

    from pellucid.models import estimators
    from pellucid.store import kinds

    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps({name: kinds.save(estimators.keep(made(name)), "model", Path(folder), name).digest for name in MADE}))
"""
NAMES = (
    "logistic",
    "columns",
    "forest",
    "histogram",
    "boosted",
    "neighbours",
    "means",
    "ridge",
    "words",
    "lightgbm",
    "regressor",
)


@pytest.fixture(scope="module")
def making(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    held: dict[str, Any] = {"__name__": "making"}
    exec(compile(MAKE, "making.py", "exec"), held)
    return held


@pytest.mark.quick(4)
@pytest.mark.parametrize("name", NAMES)
def test_what_is_kept_predicts_as_it_did(making: dict[str, Any], tmp_path: Path, name: str):
    estimator = making["made"](name)
    saved = kinds.save(estimators.keep(estimator), "model", tmp_path, name)
    again = kinds.load(saved.path, "model")
    assert (estimators.predict(again, making["X"]) == estimator.predict(making["X"])).all()
    assert again.kind == ("lightgbm" if name in ("lightgbm", "regressor") else "sklearn")


@pytest.mark.slow
def test_every_process_makes_the_same_bytes(tmp_path: Path):
    (tmp_path / "making.py").write_text(MAKE)
    told = []
    for seed in ("1", "77"):
        environment = {"PATH": "/usr/bin:/bin", "PYTHONHASHSEED": seed, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        done = subprocess.run(
            [sys.executable, "making.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
        )
        told.append(json.loads(done.stdout))
    assert told[0] == told[1] and len(set(told[0].values())) == len(NAMES)


def own(value: Any) -> Any:
    return value


def test_parts_that_would_run_code_are_refused(making: dict[str, Any]):
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    with pytest.raises(UsageError, match="parts that are not scikit-learn's"):
        estimators.keep(make_pipeline(FunctionTransformer(own), making["made"]("ridge")).fit(making["X"], making["y"]))
    with pytest.raises(UsageError, match="cannot be kept"):
        estimators.keep(object())
    with pytest.raises(UsageError, match="is no estimator"):
        estimators.restore(Model("ease", {}, {}))


@pytest.mark.parametrize(
    ("module", "name"),
    [("os", "system"), ("builtins", "eval"), ("subprocess", "Popen"), ("pathlib", "Path"), ("sklearn.datasets", "fetch_openml"),
     ("numpy", "load"), ("sklearn.utils._testing", "check_skip_network"), ("pellucid.store", "Objects"), ("sklearn", "nothing")],
)  # fmt: skip
def test_a_file_that_names_what_is_not_to_be_built(making: dict[str, Any], tmp_path: Path, module: str, name: str):
    """A stranger's file: its schema says to build something else. Nothing is called."""
    model = estimators.keep(making["made"]("logistic"))
    schema = json.loads(model.arrays["schema"].tobytes())
    (step,) = [node for node in _nodes(schema) if node.get("__class__") == "StandardScaler"]
    step["__module__"], step["__class__"] = module, name
    arrays = {**model.arrays, "schema": np.frombuffer(json.dumps(schema).encode(), dtype=np.uint8)}
    with pytest.raises(DataError):
        estimators.restore(Model("sklearn", arrays, model.settings))


@pytest.mark.parametrize("text", [b"", b"{}", b"[]", b"nonsense", b'{"__class__": 3}'])
def test_a_damaged_file_is_said(making: dict[str, Any], text: bytes):
    model = estimators.keep(making["made"]("ridge"))
    with pytest.raises(DataError):
        estimators.restore(Model("sklearn", {**model.arrays, "schema": np.frombuffer(text, dtype=np.uint8)}, model.settings))


def _nodes(value: Any) -> Any:
    if isinstance(value, dict):
        yield value
        for one in value.values():
            yield from _nodes(one)
    elif isinstance(value, list):
        for one in value:
            yield from _nodes(one)


PIPELINE = """
import pellucid as pl
from pellucid.models import estimators

flowers = pl.source("flowers.csv", label="open")


@pl.step(kind="train")
def forest(flowers: pl.Table, trees: int = 7) -> pl.Model:
    from sklearn.ensemble import RandomForestClassifier

    table = flowers.pandas()
    return estimators.keep(RandomForestClassifier(n_estimators=trees, random_state=0).fit(table[["long", "wide"]], table["kind"]))


@pl.step(kind="train")
def boosted(flowers: pl.Table) -> pl.Model:
    import lightgbm

    table = flowers.pandas()
    model = lightgbm.LGBMClassifier(n_estimators=7, min_child_samples=2, verbosity=-1, n_jobs=1, deterministic=True, force_row_wise=True)
    return estimators.keep(model.fit(table[["long", "wide"]], table["kind"]))


@pl.step(kind="train")
def groups(flowers: pl.Table) -> pl.Model:
    from sklearn.cluster import KMeans  # it asks threadpoolctl which libraries compute

    return estimators.keep(KMeans(3, n_init=1, random_state=0).fit(flowers.pandas()[["long", "wide"]]))


@pl.step(kind="evaluate")
def quality(flowers: pl.Table, forest: pl.Model, boosted: pl.Model) -> pl.Metrics:
    table = flowers.pandas()
    rows = table[["long", "wide"]].to_numpy()
    models = {"forest": forest, "boosted": boosted}
    return {name: float((estimators.predict(model, rows) == table["kind"]).mean()) for name, model in models.items()}


pipeline = pl.Pipeline("flowers", [flowers, forest, boosted, groups, quality])
"""


@pytest.fixture(scope="module")
def flowers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("flowers")
    draw = np.random.default_rng(3)
    rows = [
        (kind, draw.normal(at, 0.4), draw.normal(2 * at, 0.4))
        for at, kind in enumerate(("rose", "lily", "iris"))
        for _ in range(40)
    ]
    (folder / "flowers.csv").write_text("kind,long,wide\n" + "".join(f"{kind},{a:.3f},{b:.3f}\n" for kind, a, b in rows))
    (folder / "flowers.py").write_text(PIPELINE)
    return folder


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("confined", [False, True])
def test_a_pipeline_trains_them_and_reads_them_back(flowers: Path, confined: bool):
    done = run(load(flowers / "flowers.py"), home=flowers / f".pellucid-{confined}", confined=confined, jobs=2)
    assert done["quality"]["forest"] > 0.95 and done["quality"]["boosted"] > 0.9
    model = done["forest"]
    assert model.settings["features"] == ["long", "wide"] and sorted(model.settings["classes"]) == ["iris", "lily", "rose"]
    assert isinstance(model, pl.Model)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_service_asks_them(flowers: Path):
    from fastapi.testclient import TestClient

    from pellucid.registry import promote
    from pellucid.service import create_app
    from pellucid.service.answer_counts import counted_answers

    home = flowers / ".pellucid-True"
    run(load(flowers / "flowers.py"), home=home, confined=True)
    promote(home, "forest", "flowers")
    promote(home, "boosted", "flowers-boosted")
    with TestClient(create_app(home)) as client:
        for alias in ("flowers", "flowers-boosted"):
            told = client.post(f"/models/{alias}/predict", json={"rows": [[0.0, 0.1], [2.1, 4.0]]}).json()
            assert told["predictions"] == ["rose", "iris"] and told["model"]["version"] >= 1
            named = client.post(f"/models/{alias}/predict", json={"rows": [{"wide": 4.0, "long": 2.1}]})
            assert named.json()["predictions"] == ["iris"]
            for rows in (
                [],
                [[1.0]],
                [["x", "y"]],
                [{"long": 1.0}],
                [{"long": 1.0, "wide": 1.0, "deep": 1.0}],
                [[1.0, 2.0], {"long": 1.0, "wide": 2.0}],
            ):
                assert client.post(f"/models/{alias}/predict", json={"rows": rows}).status_code == 422, rows
        counts = client.app.state.followed.counts  # type: ignore[attr-defined]
        counts.write(now=True)
        asked = {one["alias"]: one["asked"] for one in counted_answers(home)}
        assert asked == {"flowers": 2, "flowers-boosted": 2}, "answers are counted, what was asked wrongly is not"
        assert "MOST_ROWS" not in client.get("/openapi.json").text and "Question" in client.get("/openapi.json").text
