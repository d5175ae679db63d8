"""Batch prediction: what a table is told by a model of the registry, and when it is asked again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from pellucid.errors import LabelError, PellucidError, StepError, UsageError
from pellucid.packages.publishing import publish
from pellucid.packages.reproducing import reproduce
from pellucid.pipeline.declaration import Pipeline, Source, StoredModel
from pellucid.pipeline.record import Record, Run, path_of
from pellucid.pipeline.running import foresee, load, run
from pellucid.registry import RULES_FILE, Deployments, find_model, guarantees_behind, predict, promote, registry_model
from pellucid.store import OPEN, Objects

TRAIN = """
import pellucid as pl
from pellucid.models import estimators, popularity

rows = pl.source("rows.csv", label="open", licence="CC0-1.0")
gram = pl.source("gram.csv", label="open", licence="CC0-1.0")
people = pl.source("people.csv", label="private", unit="person")


@pl.step
def sizes(rows: pl.Table, rounds: int = 2) -> pl.Model:
    import lightgbm

    frame = rows.pandas()
    made = lightgbm.LGBMRegressor(n_estimators=rounds, min_child_samples=2, verbosity=-1, n_jobs=1, deterministic=True, force_row_wise=True)
    return estimators.keep(made.fit(frame[["long", "wide"]], frame["size"]))


@pl.step
def popular(gram: pl.Table) -> pl.Model:
    return popularity.fit(gram)


@pl.step
def secret(people: pl.Table) -> pl.Model:
    return pl.Model("toy", {}, {"n": people.num_rows})


pipeline = pl.Pipeline("train", [rows, gram, people, sizes, popular, secret])
"""
USE = """
import pellucid as pl

rows = pl.source("rows.csv", label="open", licence="CC0-1.0")
people = pl.source("people.csv", label="private", unit="person")
model = pl.registry_model("MODEL", licence="CC0-1.0", credit="Doe, Jane")
predictions = pl.predict(model, rows)
closed = pl.predict(model, people, name="closed")


@pl.step
def mean(predictions: pl.Table) -> pl.Metrics:
    return {"mean": predictions.arrow()["prediction"].to_numpy().mean()}


