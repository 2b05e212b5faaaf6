# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
#   walkforward:
#     ci:
#       month: "2019-02"
#       trials: 3
# ---

# %% [markdown]
# # 10b · Databricks: registry and endpoint
#
# After this lesson you can give a model a name in Unity Catalog, say which rights a service lacks, put two versions behind one endpoint, and say how many requests a second it takes.

# %% [markdown]
# > **You will learn to** register a version and move its alias · grant the rights that a consumer needs, and no more · split an endpoint's traffic · explain a cold start · turn an advertised rate into a size
# >
# > **Before you start** [10a · Databricks: the same code, another address](10a_databricks_tracking_and_jobs.ipynb) · [07a · The registry](07a_registry.ipynb) · [09c · Serving under load](09c_serving_under_load.ipynb)
# >
# > **Time** 60 minutes of study; it runs in under a minute
# >
# > **Interview questions it answers** What does Unity Catalog give you for models? · Deploy the model or deploy the code? · Their serving or your own cluster?

# %% [markdown]
# The stand-in of 10a is the workspace again. Its endpoints are real: each served version is a `walkforward serve` process on your machine.

# %% tags=["parameters"]
month = "2019-03"  # trips that both versions learn from and are judged on
trials = 6  # of the search
asked = 200  # requests of each count and load test

# %% name="imports"
import json
import logging
import os
import time
from contextlib import ExitStack
from pathlib import Path

from projects.platforms.databricks import local, tour

os.environ |= tour.QUIET  # MLflow's own settings: no links, progress bars and tips in the output

# %%
import mlflow
import optuna
import pandas as pd
import requests
from databricks.sdk import WorkspaceClient
from databricks.sdk.service import serving
from databricks.sdk.service.catalog import PermissionsChange, Privilege
from mlflow.deployments import get_deploy_client
from mlflow.models import infer_signature
from mlflow.optuna.storage import MlflowStorage
from scipy import stats
from sklearn.linear_model import LinearRegression
from sklearn.metrics import root_mean_squared_error
from xgboost import XGBRegressor

from course import exercise
from course.data import DATA
from course.exercise import TODO
from walkforward.loadtest import closed_loop

# %% name="data"
logging.getLogger("mlflow").setLevel(logging.WARNING)  # progress notes carry clock times
optuna.logging.set_verbosity(optuna.logging.WARNING)
FILES = tour.fresh(Path("10b_databricks_files"))
trips = pd.read_parquet(DATA / "trips" / f"{month}.parquet")
start, end = trips["pickup_datetime"], trips["dropoff_datetime"]
y = (end - start).dt.total_seconds() / 60
X = pd.DataFrame({"miles": trips["trip_distance"], "hour": start.dt.hour, "weekday": start.dt.weekday})
X, day = X.astype(float), start.dt.day.where(y.between(1, 60))  # a faulty trip has no day, so no part
fit, check, test = day <= 14, day.between(15, 21), day > 21

# %% [markdown]
# ## Two versions
#
# Version 1 is a line. Version 2 is boosted trees, and its two settings are searched. On Databricks the search was Hyperopt for years; the ML runtime has none since 17.0<!-- given --> (16.4<!-- given --> was the last). Today it is Optuna, with the study kept in MLflow, or Ray Tune on several machines. Two weeks fit, the third chooses the settings, the rest of the month judges.

# %% name="workspace"
servers = ExitStack()
workspace = servers.enter_context(local.workspace(FILES / "workspace", idle_seconds=1.5))
servers.enter_context(tour.coming_as(workspace.as_person))
mlflow.set_tracking_uri("databricks")
experiment = mlflow.set_experiment("/Shared/minutes").experiment_id
person, client = WorkspaceClient(), mlflow.MlflowClient()


# %% name="tuned"
def boosted(rate, depth):
    return XGBRegressor(learning_rate=rate, max_depth=depth, n_estimators=60, n_jobs=1)


def error(trial):
    rate = trial.suggest_float("rate", 0.02, 0.5, log=True)
    model = boosted(rate, trial.suggest_int("depth", 2, 8)).fit(X[fit], y[fit])
    return root_mean_squared_error(y[check], model.predict(X[check]))


