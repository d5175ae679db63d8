"""The traversal behind a step's closure: from its function to the statements, modules and live values that it can reach."""

from __future__ import annotations

import ast
import hashlib
import sys
import types
from collections.abc import Callable, Sequence
from importlib.util import resolve_name
from pathlib import Path
from typing import Any

from pellucid.pipeline.declaration import Step, source_code
from pellucid.pipeline.keys import ast_names, slicing, value_digests
from pellucid.pipeline.keys.loading_effects import LoadingEffects


def _nothing(_: Any) -> bool:
    return False


def _everything(_: Any) -> bool:
    return True


class Walk:
    """One traversal: the parts found so far, what was visited, and what is still to be looked at."""

    def __init__(self, where: str, effects: LoadingEffects) -> None:
        self.where, self.effects = where, effects
        self.parts: dict[str, str] = {}
        self.files: set[Path] = set()
        self.named: dict[str, Path] = {}
        self.modules: set[str] = set()
        self.packages: set[str] = set()
        self.whole: dict[str, ast.Module] = {}  # modules whose whole text is a part
        self.sliced: dict[str, set[ast.stmt]] = {}  # statements that are in a part, by module
        self.mentioned: set[str] = set()
        self.reaching = False  # whether some code may reach what it does not name
        self.settled: set[tuple[str, str]] = set()  # (module, name) of the values that were visited
        self.refusing = True  # whether what has no content is refused in modules
        self.libraries: set[str] = set()
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

    def value(self, shown: str, held: Any, refused: Callable[[Any], bool] = _nothing) -> None:
        """Visit what a name stands for at this moment. What has no content in it is refused where `refused` says so of it."""
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
            self._add(f"global {shown}", value_digests.digest(held, self.name_of))
        except value_digests.OpaqueError as error:
            if refused(error.held):
                raise value_digests.refusal(f'the global "{shown.rpartition(":")[2]}"', error, self._line_of(shown)) from error

    def _line_of(self, shown: str) -> str:
        """Where a global is bound, as far as a file tells, beside the step that reads it."""
        module, _, name = shown.rpartition(":")
        path = self.named.get(module)
        tree = source_code.parse_or_none(path.read_bytes(), path.name) if path is not None and path.suffix == ".py" else None
        lines = [s.node.lineno for s in slicing.statements(tree) if name.split(".")[0] in s.binds] if tree is not None else []
        return f"{self.where}, {path.name}:{lines[-1]}" if path is not None and lines else self.where

    # functions and classes -----------------------------------------------------------------------------------------------

    def function(self, fn: types.FunctionType) -> str:
        code = fn.__code__
        name = f"{shown_name(fn.__globals__)}:{code.co_qualname}"
        if not self._first_visit(fn):
            return name
        foreign = not source_code.is_project_file(code.co_filename)
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
                self._add(f"closure {name} {variable}", value_digests.digest(held, self.name_of))
            except value_digests.OpaqueError:
                if refuse:
                    value_digests.digest_or_refuse(held, self.name_of, what, self.where)
        for which, defaults in (("defaults", fn.__defaults__), ("defaults by name", fn.__kwdefaults__)):
            if defaults:
                try:
                    self._add(f"{which} {name}", value_digests.digest(defaults, self.name_of))
                except value_digests.OpaqueError as error:
                    if refuse:
                        raise value_digests.refusal(f"a default of {fn.__name__}", error, self.where) from error

    def _text(self, fn: types.FunctionType, name: str, path: Path) -> None:
        module = str(fn.__globals__.get("__name__", ""))
        data = source_code.read(path, self.where)
        source_code.check_unchanged(module, data, self.where)
        source_code.check_code(fn, data, self.where)
        roots = ast_names.bound_at(source_code.parse(data, path.name), fn.__code__.co_firstlineno)
        if module in self.whole and roots:
            return
        if not roots:
            self._bytecode(fn, name)
            return
        self.slice(fn.__globals__, path, data, roots, name)

    def slice(
        self, scope: dict[str, Any], path: Path, data: bytes, roots: frozenset[str], name: str, also: frozenset[int] = frozenset()
    ) -> None:
        """The statements of a file that some names depend on and those at the places `also`, what they import, and the values they read."""
        shown, tree = shown_name(scope), source_code.parse(data, path.name)
        known = self.sliced.setdefault(shown, set())
        self.files.add(path)
        self.named[shown] = path
        nodes, reads = slicing.reachable(tree, roots, also)
        if known.issuperset(nodes):
            return
        known.update(nodes)
        self._add(f"code {name}", source_code.text_digest(tuple(nodes)))
        self._mention(tuple(nodes))
        self._imports(nodes, scope.get("__package__") or None)
        called = slicing.read_when_called(tree, roots)
        for read in sorted(reads & scope.keys()):
            self.value(f"{shown}:{read}", scope[read], _everything if read in called else _nothing)

    def _mention(self, nodes: tuple[ast.stmt, ...]) -> None:
        self.mentioned |= ast_names.names(nodes)
        self.reaching |= ast_names.reaches_unnamed(nodes)

    def _class(self, cls: type) -> str:
        module = sys.modules.get(cls.__module__)
        file = getattr(module, "__file__", None)
        if module is None or not file or not source_code.is_project_file(file):
            return f"{cls.__module__}.{cls.__qualname__}"
        name = f"{shown_name(vars(module))}:{cls.__qualname__}"
        if not self._first_visit(cls):
            return name
        for base in cls.__mro__[1:]:
            self._class(base)
        for attribute, held in sorted(vars(cls).items()):
            functions = [] if isinstance(held, type) else list(ast_names.functions_in(held))
            for fn in functions:
                self._state(fn, f"{name}.{attribute}", refuse=False)
            if not functions and not attribute.startswith(("__", "_abc_")):
                self.value(f"{name}.{attribute}", held, value_digests.is_live)
        path = Path(file)
        if module.__name__ not in self.whole and path.is_file():
            data = source_code.read(path, self.where)
            source_code.check_unchanged(module.__name__, data, self.where)
            for fn in [fn for held in vars(cls).values() for fn in ast_names.functions_in(held)]:
                if fn.__code__.co_filename == file:
                    source_code.check_code(fn, data, self.where)
            self.slice(vars(module), path, data, frozenset([cls.__qualname__.split(".")[0]]), name)
        return name

    def _bytecode(self, fn: types.FunctionType, name: str) -> None:
        """Code typed into a console or made by exec: no file to read, so the compiled form and the globals it names."""
        digest, reads = slicing.compiled(fn.__code__)
        self._add(f"bytecode {name}", digest)
        self.mentioned |= reads
        for read in sorted(reads & fn.__globals__.keys()):
            self.value(f"{shown_name(fn.__globals__)}:{read}", fn.__globals__[read], _everything)

    # modules -------------------------------------------------------------------------------------------------------------

    def _imports(self, nodes: Sequence[ast.stmt], package: str | None) -> None:
        for name, level in ast_names.imported(nodes):
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
        spec = source_code.spec_of(absolute, None)
        if spec is None:
            return
        if not parent and absolute not in sys.stdlib_module_names:
            self.libraries.add(absolute)
        places = list(spec.submodule_search_locations or ())
        if places and any(source_code.is_project_file(str(Path(place, "x.py"))) for place in places):
            self.packages.add(absolute)
        if not spec.origin or spec.origin in ("built-in", "frozen") or not source_code.is_project_file(spec.origin):
            return
        if absolute.startswith("_pellucid_file_"):
            return  # a pipeline file is never taken whole: what it says of other steps does not matter
        path = Path(spec.origin)
        data = source_code.read(path, self.where)
        self.files.add(path)
        self.named[absolute] = path
        tree = source_code.parse_or_none(data, path.name) if path.suffix == ".py" else None
        if tree is None:  # an extension module, or a file that is not valid Python and that somebody guards against
            self._add(f"module {absolute}", hashlib.sha256(data).hexdigest())
            return
        source_code.check_unchanged(absolute, data, self.where)
        self._add(f"module {absolute}", source_code.text_digest(tuple(tree.body)))
        self.whole[absolute] = tree
        self._mention(tuple(tree.body))
        inside = absolute if spec.submodule_search_locations is not None else parent
        self._imports(tree.body, inside or None)

    def settle(self) -> None:
        """Visit the values held by modules that are in the key whole: of every name that a function of theirs reads, or that is
        mentioned elsewhere. (`LIMIT = int(os.environ["LIMIT"])`: the text does not tell.) A value may lead to further modules."""
        done = self.settled
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
                inside = name in ast_names.read_inside(self.whole[module])
                self.value(
                    f"{module}:{name}",
                    vars(sys.modules[module]).get(name),
                    value_digests.is_live if inside and self.refusing else _nothing,
                )

    def _readable(self, module: str, tree: ast.Module) -> set[str]:
        all_of_it = "*" in self.mentioned or self.reaching or module in self.effects.modules
        return (set(vars(sys.modules[module])) if all_of_it else set()) | ast_names.read_inside(tree) | self.mentioned


def shown_name(scope: dict[str, Any]) -> str:
    """A module's name in parts. A pipeline file is loaded under another name, or is __main__: its file's stem is the same."""
    name = str(scope.get("__name__", "?"))
    file = scope.get("__file__")
    return Path(file).stem if file and (name == "__main__" or name.startswith("_pellucid_file_")) else name


def _is_declaration(held: Any) -> bool:
    return type(held).__module__.startswith("pellucid.pipeline")
