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
# # 13b · Walk-forward validation
#
# After this lesson you can say how well a forecast will do before anybody relies on it, and tell a better model from a lucky one.

# %% [markdown]
# > **You will learn to** choose folds, window, gap, horizon and refitting · choose the metric that fits the decision · compare two forecasts in blocks and with the Diebold–Mariano test
# >
# > **Before you start** [13a · Time series](13a_time_series.ipynb): cutoff, horizon, leaks. Nothing is needed from its kernel.
# >
# > **Time** 55 minutes of study; it runs in half a minute
# >
# > **Interview questions it answers** How do you cross-validate a time series? · MAE, RMSE, MASE: which one, and who decides? · Is model A better, or was it luck?

# %% [markdown]
# ## Parameters
#
# Every other Sunday somebody forecasts the rides at Chicago's Clark/Lake station for the next 14 days. Lessons 13a to 15b all use these 52<!-- given --> **folds**, two years in all. A fold is one training and the 14 days that it is tested on.

# %% tags=["parameters"]
ridership_path = None  # a Parquet or CSV file of your own with ds and y, a row a day
folds = 52  # fortnights to forecast; 52 are two years
train_days = 1461  # each training sees the four years before
trees = 60  # in each boosted model

# %%
from course import exercise, own_data
from course.data import load_ridership
from course.exercise import TODO

rides = load_ridership()[["ds", "y"]]
if ridership_path is not None:  # your file, or a line that says what it lacks
    rides, folds, train_days = own_data.daily_series("15", ridership_path, folds, train_days)

# %%
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.model_selection import TimeSeriesSplit, cross_val_score
from xgboost import XGBRegressor

from walkforward import forecasting
from walkforward.forecasting import SeasonalNaive, WalkForwardSplit, calendar_features, compare, score
from walkforward.plots import use_style

use_style()
backtest = partial(forecasting.backtest, progress=False)

# %% [markdown]
# ## One call for the loop
#
# The features are rides of 14, 21 and 28 days before, and a calendar with US holidays.

# %% name="folds"
rides, HORIZON = rides[["ds", "y"]], 14
FOLDS = WalkForwardSplit(HORIZON, folds, window="rolling", max_train_size=train_days)
KNOWN = {"lags": [14, 21, 28], "calendar": "US"}  # all of it is known 14 days ahead
model = XGBRegressor(n_estimators=trees, max_depth=4, learning_rate=0.15, n_jobs=1)
tested = backtest(rides, model, FOLDS, **KNOWN)
tested[["ds", "cutoff", "h", "y", "yhat"]].head(2).round({"yhat": 2})

# %% [markdown]
# `backtest` is the loop of 13a: at each **cutoff** it trains on the past, forecasts the days after it, checks for leaks, and goes on. Its result is tidy, a row for each day forecast, and `h` is the number of days ahead.


# %% name="bar"
def mae(found):
    """Mean absolute error, in thousand rides."""
    return score(found)["mae"].item()


naive = backtest(rides, SeasonalNaive(7), FOLDS)
print(f"MAE: seasonal naive {mae(naive):.2f}, trees {mae(tested):.2f}")

# %% [markdown]
# ## Folds: expanding, rolling, with a gap
#
# A splitter yields pairs of training and test rows. An **expanding** window keeps all the past, a **rolling** one
# forgets what is older than its size, a **gap** leaves out rows between training and test.

# %% name="kinds_of_folds"
kinds = {
    "expanding: all the past": WalkForwardSplit(HORIZON, 6),
    "rolling: the last 56 days": WalkForwardSplit(HORIZON, 6, window="rolling", max_train_size=56),
    "gap: the last 14 days are not known yet": WalkForwardSplit(HORIZON, 6, gap=14),
}
fig, axes = plt.subplots(3, 1, figsize=(6.4, 5), sharex=True)
for ax, (kind, split) in zip(axes, kinds.items(), strict=True):
    split.plot(rides["ds"][-182:], ax=ax).set_title(kind)
    ax.get_legend().remove()
axes[0].legend(loc="upper right", ncols=2)
fig.suptitle("Training ends before its test, in every fold", fontweight="bold")
axes[-1].tick_params(axis="x", rotation=20)
plt.show()

