"""JSON objects as people and files give them.

Law: one key, one meaning. A key that stands twice in an object is refused: JSON readers differ in
which of the two they take, so nobody could say what was meant.
"""

from __future__ import annotations

import json
from typing import Any

import orjson

from ledger.domain.envelope import canonical
from ledger.domain.errors import InvalidInput


def parse_object(text: str | bytes, *, what: str) -> dict[str, Any]:
    """Read a JSON object.

    Args:
        text: UTF-8 where it is bytes.
        what: what it is, for the error, such as "the payload".

    Raises:
        InvalidInput: `invalid-json`, `duplicate-key`.
    """
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidInput("invalid-json", f"{what} is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise InvalidInput("invalid-json", f"{what} is not a JSON object")
    if not _is_canonical(text, value):
        _refuse_repeated_keys(text, what)
    return value


def _is_canonical(text: str | bytes, value: dict[str, Any]) -> bool:
    """Whether the text is the canonical one of its value, if it has one, and so repeats no key."""
    spelt = text if isinstance(text, bytes) else text.encode()
    try:
        return spelt.strip() == canonical(value)
    except TypeError:
        return False


def _refuse_repeated_keys(text: str | bytes, what: str) -> None:
    def once(pairs: list[tuple[str, Any]]) -> None:
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise InvalidInput("duplicate-key", f"{what} has {key[:80]!r} twice", where=key)
            seen.add(key)

    spelt = text if isinstance(text, str) else text.decode()
    try:
        json.loads(spelt, object_pairs_hook=once, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        raise InvalidInput("invalid-json", f"{what} is nested too deeply to be read") from None
