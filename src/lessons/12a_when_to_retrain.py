# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
#   walkforward:
#     ci:
#       keep_every: 6
#       draws: 200
# ---

# %% [markdown]
# # 12a · When to retrain: policies replayed
#
# After this lesson you can replay a retraining policy over past months, put a price on it, and say when to leave a model alone.

# %% [markdown]
# > **You will learn to** train on the labels that are there, and no others · choose a window and see what it loses after a break · update an XGBoost model in place · price labels, computing, releases and error in one currency · judge a policy against the best in hindsight
# >
# > **Before you start** [11d · Drift detectors](11d_detectors.ipynb)
# >
# > **Time** 55 minutes of study; it runs in under a minute
# >
# > **Interview questions it answers** When do you retrain? · How much history do you train on? · Do you update a model in place or train a new one?

# %% tags=["parameters"]
keep_every = 2  # of the course's trips, every second one: half of the time
label_days = 14  # a trip's label is there so many days after the pickup
first_live, opened, last_month = "2018-04", "2020-01", "2020-12"  # nothing is chosen once 2020 is opened
city = 10_000  # trips a month that the model answers
minute, release = 0.05, 200  # dollars: a minute of error on one trip; the people who test and release a model
month_of_labels, core_hour = 100, 0.05  # dollars: 10,000 labels; computing, a second of it a training
draws = 1000  # bootstrap draws

# %% name="trips"
import matplotlib.pyplot as plt
import pandas as pd
import xgboost as xgb

from course import exercise
from course.exercise import TODO
from lessons.retraining.months import (
    FEATURES,
    Months,
    hindsight,
    label_months,
    mean_interval,
    misses,
    sampled_trips,
    with_arrival,
)
from walkforward.plots import use_style

trips = with_arrival(sampled_trips("2018-01", last_month, keep_every), label_days)
live_months = list(pd.period_range(pd.Period(first_live), pd.Period(last_month)))
before, after = ([now for now in live_months if (str(now) < opened) is old] for old in (True, False))
print(f"{len(trips):,} trips, {len(before)} live months before {opened}, {len(after)} from then on")

# %% [markdown]
# ## A label that is not there yet
#
# A model predicts the minutes of a taxi trip. A clerk checks each meter, so labels arrive two weeks late. On the first of May 2020, six weeks into the lockdown, the job retrains on the latest month of labels.
#
# **Predict first.** How much would May's error change if labels came at once, and how much if they took six weeks?


# %% name="known"
def known(trips, now, window):
    """The trips whose label arrived in the `window` months before the first of `now`."""
    return trips[trips["arrives"].between(now - window, now - 1)]


def trained(rows, trees=50, onto=None, **more):
    settings = {"max_depth": 6, "learning_rate": 0.2, "nthread": 1} | more
    return xgb.train(settings, xgb.DMatrix(rows[FEATURES], rows["duration"]), trees, xgb_model=onto)


# %% name="delays"
delays = {}
for days, late in ((days, with_arrival(trips, days)) for days in (0, label_days, label_days + 30)):
    for now in after[2:6]:
        missed = misses(trained(known(late, now, 1)), late[late["month"] == now])
        delays[f"after {days} days", now] = missed.mean()
pd.Series(delays).unstack().round(2)

# %% [markdown]
# The table shows the mean absolute error (MAE) in minutes. With labels at once May would be at 2.71<!-- =delays[after 0 days, 2020-05] --> instead of 2.79<!-- =delays[after 14 days, 2020-05] -->, which is little, and April at 4.64<!-- =delays[after 0 days, 2020-04] --> instead of 5.09<!-- =delays[after 14 days, 2020-04] -->. No such model could exist: half of its rows had no label yet. A backtest that cuts by pickup makes this mistake, and here it flatters most in the month of the break.
#
# With 44 days May stays at 4.84<!-- =delays[after 44 days, 2020-05] -->: the job runs on time, on labels from before the lockdown. **An early alarm is no help before its labels are there.** Until then you fall back or buy labels.

# %% [markdown]
# ### Your turn

# %% exercise="known_labels"

# %%
exercise.check(known_labels)

# %% [markdown]
# ## Every window, every month
#
# How much history? Retrain on the first of each month on the labels of the last 1, 3, 12 or 24 months (early on, on what there is), and take the MAE of the month that follows. `Months` trains each model once and keeps its error in all later months. *never* is the model of April 2018, left alone.

