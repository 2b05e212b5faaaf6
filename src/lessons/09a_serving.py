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
# ---

# %% [markdown]
# # 09a · Serving
#
# After this lesson you can put a model behind an address, write requests that it can't misread, and name the bad requests that it answers
# with status `200`.

# %% [markdown]
# > **You will learn to** serve a model with MLflow · speak its protocol in all formats · find wrong answers behind status `200` · write dates that
# > mean the same on both sides · tell which faults are the client's
# >
# > **Before you start** [05a · Models and flavors](05a_models_and_flavors.ipynb)
# >
# > **Time** 60 minutes of study; it runs in under half a minute
# >
# > **Interview questions it answers** The service answers `200` and the predictions are nonsense. How can that be? · What does a model's
# > signature check, and what does it not?

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

# %% [markdown]
# ## Status `200`, and wrong
#
# You train boosted trees on an array, as many tutorials do. `asked` holds 300<!-- given --> later trips whose duration a client wants to know.

# %% name="array_model"
import pandas as pd
from xgboost import XGBRegressor

train, test = trips[trips["pickup_datetime"] < test_from], trips[trips["pickup_datetime"] >= test_from]
asked = test.sample(min(n_trips, len(test)), random_state=0)
model = XGBRegressor(max_depth=4, learning_rate=0.3, n_estimators=n_trees, n_jobs=1)
model.fit(train[FEATURES].to_numpy(), train["duration"])


def error(minutes):
    """Mean absolute error of the answers to `asked`, in minutes."""
    return float((asked["duration"] - minutes).abs().mean())


naive = error(train["duration"].median())
print(f"the median of all trips: {naive:.2f} minutes off", end=", ")
print(f"the model: {error(model.predict(asked[FEATURES].to_numpy())):.2f}")

# %% [markdown]
# Save it as an MLflow model. From the example of an input MLflow infers the **signature**, the columns and types that the model accepts.

# %% name="save"
import logging
import os
import shutil
from pathlib import Path

import mlflow
import xgboost

os.environ |= {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}
logging.getLogger("mlflow").setLevel(logging.WARNING)
FILES = Path("09a_serving_files")  # everything that this lesson writes
shutil.rmtree(FILES, ignore_errors=True)  # from an earlier run
NEEDS = [f"xgboost=={xgboost.__version__}"]

example = train[FEATURES].head(3).to_numpy()
mlflow.xgboost.save_model(model, FILES / "array", input_example=example, pip_requirements=NEEDS)

# %% [markdown]
# `mlflow models serve -m FOLDER` puts it behind an address. The course's `model_server` runs this command on a free port, and stops it at the end. Any
# client that speaks HTTP can ask, in a shell as well:
#
# ```bash
# curl http://127.0.0.1:PORT/invocations -H "Content-Type: application/json" -d '{"inputs": [[1.3, 161, 237, 13, 3]]}'
# ```

# %% name="ask"
import json
from contextlib import ExitStack

import requests

from course.servers import model_server

servers = ExitStack()  # servers.close() stops what is entered here
server = servers.enter_context(model_server(str(FILES / "array"), FILES / "logs"))
http = requests.Session()
http.trust_env = False  # no proxy between you and your own machine
http.headers["Connection"] = "close"  # the server drops connections that are idle for five seconds


def ask(body, kind="application/json", of=None):
    """POST a body to the model behind `server` (or `of`); return the answer."""
    headers = {"Content-Type": kind} if kind else {}
    return http.post(f"{(of or server).uri}/invocations", data=body, headers=headers, timeout=60)


# %% [markdown]
# A colleague writes the app that asks. They send a trip as one would say it: from where, to where, how far, at what hour, on which day.

# %% name="client"
as_one_says_it = [*ZONES, "trip_distance", "hour", "weekday"]
answer = ask(json.dumps({"inputs": asked[as_one_says_it].to_numpy().tolist()}))
print("status", answer.status_code, "·", len(answer.json()["predictions"]), "answers, the first three:")
print(*(f"{minutes:.1f}" for minutes in answer.json()["predictions"][:3]), "minutes")

# %% [markdown]
# The status is 200<!-- =client: status (\d+) -->, every trip has its answer, and the app goes live. Later the trips are over, and you can compare.
#
# **Predict first.** Each column is in another's place. Is the error now a little worse, or worse than without a model? And which wrong order would a monitor of the error not find?

