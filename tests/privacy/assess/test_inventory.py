"""Roles are proposed with evidence that quotes nothing, confirmed in a plain file, and refused until they are."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pellucid.errors import PrivacyError, UsageError
from pellucid.privacy.assess import Inventory, inventory, read_inventory
from pellucid.privacy.assess.patterns import count

LINE = re.compile(r"\[(\d\d:\d\d)\] <([^>]+)> (.*)")


@pytest.fixture(scope="session")
def chat(data: Path) -> pa.Table:
    """Messages of the real chat logs: time, nick, text."""
    files = sorted((data / "irc-disentanglement").rglob("*.raw.txt"))
    found = [LINE.fullmatch(line) for file in files for line in file.read_text(errors="replace").splitlines()]
    rows = [match.groups() for match in found if match]
    assert len(rows) > 10_000
    return pa.table({name: [row[at] for row in rows] for at, name in enumerate(("time", "nick", "text"))})


def roles(found: Inventory) -> dict[str, str]:
    return {name: held.role for name, held in found.columns.items()}


def test_roles_of_the_census(adult: pa.Table) -> None:
    found = roles(inventory(adult))
    assert found.pop("salary-class") == "sensitive"
    assert set(found.values()) == {"quasi-identifier"}


def test_roles_of_logs(data: Path) -> None:
    assert roles(inventory(data / "msweb" / "visits.csv")) == {"user_id": "unit", "area_id": "item"}
    ratings = roles(inventory(data / "ml-latest-small" / "ratings.csv"))
    assert ratings == {"userId": "unit", "movieId": "item", "rating": "sensitive", "timestamp": "time"}


def test_roles_of_chats_and_the_names_in_them(chat: pa.Table) -> None:
    found = inventory(chat)
    assert roles(found) == {"time": "time", "nick": "identifier", "text": "text"}
    names = found.columns["text"].names or {}
    assert names["URL"] > 100
    assert names["addressed name"] > 1000
    nicks = set(chat["nick"].to_pylist())
    real = sum(1 for t in chat["text"].to_pylist() if (m := re.match(r"\s*([^\s:,]+)[:,] ", t)) and m[1] in nicks)
    assert names["addressed name"] >= 0.95 * real


def test_nothing_is_quoted(chat: pa.Table, adult: pa.Table) -> None:
    """No value of a column stands in what the inventory of it says (column names and our own words aside)."""
    for table in (chat.slice(0, 3000), adult.slice(0, 3000)):
        found = inventory(table)
        said = json.dumps(found.to_json()) + found.to_text()
        plain = inventory(table.slice(0, 0)).to_text()
        values = {v for column in table.columns for v in column.unique().to_pylist() if isinstance(v, str) and len(v) >= 6}
        leaked = {v for v in values if re.search(rf"(?<!\w){re.escape(v)}(?!\w)", said) and v not in plain}
        assert leaked <= {"identifier", "looks like", "columns", "number", "numbers", "column", "source", "sensitive"}


def test_patterns_find_what_they_should_and_leave_the_rest() -> None:
    there = {
        "e-mail": ["write to a.b+c@example.org.", "x@y.co"],
        "IPv4": ["from 192.168.0.1", "10.0.0.255:80"],
        "IPv6": ["at 2001:db8::ff00:42:8329 now", "fe80::1", "::1", "2001:0db8:0000:0000:0000:ff00:0042:8329"],
        "URL": ["see http://example.org/x", "www.example.org/a", "HTTPS://EXAMPLE.ORG"],
        "phone": ["call +41 22 767 6111 soon", "(555) 123-4567", "+41227676111", "555 123 4567"],
        "handle": ["thanks @alice", "@bob_2: yes", "(@carol)"],
        "addressed name": ["dave: hello", "[eve], no"],
    }
    for kind, texts in there.items():
        assert count(pa.array(texts))[kind] == len(texts), kind
    nowhere = [
        "version 1.2.3.4.5", "300.1.1.1", "at 12:30:45", "std::map", "2011-05-29 19:20", "no@where", "mail@", "C++ 3 4 5",
        "it costs 1,000,000", "x = y@z", "hello world", "1.5 2.5 3.5",
    ]  # fmt: skip
    found = count(pa.array(nowhere))
    assert {kind: n for kind, n in found.items() if n} == {}


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_presidio_counts_offline(monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder) -> None:
    pytest.importorskip("presidio_analyzer")

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("Presidio went to the network")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    texts = ["write to ann@example.org", "from 192.168.0.1", "card 4012888888881881", "call +41 22 767 6111", "nothing here"]
    found = inventory(pa.table({"text": texts}), presidio=True).columns["text"].names or {}
    assert found["EMAIL_ADDRESS"] == 1
    assert found["IP_ADDRESS"] == 1
    assert found["CREDIT_CARD"] == 1
    assert found["PHONE_NUMBER"] >= 1


def test_roles_must_be_confirmed(tmp_path: Path, adult: pa.Table) -> None:
    found = inventory(adult)
    with pytest.raises(PrivacyError, match=r'"sex", "age".*proposed role that nobody confirmed'):
        found.columns_with("quasi-identifier")
    most = found.confirm({name: "quasi-identifier" for name in adult.column_names if name != "race"})
    with pytest.raises(PrivacyError, match='"race" has a proposed role'):
        most.columns_with("quasi-identifier")
    done = found.confirm({"race": "sensitive"}, rest=True)
    assert done.columns_with("sensitive") == ["race", "salary-class"]
    done.write(tmp_path / "inventory.json")
    assert read_inventory(tmp_path / "inventory.json") == done
    with pytest.raises(UsageError, match="it is there already"):
        done.write(tmp_path / "inventory.json")
    with pytest.raises(PrivacyError, match="0 columns have the role unit"):
        done.unit()


def test_an_inventory_may_be_toml(tmp_path: Path) -> None:
    path = tmp_path / "inventory.toml"
    path.write_text('format = "pellucid inventory 1"\n[columns.who]\nrole = "unit"\nconfirmed = true\n')
    assert read_inventory(path).unit() == "who"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "cannot be read"),
        ("[]", "no inventory"),
        ('{"format": "pellucid inventory 1", "columns": {"a": {"role": "king"}}}', "'king' is not a role"),
        ('{"format": "pellucid inventory 1", "columns": {"a": {"role": "item", "confirmed": "yes"}}}', "true or false"),
        ('{"format": "pellucid inventory 1", "columns": {"a": {"role": "item", "names": 3}}}', "malformed"),
    ],
)
def test_a_broken_inventory_is_refused_by_name(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "inventory.json").write_text(text)
    with pytest.raises(UsageError, match=says):
        read_inventory(tmp_path / "inventory.json")


def test_distinct_values_are_counted_in_bounded_memory(tmp_path: Path) -> None:
    from pellucid.data import open_table
    from pellucid.privacy.assess.column_profile import profiles

    path = tmp_path / "many.parquet"
    pq.write_table(pa.table({"id": range(300_000), "few": [n % 1000 for n in range(300_000)]}), path)
    reader = open_table(path)
    many, few = profiles(reader, reader.schema)
    assert few.distinct == 1000
    assert abs(many.distinct - 300_000) < 0.07 * 300_000
