"""Names that code in a package may not have: those by which it would run before pellucid, or be imported in the place of something else.

The folder of the code is first on the import path of a re-run. A module of the name of one of the standard library, of pellucid or of a
locked library would be imported instead of it, by pellucid too; `sitecustomize` and `.pth` files run when Python starts.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

from pellucid.packages.format import refuse

HOOKS = {"sitecustomize", "usercustomize"}
ENDINGS = (".py", ".pyc", ".so", ".pyd")


def refuse_shadowing(paths: Iterable[str], locked: Iterable[str]) -> None:
    """Raise PackageError for a file in `code/` by a name that is taken; `locked` are the distributions of the lock."""
    libraries = {name.lower().replace("-", "_").replace(".", "_") for name in locked}
    for path in sorted(paths):
        parts = path.split("/")
        if parts[0] != "code":
            continue
        inside = parts[2:] if parts[1] == "_elsewhere" else parts[1:]
        if not inside:
            continue
        if path.endswith(".pth"):
            refuse(path, "a .pth file runs when Python starts", "nothing of a package may run before pellucid")
        if not path.endswith(ENDINGS):
            continue
        top = inside[0].partition(".")[0]
        if top in HOOKS:
            refuse(path, f"{top} runs when Python starts", "nothing of a package may run before pellucid")
        if top == "pellucid" or top in sys.stdlib_module_names or top.lower() in libraries:
            refuse(path, f"the name {top!r:.40} is taken", "it would be imported instead of the module of that name")
