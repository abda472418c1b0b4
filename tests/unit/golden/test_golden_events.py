"""The canonical bytes of every event type, fixed in files. `examples.py` says how to renew them."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
import rfc8785

from ledger.domain import events
from ledger.domain.envelope import canonical, content, decode, leaf_hash
from ledger.domain.errors import InvalidInput
from ledger.domain.events import CATALOGUE, TYPES, StageClaimed, parse_payload, stream_category
from tests.unit.golden.examples import EARLIER, EARLIER_FOLDER, EXAMPLES, FOLDER, envelope

CATALOGUE_AS_RELEASED = {
    "account": ("account-opened", "account-revised", "evidence-recorded"),
    "deal": (
        "deal-opened", "deal-revised", "stage-claimed", "category-claimed", "evidence-recorded",
        "criterion-waived", "waiver-revoked", "stakeholder-added", "stakeholder-changed",
        "stakeholder-left", "buyer-advanced", "buyer-regressed", "buyer-looped", "deal-closed",
        "deal-reopened", "debrief-held", "post-mortem-recorded", "deal-removed",
    ),
    "period": ("forecast-called", "forecast-adjusted", "quota-set"),
    "person": ("person-joined", "person-reassigned", "person-left", "person-assessed"),
    "playbook": ("playbook-published", "playbook-reviewed"),
    "settings": ("fx-rate-set", "fiscal-calendar-set", "reporting-currency-set"),
}  # fmt: skip
ACTS = ("event-retracted", "event-corrected")
VERSIONS_AS_RELEASED = {**dict.fromkeys(TYPES, 1), "playbook-published": 2}
ANNOUNCED_AHEAD = {
    "criterion-waived", "fiscal-calendar-set", "forecast-adjusted", "fx-rate-set",
    "person-reassigned", "playbook-published", "quota-set",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_an_event_is_written_as_it_always_was(name: str) -> None:
    assert envelope(EXAMPLES[name]) == (FOLDER / f"{name}.json").read_bytes()


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_the_bytes_are_those_of_an_independent_canonicaliser(name: str) -> None:
    written = (FOLDER / f"{name}.json").read_bytes()
    assert rfc8785.dumps(orjson.loads(written)) == written


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_reading_gives_the_payload_back(name: str) -> None:
    example = EXAMPLES[name]
    event = decode((FOLDER / f"{name}.json").read_bytes())
    assert event["payload"] == parse_payload(example.type, example.payload).to_json()
    again = parse_payload(event["type"], event["payload"])
    assert again.to_json() == event["payload"]
    assert event["witnessed"] is not example.attested
    assert (event["known_at"] == event["recorded_at"]) is event["witnessed"]


def test_every_type_of_the_catalogue_has_a_golden_file() -> None:
    files = {path.stem for path in FOLDER.glob("*.json")}
    assert set(TYPES) <= files
    assert files == set(EXAMPLES), "files and examples go together"


@pytest.mark.parametrize("event_type", sorted(TYPES))
def test_the_full_example_of_a_type_fills_every_field(event_type: str) -> None:
    examples = [each for each in EXAMPLES.values() if each.type == event_type]
    filled = {field for example in examples for field in example.payload}
    assert filled == set(TYPES[event_type].model_fields)


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_an_example_stands_in_a_stream_of_its_kind(name: str) -> None:
    example = EXAMPLES[name]
    assert TYPES[example.type] in CATALOGUE[stream_category(example.stream)]


def test_names_and_streams_of_events_never_change() -> None:
    catalogue = {
        category: tuple(model.type for model in models) for category, models in CATALOGUE.items()
    }
    assert catalogue == {
        category: (*types, *ACTS) for category, types in CATALOGUE_AS_RELEASED.items()
    }


def test_schema_versions_change_on_purpose_only() -> None:
    assert {name: model.schema_version for name, model in TYPES.items()} == VERSIONS_AS_RELEASED


def test_what_may_be_announced_ahead_is_listed() -> None:
    assert {name for name, model in TYPES.items() if model.announceable} == ANNOUNCED_AHEAD


def test_the_leaf_hash_is_that_of_rfc_6962() -> None:
    """The well-known hashes of the first leaves of RFC 6962's example tree."""
    assert leaf_hash(b"").hex() == (
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    )
    assert leaf_hash(b"\x00").hex() == (
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
    )


