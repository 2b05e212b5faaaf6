# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
#   walkforward:
#     ci:
#       resamples: 200
# ---

# %% [markdown]
# # 07 · Registry
#
# After this lesson you can say which model answered last Tuesday and what it was made of, replace it with a better one without touching
# the program that asks, prove that the new one is better, and take the step back in one call.

# %% [markdown]
# > **You will learn to** give models names, versions and aliases · do the twelve things that a registry is for · decide on a
# > challenger with a paired interval · promote, roll back and serve by alias · answer an auditor from the store alone
# >
# > **Before you start** [03 · Tracking](03_tracking.ipynb) and [05 · Models and flavors](05_models_and_flavors.ipynb)
# >
# > **Time** 60 minutes of study; it runs in half a minute
# >
# > **Interview questions it answers** What does a registry give you that a folder of files does not? · The challenger's error is
# > lower. Do you promote it? · You moved the alias, and production still gives the old answers. Why?

# %% [markdown]
# ## Parameters
#
# Three months to train on, one to test on, and the number of resamples behind each interval.

# %% tags=["parameters"]
trips_path = None  # a Parquet or CSV file of your own; None takes the course's trips
max_trips = 40_000  # of a file of your own, drawn at random; more take more time and memory
first_month, last_month = "2019-07", "2019-10"
test_from = "2019-10-01"  # trips that start on or after this day are the test set
resamples = 1000  # bootstrap samples behind each interval

# %%
from course import own_data

if trips_path is not None:  # your file: what the lesson needs of it, or a line that says what it lacks
    trips, test_from = own_data.split_trips(
        trips_path, first_month, last_month, max_trips, test_from=test_from
    )

# %%
import contextlib
import hashlib
import io
import logging
import os
import pickle
import subprocess
import warnings
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import matplotlib.pyplot as plt
import mlflow
import numpy as np
import pandas as pd
import requests
import xgboost
from mlflow import MlflowClient

# %%
from mlflow.data.sources import LocalArtifactDatasetSource
from mlflow.exceptions import MlflowException
from xgboost import XGBRegressor

from course import exercise
from course.data import load_trips, months, prepare_trips
from course.exercise import TODO
from course.paths import ROOT
from course.servers import model_server
from walkforward.plots import PALETTE, use_style

use_style()

# %% name="trips"
if trips_path is None:
    trips = load_trips(months(first_month, last_month))
trips = prepare_trips(trips)
trips["hour"] = trips["pickup_datetime"].dt.hour
trips["weekday"] = trips["pickup_datetime"].dt.dayofweek
FEATURES = ["trip_distance", "pickup_location_id", "dropoff_location_id", "hour", "weekday"]
trips[FEATURES] = trips[FEATURES].astype(float)

train, test = trips[trips["pickup_datetime"] < test_from], trips[trips["pickup_datetime"] >= test_from]
truth = test["duration"].to_numpy()  # minutes


def rmse(yhat):
    return np.sqrt(np.mean((truth - yhat) ** 2))


print(f"train {len(train):,} trips, test {len(test):,} trips")

# %% [markdown]
# ## Which file answered last Tuesday?
#
# Your team keeps its models on a shared disk. Here is one week of November 2019, replayed: whoever has a new model writes it there, and
# the program that tells passengers how long their ride will take opens the newest file.


# %% name="week"
def fit(depth, rate, trees):
    model = XGBRegressor(max_depth=depth, learning_rate=rate, n_estimators=trees, n_jobs=1)
    return model.fit(train[FEATURES], train["duration"])


FILES = Path("07_registry_files")  # everything that this lesson writes
DISK = FILES / "shared_disk"
DISK.mkdir(parents=True, exist_ok=True)


def put(model, file_name, day):
    """Write a model to the shared disk, as if on that day of November 2019."""
    (DISK / file_name).write_bytes(pickle.dumps(model))
    when = datetime(2019, 11, day, tzinfo=UTC).timestamp()
    os.utime(DISK / file_name, (when, when))


# %% name="tuesday"
put(fit(depth=3, rate=0.3, trees=50), "model_final.pkl", day=4)
with (DISK / "model_final.pkl").open("rb") as file:
    complaint = float(pickle.load(file).predict(test[FEATURES].head(1))[0])  # the 5th, a Tuesday

put(fit(depth=4, rate=0.3, trees=100), "model_v2.pkl", day=6)
put(fit(depth=4, rate=0.1, trees=100), "model_final.pkl", day=7)  # the same name again

colleagues_order = ["hour", "weekday", "pickup_location_id", "dropoff_location_id", "trip_distance"]
colleagues_model = XGBRegressor(max_depth=4, learning_rate=0.3, n_estimators=100, n_jobs=1)
colleagues_model.fit(train[colleagues_order].to_numpy(), train["duration"])
put(colleagues_model, "model_v2_final.pkl", day=8)
print(f"Tuesday's passenger was told {complaint:.1f} minutes")

