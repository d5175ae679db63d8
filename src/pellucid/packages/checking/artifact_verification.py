"""What is found by opening the artifacts of a package: run sealed, for they are a stranger's files.

Whether each has the canonical digest that its trace states, whether each guarantee follows from the noise that is described, and which
descriptions are not what follows from the manifest and the files.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from pellucid.errors import PellucidError
from pellucid.packages.format import reading, refuse


def main(package: str) -> None:
    """Entry of the process: print the error, or the descriptions that are otherwise, as JSON."""
    from pellucid.store import nothing_lasts

    nothing_lasts()
    found: Any
    try:
        with reading("the artifacts"):
            found = {"otherwise": otherwise(Path(package))}
    except PellucidError as error:
        found = {"error": str(error)}
    except MemoryError:
        from pellucid.packages.checking.artifact_digests import unpacked

        found = {"error": unpacked()}
    print(json.dumps(found))


def otherwise(package: Path) -> list[str]:
    """The descriptions that this pellucid would write otherwise. Raises PackageError."""
    from pellucid.packages.checking import guarantee_verification
    from pellucid.packages.checking.artifact_digests import mismatch, not_as_written, own_digests
    from pellucid.packages.format import manifest as manifests
    from pellucid.packages.standards import generated_metadata

    manifest = manifests.read(package)
    if manifest.digests != own_digests():
        refuse(manifests.FILE, f"its digests are of the form {manifest.digests!r:.60}, which this pellucid does not make")
    for entry in manifest.trace:
        for name, value in entry.outputs.items():
            if why := mismatch(value, package) or not_as_written(value, package):
                refuse(f"step {entry.step}, output {name}", why)
        guarantee_verification.refuse_stronger(entry, f"step {entry.step}")
    return generated_metadata.otherwise(manifest, package)


if __name__ == "__main__":
    main(*sys.argv[1:])
