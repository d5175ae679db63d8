"""Attacks: they succeed where they must, fail where they must, and their intervals and baselines are right."""

from __future__ import annotations

import hashlib
import json
import math
import re
import subprocess
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pytest
from scipy import stats

from pellucid.errors import DataError, UsageError
from pellucid.privacy import attacks, secret_keys
from pellucid.privacy.attacks.auditing.one_run_audit import probability, refuted_epsilon
from pellucid.privacy.attacks.finding import lower_bound, upper_bound
from pellucid.privacy.noise.gaussian import DiscreteGaussian
from pellucid.privacy.noise.stream import Stream

VISITS = Path(__file__).parents[3] / "src" / "pellucid" / "cli" / "msweb" / "visits.csv"
SHARED = Path(__file__).parents[4] / "shared" / "data"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason=f"the real collections are not at {SHARED}")
KEY = hashlib.sha256(b"a key for attacks").digest()


def noise(sigma: int, count: int, label: str) -> np.ndarray[Any, Any]:
    return DiscreteGaussian(Fraction(sigma * sigma)).draw(Stream(secret_keys.derive(KEY, label)), count)


@pytest.fixture(scope="module")
def msweb() -> attacks.Histories:
    return attacks.histories(polars.read_csv(VISITS), "user_id", "area_id")


@pytest.fixture(scope="module")
def halves(msweb: attacks.Histories) -> tuple[attacks.Histories, attacks.Histories]:
    """People in a release, and a control group that is not: three quarters and one quarter."""
    places = np.arange(len(msweb.people))
    return msweb.rows(places[places % 4 > 0]), msweb.rows(places[places % 4 == 0])


# numbers ---------------------------------------------------------------------------------------------------------------------


def test_intervals_are_those_of_clopper_and_pearson_and_cover() -> None:
    for successes, trials in ((0, 10), (3, 10), (10, 10), (37, 1000)):
        exact = stats.binomtest(successes, trials).proportion_ci(0.95, "exact")
        rate = attacks.Rate(successes, trials)
        assert (rate.low, rate.high) == pytest.approx((exact.low, exact.high))
    assert lower_bound(0, 5, 0.1) == 0.0 and upper_bound(5, 5, 0.1) == 1.0
    assert attacks.Rate(2.5, 10).low == attacks.Rate(2, 10).low and attacks.Rate(2.5, 10).high == attacks.Rate(3, 10).high


def test_a_finding_is_plain_json_and_fits_a_terminal(msweb: attacks.Histories) -> None:
    found = attacks.linkage(msweb, msweb, target="hashed identifiers", known=4, targets=50)
    assert json.loads(json.dumps(found.to_json()))["rate"]["trials"] == 50
    assert all(len(line) <= 80 for line in found.to_lines())


# logs ------------------------------------------------------------------------------------------------------------------------


def test_hashed_identifiers_fail_and_more_knowledge_links_more(msweb: attacks.Histories) -> None:
    rates = [attacks.linkage(msweb, msweb, target="hashed", known=known, targets=400).rate.value for known in (2, 4, 8)]
    assert rates == sorted(rates)
    assert rates[0] > 1000 / len(msweb.people) and rates[2] > 0.85


def test_the_score_is_that_of_the_paper() -> None:
    """Three people by hand: the record that holds the rarer known item scores higher."""
    rows = {"u": ["a", "a", "a", "b", "b", "c", "c", "c"], "i": ["x", "y", "z", "x", "y", "x", "z", "w"]}
    log = attacks.histories(polars.DataFrame(rows), "u", "i")
    assert attacks.linkage(log, log, target="t", known=2, targets=3).rate.trials == 2  # b holds no more than two
    assert attacks.linkage(log, log, target="t", known=2, targets=3, seed=3).rate.value > 0.5


def test_records_of_other_people_link_no_better_than_chance(msweb: attacks.Histories) -> None:
    """A table in which everybody has somebody else's history: linking by content finds the wrong person."""
    order = np.roll(np.arange(len(msweb.people)), 1)
    shuffled = attacks.Histories(msweb.matrix[order], msweb.people, msweb.items)
    found = attacks.linkage(msweb, shuffled, target="shuffled", known=8, targets=400)
    assert found.rate.value < 0.05 and found.details["confident and right"] < 0.05