# %% name="orders"
orders = {
    "as the model learnt it": FEATURES,
    "as one says it": as_one_says_it,
    "sorted by name": sorted(FEATURES),
    "weekday before hour": ["trip_distance", *ZONES, "weekday", "hour"],
    "drop-off before pick-up": ["trip_distance", *reversed(ZONES), "hour", "weekday"],
}
said = {name: ask(json.dumps({"inputs": asked[order].to_numpy().tolist()})) for name, order in orders.items()}
minutes = {name: pd.Series(answer.json()["predictions"], asked.index) for name, answer in said.items()}
rows = {name: (answer.status_code, round(error(minutes[name]), 2)) for name, answer in said.items()}
rows = {"no model: the median": ("", round(naive, 2))} | rows
pd.DataFrame.from_dict(rows, orient="index", columns=["status", "MAE"])

# %% [markdown]
# The app's answers are off by 36.51<!-- =orders[as one says it, MAE] --> minutes, five times worse than no model. A JSON library that sorts its fields does nearly as badly. Somebody will complain about
# these two. With hour and weekday swapped, 5.43<!-- =orders[weekday before hour, MAE] --> still beats the median. With the zones swapped the error stays at 3.07<!-- =orders[drop-off before pick-up, MAE] -->. Do at least these answers agree
# with the right ones?

# %% name="swapped"
apart = (minutes["as the model learnt it"] - minutes["drop-off before pick-up"]).abs()
print(f"they differ by {apart.mean():.1f} minutes on average, by {apart.max():.0f} at most")

# %% [markdown]
# Every customer gets the time of another trip, up to 16<!-- =swapped: by (\d+) at most --> minutes off, and no monitor of the mean error can tell. Look at what the model says that it accepts:

# %% name="signature"
print(mlflow.models.get_model_info(str(FILES / "array")).signature.inputs)

# %% [markdown]
# Rows of five numbers, of any meaning. The names were lost in `to_numpy()`, before MLflow saw the model. A request can go wrong at each of these boxes:
#
# ```mermaid
# flowchart LR
#     client["client<br/>builds the body"] -- "POST /invocations" --> process["server<br/>parses the JSON"]
#     process -- "415, 400" --> client
#     process --> signature{"signature<br/>names, types"}
#     signature -- "400" --> client
#     signature --> model["model<br/>predict"]
#     model -- "200 and a number,<br/>right or wrong" --> client
# ```
#
# ## Columns with names
#
# Train on the table itself, and let the example be a table. The trees are the same; the signature is not.

# %% name="named_model"
model.fit(train[FEATURES], train["duration"])
example = train[FEATURES].head(3)
mlflow.xgboost.save_model(model, FILES / "named", input_example=example, pip_requirements=NEEDS)
servers.close()
server = servers.enter_context(model_server(str(FILES / "named"), FILES / "logs"))
print(str(mlflow.models.get_model_info(str(FILES / "named")).signature.inputs).replace(", ", "\n "))

# %% [markdown]
# First the colleague's body again. Then the same trips with names, in the colleague's order.

# %% name="refused"
answer = ask(json.dumps({"inputs": asked[as_one_says_it].to_numpy().tolist()}))
print(answer.status_code, answer.json()["message"].split("Error: ")[-1].split(". ")[0])
answer = ask(json.dumps({"dataframe_records": asked[as_one_says_it].to_dict("records")}))
print(answer.status_code, f"error {error(answer.json()['predictions']):.2f} minutes")

# %% [markdown]
# The first is refused, with the reason. The second is right in any order, because names travel with the values. Log a model with a table as its example, and these faults are gone.
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
bodies = {name: (json.dumps({name: content}), "application/json") for name, content in bodies.items()}
bodies["text/csv"] = (three.to_csv(index=False), "text/csv")
rows = {name: (len(body), body[:60] + " …", ask(body, kind).text) for name, (body, kind) in bodies.items()}
formats = pd.DataFrame.from_dict(rows, orient="index", columns=["bytes", "body", "answer"])
formats["same answer"] = formats["answer"] == formats["answer"].iloc[0]
with pd.option_context("display.max_colwidth", None):
    display(formats.drop(columns="answer"))

# %% [markdown]
# `dataframe_split` says each name once, `dataframe_records` with each row: more bytes, but each row can be read alone in a log. Both always mean a table: prefer them. `instances` and
# `inputs` come from TensorFlow Serving, and can mean a table or an array.
#
# ### Your turn

# %% exercise="build_request"

# %%
exercise.check(build_request)

# %% [markdown]
# ## Dates: whose clock?
#
# Hour and weekday are computed twice so far: by you in training, by each client when it asks. Two programs that compute the same feature will differ one day. So let the model do it: `src/projects/trip_service/trip_model.py`
# takes the moment of the pick-up, computes hour and weekday, and asks the same trees.