# %% name="study"
sampler = optuna.samplers.TPESampler(seed=0)
study = optuna.create_study(study_name="minutes", storage=MlflowStorage(experiment), sampler=sampler)
study.optimize(error, n_trials=trials)
found = mlflow.search_runs([experiment])
print(f"{trials} trials, {len(found)} runs in the workspace; best depth", study.best_params["depth"])

# %% [markdown]
# The study is a parent run, each trial a child. On a cluster, `MlflowSparkStudy` spreads the trials over its machines; the objective stays as it is.
#
# Now both are registered. The name has three parts, `catalog.schema.model`:

# %% name="registered"
NAME = "main.demand.minutes"
client.create_registered_model(NAME)
NEEDS = {"pip_requirements": ["scikit-learn", "xgboost"], "signature": infer_signature(X, y.to_numpy())}


def register(model, log, run_name, **more):
    model.fit(X[fit | check], y[fit | check])
    with mlflow.start_run(run_name=run_name):
        learnt_from = mlflow.data.from_pandas(X[fit | check], name=f"trips {month}, days 1 to 21")
        mlflow.log_input(learnt_from, context="training")
        info = log(model, name="model", **NEEDS, **more)
    return client.create_model_version(NAME, info.model_uri, run_id=info.run_id, model_id=info.model_id)


line, trees = LinearRegression(), boosted(**study.best_params)
for made in (
    register(line, mlflow.sklearn.log_model, "line", serialization_format="skops"),
    register(trees, mlflow.xgboost.log_model, "trees"),
):
    print(made.name, "version", made.version)

# %% [markdown]
# Is version 2 better? Both are judged once, on days that neither the fit nor the search has seen. The days are the sample, because trips of one day share its traffic.

# %% name="better"
squared = pd.DataFrame({name: (y - model.predict(X)) ** 2 for name, model in {"1": line, "2": trees}.items()})
by_day = squared[test].groupby(day[test]).mean() ** 0.5
saved = by_day["1"] - by_day["2"]
low, high = stats.t.interval(0.95, len(saved) - 1, saved.mean(), stats.sem(saved))
print(f"version 2 saves {saved.mean():.2f} minutes of RMSE a day, 95 % interval {low:.2f} to {high:.2f}")
client.set_registered_model_alias(NAME, "champion", "1")

# %% [markdown]
# It saves 1.33<!-- =better: saves ([\d.]+) --> minutes on the average test day of this month, with an interval far from zero. The `champion` is still version 1: an **alias** is a name that points to a version, and somebody must decide to move it. Models in Unity Catalog have no stages.

# %% [markdown]
# ## A right that does nothing
#
# The price service needs a trip's minutes, and it runs as the service principal. It should load the champion, so you grant it `EXECUTE` on the model (in SQL: `GRANT EXECUTE ON MODEL … TO …`).
#
# **Predict first.** What does the service get?


# %% name="execute"
def load():
    model = mlflow.pyfunc.load_model(f"models:/{NAME}@champion")
    return f"loaded, {model.predict(X.head(1)).item():.1f} minutes for the first trip"


def grant(kind, name, privilege):
    change = PermissionsChange(add=[privilege], principal=workspace.client_id)
    person.grants.update(securable_type=kind, full_name=name, changes=[change])


grant("function", NAME, Privilege.EXECUTE)
with tour.coming_as(workspace.as_principal):
    print(tour.said(load))

# %% [markdown]
# Refused. A right on the model is worth nothing to somebody who may not enter its schema, and the schema nothing without the catalog. The refusal names the first right that is missing, so you meet them one by one:

# %% name="levels"
doors = {"main": ("catalog", Privilege.USE_CATALOG), "main.demand": ("schema", Privilege.USE_SCHEMA)}
for name, (kind, privilege) in doors.items():
    grant(kind, name, privilege)
    with tour.coming_as(workspace.as_principal):
        print(f"{privilege.value} on {name}:", tour.said(load))