# %% name="grid"
world, WINDOWS = Months(trips, known, trained), [1, 3, 12, 24]
world.fit((now, window) for now in live_months for window in WINDOWS)
first_model = world.model(live_months[0], 3)
errors = pd.DataFrame({"never": {now: world.live(first_model, now) for now in live_months}})
for window in WINDOWS:
    errors[window] = [world.live(world.model(now, window), now) for now in live_months]

# %% name="windows"
table = {}
for name, span in (("2018–19", before), ("2020", after)):
    more = errors.loc[span].sub(errors.loc[span, "never"], axis=0)
    table[name], ends = errors.loc[span].mean(), [mean_interval(more[one], draws) for one in more]
    table[f"low {name}"], table[f"high {name}"] = zip(*ends, strict=True)
pd.DataFrame(table).round(3)

# %% name="flip"
use_style()
ax = errors[["never", 1, 12]].set_axis(["never", "1 month", "12 months"], axis=1).plot(figsize=(6.4, 3))
ax.set(
    ylabel="MAE (minutes)", xlabel="", ylim=(2.4, 6), title="In 2019 twelve months are best, in May 2020 one"
)
plt.show()
# %% [markdown]
# *Figure: MAE by month of the model that is never retrained and of monthly retraining on 1 and on 12 months. Through 2018 and 2019 the 12-month model is mostly lowest and the 1-month model highest. In May 2020 the 1-month model is back below 3 minutes, the two others are near 5.*
#
# In the quiet years retraining on one month is **worse than doing nothing**, by 0.098<!-- =windows[1, low 2018–19] --> to 0.209<!-- =windows[1, high 2018–19] --> minutes. (*low* and *high* are the 95<!-- given --> % interval of the difference to *never*; blocks of three months are drawn, because months are dependent.) One month has few trips, and December is no teacher for January. Long windows win, by a tenth of a minute.
#
# In 2020 the order turns round: one month has 3.168<!-- =windows[1, 2020] -->, 24<!-- given --> months have 3.718<!-- =windows[24, 2020] -->. A long window carries the old city along for a year. A window trades noise against staleness.

# %% [markdown]
# ## Update in place?
#
# A retraining starts from nothing. XGBoost can also go on with the old model, on the newest month alone:
#
# - a **warm start** (`xgb_model=old`) adds trees that correct the old ones;
# - a **refresh** (`process_type="update"`, `updater="refresh"`) keeps every split and computes the leaf values anew.


# %% name="in_place"
def updated(step):
    model, found = world.boosters[first_model], {live_months[0]: errors["never"].iloc[0]}
    for now in live_months[1:]:
        model = step(model, known(trips, now, 1))
        found[now] = misses(model, trips[trips["month"] == now]).mean()
    return pd.Series(found), model.num_boosted_rounds()


# %% name="updates"
REFRESH = {"process_type": "update", "updater": "refresh", "refresh_leaf": True}
REFRESH["verbosity"] = 0  # XGBoost warns of every updater that is named
grown, trees = updated(lambda model, rows: trained(rows, 5, model))
fresh, kept = updated(lambda model, rows: trained(rows, model.num_boosted_rounds(), model, **REFRESH))
ways = (
    errors[["never", 1]]
    .set_axis(["never", "retrain"], axis=1)
    .assign(**{"add 5 trees": grown, "refresh": fresh})
)
told = pd.DataFrame({"2018–19": ways.loc[before].mean(), "2020": ways.loc[after].mean()})
told.assign(trees=[50, 50, trees, kept]).round(3)

# %% name="update_intervals"
for name, span in (("2018–19", before), ("2020", after)):
    gap = (ways["refresh"] - ways["retrain"])[span]
    low, high = mean_interval(gap, draws)
    print(f"{name}: refresh minus retrain {gap.mean():+.3f}, 95 % interval {low:+.3f} to {high:+.3f}")