# %% [markdown]
# On Monday the passenger complains, and you want the model that answered. You know the trip, the answer and the day. Before you run the cell:
# which of the three files would you put your money on, and which of them should answer from now on?

# %% name="files"
rows = {}
for path in sorted(DISK.glob("*.pkl"), key=lambda path: path.stat().st_mtime):
    yhat = pickle.loads(path.read_bytes()).predict(test[FEATURES])
    changed = datetime.fromtimestamp(path.stat().st_mtime, UTC).strftime("%a %d")
    same = f"{yhat[0]:.1f}" == f"{complaint:.1f}"
    rows[path.name] = {"changed": changed, "rmse": round(float(rmse(yhat)), 2), "told Tuesday's answer": same}
rows["(mean of training)"] = {"rmse": round(float(rmse(train["duration"].mean())), 2)}
pd.DataFrame(rows).T.fillna("")

# %% [markdown]
# None of them. Tuesday's model was overwritten on Thursday by another of the same name. And the newest file, the one in production, misses by
# 14.44<!-- =files[model_v2_final.pkl, rmse] --> minutes, worse than the naive answer, the mean of the training trips, at
# 10.48<!-- =files[(mean of training), rmse] -->. Is it a bad model?

# %% name="order"
print(
    f"with its own order of columns: {rmse(colleagues_model.predict(test[colleagues_order].to_numpy())):.2f}"
)

# %% [markdown]
# It is a good one: 4.84<!-- =order: columns: ([\d.]+) --> minutes. Your colleague trained on a bare array with the columns in another order, and a pickle
# does not say which. XGBoost had no names to compare, so it took miles for hours and answered.
#
# A better file name would not have helped. A file has no history, no signature, no link to its training, and no way to say *this one
# answers now* except its date. The missing piece is a **registry**: a table, kept by a server or a database, that gives every model a name, every
# state of it a number that is never given twice, and a movable label that says which number is in use.

# %% [markdown]
# ## A name, numbers, labels
#
# ```mermaid
# flowchart LR
#     client["the program that asks<br/>models:/trip-duration@champion"] --> champion
#     subgraph name ["registered model: trip-duration"]
#         champion(["alias champion"]) --> v2["version 2"]
#         challenger(["alias challenger"]) --> v3["version 3"]
#         v1["version 1"]
#     end
#     v2 --> files["model: files,<br/>signature, requirements"]
#     v2 --> run["run: settings, error, commit"] --> data["data set:<br/>name, digest"]
# ```
#
# - A **registered model** is a name under which you collect all attempts at one task.
# - A **version** is a number under that name. It points to a model that some run has logged; it copies no files.
# - An **alias** is a label on one version. Moving it is the decision to deploy, or to roll back.
#
# A registry has twelve chores. This is the map; each row is shown below. A dash means: in code only.
#
# | | operation | in code | in the UI |
# |---|---|---|---|
# | 1 | add | `mlflow.register_model(uri, name)` | the logged model's page, *Register model* |
# | 2 | fetch | `mlflow.pyfunc.load_model("models:/name/1")` | – |
# | 3 | serve | `mlflow models serve -m models:/name@champion` | – |
# | 4 | describe | `client.update_model_version(…)`, `client.set_model_version_tag(…)` | *Description*, *Tags* |
# | 5 | rename | `client.rename_registered_model(old, new)` | – |
# | 6 | move between stages | history: an alias | the version's page, with *New model registry UI* switched off |
# | 7 | list and search | `client.search_model_versions(filter)` | *Model registry*, its search field |
# | 8 | archive | a tag, and no alias | *Tags* |
# | 9 | delete | `client.delete_model_version(name, "3")`, `client.delete_registered_model(name)` | menu ⋮ |
# | 10 | register a model saved outside MLflow | load it, `log_model`, register | – |
# | 11 | register what MLflow has no flavor for | `mlflow.pyfunc.log_model(python_model="rule.py")` | – |
# | 12 | use aliases | `client.set_registered_model_alias(name, alias, version)` | *Aliases*, the pencil |
#
# The registry lives in the tracking server's database. This notebook writes to an SQLite file, as in lesson 03; with a server the calls are the same.

# %% name="store"
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"  # MLflow would report its use to its makers
os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"  # no link to the UI after each run
os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
logging.getLogger("mlflow").setLevel(logging.WARNING)  # progress notes carry clock times

mlflow.set_tracking_uri(f"sqlite:///{(FILES / 'mlflow.db').as_posix()}")
now = datetime.now().strftime("%Y-%m-%d %H:%M:%S.%f")
files_of_models = (FILES / "artifacts").resolve().as_uri()
experiment_id = mlflow.create_experiment(f"trip duration · {now}", artifact_location=files_of_models)
mlflow.set_experiment(experiment_id=experiment_id)

client = MlflowClient()
for left in client.search_registered_models():  # from the last time that this notebook ran
    client.delete_registered_model(left.name)

# %% [markdown]
# A version is worth as much as the run behind it. So first the function of lesson 03, which records what an auditor will ask for: data, code, settings,
# error, and the model with its signature and requirements.

# %% name="track"
commit = subprocess.run(["git", "-C", str(ROOT), "rev-parse", "HEAD"], capture_output=True, text=True)
CODE = {
    "mlflow.source.name": "07_registry.ipynb",
    "mlflow.source.git.commit": commit.stdout.strip() or "unknown",
}
source = LocalArtifactDatasetSource(str(trips_path or "data/trips"))
table = {"name": "trips", "source": source, "targets": "duration"}
train_data = mlflow.data.from_pandas(train[[*FEATURES, "duration"]], **table)
test_data = mlflow.data.from_pandas(test[[*FEATURES, "duration"]], **table)
KEPT = {"name": "model", "input_example": test[FEATURES].head(3)}
XGBOOST = [f"xgboost=={xgboost.__version__}"]


def track(**settings):
    """Train, score and log one model; return what MLflow knows of it."""
    with mlflow.start_run(run_name=", ".join(f"{key} {value}" for key, value in settings.items())):
        mlflow.set_tags(CODE)
        mlflow.log_inputs([train_data, test_data], ["training", "test"], [None, None])
        mlflow.log_params(settings)
        model = fit(**settings)
        mlflow.log_metric("rmse", rmse(model.predict(test[FEATURES])))
        return mlflow.xgboost.log_model(model, pip_requirements=XGBOOST, **KEPT)


# %% [markdown]
# ## Add and fetch
#
# The first model is lesson 03's choice: depth 4, learning rate 0.3<!-- given -->. Logging and registering are two steps on purpose. You log every attempt, and register
# the few that somebody might use. (`log_model(…, registered_model_name=…)` does both at once.)


# %% name="add"
def register(info, name):
    with contextlib.redirect_stderr(io.StringIO()):  # it reports its success where errors go
        return mlflow.register_model(info.model_uri, name)


first_info = track(depth=4, rate=0.3, trees=100)
first = register(first_info, "taxi-test")
print(first.name, first.version, first.status)

fetched = mlflow.pyfunc.load_model("models:/taxi-test/1")
print(f"fetched by name and number: {rmse(fetched.predict(test[FEATURES])):.2f}")
print(f"columns in another order:   {rmse(fetched.predict(test[colleagues_order])):.2f}")

# %% [markdown]
# The last line is Friday's accident, prevented: the signature knows the columns by name and puts them in order before the model sees them.
#
# The UI can add as well. `mlflow ui --backend-store-uri sqlite:///07_registry_files/mlflow.db --port 8080` shows this notebook's store; on the page of a
# logged model is the button *Register model*, and below it stand the versions that it has become:
#
# ![The page of a logged model in the MLflow UI: its error, its source run, the version that it is registered as, and the button Register model](../images/07_add.png)
#
# *Datasets used: None* is no accident of the picture. The data sets hang on the run, one click further.
#
# ## Describe and rename
#
# A description is for people, a tag is for searches. Both exist twice, for the name and for each version. Then give the name a better one.

# %% name="describe"
client.update_registered_model("taxi-test", description="Minutes from pick-up to drop-off, known at pick-up.")
client.set_registered_model_tag("taxi-test", "owner", "pricing")
client.update_model_version("taxi-test", "1", description="Lesson 03's choice: shallow trees, fast rate.")
client.set_model_version_tag("taxi-test", "1", "status", "candidate")


def outcome(action, *arguments):
    """Run something that may be refused, and say so in MLflow's words."""
    try:
        action(*arguments)
        return "done"
    except MlflowException as refusal:
        return str(refusal)


NAME = "trip-duration"
client.rename_registered_model("taxi-test", NAME)
print("new name:", outcome(mlflow.pyfunc.load_model, f"models:/{NAME}/1"))
print("old name:", outcome(mlflow.pyfunc.load_model, "models:/taxi-test/1"))
print("the model's own note:", client.get_logged_model(first_info.model_id).tags["mlflow.modelVersions"])

# %% [markdown]
# Versions, tags and aliases move along. Two things do not: every program that asks for the old name, and the note on the logged model that says where it
# is registered. Rename on the first day or not at all. After that, copy: `client.copy_model_version("models:/old@champion", "new")` lets both names
# answer while programs are changed.

# %% [markdown]
# ## Aliases
#
# Version 1 becomes the **champion**, the version that answers. The program that asks never learns its number.


# %% name="alias"
def quote(rows):
    """The program that asks: it knows a name and a label."""
    return mlflow.pyfunc.load_model(f"models:/{NAME}@champion").predict(rows[FEATURES])


three = test.head(3)  # three passengers
client.set_registered_model_alias(NAME, "champion", "1")
print("version", client.get_model_version_by_alias(NAME, "champion").version, "says", quote(three).round(1))
for label in ("v2", "latest", "the best"):
    print(f"{label}:", outcome(client.set_registered_model_alias, NAME, label, "1"))

# %% [markdown]
# `@latest` always exists: it is the highest number. Do not deploy by it, because then whoever registers a model deploys it, which is the shared disk
# again. An alias sits on one version at a time; a version may carry several. Upper and lower case differ: `Champion` is another alias.
#
# ![The page of the registered model trip-duration in the MLflow UI: its description and tags, a table of versions with tags and aliases, and the menu with Delete](../images/07_model.png)
#
# This is how it will look at the end of the notebook. The pencil beside an alias opens the dialog in which you move it by hand:
#
# ![The dialog for the aliases of one version in the MLflow UI](../images/07_alias.png)

# %% [markdown]
# ## Is the challenger better?
#
# A **challenger** arrives: deeper trees, a slower rate, half as many again. It is registered and labelled, and nobody's answer has changed.

# %% name="challenger"
second = register(track(depth=5, rate=0.2, trees=150), NAME)
client.set_model_version_tag(NAME, second.version, "status", "candidate")
client.set_registered_model_alias(NAME, "challenger", second.version)

answers = {
    label: mlflow.pyfunc.load_model(f"models:/{NAME}@{label}").predict(test[FEATURES])
    for label in ("champion", "challenger")
}
for label, yhat in answers.items():
    print(f"{label:10} {rmse(yhat):.3f} minutes")

# %% [markdown]
# Three seconds better on a trip. Is it real, or would another month of trips say the opposite? A **bootstrap** asks the trips that you have: draw as many trips as
# there are, with replacement, score again, and repeat. The middle 95<!-- given --> % of the scores is an interval for the error. The usual way draws for each model
# by itself, compares the two intervals, and calls the models equal if they overlap.


# %% name="separate"
def resampled(yhat, seed):
    """The RMSE of `resamples` bootstrap samples of the test trips; the same seed draws the same trips."""
    rng, squared = np.random.default_rng(seed), (truth - yhat) ** 2
    draws = (rng.integers(0, len(truth), len(truth)) for _ in range(resamples))
    return np.sqrt([squared[rows].mean() for rows in draws])


def ends(scores):
    return np.quantile(scores, [0.025, 0.975])


alone = {label: resampled(yhat, seed) for seed, (label, yhat) in enumerate(answers.items())}
for label, scores in alone.items():
    print(f"{label:10} {ends(scores)[0]:.2f} to {ends(scores)[1]:.2f}")

# %% [markdown]
# They overlap almost completely, and so the challenger would be sent home. Now change one thing: score both models on the *same* draws.

# %% name="paired"
apart = alone["challenger"] - alone["champion"]  # two draws
together = {label: resampled(yhat, seed=0) for label, yhat in answers.items()}
paired = together["challenger"] - together["champion"]  # one draw for both
for label, scores in {"drawn separately": apart, "drawn together": paired}.items():
    low, high = ends(scores)
    print(f"{label:17} {low:+.3f} to {high:+.3f}, width {high - low:.3f}")
width_ratio = np.ptp(ends(apart)) / np.ptp(ends(paired))
errors = [truth - yhat for yhat in answers.values()]
print(f"{width_ratio:.1f} times as wide; the errors correlate by {np.corrcoef(errors)[0, 1]:.3f}")

# %%
fig, ax = plt.subplots()
bins = np.linspace(-0.4, 0.3, 71)
ax.hist(apart, bins, color=PALETTE["grey"], alpha=0.6, label="drawn separately")
ax.hist(paired, bins, color=PALETTE["blue"], label="drawn together")
ax.axvline(0, color="black", linewidth=0.8)
ax.set(xlabel="RMSE of challenger − RMSE of champion (minutes)", ylabel="resamples")
ax.set_title("The same trips, the same models: only pairs show the difference")
ax.legend()
plt.show()

# %% [markdown]
# *Figure: two histograms of the difference in RMSE; drawn separately it spreads widely on both sides of zero, drawn together it is narrow and lies wholly below zero.*
#
# Same trips, same models, and the first interval is 6.8<!-- =paired: ([\d.]+) times --> times as wide. Its width is mostly luck of the draw: a sample with many trips to the airport
# is hard for both models. Their errors correlate by 0.981<!-- =paired: by ([\d.]+) -->, so in a difference on the same trips that luck cancels. What is left
# is below zero from end to end: the challenger is better. Whether two intervals overlap does not answer the question; ask for the interval *of
# the difference*.
#
# One assumption is left. Drawing trips one by one treats them as independent, but trips of one rainy day are late together, and a month of
# days is less than ten thousand trips. The honest draw is of whole days. When your function passes, run it on `answers` and see
# whether the promotion survives.
#
# ### Your turn

# %% exercise="interval_by_day"

# %%
exercise.check(interval_by_day)

# %% [markdown]
# ## Promote and roll back
#
# A promotion is one call. `quote` is not changed, not restarted, not told.

# %% name="promotion"
client.set_registered_model_alias(NAME, "previous", "1")  # the way back, before you leave
if ends(paired)[1] < 0:  # the whole interval
    client.set_registered_model_alias(NAME, "champion", second.version)
print("version", client.get_model_version_by_alias(NAME, "champion").version, "says", quote(three).round(1))

# %% [markdown]
# The next challenger learns at half the rate with twice the trees. Its error is lower again.

# %% name="third"
third = register(track(depth=5, rate=0.1, trees=300), NAME)
client.set_model_version_tag(NAME, third.version, "status", "candidate")
client.set_registered_model_alias(NAME, "challenger", third.version)
challenger = mlflow.pyfunc.load_model(f"models:/{NAME}@challenger").predict(test[FEATURES])
champion = quote(test)
difference = resampled(challenger, seed=0) - resampled(champion, seed=0)
low, high = ends(difference)
print(f"champion {rmse(champion):.3f}, challenger {rmse(challenger):.3f}")
print(f"difference {rmse(challenger) - rmse(champion):+.3f}, from {low:+.3f} to {high:+.3f}")
print("promoted" if high < 0 else "not promoted: the interval contains zero")

# %% [markdown]
# Better on average, and not promoted. It would double the trees, and so the cost of every answer, for a gain that may not exist. Note what the refusal says: *not shown
# to be better*, which is not *shown to be no better*. If the gain would matter, get more test trips. And do not send twenty challengers against the same month: one in forty that is no better
# passes by luck, and the winner's error on that month flatters it. Keep a later month for the final word.
#
# An hour after a promotion the complaints come in. The rollback is the same call, with the number that `previous` remembers:

# %% name="rollback"
back = client.get_model_version_by_alias(NAME, "previous").version
client.set_registered_model_alias(NAME, "champion", back)
print("version", client.get_model_version_by_alias(NAME, "champion").version, "says", quote(three).round(1))

# %% [markdown]
# No file was copied, and nothing was trained again. A rollback is as fast as a row in a table, if you wrote down where to go back to *before* you left.
#
# ### Your turn

# %% exercise="promote"

# %%
exercise.check(promote)

# %% [markdown]
# ## Serve by alias
#
# Other programs ask over HTTP. The command takes the same address:
#
# ```
# mlflow models serve -m models:/trip-duration@champion --env-manager local --port 8080
# ```
#
# This notebook runs it on a free port. Start it while version 1 is champion, promote version 2 under its feet, and ask again.


# %% name="serve"
def ask(server):
    body = {"dataframe_split": three[FEATURES].to_dict("split", index=False)}
    answer = requests.post(f"{server.uri}/invocations", json=body, timeout=30)
    return np.round(answer.json()["predictions"], 1)


with model_server(f"models:/{NAME}@champion", FILES / "serving") as server:
    print("champion is 1, the server says", ask(server))
    client.set_registered_model_alias(NAME, "champion", second.version)
    print("champion is 2, the server says", ask(server))
    print("                   quote says ", quote(three).round(1))

# %% [markdown]
# The server still answers with version 1, and would do so for months. It resolves the alias once, when it loads the model. `quote` was right because it loads at each call, which is
# far too slow for a server. And nothing in the server's answer tells you which version spoke.
#
# So an alias moves a *decision*. Somebody has to carry it out, in one of two ways:
#
# 1. **Deploy a number.** A job resolves the alias, starts servers with `models:/trip-duration/2`, writes that number into the log of each, and stops the old ones.
#    All servers change together, and the number is on record. This is the better way for online serving ([09 · Serving](09_serving.ipynb)).
# 2. **Look before each batch.** A program that runs for long asks the registry for the number, and loads only when it has changed:


# %% name="following"
class Following:
    """Answers with the champion of the moment, and says which version that was."""

    version = None

    def predict(self, rows):
        current = client.get_model_version_by_alias(NAME, "champion").version
        if current != self.version:
            self.model = mlflow.pyfunc.load_model(f"models:/{NAME}/{current}")
            self.version = current
        return self.version, self.model.predict(rows[FEATURES]).round(1)


worker = Following()
for number in ("1", "2"):
    client.set_registered_model_alias(NAME, "champion", number)
    print("version {} says {}".format(*worker.predict(three)))

# %% [markdown]
# It costs one question to the registry for each batch, and when the registry is down the answer is an exception: keep the loaded model in that case. It loads
# *by number*, not by alias, so that the label can't move between the two lines.

# %% [markdown]
# ## Stages, as history
#
# Most answers on the web promote with *stages*. A version was in one of four: `None`, `Staging`, `Production`, `Archived`. The calls still exist. Here is what MLflow
# says to them today:

# %% name="stages" tags=["history"]
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    for number in ("1", "2"):
        client.transition_model_version_stage(NAME, number, "Production")
    found = client.get_latest_versions(NAME, ["Production"])
print(said[0].category.__name__, "since", str(said[0].message).split("since ")[1].split(". Model")[0])
print(str(said[0].message).split(". ")[1])
print("two versions are in Production; asked for the latest, it says", [one.version for one in found])

with warnings.catch_warnings(record=True):
    for number in ("1", "2"):
        client.transition_model_version_stage(NAME, number, "None")

