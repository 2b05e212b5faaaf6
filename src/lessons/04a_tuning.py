# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
#   walkforward:
#     ci:
#       trials: 6
# ---

# %% [markdown]
# # 04a · Tuning
#
# After this lesson you can search for better parameters on a budget, keep every trial where others find it, and say what the search was worth.

# %% [markdown]
# > **You will learn to** define a search space without the usual mistakes · log a search as nested runs · compare grid, random and TPE over
# > many seeds, on trials and on seconds · decide when not to tune
# >
# > **Before you start** [03a · Tracking](03a_tracking.ipynb)
# >
# > **Time** 55 minutes of study; it runs in half a minute
# >
# > **Interview questions it answers** Why does random search beat a grid? · How do you keep a search in MLflow? · How long would you tune, and when not at all?

# %% [markdown]
# ## Parameters
#
# Two months to train on, March to choose the parameters, April to look at once, at the end.

# %% tags=["parameters"]
trips_path = None  # a file of your own, or one a month: "taxi/{month}.parquet"
max_trips = 60_000  # of a file of your own, drawn at random
more_from = "2018-12"  # the month that is added at the end
first_month, valid_month, test_month = "2019-01", "2019-03", "2019-04"  # training ends before valid_month
trials = 12  # evaluations of each search that trains models here
seed = 0  # of these searches

# %%
from course import own_data
from course.data import load_trips, months, prepare_trips

records = load_trips
if trips_path is not None:
    note = "The recorded trainings stay those of the course's trips."
    wanted = {"first_month": first_month, "valid_month": valid_month, "test_month": test_month}
    own, chosen = own_data.monthly_trips("04", trips_path, max_trips, note, more_from=more_from, **wanted)
    more_from, first_month, valid_month, test_month = chosen
    records = own_data.by_month(own)

# %% [markdown]
# ## A space to search
#
# It is four in the afternoon, and your manager wants the best XGBoost parameters by tonight. A search draws settings from a **space**: for each parameter its limits and how likely each value is. hyperopt writes a space as a
# dict of distributions. Almost every line of it can be wrong without an error.
#
# For a learning rate the factor counts: from 0.01<!-- given --> to 0.02<!-- given --> changes as much as from 0.25<!-- given --> to 0.5<!-- given -->. Three ways to write it:

# %% name="rates"
import numpy as np
import pandas as pd
from hyperopt import fmin, hp, rand, space_eval, tpe
from hyperopt.pyll import scope
from hyperopt.pyll.stochastic import sample

from course import exercise
from course.exercise import TODO

rng, ways = np.random.default_rng(seed), {}
ways["uniform(0.01, 0.5)"] = hp.uniform("rate", 0.01, 0.5)
ways["loguniform(0.01, 0.5)"] = hp.loguniform("rate", 0.01, 0.5)
ways["loguniform(log 0.01, log 0.5)"] = hp.loguniform("rate", np.log(0.01), np.log(0.5))
drawn = pd.DataFrame({name: [sample(way, rng=rng) for _ in range(500)] for name, way in ways.items()})
drawn.agg(["min", "max", lambda rates: (rates < 0.05).mean()]).set_axis(
    ["lowest", "highest", "below 0.05"]
).T.round(3)

# %% [markdown]
# The first draws only 7<!-- given --> % of its rates below 0.05<!-- given -->, the third 43<!-- given --> %. The second forgot that `loguniform` takes the **logarithms** of its bounds, and draws rates above 1. No error, a ruined search.
#
# Two more traps lie in what comes back from a search.

# %% name="index"
fractions = [0.5, 0.75, 1.0]
small = {"subsample": hp.choice("subsample", fractions), "max_depth": hp.quniform("max_depth", 2, 10, 1)}
quiet = {"verbose": False, "show_progressbar": False, "rstate": np.random.default_rng(seed)}
best = fmin(lambda setting: 1 - setting["subsample"], small, algo=rand.suggest, max_evals=10, **quiet)
print("fmin returns", {name: float(value) for name, value in best.items()})
print("space_eval  ", {name: float(value) for name, value in space_eval(small, best).items()})

