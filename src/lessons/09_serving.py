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
# # 09 · Serving
#
# After this lesson you can put a model behind an address, say what its answers prove and what they don't, decide when no server is needed at
# all, and write the container and the Kubernetes manifest that keep it running.

# %% [markdown]
# > **You will learn to** keep deployment and serving apart · speak MLflow's protocol in all its formats · find the bad requests that are
# > answered with status `200` · choose among batch, lookup table and online · read the Dockerfile that MLflow writes · check a
# > Kubernetes manifest for what its schema does not see
# >
# > **Before you start** [05 · Models and flavors](05_models_and_flavors.ipynb) and [07 · Registry](07_registry.ipynb)
# >
# > **Time** 60 minutes of study; it runs in under a minute
# >
# > **Interview questions it answers** What is the difference between deploying and serving a model? · The service answers `200` and the
# > predictions are nonsense. How can that be? · Batch or online: how do you decide?

# %% [markdown]
# ## Parameters
#
# Three months to train on, one to test on. To serve a model of your own city, put the path of a taxi file into `trips_path`; the
# day in `test_from` is then chosen by it.

# %% tags=["parameters"]
trips_path = None  # a Parquet or CSV file of your own; None takes the course's trips
max_trips = 40_000  # of a file of your own, drawn at random; more take more time and memory
first_month, last_month = "2019-07", "2019-10"
test_from = "2019-10-01"  # trips that start on or after this day are the test set
n_trees = 100
n_trips = 300  # trips that a client asks for in one request
n_single = 300  # requests of one row each, against the batch
kubernetes_version = "1.34"  # whose schemas the manifest is held against
show_seconds = False  # True prints what calls and requests cost on your machine

# %%
from course import own_data

if trips_path is not None:  # your file: what the lesson needs of it, or a line that says what it lacks
    trips, test_from = own_data.split_trips(
        trips_path, first_month, last_month, max_trips, test_from=test_from
    )

# %%
import json
import logging
import os
import re
import shutil
import subprocess
import sys
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from textwrap import shorten
from time import perf_counter

import kubernetes_validate
import mlflow
import numpy as np
import pandas as pd
import psutil
import requests
import xgboost
import yaml

# %%
from importlib.metadata import PackageNotFoundError, requires

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.pyfunc.scoring_server import get_cmd
from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema
from packaging.requirements import Requirement
from xgboost import XGBRegressor

from course import exercise
from course.data import load_trips, months, prepare_trips
from course.exercise import TODO
from course.paths import ROOT
from course.servers import base_environment, model_server

pd.set_option("display.max_colwidth", None)

# %% name="trips"
if trips_path is None:
    trips = load_trips(months(first_month, last_month))
trips = prepare_trips(trips)
trips["hour"] = trips["pickup_datetime"].dt.hour
trips["weekday"] = trips["pickup_datetime"].dt.dayofweek
ZONES = ["pickup_location_id", "dropoff_location_id"]
FEATURES = ["trip_distance", *ZONES, "hour", "weekday"]
trips[FEATURES] = trips[FEATURES].astype(float)

train, test = trips[trips["pickup_datetime"] < test_from], trips[trips["pickup_datetime"] >= test_from]
asked = test.sample(min(n_trips, len(test)), random_state=0)  # what a client wants to know
print(f"train {len(train):,} trips, test {len(test):,}, asked {len(asked)}")

# %% name="store"
FILES = Path("09_serving_files")  # everything that this lesson writes
FILES.mkdir(exist_ok=True)
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
logging.getLogger("mlflow").setLevel(logging.WARNING)

mlflow.set_tracking_uri(f"sqlite:///{(FILES / 'mlflow.db').resolve().as_posix()}")
now = datetime.now().strftime("%Y-%m-%d %H:%M:%S.%f")  # a new experiment each time this notebook runs
artifacts = (FILES / "artifacts").resolve().as_uri()
experiment_id = mlflow.create_experiment(f"serving · {now}", artifact_location=artifacts)
experiment = mlflow.set_experiment(experiment_id=experiment_id)
TRACKING = {"MLFLOW_TRACKING_URI": mlflow.get_tracking_uri()}

# %% [markdown]
# ## Status `200`, and wrong
#
# You train a boosted model the way many tutorials do, on an array, and log it with an example of its input.

# %% name="array_model"
model = XGBRegressor(max_depth=4, learning_rate=0.3, n_estimators=n_trees, n_jobs=1)
model.fit(train[FEATURES].to_numpy(), train["duration"])
NEEDS = [f"xgboost=={xgboost.__version__}"]
with mlflow.start_run():
    array_info = mlflow.xgboost.log_model(
        model, name="trips", input_example=train[FEATURES].head(3).to_numpy(), pip_requirements=NEEDS
    )


def error(minutes, trips=asked):
    """Mean absolute error in minutes."""
    return float((trips["duration"] - minutes).abs().mean())


naive = error(train["duration"].median())
print(f"the median of the training trips: {naive:.2f} minutes, the model: ", end="")
print(f"{error(model.predict(asked[FEATURES].to_numpy())):.2f} minutes")

# %% [markdown]
# `mlflow models serve` puts it behind an address. `model_server` runs that command for you on a free port and ends it when you are done.

