# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
#   walkforward:
#     ci:
#       first_month: "2018-11"
#       last_month: "2020-05"
#       simulations: 200
# ---

# %% [markdown]
# # 11a · Monitoring
#
# After this lesson you can say which of your monitors would have seen a given failure, how many days later, and how often each of them cries wolf.

# %% [markdown]
# > **You will learn to** see a failure that returns status 200<!-- given --> · keep a log of predictions that survives a crash · read and serve
# > operational metrics · judge a model whose labels come late and selectively · set alarms that people still answer after a year
# >
# > **Before you start** [03 · Tracking](03_tracking.ipynb), [09 · Serving](09_serving.ipynb)
# >
# > **Time** 55 minutes of study; it runs in under a minute
# >
# > **Interview questions it answers** All dashboards are green and the answers are wrong. How? · What do you monitor before the labels arrive? ·
# > How do you set a threshold for an alarm?

# %% [markdown]
# ## Parameters
#
# A model is trained on the second half of 2018 and never touched again. It then lives through 2019 and 2020.

# %% tags=["parameters"]
trips_path = None  # a file of your own, or one a month: "taxi/{month}.parquet"
max_trips = 300_000  # of a file of your own, drawn at random; more take more time and memory
first_month, live_from = "2018-07", "2019-01"  # trained on the months from the first until before the second
last_month = "2020-12"
quiet_from, incident_month, shock_month = "2019-08", "2019-11", "2020-04"
calm_until = "2019-12"  # the errors up to this month are the usual ones
airport, new_number = 132, 266  # a zone, and the number that it gets in one of the incidents
label_delay = 14  # days until the duration of a trip reaches you
simulations = 1_000  # histories without any incident, to count false alarms
show_seconds = False  # True prints what your machine measures

# %%
from course import own_data

incident_day = 16  # of its month
if trips_path is not None:  # your file: what the lesson needs of it, or a line that says what it lacks
    roles = {"quiet_from": quiet_from, "incident_month": incident_month, "calm_until": calm_until}
    roles |= {"first_month": first_month, "live_from": live_from, "last_month": last_month}
    trips, chosen = own_data.monthly_trips("11a", trips_path, max_trips, shock_month=shock_month, **roles)
    first_month, live_from, quiet_from, incident_month, calm_until, shock_month, last_month = chosen
    incident_trips = own_data.by_month(trips)(incident_month)
    incident_day = own_data.day_within(incident_trips)
    airport = int(incident_trips["pickup_location_id"].mode()[0])
    new_number = int(trips["pickup_location_id"].max()) + 1

# %%
import logging
import os
import time
from datetime import datetime
from pathlib import Path

import matplotlib.pyplot as plt
import mlflow
import numpy as np
import pandas as pd
import prometheus_client as prometheus
import psutil
import requests
from mlflow import MlflowClient
from prometheus_client.parser import text_string_to_metric_families
from scipy import stats
from xgboost import XGBRegressor

# %%
from course import exercise
from course.data import load_trips, months, prepare_trips
from course.exercise import TODO
from walkforward.drift import classifier_drift, drift_history, drift_report, schema_report
from walkforward.monitoring import MonitoringError, PredictionLog, drift_metric, log_drift
from walkforward.plots import PALETTE, use_style

use_style()

# %% name="trips"
if trips_path is None:
    trips = load_trips(months(first_month, last_month))
trips = prepare_trips(trips)
trips["month"] = trips["pickup_datetime"].dt.strftime("%Y-%m")
trips["hour"], trips["weekday"] = trips["pickup_datetime"].dt.hour, trips["pickup_datetime"].dt.dayofweek
ZONES = ["pickup_location_id", "dropoff_location_id"]
FEATURES = ["trip_distance", *ZONES, "hour", "weekday"]
trips[FEATURES] = trips[FEATURES].astype(float)
# A broken clock puts some trips into other years.
trips = trips[trips["month"].between(first_month, last_month)]

train, live = trips[trips["month"] < live_from], trips[trips["month"] >= live_from].copy()
model = XGBRegressor(max_depth=8, learning_rate=0.15, n_estimators=100, n_jobs=1)
model.fit(train[FEATURES], train["duration"])
naive = float(train["duration"].mean())  # the least that anybody could answer
print(f"trained on {len(train):,} trips; {len(live):,} live ones; the naive answer is {naive:.2f} minutes")

