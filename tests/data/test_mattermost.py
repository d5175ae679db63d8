"""The Mattermost JSON: six tables out of one object, as a stream. All data here is synthetic."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from pellucid.data import open_table
from pellucid.errors import DataError, UsageError

GENERATOR = Path(__file__).parents[2] / "benchmarks" / "mattermost_synthetic.py"
TABLES = ["teams", "team_members", "channels", "channel_members", "channel_member_history", "users"]


def rows(path, table, **options):
    return open_table(path, format="mattermost", options={"table": table, **options}).read_all()


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory):
    path = tmp_path_factory.mktemp("mattermost") / "mmdata.json"
    subprocess.run([sys.executable, GENERATOR, path, "400"], check=True, stdout=subprocess.DEVNULL)
    return path


def written(folder, data):
    path = folder / "mm.json"
    path.write_text(data if isinstance(data, str) else json.dumps(data))
    return path


@pytest.mark.parametrize("table", TABLES)
def test_every_record_of_a_table_comes_in_order(synthetic, table):
    found = rows(synthetic, table).to_pylist()
    truth = json.loads(synthetic.read_text())[table]
    if table == "users":
        truth = [{"UserId": user, **about} for user, about in truth.items()]
    assert found == truth
    assert len(found) > 5


def test_the_synthetic_people_keep_to_their_units(synthetic):
    """Otherwise a benchmark on it would say nothing about data with communities."""
    units = {row["UserId"]: row["orgUnit"] for row in rows(synthetic, "users").to_pylist()}
    by_team: dict[str, list[str]] = {}
    for row in rows(synthetic, "team_members").to_pylist():
        by_team.setdefault(row["TeamId"], []).append(units[row["UserId"]])
    shares = [Counter(members).most_common(1)[0][1] / len(members) for members in by_team.values() if len(members) >= 5]
    assert sum(shares) / len(shares) > 0.5


RECORD = {"TeamId": 7, "CreateAt": 1514764800000, "DeleteAt": 0, "InviteOnly": True, "EmailDomainRestricted": 0, "Extra": [1]}


def test_identifiers_are_text_and_other_fields_are_left_out(tmp_path):
    path = written(tmp_path, {"teams": [RECORD], "users": {"7": {"building": 31, "orgUnit": None}}})
    assert rows(path, "teams").to_pylist() == [
        {"TeamId": "7", "CreateAt": 1514764800000, "DeleteAt": 0, "InviteOnly": True, "EmailDomainRestricted": False}
    ]
    assert rows(path, "users").to_pylist() == [{"UserId": "7", "building": "31", "orgUnit": None}]
    assert rows(path, "teams", columns=["DeleteAt", "TeamId"]).to_pylist() == [{"DeleteAt": 0, "TeamId": "7"}]


def test_a_membership_without_end_is_null_and_an_empty_table_is_empty(tmp_path):
    record = {"ChannelId": "c", "UserId": "u", "JoinTime": 1, "LeaveTime": None}
    path = written(tmp_path, {"channel_member_history": [record], "team_members": []})
    assert rows(path, "channel_member_history").to_pylist() == [record]
    empty = rows(path, "team_members")
    assert (empty.num_rows, empty.schema.names) == (0, ["TeamId", "UserId", "DeleteAt"])


BROKEN = [
    ({"teams": [RECORD]}, "channels", "there is no table 'channels'. It holds: teams"),
    ({"teams": {"a": 1}}, "teams", "'teams' is not a list of records"),
    ({"teams": 7}, "teams", "'teams' is not a list of records"),
    ({"users": [RECORD]}, "users", "'users' is not an object by user id"),
    ({"teams": [1]}, "teams", "record 1 of 'teams' is not an object"),
    ({"users": {"u": 1}}, "users", "record 1 of 'users' is not an object"),
    ({"teams": [{"TeamId": 1, "Name": "x"}]}, "teams", "'teams' has no field 'CreateAt'. Its first record has: TeamId, Name"),
    ({"teams": [RECORD, {**RECORD, "CreateAt": "x"}]}, "teams", "record 2 of 'teams': CreateAt is 'x': it should be an integer"),
    ({"teams": [{**RECORD, "CreateAt": 1e30}]}, "teams", "record 1 of 'teams': CreateAt is 1e+30"),
    ({"teams": [{**RECORD, "TeamId": [1]}]}, "teams", "TeamId is [1]: it should be text or an integer"),
    ({"teams": [{**RECORD, "InviteOnly": "yes"}]}, "teams", "InviteOnly is 'yes': it should be true or false"),
    ([RECORD], "teams", "is not a JSON object"),
    ("hello", "teams", "is not whole JSON"),
    (json.dumps({"teams": [RECORD, RECORD]})[:-20], "teams", "is not whole JSON"),
    (json.dumps({"teams": [RECORD], "users": {}})[:-1], "teams", "is not whole JSON"),
]


@pytest.mark.parametrize(("data", "table", "says"), BROKEN)
def test_another_shape_is_one_line_that_says_where(data, table, says, tmp_path):
    with pytest.raises(DataError) as caught:
        rows(written(tmp_path, data), table)
    assert says in str(caught.value)
    assert "mm.json" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_table_must_be_said(tmp_path):
    path = written(tmp_path, {"teams": []})
    with pytest.raises(UsageError, match="say which table to read"):
        open_table(path, format="mattermost")
    with pytest.raises(UsageError, match=r"there is no table 'posts'\. table= is one of teams,"):
        rows(path, "posts")


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(tmp_path):
    """A file of 60 MB, whose records alone would take several times that in Python, is read in less than its own size more."""
    path = tmp_path / "large.json"
    record = json.dumps({"ChannelId": "c" * 26, "UserId": "u" * 26, "MsgCount": 1, "MentionCount": 0})
    with path.open("w") as file:
        file.write('{"channel_members": [' + record)
        for _ in range(60):
            file.write(("," + record) * 10_000)
        file.write("]}")
    script = f"""
import resource
from pathlib import Path
from pellucid.data import open_table
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
def rows(path):
    reader = open_table(Path(path), format="mattermost", options={{"table": "channel_members"}})
    return sum(batch.num_rows for batch in reader)
rows({str(written(tmp_path, {"channel_members": [json.loads(record)] * 70_000}))!r})
before = peak()
print(rows({str(path)!r}), peak() - before)
"""
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    count, grown = map(int, shown.split())
    assert count == 600_001
    assert grown < path.stat().st_size / 3