# %% name="ask"
servers = ExitStack()  # whatever is entered here ends with servers.close()
server = servers.enter_context(model_server(array_info.model_uri, FILES / "array"))
http = requests.Session()
http.trust_env = False  # no proxy between you and your own machine
http.headers["Connection"] = "close"  # the server drops a connection that is idle for five seconds


def ask(body, content_type="application/json", of=None):
    """Send a body to the model behind `server`, or behind another one; return the answer."""
    headers = {"Content-Type": content_type} if content_type else {}
    return http.post(f"{(of or server).uri}/invocations", data=body, headers=headers, timeout=60)


# %% [markdown]
# A colleague writes the app that asks. They send a trip as one would say it: from where, to where, how far, at what hour, on
# which day.

# %% name="client"
as_one_says_it = [*ZONES, "trip_distance", "hour", "weekday"]
answer = ask(json.dumps({"inputs": asked[as_one_says_it].to_numpy().tolist()}))
print("status", answer.status_code, "·", len(answer.json()["predictions"]), "answers, the first three:")
print(*(f"{minutes:.1f}" for minutes in answer.json()["predictions"][:3]), "minutes")

# %% [markdown]
# Nothing is red. The status is 200<!-- =client: status (\d+) -->, every trip has its answer, and the app goes live. The trips are over; compare.

# %% name="orders"
orders = {
    "as the model learnt it": FEATURES,
    "as one says it": as_one_says_it,
    "sorted by name": sorted(FEATURES),
    "weekday before hour": ["trip_distance", *ZONES, "weekday", "hour"],
    "drop-off before pick-up": ["trip_distance", *reversed(ZONES), "hour", "weekday"],
}
rows = {"no model: the median": ("", round(naive, 2))}
for order, columns in orders.items():
    answer = ask(json.dumps({"inputs": asked[columns].to_numpy().tolist()}))
    rows[order] = (answer.status_code, round(error(answer.json()["predictions"]), 2))
pd.DataFrame.from_dict(rows, orient="index", columns=["status", "MAE"])

# %% [markdown]
# The app's answers are off by 36.51<!-- =orders[as one says it, MAE] --> minutes, five times worse than no model. A JSON library that sorts its fields does nearly as badly. And those are
# the lucky cases, because somebody calls. With hour and weekday swapped, 5.43<!-- =orders[weekday before hour, MAE] --> still beats the median; with the zones swapped, the
# mean error stays at 3.07<!-- =orders[drop-off before pick-up, MAE] -->. Do these answers agree with the right ones?

# %% name="swapped"
there, back = (
    np.array(ask(json.dumps({"inputs": asked[columns].to_numpy().tolist()})).json()["predictions"])
    for columns in (FEATURES, orders["drop-off before pick-up"])
)
apart = np.abs(there - back)
print(f"they differ by {apart.mean():.1f} minutes on average, by {apart.max():.0f} at most")

# %% [markdown]
# Every customer gets the time of another trip, up to 16<!-- =swapped: by (\d+) at most --> minutes off, and no monitor of the mean error will ever tell.
#
# The server did what it was told. Look at what the model says that it accepts:

# %% name="signature"
print(array_info.signature.inputs)

# %% [markdown]
# Rows of five numbers, of any meaning. The names were lost in `to_numpy()`, before MLflow saw the model. Keep this picture for the rest of the
# lesson: each box is a place where a request can go wrong.
#
# ```mermaid
# flowchart LR
#     client["client<br/>builds the body"] -- "POST /invocations" --> service["service<br/>one address,<br/>chooses a copy"]
#     service --> process["server process<br/>parses the JSON"]
#     process -- "415, 400" --> client
#     process --> signature{"signature<br/>names, types"}
#     signature -- "400" --> client
#     signature --> model["model<br/>predict"]
#     model -- "200 and a number,<br/>right or wrong" --> client
# ```

# %% [markdown]
# ## Two words that are not the same
#
# | | **deployment** | **serving** |
# |---|---|---|
# | what | a version is made available in an environment | a request is answered |
# | how often | a few times a week | thousands of times a second |
# | made of | choosing a version, building, rolling out, rolling back | parsing, checking, predicting, answering |
# | goes wrong as | the wrong version, half of the copies old | wrong answers, slow answers, none |
# | measured by | time to roll out and back, failed rollouts | latency, throughput, errors |
#
# You can deploy without serving: a nightly job that takes up a new version is deployed. Here `mlflow models serve` serves; the Dockerfile and the manifest at the end deploy.
#
# ## The way out: columns with names
#
# Train on the table itself, and let the example be a table. The trees are the same; the signature is not. Then register the model, and
# give it the alias by which servers find it.

# %% name="named_model"
model.fit(train[FEATURES], train["duration"])
with mlflow.start_run():
    info = mlflow.xgboost.log_model(
        model, name="trips", input_example=train[FEATURES].head(3), pip_requirements=NEEDS
    )
print(str(info.signature.inputs).replace(", ", "\n "))

# %% name="publish"
client, NAME = MlflowClient(), "trip-duration"
if not client.search_registered_models(f"name = '{NAME}'"):
    client.create_registered_model(NAME)


def make_champion(info):
    """Register a logged model as a new version, and let the alias `champion` point to it."""
    version = client.create_model_version(NAME, info.model_uri, run_id=info.run_id, model_id=info.model_id)
    client.set_registered_model_alias(NAME, "champion", version.version)


make_champion(info)
servers.close()
server = servers.enter_context(model_server(f"models:/{NAME}@champion", FILES / "named"))

