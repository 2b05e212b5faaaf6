# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
#   walkforward:
#     ci:
#       first_month: "2019-09"
#       requests_sent: 100
#       simulations: 100
# ---

# %% [markdown]
# # 09b · Serving under load
#
# After this lesson you can say how many requests a second a model server really takes, make it many times faster without changing one answer, and
# decide what your users get when it breaks.

# %% [markdown]
# > **You will learn to** measure a server without fooling yourself · find where the time of a request goes and take it out, step by step · refuse at
# > once instead of being late · answer when the model can't · let a new model fail where nobody is hurt
# >
# > **Before you start** [09 · Serving](09_serving.ipynb)
# >
# > **Time** 60 minutes of study; it runs in under a minute
# >
# > **Interview questions it answers** Your load test says p99 is 5 ms and users complain. Who is right? · How do you get a model from
# > 300<!-- given --> to 3,000<!-- given --> requests a second? · A new model version is bad. How many users notice?

# %% [markdown]
# ## Parameters
#
# Three months to train on. The three months after them are the live traffic: requests in the order of the trips, and the true duration is known
# when a trip ends.

# %% tags=["parameters"]
trips_path = None  # a Parquet or CSV file of your own; None takes the course's trips
max_trips = 40_000  # of a file of your own, drawn at random; more take more time and memory
first_month, last_month = "2019-07", "2019-12"
live_from = "2019-10-01"  # trips from this day on arrive as requests
requests_sent = 200  # in each of the live load tests
simulations = 1_000  # canaries that never happened, to count false alarms
show_seconds = False  # True prints what your machine measures

# %%
from course import own_data

if trips_path is not None:  # your file: what the lesson needs of it, or a line that says what it lacks
    trips, live_from = own_data.split_trips(
        trips_path, first_month, last_month, max_trips, live_from=live_from
    )

# %%
import gc
import json
import logging
import os
import shutil
import sys
import threading
import time
import zlib
from collections import Counter, defaultdict, deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from math import ceil
from pathlib import Path
from statistics import NormalDist

# %%
import matplotlib.pyplot as plt
import mlflow
import numpy as np
import orjson
import pandas as pd
import requests
import xgboost
from mlflow.pyfunc import scoring_server
from xgboost import XGBRegressor

from course import exercise
from course.data import load_trips, months, prepare_trips
from course.exercise import TODO
from course.paths import ROOT
from course.servers import ServerError, fast_server, model_server
from walkforward.loadtest import closed_loop, open_loop
from walkforward.plots import PALETTE, use_style
from walkforward.serving import compiled

use_style()

# %% name="trips"
if trips_path is None:
    trips = load_trips(months(first_month, last_month))
trips = prepare_trips(trips)
trips = trips.sort_values("pickup_datetime", ignore_index=True)
trips["hour"], trips["weekday"] = trips["pickup_datetime"].dt.hour, trips["pickup_datetime"].dt.dayofweek
ZONES = ["pickup_location_id", "dropoff_location_id"]
FEATURES = ["trip_distance", *ZONES, "hour", "weekday"]
trips[FEATURES] = trips[FEATURES].astype(float)

train, live = trips[trips["pickup_datetime"] < live_from], trips[trips["pickup_datetime"] >= live_from]
rows, took = live[FEATURES].to_numpy(), live["duration"].to_numpy()  # requests, and what came out (minutes)
print(f"{len(train):,} trips to train on, {len(live):,} to answer live")

# %% [markdown]
# The champion is a small XGBoost model, saved as an MLflow model with its signature.

# %% name="champion"
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
logging.getLogger("mlflow").setLevel(logging.WARNING)
FILES = Path("09b_serving_under_load_files")  # everything that this lesson writes
MODEL = FILES / "champion"
shutil.rmtree(MODEL, ignore_errors=True)  # from an earlier run

champion = XGBRegressor(max_depth=3, learning_rate=0.3, n_estimators=60, n_jobs=1)
champion.fit(train[FEATURES], train["duration"])
mlflow.xgboost.save_model(
    champion,
    MODEL,
    input_example=train[FEATURES].head(3),
    pip_requirements=[f"xgboost=={xgboost.__version__}"],
)
champion_minutes = champion.predict(live[FEATURES])
print(f"misses by {np.abs(took - champion_minutes).mean():.2f} minutes on average")

# %% [markdown]
# ## A load test that reports what nobody felt
#
# **Throughput** is answers per second. **Latency** is the time one answer takes, and it is not one number: **p50** is the
# latency that half of the requests stay under, **p99** the one that 99 of 100<!-- given --> stay under. The mean hides both. A page that
# calls your model twenty times is as slow as the slowest of twenty: $1 - 0.99^{20}$, or 18<!-- given --> % of such pages wait for an answer beyond p99.
#
# Here is a server on paper. An answer takes 5 ms, fifty people a second want one, and once in the minute it stands still for two seconds: a garbage
# collection, a neighbour, a disk. The load test sends a request each 20 ms and waits for the answer before it sends the next, as loops do.

# %% name="closed"
RATE, SERVICE, STALL = 50, 0.005, (20.0, 22.0)  # requests a second; seconds; from and to second


def answered(asked, free):
    """When the request of second `asked` is answered by a server that is free from second `free` on."""
    start = max(asked, free)
    return (STALL[1] if STALL[0] <= start < STALL[1] else start) + SERVICE


