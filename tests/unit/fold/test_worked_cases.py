"""The worked cases of `tests/unit/cases`: given these events, at this basis, expect this.

Law: every key of a case is understood or refused; nothing that a case says is passed over. What a
case may say, and how it says it, stands in the README beside the cases.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ledger.domain.basis import Basis
from ledger.domain.command import Command
from ledger.domain.errors import QledgerError
from ledger.domain.events import Event, EventPayload
from ledger.domain.playbook import Playbook, parse_playbook
from ledger.domain.streams import decide, playbooks_in_force
from ledger.domain.times import END_OF_TIME, MICROSECOND, Instant, format_instant, parse_instant
from projections.fold.gates import Change, Loop, Move, Qualification
from projections.fold.qualification import qualify
from projections.fold.rulebook import PlaybookHistory, Review, reviews_at
from projections.fold.verdict import Verdict, no_evidence_no_revenue
from tests.unit.domain.builders import LAST_POSITION, Log, at, payload

CASES = Path(__file__).parents[1] / "cases"
CASES_MIN = 60
DEAL = "D1"
NOT_CASES = {
    "playbook.toml",
    "playbook_version_2.toml",
    "playbook_renewal.toml",
    "usual_start.toml",
}

Row = Mapping[str, Any]


class Case(NamedTuple):
    """One worked case, as it stands in its file."""

    theme: str
    name: str
    why: str
    given: tuple[Row, ...]
    then: tuple[Row, ...]


def _read(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))


def _only(row: Row, allowed: Iterable[str], where: str) -> None:
    strange = set(row) - set(allowed)
    assert not strange, f"{where}: nobody reads {sorted(strange)}"


def _cases_of(path: Path) -> Iterable[Case]:
    usual = tuple(_read(CASES / "usual_start.toml")["given"])
    for row in _read(path)["case"]:
        where = f"{path.name}: {row.get('name')}"
        _only(row, {"name", "why", "start", "given", "then"}, where)
        assert row.get("start", "usual") in {"usual", "nothing"}, where
        assert row["then"], where
        start = usual if row.get("start", "usual") == "usual" else ()
        given = (*start, *row["given"])
        yield Case(path.stem, row["name"], row["why"], given, tuple(row["then"]))


ALL = tuple(
    case
    for path in sorted(CASES.glob("*.toml"))
    if path.name not in NOT_CASES
    for case in _cases_of(path)
)


# --- times ----------------------------------------------------------------------------------------


def moment(text: str) -> Instant:
    """A date is its noon; `just before` and `just after` are a microsecond away."""
    for words, away in (("just before ", -MICROSECOND), ("just after ", MICROSECOND)):
        if text.startswith(words):
            return at(text.removeprefix(words)) + away
    return END_OF_TIME if text == "hindsight" else at(text)


def spelled(text: str) -> str:
    return format_instant(moment(text))


# --- what is given --------------------------------------------------------------------------------


class Kind(NamedTuple):
    """How an event is written in a case.

    Args:
        type: the event's type.
        fields: word in the case -> field of the payload.
        fixed: fields that the words themselves say.
    """

    type: str
    fields: Mapping[str, str] = {}
    fixed: Mapping[str, Any] = {}


_EVIDENCE = {"for": "criterion", "by": "said_by", "in": "source_kind"}
_PERSON = {"who": "stakeholder", "role": "role", "seniority": "seniority"}

KINDS: Mapping[str, Kind] = {
    "playbook published": Kind("playbook-published", {"file": "playbook"}),
    "playbook reviewed": Kind("playbook-reviewed", {}, {"reviewer": "max"}),
    "opened": Kind("deal-opened", {"owner": "owner", "account": "account", "playbook": "playbook"}),
    "revised": Kind("deal-revised", {"account": "account", "playbook": "playbook"}),
    "removed": Kind("deal-removed"),
    "evidence": Kind("evidence-recorded", _EVIDENCE, {"stance": "supports"}),
    "evidence against": Kind("evidence-recorded", _EVIDENCE, {"stance": "contradicts"}),
    "waived": Kind(
        "criterion-waived", {"for": "criterion", "until": "ends_at"}, {"reason": "agreed"}
    ),
    "waiver revoked": Kind("waiver-revoked", {"for": "criterion"}, {"reason": "no more"}),
    "joined": Kind("stakeholder-added", {**_PERSON, "name": "name"}),
    "changed": Kind("stakeholder-changed", _PERSON),
    "left": Kind("stakeholder-left", _PERSON),
    "said to advance": Kind("buyer-advanced", {"gate": "gate"}),
    "went back": Kind("buyer-regressed", {"gate": "gate"}),
    "looped": Kind("buyer-looped", {"from": "from_gate", "to": "to_gate"}),
    "closed": Kind("deal-closed", {"outcome": "outcome"}),
    "reopened": Kind("deal-reopened"),
    "claimed": Kind("stage-claimed", {"stage": "stage", "probability": "probability"}),
    "retraction": Kind("event-retracted", {}, {"reason": "never happened"}),
    "correction": Kind("event-corrected", {}, {"reason": "was wrong"}),
}
_ABOUT_AN_EVENT = {
    "what",
    "on",
    "known",
    "attested",
    "label",
    "of_account",
    "of",
    "right",
    "really",
}


@cache
def _playbook(file: str) -> Playbook:
    return parse_playbook((CASES / file).read_text(encoding="utf-8"), where=file)


def _payload(row: Row, given: Mapping[str, Row], ids: Mapping[str, str]) -> EventPayload:
    kind = KINDS[row["what"]]
    _only(row, {*_ABOUT_AN_EVENT, *kind.fields}, str(row))
    fields = {name: row[word] for word, name in kind.fields.items() if word in row}
    fields = {**kind.fixed, **fields}
    if kind.type == "playbook-published":
        fields["playbook"] = _playbook(row["file"]).model_dump(mode="json")
    if kind.type == "evidence-recorded":
        fields.setdefault("source_kind", "meeting")
    if kind.type == "stakeholder-added":
        fields.setdefault("name", row["who"].title())
    if "until" in row:
        fields["ends_at"] = spelled(row["until"])
    if "of" in row:
        fields["target"] = ids[row["of"]]
    if "really" in row:
        fields["occurred_at"] = spelled(row["really"])
    if "right" in row:
        wrong = given[row["of"]]
        right = {key: value for key, value in wrong.items() if key not in _ABOUT_AN_EVENT}
        right = {**right, "what": wrong["what"], **row["right"]}
        fields["payload"] = _payload(right, given, ids).to_json()
    return payload(kind.type, **fields)


def _stream(row: Row, given: Mapping[str, Row]) -> str:
    if "of" in row:
        return _stream(given[row["of"]], given)
    if "file" in row:
        return f"playbook:{_playbook(row['file']).key}"
    if row["what"] == "playbook reviewed":
        return "playbook:buyer"
    return f"account:{row['of_account']}" if "of_account" in row else f"deal:{DEAL}"


class Given(NamedTuple):
    """The ledger of a case, and its events' labels by position."""

    log: Log
    labels: Mapping[int, str]

    def named(self, positions: Iterable[int]) -> list[str]:
        """Positions as a case names them."""
        return sorted(self.labels[position] for position in positions)


