# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
#   walkforward:
#     ci:
#       draws: 300
#       repeats: 20
#       every: 8
# ---

# %% [markdown]
# # 12b · Which data test, which train?
#
# After this lesson you can say from which data you know how good next month's model will be, and when you don't know.

# %% [markdown]
# > **You will learn to** split when test and training both want the latest month · score an estimate against what came · choose without using the test up · estimate an error without labels, and check the assumptions · judge an augmentation by the group that it is for
# >
# > **Before you start** [04c · Is it better?](04c_is_it_better.ipynb) · [11d · Drift detectors](11d_detectors.ipynb)
# >
# > **Time** 60 minutes of study; it runs in under a minute
# >
# > **Interview questions it answers** You retrain every month: which data do you test on? · Your hold-out said 3.0<!-- given -->, live is 3.5<!-- given -->: what went wrong? · The labels come in six weeks: how good is the model today?

# %% [markdown]
# Each month a new model learns from the three months before and goes live. A trip's duration is known when it ends (in 12a, two weeks later). All errors are mean absolute errors in minutes.

# %% tags=["parameters"]
first_month, first_live, last_live = "2018-01", "2018-07", "2020-12"
quiet_until, shock_from = "2020-02", "2020-03"
window = 3  # months to learn from
draws = 2000  # bootstrap draws
repeats = 100  # test sets drawn of each size
every = 6  # candidates are compared in every sixth month

# %% name="trips"
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.model_selection import KFold, cross_val_predict
from xgboost import XGBClassifier

from course import exercise
from course.exercise import TODO
from lessons.which_data.replay import FEATURES, before, fifth, missed, told, trained, trips_by_month

by_month = trips_by_month(first_month, last_live)
MONTHS = list(by_month)
LIVE = MONTHS[MONTHS.index(first_live) :]
print(f"{len(MONTHS)} months of about {len(by_month[first_live]):,} trips, {len(LIVE)} of them live")

# %% [markdown]
# ## The month that both want
#
# It is the end of August 2018. How large will September's error be? A colleague holds out a random fifth of the window. Another holds out the last fortnight.
#
# **Predict first.** Which of the two comes nearer to September?


# %% name="one"
def fortnight(rows):
    return rows["day"] > rows["day"].max() - pd.Timedelta(days=14)


def held_out(rows, held, **settings):
    """A model of what is not held out, and its error on what is."""
    model = trained(rows[~held], **settings)
    return model, missed(model, rows[held]).mean()


# %% name="september"
rows, september = before("2018-09", by_month, window), by_month["2018-09"]
for name, held in {"a random fifth": fifth(rows), "the last fortnight": fortnight(rows)}.items():
    print(f"{name} {held_out(rows, held)[1]:.2f}")
print(f"September, live: {missed(trained(rows), september).mean():.2f}")

# %% [markdown]
# Neither: 3.07<!-- =september: fifth ([\d.]+) --> and 3.00<!-- =september: fortnight ([\d.]+) -->, and September is 3.46<!-- =september: live: ([\d.]+) -->. One month proves nothing, so replay all thirty. In each, the shipped model learns from the whole window. The baseline needs no test at all: **next month's error is this month's**.

# %% name="replay"
found, shipped, tested = {}, {}, {}
for month in MONTHS[window:]:
    rows = before(month, by_month, window)
    shipped[month], (tested[month], score) = trained(rows), held_out(rows, fortnight(rows))
    found[month] = {
        "live": missed(shipped[month], by_month[month]).mean(),
        "tested, live": missed(tested[month], by_month[month]).mean(),
        "training rows": missed(shipped[month], rows).mean(),
        "random fifth": held_out(rows, fifth(rows))[1],
        "last fortnight": score,
    }

# %% name="estimates"
found = pd.DataFrame(found).T
found["this month's error"] = found["live"].shift(1)
found["three months' mean"] = found["live"].rolling(3).mean().shift(1)  # walk-forward validation
found["a year before"] = found["live"].shift(12)
found = found.loc[first_live:]
off = found[list(found)[2:]].sub(found["live"], axis=0)


