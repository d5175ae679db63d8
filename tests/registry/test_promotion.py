"""Models by name and version, and what an alias asks for before one may stand there."""

from __future__ import annotations

from pathlib import Path

import pytest

from pellucid.cli import main
from pellucid.errors import LabelError, UsageError
from pellucid.packages.publishing import publish
from pellucid.pipeline.record import collect
from pellucid.pipeline.running import load, run
from pellucid.registry import RULES_FILE, Deployments, find_model, model_versions, promote

PIPELINE = """
import numpy as np
import pyarrow as pa
import pellucid as pl

rows = pl.source("rows.csv", label="open", licence="CC0-1.0")
people = pl.source("people.csv", label="private", unit="person")


@pl.step
def net(rows: pl.Table, weight: float = 2.0) -> pl.Model:
    return pl.Model("toy", {"weight": np.array([weight])}, {})


@pl.step
def quality(net: pl.Model) -> pl.Metrics:
    return {"ndcg": float(net["weight"][0]) / 10}


@pl.step
def scores(net: pl.Model) -> pl.Table:
    return pa.table({"person": list(range(30)), "ndcg": [float(net["weight"][0]) / 10 + at for at in range(30)]})


@pl.step
def secret(people: pl.Table) -> pl.Model:
    return pl.Model("toy", {"weight": np.array([people.arrow().num_rows])}, {})


about = pl.About(title="Toy", description="A toy.", creators=("Doe, Jane",), licence="CC0-1.0", data_licence="CC0-1.0")
pipeline = pl.Pipeline("toy", [rows, people, net, quality, scores, secret], about=about)
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of weight 2, 1, 2 again and 3; the last is published in `package`."""
    folder = tmp_path_factory.mktemp("toy")
    (folder / "toy.py").write_text(PIPELINE)
    (folder / "rows.csv").write_text("a\n1\n")
    (folder / "people.csv").write_text("person\n1\n2\n")
    for weight in ("2", "1", "2", "3"):
        done = run(
            load(folder / "toy.py"), home=folder / ".pellucid", settings={"net.weight": float(weight)}, confined=True, jobs=2
        )
    publish(folder / ".pellucid", done.id, folder / "package")
    return folder / ".pellucid"


@pytest.fixture(autouse=True)
def no_rules(home: Path):
    (home / RULES_FILE).unlink(missing_ok=True)


def rules(home: Path, text: str) -> None:
    (home / RULES_FILE).write_text(text)


def test_versions_count_contents_in_the_order_they_came(home: Path):
    versions = [one for one in model_versions(home) if one.name == "toy.net"]
    assert [one.version for one in versions] == [1, 2, 3]
    assert len({one.artifact.digest for one in versions}) == 3
    assert find_model(home, "net").version == 3 and find_model(home, "toy.net@1") == versions[0]
    assert versions[0].kind(home) == "toy"


def test_what_is_not_open_is_named_and_no_more(home: Path):
    (secret,) = [one for one in model_versions(home) if one.output == "secret"]
    told = secret.to_json()
    assert told["label"] == "private" and told["digest"] is None and told["bytes"] is None
    with pytest.raises(LabelError, match="Only open models"):
        promote(home, "secret", "production")


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("nett", 'Did you mean "toy.net"?'),
        ("net@4", "It has 1 to 3"),
        ("net@0", "It has 1 to 3"),
        ("", "there is no model"),
        ("net@x", "there is no model"),
    ],
)
def test_a_model_that_is_not_there(home: Path, wanted: str, said: str):
    with pytest.raises(UsageError) as refused:
        promote(home, wanted, "production")
    assert said in str(refused.value)


@pytest.mark.parametrize("alias", ["Production", "a b", "", "-x", "a" * 40, "x/../y"])
def test_what_cannot_be_an_alias(home: Path, alias: str):
    with pytest.raises(UsageError, match="cannot be an alias"):
        promote(home, "net", alias)


def test_an_alias_of_the_service_takes_its_kinds_alone(home: Path):
    with pytest.raises(UsageError, match="a model of kind toy"):
        promote(home, "net", "recommend")


