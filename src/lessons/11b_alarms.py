# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
#   walkforward:
#     ci:
#       last_month: "2020-05"
#       simulations: 200
# ---

# %% [markdown]
# # 11b · Alarms
#
# After this lesson you can set an alarm that is answered after a year: on a signal that is known in time, with a limit from a budget of false alarms, written as a Prometheus rule, addressed to somebody.

# %% [markdown]
# > **You will learn to** say what is known on which day · estimate an error without labels and say when that fails · log drift as a trend and read it back ·
# > tell an ageing model from a season · derive a limit from a budget · write an alert rule
# >
# > **Before you start** [11a · Monitoring](11a_monitoring.ipynb)
# >
# > **Time** 60 minutes of study; it runs in under half a minute
# >
# > **Interview questions it answers** What do you monitor before the labels arrive? · How do you set a threshold for an alarm? · The error has crept up for months. Do you retrain?

# %% [markdown]
# ## Parameters
#
# A model is trained on 2018 and never touched again. It lives through 2019 and 2020.

# %% tags=["parameters"]
trips_path = None  # a file of your own, or one a month: "taxi/{month}.parquet"
max_trips = 300_000  # of a file of your own, drawn at random; more take more time and memory
first_month, live_from = "2018-01", "2019-01"  # trained on the months from the first until before the second
last_month = "2020-12"
quiet_from, incident_month, shock_month = (
    "2019-08",
    "2019-11",
    "2020-04",
)  # reference: from the first to the second
calm_until = "2019-12"  # the errors up to this month are the usual ones
label_delay = 14  # days until the duration of a trip reaches you
simulations = 1_000  # histories without any incident, to count false alarms

# %%
from course import own_data

trips = None  # the course's
if trips_path is not None:  # your file: what the lesson needs of it, or a line that says what it lacks
    roles = {"quiet_from": quiet_from, "incident_month": incident_month, "calm_until": calm_until}
    roles |= {"first_month": first_month, "live_from": live_from, "last_month": last_month}
    trips, chosen = own_data.monthly_trips("11b", trips_path, max_trips, shock_month=shock_month, **roles)
    first_month, live_from, quiet_from, incident_month, calm_until, shock_month, last_month = chosen

# %%
import logging
import os
import re
from datetime import datetime
from pathlib import Path

import matplotlib.pyplot as plt
import mlflow
import numpy as np
import pandas as pd
import prometheus_client as prometheus
import yaml
from mlflow import MlflowClient
from scipy import stats
from xgboost import XGBRegressor

from course import exercise
from course.exercise import TODO
from projects.trip_watch import FEATURES, ZONES, rmse, under_watch
from walkforward.drift import drift_history, drift_report, plot_history
from walkforward.monitoring import drift_metric, log_drift
from walkforward.plots import PALETTE, use_style

# %% name="trips"
use_style()
trips, model = under_watch(trips, first_month, live_from, last_month)  # an XGBRegressor on five columns
train, live = trips[trips["month"] < live_from], trips[trips["month"] >= live_from]
by_month = dict(iter(live.groupby("month")))
reference = live[live["month"].between(quiet_from, incident_month, inclusive="left")]
WATCHED = ["trip_distance", *ZONES, "hour"]

# %% [markdown]
# ## Known two weeks later
#
# Say the durations come from the meters' provider with a delay of 14<!-- given --> days. What does your team know in spring 2020, and when? Meanwhile the **proxies** must do: features and predictions.

# %%
week_of = live["pickup_datetime"].dt.to_period("W").dt.start_time
shock_days = pd.Period(shock_month)
five_weeks_before = (shock_days.start_time - pd.Timedelta(weeks=5)).to_period("W").start_time
spring = live[week_of.between(five_weeks_before, shock_days.end_time)]

