"""`pellucid demo synthetic`: rows of people who do not exist, from one week of real visits, as a CSV for any recommender."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pellucid.cli import options

FOLDER = "pellucid-synthetic"
SHOWN = 10


def show(folder: Path, run: Callable[[Path], Any], *, as_json: bool) -> int:
    """Run the example in `folder`, write the rows and say what they are worth."""
    from pyarrow import csv

    started = time.perf_counter()

    def say(text: str) -> None:
        if not as_json:
            print(text, flush=True)

    place = os.path.relpath(folder)
    say(f"1  Private data go in: {place}/visits.csv")
    say("   People are made from two releases of them, and from nothing else.")
    done = run(folder / "people.py")
    rows, quality, worth = done["synthetic_rows"].arrow(), dict(done["synthetic_quality"]), dict(done["quality"])
    csv.write_csv(rows, folder / "people.csv")
    say(f"\n2  {quality['people']:,.0f} people who do not exist, {rows.num_rows:,} rows; the first {SHOWN}")
    first = rows.slice(0, SHOWN).to_pylist()
    say(options.table([[str(row["user_id"]), str(row["area_id"])] for row in first], ["user_id", "area_id"]))
    people, matrix = worth["people_ndcg_10"], worth["matrix_ndcg_10"]
    say("\n3  A recommender of them, tested on real people it has not seen (nDCG@10)")
    say(f"   on the synthetic people {people:.3f}, on the released matrix itself {matrix:.3f}")
    if as_json:
        told = {"run": done.id, "csv": str(folder / "people.csv"), "rows": rows.num_rows, "quality": quality, "worth": worth}
        options.print_json({**told, "seconds": round(time.perf_counter() - started, 2)})
    else:
        took = time.perf_counter() - started
        print(f"\nDone in {took:.0f} s. Look at")
        print(f"   {place}/people.csv   rows for any tool that takes them")
        print(f"   {place}/people.py    the pipeline that made them")
    return 0
