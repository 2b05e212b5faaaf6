# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
#   walkforward:
#     ci:
#       years: 40
# ---

# %% [markdown]
# # 17a · One flow
#
# After this lesson you can turn a script of the month into a flow that may die at any line and be started again, and say of each fault whether it is repeated, refused, or wakes a person.

# %% [markdown]
# > **You will learn to** see what a second start does wrong · repair it by five habits · sort faults by who deals with them · judge an engine by a step that fails · schedule months, and run missed ones
# >
# > **Before you start** [08c · The gate](08c_the_gate.ipynb) · [12c · The loop closed](12c_the_loop_closed.ipynb): the journal
# >
# > **Time** 60 minutes of study; it runs in 40 seconds
# >
# > **Interview questions it answers** Your job skips what exists. Why is the model trained on half a month? · Which faults do you repeat, and who is woken? · Why an orchestrator, and when is cron enough?

# %% [markdown]
# First see how the obvious script of a month breaks. Trips that can't be right are *set aside*.

# %% tags=["parameters"]
share = 10  # every tenth trip of a month is used
years = 200  # of nights that are simulated

# %%
import inspect
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import requests
from mlflow.environment_variables import MLFLOW_HTTP_REQUEST_MAX_RETRIES

from course import exercise
from course.data import load_ridership, load_trips, months
from course.exercise import TODO
from lessons.one_flow.engine import by_metaflow
from lessons.one_flow.kills import Killed, after_a_kill, begin, dies_at, ends, log_in
from projects.capstone import loop, steps, trips
from projects.capstone.command import REVIEW, following, quiet
from projects.capstone.schedule import cron_job
from projects.capstone.state import STEPS, CapstoneError, Settings, State
from projects.release_gate.release import digest
from walkforward.prediction_log import PredictionLog

quiet()  # no progress bars of libraries

# %% name="april"
scratch = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
folder = Path(scratch.name)


def few(month):
    return load_trips(month).iloc[::share].reset_index(drop=True)


april, aside = trips.divided(trips.checked(few("2020-04"), "2020-04"), "2020-04")
print(f"April 2020: {len(april)} trips are taken, {len(aside)} set aside")

# %% [markdown]
# ## A script that is started again
#
# A colleague's script of the month takes the trips in, learns the usual minutes a mile (the *pace*), logs an answer (pace times distance) for each trip, and registers the pace as a model. `client` is MLflow's. At each `kill` the machine may be rebooted (an exception stands for it).

# %% name="script"
client, half = steps.use_store(begin(folder / "scripts")), len(april) // 2


def usual_pace(rows):
    return (rows["duration"] / rows["trip_distance"])[rows["trip_distance"] > 0].median()


def script(at, name, kill):
    if not (at / "taken.csv").exists():  # so that nothing is done twice
        april[:half].to_csv(at / "taken.csv")
        kill("half a file")
        april[half:].to_csv(at / "taken.csv", mode="a", header=False)
    taken = pd.read_csv(at / "taken.csv", index_col=0)
    pace = usual_pace(taken)
    (pace * taken["trip_distance"]).to_csv(at / "answers.csv", mode="a", header=False)
    kill("answers logged")
    made = client.create_model_version(name, at.as_uri(), tags={"pace": f"{pace:.3f}"})
    kill("version made")
    client.set_registered_model_alias(name, "champion", made.version)
    kill("alias set")


# %% [markdown]
# `ends` lets it die at one of these four places and starts it again; it ends green. **Predict first.** How many of the four leave what an undisturbed run (*nowhere*) leaves?


# %% name="killed"
PLACES = ["nowhere", "half a file", "answers logged", "version made", "alias set"]
ends(script, PLACES, client, folder)

# %% [markdown]
# None. Even a death after the last line doubles answers and versions.
#
# The quietest fault comes from the line meant to help. After half a file, `exists()` says *done*: the model has learnt from 487<!-- =killed[half a file, trips] --> of 975<!-- =killed[nowhere, trips] --> trips, and half of the answers are missing. Its pace is 3.910<!-- =killed[half a file, champion's pace] --> instead of 3.962<!-- =killed[nowhere, champion's pace] -->, close enough to pass a check on the model.

