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
#       depths: [2, 10]
#       forest_trees: 5
# ---

# %% [markdown]
# # 03 · Tracking
#
# After this lesson you can say of any score on any slide which code, data and settings it came from, and fetch its model
# again, whether you work alone, in a small team, or with colleagues who should not be able to delete your work.

# %% [markdown]
# > **You will learn to** record a run so that it can be repeated · compare dozens of runs by search instead of memory ·
# > choose between manual logging and autologging · set up the stores and the server that a team needs · name what that
# > server protects and what it does not
# >
# > **Before you start** [01 · Pipelines and baselines](01_pipelines_and_baselines.ipynb)
# >
# > **Time** 60 minutes of study; it runs in under a minute
# >
# > **Interview questions it answers** How do you make a result traceable? · What lives in the backend store, and what in the
# > artifact store? · Your tracking server is up. Who can delete a run?

# %% [markdown]
# ## Parameters
#
# Three months to train on, one to test on. To track models of your own city, put the path of a taxi file into `trips_path`; the
# day in `test_from` is then chosen by it.

# %% tags=["parameters"]
trips_path = None  # a Parquet or CSV file of your own; None takes the course's trips
max_trips = 40_000  # of a file of your own, drawn at random; more take more time and memory
first_month, last_month = "2019-07", "2019-10"
test_from = "2019-10-01"  # trips that start on or after this day are the test set
depths, rates = [2, 4, 10], [0.05, 0.1, 0.3]  # the XGBoost models that you will compare
n_trees = 100  # boosting rounds of each
forest_trees = 50
show_seconds = False  # True prints what logging costs on your machine

# %%
from course import own_data

if trips_path is not None:  # your file: what the lesson needs of it, or a line that says what it lacks
    trips, test_from = own_data.split_trips(
        trips_path, first_month, last_month, max_trips, test_from=test_from
    )

# %%
import logging
import os
import subprocess
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

import matplotlib.pyplot as plt
import mlflow
import pandas as pd
import xgboost
from mlflow import MlflowClient
from mlflow.data.http_dataset_source import HTTPDatasetSource
from mlflow.data.sources import LocalArtifactDatasetSource
from mlflow.exceptions import MlflowException

# %%
from sklearn.compose import make_column_transformer
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import RandomForestRegressor, VotingRegressor
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.metrics import root_mean_squared_error
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from xgboost import XGBRegressor

from course import exercise
from course.data import load_trips, months, prepare_trips
from course.exercise import TODO
from course.paths import ROOT
from walkforward.plots import use_style

use_style()

# %% name="trips"
if trips_path is None:
    trips = load_trips(months(first_month, last_month))
trips = prepare_trips(trips)
trips["hour"] = trips["pickup_datetime"].dt.hour
trips["weekday"] = trips["pickup_datetime"].dt.dayofweek
ZONES = ["pickup_location_id", "dropoff_location_id"]
FEATURES = ["trip_distance", *ZONES, "hour", "weekday"]
# Floats can hold a missing value; an integer column can't, and the first missing value would change its type.
trips[FEATURES] = trips[FEATURES].astype(float)

train, test = trips[trips["pickup_datetime"] < test_from], trips[trips["pickup_datetime"] >= test_from]
print(f"train {len(train):,} trips, test {len(test):,} trips")

# %% [markdown]
# ## Six tries, one number, no way back
#
# It is Monday, and you try six settings of XGBoost. You print the errors and copy the best one into the team's spreadsheet.


# %% name="monday"
def six_tries(features):
    errors = []
    for depth in (4, 8):
        for rate in (0.1, 0.2, 0.3):
            model = XGBRegressor(max_depth=depth, learning_rate=rate, n_estimators=50, n_jobs=1)
            model.fit(train[features], train["duration"])
            errors.append(round(root_mean_squared_error(test["duration"], model.predict(test[features])), 3))
    return errors


monday = six_tries(["trip_distance", *ZONES, "hour"])
spreadsheet = {"model": "xgboost, tuned", "rmse": min(monday)}
print(*monday)
print(spreadsheet)

# %% [markdown]
# On Tuesday you add the day of the week to the features and run the same cell again. On Wednesday somebody asks for the model
# behind the number in the spreadsheet.

# %% name="tuesday"
tuesday = six_tries(["trip_distance", *ZONES, "hour", "weekday"])
print(*tuesday)
print("the spreadsheet's number is among them:", spreadsheet["rmse"] in tuesday)

# %% [markdown]
# It is gone. This notebook kept Monday's cell for you; on your desk it is the same cell, edited, and its printed lines are
# overwritten. Nobody wrote down which of six settings, which features and which months stood behind 5.018<!-- =monday: 'rmse': ([\d.]+) --> minutes. You can rebuild it
# only if you remember.
#
# The spreadsheet is not too small, it is in the wrong place. The record has to be written by the code that trains, in the
# moment it trains. That is **tracking**.

# %% [markdown]
# ## Alone in a competition: a file is enough
#
# You enter a competition: one laptop, one person, four weeks. MLflow, the tracking tool of this course, writes to a **store**. Alone on one
# machine you need no server for that. The store is an SQLite database, which is one file, and what the runs produce lies in a folder beside it.

# %% name="store"
FILES = Path("03_tracking_files")  # everything that this lesson writes
FILES.mkdir(exist_ok=True)
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"  # MLflow would report its use to its makers
os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"  # no link to the UI after each run
logging.getLogger("mlflow").setLevel(logging.WARNING)  # progress notes carry clock times; keep the warnings

LOCAL_STORE = f"sqlite:///{(FILES / 'mlflow.db').as_posix()}"
mlflow.set_tracking_uri(LOCAL_STORE)

