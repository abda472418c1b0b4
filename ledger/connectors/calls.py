"""Calls, quotas and rates: what reps submit, and what the organisation sets.

Law: a submission is known, and occurred, on its own date. A quota or a rate is known on the date
that a column tells, else from its effective date on. A row's identity is its id, or what it is
about (period, person or currencies, date); the same row with other content is rejected as
`conflicting-change`, since a new submission has a new date.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ledger.connectors.columns import RowFault
from ledger.connectors.facts import Amount, Ref
from ledger.connectors.importer import find_order, make_reader, ticker
from ledger.connectors.mapping import load_mapping
from ledger.connectors.report import FileReport, Report
from ledger.connectors.rows import Row, open_table
from ledger.connectors.scribe import explain
from ledger.connectors.writing import (
    NO_OPTIONS,
    Fault,
    ImportOptions,
    Progress,
    Step,
    Target,
    Writer,
    default_currency,
    no_progress,
)
from ledger.domain.errors import InvalidInput
from ledger.domain.events import (
    SETTINGS_STREAM,
    Draft,
    Event,
    EventPayload,
    ForecastCalled,
    FxRateSet,
    MoneyValue,
    QuotaSet,
    Source,
)
from ledger.domain.ids import event_id_of
from ledger.domain.times import Instant, format_instant

CALL_CATEGORIES = ("pipeline", "best_case", "commit")

_PLAIN_PERIOD = re.compile(r"\d{4}(?:-Q[1-4]|-(?:0[1-9]|1[0-2]))?\Z")
_YEAR_FIRST = re.compile(r"(?:FY)?\s*'?(\d{4}|\d{2})[\s_/-]*Q([1-4])\Z", re.IGNORECASE)
_QUARTER_FIRST = re.compile(r"Q([1-4])[\s_/-]*(?:FY)?\s*'?(\d{4}|\d{2})\Z", re.IGNORECASE)


def import_calls(
    ledger: Target,
    mapping_path: Path,
    files: Sequence[Path],
    options: ImportOptions = NO_OPTIONS,
    progress: Progress = no_progress,
) -> Report:
    """Bring in rep submissions, quotas and exchange rates.

    Args:
        ledger: the ledger to write to.
        mapping_path: a mapping whose files are of kind `calls`, `quotas` or `rates`.
        files: CSV files, each of which must fit an entry of the mapping.
        options: what the user says.
        progress: see `Progress`.

    Raises:
        InvalidInput: `invalid-mapping`, `missing-file`, `unrecognised-file`, `missing-column`,
            `wrong-kind`, `ambiguous-dates`, `rows-rejected` (strict).
    """
    mapping = load_mapping(mapping_path)
    if not files:
        raise InvalidInput("no-files", "no file to import was given")
    tables = [open_table(path, options.encoding) for path in files]
    plan = [(table, mapping.file_for(table.name, table.columns)) for table in tables]
    for table, entry in plan:
        if entry.kind not in _MAKERS:
            raise InvalidInput(
                "wrong-kind",
                f"{table.name} is mapped as {entry.kind}, which is no call, quota or rate",
                hint="bring deals in with `qledger import csv`",
            )
    order = options.date_order or mapping.date_order or find_order(plan)
    reader = make_reader(mapping, options, order, ledger.clock())
    writer = Writer(ledger, files, options, options.system or mapping.system)
    currency, _ = default_currency(ledger, options.currency or mapping.currency)
    writer.report.currency, writer.report.date_order = currency, order
    work = _Calls(writer, currency)
    for number, (table, entry) in enumerate(plan):
        take = work.taker(entry.kind, number, reader.values_of(table, entry))
        part = FileReport(table.name, entry.kind)
        writer.report.files.append(part)
        reader.read_with(table, part, take, ticker(progress, table.name))
    writer.rejects += reader.rejects
    writer.cells += reader.cells
    work.write()
    return writer.finish()


class _Calls:
    """Turns rows into drafts and knows what the ledger has of them."""

    def __init__(self, writer: Writer, currency: str) -> None:
        self.writer = writer
        self.system = writer.report.system
        self.currency = currency
        self.steps: list[Step] = []
        self._known: dict[str, dict[str, Event]] = {}

    def taker(
        self, kind: str, number: int, values_of: Callable[[Row], dict[str, Any]]
    ) -> Callable[[Row], None]:
        """The function that takes in one row of a file."""
        make = _MAKERS[kind]

        def take(row: Row) -> None:
            try:
                self.steps += make(self, Ref(number, row.number), values_of(row))
            except ValidationError as error:
                column, value, code, reason = explain(error)
                raise RowFault(column, value, code, reason) from None

        return take

    def write(self) -> None:
        """Write what is new; what is recorded with other content is rejected."""
        fresh = [step for step in self.steps if self._is_new(step)]
        if self.writer.options.strict:
            self.writer.refuse_rejects()
        for step in fresh:
            self.writer.add([step])

    def _is_new(self, step: Step) -> bool:
        draft = step.draft
        past = self._known.get(draft.stream)
        if past is None:
            events = self.writer.ledger.stream(draft.stream)
            past = self._known[draft.stream] = {event["event_id"]: event for event in events}
        recorded = past.get(str(draft.event_id))
        if recorded is None:
            return True
        same = (
            recorded["payload"] == draft.payload.to_json()
            and recorded["occurred_at"] == format_instant(draft.occurred_at)
            and recorded["actor"] == draft.actor
        )
        if same:
            self.writer.report.events_known += 1
        else:
            self.writer.reject(
                Fault(
                    step.ref, "", draft.source.record or "", "conflicting-change",
                    "the ledger has this submission with other content; what is recorded stays",
                )
            )  # fmt: skip
        return False

    def called(self, ref: Ref, values: dict[str, Any]) -> list[Step]:
        at, person = _needed(values, "at"), _needed(values, "person")
        period = period_of(_needed(values, "period"))
        record = values.get("id") or f"{period}/{person}@{format_instant(at)}"
        steps = []
        for category in CALL_CATEGORIES:
            amount = values.get(category)
            if amount is not None:
                payload = ForecastCalled(
                    period=period, person=person, category=category,
                    amount=self._money(amount, values), note=values.get("note"),
                )  # fmt: skip
                steps.append(
                    self._step(ref, f"period:{period}", payload, record, category, at, at, person)
                )
        return steps

    def quota(self, ref: Ref, values: dict[str, Any]) -> list[Step]:
        effective, known = self._times(values)
        person, period = _needed(values, "person"), period_of(_needed(values, "period"))
        record = values.get("id") or f"{period}/{person}@{format_instant(effective)}"
        amount = self._money(_needed(values, "amount"), values)
        payload = QuotaSet(period=period, person=person, amount=amount)
        return [self._step(ref, f"period:{period}", payload, record, "quota", effective, known)]

    def rate(self, ref: Ref, values: dict[str, Any]) -> list[Step]:
        effective, known = self._times(values)
        currency, to = _needed(values, "currency").upper(), _needed(values, "to").upper()
        record = values.get("id") or f"{currency}/{to}@{format_instant(effective)}"
        try:
            rate = Decimal(_needed(values, "rate"))
        except InvalidOperation:
            raise RowFault("rate", values["rate"], "invalid-rate", "not a number") from None
        payload = FxRateSet(currency=currency, to=to, rate=rate)
        return [self._step(ref, SETTINGS_STREAM, payload, record, "rate", effective, known)]

    def _times(self, values: dict[str, Any]) -> tuple[Instant, Instant]:
        """When it takes effect, and when it was known."""
        at: Instant | None = values.get("at")
        effective: Instant | None = values.get("effective")
        known = at or effective or self.writer.options.snapshot_at
        if known is None:
            raise RowFault("at", "", "missing-value", "neither a date nor an effective date")
        clock = self.writer.ledger.clock()
        return effective or known, min(known, clock)

    def _money(self, amount: Amount, values: dict[str, Any]) -> MoneyValue:
        currency = amount.currency or values.get("currency") or self.currency
        return MoneyValue(amount=amount.value, currency=currency)

    def _step(
        self, ref: Ref, stream: str, payload: EventPayload, record: str, change: str,
        occurred_at: Instant, known_at: Instant, actor: str | None = None,
    ) -> Step:  # fmt: skip
        event_id = event_id_of(self.system, f"{stream}:{record}", change)
        source = Source(self.system, record)
        draft = Draft(
            stream, payload, event_id, actor or self.system, source, occurred_at, known_at
        )  # fmt: skip
        return Step(draft, ref)


_MAKERS = {"calls": _Calls.called, "quotas": _Calls.quota, "rates": _Calls.rate}


def period_of(text: str) -> str:
    """The name of a period, from its usual spellings: `2026-Q1`, `FY26 Q1`, `Q1 2026`."""
    if _PLAIN_PERIOD.match(text):
        return text
    if found := _YEAR_FIRST.match(text):
        year, quarter = found[1], found[2]
    elif found := _QUARTER_FIRST.match(text):
        year, quarter = found[2], found[1]
    else:
        raise RowFault("period", text, "invalid-period", "not a year, a quarter or a month")
    return f"{year if len(year) == 4 else '20' + year}-Q{quarter}"


def _needed(values: dict[str, Any], name: str) -> Any:
    value = values.get(name)
    if value is None:
        raise RowFault(name, "", "missing-value", f"no {name}")
    return value
