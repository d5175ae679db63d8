"""The browser's client makes the same reports as Python from the same words, and reports of the same distribution from its own."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from client_page import MUTANTS, OF_DIRECTIONS, run
from local_checks import chi_squared
from make_vectors import FILE, text

from pellucid.errors import PrivacyError
from pellucid.privacy.local import Collector
from pellucid.privacy.local import collection as collections_file
from pellucid.privacy.local.collection import declare
from pellucid.privacy.local.oracles import oracle
from pellucid.privacy.local.oracles.rappor import Rappor

REPORTS = 1_000_000
ALIKE = 1e-6


def test_the_shared_vectors_are_those_python_gives() -> None:
    assert FILE.read_text() == text(), "run tests/privacy/local/make_vectors.py"


REPLAY = """
        done(given.map(({ parameters, reports }) => reports.map(({ code, words }) => {
          const all = unhex(words);
          let at = 0;
          const report = hex(c.perturb(parameters, code, (count) => all.slice(at, at += count)));
          return [report, at === all.length];
        })));
"""


@pytest.mark.parametrize("mutant", range(len(MUTANTS) - OF_DIRECTIONS))
def test_the_vectors_catch_a_bug_planted_in_the_client(browser: Any, mutant: int) -> None:
    cases = json.loads(FILE.read_text())
    found = run(browser, REPLAY, cases, client=f"/client.js?{mutant}")
    wrong = sum(
        report != wanted["report"]
        for case, reports in zip(cases, found, strict=True)
        for wanted, (report, _) in zip(case["reports"], reports, strict=True)
    )
    assert wrong > 0


def test_the_browser_gives_the_same_report_for_the_same_words(browser: Any) -> None:
    cases = json.loads(FILE.read_text())
    found = run(browser, REPLAY, cases)
    compared = 0
    for case, reports in zip(cases, found, strict=True):
        for wanted, (report, used_up) in zip(case["reports"], reports, strict=True):
            assert report == wanted["report"], (case["parameters"], wanted["code"])
            assert used_up
            compared += 1
    assert compared > 500


def test_the_browser_computes_the_declared_epsilon_itself(browser: Any) -> None:
    cases = json.loads(FILE.read_text())
    found = run(browser, "done(given.map(({ parameters }) => c.epsilonOf(parameters)));", cases)
    for case, epsilon in zip(cases, found, strict=True):
        assert epsilon == pytest.approx(case["epsilon"], rel=1e-9)


def exact(name: str, chosen: Any, code: int) -> tuple[list[str], list[float]]:
    """Every report of a domain of 6 (for OLH: support of each value) with its exact probability."""
    if name == "olh":
        raise AssertionError("olh is judged by what its reports support")
    if name == "grr":
        return [f"{v:02x}" for v in range(6)], [float(chosen.p if v == code else chosen.q) for v in range(6)]
    if name == "hadamard":
        flip = chosen.flip / 2**32
        names = [f"{2 * row + bit:02x}" for row in range(8) for bit in (0, 1)]
        masses = [(1 - flip if (row & code).bit_count() % 2 == bit else flip) / 8 for row in range(8) for bit in (0, 1)]
        return names, masses
    names = [f"{bits:02x}" for bits in range(64)]
    if name == "subset":
        one, other = chosen.truth / chosen.inside / 2**53, chosen.other / 2**53
        sets = [bits for bits in range(64) if bits.bit_count() == chosen.chosen]
        return [f"{bits:02x}" for bits in sets], [one if bits >> code & 1 else other for bits in sets]
    p, q = float(chosen.p), float(chosen.q)
    chance = [p if v == code else q for v in range(6)]
    return names, [math.prod(c if bits >> v & 1 else 1 - c for v, c in enumerate(chance)) for bits in range(64)]


COUNT = """
  const { parameters, code, reports } = given, counts = {};
  let pool = new Uint8Array(0), at = 0;
  const bytes = (count) => {
    if (at + count > pool.length) { pool = c.systemBytes(1 << 16); at = 0; }
    return pool.slice(at, at += count);
  };