# %% [markdown]
# An **experiment** is the question: how long will a trip take? A **run** is one attempt to answer it. All attempts at one question
# belong into one experiment, because that is where MLflow compares them.


# %% name="experiment"
def new_experiment(title, **options):
    now = datetime.now().strftime("%Y-%m-%d %H:%M:%S.%f")  # a new one each time this notebook runs
    experiment_id = mlflow.create_experiment(f"{title} · {now}", **options)
    mlflow.set_experiment(experiment_id=experiment_id)
    return experiment_id


experiment_id = new_experiment("trip duration", artifact_location=(FILES / "artifacts").resolve().as_uri())

# %% [markdown]
# The `artifact_location` is worth its line. Without it, a program that speaks to SQLite directly drops the files of its runs into a folder
# `mlruns`, wherever it was started.
#
# Before the first run, two things that no tool knows unless you say them: which code, and which data.


# %% name="code"
def code_version():
    """The git commit of the course, with a mark when files were changed since; "unknown" outside git."""
    try:
        answers = [
            subprocess.run(["git", "-C", str(ROOT), *question], capture_output=True, text=True, check=True)
            for question in (["rev-parse", "HEAD"], ["status", "--porcelain", "--untracked-files=no"])
        ]
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    commit, changes = (answer.stdout.strip() for answer in answers)
    return f"{commit}, changed since" if changes else commit


CODE = {"mlflow.source.name": "03_tracking.ipynb", "mlflow.source.git.commit": code_version()}

# %% [markdown]
# In a script inside a git repository MLflow finds both by itself. In a notebook it can't be relied on: under JupyterLab it finds the notebook's
# name, from a scheduler it records `ipykernel_launcher.py`, and the commit it does not find at all.
#
# The mark *changed since* matters. A commit that you have edited on top of is not the code that ran.

# %% name="dataset"
file_name = str(trips_path or "data/trips")
source = (HTTPDatasetSource if "://" in file_name else LocalArtifactDatasetSource)(file_name)
columns = [*FEATURES, "duration"]
train_data = mlflow.data.from_pandas(train[columns], source=source, name="trips", targets="duration")
test_data = mlflow.data.from_pandas(test[columns], source=source, name="trips", targets="duration")
train_data.to_dict() | {"schema": "…"}

# %% [markdown]
# A **dataset** in a run is a description: name, where it came from, columns, number of rows, and a **digest**, a short fingerprint of the content.
# The rows themselves are not copied. Is the fingerprint safe? Change one trip and look.

# %% name="digest"
early, late = train[columns].reset_index(drop=True), train[columns].reset_index(drop=True)
early.loc[100, "duration"] += 1
late.loc[len(late) - 1, "duration"] += 1
for name, frame in {"as it was": train[columns], "row 100 changed": early, "last row changed": late}.items():
    print(f"{name:17}", mlflow.data.from_pandas(frame, source=source).digest)

# %% [markdown]
# The change in the last row is not seen. MLflow hashes the first 10,000<!-- given --> rows and the row count, and of those only columns of numbers and text; a
# date column may change as it likes. So a digest that differs proves that the data differ, and a digest that agrees proves little.
# For large tables, compute a checksum of the file and pass it as `digest=`.

# %% [markdown]
# ## The first run is the baseline
#
# Here is one complete run. Read each line as the answer to a question that somebody will ask in half a year.

# %% name="baseline"
with mlflow.start_run(run_name="mean of the training months") as run:
    mlflow.set_tags({"model": "baseline", **CODE})  # what is it, and which code?
    mlflow.log_input(train_data, context="training")  # trained on what?
    mlflow.log_input(test_data, context="test")  # tested on what?
    mlflow.log_param("strategy", "mean")  # chosen how?

    model = DummyRegressor(strategy="mean").fit(train[FEATURES], train["duration"])
    errors = test["duration"] - model.predict(test[FEATURES])
    mlflow.log_metric("rmse", (errors**2).mean() ** 0.5)  # how good? (minutes)

    by_hour = (errors**2).groupby(test["hour"]).mean() ** 0.5
    mlflow.log_dict(by_hour.round(2).to_dict(), "rmse_by_hour.json")  # where is it bad?

# %% [markdown]
# - A **parameter** is what you chose before training. MLflow keeps it as text.
# - A **metric** is a number that came out. It can be sorted, and it can have a history.
# - A **tag** is a label for people and searches; it may be changed later, a parameter may not.
# - An **artifact** is a file: a figure, a table, a JSON.
#
# Now forget your variables and ask the store what happened.

# %% name="record"
record = mlflow.get_run(run.info.run_id)
pd.Series(
    {
        "status": record.info.status,
        "ended after it started": record.info.end_time >= record.info.start_time,
        "source": record.data.tags["mlflow.source.name"],
        "code version recorded": "mlflow.source.git.commit" in record.data.tags,
        "data": ", ".join(f"{i.dataset.name} ({i.tags[0].value})" for i in record.inputs.dataset_inputs),
        "data from": record.inputs.dataset_inputs[0].dataset.source,
        "parameters": record.data.params,
        "metrics": {name: round(value, 2) for name, value in record.data.metrics.items()},
        "artifacts": [file.path for file in mlflow.artifacts.list_artifacts(run_id=run.info.run_id)],
    },
    name="the store says",
).to_frame()

# %% [markdown]
# Start and end, status and source come without asking: that is what the `with` block does. If the code inside raises, the run is kept
# with the status `FAILED`, which is a result too.
#
# 10.48<!-- =record: 'rmse': ([\d.]+) --> minutes is the bar for everything that follows.

# %% [markdown]
# ## A metric with steps
#
# One number at the end hides how the training got there. A metric can take a **step**: the round of boosting, the epoch,
# the month. Train for longer than is wise and log every round.

