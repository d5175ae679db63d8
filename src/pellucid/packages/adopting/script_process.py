"""How a script or a notebook is run: the same way when it is watched, when it is a step, and when a stranger runs the package again.

Its process gets what makes files come out the same at any time: SOURCE_DATE_EPOCH and a salt for the ids in SVG files (matplotlib), and a
fixed time in the headers of gzip and zip files. Pictures are drawn without a screen; input is at its end.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from pellucid.packages.adopting.notebook_cells import code_cells

NOTEBOOK = ".ipynb"
STEPS_GET = ("PATH", "LD_LIBRARY_PATH", "PELLUCID_LOCK", "OPENBLAS_CORETYPE", "VIRTUAL_ENV", "TMPDIR")
SHOWN = "shown.html"  # beside a notebook: what its cells show
EPOCH = "315532800"  # 1980-01-01, the earliest time that zip knows
# `gzip` and `zipfile` ask their own `time` for the time of day; the script's stays as it is.
FIXED_TIMES = """
def _fixed_times():
    import os, sys, types
    epoch = int(os.environ.get("SOURCE_DATE_EPOCH", "315532800"))
    class Finder:
        names = {"gzip", "zipfile"}
        def find_spec(self, name, path=None, target=None):
            if name not in self.names:
                return None
            self.names.discard(name)
            import importlib.util
            spec = importlib.util.find_spec(name)
            if spec is None or spec.loader is None:
                return spec
            run = spec.loader.exec_module
            def exec_module(module):
                run(module)
                import time
                fixed = types.SimpleNamespace(**{n: v for n, v in vars(time).items() if not n.startswith("__")})
                fixed.time = lambda: float(epoch)
                fixed.localtime = lambda seconds=None: time.gmtime(epoch)
                module.time = fixed
            spec.loader.exec_module = exec_module
            return spec
    for name in Finder.names & set(sys.modules):  # another hook needed them first
        del sys.modules[name]
    sys.meta_path.insert(0, Finder())
_fixed_times()
"""


_RUN = (
    "import sys; exec(compile(open(sys.argv[1]).read(), sys.argv[1], 'exec'))"  # so that sys.path begins with the folder it is in
)


def folder_of(script: str) -> str:
    """Where it runs, as people run it: a notebook in its own folder, a script in the root. Relative to the root."""
    return os.path.dirname(script) if script.endswith(NOTEBOOK) else ""


def shown_at(script: str) -> str:
    """Where what the cells of a notebook show is written, relative to the root."""
    return f"{script.removesuffix(NOTEBOOK)}-{SHOWN}"


def run(
    script: str,
    root: Path,
    arguments: Sequence[str],
    *,
    hook: str = "",
    environment: Mapping[str, str] | None = None,
    as_a_step: bool = False,
) -> subprocess.CompletedProcess[bytes]:
    """Run `script` (a path in `root`) to its end.

    `hook` is Python that its process runs first; `environment` is added to what there is; with `as_a_step` there is of the user's own only
    what a step gets of it.
    """
    around = {name: value for name, value in os.environ.items() if not as_a_step or name in STEPS_GET}
    with tempfile.TemporaryDirectory(prefix="script-hook-") as name:
        extra = Path(name)
        (extra / "sitecustomize.py").write_text(hook + FIXED_TIMES)
        (extra / "matplotlibrc").write_text("svg.hashsalt: pellucid\n")
        (extra / "cache").mkdir()
        at = root / folder_of(script)
        env = {**around, "PYTHONPATH": f"{extra}{os.pathsep}{root}", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0"}
        env |= {"MPLBACKEND": "Agg", "MPLCONFIGDIR": str(extra), "SOURCE_DATE_EPOCH": EPOCH, **(environment or {})}
        if script.endswith(NOTEBOOK):
            (extra / "cells.json").write_text(json.dumps(code_cells((root / script).read_bytes(), script)))
            names = [str(extra / "cells.json"), os.path.basename(script), os.path.basename(shown_at(script))]
            command = [sys.executable, "-c", _RUN, str(Path(__file__).with_name("notebook_runner.py")), *names]
        else:
            command = [sys.executable, script, *arguments]
        return subprocess.run(command, cwd=at, env=env, capture_output=True, check=False, stdin=subprocess.DEVNULL)


def last_line(done: subprocess.CompletedProcess[bytes]) -> str:
    """The last line of what a process said on stderr: Python's own word on why it failed."""
    return (done.stderr.decode(errors="replace").strip().splitlines() or ["no message"])[-1]
