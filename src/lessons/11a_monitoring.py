# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
#   walkforward:
#     ci:
#       first_month: "2018-11"
# ---

# %% [markdown]
# # 11a · Monitoring
#
# After this lesson you can say which of your monitors would have seen a given failure, and how many days later.

# %% [markdown]
# > **You will learn to** see a failure that returns status 200<!-- given --> · keep a log of predictions that survives a crash · serve
# > operational metrics · say what each watcher sees and misses · judge a model whose labels come late and selectively
# >
# > **Before you start** [03a · Tracking](03a_tracking.ipynb), [09a · Serving](09a_serving.ipynb)
# >
# > **Time** 60 minutes of study; it runs in under half a minute
# >
# > **Interview questions it answers** All dashboards are green and the answers are wrong. How? · What belongs on the metrics page of a model service? ·
# > Why do the first labels flatter the model?

# %% [markdown]
# ## Parameters
#
# A model is trained on the second half of 2018 and never touched again. It then lives through 2019 and meets April 2020.

# %% tags=["parameters"]
trips_path = None  # a file of your own, or one a month: "taxi/{month}.parquet"
max_trips = 300_000  # of a file of your own, drawn at random; more take more time and memory
first_month, live_from = "2018-07", "2019-01"  # trained on the months from the first until before the second
last_month, calm_until = "2020-04", "2019-12"
quiet_from, incident_month, shock_month = "2019-08", "2019-11", "2020-04"
airport, new_number = 132, 266  # a zone, and the number that it gets in one of the incidents

# %%
from course import own_data

trips, incident_day = None, 16  # the course's trips; a day of the incident's month
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
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import prometheus_client as prometheus
import psutil
import requests

from course import exercise
from course.data import load_trips
from course.exercise import TODO
from projects.trip_watch import FEATURES, ZONES, rmse, under_watch
from walkforward.drift import classifier_drift, drift_report, schema_report
from walkforward.monitoring import MonitoringError, PredictionLog
from walkforward.plots import PALETTE, use_style

# %% name="trips"
trips, model = under_watch(trips, first_month, live_from, last_month)  # an XGBRegressor on five columns
live, naive = trips[trips["month"] >= live_from], trips.loc[trips["month"] < live_from, "duration"].mean()
print(f"trained on {len(trips) - len(live):,} trips; the naive answer, their mean, is {naive:.2f} minutes")

# %% [markdown]
# ## A service that never fails
#
# Here is a small service that answers riders: it checks a batch of requests, predicts, and returns a status
# and the minutes. It also does two things that are new: it writes each prediction into a log, and it counts.

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
memory = prometheus.Gauge("memory_bytes", "Memory in use", **options)
memory.set_function(lambda: psutil.Process().memory_info().rss)


# %% name="service"
def answer(rows: pd.DataFrame) -> tuple[int, np.ndarray | None]:
    """The status, and the minutes for each row; rows carry a request_id and a pickup_datetime, too."""
    began = time.perf_counter()
    lacking = sorted(set(FEATURES) - set(rows))
    requests_seen.labels(f"lacks {lacking[0]}" if lacking else "ok").inc()
    if lacking:
        return 400, None  # the client's fault
    minutes = model.predict(rows[FEATURES]).astype(float)
    took = time.perf_counter() - began
    latency.observe(took)
    rows_seen.inc(len(rows))
    keys = {"request_id": rows["request_id"], "at": rows["pickup_datetime"]}
    log.record(rows[FEATURES], minutes, model_version="1", seconds=took / len(rows), **keys)
    return 200, minutes


# %% [markdown]
# Now replay November 2019, a day at a time. In the night to the 16th an upstream team changes its unit from miles to kilometres. They announced it in their newsletter.

# %%
KM_PER_MILE = 1.609344
month = live[live["month"] == incident_month].sort_values("pickup_datetime").copy()
month["request_id"] = [f"{incident_month}-{number:05}" for number in range(len(month))]
month["day"] = month["pickup_datetime"].dt.day
in_km = month["trip_distance"] * KM_PER_MILE
sent = month.assign(trip_distance=month["trip_distance"].where(month["day"] < incident_day, in_km))
statuses = pd.Series({day: answer(rows)[0] for day, rows in sent.groupby("day")})
month["yhat"] = log.read().set_index("request_id")["yhat"].reindex(month["request_id"]).to_numpy()

# %% [markdown]
# **Predict first.** The table below compares the days before and after. Which of these move: the share of status 200<!-- given -->, the mean answer, the longest answer? Would you notice on a dashboard?

