"""The servers start on free ports, keep what they are given and leave no process behind, whatever happens."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import time
import urllib.error
import urllib.request
from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from course import servers, stores
from course.servers import HOST, Server, ServerError

PASSWORD = "a long password"
# Ready in a moment and badly behaved: it has a child in a session of its own, and neither heeds SIGTERM.
STUBBORN = """
import http.server, signal, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
address = ("127.0.0.1", int(sys.argv[1]))
server = http.server.ThreadingHTTPServer(address, http.server.SimpleHTTPRequestHandler)
ignore = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
child = subprocess.Popen([sys.executable, "-c", ignore], start_new_session=True)
print("child", child.pid, flush=True)
server.serve_forever()
"""
POLITE = STUBBORN.replace("SIG_IGN", "SIG_DFL")


def small_server(folder: Path, program: str = POLITE, **options) -> Server:
    return Server(
        name="The small server",
        log=folder / "small.log",
        command=lambda port: [sys.executable, "-c", program, str(port)],
        is_ready=lambda port: servers.answers(f"http://{HOST}:{port}", "/"),
        server_env=servers.base_environment(),
        **options,
    )


def is_open(uri: str) -> bool:
    port = int(re.search(r":(\d+)(/|$)", uri)[1])
    with socket.socket() as probe:
        probe.settimeout(2)
        return probe.connect_ex((HOST, port)) == 0


def gone(pids: list[int], seconds: float = 10) -> bool:
    """Whether all of these processes end within some seconds (a zombie that nobody collects has ended)."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not any(is_alive(pid) for pid in pids):
            return True
        time.sleep(0.05)
    return False


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def descendants(pid: int) -> list[int]:
    return [child.pid for child in psutil.Process(pid).children(recursive=True)]


def family(server: Server) -> list[int]:
    """The supervisor and all below it; other children of the test process are not the server's."""
    return [server.process.pid, *descendants(server.process.pid)]


def get(uri: str, auth: tuple[str, str] | None = None) -> int:
    request = urllib.request.Request(uri)
    if auth:
        request.add_header("Authorization", "Basic " + b64encode(":".join(auth).encode()).decode())
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


# The supervisor, with a small server


def test_it_runs_in_the_block_and_is_gone_after_it(tmp_path):
    with small_server(tmp_path) as server:
        assert get(server.uri) == 200
        pids = family(server)
        assert len(pids) >= 3  # supervisor, server, the server's child
    assert gone(pids, 0.5)
    assert not is_open(server.uri)
    assert "child" in server.log.read_text()
    server.stop()  # a second stop does nothing


def test_an_exception_in_the_block_stops_it_and_is_passed_on(tmp_path):
    with pytest.raises(ZeroDivisionError), small_server(tmp_path) as server:
        pids = family(server)
        raise ZeroDivisionError
    assert pids
    assert gone(pids, 0.5)
    assert not is_open(server.uri)


def test_a_server_that_heeds_no_signal_is_killed_with_its_child(tmp_path):
    with small_server(tmp_path, STUBBORN, grace=1.0) as server:
        pids = family(server)
        begin = time.monotonic()
    assert gone(pids, 0.5)
    assert 1 <= time.monotonic() - begin < 60  # by itself the child ends after ten minutes
    assert not is_open(server.uri)


PARENT = """
import os, sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_servers import POLITE, small_server
server = small_server(Path(sys.argv[2]), POLITE).launch().wait()
if sys.argv[3] == "forked" and os.fork() == 0:
    time.sleep(4)  # a process of joblib or multiprocessing that holds the pipe open for a while
    os._exit(0)
print(server.uri, flush=True)
if sys.argv[3] != "exit":
    time.sleep(600)
"""


def start_parent(tmp_path: Path, how: str) -> tuple[subprocess.Popen, str]:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(Path(__file__).parent), str(tmp_path), how],
        stdout=subprocess.PIPE,
        text=True,
    )
    return parent, parent.stdout.readline().strip()


def test_the_end_of_the_interpreter_stops_it(tmp_path):
    parent, uri = start_parent(tmp_path, "exit")  # no `with`, no stop()
    assert uri.startswith("http://")
    assert parent.wait(20) == 0
    assert not is_open(uri)