def test_a_released_matrix_tells_no_more_of_its_people_than_of_others(
    halves: tuple[attacks.Histories, attacks.Histories], tmp_path: Path
) -> None:
    from pellucid.privacy.mechanisms import gram

    members, control = halves
    people, items = members.matrix.nonzero()
    table = polars.DataFrame({"user_id": members.people.to_numpy()[people], "area_id": members.items.to_numpy()[items]})
    table.write_parquet(tmp_path / "members.parquet")
    mechanism = gram(item="area_id", max_contributions=5)
    released = mechanism.run(tmp_path / "members.parquet", "user_id", 1.0, 1e-6, KEY, tmp_path)
    frame = polars.DataFrame(released)
    named = frame.filter(polars.col("item_a") == polars.col("item_b"))["item_a"].to_list()
    places = {item: at for at, item in enumerate(named)}
    counts = np.zeros((len(named), len(named)))
    for a, b, count in frame.iter_rows():
        counts[places[a], places[b]] = counts[places[b], places[a]] = count
    columns = np.array([members.items.index(item).as_py() for item in named])
    sigma = mechanism.numbers(1.0, 1e-6)["sigma"]
    found = attacks.attribute_inference(
        members,
        control,
        attacks.from_counts(counts, columns, len(members.items), ridge=2 * sigma * math.sqrt(len(named))),
        target="Gram matrix at epsilon 1",
        references={"hashed identifiers": attacks.from_records(members)},
    )
    assert found.within_control
    assert found.rate.value > found.baselines["popular"].value  # type: ignore[union-attr]  # it is useful, about everybody alike


def test_a_table_that_holds_its_people_is_found_out_by_its_control_group(
    halves: tuple[attacks.Histories, attacks.Histories],
) -> None:
    members, control = halves
    found = attacks.attribute_inference(members, control, attacks.from_records(members), target="hashed", known=8)
    assert not found.within_control


@needs_shared
def test_people_who_write_their_names_are_found() -> None:
    """Real chat logs, nicknames for names: own nick in own messages. Pseudonyms for the speaker do not help."""
    said: dict[str, list[str]] = {}
    for path in sorted((SHARED / "irc-disentanglement" / "data").rglob("*.ascii.txt")):
        for line in path.read_text(errors="replace").splitlines():
            match = re.match(r"\[\d\d:\d\d\] <([^>]+)> (.*)", line)
            if match:
                said.setdefault(match[1], []).append(match[2])
    found = attacks.text_reidentification(said, {nick: [nick] for nick in said}, target="IRC under pseudonyms")
    assert found.rate.low > 5 * float(found.baselines["random guess"])  # type: ignore[arg-type]


def test_vanity_is_right_on_a_small_case_and_counts_chance_where_nothing_is_found() -> None:
    texts = {"r1": ["jane doe plumber", "doe family"], "r2": ["cheap flights"], "r3": ["weather", "doe a deer"]}
    names = {"r1": ["Jane Doe"], "r2": ["Bob Ray"], "r9": ["not there"]}
    found = attacks.text_reidentification(texts, names, target="small")
    assert found.rate.trials == 2 and found.rate.successes == pytest.approx(1 + 1 / 3)
    with pytest.raises(UsageError, match="nobody's terms"):
        attacks.text_reidentification(texts, {}, target="none")


# tables ----------------------------------------------------------------------------------------------------------------------

PATIENTS = {"zip": ["1", "1", "1", "2", "2", "2"], "ill": ["flu", "flu", "flu", "flu", "ache", "cold"]}


def test_homogeneity_and_background_are_right_on_a_small_case() -> None:
    assert attacks.homogeneity(PATIENTS, ["zip"], "ill", target="t").rate.successes == 3
    # class 2, one value ruled out (the rarest that is not the person's): one of two is left for each, and so a half is right
    found = attacks.background(PATIENTS, ["zip"], "ill", target="t", ruled_out=1)
    assert found.rate.successes == pytest.approx(3 + 1.5)
    assert attacks.background(PATIENTS, ["zip"], "ill", target="t", ruled_out=0).rate.successes == pytest.approx(3 + 1)
    with pytest.raises(DataError, match="no column 'age'"):
        attacks.homogeneity(PATIENTS, ["age"], "ill", target="t")


