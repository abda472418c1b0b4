"""Gates, findings, lapses and the practice over GraphQL: the same answers as the layers below.

The book is the invented one of the demo, in part: every kind of outcome, with its evidence.
"""

from __future__ import annotations

import asyncio
import tomllib
from collections.abc import Callable, Collection, Iterator
from importlib.resources import files
from typing import Any

import httpx
import pytest

from api.asof import AsOf
from api.door import Door
from api.graphql.schema import schema
from ledger.config import Settings
from ledger.domain.basis import Basis
from ledger.domain.events import Event
from ledger.store.database import Database
from projections.agenda import agenda
from projections.book import Book
from projections.fold.people import Organisation
from projections.journey import findings_rows, gates_as_dict, lapses_rows
from projections.ladder import ladder
from projections.playbooks import playbook_as_dict, playbook_list
from projections.queue import requalification_queue
from projections.reader import LogReader, StreamRange
from scripts.demo_book.files import write_book
from tests.e2e.asking import Client, arguments, camel, mirrored, same, selection
from tests.e2e.process import Qledger

END = "2026-03-31"
AHEAD = "2026-06-30"
PERIOD = "2026-Q1"
SHIPPED = tomllib.loads((files("ledger") / "playbooks" / "meddpicc.toml").read_text())
OTHER = f"{SHIPPED['key']}@{SHIPPED['version']}"
"""A version that was published after all of this, to judge by."""


@pytest.fixture(scope="module")
def book_of_business(qledger: Qledger, tmp_path_factory: pytest.TempPathFactory) -> Qledger:
    """The demo's book, beside the worked example."""
    folder = tmp_path_factory.mktemp("book")
    write_book(folder)
    qledger.ok("import", "salesforce", str(folder))
    for sheet in ("calls", "quotas", "fx"):
        mapping = str(folder / "calls.toml")
        qledger.ok("import", "calls", str(folder / f"{sheet}.csv"), "--mapping", mapping)
    qledger.ok("import", "events", str(folder / "evidence.ndjson"))
    qledger.ok("playbook", "publish", "meddpicc")
    return qledger


@pytest.fixture(scope="module")
def client(book_of_business: Qledger) -> Iterator[Client]:
    with (
        book_of_business.serving() as (_process, address),
        httpx.Client(base_url=address, timeout=60) as http,
    ):
        yield Client(http)


@pytest.fixture(scope="module")
def door(book_of_business: Qledger, worked_settings: Settings) -> Iterator[Door]:
    with Database(worked_settings) as database:
        yield Door(database, worked_settings)


@pytest.fixture(scope="module")
def some(door: Door) -> frozenset[str]:
    """A few deals of every outcome, and those that went back or came again."""
    found: dict[str, list[str]] = {}
    with door.book(AsOf(END)) as book:
        for deal in book.deals():
            loops = ["loop"] if deal.qualification.loops else []
            moves = {str(move.kind) for move in deal.qualification.moves}
            for kind in (deal.claimed.outcome, *moves, *loops):
                found.setdefault(kind, []).append(deal.deal_id)
    assert {"open", "won", "lost", "no_decision", "regressed", "lapsed", "loop"} <= set(found)
    return frozenset(deal for deals in found.values() for deal in deals[:2])


# --- a deal -------------------------------------------------------------------------------------

PARTS = ("headline", "evidenced", "playbook", "stakeholders", "gates", "moves", "loops",
         "declared", "findings", "unplaced", "after_close", "before_opening")  # fmt: skip


