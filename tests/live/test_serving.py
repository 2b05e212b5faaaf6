"""`walkforward serve`: the pyfunc's answers on real trips; under load, at a stop, and when it is misused."""

import asyncio
import functools
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import mlflow
import numpy as np
import pandas as pd
import psutil
import pytest
from mlflow.models import infer_signature
from prometheus_client.parser import text_string_to_metric_families
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from xgboost import XGBRegressor

from course.data import load_trips, months, prepare_trips
from course.servers import HOST, fast_server
from walkforward.errors import WalkForwardError
from walkforward.serving import COUNTS, App, ServeError, compiled, plain_rows, serve
from walkforward.serving import predictor as module

FEATURES = ["trip_distance", "pickup_location_id", "dropoff_location_id", "hour", "weekday"]
JSON = {"content-type": "application/json"}
TRUSTED = ["xgboost.core.Booster", "xgboost.sklearn.XGBRegressor", "sklearn.tree._tree.Tree", "numpy.dtype"]
RAW = """
import mlflow

class Raw(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        rush = model_input["pickup_datetime"].dt.hour.between(16, 19)
        far = model_input["payment_type"].ne("Cash")
        return (5 + 3 * model_input["trip_distance"] + 2 * rush + far).to_numpy()

mlflow.models.set_model(Raw())
"""
SLEEPY = """
import time
import mlflow

class Sleepy(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        time.sleep(model_input["seconds"].max())
        return model_input["seconds"].to_numpy() * 2

mlflow.models.set_model(Sleepy())
"""


@pytest.fixture(scope="module")
def trips() -> pd.DataFrame:
    """10,000 real trips and more to train on."""
    trips = prepare_trips(load_trips(months("2019-01", "2019-02")))
    moment = trips.pickup_datetime.dt
    return trips.assign(hour=moment.hour, weekday=moment.weekday).reset_index(drop=True)


@pytest.fixture(scope="module")
def models(trips, tmp_path_factory):
    """Return the folder of a model by its name; each is trained and saved once."""
    folder = tmp_path_factory.mktemp("models")
    x, y = trips[FEATURES].astype(float), trips.duration
    trees = XGBRegressor(n_estimators=60, max_depth=5, n_jobs=1)
    forest = RandomForestRegressor(n_estimators=10, max_depth=9, n_jobs=1, random_state=0)
    whole = x.drop(columns="trip_distance").astype("int64").assign(trip_distance=x.trip_distance)[FEATURES]

    def save(flavor, name, model, rows, **more):
        if not hasattr(model, "n_features_in_"):
            model.fit(rows, y)
        more |= {"signature": infer_signature(rows, y.to_numpy()), "input_example": rows.head(5)}
        flavor.save_model(model, folder / name, pip_requirements=["scikit-learn"], **more)

    save(mlflow.xgboost, "trees", trees, x)
    save(mlflow.sklearn, "ridge", make_pipeline(StandardScaler(), Ridge()), x)
    boosted = make_pipeline(StandardScaler(), XGBRegressor(n_estimators=20, max_depth=4, n_jobs=1))
    save(mlflow.sklearn, "boosted", boosted, x, skops_trusted_types=TRUSTED)
    save(mlflow.sklearn, "forest", forest, x, skops_trusted_types=TRUSTED)
    save(mlflow.xgboost, "whole", XGBRegressor(n_estimators=20, n_jobs=1), whole)
    for name, source, example in (
        ("raw", RAW, trips[["pickup_datetime", "payment_type", "trip_distance"]].head(5)),
        ("sleepy", SLEEPY, pd.DataFrame({"seconds": [0.0, 0.01]})),
    ):
        (folder / f"{name}.py").write_text(source, encoding="utf-8")
        more = {"signature": infer_signature(example, np.zeros(1)), "input_example": example}
        code = folder / f"{name}.py"
        mlflow.pyfunc.save_model(folder / name, python_model=code, pip_requirements=["pandas"], **more)
    return folder


@pytest.fixture(scope="module")
def predictor(models):
    """Return the compiled form of a model by its name."""
    return functools.cache(lambda name: compiled(models / name))


def differences(found, expected) -> float:
    return float(np.max(np.abs(np.asarray(found) - expected) / np.abs(expected)))


