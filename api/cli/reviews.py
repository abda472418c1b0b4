"""Looking back: the post-mortem of a deal, and the patterns of many."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from enum import StrEnum
from typing import Annotated, Any

import typer

from api.asof import AsOf
from api.cli.asking import (
    DealArgument,
    FormatOption,
    OrganisationOption,
    because,
    question,
    write_answer,
)
from api.cli.output import Format, basis_line, brief, write_json, write_line, write_table
from api.cli.session import open_door
from ledger.domain.playbook import in_words
from ledger.domain.times import parse_date
from projections.fold.people import Organisation


class TableOrJson(StrEnum):
    """How an answer of many parts is written."""

    TABLE = "table"
    JSON = "json"


@question
def post_mortem(
    deal_id: DealArgument,
    asked: AsOf,
    output: Annotated[
        TableOrJson, typer.Option("--format", help="How to write the answer.")
    ] = TableOrJson.TABLE,
) -> None:
    """What was claimed of a deal, what its evidence said, and when that could have been known."""
    from projections.post_mortem import post_mortem as ask

    with open_door() as door, door.book(asked) as book:
        answer = ask(book, deal_id)
    if output is TableOrJson.JSON:
        write_json(answer)
        return
    _heading(answer)
    _who_could_have_known(answer)
    _week_by_week(answer)
    _criteria(answer)
    _late(answer)
    _beside_won(answer)
    _on_both_axes(answer)
    write_line(basis_line(answer["basis"]))


def _heading(answer: dict[str, Any]) -> None:
    amount = "" if answer["amount"] is None else f", {answer['amount']} {answer['currency']}"
    write_line(
        f"{answer['deal']} {answer['name'] or ''}".rstrip() + f": {answer['outcome']}{amount}"
    )
    decided = "" if answer["decided_at"] is None else f", decided {brief(answer['decided_at'])}"
    stood = answer["stood_at"] or "no gate"
    write_line(f"opened {brief(answer['opened_at'])}{decided}; its evidence stood at {stood}")
    if answer["decided_at"] is not None:
        write_line(f"the buyer's reason:  {answer['reasons']['buyer'] or '-'}")
        write_line(f"the seller's reason: {answer['reasons']['seller'] or '-'}")
    first = answer["first_knowable"]
    if first is None:
        write_line("the evidence in hand never contradicted the forecast")
        return
    write_line(f"first knowable {brief(first['at'])}: {first['sentence']}")
    reacted = answer["forecast_reacted_at"]
    if reacted is None:
        ended = answer["contradictions"][0]["ended_by"]
        write_line("the forecast did not react" + (f" ({in_words(ended)})" if ended else ""))
        return
    ended = answer["contradictions"][0]["ended_by"]
    write_line(
        f"the forecast reacted {brief(reacted)} ({in_words(ended)}): "
        f"{answer['days_to_react']:g} days later"
    )


def _who_could_have_known(answer: dict[str, Any]) -> None:
    rows = [
        [brief(each["at"]), each["rule"], each["sentence"],
         "" if each["until"] is None else brief(each["until"]),
         "" if each["ended_by"] is None else in_words(each["ended_by"]), each["days"],
         because(each["because"])]
        for each in answer["contradictions"]
    ]  # fmt: skip
    if rows:
        columns = ["from", "rule", "what was known then", "until", "ended by", "days*", "because"]
        write_table("When the evidence contradicted the forecast", columns, rows)


def _week_by_week(answer: dict[str, Any]) -> None:
    rows = [
        [week["week"], brief(week["ends_at"]), week["stood_at"], *_sides(week)]
        for week in answer["weeks"]
    ]
    columns = ["week*", "ends", "stood at", "claimed", "probability*", "amount*", "stage", "period",
               "evidenced"]  # fmt: skip
    write_table("Week by week, as known then", columns, _runs(rows))
    if answer["weeks_left_out"]:
        write_line(f"{answer['weeks_left_out']} more weeks are left out before the last")


def _runs(rows: list[list[object]]) -> list[list[object]]:
    """Weeks in which nothing changed as one row: `22-47`, ending when the last of them ends."""
    runs: list[list[object]] = []
    for week, ends, *told in rows:
        if runs and runs[-1][2:] == told:
            runs[-1][:2] = [f"{str(runs[-1][0]).partition('-')[0]}-{week}", ends]
        else:
            runs.append([week, ends, *told])
    return runs


def _sides(week: dict[str, Any]) -> Iterator[object]:
    claimed, evidenced = week["claimed"], week["evidenced"]
    if claimed is None:
        yield from ("not known yet", "", "", "", "", "")
        return
    amount = claimed["amount"]
    probability = claimed["probability"]
    yield claimed["category"]
    yield "" if probability is None else f"{probability} %"
    yield "" if amount is None else f"{amount} {claimed['currency']}"
    yield claimed["stage"]
    yield claimed["period"]
    yield evidenced["category"]


def _criteria(answer: dict[str, Any]) -> None:
    never = [
        [each["gate"], each["criterion"], "yes" if each["mandatory"] else "", each["summary"],
         each["question"]]
        for each in answer["never_evidenced"]
    ]  # fmt: skip
    if never:
        columns = ["gate", "criterion", "mandatory", "why", "the question to ask"]
        write_table("Never evidenced", columns, never)
    lapsed = [
        [brief(each["at"]), each["gate"], each["criterion"], each["rule"], because(each["because"])]
        for each in answer["lapsed"]
    ]
    if lapsed:
        write_table("Lapsed", ["at", "gate", "criterion", "rule", "because"], lapsed)
    falls = [
        [brief(each["at"]), each["kind"], each["from_gate"], each["to_gate"],
         ", ".join(each["criteria"]), because(each["because"])]
        for each in answer["regressions"]
    ]  # fmt: skip
    if falls:
        columns = ["at", "kind", "from", "to", "criteria", "because"]
        write_table("Regressions", columns, falls)
    loops = [
        [each["gate"], brief(each["lost_at"]), brief(each["again_at"]),
         because(each["lost_by"]), because(each["again_by"])]
        for each in answer["loops"]
    ]  # fmt: skip
    if loops:
        write_table("Loops", ["gate", "lost", "again", "lost by", "again by"], loops)


def _late(answer: dict[str, Any]) -> None:
    rows = [
        [brief(each["occurred_at"]), brief(each["known_at"]), each["days_late"], each["what"],
         *(_standing(each[side]) for side in ("as_known_then", "with_it", "in_hindsight")),
         because(each["because"])]
        for each in answer["late_entries"]
    ]  # fmt: skip
    if rows:
        columns = ["occurred", "known", "days late*", "what", "as known then", "with it",
                   "in hindsight", "because"]  # fmt: skip
        write_table("Late entries, and what they would have changed", columns, rows)


def _standing(standing: dict[str, Any] | None) -> str:
    if standing is None:
        return "not known yet"
    return f"{standing['category']} at {standing['stands_at'] or 'no gate'}"


def _beside_won(answer: dict[str, Any]) -> None:
    similar = answer["similar_won"]
    if similar is None:
        write_line("no won deal went through the same gates in the same amount band")
        return
    this, that = similar["this"], similar["that"]
    rows = [[each["gate"], each["this"], each["that"]] for each in similar["gates"]]
    rows.append(["from opening to decision", this["days"], that["days"]])
    rows.append(["pieces of evidence", this["evidence"], that["evidence"]])
    title = f"Days at each gate, beside the most similar won deal: {similar['deal']} "
    columns = ["gate", f"{answer['deal']}*", f"{similar['deal']}*"]
    write_table(title + (similar["name"] or ""), columns, rows)


def _on_both_axes(answer: dict[str, Any]) -> None:
    rows = [
        [each["position"], brief(each["occurred_at"]), brief(each["known_at"]),
         "late" if each["late"] else "", each["kind"], each["type"], each["what"], each["status"]]
        for each in answer["timeline"]
    ]  # fmt: skip
    columns = ["position*", "occurred", "known", "", "kind", "type", "what", "status"]
    write_table("Claims and evidence on both time axes", columns, rows)


# --- patterns -------------------------------------------------------------------------------------


@question
def patterns(
    asked: AsOf,
    period: Annotated[
        str | None,
        typer.Option("--period", help="Only deals decided in it: 2026-Q1, 2026 or 2026-03."),
    ] = None,
    first: Annotated[
        str | None, typer.Option("--from", help="Only deals decided on that day or later.")
    ] = None,
    last: Annotated[
        str | None, typer.Option("--to", help="Only deals decided on that day or earlier.")
    ] = None,
    group_by: Annotated[
        str, typer.Option(help="Comma-separated: owner, manager, team, account, segment ...")
    ] = "",
    against: Annotated[
        str,
        typer.Option(
            help="What won deals are held against: not_won, lost, no_decision, disqualified, "
            "abandoned."
        ),
    ] = "not_won",
    organisation: OrganisationOption = Organisation.AS_WAS,
    output: FormatOption = Format.TABLE,
) -> None:
    """What decided deals have in common: gates, time, loops, and what separates the won ones."""
    from projections.patterns import patterns as ask
    from projections.patterns import window_of

    dimensions = tuple(part.strip() for part in group_by.split(",") if part.strip())
    days = [_day(first, "from"), _day(last, "to")]
    with open_door() as door, door.book(asked) as book:
        window = window_of(book, period=period, first=days[0], last=days[1])
        answer = ask(book, window, dimensions, against, organisation)
    numbers = [*_STATISTIC, *_DAYS[1:-1]]
    columns = [*dimensions, "playbook", "gate", "criterion", "statistic", "side", *numbers]
    rows = _patterns_rows(answer, dimensions, numbers)
    write_answer(answer, output, columns, rows, lambda: _patterns_tables(answer, dimensions))


def _day(text: str | None, where: str) -> date | None:
    return None if text is None else parse_date(text, where=where)


_STATISTIC = ["count", "of", "share", "low", "high", "few"]
_DAYS = ["count", "least", "q1", "median", "q3", "greatest", "few"]


def _patterns_rows(
    answer: dict[str, Any], dimensions: tuple[str, ...], numbers: list[str]
) -> Iterator[list[Any]]:
    """One statistic a row: a share with its counts and interval, or the quartiles of days."""
    groups = answer["groups"] if dimensions else [{"key": {}, **answer}]
    for group in groups:
        for row in _statistics(group):
            yield [*group["key"].values(), *row[:5], *(row[5].get(number) for number in numbers)]


def _statistics(group: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    """Playbook, gate, criterion, statistic, side, and its numbers."""
    for name in ("no_decision", "regressed", "lapsed", "looped"):
        yield "", "", "", name, "", group[name]
    for each in group["playbooks"]:
        playbook = each["playbook"]
        for gate in each["gates"]:
            yield playbook, gate["gate"], "", "conversion", "", gate["conversion"]
            yield playbook, gate["gate"], "", "days", "", gate["days"]
        for row in each["criteria"]:
            for when in ("at_decision", "ever"):
                place = (playbook, row["gate"], row["criterion"], f"met_{when}")
                found = row[when]
                yield (*place, "won", found["won"])
                yield (*place, "others", found["others"])
                yield (*place, "difference", {**found, "share": found["difference"]})


def _patterns_tables(answer: dict[str, Any], dimensions: tuple[str, ...]) -> None:
    groups = [*answer["groups"], {"key": dict.fromkeys(dimensions, "all"), **answer}]
    _outcomes_table(groups, dimensions)
    _gates_table(groups, dimensions)
    _criteria_table(groups, dimensions, answer["against"])
    decided = answer["decided"]
    if decided["first_day"] or decided["last_day"]:
        write_line(f"decided from {decided['first_day'] or '-'} to {decided['last_day'] or '-'}")
    write_line("shares with 95 % intervals; few: a group of fewer than 10 deals")


def _named(group: dict[str, Any]) -> list[str]:
    return ["-" if part is None else part for part in group["key"].values()]


def _outcomes_table(groups: list[dict[str, Any]], dimensions: tuple[str, ...]) -> None:
    outcomes = list(groups[-1]["outcomes"])
    rows = [
        [*_named(group), group["deals"]["decided"], group["deals"]["open"],
         *group["outcomes"].values(), _share(group["no_decision"]),
         *(_share(group[name]) for name in ("regressed", "lapsed", "looped"))]
        for group in groups
    ]  # fmt: skip
    columns = [*dimensions, "decided*", "open*", *(f"{in_words(each)}*" for each in outcomes),
               "no-decision share", "regressed", "lapsed", "looped"]  # fmt: skip
    write_table("Outcomes and loops", columns, rows)


def _gates_table(groups: list[dict[str, Any]], dimensions: tuple[str, ...]) -> None:
    rows = [
        [*_named(group), each["playbook"], gate["name"], gate["reached"], gate["through"],
         gate["under_way"], _share(gate["conversion"]), gate["days"]["count"],
         *(gate["days"][name] for name in ("q1", "median", "q3")), gate["expected_days"],
         gate["regressions"], gate["loops"]]
        for group in groups
        for each in group["playbooks"]
        for gate in each["gates"]
    ]  # fmt: skip
    columns = [*dimensions, "playbook", "gate", "reached*", "through*", "under way*",
               "conversion", "left*", "q1 days*", "median*", "q3*", "expected*", "lost*",
               "loops*"]  # fmt: skip
    write_table("Gates: conversion, and days at each", columns, rows)


def _criteria_table(
    groups: list[dict[str, Any]], dimensions: tuple[str, ...], against: str
) -> None:
    rows = [
        [*_named(group), each["playbook"], row["criterion"],
         *(_share(row[when][side]) for when in ("at_decision", "ever")
           for side in ("won", "others")),
         _interval(row["at_decision"], "difference")]
        for group in groups
        for each in group["playbooks"]
        for row in each["criteria"]
    ]  # fmt: skip
    other = in_words(against)
    columns = [*dimensions, "playbook", "criterion", "won: met at decision", f"{other}: the same",
               "won: ever met", f"{other}: ever met", "difference at decision"]  # fmt: skip
    write_table(f"What the won deals had, beside those {other}", columns, rows)


def _share(share: dict[str, Any]) -> str:
    return f"{share['count']}/{share['of']} {_interval(share, 'share')}".rstrip()


def _interval(found: dict[str, Any], name: str) -> str:
    if found[name] is None:
        return "-"
    few = " few" if found["few"] else ""
    low, high = (f"{100 * found[end]:.0f}" for end in ("low", "high"))
    return f"{100 * found[name]:.0f} % ({low} to {high}){few}"
