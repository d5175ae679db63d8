"""How well a model ranks what people hide from it: nDCG@10 and recall@20, person by person, by ir-measures.

Each row of the result is a function of that person's own rows and of the model. So when the model is open, the result is a table
by unit like any other, and the release of its mean protects every person in it. If the model were private (fitted on people in
the clear), every row would depend on everybody, and no release of it would mean anything: the runner refuses it.

To hold that to the last bit, scores are summed person by person in item order (a sparse product), never by a matrix product
whose rounding depends on who else is in the batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pellucid.evaluation.hold_out_split import HIDDEN, as_table

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from pellucid.store import Model

CUTOFF = 20
MEASURES = ("ndcg_10", "recall_20")
BLOCK_SCORES = 1 << 22  # scores held at once


def per_person(model: Model, holdout: Any, unit: str, item: str) -> pa.Table:
    """One row per person of a hold-out table (hold_out_split.py): the unit, `ndcg_10` and `recall_20`, sorted by unit.

    The person's items that are not hidden are the history: known to the model as far as its items go, and never ranked. Equal
    scores are ranked by item. A hidden item the model does not know is a miss. A person with nothing hidden has no row.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc
    from scipy.sparse import csr_array

    from pellucid.models import scores

    rows = as_table(holdout, [unit, item, HIDDEN]).sort_by([(unit, "ascending"), (item, "ascending")]).combine_chunks()
    judged = rows.filter(rows.column(HIDDEN)).column(unit).unique()
    rows = rows.filter(pc.is_in(rows.column(unit), value_set=judged)).combine_chunks()
    people = rows.column(unit).combine_chunks().dictionary_encode() if rows.num_rows else None
    if people is None:
        return pa.table({unit: rows.column(unit), **{name: pa.array([], pa.float64()) for name in MEASURES}})
    known = places(model, rows.column(item))
    person, hidden = np.asarray(people.indices), np.asarray(rows.column(HIDDEN)).astype(bool)
    values = np.zeros((len(people.dictionary), len(MEASURES)))
    size = max(1, BLOCK_SCORES // max(1, len(model.arrays["items"])))
    for start in range(0, len(values), size):
        stop = min(start + size, len(values))
        mine = (person >= start) & (person < stop)
        history = mine & ~hidden & (known >= 0)
        row, column = person[history] - start, known[history]
        histories = csr_array((np.ones(len(row)), (row, column)), shape=(stop - start, len(model.arrays["items"])))
        histories.sort_indices()
        ranked = _ranked(scores(model, histories), row, column)
        values[start:stop] = _measured(ranked, person[mine & hidden] - start, known[mine & hidden])
    return pa.table({unit: people.dictionary, **{name: values[:, place] for place, name in enumerate(MEASURES)}})


def places(model: Model, items: Any) -> NDArray[Any]:
    """The place of each item among the model's, -1 where it has none (int64)."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    known = pa.array(model.arrays["items"].tolist())
    wanted = items if pa.types.is_integer(items.type) and pa.types.is_integer(known.type) else items.cast(pa.string())
    known = known.cast(wanted.type)
    found = pc.index_in(wanted, value_set=known).fill_null(-1)
    return np.asarray(found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found).astype(np.int64)


def mean(table: Any) -> dict[str, float]:
    """The plain mean of each measure over people, and how many there are. Not a release: as private as the table."""
    import numpy as np

    rows = as_table(table, list(MEASURES))
    means = {name: float(np.mean(np.asarray(rows.column(name)))) if rows.num_rows else 0.0 for name in MEASURES}
    return {**means, "people": float(rows.num_rows)}


def _ranked(score: NDArray[Any], person: NDArray[Any], known: NDArray[Any]) -> NDArray[Any]:
    """The places of the best `CUTOFF` items of each person, best first; -1 past the end."""
    import numpy as np

    score[person, known] = -np.inf
    order = np.argsort(-score, axis=1, kind="stable")[:, :CUTOFF]
    return np.where(np.isneginf(np.take_along_axis(score, order, axis=1)), -1, order)


def _measured(ranked: NDArray[Any], person: NDArray[Any], wanted: NDArray[Any]) -> NDArray[Any]:
    import ir_measures
    import numpy as np
    from ir_measures import R, nDCG

    measures = {nDCG @ 10: 0, R @ CUTOFF: 1}
    truth: dict[str, dict[str, int]] = {}
    for place, (one, hidden) in enumerate(zip(person.tolist(), wanted.tolist(), strict=True)):
        truth.setdefault(str(one), {})[str(hidden) if hidden >= 0 else f"unknown {place}"] = 1
    run = {
        str(one): {str(found): float(CUTOFF - rank) for rank, found in enumerate(row) if found >= 0}
        for one, row in enumerate(ranked.tolist())
    }
    values = np.zeros((len(ranked), len(measures)))
    for metric in ir_measures.iter_calc(list(measures), truth, run):
        values[int(metric.query_id), measures[metric.measure]] = metric.value
    return values
