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
# # 13c · Before the model
#
# After this lesson you can read a series before you model it, write ETS and ARIMA from their equations, and say when they are the right answer.

# %% [markdown]
# > **You will learn to** read ACF, PACF and STL · say what ADF and KPSS test · difference as often as needed · write exponential smoothing and a seasonal ARIMA by hand · compare two forecasts on few folds
# >
# > **Before you start** [13b · Walk-forward validation](13b_walk_forward.ipynb): folds, `backtest`, `compare`. Nothing is needed from its kernel.
# >
# > **Time** 60 minutes of study; it runs in half a minute
# >
# > **Interview questions it answers** What do ACF and PACF tell you? · How do you test whether a series is stationary? · ETS, ARIMA or boosting?

# %% tags=["parameters"]
folds = 52  # fortnights to forecast; 52 are two years
train_days = 1461  # each training sees the four years before
trees = 60  # in each boosted model
show_seconds = False  # True prints the CPU seconds of your machine

# %%
import time
from functools import partial
from importlib.util import find_spec

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy import optimize, signal, stats
from statsmodels.tsa.seasonal import STL
from statsmodels.tsa.stattools import acf, pacf
from xgboost import XGBRegressor

from course import exercise
from course.data import load_ridership
from course.exercise import TODO
from lessons.before_the_model.classical import Airline, Smoothing, adf, careful_calendar, kpss, monthly_rides
from walkforward import forecasting
from walkforward.forecasting import SeasonalNaive, WalkForwardSplit, calendar_features, compare, score
from walkforward.plots import PALETTE, use_style

use_style()
backtest = partial(forecasting.backtest, progress=False)

# %% [markdown]
# ## Both tests pass
#
# A series is **stationary** if its mean, its variance and its correlation with its own past are the same at all times. A model with fixed coefficients needs that. A colleague tests the rides at Clark/Lake in the four years before the first fold.
#
# - **ADF** (augmented Dickey–Fuller) has the null hypothesis of a **unit root**: a shock stays for ever. A small p rejects it.
# - **KPSS** has the opposite null, stationary around a constant. A statistic above 0.463<!-- given --> rejects it at 5<!-- given --> %.
#
# `adf` gives that p, `kpss` that statistic.


# %% name="both_tests"
HORIZON = 14
rides = load_ridership()[["ds", "y"]]
past = rides[: -folds * HORIZON].set_index("ds")["y"]
four_years = past[-train_days:]
print(f"ADF: p = {adf(four_years):.3f}, KPSS: {kpss(four_years):.3f}")

# %% [markdown]
# ADF rejects the unit root, KPSS keeps its null. Both say stationary, so she models it as it is. **Predict first.** What do you know about this station that no test was told?

# %% name="weekdays"
DAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
by_weekday = four_years.groupby(four_years.index.dayofweek).mean().set_axis(DAYS)
by_weekday.to_frame("rides (thousands)").T.round(1)

# %% [markdown]
# The mean is 19.3<!-- =weekdays[rides (thousands), Wed] --> on Wednesdays and 5.0<!-- =weekdays[rides (thousands), Sun] --> on Sundays: not stationary. **Neither test looks for a season.**
#
# ## What the correlations say
#
# The **ACF** at lag $k$ is the correlation of $y_t$ with $y_{t-k}$. The **PACF** is what is left of it when the lags between are accounted for. Of pure noise one bar in twenty is outside of $\pm 1.96/\sqrt{n}$, the grey band.

# %% name="correlations"
weekly = four_years.diff(7).dropna()  # each day minus the same weekday of the week before
panels = {"ACF, rides": acf(four_years, nlags=28), "ACF, weekly difference": acf(weekly, nlags=28)}
panels["PACF, weekly difference"] = pacf(weekly, nlags=28)
fig, axes = plt.subplots(1, 3, figsize=(9, 2.8), sharey=True)
for ax, (title, values) in zip(axes, panels.items(), strict=True):
    ax.bar(range(1, 29), values[1:], color=PALETTE["blue"])
    ax.axhspan(-1.96 / train_days**0.5, 1.96 / train_days**0.5, color=PALETTE["grey"], alpha=0.4)
    ax.set(title=title, xlabel="lag (days)", xticks=[1, 7, 14, 21, 28])
