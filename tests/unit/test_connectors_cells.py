"""Cells, dates and rows: read exactly, or refused with a code."""

from __future__ import annotations

import gzip
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.connectors import cells
from ledger.connectors.columns import currency_of_column
from ledger.connectors.dates import (
    DateOrder,
    DateReader,
    OrderVotes,
    Unreadable,
    count_orders,
    settle_order,
)
from ledger.connectors.rows import FIELD_CHARS_MAX, open_table
from ledger.domain.errors import InvalidInput

UTC_ZONE = ZoneInfo("UTC")
utc = partial(datetime, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "order", "expected"),
    [
        ("2026-03-31", None, utc(2026, 3, 31)),
        ("2026-03-31T17:05:06Z", None, utc(2026, 3, 31, 17, 5, 6)),
        ("2026-03-31T17:05:06.000+0000", None, utc(2026, 3, 31, 17, 5, 6)),
        ("2026-03-31T19:05:06.123+02:00", None, utc(2026, 3, 31, 17, 5, 6, 123000)),
        ("2026-03-31 17:05:06.123456", None, utc(2026, 3, 31, 17, 5, 6, 123456)),
        ("2021-01-07 6:49:18", None, utc(2021, 1, 7, 6, 49, 18)),
        ("2023-05-03 08:51:08.199000 UTC", None, utc(2023, 5, 3, 8, 51, 8, 199000)),
        ("31/03/2026", "dmy", utc(2026, 3, 31)),
        ("02/03/2022 16:11", "dmy", utc(2022, 3, 2, 16, 11)),
        ("03/31/26", "mdy", utc(2026, 3, 31)),
        ("02/23/26 08:55 PM", "mdy", utc(2026, 2, 23, 20, 55)),
        ("02/24/26 12:19 AM", "mdy", utc(2026, 2, 24, 0, 19)),
        ("1/2/68", "dmy", utc(2068, 2, 1)),
        ("1/2/69", "dmy", utc(1969, 2, 1)),
        ("31.03.2026", "dmy", utc(2026, 3, 31)),
    ],
)
def test_dates_are_read_as_exports_write_them(
    text: str, order: DateOrder | None, expected: datetime
) -> None:
    assert DateReader(UTC_ZONE, order).instant(text) == expected


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("2026-02-30", None), ("20260331", None), ("2026-W01-1", None), ("31/03/2026", "mdy"),
        ("soon", "dmy"), ("13:00", "dmy"), ("02/23/26 13:55 PM", "mdy"), ("9" * 65, None),
    ],
)  # fmt: skip
def test_what_is_no_date_is_refused(text: str, order: DateOrder | None) -> None:
    with pytest.raises(Unreadable) as refused:
        DateReader(UTC_ZONE, order).instant(text)
    assert refused.value.code == "invalid-date"


def test_a_date_stands_in_the_mappings_time_zone_and_keeps_its_day() -> None:
    reader = DateReader(ZoneInfo("America/New_York"))
    assert reader.instant("2026-03-31") == datetime(2026, 3, 31, 4, tzinfo=UTC)
    assert reader.day("2026-03-31") == date(2026, 3, 31)
    assert reader.day("2026-03-31T23:30:00-04:00") == date(2026, 3, 31)


def test_further_formats_go_first() -> None:
    reader = DateReader(UTC_ZONE, formats=("%d %b %Y",))
    assert reader.day("3 Mar 2026") == date(2026, 3, 3)


@given(st.dates(min_value=date(1969, 1, 1), max_value=date(2068, 12, 31)), st.booleans())
def test_a_date_written_in_either_order_is_read_back(day: date, day_first: bool) -> None:
    order: DateOrder = "dmy" if day_first else "mdy"
    pattern = "%d/%m/%y" if day_first else "%m/%d/%y"
    assert DateReader(UTC_ZONE, order).day(day.strftime(pattern)) == day


@pytest.mark.parametrize(
    ("texts", "order"),
    [
        (["01/02/2026", "13/02/2026"], "dmy"),
        (["01/02/2026", "02/13/2026"], "mdy"),
        (["2026-01-02"], None),
        (["05/05/2026"], None),
        (["13/02/2026", "14/02/2026", "02/13/2026"], "dmy"),
    ],
)
def test_the_dates_of_an_export_prove_their_order(texts: list[str], order: str | None) -> None:
    assert settle_order(count_orders(texts)) == order


