"""EASE and popularity: what they compute, from exact and from noised counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from scipy.sparse import csr_array, random_array

from pellucid.errors import DataError, UsageError
from pellucid.models import ease, popularity, private_gram, recommend, scores
from pellucid.models.interaction_matrix import matrix_of, noise_level
from pellucid.store import kinds


@pytest.fixture
def histories() -> Any:
    rng = np.random.default_rng(0)
    taste = rng.random((300, 1)) < 0.5
    dense = rng.random((300, 12)) < np.where(taste, np.r_[[0.6] * 6, [0.1] * 6], np.r_[[0.1] * 6, [0.6] * 6])
    return csr_array(dense.astype(float))


def rows_of(histories: Any) -> pa.Table:
    cells = histories.tocoo()
    return pa.table({"who": cells.row, "what": pa.array([f"i{place:02d}" for place in cells.col])})


def test_the_exact_gram_table_is_the_gram_matrix(histories: Any) -> None:
    table = private_gram(pa.concat_tables([rows_of(histories)] * 2), "what", "who")  # repeats count once
    items, counts, _ = matrix_of(table)
    assert items.tolist() == [f"i{place:02d}" for place in range(12)]
    assert np.array_equal(counts, (histories.T @ histories).toarray())
    pairs = list(zip(table.column("item_a").to_pylist(), table.column("item_b").to_pylist(), strict=True))
    assert pairs == sorted(pairs)


def test_ease_is_the_ridge_regression_without_self_loops_it_claims_to_be(histories: Any) -> None:
    model = ease.fit(private_gram(rows_of(histories), "what", "who"), regularization=7.0)
    x = histories.toarray()
    for item in range(12):  # column by column: the other items' best weights for this one
        others = [place for place in range(12) if place != item]
        a = x[:, others]
        best = np.linalg.solve(a.T @ a + 7.0 * np.eye(11), a.T @ x[:, item])
        assert np.allclose(model.arrays["weights"][others, item], best)
    assert (np.diag(model.arrays["weights"]) == 0).all()


def test_scores_of_a_person_do_not_depend_on_who_else_is_scored_to_the_last_bit(histories: Any) -> None:
    model = ease.fit(private_gram(rows_of(histories), "what", "who"))
    together = scores(model, histories)
    for person in range(0, 300, 17):
        assert np.array_equal(scores(model, histories[[person]])[0], together[person])


def test_noise_is_estimated_from_the_negative_cells_and_sets_the_ridge(histories: Any) -> None:
    rng = np.random.default_rng(1)
    size = 150
    true = random_array((size, size), density=0.1, random_state=rng).toarray() * 1000
    noisy = np.triu(np.round(true + rng.normal(0, 20, (size, size))))
    a, b = np.triu_indices(size)
    table = pa.table({"item_a": a, "item_b": b, "count": noisy[a, b].astype(np.int64)})
    assert noise_level(matrix_of(table).counts) == pytest.approx(20, rel=0.05)
    assert ease.fit(table, noise=20.0).settings["regularization"] == pytest.approx(40 * np.sqrt(size))
    exact = private_gram(rows_of(histories), "what", "who")
    assert noise_level(matrix_of(exact).counts) == 0.0
    counts = matrix_of(exact).counts
    assert ease.fit(exact).settings["regularization"] == pytest.approx(2 * np.sqrt(counts.sum() / len(counts)))
    small = pa.table({"item_a": [1, 1, 2], "item_b": [1, 2, 2], "count": [3, 1, 2]})
    assert ease.fit(small).settings["regularization"] == ease.LEAST


def test_a_model_of_noise_alone_says_that_it_is_no_better_than_popularity(histories: Any, capsys: Any) -> None:
    rng = np.random.default_rng(3)
    a, b = np.triu_indices(60)
    noise = pa.table({"item_a": a, "item_b": b, "count": np.round(rng.normal(0, 20, len(a))).astype(np.int64)})
    assert ease.fit(noise, noise=20.0).settings["expected"] == ease.NO_BETTER
    assert "no better than popularity" in capsys.readouterr().out
    assert "expected" not in ease.fit(private_gram(rows_of(histories), "what", "who")).settings
    pairs = np.where((a < 20) & (b < 20), 500, 0) + np.round(rng.normal(0, 20, len(a)))
    held = pa.table({"item_a": a, "item_b": b, "count": pairs.astype(np.int64)})
    assert "expected" not in ease.fit(held, noise=20.0).settings


def test_a_denoised_matrix_has_no_negative_eigenvalues_and_no_pairs_below_the_noise() -> None:
    rng = np.random.default_rng(2)
    counts = rng.normal(0, 30, (40, 40)) + np.diag(np.full(40, 10.0))
    found = ease._denoised((counts + counts.T) / 2, 15.0)
    assert np.linalg.eigvalsh(found).min() > -1e-9
    assert np.isfinite(ease._weights(found, 10.0)).all()


def test_a_model_file_can_be_used_with_numpy_alone(histories: Any, tmp_path: Path) -> None:
    model = ease.fit(private_gram(rows_of(histories), "what", "who"))
    saved = kinds.save(model, "model", tmp_path, "m")
    with np.load(saved.path, allow_pickle=False) as file:
        place = {item: index for index, item in enumerate(file["items"].tolist())}
        history = [place["i00"], place["i01"]]
        score = file["weights"][history].sum(axis=0)
        score[history] = -np.inf
        best = file["items"][int(np.argmax(score))]
    assert recommend(kinds.load(saved.path, "model"), ["i01", "i00", "unknown"], 1)[0][0] == best


def test_recommend_leaves_out_what_is_known_and_orders_ties_by_item() -> None:
    table = pa.table({"item_a": [3, 5, 7], "item_b": [3, 5, 7], "count": [4, 9, 4]})
    assert recommend(popularity.fit(table), [], 5) == [(5, 9.0), (3, 4.0), (7, 4.0)]
    assert recommend(popularity.fit(table), [5, 99], 1) == [(3, 4.0)]
    assert [item for item, _ in recommend(ease.fit(table), [], 3)] == [5, 3, 7]  # nothing known: by popularity


def test_unusable_tables_and_settings_are_refused() -> None:
    good = {"item_a": [1, 1, 2], "item_b": [1, 2, 2], "count": [3, 1, 2]}
    with pytest.raises(DataError, match="'count' is missing"):
        ease.fit(pa.table({"item_a": [1], "item_b": [1]}))
    with pytest.raises(DataError, match="more than once"):
        ease.fit(pa.table({"item_a": [1, 2], "item_b": [2, 1], "count": [1, 1]}))
    with pytest.raises(DataError, match="no items"):
        ease.fit(pa.table({name: pa.array([], pa.int64()) for name in good}))
    for setting in (0, -1, float("nan"), True, "3"):
        with pytest.raises(UsageError, match="regularization"):
            ease.fit(pa.table(good), regularization=setting)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="no model kind"):
        scores(kinds.Model("tree", {}, {}), csr_array((1, 1)))
