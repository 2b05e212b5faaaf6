"""Azure's SDK beside a notebook, which has another environment: cells with `%%sdk` run in the SDK's Python.

One process runs all cells of a lesson, because its import takes seconds. Where that environment can't be made,
a cell prints what it printed when the lesson was built, and says so.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import requests

from course import environments
from course.environments import OtherEnvironmentError
from course.paths import ROOT
from course.servers import base_environment
from lessons.azure_desk.sdk_side import NAMES, said, words
from projects.platforms.azure_ml.local import GROUP, SUBSCRIPTION, WORKSPACE, Local

__all__ = ["ARM", "QUIET", "as_application", "desk", "fresh", "said", "signed_in", "token", "told"]

ARM = (
    f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}"
    f"/providers/Microsoft.MachineLearningServices/workspaces/{WORKSPACE}"
)
"""The workspace's path in Azure's own API (ARM, the Azure Resource Manager)."""

_MINUTES, _BLUE = "onlineEndpoints/minutes", {"blue": 100}
WITHOUT: dict[tuple[str, str], list[tuple[str, dict[str, Any]]]] = {
    ("10d", "endpoint"): [
        (_MINUTES, {"authMode": "Key"}),
        (f"{_MINUTES}/deployments/blue", {"model": f"{ARM}/models/minutes/versions/1"}),
    ],
    ("10d", "traffic"): [(_MINUTES, {"authMode": "Key", "traffic": _BLUE})],
    ("10d", "green"): [(f"{_MINUTES}/deployments/green", {"model": f"{ARM}/models/minutes/versions/2"})],
    ("10d", "split"): [(_MINUTES, {"authMode": "Key", "traffic": {"blue": 90, "green": 10}})],
    ("10d", "back"): [(_MINUTES, {"authMode": "Key", "traffic": _BLUE})],
    ("10d", "mirror"): [(_MINUTES, {"authMode": "Key", "traffic": _BLUE, "mirrorTraffic": {"green": 50}})],
}
"""What a cell asks of the workspace, where the SDK can't ask: by lesson and name of the cell, PUT to a path."""

QUIET = {"MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true", "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}
"""Settings of MLflow that keep a notebook free of links and bars."""


def fresh(folder: Path) -> Path:
    """Return the folder, emptied of what an earlier run left there."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def credentials(workspace: Local, name: str) -> dict[str, str]:
    """Return the variables by which Azure's clients come as an application; the last is the stand-in's."""
    client, secret = workspace.clients[name]
    found = {"AZURE_TENANT_ID": workspace.tenant(name), "AZURE_CLIENT_ID": client}
    return found | {"AZURE_CLIENT_SECRET": secret, "AZURE_AUTHORITY_HOST": workspace.uri}


@contextlib.contextmanager
def as_application(workspace: Local, name: str) -> Iterator[None]:
    """Let all clients in the block find an application's credentials in the environment, and no others."""
    ours = re.compile(r"AZURE_|MSI_|IDENTITY_")
    before = {key: value for key, value in os.environ.items() if ours.match(key)}
    for key in before:
        del os.environ[key]
    os.environ |= credentials(workspace, name)
    try:
        yield
    finally:
        for key in [key for key in os.environ if ours.match(key)]:
            del os.environ[key]
        os.environ |= before


def token(workspace: Local, name: str) -> str:
    """Return a new token of an application, by the client-credential flow."""
    client, secret = workspace.clients[name]
    form = {"grant_type": "client_credentials", "client_id": client, "client_secret": secret}
    form["scope"] = f"{workspace.uri}/.default"
    url = f"{workspace.uri}/{workspace.tenant(name)}/oauth2/v2.0/token"
    answer = requests.post(url, data=form, timeout=30, verify=str(workspace.certificate))
    return answer.json()["access_token"]


def signed_in(workspace: Local, name: str) -> requests.Session:
    """Return a session whose requests carry a new token of an application."""
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {token(workspace, name)}"
    return session


def told(answer: requests.Response) -> str:
    """Return an answer of the platform in one line: its status, and the error's code and message."""
    body = answer.json() if answer.content else {}
    error = body.get("error") if isinstance(body, dict) else None
    if isinstance(error, dict):
        return f"{answer.status_code} {words(Exception('(' + error['code'] + ') ' + error['message']))}"
    return str(answer.status_code)


class Desk:
    """The SDK's process. `run(code)` prints what the code printed there; an error there is one here."""

    def __init__(
        self, workspace: Local, number: str, process: subprocess.Popen[str] | None, why: str = ""
    ) -> None:
        self.workspace, self.number, self.process, self.why = workspace, number, process, why
        self.given: dict[str, Any] = {}  # goes with the first line

    def ask(self, code: str) -> str:
        """Have code run there; return what it printed. Raises RuntimeError with the error of the code."""
        assert self.process and self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps({"code": code, **self.given}) + "\n")
        self.process.stdin.flush()
        self.given = {}
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("the SDK's process has ended; run the lesson again from its first cell")
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(answer["said"] + answer["error"])
        return answer["said"]

    def run(self, line: str, code: str) -> None:
        """Run a cell of the notebook (the magic `%%sdk`)."""
        if self.process:
            print(self.ask(code), end="")
            return
        print(f"Not run: {self.why or 'the SDK is switched off'}. When the lesson was built it printed:")
        self.why = "see above"
        name, printed = stored(self.number, code)
        print(printed, end="")
        if requests_of := WITHOUT.get((self.number, name)):
            owner = signed_in(self.workspace, "train-job")
            for path, properties in requests_of:
                url = f"{self.workspace.uri}{ARM}/{path}"
                owner.put(url, json={"location": "local", "properties": properties}, timeout=120)


