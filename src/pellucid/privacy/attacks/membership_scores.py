"""How much like a member each person looks, by a release of any kind: what the tracing attack goes by.

The adversary holds the person's own rows, what was released, how many people it was made of, and a reference group: half of those who
were not in the data. A score says how far what was released leans towards the person, from what the reference would lead one to
expect (tracing_attack.py). The other half of those outside are scored as members are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pellucid.privacy.attacks.tracing_attack import cell_scores, mean_scores
from pellucid.privacy.attacks.user_histories import Histories, histories

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Scores = tuple[NDArray[Any], NDArray[Any]]  # of members, and of those outside who are not the reference
    Scorer = Callable[[Any, Any, Any, str, Any], Scores]  # mechanism, rows inside, rows outside (polars), unit, release


def _of_counts(mechanism: Any, inside: Any, outside: Any, unit: str, released: Any) -> Scores:
    """Gram, histogram, pairs: the cells a person is in, by how much more was released of them than expected."""
    members, asked, reference = _three(inside, outside, unit, str(getattr(mechanism, "item", None) or mechanism.key))
    counts, columns = released_counts(mechanism, released, members)
    of = len(members.people)
    if (
        mechanism.name == "equal_norm_gram"
    ):  # weights, not counts: brought to the size of the counts that the reference leads one to expect
        from scipy.sparse import csr_array

        held = csr_array(reference.matrix[:, columns])
        expected = float((held.T @ held).sum()) * of / max(1, len(reference.people))
        counts = counts * (expected / max(1.0, float(counts.sum())))
    first, second = (cell_scores(group, counts, columns, of, reference) for group in (members, asked))
    return first, second


def _of_names(mechanism: Any, inside: Any, outside: Any, unit: str, released: Any) -> Scores:
    """Partitions, top: a person's items that were named, the fewer one expected to hold them the more telling."""
    import numpy as np

    members, asked, reference = _three(inside, outside, unit, mechanism.key)
    columns = _places(released.column(mechanism.key), members)
    weights = np.zeros(len(members.items))
    weights[columns[columns >= 0]] = 1.0
    weights /= 1.0 + np.asarray(reference.matrix.sum(axis=0)).ravel() * len(members.people) / max(1, len(reference.people))
    return np.asarray(members.matrix @ weights).ravel(), np.asarray(asked.matrix @ weights).ravel()


def _of_clicks(mechanism: Any, inside: Any, outside: Any, unit: str, released: Any) -> Scores:
    """The cells of queries and those of clicks together."""
    import polars

    queries, both = released.filter(released.column(mechanism.place).is_null()), [mechanism.query, mechanism.place]
    clicked = polars.DataFrame(released.filter(released.column(mechanism.place).is_valid()))
    named = polars.concat([inside, outside]).select(both).unique(maintain_order=True).with_row_index("click")
    inside_clicks, outside_clicks = (part.select(unit, *both).join(named, on=both) for part in (inside, outside))
    clicks = clicked.join(named, on=both).select("click", "count").to_arrow()
    found = []
    for rows, others, item, counts in (
        (inside, outside, mechanism.query, queries),
        (inside_clicks, outside_clicks, "click", clicks),
    ):
        members, asked, reference = _three(rows, others, unit, item)
        values, columns = _vector(counts.column(item), counts.column("count"), members)
        found.append([cell_scores(group, values, columns, len(members.people), reference) for group in (members, asked)])
    return found[0][0] + found[1][0], found[0][1] + found[1][1]


def _of_marginals(mechanism: Any, inside: Any, outside: Any, unit: str, released: Any) -> Scores:
    """A person's cell of each marginal, as if it were an item."""
    import numpy as np
    import polars

    marginals = mechanism.read(released)
    starts = np.cumsum([0, *(counts.size for _, counts in marginals)])

    def held(frame: Any) -> Any:
        first = frame.unique(unit, keep="first", maintain_order=True)
        codes = [column.codes(first[column.name].to_arrow()) for column in mechanism.table]
        cells = [
            start + np.ravel_multi_index(tuple(codes[at] for at in place), counts.shape)
            for start, (place, counts) in zip(starts, marginals, strict=False)
        ]
        return polars.concat([first.select(unit).with_columns(cell=polars.Series(cell, dtype=polars.Int64)) for cell in cells])

    members, asked, reference = _three(held(inside), held(outside), unit, "cell")
    every = np.concatenate([counts.ravel() for _, counts in marginals])
    at = members.items.to_numpy()
    columns = np.arange(len(at))
    first, second = (
        cell_scores(group, every[at].astype(float), columns, len(members.people), reference) for group in (members, asked)
    )
    return first, second


def _of_means(mechanism: Any, inside: Any, outside: Any, unit: str, released: Any) -> Scores:
    """A person's values, by how far they lie on the side to which the means moved."""
    import numpy as np

    members, others = (_values(frame, unit, mechanism.columns, mechanism) for frame in (inside, outside))
    told, half = np.array([released[name] for name in mechanism.columns]), len(others) // 2
    return mean_scores(members, told, others[:half]), mean_scores(others[half:], told, others[:half])


