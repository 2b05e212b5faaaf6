# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
#   walkforward:
#     environment: platforms
#     ci:
#       month: "2019-02"
# ---

# %% [markdown]
# # 10c · Azure ML: identity and jobs
#
# After this lesson you can say as whom your code runs on Azure, check a definition before it costs money, run a job and a search through the SDK, and track from outside without losing a night.

# %% [markdown]
# > **You will learn to** tell *who are you* from *what may you* · find the role that a pipeline lacks · know what a schema does not check · submit a job and wait for it · pin an environment · replace the SDK of 2021
# >
# > **Before you start** [10a · Databricks: the same code, another address](10a_databricks_tracking_and_jobs.ipynb) · [03b · Tracking servers](03b_tracking_servers.ipynb)
# >
# > **Time** 55 minutes of study; it runs in about half a minute
# >
# > **Interview questions it answers** Why does it work on your laptop and fail in the pipeline? · Which compute for notebooks, for the night, for a search? · What do you do with a repository full of `azureml.core`?

# %% [markdown]
# You need no account: a **stand-in** on your machine speaks Azure's protocol over https, checks tenants, secrets and roles, and runs jobs. Cells with `%%sdk` are run by another Python, which has Azure's SDK (`azure-ai-ml`); its pins don't fit the course's. That Python is made on first use, with a network, in a minute or two. Without it such a cell says so and prints what it printed when this lesson was built.

# %% tags=["parameters"]
month = "2019-03"  # trips that the jobs learn from and are judged on
with_sdk = True  # False: as where the SDK can't be installed

# %% name="imports"
import os
import time
from contextlib import ExitStack
from pathlib import Path

from lessons.azure_desk.desk import ARM, QUIET, as_application, desk, fresh, said, signed_in, token, told

os.environ |= QUIET  # MLflow's own settings: no links and progress bars in the output

import mlflow
import pandas as pd
import requests
from azure.identity import DefaultAzureCredential

from course import exercise
from course.data import DATA
from course.exercise import TODO
from projects.platforms.azure_ml import local

# %% name="start"
FILES, TRIPS = fresh(Path("10c_azure_files")), DATA / "trips" / f"{month}.parquet"
servers, code = ExitStack(), fresh(FILES / "code")
workspace = servers.enter_context(local.workspace(FILES / "workspace", lives={"night-script": 3}))
servers.enter_context(desk(workspace, "10c", sdk=with_sdk, TRIPS=TRIPS.as_posix(), CODE=str(code)))
os.environ |= workspace.trusted  # Python's clients trust the stand-in's certificate
HERE = f"{workspace.uri}{ARM}"  # the workspace in Azure's own API

# %% [markdown]
# ## Who are you, and what may you
#
# A program on Azure is an **application** in a **tenant** (your company's directory, Microsoft Entra ID); its identity there is a **service principal**. It exchanges its client id and secret for a token (the *client-credential flow*).

# %% name="exchange"
client, secret = workspace.clients["train-job"]
form = {"grant_type": "client_credentials", "client_id": client, "scope": f"{workspace.uri}/.default"}
for name, attempt in (("train-job", secret), ("train-job", "a wrong one"), ("stranger", secret)):
    url = f"{workspace.uri}/{workspace.tenant(name)}/oauth2/v2.0/token"
    answer = requests.post(url, data=form | {"client_secret": attempt}, timeout=30)
    print(answer.status_code, answer.json().get("error_description", "a token").partition(":")[0])

# %% [markdown]
# Learn these codes: `AADSTS7000215` is a wrong secret (`AADSTS7000222` one that has expired), `AADSTS700016` an application that this tenant doesn't know, often a wrong tenant id. The token lives an hour.
#
# Five applications get a token, the stranger from a tenant of its own. Each reads the workspace and then writes an environment into it. **Predict first.** Which statuses do you expect?

# %% name="doors"
doors = {}
for name in ("train-job", "auditor", "shop", "new-pipeline", "stranger"):
    session, image = signed_in(workspace, name), {"properties": {"image": "python:3.11"}}
    read, write = session.get(HERE), session.put(f"{HERE}/environments/try/versions/1", json=image)
    doors[name] = {"role": local.ROLES[name] or "-", "read": read.status_code, "write": write.status_code}
