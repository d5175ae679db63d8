"""Values keep their meaning in keys, what has no content is refused with its line, and what no lock names counts by its files."""

from __future__ import annotations

import ast
import collections
import datetime
import decimal
import enum
import fractions
import pathlib
import types
import uuid
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from workshop import *  # noqa: F403
from workshop import actions

from pellucid.errors import UsageError
from pellucid.pipeline.declaration.settings import plain
from pellucid.pipeline.keys import closure_of, effects_of, environment, value_digest
from pellucid.pipeline.running.pipeline_file import load


class Colour(enum.Enum):
    RED = 1
    GREEN = 2


class Other(enum.Enum):
    RED = 1


class Weights(dict):  # type: ignore[type-arg]
    pass


DIFFERENT = {
    "of one number": [1, 1.0, True, "1", b"1", decimal.Decimal(1), fractions.Fraction(1), np.int64(1), np.float64(1), complex(1), Colour.RED, Other.RED],
    "of nothing": [None, "", b"", (), [], {}, set(), frozenset(), 0, 0.0, -0.0, False, float("nan")],
    "of two items": [(1, 2), [1, 2], {1, 2}, frozenset({1, 2}), range(1, 3), collections.deque([1, 2]), collections.deque([1, 2], 5), (2, 1), [1, 2.0]],
    "of a mapping": [{"a": 1, "b": 2}, {"b": 2, "a": 1}, collections.OrderedDict(a=1, b=2), Weights(a=1, b=2), collections.Counter(a=1, b=2),
                     collections.defaultdict(int, a=1, b=2), collections.defaultdict(list, a=1, b=2), types.SimpleNamespace(a=1, b=2)],
    "of a date": [datetime.date(2024, 1, 2), datetime.datetime(2024, 1, 2), datetime.datetime(2024, 1, 2, tzinfo=datetime.UTC), "2024-01-02"],
    "of a path": [pathlib.Path("a"), "a", pathlib.PurePosixPath("a/b"), uuid.UUID(int=1)],
    "of an array": [np.zeros(4), np.zeros(4, "f4"), np.zeros((2, 2)), np.zeros((2, 2), order="F"), np.zeros(4, "i8"), np.zeros(2, [("a", "i4"), ("b", "i4")]),
                    np.zeros(2, [("a", "i4"), ("c", "i4")]), np.zeros(2, [("a", "i4"), ("b", "f4")]), [0.0, 0.0, 0.0, 0.0]],
    "of a large integer": [10**5000, 10**5000 + 1],
    "of a nested one": [{"a": [(1,)]}, {"a": [[1]]}, {"a": ((1,),)}],
}  # fmt: skip