@pytest.mark.parametrize(
    "asked",
    [AsOf(END), AsOf(END, known_at="now"), AsOf(END, under=OTHER), AsOf("2025-12-31")],
    ids=["as known then", "in hindsight", "under a version", "earlier"],
)
def test_the_journey_of_a_deal_is_the_one_that_is_folded(
    client: Client, door: Door, some: frozenset[str], asked: AsOf
) -> None:
    with door.book(asked) as book:
        told = [gates_as_dict(book, deal) for deal in book.deals() if deal.deal_id in some]
        pin = arguments(book.basis.as_dict())
        basis = book.basis
    for each in told:
        for who in each["stakeholders"]:
            who["away"] = [{"from": start, "until": end} for start, end in who["away"]]
    expected = {each["deal"]: mirrored({part: each[part] for part in PARTS}) for each in told}
    wanted = selection(list(expected.values()))
    query = f"query($id: ID!) {{ snapshot({pin}) {{ basis {{ under }} deal(id: $id) {wanted} }} }}"
    for deal, answer in expected.items():
        snapshot = client.ask(query, id=deal)["snapshot"]
        assert snapshot["basis"] == {"under": basis.under}
        assert same(snapshot["deal"], answer), deal


def test_the_same_over_the_command_line(client: Client, book_of_business: Qledger) -> None:
    deal = client.ask(
        f'{{ snapshot(asOf: "{END}") {{ deals(where: {{outcome: "open"}}, first: 1) {{'
        " nodes { dealId } } } }"
    )["snapshot"]["deals"]["nodes"][0]["dealId"]
    told = book_of_business.ok_here("gates", deal, "--as-of", END, "--format", "json").json
    snapshot = client.ask(
        f'{{ snapshot(asOf: "{END}") {{ deal(id: "{deal}") {{ headline gates {{ gate status '
        "criteria { criterion status rule since lapsesAt because { position } } } } } }"
    )["snapshot"]
    assert snapshot["deal"]["headline"] == told["headline"]
    assert [
        (gate["gate"], gate["status"], each["criterion"], each["status"], each["rule"],
         each["since"], each["lapsesAt"], [event["position"] for event in each["because"]])
        for gate in snapshot["deal"]["gates"]
        for each in gate["criteria"]
    ] == [
        (gate["gate"], gate["status"], each["criterion"], each["status"], each["rule"],
         each["since"], each["lapses_at"], [str(event["position"]) for event in each["because"]])
        for gate in told["gates"]
        for each in gate["criteria"]
    ]  # fmt: skip


def test_what_lapses_next_is_told_with_where_the_deal_falls(client: Client, door: Door) -> None:
    with door.book(AsOf(END)) as book:
        until = door.instant(AHEAD, book.basis)
        deals = [deal for deal in book.deals() if deal.is_open and deal.ahead(until).upcoming_moves]
        told = gates_as_dict(book, deals[0], ahead_until=until)
        pin = arguments(book.basis.as_dict())
    expected = {
        "until": until,
        "changes": mirrored(told["upcoming"]),
        "moves": mirrored(told["upcoming_moves"]),
    }
    query = f"""{{ snapshot({pin}) {{ deal(id: "{told["deal"]}") {{
        standsAt upcoming(until: "{AHEAD}") {selection(expected)} }} }} }}"""
    deal = client.ask(query)["snapshot"]["deal"]
    assert same(deal["upcoming"], expected)
    assert deal["standsAt"] == told["evidenced"]["stands_at"]


def test_a_page_of_deals_with_gates_is_folded_in_one_go(client: Client, door: Door) -> None:
    with door.book(AsOf(END)) as book:
        expected = {
            deal.deal_id: [(gate.key, str(gate.status)) for gate in deal.qualification.gates]
            for deal in book.deals()
        }
    nodes = client.ask(
        f"""{{ snapshot(asOf: "{END}") {{ deals(first: 200) {{ edges {{ node {{
            dealId gates {{ gate status criteria {{ criterion because {{ position summary }} }} }}
            findings {{ rule because {{ position }} }}
        }} }} }} }} }}"""
    )["snapshot"]["deals"]["edges"]
    assert len(nodes) == 200
    for edge in nodes:
        found = [(gate["gate"], gate["status"]) for gate in edge["node"]["gates"]]
        assert found == expected[edge["node"]["dealId"]]


