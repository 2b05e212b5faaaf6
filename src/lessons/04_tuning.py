# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
#   walkforward:
#     ci:
#       trials: 6
#       seeds: 6
#       evaluations: 40
# ---

# %% [markdown]
# # 04 · Tuning
#
# After this lesson you can run a search for better parameters on a budget, keep every trial where it can be found again, and say
# whether the result was worth the evening.

# %% [markdown]
# > **You will learn to** define a search space without the usual mistakes · compare grid, random and TPE on evaluations and on
# > seconds, over many seeds · log a search as nested runs · stop and prune trainings without looking at the test month · read parallel
# > coordinates, scatter and contour plots, and see what misleads in them · decide when not to tune
# >
# > **Before you start** [03 · Tracking](03_tracking.ipynb)
# >
# > **Time** 60 minutes of study; it runs in under a minute
# >
# > **Interview questions it answers** Why does random search beat a grid? · Your early stopping watches the test set. What is wrong? ·
# > How long would you tune, and when not at all?

# %% [markdown]
# ## Parameters
#
# Two months to train on, one that chooses the parameters, one that is looked at in the end.

# %% tags=["parameters"]
trips_path = None  # a file of your own, or one a month: "taxi/{month}.parquet"
max_trips = 60_000  # of a file of your own, drawn at random; more take more time and memory
more_from = "2018-09"  # the first of the earlier months that are added at the end
first_month, valid_month, test_month = (
    "2019-01",
    "2019-03",
    "2019-04",
)  # trained on what lies before valid_month
trials = 12  # evaluations of each search that trains models here
seed = 0  # of these searches
evaluations = 64  # of each search that looks recorded trainings up
seeds = 24  # how often each of those is repeated

# %%
from course import own_data
from course.data import load_trips, months, prepare_trips

records, stop_years = load_trips, ["2020", "2019"]  # the trips of months; the years of a section on stopping
if trips_path is not None:  # your file: what the lesson needs of it, or a line that says what it lacks
    note = "The recorded trainings stay those of the course's trips."
    roles = {"first_month": first_month, "valid_month": valid_month, "test_month": test_month}
    trips, chosen = own_data.monthly_trips("04", trips_path, max_trips, note, more_from=more_from, **roles)
    more_from, first_month, valid_month, test_month = chosen
    records, stop_years = own_data.by_month(trips), [test_month[:4]]

# %%
import logging
import os
from datetime import datetime
from functools import partial
from pathlib import Path

import matplotlib.pyplot as plt
import mlflow
import numpy as np
import optuna
import pandas as pd
import xgboost
from hyperopt import fmin, hp, rand, space_eval, tpe
from hyperopt.pyll import scope

# %%
from sklearn.dummy import DummyRegressor
from sklearn.metrics import root_mean_squared_error
from sklearn.model_selection import ParameterGrid
from xgboost import XGBRegressor

from course import exercise
from course.exercise import TODO
from course.paths import ROOT
from walkforward.plots import PALETTE, use_style

use_style()


# %% name="trips"
FEATURES = ["trip_distance", "pickup_location_id", "dropoff_location_id", "hour", "weekday"]


def trips_of(first, last):
    trips = prepare_trips(records(months(first, last)))
    trips["hour"] = trips["pickup_datetime"].dt.hour
    trips["weekday"] = trips["pickup_datetime"].dt.dayofweek
    trips["month"] = trips["pickup_datetime"].dt.strftime("%Y-%m")
    trips[FEATURES] = trips[FEATURES].astype(float)
    return trips


trips = trips_of(first_month, test_month)
train = trips[trips["month"].between(first_month, valid_month, inclusive="left")]
valid, test = (trips[trips["month"] == month] for month in (valid_month, test_month))
VALID, TEST = (pd.Period(month).strftime("%B") for month in (valid_month, test_month))
print(f"train {len(train):,} trips, validation {len(valid):,}, test {len(test):,}")

# %% [markdown]
# ## The best parameters by tonight
#
# It is four in the afternoon. Your manager has heard that XGBoost has parameters, and wants the best ones by tonight. Before you search, know
# what there is to win: the error of predicting the mean, and of XGBoost as it comes.


# %% name="baselines"
def rmse(model, rows):
    return root_mean_squared_error(rows["duration"], model.predict(rows[FEATURES]))


boosted = partial(XGBRegressor, n_jobs=1, random_state=0)  # one thread, one seed: the same model each time
models = {"mean": DummyRegressor(), "XGBoost, defaults": boosted()}
for model in models.values():
    model.fit(train[FEATURES], train["duration"])
pd.DataFrame(
    {name: {VALID: rmse(model, valid), TEST: rmse(model, test)} for name, model in models.items()}
).T.round(3)

# %% [markdown]
# The step from the mean to a model is large. Write down a guess: by how many percent will the best of some thousand settings beat
# 4.187<!-- =baselines[XGBoost, defaults, March] --> minutes in March? The answer stands in the last section, beside what the same evening buys elsewhere.

# %% [markdown]
# ## A space to search
#
# A search draws settings from a **space**: for each parameter its limits and how likely each value is. In hyperopt a space is a dict of
# distributions.

# %% name="space"
log = np.log
SPACE = {
    "learning_rate": hp.loguniform("learning_rate", log(0.01), log(0.5)),
    "max_depth": hp.uniformint("max_depth", 2, 10),
    "min_child_weight": hp.loguniform("min_child_weight", log(1), log(80)),
    "subsample": hp.uniform("subsample", 0.5, 1),
    "colsample_bytree": hp.uniform("colsample_bytree", 0.6, 1),
    "n_estimators": scope.int(hp.qloguniform("n_estimators", log(50), log(400), 10)),
}
NAMES = list(SPACE)


