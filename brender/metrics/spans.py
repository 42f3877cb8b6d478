"""Spans for OpenTelemetry, where the environment says to whom they go (``OTEL_EXPORTER_OTLP_ENDPOINT``).

A trace is one frame in one attempt. Its id, and that of the span which all others are below, are made of the ids of both, so that
every role finds them by itself, and nothing about traces travels on the bus. Spans carry ids, names that farms give, and times.
"""

import hashlib
import logging
import os
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from brender import __version__

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
    from opentelemetry.trace import SpanContext

log = logging.getLogger("brender.traces")

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_TIMEOUTS = ("OTEL_EXPORTER_OTLP_TIMEOUT", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT")
#: A role that ends waits so long for its last spans to be taken.
_EXPORT_SECONDS = 2
Attributes = Mapping[str, str | int | float]


class Spans:
    """Makes the spans of a *role* called *name*, which go to *processor*. From any thread."""

    def __init__(self, role: str, name: str, processor: "SpanProcessor") -> None:
        from opentelemetry import trace
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
        from opentelemetry.sdk.trace.sampling import Decision

        given = self._given = threading.local()

        class Ids(RandomIdGenerator):
            """Random ids, but for a span whose ids are given."""

            def generate_trace_id(self) -> int:
                return getattr(given, "trace", 0) or super().generate_trace_id()

            def generate_span_id(self) -> int:
                return getattr(given, "span", 0) or super().generate_span_id()

        who = {"service.name": f"brender-{role}", "service.version": __version__, "service.instance.id": name or role}
        self._provider = TracerProvider(resource=Resource.create(who), id_generator=Ids())
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("brender", __version__)
        self._trace = trace
        self._sampled = Decision.RECORD_AND_SAMPLE

    def add(self, attempt: str, part: int, name: str, began: float, ended: float, **attributes: str | int | float) -> None:
        """Add a span to the trace of *part* in *attempt*; times in seconds since 1970."""
        trace, root = ids_of(attempt, part)
        context = self._trace.set_span_in_context(self._trace.NonRecordingSpan(self._root(trace, root)))
        self._make(context, name, began, ended, attempt, part, attributes)

    def add_root(self, attempt: str, part: int, name: str, began: float, ended: float, **attributes: str | int | float) -> None:
        """Add the span that all others of that trace are below."""
        self._given.trace, self._given.span = ids_of(attempt, part)
        try:
            self._make(None, name, began, ended, attempt, part, attributes)
        finally:
            self._given.trace = self._given.span = 0

    def close(self) -> None:
        """Send what was not sent yet, and make no more."""
        self._provider.shutdown()

    def _root(self, trace: int, root: int) -> "SpanContext":
        flags = self._trace.TraceFlags
        decision = self._provider.sampler.should_sample(None, trace, "frame").decision
        decided = decision is self._sampled
        return self._trace.SpanContext(
            trace, root, is_remote=True, trace_flags=flags(flags.SAMPLED if decided else flags.DEFAULT)
        )

    def _make(
        self, context: object, name: str, began: float, ended: float, attempt: str, part: int, attributes: Attributes
    ) -> None:
        said = {
            "brender.attempt": attempt,
            "brender.part": part,
            **{f"brender.{key}": value for key, value in attributes.items()},
        }
        start, end = int(began * 1e9), int(max(began, ended) * 1e9)
        self._tracer.start_span(name, context, attributes=said, start_time=start).end(end)  # type: ignore[arg-type]


def ids_of(attempt: str, part: int) -> tuple[int, int]:
    """Return the ids of the trace of *part* in *attempt*, and of the span that all others in it are below; neither is 0.

    All their bits are spread evenly, as samplers want it.
    """
    digest = hashlib.sha256(f"{attempt}:{part}".encode()).digest()
    return int.from_bytes(digest[:16]) or 1, int.from_bytes(digest[16:24]) or 1


def spans(role: str, name: str = "", environment: Mapping[str, str] = os.environ) -> Spans | None:
    """Return what makes the spans of a *role* called *name*; ``None`` where the *environment* names nobody who takes them."""
    named = {each: environment[each] for each in _ENDPOINTS if environment.get(each)}
    if not named or environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    for variable, url in named.items():
        if not url.startswith(("http://", "https://")):
            log.warning("there are no traces: %s is %r, and would have to be a URL such as http://collector:4318", variable, url)
            return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
    except ImportError as error:
        log.warning("there are no traces, though %s is set: %s. pip install 'brender[otel]'", next(iter(named)), error)
        return None

    class Exporter(OTLPSpanExporter):
        """Says once that nobody takes the spans, and once that somebody does again."""

        is_refused = False

        def export(self, spans: "Sequence[ReadableSpan]") -> SpanExportResult:
            result = super().export(spans)
            if (refused := result is not SpanExportResult.SUCCESS) != self.is_refused:
                self.is_refused = refused
                said = "are dropped: nobody takes them there" if refused else "are taken again"
                log.warning("spans for OTEL_EXPORTER_OTLP_ENDPOINT %s", said)
            return result

    logging.getLogger(OTLPSpanExporter.__module__).setLevel(logging.CRITICAL)  # (a line at each try)
    timeout = None if any(environment.get(each) for each in _TIMEOUTS) else _EXPORT_SECONDS
    return Spans(role, name, BatchSpanProcessor(Exporter(timeout=timeout)))
