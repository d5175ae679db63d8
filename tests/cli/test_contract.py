"""What others build on: the JSON of each command, exit codes, where state lives, and what goes to which stream."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from desk import ANSI, Desk, actions, digests

Worked = tuple[Desk, dict[str, Any], dict[str, Any]]
HEAVY = ("numpy", "pyarrow", "polars", "duckdb", "scipy", "pandas", "rich", "cryptography")


# run ---------------------------------------------------------------------------------------------------------------------


def test_a_run_tells_each_step_in_one_json_object(worked: Worked) -> None:
    _, first, second = worked
    assert first["status"] == second["status"] == "done"
    assert first["run"] != second["run"]
    assert set(first["steps"]) == {"visits", "areas", "counts", "model", "powers", "quality", "ceiling"}
    for step in first["steps"].values():
        if step["label"] == "open":
            assert re.fullmatch(r"[a-z]+(\[\])?:[0-9a-f]{64}", step["digest"]), step
        else:
            assert step["digest"] is None, "a digest of what is private confirms a guess of it"
        assert step["action"] == "ran"
        assert step["seconds"] >= 0
    assert first["steps"]["visits"]["label"] == first["steps"]["ceiling"]["label"] == "private"
    assert first["steps"]["counts"]["label"] == first["steps"]["quality"]["label"] == "open"
    assert set(first["steps"]["quality"]["metrics"]) == {"mean_0", "mean_1", "mean_2"}


def test_a_changed_setting_runs_what_depends_on_it_and_nothing_else(worked: Worked) -> None:
    _, _, second = worked
    assert {name for name, action in actions(second).items() if action == "ran"} == {"model", "powers", "quality"}


def test_private_metrics_are_told_only_when_the_steward_asks(worked: Worked) -> None:
    desk, first, _ = worked
    assert first["steps"]["ceiling"]["metrics"] is None
    assert "ceiling: private" in desk("run", "small.py").out
    assert desk.run("--private")["steps"]["ceiling"]["metrics"] == {"rows": 900}
    assert "rows 900" in desk("run", "small.py", "--private").out
    shown = [desk("show", "--json", *more).json["steps"]["ceiling"]["metrics"] for more in ([], ["--private"])]
    assert shown == [None, {"rows": 900}]
    assert not any("ceiling" in name for name in desk("compare", "--json").json["metrics"])


def test_state_lives_beside_the_pipeline_file_or_where_it_is_told(desk: Desk, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    done = desk("run", desk.folder / "small.py", "--only", "areas", cwd=elsewhere)
    assert done.code == 0, done.err
    assert (desk.folder / ".pellucid" / "pellucid.db").is_file()
    assert not list(elsewhere.iterdir())
    named = Desk(desk.folder, {"PELLUCID_HOME": str(tmp_path / "named")})
    assert named("run", "small.py", "--only", "areas", "--json").json["steps"]["areas"]["action"] == "ran"
    assert (tmp_path / "named" / "pellucid.db").is_file()
    assert len(named("runs", "--json", cwd=elsewhere).json["runs"]) == 1
    assert named("run", "small.py", "--only", "areas", "--json", "--home", tmp_path / "third").json["status"] == "done"
    assert (tmp_path / "third" / "pellucid.db").is_file()


def test_the_command_and_the_module_are_the_same(worked: Worked) -> None:
    desk, _, _ = worked
    script = Path(sys.executable).with_name("pellucid")
    assert script.exists()
    done = subprocess.run(
        [script, "runs", "--json"], cwd=desk.folder, env=desk.environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == desk("runs", "--json").out


def test_what_a_pipeline_file_prints_stays_out_of_the_results(desk: Desk) -> None:
    desk.write("loud.py", 'print("loaded")\n' + (desk.folder / "small.py").read_text())
    done = desk("run", "loud.py", "--only", "areas", "--json")
    assert done.json["status"] == "done"
    assert done.err.count("loaded") == 1


# the commands that look --------------------------------------------------------------------------------------------------


def test_runs(worked: Worked) -> None:
    desk, first, second = worked
    told = {run["run"]: run for run in desk("runs", "--json").json["runs"]}
    assert told[first["run"]]["status"] == "done"
    assert told[second["run"]]["settings"] == {"model.regularization": "20"}
    assert len(desk("runs", "--json", "--limit", "1").json["runs"]) == 1
    assert "model.regularization=20" in desk("runs").out


def test_show(worked: Worked) -> None:
    desk, first, _ = worked
    told = desk("show", first["run"], "--json").json
    assert told["run"] == first["run"]
    assert told["environment"]["lock"] and told["environment"]["python"]
    steps = {name: step for name, step in told["steps"].items() if "[" not in name}
    assert {name: step["digest"] for name, step in steps.items()} == digests(first)
    assert steps["quality"]["metrics"] == first["steps"]["quality"]["metrics"]
    assert steps["counts"]["kind"] == "release"
    assert desk("show", first["run"][:-1], "--json").json["run"] == first["run"]


def test_compare_names_the_first_step_where_two_runs_part(worked: Worked) -> None:
    desk, first, second = worked
    told = desk("compare", first["run"], second["run"], "--json").json
    assert told["runs"] == [first["run"], second["run"]]
    assert told["first_difference"]["step"] == "model"
    assert "regularization" in told["first_difference"]["why"]
    assert told["settings"]["model.regularization"][0] != told["settings"]["model.regularization"][1]
    assert told["metrics"]["quality.mean_0"] == [run["steps"]["quality"]["metrics"]["mean_0"] for run in (first, second)]
    plain = desk("compare", first["run"], second["run"]).out
    assert "regularization" in plain and "model" in plain.splitlines()[-1]


def test_why_names_the_part_of_the_key_that_changed(worked: Worked) -> None:
    desk, first, second = worked
    told = desk("why", "model", second["run"], "--json").json
    assert (told["action"], told["against"]) == ("ran", first["run"])
    assert told["why"] == ["setting regularization was 10.0, is 20.0"]
    assert "setting regularization" in desk("why", "model", second["run"]).out
    assert desk("why", "model", first["run"], "--json").json["why"] == ["it ran for the first time"]


def test_graph(worked: Worked) -> None:
    desk, _, _ = worked
    told = desk("graph", "small.py", "--json").json
    assert {node["name"] if "name" in node else node["step"] for node in told["nodes"]} >= {"visits", "counts", "quality"}
    svg = desk.folder / "graph.svg"
    assert desk("graph", "small.py", "--svg", svg).code == 0
    assert svg.read_text().startswith("<svg")


def test_ledger(worked: Worked) -> None:
    desk, _, _ = worked
    account = desk("ledger", "--json").json["accounts"]["visits"]
    assert (account["cap"], account["spent"], account["left"]) == (2.0, 1.0, 1.0)
    assert (account["cap_delta"], account["spent_delta"], account["left_delta"]) == (1e-5, 1e-6, 9e-6)
    assert account["unit"] == "person"
    plain = desk("ledger").out
    assert "small.counts" in plain and "finished" in plain
    assert desk("ledger", "verify", "--json").json["verified"] is True


@pytest.mark.slow
def test_a_plan_says_what_releases_would_cost_and_spends_nothing(desk: Desk) -> None:
    told = desk("ledger", "plan", "small.py", "--json").json
    (account,) = told["accounts"]
    assert told["fits"] and (account["spent"], account["after"]) == ([0.0, 0.0], [1.0, 1e-6])
    assert not (desk.folder / ".pellucid").exists()
    desk.run("--only", "counts")
    twice = desk("ledger", "plan", "small.py", "--times", "2", "--set", "counts.epsilon=0.75", "--json")
    (account,) = twice.json["accounts"]
    assert (twice.code, account["fits"]) == (1, False)
    assert account["spent"] == [1.0, 1e-6] and account["after"] == [2.5, 3e-6]
    assert account["together"]["pld"] < account["together"]["basic"] == 2.5
    assert "DOES NOT FIT" in desk("ledger", "plan", "small.py", "--times", "3").out
    assert desk("ledger", "plan").complaint.startswith("pellucid: ledger: plan needs a pipeline file")


def test_a_ledger_is_exported_and_verified_elsewhere(desk: Desk) -> None:
    desk.run("--only", "counts")
    assert desk("ledger", "export", "out.jsonl").code == 0
    assert "it is there already" in desk("ledger", "export", "out.jsonl").complaint
    head = desk("ledger", "--json").json["head"]
    assert desk("ledger", "verify", "--file", "out.jsonl", "--head", head).code == 0
    assert "cut off" in desk("ledger", "verify", "--file", "out.jsonl", "--head", "ab" * 32).complaint
    (desk.folder / "card.json").write_text("{}")
    assert "it is no card of a release" in desk("ledger", "verify", "--card", "card.json").complaint
    text = (desk.folder / "out.jsonl").read_text()
    (desk.folder / "out.jsonl").write_text(text.replace('"epsilon":1000000000', '"epsilon":100000000'))
    assert "altered at event" in desk("ledger", "verify", "--file", "out.jsonl").complaint


def test_a_release_waits_for_its_sign_off(desk: Desk) -> None:
    file = desk.folder / "small.py"
    file.write_text(file.read_text().replace("delta=1e-5))", "delta=1e-5, sign_off=True))"))
    refused = desk("run", "small.py", "--only", "counts")
    assert refused.code == 2 and "nobody has signed for this release" in refused.complaint
    told = desk("ledger", "--json").json
    assert told["accounts"]["visits"]["spent"] == 0.0
    assert told["refusals"][0]["why"] == "nobody has signed for this release"


def test_a_steward_raises_a_cap(desk: Desk) -> None:
    desk.run("--only", "counts")
    told = desk("ledger", "cap", "visits", "--epsilon", "4", "--delta", "1e-5", "--json").json["accounts"]["visits"]
    assert (told["cap"], told["left"]) == (4.0, 3.0)
    assert desk("ledger", "cap", "visits").complaint.startswith("pellucid: cap needs an account, --epsilon and --delta")
    assert 'no account "nobody"'.replace('"', "'") in desk("ledger", "cap", "nobody", "--epsilon", "1", "--delta", "0").complaint


def test_a_dry_run_says_what_would_run_and_runs_nothing(worked: Worked) -> None:
    desk, _, _ = worked
    before = len(desk("runs", "--json").json["runs"])
    told = desk("run", "small.py", "--dry-run", "--json", "--set", "model.regularization=30").json["steps"]
    assert told["counts"]["action"] == "reuse"
    assert told["model"] == {"action": "run", "why": [told["model"]["why"][0]]}
    assert "regularization" in told["model"]["why"][0]
    assert told["quality"]["action"] == "may run"
    assert len(desk("runs", "--json").json["runs"]) == before


# how it looks ------------------------------------------------------------------------------------------------------------


LOOKED_AT = (
    "--help", "run --help", "ledger --help", "compare --help", "runs", "show", "ledger", "compare", "graph small.py", "why model",
    "gc --dry-run", "run small.py", "run small.py --dry-run --set model.regularization=40",
    *(f"{command} --help" for command in ("publish", "check", "reproduce", "receipts", "catalogue", "upload", "import", "adopt")),
)  # fmt: skip


@pytest.mark.parametrize("words", LOOKED_AT)
def test_plain_output_fits_eighty_columns_and_has_no_colours(worked: Worked, words: str) -> None:
    desk, _, _ = worked
    done = desk(*words.split())
    assert done.code == 0, done.err
    long = [line for line in (done.out + done.err).splitlines() if len(line) > 80 and "file:" not in line]
    assert not long
    assert "\x1b" not in done.out + done.err


@pytest.mark.slow
def test_the_example_fits_eighty_columns(tmp_path: Path) -> None:
    import shutil

    import pellucid.cli

    shutil.copytree(Path(pellucid.cli.__file__).parent / "msweb", tmp_path / "msweb")
    desk = Desk(tmp_path / "msweb", {"PELLUCID_HOME": str(tmp_path / "home")})
    assert desk("run", "areas.py", "--quiet").code == 0
    for words in (
        ["run", "areas.py"],
        ["runs"],
        ["show"],
        ["ledger"],
        ["compare"],
        ["run", "areas.py", "--dry-run", "--set", "matrix.epsilon=0.5"],
    ):
        done = desk(*words)
        assert done.code == 0, done.err
        assert not [line for line in (done.out + done.err).splitlines() if len(line) > 80 and "file:" not in line], words


def in_terminal(desk: Desk, *words: str) -> tuple[int, str]:
    """Run the command in a terminal of its own; exit code and everything it wrote there."""
    mine, theirs = pty.openpty()
    environment = desk.environment | {"TERM": "xterm-256color"}
    child = subprocess.Popen(
        [sys.executable, "-m", "pellucid", *words], cwd=desk.folder, env=environment, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    parts, deadline = [], time.monotonic() + 60
    while time.monotonic() < deadline:
        if select.select([mine], [], [], 0.1)[0]:
            try:
                part = os.read(mine, 65536)
            except OSError:  # the other side is closed
                break
            if not part:
                break
            parts.append(part)
        elif child.poll() is not None:
            break
    code = child.wait(timeout=60)
    os.close(mine)
    return code, b"".join(parts).decode(errors="replace")


def as_seen(written: str) -> list[str]:
    """What a terminal shows in the end: carriage returns, cursor-up and erase-line obeyed, colours dropped."""
    lines, row, column = [""], 0, 0
    for token in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|\r|\n|[^\x1b\r\n]+", written):
        if token == "\r":
            column = 0
        elif token == "\n":
            row, column = row + 1, 0
            lines += [""] * (row + 1 - len(lines))
        elif token.startswith("\x1b"):
            if token.endswith("A"):
                row = max(0, row - int(token[2:-1] or 1))
            elif token.endswith("K"):
                lines[row] = ""
        else:
            lines[row] = lines[row][:column].ljust(column) + token + lines[row][column + len(token) :]
            column += len(token)
    return [line.rstrip() for line in lines]


def test_in_a_terminal_progress_leaves_one_clean_line_a_step(desk: Desk) -> None:
    code, written = in_terminal(desk, "run", "small.py")
    assert code == 0, written
    assert ANSI.search(written)
    assert "running" in written  # live, while it lasted
    seen = [line for line in as_seen(written) if line]
    assert not [line for line in seen if "running" in line]
    steps = [line for line in seen if line.startswith("✓")]
    assert [line.split()[1] for line in steps] != []
    assert {line.split()[1] for line in steps} == {"visits", "areas", "counts", "model", "powers", "quality", "ceiling"}
    assert len(steps) == 7
    assert seen[-1].startswith("run ") and "7 ran, 0 reused" in seen[-1]


def test_a_terminal_that_knows_no_unicode_is_no_reason_to_fail(worked: Worked) -> None:
    desk, _, _ = worked
    plain = Desk(desk.folder, {"PYTHONIOENCODING": "ascii"})
    assert plain("run", "small.py").code == 0
    assert plain("run", "small.py", "--json").json["status"] == "done"


# what is loaded ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [["--help"], ["--version"], ["run", "--help"], ["runs"], ["show"], ["ledger"], ["compare"], ["why", "model"]],
    ids=" ".join,
)
def test_commands_that_only_look_load_nothing_heavy(worked: Worked, words: list[str]) -> None:
    desk, _, _ = worked
    driver = (
        "import sys\nfrom pellucid.cli import main\n"
        f"try:\n    main({words!r})\nexcept SystemExit as done:\n    assert done.code == 0, done.code\n"
        f"heavy = {HEAVY!r}\nprint('\\nloaded:', *[name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", driver], cwd=desk.folder, env=desk.environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "loaded:"


# streams -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words", ["--help", "run --help", "runs", "show --json", "ledger", "run small.py", "run small.py --json", "graph small.py"]
)
def test_a_reader_that_has_seen_enough_is_no_error(worked: Worked, words: str) -> None:
    desk, _, _ = worked
    read, write = os.pipe()
    os.close(read)  # nobody reads, from the first byte on
    child = subprocess.Popen(
        [sys.executable, "-m", "pellucid", *words.split()], cwd=desk.folder, env=desk.environment, stdout=write,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    os.close(write)
    _, err = child.communicate(timeout=60)
    assert child.returncode == 0
    assert "Traceback" not in err and "Error" not in err


def test_a_run_goes_on_when_nobody_reads_its_progress(desk: Desk) -> None:
    read, write = os.pipe()
    os.close(read)
    child = subprocess.Popen(
        [sys.executable, "-m", "pellucid", "run", "small.py", "--json"], cwd=desk.folder, env=desk.environment,
        stdout=subprocess.PIPE, stderr=write, text=True,
    )  # fmt: skip
    os.close(write)
    out, _ = child.communicate(timeout=60)
    assert '"status": "done"' in out


def test_results_go_to_stdout_and_progress_to_stderr(worked: Worked) -> None:
    desk, _, _ = worked
    done = desk("run", "small.py", "--from", "quality")
    assert done.out.splitlines()[-1].startswith("run ")
    assert all(line[0] in "✓·" for line in done.err.splitlines())
    assert len(done.err.splitlines()) == 7
    assert desk("run", "small.py", "--quiet").err == ""


# bad usage ---------------------------------------------------------------------------------------------------------------

USAGE = {
    "an unknown command": (["runz"], 'there is no command "runz". Did you mean run'),
    "an unknown option": (["run", "--jbos", "2", "small.py"], "there is no option --jbos. Did you mean --jobs?"),
    "an option cut short": (["run", "small.py", "--priv"], "there is no option --priv"),
    "no file": (["run"], "FILE"),
    "one word too many": (["runs", "please"], '"please" is one word too many'),
    "a missing file": (["run", "nowhere.py"], "nowhere.py: there is no such pipeline file"),
    "a folder": (["run", "."], ".: this is a folder"),
    "a syntax error": (["run", "syntax.py"], "syntax.py:2: it is not valid Python"),
    "an exception": (["run", "raises.py"], "raises.py:2: it raised ZeroDivisionError: division by zero"),
    "an exit": (["run", "exits.py"], "exits.py:2: it raised SystemExit"),
    "no pipeline": (["run", "empty.py"], "empty.py: it defines no pipeline"),
    "two pipelines": (["run", "two.py"], "two.py: it defines 2 pipelines"),
    "not a number": (["runs", "--limit", "many"], '"many" is not a whole number'),
    "no jobs": (["run", "small.py", "--jobs", "0"], '"0" is not a whole number from 1 on'),
    "no such run": (["show", "19990101"], 'run "19990101"'),
    "no such step in a log": (["show", "--log", "nothing"], 'there is no step "nothing" in this run'),
    "no such step to explain": (["why", "nothing"], 'has no step "nothing"'),
    "no such step to run": (["run", "small.py", "--only", "nothing"], 'there is no step "nothing"'),
    "a setting without a value": (["run", "small.py", "--set", "model"], "--set model: this is not STEP.SETTING=VALUE"),
    "a drawing nowhere": (["graph", "small.py", "--svg", "no/such/folder.svg"], "no/such/folder.svg: cannot write"),
    "no server": (["export"], "no MLflow server is named"),
    "publish without a folder": (["publish", "last"], "DEST"),
    "publish an unknown run": (["publish", "19990101", "out"], 'run "19990101"'),
    "reproduce nothing": (["reproduce"], "PACKAGE"),
    "reproduce a missing package": (["reproduce", "nowhere"], "nowhere"),
}  # fmt: skip


@pytest.mark.quick(10)
@pytest.mark.parametrize("case", USAGE)
def test_bad_usage_gets_one_line_and_exit_code_two(worked: Worked, case: str) -> None:
    desk, _, _ = worked
    desk.write("syntax.py", "x = 1\ndef (\n")
    desk.write("raises.py", "x = 0\n1 / x\n")
    desk.write("exits.py", "import sys\nsys.exit(0)\n")
    desk.write("empty.py", "import pellucid as pl\n")
    areas = 'areas = pl.source("areas.csv", label="open")\n'
    desk.write("two.py", f'import pellucid as pl\n{areas}one = pl.Pipeline("one", [areas])\ntwo = pl.Pipeline("two", [areas])\n')
    words, expected = USAGE[case]
    done = desk(*words, "--json")
    assert done.code == 2, done
    assert expected in done.complaint
    assert len(done.err.splitlines()) == 1
    assert f"pellucid: {done.json['error']['message']}" == done.complaint
    if case == "an unknown command":
        assert (desk(*words).out, desk(*words).code) == ("", 2)


def test_without_a_word_it_says_what_there_is(worked: Worked) -> None:
    desk, _, _ = worked
    done = desk()
    assert (done.code, done.out) == (2, "")
    assert "commands:" in done.err


def test_a_run_can_be_named_by_how_far_back_it_lies(worked: Worked) -> None:
    desk, _, _ = worked
    names = [run["run"] for run in desk("runs", "--json").json["runs"]]
    assert desk("show", "last~1", "--json").json["run"] == names[1]
    assert desk("compare", "--json").json["runs"] == [names[1], names[0]]
    assert "there is no such run" in desk("show", "last~99999").complaint
    assert desk("show", "small", "--json").json["run"] == names[0]  # a pipeline's newest
