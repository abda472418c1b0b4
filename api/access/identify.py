"""From the `Authorization` of a request to the principal behind it.

Law: the same credentials are taken as a bearer token and as the password of HTTP Basic, whatever
the user name, since some tools can only send that. Once a token was ever made, or an identity
provider is set, nobody gets in without credentials; tokens are never deleted, so this is never
undone by one that expires. Credentials never stand in an error.
"""

from __future__ import annotations

import base64
import binascii

from api.access import oidc, tokens
from api.access.principals import ANYBODY, Principal
from ledger.config import Settings
from ledger.domain.errors import Unauthenticated
from ledger.store import access
from ledger.store.database import Database

AUTHORIZATION_CHARACTERS_MAX = 16_384


class Identifier:
    """Knows who asks.

    Args:
        database: where tokens are kept.
        settings: of the installation; they may name an identity provider.

    Raises:
        InvalidInput: `invalid-setting`.
    """

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        provider = oidc.provider_of(settings)
        self._verifier = None if provider is None else oidc.Verifier(provider)
        self._controlled = provider is not None

    def controls(self) -> bool:
        """Whether credentials are needed."""
        if not self._controlled:
            self._controlled = self._database.do(access.any_token)
        return self._controlled

    def principal_of(self, authorization: str | None) -> Principal:
        """Who asks.

        Args:
            authorization: the header of that name; None where there is none.

        Raises:
            Unauthenticated: `no-credentials`, and see `tokens.principal_of` and
                `oidc.Verifier.principal_of`.
        """
        if not self.controls():
            return ANYBODY
        if not authorization:
            raise Unauthenticated(
                "no-credentials", "say who you are",
                hint="send Authorization: Bearer and a token, or a token as the password of Basic",
            )  # fmt: skip
        credentials = _credentials(authorization)
        if credentials.startswith(tokens.PREFIX):
            return tokens.principal_of(self._database, credentials)
        if self._verifier is not None:
            return self._verifier.principal_of(credentials)
        raise tokens.invalid_credentials()


def _credentials(authorization: str) -> str:
    if len(authorization) > AUTHORIZATION_CHARACTERS_MAX:
        raise tokens.invalid_credentials()
    scheme, _space, given = authorization.partition(" ")
    given = given.strip()
    match scheme.lower():
        case "bearer":
            return given
        case "basic":
            try:
                plain = base64.b64decode(given, validate=True).decode()
            except (binascii.Error, ValueError):
                raise tokens.invalid_credentials() from None
            return plain.partition(":")[2]
        case _:
            raise tokens.invalid_credentials()
