# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
#   walkforward:
#     ci:
#       judged_weeks: 26
#       trees: 20
# ---

# %% [markdown]
# # 15e · What is mostly zero
#
# After this lesson you can forecast a demand that is zero on most days, judge it by what an error costs, and order for a whole week.

# %% [markdown]
# > **You will learn to** say why MAE rewards forecasting nothing · write Croston, SBA and TSB by hand and set trees against them · take a loss from the costs ·
# > order for the sum over a lead time · keep intervals right when the world breaks
# >
# > **Before you start** [15d · What doesn't add up](15d_hierarchies.ipynb) and the intervals of [15b](15b_intervals_and_prophet.ipynb). Nothing is needed from their kernels.
# >
# > **Time** 55 minutes of study; it runs in half a minute
# >
# > **Interview questions it answers** The best model by MAE forecasts zero: what now? · How much do you order? · Your intervals stopped covering in March: what do you do?

# %% [markdown]
# ## Parameters

# %% tags=["parameters"]
judged_weeks = 52  # of 2019, one forecast on each Sunday
trees = 60  # in each boosted model
under, over = 4, 1  # what a car too few and a car too many costs

# %%
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.stats import poisson
from sklearn.base import BaseEstimator, RegressorMixin
from xgboost import XGBClassifier, XGBRegressor

from course import exercise
from course.exercise import TODO
from lessons.mostly_zero import zones
from walkforward import forecasting
from walkforward.forecasting import SeasonalNaive, WalkForwardSplit, conformal, score
from walkforward.plots import use_style

use_style()
backtest = partial(forecasting.backtest, progress=False)

# %% [markdown]
# ## Quiet zones
#
# A dispatcher places cars in New York's quiet taxi zones, for a week at a time; here one car serves one trip. The data are the trips of lessons 01 to 11. Their data card says: **never to be used as demand**. They are a sample of 10,000<!-- given --> trips a month, however many there were. So you forecast the sample itself: how many of *its* trips begin in a zone. It is real and mostly zero.
#
# Remember what sampling does. How it was drawn is not documented; if at random, it thins every zone, and thinning makes counts more regular, nearer to a Poisson distribution. Real demand, of spare parts for example, comes in lumps.

# %% name="quiet"
every_day = zones.quiet_zones()  # days × zones
counts = every_day[:"2019-12-29"]  # 2020 comes at the end
last = counts.loc["2019"]
print(f"{last.shape[1]} zones; mean of 2019 {last.to_numpy().mean():.2f} trips a day")
print(f"{100 * (last == 0).to_numpy().mean():.0f} % of the zones' days are zero")

# %% [markdown]
# The zones were chosen by their trips in 2018: 0.1<!-- given --> to 1<!-- given --> a day. For each week of 2019 you forecast the seven days of each zone, with what is known on the Sunday evening before.
#
# **Predict first.** Three forecasts: nothing; the same weekday of last week; the mean of the last 182<!-- given --> days. Which has the smallest mean absolute error?


# %%
FOLDS = WalkForwardSplit(7, judged_weeks)
SUNDAYS = counts.index[-1 - 7 * np.arange(judged_weeks, 0, -1)]
panel = counts.stack().rename("y").reset_index().sort_values(["unique_id", "ds"], ignore_index=True)
held = partial(zones.held, counts=counts, sundays=SUNDAYS)  # a rate, for the seven days after each Sunday
mean = counts.rolling(182).mean()

# %% name="zero_wins"
tried = {"nothing": held(0 * mean), "last week": backtest(panel, SeasonalNaive(7), FOLDS)}
tried["mean of 182 days"] = held(mean)
pd.concat(map(score, tried.values()), keys=tried).droplevel(1)[["mae", "rmse", "bias"]].round(3)

# %% [markdown]
# By MAE the best forecast is to send no car anywhere: 0.332<!-- =zero_wins[nothing, mae] --> against 0.433<!-- =zero_wins[mean of 182 days, mae] -->. That is no accident of these zones. The number with the smallest mean *absolute* error is the **median**, and where more than half of the days are zero the median is zero. The smallest *squared* error belongs to the **mean**: by RMSE nothing is worse than the mean, 0.687<!-- =zero_wins[nothing, rmse] --> against 0.571<!-- =zero_wins[mean of 182 days, rmse] -->.
#
# MASE (lesson 13) divides the MAE by a constant, so it rewards zero as well. A percentage error divides by zero. **A loss is a choice of what you forecast**, the median, the mean or a quantile; choose that first.

