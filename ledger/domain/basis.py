"""The basis: all that an answer depends on.

Law: an event is visible to a basis when `position <= horizon` and `known_at <= basis.known_at`
(and, when only what we witnessed ourselves is asked for, when it was not attested by a source).
What has happened by `valid_at` is decided by the fold, since a correction may move it. Two answers
with equal bases are equal byte for byte.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ledger.domain.errors import InvalidInput
from ledger.domain.times import END_OF_TIME, Instant, format_instant

RULES = "2"
"""The version of our folding code. It changes when the same events would fold to another answer; a
migration that replaces `bi.rules` tells SQL so."""


@dataclass(frozen=True, slots=True)
class Basis:
    """What was asked: about when, as known when, up to which event, by which rules.

    Args:
        valid_at: valid time: what had happened at the buyer by then.
        known_at: knowledge time: what the organisation knew by then.
        horizon: the last position taken into account; 0 is the empty ledger.
        witnessed_only: leave out what a source attested and this ledger did not see itself.
        under: judge by this published playbook version, `key@version`, instead of those in force.
        rules: the version of the folding code.
    """

    valid_at: Instant
    known_at: Instant
    horizon: int
    witnessed_only: bool = False
    under: str | None = None
    rules: str = RULES

    def __post_init__(self) -> None:
        if self.horizon < 0:
            raise InvalidInput("invalid-horizon", f"a horizon of {self.horizon} is below zero")
        if self.rules != RULES:
            raise InvalidInput(
                "unknown-rules",
                f"rules version {self.rules!r} is not the one this program folds by ({RULES})",
                hint="ask with the release that printed that basis",
            )

    def sees(self, *, position: int, known_at: Instant, witnessed: bool) -> bool:
        """Whether an event is visible to this basis."""
        return (
            position <= self.horizon
            and known_at <= self.known_at
            and (witnessed or not self.witnessed_only)
        )

    def at(self, valid_at: Instant, known_at: Instant) -> Basis:
        """The same at other times: the horizon and all else stay."""
        return replace(self, valid_at=valid_at, known_at=known_at)

    def as_dict(self) -> dict[str, str | int | bool]:
        """The basis as every answer states it, in the order people read it."""
        judged = {} if self.under is None else {"under": self.under}
        return {
            "valid_at": format_instant(self.valid_at),
            "known_at": format_instant(self.known_at),
            "horizon": self.horizon,
            "witnessed_only": self.witnessed_only,
            **judged,
            "rules": self.rules,
        }


def everything_known(basis: Basis) -> Basis:
    """The same basis with all that its horizon holds, whenever it became known."""
    return replace(basis, known_at=END_OF_TIME, witnessed_only=False)
