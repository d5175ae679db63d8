"""The runner: what overlaps, fans out and comes back in, is tried again, is given up, is interrupted, is damaged."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from workshop import PELLUCID, actions, environ

import pellucid as pl
from pellucid.errors import DamagedError, StepError, UsageError
from pellucid.pipeline.record.run_record import Record
from pellucid.pipeline.running.execution import run
from pellucid.pipeline.running.pipeline_file import load
from pellucid.pipeline.running.worker_pool import Workers
from pellucid.store.objects import Objects


def runs_in_workers(project, *, jobs=2, progress=None, **options):
    """A confined run in this process, so that a test can see and do things while it is under way."""
    pipeline = load(project.folder / "pipeline.py")
    return run(pipeline, home=project.home, confined=True, jobs=jobs, check=False, progress=progress, **options)


def recorded(project):
    record = Record(project.home)
    steps = {step.step: step for step in record.steps(record.find()["run"])}
    record.close()
    return steps


# order -------------------------------------------------------------------------------------------------------------------

OVERLAP = """
    import os, time
    @pl.step(timeout=60)
    def first() -> pl.Metrics:
        while not os.path.exists(%r):  # made when `second` has ended: what does not overlap waits for ever
            time.sleep(0.005)
        return {"n": 1}
    @pl.step
    def second() -> pl.Metrics:
        return {"n": 2}
    @pl.step
    def both(first: pl.Metrics, second: pl.Metrics) -> pl.Metrics:
        return {"n": first["n"] + second["n"]}
    pipeline = pl.Pipeline("overlap", [first, second, both])
"""


def test_independent_steps_overlap(project):
    flag = project.folder / "flag"
    project.write(pipeline=OVERLAP % str(flag))
    ended = []

    def progress(event, report):
        if event == "end":
            ended.append(report.step)
            if report.step == "second":
                flag.touch()

    done = runs_in_workers(project, jobs=2, progress=progress)
    assert done.status == "done"
    assert ended == ["second", "first", "both"]
    assert done["both"]["n"] == 3


def test_one_failure_stops_what_has_not_begun_and_keeps_what_is_done(project):
    project.write(
        pipeline="""
        @pl.step
        def fine() -> pl.Metrics:
            return {"n": 1}
        @pl.step
        def broken(fine: pl.Metrics) -> pl.Metrics:
            raise ValueError("no")
        @pl.step
        def after(broken: pl.Metrics) -> pl.Metrics:
            return {"n": 1}
        pipeline = pl.Pipeline("broken", [fine, broken, after])
        """
    )
    done = project.run()
    assert (done.code, done.json["status"], actions(done.json)) == (1, "failed", {"fine": "ran", "broken": "failed"})
    assert project.pellucid("run", "pipeline.py", "--dry-run").out.count("it failed the last time") == 1
    project.write(pipeline=(project.folder / "pipeline.py").read_text().replace('raise ValueError("no")', 'return {"n": 2}')[22:])
    assert actions(project.run().json) == {"fine": "reused", "broken": "ran", "after": "ran"}


# fan-out -----------------------------------------------------------------------------------------------------------------

FAN = """
    rows = pl.source("rows.csv", label="open")

    @pl.step(over={"power": [3, 1, 2]})
    def powers(power: int) -> pl.Metrics:
        return {"n": 10**power}

    @pl.step
    def shards(rows: pl.Table) -> list[pl.Table]:
        frame = rows.polars().collect()
        return {f"shard {at}": frame[at::2] for at in range(2)}

    @pl.step(over="shards")
    def counts(shards: pl.Table) -> pl.Metrics:
        return {"n": int(shards.polars().collect()["n"].sum())}

    @pl.step(over="rows", by="g")
    def groups(rows: pl.Table) -> pl.Metrics:
        frame = rows.polars().collect()
        assert frame["g"].n_unique() == 1
        return {"n": int(frame["n"].sum())}

    @pl.step
    def together(powers: list[pl.Metrics], counts: list[pl.Metrics], groups: list[pl.Metrics]) -> pl.Metrics:
        return {f"{name}{at}": value["n"] for name, listed in (("p", powers), ("c", counts), ("g", groups))
                for at, value in enumerate(listed)}

    pipeline = pl.Pipeline("fan", [rows, powers, shards, counts, groups, together])