about = pl.About(title="Use", description="A use.", creators=("Doe, Jane",), licence="CC0-1.0", data_licence="CC0-1.0")
pipeline = pl.Pipeline("use", [rows, people, model, predictions, closed, mean], about=about)
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs that train `sizes`; the second gives another model."""
    folder = tmp_path_factory.mktemp("batch")
    rows = [(at % 7, at % 5, 3 * (at % 7) + at % 5) for at in range(60)]
    (folder / "rows.csv").write_text("long,wide,size\n" + "".join(f"{a},{b},{c}\n" for a, b, c in rows))
    (folder / "people.csv").write_text("person,long,wide\n" + "".join(f"{at},{at % 7},{at % 3}\n" for at in range(40)))
    (folder / "gram.csv").write_text("item_a,item_b,count\n1,1,5.0\n1,2,2.0\n2,2,9.0\n3,3,1.0\n")
    (folder / "train.py").write_text(TRAIN)
    for rounds in (2, 5):
        run(load(folder / "train.py"), home=folder / ".pellucid", settings={"sizes.rounds": rounds}, confined=True)
    return folder


@pytest.fixture
def project(trained: Path, tmp_path: Path) -> Path:
    """A project of its own with version 1 in production."""
    folder = tmp_path / "project"
    shutil.copytree(trained, folder)
    promote(folder / ".pellucid", "sizes@1", "production")
    return folder


def used(folder: Path, model: str = "production", confined: bool = False, **options: object) -> Run:
    (folder / "use.py").write_text(USE.replace("MODEL", model))
    return run(load(folder / "use.py"), home=folder / ".pellucid", confined=confined, **options)  # type: ignore[arg-type]


def test_predictions_are_a_table_labelled_as_its_rows_and_the_model_is_in_the_record(project: Path):
    done = used(project)
    table = done["predictions"].arrow()
    assert table.column_names == ["long", "wide", "size", "prediction"] and table.num_rows == 60
    assert abs(done["mean"]["mean"] - sum(table.column("size").to_pylist()) / 60) < 0.2
    assert done.steps["closed"].label.level.word == "private" and done.steps["closed"].label.unit is None
    assert done.steps["predictions"].label.is_open
    record = Record(project / ".pellucid")
    (row,) = [step for step in record.steps(done.id) if step.step == "model"]
    record.close()
    first = find_model(project / ".pellucid", "train.sizes@1")
    assert row.parts["setting model"] == '"train.sizes"' and row.parts["setting version"] == "1"
    assert row.parts["input model"] == first.artifact.digest == row.outputs["model"].digest
    assert row.message == "train.sizes@1" and row.label == "open"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_promotion_asks_the_model_again_and_nothing_else_does(project: Path):
    home = project / ".pellucid"
    used(project, confined=True)
    actions = lambda done: {name: done.steps[name].action for name in ("predictions", "closed", "mean")}  # noqa: E731
    assert set(actions(used(project, confined=True)).values()) == {"reused"}
    run(load(project / "train.py"), home=home, settings={"sizes.rounds": 7}, confined=True)  # trained, and not promoted
    assert set(actions(used(project, confined=True)).values()) == {"reused"}
    promote(home, "sizes@1", "production")  # the same once more
    assert set(actions(used(project, confined=True)).values()) == {"reused"}
    promote(home, "sizes@2", "production")
    foreseen = {one.step: one.action for one in foresee(load(project / "use.py"), home=home)}
    assert foreseen["model"] == "reuse" and foreseen["predictions"] == foreseen["closed"] == "run"
    again = used(project, confined=True)
    assert set(actions(again).values()) == {"ran"} and again.steps["predictions"].why == ("input model changed",)
    assert again.steps["model"].message == "train.sizes@2"
    Deployments(home).rollback("production")
    assert set(actions(used(project, confined=True)).values()) == {"reused"}  # of the first run
    assert set(actions(used(project, "sizes@2", confined=True)).values()) == {"reused"}  # the same model by its version


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_what_is_rolled_back_while_a_run_is_under_way_is_for_the_next_one(project: Path):
    home, seen = project / ".pellucid", []
    promote(home, "sizes@2", "production")

    def roll_back(event: str, report: object) -> None:
        if event == "end" and not seen:
            seen.append(Deployments(home).rollback("production"))

    done = used(project, confined=True, progress=roll_back)
    second = find_model(home, "sizes@2").artifact.digest
    assert seen and done.steps["model"].outputs["model"].digest == second
    record = Record(home)
    inputs = {step.step: step.parts["input model"] for step in record.steps(done.id) if step.kind == "predict"}
    record.close()
    assert inputs == {"predictions": second, "closed": second}
    assert used(project, confined=True).steps["model"].message == "train.sizes@1"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_model_of_a_run_is_named_by_run_and_output(project: Path):
    chosen = find_model(project / ".pellucid", "sizes@2")
    assert used(project, f"{chosen.run}/sizes").steps["model"].message == "train.sizes@2"


@pytest.mark.quick(2)
@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("productoin", 'Did you mean "production"'),
        ("sizes@9", "It has 1 to 2"),
        ("nothing@1", "there is no model"),
        ("secret@1", "Only open models"),
    ],
)
def test_a_model_that_cannot_be_used_is_said_before_anything_runs(project: Path, model: str, said: str):
    with pytest.raises(PellucidError) as refused:
        used(project, model)
    assert said in str(refused.value)
    (foreseen,) = [one for one in foresee(load(project / "use.py"), home=project / ".pellucid") if one.step == "model"]
    assert foreseen.action == "fail" and said in foreseen.why[0]


@pytest.mark.parametrize(
    "wanted", ["", "Production", "a b", "last/sizes", "last~1/sizes", "sizes@", "@1", "../x", "a/b/c", "x" * 60]
)
def test_what_names_no_model_is_refused_where_it_is_written(wanted: str):
    with pytest.raises(UsageError):
        registry_model(wanted)


def test_a_model_behind_an_alias_in_another_state_folder_is_not_there(project: Path, tmp_path: Path):
    (project / "use.py").write_text(USE.replace("MODEL", "production"))
    with pytest.raises(UsageError, match="pellucid promote NAME production"):
        run(load(project / "use.py"), home=tmp_path / "other")


def test_only_the_registry_gives_a_model(project: Path):
    class Mine:
        wanted = "mine"

        def look_up(self, home: Path, where: str) -> StoredModel:
            chosen = find_model(home, "secret@1")
            return StoredModel(chosen.name, chosen.version, chosen.artifact)

    ours = registry_model("production", name="model")
    theirs = Source(**{**vars(ours), "model": Mine()})
    with pytest.raises(LabelError, match="only pellucid's registry"):
        Pipeline("use", [theirs])
    assert ours.label == OPEN


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_damaged_or_missing_file_of_a_model_is_one_line(project: Path):
    home = project / ".pellucid"
    place = path_of(Objects(home), find_model(home, "sizes@1").artifact)
    place.chmod(0o600)
    body = place.read_bytes()
    place.write_bytes(body[:-1] + bytes([body[-1] ^ 1]))
    with pytest.raises(PellucidError) as damaged:
        used(project)
    assert "damaged" in str(damaged.value) or "not what was stored" in str(damaged.value)
    place.unlink(missing_ok=True)
    with pytest.raises(PellucidError, match="is gone"):
        used(project)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_recommender_is_asked_for_each_person_in_the_order_of_the_table(project: Path):
    (project / "visits.csv").write_text("person,item\nb,2\na,1\nb,9\nc,8\n")
    (project / "recommend.py").write_text(
        "import pellucid as pl\n"
        'visits = pl.source("visits.csv", label="private", unit="person")\n'
        'popular = pl.registry_model("popular@1")\n'
        'best = pl.predict(popular, visits, person="person", item="item", k=2)\n'
        'pipeline = pl.Pipeline("best", [visits, popular, best])\n'
    )
    done = run(load(project / "recommend.py"), home=project / ".pellucid", confined=True)
    found = [tuple(row.values())[:3] for row in done["best"].arrow().to_pylist()]
    assert found == [("b", 1, 1), ("b", 2, 3), ("a", 1, 2), ("a", 2, 3), ("c", 1, 2), ("c", 2, 1)]
    assert done.steps["best"].label.level.word == "private"


@pytest.mark.quick(1)
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ('features=["lnog"]', 'Did you mean "long"'),
        ("", "prediction"),
    ],
)
def test_rows_that_do_not_fit_are_one_line(project: Path, options: str, said: str):
    (project / "rows.csv").write_text("long,wide,prediction\n1,2,3\n")
    (project / "bad.py").write_text(
        "import pellucid as pl\n"
        'rows = pl.source("rows.csv", label="open")\n'
        'model = pl.registry_model("production")\n'
        f"said = pl.predict(model, rows, {options})\n"
        'pipeline = pl.Pipeline("bad", [rows, model, said])\n'
    )
    with pytest.raises(StepError) as refused:
        run(load(project / "bad.py"), home=project / ".pellucid", confined=True)
    assert said in str(refused.value)
    with pytest.raises(UsageError, match="from 1 to"):
        predict("model", "rows", k=0)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_service_says_the_same(project: Path):
    from fastapi.testclient import TestClient

    from pellucid.service import create_app

    done = used(project)
    rows = done["predictions"].arrow().to_pylist()
    with TestClient(create_app(project / ".pellucid"), base_url="http://localhost") as client:
        asked = {"rows": [{"long": row["long"], "wide": row["wide"]} for row in rows]}
        answer = client.post("/models/production/predict", json=asked)
    assert answer.status_code == 200 and answer.json()["predictions"] == [row["prediction"] for row in rows]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_what_is_trained_on_predictions_descends_from_the_releases_behind_the_model(tmp_path: Path):
    (tmp_path / "people.csv").write_text("person,item\n" + "".join(f"{at % 50},{at % 7}\n" for at in range(300)))
    (tmp_path / "first.py").write_text(
        "import pellucid as pl\nfrom pellucid.models import popularity\n"
        'people = pl.source("people.csv", label="private", unit="person")\n'
        'gram = pl.release(pl.privacy.gram(item="item", max_contributions=5), of=people, epsilon=3.0, delta=1e-6)\n'
        "@pl.step\ndef popular(gram: pl.Table) -> pl.Model:\n    return popularity.fit(gram)\n"
        'pipeline = pl.Pipeline("first", [people, gram, popular])\n'
    )
    (tmp_path / "second.py").write_text(
        "import pellucid as pl\n"
        'old = pl.registry_model("production")\n'
        "@pl.step\ndef young(old: pl.Model) -> pl.Model:\n    return pl.Model('toy', {}, {'n': len(old['items'])})\n"
        'pipeline = pl.Pipeline("second", [old, young])\n'
    )
    home = tmp_path / ".pellucid"
    run(load(tmp_path / "first.py"), home=home, confined=True)
    promote(home, "popular", "production")
    done = run(load(tmp_path / "second.py"), home=home, confined=True)
    (guarantee,) = guarantees_behind(home, done.id, "young")
    assert guarantee.step == "gram" and guarantee.values["epsilon"] == 3.0
    (home / RULES_FILE).write_text("[candidate]\nepsilon_at_most = 1.0\n")
    with pytest.raises(PellucidError, match="epsilon"):
        promote(home, "young", "candidate")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_package_holds_the_model_and_a_stranger_re_runs_the_predictions(project: Path, tmp_path: Path):
    done = used(project, confined=True)
    publish(project / ".pellucid", done.id, tmp_path / "package")
    manifest = json.loads((tmp_path / "package" / "manifest.json").read_text())
    entries = {entry["step"]: entry for entry in manifest["trace"]}
    assert entries["model"]["role"] == "given" and entries["predictions"]["role"] == "re-run"
    assert list((tmp_path / "package" / "artifacts").glob("model*.npz"))
    verdict = reproduce(tmp_path / "package")
    assert verdict.verdict == "bit-identical", verdict.reason
