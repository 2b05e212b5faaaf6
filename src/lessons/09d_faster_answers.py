# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
#   walkforward:
#     ci:
#       first_month: "2019-09"
#       n_sent: 50
# ---

# %% [markdown]
# # 09d · Faster answers
#
# After this lesson you can find what a model server spends its time on, make it many times faster without changing one answer, and say when that is not
# worth it.

# %% [markdown]
# > **You will learn to** count what one request costs · take the cost out step by step, and prove that the answers stay · read a benchmark with its ranges · plan
# > replicas · name the servers that industry uses, and when
# >
# > **Before you start** [09c · Serving under load](09c_serving_under_load.ipynb)
# >
# > **Time** 55 minutes of study; it runs in under half a minute
# >
# > **Interview questions it answers** How do you get a model from 300<!-- given --> to 3,000<!-- given --> requests a second, and when would you not? · How many replicas
# > do you need?

# %% [markdown]
# ## Parameters

# %% tags=["parameters"]
first_month, last_month = "2019-07", "2019-10"
live_from = "2019-10-01"  # trips from this day on arrive as requests
n_sent = 200  # requests to each of two servers, whose answers are compared

# %% [markdown]
# ## Where the time of a request goes
#
# The model is a small XGBoost model of trip durations, saved as an MLflow model with its signature. A request holds one trip.

# %% name="trips"
from course import exercise
from course.data import load_trips, months, prepare_trips
from course.exercise import TODO

trips = prepare_trips(load_trips(months(first_month, last_month)))
trips = trips.sort_values("pickup_datetime", ignore_index=True)
trips["hour"], trips["weekday"] = trips["pickup_datetime"].dt.hour, trips["pickup_datetime"].dt.dayofweek
FEATURES = ["trip_distance", "pickup_location_id", "dropoff_location_id", "hour", "weekday"]
trips[FEATURES] = trips[FEATURES].astype(float)
train = trips[trips["pickup_datetime"] < live_from]
rows = trips.loc[trips["pickup_datetime"] >= live_from, FEATURES].to_numpy()

# %% name="champion"
import logging
import os
import shutil
from pathlib import Path

import mlflow
import xgboost

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
logging.getLogger("mlflow").setLevel(logging.WARNING)
FILES = Path("09d_faster_answers_files")  # everything that this lesson writes
shutil.rmtree(FILES, ignore_errors=True)  # from an earlier run
champion = xgboost.XGBRegressor(max_depth=3, learning_rate=0.3, n_estimators=60, n_jobs=1)
champion.fit(train[FEATURES], train["duration"])
example, needs = train[FEATURES].head(3), [f"xgboost=={xgboost.__version__}"]
mlflow.xgboost.save_model(champion, FILES / "model", input_example=example, pip_requirements=needs)

# %% [markdown]
# Seconds depend on your machine and on what else it does. What has to be *done* for an answer does not. So count the calls of Python functions while the stock server's own code
# answers one request, by the library that they belong to.

# %% name="calls"
import gc
import sys
from collections import Counter


def calls(answer, body):
    """Count the calls of Python functions while `answer(body)` runs, by library."""
    seen = Counter()

    def note(frame, event, _):
        parts = Path(frame.f_code.co_filename).parts
        library = parts[parts.index("site-packages") + 1] if "site-packages" in parts else "Python"
        seen[library] += event == "call"

    answer(body)  # the first time imports and fills caches
    gc.disable()  # the collector would call functions of its own
    sys.setprofile(note)
    answer(body)
    sys.setprofile(None)
    gc.enable()
    return seen


# %% name="stock"
import json

import numpy as np
from mlflow.pyfunc import scoring_server

served = mlflow.pyfunc.load_model(str(FILES / "model"))


def as_mlflow_does(body):
    schema = served.metadata.get_input_schema()
    reply = scoring_server.invocations(body.decode(), "application/json", served, schema)
    return np.array(json.loads(reply.response)["predictions"])


# %% name="where"
import pandas as pd


def body_of(rows, columns=FEATURES):
    """Rows of an array as a request in MLflow's own format."""
    return json.dumps({"dataframe_split": {"columns": columns, "data": rows.tolist()}}).encode()


seen = calls(as_mlflow_does, body_of(rows[:1]))
pd.Series(dict(seen.most_common(5)), name="calls of Python functions").to_frame()

# %% [markdown]
# 2,380<!-- =where[pandas, calls of Python functions] --> calls into pandas for a table of one row: it is built, checked column by column against the
# signature, and cast, each time. XGBoost itself makes
# 199<!-- =where[xgboost, calls of Python functions] -->, most of them around the data. Calls are not seconds, but they say where to look, and it is not the trees.
#
# ## The ladder
#
# So take it out, a step at a time. Each function gets the bytes of a request and gives the minutes.

