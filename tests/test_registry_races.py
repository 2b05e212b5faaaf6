"""Two writers on one registry, and a tracking server that dies in the middle of `log_model`.

What lesson 07 says about both is asserted here, on a real MLflow server with an SQLite store. The writers are
two processes that talk HTTP without MLflow's client, because that one repeats a failed request and hides it.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

import psutil
import pytest
import requests

TIMES = 40
NAME = "trips"


# The second process of the race: `python tests/test_registry_races.py URI VERSION ALIAS…` ------------------


def write(uri: str, version: str, aliases: list[str]) -> None:
    """Point each alias to `version`, once the parent says so; print what the server answered."""
    session, told = requests.Session(), []
    session.get(f"{uri}/health", timeout=10)
    print("ready", flush=True)
    sys.stdin.readline()
    for alias in aliases:
        body = {"name": NAME, "alias": alias, "version": version}
        answer = session.post(f"{uri}/api/2.0/mlflow/registered-models/alias", json=body, timeout=30)
        told.append((alias, answer.status_code, "" if answer.ok else answer.text))
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    write(sys.argv[1], sys.argv[2], sys.argv[3:])
    sys.exit()

from course.servers import Server, free_port  # noqa: E402
from course.stores import sqlite_server  # noqa: E402

pytestmark = pytest.mark.slow

RULE = """
import mlflow
import pandas as pd
from mlflow.models import set_model


