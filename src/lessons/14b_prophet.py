# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
#   walkforward:
#     ci:
#       folds: 6
#       years_ahead: 3
#       mcmc_samples: 60
# ---

# %% [markdown]
# # 14b · Prophet
#
# After this lesson you can say what each of Prophet's options does to a forecast, and tell from a backtest whether it is worth having.

# %% [markdown]
# > **You will learn to** backtest Prophet on closed test years · choose flexibility and growth · judge a regressor by its forecast · check what an interval covers
# >
# > **Before you start** [14a · Prophet by hand](14a_prophet_by_hand.ipynb): the model, and why the calendar is repaired. Nothing is needed from its kernel.
# >
# > **Time** 50 minutes of study; it runs in under a minute
# >
# > **Interview questions it answers** Your regressor is tomorrow's weather. What now? · Do the intervals hold what they promise? · Is the forecast worth having?

# %% [markdown]
# ## Parameters

# %% tags=["parameters"]
folds = 52  # forecasts of 14 days, two years
train_days = 1461  # four years
years_ahead = 10  # forecasts of a whole year, for the intervals
mcmc_samples = 200

# %%
import logging

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits

from course import exercise
from course.data import load_ridership
from course.exercise import TODO
from walkforward.forecasting import SeasonalNaive, WalkForwardSplit, backtest, compare, score

# %%
logging.getLogger("prophet.plot").setLevel(logging.CRITICAL)  # else it asks for plotly when it is imported
logging.getLogger("cmdstanpy").addHandler(logging.NullHandler())  # else it reports every fit, with the time
logging.getLogger("cmdstanpy").setLevel(logging.ERROR)
from prophet import Prophet
from prophet.diagnostics import cross_validation, performance_metrics
from prophet.make_holidays import make_holidays_df

logging.getLogger("prophet").setLevel(logging.WARNING)
threads = threadpool_limits(limits=1, user_api="blas")  # small matrices lose time on more
side_by_side = Parallel(n_jobs=2, prefer="threads")  # each fit is a process of its own

# %% [markdown]
# ## The score that counts
#
# The calendar is that of 14a, chosen on the years before the test: holidays on working days only, and the neighbours of the three big ones.

# %% name="tuned"
us_holidays = make_holidays_df(year_list=list(range(2001, 2018)), country="US")
big = us_holidays[us_holidays["holiday"].isin(["Thanksgiving Day", "Christmas Day", "New Year's Day"])]
around = [
    big.assign(ds=big["ds"] + pd.Timedelta(days=k), holiday=big["holiday"] + f" {k:+d}") for k in (-1, 1)
]
wider = pd.concat([us_holidays, *around], ignore_index=True)
working = wider[wider["ds"].dt.dayofweek < 5].reset_index(drop=True)


# %%
def tuned(**settings):
    """A fresh model with the settings of this lesson; `settings` override them."""
    ours = {"seasonality_mode": "multiplicative", "holidays": working.copy()}
    return Prophet(**(ours | settings))


# %% [markdown]
# The mode is multiplicative, $g(t)\,(1 + s(t) + h(t)) + e$, because the gap between working days and weekends has grown with the level. (In the two years before the test it ties with the additive mode.)
#
# Now open the two test years, the folds of lessons 13 and 15. Intervals are drawn at random from NumPy's global generator, so set its seed.


# %% name="walk"
def walk(frames, **settings):
    """Fit on the first of each pair of frames, forecast the second."""
    fit = delayed(lambda past: tuned(**settings).fit(past[["ds", "y"]]))
    models, out = side_by_side(fit(past) for past, _ in frames), []
    np.random.seed(14)
    for model, (past, days) in zip(models, frames, strict=True):
        answer = model.predict(days[["ds"]]).assign(y=days["y"].to_numpy(), unique_id="y")
        cutoff = past["ds"].iloc[-1]
        out.append(answer.assign(cutoff=cutoff, h=(answer["ds"] - cutoff).dt.days))
    return pd.concat(out, ignore_index=True)


# %%
HORIZON = 14
rides = load_ridership()
FOLDS = WalkForwardSplit(HORIZON, folds, window="rolling", max_train_size=train_days)
pairs = [(rides.iloc[train], rides.iloc[test]) for train, test in FOLDS.split(rides)]

# %% name="final"
final = walk(pairs)
naive = backtest(rides[["ds", "y"]], SeasonalNaive(7), FOLDS, progress=False)
both = pd.concat([score(naive, train=rides), score(final, train=rides)], keys=["naive", "Prophet"])
both = both.droplevel(1)[["mae", "rmse", "mase", "coverage"]].assign(
    times_naive=lambda t: t["mae"] / t["mae"]["naive"]
)
print("against naive:", compare(final, naive))
both.round(2)

