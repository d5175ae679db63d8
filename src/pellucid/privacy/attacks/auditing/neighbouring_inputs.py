"""Made-up neighbours for every mechanism: tables without and with some people more, and a score of what is released of them.

Where noise is independent from cell to cell a table holds many crowds apart, each with items of its own, and every second crowd has some
people more: each crowd is then one run of the mechanism on one of two inputs. What is drawn from a whole table (sums, means, the best of
several) takes a run each; the tables are such that the people added make the most difference: on a tie, at the bounds, at a threshold.
Any score will do (what is made of an output is post-processing); these follow the likelihood ratio as well as one number can.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

ROWS = 400_000  # of a made-up table at most
RUNS = 300  # of whole tables
FEWEST = 240  # crowds
CROWD = 500  # people in a made-up table of values
UNIT = "person, made up"

Tables = tuple[dict[str, "NDArray[Any]"], dict[str, "NDArray[Any]"]]  # without, and with the people added
Score = Callable[[Any], float]


def key_of(label: str) -> bytes:
    """A public key, of no release."""
    return hashlib.sha256(f"pellucid audit, not a release: {label}".encode()).digest()


# --- cells: many crowds in one table


def of_crowds(
    mechanism: Any, epsilon: float, delta: float, people: int, together: int, trials: int, scratch: Path
) -> tuple[NDArray[Any], NDArray[Any]]:
    """The sum of each crowd's released cells: of crowds of so many people, and of those with `together` more."""
    import numpy as np

    width = _size(mechanism)[0]
    at_once = min(max(FEWEST, trials), crowds_at_once(mechanism, people))
    scores: tuple[list[NDArray[Any]], list[NDArray[Any]]] = ([], [])
    for run in range(-(-max(FEWEST, trials) // at_once)):
        odd = (np.arange(at_once) + run) % 2
        path = _written(_crowds(mechanism, width, people + odd * together), scratch)
        released = mechanism.run(path, UNIT, epsilon, delta, key_of(str(run)), scratch)
        found = _sums(mechanism, released, width, at_once)
        for side in (0, 1):
            scores[side].append(found[odd == side])
    return np.concatenate(scores[0]), np.concatenate(scores[1])


def crowds_at_once(mechanism: Any, people: int) -> int:
    """How many crowds one table holds."""
    width, rows, most = _size(mechanism)
    return max(1, min(ROWS // (people * rows), most // width))


def crowd_sizes(numbers: dict[str, float]) -> list[int]:
    """So many people that a crowd's items are named, all but a few; where naming is all that is released, from half of them down."""
    if "scale" in numbers:  # weights: of two items a person, each adds at least a third of the scale to an item's cell
        return [math.ceil((max(0.0, numbers.get("threshold", 0.0)) + 4 * numbers["sigma"]) * 3 / numbers["scale"]) + 1]
    if "half" in numbers:
        return sorted({1, *(max(1, int(numbers["half"]) // part) for part in (1, 2, 4, 8))})
    return [math.ceil(max(0.0, numbers.get("threshold", 0.0)) + 4 * numbers["sigma"]) + 1]


def _size(mechanism: Any) -> tuple[int, int, int]:
    """How many items a crowd holds, in how many rows a person, and how many items one table may hold."""
    if mechanism.name == "clicks":
        return mechanism.queries, max(mechanism.queries, mechanism.clicks), ROWS
    if mechanism.name == "pairs":
        return (
            mechanism.max_contributions,
            mechanism.max_contributions,
            mechanism.max_contributions * max(1, mechanism.max_pairs // mechanism.cells),
        )
    if mechanism.name == "partitions":
        return mechanism.max_contributions, mechanism.max_contributions, ROWS
    declared = len(getattr(mechanism, "public_keys", ()))
    if mechanism.name == "equal_norm_gram":  # everybody's part has the same length: two items each, so that pairs are seen too
        width = min(2, mechanism.max_contributions, declared or 2)
        return width, width, min(mechanism.max_items, declared or mechanism.max_items)
    width = min(mechanism.max_contributions, declared or mechanism.max_contributions)
    return width, width * getattr(mechanism, "rows", 1), min(mechanism.max_items, declared or mechanism.max_items)


def _crowds(mechanism: Any, width: int, sizes: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Crowd c holds the items c width to (c + 1) width - 1, all of them by each of its people."""
    import numpy as np

    of = np.repeat(np.arange(len(sizes)), sizes)
    _, rows, _ = _size(mechanism)
    place = np.arange(rows)
    held = (of[:, None] * width + place % width).ravel()
    columns = {UNIT: np.repeat(np.arange(len(of)), rows)}
    if mechanism.name == "clicks":
        return columns | {mechanism.query: held, mechanism.place: np.tile(place // width, len(of))}
    declared = getattr(mechanism, "public_keys", ())
    return columns | {_item(mechanism): np.array(declared)[held] if declared else held}


def _item(mechanism: Any) -> str:
    return str(mechanism.item if hasattr(mechanism, "item") else mechanism.key)


def _sums(mechanism: Any, released: pa.Table, width: int, crowds: int) -> NDArray[Any]:
    """What is released of each crowd: the sum of its counts, or how many of its items are named."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    declared = getattr(mechanism, "public_keys", ())

    def crowd(column: Any) -> NDArray[Any]:
        if declared:
            column = pc.fill_null(pc.index_in(column, value_set=pa.array(declared)), -1)
        return np.asarray(column).astype(np.int64) // width

    first = crowd(released.column(0))
    own = (first >= 0) & (first < crowds)
    if released.column_names[1:2] == ["item_b"]:
        own &= first == crowd(released.column(1))
    column = next((name for name in ("count", "weight") if name in released.column_names), None)
    amounts = np.asarray(released.column(column)) if column is not None else np.ones(len(first))
    return np.bincount(first[own], weights=amounts[own], minlength=crowds)


# --- whole tables: a run each


def of_tables(mechanism: Any, epsilon: float, delta: float, together: int, scratch: Path) -> tuple[NDArray[Any], NDArray[Any]]:
    """The scores of runs on a table, and on the same with `together` people more."""
    import numpy as np

    tables, score = WHOLE[mechanism.name](mechanism, mechanism.numbers(epsilon, delta), together)
    found = []
    for side, columns in enumerate(tables):
        path = _written(columns, scratch)
        every = (mechanism.run(path, UNIT, epsilon, delta, key_of(f"{side} {run}"), scratch) for run in range(RUNS // 2))
        found.append(np.array([score(released) for released in every]))
    return found[0], found[1]


def _means(mechanism: Any, numbers: dict[str, float], together: int) -> tuple[Tables, Score]:
    """People with the highest value; scored by what they add to all the sums, and to the people."""
    import numpy as np

    width, middle = (mechanism.upper - mechanism.lower) / 2, (mechanism.upper + mechanism.lower) / 2
    values = np.append(np.full(CROWD, middle), np.full(together, mechanism.upper))
    tables = _both(dict.fromkeys(mechanism.columns, values), CROWD)
    return tables, lambda told: told["people"] * (1 + sum((told[name] - middle) / width for name in mechanism.columns))


def _totals(mechanism: Any, numbers: dict[str, float], together: int) -> tuple[Tables, Score]:
    """People with as many rows as count, all of the value furthest from 0; scored by the sums."""
    import numpy as np

    furthest = mechanism.upper if abs(mechanism.upper) >= abs(mechanism.lower) else mechanism.lower
    nearest = min(max(0.0, mechanism.lower), mechanism.upper)
    values = np.append(np.full(CROWD, nearest), np.full(together * mechanism.max_contributions, furthest))
    units = np.append(np.arange(CROWD), CROWD + np.repeat(np.arange(together), mechanism.max_contributions))
    columns = {UNIT: units, **dict.fromkeys(mechanism.columns, values)}
    without = {name: column[:CROWD] for name, column in columns.items()}
    return (without, columns), lambda told: math.copysign(1.0, furthest) * sum(told[name] for name in mechanism.columns)


def _quantiles(mechanism: Any, numbers: dict[str, float], together: int) -> tuple[Tables, Score]:
    """Two neighbouring points of the grid that tie for the lowest level; the people added break the tie upwards."""
    import numpy as np

    level = mechanism.parts[0] / 1000
    spread = 30 * numbers["ranks"] / min(level, 1 - level)  # people: far more than noise can carry the choice elsewhere
    people = max(1000, 1000 * math.ceil(min(spread, ROWS // 4) / 1000))
    low = mechanism.parts[0] * people // 1000
    at = (mechanism.steps - 1) // 2
    points = [mechanism.lower + (mechanism.upper - mechanism.lower) * place / mechanism.steps for place in (at, at + 1)]
    values = np.concatenate([np.full(low, points[0]), np.full(people - low + together, points[1])])
    between = (points[0] + points[1]) / 2
    return _both({mechanism.column: values}, people), lambda told: float(min(told.values()) > between)


def _top(mechanism: Any, numbers: dict[str, float], together: int) -> tuple[Tables, Score]:
    """Two keys that as many people hold, and nobody another; the people added hold the second. Scored by which comes first."""
    import numpy as np

    each = min(ROWS // 2, math.ceil(20 * numbers["scale"]))
    first, second = mechanism.public_keys[:2]
    keys = np.array([first] * each + [second] * (each + together))

    def score(told: Any) -> float:
        ranks = told.column(mechanism.key).to_pylist()
        places = [ranks.index(key) if key in ranks else mechanism.k for key in (first, second)]
        return float(np.sign(places[0] - places[1]))

    return _both({mechanism.key: keys}, 2 * each), score


def _choice(mechanism: Any, numbers: dict[str, float], together: int) -> tuple[Tables, Score]:
    """Two settings that serve people alike, and others that serve nobody; the people added are served by the second alone."""
    import numpy as np

    people = min(ROWS // len(mechanism.columns), math.ceil(20 * numbers["people"]))
    high, low = np.full(people, mechanism.upper), np.full(people, mechanism.lower)
    served = [high, high, *[low] * (len(mechanism.columns) - 2)]
    more = [mechanism.upper if at == 1 else mechanism.lower for at in range(len(served))]
    values = {
        name: np.append(column, np.full(together, value))
        for name, column, value in zip(mechanism.columns, served, more, strict=True)
    }
    second = mechanism.columns[1]
    return _both(values, people), lambda told: float(told.column("chosen")[0].as_py() == second)


def _marginals(mechanism: Any, numbers: dict[str, float], together: int) -> tuple[Tables, Score]:
    """People who are all in the first cell of each column; scored by the counts of the cells they are in."""
    import numpy as np

    first = {column.name: column.cells[0] if column.kind == "bins" else column.keys[0] for column in mechanism.table}
    columns = {name: np.full(CROWD + together, value) for name, value in first.items()}

    def score(told: Any) -> float:
        return float(sum(counts.flat[0] for _, counts in mechanism.read(told)))

    return _both(columns, CROWD), score


WHOLE: dict[str, Callable[[Any, dict[str, float], int], tuple[Tables, Score]]] = {
    "select_best": _choice,
    "marginals": _marginals,
    "mean": _means,
    "quantiles": _quantiles,
    "top_k": _top,
    "sum": _totals,
}
CELLS = frozenset({"clicks", "equal_norm_gram", "gram", "histogram", "pairs", "partitions"})


def _both(columns: dict[str, NDArray[Any]], people: int) -> Tables:
    """The first `people` rows, and all: a person each."""
    import numpy as np

    rows = len(next(iter(columns.values())))
    every = {UNIT: np.arange(rows), **columns}
    return {name: column[:people] for name, column in every.items()}, every


def _written(columns: dict[str, NDArray[Any]], scratch: Path) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = scratch / "made-up.parquet"
    pq.write_table(pa.table({name: pa.array(column) for name, column in columns.items()}), path)
    return path
