# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
#   walkforward:
#     ci:
#       trials: 8
#       widest: 500
# ---

# %% [markdown]
# # 04b · Early stopping and pruning
#
# After this lesson you can stop trainings and trials that will not win without looking at the test month, and read the plots of a search without being fooled.

# %% [markdown]
# > **You will learn to** stop a training on a later month · prune trials, and say what pruning loses · run the same search in Optuna and keep it in
# > MLflow · read parallel coordinates, scatter and contour plots · notice when the best settings lie at the edge of the space
# >
# > **Before you start** [04a · Tuning](04a_tuning.ipynb)
# >
# > **Time** 55 minutes of study; it runs in half a minute
# >
# > **Interview questions it answers** Your early stopping watches the test set. What is wrong? · What does pruning save, and what can it lose? · A plot shows that all good
# > trials agree on a parameter. What does that prove?

# %% tags=["parameters"]
years = ["2020", "2019"]  # of the section on stopping; the last one is searched afterwards
trials = 12  # of each search that prunes
widest = 2000  # trees, where the space is widened at the end
seed = 0

# %% name="trips"
import pandas as pd

from course import exercise
from course.data import load_trips, months, prepare_trips
from course.exercise import TODO

FEATURES = ["trip_distance", "pickup_location_id", "dropoff_location_id", "hour", "weekday"]


def trips_of(year):
    """The trips of January to April, and the number of their month."""
    trips = prepare_trips(load_trips(months(f"{year}-01", f"{year}-04")))
    pickup = trips["pickup_datetime"].dt
    trips["hour"], trips["weekday"], trips["month"] = pickup.hour, pickup.dayofweek, pickup.month
    return trips.astype(dict.fromkeys(FEATURES, float))


# %% [markdown]
# ## Stop early, on a later month
#
# The number of trees need not be searched. **Early stopping** trains until the error on other rows has not fallen for some rounds, and keeps the best round. Everything depends on *which* rows. Train on January and February 2020, a month before the streets emptied, and test on April. You stop on
# March; a colleague stops on April itself.
#
# **Predict first.** By how much does April's error look better when April decides: by 1, 5 or 10 percent? And in the calm year 2019?

# %% name="stop"
from sklearn.metrics import root_mean_squared_error
from xgboost import XGBRegressor


def rmse(model, rows):
    return root_mean_squared_error(rows["duration"], model.predict(rows[FEATURES]))


# %% name="early"
def stopped(train, decides, **setting):
    """Train until the error on `decides` has not fallen for 20 rounds."""
    model = XGBRegressor(early_stopping_rounds=20, n_jobs=1, random_state=0, **setting)
    watched = [(decides[FEATURES], decides["duration"])]
    return model.fit(train[FEATURES], train["duration"], eval_set=watched, verbose=False)


# %% name="stopped"
table = {}
for year in years:
    trips = trips_of(year)
    train, march, april = trips[trips["month"] <= 2], trips[trips["month"] == 3], trips[trips["month"] == 4]
    for name, decides in (("April", april), ("March", march)):
        model = stopped(train, decides, n_estimators=400, learning_rate=0.1)
        row = {"trees": model.best_iteration + 1, "March": rmse(model, march), "April": rmse(model, april)}
        table[f"{year}, stopped on {name}"] = row
pd.DataFrame(table).T.round(3)

# %% [markdown]
# 2020: 5.827<!-- =stopped[2020, stopped on April, April] --> minutes instead of 6.526<!-- =stopped[2020, stopped on March, April] -->, a model that copes with April, it seems. It stopped after 12<!-- ~stopped[2020, stopped on April, trees] --> trees, which predict long trips too short. In an empty city long trips *are* shorter, so this error happens to help.
# Before April nobody could have chosen it: in March it misses by 5.148<!-- =stopped[2020, stopped on April, March] -->, where 229<!-- ~stopped[2020, stopped on March, trees] --> trees reach 4.325<!-- =stopped[2020, stopped on March, March] -->. The test month chose the model, so its score is too good to be true.
#
# In the calm year the same mistake is worth less than 0.01<!-- given --> minutes. It goes unnoticed for years, and misleads most in the month in which you need the truth. The rule costs nothing: train on what is early, stop on what is later, test on what is latest.
#
# After an early stop the model holds more trees than the best number. Who leaves the extra ones out?