def told(seconds):
    ms = 1000 * np.array(seconds)
    found = {"requests": len(ms), "mean, ms": ms.mean(), "slowest, ms": ms.max()}
    return found | {f"p{q}, ms": np.percentile(ms, q) for q in (50, 99)}


closed, now = [], 0.0
while now < 60:
    done = answered(now, now)
    closed.append(done - now)
    now = max(done, now + 1 / RATE)  # the next one waits for this answer
pd.DataFrame({"closed loop": told(closed)}).round(1)

# %% [markdown]
# A p99 of 5.0<!-- =closed[p99, ms, closed loop] --> ms. Now ask the people. They do not wait for each other: the one who arrives in second 20.5<!-- given --> does
# not know that the server stands still. Take the same server, and let the requests arrive on schedule.

# %% name="opened"
opened, free = [], 0.0
for asked in np.arange(60 * RATE) / RATE:
    free = answered(asked, free)
    opened.append(free - asked)  # counted from the moment when somebody wanted an answer
pd.DataFrame({"closed loop": told(closed), "open loop": told(opened)}).round(1)

# %% [markdown]
# A p99 of 1,555<!-- ~opened[p99, ms, open loop] --> ms, three hundred times as much. The first test measured one slow request, because it politely stopped
# asking while the server was ill. 98 requests were never sent, and those were the slow ones. This is **coordinated omission**: the load generator
# waits with the server, and the worst moments vanish from the record.
#
# - **Closed loop**: each connection sends when its last answer is in. Right for the question *how much can it take?*
# - **Open loop**: requests leave on a schedule, and latency counts from the scheduled time. Right for *what do users feel at this rate?*
#
# ### Your turn

# %% exercise="p99_from_schedule"

# %%
exercise.check(p99_from_schedule)

# %% [markdown]
# Is that true outside of paper? Here is a real HTTP server with a planted fault: one request sleeps for a second and holds a lock that all others need.


# %% name="faulty"
class Faulty(BaseHTTPRequestHandler):
    """Answers 200; at the 200th request everybody waits for a second."""

    protocol_version, wbufsize = "HTTP/1.1", -1  # connections stay open; an answer leaves in one piece
    lock = threading.Lock()

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        with self.lock:
            self.server.seen += 1
            time.sleep(1.0 if self.server.seen == 200 else 0.0)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        """Print nothing."""


# %%
@contextmanager
def faulty_server():
    """Run the server on a free port; yield its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Faulty)
    server.seen = 0
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


# %% [markdown]
# `walkforward.loadtest` has both loops; it asks nobody but this machine, and stops after a number of requests or seconds that you set.

# %% name="live_loops"
with faulty_server() as url:
    polite = closed_loop(url, b"{}", connections=2, requests=600, seconds=60)
with faulty_server() as url:
    honest = open_loop(url, b"{}", rate=300, requests=600, seconds=60)

print("all answered:                            ", polite.errors + honest.errors == 0)
print("closed loop: p99 under half of the stall:", polite.percentile(99) < 500)
print("open loop: p99 over half of the stall:   ", honest.percentile(99) > 500)
if show_seconds:
    print(polite.summary(), honest.summary(), sep="\n")

# %% [markdown]
# The same fault, the same server, two reports. When somebody shows you a p99, ask how it was counted.
#
# ### One law that checks every report
#
# **Little's law**: the number of requests inside a server is the rate at which they arrive times the time that each one stays,
#
# $$L = \lambda \, W \qquad \text{for example } 3000\ \tfrac{1}{\mathrm{s}} \times 0.005\ \mathrm{s} = 15 \text{ requests.}$$
#
# It holds for every distribution, and it works in all directions. If your test has 8 connections and each waits for its answer, then $L$ is 8, and
# rate and mean latency can't both be anything. A report that breaks the law is wrong. A server that takes 100<!-- given --> ms for an answer needs
# 300<!-- given --> open connections to reach 3,000<!-- given --> a second.

# %% [markdown]
# ## The stock server, and where its time goes
#
# `mlflow models serve` with one row in a request, named columns, as in the lesson before. Eight connections, each waits for its answer.


# %% name="stock"
def body_of(row):
    """One row as a request in MLflow's own format."""
    return json.dumps({"dataframe_split": {"columns": FEATURES, "data": [row.tolist()]}}).encode()


bodies = [body_of(row) for row in rows[:requests_sent]]
servers = ExitStack()  # whatever is entered here ends with servers.close()
try:
    stock = servers.enter_context(model_server(str(MODEL), FILES / "stock"))
    load = closed_loop(f"{stock.uri}/invocations", bodies, connections=8, requests=requests_sent, seconds=60)
    inside = load.rps * load.latencies_ms.mean() / 1000  # Little's law
    print("every status is 200:   ", set(load.statuses) == {200})
    print("p99 is above p50:      ", load.percentile(99) > load.percentile(50))
    print("requests inside are 8: ", abs(inside - 8) < 1)
    if show_seconds:
        print(load.summary())
except ServerError as reason:
    stock = None
    print(f"The stock server does not start on this machine, read on without it: {reason}")

