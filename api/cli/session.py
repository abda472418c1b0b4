"""What commands open: settings, the database, the door for questions, the ledger for writing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pydantic import ValidationError

from api.door import Door
from ledger.config import Settings
from ledger.domain.errors import InvalidInput
from ledger.store.database import Database

if TYPE_CHECKING:
    from ledger.store.ledger import Ledger


def settings() -> Settings:
    """The settings from the environment.

    Raises:
        InvalidInput: `invalid-setting`, naming the variable.
    """
    try:
        return Settings()
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        variable = "QLEDGER_" + "_".join(str(part) for part in fault["loc"]).upper()
        raise InvalidInput("invalid-setting", fault["msg"], where=variable) from None


@contextmanager
def open_door() -> Iterator[Door]:
    """A door for questions; closed at the end."""
    chosen = settings()
    with Database(chosen) as database:
        yield Door(database, chosen)


@contextmanager
def open_ledger() -> Iterator[Ledger]:
    """The ledger, for writing; closed at the end."""
    from ledger.store.ledger import Ledger

    with Ledger.open(settings()) as ledger:
        yield ledger