def hyperopt_search(objective, algorithm, evaluations, seed, space=SPACE):
    """Minimise the objective; return the best setting as hyperopt returns it."""
    rstate = np.random.default_rng(seed)  # a Generator; the RandomState of older texts is refused
    quiet = {"verbose": False, "show_progressbar": False}
    return fmin(objective, space, algo=algorithm, max_evals=evaluations, rstate=rstate, **quiet)


# %% [markdown]
# Almost every line of it can be got wrong without an error. Take the learning rate, where a factor counts: from 0.01<!-- given --> to 0.02<!-- given --> changes as much as
# from 0.25<!-- given --> to 0.5<!-- given -->. Here are three ways to write it that you will meet.

# %% name="rates"
ways = {
    "uniform(0.01, 0.5)": hp.uniform("rate", 0.01, 0.5),
    "loguniform(0.01, 0.5)": hp.loguniform("rate", 0.01, 0.5),
    "loguniform(log 0.01, log 0.5)": hp.loguniform("rate", log(0.01), log(0.5)),
}
drawn = {name: [] for name in ways}
for name, way in ways.items():
    hyperopt_search(lambda rate, drawn=drawn[name]: drawn.append(rate) or 0.0, rand.suggest, 500, seed, way)
pd.DataFrame(
    {
        n: {"lowest": min(d), "highest": max(d), "below 0.05": np.mean(np.array(d) < 0.05)}
        for n, d in drawn.items()
    }
).T.round(3)

# %% [markdown]
# The first has a share of 0.09<!-- ~rates[uniform(0.01, 0.5), below 0.05] --> of its draws below 0.05<!-- given -->, the third 0.41<!-- ~rates[loguniform(log 0.01, log 0.5), below 0.05] -->. The second forgot that `loguniform` takes the **logarithms** of its bounds, and
# draws rates above 1: no error, a ruined search. Two more traps lie in what comes back.

# %% name="index"
fractions = [0.5, 0.75, 1.0]
small = {"subsample": hp.choice("subsample", fractions), "max_depth": hp.quniform("max_depth", 2, 10, 1)}
best = hyperopt_search(lambda setting: 1 - setting["subsample"], rand.suggest, 10, seed, small)
print("fmin returns  ", {name: float(value) for name, value in best.items()})
print("space_eval    ", {name: float(value) for name, value in space_eval(small, best).items()})
try:
    boosted(max_depth=float(best["max_depth"])).fit(train[FEATURES], train["duration"])
except xgboost.core.XGBoostError as refusal:
    print("XGBoost       ", str(refusal).splitlines()[0])

# %% [markdown]
# A `choice` comes back as its **index**: an index of 1 read as a fraction is accepted in silence, and means another setting. `space_eval` translates. And `quniform`
# draws floats, which XGBoost refuses for a depth; `uniformint` and `scope.int` draw whole numbers. `choice` also tells the search that the values have no order, which is wrong for numbers.
#
# ### Your turn

# %% exercise="mended_space"

# %%
exercise.check(mended_space)

# %% [markdown]
# ## Three searches, each trial a run
#
# Now the evening. Three methods get the same budget, 12 trainings each:
#
# - **Grid**: every combination of a few values that you choose.
# - **Random**: every setting drawn from the space, independent of the others.
# - **TPE** (Tree-structured Parzen Estimator): draws where earlier trials were good.
#
# Each trial is a run of MLflow, and the runs of one search hang below a run for the search itself: **nested runs**.

# %% name="store"
FILES = Path("04_tuning_files")  # everything that this lesson writes
FILES.mkdir(exist_ok=True)
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
logging.getLogger("mlflow").setLevel(logging.WARNING)
mlflow.set_tracking_uri(f"sqlite:///{(FILES / 'mlflow.db').as_posix()}")
title = f"trip duration, tuned · {datetime.now():%Y-%m-%d %H:%M:%S.%f}"
artifacts = (FILES / "artifacts").resolve().as_uri()
mlflow.set_experiment(experiment_id=mlflow.create_experiment(title, artifact_location=artifacts))

columns = [*FEATURES, "duration"]
DATA = {
    "training": mlflow.data.from_pandas(train[columns], name=f"trips before {VALID}", targets="duration"),
    "validation": mlflow.data.from_pandas(valid[columns], name=f"trips, {VALID}", targets="duration"),
}

# %% name="trial"
trained = {}  # the same setting gives the same model: train it once


def trial(setting):
    """Train one setting, log it as a child of the active run, return its error in March."""
    with mlflow.start_run(nested=True):
        mlflow.log_params(setting)
        key = tuple(setting[name] for name in NAMES)
        if key not in trained:
            trained[key] = rmse(boosted(**setting).fit(train[FEATURES], train["duration"]), valid)
        mlflow.log_metric("rmse_valid", trained[key])
    return trained[key]


# %% name="searches"
GRID = {"learning_rate": [0.05, 0.1, 0.3], "max_depth": [4, 8], "subsample": [0.75, 1.0]}
GRID |= {"min_child_weight": [1], "colsample_bytree": [1.0], "n_estimators": [200]}
METHODS = {
    "grid": lambda: [trial(setting) for setting in list(ParameterGrid(GRID))[:trials]],
    "random": lambda: hyperopt_search(trial, rand.suggest, trials, seed),
    "TPE": lambda: hyperopt_search(trial, tpe.suggest, trials, seed),
}


def search(method, run_trials):
    """Run one search as a parent; return its id."""
    with mlflow.start_run(run_name=method) as parent:
        for context, dataset in DATA.items():
            mlflow.log_input(dataset, context=context)
        mlflow.log_params({"method": method, "evaluations": trials, "seed": seed})
        run_trials()
    return parent.info.run_id


parents = {method: search(method, run_trials) for method, run_trials in METHODS.items()}


# %% name="first"
def children(parent_id):
    """The trials of one search, best first."""
    below = f"tags.`mlflow.parentRunId` = '{parent_id}'"
    return mlflow.search_runs(filter_string=below, order_by=["metrics.rmse_valid ASC"])


