# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
#   walkforward:
#     ci:
#       windows: 1
#       seeds: 3
# ---

# %% [markdown]
# # 16b · Training and searching on a cluster
#
# After this lesson you can say what the workers of a training send each other, how many of them a large model needs, and whether a search or a Spark job is worth its cluster.

# %% [markdown]
# > **You will learn to** train boosted trees on two workers and prove that both took part · share gradients and weights · calculate memory and traffic of a large model · search with many workers · find shuffles and skew in a Spark plan
# >
# > **Before you start** [04a · Tuning](04a_tuning.ipynb): trials and TPE · [10f · The warehouse](10f_the_warehouse.ipynb): placement by hash. Nothing is needed from their kernels.
# >
# > **Time** 55 minutes of study; it runs in 40 seconds
# >
# > **Interview questions it answers** What do the workers of distributed XGBoost exchange? · How many cards does a model of 7 billion parameters need? · One Spark task runs for an hour. Why?

# %% tags=["parameters"]
windows = 2  # half-years that are learnt, each judged on the three months after it
trees = 30  # in each boosted model
trials = 48  # of each simulated search
seeds = 8  # simulated searches of each kind
run_spark = False  # True runs the Spark job anew: it needs Java 17 and fetches 0.5 GB once

# %%
import contextlib
import tempfile

import matplotlib.pyplot as plt
import numpy as np
import optuna
import pandas as pd
import xgboost as xgb
from xgboost import dask as dxgb

from course import exercise
from course.data import load_trips, months, prepare_trips
from course.exercise import TODO
from course.stores import postgres
from lessons.on_spark import recorded
from lessons.two_workers import cluster, search
from lessons.two_workers.ranks import two_steps
from walkforward.plots import PALETTE, use_style

use_style()
running = contextlib.ExitStack()  # whatever is entered here ends with running.close()

# %% name="trips"
trips = prepare_trips(load_trips(months("2018-01", "2019-09"))).sort_values("pickup_datetime", kind="stable")
pickup = trips["pickup_datetime"].dt
trips["hour"], trips["weekday"], trips["month"] = pickup.hour, pickup.dayofweek, pickup.strftime("%Y-%m")
trips["time of day"] = trips["hour"] + pickup.minute / 60 + pickup.second / 3600
trips["miles"] = trips["trip_distance"].clip(upper=25).round(1)

# %% name="spring"
FEATURES = ["miles", "pickup_location_id", "dropoff_location_id", "hour", "weekday"]
trips[FEATURES] = trips[FEATURES].astype(float)
spring = trips[trips["month"].between("2019-01", "2019-06")]
print(f"{len(spring):,} trips of half a year")

# %% [markdown]
# ## What a tree needs to know
#
# Half of the trips lie on one machine, half on another, and you want **one** model of all of them. A boosted tree is grown from sums: for each **bin** (an interval of a feature's values), the sum of the gradients $G$ and the number of rows $H$. (For squared error the gradient of a row is prediction minus truth, and each row counts one.) That is a **histogram**.

# %% name="histogram"
EDGES = np.quantile(spring["miles"], np.linspace(0, 1, 9)[1:-1])  # seven cuts, eight bins


