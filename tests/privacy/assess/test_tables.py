"""k, l, t and delta are what their definitions say, counted slowly, and what pandas and pyCANON say of the same rows."""

from __future__ import annotations

import json
import math
import subprocess
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.errors import DataError, UsageError
from pellucid.privacy.assess import assess_table, delta_presence, k_anonymity, l_diversity, t_closeness
from pellucid.privacy.assess.column_codes import Codes, classes, dense

QUASI = ["age", "education", "marital-status", "native-country", "occupation", "race", "sex", "workclass"]

TABLES = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", None]), st.sampled_from([0, 1, 2]), st.sampled_from([10, 20, 30, 40]), st.sampled_from("uvwx")
    ),
    min_size=1,
    max_size=40,
)


def table_of(rows: Sequence[tuple[Any, ...]]) -> pa.Table:
    return pa.table({name: [row[at] for row in rows] for at, name in enumerate(("p", "q", "n", "s"))})


def slow(rows: Sequence[tuple[Any, ...]], at: int) -> dict[Any, list[Any]]:
    found = defaultdict(list)
    for row in rows:
        found[row[:2]].append(row[at])
    return found


def slow_t(rows: Sequence[tuple[Any, ...]], at: int, ordered: bool) -> float:
    values = sorted({row[at] for row in rows})
    whole = Counter(row[at] for row in rows)
    worst = 0.0
    for held in slow(rows, at).values():
        p = [held.count(v) / len(held) - whole[v] / len(rows) for v in values]
        if ordered:
            far = sum(abs(sum(p[: i + 1])) for i in range(len(p))) / max(1, len(p) - 1)
        else:
            far = sum(map(abs, p)) / 2
        worst = max(worst, far)
    return worst


@given(TABLES)
@settings(max_examples=200)
def test_every_measure_is_its_definition(rows: list[tuple[Any, ...]]) -> None:
    table, held = table_of(rows), slow(rows, 3)
    found = k_anonymity(table, ["p", "q"])
    sizes = [len(v) for v in held.values()]
    assert found.value == min(sizes)
    assert found.detail["unique"] == sizes.count(1)
    assert found.detail["classes"] == len(sizes)
    assert sum(found.detail["distribution"].values()) == len(rows)
    distinct, entropy, recursive = l_diversity(table, ["p", "q"], "s")
    assert distinct.value == min(len(set(v)) for v in held.values())
    shares = [[n / len(v) for n in Counter(v).values()] for v in held.values()]
    assert entropy.value == pytest.approx(math.exp(min(-sum(p * math.log(p) for p in share) for share in shares)))
    falling = [sorted(Counter(v).values(), reverse=True) for v in held.values()]
    assert recursive.value == pytest.approx(max(f[0] / sum(f[int(distinct.value) - 1 :]) for f in falling))
    assert t_closeness(table, ["p", "q"], "s").value == pytest.approx(slow_t(rows, 3, False))
    assert t_closeness(table, ["p", "q"], "n").value == pytest.approx(slow_t(rows, 2, True))


@given(TABLES, st.data())
def test_presence_is_its_definition(rows: list[tuple[Any, ...]], data: st.DataObject) -> None:
    inside = data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows)).filter(any))
    few = [row for row, taken in zip(rows, inside, strict=True) if taken]
    found = delta_presence(table_of(few), table_of(rows), ["p", "q"])
    here, there = Counter(row[:2] for row in few), Counter(row[:2] for row in rows)
    shares = [here[c] / there[c] for c in there]
    assert found.value == max(shares)
    assert found.detail["lowest"] == min(shares)


@given(st.lists(st.integers(0, 2**40), min_size=1, max_size=50))
def test_numbers_are_made_dense_alike_however_large(values: list[int]) -> None:
    import numpy as np

    code = np.array(values, dtype=np.int64)
    rank, count = dense(code, 2**40 + 1)
    expected = {value: at for at, value in enumerate(sorted(set(values)))}
    assert count == len(expected)
    assert rank.tolist() == [expected[v] for v in values]


def test_many_wide_columns_do_not_overflow() -> None:
    import numpy as np

    wide = np.arange(3000, dtype=np.int64)
    codes = [Codes(wide, 3000, None)] * 8  # 3000^8 is above 2^63
    assert classes(codes)[1] == 3000