found = {method: children(parent_id) for method, parent_id in parents.items()}
for method, runs in found.items():
    print(f"{method:7} {len(runs)} trials, best {runs['metrics.rmse_valid'].min():.4f}")

# %% [markdown]
# Random and TPE agree to the last digit. That is no accident: compare their trials one by one.

# %% name="same"
random_errors, tpe_errors = (sorted(found[name]["metrics.rmse_valid"]) for name in ("random", "TPE"))
print("the same trials:", random_errors == tpe_errors)

# %% [markdown]
# TPE has to see trials before it can say where they were good. In hyperopt the first 20 are random (`n_startup_jobs`), in Optuna the first 10. With a budget
# of 12 you paid for TPE and got random search. Give it a shorter start, and some more trials to learn from.

# %% name="short_start"
eager = partial(tpe.suggest, n_startup_jobs=6)
METHODS["TPE, short start"] = lambda: hyperopt_search(trial, eager, trials + 6, seed)
parents["TPE, short start"] = search("TPE, short start", METHODS["TPE, short start"])
for method, parent_id in parents.items():
    runs = children(parent_id)
    print(f"{method:16} {len(runs)} trials, best {runs['metrics.rmse_valid'].min():.4f}")

# %% [markdown]
# What do you report? One run of each method says little: all three are lotteries, the grid by your choice of values. You would have to repeat the whole evening
# with other seeds.
#
# ## The same evening, many times
#
# The course has waited for you. A **record** holds 6,912<!-- given --> settings, each trained once on these trips, with its errors and its seconds (processor time, one thread of an AMD EPYC under Linux; `benchmarks/tuning.py`): eight rates × six depths ×
# four child weights × three shares of rows × three shares of columns × four numbers of trees. From here on, a search that says "look up" trains nothing: it asks for a setting and gets the
# answer of the nearest one in the record. The searches are real, hyperopt draws every setting.

# %% name="record"
record = pd.read_parquet(ROOT / "benchmarks" / "results" / "tuning.parquet")
levels = {name: np.sort(record[name].unique()).astype(float) for name in NAMES}
keys = zip(*(record[name].astype(float) for name in NAMES), strict=True)
answers = dict(zip(keys, zip(record["rmse_valid"], record["seconds"], strict=True), strict=True))
LOGARITHMIC = ("learning_rate", "min_child_weight", "n_estimators")


def nearest(setting):
    """The values in the record nearest to this setting; by factor where the space is logarithmic."""
    key = []
    for name in NAMES:
        scale = np.log if name in LOGARITHMIC else np.asarray
        key.append(levels[name][np.abs(scale(levels[name]) - scale(setting[name])).argmin()])
    return tuple(key)


defaults = dict(zip(NAMES, (0.3, 6, 1, 1.0, 1.0, 100), strict=True))
again = rmse(boosted(**defaults).fit(train[FEATURES], train["duration"]), valid)
print(f"the defaults, trained here {again:.3f}, looked up {answers[nearest(defaults)][0]:.3f}")
print(
    f"best of {len(record):,} settings {record['rmse_valid'].min():.3f}, worst {record['rmse_valid'].max():.3f}"
)
print(f"{(record['rmse_valid'] < again).mean():.1%} of them beat the defaults")


# %% [markdown]
# The record agrees with your own training. And it tells what a search is up against: 9.6<!-- =record: ([\d.]+)% of them -->% of the settings beat the defaults, and the best of all by a few hundredths of a minute.


# %% name="replay"
def replay(algorithm, seed, space=SPACE):
    """Error, seconds and values of each trial of a search that looks up, in order."""
    trace = []

    def objective(setting):
        key = nearest(setting)
        trace.append((*answers[key], *key))
        return trace[-1][0]

    hyperopt_search(objective, algorithm, evaluations, seed, space)
    return np.array(trace)


# %% name="replay_grid"
def replay_grid(seed, names=NAMES, values=2):
    """The same for a grid of some values of each parameter, which the seed chooses; the others as by default."""
    chance = np.random.default_rng(seed)
    grid = {name: [value] for name, value in defaults.items()}
    grid |= {name: chance.choice(levels[name], values, replace=False) for name in names}
    settings = chance.permutation(list(ParameterGrid(grid)))
    return np.array([answers[nearest(setting)] for setting in settings[:evaluations]])


searches = {
    "grid": [replay_grid(s) for s in range(seeds)],
    "random": [replay(rand.suggest, s) for s in range(seeds)],
    "TPE": [replay(partial(tpe.suggest, verbose=False), s) for s in range(seeds)],  # no log line per trial
}

# %% name="turned"
one_run = pd.DataFrame(
    {name: [trace[:, 0].min() for trace in traces] for name, traces in searches.items()}
).rename_axis("seed")
one_run.head(8).round(4)

# %% [markdown]
# Read the rows. With seed 0 TPE wins, 4.1308<!-- =turned[0, TPE] -->, before grid and random. With seed 5 the grid wins, and random is last. With seed 7 TPE is last. Whoever shows you
# *one* search of each shows you a seed.
#
# So draw all of them: the median of what is known after each evaluation, and the middle half of the seeds. And draw them a second time against the seconds that the trainings took,
# because a manager's budget is an evening, not a number of trials.


# %% name="known"
def known(trace, at, by):
    """The best error known at each value of `at`: evaluations or recorded seconds; NaN before the first ended."""
    ended = np.arange(1, len(trace) + 1) if by == "evaluations" else trace[:, 1].cumsum()
    best = np.r_[np.nan, np.minimum.accumulate(trace[:, 0])]
    return best[np.searchsorted(ended, at, side="right")]


