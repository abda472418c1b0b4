"""Commands about playbooks, run as a user runs them."""

from __future__ import annotations

import csv
import io
import tomllib
from pathlib import Path

import pytest

from ledger.domain.playbook import Criterion
from tests.e2e.process import Qledger, basis_options

PLAYBOOK = """\
key = "small"
version = "{version}"
name = "Small"

[[gates]]
key = "problem"
name = "Problem"
stage = "Consideration"
buyer_questions = ["Why change?"]
seller_questions = ["Is it worth winning?"]

[[gates.criteria]]
key = "fit_confirmed"
question = "Who confirmed the fit?"
fresh_for_days = {days}
fresher_at = {{ decision = 30 }}

[[gates]]
key = "decision"
name = "Decision"
stage = "Decision"
category = "commit"

[[gates.criteria]]
key = "contract_received"
question = "Who received the contract?"
"""


def write(folder: Path, version: str, days: int = 90) -> str:
    path = folder / f"small-{version}.toml"
    path.write_text(PLAYBOOK.format(version=version, days=days), encoding="utf-8")
    return str(path)


@pytest.fixture
def published(fresh: Qledger, tmp_path: Path) -> Qledger:
    """The first version since 2025, the second announced for a far day."""
    for version, days, effective_at in (
        ("1", 90, "2025-01-01T00:00:00Z"),
        ("2", 60, "2999-01-01T00:00:00Z"),
    ):
        file = write(tmp_path, version, days)
        fresh.ok_here("playbook", "publish", file, "--effective-at", effective_at, "--actor", "ops")
    return fresh


def test_the_list_tells_every_version_and_that_a_review_is_overdue(published: Qledger) -> None:
    answer = published.ok_here("playbook", "list", "--format", "json").json
    assert next(iter(answer)) == "basis"
    first, second = answer["versions"]
    assert (first["label"], first["state"], first["default"]) == ("small@1", "in_force", True)
    assert (first["from"], first["until"]) == (
        "2025-01-01T00:00:00.000000Z", "2999-01-01T00:00:00.000000Z",
    )  # fmt: skip
    assert (first["published"]["actor"], first["published"]["position"]) == ("ops", 1)
    assert first["review"]["due_at"] == "2025-03-02T00:00:00.000000Z", "sixty days on"
    assert first["review"]["overdue"] is True
    assert (second["state"], second["review"]) == ("announced", None)
    assert "OVERDUE" in published.ok_here("playbook", "list").text


def test_a_review_counts_for_sixty_days(published: Qledger) -> None:
    review = ["playbook", "review", "small", "--reviewer", "mia", "--note", "Still right"]
    said = published.ok_here(*review, "--actor", "mia").text
    assert said.startswith("playbook:small: playbook-reviewed ")
    answer = published.ok_here("playbook", "list", "--format", "json").json
    told = answer["versions"][0]["review"]
    assert (told["reviewer"], told["overdue"], told["because"]["position"]) == ("mia", False, 3)
    before = published.ok_here(
        "playbook", "list", "--format", "json", "--as-of", "pos:2"
    ).json["versions"][0]["review"]  # fmt: skip
    assert (before["reviewer"], before["overdue"]) == (None, True)
    refused = published.here("playbook", "review", "other", "--reviewer", "mia")
    assert (refused.status, refused.code) == (3, "unknown-playbook")


def test_the_list_is_a_table_of_one_row_a_version(published: Qledger) -> None:
    text = published.ok_here("playbook", "list", "--format", "csv").text
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [(row["playbook"], row["version"], row["state"]) for row in rows] == [
        ("small", "1", "in_force"), ("small", "2", "announced"),
    ]  # fmt: skip
    assert {row["horizon"] for row in rows} == {"2"}


def test_what_is_shown_is_the_version_in_force_or_the_one_that_is_named(
    published: Qledger,
) -> None:
    show = ["playbook", "show", "small", "--format", "json"]
    now = published.ok_here(*show).json
    assert (now["label"], now["state"]) == ("small@1", "in_force")
    later = published.ok_here(*show, "--valid-at", "2999-06-01").json
    assert later["label"] == "small@2"
    named = published.ok_here(*show, "--version", "2").json
    assert (named["label"], named["state"]) == ("small@2", "announced")
    gate = named["gates"][0]
    assert (gate["buyer_questions"], gate["seller_questions"]) == (
        ["Why change?"], ["Is it worth winning?"],
    )  # fmt: skip
    assert (gate["category_before"], gate["weight_percent_before"]) == ("pipeline", 0)
    criterion = gate["criteria"][0]
    assert (criterion["fresh_for_days"], criterion["fresher_at"]) == (60, {"decision": 30})


