"""Sitting 09b: its manifest against schema and itself, its Dockerfile, its command; table against models."""

import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import kubernetes_validate
import mlflow
import numpy as np
import pandas as pd
import pytest
import requests
import yaml
from xgboost import XGBRegressor

from authoring import build
from course.data import load_trips, months, prepare_trips
from course.exercise import source as exercise_source
from course.practice.bank import load_bank
from course.servers import HOST, Server, answers, base_environment

ROOT = Path(__file__).resolve().parents[1]
SERVICE = ROOT / "src" / "projects" / "trip_service"
LESSON = build.read_lesson(ROOT / "src" / "lessons" / "09b_deploying.py")
VERSION = "1.34"


@pytest.fixture
def documents():
    return list(yaml.safe_load_all((SERVICE / "kubernetes.yaml").read_text("utf-8")))


def of(documents, kind):
    (document,) = [document for document in documents if document["kind"] == kind]
    return document


def pod(documents):
    return of(documents, "Deployment")["spec"]["template"]


def server(documents):
    return pod(documents)["spec"]["containers"][0]


def cell(name):
    (found,) = [cell for cell in LESSON.cells if cell.metadata.get("name") == name]
    return found.source


@pytest.fixture(scope="module")
def taught():
    """The names of the lesson's cells on manifests: FAULTS, text, refused."""
    text = (SERVICE / "kubernetes.yaml").read_text("utf-8")
    names = {"text": text}
    exec(cell("faults"), names)
    exec(cell("schema").split("\nassert")[0], names)  # the definition, without the table
    return names


@pytest.fixture
def dangling_ports():
    path = ROOT / "src" / "lessons" / "exercises" / "09b_deploying.py"
    return exercise_source.load(path).dangling_ports


# The manifest -------------------------------------------------------------------------------------------


def test_the_manifest_keeps_the_schema_strictly(documents):
    assert f'"{VERSION}"' in cell("schema")
    kinds = ["ConfigMap", "Deployment", "Service", "HorizontalPodAutoscaler", "PodDisruptionBudget"]
    assert [document["kind"] for document in documents] == kinds
    for document in documents:
        assert kubernetes_validate.validate(document, VERSION, strict=True) == VERSION


PLANTED = {
    "unknown field": lambda d: of(d, "Deployment")["spec"].update(replica=2),
    "text for a number": lambda d: of(d, "Deployment")["spec"].update(replicas="2"),
    "no selector": lambda d: of(d, "Deployment")["spec"].pop("selector"),
    "port as text": lambda d: server(d)["ports"][0].update(containerPort="8000"),
    "misspelt probe": lambda d: server(d).update(livenesProbe=server(d).pop("livenessProbe")),
    "number in the settings": lambda d: of(d, "ConfigMap")["data"].update(OMP_NUM_THREADS=1),
    "gone version of the autoscaler": lambda d: of(d, "HorizontalPodAutoscaler").update(
        apiVersion="autoscaling/v2beta2"
    ),
    "service without ports": lambda d: of(d, "Service")["spec"].update(ports=80),
}


@pytest.mark.parametrize("fault", PLANTED)
def test_the_schema_refuses_a_planted_fault(documents, fault):
    PLANTED[fault](documents)
    with pytest.raises((kubernetes_validate.ValidationError, kubernetes_validate.SchemaNotFoundError)):
        for document in documents:
            kubernetes_validate.validate(document, VERSION, strict=True)


def test_each_fault_is_planted_and_seen_where_the_lesson_says(documents, taught, dangling_ports):
    text, refused = taught["text"], taught["refused"]
    assert refused(text, strict=True) == "" and dangling_ports(documents) == []
    seen = {}
    for fault, (old, new) in taught["FAULTS"].items():
        assert text.count(old) == 1, fault
        broken = text.replace(old, new)
        ports = dangling_ports(list(yaml.safe_load_all(broken)))
        seen[fault] = (bool(refused(broken, strict=False)), bool(refused(broken, strict=True)), ports)
    assert [fault for fault, (usual, *_) in seen.items() if usual] == ['replicas: "2"', "autoscaling/v2beta2"]
    by_strict = ["replica: 2", "livenesProbe", 'replicas: "2"', "autoscaling/v2beta2"]
    assert [fault for fault, (_, strict, _) in seen.items() if strict] == by_strict
    assert {fault: ports for fault, (*_, ports) in seen.items() if ports} == {
        "liveness asks port `web`": ["livenessProbe"]
    }


