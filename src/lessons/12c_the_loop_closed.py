# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
#   walkforward:
#     ci:
#       last_month: "2020-08"
# ---

# %% [markdown]
# # 12c · The loop, closed
#
# After this lesson you can build a loop that retrains, judges and releases by itself, survives a crash at any step, and leaves a diary that explains each of its decisions.

# %% [markdown]
# > **You will learn to** split continuous deployment into steps that can be repeated · take a crashed loop up again · let a canary decide on live requests · decide when the loop must wait for a person · read an incident from a diary
# >
# > **Before you start** [08c · The gate](08c_the_gate.ipynb) · [09e · Failing gracefully](09e_failing_gracefully.ipynb) · [11d · Drift detectors](11d_detectors.ipynb)
# >
# > **Time** 50 minutes of study; it runs in under a minute
# >
# > **Interview questions it answers** Your retraining job died half-way. What now? · How do you automate retraining without losing control? · Which model answered on that day, and why?

# %% [markdown]
# Trip durations, 2020. The first champion learnt from October to December 2019. Each month the loop looks, and acts when it must.

# %% tags=["parameters"]
last_month = "2020-11"  # whose trips start the last round
incident = "2020-07"  # the canary of this round is asked in kilometres

# %% name="trips"
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd

from course import exercise
from course.data import load_trips, months, prepare_trips
from course.exercise import TODO
from projects.release_gate import gate, registry
from projects.release_gate.release import Release, build

FILES = Path("12c_the_loop_closed_files")  # everything that this lesson writes
trips = prepare_trips(load_trips(months("2019-10", "2020-12")))
trips["month"] = trips["pickup_datetime"].dt.strftime("%Y-%m")
trips = trips[trips["month"].between("2019-10", "2020-12")]

# %% [markdown]
# ## Started again
#
# Continuous deployment has three parts: a trigger, a retraining, a deployment. A colleague has put the last two into one script. It dies after the registration, because the machine is rebooted, and the scheduler starts it again.

# %% name="script"
from lessons.loop.loop import Killed, forget

registry.use_store(FILES / "store")
client = mlflow.MlflowClient()


def script(name, rows, dies=False):
    """Train, register, promote: what most loops look like at first."""
    version = registry.register(name, build(FILES / name, rows))
    if dies:
        raise Killed
    client.set_registered_model_alias(name, "champion", version)


# %% name="twice"
forget(FILES / "script", "script")  # what an earlier run of this notebook has left
april = trips[trips["month"] == "2020-04"]
try:
    script("script", april, dies=True)
except Killed:
    script("script", april)
held = client.search_model_versions("name = 'script'")
print(f"{len(held)} versions of {len({one.tags['digest'] for one in held})} model, no word about the first")

# %% [markdown]
# It has done everything twice: two versions of one model, and nothing says why. Had it died after the alias, it would have released once more. Had it died in the middle of writing the model, the next step might have read half a file.
#
# ## Six steps and a journal
#
# ```mermaid
# flowchart LR
#   subgraph trigger
#     A[watch]
#   end
#   subgraph retraining
#     B[retrain] --> C[judge]
#   end
#   subgraph deployment
#     D[register] --> E[canary] --> F[promote<br>or roll back]
#   end
#   A -- alarm --> B
#   C -- all yes --> D
#   A -. quiet .-> J[(journal)]
#   C -. a no .-> J
# ```
#
# | step | does | why it may be done twice |
# |---|---|---|
# | **watch** | compares the month with the champion's rows (11d) | it only reads |
# | **retrain** | learns from the last three months, this one up to its 14th day; writes a release | in a folder that gets its name when it is whole |
# | **judge** | asks the gate (08c) about the trips from the 15th on | same release, same answers |
# | **register** | makes a version, sets the alias `canary` | looks for a version with this digest first |
# | **canary** | answers a fifth of the next ten days' users | the users are drawn by a hash, so they are the same |
# | **promote** | sets `champion`, or withdraws the canary | does nothing if it is set already |
#
# A step that can be repeated without harm is **idempotent**. Around them stands a **journal**: a file that gets a line when a step is done. What runs them is short:

