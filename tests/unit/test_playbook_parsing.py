"""A playbook that is not right says which key, and on which line."""

from __future__ import annotations

from pathlib import Path

import pytest

import ledger
from ledger.domain.errors import InvalidInput
from ledger.domain.events import parse_payload, upcast
from ledger.domain.playbook import Playbook, parse_playbook

SHIPPED = sorted((Path(ledger.__file__).parent / "playbooks").glob("*.toml"))

PLAYBOOK = '''\
# A playbook with everything in it.
key = "small"
version = "1"
name = "Small"

[[roles]]
key = "payer"
name = "Payer"
authority = true

[[roles]]
key = "user"
name = "User"

[[gates]]
key = "problem"
name = "Problem"
stage = "Consideration"  # key = "not this one"
threshold = 1
buyer_questions = [
  "Why change? [[gates]]",
  "Why now?",
]

[[gates.criteria]]
key = "fit"
question = """
Who confirmed
the fit?"""
fresh_for_days = 90
fresher_at = { money = 60, decision = 30 }
said_by_role = "user"

[[gates.criteria]]
key = "urgency"
question = "By when?"
mandatory = false

[[gates]]
key = "money"
name = "Money"
stage = "Consideration"

[[gates.criteria]]
key = "price_confirmed"
question = "Who confirmed the price?"
said_by_role = "payer"

[[gates]]
key = "decision"
name = "Decision"
stage = "Decision"

[[gates.criteria]]
key = "signed"
question = "Who signed?"

[[gates]]
key = "advocacy"
name = "Advocacy"
stage = "Advocacy"
after_decision = true

[[gates.criteria]]
key = "handed_over"
question = "Who took it over?"
'''


def refusal(text: str) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        parse_playbook(text, where="small.toml")
    assert caught.value.code == "invalid-playbook"
    return caught.value


def test_a_right_one_is_read() -> None:
    playbook = parse_playbook(PLAYBOOK, where="small.toml")
    assert [gate.key for gate in playbook.gates] == ["problem", "money", "decision", "advocacy"]
    assert playbook.tightening(playbook.criteria["fit"]) == {"money": 60, "decision": 30}


FAULTS = {
    "a number out of bounds": (
        "fresh_for_days = 90", "fresh_for_days = 0",
        "gates.problem.criteria.fit.fresh_for_days: ", "fresh_for_days = 0",
    ),
    "a number in quotes": (
        "threshold = 1", 'threshold = "1"', "gates.problem.threshold: ", 'threshold = "1"',
    ),
    "a flag that is a word": (
        "authority = true", 'authority = "yes"', "roles.payer.authority: ", 'authority = "yes"',
    ),
    "a key that nobody knows": (
        "mandatory = false", "mandatry = false",
        "gates.problem.criteria.urgency.mandatry: there is no such key", "mandatry = false",
    ),
    "a key of the playbook that nobody knows": (
        'name = "Small"', 'name = "Small"\nowner = "me"',
        "owner: there is no such key", 'owner = "me"',
    ),
    "a key that is missing": (
        'question = "By when?"\n', "",
        "gates.problem.criteria.urgency.question: it is missing", '[[gates.criteria]]\nkey = "urg',
    ),
    "a key of the playbook that is missing": (
        'version = "1"\n', "", "version: it is missing", "# A playbook",
    ),
    "a gate without a key": (
        'key = "money"\n', "", "gates.#2.key: it is missing", '[[gates]]\nname = "Money"',
    ),
    "a criterion without a key": (
        'key = "price_confirmed"\n', "",
        "gates.money.criteria.#1.key: it is missing", '[[gates.criteria]]\nquestion = "Who conf',
    ),
    "a key that is not one": (
        'key = "urgency"', 'key = "Urgency!"',
        "gates.problem.criteria.Urgency!.key: ", 'key = "Urgency!"',
    ),
    "a value that is not among those allowed": (
        'stage = "Decision"', 'stage = "Decision"\ncategory = "sure"',
        ("gates.decision.category: Input should be 'omitted', 'pipeline', 'best_case' or 'commit', "
        "not 'sure'"),
        'category = "sure"',
    ),
    "a question that is empty": (
        '  "Why now?",', '  "",', "gates.problem.buyer_questions.#2: ", '  "",',
    ),
    "freshness at a later gate that is no number": (
        "decision = 30", 'decision = "soon"',
        "gates.problem.criteria.fit.fresher_at.decision: ", "fresher_at = {",
    ),
    "a gate without criteria": (
        '\n[[gates.criteria]]\nkey = "signed"\nquestion = "Who signed?"\n', "",
        "gates.decision.criteria: it is missing", '[[gates]]\nkey = "decision"',
    ),
    # --- parts that do not fit each other
    "a role that is not there": (
        'said_by_role = "payer"', 'said_by_role = "prayer"',
        ("gates.money.criteria.price_confirmed.said_by_role: there is no role 'prayer'; "
        "the roles are payer, user"),
        'said_by_role = "prayer"',
    ),
    "freshness at a gate that is not there": (
        "decision = 30", "decison = 30",
        "gates.problem.criteria.fit.fresher_at.decison: there is no gate 'decison'",
        "fresher_at = {",
    ),
    "freshness at the criterion's own gate": (
        "money = 60", "problem = 60",
        "gates.problem.criteria.fit.fresher_at.problem: 'problem' is not a gate behind",
        "fresher_at = {",
    ),
    "freshness that does not tighten against the first": (
        "money = 60", "money = 90",
        "gates.problem.criteria.fit.fresher_at.money: 90 days are not fewer than the 90 before it",
        "fresher_at = {",
    ),
    "freshness that does not tighten from gate to gate": (
        "decision = 30", "decision = 60",
        "gates.problem.criteria.fit.fresher_at.decision: 60 days are not fewer than the 60",
        "fresher_at = {",
    ),
    "a threshold that cannot be reached": (
        "threshold = 1", "threshold = 2",
        "gates.problem.threshold: 2 optional criteria are wanted and the gate has 1",
        "threshold = 2",
    ),
    "a criterion's key used twice": (
        'key = "signed"', 'key = "urgency"',
        "gates.decision.criteria.urgency.key: the key 'urgency' is that of a gate or criterion",
        'key = "urgency"\nquestion = "Who signed?"',
    ),
    "a gate's key used by a criterion": (
        'key = "price_confirmed"', 'key = "problem"',
        "gates.money.criteria.problem.key: the key 'problem'",
        'key = "problem"\nquestion = "Who confirmed the price?"',
    ),
    "a role used twice": (
        'key = "user"', 'key = "payer"',
        "roles.payer.key: the key 'payer' is that of a role", 'key = "payer"\nname = "User"',
    ),
    "a gate before the decision behind one after it": (
        'name = "Money"', 'name = "Money"\nafter_decision = true',
        "gates.decision.after_decision: a gate before the decision stands behind one after it",
        '[[gates]]\nkey = "decision"',
    ),
    "nothing before the decision": (
        'stage = "Consideration"  #', 'stage = "Consideration"\nafter_decision = true  #',
        "gates.problem.after_decision: the first gate comes before the decision",
        "after_decision = true  #",
    ),
}  # fmt: skip
"""What is wrong: a piece of the text, what stands instead, the key and words told, the line."""