@pytest.mark.parametrize("kind", DIFFERENT)
def test_values_that_differ_have_keys_that_differ(kind: str) -> None:
    for one, other in combinations(DIFFERENT[kind], 2):
        assert value_digest(one) != value_digest(other), (one, other)
        assert value_digest(one) == value_digest(one)


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(max_size=5) | st.decimals(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.tuples(inner, inner) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


def meaning(value: Any) -> Any:
    """A value with its types and orders, comparable."""
    if isinstance(value, dict):
        return "dict", [(meaning(k), meaning(v)) for k, v in value.items()]
    if isinstance(value, list | tuple):
        return type(value).__name__, [meaning(item) for item in value]
    return type(value).__name__, repr(value)


@given(one=ANY, other=ANY)
def test_digests_are_equal_where_values_are(one: Any, other: Any) -> None:
    assert (value_digest(one) == value_digest(other)) == (meaning(one) == meaning(other))
    assert plain(one, "here") == plain(one, "here") or "nan" in repr(one)


SETTINGS = """
import datetime, decimal, enum, pathlib
class Colour(enum.Enum):
    RED = 1
    GREEN = 2
@pl.step
def shown(colour: Colour = Colour.RED, day: datetime.date = datetime.date(2024, 1, 2), at: pathlib.Path = pathlib.Path("a/b"),
          price: decimal.Decimal = decimal.Decimal("1.50"), names: dict = {"b": "B", "a": "A"}, pair: tuple = (1, 2)) -> pl.Metrics:
    return {"colour": colour.value, "day": day.day, "parts": len(at.parts), "price": float(price * 100), "first": float(list(names)[0] == "b"),
            "tuple": float(isinstance(pair, tuple))}
pipeline = pl.Pipeline("p", [shown])
"""


@pytest.mark.slow
def test_settings_may_be_members_of_enums_dates_paths_and_decimals(project) -> None:
    project.write(pipeline=SETTINGS)
    first = project.run()
    assert first.code == 0, first.err
    given = [
        "shown.colour=GREEN",
        "shown.day=2024-01-09",
        "shown.at=a/b/c",
        "shown.price=2.5",
        'shown.names={"a": "A", "b": "B"}',
    ]
    for setting in given:
        done = project.run("--set", setting)
        assert done.code == 0, done.err
        assert actions(done.json) == {"shown": "ran"}, setting
    assert actions(project.run().json) == {"shown": "reused"}
    wrong = project.run("--set", "shown.colour=BLUE")
    assert wrong.code != 0
    assert "Traceback" not in wrong.err
    assert '"BLUE" is no value of type Colour. There are: ' in wrong.err, wrong.err


OPAQUE = {
    "an open file": ("HELD = open(__file__)", "HELD.name", "TextIOWrapper"),
    "a connection": ("import sqlite3\nHELD = sqlite3.connect(':memory:')", "HELD.total_changes", "Connection"),
    "a weak reference": ("import weakref\nclass A:\n    pass\nKEPT = A()\nHELD = weakref.ref(KEPT)", "HELD()", "ReferenceType"),
    "a lock": ("import threading\nHELD = threading.Lock()", "HELD.locked()", "lock"),
    "a generator": ("HELD = (n for n in range(3))", "next(HELD)", "generator"),
    "in a dictionary": ("HELD = {'file': open(__file__)}", "HELD['file']", "TextIOWrapper"),
    "in an object": (
        "class A:\n    def __init__(self):\n        self.file = open(__file__)\nHELD = A()",
        "HELD.file",
        "TextIOWrapper",
    ),
    "in a class": ("class A:\n    file = open(__file__)\nHELD = A()", "HELD.file", "TextIOWrapper"),
    "read by a function": ("FILE = open(__file__)\ndef HELD():\n    return FILE", "HELD()", "TextIOWrapper"),
    "a default": ("def HELD(file=open(__file__)):\n    return file", "HELD()", "TextIOWrapper"),
    "in another module": ("import helper", "helper.get()", "TextIOWrapper"),
    "a connection in another module": ("import helper_of_data", "helper_of_data.get()", "Connection"),
    "in a container of another module": ("import helper_of_files", "helper_of_files.get()", "TextIOWrapper"),
}


@pytest.mark.quick(6)
@pytest.mark.parametrize("held", OPAQUE)
def test_a_global_without_content_is_refused(tmp_path: Path, held: str) -> None:
    top, use, kind = OPAQUE[held]
    (tmp_path / "helper.py").write_text("FILE = open(__file__)\ndef get():\n    return FILE\n")
    (tmp_path / "helper_of_data.py").write_text("import sqlite3\nDB = sqlite3.connect(':memory:')\ndef get():\n    return DB\n")
    (tmp_path / "helper_of_files.py").write_text("FILES = {'a': [open(__file__)]}\ndef get():\n    return FILES\n")
    name = f"opaque_{held.replace(' ', '_')}.py"
    text = f"import pellucid as pl\n{top}\n@pl.step\ndef one() -> pl.Metrics:\n    return {{'v': float(len(str({use})))}}\n"
    text += "@pl.step\ndef other() -> pl.Metrics:\n    return {'v': 1.0}\npipeline = pl.Pipeline('p', [one, other])\n"
    (tmp_path / name).write_text(text)
    pipeline = load(tmp_path / name)
    effects = effects_of(pipeline)
    with pytest.raises(UsageError, match=f"a {kind}, which") as refused:
        closure_of(pipeline.steps["one"].node.fn, 'step "one"', (), effects)
    assert "cannot be part of its key" in str(refused.value)
    assert "Make it inside the step" in str(refused.value)
    closure_of(pipeline.steps["other"].node.fn, 'step "other"', (), effects)  # a step that does not use it is not refused


def test_a_logger_and_a_sentinel_are_no_content(tmp_path: Path) -> None:
    text = "import logging\nimport pellucid as pl\nLOG, NONE = logging.getLogger('x'), object()\n@pl.step\ndef one() -> pl.Metrics:\n"
    text += "    LOG.info('here')\n    return {'v': float(NONE is None)}\npipeline = pl.Pipeline('p', [one])\n"
    (tmp_path / "logging_pipeline.py").write_text(text)
    pipeline = load(tmp_path / "logging_pipeline.py")
    closure_of(pipeline.steps["one"].node.fn, 'step "one"', (), effects_of(pipeline))


def test_a_huge_integer_and_an_import_for_type_checkers_run(project) -> None:
    (project.folder / "pipeline.py").write_text("""from __future__ import annotations
import pellucid as pl
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    import pandas as pd
@pl.step(settings={"modulus": 10**5000})
def one(modulus: int, frame: pd.DataFrame | None = None) -> pl.Metrics:
    return {"v": float(modulus % 7)}
pipeline = pl.Pipeline("p", [one])
""")
    done = project.run()
    assert done.code == 0, done.err
    assert "in no lock" not in done.err


def test_an_annotation_that_is_needed_says_how_to_import_it(project) -> None:
    (project.folder / "pipeline.py").write_text("""from __future__ import annotations
import pellucid as pl
@pl.step
def one() -> nowhere.Table:
    return {"v": 1}
pipeline = pl.Pipeline("p", [one])
""")
    done = project.run()
    assert done.code == 2
    assert "the annotation of what it returns cannot be read" in done.err
    assert "outside of `if TYPE_CHECKING:`" in done.err


def test_multiprocessing_says_what_a_step_has_not(project) -> None:
    project.write(
        pipeline="""
import multiprocessing
def square(x):
    return x * x
@pl.step
def pool() -> pl.Metrics:
    with multiprocessing.Pool(2) as workers:
        return {"v": sum(workers.map(square, range(4)))}
pipeline = pl.Pipeline("p", [pool])
"""
    )
    done = project.run()
    assert done.code == 1
    assert "use threads" in done.err
    assert "pl.source" not in done.err


@pytest.mark.slow
def test_a_run_says_once_which_library_no_lock_names(project) -> None:
    """Hypothesis is installed here, and the lock that Pellucid is shipped with does not name it."""
    project.write(
        pipeline="""
import hypothesis
@pl.step
def one() -> pl.Metrics:
    return {"v": float(len(hypothesis.__version__) > 0)}
@pl.step
def other(one: pl.Metrics) -> pl.Metrics:
    return {"v": one["v"] + 1}
pipeline = pl.Pipeline("p", [one, other])
"""
    )
    for _ in range(2):
        done = project.pellucid("run", "pipeline.py")
        assert done.code == 0, done.err
        said = [line for line in done.err.splitlines() if "is in no lock" in line]
        assert len(said) == 1, done.err
        assert "hypothesis" in said[0]
        assert "a requirements.lock beside the pipeline file" in said[0]
    assert "0 ran, 2 reused" in done.out


def test_a_module_that_nobody_installed_counts_by_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = tmp_path / "site-packages"
    (site / "loose").mkdir(parents=True)
    (site / "loose/__init__.py").write_text("X = 1\n")
    lock = tmp_path / "requirements.lock"
    lock.write_text("other==1.0\n")
    monkeypatch.syspath_prepend(str(site))
    before = environment.unlocked(lock, {"loose", "nowhere"})
    assert set(before) == {"loose"}
    (site / "loose/__init__.py").write_text("X = 2\n")
    assert environment.unlocked(lock, {"loose"}) != before


def test_a_library_that_no_lock_names_counts_by_its_version_and_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = tmp_path / "site-packages"
    (site / "toolbox").mkdir(parents=True)
    (site / "toolbox/__init__.py").write_text("")
    lock = tmp_path / "requirements.lock"
    lock.write_text("other==1.0\n")
    monkeypatch.syspath_prepend(str(site))

    def found(version: str, record: str) -> Any:
        for old in site.glob("*.dist-info"):
            (old / "RECORD").unlink()
            old.rmdir()
        info = site / f"Tool_Box-{version}.dist-info"
        info.mkdir()
        (info / "RECORD").write_text(f"toolbox/__init__.py,sha256={record},0\n{info.name}/INSTALLER,sha256=x,4\n")
        return environment.unlocked(lock, {"toolbox", "json", "nowhere"})

    one = found("1.0", "aaa")
    assert {name: version for name, (version, _) in one.items()} == {"tool-box": "1.0"}
    assert found("1.1", "aaa") != one
    assert found("1.0", "bbb") != one
    assert found("1.0", "aaa") == one
    lock.write_text("tool-box==1.0 --hash=sha256:0\n")
    assert found("1.0", "aaa") == {}
    assert set(found("1.1", "aaa")) == {"tool-box"}, "installed in another version than the lock says"
    for name, text in (
        ("pylock.toml", '[[packages]]\nname = "Tool.Box"\nversion = "1.0"\n'),
        ("uv.lock", '[[package]]\nname = "tool-box"\nversion = "1.0"\n'),
    ):
        lock = tmp_path / name
        lock.write_text(text)
        assert found("1.0", "aaa") == {}, name
        assert set(found("1.1", "aaa")) == {"tool-box"}, name


MUTUAL = """
import decimal
import pellucid as pl

def first(n):
    second(n)
    decimal.ExtendedContext.prec = PREC

def second(n):
    if n:
        first(n - 1)

A = second(1)
PREC = 5
"""


def test_functions_that_call_each_other_are_judged_by_both(tmp_path: Path) -> None:
    """`second` is without effect only if `first` is, which asks about `second` while it is asked."""
    text = MUTUAL.replace("A = second(1)\nPREC = 5", "PREC = 5\nA = first(1)\nB = second(1)")
    text += "@pl.step\ndef one() -> pl.Metrics:\n    return {'v': 1.0}\npipeline = pl.Pipeline('p', [one])\n"
    (tmp_path / "mutual_pipeline.py").write_text(text)
    effects = effects_of(load(tmp_path / "mutual_pipeline.py"))
    shown = [text.splitlines()[effects_line - 1] for effects_line in _lines(text, effects.places)]
    assert shown == ["A = first(1)", "B = second(1)"]


def _lines(text: str, places: Any) -> list[int]:
    body = ast.parse(text).body
    return [body[at].lineno for at in sorted(places)]