# %% name="misses"
quiet, gain = off[:quiet_until], off.abs().sub(off["this month's error"].abs(), axis=0)
table = pd.DataFrame({"bias": quiet.mean().round(3), "miss": quiet.abs().mean().round(3)})
table["miss above the baseline's"] = [told(gain.loc[quiet.index, name], draws) for name in off]
table.drop("a year before")

# %% [markdown]
# *Bias* is the mean of estimate minus live error, *miss* the mean of its absolute value, over 20<!-- given --> quiet months. The interval draws blocks of three months, because neighbours are alike; it assumes that months further apart are independent.
#
# The training rows are too kind by 0.30<!-- =misses: training rows +-([\d.]+) --> minutes, the random fifth by 0.06<!-- =misses: random fifth +-([\d.]+) -->; the others are nearly unbiased. And **none beats the baseline**, which misses by 0.137<!-- =misses[this month's error, miss] -->: each interval holds zero or lies above it. Even walk-forward validation, here the mean of three live months, misses by 0.158<!-- =misses[three months' mean, miss] -->.
#
# So the split is not the problem. Look at when each estimate misses.

# %% name="periods"
names = ["July 2018 on", "April 2019 on", "March 2020 on"]
period = pd.cut(found.index.map(LIVE.index), [-1, 8, 19, 29], labels=names)
print("a year before, against the baseline:", told(gain.loc["2019-04":quiet_until, "a year before"], draws))
print("last fortnight, against the baseline:", told(gain.loc[shock_from:, "last fortnight"], draws))
off.abs().groupby(period, observed=True).mean().T.round(3)

# %% name="figure"
from walkforward.plots import use_style

use_style()
lines = found[["live", "last fortnight", "this month's error"]].set_axis(pd.to_datetime(found.index))
ax = lines.plot(figsize=(6.4, 2.8), ylabel="mean absolute error, minutes")
ax.set_title("Only the fortnight sees April 2020 coming")
plt.show()

# %% [markdown]
# *Figure: the live error of 30 months and two estimates. All wander about three minutes until February 2020. In April 2020 the live error and the last fortnight's score jump to nearly five; this month's error follows a month late.*
#
# September was hard in 2018 and in 2019. From April 2019 on **the same month a year before** misses by 0.049<!-- =periods[a year before, April 2019 on] -->, less than half of any other. The month decides, not the model. Then 2020 comes, and last year's error is the worst estimate, 0.569<!-- =periods[a year before, March 2020 on] -->. The fortnight is the best, 0.094<!-- =periods[last fortnight, March 2020 on] -->, as the end of March is already locked down. (The interval of its gain is wide, as most of it comes from two months.)

# %% [markdown]
# So for a forecast of the error: last year's month while the world repeats itself, the latest fortnight when it does not. A gap between both is itself a signal.
#
# ## Tested one, shipped another
#
# The fortnight's score belongs to a model that did not learn from it. Ship that one, or fit again on all (**refit**) and ship what nobody has tested?

# %% name="refit"
worse = found["tested, live"] - found["live"]
print("tested minus refit, quiet months:", told(worse[:quiet_until], draws))
print("from March 2020:", told(worse[shock_from:], draws), f"| largest: {worse.idxmax()}, {worse.max():.2f}")
print(f"refit better in {(worse > 0).sum()} of {len(worse)} months")

# %% [markdown]
# The refit wins in 29<!-- =refit: in (\d+) of --> of 30<!-- given --> months: by 0.03<!-- =refit: quiet months: ([\d.]+) --> minutes in quiet ones, and by 0.33<!-- =refit: 2020-05, ([\d.]+) --> in May 2020. The price is an assumption: **the recipe is tested, the model is not**. It holds if the fortnight's rows are as sound as the others. So keep the same settings and number of trees, and let the data tests of 08b look at the fortnight too.
#
# ## A bad forecast, a good judge
#
# A score that misses by 0.145<!-- =misses[last fortnight, miss] --> seems useless for a choice between models that differ by 0.1<!-- given -->. Try two rivals: shallower trees, and a model without zones. How well does the *difference* on the fortnight tell the live difference?

