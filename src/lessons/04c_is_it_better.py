# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
#   walkforward:
#     ci:
#       seeds: 60
#       copies: 20
#       retrainings: 4
#       draws: 500
#       worlds: 300
# ---

# %% [markdown]
# # 04c · Is it better?
#
# After this lesson you can say whether model B is better than model A, by how much and how sure you are, and defend the answer before people who want a yes.

# %% [markdown]
# > **You will learn to** tell luck from gain in the winner of a search · put an interval around the difference of two models, paired and by day · set the smallest
# > gain worth having before you look · test for equivalence · correct for fifty tests
# >
# > **Before you start** [04a · Tuning](04a_tuning.ipynb)
# >
# > **Time** 50 minutes of study; it runs in half a minute
# >
# > **Interview questions it answers** You tried 50 settings and the best is 1.3<!-- given --> % better. Do you ship it? · How do you compare two models on the same data? · The interval holds zero. Are the models equal?

# %% [markdown]
# Models learn from January and February 2019. March chooses. April and later months judge: nobody has chosen by them.

# %% tags=["parameters"]
trials = 50  # settings that last night's search tried
worth = 0.1  # minutes of RMSE: a smaller gain is not worth a new model
seeds = 400  # searches repeated in the record
copies = 30  # trainings of one setting, with other seeds
retrainings = 10  # trainings without one trip
draws = 2000  # bootstrap draws
worlds = 1000  # repetitions of 50 tests

# %% [markdown]
# ## Last night's winner
#
# A random search tried 50 settings last night. It looked them up in the **record** of lesson 04a, which trained 6,912<!-- given --> settings once and kept their errors.

# %% name="record"
import numpy as np
import pandas as pd

from course.paths import ROOT

record = pd.read_parquet(ROOT / "benchmarks" / "results" / "tuning.parquet")
SETTING = list(record.columns[:6])
DEFAULT = dict(zip(SETTING, (0.3, 6, 1, 1.0, 1.0, 100), strict=True))
default = record[(record[SETTING] == pd.Series(DEFAULT)).all(axis=1)].iloc[0]

# %% name="night"
night = record.sample(trials, random_state=0)
winner = night.loc[night["rmse_valid"].idxmin()]

scores = pd.DataFrame({"default": default, "winner": winner}).T.filter(like="rmse").astype(float)
scores.columns = ["March", "April", "May"]
scores.loc["gain"] = scores.loc["default"] - scores.loc["winner"]
scores.round(3)

# %% [markdown]
# The search promised 4.13<!-- =night[winner, March] --> minutes, and in May the same model misses by 4.77<!-- =night[winner, May] -->. Was the promise false? The default, which nobody chose, is worse in May by about as much: May is harder **for every model**. That is the **level** of a month. So never compare the errors of two months. Compare two models in one month, and carry their
# difference, the **gain**, from month to month.

# %% [markdown]
# The gain was 0.053<!-- =night[gain, March] --> minutes (1.3<!-- given --> %) in the month that chose, 0.060<!-- =night[gain, April] --> in April and 0.035<!-- =night[gain, May] --> in May. Which part of a promised gain may you expect?
#
# ## The best of fifty is lucky
#
# A score is a true error plus luck: which trips happened to be in the month. A search takes the **lowest** score, so it finds low errors and good luck alike. With true errors $e_i$ and luck $u_i$ of mean zero (it need not be independent),
#
# $$\mathrm{E}\left[\min_i (e_i + u_i)\right] \le \min_i e_i$$
#
# Each single score is fair; the winner's is too good. That is the **winner's curse**.

# %% [markdown]
# To see how large it is, repeat the search. The record holds each setting's error on twenty random parts of March, some 490<!-- given --> trips each. Choose on one part (or four, or ten) and judge on the others: the same month, so its level can't disturb. *Promised* is the gain over the default on the trips that chose, *delivered* the gain on the others.
#
# **Predict first.** Of the gain that 50 trials promise on 490<!-- given --> trips, how much is delivered?

# %% name="searches"
PARTS = record.filter(like="part_").to_numpy(float) ** 2  # mean squared errors on twentieths of March