def test_an_answer_about_a_playbook_is_repeated_from_its_basis(published: Qledger) -> None:
    show = ["playbook", "show", "small", "--format", "json"]
    first = published.ok_here(*show)
    published.ok_here("playbook", "review", "small", "--reviewer", "mia")
    again = published.ok_here(*show, *basis_options(first.json["basis"]))
    assert again.out == first.out


def test_the_tables_show_questions_freshness_and_who_must_speak(fresh: Qledger) -> None:
    fresh.ok_here("playbook", "publish", "buyers_journey")
    text = fresh.ok_here("playbook", "show").text
    for told in ("economic_buyer", "Advocacy", "the buyer asks", "can spend the money", "basis: "):
        assert told in text
    rows = list(
        csv.DictReader(io.StringIO(fresh.ok_here("playbook", "show", "--format", "csv").text))
    )
    by_key = {row["criterion"]: row for row in rows}
    assert by_key["budget_price_confirmed"]["fresher_at"] == "decision_process=45, decision=30"
    assert by_key["budget_price_confirmed"]["said_by_role"] == "economic_buyer"
    assert by_key["handover_done"]["after_decision"] == "true"


EVERY_FIELD = """
key = "whole"
version = "1"
name = "Whole"

[[roles]]
key = "sponsor"
name = "Sponsor"

[[gates]]
key = "start"
name = "Start"
stage = "Start"

[[gates.criteria]]
key = "asked_for_it"
question = "Who asked?"
layer = "stakeholder"
mandatory = false
fresh_for_days = 77
fresher_at = { finish = 33 }
said_by_role = "sponsor"
said_by_seniority = "vice_president"
source_kinds = ["email"]
lapses_with_stakeholder = false
answers = "why_now"

[[gates]]
key = "finish"
name = "Finish"
stage = "Finish"

[[gates.criteria]]
key = "signed"
question = "Is it signed?"
"""


def test_every_field_of_a_criterion_is_shown(fresh: Qledger, tmp_path: Path) -> None:
    path = tmp_path / "whole.toml"
    path.write_text(EVERY_FIELD, encoding="utf-8")
    given = tomllib.loads(EVERY_FIELD)["gates"][0]["criteria"][0]
    assert set(given) == set(Criterion.model_fields)
    fresh.ok_here("playbook", "publish", str(path))

    told = fresh.ok_here("playbook", "show", "--format", "json").json["gates"][0]["criteria"][0]
    assert told == {"criterion": given.pop("key"), **given}
    text = fresh.ok_here("playbook", "show", "--format", "csv").text
    row = next(csv.DictReader(io.StringIO(text)))
    assert set(told) <= set(row)
    assert (row["said_by_seniority"], row["answers"]) == ("vice_president", "why_now")
    table = fresh.ok_here("playbook", "show").text
    for shown in ("asked_for_it", "(optional)", "Who asked?", "why now", "stakeholder", "77", "33",
                  "sponsor", "vice president", "outlives", "email"):  # fmt: skip
        assert shown in table, shown


def test_a_version_that_is_not_there_is_not_found(published: Qledger) -> None:
    for arguments in (
        ["show", "small", "--version", "9"],
        ["diff", "small@1", "small@9"],
        ["show", "small", "--version", "2", "--as-of", "pos:1"],
    ):
        missing = published.here("playbook", *arguments)
        assert (missing.status, missing.code) == (4, "unknown-version"), arguments
    before = published.here("playbook", "show", "small", "--valid-at", "2024-01-01")
    assert (before.status, before.code) == (3, "no-playbook")