# %% name="rivals"
RIVALS = {"depth 4": {"max_depth": 4}, "no zones": {"columns": ["trip_distance", "hour", "weekday"]}}
seen = []
for month in LIVE[::2]:
    rows = before(month, by_month, window)
    for name, settings in RIVALS.items():
        test = held_out(rows, fortnight(rows), **settings)[1] - found.loc[month, "last fortnight"]
        live = missed(trained(rows, **settings), by_month[month]).mean() - found.loc[month, "live"]
        seen.append({"rival": name, "on the fortnight": test, "live": live, "miss": abs(test - live)})
        seen[-1]["same winner"] = (test > 0) == (live > 0)
pd.DataFrame(seen).groupby("rival").mean().round(3)

# %% [markdown]
# The difference misses by 0.025<!-- =rivals[depth 4, miss] --> and 0.063<!-- =rivals[no zones, miss] -->, and the fortnight names the live winner in all 15<!-- given --> months. A hard month is hard for both models, so it cancels. **Use the held-out rows to choose, on the same rows for all; don't promise the error that they show.**
#
# ## Choosing uses a test up
#
# Choose the best of twelve candidates on a test, and report the winner's score on that test. How much too good is it? Draw tests of several sizes from the fortnights of five months.

# %% name="candidates"
CANDIDATES = [{"max_depth": d, "learning_rate": r} for d in (4, 6, 8) for r in (0.1, 0.15, 0.2, 0.3)]
errors = []  # of every sixth month: one row a trip of the fortnight, one column a candidate
for month in LIVE[::every]:
    rows = before(month, by_month, window)
    learnt, held = rows[~fortnight(rows)], rows[fortnight(rows)]
    errors.append(np.column_stack([missed(trained(learnt, **one), held) for one in CANDIDATES]))


# %% name="flattery"
def flattery(table, size, seed):
    """A test's score minus the score on all other trips: of its winner, and of a candidate fixed before."""
    shuffled = np.random.default_rng(seed).permutation(table)
    score, other = shuffled[:size].mean(axis=0), shuffled[size:].mean(axis=0)
    return {"winner": (score - other)[score.argmin()], "fixed before": (score - other)[5]}


# %% name="winners"
flat = {}
for size in (50, 100, 300, 1_000, 2_000):
    drawn = [flattery(table, size, seed) for table in errors for seed in range(repeats)]
    flat[size] = pd.DataFrame(drawn).mean()
pd.DataFrame(flat).T.rename_axis("trips in the test").round(3)

# %% [markdown]
# The winner of a test of 100<!-- given --> trips looks better than it is by 0.11<!-- =winners: (?m:^100 +-([\d.]+)) --> minutes; of 2,000<!-- given --> trips by 0.03<!-- =winners: (?m:^2000 +-([\d.]+)) -->. A candidate fixed before is flattered by next to nothing. Cure: **nested** validation. One part of the latest data chooses, a later part judges, then all of it trains. With twelve candidates and thousands of trips you may skip it: the month itself moves the error more. With a hundred trips, or thousands of candidates, you may not.
#
# ### Your turn

# %% exercise="nested"

# %%
exercise.check(nested)

