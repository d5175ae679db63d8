"""Whether every artifact in a package has the canonical digest that its trace states: run sealed, for it opens a stranger's files."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from pellucid.errors import PellucidError


def main(package: str) -> None:
    """Entry of the process: print the outputs that are not as stated, as JSON: [[step, output, why]]."""
    from pellucid.packages import manifest as manifests
    from pellucid.packages.comparison import as_stated, own_digests, unpacked
    from pellucid.packages.verdict import IDENTICAL

    found: Any
    try:
        manifest = manifests.read(Path(package))
        if manifest.digests != own_digests():
            found = {"skipped": f"its digests are of the form {manifest.digests!r:.60}, which this pellucid does not make"}
        else:
            judged = [
                (entry.step, name, *as_stated(value, Path(package)))
                for entry in manifest.trace
                for name, value in entry.outputs.items()
            ]
            found = {"wrong": [[step, name, why] for step, name, result, why in judged if result != IDENTICAL]}
    except PellucidError as error:
        found = {"error": str(error)}
    except MemoryError:
        found = {"error": unpacked()}
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