@pytest.fixture(scope="module")
def adult() -> polars.DataFrame:
    if not SHARED.is_dir():
        pytest.skip(f"the real collections are not at {SHARED}")
    frame = polars.read_csv(SHARED / "adult" / "adult.csv", separator=";", infer_schema_length=None)
    return frame.sample(fraction=1.0, shuffle=True, seed=1)[:9000]


def independent(frame: polars.DataFrame) -> polars.DataFrame:
    """Each column shuffled by itself: nobody's record, the same margins."""
    return frame.select(polars.col(name).shuffle(seed=at) for at, name in enumerate(frame.columns))


@pytest.mark.slow
def test_a_copy_is_singled_out_linked_and_inferred_and_margins_are_not(adult: polars.DataFrame) -> None:
    people, control = adult[:4000], adult[4000:8000]
    copy, margins = people, independent(people)
    known = [name for name in adult.columns if name != "occupation"]
    halves = (adult.columns[:4], adult.columns[4:])
    for released, leaky in ((copy, True), (margins, False)):
        out = attacks.singling_out(people, released, control, target="t", columns=4, attacks=150)
        link = attacks.linkability(people, released, control, target="t", left=halves[0], right=halves[1], attacks=200)
        infer = attacks.inference(people, released, control, target="t", known=known, secret="occupation", attacks=400)
        for found in (out, infer):
            assert found.within_control != leaky, found
        assert (link.rate.low > link.baselines["control"].high) == leaky  # type: ignore[union-attr]