# %% [markdown]
# How fast that was depends on your machine and on what else it does, so the seconds of this lesson come from a record made beforehand, further
# down. What has to be *done* for an answer does not depend on the machine. Count the calls of Python functions while the stock server's own code
# answers one request, by the library that they belong to.


# %% name="calls"
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
    try:
        answer(body)
    finally:
        sys.setprofile(None)
        gc.enable()
    return seen


# %% name="where"
served = mlflow.pyfunc.load_model(str(MODEL))
SIGNATURE = served.metadata.get_input_schema()


def as_mlflow_does(body):
    reply = scoring_server.invocations(body.decode(), "application/json", served, SIGNATURE)
    return np.array(json.loads(reply.response)["predictions"])


seen = calls(as_mlflow_does, bodies[0])
top = pd.Series(dict(seen.most_common(5)))
top["everything else"] = seen.total() - top.sum()
top.rename("calls of Python functions").to_frame()

# %% [markdown]
# 2,380<!-- =where[pandas, calls of Python functions] --> calls into pandas for a table of one row: it is built, checked column by column against the
# signature, and cast, each time. Pandas is made for the case that the table is long. XGBoost itself, with its own DataFrame handling, makes
# 199<!-- =where[xgboost, calls of Python functions] -->, most of them around the data. Calls are not seconds, but they say where to look, and it is not the trees.

# %% [markdown]
# ## The ladder
#
# So take it out, a step at a time. Each function below gets the bytes of a request and gives the minutes.


# %% name="steps"
def orjson_frame(body):  # a faster JSON library
    table = orjson.loads(body)["dataframe_split"]
    return served.predict(pd.DataFrame(table["data"], columns=table["columns"]))


booster = champion.get_booster()
booster.set_param({"nthread": 1})


def no_frame(body):  # no DataFrame: an array, and XGBoost's own predict
    data = orjson.loads(body)["dataframe_split"]["data"]
    return booster.inplace_predict(np.array(data, dtype=np.float32), validate_features=False)


fast = compiled(str(MODEL))  # the trees as an ONNX graph, run by ONNX Runtime


def onnx(body):
    return fast.predict(np.array(orjson.loads(body)["dataframe_split"]["data"]))


# %% [markdown]
# **ONNX** is a file format for models as graphs of operations; ONNX Runtime executes such a graph in C++ and knows nothing of pandas. `compiled` converts
# the model when it is loaded, compares its answers with the original's, and says which path it took. The second column decides whether a step is allowed.

# %% name="ladder"
thousand = json.dumps({"dataframe_split": {"columns": FEATURES, "data": rows[:1000].tolist()}}).encode()
right = as_mlflow_does(thousand)
STEPS = {
    "as mlflow serves": as_mlflow_does,
    "orjson": orjson_frame,
    "no DataFrame": no_frame,
    f"compiled: {fast.path}": onnx,
}
table = pd.DataFrame(
    {
        name: {
            "Python calls": calls(step, bodies[0]).total(),
            "same answers": bool((np.abs(step(thousand) / right - 1) < 1e-5).all()),
        }
        for name, step in STEPS.items()
    }
).T
table

# %% [markdown]
# From thousands of calls to a handful, and a thousand answers agree to one part in 100,000<!-- given -->. Before you celebrate: a client in another
# language sends the same trips with the columns in another order. That is its good right, they have names.

# %% name="shuffled"
order = [4, 0, 3, 1, 2]
other = {"columns": [FEATURES[i] for i in order], "data": rows[:1000, order].tolist()}
shuffled = json.dumps({"dataframe_split": other}).encode()
off = {name: np.abs(step(shuffled) - right).mean() for name, step in STEPS.items()}
pd.Series(off, name="minutes off").round(2).to_frame()

# %% [markdown]
# The fault of lesson 09, and this time it is yours: no error, and wrong by 8.4<!-- =shuffled[no DataFrame, minutes off] --> minutes on average. The DataFrame was not only slow. It
# also put the columns in order, refused what was missing and turned texts away. **Every step that removes work removes a promise that the work
# kept**, and you have to keep it yourself:


# %% name="named"
def named(body):
    table = orjson.loads(body)["dataframe_split"]
    place = {column: i for i, column in enumerate(table["columns"])}
    if missing := [column for column in FEATURES if column not in place]:
        raise ValueError(f"no column {missing[0]}")  # the server makes a 400 of it
    order = [place[column] for column in FEATURES]
    return fast.predict(np.array(table["data"], dtype=float)[:, order])


print("same answers, shuffled:", bool((np.abs(named(shuffled) / right - 1) < 1e-5).all()))
print("Python calls:          ", calls(named, bodies[0]).total())

# %% [markdown]
# Three steps are left, and they do not change what is computed:
#
# - **Threads**: XGBoost gathers a team of threads on all cores, for one row. `OMP_NUM_THREADS=1` costs one line, also with the stock server.
# - **Server**: reading HTTP costs too. Granian does it in Rust and hands Python the bytes.
# - **Workers**: Python executes one thread at a time (the global interpreter lock), so a second core needs a second process, with a model of its own in memory.
#
# ### A step that is not taken
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
# rows, with status 200<!-- given -->, and only under load. Ranks, gaps filled with the mean, a scaler fitted in `predict` all do this, and a model's example of one row can't tell. So
# `walkforward serve` never merges.
#
# A server that does (most that serve neural networks offer it) must be told three things: the largest batch, the longest wait (it is
# added to every latency in a quiet hour), and that this model's rows are independent. The last you prove: the same rows split and shuffled, and every answer the same.
#
# ### What each step bought
#
# The record comes from `benchmarks/serving.py`: a machine of two cores with the load generator on the same two, a model of 300<!-- given --> trees,
# 32 connections, one row a request. Each step is a server of its own, most of them twenty lines in `benchmarks/serving/`, and its answers were held against the
# pyfunc's before it was measured.

