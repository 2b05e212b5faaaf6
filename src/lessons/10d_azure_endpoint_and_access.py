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
# # 10d · Azure ML: endpoint and access
#
# After this lesson you can put a model behind an endpoint, say what a consumer needs to call it, roll out a new version without trusting its statuses, and go back with one request.

# %% [markdown]
# > **You will learn to** tell an endpoint from a deployment · read `401`, `403`, `404` and `424` · choose between key and token · renew a key without an outage · mirror before you split · read a deployment's log first
# >
# > **Before you start** [10c · Azure ML: identity and jobs](10c_azure_identity_and_jobs.ipynb) · [09b · Deploying](09b_deploying.ipynb)
# >
# > **Time** 55 minutes of study; it runs in about half a minute
# >
# > **Interview questions it answers** Who may call the endpoint, and who may change it? · The deployment is unhealthy. How do you find out why? · Azure ML or Databricks?

# %% [markdown]
# The stand-in of 10c is the workspace. Its deployments are real: each is a `walkforward serve` process on your machine. Cells with `%%sdk` run in the Python that has Azure's SDK; without it they say so, print what they printed when the lesson was built, and the lesson sends the same requests itself.

# %% tags=["parameters"]
month = "2019-03"  # trips that the models learn from, and whose later days are asked for
asked = 100  # requests of each round
with_sdk = True  # False: as where the SDK can't be installed

# %% name="imports"
import json
import logging
import os
import sys
from contextlib import ExitStack
from pathlib import Path

from lessons.azure_desk.desk import ARM, QUIET, desk, fresh, signed_in, token, told

os.environ |= QUIET  # MLflow's own settings: no links and progress bars in the output

import mlflow
import pandas as pd
import requests
from mlflow.models import infer_signature
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, PolynomialFeatures

from course import exercise
from course.data import DATA
from course.exercise import TODO
from projects.platforms.azure_ml import local

# %% name="start"
logging.getLogger("mlflow").setLevel(logging.ERROR)  # progress notes carry clock times
FILES, servers = fresh(Path("10d_azure_files")), ExitStack()
workspace = servers.enter_context(local.workspace(FILES / "workspace"))
servers.enter_context(desk(workspace, "10d", sdk=with_sdk, REQUEST=str(FILES / "request.json")))
os.environ |= workspace.trusted | {"MLFLOW_TRACKING_TOKEN": token(workspace, "train-job")}
mlflow.set_tracking_uri(workspace.tracking_uri)

# %% [markdown]
# ## Two versions
#
# Both learn a ride's duration from its miles and its hour. Version 1 is linear. Version 2, a colleague's, has squares as well, and her training takes the duration from another table. Both are registered by plain MLflow.

# %% name="data"
client = mlflow.MlflowClient()
client.create_registered_model("minutes")
mlflow.set_experiment("minutes")
trips = pd.read_parquet(DATA / "trips" / f"{month}.parquet")
start, end = trips["pickup_datetime"], trips["dropoff_datetime"]
X = pd.DataFrame({"miles": trips["trip_distance"], "hour": start.dt.hour}).astype(float)
seconds = (end - start).dt.total_seconds()
fit, later = seconds.between(60, 3600) & (start.dt.day <= 21), start.dt.day > 21


# %% name="registered"
def register(model, y, form="skops"):
    with mlflow.start_run():
        signature = infer_signature(X, y.to_numpy())
        needs = {"signature": signature, "pip_requirements": ["scikit-learn"], "serialization_format": form}
        info = mlflow.sklearn.log_model(model.fit(X[fit], y[fit]), name="model", **needs)
    return client.create_model_version("minutes", info.model_uri, info.run_id, model_id=info.model_id).version


print("version", register(LinearRegression(), seconds / 60))
print("version", register(make_pipeline(PolynomialFeatures(2), LinearRegression()), seconds))

# %% [markdown]
# ## Made, and not found
#
# An **endpoint** is an address with its authentication. A **deployment** behind it is a version with its machines. Many deployments share one address, so callers never change theirs.

# %% name="endpoint"
# %%sdk
import json

from azure.ai.ml import MLClient
from azure.ai.ml.entities import ManagedOnlineDeployment, ManagedOnlineEndpoint
from azure.identity import DefaultAzureCredential

ml = MLClient(DefaultAzureCredential(disable_instance_discovery=True), *WORKSPACE, **LOCAL)
ml.online_endpoints.begin_create_or_update(ManagedOnlineEndpoint(name="minutes", auth_mode="key")).result()


def deployment(colour, version):
    size = {"instance_type": "Standard_D4s_v5", "instance_count": 1}
    model = {"endpoint_name": "minutes", "model": f"azureml:minutes:{version}"}
    return ManagedOnlineDeployment(name=colour, **model, **size)


