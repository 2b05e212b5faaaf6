# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
#   walkforward:
#     ci:
#       first_month: "2019-09"
#       resamples: 200
# ---

# %% [markdown]
# # 07b · Promotion and lineage
#
# After this lesson you can decide on a challenger by months that chose nothing, carry the decision to the servers, and tell an auditor what is behind the model that answers.

# %% [markdown]
# > **You will learn to** decide on a challenger by whole days and several months · keep two promoters from undoing each other · carry a promotion to a running server with a
# > webhook · follow a version back to its data and code, and a table forward to its models
# >
# > **Before you start** [07a · Registry](07a_registry.ipynb) and [04c · Is it better?](04c_is_it_better.ipynb)
# >
# > **Time** 55 minutes of study; it runs in half a minute
# >
# > **Interview questions it answers** The challenger's error is lower. Do you promote it? · You moved the alias, and production still gives the old answers. Why? ·
# > An auditor points to the model that answers. What can you tell?

# %% [markdown]
# ## Parameters
#
# Three months to train on, three to judge. The last three have *chosen nothing*: no model was trained on them, and no setting was picked by them.

# %% tags=["parameters"]
trips_path = None  # a Parquet or CSV file of your own; None takes the course's trips
max_trips = 40_000  # of a file of your own, drawn at random; more take more time and memory
first_month, last_month = "2019-07", "2019-12"
test_from = "2019-10-01"  # trips that start on or after this day judge the models
resamples = 1000  # bootstrap samples behind each interval

# %%
from course import own_data

if trips_path is not None:  # your file: what the lesson needs of it, or a line that says what it lacks
    trips, test_from = own_data.split_trips(
        trips_path, first_month, last_month, max_trips, test_from=test_from
    )

# %%
import hmac
import sys
from base64 import b64encode
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import requests
from xgboost import XGBRegressor

from course import exercise
from course.data import load_trips, months
from course.exercise import TODO
from course.paths import ROOT
from course.servers import model_server, tracking_server
from walkforward.plots import PALETTE, use_style

sys.path.insert(0, str(ROOT / "src" / "projects" / "trip_tracking"))
import mlflow
import trip_tracking  # features, store and `track`, as built in lesson 03a
from mlflow import MlflowClient
from trip_tracking import FEATURES, boosted

# %% name="trips"
use_style()
if trips_path is None:
    trips = load_trips(months(first_month, last_month))
train, test = trip_tracking.split(trip_tracking.with_features(trips), test_from)
truth, day = test["duration"].to_numpy(), test["pickup_datetime"].dt.date.to_numpy()
month = test["pickup_datetime"].dt.strftime("%b %Y").to_numpy()

# %% [markdown]
# ## The challenger's error is lower
#
# The registry has a champion, version 1. Two challengers follow: deeper trees at a slower rate, then half that rate with twice the trees.

# %% name="versions"
NAME, FILES = "trip-duration", Path("07b_promotion_files")  # everything that this lesson writes
experiment_id = trip_tracking.use_store(FILES, "trip duration")
trip_tracking.set_aside(NAME)  # an earlier run's name: renamed, not deleted
client, CODE = MlflowClient(), trip_tracking.code_tags("07b_promotion_and_lineage.ipynb")
answers = {}
for settings in [(4, 0.3, 100), (5, 0.2, 150), (5, 0.1, 300)]:  # depth, rate, trees
    version, model = trip_tracking.add_version(NAME, *settings, train, test, CODE)
    answers[int(version.version)] = model.predict(test[FEATURES])
client.set_registered_model_alias(NAME, "champion", "1")

# %% name="errors"
print(f"train {len(train):,} trips, test {len(test):,} trips on {len(set(day))} days")
errors = pd.DataFrame({f"version {number}": (truth - yhat) ** 2 for number, yhat in answers.items()})
(errors.groupby(month, sort=False).mean() ** 0.5).round(3)

# %% [markdown]
# Version 2 is lower in each month, version 3 in two of the three, by less than 0.1<!-- given --> minutes. Is that real, or would other trips say the opposite? 04c showed how to ask: draw the trips again and again, score both models on
# the **same** draw, and take the interval of the difference.


# %% name="by_trip"
def interval_by_trip(truth, champion, challenger):
    rng, differences = np.random.default_rng(0), []
    for _ in range(resamples):
        drawn = rng.integers(0, len(truth), len(truth))
        old, new = (np.mean((truth[drawn] - yhat[drawn]) ** 2) ** 0.5 for yhat in (champion, challenger))
        differences.append(new - old)
    return np.quantile(differences, [0.025, 0.975])


