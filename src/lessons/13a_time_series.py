# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
#   walkforward:
#     ci:
#       folds: 6
#       trees: 20
# ---

# %% [markdown]
# # 13a · Time series: leaks and baselines
#
# After this lesson you can find the leak in a forecast that promises too much, and say which simple rule it has to beat.

# %% [markdown]
# > **You will learn to** recognise three leaks in time · build features that are known when the forecast is made · let a program search for leaks · set the bar with three naive forecasts
# >
# > **Before you start** [01a · Pipelines and baselines](01a_pipelines_and_baselines.ipynb)
# >
# > **Time** 50 minutes of study; it runs in half a minute
# >
# > **Interview questions it answers** Review these features: what is wrong? · Name a leak that a time-ordered split does not prevent. · Which baselines do you show?

# %% [markdown]
# ## Parameters

# %% tags=["parameters"]
ridership_path = None  # a Parquet or CSV file of your own with ds and y, a row a day
folds = 52  # fortnights to forecast; 52 are two years
train_days = 1461  # each training sees the four years before
trees = 60  # in each boosted model
weather = "temp_f"  # a column that is known on its day and not before; None without one

# %%
from course import exercise, own_data
from course.data import load_births, load_ridership
from course.exercise import TODO

series = load_ridership()
if ridership_path is not None:  # your file, or a line that says what it lacks
    series, folds, train_days = own_data.daily_series("15", ridership_path, folds, train_days)
    weather = own_data.regressor(series, weather)

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.model_selection import (
    KFold,
    TimeSeriesSplit,
    cross_val_predict,
    cross_val_score,
    train_test_split,
)
from xgboost import XGBRegressor

from walkforward import forecasting
from walkforward.forecasting import calendar_features, find_leaks, lag_features, score
from walkforward.plots import PALETTE, use_style

use_style()

# %% [markdown]
# ## The roster
#
# You work for the manager of Clark/Lake, a station of Chicago's "L". Every other Sunday evening she writes the roster of the next 14 days, and asks you how many people will come on each of them. So a
# forecast is made at a **cutoff**, the last day whose rides are known, and has a **horizon** of 14 days. Every mistake in this lesson forgets one of the two.

# %% name="rides"
HORIZON = 14  # days of a roster
rides = series[["ds", "y"]]
print(f"{len(rides):,} days, {rides['ds'].min():%Y-%m-%d} to {rides['ds'].max():%Y-%m-%d}")

winter = rides[-295:-231]  # November 2015 to January 2016
holidays = winter[calendar_features(winter["ds"])["holiday"] == 1]
fig, ax = plt.subplots()
ax.plot(winter["ds"], winter["y"])
ax.plot(holidays["ds"], holidays["y"], "o", color=PALETTE["red"], label="public holiday")
ax.set(ylabel="rides a day (thousands)", ylim=(0, None))
ax.set_title("Every week looks like the last, until a holiday")
ax.tick_params(axis="x", rotation=20)
ax.legend(loc="lower left")
plt.show()

# %% [markdown]
# *Figure: rides a day from November 2015 to January 2016. Five high weekdays and a deep weekend repeat. On Thanksgiving, Christmas and New Year, marked in red, the curve falls to Sunday's level or below.*
#
# ## A notebook from a colleague
#
# A colleague has tried this already. His features are calendar columns, the rides of yesterday and of a week ago, and the mean of a week. Lags leave empty cells in the first rows, so he fills them from the row
# below. Then he splits at random, 20<!-- given --> % for the test. The lag, the back-fill and the random split are those of a much-read tutorial on demand forecasting.


# %%
def colleague(frame):
    """His features, a row a day."""
    table = calendar_features(frame["ds"])
    table["lag_1"], table["lag_7"] = frame["y"].shift(1), frame["y"].shift(7)
    table["mean_7"] = frame["y"].rolling(7).mean()
    return table.bfill()


# %% [markdown]
# **Predict first.** Repeating last week misses by 1.50<!-- =honest_score: last week: ([\d.]+) --> thousand rides a day, on the rosters of the last two years. Which error would you believe of a good model?


# %% name="shuffled"
def mae(found):
    """Mean absolute error of a frame with y and yhat, in thousand rides."""
    return score(found)["mae"].item()