# %% [markdown]
# ## Croston, SBA, TSB
#
# **Croston** (1972) smooths two numbers: the size of a demand, and the gap in days since the one before. On a day when something is asked for, both move towards the new value by a share α of the difference. On other days nothing moves. The forecast is size ÷ gap, in trips a day.


# %% name="croston"
def croston(demand, alpha=0.1):
    """The rate known after each day."""
    rates, size, gap, since = [], None, None, 0
    for asked in demand:
        since += 1
        if asked > 0:
            size = asked if size is None else size + alpha * (asked - size)
            gap = since if gap is None else gap + alpha * (since - gap)
            since = 0
        rates.append(0 if size is None else size / gap)
    return np.array(rates)


# %% [markdown]
# It has two known faults. It divides by a smoothed gap, and that makes the forecast too high on average; **SBA** (Syntetos and Boylan, 2005<!-- given -->) multiplies the forecast by $1 - \alpha/2$. And when demand stops, nothing is ever updated again. **TSB** (Teunter, Syntetos and Babai, 2011<!-- given -->) smooths the probability of a demand instead of the gap, every day, by a share β:


# %% name="tsb"
def tsb(demand, alpha=0.1, beta=0.02):
    """The rate known after each day: probability × size."""
    rates, size, chance = [], next(asked for asked in demand if asked > 0), float(demand[0] > 0)
    for asked in demand:
        chance += beta * ((asked > 0) - chance)
        size += alpha * (asked - size) if asked > 0 else 0
        rates.append(chance * size)
    return np.array(rates)


# %% name="stops"
stopped = counts["zone 42"].to_numpy().copy()
stopped[-182:] = 0  # made up: half a year without a trip
for name, method in {"Croston": croston, "TSB": tsb}.items():
    print(f"{name}: {method(stopped)[-183]:.2f} trips a day before, {method(stopped)[-1]:.2f} after")

# %% [markdown]
# After half a year of silence Croston still promises 0.48<!-- =stops: Croston.*, ([\d.]+) after --> trips a day. A warehouse that believes it goes on buying parts for machines that are gone.
#
# How fast should they forget? A fair contest tunes them like any model: α and β are chosen by squared error on the second half of 2018, before the judged year.

# %% name="chosen"
EARLIER = counts.loc["2018-07-01":"2018-12-23"].index[::7]


def earlier_error(method, **options):
    found = zones.held(counts.apply(method, raw=True, **options), counts, EARLIER)
    return ((found["yhat"] - found["y"]) ** 2).mean()


alpha = min((0.02, 0.05, 0.1, 0.2), key=lambda a: earlier_error(croston, alpha=a))
beta = min((0.005, 0.01, 0.02, 0.05), key=lambda b: earlier_error(tsb, alpha=alpha, beta=b))
print(f"α = {alpha}, β = {beta}")

# %% [markdown]
# ## Trees in two parts
#
# Trees can use the calendar and all zones at once. A **two-part** model (*hurdle*) asks two questions: does anything happen, and how much if so? The forecast is the product. Its relative, the *zero-inflated* model, mixes extra zeros into a Poisson that has zeros of its own; as forecasts of the mean they serve the same need. We compare it with single models: trees with a Poisson loss and, as a warning, trees trained on absolute errors.


# %% name="two_parts"
SMALL = {"n_estimators": trees, "max_depth": 3, "learning_rate": 0.1, "n_jobs": 1}


class TwoParts(RegressorMixin, BaseEstimator):
    """Chance of a trip × number of trips if there is one."""

    def fit(self, X, y):
        self.chance_ = XGBClassifier(**SMALL).fit(X, y > 0)
        self.size_ = XGBRegressor(**SMALL).fit(X[y > 0], y[y > 0])
        return self

    def predict(self, X):
        return self.chance_.predict_proba(X)[:, 1] * self.size_.predict(X)


# %% name="all_tried"
tried["Croston, α = 0.1"] = held(counts.apply(croston, raw=True))
tried["Croston"] = held(counts.apply(croston, raw=True, alpha=alpha))
tried["SBA"] = tried["Croston"].assign(yhat=(1 - alpha / 2) * tried["Croston"]["yhat"])
tried["TSB"] = held(counts.apply(tsb, raw=True, alpha=alpha, beta=beta))
models = {name: XGBRegressor(objective=name, **SMALL) for name in ("reg:absoluteerror", "count:poisson")}
for name, model in (models | {"two parts": TwoParts()}).items():
    options = {"lags": [7, 14], "features": zones.rates_before, "calendar": "US", "refit": 13}
    tried[name] = backtest(panel, model, FOLDS, **options)