def post(
    server, content: bytes, headers=JSON, timeout: float = 30
) -> tuple[int, bytes, http.client.HTTPMessage]:
    connection = http.client.HTTPConnection(HOST, server.port, timeout=timeout)
    try:
        connection.request("POST", "/invocations", content, headers)
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.headers
    finally:
        connection.close()


def sleep(server, seconds: float):
    return post(
        server, json.dumps({"dataframe_split": {"columns": ["seconds"], "data": [[seconds]]}}).encode()
    )


def metrics(server) -> dict:
    connection = http.client.HTTPConnection(HOST, server.port, timeout=30)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    families = text_string_to_metric_families(text)
    return {(s.name, *sorted(s.labels.values())): s.value for family in families for s in family.samples}


# The same answers


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("trees", "onnx"),
        ("ridge", "onnx"),
        ("boosted", "native"),
        ("forest", "onnx"),
        ("whole", "onnx"),
    ],
)
def test_the_compiled_form_answers_as_the_pyfunc_on_10_000_trips(predictor, trips, name, path):
    predictor = predictor(name)
    assert (predictor.path, predictor.reason.split(" by ")[0]) == (path, "served")
    assert "checked against pyfunc on" in predictor.reason
    rows = trips[FEATURES].head(10_000)
    kinds = {column: kind.to_pandas() for column, kind in module.column_types(predictor.model).items()}
    expected = predictor.model.predict(rows.astype(kinds))
    found = predictor.predict(rows.to_numpy(float))
    assert found.shape == (10_000,)
    assert differences(found, expected) < 1e-5


def test_text_and_dates_have_no_fast_path_and_it_says_so(predictor):
    predictor = predictor("raw")
    assert predictor.path == "pyfunc"
    assert predictor.reason.startswith("no fast path: the flavor is pyfunc")
    assert predictor.reason.endswith("served through pyfunc")


def test_all_four_formats_answer_as_the_pyfunc_on_10_000_trips(models, trips, tmp_path):
    rows = trips[FEATURES].astype(float).head(10_000)
    expected = mlflow.pyfunc.load_model(models / "trees").predict(rows)
    records = rows.to_dict("records")
    bodies = {"dataframe_split": rows.to_dict("split", index=False), "dataframe_records": records}
    bodies |= {"instances": records, "inputs": rows.to_dict("list")}
    with fast_server(str(models / "trees"), tmp_path, options=("--workers", "2")) as server:
        for form, content in bodies.items():
            status, answer, _ = post(server, json.dumps({form: content}).encode())
            assert (status, differences(json.loads(answer)["predictions"], expected) < 1e-5) == (200, True), (
                form
            )
        csv = rows.head(2000).to_csv(index=False).encode()
        status, answer, _ = post(server, csv, {"content-type": "text/csv"})
        assert differences(json.loads(answer)["predictions"], expected[:2000]) < 1e-5
        ones = [json.dumps({"inputs": [record]}).encode() for record in records[:300]]
        with ThreadPoolExecutor(8) as pool:  # over both workers
            found = [
                json.loads(answer)["predictions"][0]
                for _, answer, _ in pool.map(lambda b: post(server, b), ones)
            ]
        assert differences(found, expected[:300]) < 1e-5
        post(server, b"{")
        counted = metrics(server)
        workers = psutil.Process(server.process.pid).children(recursive=True)
    assert counted["walkforward_requests_total", "200", "fast"] == 304
    assert counted["walkforward_requests_total", "200", "pyfunc"] == 1
    assert counted["walkforward_requests_total", "400", "pyfunc"] == 1
    assert counted["walkforward_rows_total",] == 42_300
    assert counted["walkforward_in_flight",] == counted["walkforward_rejected_total",] == 0
    assert counted["walkforward_latency_seconds_count", "fast"] == 304
    assert counted["walkforward_latency_seconds_bucket", "+Inf", "fast"] == 304
    assert len(workers) >= 3  # the command and two workers
    log = server.log.read_text(encoding="utf-8")
    assert log.count("served by ONNX Runtime, checked against pyfunc on") == 1


def test_a_missing_value_is_read_where_the_model_takes_it_and_left_to_mlflow_where_not(predictor):
    content = {"columns": FEATURES, "data": [[None, 151.0, 239.0, 8.0, 1.0]]}
    body = json.dumps({"dataframe_split": content}).encode()
    rows = plain_rows(predictor("trees"))(body)
    assert np.isnan(rows).tolist() == [[True, False, False, False, False]]
    with pytest.raises(ValueError, match="null"):
        plain_rows(predictor("ridge"))(body)


def test_nothing_is_compiled_when_that_is_asked_for(models, trips):
    predictor = compiled(models / "trees", pyfunc=True)
    rows = trips[FEATURES].head(3).astype(float)
    assert (predictor.path, predictor.reason[:13]) == ("pyfunc", "no fast path:")
    assert (predictor.predict(rows.to_numpy()) == predictor.model.predict(rows)).all()


@pytest.mark.parametrize("factor", [1 + 1e-4, 1 + 2e-5])
def test_red_a_form_that_is_off_is_refused(models, monkeypatch, factor):
    right = module._session
    monkeypatch.setattr(module, "_session", lambda *a: lambda rows: right(*a)(rows) * factor)
    predictor = compiled(models / "trees")
    assert predictor.path == "native"
    assert "ONNX Runtime: differs from pyfunc by" in predictor.reason


def test_red_a_form_that_is_off_at_a_threshold_alone_is_refused(models, monkeypatch):
    """No random row is that close to one: a value moved by a few millionths finds another leaf there."""
    right = module._session
    monkeypatch.setattr(
        module, "_session", lambda *a: lambda rows: right(*a)(np.float32(rows) * np.float32(1.000001))
    )
    assert compiled(models / "trees").path == "native"


def test_red_a_form_that_drops_missing_values_or_rows_is_noticed(models, monkeypatch):
    right = module._session
    monkeypatch.setattr(module, "_session", lambda *a: lambda rows: right(*a)(np.nan_to_num(rows)))
    assert not compiled(models / "trees").missing
    monkeypatch.setattr(module, "_session", lambda *a: lambda rows: right(*a)(rows)[:1])
    assert compiled(models / "trees").path == "native"


# Under load


class Request:
    """A request as Granian hands it over, which keeps its answer."""

    path, method, headers = "/invocations", "POST", JSON

    def __init__(self, content: bytes) -> None:
        self.content, self.answer = content, None
        self.headers = JSON | {"content-length": str(len(content))}

    async def __call__(self) -> bytes:
        return self.content

    def response_bytes(self, status, headers, content) -> None:
        self.answer = status, json.loads(content)


def asked(app: App, requests: list[Request]) -> list[Request]:
    """The requests, sent at once and answered."""

    async def send() -> None:
        app.__rsgi_init__(asyncio.get_running_loop())
        await asyncio.gather(*(app.__rsgi__(request, request) for request in requests))
        app.watch.cancel()

    asyncio.run(send())
    return requests


@pytest.mark.parametrize("broken", [False, True])
def test_requests_of_one_round_are_never_merged(predictor, trips, tmp_path, broken):
    right, sizes = predictor("trees"), []

    def predict(rows):
        sizes.append(len(rows))
        if broken and len(sizes) > 5:  # after the start has timed it
            raise RuntimeError
        return right.predict(rows)

    app = App(replace(right, predict=predict), str(tmp_path), 64, 30, 1, batching=True)
    app.inline = True
    parts = [trips[FEATURES].iloc[i : i + 1 + i % 3].astype(float) for i in range(40)]
    requests = asked(app, [Request(json.dumps({"inputs": part.to_dict("list")}).encode()) for part in parts])
    assert sizes[5:] == [len(part) for part in parts]
    for part, request in zip(parts, requests, strict=True):
        assert request.answer[0] == 200
        assert differences(request.answer[1]["predictions"], right.model.predict(part)) < 1e-5
    path = "pyfunc" if broken else "fast"
    assert app.meter.slots[COUNTS[path, 200]] == 40


@pytest.fixture(scope="module")
def sleepy(models, tmp_path_factory):
    options = ("--queue", "3", "--timeout", "1.5", "--max-body", "0.1")
    with fast_server(str(models / "sleepy"), tmp_path_factory.mktemp("sleepy"), options=options) as server:
        yield server


def test_overload_gets_503_at_once_and_what_was_accepted_succeeds(sleepy):
    def timed(_):
        begin = time.monotonic()
        status, answer, headers = sleep(sleepy, 0.8)
        return status, time.monotonic() - begin, headers["retry-after"], answer

    before = metrics(sleepy)["walkforward_rejected_total",]
    with ThreadPoolExecutor(12) as pool:
        found = list(pool.map(timed, range(12)))
    assert Counter(status for status, *_ in found) == {200: 3, 503: 9}
    for status, seconds, retry, answer in found:
        assert (retry, seconds < 0.7) == (("1", True) if status == 503 else (None, False))
        assert set(json.loads(answer)) == ({"error_code", "message"} if status == 503 else {"predictions"})
    assert metrics(sleepy)["walkforward_rejected_total",] - before == 9
    assert sleep(sleepy, 0)[0] == 200


def test_what_takes_too_long_gets_504_and_holds_its_place_until_it_ends(sleepy):
    status, answer, _ = sleep(sleepy, 2.5)
    assert (status, answer) == (504, b"Request processing time exceeded limit")  # MLflow's words
    assert metrics(sleepy)["walkforward_in_flight",] == 1
    end = time.monotonic() + 10
    while metrics(sleepy)["walkforward_in_flight",] and time.monotonic() < end:
        time.sleep(0.05)
    assert metrics(sleepy)["walkforward_in_flight",] == 0


def connect(server, *headers: str, content: bytes = b"") -> socket.socket:
    client = socket.create_connection((HOST, server.port), timeout=10)
    lines = ["POST /invocations HTTP/1.1", "host: x", "content-type: application/json", *headers, "", ""]
    client.sendall("\r\n".join(lines).encode() + content)
    return client


def test_slow_clients_hold_up_nobody_and_get_408(sleepy):
    slow = [connect(sleepy, "content-length: 60", content=b"{") for _ in range(50)]  # far more than the queue
    slow += [connect(sleepy, "transfer-encoding: chunked", content=b"1\r\n{\r\n") for _ in range(5)]
    begin = time.monotonic()
    assert [sleep(sleepy, 0)[0] for _ in range(20)] == [200] * 20
    assert time.monotonic() - begin < 1.5  # none of them has timed out meanwhile
    for client in slow:
        assert client.recv(4096).startswith(b"HTTP/1.1 408")
        client.close()
    assert sleep(sleepy, 0)[0] == 200


def test_an_oversized_body_is_refused_before_it_is_read(sleepy):
    with connect(sleepy, "content-length: 104858") as client:  # announced
        assert client.recv(4096).startswith(b"HTTP/1.1 413")
    chunk = b"4000\r\n" + b" " * 0x4000 + b"\r\n"
    with connect(sleepy, "transfer-encoding: chunked", content=chunk * 7) as client:  # and not
        assert client.recv(4096).startswith(b"HTTP/1.1 413")
    assert post(sleepy, b"{}" + b" " * 104_855)[0] == 400  # the longest that is read


def test_a_full_queue_refuses_the_fast_path_too(models, tmp_path):
    row = {"columns": FEATURES, "data": [[2.31, 151.0, 239.0, 8.0, 1.0]]}
    content = json.dumps({"dataframe_split": row}).encode()
    request = b"POST /invocations HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    request += b"content-length: %d\r\n\r\n%b" % (len(content), content)
    with fast_server(str(models / "trees"), tmp_path, options=("--queue", "1")) as server:
        clients = [socket.create_connection((HOST, server.port), timeout=10) for _ in range(64)]
        found = Counter()
        for _ in range(50):
            for client in clients:
                client.sendall(request)
            for client in clients:
                found[client.recv(4096)[9:12]] += 1
            if found[b"503"]:
                break
        for client in clients:
            client.close()
        assert set(found) == {b"200", b"503"}
        assert metrics(server)["walkforward_requests_total", "200", "fast"] == found[b"200"]
        assert metrics(server)["walkforward_rejected_total",] == found[b"503"]


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
def test_sigterm_finishes_what_is_at_work_and_ends_with_0(models, tmp_path):
    with fast_server(str(models / "sleepy"), tmp_path) as server, ThreadPoolExecutor(1) as pool:
        answer = pool.submit(sleep, server, 1.0)
        while not metrics(server)["walkforward_in_flight",]:
            time.sleep(0.02)
        psutil.Process(server.process.pid).children()[0].send_signal(signal.SIGTERM)
        time.sleep(0.3)
        with pytest.raises(OSError, match="refused|reset"):
            sleep(server, 0)
        assert answer.result()[:2] == (200, b'{"predictions": [2.0]}')
        assert server.process.wait(10) == 0