pd.DataFrame(doors).T

# %% [markdown]
# **`401`** is *who are you*: the stranger's token is good, but of another tenant. **`403`** is *what may you*: known, and without a role for this action. A new secret never mends a `403`.
#
# The door is the **workspace**. It holds a project's jobs, models, environments, data assets and endpoints, and roles are granted on it. So development and production are two workspaces: whoever may write in one need not write in the other. Storage, key vault, image registry and compute stand beside it.

# %% [markdown]
# ## The same code, another identity
#
# `DefaultAzureCredential` looks for credentials in an order: environment variables, workload identity, managed identity, then your own logins (Azure CLI and others). You try the function below on your laptop, where you hold the role *AzureML Data Scientist*. Then the pipeline runs it.


# %% name="default"
def register_environment():
    credential = DefaultAzureCredential(disable_instance_discovery=True)  # the stand-in is no known cloud
    bearer = "Bearer " + credential.get_token(f"{workspace.uri}/.default").token
    url, body = f"{HERE}/environments/course/versions/1", {"properties": {"image": "python:3.11"}}
    return requests.put(url, json=body, headers={"Authorization": bearer}, timeout=30)


for name in ("you", "new-pipeline"):
    with as_application(workspace, name):
        print(f"{name}:", told(register_environment()))

# %% [markdown]
# Same code, 201<!-- =default: you: (\d+) --> and 403<!-- =default: pipeline: (\d+) -->. The credential took what it found, and in the pipeline that is somebody else with the role *Reader*. The refusal names client and action: grant exactly that, and not *Owner*. To forbid the search, name one credential, or set `AZURE_TOKEN_CREDENTIALS` (`prod`, or a credential's name).
#
# | identity | the secret | use it for |
# |---|---|---|
# | your login | yours | your own laptop |
# | service principal | you keep and renew it | programs outside Azure, if nothing better works |
# | federation (workload identity) | none: Azure trusts the CI's own token | GitHub Actions, Azure DevOps, Kubernetes |
# | managed identity | none: belongs to an Azure resource | all that runs inside Azure |
#
# (In the stand-in all come by secrets, *you* too.)

# %% [markdown]
# ## What a schema does not check
#
# The SDK needs a credential and three names: subscription, resource group, workspace (here in `WORKSPACE`). `LOCAL` is the stand-in's address; leave it out for Azure.

# %% name="connected"
# %%sdk
import io
import time

from azure.ai.ml import MLClient, command, load_compute, load_data, load_environment, load_job
from azure.ai.ml.entities import Environment
from azure.ai.ml.sweep import Choice
from azure.identity import DefaultAzureCredential

credential = DefaultAzureCredential(disable_instance_discovery=True)
ml = MLClient(credential, *WORKSPACE, **LOCAL)
print("workspace", ml.workspaces.get("demand").name, "| compute", ml.compute.get("this-machine").type)

# %% [markdown]
# Jobs, environments, data assets and clusters are YAML files in Git. Each `load_*` checks one offline, before anybody has signed in. Nine faults:

# %% name="checked"
# %%sdk
JOB = "{type: command, command: python train.py, compute: azureml:cpu, environment: azureml:course%s}"
SWEEP = "{type: sweep, sampling_algorithm: grid, compute: azureml:cpu, limits: {max_total_trials: 3}, search_space: {depth: {type: choice, values: [2]}}, trial: {command: x, environment: azureml:course:1}, objective: {goal: minimize, primary_metric: rsme}}"
CPU = "{name: cpu, type: amlcompute, size: Standard_D4s_v5, %s}"
for fault, load, text in (
    ("a misspelt field", load_job, (JOB % ":1").replace("compute:", "computer:")),
    ("text for a number", load_job, (JOB % ":1")[:-1] + ", limits: {timeout: an hour}}"),
    ("an unknown value", load_compute, CPU % "tier: spot"),
    ("a size that is not there", load_compute, CPU.replace("D4s_v5", "Huge") % "max_instances: 4"),
    ("minimum over maximum", load_compute, CPU % "min_instances: 5, max_instances: 4"),
    ("a misspelt metric", load_job, SWEEP),
    ("data that is not there", load_data, "{name: trips, version: 1, type: uri_folder, path: ./nowhere}"),
    ("no version", load_job, JOB % ""),
    ("a moving image", load_environment, "{name: course, version: 1, image: python:latest}"),
):
    print(f"{fault:25}", said(lambda load=load, text=text: load(io.StringIO(text)) and "accepted"))

