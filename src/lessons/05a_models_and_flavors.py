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
# # 05a · Models and flavors
#
# After this lesson you can tell a model from a file with weights in it, and load any MLflow model by one call.

# %% [markdown]
# > **You will learn to** find what a pickle leaves behind · log one model in several flavors and load each by one call · say what each flavor stores · read a Model directory
# >
# > **Before you start** [03a · Tracking](03a_tracking.ipynb)
# >
# > **Time** 55 minutes of study; it runs in half a minute
# >
# > **Interview questions it answers** What is in an MLflow Model, and who reads which file? · Why is a pickle not enough? · What does pyfunc do?

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
import json
import logging
import os
import pickle
import re
import subprocess
import sys
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

import cloudpickle
import mlflow
import numpy as np
import pandas as pd
import xgboost
import yaml
from mlflow.exceptions import MlflowException

# %%
from skl2onnx import to_onnx
from sklearn.linear_model import Ridge
from sklearn.metrics import root_mean_squared_error
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from xgboost import XGBRegressor

from course import exercise
from course.data import load_ridership, load_trips, months, prepare_trips
from course.exercise import TODO

# %% name="trips"
trips = prepare_trips(load_trips(months(first_month, last_month)) if trips_path is None else trips)
ZONES = ["pickup_location_id", "dropoff_location_id"]
FEATURES = ["trip_distance", *ZONES, "hour", "weekday"]  # what the trees learn from
train, test = trips[trips["pickup_datetime"] < test_from], trips[trips["pickup_datetime"] >= test_from]
print(f"train {len(train):,} trips, test {len(test):,} trips")

# %% [markdown]
# ## A model that stayed behind
#
# A colleague has trained trip-duration trees on her machine. She attaches the file to a run with `log_artifact`, then goes on holiday. Everything that this lesson writes goes into a folder of its own.

# %%
FILES = Path("05a_models_and_flavors_files")
FILES.mkdir(exist_ok=True)
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
logging.getLogger("mlflow").setLevel(logging.WARNING)

# %%
mlflow.set_tracking_uri(f"sqlite:///{(FILES / 'mlflow.db').as_posix()}")
title = f"models and flavors · {datetime.now():%Y-%m-%d %H:%M:%S.%f}"  # a new one each time
mlflow.create_experiment(title, artifact_location=(FILES / "artifacts").resolve().as_uri())
mlflow.set_experiment(title)
settings = {"max_depth": 4, "learning_rate": 0.3, "n_estimators": n_trees, "n_jobs": 1}


# %%
def her_features(table: pd.DataFrame) -> pd.DataFrame:
    clock = table["pickup_datetime"].dt
    return table.assign(hour=clock.hour, weekday=clock.dayofweek)[FEATURES].astype(float)


# %% name="colleague"
her_model = XGBRegressor(**settings)
her_model.fit(her_features(train).to_numpy(), train["duration"])
her_file = FILES / "trip_model.pkl"
her_file.write_bytes(pickle.dumps(her_model))
with mlflow.start_run(run_name="trip model, final") as her_run:
    mlflow.log_artifact(her_file)

# %% [markdown]
# You get the run's id and the task: predict October. The file loads. What does it want to be given?

# %% name="asked"
fetched = mlflow.artifacts.download_artifacts(run_id=her_run.info.run_id, artifact_path=her_file.name)
found = pickle.loads(Path(fetched).read_bytes())
print("columns:", found.n_features_in_)
print("names:  ", found.get_booster().feature_names)

# %% [markdown]
# Five numbers, without names: she trained on a bare array. You have heard her mention distance, zones, hour and weekday, so you prepare these five. Below are her way and seven that a careful person might choose instead.
#
# **Predict first.** Which of the eight raises an error?

# %%
hers = her_features(test)
ways = {
    "as she did": hers,
    "weekday from 1 instead of 0": hers.assign(weekday=hers["weekday"] + 1),
    "hour in UTC": hers.assign(hour=(hers["hour"] + 4) % 24),
    "distance in km": hers.assign(trip_distance=hers["trip_distance"] * 1.609),
    "hour unknown": hers.assign(hour=np.nan),
    "weekday before hour": hers[["trip_distance", *ZONES, "weekday", "hour"]],
    "columns by alphabet": hers[sorted(FEATURES)],
    "distance unknown": hers.assign(trip_distance=np.nan),
}

