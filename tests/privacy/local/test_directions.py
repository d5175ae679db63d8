"""What must be true of one of 256 directions: exact privacy for any vector, no bend of the mean, the browser's report equal to Python's."""

from __future__ import annotations

import json
import math
import secrets
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from client_page import MUTANTS, OF_DIRECTIONS, run
from hypothesis import given, settings
from hypothesis import strategies as st
from local_checks import Fixed, chi_squared, key, one_draw, ratio_breaches
from make_vectors import Recorder

from pellucid.errors import PrivacyError
from pellucid.privacy.local import Collector, Directions, declare, declare_directions
from pellucid.privacy.local import directions as module
from pellucid.privacy.local.collection import read
from pellucid.privacy.local.directions import CODES, TABLE, UNIT, WHOLE, codes, on_grid, turned, turned_back, turns
from pellucid.privacy.local.report_format import batch, encoded
from pellucid.privacy.noise.stream import Stream

FILE = Path(__file__).with_name("direction_vectors.json")
SIZES = (3, 4, 5, 7, 10)
EPSILONS = (0.25, 1.0, 2.0, 4.0)
BEND = 0.02  # of the length: what the mean of clients that all hold one direction may be off by


def some(size: int, count: int, seed: int = 1) -> Any:
    found = np.random.default_rng(seed).standard_normal((count, size))
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def bend(chosen: Directions, vectors: Any) -> float:
    """The worst exact bias over the vectors, all 256 turns averaged."""
    near, far, _ = chosen.masses
    whole, _ = on_grid(vectors)
    total = np.zeros(vectors.shape)
    for turn in range(CODES):
        same = np.full(len(vectors), turn)
        report = (near - far) / WHOLE * (chosen._near(turned(whole, same)) @ codes(chosen.size)) / UNIT
        total += turned_back(report, same)
    return float(np.linalg.norm(total / CODES / chosen.shrinkage - vectors, axis=1).max())


def distributions(chosen: Directions, turn: int = 0) -> list[dict[bytes, Fraction]]:
    """The exact distribution of the report of some vectors, and of one that says nothing, given the turn."""
    vectors = np.concatenate([some(chosen.size, 2), -some(chosen.size, 1), np.zeros((1, chosen.size))])
    return [
        one_draw(
            lambda code, stream: chosen.perturb(vectors[code], stream),
            code,
            WHOLE,
            lambda points: (points << np.uint64(16)) | np.uint64(turn),
        )
        for code in range(len(vectors))
    ]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("epsilon", EPSILONS)
def test_masses_add_up_and_their_ratio_is_the_declared_epsilon(size: int, epsilon: float) -> None:
    chosen = Directions(size, epsilon)
    near, far, rest = chosen.masses
    others = CODES - chosen.nearest
    assert chosen.nearest * near + others * far + rest == WHOLE and 0 <= rest < others
    assert far <= 1 << 40 <= near  # a client with nothing to say lies between
    assert chosen.epsilon == pytest.approx(math.log(Fraction(near, far)), rel=1e-14)
    assert chosen.epsilon <= epsilon < chosen.epsilon + 1e-9


@pytest.mark.quick(1)
@pytest.mark.parametrize(("size", "epsilon"), [(3, 0.5), (5, 2.0), (7, 1.0)])
def test_the_exact_distribution_of_reports_keeps_epsilon(size: int, epsilon: float) -> None:
    chosen = Directions(size, epsilon)
    found = distributions(chosen, turn=77)
    assert all(len(one) == CODES and sum(one.values()) == 1 for one in found)
    assert ratio_breaches(found, chosen.epsilon) == []


@pytest.mark.quick(6)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("epsilon", EPSILONS)
def test_the_mean_is_not_bent(size: int, epsilon: float) -> None:
    assert bend(Directions(size, epsilon), some(size, 60)) < BEND


