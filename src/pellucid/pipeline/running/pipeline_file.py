"""Load a pipeline file: run it fresh from its source and find the pipeline in it."""

from __future__ import annotations

import filecmp
import hashlib
import inspect
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import module_from_spec
from pathlib import Path
from typing import Any

from pellucid.errors import LabelError, PellucidError, UsageError, suggest
from pellucid.pipeline.declaration import BEING_LOADED, Loading, Pipeline, Source, source_code
from pellucid.pipeline.running.task import Task
from pellucid.sandbox import Opened, landlock, project_lines, python_opens

_UNEXPECTED = re.compile(r"(\w+)\(\) got an unexpected keyword argument '(\w+)'")
ELSEWHERE = "_elsewhere"  # in a package, beside the pipeline file: modules of its project from outside of its folder, found last


def load(file: Path, loaded: Callable[[], None] = lambda: None) -> Pipeline:
    """The one pipeline a file defines at top level (or the one named `pipeline` when there are several).

    The file's folder is put first on the import path, as Python does for a script. Raises UsageError: no such file, a syntax
    error, an exception while it ran, no pipeline in it. `loaded` is called when it has run, before anything of its data is looked at.
    """
    path = file.absolute()
    if path.is_dir():
        package = (path / "manifest.json").is_file()
        fix = f"It is a package: pellucid reproduce {file}" if package else "Name the pipeline file in it"
        raise UsageError("this is a folder", where=str(file), fix=fix)
    if not path.is_file():
        raise UsageError("there is no such pipeline file", where=str(file), fix="Name a Python file that defines a pl.Pipeline")
    if path.suffix != ".py":
        raise _no_pipeline_file(file)
    if path.stem in sys.stdlib_module_names:  # its folder comes first on the import path, as Python does it for a script
        why = f"whatever imports Python's own module {path.stem} would get this file"
        raise UsageError("this file is named like a module of Python", where=str(file), why=why, fix="Rename it")
    source_code.install_fresh_loading(path.parent)
    if sys.path[:1] != [str(path.parent)]:
        sys.path.insert(0, str(path.parent))
    elsewhere = path.parent / ELSEWHERE
    if elsewhere.is_dir() and str(elsewhere) not in sys.path:
        sys.path.append(str(elsewhere))
    sys.dont_write_bytecode = True
    name, known = f"_pellucid_file_{path.stem}", set(sys.modules)
    loader = source_code._FreshLoader(name, str(path))
    from importlib.machinery import ModuleSpec

    spec = ModuleSpec(name, loader, origin=str(path))
    spec.has_location = True
    module = module_from_spec(spec)
    sys.modules[name] = module
    outer = BEING_LOADED.set(str(file))
    try:
        with reads_of_environment() as variables, python_opens(source_code.is_project_file) as opened:
            loader.exec_module(module)
        loaded()
    except PellucidError:
        raise
    except SyntaxError as error:
        raise UsageError("it is not valid Python", where=f"{file}:{error.lineno}", why=error.msg) from error
    except (Exception, SystemExit) as error:
        at = _line_in(path, error)
        why = str(error) or "no message"
        raise UsageError(f"it raised {type(error).__name__}", where=f"{file}{at}", why=why, fix=_nearest(error)) from error
    finally:
        BEING_LOADED.reset(outer)
    found = {name: value for name, value in vars(module).items() if isinstance(value, Pipeline)}
    pipeline = found.get("pipeline") or (next(iter(found.values())) if len(set(map(id, found.values()))) == 1 else None)
    if pipeline is None:
        many = f"it defines {len(found)} pipelines, none of them named pipeline" if found else "it defines no pipeline"
        raise UsageError(many, where=str(file), fix='End the file with: pipeline = pl.Pipeline("name", [...])')
    pipeline.file = path
    pipeline.loading = Loading.of(
        ((one.path, frozenset(one.lines)) for one in opened if not one.path.endswith((".py", ".pyc", ".so"))),
        variables,
        (name for name in sys.modules if name not in known),
    )
    source_code.note_loaded()
    refuse_private_reads(pipeline, opened)
    return pipeline


