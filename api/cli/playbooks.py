"""Commands about playbooks: publish, list, show, diff, review."""

from __future__ import annotations

from contextlib import ExitStack
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.asof import AsOf
from api.cli.asking import FormatOption, question_without_judgement, write_answer
from api.cli.output import Format, brief, csv_cell, write_line, write_table
from api.cli.session import open_door, open_ledger
from api.cli.writing import ActorOption, record_event, say_receipt
from ledger.domain.errors import InvalidInput
from ledger.domain.events import PlaybookPublished, PlaybookReviewed, stream_name
from ledger.domain.playbook import Playbook, in_words, parse_playbook
from ledger.domain.times import parse_instant
from projections.summary import spell

if TYPE_CHECKING:
    from projections.book import Book
    from projections.playbooks import Compared

VersionArgument = Annotated[
    str,
    typer.Argument(
        help="Such as buyers_journey@2; or a TOML file, or the name of a shipped playbook."
    ),
]


def publish(
    source: Annotated[str, typer.Argument(help="A TOML file, or the name of a shipped playbook.")],
    actor: ActorOption,
    effective_at: Annotated[
        str | None, typer.Option(help="When it takes effect, an instant; by default now.")
    ] = None,
) -> None:
    """Publish a version of a playbook. Publishing the same version again changes nothing."""
    from ledger import service

    playbook = _from_file(source)
    with open_ledger() as ledger:
        published = service.publish_playbook(
            ledger,
            PlaybookPublished(playbook=playbook),
            actor=actor,
            effective_at=None if effective_at is None else parse_instant(effective_at),
        )
    if published.added:
        say_receipt(stream_name("playbook", playbook.key), published)
    else:
        write_line(f"{playbook.key} {playbook.version} is already published")


def review(
    key: Annotated[str, typer.Argument(help="Which playbook was gone through.")],
    reviewer: Annotated[str, typer.Option(help="Who went through it.")],
    actor: ActorOption,
    note: Annotated[str | None, typer.Option(help="What was found.")] = None,
    occurred_at: Annotated[
        str | None, typer.Option("--occurred-at", help="When, an instant; by default now.")
    ] = None,
) -> None:
    """Record that somebody checked a playbook against what buyers do; due every 60 days."""
    facts = {"reviewer": reviewer} | ({} if note is None else {"note": note})
    record_event(
        stream_name("playbook", key), PlaybookReviewed.type, facts, actor, occurred_at=occurred_at
    )


@question_without_judgement
def versions(
    asked: AsOf,
    output: FormatOption = Format.TABLE,
) -> None:
    """All published versions: which are in force, since when, and when each was last reviewed."""
    from projections.playbooks import playbook_list

    with open_door() as door, door.book(asked) as book:
        answer = playbook_list(book)
    rows = (_version_row(each) for each in answer["versions"])
    write_answer(answer, output, _VERSION_COLUMNS, rows, lambda: _versions_table(answer))


def _versions_table(answer: dict[str, Any]) -> None:
    columns = ["playbook", "version", "name", "state", "from", "gates*", "criteria*",
               "published by", "at*", "last reviewed", "review"]  # fmt: skip
    shown = [
        [each["playbook"] + (" (default)" if each["default"] else ""), each["version"],
         each["name"], each["state"].replace("_", " "), brief(each["from"]), each["gate_count"],
         each["criterion_count"], each["published"]["actor"], each["published"]["position"],
         *_review_cells(each["review"])]
        for each in answer["versions"]
    ]  # fmt: skip
    write_table("Playbooks", columns, shown)


_VERSION_COLUMNS = (
    "playbook", "version", "name", "state", "default", "from", "until", "gate_count",
    "criterion_count", "published_by", "published_position", "published_at", "reviewed_at",
    "reviewer", "review_position", "review_due_at", "review_overdue",
)  # fmt: skip


