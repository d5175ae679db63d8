"""The collector takes every good report, refuses every bad one by name, and forgets neither."""

from __future__ import annotations

import secrets
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from local_checks import key

from pellucid.errors import PrivacyError
from pellucid.privacy.local import Collection, Collector
from pellucid.privacy.local.collection import declare, read
from pellucid.privacy.local.oracles import oracle
from pellucid.privacy.local.report_format import batch, decoded, encoded
from pellucid.privacy.noise.stream import Stream

LETTERS = declare("letters", list("abcdefgh"), 1.0, reports_per_period=2)


def reports(collection: Collection, codes: Any, period: int = 1, client: bytes | None = None, seed: int = 0) -> list[bytes]:
    payloads = collection.oracle.perturb(np.asarray(codes), Stream(key(seed)))
    return [
        encoded(collection, bytes(row), client=client or secrets.token_bytes(16), nonce=secrets.token_bytes(8), period=period)
        for row in payloads
    ]


@pytest.fixture
def collector(tmp_path: Path) -> Any:
    made = Collector(tmp_path)
    made.open(LETTERS)
    yield made
    made.close()


@pytest.mark.parametrize("name", ["grr", "hadamard", "olh", "oue", "rappor", "subset", "sue"])
def test_a_collections_text_is_read_back_and_its_reports_are_taken(name: str, tmp_path: Path) -> None:
    made = declare("x", [f"v{i}" for i in range(20)], 1.5, oracle_name=name)
    assert read(made.text).id == made.id
    assert read(made.text).oracle == made.oracle
    collector = Collector(tmp_path)
    collector.open(made)
    codes = np.arange(4000) % 4
    assert collector.ingest(batch(reports(made, codes))).taken == 4000
    found = collector.estimate(made)
    assert (np.abs(found.frequencies - np.bincount(codes, minlength=20) / 4000) < 5 * found.errors).all()
    collector.close()


def test_each_bad_report_is_refused_by_name_and_no_good_one_is_lost(collector: Collector) -> None:
    good = reports(LETTERS, [0, 1, 2, 3])
    flooding = secrets.token_bytes(16)
    other_epsilon = declare("letters", list("abcdefgh"), 2.0, reports_per_period=2)
    other_domain = declare("letters", list("abcdefghi"), 1.0, reports_per_period=2, oracle_name=LETTERS.oracle.name)
    bad = [
        (good[0], "replayed"),
        (good[1][:2] + b"\x02" + good[1][3:], "another version"),
        (good[2][:-1], "malformed"),
        (good[2] + b"\0", "malformed"),
        (b"", "malformed"),
        (good[3][:48] + secrets.token_bytes(8) + b"\xff" * LETTERS.oracle.width, "malformed"),
        (reports(other_epsilon, [0])[0], "another epsilon"),
        (reports(declare("renamed", list("abcdefgh"), 1.0), [0])[0], "another collection"),
        (good[3][:20] + (2_000_000).to_bytes(4, "little") + good[3][24:], "another epsilon"),
    ]
    if other_domain.millionths == LETTERS.millionths:
        bad.append((reports(other_domain, [0])[0], "another domain"))
    mixed = [*good, *[one for one, _ in bad], *reports(LETTERS, [5] * 5, client=flooding), None]
    outcome = collector.take_reports(mixed)
    assert outcome.taken == 4 + 2
    wanted: dict[str, int] = {"flooded": 3}
    for _, reason in [*bad, (None, "malformed")]:
        wanted[reason] = wanted.get(reason, 0) + 1
    assert outcome.refused == wanted
    trace = {(row["client"], row["reason"]): row["count"] for row in collector.refused()}
    assert trace[flooding.hex(), "flooded"] == 3
    assert sum(trace.values()) == sum(wanted.values())
    assert collector.estimate(LETTERS).reports == 6


def test_the_domain_is_named_when_it_is_what_differs(tmp_path: Path) -> None:
    collector = Collector(tmp_path)
    collector.open(declare("x", list("abc"), 1.0, oracle_name="sue"))
    assert collector.ingest(batch(reports(declare("x", list("abcd"), 1.0, oracle_name="sue"), [0]))).refused == {
        "another domain": 1
    }
    collector.close()


def test_what_was_taken_and_refused_outlives_the_collector(tmp_path: Path) -> None:
    sent = reports(LETTERS, [0, 1, 2])
    first = Collector(tmp_path)
    first.open(LETTERS)
    assert first.ingest(batch(sent)).taken == 3
    first.close()
    again = Collector(tmp_path)
    assert again.ingest(batch(sent)).refused == {"replayed": 3}
    assert again.estimate(LETTERS).reports == 3
    assert sum(row["count"] for row in again.refused()) == 3
    again.close()


