"""Answers as the bytes that are sent: JSON in UTF-8; parts that are JSON already stay as they are.

Law: every answer can be sent. What the fast writer does not take - whole numbers beyond 64 bits,
half a character - the slow one does, with the same meaning.
"""

from __future__ import annotations

import json
from typing import Any

import orjson


def json_bytes(answer: object) -> bytes:
    """An answer as JSON.

    Args:
        answer: of plain values, and of `orjson.Fragment` where a part is JSON already.
    """
    try:
        return orjson.dumps(answer)
    except TypeError:
        spelt = json.dumps(answer, separators=(",", ":"), default=_opened)
        return spelt.encode()


def _opened(value: Any) -> Any:
    if isinstance(value, orjson.Fragment):
        return orjson.loads(value.contents)
    raise TypeError(f"{type(value).__name__} is no part of an answer")