def _no_pipeline_file(file: Path) -> UsageError:
    """What a file is that is no Python file, and what can be done with it."""
    from pellucid.data import detect

    quoted = shlex.quote(str(file))
    if file.suffix == ".ipynb":
        fix = f"Run the pipeline in the notebook, or make one of its cells: pellucid adopt {quoted}"
        return UsageError("this is a notebook, not a pipeline file", where=str(file), fix=fix)
    if detect(file) is not None:
        fix = f"Have one written: pellucid init {quoted}; if the data are about people: pellucid steward init {quoted}"
        return UsageError("this is a data file, not a pipeline file", where=str(file), fix=fix)
    if file.suffix == ".zip":
        return UsageError("this is no pipeline file", where=str(file), fix=f"If it is a package: pellucid reproduce {quoted}")
    return UsageError("this is no Python file", where=str(file), fix="Name a Python file that defines a pl.Pipeline")


def _nearest(error: BaseException) -> str:
    """The name that was meant, where a name is not known and a known one is close; a file that is looked for in the wrong folder."""
    if isinstance(error, AttributeError) and error.name and error.obj is not None:
        there = {*dir(error.obj), *getattr(error.obj, "__all__", ())}  # sorted: functions before classes of the same name
        return suggest(error.name, sorted(there, key=str.swapcase), " ").strip()
    if isinstance(error, FileNotFoundError) and isinstance(error.filename, str) and not os.path.isabs(error.filename):
        return f"It was looked for in {os.getcwd()}. Name it from the file's own folder: Path(__file__).with_name(...)"
    wrong = _UNEXPECTED.search(str(error)) if isinstance(error, TypeError) else None
    if wrong is None:
        return ""
    own = (
        vars(module).get(wrong[1]) for name, module in sorted(sys.modules.items()) if name.split(".")[0] == __name__.split(".")[0]
    )
    called = next((one for one in own if inspect.isroutine(one)), None)  # one of Pellucid's own functions
    return "" if called is None else suggest(wrong[2], inspect.signature(called).parameters)


def _line_in(path: Path, error: BaseException) -> str:
    trace, line = error.__traceback__, ""
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            line = f":{trace.tb_lineno}"
        trace = trace.tb_next
    return line


def private_files(pipeline: Pipeline) -> list[Path]:
    """The files of the pipeline's sources that are not open, as far as they are there; of a folder all that is in it."""
    paths = [bound.node.path for bound in pipeline.steps.values() if isinstance(bound.node, Source) and not bound.label.is_open]
    return [file for path in paths for file in files_at(path)]


def files_at(path: Path) -> list[Path]:
    """The file there, or of a folder all that are in it."""
    return [file for file in (sorted(path.rglob("*")) if path.is_dir() else [path]) if file.is_file()]


def refuse_private_reads(pipeline: Pipeline, opened: list[Opened]) -> None:
    """Raise LabelError where a file that was opened while loading is one of a source that is not open, or a copy of one.

    What is read then is part of the pipeline itself, and so of every step, open ones too.
    """
    private = {os.path.realpath(path): path for path in private_files(pipeline)}
    if not private:
        return
    sizes = {os.path.getsize(path) for path in private}
    for one in opened:
        real = os.path.realpath(one.path)
        copied = real not in private and os.path.isfile(real) and os.path.getsize(real) in sizes and os.path.getsize(real) > 0
        same = private.get(real) or (
            next((path for path in private.values() if filecmp.cmp(real, path, False)), None) if copied else None
        )
        if same is not None:
            raise read_while_loading(same, one.place)


def read_while_loading(path: Path | str, place: str, what: str = "it is the file of a source that is not open") -> LabelError:
    """What to say of a private file that is read while the pipeline file loads."""
    return LabelError(
        f"{Path(path).name} is read while the pipeline file loads, and {what}",
        where=place,
        why="values made then are part of every step, also of open ones",
        fix="Read it in a step, as an input: name the source as a parameter",
    )


