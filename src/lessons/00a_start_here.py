# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
#   walkforward:
#     ci:
#       train_to: "2019-07"
#       live_to: "2020-05"
# ---

# %% [markdown]
# # 00a · Start here
#
# After this lesson you can walk a colleague once around the life of a machine-learning system, on real data, and say at each stage what
# breaks there.

# %% [markdown]
# > **You will learn to** work with this course: run, answer, check · choose your path through it · name the seven stages of the lifecycle and show
# > why they form a loop · say when fresh data beat a better model, and when they do not
# >
# > **Before you start** nothing but some Python and pandas
# >
# > **Time** 50 minutes of study; it runs in under a minute
# >
# > **Interview questions it answers** Your model was fine at launch; what happens next? · Better data or a better model?

# %% [markdown]
# ## How the course works
#
# A lesson is a notebook for one sitting of at most an hour. Read it from top to bottom and run each cell with Shift+Enter; the outputs that you see before
# you run came out when the lesson was built. Everything runs on your machine: the data are in the repository, and no cell needs the network.
# Every lesson has one cell of parameters. Change them, run the lesson again, and see which of its statements survive.
#
# Where a cell says `TODO`, it is your turn. The cell after it checks your answer, as often as you like; a hint and a solution are one click
# away. `make lab` opens your own copy, in the folder `work/`, and no update of the course ever overwrites it.
# `walkforward progress` shows what you have solved.

# %% tags=["parameters"]
trips_path = None  # a file of your own, or one a month: "taxi/{month}.parquet"
max_trips = 180_000  # of a file of your own, drawn at random; more take more time and memory
train_from = "2019-07"  # the model learns from these months
train_to = "2019-12"
live_from = "2020-01"  # and is in production in these
live_to = "2020-12"
shock_month = "2020-04"  # the month in which the world changed

# %%
from course import own_data
from course.data import load_trips, months

records = load_trips  # the trips of one month
if trips_path is not None:  # your file: what the lesson needs of it, or a line that says what it lacks
    roles = {"train_from": train_from, "train_to": train_to, "live_from": live_from, "live_to": live_to}
    trips, chosen = own_data.monthly_trips("00a", trips_path, max_trips, shock_month=shock_month, **roles)
    train_from, train_to, live_from, shock_month, live_to = chosen
    records = own_data.by_month(trips)

# %%
import inspect
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from threadpoolctl import threadpool_limits

from course import exercise
from course.exercise import TODO
from walkforward.plots import PALETTE, use_style

use_style()
threads = threadpool_limits(limits=1, user_api="openmp")  # small fits lose time on more

# %% [markdown]
# ## The road ahead
#
# Two stories run through the course: taxi trips in New York, whose duration you predict, and daily rides at a station in Chicago, which you
# forecast.
#
# ```mermaid
# flowchart LR
#   A["<b>Build</b> · 00–06<br>baselines, tracking,<br>tuning, models"] --> B["<b>Ship</b> · 07–10<br>registry, tests,<br>serving, platforms"]
#   B --> C["<b>Watch</b> · 11–12<br>monitoring, drift,<br>retraining"] --> E["<b>Together</b> · 17<br>one flow from data<br>to a watched model"]
#   A --> D["<b>Forecast</b> · 13–16<br>walk-forward, Prophet,<br>XGBoost, a cluster"] --> E
#   E --> F["<b>The interview</b> · I1–I5<br>walkthroughs, katas,<br>mock interviews"]
# ```
#
# A number is a chapter, a letter is a sitting. You need not take them all: each says what it needs, and runs without the ones before.
# A number that you do not find is a chapter to come. `walkforward progress` shows where you are.

# %% [markdown]
# ### Three paths
#
# {{ paths }}

# %% [markdown]
# ### Your turn
#
# Try an exercise on the metric that you meet all through the course, the **root mean squared error**:
#
# $$\mathrm{RMSE} = \sqrt{\frac{1}{n}\sum_{i=1}^{n} (y_i - \hat{y}_i)^2}$$
#
# where $y$ is what happened and $\hat{y}$ what you predicted. It has the unit of the target, and large errors weigh most.

# %% exercise="rmse"

# %%
exercise.check(rmse)

# %% [markdown]
# An empty answer is no mistake: the check says that you have not tried yet. Write a wrong one on purpose, leave out the root, and look at what
# it tells you.
#
# ## Once around the lifecycle
#
# You are asked to predict how long a taxi ride in New York will take. Seven stages lie between this sentence and a system that people
# rely on. Here are three trips, a column each, as the meter wrote them; zones are numbers on the city's taxi map.

