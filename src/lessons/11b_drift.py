# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
#   walkforward:
#     ci:
#       first_month: "2018-07"
#       simulations: 40
# ---

# %% [markdown]
# # 11b · Drift
#
# After this lesson you can look at a drift alarm and say what moved, whether it is sure, whether it matters, and what to do about it, which is often nothing.

# %% [markdown]
# > **You will learn to** separate covariate, label and concept shift · compute seven measures by hand and say what each is blind to · set an alarm that survives
# > large samples, small samples and many columns · find drift that no single column shows · score a detector before you trust it
# >
# > **Before you start** [11a · Monitoring](11a_monitoring.ipynb)
# >
# > **Time** 60 minutes of study; it runs in under a minute
# >
# > **Interview questions it answers** Which kinds of drift are there, and which ones hurt? · The p-value is zero. Is there drift? · PSI is 0.25<!-- given -->. What do you do?

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
simulations = 200  # repetitions of each simulated comparison

# %%
from course import own_data

autumn = ["2019-09", "2019-10"]  # two more months in which nothing happened
year_apart = {"2020-05": "2019-05", "2020-11": "2019-11"}
faulty_weeks = ["2019-01-28", "2019-02-25"]  # the first and the last week of a fault in the records
if trips_path is not None:  # your file: what the lesson needs of it, or a line that says what it lacks
    roles = {"first_month": first_month, "live_from": live_from, "last_month": last_month}
    roles |= {"quiet_month": quiet_month, "next_month": next_month, "calm_until": calm_until}
    roles |= {"before_month": before_month, "shock_month": shock_month}
    trips, chosen = own_data.monthly_trips("11b", trips_path, max_trips, **roles)
    first_month, live_from, before_month, quiet_month, next_month, calm_until, shock_month, last_month = (
        chosen
    )
    autumn, faulty_weeks = [quiet_month, next_month], []
    year_apart = {shock_month: before_month, last_month: quiet_month}

# %%
import warnings

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy import stats
from scipy.optimize import linprog
from xgboost import XGBRegressor

from course import exercise
from course.data import load_trips, months, prepare_trips
from course.exercise import TODO
from walkforward.drift import classifier_drift, drift_history, drift_report, plot_history
from walkforward.plots import PALETTE, use_style

use_style()

# %%
if trips_path is None:
    trips = load_trips(months(first_month, last_month))
trips = prepare_trips(trips)
trips["month"] = trips["pickup_datetime"].dt.strftime("%Y-%m")
trips = trips[trips["month"].between(first_month, last_month)]  # a broken clock puts some into other years
trips["hour"], trips["weekday"] = trips["pickup_datetime"].dt.hour, trips["pickup_datetime"].dt.dayofweek
ZONES = ["pickup_location_id", "dropoff_location_id"]
FEATURES = ["trip_distance", *ZONES, "hour", "weekday"]
trips[FEATURES] = trips[FEATURES].astype(float)

# %% name="trips"
train = trips[trips["month"] < live_from]
model = XGBRegressor(max_depth=8, learning_rate=0.15, n_estimators=100, n_jobs=1)
model.fit(train[FEATURES], train["duration"])
naive = float(train["duration"].mean())  # the least that anybody could answer

trips["yhat"] = model.predict(trips[FEATURES]).astype(float)
train, live = trips[trips["month"] < live_from], trips[trips["month"] >= live_from]
by_month = dict(iter(live.groupby("month")))
print(f"trained on {len(train):,} trips; {len(live):,} live ones; the naive answer is {naive:.2f} minutes")


# %% [markdown]
# ## An alarm in a quiet month
#
# Your team wants a drift alarm. You take the recipe that every search finds: a Kolmogorov–Smirnov test for each column, this month against the last, alarm when p < `0.05`.
# Two months of 2019 in which nothing happened are the first trial.


# %% name="textbook"
def rmse(truth: pd.Series, answers: pd.Series | float) -> float:
    """Root mean squared error in minutes."""
    return float(np.sqrt(np.mean((truth - answers) ** 2)))


COLUMNS = [*FEATURES, "passenger_count", "fare_amount", "yhat"]


def ks_p_values(old: pd.DataFrame, new: pd.DataFrame) -> pd.Series:
    return pd.Series({name: stats.ks_2samp(old[name], new[name], method="asymp").pvalue for name in COLUMNS})


quiet_months = (quiet_month, next_month)
first, second = (by_month[month] for month in quiet_months)
p_values = ks_p_values(first, second)
print("alarm:", p_values[p_values < 0.05].round(3).to_dict())
for month, rows in zip(quiet_months, (first, second), strict=True):
    errors = rmse(rows["duration"], rows["yhat"]), rmse(rows["duration"], naive)
    print(f"{month}: {len(rows):,} trips, RMSE {errors[0]:.2f} minutes, naive {errors[1]:.2f}")

# %% [markdown]
# Two alarms, and the model is as good as ever. Bad luck? Ask all neighbouring months of the year.

# %% name="year"
year = [by_month[month] for month in months(live_from, calm_until)]
alarms = pd.DataFrame([ks_p_values(*pair) < 0.05 for pair in zip(year, year[1:], strict=False)])
print("pairs of neighbouring months:", len(alarms))
print("with an alarm:", alarms.any(axis=1).sum())
print("with an alarm besides weekday:", alarms.drop(columns="weekday").any(axis=1).sum())

