"""What the runner costs: trivial steps in process and confined, many steps, a run with nothing to do, `pellucid --help`.

    python benchmarks/steps.py [--kedro PYTHON] [--dagster PYTHON]

A peer is measured in the same run when the Python of an environment that has it is named. Times are the median of several runs;
`baseline` is the time to write and flush the four results by hand, the least any durable runner must do.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pellucid as pl

PEERS = {
    "kedro": """
import time, logging
logging.disable(logging.CRITICAL)
from kedro.io import DataCatalog
from kedro.pipeline import node, pipeline
from kedro.runner import SequentialRunner
def one(): return {"x": 1.0}
def add(x): return {"x": x["x"] + 1}
steps = pipeline([node(one, None, "a"), node(add, "a", "b"), node(add, "b", "c"), node(add, "c", "d")])
times = []
for _ in range(7):
    started = time.perf_counter(); SequentialRunner().run(steps, DataCatalog()); times.append(time.perf_counter() - started)
print(sorted(times)[3])
""",
    "dagster": """
import time, tempfile, logging
logging.disable(logging.CRITICAL)
from dagster import DagsterInstance, job, op
@op
def one(): return 1.0
@op
def add(x): return x + 1
@job
def steps(): add.alias("d")(add.alias("c")(add.alias("b")(one())))
with tempfile.TemporaryDirectory() as home, DagsterInstance.local_temp(home) as instance:
    times = []
    for _ in range(5):
        started = time.perf_counter(); steps.execute_in_process(instance=instance); times.append(time.perf_counter() - started)
print(sorted(times)[2])
""",
}
CONFINED = """
import pellucid as pl
@pl.step
def one() -> pl.Metrics:
    return {"x": 1.0}
@pl.step(over={"n": list(range(%d))})
def many(one: pl.Metrics, n: int) -> pl.Metrics:
    return {"x": one["x"] + n}
pipeline = pl.Pipeline("confined", [one, many])
"""


def one() -> pl.Metrics:
    """A trivial step."""
    return {"x": 1.0}  # type: ignore[return-value]


def add(before: pl.Metrics, by: float = 1.0) -> pl.Metrics:
    """A trivial step that takes another's result."""
    return {"x": before["x"] + by}  # type: ignore[return-value]


def chain(count: int, by: float = 1.0) -> pl.Pipeline:
    """`count` trivial steps, each after the one before."""
    steps = [pl.step(one, name="s0")]
    steps += [pl.step(add, name=f"s{at}", inputs={"before": f"s{at - 1}"}, settings={"by": by}) for at in range(1, count)]
    return pl.Pipeline("chain", steps)


def seconds(do: Callable[[], object]) -> float:
    """Wall time of one call."""
    started = time.perf_counter()
    do()
    return time.perf_counter() - started


def by_hand(folder: Path) -> None:
    """Four results written and flushed, nothing else."""
    for at in range(4):
        with open(folder / f"{at}.json", "w") as file:
            json.dump({"x": at}, file)
            file.flush()
            os.fsync(file.fileno())


def four_steps(folder: Path) -> tuple[float, float, float]:
    """Median seconds of a first run, of a run with nothing to do, and of the baseline."""
    chain(4).run(home=folder / "warm")
    firsts, nothings, hands = [], [], []
    for turn in range(15):
        pipeline = chain(4, by=float(turn))
        given = {"home": folder / "four", "settings": {"s1.by": float(turn)}}
        firsts.append(seconds(lambda: pipeline.run(**given, again=["s0"])))  # noqa: B023
        nothings.append(seconds(lambda: pipeline.run(**given)))  # noqa: B023
        hands.append(seconds(lambda: by_hand(folder)))
    return statistics.median(firsts), statistics.median(nothings), statistics.median(hands)


def confined_step(folder: Path, count: int = 200) -> float:
    """Seconds a confined step once the zygote is warm: the extra time of `count` more steps, one at a time."""
    from pellucid.pipeline.running.execution import run
    from pellucid.pipeline.running.pipeline_file import load

    times = []
    for steps in (5, 5 + count):
        file = folder / f"confined_{steps}.py"
        file.write_text(CONFINED % steps)
        times.append(seconds(lambda: run(load(file), home=folder / f"c{steps}", confined=True, jobs=1)))  # noqa: B023
    return (times[1] - times[0]) / count