# %% name="silent"
actual = test["duration"].to_numpy()
predicted = {way: found.predict(table.to_numpy()) for way, table in ways.items()}
predicted["naive: the mean of training"] = np.full(len(test), train["duration"].mean())
silent = {
    way: {"RMSE (minutes)": root_mean_squared_error(actual, minutes), "mean prediction": minutes.mean()}
    for way, minutes in predicted.items()
}
pd.DataFrame(silent).T.round(2)

# %% [markdown]
# None of them. Eight tables, eight full sets of minutes, no error and no warning. Her way gives 4.84<!-- =silent[as she did, RMSE (minutes)] --> minutes. With the columns sorted by name you get 32.66<!-- =silent[columns by alphabet, RMSE (minutes)] -->, three times worse than the mean of training (10.48<!-- =silent[naive: the mean of training, RMSE (minutes)] -->).
#
# - *Distance unknown*: XGBoost takes missing values. At each split a missing value goes to the branch that was best for missing values in training. Training had none, so that branch was never learnt, and the model predicts 55.36<!-- =silent[distance unknown, mean prediction] --> minutes on average.
# - *Weekday from 1*: 5.07<!-- =silent[weekday from 1 instead of 0, RMSE (minutes)] -->, a little worse. An average hides this. Only a test that compares single predictions finds it.

# %% [markdown]
# The trees were the smaller part of her model. The larger part, how a trip becomes five numbers, stayed in her notebook. Trained on a table with names, XGBoost would compare the names and refuse the sixth and seventh way. It can't check units, clocks and gaps.
#
# ### Your turn
#
# Write the test that would have found *weekday from 1*.

# %% exercise="rows_that_differ"
# %%
exercise.check(rows_that_differ)

# %% [markdown]
# ## Why her preparation did not come along
#
# She could have put the preparation into the pickle, in front of the trees. Try it in three ways, and load each result where a server would: in another process. The third function is imported from a module beside the notebook.

# %%
(FILES / "trip_steps.py").write_text(
    "def miles(table):\n    return table[['trip_distance']].to_numpy(float)\n", encoding="utf-8"
)
sys.path.append(str(FILES))
import trip_steps


def miles(table):
    return table[["trip_distance"]].to_numpy(float)


# %% name="another_process"
for name, function, library in [
    ("pickle, function of this notebook", miles, pickle),
    ("cloudpickle, function of this notebook", miles, cloudpickle),
    ("cloudpickle, imported function", trip_steps.miles, cloudpickle),
]:
    whole = make_pipeline(FunctionTransformer(function), Ridge()).fit(train, train["duration"])
    file = FILES / "whole.pkl"
    file.write_bytes(library.dumps(whole))
    load = f"import pickle; pickle.load(open({str(file)!r}, 'rb')); print('loads')"
    elsewhere = subprocess.run([sys.executable, "-W", "ignore", "-c", load], capture_output=True, text=True)
    print(f"{name}: {(elsewhere.stdout or elsewhere.stderr).strip().splitlines()[-1]}")

# %% [markdown]
# A **pickle** stores a function by its name and module, not by its code. Here the module is the notebook, and elsewhere there is no such notebook. **cloudpickle** stores the code of what the notebook itself defines, as bytecode of one Python version that no reviewer can read. What you *import* it stores by name again: the third line fails as soon as your helpers live in a module, which is where they belong.
#
# And any pickle may run any code when it is loaded. The cures are a list of the modules that must travel along (`code_paths`, in [05b](05b_own_models.ipynb)) and formats that hold no code.

# %% [markdown]
# | what you need to know later | `log_artifact(file)` | `log_model(…)` |
# |---|---|---|
# | which library loads it, and which version | ask her | `MLmodel`, `requirements.txt` |
# | which columns, of which type | ask her | signature |
# | what a request looks like | ask her | input example |
# | how raw data become features | ask her | in the model, if you put it there |
# | one call that loads it anywhere | no | `mlflow.pyfunc.load_model(uri)` |
# | may be any file | yes | no |
#
# `log_artifact` is right for figures, reports and tables. A model is more than a file.

# %% [markdown]
# ## One model, three flavors
#
# A **flavor** is a way to save and load a model that some tool understands. Train the trees again, on a table with names. Log them as an XGBoost model and as a scikit-learn model: `XGBRegressor` is both. Then log the bare `Booster` inside it, which is what `xgboost.train` returns.

# %%
trees = XGBRegressor(**settings).fit(her_features(train), train["duration"])
needs = [f"xgboost=={xgboost.__version__}", f"scikit-learn=={version('scikit-learn')}"]
common = {"input_example": hers.head(3), "pip_requirements": needs}
with mlflow.start_run(run_name="three flavors") as run:
    logged = {"xgboost": mlflow.xgboost.log_model(trees, name="trees-xgboost", **common)}
    logged["booster"] = mlflow.xgboost.log_model(trees.get_booster(), name="trees-booster", **common)