# %% [markdown]
# *Figure: three panels of six rows each. Expanding: a training bar that grows, the test bar right after it. Rolling: a training bar of constant length that moves. With a gap: an empty stretch between the two bars.*
#
# scikit-learn's own splitter gives the same folds, if you tell it what you want:

# %% name="splitters"
theirs = TimeSeriesSplit(folds, test_size=HORIZON, max_train_size=train_days)
pairs = zip(FOLDS.split(rides), theirs.split(rides), strict=True)
same = all(np.array_equal(a, b) for mine, other in pairs for a, b in zip(mine, other, strict=True))
print("TimeSeriesSplit with test_size and max_train_size gives the same folds:", same)
lengths = [len(test) for _, test in TimeSeriesSplit(5).split(rides)]
print(f"TimeSeriesSplit(5) as it comes: tests of {lengths[0]} days")

# %% [markdown]
# The default is the trap: five folds with tests of 949<!-- =splitters: of (\d+) days --> days, a horizon of two and a half years that nobody asked for.
# `WalkForwardSplit` adds a `step`, a first training size (`initial`), and a horizon that you have to name. Both splitters go wherever scikit-learn takes `cv=`. Search for settings with them too, on days **before** the ones you report.
#
# ### Your turn
#
# The checks use another series, births a day in the United States.

# %% exercise="forward_folds"

# %%
exercise.check(forward_folds)

# %% [markdown]
# ## Horizon, gap and step
#
# The **horizon** is how far ahead the decision reaches. The **gap** is how late the data are: if rides reach you 14 days late, the roster that begins tomorrow must do with rides at least 14 days old. Neither is
# a setting to tune. Both come from the people who use the forecast.

# %% name="gap"
around = calendar_features(rides["ds"]).set_axis(rides["ds"])
special = around[["holiday", "before_holiday", "after_holiday"]].any(axis=1)
rows = {}
for horizon, gap in [(7, 0), (14, 0), (14, 7), (14, 14)]:
    n, age = folds * HORIZON // horizon, horizon + gap  # the youngest lag is as old as both together
    split = WalkForwardSplit(horizon, n, gap=gap, window="rolling", max_train_size=train_days)
    run = backtest(rides, model, split, lags=[age, age + 7, age + 14], calendar="US")
    copy = backtest(rides, SeasonalNaive(7), split)
    copied = copy["ds"] - pd.to_timedelta(7 * np.ceil(copy["h"] / 7), "D")  # the day that naive repeats
    ordinary = ~special[copy["ds"]].to_numpy() & ~special[copied].to_numpy()
    rows[f"{horizon} days ahead · {gap} late"] = [mae(run), mae(copy), mae(copy[ordinary])]
pd.DataFrame(rows, index=["trees", "naive", "naive on ordinary days"]).T.round(2)

# %% [markdown]
# Old information costs: the trees go from 0.76<!-- =gap[7 days ahead · 0 late, trees] --> for a week to 0.80<!-- =gap[14 days ahead · 0 late, trees] --> for a fortnight, and to 0.87<!-- =gap[14 days ahead · 7 late, trees] --> and 0.83<!-- =gap[14 days ahead · 14 late, trees] --> with data 7 and 14 days late. (The last difference may be chance.) Why does the naive MAE jump about, up to 1.88<!-- =gap[14 days ahead · 7 late, naive] --> and back? It copies whole weeks, and the gap decides which days get a copy of a
# holiday. On days where neither the day nor its copy is near a holiday, the error grows steadily with age. A score without its horizon and gap says nothing, and two scores with different ones can't be compared.
#
# One trap: a gap in the splitter leaves out training rows. **It does not make features older.** Put yesterday's rides into a ready table and ask for a gap of two weeks:

# %% name="gap_trap"
lags = forecasting.lag_features(rides, [1, 14, 21, 28])
table = pd.concat([lags, calendar_features(rides["ds"])], axis=1)
late = WalkForwardSplit(HORIZON, folds, gap=14, window="rolling", max_train_size=train_days)
by_fold = -cross_val_score(model, table, rides["y"], cv=late, scoring="neg_mean_absolute_error")
print(f"gap of 14 days, yesterday in the table: {by_fold.mean():.2f}")