# %% [markdown]
# All three ways take the same labels. In 2020 adding trees gives 3.434<!-- =updates[add 5 trees, 2020] -->: better than *never*, but far behind retraining, 3.168<!-- =updates[retrain, 2020] -->, and the refresh, 3.206<!-- =updates[refresh, 2020] -->. And the model has grown to 210<!-- =updates[add 5 trees, trees] --> trees. The old trees stay, and each month's trees learn that month's noise.
#
# A refresh beats retraining on one month in the quiet years: its splits come from a window of three months. (Its 3.319<!-- =updates[refresh, 2018–19] --> is still above the 3.271<!-- =updates[never, 2018–19] --> of *never*.) In 2020 no difference is shown: −0.028<!-- =update_intervals: 2020: .*interval (\S+) to --> to 0.094<!-- =update_intervals: 2020: .* to \+([\d.]+) -->.
#
# Three traps of a refresh. In XGBoost 3.2<!-- given --> `XGBRegressor.fit` refuses it (*Not implemented for `QuantileDMatrix`*); use `xgb.train`. The two others raise no error:

# %% name="traps"
old, may = world.boosters[first_model], known(trips, pd.Period("2020-06"), 1)
tries = {"as it was": old, "refresh, 50 rounds": trained(may, 50, old, **REFRESH)}
tries["refresh, 10 rounds"] = trained(may, 10, old, **REFRESH)
tries["refresh, trips below 5 miles"] = trained(may[may["trip_distance"] < 5], 50, old, **REFRESH)

# %% name="june"
june = trips[trips["month"] == "2020-06"]
told = {name: [model.num_boosted_rounds(), misses(model, june).mean()] for name, model in tries.items()}
far = june[june["trip_distance"] >= 10]
pd.DataFrame(told, ["trees", "MAE"]).T.assign(
    far=[misses(model, far).mean() for model in tries.values()]
).round(2)

# %% [markdown]
# **Ten rounds** leave a model of 10<!-- =june[refresh, 10 rounds, trees] --> trees: the other forty are dropped. And a leaf that **no new row reaches** gets the value zero: after a refresh on short trips the error of trips from ten miles (*far*) is 18.94<!-- =june[refresh, trips below 5 miles, far] --> minutes. Refresh on data that reach all leaves, and compare the number of trees. And ask what an update saves: computing, and no test and no release.

# %% [markdown]
# ## A policy is a function
#
# On the first of a month a policy sees what is known, and returns a window to retrain on, or 0 to keep the model. A model is known by two things: the month of its training and its window. `seen` is its MAE on the labels that arrived last month. `drift` is 11d's largest sure effect of last month's inputs, in units of its threshold.


# %% name="replay"
def replay(world, policy, months):
    model, diary = world.model(months[0], 3), {}
    for now in months:
        window = policy(model, now) if now > months[0] else 0
        new = world.model(now, window) if window else model
        bought = len(label_months(new) - label_months(model))  # labels of these months are new
        diary[now] = {"error": world.live(new, now), "bought": bought, "released": int(new != model)}
        model = new
    return pd.DataFrame(diary).T


def on_error(world, limit, window):
    return lambda model, now: window * int(world.seen(model, now) > limit)


def cost(error, bought, released, city=city):
    return minute * city * error + month_of_labels * bought + (release + core_hour / 3600) * released


# %% [markdown]
# The prices: 5<!-- given --> cents for each minute of error on a trip, 100<!-- given --> dollars for a month of labels, 200<!-- given --> for the people who test and release a model, and computing. Choose the limit of an alarm on the error, and its window, on 2018 and 2019. Dollars are per month.

# %% name="choose"
found = {}
for limit in (3.0, 3.2, 3.4, 3.6, 3.7, 4.0, 5.0):
    for window in (1, 12):
        diary = replay(world, on_error(world, limit, window), before)
        found[limit, f"dollars, {window}"] = cost(**diary).mean()
        found[limit, f"times, {window}"] = diary["released"].sum()
pd.Series(found).unstack().round(0).astype(int)

# %% [markdown]
# The cheapest limit is any that never rings, 3.7<!-- given --> as well as 5<!-- given -->. Quiet years can't tell an alarm from no alarm. Take the lowest silent one, 3.7<!-- given -->.
#
# Nor can they choose the window: it is never used. So **rehearse**: plant a break in May 2019 and see what each window costs from June to December.