axes[0].set_ylabel("correlation")
fig.suptitle("One weekly difference leaves little more than one bar at 7", y=1.08, fontweight="bold")
plt.show()

# %% [markdown]
# *Figure: bars by lag. Rides: high at 7, 14, 21 and 28. Weekly difference, ACF: positive at 1 and fading, one negative bar at 7, little after it. PACF: positive at 1; negative at 7, 14, 21 and 28, and fading.*
#
# | you see | it says | you do |
# |---|---|---|
# | ACF falls slowly, lag by lag | trend or unit root | difference once, look again |
# | ACF high at 7, 14, 21 | a weekly season | weekly difference, or a season in the model |
# | PACF ends after $p$, ACF fades | autoregression | $p$ past values |
# | ACF ends after $q$, PACF fades | moving average | $q$ past errors |
# | ACF ends after 7, PACF fades at 7, 14 | seasonal moving average | one past error, a week old |
#
# This station shows the last row and, in the first bars, the third. How often do you difference? Try more than needed, in ten windows of four years, each a year earlier (`sd` and `ACF 1` are of the latest; `around a line` is KPSS too):


# %% name="differences"
ends = [len(past) - 365 * years for years in range(10) if len(past) - 365 * years >= train_days]
windows = [past.iloc[end - train_days : end] for end in ends]
rows = {"rides": windows, "day": [y.diff().dropna() for y in windows]}
rows["week"] = [y.diff(7).dropna() for y in windows]
rows["week and day"] = [y.diff().dropna() for y in rows["week"]]
rows["week and twice a day"] = [y.diff().dropna() for y in rows["week and day"]]
table = pd.DataFrame(index=rows)
table["sd"] = [ys[0].std() for ys in rows.values()]
table["ACF 1"] = [acf(ys[0], nlags=1)[1] for ys in rows.values()]
table["ADF rejects"] = [sum(adf(y) < 0.05 for y in ys) for ys in rows.values()]
table["KPSS rejects"] = [sum(kpss(y) > 0.463 for y in ys) for ys in rows.values()]
table["around a line"] = [sum(kpss(y, "ct") > 0.146 for y in ys) for ys in rows.values()]
table.round(2)

# %% [markdown]
# One weekly difference has the smallest standard deviation, 3.18<!-- =differences[week, sd] -->. Each further one adds noise; with two too many the first autocorrelation is −0.58<!-- =differences[week and twice a day, ACF 1] -->. **−0.5<!-- given --> at lag 1<!-- given --> is the sign of a difference too many.**
#
# On the rides, ADF rejects in 10<!-- =differences[rides, ADF rejects] --> of 10<!-- given --> windows and KPSS in 7<!-- =differences[rides, KPSS rejects] -->. They disagree because "no unit root" is not "a constant mean": around a straight line KPSS rejects in 1<!-- =differences[rides, around a line] -->.
#
# | ADF | KPSS | read it as | do |
# |---|---|---|---|
# | rejects | keeps | stationary, seasons aside | nothing |
# | keeps | rejects | unit root, or a strong trend: give ADF a line | difference once, or a trend |
# | rejects | rejects | stable around a trend or a break | a level that moves, or a shorter window |
# | keeps | keeps | too few data | decide by a backtest |
#
# ### Your turn

# %% exercise="how_often"

# %%
exercise.check(how_often)

# %% [markdown]
# ## Take it apart
#
# **STL** splits a series by local regressions into trend, season and remainder. Look at the largest remainders: what do trend and season not explain?

# %% name="remainder"
remainder = STL(four_years, period=7, robust=True).fit().resid
flags = calendar_features(rides["ds"], "US")[["holiday", "before_holiday", "after_holiday"]].astype(float)
near = flags.any(axis=1).set_axis(rides["ds"])
largest = remainder.abs().nlargest(20).index
shares = near[four_years.index].mean(), near[largest].mean()
print("near a holiday: {:.2f} of days, {:.2f} of the worst 20".format(*shares))

