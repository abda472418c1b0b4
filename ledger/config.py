"""Settings: what may differ between two installations.

Law: every setting is an environment variable that begins with `QLEDGER_` and has a default that
works for one person on one machine; a secret is never printed.
"""

from __future__ import annotations

import ipaddress
import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

WORKERS_MAX = 8
_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_])?")


def _default_home() -> Path:
    base = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(base).expanduser() / "qledger"


def _default_workers() -> int:
    return min(os.cpu_count() or 1, WORKERS_MAX)


class Settings(BaseSettings):
    """The settings of one installation, read from the environment.

    Args:
        home: where the embedded database and its files live.
        database_url: an external PostgreSQL 15 or later; none means the embedded one.
        statement_timeout_ms: how long the database may work on one statement; 0 is no limit.
        question_timeout_ms: the same for a statement of a question; 0 is no limit.
        query_cost_max: the most that one GraphQL question may cost, in points; 0 is no limit.
        query_points_a_minute: how many points each principal may spend a minute; 0 is no limit.
        subscriptions_max: how many subscriptions one server follows the log for at once.
        subscriptions_per_connection_max: how many of them one socket may hold.
        ingest_bytes_max: how long a body of events in bulk may be, unpacked; 0 is no limit.
        workers: how many processes or connections work at once.
        host: the address that the HTTP door listens on.
        port: its port.
        project: whether `serve`, and an import of a few events, keep the read models up to date.
        executor: what answers GraphQL: fast, or stock, graphql-core's own; both say the same.
        log: how `serve` writes its log: json, text, off; auto is text on a terminal, else json.
        tracing: whether `serve` sends spans to an OpenTelemetry collector.
        hosts: the names, beside loopback and that address, by which a request may call this server.
        oidc_issuer: the identity provider whose JSON web tokens are taken; none takes only our own.
        oidc_audience: for whom those must be.
        oidc_jwks: where the provider's keys are: a file, or an https URL.
        oidc_person_claim: the claim that is a person's id, as events name them.
        oidc_role_claim: the claim, or path of claims by dots, that holds roles.
        oidc_roles: which of its values is which role, VALUE=ROLE; by default a role's own name.
    """

    model_config = SettingsConfigDict(env_prefix="QLEDGER_", extra="ignore", frozen=True)

    home: Path = Field(default_factory=_default_home)
    database_url: SecretStr | None = None
    statement_timeout_ms: Annotated[int, Field(ge=0, le=86_400_000)] = 60_000
    question_timeout_ms: Annotated[int, Field(ge=0, le=86_400_000)] = 60_000
    query_cost_max: Annotated[int, Field(ge=0, le=1_000_000_000)] = 10_000
    query_points_a_minute: Annotated[int, Field(ge=0, le=1_000_000_000)] = 300_000
    subscriptions_max: Annotated[int, Field(ge=0, le=100_000)] = 200
    subscriptions_per_connection_max: Annotated[int, Field(ge=1, le=1_000)] = 20
    ingest_bytes_max: Annotated[int, Field(ge=0)] = 0
    workers: Annotated[int, Field(ge=1, le=64)] = Field(default_factory=_default_workers)
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 8420
    project: bool = True
    executor: Literal["fast", "stock"] = "fast"
    log: Literal["auto", "json", "text", "off"] = "auto"
    tracing: bool = False
    hosts: Annotated[tuple[str, ...], NoDecode] = ()
    oidc_issuer: str | None = None
    oidc_audience: str | None = None
    oidc_jwks: str | None = None
    oidc_person_claim: str = "sub"
    oidc_role_claim: str = "roles"
    oidc_roles: Annotated[tuple[str, ...], NoDecode] = ()

    @field_validator("home")
    @classmethod
    def _absolute(cls, home: Path) -> Path:
        return home.expanduser().absolute()

    @field_validator("hosts", mode="before")
    @classmethod
    def _listed(cls, listed: Any) -> Any:
        if not isinstance(listed, str):
            return listed
        names = tuple(name.strip() for name in listed.split(",") if name.strip())
        for name in names:
            if not (_HOST.fullmatch(name) or _is_address(name)):
                raise ValueError(
                    f"{name!r} is not a host: give names without a scheme, a port or a wildcard, "
                    "separated by commas"
                )
        return names

    @field_validator("oidc_roles", mode="before")
    @classmethod
    def _parts(cls, listed: Any) -> Any:
        if not isinstance(listed, str):
            return listed
        return tuple(part.strip() for part in listed.split(",") if part.strip())

    @field_validator("database_url")
    @classmethod
    def _empty_is_none(cls, url: SecretStr | None) -> SecretStr | None:
        return url if url is not None and url.get_secret_value().strip() else None


def _is_address(name: str) -> bool:
    try:
        return bool(ipaddress.ip_address(name))
    except ValueError:
        return False


def shown(settings: Settings) -> dict[str, str]:
    """Each setting by the name of its environment variable, as text, with secrets masked."""
    values = settings.model_dump()
    return {f"QLEDGER_{name.upper()}": _text(value) for name, value in values.items()}


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        return ",".join(value)
    return "" if value is None else str(value)
