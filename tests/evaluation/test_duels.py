"""Interleaving, the gate between champion and challenger, and what a log says of another policy."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.csv as csv
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.errors import DataError, UsageError
from pellucid.evaluation import gate, off_policy, power_of, team_draft

BANDITS = Path(__file__).parents[3] / "shared" / "data" / "obd-sample"
RANKINGS = st.lists(st.sampled_from("abcdefghij"), unique=True, max_size=10)


@given(RANKINGS, RANKINGS, st.integers(0, 12), st.lists(st.integers(0, 1), min_size=30, max_size=30))
def test_a_draft_shows_the_best_of_both_and_is_fair(champion, challenger, count, coins):
    turns = iter(coins)
    found = team_draft(champion, challenger, count, lambda: next(turns))
    assert len(set(found.documents)) == len(found.documents) == min(count, len({*champion, *challenger}))
    for side, ranking in enumerate((champion, challenger)):
        mine = [one for one, by in zip(found.documents, found.picked_by, strict=True) if by == side]
        assert mine == [one for one in ranking if one in mine], "in the ranking's own order"
    if len(champion) == len(challenger) == 10:
        assert abs(found.picked_by.count(0) - found.picked_by.count(1)) <= 1


def test_the_winner_has_more_clicks_and_the_same_ranking_wins_half():
    found = team_draft(["a", "b", "c"], ["c", "b", "a"], 3, lambda: 1)
    assert found.documents == ("c", "a", "b") and found.picked_by[:2] == (1, 0)
    assert found.winner(["c"]) == 1 and found.winner(["a"]) == 0 and found.winner(["a", "c"]) is None and found.winner([]) is None
    random = np.random.Generator(np.random.PCG64(2))
    wins = [team_draft("abcde", "abcde", 5, lambda: int(random.integers(2))).winner(["a"]) for _ in range(4000)]
    assert abs(np.mean(wins) - 0.5) < 5 * 0.5 / math.sqrt(4000)


@pytest.mark.parametrize(
    ("epsilon", "advantage", "people"), [(0.5, 0.02, 64_500), (1.0, 0.02, 18_200), (2.0, 0.05, 1_090), (None, 0.05, 640)]
)
def test_sample_sizes_are_those_of_the_formula(epsilon, advantage, people):
    found = gate(advantage, epsilon)
    assert abs(found.people / people - 1) < 0.05  # by the normal law; the exact one has teeth
    assert found.power >= 0.8 and found.size <= 0.05
    assert found.power == pytest.approx(power_of(found.people, advantage, epsilon))


@given(
    st.floats(0.02, 0.3),
    st.sampled_from([0.5, 1.0, 2.0, 4.0, None]),
    st.sampled_from([0.01, 0.05, 0.1]),
    st.sampled_from([0.7, 0.8, 0.9]),
)
@settings(max_examples=25, deadline=None)
def test_a_gate_keeps_its_size_and_its_power_and_no_smaller_one_would(advantage, epsilon, level, power):
    found = gate(advantage, epsilon, level, power)
    throws = [math.comb(found.people, ones) for ones in range(found.needed, found.people + 1)] if found.people < 400 else None
    if throws is not None:
        assert sum(throws) / 2**found.people == pytest.approx(found.size)
    assert found.size <= level and found.power >= power
    assert not found.passes(found.needed - 1) and found.passes(found.needed)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_simulated_duels_pass_as_often_as_is_said():
    """Whole duels, clicks and randomised bits and all: power within 0.03, and a challenger that is no better passes in at most 5 %."""
    random, epsilon = np.random.Generator(np.random.PCG64(9)), 2.0
    for won, trials in ((0.7, 3000), (0.5, 6000)):
        clicked, truth = 0.5, 1 / (1 + math.exp(-epsilon))
        found = gate(clicked * 0.2, epsilon)
        clicks = random.random((trials, found.people)) < clicked
        bits = np.where(clicks, random.random(clicks.shape) < won, random.random(clicks.shape) < 0.5)
        reports = np.where(random.random(clicks.shape) < truth, bits, ~bits)
        passed = float((reports.sum(axis=1) >= found.needed).mean())
        if won > 0.5:
            assert abs(passed - found.power) < 0.03
        else:
            assert passed <= 0.05 + 4 * math.sqrt(0.05 * 0.95 / trials)
            assert abs(passed - found.size) < 4 * math.sqrt(0.05 * 0.95 / trials)


@pytest.mark.parametrize(
    "bad",
    [{"advantage": 0}, {"advantage": 0.6}, {"advantage": 0.1, "epsilon": 0}, {"advantage": 0.1, "power": 1}, {"advantage": 1e-6}],
)
def test_gates_there_are_not(bad):
    with pytest.raises(UsageError):
        gate(**bad)
    with pytest.raises(UsageError, match="whole number from 0"):
        gate(0.1).passes(10**6)


def test_estimates_by_hand():
    found = off_policy([1, 0, 1], [0.5, 0.25, 1.0], [1.0, 0.5, 0.0], predicted=[0.5, 0.5, 0.5], expected=[0.75, 0.25, 0.5])
    assert found.ips[0] == pytest.approx(2 / 3) and found.snips[0] == pytest.approx(2 / 4)
    assert found.dr is not None and found.dr[0] == pytest.approx((0.75 + 2 * 0.5 + 0.25 - 2 * 0.5 + 0.5) / 3)
    assert found.effective_rows == pytest.approx(16 / 8)
    for bad in ([[1], [0.5], [1, 1]], [[], [], []], [[1], [0], [1]], [[float("nan")], [1], [1]], [[1], [1], [2]]):
        with pytest.raises(DataError):
            off_policy(*bad)


@pytest.mark.slow
@pytest.mark.timeout(300)
@given(st.integers(0, 10**6))
@settings(max_examples=10, deadline=None)
def test_every_estimate_finds_the_truth_of_a_world_that_is_known(seed):
    """Actions of known worth, a log drawn with known chances, another policy: within five standard errors, whatever dr predicts."""
    random = np.random.Generator(np.random.PCG64(seed))
    worth, drawn, wanted = np.array([0.2, 0.5, 0.8]), np.array([0.6, 0.3, 0.1]), np.array([0.1, 0.2, 0.7])
    actions = random.choice(3, 4000, p=drawn)
    rewards = (random.random(4000) < worth[actions]).astype(float)
    wrong = np.array([0.5, 0.1, 0.3])
    found = off_policy(rewards, drawn[actions], wanted[actions], predicted=wrong[actions], expected=np.full(4000, wanted @ wrong))
    for value, low, high in (found.ips, found.snips, found.dr or (0, 0, 0)):
        assert abs(value - wanted @ worth) < 5 * (high - low) / 3.92


@pytest.mark.quick(1)
@pytest.mark.skipif(not BANDITS.exists(), reason="the bandit logs are not here: ../shared/data")
@pytest.mark.parametrize("campaign", ["all", "men", "women"])
def test_real_logs_tell_of_the_other_policy(campaign):
    """Open Bandit: the policy of one log, estimated from the log of uniform draws, agrees with what it earned."""
    uniform, other = (csv.read_csv(BANDITS / policy / campaign / f"{campaign}.csv") for policy in ("random", "bts"))
    own = off_policy(uniform["click"].to_numpy(), uniform["propensity_score"].to_numpy(), uniform["propensity_score"].to_numpy())
    assert own.ips[0] == own.snips[0] == pytest.approx(pc.mean(uniform["click"]).as_py())
    chances = other.group_by(["position", "item_id"]).aggregate([("propensity_score", "mean"), ([], "count_all")]).to_pylist()
    rows = {at: sum(one["count_all"] for one in chances if one["position"] == at) for at in (1, 2, 3)}
    drawn = {(one["position"], one["item_id"]): one["count_all"] / rows[one["position"]] for one in chances}
    wanted = [drawn.get((row["position"], row["item_id"]), 0.0) for row in uniform.select(["position", "item_id"]).to_pylist()]
    found = off_policy(uniform["click"].to_numpy(), uniform["propensity_score"].to_numpy(), wanted)
    earned = pc.mean(other["click"]).as_py()
    error = math.sqrt(earned / other.num_rows)
    assert abs(found.snips[0] - earned) < 4 * math.hypot((found.snips[2] - found.snips[1]) / 3.92, error)
    assert found.effective_rows < found.rows
