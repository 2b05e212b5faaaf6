# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
#   walkforward:
#     ci:
#       folds: 52
#       trees: 20
# ---

# %% [markdown]
# # 15d · What doesn't add up
#
# After this lesson you can make the forecasts of stations, lines and city add up, and say at which level that costs or gains accuracy.

# %% [markdown]
# > **You will learn to** find forecasts that don't add up · make them add up (*reconcile* them) bottom-up, top-down and by MinT, by hand and with a library · measure each way at each level ·
# > know why intervals don't add up
# >
# > **Before you start** [15b · Intervals and Prophet](15b_intervals_and_prophet.ipynb): conformal intervals and the interval of a difference. Nothing is needed from its kernel.
# >
# > **Time** 55 minutes of study; it runs in half a minute
# >
# > **Interview questions it answers** The regions' forecasts don't add up to the country's: what do you do? · Bottom-up or top-down? · What does MinT need, and when does it fail?

# %% [markdown]
# ## Parameters
#
# The task is that of lesson 15: rides a day for the next 14 days, in thousands, repeated every two weeks, now at twenty stations. The first year of folds only teaches: each later year is judged by what the year before it taught.

# %% tags=["parameters"]
folds = 104  # forecasts of 14 days: 26 a year, at least two years
train_days = 1461  # four years
trees = 60  # in each boosted model

# %%
from course import exercise
from course.data import load_stations
from course.exercise import TODO

# %%
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from xgboost import XGBRegressor

from walkforward import forecasting
from walkforward.forecasting import WalkForwardSplit, conformal, score
from walkforward.plots import use_style

use_style()
backtest = partial(forecasting.backtest, progress=False)
HORIZON, YEAR = 14, 26 * 14  # days

# %% [markdown]
# ## Stations, lines, city
#
# The board plans with the city, each line's manager with the line, each station's roster with the station: three levels, one **hierarchy**. Each level is the sum of the one below. Here *city* means these twenty stations, and not all of Chicago.
#
# The data name stations, not lines. We placed them by the system map of the CTA, the transit authority, with two liberties. Stations downtown serve several lines, and a sum may count each station only once, so they are a group of their own. And some names are ambiguous: Chicago has five stations called Western. Ours goes to the line whose weekly ups and downs are most like its own:

# %% name="lines"
LINES = {
    "blue northwest": ["addison", "belmont", "harlem", "irving_park", "jefferson_park", "montrose"],
    "blue west": ["austin", "clinton", "oak_park"],
    "orange": ["archer_35th", "ashland", "kedzie", "western"],
    "downtown": ["clark_lake", "merchandise_mart", "monroe", "quincy_wells", "washington_wells"],
    "west side": ["california", "polk"],
}
LINE_OF = {station: line for line, members in LINES.items() for station in members}
rides = load_stations().pivot(index="ds", columns="unique_id", values="y")[list(LINE_OF)]

weekly = rides["2010":].resample("W").sum().clip(lower=0.1)
changes = np.log(weekly).diff().dropna()
apart = changes.sub(changes.mean(axis=1), axis=0)  # without what moves all stations
print(apart.corr()["western"].nlargest(4)[1:].round(2).to_dict())

# %% [markdown]
# The first two, by correlation, are stations of the Orange Line. A wrong place would make a middle level odd; it would not touch the arithmetic, which holds for any grouping.

# %% name="levels"
lines = rides.T.groupby(LINE_OF).sum().T[list(LINES)]
everything = pd.concat([rides.sum(axis=1).rename("city"), lines, rides], axis=1)
names, stations = list(everything), list(rides)
LEVELS = {"city": ["city"], "line": list(LINES), "station": stations}
everything.tail(YEAR).mean()[["city", *LINES]].round(1).to_frame("mean rides a day (thousands)")

# %% [markdown]
# ## Twenty-six models, no single truth
#
# Each of the 26<!-- given --> series gets the model of lesson 15a, trained on its own past: trees forecast a day's rides as a share of the series' own mean of half a year (`level` in the code), from lags and a calendar known 14 days ahead.


# %% name="own_models"
FOLDS = WalkForwardSplit(HORIZON, folds, window="rolling", max_train_size=train_days)
boosted = partial(XGBRegressor, n_estimators=trees, max_depth=4, learning_rate=0.15, n_jobs=1)