def halves(rows):
    return rows[: len(rows) // 2], rows[len(rows) // 2 :]


def histogram(rows):
    bins, gradient = np.digitize(rows["miles"], EDGES), spring["duration"].mean() - rows["duration"]
    return np.column_stack([np.bincount(bins, gradient, 8), np.bincount(bins, minlength=8)])


mine, yours = (histogram(half) for half in halves(spring))
print("rows in each bin:", mine[:, 1].astype(int), "+", yours[:, 1].astype(int))
print("the sum is the histogram of all rows:", np.allclose(mine + yours, histogram(spring)))

# %% [markdown]
# Each worker counts its own rows, the workers add their histograms (an **all-reduce**: all send, all get the sum), and each finds the same best split:
#
# $$\text{gain} = \frac{G_L^2}{H_L + \lambda} + \frac{G_R^2}{H_R + \lambda} - \frac{G^2}{H + \lambda}$$
#
# ($L$: left, $R$: right; $\lambda$ holds back sides with few rows.)
#
# ### Your turn

# %% exercise="best_split"

# %%
exercise.check(best_split)

# %% [markdown]
# ## The same trees on two workers
#
# `xgboost.dask` does this. The rows of a window lie on two Dask workers, the earlier half on one, the later on the other. Compare one machine with all rows, and the shortcut, **a model on each half, predictions averaged**. **Predict first.** Will the shortcut be worse? Will two workers give the trees of one machine?

# %% name="workers"
client = running.enter_context(cluster.workers(2))
SETTINGS = {
    "objective": "reg:squarederror",
    "max_depth": 5,
    "learning_rate": 0.2,
    "max_bin": 256,
    "nthread": 1,
}


def alone(rows, columns):
    return xgb.train(SETTINGS, xgb.DMatrix(rows[columns].to_numpy(), rows["duration"]), trees)


def together(rows, columns):
    X, y = cluster.placed(client, halves(rows), columns, "duration")
    data = dxgb.DaskDMatrix(client, X, y)
    watch = {"evals": [(data, "train")], "custom_metric": cluster.tell_rank, "verbose_eval": False}
    return dxgb.train(client, SETTINGS, data, num_boost_round=trees, **watch)["booster"]


# %% name="boosted"
WINDOWS = [("2019-01", "2019-06", "2019-09"), ("2018-07", "2018-12", "2019-03")][:windows]
found = {}
for (first, last, end), when in [(w, when) for w in WINDOWS for when in ("hour", "time of day")]:
    columns = ["miles", "pickup_location_id", "dropoff_location_id", when, "weekday"]
    rows = trips[trips["month"].between(first, last)]
    later = trips[(trips["month"] > last) & (trips["month"] <= end)]
    ways = {"one machine": [alone(rows, columns)], "two workers": [together(rows, columns)]}
    ways["averaged"] = [alone(half, columns) for half in halves(rows)]
    matrix = xgb.DMatrix(later[columns].to_numpy())
    minutes = {way: np.mean([one.predict(matrix) for one in some], axis=0) for way, some in ways.items()}
    line = {way: ((one - later["duration"]) ** 2).mean() ** 0.5 for way, one in minutes.items()}
    line["difference"] = np.abs(minutes["two workers"] - minutes["one machine"]).max()
    found[f"{first} · {when}"] = line
pd.DataFrame(found).T.round(3)

# %% [markdown]
# The RMSE is of the three months after, in minutes; `difference` is the largest on a single trip, two workers against one machine.
#
# With the **hour** they agree to a thousandth of a minute (not to the bit: sums are added in another order). With the **time of day** to the second they differ by up to 8.14<!-- =boosted[2018-07 · time of day, difference] --> minutes on a trip, and the RMSE hardly moves. Before the first tree, cut points are chosen. Up to 256<!-- given --> distinct values (`max_bin`), each gets a bin of its own. With 40,000<!-- given -->, each worker summarises its own rows in a **sketch**, and merged sketches give other cuts. So ask for equal answers where bins are exact, for an equal error elsewhere.
#
# The shortcut is **not** worse: 4.872<!-- =boosted[2019-01 · hour, averaged] --> against 4.897<!-- =boosted[2019-01 · hour, one machine] -->, perhaps because the mean of two models is an ensemble. So a good RMSE proves nothing about the cluster. Ask the ranks.

# %% name="ranks"
print(cluster.ranks(client).to_string(index=False))
bins = sum(min(spring[column].nunique(), 256) for column in FEATURES)
sent, rows = bins * 16 * 16 * trees, len(spring) * len(FEATURES) * 4  # 16 bytes a bin, 16 histograms a tree
print(f"histograms: {sent / 1e6:.1f} MB for {trees} trees; the rows themselves: {rows / 1e6:.1f} MB")

# %% [markdown]
# A **rank** is one process of a training. Ranks 0 and 1 of 2 have half of the rows each, in both windows. Keep this check: `DaskDMatrix` moves no rows. If all lie on one worker, one rank trains and nobody says so.
#
# A histogram has the same size for a thousand rows and for a billion, so this scales. Here the histograms take more bytes than the rows, and one machine is right. (A tree of depth 5<!-- given --> needs only 16<!-- given -->: a sibling is a subtraction.)

# %% [markdown]
# ## Gradients are shared too
#
# In a neural network each rank has its own rows, computes a gradient, and the gradients are combined: **data parallelism**. Here the first rank has a quarter of the rows. The obvious way: average the ranks' mean gradients.

# %% name="mean_of_means"
X = ((spring[FEATURES] - spring[FEATURES].mean()) / spring[FEATURES].std()).to_numpy(np.float32)[:4000]
y = (spring[["duration"]].to_numpy(np.float32) / 10)[:4000]
NETWORK = [(6, 64), (65, 64), (65, 1)]  # weights of three layers; the last row of each is the bias
parts = [(X[:1000], y[:1000]), (X[1000:], y[1000:])]


def off(gradient):
    return np.abs(gradient - whole).max() / np.abs(whole).max()


whole, one, two = (two_steps([part], NETWORK)[0]["gradient"] for part in [(X, y), *parts])
print(f"mean of the means: off by {off((one + two) / 2):.0%}")
print(f"weighted by rows: off by {off(0.25 * one + 0.75 * two):.0%}")

# %% [markdown]
# The mean of means lets a row of the small part count three times as much as a row of the large one. Frameworks average over ranks, so they need equally many rows on each, or weights.
#
# Two processes now do it and count bytes. **Replicated**: each holds for each weight four numbers (weight, gradient, and the two *moments* that the optimiser Adam keeps) and the gradients are all-reduced. **Fully sharded** (FSDP, ZeRO stage 3): each holds its half of all four. A layer is *gathered* when it is used, forward and again backward, then dropped; each rank receives its half of the summed gradients (*reduce-scatter*).

# %% name="ring"
lines = {}
for how in ("replicated", "sharded"):
    told = two_steps(parts, NETWORK, how)  # two processes
    lines[how] = {name: told[0][name] for name in ("held", "gathered", "sent")}
    lines[how]["one machine's gradient"] = all(off(rank["gradient"]) < 1e-5 for rank in told)
pd.DataFrame(lines).T

# %% [markdown]
# The table: bytes of one rank. Both ways have one machine's gradient, within 1/100,000 of its largest entry. Sharding halves what is held, 36,880<!-- =ring[sharded, held] --> for 73,760<!-- =ring[replicated, held] -->, and at one time needs one whole layer, 16,640<!-- =ring[sharded, gathered] -->. It sends half as much again: 27,660<!-- =ring[sharded, sent] --> for 18,440<!-- =ring[replicated, sent] -->. For $n$ ranks and a gradient of $B$ bytes:
#
# $$\text{replicated: } 2\,\frac{n-1}{n}\,B \qquad \text{sharded: } 3\,\frac{n-1}{n}\,B$$
#
# Stage 1 of ZeRO shards the moments only, stage 2 the gradients too.
#
# ## Seven billion parameters
#
# Mixed precision with Adam takes 16<!-- given --> bytes a parameter: 2<!-- given --> for the weight, 2<!-- given --> for the gradient, 12<!-- given --> for a float32 copy and two moments (sharded together). **Predict first.** Your cards have 80<!-- given --> GB. How many hold the state of 7<!-- given --> billion parameters?

# %% name="billions"
P, GB, lines = 7e9, 1e9, {}
for n in (1, 2, 8, 64):
    each = {"replicated": 16 * P, "moments sharded": (4 + 12 / n) * P, "all sharded": 16 * P / n}
    share = (n - 1) / n * 2 * P  # gradients and weights travel in 2 bytes
    lines[n] = each | {"replicated sends": 2 * share, "sharded sends": 3 * share}
table = pd.DataFrame(lines).T.rename_axis("workers") / GB
table.assign(**{"s at 25 Gbit/s": table["sharded sends"] / (25 / 8)}).round(1)

# %% [markdown]
# All in GB for one worker. 112<!-- =billions[1, replicated] --> GB fit no such card, and replication never helps. **Two** are enough if all is sharded: they hold 56<!-- =billions[2, all sharded] --> each, eight 14<!-- =billions[8, all sharded] -->.
#
# The price is 36.8<!-- =billions[8, sharded sends] --> GB sent by each of eight in every step: 11.8<!-- =billions[8, s at 25 Gbit/s] --> seconds at 25<!-- given --> Gbit/s, if nothing overlaps. So cards need fast links, or you train fewer parameters (LoRA: small matrices beside frozen weights). The table lacks the **activations**: they grow with a rank's own rows, and sharding the state does not shrink them.
#
# ### Your turn

# %% exercise="workers_needed"

# %%
exercise.check(workers_needed)

# %% [markdown]
# ## Many workers, one study
#
# Trials of a search need no all-reduce. They need one place where each worker reads and writes what was found: Optuna's store in PostgreSQL. (SQLite on a shared drive locks or breaks.)

# %% name="store"
folder = running.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
uri = running.enter_context(postgres(folder)).uri  # postgresql+psycopg://user:password@host:port/name
optuna.logging.set_verbosity(optuna.logging.WARNING)
study = optuna.create_study(study_name="trips", storage=uri)
rows, jobs = client.scatter(spring[:2000], broadcast=True), []
for worker in cluster.addresses(client):
    job = client.submit(search.work, uri, "trips", 4, rows, FEATURES, workers=[worker], pure=False)
    jobs.append(job)
numbers = client.gather(jobs)
print("trials of each worker:", *map(len, numbers), "· numbers:", *sorted(sum(numbers, [])))
print("complete:", sum(trial.state.is_finished() for trial in study.trials), "of", len(study.trials))

# %% [markdown]
# Eight different numbers: no trial is done twice. (Without `pure=False` Dask takes two equal calls for one and computes it once.) A worker that dies leaves its trial in state `RUNNING`; an `RDBStorage` with `heartbeat_interval` marks it as failed.
#
# Now eight workers. Do they start in rounds, or does each ask as soon as it is free? The clock is **simulated** from the seconds and errors of 04a's 6,912<!-- given --> settings, so it runs the same on your machine. **Regret** is the best error known minus the best of all. (`constant_liar=True` keeps two workers from the same spot.)

# %% name="clock"
measured, WAYS = (
    search.Measured(),
    {"one worker": (1, False), "8 in rounds": (8, True), "8 when free": (8, False)},
)
runs = {way: [measured.search(*how, seed, trials) for seed in range(seeds)] for way, how in WAYS.items()}
for moment, at in {"after 1 second": 1, "at the end": np.inf}.items():
    pairs = zip(runs["8 in rounds"], runs["8 when free"], strict=True)
    less = [search.known_at(rounds, at) - search.known_at(free, at) for rounds, free in pairs]
    print(
        f"{moment}: when free is ahead in {sum(x > 0 for x in less)} of {seeds}, behind in {sum(x < 0 for x in less)}"
    )
search.medians(runs, {way: workers for way, (workers, _) in WAYS.items()}).round(3)

# %% name="figure_clock"
fig, ax = plt.subplots(figsize=(6.4, 3))
times = np.linspace(0.2, 4, 77)
for (way, some), color in zip(runs.items(), ("grey", "blue", "red"), strict=True):
    regret = [np.median([search.known_at(run, at) for run in some]) for at in times]
    ax.step(times, regret, color=PALETTE[color], label=way)
ax.set(xlabel="seconds on the simulated clock", ylabel="median regret (min)", ylim=(0, 0.22))
ax.set_title("Who does not wait knows more, early")
ax.legend()
plt.show()

# %% [markdown]
# *Figure: median regret over four seconds of the simulated clock. Eight workers that ask when free fall fastest, eight in rounds follow, one worker stays above both.*
#
# In rounds the workers are busy 44<!-- =clock[8 in rounds, busy %] --> % of the time: each round waits for its slowest trial. Asking when free they are busy 88<!-- =clock[8 when free, busy %] --> %, and the same trials take 1.3<!-- =clock[8 when free, seconds] --> seconds for 3.0<!-- =clock[8 in rounds, seconds] -->. After one second they are ahead in 6<!-- =clock: 1 second: .* ahead in (\d+) --> seeds and behind in 0<!-- =clock: 1 second: .* behind in (\d+) -->.
#
# After equally many trials there is no winner: ahead in 5<!-- =clock: at the end: .* ahead in (\d+) -->, behind in 3<!-- =clock: at the end: .* behind in (\d+) -->. Asynchronous work saves time; a trial teaches no more. (One worker ends lowest, 0.012<!-- =clock[one worker, regret at the end] -->, but after 10.1<!-- =clock[one worker, seconds] --> seconds.)

# %% [markdown]
# ## Spark: what is run, and when
#
# The job on Spark (`src/lessons/on_spark/job.py`) is **not run here**: it needs Java and half a gigabyte. You see its recorded output; `run_spark = True` runs it. The **driver** plans; **executors**, its worker processes, each take **partitions**, parts of the rows.
#
# ```python
# long = trips.where("trip_distance > 5").groupBy("borough").count()
# long.collect()
# ```

# %% name="spark"
told = recorded.told_anew() if run_spark else recorded.told()
work = pd.DataFrame(told["work"]).T
work.loc[
    ["filter and group", "collect", "repartition, then collect"], ["jobs", "stages", "tasks", "shuffled"]
]

# %% name="plan"
for line in told["plan"]:
    print(line.partition(" Batched")[0])
print("pushed down:", *told["pushed"])

# %% [markdown]
# The first line runs nothing: it makes a **plan**. `collect` is an **action** and starts a **job**. Its shuffle (`Exchange`: equal keys meet in one partition) cuts it into 2<!-- =spark[collect, stages] --> **stages** of 12<!-- =spark[collect, tasks] --> **tasks**: 4<!-- given --> files to read, 8<!-- given --> partitions after the shuffle. Read the plan from below. The file reader gets the filter and two columns, each part counts for itself, and 20<!-- =spark[collect, shuffled] --> partial counts travel, not 58,801<!-- =spring: ([\d,]+) --> rows. With `repartition("borough")` first, 7,819<!-- =spark[repartition, then collect, shuffled] --> rows travel: all that pass the filter.
#
# ### One task runs for an hour
#
# Each trip gets the fee of its borough. A salt is a number added to the key of the trips; the fees are repeated for each salt.
#
# ```python
# trips.join(fees.hint("merge"), "borough")
# salted_trips.join(salted_fees.hint("merge"), ["borough", "salt"])
# trips.join(F.broadcast(fees), "borough")
# ```

# %% name="skew"
joins = work.loc[list(told["joins"])].assign(kind=told["joins"])
joins["fullest task"] = [
    str(max(rows)) if len(rows) == 8 else "no trips moved" for rows in joins["rows of each task"]
]
joins[["kind", "shuffled", "fullest task"]]

# %% [markdown]
# In the plain join one task of eight reads 53,842<!-- =skew[join, fullest task] --> of 58,815<!-- =skew[join, shuffled] --> rows: Manhattan. That is **skew**. More partitions or machines change nothing, since a key goes to one partition. Salted, the fullest task reads 12,361<!-- =skew[join, salted, fullest task] -->. With a **broadcast** the fees are copied to each executor and no trip moves; if that table grows, its copies fill the memory. (Adaptive execution, off here, splits skewed partitions of 256<!-- given --> MB and more by itself.)
#
# **Next:** a Python function makes a column, and two actions take its sum and maximum.

# %% name="cache"
pd.Series(told["cache"], name="calls of the function").to_frame()

# %% [markdown]
# The calls are added up. Without `cache()` the function is called twice for each row, with it once, and not before the first action.
#
# ### Score a table
#
# `mlflow.pyfunc.spark_udf(spark, uri, env_manager="local", result_type="double")` makes a function for a column of a logged model.

# %% name="scored"
pd.DataFrame.from_dict(told["scored"], orient="index", dtype=object).fillna("not counted")

# %% [markdown]
# The plain function calls `predict` for each row. A `pandas_udf` gets batches through Arrow: 58,801<!-- =scored[a function of batches, rows] --> rows in 16<!-- =scored[a function of batches, calls] --> calls. MLflow's is made that way. Its answers are those of one machine, to the bit.
#
# **Next:** the texts *7<!-- given -->*, *n/a* and *12<!-- given -->* are cast to numbers.

# %% name="cast"
for what, became in told["cast"].items():
    print(f"{what}: {became}")
print("collect of all trips:", told["collect"])

# %% [markdown]
# Since Spark 4.0<!-- given --> (ANSI mode) a cast that fails stops the job; before, it became NULL in silence. `try_cast` and a count of NULLs say what you want.
#
# `collect` brings all rows to the driver, which refuses at `maxResultSize`. So when a job is out of memory, ask **whose**: the driver's (`collect`, a broadcast) or an executor's (a full partition, Python beside Java).

# %% name="one_machine"
print("Spark and pandas give the same counts:", told["same"])
for what in ("a session starts", "the first query", "the same query in pandas"):
    print(f"{what}: {told['seconds'][what]:.1f} s")
running.close()

# %% [markdown]
# Recorded on two busy cores: pandas was done after 0.5<!-- =one_machine: in pandas: ([\d.]+) --> seconds. For these trips a cluster is wrong. It is right when a run no longer fits the largest sensible machine or its time window, or when data and people already live there.

# %% [markdown]
# ## Take-aways
#
# - Trees are grown from sums. Workers add histograms; where bins are exact, two workers give the trees of one.
# - An equal error does not prove that both workers trained. Ask each for its rank and rows.
# - Replication saves no memory. Full sharding divides the state and sends half as much again.
# - Workers of a search share a store and ask when free: that saves time, not trials.
# - In Spark look for the `Exchange`, count the rows of each key, and send less.

# %% [markdown]
# ## In an interview
#
# - *What do the workers of distributed XGBoost exchange?* Shown in [What a tree needs to know](#What-a-tree-needs-to-know).
# - *How many cards does a model of 7 billion parameters need?* Shown in [Seven billion parameters](#Seven-billion-parameters).
# - *One Spark task runs for an hour. Why?* Shown in [One task runs for an hour](#One-task-runs-for-an-hour).
#
# More, with the points of a good answer: `walkforward practice --lesson 16b` in a terminal.

# %% [markdown]
# ## Up next
#
# Everything together: [17a · One flow](17a_one_flow.ipynb).