# %% name="steps"
settings = {"max_depth": 10, "learning_rate": 0.2, "n_estimators": 2 * n_trees}
with mlflow.start_run(run_name="deep and long") as long_run:
    mlflow.set_tags({"model": "xgboost", **CODE})
    mlflow.log_params({"features": ", ".join(FEATURES), **settings})
    model = XGBRegressor(**settings, n_jobs=1)
    months_seen = [(part[FEATURES], part["duration"]) for part in (train, test)]
    model.fit(*months_seen[0], eval_set=months_seen, verbose=False)
    on_train, on_test = (curve["rmse"] for curve in model.evals_result().values())
    for step, (rmse_train, rmse) in enumerate(zip(on_train, on_test, strict=True)):
        mlflow.log_metrics({"rmse_train": rmse_train, "rmse": rmse}, step=step, synchronous=False)
mlflow.flush_async_logging()

points = MlflowClient().get_metric_history(long_run.info.run_id, "rmse")
print(f"{len(points)} values; the first is {points[0].value:.2f}, the last {points[-1].value:.2f}")

# %% [markdown]
# `synchronous=False` puts the values into a queue and goes on training; they are written in batches. Without it, each of the rounds
# waits for the disk, or later for the network.
#
# The store now holds every round. Read both curves back and draw them; the UI draws the same chart without any code.

# %% name="history"
history = pd.DataFrame(
    {
        label: {
            point.step: point.value for point in MlflowClient().get_metric_history(long_run.info.run_id, key)
        }
        for key, label in {"rmse_train": "training months", "rmse": "test month"}.items()
    }
)
best_round = int(history["test month"].idxmin())
print(f"best: {history['test month'].min():.2f} after round {best_round + 1} of {len(history)}")

# %%
ax = history.plot(xlabel="boosting round", ylabel="RMSE (minutes)", ylim=(0, 11))
ax.axvline(best_round, color="black", linewidth=0.8)
ax.set_title(f"After round {best_round + 1} the model learns its training trips by heart")
plt.show()

# %% [markdown]
# *Figure: RMSE by boosting round; the training curve falls all the way, the test curve reaches its lowest point near round 50 and rises slowly.*
#
# The last value alone would have told you 4.97<!-- =steps: the last ([\d.]+) --> minutes. Without the history you could not know that
# 4.89<!-- =history: best: ([\d.]+) --> was on offer after 51<!-- =history: round (\d+) --> rounds, a quarter of the model. (Choosing the round by the test month would make that number optimistic; lesson 04 takes a validation month for it.)
#
# ### Your turn

# %% exercise="log_training"

# %%
exercise.check(log_training)

# %% [markdown]
# ## One experiment, fifteen models
#
# Linear, boosted and averaged models, all in one experiment and all by one function. The function is the point: a run that
# lacks its data or its code version can't come about, because there is one place where runs are made.


# %% name="track"
def track(name, kind, model, **settings):
    """Fit, score and record one model; return the id of its run."""
    with mlflow.start_run(run_name=name) as run:
        mlflow.set_tags({"model": kind, **CODE})
        mlflow.log_inputs([train_data, test_data], ["training", "test"], [None, None])
        mlflow.log_params({"features": ", ".join(FEATURES), **settings})
        model.fit(train[FEATURES], train["duration"])
        scores = {
            key: root_mean_squared_error(part["duration"], model.predict(part[FEATURES]))
            for key, part in {"rmse_train": train, "rmse": test}.items()
        }
        mlflow.log_metrics(scores)
    return run.info.run_id


# %% [markdown]
# Two linear models, then nine boosted ones: three depths, three learning rates.

# %%
one_hot = OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=30)
encode = make_column_transformer((one_hot, [*ZONES, "hour", "weekday"]), remainder="passthrough")
linear = make_pipeline(encode, LinearRegression())
track("linear", "linear", linear)
track("ridge", "linear", make_pipeline(encode, Ridge(alpha=10)), alpha=10)

for depth in depths:
    for rate in rates:
        settings = {"max_depth": depth, "learning_rate": rate, "n_estimators": n_trees}
        track(f"depth {depth}, rate {rate}", "xgboost", XGBRegressor(**settings, n_jobs=1), **settings)

# %% [markdown]
# An **ensemble** answers with several models. A random forest averages trees that saw different rows; a vote averages models of different
# kinds, here the linear one and a boosted one.

# %% name="ensembles"
settings = {"n_estimators": forest_trees, "min_samples_leaf": 5, "max_samples": 0.3}
forest = RandomForestRegressor(**settings, n_jobs=2, random_state=0)
forest_id = track("forest", "ensemble", forest, **settings)

boosted = XGBRegressor(max_depth=4, learning_rate=0.3, n_estimators=n_trees, n_jobs=1)
vote_id = track("linear + boosted", "ensemble", VotingRegressor([("linear", linear), ("boosted", boosted)]))

# %% [markdown]
# ## Find it again
#
# `search_runs` returns a table: one row a run, one column for each parameter, metric and tag. Filter and order are done by the
# store, so it works as well with a million runs.

# %% name="search"
runs = mlflow.search_runs([experiment_id], filter_string="metrics.rmse > 0", order_by=["metrics.rmse ASC"])
shown = ["tags.mlflow.runName", "tags.model", "metrics.rmse", "metrics.rmse_train"]
table = runs[shown].set_axis(["run", "model", "rmse", "rmse_train"], axis=1).set_index("run").round(2)
table