# %% [markdown]
# Your model must know holidays.
#
# ## ETS by hand
#
# **Exponential smoothing** keeps a level $\ell$ and a season $s$, forecasts their sum, and moves both by a share of each miss:
#
# $$\hat y_t = \ell + s_{t-7} \qquad e_t = y_t - \hat y_t \qquad \ell \leftarrow \ell + \alpha e_t \qquad s_t = s_{t-7} + \gamma e_t$$
#
# The letters stand for **e**rror, **t**rend, **s**eason: N is none, A additive, M multiplicative. ETS(M, N, A) has these equations, and takes each miss as a share of its forecast.


# %%
def smooth(y, level, season, alpha, gamma):
    """Run through y; return the last level and season, and the relative misses."""
    season, misses = list(season), []
    for t, value in enumerate(y):
        phase = t % len(season)
        expected = level + season[phase]
        level += alpha * (value - expected)
        season[phase] += gamma * (value - expected)
        misses.append((value - expected) / expected)
    return level, season, np.array(misses)


# %% name="smoothing"
start = by_weekday.mean(), np.roll(by_weekday - by_weekday.mean(), -four_years.index[0].dayofweek)
y = four_years.tolist()
found = optimize.least_squares(lambda weights: smooth(y, *start, *weights)[2], [0.1, 0.1], bounds=(0, 1))
print("alpha {:.2f}, gamma {:.2f}".format(*found.x))

# %% [markdown]
# With α = 0.03<!-- =smoothing: alpha ([\d.]+) --> the level moves slowly; near 1<!-- given --> it would be the naive forecast. If you add a trend, damp it: a straight line runs away.
#
# ### Your turn

# %% exercise="damped_trend"

# %%
exercise.check(damped_trend)

# %% [markdown]
# ## ARIMA by hand
#
# ARIMA$(p, d, q)(P, D, Q)_7$ has $p$ past values, $d$ differences and $q$ past errors, and the same a week apart. The ACF asked for a weekly difference and an error a week old. The **airline model**, $(0, 1, 1)(0, 1, 1)_7$, takes the daily difference as well: it lets the level move, and $\theta$ takes back the noise that it adds. With $w$ the series differenced both ways,
#
# $$w_t = e_t + \theta e_{t-1} + \Theta e_{t-7} + \theta\Theta e_{t-8}$$
#
# Solve it for $e_t$ and you have a recursion, which `lfilter` runs. Take the weights with the smallest $\sum e_t^2$, with errors of 0<!-- given --> before the beginning. (Without a season that is exponential smoothing, $\alpha = 1 + \theta$.)


# %% name="airline"
def errors(weights):
    theta, Theta = weights
    return signal.lfilter([1], [1, theta, 0, 0, 0, 0, 0, Theta, theta * Theta], twice)


twice = weekly.diff().dropna()
found = optimize.least_squares(errors, [-0.5, -0.5], bounds=(-1, 1))
print("theta {:.2f}, Theta {:.2f}".format(*found.x))

# %% [markdown]
# The forecast sets the errors to come to 0<!-- given --> and undoes the differences. `Smoothing` and `Airline` are these lines with `fit` and `predict`; `Airline` takes known columns too, through the same filter.
#
# ## By the library
#
# **statsforecast** has both, compiled, with intervals and searches by AICc, fit less complexity (it compares only models of the same differences). A search in each fold is dear (on four years 4.2<!-- given --> CPU seconds), so choose once, before the first fold. `Adapter` takes its models into `backtest`.


# %% name="chosen"
class Adapter:
    def __init__(self, make):
        self.make = make

    def fit(self, frame):
        self.model = self.make().fit(frame["y"].to_numpy())

    def predict(self, future):
        found = self.model.predict(len(future), level=[80])
        return future.assign(yhat=found["mean"], yhat_lower=found["lo-80"], yhat_upper=found["hi-80"])