# %% [markdown]
# 0.44<!-- =final[Prophet, times_naive] --> times the naive error, with the interval of the difference far below zero. **MASE** divides by the naive error of the past, one week ahead; over 14 days naive itself has 1.24<!-- =final[naive, mase] -->.
#
# `performance_metrics` is Prophet's own report by days ahead. It knows no baseline, so put yours beside it.

# %% name="ahead"
report = performance_metrics(final, metrics=["mae", "mape", "coverage"], rolling_window=0)
report["naive mae"] = performance_metrics(naive, metrics=["mae"], rolling_window=0)["mae"]
report.index = report["horizon"].dt.days.rename("days ahead")
report.loc[[1, 8, 7, 14], ["mae", "naive mae", "mape", "coverage"]].round(2)

# %% [markdown]
# All cutoffs are Sundays, so compare day 1 with day 8 and day 7 with day 14. The error hardly grows. Prophet has no memory of yesterday, so there is no memory to lose; a model with lags is better the nearer the
# day (lesson 15a). Don't read MAPE, the mean of error / rides, across days: on Sundays it is high because few people ride.
#
# ### Your turn
#
# You get a frame from `cross_validation` and the history. Is the model worth having? Beware: there is a way to compute the baseline that looks ahead.

# %% exercise="times_naive"

# %%
exercise.check(times_naive)

# %% [markdown]
# ## How flexible?
#
# The **changepoint prior** prices the bends of the trend. Train on five years at four origins before the test, look at the training days, the next 90 days and the next year.

# %%
before = rides[: -folds * HORIZON]
origins = [len(before) - 365 * back for back in (1, 2, 3, 4)]
splits = [(before[end - 5 * 365 : end], before[end - 5 * 365 : end + 365]) for end in origins]

# %% name="priors"
rows = {}
for prior in (0.001, 0.01, 0.05, 0.5):
    found = walk(splits, changepoint_prior_scale=prior, uncertainty_samples=0)
    miss, h = (found["y"] - found["yhat"]).abs(), found["h"]
    rows[prior] = [miss[part].mean() for part in (h <= 0, h.between(1, 90), h > 0)]
names = ["training days", "next 90 days", "next year"]
pd.DataFrame(rows, index=names).T.rename_axis("changepoint prior").round(2)

# %% [markdown]
# On the training days more freedom is always closer; that number can't choose. On the days after, a stiff trend is bad, and from 0.05<!-- given --> on, the default, 90 days and a year hardly change. So over four origins the default is a sound choice. One origin alone can put the bottom of the curve anywhere; choose by backtest, at the horizon you need.
#
# ## When growth must end
#
# A straight line never ends. `growth="logistic"` bends the trend towards a capacity, `cap`, which **you** have to know. Stand in August 2012, after six years of growth, and look three years ahead.

# %%
growing = rides[rides["ds"].between("2006-09-01", "2012-08-31")][["ds", "y"]]
later = rides[rides["ds"].between("2012-09-01", "2015-08-31")][["ds", "y"]]

# %% name="logistic"
rows = {}
for growth, cap in (("flat", None), ("linear", None), *(("logistic", cap) for cap in (14, 16, 25))):
    model = tuned(growth=growth, uncertainty_samples=0).fit(growing.assign(cap=cap, floor=0))
    miss = model.predict(later.assign(cap=cap, floor=0))["yhat"].to_numpy() - later["y"].to_numpy()
    rows[f"{growth} {cap or ''}".strip()] = {"MAE": np.abs(miss).mean(), "bias": miss.mean()}
pd.DataFrame(rows).T.round(2)

# %% [markdown]
# Growth paused after 2012. With a cap of 16 the error is 0.81<!-- =logistic[logistic 16, MAE] -->, nearly half of the line's 1.48<!-- =logistic[linear, MAE] -->. A cap that is too high is the line again; one that is too low is worse than anything. So a cap is right when it is a fact (seats, licences,
# households) known **before** the forecast. Picking the best row of this table would be a leak. `cap` and `floor` bound the *trend*, the level of an average day, not the forecast of one day, and both columns must be in the future frame as well.

# %% [markdown]
# ## What will the weather be?
#
# `add_regressor` adds a column of your own. Prophet's `cross_validation` does not ask you for its future, it takes it **from the history you fitted on**. Proof: change the temperature of the fortnight *after* a cutoff, and see whether the forecast moves.

# %%
WEATHER = ["temp_f", "rain_share", "snow_share"]


def with_weather():
    model = tuned(uncertainty_samples=0)
    for name in WEATHER:
        model.add_regressor(name)
    return model