# %% name="curves"
STYLE = {"grid": ("grey", ":"), "random": ("blue", "--"), "TPE": ("orange", "-")}
fig, axes = plt.subplots(1, 2, figsize=(6.4, 3.2), sharey=True)
spent = {"evaluations": np.arange(4, evaluations + 1), "seconds": np.linspace(2, 10)}
for ax, (by, at) in zip(axes, spent.items(), strict=True):
    for method, (colour, line) in STYLE.items():
        curves = [known(trace, at, by) for trace in searches[method]]
        low, median, high = np.nanquantile(curves, [0.25, 0.5, 0.75], axis=0)
        ax.fill_between(at, low, high, color=PALETTE[colour], alpha=0.15, linewidth=0)
        ax.plot(at, median, color=PALETTE[colour], linestyle=line, label=method)
    ax.set(xlabel=f"{by} spent", ylim=(4.11, 4.26))
axes[0].set(title="By evaluations TPE leads", ylabel="best RMSE in March (min)")
axes[1].set(title="By seconds it leads by less")
axes[0].legend()
plt.show()

# %% [markdown]
# *Figure: best error so far of grid, random and TPE, median and middle half over the seeds. On the left, over evaluations, TPE leaves random after 20 and ends lowest; on the right, over
# seconds, its lead is smaller. The grid is highest in both.*


# %% name="budgets"
BUDGETS = {
    "16 trials": (16, "evaluations"),
    "32 trials": (32, "evaluations"),
    "64 trials": (64, "evaluations"),
}
BUDGETS |= {"10 seconds": (10, "seconds")}
table = {}
for method, traces in searches.items():
    ends = {name: [float(known(trace, *budget)) for trace in traces] for name, budget in BUDGETS.items()}
    table[method] = {name: np.median(errors) for name, errors in ends.items()}
    table[method]["trials in 10 seconds"] = np.median([sum(t[:, 1].cumsum() <= 10) for t in traces])
pd.DataFrame(table).T.round(4)

# %% name="pairs"
for name, budget in BUDGETS.items():
    tpe_known, random_known = ([float(known(t, *budget)) for t in searches[m]] for m in ("TPE", "random"))
    won, lost = np.less(tpe_known, random_known).sum(), np.greater(tpe_known, random_known).sum()
    print(f"{name}: of {seeds} seeds TPE wins {won}, random wins {lost}, {seeds - won - lost} draws")

# %% [markdown]
# Up to 20 evaluations random and TPE are the same search. After 64, TPE's median is 4.1270<!-- =budgets[TPE, 64 trials] --> against 4.1348<!-- =budgets[random, 64 trials] --> for random, and the grid stays at 4.1468<!-- =budgets[grid, 64 trials] -->. Seed by seed
# TPE wins 16<!-- =pairs: 64 trials: .* TPE wins (\d+) --> and loses 5<!-- =pairs: 64 trials: .*random wins (\d+) -->: a lead, no law. In 10 seconds it wins 12<!-- =pairs: 10 seconds: .* TPE wins (\d+) --> and loses 7<!-- =pairs: 10 seconds: .*random wins (\d+) -->, with a median that is lower by 0.003<!-- given -->. It has learned to ask for many deep trees, which cost
# more, and finishes 39<!-- ~budgets[TPE, trials in 10 seconds] --> trials where random finishes 51<!-- ~budgets[random, trials in 10 seconds] -->. If cost matters to you, it has to be part of the objective.
#
# And how much is the lead? Less than a hundredth of a minute, half a second of a ride. No passenger will notice. With this budget and these trips take either, and go home early. TPE pays when one training takes hours, when the budget is some hundreds of
# trials, or when good settings are rare.
#
# ### Your turn

# %% exercise="best_known"

# %%
exercise.check(best_known)

# %% [markdown]
# ## Why a grid wastes evaluations, and what TPE does
#
# Which parameters matter? For each value of a parameter take the best error that any setting with that value reaches, and look how far these bests lie apart.

# %% name="matters"
best_at = {name: record.groupby(name)["rmse_valid"].min() for name in NAMES}
pd.DataFrame(
    {
        name: {"best value": bests.idxmin(), "loss at the worst value": bests.max() - bests.min()}
        for name, bests in best_at.items()
    }
).T.round(3)

# %% [markdown]
# Rate and depth matter, the number of trees somewhat, the other three hardly. A grid of two values each spends its 64 evaluations on *two* rates and *two* depths, and repeats each pair 16 times with other values of what does not matter; random search tries a new rate and a
# new depth each time. If you know what matters, a grid of four values of those three is less bad: try `replay_grid(0, ["learning_rate", "max_depth", "n_estimators"], 4)`. But then you know the answer already. (Bergstra and Bengio, 2012<!-- given -->)
#
# TPE splits the trials so far into a few good ones and the rest, and estimates for each parameter two densities: $l(x)$, where the good ones lie, and $g(x)$, where the rest lie. It
# draws 24 candidates from $l$ and trains the one with the largest ratio
#
# $$\frac{l(x)}{g(x)}, \qquad l(x) = p(x \mid y < y^*), \quad g(x) = p(x \mid y \ge y^*)$$
#
# where $y$ is the error and $y^*$ divides good from rest. hyperopt calls $\lceil 0.25 \sqrt{n} \rceil$ of $n$ trials good: 2 of 64. It needs the random start, or there is no $l$. And it looks at each parameter alone: that a low rate wants many trees, it can't say.

# %% [markdown]
# ## What belongs into the parent, what into the child
#
# Back to the runs in the store. Your manager opens the experiment and sorts by error. To make that easy you wrote the best error on the parents too, under the name
# that the trials use, as many tutorials do.

# %% name="flat"
client = mlflow.MlflowClient()
for parent_id in parents.values():
    client.log_metric(parent_id, "rmse_valid", children(parent_id)["metrics.rmse_valid"].min())
flat = mlflow.search_runs(order_by=["metrics.rmse_valid ASC"])
names = {parent_id: f"the search: {method}" for method, parent_id in parents.items()}
print(f"{len(flat)} runs, {len(trained)} models trained")
print(*flat["run_id"].map(names).fillna("a trial").head(6), sep="\n")

# %% [markdown]
# A pile. The best "model" is a search, which is none, and every best trial stands there twice, or more often where two searches drew the same. A query that finds
# trials has to ask for them. The link is a tag of the child, `mlflow.parentRunId`.

