"""What is counted of this server, for Prometheus: /metrics.

Law: every label has few values: a trusted document that this release ships by its name, everything
else as `other`. What stands in the database is read when it is asked for, and where it cannot be
read the rest is told still. No metric tells of a deal, a person or a text.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Literal

import psycopg
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from api.graphql.documents import shipped
from ledger.domain.errors import QledgerError
from ledger.store.database import Database
from projections.position import Status, status

LOGGER = logging.getLogger("qledger.metrics")
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OTHER = "other"
Outcome = Literal["ok", "refused", "limited", "failed"]

disable_created_metrics()  # type: ignore[no-untyped-call]
REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)

_REQUESTS = Counter(
    "qledger_requests",
    "Requests by door, trusted document and outcome: ok, refused (the asker's fault), limited "
    "(too much at once), failed (the server's fault).",
    ["door", "operation", "outcome"],
    registry=REGISTRY,
)
_SECONDS = Histogram(
    "qledger_request_seconds",
    "From the first byte of a request to the last of its answer, by door.",
    ["door"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
    registry=REGISTRY,
)
_COST = Histogram(
    "qledger_question_cost_points",
    "What GraphQL questions cost, in points, those that were refused for it too.",
    buckets=(1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000),
    registry=REGISTRY,
)
_SUBSCRIPTIONS = Gauge(
    "qledger_open_subscriptions", "Subscriptions that are open now.", registry=REGISTRY
)


def request_ended(door: str, document: str | None, outcome: Outcome, seconds: float) -> None:
    """Count a request.

    Args:
        door: graphql, stream (a subscription), export, ingest, socket, server or other.
        document: the name of the trusted document that was asked; None where there was none.
        outcome: what became of it.
        seconds: how long it took.
    """
    operation = document if document is not None and document in shipped() else OTHER
    _REQUESTS.labels(door, operation, outcome).inc()
    _SECONDS.labels(door).observe(seconds)


def question_asked(cost: int) -> None:
    """Count what a question costs, in points."""
    _COST.observe(cost)


def open_subscriptions(count: int) -> None:
    """Say how many subscriptions are open now."""
    _SUBSCRIPTIONS.set(count)


def exposition(database: Database) -> bytes:
    """All metrics, as Prometheus reads them."""
    stored = CollectorRegistry()
    stored.register(_Stored(database))
    return generate_latest(REGISTRY) + generate_latest(stored)


class _Stored(Collector):
    """What stands in the database and its pool."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def describe(self) -> Iterable[GaugeMetricFamily]:
        return ()  # nothing is read to register it

    def collect(self) -> Iterable[GaugeMetricFamily | CounterMetricFamily]:
        found: Status | None = None
        try:
            with self._database.connection() as connection:
                found = status(connection)
        except (QledgerError, psycopg.Error):
            LOGGER.warning("the database does not tell how far the read models are")
        yield _gauge("qledger_database_up", "Whether the database answers.", found is not None)
        if found is not None:
            yield from _of_the_log(found)
        yield from self._of_the_pool()

    def _of_the_pool(self) -> Iterable[GaugeMetricFamily]:
        stats = self._database.pool_stats()
        size, free = stats.get("pool_size", 0), stats.get("pool_available", 0)
        waiting, most = stats.get("requests_waiting", 0), stats.get("pool_max", 0)
        yield _gauge("qledger_pool_sessions", "Sessions that the pool has.", size)
        yield _gauge("qledger_pool_sessions_used", "Those that are at work.", size - free)
        yield _gauge("qledger_pool_sessions_max", "The most that it opens.", most)
        yield _gauge("qledger_pool_waiting", "Those who wait for a session.", waiting)


def _of_the_log(found: Status) -> Iterable[GaugeMetricFamily | CounterMetricFamily]:
    appended = CounterMetricFamily(
        "qledger_events_appended", "Events in the log, whoever appended them."
    )
    # As it is, and not as a float with an exponent.
    appended.samples.append(Sample("qledger_events_appended_total", {}, found.head))
    yield appended
    yield _gauge("qledger_head_position", "The last position of the log.", found.head)
    yield _gauge(
        "qledger_projection_position",
        "All events up to it are in the read models.",
        found.position,
    )
    yield _gauge(
        "qledger_projection_lag_events",
        "Events that are recorded and not in the read models.",
        found.lag_events,
    )
    yield _gauge(
        "qledger_projection_lag_seconds",
        "How long the oldest of them has been waiting.",
        found.lag_seconds,
    )
    yield _gauge(
        "qledger_projection_halted",
        "1 where the read models stopped before an event that they cannot take.",
        found.halted_at is not None,
    )
    yield _gauge(
        "qledger_projection_in_use", "1 where answers may come from the read models.", found.in_use
    )
    yield _gauge("qledger_projection_running", "1 where a process projects.", found.runner)


def _gauge(name: str, meaning: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, meaning, value=float(value))