# %% [markdown]
# ## A service that never fails
#
# Here is the service that answers riders, with what lesson 09 put in front of it left out: it checks a batch of requests, predicts, and returns a status
# and the minutes. Two things in it are new. It writes each prediction into a log, and it counts.

# %%
FILES = Path("11a_monitoring_files")  # everything that this lesson writes
for old in FILES.glob("predictions.db*"):  # of an earlier run
    old.unlink()
log = PredictionLog(FILES / "predictions.db")
metrics = prometheus.CollectorRegistry()
options = {"namespace": "walkforward", "registry": metrics}
requests_seen = prometheus.Counter("requests", "Requests by outcome", ["outcome"], **options)
rows_seen = prometheus.Counter("rows", "Rows predicted", **options)
latency = prometheus.Histogram("latency_seconds", "From request to answer", **options)
cpu = prometheus.Counter("cpu_seconds", "CPU time used to answer", **options)
memory = prometheus.Gauge("memory_bytes", "Memory in use", **options)
memory.set_function(lambda: psutil.Process().memory_info().rss)


# %% name="service"
def answer(rows: pd.DataFrame) -> tuple[int, np.ndarray | None]:
    """The status, and the minutes for each row; rows carry a request_id and a pickup_datetime, too."""
    began, cpu_began, minutes = time.perf_counter(), time.process_time(), None
    lacking = sorted(set(FEATURES) - set(rows))
    if not lacking:
        minutes = model.predict(rows[FEATURES]).astype(float)
    took = time.perf_counter() - began
    latency.observe(took)
    cpu.inc(time.process_time() - cpu_began)
    rows_seen.inc(len(rows))
    requests_seen.labels(f"lacks {lacking[0]}" if lacking else "ok").inc()
    if lacking:
        return 400, None  # the client's fault
    when = rows["pickup_datetime"]  # New York's clock, taken for UTC
    row_of_log = {"request_id": rows["request_id"], "at": when, "seconds": took / len(rows)}
    log.record(rows[FEATURES], minutes, model_version="1", **row_of_log)
    return 200, minutes


# %% [markdown]
# Now replay November 2019, a day at a time. In the night to the 16th an upstream team, three doors away, moves its data from miles to kilometres. They told the people
# who read their newsletter. Write down which of the numbers below you expect to move.

# %%
KM_PER_MILE = 1.609344
month = live[live["month"] == incident_month].sort_values("pickup_datetime").copy()
month["request_id"] = [f"{incident_month}-{number:05}" for number in range(len(month))]
month["day"] = month["pickup_datetime"].dt.day
metric_since = month["day"] >= incident_day
sent = month.assign(
    trip_distance=month["trip_distance"].where(~metric_since, month["trip_distance"] * KM_PER_MILE)
)

statuses = pd.Series({day: answer(rows)[0] for day, rows in sent.groupby("day")})
month["yhat"] = log.read().set_index("request_id")["yhat"].reindex(month["request_id"]).to_numpy()

# %% name="november"
parts = month.groupby(np.where(metric_since, f"from the {incident_day}th", f"until the {incident_day - 1}th"))
summary = pd.DataFrame(
    {
        "days": parts["day"].nunique(),
        "trips": parts.size(),
        "status 200": parts["day"].agg(lambda days: f"{(statuses[days] == 200).mean():.0%}"),
        "mean answer": parts["yhat"].mean().round(1),
        "longest answer": parts["yhat"].max().round(1),
    }
).iloc[::-1]
summary

# %% [markdown]
# Every request was answered. The mean answer went from 14.3<!-- =november[until the 15th, mean answer] --> to 19.2<!-- =november[from the 16th, mean answer] --> minutes, which is a plausible length for
# a taxi ride in a cold month before the holidays, and the longest answer hardly moved. No log line is red. This is how machine learning
# fails: **silently**.
#
# Two weeks later the true durations arrive, and somebody compares. The baseline is the naive answer: always the mean of the training trips.


# %% name="truth"
def rmse(truth: pd.Series, answers: pd.Series | float) -> float:
    """Root mean squared error in minutes."""
    return float(np.sqrt(np.mean((truth - answers) ** 2)))


pd.DataFrame(
    {
        part: {"model": rmse(rows["duration"], rows["yhat"]), "naive": rmse(rows["duration"], naive)}
        for part, rows in list(parts)[::-1]
    }
).round(2)

