"""What really happens to a deal at the buyer, whatever the CRM says of it."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Literal

from scripts.demo_book.cast import (
    DEALS,
    LEAVER,
    MOVED_TO,
    MOVER,
    PERSON,
    REPS,
    Account,
    Calendar,
    Habit,
    Person,
    quarter_end,
    salesforce_id,
    weekday,
)

GATES = ("awareness", "engagement", "problem", "investment", "decision_process", "decision")
_PACE = (0.07, 0.20, 0.42, 0.60, 0.80, 0.96)
"""When each gate is passed, as a share of the whole journey."""

_CYCLE_DAYS = {"SMB": (45, 110), "Mid-Market": (80, 180), "Enterprise": (130, 320)}
_AMOUNTS = {"SMB": (8, 40), "Mid-Market": (30, 140), "Enterprise": (120, 900)}

Fate = Literal["won", "lost", "no_decision"]


@dataclass(frozen=True, slots=True)
class Step:
    """A turn of the journey: a gate passed, or a fall back to one."""

    kind: Literal["passed", "regressed", "looped"]
    gate: int
    day: date


@dataclass(slots=True)
class Life:
    """One deal as it really is. `fate` is only reached where `ends_on` lies before the anchor."""

    id: str
    number: int
    name: str
    account: Account
    owner: Person
    opened_on: date
    ends_on: date
    fate: Fate
    amount: Decimal
    currency: str
    steps: list[Step]
    inflated: bool
    """The CRM says 90 %, and the one who can sign has not seen the price."""
    owners: list[tuple[date, Person]] = field(default_factory=list)

    def owner_on(self, day: date) -> Person:
        """Who owns the deal on a day."""
        return next((who for since, who in reversed(self.owners) if since <= day), self.owner)

    def standing_on(self, day: date) -> int:
        """The index of the gate that the buyer stands before."""
        standing = 0
        for step in self.steps:
            if step.day <= day:
                standing = step.gate + (step.kind == "passed")
        return standing

    def rng(self, seed: int, purpose: str) -> random.Random:
        return random.Random(f"{seed}/{self.id}/{purpose}")


_PRODUCTS = ("Route Planner", "Yard Control", "Control Tower", "Fleet Insight")
_KINDS = ("new business", "new business", "new business", "expansion", "renewal")


def make_lives(seed: int, calendar: Calendar, accounts: list[Account]) -> list[Life]:
    """All deals of the book, in the order in which they were opened."""
    rng = random.Random(f"{seed}/lives")
    days = (calendar.anchor - calendar.start).days
    opened = sorted(rng.randrange(2, days - 6) for _ in range(DEALS))
    return [
        _make_life(rng, calendar, accounts, number, calendar.start + timedelta(days=after))
        for number, after in enumerate(opened, start=1)
    ]


def _make_life(
    rng: random.Random, calendar: Calendar, accounts: list[Account], number: int, day: date
) -> Life:
    opened_on = weekday(day)
    account = rng.choice(accounts)
    owner = _pick_owner(rng, calendar, account.team, opened_on)
    habit = owner.habit
    fate = _pick_fate(rng, habit)
    days = rng.randrange(*_CYCLE_DAYS[account.segment]) * (1.35 if fate == "no_decision" else 1)
    ends_on = weekday(opened_on + timedelta(days=int(days)))
    if fate == "won" and rng.random() < 0.55:
        ends_on = weekday(quarter_end(ends_on) - timedelta(days=rng.randrange(0, 6)))
    thousands = rng.randrange(*_AMOUNTS[account.segment])
    life = Life(
        id=salesforce_id("006", number),
        number=number,
        name=f"{account.name} - {rng.choice(_PRODUCTS)} ({rng.choice(_KINDS)})",
        account=account,
        owner=owner,
        opened_on=opened_on,
        ends_on=max(ends_on, opened_on + timedelta(days=20)),
        fate=fate,
        amount=Decimal(f"{thousands * 1000 + rng.choice((0, 0, 0, 500, 250))}.00"),
        currency={"Canada": "USD", "Ireland": "EUR"}.get(account.country, _currency(account)),
        steps=[],
        inflated=False,
    )  # fmt: skip
    life.steps = _make_steps(rng, life)
    reached = life.standing_on(life.ends_on)
    life.inflated = (
        habit is Habit.INFLATOR and fate != "won" and reached <= 3 and rng.random() < 0.5
    )
    life.owners = _later_owners(rng, calendar, life)
    return life


def _currency(account: Account) -> str:
    return {"North America": "USD", "UK & Ireland": "GBP"}.get(account.team, "EUR")


def _pick_owner(rng: random.Random, calendar: Calendar, team: str, day: date) -> Person:
    """Somebody of that team on that day."""
    mover_team = MOVED_TO.name if day >= calendar.mover_moves_on else MOVER.team
    team_of = {rep: rep.team for rep in REPS} | {MOVER: mover_team}
    if day >= calendar.leaver_left_on - timedelta(days=30):
        del team_of[LEAVER]
    return rng.choice([rep for rep, its in team_of.items() if its == team])


def _pick_fate(rng: random.Random, habit: Habit) -> Fate:
    """How it ends. No decision is the most likely end of all."""
    won = {Habit.STEADY: 32, Habit.OPTIMIST: 24, Habit.INFLATOR: 16, Habit.SANDBAGGER: 36}[habit]
    fates: tuple[Fate, ...] = ("won", "lost", "no_decision")
    return rng.choices(fates, weights=(won, 26, 42))[0]


def _make_steps(rng: random.Random, life: Life) -> list[Step]:
    """The gates as they are passed, with a regression or a loop in one journey of five."""
    length = (life.ends_on - life.opened_on).days
    last = {
        "won": len(GATES),
        "lost": rng.choice((2, 3, 4, 4, 5)),
        "no_decision": rng.choice((1, 2, 3, 3, 4)),
    }[life.fate]
    days = [
        life.opened_on + timedelta(days=max(1, int(length * (share + rng.uniform(-0.03, 0.03)))))
        for share in _PACE[:last]
    ]
    steps = [Step("passed", gate, weekday(day)) for gate, day in enumerate(days)]
    if last >= 3 and length >= 60 and rng.random() < 0.28:
        steps = _fall_back(rng, life, steps)
    return [step for step in steps if life.opened_on < step.day <= life.ends_on]


def _fall_back(rng: random.Random, life: Life, steps: list[Step]) -> list[Step]:
    """Somewhere after the problem gate the buyer goes back, and has to pass anew."""
    at = rng.randrange(2, len(steps))
    fallen = steps[at]
    to_gate = rng.randrange(1, at + 1)
    until = steps[at + 1].day if at + 1 < len(steps) else life.ends_on
    gap = (until - fallen.day).days
    if gap < 12:
        return steps
    back = Step(
        rng.choice(("regressed", "regressed", "looped")),
        to_gate,
        weekday(fallen.day + timedelta(days=gap // 4)),
    )
    room = gap * 0.7 / (at - to_gate + 2)
    again = [
        Step("passed", gate, weekday(back.day + timedelta(days=int(room * (gate - to_gate + 1)))))
        for gate in range(to_gate, at + 1)
    ]
    if life.fate != "won" and rng.random() < 0.6:
        return [*steps[: at + 1], back]  # they never come up again
    return [*steps[: at + 1], back, *again, *steps[at + 1 :]]


def _later_owners(rng: random.Random, calendar: Calendar, life: Life) -> list[tuple[date, Person]]:
    """Hand-overs: some by chance, and all that the leaver still had open."""
    owners = []
    middle = life.opened_on + (life.ends_on - life.opened_on) / 2
    colleagues = [
        rep for rep in REPS if rep.team == life.owner.team and rep not in {life.owner, LEAVER}
    ]
    if rng.random() < 0.05:
        owners.append((weekday(middle), rng.choice(colleagues)))
    last = owners[-1][1] if owners else life.owner
    if last is LEAVER and life.ends_on > calendar.leaver_left_on > life.opened_on:
        heir = PERSON[colleagues[life.number % len(colleagues)].id]
        owners.append((calendar.leaver_left_on, heir))
    return sorted(owners, key=lambda owner: owner[0])
