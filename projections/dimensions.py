"""Dimensions that nobody has: told from those that happen to have no value.

Law: to group by a dimension is refused where no deal and no account of the whole log, up to the
horizon of the basis, was ever given one of that name, whatever its times and whosever it is. It is
looked for only where an answer has no value in it, from the end of the log backwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from ledger.domain.errors import InvalidInput
from ledger.domain.events import Event

BUILT_IN = frozenset({
    "owner", "manager", "team", "stage", "gate", "category", "currency", "account", "outcome",
})  # fmt: skip
"""Those that every deal can have."""

EXAMPLES_FROM = 100
"""Of so many events, the last that name dimensions, the examples are taken."""

Naming: TypeAlias = Callable[[str | None, int], list[Event]]
"""The last events, so many at most, that give anything a dimension: of a name, or any."""


def check_known(
    naming: Naming, dimensions: Sequence[str], keys: Iterable[Sequence[str | None]], *, told: bool
) -> None:
    """Refuse dimensions that nothing in the ledger has ever had.

    Args:
        naming: finds events by what they name.
        dimensions: by which is grouped.
        keys: the groups of the answer.
        told: whether dimensions that others have may be told as examples.

    Raises:
        InvalidInput: `invalid-dimension`.
    """
    left = {n: name for n, name in enumerate(dimensions) if name not in BUILT_IN}
    for key in keys if left else ():
        left = {n: name for n, name in left.items() if key[n] is None}
        if not left:
            return
    for name in left.values():
        if not naming(name, 1):
            raise InvalidInput(
                "invalid-dimension",
                f"no deal and no account ever had a dimension {name!r}",
                where="group_by",
                hint=_hint(naming, told=told),
            )


def _hint(naming: Naming, *, told: bool) -> str:
    found = naming(None, EXAMPLES_FROM) if told else []
    names = sorted({name for event in found for name in _named_in(event)})
    several = ", ".join(sorted(BUILT_IN))
    if not names:
        return f"group by {several}, or a dimension of your deals or accounts"
    return f"group by {several}, or a dimension of your deals or accounts: {', '.join(names)}"


def _named_in(event: Event) -> Iterable[str]:
    said = event["payload"].get("payload") or event["payload"]
    return said.get("dimensions") or ()
