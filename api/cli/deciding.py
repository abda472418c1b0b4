"""Commands of the practice that record: debriefs, waivers, calls, adjustments, assessments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.asking import DealArgument
from api.cli.session import open_door, open_ledger
from api.cli.writing import (
    ActorOption,
    EventIdOption,
    ExpectedVersionOption,
    OccurredOption,
    ReasonOption,
    event_uuid,
    record_event,
    say_receipt,
)
from ledger.domain.errors import InvalidInput
from ledger.domain.events import EvidenceRecorded, parse_payload, stream_name
from ledger.domain.json_text import parse_object
from ledger.domain.times import MICROSECOND, Instant, end_of_day, parse_as_of, parse_instant

if TYPE_CHECKING:
    from ledger.service import Answer

CriterionArgument = Annotated[
    str,
    typer.Argument(help="An exit criterion of the deal's playbook, as qledger agenda names it."),
]
PeriodArgument = Annotated[str, typer.Argument(help="2026-Q1, 2026 or 2026-03.")]
PersonArgument = Annotated[str, typer.Argument(help="Whose it is: a person's id.")]
CategoryArgument = Annotated[str, typer.Argument(help="commit, best_case or pipeline.")]
NoteOption = Annotated[str | None, typer.Option("--note", help="What else there is to say.")]

_EVIDENCE_BESIDES = ("occurred_at", "note")
"""What an answer's JSON may hold besides the fields of evidence."""


def debrief(
    deal_id: DealArgument,
    reviewer: Annotated[str, typer.Option(help="Who asked; never the owner of the deal.")],
    actor: ActorOption,
    answers: Annotated[
        list[str] | None,
        typer.Option(
            "--answer",
            help="CRITERION=no_answer, CRITERION=no_answer:NOTE, or CRITERION={...}: the evidence "
            "as JSON (stance, source_kind, said_by, quote, link, sha256, occurred_at, note). "
            "Give one for each question asked.",
        ),
    ] = None,
    meetings_before: Annotated[
        int | None, typer.Option(help="How many meetings with the buyer there had been.")
    ] = None,
    occurred_at: OccurredOption = None,
    event_id: EventIdOption = None,
    expected_version: ExpectedVersionOption = None,
) -> None:
    """Record a debrief and the evidence that it brought, in one act: all of it, or nothing."""
    from ledger import service

    read = [_answer(number, text) for number, text in enumerate(answers or [], 1)]
    with open_ledger() as ledger:
        receipts = service.hold_debrief(
            ledger,
            deal_id,
            service.Debrief(reviewer, read, meetings_before),
            actor=actor,
            occurred_at=None if occurred_at is None else parse_instant(occurred_at),
            event_id=None if event_id is None else event_uuid(event_id),
            expected_version=expected_version,
        )
    for receipt in receipts:
        say_receipt(stream_name("deal", deal_id), receipt)


def waive(
    deal_id: DealArgument,
    criterion: CriterionArgument,
    reason: ReasonOption,
    until: Annotated[
        str, typer.Option(help="When it ends: an instant, or a date for the end of that day.")
    ],
    actor: ActorOption,
    starts_at: Annotated[
        str | None, typer.Option(help="When it starts, an instant; by default now.")
    ] = None,
    event_id: EventIdOption = None,
) -> None:
    """Set an exit criterion of a deal aside for a while; the owner of the deal cannot."""
    payload = {"criterion": criterion, "reason": reason, "ends_at": _end(until, "--until")}
    record_event(
        stream_name("deal", deal_id), "criterion-waived", payload, actor, starts_at, event_id
    )


def unwaive(
    deal_id: DealArgument,
    criterion: CriterionArgument,
    reason: ReasonOption,
    actor: ActorOption,
    event_id: EventIdOption = None,
) -> None:
    """End a waiver before its time: the criterion is asked for again."""
    payload = {"criterion": criterion, "reason": reason}
    record_event(stream_name("deal", deal_id), "waiver-revoked", payload, actor, None, event_id)


def call(
    period: PeriodArgument,
    person: PersonArgument,
    category: CategoryArgument,
    amount: Annotated[str, typer.Argument(help="Such as 120000.00.")],
    currency: Annotated[str, typer.Argument(help="Such as USD.")],
    actor: ActorOption,
    note: NoteOption = None,
    occurred_at: OccurredOption = None,
    event_id: EventIdOption = None,
) -> None:
    """Submit a person's number for a period; a later one for the same category replaces it."""
    payload = _given(
        {"period": period, "person": person, "category": category, "note": note,
         "amount": {"amount": amount, "currency": currency}}
    )  # fmt: skip
    stream = stream_name("period", period)
    record_event(stream, "forecast-called", payload, actor, occurred_at, event_id)


