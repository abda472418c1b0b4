"""Playbooks: what a buyer must have done, gate by gate.

Law: a playbook is an ordered list of gates, each with exit criteria that speak of what the *buyer*
did or said. Keys are unique within a playbook. A version is published whole, as an event; nothing
is hard-wired to the playbooks that we ship.

A criterion is tested again at every later gate, and there its evidence may have to be fresher,
never older: `fresher_at` only tightens, from gate to gate.

The shape of a version is checked whenever it is read; whether its parts fit each other is checked
once, before it is published (`PublishablePlaybook`), so that a rule that is added later never makes
a version unreadable that is in somebody's ledger.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import Annotated, Any, Literal, NamedTuple, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from ledger.domain.errors import InvalidInput
from ledger.domain.toml_lines import Path, line_of, lines_of

Key = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Sentence = Annotated[str, StringConstraints(min_length=1, max_length=500)]
Days = Annotated[int, Field(ge=1, le=3650, strict=True)]
Flag = Annotated[bool, Field(strict=True)]
Seniority = Literal["c_level", "vice_president", "director", "manager", "staff"]
SENIORITIES: tuple[Seniority, ...] = get_args(Seniority)
"""From the most senior on."""


def in_words(key: str) -> str:
    """A key as people say it: `budget_price_confirmed` is "budget price confirmed"."""
    return key.replace("_", " ")


BuyerQuestion = Literal["why_change", "why_now", "why_this"]
BUYER_QUESTIONS: tuple[BuyerQuestion, ...] = get_args(BuyerQuestion)
SourceKind = Literal["meeting", "call", "email", "document", "crm", "other"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class Criterion(_Part):
    """An exit criterion.

    Args:
        key: unique within the playbook.
        question: as asked in a debrief.
        layer: whether the fact is about the organization, the opportunity or a stakeholder.
        mandatory: whether the gate can pass without it.
        fresh_for_days: how long evidence counts; none means that it does not age.
        fresher_at: later gate -> how long evidence counts once the deal has come that far.
        said_by_role: the stakeholder role whose word counts; none means anybody's at the buyer.
        source_kinds: the kinds of source that count; empty means all in which the buyer speaks,
            which is every one but `crm`: a CRM's word counts only where it is named.
        lapses_with_stakeholder: whether it lapses when the one who said it leaves.
        said_by_seniority: how senior the speaker must be at the least.
        answers: which of the buyer's three questions it answers: why change, why now, why this.
    """

    key: Key
    question: Sentence
    layer: Literal["organization", "opportunity", "stakeholder"] = "opportunity"
    mandatory: Flag = True
    fresh_for_days: Days | None = None
    fresher_at: Annotated[dict[Key, Days], Field(max_length=30)] = {}
    said_by_role: Key | None = None
    source_kinds: tuple[SourceKind, ...] = ()
    lapses_with_stakeholder: Flag = True
    said_by_seniority: Seniority | None = None
    answers: BuyerQuestion | None = None


class Role(_Part):
    """A part that somebody at the buyer plays.

    Args:
        key: unique within the playbook; what a criterion's `said_by_role` names.
        authority: whether this person can spend the money.
    """

    key: Key
    name: Annotated[str, StringConstraints(min_length=1, max_length=120)]
    authority: Flag = False


class Gate(_Part):
    """A gate of the buyer's journey.

    Args:
        key: unique within the playbook.
        stage: the stage of the buyer's journey it belongs to.
        threshold: how many of the optional criteria must be met as well.
        expected_days: how long a deal normally takes to pass it.
        category: forecast category of a deal that stands before it.
        weight_percent: the weight of a deal that stands before it.
        after_decision: whether its work begins only when the deal is won.
    """

    key: Key
    name: Annotated[str, StringConstraints(min_length=1, max_length=120)]
    stage: Annotated[str, StringConstraints(min_length=1, max_length=120)]
    threshold: Annotated[int, Field(ge=0, le=100, strict=True)] = 0
    expected_days: Days | None = None
    category: Literal["omitted", "pipeline", "best_case", "commit"] = "pipeline"
    weight_percent: Annotated[int, Field(ge=0, le=100, strict=True)] = 0
    after_decision: Flag = False
    buyer_questions: tuple[Sentence, ...] = ()
    seller_questions: tuple[Sentence, ...] = ()
    criteria: Annotated[tuple[Criterion, ...], Field(min_length=1, max_length=50)]


class Playbook(_Part):
    """One version of a playbook."""

    key: Key
    version: Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z][0-9A-Za-z.\-]{0,31}$")]
    name: Annotated[str, StringConstraints(min_length=1, max_length=120)]
    roles: Annotated[tuple[Role, ...], Field(max_length=30)] = ()
    """None means that roles are not checked."""
    gates: Annotated[tuple[Gate, ...], Field(min_length=1, max_length=30)]

    @property
    def criteria(self) -> dict[str, Criterion]:
        """All exit criteria by key, in gate order."""
        return {criterion.key: criterion for gate in self.gates for criterion in gate.criteria}

    def tightening(self, criterion: Criterion) -> dict[str, int]:
        """At which later gates evidence must be how much fresher, in days, in gate order."""
        asked = criterion.fresher_at
        return {gate.key: asked[gate.key] for gate in self.gates if gate.key in asked}


# --- whether the parts of a version fit each other ----------------------------------------------


class Fault(NamedTuple):
    """What is wrong, and where: keys and indices from the playbook down."""

    path: Path
    message: str


def faults(playbook: Playbook) -> list[Fault]:
    """In what the parts of a version do not fit each other; none of it is a matter of shape."""
    return [
        *_keys_used_twice(playbook),
        *_gates_out_of_order(playbook),
        *_thresholds_out_of_reach(playbook),
        *_roles_that_are_not_there(playbook),
        *_freshness_that_does_not_tighten(playbook),
    ]


def _criteria_of(playbook: Playbook) -> Iterator[tuple[int, Path, Criterion]]:
    """Every criterion with the index of its gate and its path."""
    for at, gate in enumerate(playbook.gates):
        for number, criterion in enumerate(gate.criteria):
            yield at, ("gates", at, "criteria", number), criterion


def _keys_used_twice(playbook: Playbook) -> Iterator[Fault]:
    keys: list[tuple[Path, str]] = []
    for at, gate in enumerate(playbook.gates):
        keys.append((("gates", at), gate.key))
        keys += [(path, each.key) for own, path, each in _criteria_of(playbook) if own == at]
    roles: list[tuple[Path, str]] = [
        (("roles", at), role.key) for at, role in enumerate(playbook.roles)
    ]
    for named, what in ((keys, "gate or criterion"), (roles, "role")):
        seen: set[str] = set()
        for path, key in named:
            if key in seen:
                yield Fault((*path, "key"), f"the key {key!r} is that of a {what} before it")
            seen.add(key)


def _gates_out_of_order(playbook: Playbook) -> Iterator[Fault]:
    decided = False
    for at, gate in enumerate(playbook.gates):
        if decided and not gate.after_decision:
            yield Fault(
                ("gates", at, "after_decision"),
                "a gate before the decision stands behind one after it",
            )
        decided = decided or gate.after_decision
    if playbook.gates[0].after_decision:
        yield Fault(("gates", 0, "after_decision"), "the first gate comes before the decision")


def _thresholds_out_of_reach(playbook: Playbook) -> Iterator[Fault]:
    for at, gate in enumerate(playbook.gates):
        optional = sum(not criterion.mandatory for criterion in gate.criteria)
        if gate.threshold > optional:
            yield Fault(
                ("gates", at, "threshold"),
                f"{gate.threshold} optional criteria are wanted and the gate has {optional}",
            )


def _roles_that_are_not_there(playbook: Playbook) -> Iterator[Fault]:
    roles = [role.key for role in playbook.roles]
    for _gate, path, criterion in _criteria_of(playbook):
        role = criterion.said_by_role
        if roles and role is not None and role not in roles:
            yield Fault(
                (*path, "said_by_role"),
                f"there is no role {role!r}; the roles are {', '.join(roles)}",
            )


def _freshness_that_does_not_tighten(playbook: Playbook) -> Iterator[Fault]:
    order = {gate.key: at for at, gate in enumerate(playbook.gates)}
    for own, path, criterion in _criteria_of(playbook):
        allowed = criterion.fresh_for_days
        for gate in sorted(criterion.fresher_at, key=lambda gate: order.get(gate, -1)):
            days = criterion.fresher_at[gate]
            message = None
            if gate not in order:
                message = f"there is no gate {gate!r}"
            elif order[gate] <= own:
                message = f"{gate!r} is not a gate behind the criterion's own"
            elif allowed is not None and days >= allowed:
                message = f"{days} days are not fewer than the {allowed} before it"
            else:
                allowed = days
            if message is not None:
                yield Fault((*path, "fresher_at", gate), message)


def _fitting(playbook: Playbook) -> Playbook:
    found = faults(playbook)
    if not found:
        return playbook
    raise ValidationError.from_exception_data(
        "Playbook",
        [
            InitErrorDetails(
                type=PydanticCustomError(
                    "playbook", "{message}", {"code": "invalid-playbook", "message": fault.message}
                ),
                loc=fault.path,
                input=None,
            )
            for fault in found
        ],
    )


PublishablePlaybook = Annotated[Playbook, AfterValidator(_fitting)]
"""A version whose parts fit each other: what may be published."""


# --- from TOML ----------------------------------------------------------------------------------


def parse_playbook(text: str, *, where: str) -> Playbook:
    """Read a playbook from TOML, fit to be published.

    Args:
        text: the TOML document.
        where: the file's name, for errors.

    Raises:
        InvalidInput: `invalid-playbook`, naming the line (`where` is `file:line`) and the key of
            the first fault in the text, and how many more there are.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = f"{where}:{_line_of_syntax_fault(str(error), text)}"
        raise InvalidInput("invalid-playbook", f"not TOML: {error}", where=place) from None
    try:
        playbook: Playbook = TypeAdapter(PublishablePlaybook).validate_python(document)
    except ValidationError as error:
        found = error.errors(include_url=False)
        lines = lines_of(text)
        line, fault = min(
            ((line_of(lines, each["loc"]), each) for each in found), key=lambda placed: placed[0]
        )
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise InvalidInput(
            "invalid-playbook",
            f"{_spelled(fault['loc'], document)}: {_told(fault)}{more}",
            where=f"{where}:{line}",
            hint="docs/playbooks.md tells what each key means",
        ) from None
    return playbook