blue = ml.online_deployments.begin_create_or_update(deployment("blue", 1)).result()
print(blue.name, blue.provisioning_state.value)

# %% [markdown]
# `Succeeded`. **Predict first.** A consumer has the address and the key. What does the first call give?

# %% name="first"
HERE, URL = f"{workspace.uri}{ARM}/onlineEndpoints/minutes", f"{workspace.uri}/score/minutes"
owner = signed_in(workspace, "train-job")
key = owner.post(f"{HERE}/listKeys").json()["primaryKey"]
row = {"input_data": {"columns": ["miles", "hour"], "index": [0], "data": [[2.0, 9.0]]}}
(FILES / "request.json").write_text(json.dumps(row), encoding="utf-8")
print(told(requests.post(URL, json=row, headers={"Authorization": f"Bearer {key}"}, timeout=60)))

# %% [markdown]
# A new deployment takes **no traffic**: you may look at it before any customer does. Traffic is set on the endpoint, in percent:


# %% name="traffic"
# %%sdk
def route(traffic, mirror=None):
    endpoint = ml.online_endpoints.get("minutes")
    endpoint.traffic, endpoint.mirror_traffic = traffic, mirror or {}
    return ml.online_endpoints.begin_create_or_update(endpoint).result().traffic


print(route({"blue": 100}))

# %% [markdown]
# ## An address is not an interface
#
# A consumer gets the address by chat, and tries:

# %% name="curl"
body, right = {"data": [[2.0, 9.0]]}, {"Authorization": f"Bearer {key}"}
tries = {"no key": ({}, row), "the key in api-key": ({"api-key": key}, row)}
tries["a login's token"] = ({"Authorization": f"Bearer {token(workspace, 'you')}"}, row)
tries |= {"another body": (right, body), "as it should be": (right, row)}
answers = {
    name: requests.post(URL, json=sent, headers=how, timeout=60) for name, (how, sent) in tries.items()
}
pd.Series({name: one.status_code for name, one in answers.items()}, name="status").to_frame()

# %% [markdown]
# | status | who refuses | what you do |
# |---|---|---|
# | `401` | the endpoint | look at the header, and at what kind of credential it wants |
# | `403` | the endpoint | the caller is known and needs the right to score |
# | `404` | the endpoint | no deployment takes traffic, or the name is wrong |
# | `424` | the **model** behind it | look at the body, then into the deployment's log |
# | `429` | the endpoint | too many at once: wait and try again, or order more instances |
#
# So a consumer is given six things: the address, how to authenticate and who grants it, the body with one example, what an answer looks like, the limits (time, size, rate), and whom to call. On Azure the body of an MLflow model is `input_data`; it is not the `inputs` of `mlflow models serve`.

# %% [markdown]
# ## Key or token
#
# An endpoint has one mode: a **key**, a **workspace token** (`aml_token`), or a token of **Entra ID** (`aad_token`, on managed endpoints alone, which run on Azure's machines and not on your Kubernetes). Six callers, three modes. **Predict first.** In which mode can the shop, whose role is nothing but *score this endpoint*, call?

# %% name="modes"
modes = {}
for mode in ("Key", "AMLToken", "AADToken"):
    owner.put(HERE, json={"location": "local", "properties": {"authMode": mode, "traffic": {"blue": 100}}})
    sends = {"the key": key, "workspace token": owner.post(f"{HERE}/token").json().get("accessToken", "none")}
    sends |= {
        f"Entra, {name}": token(workspace, name) for name in ("train-job", "shop", "auditor", "stranger")
    }
    header = {who: {"Authorization": f"Bearer {sent}"} for who, sent in sends.items()}
    modes[mode] = {
        who: requests.post(URL, json=row, headers=one, timeout=60).status_code for who, one in header.items()
    }
pd.DataFrame(modes)

# %% [markdown]
# Each mode takes its own kind and nothing else, so a switch locks out all callers at once: announce it, or make a second endpoint. Only Entra knows *who*: the shop scores, the auditor is known and may not (`403`), the stranger, from another tenant, is unknown.
#
# | | key | workspace token | Entra |
# |---|---|---|---|
# | ends | never by itself | soon; who has the role fetches the next | within the hour; the client renews it |
# | says who called | no | no | yes |
# | who gets it | whoever may list keys | whoever may read tokens | whoever has the role on this endpoint |
# | Kubernetes endpoint | yes | yes | no |
#
# Three applications that call: three identities with the right to score, on this endpoint. **Changing** the endpoint is another right (write), held by the pipeline. And the endpoint has an identity of its own, for the image, the model and the storage that it reads.
#
# Where it must be a key, there are two, so that one can be renewed while the other works:

# %% name="renewed"
owner.put(HERE, json={"location": "local", "properties": {"authMode": "Key", "traffic": {"blue": 100}}})
second = owner.post(f"{HERE}/listKeys").json()["secondaryKey"]
owner.post(f"{HERE}/regenerateKeys", json={"keyType": "Primary"})
for name, value in {"the old first": key, "the second": second}.items():
    answer = requests.post(URL, json=row, headers={"Authorization": f"Bearer {value}"}, timeout=60)
    print(f"{name}:", answer.status_code)

# %% [markdown]
# The right order: all callers go to the second key, then the first is renewed. In the other order, as here, whoever still sends the first is locked out.
#
# ### Your turn

# %% exercise="admitted"

# %%
exercise.check(admitted)

# %% [markdown]
# ## Every status is good
#
# Version 2 becomes **green**. Before it takes traffic, its owner asks it by name. `invoke` sends the body that lies in a file, and fetches the key itself, with the SDK's login.

# %% name="green"
# %%sdk
ml.online_deployments.begin_create_or_update(deployment("green", 2)).result()
answer = ml.online_endpoints.invoke("minutes", deployment_name="green", request_file=REQUEST)
print("answer:", round(json.loads(answer)["predictions"][0], 1))

# %% [markdown]
# It answers, so it gets a tenth. **Predict first.** Would you have gone on?

# %% name="split"
# %%sdk
print(route({"blue": 90, "green": 10}))

# %% name="counted"
right = {"Authorization": f"Bearer {second}"}
customers = X[later].sample(asked, random_state=0).to_numpy().tolist()


def ask_all():
    seen = []
    for trip in customers:
        sent = {"input_data": row["input_data"] | {"data": [trip]}}
        answer = requests.post(URL, json=sent, headers=right, timeout=60)
        seen.append(
            (answer.headers["azureml-model-deployment"], answer.status_code, answer.json()["predictions"][0])
        )
    return pd.DataFrame(seen, columns=["deployment", "status", "minutes"])


first = ask_all().groupby("deployment")
first.agg(
    asked=("status", "size"), failed=("status", lambda one: (one != 200).sum()), median=("minutes", "median")
).round(1)

# %% [markdown]
# No request failed, and each of green's customers was told a ride of hours: 719<!-- ~counted[green, median] --> in the median, where blue says 11.0<!-- =counted[blue, median] --> minutes. Version 2 learnt seconds. The fault stood in the owner's answer above, with a good status. Errors and latency, which a dashboard shows by itself, don't tell of it. The signal that counts is the **distribution of the answers**, beside blue's. (The share is a draw for each request: 16<!-- =counted[green, asked] --> of 100<!-- given -->, where ten are expected, with a standard deviation of three.)
#
# Now go back. Nothing is deployed, nothing is deleted:

# %% name="back"
# %%sdk
print(route({"blue": 100}))

# %% name="after"
print(ask_all()["deployment"].value_counts().to_dict())
tenth = {"location": "local", "properties": {"authMode": "Key", "traffic": {"blue": 90, "purple": 10}}}
print(told(owner.put(HERE, json=tenth)))

# %% [markdown]
# It took one request, because blue still runs. If you delete blue on the day of the release to save its machine, going back takes a deployment of minutes. (Traffic for a deployment that doesn't exist is refused as a whole.)
#
# ## Mirror first
#
# What should have come before the tenth: a **mirror**. Green gets a copy of half of the requests; callers get blue's answers alone. (In the second cell below, the second line ends the mirror and waits for the copies under way.)

# %% name="mirror"
# %%sdk
print(route({"blue": 100}, mirror={"green": 50}))

# %% name="compared"
before, told_to = len(workspace.calls()), ask_all()
owner.put(HERE, json={"location": "local", "properties": {"authMode": "Key", "traffic": {"blue": 100}}})
calls = workspace.calls(before)
minutes = calls.loc[calls["how"] == "mirrored", "answered"].str.extract(r"\[([\d.]+)")[0].astype(float)
shown = {"callers got": told_to["minutes"], "green's copies": minutes}
pd.DataFrame({name: {"answers": len(one), "median": one.median()} for name, one in shown.items()}).T.round(1)

# %% [markdown]
# The same fault, and no customer saw it. A mirror takes half of the traffic at most, and one deployment; it costs green's machines. It is wrong where a request *does* something (books, charges, counts): then it happens twice. And it says nothing on what people do with an answer; for that comes the tenth. On Azure you read green's answers in its logs or by data collection.
#
# ### Your turn

# %% exercise="verdict"