@pytest.mark.parametrize(
    "part",
    [
        "claims { field }",
        "gates { gate }",
        "agenda { playbook }",
        "timeline { nodes { status } }",
        f'upcoming(until: "{AHEAD}") {{ until }}',
        "claims { field } gates { gate } agenda { playbook } timeline { totalCount } headline",
    ],
)
def test_what_the_deals_of_a_page_share_is_read_once(
    door: Door, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ranges: list[str] = []
    scan = LogReader.streams

    def scanned(
        self: LogReader, basis: Basis, streams: StreamRange, types: Collection[str]
    ) -> Iterator[tuple[str, list[Event]]]:
        ranges.append(streams.first)
        return scan(self, basis, streams, types)

    monkeypatch.setattr(LogReader, "streams", scanned)

    def read_for(deals: int) -> list[str]:
        ranges.clear()
        query = (
            f'{{ snapshot(asOf: "{END}") {{ deals(first: {deals}) {{ nodes {{ {part} }} }} }} }}'
        )
        context = {"door": door, "ledger": None}
        answer = asyncio.run(schema.execute(query, context_value=context))
        assert answer.errors is None
        assert answer.data is not None
        assert len(answer.data["snapshot"]["deals"]["nodes"]) == deals
        return sorted(ranges)

    one = read_for(1)
    assert read_for(20) == one
    assert one.count("deal:") == 1


def test_deals_are_found_by_where_they_really_stand(client: Client, door: Door) -> None:
    with door.book(AsOf(END)) as book:
        verdicts = {deal.deal_id: deal.verdict for deal in book.deals()}
    query = """query($where: DealFilterInput) { snapshot(asOf: "2026-03-31") {
        deals(where: $where, first: 500) { nodes { dealId standsAt evidencedCategory } } } }"""
    for where in ({"standsAt": "investment"}, {"evidenced": "best_case"},
                  {"standsAt": "problem", "evidenced": "pipeline"}):  # fmt: skip
        nodes = client.ask(query, where=where)["snapshot"]["deals"]["nodes"]
        assert nodes
        assert [node["dealId"] for node in nodes] == [
            deal
            for deal, verdict in verdicts.items()
            if where.get("standsAt") in {None, verdict.gate}
            and where.get("evidenced") in {None, verdict.category}
        ]
    refused = client.refusal(query, where={"evidenced": "hope"})
    assert refused["extensions"]["code"] == "unknown-category"
    assert refused["extensions"]["where"] == "where.evidenced"


# --- the book -----------------------------------------------------------------------------------


def test_findings_over_the_book(client: Client, door: Door) -> None:
    with door.book(AsOf(END)) as book:
        expected = mirrored(findings_rows(book, period=PERIOD)["findings"])
        pin = arguments(book.basis.as_dict())
    assert expected
    query = f"""query($owner: String, $rule: String) {{ snapshot({pin}) {{ findings(
        period: "{PERIOD}", owner: $owner, rule: $rule, first: 500) {{
            totalCount nodes {selection(expected)} }} }} }}"""
    told = client.ask(query)["snapshot"]["findings"]
    assert told["totalCount"] == len(expected) <= 500
    assert same(told["nodes"], expected)
    one = expected[0]
    owned = client.ask(query, owner=one["owner"], rule=one["rule"])["snapshot"]["findings"]["nodes"]
    assert same(
        owned, [f for f in expected if (f["owner"], f["rule"]) == (one["owner"], one["rule"])]
    )


def test_lapses_over_the_book(client: Client, door: Door) -> None:
    with door.book(AsOf(END)) as book:
        answer = lapses_rows(book, door.instant(AHEAD, book.basis))
        pin = arguments(book.basis.as_dict())
    expected = mirrored({**answer, "lapses": {"nodes": answer["lapses"]}})
    wanted = selection(expected).replace("lapses", "lapses(first: 500)", 1)
    query = f'{{ snapshot({pin}) {{ lapses(until: "{AHEAD}") {wanted} }} }}'
    assert len(expected["lapses"]["nodes"]) < 500
    assert same(client.ask(query)["snapshot"]["lapses"], expected)


def test_lapses_come_page_by_page(client: Client) -> None:
    query = f"""query($after: String) {{ snapshot(asOf: "{END}") {{ lapses(until: "{AHEAD}") {{
        lapses(first: 40, after: $after) {{ totalCount nodes {{ at deal criterion }}
            pageInfo {{ hasNextPage endCursor }} }} }} }} }}"""
    found: list[Any] = []
    after: str | None = None
    more = True
    while more:
        page = client.ask(query, after=after)["snapshot"]["lapses"]["lapses"]
        assert len(page["nodes"]) <= 40
        found += page["nodes"]
        more, after = page["pageInfo"]["hasNextPage"], page["pageInfo"]["endCursor"]
    whole = client.ask(query.replace("first: 40", "first: 500"))["snapshot"]["lapses"]["lapses"]
    assert found == whole["nodes"]
    assert len(found) == whole["totalCount"] > 40
    elsewhere = query.replace(AHEAD, "2027-06-30")
    refused = client.refusal(elsewhere, after=after)["extensions"]
    assert refused["code"] == "cursor-of-another-question"


def test_the_forecast_by_todays_organisation(client: Client, door: Door) -> None:
    query = """query($organisation: Organisation!) { snapshot(asOf: "2025-09-30") {
        forecast(period: "2025-Q3", groupBy: ["manager"], organisation: $organisation) {
            organisation groups { key { value } cells { measure category amount } }
            unconverted { measure category amount currency } } } }"""
    for organisation in Organisation:
        with door.book(AsOf("2025-09-30")) as book:
            told = book.forecast(book.period("2025-Q3"), ("manager",), organisation).as_dict()
        forecast = client.ask(query, organisation=organisation.name)["snapshot"]["forecast"]
        assert forecast["organisation"] == str(organisation)
        assert forecast["unconverted"] == told["unconverted"]
        assert [(group["key"][0]["value"], group["cells"]) for group in forecast["groups"]] == [
            (
                group["key"]["manager"],
                [
                    {"measure": measure, "category": category, "amount": cell["amount"]}
                    for measure, categories in group["measures"].items()
                    for category, cell in (categories or {}).items()
                ],
            )
            for group in told["groups"]
        ]


TYPED: list[tuple[str, Callable[[Book], dict[str, Any]], frozenset[str]]] = [
    ("queue", requalification_queue, frozenset({"owner", "manager", "total"})),
    (f'ladder(period: "{PERIOD}")', lambda book: ladder(book, book.period(PERIOD)), frozenset()),
]


@pytest.mark.parametrize(("field", "question", "unused"), TYPED, ids=["queue", "ladder"])
def test_the_practice_in_types(
    client: Client,
    door: Door,
    field: str,
    question: Callable[[Book], dict[str, Any]],
    unused: frozenset[str],
) -> None:
    with door.book(AsOf(END)) as book:
        answer = question(book)
        pin = arguments(book.basis.as_dict())
    if "outcome_basis" in answer:
        basis = answer["outcome_basis"]
        answer["outcome_basis"] = {**basis, "horizon": str(basis["horizon"])}
    expected = mirrored({key: value for key, value in answer.items() if key not in unused})
    rows = expected.pop("rows", None)
    wanted = selection(expected)
    if rows is not None:
        wanted = f"{wanted[:-1]} rows(first: 500) {{ nodes {selection(rows)} }} }}"
    told = client.ask(f"{{ snapshot({pin}) {{ told: {field} {wanted} }} }}")["snapshot"]["told"]
    if rows is not None:
        assert same(told.pop("rows")["nodes"], rows[:500])
    assert same(told, expected)


def test_the_agenda_of_a_debrief_and_the_versions_of_playbooks(
    client: Client, door: Door, some: frozenset[str]
) -> None:
    with door.book(AsOf(END)) as book:
        pin = arguments(book.basis.as_dict())
        versions = mirrored(playbook_list(book)["versions"])
        told = [agenda(book, deal, 30) for deal in sorted(some)]
    shown = {"looks_ahead_until", "playbook", "claimed_gate", "stands_at", "meetings", "debriefs",
             "last_debrief_at", "questions"}  # fmt: skip
    agendas = {
        each["deal"]: mirrored({key: each[key] for key in each if key in shown}) for each in told
    }
    query = f"""query($id: ID!) {{ snapshot({pin}) {{
        playbooks {selection(versions)}
        deal(id: $id) {{ agenda(withinDays: 30) {selection(list(agendas.values()))} }} }} }}"""
    for deal, expected in agendas.items():
        snapshot = client.ask(query, id=deal)["snapshot"]
        assert same(snapshot["deal"]["agenda"], expected), deal
        assert same(snapshot["playbooks"], versions)


def test_a_playbook_is_what_the_command_line_gives(client: Client, door: Door) -> None:
    with door.book(AsOf(END)) as book:
        told = playbook_as_dict(book)
        pin = arguments(told.pop("basis"))
        criteria = [each for gate in told["gates"] for each in gate["criteria"]]
        for each in criteria:
            tightening = each["fresher_at"].items()
            each["fresher_at"] = [{"gate": gate, "days": days} for gate, days in tightening]
        assert any(each["fresher_at"] for each in criteria)
        expected = mirrored(told)
    query = f"{{ snapshot({pin}) {{ playbook {selection(expected)} }} }}"
    assert same(client.ask(query)["snapshot"]["playbook"], expected)


# --- refusals and limits ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ('{ snapshot(under: "nonesuch") { basis { under } } }', "unknown-version"),
        ('{ snapshot { lapses(until: "2001-01-01") { until } } }', "not-ahead"),
        ('{ snapshot { lapses(until: "pos:1") { until } } }', "not-ahead"),
        ('{ snapshot { findings(period: "2025-Q9") { totalCount } } }', "invalid-period"),
        ('{ snapshot { queue(owner: "a", manager: "b") { currency } } }', "owner-or-manager"),
        ('{ snapshot { queue(manager: "nobody") { currency } } }', "unknown-person"),
        ('{ snapshot { queue(withinDays: -1) { currency } } }', "invalid-days"),
        ('{ snapshot { patterns(against: "hope") { against } } }', "unknown-outcome"),
        ('{ snapshot { patterns(firstDay: "soon") { against } } }', "invalid-date"),
        ('{ snapshot { playbook(version: "99") { label } } }', "unknown-version"),
        ('{ snapshot { postMortem(deal: "nonesuch") { outcome } } }', "unknown-deal"),
    ],
)  # fmt: skip
def test_a_question_that_has_no_answer_says_why(client: Client, query: str, code: str) -> None:
    assert client.refusal(query)["extensions"]["code"] == code


