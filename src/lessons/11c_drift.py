# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
#   walkforward:
#     ci:
#       first_month: "2018-07"
# ---

# %% [markdown]
# # 11c · Drift
#
# After this lesson you can say what moved between two periods, how far in a unit that others understand, and how much of a change comes from other inputs and how much from another world.

# %% [markdown]
# > **You will learn to** separate covariate, label and concept shift · split a change into its two causes · compute seven measures by hand · say what each
# > measure is blind to
# >
# > **Before you start** [11a · Monitoring](11a_monitoring.ipynb)
# >
# > **Time** 55 minutes of study; it runs in under half a minute
# >
# > **Interview questions it answers** Which kinds of drift are there, and which ones hurt? · Which measure do you take for which column? · PSI is 0.25<!-- given -->. What do you do?

# %% [markdown]
# ## Parameters
#
# A model learns from 2018 and is never touched again. Then come a quiet year and April 2020.

# %% tags=["parameters"]
trips_path = None  # a file of your own, or one a month: "taxi/{month}.parquet"
max_trips = 360_000  # of a file of your own, drawn at random; more take more time and memory
first_month, live_from, last_month = "2018-01", "2019-01", "2020-12"  # trained on what lies before live_from
quiet_month, next_month, calm_until = "2019-05", "2019-06", "2019-12"
before_month, shock_month = "2019-04", "2020-04"  # the same month of two years

# %%
from course import own_data

trips, year_apart = None, {"2020-05": "2019-05", "2020-11": "2019-11"}
if trips_path is not None:  # your file: what the lesson needs of it, or a line that says what it lacks
    roles = {"first_month": first_month, "live_from": live_from, "last_month": last_month}
    roles |= {"quiet_month": quiet_month, "next_month": next_month, "calm_until": calm_until}
    roles |= {"before_month": before_month, "shock_month": shock_month}
    trips, chosen = own_data.monthly_trips("11c", trips_path, max_trips, **roles)
    first_month, live_from, before_month, quiet_month, next_month, calm_until, shock_month, last_month = (
        chosen
    )
    year_apart = {shock_month: before_month, last_month: quiet_month}

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy import stats

from course import exercise
from course.data import months
from course.exercise import TODO
from projects.trip_watch import FEATURES, rmse, twin_of, under_watch
from walkforward.drift import drift_report
from walkforward.plots import PALETTE, use_style

use_style()

# %% name="trips"
trips, model = under_watch(trips, first_month, live_from, last_month)  # an XGBRegressor on five columns
live = trips[trips["month"] >= live_from]
by_month = dict(iter(live.groupby("month")))
print(f"trained on {len(trips) - len(live):,} trips; {len(live):,} live ones, {len(by_month)} months")

# %% [markdown]
# ## An alarm in a quiet month
#
# Your team wants a drift alarm. You take the recipe that every search finds: a Kolmogorov–Smirnov (KS) test for each column, this month against the last, alarm when p < `0.05`. The columns are the model's five inputs (distance, both zones, hour, weekday) and three more.
# May and June 2019, in which nothing happened, are the first trial.

# %%
COLUMNS = [*FEATURES, "passenger_count", "fare_amount", "yhat"]  # yhat: what the model answered


def ks_p_values(old: pd.DataFrame, new: pd.DataFrame) -> pd.Series:
    return pd.Series({name: stats.ks_2samp(old[name], new[name], method="asymp").pvalue for name in COLUMNS})


# %% name="textbook"
first, second = by_month[quiet_month], by_month[next_month]
p_values = ks_p_values(first, second)
print("alarm:", p_values[p_values < 0.05].round(3).to_dict())
print("RMSE (minutes):", [round(rmse(rows["duration"], rows["yhat"]), 2) for rows in (first, second)])

# %% [markdown]
# Two alarms, and the model is as good as ever.
#
# **Predict first.** 2019 has 11<!-- given --> pairs of neighbouring months. In how many does this alarm go off, and does every column take part in the test?

# %% name="year"
year = [by_month[month] for month in months(live_from, calm_until)]
p_values = pd.DataFrame([ks_p_values(*pair) for pair in zip(year, year[1:], strict=False)])
alarms = p_values < 0.05
print("pairs of neighbouring months:", len(alarms))
print("with an alarm:", alarms.any(axis=1).sum())
print("with an alarm besides weekday:", alarms.drop(columns="weekday").any(axis=1).sum())
print("with no p-value for passenger_count:", p_values["passenger_count"].isna().sum())

