"""The whole book, into a folder."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path

from scripts.demo_book import calls, crm, evidence
from scripts.demo_book.cast import PEOPLE, Calendar, make_accounts, quarter_name
from scripts.demo_book.desk import record_adjustments, team_on
from scripts.demo_book.life import GATES, make_lives

SEED = 7
ANCHOR = date(2026, 11, 1)

MAPPING = """\
# Which columns of the forecast sheets say what.

system = "forecast-sheet"
time_zone = "UTC"

[[files]]
kind = "calls"
match = "calls.csv"

[files.columns]
at = "submission_week"
period = "fiscal_quarter"
person = "rep_id"
commit = "commit_call"
best_case = "best_case_call"
currency = "currency"

[[files]]
kind = "quotas"
match = "quotas.csv"

[files.columns]
at = "set_on"
period = "fiscal_quarter"
person = "rep_id"
amount = "quota"
currency = "currency"

[[files]]
kind = "rates"
match = "fx.csv"

[files.columns]
at = "effective_date"
effective = "effective_date"
currency = "currency"
to = "to"
rate = "rate"
"""

STAGES_HEAD = "# Which gate of the buyer's journey a stage of the CRM stands before.\n"


def stages_mapping() -> str:
    """What `import salesforce --mapping` reads: the gate of each open stage."""
    tables = (
        f'\n[stages."{stage.name}"]\ngate = "{GATES[gate]}"\n'
        for stage, gate in zip(crm.OPEN_STAGES, crm.GATE_OF_STAGE, strict=True)
    )
    return STAGES_HEAD + "".join(tables)


def write_book(folder: Path, *, seed: int = SEED, anchor: date = ANCHOR) -> dict[str, int]:
    """Write the book and say how many rows each file has.

    Args:
        folder: made if it is missing; files of an earlier book are overwritten.
        anchor: the first day after the book.
    """
    folder.mkdir(parents=True, exist_ok=True)
    calendar = Calendar(anchor)
    accounts = make_accounts(seed, calendar)
    records = [
        crm.make_record(seed, calendar, life) for life in make_lives(seed, calendar, accounts)
    ]
    rates = calls.make_rates(seed, calendar)
    called = list(calls.call_rows(seed, calendar, records, rates))
    tables: dict[str, Iterable[crm.Row]] = {
        "Opportunity.csv": crm.opportunity_rows(records),
        "OpportunityHistory.csv": crm.history_rows(records),
        "OpportunityFieldHistory.csv": crm.field_history_rows(records),
        "OpportunityStage.csv": crm.stage_rows(),
        "User.csv": crm.user_rows(calendar, _teams_now(calendar)),
        "Account.csv": crm.account_rows(accounts),
        "calls.csv": called,
        "quotas.csv": calls.quota_rows(seed, calendar),
        "fx.csv": calls.rate_rows(rates),
    }
    counts = {name: _write_csv(folder / name, rows) for name, rows in tables.items()}
    desk = evidence.record_all(seed, calendar, records)
    record_adjustments(seed, desk, _fourth_week(calendar, called))
    lines = list(desk.lines())
    _write_text(folder / "evidence.ndjson", "".join(f"{line}\n" for line in lines))
    _write_text(folder / "calls.toml", MAPPING)
    _write_text(folder / "stages.toml", stages_mapping())
    return counts | {"evidence.ndjson": len(lines)}


def _teams_now(calendar: Calendar) -> dict[str, tuple[str, str | None]]:
    today = calendar.anchor - timedelta(days=1)
    return {
        person.id: team_on(calendar, person, today)
        if person.title == "Account Executive"
        else (person.team, person.manager)
        for person in PEOPLE
    }


def _fourth_week(
    calendar: Calendar, called: list[crm.Row]
) -> dict[tuple[str, str], tuple[int, str]]:
    """What each seller had called by the fourth week of each quarter."""
    found: dict[tuple[str, str], tuple[int, str]] = {}
    starts = {quarter_name(quarter): quarter for quarter in calendar.quarters()}
    for row in called:
        weeks_in = (date.fromisoformat(row["submission_week"]) - starts[row["fiscal_quarter"]]).days
        if weeks_in <= 30:
            amount = int(row["commit_call"].partition(".")[0])
            found[row["fiscal_quarter"], row["rep_id"]] = amount, row["currency"]
    return found


def _write_csv(path: Path, rows: Iterable[crm.Row]) -> int:
    rows = list(rows)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return len(rows)


def _write_text(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(text)
