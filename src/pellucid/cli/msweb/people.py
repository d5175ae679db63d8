"""One week of visits to the areas of a web site: a private log in, synthetic people out.

pellucid run people.py
pellucid get last synthetic_rows --out people.csv
"""

import pellucid as pl
from pellucid.models import ease, private_gram

# Real people's visits (SOURCE.txt); a fifth of the people is held out, to see what the rows are worth to people nobody has trained on.
visits = pl.source("visits.csv", label="private", unit="user_id", budget=pl.Budget(epsilon=2.0, delta=1e-5))
people = pl.evaluation.hold_out(visits, item="area_id", share=0.2, seed=1)

# Two releases, epsilon 1 together: who visits which areas together, and how many areas people visit.
matrix = pl.release(pl.privacy.gram(item="area_id", norm="equal"), of=people.train, epsilon=0.95, delta=1e-6)
lengths = pl.synthesize.sizes(people.train, item="area_id")
histogram = pl.release(
    pl.privacy.histogram("size", max_contributions=1, public_keys=range(1, 16)), of=lengths, epsilon=0.05, delta=1e-8
)

# Rows of people who do not exist: made from the two releases alone, so they are open and cost nothing more.
synthetic = pl.synthesize.histories(matrix, sizes=histogram, unit="user_id", item="area_id")


@pl.step(kind="train")
def on_people(synthetic_rows: pl.Table) -> pl.Model:
    """A recommender that has seen only the rows, as anybody's would."""
    return ease.fit(private_gram(synthetic_rows, "area_id", "user_id"), noise=0.0)


@pl.step(kind="train")
def on_matrix(matrix: pl.Table, matrix_guarantee: pl.Metrics) -> pl.Model:
    return ease.fit(matrix, noise=matrix_guarantee["sigma"])


# Trained on people who do not exist, tested on people who do: released as a bounded mean.
scores = pl.evaluation.score(people.holdout, {"people": on_people, "matrix": on_matrix}, item="area_id")
quality = pl.release(pl.privacy.mean(columns=["people_ndcg_10", "matrix_ndcg_10"]), of=scores, epsilon=0.5, delta=1e-6)

pipeline = pl.Pipeline(
    "people",
    [visits, people, matrix, lengths, histogram, synthetic, on_people, on_matrix, scores, quality],
    seed=1998,
    about=pl.About(
        title="Synthetic visitors of a web site",
        description="Rows of people who do not exist, made from how many people visited each two areas of a web site in a week, released"
        " under differential privacy.",
        creators=("Pellucid's maintainers",),
        licence="Apache-2.0",
        data_licence="CC-BY-4.0",
        keywords=("synthetic data", "differential privacy", "recommendation"),
    ),
)