# %% [markdown]
# It goes off in 11<!-- =year: an alarm: (\d+) --> of 11 quiet pairs. Five mistakes are in it; this lesson and [the next one](11d_detectors.ipynb) repair them:
#
# - **Zones are codes.** KS orders them by number, which means nothing. Codes need a measure for categories.
# - **Missing values.** From July 2019 some `passenger_count` are missing. SciPy's p-value is then NaN, NaN < 0.05<!-- given --> is false, and the column is never tested: 6<!-- =year: passenger_count: (\d+) --> pairs of 11, without a warning.
# - **The calendar.** June has five weekends and May four. That is known in advance; leave `weekday` out.
# - **Many columns** are many chances for a false alarm.
# - With **many rows** even a tiny difference is sure.
#
# Before the repairs, one question: what can move at all?

# %% [markdown]
# ## Three things can move
#
# A model learns from pairs of inputs $X$ and outcome $Y$. Their joint distribution can be taken apart in two ways:
#
# $$P(X, Y) = P(Y \mid X)\,P(X) = P(X \mid Y)\,P(Y)$$
#
# The **source distribution** is the one that the training data come from, the **target distribution** the one that the model meets. Drift means that they differ.
#
# | shift | moves | stays | on the trips |
# |---|---|---|---|
# | **covariate** | $P(X)$ | $P(Y \mid X)$ | more airport rides; each takes what it always took |
# | **label** (prior) | $P(Y)$ | $P(X \mid Y)$ | long rides are recorded more often, for whatever reason |
# | **concept** | $P(Y \mid X)$ | $P(X)$ | empty streets: the same ride takes less time |

# %% [markdown]
# What was April 2020? Look at the durations at equal distance, and at the distances.

# %% name="street"
before, shock = by_month[before_month], by_month[shock_month]
SHOCK = pd.Period(shock_month).strftime("%B %Y")
EDGES = np.arange(0, 12.5, 0.5)
fig, axes = plt.subplots(2, 1, figsize=(6.4, 4), sharex=True, height_ratios=[3, 2])
for month, rows in {before_month: before, shock_month: shock}.items():
    bins = pd.cut(rows["trip_distance"], EDGES)
    axes[0].plot(EDGES[1:] - 0.25, rows.groupby(bins, observed=False)["duration"].mean(), label=month)
    axes[1].plot(EDGES[1:] - 0.25, bins.value_counts(sort=False, normalize=True))
axes[0].set_title("The distances hardly moved, the time they take did")
axes[0].set(ylabel="mean duration (min)")
axes[1].set(xlabel="distance (miles)", ylabel="share of trips")
axes[0].legend()
plt.show()

# %% [markdown]
# *Figure: above, mean duration by distance: April 2020 lies below April 2019 at every distance. Below, the distances of both months: nearly the same curve.*
#
# Now in numbers. For $P(Y \mid X)$ you compare trips of equal distance, for $P(X \mid Y)$ trips of equal duration. KS, between 0 and 1, says how far apart two distributions are. *Bias* is the mean of answer minus truth.


# %% name="kinds"
def gap_at_same(given: str, of: str, new: pd.DataFrame) -> float:
    """Mean of `of`, new minus before, among trips of the same `given`, weighted as in new."""
    edges = np.unique(before[given].quantile(np.linspace(0, 1, 41)))
    means = [rows.groupby(pd.cut(rows[given], edges), observed=True)[of].mean() for rows in (before, new)]
    share = pd.cut(new[given], edges).value_counts(normalize=True)
    return float(((means[1] - means[0]) * share).sum())


# %%
def parts_of(new: pd.DataFrame) -> dict[str, float]:
    return {
        "P(X): KS": stats.ks_2samp(before["trip_distance"], new["trip_distance"]).statistic,
        "P(Y): KS": stats.ks_2samp(before["duration"], new["duration"]).statistic,
        "P(Y|X): min": gap_at_same("trip_distance", "duration", new),
        "P(X|Y): miles": gap_at_same("duration", "trip_distance", new),
        "bias (min)": (new["yhat"] - new["duration"]).mean(),
        "RMSE (min)": rmse(new["duration"], new["yhat"]),
    }


# %% [markdown]
# Make one of each pure shift out of the real trips of April 2019.


# %% name="parts"
def drawn(weights: pd.Series) -> pd.DataFrame:
    return before.sample(len(before), replace=True, weights=weights, random_state=0)


