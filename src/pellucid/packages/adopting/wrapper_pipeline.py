"""The pipeline file around a script: one source for each file it takes, and one step that runs it.

Names of files and texts of people come into this file as Python literals (`repr`) and as names made of letters, digits and
underscores, so that none of them can become code.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable, Mapping, Sequence

from pellucid.packages.adopting.script_step import STDOUT
from pellucid.pipeline.declaration import About

FOLDER = "files"  # beside the pipeline file: what the script is called, and what it reads, can then be in nobody's way
_TYPES = {"table": "pl.Table", "array": "pl.Array", "metrics": "pl.Metrics", "file": "pl.File"}
_TAKEN = frozenset({"pl", "run_script", "script", "pipeline", "files", "folders", "outputs", "made", STDOUT})
_LONGEST = 60


def names(paths: Iterable[str], taken: Iterable[str] = ()) -> dict[str, str]:
    """Path -> a name for it that is no other's, no keyword and no word of the pipeline file; the same for the same paths."""
    used = {*_TAKEN, *taken}
    found: dict[str, str] = {}
    for path in paths:
        name = re.sub("[^a-z0-9]+", "_", path.lower()).strip("_")[:_LONGEST].rstrip("_")
        if not name[:1].isalpha() or name in _TAKEN or keyword.iskeyword(name):
            name = f"file_{name}".rstrip("_")
        number, first = 1, name
        while name in used:
            number += 1
            name = f"{first}_{number}"
        used.add(name)
        found[path] = name
    return found


def text(
    script: str,
    files: Mapping[str, str],
    outputs: Mapping[str, str],
    kinds: Mapping[str, str],
    arguments: Sequence[str],
    about: About,
    licence: str,
    tolerance: float | None,
    folders: Sequence[str],
) -> str:
    """The pipeline file. `files`: path -> "code" or "data"; `outputs`: name -> path; `kinds`: name -> kind; `licence` of the data."""
    named = names(files, outputs)
    lines = [repr(f"{about.title}: adopted from {script}."), "", "from typing import NamedTuple", "", "import pellucid as pl"]
    lines += ["from pellucid.packages.adopting.script_step import run_script", ""]
    for path, what in files.items():
        of = about.licence if what == "code" else licence
        lines.append(f'{named[path]} = pl.source({f"{FOLDER}/{path}"!r}, label="open", format="file", licence={of!r})')
    lines += ["", "", "class Results(NamedTuple):", '    """What the script leaves."""', ""]
    lines += [f"    {name}: {_TYPES[kinds[name]]}" for name in outputs]
    parameters = ", ".join(f"{name}: pl.File" for name in named.values())
    given = ", ".join(f"{path!r}: {name}" for path, name in named.items())
    options = f'kind="script"{"" if tolerance is None else f", tolerance={tolerance!r}"}'
    lines += ["", "", f"@pl.step({options})", f"def script({parameters}) -> Results:"]
    lines += [f"    files = {{{given}}}"]
    values = [name for name in outputs if kinds[name] != "file"]
    more = f", {values!r}" if values else ""
    lines += [f"    outputs = {dict(outputs)!r}", f"    folders = {list(folders)!r}"]
    lines += [
        f"    made = run_script({script!r}, files, outputs, {list(arguments)!r}, folders{more})",
        "    return Results(**made)",
    ]
    lines += ["", "", "pipeline = pl.Pipeline(", '    "adopted",', f"    [{', '.join(named.values())}, script],"]
    lines += ["    about=pl.About("]
    lines += [f"        {name}={value!r}," for name, value in vars(about).items()]
    return "\n".join([*lines, "    ),", ")", ""])
