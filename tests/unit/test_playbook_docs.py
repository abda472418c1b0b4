"""The page on playbooks tells every key, and its example is a playbook."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from ledger.domain.playbook import Criterion, Gate, Playbook, Role, parse_playbook
from projections.fold.rulebook import REVIEW_DAYS

PAGE = (Path(__file__).parents[2] / "docs" / "playbooks.md").read_text(encoding="utf-8")
SECTIONS: dict[str, type[BaseModel]] = {
    "The playbook": Playbook, "A role": Role, "A gate": Gate, "An exit criterion": Criterion,
}  # fmt: skip


def section(title: str) -> str:
    found = re.search(rf"^### {title}\n(.*?)(?=^##)", PAGE, re.MULTILINE | re.DOTALL)
    assert found, title
    return found[1]


def test_the_example_is_one_that_can_be_published() -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    playbook = parse_playbook(example, where="docs/playbooks.md")
    assert [gate.key for gate in playbook.gates] == ["problem", "decision"]


@pytest.mark.parametrize("title", SECTIONS)
def test_every_key_is_told_and_no_other(title: str) -> None:
    told = set()
    for cell in re.findall(r"^\| (`[^|]*`) \|", section(title), re.MULTILINE):
        told |= set(re.findall(r"`(\w+)`", cell))
    assert told == set(SECTIONS[title].model_fields)


def test_the_days_after_which_a_review_is_due_are_those_of_the_fold() -> None:
    assert f"for {REVIEW_DAYS} days" in PAGE


def test_the_fault_that_is_shown_is_told_in_those_words() -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    wrong = example.replace("decision = 45", "decision = 95")
    with pytest.raises(Exception, match="95 days are not fewer than the 90") as caught:
        parse_playbook(wrong, where="new_business.toml")
    (shown,) = re.findall(r"```\n(error: .*?)```", PAGE, re.DOTALL)
    assert " ".join(shown.split()) == f"error: {caught.value}"
