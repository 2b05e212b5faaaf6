# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
#   walkforward:
#     ci:
#       requests_sent: 100
# ---

# %% [markdown]
# # 09c · Serving under load
#
# After this lesson you can measure what users of a model server feel, find the report that hides it, and keep a server alive when more is asked than it can
# answer.

# %% [markdown]
# > **You will learn to** count latency from when somebody wanted the answer · check any load report with Little's law · load-test a model server · bound a queue, so that the rest is
# > refused at once · stop retries from turning a pause into an outage
# >
# > **Before you start** [09a · Serving](09a_serving.ipynb)
# >
# > **Time** 55 minutes of study; it runs in under half a minute
# >
# > **Interview questions it answers** Your load test says p99 is 5 ms and users complain. Who is right? · Should a full server queue requests or refuse
# > them? · The server is healthy again and still nobody gets an answer. Why?

# %% [markdown]
# ## Parameters

# %% tags=["parameters"]
requests_sent = 200  # in each of the live load tests
show_seconds = False  # True prints what your machine measures

# %% [markdown]
# ## A load test that reports what nobody felt
#
# **Throughput** is answers per second. **Latency** is the time one answer takes, and it is not one number: **p50** is the
# latency that half of the requests stay under, **p99** the one that 99 of 100<!-- given --> stay under. A page that
# calls your model twenty times waits for the slowest of twenty: if the calls are independent, $1 - 0.99^{20}$, or 18<!-- given --> % of such pages wait longer than p99.
#
# Here is a server on paper. An answer takes 5 ms, fifty people a second want one, and once in the minute it stands still for two seconds: a garbage
# collection, a neighbour, a disk.

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from course import exercise
from course.exercise import TODO
from walkforward.plots import use_style

use_style()

# %% name="paper"
RATE, SERVICE, STALL = 50, 0.005, (20.0, 22.0)  # requests a second; seconds; from and to second


def answered(asked, free):
    """When the request of second `asked` is answered by a server that is free from second `free` on."""
    start = max(asked, free)
    return (STALL[1] if STALL[0] <= start < STALL[1] else start) + SERVICE


# %% [markdown]
# The load test sends a request each 20 ms and waits for the answer before it sends the next, as a loop does.

# %% name="closed"
closed, now = [], 0.0
while now < 60:
    done = answered(now, now)
    closed.append(done - now)
    now = max(done, now + 1 / RATE)  # the next one waits for this answer


# %% name="report"
def report(**loops):
    """A table of latencies in seconds, a column for each kind of loop."""
    ms = {loop.replace("_", " "): 1000 * np.array(seconds) for loop, seconds in loops.items()}
    rows = {loop: (len(one), one.mean(), np.median(one), np.percentile(one, 99)) for loop, one in ms.items()}
    return pd.DataFrame(rows, index=["requests", "mean, ms", "p50, ms", "p99, ms"]).round(1)


report(closed_loop=closed)

# %% [markdown]
# A p99 of 5.0<!-- =report[p99, ms, closed loop] --> ms. Now ask the people. They do not wait for each other: whoever arrives in second 20.5<!-- given --> does
# not know that the server stands still.
#
# **Predict first.** The same server, but requests arrive on schedule, 50 a second, and the time counts from then. What is p99 now?

# %% name="opened"
opened, free = [], 0.0
for asked in np.arange(60 * RATE) / RATE:
    free = answered(asked, free)
    opened.append(free - asked)  # from the moment when somebody wanted an answer
report(closed_loop=closed, open_loop=opened)

# %% [markdown]
# A p99 of 1,555<!-- ~opened[p99, ms, open loop] --> ms, three hundred times as much. The first test measured one slow request, because it stopped
# asking while the server stood still. 98 requests were never sent, and those were the slow ones. This is **coordinated omission**: the load generator
# waits with the server, and the worst moments are missing from the record.
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
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Faulty(BaseHTTPRequestHandler):
    protocol_version, lock = "HTTP/1.1", threading.Lock()

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


# %% [markdown]
# `walkforward.loadtest` has both loops. It asks nobody but this machine, and stops after the requests or seconds that you set.

# %% name="under"
from walkforward.loadtest import closed_loop, open_loop