# %% name="clock_model"
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema

from course.paths import ROOT

model.get_booster().save_model(FILES / "booster.ubj")
types = {"pickup_datetime": "datetime", "trip_distance": "double", **dict.fromkeys(ZONES, "long")}
inputs = Schema([ColSpec(kind, name) for name, kind in types.items()])
example = asked[["pickup_datetime", "trip_distance"]].assign(**asked[ZONES].astype(int)).head(3)
mlflow.pyfunc.save_model(
    FILES / "clock",
    python_model=ROOT / "src" / "projects" / "trip_service" / "trip_model.py",
    artifacts={"booster": str(FILES / "booster.ubj")},
    signature=ModelSignature(inputs=inputs, outputs=Schema([ColSpec("double")])),
    input_example=example,
    pip_requirements=NEEDS,
)
clock = servers.enter_context(model_server(str(FILES / "clock"), FILES / "logs"))

# %% [markdown]
# JSON has no dates, so each client writes them its own way.
#
# **Predict first.** The trip began at 13:05 in New York, on 3 October 2019. Which of the writings below will the server read as that moment, and which will it refuse?

# %% name="told"
trip = {"trip_distance": 1.3, "pickup_location_id": 161, "dropoff_location_id": 237}


def ask_clock(when, **changes):
    return ask(json.dumps({"dataframe_records": [{**trip, "pickup_datetime": when, **changes}]}), of=clock)


def told(answer):
    """The prediction, or the last part of the message, where MLflow puts the cause."""
    if answer.ok:
        return f"{answer.json()['predictions'][0]:.2f}"
    is_json = answer.headers["content-type"] == "application/json"
    text = answer.json().get("message", answer.text) if is_json else answer.text
    return text.split("Error: ")[-1].split("Invalid input. ")[-1].strip("'")[:60]


# %% name="dates"
moments = ["2019-10-03T13:05:00", "2019-10-03 13:05", "2019-10-03T17:05:00Z", "2019-10-03T13:05:00-04:00"]
moments += ["2019-10-03T17:05:00", "03.10.2019 13:05", 1570122300000, None]
rows = {str(when): (answer.status_code, told(answer)) for when in moments for answer in [ask_clock(when)]}
pd.DataFrame.from_dict(rows, orient="index", columns=["status", "told"])

# %% [markdown]
# A time zone, `Z` or `-04:00`, is refused. The developer who gets this 400<!-- =dates[2019-10-03T17:05:00Z, status] --> cuts off the `Z`. Now the
# server takes Greenwich's clock for New York's, and answers. The German date, `03.10.2019 13:05`, is read as 10 March. The milliseconds, which is how JavaScript
# writes a date, are read as nanoseconds: minutes past midnight on 1 January 1970. A missing date is answered too. What does such a client cost?

# %% name="clock_errors"
utc = asked["pickup_datetime"] + pd.Timedelta(hours=4)  # New York in October
written = {
    "ISO text, New York's clock": asked["pickup_datetime"].dt.strftime("%Y-%m-%dT%H:%M:%S"),
    "UTC, its Z cut off": utc.dt.strftime("%Y-%m-%dT%H:%M:%S"),
    "milliseconds since 1970": asked["pickup_datetime"].astype("datetime64[ms]").astype("int64"),
}
rows = {}
for label, moment in written.items():
    table = asked[["trip_distance"]].assign(**asked[ZONES].astype(int), pickup_datetime=moment)
    answer = ask(json.dumps({"dataframe_records": table.to_dict("records")}), of=clock)
    rows[label] = (answer.status_code, round(error(answer.json()["predictions"]), 2))
pd.DataFrame.from_dict(rows, orient="index", columns=["status", "MAE"])

# %% [markdown]
# Status 200<!-- =clock_errors[milliseconds since 1970, status] --> each time, and up to 5.01<!-- =clock_errors[milliseconds since 1970, MAE] --> minutes instead of 3.07<!-- =clock_errors[ISO text, New York's clock, MAE] -->. Agree on one form, ISO 8601<!-- given --> text, and on whose clock it shows. And let the model refuse impossible
# years.
#
# ## What a bad request gets
#
# Back to the model with five named columns.
#
# **Predict first.** Write down the status that you expect for each of these bodies.