def one_search(parts, n, rng):
    """Choose the best of n settings on some twentieths of March; its gain there, and on the others."""
    order, tried = rng.permutation(20), rng.choice(len(record), n, replace=False)
    chosen_by = np.sqrt(PARTS[:, order[:parts]].mean(axis=1))
    judged_by = np.sqrt(PARTS[:, order[parts:]].mean(axis=1))
    best = tried[chosen_by[tried].argmin()]
    return chosen_by[default.name] - chosen_by[best], judged_by[default.name] - judged_by[best]


# %% name="curse"
SIZES, TRIALS = {"490": 1, "2,000": 4, "4,900": 10}, [1, 10, 50, 200]
means = {}
for size, parts in SIZES.items():
    for n in TRIALS:
        gains = np.array([one_search(parts, n, np.random.default_rng(seed)) for seed in range(seeds)])
        means[size, n] = dict(zip(("promised", "delivered"), gains.mean(axis=0), strict=True))
curse = pd.DataFrame(means).T.rename_axis(["trips", "trials"])
curse.assign(curse=curse["promised"] - curse["delivered"]).round(3)

# %% name="figure_curse"
import matplotlib.pyplot as plt

from course import exercise
from course.exercise import TODO
from walkforward.plots import PALETTE, use_style

use_style()
fig, axes = plt.subplots(1, len(SIZES), figsize=(6.4, 2.9), sharey=True)
for ax, size in zip(axes, SIZES, strict=True):
    for name, color in (("promised", "red"), ("delivered", "blue")):
        ax.plot(TRIALS[1:], curse.loc[size, name].iloc[1:], marker="o", color=PALETTE[color], label=name)
    ax.set(xscale="log", xlabel="trials", title=f"{size} trips")
axes[0].set_ylabel("gain over the default (min)")
axes[-1].legend()
fig.suptitle("Fewer trips: more is promised, less is delivered", fontweight="bold", fontsize=11)
plt.show()

# %% [markdown]
# *Figure: three panels, gain over the default against the number of trials. On 490<!-- given --> trips the promised gain climbs and the delivered one stays far below; on 4,900<!-- given --> trips the two lines lie close together.*
#
# With 490<!-- given --> trips, 50 trials promise 0.09<!-- =curse[490 / 50, promised] --> minutes and deliver 0.002<!-- =curse[490 / 50, delivered] -->. More trials promise more and deliver little. (One trial is a random setting: its gain is −0.57<!-- =curse[490 / 1, promised] -->.) With 4,900<!-- given --> trips the curse has shrunk to 0.013<!-- =curse[4,900 / 50, curse] -->, and that of one trial is zero within the noise: without a choice there is no curse.
#
# So the cures: judge the winner on trips that did not choose, use more of them, try fewer settings.
#
# ### Your turn

# %% exercise="honest_gain"

# %%
exercise.check(honest_gain)

# %% [markdown]
# ## Many models that are one
#
# The cleanest search has nothing to find. Train **one** setting many times and change only the seed; with `subsample=0.75` each tree draws other trips. Then March chooses the best seed.

# %% name="trips"
from xgboost import XGBRegressor

from course.data import load_trips, months, prepare_trips

FEATURES = ["trip_distance", "pickup_location_id", "dropoff_location_id", "hour", "weekday"]
trips = prepare_trips(load_trips(months("2019-01", "2019-12")))
pickup = trips["pickup_datetime"].dt
trips["hour"], trips["weekday"], trips["month"] = pickup.hour, pickup.dayofweek, pickup.month
trips[FEATURES] = trips[FEATURES].astype(float)
train, fresh = trips[trips["month"] <= 2], trips[trips["month"] == 5]


# %% name="boosted"
def boosted(rows, **setting):
    whole = {name: int(setting[name]) for name in ("max_depth", "n_estimators")}
    model = XGBRegressor(**{"random_state": 0, "n_jobs": 1} | setting | whole)
    return model.fit(rows[FEATURES], rows["duration"])


# %% name="rmse"
def rmse(model, rows):
    return float(np.sqrt(np.mean((rows["duration"] - model.predict(rows[FEATURES])) ** 2)))