# %% [markdown]
# | Right | on | what it opens |
# |---|---|---|
# | `USE CATALOG` | catalog | the way in; no data |
# | `USE SCHEMA` | schema, or catalog for all of its schemas | the next door; no data |
# | `EXECUTE` | model, or schema or catalog for all below | load and score |
# | `CREATE MODEL` | schema | register a new name |
# | `MANAGE`, or being the owner | model | move an alias, grant, delete |
#
# Rights are **inherited** downwards. `EXECUTE` on the catalog `main` is one line, and it opens each model that anybody will ever register there. The service may read, and no more:

# %% name="alias"
with tour.coming_as(workspace.as_principal):
    print(tour.said(client.set_registered_model_alias, NAME, "champion", "2"))

# %% [markdown]
# ### Your turn
#
# One refusal at a time is slow. Say at once what is missing.

# %% exercise="missing_grants"

# %%
exercise.check(missing_grants)

# %% [markdown]
# ## Where a version comes from
#
# *Which data made the model that decided on 3 March?* A version knows its run, and the run knows its data:

# %% name="lineage"
version = client.get_model_version_by_alias(NAME, "champion")
run = mlflow.get_run(version.run_id)
data = run.inputs.dataset_inputs[0].dataset
print(f"version {version.version} <- run {run.info.run_name!r} <- {data.name!r}, digest {data.digest}")

# %% [markdown]
# This much is MLflow's, and holds on any server. Unity Catalog adds what the platform itself has seen: which tables a job read before it wrote the version, and which endpoints serve it. Its graph is not in the stand-in. It does not see a file that somebody read past the catalog, straight from the bucket; so close the bucket.

# %% [markdown]
# ## The alias moves, the endpoint does not
#
# An **endpoint** is an address with a configuration: which versions it serves, on which size, and with which share of the traffic.


# %% name="endpoint"
def entity(version, sleeps=False):
    size = {"workload_size": "Small", "scale_to_zero_enabled": sleeps}
    return serving.ServedEntityInput(entity_name=NAME, entity_version=version, **size)


config = serving.EndpointCoreConfigInput(name="price", served_entities=[entity("1")])
endpoint = person.serving_endpoints.create_and_wait(name="price", config=config)
print(endpoint.state.ready.value, [one.name for one in endpoint.config.served_entities])

# %% [markdown]
# You have shown that version 2 is better, so you move `champion` to it.
#
# **Predict first.** Whose answer does the endpoint give now?

# %% name="moved"
client.set_registered_model_alias(NAME, "champion", "2")
row = X.head(1).to_dict("records")
answered = person.serving_endpoints.query("price", dataframe_records=row).predictions[0]
print(f"endpoint: {answered:.1f} minutes; by alias:", load())

# %% [markdown]
# The endpoint still serves version 1. Its configuration holds a number and no alias; whoever loads by alias has version 2 already. So two services of one company now disagree, and no log shows an error. A promotion is **two** steps, alias and configuration, done by one script that ends by asking the endpoint.
#
# The service wants to use the endpoint as well. It may `EXECUTE` the model:

# %% name="query"
with tour.coming_as(workspace.as_principal):
    service = WorkspaceClient()
    print(tour.said(lambda: service.serving_endpoints.query("price", dataframe_records=row)))
rule = serving.ServingEndpointAccessControlRequest(
    service_principal_name=workspace.client_id,
    permission_level=serving.ServingEndpointPermissionLevel.CAN_QUERY,
)
person.serving_endpoints.update_permissions(endpoint.id, access_control_list=[rule])
with tour.coming_as(workspace.as_principal):
    deployed = get_deploy_client("databricks")
    print("SDK:", service.serving_endpoints.query("price", dataframe_records=row).predictions)
    print("MLflow:", deployed.predict(endpoint="price", inputs={"dataframe_records": row})["predictions"])

# %% [markdown]
# An endpoint has rights of its own: `CAN_VIEW`, `CAN_QUERY`, `CAN_MANAGE`. A consumer needs `CAN_QUERY` and nothing in the catalog. The endpoint itself reads the model as its **creator**, which can't be changed later. If a person made it and leaves, it has to be made anew. So a service principal creates it.

# %% [markdown]
# ## Ten percent
#
# Version 2 gets a tenth of the traffic first. And because a tenth is little, it may *scale to zero*: its process ends when nobody asks, on Databricks after half an hour, here after a second and a half.