# %% name="levels"
trials_only = mlflow.search_runs(
    filter_string="tags.`mlflow.parentRunId` IS NOT NULL", order_by=["metrics.rmse_valid ASC"]
)
searches_only = mlflow.search_runs(filter_string="tags.`mlflow.parentRunId` IS NULL")
print(f"{len(trials_only)} trials, {len(searches_only)} searches")

# %% [markdown]
# | | parent: the search | child: the trial |
# |---|---|---|
# | parameters | method, budget, seed: what the trials share | the setting |
# | metrics | the best error, under a name of its own | its error, its curve |
# | data, code version | here, once | inherited by the link |
# | model | the best setting, fitted again | none: nobody will load it, and it can be trained again |
#
# So the parent gets `best_rmse_valid`, the id of the best child, and the one model that somebody may use: trained again on the months up to March, and looked at in April once.

# %% name="parent"
winner = trials_only.iloc[0]
best = {name: float(winner[f"params.{name}"]) for name in NAMES}  # parameters come back as text
best |= {name: int(best[name]) for name in ("max_depth", "n_estimators")}
until_march = pd.concat([train, valid])
final = boosted(**best).fit(until_march[FEATURES], until_march["duration"])
with mlflow.start_run(run_id=winner["tags.mlflow.parentRunId"]):
    mlflow.log_metrics({"best_rmse_valid": winner["metrics.rmse_valid"], "rmse_test": rmse(final, test)})
    mlflow.set_tag("best_child", winner["run_id"])
    requirements = [f"xgboost=={xgboost.__version__}"]
    mlflow.xgboost.log_model(final, name="trip-duration", pip_requirements=requirements)

plain = boosted().fit(until_march[FEATURES], until_march["duration"])
print(f"{TEST}: best setting {rmse(final, test):.3f}, defaults {rmse(plain, test):.3f}")

# %% [markdown]
# The best setting predicts April a little better than the defaults, trained on the same months. Whether that is more than luck is the question of the next lesson.
#
# When trials run in other processes, there is no active run to nest under: pass `parent_run_id=` to `start_run`. And a child lands in the active experiment, not in its parent's: set
# it, or pass `experiment_id=` both times.
#
# ### Your turn

# %% exercise="log_search"

# %%
exercise.check(log_search)

# %% [markdown]
# ## Reading the plots
#
# All trials come back from the store as one table. **Parallel coordinates** draw each trial as a line across one axis per parameter, and its error as the colour.

# %% name="parallel"
from_space = trials_only[trials_only["tags.mlflow.parentRunId"] != parents["grid"]]
once = from_space.drop_duplicates([f"params.{name}" for name in NAMES]).reset_index(drop=True)
settings = once[[f"params.{name}" for name in NAMES]].astype(float).set_axis(NAMES, axis=1)
error = once["metrics.rmse_valid"]
scaled = settings.apply(lambda column: np.log(column) if column.name in LOGARITHMIC else column)
scaled = (scaled - scaled.min()) / (scaled.max() - scaled.min())

# %% name="parallel_figure"
by_error = plt.cm.cividis((error - error.min()) / (error.max() - error.min()))
by_rank = np.where(error.rank().to_numpy()[:, None] <= 5, [0, 0.45, 0.7, 1], [0.8, 0.8, 0.8, 1])
panels = {
    "By error: a few bad trials use up the colours": by_error,
    "By rank: the best five in blue": by_rank,
}
fig, axes = plt.subplots(2, 1, figsize=(6, 4.4), sharex=True)
for ax, (title, colours) in zip(axes, panels.items(), strict=True):
    for i in reversed(scaled.index):  # the best last, on top
        ax.plot(NAMES, scaled.loc[i], color=colours[i], linestyle="-", linewidth=1, antialiased=False)
    ax.set(title=title, ylabel="share of axis")
    ax.grid(axis="y", visible=False)
axes[1].tick_params(axis="x", rotation=20)
plt.show()

# %% [markdown]
# *Figure: two panels with the same lines, one per trial, across six parameter axes. Above most lines have the same dark colour, below five blue lines stand out of grey ones.*
#
# Above, a few bad trials take the bright end of the scale, and all others share the dark end: you see that *something* was bad. Give the colours to ranks, or clip them at a quantile. Below, the five best avoid the low
# end of the rate. They also agree on `subsample` and `colsample_bytree`, of which you know from the record that they hardly matter. They agree because TPE drew many of its trials there: a bundle of good lines shows where the search went, and only sometimes why.
#
# Two more habits. Put a rate on a logarithmic axis. And change the order of the axes, because you see relations between neighbours only.
#
# The same in MLflow: mark runs in the list, then *Compare*. The page starts with three parameters, linear axes and a scale from blue to red, which the bad trials eat.
#
# ![MLflow's parallel coordinates of the trials of one search: most lines are dark blue, few are red, the axis of the learning rate is linear and crowded at its lower end](../images/04_parallel.png)

# %% name="scatter"
drew = from_space["tags.mlflow.parentRunId"]
shown = [("random", "random", "o", PALETTE["blue"]), ("TPE, short start", "TPE", "x", PALETTE["orange"])]
fig, axes = plt.subplots(1, 2, figsize=(6.4, 3), sharey=True)
for ax, scale in zip(axes, ("linear", "log"), strict=True):
    for method, label, marker, colour in shown:
        runs = from_space[drew == parents[method]]
        rate = runs["params.learning_rate"].astype(float)
        ax.scatter(rate, runs["metrics.rmse_valid"], c=colour, marker=marker, label=label)
    ax.set(xscale=scale, xlabel=f"learning rate, {scale} axis")
axes[0].set(ylabel=f"RMSE in {VALID} (min)", title="The linear axis hides the slow rates")
axes[0].legend()
plt.show()

