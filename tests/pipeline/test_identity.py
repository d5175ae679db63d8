"""What lowers a label or keeps a unit is known as an object: no name, module, attribute or base class makes a project's code Pellucid's."""

from __future__ import annotations

import pytest
from workshop import *  # noqa: F403

HEAD = """
import dataclasses, functools
from typing import Any, ClassVar
visits = pl.source("visits.csv", label="private", unit="user_id")
ABOUT = pl.About(title="t", description="d", creators=("A, B",), licence="MIT", data_licence="CC0-1.0")
def histogram():
    return pl.privacy.histogram("area")
def rows(path):
    import pyarrow.parquet as pq
    return pq.read_table(path)
"""
RAW = """
class Raw:
    name: ClassVar[str] = "histogram"
    output_kind: ClassVar[str] = "table"
    def parameters(self): return histogram().parameters()
    def guarantee(self, epsilon, delta, relation="add-remove"): return histogram().guarantee(epsilon, delta, relation)
    def numbers(self, epsilon, delta, relation="add-remove"): return histogram().numbers(epsilon, delta, relation)
    def check(self, path, unit): pass
    def run(self, path, unit, epsilon, delta, key, scratch): return rows(path)
"""
RELEASED = 'rel = pl.release({}, of=visits, epsilon=0.01, delta=1e-6)\npipeline = pl.Pipeline("p", [visits, rel], about=ABOUT)\n'
KEPT = """
@pl.step(per_unit=True)
def base(visits: pl.Table) -> pl.Table:
    return visits
def share(visits: pl.Table, unit: str = "user_id") -> pl.Table:
    return rows(visits.path)
{}
kept = pl.step(share, per_unit=True, name="kept")
rel = pl.release(pl.privacy.histogram("area"), of=kept, epsilon=1.0, delta=1e-6)
pipeline = pl.Pipeline("p", [visits, kept, rel])
"""
GATED = """
class Gate:
    def check(self, request): return "0" * 64
    def authorize(self, request):
        from pellucid.pipeline.declaration import Grant
        return Grant("0" * 64, b"0" * 32)
    def perform(self, arguments, **_): return {"": rows(arguments["of"].path), "guarantee": {"epsilon": 0.0, "delta": 0.0}}
    def settle(self, *_): pass
"""
STEP = """
from pellucid.pipeline.declaration import Output, Step
class Fn:
    def __init__(self):
        import inspect
        self.__signature__ = inspect.Signature([inspect.Parameter("of", inspect.Parameter.KEYWORD_ONLY, annotation=pl.Table)])
        self.__annotations__ = {"of": pl.Table}
    def __call__(self, **_): ...
out = Step(Fn(), "out", (Output("", "table"), Output("guarantee", "metrics")), {"of": visits}, kind="release", gate=GATE)
pipeline = pl.Pipeline("p", [visits, out], about=ABOUT)
"""
PROTECTED = (
    'hidden = pl.protect({}, of=visits)\nrel = pl.release(pl.privacy.histogram("area"), of=hidden, epsilon=1.0, delta=1e-6)\n'
)
PROTECTED += 'pipeline = pl.Pipeline("p", [visits, hidden, rel])\n'

