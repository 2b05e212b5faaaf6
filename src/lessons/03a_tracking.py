# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
#   walkforward:
#     ci:
#       first_month: "2019-08"
#       n_trees: 20
#       depths: [2, 10]
#       forest_trees: 5
# ---

# %% [markdown]
# # 03a · Tracking
#
# After this lesson you can say of any score on any slide which code, data and settings it came from, and fetch its model again.

# %% [markdown]
# > **You will learn to** record a run so that it can be repeated · log a metric with steps · find runs by search instead of memory · choose between manual
# > logging and autologging
# >
# > **Before you start** [01a · Pipelines and baselines](01a_pipelines_and_baselines.ipynb)
# >
# > **Time** 55 minutes of study; it runs in under a minute
# >
# > **Interview questions it answers** How do you make a result traceable? · One line switches autologging on. Why not leave it at that? · What does a
# > dataset's digest prove?

# %% [markdown]
# ## Parameters
#
# October is the test month. Of the four months before it, the last quarter is for validation: it compares models and chooses one.

# %% tags=["parameters"]
trips_path = None  # a Parquet or CSV file of your own; None takes the course's trips
max_trips = 40_000  # of a file of your own, drawn at random; more take more time and memory
first_month, last_month = "2019-06", "2019-10"
test_from = "2019-10-01"  # trips that start on or after this day are the test set
depths, rates = [2, 4, 10], [0.05, 0.1, 0.3]  # the XGBoost models that you will compare
n_trees = 100  # boosting rounds of each
forest_trees = 50

# %%
from course import own_data

if trips_path is not None:  # your file: what the lesson needs of it, or a line that says what it lacks
    trips, test_from = own_data.split_trips(
        trips_path, first_month, last_month, max_trips, test_from=test_from
    )

# %%
import json
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import RandomForestRegressor, VotingRegressor
from sklearn.linear_model import LinearRegression
from sklearn.metrics import root_mean_squared_error
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from xgboost import XGBRegressor

from course import exercise
from course.data import load_trips, months
from course.exercise import TODO
from course.paths import ROOT
from walkforward.plots import use_style

# %% name="trips"
use_style()
sys.path.insert(0, str(ROOT / "src" / "projects" / "trip_tracking"))
import mlflow
import trip_tracking
from mlflow import MlflowClient
from trip_tracking import FEATURES, boosted

if trips_path is None:
    trips = load_trips(months(first_month, last_month))
before, test = trip_tracking.split(trip_tracking.with_features(trips), test_from)
quarter = before["pickup_datetime"].quantile(0.75)
day = quarter.normalize()  # a file of one day has none that splits it
train, valid = trip_tracking.split(before, day if day > before["pickup_datetime"].min() else quarter)
print(f"train {len(train):,} trips, validation {len(valid):,}, test {len(test):,}")

# %% [markdown]
# ## Six tries, one number, no way back
#
# It is Monday, and you try six settings of XGBoost. You print the errors and copy the best one into the team's spreadsheet. On Tuesday you add the day of the week to the features and run the same cell again.


# %% name="monday"
def rmse(model, part, features=FEATURES):
    return root_mean_squared_error(part["duration"], model.predict(part[features]))


def six_tries(features):
    models = [boosted(depth, rate, 50) for depth in (4, 8) for rate in (0.1, 0.2, 0.3)]
    return [round(rmse(m.fit(train[features], train["duration"]), valid, features), 3) for m in models]


monday = six_tries([name for name in FEATURES if name != "weekday"])
print("Monday: ", *monday, "→ spreadsheet:", min(monday))
tuesday = six_tries(FEATURES)
print("Tuesday:", *tuesday)
print("the spreadsheet's number is among them:", min(monday) in tuesday)

# %% [markdown]
# On Wednesday somebody asks for the model behind the number in the spreadsheet. It is gone: your cell was edited and its output overwritten. Nobody wrote down which settings and features
# gave 5.264<!-- =monday: spreadsheet: ([\d.]+) --> minutes.
#
# The record has to be written by the code that trains, at the moment it trains. That is **tracking**.

# %% [markdown]
# ## A store is a file
#
# MLflow, the tracking tool of this course, writes to a **store**. Alone on one machine you need no server: the store is an SQLite database, which is one file, and what the runs produce lies in a folder beside it.
# An **experiment** is the question: how long will a trip take? A **run** is one attempt to answer it.