# %% [markdown]
# This alarm rings in 11<!-- =year: an alarm: (\d+) --> of 11 quiet months. Three mistakes are in it, and this lesson repairs each of them:
#
# - `weekday` moves because June has five weekends and May four. That is the calendar, known in advance. Leave such columns out.
# - Eight columns are eight chances for a false alarm.
# - With ten thousand rows a difference can be sure and still be too small to matter.
#
# Before the repairs, one question: what can move at all?
#
# ## Three things can move
#
# A model learns from pairs of inputs $X$ and outcome $Y$. Their joint distribution can be taken apart in two ways:
#
# $$P(X, Y) = P(Y \mid X)\,P(X) = P(X \mid Y)\,P(Y)$$
#
# | shift | moves | stays | on the trips |
# |---|---|---|---|
# | **covariate** | $P(X)$ | $P(Y \mid X)$ | more airport rides; each takes what it always took |
# | **label** (prior) | $P(Y)$ | $P(X \mid Y)$ | more of the long rides reach you, for whatever reason |
# | **concept** | $P(Y \mid X)$ | $P(X)$ | empty streets: the same ride takes less time |
#
# What was April 2020? Look at the durations at equal distance, and at the distances.

# %% name="street"
before, shock = by_month[before_month], by_month[shock_month]
BEFORE, SHOCK = (pd.Period(month).strftime("%B %Y") for month in (before_month, shock_month))
EDGES = np.arange(0, 12.5, 0.5)
fig, axes = plt.subplots(2, 1, figsize=(6.4, 4), sharex=True, height_ratios=[3, 2])
for month in (before_month, shock_month):
    rows = by_month[month]
    bins = pd.cut(rows["trip_distance"], EDGES)
    axes[0].plot(EDGES[1:] - 0.25, rows.groupby(bins, observed=False)["duration"].mean(), label=month)
    axes[1].plot(EDGES[1:] - 0.25, bins.value_counts(sort=False, normalize=True))
axes[0].set_title("The distances hardly moved, the time they take did")
axes[0].set(ylabel="mean duration (min)")
axes[1].set(xlabel="distance (miles)", ylabel="share of trips")
axes[0].legend()
plt.show()

# %% [markdown]
# *Figure: above, mean duration by distance: April 2020 lies far below April 2019 at every distance. Below, the distances of both months: nearly the same curve.*
#
# Now in numbers. For $P(Y \mid X)$ you compare trips of equal distance, for $P(X \mid Y)$ trips of equal duration.


# %% name="kinds"
def gap_at_same(given: str, of: str, old: pd.DataFrame, new: pd.DataFrame) -> float:
    """Mean of `of`, new minus old, among trips of the same `given`, weighted as in new."""
    edges = np.unique(old[given].quantile(np.linspace(0, 1, 41)))
    means = [rows.groupby(pd.cut(rows[given], edges), observed=True)[of].mean() for rows in (old, new)]
    share = pd.cut(new[given], edges).value_counts(normalize=True)
    return float(((means[1] - means[0]) * share).sum())


def parts_of(old: pd.DataFrame, new: pd.DataFrame) -> dict[str, float]:
    distance, duration = "trip_distance", "duration"
    return {
        "P(X): KS": stats.ks_2samp(old[distance], new[distance]).statistic,
        "P(Y): KS": stats.ks_2samp(old[duration], new[duration]).statistic,
        "P(Y|X): min": gap_at_same(distance, duration, old, new),
        "P(X|Y): miles": gap_at_same(duration, distance, old, new),
        "bias (min)": (new["yhat"] - new["duration"]).mean(),
        "RMSE (min)": rmse(new["duration"], new["yhat"]),
    }


# %% [markdown]
# Make one of each pure shift out of the real trips of April 2019. KS, between 0 and 1, says how far two distributions are apart; you meet it below. *Bias* is what the model answers too much, on average.


# %% name="parts"
def drawn(weights: pd.Series) -> pd.DataFrame:
    return before.sample(len(before), replace=True, weights=weights, random_state=0)


worlds = {
    "the same trips, drawn again": drawn(pd.Series(1.0, before.index)),
    "covariate: four times the trips over 5 miles": drawn(1 + 3.0 * (before["trip_distance"] > 5)),
    "label: four times the trips over 25 minutes": drawn(1 + 3.0 * (before["duration"] > 25)),
    "concept: all 30 % faster": before.assign(duration=0.7 * before["duration"]),
    SHOCK: shock,
}
pd.DataFrame({name: parts_of(before, rows) for name, rows in worlds.items()}).T.round(2)

# %% [markdown]
# Read it row by row.
#
# - **Covariate.** $P(Y)$ moves along, because longer trips take longer, but at equal distance nothing changed and the bias stays. The RMSE rises to 5.16<!-- =parts[covariate: four times the trips over 5 miles, RMSE (min)] -->
#   all the same: long trips are harder. The model is as right as before, on harder questions. Nothing is broken.
# - **Label.** Only $P(X \mid Y)$ stays. By Bayes' rule $P(Y \mid X)$ **must** move: at equal distance the trips take 1.68<!-- =parts[label: four times the trips over 25 minutes, P(Y|X): min] --> minutes more, and the model is biased. The cure is to reweight
#   by outcome.
# - **Concept.** The inputs are untouched: no watcher of features can see it. The bias is 4.35<!-- =parts[concept: all 30 % faster, bias (min)] --> minutes.
# - **April 2020** looks like the concept row. Where people ride moved as well (the zones, below), but the model knows the zones, and with them it still answers 4.87<!-- =parts[April 2020, bias (min)] --> minutes too much.
#
# ### Your turn
#
# A chart shows that the mean duration fell by four minutes. Your manager asks how much of it is *other trips* and how much is *faster streets*.