# %% [markdown]
# ## Five habits
#
# | what goes wrong | the habit |
# |---|---|
# | half a file counts as done | **whole or absent**: write under another name, rename at the end |
# | answers are there twice | a **request id** for each row; the log takes an id once |
# | two versions | look for the **digest** before you register |
# | what is done is done again | a **journal** line for each step, written last |
# | two runs at once | a **lock** that dies with its process |
#
# The capstone (`src/projects/capstone`) is the course's flow and has these habits. The first, in its `State`:

# %% name="whole"
print(inspect.getsource(State.whole))

# %% [markdown]
# `replace` is a rename: a reader finds the whole file or none. Now the colleague's month with all five, as one step.


# %% name="looks_first"
def version_of(name, at, taken, pace):
    """The version with this digest; made, if there is none."""
    key = digest(taken)
    found = client.search_model_versions(f"name = '{name}' and tags.digest = '{key}'")
    if found:
        return found[0].version
    tags = {"digest": key, "pace": f"{pace:.3f}"}
    return client.create_model_version(name, at.as_uri(), tags=tags).version


def log_answers(at, taken, pace):
    log = PredictionLog(at / "answers.db")
    log.record(taken[["trip_distance"]], pace * taken["trip_distance"], request_id=taken["trip"])
    log.close()


# %% name="mended"
def mended(at, name, kill):
    state = begin(at)
    with state.locked():
        if state.journal.find("2020-04", "month"):
            return
        with state.whole("taken.csv") as part:
            april[:half].to_csv(part)
            kill("half a file")
            april[half:].to_csv(part, mode="a", header=False)
        taken = pd.read_csv(at / "taken.csv", index_col=0)
        pace = usual_pace(taken)
        log_answers(at, taken, pace)
        kill("answers logged")
        version = version_of(name, at, taken, pace)
        kill("version made")
        client.set_registered_model_alias(name, "champion", version)
        kill("alias set")
        state.journal.write("2020-04", "month", {"version": version})


# %% name="again"
ends(mended, PLACES, client, folder)

# %% [markdown]
# Five equal lines. The digest must name all that the model is made of: here it names the rows, so new code would get the old version. The capstone takes the digest of the model's file.
#
# A journal alone is not enough, because a process can die between *done* and *written* ([12c](12c_the_loop_closed.ipynb)).
#
# ### Your turn
#
# This step keeps a file for each month, and the total of their rows. Repair it:
#
# ```python
# def take_in(disk, month, rows):
#     if month not in disk.names():
#         disk.write(month, rows)
#         (total,) = disk.read("total")
#         disk.write("total", [total + len(rows)])
#     return disk.read("total")[0]
# ```

# %% exercise="take_in"

# %%
exercise.check(take_in)

# %% [markdown]
# ## The real flow, killed
#
# ```mermaid
# flowchart LR
#   A[ingest] --> B[validate] --> C[features] --> D[canary] --> E[monitor]
#   E --> F[decide] --> G[train] --> H[gate] --> I[register] --> J[deploy]
#   J -. its canary is settled next month .-> D
# ```
#
# A month of the capstone has ten steps. Here it runs on every tenth trip, trains each month, and has the gate's limit raised as in 12c. Three months fill the first model's window. A copy lives through April undisturbed.

# %% name="begun"
REVIEWS = ({**REVIEW, "month": "2020-04"},)
SETTINGS = Settings("2020-04", policy="monthly", serve=False, reviews=REVIEWS)


def capstone(name, **more):
    return State(folder / name, SETTINGS, few, load_ridership, **more)


flow = capstone("flow")
for month in ("2020-01", "2020-02", "2020-03"):
    for step in STEPS:
        loop.do(flow, month, step)
