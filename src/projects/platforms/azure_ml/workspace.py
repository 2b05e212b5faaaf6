"""An Azure Machine Learning workspace in small, on localhost over https: its clients talk to it unchanged.

It checks tenants, secrets, roles, keys and tokens, keeps runs and models in an MLflow server behind it, runs
jobs and serves deployments. What it does not do it refuses with Azure's error, never with a made-up success:
see `SERVED`.

    python -m projects.platforms.azure_ml.workspace --port 8443 --folder DIR --upstream URI --pem FILE

The applications come in the environment variable `WORKSPACE_APPLICATIONS`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
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
from projects.platforms.azure_ml.access import TOKEN_SECONDS, Access, Application, Refused
from projects.platforms.azure_ml.blobs import Blobs, pending_upload
from projects.platforms.azure_ml.endpoints import Endpoints
from projects.platforms.azure_ml.jobs import Jobs
from projects.platforms.azure_ml.tracking import Tracking
from projects.platforms.wire import Call, WireLog

WORKSPACE = (
    "/subscriptions/course/resourceGroups/walkforward/providers"
    "/Microsoft.MachineLearningServices/workspaces/demand"
)
SERVED = {
    "/{tenant}/oauth2/v2.0/token": "served: client credentials against an hour's token",
    "workspaces, computes, datastores (GET)": "served; there is one compute, `this-machine`",
    "environments, data, codes": "served: definitions are kept, code is uploaded to blobs",
    "jobs": "served: Command and Sweep, run for real, one after the other",
    "models": "kept in the MLflow registry",
    "onlineEndpoints, their deployments, logs, keys, tokens": "served: `walkforward serve` for each",
    "/score/{endpoint}": "passed to one deployment of the split, copied to the mirrored one",
    "/mlflow/v2.0/*": "proxied to the MLflow server",
    "everything else": "refused: 404 or 400",
}
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"]
COMPUTE = "this-machine"
_DEFINITIONS = r"(environments|data|codes)/[^/]+/versions/[^/]+"
_SECRET = re.compile(
    r'("(?:access_token|accessToken|primaryKey|secondaryKey|sasUri)": ?"|client_secret=)[^"&]*'
)


class Workspace:
    """The application: `handle` answers every request; resources are kept by their lowercased path."""

    def __init__(self, folder: Path, upstream: str, access: Access) -> None:
        self.access, self.tracking = access, Tracking(upstream)
        self.blobs = Blobs(folder / "blobs")
        self.resources: dict[str, dict[str, Any]] = {}
        self.runs: dict[str, str] = {}  # MLflow's run of each job
        self.here = ""
        self.jobs = Jobs(folder / "jobs", self.tracking, self._code, self._variables)
        self.log = WireLog(folder / "calls.jsonl")
        self.endpoints = Endpoints(folder / "endpoints", access, self._model, self._get, self._copied)
        self.mlflow = httpx.AsyncClient(base_url=upstream, timeout=60, trust_env=False)
        routes = [Route("/{path:path}", self.handle, methods=METHODS)]
        self.app = Starlette(routes=routes, lifespan=self._life)

    @contextlib.asynccontextmanager
    async def _life(self, _: Starlette) -> AsyncIterator[None]:
        yield
        await self.endpoints.close()

    async def handle(self, request: Request) -> Response:
        """Answer one request, whatever it is, and write it down."""
        body, path, who, how = await request.body(), request.url.path, "", "served"
        self.here = str(request.base_url).rstrip("/")
        try:
            found, who, how = await self._answer(request, body)
        except Refused as refused:
            found, how = JSONResponse(refused.body, refused.status), "refused"
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            said = f"The request could not be read: {type(error).__name__} {error}"
            found, how = JSONResponse({"error": {"code": "BadArgument", "message": said}}, 400), "refused"
        except httpx.HTTPError as error:
            said = f"The tracking server behind this workspace did not answer: {type(error).__name__}"
            found, how = JSONResponse({"error": {"code": "ServiceError", "message": said}}, 503), "refused"
        quiet = path.startswith("/blobs/") or "/mlflow-artifacts/" in path
        sent = "" if quiet else body.decode("utf-8", "replace")
        told = found.body.decode("utf-8", "replace") if found.media_type == "application/json" else ""
        hidden = [_SECRET.sub(r"\1…", text) for text in (sent, told)]
        self.log.write(Call(who, request.method, path, how, found.status_code, *hidden))
        return found

    async def _answer(self, request: Request, body: bytes) -> tuple[Response, str, str]:
        """Return the answer, who asked, and how it came about. Raises Refused."""
        path, method, headers = request.url.path, request.method, request.headers
        authorization = headers.get("authorization", "")
        if path == "/health":
            return Response("OK"), "", "served"
        if found := re.fullmatch(r"/([\w-]+)/v2\.0/\.well-known/openid-configuration", path):
            return JSONResponse(self._openid(found[1])), "", "served"
        if found := re.fullmatch(r"/([\w-]+)/oauth2/v2\.0/token", path):
            status, answer = self.access.exchange(found[1], body.decode("utf-8", "replace"))
            return JSONResponse(answer, status), "", "served"
        if path.startswith("/blobs/"):
            query, below = dict(request.query_params), path.removeprefix("/blobs/")
            return self.blobs.answer(method, below, query, dict(headers), body), "", "served"
        if found := re.fullmatch(r"/score/([^/]+)", path):
            chosen, name = headers.get("azureml-model-deployment", ""), found[1]
            where = f"{WORKSPACE}/onlineEndpoints/{name}"
            answer, who = await self.endpoints.score(name, where, authorization, chosen, body)
            return answer, who, "proxied"
        caller = self.access.caller(authorization)
        if found := re.fullmatch(rf"/mlflow/v[12]\.0{re.escape(WORKSPACE)}(/.+)", path, re.IGNORECASE):
            self.access.need(caller, "read" if method == "GET" else "write", WORKSPACE)
            return await self._proxy(request, found[1], body), caller.name, "proxied"
        below = re.fullmatch(rf"{re.escape(WORKSPACE)}(/.*)?", path.rstrip("/"), re.IGNORECASE)
        if not below:
            raise Refused(404, "ResourceNotFound", f"The resource '{path}' was not found.")
        reading = method == "GET" or (below[1] or "").lower().endswith("/token")
        self.access.need(caller, "read" if reading else "write", path)
        asked = json.loads(body) if body else {}
        return await self._resource(method, (below[1] or "").strip("/"), asked, caller), caller.name, "served"

    def _openid(self, tenant: str) -> dict[str, str]:
        root = f"{self.here}/{tenant}"
        ends = {f"{name}_endpoint": f"{root}/oauth2/v2.0/{name}" for name in ("token", "authorization")}
        return {"issuer": f"{root}/v2.0", "device_authorization_endpoint": f"{root}/devicecode", **ends}

    async def _resource(self, method: str, path: str, asked: dict[str, Any], caller: Application) -> Response:
        """Answer a call on the workspace or on what is in it."""
        if method == "GET":
            return JSONResponse(self._get(f"{WORKSPACE}/{path}" if path else WORKSPACE))
        if re.fullmatch(r"codes/[^/]+/versions/[^/]+/startPendingUpload", path):
            container = re.sub(r"[^a-z0-9]+", "-", "-".join(path.lower().split("/")[1:4:2]))[:60]
            return JSONResponse(pending_upload(self.here, self.blobs, container))
        if found := re.fullmatch(r"onlineEndpoints/([^/]+)(?:/deployments/([^/]+))?", path, re.IGNORECASE):
            return await self._endpoint(method, path, found[1], found[2] or "", asked)
        if found := re.fullmatch(
            r"onlineEndpoints/([^/]+)/(listKeys|regenerateKeys|token)", path, re.IGNORECASE
        ):
            return JSONResponse(self._secrets(found[1], found[2].lower(), asked))
        if found := re.fullmatch(r"onlineEndpoints/([^/]+)/deployments/([^/]+)/getLogs", path, re.IGNORECASE):
            return JSONResponse({"content": self.endpoints.log(found[1], found[2], asked.get("tail") or 100)})
        if method != "PUT":
            raise Refused(404, "ResourceNotFound", f"'{method} {path}' is not done here.")
        if found := re.fullmatch(r"jobs/([^/]+)", path):
            job = self._put(path, asked)
            job["properties"]["services"] = {
                "Tracking": {"jobServiceType": "Tracking", "endpoint": self.here}
            }
            self.jobs.start(job, caller)
            return JSONResponse(job, 201)
        if found := re.fullmatch(r"models/([^/]+)/versions/([^/]+)", path):
            self._register(found[1], found[2], asked["properties"])
            return JSONResponse(self._get(f"{WORKSPACE}/{path}"), 201)
        if re.fullmatch(_DEFINITIONS, path):
            return JSONResponse(self._put(path, asked), 201)
        raise Refused(400, "UserError", f"'{path}' can't be made here: the one compute is '{COMPUTE}'.")

    def _put(self, path: str, asked: dict[str, Any]) -> dict[str, Any]:
        asked |= self._about(f"{WORKSPACE}/{path}")
        asked.setdefault("properties", {})["provisioningState"] = "Succeeded"
        asked.setdefault("tags", {})
        self.resources[asked["id"].lower()] = asked
        return asked

    def _about(self, path: str) -> dict[str, Any]:
        when = {"createdAt": "2026-01-01T00:00:00Z", "createdBy": "course", "createdByType": "Application"}
        when |= {"lastModifiedAt": when["createdAt"], "lastModifiedBy": "course"}
        kind = "/".join(["Microsoft.MachineLearningServices", *path.removeprefix(WORKSPACE).split("/")[1::2]])
        return {"id": path, "name": path.rsplit("/", 1)[1], "type": kind, "systemData": when}

    def _get(self, path: str) -> dict[str, Any]:
        """Return a resource, or the list of those below a path. Raises Refused (404)."""
        below = path[len(WORKSPACE) :].strip("/")
        if not below:
            return self._about(WORKSPACE) | {
                "location": "local",
                "kind": "Default",
                "properties": self._itself(),
            }
        if below.lower() == f"computes/{COMPUTE}":
            state = {
                "provisioningState": "Succeeded",
                "computeType": "AmlCompute",
                "computeLocation": "local",
            }
            return self._about(path) | {
                "location": "local",
                "properties": state | {"properties": {"vmSize": "local"}},
            }
        if found := re.fullmatch(r"models/([^/]+)/versions/([^/]+)", below):
            return self._about(path) | {"properties": self.tracking.model(found[1], found[2])}
        if path.lower() in self.resources:
            return self.resources[path.lower()]
        under = [one for key, one in self.resources.items() if key.rsplit("/", 1)[0] == path.lower()]
        if under or re.fullmatch(
            r"(jobs|onlineEndpoints|onlineEndpoints/[^/]+/deployments|codes/[^/]+/versions)", below
        ):
            return {"value": under[::-1]}  # the newest first: a client takes the first for the latest
        raise Refused(404, "ResourceNotFound", f"The resource '{path}' was not found.")

    def _itself(self) -> dict[str, Any]:
        uri = f"azureml://{self.here.split('//')[1]}/mlflow/v1.0{WORKSPACE}"
        return {"workspaceId": "1", "mlFlowTrackingUri": uri, "discoveryUrl": f"{self.here}/discovery"}

    async def _endpoint(
        self, method: str, path: str, name: str, deployment: str, asked: dict[str, Any]
    ) -> Response:
        key = f"{WORKSPACE}/{path}".lower()
        if method == "DELETE":
            taking = (
                self._get(f"{WORKSPACE}/onlineEndpoints/{name}")["properties"].get("traffic") or {}
            ).get(deployment)
            if deployment and taking:
                raise Refused(
                    400,
                    "UserError",
                    f"Deployment {deployment} takes {taking} % of the traffic: set it to 0 first.",
                )
            await self.endpoints.remove(name, deployment)
            for one in [one for one in self.resources if one == key or one.startswith(f"{key}/")]:
                del self.resources[one]
            return Response(status_code=200)
        if method != "PUT":
            raise Refused(404, "ResourceNotFound", f"'{method} {path}' is not done here.")
        if deployment:
            await self.endpoints.deploy(name, deployment, asked)
            asked["properties"].setdefault("endpointComputeType", "Managed")
            asked["properties"].setdefault("scaleSettings", {"scaleType": "Default"})
        else:
            await self.endpoints.settle()
            self.endpoints.configure(name, path, asked, self.here)
        return JSONResponse(self._put(path, asked))

    def _copied(self, path: str, status: int, answer: str) -> None:
        """Write down a request that was copied to a deployment, and its answer, which nobody gets."""
        self.log.write(Call("", "POST", path, "mirrored", status, "", answer))

    def _secrets(self, name: str, call: str, asked: dict[str, Any]) -> dict[str, Any]:
        mode = self._get(f"{WORKSPACE}/onlineEndpoints/{name}")["properties"]["authMode"]
        endpoint = self.endpoints.all[name]
        if (call == "token") != (mode == "AMLToken") or mode == "AADToken":
            raise Refused(
                400, "UserError", f"Endpoint {name} has authMode {mode}: there is no {call} for it."
            )
        if call == "token":
            return self.endpoints.token(name)
        if call == "regeneratekeys":
            endpoint.renew(asked.get("keyType", "Primary"))
        return {"primaryKey": endpoint.keys[0], "secondaryKey": endpoint.keys[1]}

    def _register(self, name: str, version: str, asked: dict[str, Any]) -> None:
        uri = str(asked.get("modelUri", ""))
        found = re.fullmatch(r"azureml://jobs/([^/]+)/outputs/artifacts/paths/(.+?)/?", uri)
        if not found or found[1] not in self.runs and len(found[1]) != 32:
            form = "azureml://jobs/…/outputs/artifacts/paths/…"
            said = f"Models are registered from a job's output here ({form}), not {uri!r}."
            raise Refused(400, "UserError", said)
        run = self.runs.get(found[1], found[1])
        self.tracking.register(name, version, run, found[2], asked.get("tags") or {})

    def _code(self, asset: str) -> Path:
        """Return the folder of an uploaded code asset. Raises Refused (404)."""
        uri = self._get(asset)["properties"]["codeUri"]
        container, _, below = uri.partition("/blobs/")[2].partition("/")
        return self.blobs.place(container, below)

    def _model(self, asset: str) -> str:
        """Return the address of a registered model. Raises Refused (404)."""
        found = re.fullmatch(r".*/models/([^/]+)/versions/([^/]+)", asset)
        if not found:
            raise Refused(400, "UserError", f"A deployment wants a registered model, not {asset!r}.")
        self.tracking.model(found[1], found[2])
        return f"models:/{found[1]}/{found[2]}"

    def _variables(self, job: str, run: str, caller: Application) -> dict[str, str]:
        """Return what tells a job's MLflow where to log, and its run."""
        self.runs[job] = run
        env = {"MLFLOW_TRACKING_URI": f"{self.here}/mlflow/v2.0{WORKSPACE}", "MLFLOW_RUN_ID": run}
        env |= {"MLFLOW_TRACKING_TOKEN": self.access.issue(caller), "MLFLOW_REGISTRY_URI": ""}
        return {name: value for name, value in env.items() if value}

    async def _proxy(self, request: Request, path: str, body: bytes) -> Response:
        query = f"?{request.url.query}" if request.url.query else ""
        kind = {"content-type": request.headers.get("content-type", "application/json")}
        found = await self.mlflow.request(request.method, path + query, content=body, headers=kind)
        return Response(found.content, found.status_code, media_type=found.headers.get("content-type"))


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--upstream", required=True)
    parser.add_argument("--pem", type=Path, required=True)
    parser.add_argument("--token-seconds", type=float, default=TOKEN_SECONDS)
    given = parser.parse_args()
    rows = json.loads(os.environ["WORKSPACE_APPLICATIONS"])
    access = Access([Application(**row) for row in rows], given.token_seconds)
    app = Workspace(given.folder, given.upstream, access).app
    options = {"ssl_certfile": given.pem, "log_level": "warning", "timeout_graceful_shutdown": 2}
    uvicorn.run(app, host=HOST, port=given.port, **options)


if __name__ == "__main__":
    main()