# %% [markdown]
# A `choice` comes back as its **index**: read as a fraction, index 1 is accepted in silence and means another setting. `space_eval` translates it. A `choice` also hides from the search that numbers have an order. And `quniform` draws floats:
# XGBoost refuses 10.0<!-- given --> for a depth. `uniformint` and `scope.int` draw whole numbers.
#
# ### Your turn

# %% exercise="mended_space"

# %%
exercise.check(mended_space)

# %% [markdown]
# ## What there is to win
#
# Before you search, know what you have: the error of always predicting the mean, and of XGBoost as it comes. (**Gradient boosting** adds small decision trees, each trained on the errors that are left; `learning_rate` scales what each tree adds.)

# %% name="trips"
from sklearn.metrics import root_mean_squared_error
from xgboost import XGBRegressor

FEATURES = ["trip_distance", "pickup_location_id", "dropoff_location_id", "hour", "weekday"]
trips = prepare_trips(records(months(more_from, test_month)))
pickup = trips["pickup_datetime"].dt
trips["hour"], trips["weekday"], trips["month"] = pickup.hour, pickup.dayofweek, pickup.strftime("%Y-%m")
trips[FEATURES] = trips[FEATURES].astype(float)
train = trips[trips["month"].between(first_month, valid_month, inclusive="left")]
valid, test = (trips[trips["month"] == month] for month in (valid_month, test_month))


# %% name="default"
def trained(rows, **setting):  # one thread, one seed: the same model each time
    return XGBRegressor(n_jobs=1, random_state=0, **setting).fit(rows[FEATURES], rows["duration"])


def rmse(model, rows):
    return root_mean_squared_error(rows["duration"], model.predict(rows[FEATURES]))


default = trained(train)
mean = root_mean_squared_error(valid["duration"], [train["duration"].mean()] * len(valid))
print(f"RMSE in March, in minutes: the mean {mean:.2f}, XGBoost's defaults {rmse(default, valid):.3f}")

# %% [markdown]
# **Predict first.** The last section has the best of 6,912<!-- given --> settings, chosen on March. By how many percent will it beat the defaults in April? And what gains more: that setting, or one more month of training data?
#
# ## Three searches, each trial a run
#
# Three methods get the same budget, 12 trainings each:
#
# - **Grid**: every combination of a few values that you choose.
# - **Random**: every setting drawn from the space, independent of the others.
# - **TPE** (Tree-structured Parzen Estimator): draws where earlier trials were good.
#
# Each trial is a run of MLflow. The runs of one search are children of a run for the search itself: **nested runs**.

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

# %% name="store"
import logging
import os
from datetime import datetime
from pathlib import Path

import mlflow

FILES = Path("04a_tuning_files")  # everything that this lesson writes
FILES.mkdir(exist_ok=True)
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
logging.getLogger("mlflow").setLevel(logging.WARNING)
mlflow.set_tracking_uri(f"sqlite:///{(FILES / 'mlflow.db').as_posix()}")
title = f"trip duration, tuned · {datetime.now():%Y-%m-%d %H:%M:%S.%f}"
artifacts = (FILES / "artifacts").resolve().as_uri()
experiment_id = mlflow.create_experiment(title, artifact_location=artifacts)
experiment = mlflow.set_experiment(experiment_id=experiment_id)


# %% name="trial"
def trial(setting):
    """Train one setting, log it as a child of the active run, return its error in March."""
    with mlflow.start_run(nested=True):
        mlflow.log_params(setting)
        error = rmse(trained(train, **setting), valid)
        mlflow.log_metric("rmse_valid", error)
    return error


def search(algorithm):
    quiet["rstate"] = np.random.default_rng(seed)  # a Generator; the RandomState of older texts is refused
    return fmin(trial, SPACE, algo=algorithm, max_evals=trials, **quiet)


# %% name="searches"
from sklearn.model_selection import ParameterGrid

