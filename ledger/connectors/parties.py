"""Accounts and sellers: their records become events.

Law: an account or a person is opened once, at the record's own date or at the snapshot. What a
later export tells otherwise is a revision at that export's snapshot. An empty cell clears nothing.
A person's name and e-mail have no revision: a change of them is counted and left out.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Any

from pydantic import ValidationError

from ledger.connectors.facts import AccountRecord, PersonRecord
from ledger.connectors.rules import Rules
from ledger.connectors.scribe import Telling, explain, free_id
from ledger.connectors.state import fold_fields, told
from ledger.connectors.writing import Fault, Step
from ledger.domain.events import (
    AccountOpened,
    AccountRevised,
    Draft,
    Event,
    EventPayload,
    PersonJoined,
    PersonReassigned,
    Source,
)
from ledger.domain.ids import event_id_of
from ledger.domain.times import Instant, format_instant


def tell_account(record: AccountRecord, existing: Sequence[Event], rules: Rules) -> Telling:
    """Turn an account's record into drafts.

    Args:
        record: the account at the snapshot.
        existing: its events in the ledger.
        rules: what the import applies to everything.
    """
    out = Telling()
    wanted = {"name": record.name or record.id, "parent": record.parent}
    if not existing:
        given: dict[str, Any] = {key: value for key, value in wanted.items() if value is not None}
        if record.dimensions:
            given["dimensions"] = dict(record.dimensions)
        _emit(out, "account", record, rules, AccountOpened, given, record.opened)
        return out
    fields, dimensions = fold_fields([told(event) for event in existing], rules.snapshot_at)
    wanted["name"] = record.name
    revised = _differences(wanted, fields, out)
    changed = {key: to for key, to in record.dimensions.items() if dimensions.get(key) != to}
    if changed:
        revised["dimensions"] = changed
    if revised:
        _emit(out, "account", record, rules, AccountRevised, revised, None, _ids(existing))
    return out


def tell_person(record: PersonRecord, existing: Sequence[Event], rules: Rules) -> Telling:
    """Turn a seller's record into drafts; arguments as for `tell_account`."""
    out = Telling()
    given = {
        name: value
        for name, value in (
            ("name", record.name or record.id), ("email", record.email), ("role", record.role),
            ("manager", record.manager), ("team", record.team),
        )
        if value is not None
    }  # fmt: skip
    if not existing:
        _emit(out, "person", record, rules, PersonJoined, given, record.joined)
        return out
    fields, _ = fold_fields([told(event) for event in existing], rules.snapshot_at)
    for name in ("name", "email"):
        if given.get(name) not in (None, record.id, fields.get(name)):
            out.tallies["person-renamed"] += 1
    wanted = {"role": record.role, "manager": record.manager, "team": record.team}
    revised = _differences(wanted, fields, out)
    if revised:
        _emit(out, "person", record, rules, PersonReassigned, revised, None, _ids(existing))
    return out


def _ids(events: Sequence[Event]) -> set[str]:
    return {event["event_id"] for event in events}


def _differences(wanted: dict[str, Any], held: dict[str, Any], out: Telling) -> dict[str, Any]:
    revised = {}
    for name, value in wanted.items():
        if value is None and held.get(name) is not None:
            out.tallies[f"kept-though-empty:{name}"] += 1
        elif value is not None and value != held.get(name):
            revised[name] = value
    return revised


def _emit(
    out: Telling, kind: str, record: AccountRecord | PersonRecord, rules: Rules,
    model: type[EventPayload], given: dict[str, Any], at: Instant | None,
    taken: Container[str] = (),
) -> None:  # fmt: skip
    opens = model in (AccountOpened, PersonJoined)
    at = at if at is not None and at <= rules.snapshot_at else rules.snapshot_at
    snapshot = format_instant(rules.snapshot_at)
    change = "opened" if opens else f"snapshot:{snapshot}:" + ",".join(sorted(given))
    source = Source(rules.system, record.id if opens else f"{record.id}@{snapshot}")
    identity = f"{kind}:{record.id}"
    event_id = event_id_of(rules.system, identity, change)
    if str(event_id) in taken:
        event_id = free_id(rules.system, identity, change, taken)
    try:
        payload = model(**given)
    except ValidationError as error:
        out.faults.append(Fault(record.ref, *explain(error)))
        return
    stream = f"{kind}:{record.id}"
    draft = Draft(stream, payload, event_id, rules.system, source, at, at)
    out.steps.append(Step(draft, record.ref, not opens))
