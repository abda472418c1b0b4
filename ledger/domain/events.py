"""The catalogue of events.

Law: an event type has a stable kebab-case name, a schema version, and a payload that is a frozen
model with a limit on everything. A payload is validated once, at the door, and is then a plain
mapping in the envelope; reading never rejects what was once recorded. When a payload's shape
changes, its `schema_version` goes up and `UPCASTERS` gains the step from the old shape, so history
is read in today's shape and never rewritten.

Absent and null differ only in a `Patch` (`deal-revised` and its like): absent leaves a value as it
was, null clears it. Everywhere else null is not written at all, so that one meaning has one
spelling.

Fields typed `Personal*` hold personal data: what names, reaches or quotes a person. The marker says
whose they are, so that encryption per person can come under them without changing an event.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import (
    Annotated,
    Any,
    ClassVar,
    Literal,
    NamedTuple,
    NotRequired,
    Self,
    TypeAlias,
    TypedDict,
)
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from ledger.domain.errors import InvalidInput, QledgerError
from ledger.domain.money import format_amount, minor_units, parse_amount
from ledger.domain.playbook import PublishablePlaybook, Seniority
from ledger.domain.times import Instant, format_instant, parse_date, parse_instant, zone

Payload: TypeAlias = Mapping[str, Any]
"""A payload as it stands in the envelope: JSON values only, today's shape."""

# --- the parts of payloads ----------------------------------------------------------------------


class PersonalData(NamedTuple):
    """Marks a field as personal data.

    Args:
        subject: whose it is: the payload field that names the person, or "stream" when the stream
            itself is the person's.
    """

    subject: str


def _not_control(text: str) -> str:
    if re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|[\ud800-\udfff]", text):
        raise ValueError("text holds a control character")
    return text


def _coded(rule: Callable[[Any], object]) -> Callable[[Any], Any]:
    """Run a rule of the domain inside validation, keeping its code and the path of the field."""

    def check(value: Any) -> Any:
        try:
            return rule(value)
        except QledgerError as error:
            facts = {"code": error.code, "message": error.message, "hint": error.hint}
            raise PydanticCustomError("domain", "{message}", facts) from None

    return check


def _amount(value: object) -> Decimal:
    if isinstance(value, float):
        raise InvalidInput("money-as-float", "money is never a float; give a decimal string")
    amount = parse_amount(str(value))
    if amount < 0:
        raise InvalidInput("negative-amount", f"an amount cannot be negative: {amount}")
    return amount


def _currency(code: str) -> str:
    minor_units(code)
    return code


def _zone_name(name: str) -> str:
    zone(name)
    return name


def _instant(value: object) -> datetime:
    return parse_instant(value.isoformat() if isinstance(value, datetime) else str(value))


def _day(value: object) -> date:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    return parse_date(value if isinstance(value, str) else repr(value))


def _rate(value: object) -> Decimal:
    text = format(value, "f") if isinstance(value, Decimal) else str(value)
    if isinstance(value, float) or not re.fullmatch(r"[0-9]{1,10}(\.[0-9]{1,12})?", text):
        raise InvalidInput(
            "invalid-rate",
            f"{text[:40]!r} is not a rate",
            hint="write it as a decimal string with at most 12 decimals, such as 1.0842",
        )
    return Decimal(text)


Clean = AfterValidator(_not_control)
_KEY = r"^[a-z][a-z0-9_]{0,63}$"
_SHA256 = r"^[0-9a-f]{64}$"
_PERIOD = r"^\d{4}(-Q[1-4]|-(0[1-9]|1[0-2]))?$"
_EMAIL = r"^[^@\s]+@[^@\s]+$"
Key = Annotated[str, StringConstraints(pattern=_KEY)]
RecordId = Annotated[
    str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True), Clean
]
Name = Annotated[str, StringConstraints(min_length=1, max_length=300, strip_whitespace=True), Clean]
Label = Annotated[
    str, StringConstraints(min_length=1, max_length=120, strip_whitespace=True), Clean
]
Text = Annotated[str, StringConstraints(min_length=1, max_length=4000), Clean]
Link = Annotated[str, StringConstraints(min_length=1, max_length=2000), Clean]
Sha256 = Annotated[str, StringConstraints(pattern=_SHA256)]
Currency = Annotated[str, AfterValidator(_coded(_currency))]
Moment = Annotated[
    datetime, BeforeValidator(_coded(_instant)), PlainSerializer(format_instant, return_type=str)
]
Amount = Annotated[
    Decimal, BeforeValidator(_coded(_amount)), PlainSerializer(format_amount, return_type=str)
]
Day = Annotated[date, BeforeValidator(_coded(_day))]
Percent = Annotated[int, Field(ge=0, le=100, strict=True)]
Dimensions = Annotated[dict[Key, Label], Field(max_length=32)]
RevisedDimensions = Annotated[dict[Key, Label | None], Field(max_length=32)]
"""Merged key by key; a null value removes that key."""
PeriodName = Annotated[str, StringConstraints(pattern=_PERIOD)]

