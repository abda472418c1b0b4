"""What the seller makes of a deal in the CRM: the changes, and the rows that Salesforce exports."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import NamedTuple

from scripts.demo_book.cast import (
    LEAVER,
    PEOPLE,
    Account,
    Calendar,
    Habit,
    quarter_end,
    quarter_name,
    salesforce_id,
    weekday,
    working_time,
)
from scripts.demo_book.life import Life
from scripts.demo_book.words import LOSS_REASONS

Row = dict[str, str]


class Stage(NamedTuple):
    name: str
    probability: int
    category: str
    closed: bool = False
    won: bool = False


OPEN_STAGES = (
    Stage("Prospecting", 10, "Pipeline"),
    Stage("Qualification", 20, "Pipeline"),
    Stage("Needs Analysis", 35, "Pipeline"),
    Stage("Value Proposition", 50, "Pipeline"),
    Stage("Id. Decision Makers", 60, "Best Case"),
    Stage("Proposal/Price Quote", 75, "Best Case"),
    Stage("Negotiation/Review", 90, "Commit"),
)
WON = Stage("Closed Won", 100, "Closed", closed=True, won=True)
LOST = Stage("Closed Lost", 0, "Omitted", closed=True)
NO_DECISION = Stage("Closed No Decision", 0, "Omitted", closed=True)
STAGES = (*OPEN_STAGES, WON, LOST, NO_DECISION)
_STAGE_BEFORE_GATE = (0, 1, 2, 3, 4, 6)
GATE_OF_STAGE = (0, 1, 2, 3, 4, 4, 5)
"""By open stage, the gate before which a deal in it stands."""
_CLOSING = {"won": WON, "lost": LOST, "no_decision": NO_DECISION}

API_CATEGORY = {
    "Pipeline": "Pipeline", "Best Case": "BestCase", "Commit": "Forecast", "Closed": "Closed",
    "Omitted": "Omitted",
}  # fmt: skip
"""Salesforce's own value of `ForecastCategory` for each `ForecastCategoryName`."""


@dataclass(frozen=True, slots=True)
class State:
    """A deal's record in the CRM at some instant."""

    stage: Stage
    category: str
    amount: Decimal | None
    close_date: date
    owner: str


class Version(NamedTuple):
    """The record from an instant on, and who made it so."""

    at: datetime
    state: State
    by: str


@dataclass(slots=True)
class Record:
    """A deal in the CRM: every version of it up to the anchor."""

    life: Life
    versions: list[Version]
    removed: bool = False
    without_account: bool = False
    drifted_amount: Decimal | None = None
    """The record's amount where no history row tells how it came to be."""

    @property
    def now(self) -> State:
        return self.versions[-1].state


class Pen:
    """Writes versions: each change is made on the state before it, in the order of time."""

    def __init__(self, life: Life, calendar: Calendar, first: Version) -> None:
        self.life, self.calendar = life, calendar
        self.planned: list[tuple[datetime, dict[str, object]]] = []
        self.first = first

    def plan(self, at: datetime, **changes: object) -> None:
        self.planned.append((at, changes))

    def versions(self) -> list[Version]:
        made = [self.first]
        for at, changes in sorted(self.planned, key=lambda planned: planned[0]):
            state = replace(made[-1].state, **changes)  # type: ignore[arg-type]
            if state != made[-1].state and self.first.at < at < self.calendar.end:
                made.append(Version(at, state, self.life.owner_on(at.date()).id))
        return made


def make_record(seed: int, calendar: Calendar, life: Life) -> Record:
    """Live through one deal as its seller enters it."""
    rng = life.rng(seed, "crm")
    opened_at = working_time(rng, life.opened_on)
    length = (life.ends_on - life.opened_on).days
    expected = weekday(
        quarter_end(life.opened_on + timedelta(days=int(length * rng.uniform(0.45, 0.95))))
    )
    amount = None if life.number % 50 in {7, 32} else life.amount
    stage = OPEN_STAGES[1 if rng.random() < 0.15 else 0]
    first = State(stage, stage.category, amount, expected, life.owner.id)
    pen = Pen(life, calendar, Version(opened_at, first, life.owner.id))
    _claim_stages(rng, pen)
    _change_amounts(rng, pen, amount)
    for day, owner in life.owners:
        pen.plan(
            _hand_over_time(rng, day, owner_left=day == calendar.leaver_left_on), owner=owner.id
        )
    _push_close_dates(rng, pen, expected)
    _close(rng, pen)
    record = Record(life, pen.versions())
    record.removed = life.number in {88, 199, 305}
    record.without_account = life.number % 80 == 41
    if life.number % 90 == 60 and record.now.amount is not None:
        record.drifted_amount = record.now.amount + 1500
    return record