# %% [markdown]
# Two models share the first place at 4.84<!-- =search[depth 4, rate 0.3, rmse] --> minutes: shallow trees that learn fast, and deep trees that learn slowly. The
# last column parts them. The deep one knows its training trips to 2.77<!-- =search[depth 10, rate 0.1, rmse_train] --> minutes, the shallow one to
# 4.37<!-- =search[depth 4, rate 0.3, rmse_train] -->: it is smaller, faster, and has learnt less by heart. Take that one. And the vote, at
# 5.23<!-- =search[linear + boosted, rmse] -->, is worse than its better half: the linear model drags it down.
#
# The filter language is a small piece of SQL: `metrics.`, `params.`, `tags.`, `attributes.` and `datasets.`, joined with `and` only.
# Texts stand in quotes, an `or` does not exist.

# %% name="filters"
questions = {
    "boosted": f"tags.model = 'xgboost' and params.n_estimators = '{n_trees}'",
    "good, and not overfitted": "metrics.rmse < 5.3 and metrics.rmse_train > 4.9",
    "not by boosting": "tags.model != 'xgboost' and metrics.rmse < 6",
    "trained on this very data": f"dataset.digest = '{train_data.digest}' and dataset.context = 'training'",
    "failed": "attributes.status = 'FAILED'",
}
for question, filter_string in questions.items():
    print(f"{question:26}", len(mlflow.search_runs([experiment_id], filter_string=filter_string)))

# %% [markdown]
# 14<!-- =filters: this very data +(\d+) --> of fifteen runs name the data that they saw. The one without is *deep and long*: it was logged by hand,
# the line with the dataset was forgotten, and nothing complained. That is what a function like `track` is for.
#
# Now a question that looks like the others: which boosted models have trees deeper than 4? MLflow refuses `params.max_depth > '4'`: parameters are
# texts, and a filter knows no *greater* for texts. So you fetch the runs and compare in pandas. Watch what happens:

# %% name="text"
boosted_runs = mlflow.search_runs([experiment_id], filter_string="tags.model = 'xgboost'")
depth_as_text = boosted_runs["params.max_depth"]
print("different depths:           ", sorted(depth_as_text.unique()))
print("deeper than 4, as text:     ", int((depth_as_text > "4").sum()), "runs")
print("deeper than 4, as numbers:  ", int((depth_as_text.astype(int) > 4).sum()), "runs")

# %% [markdown]
# As text, "10" comes before "4", and 4<!-- =text: as numbers: +(\d+) --> runs are missing without any error. Turn parameters into numbers before you
# compare them, and log what you want to sort by as a metric.
#
# ### Your turn

# %% exercise="deep_runs"

# %%
exercise.check(deep_runs)

# %% [markdown]
# ## The same in the UI
#
# The store has a face. In a terminal, in the folder of this notebook:
#
# ```
# mlflow ui --backend-store-uri sqlite:///03_tracking_files/mlflow.db --port 8080
# ```
#
# then open `http://127.0.0.1:8080`. (`make lab` prints the address of the course's own server; the runs of the next sections are there.) The search
# field takes the filters that you used above, and a click on a column sorts.
#
# ![The list of runs in the MLflow UI, filtered by the tag model equal to xgboost and sorted by rmse](../images/03_search.png)
#
# Tick runs and press *Compare*. Parameters that differ are marked in yellow, and those that agree can be hidden:
#
# ![The compare page of the MLflow UI: four runs side by side, learning rate and maximum depth marked as different, test and training error below](../images/03_compare.png)
#
# Do not read *Duration* as training time. The first run was opened again later, to keep its model (you will do that below), and its end moved
# with it. Log the seconds as a metric if you need them.
#
# With more than a handful of runs, read the **parallel coordinates** on the same page. Each line is one run and crosses each axis at its
# value. Start at the right, at the low errors, and follow the lines back to the settings that they come from.
#
# ![Parallel coordinates of the nine boosted runs with the axes learning rate, maximum depth and rmse: all lines from depth 2 end high](../images/03_parallel.png)
#
# All lines through depth 2 end high, whatever the rate. The lowest two come from depth 4 at the highest rate and from depth 10 at the middle one: depth and
# rate have to be chosen together. The page opens with the first metric that it finds, here `rmse_train`, on which the most
# overfitted run looks best. Choose the metric yourself.

# %% [markdown]
# ### Your turn
#
# Can you beat them? Your run goes into the same experiment, and the check reads it from the store.

# %% exercise="my_run"

# %%
exercise.check(my_run=my_run)

# %% [markdown]
# ## From the record back to the model
#
# Here is Wednesday's question again: give me the model behind the number. This time the record knows. Take the best of the nine boosted runs,
# and rebuild the model from nothing but its parameters.

# %% name="rebuild"
found = mlflow.search_runs(
    [experiment_id],
    "tags.model = 'xgboost' and attributes.run_name LIKE 'depth %'",  # the nine; yours may have other settings
    order_by=["metrics.rmse ASC"],
    max_results=1,
    output_format="list",
)
best = found[0]
settings = {
    "max_depth": int(best.data.params["max_depth"]),
    "learning_rate": float(best.data.params["learning_rate"]),
    "n_estimators": int(best.data.params["n_estimators"]),
}
features = best.data.params["features"].split(", ")
rebuilt = XGBRegressor(**settings, n_jobs=1).fit(train[features], train["duration"])
rmse = root_mean_squared_error(test["duration"], rebuilt.predict(test[features]))
print(best.info.run_name)
print(f"recorded {best.data.metrics['rmse']:.6f}, rebuilt {rmse:.6f}")

# %% [markdown]
# The same to the last digit printed. Whether that holds on another machine, with other threads or another version of a
# library, is the subject of lesson 06. If you want to be sure to have the model, keep the model: log it into its run.

# %% name="model"
with mlflow.start_run(run_id=best.info.run_id):  # goes on with that run
    info = mlflow.xgboost.log_model(
        rebuilt,
        name="trip-duration",
        input_example=train[features].head(3),  # gives the signature: columns and their types
        pip_requirements=[f"xgboost=={xgboost.__version__}"],  # else MLflow takes seconds to find out
    )