# %% [markdown]
# The error is more than half as large again, and the model still beats the naive answer by far. So an alarm that says *worse than the baseline* would have slept too. You need
# to know what is normal for **this** model, and you need something that speaks before the truth arrives.
#
# ## The prediction log
#
# None of this could be asked if the service had not written down what it was given and what it said. One row of the log:

# %% name="row"
log.read().iloc[0].drop("seconds").to_frame("the first request")

# %% [markdown]
# - `request_id` ties the row to the request and, later, to its label. Without it no label ever finds its prediction.
# - `model_version` is there because the next incident will be blamed on the new version.
# - The features are those the model **saw**, after all preparation; a feature that is computed again later is another feature.
# - `yhat` is the answer, `y` the label, empty until somebody knows it. `seconds` (not shown) is the inference time.
#
# The log has two duties. What it has acknowledged must be on disk, whatever happens to the process in the next moment. And a client that got no
# answer will ask again, so the same request recorded twice must be one row.

# %% name="again"
first = month.iloc[[0]]
before = len(log.read())
log.record(first[FEATURES], first["yhat"], request_id=first["request_id"], model_version="1")
print("rows more after a retry:", len(log.read()) - before)

try:
    log.record(first[FEATURES], [99.0], request_id=first["request_id"], model_version="1")
except MonitoringError as refusal:
    print(refusal)

# %% [markdown]
# The course's tests kill one of four writing processes in mid-work, on SQLite and on PostgreSQL, and count: every acknowledged row is there, once. A buffer in memory
# that is written "every few seconds" fails that test, and it loses the rows that you want most, the last ones before the crash.
#
# Labels are joined by id. Late, repeated and unknown ones are normal, so the answer says what became of each.

# %% name="labels"
early = month[month["day"] < incident_day]
known = dict(zip(early["request_id"], early["duration"], strict=True))
joined = log.add_labels(known | {"nobody-asked-this": 12.0})
print(f"{joined:,} joined; unknown: {joined.unknown}")
joined = log.add_labels({**known, early["request_id"].iloc[0]: 55.0})
print(f"{joined} joined; {len(joined.repeated):,} repeated; another label than before: {joined.differing}")

# %% [markdown]
# ## The page of metrics
#
# The other new thing in the service counts. **Prometheus**, the usual collector, visits a page of your service every 15 seconds or so and keeps what it
# finds as time series. The page is text.

# %% name="page"
answer(first.drop(columns="hour"))  # one request without its hour
server, _ = prometheus.start_http_server(0, "127.0.0.1", metrics)  # port 0: a free one
try:
    page = requests.get(f"http://127.0.0.1:{server.server_port}/metrics", timeout=10).text
finally:
    server.shutdown()
    server.server_close()

shown = ("requests_total{", "rows_total ", "latency_seconds_count ")
print(
    *[line for line in page.splitlines() if line.startswith(tuple(f"walkforward_{name}" for name in shown))],
    sep="\n",
)
kinds = {
    family.name.removeprefix("walkforward_"): family.type for family in text_string_to_metric_families(page)
}
print({name: kind for name, kind in kinds.items() if not name.endswith("_created")})
if show_seconds:
    print(*[line for line in page.splitlines() if "latency_seconds" in line], sep="\n")

# %% [markdown]
# A **counter** only rises; throughput is its slope, `rate(walkforward_requests_total[5m])`. A **histogram** counts answers faster than each of a row of limits, which is enough to compute
# p99 over many servers. A **gauge** goes up and down: memory, or a drift value.
#
# These are **operational metrics**: requests, errors, latency, throughput, CPU, memory. They say whether the service is up. The refused
# request is in them, the kilometres are not. What was wrong in November is only visible in **ML metrics**:
#
# | watch | the question | known |
# |---|---|---|
# | operational | does it answer, and how fast? | at once |
# | raw inputs | is this the table that we agreed on: columns, types, units, categories, missing values? | at once |
# | features | do they look like what the model knows? | after some hundred rows |
# | features together | do they still fit each other? | after some thousand rows |
# | predictions | does the model say other things than before? | after some hundred rows |
# | accuracy | is it right? | when the labels come |
#
# From the bottom to the top you trade meaning for time. Only accuracy is what you want to know, and it comes last.
#
# ## Five incidents, six watchers
#
# Which watcher sees what? Play five incidents on real trips: the kilometres; an app release that stops sending the destination; a distance cache that is **one request
# behind**, so that every rider gets the distance of the one before; a city that gives its airport zone a new number; and April 2020. One quiet month is the control.

