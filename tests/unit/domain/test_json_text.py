"""JSON objects as people give them: one key, one meaning."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.domain.errors import InvalidInput
from ledger.domain.events import parse_payload
from ledger.domain.json_text import parse_object

objects = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=4),
    lambda part: st.lists(part, max_size=3) | st.dictionaries(st.text(max_size=3), part),
    max_leaves=6,
)


@given(st.dictionaries(st.text(max_size=3), objects), st.sampled_from([None, 1]))
def test_an_object_without_repeated_keys_is_read_as_it_is(
    value: dict[str, object], indent: int | None
) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    assert parse_object(text, what="it") == value
    assert parse_object(text.encode(), what="it") == value


@pytest.mark.parametrize(
    "text",
    ['{"a":1,"a":1}', '{"b": {"a": 1, "a": 2}}', '{"b": [{"a": 1, "\\u0061": 2}]}'],
)
def test_a_repeated_key_is_refused_wherever_it_stands(text: str) -> None:
    for spelling in (text, text.encode()):
        with pytest.raises(InvalidInput) as refused:
            parse_object(spelling, what="the payload")
        assert (refused.value.code, refused.value.where) == ("duplicate-key", "a")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "1", '{"a": NaN}', '{"a": ' * 2000, b'{"\xff": 1}']
)
def test_what_is_no_object_is_refused(text: str | bytes) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_object(text, what="the payload")
    assert refused.value.code == "invalid-json"


@pytest.mark.parametrize("depth", [100, 1000, 100_000])
def test_an_object_nested_deeply_is_read_or_refused(depth: int) -> None:
    text = '{"a": ' * depth + "1" + "}" * depth
    if depth == 100:
        assert parse_object(text, what="the payload")["a"]
        return
    with suppress(InvalidInput):  # how deep is too deep depends on the interpreter
        parse_object(text, what="the payload")


@pytest.mark.parametrize(
    "value",
    [1764892800, 1764892800.0, True, "1764892800", "31/03/2026", "2026-03-31T00:00:00Z", ""],
)
def test_a_close_date_is_iso_text(value: object) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_payload("deal-revised", {"close_date": value})
    assert (refused.value.code, refused.value.where) == ("invalid-date", "deal-revised.close_date")
    parse_payload("deal-revised", {"close_date": "2026-03-31"})
