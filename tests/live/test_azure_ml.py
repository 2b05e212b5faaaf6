"""The contract of the Azure ML stand-in: each call that a lesson makes, through the platform's own clients.

The SDK lives in the platforms' environment, where one process does a data scientist's day
(azure_ml_client.py); the rest is asked with azure-identity, plain MLflow and plain HTTP. With your own
credentials in the environment the last test asks a live workspace.
"""

import json
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlencode

import pytest

from course import environments
from course.environments import OtherEnvironmentError
from projects.platforms.azure_ml import access, endpoints, jobs, local
from projects.platforms.azure_ml.access import TENANT, Access, Application, Refused
from projects.platforms.azure_ml.blobs import Blobs
from projects.platforms.azure_ml.workspace import WORKSPACE as ARM

TRAIN = """
import sys
import mlflow
import numpy as np
from mlflow.models import infer_signature
from sklearn.linear_model import Ridge

X, y = np.arange(6.0).reshape(3, 2), np.array([1.0, 2.0, 3.0])
model = Ridge(float(sys.argv[1])).fit(X, y)
with mlflow.start_run():
    mlflow.log_metric("mae", float(abs(model.predict(X) - y).mean()))
    mlflow.sklearn.log_model(
        model, name="model", signature=infer_signature(X, model.predict(X)),
        pip_requirements=["scikit-learn"], serialization_format="skops",
    )
"""
ROW = {"inputs": [[1.0, 2.0]]}


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    with local.workspace(tmp_path_factory.mktemp("azure")) as workspace:
        yield workspace


@pytest.fixture(scope="module")
def day(running, tmp_path_factory):
    """What each step of the SDK's day gave."""
    try:
        python = environments.make("platforms")
    except OtherEnvironmentError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("desk")
    (folder / "code").mkdir()
    (folder / "code" / "train.py").write_text(TRAIN, encoding="utf-8")
    (folder / "request.json").write_text(json.dumps(ROW), encoding="utf-8")
    (folder / "bad.yml").write_text("type: command\ncommand: echo hi\ncomputer: cpu\n", encoding="utf-8")
    (folder / "good.yml").write_text("name: course\nversion: 1\nimage: python:3.11\n", encoding="utf-8")
    told = {
        "uri": running.uri,
        "trusted": running.trusted,
        "clients": running.clients,
        "tenants": {name: running.tenant(name) for name in running.clients},
        "cloud": running.cloud,
        "python": sys.executable,
        "code": str(folder / "code"),
        "request": str(folder / "request.json"),
        "bad job": str(folder / "bad.yml"),
        "good environment": str(folder / "good.yml"),
    }
    (folder / "told.json").write_text(json.dumps(told), encoding="utf-8")
    program = Path(__file__).with_name("azure_ml_client.py")
    done = subprocess.run(
        [str(python), str(program), str(folder / "told.json")], capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def ask(running, path, authorization="", body=None, headers=None, method=None):
    """Ask without a client; returns the status, the answer and its headers."""
    headers = {"Content-Type": "application/json", **(headers or {})}
    if authorization:
        headers["Authorization"] = authorization
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(running.uri + path, data, headers, method=method)
    context = ssl.create_default_context(cafile=str(running.certificate))
    try:
        with urllib.request.urlopen(request, timeout=60, context=context) as answer:
            return answer.status, json.loads(answer.read() or b"{}"), dict(answer.headers)
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"{}"), dict(error.headers)


def token(running, application, **changed):
    """Ask the token endpoint as a program does; returns the status and the answer."""
    client, secret = running.clients[application]
    form = {"grant_type": "client_credentials", "client_id": client, "client_secret": secret}
    form |= {"scope": f"{running.uri}/.default"} | changed
    tenant = form.pop("tenant", running.tenant(application))
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    return ask(running, f"/{tenant}/oauth2/v2.0/token", body=urlencode(form).encode(), headers=kind)[:2]


def bearer(running, application):
    return "Bearer " + token(running, application)[1]["access_token"]


# Who comes in


