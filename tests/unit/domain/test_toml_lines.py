"""The line of every key and table of a TOML document, found without guessing."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.domain.toml_lines import Path, line_of, lines_of

DOCUMENT = '''\
# [[gates]] is only a comment here
title = "a # is no comment"

[[gates]]
key = "one"
questions = [
  "first [[gates]]",   # "not one"
  "second",

  """a long
one with key = 3 and "quotes" in it""",
  "fourth",
]

  [[gates.criteria]]
  key = "a"
  text = """
[[gates.criteria]]
key = "never"
"""
  days = 3

  [[gates.criteria]]
  "key" = 'b'
  limits.first = 1
  limits."se.cond" = 2

[gates.owner]
name = \'\'\'it's

\'\'\'\'
[[gates]]
key = "two"
criteria = [
  { key = "c", days = 1 },
  { key = "d", days = 2, fresher = { x = 1, y = [
      5,
      6,
  ] } },
]

[other . "table"]
when = 1979-05-27 07:32:00
'''


def paths(value: Any, path: Path = ()) -> list[Path]:
    """Every path in a document."""
    found = [path] if path else []
    if isinstance(value, dict):
        found += [deep for key, part in value.items() for deep in paths(part, (*path, key))]
    elif isinstance(value, list):
        found += [deep for at, part in enumerate(value) for deep in paths(part, (*path, at))]
    return found


@pytest.mark.parametrize(
    ("path", "starts"),
    [
        (("title",), "title"),
        (("gates", 0), "[[gates]]"),
        (("gates", 0, "key"), 'key = "one"'),
        (("gates", 0, "questions"), "questions = ["),
        (("gates", 0, "questions", 0), '  "first'),
        (("gates", 0, "questions", 2), '  """a long'),
        (("gates", 0, "questions", 3), '  "fourth"'),
        (("gates", 0, "criteria", 0, "key"), '  key = "a"'),
        (("gates", 0, "criteria", 0, "days"), "  days = 3"),
        (("gates", 0, "criteria", 1, "key"), "  \"key\" = 'b'"),
        (("gates", 0, "criteria", 1, "limits", "se.cond"), '  limits."se.cond"'),
        (("gates", 0, "owner"), "[gates.owner]"),
        (("gates", 0, "owner", "name"), "name = '''"),
        (("gates", 1, "key"), 'key = "two"'),
        (("gates", 1, "criteria", 0, "days"), '  { key = "c"'),
        (("gates", 1, "criteria", 1, "fresher", "y", 1), "      6,"),
        (("other", "table", "when"), "when = 1979"),
    ],
)
def test_a_part_stands_on_its_line(path: Path, starts: str) -> None:
    line = line_of(lines_of(DOCUMENT), path)
    assert DOCUMENT.splitlines()[line - 1].startswith(starts)


def test_every_part_of_a_document_is_found() -> None:
    assert set(lines_of(DOCUMENT)) == set(paths(tomllib.loads(DOCUMENT)))


def test_what_is_not_there_stands_where_it_would_belong() -> None:
    lines = lines_of(DOCUMENT)
    header = lines["gates", 0, "criteria", 1]
    assert line_of(lines, ("gates", 0, "criteria", 1, "question")) == header
    assert line_of(lines, ("version",)) == 1
    assert line_of(lines, ()) == 1


def test_windows_line_ends_are_counted_once() -> None:
    lines = lines_of('a = 1\r\n\r\n[[b]]\r\nc = """x\r\ny"""\r\nd = 2\r\n')
    assert (lines["a",], lines["b", 0], lines["b", 0, "d"]) == (1, 3, 6)


# --- every document -------------------------------------------------------------------------------

KEYS = st.sampled_from(["a", "b_c", '"d.e"', "'f #'", '"[g]"', "a . b", '"q\\"uote"'])
SCALARS = st.sampled_from(
    ["1", "true", "1.5e3", "07:32:00", '"# ] }"', "'= ,'", '"\\\\"', '"\\" ["',
     '"""x\n] = """', "'''\n[[a]]\n'''", '""', "''", '""""""', '"""a""\\""""', "''''x'''''"]
)  # fmt: skip
GAPS = st.sampled_from(["", " ", "\n", " # ], = }\n", "\n\n\t"])


@st.composite
def arrays(draw: st.DrawFn, values: st.SearchStrategy[str]) -> str:
    parts = [f"{draw(GAPS)}{value}{draw(GAPS)}," for value in draw(st.lists(values, max_size=3))]
    return f"[{''.join(parts)}{draw(GAPS)}]"


def inline_tables(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pairs = st.dictionaries(st.sampled_from(["x", '"y z"', "w.v"]), values, max_size=3)
    return pairs.map(lambda d: "{ " + ", ".join(f"{k} = {v}" for k, v in d.items()) + " }")


VALUES = st.recursive(SCALARS, lambda inner: arrays(inner) | inline_tables(inner), max_leaves=6)


@st.composite
def documents(draw: st.DrawFn) -> str:
    """A document of tables, arrays of tables, comments and values of every kind."""
    written = []
    for _ in range(draw(st.integers(0, 4))):
        written.append(draw(st.sampled_from(["[[t]]", "[[t.u]]", "[[t]] # [[t]]", " [[ t . u ]]"])))
        body = draw(st.dictionaries(KEYS, VALUES, max_size=3))
        written += [f"{key} = {value}{draw(st.sampled_from(['', ' # k = 1']))}"
                    for key, value in body.items()]  # fmt: skip
        written.append(draw(GAPS))
    return "\n".join(written)


@given(documents())
def test_in_any_document_all_parts_are_found_and_in_the_order_of_the_text(document: str) -> None:
    try:
        parsed = tomllib.loads(document)
    except tomllib.TOMLDecodeError:
        return
    lines = lines_of(document)
    assert set(lines) == set(paths(parsed))
    text = document.split("\n")
    for path, line in lines.items():
        last = path[-1]
        if isinstance(last, str):
            name = last.replace('"', '\\"')
            assert name in text[line - 1], (path, line)