# %% name="november"
after = month["day"] >= incident_day
parts = month.groupby(
    after.map({False: f"until the {incident_day - 1}th", True: f"from the {incident_day}th"})
)
ok = parts["day"].agg(lambda days: f"{(statuses[days] == 200).mean():.0%}")
answers = parts["yhat"].agg(["size", "mean", "max"]).round(1)
answers.columns = ["trips", "mean answer", "longest answer"]
answers.assign(**{"status 200": ok}).rename_axis(None).iloc[::-1]

# %% [markdown]
# Every request was answered. The mean answer went from 14.3<!-- =november[until the 15th, mean answer] --> to 19.2<!-- =november[from the 16th, mean answer] --> minutes, a plausible length for
# a taxi ride in a cold month before the holidays, and the longest answer hardly moved. No log line is red. This is how machine learning
# fails: **silently**.
#
# Two weeks later the true durations arrive, and somebody compares. The naive answer is always the mean of the training trips.

# %% name="truth"
errors = {
    part: {"model": rmse(rows["duration"], rows["yhat"]), "naive": rmse(rows["duration"], naive)}
    for part, rows in list(parts)[::-1]
}
pd.DataFrame(errors).round(2)

# %% [markdown]
# The error is more than half as large again, and the model still beats the naive answer by far. An alarm for *worse than the baseline* would have stayed quiet. You need
# to know what is normal for **this** model, and you need something that speaks before the truth arrives.
#
# ## The prediction log
#
# You can ask these questions only because the service wrote down what it was given and what it said. One row of the log:

# %% name="row"
log.read().iloc[0].drop("seconds").to_frame("the first request")

# %% [markdown]
# - `request_id` ties the row to the request and, later, to its label.
# - `model_version` is there because the next incident will be blamed on the new version.
# - The features are those the model **saw**. Compute some of them again with the training code and compare row by row: a difference is **train/serve skew**, two codes for one feature.
# - `yhat` is the answer, `y` the label, empty until it is known.
#
# The log has two duties. What it has acknowledged must be on disk, even if the process dies in the next moment. And a client that got no
# answer will ask again, so the same request recorded twice must be one row.

# %% name="again"
first = month.iloc[[0]]
before = len(log.read())
log.record(first[FEATURES], first["yhat"], request_id=first["request_id"], model_version="1")
print("rows more after a retry:", len(log.read()) - before)

# %% name="other"
try:
    log.record(first[FEATURES], [99.0], request_id=first["request_id"], model_version="1")
except MonitoringError as refusal:
    print(refusal)

# %% [markdown]
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
# The service also counts. **Prometheus**, the usual collector, reads a page of your service every 15 seconds or so and keeps what it
# finds as time series. The page is text.

# %% name="page"
answer(first.drop(columns="hour"))  # one request without its hour
server, _ = prometheus.start_http_server(0, "127.0.0.1", metrics)  # port 0: a free one
try:
    page = requests.get(f"http://127.0.0.1:{server.server_port}/metrics", timeout=10).text
finally:
    server.shutdown()
    server.server_close()
kinds = [line for line in page.splitlines() if line.startswith("# TYPE") and "_created" not in line]
counted = ("walkforward_requests_total", "walkforward_rows_total")  # latency is your machine's
print(*kinds, *[line for line in page.splitlines() if line.startswith(counted)], sep="\n")

# %% [markdown]
# A **counter** only rises; throughput is its slope, `rate(walkforward_requests_total[5m])`. A **histogram** counts answers faster than each of a row of limits, which is enough to compute
# p99 over many servers. A **gauge** goes up and down, such as memory.
#
# These are **operational metrics**: requests, errors, latency, throughput, CPU, memory; on a GPU also `DCGM_FI_DEV_GPU_UTIL`, `DCGM_FI_DEV_FB_USED` and `DCGM_FI_DEV_XID_ERRORS` from NVIDIA's exporter. They say whether the service is up. The refused
# request is in them, the kilometres are not. Those show only in **ML metrics**:
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
# The higher a row, the sooner you know it; the lower, the more it means.

# %% [markdown]
# ## Five incidents, six watchers
#
# Which watcher sees what? Play five incidents on real trips: the kilometres; an app release that stops sending the destination; a distance cache that is **one request
# behind**, so that every rider gets the distance of the one before; a city that gives its airport zone a new number; and April 2020. One quiet month is the control.