class Size(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        with open(context.artifacts["table"], "rb") as table:
            self.size = len(table.read())

    def predict(self, context, model_input: pd.DataFrame, params=None):
        return [self.size] * len(model_input)


set_model(Size())
"""


def race(uri: str, aliases: dict[str, list[str]]) -> dict[str, list[tuple[str, int, str]]]:
    """Let one process for each version set its aliases, all at once; return their answers by version."""
    command = [sys.executable, "-P", str(Path(__file__).resolve()), uri]
    with contextlib.ExitStack() as stack:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        writers = {
            version: stack.enter_context(subprocess.Popen([*command, version, *theirs], **pipes))
            for version, theirs in aliases.items()
        }
        for writer in writers.values():
            assert writer.stdout.readline() == "ready\n"
        for writer in writers.values():
            writer.stdin.write("go\n")
            writer.stdin.flush()
        return {version: json.loads(writer.communicate()[0]) for version, writer in writers.items()}


def statuses(answers) -> Counter:
    return Counter(status for theirs in answers.values() for _, status, _ in theirs)


@pytest.fixture(scope="module")
def registry(killed):
    """The address of a server that runs, a client of it, and a name with two versions."""
    from mlflow import MlflowClient

    client = MlflowClient(killed.uri)
    model = client.create_logged_model("0", name="m").model_id
    client.create_registered_model(NAME)
    for _ in range(2):
        client.create_model_version(NAME, f"models:/{model}", model_id=model)
    return killed.uri, client


def test_no_alias_is_lost_when_two_promote_at_once(registry):
    uri, client = registry
    wanted = {
        version: [f"{name}-{i}" for i in range(TIMES)] for version, name in {"1": "ana", "2": "ben"}.items()
    }
    answers = race(uri, wanted)
    assert statuses(answers) == {200: 2 * TIMES}
    kept = client.get_registered_model(NAME).aliases
    for version, aliases in wanted.items():
        assert {alias: kept.get(alias) for alias in aliases} == dict.fromkeys(aliases, version)


def test_on_one_alias_the_last_writer_wins_and_it_never_points_nowhere(registry):
    uri, client = registry
    client.set_registered_model_alias(NAME, "champion", "1")
    seen, stop = [], threading.Event()

    def look():
        while not stop.is_set():
            seen.append(client.get_model_version_by_alias(NAME, "champion").version)

    reader = threading.Thread(target=look)
    reader.start()
    try:
        answers = race(uri, {"1": ["champion"] * TIMES, "2": ["champion"] * TIMES})
    finally:
        stop.set()
        reader.join()
    assert statuses(answers) == {200: 2 * TIMES}, "neither writer is told that there was another"
    assert client.get_model_version_by_alias(NAME, "champion").version in {"1", "2"}
    assert len(seen) > 5
    assert set(seen) <= {"1", "2"}


def test_an_alias_set_for_the_first_time_by_two_at_once_may_refuse_one_of_them(registry):
    """MLflow looks whether the row is there, then inserts it; meanwhile the other may have inserted it."""
    uri, client = registry
    aliases = [f"first-{i}" for i in range(TIMES)]
    answers = race(uri, {"1": aliases, "2": aliases})
    refused = [
        (alias, text) for theirs in answers.values() for alias, status, text in theirs if status != 200
    ]
    assert set(statuses(answers)) <= {200, 400}
    assert all("UNIQUE constraint failed" in text for _, text in refused)
    kept = client.get_registered_model(NAME).aliases
    assert {kept.get(alias) for alias in aliases} <= {"1", "2"}, (
        "an alias that one of the two has set is there"
    )
    for alias, _ in refused:  # asked again, it goes through
        client.set_registered_model_alias(NAME, alias, "2")


def test_an_answer_that_is_lost_on_the_way_makes_two_versions(registry, monkeypatch):
    """MLflow's client repeats a request whose answer does not arrive; the server can't know it again."""
    import urllib3
    from mlflow import MlflowClient

    uri, client = registry
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0")
    send, lost = urllib3.connectionpool.HTTPConnectionPool._make_request, []

    def lose_the_first_answer(self, connection, method, url, **rest):
        answer = send(self, connection, method, url, **rest)
        if url.endswith("model-versions/create") and not lost:
            lost.append(answer.read())
            raise urllib3.exceptions.ProtocolError("the connection broke")
        return answer

    model = client.create_logged_model("0", name="m").model_id
    client.create_registered_model("twice")
    monkeypatch.setattr(urllib3.connectionpool.HTTPConnectionPool, "_make_request", lose_the_first_answer)
    MlflowClient(uri).create_model_version("twice", f"models:/{model}", model_id=model)
    assert lost
    versions = client.search_model_versions("name = 'twice'")
    assert sorted(version.version for version in versions) == ["1", "2"]
    assert {version.source for version in versions} == {f"models:/{model}"}, "they point to the same files"


# The server is killed --------------------------------------------------------------------------------------


@dataclass
class Left:
    """What a restarted server finds of a `log_model` during which its predecessor was killed."""

    error: str
    name: bool  # is the registered model's name there?
    versions: list[str] = field(default_factory=list)  # "whole" or what is wrong with each
    model: str = ""  # the logged model's status
    files: set[str] = field(default_factory=set)
    run: str = ""


def kill(server: Server) -> None:
    """SIGKILL the server and its workers: those of its supervisor, which this test has started."""
    family = psutil.Process(server.process.pid).children(recursive=True)
    assert family
    for process in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(family, 5)


class KillsHalfway(io.BytesIO):
    """A body that kills the server when half of it has been read."""

    def __init__(self, body: bytes, server: Server) -> None:
        super().__init__(body)
        self.half, self.server = len(body) // 2, server

    def read(self, size: int | None = -1) -> bytes:
        if self.tell() >= self.half and self.server.running:
            kill(self.server)
        return super().read(min(size or 65_536, 65_536) if size != -1 else -1)


MOMENTS = (
    "half of a file is uploaded",
    "before the version",
    "while the version is written",
    "after the version",
)


def sender(moment: str, server: Server, send):
    """Return a stand-in for requests.Session.request that kills the server at this moment."""

    def request(self, method, url, **rest):
        if url.endswith("table.bin") and method == "PUT" and moment == MOMENTS[0]:
            rest["data"] = KillsHalfway(rest["data"].read(), server)
        if url.endswith("model-versions/create"):
            if moment == MOMENTS[1]:
                kill(server)
            elif moment == MOMENTS[2]:
                threading.Timer(0.005, kill, [server]).start()
            elif moment == MOMENTS[3]:
                answer = send(self, method, url, **rest)
                kill(server)
                return answer
        return send(self, method, url, **rest)

    return request


def condition(name: str, version: str) -> str:
    """Return "whole" for a version that is READY and answers, else what is wrong with it."""
    import mlflow
    import pandas as pd

    found = mlflow.MlflowClient().get_model_version(name, version)
    try:
        answer = mlflow.pyfunc.load_model(f"models:/{name}/{version}").predict(pd.DataFrame({"x": [1.0]}))
    except Exception as error:
        return f"{found.status}, does not load: {type(error).__name__} {error}"
    return "whole" if found.status == "READY" and answer == [SIZE] else f"{found.status}, answers {answer}"


SIZE = 8_000_000


def log_and_register(folder: Path, name: str) -> None:
    import mlflow
    import pandas as pd
    from mlflow.models import infer_signature

    with mlflow.start_run(run_name=name):
        mlflow.pyfunc.log_model(
            name="size",
            python_model=str(folder / "size.py"),
            artifacts={"table": str(folder / "table.bin")},
            signature=infer_signature(pd.DataFrame({"x": [1.0]}), [1.0]),
            pip_requirements=["numpy"],
            registered_model_name=name,
        )


def inspect(name: str, error: str) -> Left:
    import mlflow

    client = mlflow.MlflowClient()
    (run,) = client.search_runs(["1"], f"attributes.run_name = '{name}'")
    (model,) = client.search_logged_models(["1"], filter_string=f"source_run_id = '{run.info.run_id}'")
    versions = client.search_model_versions(f"name = '{name}'")
    return Left(
        error=error,
        name=bool(client.search_registered_models(f"name = '{name}'")),
        versions=[condition(name, version.version) for version in versions],
        model=model.status.value,
        files={one.path for one in client.list_logged_model_artifacts(model.model_id, "artifacts")},
        run=run.info.status,
    )


@dataclass
class Killed:
    """What each moment has left, and the address of the last server, which lives on."""

    left: dict[str, Left]
    uri: str


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """A SIGKILL at each moment, then a run that nobody disturbs ("undisturbed"), and one spoilt by hand.

    One store through all of it: each server is the restart after the one before it.
    """
    import mlflow

    folder = tmp_path_factory.mktemp("kill")
    (folder / "size.py").write_text(RULE, encoding="utf-8")
    (folder / "table.bin").write_bytes(os.urandom(SIZE))
    left: dict[str, Left] = {}
    before, port, asked = mlflow.get_tracking_uri(), free_port(), ""
    with pytest.MonkeyPatch.context() as patch, contextlib.ExitStack() as running:
        patch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        patch.setenv("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
        running.callback(mlflow.set_tracking_uri, before)
        for moment in (*MOMENTS, "undisturbed"):
            with contextlib.ExitStack() as this:
                server = this.enter_context(replace(sqlite_server(folder / "server"), port=port))
                mlflow.set_tracking_uri(server.uri)
                if asked:
                    left[asked] = inspect(asked, left[asked].error)
                left[moment], asked = Left(attempt(moment, server, folder), False), moment
                if moment == "undisturbed":
                    running.enter_context(this.pop_all())
        left["undisturbed"] = inspect("undisturbed", left["undisturbed"].error)
        files = folder / "server" / "artifacts" / "1" / "models" / _model_of("undisturbed") / "artifacts"
        (files / "artifacts" / "table.bin").unlink()
        left["a file removed"] = inspect("undisturbed", "")
        patch.delenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES")
        yield Killed(left, server.uri)


@pytest.fixture
def deaths(killed):
    return killed.left


def attempt(moment: str, server: Server, folder: Path) -> str:
    """Log and register a model under the name of the moment; return the kind of error that the client saw."""
    import mlflow

    mlflow.set_experiment("kills")
    error = ""
    with pytest.MonkeyPatch.context() as on_the_wire:
        on_the_wire.setattr(requests.Session, "request", sender(moment, server, requests.Session.request))
        try:
            log_and_register(folder, moment)
        except mlflow.MlflowException as raised:
            error = type(raised).__name__
    with contextlib.suppress(mlflow.MlflowException):
        while mlflow.active_run():
            mlflow.end_run()
    return error


def _model_of(name: str) -> str:
    import mlflow

    (version,) = mlflow.MlflowClient().search_model_versions(f"name = '{name}'")
    return version.source.rpartition("/")[2]


def test_undisturbed_it_is_whole_and_the_judge_sees_when_it_is_not(deaths):
    assert deaths["undisturbed"] == Left("", True, ["whole"], "READY", {"artifacts/table.bin"}, "FINISHED")
    (verdict,) = deaths["a file removed"].versions
    assert verdict.startswith("READY, does not load"), "the store does not notice; only loading tells"


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_server_leaves_a_whole_version_or_none(deaths, moment):
    left = deaths[moment]
    assert left.versions in ([], ["whole"])
    assert left.error == "MlflowException", "the client is told"
    assert left.run == "RUNNING", "nobody has ended the run: that is how a broken attempt is recognised"


def test_killed_during_the_upload_the_model_stays_pending_without_the_file(deaths):
    left = deaths[MOMENTS[0]]
    assert (left.name, left.versions) == (False, [])
    assert left.model == "PENDING"
    assert "artifacts/table.bin" not in left.files, "half a file would look like a whole one"


def test_killed_before_the_version_a_name_without_versions_is_left(deaths):
    left = deaths[MOMENTS[1]]
    assert (left.name, left.versions) == (True, [])
    assert left.model == "READY"
    assert "artifacts/table.bin" in left.files


def test_killed_after_the_version_it_is_whole_although_the_client_saw_an_error(deaths):
    left = deaths[MOMENTS[3]]
    assert left.versions == ["whole"]
    assert left.model == "READY"
