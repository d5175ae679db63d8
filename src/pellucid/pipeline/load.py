"""Load a pipeline file: run it fresh from its source and find the pipeline in it."""

from __future__ import annotations

import sys
from importlib.util import module_from_spec
from pathlib import Path

from pellucid.errors import PellucidError, UsageError
from pellucid.pipeline import sources
from pellucid.pipeline.graph import Pipeline


def load(file: Path) -> Pipeline:
    """The one pipeline a file defines at top level (or the one named `pipeline` when there are several).

    The file's folder is put first on the import path, as Python does for a script. Raises UsageError: no such file, a syntax
    error, an exception while it ran, no pipeline in it.
    """
    path = file.absolute()
    if path.is_dir():
        raise UsageError("this is a folder", where=str(file), fix="Name the pipeline file in it")
    if not path.is_file():
        raise UsageError("there is no such pipeline file", where=str(file), fix="Name a Python file that defines a pl.Pipeline")
    sources.install_fresh_loading(path.parent)
    if sys.path[:1] != [str(path.parent)]:
        sys.path.insert(0, str(path.parent))
    sys.dont_write_bytecode = True
    name = f"_pellucid_file_{path.stem}"
    loader = sources._FreshLoader(name, str(path))
    from importlib.machinery import ModuleSpec

    spec = ModuleSpec(name, loader, origin=str(path))
    spec.has_location = True
    module = module_from_spec(spec)
    sys.modules[name] = module
    try:
        loader.exec_module(module)
    except PellucidError:
        raise
    except SyntaxError as error:
        raise UsageError("it is not valid Python", where=f"{file}:{error.lineno}", why=error.msg) from error
    except (Exception, SystemExit) as error:
        at = _line_in(path, error)
        raise UsageError(f"it raised {type(error).__name__}", where=f"{file}{at}", why=str(error) or "no message") from error
    found = {name: value for name, value in vars(module).items() if isinstance(value, Pipeline)}
    pipeline = found.get("pipeline") or (next(iter(found.values())) if len(set(map(id, found.values()))) == 1 else None)
    if pipeline is None:
        many = f"it defines {len(found)} pipelines, none of them named pipeline" if found else "it defines no pipeline"
        raise UsageError(many, where=str(file), fix='End the file with: pipeline = pl.Pipeline("name", [...])')
    pipeline.file = path
    sources.note_loaded()
    return pipeline


def _line_in(path: Path, error: BaseException) -> str:
    trace, line = error.__traceback__, ""
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            line = f":{trace.tb_lineno}"
        trace = trace.tb_next
    return line