# %%
exercise.check(verdict)

# %% [markdown]
# ## It is unhealthy
#
# Version 3 scales its inputs by a function in `features.py`, beside the notebook. It predicts here, and is to become green.

# %% name="local"
(FILES / "features.py").write_text("def scaled(X):\n    return X / 10\n", encoding="utf-8")
sys.path.insert(0, str(FILES))
import features

third = make_pipeline(FunctionTransformer(features.scaled), LinearRegression())
version = register(third, seconds / 60, form="cloudpickle")
print(f"version {version} predicts {third.predict(X[:1]).item():.1f} minutes for the first trip")

# %% name="unhealthy"
# %%sdk
print(said(ml.online_deployments.begin_create_or_update, deployment("green", 3)))
log = ml.online_deployments.get_logs("green", "minutes", lines=50)
print("the log:", log.rpartition("can't be loaded: ")[2].splitlines()[0])

# %% name="still"
print(told(requests.post(URL, json=row, headers=right, timeout=60)), "from blue, all the while")
print("deployments:", [one["name"] for one in owner.get(f"{HERE}/deployments").json()["value"]])

# %% [markdown]
# The refusal doesn't name the cause; the **log** does, so read it before you change anything. A pickle holds the *name* of your function; the file stayed on your laptop. Send it along with `code_paths` ([05b](05b_own_models.ipynb)) or as a package. You get the same refusal for an image that can't be pulled, a probe that is too early, too little memory and an identity without rights. So run the image locally as a step of the release (`begin_create_or_update(…, local=True)`, with Docker): then this fault never reaches the cloud.

# %% [markdown]
# ## Online or batch
#
# An endpoint's machines run all day, at 10c's 0.19<!-- given --> dollars an hour. A **batch** endpoint is a job behind an address: files in, files out.

# %% name="cost"
month_hours = {
    "online, one instance": 720,
    "online, blue and green": 1440,
    "batch, 26 minutes a night": 30 * 26 / 60,
}
servers.close()
costs = pd.DataFrame({"hours": month_hours})
costs.assign(dollars=0.19 * costs["hours"]).round(1)

# %% [markdown]
# Who waits for the answer? If nobody does, the night's job costs 2.5<!-- =cost[batch, 26 minutes a night, dollars] --> dollars in place of 136.8<!-- =cost[online, one instance, dollars] -->, and can be checked before anyone uses it. (One instance is also no service: if it restarts, nobody answers.) Batch endpoints, networks, quotas and autoscaling are not in the stand-in; what this lesson says of them is not run.

# %% [markdown]
# ## Three places, one model
#
# | | locally (09a) | Databricks (10b) | Azure ML |
# |---|---|---|---|
# | make it answer | `walkforward serve` | one configuration | endpoint, deployment, traffic |
# | unit of cost | your machine | concurrency, can scale to zero | instances, at least one |
# | two versions | a proxy of yours | split | split and mirror |
# | who may call | whoever reaches the port | `CAN_QUERY` | key, or the right to score |
# | who may change | whoever has the machine | `CAN_MANAGE` | a role with write |
# | going back | start the old one | a new configuration | traffic to blue |
# | limit to know | your cores | size of concurrency | instances, quota, request timeout |
#
# **Azure ML or Databricks?** Ask where the data lies and is prepared, and what the people know. Large tables and Spark: Databricks. Ordinary Python, Azure's identities and networks: Azure ML. Both speak MLflow, so the training need not decide. Two platforms are two sets of rights: name one registry that counts, and for a team of four take one platform.

# %% [markdown]
# ## Take-aways
#
# - An endpoint is an address, a deployment a version with machines; a new one takes no traffic until you say so.
# - `401` and `403` are the endpoint's, `424` is the model's. An address without authentication, body and limits is no interface.
# - Entra tokens say who called; a key says nothing and never ends. Renew it by way of the second.
# - Mirror, then a tenth, then all; compare the answers, not the statuses. Blue stays until nobody wants to go back.
# - Unhealthy: the log first, then the image on your own machine.

# %% [markdown]
# ## In an interview
#
# - *Who may call the endpoint, and who may change it?* Shown in [Key or token](#Key-or-token).
# - *Green has ten percent, no errors, good latency. Do you go on?* Shown in [Every status is good](#Every-status-is-good).
# - *The deployment is unhealthy, and locally the model predicts. What now?* Shown in [It is unhealthy](#It-is-unhealthy).
#
# More, with the points of a good answer: `walkforward practice --lesson 10d` in a terminal.

# %% [markdown]
# ## Up next
#
# What lies below every platform is the store: [10e · Object storage and the lake](10e_object_storage_and_the_lake.ipynb).
