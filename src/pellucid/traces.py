"""Traces in OpenTelemetry's form over runs and requests, off unless asked for by OpenTelemetry's own environment variables.

They are on where `OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` or `OTEL_TRACES_EXPORTER=otlp` is set (and not
`OTEL_SDK_DISABLED=true`); the libraries are the extra `otel`, loaded when the first span is made.

What a span tells is chosen here and nowhere else. A request: the route's template, the method, the status, how long it took; never a path,
a query, a header, an address or a user, and no trace that a client says it belongs to is joined. A run: pipeline, run, status, and a span
for each step with its label, what was done and how long it took. Of a step that is not open, or that saw what is not (a release), it tells
the name alone: not how long it took, not whether it ran. So that neither can be reckoned from the others, all steps of a run stand at its
begin, and a run that has such a step is as long as its open steps together. Messages, settings, digests, sizes, numbers, file names and
what people call a run are in no span. Of the process nothing is told but `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES`.
"""

from __future__ import annotations

import functools
import logging
import os
import secrets
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
WAIT = 3000  # milliseconds for what is left when a run ends


@dataclass(frozen=True)
class TracedStep:
    """One step of a run; `outspoken`: nothing of what it saw or gives is closed."""

    name: str
    label: str
    action: str
    seconds: float
    outspoken: bool


def asked_for() -> bool:
    """Whether the environment asks for traces."""
    named = os.environ.get
    if named("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporter = named("OTEL_TRACES_EXPORTER", "").strip()
    if exporter:
        return exporter == "otlp"
    return bool(named("OTEL_EXPORTER_OTLP_ENDPOINT") or named("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"))


def note_request(route: str, method: str, status: int, seconds: float) -> None:
    """A span for a request that was answered."""
    tracer = _tracer() if asked_for() else None
    if tracer is None:
        return
    method, until = method if method in METHODS else "_OTHER", time.time_ns()
    told = {"http.request.method": method, "http.route": route, "http.response.status_code": status}
    span = _begun(tracer, f"{method} {route}", until - int(seconds * 1e9), told, server=True)
    if status >= 500:
        _failed(span)
    span.end(until)


def note_run(pipeline: str, run: str, status: str, began: float, seconds: float, steps: Iterable[TracedStep]) -> None:
    """A span for a run that has ended, and one for each of its steps; `began` in seconds since 1970."""
    tracer = _tracer() if asked_for() else None
    if tracer is None:
        return
    from opentelemetry.trace import set_span_in_context

    steps, begin = list(steps), int(began * 1e9)
    if not all(step.outspoken for step in steps):
        seconds = sum(step.seconds for step in steps if step.outspoken)
    told = {"pellucid.pipeline": pipeline, "pellucid.run": run, "pellucid.status": status}
    whole = _begun(tracer, "run", begin, told)
    if status == "failed":
        _failed(whole)
    for step in steps:
        about = {"pellucid.step": step.name}
        if step.outspoken:
            about |= {"pellucid.label": step.label, "pellucid.action": step.action}
        span = _begun(tracer, f"step {step.name}", begin, about, within=set_span_in_context(whole))
        span.end(begin + (int(step.seconds * 1e9) if step.outspoken else 0))
    whole.end(begin + int(seconds * 1e9))
    _provider().force_flush(WAIT)


def _begun(tracer: Any, name: str, at: int, told: dict[str, Any], *, server: bool = False, within: Any = None) -> Any:
    from opentelemetry.context import Context
    from opentelemetry.trace import SpanKind

    kind = SpanKind.SERVER if server else SpanKind.INTERNAL
    return tracer.start_span(name, within if within is not None else Context(), kind, told, start_time=at, record_exception=False)


def _failed(span: Any) -> None:
    from opentelemetry.trace import StatusCode

    span.set_status(StatusCode.ERROR)


def _tracer() -> Any:
    provider = _provider()
    return None if provider is None else provider.get_tracer("pellucid")


@functools.cache
def _provider() -> Any:
    """What sends the spans; None, said once, where the libraries are not installed."""
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import OTELResourceDetector, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.id_generator import IdGenerator
    except ImportError:
        said = (
            "pellucid: traces are asked for (OTEL_...), and opentelemetry is not installed: install the extra otel, or unset it"
        )
        print(said, file=sys.stderr, flush=True)
        return None
    said_once: list[bool] = []

    class Once(logging.Handler):
        """One line for all that goes wrong while spans are sent."""

        def emit(self, record: logging.LogRecord) -> None:
            if not said_once:
                said_once.append(True)
                print(f"pellucid: traces: {record.getMessage():.200}", file=sys.stderr, flush=True)

    log = logging.getLogger("opentelemetry")
    log.propagate = False
    log.addHandler(Once())

    class Fresh(IdGenerator):  # type: ignore[misc,unused-ignore]
        """Not from `random`: a step in this process seeds it, and then each run would have the same."""

        def generate_trace_id(self) -> int:
            return secrets.randbits(128) or 1

        def generate_span_id(self) -> int:
            return secrets.randbits(64) or 1

    named = dict(OTELResourceDetector().detect().attributes)
    provider = TracerProvider(resource=Resource({"service.name": "pellucid", **named}), id_generator=Fresh())
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider
