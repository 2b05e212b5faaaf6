# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
#   walkforward:
#     ci:
#       folds: 26
#       openings: 3
# ---

# %% [markdown]
# # 15c · One model or twenty
#
# After this lesson you can choose between one model for all series and one for each by a fair test, and forecast a series that has no history.

# %% [markdown]
# > **You will learn to** give both sides the same information and the same budget · find what leaks between series · forecast a station that opens tomorrow · say when twenty models are the right answer
# >
# > **Before you start** [15a · XGBoost walk-forward](15a_xgboost_walk_forward.ipynb) and [15b · Intervals and Prophet](15b_intervals_and_prophet.ipynb): share of the level, `compare`, the mean of two models. Nothing is needed from their kernels.
# >
# > **Time** 55 minutes of study; it runs in half a minute
# >
# > **Interview questions it answers** One model for all series, or one for each? · A shop opens next week: what do you forecast? · A test on held-out shops was too good: what leaked?

# %% [markdown]
# ## Parameters
#
# The task is that of 15a: 52<!-- given --> times the next 14 days, trained on the four years before. Now for 20<!-- given --> stations. (The panel ends a fortnight before the series of 15a, so each fold lies a fortnight earlier.)

# %% tags=["parameters"]
folds = 52  # forecasts of 14 days, the last one ends with the data
train_days = 1461  # four years
openings = 13  # cutoffs at which a station opens

# %%
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.model_selection import GroupKFold
from xgboost import XGBRegressor

from course import exercise
from course.data import load_stations
from course.exercise import TODO
from lessons.twenty_stations import opening
from lessons.twenty_stations.opening import as_shares, in_rides
from walkforward import forecasting
from walkforward.forecasting import SeasonalNaive, WalkForwardSplit, calendar_features, lag_features
from walkforward.plots import PALETTE, use_style

use_style()
backtest = partial(forecasting.backtest, progress=False, n_jobs=2)

# %% name="panel"
HORIZON, ROLLING = 14, {"window": "rolling", "max_train_size": train_days}
panel = load_stations()
opened = panel["ds"].max() - pd.Timedelta(days=folds * HORIZON)  # the first cutoff of the contest
earlier = panel[panel["ds"] <= opened]
wide = earlier.pivot(index="ds", columns="unique_id", values="y")
print("rides a day, thousands:", wide.tail(364).mean().sort_values().round(1).iloc[[0, 10, -1]].to_dict())

# %% [markdown]
# The largest station has 15.1<!-- =panel: clark_lake': ([\d.]+) --> thousand rides a day, the smallest 1.0<!-- =panel: california': ([\d.]+) -->. So errors are counted in **MASE** (15b): in units of each station's own seasonal-naive error, one week ahead, before the **contest** (the last two years). For 14<!-- given --> days, naive itself has more than 1<!-- given -->.

# %% name="bar"
SCALE = wide.diff(7).abs().mean()
mase = partial(opening.mean_error, scale=SCALE)
verdict = partial(opening.verdict, scale=SCALE)