def stored(number: str, code: str) -> tuple[str, str]:
    """Return the name of a cell of the built notebook and what it printed; nothing when it is not there."""
    paths = sorted((ROOT / "notebooks").glob(f"{number}_*.ipynb"))
    cells = json.loads(paths[0].read_text(encoding="utf-8"))["cells"] if paths else []
    for cell in cells:
        first, _, rest = "".join(cell["source"]).partition("\n")
        if first.startswith("%%sdk") and rest.strip() == code.strip():
            return cell["id"], "".join("".join(one.get("text", "")) for one in cell["outputs"])
    return "", ""


@contextlib.contextmanager
def desk(workspace: Local, number: str, sdk: bool = True, **given: str) -> Iterator[Desk]:
    """Start the SDK's process as `train-job` and let cells with `%%sdk` run there, until the block ends.

    `given` are names that the cells find, beside WORKSPACE and LOCAL.
    """
    from IPython import get_ipython

    NAMES.update({client: one for one, (client, _) in workspace.clients.items()})
    made, why = None, ""
    try:
        made = _started(workspace) if sdk else None
    except OtherEnvironmentError as error:
        why = str(error).rstrip(".")
    found = Desk(workspace, number, made, why)
    local = {"cloud": "LocalCloud", "cloud_metadata": workspace.cloud, "enable_telemetry": False}
    all_given = {"WORKSPACE": (SUBSCRIPTION, GROUP, WORKSPACE), "LOCAL": local, **given}
    found.given = {"given": all_given, "names": dict(NAMES)}
    if shell := get_ipython():
        shell.register_magic_function(found.run, "cell", "sdk")
    try:
        yield found
    finally:
        if made:
            _ended(made)


def _started(workspace: Local) -> subprocess.Popen[str]:
    python = environments.make("platforms")
    env = base_environment(drop="AZURE_|MSI_|IDENTITY_|PYTHONWARNINGS")
    env |= workspace.trusted | credentials(workspace, "train-job")
    program = Path(__file__).with_name("sdk_side.py")
    return subprocess.Popen(
        [str(python), str(program)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # bars, and notes on experimental classes
        encoding="utf-8",
        env=env,
    )


def _ended(process: subprocess.Popen[str]) -> None:
    """Close the pipe, by which the process ends; what does not is killed."""
    assert process.stdin and process.stdout
    process.stdin.close()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    process.stdout.close()
