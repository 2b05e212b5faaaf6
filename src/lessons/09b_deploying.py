# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
#   walkforward:
#     ci:
#       first_month: "2019-09"
#       n_trees: 20
#       n_single: 30
# ---

# %% [markdown]
# # 09b · Deploying
#
# After this lesson you can say which version of a model answers, decide when no server is needed at all, and write the container and the Kubernetes
# manifest that keep a server running.

# %% [markdown]
# > **You will learn to** keep deployment and serving apart · choose among batch, lookup table and online · read MLflow's Dockerfile and a
# > Kubernetes manifest · find the faults that the API server accepts
# >
# > **Before you start** [07a · Registry](07a_registry.ipynb) and [09a · Serving](09a_serving.ipynb)
# >
# > **Time** 60 minutes of study; it runs in under half a minute
# >
# > **Interview questions it answers** What is the difference between deploying and serving a model? · Batch or online: how do you decide? · How
# > do you roll a model back?

# %% [markdown]
# ## Parameters
#
# Three months to train on, one to test on.

# %% tags=["parameters"]
trips_path = None  # a Parquet or CSV file of your own; None takes the course's trips
max_trips = 40_000  # of a file of your own, drawn at random; more take more time and memory
first_month, last_month = "2019-07", "2019-10"
test_from = "2019-10-01"  # trips that start on or after this day are the test set
n_trees = 100
n_single = 200  # requests of one row each, against the batch

# %%
from course import exercise, own_data
from course.exercise import TODO

if trips_path is not None:  # your file: what the lesson needs of it, or a line that says what it lacks
    trips, test_from = own_data.split_trips(
        trips_path, first_month, last_month, max_trips, test_from=test_from
    )

# %% name="trips"
from course.data import load_trips, months, prepare_trips

if trips_path is None:
    trips = load_trips(months(first_month, last_month))
trips = prepare_trips(trips)
trips["hour"], trips["weekday"] = trips["pickup_datetime"].dt.hour, trips["pickup_datetime"].dt.dayofweek
ZONES = ["pickup_location_id", "dropoff_location_id"]
FEATURES = ["trip_distance", *ZONES, "hour", "weekday"]
trips[FEATURES] = trips[FEATURES].astype(float)
train, test = trips[trips["pickup_datetime"] < test_from], trips[trips["pickup_datetime"] >= test_from]

# %% [markdown]
# ## Which version answers?
#
# | | **deployment** | **serving** |
# |---|---|---|
# | what | a version is made available in an environment | a request is answered |
# | how often | a few times a week | thousands of times a second |
# | goes wrong as | the wrong version, half of the copies old | wrong answers, slow answers, none |
#
# You can deploy without serving: a nightly job that loads a new version is a deployment. Does moving the alias `champion` in the registry deploy a server's model? Try it.

# %% name="store"
import logging
import os
from datetime import datetime
from pathlib import Path

import mlflow

os.environ |= {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}
os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
logging.getLogger("mlflow").setLevel(logging.WARNING)
FILES = Path("09b_deploying_files")  # everything that this lesson writes
FILES.mkdir(exist_ok=True)
mlflow.set_tracking_uri(f"sqlite:///{(FILES / 'mlflow.db').resolve().as_posix()}")
artifacts = (FILES / "artifacts").resolve().as_uri()
experiment_id = mlflow.create_experiment(f"{datetime.now()}", artifact_location=artifacts)
experiment = mlflow.set_experiment(experiment_id=experiment_id)

# %% name="publish"
import xgboost
from xgboost import XGBRegressor


def make_champion(model):
    """Register a fitted model as a new version, and point the alias `champion` to it."""
    example, needs = train[FEATURES].head(3), [f"xgboost=={xgboost.__version__}"]
    info = mlflow.xgboost.log_model(model, name="trips", input_example=example, pip_requirements=needs)
    version = client.create_model_version(NAME, info.model_uri, model_id=info.model_id)
    client.set_registered_model_alias(NAME, "champion", version.version)


client, NAME = mlflow.MlflowClient(), "trip-duration"
if not client.search_registered_models(f"name = '{NAME}'"):
    client.create_registered_model(NAME)
model = XGBRegressor(max_depth=4, learning_rate=0.3, n_estimators=n_trees, n_jobs=1)
make_champion(model.fit(train[FEATURES], train["duration"]))

# %% name="serve"
from contextlib import ExitStack

import requests