GRID = {"learning_rate": [0.05, 0.1, 0.3], "max_depth": [4, 8], "subsample": [0.75, 1.0]}
GRID |= {"min_child_weight": [1], "colsample_bytree": [1.0], "n_estimators": [200]}
METHODS = {
    "grid": lambda: [trial(setting) for setting in list(ParameterGrid(GRID))[:trials]],
    "random": lambda: search(rand.suggest),
    "TPE": lambda: search(tpe.suggest),
}
found = {}
for method, run_trials in METHODS.items():
    with mlflow.start_run(run_name=method) as parent:
        mlflow.log_params({"method": method, "evaluations": trials, "seed": seed})
        run_trials()
    below = f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'"
    found[method] = mlflow.search_runs(filter_string=below, order_by=["metrics.rmse_valid ASC"])
    print(f"{method:7} {len(found[method])} trials, best {found[method]['metrics.rmse_valid'].min():.4f}")

# %% [markdown]
# Random and TPE agree to the last digit. Compare their trials one by one.

# %% name="same"
random_errors, tpe_errors = (sorted(found[name]["metrics.rmse_valid"]) for name in ("random", "TPE"))
print("the same trials:", random_errors == tpe_errors)

# %% [markdown]
# TPE needs trials before it can say where they were good. In hyperopt the first 20 are random (`n_startup_jobs`), in Optuna the first 10. With 12 trials you got random search.
#
# In the store, the link from trial to search is a tag of the child, `mlflow.parentRunId`. A list of trials has to ask for it. If a parent carries the metric of its trials, as in many tutorials, it appears in the list as a second copy of its best trial.
#
# | | parent: the search | child: the trial |
# |---|---|---|
# | parameters | method, budget, seed | the setting |
# | metrics | the best error, under a name of its own | its error |
# | data, code version | here, once | found through the parent |
# | model | the best setting, fitted again | none: it can be trained again |
#
# When trials run in other processes, no run is active there: pass `parent_run_id=` to `start_run`. A child is written to the active experiment, not to its parent's, so set the experiment or pass `experiment_id=`.
#
# scikit-learn's `GridSearchCV` and `RandomizedSearchCV` make parent and children themselves under `mlflow.sklearn.autolog()`: the five best children (`max_tuning_runs=None` keeps all), with the metric `mean_test_score`, negative because scikit-learn maximises.
#
# ### Your turn

# %% exercise="log_search"

# %%
exercise.check(log_search)

# %% [markdown]
# ## The same evening, many times
#
# One search of each method is one draw of each lottery. To compare methods you repeat the evening with other seeds. To save you the hours, we trained all settings in advance: a **record** holds 6,912<!-- given --> settings, each trained once on these
# trips, with its errors and its seconds of processor time.

# %% name="record"
from course.paths import ROOT

RESULTS = ROOT / "benchmarks" / "results"
record = pd.read_parquet(RESULTS / "tuning.parquet")
found = record["rmse_valid"]
print(f"best of {len(record):,} settings {found.min():.3f}, worst {found.max():.3f}")
print(f"{(found < rmse(default, valid)).mean():.1%} of them beat the defaults")

# %% [markdown]
# With the record, searches are cheap to repeat. In these, hyperopt drew every setting as above, and the answer came from the nearest setting in the record: 24 seeds, 64 trials each. The grid has two values of each parameter, which the seed chooses (`benchmarks/tuning.py`).

# %% name="turned"
searches = pd.read_parquet(RESULTS / "tuning_searches.parquet").query("method != 'Optuna'")
ends = searches.groupby(["seed", "method"])["rmse_valid"].min().unstack()
ends.head(8).round(4)

# %% [markdown]
# With seed 0 TPE wins, 4.1308<!-- =turned[0, TPE] -->. With seed 5 the grid wins and random is last. With seed 7 TPE is last. *One* search of each shows a seed.
#
# So look at all of them: the best error known after each trial, median and middle half over the seeds. And once more against the seconds that the trainings took, because an evening is a number of hours and not of trials.

# %% name="known"
of_search = searches.groupby(["method", "seed"])
searches["best"], searches["spent"] = of_search["rmse_valid"].cummin(), of_search["seconds"].cumsum()
searches["second"] = np.ceil(2 * searches["spent"]) / 2  # known at the next half second
by_trial = searches.pivot_table("best", "trial", ["method", "seed"])
by_second = searches.pivot_table("best", "second", ["method", "seed"], aggfunc="min").ffill().loc[2:10]

# %% name="curves"
import matplotlib.pyplot as plt

from walkforward.plots import PALETTE, use_style