# %% name="store"
FILES = Path("03a_tracking_files")  # everything that this lesson writes
FILES.mkdir(exist_ok=True)
mlflow.set_tracking_uri(f"sqlite:///{(FILES / 'mlflow.db').as_posix()}")
files = (FILES / "artifacts").resolve().as_uri()  # else they go to `mlruns`, wherever you started Python
experiment_id = trip_tracking.new_experiment("trip duration", artifact_location=files)
CODE = trip_tracking.code_tags("03a_tracking.ipynb")

# %% [markdown]
# Two things no tool knows unless you say them: which code (`CODE`, from git) and which data.
#
# The commit comes from `git rev-parse HEAD`, the state from `git status`: *committed*, or *changed since the commit*. A commit that you have edited since is not the code that ran. (MLflow finds the commit by itself in a script, but not in a notebook.)
#
# The data are described by a **dataset**: name, source, columns, number of rows, and a **digest**, a short fingerprint of the content. The rows are not copied. Is the fingerprint safe? Change one trip and look.

# %% name="digest"
table = train[[*FEATURES, "duration"]].reset_index(drop=True)
for name, row in {"as it was": -1, "row 100 changed": 100, "last row changed": len(table) - 1}.items():
    changed = table.assign(duration=table["duration"] + (table.index == row))
    print(f"{name:17} {mlflow.data.from_pandas(changed).digest} {trip_tracking.fingerprint(changed)[:8]}…")

# %% [markdown]
# MLflow's digest, the first, does not see the change in the last row: it hashes 10,000<!-- given --> rows and the row count. A digest that differs proves that the data differ, and one that agrees proves little.
# The second is the start of a `SHA-256` over every value. Pass it as `digest=`, and an equal digest means equal data.

# %% [markdown]
# ## The first run is the baseline
#
# Read each line as the answer to a question that somebody will ask in half a year.

# %% name="baseline"
data = [trip_tracking.described(part) for part in (train, valid)]  # with the digest of every value

with mlflow.start_run(run_name="mean of the training months") as run:
    mlflow.set_tags({"model": "baseline", **CODE})  # what is it, and which code?
    mlflow.log_inputs(data, ["training", "validation"], [None, None])  # which data?
    mlflow.log_param("strategy", "mean")  # chosen how?
    model = DummyRegressor(strategy="mean").fit(train[FEATURES], train["duration"])
    mlflow.log_metric("rmse", rmse(model, valid))  # how good, in minutes?
    by_hour = (valid["duration"] - train["duration"].mean()).abs().groupby(valid["hour"]).mean()
    mlflow.log_dict(by_hour.round(2).to_dict(), "error_by_hour.json")  # where is it bad?

# %% [markdown]
# - A **parameter** is what you chose before training. MLflow keeps it as text.
# - A **metric** is a number that came out. It can be sorted, and it can have a history.
# - A **tag** is a label for people and searches; it may be changed later, a parameter may not.
# - An **artifact** is a file: a figure, a table, a JSON.
#
# Now forget your variables and ask the store what happened.

# %% name="record"
record = mlflow.get_run(run.info.run_id)
tags, inputs = record.data.tags, record.inputs.dataset_inputs
said = {"status": record.info.status, "code": tags["mlflow.source.name"], "state known": "code.state" in tags}
said["data"] = [f"{i.dataset.name} ({i.tags[0].value})" for i in inputs]
said |= {"parameters": record.data.params, "rmse": round(record.data.metrics["rmse"], 2)}
pd.Series(said, name="the store says").to_frame()

# %% [markdown]
# The `with` block records start, end and status. If the code inside raises, the run is kept
# as `FAILED`, which is a result too. 10.62<!-- =record[rmse, the store says] --> minutes is the bar for what follows.

# %% [markdown]
# ## A metric with steps
#
# A metric can take a **step**: the round of boosting, the epoch, the month. Train for longer than is wise and log every round.

# %% name="steps"
settings = {"max_depth": 10, "learning_rate": 0.2, "n_estimators": 2 * n_trees}
with mlflow.start_run(run_name="deep and long") as long_run:
    mlflow.set_tags({"model": "xgboost", **CODE})
    mlflow.log_params({"features": ", ".join(FEATURES), **settings})
    model = XGBRegressor(**settings, n_jobs=1)
    parts = [(part[FEATURES], part["duration"]) for part in (train, valid)]
    model.fit(*parts[0], eval_set=parts, verbose=False)
    on_train, on_valid = (curve["rmse"] for curve in model.evals_result().values())
    for step, (rmse_train, error) in enumerate(zip(on_train, on_valid, strict=True)):
        mlflow.log_metrics({"rmse_train": rmse_train, "rmse": error}, step=step, synchronous=False)
