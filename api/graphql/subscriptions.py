"""Subscriptions as the schema shows them: events, what they change of deals, and of a forecast.

Law: every item says its position, and all of it is told at the basis `pos:` of that position; so an
item is the same whoever asks for it and whenever, and giving back its position goes on behind it. A
role hears what a snapshot at that basis would show it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, contextmanager
from functools import partial
from typing import Annotated, Any, NamedTuple, TypeAlias

import orjson
import strawberry
from strawberry.types import Info

from api.access import policy
from api.access.policy import Operation
from api.asof import AsOf
from api.door import Door
from api.graphql.arguments import door_of
from api.graphql.forecasts import Forecast
from api.graphql.scalars import BigInt, Date
from api.graphql.types import BasisType, LedgerEvent, Money
from api.subscribing import Stream, Subscriptions
from ledger.domain.basis import Basis
from ledger.domain.errors import InvalidInput
from ledger.domain.events import Event, is_stream, stream_id, stream_name
from projections import forecast as forecasting
from projections.audience import Audience, basis_of, is_of_deal
from projections.deal_changes import DealChange, DealStanding, deal_change
from projections.discreet import DiscreetReader, discreet
from projections.follower import BATCH_EVENTS_MAX, Passage, Sought
from projections.position import await_position
from projections.reader import LogReader
from projections.rows.events import check_types
from projections.timeline import event_facts

CHANGES_BATCH_MAX = 20
"""How many events are looked through at once for what they changed."""
FORECAST_PAUSE_SECONDS = 0.5
"""How long a forecast waits at least before it is made again; what came meanwhile is one change."""
PROJECTED_SECONDS_MAX = 1.0
"""How long it waits for the read models; without them it is folded from the log, and the same."""

AfterArgument = Annotated[
    BigInt | None,
    strawberry.argument(
        description="Go on behind this position: that of the last item you were told, or 0 for "
        "all from the start; by default from now on."
    ),
]


@strawberry.type(description="An event, told as soon as it is recorded.")
class StreamedEvent:
    position: BigInt = strawberry.field(
        description="Its place in the log; give it back as afterPosition to go on behind it."
    )
    stream: strawberry.ID = strawberry.field(
        description="What it is about: deal:, account:, ... and an id."
    )
    deal: strawberry.ID | None = strawberry.field(
        description="The deal's id, where it is about a deal."
    )
    event: LedgerEvent = strawberry.field(description="The event as it was recorded.")
    payload: str = strawberry.field(description="What it says in full, as a JSON object.")

    @classmethod
    def of(cls, event: Event) -> StreamedEvent:
        of_deal = is_of_deal(event)
        return cls(
            position=BigInt(event["position"]),
            stream=strawberry.ID(event["stream"]),
            deal=strawberry.ID(stream_id(event["stream"])) if of_deal else None,
            event=LedgerEvent.of(event_facts(event)),
            payload=orjson.dumps(event["payload"], option=orjson.OPT_SORT_KEYS).decode(),
        )


@strawberry.type(description="A deal right before or right after an event.")
class StreamedDeal:
    name: str | None = strawberry.field(description="What the deal is called.")
    account: strawberry.ID | None = strawberry.field(
        description="The id of the account that it is with."
    )
    owner: str | None = strawberry.field(description="The id of the person who owns the deal.")
    stage: str | None = strawberry.field(description="The stage that the CRM claims.")
    category: str = strawberry.field(description="The forecast category that is claimed.")
    amount: Money | None = strawberry.field(description="The amount that is claimed.")
    close_date: Date | None = strawberry.field(description="When it is expected to close.")
    outcome: str = strawberry.field(
        description="open, won, lost, no_decision, disqualified or abandoned."
    )
    evidenced_category: str = strawberry.field(
        description="The forecast category that the evidence supports."
    )
    stands_at: str | None = strawberry.field(
        description="The key of the gate where the deal really stands; null through all gates."
    )
    weight_percent: int = strawberry.field(
        description="The share of the amount that the weighted measure takes."
    )

    @classmethod
    def of(cls, standing: DealStanding) -> StreamedDeal:
        claimed, evidenced = standing.claimed, standing.evidenced
        account = claimed["account"]
        amount, _space, currency = (claimed["amount"] or "").partition(" ")
        return cls(
            name=claimed["name"],
            account=None if account is None else strawberry.ID(account),
            owner=claimed["owner"],
            stage=claimed["stage"],
            category=str(claimed["category"]),
            amount=Money.maybe(amount or None, currency or None),
            close_date=None if claimed["close_date"] is None else Date(claimed["close_date"]),
            outcome=str(claimed["outcome"]),
            evidenced_category=str(evidenced["evidenced_category"]),
            stands_at=evidenced["stands_at"],
            weight_percent=int(evidenced["weight_percent"] or 0),
        )


@strawberry.type(description="A field of a deal that an event changed.")
class StreamedFieldChange:
    layer: str = strawberry.field(
        description="claimed, evidenced, or criterion for the status of an exit criterion."
    )
    field: str = strawberry.field(description="Its name, or the criterion's key.")
    before: str | None = strawberry.field(description="Its value before; null where none.")
    after: str | None = strawberry.field(description="Its value afterwards; null where none.")


@strawberry.type(
    description="What one event changed of a deal: both sides are of the same instant, so nothing "
    "of it is the doing of time."
)
class StreamedDealChange:
    position: BigInt = strawberry.field(
        description="That of the event; give it back as afterPosition to go on behind it."
    )
    deal: strawberry.ID = strawberry.field(description="The deal's id.")
    basis: BasisType = strawberry.field(
        description="The basis of the later side: a snapshot of it says the same."
    )
    event: LedgerEvent | None = strawberry.field(
        description="The event; null where the deal is not yours to see afterwards."
    )
    before: StreamedDeal | None = strawberry.field(
        description="Right before it; null where there was no such deal, or it was not yours."
    )
    after: StreamedDeal | None = strawberry.field(
        description="Right after it; null where the deal was removed, or is not yours any more."
    )
    changes: list[StreamedFieldChange] = strawberry.field(description="The fields that differ.")

    @classmethod
    def of(cls, change: DealChange) -> StreamedDealChange:
        return cls(
            position=BigInt(change.position),
            deal=strawberry.ID(change.deal_id),
            basis=BasisType.of(change.basis.as_dict()),
            event=None if change.event is None else LedgerEvent.of(event_facts(change.event)),
            before=None if change.before is None else StreamedDeal.of(change.before),
            after=None if change.after is None else StreamedDeal.of(change.after),
            changes=[StreamedFieldChange(**each._asdict()) for each in change.changes],
        )


@strawberry.type(description="The totals of a forecast after events changed them.")
class StreamedForecast:
    position: BigInt = strawberry.field(
        description="The horizon of its basis; give it back as afterPosition to go on behind it."
    )
    since_position: BigInt | None = strawberry.field(
        description="That of the totals before; null for the first. What changed them lies behind "
        "it, up to position."
    )
    forecast: Forecast = strawberry.field(description="The totals, with their basis.")


Item: TypeAlias = tuple[Basis, Any]
"""What is told, and its basis, whose horizon is its position."""


class _Listener:
    """One who listens to one subscription.

    Args:
        info: of the subscription.
    """

    def __init__(self, info: Info) -> None:
        self.subscriptions: Subscriptions = info.context["subscriptions"]
        self.stream: Stream = info.context["stream"]
        self.asking = self.stream.asking
        self.door = door_of(info).seen_by(self.asking)
        self.door.check(Operation.READ)

    @contextmanager
    def reader(self) -> Iterator[LogReader]:
        """The log as they may read it; their scope is kept by `Audience`."""
        with self.subscriptions.database.asking() as connection:
            if policy.reads_personal_data(self.asking.principal):
                yield LogReader(connection)
            else:
                yield DiscreetReader(connection)

    def audience(self, reader: LogReader, events: list[Event]) -> Audience:
        """Those who see what they see."""
        return Audience(reader, partial(policy.scope_of, self.asking.principal), events)

    async def items(
        self, after: int | None, sought: Sought, limit: int, told: Callable[[Passage], list[Item]]
    ) -> AsyncGenerator[Any, None]:
        """The items of a subscription, one after the other.

        Args:
            after: where it goes on, as asked.
            sought: of which events.
            limit: how many events are looked at together.
            told: makes the items of a part of the log, in a thread.
        """
        subscriptions, stream = self.subscriptions, self.stream
        with subscriptions.held(stream):
            start = await subscriptions.begin(stream, after)
            read = partial(subscriptions.follower.read, sought=sought, limit=limit)
            async with aclosing(subscriptions.passages(stream, start, read)) as passages:
                async for passage in passages:
                    for basis, item in await subscriptions.in_thread(told, passage):
                        self.asking.note(basis)
                        stream.telling = basis.horizon
                        yield item
                        stream.told = basis.horizon


@strawberry.type(
    description="Answers that go on while the log grows, over a WebSocket or as server-sent "
    "events. Every item says its position: give back the last one to go on behind it."
)
class Subscription:
    @strawberry.subscription(
        description="Events as they are recorded, in the order of positions. A rep and a manager "
        "hear those of deals that are theirs right after the event, an analyst those of all deals."
    )
    async def events(
        self,
        info: Info,
        after_position: AfterArgument = None,
        types: Annotated[
            list[str] | None,
            strawberry.argument(description="Only events of these types: evidence-recorded, ..."),
        ] = None,
        deal: Annotated[
            strawberry.ID | None, strawberry.argument(description="Only events of this deal.")
        ] = None,
    ) -> AsyncGenerator[StreamedEvent, None]:
        listener = _Listener(info)
        told = partial(_told_events, listener)
        sought = _sought(deal, types)
        events = listener.items(after_position, sought, BATCH_EVENTS_MAX, told)
        async with aclosing(events) as items:
            async for item in items:
                yield item

    @strawberry.subscription(
        description="What each event of a deal changed of what is claimed of it and of what its "
        "evidence supports. Lapses are no events, and what an account or a playbook says moves "
        "many deals at once: neither is told here."
    )
    async def deal_changed(
        self,
        info: Info,
        deal: Annotated[
            strawberry.ID | None, strawberry.argument(description="Only of this deal, by id.")
        ] = None,
        owner: Annotated[
            str | None,
            strawberry.argument(
                description="Only of deals that this person owns before or after, by id."
            ),
        ] = None,
        after_position: AfterArgument = None,
    ) -> AsyncGenerator[StreamedDealChange, None]:
        listener = _Listener(info)
        told = partial(_told_changes, listener, owner)
        sought = _sought(deal, None)
        changes = listener.items(after_position, sought, CHANGES_BATCH_MAX, told)
        async with aclosing(changes) as items:
            async for item in items:
                yield item

    @strawberry.subscription(
        description="The totals of a period's forecast whenever events changed them; what comes "
        "close together is one change. Without afterPosition the totals of now come first; with it "
        "only what differs from those at that position. A lapse is told with the next event."
    )
    async def forecast_changed(
        self,
        info: Info,
        period: Annotated[
            str, strawberry.argument(description="A fiscal period: 2026, 2026-Q1 or 2026-03.")
        ],
        group_by: Annotated[
            list[str] | None,
            strawberry.argument(
                description="At most four of owner, manager, team, stage, gate, category, "
                "currency, account, outcome, or a dimension of your deals or accounts."
            ),
        ] = None,
        after_position: AfterArgument = None,
    ) -> AsyncGenerator[StreamedForecast, None]:
        listener = _Listener(info)
        asked = (period, tuple(group_by or ()))
        async with aclosing(_forecasts(listener, asked, after_position)) as items:
            async for item in items:
                yield item


def _sought(deal: str | None, types: list[str] | None) -> Sought:
    """Which events are looked for.

    Raises:
        InvalidInput: `invalid-stream`, `unknown-event-type`.
    """
    check_types(types or (), where="types")
    stream = None if deal is None else stream_name("deal", deal)
    if stream is not None and not is_stream(stream):
        raise InvalidInput("invalid-stream", f"{deal!r} cannot be the id of a deal", where="deal")
    return Sought(stream, None if types is None else frozenset(types))


def _told_events(listener: _Listener, passage: Passage) -> list[Item]:
    principal = listener.asking.principal
    events = passage.events
    if not policy.may(principal, Operation.READ_EVENTS):
        events = [event for event in events if is_of_deal(event)]
    if not events:
        return []
    with listener.reader() as reader:
        audience = listener.audience(reader, events)
        seen = [each for each in events if not is_of_deal(each) or audience.sees(each)]
    if not policy.reads_personal_data(principal):
        seen = [discreet(event) for event in seen]
    return [(basis_of(event), StreamedEvent.of(event)) for event in seen]


def _told_changes(listener: _Listener, owner: str | None, passage: Passage) -> list[Item]:
    events = [event for event in passage.events if is_of_deal(event)]
    if not events:
        return []
    found: list[Item] = []
    with listener.reader() as reader:
        audience = listener.audience(reader, events)
        for event in events:
            change = deal_change(reader, audience, event)
            if change is not None and _is_of(owner, change):
                found.append((change.basis, StreamedDealChange.of(change)))
    return found


def _is_of(owner: str | None, change: DealChange) -> bool:
    sides = [side for side in (change.before, change.after) if side is not None]
    return owner is None or any(side.owner == owner for side in sides)


async def _forecasts(
    listener: _Listener, asked: tuple[str, tuple[str, ...]], after: int | None
) -> AsyncGenerator[StreamedForecast, None]:
    subscriptions, stream = listener.subscriptions, listener.stream
    loop = asyncio.get_running_loop()

    async def made(position: int) -> _Made | None:
        if not position:
            return None
        return await subscriptions.in_thread(_forecast_at, listener.door, position, asked)

    with subscriptions.held(stream):
        start = await subscriptions.begin(stream, after)
        known = await made(start)
        since = start
        if after is None and stream.resumed_at is None and known is not None:
            yield _told_forecast(stream, known, None)
        read = lambda _after: Passage([], subscriptions.follower.head())  # noqa: E731
        async with aclosing(subscriptions.passages(stream, start, read)) as passages:
            async for passage in passages:
                made_at = loop.time()
                now = await made(passage.up_to)
                if now is not None and (known is None or now.totals != known.totals):
                    yield _told_forecast(stream, now, since if known is not None else None)
                    known, since = now, passage.up_to
                await asyncio.sleep(max(0.0, made_at + FORECAST_PAUSE_SECONDS - loop.time()))


class _Made(NamedTuple):
    """A forecast as it was made.

    Args:
        forecast: the answer.
        totals: what is told of it besides its basis, as JSON.
        made_from: tables or log.
    """

    forecast: forecasting.Forecast
    totals: dict[str, Any]
    made_from: str


def _forecast_at(door: Door, position: int, asked: tuple[str, tuple[str, ...]]) -> _Made:
    period, group_by = asked
    if door.database.settings.project:
        await_position(door.database.connection, position, PROJECTED_SECONDS_MAX)
    basis = door.resolve(AsOf(as_of=f"pos:{position}"))
    with door.book_at(basis) as book:
        answer = book.forecast(book.period(period), group_by)
        book.check_known(answer.group_by, answer.tally.groups())
        totals = {key: value for key, value in answer.as_dict().items() if key != "basis"}
        return _Made(answer, totals, str(book.made_from))


def _told_forecast(stream: Stream, made: _Made, since: int | None) -> StreamedForecast:
    horizon = stream.telling = made.forecast.basis.horizon
    return StreamedForecast(
        position=BigInt(horizon),
        since_position=None if since is None else BigInt(since),
        forecast=Forecast.of(made.forecast, made.made_from),
    )