# %% [markdown]
# *Figure: error against learning rate, on a linear and on a logarithmic axis. TPE's crosses crowd where the error is low.*
#
# On the linear axis the slow rates stick together at its left end, with errors from the best to the worst. MLflow's *Scatter Plot* has only this axis for a parameter, so record the logarithm as a parameter of its own when you want to read it there.
#
# ![MLflow's scatter plot of error against learning rate on a linear axis: half of the points lie in the left fifth](../images/04_scatter.png)

# %% name="contour"
truth = record.groupby(["learning_rate", "max_depth"])["rmse_valid"].mean().unstack()
fig, axes = plt.subplots(1, 2, figsize=(6.4, 3), sharey=True)
limits = [4.1, 4.15, 4.2, 4.3, 4.5, 5, 6]
x, y = np.log10(settings["learning_rate"]), settings["max_depth"]
shades = limits if trips_path is None else np.unique(np.quantile(error, np.linspace(0, 0.9, 7)))
axes[0].tricontourf(x, y, error, levels=shades, cmap="cividis", extend="max")
axes[0].scatter(x, y, c="white", edgecolors="black", s=14)
axes[0].set(title="Drawn from the trials …", xlabel="log10 of the rate", ylabel="maximum depth")
filled = axes[1].contourf(
    np.log10(truth.index), truth.columns, truth.T, levels=limits, cmap="cividis", extend="max"
)
axes[1].set(title="… and from the whole record", xlabel="log10 of the rate")
fig.colorbar(filled, label="RMSE in March (min)")
plt.show()

# %% [markdown]
# *Figure: two contour maps of error over learning rate and depth. The left one, from the trials, has wedges and tongues between white points; the right one, from the record, is a smooth valley towards high rates.*
#
# Left, every colour between the white points is interpolated: one bad trial paints a whole wedge, and the dark tongues are where trials happened to lie. Right is the truth, a smooth valley. A contour shows where the search has
# been; before you believe a basin, train two or three settings in the gap.
#
# ![MLflow's contour plot of error over learning rate and depth with the colours reversed: dark blue is a low error, and most of the plane between the points is interpolated](../images/04_contour.png)
#
# In MLflow's *Contour Plot* the dark end is the *high* error until you switch **Reverse color** on, as here. Look at the colour bar before you look at the plot.
#
# ### Your turn

# %% exercise="tightest_axis"

# %%
exercise.check(tightest_axis)

# %% [markdown]
# ## Stop early, on a later month
#
# The number of trees need not be searched. **Early stopping** trains until the error on some other rows has not fallen for a number of rounds, and keeps the best round.
# Everything hangs on *which* rows. Train on January and February 2020, a month before the streets emptied, and test on April. A colleague lets April itself decide when to stop.


# %% name="stopped"
def in_year(month, year):
    """The same month of the year in which the test falls."""
    return str(pd.Period(month) + 12 * (int(year) - int(test_month[:4])))


def stopped(rows, decides_month, year):
    """Train before March of that year, stop on one month; return trees, and the errors in March and April."""
    earlier = rows[rows["month"] < in_year(valid_month, year)]
    march, april = (rows[rows["month"] == in_year(month, year)] for month in (valid_month, test_month))
    decides = april if decides_month == TEST else march
    model = boosted(n_estimators=400, learning_rate=0.1, early_stopping_rounds=20)
    evaluated = [(decides[FEATURES], decides["duration"])]
    model.fit(earlier[FEATURES], earlier["duration"], eval_set=evaluated, verbose=False)
    return {"trees": model.best_iteration + 1, VALID: rmse(model, march), TEST: rmse(model, april)}


rows_of = {year: trips_of(in_year(first_month, year), in_year(test_month, year)) for year in stop_years}
pd.DataFrame(
    {
        f"{year}, stopped on {month}": stopped(rows, month, year)
        for year, rows in rows_of.items()
        for month in (TEST, VALID)
    }
).T.round(3)

# %% [markdown]
# 2020: 5.827<!-- =stopped[2020, stopped on April, April] --> minutes instead of 6.526<!-- =stopped[2020, stopped on March, April] -->, a model that copes with April, it seems. It stopped after 12<!-- ~stopped[2020, stopped on April, trees] --> trees, close to the mean, and that happens to suit an empty city.
# On any day before April nobody could have chosen it: in March it is at 5.148<!-- =stopped[2020, stopped on April, March] -->, where 229<!-- ~stopped[2020, stopped on March, trees] --> trees reach 4.325<!-- =stopped[2020, stopped on March, March] -->. The score is too good to be true, because the answer sheet chose the model.
#
# In the calm year the same mistake is worth less than 0.01<!-- given --> minutes. So it goes unnoticed for years, and lies most in the month in which you need the truth. The rule costs nothing: train on what is early, stop on what is later, test on what is latest.
#
# One thing more. After an early stop the model holds more trees than the best number. Who leaves the extra ones out?

# %% name="best_iteration"
stopping = boosted(n_estimators=400, early_stopping_rounds=20)
stopping.fit(
    train[FEATURES], train["duration"], eval_set=[(valid[FEATURES], valid["duration"])], verbose=False
)
booster = stopping.get_booster()
print(f"trained {booster.num_boosted_rounds()} rounds, the best was number {stopping.best_iteration + 1}")
answers_of = {
    "XGBRegressor.predict": stopping.predict(valid[FEATURES]),
    "Booster.inplace_predict": booster.inplace_predict(valid[FEATURES].to_numpy()),
}
for name, yhat in answers_of.items():
    print(f"{name:24} {root_mean_squared_error(valid['duration'], yhat):.4f}")

# %% [markdown]
# `XGBRegressor.predict` does, by `best_iteration`. The `Booster` underneath, which a fast server calls, uses all rounds. Cut it with `booster[: stopping.best_iteration + 1]` before you hand it on.
#
# ### Your turn

# %% exercise="stop_early"

# %%
exercise.check(stop_early)

