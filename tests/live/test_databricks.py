"""The contract of the Databricks stand-in: each call that a lesson makes, through the platform's own clients.

The module's server is shared; each test leaves names of its own. With DATABRICKS_HOST and credentials in the
environment, `test_a_live_workspace_gives_the_same_shapes` asks the reader's own workspace the same questions.
"""

import io
import json
import threading
import time
import urllib.error
import urllib.request
from urllib.parse import urlencode

import numpy as np
import psutil
import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import (
    InvalidParameterValue,
    NotFound,
    PermissionDenied,
    ResourceDoesNotExist,
)
from databricks.sdk.service import compute, jobs, serving
from databricks.sdk.service.catalog import PermissionsChange, Privilege
from left_behind import mlflow_as_it_was

from projects.platforms.databricks import access, catalog, local
from projects.platforms.databricks.access import Access, Identity, Refused

CODE = "/Volumes/main/demand/code"
X = np.arange(6.0).reshape(3, 2)


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    with local.workspace(tmp_path_factory.mktemp("workspace"), idle_seconds=4) as workspace:
        yield workspace


@pytest.fixture
def clean(monkeypatch, tmp_path):
    """No credentials of the user's, and no ~/.databrickscfg."""
    for name in ("HOST", "TOKEN", "CLIENT_ID", "CLIENT_SECRET", "CONFIG_PROFILE"):
        monkeypatch.delenv(f"DATABRICKS_{name}", raising=False)
    monkeypatch.setenv("DATABRICKS_CONFIG_FILE", str(tmp_path / "none"))


@pytest.fixture
def person(running, clean):
    return WorkspaceClient(host=running.uri, token=running.token)


@pytest.fixture
def principal(running, clean):
    return WorkspaceClient(host=running.uri, client_id=running.client_id, client_secret=running.client_secret)


