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
# # 00 · Start here
#
# After this lesson you can walk a colleague once around the life of a machine-learning system, on real data, and say at each stage who owns
# it and what breaks there.

# %% [markdown]
# > **You will learn to** work with this course: run, answer, check · name the seven stages of the lifecycle and show why they form a loop ·
# > tell DevOps, DataOps and MLOps apart · decide whether a project is feasible before you design it · say who does what
# >
# > **Before you start** nothing but some Python and pandas
# >
# > **Time** 45 minutes of study; it runs in under half a minute
# >
# > **Interview questions it answers** What does MLOps add to DevOps? · Your model was fine at launch; what happens next? · Is this
# > project feasible?

# %% [markdown]
# ## How the course works
#
# A lesson is a notebook. You read it from top to bottom and run each cell with Shift+Enter; the outputs that you see before you run are what
# came out when the lesson was built. Everything runs on your machine: the data lie in the repository, and no cell needs the network.
#
# Where a cell says `TODO`, it is your turn. The cell after it checks your answer, as often as you like; a hint and a solution are one click
# away. What you write lives in your own copy (`make lab` opens it from the folder `work/`), and no update of the course ever overwrites it.
# `walkforward progress` shows what you have solved.
#
# Try it with the metric that you meet all through the course. The **root mean squared error** is
#
# $$\mathrm{RMSE} = \sqrt{\frac{1}{n}\sum_{i=1}^{n} (y_i - \hat{y}_i)^2}$$
#
# where $y$ is what happened and $\hat{y}$ what you predicted. It has the unit of the target, and large errors weigh most.
#
# Every lesson has one cell of parameters. Change them, run the lesson again, and see which of its statements survive.

# %% tags=["parameters"]
trips_path = None  # a file of your own, or one a month: "taxi/{month}.parquet"
max_trips = 180_000  # of a file of your own, drawn at random; more take more time and memory
train_from = "2019-07"  # the model learns from these months
train_to = "2019-12"
live_from = "2020-01"  # and is in production in these
live_to = "2020-12"
shock_month = "2020-04"  # trips of this month retrain a model, those of the next one test it

# %%
from course import own_data
from course.data import load_trips, months

records = load_trips  # the trips of one month
if trips_path is not None:  # your file: what the lesson needs of it, or a line that says what it lacks
    roles = {"train_from": train_from, "train_to": train_to, "live_from": live_from, "live_to": live_to}
    trips, chosen = own_data.monthly_trips("00", trips_path, max_trips, shock_month=shock_month, **roles)
    train_from, train_to, live_from, shock_month, live_to = chosen
    records = own_data.by_month(trips)

# %%
import inspect

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

# %% exercise="rmse"

# %%
exercise.check(rmse)

# %% [markdown]
# An empty answer is no mistake: the check says that you have not tried yet. Write a wrong one on purpose, leave out the root, and look at what
# it tells you. Then go on.

# %% [markdown]
# ## Once around the lifecycle
#
# You are asked to predict how long a taxi ride in New York will take. Seven stages lie between this sentence and a system that people
# rely on. Walk through all of them quickly; later lessons take each apart.
#
# **1 · Data preparation** collects the records and throws out what can't be true. **2 · Exploratory analysis** looks before it models.


# %%
def prepare(month: str) -> pd.DataFrame:
    trips = records(month)
    trips["duration"] = (trips["dropoff_datetime"] - trips["pickup_datetime"]).dt.total_seconds() / 60
    possible = trips["duration"].between(1, 60) & (trips["pickup_datetime"] >= month)
    return trips[possible].assign(month=month)


def explore(trips: pd.DataFrame) -> pd.DataFrame:
    return trips.groupby("month")["duration"].agg(["size", "mean", "median"]).round(1)


# %% name="explore"
training = pd.concat([prepare(month) for month in months(train_from, train_to)])
explore(training)

# %% [markdown]
# Six quiet months: trips take about 14<!-- given --> minutes, a little less in summer. Each month holds 10,000<!-- given --> recorded trips
# before cleaning, a fixed sample, so never read demand from the number of rows.
#
# **3 · Feature engineering** turns records into columns that a model can use, all of them known when the ride begins. **4 · Training** is the
# stage that people think of when they say machine learning.

# %%
FEATURES = ["trip_distance", "pickup_location_id", "dropoff_location_id", "hour", "weekday"]


def engineer(trips: pd.DataFrame) -> pd.DataFrame:
    pickup = trips["pickup_datetime"].dt
    return trips.assign(hour=pickup.hour, weekday=pickup.dayofweek)[FEATURES]