# %% [markdown]
# Look at the last line. Two versions in production at once, and which one answers is decided by the higher number. Stages mixed three questions, and each has its own
# tool now:
#
# | question | with stages | today |
# |---|---|---|
# | which one answers? | the latest in `Production` | alias `champion`: on one version only |
# | has it been tested, is it retired? | `Staging`, `Archived` | a tag: `status = candidate`, `archived`, or whatever your process needs |
# | may this environment use it? | nothing: one list for all | a name for each environment: `staging.trips`, `prod.trips`, and `copy_model_version` between them, *Promote model* in the UI |
#
# ![The page of one version in the old form of the MLflow UI: a menu moves it to Staging, Production or Archived](../images/07_stages.png)

# %% [markdown]
# ## Archive, list and search
#
# To archive is to say *do not use this any more* and keep it. A tag says so, and the alias goes. Then list what there is.

# %% name="archive"
client.set_model_version_tag(NAME, third.version, "status", "archived")
client.delete_registered_model_alias(NAME, "challenger")


def listing(filter_string):
    rows = {}
    for one in client.search_model_versions(filter_string, order_by=["version_number ASC"]):
        run = client.get_run(one.run_id)
        aliases = ", ".join(sorted(client.get_model_version(one.name, one.version).aliases))
        error = round(run.data.metrics["rmse"], 3)
        columns = {"made by": run.info.run_name, "status": one.tags["status"], "aliases": aliases}
        rows[int(one.version)] = {**columns, "rmse": error}
    return pd.DataFrame(rows).T


print("names of pricing:", [one.name for one in client.search_registered_models("tags.owner = 'pricing'")])
print("candidates:", len(client.search_model_versions(f"name = '{NAME}' and tags.status = 'candidate'")))
listing(f"name = '{NAME}'")

# %% [markdown]
# The error is not in the registry. A version has tags, a description and a pointer to its run; a filter on `metrics.rmse` is refused, so search the versions and ask their
# runs.
#
# ![The list of registered models in the MLflow UI, filtered by the tag owner, with latest version, aliases and tags](../images/07_models.png)
#
# One trap: SQLite gives version numbers as int, a tracking server gives the same numbers as text. `"10" < "9"` is true, so turn them into numbers before you sort or compare.
#
# ### Your turn

# %% exercise="shortlist"

# %%
exercise.check(shortlist)

# %% [markdown]
# ## Models born elsewhere
#
# A colleague without MLflow sends you an XGBoost model as a JSON file. You can register it: load it, **score it yourself**, log it with what you know.

# %% name="outside"
SENT = FILES / "from_a_colleague.json"
fit(depth=6, rate=0.1, trees=200).save_model(SENT)  # done on another machine, in truth

received = XGBRegressor()
received.load_model(SENT)
with mlflow.start_run(run_name="import of a file"):
    fingerprint = hashlib.sha256(SENT.read_bytes()).hexdigest()
    mlflow.set_tags({"origin": "a colleague, by mail", "origin.sha256": fingerprint})
    mlflow.log_input(test_data, context="test")
    mlflow.log_metric("rmse", rmse(received.predict(test[FEATURES])))
    imported = register(mlflow.xgboost.log_model(received, pip_requirements=XGBOOST, **KEPT), NAME)
client.set_model_version_tag(NAME, imported.version, "status", "candidate")
print(f"version {imported.version}: {client.get_run(imported.run_id).data.metrics['rmse']:.3f} minutes")

# %% [markdown]
# A low error. Remember this version; the auditor will come back to it.
#
# Now something for which MLflow has no flavor: a table with minutes per mile for each hour, and a line of Python. Written as a file of code (*models from code*), it becomes a
# model like any other.

# %% name="rule"
RULE = FILES / "minutes_per_mile.py"
RULE.write_text("""\
import mlflow
import numpy as np
import pandas as pd
from mlflow.models import set_model


class MinutesPerMile(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        self.pace = np.load(context.artifacts["pace"])  # 24 rows: minutes per mile, minutes to start

    def predict(self, context, model_input: pd.DataFrame, params=None) -> np.ndarray:
        hour = model_input["hour"].to_numpy().astype(int)
        per_mile, start = self.pace[hour].T
        return start + per_mile * model_input["trip_distance"].to_numpy()


set_model(MinutesPerMile())
""")
by_hour = [train[train["hour"] == hour] for hour in range(24)]
by_hour = [one if one["trip_distance"].nunique() > 2 else train for one in by_hour]  # an hour without trips
np.save(FILES / "pace.npy", [np.polyfit(one["trip_distance"], one["duration"], 1) for one in by_hour])

