"""Regressions and loops in public CRM exports: what the folds find is what their CSV files hold.

`preppin_salesforce` has 72 backward moves in 55 deals: by the `SortOrder` of its stages, each row
of `Opportunity History.csv` against the row before it, in the order of days (a deal has no two rows
on one day, so no tie decides). `bpic2012_2011q4` has offers that were cancelled and made again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest

from api.asof import AsOf
from ledger.connectors.importer import ImportOptions, import_csv
from ledger.connectors.report import Report
from ledger.connectors.salesforce import import_salesforce
from ledger.domain.events import PlaybookPublished
from ledger.domain.playbook import Playbook, parse_playbook
from ledger.domain.times import format_instant, parse_instant
from ledger.service import publish_playbook
from ledger.store.embedded import EmbeddedServer
from ledger.store.ledger import Ledger
from projections.fold.claimed_journey import ClaimedJourney, Scale, claimed_journey
from projections.fold.gates import Qualification

from . import regressions_oracle as oracle
from .cases import MAPPINGS, rows_of, write
from .product import Imported, imported
from .regressions_oracle import Count, Counter, total

ROOT = Path(__file__).parents[3]
JOURNEY = ROOT / "ledger" / "playbooks" / "buyers_journey.toml"
LOANS = ROOT / "docs" / "playbooks" / "loan_application.toml"
OFFERS = {
    "A_ACCEPTED": 'evidence = ["application_complete"]',
    "O_SENT": 'evidence = ["offer_with_customer"]',
    "O_SENT_BACK": 'evidence = ["offer_sent_back"]',
    "O_ACCEPTED": 'evidence = ["offer_accepted"]',
    "O_CANCELLED": 'against = ["offer_with_customer", "offer_sent_back"]',
}
"""What the log attests of the customer, stage by stage."""
FOREVER = "9999-01-01"


def _preppin(ledger: Ledger, folder: Path, home: Path) -> Report:
    options = ImportOptions(date_order="dmy", currency="USD", home=home)
    stages = MAPPINGS / "preppin_salesforce.toml"
    return import_salesforce(ledger, folder, options, stages=stages)


def _revops(ledger: Ledger, folder: Path, home: Path) -> Report:
    files = [folder / "opportunities.csv", folder / "opportunity_history.csv"]
    return import_csv(ledger, MAPPINGS / "revops_history.toml", files, ImportOptions(home=home))


def _bpic2012(ledger: Ledger, folder: Path, home: Path) -> Report:
    text = (MAPPINGS / "bpic2012.toml").read_text(encoding="utf-8")
    for stage, attested in OFFERS.items():
        table = f'\n[stages."{stage}"]\n'
        assert table in text
        text = text.replace(table, f"{table}{attested}\n")
    mapping = home / "bpic2012.toml"
    mapping.write_text(text, encoding="utf-8")
    files = [folder / "bpic2012_2011q4.csv.gz"]
    return import_csv(ledger, mapping, files, ImportOptions(home=home))


class Set(NamedTuple):
    """A data set: its folder, both readings, the playbook of its gates, and past days."""

    folder: str
    read: Callable[[Path], Counter]
    bring: Callable[[Ledger, Path, Path], Report]
    playbook: Path
    days: tuple[str, ...]


SETS = {
    "preppin": Set(
        "preppin_salesforce",
        oracle.preppin,
        _preppin,
        JOURNEY,
        ("2022-03-31", "2022-05-31", "2022-06-30", "2022-10-31", "2022-12-23"),
    ),
    "revops": Set(
        "revops_meddicc_history", oracle.revops, _revops, JOURNEY,
        ("2026-03-31",),
    ),
    "bpic2012": Set(
        "bpic2012_2011q4",
        oracle.bpic2012,
        _bpic2012,
        LOANS,
        ("2011-10-31", "2011-11-30", "2011-12-20"),
    ),
}  # fmt: skip


class Both(NamedTuple):
    """A data set imported, and counted; judged under one version, where one is named."""

    product: Imported
    counter: Counter
    folder: Path
    under: str | None

    def journeys(self, day: str | None = None) -> list[ClaimedJourney]:
        """Every deal's claimed journey: now, or on a past day as known then."""
        with self.product.door.book(self._asked(day)) as book:
            found = [
                claimed_journey(deal.deal_id, deal.events, book.valid_at, deal.judge.playbooks)
                for deal in book.deals()
            ]
        assert None not in found
        return [journey for journey in found if journey is not None]

    def qualifications(self, day: str | None = None) -> list[Qualification]:
        """Every deal's gates by what the source attests: now, or on a past day as known then."""
        with self.product.door.book(self._asked(day)) as book:
            return [deal.qualification for deal in book.deals()]

    def _asked(self, day: str | None) -> AsOf:
        return AsOf(as_of=day, under=self.under)