@pytest.mark.parametrize(
    "how", ["alone", pytest.param("forked", marks=pytest.mark.skipif(os.name != "posix", reason="fork"))]
)
def test_the_kill_of_the_parent_stops_it(tmp_path, how):
    parent, uri = start_parent(tmp_path, how)
    commands = {pid: " ".join(psutil.Process(pid).cmdline()) for pid in descendants(parent.pid)}
    small = [pid for pid, command in commands.items() if "test_servers" not in command]  # but not the fork
    assert len(small) == 3
    assert is_open(uri)
    parent.kill()
    if how == "forked":
        parent.wait()  # without it the parent stays as a zombie, and the closed pipe alone tells of its death
    assert gone(small, 3)
    parent.wait()
    assert not is_open(uri)


@pytest.mark.skipif(os.name != "posix", reason="signals to a group are POSIX")
def test_ctrl_c_reaches_the_parent_alone_which_stops_in_order(tmp_path):
    program = """
        import sys, time
        sys.path.insert(0, sys.argv[1])
        from pathlib import Path
        from test_servers import servers, small_server
        with small_server(Path(sys.argv[2])) as server:
            try:
                print(server.uri, flush=True)
                time.sleep(600)
            except KeyboardInterrupt:
                time.sleep(0.5)
                print("still there" if servers.answers(server.uri, "/") else "gone", flush=True)
    """
    command = [sys.executable, "-c", textwrap.dedent(program), str(Path(__file__).parent), str(tmp_path)]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    uri = parent.stdout.readline().strip()
    os.killpg(parent.pid, signal.SIGINT)  # what a terminal does
    assert parent.stdout.readline().strip() == "still there"
    assert parent.wait(20) == 0
    assert not is_open(uri)


def test_a_port_that_is_taken_meanwhile_is_replaced(tmp_path, monkeypatch):
    with socket.socket() as other:
        other.bind((HOST, 0))
        other.listen()
        taken, real = other.getsockname()[1], servers.free_port
        ports = iter([taken])
        monkeypatch.setattr(servers, "free_port", lambda: next(ports, None) or real())
        server = small_server(tmp_path)
        # The one that has the port does not answer, and the small server says that the address is in use.
        with server:
            assert server.port != taken
            assert get(server.uri) == 200
    assert re.search(servers._TAKEN, server.log.read_text())


def test_three_taken_ports_are_enough(tmp_path, monkeypatch):
    with socket.socket() as other:
        other.bind((HOST, 0))
        other.listen()
        tried = []
        monkeypatch.setattr(servers, "free_port", lambda: tried.append(1) or other.getsockname()[1])
        with pytest.raises(ServerError, match=r"The small server did not start: .*in use.*small\.log"):
            small_server(tmp_path).launch().wait()
    assert len(tried) == 3


