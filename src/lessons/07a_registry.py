# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
#   walkforward:
#     ci:
#       first_month: "2019-09"
# ---

# %% [markdown]
# # 07a · Registry
#
# After this lesson you can say which model answered last Tuesday, replace it without touching the program that asks, and take the step back in one call.

# %% [markdown]
# > **You will learn to** give models names, versions and aliases · promote and roll back · do the twelve things that a registry is for · find versions by the error of
# > their model
# >
# > **Before you start** [03a · Tracking](03a_tracking.ipynb) and [05a · Models and flavors](05a_models_and_flavors.ipynb)
# >
# > **Time** 55 minutes of study; it runs in a quarter of a minute
# >
# > **Interview questions it answers** What does a registry give you that a folder of files does not? · Would you promote with stages? · Version 1 is not
# > the version 1 of last year. How can that be?

# %% [markdown]
# ## Parameters
#
# Three months to train on, one to test on.

# %% tags=["parameters"]
trips_path = None  # a Parquet or CSV file of your own; None takes the course's trips
max_trips = 40_000  # of a file of your own, drawn at random; more take more time and memory
first_month, last_month = "2019-07", "2019-10"
test_from = "2019-10-01"  # trips that start on or after this day are the test set

# %%
from course import own_data

if trips_path is not None:  # your file: what the lesson needs of it, or a line that says what it lacks
    trips, test_from = own_data.split_trips(
        trips_path, first_month, last_month, max_trips, test_from=test_from
    )

# %%
import pickle
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import root_mean_squared_error
from xgboost import XGBRegressor

from course import exercise
from course.data import load_trips, months
from course.exercise import TODO
from course.paths import ROOT

sys.path.insert(0, str(ROOT / "src" / "projects" / "trip_tracking"))
import mlflow
import trip_tracking  # features, store and `track`, as built in lesson 03a
from mlflow import MlflowClient
from trip_tracking import FEATURES, boosted, outcome

# %% name="trips"
if trips_path is None:
    trips = load_trips(months(first_month, last_month))
train, test = trip_tracking.split(trip_tracking.with_features(trips), test_from)


def rmse(yhat):
    return root_mean_squared_error(test["duration"], yhat)


print(f"train {len(train):,} trips, test {len(test):,} trips")

# %% [markdown]
# ## Which file answered last Tuesday?
#
# Your team keeps its models on a shared disk. Whoever has a new model writes it there, and the program that tells passengers how long their ride will take
# opens the newest file. Here is one week, replayed.

# %% name="tuesday"
FILES = Path("07a_registry_files")  # everything that this lesson writes
DISK = FILES / "shared_disk"
DISK.mkdir(parents=True, exist_ok=True)
monday = boosted(depth=3, rate=0.3, trees=50).fit(train[FEATURES], train["duration"])
(DISK / "model_final.pkl").write_bytes(pickle.dumps(monday))
complaint = monday.predict(test[FEATURES].head(1))[0]  # the answer of Tuesday
print(f"Tuesday's passenger was told {complaint:.1f} minutes")

# %% name="week"
wednesday = boosted(depth=4, rate=0.3, trees=100).fit(train[FEATURES], train["duration"])
thursday = boosted(depth=4, rate=0.1, trees=100).fit(train[FEATURES], train["duration"])
colleagues_order = ["hour", "weekday", "pickup_location_id", "dropoff_location_id", "trip_distance"]
friday = boosted(depth=4, rate=0.3, trees=100).fit(train[colleagues_order].to_numpy(), train["duration"])
for file_name, model in {"v2": wednesday, "final": thursday, "v2_final": friday}.items():
    (DISK / f"model_{file_name}.pkl").write_bytes(pickle.dumps(model))

# %% [markdown]
# A week later the passenger complains, and you want the model that answered.
#
# **Predict first.** Which of the three files answered on Tuesday, and which of them should answer from now on?

# %% name="files"
rows = {}
for file_name in ("model_v2.pkl", "model_final.pkl", "model_v2_final.pkl"):  # by date
    yhat = pickle.loads((DISK / file_name).read_bytes()).predict(test[FEATURES])
    rows[file_name] = {"rmse": round(rmse(yhat), 2), "gave Tuesday's answer": yhat[0] == complaint}