# Called wrongly


def call(*arguments: str, folder) -> subprocess.CompletedProcess:
    command = [sys.executable, "-P", "-m", "walkforward.serving", *arguments]
    env = os.environ | {
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}",
        "PYTHONWARNINGS": "ignore",
    }
    return subprocess.run(command, capture_output=True, text=True, timeout=90, cwd=folder, env=env)


def test_a_wrong_call_ends_in_one_line(tmp_path):
    (tmp_path / "broken").mkdir()
    flavors = "flavors: {python_function: {loader_module: nothing.here, python_version: 3.11.0}}"
    (tmp_path / "broken" / "MLmodel").write_text(flavors, encoding="utf-8")
    calls = {
        ("models:/nothing@champion",): "models:/nothing@champion can't be found: ",
        (str(tmp_path / "broken"), "--port", "0"): "can't be loaded: ModuleNotFoundError",
    }
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda arguments: call(*arguments, folder=tmp_path), calls))
    for answer, said in zip(done, calls.values(), strict=True):
        ours = [
            line for line in answer.stderr.splitlines() if " mlflow" not in line and " alembic" not in line
        ]
        assert (answer.returncode, answer.stdout) == (2, ""), answer
        assert len(ours) == 1 and ours[0].startswith("Error: ") and said in ours[0], answer


def test_what_cannot_be_served_is_named(models, tmp_path):
    """The command turns these into its one line and exit code 2 (see test_cli.py)."""
    trees = str(models / "trees")
    with pytest.raises(ValueError, match="is no MLflow model: there is no MLmodel file"):
        serve(str(tmp_path), port=0)
    for name in ("workers", "queue", "timeout", "max_body"):
        for value in (0, -1, float("nan")):
            with pytest.raises(
                ValueError, match=f"--{name.replace('_', '-')} is {value}: it must be above 0"
            ):
                serve(trees, **{name: value})
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"Can't listen on {HOST}:{port} .*: choose another --port"):
            serve(trees, port=port)


def test_batching_is_accepted_and_said_to_have_no_effect(models, capsys):
    for batching in (True, False):
        with pytest.raises(ServeError, match="--workers"):
            serve(str(models / "trees"), workers=0, batching=batching)
        assert capsys.readouterr().err == "--batching has no effect: requests are never merged.\n"
    with pytest.raises(WalkForwardError):
        serve(str(models / "trees"), workers=0)
    assert capsys.readouterr().err == ""


def test_threads_are_no_part_of_a_compiled_model(predictor, trips):
    """Eight threads that share a predictor get the answers of one."""
    predictor = predictor("trees")
    parts = np.array_split(trips[FEATURES].head(4000).to_numpy(float), 8)
    expected = [predictor.predict(part) for part in parts]
    found: dict[int, np.ndarray] = {}
    threads = [
        threading.Thread(target=lambda i=i, part=part: found.__setitem__(i, predictor.predict(part)))
        for i, part in enumerate(parts)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all((found[i] == expected[i]).all() for i in range(8))


# Where something is not installed


@pytest.mark.parametrize("missing", ["mlflow", "granian", "msgspec", "prometheus_client", "click"])
def test_what_is_missing_is_told_in_one_line(missing):
    hide = f"import sys, runpy; sys.modules[{missing!r}] = None; sys.argv = ['serving', 'model']; "
    run = hide + "runpy.run_module('walkforward.serving', run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", run], capture_output=True, text=True, check=False)
    said = f'Error: walkforward.serving needs {missing}: pip install "walkforward[serve]"'
    assert (done.returncode, done.stderr.splitlines()) == (1, [said])


def test_a_model_whose_compiler_is_missing_is_served_and_it_says_so(models, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxmltools", None)
    predictor = compiled(models / "trees")
    assert predictor.path == "native"
    assert "(refused: ONNX Runtime: ModuleNotFoundError " in predictor.reason
