"""Tables as a step: open rows of mixed columns, made from released marginals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from pellucid.errors import DataError, UsageError
from pellucid.pipeline.declaration import Output, Step
from pellucid.store import Metrics, Table

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from pellucid.synthesize.column_tree import ColumnTree
    from pellucid.synthesize.released_marginals import ReleasedColumn, ReleasedMarginals

MOST_ROWS = 100_000_000
MOST_UNASKED = 5_000_000  # rows, where nobody says how many
WITHIN_BIN = 1 << 10  # places in a bin of numbers that are not whole


class TableRows(NamedTuple):
    """The outputs of `table`: the rows, and how far they are from what they were made of."""

    rows: Table
    quality: Metrics


def make_table(marginals: Any, guarantee: Any, rows: int | None = None, seed: int = 0) -> tuple[pa.Table, dict[str, float]]:
    """The rows, with a column for each declared one, and what is known of their quality; see `table`."""
    import numpy as np
    import pyarrow as pa

    from pellucid.synthesize.column_tree import fit_tree
    from pellucid.synthesize.released_marginals import released_marginals

    if rows is not None and (isinstance(rows, bool) or not isinstance(rows, int) or not 1 <= rows <= MOST_ROWS):
        raise UsageError(f"rows must be a whole number from 1 to {MOST_ROWS:,}, not {rows!r}")
    sigma = dict(guarantee).get("sigma")
    if not isinstance(sigma, int | float) or not sigma > 0:
        raise DataError("the guarantee of the marginals does not say their sigma", fix="Give the release itself")
    told = released_marginals(marginals)
    model = fit_tree(told, float(sigma))
    wanted = rows if rows is not None else max(1, min(MOST_UNASKED, round(model.people)))
    random = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, 1 << 40])))
    chunks, every = [], {**told.single, **told.joint}
    made = {place: np.zeros(counts.size) for place, counts in every.items()}
    for portion in model.portions(seed, wanted):
        chunks.append(pa.table({c.name: _values(c, portion[:, at], random) for at, c in enumerate(told.columns)}))
        for place, counts in every.items():
            cells = np.ravel_multi_index(tuple(portion[:, at] for at in place), counts.shape)
            made[place] += np.bincount(cells, minlength=counts.size)
    return pa.concat_tables(chunks), _quality(told, model, made, wanted)


def _values(column: ReleasedColumn, cells: NDArray[Any], random: Any) -> pa.Array:
    """A value for each cell: its own, or one within the bin."""
    import numpy as np
    import pyarrow as pa

    if column.values is not None:
        return column.values.take(pa.array(cells))
    edges = column.edges
    assert edges is not None
    low, width = edges[cells], edges[cells + 1] - edges[cells]
    if np.all(edges == np.round(edges)) and np.all(np.abs(edges) < 2**53):
        return pa.array((low + np.floor(random.random(len(cells)) * width)).astype(np.int64))
    return pa.array(low + random.integers(0, WITHIN_BIN, len(cells)) / WITHIN_BIN * width)


def _quality(told: ReleasedMarginals, model: ColumnTree, made: Any, rows: int) -> dict[str, float]:
    """How far the rows are from the released marginals, as the share of people in other cells (total variation), noise included."""
    import numpy as np

    apart = {}
    for place, counts in {**told.single, **told.joint}.items():
        share = np.maximum(counts.ravel(), 0.0)
        apart[place] = float(np.abs(made[place] / rows - share / max(1.0, share.sum())).sum() / 2)
    return {
        "rows": float(rows),
        "people": round(model.people, 1),
        "columns": float(len(told.columns)),
        "joint_marginals": float(len(told.joint)),
        "single_distance": round(float(np.mean([apart[place] for place in told.single])), 4),
        "joint_distance": round(float(np.mean([apart[place] for place in told.joint])), 4) if told.joint else 0.0,
    }


def synthetic_table(marginals: Table, guarantee: Metrics, rows: int | None = None, seed: int = 0) -> TableRows:
    """The step's function: makes the rows and says what is lost."""
    made, quality = make_table(marginals, guarantee, rows, seed)
    print(f"{quality['rows']:,.0f} synthetic rows, {quality['columns']:.0f} columns; none is anybody's")
    print(
        f"against the released marginals: {quality['single_distance']:.1%} of the rows in other cells of a column,"
        f" {quality['joint_distance']:.1%} of a measured pair"
    )
    if not quality["joint_marginals"]:
        print("no pair of columns stands out of the noise: columns are independent of each other in these rows")
    print(
        "lost: pairs of columns that were not measured, but for what the measured ones say of them; what three columns say together"
    )
    return TableRows(made, quality)  # type: ignore[arg-type]


def table(marginals: Step, *, rows: int | None = None, name: str = "synthetic") -> Step:
    """A step that makes synthetic rows of mixed columns from released marginals: an open table with a column for each declared one.

    `marginals` is the release itself (`pl.release(pl.privacy.marginals(...), ...)`). `rows`: how many to make (1 to 100 million); None:
    as many as the release says there are people, at most 5 million. A number is drawn within its bin: whole where the bins' edges are.
    Outputs: the rows, and under `<name>_quality` how far they are from the release. The run's public seed decides: who runs it again gets
    the same rows. They inherit the guarantee of the release, and cost nothing more.
    """
    from pellucid.privacy import Marginals

    if not isinstance(marginals, Step) or not isinstance(getattr(marginals.gate, "mechanism", None), Marginals):
        raise UsageError(
            "rows are made from a release", where="pl.synthesize.table", fix="Give it pl.release(pl.privacy.marginals(...), ...)"
        )
    given = {"marginals": marginals, "guarantee": marginals.guarantee}
    outputs = (Output("rows", "table", prefixed=True), Output("quality", "metrics", prefixed=True))
    return Step(synthetic_table, name, outputs, given, {"rows": rows}, kind="synthetic")