@pytest.mark.parametrize("what", FAULTS)
def test_a_fault_names_its_key_and_its_line(what: str) -> None:
    right, wrong, told, starts = FAULTS[what]
    text = PLAYBOOK.replace(right, wrong, 1)
    assert text != PLAYBOOK
    error = refusal(text)
    line = text[: text.index(starts)].count("\n") + 1
    assert error.message.startswith(told)
    assert error.where == f"small.toml:{line}"


def test_of_several_faults_the_first_in_the_text_is_told_and_the_others_are_counted() -> None:
    text = PLAYBOOK.replace('name = "Decision"', 'nam = "Decision"').replace(
        "threshold = 1", "threshold = -1"
    )
    error = refusal(text)
    assert error.message.startswith("gates.problem.threshold: ")
    assert error.message.endswith(" (and 2 more)")
    text = PLAYBOOK.replace('said_by_role = "user"', 'said_by_role = "uzer"').replace(
        'said_by_role = "payer"', 'said_by_role = "prayer"'
    )
    assert refusal(text).message.endswith(" (and 1 more)")


@pytest.mark.parametrize(
    ("right", "wrong", "starts"),
    [
        ('name = "Money"', 'name = "Money', 'name = "Money\n'),
        ("[[gates.criteria]]", "[gates.criteria]]", "[gates.criteria]]"),
        ("threshold = 1", "threshold = 1\nthreshold = 2", "threshold = 2"),
    ],
)
def test_what_is_not_toml_names_the_line(right: str, wrong: str, starts: str) -> None:
    text = PLAYBOOK.replace(right, wrong, 1)
    line = text[: text.index(starts)].count("\n") + 1
    error = refusal(text)
    assert error.where == f"small.toml:{line}"
    assert error.message.startswith("not TOML: ")


def test_a_text_that_breaks_off_names_its_last_line() -> None:
    assert refusal('key = "small"\nquestions = [\n  "Why?",\n').where == "small.toml:3"
    assert refusal("key = ").where == "small.toml:1"


def test_windows_line_ends_do_not_move_the_line() -> None:
    text = PLAYBOOK.replace("threshold = 1", "threshold = 2")
    assert refusal(text.replace("\n", "\r\n")).where == refusal(text).where


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_what_is_shipped_is_right_and_named_by_its_key(path: Path) -> None:
    assert parse_playbook(path.read_text(encoding="utf-8"), where=path.name).key == path.stem


# --- at the other doors ---------------------------------------------------------------------------


def _as_json(playbook: Playbook) -> dict[str, object]:
    spelled: dict[str, object] = playbook.model_dump(mode="json", exclude_none=True)
    return spelled


def test_a_payload_with_parts_that_do_not_fit_is_refused_with_its_path() -> None:
    playbook = parse_playbook(PLAYBOOK, where="small.toml")
    gates = [playbook.gates[0].model_copy(update={"threshold": 2}), *playbook.gates[1:]]
    unfit = playbook.model_copy(update={"gates": tuple(gates)})
    with pytest.raises(InvalidInput) as caught:
        parse_payload("playbook-published", {"playbook": _as_json(unfit)})
    assert caught.value.code == "invalid-playbook"
    assert caught.value.where == "playbook-published.playbook.gates.0.threshold"


def test_a_version_published_before_a_rule_was_made_is_still_read() -> None:
    """The first release did not ask whether a threshold can be reached."""
    playbook = parse_playbook(PLAYBOOK, where="small.toml")
    recorded = _as_json(playbook)
    del recorded["roles"]
    recorded["gates"] = [
        {"key": "problem", "name": "Problem", "stage": "Consideration", "threshold": 5,
         "criteria": [{"key": "fit", "question": "Who confirmed the fit?"}]},
    ]  # fmt: skip
    today = upcast("playbook-published", 1, {"playbook": recorded})
    assert Playbook.model_validate(today["playbook"]).gates[0].threshold == 5