# %% [markdown]
# 0.71<!-- =gap_trap: table: ([\d.]+) --> is too good for a forecast with two weeks' delay: each test row carries the day before it.
#
# **Step** is how often you would really forecast; the default is one horizon. With a step of 14 every cutoff is a Sunday, and "one day ahead" is always a Monday. That is right for this roster, but a curve of error by days ahead then shows weekdays, not distance. To see the distance, take a step
# that is no multiple of seven, such as 13<!-- given -->.

# %% [markdown]
# ## Window and refitting: what they cost and buy
#
# How much past should a training see, and how often should you train anew? Without refitting the model gets old, while its inputs stay fresh. The rows are those of all fits together.

# %% name="cost"
windows = {
    "1 year": WalkForwardSplit(HORIZON, folds, window="rolling", max_train_size=365),
    "4 years": FOLDS,
    "all years": WalkForwardSplit(HORIZON, folds),
}
runs, cost = {}, {}
for window, split in windows.items():
    learnt = [len(train) for train, _ in split.split(rides)]
    for when, every in {"every roster": 1, "every 13th": 13, "once": folds}.items():
        runs[window, when] = backtest(rides, model, split, refit=every, **KNOWN)
        errors = score(runs[window, when])[["mae", "rmse"]].loc[0]
        cost[f"{window} · {when}"] = [len(learnt[::every]), sum(learnt[::every]) / 1000, *errors]
pd.DataFrame(cost, index=["fits", "rows (thousands)", "MAE", "RMSE"]).T.round(2)

# %% [markdown]
# One year has the largest error however often you refit; it holds each holiday once. Which of the differences are real, and which are chance? You have the forecasts of the same days, so [Better, or lucky?](#Better,-or-lucky?) can answer it. (Seconds on record are in [the benchmark](../benchmarks/README.md#what-refits-warm-starts-bins-and-windows-buy).)
#
# ## Metrics, each in a line or two

# %% name="by_hand"
truth, error = tested["y"], tested["yhat"] - tested["y"]
history = rides.loc[rides["ds"] <= tested["cutoff"].min(), "y"]
by_hand = {
    "mae": error.abs().mean(),
    "rmse": (error**2).mean() ** 0.5,
    "mase": error.abs().mean() / history.diff(7).abs().mean(),
    "wape": error.abs().sum() / truth.abs().sum(),
    "smape": (2 * error.abs() / (truth.abs() + tested["yhat"].abs())).mean(),
}
scored = score(tested, train=rides).loc[0, list(by_hand)]
pd.DataFrame({"by hand": by_hand, "score": scored}).astype(float).round(3)

# %% [markdown]
# **MASE** divides by the error of seasonal naive on the past, one week ahead, so it compares series of different size. **WAPE** is the error as a share of all rides, the one that managers understand. **sMAPE** is a mean of percentages day by day.
#
# **Predict first.** Your forecast must be one constant for a whole year of rides. Which constant does each loss ask for: absolute error, squared error, and the **pinball loss** at 0.9<!-- given -->, which charges 0.9<!-- given --> for a unit too low and 0.1<!-- given --> for a unit too high?


# %% name="minimises"
def pinball(truth, answer, q):
    """The loss whose best constant answer is the q-quantile."""
    return np.maximum(q * (truth - answer), (q - 1) * (truth - answer)).mean()


year = rides["y"][-364:].to_numpy()
constants = np.linspace(0, 5 * np.ceil(year.max() / 5), 250, endpoint=False)
losses = {
    "absolute": [np.abs(year - c).mean() for c in constants],
    "squared": [((year - c) ** 2).mean() for c in constants],
    "pinball 0.9": [pinball(year, c, 0.9) for c in constants],
}
print({name: round(float(constants[np.argmin(loss)]), 1) for name, loss in losses.items()})
print(f"median {np.median(year):.1f}, mean {year.mean():.1f}, 90 % quantile {np.quantile(year, 0.9):.1f}")

# %% [markdown]
# MAE asks for the **median**, RMSE for the **mean**, pinball loss for a **quantile**. That choice is made with the metric, whether you notice or not.
#
# Now two rules compete: the same weekday of last year, and the median of the last four same weekdays. Any object with `fit(frame)` and `predict(future)` can be backtested.