# %% name="orjson"
import orjson


def orjson_frame(body):  # a faster JSON library
    table = orjson.loads(body)["dataframe_split"]
    return served.predict(pd.DataFrame(table["data"], columns=table["columns"]))


# %% name="array"
booster = champion.get_booster()
booster.set_param({"nthread": 1})


def no_frame(body):  # no DataFrame: an array, and XGBoost's own predict
    data = orjson.loads(body)["dataframe_split"]["data"]
    return booster.inplace_predict(np.array(data, dtype=np.float32), validate_features=False)


# %% [markdown]
# **ONNX** is a file format for models as graphs of operations; ONNX Runtime executes such a graph in C++ and knows nothing of pandas. `compiled` converts
# the model when it is loaded, and compares its answers with the original's.

# %% name="compiled"
from walkforward.serving import compiled

fast = compiled(str(FILES / "model"))


def onnx(body):
    return fast.predict(np.array(orjson.loads(body)["dataframe_split"]["data"]))


# %% [markdown]
# The second column decides whether a step is allowed: a thousand trips, the same answers.

# %% name="steps"
STEPS = {
    "as mlflow serves": as_mlflow_does,
    "orjson": orjson_frame,
    "no DataFrame": no_frame,
    f"compiled: {fast.path}": onnx,
}

# %% name="ladder"
thousand = body_of(rows[:1000])
right = as_mlflow_does(thousand)
same = {name: bool((np.abs(step(thousand) / right - 1) < 1e-5).all()) for name, step in STEPS.items()}
count = {name: calls(step, body_of(rows[:1])).total() for name, step in STEPS.items()}
pd.DataFrame({"Python calls": count, "same answers": same})

# %% [markdown]
# From thousands of calls to a handful, and the answers agree to one part in 100,000<!-- given -->.
#
# **Predict first.** A client in another language sends the same trips with the columns in another order, which it may, since they have names. Which of the four steps still answer right?

# %% name="shuffled"
order = [4, 0, 3, 1, 2]
shuffled = body_of(rows[:1000, order], [FEATURES[i] for i in order])
off = {name: np.abs(step(shuffled) - right).mean() for name, step in STEPS.items()}
pd.Series(off, name="minutes off").round(2).to_frame()

# %% [markdown]
# The fault of [09a · Serving](09a_serving.ipynb), and this time it is yours: no error, and wrong by 8.4<!-- =shuffled[no DataFrame, minutes off] --> minutes on average. The DataFrame was slow, but it
# also put the columns in order, refused what was missing and turned texts away. **Every step that removes work removes a promise that the work
# kept**, and you have to keep it yourself.
#
# ### Your turn

# %% exercise="rows_by_name"

# %%
exercise.check(rows_by_name)

# %% [markdown]
# Three steps are left, and they do not change what is computed. **Threads**: for one row XGBoost gathers threads on all cores; `OMP_NUM_THREADS=1` stops that. **Server**: Granian reads HTTP in Rust and hands Python the bytes.
# **Workers**: Python executes one thread at a time, so a second core needs a second process, with a model of its own in memory.
#
# ## A step that is not taken
#
# **Batching**: while the model works, requests queue up; put all of them into one call. It pays where a call costs much and a row little. Two clients
# ask a model that compares each distance with the mean of what it is shown, once each alone, once in one call.

# %% name="merged"
clients = {"Ada": [1.0, 3.0], "Bo": [10.0, 30.0]}  # km


def from_the_mean(km):  # rows depend on the rows beside them
    return np.array(km) - np.mean(km)


alone = np.concatenate([from_the_mean(km) for km in clients.values()])
merged = from_the_mean([one for km in clients.values() for one in km])
asked = [f"{who}, {one:.0f} km" for who, km in clients.items() for one in km]
pd.DataFrame({"alone": alone, "merged": merged}, index=asked)

# %% [markdown]
# Ada's longer trip is 1.0<!-- =merged[Ada, 3 km, alone] --> km above her mean. Merged with Bo's it is -8.0<!-- =merged[Ada, 3 km, merged] --> km: her answer is made of his
# rows, with status 200<!-- given -->, and only under load. Ranks, gaps filled with the mean, a scaler fitted in `predict` all do this. So
# `walkforward serve` never merges. A server that does must be told the largest batch, the longest wait, and that this model's rows are independent. Prove the last: the same rows split and shuffled, and every answer the same.
#
# ## What each step bought
#
# The record comes from `benchmarks/serving.py`: two cores, shared by server and load generator; a model of 300<!-- given --> trees;
# 32 connections in a **closed loop**, one row a request. Each server's answers were compared with the pyfunc's first. The ranges are the least and the most of five runs.

