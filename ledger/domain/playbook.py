"""Playbooks: what a buyer must have done, gate by gate.

Law: a playbook is an ordered list of gates, each with exit criteria that speak of what the *buyer*
did or said. Keys are unique within a playbook. A version is published whole, as an event; nothing
is hard-wired to the playbooks that we ship.

A criterion is tested again at every later gate, and there its evidence may have to be fresher,
never older: `fresher_at` only tightens, from gate to gate.
"""

from __future__ import annotations

import tomllib
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from ledger.domain.errors import InvalidInput

Key = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Sentence = Annotated[str, StringConstraints(min_length=1, max_length=500)]
Days = Annotated[int, Field(ge=1, le=3650)]
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
    """

    key: Key
    question: Sentence
    layer: Literal["organization", "opportunity", "stakeholder"] = "opportunity"
    mandatory: bool = True
    fresh_for_days: Days | None = None
    fresher_at: Annotated[dict[Key, Days], Field(max_length=30)] = {}
    said_by_role: Key | None = None
    source_kinds: tuple[SourceKind, ...] = ()
    lapses_with_stakeholder: bool = True


class Role(_Part):
    """A part that somebody at the buyer plays.

    Args:
        key: unique within the playbook; what a criterion's `said_by_role` names.
        authority: whether this person can spend the money.
    """

    key: Key
    name: Annotated[str, StringConstraints(min_length=1, max_length=120)]
    authority: bool = False


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
    threshold: Annotated[int, Field(ge=0, le=100)] = 0
    expected_days: Annotated[int, Field(ge=1, le=3650)] | None = None
    category: Literal["omitted", "pipeline", "best_case", "commit"] = "pipeline"
    weight_percent: Annotated[int, Field(ge=0, le=100)] = 0
    after_decision: bool = False
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

    @model_validator(mode="after")
    def _keys_are_unique(self) -> Self:
        keys = [gate.key for gate in self.gates]
        keys += [criterion.key for gate in self.gates for criterion in gate.criteria]
        twice = sorted({key for key in keys if keys.count(key) > 1})
        if twice:
            raise ValueError(f"keys used twice: {', '.join(twice)}")
        roles = [role.key for role in self.roles]
        twice = sorted({key for key in roles if roles.count(key) > 1})
        if twice:
            raise ValueError(f"roles used twice: {', '.join(twice)}")
        return self

    @model_validator(mode="after")
    def _gates_after_the_decision_come_last(self) -> Self:
        after = [gate.after_decision for gate in self.gates]
        if after != sorted(after):
            raise ValueError("a gate before the decision stands behind one after it")
        return self

    @model_validator(mode="after")
    def _thresholds_can_be_reached(self) -> Self:
        for gate in self.gates:
            optional = sum(not criterion.mandatory for criterion in gate.criteria)
            if gate.threshold > optional:
                raise ValueError(
                    f"gates.{gate.key}.threshold: {gate.threshold} optional criteria are wanted "
                    f"and there are {optional}"
                )
        return self

    @model_validator(mode="after")
    def _parts_refer_to_each_other(self) -> Self:
        roles = {role.key for role in self.roles}
        order = {gate.key: index for index, gate in enumerate(self.gates)}
        for index, gate in enumerate(self.gates):
            for criterion in gate.criteria:
                if roles and criterion.said_by_role not in {None, *roles}:
                    raise ValueError(
                        f"{criterion.key}.said_by_role: there is no role {criterion.said_by_role!r}"
                    )
                _check_fresher_at(criterion, index, order)
        return self

    @property
    def criteria(self) -> dict[str, Criterion]:
        """All exit criteria by key, in gate order."""
        return {criterion.key: criterion for gate in self.gates for criterion in gate.criteria}


def _check_fresher_at(criterion: Criterion, own_gate: int, order: dict[str, int]) -> None:
    where = f"{criterion.key}.fresher_at"
    allowed = criterion.fresh_for_days
    for gate in sorted(criterion.fresher_at, key=lambda gate: order.get(gate, -1)):
        if order.get(gate, -1) <= own_gate:
            raise ValueError(f"{where}.{gate}: not a gate behind the criterion's own")
        days = criterion.fresher_at[gate]
        if allowed is not None and days >= allowed:
            raise ValueError(
                f"{where}.{gate}: {days} days are not fewer than the {allowed} before it"
            )
        allowed = days


def parse_playbook(text: str, *, where: str) -> Playbook:
    """Read a playbook from TOML.

    Args:
        text: the TOML document.
        where: the file's name, for errors.

    Raises:
        InvalidInput: `invalid-playbook`, naming the line (TOML errors) or the key.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidInput("invalid-playbook", f"not TOML: {error}", where=where) from None
    try:
        return Playbook.model_validate(document)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        path = ".".join(str(part) for part in fault["loc"]) or "playbook"
        raise InvalidInput("invalid-playbook", f"{path}: {fault['msg']}", where=where) from None