from course.servers import model_server

servers = ExitStack()  # servers.close() stops what is entered here
server = servers.enter_context(model_server("models:/trip-duration@champion", FILES / "logs"))
http = requests.Session()
http.trust_env = False  # no proxy between you and your own machine
http.headers["Connection"] = "close"  # the server drops connections that are idle for five seconds


def ask(rows):
    """The served answers to the rows of a table."""
    body = {"dataframe_split": rows[FEATURES].to_dict("split")}
    return http.post(f"{server.uri}/invocations", json=body, timeout=60).json()["predictions"]


# %% [markdown]
# Now a much smaller model becomes champion.

# %% name="move"
three = test.head(3)
before = ask(three)
small = XGBRegressor(max_depth=2, n_estimators=3, n_jobs=1)
make_champion(small.fit(train[FEATURES], train["duration"]))

# %% [markdown]
# **Predict first.** What do the health checks say, and which model answers?

# %% name="health"
for path in ("/ping", "/health", "/version"):
    answer = http.get(f"{server.uri}{path}", timeout=10)
    print(f"{path:9} {answer.status_code} {answer.text.strip()}")
champion = mlflow.pyfunc.load_model("models:/trip-duration@champion")
print("the service answers as before:", ask(three) == before)
print("so does the champion:         ", champion.predict(three[FEATURES]).tolist() == before)

# %% [markdown]
# The alias moved; the service did not. It looked the alias up once, when it started. `/health` and `/ping` say that the process runs and has loaded *a* model, `/version` is
# MLflow's version. None of them knows which model answers.
#
# So a deployment starts new copies of the server and stops the old ones. Start them from a version's number: two copies that look the alias up on different days may find different versions. To know whether the service is right, send it a few
# trips whose answers you know, after each rollout and then every minute:

# %% name="repair"
make_champion(model)  # back to the good one
known = test.head(20)
apart = abs(ask(known) - model.predict(known[FEATURES])).max()
print("20 known trips, largest difference:", apart)

# %% [markdown]
# ## Batch against online
#
# **Online** answers when asked. **Batch** answers before anybody asks: a job scores all rows at once and writes a table.

# %% name="batch"
from time import perf_counter

import numpy as np

pyfunc = mlflow.pyfunc.load_model("models:/trip-duration@champion")
started = perf_counter()
batch = pyfunc.predict(test[FEATURES])
seconds_batch = perf_counter() - started

# %% name="online"
started = perf_counter()
online = [ask(test.iloc[[i]])[0] for i in range(n_single)]
seconds_online = perf_counter() - started
print("the same answers:", (batch[:n_single] == np.array(online, "float32")).all())
print(f"one batch of {len(test):,} rows took less time:", seconds_batch < seconds_online)

# %% [markdown]
# The answers are equal to the last digit; the cost is not. Most of what a call costs does not depend on its rows: parsing, building a table, checking the signature. And a failed batch can be repeated.
#
# There is a third way. If the inputs are few, compute all answers beforehand and look them up. How good is a table of past medians?


# %%
def from_table(*levels):
    """Median minutes of past trips with the same key; where there are fewer than three, of the next level."""
    minutes = np.full(len(test), np.nan)
    for keys in levels:
        past = train.groupby(keys)["duration"].agg(["median", "size"])
        known = past.loc[past["size"] >= 3, "median"].rename("known")
        minutes = np.where(np.isnan(minutes), test.join(known, on=keys)["known"], minutes)
    return np.where(np.isnan(minutes), train["duration"].median(), minutes)


# %% name="lookup"
import pandas as pd

quick = {"max_depth": 4, "learning_rate": 0.3, "n_estimators": n_trees}
careful = {"max_depth": 8, "learning_rate": 0.1, "n_estimators": 3 * n_trees}
careful["objective"] = "reg:absoluteerror"
answers = {
    "median of all trips": train["duration"].median(),
    "table: zone pair and hour": from_table([*ZONES, "hour"], ZONES, ZONES[:1]),
    "table: zone pair": from_table(ZONES, ZONES[:1]),
}
for name, settings in {"quick": quick, "careful": careful}.items():
    without = XGBRegressor(n_jobs=1, **settings).fit(train[FEATURES[1:]], train["duration"])
    answers[f"{name} model, no distance"] = without.predict(test[FEATURES[1:]])