def test_azure_identity_gets_a_token_by_client_credentials(running, monkeypatch):
    from azure.core.exceptions import ClientAuthenticationError
    from azure.identity import ClientSecretCredential

    for name, value in running.trusted.items():
        monkeypatch.setenv(name, value)
    client, secret = running.clients["train-job"]

    def credential(secret):
        return ClientSecretCredential(
            TENANT, client, secret, authority=running.uri, disable_instance_discovery=True
        )

    got = credential(secret).get_token(f"{running.uri}/.default")
    assert 3500 < got.expires_on - time.time() <= 3600
    assert ask(running, ARM, f"Bearer {got.token}")[0] == 200
    with pytest.raises(ClientAuthenticationError, match="AADSTS7000215"):
        credential("wrong").get_token(f"{running.uri}/.default")


@pytest.mark.parametrize(
    "changed, status, code",
    [
        ({"grant_type": "password"}, 400, "AADSTS70003"),
        ({"scope": "everything"}, 400, "AADSTS1002012"),
        ({"client_id": "nobody"}, 400, "AADSTS700016"),
        ({"client_secret": ""}, 401, "AADSTS7000215"),
        ({"tenant": local.OTHER_TENANT}, 400, "AADSTS700016"),
    ],
)
def test_the_token_endpoint_refuses_by_name(running, changed, status, code):
    found = token(running, "train-job", **changed)
    assert (found[0], found[1]["error_description"].partition(":")[0]) == (status, code)


def test_no_token_another_tenants_and_a_role_too_small(running):
    assert ask(running, ARM)[1]["error"]["code"] == "AuthenticationFailed"
    assert ask(running, ARM, "Bearer eyJ0")[1]["error"]["code"] == "InvalidAuthenticationToken"
    found = ask(running, ARM, bearer(running, "stranger"))
    assert (found[0], found[1]["error"]["code"]) == (401, "InvalidAuthenticationTokenTenant")
    found = ask(running, ARM, bearer(running, "shop"))
    assert (found[0], found[1]["error"]["code"]) == (403, "AuthorizationFailed")
    path = f"{ARM}/environments/x/versions/1"
    assert ask(running, path, bearer(running, "auditor"), {"properties": {}}, method="PUT")[0] == 403
    assert ask(running, path, bearer(running, "train-job"), {"properties": {}}, method="PUT")[0] == 201