# %% name="run"
import inspect

from lessons.loop.loop import STEPS, Loop, begin, diary, lived, rounds

print(inspect.getsource(Loop.run))

# %% [markdown]
# Between *done* and *written* the process can die, so no journal can promise *exactly once*. It promises *at least once*, and idempotent steps make that enough.
#
# The trigger looks each month at the data. A webhook (07b) may call it earlier; a message that is lost does no harm, because the loop looks anyway.
#
# ### Your turn

# %% exercise="take_up"

# %%
exercise.check(take_up)

# %% [markdown]
# ## A year
#
# Now 2020, month by month, with the gate of 08c as it is. Labels are complete when a month is over, and the next month's first ten days are the canary's.
#
# **Predict first.** In March the city shuts down. In which months does the loop release a new model?


# %% name="year"
def year(name, before=lambda loop, month: None):
    """Live through the months with a loop of its own."""
    forget(FILES / name, name)
    loop = begin(FILES / name, trips, name, "2020-01")
    for month in months("2020-01", last_month):
        before(loop, month)
        loop.run(month)
    return loop


# %% name="strict"
strict = year("strict")
rounds(strict, last_month)

# %% [markdown]
# March, with ten days of lockdown, raises no alarm. April starts a round, as it should, and version 2 takes over. Then the loop stands still: each month it raises an alarm, retrains, and the gate says no, from May to September. (RMSE is in minutes, over the whole month, of the champion at its end.) What the gate refuses is `mph`, the median speed in the training rows. Its limits, 8.5<!-- given --> to 11<!-- given --> miles an hour, come from quiet months. A gate that knows only quiet months blocks the retraining when it is needed most.
#
# ## A broken pipeline, or another world?
#
# Kilometres instead of miles would move `mph` as well. The gate can't tell, so it asks a person. What would you look at? Between the same two zones a street is as long as before. So compare each pair of zones with itself in January:


# %% name="pairs"
def medians(rows):
    pairs = rows[rows["trip_distance"] > 0].groupby(["pickup_location_id", "dropoff_location_id"])
    return pairs[["trip_distance", "duration"]].median()[pairs.size() >= 3]


january, may = (trips[trips["month"] == month] for month in ("2020-01", "2020-05"))
rows = {"May": may, "January in kilometres": january.assign(trip_distance=1.609 * january["trip_distance"])}
ratios = {name: (medians(one) / medians(january)).median() for name, one in rows.items()}
pd.DataFrame(ratios).T.set_axis(["miles", "minutes"], axis=1).round(2)

# %% [markdown]
# In May the pairs are as long as in January, 1.00<!-- =pairs[May, miles] -->, and take 0.72<!-- =pairs[May, minutes] --> of the time: empty streets. The pipeline is sound.
#
# ## The year again
#
# So the person on call raises the limit to 18<!-- given --> miles an hour, for all to see: a pull request on the gate's table, and a line in the journal. The loop goes on with June's round. And one incident is planted: while July's new model is a canary, its feature service sends kilometres.

# %% name="reviewed"
RAISED = gate.TABLE | {"data": {"limit": gate.TABLE["data"]["limit"] | {"mph": [8.5, 18.0]}}}
WHY = {"who": "the person on call", "why": "mph to 18; pairs of zones as long as in January"}


# %% name="incident"
def in_kilometres(release, rows):
    """What is answered while the new release, and only that, gets kilometres."""
    factor = 1.609 if release.folder.name == incident else 1.0
    return release.answers(rows.assign(trip_distance=factor * rows["trip_distance"]))


# %% name="person"
def reviewed(loop, month):
    if month == "2020-06":
        loop.journal.write("2020-05", "limit", WHY)
        loop.table = RAISED
    loop.answers = in_kilometres if month == incident else Release.answers


# %% name="again"
watched = year("watched", before=reviewed)
rounds(watched, last_month)

# %% [markdown]
# June's round releases version 3. July's model passes the gate as well, is a canary in the first days of August, and is withdrawn at once; version 3 goes on, and August's round tries again. Was it all worth it? Score whoever was champion on each day, against the first champion, who never changes.