# %% name="copies"
judges = {name: trips[trips["month"] == number] for name, number in (("March", 3), ("April", 4), ("May", 5))}
small = {"max_depth": 5, "learning_rate": 0.2, "n_estimators": 50, "subsample": 0.75}
models = [boosted(train, **small, random_state=seed) for seed in range(copies)]
errors = pd.DataFrame([{name: rmse(model, rows) for name, rows in judges.items()} for model in models])
best = errors.loc[errors["March"].idxmin()]
pd.DataFrame({"mean": errors.mean(), "spread (sd)": errors.std(), "best in March": best}).T.round(3)

# %% [markdown]
# The best seed gains twice the spread in March, and nothing in April or May. Publishing the best seed is publishing luck: give each candidate several seeds, and report mean and spread.
#
# But a seed covers only the randomness **inside** the training. The default has `subsample=1`, so its seed does nothing. Is that model certain? Leave one trip out of 19,697<!-- given -->, another one each time.

# %% name="one_out"
rng, retrained = np.random.default_rng(0), []
for lost in rng.choice(train.index, retrainings, replace=False):
    pair = [rmse(boosted(train.drop(lost), **one), fresh) for one in (DEFAULT, winner[SETTING])]
    retrained.append({"default": pair[0], "winner": pair[1], "gain": pair[0] - pair[1]})
pd.DataFrame(retrained).agg(["mean", "std", "min", "max"]).round(3)

# %% [markdown]
# One trip in twenty thousand is missing, and the default's error in May moves between 4.82<!-- =one_out[min, default] --> and 4.86<!-- =one_out[max, default] -->: one split changes a little, and all later trees follow. The 4.81<!-- =night[default, May] --> of the first table was a lucky draw, and the gain of the winner's **recipe** is 0.07<!-- =one_out[mean, gain] -->, twice what the one pair of models shows.
#
# So say which question you answer. *Are these two models different?* Hold them fixed and draw the trips that judge: that is next. *Is this recipe better?* Train both several times, on data that vary.
#
# ## The same trips for both
#
# How sure is the gain of two trained models? The **bootstrap** answers without a formula: draw as many trips as there are, with replacement, compute the difference, repeat. The middle 95<!-- given --> % of the results are the interval. It assumes that what you draw is independent. But what do you draw?

# %% name="models"
settings = {"default": DEFAULT, "winner": winner[SETTING]}
settings["small"] = {"max_depth": 3, "learning_rate": 0.2, "n_estimators": 50}
errors_of = trips[["month"]].assign(day=trips["pickup_datetime"].dt.normalize())
for name, setting in settings.items():
    errors_of[name] = trips["duration"] - boosted(train, **setting).predict(trips[FEATURES])

# %% name="squares"
may = errors_of[errors_of["month"] == 5]
squares = may[list(settings)] ** 2
print("RMSE in May:", np.sqrt(squares.mean()).round(3).to_dict())
print(
    f"correlation of the squared errors of default and winner: {squares['default'].corr(squares['winner']):.2f}"
)


# %% name="bootstrap"
def resampled(squares, groups, seed=0):
    """RMSE of each column, each time the groups (trips or days) are drawn again with replacement."""
    rng = np.random.default_rng(seed)
    sums = squares.assign(trips=1.0).groupby(groups).sum().to_numpy()
    totals = np.array([sums[rng.integers(0, len(sums), len(sums))].sum(axis=0) for _ in range(draws)])
    return pd.DataFrame(np.sqrt(totals[:, :-1] / totals[:, -1:]), columns=squares.columns)


# %% name="intervals"
each = np.arange(len(may))
by_trip, again, by_day = resampled(squares, each), resampled(squares, each, 1), resampled(squares, may["day"])
ways = pd.DataFrame({"trips, unpaired": by_trip["winner"] - again["default"]})
ways["trips, paired"] = by_trip["winner"] - by_trip["default"]
ways["days, paired"] = by_day["winner"] - by_day["default"]
ways.agg(["std", lambda d: d.quantile(0.025), lambda d: d.quantile(0.975)]).set_axis(
    ["standard error", "low", "high"]
).T.round(3)