def test_the_content_is_what_the_writer_said() -> None:
    facts = content(envelope(EXAMPLES["deal-opened"]))
    assert set(facts) == {
        "actor", "causation_id", "correlation_id", "event_id", "known_at", "occurred_at",
        "payload", "schema_version", "source", "stream", "type",
    }  # fmt: skip


# --- history in today's shape ---------------------------------------------------------------------


@pytest.fixture
def third_schema(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the payload of `stage-claimed` had changed twice since it was released."""

    def renamed(old: dict[str, Any]) -> dict[str, Any]:
        old["step"] = old.pop("stage")
        return old

    def nested(old: dict[str, Any]) -> dict[str, Any]:
        return {"claim": old}

    monkeypatch.setattr(StageClaimed, "schema_version", 3)
    monkeypatch.setitem(events.SCHEMA_VERSIONS, "stage-claimed", 3)
    monkeypatch.setitem(events.UPCASTERS, ("stage-claimed", 1), renamed)
    monkeypatch.setitem(events.UPCASTERS, ("stage-claimed", 2), nested)


def _with_schema(version: int, payload: dict[str, Any]) -> bytes:
    facts = orjson.loads((FOLDER / "stage-claimed.minimal.json").read_bytes())
    return canonical({**facts, "schema_version": version, "payload": payload})


@pytest.mark.usefixtures("third_schema")
def test_what_an_older_release_wrote_is_read_in_todays_shape() -> None:
    first = decode((FOLDER / "stage-claimed.minimal.json").read_bytes())
    second = decode(_with_schema(2, {"step": "Prospecting"}))
    third = decode(_with_schema(3, {"claim": {"step": "Prospecting"}}))
    assert first["payload"] == {"claim": {"step": "Prospecting"}}
    assert first["payload"] == second["payload"] == third["payload"]


@pytest.mark.usefixtures("third_schema")
def test_reading_in_todays_shape_leaves_the_recorded_bytes_alone() -> None:
    recorded = (FOLDER / "stage-claimed.minimal.json").read_bytes()
    event = decode(recorded)
    assert event["schema_version"] == 1, "the version that was recorded stays visible"
    assert content(recorded)["payload"] == {"stage": "Prospecting"}


def test_what_a_newer_release_wrote_is_refused() -> None:
    with pytest.raises(InvalidInput) as caught:
        decode(_with_schema(2, {"stage": "Prospecting"}))
    assert caught.value.code == "newer-schema"


def test_an_unknown_type_is_refused() -> None:
    facts = orjson.loads((FOLDER / "stage-claimed.minimal.json").read_bytes())
    with pytest.raises(InvalidInput) as caught:
        decode(canonical({**facts, "type": "deal-dreamt"}))
    assert caught.value.code == "unknown-event-type"


@pytest.mark.parametrize("name", sorted(EARLIER))
def test_what_an_earlier_release_really_wrote_is_read_in_todays_shape(name: str) -> None:
    event_type, _dot, version = name.partition(".v")
    written = (EARLIER_FOLDER / f"{name}.json").read_bytes()
    event = decode(written)
    assert (event["type"], event["schema_version"]) == (event_type, int(version))
    assert event["payload"] == EARLIER[name]
    assert parse_payload(event_type, event["payload"]).to_json() == event["payload"]
    assert content(written)["payload"] != EARLIER[name], "the recorded bytes keep their shape"


def test_a_correction_in_an_earlier_shape_corrects_in_todays() -> None:
    shape = orjson.loads((EARLIER_FOLDER / "playbook-published.v1.json").read_bytes())["payload"]
    assert events.upcast("playbook-published", 1, shape) == EARLIER["playbook-published.v1"]


def test_every_version_that_was_left_behind_has_its_bytes() -> None:
    left_behind = {
        f"{name}.v{version}"
        for name, model in TYPES.items()
        for version in range(1, model.schema_version)
    }
    assert set(EARLIER) == left_behind
    assert {path.stem for path in EARLIER_FOLDER.glob("*.json")} == left_behind


def test_every_older_version_has_its_upcaster() -> None:
    steps = {
        (name, version)
        for name, model in TYPES.items()
        for version in range(1, model.schema_version)
    }
    assert set(events.UPCASTERS) == steps


def test_position_and_recorded_at_are_spliced_in_where_canonical_json_has_them() -> None:
    whole = orjson.loads(envelope(EXAMPLES["deal-opened"]))
    keys = sorted(whole)
    assert keys.index("recorded_at") == keys.index("position") + 1