# %% name="weeks"
rows = {}
for week, seen in spring.groupby(week_of):
    if len(seen) < 30:  # too few to compare
        continue
    report = drift_report(reference, seen, [*WATCHED, "yhat"], categorical=ZONES).set_index("column")
    rows[f"{week:%d %b}"] = {
        "trips": len(seen),
        "features that drift": int(report.loc[WATCHED, "drift"].sum()),
        "answers drift": "alarm" if report.loc["yhat", "drift"] else "·",
        "RMSE": round(rmse(seen["duration"], seen["yhat"]), 2),
        "known on": f"{week + pd.Timedelta(days=7 + label_delay):%d %b}",
    }
weeks = pd.DataFrame(rows).T.rename_axis("week of")
weeks

# %% [markdown]
# The error jumps in the week of 16 March, and you learn of it on 6 April, three weeks after it began. The features speak at the end of that first week. The predictions, which many handbooks call the best proxy, stay quiet
# for six weeks. The model knows nothing of empty streets: the same zones and distances get the same answers. A watcher of predictions is blind to a change of the **relation** between inputs and truth.
#
# The first signal of all is the number of trips: it fell from 4,935<!-- =weeks[02 Mar, trips] --> to 753<!-- =weeks[16 Mar, trips] --> in two weeks. (The course's data are a fixed number of trips a month, so
# compare counts only within March.)

# %% [markdown]
# ## An error without labels
#
# Can you estimate the error before the labels come? **Direct loss estimation** trains a second model on past, settled trips: from the inputs it predicts how far the first model will be off. (For a classifier, the mean of calibrated
# probabilities does it: CBPE. NannyML has both.)
#
# **Predict first.** The second model learns from the first ten months of 2019. Will its estimate rise in April 2020? And when the trips become longer?

# %%
settled = live[live["month"] < incident_month]
judge = XGBRegressor(max_depth=5, n_estimators=60, learning_rate=0.15, n_jobs=1)
judge.fit(settled[FEATURES], (settled["duration"] - settled["yhat"]).abs())

# %% name="estimate"
quiet = by_month[incident_month]
longer = quiet.sample(
    len(quiet), replace=True, weights=1 + 3.0 * (quiet["trip_distance"] > 5), random_state=0
)
rows = {}
for name, seen in {
    "quiet": quiet,
    "four times the long trips": longer,
    shock_month: by_month[shock_month],
}.items():
    real = (seen["duration"] - seen["yhat"]).abs().mean()
    rows[name] = {"estimated error": judge.predict(seen[FEATURES]).mean(), "real error (min)": real}
pd.DataFrame(rows).T.round(2)

# %% [markdown]
# With other trips on the same streets the estimate rises as the error does. In April 2020 it says 3.35<!-- =estimate[2020-04, estimated error] --> minutes where the truth is 5.79<!-- =estimate[2020-04, real error (min)] -->. The method assumes that $P(Y \mid X)$ is what it was when the second model learned: exactly what you are afraid of.
#
# ## One model, two years
#
# One report is a moment; monitoring needs the series. The drift report of every month goes to the tracking server as metrics with **steps**: one run for the model version, one step for each month.

# %% name="log_trend"
FILES = Path("11b_alarms_files")  # everything that this lesson writes
FILES.mkdir(exist_ok=True)
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
logging.getLogger("mlflow").setLevel(logging.WARNING)
mlflow.set_tracking_uri(f"sqlite:///{(FILES / 'mlflow.db').as_posix()}")
experiment = f"watching trip duration · {datetime.now():%Y-%m-%d %H:%M:%S.%f}"  # a new one at each run

history = drift_history(reference, by_month, columns=[*WATCHED, "yhat"], categorical=ZONES)
run_id = log_drift(history, experiment=experiment)
with mlflow.start_run(run_id=run_id):
    mlflow.set_tag("model_version", "1")
    for step, rows in enumerate(by_month.values()):
        mlflow.log_metric("rmse", rmse(rows["duration"], rows["yhat"]), step=step)

# %% [markdown]
# A colleague who has only the address of the server reads it back. `search_runs` finds the run and knows the **last** value of each metric; `get_metric_history` has all of them.

# %% name="lived"
found = mlflow.search_runs(experiment_names=[experiment], filter_string="tags.model_version = '1'")
points = MlflowClient().get_metric_history(found["run_id"].iloc[0], "rmse")
error = pd.Series({point.step: point.value for point in points}).sort_index().set_axis(list(by_month))
print("last value:", found["metrics.rmse"].iloc[0].round(2), "| steps:", len(error))
print("name of a drift metric:", drift_metric("effect", "trip_distance"))

# %% name="map"
plot_history(history)
plt.show()

# %% [markdown]
# *Figure: heat map of the drift effect, five columns by 24 months, a dot for drift. From April 2020 on there are dots in the zones and the hour, in some months also in distance and answers.*
#
# The hours never come back in 2020. From May on that alarm tells nothing new. An alarm that always rings is ignored: either the model is retrained or the reference changes, but somebody decides.
#
# ### Your turn

# %% exercise="drift_trend"

# %%
exercise.check(drift_trend)

# %% [markdown]
# ## Ageing, or November?
#
# From March to December 2019 the error rises from 3.93<!-- =season[2019-03, RMSE] --> to 5.03<!-- =season[2019-12, RMSE] --> minutes. Does the model age? Before you retrain, ask what the error of such a model is at that **time of the year**. Train one on half of the trips of 2018, and take its error on the other half, month by month.

# %%
half = train.sample(frac=0.5, random_state=0)
other = train.drop(half.index)
young = XGBRegressor(max_depth=8, learning_rate=0.15, n_estimators=100, n_jobs=1)
young.fit(half[FEATURES], half["duration"])
other = other.assign(yhat=young.predict(other[FEATURES]).astype(float))

# %% name="season"
usual = {int(month[5:]): rmse(rows["duration"], rows["yhat"]) for month, rows in other.groupby("month")}
season = pd.DataFrame({"RMSE": error, "usual": [usual.get(int(month[5:]), np.nan) for month in error.index]})
season["usual"] = season["usual"].fillna(np.mean(list(usual.values())))  # a month that train lacks
season["ratio"] = season["RMSE"] / season["usual"]
calm = season[season.index <= calm_until]
alike = {name: round(float(calm[name].autocorr()), 2) for name in ("RMSE", "ratio")}
print("correlation with the month before:", alike)
season.round(2)

# %% name="ratio"
ax = season[["RMSE", "usual"]].plot(
    style=["o-", "--"], color=[PALETTE["red"], PALETTE["grey"]], figsize=(6.4, 3)
)
ax.set(ylabel="RMSE (minutes)", ylim=(0, 8.5), xlabel="", title="2019 is season, April 2020 is not")
ax.set_xticks(range(0, len(season), 3), season.index[::3], rotation=45)
plt.show()
# %% [markdown]
# *Figure: the model's RMSE by month, and the usual error of that time of the year. The two lines run together through 2019; in April 2020 the model's error jumps far above and comes back slowly until November.*
#
# A fresh model has the same autumn: November and December are hard. The ratio to the usual error is 1.06<!-- =season[2019-12, ratio] --> in December 2019 and 1.81<!-- =season[2020-04, ratio] --> in April 2020. In February 2020, untouched, the error is back at 4.18<!-- =season[2020-02, RMSE] -->. Retraining in December would have got the credit for it.

# %% [markdown]
# ## An alarm that people still answer
#
# Now the limits. The usual recipe: take quiet months, compute mean and standard deviation of each metric, alarm beyond two standard deviations.
#
# **Predict first.** Ten metrics, twelve quiet months, and
# then 24<!-- given --> months in which nothing happens at all. How many alarms?

# %% name="histories"
QUIET, WATCH, METRICS = 12, 24, 10