# %% name="cases"
good = three.iloc[0].to_dict()
no_hour = {name: value for name, value in good.items() if name != "hour"}
bad = {
    "column missing": no_hour,
    "column renamed": {**no_hour, "pickup_hour": 9.0},
    "word for a number": {**good, "hour": "nine"},
    "number as text": {**good, "hour": "9"},
    "true for a number": {**good, "hour": True},
    "null": {**good, "hour": None},
    "hour 99, minus 5 miles": {**good, "hour": 99.0, "trip_distance": -5.0},
    "column too many": {**good, "colour": "red"},
}
bad = {case: json.dumps({"dataframe_records": [row]}) for case, row in bad.items()}
bad |= {"empty body": "", "rows without a field around them": json.dumps([good])}

# %% name="bad_requests"
fine = json.dumps({"dataframe_records": [good]})
answers = {case: ask(body) for case, body in bad.items()}
answers |= {"text/plain": ask(fine, "text/plain"), "no content type": ask(fine, None)}
answers["null in an integer column"] = ask_clock("2019-10-03T13:05:00", pickup_location_id=None)
answers["half a zone (161.5)"] = ask_clock("2019-10-03T13:05:00", pickup_location_id=161.5)
rows = {case: (answer.status_code, told(answer)) for case, answer in answers.items()}
pd.DataFrame.from_dict(rows, orient="index", columns=["status", "told"])

# %% [markdown]
# Read it in three groups.
#
# - **4xx, the client's fault.** Wake nobody, but count them: a rise after a release means that somebody changed a column.
# - **5xx, the server's fault**, and a reason to page. Except that here a forgotten header gives 500<!-- =bad_requests[no content type, status] -->: a client can wake you.
# - **`200`, and wrong.** A null in a `required` column passes, because required means that the column is there. Text is turned into numbers, `true` is one o'clock. The signature checks
#   names and types. Whether an hour can be 99 is a question of meaning, which the model's author has to answer in code.
#
# An integer column is stricter, and refuses the null. But look at the last line: there is no zone 161.5<!-- given -->. In Python the same signature refuses it.

# %% name="cast"
half = pd.DataFrame([trip]).assign(pickup_location_id=161.5, pickup_datetime=pd.Timestamp("2019-10-03 13:05"))
try:
    mlflow.pyfunc.load_model(str(FILES / "clock")).predict(half)
except mlflow.exceptions.MlflowException as refusal:
    print(str(refusal).split("Error: ")[-1][:100])

# %% [markdown]
# Over HTTP it is cut to 161<!-- given --> before the signature sees it. JavaScript writes 161.0<!-- given --> as `161`, so the server forces each column into its
# type first. What you tested in Python is not what production checks: test through the server.
#
# Last, read two refusals as a stranger would.

# %% name="leak"
refusal = ask(three.to_csv(index=False).replace("\n", "\nnine", 1), "text/csv")
print("a stack trace names files of the server:", "site-packages" in refusal.json()["stack_trace"])
refusal = ask(json.dumps({"dataframe_records": [{**no_hour, "email": "ana@example.com"}]}))
print("another repeats your row:               ", "ana@example.com" in refusal.text)
servers.close()

# %% [markdown]
# That helps a colleague, and tells the internet too much; and the e-mail address goes into a log. The server does not ask who you are, either. Put a gateway in front of it
# that knows who may ask, and that shortens refusals.
#
# ### Your turn

# %% exercise="next_step"

# %%
exercise.check(next_step)

# %% [markdown]
# ## Take-aways
#
# - Status `200` says that a number came out. Whether it is the right one is decided by names, units, clocks and meanings.
# - Train and save with a table as the example: a body without names is refused, one with names is right in any order.
# - Agree on ISO 8601<!-- given --> text and on whose clock; a `Z` that was cut off is four hours that nobody sees.
# - A signature checks names and types, after the server has cast. Ranges and meanings are your code.
# - Count 4xx, page on 5xx, and distrust `200`.

# %% [markdown]
# ## In an interview
#
# - *The service answers `200` and the predictions are nonsense. How can that be?* Shown in [Status `200`, and wrong](#Status-200,-and-wrong).
# - *The error rises after a client's release, and no request is refused. What do you suspect?* Shown in [Dates: whose clock?](#Dates:-whose-clock?)
# - *All columns are required in the signature. What passes all the same?* Shown in [What a bad request gets](#What-a-bad-request-gets).
#
# With the points of a good answer, and more of them: `walkforward practice --lesson 09a` in a terminal.

# %% [markdown]
# ## Up next
#
# [09b · Deploying](09b_deploying.ipynb): is a server needed at all, which version answers, and what keeps it running on Kubernetes.