# %% [markdown]
# ## Prune what is hopeless
#
# Early stopping ends a training that has finished learning. **Pruning** ends one that is behind the others: after a round its error is compared with that of earlier trials at the same round. hyperopt has no pruning. Optuna has, so here is the same space again.
# `study.ask()` gives a trial, which suggests values where you need them; `study.tell()` takes the result. (`define-by-run`: an `if` in `suggest` makes a parameter that exists only under a condition.)

# %% name="optuna"
optuna.logging.set_verbosity(optuna.logging.WARNING)


class Prune(xgboost.callback.TrainingCallback):
    """Report the error of each round to Optuna, and stop when it says so."""

    def __init__(self, optuna_trial):
        self.trial = optuna_trial

    def after_iteration(self, model, epoch, evals_log):
        self.trial.report(evals_log["validation_0"]["rmse"][-1], step=epoch)
        return self.trial.should_prune()


# %% name="suggest"
def suggest(optuna_trial):
    """The same space, written where it is used."""
    return {
        "learning_rate": optuna_trial.suggest_float("learning_rate", 0.01, 0.5, log=True),
        "max_depth": optuna_trial.suggest_int("max_depth", 2, 10),
        "min_child_weight": optuna_trial.suggest_float("min_child_weight", 1, 80, log=True),
        "subsample": optuna_trial.suggest_float("subsample", 0.5, 1),
        "colsample_bytree": optuna_trial.suggest_float("colsample_bytree", 0.6, 1),
    }


# %% name="pruned_search"
ROUNDS, watched = 100, (valid[FEATURES], valid["duration"])
COMPLETE, PRUNED = optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED


def pruned_search(pruner):
    """Rounds that were trained, and the best error at the end, of a random search with this pruner."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed), pruner=pruner)
    rounds = 0
    for _ in range(trials):
        asked = study.ask()
        model = boosted(**suggest(asked), n_estimators=ROUNDS, callbacks=[Prune(asked)])
        model.fit(train[FEATURES], train["duration"], eval_set=[watched], verbose=False)
        curve = model.evals_result()["validation_0"]["rmse"]
        rounds += len(curve)
        done = len(curve) == ROUNDS
        study.tell(asked, curve[-1] if done else None, state=COMPLETE if done else PRUNED)
    ended = len(study.get_trials(states=[COMPLETE]))
    return {"rounds": rounds, "trials to the end": ended, "best RMSE": study.best_value}


# %% name="pruned"
median_rule = optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=20)
pruners = {"no pruning": optuna.pruners.NopPruner(), "median, after 20 rounds": median_rule}
pd.DataFrame({name: pruned_search(pruner) for name, pruner in pruners.items()}).T.round(3)

# %% [markdown]
# The **median rule** trained 690<!-- ~pruned[median, after 20 rounds, rounds] --> rounds instead of 1,200<!-- ~pruned[no pruning, rounds] -->, and the best trial survived. One lucky run again. So repeat it: 200<!-- given --> searches by **successive halving**, on the record's errors at 50, 100<!-- given -->, 200<!-- given --> and 400<!-- given --> trees. 32 settings
# start, and at each stage the better half goes on.

# %% name="halve"
SETTING = NAMES[:-1]  # without the number of trees, which is the resource here
curves = record.pivot(index=SETTING, columns="n_estimators", values="rmse_valid")


def halve(drawn):
    """Successive halving of these curves: the better half goes on at 50, 100 and 200 trees. Error and rounds."""
    rounds, alive = 0, drawn
    for before, trees in zip((0, 50, 100, 200), (50, 100, 200, 400), strict=True):
        rounds += len(alive) * (trees - before)
        best_first = alive.sort_values(trees)
        alive = best_first.head(max(len(alive) // 2, 1)) if trees < 400 else best_first
    return alive[400].min(), rounds


# %% name="halving"
rows = []
for s in range(200):
    drawn = curves.sample(32, random_state=s)
    (kept, rounds), whole = halve(drawn), drawn[400].min()
    rate = drawn[400].idxmin()[0]
    rows.append({"saved": 1 - rounds / (32 * 400), "worse by": kept - whole, "rate of the best": rate})
halved = pd.DataFrame(rows)
lost = halved[halved["worse by"] > 0]["worse by"]
print(f"rounds saved {halved['saved'].mean():.0%}, best lost in {len(lost) / 200:.0%} of 200 searches")
print(f"then {lost.median():.3f} minutes worse in the median, {lost.max():.3f} at most")

# %% [markdown]
# Two thirds of the rounds are saved, and in 31<!-- =halving: lost in (\d+)% -->% of the searches the best setting was among the hopeless. Which ones? Slow learners.

# %% name="slow"
halved["best lost"] = halved["worse by"] > 0
halved.groupby("rate of the best")["best lost"].agg(["count", "mean"]).round(2)

# %% [markdown]
# A low rate is behind at 50 rounds *because* it is low, and ahead at 400<!-- given -->. Whenever the best was at 0.03<!-- given --> or below, it was thrown away. Prune late, or compare at equal rate times rounds, or leave the rate out of the race and let early stopping choose the trees. The price here is small:
# 0.015<!-- =halving: then ([\d.]+) --> minutes in the median when it happens.
#
# ## The same budget in Optuna


# %% name="optuna_record"
def replay_optuna(seed):
    """The same space and the same budget in Optuna's TPE, looked up."""
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    trace = []
    for _ in range(evaluations):
        asked = study.ask()
        setting = suggest(asked) | {"n_estimators": asked.suggest_int("n_estimators", 50, 400, log=True)}
        key = nearest(setting)
        trace.append((*answers[key], *key))
        study.tell(asked, trace[-1][0])
    return np.array(trace)


searches["Optuna"] = [replay_optuna(s) for s in range(seeds)]
pd.DataFrame(
    {
        n: {name: np.median([t[:n, 0].min() for t in traces]) for name, traces in searches.items()}
        for n in (10, 20, 40, 64)
        if n <= evaluations
    }
).round(3)