def test_a_probe_on_a_name_that_leads_nowhere_is_said_to_restart_nothing():
    """The kubelet drops the result (prober/worker.go: "Prober error, throw away the result")."""
    prose = " ".join(c.source for c in LESSON.cells if c.cell_type == "markdown")
    assert "is never restarted. Liveness is silently off" in prose
    assert "restarted for ever" not in prose
    asked = {one.id: one for one in load_bank()}["deploy-probe-that-asks-nobody"]
    assert any("liveness counts as passed and nothing restarts the pod" in point for point in asked.must)


# The table and the models ---------------------------------------------------------------------------------


@pytest.mark.parametrize("month", ["2018-05", "2018-12", "2019-06"])
def test_quick_model_table_careful_model_in_this_order_in_other_months(month):
    after = pd.Period(month)
    train, test = (
        prepare_trips(load_trips(months(str(first), str(last))))
        for first, last in ((after - 3, after - 1), (after, after))
    )
    for trips in (train, test):
        trips["hour"], trips["weekday"] = (
            trips["pickup_datetime"].dt.hour,
            trips["pickup_datetime"].dt.dayofweek,
        )
    zones = ["pickup_location_id", "dropoff_location_id"]
    names = {"n_trees": 100, "train": train, "test": test, "ZONES": zones, "np": np}
    exec(next(c.source for c in LESSON.cells if c.source.startswith("def from_table")), names)
    exec("\n".join(line for line in cell("lookup").splitlines() if re.match("quick|careful", line)), names)

    def miss(minutes):
        return float((test["duration"] - minutes).abs().mean())

    def model(settings):
        columns = [*zones, "hour", "weekday"]
        fitted = XGBRegressor(n_jobs=1, **settings).fit(train[columns].astype(float), train["duration"])
        return miss(fitted.predict(test[columns].astype(float)))

    quick, careful = model(names["quick"]), model(names["careful"])
    table = miss(names["from_table"](zones, zones[:1]))
    assert careful < table < quick
    assert quick - table < 0.5 and table - careful < 0.5