def _hand_over_time(rng: random.Random, day: date, *, owner_left: bool) -> datetime:
    """A mass transfer gives one time to all; a single hand-over its own."""
    return working_time(random.Random(LEAVER.id) if owner_left else rng, day)


def _claim_stages(rng: random.Random, pen: Pen) -> None:
    """Move the stage with the buyer, or ahead of the buyer, or behind, as the seller's habit is."""
    life = pen.life
    claimed = 0
    inflates_on = _inflates_on(rng, life)
    days = [*(step.day for step in life.steps[1:]), life.ends_on]
    for step, next_day in zip(life.steps, days, strict=False):
        habit = life.owner_on(step.day).habit
        standing = min(step.gate + (step.kind == "passed"), 5)
        day = weekday(step.day + timedelta(days=rng.randrange(0, 6)))
        if step.kind == "passed":
            standing = _with_habit(rng, habit, standing)
        elif habit is Habit.INFLATOR or rng.random() < 0.3:
            continue  # the buyer went back, the CRM did not
        until = min(next_day, inflates_on)
        if standing != claimed and day < until:
            claimed = standing
            at = working_time(rng, day)
            _claim(rng, pen, at, until, OPEN_STAGES[_STAGE_BEFORE_GATE[standing]])
    if life.inflated:
        pen.plan(working_time(rng, inflates_on), stage=OPEN_STAGES[6], category="Commit")


def _inflates_on(rng: random.Random, life: Life) -> date:
    """From when the CRM claims 90 %, where it does so without ground; else the end."""
    if not life.inflated:
        return life.ends_on
    return weekday(life.opened_on + (life.ends_on - life.opened_on) * rng.uniform(0.45, 0.6))


def _with_habit(rng: random.Random, habit: Habit, standing: int) -> int:
    shift = {
        Habit.STEADY: (0,),
        Habit.OPTIMIST: (0, 0, 1),
        Habit.INFLATOR: (0, 1, 1),
        Habit.SANDBAGGER: (0, -1, -1),
    }[habit]
    return max(0, min(5, standing + rng.choice(shift)))


def _claim(rng: random.Random, pen: Pen, at: datetime, until: date, stage: Stage) -> None:
    habit = pen.life.owner_on(at.date()).habit
    pen.plan(at, stage=stage, category=stage.category)
    if stage.name == "Id. Decision Makers" and rng.random() < 0.6:
        middle = at + (until - at.date()) / 2
        proposal = OPEN_STAGES[5]
        pen.plan(middle, stage=proposal, category=proposal.category)
    if stage.name == "Negotiation/Review" and habit is Habit.SANDBAGGER:
        pen.plan(at, category="Best Case")  # in the same second: the form saves twice
    if stage.name == "Value Proposition" and habit is Habit.OPTIMIST and rng.random() < 0.4:
        pen.plan(at, category="Best Case")
    if rng.random() < 0.04:  # a slip of the hand, put right within the hour
        wrong = OPEN_STAGES[min(6, OPEN_STAGES.index(stage) + 1)]
        pen.plan(at - timedelta(minutes=rng.randrange(4, 50)), stage=wrong, category=wrong.category)


def _change_amounts(rng: random.Random, pen: Pen, amount: Decimal | None) -> None:
    life = pen.life
    if amount is None and len(life.steps) >= 2:
        pen.plan(working_time(rng, life.steps[1].day), amount=life.amount)
    value = life.amount
    for step in life.steps:
        if step.kind != "passed" or step.gate not in {2, 3, 5} or rng.random() > 0.4:
            continue
        factor = rng.choice(
            ("0.80", "0.90", "0.95") if step.gate == 5 else ("0.85", "1.15", "1.30")
        )
        value = (value * Decimal(factor)).quantize(Decimal("0.01"))
        pen.plan(working_time(rng, step.day), amount=value)


