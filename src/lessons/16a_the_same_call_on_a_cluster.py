# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
#   walkforward:
#     ci:
#       stations: 96
# ---

# %% [markdown]
# # 16a · The same call on a cluster
#
# After this lesson you can say whether a backtest needs more than one machine, run it on a cluster without a change, and say what travels and what happens when a worker dies.

# %% [markdown]
# > **You will learn to** calculate before you scale · read Amdahl's law · hand data to workers once · lose a worker and no result · start each kind of cluster
# >
# > **Before you start** [13b · Walk-forward validation](13b_walk_forward.ipynb): folds and `backtest`. Nothing is needed from its kernel.
# >
# > **Time** 50 minutes of study; it runs in half a minute
# >
# > **Interview questions it answers** When is one machine not enough? · Twice the workers, the same time: where do you look? · A worker dies in the middle of the job. What is lost?

# %% tags=["parameters"]
cluster_address = None  # "tcp://host:8786" of a cluster of yours; None starts two worker processes here
shared_folder = None  # with such a cluster: a folder that all its machines see
stations = 1000  # series, redrawn from twenty
folds = 1  # fortnights to forecast

# %%
import logging
import os
import tempfile
from functools import partial
from pathlib import Path

import joblib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from distributed import Client, LocalCluster

from course import exercise
from course.data import load_stations
from course.exercise import TODO
from lessons.the_cluster import record
from lessons.the_cluster.wire import counted
from walkforward.forecasting import SeasonalNaive, WalkForwardSplit, backtest, score
from walkforward.plots import PALETTE, use_style

use_style()

# %% [markdown]
# ## Calculate first
#
# A backtest with a model for each series costs series × folds × seconds of a fit. Here are four jobs of 26<!-- given --> folds. A least-squares line takes a few milliseconds; AutoETS, which tries many models, takes about a second.

# %%
jobs = {
    "20 stations by a line": [20, 0.005],
    "1000 stations by a line": [1_000, 0.005],
    "1000 stations by AutoETS": [1_000, 1.0],
    "30000 stations by AutoETS": [30_000, 1.0],
}

# %% name="jobs"
hours = pd.DataFrame(jobs, index=["series", "seconds a fit"]).T
for cores in (1, 8, 64):
    hours[f"hours on {cores}"] = hours["series"] * 26 * hours["seconds a fit"] / 3600 / cores
hours.round(3)

# %% [markdown]
# The first two jobs end in minutes on one core. **For them a cluster is the wrong answer.** The third needs 7.2<!-- =jobs[1000 stations by AutoETS, hours on 1] --> hours on one core and less than one on eight: a larger machine for an evening. Only the fourth, 217<!-- =jobs[30000 stations by AutoETS, hours on 1] --> hours, asks for many machines.
#
# Before that, make the work smaller: fewer folds, a refit every fourth fold, one global model for all series ([15c](15c_one_model_or_twenty.ipynb)), a faster model with the same error. Each of these is free, and none fails at night.

# %% [markdown]
# ## What Amdahl leaves you
#
# The last columns divide by the number of cores, 8<!-- given --> and 64<!-- given -->. That assumes that all of the work can be split. **Amdahl's law**: if a share $s$ of the time can't be split, $n$ workers are faster by $1/(s + (1-s)/n)$. It assumes equal workers, no cost of talking, and work of a fixed size.
#
# **Predict first.** Reading the data and collecting the results take 5<!-- given --> % of the time. How much faster are 64 workers: 61, 30 or 15 times?


# %% name="amdahl"
def speedup(workers, serial):
    """Amdahl's law; `serial` is the share that can't be split."""
    return 1 / (serial + (1 - serial) / workers)


pd.DataFrame(
    {n: {f"{100 * s:g} %": speedup(n, s) for s in (0, 0.01, 0.05, 0.2)} for n in (2, 8, 64, 256)}
).round(1)

# %% [markdown]
# 15.4<!-- =amdahl[5 %, 64] -->: three quarters of the cluster wait. With 256<!-- given --> workers it is 18.6<!-- =amdahl[5 %, 256] -->, and never more than 20<!-- given -->. **Efficiency** is speed-up ÷ workers, what you get of what you pay.
#
# Two more things waste workers, and the law knows neither. Each task has an **overhead**: it is packed, sent and registered. And all wait for the last task: one **straggler** keeps the cluster waiting.
#
# ### Your turn

# %% exercise="finished"

# %%
exercise.check(finished)