model = XGBRegressor(n_estimators=trees, max_depth=4, learning_rate=0.15, n_jobs=1)
train, test = train_test_split(rides.index, test_size=0.2, random_state=0)
table = colleague(rides)
model.fit(table.loc[train], rides.loc[train, "y"])
answers = rides.loc[test].assign(yhat=model.predict(table.loc[test]))
promised_mae = mae(answers[answers.index >= len(rides) - folds * HORIZON])
print(f"MAE {mae(answers):.2f} thousand rides; on the test days of the last two years {promised_mae:.2f}")

# %% [markdown]
# A third of the naive error, on more than a thousand days that the model has never seen. The manager is delighted. Now do what delivering means: stand on a cutoff, learn from the days up to
# it, forecast the 14 days after it, which nobody has counted yet, and go on to the next cutoff. This loop is **walk-forward validation**:


# %% name="loop"
def walk_forward(features):
    """Forecast the last rosters, each from what was known at its cutoff."""
    forecasts = []
    for start in range(len(rides) - folds * HORIZON, len(rides), HORIZON):
        past, days = rides[:start], rides[start : start + HORIZON]
        seen = pd.concat([past, days.assign(y=np.nan)])  # nobody has counted these days
        table, learn = features(seen).to_numpy(float), slice(start - train_days, start)
        yhat = model.fit(table[learn], past["y"][learn]).predict(table[start:])
        forecasts.append(days.assign(cutoff=past["ds"].iloc[-1], h=range(1, HORIZON + 1), yhat=yhat))
    return pd.concat(forecasts, ignore_index=True)


# %% name="honest_score"
delivered = walk_forward(colleague)
split = forecasting.WalkForwardSplit(HORIZON, folds, window="rolling", max_train_size=train_days)
last_week = forecasting.backtest(rides, forecasting.SeasonalNaive(7), split, progress=False)
print(f"his model, delivered: MAE {mae(delivered):.2f} thousand rides")
print(f"  the first day of each roster only: {mae(delivered[delivered['h'] == 1]):.2f}")
print(f"repeating last week: {mae(last_week):.2f}")

# %% [markdown]
# The same function, the same model: 0.48<!-- =shuffled: MAE ([\d.]+) --> in the notebook, 1.90<!-- =honest_score: delivered: MAE ([\d.]+) --> when it counts, worse than copying last week. Nothing crashed.

# %% name="day_of_roster"
misses = {"his model, delivered": delivered, "repeating last week": last_week}
by_day = {name: (run["y"] - run["yhat"]).abs().groupby(run["h"]).mean() for name, run in misses.items()}
ax = pd.DataFrame(by_day).plot(color=[PALETTE["red"], PALETTE["blue"]], ylim=(0, 4.5))
ax.axhline(promised_mae, color=PALETTE["grey"], linestyle=":", label="promised")
ax.set(xlabel="day of the roster", ylabel="mean absolute error (thousand rides)")
ax.set_title("The promise is met on no day of the roster")
ax.legend(ncols=3)
plt.show()

# %% [markdown]
# *Figure: mean absolute error by day of the roster. A dotted line is the promise. The delivered model is far above it on every day, and worst on the last.*
#
# On the second day of a roster yesterday's rides do not exist, the week's mean contains days that are still to come, and XGBoost takes an empty cell without a word. Even the first day, whose yesterday is known, is missed by
# 1.53<!-- =honest_score: only: ([\d.]+) -->, because `mean_7` wants that day's own rides and stays empty.
#
# A **leak** is information that the model has in the test and will not have in use. This notebook has three.

# %% [markdown]
# ## Three leaks, one at a time
#
# Start from features that a roster may use. The youngest lag is 14 days: on the last day of the roster, 13 days ago is still in the future.


# %%
def known(frame):
    """What is known 14 days ahead: three lags and the calendar."""
    lags = lag_features(frame, [14, 21, 28], horizon=HORIZON)
    return pd.concat([lags, calendar_features(frame["ds"])], axis=1)


# %% [markdown]
# **Leak 1, the neighbours.** These features are honest. Only the split is wrong: five shuffled folds, judged on the same days.

