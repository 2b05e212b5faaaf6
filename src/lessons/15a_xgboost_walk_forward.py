# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
#   walkforward:
#     ci:
#       folds: 12
#       trees: 20
# ---

# %% [markdown]
# # 15a · XGBoost walk-forward
#
# After this lesson you can forecast two weeks ahead with boosted trees, choose between four strategies by a fair test, and make trees follow a trend.

# %% [markdown]
# > **You will learn to** write the walk-forward loop and say which question it answers · build a target matrix without a leak · compare recursive, direct, multi-output and all at once ·
# > recognise and cure the bias of trees on a growing series
# >
# > **Before you start** [13b · Walk-forward validation](13b_walk_forward.ipynb): folds, lags and the interval of a difference. Nothing is needed from its kernel.
# >
# > **Time** 55 minutes of study; it runs in half a minute
# >
# > **Interview questions it answers** Recursive or direct? · What can XGBoost not do with a time series? · A great one-day score, a poor two-week forecast: why?

# %% [markdown]
# ## Parameters
#
# The task is that of lesson 13: rides a day at Chicago's Clark/Lake station, in thousands, for the next 14 days. It is repeated 52<!-- given --> times, every two weeks
# for two years. Each training sees the four years before its cutoff.

# %% tags=["parameters"]
ridership_path = None  # a Parquet or CSV file of your own with columns ds and y, a row a day
folds = 52  # forecasts of 14 days, the last one ends with the data
train_days = 1461  # four years
trees = 60  # in each boosted model

# %%
from course import exercise, own_data
from course.data import load_ridership
from course.exercise import TODO

frame = load_ridership()
if ridership_path is not None:  # your file, or a line that says what it lacks
    frame, folds, train_days = own_data.daily_series("15", ridership_path, folds, train_days)

# %%
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.multioutput import MultiOutputRegressor
from xgboost import XGBRegressor

from walkforward import forecasting
from walkforward.forecasting import SeasonalNaive, WalkForwardSplit, calendar_features, lag_features, score
from walkforward.plots import PALETTE, use_style

use_style()
backtest = partial(forecasting.backtest, progress=False)

# %%
frame = frame[["ds", "y"]]
rides = frame.set_index("ds")["y"]
HORIZON = 14
WINDOW = {"window": "rolling", "max_train_size": train_days}
FOLDS = WalkForwardSplit(HORIZON, folds, **WINDOW)

# %% [markdown]
# ## The bar
#
# The forecast that costs nothing is *seasonal naive*: each day repeats the same weekday of the last week that is known at the cutoff.


# %% name="bar"
def mae(found):
    """Mean absolute error of a backtest, in thousand rides."""
    return score(found)["mae"].item()


naive = backtest(frame, SeasonalNaive(7), FOLDS)
print(f"{naive['cutoff'].nunique()} folds, {naive['ds'].min():%Y-%m-%d} to {naive['ds'].max():%Y-%m-%d}")
print(f"seasonal naive: MAE {mae(naive):.2f} thousand rides")

# %% [markdown]
# It misses by 1.50<!-- =bar: MAE ([\d.]+) --> thousand rides. That is the bar.
#
# ## Predict the next day, add it, refit
#
# **XGBoost** is gradient boosting: it adds small decision trees one after another, and each new tree corrects what the sum of the earlier ones still gets wrong. It knows nothing of time. It sees a table, one row a day, and every column must
# be known before that day begins: rides of earlier days (**lags**) and the calendar, which is known years ahead.

# %% name="features"
LAGS = [1, 7, 14, 21, 28]


boosted = partial(XGBRegressor, n_estimators=trees, max_depth=4, learning_rate=0.15, n_jobs=1)


def features(history):
    calendar = calendar_features(history.index, country="US").set_axis(history.index)
    return pd.concat([lag_features(history, LAGS), calendar], axis=1)


features(rides).tail(2)

# %% [markdown]
# Nearly every tutorial shows this loop. Read it line by line; it is all there is to walking forward.


# %% name="loop"
def with_tomorrow(history, value=np.nan):
    """The history with one more day."""
    tomorrow = history.index[-1] + pd.Timedelta(days=1)
    return pd.concat([history, pd.Series([value], index=[tomorrow])])