# %% name="verdicts"
for name, found in tried.items():
    versus = forecasting.compare(found, tried["mean of 182 days"], loss="squared")
    one = score(found).iloc[0]
    interval = f"{versus.difference:+.4f} ({versus.low:+.4f} to {versus.high:+.4f})"
    print(f"{name:18}MAE {one['mae']:.3f}  RMSE {one['rmse']:.3f}  bias {one['bias']:+.3f}  MSE {interval}")

# %% [markdown]
# The last column is the squared error minus that of the mean of 182<!-- given --> days, with its 95<!-- given --> % interval; above zero is worse.
#
# - **Trees on absolute errors** have the smallest MAE, 0.326<!-- =verdicts: absoluteerror MAE ([\d.]+) -->, because they forecast almost nothing: bias −0.309<!-- =verdicts: absoluteerror.*bias (-[\d.]+) -->.
# - **Croston** at the usual α of 0.1<!-- given --> loses 0.0048<!-- =verdicts: α = 0.1 .*MSE \+([\d.]+) -->; with the chosen α it is 0.0015<!-- =verdicts: Croston +MAE.*MSE \+([\d.]+) -->. Its bias of +0.010<!-- =verdicts: Croston +MAE.*bias (\+[\d.]+) --> shows the first fault, and SBA takes most of it away. Croston, SBA and TSB still lose a little to the plain mean, probably because these zones are steady and smoothing forgets sooner than half a year.
# - **Two parts and Poisson** tie with the mean, although they see the calendar and all zones.
#
# The simplest answer, the mean of half a year, is the right one here. Croston and SBA are made for items with long gaps, TSB for items whose need may end.

# %% [markdown]
# ## What does an error cost?
#
# A car too few costs 4<!-- given -->, a car too many 1<!-- given -->. The expected cost is smallest at the quantile
#
# $$q = \frac{c_{under}}{c_{under} + c_{over}} = 0.8$$
#
# of the demand. One car more pays as long as the chance that it is needed, times $c_{under}$, is above the chance that it stays idle, times $c_{over}$. (This is the *newsvendor* rule; it assumes a fixed cost per unit and no second order.) The cost is the **pinball loss** of lesson 15b times 5<!-- given -->, so a model can be trained and judged on it.

# %% [markdown]
# The cars are sent for a week. So it is the demand **of the whole week** that counts, and your colleague adds up seven daily 80<!-- given --> % quantiles.
#
# **Predict first.** Is the sum of seven 80<!-- given --> % quantiles too high or too low?


# %% name="orders"
def weekly_cost(order):
    """Cost of each Sunday's order, mean of the zones."""
    return (under * (needed - order).clip(lower=0) + over * (order - needed).clip(lower=0)).mean(axis=1)


q, sums, rate = under / (under + over), counts.rolling(7).sum(), 7 * mean.loc[SUNDAYS]
needed = sums.shift(-7).loc[SUNDAYS]

# %%
orders = {"nothing": 0 * rate, "7 × mean": rate}
orders["sum of daily quantiles"] = 7 * counts.rolling(182).quantile(q, interpolation="higher").loc[SUNDAYS]
orders["quantile of weekly sums"] = sums.rolling(182).quantile(q, interpolation="higher").loc[SUNDAYS]
orders["Poisson quantile of 7 × mean"] = rate.apply(lambda zone: poisson.ppf(q, zone))

# %% name="costs"
rows = {
    name: [order.to_numpy().mean(), 100 * (needed <= order).to_numpy().mean(), weekly_cost(order).mean()]
    for name, order in orders.items()
}
pd.DataFrame(rows, ["cars a week", "weeks served in full, %", "cost a week"]).T.round(2)

# %% [markdown]
# Adding up daily quantiles costs 4.37<!-- =costs[sum of daily quantiles, cost a week] --> a week, twice as much as the quantile of the weekly sums, 2.24<!-- =costs[quantile of weekly sums, cost a week] -->. It is wrong in both directions:

# %% name="both_ways"
some = ["zone 12", "zone 80", "zone 45", "zone 24"]
both = {name: orders[name][some].mean() for name in ("sum of daily quantiles", "quantile of weekly sums")}
pd.DataFrame({"needed": needed[some].mean()} | both).round(1)

