"""Which state folder and which run a command means: the right one, or a list, and never the wrong one."""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from desk import Desk, laid

from pellucid.cli import state_folder
from pellucid.errors import UsageError
from pellucid.pipeline.record import Record, note_run, notes_folder


@dataclass(frozen=True)
class Layout:
    """`runs` are (state folder's project, pipeline, the folder it is run from), in order of time; the command is given in `at`."""

    runs: list[tuple[str, str, str]]
    at: str
    meant: str  # the pipeline that must be found; or what the refusal must say
    wanted: str = "last"
    home: str = ""
    variable: str = ""
    listed: list[str] = field(default_factory=list)


ONE, TWO = ("a", "one", "a"), ("b", "two", "b")
LIST, NONE = "could be in", "there is no state folder"
LAYOUTS = {
    "run here, asked here": Layout([ONE], "a", "one"),
    "run here, asked two folders below": Layout([ONE], "a/src/deep", "one"),
    "run here, asked one folder above": Layout([ONE], ".", "one"),
    "run from above, asked there": Layout([("a", "one", ".")], ".", "one"),
    "run from a sibling, asked there": Layout([("a", "one", "b")], "b", "one"),
    "run elsewhere, asked where nothing was run": Layout([("a/far", "one", "a/far")], ".", NONE, listed=["a/far/.pellucid"]),
    "nothing was ever run": Layout([], "a", NONE),
    "two below, run from their own folders": Layout([ONE, TWO], ".", LIST, listed=["a/.pellucid", "b/.pellucid", "one", "two"]),
    "two below, the later run from here": Layout([ONE, ("b", "two", ".")], ".", "two"),
    "two below, both run from here": Layout([("a", "one", "."), ("b", "two", "."), ("a", "three", ".")], ".", "three"),
    "two below, the one run from here is not the newest": Layout([("b", "two", "."), ONE], ".", LIST),
    "two below, asked in one of them": Layout([ONE, TWO], "a", "one"),
    "here and below, here newer": Layout([ONE, (".", "top", ".")], ".", "top"),
    "here and below, below newer from there": Layout([(".", "top", "."), ONE], ".", LIST),
    "here and below, below newer from here": Layout([(".", "top", "."), ("a", "one", ".")], ".", "one"),
    "here, and run elsewhere from here, elsewhere newer": Layout([ONE, ("b", "two", "a")], "a", "two"),
    "here, and run elsewhere from here, here newer": Layout([("b", "two", "a"), ONE], "a", "one"),
    "here, and run elsewhere from here before, and from there since": Layout([("b", "two", "a"), ONE, TWO], "a", "one"),
    "above and nearer above": Layout([(".", "top", "."), ONE], "a/src", "one"),
    "two below, named": Layout([ONE, TWO], ".", "two", home="b/.pellucid"),
    "two below, one in the environment": Layout([ONE, TWO], ".", "one", variable="a/.pellucid"),
    "two below, the run by its name": Layout([ONE, TWO], ".", "one", wanted="name of one"),
    "the run before the last": Layout([ONE, ("a", "three", "a")], "a", "one", wanted="last~1"),
    "named, and the project instead of its state": Layout([ONE], ".", "Did you mean a/.pellucid?", home="a"),
    "named, and no state": Layout([ONE], ".", "this is no state folder", home="b", listed=["a/.pellucid"]),
    "named in the environment, and no state": Layout([ONE], ".", "this is no state folder", variable="b"),
}


@pytest.mark.parametrize("case", LAYOUTS)
def test_a_command_finds_the_run_that_is_meant_or_lists_what_could_be(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    layout, top = LAYOUTS[case], tmp_path / "top"
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "notes"))
    monkeypatch.delenv("PELLUCID_HOME", raising=False)
    for folder in ("a/src/deep", "a/far", "b"):
        (top / folder).mkdir(parents=True)
    names = {}
    for project, pipeline, place in layout.runs:
        monkeypatch.chdir(top / place)
        names[pipeline] = _ran(top / project / ".pellucid", pipeline)
    monkeypatch.chdir(top / layout.at)
    if layout.variable:
        monkeypatch.setenv("PELLUCID_HOME", str(top / layout.variable))
    wanted = names[layout.wanted.removeprefix("name of ")] if layout.wanted.startswith("name of ") else layout.wanted
    arguments = argparse.Namespace(home=Path(layout.home) if layout.home else None)
    if layout.meant in names:
        record, (run,) = state_folder.find_run(arguments, wanted)
        state_folder.say(record.home, run)
        assert run["pipeline"] == layout.meant
        said = capsys.readouterr().err
        assert run["run"] in said
        assert layout.meant in said
        assert ".pellucid" in said, "which folder"
        return
    with pytest.raises(UsageError) as caught:
        state_folder.find_run(arguments, wanted)
    assert layout.meant in str(caught.value)
    assert "no pipeline has run" not in str(caught.value)
    for one in layout.listed:
        assert one in str(caught.value)


