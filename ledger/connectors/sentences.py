"""The sentences of an import's report, made from what was counted.

Law: one count, one sentence, always the same; a warning is about the source, a caveat about what
was assumed, derived or kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from ledger.connectors.facts import Facts
from ledger.connectors.mapping import FileMap

EXAMPLES_MAX = 5

_WARNINGS = {
    "before-creation": "dated before the deal was created: {count} history rows",
    "no-account": "without an account: {count} deals",
    "flags-disagree": "closed and won flags disagree with the stage: {count} deals; "
    "the stage counts",
    "category-of-closed": "category {name}, which is not the one of the outcome: {count} closes; "
    "the outcome decides",
    "closed-category-of-open": "in category closed though in an open stage: {count} times; "
    "the stage counts",
    "unmapped-stage": "stage {name!r} is not mapped: taken as open, {count} times",
    "unknown-category": "forecast category {name!r} is not known: {count} cells; derived instead",
    "unknown-product": "product {name!r} is not in the list of products: {count} deals; kept",
    "email-unreadable": "not an e-mail address: {count} cells; left out",
    "restored": "removed in the ledger, there again in the CRM: {count} deals; they stay removed",
    "person-renamed": "another name or e-mail than when the person joined: {count}; left as it was",
    "stage-after-close": "a stage after the close that does not reopen: {count} rows; it is "
    "claimed, and the deal stays closed",
    "inferred-otherwise": "what was inferred at an earlier import would now be otherwise: {count}; "
    "left as it was",
    "reopened": "an open stage after a close: {count} times; the deal reopens",
}
_CAVEATS = {
    "row-given-twice": "given more than once: {count} rows; each counts once",
    "repeated-stage": "the same stage again: {count} rows; no new stage claim",
    "category-derived": "forecast category derived from the stage: {count} times",
    "closed-without-a-date": "closed, without a usable date of it: {count} deals; closed at the "
    "snapshot",
    "kept-though-empty": "{name}: record empty where the ledger has a value: {count}; kept",
    "replaced": "{name}: another spelling put in its place: {count} cells",
}


def warnings(tallies: Counter[str]) -> list[str]:
    """The sentences about the source."""
    return _sentences(_WARNINGS, tallies)


def caveats(tallies: Counter[str]) -> list[str]:
    """The sentences about what was assumed, derived or kept."""
    return _sentences(_CAVEATS, tallies)


def unknown_gates(gates: Iterable[str]) -> str:
    """The sentence on gates that a mapping names and no published playbook has."""
    return (
        f"no published playbook has the gates {', '.join(gates)}: the stages that stand for them "
        "are claimed, and are compared with gates once a playbook has these"
    )


def _sentences(templates: dict[str, str], tallies: Counter[str]) -> list[str]:
    found = []
    for key, template in templates.items():
        named = sorted(
            (name for name in tallies if name.partition(":")[0] == key),
            key=lambda name: (-tallies[name], name),
        )
        for name in named[:EXAMPLES_MAX]:
            text = template.format(name=name.partition(":")[2], count=tallies[name])
            found.append(text)
        if len(named) > EXAMPLES_MAX:
            rest = sum(tallies[name] for name in named[EXAMPLES_MAX:])
            found.append(f"... and {len(named) - EXAMPLES_MAX} more of these ({key}): {rest}")
    return found


def untracked(entries: Iterable[FileMap], facts: Facts) -> list[str]:
    """What no history in the export tracks: the record's value is attested from creation."""
    tracked = facts.snapshot_fields | facts.changed_fields
    found = []
    for entry in entries:
        if entry.kind != "deals":
            continue
        for name in ("stage", "category", "amount", "close_date", "owner"):
            if name not in entry.columns or name in tracked:
                continue
            if name in entry.known:
                found.append(f"{name}: known only when the deal closed")
            elif name == "stage":
                found.append(
                    "stage: no history in this export; an open stage is attested from creation, a "
                    "closed one from the day it closed"
                )
            elif name == "category" and "stage" in tracked:
                found.append("category: no history in this export; derived from the stage")
            else:
                found.append(
                    f"{name}: no history in this export; "
                    "the record's value is attested from creation"
                )
    return list(dict.fromkeys(found))