mlflow.flush_async_logging()

# %% [markdown]
# `synchronous=False` puts the values into a queue and goes on training. Read both histories back:

# %% name="history"
client = MlflowClient()
history = pd.DataFrame()
for key in ("rmse_train", "rmse"):
    history[key] = [point.value for point in client.get_metric_history(long_run.info.run_id, key)]
lowest, last = history["rmse"].min(), history["rmse"].iloc[-1]
print(f"lowest {lowest:.2f} after round {history['rmse'].idxmin() + 1}, last {last:.2f}")
near = history.index[history["rmse"] < lowest + 0.05] + 1
print(f"within 0.05 of the lowest: rounds {near.min()} to {near.max()}")
ax = history.set_axis(["training", "validation"], axis=1).plot(
    xlabel="boosting round", ylabel="RMSE (minutes)", ylim=(0, 11)
)
ax.set_title("The training error falls all the way, the validation error is flat")
plt.show()

# %% [markdown]
# *Figure: RMSE by boosting round; the training curve falls all the way, the validation curve drops in the first twenty rounds and is nearly flat after that.*
#
# The last value alone would have told you 5.19<!-- =history: last ([\d.]+) --> minutes. The history shows that 5.11<!-- =history: lowest ([\d.]+) --> was reached after 54<!-- =history: after round (\d+) -->
# rounds, with a quarter of the trees. And it shows that no single round is the right one: all from 17<!-- =history: rounds (\d+) --> to 137<!-- =history: to (\d+) --> are within 0.05<!-- given --> of the lowest.
#
# ### Your turn

# %% exercise="log_training"

# %%
exercise.check(log_training)

# %% [markdown]
# ## One experiment, one function
#
# Linear, boosted and averaged models, all recorded by one function: where all runs are made in one place, no run can lack its data or its code version.


# %% name="track"
def track(name, kind, model, **settings):
    """Fit, score and record one model."""
    with mlflow.start_run(run_name=name):
        mlflow.set_tags({"model": kind, **CODE})
        mlflow.log_inputs(data, ["training", "validation"], [None, None])
        mlflow.log_params({"features": ", ".join(FEATURES), **settings})
        model.fit(train[FEATURES], train["duration"])
        mlflow.log_metrics({"rmse_train": rmse(model, train), "rmse": rmse(model, valid)})


# %%
for depth in depths:
    for rate in rates:
        settings = {"max_depth": depth, "learning_rate": rate, "n_estimators": n_trees}
        track(f"depth {depth}, rate {rate}", "xgboost", XGBRegressor(**settings, n_jobs=1), **settings)

# %% [markdown]
# An **ensemble** answers with several models: a random forest averages trees that saw different rows, a vote averages models of different kinds.

# %% name="ensembles"
one_hot = OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=30)
encode = make_column_transformer((one_hot, FEATURES[1:]), remainder="passthrough")
linear = make_pipeline(encode, LinearRegression())
track("linear", "linear", linear)
track("forest", "ensemble", RandomForestRegressor(forest_trees, max_samples=0.3, n_jobs=2, random_state=0))
track("vote", "ensemble", VotingRegressor([("linear", linear), ("boosted", boosted(4, 0.3, n_trees))]))

# %% [markdown]
# ## Find it again
#
# `search_runs` returns a table: one row a run, one column for each parameter, metric and tag. The store filters and sorts. It returns at most `max_results` runs, 100,000<!-- given --> by default: beyond that, narrow the filter, or page with `MlflowClient().search_runs(…, page_token=…)`.

# %% name="search"
runs = mlflow.search_runs([experiment_id], order_by=["metrics.rmse ASC"])
shown = ["tags.mlflow.runName", "tags.model", "metrics.rmse", "metrics.rmse_train"]
runs[shown].set_axis(["run", "model", "rmse", "rmse_train"], axis=1).set_index("run").round(2)