# %% name="rule_version"
with mlflow.start_run(run_name="minutes per mile"):
    mlflow.set_tags(CODE)
    mlflow.log_inputs([train_data, test_data], ["training", "test"], [None, None])
    parts = {"python_model": str(RULE), "artifacts": {"pace": str(FILES / "pace.npy")}}
    NUMPY = [f"{name}=={version(name)}" for name in ("numpy", "pandas")]
    info = mlflow.pyfunc.log_model(**parts, pip_requirements=NUMPY, **KEPT)
    mlflow.log_metric("rmse", rmse(mlflow.pyfunc.load_model(info.model_uri).predict(test[FEATURES])))
rule = register(info, NAME)
client.set_model_version_tag(NAME, rule.version, "status", "fallback")
client.set_registered_model_alias(NAME, "fallback", rule.version)
print(f"version {rule.version}: {client.get_run(rule.run_id).data.metrics['rmse']:.2f} minutes")

# %% [markdown]
# With 6.51<!-- =rule_version: ([\d.]+) minutes --> minutes it is no rival. But it needs no XGBoost, it can be explained in a sentence, and it is better than the mean: a fallback for the hour in
# which the champion can't answer, under the same name and with the same `predict`.

# %% [markdown]
# ## The auditor's question
#
# *This label answers our passengers. What is behind it?* The question is answered from the store alone, with nothing but the alias in hand: no memory, no colleague, no notebook.


# %% name="audit"
def audit(reference):
    """What the store knows of `name@alias`: version, run, data, code, settings, error and environment."""
    name, alias = reference.split("@")
    found = client.get_model_version_by_alias(name, alias)
    run = client.get_run(found.run_id)
    data = {
        f"data, {used.tags[0].value}": f"{used.dataset.name}, digest {used.dataset.digest}"
        for used in run.inputs.dataset_inputs
    }
    settings = ", ".join(f"{key} {value}" for key, value in sorted(run.data.params.items()))
    requirements = mlflow.artifacts.load_text(f"models:/{name}/{found.version}/requirements.txt")
    return pd.Series(
        {"version": found.version, "run": run.info.run_id, **data}
        | {"code": run.data.tags.get("mlflow.source.git.commit"), "settings": settings or None}
        | {"rmse": round(run.data.metrics["rmse"], 3), "environment": ", ".join(requirements.split())},
        name=alias,
    )


# %% name="report"
client.set_registered_model_alias(NAME, "challenger", imported.version)
labels = ("champion", "challenger", "fallback")
report = pd.concat([audit(f"{NAME}@{alias}") for alias in labels], axis=1)
shown = report.fillna("—").astype(str)
ids = shown.loc[["run", "code"]]
shown.loc[["run", "code"]] = ids.where(ids == "—", "(on record)")  # others on each machine
shown

# %% [markdown]
# The champion is complete: data with its digest, commit, settings, error, environment. The colleague's model has an error and an environment, and a dash where the training data, the code and the settings
# should be. **Registering gives a model an address, not a past.** What the run did not record, no registry can answer. Decide beforehand whether such a version may
# become champion; here, it may not.
#
# The chain is: alias → version → `run_id` → `inputs.dataset_inputs` → digest. What is not in it: `version.model_id` is empty in this store (take it from `version.source`, which reads
# `models:/<model id>`, or `models:/<name>/<number>` in a copy), and tags can be edited by whoever may write, as lesson 03 showed.
#
# ![The page of one version in the MLflow UI: source run, source model, aliases, tags and the schema of its five columns](../images/07_version.png)
#
# The auditor has a second question, the other way round: *this table was corrupt, which models have eaten from it, and do they answer anybody?*
#
# ### Your turn

# %% exercise="trained_on"

# %%
exercise.check(trained_on)

# %% [markdown]
# ## Delete
#
# Deleting a version can't be undone. Watch what goes along, what stays, and which number the next version gets.

# %% name="delete"
client.set_registered_model_alias(NAME, "shadow", third.version)
client.delete_model_version(NAME, third.version)
print("by alias: ", outcome(mlflow.pyfunc.load_model, f"models:/{NAME}@shadow"))
print("by number:", outcome(client.get_model_version, NAME, third.version))

model_id = third.source.split("/")[-1]
files = [file.path for file in client.list_logged_model_artifacts(model_id)]
print("run:      ", client.get_run(third.run_id).info.lifecycle_stage)
print("files:    ", "MLmodel" in files)
again = register(client.get_logged_model(model_id), NAME)
print("registered once more, it is version", again.version)

# %% [markdown]
# Its aliases go with it, without a question, and a program that asks for one fails at its next load. The run, the model and its files stay, and may be registered again
# under a new number. To free the disk, delete run and model, then run `mlflow gc`.
#
# Numbers are not given twice, with one exception:

# %% name="delete_name"
print([register(first_info, "scratch").version for _ in range(3)])
client.delete_registered_model("scratch")
print([register(first_info, "scratch").version])
client.delete_registered_model("scratch")

# %% [markdown]
# Who deletes a *name* resets its numbers. Version 1 in last year's log is then another model than version 1 today. Archive names, don't delete them.

# %% [markdown]
# ## Two people promote at once
#
# Ana and Ben each have a challenger. Both compare it with version 1, both find theirs better, and both promote. Ben's is the model that you refused when version 2 was the
# champion.