worlds = {
    "the same trips, drawn again": drawn(pd.Series(1.0, before.index)),
    "covariate: four times the trips over 5 miles": drawn(1 + 3.0 * (before["trip_distance"] > 5)),
    "label: four times the trips over 25 minutes": drawn(1 + 3.0 * (before["duration"] > 25)),
    "concept: 30 % less time": before.assign(duration=0.7 * before["duration"]),
    SHOCK: shock,
}
pd.DataFrame({name: parts_of(rows) for name, rows in worlds.items()}).T.round(2)

# %% [markdown]
# Read it row by row.
#
# - **Covariate.** $P(Y)$ moves along, because longer trips take longer, but at equal distance nothing changed and the bias stays. The RMSE rises to 5.16<!-- =parts[covariate: four times the trips over 5 miles, RMSE (min)] -->
#   all the same: long trips are harder. The model is as right as before, on harder questions.
# - **Label.** Only $P(X \mid Y)$ stays. By Bayes' rule $P(Y \mid X)$ **must** move: at equal distance the trips take 1.68<!-- =parts[label: four times the trips over 25 minutes, P(Y|X): min] --> minutes more, and the bias is −0.85<!-- =parts[label: four times the trips over 25 minutes, bias (min)] -->.
# - **Concept.** Each trip takes 30<!-- given --> % less time. The inputs are untouched: no watcher of features can see it. The bias is 4.35<!-- =parts[concept: 30 % less time, bias (min)] --> minutes.
# - **April 2020** looks like the concept row. People also rode between other zones, but the model gets the zones as inputs, and it still answers 4.87<!-- =parts[April 2020, bias (min)] --> minutes too much.

# %% [markdown]
# ### Your turn
#
# A chart shows that the mean duration fell by four minutes. Your manager asks how much of it is *other trips* and how much is *faster streets*. There are several ways to split a change; use the one in the task, which
# weights the change of the streets by the **new** trips.

# %% exercise="split_gap"

# %%
exercise.check(split_gap)

# %% [markdown]
# ## Same mean, same quartiles
#
# How do you see that a distribution moved? The first idea is a dashboard of summary statistics. Here is a second set of real durations of 2019, a **twin**: chosen by a linear
# program so that mean, spread and quartiles stay, and the shape does not.

# %% name="same"
plain, twin = twin_of(live.loc[live["month"] <= calm_until, "duration"])
YEAR, NEXT = before_month[:4], shock_month[:4]
pd.DataFrame({YEAR: plain.describe(), "its twin": twin.describe()}).T[
    ["mean", "std", "25%", "50%", "75%"]
].round(1)

# %% [markdown]
# No number on this dashboard moves. Now draw the **density**, the share of trips per minute.

# %% name="density"
fig, axes = plt.subplots(1, 2, figsize=(6.4, 2.6), sharey=True)
grid = np.linspace(1, 60, 300)
for ax, values, title in zip(axes, (plain, twin), (f"Durations of {YEAR}", "Their twin"), strict=True):
    ax.hist(values, bins=np.arange(1, 61), density=True, color=PALETTE["sky"])
    for bandwidth, color in ((0.08, "blue"), (0.5, "red")):
        curve = stats.gaussian_kde(values, bandwidth)(grid)
        ax.plot(grid, curve, color=PALETTE[color], label=f"bandwidth {bandwidth}")
    ax.set(xlabel="duration (minutes)", title=title)
axes[0].set_ylabel("density (per minute)")
axes[1].legend()
plt.show()

# %% [markdown]
# *Figure: histograms of two sets of durations with equal mean, spread and quartiles. The left one falls smoothly, the right one has peaks seven minutes apart. A density with a narrow bandwidth shows the peaks, one with a wide bandwidth hides them.*
#
# Summary statistics say that something moved, and where to; they don't see shape. A density sees shape, as finely as its bandwidth allows. What you want is one number for *how different*.
#
# ## Seven measures, by hand
#
# Durations again, April 2019 against April 2020. Two measures need no bins. With the share of rows up to $x$, old $F(x)$ and new $G(x)$:
#
# $$\text{KS} = \max_x |F(x) - G(x)| \qquad \text{Wasserstein} = \int |F(x) - G(x)|\,dx$$

# %% name="ecdf"
old, new = (np.sort(rows["duration"]) for rows in (before, shock))
both = np.sort(np.concatenate([old, new]))
F, G = (np.searchsorted(values, both, "right") / len(values) for values in (old, new))
gap = np.abs(F - G)
wasserstein = (gap[:-1] * np.diff(both)).sum()
hand = {"ks": gap.max(), "wasserstein": wasserstein / old.std(ddof=1)}
print(f"KS {gap.max():.3f}, at {both[gap.argmax()]:.0f} minutes; Wasserstein {wasserstein:.2f} minutes")

