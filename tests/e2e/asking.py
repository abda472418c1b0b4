"""Asks a running server over GraphQL, and holds its answers against those of the layers below."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from typing import Any, NamedTuple

import httpx

from tests.e2e.process import Qledger

TOML = (files("ledger") / "playbooks" / "buyers_journey.toml").read_text(encoding="utf-8")
USD = {"amount": "1200.50", "currency": "USD"}
YES = {"stance": "SUPPORTS", "sourceKind": "CALL"}
_WORD = re.compile(r"_(.)")
_POSITIONS = frozenset({"position", "acted_on_by"})


class Client(NamedTuple):
    """Asks one server."""

    http: httpx.Client

    def post(self, query: str, **variables: Any) -> dict[str, Any]:
        answer = self.http.post("/graphql", json={"query": query, "variables": variables})
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        answer = self.post(query, **variables)
        assert "errors" not in answer, answer["errors"]
        data: dict[str, Any] = answer["data"]
        return data

    def refusal(self, query: str, **variables: Any) -> dict[str, Any]:
        (error,) = self.post(query, **variables)["errors"]
        found: dict[str, Any] = error
        return found

    def command(self, mutation: str, **given: Any) -> dict[str, Any]:
        """What became of a command."""
        kind = f"{mutation[0].upper()}{mutation[1:]}Input"
        query = f"""mutation($input: {kind}!) {{ done: {mutation}(input: $input) {{
            __typename
            ... on Recorded {{ eventId type position streamVersion recordedAt added
                alongside {{ eventId type position streamVersion recordedAt added }} }}
            ... on Rejected {{ code message where hint }}
        }} }}"""
        done: dict[str, Any] = self.ask(query, input=given)["done"]
        return done

    def recorded(self, mutation: str, **given: Any) -> dict[str, Any]:
        """A command that must be recorded."""
        done = self.command(mutation, **given)
        assert done.pop("__typename") == "Recorded", done
        return done

    def rejected(self, mutation: str, **given: Any) -> dict[str, Any]:
        """A command that must be refused."""
        done = self.command(mutation, **given)
        assert done.pop("__typename") == "Rejected", done
        assert done["message"]
        return done

    def opened(self, deal: str, **more: Any) -> str:
        """A deal that kim owns, with somebody at the buyer."""
        at = "2026-01-10T09:00:00Z"
        given = {"name": "Deal", "owner": "kim", "actor": "kim", "occurredAt": at, **more}
        self.recorded("openDeal", deal=deal, **given)
        self.recorded("addStakeholder", deal=deal, stakeholder="eve", name="Eve", actor="kim",
                      role="champion", occurredAt=at)  # fmt: skip
        return deal

    def head(self) -> int:
        """The end of the log."""
        return int(self.ask("{ ledger { headPosition } }")["ledger"]["headPosition"])


@contextmanager
def writing_to(qledger: Qledger) -> Iterator[Client]:
    """A server that has a playbook to write by, and who asks it."""
    with (
        qledger.serving() as (_process, address),
        httpx.Client(base_url=address, timeout=60) as http,
    ):
        client = Client(http)
        client.recorded("publishPlaybook", toml=TOML, actor="ops")
        yield client


def arguments(basis: dict[str, Any]) -> str:
    """The arguments that pin a basis which a command stated."""
    under = f', under: "{basis["under"]}"' if "under" in basis else ""
    return (
        f'validAt: "{basis["valid_at"]}", knownAt: "{basis["known_at"]}", '
        f'horizon: "{basis["horizon"]}", witnessedOnly: {str(basis["witnessed_only"]).lower()}'
        f"{under}"
    )


def camel(name: str) -> str:
    return _WORD.sub(lambda found: found[1].upper(), name)


def mirrored(answer: Any, drop: frozenset[str] = frozenset({"basis"})) -> Any:
    """An answer of the layers below as the schema spells it; what is null or empty is left out."""
    if isinstance(answer, list):
        return [mirrored(each, drop) for each in answer]
    if not isinstance(answer, dict):
        return answer
    if "event_id" in answer:
        source = answer["source"]
        answer = {
            **answer,
            "source": ":".join(source[key] for key in ("system", "record") if key in source),
        }
    return {
        camel(key): str(value) if key in _POSITIONS else mirrored(value, drop)
        for key, value in answer.items()
        if key not in drop and value is not None and value != []
    }


def selection(answer: Any) -> str:
    """What to ask for, to be told all that a mirrored answer holds."""
    if isinstance(answer, list):
        return selection(_all_parts(answer))
    if not isinstance(answer, dict):
        return ""
    return "{ " + " ".join(f"{key} {selection(value)}" for key, value in answer.items()) + " }"


def _all_parts(answers: list[Any]) -> Any:
    """One answer with every part that any of them has."""
    parts: dict[str, Any] = {}
    for answer in answers:
        if not isinstance(answer, dict):
            return None
        for key, value in answer.items():
            so_far = parts.get(key)
            if isinstance(value, list):
                parts[key] = [*(so_far or []), *value]
            elif isinstance(value, dict):
                parts[key] = _all_parts([so_far or {}, value])
            elif so_far is None:
                parts[key] = value
    return parts


def same(told: Any, expected: Any) -> bool:
    """Whether an answer is the expected one; what the expected one leaves out is null or empty."""
    if isinstance(expected, list):
        return len(told) == len(expected) and all(map(same, told, expected))
    if not isinstance(expected, dict):
        return bool(told == expected)
    return all(same(told[key], value) for key, value in expected.items()) and not any(
        told[key] not in (None, []) for key in told.keys() - expected.keys()
    )


def token_of(qledger: Qledger, role: str, person: str) -> str:
    """A token that was made just now."""
    made = qledger.here("token", "create", "--role", role, "--person", person)
    assert made.status == 0, made
    return made.text.strip()