"""


@pytest.mark.soak
@pytest.mark.parametrize("name", ["grr", "hadamard", "oue", "sue", "rappor", "subset"])
def test_a_million_reports_of_the_browser_follow_the_exact_distribution(
    browser: Any, name: str, soak: Callable[[int], int]
) -> None:
    chosen, code = oracle(name, 6, 1.0), 4
    counts = run(
        browser,
        COUNT
        + """
        for (let i = 0; i < reports; i++) {
          const report = c.perturb(parameters, code, bytes)[0];
          counts[report] = (counts[report] || 0) + 1;
        }
        done(counts);
        """,
        {"parameters": chosen.parameters(), "code": code, "reports": soak(REPORTS)},
    )
    names, masses = exact(name, chosen, code)
    assert sum(masses) == pytest.approx(1)
    found = {f"{int(report):02x}": count for report, count in counts.items()}
    assert set(found) <= set(names)
    assert chi_squared([found.get(one, 0) for one in names], masses) > ALIKE


@pytest.mark.soak
def test_a_million_hashed_reports_of_the_browser_follow_the_exact_distribution(browser: Any, soak: Callable[[int], int]) -> None:
    """Of OLH: the bucket relative to the value's own, and whether another value is supported, jointly with the seed's top bits."""
    chosen = oracle("olh", 6, 1.0)
    counts = run(
        browser,
        COUNT
        + """
        for (let i = 0; i < reports; i++) {
          const report = c.perturb(parameters, code, bytes), view = new DataView(report.buffer);
          const a = view.getUint32(0, true), b = view.getUint32(4, true), y = report[8];
          const bucket = (x) => Math.floor((((Math.imul(a, x) + b) >>> 16) * parameters.buckets) / 65536);
          const seen = `${a >>> 30} ${b >>> 30} ${bucket(code) === y ? 1 : 0} ${bucket(1) === y ? 1 : 0}`;
          counts[seen] = (counts[seen] || 0) + 1;
        }
        done(counts);
        """,
        {"parameters": chosen.parameters(), "code": 4, "reports": soak(REPORTS)},
    )
    seeds, own, other = np.zeros((4, 4)), np.zeros(2), np.zeros(2)
    for seen, count in counts.items():
        a, b, supports, another = map(int, seen.split())
        seeds[a, b] += count
        own[supports] += count
        other[another] += count
    p, q = float(chosen.p), float(chosen.q)
    assert chi_squared(seeds.reshape(-1), np.ones(16)) > ALIKE
    assert chi_squared(own, [1 - p, p]) > ALIKE
    assert chi_squared(other, [1 - q, q]) > ALIKE


def test_reports_of_the_browser_are_taken_by_the_collector(browser: Any, tmp_path: Path) -> None:
    collection = declare("letters", ["a", "b", "ü"], 1.0, reports_per_period=2)
    batch = run(
        browser,
        """
        const reports = [];
        for (let i = 0; i < 300; i++) {
          const client = await c.open(given, { storage: memory() });
          reports.push(client.report(i % 3 ? "a" : "ü", 7));
        }
        done(hex(c.batch(reports)));
        """,
        collection.text,
    )
    collector = Collector(tmp_path)
    collector.open(collection)
    outcome = collector.ingest(bytes.fromhex(batch))
    assert (outcome.taken, outcome.refused) == (300, {})
    assert collector.periods(collection) == [7]
    found = collector.estimate(collection)
    assert (np.abs(found.frequencies - [2 / 3, 0, 1 / 3]) < 5 * found.errors).all()
    collector.close()


def test_the_browser_keeps_its_response_and_bounds_what_it_spends(browser: Any) -> None:
    collection = declare("days", ["a", "b", "c", "d"], 1.0, oracle_name="rappor", reports_per_period=3, max_memoized_values=2)
    assert isinstance(collection.oracle, Rappor)
    found = run(
        browser,
        """
        const storage = memory(), kept = () => Object.values(JSON.parse(storage.held["pellucid.local"]).collections)[0].max_memoized_values;
        const first = await c.open(given, { storage });
        first.report("a", 1);
        const before = JSON.stringify(kept());
        for (let day = 2; day < 200; day++) (await c.open(given, { storage })).report("a", day);
        const same = before === JSON.stringify(kept()), once = first.spent().epsilon;
        first.report("b", 200);
        const two = first.spent().epsilon;
        const third = refusal(() => first.report("c", 200));
        first.report("a", 200); first.report("a", 200);
        const flood = refusal(() => first.report("a", 200));
        const past = refusal(() => first.report("a", 3));
        const undeclared = refusal(() => first.report("secret", 201));
        const deaf = refusal(() => { storage.setItem = () => { throw new Error("full"); }; first.report("a", 300); });
        done({ same, once, two, third, flood, past, undeclared, deaf, end: first.spent().epsilon });
        """,
        collection.text,
    )
    epsilon = collection.oracle.epsilon
    assert found["same"] is True
    assert found["once"] == epsilon
    assert found["two"] == found["end"] == 2 * epsilon
    assert "2 different values" in found["third"]
    assert "3 reports" in found["flood"]
    assert "over" in found["past"]
    assert "never declared" in found["undeclared"] and "secret" not in found["undeclared"]
    assert found["deaf"] == "full"


def test_the_browser_counts_every_report_of_other_oracles(browser: Any) -> None:
    collections = [declare(name, ["a", "b", "c"], 0.5, reports_per_period=5) for name in ("one", "two")]
    found = run(
        browser,
        """
        const storage = memory();
        for (const text of given) { const client = await c.open(text, { storage }); client.report("a", 1); client.report("b", 2); }
        done(c.spent(storage));
        """,
        [one.text for one in collections],
    )
    assert found["epsilon"] == 4 * collections[0].oracle.epsilon
    assert [one["reports"] for one in found["collections"]] == [2, 2]


def test_a_text_that_claims_less_than_its_probabilities_give_is_refused(browser: Any) -> None:
    texts = []
    for name in ("grr", "hadamard", "olh", "oue", "rappor", "subset", "sue"):
        told = json.loads(declare("x", ["a", "b", "c"], 2.0, oracle_name=name).text)
        told["epsilon"] = 1.0
        texts.append(json.dumps(told))
    found = run(
        browser,
        """
        const said = [];
        for (const text of given) said.push(await c.open(text, { storage: memory() }).then(() => "", (error) => error.message));
        done(said);
        """,
        texts,
    )
    assert all("more than its epsilon" in one for one in found), found
    for one in texts:
        with pytest.raises(PrivacyError, match="not what its epsilon"):
            collections_file.read(one)


# Declarations that a collector has altered.


def _exact_epsilon(told: dict[str, Any]) -> float:
    """The epsilon of a declaration's probabilities, worked out here with fractions; infinite where a report could tell more."""
    one, fine = 1 << 53, 1 << 16
    size, oracle_name = told["size"], told["oracle"]
    if oracle_name in ("grr", "olh"):
        many = size if oracle_name == "grr" else told["buckets"]
        if oracle_name == "olh" and told["seeds"] != (2 if size <= fine else 3):
            return math.inf
        if told["truth"] + told["other"] * (many - 1) != one:
            return math.inf
        return abs(math.log(Fraction(told["truth"], told["other"])))
    if oracle_name == "hadamard":
        order = 1 << (size - 1).bit_length()
        return math.log(Fraction((1 << 32) - told["flip"], told["flip"])) if told["order"] == order else math.inf
    if oracle_name in ("oue", "sue"):
        return abs(math.log(Fraction(told["one"] * (fine - told["zero"]), told["zero"] * (fine - told["one"]))))
    if oracle_name == "rappor":
        return 2 * math.log(Fraction(fine - told["zero"], told["zero"]))
    inside, outside = math.comb(size - 1, told["chosen"] - 1), math.comb(size - 1, told["chosen"])
    if told["inside"] != inside or told["truth"] + told["other"] * outside != one:
        return math.inf
    low, high = told["truth"] // inside, -(-told["truth"] // inside)
    return math.log(Fraction(max(high, told["other"]), min(low, told["other"])))


