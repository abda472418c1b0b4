"""Questions of the practice: agenda, debriefs, queue, ladder, team, decisions."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from api.asof import AsOf
from api.cli.asking import (
    DealArgument,
    FormatOption,
    OrganisationOption,
    OwnerOption,
    PeriodOption,
    because,
    question,
    question_without_judgement,
    write_answer,
)
from api.cli.output import Format, brief, write_line, write_table
from api.cli.session import open_door
from ledger.domain.deal import OPEN
from projections.fold.assessments import FRESH_FOR_DAYS
from projections.fold.people import Organisation

ManagerOption = Annotated[
    str | None, typer.Option(help="Only of those who report to this person, or through others.")
]

Row = list[Any]


def _cells(row: dict[str, Any], columns: list[str]) -> Row:
    """Some values of a row."""
    return [row[column] for column in columns]


@question
def agenda(
    deal_id: DealArgument,
    asked: AsOf,
    within_days: Annotated[
        int, typer.Option(help="Ask also about what lapses within so many days.")
    ] = 14,
    output: FormatOption = Format.TABLE,
) -> None:
    """What to ask in a debrief: what is missing, stale, contradicted or about to lapse."""
    from projections.agenda import agenda as ask

    with open_door() as door, door.book(asked) as book:
        answer = ask(book, deal_id, within_days)
    keys = ["gate", "criterion", "why", "question", "layer", "mandatory", "said_by_role",
            "since", "lapses_at", "reason"]  # fmt: skip
    columns = ["deal", *keys, "last_word_at", "last_word_by", "last_word", "no_answers", "because"]
    rows = (
        [deal_id, *_cells(each, keys), *_word(each["last_word"]),
         each["no_answer"]["times"], because(each["because"])]
        for each in answer["questions"]
    )  # fmt: skip
    write_answer(answer, output, columns, rows, lambda: _agenda_table(answer))


def _agenda_table(answer: dict[str, Any]) -> None:
    stands = answer["stands_at"] or "behind the last gate"
    claimed = answer["claimed_gate"] or answer["claimed_stage"] or "no stage"
    write_line(f"{answer['deal']} {answer['name'] or ''}".rstrip())
    write_line(
        f"claimed: {claimed}, {answer['claimed_category']}; evidenced: {stands} since "
        f"{brief(answer['stands_since'])}, {answer['evidenced_category']}; "
        f"{answer['meetings']} meetings, {answer['debriefs']} debriefs"
    )
    if not answer["questions"]:
        ended = "" if answer["outcome"] == OPEN else f": it ended ({answer['outcome']})"
        write_line(f"nothing to ask about this deal{ended}")
        return
    shown = [
        [each["gate"], each["criterion"], each["why"], each["question"],
         " ".join(filter(None, [each["layer"], _by(each)])), each["reason"],
         " ".join(str(part) for part in _word(each["last_word"]) if part),
         because(each["because"])]
        for each in answer["questions"]
    ]  # fmt: skip
    write_table(
        "Agenda",
        ["gate", "criterion", "why", "ask", "layer, by whom", "status", "last word", "because"],
        shown,
    )


def _by(question: dict[str, Any]) -> str:
    role = question["said_by_role"]
    if role is None:
        return ""
    names = ", ".join(each["name"] or each["stakeholder"] for each in question["can_say_it"])
    return f"by {role}: {names or 'nobody known'}"


def _word(word: dict[str, Any] | None) -> Row:
    if word is None:
        return [None, None, None]
    quote = "" if word["quote"] is None else f': "{word["quote"]}"'
    said = f"{word['stance']} ({word['source_kind']}){quote}"
    return [brief(word["at"]), word["name"] or word["said_by"], said]


@question_without_judgement
def debriefs(
    asked: AsOf,
    period: PeriodOption = None,
    output: FormatOption = Format.TABLE,
) -> None:
    """How much of the claimed forecast was debriefed, by amount, and how early."""
    from projections.debriefs import debrief_coverage

    with open_door() as door, door.book(asked) as book:
        answer = debrief_coverage(book, book.period(period))
    columns = ["deal", "name", "owner", "outcome", "category", "amount", "currency",
               "reporting_amount", "in_forecast", "debriefs", "last_at", "recent", "first_at",
               "first_after_days", "first_after_meetings", "meetings_from"]  # fmt: skip
    rows = ([*_cells(each, columns), because(each["because"])] for each in answer["deals"])
    stated = [*columns, "because"]
    write_answer(answer, output, stated, rows, lambda: _debriefs_table(answer))


def _debriefs_table(answer: dict[str, Any]) -> None:
    parts = [
        *(("category", each["category"], each) for each in answer["categories"]),
        *(("owner", each["owner"] or "-", each) for each in answer["owners"]),
        ("all", "", answer["total"]),
    ]
    keys = ["amount", "deals", "recent_amount", "recent_percent", "ever_amount", "ever_percent"]
    write_table(
        f"Debriefed of the open claimed forecast, {answer['period']}, {answer['currency']}",
        ["by", "", "amount*", "deals*", f"last {answer['recent_days']} days*", "%*", "ever*", "%*"],
        [[by, name, *(part[key] for key in keys)] for by, name, part in parts],
    )
    first = answer["first_debrief"]
    write_line(
        f"first debrief of {first['deals']} deals: in the middle {first['median_days'] or '-'} "
        f"days and {first['median_meetings'] or '-'} meetings after the opening; "
        f"{first['never_debriefed']} deals never had one (--format csv lists them)"
    )


@question
def queue(
    asked: AsOf,
    owner: OwnerOption = None,
    manager: ManagerOption = None,
    within_days: Annotated[int, typer.Option(help="Also what lapses within so many days.")] = 30,
    organisation: OrganisationOption = Organisation.AS_WAS,
    output: FormatOption = Format.TABLE,
) -> None:
    """What to confirm again in open deals, the largest amount at risk first."""
    from projections.queue import requalification_queue

    with open_door() as door, door.book(asked) as book:
        answer = requalification_queue(
            book,
            owner=owner,
            manager=manager,
            within_days=within_days,
            organisation=organisation,
        )
    keys = ["at_risk", "deal", "name", "owner", "gate", "criterion", "question", "why",
            "status", "since", "lapses_at", "amount", "currency"]  # fmt: skip
    columns = [*keys, "reporting_currency", "because"]
    rows = (
        [*_cells(each, keys), answer["currency"], because(each["because"])]
        for each in answer["rows"]
    )
    write_answer(answer, output, columns, rows, lambda: _queue_table(answer))


def _queue_table(answer: dict[str, Any]) -> None:
    write_table(
        f"To confirm again, {answer['currency']}",
        ["at risk*", "deal", "owner", "gate", "criterion", "why", "since or until", "because"],
        [
            [each["at_risk"], each["deal"], each["owner"], each["gate"], each["criterion"],
             each["why"], brief(each["lapses_at"] or each["since"]), _positions(each["because"])]
            for each in answer["rows"]
        ],
    )  # fmt: skip
    total = answer["total"]
    write_line(
        f"{total['criteria']} criteria of {total['deals']} deals, {total['at_risk']} "
        f"{answer['currency'] or ''} at risk"
    )


def _positions(events: list[dict[str, Any]]) -> str:
    return ", ".join(str(event["position"]) for event in events)


@question
def ladder(
    asked: AsOf,
    period: PeriodOption = None,
    output: FormatOption = Format.TABLE,
) -> None:
    """From a rep's call to the adjusted number, step by step, beside evidence and outcome."""
    from projections.ladder import ladder as ask

    with open_door() as door, door.book(asked) as book:
        answer = ask(book, book.period(period))
    columns = ["person", "category", "step", "by", "level", "amount", "currency",
               "reporting_amount", "difference", "reason", "expires_at", "position"]  # fmt: skip
    rows = [row for each in answer["calls"] for row in _rungs(each)]
    write_answer(answer, output, columns, rows, lambda: _ladder_tables(answer, rows))