# %% name="incidents"
reference = live[live["month"].between(quiet_from, incident_month, inclusive="left")].copy()
quiet, shock = (live[live["month"] == one] for one in (incident_month, shock_month))
SHOCK = pd.Period(shock_month).strftime("%B %Y")
incidents = {
    "none: a quiet month": quiet,
    "miles become kilometres": quiet.assign(trip_distance=quiet["trip_distance"] * KM_PER_MILE),
    "no destination": quiet.assign(dropoff_location_id=np.nan),
    "cache one request behind": quiet.assign(trip_distance=np.roll(quiet["trip_distance"], 1)),
    "airport gets a new number": quiet.assign(
        pickup_location_id=quiet["pickup_location_id"].replace(airport, new_number)
    ),
    SHOCK: shock,
}
status_of = {}
for name, rows in incidents.items():
    status_of[name], minutes = answer(rows.assign(request_id=[f"{name} {n}" for n in range(len(rows))]))
    incidents[name] = rows.assign(yhat=minutes)
reference["yhat"] = model.predict(reference[FEATURES]).astype(float)
count = {3: "three"}.get(reference["month"].nunique(), reference["month"].nunique())
print(f"reference: {len(reference):,} trips of the {count} months before")

# %% [markdown]
# First the raw inputs. `schema_report` compares what needs no statistics: columns, types, units, categories, ranges, missing values. Zones are codes, so it is told to read them as text.


# %% name="schema"
def raw(rows: pd.DataFrame) -> pd.DataFrame:
    codes = {zone: rows[zone].astype("Int64").astype("str").where(rows[zone].notna()) for zone in ZONES}
    return rows[["trip_distance", "hour"]].assign(**codes)


schema = pd.concat({name: schema_report(raw(reference), raw(rows)) for name, rows in incidents.items()})
schema = schema.droplevel(1).rename_axis("incident").reset_index()
pd.set_option("display.max_colwidth", None)
schema = schema.drop_duplicates(["column", "change", "reason"])  # what the quiet month has, too, stands once
schema[["incident", "column", "change", "reason"]]

# %% [markdown]
# The report names the kilometres at sight. Even the quiet month has findings, and they are true: six trips with a negative distance, a few zones that autumn did not have.
# That is dirt, and dirt is work for a ticket. An alarm wants a size: here, at least one percent of the rows.
#
# (`weekday` is not watched at all: November 2019 has five Fridays and five Saturdays, more than its share, and the first thing that a drift report finds is the calendar.)
#
# The other watchers are the drift report on each feature and on the predictions, a classifier that tries to tell the two periods apart, and the error. Lesson 11b takes the first two to pieces;
# use them as instruments today. The error alarms when it leaves what 2019's months had, three standard deviations above their mean.

# %% name="watchers"
WATCHED = ["trip_distance", *ZONES, "hour"]
live["yhat"] = model.predict(live[FEATURES]).astype(float)
by_month = dict(iter(live.groupby("month")))
monthly_rmse = pd.Series({one: rmse(rows["duration"], rows["yhat"]) for one, rows in by_month.items()})
usual = monthly_rmse[monthly_rmse.index <= calm_until]
LIMIT = usual.mean() + 3 * usual.std()


def watch(name: str, rows: pd.DataFrame) -> dict[str, bool]:
    findings = schema_report(raw(reference), raw(rows))
    share = findings["reason"].str.extract(r"in ([\d.]+)% of the rows")[0].astype(float)
    apart = classifier_drift(reference, rows, WATCHED, categorical=ZONES, permutations=60)
    report = drift_report(reference, rows, [*WATCHED, "yhat"], categorical=ZONES).set_index("column")
    return {
        "operational": status_of[name] != 200,
        "raw inputs": bool((~findings["change"].eq("range") & ~(share < 1)).any()),
        "features": bool(report.loc[WATCHED, "drift"].any()),
        "features together": apart.drift,
        "predictions": bool(report.loc["yhat", "drift"]),
        "accuracy": rmse(rows["duration"], rows["yhat"]) > LIMIT,
    }


# %% name="matrix"
matrix = pd.DataFrame({name: watch(name, rows) for name, rows in incidents.items()}).T
errors = pd.Series({name: rmse(rows["duration"], rows["yhat"]) for name, rows in incidents.items()})
matrix.replace({True: "alarm", False: "·"}).assign(RMSE=errors.round(2))