def _altered() -> list[str]:
    """Declarations of every oracle with one or two things changed, each in every way that comes to mind."""
    texts = []
    for name in ("grr", "hadamard", "olh", "oue", "sue", "subset", "rappor"):
        honest = json.loads(declare("x", [str(n) for n in range(9)], 1.0, oracle_name=name).text)
        for field in [*honest["parameters"], "epsilon", "millionths", "values", "extra", "reports_per_period"]:
            for change in (0, 1, -1, 2, 3, 0.5, "2", None, [], {}, True, 2**53, "more", "less", "twice", "half", "gone"):
                told = json.loads(json.dumps(honest))
                at = told["parameters"] if field in told["parameters"] or field == "extra" else told
                number = at.get(field)
                if isinstance(change, str) and change != "2":
                    if change == "gone":
                        at.pop(field, None)
                    elif isinstance(number, int | float):
                        at[field] = {"more": number + 1, "less": number - 1, "twice": number * 2, "half": number / 2}[change]
                    else:
                        continue
                else:
                    at[field] = change
                if told != honest:
                    texts.append(json.dumps(told))
    return texts


def test_an_altered_declaration_is_refused_or_gives_no_more_epsilon_than_it_claims(browser: Any) -> None:
    texts = _altered()
    assert len(texts) >= 200
    found = run(
        browser,
        """
        const opened = [];
        for (const text of given) {
          try {
            const client = await c.open(text, { storage: memory() });
            client.report(JSON.parse(text).values[0], 1);
            opened.push(true);
          } catch (error) { opened.push(error instanceof c.Refused ? false : String(error)); }
        }
        done(opened);
        """,
        texts,
    )
    assert {type(one) for one in found} == {bool}, [one for one in found if not isinstance(one, bool)][:3]
    for given, accepted in zip(texts, found, strict=True):
        if accepted:
            told = json.loads(given)
            whole = {name: value if isinstance(value, str) else int(value) for name, value in told["parameters"].items()}
            assert _exact_epsilon(whole) <= told["epsilon"] * (1 + 1e-9), given
    assert 0 < sum(found) < len(found) / 2