# %% exercise="split_gap"

# %%
exercise.check(split_gap)

# %% [markdown]
# The same separation works for the **error**. Weight the trips of April 2019 so that their distances are those of April 2020: the error of a pure covariate shift.

# %% name="lived"
distance_bins = [-1, *np.arange(0.25, 10, 0.25), np.inf]
bins = [pd.cut(rows["trip_distance"], distance_bins) for rows in (before, shock)]
share_before, share_shock = (one.value_counts(normalize=True) for one in bins)
weights = bins[0].map(share_shock / share_before).astype(float)
squared = (before["duration"] - before["yhat"]) ** 2
print(f"{BEFORE}: RMSE {rmse(before['duration'], before['yhat']):.2f} minutes")
print(f"  its trips with the distances of {SHOCK}: {np.average(squared, weights=weights) ** 0.5:.2f}")
print(f"{SHOCK}: RMSE {rmse(shock['duration'], shock['yhat']):.2f} minutes")
print(
    f"  naive: {rmse(shock['duration'], naive):.2f}, with {SHOCK.split()[0]}'s own mean: {shock['duration'].std():.2f}"
)

# %% [markdown]
# Other distances explain the step from 4.23<!-- =lived: 2019: RMSE ([\d.]+) --> to 4.39<!-- =lived: its trips .*: ([\d.]+) -->. The rest of the way to 7.62<!-- =lived: 2020: RMSE ([\d.]+) --> is
# concept shift. And look at the baselines: the model still beats the old mean, but **April's own mean**, one number that costs a query, is as good as the model. (Weighting on all inputs takes a classifier's odds; lesson 12 does that.)
#
# ## Same mean, same quartiles
#
# How do you see that a distribution moved? The first idea is a dashboard of summary statistics. Here is a second set of real trips from 2019, a **twin**. A linear
# program chooses how often each trip is taken: mean, spread and quartiles stay, and as many trips as possible lie on the crests of a wave of seven minutes.

# %% name="twin"
minutes = np.sort(live.loc[live["month"] <= calm_until, "duration"])
edges = np.linspace(1, 60, 237)  # bins of a quarter of a minute
bin_of = np.clip(np.searchsorted(edges, minutes, "right") - 1, 0, len(edges) - 2)
centre, share = (edges[:-1] + edges[1:]) / 2, np.bincount(bin_of, minlength=len(edges) - 1) / len(minutes)
quartiles = np.searchsorted(edges, np.quantile(minutes, [0.25, 0.5, 0.75]), "right") - 1  # their bins
limits = np.column_stack([0.1 * share, 4 * share])
limits[quartiles] = share[quartiles, None]
below = centre[:, None] <= centre[quartiles]
kept = np.array([np.ones_like(centre), *below.T, centre, centre**2], float)
wave = np.cos(2 * np.pi * centre / 7)
solved = linprog(-wave, A_eq=kept, b_eq=kept @ share, bounds=limits)

# %% name="same"
SIZE = 20_000


def drawn_by(weights: np.ndarray) -> pd.Series:
    """Real durations in proportion to their weights, without the noise of chance."""
    upto = np.cumsum(weights) / weights.sum()
    return pd.Series(minutes[np.searchsorted(upto, (np.arange(SIZE) + 0.5) / SIZE)])


weight = np.divide(solved.x, share, out=np.zeros_like(share), where=share > 0)
plain, twin = drawn_by(np.ones(len(minutes))), drawn_by(weight[bin_of])
YEAR, NEXT = before_month[:4], shock_month[:4]
pd.DataFrame({YEAR: plain.describe(), "its twin": twin.describe()}).T[
    ["mean", "std", "25%", "50%", "75%"]
].round(1)

# %% [markdown]
# A dashboard of these numbers stays green. Now draw the **density**, the share of trips per minute.

# %% name="density"
fig, axes = plt.subplots(1, 2, figsize=(6.4, 2.6), sharey=True)
grid = np.linspace(1, 60, 300)
for ax, values, title in zip(
    axes, (plain, twin), (f"Durations of {YEAR} …", "… and their twin"), strict=True
):
    ax.hist(values, bins=np.arange(1, 61), density=True, color=PALETTE["sky"])
    for bandwidth, color in ((0.08, "blue"), (0.5, "red")):
        curve = stats.gaussian_kde(values, bandwidth)(grid)
        ax.plot(grid, curve, color=PALETTE[color], label=f"bandwidth {bandwidth}")
    ax.set(xlabel="duration (minutes)", title=title)
axes[0].set_ylabel("density (per minute)")
axes[1].legend()
plt.show()