# %% name="logged_model"
run = mlflow.get_run(best.info.run_id)
model = mlflow.get_logged_model(info.model_id)
artifacts = [file.path for file in mlflow.artifacts.list_artifacts(run_id=run.info.run_id)]
loaded = mlflow.pyfunc.load_model(info.model_uri)
print("name and status:            ", model.name, model.status)
print("address:                    ", info.model_uri.replace(info.model_id, "<model id>"))
print("made by this run:           ", model.source_run_id == run.info.run_id)
print("among the run's outputs:    ", info.model_id in [m.model_id for m in run.outputs.model_outputs])
print("among the run's artifacts:  ", "trip-duration" in artifacts)
same = loaded.predict(test[features]) == rebuilt.predict(test[features])
print("loaded, predicts the same:  ", same.all())

# %% [markdown]
# Since MLflow 3 a **model** is a thing of its own, with an id, a status, parameters and metrics. It points to the run that made it, and the run
# points to it, but its files are not among the run's artifacts any more. Keep `model_info.model_uri`, the address that `log_model` returns. The older
# form, `runs:/<run id>/<name>`, is still understood by looking the name up, and a run may hold two models of one name.
#
# One more surprise waits for scikit-learn models:

# %% name="skops"
requirements = [f"scikit-learn=={version('scikit-learn')}"]
with mlflow.start_run(run_id=forest_id):
    try:
        mlflow.sklearn.log_model(forest, name="forest", pip_requirements=requirements)
    except MlflowException as refusal:
        print(str(refusal).split(".")[0])
    trusted = ["sklearn.tree._tree.Tree"]
    info = mlflow.sklearn.log_model(
        forest, name="forest", pip_requirements=requirements, skops_trusted_types=trusted
    )
print("kept as", info.flavors["sklearn"]["serialization_format"])

# %% [markdown]
# A pickle can run any code when it is loaded, so MLflow saves in the format skops, which loads only types that it knows to be harmless. Others you
# have to name, once you have thought about them. A forest's trees are one such type. The refused attempt stays on record too, as a model
# with the status `FAILED`.

# %% [markdown]
# ## Autologging
#
# One line, and MLflow logs by itself whenever you call `fit`. Try it on the linear model, with the test error computed as always.

# %% name="autolog"
new_experiment("autologging", artifact_location=(FILES / "artifacts").resolve().as_uri())
mlflow.sklearn.autolog(log_models=False)
with mlflow.start_run() as auto_linear:
    linear.fit(train[FEATURES], train["duration"])
    yhat = linear.predict(test[FEATURES])
    print(f"test error {root_mean_squared_error(test['duration'], yhat):.2f}")
mlflow.sklearn.autolog(disable=True)

for name, value in mlflow.get_run(auto_linear.info.run_id).data.metrics.items():
    print(f"{name:35} {value:.2f}")

# %% [markdown]
# Look for the test error, 6.12<!-- =autolog: test error ([\d.]+) -->. It is not there. What is there is a training error of
# 5.78<!-- =autolog: training_root_mean_squared_error +([\d.]+) -->, under a name that looks like a result to whoever sorts by it. Autologging does
# patch scikit-learn's metric functions, but `root_mean_squared_error` was imported at the top of this notebook, before the patch. Switch
# autologging on before the imports, or log the test error yourself.
#
# XGBoost has an autologging of its own. Given an evaluation set, it logs the error of every round.

# %% name="autolog_xgboost"
mlflow.xgboost.autolog(log_models=False)
other_layout = plt.rc_context({"figure.constrained_layout.use": False})  # its figure has a layout of its own
with other_layout, mlflow.start_run() as auto_boosted:
    model = XGBRegressor(max_depth=4, n_estimators=n_trees, n_jobs=1)
    model.fit(
        train[FEATURES], train["duration"], eval_set=[(test[FEATURES], test["duration"])], verbose=False
    )
mlflow.xgboost.autolog(disable=True)

# %% [markdown]
# Compare what the three ways have left in the store.


# %% name="contents"
def contents(run_id):
    run = mlflow.get_run(run_id)
    tags = [name for name in run.data.tags if not name.startswith("mlflow.")]
    history = [MlflowClient().get_metric_history(run_id, name) for name in run.data.metrics]
    return {
        "parameters": len(run.data.params),
        "of these None": list(run.data.params.values()).count("None"),
        "metrics": len(run.data.metrics),
        "their values": sum(map(len, history)),
        "tags of its own": len(tags),
        "files": len(mlflow.artifacts.list_artifacts(run_id=run_id)),
        "datasets": len(run.inputs.dataset_inputs),
    }


runs = {"by hand": best, "sklearn.autolog": auto_linear, "xgboost.autolog": auto_boosted}
pd.DataFrame({name: contents(run.info.run_id) for name, run in runs.items()})

# %% [markdown]
# Of XGBoost's 37<!-- =contents[parameters, xgboost.autolog] --> parameters 32<!-- =contents[of these None, xgboost.autolog] --> are `None`: autologging
# writes down what you passed, not what the library then used. It saw every round, drew the importance of the features, and described both
# tables. It could not see the commit, why you made the run, or that the table came from `data/trips`: as the source it names the notebook.
#
# What it costs: more rows in every run, a scan of the data at each `fit`, and with `log_models=True`, the default, a model on
# the disk for each fit, whether you want it or not. In a cross-validation that is a model for every fold.
#
# Use autologging when you explore. Once a result will be shown to others, write the function `track`, and let it say what your team has
# to know.

# %%
from time import perf_counter