# %% name="record"
record = json.loads((ROOT / "benchmarks" / "results" / "serving.json").read_text(encoding="utf-8"))
rungs = pd.DataFrame(record["rungs"]).dropna(subset="rps").set_index("name")
shown = pd.DataFrame(
    {
        "what changes": rungs["change"],
        "requests/s": rungs["rps"].round().astype(int),
        "p50, ms": rungs["p50_ms"].round(1),
        "p99, ms": rungs["p99_ms"].round(1),
        "times stock": (rungs["rps"] / record["mlflow_rps"]).round(1),
    }
)
print(f"medians of {record['runs']} runs of {record['seconds']:g} s, load from {record['tool']}")
shown.rename_axis(None)

# %% name="climb"
bars = rungs.iloc[::-1]
LADDER = ["stock", "stock-1", "fastapi", "granian", "native", "onnx", "ours", "ours-2"]
colours = [PALETTE["blue" if key in LADDER else "grey"] for key in bars["key"]]
fig, ax = plt.subplots(figsize=(6.4, 0.8 + 0.27 * len(bars)))
ax.bar_label(ax.barh(bars.index, bars["rps"], color=colours), fmt="{:,.0f}", padding=3, fontsize=8)
for goal in (3_000, 10_000):
    ax.axvline(goal, color=PALETTE["red"], linewidth=1, linestyle="--")
ax.set(xscale="log", xlim=(min(100, bars["rps"].min() / 2), 4 * bars["rps"].max()))
ax.set_xlabel("requests a second (log scale); dashed: 3,000 and 10,000")
ax.tick_params(axis="y", labelsize=8)
fig.suptitle(
    f"The same answers, {record['ours_rps'] / record['mlflow_rps']:.0f} times as many of them",
    **{"x": 0.01, "ha": "left", "fontsize": 11, "fontweight": "bold"},
)
plt.show()

# %% [markdown]
# *Figure: requests a second of each server on a logarithmic scale; the steps of the ladder in blue rise from the stock server to ours, other servers and the limit are grey; dashed
# lines mark 3,000<!-- given --> and 10,000<!-- given -->.*
#
# Follow the blue bars, each against the one before. As long as pandas is there, no other server and no other JSON library gets far. The
# step that matters is the array in place of the DataFrame, the second is the compiled model. Then the last row comes into sight: the same server
# answering a constant is the **limit**, and no work on the model gets you past it. The checks that you took out on the way are back in
# *walkforward serve*, done while the JSON is read.
#
# Find out what a request costs where, take the largest part, measure again. Whoever starts with the trees (a smaller model, a GPU) makes the smallest
# part smaller. A second worker shares two cores with the load generator here; judge it where the load comes from another machine.

# %% [markdown]
# ## How many machines, and when not to climb
#
# Managed platforms advertise endpoints of 3,000<!-- given --> requests a second. They get there with replicas, and you pay for each. How many is
# arithmetic, with one catch: a replica can't be used fully. In the simplest queue (random arrivals, one server, load $\rho$) an answer takes
# $1/(1-\rho)$ times its work: 2.5<!-- given --> times at 60<!-- given --> % load, 20 times at 95<!-- given --> %. Your p99 lives there, so plan with 60<!-- given --> %.

# %% name="replicas"
HEADROOM = 0.6
per_second = {"mlflow models serve": record["mlflow_rps"], "walkforward serve": record["ours_rps"]}
replicas = pd.DataFrame(
    {
        f"{goal:,} a second": {name: ceil(goal / (HEADROOM * rps)) for name, rps in per_second.items()}
        for goal in (50, 3_000, 10_000)
    }
)
replicas

# %% [markdown]
# Read the first column before the others. **At 50 requests a second 1<!-- =replicas[mlflow models serve, 50 a second] --> stock server is enough**, others maintain it, and every hour on the
# ladder is lost. Do not climb either when answers can be computed in advance (a nightly batch needs no server), when requests bring a thousand
# rows each (what pandas is made for), or when the model itself is slow (a large network: buy hardware and a server that batches).
#
# Climb when the middle column is your traffic. An endpoint is billed by the replica and the hour whether it is asked or not, so the ratio of the two rows is
# the ratio of two bills. (Add one replica for the day on which another dies.) Against it stand the promises that you now keep yourself, and the tests that prove them for each new model.

# %% [markdown]
# ## The top of the ladder as a server
#
# All of it in one command, with MLflow's protocol: `walkforward serve models:/trips@champion`. What it can't compile it serves through pyfunc, and says so. Ask
# both servers the same.

# %% name="twin"
try:
    ours = servers.enter_context(fast_server(str(MODEL), FILES / "ours"))
except ServerError as reason:
    ours = None
    print(f"Our server does not start on this machine, read on without it: {reason}")