def test_rules_that_hold_are_told_and_kept(home: Path):
    promote(home, "net@1", "production")
    rules(
        home,
        """
[production]
approvers = ["ana", "ben"]
package = true
epsilon_at_most = 1.0
verdict = "bit-identical"
[[production.metrics]]
name = "quality.ndcg"
at_least = 0.25
not_worse_by = 0.0
per = "scores"
column = "ndcg"
unit = "person"
""",
    )
    done = promote(home, "net@3", "production", approver="ben", package=home.parent / "package")
    assert done.approver == "ben" and len(done.checks) == 5
    assert done.checks[-1] == "re-run now: bit-identical"
    assert Deployments(home).current()["production"] == done
    back = Deployments(home).rollback("production", "ana")
    assert back.digest == find_model(home, "net@1").artifact.digest and back.approver == "ana"


def test_every_rule_that_fails_is_said_and_nothing_is_deployed(home: Path):
    promote(home, "net@1", "production")
    before = Deployments(home).history()
    rules(
        home,
        """
[production]
approvers = ["ana"]
package = true
[[production.metrics]]
name = "quality.ndcg"
at_least = 0.15
not_worse_by = 0.05
[[production.metrics]]
name = "quality.ndcg"
per = "scores"
column = "ndcg"
unit = "person"
[[production.metrics]]
name = "quality.recall"
at_least = 0.1
""",
    )
    with pytest.raises(UsageError) as refused:
        promote(home, "net@2", "production", approver="eve")
    for said in (
        "eve is none of its approvers",
        "no package is named",
        "0.1: at least 0.15",
        "ndcg of scores is worse",
        'no metric "recall"',
    ):
        assert said in str(refused.value)
    assert Deployments(home).history() == before
    with pytest.raises(UsageError, match="holds another net"):
        promote(home, "net@1", "production", approver="ana", package=home.parent / "package")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[production\n", "cannot be read"),
        ("[production]\nverdikt = 'x'\n", 'Did you mean "verdict"?'),
        ("[production]\nverdict = 'fine'\n", "is no verdict to ask for"),
        ("[production]\npackage = 'yes'\n", "package cannot be 'yes'"),
        ("[production]\nepsilon_at_most = true\n", "epsilon_at_most cannot be True"),
        ("production = 3\n", "rules are a table"),
        ("[[production.metrics]]\nname = 'quality.ndcg'\n", "asks for nothing"),
        ("[[production.metrics]]\nat_least = 1\n", "has no name"),
        ("[[production.metrics]]\nname = 'a.b'\nper = 'scores'\n", "names a table and not its columns"),
    ],
)
def test_rules_that_are_none_let_nothing_through(home: Path, text: str, said: str):
    rules(home, text)
    with pytest.raises(UsageError) as refused:
        promote(home, "net", "production")
    assert said in str(refused.value)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_number_stays_when_its_run_is_collected(tmp_path: Path):
    (tmp_path / "toy.py").write_text(PIPELINE)
    (tmp_path / "rows.csv").write_text("a\n1\n")
    (tmp_path / "people.csv").write_text("person\n1\n2\n")
    state = tmp_path / ".pellucid"
    for weight in (1.0, 2.0, 3.0):
        run(load(tmp_path / "toy.py"), home=state, settings={"net.weight": weight}, confined=True, only=["net"])
    third = find_model(state, "net@3").artifact.digest
    first = find_model(state, "net@1").artifact.digest
    collect(state, keep=1)
    assert [one.version for one in model_versions(state) if one.output == "net"] == [3]
    assert find_model(state, "net").artifact.digest == find_model(state, "net@3").artifact.digest == third
    with pytest.raises(UsageError, match="It has 3"):
        find_model(state, "net@1")
    run(load(tmp_path / "toy.py"), home=state, settings={"net.weight": 1.0}, confined=True, only=["net"])
    assert find_model(state, "net@1").artifact.digest == first, "the same content has its number again"
    run(load(tmp_path / "toy.py"), home=state, settings={"net.weight": 4.0}, confined=True, only=["net"])
    assert find_model(state, "net@4").version == 4


def test_commands(home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PELLUCID_HOME", str(home))

    def told(*words: str) -> str:
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert ended.value.code == 0, capsys.readouterr().err
        return capsys.readouterr().out

    told("promote", "net@2", "candidate", "--approver", "ana")
    assert "candidate" in told("models") and "toy.secret" in told("models")
    assert told("models", "net").count("toy.net") == 3
    assert '"aliases": [\n        "candidate"' in told("models", "net", "--json")
    told("promote", "net@3", "candidate")
    assert "again net of run" in told("rollback", "candidate")