if show_seconds:
    with plt.rc_context({"figure.constrained_layout.use": False}), mlflow.start_run():
        for label, switch in {"plain": {"disable": True}, "autolog": {"log_models": False}}.items():
            mlflow.xgboost.autolog(**switch)
            started = perf_counter()
            XGBRegressor(n_estimators=n_trees, n_jobs=1).fit(train[FEATURES], train["duration"])
            print(f"{label}: {perf_counter() - started:.2f} s")
    mlflow.xgboost.autolog(disable=True)

# %% [markdown]
# ## A server in front of the store
#
# Alone, you were done here. Then a colleague wants to see your runs. You could send the database file, and tomorrow there are two versions of the truth.
#
# A **server** is a program that waits for requests at an address and answers them. The address has two parts: the **host**
# says which machine, the **port** which program on it. The host `127.0.0.1` is special. It is the **loopback**: always the machine itself, so that
# nobody from outside can ask. A server that colleagues should reach listens on the machine's address in the network.
#
# The tracking server stands between your code and two stores that could hardly be more different:
#
# ```mermaid
# flowchart LR
#     code["your code<br/>mlflow.log_metric(…)"] -- HTTP --> server
#     browser["your browser<br/>the UI"] -- HTTP --> server
#     server["tracking server<br/>host and port"] -- SQL --> backend[("backend store<br/>SQLite, PostgreSQL<br/><b>rows</b>")]
#     server -- files, proxied --> artifacts[("artifact store<br/>a folder, S3<br/><b>files</b>")]
#     code -. "files, without the proxy:<br/>every client needs the keys" .-> artifacts
# ```
#
# The **backend store** holds what you search: runs, parameters, metrics, tags, the descriptions of datasets and models. It has
# to be a database. The **artifact store** holds what you fetch: files of any size. A folder will do, or an object store that speaks S3.
#
# ### Your turn

# %% exercise="kept_in"

# %%
exercise.check(kept_in=kept_in)

# %% [markdown]
# ## A team with one data scientist: a local server
#
# You train; an analyst and a product owner look. One server on your machine is enough, with SQLite behind it:
#
# ```
# mlflow server --host 127.0.0.1 --port 8080 --backend-store-uri sqlite:///mlflow.db --artifacts-destination ./artifacts
# ```
#
# This notebook starts one for you on a free port, or takes the one that `make lab` has started. The port `5000` of older texts
# is taken by AirPlay on a Mac.

# %% name="server"
from contextlib import ExitStack

import requests

from course.servers import ServerError
from course.stores import course_server

servers = ExitStack()  # whatever is entered here ends with servers.close()
try:
    server = servers.enter_context(course_server(FILES / "server"))
    mlflow.set_tracking_uri(server.uri)
    print("the server says", requests.get(f"{server.uri}/health", timeout=10).text)
except ServerError as reason:
    server = None
    print(f"No server starts on this machine, read on without it: {reason}")

# %% [markdown]
# For your code one line has changed: the tracking URI is now a web address. `track` does not notice.

# %% name="team_runs"
if server:
    team_experiment = new_experiment("trip duration, team")
    track("linear", "linear", linear)
    boosted_id = track("boosted", "xgboost", boosted, max_depth=4, learning_rate=0.3)
    print("artifacts go to", mlflow.get_experiment(team_experiment).artifact_location.split(":")[0])

# %% [markdown]
# `mlflow-artifacts` means **proxied**: files travel through the server too, and where they end up is its secret. No client needs to know a path or a key.
#
# There is no magic in between, only HTTP and JSON. So any program can ask, in any language, without MLflow installed:

# %% name="rest"
if server:
    API = f"{server.uri}/api/2.0/mlflow"
    question = {"experiment_ids": [team_experiment], "order_by": ["metrics.rmse ASC"]}
    answer = requests.post(f"{API}/runs/search", json=question, timeout=10).json()
    for found in answer["runs"]:
        rmse = {metric["key"]: metric["value"] for metric in found["data"]["metrics"]}["rmse"]
        print(f"{found['info']['run_name']:8} {rmse:.2f}")

# %% [markdown]
# And now the question from the interview: who can delete a run? Here is a program without any password.

# %% name="open_door"
if server:
    answer = requests.post(f"{API}/runs/delete", json={"run_id": boosted_id}, timeout=10)
    print("status of the answer:", answer.status_code)
    print("runs that are left:  ", len(mlflow.search_runs([team_experiment])))
    MlflowClient().restore_run(boosted_id)
    print("after restoring:     ", len(mlflow.search_runs([team_experiment])))

# %% [markdown]
# Everybody who reaches the port. On loopback that is every program and every user on the machine, and only those. A deleted run can be restored
# until somebody runs `mlflow gc`; a deleted file can't.
#
# One guard is on by default. A page in your browser runs on your machine too, so it could try to reach `127.0.0.1`. The server
# therefore looks at two headers of each request: for whom it was meant, and which site sent it.

# %% name="headers"
if server:
    for header in ({}, {"Host": "mlflow.example.com"}, {"Origin": "https://a-page-you-opened.example"}):
        answer = requests.post(
            f"{API}/experiments/search", json={"max_results": 1}, headers=header, timeout=10
        )
        reason = "" if answer.ok else answer.text
        print(header or "no header of note", answer.status_code, reason)

servers.close()

# %% [markdown]
# You will meet this 403<!-- =headers: example.com'\} (\d+) --> on the day you move the server to a machine with a name. The way out is to say which names are yours:
# `mlflow server --host 0.0.0.0 --allowed-hosts "mlflow.example.com,mlflow.example.com:*"`. Do not answer it with `--allowed-hosts "*"`, which switches the guard off, and see
# that a password is asked for before you leave loopback.