# %% [markdown]
# Where four days in five are zero, the daily quantile is 0, and seven zeros are zero: no car ever. Where they are not, it is at least 1, and you send seven or more, because the sum assumes a busy day every day. **Quantiles of a sum come from sums**: past sums over the lead time, or a distribution of the sum. Both serve 87<!-- =costs: quantile of weekly sums +[\d.]+ +(\d+) --> % of the weeks in full, and not 80<!-- given -->, because orders are whole cars, rounded up.
#
# ### Your turn

# %% exercise="order_up_to"

# %%
exercise.check(order_up_to)

# %% [markdown]
# Do better rates make better orders? Take the Poisson quantile of each method's weekly rate. Each line is its cost a week minus that of the mean, with the 95<!-- given --> % interval:


# %% name="by_method"
best = weekly_cost(orders["Poisson quantile of 7 × mean"])
for name in ("Croston, α = 0.1", "Croston", "SBA", "TSB", "count:poisson", "two parts"):
    rate = tried[name].pivot_table("yhat", "cutoff", "unique_id", "sum")[list(counts)]
    cost = weekly_cost(rate.apply(lambda zone: poisson.ppf(q, zone)))
    print(f"{name:18}{zones.interval(cost - best)}")

# %% [markdown]
# The trees tie with the mean; Croston, SBA and TSB, tuned, cost 0.05<!-- =by_method: Croston +\+([\d.]+)\d --> to 0.06<!-- =by_method: TSB +\+([\d.]+)\d --> more. What you do with the rate matters far more: the quantile of weekly sums saves 2.13<!-- given --> against the sum of daily quantiles. One caution: the Poisson quantile fits this thinned sample. Lumpy demand has a variance far above its mean; check that, and use past sums or a negative binomial.
#
# ## March 2020
#
# Around each week's forecast, seven times the mean, you put the conformal interval of 15b, 80<!-- given --> %, from the zone's own past errors. It assumes that coming errors are like past ones. Then the city stops. The sample still has 10,000<!-- given --> trips a month, so the quiet zones get a larger share of them.

# %% name="weeks"
weeks = zones.weekly(every_day)  # forecast: 7 × the mean of 182 days
fixed = conformal(weeks, 0.8).dropna(subset="yhat_lower")
in_all = weeks.groupby("ds")["y"].sum()
months = in_all.loc["2019"].mean(), in_all.loc["2020-04":"2020-06"].mean()
print(f"trips a week in the quiet zones: 2019 {months[0]:.0f}, April to June 2020 {months[1]:.0f}")

# %% [markdown]
# **Adaptive conformal inference** (Gibbs and Candès, 2021<!-- given -->) steers the level. Let $\alpha$ = 0.2<!-- given --> be the share of misses that you accept (it has nothing to do with Croston's α). The method uses $\alpha_t$ in week $t$ and afterwards sets
#
# $$\alpha_{t+1} = \alpha_t + \gamma\,(\alpha - \text{miss}_t),\qquad \text{miss}_t = 1 \text{ if outside, else } 0$$
#
# A miss widens the next interval, a hit narrows it a little. Without *any* assumption on the data, the share of misses over $T$ weeks differs from $\alpha$ by at most about $1/(\gamma T)$. With $\gamma$ = 0.05<!-- given --> and 100<!-- given --> weeks that is 0.2<!-- given -->, so it is a promise for the long run only. Its price can be an endless interval, when $\alpha_t$ falls below zero.
#
# ### Your turn

# %% exercise="adaptive_levels"

# %%
exercise.check(adaptive_levels)


# %% name="adaptive"
def adaptive(weeks, gamma, first=26):
    """Intervals of each zone with an adaptive level, from all its past errors."""
    parts = []
    for _, zone in weeks.groupby("unique_id"):
        sizes, half, alpha = (zone["y"] - zone["yhat"]).abs().to_numpy(), np.full(len(zone), np.nan), 0.2
        for week in range(first, len(zone)):
            rank = int(np.ceil((week + 1) * (1 - alpha) - 1e-9))
            half[week] = np.sort(np.append(sizes[:week], np.inf))[np.clip(rank - 1, 0, week)]
            alpha += gamma * (0.2 - (sizes[week] > half[week]))
        parts.append(zone.assign(yhat_lower=zone["yhat"] - half, yhat_upper=zone["yhat"] + half))
    return pd.concat(parts).dropna(subset="yhat_lower")