def false_alarms(k: float, alike: float = 0.0) -> np.ndarray:
    """Alarms in histories without any incident; `alike` is the correlation of a month with the one before."""
    months = np.random.default_rng(0).normal(size=(QUIET + WATCH, simulations, METRICS))
    for now in range(1, len(months)):
        months[now] = alike * months[now - 1] + np.sqrt(1 - alike**2) * months[now]
    past, future = months[:QUIET], months[QUIET:]
    return np.abs(future - past.mean(axis=0)) > k * past.std(axis=0, ddof=1)


# %% name="fatigue"
two_sigma = false_alarms(2)
print(f"by the book: {WATCH * METRICS * 2 * stats.norm.sf(2):.1f} false alarms in two years")
print(f"really:      {two_sigma.sum(axis=(0, 2)).mean():.1f}", end="")
print(f", and {two_sigma.any(axis=2).mean():.0%} of the months have one")

# %% [markdown]
# The book knows mean and spread; you have estimated them from twelve months, so two sigma rings almost twice as often. More than half of all months have a false alarm. This is **alarm fatigue**: after a year of it, nobody
# opens the message in April 2020.
#
# Decide the other way round: how many false alarms may there be? One in two years, over all metrics. That fixes the probability of each check, and Student's t distribution, which knows about the twelve months, gives the factor:
#
# $$k = t_{n-1}\left(1 - \frac{b}{2\,c}\right)\sqrt{1 + \frac{1}{n}}$$
#
# with $n$ quiet months, a budget of $b$ false alarms, and $c$ checks (months × metrics). It assumes that months are **independent** and roughly normal; the metrics may depend on each other.


# %% name="budget"
def factor(n: int, checks: int, budget: float = 1.0) -> float:
    return stats.t.ppf(1 - budget / (2 * checks), n - 1) * np.sqrt(1 + 1 / n)


k = factor(QUIET, WATCH * METRICS)
print(f"k = {k:.1f}: {false_alarms(k).sum(axis=(0, 2)).mean():.1f} false alarms in two years")
for alike in (0.3, 0.5, 0.7):
    print(f"months alike ({alike}): {false_alarms(k, alike).sum(axis=(0, 2)).mean():.1f}")

# %% [markdown]
# Where a month is like the one before, the promise breaks: at a correlation of one half there are three times as many. So take the season out first, as above: the raw error of 2019 has a correlation of 0.81<!-- =season: 'RMSE': ([\d.]+) -->, its ratio none of that kind (twelve values are a rough guide). And $k$ belongs to the number of checks: 2020 has twelve months of four metrics, 48<!-- given --> checks.

# %% name="signals"
signals = pd.DataFrame(
    {
        "median distance": {one: rows["trip_distance"].median() for one, rows in by_month.items()},
        "share at night": {one: rows["hour"].lt(6).mean() for one, rows in by_month.items()},
        "mean answer": {one: rows["yhat"].mean() for one, rows in by_month.items()},
        "RMSE / usual": season["ratio"],
    }
)

# %% name="beyond"
base, watched = signals[: len(calm)], signals[len(calm) :]
sigmas = ((watched - base.mean()) / base.std()).abs()
own_k = factor(len(base), watched.size)
pd.DataFrame({f"beyond {one:.1f} sigma": (sigmas > one).sum() for one in (2, own_k)})

# %% [markdown]
# Two sigma rings for the error in January 2020, when nothing had happened, and in March, when something had; the limit from the budget rings in neither. That is its price. April is among the alarms either way: large incidents need no sensitive alarm, and small ones belong on a dashboard (Grafana is the usual one).
#
# ### Your turn

# %% exercise="alarm_limits"

# %%
exercise.check(alarm_limits)

# %% [markdown]
# ## A rule that rings
#
# An alarm lives where the metrics are. The service exports its newest drift and error as **gauges**, and Prometheus evaluates **alert rules**: an expression, how long it must hold (`for`), and labels that decide who is called.

