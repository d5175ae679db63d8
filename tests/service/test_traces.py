"""What leaves as a trace: a real receiver of OTLP over HTTP takes what the service and runs send, and every byte is looked through."""

from __future__ import annotations

import http.client
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import served_shop

from pellucid import traces
from pellucid.pipeline.record import Record

ADDRESS = "127.77.31.9"
REQUEST = {"http.request.method", "http.route", "http.response.status_code"}
RUN = {"pellucid.pipeline", "pellucid.run", "pellucid.status"}
STEP, OPEN_STEP = {"pellucid.step"}, {"pellucid.step", "pellucid.label", "pellucid.action"}


class Receiver(ThreadingHTTPServer):
    """Takes exports at /v1/traces; `bodies` are the bytes as they came."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.bodies.append(body if self.path == "/v1/traces" else b"?")
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def spans(self) -> list[Any]:
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

        found = []
        for body in list(self.bodies):
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                assert {one.key for one in resource.resource.attributes} == {"service.name"}
                found += [span for scope in resource.scope_spans for span in scope.spans]
        return found

    def wait_for(self, wanted: Any) -> list[Any]:
        until = time.monotonic() + 30
        while not wanted(spans := self.spans()):
            assert time.monotonic() < until, [span.name for span in spans]
            time.sleep(0.05)
        return spans


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)
    found = Receiver()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{found.server_address[1]}")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
    yield found
    found.shutdown()
    found.server_close()


def told(span: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in span.attributes}


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_no_export_of_requests_holds_what_was_asked_or_by_whom(shop: Path, receiver: Receiver):
    words = [f"zq{secrets.token_hex(5)}" for _ in range(60)]
    started = served_shop.start(shop)
    try:
        connection = http.client.HTTPConnection(urlsplit(started.address).netloc, timeout=60, source_address=(ADDRESS, 0))
        trace = secrets.token_hex(16)
        headers = {
            "Content-Type": "application/json", "User-Agent": words[0], "Cookie": f"a={words[1]}",
            "traceparent": f"00-{trace}-{secrets.token_hex(8)}-01", "baggage": f"who={words[2]}",
        }  # fmt: skip

        def ask(path: str, body: bytes | None = None, method: str = "") -> int:
            connection.request(method or ("POST" if body else "GET"), path, body, headers)
            answer = connection.getresponse()
            answer.read()
            return answer.status

        for at, word in enumerate(words):
            paths = (f"/search?q={word}", f"/documents/{word}", f"/runs/{word}", f"/{word}/{word}", f"/packages/{word}/{word}")
            ask(paths[at % len(paths)])
        for word in words[:20]:
            ask("/recommend", json.dumps({"items": [word, 18]}).encode())
            ask(f"/models/{word}/predict", json.dumps({"items": [word]}).encode())
        assert ask("/health", method=words[3].upper()) == 405
        connection.close()
        spans = receiver.wait_for(lambda spans: len(spans) >= 101)
    finally:
        served_shop.end(started)
    for body in receiver.bodies:
        assert not re.search("|".join([*words, ADDRESS, str(shop.parent)]).encode(), body, re.IGNORECASE)
        assert bytes.fromhex(trace) not in body
    assert all(set(told(span)) == REQUEST and not span.events and not span.links and not span.parent_span_id for span in spans)
    routes = {told(span)["http.route"] for span in spans}
    assert {"/search", "/documents/{id:path}", "/runs/{run}", "other", "/recommend", "/models/{alias}/predict"} <= routes
    assert {told(span)["http.request.method"] for span in spans} == {"GET", "POST", "_OTHER"}
    assert len({span.trace_id for span in spans}) == len(spans)


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_run_is_told_with_its_open_steps_and_of_the_others_the_name_alone(shop: Path, receiver: Receiver, tmp_path: Path):
    folder = tmp_path / "shop"
    folder.mkdir()
    for name in ("areas.csv", "visits.csv", "shop.py"):
        shutil.copy(shop.parent / name, folder / name)
    with (folder / "visits.csv").open("a") as file:
        file.write("99123456,1018\n")
    environment = {**os.environ, "PELLUCID_KEYS": str(tmp_path / "keys")}
    for _ in range(2):
        command = [
            sys.executable,
            "-m",
            "pellucid",
            "run",
            "shop.py",
            "--name",
            "wunderkammer",
            "--tag",
            "split=zebulon",
            "--quiet",
        ]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=200)
        assert done.returncode == 0, done.stderr
    spans = receiver.spans()
    runs = [span for span in spans if span.name == "run"]
    assert [told(span)["pellucid.status"] for span in runs] == ["done", "done"] and all(set(told(span)) == RUN for span in runs)
    assert len({span.trace_id for span in spans}) == 2
    record = Record(folder / ".pellucid")
    steps = record.steps(told(runs[0])["pellucid.run"])
    record.close()
    names = {step.step for step in steps}
    closed = {"visits", "matrix", "secret"}
    for whole in runs:
        mine = {told(span)["pellucid.step"]: span for span in spans if span.parent_span_id == whole.span_id}
        assert set(mine) == names
        for name, span in mine.items():
            assert set(told(span)) == (STEP if name in closed else OPEN_STEP), name
            assert span.start_time_unix_nano == whole.start_time_unix_nano
            assert name not in closed or span.end_time_unix_nano == span.start_time_unix_nano
        lengths = [span.end_time_unix_nano - span.start_time_unix_nano for span in mine.values()]
        assert abs(whole.end_time_unix_nano - whole.start_time_unix_nano - sum(lengths)) < 1e6
    artifacts = [artifact for step in steps for artifact in step.outputs.values()]
    hidden = {"wunderkammer", "zebulon", "split", "99123456", "1018", str(folder), "visits.csv", "user_id", socket.gethostname()}
    hidden |= {artifact.digest.partition(":")[2] for artifact in artifacts} | {artifact.sha256 for artifact in artifacts}
    hidden |= {step.key for step in steps} | {str(artifact.size) for artifact in artifacts if artifact.size > 9999}
    for body in receiver.bodies:
        assert [one for one in hidden if one and one.encode() in body] == []


def test_methods_that_nobody_listed_are_told_as_one(monkeypatch: pytest.MonkeyPatch):
    told: list[str] = []
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "otlp")
    monkeypatch.setattr(traces, "_tracer", lambda: object())
    monkeypatch.setattr(traces, "_begun", lambda _, name, *rest, **more: told.append(name) or Ended())
    traces.note_request("/search", "ANN-WAS-HERE", 405, 0.1)
    assert told == ["_OTHER /search"]


class Ended:
    def end(self, at: int) -> None:
        assert at > 0


@pytest.mark.parametrize(
    ("variables", "on"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:1"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_TRACES_EXPORTER": "none"}, False),
        ({"OTEL_TRACES_EXPORTER": "console"}, False),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_SDK_DISABLED": "true"}, False),
        ({"OTEL_SERVICE_NAME": "areas"}, False),
    ],
)
def test_traces_are_off_unless_asked_for(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], on: bool):
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert traces.asked_for() == on


@pytest.mark.parametrize(
    "variables", [{}, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_EXPORTER_OTLP_COMPRESSION": "soon"}]
)
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_nothing_is_loaded_unless_asked_for_and_a_wrong_variable_is_one_line(tmp_path: Path, variables: dict[str, str]):
    program = (
        "import sys, time; from pellucid import traces; traces.note_run('p', 'r', 'done', time.time(), 1.0, [])\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')][:1])"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")} | variables
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert (done.stdout.strip() == "[]") == (not variables)
    assert len(done.stderr.splitlines()) == (1 if variables else 0), done.stderr


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_receiver_that_is_not_there_stops_no_run(tmp_path: Path):
    (tmp_path / "one.py").write_text(
        "import pellucid as pl\n@pl.step\ndef one() -> pl.Metrics:\n    return {'n': 1.0}\npipeline = pl.Pipeline('one', [one])\n"
    )
    environment = {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    command = [sys.executable, "-m", "pellucid", "run", "one.py"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "done" in done.stdout + done.stderr
    assert len([line for line in done.stderr.splitlines() if "traces" in line]) == 1, done.stderr