def _recorded(case: Case) -> Given:
    log = Log()
    labels: dict[int, str] = {}
    given: dict[str, Row] = {}
    ids: dict[str, str] = {}
    for row in sorted(case.given, key=lambda row: moment(row.get("known", row["on"]))):
        known = moment(row.get("known", row["on"]))
        event = log.record(
            _payload(row, given, ids),
            moment(row["on"]),
            stream=_stream(row, given),
            recorded_at=known,
            known_at=known if row.get("attested") else None,
        )
        label = row.get("label", f"{row['what']} on {row['on']}")
        labels[event["position"]] = label
        given[label], ids[label] = row, event["event_id"]
    return Given(log, labels)


# --- what is asked --------------------------------------------------------------------------------


class Answer(NamedTuple):
    """What the folds say at the basis of a question."""

    given: Given
    deal: Qualification | None
    verdict: Verdict | None
    review: Review | None

    @property
    def there(self) -> Qualification:
        assert self.deal is not None, "the deal is not in the book"
        return self.deal

    @property
    def projected(self) -> Verdict:
        assert self.verdict is not None, "the deal is not in the book"
        return self.verdict


def _asked(given: Given, row: Row) -> Answer:
    valid_at = moment(row["as_of"])
    known_at = moment(row.get("known", row["as_of"]))
    basis = Basis(valid_at, known_at, LAST_POSITION, row.get("witnessed_only", False))
    streams: dict[str, list[Event]] = {}
    for event in given.log.visible(basis):
        streams.setdefault(event["stream"], []).append(event)
    playbooks = [e for name, each in streams.items() if name[:9] == "playbook:" for e in each]
    accounts = {name[8:]: each for name, each in streams.items() if name[:8] == "account:"}
    as_of = format_instant(valid_at)
    published = [e for e in given.log.events if e["stream"].startswith("playbook:")]
    history = PlaybookHistory(playbooks, as_of, under=row.get("under"), published=published)
    ahead = spelled(row["if_nothing_happens_until"]) if "if_nothing_happens_until" in row else None
    deal = qualify(
        DEAL, streams.get(f"deal:{DEAL}", []), as_of, history, accounts, ahead_until=ahead
    )
    verdict = None if deal is None else no_evidence_no_revenue(deal)
    return Answer(given, deal, verdict, reviews_at(playbooks, as_of).get("buyer"))