def _ladder_tables(answer: dict[str, Any], rows: list[Row]) -> None:
    shown = [[*row[:4], row[7], row[8], row[9], brief(row[10] or ""), row[11]] for row in rows]
    write_table(
        f"Ladder {answer['period']}, {answer['currency']}",
        ["person", "category", "step", "by", "amount*", "difference*", "reason", "until", "event*"],
        shown,
    )
    keys = ["person", "called", "adjusted", "evidenced_commit", "closed", "outcome", "closest"]
    outcome = "outcome" if answer["ended"] else "outcome so far"
    write_table(
        "Commit: gut, evidence, outcome",
        ["person", "called*", "adjusted*", "evidenced*", "won by then*", f"{outcome}*", "closest"],
        [[each[key] for key in keys] for each in answer["people"]],
    )
    for each in answer["categories"]:
        steps = "".join(
            f" {_signed(level['difference'])} by {', '.join(level['adjusters'])}"
            for level in each["levels"]
        )
        write_line(f"{each['category']}: called {each['called']}{steps} = {each['adjusted']}")


def _signed(difference: str) -> str:
    """A difference with its sign apart, as a sum is written."""
    return f"- {difference[1:]}" if difference.startswith("-") else f"+ {difference}"


def _rungs(call: dict[str, Any]) -> list[Row]:
    """A call and each step from it, as rows."""
    who = [call["person"], call["category"]]
    called = call["called"]
    called_at = [e["position"] for e in call["because"] if e["type"] == "forecast-called"]
    rows: list[Row] = []
    if called is not None:
        position = called_at[0] if called_at else None
        rows.append([*who, "called", call["person"], 0, *called.values(), None, None, None,
                     position])  # fmt: skip
    for step in call["steps"]:
        cut = step["haircut_percent"]
        after = [None] * 3 if step["after"] is None else step["after"].values()
        rows.append([
            *who, step["kind"] if cut is None else f"haircut {cut} %", step["adjuster"],
            step["level"], *after, step["difference"], step["reason"], step["expires_at"],
            step["position"],
        ])  # fmt: skip
    return rows