use_style()
fig, axes = plt.subplots(1, 2, figsize=(6.4, 3.2), sharey=True)
styles = {"grid": ("grey", ":"), "random": ("blue", "--"), "TPE": ("orange", "-")}
for ax, best in zip(axes, (by_trial, by_second), strict=True):
    for method, (colour, line) in styles.items():
        low, median, high = best[method].quantile([0.25, 0.5, 0.75], axis=1).to_numpy()
        ax.fill_between(best.index, low, high, color=PALETTE[colour], alpha=0.15, linewidth=0)
        ax.plot(best.index, median, color=PALETTE[colour], linestyle=line, label=method)
    ax.set(xlabel=f"{best.index.name}s", ylim=(4.11, 4.26))
axes[0].set(title="By trials TPE leads", ylabel="best RMSE in March (min)")
axes[1].set(title="By seconds it leads by less")
axes[0].legend()
plt.show()

# %% [markdown]
# *Figure: best error so far of grid, random and TPE, median and middle half over the seeds. On the left, by trials, TPE leaves random after 20 and ends lowest; on the right, by seconds, its lead is smaller. The grid is highest in both.*

# %% name="pairs"
budgets = {f"{n} trials": by_trial.loc[n] for n in (16, 32, 64)} | {"10 seconds": by_second.loc[10]}
for name, best in budgets.items():
    known = best.unstack("method")
    won, lost = (known["TPE"] < known["random"]).sum(), (known["TPE"] > known["random"]).sum()
    print(f"{name}: {known.median().round(4).to_dict()}, TPE wins {won} seeds and loses {lost}")

# %% [markdown]
# Up to 20 trials random and TPE are the same search. After 64, TPE's median is 4.127<!-- =pairs: 64 trials.*'TPE': ([\d.]+) --> against 4.1348<!-- =pairs: 64 trials.*'random': ([\d.]+) --> for random and 4.1468<!-- =pairs: 64 trials.*'grid': ([\d.]+) --> for the grid. Seed by seed it wins 16<!-- =pairs: 64 trials.* TPE wins (\d+) --> and loses 5<!-- =pairs: 64 trials.*loses (\d+) -->: a lead, no law. In 10 seconds it wins 12<!-- =pairs: 10 seconds.* TPE wins (\d+) --> and loses 7<!-- =pairs: 10 seconds.*loses (\d+) -->, because it has
# learned to ask for deep trees, which take longer.
#
# The lead is less than a hundredth of a minute: take either. TPE pays when one training takes hours, when you can afford hundreds of trials, or when good settings are rare.
#
# ## Why a grid wastes trials, and what TPE does
#
# Which parameters matter? For each value of a parameter take the best error that any setting with it reaches, and see how far these lie apart.

# %% name="matters"
NAMES = list(SPACE)
best_at = {name: record.groupby(name)["rmse_valid"].min() for name in NAMES}
spread = {n: {"best value": b.idxmin(), "loss at the worst value": np.ptp(b)} for n, b in best_at.items()}
pd.DataFrame(spread).T.round(3)

# %% [markdown]
# Rate and depth matter, the number of trees somewhat, the other three hardly. A grid of two values each spends 64 trials on *two* rates and *two* depths, and repeats each pair 16 times. Random search tries a new rate and a new depth each time (Bergstra and Bengio, 2012<!-- given -->).
#
# TPE splits the trials so far at an error $y^*$ into a few good ones and the rest. For each parameter it estimates two densities, draws candidates from $l$ and trains the one with the largest ratio:
#
# $$\frac{l(x)}{g(x)}, \qquad l(x) = p(x \mid y < y^*), \quad g(x) = p(x \mid y \ge y^*)$$
#
# hyperopt treats the parameters as independent: that a low rate wants many trees, it cannot express.

# %% [markdown]
# ## When not to tune
#
# What did the evening buy, and what would it have bought elsewhere? Take the best setting of the whole record, and one more month of data, December, with the defaults.