"""


def test_a_fan_out_comes_back_in_a_fixed_order(project):
    project.write(pipeline=FAN, rows_csv="g,n\nb,1\na,2\nb,3\n,4\n")
    together = project.run("--jobs", "2").json["steps"]["together"]["metrics"]
    assert together == {"p0": 1000, "p1": 10, "p2": 100, "c0": 4, "c1": 6, "g0": 4, "g1": 2, "g2": 4}  # by value


def test_only_the_branch_whose_element_changed_runs_again(project):
    project.write(pipeline=FAN, rows_csv="g,n\nb,1\na,2\nb,3\n")
    project.run()
    project.write(pipeline=FAN, rows_csv="g,n\nb,1\na,7\nb,3\n")
    done = project.run("--set", "powers.power=[3, 4, 2]").json
    assert actions(done) == dict.fromkeys(done["steps"], "ran")
    branches = {name for name, step in recorded(project).items() if "[" in name and step.action == "ran"}
    assert branches == {"powers[power=4]", "counts[shard 1]", "groups[partitions]", "groups[a]"}


def test_the_list_of_a_fan_out_can_be_set(project):
    project.write(pipeline=FAN, rows_csv="g,n\nb,1\n")
    steps = project.run("--only", "powers", "--set", "powers.power=[1, 5]").json["steps"]
    assert steps["powers"]["branches"] == 2
    assert {name for name in recorded(project) if "[" in name} == {"powers[power=1]", "powers[power=5]"}


def test_a_step_gives_several_named_outputs_and_a_function_is_several_steps(project):
    project.write(
        pipeline="""
        from typing import NamedTuple
        class Halves(NamedTuple):
            low: pl.Metrics
            high: pl.Metrics
        @pl.step
        def halves() -> Halves:
            return Halves({"n": 1}, {"n": 2})
        def tenfold(what: pl.Metrics, factor: int = 10) -> pl.Metrics:
            return {"n": what["n"] * factor}
        ten = pl.step(tenfold, name="ten", inputs={"what": halves.low})
        hundred = pl.step(tenfold, name="hundred", inputs={"what": "high"}, settings={"factor": 100})
        @pl.step
        def total(ten: pl.Metrics, hundred: pl.Metrics, low: pl.Metrics) -> pl.Metrics:
            return {"n": ten["n"] + hundred["n"] + low["n"]}
        pipeline = pl.Pipeline("several", [halves, ten, hundred, total])
        """
    )
    done = project.run().json["steps"]
    assert done["total"]["metrics"]["n"] == 10 + 200 + 1
    assert done["halves"]["outputs"].keys() == {"low", "high"}


def test_the_guarantee_of_a_release_can_be_named_as_its_output(project):
    project.write(
        rows_csv="user,item\n" + "".join(f"{user},{user % 3}\n" for user in range(30)),
        pipeline="""
        rows = pl.source("rows.csv", label="private", unit="user")
        counts = pl.release(pl.privacy.histogram(key="item", max_contributions=1), of=rows, epsilon=1.0, delta=1e-6)
        def noise(guarantee: pl.Metrics) -> pl.Metrics:
            return {"epsilon": guarantee["epsilon"]}
        told = pl.step(noise, name="told", inputs={"guarantee": counts.guarantee})
        pipeline = pl.Pipeline("told", [rows, counts, told])
        """,
    )
    assert project.run().json["steps"]["told"]["metrics"] == {"epsilon": 1.0}


# trying again, giving up -------------------------------------------------------------------------------------------------


def test_a_failed_step_is_tried_again_after_a_growing_pause(project):
    flag, pauses = project.folder / "flag", []
    project.write(
        pipeline=f"""
        import os
        @pl.step(retries=3, backoff=0.05)
        def flaky() -> pl.Metrics:
            if not os.path.exists({str(flag)!r}):  # a step may see that a path exists, never what it holds
                raise ConnectionError("not yet")
            return {{"n": 1}}
        pipeline = pl.Pipeline("flaky", [flaky])
        """
    )

    def progress(event, report):
        if event == "retry":
            pauses.append(report.message.rpartition("again in ")[2])
            if len(pauses) == 2:
                flag.touch()

    started = time.monotonic()
    done = runs_in_workers(project, progress=progress)
    assert done.status == "done"
    assert pauses == ["0.05 s", "0.1 s"]
    assert time.monotonic() - started >= 0.15
    assert recorded(project)["flaky"].attempts == 3


def test_a_step_that_never_works_is_given_up(project):
    project.write(
        pipeline="""
        @pl.step(retries=2, backoff=0)
        def broken() -> pl.Metrics:
            raise ValueError("no")
        @pl.step(retries=2, backoff=0)
        def undeclared() -> pl.Metrics:
            return {"n": len(open("/root/nothing").read())}
        pipeline = pl.Pipeline("broken", [broken, undeclared])
        """
    )
    runs_in_workers(project, only=["broken"])
    assert (recorded(project)["broken"].attempts, recorded(project)["broken"].action) == (3, "failed")
    runs_in_workers(project, only=["undeclared"])
    assert recorded(project)["undeclared"].attempts == 1, "what can never work is not tried again"


DEATHS = {
    "killed": ("os.kill(os.getpid(), 9)", "its process was killed by SIGKILL (out of memory?)"),
    "segfault": ("__import__('ctypes').string_at(0)", "its process was killed by SIGSEGV"),
    "exited": ("os._exit(3)", "its process ended without a result"),
    "asked to exit": ("raise SystemExit(3)", "it raised SystemExit in pipeline.py, line 5: 3"),
    "too long": ("time.sleep(60)", "it took longer than its timeout of 0.4 s"),
    "deaf": ("signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.pause()", "it took longer than its timeout of 0.4 s"),
}  # fmt: skip


@pytest.mark.quick(1)
@pytest.mark.parametrize("how", DEATHS, ids=lambda how: how.replace(" ", "-"))
def test_a_worker_that_dies_is_one_clear_line(project, how):
    body, said = DEATHS[how]
    project.write(
        pipeline=f"""
        import os, signal, time
        @pl.step(timeout={0.4 if "timeout" in said else 60})
        def dies() -> pl.Metrics:
            {body}
        pipeline = pl.Pipeline("dies", [dies])
        """
    )
    done = project.run()
    assert (done.code, done.json["steps"]["dies"]["message"]) == (1, said)
    assert not list((project.home / "tmp").iterdir())


def test_what_a_step_leaves_running_ends_with_it(project):
    project.write(
        pipeline="""
        import os, subprocess, time
        @pl.step
        def leaves() -> pl.Metrics:
            left = subprocess.Popen(["sleep", "61"])
            child = os.fork()
            if child == 0:
                time.sleep(61)
                os._exit(0)
            return {"program": left.pid, "child": child}
        pipeline = pl.Pipeline("leaves", [leaves])
        """
    )
    started = time.monotonic()
    found = project.run().json["steps"]["leaves"]
    assert time.monotonic() - started < 30
    for pid in found["metrics"].values():
        status = Path(f"/proc/{pid}/stat")
        assert not status.exists() or status.read_text().rpartition(")")[2].split()[0] == "Z", "it still runs"


def test_a_zygote_that_dies_is_one_clear_line(project):
    project.write(
        pipeline="""
        import os, time
        @pl.step
        def one() -> pl.Metrics:
            time.sleep(60)
        @pl.step
        def other() -> pl.Metrics:
            time.sleep(60)
        pipeline = pl.Pipeline("dies", [one, other])
        """
    )
    engine = Workers(project.folder / "pipeline.py", {}, slots=2)
    pipeline = load(project.folder / "pipeline.py")
    killer = threading.Timer(2.0, lambda: os.kill(engine._process.pid, signal.SIGKILL))
    killer.start()
    try:
        done = run(pipeline, home=project.home, engine=engine, check=False)
    finally:
        killer.cancel()
        engine.close()
    assert done.status == "failed"
    assert {report.message for report in done.steps.values()} == {"the process that starts its workers ended (out of memory?)"}


def test_workers_that_cannot_load_what_the_command_could_are_one_clear_line(project):
    project.write(
        pipeline="""
        from pathlib import Path
        Path(__file__).with_name("once").mkdir()  # works the first time only
        @pl.step
        def one() -> pl.Metrics:
            return {"n": 1}
        @pl.step
        def two() -> pl.Metrics:
            return {"n": 2}
        pipeline = pl.Pipeline("once", [one, two])
        """
    )
    with pytest.raises(UsageError, match=r"the workers could not be started.*FileExistsError"):
        runs_in_workers(project)
    assert not list((project.home / "tmp").iterdir())


def test_code_that_changes_under_way_ends_the_run_after_what_is_out(project):
    flag = project.folder / "flag"
    file = project.folder / "pipeline.py"
    begins = "@pl.step\n    def start() -> pl.Metrics:\n        return {'n': 0}\n    @pl.step\n    def second(start: pl.Metrics)"
    project.write(
        pipeline=(OVERLAP % str(flag)).replace("@pl.step\n    def second()", begins).replace("[first,", "[first, start,")
    )

    def progress(event, report):
        if (event, report.step) == ("end", "start"):
            file.write_text(f"{file.read_text()}# another\n")
            flag.touch()

    with pytest.raises(UsageError, match=r'"second": .* was changed after it was imported'):
        runs_in_workers(project, progress=progress)
    assert {"start", "first"} <= {name for name, step in recorded(project).items() if step.action == "ran"}
    assert not list((project.home / "tmp").iterdir())


def test_a_time_out_in_process_ends_the_step_and_spares_others_timers(tmp_path):
    def slow() -> pl.Metrics:
        try:
            time.sleep(30)
        except Exception:  # noqa: BLE001 - a step that swallows everything must end too
            time.sleep(30)
        return {"n": 1}

    def others(*_: object) -> None:
        """Of the program that runs the pipeline."""

    before = signal.signal(signal.SIGALRM, others)
    kept = signal.setitimer(signal.ITIMER_REAL, 1000)
    try:
        with pytest.raises(StepError, match=r"longer than its timeout of 0\.2 s"):
            pl.Pipeline("slow", [pl.step(slow, timeout=0.2)]).run(home=tmp_path)
        left, _ = signal.getitimer(signal.ITIMER_REAL)
        assert 1000 - 30 < left <= 1000 - 0.2, "the other's timer goes on, and the step took its timeout and not its 30 s"
        assert signal.getsignal(signal.SIGALRM) is others
    finally:
        signal.setitimer(signal.ITIMER_REAL, *kept)
        signal.signal(signal.SIGALRM, before)


def test_a_timer_that_ends_during_a_step_rings_after_it(tmp_path):
    def slow() -> pl.Metrics:
        time.sleep(0.3)
        return {"n": 1}

    rang = []
    before = signal.signal(signal.SIGALRM, lambda *_: rang.append("rang"))
    kept = signal.setitimer(signal.ITIMER_REAL, 0.1)
    try:
        assert pl.Pipeline("slow", [pl.step(slow, timeout=100)]).run(home=tmp_path)["slow"] == {"n": 1}
        wait_for(lambda: rang)
    finally:
        signal.setitimer(signal.ITIMER_REAL, *kept)
        signal.signal(signal.SIGALRM, before)


def test_a_panic_that_is_no_exception_fails_the_step_and_not_the_program(tmp_path):
    class PanicError(BaseException):
        """As the libraries written in Rust raise them."""

    def panics() -> pl.Metrics:
        raise PanicError("index out of bounds")

    with pytest.raises(StepError, match="PanicError"):
        pl.Pipeline("panics", [pl.step(panics)]).run(home=tmp_path)


# which steps run ---------------------------------------------------------------------------------------------------------

CHAIN = """
    @pl.step
    def a(x: int = 1) -> pl.Metrics:
        return {"n": x}
    @pl.step
    def b(a: pl.Metrics) -> pl.Metrics:
        return {"n": a["n"] + 1}
    @pl.step
    def c(b: pl.Metrics, rate: float = 2.0) -> pl.Metrics:
        return {"n": b["n"] * rate}
    @pl.step
    def apart() -> pl.Metrics:
        return {"n": 0}
    pipeline = pl.Pipeline("chain", [a, b, c, apart])
