"""`pellucid doctor`: whether this installation is in order, and how to mend it."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from pellucid.cli import options, state_folder

SIGNS = {"ok": "ok", "warning": "!", "trouble": "✗"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    state_folder.add_home(parser)


def call(arguments: argparse.Namespace) -> int:
    """Look and say. Exits 1 where there is trouble."""
    from pellucid.maintenance import findings

    home = None if state_folder.is_new(arguments) and arguments.home is None else state_folder.home_of(arguments)
    found = findings(home)
    trouble = any(one.state == "trouble" for one in found)
    if arguments.json:
        options.print_json({"in_order": not trouble, "findings": [asdict(one) for one in found]})
        return int(trouble)
    for one in found:
        print(f"{SIGNS[one.state]:<3}{one.name:<10}{one.said}" + (f"\n   {'':<10}{one.fix}" if one.fix else ""))
    print("in order" if not trouble else "not in order: mend what has a ✗")
    return int(trouble)
