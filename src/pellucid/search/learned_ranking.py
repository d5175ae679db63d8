"""Rankers learned from judgements, each a correction to the label-free sum, which stays the baseline.

score = sum + strength x correction, where the correction comes from the features of `ranking_features`:
- `ridge`: linear in the features (standardised over training), fitted to the grades, each query about its own mean;
- `lambdarank`: LightGBM's trees (Burges 2010; Ke et al. 2017) with linear gains.

The strength is chosen from `STRENGTHS` on training queries that the correction was not fitted on (`INNER` folds), the smaller among equals,
and 0, the label-free ranking itself, unless another is better by more than its standard error over those queries. So where judgements teach
nothing that lasts, the ranker is the baseline and says so.

The model's file: `weights`, `means`, `scales` of ridge; for trees LightGBM's own text, which loads without running code, as bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pellucid.errors import DataError, UsageError
from pellucid.search.click_feedback import KIND as BY_CLICKS
from pellucid.search.click_feedback import checked
from pellucid.search.ranking_features import NAMES, Judged

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pellucid.store import Model

KIND = "learned-ranking"
METHODS = ("ridge", "lambdarank")
STRENGTHS = (0.0, 0.25, 0.5, 1.0, 2.0)
INNER = 4
FEWEST = 20  # queries
RIDGE = 100.0
TREES, LEAVES, RATE = 60, 7, 0.05

Correction = Callable[["NDArray[Any]"], "NDArray[Any]"]


def fit(judged: Judged, method: str = "ridge", seed: int = 0) -> Model:
    """Fit on judged queries. Raises DataError for fewer than `FEWEST`, UsageError for a method there is not."""
    import numpy as np

    from pellucid.store import Model

    if method not in METHODS:
        raise UsageError(f'there is no learned ranking "{method}"', fix=f"It is one of {', '.join(METHODS)}")
    count = len(judged.begins) - 1
    if count < FEWEST:
        raise DataError(f"only {count} judged queries", why=f"a ranker is learned from {FEWEST} or more")
    train = {"ridge": _ridge, "lambdarank": _trees}[method]
    order = np.random.Generator(np.random.PCG64(seed)).permutation(count)
    gains = np.zeros((count, len(STRENGTHS)))
    for fold in range(INNER):
        out = np.sort(order[fold::INNER])
        correction = _of(method, train(_part(judged, np.setdiff1d(np.arange(count), out)), seed))
        for query in out.tolist():
            rows = slice(judged.begins[query], judged.begins[query + 1])
            values, grades = judged.values[rows], judged.grades[rows]
            added = correction(values)
            gains[query] = [_ndcg(values[:, 0] + strength * added, grades) for strength in STRENGTHS]
    better = gains - gains[:, :1]
    above = better.mean(axis=0) - better.std(axis=0) / np.sqrt(count)
    best = int(np.argmax(np.where(above > 0, better.mean(axis=0), 0.0)))
    arrays = train(judged, seed)
    settings = {
        "method": method,
        "features": list(NAMES),
        "strength": STRENGTHS[best],
        "queries": count,
        "gain": round(float(better[:, best].mean()), 6),
        "seed": seed,
    }
    if STRENGTHS[best] == 0.0:
        print("no correction was better than the label-free ranking on queries it was not fitted on: the ranker is that ranking")
    return Model(KIND, arrays, settings)


def checked_ranking(model: Model) -> Model:
    """The model itself, if it is a learned ranking of these features, or one learned from clicks. Raises DataError."""
    if model.kind == BY_CLICKS:
        return checked(model)
    if model.kind != KIND or list(model.settings.get("features", [])) != list(NAMES):
        raise DataError(
            "it is no ranking learned from these features", why=f"kind {model.kind}", fix="Fit it again: pl.search.learn"
        )
    return model


def scores(model: Model, values: NDArray[Any]) -> NDArray[Any]:
    """The scores of documents by their features (documents x `NAMES`)."""
    import numpy as np

    strength = float(model.settings["strength"])
    if not strength or not len(values):
        return np.array(values[:, 0])
    return np.asarray(values[:, 0] + strength * _of(str(model.settings["method"]), dict(model.arrays))(values))


def contributions(model: Model, values: NDArray[Any]) -> NDArray[Any]:
    """What each feature added beside the sum (documents x `NAMES`): exact for ridge, Shapley values by LightGBM for trees.

    They add up to the correction but for what is the same for every document.
    """
    import numpy as np

    strength = float(model.settings["strength"])
    if not strength or not len(values):
        return np.zeros(values.shape)
    if model.settings["method"] == "ridge":
        return np.asarray(strength * (values - model.arrays["means"]) / model.arrays["scales"] * model.arrays["weights"])
    told = _booster(model.arrays["trees"]).predict(values, pred_contrib=True, num_threads=1)
    return strength * np.asarray(told)[:, :-1]


def _of(method: str, arrays: dict[str, NDArray[Any]]) -> Correction:
    import numpy as np

    if method == "ridge":
        return lambda values: np.asarray((values - arrays["means"]) / arrays["scales"] @ arrays["weights"])
    booster = _booster(arrays["trees"])
    return lambda values: np.asarray(booster.predict(values, num_threads=1))


def _booster(trees: NDArray[Any]) -> Any:
    import lightgbm

    return lightgbm.Booster(model_str=trees.tobytes().decode())


def _ridge(judged: Judged, seed: int) -> dict[str, NDArray[Any]]:
    """Grades on features, both about their query's mean; the weights are scaled so that the correction varies as the sum does."""
    import numpy as np

    means = judged.values.mean(axis=0)
    scales = judged.values.std(axis=0)
    scales = np.where(scales > 1e-12, scales, 1.0)
    values = (judged.values - means) / scales
    query = np.repeat(np.arange(len(judged.begins) - 1), np.diff(judged.begins))
    counts = np.bincount(query)
    grades = judged.grades - (np.bincount(query, judged.grades) / counts)[query]
    about = values - np.stack([np.bincount(query, column) / counts for column in values.T], axis=1)[query]
    weights = np.linalg.solve(about.T @ about + RIDGE * np.eye(len(NAMES)), about.T @ grades)
    spread = float((about @ weights).std())
    weights = weights * (float(judged.values[:, 0].std()) / spread) if spread > 1e-12 else weights
    return {"weights": np.round(weights, 9), "means": np.round(means, 9), "scales": np.round(scales, 9)}


