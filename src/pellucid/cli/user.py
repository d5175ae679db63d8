"""`pellucid user`: who may sign in to the service, and with which role."""

from __future__ import annotations

import argparse
import getpass
import sys
from typing import TYPE_CHECKING

from pellucid.cli import options, state_folder
from pellucid.errors import UsageError

if TYPE_CHECKING:
    from pellucid.service import Accounts

ACTIONS = ("list", "add", "remove", "token")


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    said = (
        "list (default); add NAME, whose password is asked for or read from stdin; remove NAME; token NAME: a token for programs"
    )
    parser.add_argument("action", nargs="?", choices=ACTIONS, default="list", help=said)
    parser.add_argument("name", nargs="?", metavar="NAME", help="a user")
    parser.add_argument("--role", default="", help="viewer, researcher, operator or steward; of a token that or less")
    parser.add_argument(
        "--days", type=options.whole(1), default=90, metavar="N", help="for token: how long it is good for (default: 90)"
    )
    state_folder.add_home(parser)


def call(arguments: argparse.Namespace) -> int:
    """Do one of the actions."""
    from pellucid.service import ROLES, Accounts

    accounts = Accounts(state_folder.home_of(arguments))
    if arguments.action == "list":
        if arguments.name is not None:
            raise UsageError("list takes no name", where="user")
        return _list(accounts, arguments.json)
    if arguments.name is None:
        raise UsageError(f"{arguments.action} needs a name", where="user", fix="See: pellucid user --help")
    if arguments.action == "add":
        if not arguments.role:
            raise UsageError("the user has no role", where="user add", fix=f"Give --role: {', '.join(ROLES[1:])}")
        user = accounts.add(arguments.name, arguments.role, _password())
        _tell(arguments, {"name": user.name, "role": user.role}, f"{user.name} may sign in as {user.role}")
    elif arguments.action == "remove":
        accounts.remove(arguments.name)
        _tell(arguments, {"removed": arguments.name}, f"{arguments.name} may sign in no more; sessions and tokens are over")
    else:
        token = accounts.token(arguments.name, arguments.role, arguments.days)
        if not arguments.json:
            print(f"shown this once, good for {arguments.days} days; send it as: Authorization: Bearer TOKEN", file=sys.stderr)
        _tell(arguments, {"name": arguments.name, "token": token}, token)
    return 0


def _list(accounts: Accounts, as_json: bool) -> int:
    users = accounts.all()
    if as_json:
        options.print_json({"users": [vars(one) for one in users]})
    else:
        rows = [[one.name, one.role] for one in users]
        print(options.table(rows, ["user", "role"]) if rows else "no user yet: pellucid user add NAME --role steward")
    return 0


def _password() -> str:
    """Asked for twice in a terminal; else the first line of stdin."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    password = getpass.getpass("Password: ")
    if getpass.getpass("Again: ") != password:
        raise UsageError("the two are not the same", fix="Try again")
    return password


def _tell(arguments: argparse.Namespace, told: dict[str, str], line: str) -> None:
    if arguments.json:
        options.print_json(told)
    else:
        print(line)
