"""The privacy-utility curve of areas.py, by simulation on the private data: for the steward's eyes, never published.

pellucid run curve.py --private
"""

import pellucid as pl
from pellucid.models import ease, popularity

visits = pl.source("visits.csv", label="private", unit="user_id", budget=pl.Budget(epsilon=2.0, delta=1e-5))
people = pl.evaluation.hold_out(visits, item="area_id", share=0.2, seed=1)


@pl.step(over={"epsilon": [0.5, 1.0, 2.0, 4.0]}, kind="evaluate")
def simulated(train: pl.Table, holdout: pl.Table, epsilon: float, max_contributions: int = 5, draws: int = 5) -> pl.Table:
    """nDCG@10 of the recommender on `draws` simulated releases."""
    import polars

    gram = pl.privacy.gram(item="area_id", max_contributions=max_contributions)
    sigma = gram.numbers(epsilon, 1e-6)["sigma"]
    found = []
    for draw in range(draws):
        matrix = pl.privacy.simulate(gram, train, unit="user_id", epsilon=epsilon, delta=1e-6, draw=draw)
        ranked = pl.evaluation.per_person(ease.fit(matrix, noise=sigma), holdout, "user_id", "area_id")
        found.append({"epsilon": epsilon, "draw": draw, "ndcg_10": pl.evaluation.mean(ranked)["ndcg_10"]})
    return polars.DataFrame(found)


@pl.step(kind="evaluate")
def bounds(train: pl.Table, holdout: pl.Table) -> pl.Metrics:
    """The popularity floor and the ceiling without privacy, from the exact matrix."""
    exact = pl.models.private_gram(train, "area_id", "user_id")
    models = {"floor": popularity.fit(exact), "ceiling": ease.fit(exact, noise=0.0)}
    return {
        name: pl.evaluation.mean(pl.evaluation.per_person(model, holdout, "user_id", "area_id"))["ndcg_10"]
        for name, model in models.items()
    }


@pl.step
def curve(simulated: list[pl.Table]) -> pl.Table:
    """All draws of all epsilons."""
    import polars

    return polars.concat([table.polars() for table in simulated])


pipeline = pl.Pipeline("curve", [visits, people, simulated, bounds, curve], seed=1998)