def _version_row(version: dict[str, Any]) -> list[Any]:
    published, last = version["published"], version["review"]
    reviewed: list[Any] = [None] * 5
    if last is not None:
        reviewed = [last["at"], last["reviewer"], last["because"]["position"], last["due_at"],
                    last["overdue"]]  # fmt: skip
    return [
        *(version[column] for column in ("playbook", "version", "name", "state")),
        version["default"], version["from"], version["until"], version["gate_count"],
        version["criterion_count"], published["actor"], published["position"],
        published["recorded_at"], *reviewed,
    ]  # fmt: skip


def _review_cells(last: dict[str, Any] | None) -> list[str]:
    if last is None:
        return ["", ""]
    due = "never due" if last["due_at"] is None else f"due {brief(last['due_at'])}"
    return [brief(last["at"]), "OVERDUE: take it as wrong" if last["overdue"] else due]


@question_without_judgement
def show(
    key: Annotated[str | None, typer.Argument(help="By default the first in force.")] = None,
    version: Annotated[
        str | None, typer.Option(help="A version of it, in force or not; by default that in force.")
    ] = None,
    *,
    asked: AsOf,
    output: FormatOption = Format.TABLE,
) -> None:
    """A playbook's roles, its gates with the questions at each, and its exit criteria."""
    from projections.playbooks import playbook_as_dict

    with open_door() as door, door.book(asked) as book:
        answer = playbook_as_dict(book, key, version)
    rows = _criterion_rows(answer)
    write_answer(answer, output, _CRITERION_COLUMNS, rows, lambda: _show_tables(answer))


_CRITERION_COLUMNS = (
    "playbook", "version", "gate", "stage", "after_decision", "threshold", "expected_days",
    "category_before", "weight_percent_before", "criterion", "question", "layer", "mandatory",
    "fresh_for_days", "fresher_at", "said_by_role", "said_by_seniority", "source_kinds",
    "lapses_with_stakeholder", "answers",
)  # fmt: skip


def _criterion_rows(answer: dict[str, Any]) -> list[list[Any]]:
    return [
        [_cell({**answer, **gate, **criterion}[column]) for column in _CRITERION_COLUMNS]
        for gate in answer["gates"]
        for criterion in gate["criteria"]
    ]


def _cell(value: Any) -> Any:
    return spell(value) if isinstance(value, dict | list) else csv_cell(value)


def _show_tables(answer: dict[str, Any]) -> None:
    last, published = answer["review"], answer["published"]
    write_line(f"{answer['name']} ({answer['label']})")
    state = answer["state"].replace("_", " ")
    until = "" if answer["until"] is None else f" until {brief(answer['until'])}"
    write_line(
        f"{state} from {brief(answer['from'])}{until}; published by {published['actor']} "
        f"at position {published['position']}"
    )
    if last is not None:
        write_line(f"last reviewed {'; review '.join(_review_cells(last))}")
    if answer["roles"]:
        rows = [[each["role"], each["name"], "yes" if each["authority"] else ""]
                for each in answer["roles"]]  # fmt: skip
        write_table("Roles at the buyer", ["role", "name", "can spend the money"], rows)
    write_table(
        "Gates, and what a deal is worth that stands before them",
        ["gate", "stage", "expected days*", "category", "weight %*", "optional criteria wanted*",
         "the buyer asks", "we ask"],
        [
            [each["gate"] + (" (after the decision)" if each["after_decision"] else ""),
             each["stage"], each["expected_days"], each["category_before"],
             each["weight_percent_before"], each["threshold"],
             "\n".join(each["buyer_questions"]), "\n".join(each["seller_questions"])]
            for each in answer["gates"]
        ],
    )  # fmt: skip
    write_table(
        "Exit criteria",
        ["gate", "criterion", "question", "answers", "layer", "fresh for days", "said by",
         "sources"],
        [
            [gate["gate"], each["criterion"] + ("" if each["mandatory"] else " (optional)"),
             each["question"], in_words(each["answers"] or ""), each["layer"], _freshness(each),
             _speaker(each), ", ".join(each["source_kinds"]) or "all but crm"]
            for gate in answer["gates"]
            for each in gate["criteria"]
        ],
    )  # fmt: skip


