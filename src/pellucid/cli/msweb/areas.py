"""One week of visits to the areas of a web site: a private log in, an open recommender out.

pellucid run areas.py
pellucid run areas.py --set matrix.epsilon=0.5
pellucid publish last out/ && pellucid reproduce out/
"""

import pellucid as pl
from pellucid.models import ease, popularity

# Real people's visits (SOURCE.txt). `unit` says whose privacy is protected, `budget` what all releases may cost them together.
visits = pl.source("visits.csv", label="private", unit="user_id", budget=pl.Budget(epsilon=2.0, delta=1e-5))
areas = pl.source("areas.csv", label="open", licence="CC-BY-4.0", credit="Anonymous Microsoft Web Data, UCI; Breese et al. 1998")

# A fifth of the people is held out; a fifth of each one's areas is hidden from the models.
people = pl.evaluation.hold_out(visits, item="area_id", share=0.2, seed=1)

# The one door from private to open: how many people visited each two areas, under noise.
matrix = pl.release(pl.privacy.gram(item="area_id", max_contributions=5), of=people.train, epsilon=1.0, delta=1e-6)


@pl.step(kind="train")
def recommender(matrix: pl.Table, matrix_guarantee: pl.Metrics) -> pl.Model:
    return ease.fit(matrix, noise=matrix_guarantee["sigma"])


@pl.step(kind="train")
def popular(matrix: pl.Table) -> pl.Model:
    return popularity.fit(matrix)


@pl.step(kind="predict")
def neighbours(recommender: pl.Model, areas: pl.Table) -> pl.Table:
    """For each area the five that the recommender finds nearest, by title."""
    import polars

    titles = dict(areas.polars().select("area_id", "title").collect().iter_rows())
    items, weights = recommender.arrays["items"], recommender.arrays["weights"]
    rows = [
        {"area": titles[int(item)], "rank": rank + 1, "neighbour": titles[int(items[near])], "weight": float(row[near])}
        for item, row in zip(items, weights, strict=True)
        for rank, near in enumerate((-row).argsort(kind="stable")[:5])
    ]
    return polars.DataFrame(rows)


# The areas as a search index: with the recommender it is what `pellucid serve` answers from.
index = pl.search.index(areas, id="area_id", title="title")

# Scores of held-out people are private: each row depends on one person, so their bounded mean can be released.
scores = pl.evaluation.score(people.holdout, {"recommender": recommender, "popular": popular}, item="area_id")
quality = pl.release(
    pl.privacy.mean(columns=["recommender_ndcg_10", "recommender_recall_20", "popular_ndcg_10", "popular_recall_20"]),
    of=scores,
    epsilon=0.5,
    delta=1e-6,
)


@pl.step(kind="evaluate")
def ceiling(train: pl.Table, holdout: pl.Table) -> pl.Metrics:
    """What the same model reaches without privacy. It has seen everybody, so it has no bound per person and stays private."""
    exact = ease.fit(pl.models.private_gram(train, "area_id", "user_id"), noise=0.0)
    return pl.evaluation.mean(pl.evaluation.per_person(exact, holdout, "user_id", "area_id"))


pipeline = pl.Pipeline(
    "areas",
    [visits, areas, people, matrix, recommender, popular, neighbours, index, scores, quality, ceiling],
    seed=1998,
    about=pl.About(
        title="Areas of a web site that people visit together",
        description="How many people visited each two areas of a web site in a week, released under differential privacy, and a"
        " recommender of areas trained on it.",
        creators=("Pellucid's maintainers",),
        licence="Apache-2.0",
        data_licence="CC-BY-4.0",
        keywords=("differential privacy", "recommendation", "open data"),
    ),
)