CHOOSE = WalkForwardSplit(HORIZON, folds // 2, **ROLLING)  # on `earlier`: the year before the contest
print(f"the year before, seasonal naive: MASE {mase(backtest(earlier, SeasonalNaive(7), CHOOSE)):.2f}")

# %% [markdown]
# ## The table that your colleague brings
#
# A **local** model is trained on one series, a **global** model on the rows of all. Your colleague compares them with equal settings: the trees of 15a, the same lags and calendar, trained on rides.


# %% name="colleague"
def trees(number=60, depth=4):
    return XGBRegressor(n_estimators=number, max_depth=depth, learning_rate=0.15, n_jobs=1)


def one_model(frame, model, split, known=(), refit=False):
    options = {"lags": [14, 21, 28], "calendar": "US", "known": list(known), "refit": refit}
    return backtest(frame, model, split, **options)


def twenty(frame, model, split, refit=False):
    each = [one_model(one, model, split, refit=refit) for _, one in frame.groupby("unique_id")]
    return pd.concat(each, ignore_index=True)


print(f"twenty local models: MASE {mase(twenty(earlier, trees(), CHOOSE)):.2f}")
print(f"one global model:    MASE {mase(one_model(earlier, trees(), CHOOSE)):.2f}")

# %% [markdown]
# "Global loses, clearly." **Predict first.** Two things are unfair to the global model here, although every setting is the same. Which?
#
# ## First: the scale
#
# Trees minimise squared rides. A miss of 10<!-- given --> % at Clark/Lake costs more than two hundred times that of 10<!-- given --> % at the smallest station, and a split such as *lag 14 above 3* means a quiet Sunday at one and a record at the other. 15a has the cure: forecast the share of the level. Both sides get it (`as_shares`, and `in_rides` for the way back).

# %% name="shares"
shares = as_shares(earlier)
print(f"twenty local models: MASE {mase(in_rides(twenty(shares, trees(), CHOOSE), shares)):.2f}")
print(f"one global model:    MASE {mase(in_rides(one_model(shares, trees(), CHOOSE), shares)):.2f}")

# %% [markdown]
# Both gain, the global one more, 0.89<!-- =colleague: one global model: +MASE ([\d.]+) --> to 0.69<!-- =shares: one global model: +MASE ([\d.]+) -->, and it still loses.
#
# ## Second: the budget and the profile
#
# Sixty trees of depth 4 have at most 60 · 16 = 960<!-- given --> leaves. Twenty local models have 19,200<!-- given --> between them; the global one has a twentieth. *The same settings are not the same budget.* 75<!-- given --> trees of depth 8 have 75 · 256<!-- given --> = 19,200<!-- given -->.
#
# And the information differs. A local model sees only its own station. The global one is not told whose row it reads. Tell it in one of two ways: a **code** (station number), or a **profile**: the station's mean Saturday and mean Sunday, divided by its mean weekday. (A local model learns this from its own rows.)


# %% name="profile"
def profile(rides):
    weekday = rides.index.dayofweek
    parts = {"saturday": rides[weekday == 5].mean(), "sunday": rides[weekday == 6].mean()}
    return pd.DataFrame(parts).div(rides[weekday < 5].mean(), axis=0)


told = profile(wide[: -(folds // 2) * HORIZON].tail(364)).assign(code=range(len(wide.columns)))
told.loc[["washington_wells", "clark_lake", "belmont"]].round(2)

# %% [markdown]
# The year before the contest chooses, from the same three budgets for each side.

# %% name="choice"
BUDGETS = {"60 × depth 4": trees(), "60 × depth 6": trees(60, 6), "75 × depth 8": trees(75, 8)}
SIDES = {"no name": [], "code": ["code"], "profile": ["saturday", "sunday"]}
with_names = shares.join(told, on="unique_id")
chosen = pd.DataFrame(index=list(BUDGETS))
for name, model in BUDGETS.items():
    chosen.loc[name, "twenty local"] = mase(in_rides(twenty(shares, model, CHOOSE), shares))
    for side, known in SIDES.items():
        found = one_model(with_names, model, CHOOSE, known)
        chosen.loc[name, f"global {side}"] = mase(in_rides(found, shares))
chosen.round(3)

# %% [markdown]
# The largest budget is the *worst* for the local models, 0.668<!-- =choice[75 × depth 8, twenty local] -->: four years of one station are too few for it. The global model gains from depth 6<!-- given --> in every column, from depth 8<!-- given --> only where it is told whose row it reads: a deep tree can ask *what kind of station* and then *what day*.
#
# A code helps; a profile helps more. *Sunday below 0.3<!-- given -->* puts the offices together, *code below 7<!-- given -->* puts together what is near in the alphabet. And a code means nothing for a station that opens tomorrow.
#
# The year chooses depth 6 for the local models, 0.651<!-- =choice[60 × depth 6, twenty local] -->, and the largest budget with a profile for the global one, 0.617<!-- =choice[75 × depth 8, global profile] -->. This difference is probably too large: the same days chose.
#
# ## Now open the two years
#
# Both sides are trained anew twice a year.

# %% name="opened"
CONTEST = WalkForwardSplit(HORIZON, folds, **ROLLING)
of_weekends, twice_a_year = profile(wide.tail(364)), {"split": CONTEST, "refit": 13}
all_shares = as_shares(panel).join(of_weekends, on="unique_id")
best_local, best = (BUDGETS[chosen[side].idxmin()] for side in ("twenty local", "global profile"))
local = in_rides(twenty(all_shares, best_local, **twice_a_year), all_shares)
one = in_rides(one_model(all_shares, best, known=SIDES["profile"], **twice_a_year), all_shares)

# %% name="contest"
both = one.assign(yhat=(one["yhat"] + local["yhat"]) / 2)
contest = {"seasonal naive": backtest(panel, SeasonalNaive(7), CONTEST), "twenty local": local}
contest |= {"one global": one, "mean of the two": both}
pd.Series({name: mase(found) for name, found in contest.items()}, name="MASE").to_frame().round(3)

# %% name="verdicts"
print("one global against twenty local:", verdict(one, local))
print("their mean against twenty local:", verdict(both, local))
print("their mean against one global:  ", verdict(both, one))

# %% [markdown]
# "Global loses, clearly" was a statement about settings. With the same information and the same care, the global model has 0.661<!-- =contest[one global, MASE] -->, the local ones 0.680<!-- =contest[twenty local, MASE] -->, and there is **no verdict**.
#
# **Their mean beats both**, and both intervals are below zero. It is the ensemble of 15b once more: two kinds of model that err on different days. `compare` first averages the stations of one day, since they miss together; 20 stations are not 20 independent proofs. (Not shown, the same models on earlier years: 2010 to 2012 the same picture; 2006 to 2008 the global model is better, and the mean ties with it.)
#
# Is one station better off alone?

# %% name="by_station"
rows = {}
for station in wide.columns:
    a, b = (opening.scaled(found[found["unique_id"] == station], SCALE) for found in (one, local))
    rows[station] = forecasting.compare(a, b)
gaps = pd.DataFrame(rows, index=["difference", "low", "high", "better"]).T.sort_values("difference")
words = {"a": "global better", "b": "local better", "neither": "no verdict"}
print(gaps["better"].map(words).value_counts().to_dict())

fig, ax = plt.subplots(figsize=(6.4, 4.6))
ax.hlines(gaps.index, gaps["low"].astype(float), gaps["high"].astype(float), color=PALETTE["grey"])
ax.plot(gaps["difference"].astype(float), gaps.index, "o", color=PALETTE["blue"])
ax.axvline(0, color="black", linewidth=1)
ax.set_xlabel("MASE of the global model minus that of the station's own")
ax.set_title("At most stations the two can't be told apart")
plt.show()

# %% [markdown]
# *Figure: a dot and a 95<!-- given --> % interval for each of 20<!-- given --> stations, sorted. They go from western, where the global model is ahead, to belmont, where it is behind; most intervals hold zero.*
#
# Of 20<!-- given --> such intervals about one excludes zero by chance. Here 14<!-- =by_station: 'no verdict': (\d+) --> give no verdict, 5<!-- =by_station: 'global better': (\d+) --> speak for the global model and 1<!-- =by_station: 'local better': (\d+) --> against it, Belmont. Give it a model of its own only after a test on new days.

# %% [markdown]
# ## What leaks between series
#
# In a panel, the future of one series stands in the rows of another. Your colleague asks how the model does at a station that it has *never seen*, holds out whole stations with `GroupKFold`, and tries a column `day`, the number of the day, for the trend.

# %% name="too_good"
table = all_shares.groupby("unique_id").tail(train_days + folds * HORIZON).reset_index(drop=True)
X = pd.concat([lag_features(table, [14, 21, 28]), calendar_features(table["ds"])], axis=1)
X = X.assign(saturday=table["saturday"], sunday=table["sunday"], day=(table["ds"] - opened).dt.days)
late, unit = table["ds"] > opened, table["level"] / table["unique_id"].map(SCALE)


# %% name="unseen"
def unseen(columns, past_only):
    yhat = pd.Series(np.nan, table.index)
    for train, test in GroupKFold(4).split(X, groups=table["unique_id"]):
        train, test = train[~late[train]] if past_only else train, test[late[test]]
        model = clone(best).fit(X.loc[train, columns], table.loc[train, "y"])
        yhat[test] = model.predict(X.loc[test, columns])
    return ((yhat - table["y"]).abs() * unit)[late].mean()


# %% name="held_out"
COLUMNS = {"without day": list(X.columns.drop("day")), "with day": list(X.columns)}
trained_on = {"all days of others": False, "days of others before the contest": True}
leaky = {
    name: {how: unseen(columns, past_only) for how, columns in COLUMNS.items()}
    for name, past_only in trained_on.items()
}
pd.DataFrame(leaky).T.round(3)

# %% [markdown]
# 0.612<!-- =held_out[all days of others, with day] --> for stations never seen: better than the 0.661<!-- =contest[one global, MASE] --> for those it knows, and `day` helps. Too good to be true. `GroupKFold` hides the station and not its *days*: the training holds what the other stations did on the very days of the test. Snow, a strike, a good summer reach all of them at once, and with `day` a tree can look the day up.
#
# Trained on the days before, the error is 0.742<!-- =held_out[days of others before the contest, without day] -->, and `day` makes it *worse*, 0.881<!-- =held_out[days of others before the contest, with day] -->. The leak had turned the decision round. **Split a panel by series and by time.**
#
# The other leak is a column: what all stations do on this day.


# %% name="network"
network = all_shares.assign(network=all_shares.groupby("ds")["y"].transform("mean"))
known = [*SIDES["profile"], "network"]
too_good = in_rides(one_model(network, best, known=known, **twice_a_year), all_shares)
print(f"MASE {mase(too_good):.3f}")


def network_today(frame):
    return frame.groupby("ds")["y"].transform("mean").to_frame("network")


try:
    backtest(shares, trees(), CHOOSE, lags=[14], features=network_today)
except forecasting.LeakError as refusal:
    print(str(refusal).split(".")[0])

# %% [markdown]
# 0.511<!-- =network: MASE ([\d.]+) --> instead of 0.661<!-- =contest[one global, MASE] -->. If a function builds the column (`features=`), `backtest` finds the leak. If you name it in `known=`, it passes: you said that it is known. A total, a rank or a scaler over all series must be at least as old as the horizon.
#
# ### Your turn

# %% exercise="unseen_split"

# %%
exercise.check(unseen_split)

# %% [markdown]
# ## A station that opens tomorrow
#
# It has no lags, no level and no profile. It has **neighbours**: stations that are alike in what is known before the opening. A map tells which lie among offices. Fill in the days before the opening: the neighbours' mean share, times the level of the new station. Then every method can be asked as usual.
#
# And its level? Before the first day only the planners have a number; here it is 20<!-- given --> % too high (made up for this lesson). Later: its own rides over the neighbours' shares *on the same days*, so that a holiday in the first week does no harm. Each station plays the new one. They form four teams of five; a station's own team are no neighbours.

# %% name="neighbours"
OFFICES = ["clark_lake", "clinton", "merchandise_mart", "monroe", "polk", "quincy_wells", "washington_wells"]
rides = panel.pivot(index="ds", columns="unique_id", values="y").tail(train_days + folds * HORIZON + 600)
levels, team = rides.rolling(182).mean(), {name: i % 4 for i, name in enumerate(rides)}
alike = rides * np.nan
for new in rides:
    others = [s for s in rides if team[s] != team[new] and (s in OFFICES) == (new in OFFICES)]
    alike[new] = (rides[others] / levels[others]).mean(axis=1)


# %% name="filled_in"
def filled_in(cutoff, days, plan=1.2):
    own, like = rides[:cutoff].tail(days), alike[:cutoff].tail(days)
    level = own.sum() / like.sum() if days else plan * levels.loc[cutoff]
    past = alike[:cutoff].tail(600) * level
    past.iloc[len(past) - days :] = own
    return past


# %% [markdown]
# *naive* repeats the last week, the neighbours' where the station has none. *local* is trained on the station's own days, with filled-in lags. *global* is trained before the two years, on the other three teams. **Predict first.** With three months known: local, or a global model that has never seen the station?

# %% name="history"
every = folds // openings
cutoffs = one["cutoff"].unique()[every - 1 :: every]
models = opening.never_saw(best, rides[:opened], team, train_days)
ask = partial(opening.ask, models=models, team=team, local=trees())
asked = {(n, day): ask(filled_in(day, n), n) for n in (0, 1, 7, 28, 91, 364) for day in cutoffs}
errors = opening.missed(asked, rides, SCALE)
errors.groupby("days known").mean().round(2)


# %% name="who_wins"
print(opening.gap(errors, 7, "global", "naive"))
print(opening.gap(errors, 91, "local", "naive"))
print(opening.gap(errors, 91, "global", "local"))
print(opening.gap(errors, 364, "global", "local"))

# %% name="one_day"
place = np.where(errors.index.get_level_values("unique_id").isin(OFFICES), "offices", "homes")
print("one day known:", errors["global"].groupby(["days known", place]).mean()[1].round(1).to_dict())
right = {(0, day): ask(filled_in(day, 0, plan=1), 0) for day in cutoffs}
print(f"opening day, with the right level: {opening.missed(right, rides, SCALE)['global'].mean():.2f}")

# %% [markdown]
# - **Before the first day** most depends on the plan: 2.87<!-- =history: ^0 +[\d.]+ +([\d.]+) -->, or 1.03<!-- =one_day: right level: ([\d.]+) --> with the right level. **One day** hardly helps: it is a Sunday, which says little of an office station's week, 4.8<!-- =one_day: 'offices': ([\d.]+) -->. **A whole week** brings 0.92<!-- =history: ^7 +[\d.]+ +([\d.]+) -->.
# - **Three months**: global 0.73<!-- =history: ^91 +[\d.]+ +([\d.]+) -->, local 1.60<!-- =history: ^91 +[\d.]+ +[\d.]+ +([\d.]+) -->, no better than naive. The one has seen Christmas at 15<!-- given --> other stations, the other knows one season.
# - **A year**: the global model still leads. **Four years**: no verdict, as above.
#
# So the answer depends on the length of history. A plan and the first days can be blended, each day with the same weight, though a Sunday says little.
#
# ### Your turn

# %% exercise="opening_level"

# %%
exercise.check(opening_level)

# %% [markdown]
# ## When twenty models are the right answer
#
# For eight weeks before the contest, one station's counts arrive in rides instead of thousands. A local model of another station stays as it is, to the last bit: it never reads them. The global one learns from them, as from all:

# %% name="fault"
eight_weeks = panel["ds"].between(opened - pd.Timedelta(days=55), opened)
for station in ("belmont", "california", "polk"):
    wrong = eight_weeks & (panel["unique_id"] == station)
    faulty = as_shares(panel.assign(y=panel["y"].where(~wrong, 1000 * panel["y"]))).join(
        of_weekends, on="unique_id"
    )
    hit = in_rides(one_model(faulty, best, known=SIDES["profile"], **twice_a_year), faulty)
    before, after = (mase(found[found["unique_id"] != station]) for found in (one, hit))
    print(f"fault at {station:10} the other 19: MASE {before:.2f}, with the fault {after:.2f}")

# %% [markdown]
# A wrong unit at Belmont takes the others from 0.66<!-- =fault: belmont .*?: MASE ([\d.]+) --> to 1.22<!-- =fault: belmont .*?fault ([\d.]+) -->, as bad as seasonal naive, one at Polk to 1.03<!-- =fault: polk .*?fault ([\d.]+) -->. A fault at California does no harm: luck. A fault in a local model reaches one series. Check the data before training (08b), and judge a release by its worst series.
#
# | question | one for all | one for each |
# |---|---|---|
# | little history, new series | **yes**: it borrows | none to train on |
# | long history, few series | a tie here | a tie here, no scaling or profile needed |
# | series that share nothing, or have different regressors | only with a profile that says so | **yes** |
# | owners who may not share data | not without a contract | **yes** |
# | one fault, one bad release | reaches all | reaches one |
# | to train, release and watch | one | twenty, or twenty thousand |
#
# **Decision.** Short, new or many series: global, with a profile and a scale. Few, long and separate: local. Both affordable, and a smaller error worth it: their mean. **Neither**, where seasonal naive is good enough.

# %% [markdown]
# ## Take-aways
#
# - Equal settings are not equal budgets. Scale, depth and a profile turned "global loses" into "no verdict", and the mean of both into the best forecast.
# - In a panel, split by series *and* by time: the future of one stands in the rows of another.
# - A new series borrows the shape of its neighbours; its level comes from a plan first, and from a whole week of its own as soon as there is one.
# - With three months of history the local model is no better than naive; a global model that never saw the station is.
# - A global model is one thing to operate and one thing to break.

# %% [markdown]
# ## In an interview
#
# - *One model for all series, or one for each?* Shown in [When twenty models are the right answer](#When-twenty-models-are-the-right-answer).
# - *Ten shops open next week. What do you forecast?* Shown in [A station that opens tomorrow](#A-station-that-opens-tomorrow).
# - *The test on held-out shops was better than on the known ones. What leaked?* Shown in [What leaks between series](#What-leaks-between-series).
#
# With the points of a good answer, and more of them: `walkforward practice --lesson 15c` in a terminal.
#
# ## Up next
#
# Twenty forecasts, and the city wants one number that agrees with them: [15d · What doesn't add up](15d_hierarchies.ipynb).
