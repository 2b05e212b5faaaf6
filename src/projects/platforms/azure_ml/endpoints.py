"""Online endpoints that serve: a process for each deployment, traffic split and mirrored, keys checked."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from starlette.responses import Response

from course.servers import Server, ServerError, fast_server
from projects.platforms.azure_ml.access import Access, Refused

TOKEN_SECONDS = 1800


def as_mlflow(body: bytes) -> bytes:
    """Return a request for an MLflow model on Azure (`input_data`) as MLflow's server wants it."""
    try:
        data = json.loads(body)["input_data"]
    except (KeyError, TypeError, ValueError):
        return body  # the model's server says what is wrong with it
    name = "dataframe_split" if isinstance(data, dict) and "columns" in data else "inputs"
    return json.dumps({name: data}).encode()


class Endpoint:
    """An endpoint's keys, its own tokens, and the servers of its deployments."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.keys = [secrets.token_urlsafe(24), secrets.token_urlsafe(24)]
        self.tokens: dict[str, float] = {}
        self.servers: dict[str, Server] = {}
        self.logs: dict[str, Path] = {}  # of the last start of each deployment, also where it failed

    def renew(self, which: str) -> None:
        """Replace the primary or the secondary key."""
        self.keys[0 if which == "Primary" else 1] = secrets.token_urlsafe(24)


class Endpoints:
    """The workspace's endpoints. `model(id)` gives a registered model's address, `get(path)` a resource."""

    def __init__(
        self,
        folder: Path,
        access: Access,
        model: Callable[[str], str],
        get: Callable[[str], dict[str, Any]],
        note: Callable[[str, int, str], None] = lambda path, status, answer: None,
    ) -> None:
        self.folder, self.access, self.model, self.get = folder, access, model, get
        self.note = note  # is told of each copy: its path, status and answer
        self.all: dict[str, Endpoint] = {}
        self._draw = random.Random("traffic")  # the same split each time: a lesson's output stays as it is
        self._client = httpx.AsyncClient(timeout=60, trust_env=False)
        self._copies: set[asyncio.Task[None]] = set()

    def configure(self, name: str, path: str, asked: dict[str, Any], here: str) -> None:
        """Check an endpoint's traffic and say where it scores. Raises Refused."""
        endpoint = self.all.setdefault(name, Endpoint(name))
        properties = asked["properties"]
        if properties.get("authMode") not in ("Key", "AMLToken", "AADToken"):
            raise Refused(400, "UserError", "authMode is one of Key, AMLToken, AADToken.")
        for field, most in (("traffic", 100), ("mirrorTraffic", 50)):
            parts = properties.get(field) or {}
            unknown = [one for one in parts if one not in endpoint.servers]
            if unknown:
                raise Refused(400, "UserError", f"{field} names {unknown[0]!r}, which is no deployment.")
            if sum(parts.values()) not in (0, 100) if field == "traffic" else sum(parts.values()) > most:
                rule = "adds up to 0 or 100" if field == "traffic" else "is at most 50"
                raise Refused(400, "UserError", f"{field} {rule}, not {sum(parts.values())}.")
        properties.setdefault("properties", {})  # the SDK reads it without asking whether it is there
        properties["scoringUri"] = f"{here}/score/{name}"

    async def deploy(self, name: str, deployment: str, asked: dict[str, Any]) -> None:
        """Start a deployment's server, beside the one that it replaces. Raises Refused."""
        if name not in self.all:
            raise Refused(404, "ResourceNotFound", f"Online endpoint {name} does not exist.")
        endpoint, files = self.all[name], self.model(asked["properties"].get("model") or "")
        place = self.folder / name / f"{deployment}-{time.monotonic_ns():x}"
        server = fast_server(str(files), place)
        endpoint.logs[deployment] = server.log
        try:
            await asyncio.to_thread(server.__enter__)
        except ServerError as error:
            said = "User container has crashed or terminated. The cause is in the deployment's logs."
            raise Refused(400, "ResourceNotReady", said) from error
        old = endpoint.servers.get(deployment)
        endpoint.servers[deployment] = server
        if old:
            await asyncio.to_thread(old.stop)

    async def remove(self, name: str, deployment: str = "") -> None:
        """End a deployment, or all of an endpoint. Raises Refused while a deployment takes traffic."""
        endpoint = self.all[name]
        for one in [deployment] if deployment else list(endpoint.servers):
            await asyncio.to_thread(endpoint.servers.pop(one).stop)
        if not deployment:
            del self.all[name]

    def log(self, name: str, deployment: str, lines: int) -> str:
        """Return the end of a deployment's log. Raises Refused (404)."""
        if name not in self.all or deployment not in self.all[name].logs:
            raise Refused(404, "ResourceNotFound", f"There is no deployment {deployment} of {name}.")
        written = self.all[name].logs[deployment].read_text(encoding="utf-8", errors="replace")
        return "\n".join(written.splitlines()[-lines:])

    def token(self, name: str) -> dict[str, Any]:
        """Return a token of an endpoint with authMode AMLToken."""
        value, ends = "aml" + secrets.token_urlsafe(24), time.time() + TOKEN_SECONDS
        self.all[name].tokens[value] = ends
        return {
            "accessToken": value,
            "tokenType": "Bearer",
            "expiryTimeUtc": int(ends),
            "refreshAfterTimeUtc": int(ends),
        }

    async def score(
        self, name: str, path: str, authorization: str, chosen: str, body: bytes
    ) -> tuple[Response, str]:
        """Answer a scoring request: by the split, or by the deployment that a header names."""
        if name not in self.all:
            raise Refused(404, "NotFound", f"There is no endpoint {name} here.")
        endpoint, properties = self.all[name], self.get(path)["properties"]
        who = self._admit(endpoint, properties["authMode"], authorization, path)
        traffic = {one: part for one, part in (properties.get("traffic") or {}).items() if part}
        if chosen and chosen not in endpoint.servers:
            raise Refused(404, "NotFound", f"There is no deployment {chosen} of {name}.")
        if not chosen and not traffic:
            raise Refused(404, "NotFound", f"No deployment of {name} takes traffic.")
        target = chosen or self._draw.choices(list(traffic), list(traffic.values()))[0]
        found = await self._ask(endpoint.servers[target], body)
        for mirror, part in (properties.get("mirrorTraffic") or {}).items():
            if not chosen and self._draw.random() < part / 100:
                copy = asyncio.create_task(self._mirror(endpoint, mirror, body))
                self._copies.add(copy)
                copy.add_done_callback(self._copies.discard)
        headers = {"azureml-model-deployment": target}
        status = found.status_code if found.status_code < 400 else 424  # Azure's: the model's own error
        return Response(found.content, status, headers, found.headers.get("content-type")), who

    def _admit(self, endpoint: Endpoint, mode: str, authorization: str, path: str) -> str:
        value = authorization.partition(" ")[2]
        if not value:
            raise Refused(
                401, "Unauthorized", "Access token or key is missing: send 'Authorization: Bearer …'."
            )
        if mode == "Key":
            if not any(secrets.compare_digest(value.encode(), one.encode()) for one in endpoint.keys):
                raise Refused(401, "Unauthorized", "The key is not valid for this endpoint.")
            return "key"
        if mode == "AMLToken":
            if endpoint.tokens.get(value, 0) <= time.time():
                raise Refused(
                    401, "Unauthorized", "The token is not valid for this endpoint, or it has ended."
                )
            return "token"
        caller = self.access.caller(authorization)
        self.access.need(caller, "score", path)
        return caller.name

    async def _mirror(self, endpoint: Endpoint, deployment: str, body: bytes) -> None:
        with contextlib.suppress(httpx.HTTPError, KeyError):
            found = await self._ask(endpoint.servers[deployment], body)
            self.note(f"/score/{endpoint.name}/{deployment}", found.status_code, found.text)

    async def _ask(self, server: Server, body: bytes) -> httpx.Response:
        kind, content = {"content-type": "application/json"}, as_mlflow(body)
        return await self._client.post(f"{server.uri}/invocations", content=content, headers=kind)

    async def settle(self) -> None:
        """Wait until the copies that are under way have their answers."""
        await asyncio.gather(*self._copies)

    async def close(self) -> None:
        """End every process."""
        for endpoint in self.all.values():
            for server in endpoint.servers.values():
                await asyncio.to_thread(server.stop)