@question
def team(
    asked: AsOf,
    period: PeriodOption = None,
    manager: ManagerOption = None,
    organisation: OrganisationOption = Organisation.AS_WAS,
    output: FormatOption = Format.TABLE,
) -> None:
    """Who reports to whom, what they claim, what evidence says, and how they are doing."""
    from projections.team import team as ask

    with open_door() as door, door.book(asked) as book:
        answer = ask(book, book.period(period), manager=manager, organisation=organisation)
    columns = ["person", "name", "role", "team", "manager", "depth", "left", "deals",
               "claimed_commit", "evidenced_commit", "claimed_best_case", "evidenced_best_case",
               "closed", "organisation", "because"]  # fmt: skip
    rows = (
        [*_cells(each, columns[:7]), *_team_sums(each),
         answer["organisation"], because(each["because"])]
        for each in answer["people"]
    )  # fmt: skip
    write_answer(answer, output, columns, rows, lambda: _team_table(answer))


def _team_table(answer: dict[str, Any]) -> None:
    due: dict[str, list[str]] = {}
    for each in answer["due"]:
        never = " (never)" if each["status"] == "none" else ""
        due.setdefault(each["person"], []).append(each["aspect"] + never)
    shown = [
        ["  " * each["depth"] + (each["name"] or each["person"] or "nobody's"), each["person"],
         *_team_sums(each),
         ", ".join(f"{a['aspect']} {a['score']}" for a in each["assessments"]
                   if a["status"] == "fresh"),
         _few(due.get(each["person"], []))]
        for each in answer["people"]
    ]  # fmt: skip
    write_table(
        f"Team, {answer['period']}, {answer['currency']}, {answer['organisation']}; rolled up",
        ["who", "id", "deals*", "claimed commit*", "evidenced*", "claimed best case*",
         "evidenced*", "closed*", "assessed, 1 to 5", "due"],
        shown,
    )  # fmt: skip
    for fault in answer["faults"]:
        write_line(f"fault: {fault['sentence']} ({because(fault['because'])})")


