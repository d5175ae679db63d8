"""The import closure of a step: everything of the project that its result can depend on, by content.

From the step's function go: the statements of its file that it can reach (`slicing`), every project module these import, and
what those import, whole; and the live values behind the text: what functions close over, their defaults, the attributes of
classes, the globals that are read. Each becomes a named part with a digest, so that a re-run can say which of them changed.
Comments, docstrings, time stamps and the place of the checkout are in none of them.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import hashlib
import sys
import types
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.util import resolve_name
from pathlib import Path
from typing import Any

from pellucid.pipeline import mentions, slicing, sources, values
from pellucid.pipeline.step import Step


@dataclass(frozen=True)
class Closure:
    """Named parts with their digests, the project files they come from, and one digest over all parts."""

    parts: dict[str, str]
    files: tuple[Path, ...]
    modules: tuple[tuple[str, Path], ...]

    @functools.cached_property
    def digest(self) -> str:
        return hashlib.sha256("\n".join(f"{k} {v}" for k, v in sorted(self.parts.items())).encode()).hexdigest()


class _Walk:
    """One traversal: the parts found so far, what was visited, and what is still to be looked at."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.parts: dict[str, str] = {}
        self.files: set[Path] = set()
        self.named: dict[str, Path] = {}
        self.modules: set[str] = set()
        self.packages: set[str] = set()
        self.whole: dict[str, ast.Module] = {}  # modules whose whole text is a part
        self.sliced: dict[str, set[ast.stmt]] = {}  # statements that are in a part, by module
        self.mentioned: set[str] = set()
        self.visited: dict[int, Any] = {}  # held, so that no id is given away

    def _add(self, part: str, value: str) -> None:
        """Note a part; two of one name (a factory called twice) are told apart by number, in the order they were met."""
        name, number = part, 1
        while self.parts.get(name, value) != value:
            number += 1
            name = f"{part} #{number}"
        self.parts[name] = value

    def _first_visit(self, held: Any) -> bool:
        known = id(held) in self.visited
        self.visited[id(held)] = held
        return not known

    def name_of(self, held: Any) -> str:
        """Visit a function, class or module that a value holds; return the name it goes by in the value's digest."""
        if isinstance(held, types.ModuleType):
            self.module(held.__name__, None)
            return held.__name__
        return self._class(held) if isinstance(held, type) else self.function(held)

    def value(self, shown: str, held: Any) -> None:
        """Visit what a name stands for at this moment."""
        if isinstance(held, Step):
            held = (
                held.fn if held.gate is None and held.protection is None else None
            )  # a step may call another as the function it is
        if _is_declaration(held):
            return
        if isinstance(held, types.ModuleType | types.FunctionType | type):
            self.name_of(held)
            return
        try:
            self._add(f"global {shown}", values.digest(held, self.name_of))
        except values.OpaqueError:
            return  # a lock, an open file: how it is made is in the statements

    # functions and classes -----------------------------------------------------------------------------------------------

    def function(self, fn: types.FunctionType) -> str:
        code = fn.__code__
        name = f"{_shown(fn.__globals__)}:{code.co_qualname}"
        if not self._first_visit(fn):
            return name
        foreign = not sources.is_project_file(code.co_filename)
        self._state(fn, name, refuse=not foreign)
        path = Path(code.co_filename)
        if code.co_filename.startswith("<") or not (foreign or path.is_file()):
            self._bytecode(fn, name)
        elif not foreign:
            self._text(fn, name, path)
        return name

    def _state(self, fn: types.FunctionType, name: str, *, refuse: bool) -> None:
        """What a function carries besides its text: the function it wraps, closed-over values, evaluated defaults."""
        wrapped = getattr(fn, "__wrapped__", None)
        if isinstance(wrapped, types.FunctionType):
            self.function(wrapped)
        for variable, cell in zip(fn.__code__.co_freevars, fn.__closure__ or (), strict=True):
            try:
                held = cell.cell_contents
            except ValueError:
                continue
            if isinstance(held, Step) or _is_declaration(held):
                self.value(variable, held)
                continue
            what = f'the closed-over "{variable}"'
            try:
                self._add(f"closure {name} {variable}", values.digest(held, self.name_of))
            except values.OpaqueError:
                if refuse:
                    values.digest_or_refuse(held, self.name_of, what, self.where)
        for which, defaults in (("defaults", fn.__defaults__), ("defaults by name", fn.__kwdefaults__)):
            if defaults:
                with contextlib.suppress(values.OpaqueError):  # its text is in the statement; settings are checked one by one
                    self._add(f"{which} {name}", values.digest(defaults, self.name_of))

    def _text(self, fn: types.FunctionType, name: str, path: Path) -> None:
        module = str(fn.__globals__.get("__name__", ""))
        data = sources.read(path, self.where)
        sources.check_unchanged(module, data, self.where)
        sources.check_code(fn, data, self.where)
        roots = mentions.bound_at(sources.parse(data, path.name), fn.__code__.co_firstlineno)
        if module in self.whole and roots:
            return
        if not roots:
            self._bytecode(fn, name)
            return
        self._slice(fn.__globals__, path, data, roots, name)

    def _slice(self, scope: dict[str, Any], path: Path, data: bytes, roots: frozenset[str], name: str) -> None:
        """The statements of a file that some names depend on, what they import, and the values they read."""
        shown, tree = _shown(scope), sources.parse(data, path.name)
        known = self.sliced.setdefault(shown, set())
        self.files.add(path)
        self.named[shown] = path
        nodes, reads = slicing.reachable(tree, roots)
        if known.issuperset(nodes):
            return
        known.update(nodes)
        self._add(f"code {name}", sources.text_digest(tuple(nodes)))
        self.mentioned |= mentions.names(tuple(nodes))
        self._imports(nodes, scope.get("__package__") or None)
        for read in sorted(reads & scope.keys()):
            self.value(f"{shown}:{read}", scope[read])

    def _class(self, cls: type) -> str:
        module = sys.modules.get(cls.__module__)
        file = getattr(module, "__file__", None)
        if module is None or not file or not sources.is_project_file(file):
            return f"{cls.__module__}.{cls.__qualname__}"
        name = f"{_shown(vars(module))}:{cls.__qualname__}"
        if not self._first_visit(cls):
            return name
        for base in cls.__mro__[1:]:
            self._class(base)
        for attribute, held in sorted(vars(cls).items()):
            functions = [] if isinstance(held, type) else list(mentions.functions_in(held))
            for fn in functions:
                self._state(fn, f"{name}.{attribute}", refuse=False)
            if not functions and not attribute.startswith("__"):
                self.value(f"{name}.{attribute}", held)
        path = Path(file)
        if module.__name__ not in self.whole and path.is_file():
            data = sources.read(path, self.where)
            sources.check_unchanged(module.__name__, data, self.where)
            for fn in [fn for held in vars(cls).values() for fn in mentions.functions_in(held)]:
                if fn.__code__.co_filename == file:
                    sources.check_code(fn, data, self.where)
            self._slice(vars(module), path, data, frozenset([cls.__qualname__.split(".")[0]]), name)
        return name

    def _bytecode(self, fn: types.FunctionType, name: str) -> None:
        """Code typed into a console or made by exec: no file to read, so the compiled form and the globals it names."""
        digest, reads = slicing.compiled(fn.__code__)
        self._add(f"bytecode {name}", digest)
        self.mentioned |= reads
        for read in sorted(reads & fn.__globals__.keys()):
            self.value(f"{_shown(fn.__globals__)}:{read}", fn.__globals__[read])

    # modules -------------------------------------------------------------------------------------------------------------

    def _imports(self, nodes: Sequence[ast.stmt], package: str | None) -> None:
        for name, level in mentions.imported(nodes):
            self.module("." * level + name, package)

    def module(self, name: str, package: str | None) -> None:
        """Visit a module and all it imports, whole. Modules outside of the project end the search."""
        try:
            absolute = resolve_name(name, package) if name.startswith(".") else name
        except ImportError:
            return
        if absolute in self.modules:
            return
        self.modules.add(absolute)
        parent = absolute.rpartition(".")[0]
        if parent:
            self.module(parent, None)
            if parent not in self.packages:
                return
        spec = sources.spec_of(absolute, None)
        if spec is None:
            return
        places = list(spec.submodule_search_locations or ())
        if places and any(sources.is_project_file(str(Path(place, "x.py"))) for place in places):
            self.packages.add(absolute)
        if not spec.origin or spec.origin in ("built-in", "frozen") or not sources.is_project_file(spec.origin):
            return
        if absolute.startswith("_pellucid_file_"):
            return  # a pipeline file is never taken whole: what it says of other steps does not matter
        path = Path(spec.origin)
        data = sources.read(path, self.where)
        self.files.add(path)
        self.named[absolute] = path
        tree = sources.parse_or_none(data, path.name) if path.suffix == ".py" else None
        if tree is None:  # an extension module, or a file that is not valid Python and that somebody guards against
            self._add(f"module {absolute}", hashlib.sha256(data).hexdigest())
            return
        sources.check_unchanged(absolute, data, self.where)
        self._add(f"module {absolute}", sources.text_digest(tuple(tree.body)))
        self.whole[absolute] = tree
        self.mentioned |= mentions.names(tuple(tree.body))
        inside = absolute if spec.submodule_search_locations is not None else parent
        self._imports(tree.body, inside or None)

    def settle(self) -> None:
        """Visit the values held by modules that are in the key whole: of every name that a function of theirs reads, or that is
        mentioned elsewhere. (`LIMIT = int(os.environ["LIMIT"])`: the text does not tell.) A value may lead to further modules."""
        done: set[tuple[str, str]] = set()
        while True:
            found = [
                (module, name)
                for module, tree in sorted(self.whole.items())
                if module in sys.modules
                for name in sorted(vars(sys.modules[module]).keys() & self._readable(module, tree))
                if not name.startswith("__") and (module, name) not in done
            ]
            if not found:
                return
            for module, name in found:
                done.add((module, name))
                self.value(f"{module}:{name}", vars(sys.modules[module]).get(name))

    def _readable(self, module: str, tree: ast.Module) -> set[str]:
        all_of_it = set(vars(sys.modules[module])) if "*" in self.mentioned else set[str]()
        return all_of_it | mentions.read_inside(tree) | self.mentioned


