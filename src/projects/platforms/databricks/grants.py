"""Who may do what with a model: ownership and privileges along catalog, schema and model (Unity Catalog).

A privilege is held on the object itself or on one above it. An owner may do all with it and what is below.
"""

from __future__ import annotations

from typing import Any

from projects.platforms.databricks.access import Identity, Refused

KINDS = {"catalog": 1, "schema": 2, "function": 3}  # a registered model is granted as a "function"
PRIVILEGES = ("USE_CATALOG", "USE_SCHEMA", "CREATE_MODEL", "EXECUTE", "MANAGE", "ALL_PRIVILEGES")
_NOUNS = ("Metastore", "Catalog", "Schema", "Routine or Model")


class Grants:
    """Owners of objects, and privileges by object and grantee. `admin` owns what nobody else does."""

    def __init__(self, admin: str) -> None:
        self.admin = admin
        self.owners: dict[str, str] = {}
        self.held: dict[str, dict[str, list[str]]] = {}

    def owner(self, name: str) -> str:
        """Return who owns an object; what nobody made belongs to the administrator."""
        return self.owners.get(name, self.admin)

    def may(self, caller: Identity, privilege: str, name: str) -> bool:
        """Return whether the caller holds a privilege on an object, directly or from above."""
        levels = name.split(".")
        for depth in range(1, len(levels) + 1):
            above = ".".join(levels[:depth])
            if self.owner(above) == caller.name:
                return True
            rows = self.held.get(above, {})
            held = [*rows.get(caller.name, []), *rows.get(caller.client_id or caller.name, [])]
            if privilege in held or "ALL_PRIVILEGES" in held:
                return True
        return False

    def need(self, caller: Identity, privilege: str, name: str) -> None:
        """Raise Refused unless the caller may use the catalog and the schema, and holds the privilege."""
        levels = name.split(".")
        chain = [("USE_CATALOG", levels[0]), ("USE_SCHEMA", ".".join(levels[:2])), (privilege, name)]
        for wanted, where in chain:
            if not self.may(caller, wanted, where):
                noun = _NOUNS[where.count(".") + 1]
                message = f"User does not have {wanted.replace('_', ' ')} on {noun} '{where}'."
                raise Refused(403, "PERMISSION_DENIED", message)

    def answer(
        self, method: str, kind: str, name: str, asked: dict[str, Any], caller: Identity
    ) -> dict[str, Any]:
        """Answer `/api/2.1/unity-catalog/permissions/<kind>/<name>`: who holds what, and changes of it."""
        if KINDS.get(kind.lower()) != name.count(".") + 1:
            raise Refused(
                400, "INVALID_PARAMETER_VALUE", f"'{name}' is no {kind}, or {kind} is not served here."
            )
        if method == "PATCH":
            if not self.may(caller, "MANAGE", name):
                noun = _NOUNS[name.count(".") + 1]
                raise Refused(403, "PERMISSION_DENIED", f"User is not an owner of {noun} '{name}'.")
            for change in asked.get("changes", []):
                self._change(name, change)
        rows = self.held.get(name, {})
        return {
            "privilege_assignments": [
                {"principal": who, "privileges": held} for who, held in rows.items() if held
            ]
        }

    def _change(self, name: str, change: dict[str, Any]) -> None:
        wrong = [one for one in [*change.get("add", []), *change.get("remove", [])] if one not in PRIVILEGES]
        if wrong:
            raise Refused(
                400, "INVALID_PARAMETER_VALUE", f"Privilege {wrong[0]} is not applicable to '{name}'."
            )
        held = self.held.setdefault(name, {}).setdefault(str(change["principal"]), [])
        held += [one for one in change.get("add", []) if one not in held]
        for one in change.get("remove", []):
            if one in held:
                held.remove(one)