def _by_criterion(say: Callable[[Answer, Any], Any]) -> Callable[[Answer, Row], Any]:
    def read(answer: Answer, expected: Row) -> Any:
        found = {key: answer.there.criterion(key) for key in expected}
        return {
            key: "not there" if state is None else say(answer, state)
            for key, state in found.items()
        }

    return read


def _by_gate(say: Callable[[Answer, Any], Any]) -> Callable[[Answer, Row], Any]:
    def read(answer: Answer, expected: Row) -> Any:
        found = {key: answer.there.gate_state(key) for key in expected}
        return {
            key: "not there" if state is None else say(answer, state)
            for key, state in found.items()
        }

    return read


def _gate(gate: str | None) -> str:
    return "no gate" if gate is None else gate


def _move(answer: Answer, move: Move) -> dict[str, Any]:
    return {
        "at": move.at,
        "how": move.kind.value,
        "from": _gate(move.from_gate),
        "to": _gate(move.to_gate),
        "criteria": list(move.criteria),
        "because": answer.given.named(move.causes),
    }


def _loop(answer: Answer, loop: Loop) -> dict[str, Any]:
    return {
        "gate": loop.gate,
        "lost": loop.lost_at,
        "again": loop.again_at,
        "lost_by": answer.given.named(loop.lost_by),
        "again_by": answer.given.named(loop.again_by),
    }


def _change(answer: Answer, change: Change) -> dict[str, Any]:
    return {
        "at": change.at,
        "criterion": change.criterion,
        "from": change.before.value,
        "to": change.after.status.value,
        "because": answer.given.named(change.after.causes),
    }


def _each(
    say: Callable[[Answer, Any], dict[str, Any]], of: Callable[[Qualification], Iterable[Any]]
) -> Callable[[Answer, list[Row]], Any]:
    """Only the words that the case itself uses are compared."""

    def read(answer: Answer, expected: list[Row]) -> Any:
        found = [say(answer, each) for each in of(answer.there)]
        if len(found) != len(expected):
            return found
        return [
            {word: one[word] for word in wanted}
            for one, wanted in zip(found, expected, strict=True)
        ]

    return read


def _history(answer: Answer, expected: Row) -> Any:
    """Criterion -> when it turned, and into what."""
    return {
        key: [
            {"at": change.at, "to": change.after.status.value}
            for change in answer.there.changes
            if change.criterion == key
        ]
        for key in expected
    }


def _version(answer: Answer, _expected: str) -> str:
    rulebook = answer.there.rulebook
    return "none" if rulebook is None else rulebook.label


def _review(answer: Answer, _expected: Row) -> Any:
    review = answer.review
    return review and {"due": review.due_at, "overdue": review.overdue}


