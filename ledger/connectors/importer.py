"""The importer: files in, events in the ledger, and a report that adds up.

Law: everything is read before anything is written. Deals are written in chunks that end where a
deal ends; a chunk is all or nothing. An import that is killed and run again gives the ledger that
one run would have given, because events are found again by their ids and a deal's events depend on
nothing but its facts.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Protocol, TypeVar

from ledger.connectors import sentences
from ledger.connectors.dates import DateOrder, DateReader, OrderVotes, count_orders, is_slashed
from ledger.connectors.dates import settle_order as settle
from ledger.connectors.facts import Facts
from ledger.connectors.history import tell
from ledger.connectors.mapping import FileMap, Mapping, load_mapping
from ledger.connectors.parties import tell_account, tell_person
from ledger.connectors.reader import FileReader
from ledger.connectors.report import Report
from ledger.connectors.rows import Table, open_table
from ledger.connectors.rules import Rules
from ledger.connectors.scribe import Telling
from ledger.connectors.stages import NOTHING_LEARNED, Stages, learn
from ledger.connectors.writing import (
    NO_OPTIONS,
    Fault,
    ImportOptions,
    Progress,
    Target,
    Writer,
    default_currency,
    no_progress,
)
from ledger.domain.errors import InvalidInput
from ledger.domain.events import Event, EvidenceRecorded, StakeholderAdded
from ledger.domain.times import Instant, format_instant, zone

__all__ = ["ImportOptions", "Progress", "Target", "import_csv", "no_progress", "run_import"]

_LOOK_UP = 1_000
_SAMPLE_ROWS = 200
_COLLECT_AFTER = 100_000
_DATE_FIELDS = ("at", "opened", "closed", "modified", "joined", "close_date", "effective")

_T = TypeVar("_T")


class _Identified(Protocol):
    @property
    def id(self) -> str: ...


_Known = TypeVar("_Known", bound=_Identified)


def import_csv(
    ledger: Target,
    mapping_path: Path,
    files: Sequence[Path],
    options: ImportOptions = NO_OPTIONS,
    progress: Progress = no_progress,
) -> Report:
    """Bring in the exports of any CRM, by a mapping.

    Args:
        ledger: the ledger to write to.
        mapping_path: the TOML mapping.
        files: CSV files, each of which must fit an entry of the mapping.
        options: what the user says.
        progress: see `Progress`.

    Raises:
        InvalidInput: `invalid-mapping`, `missing-file`, `unrecognised-file`, `missing-column`,
            `ambiguous-dates`, `no-snapshot`, `snapshot-too-early`, `unknown-criterion`,
            `no-playbook`, `rows-rejected` (strict), and others that name their place.
    """
    mapping = load_mapping(mapping_path)
    if not files:
        raise InvalidInput("no-files", "no file to import was given")
    tables = [open_table(path, options.encoding) for path in files]
    plan = [(table, mapping.file_for(table.name, table.columns)) for table in tables]
    return run_import(ledger, mapping, plan, options, progress)


def run_import(
    ledger: Target,
    mapping: Mapping,
    plan: Sequence[tuple[Table, FileMap]],
    options: ImportOptions,
    progress: Progress,
    *,
    learns: bool = False,
) -> Report:
    """Bring in files of which it is settled how each is read.

    Args:
        ledger: the ledger to write to.
        mapping: what holds for all the files.
        plan: the files, each with the entry by which it is read.
        options: what the user says.
        progress: see `Progress`.
        learns: whether records teach what stages mean.
    """
    with _collecting_seldom():
        return _Import(ledger, mapping, plan, options, progress, learns=learns).run()


@contextmanager
def _collecting_seldom() -> Iterator[None]:
    """Look for garbage in cycles seldom: facts form none, and there are 100,000s of them.

    Looking through them again and again takes a seventh of an import (measured: 300,000 rows).
    """
    before = gc.get_threshold()
    gc.set_threshold(_COLLECT_AFTER, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


class _Import:
    """One import: reads, settles what holds for all deals, writes, reports."""

    def __init__(
        self, ledger: Target, mapping: Mapping, plan: Sequence[tuple[Table, FileMap]],
        options: ImportOptions, progress: Progress, *, learns: bool,
    ) -> None:  # fmt: skip
        self.ledger = ledger
        self.mapping = mapping
        self.plan = plan
        self.options = options
        self.progress = progress
        self.learns = learns
        self.clock = ledger.clock()
        paths = [table.path for table, _ in plan]
        self.writer = Writer(ledger, paths, options, options.system or mapping.system)
        self.report = self.writer.report
        self.tallies = self.writer.tallies
        self._why_currency = ""

    def run(self) -> Report:
        reader = self._read()
        rules = self._settle(reader)
        self._reject_unknown_deals(reader.facts)
        if self.options.strict:
            for telling in self._tellings(reader.facts, rules):
                for fault in telling.faults:
                    self.writer.reject(fault)
            self.writer.refuse_rejects()
        self._write(reader.facts, rules)
        self._tell_assumed_currency(rules.currency)
        self._ignore_contacts(reader.facts)
        return self.writer.finish()

    # --- reading ---------------------------------------------------------------------------------

    def _read(self) -> FileReader:
        order = self.options.date_order or self.mapping.date_order or find_order(self.plan)
        self.report.date_order = order
        reader = make_reader(self.mapping, self.options, order, self.clock)
        for table, entry in self.plan:
            self.report.files.append(reader.read(table, entry, ticker(self.progress, table.name)))
        self.writer.rejects += reader.rejects
        self.writer.cells += reader.cells
        self.tallies.update(reader.tallies)
        return reader

    # --- what holds for all deals ----------------------------------------------------------------

    def _settle(self, reader: FileReader) -> Rules:
        facts = reader.facts
        learned = learn(reader.samples) if self.learns else NOTHING_LEARNED
        stages = Stages(self.mapping.stage_rules(), learned)
        self.report.caveats += [f"{split}: the most frequent counts" for split in learned.split]
        self._check_playbooks(facts)
        entries = [entry for _, entry in self.plan]
        rules = Rules(
            system=self.report.system,
            stages=stages,
            snapshot_at=self._snapshot(facts, stages),
            currency=self._currency(),
            zone=zone(self.options.time_zone or self.mapping.time_zone or "UTC"),
            snapshot_fields=frozenset(facts.snapshot_fields),
            changed_fields=frozenset(facts.changed_fields),
            opened_stage=next(
                (entry.opened_stage for entry in entries if entry.opened_stage), None
            ),
            known_at_close=frozenset(name for entry in entries for name in entry.known),
            contacts={key: (it.name, it.email, it.title) for key, it in facts.contacts.items()},
        )
        self.report.snapshot_at = rules.snapshot_at
        self.report.currency = rules.currency
        self.report.deals = len(facts.deals)
        self.report.caveats += sentences.untracked(entries, facts)
        self._look_at_records(facts, rules)
        return rules

    def _snapshot(self, facts: Facts, stages: Stages) -> Instant:
        for deal in facts.deals.values():
            record = deal.record
            if record is None or record.closed is None or record.closed > self.clock:
                continue
            stage = record.values.get("stage")
            if stage is not None and stages.rule(stage).outcome is not None:
                facts.saw(record.closed)
        given = self.options.snapshot_at or self.mapping.snapshot_at
        if given is None:
            if facts.newest is None:
                raise InvalidInput(
                    "no-snapshot",
                    "no column tells when the records were as they are",
                    hint="say when the export was made with --snapshot-at",
                )
            return min(facts.newest, self.clock)
        if given > self.clock:
            raise InvalidInput(
                "snapshot-in-the-future",
                f"{format_instant(given)} is later than the ledger's clock",
            )
        if facts.newest is not None and given < facts.newest:
            raise InvalidInput(
                "snapshot-too-early",
                f"the files hold changes up to {format_instant(facts.newest)}, after the "
                f"snapshot's time {format_instant(given)}",
                hint="leave --snapshot-at out, or give a later time",
            )
        return given

    def _currency(self) -> str:
        given = self.options.currency or self.mapping.currency
        found, self._why_currency = default_currency(self.ledger, given)
        return found

    def _tell_assumed_currency(self, currency: str) -> None:
        """Say so where amounts of which neither row nor record tells the currency were met."""
        given = self.options.currency or self.mapping.currency
        if self.tallies["currency-assumed"] and given is None:
            self.report.caveats.append(
                f"currency: not all amounts name theirs; {currency} was assumed "
                f"({self._why_currency})"
            )

    def _check_playbooks(self, facts: Facts) -> None:
        """Refuse criteria that no published playbook has; tell of such gates."""
        criteria, gates = self.mapping.criteria(), self.mapping.gates()
        for deal in facts.deals.values():
            for extra in deal.extras:
                if isinstance(extra.payload, EvidenceRecorded):
                    criteria.add(extra.payload.criterion)
        if not criteria and not gates:
            return
        published = [
            gate
            for event in self.ledger.events(types=["playbook-published"])
            for gate in event["payload"]["playbook"]["gates"]
        ]
        if missing := sorted(gates - {gate["key"] for gate in published}):
            self.report.caveats.append(sentences.unknown_gates(missing))
        if not criteria:
            return
        if not published:
            raise InvalidInput(
                "no-playbook", "the mapping records evidence, and no playbook is published yet",
                hint="publish a playbook first",
            )  # fmt: skip
        known = {criterion["key"] for gate in published for criterion in gate["criteria"]}
        if absent := sorted(criteria - known):
            raise InvalidInput(
                "unknown-criterion",
                f"no published playbook has the criterion {absent[0]!r}",
                hint="its criteria are: " + ", ".join(sorted(known))[:600],
            )

    def _look_at_records(self, facts: Facts, rules: Rules) -> None:
        """Count what looks wrong in the records, without changing what they say."""
        for deal in facts.deals.values():
            record = deal.record
            if record is None:
                continue
            stage = record.values.get("stage")
            if stage is not None and record.is_closed is not None:
                outcome = rules.stages.rule(stage).outcome
                won = outcome is not None and outcome.value == "won"
                if record.is_closed != (outcome is not None) or (
                    record.is_won is not None and record.is_won != won
                ):
                    self.tallies["flags-disagree"] += 1
            for product in record.values.get("products") or ():
                if facts.products and product not in facts.products:
                    self.tallies[f"unknown-product:{product}"] += 1

    # --- rows that stay out ----------------------------------------------------------------------

    def _reject_unknown_deals(self, facts: Facts) -> None:
        unknown = [deal for deal in facts.deals.values() if deal.record is None]
        for some in _batches(unknown, _LOOK_UP):
            there = self.ledger.last_versions([f"deal:{deal.id}" for deal in some])
            for deal in some:
                if f"deal:{deal.id}" in there:
                    continue
                refs = [change.ref for change in deal.changes]
                for ref in refs + [extra.ref for extra in deal.extras]:
                    self.writer.reject(
                        Fault(ref, "deal", deal.id, "unknown-deal",
                              "neither the export nor the ledger has this deal")
                    )  # fmt: skip
                del facts.deals[deal.id]

    # --- writing ---------------------------------------------------------------------------------

    def _tellings(self, facts: Facts, rules: Rules) -> Iterator[Telling]:
        """What everything becomes: accounts, people, then deals in file order."""
        for account, past in self._with_past("account", facts.accounts.values()):
            yield self._after(past, tell_account(account, past, rules))
        for person, past in self._with_past("person", facts.people.values()):
            yield self._after(past, tell_person(person, past, rules))
        for deal, past in self._with_past("deal", facts.deals.values()):
            yield self._after(past, tell(deal, past, rules))

    def _after(self, past: Sequence[Event], telling: Telling) -> Telling:
        """A telling that knows how much the source has brought of the same before."""
        system = self.report.system
        telling.known = sum(event["source"]["system"] == system for event in past)
        return telling

    def _with_past(
        self, kind: str, things: Iterable[_Known]
    ) -> Iterator[tuple[_Known, list[Event]]]:
        """Each thing with its events in the ledger."""
        for some in _batches(things, _LOOK_UP):
            names = [f"{kind}:{thing.id}" for thing in some]
            there = self.ledger.last_versions(names)
            for name, thing in zip(names, some, strict=True):
                yield thing, self.ledger.stream(name) if name in there else []

    def _write(self, facts: Facts, rules: Rules) -> None:
        total = len(facts.accounts) + len(facts.people) + len(facts.deals)
        for done, telling in enumerate(self._tellings(facts, rules), 1):
            self.tallies.update(telling.tallies)
            self.report.events_known += telling.known
            for fault in telling.faults:
                self.writer.reject(fault)
            self.writer.add(telling.steps)
            for step in telling.steps:
                payload = step.draft.payload
                if isinstance(payload, StakeholderAdded) and payload.stakeholder in facts.contacts:
                    self.writer.use(facts.contacts[payload.stakeholder].ref)
            if done % 500 == 0 or done == total:
                self.progress("importing", done, total)
        self.writer.flush()

    def _ignore_contacts(self, facts: Facts) -> None:
        """Contacts that no deal names as a stakeholder are nothing to bring in."""
        records = (deal.record for deal in facts.deals.values())
        named = {contact for record in records if record for _, contact in record.roles}
        for contact in facts.contacts.values():
            if contact.id not in named:
                self.report.files[contact.ref.file].ignored += 1


def make_reader(
    mapping: Mapping, options: ImportOptions, order: DateOrder | None, clock: Instant
) -> FileReader:
    """The reader of an import's files.

    Args:
        mapping: what holds for all the files.
        options: what the user says.
        order: the order of dates with slashes.
        clock: now; nothing can be known later.
    """
    tz = zone(options.time_zone or mapping.time_zone or "UTC")
    return FileReader(
        DateReader(tz, order, mapping.date_formats),
        mapping.id_prefix if options.id_prefix is None else options.id_prefix,
        clock,
        Stages(mapping.stage_rules()),
        reject_unknown_stages=mapping.unknown_stages == "reject",
        values=mapping.values,
    )


def ticker(progress: Progress, name: str) -> Callable[[int], None]:
    """A function that adds up the rows of a file and tells the progress."""
    done = 0

    def tick(count: int) -> None:
        nonlocal done
        done += count
        progress(f"reading {name}", done, None)

    return tick


def find_order(plan: Sequence[tuple[Table, FileMap]]) -> DateOrder | None:
    """The order of the dates with slashes, as all the files together prove it.

    Raises:
        InvalidInput: `ambiguous-dates`.
    """
    votes = OrderVotes(0, 0, 0)
    for table, entry in plan:
        places = [
            table.columns.index(column)
            for name, column in entry.columns.items()
            if name in _DATE_FIELDS and column in table.columns
        ]
        if places and any(is_slashed(text) for text in _dates_of(table, places, _SAMPLE_ROWS)):
            found = count_orders(_dates_of(table, places, None))
            votes = OrderVotes(*(a + b for a, b in zip(votes, found, strict=True)))
    return settle(votes)


def _dates_of(table: Table, places: Sequence[int], limit: int | None) -> Iterator[str]:
    for row in islice(table.rows(), limit):
        if row.fault is None:
            for place in places:
                if row.cells[place]:
                    yield row.cells[place]


def _batches(things: Iterable[_T], size: int) -> Iterator[list[_T]]:
    iterator = iter(things)
    while some := list(islice(iterator, size)):
        yield some
