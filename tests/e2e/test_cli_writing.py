"""Commands that write, run as a user runs them: record, retract, correct, playbooks, imports."""

from __future__ import annotations

import re
from pathlib import Path
from uuid import UUID

import orjson
import pytest

from tests.e2e.process import Qledger

RECEIPT = re.compile(
    r"(?P<stream>\S+): (?P<type>\S+) (?P<id>[0-9a-f-]{36}) at position (?P<at>\d+)"
)
OPENED = '{"name": "Ängström, \\"A\\" & Co.", "owner": "ann", "close_date": "2025-03-31"}'
EVENT_ID = "018f0000-0000-7000-8000-000000000001"


def event_id(text: str) -> str:
    found = RECEIPT.match(text)
    assert found, text
    return str(UUID(found["id"]))


def test_a_deal_is_recorded_corrected_and_retracted(fresh: Qledger) -> None:
    receipt = fresh.ok_here("record", "deal:D1", "deal-opened", OPENED, "--actor", "ann").text
    assert receipt.startswith("deal:D1: deal-opened ")
    assert receipt.endswith(" at position 1\n")

    revision = b'{"amount": {"amount": "1200.5", "currency": "EUR"}}'
    arguments = ["record", "deal:D1", "deal-revised", "-", "--event-id", EVENT_ID]
    assert event_id(fresh.ok(*arguments, stdin=revision).text) == EVENT_ID
    again = fresh.ok(*arguments, stdin=revision).text
    assert again.endswith("at position 2 (it was there already)\n")

    payload = '{"amount": {"amount": "1300", "currency": "EUR"}}'
    fresh.ok_here("correct", "deal:D1", EVENT_ID, "--reason", "misread", "--payload", payload)
    claims = fresh.ok_here("deal", "D1", "--format", "json").json["claims"]
    assert claims["amount"]["value"] == {"amount": "1300", "currency": "EUR"}
    assert claims["amount"]["because"]["position"] == 3
    assert claims["name"]["value"] == 'Ängström, "A" & Co.'
    assert claims["name"]["because"]["actor"] == "ann"

    fresh.ok_here("retract", "deal:D1", EVENT_ID, "--reason", "another deal's", "--actor", "mia")
    assert "amount" not in fresh.ok_here("deal", "D1", "--format", "json").json["claims"]
    then = fresh.ok_here("deal", "D1", "--as-of", "pos:2", "--format", "json").json["claims"]
    assert then["amount"]["value"] == {"amount": "1200.5", "currency": "EUR"}

    entries = fresh.ok_here("timeline", "D1", "--format", "json").json["events"]
    assert [(e["type"], e["status"], e["acted_on_by"]) for e in entries] == [
        ("deal-opened", "counts", None),
        ("deal-revised", "retracted", 4),
        ("event-corrected", "counts", None),
        ("event-retracted", "counts", None),
    ]
    assert "0 faults" in fresh.ok_here("check").text


def test_a_writer_who_saw_another_version_is_refused(fresh: Qledger) -> None:
    fresh.ok_here("record", "deal:D1", "deal-opened", OPENED)
    stage = ["record", "deal:D1", "stage-claimed", '{"stage": "Proposal"}', "--expected-version"]
    fresh.ok_here(*stage, "1")
    refused = fresh.here(*stage, "1")
    assert (refused.status, refused.code) == (3, "stream-moved")


def test_a_retraction_and_a_correction_are_safe_to_repeat_and_see_what_is_there(
    fresh: Qledger,
) -> None:
    fresh.ok_here("record", "deal:D1", "deal-opened", OPENED)
    fresh.ok_here("record", "deal:D1", "stage-claimed", '{"stage": "Proposal"}')
    correct = ["correct", "deal:D1", "2", "--reason", "misread", "--payload", '{"stage": "Demo"}']
    retract = ["retract", "deal:D1", "2", "--reason", "another deal's"]
    for position, command in ((3, correct), (4, retract)):
        stale = fresh.here(*command, "--expected-version", str(position - 2))
        assert (stale.status, stale.code) == (3, "stream-moved")
        own = [*command, "--event-id", EVENT_ID.replace(EVENT_ID[0], str(position), 1)]
        told = fresh.ok_here(*own, "--expected-version", str(position - 1)).text
        assert told.endswith(f" at position {position}\n")
        again = fresh.ok_here(*own).text
        assert again.endswith(f" at position {position} (it was there already)\n")