# %% [markdown]
# On the same space, seeds and budget Optuna ends at 4.125<!-- =optuna_record[Optuna, 64] -->, below hyperopt's TPE, and is ahead of random from 20 trials on: its start is shorter, and since version 5 its TPE looks at all parameters together by default.
#
# | | hyperopt | Optuna |
# |---|---|---|
# | space | a dict of distributions, before the search | suggested inside the trial; conditions are `if` |
# | what comes back | indices and floats: `space_eval` | the values |
# | seed | `rstate=np.random.default_rng(0)` | `TPESampler(seed=0)` |
# | first random trials | 20 | 10 |
# | pruning | none | median, halving, Hyperband |
# | your loop or its loop | its loop (`fmin`) | both: `optimize`, or ask and tell |
# | a search that survives a crash | `trials_save_file` | a database: `storage="sqlite:///study.db"` |
# | runs in MLflow | by hand, as above | by hand, or `MLflowCallback` of the package `optuna-integration` |
#
# One trap lies in every adaptive search, and no plot shows it. How strong is the relation between a parameter and the error? Ask the trials of both.


# %% name="adaptive"
def relation(traces, name):
    """Median rank correlation of a parameter with the error, over the seeds."""
    column = 2 + NAMES.index(name)
    return np.median([pd.Series(t[:, column]).corr(pd.Series(t[:, 0]), method="spearman") for t in traces])


pd.DataFrame({m: {n: relation(searches[m], n) for n in NAMES} for m in ("random", "Optuna")}).round(2)

# %% [markdown]
# In the random trials the rate matters most, -0.49<!-- =adaptive[learning_rate, random] -->, and `subsample` does nothing. In Optuna's trials the rate seems not to matter, -0.08<!-- =adaptive[learning_rate, Optuna] -->, and `subsample` does, -0.42<!-- =adaptive[subsample, Optuna] -->. Nothing about XGBoost changed.
# The search found good rates early and stayed there, so what was left to vary looks important. Ask *random* trials what matters; ask adaptive ones only what is best.
#
# ## When not to tune
#
# The evening is over. What did it buy, and what would it have bought elsewhere? The table gives tuning every advantage: the best of all settings in the record, not of one search.

# %% name="instead"
chosen = record.loc[record["rmse_valid"].idxmin()]
best_known_setting = {name: chosen[name] for name in NAMES} | {
    name: int(chosen[name]) for name in ("max_depth", "n_estimators")
}
more = trips_of(more_from, str(pd.Period(valid_month) - 1))
offers = {"the defaults": ({}, train), "best of 6,912 settings": (best_known_setting, train)}
if earlier := len(months(more_from, first_month)) - 1:
    one, count = pd.Period(first_month) - 1, {4: "four"}.get(earlier, earlier)
    since = more[more["month"] >= str(one)]
    offers[f"defaults, one more month ({one.strftime('%B')})"] = ({}, since)
    offers[f"defaults, {count} more months"] = ({}, more)
    offers[f"best of 6,912, {count} more months"] = (best_known_setting, more)
table = {}
for name, (setting, rows) in offers.items():
    model = boosted(**setting).fit(rows[FEATURES], rows["duration"])
    table[name] = {VALID: rmse(model, valid), TEST: rmse(model, test)}
table = pd.DataFrame(table).T
table[f"{TEST}, against the defaults"] = (100 * (table[TEST] / table[TEST].iloc[0] - 1)).round(1)
table.round(3)

# %% [markdown]
# The best of 6,912<!-- given --> settings is 1.6<!-- given -->% better in April than the defaults. How close was your guess? *One more month* of training data, with the defaults, gives 2.5<!-- given -->%, four months 4.6<!-- given -->%. Both together give the most, so tuning is not useless. It is the last step.
#
# | question | decision, on this evidence |
# |---|---|
# | which method? | Optuna's TPE or random search; a grid for one or two parameters that you want to *see* |
# | how many trials? | more than its random start: 30 to 60 for three parameters that matter; then stop |
# | when to stop? | when the best has not moved by more than the noise for as many trials as you have run so far |
# | how many trees? | early stopping on a later month, not a search |
# | what first? | baseline, data, features, newer months; then tune once, and again only when those change |
# | when not at all? | when the gain is smaller than what you can measure (lesson 04b), or one training costs more than a year of the gain |

# %% [markdown]
# ## What changed
#
# {{ what_changed: tuning, xgboost }}
#
# ## Take-aways
#
# - One search of each method compares seeds. Repeat them, and show median and spread, by evaluations and by seconds.
# - A grid repeats the few values of what matters; random search does not. TPE is random search until its start is over, and here a small lead after.
# - A rate belongs on a logarithmic scale, in the space and in the plot. Read a `choice` with `space_eval`.
# - The search is the parent, the trial is the child, and a leaderboard has to ask for children.
# - Whatever stops, prunes or picks must not see the test month. The damage is smallest when times are calm, so you will not notice it then.
# - Tune last. One more month of data was worth more than the best of thousands of settings.
#
# ## In an interview
#
# - *Why does random search beat a grid, and TPE beat random search? Does it always?* Shown in [The same evening, many times](#The-same-evening,-many-times) and
#   [Why a grid wastes evaluations](#Why-a-grid-wastes-evaluations,-and-what-TPE-does).
# - *A colleague's early stopping watches the test set. What is wrong, and how much does it matter?* Shown in [Stop early, on a later month](#Stop-early,-on-a-later-month).
# - *You have one day to improve a model. How much of it do you spend on tuning?* Shown in [When not to tune](#When-not-to-tune).
#
# With the points of a good answer, and more of them: `walkforward practice --lesson 04` in a terminal.
#
# ## Up next
#
# You have a best setting. Is it better than the second best, or luckier? [04b · Is it better?](04b_is_it_better.ipynb) answers with repeated seeds, a bootstrap, and a month that nobody chose by.
