"""Which state folder a command means that names no pipeline file, and which run of it; said in one line, and never guessed.

The folders in reach: the nearest `.pellucid` here or above, those one folder below, and the one whose pipeline was last run from here.
Where there is one, it is meant. Where there are more, the one with the newest run is meant if that is plain to see from here: it lies here
or above, or was run from here. Otherwise all are listed.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.errors import UsageError
from pellucid.pipeline.record import known_states, state_run_from_here
from pellucid.store import STATE_FILE, home_for

if TYPE_CHECKING:
    from pellucid.pipeline.record import Record

MOST_LISTED = 8


def add_home(parser: argparse.ArgumentParser, place: str = "here or in a folder above") -> None:
    """The option that names the state folder."""
    said = f"the state folder (default: PELLUCID_HOME, or .pellucid {place})"
    parser.add_argument("--home", type=Path, metavar="FOLDER", help=said)


def home_of(arguments: argparse.Namespace) -> Path:
    """The state folder of a command that names no pipeline file and no run. Raises UsageError where none or several could be meant."""
    named = _named(arguments)
    if named is None:
        named = _meant(_in_reach(), "last")
        print(f"state folder {shown(named)}", file=sys.stderr)
    return named


def is_new(arguments: argparse.Namespace) -> bool:
    """Whether there is no state folder yet where the command looks for one: none of that name, or none in reach."""
    if arguments.home is not None or os.environ.get("PELLUCID_HOME"):
        named = Path(arguments.home).absolute() if arguments.home is not None else home_for(None)
        return not named.exists()
    return not _in_reach()


def find_run(arguments: argparse.Namespace, *wanted: str, step: str | None = None) -> tuple[Record, list[dict[str, Any]]]:
    """The record and the runs that are `wanted` (see `Record.find`). `say` which they are once nothing can be refused any more.

    A run by its name is looked for in every state folder in reach. For "last" with a `step` it is the last run that has the step. Raises
    UsageError where none or several could be meant.
    """
    from pellucid.pipeline.record import Record

    named = _named(arguments)
    if named is None:
        reach = _in_reach()
        names = [name for name in wanted if not name.startswith("last")]
        holding = [home for home in reach if names and all(_holds(home, name) for name in names)]
        named = _meant(holding if len(holding) == 1 or (holding and len(names) == len(wanted)) else reach, wanted[-1])
    record = Record(named)
    runs = [record.find(name) for name in wanted]
    if step is not None and wanted == ("last",):
        runs = [_last_with(record, step, runs[0])]
    return record, runs


def _last_with(record: Record, step: str, last: dict[str, Any]) -> dict[str, Any]:
    """The last run that has a step of this name; the last of all where none has."""
    had = record.history(step, 1)
    return record.find(had[0][0]) if had else last


def say(home: Path, *runs: dict[str, Any]) -> None:
    """Which runs of which pipeline in which folder the command acts on, on stderr."""
    for run in runs:
        print(f"run {run['run']} of {run['pipeline']}, in {shown(home)}", file=sys.stderr)


def shown(home: Path) -> str:
    """A state folder as it is named from here: by the shorter of its two paths."""
    home = home.absolute()
    return min(os.path.relpath(home), str(home), key=len)


def home_words(home: Path) -> str:
    """The option a later command needs to find this state folder from here; nothing where it finds it by itself."""
    if os.environ.get("PELLUCID_HOME"):
        found: Path | None = home_for(None)
    else:
        try:
            found = _meant(_in_reach(), "last")
        except UsageError:
            found = None
    return "" if found is not None and _same(found, home) else f" --home {os.path.relpath(home)}"


def _named(arguments: argparse.Namespace) -> Path | None:
    """The state folder that is named: by --home or PELLUCID_HOME. Raises UsageError where it is none."""
    if arguments.home is None and not os.environ.get("PELLUCID_HOME"):
        return None
    home = Path(arguments.home).absolute() if arguments.home is not None else home_for(None)
    if not (home / STATE_FILE).exists():
        inner = home / ".pellucid"
        fix = f"Did you mean {shown(inner)}?" if (inner / STATE_FILE).exists() else _elsewhere()
        raise UsageError("this is no state folder", where=str(home), why=f"it has no {STATE_FILE}", fix=fix)
    return home


def _in_reach() -> list[Path]:
    """Every state folder that a command given here could mean, nearest first."""
    here = Path.cwd()
    above = next((place / ".pellucid" for place in [here, *here.parents] if (place / ".pellucid" / STATE_FILE).exists()), None)
    below = sorted(path.parent for path in here.glob(f"*/.pellucid/{STATE_FILE}"))
    noted = state_run_from_here()
    found: list[Path] = []
    for home in [above, *below, noted]:
        if home is not None and not any(_same(home, other) for other in found):
            found.append(home)
    return found


def _meant(homes: list[Path], wanted: str) -> Path:
    """The one that is plainly meant. Raises UsageError that lists them where it is not plain."""
    if len(homes) == 1:
        return homes[0]
    if not homes:
        raise UsageError("there is no state folder here, above or one folder below", where=str(Path.cwd()), fix=_elsewhere())
    newest = {home: _newest(home) for home in homes}
    latest = max(homes, key=lambda home: newest[home][0])
    noted = state_run_from_here()
    if _here_or_above(latest) or (noted is not None and _same(noted, latest)):
        return latest
    listed = "; ".join(f"--home {shown(home)} ({newest[home][1]})" for home in homes[:MOST_LISTED])
    more = f"; and {len(homes) - MOST_LISTED} more" if len(homes) > MOST_LISTED else ""
    raise UsageError(f'"{wanted}" could be in {len(homes)} state folders', fix=f"Name one: {listed}{more}")


def _newest(home: Path) -> tuple[float, str]:
    from pellucid.pipeline.record import Record

    record = Record(home)
    try:
        runs = record.runs(1)
    finally:
        record.close()
    return (runs[0]["started"], f"{runs[0]['pipeline']}, {runs[0]['run']}") if runs else (0.0, "no runs")


def _holds(home: Path, wanted: str) -> bool:
    from pellucid.pipeline.record import Record

    record = Record(home)
    try:
        record.find(wanted)
    except UsageError:
        return False
    finally:
        record.close()
    return True


def _here_or_above(home: Path) -> bool:
    return Path.cwd().resolve().is_relative_to(home.resolve().parent)


def _same(one: Path, other: Path) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)


def _elsewhere() -> str:
    """What to do where there is no state in reach: where there is some."""
    known = known_states()
    if not known:
        return "Run a pipeline (pellucid run FILE), go to its folder, or name its state folder with --home"
    listed = ", ".join(shown(home) for home in known[:MOST_LISTED])
    more = f" and {len(known) - MOST_LISTED} more" if len(known) > MOST_LISTED else ""
    return f"Pipelines have run in other folders; name one with --home: {listed}{more}"