def test_playbooks_are_published_listed_and_shown(fresh: Qledger, tmp_path: Path) -> None:
    none_yet = fresh.here("playbook", "show")
    assert (none_yet.status, none_yet.code) == (3, "no-playbook")
    published = fresh.ok_here("playbook", "publish", "buyers_journey", "--actor", "ops").text
    assert published.startswith("playbook:buyers_journey: playbook-published ")
    again = fresh.ok_here("playbook", "publish", "buyers_journey").text
    assert again.endswith("is already published\n")
    assert "buyers_journey" in fresh.ok_here("playbook", "list").text
    shown = fresh.ok_here("playbook", "show", "buyers_journey").text
    assert "economic_buyer" in shown
    unknown = fresh.here("playbook", "show", "nonesuch")
    assert (unknown.status, unknown.code) == (3, "unknown-playbook")

    missing = fresh.here("playbook", "publish", str(tmp_path / "none.toml"))
    assert (missing.status, missing.code) == (2, "unreadable-file")
    (tmp_path / "latin.toml").write_bytes(b'name = "caf\xe9"')
    latin = fresh.here("playbook", "publish", str(tmp_path / "latin.toml"))
    assert (latin.status, latin.code) == (2, "unreadable-file")


def test_evidence_is_recorded_against_the_playbook(fresh: Qledger) -> None:
    fresh.ok_here("playbook", "publish", "buyers_journey")
    fresh.ok_here("record", "deal:D1", "deal-opened", OPENED)
    evidence = {"criterion": "nonesuch", "stance": "supports", "source_kind": "call"}
    refused = fresh.here("record", "deal:D1", "evidence-recorded", orjson.dumps(evidence).decode())
    assert (refused.status, refused.code) == (2, "unknown-criterion")


def test_an_owner_extends_no_waiver_by_correcting_it(fresh: Qledger) -> None:
    fresh.ok_here("playbook", "publish", "buyers_journey")
    fresh.ok_here("record", "deal:D1", "deal-opened", OPENED, "--actor", "ann")
    waiver = {
        "criterion": "discovery_meeting_scheduled",
        "reason": "A pilot",
        "ends_at": "2099-06-01T00:00:00Z",
    }
    spelt = orjson.dumps(waiver).decode()
    fresh.ok_here("record", "deal:D1", "criterion-waived", spelt, "--actor", "mia")
    longer = orjson.dumps({**waiver, "ends_at": "2199-06-01T00:00:00Z"}).decode()
    correct = ["correct", "deal:D1", "3", "--reason", "x", "--payload", longer, "--actor"]
    refused = fresh.here(*correct, "ann")
    assert (refused.status, refused.code) == (3, "waiver-by-owner")
    fresh.ok_here(*correct, "mia")


def test_events_go_out_and_come_back_equal(fresh: Qledger, tmp_path: Path) -> None:
    events = [
        {"stream": "deal:X", "type": "deal-opened", "event_id": EVENT_ID, "actor": "crm",
         "source": {"system": "crm", "record": "1"}, "schema_version": 1,
         "occurred_at": "2025-01-10T12:00:00.000000Z", "known_at": "2025-01-11T12:00:00.000000Z",
         "payload": {"name": "Deal X"}},
    ]  # fmt: skip
    source = tmp_path / "in.ndjson"
    source.write_bytes(b"".join(orjson.dumps(event) + b"\n" for event in events))
    first = fresh.ok_here("import", "events", str(source), "--format", "json").json
    again = fresh.ok_here("import", "events", str(source), "--format", "json").json
    assert (first["events"]["added"], again["events"]["added"]) == (1, 0)
    fresh.ok_here("export", "events", str(tmp_path / "out.ndjson"))
    (line,) = (tmp_path / "out.ndjson").read_bytes().splitlines()
    assert fresh.ok_here("export", "events").out == line + b"\n"
    assert orjson.loads(line)["event_id"] == EVENT_ID


