"""What a package's lock holds that the verifier's own pellucid does not need: code of others, which its steps may use, to be known by name.

Libraries run with the steps. Those that pellucid needs are in its own lock, by hash; whatever else a package locks is its publisher's
choice, also another file under the name and version of one that pellucid needs.
"""

from __future__ import annotations

from pathlib import Path

from pellucid.packages.format import lock_file


def beyond(package: Path) -> tuple[str, ...]:
    """Name and version of each library in a package's lock that pellucid's own lock does not name, and of each whose files it does not
    know, though it has that very version. The package is one that was checked."""
    from pellucid.pipeline.keys import environment

    own = lock_file.parse(environment.shipped_lock().read_text(), "pellucid's own lock")
    locked = lock_file.parse((package / lock_file.FILE).read_text(), lock_file.FILE)
    found = []
    for (name, version), files in sorted(locked.files.items()):
        if name not in own.pins:
            found.append(f"{name} {version}")
        elif (name, version) in own.files and not files <= own.files[name, version]:
            found.append(f"{name} {version} (files that pellucid's own lock does not have)")
    return tuple(found)


def libraries_in_words(libraries: tuple[str, ...]) -> str:
    """One line for people."""
    if not libraries:
        return "none but those that pellucid itself needs"
    more = f" and {len(libraries) - 12} more" if len(libraries) > 12 else ""
    return f"beyond what pellucid needs: {', '.join(libraries[:12])}{more}"