def train(trips: pd.DataFrame) -> HistGradientBoostingRegressor:
    return HistGradientBoostingRegressor(random_state=0).fit(engineer(trips), trips["duration"])


# %% [markdown]
# **5 · Validation** compares with a baseline on trips that the model has not seen, here the first month after training. The baseline is the
# least that anybody could do: always answer with the mean.


# %% name="validate"
def error(model: HistGradientBoostingRegressor, trips: pd.DataFrame) -> float:
    return float(np.sqrt(np.mean((trips["duration"] - model.predict(engineer(trips))) ** 2)))


def validate(model: HistGradientBoostingRegressor, trips: pd.DataFrame, constant: float) -> dict[str, float]:
    baseline = float(np.sqrt(np.mean((trips["duration"] - constant) ** 2)))
    return {"baseline": baseline, "model": error(model, trips)}


model = train(training)
first = prepare(live_from)
validation = validate(model, first, training["duration"].mean())
print(", ".join(f"{name} {value:.2f} minutes" for name, value in validation.items()))

# %% [markdown]
# 4.44<!-- =validate: model ([\d.]+) --> minutes against 9.40<!-- =validate: baseline ([\d.]+) -->: the model halves the error. Everyone is
# pleased, and the model ships. **6 · Deployment** gives it to users; in this miniature that is a function that answers one rider.


# %% name="deploy"
def deploy(model: HistGradientBoostingRegressor):
    def minutes_for(miles: float, start: int, goal: int, hour: int, weekday: int) -> float:
        row = pd.DataFrame([[miles, start, goal, hour, weekday]], columns=FEATURES)
        return float(model.predict(row)[0])

    return minutes_for


minutes_for = deploy(model)
answer = minutes_for(miles=2.5, start=161, goal=236, hour=17, weekday=4)
print(f"Midtown to the Upper East Side, Friday at 5 p.m.: {answer:.0f} minutes")

# %% [markdown]
# Many projects end here, and so do many courses. Before you run the next cell, write down how large the error will be in each month of 2020.
#
# **7 · Monitoring** keeps measuring after the launch.


# %% name="monitor"
def monitor(model: HistGradientBoostingRegressor, live: dict[str, pd.DataFrame]) -> pd.Series:
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
ax.set_title(
    f"Nobody touched the model, and by {worst} its error was {frozen.max() / validation['model'] - 1:.0%} larger"
)
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
# That is why the lifecycle is a loop and not a line. What monitoring sees goes back to the first stage:
#
# ```mermaid
# flowchart LR
#   A[1 data preparation] --> B[2 exploratory analysis] --> C[3 feature engineering] --> D[4 training]
#   D --> E[5 validation] --> F[6 deployment] --> G[7 monitoring]
#   G -- the world has changed --> A
#   E -- not good enough --> C
#   B -- the data can't answer this --> A
# ```

# %% [markdown]
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
        if errors[month] > (1 + tolerance) * validation["model"]:  # the trigger
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
# Two retrainings take the mean error from 5.59<!-- =replay[never, mean RMSE] --> to 4.91<!-- =replay[on alarm, mean RMSE] --> minutes, and twelve
# take it to 4.52<!-- =replay[every month, mean RMSE] -->: a sixth of the work buys more than half of the gain. After July the alarm stays silent,
# and the model stays worse than it could be; a threshold only sees what crosses it. April itself is
# bad in every column. No retraining helps against what has not been seen yet; only noticing early does, and a fallback. When to retrain is a
# lesson of its own, and so is noticing.

# %% [markdown]
# ## Is data worth more than modelling?
#
# In May two teams want to repair the service. One has gradient boosting and last year's sixty thousand trips. The other has a straight line and the ten
# thousand trips of April. Whom do you back?


# %% name="fresh"
def train_line(trips: pd.DataFrame):
    one_hot = OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=30)
    columns = make_column_transformer(("passthrough", FEATURES[:1]), (one_hot, FEATURES[1:]))
    return make_pipeline(columns, Ridge()).fit(engineer(trips), trips["duration"])


shock, test = pd.Period(shock_month), pd.Period(shock_month) + 1
fresh_line = train_line(live[shock_month])
teams = {
    f"boosting, trips of {train_to[:4]}": model,
    f"straight line, trips of {train_to[:4]}": train_line(training),
    f"straight line, trips of {shock.strftime('%B')}": fresh_line,
    f"boosting, trips of {shock.strftime('%B')}": train(live[shock_month]),
}
errors = {name: error(team, live[str(test)]) for name, team in teams.items()}
pd.Series(errors, name=f"RMSE in {test.strftime('%B %Y')}").round(2).to_frame()