def under(loop, **options):
    """What a loop reports about a new faulty server."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Faulty)
    server.seen = 0
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_port}"
        return loop(url, b"{}", requests=600, seconds=60, **options)
    finally:
        server.shutdown()
        server.server_close()


# %% name="live_loops"
polite, honest = under(closed_loop, connections=2), under(open_loop, rate=300)
print("closed loop: p99 under half of the stall:", polite.percentile(99) < 500)
print("open loop: p99 over half of the stall:   ", honest.percentile(99) > 500)
if show_seconds:
    print(polite.summary(), honest.summary(), sep="\n")

# %% [markdown]
# The same fault, the same server, two reports. When somebody shows you a p99, ask how it was counted.
#
# ## One law that checks every report
#
# **Little's law**: the number of requests inside a server is the rate at which they arrive times the time that each one stays,
#
# $$L = \lambda \, W \qquad \text{for example } 3000\ \tfrac{1}{\mathrm{s}} \times 0.005\ \mathrm{s} = 15 \text{ requests.}$$
#
# It needs averages over a time in which as many leave as arrive; it assumes no distribution. If your test has 8 connections and each waits for its answer, then $L$ is 8, and
# rate and mean latency can't both be anything. A report that breaks the law is wrong.
#
# Try it on a model server: `mlflow models serve` with one row in a request. First a small model and some requests.

# %% name="champion"
import json
import logging
import os
import shutil
from pathlib import Path

import mlflow
import xgboost

from course.data import load_trips, prepare_trips

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
logging.getLogger("mlflow").setLevel(logging.WARNING)
FILES = Path("09c_serving_under_load_files")  # everything that this lesson writes
shutil.rmtree(FILES, ignore_errors=True)  # from an earlier run
trips = prepare_trips(load_trips(["2019-09"]))
rows = trips[["trip_distance", "pickup_location_id", "dropoff_location_id"]].astype(float)

# %% name="bodies"
model = xgboost.XGBRegressor(max_depth=3, n_estimators=60, n_jobs=1).fit(rows, trips["duration"])
needs = [f"xgboost=={xgboost.__version__}"]
mlflow.xgboost.save_model(model, FILES / "model", input_example=rows.head(3), pip_requirements=needs)
singles = [rows.iloc[[i]].to_dict("split", index=False) for i in range(requests_sent)]
bodies = [json.dumps({"dataframe_split": single}).encode() for single in singles]

# %% name="stock"
from contextlib import ExitStack

from course.servers import fast_server, model_server

servers = ExitStack()  # servers.close() stops what is entered here
stock = servers.enter_context(model_server(str(FILES / "model"), FILES / "logs"))
load = closed_loop(f"{stock.uri}/invocations", bodies, connections=8, requests=requests_sent, seconds=60)
inside = load.rps * load.latencies_ms.mean() / 1000  # Little's law
print("every status is 200:  ", set(load.statuses) == {200})
print("requests inside are 8:", abs(inside - 8) < 1)
if show_seconds:
    print(load.summary())

# %% [markdown]
# That was a closed loop, so its rate is the most that the server takes. Its p99 says little about users: nobody had to wait for their turn to ask. And the p99 of 200<!-- given --> requests rests on the slowest two. For a number to promise, send thousands on a schedule,
# at the rate that you expect, and repeat: the ranges of [09d · Faster answers](09d_faster_answers.ipynb) are from five runs each.
#
# ## Too much: refuse at once
#
# Every server has a limit, and one day the traffic is above it. On paper again: a server that can answer 100<!-- given --> requests a second gets
# 120<!-- given -->, for half a minute. `bound` is how many may be inside, waiting or in work; who finds it full gets a 503<!-- given --> at once.

# %% name="overload"
from collections import deque


def overload(bound, rate=120, seconds=30, each=0.01):
    """Seconds of arrival and milliseconds of latency for each accepted request, and the share refused."""
    inside, accepted = deque(), []
    for arrives in np.arange(rate * seconds) / rate:
        while inside and inside[0] <= arrives:
            inside.popleft()  # answered meanwhile
        if len(inside) < bound:
            inside.append(max(arrives, inside[-1] if inside else 0.0) + each)
            accepted.append((arrives, 1000 * (inside[-1] - arrives)))
    return np.array(accepted), 1 - len(accepted) / (rate * seconds)


# %% name="queues"
queues = {"no bound": overload(10**9), "at most 20 inside": overload(20)}
rows = {name: (100 * refused, seen[:, 1].max()) for name, (seen, refused) in queues.items()}
pd.DataFrame(rows, index=["refused, %", "slowest, ms"]).round(1)

# %%
fig, ax = plt.subplots()
for name, (seen, _) in queues.items():
    ax.plot(*seen.T, label=name)
ax.set(xlabel="second of arrival", ylabel="latency (ms)", title="At 120 % load a bound keeps latency down")
ax.legend()
plt.show()

# %% [markdown]
# *Figure: latency by second of arrival at 120<!-- given --> % load; without a bound it rises in a straight line to six seconds, with 20 requests at most inside it stays at a fifth of a second.*
#
# Both servers answer 100<!-- given --> requests a second; no queue can change that. Without a bound everyone waits, the last one
# 6,000<!-- ~queues[slowest, ms, no bound] --> ms. With it, 16.1<!-- =queues[refused, %, at most 20 inside] --> % are
# refused while they can still do something else, and nobody waits longer than 200<!-- =queues[slowest, ms, at most 20 inside] --> ms. A long queue does not
# absorb an overload; it hides it.
#
# How long may it be, then? As long as a request that still enters can be answered in time.
#
# ### Your turn

# %% exercise="admit"

# %%
exercise.check(admit)

# %% [markdown]
# Now live, at a rate far above what both servers can do. `walkforward serve` runs on MLflow's slow path on purpose, with a queue of 8.

# %% name="overloaded"
TOO_FAST = {"rate": 2_000, "requests": 300, "seconds": 60, "connections": 64}
waits = open_loop(f"{stock.uri}/invocations", bodies, **TOO_FAST)
with fast_server(str(FILES / "model"), FILES / "small", options=("--pyfunc", "--queue", "8")) as small:
    refuses = open_loop(f"{small.uri}/invocations", bodies, **TOO_FAST)
servers.close()
first, last = np.median(waits.latencies_ms[:100]), np.median(waits.latencies_ms[-100:])
print("stock: the last hundred wait twice as long as the first, or longer:", last > 2 * first)
print("ours: statuses", *sorted(refuses.statuses))
print("ours: p99 below half of the stock server's:", refuses.percentile(99) < waits.percentile(99) / 2)
if show_seconds:
    print(waits.summary(), refuses.summary(), refuses.statuses, sep="\n")

# %% [markdown]
# The stock server took everything in, and each request made the next one wait longer. Ours refused most, quickly.
#
# ## Retries turn a pause into an outage
#
# Now the clients' side. A server that can do 100<!-- given --> requests a second gets 90, which is fine. Clients give up after a second
# and try again, up to three times. At second 10 the server stands still for five seconds, and is well again after that. The simulation goes in ticks of 10 ms, the time of one answer.

# %% name="request"
from dataclasses import dataclass

PATIENCE, PAUSE = 100, range(1_000, 1_500)  # ticks


@dataclass
class Request:
    sent: int  # tick
    retry: int = 0  # how many came before it
    answered: bool = False


# %% name="storm"
def storm(retries, bound, budget=10**9):
    """Share of users answered in time, and requests sent, by second. `budget` is retries for each new user."""
    queue, waiting, saved = deque(), deque(), 0.0  # at the server; at the clients
    good, sent = np.zeros(60), np.zeros(60)
    for tick in range(6_000):
        asks = [Request(tick)] if tick % 10 else []  # 90 new users a second
        saved = min(saved + budget * len(asks), 100 * budget)
        while waiting and waiting[0].sent == tick - PATIENCE:  # their senders give up
            late = waiting.popleft()
            if not late.answered and late.retry < retries and saved >= 1:
                asks, saved = [*asks, Request(tick, late.retry + 1)], saved - 1
        waiting.extend(asks)
        queue.extend(asks[: max(0, bound - len(queue))])  # the rest is refused
        sent[tick // 100] += len(asks)
        if queue and tick not in PAUSE:
            done = queue.popleft()  # the server does not know whether anybody still waits
            done.answered = tick - done.sent < PATIENCE
            good[tick // 100] += done.answered
    return good / 90, sent


# %% [markdown]
# **Predict first.** The server is healthy from second 15 on and has room for 10 more a second than come. With three retries, what do users get in the last ten seconds of the minute?

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
# First row: the pause leaves 450<!-- given --> requests in the queue, and it shrinks by the 10 that are left over each second. Until fewer than 100<!-- given --> wait, every answer comes too late: that takes until second 50, ten times as long as the pause.
#
# Second row: with retries it never heals. The server works at full speed on requests whose senders have left, while those senders, now 360<!-- =storms[3 retries, no bound, most sent in a second] --> a second, keep the queue
# so long that the next answer is late too. Such a state, which feeds itself after its cause has gone, is called **metastable**. Only less traffic ends it.

# %% [markdown]
# Third row: a bound ends it, because what is let in can still be answered in time. Fourth row: a **budget** on the clients' side, one retry
# for ten requests, so that retries are never more than a tenth of the load. (Alone it would not do: 99<!-- given --> a second leave room for one, and the queue stays.) Add a growing, randomised wait (**backoff** with **jitter**), and retry in
# one layer only: three layers with three retries each send up to 64 requests for one click.

# %% [markdown]
# ## Take-aways
#
# - A closed loop stops asking while the server stands still. Latency that users feel is counted from when the request was due, and it is p99 at a stated rate.
# - Requests inside = rate × latency, averaged over a steady time. With it you check a report and size a server.
# - A bounded queue refuses at once; a queue without a bound makes everybody late and answers nobody more.
# - Retries without a budget turn a pause into an outage that does not end when its cause does.

# %% [markdown]
# ## In an interview
#
# - *Your load test says p99 is 5 ms and users complain. Who is right?* Shown in
#   [A load test that reports what nobody felt](#A-load-test-that-reports-what-nobody-felt).
# - *At the peak a fifth too much arrives. Queue or refuse?* Shown in [Too much: refuse at once](#Too-much:-refuse-at-once).
# - *The server stood still for five seconds and is well; nobody gets an answer. Why?* Shown in
#   [Retries turn a pause into an outage](#Retries-turn-a-pause-into-an-outage).
#
# With the points of a good answer, and more of them: `walkforward practice --lesson 09c` in a terminal.

# %% [markdown]
# ## Up next
#
# [09d · Faster answers](09d_faster_answers.ipynb) takes the time of a request apart, and makes the same model answer many times as often.
