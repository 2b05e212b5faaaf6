# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
#   walkforward:
#     ci: {}
# ---

# %% [markdown]
# # 00b · Before you build
#
# After this lesson you can say whether a machine-learning project is feasible, what surrounds the model, and who owns which part of it.

# %% [markdown]
# > **You will learn to** tell DevOps, DataOps and MLOps apart · decide whether a project is feasible before you design it · name the layers under
# > an application · find the record that breaks a model · say who does what
# >
# > **Before you start** [00a · Start here](00a_start_here.ipynb)
# >
# > **Time** 35 minutes of study; it runs in seconds
# >
# > **Interview questions it answers** What does MLOps add to DevOps? · Is this project feasible? · Who does what in an ML team?

# %% [markdown]
# ## Parameters

# %% tags=["parameters"]
train_month = "2020-04"  # a straight line learns from this month
live_month = "2020-11"  # and answers in this one

# %%
import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from course import exercise
from course.data import load_trips
from course.exercise import TODO

# %% [markdown]
# ## The plan and what comes of it
#
# In 00a two lines of thirty-one trained the model. A real system also collects and checks data, serves answers, watches itself, manages machines
# and keeps secrets: the model is a small box in the middle of it.
#
# ```mermaid
# flowchart LR
#   subgraph data [Data]
#     D1[collection] --> D2[verification] --> D3[feature extraction]
#   end
#   M((ML code))
#   subgraph ops [Operation]
#     O1[serving] --> O2[monitoring]
#   end
#   data --> M --> ops
#   base[configuration, machines, secrets, analysis tools] --- M
# ```

# %% [markdown]
# A plan often has four steps: collect data, train a model, deploy it, done. What comes is a loop. The model trains, and the metric was the
# wrong one. It trains again, and a tenth of the labels are wrong. It ships, and for one group of users it is useless. It is repaired, the world
# changes, and you are back at the data.
#
# And a model can **work technically and fail the business**: an accurate duration that nobody sees before they book, a saving smaller than the bill for the
# machines, an answer that comes when the decision is made. So agree first on the decision that will change and on how you will see that it did.

# %% [markdown]
# ## DevOps, DataOps, MLOps
#
# In **feature-driven** development you know what you will get, and ask when. Modelling is **experiment-driven**: most attempts fail, and you plan
# how many you can afford. MLOps brings the two together.
#
# | | DevOps | DataOps | MLOps |
# |---|---|---|---|
# | What is shipped | code | data sets, reports | models, with the code and data that made them |
# | What a change is | a commit | new data, a new schema | a commit, new data, a changed world |
# | What a test asks | does it still work? | complete, fresh, plausible? | both, and: better than what is in production? |
# | How it fails | loudly: an exception | late: a wrong report | silently: a plausible wrong answer |
#
# Seven practices come with it. The tools change, the questions stay:
#
# | Practice | The question | Tools today | Instead of |
# |---|---|---|---|
# | compliance | which data made this answer, who released it, can you explain it? | registry, model card, SHAP | a signed document |
# | iterative development | what did we try, and what came out? | MLflow, Weights & Biases | a spreadsheet |
# | reproducibility | same data, same code, same model? | lock files, containers, DVC | "it runs on my machine" |
# | testing | are data and model good enough to release? | pytest, pandera, Great Expectations | a look at the plot |
# | continuous deployment | trigger, retraining, release: do they need you? | GitHub Actions, Jenkins | copying files by hand |
# | automation | does it run again after a failure? | Airflow, Dagster, Prefect | cron |
# | monitoring | is it up, is it right, is it under attack? | Prometheus, Grafana, Evidently | waiting for complaints |

# %% [markdown]
# Explanations belong to compliance: in credit or medicine a person may ask why. And a public model is attacked: somebody sends inputs made to fool
# it, asks it thousands of times to copy it, or feeds it false labels. So watch who asks, how often, and with what.

# %% [markdown]
# ## Is it feasible?
#
# A taxi company wants to show the duration of a ride at booking. Before you ask which model, ask what it stands on. You can't learn from data
# that you can't explore, or explore what nobody stores:
#
# ```mermaid
# flowchart BT
#   A[collect: is what you need recorded at all?] --> B[store: does it flow into one reliable place?]
#   B --> C[clean: can you explore it and trust it?] --> D[label: are there metrics, labels, features?]
#   D --> E[baseline: is there a simple answer to beat?] --> F[learn: models and experiments]
# ```
#
# Then go through the list. A "no", or a question that nobody can answer, is a reason to stop or to change the question:
#
# - Does somebody decide or act differently because of the prediction?
# - Would a rule, a lookup or a sorted list be too little?
# - Is every input recorded, known at the moment of prediction, and may you use it?
# - Will you learn the truth later, and how much later?
# - What does a wrong answer cost, in each direction, and who pays?
# - Who keeps it running after the launch, and with which budget?

# %% [markdown]
# ### Your turn
#
# Write the first of these gates: which need has to be met next?

# %% exercise="next_need"

# %%
exercise.check(next_need)