# %% [markdown]
# ## No labels yet
#
# Often labels come late. At the month's end you have its inputs $x$ and last month's errors $e$. If only the mix of trips has changed (**covariate shift**), weigh each labelled trip by how much more common its kind is now:
#
# $$\mathbb{E}_{now}|e| = \mathbb{E}_{old}\big[w(x)\,|e|\big], \qquad w(x) = \frac{p_{now}(x)}{p_{old}(x)} = \frac{n_{old}}{n_{now}} \cdot \frac{P(now \mid x)}{1 - P(now \mid x)}$$
#
# A classifier that tells the months apart gives $P(now \mid x)$. Assumptions: $P(y \mid x)$ stays; every kind of trip that occurs now has occurred before (**overlap**); the probabilities are calibrated. The estimate divides by the sum of the weights. The **effective sample size** $n_{eff} = (\sum w)^2 / \sum w^2$ says how many equal trips would give the same variance, if the errors' variance does not depend on $w$.


# %% name="weights"
def by_classifier(old, now, columns=FEATURES):
    rows, is_now = pd.concat([old, now])[columns], np.repeat([0, 1], [len(old), len(now)])
    judge = XGBClassifier(n_estimators=30, max_depth=3, learning_rate=0.2, n_jobs=1)
    halves = KFold(2, shuffle=True, random_state=0)  # no trip is judged by a model that has learnt from it
    p = cross_val_predict(judge, rows, is_now, cv=halves, method="predict_proba")[: len(old), 1]
    return len(old) / len(now) * p / (1 - p)


# %% [markdown]
# First plant a shift that fits the assumptions: one half of a month's trips is old, the other half is drawn again with airport trips, or trips from 11<!-- given --> to 15<!-- given --> o'clock, taken more often.

# %% name="mixes"
from lessons.which_data.replay import SHIFTS, planted, weighed

judged, year = [], [month for month in LIVE if month.startswith("2019")]
for month in year:
    for shift in SHIFTS:
        old, now = planted(by_month[month], shift)
        errors, truth = missed(shipped[month], old), missed(shipped[month], now).mean()
        row = {"shift": shift, "truth": truth, "plain": errors.mean()}
        row |= weighed(errors, by_classifier(old, now))
        row |= {"plain miss": abs(row["plain"] - truth), "weighted miss": abs(row["weighted"] - truth)}
        judged.append(row)
pd.DataFrame(judged).groupby("shift", sort=False).mean().round(2)

# %% [markdown]
# These are means of twelve months of 2019. With eight times the airport trips the error rises, and the weights find it: the miss falls from 0.86<!-- =mixes[airports × 8, plain miss] --> to 0.14<!-- =mixes[airports × 8, weighted miss] -->. At × 100<!-- given --> nine trips in a hundred are left of the sample, $n_{eff}/n$ is 0.09<!-- =mixes[airports × 100, n_eff / n] -->: it warns, and the miss grows to 0.27<!-- =mixes[airports × 100, weighted miss] -->.
#
# **Predict first.** Now the real months, where nothing is planted. In April 2020 far fewer people ride, and they are other people. Does $n_{eff}$ fall, and does the estimate find the new error?

# %% name="real"
real = {}
for last, month in zip(MONTHS[window + 2 :], LIVE, strict=False):
    model, weights = shipped[last], by_classifier(by_month[last], by_month[month])
    errors = missed(model, by_month[last])
    row = {"truth": missed(model, by_month[month]).mean(), "plain": errors.mean()}
    real[month] = row | weighed(errors, weights)
real = pd.DataFrame(real).T
miss = real[["plain", "weighted"]].sub(real["truth"], axis=0).abs()
harm = miss["weighted"] - miss["plain"]
print("weighting adds to the miss, quiet months:", told(harm[:quiet_until], draws))
print("from March 2020:", told(harm[shock_from:], draws))
real.loc["2020-02":"2020-06"].round(3)

# %% [markdown]
# In April the estimate is 3.43<!-- =real[2020-04, weighted] -->, the truth 5.34<!-- =real[2020-04, truth] -->. (The model is March's, so this is above the figure.) And $n_{eff}/n$ is still 0.75<!-- =real[2020-04, n_eff / n] -->, which alarms nobody. The trips are of known kinds, the roads are empty: $P(y \mid x)$ has changed, and no weight on inputs can see that. In quiet months weighting gains nothing either: the mix of trips hardly changes, the traffic does.
#
# Add one useless column to the classifier, the date:

# %% name="date"
for last, month in (("2019-05", "2019-06"), ("2020-03", "2020-04")):
    both = [by_month[one].assign(date=by_month[one]["day"].dt.dayofyear) for one in (last, month)]
    row = weighed(missed(shipped[last], both[0]), by_classifier(*both, [*FEATURES, "date"]))
    print(f"{month}: n_eff / n {row['n_eff / n']:.3f}, mean weight {row['mean weight']:.4f}")

# %% [markdown]
# The date separates the months perfectly, so there is no overlap. $n_{eff}/n$ is 1.000<!-- =date: 2020-04: n_eff / n ([\d.]+) -->, the best value there is: all weights are equally tiny. Look at the **mean weight** too. It estimates the share of today's trips whose kind has occurred before, so it has to be near 1<!-- given -->; here it is 0.0013<!-- =date: 2020-04: .*weight ([\d.]+) -->. Give the classifier only columns that can matter for the error.
#
# ## Slices by hand
#
# Mandoline (Chen and others 2021) turns this around: *you* name the slices in which the error may differ, and only their mix is weighed. Here seven slices and a logistic regression on them.


# %% name="slices"
from lessons.which_data.replay import airport, by_logistic


def slices(rows):
    miles, hour = rows["trip_distance"], rows["hour"]
    named = {"airport": airport(rows), "short": miles < 1, "middle": miles.between(3, 8), "long": miles > 8}
    named |= {"rush": hour.between(16, 19), "night": hour < 6, "weekend": rows["weekday"] > 4}
    return pd.DataFrame(named).astype(float)


# %% name="sides"
sides = []
for month in year:
    for size, seed in ((300, 0), (300, 1), (3_000, 0)):
        for shift in ("airports × 8", "midday × 8"):
            old, now = planted(by_month[month], shift, size, seed)
            errors, truth = missed(shipped[month], old), missed(shipped[month], now).mean()
            row = {"planted": f"{shift}, {size:,} trips", "plain": errors.mean()}
            row["classifier"] = weighed(errors, by_classifier(old, now[:size]))["weighted"]
            row["slices"] = weighed(errors, by_logistic(slices(old), slices(now[:size])))["weighted"]
            sides.append(row | {name: abs(row[name] - truth) for name in list(row)[1:]})
groups = pd.DataFrame(sides).groupby("planted", sort=False)
against = {name: told(one["slices"] - one["classifier"], draws) for name, one in groups}
groups.mean().round(2).assign(**{"slices minus classifier": against})

# %% [markdown]
# The numbers are misses in minutes. With 3,000<!-- given --> trips a side both find the airports. With 300<!-- given --> the slices miss by 0.29<!-- =sides[airports × 8, 300 trips, slices] -->, the classifier by 0.43<!-- =sides[airports × 8, 300 trips, classifier] -->: seven coefficients need fewer trips than thirty trees. And the date can't hurt, as no slice asks for it.
#
# But no slice asks for midday either. There the slices miss by 0.31<!-- =sides[midday × 8, 3,000 trips, slices] -->, and doing nothing by 0.25<!-- =sides[midday × 8, 3,000 trips, plain] -->. **Slices are right about what you thought of**, and wrong about the rest without a word. Name them by where the error differs.
#
# The simplest form needs no regression when each trip is in exactly one slice: last month's error of each slice, this month's shares.
#
# ### Your turn

# %% exercise="by_slices"

# %%
exercise.check(by_slices)

# %% [markdown]
# ## A group with twenty labels
#
# Long trips at night are rare. Pretend that only 20<!-- given --> of them have a label. Model Patching (Goel and others 2020) asks: can changed copies from another group stand in? Here are 600<!-- given --> long trips by day, with the hour set to night. The second kind of copy also changes the duration by the ratio of the night's minutes a mile to the day's, learnt from trips of 3 to 5<!-- given --> miles, where both have labels.