# %% name="record"
from math import ceil

from course.paths import ROOT

record = json.loads((ROOT / "benchmarks" / "results" / "serving.json").read_text(encoding="utf-8"))
rungs = pd.DataFrame(record["rungs"]).dropna(subset="rps").set_index("key")
keys = ["stock", "stock-1", "fastapi", "granian", "native", "onnx", "ours", "ours-2", "limit"]
shown = rungs.loc[keys, ["name", "change", "rps"]].rename(columns={"rps": "requests/s"}).set_index("name")
shown["range"] = [f"{rungs.rps_min[key]:,.0f}–{rungs.rps_max[key]:,.0f}" for key in keys]
shown["p99, ms"] = [f"{rungs.p99_ms_min[key]:.0f}–{rungs.p99_ms_max[key]:.0f}" for key in keys]
shown.round().astype({"requests/s": int})

# %% name="climb"
import matplotlib.pyplot as plt

from walkforward.plots import PALETTE, use_style

use_style()
bars = rungs.loc[keys[::-1]]
spread = [bars["rps"] - bars["rps_min"], bars["rps_max"] - bars["rps"]]
fig, ax = plt.subplots(figsize=(6.4, 3.2))
ax.errorbar(bars["rps"], bars["name"], xerr=spread, fmt="o", markersize=4, color=PALETTE["blue"])
ax.set(
    xscale="log",
    xlim=(100, 60_000),
    xlabel="requests a second (log scale), closed loop; least to most of 5 runs",
)
ax.set_title("Two steps bring most: no DataFrame, compiled trees", loc="left")
plt.show()

# %% [markdown]
# *Figure: requests a second of nine servers on a logarithmic scale, with the range of five runs; the two large steps are from Granian with pyfunc to Granian with XGBoost, and from there to ONNX Runtime.*
#
# Compare ranges, not medians. One thread instead of all, 203<!-- =record: 1 thread +\d+ +(\d+)–231 -->–231<!-- =record: 1 thread +\d+ +203–(\d+) --> against 195<!-- =record: serve +\d+ +(\d+)–226 -->–226<!-- =record: serve +\d+ +195–(\d+) -->: the ranges overlap, so nothing is shown. FastAPI is ahead of that, and Granian of FastAPI, both by little: as long as pandas is there, no server gets far. The array in place of the DataFrame is the first large step,
# the compiled model the second. Then *walkforward serve* is **slower** than its neighbour above: it has the checks again that the steps before it dropped. The last row, the same server answering a constant, is the limit that no work on the model gets past.

# %% [markdown]
# Two cautions. The load generator shares the two cores, so a second worker is judged unfairly. And the p99 here are from a closed loop: they say how long a full server takes, not what users feel. For that there is a run on schedule:

# %% name="soak"
soak = json.loads((ROOT / "benchmarks" / "results" / "serving_soak.json").read_text(encoding="utf-8"))
print(f"walkforward serve, {soak['rate']:,.0f} a second on schedule for {soak['minutes']:.0f} minutes:")
print(
    f"p50 {soak['p50_ms']} ms, p99 {soak['p99_ms']} ms, slowest {soak['worst_ms']} ms, errors {soak['errors']}"
)

# %% [markdown]
# At 80<!-- given --> % of its limit p99 is 7.9<!-- =soak: p99 ([\d.]+) --> ms, counted from when each request was due. This is the number to promise.
#
# ## How many replicas, and when not to climb
#
# A **replica** is one copy of the server with cores of its own. It can't be used fully. In the simplest queue (random arrivals, random work, one server, load $\rho$) an answer takes
# $1/(1-\rho)$ times its work on average, and p99 is 4.6<!-- given --> times that: at 60<!-- given --> % load 2.5<!-- given --> and 11.5<!-- given --> times the work, at 95<!-- given --> % 20 and 92<!-- given --> times. So plan with 60<!-- given --> %, and with one replica more than you need, for the day when one dies.
#
# ### Your turn

# %% exercise="replicas_needed"

# %%
exercise.check(replicas_needed)

# %% [markdown]
# Now divide a rate by what was measured: one process on two cores, shared with the load generator. On machines of your own it will be another number, so measure there; the ratio of the two servers is what carries over.

# %% name="replicas"
per_second = {"mlflow models serve": record["mlflow_rps"], "walkforward serve": record["ours_rps"]}
goals = (50, 3_000, 10_000)
plan = {name: [ceil(goal / (0.6 * rps)) + 1 for goal in goals] for name, rps in per_second.items()}
pd.DataFrame.from_dict(plan, orient="index", columns=[f"{goal:,} a second" for goal in goals])