# %% [markdown]
# Fresh data win by far: the straight line goes from 7.87<!-- =fresh[straight line, trips of 2019, RMSE in May 2020] --> to
# 5.13<!-- =fresh[straight line, trips of April, RMSE in May 2020] --> minutes, and the better model on old data stays at
# 6.94<!-- =fresh[boosting, trips of 2019, RMSE in May 2020] -->. As a rule an hour spent on the data buys more than an hour spent on the model.
#
# The rule has two exceptions. In a **mission-critical** system the last percent is worth any effort, because one error can cost a life or a plant.
# And at **massive scale** a gain that nobody would notice in one prediction is paid a billion times a day. Lesson 01 shows a third case:
# when you already have enough data of the same kind, ten times more of it buys less than a model of the right form.

# %% [markdown]
# ## The small box
#
# How much of what you have run was machine learning? Count the lines of the functions above.

# %% name="lines"
stages = [prepare, explore, engineer, train, validate, deploy, monitor, replay]
lines = pd.Series(
    {stage.__name__: len(inspect.getsource(stage).strip().splitlines()) for stage in stages}, name="lines"
)
print(f"{lines['train']} of {lines.sum()} lines train the model")

# %% [markdown]
# 2<!-- =lines: ^(\d+) of --> of 31<!-- =lines: of (\d+) lines -->, and nothing here checks input, keeps secrets, restarts after a crash or pays a bill yet.
# In a real system the model is a small box in the middle of a large machine, and the machine is where the work and the failures are:
#
# ```mermaid
# flowchart TB
#   subgraph system [The system]
#     direction LR
#     subgraph data [Data]
#       D1[collection] --> D2[verification] --> D3[feature extraction]
#     end
#     M((ML code))
#     subgraph ops [Operation]
#       O1[serving] --> O2[monitoring] --> O3[process management]
#     end
#     subgraph base [Foundations]
#       B1[configuration] --- B2[resource management] --- B3[analysis tools]
#     end
#     data --> M --> ops
#     base --- M
#   end
# ```

# %% [markdown]
# ## DevOps, DataOps, MLOps
#
# | | DevOps | DataOps | MLOps |
# |---|---|---|---|
# | What is shipped | code | data sets and reports | models, with the code and the data that made them |
# | What a change is | a commit | new data, a new schema | a commit, new data, or a world that has moved |
# | What a test asks | does it do what it did? | are the data complete, fresh and plausible? | both, and: is it better than what is in production? |
# | What is versioned | source | source and tables | source, tables, parameters, models, environments |
# | How it fails | loudly: an exception, an alarm | late: a wrong report | silently: a plausible wrong answer |
#
# MLOps takes over what the other two know and adds seven things. **Compliance**: you can say which data made which model, and who let it
# out. **Iterative development**: most experiments fail, so an experiment has to be cheap. **Reproducibility**: the same data and code give
# the same model. **Testing** of data and models, not only of functions. **Continuous deployment** with its three parts that you have run above.
# **Automation**, since what needs a person every month is forgotten in the third. **Monitoring**, since the world does not tell you when it changes.

# %% [markdown]
# ## Before you design: is it feasible?
#
# Needs stand on each other. You can't learn from data that you can't explore, or explore what nobody stores:
#
# ```mermaid
# flowchart BT
#   A[collect: is what you need recorded at all?] --> B[store: does it flow into one reliable place?]
#   B --> C[clean: can you explore it and trust it?] --> D[label: are there metrics, labels, features?]
#   D --> E[baseline: is there a simple answer to beat?] --> F[learn: models and experiments]
# ```
#
# Then go through the list. One honest "no" is a reason to stop, or to change the question:
#
# - Does somebody decide or act differently because of the prediction?
# - Would a rule, a lookup or a sorted list do?
# - Is the answer knowable from what is recorded at the moment of prediction?
# - Are there enough examples of what you want to predict, and may you use them?
# - Will you learn the truth later, and how much later?
# - What does a wrong answer cost, in each direction, and who pays?
# - Who keeps it running after the launch, and with which budget?
#
# ### Your turn
#
# Write the first of these gates: which need has to be met next?

# %% exercise="next_need"

# %%
exercise.check(next_need)