# %% [markdown]
# ## Several data scientists: PostgreSQL, S3 and passwords
#
# Three people train at the same time. SQLite lets one writer in at a time, the others wait or fail; a folder on your machine is gone when your
# machine is; and nobody should delete by accident what another has made. So each part is replaced:
#
# | part | alone | here |
# |---|---|---|
# | backend store | SQLite, a file | PostgreSQL, a database server |
# | artifact store | a folder | a bucket in an object store that speaks S3 |
# | who may | whoever reaches the file | users with passwords and permissions |
#
# All three servers run on your machine now, each as a process of its own. In a company they are three machines; the addresses change, the code does not.

# %% name="start_team"
import secrets
import shutil

from course.servers import tracking_server
from course.stores import object_store, postgres

servers.close()  # if this cell runs twice
TEAM = FILES / "team"
shutil.rmtree(TEAM, ignore_errors=True)  # this section starts from empty stores
admin = ("admin", secrets.token_urlsafe(16))
try:
    database = servers.enter_context(postgres(TEAM / "postgres"))
    bucket = servers.enter_context(object_store(TEAM / "s3", bucket="trips"))
    stores = {"backend_store_uri": database.uri, "artifacts_destination": "s3://trips"}
    team = servers.enter_context(tracking_server(TEAM / "mlflow", **stores, auth=admin, env=bucket.env))
    mlflow.set_tracking_uri(team.uri)
    print("backend store: ", database.uri.split(":")[0])
    print("artifact store:", stores["artifacts_destination"])
except ServerError as reason:
    team = None
    servers.close()
    print(f"One of the three does not start on this machine, read on without it: {reason}")

# %% [markdown]
# The administrator makes two accounts. A client signs in with two environment variables, so that no password stands in a notebook.


# %% name="accounts"
from contextlib import contextmanager


@contextmanager
def signed_in(user, password):
    """Let MLflow act as this user inside a `with` block."""
    os.environ |= {"MLFLOW_TRACKING_USERNAME": user, "MLFLOW_TRACKING_PASSWORD": password}
    try:
        yield
    finally:
        del os.environ["MLFLOW_TRACKING_USERNAME"], os.environ["MLFLOW_TRACKING_PASSWORD"]


people = {name: secrets.token_urlsafe(16) for name in ("ana", "ben")}
if team:
    for name, password in people.items():
        account = {"username": name, "password": password}
        url = f"{team.uri}/api/2.0/mlflow/users/create"
        print(name, requests.post(url, json=account, auth=admin, timeout=10).status_code)

# %% [markdown]
# Ana opens an experiment, records a run with the same function `track`, and keeps the model.

# %% name="ana"
if team:
    with signed_in("ana", people["ana"]):
        shared_experiment = new_experiment("trip duration, several people")
        ana_id = track("boosted", "xgboost", boosted, max_depth=4, learning_rate=0.3)
        with mlflow.start_run(run_id=ana_id):
            info_of_ana = mlflow.xgboost.log_model(
                boosted, name="trip-duration", pip_requirements=[f"xgboost=={xgboost.__version__}"]
            )
        print(f"Ana's model: {mlflow.get_run(ana_id).data.metrics['rmse']:.2f}")

# %% [markdown]
# Now the passwords. The function below tries three things on Ana's run. `yes` means done; a number is the server's refusal: 401<!-- given -->
# says *who are you?*, 403<!-- given --> says *I know you, and no*.


# %% name="rights"
import re


def rights(user, password):
    """What this user may do with Ana's run: "yes", or the status of the refusal."""
    client, may = MlflowClient(), {}
    actions = {"read": client.get_run, "tag": lambda run_id: client.set_tag(run_id, "seen by", user)}
    with signed_in(user, password):
        for name, action in {**actions, "delete": client.delete_run}.items():
            try:
                action(ana_id)
                may[name] = "yes"
            except MlflowException as refusal:
                may[name] = re.search(r"error code (\d+)", str(refusal))[1]
    return may


# %% name="who_may"
may = {}
if team:
    may["nobody"] = rights("", "")
    may["Ana, wrong password"] = rights("ana", "let me in, please")
    may["Ben"] = rights("ben", people["ben"])
    may["Ana"] = rights("ana", people["ana"])
    with signed_in("ana", people["ana"]):
        MlflowClient().restore_run(ana_id)
pd.DataFrame(may).T

# %% [markdown]
# The server's default permission is `READ`, so Ben sees all and changes nothing. Ana manages what she created, and that is the guard which the
# local server did not have. She can also share: `EDIT` lets Ben write into her experiment, but not delete.

# %% name="ben"
if team:
    url = f"{team.uri}/api/3.0/mlflow/users/permissions/grant"
    grant = {"username": "ben", "resource_type": "experiment", "resource_id": shared_experiment}
    ana = ("ana", people["ana"])
    requests.post(url, json={**grant, "permission": "EDIT"}, auth=ana, timeout=10).raise_for_status()
    with signed_in("ben", people["ben"]):
        mlflow.set_experiment(experiment_id=shared_experiment)
        ben_id = track("linear", "linear", linear)
        for found in mlflow.search_runs(order_by=["metrics.rmse ASC"], output_format="list"):
            print(f"{found.info.run_name:8} {found.data.metrics['rmse']:.2f}")
        MlflowClient().set_tag(ben_id, "mlflow.user", "ana")
        print("the linear model was made by", mlflow.get_run(ben_id).data.tags["mlflow.user"])

# %% [markdown]
# The last line is a lie, and the store believes it. `mlflow.user` is a tag that the client fills in, with the account or with the login name of the
# computer, and whoever may edit a run may edit it. If you have to prove who trained what, let a CI job do the training: people can't edit its log.
#
# Did everything land where it should? Ask the database and the bucket themselves, past MLflow.

# %% name="landed"
import boto3
from sqlalchemy import create_engine, text