def _ran(home: Path, pipeline: str) -> str:
    """A run on record, as a run leaves it."""
    record = Record(home)
    run = record.start(pipeline=pipeline, file=None, seed=0, settings={}, environment={}, git=None, graph=[])
    note_run(home)
    record.finish(run, "done", 0.1)
    record.close()
    time.sleep(0.002)  # the clock that orders them has to have moved on
    return run


def test_notes_are_for_their_user_alone_and_nothing_depends_on_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "made" / "notes"))
    monkeypatch.chdir(tmp_path)
    note_run(tmp_path / ".pellucid")
    made = [notes_folder(), *notes_folder().rglob("*")]
    assert {path.stat().st_mode & 0o077 for path in made if path.is_dir()} == {0}
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    note_run(tmp_path / ".pellucid")
    for note in (tmp_path / "made").rglob("*"):
        if note.is_file():
            note.write_text('["not a note"')
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "made" / "notes"))
    with pytest.raises(UsageError, match="no state folder here"):
        state_folder.home_of(argparse.Namespace(home=None))


def test_publish_last_after_a_run_elsewhere_is_that_run(tmp_path: Path) -> None:
    """Also where the folder that the command is given in has a state of its own."""
    one, two = laid(tmp_path / "one"), laid(tmp_path / "two")
    about = 'pl.About(title="Small", description="Counts", creators=("Doe, Jane",), licence="MIT", data_licence="CC0-1.0")'
    for desk in (one, two):
        text = (desk.folder / "small.py").read_text().replace("ceiling])", f"ceiling], about={about})")
        desk.write("small.py", text.replace('label="open")', 'label="open", licence="CC0-1.0")'))
    one.run()
    here = Desk(one.folder, one.environment)
    done = here("run", str(two.folder / "small.py"), "--json").json
    published = here("publish", "last", "out")
    assert done["run"] in published.err
    assert "../two/.pellucid" in published.err
    assert here("why", "model").err.startswith(f"run {done['run']} of small")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_step_that_the_last_run_has_not_is_found_in_the_run_before(desk: Desk) -> None:
    first = desk.run()
    desk.run("--only", "areas")
    assert first["run"] in desk("why", "model").out
    assert first["run"] in desk("show", "--log", "model").err


def test_the_log_of_a_reused_step_is_that_of_the_run_that_made_its_result(desk: Desk) -> None:
    source = desk.folder / "small.py"
    source.write_text(
        source.read_text().replace("    return model**power", '    print("power", power)\n    return model**power', 1)
    )
    source.write_text(
        source.read_text().replace("    found = counts", '    print("hello from the model")\n    found = counts', 1)
    )
    first = desk.run()
    desk.run()
    shown = desk("show", "--log", "model")
    assert "hello from the model" in shown.out
    assert first["run"] in shown.err


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_an_account_for_the_same_data_in_another_folder_is_said_before_a_spend(tmp_path: Path) -> None:
    one, two = laid(tmp_path / "one"), laid(tmp_path / "two")
    two = Desk(two.folder, {"PELLUCID_KEYS": one.environment["PELLUCID_KEYS"]})
    assert "also pay" not in one("run", "small.py").err
    assert "also pay" not in one("run", "small.py", "--set", "counts.epsilon=0.5").err
    lines = two("run", "small.py").err.splitlines()
    (said,) = [at for at, line in enumerate(lines) if "also pay from account" in line]
    assert str(one.folder / ".pellucid") in lines[said]
    assert "epsilon 1.5" in lines[said]
    assert said < next(at for at, line in enumerate(lines) if "counts" in line and "ran" in line)