# %% [markdown]
# Names, types and listed values are refused. Six of nine still pass, because they are *meaning*: only the platform knows the sizes, only the script knows its metric. `rsme` is the dearest of them: all trials run, and none has a score. So check the schema in the pull request, and then make one small real run.
#
# `min_instances: 1` passes too. The training works 40<!-- given --> minutes a night on a D4s_v5 at 0.19<!-- given --> dollars an hour (list price in guides, looked up on 30 November 2026; a fifth for low priority is an example).

# %% name="bill"
night = (40 + 6 + 2) / 60  # hours: the work, a node's start, its idle time
hours = {"instance, never stopped": 720, "instance, stops in the evening": 9 * 22}
hours |= {"cluster, minimum 1": 720, "cluster, minimum 0": 30 * night, "the same, low priority": 30 * night}
bill = pd.DataFrame({"hours": hours})
bill["dollars"] = bill["hours"] * [0.19, 0.19, 0.19, 0.19, 0.038]
bill.round(1)

# %% [markdown]
# An **instance** is one person's machine for notebooks; it costs until it stops. A **cluster** scales with its jobs. With a minimum of zero the nightly job waits six minutes for a node, and costs 5<!-- ~bill[cluster, minimum 0, dollars] --> dollars a month instead of 137<!-- ~bill[cluster, minimum 1, dollars] -->. Low-priority nodes can be taken away: they suit a search; a long job must write checkpoints. *Serverless* jobs leave the cluster to Azure.

# %% [markdown]
# ## A job
#
# The script takes a table and a depth, and names no server. MLflow finds address, token and run in the environment that the job gets.

# %%
# %%writefile 10c_azure_files/code/train.py
import sys

import mlflow
import pandas as pd
from sklearn.metrics import root_mean_squared_error
from sklearn.tree import DecisionTreeRegressor

table, depth = sys.argv[1], int(sys.argv[2])
trips = pd.read_parquet(table)
start, end = trips["pickup_datetime"], trips["dropoff_datetime"]
X = pd.DataFrame({"miles": trips["trip_distance"], "hour": start.dt.hour})
y, day = (end - start).dt.total_seconds() / 60, start.dt.day
fit, check = y.between(1, 60) & (day <= 21), y.between(1, 60) & (day > 21)
model = DecisionTreeRegressor(max_depth=depth, random_state=0).fit(X[fit], y[fit])
with mlflow.start_run():
    mlflow.log_metric("rmse", root_mean_squared_error(y[check], model.predict(X[check])))

# %%
# %%sdk
job = command(
    code=CODE,
    command="python train.py ${{inputs.trips}} ${{inputs.depth}}",
    inputs={"trips": TRIPS, "depth": 4},  # on Azure: Input(type="uri_file", path="azureml:trips:1")
    environment="azureml:course:1",
    compute="this-machine",
    experiment_name="minutes",
    name="first",
)


# %% name="job"
# %%sdk
def ended(name):
    while (status := ml.jobs.get(name).status) not in ("Completed", "Failed", "Canceled"):
        time.sleep(0.3)
    return status.value


print("create_or_update returns:", ml.jobs.create_or_update(job).status.value)
print("later:", ended("first"))

# %% [markdown]
# The call returned `Queued`: accepted, not done. A CI step that ends there is green while the job fails at its import. Wait (`ml.jobs.stream` does, and prints the log), and fail the step unless the status is `Completed`. The code folder was uploaded as a version of its own, so the run keeps what it ran.
#
# ## March and November
#
# The job names `course:1`. Many jobs name `course@latest`, or no version. A colleague improves the environment:

# %% name="latest"
# %%sdk
print("in March latest is version", ml.environments.get("course", label="latest").version)
ml.environments.create_or_update(Environment(name="course", version="2", image="python:3.13"))
print("in November latest is version", ml.environments.get("course", label="latest").version)

