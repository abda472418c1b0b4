"""What holds of every command: it is recognised when it comes again, and it is not decided on a
state that its sender has not seen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest

from api.graphql.commands import COMMANDS, Command
from api.graphql.schema import schema
from ledger.config import Settings
from ledger.domain.events import SETTINGS_STREAM, stream_name
from ledger.store.ledger import Ledger
from tests.e2e.asking import TOML, Client, writing_to
from tests.e2e.process import Qledger
from tests.e2e.test_graphql_commands import STORY

BY_NAME = {command.mutation: command for command in COMMANDS}


@pytest.fixture(scope="module")
def client(qledger: Qledger) -> Iterator[Client]:
    with writing_to(qledger) as client:
        yield client


@pytest.fixture(scope="module")
def written(worked_settings: Settings) -> Iterator[Ledger]:
    """The same ledger, read directly."""
    with Ledger.open(worked_settings) as ledger:
        yield ledger


@pytest.mark.parametrize("mutation", BY_NAME)
def test_every_command_takes_an_id_and_a_version_and_answers_with_data(mutation: str) -> None:
    field = schema._schema.mutation_type.fields[mutation]  # type: ignore[union-attr]
    assert str(field.type) == "CommandResult!"
    (given,) = field.args.values()
    fields = given.type.of_type.fields
    assert {"eventId", "expectedVersion", "actor"} <= fields.keys()
    assert not {"eventId", "expectedVersion"} & {
        name for name, each in fields.items() if str(each.type).endswith("!")
    }
    assert all(each.description for each in fields.values())


def stream_of(command: Command, given: dict[str, Any]) -> str:
    """The stream that a command is for."""
    if command.mutation == "publishPlaybook":
        return "playbook:buyers_journey"
    whose = given.get(command.whose)
    return SETTINGS_STREAM if whose is None else stream_name(command.whose, whose)


def check(client: Client, written: Ledger, mutation: str, given: dict[str, Any]) -> str:
    """Record a command and hold all that may happen around it; gives back the event's id."""
    stream = stream_of(BY_NAME[mutation], given)
    if mutation in {"retractEvent", "correctEvent"}:
        event = written.event(UUID(given["target"]))
        assert event is not None
        stream = event["stream"]
    seen = written.last_versions([stream]).get(stream, 0)
    before = client.head()
    for version in {seen + 1, seen + 1_000, max(seen - 1, 0)} - {seen}:
        late = client.rejected(mutation, **given, expectedVersion=version)
        assert (late["code"], late["where"]) == ("stream-moved", "input.expectedVersion"), mutation
    assert client.head() == before
    event_id = str(uuid4())
    done = client.recorded(mutation, **given, eventId=event_id, expectedVersion=seen)
    assert (done["added"], done["eventId"], done["streamVersion"]) == (True, event_id, seen + 1)
    assert int(done["position"]) == before + 1 == client.head()
    again = client.recorded(mutation, **given, eventId=event_id.upper(), expectedVersion=seen)
    assert again == {**done, "added": False}, mutation
    other = client.rejected(mutation, **{**given, "actor": "somebody"}, eventId=event_id)
    assert (other["code"], other["where"]) == ("event-id-taken", "input.eventId"), mutation
    assert other["hint"]
    assert client.head() == before + 1
    return event_id


def test_every_command_is_known_when_it_comes_again_and_refused_when_it_is_late(
    client: Client, written: Ledger
) -> None:
    for mutation, story, _payload in STORY:
        check(client, written, mutation, {k: v for k, v in story.items() if k != "note"})


def test_so_are_corrections_retractions_and_playbooks(client: Client, written: Ledger) -> None:
    deal = client.opened("acts")
    grown = client.recorded("claimStage", deal=deal, stage="2", actor="kim")["eventId"]
    act = {"target": grown, "actor": "kim", "reason": "x"}
    check(client, written, "correctEvent", {**act, "payload": {"stage": "3"}})
    check(client, written, "retractEvent", act)
    toml = TOML.replace('version = "', 'version = "9', 1)
    assert toml != TOML
    check(client, written, "publishPlaybook", {"toml": toml, "actor": "ops"})