def _push_close_dates(rng: random.Random, pen: Pen, expected: date) -> None:
    """Near its close date an open deal is pushed, or pulled in when the signature comes early."""
    life = pen.life
    while expected < life.ends_on:
        if rng.random() < 0.06:
            return  # nobody tidies up: the close date stays in the past
        noticed = weekday(expected + timedelta(days=rng.randrange(-5, 3)))
        months = rng.choice((30, 30, 60, 90))
        expected = weekday(
            quarter_end(expected + timedelta(days=months))
            if months == 90
            else expected + timedelta(days=months)
        )
        pen.plan(working_time(rng, max(noticed, life.opened_on)), close_date=expected)
    if life.fate == "won" and (expected - life.ends_on).days > 20:
        pulled = life.ends_on - timedelta(days=rng.randrange(3, 9))
        pen.plan(working_time(rng, weekday(pulled)), close_date=life.ends_on)


def _close(rng: random.Random, pen: Pen) -> None:
    """The end, with the few that are reopened and the few that are touched after it."""
    life = pen.life
    at = closing_time(rng, life)
    stage = _CLOSING[life.fate]
    pen.plan(at, stage=stage, category=stage.category, close_date=life.ends_on)
    if life.fate == "won":
        if rng.random() < 0.12:  # booked with another amount, some days after
            booked = (life.amount * Decimal("1.02")).quantize(Decimal("0.01"))
            pen.plan(at + timedelta(days=rng.randrange(2, 12)), amount=booked)
        return
    if rng.random() < 0.10:
        _reopen(rng, pen, at)


def closing_time(rng: random.Random, life: Life) -> datetime:
    """When the CRM learns of the end: that evening, or days late for a signature in the rush."""
    at = working_time(rng, life.ends_on).replace(hour=17)
    in_the_rush = (quarter_end(life.ends_on) - life.ends_on).days < 7
    if life.fate == "won" and in_the_rush and rng.random() < 0.35:
        return at + timedelta(days=rng.randrange(3, 9))
    return at


def _reopen(rng: random.Random, pen: Pen, closed_at: datetime) -> None:
    again = closed_at + timedelta(days=rng.randrange(12, 60))
    stage = OPEN_STAGES[2]
    expected = weekday(again.date() + timedelta(days=90))
    pen.plan(again, stage=stage, category=stage.category, close_date=expected)
    second = rng.choice((WON, LOST, NO_DECISION))
    end = again + timedelta(days=rng.randrange(40, 120))
    pen.plan(end, stage=second, category=second.category, close_date=end.date())


# --- rows ----------------------------------------------------------------------------------


def booked_after_close(record: Record) -> Version | None:
    """The change that gave a won deal another amount, if there was one."""
    for before, after in pairwise(record.versions):
        if before.state.stage.won and before.state.amount != after.state.amount:
            return after
    return None


def stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _flag(value: bool) -> str:
    return "true" if value else "false"


def _money(amount: Decimal | None) -> str:
    return "" if amount is None else str(amount)


def _expected_revenue(state: State) -> str:
    if state.amount is None:
        return ""
    return str((state.amount * state.stage.probability / 100).quantize(Decimal("0.01")))


def opportunity_rows(records: list[Record]) -> Iterator[Row]:
    for record in records:
        life, state, first, last = record.life, record.now, record.versions[0], record.versions[-1]
        amount = record.drifted_amount or state.amount
        yield {
            "Id": life.id,
            "IsDeleted": _flag(record.removed),
            "AccountId": "" if record.without_account else life.account.id,
            "Name": life.name,
            "StageName": state.stage.name,
            "Amount": _money(amount),
            "Probability": str(state.stage.probability),
            "ExpectedRevenue": _expected_revenue(replace(state, amount=amount)),
            "CloseDate": state.close_date.isoformat(),
            "Type": "Existing Business" if "new business" not in life.name else "New Business",
            "IsClosed": _flag(state.stage.closed),
            "IsWon": _flag(state.stage.won),
            "ForecastCategory": API_CATEGORY[state.category],
            "ForecastCategoryName": state.category,
            "CurrencyIsoCode": life.currency,
            "OwnerId": state.owner,
            "CreatedById": first.by,
            "CreatedDate": stamp(first.at),
            "LastModifiedById": last.by,
            "LastModifiedDate": stamp(last.at),
            "SystemModstamp": stamp(last.at + timedelta(seconds=2)),
            "PushCount": str(push_count(record)),
            "FiscalYear": str(state.close_date.year),
            "FiscalQuarter": quarter_name(state.close_date)[-1],
            "Loss_Reason__c": _loss_reason(record),
        }