# %% [markdown]
# Read it by row.
#
# - **Operational** metrics see nothing, in all five. The same trees are walked, whatever stands in the columns.
# - The **kilometres** and the **missing destination** are seen by everything else, and by the raw inputs on the first morning.
# - The **cache** is the worst of all, at 14.08<!-- =matrix[cache one request behind, RMSE] --> minutes: worse than the naive answer. Each distance is real, so no column moves and
#   no answer looks odd. Only the columns *together* are wrong, and before the labels come only a watcher that looks at them together can speak.
# - The **airport** is seen by what looks at each zone: the raw inputs, and the report on the features, to which a zone that was never there is a find. A few percent of the trips move no average.
# - **April 2020** stays below the limit of the raw inputs, and the predictions hardly move. What changed is the world, not the pipeline.
#
# No watcher sees every row. Of the three that see four of them, one is a second model, and one comes two weeks late. Two more numbers, each cheap, because somebody knew the domain: does the distance fit the two
# zones, and how large is the error in the slice that pays best?

# %% name="domain"
usual_distance = reference.groupby(ZONES)["trip_distance"].median().rename("usual")
for name in ("none: a quiet month", "cache one request behind"):
    pairs = incidents[name].join(usual_distance, on=ZONES).query("usual > 0")
    ratio = pairs["trip_distance"] / pairs["usual"]
    print(f"{name:24} {(~ratio.between(0.5, 2)).mean():.0%} at odds with the usual distance of their zones")
for name in ("none: a quiet month", "airport gets a new number"):
    rows = incidents[name][quiet["pickup_location_id"].eq(airport)]
    print(f"{name:25} RMSE from the airport {rmse(rows['duration'], rows['yhat']):.2f}")

# %% [markdown]
# The first one needs no label and finds the cache. The second one needs labels, and finds the airport: 7.18<!-- =domain: quiet month +RMSE from the airport ([\d.]+) --> minutes became 10.20<!-- =domain: number +RMSE from the airport ([\d.]+) -->.
#
# ### Your turn
#
# The unit change deserves an alarm of its own, since it has a shape that nothing else has: **all** quantiles move by the same factor. In a world that has changed they move by different ones.

# %% exercise="unit_factor"

# %%
exercise.check(unit_factor)

# %% [markdown]
# ## The labels that come first are not the labels
#
# Accuracy is what counts, so you build a report that is never late: at every full hour it takes the trips of the hour that ended and computes the error of those whose
# duration is known by then. Here are all trips of the quiet month, by what that report knew of them:

# %% name="ended"
in_time = quiet["dropoff_datetime"] <= quiet["pickup_datetime"].dt.ceil("h")
parts = [quiet.loc[known, "duration"] for known in (in_time, ~in_time)]
fig, ax = plt.subplots(figsize=(6.4, 2.7))
colors = [PALETTE["blue"], PALETTE["orange"]]
ax.hist(parts, bins=range(1, 62, 3), stacked=True, color=colors, label=["known at the full hour", "not yet"])
ax.set(xlabel="duration (minutes)", ylabel="trips")
ax.set_title("The first report knows the short trips and misses the long ones")
ax.legend()
plt.show()

# %% [markdown]
# *Figure: trips of one month by duration, stacked by whether they had ended at the full hour; nearly all trips under ten minutes had, of those over half an hour fewer than half.*
#
# What does that do to the error?


# %% name="early"
def hourly_report(rows: pd.DataFrame) -> pd.Series:
    in_time = rows["dropoff_datetime"] <= rows["pickup_datetime"].dt.ceil("h")
    known = rows[in_time]
    return pd.Series(
        {
            "share known": f"{in_time.mean():.0%}",
            "mean duration, known": known["duration"].mean(),
            "mean duration, all": rows["duration"].mean(),
            "RMSE, known": rmse(known["duration"], known["yhat"]),
            "RMSE, all": rmse(rows["duration"], rows["yhat"]),
        }
    )


pd.DataFrame({name: hourly_report(incidents[name]) for name in ("none: a quiet month", SHOCK)}).map(
    lambda value: value if isinstance(value, str) else round(value, 2)
)