# %% name="neighbours"
honest = walk_forward(known)
days = slice(-train_days - folds * HORIZON, None)  # the same years, the whole table at once
shuffle = KFold(5, shuffle=True, random_state=0)
shuffled = cross_val_predict(model, known(rides)[days], rides["y"][days], cv=shuffle)[-len(honest) :]
print(f"shuffled {mae(honest.assign(yhat=shuffled)):.2f}, walking forward {mae(honest):.2f}")

# %% [markdown]
# Same days, same features, same model. For each test day the days before and after it were in training. A slow month, a closed street: the model had seen the answer
# next door. It interpolated, and you asked it to forecast.
#
# **Leak 2, today inside its own feature.** `rolling(7).mean()` ends with the day of its row. A split in order of time does not help.
#
# **Leak 3, the back-fill.** Filling the first rows of a lag touches seven rows of thousands; hardly a score would show it. The same habit costs more where a figure comes once a week: filled back over the days, each
# Monday knows its coming Sunday.


# %%
def with_mean(frame):
    return known(frame).assign(mean_7=frame["y"].rolling(7).mean())


def with_week(frame):
    by_day = frame.set_index("ds")["y"]
    weekly = by_day.resample("W").mean()  # dated on its Sunday
    return known(frame).assign(week=weekly.reindex(by_day.index).bfill().to_numpy())


# %% [markdown]
# What does each promise by `TimeSeriesSplit`, which trains strictly before it tests, and what does it deliver? And what is the column worth when it is made as old as the horizon?


# %% name="leaks"
def promised(features):
    """The MAE that TimeSeriesSplit gives for the ready table, on the same days."""
    cut = TimeSeriesSplit(folds, test_size=HORIZON, max_train_size=train_days)
    by_fold = cross_val_score(model, features(rides), rides["y"], cv=cut, scoring="neg_mean_absolute_error")
    return -by_fold.mean()


def repaired(frame, features):
    """The same columns, the last one shifted by 14 days."""
    table = features(frame)
    return table.assign(**{table.columns[-1]: table.iloc[:, -1].shift(HORIZON)})


# %% name="leak_table"
rows = {}
for name, features in {"rolling mean with today": with_mean, "weekly mean, back-filled": with_week}.items():
    shifted = walk_forward(lambda frame, features=features: repaired(frame, features))
    rows[name] = [promised(features), mae(walk_forward(features)), mae(shifted)]
pd.DataFrame(rows, index=["promised", "delivered", "shifted by 14 days"]).T.round(2)

# %% [markdown]
# Without either column the honest score is 0.80<!-- =neighbours: forward ([\d.]+) -->. Both columns promise a gain on it; delivered, both ruin the forecast, since the trees have learnt to trust a column that is empty, or means something else, when it
# counts. Shifted, the same column is harmless and worth nothing. **A leak is dangerous twice**: it inflates the score, and it teaches the model to rely on what will not be there.
#
# ### Your turn
#
# The exercises are about another series, births a day in the United States, so that nothing can be copied.

# %% name="births"
births = load_births()
births.tail(3)

# %% exercise="known_at_cutoff"

# %%
exercise.check(known_at_cutoff)

# %% [markdown]
# ## A guard against leaks
#
# Could a program have found the colleague's leaks? The idea is a **perturbation test**: scramble the target after some cutoff, build the features again, and compare. What is known at the cutoff can't have moved.

# %% name="guard"
print("his features:", sorted(find_leaks(colleague, rides)))
print("with_mean, one day ahead:", find_leaks(with_mean, rides))
print("with_week, 14 days ahead:", list(find_leaks(with_week, rides, horizon=HORIZON)))
print("known, 14 days ahead:", find_leaks(known, rides, horizon=HORIZON))

# %% [markdown]
# It names the columns and passes the honest ones. `backtest`, the course's walk-forward loop, does this at every fold, and looks at the split as well:

# %% name="guarded"
attempts = {
    "shuffled": {"splitter": shuffle, "lags": [14, 21, 28]},
    "back-filled": {"splitter": split, "features": colleague},
}
for name, arguments in attempts.items():
    try:
        forecasting.backtest(rides, model, **arguments)
    except forecasting.LeakError as error:
        print(f"{name}: {error}")

# %% [markdown]
# What can it not see? Everything that does not go through the frame, and everything you declare as known.

# %% name="unseen"
usual = rides.groupby(rides["ds"].dt.dayofweek)["y"].mean()  # of all years, the test included