answers["quick model with distance"] = batch
misses = pd.DataFrame({name: (test["duration"] - said).abs() for name, said in answers.items()})
misses.mean().round(2).rename("MAE").to_frame()

# %% [markdown]
# A table of some 2,000<!-- given --> past medians misses by 5.34<!-- =lookup[table: zone pair, MAE] --> minutes. It beats a model with quick settings (5.76<!-- =lookup[quick model, no distance, MAE] -->). With care the model wins: 5.08<!-- =lookup[careful model, no distance, MAE] -->. One month can be luck, so draw its days again.

# %% name="days"
day = test["pickup_datetime"].dt.date
sums, sizes = misses.groupby(day).sum(), test.groupby(day).size().to_numpy()
gain = (sums["table: zone pair"] - sums["careful model, no distance"]).to_numpy()
drawn = np.random.default_rng(0).integers(0, len(gain), (2000, len(gain)))
low, high = np.percentile(gain[drawn].sum(1) / sizes[drawn].sum(1), [2.5, 97.5])
print(f"the careful model is better than the table by {low:.2f} to {high:.2f} minutes (95 %)")

# %% [markdown]
# In May and December 2018 and June 2019 these three come in the same order, each within half a minute of the next. **Is a quarter of a minute worth a server?** The table needs none.
#
# The distance is worth two minutes: 3.27<!-- =lookup[quick model with distance, MAE] -->. But in these data it was measured at the end of the trip. If a router estimates it well when the customer asks, serve the model online. If not, start with the table.
#
# | when the answer is needed, … | choose | because |
# |---|---|---|
# | the rows are known hours before | **batch** | cheapest; failures are repaired before anybody sees them |
# | one of a few thousand inputs comes, and last night's answer will do | **lookup** | one look into a key-value store |
# | the input is new in that moment (a position, a payment) | **online** | nothing could be computed before |
#
# ### Your turn

# %% exercise="way_to_serve"

# %%
exercise.check(way_to_serve)

# %% [markdown]
# ## The Dockerfile that MLflow writes
#
# A **container image** is a file system with the program, its libraries and the model. MLflow writes the recipe; only building it needs Docker.
# (The output leaves leading slashes out.)

# %% name="dockerfile"
import re
import subprocess
import sys

from course.servers import base_environment

command = [sys.executable, "-m", "mlflow", "models", "generate-dockerfile", "--output-directory"]
command += [str(FILES / "image"), "--model-uri", "models:/trip-duration@champion"]
environment = base_environment() | {"MLFLOW_TRACKING_URI": mlflow.get_tracking_uri()}
subprocess.run(command, env=environment, capture_output=True, check=True)
dockerfile = (FILES / "image" / "Dockerfile").read_text(encoding="utf-8")
lines = [line for line in dockerfile.splitlines() if line and not line.startswith("#")]
shown = re.sub(r"(?<=[ '])/(?=opt|var|etc)", "", "\n".join(lines))
print(re.sub(r"python:[\d.]+", "python:<this>", shown).replace(mlflow.__version__, "<this>"))

# %% [markdown]
# | line | what it does | is it frozen? |
# |---|---|---|
# | `FROM python:…-slim` | the base image: Debian and Python | no: a tag moves when the image is patched; a digest (`@sha256:…`) does not |
# | `pip install mlflow==…` | MLflow: most of the image's size | MLflow yes, its own requirements no |
# | `COPY model_dir` | **the model itself** | yes: the alias was resolved when this was written |
# | `_install_pyfunc_deps` | the model's `requirements.txt` | what `log_model` pinned |
#
# How much of what runs is pinned? Follow the requirements in your own environment.

# %% name="pinned"
from importlib.metadata import PackageNotFoundError, requires

from packaging.requirements import Requirement

pins = (FILES / "image" / "model_dir" / "requirements.txt").read_text(encoding="utf-8").split()
found, to_do = set(), [pin.split("==")[0] for pin in pins]
print("pinned:   ", len(to_do), *to_do)
while to_do:
    name = to_do.pop().lower().replace("_", "-")
    try:
        needed = map(Requirement, (name not in found and requires(name)) or [])
    except PackageNotFoundError:  # installed under another name
        needed = []
    found.add(name)
    to_do += [one.name for one in needed if not one.marker or one.marker.evaluate({"extra": ""})]
print("installed:", len(found))