# %% [markdown]
# Shallow trees that learn fast and deep trees that learn slowly are nearly equal, at 5.08<!-- =search[depth 4, rate 0.3, rmse] --> and 5.09<!-- =search[depth 10, rate 0.1, rmse] --> minutes. The
# last column tells them apart: the deep one knows its training trips to 2.60<!-- =search[depth 10, rate 0.1, rmse_train] --> minutes, the shallow one to
# 4.23<!-- =search[depth 4, rate 0.3, rmse_train] -->. Take the shallow one: it is smaller and faster. (In six validation months, June to November 2019, the interval of their difference contains zero each time.)
#
# The best of fourteen on one month looks better than it is. So open the test month once, for the model that you chose:

# %% name="chosen"
chosen = boosted(4, 0.3, n_trees).fit(train[FEATURES], train["duration"])
print(f"chosen by validation, on the test month: {rmse(chosen, test):.2f} minutes")

# %% [markdown]
# Lower than in validation: months differ by more than these models do.
#
# The filter language is a small piece of SQL: `metrics.`, `params.`, `tags.`, `attributes.` and `dataset.`, joined with `and` only. Text goes in quotes.

# %% name="filters"
for question in ("tags.model = 'xgboost'", "metrics.rmse < 5.6", f"dataset.digest = '{data[0].digest}'"):
    print(len(mlflow.search_runs([experiment_id], filter_string=question)), "runs:", question[:30])

# %% [markdown]
# 13<!-- =filters: (\d+) runs: dataset --> of fourteen runs name the data that they saw. The other is *deep and long*: it was logged by hand,
# the line with the data was forgotten, and nothing complained. That is what a function like `track` is for.
#
# **Predict first.** Which boosted models have trees deeper than 4? A filter refuses `params.max_depth > '4'`, so you compare in pandas. What will the first line below say?

# %% name="text"
depth_as_text = mlflow.search_runs([experiment_id], "tags.model = 'xgboost'")["params.max_depth"]
print("deeper than 4, as text:   ", (depth_as_text > "4").sum(), "runs")
print("deeper than 4, as numbers:", (depth_as_text.astype(int) > 4).sum(), "runs")

# %% [markdown]
# Parameters are text, and as text "10" comes before "4": 4<!-- =text: as numbers: +(\d+) --> runs are missing without any error. Turn parameters into numbers before you
# compare them, and log what you want to sort by as a metric.
#
# ### Your turn

# %% exercise="deep_runs"

# %%
exercise.check(deep_runs)

# %% [markdown]
# ## The same in the UI
#
# MLflow has a web UI: `mlflow ui --backend-store-uri sqlite:///03a_tracking_files/mlflow.db --port 8080` in the folder of this notebook. The search field takes the filters from above. Tick runs and press *Compare*:
#
# ![Compare page of the MLflow UI: four runs side by side](../images/03a_compare.png)
#
# With more than a handful of runs, read the **parallel coordinates**. Each line is one run and crosses each axis at its value. Start at the low errors and follow the lines back:
#
# ![Parallel coordinates of the nine boosted runs over learning rate, depth and error](../images/03a_parallel.png)
#
# The lines through depth 2 end at 5.34<!-- =search[depth 2, rate 0.3, rmse] --> and above, whatever the rate. The page opens with the first metric that it finds, here `rmse_train`, on which the most overfitted run looks best. Choose the metric yourself.

# %% [markdown]
# ## From the record back to the model
#
# Here is Wednesday's question again: give me the model behind the number. Rebuild it from nothing but its record.

# %% name="rebuild"
best = client.search_runs([experiment_id], "tags.model = 'xgboost'", order_by=["metrics.rmse ASC"])[0]
settings = {key: json.loads(best.data.params[key]) for key in ("max_depth", "learning_rate", "n_estimators")}
features = best.data.params["features"].split(", ")
rebuilt = XGBRegressor(**settings, n_jobs=1).fit(train[features], train["duration"])
print(f"recorded {best.data.metrics['rmse']:.6f}, rebuilt {rmse(rebuilt, valid):.6f}")

# %% [markdown]
# The same to the last digit printed. Whether that holds on another machine is the subject of lesson 06a. If you want to be sure to have the model, log it into its run:

# %% name="model"
info = trip_tracking.keep(rebuilt, best, train)  # mlflow.xgboost.log_model, with signature and requirements
limit = f"metrics.rmse < {best.data.metrics['rmse'] + 0.01}"
found = mlflow.search_logged_models([experiment_id], filter_string=limit, output_format="list")
print("found by its error:", [model.model_id for model in found] == [info.model_id])
loaded = mlflow.pyfunc.load_model(info.model_uri)
print("predicts the same: ", (loaded.predict(valid[features]) == rebuilt.predict(valid[features])).all())

