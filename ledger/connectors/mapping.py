"""Mappings: how the columns of an export become facts.

Law: a mapping is a TOML document that is checked whole before a row is read; what it names wrongly
is told with its line or key. It says which file is of which kind, which column is which field, what
stages mean, and which spellings are to be replaced. Nothing in a mapping is code.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Annotated, Literal, Self, TypeAlias, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from ledger.connectors.dates import DateOrder
from ledger.connectors.stages import StageRule
from ledger.domain.errors import InvalidInput
from ledger.domain.events import Category, Key, Moment, Outcome
from ledger.domain.times import zone

Kind: TypeAlias = Literal[
    "deals", "history", "field_history", "event_log", "accounts", "people", "contacts",
    "stakeholders", "evidence", "products", "calls", "quotas", "rates",
]  # fmt: skip

Column = Annotated[str, StringConstraints(min_length=1, max_length=300)]

_DEAL = {
    "name", "account", "owner", "stage", "category", "probability", "amount", "currency",
    "close_date", "is_closed", "is_won", "is_deleted",
}  # fmt: skip
FIELDS: dict[str, tuple[set[str], set[str]]] = {
    "deals": (
        {"id"},
        _DEAL
        | {"opened", "closed", "modified", "loss_reason", "products", "playbook"}
        | {"economic_buyer", "champion"},
    ),
    "history": ({"deal", "at"}, _DEAL - {"is_closed", "is_won"} | {"id", "changed_by"}),
    "field_history": ({"deal", "at", "field", "new_value"}, {"id", "old_value", "changed_by"}),
    "event_log": (
        {"deal", "at", "stage"},
        {"id", "changed_by", "opened", "name", "account", "owner", "amount", "currency"},
    ),
    "accounts": ({"id"}, {"name", "parent", "opened"}),
    "people": (
        {"id"},
        {"name", "first_name", "last_name", "email", "role", "manager", "team", "joined"},
    ),
    "contacts": ({"id"}, {"name", "first_name", "last_name", "email", "title"}),
    "stakeholders": (
        {"deal", "id"},
        {"name", "email", "title", "role", "seniority", "influence", "reports_to", "at"},
    ),
    "evidence": (
        {"deal", "criterion", "at"},
        {"id", "stance", "source_kind", "quote", "said_by", "link", "sha256", "changed_by"},
    ),
    "products": ({"name"}, set()),
    "calls": (
        {"at", "period", "person"},
        {"commit", "best_case", "pipeline", "currency", "note", "id"},
    ),
    "quotas": ({"period", "person", "amount"}, {"at", "effective", "currency", "id"}),
    "rates": ({"currency", "to", "rate"}, {"at", "effective", "id"}),
}  # fmt: skip
"""Kind -> (fields that it needs, fields that it may have)."""

_WITH_DIMENSIONS = {"deals", "event_log", "accounts"}


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


_Document = TypeVar("_Document", bound=_Part)


class StageMap(_Part):
    """What one stage (or, with `*`, several) means; see `StageRule`."""

    gate: Key | None = None
    category: Category | None = None
    outcome: Outcome | None = None
    probability: Annotated[int, Field(ge=0, le=100)] | None = None
    evidence: Annotated[tuple[Key, ...], Field(max_length=20)] = ()
    against: Annotated[tuple[Key, ...], Field(max_length=20)] = ()
    ignore: bool = False
    reopens: bool = True

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        if both := sorted(set(self.evidence) & set(self.against)):
            raise ValueError(f"{both[0]!r} stands under evidence and under against")
        return self

    def rule(self) -> StageRule:
        return StageRule(
            self.gate, self.category, self.outcome, self.probability, self.evidence, self.against,
            self.ignore, self.reopens,
        )  # fmt: skip


class FileMap(_Part):
    """How files of one kind are read.

    Args:
        kind: what a row is.
        match: a pattern of file names; without it, any file that has the columns.
        columns: field -> column.
        constants: field -> text that stands in every row.
        dimensions: dimension -> column.
        known: field -> "closed", for what a deal's record tells only once it has closed.
        fields: for field histories, the source's field names -> ours.
        optional: fields whose column may be missing.
        opened_stage: the stage of a deal when it opens, where no history tells.
        product_separator: what stands between several products in one cell.
    """

    kind: Kind
    match: str | None = None
    columns: Annotated[dict[str, Column], Field(min_length=1, max_length=60)]
    constants: dict[str, str] = {}
    dimensions: Annotated[dict[Key, Column], Field(max_length=32)] = {}
    known: dict[str, Literal["closed"]] = {}
    fields: dict[str, str] = {}
    optional: tuple[str, ...] = ()
    opened_stage: str | None = None
    product_separator: str | None = None

    @model_validator(mode="after")
    def _fields_exist(self) -> Self:
        needed, allowed = FIELDS[self.kind]
        given = {**self.columns, **self.constants}
        for name in given:
            if name not in needed | allowed:
                choice = ", ".join(sorted(needed | allowed))
                raise ValueError(f"{self.kind} has no field {name!r}; it has: {choice}")
        missing = sorted(needed - given.keys())
        if missing:
            raise ValueError(f"{self.kind} needs a column for: {', '.join(missing)}")
        if self.dimensions and self.kind not in _WITH_DIMENSIONS:
            raise ValueError(f"{self.kind} has no dimensions")
        for name in self.known:
            if self.kind != "deals" or name not in ("amount", "close_date", "name", "owner"):
                raise ValueError(f"known: {name!r} cannot be known only at the close")
        return self

    def missing_in(self, columns: Sequence[str]) -> list[str]:
        """The columns that a file would need and does not have."""
        needed = {
            column for name, column in self.columns.items() if name not in self.optional
        } | set(self.dimensions.values())
        return sorted(needed - set(columns))


class Mapping(_Part):
    """A whole mapping.

    Args:
        system: the name of the source; part of every event's identity, so it must not change.
        time_zone: of dates and times that have no offset.
        date_order: of dates with slashes; found out from the dates when not given.
        date_formats: further formats, in `strptime`'s spelling.
        currency: of amounts that say none.
        id_prefix: put before every record id, to keep two sources apart.
        snapshot_at: when the records were as they are.
        unknown_stages: whether a stage that is not mapped is taken as open, or its row rejected.
    """

    system: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    time_zone: str | None = None
    date_order: DateOrder | None = None
    date_formats: Annotated[tuple[str, ...], Field(max_length=10)] = ()
    currency: str | None = None
    id_prefix: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:-]{0,32}$")] = ""
    snapshot_at: Moment | None = None
    unknown_stages: Literal["open", "reject"] = "open"
    files: Annotated[tuple[FileMap, ...], Field(min_length=1, max_length=40)]
    stages: Annotated[dict[str, StageMap], Field(max_length=500)] = {}
    values: dict[str, dict[str, str]] = {}

    def stage_rules(self) -> dict[str, StageRule]:
        """What the mapping says about stages, by name or pattern."""
        return {name: stage.rule() for name, stage in self.stages.items()}

    def criteria(self) -> set[str]:
        """The criteria on which some stage counts as attested evidence."""
        return {key for each in self.stages.values() for key in each.evidence + each.against}

    def gates(self) -> set[str]:
        """The gates for which some stage stands."""
        return {stage.gate for stage in self.stages.values() if stage.gate is not None}

    def file_for(self, name: str, columns: Sequence[str]) -> FileMap:
        """The first entry that a file fits, by its name and its columns.

        Raises:
            InvalidInput: `missing-column` when the name fits and columns are missing,
                `unrecognised-file` when nothing fits.
        """
        lacking: list[str] = []
        for entry in self.files:
            if entry.match is not None and not fnmatch(name.lower(), entry.match.lower()):
                continue
            missing = entry.missing_in(columns)
            if not missing:
                return entry
            if entry.match is not None and not lacking:
                lacking = missing
        if lacking:
            raise InvalidInput(
                "missing-column",
                f"{name} has no column {', '.join(map(repr, lacking))}",
                where=name,
                hint="it has: " + ", ".join(columns)[:400],
            )
        raise InvalidInput(
            "unrecognised-file",
            f"no [[files]] entry of the mapping fits {name}",
            where=name,
            hint="its columns are: " + ", ".join(columns)[:400],
        )


class StagesOnly(_Part):
    """What stages mean, for an export whose files and columns are found without a mapping."""

    stages: Annotated[dict[str, StageMap], Field(min_length=1, max_length=500)]


def parse_mapping(text: str, *, where: str) -> Mapping:
    """Read a mapping from TOML.

    Args:
        text: the document.
        where: the file's name, for errors.

    Raises:
        InvalidInput: `invalid-mapping`, naming the line (TOML errors) or the key;
            `unknown-time-zone`.
    """
    mapping = _parse(Mapping, text, where)
    zone(mapping.time_zone or "UTC", where=where)
    return mapping


def parse_stages(text: str, *, where: str) -> dict[str, StageMap]:
    """Read what stages mean from TOML that has `[stages."Name"]` tables and nothing else.

    Args:
        text: the document.
        where: the file's name, for errors.

    Raises:
        InvalidInput: `invalid-mapping`, naming the line (TOML errors) or the key.
    """
    return _parse(StagesOnly, text, where).stages


def _parse(shape: type[_Document], text: str, where: str) -> _Document:
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidInput("invalid-mapping", f"not TOML: {error}", where=where) from None
    try:
        return shape.model_validate(document)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        path = ".".join(str(part) for part in fault["loc"]) or "mapping"
        line = _line_of(text, [str(part) for part in fault["loc"]])
        raise InvalidInput(
            "invalid-mapping", f"{path}: {fault['msg']}", where=f"{where}:{line}" if line else where
        ) from None


def load_mapping(path: Path) -> Mapping:
    """Read a mapping file.

    Raises:
        InvalidInput: `missing-file`, `not-utf-8`, and what `parse_mapping` raises.
    """
    return parse_mapping(_text_of(path), where=path.name)


def load_stages(path: Path) -> dict[str, StageMap]:
    """Read a file that tells what stages mean.

    Raises:
        InvalidInput: `missing-file`, `not-utf-8`, and what `parse_stages` raises.
    """
    return parse_stages(_text_of(path), where=path.name)


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidInput("not-utf-8", f"{path} is not UTF-8 text") from None
    except OSError as error:
        raise InvalidInput("missing-file", f"{path} cannot be read: {error.strerror}") from None


def _line_of(text: str, path: Sequence[str]) -> int | None:
    """The line on which the last named key of a path stands, as well as it can be told."""
    lines = text.splitlines()
    at, found = 0, None
    for place, part in enumerate(path):
        if part.isdigit() and place:
            table = f"[[{path[place - 1]}]]"
            starts = [number for number, line in enumerate(lines) if line.strip() == table]
            at = starts[int(part)] if int(part) < len(starts) else at
            found = at + 1
            continue
        named = re.compile(
            rf'(?:^|[\[.]\s*|\s){re.escape(part)}\s*[\].=]|"{re.escape(part)}"\s*[\].=]'
        )
        number = next((n for n in range(at, len(lines)) if named.search(lines[n])), None)
        if number is not None:
            at, found = number, number + 1
    return found