# %% [markdown]
# The first row draws trips for each model separately: from −0.24<!-- =intervals[trips, unpaired, low] --> to 0.14<!-- =intervals[trips, unpaired, high] --> minutes. **Paired**, the same drawn trips for both, it is five times narrower, because the two fail on the same trips: their squared errors correlate at 0.97<!-- =squares: winner: ([\d.]+) -->. Two error bars that overlap prove nothing about models that are judged on the same trips.
#
# The third row draws **whole days**, a **cluster bootstrap**: trips of one day share weather and traffic, so ten thousand trips may hold only thirty-one independent observations. Here it changes almost nothing. When does it?

# %% name="level"
bias = may.groupby("day")["winner"].mean()
wider = {"bias of the winner": (may["winner"].std() / len(may) ** 0.5, bias.std() / len(bias) ** 0.5)}
wider["RMSE of the winner"] = by_trip["winner"].std(), by_day["winner"].std()
wider["small − default"] = [(d["small"] - d["default"]).std() for d in (by_trip, by_day)]
level = pd.DataFrame(wider, ["trips", "days"]).T
level.assign(ratio=level["days"] / level["trips"]).round(3)

# %% [markdown]
# For one model's bias the days make the standard error 3.6<!-- =level[bias of the winner, ratio] --> times as large, for its RMSE 1.8<!-- =level[RMSE of the winner, ratio] --> times: on some days the whole city is slow. In the difference of two similar models the day cancels, since both miss it; *small* is less like the default, and its ratio is 1.4<!-- =level[small − default, ratio] -->. Draw days; where it was not needed it costs nothing.
#
# Neighbouring days may be alike too. The **Diebold–Mariano** test, known from forecasting, allows for that: it divides the mean daily difference by a standard error that counts the autocovariances. It assumes that the differences are stationary (alike all month), not that days are independent.

# %% name="diebold_mariano"
daily = (squares["winner"] - squares["default"]).groupby(may["day"]).mean()
centred, n, lags = (daily - daily.mean()).to_numpy(), len(daily), 3
covariance = [(centred[k:] * centred[: n - k]).sum() / n for k in range(lags + 1)]
long_run = covariance[0] + 2 * sum((1 - k / (lags + 1)) * covariance[k] for k in range(1, lags + 1))
for name, variance in {"independent days": covariance[0], "Diebold–Mariano": long_run}.items():
    print(f"{name}: z = {daily.mean() / (variance / n) ** 0.5:.2f}")

# %% [markdown]
# Neighbouring days are slightly opposed here, so counting them makes the gain of May a little surer: both z are beyond −1.96<!-- given -->, the limit at 5<!-- given --> %. Is that the question?

# %% [markdown]
# ## Sure, and worth it
#
# An interval that excludes zero says *sure*. It does not say *worth it*. A new model means a review, a roll-out and a risk, so before you look, set the smallest gain that pays for them. Here you agreed with the dispatch team on 0.1<!-- given --> minutes of RMSE: six seconds, on trips of fourteen minutes.
#
# | the 95<!-- given --> % interval of RMSE(B) − RMSE(A) | verdict |
# |---|---|
# | all below −worth | better |
# | all above +worth | worse |
# | all between | no difference that matters: take the cheaper one |
# | anything else | undecided: more days, or leave it |
#
# The third row is an **equivalence test**, known as **TOST** (two one-sided tests): "not worse by *worth*" and "not better by *worth*" both have to hold. TOST at 5<!-- given --> % uses the 90<!-- given --> % interval; the 95<!-- given --> % here is stricter.


# %% name="judge"
def judge(low, high, worth):
    """The verdict on B, from an interval of RMSE(B) − RMSE(A), both in minutes."""
    if high < -worth or low > worth:
        return "better" if high < 0 else "worse"
    return "no difference" if -worth < low and high < worth else "undecided"


# %% name="judged"
verdicts = {}
for name, rows in {"May": may, "April to December": errors_of[errors_of["month"] >= 4]}.items():
    drawn = resampled(rows[list(settings)] ** 2, rows["day"])
    for model in ("winner", "small"):
        low, high = (drawn[model] - drawn["default"]).quantile([0.025, 0.975])
        verdicts[name, model] = {
            "low": round(low, 3),
            "high": round(high, 3),
            "verdict": judge(low, high, worth),
        }
