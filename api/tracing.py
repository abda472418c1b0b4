"""Spans of requests, GraphQL operations and questions to the database, for OpenTelemetry.

Law: nothing is traced, and OpenTelemetry not even loaded, until `QLEDGER_TRACING` is on. A span has
names, codes, positions and times, never the text of a question or its values; there is none a
field, which would cost more than the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from ledger.domain.basis import Basis
from ledger.domain.errors import InvalidInput
from ledger.domain.times import format_instant

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

SERVICE = "qledger"
_NOTHING: AbstractContextManager[None] = nullcontext()


class _Tracing:
    """The one tracer of this process; none until it is switched on."""

    tracer: Tracer | None = None


def switch_on(make_tracer: Callable[[], Tracer] | None = None) -> None:
    """Trace from now on.

    Args:
        make_tracer: makes the tracer; by default one that sends to the collector that the
            environment's `OTEL_*` variables name.

    Raises:
        InvalidInput: `invalid-setting`, OpenTelemetry is not installed.
    """
    try:
        _Tracing.tracer = (make_tracer or _exporting)()
    except ImportError:
        raise InvalidInput(
            "invalid-setting",
            "QLEDGER_TRACING is on, and OpenTelemetry is not installed",
            hint="pip install 'qualification-ledger[otel]'",
        ) from None


def switch_off() -> None:
    """Trace nothing from now on, and send what is still to be sent."""
    tracer, _Tracing.tracer = _Tracing.tracer, None
    if tracer is not None:
        from opentelemetry import trace  # noqa: PLC0415 - loaded where it is wanted

        end: Callable[[], None] | None = getattr(trace.get_tracer_provider(), "shutdown", None)
        if end is not None:
            end()


def _exporting() -> Tracer:
    from opentelemetry import trace  # noqa: PLC0415
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
        OTLPSpanExporter,
    )
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    provider = TracerProvider(resource=Resource.create({"service.name": SERVICE}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    return provider.get_tracer(SERVICE)


def request_span(method: str, headers: Iterable[tuple[bytes, bytes]]) -> Any:
    """The span of an HTTP request, below that of who asks where they told it.

    Args:
        method: of HTTP.
        headers: as they came.
    """
    tracer = _Tracing.tracer
    if tracer is None:
        return _NOTHING
    from opentelemetry.propagate import extract  # noqa: PLC0415
    from opentelemetry.trace import SpanKind  # noqa: PLC0415

    carrier = {key.decode("latin-1"): value.decode("latin-1") for key, value in headers}
    return tracer.start_as_current_span(
        method,
        context=extract(carrier),
        kind=SpanKind.SERVER,
        attributes={"http.request.method": method},
        record_exception=False,
        set_status_on_exception=False,
    )


def span(name: str, attributes: Mapping[str, Any] | None = None) -> Any:
    """A span of something that is done for the request at hand.

    Args:
        name: what is done.
        attributes: names, codes and numbers.
    """
    tracer = _Tracing.tracer
    if tracer is None:
        return _NOTHING
    return tracer.start_as_current_span(
        name, attributes=attributes, record_exception=False, set_status_on_exception=False
    )


def question_span(basis: Basis) -> Any:
    """The span of a question to the database at a basis."""
    if _Tracing.tracer is None:
        return _NOTHING
    return span("question", basis_attributes(basis))


def tell(attributes: Mapping[str, Any]) -> None:
    """Add to the span at hand what was learned only now; None is left out."""
    if _Tracing.tracer is None:
        return
    from opentelemetry import trace  # noqa: PLC0415

    known = {key: value for key, value in attributes.items() if value is not None}
    trace.get_current_span().set_attributes(known)


def rename(name: str, *, failed: bool) -> None:
    """Name the span at hand, and say whether it failed."""
    if _Tracing.tracer is None:
        return
    from opentelemetry import trace  # noqa: PLC0415

    current = trace.get_current_span()
    current.update_name(name)
    if failed:
        current.set_status(trace.StatusCode.ERROR)


def basis_attributes(basis: Basis) -> dict[str, str | int | bool]:
    """A basis as the attributes of a span."""
    return {
        "qledger.basis.valid_at": format_instant(basis.valid_at),
        "qledger.basis.known_at": format_instant(basis.known_at),
        "qledger.basis.horizon": basis.horizon,
        "qledger.basis.witnessed_only": basis.witnessed_only,
    }