# %% name="rehearse"
limit, rehearsed, old_trips = 3.7, {}, trips[trips["month"] < opened]
broken = old_trips["pickup_datetime"] >= "2019-05-18"
for factor in (0.75, 1.33):
    durations = old_trips["duration"].where(~broken, factor * old_trips["duration"])
    staged = Months(old_trips.assign(duration=durations), known, trained)
    for window in (0, 1, 3, 12):
        diary = replay(staged, on_error(staged, limit, window), before)
        rehearsed[f"durations × {factor}", window] = cost(**diary)[-7:].mean()
pd.Series(rehearsed).unstack().round(0).astype(int)

# %% [markdown]
# The columns are windows; with 0<!-- given --> the model is kept. After a break one or three months are cheapest, and twelve can be worse than nothing (2047<!-- =rehearse[durations × 0.75, 12] --> against 1884<!-- =rehearse[durations × 0.75, 0] -->): the alarm goes on and each retraining buys more of the old world. All of this was known in December 2019.

# %% [markdown]
# ## 2020 is opened
#
# The number after a policy's name is its window. *error* and *drift* retrain when their alarm rings, *both* when both ring. *growing* retrains every month: on one month after an alarm, then on one month more each time.


# %% name="policies"
def both(model, now):
    return policies["error, 1"](model, now) * policies["drift, 1"](model, now)


def growing(model, now):
    return policies["error, 1"](model, now) or min(24, model[1] + 1)


def on_drift(window):
    return lambda model, now: window * int(world.drift(model, now) > 1)


policies = {"never": lambda model, now: 0}
policies |= {f"monthly, {window}": lambda model, now, window=window: window for window in WINDOWS}
policies |= {f"error, {window}": on_error(world, limit, window) for window in (1, 3, 12)}
policies |= {f"drift, {window}": on_drift(window) for window in (1, 3)}
policies |= {"both, 1": both, "growing": growing}

# %% name="replayed"
diaries = {name: replay(world, policy, live_months) for name, policy in policies.items()}
spent = pd.DataFrame({name: cost(**diary) for name, diary in diaries.items()})
more = spent.loc[after].sub(spent.loc[after, "never"], axis=0)
year = pd.DataFrame({name: diary.loc[after].mean() for name, diary in diaries.items()}).T

# %% name="opened"
bill = pd.DataFrame({"2018–19": spent.loc[before].mean(), "2020": spent.loc[after].mean()})
prices = [minute * city, month_of_labels, release]
bill[["error", "labels", "releases"]] = year[["error", "bought", "released"]] * prices
bill["− never"] = more.mean()
bill["low"], bill["high"] = zip(*[mean_interval(more[name], draws) for name in more], strict=True)
bill.assign(times=12 * year["released"]).round(0).astype(int)

# %% [markdown]
# Dollars a month. *error*, *labels* and *releases* are the parts of 2020; *low* and *high* are the 95<!-- given --> % interval of its difference to *never*. Computing costs 0.00001<!-- given --> dollars a training and vanishes.
#
# - **Monthly** loses in the quiet years with every window. In 2020 none is surely better than *never*, and 24 months are surely worse.
# - **An alarm with a short window** costs nothing for 21<!-- =trips: (\d+) live --> months and then saves 224<!-- =opened: (?m:^error, 1 .*? -(\d+)) --> (*error*) or 254<!-- =opened: (?m:^drift, 1 .*? -(\d+)) --> dollars a month. (The limit of *error* was chosen for that silence.)
# - **The window decides more than the trigger.** *error, 12* costs 1974<!-- =opened[error, 12, 2020] -->, more than doing nothing.
# - *both* gives the same as *error*: whenever *error* rang, *drift* rang.
# - Watching the error takes labels too: add up to 100<!-- given --> dollars a month to *error*. *drift* needs none.
#
# The intervals redraw the months of this one year, with its one shock.

# %% [markdown]
# ## The best in hindsight
#
# **Regret** is what a policy costs above the cheapest sequence of retrainings. Dynamic programming finds it: keep the cheapest way to each model in use, month after month.

# %% name="hindsight"
best = {}
for name, span in (("2018–19", before), ("2020", after)):
    total, path = hindsight(world, first_model, span, WINDOWS, cost)
    best[name] = total / len(span)
    print(f"{name}: {best[name]:.0f} dollars:", ", ".join(f"{now} on {window}" for now, window in path))
for now in after[3:5]:
    seen, drift = world.seen(first_model, now), world.drift(first_model, now)
    print(f"known on the first of {now}: MAE {seen:.2f}, drift {drift:.2f}")

