"""What tells one question from another."""

import pytest

from api.graphql.cursor import digest_of
from ledger.domain.errors import InvalidInput


def test_questions_that_differ_have_other_digests() -> None:
    assert digest_of("people", None) != digest_of("people", "kim")
    assert digest_of({"a": 1, "b": 2}) == digest_of({"b": 2, "a": 1})


def test_half_of_a_character_is_refused_and_says_so() -> None:
    with pytest.raises(InvalidInput) as refused:
        digest_of("people", "\ud800")
    assert refused.value.code == "invalid-argument"