def test_a_token_ends(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(access.time, "time", lambda: now[0])
    one = Application("train-job", TENANT, "id", "secret", "Reader")
    door = Access([one], seconds=60)
    value = door.issue(one)
    now[0] = 1059.9
    assert door.caller(f"Bearer {value}") == one
    now[0] = 1060.0
    with pytest.raises(Refused, match="expiry"):
        door.caller(f"Bearer {value}")


def test_an_application_can_have_a_life_of_tokens_of_its_own(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(access.time, "time", lambda: now[0])
    short = Application("night-script", TENANT, "id", "secret", "Reader", seconds=3)
    form = {"grant_type": "client_credentials", "scope": "x/.default", "client_id": "id"}
    door = Access([short], seconds=60)
    answer = door.exchange(TENANT, urlencode(form | {"client_secret": "secret"}))[1]
    assert answer["expires_in"] == 3
    now[0] = 1003.0
    with pytest.raises(Refused, match="expiry"):
        door.caller(f"Bearer {answer['access_token']}")


# The SDK's day


def test_the_sdk_sees_the_workspace_and_a_stranger_does_not(day):
    assert (day["workspace"], day["compute"]) == ("demand", "amlcompute")
    assert "InvalidAuthenticationTokenTenant" in day["of another tenant"]


def test_a_job_uploads_its_code_and_runs_and_a_sweep_finds_the_best(day):
    assert (day["job"], day["job ended"]) == ("Queued", "Completed")
    assert (day["sweep"], day["sweep ended"]) == ("Queued", "Completed")
    assert day["best"]["best_child_run_id"] == "second_0"
    assert float(day["best"]["score"]) == pytest.approx(0.00414, abs=1e-5)


def test_a_model_is_registered_from_the_jobs_output_by_those_who_may(day):
    assert day["model"] == "1"
    assert "AuthorizationFailed" in day["reader writes"]
    assert "hours" in day["no such model"] and "not found" in day["no such model"]


def test_an_endpoint_serves_blue_and_green_by_the_split(day):
    assert {day[name] for name in ("endpoint", "blue", "green")} == {"Succeeded"}
    assert "adds up to 0 or 100, not 110" in day["too much"]
    assert day["traffic"] == {"blue": 90, "green": 10}
    assert day["invoke"] == day["invoke green"] == {"predictions": [pytest.approx(1.51515, abs=1e-5)]}
    assert "Deployment blue takes 90 % of the traffic" in day["delete blue"]


def test_yaml_is_checked_without_a_workspace(day):
    assert day["yaml"].startswith("ValidationError") and "computer" in day["yaml"]
    assert day["good yaml"] == "course"


def test_plain_http_wants_the_key(running, day):
    path = "/score/minutes"
    status, answer, headers = ask(running, path, f"Bearer {day['key']}", ROW)
    assert (status, headers["azureml-model-deployment"]) == (200, "blue")
    assert answer["predictions"] == [pytest.approx(1.51515, abs=1e-5)]
    assert ask(running, path, "", ROW)[0] == 401
    assert ask(running, path, "Bearer nonsense", ROW)[0] == 401
    assert ask(running, path, bearer(running, "train-job"), ROW)[0] == 401, "an identity is no key"
    assert ask(running, path, f"Bearer {day['key']}", b"[1")[0] == 424, "the model's own error"
    chosen = {"azureml-model-deployment": "green"}
    assert ask(running, path, f"Bearer {day['key']}", ROW, chosen)[2]["azureml-model-deployment"] == "green"
    assert ask(running, "/score/hours", f"Bearer {day['key']}", ROW)[0] == 404


def test_a_body_of_azures_form_is_taken(running, day):
    key = f"Bearer {day['key']}"
    for data in ([[1.0, 2.0]], ROW["inputs"]):
        assert ask(running, "/score/minutes", key, {"input_data": data})[0] == 200
    assert ask(running, "/score/minutes", key, {"input": [[1.0]]})[0] == 424
    split = endpoints.as_mlflow(b'{"input_data": {"columns": ["a"], "index": [0], "data": [[1]]}}')
    assert json.loads(split)["dataframe_split"]["columns"] == ["a"]
    assert endpoints.as_mlflow(b"[1") == b"[1"


def test_copies_are_written_down_with_their_answers_before_the_mirror_ends(running, day):
    path, owner = f"{ARM}/onlineEndpoints/minutes", bearer(running, "train-job")
    asked = {"authMode": "Key", "traffic": {"blue": 100}}
    mirrored = {"properties": asked | {"mirrorTraffic": {"green": 50}}}
    assert ask(running, path, owner, mirrored, method="PUT")[0] == 200
    before = len(running.calls())
    answers = [ask(running, "/score/minutes", f"Bearer {day['key']}", ROW) for _ in range(20)]
    assert {one[2]["azureml-model-deployment"] for one in answers} == {"blue"}
    assert ask(running, path, owner, {"properties": asked}, method="PUT")[0] == 200
    calls = running.calls(before)
    copies = calls[calls["how"] == "mirrored"]
    assert 2 <= len(copies) <= 18 and set(copies["path"]) == {"/score/minutes/green"}
    assert set(copies["status"]) == {200} and copies["answered"].str.contains("predictions").all()


def test_a_deployments_log_is_read_by_name(running, day):
    path, owner = f"{ARM}/onlineEndpoints/minutes/deployments", bearer(running, "train-job")
    found = ask(running, f"{path}/blue/getLogs", owner, {"tail": 50})
    assert found[0] == 200 and isinstance(found[1]["content"], str)
    assert ask(running, f"{path}/purple/getLogs", owner, {"tail": 50})[0] == 404
    assert ask(running, f"{path}/blue/getLogs", bearer(running, "auditor"), {"tail": 50})[0] == 403


def test_a_new_key_ends_the_old_one_and_the_second_bridges(running, day):
    keys = f"{ARM}/onlineEndpoints/minutes/listKeys"
    owner = bearer(running, "train-job")
    before = ask(running, keys, owner, {})[1]
    renewed = f"{ARM}/onlineEndpoints/minutes/regenerateKeys"
    after = ask(running, renewed, owner, {"keyType": "Secondary"})[1]
    assert after["primaryKey"] == before["primaryKey"] and after["secondaryKey"] != before["secondaryKey"]
    assert ask(running, "/score/minutes", f"Bearer {before['secondaryKey']}", ROW)[0] == 401
    assert ask(running, "/score/minutes", f"Bearer {after['secondaryKey']}", ROW)[0] == 200
    assert ask(running, keys, bearer(running, "auditor"), {})[0] == 403, "a reader reads no key"


def test_with_entra_the_consumers_role_is_enough_and_a_key_is_not(running, day):
    path, owner = f"{ARM}/onlineEndpoints/minutes", bearer(running, "train-job")
    asked = {"location": "local", "properties": {"authMode": "AADToken", "traffic": {"blue": 100}}}
    assert ask(running, path, owner, asked, method="PUT")[0] == 200
    assert ask(running, "/score/minutes", bearer(running, "shop"), ROW)[0] == 200
    assert ask(running, "/score/minutes", bearer(running, "auditor"), ROW)[0] == 403
    assert ask(running, "/score/minutes", bearer(running, "stranger"), ROW)[0] == 401
    assert ask(running, "/score/minutes", f"Bearer {day['key']}", ROW)[0] == 401
    asked["properties"]["authMode"] = "AMLToken"
    assert ask(running, path, owner, asked, method="PUT")[0] == 200
    got = ask(running, f"{path}/token", bearer(running, "auditor"), {})[1]
    assert ask(running, "/score/minutes", f"Bearer {got['accessToken']}", ROW)[0] == 200
    asked["properties"]["authMode"] = "Key"
    assert ask(running, path, owner, asked, method="PUT")[0] == 200


def test_plain_mlflow_tracks_with_a_token(running, monkeypatch):
    import mlflow

    for name, value in running.trusted.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", token(running, "train-job")[1]["access_token"])
    client = mlflow.MlflowClient(running.tracking_uri)
    run = client.create_run(client.create_experiment("plain"))
    client.log_metric(run.info.run_id, "mae", 1.5)
    client.log_text(run.info.run_id, "hello", "hello.txt")
    assert client.get_run(run.info.run_id).data.metrics == {"mae": 1.5}
    assert [one.path for one in client.list_artifacts(run.info.run_id)] == ["hello.txt"]
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", token(running, "auditor")[1]["access_token"])
    with pytest.raises(mlflow.MlflowException, match="AuthorizationFailed|403"):
        client.log_metric(run.info.run_id, "mae", 2.5)


# What it does not do, and what is sent wrong


@pytest.mark.parametrize("body", [b"{not json", b"[1]", b"\xff", b'{"properties": 3}'])
def test_a_malformed_body_is_a_400(running, body):
    found = ask(running, f"{ARM}/jobs/x", bearer(running, "train-job"), body, method="PUT")
    assert (found[0], found[1]["error"]["code"]) == (400, "BadArgument")


def test_what_it_does_not_do_is_refused(running):
    owner = bearer(running, "train-job")
    found = ask(running, f"{ARM}/computes/gpu", owner, {"properties": {}}, method="PUT")
    assert (found[0], "this-machine" in found[1]["error"]["message"]) == (400, True)
    assert ask(running, f"{ARM}/schedules/x", owner)[0] == 404
    pipeline = {"properties": {"jobType": "Pipeline"}}
    assert (
        "Command and Sweep"
        in ask(running, f"{ARM}/jobs/p", owner, pipeline, method="PUT")[1]["error"]["message"]
    )
    assert running.calls()["how"].eq("refused").any()


def test_no_secret_is_in_the_log(running):
    got = token(running, "train-job")[1]["access_token"]
    written = running.log.path.read_text(encoding="utf-8")
    secrets = [got, *[secret for _, secret in running.clients.values()]]
    assert [one for one in secrets if one in written] == []
    assert running.calls()["sent"].str.contains("client_secret=…").any()


def test_versions_are_listed_the_newest_first(running):
    owner = bearer(running, "train-job")
    for version in ("1", "2"):
        ask(
            running, f"{ARM}/environments/ordered/versions/{version}", owner, {"properties": {}}, method="PUT"
        )
    listed = ask(running, f"{ARM}/environments/ordered/versions", owner)[1]["value"]
    assert [one["name"] for one in listed] == ["2", "1"]


def test_two_clients_at_once_get_their_own_answers(running):
    wrong, bearers = [], {name: bearer(running, name) for name in ("train-job", "auditor")}

    def work(name):
        for number in range(20):
            path = f"{ARM}/environments/{name}/versions/{number}"
            status = ask(running, path, bearers[name], {"properties": {"image": name}}, method="PUT")[0]
            if status != (201 if name == "train-job" else 403):
                wrong.append((name, status))
            if ask(running, ARM, bearers[name])[1].get("name") != "demand":
                wrong.append((name, "read"))

    threads = [threading.Thread(target=work, args=[name]) for name in bearers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_signed_address_opens_its_container_until_it_ends(tmp_path, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr("projects.platforms.azure_ml.blobs.time.time", lambda: now[0])
    blobs = Blobs(tmp_path)
    query = dict(pair.split("=") for pair in blobs.signed("https://x", "code").partition("?")[2].split("&"))
    blobs.answer("PUT", "code/train.py", query, {}, b"print()")
    assert blobs.answer("GET", "code/train.py", query, {}, b"").body == b"print()"
    for container, name in (("other", "train.py"), ("code", "../other/x")):
        with pytest.raises(Refused):
            blobs.answer("PUT", f"{container}/{name}", query, {}, b"")
    now[0] += 3601
    with pytest.raises(Refused, match="expiry"):
        blobs.answer("GET", "code/train.py", query, {}, b"")


def test_a_sweep_draws_what_its_space_says():
    grid = {"samplingAlgorithm": {"samplingAlgorithmType": "Grid"}, "limits": {"maxTotalTrials": 3}}
    space = {"a": ["choice", [[1, 2]]], "b": ["choice", [["x", "y"]]]}
    assert jobs.draws({**grid, "searchSpace": space}) == [
        {"a": 1, "b": "x"},
        {"a": 1, "b": "y"},
        {"a": 2, "b": "x"},
    ]
    random = {
        "samplingAlgorithm": {"samplingAlgorithmType": "Random", "seed": 3},
        "limits": {"maxTotalTrials": 50},
    }
    drawn = jobs.draws({**random, "searchSpace": {"rate": ["loguniform", [-3, 0]]}})
    assert drawn == jobs.draws({**random, "searchSpace": {"rate": ["loguniform", [-3, 0]]}})
    assert all(0.049 < one["rate"] < 1 for one in drawn) and len({one["rate"] for one in drawn}) == 50
    with pytest.raises(Refused, match="choices alone"):
        jobs.draws({**grid, "searchSpace": {"rate": ["uniform", [0, 1]]}})
    with pytest.raises(Refused, match="'qnormal' is not drawn"):
        jobs.draws({**random, "searchSpace": {"rate": ["qnormal", [0, 1, 2]]}})
    with pytest.raises(Refused, match="'Bayesian' is not run"):
        jobs.draws({"samplingAlgorithm": {"samplingAlgorithmType": "Bayesian"}, "searchSpace": space})


NAMES = "AZURE_TENANT_ID, AZURE_CLIENT_ID, AZURE_CLIENT_SECRET and AZUREML_WORKSPACE_ID"


@pytest.mark.skipif(local.live() is None, reason=f"set {NAMES} to ask your own workspace")
def test_a_live_workspace_gives_the_same_shapes():
    from azure.identity import DefaultAzureCredential

    found = local.live()
    bearer = DefaultAzureCredential().get_token("https://management.azure.com/.default").token
    address = f"https://management.azure.com{found['AZUREML_WORKSPACE_ID']}?api-version=2024-10-01"
    request = urllib.request.Request(address, headers={"Authorization": f"Bearer {bearer}"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        workspace = json.loads(answer.read())
    assert workspace["properties"]["mlFlowTrackingUri"].startswith("azureml://")
