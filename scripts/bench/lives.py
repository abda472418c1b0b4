"""The lives of generated deals: thirty events each over two years.

A deal is opened, its amount, close date, owner, stage and category are revised, its stakeholders
come in, evidence carries it from gate to gate of the shipped playbook, some of it ages or is
contradicted, a few deals are regressed, corrected, closed and reopened; most are closed in the end.
What a buyer said is known up to three weeks late one time in five, the rest one time in fifty. All
of it is attested, as an import from a CRM is.

Law: a deal depends on its number alone.
"""

from __future__ import annotations

import json
import random
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

from ledger.domain.envelope import Prepared
from ledger.domain.events import Draft, Source, parse_payload
from ledger.domain.playbook import parse_playbook

EVENTS_PER_DEAL = 30
BEGIN = datetime(2024, 8, 1, tzinfo=UTC)
WINDOW_DAYS = 730
OWNERS = 200
CURRENCIES = (("USD", 1.0), ("EUR", 1.09), ("GBP", 1.27))
SHIPPED = Path(__file__).parents[2] / "ledger" / "playbooks" / "buyers_journey.toml"

_DAY = 86_400
_WINDOW = WINDOW_DAYS * _DAY
_LAST_OPENING = _WINDOW - 45 * _DAY
_DAYS = [(BEGIN.date() + timedelta(days=day)).isoformat() for day in range(WINDOW_DAYS + 400)]
_CLOCK = [
    f"T{hour:02d}:{minute:02d}:{second:02d}.000000Z"
    for hour in range(24)
    for minute in range(60)
    for second in range(60)
]
_STAGES = ("Discovery", "Qualified", "Proof", "Proposal", "Negotiation", "Verbal")
_CLAIMED = ("pipeline", "best_case", "commit")
_SEGMENTS = ("enterprise", "mid_market", "public", "small_business")
_OUTCOMES = ("won", "lost", "no_decision", "disqualified", "abandoned")
_OUTCOME_SHARES = (25, 55, 90, 95, 100)
_DEPTHS = (1, 3, 3, 6, 9, 9, 11, 11, 15, 15, 17)
"""How many criteria a buyer meets in the course of a deal; as likely as they stand here."""

_LATE_SHARE = 0.02
_LATE_SHARE_OF_THE_BUYER = 0.2
_REGRESSED_SHARE = 0.08
_CORRECTED_SHARE = 0.04
_REOPENED_SHARE = 0.03
_REOPENED_AT = 18
"""Which of its events closes a deal that is reopened three events later."""


class Told(NamedTuple):
    """An event of a deal; times in seconds since `BEGIN`, the payload as canonical JSON."""

    kind: str
    payload: str
    event_id: UUID
    occurred: int
    known: int


class _Asked(NamedTuple):
    """A criterion, and what counts for it."""

    criterion: str
    source_kind: str
    said_by: str


def _way() -> list[_Asked]:
    """What the shipped playbook asks of a buyer up to the decision, in its order."""
    playbook = parse_playbook(SHIPPED.read_text(encoding="utf-8"), where=SHIPPED.name)
    asked = []
    for gate in playbook.gates:
        if gate.after_decision:
            continue
        optional = [each for each in gate.criteria if not each.mandatory][: gate.threshold]
        asked += [
            _Asked(each.key, (each.source_kinds or ("meeting",))[0], each.said_by_role or _ROLES[0])
            for each in gate.criteria
            if each.mandatory or each in optional
        ]
    return asked


_ROLES = ("champion", "technical_buyer", "economic_buyer")
_ROLES_BY_DEPTH = (0, 1, 1, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3)
_WAY = _way()
_GATES = ("engagement", "problem", "investment")


def owner(number: int) -> str:
    """The id of one of the owners."""
    return f"rep-{number % OWNERS:03d}"