# %% name="row"
records(train_from).head(3).T

# %% [markdown]
# **1 · Data preparation** collects the records and throws out what can't be true. **2 · Exploratory analysis**
# looks before it models.


# %%
def prepare(month: str) -> pd.DataFrame:
    trips = records(month)
    trips["duration"] = (trips["dropoff_datetime"] - trips["pickup_datetime"]).dt.total_seconds() / 60
    possible = trips["duration"].between(1, 60) & (trips["trip_distance"] < 100)
    return trips[possible & (trips["pickup_datetime"] >= month)].assign(month=month)


# %% name="explore"
def explore(trips: pd.DataFrame) -> pd.DataFrame:
    return trips.groupby("month")["duration"].agg(["size", "mean", "median"]).round(1)


training = pd.concat([prepare(month) for month in months(train_from, train_to)])
explore(training)

# %% [markdown]
# Six quiet months: trips take about 14<!-- given --> minutes, a little less in summer. Each month holds 10,000<!-- given --> trips
# before cleaning, a fixed sample, so never read demand from the number of rows.
#
# **3 · Feature engineering** turns records into columns that a model can use. Each must be known when the ride begins. (The distance
# is the driven one; in use, the planned route takes its place. See 01a.) **4 · Training** is the
# stage that people think of when they say machine learning.


# %%
FEATURES = ["trip_distance", "pickup_location_id", "dropoff_location_id", "hour", "weekday"]


def engineer(trips: pd.DataFrame) -> pd.DataFrame:
    pickup = trips["pickup_datetime"].dt
    return trips.assign(hour=pickup.hour, weekday=pickup.dayofweek)[FEATURES]


def train(trips: pd.DataFrame) -> HistGradientBoostingRegressor:
    return HistGradientBoostingRegressor(random_state=0).fit(engineer(trips), trips["duration"])


# %% [markdown]
# The model is gradient boosting: many small decision trees, each fitted to the error that the ones before it left.
#
# **5 · Validation** compares with a baseline on trips that the model has not seen, here the first month after training. The simplest baseline is to
# answer always with the mean.


# %% name="validate"
def error(model, trips: pd.DataFrame) -> float:
    return float(np.sqrt(np.mean((trips["duration"] - model.predict(engineer(trips))) ** 2)))


def validate(model, trips: pd.DataFrame, constant: float) -> dict[str, float]:
    baseline = float(np.sqrt(np.mean((trips["duration"] - constant) ** 2)))
    return {"baseline": baseline, "model": error(model, trips)}


model = train(training)
validation = validate(model, prepare(live_from), training["duration"].mean())
print(", ".join(f"{name} {value:.2f} minutes" for name, value in validation.items()))

# %% [markdown]
# 4.44<!-- =validate: model ([\d.]+) --> minutes against 9.40<!-- =validate: baseline ([\d.]+) -->: the model halves the error. (Lesson 01a finds a
# baseline that is harder to beat.) The model ships. **6 · Deployment** gives it to users; here that is a function that answers one rider.


# %% name="deploy"
def deploy(model):
    def minutes_for(miles: float, start: int, goal: int, hour: int, weekday: int) -> float:
        row = pd.DataFrame([[miles, start, goal, hour, weekday]], columns=FEATURES)
        return float(model.predict(row)[0])

    return minutes_for


answer = deploy(model)(miles=2.5, start=161, goal=236, hour=17, weekday=4)
print(f"Midtown to the Upper East Side, Friday at 5 p.m.: {answer:.0f} minutes")

# %% [markdown]
# Many projects end here. **7 · Monitoring** keeps measuring after the launch.
#
# **Predict first.** How large will the error be in each month of 2020?


# %% name="monitor"
def monitor(model, live: dict[str, pd.DataFrame]) -> pd.Series:
    return pd.Series({month: error(model, trips) for month, trips in live.items()}, name="RMSE")


live = {month: prepare(month) for month in months(live_from, live_to)}
frozen = monitor(model, live)
frozen.round(2).to_frame()

