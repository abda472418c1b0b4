"""Rows of events: the log as it was recorded, in the order of positions.

Law: nothing is left out and nothing is put right: a retracted event is there, and so is what
retracts it. Positions only grow, so asking again after the last one that was read brings what is
new, and nothing twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import orjson

from ledger.domain.errors import InvalidInput, NotFound
from ledger.domain.events import (
    TYPES,
    Event,
    is_stream,
    stream_category,
    stream_id,
    stream_name,
)
from projections.book import Book
from projections.rows.definition import (
    Column,
    Filter,
    Kind,
    Row,
    Table,
    Test,
    Wanted,
    basis_cells,
    names_in,
)
from projections.summary import summary

_FROM_COLUMNS = frozenset({
    "position", "event_id", "stream", "category", "deal", "type", "occurred_at", "known_at",
    "recorded_at", "witnessed",
})  # fmt: skip
"""What the log's columns say; the rest stands in the envelope."""


def check_types(names: Iterable[str], *, where: str = "") -> None:
    """Refuse types of events that there are not.

    Args:
        names: of types.
        where: the argument.

    Raises:
        InvalidInput: `unknown-event-type`.
    """
    for name in names:
        if name not in TYPES:
            raise InvalidInput(
                "unknown-event-type",
                f"there is no event type {name[:80]!r}",
                where=where,
                hint=f"it is one of {', '.join(sorted(TYPES))}",
            )


def _check_reaches(book: Book, after: int) -> None:
    """Refuse to go on behind a position that the log does not reach, whatever the horizon.

    Raises:
        NotFound: `unknown-position`.
    """
    if after <= book.basis.horizon:
        return
    try:
        book.causes({after})
    except NotFound as refusal:
        raise NotFound(
            refusal.code,
            f"{refusal.message}, and so nothing comes behind it",
            where="after_position",
            hint="another ledger, or one restored from an older copy, counts from the start",
        ) from None


def _rows(book: Book, wanted: Wanted) -> Iterator[Row]:
    basis = basis_cells(book.basis)
    read_up_to = int(wanted.hints.get("after_position") or 0)
    _check_reaches(book, read_up_to)
    after = max(
        read_up_to,
        0 if wanted.after is None else int(str(wanted.after[0])),
    )
    stream: str | None = None
    if "deal" in wanted.hints:
        stream = stream_name("deal", str(wanted.hints["deal"]))
        if not is_stream(stream):
            return
    types = wanted.hints.get("type")
    whole = not _OF_EVENTS.isdisjoint(wanted.columns - _FROM_COLUMNS)
    found = book.log(
        after=after,
        stream=stream,
        types=None if types is None else names_in(str(types)),
        whole=whole,
    )
    for event in found:
        yield (*_event(event, whole=whole), *basis)


def _event(event: Event, *, whole: bool) -> Row:
    category = stream_category(event["stream"])
    head: Row = (
        event["position"],
        event["event_id"],
        event["stream"],
        category,
        stream_id(event["stream"]) if category == "deal" else None,
        event["type"],
        event["occurred_at"],
        event["known_at"],
        event["recorded_at"],
        event["witnessed"],
    )
    if not whole:
        return (*head, *(None,) * 8)
    source = event["source"]
    return (
        *head,
        event["stream_version"],
        event["actor"],
        source["system"],
        source.get("record"),
        event.get("causation_id"),
        event.get("correlation_id"),
        summary(event),
        orjson.dumps(event["payload"], option=orjson.OPT_SORT_KEYS).decode(),
    )


_COLUMNS = (
    Column("position", Kind.INT, "Its place in the log: 1, 2, 3, ...", required=True),
    Column("event_id", Kind.ID, "Its UUID.", required=True),
    Column("stream", Kind.ID, "What it is about: deal:, account:, ... and an id.", required=True),
    Column(
        "category", Kind.STRING, "deal, account, playbook, person, period or settings.",
        required=True,
    ),
    Column("deal", Kind.ID, "The deal's id, where it is about a deal."),
    Column("type", Kind.STRING, "Such as evidence-recorded.", required=True),
    Column("occurred_at", Kind.DATETIME, "When it happened at the buyer.", required=True),
    Column("known_at", Kind.DATETIME, "When the organisation knew.", required=True),
    Column("recorded_at", Kind.DATETIME, "When this ledger wrote it.", required=True),
    Column("witnessed", Kind.BOOLEAN, "False for what a source attested.", required=True),
    Column("stream_version", Kind.INT, "Its place in its stream.", required=True),
    Column("actor", Kind.STRING, "Who recorded it.", required=True),
    Column("source_system", Kind.STRING, "The system that it came from.", required=True),
    Column("source_record", Kind.STRING, "The record there."),
    Column("causation_id", Kind.ID, "The UUID of the event that it was caused by."),
    Column("correlation_id", Kind.ID, "What events of one act share."),
    Column("summary", Kind.STRING, "What it says, in a few words.", required=True),
    Column("payload", Kind.STRING, "What it says in full, as a JSON object.", required=True),
)  # fmt: skip
_OF_EVENTS = frozenset(column.name for column in _COLUMNS)

EVENTS = Table(
    "events",
    "event_rows",
    "An event of the log as it was recorded.",
    columns=_COLUMNS,
    key=("position",),
    filters=(
        Filter(
            "after_position", "position", Test.AFTER, Kind.BIG_INT,
            "Only events behind this position: the last one that you have read.",
        ),
        Filter("deal", "deal", Test.IS, Kind.STRING, "Only events of this deal, by id."),
        Filter(
            "category", "category", Test.IS, Kind.STRING,
            "Only events of deal, account, playbook, person, period or settings streams.",
            ("deal", "account", "playbook", "person", "period", "settings"),
        ),
        Filter(
            "type", "type", Test.ANY_OF, Kind.STRING,
            "Only events of these types, separated by commas.",
            check=lambda spelt: check_types(names_in(spelt)),
        ),
        Filter(
            "occurred_from", "occurred_at", Test.AT_LEAST, Kind.DATETIME,
            "Only what happened at this instant or later.",
        ),
        Filter(
            "occurred_until", "occurred_at", Test.AT_MOST, Kind.DATETIME,
            "Only what happened until this instant.",
        ),
        Filter(
            "recorded_from", "recorded_at", Test.AT_LEAST, Kind.DATETIME,
            "Only what was recorded at this instant or later.",
        ),
        Filter(
            "recorded_until", "recorded_at", Test.AT_MOST, Kind.DATETIME,
            "Only what was recorded until this instant.",
        ),
    ),
    make=_rows,
    timeless=True,
)  # fmt: skip