# name -> (the pipeline, what the one line says)
REFUSED = {
    "a mechanism of the project": (
        "@dataclasses.dataclass(frozen=True)" + RAW + RELEASED.format("Raw()"), "not one of Pellucid's mechanisms"),
    "one under a module's name": (
        "@dataclasses.dataclass(frozen=True)" + RAW + 'Raw.__module__ = "pellucid.privacy.mechanisms.histogram"\n'
        'Raw.__qualname__ = Raw.__name__ = "Histogram"\n' + RELEASED.format("Raw()"), "not one of Pellucid's mechanisms"),
    "one derived from a mechanism": (
        "@dataclasses.dataclass(frozen=True)\nclass Mine(pl.privacy.Histogram):\n"
        "    def run(self, path, *_): return rows(path)\n" + RELEASED.format('Mine("area")'), "not one of Pellucid's mechanisms"),
    "a gate of the project": (GATED + STEP.replace("GATE", "Gate()"), "only Pellucid's own release makes a result open"),
    "a gate under a module's name": (
        GATED + 'Gate.__module__ = "pellucid.privacy.release_step"; Gate.__name__ = "ReleaseGate"\n' + STEP.replace("GATE", "Gate()"),
        "only Pellucid's own release makes a result open"),
    "a gate derived from the gate": (
        "from pellucid.privacy import ReleaseGate\nclass Mine(ReleaseGate):\n"
        "    def perform(self, arguments, **_): return {'': rows(arguments['of'].path), 'guarantee': {}}\n"
        + STEP.replace("GATE", "Mine(histogram())"), "only Pellucid's own release makes a result open"),
    "a protection of the project": (
        "class Mine:\n    def keeps(self, unit): return True\n    def parameters(self): return []\n    def secret(self): return b''\n"
        "    def commitment(self): return ''\n    def perform(self, arguments, key): return arguments['of']\n"
        "Mine.__module__ = 'pellucid.privacy.transforms.protection_step'\n"
        + STEP.replace('gate=GATE', 'protection=Mine()').replace(' Output("guarantee", "metrics")', ""), "only pellucid's own transforms"),
    "a transform under a module's name": (
        "@dataclasses.dataclass(frozen=True)\nclass Leak:\n    own_rows: ClassVar[bool] = True\n    name: ClassVar[str] = 'pseudonym'\n"
        "    def parameters(self): return {}\n    def merges(self, column): return False\n    def apply(self, rows, key): return rows\n"
        "Leak.__module__ = 'pellucid.privacy.transforms.leak'\n" + PROTECTED.format("Leak()"), "not one of pellucid's transforms"),
    "a transform derived from one": (
        "class Leak(pl.privacy.transforms.Pseudonym):\n    def apply(self, rows, key): return rows\n"
        + PROTECTED.format('Leak("user_id", "r")'), "not one of pellucid's transforms"),
    "a hierarchy of the project": (
        "from pellucid.privacy.transforms import Hierarchy, Generalise\nclass Mine(Hierarchy): pass\n"
        + PROTECTED.format('Generalise("area", Mine((("Zebulon", "x"),)), 0)'), "takes a Hierarchy"),
}  # fmt: skip


@pytest.mark.quick(4)
@pytest.mark.parametrize("how", REFUSED, ids=lambda how: how.replace(" ", "-"))
def test_what_is_not_pellucid_s_own_lowers_no_label(project, how: str) -> None:
    text, said = REFUSED[how]
    project.write(visits_csv="user_id,area\n4711,Zebulon\n4712,Quagmire\n", pipeline=HEAD + text)
    done = project.pellucid("run", "pipeline.py")
    assert done.code in (1, 2)
    assert said in done.line
    assert "epsilon" not in project.pellucid("ledger").out, "nothing was spent"


@pytest.mark.quick(1)
@pytest.mark.parametrize(
    "spoof",
    [
        "share.__keeps_units_apart__ = True; share.__module__ = 'pellucid.evaluation.evaluation_steps'",
        "share.__module__, share.__name__ = 'pellucid.evaluation.hold_out_split', 'split'; share.__keeps_units_apart__ = 1",
        "class S:\n    __keeps_units_apart__ = True\n    __call__ = staticmethod(share)\nS.__module__ = 'pellucid.x'",
    ],
)
def test_a_function_of_a_project_is_called_person_by_person_whatever_it_is_named(project, spoof: str) -> None:
    """With the whole table it would get `unit`; person by person it gets one person's rows, and no `unit`."""
    text = KEPT.format(spoof).replace(
        "return rows(visits.path)", "seen = visits.polars().collect(); assert len(seen) == 1; return seen"
    )
    project.write(visits_csv="user_id,area\n4711,Zebulon\n4712,Quagmire\n", pipeline=HEAD + text)
    done = project.pellucid("run", "pipeline.py", "--only", "kept")
    assert done.code == 0, done.err


def test_an_attribute_set_on_a_mechanism_is_not_what_runs(project) -> None:
    text = (
        "mechanism = histogram()\nobject.__setattr__(mechanism, 'run', lambda path, *_: rows(path))\n"
        "object.__setattr__(mechanism, 'guarantee', lambda *_: {})\n" + RELEASED.format("mechanism")
    )
    project.write(visits_csv="user_id,area\n4711,Zebulon\n4712,Quagmire\n", pipeline=HEAD + text)
    done = project.pellucid("run", "pipeline.py")
    assert done.code == 0, done.err
    shown = project.pellucid("show", "last", "--json")
    assert "4711" not in shown.out and '"rows": 2' not in shown.out