class _Deal:
    """A deal while its life is told; each method gives one event's kind and payload."""

    def __init__(self, number: int, chance: random.Random) -> None:
        self.number = number
        self.random = chance.random
        self.owner = int(self.random() * OWNERS)
        self.amount = int(10 ** (3.6 + 2 * self.random()))
        self.currency = CURRENCIES[int(self.random() ** 2 * 3)][0]
        self.opened = int(self.random() * _LAST_OPENING)
        life = int((60 + 240 * self.random()) * _DAY)
        self.ends = self.opened + life < _WINDOW - _DAY
        self.life = life if self.ends else _WINDOW - _DAY - self.opened
        self.closes_on = (self.opened + self.life) // _DAY + int(60 * self.random()) - 20
        self.stage = 0
        self.category = 0
        self.met = 0
        self.roles = 0
        self.revised: UUID | None = None

    def open(self) -> tuple[str, str]:
        return "deal-opened", (
            f'{{"account":"acc-{self.number // 7:06d}","amount":{self._money()},'
            f'"close_date":"{self._close_day()}",'
            f'"dimensions":{{"segment":"{_SEGMENTS[self.number % 4]}"}},'
            f'"name":"Deal {self.number}","owner":"{owner(self.owner)}"}}'
        )

    def _money(self) -> str:
        return f'{{"amount":"{self.amount}.00","currency":"{self.currency}"}}'

    def _close_day(self) -> str:
        return _DAYS[max(0, min(self.closes_on, len(_DAYS) - 1))]

    def revise(self, event_id: UUID) -> tuple[str, str]:
        """A change of what the record carries, always to another value."""
        which = self.random()
        if which < 0.28:
            self.revised = event_id
            self.amount = int(self.amount * (0.75 + 0.5 * self.random())) + 1 + self.amount % 2
            return "deal-revised", f'{{"amount":{self._money()}}}'
        if which < 0.62:
            self.closes_on += int(21 * self.random()) + 1 if self.random() < 0.75 else -9
            return "deal-revised", f'{{"close_date":"{self._close_day()}"}}'
        if which < 0.70:
            self.owner += 1 + int(self.random() * (OWNERS - 1))
            return "deal-revised", f'{{"owner":"{owner(self.owner)}"}}'
        if which < 0.85:
            back = self.stage and (self.random() < 0.3 or self.stage == len(_STAGES) - 1)
            self.stage += -1 if back else 1
            return "stage-claimed", (
                f'{{"probability":{10 + 15 * self.stage},"stage":"{_STAGES[self.stage]}"}}'
            )
        self.category = (self.category + (1 if self.random() < 0.7 else 2)) % len(_CLAIMED)
        return "category-claimed", f'{{"category":"{_CLAIMED[self.category]}"}}'

    def meet(self) -> tuple[str, str]:
        """A stakeholder comes in."""
        role = _ROLES[self.roles]
        self.roles += 1
        return "stakeholder-added", (
            f'{{"name":"{role} {self.number}","role":"{role}","seniority":"c_level",'
            f'"stakeholder":"{role}"}}'
        )

    def hear(self) -> tuple[str, str]:
        """Evidence: mostly of the next criterion, else of one that was met before."""
        again = self.met and (self.met == len(_WAY) or self.random() < 0.15)
        asked = _WAY[int(self.random() * self.met) if again else self.met]
        self.met += not again
        against = again and self.random() < 0.3
        return "evidence-recorded", (
            f'{{"criterion":"{asked.criterion}","link":"https://crm.example/m/{self.number}",'
            f'"quote":"The money is in the plan, and the board has signed it off.",'
            f'"said_by":"{asked.said_by}","source_kind":"{asked.source_kind}",'
            f'"stance":"{"contradicts" if against else "supports"}"}}'
        )

    def regress(self) -> tuple[str, str]:
        return "buyer-regressed", f'{{"gate":"{_GATES[int(self.random() * 3)]}"}}'

    def close(self) -> tuple[str, str]:
        which = self.random() * 100
        outcome = next(o for o, s in zip(_OUTCOMES, _OUTCOME_SHARES, strict=True) if which < s)
        return "deal-closed", f'{{"outcome":"{outcome}"}}'

    def correct(self) -> tuple[str, str]:
        """The last revision of the amount was typed wrong."""
        self.amount += 100
        return "event-corrected", (
            f'{{"payload":{{"amount":{self._money()}}},"reason":"a digit was typed wrong",'
            f'"target":"{self.revised}"}}'
        )


