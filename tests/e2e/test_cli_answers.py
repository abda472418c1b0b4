"""Answers on the command line: their shapes, and the law that a basis repeats its answer."""

from __future__ import annotations

import csv
import io
from decimal import Decimal
from typing import Any

import orjson
import pytest

from ledger import service
from ledger.store.ledger import Ledger
from projections.forecast import MEASURES
from tests.e2e import worked
from tests.e2e.process import Qledger, basis_options
from tests.e2e.worked import END, PERIOD

CATEGORIES = ["omitted", "pipeline", "best_case", "commit", "closed"]
ELSEWHERE = {"TZ": "Pacific/Auckland", "PYTHONHASHSEED": "7", "LC_ALL": "C", "QLEDGER_WORKERS": "1"}
QUESTIONS = {
    "forecast": ["forecast", "--period", PERIOD, "--group-by", "team,owner"],
    "deals": ["deals", "--period", PERIOD],
    "deal": ["deal", "A"],
    "timeline": ["timeline", "A"],
}


def rows(text: bytes) -> list[dict[str, str]]:
    assert text.count(b"\r\n") == text.count(b"\n")
    return list(csv.DictReader(io.StringIO(text.decode(), newline="")))


def asked(qledger: Qledger, *arguments: str) -> dict[str, Any]:
    return qledger.ok_here(*arguments, "--format", "json").json


def moved(first: str, second: str, horizon: int) -> list[str]:
    return ["diff", "--from", first, "--to", second, "--period", PERIOD, "--horizon", str(horizon)]


# --- the law ------------------------------------------------------------------------------------


def test_the_same_basis_gives_the_same_bytes_whatever_arrives(
    fresh: Qledger, ledger: Ledger
) -> None:
    worked.write(ledger)
    first = {name: ask_json(fresh, *words, "--as-of", END) for name, words in QUESTIONS.items()}
    basis = orjson.loads(first["forecast"])["basis"]
    pin = basis_options(basis)
    hindsight = basis_options({**basis, "known_at": "2099-01-01T00:00:00Z"})
    seen_late = {name: ask_json(fresh, *words, *hindsight) for name, words in QUESTIONS.items()}
    bridge = moved("2025-02-28T23:59:59.999999Z", basis["valid_at"], basis["horizon"])
    bridged = ask_json(fresh, *bridge)
    assert all(orjson.loads(answer)["basis"] == basis for answer in first.values())

    ledger.import_events(worked.late_news(), strict=True)  # attested: known before the basis was
    service.record(
        ledger, "deal:A", ("stage-claimed", {"stage": "Signed"}), actor="ann",
        occurred_at=worked.day("2025-03-19"),
    )  # fmt: skip

    for name, words in QUESTIONS.items():
        assert ask_json(fresh, *words, *pin) == first[name]
        assert ask_json(fresh, *words, *hindsight) == seen_late[name]
        elsewhere = fresh.ok(*words, *pin, "--format", "json", environment=ELSEWHERE)
        assert elsewhere.out == first[name]
    assert ask_json(fresh, *bridge) == bridged
    assert fresh.ok(*bridge, "--format", "json", environment=ELSEWHERE).out == bridged

    for name, words in QUESTIONS.items():  # a date alone is not pinned
        again = orjson.loads(ask_json(fresh, *words, "--as-of", END))
        before = orjson.loads(first[name])
        assert again.pop("basis") != before.pop("basis")
        assert again != before


def ask_json(qledger: Qledger, *arguments: str) -> bytes:
    return qledger.ok_here(*arguments, "--format", "json").out


def test_a_date_takes_in_what_became_known_as_known_before_it(
    fresh: Qledger, ledger: Ledger
) -> None:
    worked.write(ledger)
    before = asked(fresh, "forecast", "--as-of", END)
    ledger.import_events(worked.late_news(), strict=True)
    after = asked(fresh, "forecast", "--as-of", END)
    # A 110000.00 instead of 100000.00; H 500.00 is new; one EUR buys 1.30 instead of 1.20.
    assert before["measures"]["claimed"]["closed"]["amount"] == "100000.00"
    assert after["measures"]["claimed"]["closed"]["amount"] == "110000.00"
    assert after["measures"]["claimed"]["pipeline"]["amount"] == "500.00"
    assert after["measures"]["claimed"]["best_case"]["amount"] == "65000.00"
    assert after["measures"]["claimed"]["commit"]["amount"] == "43000.65"
    assert after["basis"]["horizon"] == before["basis"]["horizon"] + 3


# --- shapes -------------------------------------------------------------------------------------


def test_the_shape_of_a_forecast(qledger: Qledger) -> None:
    answer = asked(qledger, "forecast", "--as-of", END, "--group-by", "owner")
    assert list(answer) == [
        "basis", "period", "currency", "organisation", "measures", "groups", "without_amount",
        "without_close_date", "unconverted",
    ]  # fmt: skip
    assert list(answer["basis"]) == ["valid_at", "known_at", "horizon", "witnessed_only", "rules"]
    assert answer["basis"]["valid_at"] == "2025-03-31T23:59:59.999999Z"
    assert answer["period"] == {
        "name": PERIOD, "first_day": "2025-01-01", "last_day": END,
    }  # fmt: skip
    assert answer["without_amount"] == ["G"]
    for measures in [answer["measures"], *(group["measures"] for group in answer["groups"])]:
        assert list(measures) == list(MEASURES)
        for categories in measures.values():
            assert list(categories) == CATEGORIES
            for cell in categories.values():
                assert list(cell) == ["amount", "deals", "by_currency"]
                assert isinstance(cell["amount"], str)
                assert Decimal(cell["amount"]).as_tuple().exponent == -2