# %% [markdown]
# ## A thousand stations
#
# We have twenty. The thousand are **bootstrapped**: each is one of the twenty, its blocks of four weeks moved by up to two weeks. Weekdays and seasons stay. These series test the machine; about a method they say no more than the twenty.

# %%
DAYS, HORIZON = 700, 14
wide = load_stations().pivot(index="ds", columns="unique_id", values="y").tail(DAYS + 28)
rng, shown = np.random.default_rng(0), np.arange(DAYS) + 14
moves = np.repeat(7 * rng.integers(-2, 3, size=(stations, DAYS // 28)), 28, axis=1)
rides = wide.to_numpy()[shown + moves, np.arange(stations)[:, None] % 20]

# %% name="redrawn"
ids, days = [f"s{i:04}" for i in range(stations)], wide.index[shown]
frame = pd.DataFrame(rides.T, index=days, columns=ids).rename_axis("ds")
frame = frame.melt(var_name="unique_id", value_name="y", ignore_index=False).reset_index()
print(f"{frame['unique_id'].nunique():,} series, {len(frame):,} rows")

# %% [markdown]
# The model is a **local** one, fitted to each series by itself: a slope, the weekdays and two waves a year, by least squares. It has Prophet's interface; any such class would do.


# %%
class Weekly:
    """A slope, weekdays and two waves a year."""

    def columns(self, ds):
        days = (ds.to_numpy() - self.start) / np.timedelta64(365, "D")
        waves = [wave(2 * np.pi * k * days) for k in (1, 2) for wave in (np.sin, np.cos)]
        return np.column_stack([days, *waves, np.eye(7)[ds.dt.dayofweek.to_numpy()]])

    def fit(self, frame):
        self.start = frame["ds"].to_numpy()[0]
        self.weights = np.linalg.lstsq(self.columns(frame["ds"]), frame["y"].to_numpy(), rcond=None)[0]
        return self

    def predict(self, future):
        return future[["ds"]].assign(yhat=self.columns(future["ds"]) @ self.weights)


# %% name="threads"
FOLDS = WalkForwardSplit(HORIZON, folds)
on_threads = backtest(frame, Weekly, FOLDS, progress=False)
naive = backtest(frame, SeasonalNaive(7), FOLDS, progress=False)
print(
    f"MAE: seasonal naive {score(naive)['mae'].mean():.2f}, weekly line {score(on_threads)['mae'].mean():.2f}"
)

# %% [markdown]
# That was one process; its threads share the memory, so nothing travels. Each task is one **part** of the series, 16<!-- given --> at most, on one fold. With one task for each series the overhead would be paid sixteen times as often; with one for each fold there would be as many tasks as folds, however many workers you rent.
#
# ### Your turn

# %% exercise="in_parts"

# %%
exercise.check(in_parts)

# %% [markdown]
# ## The same call
#
# `backtest` uses joblib, and joblib can use Dask. Dask's **scheduler** knows which tasks there are, **workers** do them, and your notebook is the **client**. Without an address, all of it starts here, on the loopback interface.
#
# ```mermaid
# flowchart LR
#     C[client: backtest] -- names of parts --> S[scheduler]
#     S -- a name --> W1[worker]
#     S -- a name --> W2[worker]
#     C -- writes the parts --> F[(shared folder)]
#     F -- each part once --> W1
#     F -- each part once --> W2
# ```

# %%
cluster = None
if cluster_address is None:
    local = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0", "silence_logs": logging.CRITICAL}
    cluster = LocalCluster(n_workers=2, threads_per_worker=1, **local)
else:
    os.environ["JOBLIB_TEMP_FOLDER"] = shared_folder
client = Client(cluster_address or cluster)

# %% name="start"
with joblib.parallel_config(backend="dask"), counted() as sent:
    on_cluster = backtest(frame, Weekly, FOLDS, progress=False)
print("the same bits:", on_cluster.equals(on_threads))

# %% [markdown]
# One line around it, and `backtest` is as it was. **The same bits** is a promise you can test, and you should: a model that draws random numbers without a seed, or reads a file that only your laptop has, shows itself here.
#
# One trap: a cluster with one thread in all is not used. joblib then runs the work in your own process, and says nothing.

# %% [markdown]
# ## What goes over the wire
#
# The usual first attempt is an object that holds the data and a method that does a part. joblib sends the method, and the object with it, **with each task**. `counted` notes the bytes.


# %%
class Job:
    """The frame, and how a part of it is forecast."""

    def __init__(self, frame):
        self.frame = frame

    def forecast(self, part):
        rows = self.frame[self.frame["unique_id"].isin(part)]
        return [Weekly().fit(one[:-HORIZON]).predict(one[-HORIZON:]) for _, one in rows.groupby("unique_id")]


# %%
some = frame[frame["unique_id"].isin(ids[:96])]
parts = [ids[i : i + 16] for i in range(0, 96, 16)]
with joblib.parallel_config(backend="dask"), counted() as sent_by_job:
    joblib.Parallel()(joblib.delayed(Job(some).forecast)(part) for part in parts)

# %% name="wire"
data, tasks = some.memory_usage(deep=True).sum(), -(-stations // 16) * folds
print(f"data in the object: {sum(sent_by_job) / len(parts) / data:.0f} × all of the data for each task")
print("backtest: less than 20,000 bytes a task:", sum(sent) / tasks < 20_000)

# %% [markdown]
# With each task the data go to the scheduler and from there to a worker, so twice. With more series and more workers the network fills, and workers wait.
#
# | how the data get there | sent once for each | a worker dies |
# |---|---|---|
# | in the task | task | nothing is lost, all is slow |
# | `client.scatter(data)` | worker, by the network | its copy is gone; if it was the only one, the tasks fail |
# | a file on a shared folder, its name in the task | worker, by the folder | the next worker reads the file |
#
# `backtest` does the third: it writes each part to a file, sends its name, and each worker reads a part once. What is left on the wire are names and the forecasts. The folder is `store=` or the environment variable `JOBLIB_TEMP_FOLDER`; **all workers must see it under the same path**, and an error says so if one doesn't.

# %% [markdown]
# ## A worker dies
#
# Machines fail, and cheap ones are taken away with a minute's notice. This model ends its process the first time it is asked, as a power cut would.


# %%
class Fragile(Weekly):
    """Ends its process, once."""

    def __init__(self, marker):
        self.marker = Path(marker)

    def fit(self, frame):
        if not self.marker.exists():
            self.marker.touch()
            os._exit(1)
        return super().fit(frame)


# %% name="killed"
folder = tempfile.TemporaryDirectory(dir=shared_folder, ignore_cleanup_errors=True)
marker = Path(folder.name, "a worker died")
with joblib.parallel_config(backend="dask"):
    survived = backtest(some, partial(Fragile, marker), FOLDS, progress=False)
same = on_threads[on_threads["unique_id"].isin(ids[:96])].reset_index(drop=True)
print(f"a worker died: {marker.exists()} · the same bits: {survived.equals(same)}")

# %% [markdown]
# The scheduler notices the lost connection, gives another worker the unfinished tasks, and those whose result only the dead one held; a watchdog process (the **nanny**) starts the worker again. The result is right only because a task may run twice: it computes from its inputs alone, and writes nothing that a second run would add to. A task that **appends** rows to a table is not like that.
#
# If the *client* dies, the tasks of this call are gone. `store=` on the shared folder keeps each part of each fold as soon as it is done; the same call then does what is missing, on the cluster or on your laptop.

# %% name="resumed"
kept = Path(folder.name, "kept")
with joblib.parallel_config(backend="dask"):
    backtest(some, Weekly, FOLDS, store=kept, progress=False)
files = sorted(kept.rglob("*.parquet"))
files[0].unlink()
resumed = backtest(some, Weekly, FOLDS, store=kept, progress=False)
print(f"{len(files)} files kept, one lost, the rest read again; the same bits: {resumed.equals(same)}")

# %% [markdown]
# Close the client before the cluster. In the other order the nannies complain.

# %% name="closed"
client.close()
if cluster is not None:
    cluster.close()
folder.cleanup()

# %% [markdown]
# ## Efficiency by workers
#
# [A benchmark](../benchmarks/README.md#past-one-machine) of this job is on record: with more and more series, then with one and two workers on two cores. Beyond that it is a **simulation** with the measured length and overhead of each task and what can't be split. It knows no slow network and no slow start: expect less of a real cluster.

# %% name="efficiency"
curves, job = record.efficiency(), record.scale()
print(f"{job['series']:,} series of {job['days']} days, {job['folds']} folds: {job['task']['count']} tasks")

# %% name="curves"
fig, (left, ax) = plt.subplots(1, 2, figsize=(8.8, 3.4))
record.growth().plot(ax=left, style="o-", xlabel="series", ylabel="CPU seconds", xlim=0, ylim=0)
left.set_title("Twice the series, twice the seconds")
for (label, curve), colour in zip(curves.items(), (PALETTE["blue"], PALETTE["orange"]), strict=True):
    ax.plot(curve.index, curve, "--o", color=colour, label=f"simulated: {label}")
ax.scatter([1, 2], record.measured(), color="black", zorder=3, label="measured")
ax.set(xscale="log", xlabel="workers", ylabel="efficiency", ylim=(0, 1.1))
ax.set_xticks(curve.index, [str(n) for n in curve.index])
ax.set_title("Short tasks waste a large cluster")
ax.minorticks_off()
ax.legend(loc="lower left")
plt.show()

# %% [markdown]
# *Figure: left, CPU seconds of a backtest against the number of series: straight lines. Right, efficiency against the number of workers: black points are measured at one and two; simulated with tasks as measured it falls early, with a model fifty times as slow it stays high much longer.*
#
# The work grows in proportion, as you calculated. Efficiency has two curves. Where a fit takes milliseconds, the client's own work dominates, as Amdahl says, and the cluster buys little. Where it takes fifty times as long, most of the loss comes at the end: each worker has few tasks, and waits for the last. Draw the curve of *your* task before you ask for machines.

# %% [markdown]
# ## Is it working?
#
# While tasks run, `client.dashboard_link` opens Dask's dashboard. Each bar is a task, each row a worker's thread.
#
# ![Dask's dashboard during a backtest: on the left the bytes stored by each worker and the tasks it works on, on the right the task stream with a row of bars for each worker, below it the progress by kind of task](../images/16a_dashboard.png)
#
# White gaps between the bars are waiting: tasks too short, or a client that can't hand them out fast enough. One long bar at the end is a straggler. Red is data moving between workers; here there is none.

# %% [markdown]
# **Who reaches a scheduler can run any code on it**: tasks are pickles. It has no password as it comes. Keep it on the loopback or in a private network, or give it TLS certificates (`Security`).

# %% [markdown]
# ## Your own cluster
#
# Put the address into `cluster_address` and the folder into `shared_folder`; the rest stays. What differs is how a cluster is started:
#
# | cluster | started by |
# |---|---|
# | this machine | `LocalCluster(n_workers=2, threads_per_worker=1)` |
# | machines with SSH | `SSHCluster(["host1", "host2"])`; or `dask scheduler` on one, `dask worker tcp://host1:8786` on each |
# | Slurm, PBS, LSF | `dask_jobqueue.SLURMCluster(cores=8, memory="16GB").scale(jobs=10)` |
# | Kubernetes | the operator, then `dask_kubernetes.operator.KubeCluster(image=…).scale(10)` |
# | cloud machines | `dask_cloudprovider.azure.AzureVMCluster(…)`, `.aws.FargateCluster(…)` |
# | a Ray cluster | `ray.util.joblib.register_ray()`, then `parallel_config(backend="ray")` |
# | a Spark cluster | `joblibspark.register_spark()`, then `parallel_config(backend="spark")` |
#
# Only the first row is run here. Three things must hold on each: the workers have your lock file's versions (the same bits need the same NumPy), they see the shared folder, and one task fits into a worker's memory.

# %% [markdown]
# ## What to choose when
#
# | you have | take |
# |---|---|
# | minutes of work | threads on your machine: nothing to start, nothing to pay |
# | hours, and a machine with more cores for rent | that machine, and the same call |
# | days of work in thousands of independent fits | a cluster, parts of a few seconds each, a store on a shared folder |
# | one model on more data than a machine holds | training that is itself distributed ([16b](16b_training_on_a_cluster.ipynb)) |
# | a job that runs once | the cheapest thing that ends by Monday |

# %% [markdown]
# ## Take-aways
#
# - Multiply series, folds and seconds first. A smaller job beats a larger cluster.
# - Amdahl's serial share, the overhead of a task and the last straggler decide what more workers buy.
# - Send names, not data: each worker reads a part once, from a folder that all of them share.
# - A lost worker costs no result, as long as a task may run twice. A store lets you go on after a lost client.
# - Equal bits on threads and on a cluster are a test worth having.

# %% [markdown]
# ## In an interview
#
# - *When is one machine not enough for a backtest?* Shown in [Calculate first](#Calculate-first).
# - *You double the workers and the time stays the same. Where do you look?* Shown in [What Amdahl leaves you](#What-Amdahl-leaves-you), [What goes over the wire](#What-goes-over-the-wire) and [Is it working?](#Is-it-working?).
# - *A worker dies in the middle of the job. What is lost?* Shown in [A worker dies](#A-worker-dies).
#
# More, with the points of a good answer: `walkforward practice --lesson 16a` in a terminal.
#
# ## Up next
#
# Here every fit was small and only their number was large. [16b · Training and searching on a cluster](16b_training_on_a_cluster.ipynb) takes one model that is too large or too slow for one machine.