# %% name="library"
models = {"airline by hand": Airline}
if find_spec("statsforecast"):
    from statsforecast.models import ARIMA, MSTL, AutoARIMA, AutoETS

    print(AutoETS(7).fit(four_years.to_numpy()).model_["method"])
    search = AutoARIMA(season_length=7, max_p=2, max_q=2, max_P=1, max_Q=1)
    p, q, P, Q, m, d, D = search.fit(four_years.to_numpy()[-364:]).model_["arma"]
    print(f"ARIMA({p},{d},{q})({P},{D},{Q})[{m}]")
    models["ETS(M,N,A)"] = partial(AutoETS, 7, model="MNA")
    models["ARIMA(1,0,0)(1,1,1)"] = partial(ARIMA, (1, 0, 0), 7, (1, 1, 1))
    coarse = {"trend_jump": 30, "low_pass_jump": 30, "seasonal_jump": 7}  # a tenth of the cost
    models["MSTL"] = partial(MSTL, [7, 365], AutoETS(model="ANN"), stl_kwargs=coarse)
else:
    models["ETS by hand"] = Smoothing
    print("statsforecast is not made for this machine: you see the models by hand")

# %% [markdown]
# **MSTL** takes out several seasons by STL and smooths the rest. Now open the 52<!-- given --> folds. All see past rides only. `difference` is the MAE minus that of seasonal naive, with its 95<!-- given --> % interval. How many beat last week?

# %% name="contest"
FOLDS = WalkForwardSplit(HORIZON, folds, window="rolling", max_train_size=train_days)
naive, rows, contest = backtest(rides, SeasonalNaive(7), FOLDS), {}, {}
for name, make in models.items():
    began = time.process_time()
    model = make if name.endswith("hand") else partial(Adapter, make)
    contest[name] = found = backtest(rides, model, FOLDS, n_jobs=1)
    rows[name] = score(found).iloc[0].to_dict() | compare(found, naive)._asdict()
    if show_seconds:
        print(f"{name}: {(time.process_time() - began) / folds:.3f} CPU seconds a fold")
print(f"seasonal naive: MAE {score(naive)['mae'].item():.2f}")
shown = ["mae", "coverage", "width", "difference", "low", "high", "better"]
pd.DataFrame(rows).T.reindex(columns=shown).infer_objects().round(2)

# %% [markdown]
# Nobody: every interval holds zero. And the 80<!-- given --> % intervals of ETS hold 0.93<!-- =contest[ETS(M,N,A), coverage] --> of the days.
#
# ## What the errors tell
#
# Look at three things first: the mean by weekday (a bias is free to remove), the correlation beyond the horizon (what repeats can be forecast), and where the large ones are (they have a cause).

# %% name="residuals"
found = contest["airline by hand"]
error, close = found["y"] - found["yhat"], near[found["ds"]].to_numpy()
bias = error.groupby(found["ds"].dt.dayofweek).mean().set_axis(DAYS)
print("mean error:", bias.round(2).to_dict())
print(f"largest correlation, lags 14 to 28: {abs(acf(error, nlags=28)[HORIZON:]).max():.2f}")
print(f"near a holiday: {close[error.abs().nlargest(20).index].mean():.2f} of the worst 20")

# %% name="held"
for name, found in contest.items():
    if "yhat_lower" in found:
        inside = found["y"].between(found["yhat_lower"], found["yhat_upper"]).to_numpy()
        print(
            f"{name} holds {inside[~close].mean():.2f} of ordinary days, {inside[close].mean():.2f} near holidays"
        )

# %% [markdown]
# Saturdays are forecast 0.31<!-- =residuals: 'Sat': -([\d.]+) --> too high: subtract it. A correlation of 0.17<!-- =residuals: 28: ([\d.]+) --> is little. All of the worst are near a holiday. An interval is $\pm 1.28\,\hat\sigma_h$, if the errors are normal and equally wide on all days. Holidays make $\hat\sigma$ large: ordinary days get too much, 0.96<!-- =held: ETS\(M,N,A\) holds ([\d.]+) -->, holidays too little, 0.55<!-- =held: ETS\(M,N,A\) holds [\d.]+ of ordinary days, ([\d.]+) -->.
#
# ## The same information for both
#
# 13b's trees miss by 0.80<!-- =with_the_date: MAE ([\d.]+) -->, but they know the holidays. Is it the model or the information? Give both sides the same: the weekday; then three flags (holiday, before, after); then a **careful** calendar: holidays by size, and on working days only. A linear model can't find out that a holiday on a Sunday changes little.

