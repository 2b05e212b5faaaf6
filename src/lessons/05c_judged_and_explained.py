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
# ---

# %% [markdown]
# # 05c · Judged and explained
#
# After this lesson you can score a month from an address, judge a model by what a mistake costs, and say what SHAP shows and what it does not.

# %% [markdown]
# > **You will learn to** load one model from four addresses · score a batch, in pandas and on Spark · choose between models by the cost of a mistake · turn a comparison into a gate · read SHAP values
# >
# > **Before you start** [05b · Models of your own](05b_own_models.ipynb)
# >
# > **Time** 50 minutes of study; it runs in half a minute
# >
# > **Interview questions it answers** Which model is best? · What do SHAP values say, and what not? · Batch or online?

# %% [markdown]
# ## Parameters
#
# Three months to train on, one to test on. A taxi file of your own goes into `trips_path`; the day in `test_from` is then chosen by it.

# %% tags=["parameters"]
trips_path = None  # a Parquet or CSV file of your own; None takes the course's trips
max_trips = 40_000  # of a file of your own, drawn at random; more take more time and memory
first_month, last_month = "2019-07", "2019-10"
test_from = "2019-10-01"  # trips that start on or after this day are the test set
n_trees = 100  # boosting rounds

# %%
from course import own_data

if trips_path is not None:  # your file: what the lesson needs of it, or a line that says what it lacks
    trips, test_from = own_data.split_trips(
        trips_path, first_month, last_month, max_trips, test_from=test_from
    )

# %%
import contextlib
import io
import logging
import os
import re
import shutil
import sys
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path

import matplotlib.pyplot as plt
import mlflow
import numpy as np
import pandas as pd
from mlflow import MlflowClient
from mlflow.models import MetricThreshold, make_metric

# %%
from mlflow.models.evaluation.validation import ModelValidationFailedException
from sklearn.metrics import root_mean_squared_error
from xgboost import DMatrix, XGBRegressor

from course import exercise
from course.data import load_trips, months, prepare_trips
from course.exercise import TODO
from projects.trip_answers.logged import RAW, as_requests, log_trip_model
from projects.trip_answers.trip_model import prepare
from walkforward.plots import PALETTE, use_style

# %%
FILES = Path("05c_judged_and_explained_files")
FILES.mkdir(exist_ok=True)
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
logging.getLogger("mlflow").setLevel(logging.WARNING)

# %%
mlflow.set_tracking_uri(f"sqlite:///{(FILES / 'mlflow.db').as_posix()}")
title = f"judged · {datetime.now():%Y-%m-%d %H:%M:%S.%f}"  # a new one each time
mlflow.create_experiment(title, artifact_location=(FILES / "artifacts").resolve().as_uri())
mlflow.set_experiment(title)
client = MlflowClient()

# %% [markdown]
# ## One model, four addresses
#
# Train the model of [05b](05b_own_models.ipynb), log it, and give it a name in the registry (chapter 07 is about that). It takes raw trips and carries their preparation.

# %% name="trips"
trips = prepare_trips(load_trips(months(first_month, last_month)) if trips_path is None else trips)
train, test = trips[trips["pickup_datetime"] < test_from], trips[trips["pickup_datetime"] >= test_from]
october, actual = as_requests(test), test["duration"].to_numpy()
with mlflow.start_run(run_name="carries its preparation") as run:
    info, trees, usual_miles = log_trip_model(train, FILES, n_trees)
print(f"train {len(train):,} trips, test {len(test):,} trips")

# %%
NAME = "trip-duration"
with contextlib.redirect_stderr(io.StringIO()):  # it reports its success where errors go
    registered = mlflow.register_model(info.model_uri, NAME)
client.set_registered_model_alias(NAME, "champion", registered.version)
folder = mlflow.artifacts.download_artifacts(info.model_uri, dst_path=str(FILES / "opened"))

# %% name="addresses"
addresses = {
    "models:/<model id>": info.model_uri,
    "runs:/<run id>/trip-duration": f"runs:/{run.info.run_id}/trip-duration",
    "models:/trip-duration@champion": f"models:/{NAME}@champion",
    "a folder": str(folder),
}
answers = {address: mlflow.pyfunc.load_model(uri).predict(october) for address, uri in addresses.items()}
for address, minutes in answers.items():
    same = minutes.equals(answers["models:/<model id>"])
    print(f"{address:32} the same minutes: {same}")