# %% name="incidents"
reference = live[live["month"].between(quiet_from, incident_month, inclusive="left")]
quiet, shock = (live[live["month"] == one] for one in (incident_month, shock_month))
SHOCK = pd.Period(shock_month).strftime("%B %Y")
new_zones = quiet["pickup_location_id"].replace(airport, new_number)
incidents = {
    "none: a quiet month": quiet,
    "miles become kilometres": quiet.assign(trip_distance=quiet["trip_distance"] * KM_PER_MILE),
    "no destination": quiet.assign(dropoff_location_id=np.nan),
    "cache one request behind": quiet.assign(trip_distance=np.roll(quiet["trip_distance"], 1)),
    "airport gets a new number": quiet.assign(pickup_location_id=new_zones),
    SHOCK: shock,
}
status_of = {}
for name, rows in incidents.items():
    status_of[name], minutes = answer(rows.assign(request_id=[f"{name} {n}" for n in range(len(rows))]))
    incidents[name] = rows.assign(yhat=minutes)

# %% [markdown]
# First the raw inputs. `schema_report` compares what needs no statistics. Zones are codes, so it is told to read them as text.


# %% name="schema"
def raw(rows: pd.DataFrame) -> pd.DataFrame:
    codes = {zone: rows[zone].astype("Int64").astype("str").where(rows[zone].notna()) for zone in ZONES}
    return rows[["trip_distance", "hour"]].assign(**codes)


schema = pd.concat({name: schema_report(raw(reference), raw(rows)) for name, rows in incidents.items()})
schema = schema.droplevel(1).rename_axis("incident").reset_index()
schema = schema.drop_duplicates(
    ["column", "change", "reason"]
)  # what the quiet month has, too, is shown once
print(*(schema["incident"] + " | " + schema["column"] + " | " + schema["reason"]), sep="\n")

# %% [markdown]
# The report names the kilometres at sight. Even the quiet month has findings, and they are true: six trips with a negative distance, a few zones that the reference did not have.
# That is work for a ticket. An alarm wants a size: here, at least one percent of the rows.
#
# The other watchers are a drift report on each feature and on the predictions, a classifier that tries to tell the two periods apart, and the error. [11c](11c_drift.ipynb) and [11d](11d_detectors.ipynb) take them to pieces;
# use them as instruments today. The error alarms three standard deviations above its mean in the months **before** the incident.

# %% name="watchers"
WATCHED = ["trip_distance", *ZONES, "hour"]
past = live[live["month"] < incident_month]
usual = past.groupby("month")[["duration", "yhat"]].apply(lambda rows: rmse(rows["duration"], rows["yhat"]))
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


# %% [markdown]
# **Predict first.** Six rows, six watchers. Which incident do you expect most watchers to miss?

# %% name="matrix"
matrix = pd.DataFrame({name: watch(name, rows) for name, rows in incidents.items()}).T
errors = pd.Series({name: rmse(rows["duration"], rows["yhat"]) for name, rows in incidents.items()})
matrix.replace({True: "alarm", False: "·"}).assign(RMSE=errors.round(2))

# %% [markdown]
# - **Operational** metrics see nothing, in all five. The same trees are evaluated, whatever is in the columns.
# - The **kilometres** and the **missing destination** are seen by everything else, and by the raw inputs on the first morning.
# - The **cache** is the worst of all, at 14.08<!-- =matrix[cache one request behind, RMSE] --> minutes: worse than the naive answer. Each distance is real, so no column moves and
#   no answer looks odd. Only the columns *together* are wrong.
# - The **airport** is seen by what looks at each zone: the raw inputs and the features. A few percent of the trips move no average.
# - **April 2020** passes the raw inputs, and the predictions hardly move. What changed is the world, not the pipeline.

# %% [markdown]
# No watcher sees every row. Two more numbers are cheap when somebody knows the domain: does the distance fit the two
# zones, and how large is the error in the slice that pays best?

# %% name="domain"
usual_distance = reference.groupby(ZONES)["trip_distance"].median().rename("usual")
for name in ("none: a quiet month", "cache one request behind", "airport gets a new number"):
    pairs = incidents[name].join(usual_distance, on=ZONES).query("usual > 0")
    odd = ~(pairs["trip_distance"] / pairs["usual"]).between(0.5, 2)
    error = rmse(
        *incidents[name].loc[quiet["pickup_location_id"].eq(airport), ["duration", "yhat"]].to_numpy().T
    )
    print(f"{name:25} {odd.mean():.0%} at odds with their zones; RMSE from the airport {error:.2f}")

# %% [markdown]
# The first one needs no label and finds the cache. The second one needs labels, and finds the airport: 7.18<!-- =domain: quiet month .*RMSE from the airport ([\d.]+) --> minutes became 10.20<!-- =domain: number .*RMSE from the airport ([\d.]+) -->.
#
# A model that anybody may ask is also asked by people who mean harm: thousands of queries that **copy** it, inputs tuned to fool it (**evasion**), invented feedback that **poisons** the next training. Count requests and unusual inputs by client, limit their rate, and keep feedback of unknown origin out of training.

