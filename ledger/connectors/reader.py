"""Reading files into facts.

Law: every row of a file becomes a fact, is left out by the mapping, or is rejected with file, row,
column, value and reason; a row is read whole or rejected whole. What a row means among others is
not decided here.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from pydantic import ValidationError

from ledger.connectors import cells
from ledger.connectors.cells import Memo
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
from ledger.connectors.stages import Stages, StageSample, category_named, plain
from ledger.domain.errors import InvalidInput
from ledger.domain.events import Category, EventPayload, EvidenceRecorded, StakeholderAdded
from ledger.domain.money import minor_units
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
_FLAG_FIELDS = ("is_closed", "is_won")
_DATES = frozenset({"at", "opened", "closed", "modified", "joined", "effective"})
_IDS = frozenset({"id", "deal", "account", "owner", "changed_by", "person", "parent", "manager",
                  "economic_buyer", "champion", "said_by", "reports_to"})  # fmt: skip
_PAST = frozenset({"at", "opened", "joined"})


class RowFault(Exception):
    """A row that cannot be used: the column, its value, a stable code, the reason."""

    def __init__(self, column: str, value: str, code: str, reason: str) -> None:
        super().__init__(reason)
        self.column = column
        self.value = value
        self.code = code
        self.reason = reason


class _Field(NamedTuple):
    """One field of a file: where it stands and how it is read."""

    name: str
    place: int
    column: str
    read: Callable[[str], Any]
    replace: Mapping[str, str] | None


class FileReader:
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
        self.tallies: Counter[str] = Counter()
        self.samples: list[StageSample] = []
        self._files = 0
        self._dates = dates
        self._prefix = prefix
        self._clock = clock
        self._stages = stages
        self._reject_unknown_stages = reject_unknown_stages
        self._values = values
        self._contents: Counter[str] = Counter()
        self._categories: Memo[Category | None] = Memo(category_named)

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
        progress(count)
        return report

    # --- fields ----------------------------------------------------------------------------------

    def _fields(self, table: Table, entry: FileMap) -> list[_Field]:
        found = []
        for name, column in entry.columns.items():
            if column in table.columns:
                read = self._reader_of(name, entry.kind, column, entry.product_separator)
                found.append(
                    _Field(name, table.columns.index(column), column, read, self._values.get(name))
                )
        return found

    def _reader_of(
        self, name: str, kind: str, column: str, separator: str | None
    ) -> Callable[[str], Any]:
        if name in _DATES:
            return self._instant if name in _PAST else self._any_instant
        if name == "close_date":
            return lambda text: self._dates.day(text) if text else None
        if name in _IDS:
            return cells.identifier(self._prefix)
        if name in ("amount", "commit", "best_case", "pipeline"):
            return Memo(cells.amount_in(currency_of_column(column))).__getitem__
        if name == "category":
            return self._category
        if name in ("is_closed", "is_won", "is_deleted"):
            return Memo(cells.boolean).__getitem__
        if name == "products":
            return Memo(partial(_products, separator)).__getitem__
        if name == "currency" and kind != "rates":
            return Memo(_currency).__getitem__
        simple: dict[str, Callable[[str], Any]] = {
            "probability": Memo(cells.percent).__getitem__,
            "email": self._email,
            "stage": Memo(cells.text_of(cells.LABEL_CHARS_MAX)).__getitem__,
            "name": cells.text_of(cells.NAME_CHARS_MAX),
            "loss_reason": cells.text_of(cells.TEXT_CHARS_MAX),
            "quote": cells.text_of(cells.TEXT_CHARS_MAX),
            "note": cells.text_of(cells.TEXT_CHARS_MAX),
            "link": cells.text_of(2000),
            "old_value": cells.text_of(cells.TEXT_CHARS_MAX),
            "new_value": cells.text_of(cells.TEXT_CHARS_MAX),
        }
        return simple.get(name, cells.text_of(cells.LABEL_CHARS_MAX))

    def _any_instant(self, text: str) -> Instant | None:
        return self._dates.instant(text) if text else None

    def _instant(self, text: str) -> Instant | None:
        if not text:
            return None
        instant = self._dates.instant(text)
        if instant > self._clock:
            raise Unreadable(
                "in-the-future", "later than the ledger's clock: it cannot be known yet"
            )
        return instant

    def _category(self, text: str) -> Category | None:
        if not text:
            return None
        category = self._categories[text]
        if category is None:
            self.tallies[f"unknown-category:{text[:60]}"] += 1
        return category

    def _email(self, text: str) -> str | None:
        address = cells.email(text)
        if address is None and text:
            self.tallies["email-unreadable"] += 1
        return address

    def _values_of(self, fields: Sequence[_Field], row: Row) -> list[Any]:
        """The values of a row, in the order of its fields."""
        values = []
        for name, place, column, read, replace in fields:
            text = row.cells[place]
            if replace is not None and text in replace:
                text = replace[text]
                self.tallies[f"replaced:{name}"] += 1
            try:
                values.append(read(text))
            except Unreadable as fault:
                raise RowFault(column, text, fault.code, fault.reason) from None
        return values

    def values_of(self, table: Table, entry: FileMap) -> Callable[[Row], dict[str, Any]]:
        """A function that reads a row's fields, constants among them, by name."""
        fields = self._fields(table, entry)
        constants = self._constants(entry)
        names = [found.name for found in fields]

        def values(row: Row) -> dict[str, Any]:
            return constants | dict(zip(names, self._values_of(fields, row), strict=True))

        return values

    def _labels_of(self, table: Table, entry: FileMap) -> Callable[[Row], dict[str, str]]:
        """A function that reads a row's dimensions, the empty ones left out."""
        dimensions = [
            (key, table.columns.index(column), self._values.get(key, {}))
            for key, column in entry.dimensions.items()
        ]
        read_label = Memo(cells.text_of(cells.LABEL_CHARS_MAX))

        def labels(row: Row) -> dict[str, str]:
            found = {}
            for key, place, replace in dimensions:
                text = row.cells[place]
                try:
                    label = read_label[replace.get(text, text)]
                except Unreadable as fault:
                    raise RowFault(key, text, fault.code, fault.reason) from None
                if label is not None:
                    found[key] = label
            return found

        return labels

    def _taker(
        self, table: Table, entry: FileMap, file: int, report: FileReport
    ) -> Callable[[Row], None]:
        """The function that takes in one row of a file."""
        if entry.kind in ("history", "event_log"):
            return self._history_taker(table, entry, file, report)
        if entry.kind == "field_history":
            return self._field_history_taker(table, entry, file, report)
        values = self.values_of(table, entry)
        labels = self._labels_of(table, entry)
        present = frozenset({*entry.constants, *_columns(self._fields(table, entry))})
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

    def _constants(self, entry: FileMap) -> dict[str, Any]:
        try:
            return {
                name: self._reader_of(name, entry.kind, "", None)(text)
                for name, text in entry.constants.items()
            }
        except Unreadable as fault:
            raise InvalidInput("invalid-mapping", f"a constant cannot be read: {fault}") from None

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
        fields, constants = self._fields(table, entry), self._constants(entry)
        labels = self._labels_of(table, entry)
        is_log = entry.kind == "event_log"
        said = ("stage",) if is_log else HISTORY_FIELDS
        names = [found.name for found in fields]
        layout = tuple(name for name in names if name in said)
        places = [names.index(name) for name in layout]
        self.facts.snapshot_fields.update(layout)
        columns = _columns(fields)

        def take(row: Row) -> None:
            read = self._values_of(fields, row)
            values = dict(zip(names, read, strict=True))
            if constants:
                values = constants | values
            stage = values.get("stage")
            if stage is not None and self._stages.rule(stage).ignore:
                report.ignored += 1
                return
            self._stage(stage)
            deal = self._needed(values, "deal", columns)
            at = self._needed(values, "at", columns)
            self.facts.saw(at)
            said_now = tuple([read[place] for place in places])
            ref = Ref(file, row.number)
            record = values.get("id")
            if record is None:
                record = self._content_id(deal, at, layout, said_now)
            facts = self.facts.deal(deal)
            facts.changes.append(
                Change(at, ref, record, values.get("changed_by"), layout, said_now, None,
                       values.get("currency"))
            )  # fmt: skip
            if is_log and facts.record is None:
                facts.record = _case(deal, ref, values, labels(row))
                self.facts.saw(facts.record.opened)

        return take

    def _field_history_taker(
        self, table: Table, entry: FileMap, file: int, report: FileReport
    ) -> Callable[[Row], None]:
        values_of, columns = self.values_of(table, entry), _columns(self._fields(table, entry))
        names = {**FIELD_NAMES, **{plain(name): ours for name, ours in entry.fields.items()}}
        readers = {name: self._reader_of(name, "history", "", None) for name in set(names.values())}
        with_olds = "old_value" in entry.columns and "old_value" in columns

        def read_value(field: str, column: str, text: str | None) -> Any:
            text = text or ""
            replace = self._values.get(field, {})
            try:
                return readers[field](replace.get(text, text))
            except Unreadable as fault:
                raise RowFault(columns.get(column, ""), text, fault.code, fault.reason) from None

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
                payload = StakeholderAdded(
                    **{"name": given["id"], **given, "stakeholder": given.pop("id")}
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
            raise RowFault((columns or {}).get(name, name), "", "missing-value", f"no {name}")
        return value

    def _stage(self, stage: str | None) -> str | None:
        if self._reject_unknown_stages and stage is not None and not self._stages.rule(stage).told:
            raise RowFault("stage", stage, "unknown-stage", "the mapping does not know this stage")
        return stage


def currency_of_column(column: str) -> str | None:
    """The currency that a column's name ends in: `amount_usd`, `Amount (EUR)`."""
    tail = column.rstrip(") ").replace("(", " ").replace("_", " ").split()
    if len(tail) < 2 or len(tail[-1]) != 3 or not tail[-1].isalpha():
        return None
    code = tail[-1].upper()
    try:
        minor_units(code)
    except InvalidInput:
        return None
    return code


def _currency(text: str) -> str | None:
    if not text:
        return None
    try:
        minor_units(text.upper())
    except InvalidInput as error:
        raise Unreadable(error.code, error.message) from None
    return text.upper()


def _products(separator: str | None, text: str) -> tuple[str, ...]:
    read = cells.text_of(cells.NAME_CHARS_MAX)
    parts = text.split(separator) if separator else [text]
    found = tuple(part.strip() for part in parts if part.strip())
    if len(found) > 50:
        raise Unreadable("too-many-parts", "more than 50 products")
    for part in found:
        read(part)
    return found


def _columns(fields: Sequence[_Field]) -> dict[str, str]:
    return {found.name: found.column for found in fields}


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


def _duplicate(identifier: str) -> RowFault:
    reason = "another row has this id and other content"
    return RowFault("id", identifier, "duplicate-record", reason)


def _payload_fault(error: Exception) -> RowFault:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        column = ".".join(str(part) for part in first["loc"])
        return RowFault(column, str(first["input"]), "invalid-value", first["msg"])
    return RowFault(str(error), "", "missing-value", "a needed value is missing")