def train(history):
    rows = features(history).tail(train_days)
    return boosted().fit(rows.to_numpy(), history[rows.index])


def next_day(model, history):
    return float(model.predict(features(with_tomorrow(history)).tail(1).to_numpy())[0])


# %%
history, forecasts = rides[:-14], []
for day in rides.index[-14:]:
    forecasts.append(next_day(train(history), history))  # predict the next day
    history = with_tomorrow(history, rides[day])  # add it; the next turn refits

# %% [markdown]
# `backtest` is this loop with a leak guard. Here it runs over the same 14 days, then over the two years, refitted every other week.

# %% name="promise"
one_day_folds = WalkForwardSplit(1, 14, step=1, **WINDOW)
same = backtest(frame, boosted(), one_day_folds, lags=LAGS, calendar="US")
print("the loop and backtest() agree:", same["yhat"].tolist() == forecasts)

daily_folds = WalkForwardSplit(1, folds * HORIZON, step=1, **WINDOW)
one_day = backtest(frame, boosted(), daily_folds, lags=LAGS, calendar="US", refit=HORIZON)
print(f"MAE {mae(one_day):.2f} thousand rides")

# %% [markdown]
# 0.69<!-- =promise: MAE ([\d.]+) -->, less than half the bar. You tell the planners: *on each day of the next two weeks we will miss by seven hundred rides.*
#
# **Predict first.** What did the last line of the loop add? Will the planners, who fix the roster for two weeks on Sunday evening, meet the 0.69<!-- =promise: MAE ([\d.]+) -->? Write down the error that you expect for them.

# %% [markdown]
# It added `rides[day]`, the **truth**. On Tuesday the loop knew Monday's rides. On Sunday evening nobody does. This is no leak: the loop answers another question, *what about tomorrow?*
# For two weeks there is only one thing to add, the prediction. That is the **recursive** strategy.


# %% name="recursive_loop"
def recursive(history, days=HORIZON):
    """Forecast `days` days: one training, then each prediction is taken for the truth by the days after it."""
    model = train(history)
    for _ in range(days):
        history = with_tomorrow(history, next_day(model, history))
    return history.tail(days)


by_hand = recursive(rides[:-HORIZON])
fed_itself = backtest(frame, boosted(), FOLDS, lags=LAGS, calendar="US")
print("same as backtest():", fed_itself["yhat"].tail(HORIZON).tolist() == by_hand.tolist())
print(f"MAE {mae(fed_itself):.2f} thousand rides")

# %% [markdown]
# 0.86<!-- =recursive_loop: MAE ([\d.]+) -->, a quarter more than promised. Does the error grow with each step? Every fold begins on a Monday, so *five days ahead* is always a Friday, and some weekdays are harder for every model.
# So compare with the one-day forecasts of the **same days**:

# %% name="growth"
truth_fed = one_day[["ds", "yhat"]].rename(columns={"yhat": "fed with the truth"})
ahead = fed_itself.merge(truth_fed, on="ds").rename(columns={"yhat": "fed with its own forecasts"})
names = ["fed with its own forecasts", "fed with the truth"]
by_step = ahead[names].sub(ahead["y"], axis=0).abs().groupby(ahead["h"]).mean()
weeks = by_step.groupby((by_step.index > 7) + 1).mean()
print("ratio of the errors in weeks 1 and 2:", (weeks[names[0]] / weeks[names[1]]).round(2).tolist())

ax = by_step.plot(xlabel="days ahead", ylabel="MAE (thousand rides)", ylim=(0, None), marker="o")
ax.set_title("The same days, the same model: not knowing yesterday costs")
plt.show()

# %% [markdown]
# *Figure: mean absolute error by days ahead, for a model fed with its own forecasts and one fed with the truth. Both go up and down with the weekday; the first is higher on most days.*
#
# On day 1 the two forecasts are the same. In the second week the error is 1.32<!-- =growth: , ([\d.]+)\] --> times as large. **Always say how many days ahead a score is.**
#
# ### Your turn

# %% exercise="forecast_recursively"

# %%
exercise.check(forecast_recursively)

