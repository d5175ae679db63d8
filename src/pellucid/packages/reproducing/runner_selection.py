"""The runner: whose pellucid re-runs a package.

A package holds the pellucid that made it, so that it can be re-run when there is no other. But who publishes may have put anything in
there, and what it says came out would be believed: so the verifier's own runs wherever it is of the same version.
"""

from __future__ import annotations

from pathlib import Path

from pellucid.packages.reproducing.verdict import BY_ITS_WORD

SAME = "the pellucid in the package is byte for byte yours"
OWN = "your own pellucid; the one in the package is of the same version and has other bytes"


def chosen(inside: Path, folder: Path) -> tuple[Path, str]:
    """The wheel to re-run with, which may be written below `folder`, and what to say of it; `inside` is the package's."""
    from pellucid.packages.format import wheel

    own = wheel.build()
    if inside.read_bytes() == own:
        return inside, SAME
    if inside.name == wheel.name():
        place = folder / "own" / wheel.name()
        place.parent.mkdir()
        place.write_bytes(own)
        return place, OWN
    return inside, f"{BY_ITS_WORD}: {inside.name}"
