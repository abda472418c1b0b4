"""Reading files into facts.

Law: every row of a file becomes a fact, is left out by the mapping, or is rejected with file, row,
column, value and reason; a row is read whole or rejected whole, but for the few cells that are left
out of a row that is kept, and told of alike. What a row means among others is not decided here.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from ledger.connectors.columns import Columns, RowFault, names_of
from ledger.connectors.dates import DateReader, Unreadable
from ledger.connectors.facts import (
    HISTORY_FIELDS,
    AccountRecord,
    Change,
    ContactRecord,
    DealRecord,
    Extra,
    Facts,
    PersonRecord,
    Ref,
)
from ledger.connectors.mapping import FileMap
from ledger.connectors.report import FileReport, Reject
from ledger.connectors.rows import Row, Table
from ledger.connectors.stages import Stages, StageSample, plain
from ledger.domain.errors import InvalidInput
from ledger.domain.events import EventPayload, EvidenceRecorded, StakeholderAdded
from ledger.domain.times import Instant, format_instant

FIELD_NAMES = {
    "stagename": "stage", "stage": "stage", "dealstage": "stage", "amount": "amount",
    "closedate": "close_date", "owner": "owner", "ownerid": "owner", "hubspotownerid": "owner",
    "forecastcategoryname": "category", "forecastcategory": "category", "account": "account",
    "accountid": "account", "name": "name", "dealname": "name", "isdeleted": "is_deleted",
}  # fmt: skip
"""How sources name the fields of a field history, in plain letters."""

_RECORD_FIELDS = (
    "name", "account", "owner", "stage", "category", "probability", "amount", "close_date",
    "products", "playbook",
)  # fmt: skip


class FileReader(Columns):
    """Reads the files of one import into facts.

    Args:
        dates: the reader of dates.
        prefix: put before every record id.
        clock: now; nothing can be known later.
        stages: what the mapping says about stages.
        reject_unknown_stages: whether a stage that is not mapped rejects its row.
        values: field -> spelling -> the spelling to take instead.
    """

    def __init__(
        self, dates: DateReader, prefix: str, clock: Instant, stages: Stages,
        *, reject_unknown_stages: bool = False, values: Mapping[str, Mapping[str, str]],
    ) -> None:  # fmt: skip
        self.facts = Facts()
        self.rejects: list[Reject] = []
        self.cells: list[Reject] = []
        """Cells that were left out of rows that were kept."""
        super().__init__(dates, prefix, clock, values)
        self.samples: list[StageSample] = []
        self._files = 0
        self._stages = stages
        self._reject_unknown_stages = reject_unknown_stages
        self._contents: Counter[str] = Counter()

    def read(self, table: Table, entry: FileMap, progress: Callable[[int], None]) -> FileReport:
        """Read one file.

        Args:
            table: the file.
            entry: how it is read.
            progress: called with the number of rows read since the last call.
        """
        report = FileReport(table.name, entry.kind)
        take = self._taker(table, entry, self._files, report)
        self._files += 1
        return self.read_with(table, report, take, progress)

    def read_with(
        self,
        table: Table,
        report: FileReport,
        take: Callable[[Row], None],
        progress: Callable[[int], None],
    ) -> FileReport:
        """Hand every row of a file over, and reject what cannot be used.

        Args:
            table: the file.
            report: where its rows are counted.
            take: takes in one row, or raises `RowFault`.
            progress: called with the number of rows read since the last call.
        """
        count = 0
        for row in table.rows():
            report.rows_read += 1
            count += 1
            if count == 1000:
                progress(count)
                count = 0
            ignored = report.ignored
            try:
                if row.fault is not None:
                    raise RowFault("", ",".join(row.cells)[:1000], *row.fault)
                take(row)
            except RowFault as fault:
                report.rejected += 1
                self.rejects.append(
                    Reject(
                        table.name, row.number, fault.column, fault.value, fault.code, fault.reason
                    )
                )
                self.cell_faults.clear()
            if self.cell_faults:
                if report.ignored == ignored:
                    self.cells += [
                        Reject(table.name, row.number, *cell, left_out="cell")
                        for cell in self.cell_faults
                    ]
                self.cell_faults.clear()
        progress(count)
        return report

    def _taker(
        self, table: Table, entry: FileMap, file: int, report: FileReport
    ) -> Callable[[Row], None]:
        """The function that takes in one row of a file."""
        if entry.kind in ("history", "event_log"):
            return self._history_taker(table, entry, file, report)
        if entry.kind == "field_history":
            return self._field_history_taker(table, entry, file, report)
        values = self.values_of(table, entry)
        labels = self.labels_of(table, entry)
        present = frozenset({*entry.constants, *names_of(self.columns_of(table, entry))})
        simple: dict[str, Callable[[Ref, Row], None]] = {
            "deals": lambda ref, row: self._deal(ref, values(row), labels(row), present),
            "accounts": lambda ref, row: self._account(ref, values(row), labels(row)),
            "people": lambda ref, row: self._person(ref, values(row)),
            "contacts": lambda ref, row: self._contact(ref, values(row)),
            "stakeholders": lambda ref, row: self._extra(entry.kind, ref, values(row)),
            "evidence": lambda ref, row: self._extra(entry.kind, ref, values(row)),
            "products": lambda _, row: self._product(values(row)),
        }
        take = simple.get(entry.kind)
        if take is None:
            raise InvalidInput(
                "wrong-kind",
                f"files of kind {entry.kind} are no history of deals",
                hint="bring calls, quotas and rates in with `qledger import calls`",
            )
        return lambda row: take(Ref(file, row.number), row)

    # --- rows by kind ----------------------------------------------------------------------------

    def _deal(
        self, ref: Ref, values: dict[str, Any], dimensions: dict[str, str], present: frozenset[str]
    ) -> None:
        identifier = self._needed(values, "id")
        stage = self._stage(values.get("stage"))
        roles = tuple(
            (role, values[role]) for role in ("economic_buyer", "champion") if values.get(role)
        )
        record = DealRecord(
            identifier, ref, present, {name: values.get(name) for name in _RECORD_FIELDS},
            dimensions, values.get("opened"), values.get("closed"), values.get("currency"),
            values.get("is_closed"), values.get("is_won"), values.get("is_deleted"),
            values.get("loss_reason"), roles,
        )  # fmt: skip
        deal = self.facts.deal(identifier)
        if deal.record is not None:
            if deal.record._replace(ref=ref) != record:
                raise RowFault(
                    "id",
                    identifier,
                    "duplicate-record",
                    "another row has this id and other content",
                )
            self.tallies["row-given-twice"] += 1
            return
        deal.record = record
        self.facts.saw(record.opened)
        modified = values.get("modified")
        if modified is not None and modified <= self._clock:
            self.facts.saw(modified)
        if "account" in present and values.get("account") is None:
            self.tallies["no-account"] += 1
        if stage is not None:
            self.samples.append(
                StageSample(stage, values.get("category"), record.is_closed, record.is_won)
            )

    def _history_taker(
        self, table: Table, entry: FileMap, file: int, report: FileReport
    ) -> Callable[[Row], None]:
        fields, constants = self.columns_of(table, entry), self.constants_of(entry)
        labels = self.labels_of(table, entry)
        is_log = entry.kind == "event_log"
        said = ("stage",) if is_log else HISTORY_FIELDS
        names = [found.name for found in fields]
        layout = tuple(name for name in names if name in said)
        places = [names.index(name) for name in layout]
        place_of = {name: place for place, name in enumerate([*names, *constants])}
        added = list(constants.values())
        nothing = len(place_of)
        stage_at, deal_at, at_at, id_at, by_at, currency_at = (
            place_of.get(name, nothing)
            for name in ("stage", "deal", "at", "id", "changed_by", "currency")
        )
        self.facts.snapshot_fields.update(layout)
        columns = names_of(fields)

        def take(row: Row) -> None:
            read = self.read_row(fields, row)
            read += (*added, None)
            stage = read[stage_at]
            if stage is not None and self._stages.rule(stage).ignore:
                report.ignored += 1
                return
            self._stage(stage)
            deal, at = read[deal_at], read[at_at]
            if deal is None or at is None:
                name = "deal" if deal is None else "at"
                raise _missing(name, columns.get(name, name))
            self.facts.saw(at)
            said_now = tuple([read[place] for place in places])
            ref = Ref(file, row.number)
            record = read[id_at]
            if record is None:
                record = self._content_id(deal, at, layout, said_now)
            facts = self.facts.deal(deal)
            facts.changes.append(
                Change(at, ref, record, read[by_at], layout, said_now, None, read[currency_at])
            )
            if is_log and facts.record is None:
                values = {name: read[place] for name, place in place_of.items()}
                facts.record = _case(deal, ref, values, labels(row))
                self.facts.saw(facts.record.opened)

        return take

    def _field_history_taker(
        self, table: Table, entry: FileMap, file: int, report: FileReport
    ) -> Callable[[Row], None]:
        values_of, columns = self.values_of(table, entry), names_of(self.columns_of(table, entry))
        names = {**FIELD_NAMES, **{plain(name): ours for name, ours in entry.fields.items()}}
        readers = {name: self.reader_of(name, "history", "", None) for name in set(names.values())}
        with_olds = "old_value" in entry.columns and "old_value" in columns

        def read_value(field: str, column: str, text: str | None) -> Any:
            text = text or ""
            replace = self._values.get(field, {})
            name = columns.get(column, "")
            try:
                value = readers[field](replace.get(text, text))
            except Unreadable as fault:
                raise RowFault(name, text, fault.code, fault.reason) from None
            self.cell_faults = [
                cell._replace(column=cell.column or name) for cell in self.cell_faults
            ]
            return value

        def take(row: Row) -> None:
            values = values_of(row)
            field = names.get(plain(values["field"] or ""))
            if field is None or field not in HISTORY_FIELDS:
                report.ignored += 1
                return
            deal = self._needed(values, "deal", columns)
            at = self._needed(values, "at", columns)
            new = read_value(field, "new_value", values["new_value"])
            if field == "stage":
                self._stage(new)
            olds = (read_value(field, "old_value", values["old_value"]),) if with_olds else None
            self.facts.saw(at)
            self.facts.changed_fields.add(field)
            record = values.get("id")
            if record is None:
                record = self._content_id(deal, at, (field,), (new,))
            self.facts.deal(deal).changes.append(
                Change(at, Ref(file, row.number), record, values.get("changed_by"), (field,),
                       (new,), olds)
            )  # fmt: skip

        return take

    def _content_id(
        self, deal: str, at: Instant | None, fields: tuple[str, ...], values: tuple[Any, ...]
    ) -> str:
        """The identity of a row that has no id: what it says, and which of its equals it is."""
        said = repr([(name, str(value)) for name, value in zip(fields, values, strict=True)])
        digest = hashlib.sha256(said.encode()).hexdigest()[:12]
        when = "" if at is None else format_instant(at)
        content = f"{deal}@{when}#{digest}"
        self._contents[content] += 1
        count = self._contents[content]
        return content if count == 1 else f"{content}:{count}"

    def _account(self, ref: Ref, values: dict[str, Any], dimensions: dict[str, str]) -> None:
        record = AccountRecord(
            self._needed(values, "id"), ref, values.get("name"), values.get("parent"), dimensions,
            values.get("opened"),
        )  # fmt: skip
        self._keep(self.facts.accounts, record)

    def _person(self, ref: Ref, values: dict[str, Any]) -> None:
        joined = values.get("joined")
        record = PersonRecord(
            self._needed(values, "id"), ref, _full_name(values), values.get("email"),
            values.get("role"), values.get("manager"), values.get("team"), joined,
        )  # fmt: skip
        self._keep(self.facts.people, record)

    def _contact(self, ref: Ref, values: dict[str, Any]) -> None:
        record = ContactRecord(
            self._needed(values, "id"), ref, _full_name(values), values.get("email"),
            values.get("title"),
        )  # fmt: skip
        self._keep(self.facts.contacts, record)

    def _keep(self, records: dict[str, Any], record: Any) -> None:
        first = records.setdefault(record.id, record)
        if first is record:
            return
        if first._replace(ref=record.ref) != record:
            raise _duplicate(record.id)
        self.tallies["row-given-twice"] += 1

    def _extra(self, kind: str, ref: Ref, values: dict[str, Any]) -> None:
        deal = self._needed(values, "deal")
        at = values.get("at")
        actor = values.get("changed_by")
        given = {name: value for name, value in values.items() if value is not None}
        for name in ("deal", "at", "changed_by"):
            given.pop(name, None)
        payload: EventPayload
        try:
            if kind == "stakeholders":
                stakeholder = given.pop("id")
                payload = StakeholderAdded(
                    **{"name": stakeholder, **given, "stakeholder": stakeholder}
                )
                record, change = deal, f"stakeholder:{payload.stakeholder}"
            else:
                own = given.pop("id", None)
                payload = EvidenceRecorded(**{"stance": "supports", "source_kind": "crm", **given})
                record = own or self._content_id(deal, at, ("evidence",), (given,))
                change = f"evidence:{payload.criterion}"
        except (ValidationError, KeyError) as error:
            raise _payload_fault(error) from None
        if at is not None:
            self.facts.saw(at)
        self.facts.deal(deal).extras.append(Extra(at, ref, record, change, actor, payload))

    def _product(self, values: dict[str, Any]) -> None:
        if values["name"] is not None:
            self.facts.products.add(values["name"])

    # --- small rules -----------------------------------------------------------------------------

    def _needed(
        self, values: Mapping[str, Any], name: str, columns: Mapping[str, str] | None = None
    ) -> Any:
        value = values.get(name)
        if value is None:
            raise _missing(name, (columns or {}).get(name, name))
        return value

    def _stage(self, stage: str | None) -> str | None:
        if self._reject_unknown_stages and stage is not None and not self._stages.rule(stage).told:
            raise RowFault("stage", stage, "unknown-stage", "the mapping does not know this stage")
        return stage


def _full_name(values: Mapping[str, Any]) -> str | None:
    if values.get("name"):
        return str(values["name"])
    parts = [values.get("first_name"), values.get("last_name")]
    return " ".join(part for part in parts if part) or None


def _case(deal: str, ref: Ref, values: Mapping[str, Any], dimensions: dict[str, str]) -> DealRecord:
    """The record of a case, as the first row of an event log gives it."""
    told = {name: values.get(name) for name in _RECORD_FIELDS if name != "stage"}
    fields = frozenset(name for name, value in told.items() if value is not None)
    return DealRecord(
        deal, ref, fields, told, dimensions, values.get("opened") or values["at"], None,
        values.get("currency"), None, None, None, None, (),
    )  # fmt: skip


def _missing(name: str, column: str) -> RowFault:
    return RowFault(column, "", "missing-value", f"no {name}")


def _duplicate(identifier: str) -> RowFault:
    reason = "another row has this id and other content"
    return RowFault("id", identifier, "duplicate-record", reason)


def _payload_fault(error: Exception) -> RowFault:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        column = ".".join(str(part) for part in first["loc"])
        return RowFault(column, str(first["input"]), "invalid-value", first["msg"])
    return RowFault(str(error), "", "missing-value", "a needed value is missing")