# %% [markdown]
# | address | points to | use it for |
# |---|---|---|
# | `models:/m-…` | these very bytes, forever | a record, a test, a bug report |
# | `runs:/…/name` | the model of that name in a run | older code; ambiguous if a run holds two of a name |
# | `models:/name@champion` | whatever the alias points to today | production: a promotion needs no release of the caller |
# | a folder | a copy | Docker images, machines without a tracking server |

# %% [markdown]
# ## Score a month
#
# **Batch scoring** is the cheapest way to serve: load once, predict a table, write a table. Score the month as it might arrive from a supplier: a twentieth of the distances missing, more columns than agreed, in the supplier's order. Beside the champion, the trees alone get features that somebody made by hand.

# %%
arrived = test.drop(columns="duration").sample(frac=1, axis=1, random_state=0).reset_index(drop=True)
arrived.loc[arrived.sample(frac=0.05, random_state=0).index, "trip_distance"] = np.nan
champion = mlflow.pyfunc.load_model(f"models:/{NAME}@champion")
batch = as_requests(arrived)
arrived.assign(minutes=champion.predict(batch)).to_parquet(FILES / "scored.parquet")

# %% name="batch"
scored = pd.read_parquet(FILES / "scored.parquet")
clock = scored["pickup_datetime"].dt
by_hand = scored.assign(hour=clock.hour, weekday=clock.dayofweek)[list(trees.feature_names_in_)]
methods = {
    "the champion": scored["minutes"],
    "the trees, features made by hand": trees.predict(by_hand.astype(float)),
    "naive: the mean of training": np.full(len(scored), train["duration"].mean()),
}
print(f"{'complete distances':34} RMSE {root_mean_squared_error(actual, champion.predict(october)):5.2f}")
for method, minutes in methods.items():
    print(f"{method:34} RMSE {root_mean_squared_error(actual, minutes):5.2f}")

# %% [markdown]
# One distance in twenty is enough to lift the features made by hand to 10.65<!-- =batch: by hand +RMSE +([\d.]+) --> minutes, worse than the naive baseline: in training no distance was missing, so the trees never learnt what to do then. The champion stays at 4.92<!-- =batch: champion +RMSE +([\d.]+) -->, close to the 4.84<!-- =batch: complete distances +RMSE +([\d.]+) --> of complete distances.

# %% [markdown]
# ## The same model on Spark
#
# For a table that fits no single machine, `mlflow.pyfunc.spark_udf` turns the model into a function over columns: each worker loads the model once and predicts its part, as pandas. The course's environment has no Spark (500<!-- given --> MB and Java); where both are present the next cell runs, otherwise it says so.

# %% name="spark" tags=["nbval-ignore-output"]
if find_spec("pyspark") and shutil.which("java"):
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = sys.executable  # the workers' Python: the one that has the packages
    settings = {"spark.ui.enabled": "false", "spark.driver.host": "127.0.0.1"}
    spark = SparkSession.builder.master("local[2]").config(map=settings).getOrCreate()
    minutes = mlflow.pyfunc.spark_udf(spark, info.model_uri, result_type="double", env_manager="local")
    on_spark = spark.createDataFrame(batch).withColumn("minutes", minutes(*RAW)).toPandas()
    print("as in pandas:", (on_spark["minutes"].to_numpy() == scored["minutes"].to_numpy()).all())
    spark.stop()
else:
    print("Spark is not here (it needs pyspark and Java); read on without it.")

# %% [markdown]
# Where Spark is present, a test of the course runs this cell and compares the answers. Spark is for the table that pandas can't hold: starting it takes longer than scoring this month in pandas.
#
# Three details: `env_manager="local"` takes the workers' packages as they are; `"virtualenv"` rebuilds the model's environment on each worker. `minutes()` without columns is refused as soon as the signature has an optional one, so name them. Each worker runs `load_context` for itself: open files and connections there.

# %% [markdown]
# ## Which model is best?
#
# `mlflow.models.evaluate` takes an address (or any function), a table and a kind of task, computes the usual metrics and logs them. You have to say which metric decides. Suppose the app promises the passenger an arrival. A minute late costs three times what a minute early costs.


# %%
def late_costs_more(eval_df, builtin_metrics):
    """Mean cost of a promise: 3 for each minute the trip takes longer, 1 for each minute it is shorter."""
    late = eval_df["target"] - eval_df["prediction"]
    return float(np.where(late > 0, 3 * late, -late).mean())


cost = make_metric(eval_fn=late_costs_more, greater_is_better=False, name="cost")


