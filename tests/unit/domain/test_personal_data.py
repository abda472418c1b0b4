"""Personal data is typed as such, and the list of it is decided on, not drifted into."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, TypeAlias, get_args

import pytest
from pydantic import BaseModel

from ledger.domain.events import CATALOGUE, TYPES, EventPayload, PersonalData

PERSONAL_FIELDS = {
    ("deal-closed", "buyer_reason"): "account",
    ("buyer-advanced", "reason"): "account",
    ("buyer-looped", "reason"): "account",
    ("buyer-regressed", "reason"): "account",
    ("deal-reopened", "reason"): "account",
    ("stakeholder-left", "reason"): "stakeholder",
    ("evidence-recorded", "quote"): "said_by",
    ("person-assessed", "note"): "stream",
    ("person-joined", "email"): "stream",
    ("person-joined", "name"): "stream",
    ("stakeholder-added", "email"): "stakeholder",
    ("stakeholder-added", "name"): "stakeholder",
    ("stakeholder-changed", "email"): "stakeholder",
    ("stakeholder-changed", "name"): "stakeholder",
}
"""(event type, field) -> whose it is."""

NAMES_OF_THINGS = {
    ("account-opened", "name"),
    ("account-revised", "name"),
    ("deal-opened", "name"),
    ("deal-revised", "name"),
}
"""Names of deals and organisations, not of people."""

FREE_TEXT_ABOUT_WORK = {
    ("criterion-waived", "reason"), ("deal-closed", "seller_reason"), ("deal-removed", "reason"),
    ("debrief-held", "answers.note"), ("event-corrected", "reason"),
    ("event-retracted", "reason"), ("forecast-adjusted", "reason"), ("forecast-called", "note"),
    ("person-left", "reason"), ("playbook-reviewed", "note"), ("post-mortem-recorded", "finding"),
    ("post-mortem-recorded", "lesson"), ("waiver-revoked", "reason"),
}  # fmt: skip
"""What is written about the work; a new field of this kind must be decided on."""

PersonalNote: TypeAlias = Annotated[str, PersonalData("stream")]

_TELLING = ("name", "email", "quote", "reason", "note", "phone", "finding", "lesson", "said")


def _markers(annotation: Any) -> Iterator[PersonalData]:
    """Every marker in an annotation, inside unions, optionals and containers too."""
    for metadata in getattr(annotation, "__metadata__", ()):
        if isinstance(metadata, PersonalData):
            yield metadata
    for part in get_args(annotation):
        yield from _markers(part)


def _fields(model: type[BaseModel], path: str = "") -> Iterator[tuple[str, list[PersonalData]]]:
    """Every field of a model and of the models inside it, with its markers."""
    for name, info in model.model_fields.items():
        markers = [each for each in info.metadata if isinstance(each, PersonalData)]
        markers += _markers(info.annotation)
        yield path + name, markers
        for inner in _models(info.annotation):
            yield from _fields(inner, f"{path}{name}.")


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models(part)


def _all_fields() -> dict[tuple[str, str], list[PersonalData]]:
    return {
        (event_type, field): markers
        for event_type, model in TYPES.items()
        for field, markers in _fields(model)
    }


def test_the_fields_that_hold_personal_data_are_these() -> None:
    found = {
        where: markers[0].subject for where, markers in _all_fields().items() if len(markers) == 1
    }
    assert found == PERSONAL_FIELDS
    assert all(len(markers) <= 1 for markers in _all_fields().values())


def test_a_field_that_sounds_personal_has_been_decided_on() -> None:
    telling = {
        (event_type, field)
        for event_type, field in _all_fields()
        if any(word in field.rpartition(".")[2].split("_") for word in _TELLING)
    }
    ids_of_people = {("evidence-recorded", "said_by")}
    playbook = {
        ("playbook-published", "playbook.name"),
        ("playbook-published", "playbook.roles.name"),
        ("playbook-published", "playbook.gates.name"),
        ("playbook-published", "playbook.gates.criteria.said_by_role"),
        ("playbook-published", "playbook.gates.criteria.said_by_seniority"),
    }
    decided = set(PERSONAL_FIELDS) | NAMES_OF_THINGS | FREE_TEXT_ABOUT_WORK
    assert telling == decided | ids_of_people | playbook


@pytest.mark.parametrize(("event_type", "field"), sorted(PERSONAL_FIELDS))
def test_the_subject_of_personal_data_can_be_found(event_type: str, field: str) -> None:
    subject = PERSONAL_FIELDS[event_type, field]
    model: type[EventPayload] = TYPES[event_type]
    of_the_deal = model in CATALOGUE["deal"] and subject == "account"
    assert subject == "stream" or of_the_deal or subject in model.model_fields


def test_a_marker_is_found_wherever_an_annotation_hides_it() -> None:
    class Hidden(BaseModel):
        said: tuple[dict[str, PersonalNote | None], ...] = ()

    ((name, markers),) = _fields(Hidden)
    assert (name, [each.subject for each in markers]) == ("said", ["stream"])