# %% name="best_iteration"
model = stopped(train, march, n_estimators=400)
booster = model.get_booster()
print(f"trained {booster.num_boosted_rounds()} rounds, the best was number {model.best_iteration + 1}")
all_rounds = root_mean_squared_error(march["duration"], booster.inplace_predict(march[FEATURES].to_numpy()))
print(f"XGBRegressor.predict {rmse(model, march):.4f}, Booster.inplace_predict {all_rounds:.4f}")

# %% [markdown]
# `XGBRegressor.predict` does, by `best_iteration`. The `Booster` underneath, which a fast server calls, uses all rounds: cut it with `booster[: model.best_iteration + 1]` before you hand it on.
#
# ### Your turn

# %% exercise="stop_early"

# %%
exercise.check(stop_early)

# %% [markdown]
# ## Prune what is hopeless
#
# Early stopping ends a training that has finished learning. **Pruning** ends one that is behind the others at the same round. hyperopt cannot do it, Optuna can. Its space is written inside the trial: `suggest_…` where a value is needed, so an `if` makes a conditional parameter (**define-by-run**).

# %% name="suggest"
import optuna

optuna.logging.set_verbosity(optuna.logging.WARNING)


def suggest(trial):
    return {
        "learning_rate": trial.suggest_float("learning_rate", 0.01, 0.5, log=True),
        "max_depth": trial.suggest_int("max_depth", 2, 10),
        "min_child_weight": trial.suggest_float("min_child_weight", 1, 80, log=True),
        "subsample": trial.suggest_float("subsample", 0.5, 1),
        "colsample_bytree": trial.suggest_float("colsample_bytree", 0.6, 1),
    }


# %% name="objective"
def objective(trial):
    """Train 25 trees at a time up to 100, and report the error in March; stop when Optuna says so."""
    setting, booster = suggest(trial), None
    for rounds in range(25, 101, 25):
        model = XGBRegressor(**setting, n_estimators=25, n_jobs=1, random_state=0)
        booster = model.fit(train[FEATURES], train["duration"], xgb_model=booster).get_booster()
        trial.report(rmse(model, march), step=rounds)
        if trial.should_prune():
            raise optuna.TrialPruned
    return rmse(model, march)


# %% name="pruned"
median_rule = optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=25)
for name, pruner in {"no pruning": optuna.pruners.NopPruner(), "median rule": median_rule}.items():
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed), pruner=pruner)
    study.optimize(objective, n_trials=trials)
    rounds = sum(trial.last_step for trial in study.trials)
    print(f"{name}: {rounds:,} rounds trained, best RMSE {study.best_value:.3f}")

# %% [markdown]
# The **median rule** stops a trial that is worse than the median of the earlier ones at the same round. It trained 725<!-- =pruned: median rule: ([\d,]+) --> rounds instead of 1,200<!-- =pruned: no pruning: ([\d,]+) -->, and the best trial survived. One lucky run again, so repeat it: 200<!-- given --> searches by **successive halving** in the record of 04a. Thirty-two settings start, and at 50, 100<!-- given --> and 200<!-- given --> trees the
# better half goes on.

# %% name="record"
from course.paths import ROOT

RESULTS = ROOT / "benchmarks" / "results"
record = pd.read_parquet(RESULTS / "tuning.parquet")
NAMES = list(record.columns[:6])
curves = record.pivot(index=NAMES[:5], columns="n_estimators", values="rmse_valid")