# %% name="hindsight"
recent, cutoff = rides.tail(train_days + HORIZON), rides["ds"].iloc[-HORIZON - 1]
frozen = recent.assign(temp_f=recent["temp_f"].where(recent["ds"] <= cutoff, 20.0))
options = {"horizon": f"{HORIZON} days", "cutoffs": [cutoff], "disable_tqdm": True}
real, moved = (cross_validation(with_weather().fit(days), **options) for days in (recent, frozen))
print(
    f"the forecast of {cutoff:%d %b %Y} moves by {(moved['yhat'] - real['yhat']).abs().mean():.1f} thousand"
)

# %% [markdown]
# A cross-validation with regressors is a score **in hindsight**. So score each fit with three futures: the weather as it came, the weather of the season as the years before had it (*climatology*, known any time ahead), and the plain mean.

# %% name="futures"
seen = before.groupby(before["ds"].dt.dayofyear)[WEATHER].mean()
season = seen.rolling(15, center=True, min_periods=1).mean()


def with_three_futures(past, days):
    """One fit, and its errors with each future."""
    model = with_weather().fit(past)
    futures = {
        "known (hindsight)": days,
        "climatology": days[["ds"]].join(season, on=days["ds"].dt.dayofyear),
        "training mean": days[["ds"]].assign(**past[WEATHER].mean()),
    }
    answers = {name: model.predict(future)["yhat"].to_numpy() for name, future in futures.items()}
    return (pd.DataFrame(answers).sub(days["y"].to_numpy(), axis=0)).abs().mean()


# %%
errors = pd.DataFrame(side_by_side(delayed(with_three_futures)(*pair) for pair in pairs[::2]))
miss = (final["y"] - final["yhat"]).abs().groupby(final["cutoff"]).mean()
absent = miss.to_numpy()[::2]
gain = errors.sub(absent, axis=0)  # a value for each second fortnight

# %% name="worth"
drawn = gain.to_numpy()[np.random.default_rng(0).integers(0, len(gain), (4000, len(gain)))].mean(axis=1)
low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
shown = pd.DataFrame({"MAE": errors.mean(), "change": gain.mean(), "95 % from": low, "to": high})
print(f"without weather: MAE {absent.mean():.2f}")
shown.round(2) + 0.0

# %% [markdown]
# The interval comes from drawing the fortnights again, with replacement. (It has every second fortnight, to save time.)
#
# - **Known.** Perfect foresight of rain, snow and temperature changes the error by nothing that you could tell from chance, at least as straight lines of these three columns. Had you reported this model's cross-validation, you would have promised a future that you don't have, and for no gain.
# - **Climatology.** The honest version is no worse, and no better.
# - **Training mean.** The comfortable way to fill a gap is the only one that does harm, 0.14<!-- =worth[training mean, change] --> thousand rides: temperature has taken over a part of the yearly curve, and a constant puts July's weather into January.

# %% [markdown]
# The value of a regressor is that of its forecast. Here the decision is: leave it out. (`add_regressor("temp_f", regressor_predictor=True)` of Prophet `1.5` fits a second Prophet to the temperature. For weather that is climatology again, and then `cross_validation` is honest.)
#
# ### Your turn

# %% exercise="climatology"

# %%
exercise.check(climatology)

# %% [markdown]
# ## What do the intervals cover?
#
# `yhat_lower` and `yhat_upper` promise to hold 80<!-- given --> % of the days. Count, in the fortnights of the test.

# %% name="inside"
final["inside"] = final["y"].between(final["yhat_lower"], final["yhat_upper"])
final["width"] = final["yhat_upper"] - final["yhat_lower"]
by_fortnight = final.groupby("cutoff")["inside"].mean()
drawn = np.random.default_rng(0).choice(by_fortnight, (5000, len(by_fortnight))).mean(axis=1)
print(f"inside {final['inside'].mean():.2f}, 95 % interval", np.quantile(drawn, [0.025, 0.975]).round(2))
special, weekend = final["ds"].isin(working["ds"]), final["ds"].dt.dayofweek > 4

# %% name="coverage"
kinds = np.select([special, weekend], ["in the holiday calendar", "weekends"], "other working days")
covered = final.groupby(kinds).agg(days=("y", "size"), inside=("inside", "mean"), width=("width", "mean"))
covered.loc["all"] = [len(final), final["inside"].mean(), final["width"].mean()]
covered.astype({"days": int}).round(2)

# %% [markdown]
# Too many: 89<!-- =coverage: all .* 0\.(\d\d) --> %, beyond luck. The noise has one standard deviation for all days, estimated on the training days, and a few wild days inflate it for all others. So every day gets the same width: too wide for a working day, where 91<!-- =coverage: other .* 0\.(\d\d) --> % are inside, closer for the weekend.
#
# And farther out? Take ten forecasts of a whole year, each from four years of history, with the default changepoint prior and with one ten times as large.

