"""The schema as a contract: it explains itself, and has a command for every event."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import strawberry
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    print_type,
)

from api.graphql.commands import COMMANDS, OF_THE_STREAM, PLACES, Command
from api.graphql.schema import schema
from api.graphql.told import told
from api.graphql.words import CHOICES, FIELDS, FIELDS_OF
from ledger.domain.errors import InvalidInput, Refused
from ledger.domain.events import CATALOGUE, TYPES, Patch

GRAPHQL: GraphQLSchema = schema._schema
BY_NAME = {command.mutation: command for command in COMMANDS}


def things() -> Iterator[tuple[str, Any]]:
    """Everything that a reader of the schema may ask the meaning of."""
    for name, kind in GRAPHQL.type_map.items():
        if name.startswith("__"):
            continue
        yield name, kind
        if isinstance(kind, GraphQLEnumType):
            yield from ((f"{name}.{value}", each) for value, each in kind.values.items())
        if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType | GraphQLInputObjectType):
            yield from ((f"{name}.{field}", each) for field, each in kind.fields.items())
        if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType):
            for field, each in kind.fields.items():
                for argument, taken in each.args.items():
                    yield f"{name}.{field}({argument})", taken


def test_everything_in_the_schema_is_explained() -> None:
    assert not [name for name, thing in things() if not (thing.description or "").strip()]


def test_directives_are_explained_too() -> None:
    assert not [each.name for each in GRAPHQL.directives if not (each.description or "").strip()]


def test_there_is_one_command_for_every_event_that_a_stream_can_hold() -> None:
    found = sorted((command.payload.type, command.whose) for command in COMMANDS)
    expected = [
        (model.type, "any" if model.type in {"event-retracted", "event-corrected"} else whose)
        for whose, models in CATALOGUE.items()
        for model in models
    ]
    assert found == sorted(set(expected))
    assert len(BY_NAME) == len(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.mutation)
def test_an_input_is_the_payload_and_who_asks(command: Command) -> None:
    name = f"{command.mutation[0].upper()}{command.mutation[1:]}Input"
    kind = GRAPHQL.type_map[name]
    assert isinstance(kind, GraphQLInputObjectType)
    assert {"actor", "eventId"} <= set(kind.fields)
    if command.mutation in {"publishPlaybook", "holdDebrief"}:
        return
    payload = set(command.payload.model_fields) - {"payload_version"}
    assert payload <= set(command.fields)
    besides = set(command.fields) - payload
    assert besides <= {command.whose, "actor", "occurred_at", "event_id", "expected_version"}
    for field, info in command.payload.model_fields.items():
        if field in payload and info.is_required():
            assert str(kind.fields[_camel(field)].type).endswith("!"), field


def test_a_patch_has_no_defaults_so_that_absent_and_null_stay_apart() -> None:
    for command in COMMANDS:
        if issubclass(command.payload, Patch):
            name = f"{command.mutation[0].upper()}{command.mutation[1:]}Input"
            assert " = " not in print_type(GRAPHQL.type_map[name]), command.mutation


def test_no_words_are_left_over() -> None:
    used = {name for model in TYPES.values() for name in model.model_fields}
    assert set(FIELDS) <= used
    assert {(kind, field) for kind, field in FIELDS_OF if field in TYPES[kind].model_fields} == set(
        FIELDS_OF
    )
    assert {choice.name for choice in CHOICES.values()} <= set(GRAPHQL.type_map)


@pytest.mark.parametrize(
    ("mutation", "refusal", "place"),
    [
        ("recordEvidence", InvalidInput("x", "", where="evidence-recorded.said_by"), "saidBy"),
        ("recordEvidence", Refused("unknown-stakeholder", "", where="said_by"), "saidBy"),
        ("recordEvidence", InvalidInput("x", "", where="evidence-recorded.criterion"), "criterion"),
        ("correctEvent", InvalidInput("unknown-gate", "", where="buyer-looped.from_gate"),
         "payload.from_gate"),
        ("declareBuyerLooped", InvalidInput("unknown-gate", "", where="buyer-looped.from_gate"),
         "fromGate"),
        ("recordEvidence", Refused("unknown-deal", ""), "deal"),
        ("recordAccountEvidence", Refused("unknown-account", ""), "account"),
        ("openDeal", InvalidInput("x", "", where="deal-opened.amount.currency"), "amount.currency"),
        ("openDeal", InvalidInput("x", "", where="deal-opened.products.2"), "products.2"),
        ("openDeal", Refused("stream-moved", "", where="deal:D1"), "expectedVersion"),
        ("openDeal", Refused("event-id-taken", "", where="deal:D1"), "eventId"),
        ("callForecast", InvalidInput("invalid-stream", ""), "period"),
        ("correctEvent", InvalidInput("x", "", where="deal-opened.close_date"),
         "payload.close_date"),
        ("correctEvent", Refused("unknown-event", "", where="event-corrected.target"), "target"),
        ("holdDebrief", InvalidInput("x", "", where="input.answers.1.evidence.saidBy"),
         "answers.1.evidence.saidBy"),
        ("holdDebrief", InvalidInput("x", "", where="debrief-held.answers.2.criterion"),
         "answers.2.criterion"),
        ("holdDebrief", InvalidInput("unknown-criterion", "", where="evidence-recorded.criterion"),
         "answers"),
    ],
)  # fmt: skip
def test_a_refusal_names_the_place_in_the_input(
    mutation: str, refusal: InvalidInput, place: str
) -> None:
    assert BY_NAME[mutation].place(refusal) == f"input.{place}"


def test_a_refusal_of_the_whole_names_the_input_and_one_of_nothing_in_it_no_place() -> None:
    revise = BY_NAME["reviseDeal"]
    assert revise.place(InvalidInput("x", "", where="deal-revised")) == "input"
    assert revise.place(Refused("no-playbook", "")) is None


def test_every_place_is_a_field_of_some_input() -> None:
    fields = {field for command in COMMANDS for field in command.fields}
    assert set(PLACES.values()) <= fields
    assert not OF_THE_STREAM & set(PLACES)


# --- answers ------------------------------------------------------------------------------------


@strawberry.type
class Part:
    name: str | None


@strawberry.type
class Whole:
    from_: str
    parts: list[Part]
    one: Part | None


def test_an_answer_is_shown_part_by_part() -> None:
    shown = told(Whole, {"from": "a", "parts": [{"name": None}, {"name": "b"}], "one": None})
    assert shown == Whole(from_="a", parts=[Part(name=None), Part(name="b")], one=None)
    assert told(Whole, {"from": "", "parts": [], "one": {"name": "c"}}).one == Part(name="c")


def test_a_part_that_an_answer_does_not_have_is_never_shown_as_null() -> None:
    with pytest.raises(KeyError):
        told(Whole, {"from": "a", "parts": [{}], "one": None})


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)