PersonOfStream = PersonalData("stream")
PersonalName = Annotated[Name, PersonOfStream]
PersonalEmail = Annotated[
    str,
    StringConstraints(min_length=3, max_length=254, pattern=_EMAIL),
    Clean,
    PersonOfStream,
]
StakeholderName = Annotated[Name, PersonalData("stakeholder")]
StakeholderEmail = Annotated[
    str,
    StringConstraints(min_length=3, max_length=254, pattern=_EMAIL),
    Clean,
    PersonalData("stakeholder"),
]
Quote = Annotated[Text, PersonalData("said_by")]
BuyersReason = Annotated[Text, PersonalData("account")]
"""Why the buyer did something, in whatever words it came."""


class Category(StrEnum):
    """Forecast categories, from least to most certain."""

    OMITTED = "omitted"
    PIPELINE = "pipeline"
    BEST_CASE = "best_case"
    COMMIT = "commit"
    CLOSED = "closed"


class Outcome(StrEnum):
    """How a deal ended."""

    WON = "won"
    LOST = "lost"
    NO_DECISION = "no_decision"
    DISQUALIFIED = "disqualified"
    ABANDONED = "abandoned"


class _Model(BaseModel):
    # Built when first used: most runs read events and validate none.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)


class MoneyValue(_Model):
    """`{"amount": "120000.00", "currency": "USD"}`; never negative."""

    amount: Amount
    currency: Currency


class EventPayload(_Model):
    """Base of all payloads. `to_json` gives the one spelling that goes into the envelope."""

    type: ClassVar[str]
    schema_version: ClassVar[int] = 1
    announceable: ClassVar[bool] = False
    """Whether `occurred_at` may lie after `known_at`: what is announced with an effective date."""

    def to_json(self) -> dict[str, Any]:
        return self.model_dump(mode="json", exclude_none=True)


class Patch(EventPayload):
    """A payload in which absent means "as it was" and null means "cleared"."""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        fields = type(self).model_fields
        if all(fields[name].is_required() for name in self.model_fields_set):
            raise ValueError("a revision must name at least one field")
        return self

    def to_json(self) -> dict[str, Any]:
        return self.model_dump(mode="json", exclude_unset=True)


# --- deal ---------------------------------------------------------------------------------------


class _DealFields(_Model):
    """What a deal's record carries."""

    name: Name | None = None
    account: RecordId | None = None
    owner: RecordId | None = None
    playbook: Key | None = None
    amount: MoneyValue | None = None
    close_date: Day | None = None
    products: Annotated[tuple[Name, ...], Field(max_length=50)] | None = None


class DealOpened(_DealFields, EventPayload):
    type = "deal-opened"
    dimensions: Dimensions | None = None


class DealRevised(_DealFields, Patch):
    type = "deal-revised"
    dimensions: RevisedDimensions | None = None


class StageClaimed(EventPayload):
    """What the CRM says about where the deal is."""

    type = "stage-claimed"
    stage: Label
    gate: Key | None = None
    """The playbook gate before which a deal in that stage stands, where the mapping says so."""
    probability: Percent | None = None


class CategoryClaimed(EventPayload):
    type = "category-claimed"
    category: Category