def _line_of_syntax_fault(message: str, text: str) -> int:
    named = re.search(r"\(at line (\d+), column \d+\)", message)
    return int(named[1]) if named else max(1, len(text.splitlines()))


def _spelled(path: Path, document: dict[str, Any]) -> str:
    """A path as people read it: parts of lists by their key where they have one, else `#3`."""
    names: list[str] = []
    part: Any = document
    for step in path:
        if step == "[key]":  # pydantic's word for the key of a table, not for its value
            continue
        try:
            part = part[step]
        except (LookupError, TypeError):
            part = None
        key = part.get("key") if isinstance(step, int) and isinstance(part, dict) else None
        if isinstance(step, int):
            names.append(key if isinstance(key, str) and key else f"#{step + 1}")
        else:
            names.append(step)
    return ".".join(names) or "playbook"


_IN_WORDS = {
    "missing": "it is missing",
    "extra_forbidden": "there is no such key",
    "playbook": "{msg}",
}


def _told(fault: ErrorDetails) -> str:
    given = fault["input"]
    words = _IN_WORDS.get(fault["type"])
    if words is None:
        scalar = isinstance(given, str | int | float)
        words = "{msg}, not {given}" if scalar else "{msg}"
    return words.format(msg=fault["msg"], given=repr(given)[:80])