rows["(mean of training)"] = {"rmse": round(rmse(np.full(len(test), train["duration"].mean())), 2)}
pd.DataFrame(rows).T.fillna("")

# %% [markdown]
# None of them gave Tuesday's answer: that model was overwritten on Thursday by another of the same name. And the newest file, the one in production, misses by
# 14.44<!-- =files[model_v2_final.pkl, rmse] --> minutes, more than the mean of the training trips, at
# 10.48<!-- =files[(mean of training), rmse] -->. Is it a bad model?

# %% name="order"
own_order = test[colleagues_order].to_numpy()
print(f"with its own order of columns: {rmse(friday.predict(own_order)):.2f}")

# %% [markdown]
# It is a good one: 4.84<!-- =order: columns: ([\d.]+) --> minutes. Your colleague trained on a bare array with the columns in another order, and a pickle
# does not say which. XGBoost had no names to compare, so it read miles as hours and answered.
#
# A better file name would not have helped. A file has no history, no signature and no link to its training.
# What is missing is a **registry**: a table that gives every model a name, every state of it a number that is not given twice, and a movable label that says which number is in use.

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
# - A **version** is a number under that name. It points to a logged model; it copies no files.
# - An **alias** is a label on one version. To move it is to decide: to deploy, or to roll back.
#
# These are the twelve operations of a registry; 07b shows serving.
#
# | | operation | in code | in the UI |
# |---|---|---|---|
# | 1 | add | `mlflow.register_model(uri, name)` | the logged model's page, *Register model* |
# | 2 | fetch | `mlflow.pyfunc.load_model("models:/name/1")` | – |
# | 3 | serve | `mlflow models serve -m models:/name@champion` | – |
# | 4 | describe | `client.update_model_version(…)`, `client.set_model_version_tag(…)` | *Description*, *Tags* |
# | 5 | rename | `client.rename_registered_model(old, new)` | – |
# | 6 | use aliases | `client.set_registered_model_alias(name, alias, version)` | *Aliases*, the pencil |
# | 7 | move between stages | history: an alias | the version's page, with *New model registry UI* switched off |
# | 8 | list and search | `client.search_model_versions(filter)` | *Model registry*, its search field |
# | 9 | archive | a tag, and no alias | *Tags* |
# | 10 | register a model saved outside MLflow | load it, `log_model`, register | – |
# | 11 | register what MLflow has no flavor for | `mlflow.pyfunc.log_model(python_model="rule.py")` | – |
# | 12 | delete | `client.delete_model_version(name, "3")`, `client.delete_registered_model(name)` | menu ⋮ |
#
# The registry lives in the tracking server's database, here in an SQLite file; the calls are the same.

# %% name="store"
NAME = "trip-duration"
experiment_id = trip_tracking.use_store(FILES, "trip duration")
trip_tracking.set_aside("taxi-test", NAME)  # an earlier run's names: renamed, not deleted
client = MlflowClient()
CODE = trip_tracking.code_tags("07a_registry.ipynb")

# %% [markdown]
# ## Add and fetch
#
# The first model is the choice of lesson 03a: depth 4, learning rate 0.3<!-- given -->. You log every attempt and register the few that somebody might use.
# (`log_model(…, registered_model_name=…)` does both at once.)


# %% name="add"
def trained(depth, rate, trees):
    """Train, record and log a model; return what MLflow knows of it."""
    model, settings = boosted(depth, rate, trees), {"depth": depth, "rate": rate, "trees": trees}
    run = trip_tracking.track(f"depth {depth}, rate {rate}", model, train, test, tags=CODE, **settings)
    return trip_tracking.keep(model, run, test)


first_info = trained(depth=4, rate=0.3, trees=100)
first = trip_tracking.register(first_info, "taxi-test")  # mlflow.register_model, without its messages
print(first.name, first.version, first.status)

fetched = mlflow.pyfunc.load_model("models:/taxi-test/1")
print(f"fetched by name and number: {rmse(fetched.predict(test[FEATURES])):.2f}")
print(f"columns in another order:   {rmse(fetched.predict(test[colleagues_order])):.2f}")