first = month == month[0]  # one month
print(
    "version 2 less version 1:", interval_by_trip(truth[first], answers[1][first], answers[2][first]).round(3)
)

# %% [markdown]
# Below zero from end to end. One assumption is left: a draw of single trips counts each trip as independent, but on a rainy day all trips are late together. So draw whole days.
# (Days are then assumed to be independent and alike, which holds within a month better than over a year.)
#
# **Predict first.** Will the interval by days be wider than the one by trips, narrower, or about the same?
#
# ### Your turn

# %% exercise="interval_by_day"

# %%
exercise.check(interval_by_day)

# %% [markdown]
# ## Three months, not one
#
# The next cell is a faster form of your answer: for each resample it draws *how often* each day occurs, and weights the day's sums with that. Each month judges version 2 against version 1, and version 3 against version 2.


# %%
def interval_of_days(rows, champion, challenger):
    """The 95 % interval of the difference in RMSE over these rows, by days: columns of `errors`."""
    by_day = errors[rows].groupby(day[rows]).agg(["sum", "size"])
    n = len(by_day)
    drawn = np.random.default_rng(0).multinomial(n, [1 / n] * n, size=resamples)  # how often each day
    old, new = (
        np.sqrt(drawn @ by_day[one, "sum"] / (drawn @ by_day[one, "size"])) for one in (champion, challenger)
    )
    return np.quantile(new - old, [0.025, 0.975])


# %% name="judged"
pairs = [("version 1", "version 2"), ("version 2", "version 3")]
judged = pd.DataFrame(
    {(pair[1], one): interval_of_days(month == one, *pair) for pair in pairs for one in pd.unique(month)},
    index=["low", "high"],
).T
judged.round(3)

# %%
fig, ax = plt.subplots(figsize=(7, 2.8))
labels = [f"{number[-1]} against {int(number[-1]) - 1}, {one}" for number, one in judged.index]
ax.hlines(labels, judged["low"], judged["high"], color=PALETTE["blue"], linewidth=4)
ax.axvline(0, color="black", linewidth=0.8)
ax.invert_yaxis()
ax.set(xlabel="RMSE less RMSE of the version before (minutes)")
ax.set_title("Version 2 is better in each month, version 3 is undecided")
plt.show()

# %% [markdown]
# *Figure: six intervals; the three of version 2 against 1 lie below zero, the three of version 3 against 2 contain zero.*
#
# October's interval by days is no wider than the one by trips; here it is a little narrower. Both models are wrong about the same rainy days, so the day's luck cancels in the difference. Other data may say otherwise: compare both intervals there.

# %% [markdown]
# Version 2 is better in each of three months that chose nothing. Trained anew for each of nine months (June 2019 to February 2020), it was better in 7<!-- given --> and undecided in 2<!-- given -->.
# Version 3 is *not shown to be better*, which is not *shown to be no better* (04c), and each of its answers needs twice as many trees.
#
# And do not send twenty challengers against one month. A challenger that is no better passes by luck in 2.5<!-- given --> % of cases. If the twenty are independent, at least one
# passes with a chance of 1 − 0.975<!-- given -->²⁰ = 40<!-- given --> %.

# %% name="promotion"
if judged.loc["version 2", "high"].max() < 0:  # each interval as a whole
    client.set_registered_model_alias(NAME, "previous", "1")
    client.set_registered_model_alias(NAME, "champion", "2")
print("champion:", client.get_model_version_by_alias(NAME, "champion").version)

# %% [markdown]
# ## Two people promote at once
#
# Ana and Ben both compared a challenger with version 1: Ana version 2, Ben version 3. Both intervals were below zero. Ana promotes, then Ben.

# %% name="race"
seen_by_ana = seen_by_ben = "1"  # the champion when both compared
client.set_registered_model_alias(NAME, "champion", "2")  # Ana
client.set_registered_model_alias(NAME, "champion", "3")  # Ben
print("champion:", client.get_model_version_by_alias(NAME, "champion").version)

# %% [markdown]
# The last writer wins, and nobody is told. Version 3 has replaced version 2, and Ben never compared the two. MLflow has no call *set this alias if it still points to 1*, so
# look once more before you write:


# %% name="expected"
def promote_if(expected, number):
    current = client.get_model_version_by_alias(NAME, "champion").version
    if int(current) != int(expected):
        return f"refused: compared with version {expected}, the champion is {current}"
    client.set_registered_model_alias(NAME, "champion", number)
    return f"champion is {number}"