class EvidenceRecorded(EventPayload):
    """A piece of buyer evidence. Without a source, a date and who said it, it is only a claim."""

    type = "evidence-recorded"
    criterion: Key
    stance: Literal["supports", "contradicts"]
    source_kind: Literal["meeting", "call", "email", "document", "crm", "other"]
    quote: Quote | None = None
    said_by: RecordId | None = None
    link: Link | None = None
    sha256: Sha256 | None = None


class CriterionWaived(EventPayload):
    """A criterion set aside for a while. `occurred_at` is when the waiver starts."""

    type = "criterion-waived"
    announceable = True
    criterion: Key
    reason: Text
    ends_at: Moment


class WaiverRevoked(EventPayload):
    type = "waiver-revoked"
    criterion: Key
    reason: Text


class _StakeholderFields(_Model):
    """What is known of somebody at the buyer, besides their name."""

    stakeholder: RecordId
    email: StakeholderEmail | None = None
    title: Label | None = None
    role: Key | None = None
    seniority: Seniority | None = None
    influence: Literal["high", "medium", "low"] | None = None
    reports_to: RecordId | None = None


class StakeholderAdded(_StakeholderFields, EventPayload):
    type = "stakeholder-added"
    name: StakeholderName


class StakeholderChanged(_StakeholderFields, Patch):
    type = "stakeholder-changed"
    name: StakeholderName | None = None


class StakeholderLeft(EventPayload):
    type = "stakeholder-left"
    stakeholder: RecordId
    reason: Annotated[Text, PersonalData("stakeholder")] | None = None


class BuyerAdvanced(EventPayload):
    type = "buyer-advanced"
    gate: Key
    reason: BuyersReason | None = None


class BuyerRegressed(EventPayload):
    type = "buyer-regressed"
    gate: Key
    reason: BuyersReason | None = None


class BuyerLooped(EventPayload):
    type = "buyer-looped"
    from_gate: Key
    to_gate: Key
    reason: BuyersReason | None = None


class DealClosed(EventPayload):
    type = "deal-closed"
    outcome: Outcome
    buyer_reason: BuyersReason | None = None
    seller_reason: Text | None = None


class DealReopened(EventPayload):
    type = "deal-reopened"
    reason: BuyersReason | None = None


class DebriefAnswer(_Model):
    criterion: Key
    answer: Literal["evidence", "no_answer"]
    evidence: UUID | None = None
    note: Text | None = None


class DebriefHeld(EventPayload):
    type = "debrief-held"
    reviewer: RecordId
    answers: Annotated[tuple[DebriefAnswer, ...], Field(max_length=100)] = ()
    meetings_before: Annotated[int, Field(ge=0, le=10_000, strict=True)] | None = None


class PostMortemRecorded(EventPayload):
    type = "post-mortem-recorded"
    reviewer: RecordId
    finding: Text
    lesson: Text | None = None


class DealRemoved(EventPayload):
    """The CRM deleted the deal; it stays in history and counts no more."""

    type = "deal-removed"
    reason: Text | None = None


# --- account, playbook, person ------------------------------------------------------------------


class AccountOpened(EventPayload):
    type = "account-opened"
    name: Name
    parent: RecordId | None = None
    dimensions: Dimensions | None = None


class AccountRevised(Patch):
    type = "account-revised"
    name: Name | None = None
    parent: RecordId | None = None
    dimensions: RevisedDimensions | None = None


class PlaybookPublished(EventPayload):
    """A whole version of a playbook. `occurred_at` is when it takes effect."""

    type = "playbook-published"
    schema_version = 2
    announceable = True
    playbook: PublishablePlaybook


class PlaybookReviewed(EventPayload):
    type = "playbook-reviewed"
    reviewer: RecordId
    note: Text | None = None


class PersonJoined(EventPayload):
    type = "person-joined"
    name: PersonalName
    email: PersonalEmail | None = None
    role: Label | None = None
    manager: RecordId | None = None
    team: Label | None = None


class PersonReassigned(Patch):
    """A new manager, team or role, from `occurred_at` on."""

    type = "person-reassigned"
    announceable = True
    manager: RecordId | None = None
    team: Label | None = None
    role: Label | None = None


class PersonLeft(EventPayload):
    type = "person-left"
    reason: Text | None = None