def own_model(name):
    """Backtest of a series by its own trees, refitted twice a year, in thousand rides."""
    y = everything[name]
    level = y.rolling(182).mean().shift(HORIZON)
    shares = pd.DataFrame({"ds": y.index, "y": (y / level).to_numpy()}).dropna().reset_index(drop=True)
    found = backtest(shares, boosted(), FOLDS, lags=[14, 21, 28], calendar="US", refit=13)
    return found.assign(unique_id=name, y=found["ds"].map(y), yhat=found["yhat"] * found["ds"].map(level))


own = pd.concat([own_model(name) for name in names], ignore_index=True)
truth, yhat = (own.pivot(index="ds", columns="unique_id", values=column)[names] for column in ("y", "yhat"))

# %% [markdown]
# **Predict first.** The city has some 80<!-- given --> thousand rides a day. How far is its own forecast from the sum of the twenty station forecasts, on an average day and on the worst?

# %% name="gap"
summed = yhat[stations].sum(axis=1)
gap = (yhat["city"] - summed)[YEAR:]
print(f"mean size of the gap {gap.abs().mean():.2f}, largest {gap.abs().max():.1f} thousand rides")

worst = gap.abs().nlargest(4).index
table = {"city's own": yhat["city"], "sum of stations": summed, "truth": truth["city"]}
pd.DataFrame(table).loc[worst].rename(index=lambda day: f"{day:%a %Y-%m-%d}").round(1)

# %% [markdown]
# On an average day they are 0.90<!-- =gap: the gap ([\d.]+) --> thousand apart, on the worst 21.4<!-- =gap: largest ([\d.]+) -->. No model is broken. Each fits its own noise, and trees split a sum at other places than its parts. They differ most where something is rare: Christmas and Presidents' Day are among these four. The worst day is an ordinary Wednesday. But 28<!-- given --> days before, which is one of the lags, great cold had kept almost a third of the riders at home, and the city's forecast probably follows that day.
#
# **Forecasts are coherent when every sum is the sum of its parts.** You need that: if two meetings plan with two totals for the city, their trains and drivers don't fit together.
#
# ### Your turn
#
# A release gate must refuse forecasts that don't add up.

# %% exercise="incoherent"

# %%
exercise.check(incoherent)

# %% [markdown]
# ## Add up, or split
#
# **Bottom-up** throws away all forecasts but the stations' and adds them. **Top-down** keeps the city's and splits it, by each station's share of the year before or by the shares that the station forecasts give. So there are three ways, and each makes twenty station forecasts. The **summing matrix** $S$ makes the rest: a row for each of the 26<!-- given --> series, a column for each station, and a 1<!-- given --> where the station belongs to the series.


# %% name="summing"
S = pd.DataFrame({at: [name in ("city", LINE_OF[at], at) for name in names] for at in stations}, names)
S = S.astype(float)


# %%
def bottom_up(forecasts, past):
    return forecasts[stations]


def top_down(forecasts, past):
    shares = truth.loc[past, stations].sum() / truth.loc[past, "city"].sum()
    return pd.DataFrame(np.outer(forecasts["city"], shares), forecasts.index, stations)


def top_down_by_forecasts(forecasts, past):
    parts = forecasts[stations]
    return parts.mul(forecasts["city"] / parts.sum(axis=1), axis=0)


# %% [markdown]
# Each way learns what it needs from one year and is judged on the next. Of the judged year it sees only the forecasts. The table shows the MAE in thousand rides.


# %% name="judged"
def judged(way):
    """The reconciled forecasts of every year but the first, as a backtest of all 26 series."""
    parts = []
    for start in range(YEAR, len(yhat), YEAR):
        past = yhat.index[start - YEAR : start]
        parts.append(way(yhat[start : start + YEAR], past) @ S.T)
    made = pd.concat(parts).rename_axis(columns="unique_id").stack().rename("yhat").reset_index()
    return own.drop(columns="yhat").merge(made, on=["ds", "unique_id"])


def at(level, found):
    return found[found["unique_id"].isin(LEVELS[level])]