# %% [markdown]
# ## Three ways not to feed predictions back
#
# ```mermaid
# flowchart LR
#     K[known on Sunday evening] --> R["recursive: 1 model, 14 calls<br/>each prediction becomes a lag"]
#     K --> D["direct: 14 models<br/>model k predicts t+k"]
#     K --> M["multi-output: 1 row, 14 targets<br/>t+1 … t+14"]
#     K --> A["all at once: 1 model, lags of 14 and more<br/>14 rows, one call"]
# ```
#
# Multi-output needs a **target matrix**: a row for each evening t, and in column k the rides of day t + k.

# %% name="matrix"
targets = pd.DataFrame({f"t+{k}": rides.shift(-k) for k in range(1, HORIZON + 1)})
targets.iloc[-4:, [0, 1, 12, 13]]

# %% [markdown]
# The last 14 rows have holes, because their days have not come. In a backtest the trap is that they *have* come: at a cutoff, the last 13 evenings before it have targets that lie
# **after** it. They are in your table, and they are the future. So training ends 14 days before the cutoff.

# %% name="one_row"
evening = lag_features(rides, LAGS).shift(-1)  # what is known in the evening of day t
calendar = calendar_features(rides.index, country="US").set_axis(rides.index)
cutoffs = naive["cutoff"].unique()
first = rides.index.get_loc(cutoffs[0])


def multi_output(model, *columns):
    """Train on the evenings up to 14 days before the first cutoff; forecast every cutoff: rows × 14."""
    X = pd.concat([evening, *columns], axis=1)
    past = slice(first - train_days, first - HORIZON + 1)
    model.fit(X.iloc[past].to_numpy(), targets.iloc[past].to_numpy())
    return pd.DataFrame(model.predict(X.loc[cutoffs].to_numpy()), cutoffs, targets.columns)


one_calendar = multi_output(MultiOutputRegressor(boosted()), calendar.shift(-1))
misses = (targets.loc[cutoffs] - one_calendar).abs()
print(f"MultiOutputRegressor MAE {misses.to_numpy().mean():.2f}; its five worst days:")
for (cutoff, step), miss in misses.stack().nlargest(5).items():
    day = cutoff + pd.Timedelta(days=int(step[2:]))
    print(f"{cutoff:%Y-%m-%d} {step:5} {day:%a %Y-%m-%d}  missed by {miss:.1f}")

# %% [markdown]
# `MultiOutputRegressor` trains 14 models on the same rows, and it is far behind the recursive model that had the same features. Each of its worst days is a holiday. One row per evening has one set of calendar columns, those of the
# first day. Christmas on day 11 is in no column, so no tree can split on it. The row must carry the calendar of **all 14 days**.

# %% name="all_calendars"
all_days = [calendar.shift(-k).add_suffix(f"_t+{k}") for k in range(1, HORIZON + 1)]
setups = {
    "calendars of all 14 days": MultiOutputRegressor(boosted()),
    "the same, vector-leaf trees": boosted(multi_strategy="multi_output_tree"),
}
for name, model in setups.items():
    many = (targets.loc[cutoffs] - multi_output(model, *all_days)).abs().to_numpy().mean()
    print(f"{name:28} MAE {many:.2f}")

# %% [markdown]
# From 1.49<!-- =one_row: MAE ([\d.]+) --> to 1.16<!-- =all_calendars: 14 days +MAE ([\d.]+) --> with the same trees. With `multi_strategy="multi_output_tree"` XGBoost grows one tree a round whose leaves hold a vector of 14 numbers; every split must suit
# all 14 days, and a split on *day 11 is a holiday* helps one of them. Use it when the targets move together.
#
# ### Your turn

# %% exercise="target_matrix"

# %%
exercise.check(target_matrix)

# %% [markdown]
# ## Recursive or direct?
#
# A fair test gives each strategy the same information. Here is the catch: `strategy="direct"` counts lags back from the evening of the cutoff, a Sunday. With lags 1, 7 and 14, the model for Friday sees rides of Sundays, and of no Friday.
# The **aligned** version gives the model of step k the youngest Fridays known at the cutoff, and the cutoff's own rides. In `backtest`, that is a forecast of one day after a gap of k − 1 days:


# %% name="aligned"
def direct_aligned(frame, **options):
    """A model for each step k, whose lags have the weekday of day k."""
    steps = []
    for k in range(1, HORIZON + 1):
        week = 7 * -(-k // 7)  # the youngest same weekday: 7 days back in week 1, 14 in week 2
        lags = sorted({k, week, week + 7, week + 14, week + 21})
        one_step = WalkForwardSplit(1, folds, step=HORIZON, gap=k - 1, **WINDOW)
        known = frame[: len(frame) - HORIZON + k]
        steps.append(backtest(known, boosted(), one_step, lags=lags, **options))
    return pd.concat(steps).sort_values(["cutoff", "ds"], ignore_index=True)


# %% name="strategies"
def strategies(frame):
    """All strategies on the same folds, refitted twice a year to keep the price down."""
    options = {"calendar": "US", "refit": 13}
    run = partial(backtest, frame, boosted(), FOLDS, **options)
    return {
        "recursive": run(lags=LAGS),
        "direct, lags from the cutoff": run(lags=LAGS, strategy="direct"),
        "direct, lags aligned": direct_aligned(frame, **options),
        "all at once": run(lags=[14, 21, 28]),
    }


# %% [markdown]
# One period can favour one strategy, so the table has the last two years and the two years before. `compare` gives the mean difference in MAE and its 95<!-- given --> % interval, from whole blocks of days (lesson 13b). It is a verdict only if zero is outside.


# %%
def verdict(a, b):
    """The MAE of a minus that of b, with its 95 % interval, in words."""
    found = forecasting.compare(a, b)
    word = {"a": "better", "b": "worse", "neither": "no verdict"}[found.better]
    return f"{found.difference:+.2f} ({found.low:+.2f} to {found.high:+.2f}) {word}"


# %% name="strategy_table"
earlier = frame[: -folds * HORIZON]
tried = {"last two years": strategies(frame), "two years before": strategies(earlier)}
rows = {
    (period, name): [mae(found), score(found)["bias"].item(), verdict(found, runs["recursive"])]
    for period, runs in tried.items()
    for name, found in runs.items()
}
columns = ["MAE", "bias", "MAE against recursive"]
pd.DataFrame(rows, index=columns).T.infer_objects().round(2)

# %% name="once"
for period, runs in tried.items():
    print(
        f"all at once against direct, {period}:", verdict(runs["all at once"], runs["direct, lags aligned"])
    )

# %% [markdown]
# Had you stopped at the second row, you would have reported that direct loses. It lost its weekday. **Aligned, direct beats recursive in the last two years**, where recursion passes its errors on, and ties with it in the two years before.
# *All at once*, one model with lags of 14 days and more, ties with the aligned 14 models in both periods. Why does knowing *less* not hurt? Weekday and holiday explain most of a day here, and a lag of
# whole weeks has the weekday right.
#
# **Decision.** Start with all at once: one model, one call, the simplest to serve. Go recursive when the last days carry news (weather, outages) and the horizon is short. Go direct, with aligned lags, when the horizon is long and you can pay for k trainings. Use multi-output when
# the targets must be consistent with each other.

# %% [markdown]
# ## What XGBoost can't do
#
# Look at the column *bias* of the last two years: every strategy forecasts too few rides, the recursive one by 0.54<!-- =strategy_table: last two years +recursive +[\d.]+ +-([\d.]+) --> thousand a day. Give the trees the first two thirds of a growing
# station, with the date as a feature, and the last third to forecast:

# %% name="flat"
table = calendar.assign(day_number=np.arange(len(rides)))
learn = slice(0, len(rides) * 2 // 3)
model = boosted().fit(table[learn], rides[learn])
line = np.polyfit(table["day_number"][learn], rides[learn], 1)
shown = pd.DataFrame({"rides": rides, "XGBoost": model.predict(table)})
shown["straight line"] = np.polyval(line, table["day_number"])
print("means of the last year of training:", shown[learn].tail(364).mean().round(1).to_dict())
print("means of the last year of all:     ", shown.tail(364).mean().round(1).to_dict())

ax = shown.rolling(364).mean().plot(color=[PALETTE[name] for name in ("grey", "red", "blue")], xlabel="")
ax.axvline(rides.index[learn.stop], color="black", linewidth=1)
ax.set_ylabel("mean of 52 weeks (thousand rides)")
ax.set_title("Trees stay at the level they have seen")
plt.show()

# %% [markdown]
# *Figure: rides a day, mean of 52 weeks, rising from 2002 to 2016, and a vertical line in 2011 where training ends. After it the trees' forecast stays level, the straight line goes on rising.*

# %% [markdown]
# A tree answers with a mean of training rows. Whatever `day_number` is, beyond the last split it falls into the same leaf. **No forecast of a tree ensemble leaves the range it was trained on by much.** Lags soften this and do not cure it: the leaf for *lag 7 is high* holds old high days.
#
# The cure is to change the target. Forecast the rides **relative to their level**, the mean of some days that end 14 days before, and multiply back. How many days? Choose on the two years **before** the folds.


# %% name="level"
def relative_to_level(frame, days):
    """Backtest of the share of the level, in thousand rides again. The level ends 14 days before the day."""
    y = frame.set_index("ds")["y"]
    level = y.rolling(days).mean().shift(HORIZON).clip(lower=y.mean() / 100)  # a share of nothing is none
    shares = frame.assign(y=(y / level).to_numpy()).dropna().reset_index(drop=True)
    found = backtest(shares, boosted(), FOLDS, lags=[14, 21, 28], calendar="US")
    return found.assign(y=found["ds"].map(y), yhat=found["yhat"] * found["ds"].map(level))


once = {"lags": [14, 21, 28], "calendar": "US"}
without = backtest(earlier, boosted(), FOLDS, **once)
print(f"no level: MAE {mae(without):.2f}")
for days in (28, 182, 364):
    print(f"level of {days:3} days against no level:", verdict(relative_to_level(earlier, days), without))

# %% name="cure"
plain, levelled = backtest(frame, boosted(), FOLDS, **once), relative_to_level(frame, 182)
print("MAE of the share against the rides:", verdict(levelled, plain))
both = pd.concat([score(plain), score(levelled)], keys=["rides", "share of the level"]).droplevel(1)
both[["mae", "rmse", "bias"]].round(2)

# %% [markdown]
# The bias shrinks from -0.37<!-- =cure[rides, bias] --> to -0.06<!-- =cure[share of the level, bias] --> and the MAE from 0.80<!-- =cure[rides, mae] --> to 0.67<!-- =cure[share of the level, mae] -->, without a new feature
# or one more tree, and the interval of the difference is below zero. (In the years before, 182<!-- given --> and 364<!-- given --> days both gained 0.04<!-- =level: 182 days against no level: -([\d.]+) -->, at the edge of a verdict: the station grew less. The shorter level follows a change sooner.) Differences, today minus last week, do a similar job. Check `bias` before you tune anything.

# %% [markdown]
# ## Take-aways
#
# - "Predict the next day, add it, refit" scores tomorrow. For two weeks, add the prediction, or use no lag shorter than the horizon.
# - Every column must be known at the cutoff, and every target in training must have happened by then. In a multi-output row, carry the calendar of all days.
# - Before you compare strategies, compare their columns: with lags of the wrong weekday direct loses, with aligned lags it wins or ties.
# - Trees can't extrapolate: look at the bias, and forecast a share or a difference of the level.

# %% [markdown]
# ## In an interview
#
# - *Recursive or direct, and what would make you change your mind?* Shown in [Recursive or direct?](#Recursive-or-direct?).
# - *Your boosted model forecasts too low every month. Why, and what do you do?* Shown in [What XGBoost can't do](#What-XGBoost-can't-do).
# - *One-day error 0.69<!-- =promise: MAE ([\d.]+) -->, two-week error 0.86<!-- =recursive_loop: MAE ([\d.]+) -->: is there a leak?* Shown in [Predict the next day, add it, refit](#Predict-the-next-day,-add-it,-refit).
#
# With the points of a good answer, and more of them: `walkforward practice --lesson 15a` in a terminal.
#
# ## Up next
#
# A single number per day is not enough for a roster. [15b · Intervals and Prophet](15b_intervals_and_prophet.ipynb) puts a range around it, and answers "Prophet or XGBoost?" on the same folds.