# %% name="split"
shares = {"minutes-1": 90, "minutes-2": 10}
routes = [serving.Route(served_model_name=name, traffic_percentage=part) for name, part in shares.items()]
split = {"name": "price", "traffic_config": serving.TrafficConfig(routes=routes)}
wrong, right = [entity("1"), entity("9")], [entity("1"), entity("2", sleeps=True)]
print(tour.said(lambda: person.serving_endpoints.update_config(served_entities=wrong, **split)))
done = person.serving_endpoints.update_config_and_wait(served_entities=right, **split)

# %% [markdown]
# A version that does not exist is refused before anything changes; during an update the old configuration serves. Now ask many times for one and the same trip. Plain HTTP shows which version answered, in a header:

# %% name="counted"
url = f"{workspace.uri}/serving-endpoints/price/invocations"
token, body = {"Authorization": f"Bearer {workspace.token}"}, {"dataframe_records": row}


def ask(times):
    answers = [requests.post(url, json=body, headers=token, timeout=60) for _ in range(times)]
    shown = {"version": [one.headers["served-model-name"] for one in answers]}
    shown["minutes"] = [round(one.json()["predictions"][0], 1) for one in answers]
    return pd.DataFrame(shown | {"seconds": [one.elapsed.total_seconds() for one in answers]})


ask(asked).groupby("version")["minutes"].agg(["count", "min", "max"])

# %% [markdown]
# The share is a draw for each request: 26<!-- =counted[minutes-2, count] --> of 200<!-- given --> came to version 2, where 20<!-- given --> are expected, with a standard deviation of 4.2<!-- given --> (binomial: $\sqrt{n p (1-p)}$). And the draw does not know the customer: the same trip costs her one price now and another one when she reloads. If that must not happen, the caller chooses the version, by customer.
#
# The office closes, nobody asks for a while, and the first customers come back.


# %% name="cold"
def starts():
    return len(list((FILES / "workspace" / "endpoints").rglob("minutes-2-2/start-*")))