"""


def test_only_from_and_set_choose_what_runs(project):
    project.write(pipeline=CHAIN)
    assert actions(project.run("--only", "b").json) == {"a": "ran", "b": "ran"}
    assert actions(project.run().json) == {"a": "reused", "b": "reused", "c": "ran", "apart": "ran"}
    assert actions(project.run("--from", "b").json) == {"a": "reused", "b": "ran", "c": "ran", "apart": "reused"}
    changed = project.run("--set", "c.rate=3").json
    assert actions(changed) == {"a": "reused", "b": "reused", "c": "ran", "apart": "reused"}
    assert changed["steps"]["c"]["metrics"]["n"] == 6.0
    assert changed["steps"]["c"]["why"] == ["setting rate was 2.0, is 3.0"]


def test_a_dry_run_says_what_would_run_and_why_and_runs_nothing(project):
    project.write(pipeline=CHAIN)
    foreseen = project.run("--dry-run").json["steps"]
    assert foreseen["a"] == {"action": "run", "why": ["new"]}
    assert foreseen["b"] == {"action": "may run", "why": ["waits for a"]}
    project.run()
    assert {step["action"] for step in project.run("--dry-run").json["steps"].values()} == {"reuse"}
    project.write(pipeline=CHAIN.replace("* rate", "+ rate"))
    foreseen = project.run("--dry-run").json["steps"]
    assert {name: step["action"] for name, step in foreseen.items()} == {"a": "reuse", "b": "reuse", "c": "run", "apart": "reuse"}
    assert foreseen["c"]["why"] == ["code pipeline:c changed"]
    assert actions(project.run("--json").json)["c"] == "ran"


# interruption ------------------------------------------------------------------------------------------------------------


def test_ctrl_c_leaves_a_run_that_can_be_resumed(project):
    flag = project.folder / "flag"
    project.write(
        pipeline=f"""
        import os, time
        @pl.step
        def quick() -> pl.Metrics:
            return {{"n": 1}}
        @pl.step
        def slow(quick: pl.Metrics) -> pl.Metrics:
            while not os.path.exists({str(flag)!r}):
                time.sleep(0.01)
            return {{"n": 2}}
        pipeline = pl.Pipeline("slow", [quick, slow])
        """
    )
    command = [*PELLUCID, "run", "pipeline.py"]
    with subprocess.Popen(
        command,
        cwd=project.folder,
        env=environ({}),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        wait_for(
            lambda: (
                (project.home / "tmp").is_dir() and list((project.home / "tmp").glob("*/work")) and "quick" in recorded(project)
            )
        )
        wait_for(lambda: list((project.home / "tmp").glob("*/work")))
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all of the group
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in said
    assert project.pellucid("runs").out.count("interrupted") == 1
    assert not list((project.home / "tmp").iterdir())
    flag.touch()
    assert actions(project.run().json) == {"quick": "reused", "slow": "ran"}


def wait_for(condition):
    for _ in range(2000):
        if condition():
            return
        time.sleep(0.01)
    pytest.fail("it did not happen")


# damage ------------------------------------------------------------------------------------------------------------------


def stored(project, artifact):
    steps = recorded(project)
    leaf = steps[artifact].outputs[artifact]
    return Objects(project.home).path(leaf.sha256, leaf.suffix)


@pytest.mark.quick(1)
@pytest.mark.parametrize("how", ["flipped", "torn", "gone"])
def test_a_damaged_input_is_named_moved_aside_and_made_again(project, how):
    project.write(pipeline=CHAIN)
    before = project.run().json["steps"]
    path = stored(project, "a")
    path.chmod(0o600)
    content = path.read_bytes()
    if how == "gone":
        path.unlink()
    else:
        path.write_bytes(content[:-1] if how == "torn" else bytes([content[0] ^ 1]) + content[1:])
    done = project.pellucid("run", "pipeline.py", "--json", "--from", "b")
    assert done.json["steps"]["c"]["digest"] == before["c"]["digest"]
    assert actions(done.json) == {"a": "ran", "b": "ran", "c": "ran", "apart": "reused"}
    assert path.read_bytes() == content
    if how != "gone":
        assert str(path) in done.err
        assert [aside.name.startswith(path.name) for aside in (project.home / "damaged").iterdir()] == [True]


def test_what_ran_before_damage_was_found_counts_as_run_once(project):
    project.write(
        pipeline=CHAIN.replace("def c(b: pl.Metrics,", "def c(b: pl.Metrics, apart: pl.Metrics,").replace(
            "[a, b, c, apart]", "[apart, a, b, c]"
        )
    )
    project.run()
    path = stored(project, "apart")
    path.chmod(0o600)
    path.write_bytes(b"{}")
    done = project.run("--from", "b")
    assert actions(done.json) == {"apart": "ran", "a": "reused", "b": "ran", "c": "ran"}
    assert {name: step.action for name, step in recorded(project).items()} == actions(done.json)


@pytest.mark.quick(1)
@pytest.mark.parametrize("which", ["a", "b", "c", "all"])
def test_a_damaged_result_is_not_served_as_reused(project, which):
    """Also where nothing takes it in: it is moved aside, named and made again, and the rest is reused."""
    project.write(pipeline=CHAIN)
    before = project.run().json["steps"]
    names = ["a", "b", "c"] if which == "all" else [which]
    paths = [stored(project, name) for name in names]
    for path in paths:
        path.chmod(0o600)
        path.write_bytes(path.read_bytes().replace(b".0", b".5") + b" ")
    foreseen = project.run("--dry-run").json["steps"]
    assert foreseen[names[0]]["action"] == "run"
    done = project.pellucid("run", "pipeline.py", "--json")
    assert {name for name, action in actions(done.json).items() if action == "ran"} == set(names)
    assert {name: step["digest"] for name, step in done.json["steps"].items()} == {
        name: step["digest"] for name, step in before.items()
    }
    assert all(str(path) in done.err and path.is_file() for path in paths)
    assert done.json["steps"][names[0]]["why"] == ["its stored result is gone"]
    assert set(actions(project.run().json).values()) == {"reused"}


@pytest.mark.slow
def test_a_large_result_is_read_again_when_its_file_changed(project, monkeypatch):
    from pellucid.errors import DamagedError as Damaged
    from pellucid.pipeline.running import task

    monkeypatch.setattr(task, "_REMEMBERED_ABOVE", 0)
    monkeypatch.setattr(task, "_RACY_SECONDS", -1.0)
    project.write(pipeline=CHAIN)
    project.run()
    path, record = stored(project, "c"), Record(project.home)
    (leaf,) = recorded(project)["c"].outputs.values()
    task.verify(leaf, Objects(project.home), record)
    with monkeypatch.context() as patch:
        patch.setattr(Objects, "open", lambda *_: pytest.fail("it was read again"))
        task.verify(leaf, Objects(project.home), record)
    path.chmod(0o600)
    path.write_bytes(b"x" * path.stat().st_size)
    with pytest.raises(Damaged):
        task.verify(leaf, Objects(project.home), record)
    record.close()


def test_a_damaged_result_is_refused_when_it_is_read(project):
    project.write(pipeline=CHAIN)
    done = runs_in_workers(project)
    path = stored(project, "c")
    path.chmod(0o600)
    path.write_bytes(b"torn")
    with pytest.raises(DamagedError, match="damaged"):
        done["c"]
    assert actions(project.run().json)["c"] == "ran"


# code in memory ----------------------------------------------------------------------------------------------------------

LIVING = """
    import importlib, json, os, sys
    from pathlib import Path
    sys.path.insert(0, ".")
    import pellucid as pl
    {edit_before}
    import helper
    @pl.step
    def told() -> pl.Metrics:
        return {{"n": helper.give()}}
    def value():
        try:
            pipeline = pl.Pipeline("living", [told])
            return pipeline.run(home="home")["told"]["n"]
        except pl.PellucidError as error:
            return str(error)
    found = [value()]
    Path("helper.py").write_text("def give(): return 2")
    found.append(value())
    importlib.reload(helper)
    found.append(value())
    print(json.dumps(found))