def ask(uri, path, token="", body=None, method=None):
    """Ask without a client; returns the status and the answer."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(uri + path, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.loads(answer.read() or b"{}")
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"{}")


# Who comes in


def test_a_person_comes_by_token_and_a_machine_by_oauth(running, person, principal):
    assert person.current_user.me().user_name == local.PERSON
    assert principal.current_user.me().user_name == running.client_id
    me = person.api_client.do("GET", "/api/2.0/preview/scim/v2/Me", response_headers=["x-databricks-org-id"])
    assert me["x-databricks-org-id"] == access.ORGANISATION
    assert (person.config.auth_type, principal.config.auth_type) == ("pat", "oauth-m2m")


def test_no_token_a_wrong_one_and_a_wrong_secret_are_refused(running, clean):
    assert ask(running.uri, "/api/2.0/preview/scim/v2/Me")[0] == 401
    with pytest.raises(PermissionDenied, match="Invalid access token"):
        WorkspaceClient(host=running.uri, token="dapi0").current_user.me()
    with pytest.raises(Exception, match="invalid_client"):
        WorkspaceClient(host=running.uri, client_id=running.client_id, client_secret="no").current_user.me()
    form = urlencode({"grant_type": "password", "username": "me"}).encode()
    assert ask(running.uri, "/oidc/v1/token", body=form) == (400, {"error": "unsupported_grant_type"})


def test_a_token_ends_with_its_time_and_with_its_revocation(person, running, clean):
    made = person.tokens.create(lifetime_seconds=600, comment="for a script")
    other = WorkspaceClient(host=running.uri, token=made.token_value)
    assert other.current_user.me().user_name == local.PERSON
    assert "for a script" in [one.comment for one in person.tokens.list()]
    person.tokens.delete(made.token_info.token_id)
    with pytest.raises(PermissionDenied, match="Invalid access token"):
        other.current_user.me()
    with pytest.raises(ResourceDoesNotExist):
        person.tokens.delete(made.token_info.token_id)
    with pytest.raises(InvalidParameterValue, match="must be positive, not -5"):
        person.tokens.create(lifetime_seconds=-5)


def test_a_token_that_has_ended_is_an_invalid_one(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(access.time, "time", lambda: now[0])
    door = Access([Identity("me", 1)])
    value, _ = door.issue(door.identities["me"], 60, "short")
    now[0] = 1059.9
    assert door.caller(f"Bearer {value}").name == "me"
    now[0] = 1060.0
    with pytest.raises(Refused, match="Invalid access token"):
        door.caller(f"Bearer {value}")


def test_an_identity_without_a_secret_gets_no_oauth_token():
    door = Access([Identity("me", 1)])
    assert door.exchange("", "grant_type=client_credentials&client_id=&client_secret=")[0] == 401


# What it keeps


def test_files_go_in_and_come_out(person):
    person.files.upload(f"{CODE}/a file.txt", io.BytesIO(b"one\ntwo"), overwrite=True)
    assert person.files.download(f"{CODE}/a file.txt").contents.read() == b"one\ntwo"
    assert [one.name for one in person.files.list_directory_contents(CODE) if " " in one.name] == [
        "a file.txt"
    ]
    person.files.delete(f"{CODE}/a file.txt")
    with pytest.raises(NotFound, match="not found"):
        person.files.download(f"{CODE}/a file.txt")


@pytest.mark.parametrize("path", ["/Volumes/main/x.txt", "/etc/passwd", "/Volumes/a/b/c/%2e%2e/%2e%2e/x"])
def test_a_path_outside_of_the_volumes_is_refused(running, path):
    status, answer = ask(running.uri, f"/api/2.0/fs/files{path}", running.token)
    assert (status, answer["error_code"]) == (400, "INVALID_PARAMETER_VALUE")


@pytest.fixture
def tracked(running, clean, monkeypatch):
    """MLflow with the workspace as its tracking server and Unity Catalog as its registry."""
    import mlflow

    for name, value in running.as_person.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    with mlflow_as_it_was():
        mlflow.set_tracking_uri("databricks")
        mlflow.set_registry_uri("databricks-uc")
        yield mlflow


def test_mlflow_logs_loads_and_registers_as_on_any_server(tracked, running):
    from mlflow.exceptions import RestException
    from mlflow.models import infer_signature
    from sklearn.linear_model import LinearRegression

    with pytest.raises(RestException, match="must be an absolute path"):
        tracked.create_experiment("demand")
    experiment = tracked.create_experiment(f"/Users/{local.PERSON}/demand")
    model = LinearRegression().fit(X, [1.0, 2.0, 3.0])
    with tracked.start_run(experiment_id=experiment) as run:
        tracked.log_param("lags", 14)
        tracked.log_metric("mae", 1.5)
        tracked.log_text("hello", "hello.txt")
        info = tracked.sklearn.log_model(
            model,
            name="model",
            signature=infer_signature(X, model.predict(X)),
            pip_requirements=["scikit-learn"],
            serialization_format="skops",
        )
    found = tracked.search_runs([experiment])
    assert (found["params.lags"].tolist(), found["metrics.mae"].tolist()) == (["14"], [1.5])
    assert tracked.artifacts.load_text(f"runs:/{run.info.run_id}/hello.txt") == "hello"
    with pytest.raises(RestException, match="three levels"):
        tracked.register_model(info.model_uri, "demand")
    name, client = "main.demand.model", tracked.MlflowClient()
    assert tracked.register_model(info.model_uri, name).version == "1"
    client.set_registered_model_alias(name, "champion", "1")
    client.set_model_version_tag(name, "1", "checked", "yes")
    assert client.get_model_version_by_alias(name, "champion").tags == {"checked": "yes"}
    assert [one.version for one in client.search_model_versions(f"name='{name}'")] == ["1"]
    assert np.allclose(tracked.pyfunc.load_model(f"models:/{name}@champion").predict(X), [1, 2, 3])
    calls = running.calls()
    assert set(calls["how"]) == {"served", "proxied", "refused"}
    assert (calls.loc[calls["caller"].ne(""), "status"] < 500).all()


def test_aliases_are_objects_and_fields_of_ours_are_gone():
    ours = {"model_version": {"name": "a.b.c", "aliases": ["x"], "current_stage": "None", "run_link": ""}}
    assert catalog.theirs(ours) == {"model_version": {"name": "a.b.c", "aliases": [{"alias": "x"}]}}


# What it runs


def a_job(person, running, name, programs, **more):
    """Make a job of programs in a row, each after the one before; returns the job's id."""
    tasks = []
    for number, text in enumerate(programs):
        file = f"{CODE}/{name}_{number}.py"
        person.files.upload(file, io.BytesIO(text.encode()), overwrite=True)
        tasks.append(
            jobs.Task(
                task_key=f"step_{number}",
                environment_key="default",
                depends_on=[jobs.TaskDependency(task_key=f"step_{number - 1}")] if number else None,
                spark_python_task=jobs.SparkPythonTask(python_file=file, parameters=["2019-01"]),
            )
        )
    room = jobs.JobEnvironment(environment_key="default", spec=compute.Environment(environment_version="4"))
    return person.jobs.create(name=name, tasks=tasks, environments=[room], **more).job_id


