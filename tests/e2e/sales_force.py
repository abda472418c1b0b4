"""A sales force of two teams, in which a deal changes hands and a rep changes teams.

vp
  mia     ann (until 1 June 2025), bob
  zoe     cleo, ann (from 1 June 2025)

Deal ids say whose they are; amounts are powers of two, so a sum tells which deals are in it. The
handed one was ann's until 1 May 2025, and is cleo's since. Nobody owns the orphan. What is said of
a deal holds its id, so that a trace of a deal in any answer is found.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from importlib.resources import files
from typing import Any

import httpx
import uvicorn

from api.access import tokens
from api.access.identify import Identifier
from api.door import Door
from api.http.app import create_app
from api.http.hosts import Hosts
from ledger.config import Settings
from ledger.domain.events import Draft, Source, parse_payload
from ledger.domain.ids import event_id_of
from ledger.domain.playbook import parse_playbook
from ledger.store.ledger import Ledger
from tests.e2e.asking import Client

CRM = Source("crm")
PERIOD = "2025-Q3"
BEFORE, AFTER = "2025-03-31", "2025-07-31"
"""Days before and after both changes."""

MANAGERS = {"mia": "vp", "zoe": "vp", "ann": "mia", "bob": "mia", "cleo": "zoe"}
DEALS = {
    "of-ann": "ann", "of-bob": "bob", "of-cleo": "cleo", "of-mia": "mia", "orphan": None,
    "handed": "ann",
}  # fmt: skip
AMOUNTS = {deal: Decimal(100 * 2**n) for n, deal in enumerate(DEALS)}
CALLS = {"ann": "111.00", "bob": "222.00", "cleo": "333.00"}
ROLES = {
    "ann": "rep", "bob": "rep", "cleo": "rep", "mia": "manager", "zoe": "manager", "vp": "manager",
    "una": "analyst", "otto": "auditor", "imp": "importer", "ada": "admin",
}  # fmt: skip
"""Who has a token, and as what."""

TEAM = {
    BEFORE: {"mia": {"mia", "ann", "bob"}, "zoe": {"zoe", "cleo"}},
    AFTER: {"mia": {"mia", "bob"}, "zoe": {"zoe", "cleo", "ann"}},
}
EVERYBODY = {"vp", *MANAGERS}


def owners_seen(person: str, day: str) -> set[str] | None:
    """Whose deals somebody sees, in words of this page; None is everybody's and nobody's."""
    if ROLES[person] == "rep":
        return {person}
    if ROLES[person] == "manager":
        return EVERYBODY if person == "vp" else TEAM[day][person]
    return None


def deals_seen(person: str, day: str) -> set[str]:
    """The deals that somebody sees."""
    owners = owners_seen(person, day)
    owned = DEALS | {"handed": "ann" if day == BEFORE else "cleo"}
    return {deal for deal, owner in owned.items() if owners is None or owner in owners}


def attested(stream: str, kind: str, day: str, **payload: Any) -> Draft:
    """An event that the CRM attests, at noon of a day."""
    at = datetime.fromisoformat(day).replace(hour=12, tzinfo=UTC)
    return Draft(
        stream=stream,
        payload=parse_payload(kind, payload),
        event_id=event_id_of("crm", stream, f"{kind} {day} {payload.get('person', '')}"),
        actor="crm",
        source=CRM,
        occurred_at=at,
        known_at=at,
    )


def _usd(amount: object) -> dict[str, str]:
    return {"amount": str(amount), "currency": "USD"}


def write(ledger: Ledger) -> None:
    """Bring the story in."""
    toml = (files("ledger") / "playbooks" / "buyers_journey.toml").read_text(encoding="utf-8")
    playbook = parse_playbook(toml, where="toml").model_dump(mode="json", exclude_none=True)
    drafts = [
        attested("playbook:buyers_journey", "playbook-published", "2025-01-01", playbook=playbook),
        attested("person:vp", "person-joined", "2025-01-02", name="vp"),
        *(
            attested(f"person:{who}", "person-joined", "2025-01-02", name=who, manager=manager)
            for who, manager in MANAGERS.items()
        ),
        attested("account:acme", "account-opened", "2025-01-03", name="Acme"),
        attested("account:bolt", "account-opened", "2025-01-03", name="Bolt"),
    ]
    for deal, owner in DEALS.items():
        drafts += _deal(deal, owner)
    drafts += [
        attested("deal:handed", "deal-revised", "2025-05-01", owner="cleo"),
        attested("deal:handed", "evidence-recorded", "2025-05-10", criterion="fit_confirmed",
                  stance="supports", source_kind="call", quote="after handed over"),
        attested("person:ann", "person-reassigned", "2025-06-01", manager="zoe"),
        *(
            attested(f"period:{PERIOD}", "forecast-called", "2025-02-15", period=PERIOD,
                      person=who, category="commit", amount=_usd(amount), note=f"call of {who}")
            for who, amount in CALLS.items()
        ),
        *(
            attested(f"person:{who}", "person-assessed", "2025-02-10", aspect="urgency", score=2,
                      assessor=manager, note=f"assessment of {who}")
            for who, manager in MANAGERS.items() if who in CALLS
        ),
    ]  # fmt: skip
    ledger.import_events(drafts, strict=True)


def _deal(deal: str, owner: str | None) -> Iterator[Draft]:
    stream = f"deal:{deal}"
    yield attested(stream, "deal-opened", "2025-01-10", name=f"name {deal}", owner=owner,
                    account="acme" if owner == "ann" else "bolt", close_date="2025-09-30",
                    amount=_usd(AMOUNTS[deal]))  # fmt: skip
    yield attested(stream, "stakeholder-added", "2025-01-11", stakeholder="eve",
                    name=f"person at {deal}", email=f"eve@{deal}.example",
                    role="economic_buyer")  # fmt: skip
    yield attested(stream, "category-claimed", "2025-01-15", category="commit")
    yield attested(stream, "evidence-recorded", "2025-01-20", criterion="fit_confirmed",
                    stance="supports", source_kind="call", said_by="eve",
                    quote=f"quote of {deal}")  # fmt: skip


class House:
    """A served ledger with a token for everybody in `ROLES`.

    Args:
        ledger: the ledger.
        address: where it is served.
    """

    def __init__(self, ledger: Ledger, address: str) -> None:
        self.ledger = ledger
        self.address = address
        self.tokens = {who: self.token(who, role) for who, role in ROLES.items()}
        self._clients: dict[str, httpx.Client] = {}

    def token(self, person: str, role: str) -> str:
        """A new token."""
        database = self.ledger.database
        return tokens.make(database, person=person, role=role, days=1, made_by="tests").spelt

    def http(self, person: str) -> httpx.Client:
        """A client with somebody's token."""
        client = self._clients.get(person)
        if client is None:
            bearer = {"Authorization": f"Bearer {self.tokens[person]}"}
            client = httpx.Client(base_url=self.address, headers=bearer, timeout=60)
            self._clients[person] = client
        return client

    def as_(self, person: str) -> Client:
        """Somebody who asks over GraphQL."""
        return Client(self.http(person))

    def close(self) -> None:
        """Close the clients."""
        for client in self._clients.values():
            client.close()


@contextmanager
def serving(settings: Settings) -> Iterator[House]:
    """The ledger of some settings, served in a thread of this process."""
    with Ledger.open(settings) as ledger, socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        door = Door(ledger.database, settings)
        identifier = Identifier(ledger.database, settings)
        app = create_app(door, ledger, Hosts.of("127.0.0.1"), identifier)
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        house = House(ledger, f"http://127.0.0.1:{listener.getsockname()[1]}")
        try:
            yield house
        finally:
            house.close()
            server.should_exit = True
            thread.join()