# %% name="worth"
late = trips[trips["month"].between("2020-05", "2020-12")].reset_index(drop=True)
said = {"never": watched.answers_of("first", late), "gate as it was": lived(strict, late)}
said["limit raised"] = lived(watched, late)
errors = pd.DataFrame({name: late["duration"] - minutes for name, minutes in said.items()})
(errors**2).groupby(late["month"]).mean().pow(0.5).T.round(2)

# %% name="sure"
from projects.release_gate.questions import day_sums, interval


def difference(new, old, rows):
    """The 95 % interval of RMSE(new) − RMSE(old), whole days drawn."""
    pair = errors.loc[rows, [new, old]].set_axis(["new", "old"], axis=1)
    low, high = interval(day_sums(pair.assign(day=late["pickup_datetime"].dt.normalize())), level=0.95)
    return f"{low:+.2f} to {high:+.2f} minutes"


# %% name="compared"
august = late["month"] == "2020-08"
print("loop less never:            ", difference("gate as it was", "never", late.index))
print("raised less gate as it was: ", difference("limit raised", "gate as it was", late.index))
print("the same, in August:        ", difference("limit raised", "gate as it was", august))
july = late["duration"] - watched.answers_of(incident, late)
print(f"July's model in August:      RMSE {(july[august] ** 2).mean() ** 0.5:.2f}")

# %% [markdown]
# Against *never*, the loop with the gate as it was saves 1.00<!-- =compared: loop less never: .* to -(\S+) --> to 1.16<!-- =compared: loop less never: +-(\S+) to --> minutes. Raising the limit brings nothing sure: −0.06<!-- =compared: raised less gate as it was: +(\S+) to --> to 0.04<!-- =compared: raised less gate as it was: .* to \+(\S+) --> minutes, in one year with one incident. Why so little?
#
# - Version 3 learnt from empty streets. It passed the gate and the canary, and in August, with more traffic (the training rows' `mph` had fallen from 14.86<!-- =strict: 2020-06 .*mph ([\d.]+) --> to 12.66<!-- =strict: 2020-08 .*mph ([\d.]+) -->), it was worse than version 2 by 0.16<!-- =compared: in August: +\+(\S+) to --> to 0.44<!-- =compared: in August: .* to \+(\S+) --> minutes. Neither the gate nor the canary can vouch for the month after next. Keep the predecessor in the shadow and compare every month.
# - July's model would have had 4.71<!-- =compared: July's model in August: +RMSE (\S+) --> in August, instead of 5.23<!-- =worth[limit raised, 2020-08] -->. The rollback was right, and it cost a month: repair the service and start the *canary* again, not the next round.
#
# In November the champion of the raised limit has 4.27<!-- =worth[limit raised, 2020-11] --> against 4.61<!-- =worth[gate as it was, 2020-11] -->.

# %% [markdown]
# ## Killed twelve times
#
# Does the journal keep its promise? Let April's round die before its first step, start it again, let it die after that step and before its line is written, and so on: twelve deaths. The thirteenth start must find what the undisturbed loop has found.

# %% name="killed"
PLACES = [(step, when) for step in STEPS for when in ("before", "after")]


def dies(place):
    def kill(where):
        if where == " ".join(reversed(place)):
            raise Killed

    return kill


# %% name="deaths"
forget(FILES / "killed", "killed")
known = {}
for place in [*PLACES, ("never", "")]:
    loop = begin(FILES / "killed", trips, "killed", "2020-01", kill=dies(place))
    try:
        loop.run("2020-04")
    except Killed:
        known[place] = len(loop.journal.lines())
table = pd.Series(known).unstack()[["before", "after"]].loc[list(STEPS)]
table.rename_axis("lines in the journal when it died …")

# %% name="same"
of_april = [one for one in watched.journal.lines() if one["month"] == "2020-04"]
print("the same lines as undisturbed:", loop.journal.lines() == of_april)
print("versions:", len(client.search_model_versions("name = 'killed'")))
print("aliases:", dict(client.get_registered_model("killed").aliases))