pd.DataFrame(verdicts).T.rename_axis(["months", "B"])

# %% [markdown]
# After nine months that nobody chose by, the gain of the winner runs from −0.054<!-- =judged[April to December / winner, low] --> to −0.03<!-- =judged[April to December / winner, high] --> minutes: two to three seconds. Sure, and too small. *No difference* is a finding: you may choose by cost. A wide interval around zero says only that you don't know.
#
# ### Your turn

# %% exercise="is_better"

# %%
exercise.check(is_better)

# %% [markdown]
# ## Fifty tests at five per cent
#
# A colleague tests each of the fifty trials against the default and reports those with p < `0.05`. What would that find if there was nothing to find? Make fifty pairs that are equal by construction: on each day of May a coin decides which of the two answers with the winner and which with the default.

# %% name="coins"
from scipy import stats

rng, shape = np.random.default_rng(0), (trials, len(daily))
tested = [stats.ttest_1samp(rng.choice([-1, 1], shape) * daily.to_numpy(), 0, axis=1) for _ in range(worlds)]
p_values = np.array([one.pvalue for one in tested])
print(f"of {trials} equal pairs, significant on average: {(p_values < 0.05).sum(axis=1).mean():.1f}")
print(f"at least one is: {(p_values < 0.05).any(axis=1).mean():.0%}")
print(f"at least one, at 0.05 / {trials}: {(p_values < 0.05 / trials).any(axis=1).mean():.0%}")

# %% [markdown]
# In 93<!-- =coins: at least one is: (\d+) -->% of such months at least one equal rival is significant. **Bonferroni** divides the level by the number of tests and holds the chance of any false find at 5<!-- given --> % at most, whatever the dependence (the 6<!-- =coins: 0.05 / 50: (\d+) --> % above is about that). **Holm** holds the same and finds no less: sort the p-values, multiply the smallest by 50, the next by 49<!-- given -->, and so on, and stop at the first above 0.05<!-- given -->. Now the real
# night, with a t-test on the twenty parts of March.

# %% name="significant"
parts = np.sqrt(PARTS[night.index]) - np.sqrt(PARTS[default.name])
p_night = np.sort(stats.ttest_1samp(parts, 0, axis=1, alternative="less").pvalue)
passed = p_night * np.arange(trials, 0, -1) < 0.05
print("better than the default in March, p < 0.05:", (p_night < 0.05).sum())
print("after Holm:", trials if passed.all() else passed.argmin())

# %% [markdown]
# Chance alone can bring the 2<!-- =significant: p < 0.05: (\d+) --> that pass; after Holm none is left. The other cure needs no correction: let the search choose one, and test **that one, once**, on a fresh month.
#
# ## Take-aways
#
# - The best of many is too good on average. The curse grows with the trials and shrinks with the validation set.
# - The level of a month is not the curse. Compare two models in one month, never one model in two.
# - Pair: same trips for both. Draw whole days. Two overlapping error bars prove nothing.
# - *Better* needs an interval beyond the smallest gain worth having, *no difference* one inside it (TOST). The rest is *undecided*.

# %% [markdown]
# ## In an interview
#
# - *You tried 50 settings and the best is 1.3<!-- given --> % better than the default. Do you ship it?* Shown in [The best of fifty is lucky](#The-best-of-fifty-is-lucky) and [Sure, and worth it](#Sure,-and-worth-it).
# - *How do you compare two models on the same data, and what is an independent observation?* Shown in [The same trips for both](#The-same-trips-for-both).
# - *The interval holds zero. Are the models equally good?* Shown in [Sure, and worth it](#Sure,-and-worth-it).
#
# With the points of a good answer, and more of them: `walkforward practice --lesson 04c` in a terminal.
#
# ## Up next
#
# Models without a difference that matters are chosen by cost, or by a machine. [04d · Cheaper models and AutoML](04d_cheaper_models_and_automl.ipynb) does both.