# %% name="rules"
RULES = """
groups:
  - name: trip-duration
    rules:
      - alert: RequestsRefused
        expr: sum(rate(walkforward_requests_total{outcome!="ok"}[5m])) / sum(rate(walkforward_requests_total[5m])) > 0.05
        for: 10m
        labels: {severity: page}
      - alert: ErrorOverLimit
        expr: walkforward_rmse_ratio > 1.2
        for: 1h
        labels: {severity: ticket}
      - alert: MonitorSilent
        expr: time() - walkforward_report_timestamp > 129600
        labels: {severity: page}
"""

# %% [markdown]
# **Predict first.** Prometheus accepts these rules. One of them can never ring. Which?

# %% name="page"
metrics = prometheus.CollectorRegistry()
options = {"namespace": "walkforward", "registry": metrics}
prometheus.Counter("requests", "Requests by outcome", ["outcome"], **options).labels("ok").inc()
prometheus.Gauge("rmse_ratio", "RMSE of the last cohort over the usual", **options).set(
    season["ratio"].iloc[-1]
)
prometheus.Gauge("report_timestamp_seconds", "Time of the last report", **options).set_to_current_time()
exported = set(re.findall(r"^walkforward_\w+", prometheus.generate_latest(metrics).decode(), re.MULTILINE))
for rule in yaml.safe_load(RULES)["groups"][0]["rules"]:
    missing = set(re.findall(r"walkforward_\w+", rule["expr"])) - exported
    print(f"{rule['alert']:16} {'nobody exports ' + missing.pop() if missing else 'ok'}")

# %% [markdown]
# A comparison with a metric that does not exist is empty, and an empty result is no alarm. `promtool check rules` finds wrong syntax, not this; test both, and let `promtool test rules` play a series that must ring. The third rule is the most important one: a watcher that is dead is silent.

# %% [markdown]
# ## Who is called
#
# An alarm is a question to a person. If the person can't do anything at that hour, it is a message and no alarm.
#
# | signal | goes to | how |
# |---|---|---|
# | errors, latency, the service is down | on call | phone, at night too |
# | schema: lost column, other unit, missing values | on call and the owner of the source | phone, if answers can do harm; use the fallback |
# | error over its limit | the model's owner | a call in working hours |
# | predictions or features drift | the model's owner | a ticket, looked at this week |
# | one feature of fifty beyond its limit once | nobody | a dashboard |
# | no labels, no report, no data since yesterday | on call | phone |
#
# What to do when the signals disagree is the table of [11d](11d_detectors.ipynb). Tools by name: Prometheus and its Alertmanager call, Grafana draws, Evidently writes drift reports, NannyML estimates errors without labels.

# %% [markdown]
# ## Take-aways
#
# - Say for each signal on which day it is known. Volume and features speak first, the error weeks later.
# - An error estimated without labels assumes that $P(Y \mid X)$ stays; drift of the predictions is as blind. In April 2020 both missed it.
# - Compare an error with what is usual at that time of the year, before you call it ageing.
# - Set limits from a budget of false alarms: Student's t, the number of checks, independent months. Season and slow swings break the last one.
# - A rule on a metric that nobody exports never rings. Alarm on silence too.

# %% [markdown]
# ## In an interview
#
# - *Labels take weeks. What do you monitor until then?* Shown in [Known two weeks later](#Known-two-weeks-later) and [An error without labels](#An-error-without-labels).
# - *How do you choose the threshold of an alarm?* Shown in [An alarm that people still answer](#An-alarm-that-people-still-answer).
# - *The error has crept up since spring. Do you retrain?* Shown in [Ageing, or November?](#Ageing,-or-November?).
#
# With the points of a good answer, and more of them: `walkforward practice --lesson 11b` in a terminal.
#
# ## Up next
#
# You used drift measures as instruments. [11c · Drift](11c_drift.ipynb) opens them: what can move, and what each measure sees.