# %% [markdown]
# ### Your turn
#
# The unit change deserves an alarm of its own, since it has a shape that nothing else has: **all** quantiles move by the same factor. In a world that has changed they move by different ones.

# %% exercise="unit_factor"

# %%
exercise.check(unit_factor)

# %% [markdown]
# ## The labels that come first are not the labels
#
# Accuracy is what counts, so you build a report that is never late: at every full hour it takes the trips that began in the hour before and computes the error of those whose
# duration is known by then. Here are all trips of the quiet month, by what that report knew of them:

# %% name="ended"
use_style()
in_time = quiet["dropoff_datetime"] <= quiet["pickup_datetime"].dt.ceil("h")
sides = [quiet.loc[known, "duration"] for known in (in_time, ~in_time)]
fig, ax = plt.subplots(figsize=(6.4, 2.7))
colors = [PALETTE["blue"], PALETTE["orange"]]
ax.hist(sides, bins=range(1, 62, 3), stacked=True, color=colors, label=["known at the full hour", "not yet"])
ax.set(xlabel="duration (minutes)", ylabel="trips")
ax.set_title("The first report knows the short trips and misses the long ones")
ax.legend()
plt.show()

# %% [markdown]
# *Figure: trips of one month by duration, stacked by whether they had ended at the full hour; about nine in ten trips under ten minutes had, of those over half an hour fewer than half.*

# %% name="early"
found = {}
for name in ("none: a quiet month", SHOCK):
    rows = incidents[name]
    known = rows[rows["dropoff_datetime"] <= rows["pickup_datetime"].dt.ceil("h")]
    found[name] = {"known": len(known) / len(rows), "RMSE known": rmse(known["duration"], known["yhat"])}
pd.DataFrame(found).T.assign(**{"RMSE all": errors}).round(2)

# %% [markdown]
# The report flatters the model: 4.15<!-- =early[none: a quiet month, RMSE known] --> minutes instead of 4.91<!-- =early[none: a quiet month, RMSE all] -->. Nothing is wrong with the labels, and
# more of them would not help. A trip's duration is known when the trip has ended, so **short trips report first**, and short trips are easy. Loans that default early and customers who answer the survey are the same trap.
#
# The cure is to wait for a **cohort**: all requests of one period, judged only when even the slowest label of that period must be in. How long is that?

# %% name="longest"
recorded = load_trips(incident_month) if trips_path is None else trips[trips["month"] == incident_month]
took = (recorded["dropoff_datetime"] - recorded["pickup_datetime"]).dt.total_seconds() / 60
print(f"trips over an hour: {(took > 60).mean():.1%}; the longest: {took.max():,.0f} minutes")

# %% [markdown]
# All trips of this lesson end within the hour, but only because the course's data were filtered **on the label**: trips of 1 to 60<!-- given --> minutes. In the records 1.1<!-- =longest: hour: ([\d.]+)% --> % take longer, up to a whole day of a meter that nobody switched off. In production
# no filter can know that. Fix an age at which each cohort is judged, compare cohorts at equal age, and report the share that is still without a label.
#
# ### Your turn

# %% exercise="settled_rmse"

# %%
exercise.check(settled_rmse)

# %% [markdown]
# ## Take-aways
#
# - A model fails silently: status, latency and a plausible average say nothing about whether the answers are right.
# - Log each prediction with its id, its version and the features the model saw; without that log nothing can be asked later.
# - Check raw inputs at the door, watch features and predictions while you wait, and judge by labels. No watcher sees every incident.
# - The first labels are a biased sample. Judge complete cohorts at a fixed age, and say how late that is.

# %% [markdown]
# ## In an interview
#
# - *All dashboards are green and the answers are wrong. How can that be, and what would have told you?* Shown in
#   [Five incidents, six watchers](#Five-incidents,-six-watchers).
# - *Labels take weeks. What do the first ones tell you?* Shown in
#   [The labels that come first are not the labels](#The-labels-that-come-first-are-not-the-labels).
# - *What would you put on the metrics page of a model service?* Shown in [The page of metrics](#The-page-of-metrics).
#
# With the points of a good answer, and more of them: `walkforward practice --lesson 11a` in a terminal.
#
# ## Up next
#
# You know what each watcher sees. [11b · Alarms](11b_alarms.ipynb) decides when somebody is called: what is known in time, which limit, and who.