@pytest.mark.parametrize("size", range(3, 11))
def test_the_table_is_a_tight_frame_whose_directions_stand_apart(size: int) -> None:
    held = codes(size).astype(float) / UNIT
    assert (codes(size)[:128] == -codes(size)[128:]).all()
    assert np.abs(np.linalg.norm(held, axis=1) - 1).max() < 1e-3
    assert np.abs(held.T @ held * size / CODES - np.eye(size)).max() < 2e-3
    between = held @ held.T - 2 * np.eye(CODES)
    assert between.max() < 0.99
    assert len({tuple(row) for row in np.column_stack(turns(size)).tolist()}) >= {3: 40, 4: 150}.get(size, 200)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_error_bars_are_those_of_the_reports() -> None:
    chosen = Directions(5, 1.0)
    vectors = np.where(np.arange(4000)[:, None] % 2, some(5, 1), 0.0)  # half have something to say
    means = []
    for draw in range(60):
        reports = chosen.perturb(vectors, Stream(key(300 + draw)))
        means.append(chosen.mean(chosen.aggregate(reports), len(reports)))
    errors = np.array([one.mean for one in means]) - some(5, 1)[0] / 2
    assert np.abs(errors.mean(axis=0)).max() < 5 * means[0].error / math.sqrt(60)
    assert np.sqrt((errors**2).mean()) == pytest.approx(means[0].error, rel=0.15)


@given(st.lists(st.floats(width=64), min_size=4, max_size=4), st.integers(-40, 40), st.integers(0, 2**31))
@settings(max_examples=100, deadline=None)
def test_any_vector_has_a_report_and_its_length_does_not_matter(vector: list[float], shift: int, seed: int) -> None:
    chosen = Directions(4, 2.0)
    given_once = chosen.perturb(np.array([vector]), Stream(key(seed)))
    assert given_once.shape == (1, 2)
    with np.errstate(over="ignore", invalid="ignore"):
        longer = np.array([vector]) * 2.0**shift
    sizes = np.abs(np.concatenate([np.array([vector]), longer]))
    if np.isfinite(sizes).all() and ((sizes == 0) | (sizes > 1e-280)).all():  # nothing was lost in scaling
        assert (chosen.perturb(longer, Stream(key(seed))) == given_once).all()


def test_reports_add_up_in_any_order_and_turns_go_back() -> None:
    chosen = Directions(6, 2.0)
    reports = chosen.perturb(some(6, 3000), Stream(key(4)))
    mixed = reports[np.random.default_rng(0).permutation(3000)]
    assert (chosen.aggregate(reports) == chosen.aggregate(mixed)).all()
    assert (chosen.aggregate(reports) == chosen.aggregate(reports[:1000]) + chosen.aggregate(reports[1000:])).all()
    whole, _ = on_grid(some(6, 256))
    assert (turned_back(turned(whole, np.arange(256)), np.arange(256)) == whole).all()