# %% name="errors"
base = own[own["ds"] >= yhat.index[YEAR]].reset_index(drop=True)
ways = {"own models (don't add up)": base, "bottom-up": judged(bottom_up)}
ways |= {"top-down, last year's shares": judged(top_down)}
ways |= {"top-down, forecast shares": judged(top_down_by_forecasts)}
mae = {name: [score(at(level, found))["mae"].item() for level in LEVELS] for name, found in ways.items()}
pd.DataFrame(mae, list(LEVELS)).T.round(2)

# %% [markdown]
# Top-down keeps the city's own forecast, so its error there is that of the own model. With last year's shares the error below is twice as large: 1.38<!-- =errors[top-down, last year's shares, line] --> against 0.61<!-- =errors[bottom-up, line] --> for a line. Why?

# %% name="shares"
last = rides.tail(YEAR)
of_day = last.groupby(np.where(last.index.dayofweek < 5, "Monday to Friday", "weekend")).sum()
(100 * of_day.T / of_day.sum(axis=1)).loc[["quincy_wells", "clark_lake", "belmont"]].round(1)

# %% [markdown]
# A fixed share says that the city is the same mixture every day. Offices close at weekends: Quincy/Wells falls from 7.7<!-- =shares[quincy_wells, Monday to Friday] --> % of all rides to 4.5<!-- =shares[quincy_wells, weekend] --> %. Shares that are forecast for each day repair most of that: 0.63<!-- =errors[top-down, forecast shares, line] --> for a line. Use fixed shares only where the parts' history is too short for a forecast.
#
# ## Use all 26: MinT
#
# Both ways throw forecasts away. **MinT** (minimum trace: the smallest sum of error variances; Wickramasuriya, Athanasopoulos and Hyndman, 2019<!-- given -->) uses them all. Start with three numbers on one day: a line and its two stations.

# %% name="three"
small, day = ["west side", "california", "polk"], pd.Timestamp("2015-11-11")  # Veterans Day
three, errors = yhat.loc[day, small], truth - yhat
past = yhat.index[-2 * YEAR : -YEAR]
variances = errors.loc[past, small].pow(2).mean()
gap_of_day = three["west side"] - three["california"] - three["polk"]
print(f"gap {gap_of_day:.2f} thousand rides")

# %% name="shared"
shared = gap_of_day * variances / variances.sum()
by_hand = three + shared * [-1, 1, 1]  # the sum comes down, the parts go up
shown = {
    "forecast": three,
    "error variance": variances,
    "reconciled": by_hand,
    "truth": truth.loc[day, small],
}
pd.DataFrame(shown).round(3)

# %% [markdown]
# The gap of 1.07<!-- =three: gap ([\d.]+) --> is shared **in proportion to the error variances**: the less reliable a forecast was, the more it moves. `california`, small and steady, hardly moves. On this day only `polk` had failed. The line's forecast had been right, and sharing makes it worse. Sharing is best on average, not on each day.
#
# For any hierarchy the same idea is a regression of the 26<!-- given --> forecasts $\hat y$ on the columns of $S$, with weights. It gives the reconciled forecasts $\tilde y$:
#
# $$\tilde y = S\,(S^\top W^{-1} S)^{-1} S^\top W^{-1}\,\hat y$$
#
# $W$ is the covariance matrix of the forecast errors. Among all ways that are linear, add up and leave unbiased forecasts unbiased, this one has the least total error variance. It assumes that the own forecasts *are* unbiased and that $W$ is known. With only variances in $W$, it is the sharing above:


# %% name="three_gap"
def mint(S, W):
    """The matrix that turns forecasts of all series into coherent ones."""
    weighted = S.T @ np.linalg.inv(W)
    return S @ np.linalg.solve(weighted @ S, weighted)


by_matrix = mint(S.loc[small, small[1:]].to_numpy(), np.diag(variances)) @ three
print("by matrix and by hand equal:", np.allclose(by_matrix, by_hand))

# %% [markdown]
# The library `hierarchicalforecast` does the same. It takes long tables, $S$ as a table, the names of the series at each level (`tags`), and past forecasts with their truth, from which it estimates $W$:

# %% name="library"
from hierarchicalforecast.core import HierarchicalReconciliation
from hierarchicalforecast.methods import MinTrace


def long(frame, column):
    return frame.rename_axis(columns="unique_id").stack().rename(column).reset_index()