ANONYMETER = """
import json, sys, warnings
warnings.filterwarnings("ignore")
import numpy as np
import pandas as pd
from anonymeter.evaluators import InferenceEvaluator
np.random.seed(0)
people, copy, control = (pd.read_csv(path) for path in sys.argv[1:4])
known = sys.argv[4].split(",")
found = InferenceEvaluator(ori=people, syn=copy, control=control, aux_cols=known, secret="occupation", n_attacks=len(people))
found.evaluate(n_jobs=1)
result = found.results(confidence_level=0.95)
print(json.dumps([result.attack_rate.value, result.control_rate.value]))
"""


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_inference_agrees_with_anonymeter(adult: polars.DataFrame, tool: Callable[[str], Path], tmp_path: Path) -> None:
    people, control = adult[:3000], adult[3000:6000]
    known = ["sex", "age", "race", "education", "native-country"]
    for name, released in (("copy", people), ("margins", independent(people))):
        frames = {"people": people, name: released, "control": control}
        for label, frame in frames.items():
            frame.write_csv(tmp_path / f"{label}.csv")
        paths = [str(tmp_path / f"{label}.csv") for label in frames]
        done = subprocess.run(
            [tool("anonymeter"), "-c", ANONYMETER, *paths, ",".join(known)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[-500:]
        theirs = json.loads(done.stdout.splitlines()[-1])
        # everybody is attacked, by both: with a thousand drawn at random the two differed by chance alone in one run of a hundred
        ours = attacks.inference(people, released, control, target=name, known=known, secret="occupation", attacks=len(people))
        assert ours.rate.value == pytest.approx(theirs[0], abs=0.06)
        assert ours.baselines["control"].value == pytest.approx(theirs[1], abs=0.06)  # type: ignore[union-attr]


# models and counts -----------------------------------------------------------------------------------------------------------


def test_membership_of_people_a_model_remembers_is_found_and_of_others_is_not() -> None:
    people, targets = 400, 200

    def fit(inside: np.ndarray[Any, Any], draw: int) -> np.ndarray[Any, Any]:
        return inside

    def remembers(model: Any, places: Any) -> Any:
        return model[places] * 1.0 + noise(16, people, f"m{model.sum()}")[places] / 60

    def forgets(model: Any, places: Any) -> Any:
        return noise(16, people, f"f{model.sum()}")[places] / 60

    sees = attacks.membership(fit, remembers, people, target="t", targets=targets, models=24)
    blind = attacks.membership(fit, forgets, people, target="t", targets=targets, models=24)
    assert sees.rate.low > 0.5 and sees.details["area under the curve"] > 0.95
    assert blind.rate.low <= 0.02 and abs(blind.details["area under the curve"] - 0.5) < 0.03
    with pytest.raises(UsageError, match="at least 8 models"):
        attacks.membership(fit, forgets, people, target="t", models=4)


def test_exact_counts_give_the_bits_back_and_noise_of_the_size_of_the_crowd_does_not() -> None:
    people = 200
    bits = (noise(10, people, "bits") > 3).astype(int)
    exact = attacks.reconstruction(bits, lambda counts: counts, target="exact counts")
    assert exact.rate.value == 1.0
    noisy = attacks.reconstruction(bits, lambda counts: counts + noise(300, len(counts), "much"), target="noise of 300")
    assert noisy.rate.value <= noisy.baselines["commoner bit for everybody"] + 0.05
    with pytest.raises(UsageError, match="each 0 or 1"):
        attacks.reconstruction(np.array([0, 2]), lambda counts: counts, target="t")


# mechanisms ------------------------------------------------------------------------------------------------------------------


def gaussian_epsilon(sigma: float, delta: float) -> float:
    low, high = 0.0, 50.0
    for _ in range(80):
        epsilon = (low + high) / 2
        found = stats.norm.cdf(1 / (2 * sigma) - epsilon * sigma) - math.exp(epsilon) * stats.norm.cdf(
            -1 / (2 * sigma) - epsilon * sigma
        )
        low, high = (epsilon, high) if found > delta else (low, epsilon)
    return high


def test_an_audit_comes_near_the_truth_from_below_and_refutes_half_of_it() -> None:
    sigma, delta = 2, 1e-3
    epsilon = gaussian_epsilon(sigma, delta)
    less, more = noise(sigma, 100_000, "less"), noise(sigma, 100_000, "more") + 1
    honest = attacks.audit("count", epsilon, delta, less, more)
    assert 0.5 * epsilon < honest.epsilon_lower_bound <= epsilon and not honest.refuted
    assert attacks.audit("count with half the noise", epsilon / 2, delta, less, more).refuted
    assert all(len(line) <= 80 for line in honest.to_lines())
    with pytest.raises(UsageError, match="at least 100 runs"):
        attacks.audit("count", 1.0, 0.0, less[:50], more)


def test_the_precision_attack_catches_floating_point_noise_and_spares_integers() -> None:
    epsilon, runs = 0.1, 20_000
    scale = 1 / epsilon
    uniform = np.random.default_rng(5).uniform(-0.5, 0.5, (2, runs))
    laplace = -scale * np.sign(uniform) * np.log(1 - 2 * np.abs(uniform))  # the textbook sampler
    assert attacks.floating_point_attack("float Laplace", epsilon, 0.0, laplace[0], laplace[1] + 1.0).refuted
    exact = attacks.floating_point_attack("integers", 0.6, 1e-3, noise(5, runs, "p0"), noise(5, runs, "p1") + 1)
    assert not exact.refuted


@pytest.mark.slow
def test_one_run_refutes_too_small_an_epsilon_and_no_true_one() -> None:
    def release(inside: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return inside + noise(2, len(inside), "canaries")

    delta = 1e-7
    epsilon = gaussian_epsilon(2, delta)
    found = attacks.audit_one_run("counts", epsilon, delta, release, canaries=4000, guesses=400)
    assert 0.3 < found.epsilon_lower_bound <= epsilon
    assert attacks.audit_one_run("counts at a quarter", epsilon / 8, delta, release, canaries=4000, guesses=400).refuted


def test_the_law_of_one_run_is_a_binomials_where_delta_is_nought() -> None:
    assert probability(60, 100, 1000, 0.0, 0.0) == pytest.approx(stats.binom(100, 0.5).sf(59))
    assert probability(60, 100, 1000, 0.0, 1e-4) > probability(60, 100, 1000, 0.0, 0.0)
    assert refuted_epsilon(50, 100, 1000, 0.0, 0.001) == 0.0
    low = refuted_epsilon(95, 100, 1000, 0.0, 0.001)
    assert stats.binom(100, 1 / (1 + math.exp(-low))).sf(94) == pytest.approx(0.001, rel=1e-6)
