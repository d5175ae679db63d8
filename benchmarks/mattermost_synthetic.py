"""A SYNTHETIC file of the shape of the CERN Mattermost data set, of any size: no record of it is about anybody.

    python benchmarks/mattermost_synthetic.py OUT.json [users]

Teams gather around organisational units, people join the teams of their own unit far more often than others, channel sizes
follow a Zipf-like law, and a few channels hold most messages. The file is written as it is made, so memory does not grow with it.
20,794 users (the size of the original) give about the original's numbers of teams and channels. Say "synthetic" wherever a
figure or a picture made from it is shown.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO

import numpy as np

START, END = 1_514_764_800_000, 1_635_724_800_000  # January 2018 to November 2021, epoch milliseconds
_HOME = 0.85  # probability that a membership is within one's own unit


def identifier(letter: str, number: int) -> str:
    """A made-up identifier of 26 characters, as long as Mattermost's."""
    return letter + hashlib.blake2b(b"%d" % number, digest_size=13).hexdigest()[1:]


class Synthetic:
    """The communities: sizes and memberships, drawn from `seed`. The numbers of the original at 20,794 users, in proportion."""

    def __init__(self, users: int, seed: int = 6319684) -> None:
        self.random = np.random.default_rng(seed)
        self.users = users
        self.units = max(2, round(users * 163 / 20794))
        self.buildings = max(2, round(users * 151 / 20794))
        self.teams = max(2, round(users * 2367 / 20794))
        self.channels = max(self.teams, round(users * 12773 / 20794))
        self.unit_of_user = self._zipf(self.units, users)
        self.unit_of_team = self._zipf(self.units, self.teams)
        self.team_of_channel = np.concatenate([np.arange(self.teams), self._zipf(self.teams, self.channels - self.teams)])
        self.members = self._team_members()

    def _zipf(self, choices: int, size: int) -> np.ndarray[Any, Any]:
        weights = 1 / np.arange(1, choices + 1)
        return self.random.choice(choices, size, p=weights / weights.sum())

    def _team_members(self) -> list[np.ndarray[Any, Any]]:
        by_unit = [np.flatnonzero(self.unit_of_user == unit) for unit in range(self.units)]
        sizes = np.minimum(self.users, 2 + (self.users / 2 / np.arange(1, self.teams + 1) ** 0.75).astype(int))
        members = []
        for unit, size in zip(self.unit_of_team, self.random.permutation(sizes), strict=True):
            home = by_unit[unit]
            near = self.random.choice(home, min(len(home), int(size * _HOME)), replace=False)
            far = self.random.integers(0, self.users, size - len(near))
            members.append(np.unique(np.concatenate([near, far])))
        return members

    def _time(self) -> int:
        return int(self.random.integers(START, END))

    def _deleted(self) -> int:
        return self._time() if self.random.random() < 0.05 else 0

    def tables(self) -> dict[str, Iterable[dict[str, Any]]]:
        """The five lists of records, made as they are read, in the order of the original."""
        return {
            "teams": self._teams(),
            "team_members": self._memberships(),
            "channels": self._channels(),
            "channel_members": self._channel_members(),
            "channel_member_history": self._history(),
        }

    def _teams(self) -> Iterator[dict[str, Any]]:
        for team in range(self.teams):
            limits = {"InviteOnly": bool(self.random.random() < 0.6), "EmailDomainRestricted": bool(self.random.random() < 0.1)}
            yield {"TeamId": identifier("t", team), "CreateAt": self._time(), "DeleteAt": self._deleted(), **limits}

    def _memberships(self) -> Iterator[dict[str, Any]]:
        for team, members in enumerate(self.members):
            for user in members:
                yield {"TeamId": identifier("t", team), "UserId": identifier("u", user), "DeleteAt": self._deleted()}

    def _channels(self) -> Iterator[dict[str, Any]]:
        for channel, team in enumerate(self.team_of_channel):
            posts = int(self.random.zipf(1.7)) % 1_000_000
            yield {
                "ChannelId": identifier("c", channel),
                "TeamId": identifier("t", team),
                "CreatorId": identifier("u", self.random.choice(self.members[team])),
                "CreateAt": self._time(),
                "DeleteAt": self._deleted(),
                "TotalMsgCount": posts + int(self.random.integers(0, 50)),
                "PostCount": posts,
                "ReactionsCount": int(self.random.integers(0, posts + 1)),
            }

    def _channel_members(self) -> Iterator[dict[str, Any]]:
        for channel, users in self._in_channels():
            for user in users:
                counts = {"MsgCount": int(self.random.zipf(1.6)) % 100_000, "MentionCount": int(self.random.integers(0, 5))}
                yield {"ChannelId": identifier("c", channel), "UserId": identifier("u", user), **counts}

    def _history(self) -> Iterator[dict[str, Any]]:
        for channel, users in self._in_channels():
            for user in users:
                join = self._time()
                leave = int(self.random.integers(join, END + 1)) if self.random.random() < 0.2 else None
                yield {
                    "ChannelId": identifier("c", channel),
                    "UserId": identifier("u", user),
                    "JoinTime": join,
                    "LeaveTime": leave,
                }

    def _in_channels(self) -> Iterator[tuple[int, np.ndarray[Any, Any]]]:
        """Who is in which channel: a prefix of the team in a fixed random order; the same at every call."""
        random = np.random.default_rng(self.users)
        for channel, team in enumerate(self.team_of_channel):
            members = self.members[team]
            share = 1.0 if channel < self.teams else 1 / (1 + random.zipf(1.5) % 20)
            yield channel, random.permutation(members)[: max(1, int(len(members) * share))]

    def people(self) -> Iterator[tuple[str, dict[str, str]]]:
        """User id and what is known of them."""
        for user, unit in enumerate(self.unit_of_user):
            building = (int(unit) * 7 + int(self.random.integers(0, 3))) % self.buildings
            yield identifier("u", user), {"building": f"b{building}", "orgUnit": f"o{unit}"}


def write(out: TextIO, users: int) -> None:
    """Write the synthetic data set of so many users as one JSON object."""
    made = Synthetic(users)
    out.write("{")
    for name, records in made.tables().items():
        out.write(f'"{name}": [')
        out.writelines((",\n" if i else "\n") + json.dumps(record) for i, record in enumerate(records))
        out.write("],\n")
    out.write('"users": {')
    out.writelines((",\n" if i else "\n") + f'"{user}": {json.dumps(about)}' for i, (user, about) in enumerate(made.people()))
    out.write("}}\n")


if __name__ == "__main__":
    path = Path(sys.argv[1])
    with path.open("w") as file:
        write(file, int(sys.argv[2]) if len(sys.argv) > 2 else 20794)
    print(f"{path}: {path.stat().st_size / 1e6:.0f} MB of synthetic records")