# %% [markdown]
# 2<!-- =pinned: pinned: +(\d+) --> versions of 88<!-- =pinned: installed: (\d+) --> are fixed. Built again next month, the image holds other libraries, so building again is no rollback.
# Build once, keep the image; to go back: `kubectl rollout undo deployment/NAME`.
#
# Two things are not in the file:

# %% name="entrypoint"
from mlflow.pyfunc.scoring_server import get_cmd

command, environment = get_cmd("model", port=8000, nworkers=os.cpu_count())
print("the file names a user:", "USER" in dockerfile)
print(command.replace(f"--workers {os.cpu_count()}", "--workers <all cores>"))
print([name for name in environment if "pyfunc" in name])

# %% [markdown]
# No user means **root**: whoever breaks into the server may do everything in the container. And a worker starts for each core of the *machine*, however few your container was given (`MLFLOW_MODELS_WORKERS` sets it).
#
# ## A manifest for Kubernetes
#
# **Kubernetes** runs containers on many machines. You describe a state in a **manifest**, and it keeps making the cluster match it. This service is five descriptions in `src/projects/trip_service/kubernetes.yaml`; here are the first two.

# %% name="manifest"
from course.paths import ROOT

text = (ROOT / "src" / "projects" / "trip_service" / "kubernetes.yaml").read_text(encoding="utf-8")
pieces = {re.search(r"kind: (\w+)", piece)[1]: piece for piece in text.split("---\n")}
print(*pieces, sep=", ")
config, deployment = pieces["ConfigMap"], pieces["Deployment"]
print(config[config.index("\ndata:") :] + deployment[: deployment.index("          ports:")])

# %% [markdown]
# The **ConfigMap** holds settings apart from the image. The **Deployment** says what a copy is, and how many; Kubernetes calls a copy a **pod**.
#
# - The image has a version in its tag. With `latest`, two pods can run different code.
# - `maxUnavailable: 0`: during a rollout a new pod answers before an old one goes. The container is not root.
# - The command replaces MLflow's entry point, which drops open requests when it is asked to stop; uvicorn finishes them. **It uses MLflow's internals**: the module `scoring_server.app` and the variable
#   `__pyfunc_model_path__` are what `mlflow models serve` starts, and they may change without notice. So MLflow is pinned, and a test starts this command.

# %% name="probes"
print(deployment[deployment.index("          ports:") : deployment.index("          lifecycle:")])

# %% [markdown]
# Three **probes**, three consequences. Until the *startup* probe succeeds, the others wait: importing takes seconds. A failed *readiness* probe stops requests to the pod. A failed *liveness* probe restarts it, which helps a process that hangs and harms one that is busy: make it the most patient. None of them notices wrong answers.
#
# **Requests** are what the scheduler reserves, **limits** the most a pod may use: over the CPU limit a pod is slowed down, over the memory limit it is killed. Measure before you write.

# %% name="memory"
import psutil

tree = psutil.Process(server.process.pid).children(recursive=True)
megabytes = max(process.memory_info().rss for process in tree) / 2**20
print("below the 512 MiB of the request:", megabytes < 512)
servers.close()

# %% [markdown]
# The other three: the **Service** is the one address that stays while pods come and go. The **PodDisruptionBudget** keeps an update of the cluster from stopping both pods at once. The **HorizontalPodAutoscaler** adds pods when the CPU
# is above 70<!-- given --> % of what was *requested*; without a request it does nothing.
#
# CPU is not always the right signal: a server that waits for a feature store or a GPU is full while its CPU is idle. Then scale on open HTTP requests per pod, from Prometheus through an adapter or KEDA. Knative and KServe do that themselves, down to zero pods; the first request after that waits for a start.

# %% [markdown]
# ## Which faults are refused, and by whom?
#
# `kubectl apply` asks the API server, which since Kubernetes `1.25` refuses unknown fields by default. With `--dry-run=server` it asks the same and changes nothing. Without a cluster,
# `kubernetes-validate` holds a manifest against the schema of one version. Plant ten faults.

# %% name="faults"
ASKS = "httpGet: {path: /health, port: http}\n            periodSeconds: 10"  # the liveness probe's
FAULTS = {
    "replica: 2": ("replicas: 2", "replica: 2"),
    "livenesProbe": ("livenessProbe", "livenesProbe"),
    'replicas: "2"': ("replicas: 2", 'replicas: "2"'),
    "autoscaling/v2beta2": ("autoscaling/v2", "autoscaling/v2beta2"),
    "CPU request above its limit": ("cpu: 500m", 'cpu: "2"'),
    "label differs from selector": ("labels: {app: trip-service, model", "labels: {app: trips, model"),
    "memory: 512m": ("memory: 512Mi", "memory: 512m"),
    "image: …:latest": ("trip-service:3", "trip-service:latest"),
    "autoscaler names another": ("Deployment, name: trip-service", "Deployment, name: trips"),
    "liveness asks port `web`": (ASKS, ASKS.replace("port: http", "port: web")),
}