"""


def test_code_changed_after_import_is_refused_until_it_is_reloaded(project):
    project.write(helper="def give(): return 1")
    first, refused, healed = project.python(LIVING.format(edit_before=""))
    assert first == 1
    assert "helper was changed after it was imported" in refused
    assert healed == 2


def test_a_function_kept_over_a_reload_is_refused(project):
    project.write(helper="def give(): return 1")
    text = LIVING.format(edit_before="").replace("import helper\n", "import helper\n    from helper import give\n")
    first, _, kept = project.python(text.replace("helper.give()", "give()"))
    assert first == 1
    assert "helper was changed after it was imported" in kept


def test_stale_bytecode_is_refused(project):
    """Python trusts a .pyc by size and time stamp; both can stand still over an edit."""
    project.write(helper="def give(): return 1")
    helper = project.folder / "helper.py"
    os.utime(helper, (1, 1))
    project.python("import py_compile; py_compile.compile('helper.py'); print(1)")
    helper.write_text("def give(): return 7")
    os.utime(helper, (1, 1))
    assert project.python("import sys; sys.path.insert(0, '.'); import helper; print(helper.give())") in (1, 7)
    found = project.python(LIVING.format(edit_before=""), PYTHONDONTWRITEBYTECODE="1")
    assert "helper was changed after it was imported" in str(found[0])
    project.write(
        pipeline='import helper\n@pl.step\ndef told() -> pl.Metrics:\n    return {"n": helper.give()}\npipeline = pl.Pipeline("p", [told])'
    )
    helper.write_text("def give(): return 8")
    os.utime(helper, (1, 1))
    assert project.run().json["steps"]["told"]["metrics"]["n"] == 8, "the command line compiles from source"


def test_a_module_imported_under_a_name_made_up_inside_a_step_is_refused(project):
    project.write(
        helper="VALUE = 1",
        pipeline="""
        @pl.step
        def hidden() -> pl.Metrics:
            from importlib import import_module
            return {"n": import_module("hel" + "per").VALUE}
        pipeline = pl.Pipeline("hidden", [hidden])
        """,
    )
    assert project.run().code == 1
    found = project.python(
        """
        import json
        from pathlib import Path
        from pellucid.pipeline.running.pipeline_file import load
        done = load(Path("pipeline.py")).run(check=False)
        print(json.dumps(done.steps["hidden"].message))
        """
    )
    assert found.startswith(
        "it imported helper in a way that cannot be seen beforehand; import it by name at the top of its file"
    )


def test_a_pipeline_run_from_a_script_may_use_what_imports_multiprocessing(tmp_path):
    """multiprocessing gives the main module a second name; that is no module which came in unseen."""
    script = tmp_path / "run_it.py"
    script.write_text(
        "import pellucid as pl\n\n\n@pl.step\ndef there() -> pl.Metrics:\n    import multiprocessing\n\n"
        "    return pl.Metrics({'cores': min(1, multiprocessing.cpu_count())})\n\n\n"
        "if __name__ == '__main__':\n    print(pl.Pipeline('there', [there]).run(home='home')['there'])\n"
    )
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "cores" in done.stdout


def test_a_helper_that_cannot_be_imported_and_is_guarded_against_does_no_harm(project):
    project.write(
        fast="import a_library_that_nobody_has",
        pipeline="""
        try:
            import fast
        except ImportError:
            fast = None
        @pl.step
        def told() -> pl.Metrics:
            return {"n": 1 if fast is None else 2}
        pipeline = pl.Pipeline("guarded", [told])
        """,
    )
    assert project.run().json["steps"]["told"]["metrics"]["n"] == 1


@pytest.mark.parametrize("tolerance", [-1e-9, 1.0, 2.0, float("nan"), float("inf")])
def test_a_tolerance_that_allows_anything_is_refused(tolerance):
    with pytest.raises(UsageError, match="from 0 to less than 1"):
        pl.step(tolerance=tolerance)(lambda: {"x": 1})


def test_settings_that_workers_cannot_be_given_are_refused_in_one_line(project):
    project.write(pipeline=CHAIN.replace("x: int = 1", "x=None"))
    with pytest.raises(UsageError, match="cannot be handed to workers"):
        runs_in_workers(project, settings={"a.x": {1, 2}})


def test_an_engine_can_be_used_for_several_runs(project):
    project.write(pipeline=CHAIN)
    engine = Workers(project.folder / "pipeline.py", {}, slots=2)
    pipeline = load(project.folder / "pipeline.py")
    for home in ("one", "two"):
        assert run(pipeline, home=Path(project.folder, home), engine=engine)["c"]["n"] == 4.0
    engine.close()


# garbage -----------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_collections_go_around_releases_again_and_again(project):
    from pellucid.pipeline.record.garbage_collection import collect

    project.write(
        rows_csv="user,item\n" + "".join(f"{user},{user % 3}\n" for user in range(30)),
        pipeline="""
        rows = pl.source("rows.csv", label="private", unit="user")
        counts = pl.release(pl.privacy.histogram(key="item", max_contributions=1), of=rows, epsilon=1.0, delta=1e-6)
        pipeline = pl.Pipeline("released", [rows, counts])
        """,
    )
    project.run()
    released = stored(project, "counts")
    for _ in range(3):
        collected = collect(project.home, keep=0)
        assert released.exists()
        assert collected.releases == 2  # the value and its guarantee
    assert actions(project.run().json) == {"rows": "ran", "counts": "reused"}