# %% [markdown]
# The Wasserstein distance has the unit of the column: on average a trip has to be moved by 4.11<!-- =ecdf: Wasserstein ([\d.]+) --> minutes. (`drift_report` divides it by the old standard deviation, to compare columns.)
# The next four compare shares of rows in bins, old $p_i$ and new $q_i$, here between the deciles of the old month:
#
# $$\text{TV} = \tfrac12 \sum |p_i - q_i| \qquad \text{KL}(q \,\|\, p) = \sum q_i \ln\frac{q_i}{p_i} \qquad \text{PSI} = \sum (q_i - p_i) \ln\frac{q_i}{p_i}$$
#
# They are the total variation, the Kullback–Leibler divergence and the population stability index. The fourth is the Jensen–Shannon distance $\sqrt{\tfrac12 \text{KL}(p \,\|\, m) + \tfrac12 \text{KL}(q \,\|\, m)}$, with $m$ the mean of $p$ and $q$ and the logarithm to base 2.


# %% name="bins"
def kl(q: np.ndarray, p: np.ndarray) -> float:
    """Kullback-Leibler divergence of q from p, in nats; an empty bin of q adds nothing."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.where(q > 0, q * np.log(q / p), 0).sum())


def js(q: np.ndarray, p: np.ndarray) -> float:
    """Jensen-Shannon distance, base 2."""
    return float(np.sqrt((kl(p, (p + q) / 2) + kl(q, (p + q) / 2)) / 2 / np.log(2)))


# %% name="by_bins"
deciles = np.quantile(old, np.arange(0.1, 1, 0.1))
p, q = (np.bincount(np.searchsorted(deciles, values)) / len(values) for values in (old, new))
hand |= {"tv": np.abs(p - q).sum() / 2, "kl": kl(q, p), "js": js(q, p)}
hand["psi"] = ((q - p) * np.log(q / p)).sum()

# %% [markdown]
# **Predict first.** Which distance is larger: from April 2019 to April 2020, whose trips are shorter, or from 2019 to its twin? Does each measure say the same?

# %% name="measures"
april = drift_report(before, shock, ["duration"]).loc[0, list(hand)]
shuffled = [one.sample(frac=1, random_state=0).to_frame() for one in (plain, twin)]  # they are sorted
twins = drift_report(*shuffled).loc[0, list(hand)]
pd.DataFrame({"by hand": hand, "drift_report": april, f"{YEAR} and its twin": twins}).astype(float).round(4)

# %% [markdown]
# PSI is no new idea, it is $\text{KL}(q\|p) + \text{KL}(p\|q)$. All six see the twin, and they disagree: for PSI it is three times as far away as April 2020, for Wasserstein a third as far, because its trips moved by few minutes.
#
# The seventh is for categories: **chi-squared** compares the counts, here of the ways to pay, with those expected if both months were alike.

# %% name="chi2"
code = next(name for name in ("payment_type", "vendor_id", "hour") if trips[name].nunique() > 1)
counts = pd.DataFrame({"before": before[code], "shock": shock[code]}).apply(pd.Series.value_counts).fillna(0)
share = counts / counts.sum()
for rows, observed in {"all rows": counts, "a tenth of them": counts / 10}.items():
    chi2 = stats.chi2_contingency(observed, correction=False).statistic
    print(f"{rows}: chi-squared {chi2:.1f}, TV {(share['before'] - share['shock']).abs().sum() / 2:.3f}")

# %% [markdown]
# A tenth of the rows, a tenth of chi-squared: it says how **sure** a difference is. TV says how **large** it is: 11<!-- =chi2: all rows: .*0\.(11) --> % of the riders pay in another way.
#
# Interviewers ask for two properties of KL.

# %% name="infinite"
hours, zones = (
    [rows[name].value_counts(normalize=True) for rows in (before, shock)]
    for name in ("hour", "pickup_location_id")
)
p, q = (one.reindex(range(24), fill_value=0).to_numpy() for one in hours)
print(f"pickup hour: KL({NEXT} from {YEAR}) {kl(q, p):.3f}, KL({YEAR} from {NEXT}) {kl(p, q):.3f}")
p, q = pd.concat(zones, axis=1).fillna(0).to_numpy().T
print(f"pickup zone: {(p == 0).sum()} zones are new; KL {kl(q, p)}, JS {js(q, p):.2f}")

# %% [markdown]
# KL depends on the direction, and one zone that the old month lacks makes it **infinite**. PSI is infinite then, too, so tools put something into empty bins, and they differ in what. JS stays between 0 and 1.
# PSI also depends on the bins. Two months, three usual ways to cut:


# %%
def psi_between(cuts: np.ndarray, old: pd.Series, new: pd.Series) -> float:
    counts = [np.histogram(values, [-np.inf, *cuts, np.inf])[0].clip(0.5) for values in (old, new)]
    p, q = (one / one.sum() for one in counts)
    return ((q - p) * np.log(q / p)).sum()


# %% name="psi_bins"
found = {}
for month, earlier in year_apart.items():
    old, new = (by_month[one]["trip_distance"] for one in (earlier, month))
    ends = min(old.min(), new.min()), max(old.max(), new.max())
    cuts = {"10 of equal width": np.linspace(*ends, 11)[1:-1]}
    for n in (10, 50):
        cuts[f"{n} of equal count"] = np.unique(old.quantile(np.arange(1, n) / n))
    row = {name: psi_between(where, old, new) for name, where in cuts.items()}
    found[f"distance, {month}"] = row | {"longest trip (miles)": ends[1]}
pd.DataFrame(found).T.round(3)

# %% [markdown]
# Banks use a rule of thumb: PSI below `0.1` is "stable", up to `0.2` "moderate", above it drift. By it, May 2020 is stable with ten bins and moderate with fifty. November is 0.000<!-- =psi_bins[distance, 2020-11, 10 of equal width] --> with equal widths: one taximeter recorded a
# trip of 46,826<!-- ~psi_bins[distance, 2020-11, longest trip (miles)] --> miles, and all the others share one bin. A PSI without its bins is not a number.
#
# | measure | unit and range | sees | blind to, or weak |
# |---|---|---|---|
# | mean, sd, quantiles | of the column | that it moved, and where to | shape between the quantiles |
# | density | per unit | shape | what its bandwidth smooths away |
# | KS | share of rows, 0–1 | the largest gap, best in the middle | tails; how **far** rows moved; codes |
# | Wasserstein | of the column, 0–∞ | how far rows moved | one outlier can dominate |
# | chi-squared | none, grows with n | categories, as evidence | size; which categories are near each other |
# | TV | share of rows, 0–1 | how many rows changed bin | how far away that bin is |
# | KL | nats (natural log), 0–∞ | rare and new categories, strongly | infinite; depends on the direction |
# | JS | none, 0–1 | as KL, finite and symmetric | many bins with few rows inflate it |
# | PSI | nats, 0–∞ | as KL, symmetric | bins and n decide; no notion of chance |

# %% [markdown]
# KS is most useful on predictions and labels. On fifty features it gives fifty tests, most of them on columns that the model hardly uses.
#
# ### Your turn
#
# Banks will ask you for PSI. Write one that survives outliers, empty bins and columns with many equal values.

# %% exercise="psi"

# %%
exercise.check(psi)

# %% [markdown]
# ## Take-aways
#
# - Covariate shift moves $P(X)$, label shift $P(Y)$, concept shift $P(Y \mid X)$. Compare the outcome at equal inputs to tell them apart; April 2020 was mainly concept shift.
# - A pure covariate shift raises the error and leaves the model unbiased. A pure concept shift moves no input at all.
# - Choose the measure by the column: KS or Wasserstein for measured values, TV or Jensen–Shannon for categories. Codes are categories, and missing values are a change of their own.
# - "PSI > 0.2<!-- given --> means drift" is a stale answer: PSI depends on the bins, on what fills the empty ones and on the number of rows. Ask for these, then for the error.

# %% [markdown]
# ## In an interview
#
# - *Which kinds of drift are there, and how would you tell them apart on data?* Shown in [Three things can move](#Three-things-can-move).
# - *Which measure do you take for which column, and what is it blind to?* Shown in [Seven measures, by hand](#Seven-measures,-by-hand).
# - *The mean fell by four minutes. Is it the trips or the streets?* Shown in [Three things can move](#Three-things-can-move).
#
# With the points of a good answer, and more of them: `walkforward practice --lesson 11c` in a terminal.
#
# ## Up next
#
# You can measure a difference. [11d · Drift detectors](11d_detectors.ipynb) decides when it is an alarm, and puts the rules on trial.