def _few(aspects: list[str]) -> str:
    """Some of them by name; all in a word."""
    return "all" if len(aspects) == len(FRESH_FOR_DAYS) else ", ".join(aspects)


def _team_sums(person: dict[str, Any]) -> Row:
    sums = person["rolled_up"]
    claimed, evidenced = sums["claimed"], sums["evidenced"]
    return [
        sums["deals"], claimed["commit"], evidenced["commit"], claimed["best_case"],
        evidenced["best_case"], claimed["closed"],
    ]  # fmt: skip


@question
def decisions(
    asked: AsOf,
    period: PeriodOption = None,
    output: FormatOption = Format.TABLE,
) -> None:
    """How deals ended: what was won and may be regretted, what was lost and in whose words."""
    from projections.decisions import decisions as ask

    with open_door() as door, door.book(asked) as book:
        answer = ask(book, book.period(period))
    columns = ["deal", "name", "owner", "outcome", "closed_at", "reporting_amount", "held",
               "missing", "risks", "stood_at", "buyer_reason", "seller_reason",
               "because"]  # fmt: skip
    rows = [
        *([*_ended(each), *_won(each), *[None] * 3, because(each["because"])]
          for each in answer["won"]),
        *([*_ended(each), *[None] * 3, *_not_won(each), because(each["because"])]
          for each in answer["not_won"]),
    ]  # fmt: skip
    write_answer(answer, output, columns, rows, lambda: _decisions_tables(answer))


def _decisions_tables(answer: dict[str, Any]) -> None:
    common = ["deal", "name", "outcome", "closed at", "amount*"]
    title = f"{answer['period']}, {answer['currency']}"
    write_table(
        f"Won, {title}",
        [*common, "after the decision", "missing", "remorse"],
        [[*_ended_briefly(each), *_won(each)] for each in answer["won"]],
    )
    write_table(
        f"Not won, {title}",
        [*common, "stood at", "in the buyer's words", "in the seller's"],
        [[*_ended_briefly(each), *_not_won(each)] for each in answer["not_won"]],
    )
    counts = "; ".join(
        f"{each['outcome']} {each['deals']} ({each['deals_percent']} %, by amount "
        f"{each['amount_percent']} %)"
        for each in answer["outcomes"]
        if each["deals"]
    )
    write_line(f"{answer['decided']} deals ended: {counts}" if counts else "no deal ended")


def _ended(deal: dict[str, Any]) -> Row:
    keys = ("deal", "name", "owner", "outcome", "closed_at", "reporting_amount")
    return [deal[key] for key in keys]


def _ended_briefly(deal: dict[str, Any]) -> Row:
    """Without the owner, for whom a table has no room."""
    at = brief(deal["closed_at"])
    return [deal["deal"], deal["name"], deal["outcome"], at, deal["reporting_amount"]]


def _won(deal: dict[str, Any]) -> Row:
    return [_held(deal), _missing(deal), _risks(deal)]


def _not_won(deal: dict[str, Any]) -> Row:
    return [deal["stood_at"], deal["buyer_reason"], deal["seller_reason"]]


def _held(deal: dict[str, Any]) -> str:
    held = [c["criterion"] for c in deal["criteria"] if c["status"] in {"met", "waived"}]
    return ", ".join(held)


def _missing(deal: dict[str, Any]) -> str:
    return ", ".join(
        f"{each['criterion']} ({each['status']})"
        for each in deal["criteria"]
        if each["mandatory"] and each["status"] not in {"met", "waived"}
    )


def _risks(deal: dict[str, Any]) -> str:
    return " ".join(f"{each['sentence']} ({because(each['because'])})" for each in deal["risks"])