def many_steps(folder: Path, count: int) -> tuple[float, float, float]:
    """Seconds to build a pipeline of `count` steps, to run it, and to run it again with nothing to do."""
    started = time.perf_counter()
    pipeline = chain(count)
    built = time.perf_counter() - started
    first = seconds(lambda: pipeline.run(home=folder / f"many{count}"))
    nothing = statistics.median(seconds(lambda: pipeline.run(home=folder / f"many{count}")) for _ in range(3))
    return built, first, nothing


def many_closures(folder: Path, count: int = 1000) -> float:
    """Seconds to find the keys' code parts of `count` steps of one file, each with a function, a helper and a constant of its own."""
    from pellucid.pipeline.keys import environment
    from pellucid.pipeline.record import Record
    from pellucid.pipeline.running import Plan, load

    text = ["import math\nimport pellucid as pl\n"]
    for at in range(count):
        before, given = (f"s{at - 1}: pl.Metrics", f's{at - 1}["x"]') if at else ("", "1.0")
        text.append(f"C{at} = {at}\ndef h{at}(x):\n    return math.sqrt(x) + C{at}\n")
        text.append(f"@pl.step\ndef s{at}({before}) -> pl.Metrics:\n    return {{'x': h{at}({given})}}\n")
    text.append(f"pipeline = pl.Pipeline('many', [{', '.join(f's{at}' for at in range(count))}])\n")
    (folder / "closures.py").write_text("".join(text))
    pipeline, record = load(folder / "closures.py"), Record(folder / "closures")
    plan = Plan(pipeline, record, environment.find_lock(folder), seed=0, hash_seed="0")
    took = seconds(lambda: [plan.closure(bound) for bound in pipeline.steps.values()])
    record.close()
    return took


def help_time() -> tuple[float, float]:
    """Median seconds of `pellucid --help`, and of Python doing nothing."""
    times = []
    for command in (["-m", "pellucid", "--help"], ["-c", "pass"]):
        call = functools.partial(subprocess.run, [sys.executable, *command], capture_output=True, check=True)
        times.append(statistics.median(seconds(call) for _ in range(9)))
    return times[0], times[1]


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser()
    for peer in PEERS:
        parser.add_argument(f"--{peer}", help=f"the Python of an environment with {peer}")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        first, nothing, hand = four_steps(folder)
        print(f"four trivial steps, durable record, first     {first * 1000:8.1f} ms   {first / hand:6.1f} x four files by hand")
        print(f"four trivial steps, nothing to do             {nothing * 1000:8.1f} ms   {nothing / hand:6.1f} x")
        for peer, program in PEERS.items():
            python = getattr(arguments, peer)
            if python:
                out = subprocess.run([python, "-c", program], capture_output=True, text=True, check=True)
                took = float(out.stdout.split()[-1])
                print(f"four trivial steps, {peer:<25} {took * 1000:8.1f} ms   {took / first:6.1f} x ours")
        print(f"one confined step, zygote warm                {confined_step(folder) * 1000:8.1f} ms")
        print(f"closures of 1,000 steps of one file           {many_closures(folder):8.2f} s")
        built, small, _ = many_steps(folder, 1000)
        print(f"1,000 steps, first                            {small:8.2f} s    {small:6.3f} ms a step (built in {built:.2f} s)")
        built, large, none = many_steps(folder, 10_000)
        print(
            f"10,000 steps, first                           {large:8.2f} s    {large / 10:6.3f} ms a step (built in {built:.1f})"
        )
        print(f"10,000 steps, time a step against 1,000       {large / 10 / small:8.2f} x")
        print(f"10,000 steps, nothing to do                   {none:8.2f} s")
    shown, python = help_time()
    print(f"pellucid --help                               {shown * 1000:8.1f} ms   {shown / python:6.1f} x python -c pass")


if __name__ == "__main__":
    main()
