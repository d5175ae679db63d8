"""The pipeline that test_stale.py edits in every way it can think of: each step depends on its values by another road."""

import dataclasses
import enum
import functools
import os

import decorators
import environment
import far
import pellucid as pl
import registry
import starred
from package import rate
from shapes import Square

rows = pl.source("rows.csv", label="open", unit=None)
more = pl.source("more.csv", label="open", delimiter=",")

LIMIT = 3
FROM_ENVIRONMENT = int(os.environ.get("PELLUCID_TEST_LIMIT", "1"))
CONFIG = {"a": 1}
CONFIG["x"] = 2
CONFIG.update(y=3)
ALIAS = CONFIG
ALIAS["z"] = 4
LIST = [1]
LIST.append(2)
SEMICOLON = 7
shifted = lambda x: x + SEMICOLON  # noqa: E702, E731 - two statements on a line are part of what is tested

if LIMIT > 2:
    from large import SIZE
else:
    from small import SIZE


class Mode(enum.Enum):
    FAST = 1
    SLOW = 2


@dataclasses.dataclass
class Options:
    depth: int = 4

    def doubled(self):
        return self.depth * 2


class Base:
    offset = 10

    def place(self):
        return self.offset + 1


class Counter(Base):
    def __init__(self, start):
        self.start = start

    def __call__(self) -> pl.Metrics:
        return {"value": self.start + self.place()}


def plus_one(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return {"value": function(*args, **kwargs)["value"] + 1}

    return wrapper


def adding(amount):
    def inner() -> pl.Metrics:
        return {"value": amount}

    return inner


def scaled(factor):
    def inner(x):
        return x * factor

    return inner


double = scaled(2)
scale = scaled(int(os.environ.get("PELLUCID_TEST_SCALE", "3")))


def moded(mode):
    def inner() -> pl.Metrics:
        return {"value": mode.value}

    return inner


@pl.step
def constant() -> pl.Metrics:
    return {"value": LIMIT}


@pl.step
def from_environment() -> pl.Metrics:
    return {"value": FROM_ENVIRONMENT}


@pl.step
def helper_environment() -> pl.Metrics:
    return {"value": environment.TABLE["limit"] + environment.read()}


@pl.step
def mutated() -> pl.Metrics:
    return {"value": float(CONFIG["x"] * 100 + CONFIG["y"] * 10 + CONFIG["z"])}


@pl.step
def appended() -> pl.Metrics:
    return {"value": sum(LIST)}


@pl.step
def defaults(a: int = 5, *, b: int = 6) -> pl.Metrics:
    return {"value": a * 10 + b}


@pl.step
def through_helpers() -> pl.Metrics:
    return {"value": far.one()}


@pl.step
def through_package() -> pl.Metrics:
    return {"value": rate()}


@pl.step
@plus_one
def decorated() -> pl.Metrics:
    return {"value": 1}


@pl.step
@decorators.doubled
def decorated_elsewhere() -> pl.Metrics:
    return {"value": 1}


@pl.step
def of_enum() -> pl.Metrics:
    return {"value": Mode.FAST.value}


@pl.step
def of_options(options: Options = Options()) -> pl.Metrics:  # noqa: B008, RUF009
    return {"value": options.depth}


def method_of_setting(options) -> pl.Metrics:
    return {"value": options.doubled()}


def powered(exponent: int) -> pl.Metrics:
    return {"value": 2**exponent}


def nested() -> pl.Metrics:
    def inner():
        return (lambda x: x + 8)(1)

    return {"value": inner()}


@pl.step
def on_one_line() -> pl.Metrics:
    return {"value": shifted(1)}


@pl.step
def two_closures() -> pl.Metrics:
    return {"value": double(1) * 100 + scale(1)}


@pl.step
def imports_inside() -> pl.Metrics:
    import late

    return {"value": late.VALUE}


@pl.step
def imports_by_name() -> pl.Metrics:
    from importlib import import_module

    return {"value": import_module("named").VALUE}


@pl.step
def conditional() -> pl.Metrics:
    return {"value": SIZE}


@pl.step
def star() -> pl.Metrics:
    return {"value": starred.value()}


@pl.step
def registered() -> pl.Metrics:
    return {"value": registry.call_all()}


@pl.step
def area() -> pl.Metrics:
    return {"value": Square(3).area()}


@pl.step
def seeded(seed: int) -> pl.Metrics:
    return {"value": float(seed % 1000)}


@pl.step
def total(rows: pl.Table, column: str = "n") -> pl.Metrics:
    return {"value": float(rows.polars().collect()[column].sum())}


@pl.step
def ratio(rows: pl.Table, more: pl.Table) -> pl.Metrics:
    return {"value": float(rows.polars().collect()["n"].sum() / more.polars().collect()["n"].sum())}


@pl.step(over={"power": [1, 2]})
def over_list(power: int) -> pl.Metrics:
    return {"value": 3**power}


@pl.step(over="rows", by="g")
def by_group(rows: pl.Table) -> pl.Metrics:
    return {"value": len(rows.polars().collect())}


counter = pl.step(Counter(1), name="counter")
closed = pl.step(adding(9), name="closed")
of_mode = pl.step(moded(Mode.SLOW), name="of_mode")
partial = pl.step(functools.partial(powered, exponent=3), name="partial")
configured = pl.step(powered, name="configured", settings={"exponent": 4})
nested_step = pl.step(nested, name="nested")
method = pl.step(method_of_setting, name="method", settings={"options": Options(1)})

pipeline = pl.Pipeline(
    "edited",
    [
        rows, more, constant, from_environment, helper_environment, mutated, appended, defaults, through_helpers, through_package,
        decorated, decorated_elsewhere, of_enum, of_options, on_one_line, two_closures, imports_inside, imports_by_name,
        conditional, star, registered, area, seeded, total, ratio, over_list, by_group, counter, closed, of_mode, partial,
        configured, nested_step, method,
    ],
)  # fmt: skip
