"""What a data scientist does with Azure's SDK, in one process of the platforms' environment.

    python azure_ml_client.py WORKSPACE.json

Each step's answer, or the kind and text of its error, is a field of one JSON object, printed last.
"""

import json
import os
import sys
import time
from pathlib import Path

told = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
os.environ.update(told["trusted"])

from azure.ai.ml import MLClient, command, load_environment, load_job  # noqa: E402
from azure.ai.ml.entities import (  # noqa: E402
    Environment,
    ManagedOnlineDeployment,
    ManagedOnlineEndpoint,
    Model,
)
from azure.ai.ml.sweep import Choice  # noqa: E402
from azure.identity import ClientSecretCredential  # noqa: E402

found = {}


def step(name, function):
    """Keep what a call gives, or how it fails."""
    try:
        found[name] = function()
    except Exception as error:
        found[name] = f"{type(error).__name__}: {error}"[:1500]
    return found[name]


def client(application):
    name, secret = told["clients"][application]
    credential = ClientSecretCredential(
        told["tenants"][application],
        name,
        secret,
        authority=told["uri"],
        disable_instance_discovery=True,
    )
    where = ("course", "walkforward", "demand")
    return MLClient(
        credential, *where, cloud="LocalCloud", cloud_metadata=told["cloud"], enable_telemetry=False
    )


def ended(name):
    for _ in range(1200):
        status = ml.jobs.get(name).status
        if status in ("Completed", "Failed"):
            return status
        time.sleep(0.3)
    return "never"


def sweep():
    tried = trained(alpha=Choice([0.1, 10.0])).sweep(
        sampling_algorithm="grid", primary_metric="mae", goal="minimize"
    )
    tried.name, tried.experiment_name, tried.compute = "second", "demand", "this-machine"
    tried.set_limits(max_total_trials=2, max_concurrent_trials=1)
    return ml.jobs.create_or_update(tried).status


def deploy(colour):
    made = ManagedOnlineDeployment(
        name=colour,
        endpoint_name="minutes",
        model="azureml:minutes:1",
        instance_type="Standard_DS3_v2",
        instance_count=1,
    )
    return ml.online_deployments.begin_create_or_update(made).result().provisioning_state


def split(traffic, mirror=None):
    endpoint = ml.online_endpoints.get("minutes")
    endpoint.traffic, endpoint.mirror_traffic = traffic, mirror or {}
    return ml.online_endpoints.begin_create_or_update(endpoint).result().traffic


def invoke(**more):
    return json.loads(ml.online_endpoints.invoke("minutes", request_file=told["request"], **more))


ml = client("train-job")
step("workspace", lambda: ml.workspaces.get("demand").name)
step("of another tenant", lambda: client("stranger").workspaces.get("demand").name)
step("compute", lambda: ml.compute.get("this-machine").type)
environment = ml.environments.create_or_update(Environment(name="course", version="1", image="python:3.11"))
trained = command(
    code=told["code"],
    command=f'"{told["python"]}" train.py ${{{{inputs.alpha}}}}',  # its folder may have a space
    inputs={"alpha": 0.5},
    environment=environment,
    compute="this-machine",
    experiment_name="demand",
    name="first",
)
step("job", lambda: ml.jobs.create_or_update(trained).status)
step("job ended", lambda: ended("first"))
step("sweep", sweep)
step("sweep ended", lambda: ended("second"))
step("best", lambda: ml.jobs.get("second").properties)
path = "azureml://jobs/first/outputs/artifacts/paths/model"
step(
    "model",
    lambda: (
        ml.models.create_or_update(Model(path=path, name="minutes", version="1", type="mlflow_model")).version
    ),
)
step(
    "reader writes",
    lambda: (
        client("auditor")
        .models.create_or_update(Model(path=path, name="minutes", version="2", type="mlflow_model"))
        .version
    ),
)
step("no such model", lambda: ml.models.get("hours", version="1").version)
step(
    "endpoint",
    lambda: (
        ml.online_endpoints.begin_create_or_update(ManagedOnlineEndpoint(name="minutes", auth_mode="key"))
        .result()
        .provisioning_state
    ),
)
step("blue", lambda: deploy("blue"))
step("green", lambda: deploy("green"))
step("too much", lambda: split({"blue": 90, "green": 20}))
step("traffic", lambda: split({"blue": 90, "green": 10}))
step("invoke", invoke)
step("invoke green", lambda: invoke(deployment_name="green"))
step("key", lambda: ml.online_endpoints.get_keys("minutes").primary_key)
step("delete blue", lambda: ml.online_deployments.begin_delete("blue", "minutes").result())
step("mirror", lambda: split({"blue": 100}, {"green": 50}))
step("yaml", lambda: load_job(told["bad job"]).type)
step("good yaml", lambda: load_environment(told["good environment"]).name)
print(json.dumps(found))
