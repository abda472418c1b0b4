"""The book at one basis, as the schema shows it.

Law: everything below a snapshot reads the ledger at its basis; no field below it takes a basis of
its own.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated

import strawberry
from strawberry.types import Info

from api.graphql import relay
from api.graphql.deal_patterns import Patterns
from api.graphql.deals import Deal, DealConnection, DealFilterInput, UntilArgument, page_of
from api.graphql.directory import Account, Person
from api.graphql.forecasts import Forecast, Organisation, Wanted
from api.graphql.identity import Node
from api.graphql.journey import BookFinding, Lapses
from api.graphql.looked_after import Debriefs, Decisions
from api.graphql.nodes import NodeIdArgument, NodeIdsArgument, node_at, nodes_at
from api.graphql.opener import Opener
from api.graphql.post_mortems import PostMortem
from api.graphql.practice import Ladder, PlaybookVersion, Queue
from api.graphql.relay import Connection, Paging
from api.graphql.row_answers import selected
from api.graphql.scalars import BigInt
from api.graphql.teams import Team
from api.graphql.types import BasisType, Ledger
from ledger.domain.times import parse_date
from projections.book import Book
from projections.deals import deal_page
from projections.debriefs import debrief_coverage
from projections.decisions import decisions
from projections.directory import account_rows, people_rows
from projections.journey import findings_rows, lapses_rows
from projections.ladder import ladder
from projections.patterns import NOT_WON, patterns, window_of
from projections.playbooks import playbook_as_dict, playbook_list
from projections.post_mortem import post_mortem
from projections.queue import requalification_queue
from projections.team import team

PeriodArgument = Annotated[
    str | None,
    strawberry.argument(
        description="A fiscal period: 2026, 2026-Q1 or 2026-03; by default the quarter that holds "
        "validAt."
    ),
]
OnlyPeriodArgument = Annotated[
    str | None,
    strawberry.argument(description="Only deals that count in this fiscal period."),
]
OwnerArgument = Annotated[
    str | None, strawberry.argument(description="Only deals that this person owns, by id.")
]
ManagerArgument = Annotated[
    str | None,
    strawberry.argument(
        description="Only this person and all who report to them, directly or through others."
    ),
]
RuleArgument = Annotated[str | None, strawberry.argument(description="Only findings of this rule.")]
OrganisationArgument = Annotated[
    Organisation,
    strawberry.argument(description="Whose manager and team count: as it was, or as it is."),
]
GroupByArgument = Annotated[
    list[str] | None,
    strawberry.argument(
        description="At most four of owner, manager, team, stage, gate (where the deal really "
        "stands), category, currency, account, outcome, or a dimension of your deals or accounts "
        "such as segment."
    ),
]
WithinDaysArgument = Annotated[
    int,
    strawberry.argument(
        description="What holds now and will lapse within so many days after validAt is in it too."
    ),
]
DealIdArgument = Annotated[
    strawberry.ID, strawberry.argument(description="The deal's id in the CRM.")
]
FirstArgument = Annotated[
    int, strawberry.argument(description="How many deals a page holds, up to 500.")
]
AfterArgument = Annotated[
    str | None,
    strawberry.argument(
        description="The endCursor of the page before, for the same basis and the same filter."
    ),
]
PersonIdArgument = Annotated[
    strawberry.ID, strawberry.argument(description="The person's id in the CRM.")
]
AccountIdArgument = Annotated[
    strawberry.ID, strawberry.argument(description="The account's id in the CRM.")
]
DirectManagerArgument = Annotated[
    str | None,
    strawberry.argument(description="Only those who report to this person directly."),
]
WhereArgument = Annotated[
    DealFilterInput | None, strawberry.argument(description="Which deals; by default all.")
]
PlaybookArgument = Annotated[
    str | None, strawberry.argument(description="Which playbook; by default the first one.")
]
VersionArgument = Annotated[
    str | None,
    strawberry.argument(description="Which version; by default the one in force at validAt."),
]

FirstDayArgument = Annotated[
    str | None,
    strawberry.argument(description="Decided on this day or later, a calendar date."),
]
LastDayArgument = Annotated[
    str | None,
    strawberry.argument(description="Decided on this day or earlier, a calendar date."),
]
DecidedArgument = Annotated[
    str | None,
    strawberry.argument(
        description="Decided in this fiscal period; give this, or days, or neither for all deals."
    ),
]
AgainstArgument = Annotated[
    str,
    strawberry.argument(
        description="What the won deals are held against: not_won, or one outcome: lost, "
        "no_decision, disqualified or abandoned."
    ),
]


@strawberry.type(description="Everything below reads the ledger at one basis.")
class Snapshot:
    book: strawberry.Private[Opener]

    @strawberry.field(description="The basis used. Echo it to repeat the answer.")
    def basis(self) -> BasisType:
        return BasisType.of(self.book.basis.as_dict())

    @strawberry.field(description="The log as far as this basis sees it.")
    async def ledger(self) -> Ledger:
        horizon = self.book.basis.horizon

        def recorded_at(book: Book) -> str | None:
            return book.causes({horizon})[horizon]["recorded_at"] if horizon else None

        return Ledger(
            head_position=BigInt(horizon), head_recorded_at=await self.book.ask(recorded_at)
        )

    @strawberry.field(description="A deal by its id in the CRM; null when it is not in the book.")
    async def deal(self, id: DealIdArgument) -> Deal | None:  # noqa: A002 - the argument's name
        rows = await self.book.ask(lambda book: deal_page(book, only=str(id)))
        return Deal.of(self.book, rows[0]) if rows else None

    @strawberry.field(description="The deals in the book, a page at a time.")
    async def deals(
        self, where: WhereArgument = None, first: FirstArgument = 50, after: AfterArgument = None
    ) -> DealConnection:
        wanted = (where or DealFilterInput()).wanted()
        return await page_of(self.book, wanted, first, after)

    @strawberry.field(
        description="The forecast of a fiscal period: every measure side by side, by category."
    )
    async def forecast(
        self,
        info: Info,
        period: PeriodArgument = None,
        group_by: GroupByArgument = None,
        organisation: OrganisationArgument = Organisation.AS_WAS,
    ) -> Forecast:
        parts = selected(info)
        of_cells = selected(info, "cells") | selected(info, "groups", "cells")
        wanted = Wanted("cells" in parts, "byCurrency" in of_cells)

        def forecast(book: Book) -> Forecast:
            asked = book.period(period), tuple(group_by or ()), organisation.asked
            answer = book.forecast(*asked)
            book.check_known(answer.group_by, answer.tally.groups())
            return Forecast.of(answer, str(book.made_from), wanted)

        return await self.book.ask(forecast)

    @strawberry.field(
        description="Claims held against evidence over all open deals, in the order of deals."
    )
    async def findings(
        self,
        period: OnlyPeriodArgument = None,
        owner: OwnerArgument = None,
        rule: RuleArgument = None,
        first: relay.FirstArgument = None,
        after: relay.AfterArgument = None,
        last: relay.LastArgument = None,
        before: relay.BeforeArgument = None,
    ) -> Connection[BookFinding]:
        answer = await self.book.ask(
            lambda book: findings_rows(book, period=period, owner=owner, rule=rule)
        )
        listed = ("findings", period, owner, rule)
        paging = Paging(first, after, last, before)
        return relay.page(self.book, listed, paging, answer["findings"], BookFinding.of)

    @strawberry.field(
        description="What will fall until then in the open deals if nothing happens, and which "
        "deals fall back to which gate."
    )
    async def lapses(
        self, until: UntilArgument, period: OnlyPeriodArgument = None, owner: OwnerArgument = None
    ) -> Lapses:
        ahead = await self.book.instant(until)
        answer = await self.book.ask(
            lambda book: lapses_rows(book, ahead, period=period, owner=owner)
        )
        return Lapses.at(self.book, ("lapses", ahead, period, owner), answer)

    @strawberry.field(
        description="The requalification queue: what was shown once and has to be shown again, in "
        "the open deals. Give an owner or a manager, not both."
    )
    async def queue(
        self,
        owner: OwnerArgument = None,
        manager: ManagerArgument = None,
        within_days: WithinDaysArgument = 30,
        organisation: OrganisationArgument = Organisation.AS_WAS,
    ) -> Queue:
        answer = await self.book.ask(
            lambda book: requalification_queue(
                book,
                owner=owner,
                manager=manager,
                within_days=within_days,
                organisation=organisation.asked,
            )
        )
        listed = ("queue", owner, manager, within_days, str(organisation.asked))
        return Queue.at(self.book, listed, answer)

    @strawberry.field(
        description="The ladder of a period: what the rep called, what each superior made of it, "
        "and beside it the evidence and the outcome."
    )
    async def ladder(self, period: PeriodArgument = None) -> Ladder:
        answer = await self.book.ask(lambda book: ladder(book, book.period(period)))
        return Ladder.at(self.book, answer)

    @strawberry.field(description="All published versions of all playbooks, and their reviews.")
    async def playbooks(self) -> list[PlaybookVersion]:
        answer = await self.book.ask(playbook_list)
        return [PlaybookVersion.at(self.book, each) for each in answer["versions"]]

    @strawberry.field(
        description="A version of a playbook: its roles, its gates with their questions, and their "
        "exit criteria. By default the version in force at validAt."
    )
    async def playbook(
        self, key: PlaybookArgument = None, version: VersionArgument = None
    ) -> PlaybookVersion:
        answer = await self.book.ask(lambda book: playbook_as_dict(book, key, version))
        return PlaybookVersion.at(self.book, answer)

    @strawberry.field(
        description="Our people, in the order of their ids: as they were at the basis, or as they "
        "are at its horizon."
    )
    async def people(
        self,
        organisation: OrganisationArgument = Organisation.AS_WAS,
        manager: DirectManagerArgument = None,
        first: relay.FirstArgument = None,
        after: relay.AfterArgument = None,
        last: relay.LastArgument = None,
        before: relay.BeforeArgument = None,
    ) -> Connection[Person]:
        rows = await self.book.ask(
            lambda book: people_rows(book, organisation.asked, manager=manager)
        )
        listed = ("people", str(organisation.asked), manager)
        paging = Paging(first, after, last, before)
        return relay.page(self.book, listed, paging, rows, partial(Person.at, self.book))

    @strawberry.field(description="Somebody of ours by id; null when nobody of that id is there.")
    async def person(
        self,
        id: PersonIdArgument,  # noqa: A002 - the argument's name
        organisation: OrganisationArgument = Organisation.AS_WAS,
    ) -> Person | None:
        rows = await self.book.ask(lambda book: people_rows(book, organisation.asked, only=str(id)))
        return Person.at(self.book, rows[0]) if rows else None

    @strawberry.field(description="The buyers' accounts, in the order of their ids.")
    async def accounts(
        self,
        first: relay.FirstArgument = None,
        after: relay.AfterArgument = None,
        last: relay.LastArgument = None,
        before: relay.BeforeArgument = None,
    ) -> Connection[Account]:
        rows = await self.book.ask(account_rows)
        paging = Paging(first, after, last, before)
        return relay.page(self.book, ("accounts",), paging, rows, partial(Account.at, self.book))

    @strawberry.field(description="An account by its id in the CRM; null when it is not there.")
    async def account(self, id: AccountIdArgument) -> Account | None:  # noqa: A002 - its name
        rows = await self.book.ask(lambda book: account_rows(book, only=str(id)))
        return Account.at(self.book, rows[0]) if rows else None

    @strawberry.field(
        description="What an id names, at this basis; null when it is not there, or not for you "
        "to see."
    )
    async def node(self, id: NodeIdArgument) -> Node | None:  # noqa: A002 - the argument's name
        return await node_at(self.book, id)

    @strawberry.field(
        description="What several ids name, in their order; null for each that is not there, or "
        "not for you to see."
    )
    async def nodes(self, ids: NodeIdsArgument) -> list[Node | None]:
        return await nodes_at(self.book, ids)

    @strawberry.field(
        description="The team: who reports to whom, what they own and what rolls up to them, "
        "claimed beside evidenced, and their assessments."
    )
    async def team(
        self,
        period: PeriodArgument = None,
        manager: ManagerArgument = None,
        organisation: OrganisationArgument = Organisation.AS_WAS,
    ) -> Team:
        answer = await self.book.ask(
            lambda book: team(
                book, book.period(period), manager=manager, organisation=organisation.asked
            )
        )
        return Team.at(self.book, manager, answer)

    @strawberry.field(
        description="The post-mortem of a deal: how it ended, when the evidence first contradicted "
        "the forecast, what never was shown, and what came late. It reads all deals for the won "
        "one that is most like it, so it is no field of a deal."
    )
    async def post_mortem(self, deal: DealIdArgument) -> PostMortem:
        answer = await self.book.ask(lambda book: post_mortem(book, str(deal)))
        return PostMortem.at(self.book, answer)

    @strawberry.field(
        description="How the deals of a period ended: the won ones with the criteria after the "
        "decision and the signs of buyer's remorse, the others with the buyer's reason beside the "
        "seller's."
    )
    async def decisions(self, period: PeriodArgument = None) -> Decisions:
        answer = await self.book.ask(lambda book: decisions(book, book.period(period)))
        return Decisions.at(self.book, answer)

    @strawberry.field(
        description="How much of a period's open claimed forecast was debriefed, and how early."
    )
    async def debriefs(self, period: PeriodArgument = None) -> Debriefs:
        answer = await self.book.ask(lambda book: debrief_coverage(book, book.period(period)))
        return Debriefs.at(self.book, answer)

    @strawberry.field(
        description="What many deals have in common: conversion and days by gate, regressions, "
        "lapses, loops, the share of no decision, and the criteria that tell the won deals from "
        "the others."
    )
    async def patterns(
        self,
        period: DecidedArgument = None,
        first_day: FirstDayArgument = None,
        last_day: LastDayArgument = None,
        group_by: GroupByArgument = None,
        against: AgainstArgument = NOT_WON,
        organisation: OrganisationArgument = Organisation.AS_WAS,
    ) -> Patterns:
        start = None if first_day is None else parse_date(first_day, where="first_day")
        end = None if last_day is None else parse_date(last_day, where="last_day")
        answer = await self.book.ask(
            lambda book: patterns(
                book,
                window_of(book, period=period, first=start, last=end),
                group_by or (),
                against,
                organisation.asked,
            )
        )
        days = (period, first_day, last_day)
        listed = ("patterns", *days, group_by, against, str(organisation.asked))
        return Patterns.at(self.book, listed, answer)