time.sleep(3)  # twice the idle time
before, back = starts(), ask(asked // 2)
slowest = back.loc[back["seconds"].idxmax()]
print("processes started:", starts() - before, "| slowest answer from", slowest["version"])
print("more than 20 times the median:", bool(slowest["seconds"] > 20 * back["seconds"].median()))

# %% [markdown]
# This is the **cold start**: whoever comes first waits for machine, environment and model. The mean hides it. With little traffic it is not rare at all: a version with one request an hour is cold at each of them. Databricks recommends scale to zero for tests and development, and promises no capacity to an endpoint that sleeps. It is right where nobody waits: an internal tool, a demo. For a price in an app, one warm process is the cost of the service.
#
# Version 2 gets everything, and stays awake:

# %% name="promoted"
now = person.serving_endpoints.update_config_and_wait(name="price", served_entities=[entity("2")])
print("configuration", now.config.config_version, ask(10).groupby("version")["minutes"].unique().to_dict())

# %% [markdown]
# ## What an advertised rate means
#
# *It takes 3,000<!-- given --> requests a second*, says a slide. For years the documentation's limits said: 200<!-- given --> a second for a workspace, and on request 3,000<!-- given --> or more. Today they say 200<!-- given --> without and 300,000<!-- given --> with *route optimization* (looked up on 30 November 2026). Each is a **limit of the platform**: where it stops you. What your endpoint takes follows from its size. A size is a number of requests that it works on at the same time: Small up to 4<!-- given -->, Medium 16<!-- given -->, Large 64<!-- given -->.
#
# **Predict first.** You order Small, and one answer takes 50<!-- given --> ms. How many requests a second can it give?
#
# Little's law (09c): requests inside = requests a second × seconds that each stays. It holds for averages over a long time, if what comes in also comes out.

# %% name="little"
CONCURRENT = pd.Series({"Small": 4, "Medium": 16, "Large": 64})
most = pd.DataFrame({f"{ms} ms": CONCURRENT * 1000 // ms for ms in (5, 20, 50, 200)})
most.loc["needed for the slide"] = [3 * ms for ms in (5, 20, 50, 200)]
most

# %% [markdown]
# Small gives at most 80<!-- =little[Small, 50 ms] --> a second. For the slide's rate at 50<!-- given --> ms 150<!-- =little[needed for the slide, 50 ms] --> requests are inside at a time, more than twice a Large. And the table is the ceiling: at full use each bunch of arrivals waits. Plan with 70<!-- given --> % or less.
#
# The other factor is yours. From 50 to 20 ms by a smaller model multiplies the rate by 2.5<!-- given -->, and one request with a hundred rows is one request. If nobody waits for the answer, a nightly job needs no endpoint.
#
# ### Your turn

# %% exercise="sizes"

# %%
exercise.check(sizes)

# %% [markdown]
# ## A load test of it
#
# Four connections, each sends its next request when its answer is in. The second test is the same with one fault: somebody forgot the token.

# %% name="load"
content, shown = json.dumps(body).encode(), {}
for name, headers in {"with a token": token, "without": {}}.items():
    load_test = closed_loop(url, content, connections=4, requests=asked, headers=headers)
    inside = load_test.rps * load_test.latencies_ms.mean() / 1000
    shown[name] = {"rate": load_test.rps, "200": load_test.statuses[200], "401": load_test.statuses[401]}
    shown[name] |= {"inside": round(inside)}
person.serving_endpoints.delete("price")
servers.close()
tested = pd.DataFrame(shown).T
tested["faster"] = tested["rate"] > 1.2 * tested["rate"].min()
tested.drop(columns="rate").astype({"200": int, "401": int, "inside": int})

# %% [markdown]
# The faulty test is the **faster** one: a refusal needs no model. A report of rate and latency alone would praise it. So read the statuses first.
#
# And `inside` is 4<!-- =load[with a token, inside] -->: what you sent, not what the endpoint can. A test with four connections never has five requests inside, so it can't find the limit of a larger size; raise the connections until the rate no longer grows, and say both. The rate is not shown, because it is your machine's; the stand-in does not enforce a size either. On Databricks measure from where the callers are: up to 50<!-- given --> ms of the platform's own time come on top of the model's.

# %% [markdown]
# **Their serving or your own cluster?** Managed serving knows the registry and saves the operating; you pay for ordered concurrency and live with its limits. A cluster pays at a high, steady load, if people run it. The model's format is the same, so measure both with the real model, cold start included.

# %% [markdown]
# ## Deploy the model or the code
#
# Environments are catalogs: `dev.demand.minutes` and `prod.demand.minutes`, with different rights. **Deploy the model**: copy the tested version (`client.copy_model_version`); what was tested is what runs. Use it when training is dear or its result can't be repeated. **Deploy the code**: the pipeline trains again in production, where alone it may read production data; the code is reviewed, the model is new. In both, a gate compares with the champion before the alias moves, and one service principal owns the model in `prod`.

# %% [markdown]
# ## Take-aways
#
# - To use a model you need `USE CATALOG`, `USE SCHEMA` and `EXECUTE`; rights are inherited downwards, and moving an alias is the owner's.
# - An endpoint serves a version's number. Moving the alias changes nothing there: promote both in one script.
# - A traffic split is a draw for each request, and a share that sleeps is cold for the first who comes.
# - Requests a second times seconds an answer is the concurrency that you order; an advertised rate is a limit of the platform.
# - In a load test read the statuses first: refusals are fast.

# %% [markdown]
# ## In an interview
#
# - *What does Unity Catalog give you for models?* Shown in [A right that does nothing](#A-right-that-does-nothing).
# - *You promoted version 2, and customers still get version 1. Why?* Shown in [The alias moves, the endpoint does not](#The-alias-moves,-the-endpoint-does-not).
# - *Their serving or your own cluster?* Shown in [A load test of it](#A-load-test-of-it).
#
# More, with the points of a good answer: `walkforward practice --lesson 10b` in a terminal.

# %% [markdown]
# ## Up next
#
# The same two questions on the other platform, who runs it and who may ask it, begin with [10c · Azure ML: identity and jobs](10c_azure_identity_and_jobs.ipynb).