# %% [markdown]
# A **model** is a thing of its own in MLflow, with an id, parameters and metrics, and links to and from its run. `search_logged_models` filters models as `search_runs` filters runs. Keep `info.model_uri`, the address that `log_model` returns.

# %% [markdown]
# ## Autologging
#
# One line, and MLflow logs by itself whenever you call `fit`.

# %% name="autolog"
trip_tracking.new_experiment("autologging", artifact_location=files)
mlflow.sklearn.autolog(log_models=False)
with mlflow.start_run() as by_itself:
    linear.fit(train[FEATURES], train["duration"])
    print(f"validation error {rmse(linear, valid):.2f}")
mlflow.sklearn.autolog(disable=True)
for name, value in mlflow.get_run(by_itself.info.run_id).data.metrics.items():
    print(f"{name:35} {value:.2f}")

# %% [markdown]
# Look for the validation error, 6.26<!-- =autolog: validation error ([\d.]+) -->. It is not there. What is there is a training error of
# 5.65<!-- =autolog: training_root_mean_squared_error +([\d.]+) -->, under a name that looks like a result. Autologging does
# patch scikit-learn's metric functions, but `root_mean_squared_error` was imported before the patch.

# %% name="autolog_xgboost"
mlflow.xgboost.autolog(log_models=False)
with plt.rc_context({"figure.constrained_layout.use": False}), mlflow.start_run() as by_xgboost:
    eval_set = [(valid[FEATURES], valid["duration"])]
    boosted(4, 0.3, n_trees).fit(train[FEATURES], train["duration"], eval_set=eval_set, verbose=False)
mlflow.xgboost.autolog(disable=True)
logged = mlflow.get_run(by_xgboost.info.run_id).data
print(f"{len(logged.params)} parameters, of these None: {list(logged.params.values()).count('None')}")
print("commit recorded:", "mlflow.source.git.commit" in logged.tags)

# %% [markdown]
# Of XGBoost's 37<!-- =autolog_xgboost: (\d+) parameters --> parameters 31<!-- =autolog_xgboost: None: (\d+) --> are `None`: autologging
# writes down what you passed, not what the library then used. It does log every round, and a figure of importance. It could not see the commit, nor why you made the run, and with `log_models=True`, the default, it writes a model
# to disk at each fit, in a cross-validation for every fold.
#
# Use autologging when you explore. Once a result will be shown to others, write `track`.

# %% [markdown]
# ## When not to use it
#
# - **To version data**: a digest says which data it was and does not bring them back. Use DVC, lakeFS or a table format with snapshots.
# - **To watch production**: a run ends, and nobody is woken. Metrics of a service and alerts belong to Prometheus and the like (11a).
# - **To profile users**: clicks and sessions are product analytics.
# - **For one analysis on one afternoon**: a script in git that writes a CSV is traceable enough.

# %% [markdown]
# ## What changed
#
# {{ what_changed: mlflow-tracking }}

# %% [markdown]
# ## Take-aways
#
# - Code version and state, data, settings and score are written by the code that trains, in one place, or they are not written.
# - Parameters are text, metrics are numbers with steps, tags are for people, artifacts are files.
# - MLflow's own digest proves that data differ. Only a checksum of every value proves that they are the same.
# - The best of many on one month looks better than it is: choose on a validation month, and open the test month once.
# - Autologging records what you passed. The commit, the validation error and the reason are yours to log.

# %% [markdown]
# ## In an interview
#
# - *Somebody asks for the model behind a number from last quarter. What must exist for you to answer?* Shown in
#   [From the record back to the model](#From-the-record-back-to-the-model).
# - *You filter runs by a parameter greater than 4<!-- given --> and get none, though you trained some. Why?* Shown in [Find it again](#Find-it-again).
# - *One line switches autologging on. Why don't you leave it at that?* Shown in [Autologging](#Autologging).
#
# With the points of a good answer, and more of them: `walkforward practice --lesson 03a` in a terminal.
#
# ## Up next
#
# [03b · Tracking servers](03b_tracking_servers.ipynb): a colleague wants to see your runs, and must not be able to delete them.
