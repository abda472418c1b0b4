"""The commands of the domain as the schema offers them: one mutation for each.

Law: for every event type that may stand in a kind of stream there is one command; its input is the
payload of the event, whose it is, who asks, and when it happened.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import strawberry
from strawberry.types.unset import UNSET
from strawberry.utils.str_converters import to_camel_case

from api.access import policy
from api.access.commands import Writer
from api.graphql import acts
from api.graphql.inputs import Field, fields_of, input_type
from api.graphql.words import FIELDS
from ledger.domain import events as ev
from ledger.domain.errors import QledgerError
from ledger.domain.events import TYPES, EventPayload
from ledger.service import Receipt

Act = Callable[[Writer, type[EventPayload], str, Any], list[Receipt]]

INSTANT = "an instant such as 2026-03-31T17:00:00Z"
WHOSE = {
    "deal": "The deal's id in the CRM.",
    "account": "The id of the buyer's account.",
    "playbook": "The playbook's key.",
    "person": "The person's id.",
}
PLACES = {
    "stream-moved": "expected_version",
    "event-id-taken": "event_id",
    "occurred-after-known": "occurred_at",
    "invalid-actor": "actor",
    "waiver-by-owner": "actor",
    "unknown-playbook": "playbook",
    "version-exists": "toml",
    "no-waiver": "criterion",
    "stakeholder-exists": "stakeholder",
    "stakeholder-left-already": "stakeholder",
    "reviewer-is-owner": "reviewer",
    "assessor-is-person": "assessor",
    "adjuster-is-caller": "adjuster",
    "unknown-event": "target",
    "already-retracted": "target",
    "cannot-correct-an-act": "target",
}
"""Code -> the field that a refusal means which names no place itself."""

OF_THE_STREAM = frozenset(
    {
        "invalid-stream", "unknown-deal", "deal-already-opened", "deal-removed",
        "deal-already-closed", "deal-not-closed", "unknown-account", "account-already-opened",
        "unknown-person", "person-already-joined",
    }
)  # fmt: skip
"""Codes of refusals that mean the deal, account or person itself."""


class Command(NamedTuple):
    """A command.

    Args:
        mutation: its name.
        payload: what is to be recorded.
        whose: the kind of stream that it is recorded in; "any" is that of the event it acts on.
        description: for an analyst.
        act: what it does; gives back the receipts, the event asked for last.
        fields: the fields of its input.
        inside: the field that a refusal means which is about a part without a field of its own.
    """

    mutation: str
    payload: type[EventPayload]
    whose: str
    description: str
    act: Act
    fields: dict[str, Field]
    inside: str | None = None

    def input(self) -> type[Any]:
        """Its input type."""
        name = f"{self.mutation[0].upper()}{self.mutation[1:]}Input"
        return input_type(name, self.description, self.fields)

    def run(self, writer: Writer, given: Any) -> list[Receipt]:
        """Do it.

        Raises:
            QledgerError: what the policy, the domain and the store refuse.
        """
        policy.check(writer.principal, policy.Operation.WRITE)
        return self.act(writer, self.payload, self.whose, given)

    def place(self, refusal: QledgerError) -> str | None:
        """Where in the input a refusal points; None where it is about no single part of it."""
        head, _dot, path = refusal.where.partition(".")
        if head == "input":
            return refusal.where
        if head == self.payload.type and not path:
            return "input"
        if head in TYPES and head != self.payload.type:
            return f"input.{self.inside}.{path}" if self.inside == "payload" else self._inside
        if head != self.payload.type:
            path = refusal.where
        if path.partition(".")[0] not in self.fields:
            path = self.whose if refusal.code in OF_THE_STREAM else PLACES.get(refusal.code, "")
        if path.partition(".")[0] not in self.fields:
            return self._inside
        return ".".join(["input", *map(to_camel_case, path.split("."))])

    @property
    def _inside(self) -> str | None:
        return None if self.inside is None else f"input.{self.inside}"


# --- inputs -------------------------------------------------------------------------------------


def _besides(*, occurs: str | None) -> dict[str, Field]:
    """What every input says besides its payload."""
    fields = {
        "actor": Field(
            str | None,
            "Who asks: a person's id, or the name of a program. With a token it is whose the token "
            "is, and may be left out; nobody else is taken.",
            UNSET,
        )
    }
    if occurs is not None:
        fields["occurred_at"] = Field(str | None, occurs, UNSET)
    fields["event_id"] = Field(
        strawberry.ID | None,
        "A UUID of your own for the event: recording the same again with it changes nothing.",
        UNSET,
    )
    fields["expected_version"] = Field(
        int | None,
        "The version of the stream that you have seen (its streamVersion in a snapshot, 0 for "
        "a new one): when it has moved on, this is refused. By default it is decided on "
        "whatever is there.",
        UNSET,
    )
    return fields


def _occurs(payload: type[EventPayload]) -> str:
    if payload.announceable:
        return f"When it takes effect, {INSTANT}; it may lie ahead. By default now."
    return f"When it happened, {INSTANT}; never ahead. By default now."


def _command(mutation: str, payload: type[EventPayload], whose: str, description: str) -> Command:
    whose_field = {whose: Field(strawberry.ID, WHOSE[whose])} if whose in WHOSE else {}
    fields = {**whose_field, **fields_of(payload), **_besides(occurs=_occurs(payload))}
    return Command(mutation, payload, whose, description, acts.record, fields)


def _act_command(
    mutation: str, payload: type[EventPayload], description: str, inside: str | None = None
) -> Command:
    fields = {**fields_of(payload, without=["payload_version"]), **_besides(occurs=None)}
    return Command(mutation, payload, "any", description, acts.act_on_event, fields, inside)


_PLAYBOOK_FIELDS = {
    "toml": Field(str, "The whole version as a TOML document; docs/playbooks.md tells its keys."),
    **_besides(occurs=_occurs(ev.PlaybookPublished)),
}
_EVIDENCE = input_type(
    "DebriefEvidenceInput",
    "What the buyer did or said, as a debrief brought it to light.",
    fields_of(ev.EvidenceRecorded, without=["criterion"]),
)
_ANSWER = input_type(
    "DebriefAnswerInput",
    "An answer in a debrief: evidence on a criterion, or that nobody could say.",
    {
        "criterion": Field(str, FIELDS["criterion"]),
        "evidence": Field(_EVIDENCE | None, "Null or absent where there was no answer.", UNSET),
        "occurred_at": Field(
            str | None,
            f"When what the evidence tells of happened, {INSTANT}. By default with the debrief.",
            UNSET,
        ),
        "note": Field(str | None, FIELDS["note"], UNSET),
    },
)
_DEBRIEF_FIELDS = {
    "deal": Field(strawberry.ID, WHOSE["deal"]),
    "reviewer": Field(str, "The id of who asked; never the owner of the deal."),
    "answers": Field(list[_ANSWER], "One for each question asked, at most 100."),  # type: ignore[valid-type]
    "meetings_before": Field(int | None, FIELDS["meetings_before"], UNSET),
    **_besides(occurs=_occurs(ev.DebriefHeld)),
}

# --- the table ----------------------------------------------------------------------------------

COMMANDS: tuple[Command, ...] = (
    _command("openDeal", ev.DealOpened, "deal", "Open a deal."),
    _command("reviseDeal", ev.DealRevised, "deal", "Revise what a deal's record carries: what is "
             "left out stays as it was, null clears it."),
    _command("claimStage", ev.StageClaimed, "deal", "Say in which stage the CRM has a deal: a "
             "claim, kept apart from where its evidence puts it."),
    _command("claimCategory", ev.CategoryClaimed, "deal", "Say in which forecast category the "
             "owner has a deal: a claim."),
    _command("recordEvidence", ev.EvidenceRecorded, "deal", "Record what the buyer did or said "
             "about an exit criterion of a deal."),
    _command("waiveCriterion", ev.CriterionWaived, "deal", "Set an exit criterion of a deal aside "
             "for a while; its owner cannot. It starts at occurredAt."),
    _command("revokeWaiver", ev.WaiverRevoked, "deal", "End a waiver before its time."),
    _command("addStakeholder", ev.StakeholderAdded, "deal", "Add somebody at the buyer."),
    _command("changeStakeholder", ev.StakeholderChanged, "deal", "Change what is known of a "
             "stakeholder: what is left out stays as it was, null clears it."),
    _command("stakeholderLeft", ev.StakeholderLeft, "deal", "Say that a stakeholder left the "
             "buyer: what hung on them lapses on that day."),
    _command("declareBuyerAdvanced", ev.BuyerAdvanced, "deal", "Say that the buyer went forward; "
             "it is a claim, and proves no criterion."),
    _command("declareBuyerRegressed", ev.BuyerRegressed, "deal", "Say that the buyer went back to "
             "a gate: it contradicts that gate and those after it until newer evidence."),
    _command("declareBuyerLooped", ev.BuyerLooped, "deal", "Say that the buyer went back from one "
             "gate to an earlier one, to go through it again."),
    _command("closeDeal", ev.DealClosed, "deal", "Close a deal with its outcome, the buyer's "
             "reason and the seller's."),
    _command("reopenDeal", ev.DealReopened, "deal", "Open a closed deal again; its history goes "
             "on."),
    Command("holdDebrief", ev.DebriefHeld, "deal", "Record a debrief and the evidence that it "
            "brought, in one act: all of it, or nothing.", acts.hold_debrief, _DEBRIEF_FIELDS,
            "answers"),
    _command("recordPostMortem", ev.PostMortemRecorded, "deal", "Record what was learned from a "
             "deal that has ended."),
    _command("removeDeal", ev.DealRemoved, "deal", "Say that the CRM deleted a deal: it stays in "
             "history and counts no more."),
    _command("openAccount", ev.AccountOpened, "account", "Open a buyer's account."),
    _command("reviseAccount", ev.AccountRevised, "account", "Revise an account: what is left out "
             "stays as it was, null clears it."),
    _command("recordAccountEvidence", ev.EvidenceRecorded, "account", "Record a fact about the "
             "organization: it counts for all deals of the account."),
    Command("publishPlaybook", ev.PlaybookPublished, "playbook", "Publish a version of a playbook. "
            "A published version never changes; the same again changes nothing.", acts.publish,
            _PLAYBOOK_FIELDS),
    _command("reviewPlaybook", ev.PlaybookReviewed, "playbook", "Record that somebody checked a "
             "playbook against what buyers do; due every 60 days."),
    _command("joinPerson", ev.PersonJoined, "person", "Say that somebody joined the sales "
             "organisation, or came back."),
    _command("reassignPerson", ev.PersonReassigned, "person", "Give somebody a new manager, team "
             "or role: what is left out stays as it was, null clears it."),
    _command("personLeft", ev.PersonLeft, "person", "Say that somebody left the sales "
             "organisation."),
    _command("assessPerson", ev.PersonAssessed, "person", "Record how a manager finds one of their "
             "own people, in one aspect."),
    _command("callForecast", ev.ForecastCalled, "period", "Submit a person's number for a period; "
             "a later one for the same category replaces it."),
    _command("adjustForecast", ev.ForecastAdjusted, "period", "Adjust a person's call: replace it "
             "or cut it, for a while, with a reason."),
    _command("setQuota", ev.QuotaSet, "period", "Set a person's quota for a period."),
    _command("setFxRate", ev.FxRateSet, "settings", "Set a rate of exchange."),
    _command("setFiscalCalendar", ev.FiscalCalendarSet, "settings", "Set when the fiscal year "
             "starts, what names it, and the reporting time zone."),
    _command("setReportingCurrency", ev.ReportingCurrencySet, "settings", "Set the currency of "
             "sums."),
    _act_command("retractEvent", ev.EventRetracted, "Retract an event of any kind: from now on it "
                 "is as if it had never been; what was known before stays as it was."),
    _act_command("correctEvent", ev.EventCorrected, "Correct an event of any kind: from now on it "
                 "counts with this payload, or this time, or both; what was known before stays as "
                 "it was.", "payload"),
)  # fmt: skip