def test_a_port_that_was_asked_for_and_is_taken_is_named(tmp_path):
    with socket.socket() as other:
        other.bind((HOST, 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(
            ServerError, match=rf"^Port {port} is taken, .* leave `port` out for a free one\.$"
        ):
            servers.tracking_server(tmp_path, port=port)


def test_an_early_end_is_told_with_its_cause(tmp_path):
    server = small_server(tmp_path, "raise SystemExit('no such store: bogus')")
    with pytest.raises(
        ServerError, match=r"^The small server did not start: no such store: bogus \(.*small\.log\)$"
    ):
        server.launch().wait()


def test_a_program_that_is_not_there_is_told(tmp_path):
    server = small_server(tmp_path)
    server.command = lambda port: [str(tmp_path / "nowhere")]
    with pytest.raises(ServerError, match="did not start: Error: .*nowhere"):
        server.launch().wait()


def test_a_server_that_never_answers_is_stopped(tmp_path):
    server = small_server(
        tmp_path,
        "print('fatal: waiting for a friend', flush=True); import time; time.sleep(600)",
        seconds=1.0,
    )
    with pytest.raises(ServerError, match=r"not ready after 1 s: fatal: waiting for a friend"):
        server.launch().wait()
    assert not server.running


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    for start in (servers.tracking_server, stores.object_store, stores.postgres):
        with (
            pytest.raises(ServerError, match=r"^Can't write in .*file.*: choose a folder") as caught,
            start(tmp_path / "file" / "x"),
        ):
            pass
        assert "\n" not in str(caught.value)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_named(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(ServerError, match="Permission denied"), servers.tracking_server(tmp_path):
        pass


def test_children_are_quiet_and_keep_their_byte_code(monkeypatch):
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("MLFLOW_PORT", "5000")
    env = servers.tracking_server("anywhere").server_env
    assert env["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert env["DO_NOT_TRACK"] == "1"
    assert env["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"
    assert "PYTHONDONTWRITEBYTECODE" not in env
    assert "MLFLOW_PORT" not in env


def test_a_short_password_is_refused(tmp_path):
    with pytest.raises(ServerError, match=r"password of 'admin' has 5 characters; MLflow wants 12"):
        servers.tracking_server(tmp_path, auth=("admin", "short"))


# The real ones


TEAM = """
import json, sys, time
from course import servers, stores
base, password = sys.argv[1:]
with stores.postgres(base + "/pg") as pg, stores.object_store(base + "/s3") as s3:
    with servers.tracking_server(
        base + "/mlflow",
        backend_store_uri=pg.uri,
        artifacts_destination="s3://mlflow",
        auth=("admin", password),
        env=s3.env,
    ) as server:
        known = [{"uri": one.uri, "env": one.env, "log": str(one.log)} for one in (server, pg, s3)]
        print(json.dumps(known), flush=True)
        time.sleep(600)
"""


@dataclass
class Running:
    """What a client knows of a server in the team's process."""

    uri: str
    env: dict[str, str]
    log: str


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    """The process whose `with` blocks hold the team's servers; the last test with them kills it."""
    base = tmp_path_factory.mktemp("a team's folder")
    command = [sys.executable, "-c", TEAM, str(base), PASSWORD]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    process.base = base
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.fixture(scope="module")
def team(kernel):
    """A team's setup: metadata in PostgreSQL, artifacts in S3, a password; all in a folder with spaces."""
    return [Running(**known) for known in json.loads(kernel.stdout.readline())]


@pytest.fixture
def client(team, monkeypatch):
    import mlflow

    for name, value in team[0].env.items():
        monkeypatch.setenv(name, value)
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(team[0].uri)
    yield mlflow.MlflowClient()
    mlflow.set_tracking_uri(before)


def test_authentication_refuses_a_bad_password_and_takes_the_good_one(team):
    listing = f"{team[0].uri}/api/2.0/mlflow/experiments/search?max_results=5"
    assert get(listing) == 401
    assert get(listing, ("admin", "a wrong password")) == 401
    assert get(listing, ("admin", PASSWORD)) == 200


def test_metadata_lands_in_postgresql_and_artifacts_in_s3(team, client):
    import boto3
    import psycopg

    _, pg, s3 = team
    run = client.create_run("0")
    client.log_metric(run.info.run_id, "rmse", 5.82)
    client.log_text(run.info.run_id, "kept", "notes/it.txt")
    client.set_terminated(run.info.run_id)

    with psycopg.connect(pg.uri.replace("+psycopg", "")) as connection:
        query = "select value from metrics where key = 'rmse' and run_uuid = %s"
        assert connection.execute(query, [run.info.run_id]).fetchone() == (5.82,)
    store = boto3.client(
        "s3",
        endpoint_url=s3.uri,
        aws_access_key_id=s3.env["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=s3.env["AWS_SECRET_ACCESS_KEY"],
        region_name=s3.env["AWS_DEFAULT_REGION"],
    )
    listed = [item["Key"] for item in store.list_objects_v2(Bucket="mlflow")["Contents"]]
    assert f"0/{run.info.run_id}/artifacts/notes/it.txt" in listed


def test_the_database_wants_its_password(team):
    import psycopg

    address = re.sub(r":[0-9a-f]{32}@", ":wrong@", team[1].uri.replace("+psycopg", ""))
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(address)


def test_a_log_file_tells_what_happened(team):
    for server in team:
        assert Path(server.log).stat().st_size > 0
    assert "/api/2.0/mlflow/experiments/search" in Path(team[0].log).read_text()


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """The empty store that a first start keeps, although the start before it was stopped early."""
    base = tmp_path_factory.mktemp("first starts")
    folder, kept = base / "first start", base / "cache" / "empty.db"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stores, "_empty_store", lambda: kept)
        server = stores.sqlite_server(folder).launch()
        journal = folder / "mlflow.db.part"
        while not (journal.exists() and journal.stat().st_size):  # it is making its tables
            assert server.running
            time.sleep(0.01)
        server.stop()
        assert not (folder / "mlflow.db").exists()
        with stores.sqlite_server(folder) as second:
            assert servers.answers(second.uri)
    assert [path.name for path in folder.glob("mlflow.db*")] == ["mlflow.db"]
    return kept


def test_a_first_start_that_is_stopped_early_leaves_no_half_made_store(kept):
    assert kept.exists()


def test_a_second_server_runs_beside_it_on_files_of_its_own(team, kept, tmp_path, monkeypatch):
    import mlflow

    folder = tmp_path / "mine"
    monkeypatch.delenv("WALKFORWARD_TRACKING_URI", raising=False)
    monkeypatch.setattr(stores, "_empty_store", lambda: kept)  # its store is a copy of the one that was kept
    with stores.course_server(folder) as server:  # outside the lab, a lesson gets one of its own
        assert server.uri != team[0].uri
        client = mlflow.MlflowClient(server.uri)
        assert client.get_experiment("0").artifact_location == "mlflow-artifacts:/0"
        run = client.create_run("0")
        client.log_text(run.info.run_id, "mine", "mine.txt")
        assert [path.read_text() for path in folder.glob("artifacts/0/*/artifacts/mine.txt")] == ["mine"]
        assert (folder / "mlflow.db").is_file()
        assert get(f"{team[0].uri}/health") == 200

        # In the lab, a lesson takes the lab's server and leaves it running.
        monkeypatch.setenv("WALKFORWARD_TRACKING_URI", server.uri)
        with stores.course_server(tmp_path / "unused") as course:
            assert course.uri == server.uri
        assert get(f"{server.uri}/health") == 200
        assert not (tmp_path / "unused").exists()
    assert not is_open(server.uri)


def test_a_model_is_served_and_bad_rows_are_refused(tmp_path, monkeypatch):
    import mlflow
    import pandas as pd
    from sklearn.linear_model import LinearRegression

    rows = pd.DataFrame({"miles": [1.0, 2.0, 3.0]})
    mlflow.sklearn.save_model(
        LinearRegression().fit(rows, [2.0, 4.0, 6.0]),
        tmp_path / "a model",
        signature=mlflow.models.infer_signature(rows, [2.0]),
        pip_requirements=["scikit-learn"],
    )

    def ask(column: str) -> object:
        body = json.dumps({"dataframe_split": {"columns": [column], "data": [[1.5], [4.0]]}}).encode()
        request = urllib.request.Request(
            server.uri + "/invocations", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    monkeypatch.chdir(tmp_path)
    with servers.model_server("a model", tmp_path / "log") as server:
        assert ask("miles") == {"predictions": pytest.approx([3.0, 8.0])}
        with pytest.raises(urllib.error.HTTPError, match="400"):
            ask("kilometres")
    assert not is_open(server.uri)


@pytest.mark.skipif(os.name != "posix", reason="kill -9 is POSIX")
def test_a_killed_kernel_takes_all_its_servers_along(kernel, team):
    pids = descendants(kernel.pid)
    names = " ".join(psutil.Process(pid).name() for pid in pids)
    assert "postgres" in names
    assert len(pids) >= 9  # three supervisors, MLflow's two, moto, PostgreSQL's several
    kernel.kill()
    kernel.wait()
    assert gone(pids)
    for server in team:
        assert not is_open(server.uri)
    with stores.postgres(kernel.base / "pg") as again:  # and its files are sound
        assert is_open(again.uri)


def test_a_bucket_name_that_s3_refuses_is_told(tmp_path):
    with pytest.raises(ServerError, match="refused bucket 'a'"), stores.object_store(tmp_path, "a"):
        pass