# %% name="schema"
import kubernetes_validate
import yaml


def refused(text, strict):
    """The schema's first complaint, or nothing."""
    try:
        for document in yaml.safe_load_all(text):
            kubernetes_validate.validate(document, "1.34", strict=strict)
    except (kubernetes_validate.ValidationError, kubernetes_validate.SchemaNotFoundError) as fault:
        return fault.message[:50]
    return ""


assert not refused(text, strict=True)  # the manifest itself
wrong = {name: text.replace(*change) for name, change in FAULTS.items()}
rows = {name: [refused(manifest, strict) for strict in (False, True)] for name, manifest in wrong.items()}
pd.DataFrame.from_dict(rows, orient="index", columns=["schema", "schema, strict"])

# %% [markdown]
# A schema that is not strict ignores an unknown field: you run one pod where you wanted two. The last six pass both, because each line alone is legal. Who sees them? (From the API server's code and KubeLinter's documentation, not measured here.)
#
# | fault | API server (`--dry-run=server`) | `kube-linter lint` |
# |---|---|---|
# | unknown field, wrong type, version that is gone | refuses | – |
# | CPU request above its limit, label differs from selector | refuses | the label: `mismatching-selector` |
# | `memory: 512m`, half a byte | accepts, with a warning | – |
# | `latest` | accepts | `latest-tag` |
# | autoscaler names another Deployment | accepts | `dangling-horizontalpodautoscaler`, off by default |
# | **a probe asks a port name that is not there** | **accepts** | `liveness-port` |
#
# **Predict first.** The liveness probe asks port `web`; the container only has `http`. Will the pod be restarted again and again, once, or never?

# %% [markdown]
# Never. The kubelet, which runs the probes, finds no port of that name. It **throws the result away**, and what counts is the state in which each kind of probe begins:
#
# | probe with a name that leads nowhere | begins as | so the pod … |
# |---|---|---|
# | liveness | success | … **is never restarted. Liveness is silently off**, until the day the process hangs |
# | readiness | failure | … never gets a request, and the rollout stands still: you notice |
# | startup | unknown | … never becomes ready and is never restarted either |
#
# Only an event, `Liveness probe errored`, tells of it. With a port *number* that nobody listens on, the connection is refused, the probe has failed, and the pod is restarted again and again. Find such ports before the rollout.
#
# ### Your turn

# %% exercise="dangling_ports"

# %%
exercise.check(dangling_ports)

# %% [markdown]
# Run the strict schema and KubeLinter in CI, `--dry-run=server` before each rollout. That is too much for one model and a few requests a second: take one container with a restart policy, or no server at all.

# %% [markdown]
# ## Take-aways
#
# - Deployment makes a version available, serving answers requests. The alias moves in the registry; the service goes on with what it loaded until something is deployed.
# - Batch when the rows are known beforehand, a table when the inputs are few, online when the input is new. Build the table first: it shows what a server has to be worth.
# - An image freezes the model and not its libraries: roll back to an image, never by building again.
# - The API server refuses unknown fields and some contradictions. A probe on a port name that does not exist passes, and then liveness never restarts anything.

# %% [markdown]
# ## In an interview
#
# - *What is the difference between deploying and serving a model?* Shown in [Which version answers?](#Which-version-answers?)
# - *Batch or online: how do you decide?* Shown in [Batch against online](#Batch-against-online).
# - *How do you roll a model back?* Shown in [The Dockerfile that MLflow writes](#The-Dockerfile-that-MLflow-writes).
# - *Your liveness probe has named a port that does not exist for a year. What happened in that year?* Shown in
#   [Which faults are refused, and by whom?](#Which-faults-are-refused,-and-by-whom?)
#
# More, with the points of a good answer: `walkforward practice --lesson 09b` in a terminal.

# %% [markdown]
# ## Up next
#
# One request after the other is no test. [09c · Serving under load](09c_serving_under_load.ipynb) sends many at once.