class PersonAssessed(EventPayload):
    """A manager's assessment of a seller, 1 (low) to 5 (high)."""

    type = "person-assessed"
    aspect: Literal["motivation", "confidence", "urgency", "buy_in", "knowledge", "skills_applied"]
    score: Annotated[int, Field(ge=1, le=5, strict=True)]
    assessor: RecordId
    note: Annotated[Text, PersonOfStream] | None = None


# --- period and settings ------------------------------------------------------------------------

CallCategory: TypeAlias = Literal["pipeline", "best_case", "commit"]


class ForecastCalled(EventPayload):
    """A rep's submission for a period. A later call for the same category replaces it."""

    type = "forecast-called"
    period: PeriodName
    person: RecordId
    category: CallCategory
    amount: MoneyValue
    note: Text | None = None


class ForecastAdjusted(EventPayload):
    """A manager's override of, or haircut on, a person's call. `occurred_at` is when it starts."""

    type = "forecast-adjusted"
    announceable = True
    period: PeriodName
    person: RecordId
    category: CallCategory
    override: MoneyValue | None = None
    haircut_percent: Percent | None = None
    adjuster: RecordId
    reason: Text
    expires_at: Moment

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if (self.override is None) == (self.haircut_percent is None):
            raise ValueError("give either an override or a haircut_percent")
        return self


class QuotaSet(EventPayload):
    type = "quota-set"
    announceable = True
    period: PeriodName
    person: RecordId
    amount: MoneyValue


class FxRateSet(EventPayload):
    """From `occurred_at` on, one unit of `currency` buys `rate` units of `to`."""

    type = "fx-rate-set"
    announceable = True
    currency: Currency
    to: Currency
    rate: Annotated[
        Decimal,
        BeforeValidator(_coded(_rate)),
        Field(gt=0, le=Decimal(10) ** 9),
        PlainSerializer(format_amount, return_type=str),
    ]

    @model_validator(mode="after")
    def _two_currencies(self) -> Self:
        if self.currency == self.to:
            raise ValueError("a rate needs two different currencies")
        return self


class FiscalCalendarSet(EventPayload):
    type = "fiscal-calendar-set"
    announceable = True
    start_month: Annotated[int, Field(ge=1, le=12, strict=True)]
    named_by: Literal["start", "end"] = "start"
    time_zone: Annotated[str, AfterValidator(_coded(_zone_name))] = "UTC"


class ReportingCurrencySet(EventPayload):
    type = "reporting-currency-set"
    currency: Currency


# --- any stream ---------------------------------------------------------------------------------


class EventRetracted(EventPayload):
    """From its own `known_at` on, the target is as if it had never been."""

    type = "event-retracted"
    target: UUID
    reason: Text


class EventCorrected(EventPayload):
    """From its own `known_at` on, the target has this payload, or this `occurred_at`, or both."""

    type = "event-corrected"
    target: UUID
    payload: dict[str, Any] | None = None
    payload_version: Annotated[int, Field(ge=1, strict=True)] | None = None
    """The schema version of `payload`, which has the shape of the target's type; none is 1."""
    occurred_at: Moment | None = None
    reason: Text

    @model_validator(mode="after")
    def _corrects_something(self) -> Self:
        if self.payload is None and self.occurred_at is None:
            raise ValueError("a correction must give a payload, an occurred_at, or both")
        return self

    def to_json(self) -> dict[str, Any]:
        spelled = super().to_json()
        if self.payload is not None:
            spelled["payload"] = self.payload  # a null in a corrected patch keeps its meaning
        return spelled


# --- the catalogue ------------------------------------------------------------------------------

ANY_STREAM: tuple[type[EventPayload], ...] = (EventRetracted, EventCorrected)

