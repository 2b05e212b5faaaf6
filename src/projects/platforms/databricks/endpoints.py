"""Serving endpoints that serve: `walkforward serve` for each served version, and traffic split among them.

A version that may scale to zero ends after idle seconds; the request that wakes it waits for its start.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from starlette.responses import Response

from course.servers import Server, ServerError, fast_server
from projects.platforms.databricks.access import Identity, Refused
from projects.platforms.databricks.grants import Grants
from projects.platforms.databricks.volumes import Volumes

IDLE_SECONDS = 1800.0  # the platform's half hour
ANSWER_SECONDS = 10.0  # that a question for an endpoint waits while it is being updated
SIZES = {"Small": (0, 4), "Medium": (8, 16), "Large": (16, 64)}  # concurrent requests a size stands for
LEVELS = ("CAN_VIEW", "CAN_QUERY", "CAN_MANAGE")


@dataclass(eq=False)
class Served:
    """One version behind an endpoint: its entry, its process, when it was last asked."""

    entry: dict[str, Any]
    model: Path
    folder: Path
    server: Server | None = None
    asked: float = 0.0
    starts: int = 0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def uri(self) -> str:
        """Return the address of the running process, started where there is none. Raises Refused."""
        async with self.lock:
            if self.server is None or not self.server.running:
                server = fast_server(str(self.model), self.folder / f"start-{self.starts}")
                try:
                    await asyncio.to_thread(server.__enter__)
                except ServerError as error:
                    raise Refused(
                        400, "BAD_REQUEST", f"The served entity failed to start: {error}"
                    ) from error
                self.server, self.starts = server, self.starts + 1
            self.asked = time.monotonic()
            return self.server.uri

    async def stop(self) -> None:
        """End the process, if there is one."""
        async with self.lock:
            if self.server is not None:
                await asyncio.to_thread(self.server.stop)
            self.server = None


@dataclass(eq=False)
class Endpoint:
    """An endpoint: who made it, who may use it, what it serves now, and how traffic is split."""

    name: str
    creator: str
    number: int
    allowed: dict[str, str] = field(default_factory=dict)
    served: dict[str, Served] = field(default_factory=dict)
    routes: dict[str, int] = field(default_factory=dict)
    version: int = 0
    update: str = "NOT_UPDATING"
    problem: str = ""
    settled: asyncio.Event = field(default_factory=asyncio.Event)

    def details(self) -> dict[str, Any]:
        """Return the endpoint as the platform describes it."""
        deployment = {"deployment": "DEPLOYMENT_READY", "deployment_state_message": ""}
        entities = [{**one.entry, "state": deployment} for one in self.served.values()]
        routes = [
            {"served_model_name": name, "traffic_percentage": part} for name, part in self.routes.items()
        ]
        config = {"served_entities": entities, "config_version": self.version}
        ready = "READY" if self.served else "NOT_READY"
        return {
            "name": self.name,
            "id": f"{self.number:032x}",
            "creator": self.creator,
            "state": {"ready": ready, "config_update": self.update},
            "config": config | {"traffic_config": {"routes": routes}},
        }


class Endpoints:
    """The workspace's endpoints. `grants` says who may execute a model, `volumes` where its files are."""

    def __init__(
        self, folder: Path, volumes: Volumes, grants: Grants, idle_seconds: float = IDLE_SECONDS
    ) -> None:
        self.folder, self.volumes, self.grants = folder, volumes, grants
        self.idle_seconds = idle_seconds
        self.all: dict[str, Endpoint] = {}
        self._draw = random.Random("traffic")  # the same split each time: a lesson's output stays as it is
        self._made = 0
        self._working: set[asyncio.Task[None]] = set()
        self._client = httpx.AsyncClient(timeout=60, trust_env=False)

    async def answer(self, method: str, path: str, asked: dict[str, Any], caller: Identity) -> dict[str, Any]:
        """Answer `/api/2.0/serving-endpoints<path>`. Raises Refused."""
        if path == "" and method == "GET":
            return {"endpoints": [one.details() for one in self.all.values()]}
        if path == "" and method == "POST":
            return self._create(asked, caller)
        name, _, rest = path.removeprefix("/").partition("/")
        endpoint = self._find(name)
        if method == "GET" and not rest:
            self._need(endpoint, caller, "CAN_VIEW")
            with contextlib.suppress(
                TimeoutError
            ):  # an answer that waits a little spares the client's polling
                await asyncio.wait_for(endpoint.settled.wait(), ANSWER_SECONDS)
            return endpoint.details()
        self._need(endpoint, caller, "CAN_MANAGE")
        if method == "PUT" and rest == "config":
            self._configure(endpoint, asked, caller)
            return endpoint.details()
        if method == "DELETE" and not rest:
            del self.all[name]
            await asyncio.gather(*[one.stop() for one in endpoint.served.values()])
            return {}
        raise Refused(404, "ENDPOINT_NOT_FOUND", f"No API found for '{method} serving-endpoints{path}'")

    def permissions(
        self, method: str, number: str, asked: dict[str, Any], caller: Identity
    ) -> dict[str, Any]:
        """Answer `/api/2.0/permissions/serving-endpoints/<id>`."""
        found = [one for one in self.all.values() if number in (one.name, f"{one.number:032x}")]
        endpoint = found[0] if found else self._find(number)
        self._need(endpoint, caller, "CAN_MANAGE")
        if method in ("PATCH", "PUT"):
            rows = asked.get("access_control_list", [])
            new = {
                row.get("service_principal_name") or row["user_name"]: row["permission_level"] for row in rows
            }
            wrong = [level for level in new.values() if level not in LEVELS]
            if wrong:
                raise Refused(
                    400, "INVALID_PARAMETER_VALUE", f"{wrong[0]} is not one of {', '.join(LEVELS)}."
                )
            endpoint.allowed = new if method == "PUT" else endpoint.allowed | new
        rows = [
            {"display_name": who, "all_permissions": [{"permission_level": level, "inherited": False}]}
            for who, level in endpoint.allowed.items()
        ]
        about = {"object_id": f"/serving-endpoints/{endpoint.number:032x}", "object_type": "serving-endpoint"}
        return about | {"access_control_list": rows}

    async def invoke(self, name: str, body: bytes, caller: Identity) -> Response:
        """Answer `/serving-endpoints/<name>/invocations`: one version of the split, its own words."""
        endpoint = self._find(name)
        self._need(endpoint, caller, "CAN_QUERY")
        if not endpoint.served:
            raise Refused(
                400, "BAD_REQUEST", f"Endpoint {name} is not ready: {endpoint.problem or 'starting'}"
            )
        chosen = self._draw.choices(list(endpoint.routes), list(endpoint.routes.values()))[0]
        uri = await endpoint.served[chosen].uri()
        kind = {"content-type": "application/json"}
        found = await self._client.post(f"{uri}/invocations", content=body, headers=kind)
        headers = {"served-model-name": chosen}
        return Response(found.content, found.status_code, headers, found.headers.get("content-type"))

    async def rest(self) -> None:
        """End, for as long as the workspace runs, what was not asked for `idle_seconds` and may sleep."""
        while True:
            await asyncio.sleep(min(1.0, self.idle_seconds / 4))
            for endpoint in list(self.all.values()):
                for one in endpoint.served.values():
                    idle = time.monotonic() - one.asked > self.idle_seconds
                    if one.entry.get("scale_to_zero_enabled") and one.server is not None and idle:
                        await one.stop()

    async def close(self) -> None:
        """End every process."""
        for endpoint in self.all.values():
            for one in endpoint.served.values():
                with contextlib.suppress(OSError):
                    await one.stop()

    def _find(self, name: str) -> Endpoint:
        if name not in self.all:
            raise Refused(404, "RESOURCE_DOES_NOT_EXIST", f"The endpoint {name} does not exist.")
        return self.all[name]

    def _need(self, endpoint: Endpoint, caller: Identity, level: str) -> None:
        held = "CAN_MANAGE" if caller.name == endpoint.creator else ""
        held = held or endpoint.allowed.get(caller.client_id or caller.name, "")
        if held not in LEVELS[LEVELS.index(level) :]:
            message = f"User does not have the permission {level} on the endpoint {endpoint.name}."
            raise Refused(403, "PERMISSION_DENIED", message)

    def _create(self, asked: dict[str, Any], caller: Identity) -> dict[str, Any]:
        name = str(asked.get("name", ""))
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}", name):
            rule = "letters, digits, - and _, at most 63 of them"
            raise Refused(400, "INVALID_PARAMETER_VALUE", f"Endpoint name {name!r} is not valid: {rule}.")
        if name in self.all:
            raise Refused(400, "RESOURCE_ALREADY_EXISTS", f"Endpoint with name '{name}' already exists.")
        endpoint = Endpoint(name, caller.name, self._made + 1)
        self._configure(endpoint, asked.get("config") or {}, caller)
        self.all[name], self._made = endpoint, self._made + 1
        return endpoint.details()

    def _configure(self, endpoint: Endpoint, config: dict[str, Any], caller: Identity) -> None:
        """Check a configuration and start what it asks for beside what serves now."""
        new: dict[str, Served] = {}
        entries: dict[str, dict[str, Any]] = {}
        for entity in config.get("served_entities") or []:
            model, version = str(entity.get("entity_name", "")), str(entity.get("entity_version", ""))
            self.grants.need(caller, "EXECUTE", model)
            files = self.volumes.local("/".join(["/Models", *model.split("."), version]))
            if not (files / "MLmodel").exists():
                raise Refused(
                    404, "RESOURCE_DOES_NOT_EXIST", f"Model version {model}/{version} does not exist."
                )
            if entity.get("workload_size", "Small") not in SIZES:
                raise Refused(400, "INVALID_PARAMETER_VALUE", f"workload_size is one of {', '.join(SIZES)}.")
            name = entity.get("name") or f"{model.split('.')[-1]}-{version}"
            entries[name] = {"workload_size": "Small", **entity, "name": name}
            running = endpoint.served.get(name)
            if running is not None and running.model == files:
                new[name] = running  # the same version goes on in its process
            else:
                folder = self.folder / endpoint.name / f"{name}-{endpoint.version + 1}"
                new[name] = Served(entries[name], files, folder)
        if not new:
            raise Refused(400, "INVALID_PARAMETER_VALUE", "An endpoint serves at least one entity.")
        given = (config.get("traffic_config") or {}).get("routes") or []
        routes = {
            row.get("served_model_name") or row["served_entity_name"]: int(row["traffic_percentage"])
            for row in given
        }
        if len(new) == 1 and not routes:
            routes = dict.fromkeys(new, 100)
        if set(routes) != set(new) or sum(routes.values()) != 100 or min(routes.values(), default=0) < 0:
            rule = f"the routes must name each of {', '.join(new)} and their percentages add up to 100"
            raise Refused(400, "INVALID_PARAMETER_VALUE", f"traffic_config is not valid: {rule}.")
        if endpoint.update == "IN_PROGRESS":
            raise Refused(409, "RESOURCE_CONFLICT", f"Endpoint {endpoint.name} is being updated.")
        endpoint.update = "IN_PROGRESS"
        endpoint.settled.clear()
        work = asyncio.create_task(self._update(endpoint, new, entries, routes))
        self._working.add(work)
        work.add_done_callback(self._working.discard)

    async def _update(
        self,
        endpoint: Endpoint,
        new: dict[str, Served],
        entries: dict[str, dict[str, Any]],
        routes: dict[str, int],
    ) -> None:
        """Switch when every new process answers; until then, and when one does not, the old ones serve."""
        old = endpoint.served
        try:
            await asyncio.gather(*[one.uri() for one in new.values()])
        except Refused as refused:
            endpoint.update, endpoint.problem = "UPDATE_FAILED", str(refused)
            leave = old
        else:
            for name, one in new.items():
                one.entry = entries[name]
            endpoint.served, endpoint.routes = new, routes
            endpoint.version, endpoint.update, endpoint.problem = endpoint.version + 1, "NOT_UPDATING", ""
            leave = new
        endpoint.settled.set()
        gone = {id(one): one for one in [*old.values(), *new.values()] if one not in leave.values()}
        await asyncio.gather(*[one.stop() for one in gone.values()])