# %% [markdown]
# ## What lies under every application
#
# | Layer | Its question | Where you meet it here |
# |---|---|---|
# | data warehouse | where do the facts live? | `data/`, one file a month; later PostgreSQL |
# | compute | where does it run? | your laptop; a cluster in lesson 16 |
# | scheduler | when does it run, and again after a failure? | lesson 17 |
# | architecture | what depends on what? A directed graph without cycles (DAG) | lesson 17 |
# | versioning | which code, data and model was it? | lessons 03 and 07 |
# | model operations | who lets a model out, serves it, watches it? | lessons 07 to 12 |
# | feature engineering | what does the model see? | lessons 01 and 13 |
# | model development | which model, and how good? | lessons 01, 04, 14 and 15 |
#
# The lower the layer, the more it costs to change, and the less a data scientist is asked about it.
#
# Data itself is hard in four ways: **volume** (how much), **velocity** (how fast it comes and goes stale), **validity** (whether it is true) and
# **variety** (how many kinds). Validity is the one that bites first. The line of the second team was right in May; look at it in November:

# %% name="november"
last = max(live, key=lambda month: live[month]["trip_distance"].max())
longest = live[last].nlargest(1, "trip_distance").iloc[0]
print(f"longest trip: {longest['trip_distance']:,.0f} miles in {longest['duration']:.0f} minutes")
print(f"RMSE of the line with this trip:    {error(fresh_line, live[last]):,.1f} minutes")
print(f"RMSE of the line without this trip: {error(fresh_line, live[last].drop(longest.name)):,.1f} minutes")

# %% [markdown]
# One record says 46,826<!-- =november: trip: ([\d,]+) miles -->, nearly twice around the earth, and turns an error of
# 6.5<!-- =november: without this trip: +([\d.]+) --> minutes into 772.2<!-- =november: with this trip: +([\d,.]+) -->. The duration was plausible, so the
# rule of stage 1 let it pass. Gradient boosting did not notice, because beyond the farthest trip that it knows all distances are alike to
# it. Which model you have decides which data faults you see.
#
# This is **incidental complexity**: a broken meter, a changed file format, two systems that disagree. It comes with the tools, and you can
# engineer it away. **Inherent complexity** stays: that traffic depends on weather, that people react to predictions. Know which of the two you
# are paying for.

# %% [markdown]
# ## Who does what
#
# | Role | Owns | Hands over |
# |---|---|---|
# | data scientist | the question, the metric, the experiments | a model with evidence that it helps |
# | data engineer | the data on their way from source to warehouse | tables that are complete, fresh and documented |
# | ML engineer | the way from experiment to production and back | pipelines, tests, a model in service |
# | platform engineer | compute, storage, tracking, registry | a place where the others can work without asking |
# | application engineer | the product that uses the prediction | an answer to a person, and what to do when there is none |
# | DevOps engineer | delivery, availability, incidents | a service that is up, and a way to roll back |
#
# In a large company these are six people or sixty. In most, one person does four of these jobs: the same Python reads the data, trains,
# serves and monitors; managed platforms took over machines and clusters; and each handover between two people costs a week and half of what was
# known. That person does not replace a database administrator. They have to know enough of each job to see where the system will break, which is what a
# senior interview asks for, and what this course trains.

# %% [markdown]
# ## Take-aways
#
# - A model is finished when it is watched, not when it is trained. On unchanged code the error of this one rose from
#   4.44<!-- =validate: model ([\d.]+) --> to 7.38<!-- =monitor[2020-04, RMSE] --> minutes, and no line of any log said so.
# - The lifecycle has seven stages and is a loop: monitoring feeds preparation. Continuous deployment is a trigger, a retraining and a deployment.
# - MLOps is DevOps plus what data and a moving world ask for: compliance, cheap iteration, reproducibility, tests of data and
#   models, automation, monitoring.
# - Ask whether a project is feasible before you ask which model. Most answers come from the lower rungs: is it recorded, is it clean, who acts on it?
# - Fresh data beat a better model more often than not. Know the exceptions: mission-critical systems, massive scale, and a learning curve that is
#   already flat.
#
# ## In an interview
#
# - *Your model was fine at launch and nobody touched it. Why is it bad now, and how would you have known?* Shown in
#   [Once around the lifecycle](#Once-around-the-lifecycle).
# - *What does MLOps add to DevOps?* Shown in [DevOps, DataOps, MLOps](#DevOps,-DataOps,-MLOps).
# - *You have a month: better data or a better model?* Shown in [Is data worth more than modelling?](#Is-data-worth-more-than-modelling?).
#
# With the points of a good answer, and more of them: `walkforward practice --lesson 00` in a terminal.
#
# ## Up next
#
# [01 · Pipelines and baselines](01_pipelines_and_baselines.ipynb) takes the stages 3 to 5 apart and shows a score that is too good to be true.