# %% [markdown]
# Before a step and after it the journal has the same lines: what was done is not written yet, so the next start does it again, and finds it there. The end is the same, with two versions and no third. (Here an exception stands for the power cut. A test of the course sends a real SIGKILL.)
#
# ## A canary on real servers
#
# So far the canary asked the releases in this process. Here both versions answer over HTTP, from two servers (`walkforward serve`, 09d), and the loop's step is asked again.

# %% name="served"
import requests

from course.servers import fast_server

servers = {}


# %% name="http"
def over_http(release, rows):
    body = {"dataframe_split": release.code.features(rows).to_dict("split", index=False)}
    uri = f"{servers[release.folder.name].uri}/invocations"
    return np.array(requests.post(uri, json=body, timeout=30).json()["predictions"])


# %% name="canary"
loop.answers, some = over_http, loop.of("2020-05").head(500)
versions = [fast_server(f"models:/killed/{number}", FILES / f"server {number}") for number in (1, 2)]
with versions[0] as servers["first"], versions[1] as servers["2020-04"]:
    print("over HTTP:     ", loop.canary("2020-04"))
    new = Release(FILES / "killed" / "2020-04")
    apart = np.abs(over_http(new, some) - new.answers(some)).max()
print("in the journal:", loop.journal.find("2020-04", "canary"))
print(f"largest difference of 500 answers: {apart:.3f} minutes")

# %% [markdown]
# The servers were started **by number**, so an alias that moves changes nothing under way (07b). The router's part, which user gets the canary, is a hash of the user and the round (09e), so that somebody who asks twice gets the same version. The course's trips have no users; each trip counts as one.
#
# ## The diary
#
# The journal is written for the machine. For people there is a view of it, here from June to September. After *passed* stands the gate's interval: RMSE of the new model minus the champion's.

# %% name="diary"
lines = pd.DataFrame(diary(watched)).set_index("on")
print(lines.loc["2020-06-01":"2020-09-30"].to_string(header=False, justify="left"))

# %% [markdown]
# An incident review asks what answered, since when, on which evidence, and who changed a limit. Here it finds that version 4 passed the gate with a clear gain, that 50<!-- =diary: canary +4 +worse after (\d+) requests --> requests showed it to be worse, and that the champion never changed. It does not find why the service sent kilometres: for that the log of the answers (11a) must hold the version and the inputs.
#
# ### Your turn

# %% exercise="answered"

# %%
exercise.check(answered)

# %% [markdown]
# ## What stays with people
#
# - **The limits.** The loop may ask to change one, and must not do it: a loop that widens its own gate has none.
# - **The stop.** One switch that stops releases and leaves the answers on. Whoever is on call may pull it without asking.
# - **Feedback.** If users act on the answers, the next training rows are of the model's own making. Keep a small share of requests that the model does not touch.
#
# And when the world is quiet, the best loop does nothing: from January to March it looked three times and left the champion alone.

# %% [markdown]
# ## Take-aways
#
# - Trigger, retraining and deployment are steps of their own, with a journal between them.
# - A process dies between *done* and *written*. Make each step idempotent: whole or not there, looked for before it is made.
# - A gate from quiet months blocks the retraining in a shock. It should: a person tells a broken pipeline from another world, and the change of a limit is on record.
# - The gate judges the past, the canary the present; the rollback is an alias that never moved.
# - A diary says what answered on a day, and on what evidence.

# %% [markdown]
# ## In an interview
#
# - *Your retraining job died half-way. What now?* Shown in [Six steps and a journal](#Six-steps-and-a-journal) and [Killed twelve times](#Killed-twelve-times).
# - *How do you automate retraining without losing control?* Shown in [A year](#A-year), [The year again](#The-year-again) and [What stays with people](#What-stays-with-people).
# - *Which model answered on that day, and why?* Shown in [The diary](#The-diary).
#
# With the points of a good answer, and more of them: `walkforward practice --lesson 12c` in a terminal.
#
# ## Up next
#
# The trips end here. [13a · Time series](13a_time_series.ipynb) begins with a question that no trip asks: what comes next?