# %% name="log_three"
with mlflow.start_run(run_id=run.info.run_id):
    try:
        mlflow.sklearn.log_model(trees, name="trees-sklearn", **common)
    except MlflowException as refusal:
        untrusted = re.search(r"\[(.*)\]", str(refusal))[1]
        print("refused:", untrusted)
    trusted = {"skops_trusted_types": [name.strip("' ") for name in untrusted.split(",")]}
    logged["sklearn"] = mlflow.sklearn.log_model(trees, name="trees-sklearn", **common, **trusted)

# %% [markdown]
# The refusal is MLflow's guard against pickles: scikit-learn models are written with skops, which loads only types that it trusts. (On a Databricks workspace the default is still cloudpickle.) A linear pipeline passes; XGBoost has to be named. Name a type after you have looked at it. `serialization_format="cloudpickle"` would silence the refusal and bring the pickle back.
#
# Now load each of the three twice: with its own library's loader, and with `mlflow.pyfunc`.


# %%
def takes_a_table(model) -> str:
    try:
        model.predict(hers)
        return "yes"
    except TypeError:
        return "no, it wants a DMatrix"


# %% name="three_ways"
loaders = {"xgboost": mlflow.xgboost, "sklearn": mlflow.sklearn, "booster": mlflow.xgboost}
rows = {}
for name, loader in loaders.items():
    own = loader.load_model(logged[name].model_uri)
    answer = mlflow.pyfunc.load_model(logged[name].model_uri).predict(hers)
    rows[name] = {
        "pyfunc is loaded by": logged[name].flavors["python_function"]["loader_module"],
        "its own loader gives": type(own).__name__,
        "takes a table": takes_a_table(own),
        "pyfunc answers the same": bool((answer == trees.predict(hers)).all()),
    }
pd.DataFrame(rows).T

# %% [markdown]
# Two loaders, two kinds of object, and one of them does not take a table. The last column is why MLflow has **pyfunc**, the flavor that every Python model gets beside its own: `load_model(uri)` returns an object with one method, `predict(table)`. A server, a batch job or Spark needs to know one call, and you may change from scikit-learn to XGBoost without telling them.
#
# ```mermaid
# flowchart LR
#     server["mlflow models serve"] --> predict
#     batch["batch job, pandas"] --> predict
#     spark["spark_udf"] --> predict
#     evaluate["mlflow.models.evaluate"] --> predict
#     predict["pyfunc: predict(table)"] --> x["mlflow.xgboost<br/>model.ubj"]
#     predict --> s["mlflow.sklearn<br/>model.skops"]
#     predict --> c["your own code<br/>trip_model.py"]
# ```

# %% [markdown]
# ## The other flavors
#
# MLflow ships some thirty flavors. What differs is the file. Run two that are installed here: a Prophet model of a station's rides, and a linear model of trips as **ONNX**, a format for the arithmetic alone, which other languages can run. Prophet reports to the error stream; its loggers are told to be quiet.

# %%
logging.getLogger("prophet.plot").setLevel(logging.CRITICAL)  # before the import: it is the import that talks
logging.getLogger("cmdstanpy").addHandler(logging.NullHandler())
logging.getLogger("cmdstanpy").setLevel(logging.ERROR)
from prophet import Prophet

logging.getLogger("prophet").setLevel(logging.WARNING)
rides = load_ridership()[["ds", "y"]].tail(400)
forecaster = Prophet(uncertainty_samples=0).fit(rides)
miles_only = train[["trip_distance"]].to_numpy("float32")
line = to_onnx(Ridge().fit(miles_only, train["duration"]), miles_only[:1])

# %% name="two_more"
with mlflow.start_run(run_name="two more flavors"):
    others = {"prophet": mlflow.prophet.log_model(forecaster, name="rides", pip_requirements=["prophet"])}
    others["onnx"] = mlflow.onnx.log_model(
        line,
        name="line",
        pip_requirements=["onnxruntime"],
        onnx_execution_providers=["CPUExecutionProvider"],
    )
for name, asked in {"prophet": rides[["ds"]].tail(2), "onnx": miles_only[:2]}.items():
    answer = mlflow.pyfunc.load_model(others[name].model_uri).predict(asked)
    file = others[name].flavors["python_function"]["data"]
    print(f"{name}: {file}, predict gives a {type(answer).__name__}")