# %% [markdown]
# *Figure: histograms of two sets of durations with equal mean, spread and quartiles. The left one falls smoothly, the right one has combs seven minutes apart. A density with a narrow bandwidth shows the combs, one with a wide bandwidth hides them.*
#
# Summary statistics say that something moved, and where; they don't see shape. A density sees shape, as finely as its bandwidth allows: the wide curve hides the combs. What you want is one number for *how different*.
#
# ## Seven measures, by hand
#
# Durations again, April 2019 against April 2020. The first two measures need no bins. With the share of rows up to $x$, old $F(x)$ and new $G(x)$:
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
# The Wasserstein distance has the unit of the column: on average a trip has to be moved by 4.11<!-- =ecdf: Wasserstein ([\d.]+) --> minutes. (The report divides it by the old standard deviation, to compare columns.)
# The next four compare shares of rows in bins, old $p_i$ and new $q_i$, here between the deciles of the old month:
#
# $$\text{TV} = \tfrac12 \sum |p_i - q_i| \qquad \text{KL}(q \,\|\, p) = \sum q_i \ln\frac{q_i}{p_i} \qquad \text{PSI} = \sum (q_i - p_i) \ln\frac{q_i}{p_i}$$
#
# and, with $m$ the mean of $p$ and $q$, the Jensen–Shannon distance $\sqrt{\tfrac12 \text{KL}(p \,\|\, m) + \tfrac12 \text{KL}(q \,\|\, m)}$ with base 2 in place of e.


