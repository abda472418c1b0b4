"""Reading the log without what names, reaches or quotes people at the buyer.

Law: what the catalogue of events marks as personal data of the buyer's side is `WITHHELD` in every
event that leaves this reader, in corrections too; nothing else differs, so every status and every
number stays as it is. The names of our own people stay: who owns a deal is no secret.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from types import MappingProxyType
from typing import Any, LiteralString, get_args

from pydantic.fields import FieldInfo

from ledger.domain.basis import Basis
from ledger.domain.events import TYPES, Event, EventCorrected, PersonalData
from projections.reader import LogReader, StreamRange

WITHHELD = "(withheld)"
_OURS = "stream"
"""Whose data are our own people's: the stream is theirs."""


def _markers(annotation: Any) -> Iterator[PersonalData]:
    for metadata in getattr(annotation, "__metadata__", ()):
        if isinstance(metadata, PersonalData):
            yield metadata
    for part in get_args(annotation):
        yield from _markers(part)


def _is_of_buyer(field: FieldInfo) -> bool:
    markers = [each for each in field.metadata if isinstance(each, PersonalData)]
    return any(each.subject != _OURS for each in (*markers, *_markers(field.annotation)))


WITHHELD_FIELDS: Mapping[str, frozenset[str]] = {
    kind: fields
    for kind, model in TYPES.items()
    if (fields := frozenset(n for n, field in model.model_fields.items() if _is_of_buyer(field)))
}
"""Event type -> its fields with personal data of the buyer's side."""

_ANY = frozenset().union(*WITHHELD_FIELDS.values())
_FIELDS = {kind: frozenset(model.model_fields) for kind, model in TYPES.items()}
_REQUIRED = {
    kind: frozenset(name for name, field in model.model_fields.items() if field.is_required())
    for kind, model in TYPES.items()
}


def _fields_of(corrected: Mapping[str, Any]) -> frozenset[str]:
    """The personal fields of a corrected payload: of whatever type it may be."""
    keys = corrected.keys()
    kinds = [kind for kind in TYPES if _REQUIRED[kind] <= keys <= _FIELDS[kind]]
    if not kinds:
        return _ANY
    return frozenset().union(*(WITHHELD_FIELDS.get(kind, frozenset()) for kind in kinds))


def discreet(event: Event) -> Event:
    """An event without the personal data of the buyer's side."""
    payload = event["payload"]
    if event["type"] == EventCorrected.type:
        corrected = payload.get("payload")
        if not corrected:
            return event
        told = {**payload, "payload": _without(corrected, _fields_of(corrected))}
        return {**event, "payload": told}
    fields = WITHHELD_FIELDS.get(event["type"])
    return event if fields is None else {**event, "payload": _without(payload, fields)}


def _without(payload: Mapping[str, Any], fields: frozenset[str]) -> dict[str, Any]:
    return {
        key: WITHHELD if key in fields and value is not None else value
        for key, value in payload.items()
    }


class DiscreetReader(LogReader):
    """A reader of the log for those who may not see personal data of the buyer's side."""

    def events(self, basis: Basis, category: str, types: Collection[str]) -> list[Event]:
        return [discreet(event) for event in super().events(basis, category, types)]

    def stream(self, basis: Basis, stream: str) -> list[Event]:
        return [discreet(event) for event in super().stream(basis, stream)]

    def at_positions(self, positions: Collection[int]) -> dict[int, Event]:
        return {at: discreet(event) for at, event in super().at_positions(positions).items()}

    def log(
        self, basis: Basis, after: int, stream: str | None, types: Collection[str] | None,
        *, whole: bool,
    ) -> Iterator[Event]:  # fmt: skip
        for event in super().log(basis, after, stream, types, whole=whole):
            yield discreet(event) if whole else event

    def _streams(
        self,
        query: LiteralString,
        basis: Basis,
        streams: StreamRange,
        types: Collection[str],
        more: Mapping[str, Any] = MappingProxyType({}),
    ) -> Iterator[tuple[str, list[Event]]]:
        for stream, events in super()._streams(query, basis, streams, types, more):
            yield stream, [discreet(event) for event in events]