@contextmanager
def reads_of_environment() -> Iterator[list[tuple[str, frozenset[tuple[str, int]]]]]:
    """The names of the environment that are looked up within, with the lines of the project that led there; all names where the project's
    own code goes through them all."""
    names: list[tuple[str, frozenset[tuple[str, int]]]] = []
    kind = type(os.environ)
    get, iterate = kind.__getitem__, kind.__iter__

    def looked_up(self: Any, name: str | bytes) -> Any:
        names.append((os.fsdecode(name), frozenset(project_lines(sys._getframe(1), source_code.is_project_file))))
        return get(self, name)  # type: ignore[arg-type]

    def gone_through(self: Any) -> Iterator[str]:
        frame = sys._getframe(1)
        while frame.f_back is not None and frame.f_globals.get("__name__") in ("os", "_collections_abc", "collections.abc"):
            frame = frame.f_back
        if source_code.is_project_file(frame.f_code.co_filename):
            lines = frozenset(project_lines(frame, source_code.is_project_file))
            names.extend((os.fsdecode(name), lines) for name in self._data)
        return iterate(self)

    kind.__getitem__, kind.__iter__ = looked_up, gone_through  # type: ignore[method-assign]
    try:
        yield names
    finally:
        kind.__getitem__, kind.__iter__ = get, iterate  # type: ignore[method-assign]


def environment_of(pipeline: Pipeline) -> dict[str, str]:
    """What a pipeline file reads of the environment while it loads: all that its workers get of it."""
    names = pipeline.loading.environment_names if pipeline.loading else ()
    return {name: os.environ[name] for name in sorted(names) if name in os.environ}


@dataclass(frozen=True)
class LoadingInWorker:
    """A file that each worker loads, since loading it starts threads (`polars.read_csv` at its top is enough).

    A fork has none of the threads of the process it is a copy of, so a worker that is forked from a loaded file would wait for them for
    ever. Such a file is loaded after the fork instead: slower, by what loading takes. The kernel's confinement is inherited by the threads
    that a process starts, not by those it has; so the worker confines itself before it loads the file, to the files of the project that are
    not private and to its own inputs, and once more before the step, to what the step may read.

    It holds what the main process says of the file: its path, the settings, what it looks up of the environment, files it may not read,
    and files
    elsewhere that it opens."""

    file: Path
    settings: Mapping[str, Any]
    environment: Mapping[str, str]
    private: frozenset[str]
    opened: tuple[str, ...]

    def load(self, task: Task, texts: Mapping[str, str]) -> Pipeline:
        """Confine this process, and load the file; `texts` are the digests of the modules that the step's key was made of."""
        if landlock.abi():
            landlock.restrict([*self.readable(), *task.read], [task.scratch])
        added = {name: value for name, value in self.environment.items() if name not in os.environ}
        os.environ.update(added)
        try:
            pipeline = load(self.file).with_settings(self.settings)
        except UsageError as error:
            fix = (
                "Its loading starts threads, so each step loads it again, in its sandbox. Write files and start threads in a step"
            )
            raise UsageError(error.what, where=error.where, why=error.why, fix=fix) from error
        finally:
            for name in added:
                del os.environ[name]
        for name, text in sorted(texts.items()):
            path = Path(str(getattr(sys.modules.get(name), "__file__", None)))
            if path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() != text:
                raise UsageError(f"{path.name} was changed while the run was under way", where=str(path), fix="Run again")
        return pipeline

    def readable(self) -> list[str]:
        """The files and folders of the project without the private ones and without any state folder."""
        folders = [
            os.path.realpath(path or ".") for path in sys.path if source_code.is_project_file(str(Path(path or ".", "x.py")))
        ]
        roots = [str(self.file.parent), *(path for path in folders if os.path.isdir(path))]
        found = [
            path for root in dict.fromkeys(roots) for path in _without(root, {os.path.realpath(path) for path in self.private})
        ]
        return [*found, *(path for path in self.opened if os.path.realpath(path) not in self.private)]


def _without(root: str, private: set[str]) -> list[str]:
    """`root`, or where it holds something private what is in it beside that."""
    if os.path.realpath(root) in private or os.path.exists(os.path.join(root, "pellucid.db")):
        return []
    if not os.path.isdir(root) or os.path.islink(root):
        return [root]
    parts: list[str] = []
    whole = True
    for entry in sorted(os.scandir(root), key=lambda entry: entry.name):
        inner = _without(entry.path, private)
        whole &= inner == [entry.path]
        parts += inner
    return [root] if whole else parts
