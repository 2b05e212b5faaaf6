"""Who may come in: identities, personal tokens, OAuth for machines, checked as Databricks does."""

from __future__ import annotations

import base64
import binascii
import secrets
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

ORGANISATION = "42"
OAUTH_SECONDS = 3600


class Refused(Exception):
    """The platform's error: an HTTP status, its `error_code` and a message."""

    def __init__(self, status: int, code: str | int, message: str) -> None:
        super().__init__(message)
        self.status, self.body = status, {"error_code": code, "message": message}


@dataclass(frozen=True)
class Identity:
    """A person or a service principal; a principal has a client id and a secret and no password."""

    name: str
    id: int
    client_id: str = ""
    client_secret: str = ""


@dataclass
class Token:
    """A bearer token: whose it is, what for, and when it ends (seconds of the clock; None: never)."""

    id: str
    owner: Identity
    comment: str
    created: float
    ends: float | None


class Access:
    """The workspace's identities and live tokens. Nothing of it is written to disk."""

    def __init__(self, identities: list[Identity]) -> None:
        self.identities = {one.name: one for one in identities}
        self._tokens: dict[str, Token] = {}

    def issue(
        self, owner: Identity, seconds: float | None, comment: str, prefix: str = "dapi"
    ) -> tuple[str, Token]:
        """Return a new bearer token's value and entry; the value is shown this once."""
        value, now = prefix + secrets.token_hex(16), time.time()
        self._tokens[value] = Token(
            secrets.token_hex(8), owner, comment, now, None if seconds is None else now + seconds
        )
        return value, self._tokens[value]

    def admit(self, value: str, token: Token) -> None:
        """Take a token that was made before the server started."""
        self._tokens[value] = token

    def caller(self, authorization: str) -> Identity:
        """Return whose token an `Authorization` header carries. Raises Refused: 401 without one, or 403."""
        scheme, _, value = authorization.partition(" ")
        if scheme.lower() != "bearer" or not value:
            raise Refused(401, 401, "Credential was not sent or was of an unsupported type for this API.")
        token = self._tokens.get(value.strip())
        if token is None or (token.ends is not None and token.ends <= time.time()):
            raise Refused(403, 403, "Invalid access token.")
        return token.owner

    def tokens_of(self, owner: Identity) -> list[dict[str, Any]]:
        """Return the owner's personal tokens, without their values."""
        return [
            public(one) for value, one in self._tokens.items() if one.owner == owner and value[:4] == "dapi"
        ]

    def revoke(self, owner: Identity, token_id: str) -> None:
        """End a token of the owner. Raises Refused when there is none of that id."""
        held = [value for value, one in self._tokens.items() if one.id == token_id and one.owner == owner]
        if not held:
            raise Refused(404, "RESOURCE_DOES_NOT_EXIST", f"Token {token_id} does not exist.")
        del self._tokens[held[0]]

    def exchange(self, authorization: str, form: str) -> tuple[int, dict[str, Any]]:
        """Answer the token endpoint: client credentials against an hour's token (RFC 6749, 4.4 and 5.2)."""
        fields = {name: values[0] for name, values in parse_qs(form).items()}
        if fields.get("grant_type") != "client_credentials":
            return 400, {"error": "unsupported_grant_type"}
        client, secret = fields.get("client_id", ""), fields.get("client_secret", "")
        if authorization.startswith("Basic "):
            try:
                client, _, secret = base64.b64decode(authorization[6:]).decode().partition(":")
            except (binascii.Error, UnicodeDecodeError):
                client = secret = ""
        for one in self.identities.values():
            if one.client_id == client and secrets.compare_digest(
                one.client_secret.encode(), secret.encode()
            ):
                if one.client_id:
                    value, _ = self.issue(one, OAUTH_SECONDS, "oauth", prefix="eyJ")
                    answer = {"access_token": value, "token_type": "Bearer", "expires_in": OAUTH_SECONDS}
                    return 200, answer | {"scope": fields.get("scope", "all-apis")}
        return 401, {"error": "invalid_client", "error_description": "Client authentication failed"}


def public(token: Token) -> dict[str, Any]:
    """Return what the platform tells of a token, without its value; times in milliseconds."""
    ends = -1 if token.ends is None else int(1000 * token.ends)
    return {
        "token_id": token.id,
        "comment": token.comment,
        "creation_time": int(1000 * token.created),
        "expiry_time": ends,
    }