def by_weekday(frame):
    return pd.DataFrame({"usual": frame["ds"].dt.dayofweek.map(usual)})


print("mean of all years:", find_leaks(by_weekday, rides))
if weather:
    columns = series[["ds", "y", weather]]
    print("same-day weather:", list(find_leaks(lambda frame: frame[[weather]], columns)))
    print("declared as known:", find_leaks(lambda frame: frame[[weather]], columns, known=[weather]))

# %% [markdown]
# `usual` was computed outside the function, so scrambling does not reach it: fit such things inside the builder. The temperature of the day is a leak until you declare it known; then it is your
# word, and the thermometer's reading is not the weather forecast you will have. Two more are out of its sight: figures that were **revised** after the cutoff, and **you**, when you try
# forty settings on the same folds.

# %% [markdown]
# ## Three baselines, and none may be left out
#
# Three forecasts need no training. **Naive**: tomorrow is like today. **Seasonal naive**: like the same phase of the last season, here the same weekday. **Drift**: go on along the line from the first value to the last. Try them on three questions about the same station:

# %% name="questions"
by_year = rides.set_index("ds")["y"].resample("YE").mean()[:-1].reset_index()  # 2016 is not complete
questions = {"rides · 14 days": (rides, split, 7)}
if weather:
    of_weather = series.assign(y=series[weather])[["ds", "y"]]
    questions[f"{weather} · tomorrow"] = (of_weather, forecasting.WalkForwardSplit(1, 100, step=3), 7)
if len(by_year) > 9:
    years_ahead = forecasting.WalkForwardSplit(3, 6, step=1)
    questions["rides · three years"] = (by_year, years_ahead, 1)

# %% name="baselines"
rows = {}
for question, (frame, cut, season) in questions.items():
    rules = [forecasting.SeasonalNaive(1), forecasting.SeasonalNaive(season), forecasting.Drift()]
    rows[question] = [mae(forecasting.backtest(frame, rule, cut, progress=False)) for rule in rules]
pd.DataFrame(rows, index=["naive", "seasonal naive", "drift"]).T.round(2)

# %% [markdown]
# Rides are in thousands, the temperature in °F. Each question has another winner. The naive forecast of a roster misses by 10.77<!-- =baselines[rides · 14 days, naive] --> thousand: its cutoff is a Sunday, and it repeats Sunday for a fortnight. For tomorrow's
# temperature it is twice as good as the same weekday of last week. Over years there is no season, and only drift sees the growth. A report with one baseline may have picked the weakest, so show all three, and call the
# best simple rule **the bar**. A model that stays above the bar costs money and gives nothing. In a forecasting competition on retail sales, M5, nearly two teams in three did not pass seasonal naive.
#
# ### Your turn

# %% exercise="repeat_last_week"

# %%
exercise.check(repeat_last_week)

# %% [markdown]
# ## Take-aways
#
# - A score is a promise about a cutoff and a horizon. If the features of a test row could not have been computed on the evening of the cutoff, it is no promise.
# - A random split lets the model interpolate. A time-ordered split does not repair a feature that holds today or was filled from below.
# - A perturbation test finds leaking columns without reading the code. It can't see what is computed outside or declared as known.
# - Show naive, seasonal naive and drift. Here seasonal naive misses by 1.50<!-- =honest_score: last week: ([\d.]+) --> thousand rides, an honest model by 0.80<!-- =neighbours: forward ([\d.]+) -->, and the leaking one delivered 1.90<!-- =honest_score: delivered: MAE ([\d.]+) -->.

# %% [markdown]
# ## In an interview
#
# - *Review these features.* Shown in [A notebook from a colleague](#A-notebook-from-a-colleague).
# - *Your split is in order of time. Name a leak that is still possible.* Shown in [Three leaks, one at a time](#Three-leaks,-one-at-a-time) and [A guard against leaks](#A-guard-against-leaks).
# - *Which baselines do you put beside a forecast?* Shown in [Three baselines, and none may be left out](#Three-baselines,-and-none-may-be-left-out).
#
# With the points of a good answer, and more of them: `walkforward practice --lesson 13a` in a terminal.
#
# ## Up next
#
# [13b · Walk-forward validation](13b_walk_forward.ipynb) turns the loop into folds, windows and metrics, and tells a better model from a lucky one.