# %% [markdown]
# First the colleague's body again. Then the same trips with names, in the colleague's order.

# %% name="refused"
answer = ask(json.dumps({"inputs": asked[as_one_says_it].to_numpy().tolist()}))
print(answer.status_code, answer.json()["message"].split("Error: ")[-1].split(". ")[0])

answer = ask(json.dumps({"dataframe_records": asked[as_one_says_it].to_dict("records")}))
print(answer.status_code, f"error {error(answer.json()['predictions']):.2f} minutes")

# %% [markdown]
# Refused, with the reason; and right, in any order, because names travel with the values. Log a model with a table as its example, and this family of faults is gone.
#
# ## Four formats, one answer
#
# A body is a JSON object with exactly one of four fields. Here are all of them for three trips, and CSV. (The server reads Parquet too.)

# %% name="formats"
three = asked[FEATURES].head(3)
records, columns = three.to_dict("records"), three.to_dict("list")
bodies = {
    "dataframe_split": {"columns": FEATURES, "data": three.to_numpy().tolist()},
    "dataframe_records": records,
    "instances": records,
    "inputs": columns,
}
rows = {}
for name, content in bodies.items():
    body = json.dumps({name: content})
    rows[name] = (len(body), body[:75] + " …", ask(body).text)
body = three.to_csv(index=False)
rows["text/csv"] = (len(body), body[:75] + " …", ask(body, "text/csv").text)
formats = pd.DataFrame(rows, index=["bytes", "body", "answer"]).T
formats["same answer"] = formats["answer"] == formats["answer"].iloc[0]
formats.drop(columns="answer")

# %% [markdown]
# `dataframe_split` says each name once, `dataframe_records` with each row: more bytes, but a row explains itself in a log. Both always mean a table: prefer them. `instances` and
# `inputs` come from TensorFlow Serving and are made for arrays.
#
# Any program can ask. In a terminal it is one line:

# %% name="curl"
body = json.dumps({"dataframe_records": records[:1]})
options = ["-s", "-X", "POST", "-H", "Content-Type: application/json", "-d", body]
print('curl -s -X POST "$SERVICE/invocations" -H "Content-Type: application/json" \\')
print(f"  -d '{body}'")
if shutil.which("curl"):
    command = ["curl", "--noproxy", "*", *options, f"{server.uri}/invocations"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    print("the same answer as from Python:", said == ask(body).text)
else:
    print("no curl on this machine")

# %% [markdown]
# ### Your turn
#
# Write the client's half once: a table in, a body out. JSON knows neither NaN nor dates, and that is where home-made clients break.

# %% exercise="build_request"

# %%
exercise.check(build_request)

# %% [markdown]
# ## Dates and parameters
#
# So far the client computed hour and weekday, as the training did. Two programs that compute the same thing drift apart one day. The model in
# `src/projects/trip_service/trip_model.py` takes the moment itself, and a **parameter** besides: a setting of the request, not of a row.

# %% name="clock_source"
project = ROOT / "src" / "projects" / "trip_service"
source = (project / "trip_model.py").read_text(encoding="utf-8")
print(source[source.index("    def predict") :])

# %% name="clock_model"
model.get_booster().save_model(FILES / "booster.ubj")
types = {"pickup_datetime": "datetime", "trip_distance": "double", **dict.fromkeys(ZONES, "long")}
signature = ModelSignature(
    inputs=Schema([ColSpec(kind, name) for name, kind in types.items()]),
    outputs=Schema([ColSpec("double")]),
    params=ParamSchema([ParamSpec("unit", "string", "minutes")]),
)

# %%
example = asked[["pickup_datetime", "trip_distance"]].assign(**asked[ZONES].astype(int)).head(3)
with mlflow.start_run():
    clock_info = mlflow.pyfunc.log_model(
        name="clock",
        python_model=project / "trip_model.py",
        artifacts={"booster": str(FILES / "booster.ubj")},
        signature=signature,
        input_example=example,
        pip_requirements=NEEDS,
    )
clock = servers.enter_context(model_server(clock_info.model_uri, FILES / "clock"))

# %% [markdown]
# JSON has no dates, so each client writes them its own way. Which of these will the server read as 13:05 on 3 October 2019?

# %%
trip = {"trip_distance": 1.3, "pickup_location_id": 161, "dropoff_location_id": 237}


def ask_clock(when, params=None, **changes):
    row = {**trip, "pickup_datetime": when, **changes}
    return ask(json.dumps({"dataframe_records": [row], "params": params}), of=clock)


def told(answer):
    """The prediction, or the end of the message: MLflow puts the cause last."""
    if answer.ok:
        return f"{answer.json()['predictions'][0]:.2f}"
    is_json = answer.headers["content-type"] == "application/json"
    said = answer.json().get("message", answer.text) if is_json else answer.text
    cause = said.split("Error: ")[-1].split("Invalid input. ")[-1]
    return shorten(cause.strip("'"), 64, placeholder=" …")


def table_of(answers):
    rows = {case: (answer.status_code, told(answer)) for case, answer in answers.items()}
    return pd.DataFrame.from_dict(rows, orient="index", columns=["status", "told"])


# %% name="dates"
moments = ["2019-10-03T13:05:00", "2019-10-03 13:05", "2019-10-03T17:05:00Z", "2019-10-03T13:05:00-04:00"]
moments += ["2019-10-03T17:05:00", "03.10.2019 13:05", 1570122300000, None]
answers = {str(when): ask_clock(when) for when in moments}
table_of(answers)

# %% [markdown]
# A time zone, `Z` or `-04:00`, is refused: good. What does the developer do who gets this 400<!-- =dates[2019-10-03T17:05:00Z, status] -->? Cuts off the `Z`. Now the
# server takes Greenwich's clock for New York's and answers. The German date is read as 10 March. The milliseconds, which is how JavaScript and
# older pandas write a date, are read as nanoseconds: minutes past midnight on 1 January 1970. A missing date is answered too. What do such clients cost?

# %% name="clock_errors"
utc = asked["pickup_datetime"] + pd.Timedelta(hours=4)  # New York in October
milliseconds = asked["pickup_datetime"].astype("datetime64[ms]").astype("int64")
written = {
    "ISO text, New York's clock": asked["pickup_datetime"].dt.strftime("%Y-%m-%dT%H:%M:%S"),
    "UTC, its Z cut off": utc.dt.strftime("%Y-%m-%dT%H:%M:%S"),
    "milliseconds since 1970": milliseconds,
}
rows = {}
for label, moment in written.items():
    table = asked[["trip_distance"]].assign(**asked[ZONES].astype(int), pickup_datetime=moment)
    answer = ask(json.dumps({"dataframe_records": table.to_dict("records")}), of=clock)
    rows[label] = (answer.status_code, round(error(answer.json()["predictions"]), 2))
pd.DataFrame.from_dict(rows, orient="index", columns=["status", "MAE"])

# %% [markdown]
# Status 200<!-- =clock_errors[milliseconds since 1970, status] --> each time, and up to 5.01<!-- =clock_errors[milliseconds since 1970, MAE] --> minutes instead of 3.07<!-- =clock_errors[ISO text, New York's clock, MAE] -->. Agree on one form, ISO 8601<!-- given --> text, and on whose clock it shows; and let the model refuse years
# that can't be. Now the parameter.

# %% name="params"
lunch = "2019-10-03T13:05:00"
for params in (None, {"unit": "seconds"}, {"unit": "hours"}, {"units": "seconds"}, {"unit": 60}):
    answer = ask_clock(lunch, params)
    print(f"{answer.status_code} {params!s:24} {told(answer)}")

# %% [markdown]
# A parameter's type is checked, its value is not, and a name that the signature does not know is dropped, with a warning in the server's log that no client reads. The app
# that sent `units` shows 13<!-- given --> seconds for a trip of as many minutes. Decide in `predict` what values there are, and raise for all others.
#
# ## What a bad request gets
#
# Back to the model with five named columns. Guess the status of each before you run the cell.

# %% name="cases"
good = three.iloc[0].to_dict()
no_hour = {name: value for name, value in good.items() if name != "hour"}


def one(row):
    return json.dumps({"dataframe_records": [row]})


bad = {
    "empty body": "",
    "cut off on the way": one(good)[:40],
    "rows without a field around them": json.dumps([good]),
    "column missing": one(no_hour),
    "column renamed": one({**no_hour, "pickup_hour": 9.0}),
    "word for a number": one({**good, "hour": "nine"}),
    "number as text": one({**good, "hour": "9"}),
    "true for a number": one({**good, "hour": True}),
    "null": one({**good, "hour": None}),
    "hour 99, minus 5 miles": one({**good, "hour": 99.0, "trip_distance": -5.0}),
    "column too many": one({**good, "colour": "red"}),
}

# %% name="bad_requests"
answers = {case: ask(body) for case, body in bad.items()}
answers["text/plain"] = ask(one(good), "text/plain")
answers["no content type"] = ask(one(good), None)
answers["GET"] = http.get(f"{server.uri}/invocations", timeout=10)
answers["null in an integer column"] = ask_clock(lunch, pickup_location_id=None)
answers["half a zone (161.5)"] = ask_clock(lunch, pickup_location_id=161.5)
table_of(answers)

# %% [markdown]
# Read it in three groups.
#
# - **4xx, the client's fault.** Wake nobody, but count them: a rise after a release means that somebody has changed a column.
# - **5xx, the server's fault**, and a reason to page. Except that here a forgotten header gives 500<!-- =bad_requests[no content type, status] -->: a client can wake you.
# - **`200`, and wrong.** A null in a column that is `required` passes, because required means that the column is there. Text is turned into numbers, `true` is one o'clock, minus five miles are driven. The signature checks
#   names and types. Whether an hour can be 99 is a question of meaning, which the model's author has to ask.
#
# An integer column is stricter, and refuses the null. But look at the last line: there is no zone 161.5<!-- given -->. In Python the same signature refuses it.

# %% name="cast"
half = example.head(1).assign(pickup_location_id=161.5)
try:
    mlflow.pyfunc.load_model(clock_info.model_uri).predict(half)
except MlflowException as refusal:
    print(str(refusal).split("Error: ")[-1][:100])

# %% [markdown]
# Over HTTP it is cut to 161<!-- given --> before the signature sees it. JavaScript writes 161.0<!-- given --> as `161`, so the server turns each column into its type first, by
# force. What you tested in Python is not what production checks: test through the server.
#
# One more look at a refusal, with a stranger's eyes. This is a CSV with a word in it.

# %% name="leak"
csv = three.to_csv(index=False).replace("\n", "\nnine", 1)
refusal = ask(csv, "text/csv")
print(refusal.status_code, sorted(refusal.json()))
trace = refusal.json()["stack_trace"]
print("it names files of the server:      ", "site-packages" in trace)
print("and the library that reads CSV:    ", "read_csv" in trace)
refusal = ask(one({**no_hour, "email": "ana@example.com"}))
print("another repeats your row:          ", "ana@example.com" in refusal.text)
print("and tells the model's whole schema:", all(name in refusal.text for name in FEATURES))

# %% [markdown]
# Good for a colleague, too much for the internet, and somebody's e-mail address is on its way into a log. The server asks nobody who they are, either. Between it and strangers belongs a gateway
# that knows who may ask, and that shortens what is told.
#
# ### Your turn
#
# A client needs one more thing: what to do with an answer that is none.

# %% exercise="next_step"

# %%
exercise.check(next_step)

# %% [markdown]
# ## What a health check proves
#
# Three more addresses answer: `/ping`, `/health` and `/version`. Move the alias to another model, a much smaller one, and ask them.

# %% name="health"
small = XGBRegressor(max_depth=2, n_estimators=3, n_jobs=1).fit(train[FEATURES], train["duration"])
with mlflow.start_run():
    small_info = mlflow.xgboost.log_model(
        small, name="small", input_example=train[FEATURES].head(3), pip_requirements=NEEDS
    )
before = ask(one(good)).text
make_champion(small_info)

for path in ("/ping", "/health", "/version"):
    answer = http.get(f"{server.uri}{path}", timeout=10)
    print(f"{path:9} {answer.status_code} {answer.text.strip()}")
print("the service answers as before:  ", ask(one(good)).text == before)
champion = mlflow.pyfunc.load_model(f"models:/{NAME}@champion")
today = champion.predict(three[:1]).tolist()
print("so does the champion:           ", json.dumps({"predictions": today}) == before)

# %% [markdown]
# The alias moved; the service did not. It looked the alias up once, when it started. `/health` and `/ping` are one function: the process lives and has loaded *a* model. `/version` is
# MLflow's, not the model's. None of them knows which model answers, or whether it is right; the array model above was in perfect health.
#
# So a deployment has to do what the registry can't: start new copies, and say which version each serves. Two copies that start on
# different days may find the alias on different versions; let it decide what is built next, and start copies from a version's number. To know whether the service is *right*, send it
# a few trips whose answers you know, after each rollout and then every minute:

# %% name="repair"
make_champion(info)  # back to the good one
sure = asked[FEATURES].head(20)
answer = ask(json.dumps({"dataframe_split": sure.to_dict("split")})).json()["predictions"]
print("20 known trips, largest difference:", np.abs(np.array(answer) - model.predict(sure)).max())

# %% [markdown]
# ## Batch against online
#
# **Online** answers when asked. **Batch** answers before anybody asks: a job scores all rows at once and writes a table. The same model, the same month, both ways.

# %% name="batch"
loaded = mlflow.pyfunc.load_model(info.model_uri)
started = perf_counter()
batch = pd.Series(loaded.predict(test[FEATURES]), index=test.index)
seconds_batch = perf_counter() - started

singles = asked[FEATURES].head(n_single)
started = perf_counter()
online = [ask(one(row)).json()["predictions"][0] for row in singles.to_dict("records")]
seconds_online = perf_counter() - started

print("the same answers:", (batch[singles.index].to_numpy() == np.array(online, dtype="float32")).all())
print(f"batch: 1 call for {len(test):,} rows · online: {len(singles)} calls for {len(singles)} rows")
print("the batch's one call took less time than these requests:", seconds_batch < seconds_online)
if show_seconds:
    print(f"batch {1e6 * seconds_batch / len(test):.1f} µs a row")
    print(f"online {1e6 * seconds_online / len(singles):.0f} µs a row")

# %% [markdown]
# Not a digit differs; the price does. Most of what a call costs does not depend on its rows: parsing, building a table, checking the signature. In a batch that is
# paid once. Set `show_seconds` to see by how much. And a batch needs no server that is up at night: a failed job is repeated in the morning.
#
# There is a third way. If the inputs are few, compute all answers beforehand and look them up. How far does a table come?


# %%
def from_tables(levels, at_least=3):
    """Median minutes of past trips with the same key; where there are too few, of the next level."""
    minutes = pd.Series(np.nan, index=test.index)
    for keys in levels:
        past = train.groupby(keys)["duration"].agg(["median", "size"])
        known = past.loc[past["size"] >= at_least, "median"].rename("known")
        minutes = minutes.fillna(test.join(known, on=keys)["known"])
    return minutes.fillna(train["duration"].median())


# %% name="lookup"
without_distance = XGBRegressor(max_depth=4, learning_rate=0.3, n_estimators=n_trees, n_jobs=1)
without_distance.fit(train[FEATURES[1:]], train["duration"])
pair, start = ZONES, ZONES[:1]
print(f"zone pairs with three trips or more: {(train.groupby(pair).size() >= 3).sum():,}")
answers = {
    "median of all trips": train["duration"].median(),
    "table: zone pair and hour": from_tables([[*pair, "hour"], pair, start]),
    "table: zone pair": from_tables([pair, start]),
    "model without distance": without_distance.predict(test[FEATURES[1:]]),
    "model with distance": batch,
}
pd.DataFrame({name: round(error(minutes, test), 2) for name, minutes in answers.items()}, index=["MAE"]).T

# %% [markdown]
# Look at the third line. A table of past medians, 2,143<!-- =lookup: more: ([\d,]+) --> entries in a dictionary, misses by 5.34<!-- =lookup[table: zone pair, MAE] --> minutes and beats a boosted model that knows zones, hour and weekday
# (5.76<!-- =lookup[model without distance, MAE] -->). The model has to cut numbered zones apart split by split; the table knows each pair. The hour does not even help it: there are
# too few trips for each. What makes the model worth its server is the distance: 3.27<!-- =lookup[model with distance, MAE] --> minutes. So the decision hangs on a question that no library answers: **do you know the
# distance when the customer asks?** In these data it was measured at the end of the trip. If a router can supply a good estimate, serve the model online; if not, the table wins, and needs no model at all.
#
# | when the answer is needed, … | choose | because |
# |---|---|---|
# | the rows are known hours before | **batch** | cheapest; failures are repaired before anybody sees them |
# | any of a few thousand inputs may come, and yesterday's answer will do | **lookup** | one look into a key-value store |
# | the input is new in that moment (a position, a basket, a payment) | **online** | nothing could have been computed before |
# | the input is known, but only minutes old values help | **micro-batch** (a batch every few minutes), or online | first ask whether the freshness is worth it: score with older inputs and compare |
#
# ### Your turn

# %% exercise="serving_mode"

# %%
exercise.check(serving_mode=serving_mode)

# %% [markdown]
# If it is online, one worker of MLflow's server answers a few hundred requests a second. `walkforward serve` speaks the same protocol from a compiled form of the
# model, many times faster. [09b · Serving under load](09b_serving_under_load.ipynb) measures both, and says when you need it.
#
# ## The Dockerfile that MLflow writes
#
# A **container image** is a file system with the program, its libraries and the model; it runs the same on every machine that runs containers. MLflow writes the recipe, and
# needs no Docker for that; only building it does. (In the output, leading slashes are left out.)

# %% name="dockerfile"
image = FILES / "image"
command = [sys.executable, "-m", "mlflow", "models", "generate-dockerfile"]
command += ["--model-uri", f"models:/{NAME}@champion", "--output-directory", str(image)]
environment = base_environment() | TRACKING
subprocess.run(command, env=environment, capture_output=True, check=True)
dockerfile = (image / "Dockerfile").read_text(encoding="utf-8")
python_version = ".".join(map(str, sys.version_info[:3]))
shown = dockerfile.replace(python_version, "<this Python>").replace(mlflow.__version__, "<this MLflow>")
shown = "\n".join(line for line in shown.splitlines() if line and not line.startswith("#"))
print(re.sub(r"(?<=[ '])/(?=opt|var|etc)", "", shown))

# %% [markdown]
# | line | what it does | is it frozen? |
# |---|---|---|
# | `FROM python:…-slim` | the base image: Debian and the Python that logged the model | no: a tag moves when the image is patched; a digest (`@sha256:…`) would not |
# | `apt-get install nginx` | a web server in front, port 8080<!-- given --> to 8000<!-- given --> | no: what Debian has on that day |
# | `pip install mlflow==…` | MLflow with UI, tracking server, pandas, scikit-learn: most of the image's size | itself yes, what it needs no |
# | `COPY model_dir` | **the model itself** | yes: the alias was resolved when this was written |
# | `_install_pyfunc_deps` | the model's `requirements.txt`, and gunicorn, which today's server does not use | what `log_model` pinned |
# | `chmod o+rwX` | opens a folder for SageMaker | – |
# | `ENTRYPOINT` | starts nginx and the server | – |
#
# How much of what runs is pinned? Follow the requirements in your own environment.


# %% name="pinned"
def all_needed(names):
    """These packages with everything that they require, and so on down."""
    found, open_ends = set(), list(names)
    while open_ends:
        name = open_ends.pop().lower().replace("_", "-")
        if name in found:
            continue
        found.add(name)
        try:
            lines = requires(name) or []
        except PackageNotFoundError:  # installed under another name
            continue
        needed = map(Requirement, lines)
        open_ends += [one.name for one in needed if not one.marker or one.marker.evaluate({"extra": ""})]
    return found


pins = (image / "model_dir" / "requirements.txt").read_text(encoding="utf-8").split()
names = [pin.split("==")[0] for pin in pins]
print("pinned:   ", len(names), *names)
print("installed:", len(all_needed(names)))

# %% [markdown]
# 2<!-- =pinned: pinned: +(\d+) --> versions of 88<!-- =pinned: installed: (\d+) --> are fixed. Built again next month, the image holds the same model and other libraries, and a rollback by building
# the old version again is none. The way out: build once, keep the image, and roll back to *that image*. MLflow can also pin the rest when it logs a model
# (`MLFLOW_LOCK_MODEL_DEPENDENCIES=true`; it needs uv and a network).
#
# Two more things can't be read off the file. Which user is the server in the container, and what does the entry point start?

# %% name="entrypoint"
print("the file names a user:", "USER" in dockerfile)
command, environment = get_cmd("model", port=8000, nworkers=os.cpu_count())
print(command.replace(f"--workers {os.cpu_count()}", "--workers <all cores>"))
print([name for name in environment if "pyfunc" in name])

# %% [markdown]
# No user means **root**: whoever breaks into the server may do everything in the container. The command has no `--host`, so the server listens inside of its
# container only, and nginx is needed to reach it. It starts a worker for each core of the *machine*, however few your container was given: on a node with 64<!-- given --> cores, 64<!-- given --> copies of
# the model (`MLFLOW_MODELS_WORKERS` sets it). And asked to stop, the entry point ends at once, with requests open. `mlflow models serve` in its place
# errs on the other side: as the first process of a container it does not hear the signal at all, and is killed after the grace period.
#
# So keep MLflow's image and replace its command: start uvicorn itself, which is what both start in the end. It hears the signal and finishes what it has begun.
#
# ## A manifest for Kubernetes
#
# **Kubernetes** runs containers on many machines. You don't tell it what to do. You describe a state in a **manifest**, and it works on the difference, all
# the time: a copy that died is a difference. This service is five descriptions in one file, `src/projects/trip_service/kubernetes.yaml`.

# %% name="manifest"
text = (project / "kubernetes.yaml").read_text(encoding="utf-8")
documents = list(yaml.safe_load_all(text))
pieces = dict(zip([document["kind"] for document in documents], text.split("---\n"), strict=True))
print(*pieces, sep=", ")
print(pieces["ConfigMap"][pieces["ConfigMap"].index("kind") :])

# %% [markdown]
# The **ConfigMap** holds settings apart from the image. `MODEL_URI` is a path in the image. Write `models:/trip-duration/3` there, give the copies access to the
# registry, and one image serves every model; the price is that no copy starts while the registry is down.
#
# The **Deployment** says what a copy is, and how many. Kubernetes calls a copy a **pod**.

# %% name="deployment"
lines = pieces["Deployment"].splitlines()
start = next(number for number, line in enumerate(lines) if "ports:" in line)
print("\n".join(lines[:start]))

# %% [markdown]
# - The image has a version in its tag. With `latest`, two pods that start on different days run different code, and there is nothing to roll back to.
# - `maxUnavailable: 0`: during a rollout a new pod answers before an old one goes.
# - Not root, and no key to the cluster (`automountServiceAccountToken`).
# - `replicas: 2` is for the start. The autoscaler below owns the number from then on, and each `kubectl apply` would set it back: leave the line out once it runs.

# %% name="probes"
print("\n".join(lines[start:]))

# %% [markdown]
# Three **probes**, one address, three consequences. Until the *startup* probe succeeds, the others wait: importing takes seconds. A failed *readiness* probe takes the pod off the list
# of those that get requests. A failed *liveness* probe restarts it, which helps against a process that hangs and harms one that is busy: make it the most patient. All
# three ask `/health`, so none of them notices wrong answers.
#
# **Requests** are what the scheduler reserves, **limits** where it cuts off: over the CPU limit a pod is slowed down, over the memory limit it is killed. Measure before you write. Is the server of this lesson within its request?

# %% name="memory"
tree = psutil.Process(server.process.pid).children(recursive=True)
megabytes = max(process.memory_info().rss for process in tree) / 2**20
print("below the 512 MiB of the request:", megabytes < 512)
if show_seconds:
    print(f"{megabytes:.0f} MiB")
servers.close()

# %% [markdown]
# `preStop` waits five seconds before the pod is asked to stop, because the load balancers learn of it at the same moment and still send. Then uvicorn has 20<!-- given --> seconds to finish, and after
# 30<!-- given --> it is killed.

# %% name="rest"
for kind in ("Service", "HorizontalPodAutoscaler", "PodDisruptionBudget"):
    print(pieces[kind])

# %% [markdown]
# The **Service** is the one address that stays while pods come and go; it finds them by their label. The **HorizontalPodAutoscaler** keeps the CPU at 70<!-- given --> % of what was
# *requested*, so without requests it does nothing. The **PodDisruptionBudget** forbids an update of the cluster to take both pods at once.
#
# ## What the schema does not see
#
# A manifest is text, and a cluster is a bad place for finding typos. `kubernetes-validate` holds it against the schema of a Kubernetes version, offline. Plant ten
# faults, each seen in real reviews, and let it look, first as usual and then `strict`.


# %% name="faults"
def copy_of(documents):
    return {document["kind"]: document for document in json.loads(json.dumps(documents))}


def planted(change):
    """The manifest with one fault."""
    kinds = copy_of(documents)
    pod = kinds["Deployment"]["spec"]["template"]
    change(kinds, pod, pod["spec"]["containers"][0])
    return list(kinds.values())


FAULTS = {
    "replica: 2": lambda kinds, pod, box: kinds["Deployment"]["spec"].update(replica=2),
    'replicas: "2"': lambda kinds, pod, box: kinds["Deployment"]["spec"].update(replicas="2"),
    "probe one level too high": lambda kinds, pod, box: pod["spec"].update(
        livenessProbe=box["livenessProbe"]
    ),
    "autoscaling/v2beta2": lambda kinds, pod, box: kinds["HorizontalPodAutoscaler"].update(
        apiVersion="autoscaling/v2beta2"
    ),
}

# %%
FAULTS |= {
    "image: …:latest": lambda kinds, pod, box: box.update(image="trip-service:latest"),
    "memory: 512m": lambda kinds, pod, box: box["resources"]["requests"].update(memory="512m"),
    "CPU request above its limit": lambda kinds, pod, box: box["resources"]["requests"].update(cpu="2"),
    "label differs from selector": lambda kinds, pod, box: pod["metadata"]["labels"].update(app="trips"),
    "autoscaler names another": lambda kinds, pod, box: kinds["HorizontalPodAutoscaler"]["spec"][
        "scaleTargetRef"
    ].update(name="trips"),
    "probe on a port that is not there": lambda kinds, pod, box: box["livenessProbe"]["httpGet"].update(
        port="web"
    ),
}


# %% name="schema"
def refused(documents, strict):
    """What the schema says against the first document that breaks it, or nothing."""
    try:
        for document in documents:
            kubernetes_validate.validate(document, kubernetes_version, strict=strict)
    except (kubernetes_validate.ValidationError, kubernetes_validate.SchemaNotFoundError) as fault:
        return fault.message[:60]
    return ""


print("the manifest itself:", refused(documents, strict=True) or "valid")
verdicts = {
    name: [refused(planted(change), strict) for strict in (False, True)] for name, change in FAULTS.items()
}
pd.DataFrame(verdicts, index=["usual", "strict"]).T

# %% [markdown]
# `replica: 2` passes as usual: an unknown field is ignored, and you run one pod where you wanted two. Always validate `strict`. The last six pass both ways. Each is well formed and wrong:
# `512m` is half a byte (`m` means a thousandth), and the others contradict another line. A schema reads one document; what has to agree *between* lines and documents, you check yourself.


# %% name="cross_check"
def number(quantity):
    """A Kubernetes quantity as a number: "500m" is 0.5, "512Mi" is 512 · 2^20."""
    digits, unit = re.fullmatch(r"([\d.]+)([a-zA-Z]*)", str(quantity)).groups()
    return float(digits) * {"": 1, "m": 1e-3, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}[unit]


def contradictions(documents):
    """What a manifest of one Deployment says against itself, a line each."""
    kinds = copy_of(documents)
    deployment, scaler = kinds["Deployment"], kinds["HorizontalPodAutoscaler"]
    pod = deployment["spec"]["template"]
    box = pod["spec"]["containers"][0]
    requested, limits = box["resources"]["requests"], box["resources"]["limits"]
    yield from (f"{n}: request above limit" for n in requested if number(requested[n]) > number(limits[n]))
    if number(requested["memory"]) < 2**20:
        yield f"memory {requested['memory']} is less than a megabyte"
    if not deployment["spec"]["selector"]["matchLabels"].items() <= pod["metadata"]["labels"].items():
        yield "the selector does not match the pod's labels"
    if scaler["spec"]["scaleTargetRef"]["name"] != deployment["metadata"]["name"]:
        yield "the autoscaler's target is not the Deployment"
    if box["image"].endswith(":latest") or ":" not in box["image"].split("/")[-1]:
        yield "the image has no version"


# %% name="caught"
print("the manifest itself:", list(contradictions(documents)))
for name, change in FAULTS.items():
    if not refused(planted(change), strict=True):
        print(f"{name:36}", *(list(contradictions(planted(change))) or ["passes"]))

# %% [markdown]
# One is left: the probe on a port that is not there. In a cluster that pod would be restarted for ever while the schema, and every check so far, are content. It is yours.
#
# ### Your turn

# %% exercise="dangling_ports"

# %%
exercise.check(dangling_ports)

# %% [markdown]
# Put all three checks into CI. What they can't tell is whether your cluster has the room and may pull the image; that shows in the rollout. And when is all this too much? One model, a few
# requests a second: one container on one machine with a restart policy, or no server at all, as above.

# %% [markdown]
# ## What changed
#
# {{ what_changed: mlflow-serving }}
#
# A body without a field around it, `{"columns": […], "data": […]}`, is MLflow's protocol before `2.0`; you saw it refused. And an autoscaler of `autoscaling/v2beta2` is
# gone since Kubernetes `1.26`.

# %% [markdown]
# ## Take-aways
#
# - Deployment makes a version available, serving answers requests. The alias moves in the registry; the service goes on with what it loaded until
#   something is deployed.
# - Status `200` says that a number came out. Columns with names, dates in one agreed form, and known trips sent after each rollout say whether it is the right one.
# - Count 4xx, page on 5xx, and distrust `200`: a null, a text and an impossible hour are all answered.
# - Batch when the rows are known beforehand, a table when the inputs are few, online when the input is new. Build the table first: it may be enough.
# - An image freezes the model and not its libraries. A schema finds typos; contradictions between the parts of a manifest need a check of their own.
#
# ## In an interview
#
# - *What is the difference between deploying and serving a model?* Shown in
#   [Two words that are not the same](#Two-words-that-are-not-the-same) and [What a health check proves](#What-a-health-check-proves).
# - *The service answers `200` and the predictions are nonsense. How can that be?* Shown in [Status `200`, and wrong](#Status-200,-and-wrong) and
#   [Dates and parameters](#Dates-and-parameters).
# - *Batch or online: how do you decide?* Shown in [Batch against online](#Batch-against-online).
#
# With the points of a good answer, and more of them: `walkforward practice --lesson 09` in a terminal.
#
# ## Up next
#
# The service answers, one request after the other. [09b · Serving under load](09b_serving_under_load.ipynb) sends it thousands a second, finds what it spends its time on, and makes it fail
# gracefully.