# %% name="far"
ends = [len(rides) - 365 * back for back in range(years_ahead, 0, -1)]
years = [(rides[end - 4 * 365 : end], rides[end : end + 365]) for end in ends]
parts = {}
for prior in (0.05, 0.5):
    far = walk(years, changepoint_prior_scale=prior)
    far = far.assign(miss=(far["y"] - far["yhat"]).abs(), width=far["yhat_upper"] - far["yhat_lower"])
    far["inside"] = far["y"].between(far["yhat_lower"], far["yhat_upper"])
    quarter = pd.cut(far["h"], [0, 91, 182, 273, 365])
    parts[prior] = far.groupby(quarter, observed=True)[["miss", "inside", "width"]].mean()
pd.concat(parts, axis=1).rename_axis("days ahead").round(2)

# %% [markdown]
# Too few: from 79<!-- =far: \(0, 91\] +[\d.]+ +0\.(\d\d) --> % in the first quarter down to 47<!-- =far: \(273, 365\] +[\d.]+ +0\.(\d\d) --> % in the last. The intervals hardly widen while the errors do. What is in them:
#
# - **the noise**, drawn with that one standard deviation: nearly all of the width;
# - **the trend's future**: new bends as often and as large as the fitted ones. The fitted ones were made small by the prior, so a small `changepoint_prior_scale` gives a calm trend *and* a false calm about its future. With ten times the prior the last quarter is at 72<!-- =far: \(273, 365\] +[\d.]+ +[\d.]+ +[\d.]+ +[\d.]+ +0\.(\d\d) --> %, with twice the width and an error that is no larger;
# - **not** the uncertainty of week, year, holidays and regressors. They are taken as known.

# %% [markdown]
# `mcmc_samples` adds the third: Stan draws many plausible sets of coefficients in place of the one most probable. It costs far more than the fit, so try it on a small model, a flat trend and a week on two years.

# %% name="mcmc"
two_years, ahead = pairs[-1][0][["ds", "y"]].tail(730), pairs[-1][1][["ds"]]
plain = {"growth": "flat", "yearly_seasonality": False}
np.random.seed(14)
sampled = Prophet(**plain, mcmc_samples=mcmc_samples)
models = {"point": Prophet(**plain).fit(two_years)}
models["mcmc"] = sampled.fit(two_years, seed=14, chains=2, show_progress=False)
for name, model in models.items():
    answer = model.predict(ahead)
    week, whole = ((answer[f"{part}_upper"] - answer[f"{part}_lower"]).mean() for part in ("weekly", "yhat"))
    print(f"{name}: the week's interval has a width of about {week:.0f}, the forecast's of {whole:.0f}")

# %% [markdown]
# As a point estimate the week has an interval of width **zero**: not "surely known", but "not asked". Sampling gives it one, and the interval of the forecast hardly moves, because noise outweighs it. What repairs both tables above are intervals from the errors of your own backtest: conformal intervals, lesson 15b.
#
# ## When to take Prophet
#
# | your case | take |
# |---|---|
# | daily data, several years, strong week and year, holidays | **Prophet**, with a calendar of your own; also when people must read the parts |
# | yesterday tells about tomorrow | a model with lags (15a) |
# | effects that interact: holiday × weekday, price × season | trees, or build the column yourself |
# | less than two years, or jumps of level | seasonal naive |
# | an interval that someone pays for | any model, with intervals calibrated on its backtest (15b) |
# | it does not beat seasonal naive in your backtest | seasonal naive |

# %% [markdown]
# ## What changed
#
# {{ what_changed: prophet }}

# %% [markdown]
# ## Take-aways
#
# - A careful calendar is most of the score: 0.44<!-- =final[Prophet, times_naive] --> times the naive error on closed test years.
# - The training error can't choose flexibility. Over several origins the default prior was a sound choice.
# - A cap is a fact or a guess; it bounds the trend, not the day.
# - A regressor is worth what its **forecast** is worth. Prophet's `cross_validation` takes the true future, so its score with weather is hindsight.
# - The interval is noise of one size and a trend as calm as its prior. Count its coverage: here 89<!-- =coverage: all .* 0\.(\d\d) --> % at two weeks and 47<!-- =far: \(273, 365\] +[\d.]+ +0\.(\d\d) --> % at the end of a year, instead of 80<!-- given --> %.

# %% [markdown]
# ## In an interview
#
# - *You add the weather as a regressor, and the cross-validation improves. Do you ship it?* Shown in [What will the weather be?](#What-will-the-weather-be?).
# - *What does Prophet's interval contain, and what does it leave out?* Shown in [What do the intervals cover?](#What-do-the-intervals-cover?).
# - *Is this forecast worth having?* Shown in [The score that counts](#The-score-that-counts).
#
# With the points of a good answer, and more of them: `walkforward practice --lesson 14b` in a terminal.
#
# ## Up next
#
# Prophet knows the calendar and forgets yesterday. [15a · XGBoost walk-forward](15a_xgboost_walk_forward.ipynb) is the other way round: lags, trees and a refit, on the same folds.