# %% name="halve"
def halve(alive):
    """Of these settings the one that is left, after the worse half went at 50, 100 and 200 trees."""
    for trees in (50, 100, 200, 400):
        alive = alive.sort_values(trees).head(max(len(alive) // 2, 1))
    return alive.iloc[0]


# %% name="halving"
rows = []
for s in range(200):
    drawn = curves.sample(32, random_state=s)
    rows.append({"rate": drawn[400].idxmin()[0], "worse by": halve(drawn)[400] - drawn[400].min()})
halved = pd.DataFrame(rows)
halved["best lost"] = halved["worse by"] > 0
price = halved.loc[halved["best lost"], "worse by"].median()
print(
    f"the best was lost in {halved['best lost'].mean():.0%} of the searches, then {price:.3f} minutes worse"
)
halved.groupby("rate")["best lost"].agg(["count", "mean"]).round(2)

# %% [markdown]
# Halving trains 4,000<!-- given --> of 12,800<!-- given --> rounds, and in 31<!-- =halving: lost in (\d+)% -->% of the searches the best setting was among the hopeless. Which ones? Slow learners: whenever the best had a rate of 0.03<!-- given --> or below, it was thrown away. A low rate is behind at 50 rounds *because* it is low, and ahead at 400<!-- given -->. Prune late, or fix the rate and let early stopping
# choose the trees. The price here is small.
#
# ## The same budget in Optuna
#
# Does Optuna search better? The record holds its TPE too, on the space, the budget and the look-up of 04a.

# %% name="budgets"
searches = pd.read_parquet(RESULTS / "tuning_searches.parquet")
best = searches.assign(best=searches.groupby(["method", "seed"])["rmse_valid"].cummin())
best = best.pivot_table("best", ["trial", "seed"], "method")
print(
    "after 64 trials Optuna beats hyperopt's TPE in",
    (best["Optuna"] < best["TPE"]).loc[64].sum(),
    "of 24 seeds",
)
best.groupby("trial").median().loc[[10, 20, 40, 64], ["random", "TPE", "Optuna"]].round(3)

# %% [markdown]
# It ends at 4.125<!-- =budgets[64, Optuna] -->, a little below hyperopt's TPE, and is ahead from 20 trials on: its start is shorter, and since version 5 its TPE looks at all parameters together.
#
# | | hyperopt | Optuna |
# |---|---|---|
# | space | a dict of distributions | suggested inside the trial |
# | what comes back | indices and floats: `space_eval` | the values |
# | first random trials | 20 | 10 |
# | pruning | none | median, halving, Hyperband |
# | survives a crash | `trials_save_file` | a database, or MLflow |
#
# MLflow ships a storage for Optuna, `MlflowStorage`: the study becomes the parent, each trial a child.

# %% name="store"
import logging
import os
from datetime import datetime
from pathlib import Path

import mlflow

FILES = Path("04b_early_stopping_and_pruning_files")  # everything that this lesson writes
FILES.mkdir(exist_ok=True)
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
logging.getLogger("mlflow").setLevel(logging.WARNING)
mlflow.set_tracking_uri(f"sqlite:///{(FILES / 'mlflow.db').as_posix()}")
title = f"trip duration, pruned · {datetime.now():%Y-%m-%d %H:%M:%S.%f}"
artifacts = (FILES / "artifacts").resolve().as_uri()
experiment_id = mlflow.create_experiment(title, artifact_location=artifacts)

# %% name="storage"
from mlflow.optuna.storage import MlflowStorage

storage, sampler = MlflowStorage(experiment_id), optuna.samplers.TPESampler(seed=seed)
study = optuna.create_study(study_name="pruned", storage=storage, sampler=sampler)
study.optimize(lambda trial: (trial.suggest_float("rate", 0.01, 0.5, log=True) - 0.1) ** 2, n_trials=4)
storage.flush_all_batches()
resumed = optuna.load_study(study_name="pruned", storage=MlflowStorage(experiment_id))
runs = mlflow.search_runs([experiment_id])
print(f"{len(resumed.trials)} trials loaded again, runs by status: {runs['status'].value_counts().to_dict()}")

# %% [markdown]
# Three things to know. The parent stays `RUNNING`. The error is called `value` in every study. And `create_study(load_if_exists=True)` starts a second study of the same name: resume with `load_study`. Each trial costs dozens of calls to the server, here about a second, so use it when a training takes minutes. Otherwise log the trials yourself:

# %% name="log"
from mlflow.entities import Metric, Param

client = mlflow.MlflowClient()
parent = client.create_run(experiment_id, run_name="Optuna, 64 trials").info.run_id
for _, row in searches.query("method == 'Optuna' and seed == 4").iterrows():
    child = client.create_run(experiment_id, tags={"mlflow.parentRunId": parent}).info.run_id
    setting = [Param(name, f"{row[name]:g}") for name in NAMES]
    client.log_batch(child, [Metric("rmse_valid", row["rmse_valid"], 0, 0)], setting)
    client.set_terminated(child)
client.set_terminated(parent)

# %% [markdown]
# ## Reading the plots
#
# **Parallel coordinates** draw each trial as a line across one axis per parameter. Here are the best ten trials of two searches by Optuna that differ in the seed alone. (Colour by rank: by error, a few bad trials use up the scale.)

# %% name="parallel"
import matplotlib.pyplot as plt
import numpy as np

from walkforward.plots import PALETTE, use_style

use_style()
levels = {name: np.sort(record[name].unique()) for name in NAMES}
share = searches[NAMES].apply(lambda c: np.searchsorted(levels[c.name], c) / (len(levels[c.name]) - 1))

# %% name="parallel_figure"
fig, ax = plt.subplots(figsize=(6.4, 3))
best_of = {
    n: searches.query(f"method == 'Optuna' and seed == {n}").nsmallest(10, "rmse_valid") for n in (0, 4)
}
for trials_of, color, line in zip(best_of.values(), ("blue", "orange"), ("-", "--"), strict=True):
    ax.plot(NAMES, share.loc[trials_of.index].drop_duplicates().T, color=PALETTE[color], linestyle=line)
ax.set(title="Two searches of one space: two bundles", ylabel="share of axis")
ax.tick_params(axis="x", rotation=20)
plt.show()

# %% [markdown]
# *Figure: the best ten trials of two searches across six parameter axes. Those of the one (blue) meet at the highest child weight, middle subsample and 200<!-- given --> trees; those of the other (orange, dashed) meet at a middle child weight, the highest subsample and 400<!-- given --> trees.*
#
# Each search has its bundle, and they disagree on three axes of six. A bundle shows where the search *went*. Ask for the rank correlation of each parameter with the error, once among random trials, a fair sample of the space, and once among Optuna's.


# %% name="adaptive"
def relation(method):
    of_method = searches[searches["method"] == method].groupby("seed")
    return of_method[[*NAMES, "rmse_valid"]].apply(lambda t: t.corr("spearman")["rmse_valid"]).median()


pd.DataFrame({method: relation(method)[NAMES] for method in ("random", "Optuna")}).round(2)

# %% [markdown]
# Among random trials the rate matters most, −0.49<!-- =adaptive[learning_rate, random] -->, and `subsample` hardly. Among Optuna's the rate seems not to matter, −0.08<!-- =adaptive[learning_rate, Optuna] -->, and `subsample` does, −0.42<!-- =adaptive[subsample, Optuna] -->. Nothing about XGBoost changed: the search found good rates early and stayed there, so what still varies looks important. Ask *random* trials what matters, adaptive ones only what is best.
#
# In MLflow, mark runs and choose *Compare*. **Brush** the metric's axis: drag over its low end, and only the best trials keep their colour.
#
# ![MLflow's parallel coordinates of 64 trials: the low end of the metric's axis is brushed; the lines that pass there are blue, all others are pale](../images/04b_parallel.png)

# %% [markdown]
# The **contour plot** colours the plane between the trials, here those of one random search.

# %% name="contour"
truth = record.groupby(["learning_rate", "max_depth"])["rmse_valid"].mean().unstack()
fig, axes = plt.subplots(1, 2, figsize=(6.4, 3), sharey=True)
steps = {"levels": [4.1, 4.15, 4.2, 4.3, 4.5, 5, 6], "cmap": "cividis", "extend": "max"}
drawn = searches.query("method == 'random' and seed == 0")
x, y = np.log10(drawn["learning_rate"]), drawn["max_depth"]
axes[0].tricontourf(x, y, drawn["rmse_valid"], **steps)
axes[0].scatter(x, y, c="white", edgecolors="black", s=14)
axes[0].set(title="Drawn from 64 trials …", xlabel="log10 of the rate", ylabel="maximum depth")
filled = axes[1].contourf(np.log10(truth.index), truth.columns, truth.T, **steps)
axes[1].set(title="… and from the whole record", xlabel="log10 of the rate")
fig.colorbar(filled, label="RMSE in March (min)")
plt.show()

# %% [markdown]
# *Figure: two contour maps of error over learning rate and depth. The left one, from 64 trials, has wedges between white points; the right one, from the record, is a smooth valley towards high rates.*
#
# Left, every colour between the points is interpolated, and one bad trial paints a wedge. Right is the truth. Before you believe a basin, train two settings in the gap. In MLflow the dark end is the *high* error until you switch **Reverse color** on, as here, and the axis of the rate is linear: log its logarithm too.
#
# ![MLflow's contour plot of error over learning rate and depth with the colours reversed: dark blue is a low error, and most of the plane between some twenty points is interpolated](../images/04b_contour.png)
#
# %% [markdown]
# ## The best lie at the edge
#
# One thing in parallel coordinates calls for action: a bundle at the *limit* of an axis. How many of the ten best settings in the record lie at a limit?

# %% name="edge"
top, ends = record.nsmallest(10, "rmse_valid")[NAMES], record[NAMES].agg(["min", "max"])
pd.DataFrame({"lowest": (top == ends.loc["min"]).sum(), "highest": (top == ends.loc["max"]).sum()})

# %% [markdown]
# All ten have 400<!-- given --> trees and six the highest child weight. A share of rows or columns cannot exceed 1. The trees and the child weight can: the optimum may lie outside. So widen the space, and let early stopping choose the trees.

# %% name="widened"
best = record.loc[record["rmse_valid"].idxmin(), NAMES].to_dict() | {"n_estimators": widest}
best["max_depth"] = int(best["max_depth"])
for weight in (80, 160, 320):
    model = stopped(train, march, **best | {"min_child_weight": weight})
    errors = f"March {rmse(model, march):.3f}, April {rmse(model, april):.3f}"
    print(f"child weight {weight}: {model.best_iteration + 1} trees, {errors}")

# %% [markdown]
# The trees end by themselves. The child weight gains 0.007<!-- given --> minutes in March at 160<!-- given -->, beyond the space, and nothing in April. So this edge hid nothing that lasts; you know it only because you looked.
#
# ### Your turn

# %% exercise="at_the_edge"

# %%
exercise.check(at_the_edge)

# %% [markdown]
# ## What changed
#
# {{ what_changed: tuning, xgboost }}

# %% [markdown]
# ## Take-aways
#
# - Whatever stops, prunes or picks must not see the test month. The damage is smallest when times are calm, so you will not notice it then.
# - Pruning saves two thirds of the rounds and loses slow learners. Check late, or fix the rate.
# - An adaptive search bundles its trials where it went. Ask random trials which parameter matters.
# - A contour between trials is interpolation. A best value at the limit of the space asks for a wider space.

# %% [markdown]
# ## In an interview
#
# - *A colleague's early stopping watches the test set. What is wrong, and how much does it matter?* Shown in [Stop early, on a later month](#Stop-early,-on-a-later-month).
# - *What does pruning save, and what can it lose?* Shown in [Prune what is hopeless](#Prune-what-is-hopeless).
# - *All good trials of an Optuna study agree on a parameter. What does that prove?* Shown in [Reading the plots](#Reading-the-plots).
#
# With the points of a good answer, and more of them: `walkforward practice --lesson 04b` in a terminal.
#
# ## Up next
#
# You have a best setting. Is it better than the second best, or luckier? [04c · Is it better?](04c_is_it_better.ipynb) answers with repeated seeds and an interval.