# %% name="same_information"
careful = careful_calendar(rides["ds"])
boosted = XGBRegressor(n_estimators=trees, max_depth=4, learning_rate=0.15, n_jobs=1)
weekday = pd.DataFrame({"weekday": rides["ds"].dt.dayofweek})


def both(columns, split=FOLDS):
    """What the airline model and the trees forecast with these known columns."""
    airline = backtest(rides.join(columns), Airline, split, known=list(columns))
    known = weekday.join(columns)
    return airline, backtest(rides.join(known), boosted, split, lags=[14, 21, 28], known=list(known))


def verdict(a, b):
    return [score(a)["mae"].item(), score(b)["mae"].item(), *compare(a, b)]


COLUMNS = ["airline", "trees", "difference", "low", "high", "better"]
runs = {
    name: both(known) for name, known in [("weekday", careful[[]]), ("flags", flags), ("careful", careful)]
}
pd.DataFrame({name: verdict(*run) for name, run in runs.items()}, COLUMNS).T.infer_objects().round(2)

# %% [markdown]
# With the weekday alone they tie, both at the error of seasonal naive. With flags the trees win: they find *flag and working day* by themselves. With the careful calendar it is a tie again. **What looked like the better model was the better information.**
#
# 13b's trees have the day of the year as well:

# %% name="with_the_date"
dated = backtest(rides, boosted, FOLDS, lags=[14, 21, 28], calendar="US")
difference, low, high, better = compare(runs["careful"][0], dated)
print(f"trees with 13b's calendar: MAE {score(dated)['mae'].item():.2f}")
print(f"careful airline minus these: {difference:.2f} ({low:.2f} to {high:.2f}), better: {better}")

# %% [markdown]
# The careful calendar was chosen on the year before the folds, and so is the scale: **logarithms**, or **Box–Cox** $(y^\lambda - 1)/\lambda$, are right where swings grow with the level.

# %% name="before"
before = rides[: -folds * HORIZON].join([careful, flags])
YEAR = WalkForwardSplit(HORIZON, 26, window="rolling", max_train_size=train_days)
kept, flagged = (backtest(before, Airline, YEAR, known=list(some)) for some in (careful, flags))
logs = backtest(before, partial(Airline, logs=True), YEAR, known=list(careful))
lambdas = [stats.boxcox(window.to_numpy())[1] for window in windows]
print(f"Box-Cox fits a lambda of {min(lambdas):.1f} to {max(lambdas):.1f}")
rows = {"flags": verdict(flagged, kept), "careful, of logarithms": verdict(logs, kept)}
pd.DataFrame(rows, ["MAE", "careful", *COLUMNS[2:]]).T.infer_objects().round(2)

# %% [markdown]
# Logarithms make it worse: on a Sunday a few hundred riders are a large share. λ is fitted to one bell, and weekdays and weekends are two. (Back from logarithms you get the median, not the mean.)
#
# ## Few folds: Diebold–Mariano, corrected
#
# 13b's test takes its limit of 1.96<!-- given --> from a bell curve, which holds for many losses. **Harvey, Leybourne and Newbold** shrink the statistic and take Student's t. Both assume that the differences are **stationary**, and speak of these forecasts, not of the models in general. Take the mean loss of each fold: folds that don't overlap have `h` = 1<!-- given -->.


# %% name="hln"
def diebold_mariano(d, h=1, corrected=True):
    """The p of "equally good" from differences d of losses whose errors overlap up to h - 1."""
    n, centred = len(d), d - d.mean()
    together = [(centred[k:] * centred[: n - k]).sum() / n for k in range(h)]
    statistic = abs(d.mean()) / np.sqrt((together[0] + 2 * sum(together[1:])) / n)
    if not corrected:
        return 2 * stats.norm.sf(statistic)
    return 2 * stats.t.sf(statistic * np.sqrt((n + 1 - 2 * h + h * (h - 1) / n) / n), n - 1)


for name, (a, b) in runs.items():
    gain = (a["y"] - a["yhat"]).abs() - (b["y"] - b["yhat"]).abs()
    print(f"{name}: p = {diebold_mariano(gain.groupby(a['cutoff']).mean().to_numpy()):.2f}")