@pytest.mark.parametrize("votes", [OrderVotes(0, 0, 3), OrderVotes(2, 2, 0)])
def test_an_order_that_nothing_proves_must_be_given(votes: OrderVotes) -> None:
    with pytest.raises(InvalidInput) as refused:
        settle_order(votes)
    assert refused.value.code == "ambiguous-dates"
    assert "--date-order" in refused.value.hint


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        ("1000", "1000"), ("1000.50", "1000.50"), ("1,234,567.89", "1234567.89"),
        ("$1,000", "1000"), ("1.234,50 €", "1234.50"), ("1234,5", "1234.5"),
        ("EUR 12.00", "12.00"), ("1 234 567", "1234567"), ("2.412E7", "24120000"), ("0", "0"),
    ],
)  # fmt: skip
def test_amounts_keep_the_digits_of_the_file(text: str, digits: str) -> None:
    assert format(cells.decimal(text), "f") == digits


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("abc", "invalid-amount"), ("12.3.4", "invalid-amount"), ("-5", "negative-amount"),
        ("NaN", "invalid-amount"), ("1e20", "amount-too-large"), ("1,23,4", "invalid-amount"),
        ("0.0000001", "amount-too-large"),
    ],
)  # fmt: skip
def test_what_is_no_amount_is_refused(text: str, code: str) -> None:
    with pytest.raises(Unreadable) as refused:
        cells.decimal(text)
    assert refused.value.code == code


@given(st.decimals(min_value=0, max_value=10**12, places=2))
def test_an_amount_written_with_thousands_is_read_back(value: Decimal) -> None:
    assert cells.decimal(f"{value:,.2f}") == value


@pytest.mark.parametrize(
    ("column", "currency"),
    [("amount_usd", "USD"), ("Amount (EUR)", "EUR"), ("amount", None), ("amount_net", None)],
)
def test_a_columns_name_may_tell_the_currency(column: str, currency: str | None) -> None:
    assert currency_of_column(column) == currency


def test_probabilities_and_flags() -> None:
    assert [cells.percent(text) for text in ("50", "65.0", "70%", "")] == [50, 65, 70, None]
    assert [cells.boolean(text) for text in ("TRUE", "false", "1", "")] == [True, False, True, None]
    for read, text, code in (
        (cells.percent, "1000", "invalid-probability"),
        (cells.percent, "high", "invalid-probability"),
        (cells.boolean, "perhaps", "invalid-flag"),
    ):
        with pytest.raises(Unreadable) as refused:
            read(text)
        assert refused.value.code == code


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_rows_are_numbered_as_a_spreadsheet_does(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", b'\xef\xbb\xbfid,name\r\n1,"two\nlines"\r\n2,"a, ""b"""\r\n')
    table = open_table(path)
    assert table.columns == ("id", "name")
    assert [(row.number, row.cells) for row in table.rows()] == [
        (2, ["1", "two\nlines"]),
        (3, ["2", 'a, "b"']),
    ]


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_other_delimiters_are_found_in_the_header(tmp_path: Path, delimiter: str) -> None:
    path = write(tmp_path / "a.csv", f"id{delimiter}name\n1{delimiter}x,y\n".encode())
    assert [row.cells for row in open_table(path).rows()] == [["1", "x,y"]]


def test_gzip_and_utf_16_are_read_through(tmp_path: Path) -> None:
    zipped = write(tmp_path / "a.csv.gz", gzip.compress(b"id,name\n1,x\n"))
    wide = write(tmp_path / "b.csv", "id,name\n1,é\n".encode("utf-16"))
    assert [row.cells for row in open_table(zipped).rows()] == [["1", "x"]]
    assert [row.cells for row in open_table(wide).rows()] == [["1", "é"]]


def test_a_row_that_is_none_is_handed_over_as_such(tmp_path: Path) -> None:
    long = b"x" * (FIELD_CHARS_MAX + 1)
    path = write(tmp_path / "a.csv", b"id,name\n1\n2,b,c\n3," + long + b"\n4,d\n")
    rows = list(open_table(path).rows())
    assert [row.fault[0] if row.fault else "" for row in rows] == [
        "wrong-column-count", "wrong-column-count", "unreadable-row", "",
    ]  # fmt: skip
    assert rows[-1].number == 5


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"id,name\n1,caf\xe9\n", "not-utf-8"),
        (b"", "empty-file"),
        (b"id,id\n", "duplicate-column"),
        (b"\x1f\x8bnonsense", "unreadable-file"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_whole(
    tmp_path: Path, data: bytes, code: str
) -> None:
    path = write(tmp_path / "a.csv", data)
    with pytest.raises(InvalidInput) as refused:
        list(open_table(path).rows())
    assert refused.value.code == code


def test_another_encoding_is_read_when_it_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", b"id,name\n1,caf\xe9\n")
    assert [row.cells for row in open_table(path, "cp1252").rows()] == [["1", "café"]]
    with pytest.raises(InvalidInput) as refused:
        open_table(path, "no-such-code")
    assert refused.value.code == "unknown-encoding"