# %% [markdown]
# ## What lies under every application
#
# | Layer | Its question | Lessons |
# |---|---|---|
# | model development | which model, and how good? | 01, 04, 14, 15 |
# | feature engineering | what does the model see? | 01, 13 |
# | model operations | who releases, serves and watches it? | 07 to 12 |
# | versioning | which code, data and model was it? | 03, 06, 07 |
# | architecture | what depends on what? A graph without cycles (**DAG**) | 17 |
# | scheduler | when does it run, and again after a failure? | 17 |
# | compute | where does it run? | 16 |
# | data warehouse | where are the facts? | 10 |
#
# The lower the layer, the more it costs to change, and the less a data scientist is asked about it.
#
# These layers have to carry many applications, and that is hard in four ways: **volume** (many models), **velocity** (from idea to production in
# days), **variety** (many kinds of data and model) and **validity** (their answers are right). Validity fails most quietly. Take a straight line
# trained on one month of trips, and a boosted model trained on the same trips, and look at both later in the year.
#
# **Predict first.** One record in 9,700<!-- given --> has a wrong distance. How much can it change the error of the whole month?


# %%
def prepare(month: str) -> pd.DataFrame:
    trips = load_trips(month)
    trips["duration"] = (trips["dropoff_datetime"] - trips["pickup_datetime"]).dt.total_seconds() / 60
    clock = trips["pickup_datetime"].dt
    return trips[trips["duration"].between(1, 60)].assign(hour=clock.hour, weekday=clock.dayofweek)


def error(model, trips: pd.DataFrame) -> float:
    return float(np.sqrt(np.mean((trips["duration"] - model.predict(trips[FEATURES])) ** 2)))


# %%
FEATURES = ["trip_distance", "pickup_location_id", "dropoff_location_id", "hour", "weekday"]
trips, live = prepare(train_month), prepare(live_month)
one_hot = OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=30)
columns = make_column_transformer(("passthrough", FEATURES[:1]), (one_hot, FEATURES[1:]))
line = make_pipeline(columns, Ridge()).fit(trips[FEATURES], trips["duration"])
boosting = HistGradientBoostingRegressor(random_state=0).fit(trips[FEATURES], trips["duration"])

# %% name="november"
longest = live.nlargest(1, "trip_distance").iloc[0]
print(f"longest trip: {longest['trip_distance']:,.0f} miles in {longest['duration']:.0f} minutes")
for name, model in {"line": line, "boosting": boosting}.items():
    print(f"RMSE of the {name} with this trip:    {error(model, live):,.1f} minutes")
    print(f"RMSE of the {name} without this trip: {error(model, live.drop(longest.name)):,.1f} minutes")

# %% [markdown]
# One record says 46,826<!-- =november: trip: ([\d,]+) miles -->, nearly twice around the earth, and turns the line's error of
# 6.5<!-- =november: line without this trip: +([\d.]+) --> minutes into 772.2<!-- =november: line with this trip: +([\d,.]+) -->. Boosting does not notice: trees ask whether a
# distance lies above a threshold, and beyond the last threshold all distances are alike. Which model you have decides which data faults you see.
#
# A broken meter is **incidental complexity**, like a changed file format or two systems that disagree: it comes with the tools, and you can
# engineer it away. **Inherent complexity** stays: traffic depends on weather, and people react to predictions. Know which of the two you
# are paying for.
#
# ### Your turn
#
# A rule in data preparation stops such records before any model sees them. Write the one for the duration. Why did it not
# stop this trip, and which rule would have?

# %% exercise="keep_plausible"

# %%
exercise.check(keep_plausible)

# %% [markdown]
# ## Who does what
#
# Its 32<!-- =november: in (\d+) minutes --> minutes are plausible; 00a has a second rule, for the distance. Who writes such a rule, who runs it, and who is called when it fires?
#
# | Role | Owns | Hands over |
# |---|---|---|
# | data scientist | the question, the metric, the experiments | a model with evidence that it helps |
# | data engineer | the data from source to warehouse | tables that are complete, fresh and documented |
# | ML engineer | the way from experiment to production and back | pipelines, tests, a model in service |
# | platform engineer | compute, storage, tracking, registry | a place where the others can work without asking |
# | application engineer | the product that uses the prediction | an answer to a person, and a way on when there is none |
# | DevOps engineer | delivery, availability, incidents | a service that is up, and a way to roll back |
#
# In a large company these are six people or sixty. In most, one person does four of these jobs: the same Python reads the data, trains,
# serves and monitors; managed platforms run the machines; and every handover costs time and knowledge. That person does not replace a
# database administrator. They know enough of each job to see where the system will break. A senior interview asks for that, and this course trains it.

# %% [markdown]
# ## Take-aways
#
# - The model is a small box in a large system, and the plan of four steps becomes a loop.
# - MLOps is DevOps plus what data and a changing world ask for: compliance, cheap experiments, reproducibility, tests of data and
#   models, continuous deployment, automation, monitoring.
# - Ask whether a project is feasible before you ask which model: is it recorded, is it clean, who acts on it, when do you learn the truth?
# - One wrong record took a linear model from 6.5<!-- =november: line without this trip: +([\d.]+) --> to
#   772.2<!-- =november: line with this trip: +([\d,.]+) --> minutes, and trees hid it. Data rules come before the model.

# %% [markdown]
# ## In an interview
#
# - *What does MLOps add to DevOps?* Shown in [DevOps, DataOps, MLOps](#DevOps,-DataOps,-MLOps).
# - *Somebody wants a prediction. How do you find out whether the project is feasible?* Shown in [Is it feasible?](#Is-it-feasible?).
# - *One absurd row: what does it do to your metric, and what do you do with it?* Shown in
#   [What lies under every application](#What-lies-under-every-application).
#
# With the points of a good answer, and more of them: `walkforward practice --lesson 00b` in a terminal.

# %% [markdown]
# ## Up next
#
# [01a · Pipelines and baselines](01a_pipelines_and_baselines.ipynb) takes training and validation apart and shows a score that is too good to be true.