def test_k_of_the_census_is_that_of_pandas(adult: pa.Table) -> None:
    frame = adult.to_pandas()
    for quasi in (QUASI, ["sex", "age", "race"], ["sex"]):
        sizes = frame.groupby(quasi, observed=True).size()
        found = k_anonymity(adult, quasi)
        assert (found.value, found.detail["unique"], found.detail["classes"]) == (sizes.min(), (sizes == 1).sum(), len(sizes))


PYCANON = """
import json, sys, warnings
warnings.simplefilter("ignore")
import pandas as pd
from pycanon import anonymity
frame, found = pd.read_csv(sys.argv[1]), {}
for key, quasi, sensitive in json.loads(sys.argv[2]):
    found[key] = dict(
        k=int(anonymity.k_anonymity(frame, quasi)), l=int(anonymity.l_diversity(frame, quasi, [sensitive])),
        e=int(anonymity.entropy_l_diversity(frame, quasi, [sensitive])),
        t=float(anonymity.t_closeness(frame, quasi, [sensitive])),
    )
print(json.dumps(found))
"""


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_census_is_as_pycanon_says(adult: pa.Table, tool: Callable[[str], Path], tmp_path: Path) -> None:
    """The first 3,000 rows: pyCANON takes half a minute for them. Its c of recursive diversity is left out: it sorts counts rising, so
    that it divides the rarest value's count where the definition has the most frequent one's, and rounds."""
    rows = adult.slice(0, 3000)
    rows.to_pandas().to_csv(tmp_path / "rows.csv", index=False)
    cases = [
        ("wide", QUASI, "salary-class"),
        ("narrow", ["sex", "race"], "salary-class"),
        ("ordered", ["sex", "marital-status"], "age"),
        ("fine", ["occupation", "race", "sex", "education"], "age"),
    ]
    command = [tool("pycanon"), "-c", PYCANON, tmp_path / "rows.csv", json.dumps(cases)]
    theirs = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1])
    for key, quasi, sensitive in cases:
        distinct, entropy, _ = l_diversity(rows, quasi, sensitive)
        assert k_anonymity(rows, quasi).value == theirs[key]["k"]
        assert distinct.value == theirs[key]["l"]
        assert int(entropy.value + 1e-9) == theirs[key]["e"]
        assert t_closeness(rows, quasi, sensitive).value == pytest.approx(theirs[key]["t"], abs=1e-9)


def test_a_table_may_be_a_path_or_any_rows(adult: pa.Table, data: Path) -> None:
    path = data / "msweb" / "visits.csv"
    assert k_anonymity(path, ["area_id"]).value == k_anonymity(pd.read_csv(path), ["area_id"]).value


def test_what_cannot_be_assessed_is_refused_in_one_line() -> None:
    table = table_of([("a", 1, 10, "u")])
    for wrong, kind, says in [
        (lambda: k_anonymity(table, ["nowhere"]), DataError, 'no column "nowhere"'),
        (lambda: k_anonymity(table, []), UsageError, "no column is named"),
        (lambda: k_anonymity(table, ["p", "p"]), UsageError, "named twice"),
        (lambda: k_anonymity(table.slice(0, 0), ["p"]), DataError, "no rows"),
        (lambda: l_diversity(table, ["p", "s"], "s"), UsageError, "at once"),
        (lambda: delta_presence(table_of([("a", 1, 1, "u")] * 2), table, ["p"]), DataError, "more rows in the table"),
    ]:
        with pytest.raises(kind, match=says) as caught:
            wrong()
        assert "\n" not in str(caught.value)


def test_an_assessment_says_what_it_means_and_what_not(adult: pa.Table) -> None:
    found = assess_table(adult, ["sex", "race"], ["salary-class"])
    assert json.loads(json.dumps(found.to_json()))["findings"][0]["measure"] == "k_anonymity"
    lines = found.to_text().splitlines()
    assert max(map(len, lines)) <= 80
    assert "Not covered" in found.to_text()
    assert len(lines) <= 24
    assert found.numbers()["k_anonymity"] == k_anonymity(adult, ["sex", "race"]).value