def ask(server, body):
    headers = {"Content-Type": "application/json"}
    return requests.post(f"{server.uri}/invocations", data=body, headers=headers, timeout=30)


if stock and ours:
    both = [[ask(server, body).json()["predictions"][0] for server in (stock, ours)] for body in bodies[:200]]
    theirs, mine = np.array(both).T
    print(len(both), "requests, same answers:", bool((np.abs(mine / theirs - 1) < 1e-5).all()))

# %% name="bad"
far = {"columns": FEATURES, "data": [["far", *rows[0, 1:]]]}
bad = {
    "not JSON": "{",
    "no known format": '{"rows": [[1, 2, 3, 4, 5]]}',
    "a column is missing": json.dumps({"dataframe_split": {"columns": FEATURES[:4], "data": [[1, 2, 3, 4]]}}),
    "a text for a number": json.dumps({"dataframe_split": far}),
    "columns in another order": json.dumps({"dataframe_split": other | {"data": other["data"][:1]}}),
}
if stock and ours:
    table = {name: [ask(stock, body).status_code, ask(ours, body).status_code] for name, body in bad.items()}
    print(pd.DataFrame(table, index=["stock", "ours"]).T)

# %% [markdown]
# The same refusals, because whatever is not the plain case goes to MLflow's own code, which is slow and right. And it counts what it does, in the
# format that Prometheus reads:

# %% name="metrics"
if ours:
    for line in requests.get(f"{ours.uri}/metrics", timeout=30).text.splitlines():
        if "requests_total{" in line:
            print(line)

# %% [markdown]
# ## Too much: refuse at once
#
# Every server has a limit, and one day the traffic is above it. On paper again: a server that can answer 100<!-- given --> requests a second gets
# 120<!-- given -->, for half a minute. `bound` is how many may be inside, waiting or in work; who finds it full gets a 503<!-- given --> at once.


# %% name="overload"
def overload(bound, rate=120, seconds=30, each=0.01):
    """Seconds of arrival and milliseconds of latency for each accepted request, and the share refused."""
    inside, accepted, refused = deque(), [], 0
    for arrives in np.arange(rate * seconds) / rate:
        while inside and inside[0] <= arrives:
            inside.popleft()  # answered meanwhile
        if len(inside) >= bound:
            refused += 1
            continue
        inside.append(max(arrives, inside[-1] if inside else 0.0) + each)
        accepted.append((arrives, 1000 * (inside[-1] - arrives)))
    return np.array(accepted), refused / (rate * seconds)


queues = {"no bound": overload(10**9), "at most 20 inside": overload(20)}
pd.DataFrame(
    {
        name: {"refused, %": 100 * refused, "slowest, ms": seen[:, 1].max()}
        for name, (seen, refused) in queues.items()
    }
).round(1)

# %%
fig, ax = plt.subplots()
for name, (seen, _) in queues.items():
    ax.plot(*seen.T, label=name)
ax.set(xlabel="second of arrival", ylabel="latency (ms)")
ax.legend()
ax.set_title("At 120 % load a queue without a bound makes everybody wait")
plt.show()

# %% [markdown]
# *Figure: latency by second of arrival at 120<!-- given --> % load; without a bound it rises in a straight line to six seconds, with 20 requests at most inside it stays at a fifth of a second.*
#
# Both servers answer 100<!-- given --> requests a second; no queue can change that. Without a bound everyone waits, the last one
# 6,000<!-- ~overload[slowest, ms, no bound] --> ms, for an answer that nobody reads any more. With it, 16.1<!-- =overload[refused, %, at most 20 inside] --> % are
# told *no* while they can still do something else, and nobody waits longer than 200<!-- =overload[slowest, ms, at most 20 inside] --> ms. A long queue does not
# absorb an overload. It hides it.
#
# How long may it be, then? As long as a request that still enters can be answered in time.
#
# ### Your turn

# %% exercise="admit"

# %%
exercise.check(admit)

# %% [markdown]
# Now live, at a rate far above what both servers can do. Ours runs on MLflow's slow path on purpose, with a queue of 8.

# %% name="overloaded"
TOO_FAST = {"rate": 2_000, "requests": 300, "seconds": 60, "connections": 64}
SLOW = ("--pyfunc", "--queue", "8")

if stock and ours:
    waits = open_loop(f"{stock.uri}/invocations", bodies, **TOO_FAST)
    with fast_server(str(MODEL), FILES / "small", options=SLOW) as small:
        refuses = open_loop(f"{small.uri}/invocations", bodies, **TOO_FAST)
    first, last = np.median(waits.latencies_ms[:100]), np.median(waits.latencies_ms[-100:])
    print("stock: the last hundred wait twice as long as the first, or longer:", last > 2 * first)
    print("ours: statuses", *sorted(refuses.statuses))
    print("ours: p99 below half of the stock server's:", refuses.percentile(99) < waits.percentile(99) / 2)
    if show_seconds:
        print(waits.summary(), refuses.summary(), refuses.statuses, sep="\n")
servers.close()

# %% [markdown]
# The stock server took everything in, and each request made the next one wait longer. Ours said no to most, and was quick about it.
#
# ## Retries turn a pause into an outage
#
# Now the clients' side. A server that can do 100<!-- given --> requests a second gets 90, which is fine. Clients give up after a second
# and try again, up to three times. At second 10 the server stands still for five seconds, and is well again after that. What do users get for the
# rest of the minute?


