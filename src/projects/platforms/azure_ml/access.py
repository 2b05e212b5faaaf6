"""Who may come in: tenants, applications with secrets, tokens and roles, as Entra ID and Azure check."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

TENANT = "00000000-0000-0000-0000-000000000001"
TOKEN_SECONDS = 3600
ROLES = {
    "AzureML Data Scientist": ("read", "write", "score"),
    "Reader": ("read",),
    "Endpoint Consumer": ("score",),  # a custom role with onlineEndpoints/score/action alone
    "": (),
}


class Refused(Exception):
    """Azure's error: an HTTP status, a code and a message."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.body = status, {"error": {"code": code, "message": message}}


@dataclass(frozen=True)
class Application:
    """A service principal: its tenant, its client id and secret, and its role in the workspace."""

    name: str
    tenant: str
    client_id: str
    secret: str
    role: str = ""
    seconds: float = 0  # how long its tokens live, by a policy of its own; 0: as all others


class Access:
    """The applications of all tenants and their live tokens. Nothing of it is written to disk."""

    def __init__(self, applications: list[Application], seconds: float = TOKEN_SECONDS) -> None:
        self.applications, self.seconds = applications, seconds
        self._tokens: dict[str, tuple[Application, float]] = {}

    def exchange(self, tenant: str, form: str) -> tuple[int, dict[str, Any]]:
        """Answer the token endpoint of a tenant: client credentials against a token (RFC 6749, 4.4)."""
        asked = {name: values[0] for name, values in parse_qs(form).items()}
        if asked.get("grant_type") != "client_credentials":
            said = "AADSTS70003: The app requested an unsupported grant type."
            return 400, {"error": "unsupported_grant_type", "error_description": said}
        if not asked.get("scope", "").endswith("/.default"):
            said = "AADSTS1002012: The provided value for scope is not valid: it must end with '/.default'."
            return 400, {"error": "invalid_scope", "error_description": said}
        found = [one for one in self.applications if one.client_id == asked.get("client_id")]
        if not found or found[0].tenant != tenant:
            who = asked.get("client_id")
            said = f"AADSTS700016: Application with identifier '{who}' was not found in the directory."
            return 400, {"error": "unauthorized_client", "error_description": said}
        if not secrets.compare_digest(found[0].secret.encode(), asked.get("client_secret", "").encode()):
            said = "AADSTS7000215: Invalid client secret provided."
            return 401, {"error": "invalid_client", "error_description": said}
        answer = {
            "token_type": "Bearer",
            "expires_in": int(found[0].seconds or self.seconds),
            "access_token": self.issue(found[0]),
        }
        return 200, answer

    def issue(self, application: Application) -> str:
        """Return a new token of an application."""
        value = "eyJ" + secrets.token_urlsafe(32)
        self._tokens[value] = application, time.time() + (application.seconds or self.seconds)
        return value

    def caller(self, authorization: str) -> Application:
        """Return whose token an `Authorization` header carries. Raises Refused (401)."""
        scheme, _, value = authorization.partition(" ")
        if scheme.lower() != "bearer" or not value:
            raise Refused(
                401, "AuthenticationFailed", "Authentication failed. The 'Authorization' header is missing."
            )
        if value not in self._tokens:
            raise Refused(401, "InvalidAuthenticationToken", "The access token is invalid.")
        application, ends = self._tokens[value]
        if ends <= time.time():
            raise Refused(
                401, "ExpiredAuthenticationToken", "The access token expiry UTC time is earlier than now."
            )
        if application.tenant != TENANT:
            wrong = (
                f"The access token is from the wrong issuer '{application.tenant}'. It must match '{TENANT}'."
            )
            raise Refused(401, "InvalidAuthenticationTokenTenant", wrong)
        return application

    def need(self, caller: Application, action: str, scope: str) -> None:
        """Raise Refused (403) unless the caller's role holds an action: read, write or score."""
        if action not in ROLES.get(caller.role, ()):
            message = (
                f"The client '{caller.client_id}' does not have authorization to perform action '{action}'"
            )
            raise Refused(403, "AuthorizationFailed", f"{message} over scope '{scope}'.")