# %% [markdown]
# The last line is Friday's accident, prevented: the signature knows the columns by name and puts them in order before the model sees them.
#
# In the UI (`mlflow ui --backend-store-uri sqlite:///07a_registry_files/mlflow.db --port 8080`) the page of a logged model has a button for it:
#
# ![The page of a logged model in the MLflow UI, with the button Register model](../images/07a_add.png)
#
# ## Describe and rename
#
# A description is for people, a tag for searches. The name has both, and so has each version.

# %% name="describe"
client.update_registered_model("taxi-test", description="Minutes from pick-up to drop-off, known at pick-up.")
client.set_registered_model_tag("taxi-test", "owner", "pricing")
client.update_model_version("taxi-test", "1", description="Lesson 03a's choice: shallow trees, fast rate.")
client.set_model_version_tag("taxi-test", "1", "status", "candidate")

# %% name="rename"
client.rename_registered_model("taxi-test", NAME)  # outcome: "done", or the words of MLflow's refusal
print("new name:", outcome(mlflow.pyfunc.load_model, f"models:/{NAME}/1"))
print("old name:", outcome(mlflow.pyfunc.load_model, "models:/taxi-test/1"))
print("the model's own note:", client.get_logged_model(first_info.model_id).tags["mlflow.modelVersions"])

# %% [markdown]
# Versions, tags and aliases move along. Programs that ask for the old name do not, nor does the note on the logged model. Rename on the first day or not at all. Later, copy: with
# `client.copy_model_version("models:/old@champion", "new")` both names answer while the programs are changed.

# %% [markdown]
# ## Aliases
#
# Version 1 becomes the **champion**, the version that answers. The program that asks does not know its number.


# %% name="alias"
def quote(rows):
    """The program that asks: it knows a name and an alias."""
    model = mlflow.pyfunc.load_model(f"models:/{NAME}@champion")
    return model.predict(rows[FEATURES]).round(1)


client.set_registered_model_alias(NAME, "champion", "1")
three = test.head(3)  # three passengers
print("version", client.get_model_version_by_alias(NAME, "champion").version, "says", quote(three))
for label in ("v2", "latest", "the best"):
    print(f"{label}:", outcome(client.set_registered_model_alias, NAME, label, "1"))

# %% [markdown]
# `@latest` always exists: it is the highest number. Do not deploy by it, because then whoever registers a model deploys it, as on the shared disk.
# An alias points to one version at a time; a version may carry several.
#
# ![The page of the registered model in the MLflow UI: a table of versions with tags and aliases](../images/07a_model.png)
#
# The pencil beside an alias opens a dialog to move it by hand:
#
# ![The dialog for the aliases of one version in the MLflow UI](../images/07a_alias.png)

# %% [markdown]
# ## Promote and roll back
#
# A **challenger** arrives: deeper trees, a slower rate, half as many again.

# %% name="promotion"
second = trip_tracking.register(trained(depth=5, rate=0.2, trees=150), NAME)
client.set_model_version_tag(NAME, second.version, "status", "candidate")
for one in (first, second):
    print(f"version {one.version}: {client.get_run(one.run_id).data.metrics['rmse']:.3f} minutes")
client.set_registered_model_alias(NAME, "previous", "1")  # the way back, before you leave
client.set_registered_model_alias(NAME, "champion", second.version)
print("version", client.get_model_version_by_alias(NAME, "champion").version, "says", quote(three))

# %% [markdown]
# A promotion is one call; `quote` was not changed. An hour later the complaints come in. The rollback is the same call, with the number that `previous` remembers:

# %% name="rollback"
back = client.get_model_version_by_alias(NAME, "previous").version
client.set_registered_model_alias(NAME, "champion", back)
print("version", client.get_model_version_by_alias(NAME, "champion").version, "says", quote(three))

# %% [markdown]
# No file was copied, nothing was trained again: a rollback changes one row of a table, if you wrote down the way back before you left.
#
# Was that gain enough to promote? An interval of the difference in error says so (04c, and 07b for these two models). In your function it is given.
#
# ### Your turn

# %% exercise="promote"

# %%
exercise.check(promote)

# %% [markdown]
# ## Stages, as history
#
# Most answers on the web promote with *stages*: `None`, `Staging`, `Production`, `Archived`. The calls still exist:

# %% name="stages" tags=["history"]
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    for number in ("1", "2"):
        client.transition_model_version_stage(NAME, number, "Production")
    found = client.get_latest_versions(NAME, ["Production"])
    for number in ("1", "2"):
        client.transition_model_version_stage(NAME, number, "None")
print(said[0].category.__name__, "since", str(said[0].message).split("since ")[1].split(". Model")[0])
print("two versions were in Production; the latest was", [one.version for one in found])

# %% [markdown]
# Two versions were in production at once, and the higher number answered. Stages mixed three questions; each has its own tool now:
#
# | question | with stages | today |
# |---|---|---|
# | which one answers? | the latest in `Production` | alias `champion`: on one version only |
# | has it been tested, is it retired? | `Staging`, `Archived` | a tag: `status = candidate`, `archived` |
# | may this environment use it? | nothing: one list for all | a name for each environment, `staging.trips`, `prod.trips`, and `copy_model_version` |
#
# ![The menu of stages in the old form of the MLflow UI](../images/07a_stages.png)

# %% [markdown]
# ## List, search, archive
#
# To archive a version is to keep it and say *do not use this any more*: with a tag, and without aliases. A third model arrives and is archived.

# %% name="archive"
third = trip_tracking.register(trained(depth=5, rate=0.1, trees=300), NAME)
client.set_model_version_tag(NAME, third.version, "status", "archived")

for one in client.search_model_versions(f"name = '{NAME}'", order_by=["version_number ASC"]):
    aliases = client.get_model_version(NAME, one.version).aliases  # a search leaves them out
    print(one.version, one.tags["status"], *sorted(aliases))
print("candidates:", len(client.search_model_versions(f"name = '{NAME}' and tags.status = 'candidate'")))

# %% [markdown]
# ![The list of registered models in the MLflow UI, filtered by the tag owner](../images/07a_models.png)
#
# The error is not in the registry, and a search of versions refuses a filter on `metrics.rmse`. The *model* has the error. Search the models:

# %% name="by_error"
worst = max(client.get_run(one.run_id).data.metrics["rmse"] for one in (first, second, third))
better = mlflow.search_logged_models(
    [experiment_id], filter_string=f"metrics.rmse < {worst}", order_by=[{"field_name": "metrics.rmse"}]
)
better["rmse"] = [metrics[0].value for metrics in better["metrics"]]
version_of = {one.source: one.version for one in client.search_model_versions(f"name = '{NAME}'")}
better["version"] = ("models:/" + better["model_id"]).map(version_of)
better[["version", "rmse"]].round(3)

# %% [markdown]
# `version.source` leads from a version to its model (`models:/<model id>`), and `version.run_id` to its run.
#
# One trap: SQLite gives version numbers as int, a tracking server as text, and as text `"10" < "9"` is true. Turn them into numbers before you compare.
#
# ### Your turn

# %% exercise="shortlist"

# %%
exercise.check(shortlist)

# %% [markdown]
# ## Models born elsewhere
#
# A colleague without MLflow sends you an XGBoost model as a JSON file. Load it, **score it yourself**, log it with what you know.

# %% name="outside"
SENT = FILES / "from_a_colleague.json"
boosted(6, 0.1, 200).fit(train[FEATURES], train["duration"]).save_model(SENT)  # on another machine, in truth

received = XGBRegressor()
received.load_model(SENT)
with mlflow.start_run(run_name="a file from a colleague") as run:
    mlflow.log_metric("rmse", rmse(received.predict(test[FEATURES])))
imported = trip_tracking.register(trip_tracking.keep(received, run, test), NAME)
client.set_model_version_tag(NAME, imported.version, "status", "candidate")
print(f"version {imported.version}: {client.get_run(imported.run_id).data.metrics['rmse']:.3f} minutes")

# %% [markdown]
# The lowest error so far. But the store knows neither its data nor its code: 07b comes back to this version.
#
# Now something for which MLflow has no flavor: a straight line, minutes to start plus minutes per mile. Written as a file of code (*models from code*), it becomes a
# model like any other.

# %% name="rule_version"
RULE = Path(trip_tracking.__file__).with_name("minutes_per_mile.py")
print(RULE.read_text(encoding="utf-8").split("set_model\n\n\n")[1])