client.set_registered_model_alias(NAME, "champion", "1")
print("Ana:", promote_if(seen_by_ana, "2"))
print("Ben:", promote_if(seen_by_ben, "3"))

# %% [markdown]
# Both may still look before either writes. What closes the gap is one promoter, such as a CI job that never runs twice at a time.
#
# Aside: what if the server dies in the middle? The course's `tests/test_registry_races.py` kills it at four moments of `log_model`. The registry then has the whole version or none. The run stays `RUNNING`, which is how you find it,
# and your program may see an error although the version is there: look before you register again. A version's status `READY` does not promise that the files are still there, so load a model once before you promote it.
#
# ## The server does not notice
#
# `mlflow models serve -m models:/trip-duration@champion` answers over HTTP. Start it while version 1 is champion, promote version 2, and ask again.


# %% name="serve"
three = test[FEATURES].head(3)  # three passengers


def ask(server):
    body = {"dataframe_split": three.to_dict("split", index=False)}
    return np.round(
        requests.post(f"{server.uri}/invocations", json=body, timeout=30).json()["predictions"], 1
    )


client.set_registered_model_alias(NAME, "champion", "1")
with model_server(f"models:/{NAME}@champion", FILES / "serving") as server:
    print("champion is 1, the server says", ask(server))
    client.set_registered_model_alias(NAME, "champion", "2")
    print("champion is 2, the server says", ask(server))
print("version 2 itself says         ", mlflow.pyfunc.load_model(f"models:/{NAME}/2").predict(three).round(1))

# %% [markdown]
# The server still answers with version 1, and would do so for months: it resolves the alias once, when it loads the model. An alias moves a *decision*. Somebody has to carry it out: a job that resolves
# the alias, starts servers **by number** (`models:/trip-duration/2`), logs that number with each answer, and stops the old ones.
#
# What starts the job? A **webhook**: the tracking server posts a message to an address of yours whenever an alias is set. The receiver (its HTTP part is `trip_tracking.Receiver`) believes only messages that are signed with a secret
# that both sides know:


# %% name="signature"
SECRET = b"known to both sides"


def signature(headers, body):
    """What MLflow signs: the id of the delivery, its time, and the message."""
    signed = f"{headers['X-MLflow-Delivery-Id']}.{headers['X-MLflow-Timestamp']}.".encode() + body
    return "v1," + b64encode(hmac.digest(SECRET, signed, "sha256")).decode()


receiver = trip_tracking.Receiver(signature)

# %% [markdown]
# MLflow sends only over HTTPS and only to public addresses, so that nobody can make the server call into your network. For a receiver on this machine both guards are switched off.

# %% name="webhook"
LOCAL = {"MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http", "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true"}
store = f"sqlite:///{(FILES / 'mlflow.db').resolve().as_posix()}"  # the same registry, behind a server
with receiver, tracking_server(FILES / "server", backend_store_uri=store, env=LOCAL) as server:
    remote = MlflowClient(server.uri)
    hook = remote.create_webhook(
        "deploy", receiver.address, ["model_version_alias.created"], secret=SECRET.decode()
    )
    remote.set_registered_model_alias(NAME, "champion", "1")  # through the server
    client.set_registered_model_alias(NAME, "champion", "2")  # past it, into the database
    message = receiver.wait()
    forged = requests.post(receiver.address, json={"version": "3"}, timeout=10)
    remote.delete_webhook(hook.webhook_id)

# %% name="heard"
print(f"{message['entity']}.{message['action']}", message["data"])
print("messages:", len(receiver.heard), "· without the signature:", forged.status_code)

# %% [markdown]
# One message for two changes: the server sends it, so a program that writes to the database itself triggers none. The id and the time are signed as well, so the receiver can refuse a message that comes twice or late.
# Other events are `model_version.created` and `model_version_tag.set`, for a job that tests each new version (lesson 08).
# Nor is a message kept: after three repetitions MLflow forgets it. So the deploying job
# also looks at the alias every few minutes. The webhook makes the deployment fast; the look catches the messages that were lost.

# %% [markdown]
# ## The auditor's question
#
# *The model under `champion` answers our passengers. What is behind it?* You have only the alias and the store; the notebook is gone, and nobody remembers. First a colleague's model arrives as a file, is registered and becomes challenger.

# %% name="mailed"
boosted(6, 0.1, 200).fit(train[FEATURES], train["duration"]).save_model(FILES / "mailed.json")
received = XGBRegressor()
received.load_model(FILES / "mailed.json")
with mlflow.start_run(run_name="a file from a colleague") as run:
    mlflow.log_metric("rmse", np.mean((truth - received.predict(test[FEATURES])) ** 2) ** 0.5)
