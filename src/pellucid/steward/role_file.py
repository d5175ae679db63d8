"""roles.toml: the role of each column, one a line, for the steward to read and correct in an editor."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path

from pellucid.errors import UsageError, suggest
from pellucid.privacy.assess import ROLES, Inventory

FILE = "roles.toml"

_HEAD = """\
# What each column says about people. Correct what is wrong, and then: pellucid steward inventory --confirm
# The roles:
"""


def text_of(found: Inventory) -> str:
    """The file's text: the roles as they are, and beside each that nobody has confirmed why it was proposed. It quotes no value."""
    lines = [_HEAD.rstrip(), *(f"#   {role}: {means}" for role, means in ROLES.items()), ""]
    for name, held in found.columns.items():
        why = (
            "" if held.confirmed else f"  # proposed, {held.confidence:.0%}" + "".join(f": {line}" for line in held.evidence[:1])
        )
        lines.append(f"{_quoted(name)} = {_quoted(held.role)}{_one_line(why)}")
    return "\n".join(lines) + "\n"


def corrections(path: Path, found: Inventory) -> Mapping[str, str]:
    """The roles that somebody changed in the file since it was written; none where there is no file.

    Raises UsageError, with the file and what is wrong, for what is no TOML, an unknown column or an unknown role.
    """
    try:
        held = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        fix = 'A line is: "column" = "role". Remove the file to have it written anew'
        raise UsageError("it cannot be read", where=str(path), why=str(error).splitlines()[0], fix=fix) from error
    for name, role in held.items():
        if name not in found.columns:
            raise UsageError(f'there is no column "{name}"', where=str(path), fix=suggest(name, found.columns))
        if not isinstance(role, str) or role not in ROLES:
            said = f'"{name}" has the role {role!r:.40}, which is none'
            raise UsageError(said, where=str(path), fix=suggest(str(role), ROLES))
    return {name: role for name, role in held.items() if role != found.columns[name].role}


def _quoted(text: str) -> str:
    """A basic string of TOML (v1.0.0): JSON's escapes, and DEL as one."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _one_line(text: str) -> str:
    return "".join(one if one.isprintable() else " " for one in text)