shutil.copytree(flow.folder, folder / "undisturbed")
undisturbed = loop.run(capstone("undisturbed"), "2020-04")
print("April:", loop.decision(undisturbed))

# %% [markdown]
# Then April dies: before each step, *inside* those that write files, and after each, before its journal line.

# %% name="deaths"
died = {when: dict.fromkeys(STEPS, "·") for when in ("before", "inside", "after")}
for step in STEPS:
    for when in died:
        dying = capstone("flow", kill=dies_at(f"{when} {step} of 2020-04"))
        if when == "inside" and step not in ("ingest", "validate", "features", "train"):
            continue
        try:
            loop.run(dying, "2020-04")
        except Killed:
            died[when][step] = len(flow.journal.of("2020-04"))
told = loop.run(flow, "2020-04")
pd.DataFrame(died).T


# %% name="same"
same = all({**one, "seconds": 0} == {**undisturbed[step], "seconds": 0} for step, one in told.items())
print("the journal is that of the undisturbed run:", same)
asked = log_in(flow.file("predictions.db"))["request_id"]
print(len(asked), "answers to", asked.nunique(), "requests")
versions = steps.use_store(flow).search_model_versions("name = 'trip-duration'")
print(len(versions), "versions of", len({one.tags["digest"] for one in versions}), "models")

# %% [markdown]
# The table counts April's journal lines at each death: after a step as many as before it, because its own is missing. The next start does it again and finds what it made.
#
# ## Two at once
#
# A colleague marks a running flow by a file `running`, deleted at the end. The capstone has the operating system lock a file (`flock`). A process takes both and gets a real SIGKILL. What does the next run find?

# %% name="locks"
print(after_a_kill(folder / "locks"))
with flow.locked():
    try:
        loop.do(capstone("flow", patience=0.1), "2020-05", "ingest")
    except CapstoneError as error:
        print(str(error).replace(str(folder), "…"))

# %% [markdown]
# The file stays, and nothing runs until a person deletes it. The system takes its lock back however the process ends; while it lives, a second run waits and says so. (Across machines use a *lease*: a row in a database that expires unless its owner renews it.)

# %% [markdown]
# ## Repeat, refuse, or wake somebody
#
# May's `ingest` meets four faults. Which one may be gone in a minute?


# %% name="faults"
def away(month):
    raise requests.ConnectionError("the depot is away")


def full(month):
    raise OSError(28, "No space left on device")


def renamed(month):
    return few(month).rename(columns={"fare_amount": "fare"})


def defect(month):
    return few(month)["fare_amout"]


# %% name="told"
for deliver_trips in (away, full, renamed, defect):
    flow.trips = deliver_trips
    try:
        loop.do(flow, "2020-05", "ingest")
    except CapstoneError as error:
        print("a line:", error)
    except Exception as error:
        print("a traceback:", type(error).__name__, error)

# %% [markdown]
# Only the first. A fault outside the code is one line that says what to do; a defect keeps its traceback.
#
# | fault | repeat? | who hears | when |
# |---|---|---|---|
# | process killed | yes, at once | nobody | |
# | store or network away | yes, with growing pauses | on call | after the last try, by day |
# | disk full | no | on call | by day |
# | delivery in another form | no: **refuse** it | who delivers | by day |
# | gate says no, canary rolled back | no, this is no fault | nobody | at the next review |
# | defect | no | developers | by day |
# | nothing has run | | on call, told from *outside* the flow | when the newest month is too old |
#
# Nobody is woken at night, because last month's champion goes on answering. Wake a person for what users feel now: a fault of the service (09e).
#
# A store is away, and retries of several layers multiply: the default of MLflow's client, one of a Metaflow step, those of a Job. How many calls?

# %% name="layers"
job = cron_job()["spec"]["jobTemplate"]["spec"]
retries = {"MLflow's client": MLFLOW_HTTP_REQUEST_MAX_RETRIES.default, "the step": 1}
retries["the Job"] = job["backoffLimit"]
tries = [1 + number for number in retries.values()]
print(retries, "· calls:", " × ".join(map(str, tries)), "=", np.prod(tries))