def _freshness(criterion: dict[str, Any]) -> str:
    days = criterion["fresh_for_days"]
    first = "does not age" if days is None else str(days)
    return "; ".join([first, *(f"{n} at {g}" for g, n in criterion["fresher_at"].items())])


def _speaker(criterion: dict[str, Any]) -> str:
    who: str = criterion["said_by_role"] or "anybody named"
    if criterion["said_by_seniority"] is not None:
        who += f", {in_words(criterion['said_by_seniority'])} or above"
    return who if criterion["lapses_with_stakeholder"] else f"{who} (outlives their leaving)"


@question_without_judgement
def diff(
    old: VersionArgument,
    new: VersionArgument,
    asked: AsOf,
    output: FormatOption = Format.TABLE,
) -> None:
    """What differs between two versions: gates and criteria that came, went, moved or changed."""
    from projections.playbooks import playbook_diff

    with ExitStack() as stack:
        book = None
        if _is_published(old) or _is_published(new):
            book = stack.enter_context(stack.enter_context(open_door()).book(asked))
        answer = playbook_diff(book, _compared(old, book), _compared(new, book))
    columns = ["part", "key", "change", "field", "old", "new"]
    rows = _diff_rows(answer)

    def table() -> None:
        title = f"From {answer['from']['name']} to {answer['to']['name']}"
        if answer["same"]:
            write_line(f"{title}: nothing differs")
        else:
            write_table(title, columns, rows)

    write_answer(answer, output, columns, rows, table)


def _diff_rows(answer: dict[str, Any]) -> list[list[Any]]:
    rows = [["playbook", "", "changed", *_field_cells(each)] for each in answer["playbook"]]
    for what, part in (("roles", "role"), ("gates", "gate"), ("criteria", "criterion")):
        for each in answer[what]:
            start = [part, each[part], each["change"]]
            if each["change"] != "changed":
                place = "gate" if part == "criterion" else "place"
                rows.append([*start, place, each["old_place"], each["new_place"]])
            rows += [[*start, *_field_cells(field)] for field in each["fields"]]
    return rows


def _field_cells(change: dict[str, Any]) -> list[Any]:
    return [change["field"], *(_told(change[side]) for side in ("old", "new"))]


def _told(value: Any) -> Any:
    """A field of a playbook as text; nothing where nothing is said."""
    if isinstance(value, list):
        return "; ".join(value)
    return "" if value in ({}, None) else _cell(value)


# --- from where a version is taken --------------------------------------------------------------


def _is_published(name: str) -> bool:
    """Whether a name is that of a version in the ledger, and not of a file."""
    return "@" in name and not Path(name).is_file()


def _compared(name: str, book: Book | None) -> Compared:
    from projections.playbooks import Compared, published_version

    if book is not None and _is_published(name):
        return published_version(book, name)
    return Compared(_from_file(name), name)


def _from_file(source: str) -> Playbook:
    """A playbook from a TOML file, or one that is shipped, by its name."""
    path = Path(source)
    if not path.suffix and not path.is_file():
        path = _shipped(source)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput("unreadable-file", f"cannot read the playbook: {error}") from None
    return parse_playbook(text, where=str(path))


def _shipped(name: str) -> Path:
    folder = Path(str(files("ledger") / "playbooks"))
    shipped = {path.stem: path for path in sorted(folder.glob("*.toml"))}
    if name not in shipped:
        raise InvalidInput(
            "unreadable-file",
            f"there is no playbook {name!r} among those that are shipped",
            hint=f"give a TOML file, or one of {', '.join(shipped)}",
        )
    return shipped[name]