# %%
def judge(name, predict):
    with mlflow.start_run(run_name=f"evaluate {name}"):
        return mlflow.models.evaluate(
            predict,
            october.assign(duration=actual),
            targets="duration",
            model_type="regressor",
            extra_metrics=[cost],
            evaluator_config={"log_model_explainability": False},  # the section on SHAP does it in a second
        )


# %% [markdown]
# Two naive baselines, the model, and the model with some minutes added to what it says.
#
# **Predict first.** Which row will have the lowest RMSE, and which the lowest cost?

# %%
speed = train["trip_distance"].sum() / train["duration"].sum()  # miles per minute
candidates = {
    "the mean": lambda batch: pd.Series(train["duration"].mean(), index=batch.index),
    "distance / mean speed": lambda batch: batch["trip_distance"] / speed,
    "model": info.model_uri,
    **{f"model + {n}": lambda batch, n=n: champion.predict(batch) + n for n in (1, 2, 3, 4)},
}

# %% name="evaluated"
results = {name: judge(name, predict) for name, predict in candidates.items()}
shown = {"root_mean_squared_error": "RMSE", "mean_absolute_error": "MAE", "cost": "cost"}
table = pd.DataFrame({name: result.metrics for name, result in results.items()}).T[list(shown)]
table.rename(columns=shown).astype(float).round(2)

# %% [markdown]
# Three columns, three winners. The mean absolute error (MAE) wants the model as it is. RMSE wants a minute more. The cost wants three minutes more, 6.07<!-- =evaluated[model + 3, cost] --> against 7.27<!-- =evaluated[model, cost] -->, and pays for it with 5.30<!-- =evaluated[model + 3, RMSE] --> in RMSE. Each is right about its own question: RMSE is minimised by the mean of what may happen, MAE by the median, and this cost by the value that three trips in four stay below, the quantile 3/(3 + 1).
#
# (The minutes to add must be chosen on a month of their own. Here the test month chose them, which flatters them a little; if the promise is what you sell, train for the quantile instead, as in [15b](15b_intervals_and_prophet.ipynb).)

# %% [markdown]
# A comparison becomes a **gate** when it can say no. `validate_evaluation_results` raises if a candidate misses a threshold or does not beat the baseline by enough.

# %%
gate = {"cost": MetricThreshold(threshold=7, min_relative_change=0.5, greater_is_better=False)}


def passes(name):
    try:
        mlflow.validate_evaluation_results(gate, results[name], results["the mean"])
        return "passes"
    except ModelValidationFailedException as refusal:
        return "refused. " + re.sub(r"(\d\.\d\d)\d+", r"\1", str(refusal))


# %% name="gate"
for name in ("model", "model + 3"):
    print(f"{name}: {passes(name)}")
kept = {metric.key: round(metric.value, 2) for metric in mlflow.get_logged_model(info.model_id).metrics}
print("kept with the model itself:", {key: kept[key] for key in ("root_mean_squared_error", "cost")})

# %% [markdown]
# The last line: what you evaluate by its address is linked to the model, not only to the run. A year from now the model can be asked how good it was, and on which data, in code or on its page in the UI (`mlflow ui --backend-store-uri sqlite:///05c_judged_and_explained_files/mlflow.db`, tab *Models*).
#
# ![The page of the model in the MLflow UI: its metrics with the data set and the run that evaluated it; on the right status, source run and the registered version](../images/05c_model.png)
#
# ### Your turn

# %% exercise="close_enough"
# %%
exercise.check(close_enough)

# %% [markdown]
# ## Why did it say that?
#
# A passenger asks: why forty-six minutes? **SHAP** values split a prediction into one contribution per feature, in minutes: start from the **base value**, the mean prediction, add the contributions, and you arrive at the prediction. For trees they are exact, and XGBoost computes them itself.

# %% name="contributions"
features = prepare(october, usual_miles)
contributions = trees.get_booster().predict(DMatrix(features), pred_contribs=True)  # the last: base value
raw_minutes = trees.predict(features)
print("trips and columns:", contributions.shape)
print("they add up to the prediction:", np.allclose(contributions.sum(axis=1), raw_minutes, atol=1e-3))

# %% name="one_trip"
asked = int(contributions[:, features.columns.get_loc("hour")].argmax())  # where the hour adds the most
one = pd.DataFrame({"value": features.iloc[asked], "minutes": contributions[asked, :-1]})
one.loc["base value", "minutes"] = contributions[asked, -1]
one.loc["prediction", "minutes"] = raw_minutes[asked]
one.astype(float).round(2)

