"""What a flat table is: its columns, its filters, its key, and how its rows are made.

Law: a table is defined once. The GraphQL roots, the exports and the column catalogue are made from
that definition, so they agree by construction. Cells are scalars: text, numbers, flags; an instant
and a day are text in their one spelling. Every row says at which basis it was made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from functools import cached_property
from typing import NamedTuple, TypeAlias

from ledger.domain.basis import Basis
from ledger.domain.times import format_instant
from projections.book import Book

Cell: TypeAlias = str | int | float | bool | None
Row: TypeAlias = tuple[Cell, ...]


class Kind(StrEnum):
    """The type of a column or an argument, by the name that it has in GraphQL."""

    ID = "ID"
    STRING = "String"
    INT = "Int"
    BIG_INT = "BigInt"
    """Of arguments alone: a position, as all other arguments take it."""
    FLOAT = "Float"
    BOOLEAN = "Boolean"
    DATETIME = "DateTime"
    DATE = "Date"


class Role(StrEnum):
    """What a column is for: to cut by, or to calculate with."""

    DIMENSION = "dimension"
    SUM = "sum"
    MEAN = "mean"

    @property
    def is_measure(self) -> bool:
        """Whether it is calculated with; its value says how."""
        return self is not Role.DIMENSION


class Source(StrEnum):
    """What a column needs to be read: the kept states of deals, or the fold of their events."""

    STATE = "state"
    FOLD = "fold"


class Column(NamedTuple):
    """A column.

    Args:
        name: in small letters with underscores; in GraphQL with capitals instead.
        kind: its type.
        description: what it says, for an analyst.
        role: whether it is a dimension, or a measure that is summed or averaged.
        required: whether it never is null.
        exact: for a measure, the column that holds the same as exact decimal text.
        currency: for an amount, the column that says in which currency it is; it is summed only
            where all rows have one.
        alike: for a measure, columns in which rows say of what it is; what is of several is never
            calculated into one number.
        source: what it is read from.
    """

    name: str
    kind: Kind
    description: str
    role: Role = Role.DIMENSION
    required: bool = False
    exact: str | None = None
    currency: str | None = None
    alike: tuple[str, ...] = ()
    source: Source = Source.STATE

    @property
    def parted_by(self) -> tuple[str, ...]:
        """The columns in which all rows must say the same for it to be calculated with."""
        return self.alike if self.currency is None else (self.currency, *self.alike)


class Test(StrEnum):
    """How a filter looks at a column."""

    IS = "is"
    AT_LEAST = "at_least"
    AT_MOST = "at_most"
    AFTER = "after"
    ANY_OF = "any_of"
    IN_PERIOD = "in_period"
    HAS_DIMENSION = "has_dimension"


class Filter(NamedTuple):
    """An argument that leaves rows out.

    Args:
        name: as columns are named.
        column: at which column it looks.
        test: how.
        kind: the type of the argument.
        description: for an analyst.
        choices: the values that it may have; none means any.
        check: refuses a value in words of its own.
    """

    name: str
    column: str
    test: Test
    kind: Kind
    description: str
    choices: tuple[str, ...] = ()
    check: Callable[[str], object] | None = None


class Option(NamedTuple):
    """An argument that says of what rows are made, such as a forecast's period.

    Args:
        name: as columns are named.
        kind: the type of the argument.
        description: for an analyst.
    """

    name: str
    kind: Kind
    description: str


class Wanted(NamedTuple):
    """What is wanted of a table's rows.

    Args:
        columns: the names of the columns that will be looked at; others may be left null.
        options: the values of options, by name.
        hints: filter name -> value, of filters that are tested on the rows anyway; whoever makes
            rows may use them to read less.
        after: the key of a row: only rows behind it.
    """

    columns: frozenset[str]
    options: Mapping[str, Cell]
    hints: Mapping[str, Cell]
    after: Row | None = None

    def folded(self, table: Table) -> bool:
        """Whether any column is wanted that only the fold says."""
        return any(column.source is Source.FOLD and column.name in self.columns
                   for column in table.columns)  # fmt: skip


Maker: TypeAlias = Callable[[Book, Wanted], Iterator[Row]]


class Table:
    """A flat table.

    Args:
        name: the plural of what a row is, such as deals; the name of its export.
        root: the name of its GraphQL root, in small letters with underscores.
        title: what a row is, as a sentence begins.
        columns: in their order; those of the basis come last.
        key: the columns that tell rows apart, in the order in which rows come.
        filters: arguments that leave rows out.
        make: gives the rows at a book's basis, all columns in order, sorted by the key.
        options: arguments that say of what rows are made.
        timeless: whether its rows are the same whenever they are asked for, as long as the same
            events are seen.
    """

    def __init__(  # noqa: PLR0913 - every part of a table is one
        self,
        name: str,
        root: str,
        title: str,
        *,
        columns: tuple[Column, ...],
        key: tuple[str, ...],
        filters: tuple[Filter, ...],
        make: Maker,
        options: tuple[Option, ...] = (),
        timeless: bool = False,
    ) -> None:
        self.name = name
        self.root = root
        self.title = title
        self.columns = (*columns, *BASIS_COLUMNS)
        self.key = key
        self.filters = filters
        self.options = options
        self.make = make
        self.timeless = timeless

    @cached_property
    def index(self) -> Mapping[str, int]:
        """The place of each column in a row."""
        return {column.name: place for place, column in enumerate(self.columns)}

    def column(self, name: str) -> Column:
        """The column of that name."""
        return self.columns[self.index[name]]

    @property
    def arguments(self) -> tuple[Option | Filter, ...]:
        """What may be asked besides the basis."""
        return (*self.options, *self.filters)

    @property
    def ready_columns(self) -> tuple[Column, ...]:
        """The columns of an export that names none: those that need no fold where others do not."""
        ready = tuple(column for column in self.columns if column.source is Source.STATE)
        return ready if len(ready) > len(BASIS_COLUMNS) else self.columns

    @property
    def measures(self) -> tuple[Column, ...]:
        """The columns to calculate with."""
        return tuple(column for column in self.columns if column.role.is_measure)

    @property
    def dimensions(self) -> tuple[Column, ...]:
        """The columns to cut by."""
        return tuple(column for column in self.columns if not column.role.is_measure)


BASIS_COLUMNS = (
    Column(
        "as_of", Kind.DATETIME, "Valid time of the basis: what had happened at the buyer by then.",
        required=True,
    ),
    Column(
        "basis_known_at", Kind.DATETIME,
        "Knowledge time of the basis: what the organisation knew by then.", required=True,
    ),
    Column(
        "basis_position", Kind.INT,
        "The last position of the log that was taken into account. Ask with horizon to repeat it.",
        required=True,
    ),
    Column("basis_rules", Kind.STRING, "The version of the folding rules.", required=True),
)  # fmt: skip
"""At which basis a row was made; the last columns of every table."""


def basis_cells(basis: Basis) -> Row:
    """The cells of `BASIS_COLUMNS`."""
    return (
        format_instant(basis.valid_at),
        format_instant(basis.known_at),
        basis.horizon,
        basis.rules,
    )


def names_in(text: str) -> tuple[str, ...]:
    """Names that stand in a text by commas."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def camel(name: str) -> str:
    """A name as GraphQL spells it."""
    first, *others = name.split("_")
    return first + "".join(part.capitalize() for part in others)
