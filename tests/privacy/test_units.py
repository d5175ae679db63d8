"""Units and relations as sources declare them, from the declaration to the ledger; declared keys, pure epsilon and OpenDP."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from run_here import run_here

import pellucid as pl
from pellucid.errors import PellucidError, PrivacyError, UsageError
from pellucid.privacy.accounting.ledger import Ledger
from pellucid.privacy.mechanisms import histogram, mean, quantiles, select_best
from pellucid.privacy.mechanisms import sum as bounded_sum
from pellucid.privacy.private_tables.private_columns import batches
from pellucid.store.labels import Unit

KEY = bytes(range(32))
NOON = int(dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC).timestamp())


def visits(path: Path) -> Path:
    """200 people, two days, the same three items on each day."""
    rows = [(who, item, NOON + day * 86_400 + who) for who in range(200) for day in (0, 1) for item in ("a", "b", "c")]
    columns = {"user_id": [r[0] for r in rows], "item": [r[1] for r in rows], "seconds": [r[2] for r in rows]}
    table = pa.table(columns)
    moment = table.column("seconds").cast(pa.timestamp("s"))
    table = table.append_column("moment", moment.cast(pa.timestamp("us", "Europe/Berlin")))
    table = table.append_column("day", moment.cast(pa.date32())).append_column("millis", pa.array([r[2] * 1000 for r in rows]))
    pq.write_table(table, path)
    return path


def counts(unit: Any, path: Path, scratch: Path) -> dict[str, int]:
    table = histogram("item", max_contributions=3).run(path, unit, 50.0, 0.01, KEY, scratch)
    return dict(zip(*table.to_pydict().values(), strict=True))


def test_a_person_counts_once_in_all_once_a_day_or_once_a_row(tmp_path: Path) -> None:
    path = visits(tmp_path / "v.parquet")
    for unit, people in (("user_id", 200), (pl.UserDay("user_id", time="moment"), 400), (pl.Row(), 400)):
        assert all(abs(count - people) < 10 for count in counts(unit, path, tmp_path).values()), unit


def test_every_form_of_time_gives_the_same_days(tmp_path: Path) -> None:
    path = visits(tmp_path / "v.parquet")
    units = [pl.UserDay("user_id", time=name, clock=clock) for name, clock in
             (("moment", ""), ("day", ""), ("seconds", "s"), ("millis", "ms"))]  # fmt: skip
    assert len({json.dumps(counts(unit, path, tmp_path)) for unit in units}) == 1


@pytest.mark.parametrize("kind", [pa.int64(), pa.uint64()])
def test_no_two_days_are_one_however_far_apart(kind: Any, tmp_path: Path) -> None:
    day, far = 86_400, 86_400 * 2**32  # days that agree in 32 bits
    times = [0, far, 2**63 - 1, *([-1, -far, -(2**63)] if kind == pa.int64() else [2**63, 2**64 - 1])]
    rows = pa.table({"u": ["a"] * len(times), "t": pa.array(times, kind)})
    pq.write_table(rows, tmp_path / "t.parquet")
    (block,) = batches(tmp_path / "t.parquet", pl.UserDay("u", time="t", clock="s"), [], pa.schema([("u", pa.binary())]))
    days = [int(value.rpartition(b"@")[2]) for value in block.column(0).to_pylist()]
    assert days == [min(time, 2**63 - 1) // day for time in times]


@pytest.mark.parametrize("value", [2**53 + 1, 2**63 - 1, -(2**63), -(2**53) - 1, 2**64 - 1])
def test_no_value_of_one_row_makes_a_release_fail(value: int, tmp_path: Path) -> None:
    kind = pa.uint64() if value >= 2**63 else pa.int64()
    pq.write_table(pa.table({"u": [1, 2], "x": pa.array([1, value], kind), "y": pa.array([1, 1], kind)}), tmp_path / "x.parquet")
    for mechanism in (mean(["x"]), bounded_sum(["x"]), quantiles("x", 0, 1), select_best(["x", "y"])):
        delta = 0.0 if getattr(mechanism, "pure", False) else 1e-6
        mechanism.check(tmp_path / "x.parquet", "u")
        assert mechanism.run(tmp_path / "x.parquet", "u", 1.0, delta, KEY, tmp_path)


def test_a_time_that_tells_no_day_is_refused_in_one_line(tmp_path: Path) -> None:
    path = visits(tmp_path / "v.parquet")
    for unit, said in (
        (pl.UserDay("user_id", time="seconds"), "clock"),
        (pl.UserDay("user_id", time="item"), "of type string"),
        (pl.UserDay("user_id", time="day", clock="s"), "clock"),
        (pl.UserDay("user_id", time="gone"), "no column 'gone'"),
    ):
        with pytest.raises(PrivacyError, match=said):
            histogram("item").check(path, unit)
    nulls = pq.read_table(path).set_column(2, "seconds", pa.nulls(1200, pa.int64()))
    pq.write_table(nulls, tmp_path / "n.parquet")
    with pytest.raises(PrivacyError, match="'seconds' has rows without a value"):
        histogram("item").check(tmp_path / "n.parquet", pl.UserDay("user_id", time="seconds", clock="s"))


def test_replace_needs_more_noise_and_says_so() -> None:
    for mechanism in (histogram("item", max_contributions=3), bounded_sum(["x"], -1, 1)):
        add, replace = (mechanism.guarantee(1.0, 1e-6, relation) for relation in ("add-remove", "replace"))
        assert replace["sigma"] * replace.get("grid_step", 1) > 1.3 * add["sigma"] * add.get("grid_step", 1)
        assert (add["relation"], replace["relation"]) == ("add or remove one unit", "replace one unit by another")


def test_a_unit_reads_as_people_say_it_and_survives_json() -> None:
    units = [Unit("user_id"), pl.UserDay("user_id", time="t", clock="s"), pl.Row(), Unit("user_id", relation="replace")]
    assert [str(unit) for unit in units] == ["user_id", "user_id per day of t in s", "one row", "user_id, replaced"]
    assert [Unit.from_json(json.loads(json.dumps(unit.to_json()))) for unit in units] == units


def pipeline(folder: Path, unit: Any, mechanism: Any, delta: float = 1e-6, relation: str = "add-remove") -> pl.Pipeline:
    source = pl.source(visits(folder / "v.parquet"), label="private", unit=unit, relation=relation, name="visits")
    return pl.Pipeline("units", [source, pl.release(mechanism, of=source, epsilon=1.0, delta=delta, name="counts")])


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PELLUCID_KEYS", str(tmp_path / "keys"))
    return tmp_path / ".pellucid"


@pytest.mark.parametrize(
    ("unit", "relation", "shown"),
    [
        (pl.UserDay("user_id", time="moment"), "add-remove", "user_id per day of moment"),
        (pl.Row(), "add-remove", "one row"),
        ("user_id", "replace", "user_id, replaced"),
    ],
)
def test_the_ledger_says_whose_privacy_was_spent(unit: Any, relation: str, shown: str, tmp_path: Path, home: Path) -> None:
    run_here(pipeline(tmp_path, unit, histogram("item", max_contributions=3), relation=relation), home=home)
    ledger = Ledger(home)
    (account,), (spend,) = ledger.accounts(), ledger.spends()
    ledger.close()
    assert account["unit"] == spend["description"]["unit"] == shown
    assert spend["description"]["relation"].startswith("replace" if relation == "replace" else "add")


def test_a_pure_release_takes_no_delta(tmp_path: Path, home: Path) -> None:
    mechanism = histogram("item", max_contributions=3, public_keys=["a", "b", "c", "d"], noise="laplace")
    run_here(pipeline(tmp_path, "user_id", mechanism, delta=0.0), home=home)
    ledger = Ledger(home)
    (spend,) = ledger.spends()
    ledger.close()
    assert (spend["epsilon"], spend["delta"]) == (1.0, 0.0)
    with pytest.raises(PrivacyError, match="delta"):
        pipeline(tmp_path, "user_id", histogram("item"), delta=0.0)


def test_a_value_that_was_not_declared_is_refused_and_spends_nothing(tmp_path: Path, home: Path) -> None:
    with pytest.raises(PellucidError, match="'item' has a value that is not declared") as refused:
        run_here(pipeline(tmp_path, "user_id", histogram("item", public_keys=["a", "b"])), home=home)
    assert '"c"' not in str(refused.value)
    ledger = Ledger(home)
    assert ledger.spends() == []
    ledger.close()


def test_what_is_not_declared_counts_under_one_name_and_bounds_hold_after_that(tmp_path: Path) -> None:
    path = visits(tmp_path / "v.parquet")
    mechanism = histogram("item", max_contributions=3, public_keys=["z", "a"], other="rest", noise="laplace")
    table = mechanism.run(path, "user_id", 50.0, 0.0, KEY, tmp_path)
    assert table.column("item").to_pylist() == ["z", "a", "rest"]
    assert np.allclose(table.column("count").to_pylist(), [0, 200, 200], atol=10)


def test_per_unit_steps_need_a_person(tmp_path: Path) -> None:
    source = pl.source(visits(tmp_path / "v.parquet"), label="private", unit=pl.UserDay("user_id", time="day"), name="visits")

    @pl.step(per_unit=True)
    def rows(visits: pl.Table) -> pl.Table:
        return {"rows": visits.num_rows}  # type: ignore[return-value]

    with pytest.raises(UsageError, match="needs a person as its unit, not user_id per day of day"):
        pl.Pipeline("days", [source, rows])
    with pytest.raises(UsageError, match="not a relation"):
        pl.source("v.csv", label="private", unit="user_id", relation="swap")


def test_a_source_named_like_a_setting_of_a_release_is_not_taken_for_it(tmp_path: Path) -> None:
    rows = pl.source(visits(tmp_path / "v.parquet"), label="private", unit="user_id", name="rows")
    counts = pl.release(histogram("item"), of=rows, epsilon=1.0, delta=1e-6, name="counts")
    (edge,) = pl.Pipeline("named", [rows, counts]).steps["counts"].edges
    assert edge.parameter == "of"


def test_a_release_by_opendp_is_marked_kept_and_never_made_twice(tmp_path: Path, home: Path) -> None:
    mechanism = histogram("item", max_contributions=3, backend="opendp")
    assert mechanism.guarantee(1.0, 1e-6)["rerunnable"] is False
    made = pipeline(tmp_path, "user_id", mechanism)
    first = run_here(made, home=home)
    again = run_here(made, home=home)
    assert first["counts"].arrow().equals(again["counts"].arrow())
    for file in (home / "objects").rglob("*.parquet"):
        file.chmod(0o600)
        file.unlink()
    with pytest.raises(PellucidError, match="cannot be made again"):
        run_here(made, home=home)
    ledger = Ledger(home)
    assert len(ledger.spends()) == 1
    ledger.close()


def test_a_release_by_opendp_that_was_cut_off_is_not_drawn_again(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = pipeline(tmp_path, "user_id", histogram("item", max_contributions=3, backend="opendp"))
    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "finish", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            run_here(made, home=home)
    with pytest.raises(PellucidError, match="cannot be made again"):
        run_here(made, home=home)
    assert len(list((home / "objects").rglob("*.parquet"))) <= 2  # the rows, and at most one draw


def test_the_same_data_pay_from_one_account_and_a_signature_once_asked_for_is_asked_for(tmp_path: Path, home: Path) -> None:
    path = visits(tmp_path / "v.parquet")

    def run(epsilon: float, unit: Any = "user_id", **given: Any) -> None:
        rows = pl.source(path, label="private", unit=unit, name="rows", **given)
        counts = pl.release(histogram("item", max_contributions=3), of=rows, epsilon=epsilon, delta=1e-6, name="counts")
        run_here(pl.Pipeline("paying", [rows, counts]), home=home)

    run(0.5, account="visits", budget=pl.Budget(1.0, 1e-4))
    with pytest.raises(PellucidError, match="pay from account 'visits' already, not from 'log'"):
        run(0.4, account="log", budget=pl.Budget(50.0, 1e-4))
    run(0.4, account="visits", budget=pl.Budget(50.0, 1e-4))
    with pytest.raises(PellucidError, match="pay from account 'visits' already, not from 'days'"):
        run(0.5, unit=pl.UserDay("user_id", time="moment"), account="days")
    ledger = Ledger(home)
    for other in ("days", "signed"):
        ledger.share(other, "visits")  # the steward says so: another unit adds up for itself
    ledger.close()
    run(0.5, unit=pl.UserDay("user_id", time="moment"), account="days")
    run_signed = {"account": "signed", "unit": pl.Row()}
    with pytest.raises(PellucidError, match="nobody has signed"):
        run(0.5, budget=pl.Budget(1.0, 1e-4, sign_off=True), **run_signed)
    with pytest.raises(PellucidError, match="nobody has signed"):
        run(0.5, budget=pl.Budget(1.0, 1e-4), **run_signed)
    ledger = Ledger(home)
    assert [spend["account"] for spend in ledger.spends()] == ["visits", "visits", "days"]
    assert ledger.refusals()[0]["why"].startswith("these data pay from account")
    ledger.verify()
    ledger.close()


@pytest.mark.parametrize("bounds", [(0.0, 5e-324), (-5e-324, 0.0), (1e-310, 2e-310)])
def test_bounds_too_close_for_a_grid_are_refused(bounds: tuple[float, float]) -> None:
    for make in (lambda: bounded_sum(["x"], *bounds), lambda: mean(["x"], *bounds), lambda: quantiles("x", *bounds)):
        with pytest.raises(PrivacyError, match="too close"):
            make()


def test_an_account_has_one_budget(tmp_path: Path, home: Path) -> None:
    path = visits(tmp_path / "v.parquet")
    sources = [
        pl.source(path, label="private", unit="user_id", name=name, account="all", budget=pl.Budget(epsilon, 1e-4))
        for name, epsilon in (("one", 1.0), ("two", 2.0))
    ]
    counts = pl.release(histogram("item", max_contributions=3), of=sources[0], epsilon=0.5, delta=1e-6, name="counts")
    with pytest.raises(UsageError, match='source "two": account "all" is declared twice'):
        run_here(pl.Pipeline("two", [*sources, counts]), home=home)


def test_opendp_that_is_not_there_is_said_in_one_line() -> None:
    code = (
        "import sys\nsys.modules['opendp'] = None\n"
        "import importlib.util as u; real = u.find_spec\n"
        "u.find_spec = lambda name, *more: None if name == 'opendp' else real(name, *more)\n"
        "import pellucid as pl\n"
        "try: pl.privacy.histogram('k', backend='opendp').guarantee(1.0, 1e-6)\n"
        "except pl.PellucidError as error: print(error)\n"
    )
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert said == 'backend "opendp" is not installed. pip install opendp, or leave backend= out\n'


def test_a_plan_costs_what_the_release_of_the_same_relation_will(tmp_path: Path) -> None:
    """`ledger plan` must foresee the events that the release will spend: twice the cells where one person replaces another."""
    from pellucid.privacy import budget_forecast

    path, cells = visits(tmp_path / "v.parquet"), {}
    for relation in ("add-remove", "replace"):
        source = pl.source(path, label="private", unit="user_id", relation=relation, name="visits")
        counted = pl.release(histogram("item", max_contributions=3), of=source, epsilon=1.0, delta=1e-6, name="counted")
        (planned,) = budget_forecast.planned(pl.Pipeline("planned", [source, counted]))
        cells[relation] = planned.events[0]["cells"]
    assert cells == {"add-remove": 3, "replace": 6}
