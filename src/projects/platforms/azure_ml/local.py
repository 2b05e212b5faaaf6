"""A workspace of this machine for a lesson's `with` block: started, its certificate, secrets and calls."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import secrets
import socket
import ssl
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from course.files import write_whole
from course.servers import HOST, Server, base_environment, python
from course.stores import sqlite_server
from projects.platforms.azure_ml.access import TENANT
from projects.platforms.wire import WireLog

OTHER_TENANT = "00000000-0000-0000-0000-000000000002"
WORKSPACE = "demand"
SUBSCRIPTION, GROUP = "course", "walkforward"
ROLES = {
    "you": "AzureML Data Scientist",  # stands for a person who has logged in
    "train-job": "AzureML Data Scientist",
    "night-script": "AzureML Data Scientist",
    "new-pipeline": "Reader",
    "shop": "Endpoint Consumer",
    "auditor": "Reader",
    "stranger": "",
}


@dataclass
class Local:
    """A running workspace: its address, its certificate, and each application's client id and secret."""

    uri: str
    certificate: Path
    clients: dict[str, tuple[str, str]]
    log: WireLog

    @property
    def tracking_uri(self) -> str:
        """Where plain MLflow tracks, with a token in MLFLOW_TRACKING_TOKEN."""
        place = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}/providers"
        return f"{self.uri}/mlflow/v2.0{place}/Microsoft.MachineLearningServices/workspaces/{WORKSPACE}"

    @property
    def trusted(self) -> dict[str, str]:
        """The environment variables with which Python's clients trust the certificate."""
        return {"REQUESTS_CA_BUNDLE": str(self.certificate), "SSL_CERT_FILE": str(self.certificate)}

    @property
    def cloud(self) -> dict[str, str]:
        """What `MLClient(cloud="LocalCloud", cloud_metadata=…)` wants to know."""
        names = ("azure_portal", "resource_manager", "active_directory", "aml_resource_id")
        rest = {"storage_endpoint": "localhost", "registry_discovery_endpoint": f"{self.uri}/registries"}
        return dict.fromkeys(names, self.uri) | rest

    def tenant(self, application: str) -> str:
        """Return the tenant of an application; the stranger is of another one."""
        return OTHER_TENANT if application == "stranger" else TENANT

    def calls(self, since: int = 0) -> pd.DataFrame:
        """Return what crossed the wire after the first `since` calls, one row a request."""
        return self.log.read(since)


@contextlib.contextmanager
def workspace(
    folder: str | Path, token_seconds: float = 3600.0, lives: Mapping[str, float] | None = None
) -> Iterator[Local]:
    """Run a workspace of this machine, an MLflow server behind it; all it keeps is in `folder`.

    A token lives `token_seconds`, those of the applications in `lives` as many as it says.

    Raises: ServerError.
    """
    folder = Path(folder).resolve()
    clients = {name: (str(uuid.uuid4()), secrets.token_urlsafe(24)) for name in ROLES}
    rows = [
        {"name": name, "client_id": client, "secret": secret, "role": ROLES[name]}
        | {"tenant": OTHER_TENANT if name == "stranger" else TENANT, "seconds": (lives or {}).get(name, 0)}
        for name, (client, secret) in clients.items()
    ]
    pem, certificate = folder / "server.pem", folder / "certificate.pem"
    own, key = self_signed()
    write_whole(pem, own + key)
    write_whole(certificate, own)
    with sqlite_server(folder / "mlflow") as mlflow:
        options = ["--folder", str(folder), "--upstream", mlflow.uri, "--pem", str(pem)]
        options += ["--token-seconds", str(token_seconds)]
        env = base_environment(drop="AZURE_|MLFLOW_") | {"WORKSPACE_APPLICATIONS": json.dumps(rows)}
        trusted = {"REQUESTS_CA_BUNDLE": str(certificate), "SSL_CERT_FILE": str(certificate)}
        server = Server(
            name="The Azure ML stand-in",
            log=folder / "workspace.log",
            command=lambda port: python(
                "projects.platforms.azure_ml.workspace", "--port", str(port), *options
            ),
            is_ready=lambda port: _answers(port, certificate),
            address="https://localhost:{port}",
            server_env=env | trusted,
        )
        with server:
            yield Local(server.uri, certificate, clients, WireLog(folder / "calls.jsonl"))


def _answers(port: int, certificate: Path) -> bool:
    """Return whether someone with our certificate listens."""
    context = ssl.create_default_context(cafile=str(certificate))
    with contextlib.suppress(OSError):
        with socket.create_connection((HOST, port), timeout=2) as plain:
            with context.wrap_socket(plain, server_hostname="localhost"):
                return True
    return False


def self_signed() -> tuple[bytes, bytes]:
    """Return a certificate for localhost that is its own authority, and its key, as PEM; good for a day."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return made.public_bytes(encoding), key.private_bytes(encoding, form, serialization.NoEncryption())


def live() -> dict[str, str] | None:
    """Return the reader's own workspace as the environment names it, None where it names none."""
    names = ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZUREML_WORKSPACE_ID")
    found = {name: os.environ[name] for name in names if os.environ.get(name)}
    return found if len(found) == len(names) else None