# %%
class UsualWeek:
    """The median of the last four same weekdays."""

    def fit(self, frame):
        last = frame.tail(28)
        self.usual = last.groupby(last["ds"].dt.dayofweek)["y"].median()
        return self

    def predict(self, future):
        return future[["ds"]].assign(yhat=future["ds"].dt.dayofweek.map(self.usual))


# %% name="rules"
rules = {"last year": SeasonalNaive(364), "usual week": UsualWeek}  # need a year and four weeks, any window
tests = {name: backtest(rides, rule, WalkForwardSplit(HORIZON, folds)) for name, rule in rules.items()}
tests |= {"last week": naive, "trees": tested}
scores = pd.concat({name: score(run, train=rides) for name, run in tests.items()}).droplevel(1)
scores[["mae", "rmse", "wape", "smape", "mase"]].round(3)

# %% [markdown]
# By MAE the usual week is ahead of last year, by RMSE behind. Both are right: the usual week is closer on ordinary days and knows no holidays. A miss of ten thousand counts as much as ten misses of one thousand in MAE, and ten times
# as much in squared error. So ask the manager: *is one roster with forty idle people as bad as ten with four?* If it is worse, take RMSE. If not, MAE. Now look where the trees fail:

# %% name="kinds"
days = calendar_features(tested["ds"])
conditions = [days["holiday"] == 1, days["weekday"] == 5, days["weekday"] == 6]
kind = np.select(conditions, ["holiday", "Saturday", "Sunday"], "weekday")
by_kind = score(tested.assign(kind=kind), by="kind").set_index("kind")
by_kind["share of smape"] = by_kind["smape"] * by_kind["n"] / (by_kind["smape"] * by_kind["n"]).sum()
by_kind[["n", "mae", "wape", "smape", "share of smape"]].round(3)

# %% [markdown]
# On Sundays the trees are closest in rides and far from best in percent. Saturdays and Sundays are two days in seven and make nearly half of the sMAPE: a
# mean of percentages looks at empty days. Report WAPE, and holidays on a row of their own.
#
# ### Your turn

# %% exercise="mase"

# %%
exercise.check(mase)

# %% [markdown]
# ## Better, or lucky?
#
# Two backtests of the same folds differ day by day, so compare them in pairs. But the days are not independent: one Christmas spoils the forecast of that day and of the weeks that copy it. `compare` draws whole **blocks** of neighbouring days with replacement (a block bootstrap; it assumes that the differences behave alike over time). Here `a` is last year and `b` is last week, over one year and over four. A difference below zero says that `a` has the smaller error:

# %% name="blocks"
longer = WalkForwardSplit(HORIZON, 2 * folds)
runs_of = {season: backtest(rides, SeasonalNaive(season), longer) for season in (364, 7)}
spans = {"one year": folds // 2 * HORIZON, "four years": 2 * folds * HORIZON}
rows = {}
for span, days in spans.items():
    a, b = (run.tail(days).reset_index(drop=True) for run in runs_of.values())
    for block in (1, 14, 28):
        rows[span, block] = compare(a, b, block=min(block, days // 2))
pd.DataFrame(rows, index=["difference", "low", "high", "better"]).T.infer_objects().round(2)

# %% [markdown]
# A gain of 0.21<!-- =blocks: one year +1 +-([\d.]+) --> thousand rides, and one year can't tell it from chance. Blocks of 14 days, the default, make the interval half as wide again as single days do; that part of the certainty was never there. Four years settle it. If a difference matters, add folds before you add features.
#
# The classic test is **Diebold–Mariano**. It divides the mean difference by its standard error. That error includes the autocovariances, since neighbouring days are correlated. The test does not assume independent days; it assumes that the differences are **stationary**: the same mean and the same correlations in all of the period.


# %% name="diebold_mariano"
def diebold_mariano(a, b, lags=14):
    """The statistic of the absolute errors of a minus those of b; beyond ±1.96 is rarely chance."""
    d = (a["y"] - a["yhat"]).abs().to_numpy() - (b["y"] - b["yhat"]).abs().to_numpy()
    n, centred = len(d), d - d.mean()
    together = [(centred[k:] * centred[: n - k]).sum() / n for k in range(lags + 1)]
    weights = [1, *(2 * (1 - k / (lags + 1)) for k in range(1, lags + 1))]  # older lags count less
    return d.mean() / np.sqrt(np.dot(weights, together) / n)


for span, days in spans.items():
    a, b = (run.tail(days) for run in runs_of.values())
    print(f"{span}: {diebold_mariano(a, b):.2f}; days taken as independent {diebold_mariano(a, b, 0):.2f}")

# %% [markdown]
# With 1.96<!-- given --> as the limit the test agrees with the blocks. If you take days as independent, the statistic is too large, as the interval was too narrow before. Now the open question of windows and refitting:

# %% name="verdicts"
verdicts = {
    "trees against the usual week": compare(tested, tests["usual week"]),
    "1 year against 4 years": compare(runs["1 year", "every roster"], tested),
    "all years against 4 years": compare(runs["all years", "every roster"], tested),
    "4 years every 13th against every roster": compare(runs["4 years", "every 13th"], tested),
    "4 years once against every roster": compare(runs["4 years", "once"], tested),
}
pd.DataFrame(verdicts, index=["difference", "low", "high", "better"]).T.infer_objects().round(2)

# %% [markdown]
# The trees beat the usual week, and one year of training is too little. All years tie with four years, which have a quarter of the rows, so cost decides. A tie is no proof of equality: by the 95<!-- given --> % interval all years may be worse by 0.08<!-- =verdicts[all years against 4 years, high] --> or a little better, and even that is no worst case.
#
# **Refitting pays here.** The error is larger by 0.10<!-- =verdicts[4 years every 13th against every roster, difference] --> if you refit twice a year and by 0.25<!-- =verdicts[4 years once against every roster, difference] --> if you train once; both intervals are above zero. A likely reason: the station grows, and trees can't forecast a level that they have not seen (lesson 15a), so each training brings them the new level. On a steady series the same table often shows a tie; then the rarest refit wins.

# %% [markdown]
# ## What to choose when
#
# | choice | ask | take |
# |---|---|---|
# | **horizon** | how far does the decision reach? | exactly that; report the error by `h` |
# | **gap** | how old are the youngest data? | that age, in the features as well as in the splitter |
# | **folds** | what must the test hold? | all holidays and seasons, 26 fortnights or more; four times that for close calls |
# | **window** | does the distant past resemble the present? | expanding when events are rare; rolling after a break, or when training is dear |
# | **refit** | what does a training cost? | the rarest that `compare` can't tell from the best |
# | **metric** | what does a miss cost? | MAE, RMSE for big misses, pinball when too few and too many cost differently |
# | **nothing** | does the best simple rule serve the decision? | keep it: it can't leak, break or drift unseen |

# %% [markdown]
# ## Take-aways
#
# - Walk forward: train up to a cutoff, forecast the horizon, go on. Horizon and gap come from the decision, and a gap in the splitter makes no feature older.
# - The metric decides what the forecast is: the median, the mean or a quantile. Ask who pays for the misses, and show holidays on their own.
# - Compare on the same folds, in blocks. A tie is no proof of equality; its interval says what you may lose.
# - If a difference matters, add folds before you add features.

# %% [markdown]
# ## In an interview
#
# - *How do you cross-validate a time series, and what does a gap do?* Shown in [Folds: expanding, rolling, with a gap](#Folds:-expanding,-rolling,-with-a-gap) and [Horizon, gap and step](#Horizon,-gap-and-step).
# - *Model A has the lower MAE, model B the lower RMSE. Which do you ship?* Shown in [Metrics, each in a line or two](#Metrics,-each-in-a-line-or-two).
# - *Is A better than B, or was it luck?* Shown in [Better, or lucky?](#Better,-or-lucky?).
#
# With the points of a good answer, and more of them: `walkforward practice --lesson 13b` in a terminal.
#
# ## Up next
#
# [13c · Before the model](13c_before_the_model.ipynb) reads the series first, writes ETS and ARIMA by hand, and finds where they are the right answer.
