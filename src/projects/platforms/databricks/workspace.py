"""A Databricks workspace in small, on 127.0.0.1: the platform's own clients talk to it unchanged.

It checks tokens, keeps what MLflow logs in an MLflow server behind it, files in a folder, and runs jobs. What
it does not do it refuses with the platform's error, never with a made-up success: see `SERVED`.

    python -m projects.platforms.databricks.workspace --port 8080 --folder DIR --upstream URI

The identities and the first token come in the environment variable `WORKSPACE_IDENTITIES`; the first identity
administers the workspace.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from course.servers import HOST
from projects.platforms.databricks import catalog
from projects.platforms.databricks.access import ORGANISATION, Access, Identity, Refused, Token, public
from projects.platforms.databricks.endpoints import IDLE_SECONDS, Endpoints
from projects.platforms.databricks.grants import Grants
from projects.platforms.databricks.jobs import Jobs
from projects.platforms.databricks.volumes import Volumes
from projects.platforms.wire import Call, WireLog

SERVED = {
    "/oidc/v1/token": "served: client credentials against an hour's token",
    "/api/2.0/preview/scim/v2/Me": "served",
    "/api/2.0/token/{create,list,delete}": "served: personal tokens that end",
    "/api/2.0/fs/{files,directories}": "served from a folder",
    "/api/2.x/jobs/{create,get,list,delete,run-now}": "served: Python files, run for real",
    "/api/2.x/jobs/runs/{get,get-output}": "served",
    "/api/2.0/serving-endpoints/*": "served: `walkforward serve` for each version",
    "/serving-endpoints/{name}/invocations": "passed to one version of the split",
    "/api/2.1/unity-catalog/permissions/*, /api/2.0/permissions/serving-endpoints/*": "served",
    "/api/2.0/mlflow/unity-catalog/*": "translated for the MLflow server",
    "/api/2.0/mlflow/*, /api/3.0/mlflow/*": "proxied to the MLflow server",
    "everything else": "refused: 404 ENDPOINT_NOT_FOUND",
}
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"]
_SECRET = re.compile(r'("token_value": ?|"access_token": ?|client_secret=)("?)[^"&]*')


class Workspace:
    """The application: one method a group of calls, each returns a response or raises Refused."""

    def __init__(
        self, folder: Path, upstream: str, access: Access, idle_seconds: float = IDLE_SECONDS
    ) -> None:
        self.access = access
        self.volumes = Volumes(folder / "files")
        self.volumes.folder.mkdir(parents=True, exist_ok=True)
        self.jobs = Jobs(access, self.volumes)
        self.grants = Grants(admin=next(iter(access.identities)))
        self.endpoints = Endpoints(folder / "endpoints", self.volumes, self.grants, idle_seconds)
        self.log = WireLog(folder / "calls.jsonl")
        self.mlflow = httpx.AsyncClient(base_url=upstream, timeout=60, trust_env=False)
        self.app = Starlette(
            routes=[Route("/{path:path}", self.handle, methods=METHODS)], lifespan=self._life
        )

    @contextlib.asynccontextmanager
    async def _life(self, _: Starlette) -> AsyncIterator[None]:
        resting = asyncio.create_task(self.endpoints.rest())
        yield
        resting.cancel()
        await self.endpoints.close()

    async def handle(self, request: Request) -> Response:
        """Answer one request, whatever it is, and write it down."""
        body, path, who, how = await request.body(), request.url.path, "", "served"
        try:
            if (found := self._open(request, body)) is None:
                caller = self.access.caller(request.headers.get("authorization", ""))
                who = caller.name
                found, how = await self._answer(request, body, caller)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            message = f"The request could not be read: {type(error).__name__} {error}"
            found, how = JSONResponse({"error_code": "MALFORMED_REQUEST", "message": message}, 400), "refused"
        except Refused as refused:
            found, how = JSONResponse(refused.body, refused.status), "refused"
        except httpx.HTTPError as error:
            message = f"The tracking server behind this workspace did not answer: {type(error).__name__}"
            found, how = (
                JSONResponse({"error_code": "TEMPORARILY_UNAVAILABLE", "message": message}, 503),
                "refused",
            )
        found.headers["x-databricks-org-id"] = ORGANISATION  # as the platform; MLflow's run links need it
        sent = "" if path.startswith("/api/2.0/fs/") else body.decode("utf-8", "replace")
        told = found.body.decode("utf-8", "replace") if found.media_type == "application/json" else ""
        hidden = [_SECRET.sub(r"\1\2…", text) for text in (sent, told)]
        self.log.write(Call(who, request.method, path, how, found.status_code, *hidden))
        return found

    def _open(self, request: Request, body: bytes) -> Response | None:
        """Answer what needs no token: where to get one, and getting it."""
        here, path = str(request.base_url).rstrip("/"), request.url.path
        if path == "/health":
            return Response("OK")
        if path == "/.well-known/databricks-config":
            about = {"oidc_endpoint": f"{here}/oidc", "workspace_id": ORGANISATION, "account_id": "course"}
            return JSONResponse(about | {"cloud": "LOCAL"})
        if path == "/oidc/.well-known/oauth-authorization-server":
            ends = {
                name: f"{here}/oidc/v1/{name[:-9]}" for name in ("authorization_endpoint", "token_endpoint")
            }
            return JSONResponse({"issuer": f"{here}/oidc", **ends})
        if path == "/oidc/v1/token" and request.method == "POST":
            authorization = request.headers.get("authorization", "")
            status, answer = self.access.exchange(authorization, body.decode("utf-8", "replace"))
            return JSONResponse(answer, status)
        return None

    async def _answer(self, request: Request, body: bytes, caller: Identity) -> tuple[Response, str]:
        path, method = request.url.path, request.method
        if path == "/api/2.0/preview/scim/v2/Me":
            return JSONResponse({"id": str(caller.id), "userName": caller.client_id or caller.name}), "served"
        if group := re.fullmatch(r"/api/2\.\d/(token|jobs)/(.+)", path):
            asked = _object(body) | dict(request.query_params)
            here = str(request.base_url).rstrip("/")
            if group[1] == "jobs":
                return JSONResponse(await self.jobs.answer(group[2], asked, caller, here)), "served"
            return JSONResponse(self._token(group[2], asked, caller)), "served"
        if found := re.fullmatch(r"/api/2\.0/fs/(files|directories)(/.+)", path):
            self._may_open(found[2], method, caller)
            if found[1] == "directories":
                return self.volumes.directory(method, found[2]), "served"
            return self.volumes.file(method, found[2], body, request.headers.get("range", "")), "served"
        if found := re.fullmatch(r"/serving-endpoints/([^/]+)/invocations", path):
            return await self.endpoints.invoke(found[1], body, caller), "proxied"
        if found := re.fullmatch(r"/api/2\.0/serving-endpoints(/.+)?", path):
            return JSONResponse(
                await self.endpoints.answer(method, found[1] or "", _object(body), caller)
            ), "served"
        if found := re.fullmatch(r"/api/2\.0/permissions/serving-endpoints/([^/]+)", path):
            return JSONResponse(self.endpoints.permissions(method, found[1], _object(body), caller)), "served"
        if found := re.fullmatch(r"/api/2\.1/unity-catalog/permissions/([^/]+)/([^/]+)", path):
            return JSONResponse(
                self.grants.answer(method, found[1], found[2], _object(body), caller)
            ), "served"
        if path.startswith(catalog.PATH):
            query = dict(request.query_params)
            answer = await catalog.answer(method, path, query, body, self._upstream, self.grants, caller)
            return JSONResponse(answer), "served"
        if re.match(r"/(api/[23]\.0|ajax-api/[23]\.0)/mlflow/", path):
            return await self._proxy(request, body, caller), "proxied"
        raise Refused(404, "ENDPOINT_NOT_FOUND", f"No API found for '{method} {path}'")

    def _may_open(self, path: str, method: str, caller: Identity) -> None:
        """Hold the files of a registered model to its privileges."""
        if found := re.match(r"/Models/([^/]+)/([^/]+)/([^/]+)", path):
            reading = method in ("GET", "HEAD")
            self.grants.need(caller, "EXECUTE" if reading else "MANAGE", ".".join(found.groups()))

    def _token(self, call: str, asked: dict[str, Any], caller: Identity) -> dict[str, Any]:
        if call == "create":
            seconds = asked.get("lifetime_seconds")
            if seconds is not None and not (isinstance(seconds, (int, float)) and seconds > 0):
                raise Refused(
                    400, "INVALID_PARAMETER_VALUE", f"lifetime_seconds must be positive, not {seconds!r}."
                )
            value, token = self.access.issue(caller, seconds, str(asked.get("comment", "")))
            return {"token_value": value, "token_info": public(token)}
        if call == "list":
            return {"token_infos": self.access.tokens_of(caller)}
        if call == "delete":
            self.access.revoke(caller, str(asked.get("token_id", "")))
            return {}
        raise Refused(404, "ENDPOINT_NOT_FOUND", f"No API found for token/{call}")

    async def _proxy(self, request: Request, body: bytes, caller: Identity) -> Response:
        if request.url.path.endswith("/mlflow/experiments/create"):
            body = json.dumps(_experiment(_object(body))).encode()
        query = f"?{request.url.query}" if request.url.query else ""
        kind = {"content-type": request.headers.get("content-type", "application/json")}
        found = await self.mlflow.request(
            request.method, request.url.path + query, content=body, headers=kind
        )
        return Response(found.content, found.status_code, media_type=found.headers.get("content-type"))

    async def _upstream(
        self, method: str, path: str, asked: dict[str, Any] | None = None, query: dict[str, str] | None = None
    ) -> tuple[int, dict[str, Any]]:
        found = await self.mlflow.request(method, f"/api/2.0/mlflow/{path}", json=asked, params=query)
        answer = found.json() if found.content else {}
        if found.status_code >= 400:
            code = answer.get("error_code", "INTERNAL_ERROR")
            raise Refused(found.status_code, code, answer.get("message", found.text[:200]))
        return found.status_code, answer


def _object(body: bytes) -> dict[str, Any]:
    return catalog._object(body)


def _experiment(asked: dict[str, Any]) -> dict[str, Any]:
    """Hold an experiment to the platform's rule for names, and give it a volume for its artifacts."""
    name = str(asked.get("name", ""))
    if not name.startswith("/"):
        message = (
            f"Got an invalid experiment name '{name}'. An experiment name must be an absolute path within the"
        )
        raise Refused(
            400, "INVALID_PARAMETER_VALUE", f"{message} Databricks workspace, e.g. '/Users/<you>/demand'."
        )
    place = "dbfs:/Volumes/main/default/artifacts/" + re.sub(r"\W+", "-", name).strip("-")
    return {"artifact_location": place, **asked}


def load_identities(text: str) -> Access:
    """Return the access that a JSON list of identities describes; `token` is a first personal token."""
    rows = json.loads(text)
    firsts = [row.pop("token", "") for row in rows]
    access = Access([Identity(**row) for row in rows])
    for row, value in zip(rows, firsts, strict=True):
        if value:
            access.admit(
                value, Token(f"first-{row['id']}", access.identities[row["name"]], "first", time.time(), None)
            )
    return access


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--upstream", required=True)
    parser.add_argument("--idle-seconds", type=float, default=IDLE_SECONDS)
    given = parser.parse_args()
    access = load_identities(os.environ["WORKSPACE_IDENTITIES"])
    app = Workspace(given.folder, given.upstream, access, given.idle_seconds).app
    uvicorn.run(app, host=HOST, port=given.port, log_level="warning", timeout_graceful_shutdown=2)


if __name__ == "__main__":
    main()
