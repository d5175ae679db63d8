"""Small projects for the search for stale results: each feature is a step that depends on numbers by a road of its own.

A feature's text holds slots like `<7>`: numbers that an edit may change. `build` writes a project; what an edit does is to give one
slot another value, or to do one of the edits that are not of a number.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

SLOT = re.compile(r"<(\d+)>")


@dataclass(frozen=True)
class Feature:
    """`module` is the text of a module that has `value()`; `more` are other files; `here` stands in the pipeline file before its step.

    `effect`: the module is imported for what it does, and `value()` stands in `here`. N is replaced by the feature's number.
    """

    module: str
    more: dict[str, str] = field(default_factory=dict)
    here: str = ""
    effect: bool = False


CALLED = {
    "constant": Feature("A = <1>\n\n\ndef value():\n    return A\n"),
    "body": Feature("def value():\n    return <1> + 10 * <2>\n"),
    "chain": Feature("import deepN\n\n\ndef value():\n    return deepN.give() + <1>\n", {"deepN.py": "X = <1>\n\n\ndef give():\n    return X * <2>\n"}),
    "relative": Feature("from packN import give\n\n\ndef value():\n    return give()\n", {"packN/__init__.py": "from .inner import give\n", "packN/inner.py": "from . import base\n\n\ndef give():\n    return base.B\n", "packN/base.py": "B = <1>\n"}),
    "class": Feature("class Thing:\n    rate = <1>\n\n    def __init__(self, by=<2>):\n        self.by = by\n\n    @property\n    def both(self):\n        return self.rate * 100 + self.by\n\n\nTHING = Thing()\n\n\ndef value():\n    return THING.both\n"),
    "mutated instance": Feature("class Thing:\n    pass\n\n\nTHING = Thing()\nTHING.a = <1>\nsetattr(THING, 'b', <2>)\n\n\ndef value():\n    return THING.a + 10 * THING.b\n"),
    "slots": Feature("class Thing:\n    __slots__ = ('a',)\n\n    def __init__(self):\n        self.a = <1>\n\n\nTHING = Thing()\n\n\ndef value():\n    return THING.a\n"),
    "dataclass": Feature("import dataclasses\n\n\n@dataclasses.dataclass\nclass Options:\n    a: int = <1>\n    b: list = dataclasses.field(default_factory=lambda: [<2>])\n\n\ndef value():\n    one = Options()\n    return one.a + 10 * one.b[0]\n"),
    "enum": Feature("import enum\n\n\nclass Kind(enum.Enum):\n    ONE = <1>\n    TWO = <2> + 100\n\n\ndef value():\n    return sum(kind.value for kind in Kind)\n"),
    "named tuple": Feature("from typing import NamedTuple\n\n\nclass Pair(NamedTuple):\n    a: int = <1>\n\n    def twice(self):\n        return self.a * <2>\n\n\nPAIR = Pair()\n\n\ndef value():\n    return PAIR.twice()\n"),
    "dictionary subclass": Feature("class Weights(dict):\n    def total(self):\n        return sum(self.values()) * <1>\n\n\nWEIGHTS = Weights(a=<2>)\n\n\ndef value():\n    return WEIGHTS.total()\n"),
    "order of a mapping": Feature("NAMES = {'k%d' % <1>: 1, 'k100': 2}\nNAMES = dict(sorted(NAMES.items(), reverse=bool(<2> % 2)))\n\n\ndef value():\n    return list(NAMES.values())[0] * 100 + <1>\n"),
    "tuple or list": Feature("KIND = (tuple, list)[<1> % 2]\nVALUES = KIND([1, 2])\n\n\ndef value():\n    return 1 if isinstance(VALUES, tuple) else 2\n"),
    "float or integer": Feature("RATE = (1, 1.0, True)[<1> % 3]\n\n\ndef value():\n    return len(repr(RATE))\n"),
    "bytes or text": Feature("TEXT = ('ab', b'ab')[<1> % 2]\n\n\ndef value():\n    return 1 if isinstance(TEXT, str) else 2\n"),
    "names of fields": Feature("import numpy\n\nROWS = numpy.zeros(2, dtype=[('f%d' % <1>, 'i4')])\n\n\ndef value():\n    return int(ROWS.dtype.names[0][1:])\n"),
    "default factory": Feature("import collections\n\nCOUNTS = collections.defaultdict((list, int)[<1> % 2])\n\n\ndef value():\n    return 1 if COUNTS.default_factory is int else 2\n"),
    "deque": Feature("import collections\n\nLAST = collections.deque([1, 2, 3], maxlen=<1> + 1)\n\n\ndef value():\n    return LAST.maxlen\n"),
    "closure": Feature("def adding(n):\n    def inner(x):\n        return x + n\n\n    return inner\n\n\nADD = adding(<1>)\n\n\ndef value():\n    return ADD(<2>)\n"),
    "partial": Feature("import functools\n\n\ndef power(base, exponent):\n    return base**exponent\n\n\nPOWER = functools.partial(power, exponent=<1> % 5)\n\n\ndef value():\n    return POWER(3)\n"),
    "cached": Feature("import functools\n\n\n@functools.lru_cache\ndef slow(x):\n    return x + <1>\n\n\ndef value():\n    return slow(1)\n"),
    "default argument": Feature("def value(a=<1>, *, b=<2>):\n    return a * 10 + b\n"),
    "lambda table": Feature("TABLE = {'a': lambda: <1>, 'b': lambda: <2>}\n\n\ndef value():\n    return TABLE['a']() * 10 + TABLE['b']()\n"),
    "decorated": Feature("import functools\n\nfrom decoN import plus\n\n\n@plus(<1>)\ndef value():\n    return 1\n", {"decoN.py": "import functools\n\n\ndef plus(n):\n    def outer(function):\n        @functools.wraps(function)\n        def inner():\n            return function() + n * <1>\n\n        return inner\n\n    return outer\n"}),
    "made-up attribute": Feature("def f_one():\n    return <1>\n\n\ndef f_two():\n    return <2>\n\n\ndef value():\n    import sys\n\n    return getattr(sys.modules[__name__], 'f_' + 'two')()\n"),
    "made-up attribute of a package": Feature("import wrapN\nimport wrapN.part\n\n\ndef value():\n    return getattr(getattr(wrapN, 'pa' + 'rt'), 'VAL' + 'UE')\n", {"wrapN/__init__.py": "", "wrapN/part.py": "VALUE = <1>\n"}),
    "globals": Feature("LIMIT_A = <1>\n\n\ndef value():\n    return globals()['LIMIT_' + 'A']\n"),
    "executed": Feature("exec('MADE = <1>')\n\n\ndef value():\n    return MADE\n"),
    "class made by a call": Feature("Made = type('Made', (), {'rate': <1>})\n\n\ndef value():\n    return Made.rate\n"),
    "module attribute function": Feature("def __getattr__(name):\n    return <1>\n\n\ndef value():\n    import sys\n\n    return sys.modules[__name__].anything\n"),
    "conditional import": Feature("FLAG = <1> % 2\nif FLAG:\n    from oddN import X\nelse:\n    from evenN import X\n\n\ndef value():\n    return X\n", {"oddN.py": "X = <1>\n", "evenN.py": "X = <1> + 50\n"}),
    "guarded import": Feature("try:\n    from nowhereN import X\nexcept ImportError:\n    from elseN import X\n\n\ndef value():\n    return X\n", {"elseN.py": "X = <1>\n"}),
    "late import": Feature("def value():\n    from lateN import X\n\n    return X\n", {"lateN.py": "X = <1>\n"}),
    "star": Feature("from starN import *\n\n\ndef value():\n    return STAR\n", {"starN.py": "from deeperN import *\n", "deeperN.py": "STAR = <1>\n"}),
    "imported by name": Feature("from importlib import import_module\n\nPART = import_module('dyn' + 'N')\n\n\ndef value():\n    return PART.give()\n", {"dynN.py": "def give():\n    return <1>\n"}),
    "data read at load": Feature("import json\nfrom pathlib import Path\n\nCONFIG = json.loads((Path(__file__).parent / 'dataN.json').read_text())\n\n\ndef value():\n    return CONFIG['a']\n", {"dataN.json": '{"a": <1>}'}),
    "data read by a helper": Feature("import readerN\n\nROWS = readerN.read('rowsN.txt')\n\n\ndef value():\n    return sum(ROWS)\n", {"readerN.py": "from pathlib import Path\n\n\ndef read(name):\n    with open(Path(__file__).parent / name) as file:\n        return [int(line) * <1> for line in file]\n", "rowsN.txt": "<1>\n<2>\n"}),
    "registry": Feature("from regN import FUNCTIONS, register\nimport plugN\n\n\n@register\ndef own():\n    return <1>\n\n\ndef value():\n    return sum(f() for f in FUNCTIONS)\n", {"regN.py": "FUNCTIONS = []\n\n\ndef register(f):\n    FUNCTIONS.append(f)\n    return f\n", "plugN.py": "from regN import register\n\n\n@register\ndef plug():\n    return <1> * 100\n"}),
    "set by a function": Feature("STATE = {}\n\n\ndef setup(n):\n    global LEVEL\n    LEVEL = n\n    STATE['a'] = n * <1>\n\n\nsetup(<2>)\n\n\ndef value():\n    return STATE['a'] + LEVEL * 1000\n"),
    "descriptor": Feature("class Doubled:\n    def __init__(self, n):\n        self.n = n\n\n    def __get__(self, owner, kind):\n        return self.n * <1>\n\n\nclass Thing:\n    d = Doubled(<2>)\n\n\ndef value():\n    return Thing().d\n"),
    "metaclass": Feature("class Meta(type):\n    def __new__(meta, name, bases, body):\n        return super().__new__(meta, name, bases, body | {'extra': <1>})\n\n\nclass Thing(metaclass=Meta):\n    pass\n\n\ndef value():\n    return Thing.extra\n"),
    "dispatch": Feature("import functools\n\n\n@functools.singledispatch\ndef show(x):\n    return 0\n\n\n@show.register\ndef _(x: int):\n    return x + <1>\n\n\ndef value():\n    return show(1)\n"),
    "nested container": Feature("TREE = {'a': [({'b': <1>},)]}\n\n\ndef value():\n    return TREE['a'][0][0]['b']\n"),
    "generator function": Feature("def numbers():\n    yield <1>\n    yield from [<2>]\n\n\ndef value():\n    return sum(numbers())\n"),
}  # fmt: skip

EFFECTS = {
    "precision": Feature("import decimal\n\ndecimal.getcontext().prec = <1> + 2\n", here="def value():\n    import decimal\n\n    return float(decimal.Decimal(1) / 3)\n", effect=True),
    "precision by a call": Feature("import decimal\n\n\ndef set_it(n):\n    decimal.getcontext().prec = n\n\n\nset_it(<1> + 2)\n", here="def value():\n    import decimal\n\n    return float(decimal.Decimal(1) / 3)\n", effect=True),
    "precision under a name": Feature("import decimal\n\n_ = decimal.setcontext(decimal.Context(prec=<1> + 2))\n", here="def value():\n    import decimal\n\n    return float(decimal.Decimal(1) / 3)\n", effect=True),
    "precision from a file": Feature("import decimal\nfrom pathlib import Path\n\ndecimal.getcontext().prec = int((Path(__file__).parent / 'precN.txt').read_text()) + 2\n", {"precN.txt": "<1>"}, here="def value():\n    import decimal\n\n    return float(decimal.Decimal(1) / 3)\n", effect=True),
    "precision from another module": Feature("import decimal\n\nimport limitN\n\ncontext = decimal.getcontext()\ncontext.prec = limitN.LIMIT + 2\n", {"limitN.py": "LIMIT = <1>\n"}, here="def value():\n    import decimal\n\n    return float(decimal.Decimal(1) / 3)\n", effect=True),
    "patched library": Feature("import string\n\nstring.extra_N = <1>\n", here="def value():\n    import string\n\n    return string.extra_N\n", effect=True),
    "patched function": Feature("import textwrap\n\n\ndef mine(*args):\n    return <1>\n\n\ntextwrap.indentN = mine\n", here="import textwrap\n\n\ndef value():\n    return textwrap.indentN()\n", effect=True),
    "patched by setattr": Feature("import string\n\nfor name, number in {'moreN': <1>}.items():\n    setattr(string, name, number)\n", here="def value():\n    import string\n\n    return string.moreN\n", effect=True),
    "builtin": Feature("import builtins\n\nbuiltins.special_N = <1>\n", here="def value():\n    return special_N\n", effect=True),
    "environment set": Feature("import os\nimport string\n\nos.environ['SPECIAL_N'] = '<1>'\nstring.fromenvN = os.environ['SPECIAL_N']\n", here="def value():\n    import string\n\n    return int(string.fromenvN)\n", effect=True),
    "recursion limit": Feature("import sys\n\nsys.setrecursionlimit(2000 + <1>)\n", here="def value():\n    import sys\n\n    return sys.getrecursionlimit()\n", effect=True),
    "subclass": Feature("from baseN import Base\n\n\nclass Sub(Base):\n    rate = <1>\n", {"baseN.py": "class Base:\n    rate = <1>\n\n\ndef total():\n    return sum(kind.rate for kind in Base.__subclasses__())\n"}, here="import baseN\n\n\ndef value():\n    return baseN.total()\n", effect=True),
    "subclass hook": Feature("from hookN import Base\n\n\nclass Sub(Base):\n    rate = <1>\n", {"hookN.py": "class Base:\n    kinds = []\n\n    def __init_subclass__(cls):\n        Base.kinds.append(cls)\n"}, here="import hookN\n\n\ndef value():\n    return sum(kind.rate for kind in hookN.Base.kinds)\n", effect=True),
    "subclass of a library's class": Feature("import json\n\n\nclass SubN(json.JSONEncoder):\n    rate = <1>\n", here="import json\n\n\ndef value():\n    return sum(kind.rate for kind in json.JSONEncoder.__subclasses__() if kind.__name__ == 'SubN')\n", effect=True),
    "another module's global": Feature("import targetN\n\ntargetN.A = <1>\ntargetN.TABLE['x'] = <2>\n", {"targetN.py": "A = 0\nTABLE = {}\n"}, here="import targetN\n\n\ndef value():\n    return targetN.A + 10 * targetN.TABLE['x']\n", effect=True),
    "another module's function": Feature("import victimN\n\n\ndef mine():\n    return <1>\n\n\nvictimN.give = mine\n", {"victimN.py": "def give():\n    return 0\n"}, here="import victimN\n\n\ndef value():\n    return victimN.give()\n", effect=True),
    "another module's class": Feature("import victN\n\nvictN.Thing.rate = <1>\n", {"victN.py": "class Thing:\n    rate = 0\n"}, here="from victN import Thing\n\n\ndef value():\n    return Thing().rate\n", effect=True),
    "dispatch registered elsewhere": Feature("import dispN\n\n\n@dispN.show.register\ndef _(x: int):\n    return x + <1>\n", {"dispN.py": "import functools\n\n\n@functools.singledispatch\ndef show(x):\n    return 0\n"}, here="import dispN\n\n\ndef value():\n    return dispN.show(1)\n", effect=True),
    "loaded module table": Feature("import sys\nimport types\n\nmade = types.ModuleType('madeN')\nmade.X = <1>\nsys.modules['madeN'] = made\n", here="def value():\n    import madeN\n\n    return madeN.X\n", effect=True),
    "codec": Feature("import copyreg\n\ncopyreg.extraN = {'a': <1>}\n", here="import copyreg\n\n\ndef value():\n    return copyreg.extraN['a']\n", effect=True),
    "two patches in order": Feature("import oneN\nimport twoN\n", {"oneN.py": "import string\n\nstring.lastN = <1>\n", "twoN.py": "import string\n\nstring.lastN = string.lastN * 10 + <1>\n"}, here="import string\n\n\ndef value():\n    return string.lastN\n", effect=True),
}  # fmt: skip
FEATURES = CALLED | EFFECTS

FORMS = {
    "module": ("import {m}", "{m}.value()"),
    "name": ("from {m} import value as v_{m}", "v_{m}()"),
    "alias": ("import {m} as a_{m}", "a_{m}.value()"),
    "late": ("", "__import__('{m}').value()"),
    "helper": ("import help_{m}", "help_{m}.through()"),
    "package": ("from box_{m} import {m}", "{m}.value()"),
}


def build(chosen: list[tuple[str, str]], numbers: dict[str, int]) -> dict[str, str]:
    """The files of a project with these (feature, form) pairs; `numbers` gives each slot (file:slot) its value, 1 where it has none."""
    files: dict[str, str] = {}
    head, steps = ["import pellucid as pl"], []
    for at, (name, form) in enumerate(chosen):
        feature, module = FEATURES[name], f"m{at}"
        beside = f"box_{module}/" if form == "package" and not feature.effect and "__file__" in feature.module else ""
        more = {beside + path.replace("N", str(at)): text for path, text in feature.more.items()}
        files |= more
        here = feature.here.replace("value", f"value_{module}")
        if feature.effect:
            files[f"{module}.py"] = feature.module
            head.append(f"import {module}")
            call = f"value_{module}()"
        else:
            imported, call = (part.format(m=module) for part in FORMS[form])
            files[("box_" + module + "/" if form == "package" else "") + f"{module}.py"] = feature.module
            if form == "package":
                files[f"box_{module}/__init__.py"] = ""
            if form == "helper":
                files[f"help_{module}.py"] = f"from {module} import value\n\n\ndef through():\n    return value() + <1>\n"
            if imported:
                head.append(imported)
            if form == "late":
                call = f"the_{module}()"
                here = f"def the_{module}():\n    from {module} import value\n\n    return value()\n"
        steps.append(f"{here}\n\n@pl.step\ndef s{at}() -> pl.Metrics:\n    return {{'v': float({call})}}\n")
        for path in [*more, *[p for p in files if p.endswith(f"{module}.py")]]:
            files[path] = _numbered(files[path].replace("{N}", str(at)), at)
        steps[-1] = _numbered(steps[-1], at)
    names = ", ".join(f"s{at}" for at in range(len(chosen)))
    files["p.py"] = "\n".join(head) + "\n\n" + "\n\n".join(steps) + f"\n\npipeline = pl.Pipeline('generated', [{names}])\n"
    return {path: SLOT.sub(lambda m, path=path: str(numbers.get(f"{path}:{m[1]}", 1)), text) for path, text in files.items()}


def _numbered(text: str, at: int) -> str:
    """N, where it stands for the feature's number: after a letter or underscore, or alone in quotes."""
    return re.sub(
        r"(?<=[a-z_])N(?=\b|/|\.)|'N'",
        lambda m: f"'{at}'" if m[0] == "'N'" else str(at),
        text.replace("SPECIAL_N", f"SPECIAL_{at}"),
    )


def slots(chosen: list[tuple[str, str]]) -> list[str]:
    """All slots of a project, as file:slot."""
    marked = build(chosen, {})
    return sorted(f"{path}:{number}" for path in marked for number in _slots_of(chosen, path))


def _slots_of(chosen: list[tuple[str, str]], path: str) -> list[str]:
    with_marks = build(chosen, _Marks())
    return sorted(set(re.findall(r"777000(\d+)777", with_marks[path])))


class _Marks(dict):  # type: ignore[type-arg]
    def get(self, key: str, default: int = 1) -> int:
        return int(f"777000{key.rpartition(':')[2]}777")


def write(folder: Path, files: dict[str, str]) -> None:
    """Write a project's files."""
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