@pytest.fixture(scope="module")
def sets(
    server: EmbeddedServer, data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Both]]:
    """A data set by its name; each is imported once, when first asked for."""
    with ExitStack() as stack:
        made: dict[str, Both] = {}

        def of(name: str) -> Both:
            if name not in made:
                each = SETS[name]
                folder = data / each.folder
                if not folder.is_dir():
                    pytest.skip(f"no data set {each.folder} in {data}")
                counter = each.read(folder)
                newest = counter.newest().replace(tzinfo=UTC)
                if newest > datetime.now(UTC):
                    pytest.skip(
                        f"{each.folder} reaches to {newest:%Y-%m-%d}, later than this clock"
                    )
                home = tmp_path_factory.mktemp(name)
                product = stack.enter_context(
                    imported(server, home, lambda ledger, place: _load(each, ledger, folder, place))
                )
                made[name] = Both(product, counter, folder, _label(each))
            return made[name]

        yield of


def _playbook(each: Set) -> Playbook:
    return parse_playbook(each.playbook.read_text(encoding="utf-8"), where=each.playbook.name)


def _label(each: Set) -> str:
    playbook = _playbook(each)
    return f"{playbook.key}@{playbook.version}"


def _load(each: Set, ledger: Ledger, folder: Path, home: Path) -> Report:
    published = PlaybookPublished(playbook=_playbook(each))
    publish_playbook(
        ledger, published, actor="test", effective_at=parse_instant("2000-01-01T00:00:00Z")
    )
    return each.bring(ledger, folder, home)


Sets = Callable[[str], Both]


def counted(journeys: list[ClaimedJourney]) -> dict[str, Count]:
    """By deal, the product's regressions and loops of the claim; none: no entry."""
    counts = {each.deal_id: Count(len(each.regressions), len(each.loops)) for each in journeys}
    return {deal: count for deal, count in counts.items() if any(count)}


@pytest.mark.parametrize(
    ("name", "expected"),
    [("preppin", (72, 55, 32, 31)), ("revops", (0, 0, 0, 0)), ("bpic2012", (1304, 985, 1041, 693))],
)
def test_claimed_regressions_and_loops(
    sets: Sets, name: str, expected: tuple[int, int, int, int]
) -> None:
    """Deal by deal and in total: moves back and loops, each in how many deals."""
    both = sets(name)
    found = counted(both.journeys())
    assert found == both.counter.claims(FOREVER)
    assert total(found) == expected


def test_loops_that_only_the_records_tell(sets: Sets) -> None:
    """The history of stages holds 11 loops; 21 records stand where their deal had once stood.

    These became known with the records, at the snapshot, and so did their loops.
    """
    both = sets("preppin")
    snapshot = both.product.report.snapshot_at
    assert snapshot is not None
    at = [loop.again_at for journey in both.journeys() for loop in journey.loops]
    known_with_records = at.count(format_instant(snapshot))
    assert (len(at) - known_with_records, known_with_records) == (11, 21)


@pytest.mark.parametrize(
    ("name", "day"), [(name, day) for name, each in SETS.items() for day in each.days]
)
def test_claimed_regressions_as_known_then(sets: Sets, name: str, day: str) -> None:
    """On a past day there are those that the rows up to that day hold."""
    both = sets(name)
    assert counted(both.journeys(day)) == both.counter.claims(f"{day} 23:59:59.999999")


def test_days_differ(sets: Sets) -> None:
    """The past days are real questions: the count grows from one to the next."""
    for name in ("preppin", "bpic2012"):
        both = sets(name)
        days = [f"{day} 23:59:59.999999" for day in SETS[name].days]
        back = [total(both.counter.claims(day))[0] for day in [*days, FOREVER]]
        assert back[0] > 0
        assert all(before < after for before, after in pairwise(back[:-1]))


