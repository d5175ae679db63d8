"""A catalogue of 1,000 packages: how long its first build takes, and one more after a package was added.

Bars: 120 s, then 10 s; each wheel is stored once. One package is published; the others are made from it with other titles and numbers of
their own, their descriptions and lists written by the project's own functions, so that each is whole and no two are alike.
Run: python benchmarks/catalogue_scale.py [packages]
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import sys
import tempfile
from pathlib import Path

from package_scale import ABOUT, pellucid

from pellucid.packages.format import fixity
from pellucid.packages.format import manifest as manifests
from pellucid.packages.standards import generated_metadata

SMALL = f"""
import pyarrow as pa
import pellucid as pl

@pl.step
def towns() -> pl.Table:
    return pa.table({{"town": [f"town {{at}}" for at in range(40)], "people": list(range(1000, 1040))}})

@pl.step
def total(towns: pl.Table) -> pl.Metrics:
    return {{"people": float(sum(towns.arrow()["people"].to_pylist()))}}

pipeline = pl.Pipeline("p", [towns, total], {ABOUT})
"""


def another(of: Path, folder: Path, number: int) -> None:
    """A package like `of`, of another title."""
    shutil.copytree(of, folder, copy_function=os.link)
    known = manifests.read(of)
    manifest = dataclasses.replace(known, about={**known.about, "title": f"Towns, edition {number}"})
    files = [(manifests.FILE, manifest.to_bytes())]
    (folder / manifests.FILE).unlink()
    (folder / manifests.FILE).write_bytes(files[0][1])
    for path, body in generated_metadata.files(manifest, folder):
        (folder / path).unlink(missing_ok=True)
        (folder / path).write_bytes(body)
    (folder / fixity.FILE).unlink()
    fixity.write(folder)


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as made:
        folder = Path(made)
        os.environ["XDG_CACHE_HOME"] = str(folder / "cache")  # nothing is known of any package
        (folder / "p.py").write_text(SMALL)
        pellucid(folder, "run", "p.py", "--quiet")
        pellucid(folder, "publish", "last", "first")
        (folder / "packages").mkdir()
        names = []
        for number in range(count + 1):
            names.append(f"packages/{number}")
            another(folder / "first", folder / names[-1], number)
        first = pellucid(folder, "catalogue", *names[:-1], "--out", "site", "--url", "https://data.example/")
        again = pellucid(folder, "catalogue", *names, "--out", "site", "--url", "https://data.example/")
        wheels = len(list((folder / "site" / "wheels").iterdir()))
        size = sum(path.stat().st_size for path in (folder / "site").rglob("*")) / 1e6
        print(f"{count} packages: first {first:.1f}, after one was added {again:.1f}; {wheels} wheels, {size:,.0f} MB")


if __name__ == "__main__":
    main()