def _plan(deal: _Deal, chance: random.Random) -> str:
    """What follows the opening, a letter an event: see `life`."""
    depth = _DEPTHS[int(deal.random() * len(_DEPTHS))]
    roles = _ROLES_BY_DEPTH[depth]
    rest = EVENTS_PER_DEAL - 1 - roles - depth - deal.ends
    letters = ["E"] * depth + ["C"] * rest
    chance.shuffle(letters)
    if depth > 2 and deal.random() < _REGRESSED_SHARE:
        letters[-4] = "R"
    if deal.ends and deal.random() < _REOPENED_SHARE:
        letters[_REOPENED_AT - roles], letters[_REOPENED_AT - roles + 3] = "X", "O"
    elif deal.random() < _CORRECTED_SHARE:
        letters[-2] = "F"
    return "M" * roles + "".join(letters) + "X" * deal.ends


def life(number: int, chance: random.Random | None = None) -> list[Told]:
    """The events of one deal, in the order in which they became known.

    Args:
        number: the deal's; the same number gives the same events.
        chance: a generator to use again; it is seeded by the number.
    """
    chance = chance or random.Random()
    chance.seed(number)
    deal = _Deal(number, chance)
    plan = _plan(deal, chance)
    share = deal.life / (len(plan) + 1)
    told = [Told(*deal.open(), _new_id(chance), deal.opened, deal.opened)]
    for step, letter in enumerate(plan, start=1):
        event_id = _new_id(chance)
        match letter:
            case "E":
                kind, payload = deal.hear()
            case "M":
                kind, payload = deal.meet()
            case "R":
                kind, payload = deal.regress()
            case "X":
                kind, payload = deal.close()
            case "O":
                kind, payload = "deal-reopened", "{}"
            case "F" if deal.revised:
                kind, payload = deal.correct()
            case _:
                kind, payload = deal.revise(event_id)
        occurred = deal.opened + int(share * (step + deal.random() * 0.9))
        known = occurred
        if kind == "event-corrected":  # not before what it corrects
            known = max(known, *(each.known for each in told))
        elif deal.random() < (_LATE_SHARE_OF_THE_BUYER if letter in "EMR" else _LATE_SHARE):
            known += int(1 + 20 * deal.random()) * _DAY
        told.append(Told(kind, payload, event_id, occurred, known))
    return sorted(told, key=_order)


def _order(told: Told) -> tuple[int, int]:
    return told.known, told.occurred


def _new_id(chance: random.Random) -> UUID:
    """An id as an import makes it: all of its bits as good as random."""
    return UUID(int=chance.getrandbits(128) & _UUID_KEEP | _UUID_SET)


_UUID_KEEP = ~(0xF << 76 | 0b11 << 62)
_UUID_SET = 8 << 76 | 0b10 << 62


def stream_of(number: int) -> str:
    """The stream of a deal."""
    return f"deal:{number:07d}"


def prepared(number: int, version: int, told: Told) -> Prepared:
    """An event as `ledger.domain.envelope.prepare` makes it, at three times its speed.

    The payloads are canonical already, so the bytes are put together from them.
    """
    kind, payload, event_id, occurred, known = told
    stream = stream_of(number)
    happened = BEGIN + timedelta(seconds=occurred)
    spelled = _spelled(occurred)
    before = (
        f'{{"actor":"crm","event_id":"{event_id}",'
        f'"known_at":"{spelled if known == occurred else _spelled(known)}",'
        f'"occurred_at":"{spelled}","payload":{payload},'
    )
    after = (
        f'"schema_version":1,"source":{{"record":"{number}-{version}","system":"crm"}},'
        f'"stream":"{stream}","stream_version":{version},"type":"{kind}"}}'
    )
    return Prepared(
        event_id, stream, version, kind, happened,
        happened if known == occurred else BEGIN + timedelta(seconds=known),
        before.encode(), after.encode(),
    )  # fmt: skip


def _spelled(seconds: int) -> str:
    return _DAYS[seconds // _DAY] + _CLOCK[seconds % _DAY]


def draft(number: int, version: int, told: Told) -> Draft:
    """The same as a draft: validated, for the write door."""
    return Draft(
        stream_of(number), parse_payload(told.kind, json.loads(told.payload)), told.event_id,
        "crm", Source("crm", f"{number}-{version}"),
        BEGIN + timedelta(seconds=told.occurred), BEGIN + timedelta(seconds=told.known),
    )  # fmt: skip


def days() -> list[date]:
    """The days that the book covers."""
    return [date.fromisoformat(day) for day in _DAYS[:WINDOW_DAYS]]