READ: Mapping[str, Callable[[Answer, Any], Any]] = {
    "in_the_book": lambda answer, _: answer.deal is not None,
    "judged_by": _version,
    "outcome": lambda answer, _: answer.there.outcome,
    "stands_at": lambda answer, _: _gate(answer.there.stands_at),
    "stands_since": lambda answer, _: answer.there.stands_since,
    "gates_got_through": lambda answer, _: answer.there.bar,
    "criteria": _by_criterion(lambda _, state: state.status.value),
    "rules": _by_criterion(lambda _, state: state.judgement.rule.value),
    "so_since": _by_criterion(lambda _, state: state.since),
    "lapses_at": _by_criterion(lambda _, state: state.judgement.lapses_at or "never"),
    "because": _by_criterion(lambda answer, state: answer.given.named(state.judgement.causes)),
    "history": _history,
    "gates": _by_gate(lambda _, state: state.status.value),
    "gates_since": _by_gate(lambda _, state: state.since),
    "gates_because": _by_gate(lambda answer, state: answer.given.named(state.causes)),
    "missing": _by_gate(lambda _, state: list(state.missing)),
    "optional_missing": _by_gate(lambda _, state: state.optional_missing),
    "too_old": _by_gate(lambda _, state: list(state.too_old)),
    "passes": _by_gate(lambda _, state: state.passes),
    "regressions": _by_gate(lambda _, state: state.regressions),
    "moves": _each(_move, lambda deal: deal.moves),
    "last_move": _each(_move, lambda deal: deal.moves[-1:]),
    "loops": _each(_loop, lambda deal: deal.loops),
    "will_lapse": _each(_change, lambda deal: deal.upcoming),
    "will_move": _each(_move, lambda deal: deal.upcoming_moves),
    "projected": lambda answer, _: answer.projected.category.value,
    "weight": lambda answer, _: answer.projected.weight_percent,
    "projected_by": lambda answer, _: answer.projected.rule.value,
    "projected_because": lambda answer, _: answer.given.named(answer.projected.causes),
    "not_placed": lambda answer, _: answer.given.named(answer.there.unplaced),
    "after_close": lambda answer, _: answer.given.named(answer.there.after_close),
    "before_opening": lambda answer, _: answer.given.named(answer.there.before_opening),
    "review": _review,
}
_TIMES = {"stands_since", "so_since", "lapses_at", "gates_since", "at", "lost", "again", "due"}
_LABELS = {
    "because", "gates_because", "projected_because", "not_placed", "after_close", "before_opening",
    "lost_by", "again_by",
}  # fmt: skip
_ASKING = {"as_of", "known", "witnessed_only", "under", "if_nothing_happens_until"}


def _expected(word: str, value: Any) -> Any:
    """What a case expects, with its times spelt out and its labels in order."""
    if isinstance(value, Mapping):
        inner = {"at", "lost", "again", "due", "lost_by", "again_by", "because"}
        return {key: _expected(key if key in inner else word, each) for key, each in value.items()}
    if isinstance(value, list) and value and isinstance(value[0], Mapping):
        return [_expected("", each) for each in value]
    if word in _TIMES and value != "never":
        return spelled(value)
    return sorted(value) if word in _LABELS else value


# --- the tests ------------------------------------------------------------------------------------


def _refusal(given: Given, row: Row) -> str:
    """With which code the ledger refuses to record what is asked for; `accepted` if it does."""
    _only(row, {"asked", "refused"}, str(row))
    asked = row["asked"]
    now = moment(asked.get("known", asked["on"]))
    actor = asked.get("actor", "max")
    asked = {word: value for word, value in asked.items() if word != "actor"}
    before = [e for e in given.log.events if parse_instant(e["known_at"]) <= now]
    books = playbooks_in_force(
        [e for e in before if e["stream"].startswith("playbook:")], format_instant(now)
    )
    stream = _stream(asked, {})
    try:
        command = Command(stream, _payload(asked, {}, {}), actor, moment(asked["on"]), now, books)
        decide([e for e in before if e["stream"] == stream], command)
    except QledgerError as error:
        return error.code
    return "accepted"


def _differences(given: Given, row: Row) -> list[str]:
    if "asked" in row:
        found = _refusal(given, row)
        return [] if found == row["refused"] else [f"refused: {found}, expected {row['refused']}"]
    _only(row, {*_ASKING, *READ}, str(row))
    answer = _asked(given, row)
    differences = []
    for word, value in row.items():
        if word in _ASKING:
            continue
        found, expected = READ[word](answer, _expected(word, value)), _expected(word, value)
        if found != expected:
            differences.append(
                f"as of {row['as_of']}, known {row.get('known', 'then')}: "
                f"{word} is {found}, expected {expected}"
            )
    return differences


@pytest.mark.parametrize("case", ALL, ids=[f"{case.theme}: {case.name}" for case in ALL])
def test_case(case: Case) -> None:
    given = _recorded(case)
    differences = [each for row in case.then for each in _differences(given, row)]
    assert not differences, "\n".join([case.name, case.why, *differences])


def test_there_are_enough_cases_and_each_has_a_name_of_its_own(
    capsys: pytest.CaptureFixture[str],
) -> None:
    questions = sum(len(case.then) for case in ALL)
    themes = {case.theme for case in ALL}
    with capsys.disabled():
        print(f" {len(ALL)} worked cases on {len(themes)} themes, {questions} questions ", end="")
    assert len(ALL) >= CASES_MIN
    names = [case.name for case in ALL]
    assert len(set(names)) == len(names)


def test_a_word_that_nobody_reads_is_a_fault_of_the_case() -> None:
    case = ALL[0]._replace(then=({"as_of": "2026-02-01", "stand_at": "price"},))
    with pytest.raises(AssertionError, match="nobody reads"):
        test_case(case)