# %% [markdown]
# The report flatters the model: 4.15<!-- =early[RMSE, known, none: a quiet month] --> minutes instead of 4.91<!-- =early[RMSE, all, none: a quiet month] -->. Nothing is wrong with the labels, and
# more of them would not help. A trip's duration is known when the trip has ended, so **short trips report first**, and short trips are easy. The label arrives selectively, by the very thing that you predict.
#
# The same trap has many names: loans that default early, patients who leave the study, customers who answer the survey. The cure is to wait for a **cohort**: all
# requests of one period, judged only when even the slowest label of that period must be in. Here no trip lasts over an hour, so the hour before last is complete.
#
# ### Your turn

# %% exercise="settled_rmse"

# %%
exercise.check(settled_rmse)

# %% [markdown]
# ## Known two weeks later
#
# An hour is a luxury. Say the durations come from the meters' provider with a delay of 14<!-- given --> days. What does your team know in spring 2020, and when? Meanwhile the **proxies** must do: features and predictions.

# %%
week_of = live["pickup_datetime"].dt.to_period("W").dt.start_time
shock_days = pd.Period(shock_month)
five_weeks_before = (shock_days.start_time - pd.Timedelta(weeks=5)).to_period("W").start_time
spring = live[week_of.between(five_weeks_before, shock_days.end_time)]

# %% name="weeks"
rows = []
for week, seen in spring.groupby(week_of):
    if len(seen) < 30:  # too few to compare
        continue
    report = drift_report(reference, seen, [*WATCHED, "yhat"], categorical=ZONES).set_index("column")
    rows.append(
        {
            "week of": f"{week:%d %b}",
            "trips": len(seen),
            "features that drift": int(report.loc[WATCHED, "drift"].sum()),
            "mean answer": round(seen["yhat"].mean(), 1),
            "answers drift": "alarm" if report.loc["yhat", "drift"] else "·",
            "RMSE": round(rmse(seen["duration"], seen["yhat"]), 2),
            "known on": f"{week + pd.Timedelta(days=7 + label_delay):%d %b}",
        }
    )
weeks = pd.DataFrame(rows).set_index("week of")
weeks

# %% [markdown]
# The error jumps in the week of 16 March, and you learn of it on 6 April, three weeks after it began. The features speak at the end of that first week. The predictions, which many handbooks call the best proxy, stay quiet
# for six weeks, while the error is two thirds larger than in 2019. The model knows nothing of empty streets: the same zones and distances get the same answers. A watcher of predictions sees inputs
# that move; it is blind to a change of the **relation** between inputs and truth.
#
# The first of all signals stands in a column that nobody calls machine learning: the number of trips fell from 4,935<!-- =weeks[02 Mar, trips] --> to 753<!-- =weeks[16 Mar, trips] --> in two weeks. (The course's data are a fixed number of trips a month, so
# compare counts only within March.) When your users change, your requests change first.
#
# ## One model, two years
#
# Monitoring is not a look, it is a series. The drift report of every month against the quiet reference goes to the tracking server as metrics with **steps**: one run for the model version, one step for each month.
# The error and the naive baseline go along.

# %% name="log_trend"
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
logging.getLogger("mlflow").setLevel(logging.WARNING)
mlflow.set_tracking_uri(f"sqlite:///{(FILES / 'mlflow.db').as_posix()}")
now = datetime.now()  # a new experiment each time this notebook runs
experiment = f"watching trip duration · {now:%Y-%m-%d %H:%M:%S.%f}"

history = drift_history(reference, by_month, columns=[*WATCHED, "yhat"], categorical=ZONES)
run_id = log_drift(history, experiment=experiment)
with mlflow.start_run(run_id=run_id):
    mlflow.set_tag("model_version", "1")
    for step, rows in enumerate(by_month.values()):
        mlflow.log_metric("rmse", rmse(rows["duration"], rows["yhat"]), step=step)
        mlflow.log_metric("rmse_naive", rmse(rows["duration"], naive), step=step)
print(history["period"].nunique(), "months logged")

# %% [markdown]
# A colleague who has only the address of the server reads it back. `search_runs` finds the run and knows the **last** value of each metric; `get_metric_history` has all of them.


# %% name="trend"
def trend(run_id: str, key: str) -> pd.Series:
    points = MlflowClient().get_metric_history(run_id, key)
    return pd.Series({point.step: point.value for point in points}).sort_index()


found = mlflow.search_runs(experiment_names=[experiment], filter_string="tags.model_version = '1'")
print("runs found:", len(found), "| last rmse:", found["metrics.rmse"].iloc[0].round(2))