def _trees(judged: Judged, seed: int) -> dict[str, NDArray[Any]]:
    import lightgbm
    import numpy as np

    data = lightgbm.Dataset(
        judged.values,
        judged.grades,
        group=np.diff(judged.begins),
        init_score=judged.values[:, 0].copy(),
        feature_name=list(NAMES),
    )
    parameters = {
        "objective": "lambdarank", "label_gain": list(range(32)), "lambdarank_truncation_level": 20, "num_leaves": LEAVES,
        "learning_rate": RATE, "min_data_in_leaf": 50, "deterministic": True, "force_row_wise": True, "num_threads": 1, "seed": seed,
        "verbosity": -1,
    }  # fmt: skip
    text = lightgbm.train(parameters, data, TREES).model_to_string()
    return {"trees": np.frombuffer(text.encode(), dtype=np.uint8)}


def _part(judged: Judged, queries: NDArray[Any]) -> Judged:
    import numpy as np

    rows = np.concatenate([np.arange(judged.begins[query], judged.begins[query + 1]) for query in queries])
    sizes = judged.begins[queries + 1] - judged.begins[queries]
    return Judged(judged.values[rows], judged.grades[rows], np.concatenate([[0], np.cumsum(sizes)]))


def _ndcg(found: NDArray[Any], grades: NDArray[Any]) -> float:
    """nDCG@10, linear gain, among the documents at hand."""
    import numpy as np

    discount = 1 / np.log2(np.arange(2, 12))
    order = np.argsort(-np.round(found, 6), kind="stable")[:10]
    ideal = np.sort(grades)[::-1][:10]
    most = float((ideal * discount[: len(ideal)]).sum())
    return float((grades[order] * discount[: len(order)]).sum()) / most if most else 0.0