# %% [markdown]
# From the base value of 14.21<!-- =one_trip[base value, minutes] --> minutes, 12.75<!-- =one_trip[trip_distance, value] --> miles add 27.50<!-- =one_trip[trip_distance, minutes] -->, five in the afternoon adds 6.60<!-- =one_trip[hour, minutes] -->, the pick-up zone 1.20<!-- =one_trip[pickup_location_id, minutes] -->, and Newark airport as the goal takes 3.89<!-- =one_trip: dropoff_location_id +1.00 +-([\d.]+) --> away: for its distance it is quickly reached. That makes 45.60<!-- =one_trip[prediction, minutes] -->. *This trip is long, and you are travelling in the rush hour* is an answer that a passenger understands. (The package `shap` gives the same numbers for trees; it is worth it for its plots, and for models without a method of their own.)
#
# ### Your turn

# %% exercise="top_reasons"
# %%
exercise.check(top_reasons)

# %% [markdown]
# Over the whole month, the mean size of the contributions says what the model relies on. Keep it in the run that made the model.

# %% name="importance"
use_style()
size = pd.Series(np.abs(contributions[:, :-1]).mean(axis=0), index=features.columns).sort_values()
figure, ax = plt.subplots()
ax.barh(size.index, size, color=PALETTE["blue"])
ax.set(xlabel="mean size of the contribution (minutes)", title="Distance decides; the hour comes second")
with mlflow.start_run(run_id=run.info.run_id):
    mlflow.log_figure(figure, "shap/importance.png")
plt.show()
print(size.round(2).to_string())

# %% [markdown]
# *Figure: bars of the mean absolute SHAP value by feature; trip distance has about seven minutes, the hour about two, weekday and the two zones below one each.*
#
# ### What SHAP does not say
#
# Give the trees a column more that holds nothing new, the distance in kilometres rounded to a tenth, and train again.

# %% name="twins"
parts = {"train": train, "test": test}
with_twin = {name: prepare(as_requests(part), usual_miles) for name, part in parts.items()}
for table in with_twin.values():
    table["km"] = (table["trip_distance"] * 1.609).round(1)
twins = XGBRegressor(max_depth=4, learning_rate=0.3, n_estimators=n_trees, n_jobs=1)
twins.fit(with_twin["train"], train["duration"])
split = twins.get_booster().predict(DMatrix(with_twin["test"]), pred_contribs=True)
size_with_twin = pd.Series(np.abs(split[:, :-1]).mean(axis=0), index=with_twin["test"].columns)
print(size_with_twin[["trip_distance", "km", "hour"]].round(2).to_string())
print(f"RMSE {root_mean_squared_error(actual, twins.predict(with_twin['test'])):.2f}")

# %% [markdown]
# The error is nearly the same, 4.86<!-- =twins: RMSE ([\d.]+) -->, and the distance has shrunk from 7.15<!-- =importance: trip_distance +([\d.]+) --> to 5.12<!-- =twins: trip_distance +([\d.]+) -->; the rest went to its copy. Nothing in the world has changed.
#
# - **Correlated features share their credit**, arbitrarily. Don't drop a feature because its bar is short; drop it, train again and measure.
# - **It explains the model, not the world.** That leaving later makes the trip shorter would be a claim about causes, which needs an experiment or assumptions that you can name.
# - **It explains a wrong model equally well.** Contributions of a model fed with its columns in the wrong order add up perfectly.

# %% [markdown]
# ## What changed
#
# {{ what_changed: mlflow-models }}

# %% [markdown]
# ## Take-aways
#
# - An alias is the address for production; a model id is the address for a record.
# - Batch scoring from an address needs three lines, and the preparation inside the model survives what a supplier does to a table.
# - Choose the metric by what a mistake costs: RMSE, MAE and a cost of 3 to 1 pick three different winners here.
# - SHAP splits a prediction exactly for trees. It says what the model did, not why the world is so.

# %% [markdown]
# ## In an interview
#
# - *Which of these models is best?* Shown in [Which model is best?](#Which-model-is-best?).
# - *The hour has the second-largest SHAP value. May we tell drivers to start later?* Shown in [What SHAP does not say](#What-SHAP-does-not-say).
# - *XGBoost takes missing values. Why not leave the gaps in?* Shown in [Score a month](#Score-a-month).
#
# With the points of a good answer, and more of them: `walkforward practice --lesson 05c` in a terminal.

# %% [markdown]
# ## Up next
#
# [06a · Reproducibility](06a_reproducibility.ipynb) finds out whether training gives you the same model twice.