def test_a_job_runs_its_file_under_its_own_identity(person, running):
    text = (
        "import sys\nfrom databricks.sdk import WorkspaceClient\n"
        "print(WorkspaceClient().current_user.me().user_name, *sys.argv[1:])\n"
    )
    whom = jobs.JobRunAs(service_principal_name=running.client_id)
    run = person.jobs.run_now(a_job(person, running, "whoami", [text], run_as=whom)).result()
    assert run.state.result_state == jobs.RunResultState.SUCCESS
    assert person.jobs.get_run_output(run.tasks[0].run_id).logs.split() == [running.client_id, "2019-01"]


def test_a_program_reads_a_volume_by_its_path(person, running):
    person.files.upload(f"{CODE}/numbers.txt", io.BytesIO(b"7"), overwrite=True)
    job = a_job(person, running, "reads", ["import sys\nprint(*[open(one).read() for one in sys.argv[1:]])"])
    run = person.jobs.run_now(job, python_params=[f"{CODE}/numbers.txt"]).result()
    assert person.jobs.get_run_output(run.tasks[0].run_id).logs.split() == ["7"]


def test_a_task_that_fails_fails_the_run_and_stops_what_waits_for_it(person, running):
    job = a_job(person, running, "broken", ["print('half'); raise SystemExit('no trips')", "print('after')"])
    run = person.jobs.run_now(job).result()
    assert run.state.result_state == jobs.RunResultState.FAILED
    assert run.state.state_message.startswith("Task step_0 failed")
    tasks = person.jobs.get_run(run.run_id).tasks
    assert [one.state.result_state.value for one in tasks] == ["FAILED", "UPSTREAM_FAILED"]
    assert person.jobs.get_run_output(tasks[0].run_id).error == "no trips"


def test_a_job_that_could_not_run_is_refused(person, running):
    file = jobs.SparkPythonTask(python_file=f"{CODE}/x.py")
    with pytest.raises(InvalidParameterValue, match="at least one task"):
        person.jobs.create(name="empty")
    with pytest.raises(InvalidParameterValue, match="names no compute"):
        person.jobs.create(tasks=[jobs.Task(task_key="a", spark_python_task=file)])
    with pytest.raises(InvalidParameterValue, match="spark_python_task and nothing else"):
        notebook = jobs.NotebookTask(notebook_path="/Users/me/n")
        person.jobs.create(tasks=[jobs.Task(task_key="a", notebook_task=notebook)])
    with pytest.raises(InvalidParameterValue, match="'nobody' in run_as does not exist"):
        a_job(person, running, "whom", ["pass"], run_as=jobs.JobRunAs(user_name="nobody"))
    with pytest.raises(InvalidParameterValue, match="Job 7 does not exist"):
        person.jobs.run_now(7)


# What it does not do, and what is sent wrong


def test_what_it_does_not_do_is_refused_and_written_down(person, running):
    before = len(running.calls())
    with pytest.raises(NotFound, match="No API found"):
        list(person.clusters.list())
    last = running.calls(before).iloc[-1]
    assert (last["how"], last["status"], last["caller"]) == ("refused", 404, local.PERSON)


@pytest.mark.parametrize(
    "path, body",
    [
        ("/api/2.2/jobs/create", b"{not json"),
        ("/api/2.2/jobs/create", b"[1]"),
        ("/api/2.2/jobs/create", b'{"tasks": "all"}'),
        ("/api/2.2/jobs/run-now", b'{"job_id": "x"}'),
        ("/api/2.0/mlflow/unity-catalog/model-versions/create", b"\xff"),
    ],
)
def test_a_malformed_body_is_a_400(running, path, body):
    status, answer = ask(running.uri, path, running.token, body)
    assert (status, answer["error_code"]) == (400, "MALFORMED_REQUEST")


def test_no_secret_is_in_the_log(running, person, principal):
    made = person.tokens.create(lifetime_seconds=60)
    principal.current_user.me()
    written = running.log.path.read_text(encoding="utf-8")
    for secret in (running.token, running.client_secret, made.token_value):
        assert secret not in written
    assert "token_value" in written, "the call itself is there"