# %% name="regrets"
shown = ["never", "monthly, 12", "monthly, 1", "error, 1", "drift, 1"]
(bill.loc[shown, ["2018–19", "2020"]] - pd.Series(best)).round(0).astype(int)

# %% name="regret"
ax = (more[shown[1:]].cumsum() / 1000).plot(figsize=(6.4, 3))
ax.axhline(
    12 * (best["2020"] - bill.loc["never", "2020"]) / 1000, color="black", lw=1, label="hindsight, the year"
)
ax.legend()
ax.set(xlabel="", ylabel="thousand dollars above never", title="Alarms save from May on; nobody saves April")
plt.show()
# %% [markdown]
# *Figure: cumulated cost of four policies in 2020 minus the cost of never. Monthly retraining stands at about plus one and a half thousand dollars in April; on twelve months it stays there, on one month it ends half a thousand below zero. The two alarms stay at zero until April and end near minus three thousand, close to the black line of hindsight.*
#
# Nobody could save April: on its first day the known error was 2.98<!-- =hindsight: 2020-04: MAE ([\d.]+) --> and no alarm rang. In 2020 hindsight retrains in May on one month, in June on three, and stops. *drift, 1* has a regret of 27<!-- =regrets[drift, 1, 2020] --> dollars a month, so a cleverer trigger could hardly earn more. In 2018–19 hindsight retrains once, in July 2018, on the six months that there are; *never* has a regret of 10<!-- =regrets[never, 2018–19] -->.

# %% [markdown]
# ### Your turn
#
# Write a policy. It is judged by its regret in five made-up worlds of two years.

# %% exercise="my_policy"

# %%
exercise.check(my_policy)

# %% [markdown]
# ## When doing nothing is right
#
# A retraining pays if
#
# $$(\text{MAE}_\text{old} - \text{MAE}_\text{new}) \times \text{trips a month} \times \text{price of a minute} \times \text{months until the next} > \text{labels} + \text{computing} + \text{release}.$$
#
# This takes the error's price as linear and the gain as constant. Here is the cheapest policy by the size of the city, at the same prices.

# %% name="sizes"
sizes = {}
for trips_a_month in (1_000, 10_000, 100_000, 1_000_000):
    priced = pd.DataFrame({name: cost(**diary, city=trips_a_month) for name, diary in diaries.items()})
    means = {"2018–19": priced.loc[before].mean(), "2020": priced.loc[after].mean(), "all": priced.mean()}
    sizes[f"{trips_a_month:,} trips"] = {name: mean.idxmin() for name, mean in means.items()}
pd.DataFrame(sizes).T

# %% [markdown]
# With 1,000<!-- given --> trips a month doing nothing is right, **even in 2020**: the shock costs less than its cure. From 100,000<!-- given --> on, the quiet years recommend *monthly, 24*, and 2020 proves it the worst way to retrain. *growing* is as good in the quiet years and recovers; with a million trips it is the best over all months. (Of equals the table names the first: in the quiet years *growing* ties with *monthly, 24*, and the alarms with *never*.)
#
# So do nothing while the gain can't pay for a release, while the error only follows the season (11b), when only inputs moved (11d), before the new labels are there, or when the last retraining did not help.

# %% [markdown]
# ## Take-aways
#
# - Train and judge on the labels that were there. A retraining before the new labels learns the old world.
# - Long windows win while nothing happens, short ones after a break. An alarm should change the window, too.
# - Quiet years can't tune an alarm. Rehearse with planted breaks.
# - Put labels, computing, releases and error into one currency. Here people cost, computing doesn't.
# - Compare with *never* and with hindsight. Do nothing where the gain times trips is below the price of a release.

# %% [markdown]
# ## In an interview
#
# - *When do you retrain?* Shown in [2020 is opened](#2020-is-opened) and [When doing nothing is right](#When-doing-nothing-is-right).
# - *How much history do you train on?* Shown in [Every window, every month](#Every-window,-every-month).
# - *Do you update a model in place or train a new one?* Shown in [Update in place?](#Update-in-place?).
#
# With the points of a good answer, and more of them: `walkforward practice --lesson 12a` in a terminal.
#
# ## Up next
#
# The latest month is wanted twice, by the training and by the test. [12b · Which data test, which train?](12b_which_data.ipynb) shares it out.