# %%
worst = frozen.idxmax()
fig, ax = plt.subplots()
ax.plot(frozen.index, frozen, marker="o", color=PALETTE["red"])
ax.axhline(validation["model"], color=PALETTE["grey"], linestyle="--", label="at launch")
ax.set(ylabel="RMSE (minutes)", ylim=(0, None))
ax.set_title(f"{worst}: error {frozen.max() / validation['model'] - 1:.0%} larger than at launch")
ax.tick_params(axis="x", rotation=45)
ax.legend()
plt.show()

# %% [markdown]
# *Figure: error of the unchanged model for each month of 2020; flat until March, a jump in April, then a slow and incomplete way back.*
#
# The code did not change, no server crashed, every request was answered. In April the error was 7.38<!-- =monitor[2020-04, RMSE] --> minutes.
# The streets were empty and the model still counted on traffic. Machine-learning systems **fail silently**: wrong answers look exactly like right ones
# until somebody compares them with what happened.
#
# That is why the lifecycle is a loop. What monitoring sees goes back to the first stage:
#
# ```mermaid
# flowchart LR
#   A[1 data preparation] --> B[2 exploratory analysis] --> C[3 feature engineering] --> D[4 training]
#   D --> E[5 validation] --> F[6 deployment] --> G[7 monitoring]
#   G -- the world has changed --> A
#   E -- not good enough --> C
#   B -- the data can't answer this --> A
# ```
#
# ### Your turn
#
# Seven stages, seven chores. Where does each belong?

# %% exercise="stage_of"

# %%
exercise.check(stage_of=stage_of)

# %% [markdown]
# ## Closing the loop
#
# **Continuous deployment** of a model has three parts: a **trigger** that says when, a **retraining** that says how and on what, and a
# **deployment** that puts the new model in the place of the old one. Replay 2020 with each part as small as it can be: retrain on the month
# that has ended, if its error was 20<!-- given --> % above what you had at launch.


# %% name="replay"
def replay(live: dict[str, pd.DataFrame], tolerance: float) -> tuple[pd.Series, list[str]]:
    current, errors, retrained = model, {}, []
    for month, trips in live.items():
        errors[month] = error(current, trips)
        if errors[month] > (1 + tolerance) * validation["model"] and month != live_to:  # the trigger
            current = train(trips)  # the retraining, and the deployment
            retrained.append(month)
    return pd.Series(errors), retrained


watched, alarms = replay(live, tolerance=0.2)
monthly, every_month = replay(live, tolerance=-1)
print("retrained after", ", ".join(alarms) or "no month")
policies = pd.DataFrame({"never": frozen, "on alarm": watched, "every month": monthly})
summary = pd.DataFrame({"mean RMSE": policies.mean(), "retrainings": [0, len(alarms), len(every_month)]})
summary.round(2)

# %% name="after"
policies.round(2)

# %% [markdown]
# Two retrainings take the mean error from 5.59<!-- =replay[never, mean RMSE] --> to 4.91<!-- =replay[on alarm, mean RMSE] --> minutes, eleven
# to 4.52<!-- =replay[every month, mean RMSE] -->: fewer than a fifth of the retrainings buy more than half of the gain. The second table says more.
# After the last alarm the error stays under its threshold, and the model stays worse than it could be. And in February, with nothing new in the
# world, the fresh model is worse than the old one, 4.27<!-- =after[2020-02, every month] --> against 4.20<!-- =after[2020-02, never] -->: it learnt from one month, the old one from six.
# April itself is bad in every column. There it only helps to notice early and to have a fallback, a rough rule that answers in the model's place.
#
# The table has no winner until you say what a retraining and its release cost. And one year with one shock is one draw: replay other years before you decide.

# %% [markdown]
# ## Is data worth more than modelling?
#
# "Fresh data beat a better model", people say. Let two teams compete over 2019 and 2020. One has gradient boosting, trained once a year on sixty thousand trips
# of the half-year before. The other has a straight line and trains it every month on the ten thousand trips of the month before.
#
# **Predict first.** In how many months does the line win?


# %%
def train_line(trips: pd.DataFrame):
    one_hot = OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=30)
    columns = make_column_transformer(("passthrough", FEATURES[:1]), (one_hot, FEATURES[1:]))
    return make_pipeline(columns, Ridge()).fit(engineer(trips), trips["duration"])


def lead_of_the_line(old_model, by_month: dict[str, pd.DataFrame]) -> dict[str, float]:
    lead = {}
    for last, now in pairwise(by_month):
        fresh_line = train_line(by_month[last])
        lead[now] = error(old_model, by_month[now]) - error(fresh_line, by_month[now])
    return lead


