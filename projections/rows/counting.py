"""How many rows there are, without making them where the tables can count them.

Law: the number is that of the rows which `asking.rows` gives.
"""

from __future__ import annotations

from contextlib import closing
from typing import LiteralString

from projections.book import Book
from projections.rows.asking import Question, is_text, rows
from projections.rows.deals import DEALS
from projections.rows.served import Asked
from projections.tables.serving import Tables

_COUNT: LiteralString = "SELECT count(*) FROM ({rows}) AS row"


def count_of(book: Book, asked: Question) -> int:
    """The number of rows that a question asks for.

    Args:
        book: the book at the basis.
        asked: which rows; their order does not matter.
    """
    texts = (each for each in asked.given.values() if isinstance(each, str))
    if not all(map(is_text, texts)):
        return 0
    wanted = asked.wanted(())
    if asked.table is DEALS and not wanted.folded(asked.table):
        counting = Asked(book, asked.given, wanted)
        with book.tables() as tables:
            if tables is not None:
                return counted(counting, tables)
    with closing(rows(book, asked, ())) as made:
        return sum(1 for _row in made)


def counted(asked: Asked, tables: Tables) -> int:
    """How many deals the tables have of those asked for.

    Args:
        asked: which; it is asked nothing else.
        tables: that may answer.
    """
    asked.prepare(tables, ordered=False)
    statement = _COUNT.replace("{rows}", asked.statement(["s.deal"], ordered=False))
    count: int = tables.rows(statement, asked.parameters)[0][0]
    return count