keys = {
    "hour": drift_metric("effect", "hour"),
    "distance": drift_metric("effect", "trip_distance"),
    "answers": drift_metric("effect", "yhat"),
    "columns that drift": "drift_columns",
    "RMSE": "rmse",
    "naive": "rmse_naive",
}
lived = pd.DataFrame({label: trend(found["run_id"].iloc[0], key) for label, key in keys.items()})
lived.index = pd.Index(by_month, name="month")
lived[lived.index >= incident_month].round(2)

# %% name="lived"
names = {"naive": "naive: always the training mean", "RMSE": "the model"}
colors = [PALETTE["grey"], PALETTE["red"]]
ax = lived[list(names)].rename(columns=names).plot(style=["--", "o-"], color=colors, markersize=4)
ax.axhline(LIMIT, color=PALETTE["blue"], linewidth=1, linestyle=":", label=f"limit from {calm_until[:4]}")
ax.set(ylabel="RMSE (minutes)", ylim=(0, 12), xlabel="")
worst = lived["RMSE"].idxmax()
left = 1 - lived.loc[worst, "RMSE"] / lived.loc[worst, "naive"]
usual_left = 1 - (lived["RMSE"] / lived["naive"])[lived.index <= calm_until].mean()
found_before = f"in {calm_until[:4]} it saved {usual_left:.0%}"
ax.set_title(f"{worst}: the model saves {left:.0%} of the naive error; {found_before}")
ax.set_xticks(range(0, len(lived), 3), lived.index[::3], rotation=45)
ax.legend(loc="lower left")
plt.show()

# %% [markdown]
# *Figure: RMSE of the unchanged model and of the naive answer by month; far apart until February 2020, close together in April, and not as far apart as before by the end of the year.*
#
# In April the model was worth little more than one fixed number. It never fell below it, so once more the baseline alone would have raised no alarm; the limit from 2019 raises one in April and in every month
# since.
#
# The newest report belongs on the page of metrics as well, where a rule can turn it into an alarm:

# %% name="gauges"
drift = prometheus.Gauge("drift_detected", "Of the last report", ["column"], **options)
newest = history[history["period"] == history["period"].iloc[-1]]
for column, drifts in zip(newest["column"], newest["drift"], strict=True):
    drift.labels(column).set(drifts)
page = prometheus.generate_latest(metrics).decode()
print(*[line for line in page.splitlines() if line.startswith("walkforward_drift_detected{")], sep="\n")

# %% [markdown]
# Look at the column `hour` in the table above. Its drift never went away, because New York's nights did not come back in 2020. From May on that alarm tells nothing new. An alarm that always rings is switched off in people's
# heads: either the model is retrained, or the reference moves on, but somebody decides.
#
# ### Your turn

# %% exercise="drift_trend"

# %%
exercise.check(drift_trend)

# %% [markdown]
# ## An alarm that people still answer
#
# Now set the thresholds. The usual recipe: take quiet months, compute mean and standard deviation of each metric, alarm beyond two standard deviations. Ten metrics, twelve quiet months, and
# then 24<!-- given --> months in which nothing happens at all. How many alarms?

# %% name="fatigue"
QUIET, WATCH, METRICS = 12, 24, 10
rng = np.random.default_rng(0)
past = rng.normal(size=(simulations, QUIET, METRICS))
future = rng.normal(size=(simulations, WATCH, METRICS))  # the same world: each alarm is a false one


def false_alarms(k: float) -> np.ndarray:
    centre, spread = past.mean(axis=1, keepdims=True), past.std(axis=1, ddof=1, keepdims=True)
    return np.abs(future - centre) > k * spread


two_sigma = false_alarms(2)
expected = WATCH * METRICS * 2 * stats.norm.sf(2)
print(f"by the book: {expected:.1f} false alarms in two years")
print(
    f"really:      {two_sigma.sum(axis=(1, 2)).mean():.1f}, and {two_sigma.any(axis=2).mean():.0%} of the months have one"
)

# %% [markdown]
# The book knows mean and spread; you have estimated them from twelve months, so two sigma rings almost twice as often. More than half of all months have a false alarm. This is **alarm fatigue**: after a year of it, nobody
# opens the message in April 2020.
#
# Decide the other way round: how many false alarms may there be? One in two years, over all metrics. That fixes the probability of each check, and Student's t distribution, which knows about the twelve months, gives the factor:
#
# $$k = t_{n-1}\left(1 - \frac{b}{2\,c}\right)\sqrt{1 + \frac{1}{n}}$$
#
# with $n$ quiet months, a budget of $b$ false alarms, and $c$ checks (months × metrics).