if team:
    engine = create_engine(database.uri)
    tables = ["experiments", "runs", "params", "metrics", "datasets", "logged_models"]
    rows = {table: pd.read_sql(f"SELECT count(*) FROM {table}", engine).iloc[0, 0] for table in tables}
    print("rows in PostgreSQL:", *(f"{table} {count}" for table, count in rows.items()), sep="\n  ")

    keys = {name.lower(): bucket.env[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    s3 = boto3.client("s3", endpoint_url=bucket.endpoint_url, region_name="us-east-1", **keys)
    objects = [one["Key"] for one in s3.list_objects_v2(Bucket="trips")["Contents"]]
    print("objects in the bucket:", *sorted(key.split("/")[-1] for key in objects), sep="\n  ")

# %% [markdown]
# Rows here, files there, and none of it in a folder of Ana's or Ben's. (One of the experiments is MLflow's own, `Default`.)
#
# So is the record safe now? One more try, with the password of the database and the keys of the bucket, which stand in a configuration file
# of whoever runs the server.

# %% name="bypass"
if team:
    with engine.begin() as sql:
        cheat = "UPDATE latest_metrics SET value = 1.23 WHERE key = 'rmse' AND run_uuid = :run_id"
        sql.execute(text(cheat), {"run_id": ana_id})
    with signed_in("ben", people["ben"]):
        print("Ben sees an error of", mlflow.get_run(ana_id).data.metrics["rmse"])

    for key in objects:
        s3.delete_object(Bucket="trips", Key=key)
    print("files in the bucket:", s3.list_objects_v2(Bucket="trips")["KeyCount"])
    with signed_in("ana", people["ana"]):
        print("Ana's model is", mlflow.get_logged_model(info_of_ana.model_id).status)
    engine.dispose()

servers.close()
mlflow.set_tracking_uri(LOCAL_STORE)

# %% [markdown]
# The error is rewritten, the model is gone, and the store still calls it ready. Nobody was asked for a name. The tracking server guards its own
# door; the database and the bucket have doors of their own, and who holds those keys can read, rewrite and delete everything.

# %% [markdown]
# ## What the server protects, and what it does not
#
# | against | SQLite alone | local server | server, PostgreSQL, S3, passwords |
# |---|---|---|---|
# | two people writing at once | one waits or fails | yes, through one server | yes |
# | a disk that dies | no | no | yes, if both stores have backups |
# | a colleague who deletes by mistake | no | no: anyone on the host can | yes, by permissions |
# | a web page that calls the server | there is none | yes: the Host and Origin headers | yes, until `--allowed-hosts "*"` |
# | a password read on the wire | there is none | there is none | only behind HTTPS: a reverse proxy in front |
# | the database password or the S3 keys in wrong hands | – | – | no: they bypass the server |
# | a model file that runs code when loaded | no | no | no: only load what you trust |
#
# **Benefits.** One address for everybody, one place to search and to back up, names instead of paths, and a run that outlives the laptop it ran on.
#
# **Two rules.** Keep artifacts **proxied** (`--artifacts-destination`), so that only the server holds the keys of the bucket; with `--default-artifact-root s3://…
# --no-serve-artifacts` every client needs them, which is faster for files of many gigabytes and opens the side door to everyone. And give the server's keys to the
# server alone.
#
# **Limits.** Every `log_metric` is now a request over the network, and with passwords each
# request checks one, slowly on purpose: log metrics together with `log_metrics`, or pass `synchronous=False`. If the server is down, your training stops at the next call. Users and passwords
# are MLflow's own; single sign-on needs a plugin, a proxy or a managed service. PostgreSQL, the bucket and the server want updates and backups: somebody's working
# time.
#
# **Alternatives.** Managed MLflow (Databricks, Azure ML, Amazon SageMaker) is this section run by others, under the same code (lesson 10). Weights & Biases,
# Comet and ClearML are services with richer charts. DVC keeps the record in git, next to the code.
#
# **When not to.** One analysis, one person, one afternoon: a script in git that writes a CSV is traceable enough. One person for months: SQLite without a
# server, as in the first scenario. Go one step further on the day the step before hurts.

# %% [markdown]
# ## What changed
#
# Much of what the web says about MLflow is older than its version 3. In this lesson's field:
#
# {{ what_changed: mlflow-tracking }}
#
# And what you will meet later. Model *stages* (Staging, Production) are history; lesson 07 shows the aliases that came after them.
#
# {{ what_changed: mlflow-registry, mlflow-models }}

# %% [markdown]
# ## Take-aways
#
# - A result without its run is an anecdote. Code version, data, settings and score are written by the code that trains, in one place, or they are
#   not written.
# - Parameters are text, metrics are numbers with steps, tags are for people, artifacts are files, and a model is a thing of its own that points
#   to its run.
# - A dataset's digest tells you that data differ; it does not prove that they are the same.
# - Autologging records what you passed and how training went. The commit, the test error and the reason are yours to log.
# - The backend store holds rows to search, the artifact store files to fetch, and the server guards the way through itself only.
#
# ## In an interview
#
# - *Somebody asks for the model behind a number from last quarter. What must exist for you to answer?* Shown in
#   [From the record back to the model](#From-the-record-back-to-the-model).
# - *What goes to the backend store, what to the artifact store, and why are they two?* Shown in
#   [A server in front of the store](#A-server-in-front-of-the-store).
# - *Your tracking server is up. Who can delete or alter a run?* Shown in
#   [Several data scientists](#Several-data-scientists:-PostgreSQL,-S3-and-passwords).
#
# With the points of a good answer, and more of them: `walkforward practice --lesson 03` in a terminal.
#
# ## Up next
#
# You compared nine settings that somebody chose by hand. In [04 · Tuning](04_tuning.ipynb) a search chooses them, every trial becomes a run below its
# search, and in [04b](04b_is_it_better.ipynb) you learn to say when the winner is no better than the runner-up.