# %% name="equal"
def by_library(forecasts, past, method, S=S):
    """Reconciled forecasts of `MinTrace(method)`, days × series."""
    members = list(S.index)
    before = long(truth.loc[past, members], "y").assign(own=long(yhat.loc[past, members], "own")["own"])
    found = HierarchicalReconciliation([MinTrace(method)]).reconcile(
        Y_hat_df=long(forecasts[members], "own"),
        S_df=S.rename_axis("unique_id").reset_index(),
        Y_df=before,
        tags={"sums": S.index[: -S.shape[1]].to_numpy(), "stations": S.columns.to_numpy()},
    )
    return found.pivot(index="ds", columns="unique_id", values=f"own/MinTrace_method-{method}")[members]


theirs = by_library(yhat.loc[[day]], past, "wls_var", S.loc[small, small[1:]]).loc[day]
print("largest difference below 0.000001:", bool((theirs - by_hand).abs().max() < 1e-6))

# %% [markdown]
# ### Your turn

# %% exercise="share_the_gap"

# %%
exercise.check(share_the_gap)

# %% [markdown]
# ## How much of W do you know?
#
# Errors of neighbouring stations move together, so the whole covariance matrix should beat its variances. The library calls it `mint_cov`. `wls_var` takes the variances only. `mint_shrink` lies between them: it pulls the covariances towards zero, the more the noisier they are.
#
# **Predict first.** $W$ has 351<!-- given --> different entries. You have 364<!-- given --> days of errors. Which of the three wins?


# %% name="mint_ways"
def whole(forecasts, past):
    G = mint(S.to_numpy(), errors.loc[past].cov().to_numpy())
    return pd.DataFrame(forecasts.to_numpy() @ G.T, forecasts.index, names)[stations]


def library(method):
    return judged(lambda forecasts, past: by_library(forecasts, past, method)[stations])


ways |= {"MinT, whole W (by hand)": judged(whole), "MinT, variances": library("wls_var")}
ways |= {"MinT, shrunken W": library("mint_shrink")}
same = ways["MinT, whole W (by hand)"]["yhat"] - library("mint_cov")["yhat"]
print("by hand and by library equal:", bool(same.abs().max() < 1e-6))
print(f"lowest forecast of the whole W: {ways['MinT, whole W (by hand)']['yhat'].min():.2f} thousand rides")


# %%
def verdict(a, b):
    """The MAE of a minus that of b, with its 95 % interval, in words."""
    found = forecasting.compare(a, b)
    word = {"a": "better", "b": "worse", "neither": "no verdict"}[found.better]
    return f"{found.difference:+.3f} ({found.low:+.3f} to {found.high:+.3f}) {word}"


# %% name="verdicts"
for name, found in ways.items():
    for level in LEVELS if found is not base else ():
        print(f"{name:31}{level:8} {verdict(at(level, found), at(level, base))}")

# %% [markdown]
# Each line is a difference in MAE to the own models over all judged years, with its 95<!-- given --> % interval. Zeros mean that the way left these forecasts as they were.
#
# - **The whole W loses** below the city and gains nothing at the top. Its entries come from too few days, and neighbouring days err alike. It takes chance correlations for real ones: one forecast is −1.45<!-- =mint_ways: whole W: (-[\d.]+) --> thousand rides.
# - **Variances only** gain 0.11<!-- =verdicts: variances +city +-([\d.]+)\d --> at the city and 0.001<!-- =verdicts: variances +station +-([\d.]+) --> at a station. On a line there is no verdict; they lose nowhere.
# - **Shrunken W** gains 0.088<!-- =verdicts: shrunken W +city +-([\d.]+) --> at the city; below there is no verdict.
# - **Bottom-up** needs no W at all, and gains 0.09<!-- =verdicts: bottom-up +city +-([\d.]+)\d --> at the city.
#
# One good year can be luck. Year by year:

# %% name="by_year"
chosen = {name: ways[name] for name in ("bottom-up", "MinT, whole W (by hand)", "MinT, variances")}
city = {name: at("city", found).set_index("ds") for name, found in (chosen | {"own": base}).items()}
size = pd.DataFrame({name: (found["y"] - found["yhat"]).abs() for name, found in city.items()})
blocks = np.arange(len(size)) // YEAR + 1
yearly = size.sub(size.pop("own"), axis=0).groupby(blocks).mean().rename_axis("judged year").round(3)
print(yearly.to_string())

