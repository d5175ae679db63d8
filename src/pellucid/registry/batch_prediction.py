"""Batch prediction as a step: what a model says to every row or person of a table, as a table.

The same models are asked as at /models/NAME/predict, and answer the same. The result has the most private label of model and table, as of
any step. It has no unit: an estimator is asked for many rows at once, and the last bits of a sum may depend on which rows stand beside each
other, so no bound for each person is proved. To release something about predictions, write a step with `per_unit=True` that asks the model.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pellucid.errors import DataError, UsageError, suggest
from pellucid.models import estimators, recommend
from pellucid.pipeline.declaration import Output, OutputOf, Source, Step
from pellucid.registry.deployments import ALIASES
from pellucid.store import Model, Table

if TYPE_CHECKING:
    import pyarrow as pa

Node = Source | Step | OutputOf | str
AT_ONCE = 10_000  # rows an estimator is asked for together
PREDICTION = "prediction"


def predict(
    model: Node,
    rows: Node,
    *,
    features: Sequence[str] = (),
    person: str = "",
    item: str = "",
    order: str = "",
    k: int = 10,
    name: str | None = None,
) -> Step:
    """A step that asks a model for every row of a table; `model` is `pl.registry_model(...)` or a step that trains one.

    An estimator (scikit-learn, LightGBM): the table's columns with `prediction` added (`prediction_1`, ... where it gives several numbers).
    `features` names its columns in order; by default those that it was fitted with. A recommender: name the columns `person` and `item`,
    and `order` where a column says what came first; `k` items for each person, as `person`, `rank` (from 1), the item and `score`, people
    in the order of the table. Raises UsageError.
    """
    if not 1 <= k <= 10_000:
        raise UsageError(f"k is {k}", where="predict", fix="Give from 1 to 10,000")
    settings = {"features": tuple(features), "person": person, "item": item, "order": order, "k": k}
    return Step(predicted, name, (Output("", "table"),), {"model": model, "rows": rows}, settings, kind="predict")


def predicted(
    model: Model, rows: Table, features: tuple[str, ...] = (), person: str = "", item: str = "", order: str = "", k: int = 10
) -> Any:  # fmt: skip
    """What `predict`'s step gives. Raises UsageError for columns that are not there, or a model that is asked nothing, DataError for rows
    that do not fit the model."""
    if model.kind in estimators.KINDS:
        return _by_row(model, rows, features or tuple(model.settings.get("features") or ()))
    if model.kind in ALIASES["recommend"]:
        _need(rows, person=person, item=item)
        return _recommended(model, rows, person, item, order, k)
    raise UsageError(
        f"a model of kind {model.kind:.40} is asked nothing", where="predict",
        fix=f"These are: {', '.join((*estimators.KINDS, *ALIASES['recommend']))}",
    )  # fmt: skip


def _need(rows: Table, **columns: str) -> None:
    for parameter, column in columns.items():
        if not column:
            raise UsageError(
                f"a recommender needs {parameter}=", where="predict", fix=f"Name one of {', '.join(rows.columns[:20])}"
            )
        if column not in rows.columns:
            raise UsageError(f'there is no column "{column}"', where=f"predict, {parameter}", fix=suggest(column, rows.columns))


def _by_row(model: Model, rows: Table, features: tuple[str, ...]) -> pa.RecordBatchReader:
    import pyarrow as pa

    if not features:
        raise UsageError(
            "the model has no names for its features", where="predict", fix="Name its columns in order: features=[...]"
        )
    for column in features:
        if column not in rows.columns:
            raise UsageError(f'there is no column "{column}"', where="predict, features", fix=suggest(column, rows.columns))
    estimator = estimators.restore(model)

    def answered() -> Iterator[pa.RecordBatch]:
        for some in _in_chunks(rows):
            yield from _with_predictions(model, estimator, some, features).to_batches()

    whole = list(answered())  # the types of what a model says are known when it has said it
    return pa.RecordBatchReader.from_batches(whole[0].schema, whole)


def _in_chunks(rows: Table) -> Iterator[pa.Table]:
    """The rows, `AT_ONCE` together (at least one part, which may be empty), however the file cuts them: it is not part of the digest."""
    import pyarrow as pa

    waiting = pa.Table.from_batches([], rows.schema)
    for batch in rows.batches():
        waiting = pa.concat_tables([waiting, pa.Table.from_batches([batch], rows.schema)])
        while waiting.num_rows >= AT_ONCE:
            yield waiting.slice(0, AT_ONCE)
            waiting = waiting.slice(AT_ONCE)
    if waiting.num_rows or not rows.num_rows:
        yield waiting


def _with_predictions(model: Model, estimator: Any, some: pa.Table, features: tuple[str, ...]) -> pa.Table:
    import numpy as np
    import polars
    import pyarrow as pa

    asked = polars.DataFrame(polars.from_arrow(some.select(list(features))))
    numbers = [name for name, kind in asked.schema.items() if kind.is_numeric() or kind == polars.Boolean]
    asked = asked.with_columns(
        polars.col(numbers).cast(polars.Float64).fill_null(float("nan"))
    )  # as JSON gives them to a service
    if not some.num_rows:
        raise DataError("the table has no rows", where="predict", fix="Leave the step out, or give it rows")
    try:
        said = np.asarray(estimators.predict(model, [list(row) for row in asked.iter_rows()], estimator=estimator))
    except (ValueError, TypeError) as error:
        raise DataError("the rows do not fit the model", where="predict", why=str(error).splitlines()[0][:200]) from None
    columns = {PREDICTION: said} if said.ndim == 1 else {f"{PREDICTION}_{at + 1}": said[:, at] for at in range(said.shape[1])}
    for name, values in columns.items():
        if name in some.column_names:
            raise UsageError(f'the table has a column "{name}"', where="predict", fix="Rename it in a step before")
        some = some.append_column(name, pa.array(values.tolist()))
    return some.combine_chunks()


def _recommended(model: Model, rows: Table, person: str, item: str, order: str, k: int) -> pa.Table:
    import pyarrow as pa

    if order:
        _need(rows, order=order)
    table = rows.arrow()
    place = table.column(order).to_pylist() if order else [0] * table.num_rows
    if any(at is None for at in place):
        raise DataError(f'the column "{order}" has gaps', where="predict, order", fix="Fill them in a step before")
    known = {str(one): one for one in model.arrays["items"].tolist()}
    people = table.column(person).to_pylist()
    histories: dict[Any, list[tuple[Any, Any]]] = {one: [] for one in people}
    for one, what, at in zip(people, table.column(item).to_pylist(), place, strict=True):
        if str(what) in known:
            histories[one].append((at, known[str(what)]))
    found: list[tuple[Any, int, Any, float]] = []
    for one, history in histories.items():
        history.sort(key=lambda pair: pair[0])  # stable: equal moments stay in the table's order
        best = recommend(model, [what for _, what in history], k)
        found += [(one, rank, what, score) for rank, (what, score) in enumerate(best, 1)]
    items = model.arrays["items"]
    return pa.table({
        person: pa.array([one[0] for one in found], table.schema.field(person).type),
        "rank": pa.array([one[1] for one in found], pa.int64()),
        item: pa.array([one[2] for one in found], pa.from_numpy_dtype(items.dtype) if items.dtype.kind in "iuf" else pa.string()),
        "score": pa.array([one[3] for one in found], pa.float64()),
    })  # fmt: skip