# %% [markdown]
# Nobody touched the job with `latest`, and it runs on another Python, where an import may fail. A version is a pin of the *definition* alone. Its image is built from it, and when it is built again, `python:3.11` and a conda file without versions give other packages. Three things are pinned: the environment's version, each package, and the base image by its digest.
#
# ### Your turn

# %% exercise="unpinned"

# %%
exercise.check(unpinned)

# %% [markdown]
# ## A search
#
# `Choice` in place of a value makes a **sweep**: each trial is a job of its own. The definition limits the trials, in all and at the same time; the schema refuses one without limits.

# %% name="sweep"
# %%sdk
rules = {"sampling_algorithm": "grid", "primary_metric": "rmse", "goal": "minimize"}
search = job(depth=Choice([2, 6, 14])).sweep(**rules)
search.name, search.experiment_name, search.compute = "search", "minutes", "this-machine"
search.set_limits(max_total_trials=3, max_concurrent_trials=1)
ml.jobs.create_or_update(search)
print(ended("search"), "| best:", ml.jobs.get("search").properties["best_child_run_id"])

# %% [markdown]
# ## The same runs, by plain MLflow
#
# The workspace speaks MLflow's protocol. On Azure's compute the address is set; elsewhere you set it, with a token or by the plugin `azureml-mlflow`, which asks for tokens itself.

# %% name="runs"
mlflow.set_tracking_uri(workspace.tracking_uri)
os.environ["MLFLOW_TRACKING_TOKEN"] = token(workspace, "you")
experiment = mlflow.set_experiment("minutes").experiment_id
columns = {"tags.mlflow.runName": "run", "metrics.rmse": "rmse"}
runs = mlflow.search_runs([experiment]).reindex(columns=columns).rename(columns=columns)
runs.sort_values("run").round(2).reset_index(drop=True)

# %% [markdown]
# The trials have depths 2, 6 and 14 (`search` itself logs nothing). Depth 14 remembers its training days: 6.16<!-- =runs: search_2 +([\d.]+) -->, worse than depth 2. The best of three on one split of one month is a candidate and no winner; the gate of 08c decides.
#
# Now a training outside Azure: a token is put into `MLFLOW_TRACKING_TOKEN`, the script logs at its start and at its end. **Predict first.** The training takes 61<!-- given --> minutes. What is in the workspace in the morning? (Here this token lives three seconds, and the training takes a little longer.)

# %% name="night"
client = mlflow.MlflowClient()
os.environ["MLFLOW_TRACKING_TOKEN"] = token(workspace, "night-script")
night = client.create_run(experiment, run_name="night").info.run_id
time.sleep(3.2)  # the training
print("log:", said(client.log_metric, night, "rmse", 5.0))
os.environ["MLFLOW_TRACKING_TOKEN"] = token(workspace, "you")
print("in the morning:", client.get_run(night).info.status, client.get_run(night).data.metrics)

# %% [markdown]
# The work is done and lost: a run that is `RUNNING` for ever, without a metric. The variable holds a text, and nobody renews it. Ask for a new token before you log, or let the plugin do it, or train where the token comes with the job. And write the result to disk first.
#
# The workspace hands MLflow's calls to an MLflow server (*proxied*) and answers the others (*served*):

# %% name="wire"
calls = workspace.calls()
calls = calls[calls["caller"].isin(["train-job", "you"])]
part = calls["path"].str.contains("/mlflow/").map({True: "MLflow's", False: "Azure's"}).rename("part")
pd.crosstab(part, calls["how"]).gt(0)

# %% [markdown]
# Runs and metrics are MLflow's own calls; jobs, environments and code are Azure's. As on Databricks the training moves by an address, the definitions don't. In a real workspace some calls of the registry fail (renaming a model, say).

# %% [markdown]
# ## The step that was not run again
#
# A **pipeline** is steps with declared inputs and outputs, each with its environment and compute. A step whose code, inputs and settings are unchanged is reused. The stand-in runs no pipelines; here is the rule by hand:

# %%
kept, lake = {}, {"latest.parquet": 9703}  # results by fingerprint; a file and its rows


