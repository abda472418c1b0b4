"""What may be kept of an answer: its tag, and for how long.

Law: a tag is made from the question, from who asks, from all bases that the answer states, and from
the release that made it; the same tag is the same answer, but for what it was made from. An answer
is immutable only where nothing recorded later can change it: its horizon is pinned, and its times
are instants or positions, or no clock can change it. A date is not: the reporting time zone, in
which its day ends, may be set anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from importlib.metadata import version
from typing import Any

import orjson

from api.access.principals import Principal
from api.asof import AsOf
from ledger.domain.basis import Basis
from ledger.domain.errors import InvalidInput
from ledger.domain.times import parse_as_of

RELEASE = version("qualification-ledger")
IMMUTABLE = "private, max-age=31536000, immutable"
ALWAYS_ASK = "private, no-cache"


def tag_of(asked: Any, principal: Principal, bases: Iterable[Basis | int]) -> str:
    """The ETag of an answer.

    Args:
        asked: the question, as JSON values.
        principal: who asks: others may see less.
        bases: what the answer rests on: bases, and ends of the log.
    """
    who = [principal.person, str(principal.role)]
    rests_on = [each if isinstance(each, int) else each.as_dict() for each in bases]
    rests_on.sort(key=str)  # parts of one question are answered in any order
    whole = orjson.dumps([RELEASE, asked, who, rests_on], option=orjson.OPT_SORT_KEYS)
    return f'"{hashlib.sha256(whole).hexdigest()[:32]}"'


def is_fresh(tag: str, if_none_match: str | None) -> bool:
    """Whether who asks has that answer already.

    Args:
        tag: of the answer.
        if_none_match: the header, as sent.
    """
    if if_none_match is None:
        return False
    sent = {each.strip().removeprefix("W/") for each in if_none_match.split(",")}
    return tag in sent or "*" in sent


def is_pinned(asked: AsOf) -> bool:
    """Whether nothing recorded later can change what a question means."""
    try:
        spelt = [
            parse_as_of(text) for text in (asked.as_of, asked.valid_at, asked.known_at) if text
        ]
    except InvalidInput:  # such as "now"
        return False
    told = asked.timeless or asked.as_of is not None or asked.valid_at is not None
    ends = asked.horizon is not None or any(each.position is not None for each in spelt)
    return told and ends and all(each.day is None for each in spelt)