# %% [markdown]
# 64<!-- =layers: = (\d+) --> calls, and a person hears after all of them. Retry in one layer, close to the call; the outer ones restart what was killed. This Job would repeat the renamed column too, because it can't tell a refusal from a store that is away. Exit codes can: `podFailurePolicy` (with `restartPolicy: Never`) fails a Job at once on a code of your choice.
#
# ### Your turn

# %% exercise="deliver"

# %%
exercise.check(deliver)

# %% [markdown]
# ## The clock is no dependency
#
# Five scripts run at night by cron, an hour apart, and each reads what the one before has made. A script takes 30<!-- given --> minutes in the median (lognormal with a $\sigma$ of 0.4<!-- given -->, independent of the others). One that starts too early reads yesterday's data and is green. **Predict first.** In how many nights a year does that happen?

# %% name="cron"
rng, nights = np.random.default_rng(0), {}
minutes = rng.lognormal(np.log(30), 0.4, (years, 365, 5))
for gap in (60, 90, 120):
    stale = (minutes[:, :, :-1] > gap).any(axis=2).sum(axis=1)
    hours = np.median(4 * gap + minutes[:, :, -1]) / 60
    nights[f"{gap} minutes apart"] = [*np.quantile(stale, [0.5, 0.025, 0.975]), hours]
nights["one after the other"] = [0, 0, 0, np.median(minutes.sum(axis=2)) / 60]
pd.DataFrame(nights, ["stale nights", "from", "to", "report after (h)"]).T.round(1)

# %% [markdown]
# 57<!-- =cron[60 minutes apart, stale nights] --> nights (95<!-- given --> % of simulated years: 44<!-- =cron[60 minutes apart, from] --> to 71<!-- =cron[60 minutes apart, to] -->), though a single script takes over an hour only once in 24<!-- given --> runs. Wider gaps cost hours. A step that starts when the one before has *succeeded* has no such night, and the report is there after 2.7<!-- =cron[one after the other, report after (h)] --> hours instead of 4.5<!-- =cron[60 minutes apart, report after (h)] -->. For one command, cron with an alarm is enough. The capstone is one: it orders its steps itself.

# %% [markdown]
# ## An engine for the same steps
#
# An **orchestrator** keeps this order: which step follows which, what has run, what to run again. **Metaflow** takes a class whose methods are steps. Here (`src/lessons/one_flow/three.py`) `start` takes in three trips; `log` appends three answers to a log, then asks a store, which is away. Somebody starts the store and types `resume`. **Predict first.** How many answers are in the log?

# %% name="engine" tags=["nbval-ignore-output"]
first = by_metaflow(folder / "metaflow", "run")
if first is None:
    print("Metaflow does not run on Windows")
else:
    (folder / "metaflow" / "store").touch()  # somebody starts the store
    print(first, by_metaflow(folder / "metaflow", "resume"), sep="\n")

# %% [markdown]
# The result of `start` was taken over (*cloned*). `log` was done from its beginning, so there are 6<!-- =engine: 'answers': (6) --> answers. With any engine, making a step safe to repeat is your part.
#
# | | the capstone's loop | Metaflow 2.19<!-- given --> |
# |---|---|---|
# | resume | from the journal | as a new run with a new number |
# | kill of the parent process | all ends | its step's process lives on and can overlap a `resume` |
# | seeing a run | its own pages | graph, cards, results of each step |
# | a month, CPU seconds (measured) | 3<!-- given --> | 44<!-- given -->, a process for each step |
#
# Each step is a function, so both engines run the same ones. To choose, ask what already runs and who operates it, then kill a step of each finalist.

# %% [markdown]
# ## Which month is it?
#
# A step gets its month as a parameter, never from the clock, so that missed months can be run later: a **backfill**. Each run may use only what was known on its **as-of date**, the first of the next month. Two things come later: some labels (five days after the drop-off) and newer models. Below, *live* answers each month with the pace of the month before; *today* is a backfill with today's champion, of December 2020.