def step(name, code, **inputs):
    fingerprint = (name, code, *sorted(inputs.items()))
    how = "reused" if fingerprint in kept else "ran"
    return how, kept.setdefault(fingerprint, lake["latest.parquet"])


# %% name="reuse"
print("Monday: ", *step("features", "v1", path="latest.parquet"))
lake["latest.parquet"] = 12048
print("Tuesday:", *step("features", "v1", path="latest.parquet"))
print("Tuesday, with a version:", *step("features", "v1", path="latest.parquet", version=2))

# %% [markdown]
# On Tuesday the file has other content and the same name, so Monday's result is reused: every night the training is green and learns nothing new. The reference is compared, not what lies behind it. Declare a versioned data asset, or switch reuse off (`is_deterministic: false`) for the step that reads the world.
#
# ### Your turn

# %% exercise="runs_again"

# %%
exercise.check(runs_again)

# %% [markdown]
# ## The SDK of 2021
#
# You take over a repository with `azureml.core`, SDK version 1. It has been deprecated since 31 March 2025, and its support ended on 30 June 2026.

# %% name="old"
TODAY = {"Workspace.from_config": "MLClient(credential, …)", "Estimator": "command(…)"}
TODAY |= {"HyperDriveConfig": "command(…).sweep(…)", "Run.log": "mlflow.log_metric"}
TODAY |= {"Dataset.get_by_name": "Input(path='azureml:trips:1')", "AciWebservice": "ManagedOnlineDeployment"}
TODAY |= {"AksWebservice": "KubernetesOnlineDeployment, or managed"}
pd.Series(TODAY, name="today").rename_axis("version 1").to_frame()

# %% [markdown]
# It is no rename: version 2 describes jobs and endpoints as files. Order by risk. What serves customers comes first: a managed online endpoint beside the old service, recorded requests to both, answers compared (the address changes, and every endpoint wants a key or token). Logging that becomes MLflow is the cheapest step and makes the script movable. Workspace and models can be used from both, in two environments, so it goes job by job.

# %% [markdown]
# ## A server of your own
#
# Tracking in a workspace has no price of its own. Your own MLflow server (03b) on a VM has a bill; these prices are examples:

# %% name="own"
own = pd.Series(
    {"VM, two cores": 70, "PostgreSQL, managed": 60, "blobs and backup": 15, "a person, 4 hours": 320}
)
own.loc["sum"] = own.sum()
servers.close()
own.rename("dollars a month").to_frame()

# %% [markdown]
# Most of it is the person: patches, certificates, a restore that was tried. Network: a private address behind the company's login. Disk: nothing that counts is on the machine; runs in PostgreSQL, files in blobs. Identity: a managed identity reads both. Your own server beats the platform if several clouds share one server, if you need MLflow calls that the workspace lacks, or if someone runs such servers anyway. For one team on Azure: the workspace.

# %% [markdown]
# ## On your own workspace
#
# After `az login`, put the `%%sdk` cells into a script, with `DefaultAzureCredential()`, your three names, compute and data, and without `LOCAL`.

# %% [markdown]
# ## Take-aways
#
# - `401` asks who you are, `403` what you may. A pipeline that fails where your laptop works lacks a role.
# - Inside Azure a managed identity, outside federation; a secret is the last choice, and somebody renews it.
# - A schema refuses names and types; a misspelt metric passes, and one small run finds it.
# - *Queued* is not done, *latest* is not a version, and a token in a variable ends after an hour.
# - A pipeline reuses by reference: what is not declared and versioned is not seen.

# %% [markdown]
# ## In an interview
#
# - *Why does it work on your laptop and fail in the pipeline?* Shown in [The same code, another identity](#The-same-code,-another-identity).
# - *The same job ran in March and fails in November. What happened?* Shown in [March and November](#March-and-November).
# - *You take over a repository with `azureml.core`. What do you do?* Shown in [The SDK of 2021](#The-SDK-of-2021).
#
# More, with the points of a good answer: `walkforward practice --lesson 10c` in a terminal.

# %% [markdown]
# ## Up next
#
# The runs are there, and nobody can ask a model yet: [10d · Azure ML: endpoint and access](10d_azure_endpoint_and_access.ipynb).
