"""`pellucid tag`: give a run a name, tags or a note, while it is remembered what it was for."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from pellucid.cli import options, state_folder
from pellucid.errors import UsageError


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("run", metavar="RUN", help="a run, the start of its name, a pipeline (its newest run), last or last~1")
    parser.add_argument("tags", nargs="*", metavar="KEY=VALUE", help="a tag; one of the same key is replaced")
    parser.add_argument("--name", default="", metavar="NAME", help="a name by which other commands find it")
    parser.add_argument("--note", default="", metavar="TEXT", help="a note")
    state_folder.add_home(parser)


def tags_of(pairs: list[str]) -> dict[str, str]:
    """Tags as a mapping. Raises UsageError for one without "="."""
    found = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise UsageError("this is not KEY=VALUE", where=f"tag {pair}", fix="Such as: split=2")
        found[key] = value
    return found


def call(arguments: argparse.Namespace) -> int:
    """Write it down, and say what the run is called now."""
    from pellucid.pipeline.record import RunTags, tags_of_runs, write_tags

    given = RunTags(arguments.name, tags_of(arguments.tags), arguments.note)
    if given == RunTags():
        raise UsageError("nothing is given", where="tag", fix="Give a tag (KEY=VALUE), --name NAME or --note TEXT")
    record, (run,) = state_folder.find_run(arguments, arguments.run)
    write_tags(record.db, run["run"], given)
    now = tags_of_runs(record.db, [run["run"]])[run["run"]]
    record.close()
    state_folder.say(record.home, run)
    if arguments.json:
        options.print_json({"run": run["run"], **vars(now)})
    else:
        print(options.wrapped(shown(run["run"], now.name, now.tags, now.note)))
    return 0


def shown(run: str, name: str, tags: Mapping[str, str], note: str) -> str:
    """What a run is called, in a line."""
    words = [name, *(f"{key}={value}" for key, value in sorted(tags.items()))]
    return f"{run}: {' '.join(filter(None, words))}" + (f"; {note}" if note else "")