def test_the_same_batch_from_several_sides_at_once_is_taken_once(tmp_path: Path) -> None:
    data, outcomes = batch(reports(LETTERS, [0, 1, 2] * 100)), []
    first = Collector(tmp_path)
    first.open(LETTERS)

    def take() -> None:
        own = Collector(tmp_path)
        outcomes.append(own.ingest(data))
        own.close()

    threads = [threading.Thread(target=take) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(one.taken for one in outcomes) == [0] * 5 + [300]
    assert first.estimate(LETTERS).reports == 300
    first.close()


def test_a_batch_cut_off_gives_what_came_before_the_cut(collector: Collector) -> None:
    data = batch(reports(LETTERS, [0, 1, 2, 3]))
    outcome = collector.ingest(data[:-3])
    assert (outcome.taken, outcome.refused) == (3, {"malformed": 1})


@pytest.mark.parametrize("data", [b"", b"PB", b"XX\x01\0\0\0\0\0", b"PB\x02\0\0\0\0\0"])
def test_what_is_no_batch_is_refused_and_leaves_a_trace(collector: Collector, data: bytes) -> None:
    with pytest.raises(PrivacyError, match="batch"):
        collector.ingest(data)
    assert [row["reason"] for row in collector.refused()] == ["malformed"]


@given(st.binary(max_size=400), st.integers(0, 200), st.integers(1, 255))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_bytes_break_the_collector(collector: Collector, junk: bytes, at: int, flip: int) -> None:
    decoded(junk)
    collector.take_reports([junk])
    data = bytearray(batch(reports(LETTERS, [1])))
    data[at % len(data)] ^= flip
    try:
        outcome = collector.ingest(bytes(data))
    except PrivacyError:
        return
    assert outcome.taken + sum(outcome.refused.values()) >= (0 if at % len(data) < 8 else 1)


def test_what_a_client_spent_is_the_sum_over_collections_and_periods(tmp_path: Path) -> None:
    kept = declare("kept", list("abcd"), 1.0, oracle_name="rappor", reports_per_period=5, max_memoized_values=2)
    collector, client = Collector(tmp_path), secrets.token_bytes(16)
    for made in (LETTERS, kept):
        collector.open(made)
    for period in range(10):
        collector.ingest(batch(reports(LETTERS, [1], period, client) + reports(kept, [2], period, client, period)))
    found = collector.spent(client)
    assert [part["reports"] for part in found["collections"]] == [10, 10]
    assert found["epsilon"] == 2 * kept.oracle.epsilon + 10 * LETTERS.oracle.epsilon
    assert collector.spent(bytes(16))["epsilon"] == 0
    with pytest.raises(PrivacyError, match="not independent"):
        collector.estimate(kept)
    assert collector.estimate(kept, 3).reports == 1
    collector.close()


def test_of_rappor_one_report_of_each_client_counts(tmp_path: Path) -> None:
    kept = declare("kept", list("abcd"), 1.0, oracle_name="rappor", reports_per_period=20)
    collector = Collector(tmp_path)
    collector.open(kept)
    for who in range(30):
        collector.ingest(batch(reports(kept, [1] * 20, 0, secrets.token_bytes(16), who)))
    assert collector.estimate(kept, 0).reports == 30
    collector.close()


def test_reports_of_another_period_are_refused(collector: Collector) -> None:
    client = secrets.token_bytes(16)
    outcome = collector.ingest(batch([one for at in range(50) for one in reports(LETTERS, [1], at, client)]), range(7, 9))
    assert outcome.taken == 2
    assert outcome.refused == {"another period": 48}


def test_an_undeclared_value_is_refused_before_it_is_a_report() -> None:
    with pytest.raises(PrivacyError, match="never declared") as refused:
        LETTERS.encode(["a", "my secret"])
    assert "secret" not in str(refused.value)
    assert LETTERS.encode(["a", "h"]).tolist() == [0, 7]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        '{"format": 2}',
        "null",
        LETTERS.text[:-1],
        LETTERS.text.replace('"reports_per_period":2', '"reports_per_period":0'),
    ],
)
def test_what_is_no_collection_is_refused(text: str) -> None:
    with pytest.raises(PrivacyError):
        read(text)


def test_a_collection_needs_as_many_values_as_its_oracle() -> None:
    with pytest.raises(PrivacyError, match="declared"):
        Collection("x", oracle("grr", 3, 1.0), ("a", "b"))
    with pytest.raises(PrivacyError, match="different"):
        Collection("x", oracle("grr", 2, 1.0), ("a", "a"))