@pytest.mark.parametrize("group_by", ["", "owner", "team,currency"])
def test_sums_of_the_csv_are_the_json(qledger: Qledger, group_by: str) -> None:
    question = ["forecast", "--as-of", END, "--known-at", "now", "--group-by", group_by]
    answer = asked(qledger, *question)
    pin = basis_options(answer["basis"])
    found = rows(qledger.ok_here("forecast", *pin, "--group-by", group_by, "--format", "csv").out)
    for measure, categories in answer["measures"].items():
        for category, cell in categories.items():
            lines = [
                row for row in found if (row["measure"], row["category"]) == (measure, category)
            ]
            assert sum(Decimal(row["amount"]) for row in lines) == Decimal(cell["amount"])
            counts = [int(row["deals"]) for row in lines if row["deals"]]
            assert (sum(counts) if counts else None) == cell["deals"]
    stated = {
        (row["valid_at"], row["known_at"], row["horizon"], row["witnessed_only"], row["rules"])
        for row in found
    }
    basis = answer["basis"]
    assert stated == {
        (basis["valid_at"], basis["known_at"], str(basis["horizon"]), "false", basis["rules"])
    }


@pytest.mark.parametrize("name", ["deals", "deal", "timeline", "diff"])
def test_every_csv_states_its_basis(qledger: Qledger, name: str) -> None:
    if name == "diff":
        words = ["diff", "--from", "2025-02-28", "--to", END]
        columns = {"from_valid_at", "from_known_at", "from_horizon", "to_valid_at", "to_known_at"}
        horizon = "to_horizon"
    else:
        words = [*QUESTIONS[name], "--as-of", END]
        columns = {"basis_valid_at", "basis_known_at"}
        horizon = "horizon"
    found = rows(qledger.ok_here(*words, "--format", "csv").out)
    assert found
    for row in found:
        assert columns | {"witnessed_only", "rules"} <= row.keys()
        assert (row[horizon], row["witnessed_only"]) == ("25", "false")


def test_deals_are_the_receipt_of_a_forecast(qledger: Qledger) -> None:
    question = ["--as-of", END, "--period", PERIOD]
    forecast = asked(qledger, "forecast", *question)["measures"]["claimed"]
    listed = asked(qledger, "deals", *question)
    assert (listed["basis"], listed["period"]) == (
        asked(qledger, "forecast", *question)["basis"] | {"known_at": listed["basis"]["known_at"]},
        PERIOD,
    )
    for category in CATEGORIES:
        counted = [deal for deal in listed["deals"] if deal["category"] == category]
        assert len(counted) == forecast[category]["deals"]
        chosen = asked(qledger, "deals", *question, "--category", category)["deals"]
        assert chosen == counted
    found = rows(qledger.ok_here("deals", *question, "--format", "csv").out)
    assert [row["deal"] for row in found] == ["A", "B", "C", "D", "E", "G"]
    assert found[1]["amount"] == "50000.00"


def test_a_timeline_leaves_nothing_out(qledger: Qledger) -> None:
    events = asked(qledger, "timeline", "D", "--as-of", END, "--known-at", "now")["events"]
    assert [(each["type"], each["status"]) for each in events] == [
        ("deal-opened", "counts"),
        ("deal-closed", "retracted"),
        ("event-retracted", "counts"),
    ]
    then = asked(qledger, "timeline", "D", "--as-of", END)["events"]
    assert [each["status"] for each in then] == ["counts", "counts"]
    early = asked(qledger, "timeline", "D", "--valid-at", "2025-03-09", "--known-at", END)["events"]
    assert [each["status"] for each in early] == ["counts", "later"]
    table = qledger.ok_here("timeline", "D", "--as-of", END).text
    assert "deal-closed" in table


def test_diff_as_csv_and_table(qledger: Qledger) -> None:
    words = ["diff", "--from", END, "--to", END, "--period", PERIOD, "--known-at", "now"]
    assert asked(qledger, *words)["deals"] == []  # the same day, as known now, both times
    then = asked(qledger, "diff", "--from", "2025-03-04", "--to", END, "--period", PERIOD)
    found = rows(
        qledger.ok_here(
            "diff", "--from", "2025-03-04", "--to", END, "--period", PERIOD, "--format", "csv"
        ).out
    )
    assert [row["deal"] for row in found] == [each["deal"] for each in then["deals"]]
    assert Decimal(found[0]["change"]) == Decimal(then["deals"][0]["change"])
    hindsight = ["diff", "--from", END, "--to", END, "--period", PERIOD, "--to-known-at", "now"]
    assert [each["deal"] for each in asked(qledger, *hindsight)["deals"]] == ["D", "B", "F", "C"]
    table = qledger.ok_here("diff", "--from", "2025-03-04", "--to", END, "--period", PERIOD).text
    assert "+ change" in table
    assert then["closing"] in table


def test_tables_say_how_to_repeat_them(qledger: Qledger) -> None:
    for words in QUESTIONS.values():
        table = qledger.ok_here(*words, "--as-of", END).text
        (line,) = [line for line in table.splitlines() if line.startswith("basis: ")]
        options = line.removeprefix("basis: ").partition(" (rules ")[0].split()
        assert qledger.ok_here(*words, *options).text == table


def test_witnessed_only_repeats_too(qledger: Qledger) -> None:
    first = qledger.ok_here("forecast", "--period", PERIOD, "--witnessed-only", "--format", "json")
    again = ask_json(qledger, "forecast", "--period", PERIOD, *basis_options(first.json["basis"]))
    assert again == first.out
    assert first.json["measures"]["claimed"]["pipeline"]["amount"] == "7000.00"