def _of_totals(mechanism: Any, inside: Any, outside: Any, unit: str, released: Any) -> Scores:
    """The same of each person's own totals, and the totals a person."""
    import numpy as np

    members, others = (
        _values(frame, unit, mechanism.columns, mechanism, mechanism.max_contributions) for frame in (inside, outside)
    )
    told, half = np.array([released[name] for name in mechanism.columns]) / len(members), len(others) // 2
    return mean_scores(members, told, others[:half]), mean_scores(others[half:], told, others[:half])


def _of_quantiles(mechanism: Any, inside: Any, outside: Any, unit: str, released: Any) -> Scores:
    """On which side of the usual quantiles a person is, by how far to that side the released ones lie."""
    import numpy as np

    members, others = (_values(frame, unit, (mechanism.column,), mechanism)[:, 0] for frame in (inside, outside))
    half = len(others) // 2
    usual = np.quantile(others[:half], [part / 1000 for part in mechanism.parts])
    moved = np.array([released[f"p{part / 10:g}"] for part in mechanism.parts]) - usual
    first, second = (np.sign(group[:, None] - usual) @ moved for group in (members, others[half:]))
    return first, second


def _of_choice(mechanism: Any, inside: Any, outside: Any, unit: str, released: Any) -> Scores:
    """How much better than the others the chosen setting serves a person."""
    import numpy as np

    chosen = mechanism.columns.index(released.column("chosen")[0].as_py())
    members, others = (_values(frame, unit, mechanism.columns, mechanism) for frame in (inside, outside))
    first, second = (group[:, chosen] - np.mean(group, axis=1) for group in (members, others[len(others) // 2 :]))
    return first, second


SCORES: dict[str, Scorer] = {
    "select_best": _of_choice,
    "clicks": _of_clicks,
    "equal_norm_gram": _of_counts,
    "gram": _of_counts,
    "histogram": _of_counts,
    "marginals": _of_marginals,
    "mean": _of_means,
    "pairs": _of_counts,
    "partitions": _of_names,
    "quantiles": _of_quantiles,
    "top_k": _of_names,
    "sum": _of_totals,
}


def released_counts(mechanism: Any, released: Any, every: Histories) -> tuple[Any, NDArray[Any]]:
    """The released counts, and the places of their items among all: a vector, or for pairs a square (sparse: of those named) matrix."""
    import numpy as np
    from scipy.sparse import csr_array

    if mechanism.name == "histogram":
        return _vector(released.column(mechanism.key), released.column("count"), every)
    first, second = _places(released.column("item_a"), every), _places(released.column("item_b"), every)
    column = "weight" if mechanism.name == "equal_norm_gram" else "count"
    values = np.asarray(released.column(column)).astype(np.float64)
    columns = np.unique(np.concatenate([first, second]))
    a, b = np.searchsorted(columns, first), np.searchsorted(columns, second)
    if mechanism.name == "pairs":
        return csr_array((values, (a, b)), shape=(len(columns), len(columns))), columns
    matrix = np.zeros((len(columns), len(columns)))
    matrix[a, b] = matrix[b, a] = values
    return matrix, columns


def _vector(items: Any, counts: Any, every: Histories) -> tuple[NDArray[Any], NDArray[Any]]:
    import numpy as np

    at = _places(items, every)
    return np.asarray(counts).astype(np.float64)[at >= 0], at[at >= 0]


def _places(column: Any, every: Histories) -> NDArray[Any]:
    """The places of values among all items; -1 for one that nobody holds."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    joined = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    found = pc.index_in(joined.cast(every.items.type), value_set=every.items)
    return np.asarray(pc.fill_null(found, -1)).astype(np.int64)


def _three(inside: Any, outside: Any, unit: str, item: str) -> tuple[Histories, Histories, Histories]:
    """Members, those asked about outside, and the reference group, over the same items."""
    import numpy as np
    import polars

    every = histories(polars.concat([inside.select(unit, item), outside.select(unit, item)]), unit, item).items
    members, control = (histories(part, unit, item, every) for part in (inside, outside))
    half = len(control.people) // 2
    return members, control.rows(np.arange(half, len(control.people))), control.rows(np.arange(half))


def _values(frame: Any, unit: str, columns: tuple[str, ...], bounds: Any, rows: int = 1) -> NDArray[Any]:
    """Each person's clamped values (people x columns), the sum of the first `rows` rows of each."""
    import numpy as np

    kept = frame.filter(frame.select(place=_place(unit))["place"] < rows)
    raw = kept.select(columns).cast(float).fill_null(bounds.lower).fill_nan(bounds.lower).to_numpy()
    clamped = np.clip(raw, bounds.lower, bounds.upper)
    of = np.unique(kept[unit].rank("dense").to_numpy(), return_inverse=True)[1]
    sums = np.zeros((int(of.max()) + 1, len(columns)))
    np.add.at(sums, of, clamped)
    return sums


def _place(unit: str) -> Any:
    import polars

    return polars.int_range(polars.len()).over(unit)
