"""What the deal desk records of each deal: the buyers' words, and what the sellers made of them."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from ledger.domain.events import stream_name
from ledger.domain.playbook import Criterion, Gate, Playbook, parse_playbook
from ledger.domain.times import format_instant
from projections.fold.rulebook import Rulebook
from scripts.demo_book import words
from scripts.demo_book.cast import (
    PERSON,
    TEAMS,
    TITLES,
    Calendar,
    Habit,
    Person,
    buyer_name,
    quarter_end,
    salesforce_id,
    weekday,
    working_time,
)
from scripts.demo_book.crm import Record, booked_after_close
from scripts.demo_book.desk import Desk, Written, record_people, record_settings, team_on
from scripts.demo_book.life import GATES, Life, Step

PLAYBOOK_FILE = Path(__file__).parents[2] / "ledger" / "playbooks" / "buyers_journey.toml"

_DILIGENCE = {
    Habit.STEADY: 0.99,
    Habit.SANDBAGGER: 0.98,
    Habit.OPTIMIST: 0.88,
    Habit.INFLATOR: 0.55,
}
"""The share of the exit criteria for which a seller records evidence at all."""

_LATE = {Habit.STEADY: 0.05, Habit.SANDBAGGER: 0.06, Habit.OPTIMIST: 0.10, Habit.INFLATOR: 0.18}
"""The share of it that is entered only weeks after."""


def record_all(seed: int, calendar: Calendar, records: list[Record]) -> Desk:
    """Everything that the deal desk holds."""
    desk = Desk(calendar)
    playbook = parse_playbook(PLAYBOOK_FILE.read_text(encoding="utf-8"), where=PLAYBOOK_FILE.name)
    record_settings(desk, playbook)
    record_people(seed, desk)
    for record in records:
        _Story(seed, desk, playbook, record).tell()
    return desk


class _Stakeholder(NamedTuple):
    id: str
    role: str


class _Planned(NamedTuple):
    at: datetime
    criterion: Criterion
    again: bool


class _Story:
    """One deal, told in the order of time."""

    def __init__(self, seed: int, desk: Desk, playbook: Playbook, record: Record) -> None:
        self.desk, self.playbook, self.record = desk, playbook, record
        self.life: Life = record.life
        self.rng = self.life.rng(seed, "evidence")
        self.stream = stream_name("deal", self.life.id)
        self.cast: dict[str, _Stakeholder] = {}
        self.met = 1
        self.told: dict[str, list[Written]] = {}
        """Criterion -> the evidence on it, in the order told."""
        self.meetings: list[datetime] = []
        self.gates: dict[str, Gate] = {gate.key: gate for gate in playbook.gates}
        self.rulebook = Rulebook(playbook, cause=0)
        self.alone = self.life.fate == "no_decision" and self.rng.random() < 0.3
        """Only one contact: nobody else at the buyer was ever met."""

    def tell(self) -> None:
        life = self.life
        opened = self.record.versions[0].at
        self._stakeholder("champion", opened + timedelta(minutes=5))
        since = opened
        for step in life.steps:
            until = working_time(self.rng, step.day)
            if until - since < timedelta(hours=2):
                until = since + timedelta(hours=2)
            if step.kind == "passed":
                self._pass_gate(step, since, until)
            else:
                self._fall_back(step, until)
            since = until
        if life.fate != "won" or life.ends_on >= self.desk.calendar.anchor:
            self._doubts(since)
        if life.inflated:
            self._price_unseen(since)
        self._debriefs()
        self._waiver()
        if self.record.now.stage.won:
            self._after_the_decision()
        self._booking()
        self._post_mortem()

    # --- what the buyer did ------------------------------------------------------------------

    def _pass_gate(self, step: Step, since: datetime, until: datetime) -> None:
        gate = self.gates[GATES[step.gate]]
        diligence = _DILIGENCE[self._owner(until).habit]
        planned = [
            _Planned(self._between(since, until), criterion, again=False)
            for criterion in gate.criteria
            if self.rng.random() < diligence * (1 if criterion.mandatory else 0.55)
        ]
        planned += self._enough_besides(gate, planned, since, until, diligence)
        planned += self._reconfirmed(step.gate, since, until, diligence)
        for at, criterion, again in sorted(planned, key=lambda plan: plan.at):
            self._say(criterion, "supports", at, again=again)
        self._somebody_leaves(until)
        if self.rng.random() < 0.15:
            reason = self.rng.choice(words.ADVANCED)
            self._write("buyer-advanced", {"gate": gate.key, "reason": reason}, until)

    def _enough_besides(
        self, gate: Gate, planned: list[_Planned], since: datetime, until: datetime,
        diligence: float,
    ) -> list[_Planned]:  # fmt: skip
        """A diligent seller asks for as many of the optional criteria as the gate wants."""
        asked = {plan.criterion.key for plan in planned}
        optional = [each for each in gate.criteria if not each.mandatory]
        missing = gate.threshold - sum(each.key in asked for each in optional)
        left = [each for each in optional if each.key not in asked]
        if missing <= 0 or self.rng.random() > diligence:
            return []
        return [_Planned(self._between(since, until), each, again=False) for each in left[:missing]]

    def _reconfirmed(
        self, gate: int, since: datetime, until: datetime, diligence: float
    ) -> list[_Planned]:
        """Earlier criteria asked again before they run out; what is forgotten goes stale."""
        due = []
        for earlier in GATES[:gate]:
            for criterion in self.gates[earlier].criteria:
                last = next(reversed(self.told.get(criterion.key, [])), None)
                fresh = self.rulebook.criteria[criterion.key].fresh[gate + 1]
                if last is None or fresh is None:
                    continue
                runs_out = last.occurred_at + fresh < until + timedelta(days=30)
                if runs_out and self.rng.random() < diligence:
                    due.append(_Planned(self._between(since, until), criterion, again=True))
        return due

    def _say(
        self, criterion: Criterion, stance: str, at: datetime, *, again: bool = False
    ) -> Written | None:
        """Evidence, with the buyer's words, by the one whose word counts where we know them."""
        role = criterion.said_by_role or "champion"
        if stance == "contradicts" and criterion.key == "authority_saw_price":
            role = "champion"  # the one who has not seen it does not say so
        speaker = self._stakeholder(role, at - timedelta(minutes=30))
        if speaker is None:
            if stance == "supports" and criterion.said_by_role:
                return None
            speaker = self.cast["champion"]
        said = words.QUOTES[criterion.key]
        quote = self._fill(
            self.rng.choice(said.supports if stance == "supports" else said.contradicts), at
        )
        if again and self.rng.random() < 0.5:
            quote = f"Nothing has changed. {quote}"
        kind = self.rng.choice(criterion.source_kinds or ("meeting", "meeting", "call", "email"))
        payload: dict[str, Any] = {
            "criterion": criterion.key,
            "stance": stance,
            "source_kind": kind,
            "quote": quote,
            "said_by": speaker.id,
        }
        if kind in {"email", "document"}:
            ending = "eml" if kind == "email" else "pdf"
            link = f"deals/{self.life.id}/{at:%Y-%m-%d}-{criterion.key}.{ending}"
            payload |= {"link": link, "sha256": hashlib.sha256(link.encode()).hexdigest()}
        else:
            self.meetings.append(at)
        event = self._write("evidence-recorded", payload, at, known=self._known(at))
        if event is not None:
            self.told.setdefault(criterion.key, []).append(event)
            self._mistakes(event)
        return event

    def _mistakes(self, event: Written) -> None:
        """A few entries were wrong, and are corrected or taken back later."""
        luck = self.rng.random()
        if luck > 0.035:
            return
        later = event.known_at + timedelta(days=self.rng.randrange(2, 25), minutes=7)
        if luck < 0.010:
            reason = "Entered on the wrong deal: it was said by another customer."
            self._write("event-retracted", {"target": event.id, "reason": reason}, later)
        elif luck < 0.022:
            moved = max(event.occurred_at - timedelta(days=self.rng.randrange(1, 9)), self._opened)
            fields = {
                "occurred_at": format_instant(moved),
                "reason": "The date of entry was taken for the day of the meeting.",
            }
            self._write("event-corrected", {"target": event.id, **fields}, later)
        else:
            payload = {**event.payload, "quote": f"{event.payload['quote']} If the board agrees."}
            reason = "The sentence was quoted without its second half."
            self._write(
                "event-corrected", {"target": event.id, "payload": payload, "reason": reason}, later
            )

    def _fall_back(self, step: Step, at: datetime) -> None:
        gate = GATES[step.gate]
        if step.kind == "looped":
            standing = GATES[min(self.life.standing_on(step.day - timedelta(days=1)), 5)]
            fields = {
                "from_gate": standing,
                "to_gate": gate,
                "reason": self.rng.choice(words.LOOPED),
            }
            self._write("buyer-looped", fields, at, known=self._known(at))
        else:
            fields = {"gate": gate, "reason": self.rng.choice(words.REGRESSED)}
            self._write("buyer-regressed", fields, at, known=self._known(at))

    def _doubts(self, since: datetime) -> None:
        """Deals that are not won: what the buyer said against the gate they stand before."""
        standing = self.life.standing_on(self.life.ends_on)
        if standing >= len(GATES) or self.rng.random() < 0.4:
            return
        against = self.gates[GATES[standing]].criteria[:2]
        end = self._end
        if end - since > timedelta(days=4):
            times = sorted(self._between(since, end) for _ in against)
            for criterion, at in zip(against, times, strict=True):
                self._say(criterion, "contradicts", at)

    def _price_unseen(self, since: datetime) -> None:
        end = self._end
        if end - since > timedelta(days=4):
            criterion = self.playbook.criteria["authority_saw_price"]
            self._say(criterion, "contradicts", self._between(since, end))

    def _somebody_leaves(self, at: datetime) -> None:
        if self.rng.random() > 0.025:
            return
        gone = self.cast.pop("champion")
        self._write(
            "stakeholder-left", {"stakeholder": gone.id, "reason": "Took another post."}, at
        )
        self._stakeholder("champion", at + timedelta(minutes=5))

    def _stakeholder(self, role: str, at: datetime) -> _Stakeholder | None:
        """The one with that role at the buyer, met now if not before; none if never met."""
        if role in self.cast:
            return self.cast[role]
        if role == "economic_buyer" and (self.alone or self.life.inflated):
            return None
        at = max(at, self._opened)
        person = _Stakeholder(salesforce_id("003", self.life.number * 100 + self.met), role)
        self.met += 1
        title, seniority = self.rng.choice(TITLES[role])
        name = buyer_name(self.rng, self.life.account.team)
        payload = {
            "stakeholder": person.id,
            "name": name,
            "email": f"contact.{person.id[9:15]}@buyer.example",
            "title": title,
            "role": role,
            "seniority": seniority,
            "influence": "high" if role in {"economic_buyer", "champion"} else "medium",
        }
        if role != "economic_buyer" and "economic_buyer" in self.cast:
            payload["reports_to"] = self.cast["economic_buyer"].id
        self._write("stakeholder-added", payload, at)
        self.cast[role] = person
        if self.rng.random() < 0.02:
            change = {"stakeholder": person.id, "title": f"Deputy {title}", "influence": "low"}
            self._write("stakeholder-changed", change, at + timedelta(days=30))
        return person

    # --- what the sellers' side did -------------------------------------------------------------

    def _debriefs(self) -> None:
        """The manager takes the deal apart: early in one team, late in another."""
        team = TEAMS[self.life.account.team]
        if self.rng.random() > team.debriefs:
            return
        late = team.debriefs < 0.5
        meetings = sorted(self.meetings)
        for nth in (9, 15) if late else (1, 6, 12):
            if nth < len(meetings):
                self._debrief(meetings[nth] + timedelta(days=2), nth + 1)

    def _debrief(self, at: datetime, meetings_before: int) -> None:
        if at >= self._end:
            return
        gate = self.gates[GATES[min(self.life.standing_on(at.date()), 5)]]
        answers: list[dict[str, Any]] = []
        for criterion in gate.criteria:
            known = [told for told in self.told.get(criterion.key, []) if told.known_at <= at]
            if known:
                answer = {"answer": "evidence", "evidence": known[-1].id}
                answers.append({"criterion": criterion.key} | answer)
            elif criterion.mandatory:
                note = self.rng.choice(words.NO_ANSWER)
                answers.append({"criterion": criterion.key, "answer": "no_answer", "note": note})
        manager = self._manager(at)
        payload = {"reviewer": manager, "answers": answers, "meetings_before": meetings_before}
        self._write("debrief-held", payload, at, actor=manager)

    def _waiver(self) -> None:
        """Some criteria are set aside for a while, a third of them not for as long as meant."""
        if self.rng.random() > 0.06 or len(self.life.steps) < 2:
            return
        criterion = self.rng.choice(
            ("technical_teams_next_step", "fit_confirmed", "deployment_plan_approved")
        )
        known = working_time(self.rng, self.life.steps[1].day)
        starts = known + timedelta(days=self.rng.choice((0, 0, 5)))  # some are announced ahead
        manager = self._manager(known)
        ends = starts + timedelta(days=self.rng.choice((30, 45, 60)))
        reason = self.rng.choice(words.WAIVED)
        payload = {"criterion": criterion, "reason": reason, "ends_at": format_instant(ends)}
        waived = self._write("criterion-waived", payload, starts, known=known, actor=manager)
        if waived and self.rng.random() < 0.33:
            payload = {"criterion": criterion, "reason": "The reason given no longer holds."}
            self._write("waiver-revoked", payload, starts + timedelta(days=12), actor=manager)

    def _after_the_decision(self) -> None:
        at = self.record.versions[-1].at
        for criterion in self.gates["advocacy"].criteria:
            at += timedelta(days=self.rng.randrange(3, 16), minutes=11)
            if self.rng.random() < (0.85 if criterion.mandatory else 0.4):
                remorse = self.rng.random() < 0.08
                self._say(criterion, "contradicts" if remorse else "supports", at)

    def _booking(self) -> None:
        """The signed amount, where the CRM learnt of it days after the signature."""
        booked = booked_after_close(self.record)
        if booked is not None and booked.state.amount is not None:
            amount = {"amount": str(booked.state.amount), "currency": self.life.currency}
            signed = datetime.combine(self.life.ends_on, time(18), tzinfo=UTC)
            self._write("deal-revised", {"amount": amount}, signed, known=booked.at)

    def _post_mortem(self) -> None:
        last = self.record.versions[-1]
        if not last.state.stage.closed or self.rng.random() < 0.45:
            return
        outcome = {"Closed Won": "won", "Closed Lost": "lost"}.get(
            last.state.stage.name, "no_decision"
        )
        at = working_time(
            self.rng, weekday(last.at.date() + timedelta(days=self.rng.randrange(5, 20)))
        )
        manager = self._manager(at)
        finding = self.rng.choice(words.FINDINGS[outcome])
        payload = {
            "reviewer": manager,
            "finding": finding,
            "lesson": self.rng.choice(words.LESSONS),
        }
        self._write("post-mortem-recorded", payload, at, actor=manager)

    # --- small things ---------------------------------------------------------------------------

    @property
    def _opened(self) -> datetime:
        return self.record.versions[0].at

    @property
    def _end(self) -> datetime:
        """Nothing is said about the deal from here on."""
        morning = datetime.combine(self.life.ends_on, time(8), tzinfo=UTC)
        return min(morning, self.desk.calendar.end)

    def _owner(self, at: datetime) -> Person:
        return PERSON[self.life.owner_on(at.date()).id]

    def _manager(self, at: datetime) -> str:
        return team_on(self.desk.calendar, self._owner(at), at.date())[1]

    def _between(self, since: datetime, until: datetime) -> datetime:
        """Some working second between two instants."""
        share = self.rng.uniform(0.1, 0.98)
        day = weekday((since + (until - since) * share).date())
        at = working_time(self.rng, day)
        return min(max(at, since + timedelta(minutes=31)), until)

    def _known(self, occurred: datetime) -> datetime:
        """When it was entered: within two days, or late - often in the last week of a quarter."""
        if self.rng.random() >= _LATE[self._owner(occurred).habit]:
            return occurred + timedelta(minutes=self.rng.randrange(3, 2800))
        late = occurred + timedelta(days=self.rng.randrange(14, 50))
        quarter_close = quarter_end(occurred.date()) - timedelta(days=1)
        if self.rng.random() < 0.5 and (quarter_close - occurred.date()).days >= 14:
            late = working_time(self.rng, weekday(quarter_close))
        return late

    def _fill(self, quote: str, at: datetime) -> str:
        soon = weekday(at.date() + timedelta(days=self.rng.randrange(7, 30)))
        return quote.format(
            date=f"{soon.day} {soon:%B}",
            price=f"{self.life.amount:,.0f} {self.life.currency}",
            seller=self._owner(at).name.split()[0],
        )

    def _write(
        self,
        event_type: str,
        payload: dict[str, Any],
        at: datetime,
        *,
        known: datetime | None = None,
        actor: str | None = None,
    ) -> Written | None:
        who = actor or self._owner(known or at).id
        return self.desk.write(self.stream, event_type, payload, actor=who, at=at, known=known)
