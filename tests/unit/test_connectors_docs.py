"""The page on importing names every kind, field and code that there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ledger.connectors.mapping import FIELDS, parse_mapping

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "importing.md").read_text(encoding="utf-8")
REJECTING = ("cells.py", "columns.py", "dates.py", "reader.py", "rows.py", "scribe.py", "calls.py")
REFUSING = {
    # What refuses a whole file or mapping: an error, not a reject.
    "not-utf-8", "empty-file", "duplicate-column", "unreadable-file", "unknown-encoding",
    "missing-file", "too-many-columns", "invalid-mapping", "wrong-kind", "no-files",
}  # fmt: skip


@pytest.mark.parametrize("kind", FIELDS)
def test_every_kind_and_field_is_told(kind: str) -> None:
    (row,) = re.findall(rf"^\| `{kind}` \|(.*)$", PAGE, flags=re.MULTILINE)
    told = set(re.findall(r"\w+", row))
    needed, optional = FIELDS[kind]
    assert needed | optional <= told


def test_every_code_of_a_reject_is_told() -> None:
    code = re.compile(r'"([a-z0-9]+(?:-[a-z0-9]+)+)"')
    found = set()
    for name in REJECTING:
        text = (ROOT / "ledger" / "connectors" / name).read_text(encoding="utf-8")
        for call in re.findall(
            r"(?:Unreadable|RowFault|Fault|fault|_missing)\((.*?)\)", text, re.DOTALL
        ):
            found.update(code.findall(call))
    assert len(found) > 12
    assert {name for name in found - REFUSING if f"`{name}`" not in PAGE} == set()


def test_the_example_is_a_mapping() -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", PAGE, flags=re.DOTALL)
    assert parse_mapping(example, where="docs/importing.md").system == "crm"