def test_versions_are_compared_with_each_other_and_with_files(
    published: Qledger, tmp_path: Path
) -> None:
    answer = published.ok_here("playbook", "diff", "small@1", "small@2", "--format", "json").json
    assert answer["basis"]["horizon"] == 2
    assert [each["published"]["position"] for each in (answer["from"], answer["to"])] == [1, 2]
    assert answer["criteria"] == [
        {"criterion": "fit_confirmed", "change": "changed", "old_place": "problem",
         "new_place": "problem", "fields": [{"field": "fresh_for_days", "old": 90, "new": 60}]}
    ]  # fmt: skip
    third = write(tmp_path, "3", 45)
    told = published.ok_here("playbook", "diff", "small@2", third, "--format", "csv").text
    assert "criterion,fit_confirmed,changed,fresh_for_days,60,45" in told
    same = published.ok_here("playbook", "diff", "small@2", write(tmp_path, "2", 60)).text
    assert "nothing differs" in same


def test_two_files_are_compared_without_a_ledger(tmp_path: Path) -> None:
    nowhere = Qledger({"QLEDGER_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"})
    old, new = write(tmp_path, "1"), write(tmp_path, "2", 45)
    answer = nowhere.ok_here("playbook", "diff", old, new, "--format", "json").json
    assert answer["basis"] is None
    assert answer["from"]["published"] is None
    assert answer["criteria"][0]["fields"] == [{"field": "fresh_for_days", "old": 90, "new": 45}]
    shipped = nowhere.ok_here("playbook", "diff", "buyers_journey", "meddpicc").text
    assert "identify_pain" in shipped


def test_a_file_that_is_not_right_is_refused_with_its_line(fresh: Qledger, tmp_path: Path) -> None:
    file = Path(write(tmp_path, "1"))
    file.write_text(file.read_text().replace("decision = 30", "decision = 95"))
    wrong = fresh.here("playbook", "publish", str(file))
    assert (wrong.status, wrong.code) == (2, "invalid-playbook")
    assert "gates.problem.criteria.fit_confirmed.fresher_at.decision: 95 days" in wrong.err
    assert f"{file}:16)" in wrong.err
    unknown = fresh.here("playbook", "publish", "buyers")
    assert (unknown.status, unknown.code) == (2, "unreadable-file")
    assert "buyers_journey, meddpicc" in unknown.err


def test_a_published_version_never_changes_though_it_is_only_announced(
    published: Qledger, tmp_path: Path
) -> None:
    taken = published.here("playbook", "publish", write(tmp_path, "2", 75))
    assert (taken.status, taken.code) == (3, "version-exists")
    again = published.ok_here("playbook", "publish", write(tmp_path, "2", 60)).text
    assert again == "small 2 is already published\n"


def test_a_published_version_takes_effect_when_it_was_announced_for(
    published: Qledger, tmp_path: Path
) -> None:
    second = write(tmp_path, "2", 60)
    since = published.ok_here("playbook", "list", "--format", "json").json["versions"][1]["from"]
    same = published.ok_here("playbook", "publish", second, "--effective-at", since).text
    assert same == "small 2 is already published\n"
    moved = published.here("playbook", "publish", second, "--effective-at", "2998-01-01T00:00:00Z")
    assert (moved.status, moved.code) == (3, "version-exists")
    assert since in moved.err
    assert "correct the occurred_at of event" in moved.err


def test_a_version_that_was_retracted_is_published_again(fresh: Qledger) -> None:
    fresh.ok_here("playbook", "publish", "meddpicc")
    fresh.ok_here("retract", "playbook:meddpicc", "1", "--reason", "too early")
    assert fresh.ok_here("playbook", "list", "--format", "json").json["versions"] == []
    again = fresh.ok_here("playbook", "publish", "meddpicc").text
    assert "at position 3" in again
    assert "already published" in fresh.ok_here("playbook", "publish", "meddpicc").text


def test_a_stakeholder_has_a_role_of_the_playbook(fresh: Qledger) -> None:
    added = '{"stakeholder": "zoe", "name": "Zoe", "role": "oracle"}'
    fresh.ok_here("record", "deal:D1", "deal-opened", "{}")
    fresh.ok_here("record", "deal:D1", "stakeholder-added", added)
    fresh.ok_here("playbook", "publish", "meddpicc")
    other = added.replace("zoe", "tim")
    refused = fresh.here("record", "deal:D1", "stakeholder-added", other)
    assert (refused.status, refused.code) == (2, "unknown-role")
    assert "signatory" in refused.err