np.save(FILES / "line.npy", np.polyfit(train["trip_distance"], train["duration"], 1))
with mlflow.start_run(run_name="minutes per mile"):
    info = mlflow.pyfunc.log_model(
        name="model",
        python_model=str(RULE),
        artifacts={"line": str(FILES / "line.npy")},
        input_example=test[FEATURES].head(3),
        pip_requirements=[f"numpy=={np.__version__}", f"pandas=={pd.__version__}"],
    )
rule = trip_tracking.register(info, NAME)
client.set_registered_model_alias(NAME, "fallback", rule.version)
fallback = mlflow.pyfunc.load_model(f"models:/{NAME}@fallback")
print(f"version {rule.version}: {rmse(fallback.predict(test[FEATURES])):.2f} minutes")

# %% [markdown]
# 6.86<!-- =rule_version: ([\d.]+) minutes --> minutes is no rival. But this model needs no XGBoost and is better than the mean: a fallback for the hour in
# which the champion can't answer, with the same `predict`.

# %% [markdown]
# ## Delete
#
# Deleting a version can't be undone.
#
# **Predict first.** What goes with it: its alias, its run, its files? And which number does the next version get?

# %% name="delete"
client.set_registered_model_alias(NAME, "shadow", third.version)
client.delete_model_version(NAME, third.version)
print("by alias: ", outcome(mlflow.pyfunc.load_model, f"models:/{NAME}@shadow"))
print("by number:", outcome(client.get_model_version, NAME, third.version))

model = client.get_logged_model(third.source.removeprefix("models:/"))
print("run:      ", client.get_run(third.run_id).info.lifecycle_stage)
print("files:    ", "MLmodel" in [file.path for file in client.list_logged_model_artifacts(model.model_id)])
print("registered once more, it is version", trip_tracking.register(model, NAME).version)

# %% [markdown]
# Its aliases go with it; who asks for one fails at the next load. The run, the model and its files stay. To free the disk, delete run and model, then run `mlflow gc`.
#
# Numbers are not given twice, with one exception:

# %% name="delete_name"
print([trip_tracking.register(first_info, "scratch").version for _ in range(3)])
client.delete_registered_model("scratch")
print([trip_tracking.register(first_info, "scratch").version])
client.delete_registered_model("scratch")

# %% [markdown]
# Who deletes a *name* resets its numbers: version 1 in last year's log is then another model than version 1 today. Rename a name, as this notebook does when it runs again, and do not delete it.

# %% [markdown]
# ## When a registry is not worth it
#
# When the job that uses a model also trains it, nothing is handed over: log the run and skip the version. A registry is worth it as soon as the one who trains is not the one who deploys.
#
# It judges nothing: it moves `champion` to a model that is worse than the mean. The judgement is yours, by an interval (07b) and a row of tests (lesson 08).

# %% [markdown]
# ## What changed
#
# {{ what_changed: mlflow-registry }}

# %% [markdown]
# ## Take-aways
#
# - A file has a date. A version has a number, a signature, and a link to its model and its run.
# - Deploy by alias, never by `latest`. Moving the alias is the promotion, moving it back is the rollback; write down the way back first.
# - Stages are history: an alias says which version answers, a tag says what state it is in, a name says which environment it is for.
# - The error belongs to the model, not to the version: `mlflow.search_logged_models` filters by it.
# - Deleting a version is final, deleting a name gives its numbers out again. Archive.

# %% [markdown]
# ## In an interview
#
# - *What does a registry give you that a folder with good file names does not?* Shown in
#   [Which file answered last Tuesday?](#Which-file-answered-last-Tuesday?).
# - *A tutorial promotes with `transition_model_version_stage`. Would you?* Shown in [Stages, as history](#Stages,-as-history).
# - *Somebody wants to delete all versions that are not live. What do you answer?* Shown in [Delete](#Delete).
#
# With the points of a good answer, and more of them: `walkforward practice --lesson 07a` in a terminal.
#
# ## Up next
#
# [07b · Promotion and lineage](07b_promotion_and_lineage.ipynb): is the challenger better, how does the decision reach the servers, and what can you tell an auditor?