# %% name="budget"
budget, checks = 1, WATCH * METRICS
k = stats.t.ppf(1 - budget / (2 * checks), QUIET - 1) * np.sqrt(1 + 1 / QUIET)
print(f"k = {k:.1f}: {false_alarms(k).sum(axis=(1, 2)).mean():.1f} false alarms in two years")


def signals_of(rows: pd.DataFrame) -> dict[str, float]:
    return {
        "median distance": rows["trip_distance"].median(),
        "share at night": rows["hour"].lt(6).mean(),
        "mean answer": rows["yhat"].mean(),
        "RMSE": rmse(rows["duration"], rows["yhat"]),
    }


signals = pd.DataFrame({one: signals_of(rows) for one, rows in by_month.items()}).T
base = signals[: min(QUIET, len(signals) // 2)]
sigmas = ((signals - base.mean()) / base.std())[len(base) :]
pd.DataFrame({f"beyond {one:.1f} sigma": (sigmas.abs() > one).sum() for one in (2, k)})

# %% [markdown]
# On the real signals of 2020 the wider limit gives up the small alarms: the error rings in 7<!-- =budget[RMSE, beyond 3.7 sigma] --> months instead of 9<!-- =budget[RMSE, beyond 2.0 sigma] -->. April is among them either way. Large
# incidents do not need a sensitive alarm, and small ones belong on a dashboard.
#
#
# ### Your turn

# %% exercise="alarm_limits"

# %%
exercise.check(alarm_limits)

# %% [markdown]
# ## Who is called, and what then
#
# An alarm is a question to a person. If the person can't do anything at that hour, it is a message and no alarm.
#
# | signal | goes to | how |
# |---|---|---|
# | errors, latency, the service is down | whoever is on call | phone, at night too |
# | schema: lost column, other unit, missing values | on call, together with the owner of the source | phone, if answers can do harm; use the fallback (lesson 09) |
# | accuracy below its limit | the model's owner | a call in working hours |
# | predictions or features drift | the model's owner | a ticket, looked at this week |
# | one feature of fifty beyond its limit once | nobody | a dashboard |
# | no labels, no report, no data since yesterday | on call | phone: a watcher that is dead is silent, and looks like peace |
#
# And what to do when they disagree:
#
# | data drift | predictions drift | accuracy | do |
# |---|---|---|---|
# | no | no | good | nothing |
# | yes | no | good | nothing; the model does not use what moved, or copes. Note it |
# | yes | yes | not known yet | look today: first the raw inputs, then a sample by hand. Ask for labels sooner |
# | yes | yes | good | the world moved and the model moved with it. Nothing; refresh the reference |
# | no | no | bad | the relation has changed, or the columns no longer belong together. Act: retrain on new labels, or repair the join |
# | yes | any | bad | act: fix the source if it is broken, retrain if the world has changed, use the fallback until then |
#
# ## Take-aways
#
# - A model fails silently: status, latency and a plausible average say nothing about whether the answers are right.
# - Check raw inputs at the door, watch features and predictions while you wait, and judge by labels. No watcher sees every incident.
# - The first labels are a biased sample. Judge complete cohorts, and say how many days late that is.
# - Drift of the predictions is a weak proxy: in April 2020 the answers stayed as they were, and that was the fault.
# - Set thresholds from a budget of false alarms. An alarm that nobody answers is worse than none, because it looks like monitoring.
#
# ## In an interview
#
# - *All dashboards are green and the answers are wrong. How can that be, and what would have told you?* Shown in
#   [Five incidents, six watchers](#Five-incidents,-six-watchers).
# - *Labels take weeks. What do you monitor until then, and what do the first labels tell you?* Shown in
#   [The labels that come first are not the labels](#The-labels-that-come-first-are-not-the-labels).
# - *How do you choose the threshold of an alarm?* Shown in [An alarm that people still answer](#An-alarm-that-people-still-answer).
#
# With the points of a good answer, and more of them: `walkforward practice --lesson 11a` in a terminal.
#
# ## Up next
#
# You used drift measures as instruments. [11b · Drift](11b_drift.ipynb) opens them: what each one measures, when it alarms for nothing, and how detectors are scored.