def test_each_regression_names_its_claims(sets: Sets) -> None:
    """The positions given are those of the claims before and after, of that very deal."""
    both = sets("preppin")
    claims = {
        event["position"]: (event["stream"], event["payload"]["stage"], event["occurred_at"])
        for event in both.product.ledger.events(types=["stage-claimed"])
    }
    for journey in both.journeys():
        stream = f"deal:{journey.deal_id}"
        for move in journey.regressions:
            before, after = (claims[position] for position in move.causes)
            assert before[:2] == (stream, move.origin.stage)
            assert after == (stream, move.target.stage, move.at)
        for loop in journey.loops:
            assert claims[loop.lost_by][2] == loop.lost_at <= loop.again_at
            assert claims[loop.again_by] == (stream, loop.stage, loop.again_at)


def test_without_a_playbook_nothing_is_guessed(sets: Sets) -> None:
    """As known in 2022 no playbook was published: stages have no order, and no move goes back."""
    both = sets("preppin")._replace(under=None)
    journeys = both.journeys("2022-06-30")
    assert {journey.scale for journey in journeys} == {None}
    assert counted(journeys) == {}
    assert {str(move.kind) for journey in journeys for move in journey.moves} == {"unordered"}


def test_claims_before_the_opening_are_told(sets: Sets) -> None:
    """43 rows are older than their deal; those that are a claim of their own are listed."""
    journeys = sets("preppin").journeys()
    early = sum(len(journey.before_opening) for journey in journeys)
    assert early == 43 - 4  # four of them repeat the stage of the row before


def test_skipped_stages_of_revops(sets: Sets) -> None:
    """25 moves leave out a stage that others claim; none goes back."""
    both = sets("revops")
    journeys = both.journeys()
    assert {journey.scale for journey in journeys} == {Scale.GATE}
    used = {step.place for journey in journeys for step in journey.steps} - {None}
    skips = 0
    for journey in journeys:
        for before, after in pairwise(journey.steps):
            if before.place is not None and after.place is not None:
                between = range(before.place + 1, after.place)
                skips += any(place in used for place in between)
    assert (skips, both.counter.skips()) == (25, 25)


@pytest.mark.parametrize(
    ("gate", "word", "expected"),
    [("offer", "sent", (1686, 1265, 936, 693)), ("answer", "sent back", (207, 200, 77, 76))],
)
@pytest.mark.parametrize("day", [None, "2011-11-15"], ids=["now", "then"])
def test_offers_cancelled_and_made_again(
    sets: Sets, gate: str, word: str, expected: tuple[int, int, int, int], day: str | None
) -> None:
    """By evidence, a gate regresses when its offer is cancelled, and loops with the next one.

    Deal by deal: what was said for an offer, taken back, and said again, up to the decision.
    """
    both = sets("bpic2012")
    found = {}
    for deal in both.qualifications(day):
        state = deal.gate_state(gate)
        assert state is not None
        loops = [loop for loop in deal.loops if loop.gate == gate]
        count = Count(state.regressions, len(loops))
        if any(count):
            found[deal.deal_id] = count
    assert found == both.counter.offers(word, f"{day or FOREVER} 23:59:59.999999")
    assert (total(found) == expected) is (day is None)


def test_another_stage_in_the_files_is_seen(sets: Sets, tmp_path: Path) -> None:
    """The comparison can fail: one deal's stages, changed in a copy of the files, show."""
    both = sets("preppin")
    found = counted(both.journeys())
    history = "Opportunity History.csv"
    (tmp_path / "Opportunity.csv").symlink_to(both.folder / "Opportunity.csv")
    rows = rows_of(both.folder / history)
    victim = next(deal for deal, count in found.items() if count.regressions == 1)
    for row in rows:
        if row["OppID"] == victim:
            row["StageName"], row["SortOrder"] = "Prospecting", "1"
    write(tmp_path / history, rows)
    perturbed = oracle.preppin(tmp_path).claims(FOREVER)
    assert perturbed != found
    assert [deal for deal in found if found[deal] != perturbed.get(deal)] == [victim]