mailed = trip_tracking.register(trip_tracking.keep(received, run, test), NAME)


# %% name="audit"
def audit(alias):
    """What the store knows of the version behind an alias."""
    found = client.get_model_version_by_alias(NAME, alias)
    run = client.get_run(found.run_id)
    tags, params = run.data.tags, run.data.params
    known = {"version": str(found.version)}
    known |= {f"data, {i.tags[0].value}": i.dataset.digest[:8] for i in run.inputs.dataset_inputs}
    known |= {"commit": tags.get("mlflow.source.git.commit"), "code.state": tags.get("code.state")}
    known |= {key: params.get(key) for key in ("depth", "rate", "trees")}
    return pd.Series(known | {"rmse": round(run.data.metrics["rmse"], 3)}, name=alias)


# %% name="report"
client.set_registered_model_alias(NAME, "challenger", mailed.version)
report = pd.concat([audit("champion"), audit("challenger")], axis=1).fillna("—")
for row in ("commit", "code.state"):  # another one on each machine
    report.loc[row] = ["(on record)" if one != "—" else one for one in report.loc[row]]
report

# %% [markdown]
# The champion has data with their digest, the commit and the state of the code, settings and error. If `code.state` says *changed since the commit*, the commit is not the code that ran, and the evidence ends there. The mailed
# model has an error, even a lower one, and dashes where data, code and settings should be. **Registering gives a model an address, not a past.** So it may not become champion: make that a rule of your team.
#
# Two more gaps: whoever may write can edit a tag, so *who approved it* is proved by the log of a CI job and not by the store. And an alias has no history: log each promotion, if you want to know what answered last year.

# %% [markdown]
# ![The page of one version in the MLflow UI: source run, source model, aliases, tags and the schema of its five columns](../images/07b_version.png)
#
# The chain is alias → version → `run_id` → `inputs.dataset_inputs` → digest. Its last link is weak by default. Somebody doubles all durations from row 15,000<!-- given --> on:

# %% name="digests"
table = train[[*FEATURES, "duration"]]
spoiled = table.copy()
spoiled.iloc[15_000:, -1] *= 2
print(
    "MLflow's digest sees it:    ",
    mlflow.data.from_pandas(table).digest != mlflow.data.from_pandas(spoiled).digest,
)
print("a digest of the bytes does: ", trip_tracking.fingerprint(table) != trip_tracking.fingerprint(spoiled))

# %% [markdown]
# MLflow hashes the first 10,000<!-- given --> rows and the number of rows. `track` therefore passes a `SHA-256` of every value as `digest=` (03a). A digest proves which data it was; it does not bring them back: keep the data where
# a name can't be overwritten (06d).
#
# The auditor's second question goes the other way: *this table was corrupt. Which models were trained on it, and do they answer anybody?*
#
# ### Your turn

# %% exercise="trained_on"

# %%
exercise.check(trained_on)

# %% [markdown]
# One trap is in the search: `dataset.digest = '…' and dataset.context = 'training'` also finds a run that was *tested* on the table and trained on another, because each condition may be met by another data set.

# %% [markdown]
# ## Take-aways
#
# - Compare two models on the same rows, take the interval of the difference by days, and let several months that chose nothing decide.
# - An alias moves a decision; a running server does not notice. Deploy a resolved number, log it, and let a webhook start the deployment.
# - Two promoters overwrite each other without a word, so only one job may promote.
# - Registering gives an address, not a past: what the run did not record, no registry can answer.
# - Record a digest of all bytes and the state of the code; MLflow's own digest reads the first 10,000<!-- given --> rows.

# %% [markdown]
# ## In an interview
#
# - *The challenger's RMSE is lower. Do you promote it?* Shown in [Three months, not one](#Three-months,-not-one).
# - *You moved the alias an hour ago and production gives the old answers. Why, and what do you change?* Shown in
#   [The server does not notice](#The-server-does-not-notice).
# - *Two people promote at once. How do you write the function that promotes?* Shown in [Two people promote at once](#Two-people-promote-at-once).
#
# With the points of a good answer, and more of them: `walkforward practice --lesson 07b` in a terminal.
#
# ## Up next
#
# An interval is a thin gate. Chapter 08 builds a better one, and [08a · Code that others can change](08a_code_that_others_can_change.ipynb) begins with what any gate stands on: tests that catch something. Then [09a · Serving](09a_serving.ipynb) puts the champion behind an address.