CATALOGUE: dict[str, tuple[type[EventPayload], ...]] = {
    "deal": (
        DealOpened, DealRevised, StageClaimed, CategoryClaimed, EvidenceRecorded, CriterionWaived,
        WaiverRevoked, StakeholderAdded, StakeholderChanged, StakeholderLeft, BuyerAdvanced,
        BuyerRegressed, BuyerLooped, DealClosed, DealReopened, DebriefHeld, PostMortemRecorded,
        DealRemoved, *ANY_STREAM,
    ),
    "account": (AccountOpened, AccountRevised, EvidenceRecorded, *ANY_STREAM),
    "playbook": (PlaybookPublished, PlaybookReviewed, *ANY_STREAM),
    "person": (PersonJoined, PersonReassigned, PersonLeft, PersonAssessed, *ANY_STREAM),
    "period": (ForecastCalled, ForecastAdjusted, QuotaSet, *ANY_STREAM),
    "settings": (FxRateSet, FiscalCalendarSet, ReportingCurrencySet, *ANY_STREAM),
}  # fmt: skip
"""Stream category -> the events that may stand in such a stream."""

TYPES: dict[str, type[EventPayload]] = {
    model.type: model for models in CATALOGUE.values() for model in models
}

SCHEMA_VERSIONS: dict[str, int] = {name: model.schema_version for name, model in TYPES.items()}
"""Type -> the schema version in which it is written today."""

Upcaster: TypeAlias = Callable[[dict[str, Any]], dict[str, Any]]


def _with_roles_and_freshness_by_gate(payload: dict[str, Any]) -> dict[str, Any]:
    """A playbook from before it had roles, and freshness of its own at later gates: neither."""
    playbook = payload["playbook"]
    gates = [
        {
            **gate,
            "criteria": [{"fresher_at": {}, **criterion} for criterion in gate["criteria"]],
        }
        for gate in playbook["gates"]
    ]
    return {**payload, "playbook": {"roles": [], **playbook, "gates": gates}}


UPCASTERS: dict[tuple[str, int], Upcaster] = {
    (PlaybookPublished.type, 1): _with_roles_and_freshness_by_gate,
}
"""(type, old schema version) -> the step to the next version."""


def upcast(event_type: str, schema_version: int, payload: Payload) -> Payload:
    """Bring a recorded payload to today's shape, one version at a time.

    Raises:
        InvalidInput: `unknown-event-type`, `newer-schema` for what a newer release wrote.
    """
    model = TYPES.get(event_type)
    if model is None:
        raise InvalidInput("unknown-event-type", f"there is no event type {event_type!r}")
    if schema_version == model.schema_version:
        return payload
    if schema_version > model.schema_version:
        raise InvalidInput(
            "newer-schema",
            f"{event_type} has schema version {schema_version}; this release knows "
            f"{model.schema_version}",
            hint="read this ledger with the release that wrote it, or a newer one",
        )
    for version in range(schema_version, model.schema_version):
        payload = UPCASTERS[event_type, version](dict(payload))
    return payload


def parse_payload(event_type: str, payload: Mapping[str, Any]) -> EventPayload:
    """Validate a payload given as JSON values.

    Raises:
        InvalidInput: `unknown-event-type`, or `invalid-payload` (or the code of the part that is
            wrong, such as `unknown-currency`) with the path of the first wrong field.
    """
    model = TYPES.get(event_type)
    if model is None:
        raise InvalidInput(
            "unknown-event-type",
            f"there is no event type {event_type!r}",
            hint="the types are: " + ", ".join(sorted(TYPES)),
        )
    try:
        return model.model_validate(payload)
    except ValidationError as error:
        raise _first_fault(event_type, error) from None


_FAULT_CODES = {
    "string_too_long": "text-too-long",
    "too_long": "too-many-parts",
    "missing": "missing-field",
    "extra_forbidden": "unknown-field",
    "enum": "unknown-value",
    "literal_error": "unknown-value",
}

_FAULT_WORDS = {
    "string_too_long": "it has more than {max_length} characters",
    "string_too_short": "it has fewer than {min_length} characters",
    "too_long": "it has more than {max_length} parts",
    "missing": "it is missing",
    "extra_forbidden": "there is no such field",
    "enum": "it is none of {expected}",
    "literal_error": "it is none of {expected}",
    "greater_than": "it is not more than {gt}",
    "greater_than_equal": "it is less than {ge}",
    "less_than_equal": "it is more than {le}",
    "string_type": "it is no text",
    "int_type": "it is no whole number",
    "bool_type": "it is neither true nor false",
    "uuid_parsing": "it is no UUID",
    "value_error": "{error}",
}
"""Kind of fault -> what is wrong; of any other kind the library's own words are told."""

