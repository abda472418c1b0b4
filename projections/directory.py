"""Our people and the buyers' accounts, as answers list them.

Law: who reads a part of the book sees the people of that part, and the accounts of its deals, and
nothing of any other. A person is told as they were at the basis, or as they are at its horizon; an
account as it was at the basis.
"""

from __future__ import annotations

from typing import Any

from projections.book import Book
from projections.explain import opened
from projections.fold.people import Account, Organisation, Person


def people_rows(
    book: Book,
    organisation: Organisation = Organisation.AS_WAS,
    *,
    only: str | None = None,
    manager: str | None = None,
) -> list[dict[str, Any]]:
    """Everybody who ever joined, in the order of their ids.

    Args:
        book: the book at the basis.
        organisation: as they were at the basis, or as they are at the instant at which its horizon
            was recorded.
        only: the one person of this id.
        manager: only those who report to this person directly.

    Returns:
        JSON: `person`, `name`, `role`, `manager`, `team`, `left`, and `because`: the events that
        name them, their manager and their leaving.
    """
    people = book.directory_of(organisation).people
    wanted = sorted(people) if only is None else [only] if only in people else []
    shown = [
        people[each]
        for each in wanted
        if book.scope.holds(each) and manager in {None, people[each].manager}
    ]
    events = book.causes({cause for person in shown for cause in person.causes})
    return [{**_person(person), "because": opened(person.causes, events)} for person in shown]


def _person(person: Person) -> dict[str, Any]:
    return {
        "person": person.person_id,
        "name": person.name,
        "role": person.role,
        "manager": person.manager,
        "team": person.team,
        "left": person.left,
    }


def account_rows(book: Book, *, only: str | None = None) -> list[dict[str, Any]]:
    """The accounts, in the order of their ids.

    Args:
        book: the book at the basis.
        only: the one account of this id.

    Returns:
        JSON: `account`, `name`, `parent`, `dimensions`.
    """
    accounts, shown = book.directory.accounts, book.accounts_shown
    return [
        _account(accounts[each])
        for each in (sorted(accounts) if only is None else [only])
        if each in accounts and (shown is None or each in shown)
    ]


def _account(account: Account) -> dict[str, Any]:
    return {
        "account": account.account_id,
        "name": account.name,
        "parent": account.parent,
        "dimensions": dict(sorted(account.dimensions.items())),
    }