def test_two_clients_at_once_get_their_own_answers(running, clean):
    """Forty requests of each, by threads: nobody is taken for the other and no file is half of each."""
    people = {
        local.PERSON: {"token": running.token},
        running.client_id: {"client_id": running.client_id, "client_secret": running.client_secret},
    }
    wrong = []

    def work(name, given):
        client = WorkspaceClient(host=running.uri, **given)
        content = name.encode() * 2000
        for _ in range(20):
            client.files.upload(f"{CODE}/shared.bin", io.BytesIO(content), overwrite=True)
            if client.current_user.me().user_name != name:
                wrong.append("identity")
            got = client.files.download(f"{CODE}/shared.bin").contents.read()
            if got not in [other.encode() * 2000 for other in people]:
                wrong.append("half a file")

    threads = [threading.Thread(target=work, args=one) for one in people.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


LIVE = local.live()


@pytest.mark.skipif(LIVE is None, reason="set DATABRICKS_HOST and DATABRICKS_TOKEN to ask your own workspace")
def test_a_live_workspace_gives_the_same_shapes():
    client = WorkspaceClient()
    assert client.current_user.me().user_name
    with pytest.raises(InvalidParameterValue):
        client.jobs.run_now(7)
    with pytest.raises(NotFound):
        client.files.download("/Volumes/main/default/none/none.txt")


def test_without_credentials_nothing_is_live(clean, monkeypatch):
    assert local.live() is None
    monkeypatch.setenv("DATABRICKS_HOST", "https://adb.example")
    assert local.live() is None, "an address alone is no workspace"
    monkeypatch.setenv("DATABRICKS_TOKEN", "dapi1")
    assert local.live() == {"DATABRICKS_HOST": "https://adb.example", "DATABRICKS_TOKEN": "dapi1"}


# Who may use a model, and what serves it


@pytest.fixture(scope="module")
def model(running, tmp_path_factory):
    """Two versions of `main.shop.minutes` that answer 1 and 2, registered by the person."""
    import mlflow
    from mlflow.models import infer_signature
    from sklearn.dummy import DummyRegressor

    with pytest.MonkeyPatch.context() as patch, mlflow_as_it_was():
        patch.setenv("DATABRICKS_CONFIG_FILE", str(tmp_path_factory.mktemp("home") / "none"))
        patch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        for name, value in running.as_person.items():
            patch.setenv(name, value)
        mlflow.set_tracking_uri("databricks")
        mlflow.set_registry_uri("databricks-uc")
        experiment = mlflow.create_experiment("/Shared/minutes")
        for value in (1.0, 2.0):
            fitted = DummyRegressor(strategy="constant", constant=value).fit(X, [1.0, 2.0, 3.0])
            with mlflow.start_run(experiment_id=experiment):
                mlflow.sklearn.log_model(
                    fitted,
                    name="model",
                    signature=infer_signature(X, fitted.predict(X)),
                    pip_requirements=["scikit-learn"],
                    serialization_format="skops",
                    registered_model_name="main.shop.minutes",
                )
    return "main.shop.minutes"


def an_entity(model, version, **more):
    return serving.ServedEntityInput(
        entity_name=model, entity_version=version, workload_size="Small", scale_to_zero_enabled=True, **more
    )


def a_split(**parts):
    routes = [serving.Route(served_model_name=name, traffic_percentage=part) for name, part in parts.items()]
    return serving.TrafficConfig(routes=routes)


def test_a_model_is_for_its_owner_until_privileges_are_granted_level_by_level(model, person, principal):
    files = "/Models/main/shop/minutes/1/MLmodel"
    steps = [
        ("main", "catalog", "USE_CATALOG"),
        ("main.shop", "schema", "USE_SCHEMA"),
        (model, "function", "EXECUTE"),
    ]
    whom = principal.config.client_id
    for name, kind, privilege in steps:
        with pytest.raises(
            PermissionDenied, match=f"User does not have {privilege.replace('_', ' ')} on .* '{name}'"
        ):
            principal.files.download(files)
        change = PermissionsChange(add=[Privilege[privilege]], principal=whom)
        person.grants.update(securable_type=kind, full_name=name, changes=[change])
    assert b"python_function" in principal.files.download(files).contents.read()
    lineage = "/api/2.0/mlflow/unity-catalog/model-versions/emit-lineage"
    assert principal.api_client.do("POST", lineage, body={"name": model, "version": "1"}) == {}, (
        "a reader may"
    )
    with pytest.raises(PermissionDenied, match="MANAGE"):
        principal.files.upload(files, io.BytesIO(b"mine now"), overwrite=True)
    with pytest.raises(PermissionDenied, match="is not an owner"):
        principal.grants.update(securable_type="function", full_name=model, changes=[change])
    held = person.grants.get(securable_type="function", full_name=model).privilege_assignments
    assert [(one.principal, one.privileges) for one in held] == [(whom, [Privilege.EXECUTE])]
    for name, kind, privilege in steps:
        change = PermissionsChange(remove=[Privilege[privilege]], principal=whom)
        person.grants.update(securable_type=kind, full_name=name, changes=[change])


def test_an_endpoint_splits_its_traffic_and_a_failed_update_leaves_it_alone(model, person):
    from mlflow.deployments import get_deploy_client

    both = serving.EndpointCoreConfigInput(
        name="minutes",
        served_entities=[an_entity(model, "1"), an_entity(model, "2")],
        traffic_config=a_split(**{"minutes-1": 75, "minutes-2": 25}),
    )
    made = person.serving_endpoints.create_and_wait(name="minutes", config=both)
    assert made.state.ready == serving.EndpointStateReady.READY
    raw = [ask_rows(person, "minutes", {"inputs": X.tolist()}) for _ in range(40)]
    named = [name for name, _ in raw]
    assert {(name, tuple(answer["predictions"])) for name, answer in raw} == {
        ("minutes-1", (1.0, 1.0, 1.0)),
        ("minutes-2", (2.0, 2.0, 2.0)),
    }
    assert named.count("minutes-1") in range(24, 37), "of 40 at 75 %: the binomial's middle 98 %"
    with pytest.raises(NotFound, match="minutes/9 does not exist"):
        person.serving_endpoints.update_config(name="minutes", served_entities=[an_entity(model, "9")])
    with pytest.raises(InvalidParameterValue, match="add up to 100"):
        person.serving_endpoints.update_config(
            name="minutes",
            served_entities=[an_entity(model, "1"), an_entity(model, "2")],
            traffic_config=a_split(**{"minutes-1": 75, "minutes-2": 20}),
        )
    assert person.serving_endpoints.get("minutes").config.config_version == 1
    person.serving_endpoints.update_config_and_wait(name="minutes", served_entities=[an_entity(model, "2")])
    assert person.serving_endpoints.query("minutes", inputs=X.tolist()).predictions == [2.0, 2.0, 2.0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATABRICKS_HOST", person.config.host)
        patch.setenv("DATABRICKS_TOKEN", person.config.token)
        client = get_deploy_client("databricks")
        assert client.predict(endpoint="minutes", inputs={"inputs": X.tolist()})["predictions"] == [
            2.0,
            2.0,
            2.0,
        ]
    person.serving_endpoints.delete("minutes")
    with pytest.raises(ResourceDoesNotExist, match="endpoint minutes does not exist"):
        person.serving_endpoints.get("minutes")


def ask_rows(client, endpoint, body):
    """Return which version answered and its answer, by plain HTTP."""
    headers = {"Authorization": f"Bearer {client.config.token}", "Content-Type": "application/json"}
    address = f"{client.config.host}/serving-endpoints/{endpoint}/invocations"
    with urllib.request.urlopen(
        urllib.request.Request(address, json.dumps(body).encode(), headers), timeout=60
    ) as answer:
        return answer.headers["served-model-name"], json.loads(answer.read())


def processes_below(folder):
    """The processes that serve a model of this workspace."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if "walkforward.serving" in words and any(str(folder) in word for word in words):
            found.append(process)
    return found


def test_an_endpoint_is_for_those_who_may_query_it_and_sleeps_when_nobody_does(
    model, person, principal, running
):
    config = serving.EndpointCoreConfigInput(name="", served_entities=[an_entity(model, "1")])
    made = person.serving_endpoints.create_and_wait(name="closed", config=config)
    with pytest.raises(PermissionDenied, match="CAN_QUERY on the endpoint closed"):
        principal.serving_endpoints.query("closed", inputs=X.tolist())
    rule = serving.ServingEndpointAccessControlRequest(
        service_principal_name=principal.config.client_id,
        permission_level=serving.ServingEndpointPermissionLevel.CAN_QUERY,
    )
    person.serving_endpoints.update_permissions(made.id, access_control_list=[rule])
    with pytest.raises(PermissionDenied, match="CAN_MANAGE"):
        principal.serving_endpoints.delete("closed")
    with pytest.raises(PermissionDenied, match="EXECUTE|USE CATALOG"):
        principal.serving_endpoints.create(name="mine", config=config)
    for _ in range(600):
        if not processes_below(running.log.path.parent):
            break
        time.sleep(0.1)
    else:
        pytest.fail("it never came to rest")
    assert principal.serving_endpoints.query("closed", inputs=X.tolist()).predictions == [1.0, 1.0, 1.0]
    person.serving_endpoints.delete("closed")
    assert processes_below(running.log.path.parent) == []