# %% name="bins"
def kl(q: np.ndarray, p: np.ndarray) -> float:
    """Kullback-Leibler divergence of q from p, in nats; an empty bin of q adds nothing."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.where(q > 0, q * np.log(q / p), 0).sum())


def js(q: np.ndarray, p: np.ndarray) -> float:
    """Jensen-Shannon distance, base 2."""
    return float(np.sqrt((kl(p, (p + q) / 2) + kl(q, (p + q) / 2)) / 2 / np.log(2)))


deciles = np.quantile(old, np.arange(0.1, 1, 0.1))
p, q = (np.bincount(np.searchsorted(deciles, values)) / len(values) for values in (old, new))
hand |= {"tv": np.abs(p - q).sum() / 2, "kl": kl(q, p), "js": js(q, p)}
hand["psi"] = ((q - p) * np.log(q / p)).sum()
reported = {"drift_report": drift_report(before, shock, ["duration"])}
mixed = [one.sample(frac=1, random_state=0).to_frame() for one in (plain, twin)]  # they are sorted
reported[f"{YEAR} and its twin"] = drift_report(*mixed)
pd.DataFrame({"by hand": hand} | {name: one.loc[0, list(hand)] for name, one in reported.items()}).astype(
    float
).round(4)

# %% [markdown]
# Six measures in ten lines; PSI is no new idea, it is $\text{KL}(q\|p) + \text{KL}(p\|q)$. All of them see the twin, and they disagree: for PSI it is three times as far away as April 2020, for Wasserstein a third as far, because its trips moved by few minutes only.
#
# The seventh is for categories: **chi-squared** compares the counts with those that you would expect if both months were alike.


# %% name="chi2"
def chi_squared(table: np.ndarray) -> float:
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    return ((table - expected) ** 2 / expected).sum()


several = [name for name in ("payment_type", "vendor_id", "hour") if trips[name].nunique() > 1]
paid = pd.DataFrame({"before": before[several[0]], "shock": shock[several[0]]})
observed = paid.apply(pd.Series.value_counts).fillna(0).to_numpy(float)
share = observed / observed.sum(axis=0)
print(f"chi-squared {chi_squared(observed):.1f}, SciPy {stats.chi2_contingency(observed).statistic:.1f}")
print(f"a tenth of the rows: chi-squared {chi_squared(observed / 10):.1f}")
print(f"TV with all rows, and with a tenth of them: {np.abs(share[:, 0] - share[:, 1]).sum() / 2:.3f}")

# %% [markdown]
# A tenth of the rows, a tenth of chi-squared: it says how **sure** a difference is. TV says how **large** it is: 11<!-- =chi2: them: 0\.(11) --> % of the riders pay in another way. Most of this lesson is about keeping the two apart.
#
# Two properties of KL come up in interviews.

# %% name="infinite"
hours = [
    rows["hour"].value_counts(normalize=True).reindex(range(24), fill_value=0).to_numpy()
    for rows in (before, shock)
]
print(
    f"pickup hour: KL({NEXT} from {YEAR}) {kl(hours[1], hours[0]):.3f}, KL({YEAR} from {NEXT}) {kl(*hours):.3f}"
)

zones = pd.DataFrame({"p": before["pickup_location_id"], "q": shock["pickup_location_id"]})
zones = zones.apply(pd.Series.value_counts).fillna(0)
p, q = (zones / zones.sum()).to_numpy().T
print(f"pickup zone: {(p == 0).sum()} zones are new; KL {kl(q, p)}, JS {js(q, p):.2f}")

# %% [markdown]
# KL depends on the direction, and one zone that the old month lacks makes it **infinite**. JS stays between 0 and 1. PSI inherits the infinity, so every tool fills empty bins with something, and each with something else.
# PSI also depends on the bins. Two months, three usual ways to cut:


# %% name="psi_bins"
def psi_between(cuts: np.ndarray, old: pd.Series, new: pd.Series) -> float:
    counts = [np.histogram(values, [-np.inf, *cuts, np.inf])[0].clip(0.5) for values in (old, new)]
    p, q = (one / one.sum() for one in counts)
    return ((q - p) * np.log(q / p)).sum()


found = {}
for month, earlier in year_apart.items():
    old, new = (by_month[one]["trip_distance"] for one in (earlier, month))
    ends = min(old.min(), new.min()), max(old.max(), new.max())
    found[f"distance, {month}"] = {
        "10 of equal width": psi_between(np.linspace(*ends, 11)[1:-1], old, new),
        "10 of equal count": psi_between(np.unique(old.quantile(np.arange(1, 10) / 10)), old, new),
        "50 of equal count": psi_between(np.unique(old.quantile(np.arange(1, 50) / 50)), old, new),
        "longest trip (miles)": ends[1],
    }
pd.DataFrame(found).T.round(3)

# %% [markdown]
# By the bank's rule of thumb, May 2020 is "stable" (PSI below `0.1`) with ten bins and "moderate" with fifty. November is 0.000<!-- =psi_bins[distance, 2020-11, 10 of equal width] --> with equal widths: one taximeter recorded a
# trip of 46,826<!-- ~psi_bins[distance, 2020-11, longest trip (miles)] --> miles, and all the others share one bin. A PSI without its bins is not a number.
#
# | measure | unit and range | sees | blind to, or weak |
# |---|---|---|---|
# | mean, sd, quantiles | of the column | that it moved, and where to | shape between the quantiles |
# | density | per unit | shape | what its bandwidth smooths away |
# | KS | share of rows, 0–1 | the largest gap, best in the middle | tails; how **far** rows moved |
# | Wasserstein | of the column, 0–∞ | how far rows moved | one outlier can dominate |
# | chi-squared | none, grows with n | categories, as evidence | size; which categories are near each other |
# | TV | share of rows, 0–1 | how many rows changed bin | how far away that bin is |
# | KL | nats, 0–∞ | rare and new categories, strongly | infinite; depends on the direction |
# | JS | none, 0–1 | as KL, finite and symmetric | many bins with few rows inflate it |
# | PSI | nats, 0–∞ | as KL, symmetric | bins and n decide; no notion of chance |
#
# ### Your turn
#
# Banks will ask you for PSI. Write one that survives outliers, empty bins and columns with many equal values.

# %% exercise="psi"

# %%
exercise.check(psi)

# %% [markdown]
# ## The number of rows decides
#
# The web says *p < 0.05<!-- given --> means drift*, the bank says *PSI > 0.2<!-- given --> means drift*. Try both on the harmless change from the beginning, pickup hours of May and June 2019, with
# samples from 50 to 100,000<!-- given --> rows.

# %% name="sizes"
SIZES = [50, 100, 200, 500, 1_000, 5_000, 20_000, 100_000]
pickups = [rows["hour"].to_numpy() for rows in (first, second)]
rng = np.random.default_rng(0)


def verdicts(n: int) -> dict[str, bool]:
    """What the rules say about n rows of each month, drawn with replacement."""
    row = drift_report(*[pd.DataFrame({"hour": rng.choice(values, n)}) for values in pickups]).iloc[0]
    by_psi = {f"PSI > {limit}": row["psi"] > limit for limit in (0.1, 0.2)}
    return {"p < 0.05": row["p_value"] < 0.05} | by_psi | {"p < 0.05 and KS ≥ 0.06": row["drift"]}


repeats = {n: simulations if n < 10_000 else simulations // 5 for n in SIZES}
rates = {n: pd.DataFrame([verdicts(n) for _ in range(times)]).mean() for n, times in repeats.items()}
rates = pd.DataFrame(rates).T
rates.round(2)

# %% name="rates"
ax = rates.plot(logx=True, marker="o", markersize=4)
ax.set(xlabel="rows on each side", ylabel="share of comparisons with an alarm")
ax.set_title("PSI alarms when rows are few, p-values when they are many")
plt.show()

# %% [markdown]
# *Figure: alarm rate against sample size. Both PSI rules alarm nearly always at 50 rows and never at a thousand; the p-value rises from a few percent to one; the rule that asks for a small p and a large KS stays low and ends at zero.*
#
# Both are bound to do that. A p-value answers *could this be chance?* No two months are drawn from the same urn, so with rows enough the answer is always no. Your question is another one: *is it large?* And
# without any drift the PSI of $B$ bins, with $n$ and $m$ rows, is on average about
#
# $$(B - 1)\left(\tfrac1n + \tfrac1m\right)$$
#
# With ten bins and 50 rows that is `0.36`, out of nothing. The rule that asks for both, evidence and size, never passes 0.10<!-- =sizes[1000, p < 0.05 and KS ≥ 0.06] -->.
#
# ## Ten columns, ten chances
#
# Split one month at random into two samples of 500<!-- given --> rows. Nothing has drifted, by construction. How often does at least one of ten columns alarm?

# %% name="family"
CODES = ["vendor_id", "payment_type", *ZONES]
TEN = ["trip_distance", "fare_amount", "passenger_count", "hour", "duration", "yhat", *CODES]
quiet, alarms = by_month[autumn[1]], []
half = min(500, len(quiet) // 2)
for seed in range(simulations):
    rows = quiet.sample(2 * half, random_state=seed)
    report = drift_report(rows[:half], rows[half:], TEN, categorical=CODES, correction="none")
    p_values = report["p_value"].dropna()
    by_p = {"p < 0.05": p_values.min() < 0.05, "p < 0.05 / 10": p_values.min() < 0.05 / len(p_values)}
    alarms.append(by_p | {"PSI > 0.1": report["psi"].max() > 0.1, "PSI > 0.2": report["psi"].max() > 0.2})
print(f"ten independent columns: 1 - 0.95¹⁰ = {1 - 0.95**10:.2f}")
pd.DataFrame(alarms).mean().to_frame("share of splits with a false alarm").round(2)

# %% [markdown]
# The **family-wise error rate** of $k$ tests is up to $1 - (1 - \alpha)^k$. *Bonferroni* tests each at $\alpha / k$. *Holm* sorts the p-values, multiplies the smallest by $k$, the next by
# $k - 1$ and so on, and lets none fall below the one before. It keeps the same promise and finds at least as much, so there is no reason for Bonferroni. PSI promises nothing: with the many zones it alarms in every single split.
#
# ### Your turn

# %% exercise="holm"

# %%
exercise.check(holm)

# %% [markdown]
# ## Sure, and large enough
#
# A verdict needs both: **significant** after correction, and an **effect** that matters. `drift_report` asks for both. Here are the quiet months of the beginning, and April:

# %% name="verdict"
WATCHED = ["trip_distance", *ZONES, "hour", "passenger_count", "yhat"]
SHOWN = ["column", "p_corrected", "effect", "threshold", "verdict"]
QUIET = pd.Period(next_month).strftime("%B %Y")
for name, (old, new) in {QUIET: (first, second), SHOCK: (before, shock)}.items():
    report = drift_report(old, new, WATCHED, categorical=ZONES)
    print(f"{name}\n{report[SHOWN].round(3).to_string(index=False)}\n")

# %% [markdown]
# In June the hours did move, surely, by two rows in a hundred: *significant but small*, and no alarm. In April 2020 the picture is another one. For `passenger_count` the effect of 0.082<!-- =verdict: passenger_count +[\d.]+ +([\d.]+) +0\.02 --> is the share of
# missing values, a hypothesis of its own; most tests drop them in silence.
#
# The thresholds are conventions of this course. Set yours by harm: degrade a feature on purpose and see at which effect the error begins to move.
#
# ## A test that looks at the tails
#
# KS looks at the one place where the curves are furthest apart, usually the middle. **Anderson–Darling** adds up the squared gap everywhere and weights the tails,
# $\int (F - G)^2 / \big(H(1 - H)\big)\,dH$ with $H$ the pooled share. Three small changes of the distances, 500<!-- given --> rows each:

# %% name="power"
distance, rng, hits = quiet["trip_distance"].to_numpy(), np.random.default_rng(1), {}
middle, odds = np.median(distance), 1.0 + (distance > 8)
changes = {
    "no drift": lambda: rng.choice(distance, 500),
    "all 15 % longer": lambda: 1.15 * rng.choice(distance, 500),
    "twice as many over 8 miles": lambda: rng.choice(distance, 500, p=odds / odds.sum()),
    "same median, wider": lambda: middle * (rng.choice(distance, 500) / middle) ** 1.2,
}
for name, change in changes.items():
    found = []
    for _ in range(simulations):
        old, new = rng.choice(distance, 500), change()
        sides = pd.DataFrame({"x": old}), pd.DataFrame({"x": new})
        p_anderson = drift_report(*sides, thresholds={"tail": 1}).loc[0, "p_value"]  # no tests of a tail
        p_ks = stats.ks_2samp(old, new, method="asymp").pvalue
        found.append({"KS": p_ks < 0.05, "Anderson-Darling": p_anderson < 0.05})
    hits[name] = pd.DataFrame(found).mean()
pd.DataFrame(hits).T.round(2)

# %% [markdown]
# The same rate of false alarms, and more hits, nearly twice as many when only the spread changes. `drift_report` tests with Anderson–Darling and reports KS as the effect, because you can explain a share of rows to anybody.
# Where that finds nothing, it still tests the outer 2.5<!-- given --> % on each side, and each single category, new ones too.
#
# ## No column moves
#
# A join goes wrong: each trip gets the dropoff zone of some other trip, or its hour. Every column holds the same values as before, only the **pairs** are broken. So that nothing else moves, reference and
# current are random halves of the same two months.

# %% name="pairs"
two = pd.concat([by_month[month] for month in autumn]).sample(frac=1, random_state=0)
half, other = two[: len(two) // 2], two[len(two) // 2 :]
rng, INPUTS, rows = np.random.default_rng(0), FEATURES[:4], {}
joins = {"as it was": other}
for name in ("dropoff_location_id", "hour"):
    joins[f"{name} of another trip"] = other.assign(**{name: rng.permutation(other[name])})
for name, sample in joins.items():
    sample = sample.assign(yhat=model.predict(sample[FEATURES]).astype(float))
    alone = drift_report(half, sample, [*INPUTS, "yhat"], categorical=ZONES).set_index("column")
    told = classifier_drift(half, sample, INPUTS, categorical=ZONES)
    rows[name] = {
        "inputs, smallest p": alone.loc[INPUTS, "p_corrected"].min(),
        "answers, effect": alone.loc["yhat", "effect"],
        "classifier, AUC": told.auc,
        "classifier, p": told.p_value,
        "RMSE": rmse(sample["duration"], sample["yhat"]),
    }
pd.DataFrame(rows).T.round(3)

# %% [markdown]
# No input moves, the answers stay below the threshold, and the error rises. The **classifier test** asks all columns at once: label the reference 0 and the current rows 1, train a model to tell them apart, and take its AUC on rows that it has not seen. Without drift it is
# near 0.5<!-- given -->; how much more is too much is decided by shuffling the labels. It finds the zones.
#
# It is not sure about the hours, and they do most harm: 6.19<!-- =pairs[hour of another trip, RMSE] --> minutes. Hour and place depend on each other only weakly, so the broken pair leaves little trace in $P(X)$. What broke is their relation to $Y$. **A change of $P(Y \mid X)$ alone is invisible
# without labels**, to every detector there is.
#
# ## Rows that know each other
#
# All these tests take rows as **independent**. The trips of a month nearly are. Days are not: today is like yesterday, and every week has a weekend. Here are made-up days in which nothing drifts, a year
# against the next three months.

# %% name="days"
WEEK = np.array([0.2, 0.3, 0.3, 0.3, 0.4, -0.7, -0.8])  # Monday to Sunday


def days(rng: np.random.Generator, rows: int = 455) -> pd.DataFrame:
    """Three columns that keep 70 % of yesterday, with a weekly season."""
    values = rng.normal(size=(rows, 3))
    for day in range(1, rows):
        values[day] = 0.7 * values[day - 1] + (1 - 0.7**2) ** 0.5 * values[day]
    found = pd.DataFrame(values + np.resize(WEEK, rows)[:, None], columns=["rides", "tips", "delays"])
    return found.assign(day=pd.date_range("2023-01-02", periods=rows))


alarms = []
with warnings.catch_warnings(record=True) as said:
    for seed in range(simulations // 4):
        rows = days(np.random.default_rng(seed))
        old, new = rows[:365], rows[365:]
        alone = drift_report(old, new, ["rides", "tips", "delays"])
        in_time = drift_report(old, new, time="day")
        found = {"as if independent": alone["drift"].any(), 'time="day"': in_time["drift"].any()}
        alarms.append(found)
print(str(said[0].message).partition(";")[0])
pd.DataFrame(alarms).mean().to_frame("share of comparisons with a false alarm").round(2)

# %% [markdown]
# More than half of the comparisons alarm, over nothing: ninety such days hold as much news as sixteen independent ones. The report warns when neighbouring rows are alike. With `time=`, or `block=` for a number of rows, it takes whole
# weeks and asks how much *their sums* vary. The price is power, and it is an honest one: the sixteen days were all that you had. (Rows that are only sorted lose nothing when you shuffle them.)
#
# What no report of columns sees, whatever its settings: pairs that no longer fit, a changed $P(Y \mid X)$, a change inside the outer 2.5<!-- given --> % of the values, and any effect under its threshold.
#
# ## Detectors on trial
#
# You have five rules now. Score them as you would score a model: false alarms on quiet weeks, delay on the real event. All compare each week with 2018, on the same six columns.

# %% name="weeks"
reference = train.sample(min(20_000, len(train)), random_state=0)
monday = live["pickup_datetime"].dt.to_period("W").dt.start_time.rename("week")
whole = monday.between(pd.Period(live_from).start_time, pd.Period(shock_month).end_time)
mixed = live[whole].sample(frac=1, random_state=0)  # some months are sorted by passengers
weeks = {week: rows for week, rows in mixed.groupby(monday) if len(rows) >= 30}
weekly = drift_history(reference, weeks, columns=WATCHED, categorical=ZONES)
by_week = weekly.groupby("period")
rules = pd.DataFrame(
    {
        "any p < 0.05": by_week["p_value"].min() < 0.05,
        "Holm, p < 0.05": by_week["p_corrected"].min() < 0.05,
        "PSI > 0.1": by_week["psi"].max() > 0.1,
        "PSI > 0.2": by_week["psi"].max() > 0.2,
        "p and effect (drift_report)": by_week["drift"].any(),
    }
)

# %% name="trial"
faulty = rules.index.to_series().between(*faulty_weeks) if faulty_weeks else rules.index < rules.index[0]
quiet_end = pd.Period(calm_until).end_time
calm, later = rules[(rules.index <= quiet_end) & ~faulty], rules[rules.index > quiet_end]
ours = weekly[weekly["drift"] & ~weekly["period"].isin(rules.index[faulty])]
print(f"{len(calm)} quiet weeks; the first two alarms of drift_report besides February:")
print(*[f"  {row.period:%d %b %Y}: {row.column}" for row in ours.head(2).itertuples()], sep="\n")
first_alarm = [min(later.index[later[rule]], default=None) for rule in later]
table = {
    "quiet weeks with an alarm": calm.sum(),
    "of 5 with February's fault": rules[faulty].sum(),
    f"first alarm of {NEXT} in the week of": [f"{week:%d %b}" if week else "none" for week in first_alarm],
}
if not faulty_weeks:
    del table["of 5 with February's fault"]
pd.DataFrame(table)

# %% [markdown]
# An alarm that rings every week has no delay, and no worth. The last three rules can be lived with; PSI does well because a week has two thousand rows, and you saw what it does with 500<!-- given -->. The rule with both conditions is the first to see 2020, in the week of
# 9 March, one week before the error jumps (lesson 11a). Its one alarm in a quiet week is Christmas. Is that false? The hours did move; nothing has to be done.
#
# Every rule sees an incident in February 2019; the map below shows what it was. First: how few rows of April 2020 are enough?

# %% name="rows"
small = reference[:5_000]


def share_seen(rows: pd.DataFrame, n: int) -> float:
    """In which share of draws of n rows the report says drift, in any column."""
    draws = [rows.sample(n, random_state=seed) for seed in range(simulations // 4)]
    return np.mean([drift_report(small, one, INPUTS, categorical=ZONES)["drift"].any() for one in draws])


AUTUMN = pd.Period(autumn[1]).strftime("%B %Y")
seen = {n: {SHOCK: share_seen(shock, n), AUTUMN: share_seen(quiet, n)} for n in (25, 50, 100, 200)}
pd.DataFrame(seen).T.rename_axis("rows").round(2)

# %% [markdown]
# Two hundred, less than a day of the sample. The other column is the price: false alarms stay rare at every size.

# %% name="history"
OTHERS = ["passenger_count", "vendor_id", "payment_type", "fare_amount"]
columns = [*INPUTS, *OTHERS, "yhat", "duration"]
mixed = {month: rows.sample(frac=1, random_state=0) for month, rows in by_month.items()}
history = drift_history(reference, mixed, columns=columns, categorical=CODES)
plot_history(history)
plt.show()

# %% [markdown]
# *Figure: heat map of the drift effect, ten columns by 24 months, dots for drift. One dot on passenger_count in February 2019, dots on vendor_id from December 2019, and from April 2020 on dots in nearly every column, strongest in the zones.*

# %% name="examples"
drift = history.pivot(index="period", columns="column", values="drift").astype(bool)
errors = {month: rmse(rows["duration"], rows["yhat"]) for month, rows in by_month.items()}
naive_errors = {month: rmse(rows["duration"], naive) for month, rows in by_month.items()}
lived = pd.DataFrame(
    {
        "features drift": drift[INPUTS].any(axis=1),
        "other columns drift": drift[OTHERS].any(axis=1),
        "answers drift": drift["yhat"],
        "RMSE": errors,
        "naive": naive_errors,
    }
)
zero = {month: f"{by_month[month]['passenger_count'].eq(0).mean():.1%}" for month in list(by_month)[:3]}
print("trips with 0 passengers:", zero)
after = min(str(pd.Period(shock_month) + 1), last_month)
shown = [*list(by_month)[:2], next_month, calm_until, shock_month, after]
lived.loc[list(dict.fromkeys(shown))].round(2)

# %% [markdown]
# In January 2019 no trip had 0 passengers, in February 15.8<!-- =examples: 2019-02': '([\d.]+)% -->% had, in March 2.0<!-- =examples: 2019-03': '([\d.]+)% -->%. The model does not use the column: real drift, no harm. (The congestion surcharge of that month is not here: it is recorded beside `fare_amount`, not in it.)
#
# ## Act, look, or do nothing
#
# | inputs drift | answers drift | performance | on the trips | do |
# |---|---|---|---|---|
# | no | no | good | June 2019: hours significant, but small | nothing |
# | yes | no | good | February 2019: passengers; RMSE 4.04<!-- =examples[2019-02, RMSE] --> | nothing with the model; a ticket for the owner of the column |
# | yes | yes | good | four times the long trips: bias 0.15<!-- =parts[covariate: four times the trips over 5 miles, bias (min)] -->, as before | nothing; judge the error by slice, refresh the reference |
# | no | yes | good | none in the trips: a new model version | look: who changed what? |
# | no | no | bad | hours of other trips; in part December 2019, where 4.15<!-- =examples[2019-01, RMSE] --> has crept to 5.03<!-- =examples[2019-12, RMSE] --> | act: check the joins, then retrain |
# | yes | no | bad | April 2020: 7.62<!-- =examples[2020-04, RMSE] --> | act: a simple fallback now, retrain when labels allow |
# | yes | yes | bad | May 2020: 7.37<!-- =examples[2020-05, RMSE] --> | act, the same |
# | any drift | | not known yet | April 2020 before its labels | look today: schema, slices, ask for labels |
# | no | no | not known yet | most weeks | nothing |
#
# Drift is a reason to look. Performance is a reason to act. When drift is the only evidence, the action is to get the other one.
#
# ### Your turn

# %% exercise="decide"

# %%
exercise.check(decide)

# %% [markdown]
# ## Take-aways
#
# - Covariate shift moves $P(X)$, label shift $P(Y)$, concept shift $P(Y \mid X)$. Match or reweight on $X$ to tell them apart; April 2020 was concept shift.
# - A p-value says how sure, an effect says how large. Alarm only on both, after Holm's correction over the columns.
# - "PSI > 0.2<!-- given --> means drift" is a stale answer: PSI depends on the bins, the number of rows and what fills the empty bins, and it knows nothing of chance.
# - Without any moved column the columns may no longer fit each other: a classifier test can see that. Nothing sees concept shift without labels.
# - Score a detector before you trust it: false alarms on quiet weeks, delay on a known event. Then decide by performance: drift alone is a reason to look.
#
# ## In an interview
#
# - *Which kinds of drift are there, and how would you tell them apart on data?* Shown in [Three things can move](#Three-things-can-move).
# - *Your drift report says p = 0 for a million rows, or PSI is 0.25<!-- given -->. What do you do?* Shown in [The number of rows decides](#The-number-of-rows-decides)
#   and [Sure, and large enough](#Sure,-and-large-enough).
# - *How do you know that your drift detector is any good?* Shown in [Detectors on trial](#Detectors-on-trial).
#
# With the points of a good answer, and more of them: `walkforward practice --lesson 11b` in a terminal.
#
# ## Up next
#
# You know when to act. 12 · When to retrain says how: which window, which trigger, which gate, and what each policy would have cost in 2020.