# %% name="patched"
from lessons.which_data.replay import night, pace


def training_sets(rows):
    long, near = rows[rows["trip_distance"] >= 5], rows[rows["trip_distance"].between(3, 5)]
    rare, rest = long[night(long)], rows.drop(long.index[night(long)])
    few, day = rare.sample(20, random_state=0), long[~night(long)].sample(600, random_state=0)
    copies = day.assign(hour=np.random.default_rng(0).choice(few["hour"], len(day)))
    faster = copies["duration"] * pace(near[night(near)]) / pace(near[~night(near)])
    sets = {"20 labels": [few], "each 30 times": 30 * [few], "copies": [few, copies]}
    sets |= {"copies, faster": [few, copies.assign(duration=faster)], "all labels": [rare]}
    return {name: pd.concat([rest, *more]) for name, more in sets.items()}


# %% name="gap"
rare = []
for month in LIVE[:20:2]:
    now = by_month[month]
    group = night(now) & (now["trip_distance"] >= 5)
    for name, rows in training_sets(before(month, by_month, window)).items():
        errors = missed(trained(rows), now)
        rare.append([month, name, errors[group].mean(), errors[~group].mean()])
rare = pd.DataFrame(rare, columns=["month", "training", "group", "others"])
of_group = rare.pivot(index="month", columns="training", values="group")
gap = rare.groupby("training", sort=False)[["group", "others"]].mean().round(2)
gap.assign(change=[told(of_group[name] - of_group["20 labels"], draws) for name in gap.index])

# %% [markdown]
# The columns: the error of the group, the error of all other trips, the group's change against 20<!-- given --> labels with its interval over ten months.
#
# - **Repeating** the twenty adds no information; the interval holds zero.
# - **Copies** with another hour teach the model that the hour does not matter. The group gets worse by 2.3<!-- =gap: copies +\S+ +\S+ +([\d.]+) --> minutes.
# - **Faster copies** take 0.55<!-- =gap: faster +\S+ +\S+ +-([\d.]+) --> off, half of what all labels bring, 1.03<!-- =gap: all labels +\S+ +\S+ +-([\d.]+) -->.
#
# An augmentation is a claim about the world: *this may change, and that changes with it*. Test the claim on real rows of the group. The mean of all trips hardly moves, so it can't judge.

# %% [markdown]
# ## Take-aways
#
# - Hold out the latest fortnight, choose on it, then refit on all. The recipe is tested, the shipped model is not.
# - A held-out score is a poor forecast of next month's error and a good judge between models on the same rows. Compare every estimate with "as this month" and "as a year before".
# - A winner's own score flatters, the more so the smaller the test and the more candidates. Choose on one part, judge on a later one.
# - Weights correct a changed mix of inputs, never a changed relation. Look at the effective sample size **and** the mean weight; neither sees concept shift.
# - Named slices need few rows and miss what nobody named. An augmentation is judged on its own group.

# %% [markdown]
# ## In an interview
#
# - *You retrain every month: which data do you test on?* Shown in [The month that both want](#The-month-that-both-want) and [Tested one, shipped another](#Tested-one,-shipped-another).
# - *Your hold-out said 3.0<!-- given -->, live is 3.5<!-- given -->: what went wrong?* Shown in [The month that both want](#The-month-that-both-want) and [A bad forecast, a good judge](#A-bad-forecast,-a-good-judge).
# - *The labels come in six weeks: how good is the model today?* Shown in [No labels yet](#No-labels-yet) and [Slices by hand](#Slices-by-hand).
#
# With the points of a good answer, and more of them: `walkforward practice --lesson 12b` in a terminal.
#
# ## Up next
#
# [12c · The loop, closed](12c_the_loop_closed.ipynb) joins alarm, retraining and release into a loop that runs by itself.