def adjust(
    period: PeriodArgument,
    person: PersonArgument,
    category: CategoryArgument,
    reason: ReasonOption,
    expires_at: Annotated[
        str, typer.Option(help="When it expires: an instant, or a date for the end of that day.")
    ],
    actor: ActorOption,
    override: Annotated[
        tuple[str, str] | None,
        typer.Option(help="Another number, amount and currency: --override 90000.00 USD."),
    ] = None,
    haircut: Annotated[
        int | None, typer.Option(help="By how many percent to cut what stands so far.")
    ] = None,
    adjuster: Annotated[
        str | None, typer.Option(help="Whose adjustment it is; by default who records it.")
    ] = None,
    starts_at: Annotated[
        str | None, typer.Option(help="When it starts, an instant; by default now.")
    ] = None,
    event_id: EventIdOption = None,
) -> None:
    """Adjust a person's call: replace it, or cut it, for a while, with a reason."""
    money = None if override is None else {"amount": override[0], "currency": override[1]}
    payload = _given(
        {"period": period, "person": person, "category": category, "override": money,
         "haircut_percent": haircut, "adjuster": adjuster or actor, "reason": reason,
         "expires_at": _end(expires_at, "--expires-at")}
    )  # fmt: skip
    stream = stream_name("period", period)
    record_event(stream, "forecast-adjusted", payload, actor, starts_at, event_id)


def assess(
    person: PersonArgument,
    aspect: Annotated[
        str,
        typer.Argument(
            help="motivation, confidence, urgency, buy_in, knowledge or skills_applied."
        ),
    ],
    score: Annotated[int, typer.Argument(help="1 (low) to 5 (high).")],
    assessor: Annotated[str, typer.Option(help="Whose judgement it is; never the person's own.")],
    actor: ActorOption,
    note: NoteOption = None,
    occurred_at: OccurredOption = None,
    event_id: EventIdOption = None,
) -> None:
    """Record how a manager finds one of their own people, in one aspect."""
    payload = _given({"aspect": aspect, "score": score, "assessor": assessor, "note": note})
    stream = stream_name("person", person)
    record_event(stream, "person-assessed", payload, actor, occurred_at, event_id)


def _answer(number: int, text: str) -> Answer:
    """An answer as spelt on the command line.

    No error repeats it: what somebody at the buyer said belongs into the ledger, not into a log.

    Args:
        number: which of the answers it is, from 1 on.
        text: what was spelt.

    Raises:
        InvalidInput: `invalid-answer`, `invalid-json`, `duplicate-key`, or what is wrong with
            the evidence.
    """
    from ledger.service import Answer

    criterion, equals, said = text.partition("=")
    criterion = criterion.strip()
    if equals and criterion and said.strip().startswith("{"):
        facts = parse_object(said, what="the evidence")
        besides = {key: facts.pop(key) for key in _EVIDENCE_BESIDES if key in facts}
        evidence = parse_payload(EvidenceRecorded.type, {"criterion": criterion, **facts})
        assert isinstance(evidence, EvidenceRecorded)  # noqa: S101 - the model of that type
        at = besides.get("occurred_at")
        when = None if at is None else parse_instant(str(at), where=f"--answer {criterion}")
        return Answer(criterion, evidence, when, besides.get("note"))
    answer, _colon, note = said.partition(":")
    if not criterion or answer.strip() != "no_answer":
        raise InvalidInput(
            "invalid-answer",
            f"no. {number} of --answer is not an answer",
            where="--answer",
            hint="write CRITERION=no_answer, CRITERION=no_answer:NOTE or CRITERION={...}",
        )
    return Answer(criterion, note=note.strip() or None)


def _given(payload: dict[str, Any]) -> dict[str, Any]:
    """A payload without what was not given."""
    return {key: value for key, value in payload.items() if value is not None}


def _end(text: str, where: str) -> Instant:
    """When something ends: an instant, or a date for the end of that day, the day included.

    Raises:
        InvalidInput: `invalid-end`, `invalid-as-of`.
    """
    spelt = parse_as_of(text, where=where)
    if spelt.instant is not None:
        return spelt.instant
    if spelt.day is None:
        raise InvalidInput(
            "invalid-end",
            f"{text!r} is a position, not a time",
            where=where,
            hint="give a date (2026-03-31) or an instant (2026-03-31T17:00:00Z)",
        )
    with open_door() as door, door.book() as book:
        return end_of_day(spelt.day, book.calendar.zone) + MICROSECOND