# %% name="equal"
rng, rows = np.random.default_rng(0), {}
for n in (8, 16, 52):
    equal = rng.normal(size=(4000, n))  # differences of two equal forecasts
    p = [[diebold_mariano(d, corrected=False), diebold_mariano(d)] for d in equal]
    rows[f"{n} folds"] = (np.array(p) < 0.05).mean(axis=0)
pd.DataFrame(rows, ["limit 1.96", "corrected"]).T.round(3)

# %% [markdown]
# With 8<!-- given --> folds the old limit calls one of two **equal** forecasts better in a share of 0.103<!-- =equal[8 folds, limit 1.96] -->. The corrected test keeps its 5<!-- given --> %.
#
# ## When it is the right answer
#
# Give both sides fewer days, with the careful calendar:

# %% name="history"
rows = {}
for days in (56, 182, 365):
    short = WalkForwardSplit(HORIZON, folds, window="rolling", max_train_size=days)
    rows[f"{days} days"] = verdict(*both(careful, short))
rows["four years"] = verdict(*runs["careful"])
pd.DataFrame(rows, COLUMNS).T.infer_objects().round(2)

# %% [markdown]
# Up to half a year the airline model wins clearly: it learns two weights and five effects, the trees hundreds of cuts. With 56<!-- given --> days it wins clearly at most of the 20<!-- given --> stations, against smaller trees too. With a year it is a tie.
#
# Few rows again: rides a day by **month**, twelve months ahead, in six folds, at 20<!-- given --> stations. The trees are one model for all, on the change from the year before, so growth is no obstacle.

# %% name="months"
months = monthly_rides()
change = months["y"] - months.groupby("unique_id")["y"].shift(12)
changes = months.assign(y=change, month=months["ds"].dt.month).dropna()
ask = partial(backtest, splitter=WalkForwardSplit(12, 6, step=12), freq="MS")
last_year = ask(months, SeasonalNaive(12))
found = {"ETS": ask(months, partial(Smoothing, 12)), "airline": ask(months, partial(Airline, 12))}
by_trees = ask(changes, boosted, lags=[12, 13, 24], known=["month"])
found["trees"] = last_year.assign(yhat=last_year["yhat"] + by_trees["yhat"])
bar, rows = score(last_year, by="unique_id")["mae"], {}
for name, run in found.items():
    ahead = (score(run, by="unique_id")["mae"] < bar).sum()
    rows[name] = [*verdict(run, last_year), ahead]
pd.DataFrame(rows, ["MAE", "naive", *COLUMNS[2:], "stations ahead"]).T.infer_objects().round(3)

# %% [markdown]
# | your series | take |
# |---|---|
# | a few months of days; months or quarters | ETS or the airline model, holidays as regressors |
# | years of days, known holidays | a tie here: the one that your team can explain |
# | regressors that interact, many series | trees |
# | seasons of a day, a week and a year | MSTL, or Fourier terms as regressors; 365<!-- given --> steps are too many for ARIMA |
# | no interval excludes zero | seasonal naive |

# %% [markdown]
# ## Take-aways
#
# - ADF's null is a unit root, KPSS's is stationarity, and neither sees a season. Look at the ACF; difference only while the standard deviation falls.
# - ETS moves a level and a season by a share of each miss; ARIMA regresses on past values and errors.
# - Give both sides the same information before you compare models. Here a careful calendar was worth more than the choice of model.
# - Classical models win where rows are few: weeks of days, or years of months.

# %% [markdown]
# ## In an interview
#
# - *What do ACF and PACF tell you?* Shown in [What the correlations say](#What-the-correlations-say).
# - *ADF says stationary, KPSS says not. What now?* Shown in [Both tests pass](#Both-tests-pass) and [What the correlations say](#What-the-correlations-say).
# - *ETS, ARIMA or boosting?* Shown in [The same information for both](#The-same-information-for-both) and [When it is the right answer](#When-it-is-the-right-answer).
#
# More, with the points of a good answer: `walkforward practice --lesson 13c` in a terminal.
#
# ## Up next
#
# A forecast that a manager can read: [14a · Prophet by hand](14a_prophet_by_hand.ipynb).
