"""Histories as steps: the private table of sizes, and the open rows of people who never were."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from pellucid.errors import DataError, UsageError
from pellucid.pipeline.declaration import Output, OutputOf, Source, Step, keeps_units_apart
from pellucid.store import Metrics, Table

if TYPE_CHECKING:
    import pyarrow as pa

Node = Source | Step | OutputOf | str

MOST_PEOPLE = 100_000_000
BARREN = 50  # portions with less than one person in a thousand, after which no more are drawn


class Histories(NamedTuple):
    """The outputs of `histories`: the rows, and how far they are from what they were made of."""

    rows: Table
    quality: Metrics


@keeps_units_apart
def history_sizes(visits: Table, item: str, unit: str, max_contributions: int = 15) -> Table:
    """One row a person: how many different items it has, at most `max_contributions`; each a function of that person's rows alone."""
    import polars

    held = visits.polars().select(unit, item).drop_nulls().unique().group_by(unit).len("size")
    found: Any = held.with_columns(polars.col("size").cast(polars.Int64).clip(1, max_contributions)).sort(unit).collect()
    return found  # type: ignore[no-any-return]


def sizes(of: Node, *, item: str, max_contributions: int = 15, name: str = "sizes") -> Step:
    """A step that makes the private table of history sizes: to be released as `histogram("size", public_keys=range(1, 16))`.

    `of` is a private table with a unit, the same that the matrix is released from; `max_contributions` is that of the matrix.
    """
    settings = {"item": item, "max_contributions": max_contributions}
    return Step(history_sizes, name, (Output("", "table"),), {"visits": of}, settings, per_unit=True, kind="features")


def make_histories(
    matrix: Any,
    guarantee: Any,
    sizes: Any = None,
    people: int | None = None,
    unit: str = "person",
    item: str = "item",
    seed: int = 0,
) -> tuple[pa.Table, dict[str, float]]:
    """The rows (`unit`: s000001, ...; `item`), sorted, and what is known of their quality; see `histories`."""
    import numpy as np
    import pyarrow as pa

    from pellucid.synthesize.gaussian_copula import fit
    from pellucid.synthesize.matrix_statistics import statistics

    if people is not None and (isinstance(people, bool) or not isinstance(people, int) or not 1 <= people <= MOST_PEOPLE):
        raise UsageError(f"people must be a whole number from 1 to {MOST_PEOPLE:,}, not {people!r}")
    found = statistics(matrix, dict(guarantee), sizes)
    wanted = people if people is not None else max(1, min(MOST_PEOPLE, round(found.people)))
    shares = np.maximum(found.held, 3.0) / max(found.people, 6.0)
    model = fit(shares, found.together / max(found.people, 6.0), found.kept, found.apart, seed)
    kind = pa.array(found.items[:0].tolist(), pa.string() if found.items.dtype.kind == "U" else pa.int64()).type
    names = pa.array(found.items.tolist(), kind)
    digits, chunks, made, barren = max(6, len(str(wanted))), [], 0, 0
    held, both = np.zeros(len(shares)), np.zeros((len(shares),) * 2)
    for portion in model.portions(seed):
        barren += len(portion) < 16
        if barren > BARREN:
            raise DataError("the matrix gives hardly anybody an item", fix="Raise epsilon, or release from more people")
        portion = portion[: wanted - made]
        person, place = np.nonzero(portion)
        ids = pa.array([f"s{number:0{digits}d}" for number in range(made + 1, made + len(portion) + 1)])
        chunks.append(pa.table({unit: ids.take(pa.array(person)), item: names.take(pa.array(place))}))
        ones = portion.astype(np.float32)
        held, both, made = held + ones.sum(axis=0), both + ones.T @ ones, made + len(portion)
        if made >= wanted:
            break
    table = pa.concat_tables(chunks)
    pairs = np.nonzero(np.triu(found.kept, 1))
    return table, {
        "people": float(made),
        "items": float(len(shares)),
        "pairs_kept": float(len(pairs[0])),
        "mean_size": round(table.num_rows / made, 4),
        "item_error": round(_error(held / made, np.minimum(shares, 0.95)), 4),
        "pair_error": round(_error(both[pairs] / made, found.together[pairs] / found.people), 4),
    }


def synthetic_histories(
    matrix: Table, guarantee: Metrics, sizes: Table | None = None, people: int | None = None,
    unit_column: str = "person", item_column: str = "item", seed: int = 0,
) -> Histories:  # fmt: skip
    """The step's function: makes the rows and says what is lost."""
    rows, quality = make_histories(matrix, guarantee, sizes, people, unit_column, item_column, seed)
    print(
        f"{quality['people']:,.0f} synthetic people, {quality['items']:.0f} items, {quality['mean_size']:.2f} each; none is anybody"
    )
    print(
        f"against the released matrix (rms): items off by {quality['item_error']:.1%}, kept pairs by {quality['pair_error']:.1%}"
    )
    if not quality["pairs_kept"]:
        print("no pair of items stands out of the noise: items are independent of each other in these rows")
    print(
        "lost: items that the release does not name, pairs under its noise, which three items go together, the order and time of events"
    )
    return Histories(rows, quality)  # type: ignore[arg-type]


def histories(
    matrix: Step,
    *,
    sizes: Node | None = None,
    people: int | None = None,
    unit: str = "person",
    item: str = "item",
    name: str = "synthetic",
) -> Step:
    """A step that makes synthetic people from a released Gram matrix: an open table with a row for each person and item.

    `matrix` is the release itself (`pl.release(pl.privacy.gram(...), ...)`, counts or equal norm). `sizes` is the released histogram of
    history sizes (see `sizes`); without it they are taken to be geometric. `people`: how many to make (1 to 100 million); None: as many
    as the release says there are. The columns are named by `unit` and `item`; ids are s000001 and so on, which no real one should be.
    Outputs: the rows, and under `<name>_quality` how far they are from the release. The run's public seed decides: who runs it again gets
    the same people. The rows inherit the guarantee of the releases they are made of, and cost nothing more.
    """
    if not isinstance(matrix, Step) or not any(output.name == "guarantee" for output in matrix.outputs):
        raise UsageError(
            "people are made from a release", where="pl.synthesize.histories", fix="Give it pl.release(pl.privacy.gram(...), ...)"
        )
    given = {"matrix": matrix, "guarantee": matrix.guarantee, **({"sizes": sizes} if sizes is not None else {})}
    settings = {"people": people, "unit_column": unit, "item_column": item}
    outputs = (Output("rows", "table", prefixed=True), Output("quality", "metrics", prefixed=True))
    return Step(synthetic_histories, name, outputs, given, settings, kind="synthetic")


def _error(found: Any, wanted: Any) -> float:
    """The root of the mean squared relative error; 0 for none."""
    import numpy as np

    return float(np.sqrt(np.mean((found / np.maximum(wanted, 1e-12) - 1) ** 2))) if len(found) else 0.0