# %% [markdown]
# **At 50 requests a second both need 2<!-- =replicas[mlflow models serve, 50 a second] -->**, and every hour on the ladder is lost. Do not climb either when answers can be computed in advance, when requests bring a thousand
# rows each (what pandas is made for), or when the model itself is slow.
#
# At 3,000<!-- given --> a second it is 25<!-- =replicas: models serve +\d+ +(\d+) --> against 2<!-- =replicas: walkforward serve +\d+ +(\d+) -->. If you pay by replica and hour, that is the ratio of the bills. Where an endpoint scales to zero you pay for the time in which it works, and the ratio is that of the work.
# Against both stands what you now have to keep yourself, and the tests that prove it for each new model.
#
# ## The same protocol, and other servers
#
# `walkforward serve models:/trips@champion` speaks MLflow's protocol. What it can't compile it serves through pyfunc, and says so. Ask both servers the same, right and wrong.

# %% name="twin"
import requests

from course.servers import fast_server, model_server

bad = {
    "not JSON": b"{",
    "no known format": b'{"rows": [[1, 2, 3, 4, 5]]}',
    "a column is missing": body_of(rows[:1, :4], FEATURES[:4]),
    "a text for a number": body_of(np.array([["far", *rows[0, 1:]]], dtype=object)),
    "columns in another order": body_of(rows[:1, order], [FEATURES[i] for i in order]),
}
bodies = [body_of(rows[[i]]) for i in range(n_sent)] + list(bad.values())
headers = {"Content-Type": "application/json"}
found = []
for start in (model_server, fast_server):
    with start(str(FILES / "model"), FILES / start.__name__) as server:
        url = f"{server.uri}/invocations"
        found.append([requests.post(url, data=body, headers=headers, timeout=30) for body in bodies])

# %% name="compared"
minutes = [[answer.json()["predictions"][0] for answer in answers[:n_sent]] for answers in found]
print("the same answers:", np.allclose(*minutes, rtol=1e-5))
statuses = [[answer.status_code for answer in answers[n_sent:]] for answers in found]
pd.DataFrame(statuses, index=["stock", "ours"], columns=list(bad)).T

# %% [markdown]
# The same answers and refusals, because whatever is not the plain case goes to MLflow's own code. These are the servers that you will meet at work:
#
# | server | take it when |
# |---|---|
# | `mlflow models serve` | a few hundred requests a second are enough; one command |
# | BentoML, Ray Serve | Python around several models: BentoML packs them into images, Ray Serve spreads them over a cluster |
# | NVIDIA Triton | networks on GPUs: it batches, and runs TensorRT, ONNX and PyTorch side by side |
# | KServe | Kubernetes is there: one resource gives rollout, canary and scaling on requests, with a server such as Triton inside |
# | MLServer | no more: it is unmaintained, and MLflow removed `--enable-mlserver` in `3.13` |
#
# **gRPC** sends binary messages with a fixed schema over HTTP/2; Triton and KServe speak it. Take it between services of your own when bodies are large or calls many: tensors and images are no longer written as text. Browsers and partners want JSON.

# %% [markdown]
# ## What changed
#
# {{ what_changed: mlflow-serving }}

# %% [markdown]
# ## Take-aways
#
# - Of the time of a one-row request the trees are the smallest part. Measure, take out the largest part, measure again.
# - Each step that removes work removes a promise too: column order, types, missing values. Keep it yourself, and prove it by comparing answers.
# - A step is shown when the ranges of repeated runs do not overlap. A p99 from a closed loop is no promise; one on a schedule is.
# - Plan replicas at 60<!-- given --> % load and one more. At 50 requests a second the stock server is enough.

# %% [markdown]
# ## In an interview
#
# - *How do you get a model from 300<!-- given --> to 3,000<!-- given --> requests a second, and when would you not?* Shown in [The ladder](#The-ladder).
# - *A benchmark says that server A is 8<!-- given --> % faster than server B. What do you ask?* Shown in [What each step bought](#What-each-step-bought).
# - *How many replicas for 3,000<!-- given --> requests a second?* Shown in [How many replicas, and when not to climb](#How-many-replicas,-and-when-not-to-climb).
#
# More, with the points of a good answer: `walkforward practice --lesson 09d` in a terminal.

# %% [markdown]
# ## Up next
#
# A fast wrong answer is still wrong. [09e · Failing gracefully](09e_failing_gracefully.ipynb) refuses what the model should never see, answers when it can't, and lets a new model fail where few are hurt.