_SPELLINGS = {
    _KEY: (
        "it is no key",
        "a key has small letters, digits and _, at most 64, and begins with a letter",
    ),
    _SHA256: ("it is no SHA-256", "write it as 64 hexadecimal digits, small letters"),
    _PERIOD: ("it is no fiscal period", "write it like 2026, 2026-Q1 or 2026-03"),
    _EMAIL: ("it is no e-mail address", "write it like ann@example.com"),
}
"""How a text must be spelt -> what is wrong with one that is not, and what to do."""


def _told(fault: ErrorDetails) -> tuple[str, str]:
    """What is wrong, and what to do."""
    facts = fault.get("ctx", {})
    if fault["type"] == "string_pattern_mismatch" and facts["pattern"] in _SPELLINGS:
        return _SPELLINGS[facts["pattern"]]
    words = _FAULT_WORDS.get(fault["type"])
    return fault["msg"] if words is None else words.format(**facts), facts.get("hint", "")


def _first_fault(event_type: str, error: ValidationError) -> InvalidInput:
    faults = error.errors(include_url=False, include_input=False)
    fault = faults[0]
    path = ".".join([event_type, *(str(part) for part in fault["loc"])])
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    coded = fault.get("ctx", {}).get("code")
    code = coded or _FAULT_CODES.get(fault["type"], "invalid-payload")
    message, hint = _told(fault)
    return InvalidInput(code, f"{message}{more}", where=path, hint=hint)


# --- streams ------------------------------------------------------------------------------------

_STREAM = re.compile(
    r"(deal|account|playbook|person|period|settings):([^\x00-\x1f\x7f\ud800-\udfff]{1,200})\Z"
)
SETTINGS_STREAM = "settings:ledger"


def is_stream(name: str) -> bool:
    """Whether a stream can have that name."""
    return _STREAM.match(name) is not None


def stream_name(category: str, identifier: str) -> str:
    """The stream of one deal, account, playbook, person or period: `deal:006A1`."""
    return f"{category}:{identifier}"


def stream_category(stream: str) -> str:
    """The part before the colon.

    Raises:
        InvalidInput: `invalid-stream`.
    """
    found = _STREAM.match(stream)
    if not found:
        raise InvalidInput(
            "invalid-stream",
            f"{stream[:80]!r} is not a stream",
            hint="write it like deal:006A1; the kinds are " + ", ".join(CATALOGUE),
        )
    return found[1]


def stream_id(stream: str) -> str:
    """The part after the colon: the deal's, account's, person's ... own id."""
    return stream.partition(":")[2]


# --- events -------------------------------------------------------------------------------------


class Source(NamedTuple):
    """Where an event comes from: a system and its record there, e.g. ("salesforce", "008bm...")."""

    system: str
    record: str | None = None


class Draft(NamedTuple):
    """An event that is not recorded yet: all but its position, version and `recorded_at`.

    `known_at` is given only for what a source attests; then the event is not witnessed.
    """

    stream: str
    payload: EventPayload
    event_id: UUID
    actor: str
    source: Source
    occurred_at: Instant
    known_at: Instant | None = None
    causation_id: UUID | None = None
    correlation_id: UUID | None = None


class SourceFacts(TypedDict):
    """Where an event came from, as its envelope says it."""

    system: str
    record: NotRequired[str]


class Event(TypedDict):
    """A recorded event as it is read: its envelope, in JSON values, with today's payload shape.

    The times are text in the one spelling, whose order is the order of time. `known_at` and
    `witnessed` are always there: `known_at` is `recorded_at` for what this ledger witnessed.
    """

    position: int
    stream: str
    stream_version: int
    event_id: str
    type: str
    schema_version: int
    occurred_at: str
    known_at: str
    recorded_at: str
    witnessed: bool
    actor: str
    source: SourceFacts
    payload: Payload
    causation_id: NotRequired[str]
    correlation_id: NotRequired[str]
    corrected_by: NotRequired[int]
    """Position of the correction in force at a basis; never in an envelope (see `history`)."""


def cause_of(event: Event) -> int:
    """The position that answers for what an event says: its own, or its correction's."""
    return event.get("corrected_by", event["position"])
