"""Unity Catalog's registry calls, kept in the course's own MLflow registry.

MLflow's client speaks another dialect to Unity Catalog than to its own server: other paths, a version that is
made, filled with files and finalized, aliases as objects. This translates it; what is stored is MLflow's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

from projects.platforms.databricks.access import Identity, Refused
from projects.platforms.databricks.grants import Grants

Upstream = Callable[..., Awaitable[tuple[int, dict[str, Any]]]]
PATH = "/api/2.0/mlflow/unity-catalog/"
_OURS_ALONE = (
    *("run_link", "current_stage", "latest_versions", "model_id", "model_params", "model_metrics"),
    *("deployment_job_state", "user_id"),
)


async def answer(
    method: str,
    path: str,
    query: dict[str, str],
    body: bytes,
    upstream: Upstream,
    grants: Grants,
    caller: Identity,
) -> dict[str, Any]:
    """Return the answer to one call below `PATH`; `upstream(method, path, json, params)` asks MLflow.

    Raises Refused, with MLflow's own error where MLflow refused.
    """
    call = path.removeprefix(PATH)
    if call.endswith(":is-databricks-sdk-models-artifact-repository-enabled"):
        return {"is_databricks_sdk_models_artifact_repository_enabled": True}
    asked = _object(body)
    if name := asked.get("name") or query.get("name"):
        _three_levels(name)
        _permit(call, method, name, grants, caller)
    if call == "model-versions/emit-lineage":
        return {}
    if call == "model-versions/create":
        kept = {
            key: asked[key]
            for key in ("name", "source", "run_id", "description", "tags", "model_id")
            if key in asked
        }
        made = theirs((await upstream("POST", call, kept))[1])
        made["model_version"] |= {"status": "PENDING_REGISTRATION", "storage_location": "unused:/"}
        return made
    if call == "model-versions/finalize":
        where = {"name": asked.get("name"), "version": asked.get("version")}
        return theirs((await upstream("GET", "model-versions/get", None, where))[1])
    if call == "model-versions/get-download-uri":
        place = "/".join(["dbfs:/Models", *query["name"].split("."), query["version"]])
        return {"artifact_uri": place}
    answered = theirs((await upstream(method, call, asked or None, query))[1])
    if call == "registered-models/create":
        grants.owners[asked["name"]] = caller.name
    return answered


def theirs(answered: dict[str, Any]) -> dict[str, Any]:
    """Return MLflow's answer in Unity Catalog's shape: without our own fields, aliases as objects."""
    for key in ("model_version", "registered_model"):
        if key in answered:
            answered[key] = _entity(answered[key])
    for key in ("model_versions", "registered_models"):
        if key in answered:
            answered[key] = [_entity(one) for one in answered[key]]
    return answered


def _entity(one: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in one.items() if key not in _OURS_ALONE}
    aliases = kept.get("aliases", [])
    kept["aliases"] = [{"alias": one} if isinstance(one, str) else one for one in aliases]
    return kept


def _permit(call: str, method: str, name: str, grants: Grants, caller: Identity) -> None:
    """Hold a call to its privilege: EXECUTE to read, CREATE_MODEL to make, ownership or MANAGE to change."""
    if call == "registered-models/create":
        grants.need(caller, "CREATE_MODEL", name.rsplit(".", 1)[0])
    else:
        reading = method == "GET" or call == "model-versions/emit-lineage"  # who loads a model says so
        grants.need(caller, "EXECUTE" if reading else "MANAGE", name)


def _three_levels(name: str) -> None:
    if not re.fullmatch(r"[^./\s]+\.[^./\s]+\.[^./\s]+", name):
        message = (
            f"[UC_INVALID_NAME] Registered model name {name!r} must have three levels: catalog.schema.model."
        )
        raise Refused(400, "INVALID_PARAMETER_VALUE", message)


def _object(body: bytes) -> dict[str, Any]:
    try:
        asked = json.loads(body) if body else {}
    except ValueError:
        asked = None
    if not isinstance(asked, dict):
        raise Refused(400, "MALFORMED_REQUEST", "The request's body is not a JSON object.")
    return asked
