"""Event ids: time-ordered for what is recorded here, the source's own identity for imports."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import RFC_4122, UUID

from hypothesis import given
from hypothesis import strategies as st

from ledger.domain.ids import event_id_at, event_id_of

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

instants = st.datetimes(
    min_value=datetime(1970, 1, 1),  # noqa: DTZ001 - Hypothesis adds the time zone
    max_value=datetime(9999, 12, 31),  # noqa: DTZ001 - likewise
    timezones=st.just(UTC),
)
parts = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=30)


@given(instants)
def test_a_new_id_is_a_uuid_of_version_7_that_says_its_millisecond(instant: datetime) -> None:
    made = event_id_at(instant)
    assert (made.version, made.variant) == (7, RFC_4122)
    assert made.int >> 80 == (instant - EPOCH) // timedelta(milliseconds=1)


def test_new_ids_of_the_same_instant_differ() -> None:
    instant = datetime(2026, 3, 31, tzinfo=UTC)
    assert len({event_id_at(instant) for _ in range(1000)}) == 1000


@given(parts, parts, parts)
def test_an_imported_id_is_a_uuid_of_version_8_made_from_the_sources_identity(
    system: str, record: str, change: str
) -> None:
    made = event_id_of(system, record, change)
    assert (made.version, made.variant) == (8, RFC_4122)
    assert made == event_id_of(system, record, change)


def test_an_imported_id_is_the_same_in_every_release() -> None:
    assert event_id_of("salesforce", "006A", "008B") == UUID("2470829c-7311-8240-9a15-b5978ae384dd")


@given(st.tuples(parts, parts, parts), st.tuples(parts, parts, parts))
def test_other_identities_have_other_ids(
    one: tuple[str, str, str], other: tuple[str, str, str]
) -> None:
    assert (event_id_of(*one) == event_id_of(*other)) is (one == other)


def test_where_one_part_ends_and_the_next_begins_matters() -> None:
    assert event_id_of("a", "bc", "d") != event_id_of("ab", "c", "d")