# %% name="race"
client.set_registered_model_alias(NAME, "champion", "1")
seen_by_ana = seen_by_ben = client.get_model_version_by_alias(NAME, "champion").version  # both look
client.set_registered_model_alias(NAME, "champion", "2")  # Ana promotes
client.set_registered_model_alias(NAME, "champion", again.version)  # Ben promotes
print("champion:", client.get_model_version_by_alias(NAME, "champion").version)
print(f"Ben's proof holds against version {seen_by_ben}, and he has replaced version 2")

# %% [markdown]
# The last writer wins, and nobody is told. The champion is now a version that was never compared with the one it replaced. MLflow has no call *set this alias if it still points to 1*, so
# your code has to look once more before it writes:


# %% name="expected"
def promote_if(expected, number):
    current = client.get_model_version_by_alias(NAME, "champion").version
    if int(current) != int(expected):
        return f"refused: compared with version {expected}, the champion is {current}"
    client.set_registered_model_alias(NAME, "champion", number)
    return f"champion is {number}"


client.set_registered_model_alias(NAME, "champion", "1")
print("Ana:", promote_if(seen_by_ana, "2"))
print("Ben:", promote_if(seen_by_ben, again.version))

# %% [markdown]
# That narrows the gap to milliseconds and does not close it: both may look before either writes. What closes it is to have one promoter, such as a CI job of which only one runs at a time.
#
# The course's tests (`tests/test_registry_races.py`) do this with two processes on one tracking server. No alias is lost, an alias never points nowhere, and of two writers on one alias the
# last one wins. When both set an alias *for the first time*, one of them may get a status 400<!-- given --> (`UNIQUE constraint failed`): ask again, and it goes through.
#
# ## The server dies in the middle
#
# `log_model` with registration is a dozen requests: the model is announced, its files go up one by one, the model is marked as ready, and only then is the version written, in one transaction. The same
# tests kill the server with SIGKILL at four moments and start it again on the same store. **The registry holds the whole version or none, never half of one.** What is left lying around differs:
#
# | killed | version | what is left |
# |---|---|---|
# | during the upload | none | a model `PENDING`, some of its files; never half a file under its name |
# | before the version is written | none | a complete model, and perhaps a name without versions |
# | while it is written | one or the other | as in the row above or below |
# | after it is written | whole, it loads | nothing is broken, **although your program saw an error** |
#
# In every case the run stays `RUNNING` for ever: that is how you find them. The consequence for a retry: look before you register again, or the same model gets two numbers. MLflow's own client retries too, and
# if an answer is lost on the way back, the server does the work twice. Two versions with one `source` are the trace of that.
#
# The status `READY` promises less than it sounds. Delete a file from the artifact store, and the version is still `READY`; only loading tells. Load the model once before you promote it.

# %% [markdown]
# ## When a registry is not worth it
#
# - **Alone, one model, a batch at night.** The run has data, commit and error already; a folder named after its id answers Tuesday's question.
# - **The model is retrained in the job that uses it.** Nothing is handed over. Log the run, skip the version.
# - **It is worth it** from the second person, the second model or the first rollback at night: whenever the one who trains is not the one who deploys.
# - **It is not enough** where a law asks for approval by name. An open registry records no reliable *who* (lesson 03); let a CI job with a review be the only one that writes aliases.
# - **It judges nothing.** It will move `champion` to a model that is worse than the mean. The judgement is yours: an interval here, a row of tests in lesson 08.

# %% [markdown]
# ## What changed
#
# {{ what_changed: mlflow-registry }}

# %% [markdown]
# ## Take-aways
#
# - A file has a date; a version has a number, a signature, and a run that knows data, code and settings. Registering gives an address, not a past.
# - Deploy by alias, never by `latest`: moving the label is the promotion, moving it back is the rollback.
# - Compare two models on the same rows and take the interval of the difference. Whether two intervals overlap is the wrong question.
# - A running server does not notice a moved alias. Deploy a resolved number, and log it.
# - Two promoters overwrite each other without a word, so let one job promote; a killed server leaves a whole version or none.
#
# ## In an interview
#
# - *The challenger's RMSE is lower. Do you promote it?* Shown in [Is the challenger better?](#Is-the-challenger-better?) and
#   [Promote and roll back](#Promote-and-roll-back).
# - *An auditor points to the model in production. What can you tell, and from where?* Shown in [The auditor's question](#The-auditor's-question).
# - *You moved the alias an hour ago and production gives the old answers. Why, and what do you change?* Shown in [Serve by alias](#Serve-by-alias).
#
# With the points of a good answer, and more of them: `walkforward practice --lesson 07` in a terminal.
#
# ## Up next
#
# One interval on one month is a thin gate. In 08 · Tests that gate a release a challenger has to answer a row of yes/no questions, by slice and by direction, and is shown being
# refused. Then [09 · Serving](09_serving.ipynb) puts the champion behind an address.