# %% name="storm"
def storm(retries, bound, budget=1e9):
    """Share of the users answered in time, and requests sent, for each of 60 seconds; a tick is 10 ms, one answer."""
    queue, gives_up, saved = deque(), defaultdict(list), budget
    good, sent = np.zeros(60), np.zeros(60)
    for tick in range(6_000):
        new = [1] if tick % 10 else []  # 90 new users a second
        again = [one["try"] + 1 for one in gives_up.pop(tick, []) if one["waits"] and one["try"] <= retries]
        again = again[: int(min(saved, len(again)))]
        saved = min(saved - len(again) + budget * len(new), 100 * budget)
        for number in new + again:
            one = {"try": number, "at": tick, "waits": True}
            gives_up[tick + 100].append(one)  # a second later
            sent[tick // 100] += 1
            if len(queue) < bound:
                queue.append(one)
        if queue and not 1_000 <= tick < 1_500:
            one = queue.popleft()  # the server does not know whether anybody still waits for it
            one["waits"] = tick - one["at"] >= 100
            good[tick // 100] += not one["waits"]
    return good / 90, sent


# %% name="storms"
policies = {
    "no retry, no bound": storm(0, 10**9),
    "3 retries, no bound": storm(3, 10**9),
    "3 retries, at most 50 inside": storm(3, 50),
    "the same, retries on a budget": storm(3, 50, budget=0.1),
}
spans = ((0, 10), (15, 20), (30, 40), (50, 60))
outcome = {
    name: {f"s {a}–{b}": 100 * good[a:b].mean() for a, b in spans} | {"most sent in a second": sent.max()}
    for name, (good, sent) in policies.items()
}
pd.DataFrame(outcome).T.round(0).astype(int)  # of the users, % answered in time

# %% [markdown]
# Read the second row. The server is healthy from second 15 on, works at full speed until the end, and not one user gets an answer. It
# works on requests whose senders have left, while those senders, now 360<!-- =storms[3 retries, no bound, most sent in a second] --> a second, keep the queue
# long enough that the next answer is late too. A pause of five seconds became an outage without end; such a state is called **metastable**, and
# only cutting the traffic helps.
#
# The bound ends it, because what the server takes in it can still answer in time. The last row adds a **budget** on the clients' side: one retry
# for ten requests, so that retries can't be more than a tenth of the load. Add a growing, randomised wait too (**backoff** with **jitter**), and let
# only one layer retry: three layers with three retries each send up to 64 requests for one click.

# %% [markdown]
# ## Refuse what the model should never see
#
# The signature checks types. Here are three requests of the right type, from a client with a bug each.

# %% name="confident"
trip = dict(zip(FEATURES, rows[0].tolist(), strict=True))
faulty = {
    "as it was": {},
    "meters instead of miles": {"trip_distance": trip["trip_distance"] * 1609},
    "hour of the next day": {"hour": 27.0},
    "a sensor's -1": {"trip_distance": -1.0},
}
requests_in = {name: trip | fault for name, fault in faulty.items()}
for name, given in requests_in.items():
    print(f"{name:24}", f"{fast.predict(np.array([list(given.values())]))[0]:.1f} minutes")

# %% [markdown]
# A model always answers, with the same confidence. Status 200<!-- given -->, a plausible number, and no alarm anywhere. What a value may be has to be written
# down by somebody who knows what it means, and checked at the **edge**, before the model.

# %% name="edge"
last_zone = max(265, int(train[ZONES].to_numpy().max()))
ALLOWED = {
    "trip_distance": (0, 100),
    **dict.fromkeys(ZONES, (1, last_zone)),
    "hour": (0, 23),
    "weekday": (0, 6),
}


def refusal(given):
    """Return why a request is refused (a 400), or None. A missing value is refused too: NaN is in no range."""
    for name, (low, high) in ALLOWED.items():
        if not low <= given[name] <= high:
            return f"{name}={given[name]:g}: must be {low} to {high}"
    return None


for name, given in requests_in.items():
    print(f"{name:24}", refusal(given))

# %% [markdown]
# ## Answer when the model can't
#
# The model hangs: a full disk, a feature store that does not reply. A time limit alone gives your user an error message. A **fallback** gives an
# answer that is worse and known to be: the median duration between the two zones, or of all trips where the pair is new.

# %% name="fallback"
known = train.groupby(ZONES)["duration"].agg(["median", "count"])
PAIRS = known.loc[known["count"] >= 3, "median"].to_dict()
OVERALL = float(train["duration"].median())


def baseline(row):
    return PAIRS.get((row[1], row[2]), OVERALL)


def miss(minutes):
    return np.abs(took - minutes).mean()


pd.Series(
    {
        "the model": miss(champion_minutes),
        "fallback: zone pair": miss(np.array([baseline(row) for row in rows])),
        "fallback: overall": miss(OVERALL),
    },
    name="misses by (minutes)",
).round(2).to_frame()

# %% [markdown]
# Two minutes worse than the model, two minutes better than one number for all, and a dictionary can't hang. What is forgotten most often: the answer must **say**
# that it is a fallback, to the client and to a counter. A silent fallback is an outage that nobody sees.


# %% name="with_fallback"
class WithFallback:
    """Ask the model, but no longer than `limit` seconds; label what was answered, and count it."""

    def __init__(self, model, limit, threads=2):
        self.model, self.limit, self.counted = model, limit, Counter()
        self.pool = ThreadPoolExecutor(threads)

    def answer(self, row):
        try:
            minutes, source = self.pool.submit(self.model, row).result(self.limit), "model"
        except TimeoutError:
            minutes, source = baseline(row), "fallback"
        self.counted[source] += 1
        return {"minutes": round(float(minutes), 1), "source": source}


# %% name="hangs"
repaired, asked = threading.Event(), Counter()


def sometimes_hangs(row):
    asked["times"] += 1
    if asked["times"] in (3, 5):  # two requests never come back, until somebody repairs it
        repaired.wait()
    return fast.predict(row[None])[0]


service = WithFallback(sometimes_hangs, limit=0.4)
for row in rows[:8]:
    print(service.answer(row))
repaired.set()
service.pool.shutdown()
print(dict(service.counted))

# %% [markdown]
# Every user got an answer in time. But only the third and the fifth request hang, and from the fifth on all answers are fallbacks. The time limit frees
# the user, not the thread: both threads hang, and nobody is left to ask the model. So put an alarm on the share of fallbacks, and add a **circuit breaker**: after a few failures in a row stop asking the model, and let one request through now and then to see whether it is back.

# %% [markdown]
# ## A new model, where it can't hurt: shadow traffic
#
# In the **shadow** a challenger gets the live requests too, and its answers are kept, not sent. Two candidates: deeper trees, and the table of zone pairs, which a colleague finds *fast and good enough*.


# %% name="shadow"
class Shadow:
    """Answer with the champion; ask the challenger too, and keep what it would have said."""

    def __init__(self, challenger):
        self.challenger, self.kept, self.crashes = challenger, {}, Counter()

    def answer(self, request_id, row):
        minutes = fast.predict(row[None])[0]
        try:  # in production: in a queue of its own, so that a slow challenger does not slow the answer
            self.kept[request_id] = self.challenger(row)
        except Exception as error:
            self.crashes[type(error).__name__] += 1
        return minutes


# %% name="shadows"
challenger = XGBRegressor(max_depth=6, learning_rate=0.1, n_estimators=150, n_jobs=1)
challenger.fit(train[FEATURES], train["duration"])
deeper = challenger.get_booster()
candidates = {
    "deeper trees": lambda row: deeper.inplace_predict(row[None], validate_features=False)[0],
    "table of zone pairs": lambda row: PAIRS[row[1], row[2]],
}
report = {}
for name, candidate in candidates.items():
    shadow = Shadow(candidate)
    sent = [shadow.answer(i, row) for i, row in enumerate(rows[:1000])]
    ids = list(shadow.kept)  # once the trips have ended, the labels are there
    report[name] = {
        "users answered": len(sent),
        "crashes": shadow.crashes.total(),
        "misses by": np.abs(took[ids] - list(shadow.kept.values())).mean(),
        "champion, same trips": np.abs(took[ids] - np.array(sent)[ids]).mean(),
    }
pd.DataFrame(report).T.round(2)

# %% [markdown]
# The deeper trees are better than the champion on the same trips. The table of pairs crashes on 147<!-- =shadows[table of zone pairs, crashes] --> of a thousand requests, between zones that it hardly ever saw, and is worse on the rest. No user
# noticed. What a shadow costs: the computation twice. What it can't show: effects of the answers, because nobody acts on an answer that was not sent.

# %% [markdown]
# ## Five users of a hundred: a canary that rolls itself back
#
# The deeper trees go on, as a **canary**: they answer a small share of the users for real. Which users? The obvious line is
# `random.random() < 0.05`, and then a user who asks twice gets two different answers. A hash of the user's id is random enough, and stays.
#
# ```mermaid
# flowchart LR
#     users --> router{"hash of<br/>the user's id"}
#     router -- "95 %" --> champion
#     router -- "5 %" --> canary["challenger,<br/>as a canary"]
#     router -. "a copy; answers are kept" .-> shadow["the next one,<br/>in the shadow"]
#     canary -- "errors, failures" --> rule{"rule"}
#     rule -- "roll back: 0 %, at once" --> router
#     rule -- "promote: 100 %" --> router
# ```
#
# ### Your turn

# %% exercise="route"

# %%
exercise.check(route)


# %% [markdown]
# The release has a fault that no test offline could see: the feature service delivers **kilometers**, the model learnt miles. Beside it, the sound
# release. For each canary request we also compute what the champion would have said, so that the **extra error** of a
# request compares two answers to the same trip.

# %% name="canary"
canary = np.array([zlib.crc32(f"release 7/{i}".encode()) / 2**32 < 0.05 for i in range(len(rows))])
in_kilometers = rows * np.where(np.array(FEATURES) == "trip_distance", 1.609344, 1.0)
said = {
    "sound": challenger.predict(live[FEATURES]),
    "kilometers": challenger.predict(pd.DataFrame(in_kilometers, columns=FEATURES)),
}
extra = {
    name: (np.abs(took - minutes) - np.abs(took - champion_minutes))[canary] for name, minutes in said.items()
}
print(f"{100 * canary.mean():.1f} % of the requests go to the canary")

# %% [markdown]
# When to roll back? The obvious rule: look every 20 canary requests, and roll back when the challenger's mean error is worse. It finds the kilometers. It
# has one fault, and you only see it with challengers that are *exactly as good* as the champion. Those are easy to make: take real pairs
# of answers and toss a coin for each, which of the two models said which.


# %% name="naive"
def worse_on_average(extra):
    """The naive rule: has the mean extra error been above zero at any look?"""
    return bool((np.cumsum(extra)[19::20] > 0).any())


rng = np.random.default_rng(0)
pairs = np.abs(took - said["sound"]) - np.abs(took - champion_minutes)  # of all live trips
equals = [rng.choice(pairs, 800) * rng.choice([-1, 1], 800) for _ in range(simulations)]
print("kilometers rolled back:", worse_on_average(extra["kilometers"]))
print(f"false alarms: {100 * np.mean([worse_on_average(one) for one in equals]):.0f} %")

# %% [markdown]
# 92<!-- =naive: false alarms: (\d+) --> % of the harmless challengers are rolled back. The mean of a few noisy numbers is above zero half of the time, and the
# rule looks forty times. After the third false alarm somebody switches the rule off.
#
# A rule that can be trusted says beforehand **when** it looks, and divides its false alarms among the looks: five looks, 5<!-- given --> % in all, so
# 1<!-- given --> % each. At a look it asks whether the mean is further from zero than luck explains.

# %% name="rule"
LOOKS, ALPHA = (50, 100, 200, 400, 800), 0.05
LIMIT = NormalDist().inv_cdf(1 - ALPHA / len(LOOKS))  # standard errors


def verdict(extra):
    """What is decided from the extra errors (minutes, in order), and after how many canary requests."""
    for look in LOOKS:
        if len(extra) < look:
            return "go on", len(extra)
        seen = extra[:look]
        distance = seen.mean() / (seen.std(ddof=1) / look**0.5)  # from zero, in standard errors
        if distance > LIMIT:
            return "rolled back", look
    return ("promoted" if distance < -LIMIT else "no decision"), look


alarms = np.mean([verdict(one)[0] == "rolled back" for one in equals])
print(f"false alarms: {100 * alarms:.1f} % of {simulations:,}, allowed are {100 * ALPHA:.0f} %")

# %% [markdown]
# Now let both releases run, trip by trip.


# %% name="release"
def release(name):
    """Send live requests until the rule decides; how many users had the challenger's answer by then?"""
    passed, decided = [], "go on"
    for number, minutes in enumerate(said[name]):
        if canary[number]:  # the others are answered by the champion
            passed.append(abs(took[number] - minutes) - abs(took[number] - champion_minutes[number]))
            decided, _ = verdict(np.array(passed))
        if decided != "go on":
            break
    return {
        "decision": decided,
        "requests until then": number + 1,
        "answered by it": len(passed),
        "extra error, minutes": round(float(np.mean(passed)), 2),
    }


pd.DataFrame({name: release(name) for name in ("kilometers", "sound")})

# %% [markdown]
# 50<!-- =release[answered by it, kilometers] --> users got a bad answer, of 1,228<!-- =release[requests until then, kilometers] --> who asked; without the canary it would have
# been all of them until somebody complained. The sound one is promoted at the last look: the alias of [07 · Registry](07_registry.ipynb) moves to it. *No decision* is a result as well: keep the champion, or go on with a larger share.
#
# The rule needs labels. Ours arrive when a trip ends, within the hour; where they take weeks, a canary can only be judged by what is known at
# once: failures, latency, the share of fallbacks, the distribution of the answers. For failures you write the rule.
#
# ### Your turn

# %% exercise="failing_canary"

# %%
exercise.check(failing_canary)

# %% [markdown]
# ## What changed
#
# {{ what_changed: mlflow-serving }}

# %% [markdown]
# ## Take-aways
#
# - A closed loop stops asking while the server is ill. Latency that users feel is counted from when the request was due, and it is p99, not the mean.
# - Requests inside = rate × latency. With it you check a report and size a server.
# - Of the time of a one-row request the trees are the smallest part. Each step that removes work removes a promise too: column order, types, missing
#   values. Keep it yourself and prove it by comparing answers.
# - A bounded queue refuses at once; a queue without a bound, together with retries, turns a pause into an outage.
# - Check ranges at the edge, limit the time, fall back to a baseline, and label the fallback.
# - Shadow first, then a sticky canary, with a rule for rolling back whose false alarms were counted before the release.
#
# ## In an interview
#
# - *Your load test says p99 is 5 ms and users complain. Who is right?* Shown in
#   [A load test that reports what nobody felt](#A-load-test-that-reports-what-nobody-felt).
# - *How do you get a model from 300<!-- given --> to 3,000<!-- given --> requests a second, and when would you not?* Shown in [The ladder](#The-ladder).
# - *You release a new model version, and it is bad. What happens?* Shown in
#   [Five users of a hundred](#Five-users-of-a-hundred:-a-canary-that-rolls-itself-back).
#
# With the points of a good answer, and more of them: `walkforward practice --lesson 09b` in a terminal.
#
# ## Up next
#
# You have built by hand what platforms sell: an endpoint that scales, splits its traffic and rolls back. In 10 · Managed platforms the same model goes to
# Databricks and Azure ML, and you know what to ask of them.
