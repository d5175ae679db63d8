"""MovieLens (GroupLens), as distributed since 2015: ratings.csv, tags.csv, movies.csv, links.csv, with a header.

Source: F. M. Harper and J. A. Konstan, "The MovieLens Datasets: History and Context", ACM TiiS 5(4), 2015. Types are fixed, not
guessed: IMDb identifiers keep their leading zeros, timestamps are seconds since 1970 (UTC), a rating is a float in 0.5 … 5.0,
and `tmdbId` may be null.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.data import column_options, csv
from pellucid.errors import DataError, UsageError

if TYPE_CHECKING:
    import pyarrow as pa

OPTIONS = {"part": "ratings, tags, movies or links", "columns": column_options.COLUMNS}
FOLDERS = True

_PARTS = {
    "ratings": {"userId": "int64", "movieId": "int64", "rating": "float64", "timestamp": "int64"},
    "tags": {"userId": "int64", "movieId": "int64", "tag": "string", "timestamp": "int64"},
    "movies": {"movieId": "int64", "title": "string", "genres": "string"},
    "links": {"movieId": "int64", "imdbId": "string", "tmdbId": "int64"},
}


def read(path: Path, options: Mapping[str, Any]) -> pa.RecordBatchReader:
    """One part of the data set, from its folder or from the file itself (whose name then says which)."""
    part = options.get("part") or path.name.partition(".")[0]
    if part not in _PARTS:
        raise UsageError(f"there is no MovieLens part {part!r}", where=str(path), fix=f"Say part=, one of {', '.join(_PARTS)}")
    file = path / f"{part}.csv" if path.is_dir() else path
    if not file.is_file():
        raise DataError(
            f"there is no {part}.csv in the folder", where=str(path), fix="Name the folder that holds the MovieLens files"
        )
    types = _PARTS[part]
    return csv.read(file, {"columns": column_options.wanted(options) or list(types), "types": types})