# %% name="instead"
best_known = record.loc[found.idxmin(), NAMES].to_dict()
best_known |= {name: int(best_known[name]) for name in ("max_depth", "n_estimators")}
models = {"the defaults": default, "best setting": trained(train, **best_known)}
models["one more month"] = trained(trips[trips["month"] < valid_month])
in_april = pd.Series({name: rmse(model, test) for name, model in models.items()})
pd.DataFrame({"RMSE": in_april.round(3), "%": (100 * (in_april / in_april.iloc[0] - 1)).round(1)})

# %% [markdown]
# In April the month wins clearly. But this is one window. The record holds the same comparison for 22 test months, May 2018<!-- given --> to February 2020<!-- given -->: two months to train on, one that chooses, one to test on. It adds a third offer, the **newest** month:
# you held it out to choose by, and once the choice is made, nothing forbids you to train on it. In the table, `best` is the best setting; `earlier` and `newer` name the month that was added.

# %% name="windows"
windows = pd.read_parquet(RESULTS / "tuning_windows.parquet")
gain = 100 * windows.div(windows["defaults"], axis=0).sub(1).drop(columns="defaults")
ahead = gain.lt(gain["best"], axis=0).sum()
gain.agg(["mean", "median"]).T.assign(**{"months ahead of best": ahead}).round(2)

# %% name="interval"
for name in ("defaults, earlier", "defaults, newer"):
    apart = gain[name] - gain["best"]
    print(f"{name} − best: {apart.mean():.2f} ± {2 * apart.std() / len(apart) ** 0.5:.2f} points")

# %% [markdown]
# An *earlier* month and the best of 6,912<!-- given --> settings are a tie: −1.83<!-- =windows: defaults, earlier +(-[\d.]+) --> % against −1.48<!-- =windows[best, mean] --> %, the month ahead in 14<!-- =windows: defaults, earlier.* (\d+) --> of 22, and the interval of the difference holds zero. April was a lucky window for the month. The *newest* month is no tie:
# −3.13<!-- =windows: defaults, newer +(-[\d.]+) --> %, ahead in 19<!-- =windows: defaults, newer.* (\d+) --> of 22. The best setting with the newest month gives −4.3<!-- =windows: best, newer +(-[\d.]+) --> %.
#
# (± is two standard errors and assumes independent windows. Neighbours share training months; redrawing blocks of four months gives the same two verdicts. The setting was chosen in March 2019<!-- given -->, an advantage in the months before.)
#
# So tune, and then fit the chosen setting again with the month that chose it: that is free.

# %% [markdown]
# | question | decision, on this evidence |
# |---|---|
# | which method? | TPE or random search; a grid for one or two parameters that you want to *see* |
# | how many trials? | more than the random start: 30 to 60 for three parameters that matter |
# | when to stop? | when the best has not moved by more than the noise for as long as you have searched |
# | what first? | baseline, data, features; then tune once, then refit on all months |
# | when not at all? | when the gain is below what you can measure (04c), or one training costs more than a year of the gain |
#
# ## What changed
#
# {{ what_changed: tuning }}
#
# Databricks ships hyperopt up to ML runtime 16.4<!-- given --> LTS, Optuna after that.
#
# ## Take-aways
#
# - One search of each method compares seeds. Repeat them, and show median and spread, by trials and by seconds.
# - A grid repeats a few values of what matters. TPE is random search until its start is over, and here a small lead after.
# - A rate belongs on a logarithmic scale. Read a `choice` with `space_eval`.
# - The search is the parent, the trial is the child, and a leaderboard asks for children.
# - One earlier month of data gained as much as the best of 6,912<!-- given --> settings. The newest month, held out to choose by, gained twice as much: refit on it.

# %% [markdown]
# ## In an interview
#
# - *Why does random search beat a grid, and TPE beat random search? Does it always?* Shown in [The same evening, many times](#The-same-evening,-many-times).
# - *How do you keep a search of hundreds of trials in MLflow?* Shown in [Three searches, each trial a run](#Three-searches,-each-trial-a-run).
# - *You have one day to improve a model. How much of it do you spend on tuning?* Shown in [When not to tune](#When-not-to-tune).
#
# With the points of a good answer, and more of them: `walkforward practice --lesson 04a` in a terminal.
#
# ## Up next
#
# A search spends most of its time on trials that will not win. [04b · Early stopping and pruning](04b_early_stopping_and_pruning.ipynb) saves it, and reads the plots of a search.
