"""The user's own folders on this machine: where the steward's key lies, and notes that help to find things again.

Two kinds of notes, each a small file that is written whole. Which state folder was last run from which working folder, so that `last` is
what it says. And, beside the key, which accounts pay for which data, so that a second state folder with the same data is noticed before it
spends; data are named by keyed pseudonyms, which tell nothing without the key. Notes help, and nothing depends on them: where they cannot
be written, there are none.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pellucid.store import STATE_FILE


def keys_folder() -> Path:
    """`$PELLUCID_KEYS`, else `$XDG_CONFIG_HOME/pellucid/keys`, else `~/.config/pellucid/keys`."""
    named = os.environ.get("PELLUCID_KEYS")
    if named:
        return Path(named).expanduser().absolute()
    config = os.environ.get("XDG_CONFIG_HOME")
    base = Path(config).expanduser() if config else Path.home() / ".config"
    return (base / "pellucid" / "keys").absolute()


def notes_folder() -> Path:
    """`$XDG_STATE_HOME/pellucid`, else `~/.local/state/pellucid`."""
    state = os.environ.get("XDG_STATE_HOME")
    base = Path(state).expanduser() if state else Path.home() / ".local" / "state"
    return (base / "pellucid").absolute()


def note_run(home: Path) -> None:
    """Note that a pipeline of the state folder `home` is run from the working folder."""
    with suppress(OSError, RuntimeError):
        place = os.path.realpath(Path.cwd())
        _write(notes_folder() / "states" / _name(place), notes_folder(), {"from": place, "state": os.path.realpath(home)})


def state_run_from_here() -> Path | None:
    """The state folder whose pipeline was last run from the working folder; None where there is none any more."""
    with suppress(OSError, RuntimeError):
        place = os.path.realpath(Path.cwd())
        note = _read(notes_folder() / "states" / _name(place))
        if note.get("from") == place and _is_state(note.get("state")):
            return Path(note["state"])
    return None


def known_states() -> list[Path]:
    """Every state folder of this user that was run and is still there, in order of their paths."""
    found = {note["state"] for note in _notes(notes_folder() / "states") if _is_state(note.get("state"))}
    return [Path(path) for path in sorted(found)]


def note_account(data: str, home: Path, account: str) -> None:
    """Note that an account of the state folder `home` pays for `data` (a keyed pseudonym)."""
    with suppress(OSError, RuntimeError):
        state = os.path.realpath(home)
        path = keys_folder() / "accounts" / _name(data) / _name(f"{state}\0{account}")
        _write(path, keys_folder(), {"state": state, "account": account})


def accounts_elsewhere(data: str, home: Path) -> list[tuple[Path, str]]:
    """(state folder, account) of every account outside of `home` that pays for `data` (a keyed pseudonym) and is still there."""
    here = os.path.realpath(home)
    found = {
        (note["state"], str(note.get("account")))
        for note in _notes(keys_folder() / "accounts" / _name(data))
        if _is_state(note.get("state")) and note["state"] != here
    }
    return [(Path(state), account) for state, account in sorted(found)]


def _notes(folder: Path) -> Iterator[dict[str, str]]:
    with suppress(OSError):
        for path in sorted(folder.iterdir()):
            yield _read(path)


def _read(path: Path) -> dict[str, str]:
    with suppress(OSError, ValueError):
        note = json.loads(path.read_text("utf-8"))
        if isinstance(note, dict):
            return note
    return {}


def _write(path: Path, top: Path, note: dict[str, str]) -> None:
    text = json.dumps(note, sort_keys=True).encode()
    with suppress(OSError):
        if path.read_bytes() == text:
            return
    for folder in reversed(path.relative_to(top).parents):
        (top / folder).mkdir(mode=0o700, parents=True, exist_ok=True)  # the mode is for the last folder of a path alone
    draft = path.parent / f".{secrets.token_hex(8)}.draft"
    try:
        draft.write_bytes(text)
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def _name(text: str) -> str:
    return hashlib.sha256(os.fsencode(text)).hexdigest()[:32]


def _is_state(path: object) -> bool:
    return isinstance(path, str) and os.path.isfile(os.path.join(path, STATE_FILE))