ax = yearly.plot.bar(rot=0, ylabel="MAE minus own model's (thousand rides)")
ax.axhline(0, color="black", linewidth=1)
ax.set_title("At the city, variances gain in every year; the whole W doesn't")
plt.show()

# %% [markdown]
# *Figure: three groups of bars, one a judged year, each the city's error minus that of its own model. Bottom-up and MinT with variances are below zero in all years; MinT with the whole W is above zero in two.*
#
# The best of several ways may be lucky. But among these three the variances are the best in the first judged year, and in both years after it as well.
#
# When MinT loses to bottom-up, compare the entries of $W$ with the days, look for negative forecasts, and check the bias: MinT assumes that each mean error is zero.
#
# ## Intervals don't add up
#
# The means of parts add up to the mean of their sum. Bounds don't add up. Put conformal 80<!-- given --> % intervals (lesson 15b) around the reconciled forecasts, and build a city's interval by adding up the stations' bounds:

# %% name="bounds"
ranged = conformal(ways["MinT, variances"], 0.8).dropna(subset="yhat_lower")
own_bounds = at("city", ranged).set_index("ds")
bounds = at("station", ranged).groupby("ds")[["yhat_lower", "yhat_upper"]].sum()
both = {"from the city's errors": own_bounds, "sum of stations' bounds": own_bounds.assign(**bounds)}
pd.concat([score(found.reset_index()) for found in both.values()], keys=both).droplevel(1)[
    ["coverage", "width"]
].round(2)

# %% [markdown]
# The summed bounds are wider, 12.40<!-- =bounds[sum of stations' bounds, width] --> against 7.64<!-- =bounds[from the city's errors, width] -->, and hold 91<!-- =bounds: bounds +0\.(\d+) --> % where 80<!-- given --> % was asked. Adding them assumes that all twenty stations reach their bounds on the same day. Here many are high or low together (snow, holidays), so the sum is 1.6<!-- given --> times too wide; with independent errors of equal size it would be $\sqrt{20}$ times too wide. **Reconcile the means, then take the interval from the errors of the level where it is used.**

# %% [markdown]
# ## Which way?
#
# | Way | Take it when | It fails when |
# |---|---|---|
# | do nothing | one level only is used | two levels meet in one plan |
# | bottom-up | the parts have signal enough, as here | the parts are mostly noise or zeros |
# | top-down | the parts' history is too short for a forecast | the mixture changes by day or in time |
# | MinT, variances or shrunken | several levels decide, and you keep past forecasts | forecasts are biased: mend that first |
# | MinT, whole W | you have many more independent days of errors than entries | you have many series and few days |
#
# **Decision.** Take one way for all levels, or they don't add up again. Here take MinT with variances: it gains at the city and loses nowhere. Bottom-up comes close and needs no past forecasts. Choose on past folds, at the levels that decide.
#
# Read a gap before you share it. If it is large on one day, at least one forecast is far off. If it has the same sign every day, look for a missing part, a part counted twice, or a bias.
#
# ## Take-aways
#
# - Separate models don't add up. A rule makes them, a gate checks it.
# - Bottom-up adds, top-down splits, MinT shares each gap by how unreliable each forecast has been.
# - MinT is the best only with unbiased forecasts and a known $W$. With a year of errors, variances are better.
# - Means add up; bounds don't.

# %% [markdown]
# ## In an interview
#
# - *The forecasts of twelve regions add up to 1,050<!-- given -->, the country's is 1,000<!-- given -->. What do you propose?* Shown in [Which way?](#Which-way?).
# - *Your MinT forecasts are worse than bottom-up. What do you check?* Shown in [How much of W do you know?](#How-much-of-W-do-you-know?).
# - *Can you add up the regions' 90<!-- given --> % quantiles?* Shown in [Intervals don't add up](#Intervals-don't-add-up).
#
# With the points of a good answer, and more of them: `walkforward practice --lesson 15d` in a terminal.
#
# ## Up next
#
# Some parts are mostly zero. [15e · What is mostly zero](15e_mostly_zero.ipynb) forecasts what is asked for once a week, and orders for it.