# %% name="fresh"
lead = lead_of_the_line(model, {train_to: prepare(train_to)} | live)
if trips_path is None:  # and an ordinary year before it
    year_before = {month: prepare(month) for month in months("2018-07", "2019-12")}
    halves = pd.concat([year_before[month] for month in months("2018-07", "2018-12")])
    judged = {month: year_before[month] for month in months("2018-12", "2019-12")}
    lead = lead_of_the_line(train(halves), judged) | lead
lead = pd.Series(lead, name="lead of the fresh line (minutes)")
quiet, after = lead[lead.index < shock_month], lead[lead.index >= shock_month]
for when, part in {"before": quiet, "from": after}.items():
    wins = f"{(part > 0).sum()} of {len(part)} months"
    print(f"{when} {shock_month}: the line wins in {wins}, {part.min():.2f} to {part.max():.2f} minutes")

# %%
fig, ax = plt.subplots()
ax.bar(lead.index, lead, color=np.where(lead > 0, PALETTE["blue"], PALETTE["sky"]))
ax.set_ylabel("lead of the fresh line (minutes)")
ax.set_title("Fresh data win for a while after a break")
ax.tick_params(axis="x", rotation=90)
plt.show()

# %% [markdown]
# *Figure: bars of the lead of the fresh line over the old boosting, month by month. All bars before April 2020 lie below zero, the first ones from April 2020 above.*
#
# In fifteen ordinary months fresh data do not win once: the line loses by
# 0.92<!-- =fresh: months, -[\d.]+ to -([\d.]+) --> to 1.56<!-- =fresh: in 0 of 15 months, -([\d.]+) --> minutes. When the streets empty, it wins five months in a row, by up to
# 1.81<!-- =fresh: -0.33 to ([\d.]+) --> minutes. In September the old model is ahead again; a likely reason is that traffic is coming back. You can also have both: boosting
# on the month before, the last column of the table above, beats both on average.

# %% [markdown]
# A common rule says that data are usually worth more than modelling. It holds where data are missing, wrong or out of date. It has exceptions: a **mission-critical** system, where one error can
# cost a life or a plant, and **massive scale**, where a gain that nobody would notice in one prediction is paid a billion times a day. And in a world that
# has not changed, with enough trips, the form of the model pays first: lesson 01b measures form, data and tuning.

# %% [markdown]
# ## The small box
#
# How much of what you have run was machine learning? Count the lines of the functions above.

# %% name="lines"
stages = [prepare, explore, engineer, train, validate, deploy, monitor, replay]
lines = pd.Series({stage.__name__: len(inspect.getsource(stage).strip().splitlines()) for stage in stages})
print(f"{lines['train']} of {lines.sum()} lines train the model")

# %% [markdown]
# 2<!-- =lines: ^(\d+) of --> of 31<!-- =lines: of (\d+) lines -->, and nothing here checks input, keeps secrets, restarts after a crash or pays a bill yet.
# The model is a small box in a large system. Lesson 00b is about the system.

# %% [markdown]
# ## Take-aways
#
# - A model is finished when it is watched, not when it is trained. On unchanged code the error of this one rose from
#   4.44<!-- =validate: model ([\d.]+) --> to 7.38<!-- =monitor[2020-04, RMSE] --> minutes, and no log would have said so.
# - The lifecycle has seven stages and is a loop: monitoring feeds preparation. Continuous deployment is a trigger, a retraining and a deployment.
# - Fresh data beat a better model after a break: in five months of nine from April 2020 on, and in none of the fifteen before. Ask first whether
#   the world has changed.

# %% [markdown]
# ## In an interview
#
# - *Your model was fine at launch and nobody touched it. Why is it bad now, and how would you have known?* Shown in
#   [Once around the lifecycle](#Once-around-the-lifecycle).
# - *You have replayed a year with three retraining policies. Which do you choose?* Shown in [Closing the loop](#Closing-the-loop).
# - *You have a month: better data or a better model?* Shown in [Is data worth more than modelling?](#Is-data-worth-more-than-modelling?).
#
# With the points of a good answer, and more of them: `walkforward practice --lesson 00a` in a terminal.

# %% [markdown]
# ## Up next
#
# [00b · Before you build](00b_before_you_build.ipynb): the system around the small box, and whether a project is feasible at all. If you can't wait for
# models, take [01a · Pipelines and baselines](01a_pipelines_and_baselines.ipynb) first.
