"""A workspace of this machine for a lesson's `with` block: started, its addresses and secrets, its calls."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from course.servers import HOST, Server, answers, base_environment, python
from course.stores import sqlite_server
from projects.platforms.wire import WireLog

PERSON, PRINCIPAL = "reader@course.example", "train-job"


@dataclass
class Local:
    """A running workspace: its address, and the credentials of a person and of a service principal."""

    uri: str
    token: str  # the person's
    client_id: str  # the principal's
    client_secret: str
    log: WireLog

    @property
    def as_person(self) -> dict[str, str]:
        """The environment variables with which clients come as the person."""
        return {"DATABRICKS_HOST": self.uri, "DATABRICKS_TOKEN": self.token}

    @property
    def as_principal(self) -> dict[str, str]:
        """The environment variables with which clients come as the service principal, by OAuth."""
        secret = {"DATABRICKS_CLIENT_ID": self.client_id, "DATABRICKS_CLIENT_SECRET": self.client_secret}
        return {"DATABRICKS_HOST": self.uri, **secret}

    def calls(self, since: int = 0) -> pd.DataFrame:
        """Return what crossed the wire after the first `since` calls, one row a request."""
        return self.log.read(since)


@contextlib.contextmanager
def workspace(folder: str | Path, idle_seconds: float = 1800.0) -> Iterator[Local]:
    """Run a workspace of this machine, an MLflow server behind it; all it keeps is in `folder`.

    `idle_seconds` is when an endpoint that may scale to zero does.

    Raises: ServerError.
    """
    folder = Path(folder).resolve()
    token, client = "dapi" + secrets.token_hex(16), str(uuid.uuid4())
    secret = "dose" + secrets.token_hex(16)
    people = [
        {"name": PERSON, "id": 1, "token": token},
        {"name": PRINCIPAL, "id": 2, "client_id": client, "client_secret": secret},
    ]
    with sqlite_server(folder / "mlflow") as mlflow:
        options = ["--folder", str(folder), "--upstream", mlflow.uri, "--idle-seconds", str(idle_seconds)]
        server = Server(
            name="The Databricks stand-in",
            log=folder / "workspace.log",
            command=lambda port: python(
                "projects.platforms.databricks.workspace", "--port", str(port), *options
            ),
            is_ready=lambda port: answers(f"http://{HOST}:{port}", "/health"),
            server_env=base_environment(drop="DATABRICKS_|MLFLOW_")
            | {"WORKSPACE_IDENTITIES": json.dumps(people)},
        )
        with server:
            yield Local(server.uri, token, client, secret, WireLog(folder / "calls.jsonl"))


def live() -> dict[str, str] | None:
    """Return the reader's own workspace as the environment names it, None where it names none."""
    names = ("DATABRICKS_HOST", "DATABRICKS_TOKEN", "DATABRICKS_CLIENT_ID", "DATABRICKS_CLIENT_SECRET")
    found = {name: os.environ[name] for name in names if os.environ.get(name)}
    return found if "DATABRICKS_HOST" in found and len(found) > 1 else None