@pytest.mark.parametrize(
    ("arguments", "status", "code"),
    [
        (["record", "deal:N", "deal-opened", "{"], 2, "invalid-json"),
        (["record", "deal:N", "deal-opened", "[]"], 2, "invalid-json"),
        (["record", "deal:N", "deal-opened", '{"name": "A", "name": "B"}'], 2, "duplicate-key"),
        (["record", "deal:N", "deal-opened", '{"close_date": 1764892800}'], 2, "invalid-date"),
        (["record", "deal:N", "deal-opened", "{}", "--actor", "ann "], 2, "invalid-actor"),
        (["record", "deal:N", "deal-opend", "{}"], 2, "unknown-event-type"),
        (["record", "lead:N", "deal-opened", "{}"], 2, "invalid-stream"),
        (["record", "person:N", "deal-opened", "{}"], 2, "wrong-stream"),
        (["record", "deal:N", "deal-opened", '{"colour": 1}'], 2, "unknown-field"),
        (["record", "deal:N", "deal-opened", "{}", "--event-id", "7"], 2, "invalid-event-id"),
        (["record", "deal:N", "deal-opened", "{}", "--occurred-at", "2025"], 2, "invalid-instant"),
        (["record", "deal:A", "deal-opened", "{}"], 3, "deal-already-opened"),
        (["record", "deal:N", "deal-closed", '{"outcome": "won"}'], 3, "unknown-deal"),
        (["retract", "deal:A", EVENT_ID, "--reason", "none"], 3, "unknown-event"),
        (["correct", "deal:A", EVENT_ID, "--reason", "none"], 2, "invalid-payload"),
        (["forecast", "--as-of", "yesterday"], 2, "invalid-as-of"),
        (["forecast", "--as-of", ""], 2, "invalid-as-of"),
        (["forecast", "--horizon", "-1"], 2, "invalid-horizon"),
        (["forecast", "--as-of", "pos:0"], 4, "unknown-position"),
        (["forecast", "--horizon", "999"], 4, "unknown-position"),
        (["forecast", "--period", "2025-Q5"], 2, "invalid-period"),
        (["forecast", "--group-by", "a,b,c,d,e"], 2, "too-many-dimensions"),
        (["forecast", "--group-by", "Owner"], 2, "invalid-dimension"),
        (["deals", "--category", "hope"], 2, "unknown-category"),
        (["deal", "nonesuch"], 4, "unknown-deal"),
        (["deal", "A", "--as-of", "2024-12-31"], 4, "unknown-deal"),
        (["timeline", "nonesuch"], 4, "unknown-deal"),
        (["deal", "\udcff"], 4, "unknown-deal"),
        (["timeline", "a\0b"], 4, "unknown-deal"),
        (["diff", "--from", "2025-13-01", "--to", "now"], 2, "invalid-as-of"),
        (["diff", "--from", "now", "--to", "now", "--to-known-at", ""], 2, "invalid-as-of"),
    ],
)
def test_bad_input_is_refused_with_a_status_and_a_code(
    qledger: Qledger, arguments: list[str], status: int, code: str
) -> None:
    refused = qledger.here(*arguments)
    assert (refused.status, refused.code, refused.out) == (status, code, b"")


@pytest.mark.parametrize(
    ("arguments", "status", "code"),
    [
        (["forecast", "--as-of", "yesterday"], 2, "invalid-as-of"),
        (["record", "deal:A", "deal-opened", "{}"], 3, "deal-already-opened"),
        (["deal", "nonesuch"], 4, "unknown-deal"),
    ],
)
def test_a_process_ends_with_the_status_of_its_error(
    qledger: Qledger, arguments: list[str], status: int, code: str
) -> None:
    refused = qledger.run(*arguments)
    assert (refused.status, refused.code, refused.out) == (status, code, b"")


@pytest.mark.parametrize(
    "arguments", [["forecast", "--format", "xml"], ["nonesuch"], ["deal"], ["diff", "--to", "now"]]
)
def test_bad_usage_is_status_two(qledger: Qledger, arguments: list[str]) -> None:
    refused = qledger.here(*arguments)
    assert refused.status == 2
    assert "Traceback" not in refused.err


def test_standard_input_that_is_no_text_is_refused(fresh: Qledger) -> None:
    refused = fresh.run("record", "deal:D1", "deal-opened", "-", stdin=b'{"name": "caf\xe9"}')
    assert (refused.status, refused.code) == (2, "invalid-json")