# %% name="month_of"
def month_of(month):
    taken, _ = trips.divided(trips.checked(load_trips(month), month), month)
    return trips.known_at_pickup(taken, label_days=5)


live, today = usual_pace(month_of("2020-02")), usual_pace(month_of("2020-12"))
print(f"minutes a mile: {live:.2f} in February 2020, {today:.2f} in December")

# %% name="as_of"
rows = {}
for month in months("2020-03", "2020-08"):
    known = month_of(month)
    there = known["label_at"] < (pd.Period(month) + 1).start_time
    errors = {pace: (known["duration"] - pace * known["trip_distance"]).abs() for pace in (live, today)}
    less = (errors[live] - errors[today])[there].groupby(known["asked_at"].dt.date).mean()  # by day
    row = {"on the 1st": errors[live][there].mean(), "all labels": errors[live].mean()}
    row |= {"today": errors[today][there].mean(), "today less by": less.mean(), "±": 1.96 * less.sem()}
    rows[month] = row
    live = usual_pace(known[there])
pd.DataFrame(rows).T.round(2)

# %% [markdown]
# Mean errors in minutes; the first two columns are live. (*today less by* is a mean over days, ± its 95<!-- given --> % range; below 0<!-- given --> today's is worse.) Late labels move them by less than 0.2<!-- given --> to either side: here a run need not wait for them. Today's champion writes another history. Live, April was the worst month, with 8.23<!-- =as_of[2020-04, on the 1st] -->; in the backfill it is May, with 10.47<!-- =as_of[2020-05, today] -->. So a backfill takes the version that was champion *then*, from the journal, or trains it again on rows known then.
#
# Months run in order. The capstone asks its journal what is next, not the calendar, and refuses a gap:

# %% name="gap"
print("the next month is", following(flow))
try:
    loop.run(flow, "2020-06")
except CapstoneError as error:
    print(error)

# %% [markdown]
# ## The schedule
#
# `walkforward capstone --schedule` prints a line for a crontab and a CronJob for a cluster. Its parts:

# %% name="schedule"
spec = cron_job()["spec"]
for part in (spec, job):
    print({name: value for name, value in part.items() if not isinstance(value, dict)})
print(job["template"]["spec"]["containers"][0]["command"])
scratch.cleanup()

# %% [markdown]
# - `0 6 6 * *`: at six on the sixth. The as-of date stays the first, so a later start gives the same result.
# - `Forbid`: no second run beside a slow one.
# - `startingDeadlineSeconds`: after a day of outage the start is **skipped**, and no run is there to be red: only a watcher outside notices. `--next` runs one month a call, so call it until nothing is left.
# - `activeDeadlineSeconds`: after an hour the Job ends, even if a step hangs.

# %% [markdown]
# ## Take-aways
#
# - Ask of each line: what if the process dies here and starts again? Write whole or absent, with ids and digests, and the journal last.
# - Repeat what may pass by itself, in one layer; refuse what is wrong; wake a person for what users feel now.
# - An engine repeats steps from their beginning and makes none of them idempotent.
# - A run has an as-of date: its labels and its model are those of then.

# %% [markdown]
# ## In an interview
#
# - *Your job skips what exists. Why is the model trained on half a month?* Shown in [A script that is started again](#A-script-that-is-started-again).
# - *Which faults do you repeat, and who is woken?* Shown in [Repeat, refuse, or wake somebody](#Repeat,-refuse,-or-wake-somebody).
# - *Why an orchestrator, and when is cron enough?* Shown in [The clock is no dependency](#The-clock-is-no-dependency) and [An engine for the same steps](#An-engine-for-the-same-steps).
#
# More, with the points of a good answer: `walkforward practice --lesson 17a` in a terminal.
#
# ## Up next
#
# [17b · Through 2020](17b_through_2020.ipynb) lives with it.