def push_count(record: Record) -> int:
    """How often the close date went to a later month while the deal was open."""
    dates = [
        version.state.close_date for version in record.versions if not version.state.stage.closed
    ]
    return sum((b.year, b.month) > (a.year, a.month) for a, b in pairwise(dates))


def _loss_reason(record: Record) -> str:
    reasons = {"Closed Lost": "lost", "Closed No Decision": "no_decision"}
    why = reasons.get(record.now.stage.name)
    return LOSS_REASONS[why][record.life.number % len(LOSS_REASONS[why])] if why else ""


def _same_history(a: State, b: State) -> bool:
    """Whether Salesforce would write no history row: only the owner differs."""
    return replace(a, owner=b.owner) == b


def history_rows(records: list[Record]) -> Iterator[Row]:
    """OpportunityHistory: a row for each change of stage, amount, close date or category."""
    number = 0
    for record in records:
        before: State | None = None
        for at, state, by in record.versions:
            if before is not None and _same_history(before, state):
                before = state
                continue
            before = state
            number += 1
            yield {
                "Id": salesforce_id("008", number),
                "IsDeleted": _flag(record.removed),
                "OpportunityId": record.life.id,
                "CreatedById": by,
                "CreatedDate": stamp(at),
                "StageName": state.stage.name,
                "Amount": _money(state.amount),
                "ExpectedRevenue": _expected_revenue(state),
                "CloseDate": state.close_date.isoformat(),
                "Probability": str(state.stage.probability),
                "ForecastCategory": API_CATEGORY[state.category],
                "CurrencyIsoCode": record.life.currency,
                "SystemModstamp": stamp(at),
            }


def field_history_rows(records: list[Record]) -> Iterator[Row]:
    """OpportunityFieldHistory: who owned the deal, and how its forecast category was called."""
    number = 0
    for record in records:
        for (_, before, _), (at, after, by) in pairwise(record.versions):
            for name, old, new in (
                ("OwnerId", before.owner, after.owner),
                ("ForecastCategoryName", before.category, after.category),
            ):
                if old == new:
                    continue
                number += 1
                yield {
                    "Id": salesforce_id("017", number),
                    "IsDeleted": _flag(record.removed),
                    "OpportunityId": record.life.id,
                    "CreatedById": by,
                    "CreatedDate": stamp(at),
                    "Field": name,
                    "OldValue": old,
                    "NewValue": new,
                }


def stage_rows() -> Iterator[Row]:
    """OpportunityStage: what each stage means in this CRM."""
    for order, stage in enumerate(STAGES, start=1):
        yield {
            "Id": salesforce_id("01J", order),
            "MasterLabel": stage.name,
            "ApiName": stage.name,
            "IsActive": "true",
            "SortOrder": str(order),
            "IsClosed": _flag(stage.closed),
            "IsWon": _flag(stage.won),
            "ForecastCategory": API_CATEGORY[stage.category],
            "ForecastCategoryName": stage.category,
            "DefaultProbability": str(stage.probability),
        }


def user_rows(calendar: Calendar, current_team: dict[str, tuple[str, str | None]]) -> Iterator[Row]:
    """User, as of the anchor. `current_team` gives each person's team and manager now."""
    for person in PEOPLE:
        rng = random.Random(person.id)
        joined = working_time(
            rng, weekday(calendar.start - timedelta(days=rng.randrange(60, 1500)))
        )
        given, _, family = person.name.partition(" ")
        login = f"{given}.{family}@seller.example".lower()
        team, manager = current_team[person.id]
        yield {
            "Id": person.id,
            "Username": login,
            "FirstName": given,
            "LastName": family,
            "Name": person.name,
            "Email": login,
            "Title": person.title,
            "Department": team,
            "ManagerId": manager or "",
            "IsActive": _flag(person is not LEAVER),
            "CreatedDate": stamp(joined),
            "LastModifiedDate": stamp(joined),
        }


def account_rows(accounts: list[Account]) -> Iterator[Row]:
    for account in accounts:
        opened = working_time(random.Random(account.id), account.opened_on)
        yield {
            "Id": account.id,
            "IsDeleted": "false",
            "Name": account.name,
            "Industry": account.industry,
            "BillingCountry": account.country,
            "NumberOfEmployees": str(account.employees),
            "Region__c": account.team,
            "Segment__c": account.segment,
            "CreatedDate": stamp(opened),
            "LastModifiedDate": stamp(opened),
        }