def test_among_equally_near_codes_the_smaller_ones_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the browser, where nothing else would decide."""
    chosen = Directions(4, 1.0)
    alike = np.repeat(np.array([[UNIT, 0, 0, 0], [-UNIT, 0, 0, 0]]), CODES // 2, axis=0)
    monkeypatch.setattr(module, "codes", lambda size: alike)
    near = chosen._near(np.array([[1, 0, 0, 0], [-1, 0, 0, 0], [0, 1, 0, 0]]))
    places = [np.flatnonzero(row).tolist() for row in near]
    first = list(range(chosen.nearest))
    assert places == [first, [CODES // 2 + one for one in first], first]


def test_vectors_are_rounded_half_up_as_in_the_browser() -> None:
    half = 2.0**-21
    whole, silent = on_grid(np.array([[1.0, half, -half], [-2.0, 0.6, 1e-9], [0.0, 0.0, -0.0], [np.nan, 1.0, 1.0]]))
    assert whole[0].tolist() == [1 << 20, 1, 0] and whole[1].tolist() == [-(1 << 20), 314573, 0]
    assert silent.tolist() == [False, False, True, True]


def test_one_report_has_a_mean() -> None:
    chosen = Directions(4, 1.0)
    reports = chosen.perturb(some(4, 1), Stream(key(9)))
    found = chosen.mean(chosen.aggregate(reports), 1)
    assert found.reports == 1 and np.linalg.norm(found.mean) == pytest.approx(1 / chosen.shrinkage, rel=1e-3)
    with pytest.raises(PrivacyError, match="nothing to estimate"):
        chosen.mean(chosen.aggregate(reports[:0]), 0)


def test_the_collector_takes_them_and_says_what_they_cannot_answer(tmp_path: Path) -> None:
    made = declare_directions("clicks", ["words", "meaning", "title", "open"], 2.0)
    assert read(made.text) == made
    told = json.loads(made.text)
    told["parameters"]["near"] += 1
    with pytest.raises(PrivacyError, match="not what its epsilon"):
        read(json.dumps(told, sort_keys=True, separators=(",", ":")))
    collector = Collector(tmp_path)
    collector.open(made)
    truth = some(4, 1)[0]
    payloads = made.oracle.perturb(np.tile(truth, (3000, 1)), Stream(key(5)))
    sent = [encoded(made, bytes(row), client=secrets.token_bytes(16), nonce=secrets.token_bytes(8), period=3) for row in payloads]
    assert collector.ingest(batch([*sent, sent[0]]), range(3, 4)).refused == {"replayed": 1}
    found = collector.mean_direction(made, 3)
    assert found.reports == 3000 and np.abs(found.mean - truth).max() < 5 * found.error
    with pytest.raises(PrivacyError, match="nothing to estimate"):
        collector.mean_direction(made, 4)
    with pytest.raises(PrivacyError, match="not frequencies"):
        collector.estimate(made)
    other = declare("letters", ["a", "b"], 1.0)
    collector.open(other)
    with pytest.raises(PrivacyError, match="only directions"):
        collector.mean_direction(other, 3)
    collector.close()


@pytest.mark.parametrize(("size", "epsilon"), [(2, 1.0), (11, 1.0), (5, 0.0), (5, 9.0), (5, math.nan), (5.5, 1.0)])
def test_what_there_is_no_table_for_is_refused(size: Any, epsilon: float) -> None:
    with pytest.raises(PrivacyError):
        Directions(size, epsilon)
    with pytest.raises(PrivacyError, match="rows"):
        Directions(5, 1.0).perturb(np.zeros((2, 4)), Stream(key(1)))


# Planted bugs: each is caught by a check that passes on the real code.


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_planted_more_epsilon_than_declared() -> None:
    declared, planted = Directions(4, 1.0), Directions(4, 1.0)
    planted.__dict__["masses"] = module.masses(planted.nearest, module.exponential(1.1))
    assert ratio_breaches(distributions(declared), declared.epsilon) == []
    assert ratio_breaches(distributions(planted), declared.epsilon)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_planted_silence_that_can_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client without clicks that sends only far codes: it says that it did not click."""
    chosen = Directions(4, 1.0)
    real = Directions.perturb

    def planted(self: Directions, vectors: Any, stream: Any) -> Any:
        reports = real(self, vectors, stream)
        silent = (np.asarray(vectors) == 0).all(axis=1)
        reports[silent, 1] //= 2
        return reports

    monkeypatch.setattr(Directions, "perturb", planted)
    assert ratio_breaches(distributions(chosen), chosen.epsilon)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_planted_other_codes_counted_without_the_near_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = Directions(4, 1.0)
    real = module.respond

    def planted(near: Any, drawn: Any, mass: int, far: int, rest: int) -> Any:
        past = drawn - chosen.nearest * mass
        return np.where(past < 0, real(near, drawn, mass, far, rest), np.minimum(past // far, 255))

    monkeypatch.setattr(module, "respond", planted)
    assert ratio_breaches(distributions(chosen), chosen.epsilon)


def test_planted_turn_that_follows_the_vector(monkeypatch: pytest.MonkeyPatch) -> None:
    """The turn must be the same whatever the vector is: it comes from the stream alone."""
    chosen, vectors = Directions(4, 1.0), some(4, 500)

    def same(perturb: Any) -> bool:
        return bool((perturb(vectors, Stream(key(6)))[:, 0] == perturb(-vectors, Stream(key(6)))[:, 0]).all())

    def planted(given_vectors: Any, stream: Any) -> Any:
        reports = chosen.perturb(given_vectors, stream)
        reports[:, 0] ^= (given_vectors[:, 0] > 0).astype(np.uint8)
        return reports

    assert same(chosen.perturb) and not same(planted)


@pytest.mark.parametrize("planted", ["lopsided table", "no turn back"])
def test_planted_bend(monkeypatch: pytest.MonkeyPatch, planted: str) -> None:
    chosen, vectors = Directions(5, 2.0), some(5, 40)
    assert bend(chosen, vectors) < BEND
    if planted == "lopsided table":
        half = np.rint(some(5, 128, seed=9) * UNIT).astype(np.int64)
        lopsided = np.concatenate([np.abs(half), -np.abs(half)])
        monkeypatch.setattr(module, "codes", lambda size: lopsided)
        monkeypatch.setitem(globals(), "codes", lambda size: lopsided)
    else:
        monkeypatch.setitem(globals(), "turned_back", lambda found, turn: found)
    assert bend(chosen, vectors) > 2 * BEND


# The browser.


def vectors() -> list[dict[str, Any]]:
    found = []
    for at, (size, epsilon) in enumerate([(3, 0.5), (4, 1.0), (5, 2.0), (7, 4.0), (10, 1.0)]):
        chosen, reports = Directions(size, epsilon), []
        rows = [*some(size, 24, seed=at).tolist(), [0.0] * size, [1.0] * size, [1e-300, *[0.0] * (size - 1)], [5e300] * size]
        for place, vector in enumerate(rows):
            stream = Recorder(Stream(key(20_000 + 100 * at + place)))
            report = chosen.perturb(np.array([vector]), stream)  # type: ignore[arg-type]
            reports.append({"vector": vector, "words": stream.taken.hex(), "report": bytes(report[0]).hex()})
        near, far, rest = chosen.masses
        begins = [0, near, chosen.nearest * near, chosen.nearest * near + far + 1, chosen.nearest * near + rest * (far + 1)]
        begins += [begins[-1] + 3 * far, WHOLE]
        for place, drawn in enumerate(sorted({one + step for one in begins for step in (-1, 0) if 0 <= one + step < WHOLE})):
            word = drawn << 16 | 0xAB00 | (29 * place & 255)  # draws at both sides of every edge
            report = chosen.perturb(np.array(rows[:1]), Fixed([word]))  # type: ignore[arg-type]
            reports.append({"vector": rows[0], "words": word.to_bytes(8, "little").hex(), "report": bytes(report[0]).hex()})
        found.append({"parameters": chosen.parameters(), "epsilon": chosen.epsilon, "reports": reports})
    return found


REPLAY = """
        done(given.cases.map(({ parameters, reports }) => reports.map(({ vector, words }) => {
          const all = unhex(words);
          let at = 0;
          const report = hex(c.direction(parameters, vector, given.table, (count) => all.slice(at, at += count)));
          return report + (at === all.length ? "" : " words left");
        })));
"""


def test_the_shared_vectors_are_those_python_gives() -> None:
    assert json.loads(FILE.read_text()) == vectors(), "run python tests/privacy/local/test_directions.py"


def test_the_browser_gives_the_same_report_for_the_same_words(browser: Any) -> None:
    cases, table = json.loads(FILE.read_text()), json.loads(TABLE.read_text())
    assert run(browser, REPLAY, {"cases": cases, "table": table}) == [
        [one["report"] for one in case["reports"]] for case in cases
    ]
    found = run(browser, "done(given.map(({ parameters }) => c.epsilonOf(parameters)));", cases)
    assert found == pytest.approx([case["epsilon"] for case in cases], rel=1e-9)


@pytest.mark.parametrize("mutant", range(len(MUTANTS) - OF_DIRECTIONS, len(MUTANTS)))
def test_the_vectors_catch_a_bug_planted_in_the_client(browser: Any, mutant: int) -> None:
    cases, table = json.loads(FILE.read_text()), json.loads(TABLE.read_text())
    found = run(browser, REPLAY, {"cases": cases, "table": table}, client=f"/client.js?{mutant}")
    assert found != [[one["report"] for one in case["reports"]] for case in cases]


@pytest.mark.soak
@pytest.mark.parametrize("silent", [False, True])
def test_a_million_reports_of_the_browser_follow_the_exact_distribution(
    browser: Any, soak: Callable[[int], int], silent: bool
) -> None:
    """Counted are the turn, and the code's place in the order of nearness, which has the same law for every turn."""
    chosen = Directions(4, 1.0)
    vector = np.zeros(4) if silent else some(4, 1)[0]
    told = run(
        browser,
        """
        const counts = new Array(65536).fill(0);
        let pool = new Uint8Array(0), at = 0;
        const bytes = (count) => {
          if (at + count > pool.length) { pool = c.systemBytes(1 << 16); at = 0; }
          return pool.slice(at, at += count);
        };
        for (let i = 0; i < given.reports; i++) {
          const [turn, code] = c.direction(given.parameters, given.vector, given.table, bytes);
          counts[256 * turn + code]++;
        }
        done(counts);
        """,
        {
            "parameters": chosen.parameters(),
            "vector": vector.tolist(),
            "table": json.loads(TABLE.read_text()),
            "reports": soak(1_000_000),
        },
    )
    counts = np.array(told).reshape(CODES, CODES)
    assert chi_squared(counts.sum(axis=1), np.ones(CODES)) > 1e-6
    near, far, rest = chosen.masses
    if silent:
        assert chi_squared(counts.sum(axis=0), np.ones(CODES)) > 1e-6
        return
    whole, _ = on_grid(np.tile(vector, (CODES, 1)))
    close = chosen._near(turned(whole, np.arange(CODES)))
    order = np.argsort(~close, axis=1, kind="stable")
    places = np.take_along_axis(counts, order, axis=1).sum(axis=0)
    masses = [near] * chosen.nearest + [far + (place < rest) for place in range(CODES - chosen.nearest)]
    assert chi_squared(places, masses) > 1e-6


def test_the_browsers_client_sends_one_a_period_and_refuses_what_gives_more(browser: Any, tmp_path: Path) -> None:
    made = declare_directions("clicks", ["words", "meaning", "title", "open"], 2.0)
    altered = []
    honest = json.loads(made.text)
    for name in honest["parameters"]:
        for change in (0, 1, -1, 0.5, "2", None, honest["parameters"][name] * 2 if name != "oracle" else "grr", 2**48, 2**53):
            told = json.loads(made.text)
            told["parameters"][name] = change
            if told != honest:
                altered.append(json.dumps(told))
    altered.append(json.dumps({**honest, "epsilon": 1.0, "millionths": 1_000_000}))
    found = run(
        browser,
        """
        const opened = [];
        for (const text of given.altered)
          opened.push(await c.open(text, { storage: memory(), table: given.table }).then(() => true, (e) => !(e instanceof c.Refused)));
        const storage = memory(), client = await c.open(given.text, { storage, table: given.table });
        const bad = refusal(() => client.report([1, 2, 3], 7));
        const before = client.spent().epsilon;
        const first = client.report([1, -2, 0.5, 3], 7), again = refusal(() => client.report([1, 2, 3, 4], 7));
        const empty = client.report([0, 0, 0, 0], 8);
        const bare = await c.open(given.text, { storage: memory() });
        const tableless = refusal(() => bare.report([1, 2, 3, 4], 7));
        done({ opened, bad, before, again, batch: hex(c.batch([first, empty])), spent: client.spent().epsilon, bare: tableless });
        """,
        {"altered": altered, "text": made.text, "table": json.loads(TABLE.read_text())},
    )
    assert not any(found["opened"]) and len(found["opened"]) > 30
    assert (
        "4 coordinates" in found["bad"] and found["before"] == 0 and "sent already" in found["again"] and "table" in found["bare"]
    )
    assert found["spent"] == 2 * made.oracle.epsilon
    collector = Collector(tmp_path)
    collector.open(made)
    assert collector.ingest(bytes.fromhex(found["batch"])).taken == 2
    collector.close()


if __name__ == "__main__":
    FILE.write_text(json.dumps(vectors(), indent=0, sort_keys=True) + "\n")