def test_what_lies_behind_is_not_ahead(client: Client, door: Door) -> None:
    with door.book(AsOf(END)) as book:
        deal = next(iter(book.deals())).deal_id
    refused = client.refusal(
        f'{{ snapshot(asOf: "{END}") {{ deal(id: "{deal}") {{ upcoming(until: "2026-01-01") '
        "{ until } } } }"
    )
    assert refused["extensions"]["code"] == "not-ahead"
    assert refused["path"] == ["snapshot", "deal", "upcoming"]


def test_the_deepest_question_that_makes_sense_is_within_the_limits(client: Client) -> None:
    event = "{ position eventId type occurredAt knownAt recordedAt witnessed actor source summary }"
    answer = client.ask(
        f"""query Deep {{ snapshot(asOf: "{END}") {{ deals(first: 5) {{ edges {{ node {{
            ... on Deal {{ dealId evidenced {{ category because {event} }}
                gates {{ gate because {event} criteria {{ criterion because {event} }} }}
                moves {{ kind because {event} }}
                loops {{ gate lostBy {event} againBy {event} }}
                findings {{ rule because {event} }}
                upcoming(until: "{AHEAD}") {{ changes {{ criterion because {event} }} }}
                agenda {{ questions {{ criterion because {event} }} }}
                timeline {{ nodes {{ event {event} }} }} }}
        }} }} }} }} }}"""
    )
    assert len(answer["snapshot"]["deals"]["edges"]) == 5


def test_keys_are_spelt_as_the_schema_spells_them() -> None:
    assert [camel(key) for key in ("said_by_role", "gate", "weight_percent")] == [
        "saidByRole", "gate", "weightPercent"
    ]  # fmt: skip