# %% name="coverage"
ranges = {"fixed": fixed, "γ = 0.01": adaptive(weeks, 0.01), "γ = 0.05": adaptive(weeks, 0.05)}
for name, found in ranges.items():
    found = found[found["ds"] >= "2019-02"]
    ranges[name] = found.assign(held=found["y"].between(found["yhat_lower"], found["yhat_upper"]))
inside = pd.DataFrame({name: found.groupby("ds")["held"].mean() for name, found in ranges.items()})

# %% name="periods"
PERIODS = {"before": slice("2019-02", "2020-03-15"), "spring 2020": slice("2020-03-16", "2020-06-30")}
PERIODS["after"] = slice("2020-07", "2020-12")
table = pd.DataFrame({name: inside.loc[when].mean() for name, when in PERIODS.items()})
table["worst zone"] = [one.groupby("unique_id")["held"].mean().min() for one in ranges.values()]
table["endless (%)"] = [100 * np.isinf(one["yhat_upper"]).mean() for one in ranges.values()]
table["median width"] = [(one["yhat_upper"] - one["yhat_lower"]).median() for one in ranges.values()]
print(
    "γ = 0.05 minus fixed, since March 15:",
    zones.interval((inside["γ = 0.05"] - inside["fixed"])["2020-03-16":]),
)
table.round(2)

# %% [markdown]
# In spring the fixed intervals held 68<!-- =periods: fixed +[\d.]+ +0\.(\d+) --> %, the adaptive ones 75<!-- =periods: γ = 0.05 +[\d.]+ +0\.(\d+) --> %. Since mid-March the adaptive share is 0.072<!-- =periods: March 15: \+([\d.]+) --> higher, and the interval of that difference excludes zero. Neither kept the promise in spring: *adaptive* means after a miss. Later the adaptive ones hold too much: zones that missed in spring keep a low $\alpha_t$, because a hit gives back only 0.01<!-- given -->, and the large errors of spring stay among the past ones.
#
# The largest gain is at the worst zone, over all weeks from 0.58<!-- =periods[fixed, worst zone] --> to 0.78<!-- =periods[γ = 0.05, worst zone] -->: each zone is steered by its own misses.

# %% name="followed"
ax = inside[["fixed", "γ = 0.05"]].rolling(8).mean().plot(xlabel="", ylabel="share inside, mean of 8 weeks")
ax.axhline(0.8, color="black", linewidth=1)
ax.set_title("Both fall in March; the adaptive interval is back by July")
plt.show()

# %% [markdown]
# *Figure: share of zones inside their interval, 2019 and 2020. Both lines lie near the promised 0.8<!-- given --> until March 2020 and then fall to about two in three. The adaptive one is back in July and then too high, the fixed one only in December.*
#
# The price is γ. At 0.01<!-- given --> little happens in one spring; at 0.05<!-- given --> the width jumps after each miss, and 0.33<!-- =periods[γ = 0.05, endless (%)] --> % of the intervals are endless. Choose γ on an earlier break, not on the one you judge. **Decision.** Steer the level where you learn soon and often whether an interval held. Treat a break as what it is, an alarm ([lesson 11b](11b_alarms.ipynb)): no interval replaces a model that has seen the new world.

# %% [markdown]
# ## Take-aways
#
# - MAE asks for the median, and the median of mostly zero is zero. Choose the loss by what an error costs.
# - Croston, SBA and TSB estimate a rate. Tune them like any model, and set them against a plain mean.
# - Order by the quantile of the sum over the lead time; quantiles don't add up.
# - Conformal intervals assume that errors stay alike. Adaptive ones need no assumption, and promise only the long run.

# %% [markdown]
# ## In an interview
#
# - *The best model by MAE forecasts zero. Why, and what do you do?* Shown in [Quiet zones](#Quiet-zones).
# - *How much do you order for the week?* Shown in [What does an error cost?](#What-does-an-error-cost?).
# - *Your 80<!-- given --> % intervals held 68<!-- given --> % this spring. What now?* Shown in [March 2020](#March-2020).
#
# With the points of a good answer, and more of them: `walkforward practice --lesson 15e` in a terminal.
#
# ## Up next
#
# Twenty stations fit on one machine. [16a · The same call on a cluster](16a_the_same_call_on_a_cluster.ipynb) asks when a thousand don't.