# %% [markdown]
# One call loads both, and yet the answers differ in kind: Prophet gives a table with components, ONNX a dict by output name. pyfunc unifies the call and not the result. Below, what each flavor keeps:
#
# | flavor | what is stored | what you must know |
# |---|---|---|
# | `xgboost`, `lightgbm`, `catboost` | the library's own file | no code inside; loads across Python versions |
# | `sklearn` | skops by default | types outside its list must be trusted by name |
# | `onnx` | the graph of operations | needs a converter; fast, no Python at serving time |
# | `prophet` | JSON (`model.pr`) | the class of the same library reads it |
# | `statsmodels` | a pickle of the results object | holds the training data unless removed |
# | `pytorch`, `keras` | weights with the model, pickled or `.keras` | the class must be importable: `code_paths` |
# | `transformers` | pipeline parts, or a reference to a hub | gigabytes; a reference needs the hub later |
# | `spark` | a Spark ML pipeline | needs Java and Spark wherever it is loaded |

# %% [markdown]
# ## The Model directory, file by file
#
# Whatever its flavor, a model is a directory. Fetch it and look; leave out what the download adds.

# %% name="directory"
uri = logged["xgboost"].model_uri
folder = Path(mlflow.artifacts.download_artifacts(uri, dst_path=str(FILES / "opened")))
for file in sorted(folder.rglob("*")):
    if file.is_file() and file.name != "registered_model_meta":
        print(file.relative_to(folder).as_posix())

# %% [markdown]
# | file | the question it answers | who reads it |
# |---|---|---|
# | `MLmodel` | What is this, who loads it, what goes in and out? | everything, first |
# | `model.ubj` | What did it learn? (`model.skops`, your own files in other flavors) | the loader |
# | `requirements.txt` | Which packages, in which versions? | pip, and `load_model`, which warns where yours differ |
# | `conda.yaml` | The same for conda, with the Python version | `--env-manager conda` |
# | `python_env.yaml` | The same for virtualenv or uv | serving, Docker |
# | `input_example.json` | What does a batch look like? | people, tests |
# | `serving_input_example.json` | What does a request to a server look like? | you, with curl |
#
# `MLmodel` is YAML. Ids, clocks and versions are left out here.

# %% name="mlmodel"
mlmodel = yaml.safe_load((folder / "MLmodel").read_text(encoding="utf-8"))
print("flavors:  ", sorted(mlmodel["flavors"]))
print("loader:   ", mlmodel["flavors"]["python_function"]["loader_module"])
print("inputs, which are a", type(mlmodel["signature"]["inputs"]).__name__)
print("   first: ", json.loads(mlmodel["signature"]["inputs"])[0])
print("more keys:", sorted(set(mlmodel) - {"flavors", "signature"}))

# %% [markdown]
# `loader_module` explains pyfunc: MLflow imports this module, calls its `_load_pyfunc`, and gets an object with `predict`.
#
# Nobody has checked whether the requirements are *enough*: this process has all packages anyway. `mlflow.models.predict(uri, input_data, env_manager="uv")` builds the environment afresh and tries. It downloads packages, so let CI do it. A model's page in the UI also shows ready-made code that loads it, for pandas and for Spark.
#
# ### Your turn

# %% exercise="read_mlmodel"
# %%
exercise.check(read_mlmodel)

# %% [markdown]
# ## What changed
#
# {{ what_changed: mlflow-models }}

# %% [markdown]
# ## Take-aways
#
# - A model is weights plus everything between a raw row and an answer. What stays in a notebook is missing in production, and trees answer without complaint.
# - A pickle stores names, cloudpickle stores the code of the notebook alone; neither brings an imported module along.
# - A flavor says how a model is loaded. pyfunc is the one that all have, so that servers, batch jobs and Spark need one `predict`.
# - `MLmodel` is the file to open first: flavors, loader, signature.

# %% [markdown]
# ## In an interview
#
# - *What is in an MLflow Model, and what does pyfunc do with it?* Shown in [The Model directory, file by file](#The-Model-directory,-file-by-file).
# - *A colleague sends you a pickle that scored well. What do you ask for before you put it into production?* Shown in [A model that stayed behind](#A-model-that-stayed-behind).
# - *Would cloudpickle have helped?* Shown in [Why her preparation did not come along](#Why-her-preparation-did-not-come-along).
#
# With the points of a good answer, and more of them: `walkforward practice --lesson 05a` in a terminal.

# %% [markdown]
# ## Up next
#
# You know what a model consists of. In [05b · Models of your own](05b_own_models.ipynb) you write one that carries its preparation and refuses what it can't answer.