AGREE = {
    "autoscaler's bounds": lambda d: (
        1
        <= of(d, "HorizontalPodAutoscaler")["spec"]["minReplicas"]
        <= of(d, "HorizontalPodAutoscaler")["spec"]["maxReplicas"]
    ),
    "a pod may be evicted": lambda d: (
        of(d, "PodDisruptionBudget")["spec"]["minAvailable"]
        < of(d, "HorizontalPodAutoscaler")["spec"]["minReplicas"]
    ),
    "the budget's selector": lambda d: (
        of(d, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"].items()
        <= pod(d)["metadata"]["labels"].items()
    ),
    "the service's selector": lambda d: (
        of(d, "Service")["spec"]["selector"].items() <= pod(d)["metadata"]["labels"].items()
    ),
    "settings that are named exist": lambda d: all(
        one["valueFrom"]["configMapKeyRef"]["key"] in of(d, "ConfigMap")["data"]
        for one in server(d)["env"]
        if "valueFrom" in one
    ),
    "image and label name one version": lambda d: (
        server(d)["image"].split(":")[-1] == pod(d)["metadata"]["labels"]["model-version"]
    ),
    "time to finish": lambda d: (
        server(d)["lifecycle"]["preStop"]["sleep"]["seconds"] + int(server(d)["args"][-1])
        <= pod(d)["spec"]["terminationGracePeriodSeconds"]
    ),
    "not root": lambda d: (
        pod(d)["spec"]["securityContext"]["runAsNonRoot"]
        and pod(d)["spec"]["securityContext"]["runAsUser"] > 0
    ),
    "the port that it opens": lambda d: (
        server(d)["command"][-1] == str(server(d)["ports"][0]["containerPort"])
    ),
}
BREAK = {
    "autoscaler's bounds": lambda d: of(d, "HorizontalPodAutoscaler")["spec"].update(minReplicas=11),
    "a pod may be evicted": lambda d: of(d, "PodDisruptionBudget")["spec"].update(minAvailable=2),
    "the budget's selector": lambda d: pod(d)["metadata"]["labels"].update(app="trips"),
    "the service's selector": lambda d: of(d, "Service")["spec"]["selector"].update(app="trips"),
    "settings that are named exist": lambda d: of(d, "ConfigMap")["data"].pop("MODEL_URI"),
    "image and label name one version": lambda d: server(d).update(image="trip-service:4"),
    "time to finish": lambda d: pod(d)["spec"].update(terminationGracePeriodSeconds=10),
    "not root": lambda d: pod(d)["spec"]["securityContext"].update(runAsUser=0),
    "the port that it opens": lambda d: server(d)["ports"][0].update(containerPort=8080),
}


@pytest.mark.parametrize("rule", AGREE)
def test_the_manifests_parts_agree(documents, rule):
    assert AGREE[rule](documents)
    BREAK[rule](documents)
    assert not AGREE[rule](documents), "the rule does not see the fault that it is for"


# The image ----------------------------------------------------------------------------------------------


def comparable(dockerfile):
    """Without the version of Python, which is that of the machine, and the folder of a model from a path."""
    dockerfile = re.sub(r"python:3\.\d+\.\d+-slim", "python:3-slim", dockerfile)
    return dockerfile.replace("COPY model_dir/model ", "COPY model_dir ").strip()


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A model that says in a file that it has begun, then takes its time: as many seconds as the row says."""
    folder = tmp_path_factory.mktemp("model")
    source = [
        "import os, time, pathlib, mlflow, pandas",
        "class Slow(mlflow.pyfunc.PythonModel):",
        "    def predict(self, context, model_input: pandas.DataFrame, params=None):",
        "        pathlib.Path(os.environ['BEGUN']).touch()",
        "        time.sleep(float(model_input.iloc[0, 0]))",
        "        return [1.0] * len(model_input)",
        "mlflow.models.set_model(Slow())",
    ]
    (folder / "slow.py").write_text("\n".join(source), encoding="utf-8")
    path = folder / "model"
    mlflow.pyfunc.save_model(path, python_model=folder / "slow.py", pip_requirements=["xgboost"])
    return path


@pytest.mark.slow
def test_the_dockerfile_is_what_mlflow_writes(model, tmp_path):
    command = [sys.executable, "-m", "mlflow", "models", "generate-dockerfile"]
    command += ["--model-uri", str(model), "--output-directory", str(tmp_path / "image")]
    subprocess.run(command, env=base_environment(), cwd=tmp_path, capture_output=True, check=True)
    written = comparable((tmp_path / "image" / "Dockerfile").read_text("utf-8"))
    kept = comparable((SERVICE / "Dockerfile").read_text("utf-8"))
    assert kept == written
    assert comparable(kept.replace("nginx", "apache2")) != written
    assert "\nUSER" not in kept  # the lesson says so, and why the manifest names a user
    assert list((tmp_path / "image" / "model_dir").rglob("MLmodel")), "the model is not beside it"


# The command --------------------------------------------------------------------------------------------


def as_in_the_pod(documents, model, folder):
    """The manifest's command and settings, on a free port of loopback; it works in `folder`."""
    container = server(documents)
    settings = dict(of(documents, "ConfigMap")["data"], MODEL_URI=model.resolve().as_uri())
    env = base_environment(drop="__pyfunc") | settings | {"BEGUN": str(folder.parent / "begun")}
    env |= {one["name"]: settings[one["valueFrom"]["configMapKeyRef"]["key"]] for one in container["env"][:1]}
    assert container["command"][0] == "uvicorn"
    words = [HOST if word == "0.0.0.0" else word for word in container["command"][1:] + container["args"]]
    at = words.index("--port") + 1
    folder.mkdir()
    return Server(
        name="The trip service",
        log=folder.parent / "server.log",
        command=lambda port: [
            sys.executable,
            "-P",
            "-m",
            "uvicorn",
            *words[:at],
            str(port),
            *words[at + 1 :],
        ],
        is_ready=lambda port: answers(f"http://{HOST}:{port}", probe_paths(container)[0]),
        server_env=env,
        folder=folder,
        grace=20,
    )


def probe_paths(container):
    return [container[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "readiness", "liveness")]


@pytest.mark.slow
def test_the_manifests_command_answers_its_probes_and_finishes_what_it_has_begun(documents, model, tmp_path):
    service = as_in_the_pod(documents, model, tmp_path / "cwd")
    said = {}

    def ask(name, seconds):
        body = {"dataframe_split": {"columns": ["seconds"], "data": [[seconds]]}}
        with requests.Session() as http:
            http.trust_env = False
            try:
                said[name] = http.post(f"{service.uri}/invocations", json=body, timeout=30).status_code
            except requests.RequestException as error:
                said[name] = type(error).__name__

    try:
        service.launch().wait()
        for path in probe_paths(server(documents)):
            assert answers(service.uri, path), path
        assert not answers(service.uri, "/healthz"), "any path would do, so the probes prove nothing"
        ask("quick", 0)
        assert said["quick"] == 200
        begun = tmp_path / "begun"
        begun.unlink()
        slow = threading.Thread(target=ask, args=("open", 2))
        slow.start()
        while not begun.exists():
            time.sleep(0.01)
        service.ask_to_stop()  # SIGTERM, as Kubernetes does
        slow.join()
        if os.name == "posix":  # elsewhere there is no SIGTERM that could be heard
            assert said["open"] == 200, "a request that was open at SIGTERM got no answer"
    finally:
        service.stop()
    assert list((tmp_path / "cwd").iterdir()) == [], (
        "it writes where it is started: a read-only image would fail"
    )