def _shown(scope: dict[str, Any]) -> str:
    """A module's name in parts. A pipeline file is loaded under another name, or is __main__: its file's stem is the same."""
    name = str(scope.get("__name__", "?"))
    file = scope.get("__file__")
    return Path(file).stem if file and (name == "__main__" or name.startswith("_pellucid_file_")) else name


def _is_declaration(held: Any) -> bool:
    return type(held).__module__.startswith("pellucid.pipeline")


def closure_of(fn: Callable[..., Any], where: str, settings: Iterable[Any] = ()) -> Closure:
    """The closure of a step's function, and of the classes of its settings.

    Raises UsageError for state that cannot be part of a key, or code changed in memory.
    """
    walk = _Walk(where)
    if isinstance(fn, types.FunctionType):
        name = walk.function(fn)
        if not walk.parts:
            walk.parts["callable"] = name  # a library's function: the lock speaks for what it does
    else:
        walk.parts["callable"] = values.digest_or_refuse(fn, walk.name_of, "its own state", where)
        call = type(fn).__call__
        if isinstance(call, types.FunctionType):
            walk.function(call)
    for setting in settings:
        walk.value("a setting", setting)
    walk.parts.pop("global a setting", None)  # the value is a part of its own; here its classes count
    walk.settle()
    return Closure(walk.parts, tuple(sorted(walk.files)), tuple(sorted(walk.named.items())))
