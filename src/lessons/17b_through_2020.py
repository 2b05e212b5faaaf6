# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
#   walkforward:
#     ci:
#       last_month: "2020-08"
#       draws: 200
# ---

# %% [markdown]
# # 17b · Through 2020
#
# After this lesson you can live through a bad year with a watched model, and say what the watching brought against doing nothing.

# %% [markdown]
# > **You will learn to** read a flow's diary and its incident page · find where the days between shock and new answer go · price a gate's no and a rollback · compare with doing nothing · replay policies, and hold the replay to the real flow
# >
# > **Before you start** [17a · One flow](17a_one_flow.ipynb) · [12a · When to retrain](12a_when_to_retrain.ipynb) · [12c · The loop, closed](12c_the_loop_closed.ipynb)
# >
# > **Time** 50 minutes of study; it runs in under a minute
# >
# > **Interview questions it answers** The error fell after you retrained. How much of that is yours? · Every step has five retries and all is green. What don't you see? · What do you think of before a backfill of two years?

# %% tags=["parameters"]
last_month = "2020-12"  # the year is lived through up to this month
planted = "2020-08"  # this month's canary is sent kilometres
run_again = False  # True lives through the year again in place of reading the record of it
minute, release = 0.05, 200  # dollars, as in 12a: a minute of error on a trip; a retraining with its release
city = 10_000  # trips a month
draws = 1000  # of each bootstrap

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

from course import exercise
from course.exercise import TODO
from lessons.retraining.months import mean_interval
from lessons.through_2020.windows import compared, replay
from lessons.through_2020.years import Delivery, begin, interval, lived, recorded, said
from projects.capstone import loop, pages
from projects.capstone.steps import of_month, release_of
from projects.release_gate.release import Release
from walkforward.plots import use_style
from walkforward.prediction_log import PredictionLog

FILES = Path("17b_through_2020_files")  # everything that this lesson writes

# %% [markdown]
# ## Three and a half minutes better
#
# January 2021. A slide of your team says: *In April 2020 our trip times were wrong by 6.27<!-- =year: 2020-04 +([\d.]+) --> minutes. Our flow retrained. In December it was 2.82<!-- =year: 2020-12 +([\d.]+) -->. Saved: three and a half minutes a trip.*
#
# **Predict first.** How much of that would have come if nobody had done anything?
#
# To find out, live through the year with the flow of `walkforward capstone`. Its first champion learnt from the last three months of 2019. (To be quick it takes every second trip, and one fold for the demand model.)

# %% name="year"
delivery = Delivery()  # hands over a month's trips; it tries up to five times
flow = begin(FILES / "year", "drift or error", delivery, planted)
loop.backfill(flow, "2020-01", last_month, print)

# %% [markdown]
# A line is a run on the first of the next month: the mean absolute error on the labels that are there, the champion, the kind of the demand model, and what happened.
#
# - **April**: inputs and answers drift. The flow retrains, and version 2 is a canary in May.
# - **May**: the gate refuses the new model for its rows' median speed, 13.21<!-- =year: mph ([\d.]+) --> miles an hour.
# - **June**: the person on call has raised that limit (12c).
# - **August**: version 4 is sent kilometres, by a planted fault (`walkforward capstone --plant 2020-08`), and rolled back.

# %% [markdown]
# ## The page for the people
#
# Each run has a page, each version a model card, and an alarm after a quiet month begins an incident page.

# %% name="pages"
written = [one for month in ("2020-04", "2020-08") for one in pages.write(flow, month)]
print(*sorted({one.name for one in written}))

# %% [markdown]
# ![The page of May's run: an alarm, and ten boxes; decide and gate are red, register and deploy grey](../images/17b_run.png)
#
# *Figure: the run of May: a box a step, with what came of it and its seconds. This flow began in 2018 and takes all trips, so its numbers differ. The gate says no.*
#
# ![The incident page of April 2020: the error by day, higher from the middle of March; below it medians of March and April](../images/17b_incident.png)
#
# *Figure: its incident page of April. Trips get shorter in minutes, answers longer.*
#
# The break is in the middle of March; the alarm came with the run of April. A **model card** says what a version is for, who owns it, which rows it learnt from, its error by length of trip in each month, what the gate asked, and what it does not know.

# %% [markdown]
# ## Where did the days go?
#
# `said` joins each trip that has a label with what the flow answered, from the log, and with three other answers, explained below. A daily look takes the error of three days.

# %% name="answers"
trips = said(flow, last_month)  # y, flow, never, pace kept, pace moved: a row a trip
WAYS = ["never", "pace kept", "pace moved", "flow"]
error = pd.DataFrame({way: (trips["y"] - trips[way]).abs() for way in WAYS}).set_index(trips["day"])
daily = error["flow"].groupby("day").mean().rolling(3).mean()
above = daily[daily > 3.7]  # 12a's limit: silent in all months of 2018 and 2019

# %% name="delay"
shock, alarmed = above["2020-03":].index[0], loop.diary(flow).query("alarm != ''")["month"].iloc[0]
run = (pd.Period(alarmed) + 1).start_time
days = {"three days are above the limit": shock, "their labels are there": shock + pd.Timedelta(days=5)}
days |= {"the run of April: alarm, retraining, canary": run}
days |= {"the canary's verdict: version 2 for all": run + pd.Timedelta(days=15)}
print("above it before March:", *above[:"2020-02"].index.strftime("%d %b"))
on = pd.Series(days)
pd.DataFrame({"on": on, "days since": (on - shock).dt.days})

# %% [markdown]
# 64<!-- =delay[the canary's verdict: version 2 for all, days since] --> days from the shock to a new answer for everybody. The labels took 5<!-- =delay[their labels are there, days since] -->, and the verdict 15<!-- given -->. The rest was waiting for the calendar. (March's run saw nothing: the mean is over trips, and late in March there were few.)
#
# So look daily or weekly, and retrain when labels are there. But a daily look also rings on 3 January, after the holidays.

# %% [markdown]
# ## What the gate's no cost
#
# A refused model is kept. So you can ask afterwards what it would have answered to the same trips.


# %% name="refused"
def missed(model, month, factor=1.0):
    """Absolute errors by day, if the model is sent the distance times `factor`."""
    rows = of_month(flow, month)
    wrong = rows["duration"] - model.answers(rows.assign(trip_distance=factor * rows["trip_distance"]))
    return wrong.abs().set_axis(rows["pickup_datetime"].dt.normalize().rename("day"))


def told(gain):
    low, high = interval(gain, "D", draws)
    return f"{gain.mean():+.2f} minutes a trip ({low:+.2f} to {high:+.2f})"


refused, second = Release(flow.file("releases", "2020-05")), release_of(flow, "2")
for month in ("2020-06", "2020-07"):
    print(month, "refused against version 2:", told(missed(second, month) - missed(refused, month)))

# %% [markdown]
# (In brackets the 95<!-- given --> % interval, whole days drawn.) From the middle of June, when the new model would have taken over, until version 3 did in July, the no cost about 0.67<!-- =refused: 2020-06 .*: \+([\d.]+) min --> and then 0.52<!-- =refused: 2020-07 .*: \+([\d.]+) min --> minutes a trip (measured on whole months).
#
# Was it wrong? The gate can't tell empty streets from kilometres, and August shows why it must ask. What was wrong is that nobody answered for a month; 12c's comparison of zones takes an hour. **Call a person the same day, and let the refused model answer in the shadow.**

# %% [markdown]
# ## What the rollback saved
#
# Three answers to the trips of August: version 3, version 4 in kilometres, and version 4 with its service repaired.

# %% name="rolled"
settled = flow.journal.find(planted, "canary")
old, new = (release_of(flow, settled[name]) for name in ("before", "canary"))
champion = missed(old, planted)
print("saved by the rollback:", told(missed(new, planted, 1.609) - champion))
print("lost by it:           ", told(champion - missed(new, planted)))
print("stopped after", settled["requests"], "requests, on", settled["stopped"][:10])

# %% [markdown]
# Without a canary all users would have had 0.72<!-- =rolled: saved .*: \+([\d.]+) min --> minutes more for a month. And the model itself was good: the rollback also lost 0.34<!-- =rolled: lost by it: +\+([\d.]+) min -->. A rollback stops a harm and finds no cause. The log does: it has version and inputs of each answer.

# %% name="inputs"
log = PredictionLog(flow.file("predictions.db"))
asked = log.read(since=f"{planted}-01", until=settled["stopped"])
log.close()
sent = asked.groupby("model_version")["trip_distance"].agg(["size", "median"]).round(2)
sent["against version 3"] = (sent["median"] / sent["median"].iloc[0]).round(2)
sent

# %% [markdown]
# Users were drawn by a hash, so both versions should be sent the same distances. A ratio of 1.62<!-- =inputs[4, against version 3] -->, with 1.609<!-- given --> kilometres in a mile, is a unit. Repair the service and start the same canary again. (50<!-- =rolled: after (\d+) --> labels gave the verdict; until they came, version 4 answered 220<!-- =inputs[4, size] --> requests.)

# %% [markdown]
# ## What doing nothing would have given
#
# Back to the slide. *never* is version 1, left alone. Two baselines need no model: the **usual pace** (median minutes a mile) of autumn 2019, kept, and one that **moves**, from last month's labels.

# %% name="nothing"
by_month = error.groupby(trips["month"].to_numpy()).mean()
by_month.round(2)

# %% name="figure"
use_style()
ax = by_month.drop(columns="pace kept").plot(figsize=(6.4, 3), style=["--", ":", "-"])
ax.set(
    ylabel="MAE (minutes)",
    xlabel="",
    ylim=(0, 9),
    title="After April doing nothing recovers too, but not as far",
)
plt.show()

# %% [markdown]
# *Figure: error by month of version 1 left alone, of the moving pace and of the flow. Never and flow are one line up to the peak in April. Then the flow falls by more than half and never by a third; the moving pace stays level from May on.*

# %% name="claim"
fell = by_month.loc["2020-04"] - by_month.iloc[-1]
print(f"fell since April: the flow by {fell['flow']:.2f}, never by {fell['never']:.2f}")
since = error["2020-05":]
for way in ("never", "pace moved"):
    for name, some in (("all months", error), ("from May", since)):
        gain = some[way] - some["flow"]
        low, high = interval(gain, "W", draws)
        print(f"saved against {way}, {name}: {gain.mean():.2f} ({low:.2f} to {high:.2f})")

# %% [markdown]
# The flow's error fell by 3.47<!-- =claim: flow by ([\d.]+) -->. Of that 2.22<!-- =claim: never by ([\d.]+) --> came by itself, as people returned to the streets. A **before–after** comparison credits you with the world's recovery. Compare with what the old model answers *on the same trips*: from May on the flow saved 1.46<!-- =claim: never, from May: ([\d.]+) --> minutes a trip (1.31<!-- =claim: never, from May: .*\(([\d.]+) --> to 1.61<!-- =claim: never, from May: .* to ([\d.]+) -->), over the year 0.96<!-- =claim: never, all months: ([\d.]+) -->.
#
# In April the moving pace has March's labels: 8.52<!-- =nothing[2020-04, pace moved] -->. In May, 5.49<!-- =nothing[2020-05, pace moved] -->, it beats version 1 left alone, 5.88<!-- =nothing[2020-05, never] -->; from July on it doesn't. It is a fallback for a short time.
#
# The intervals redraw one year's weeks: they say nothing about another shock.

# %% [markdown]
# ### Your turn

# %% exercise="saved"

# %%
exercise.check(saved)

# %% [markdown]
# ## The bill of the people
#
# Minutes of a person for each event are our guesses: ask those who do it.

# %% name="people"
MINUTES = {"alarm": 20, "release": 60, "refused": 60, "limit changed": 120, "rolled back": 120}
told_by = loop.diary(flow)
times = {"alarm": told_by["alarm"].ne("").sum(), "limit changed": 1}
times["release"] = told_by["canary"].str.startswith("champion").sum()
times["refused"] = told_by["decision"].str.startswith("refused").sum()
times["rolled back"] = told_by["canary"].eq("rolled back").sum()
bill = pd.DataFrame({"times": times, "minutes each": MINUTES})
bill["minutes"] = bill["times"] * bill["minutes each"]
trip_minutes = city * (by_month["never"] - by_month["flow"]).sum()
print(f"{bill['minutes'].sum()} minutes of people, {trip_minutes:,.0f} minutes of error saved on trips")
bill

# %% [markdown]
# A person's minute bought more than 150<!-- given --> minutes of error. At a hundredth of the traffic it buys one and a half, and is better spent elsewhere.
#
# ## Green for twelve months
#
# All runs were green, and something got worse all year. The source of the trips sometimes does not answer (planted, too), and `delivery` tries up to five times:

# %% name="tries"
tries = pd.Series(delivery.told, name="tries")["2020-01":]
print("tries by month:", *tries)

# %% [markdown]
# From 1<!-- =tries: month: (\d) --> to 4<!-- =tries: (\d)$ -->, and no line of the diary says so: what fails three times and then succeeds is a success. Retry what may pass by itself (a network), refuse at once what is wrong (a missing column), and watch tries and seconds of each step with limits of their own.

# %% [markdown]
# ## The year again
#
# What if the flow had listened to the error alone? A **backfill** runs past months again. This one is safe: it writes into a folder of its own; each run is told its month and sees only what was there when it ended; what is done is not done twice; and months whose result you know come out the same.

# %% name="again"
other = (
    loop.diary(lived(FILES / "again", "error", flow)).set_index("month") if run_again else recorded()["error"]
)
mine = loop.diary(flow).set_index("month")
both = pd.DataFrame(
    {"drift or error": mine["error"], "error": other["error"], "decision, error": other["decision"]}
)
known = both[both.index < "2020-06"]
apart = (known["drift or error"] - known["error"]).abs().max()
print("the same up to May:", bool(apart < 0.01))
gap = (both["error"] - both["drift or error"])["2020-07":].mean()
print(f"from July on drift or error is better by {gap:.2f} minutes a trip")
both.dropna().loc["2020-04":]

# %% [markdown]
# Up to May both years are the same, as they must be. From June on the error is below 3.7<!-- given -->, so the policy *error* keeps version 2, while *drift or error* releases month after month, for 0.11<!-- =again: better by ([\d.]+) --> minutes a trip (the planted fault included). Before a backfill of years, run one month and multiply its seconds, then some known months, then all, with alarms and mails switched off.
#
# ## Thirty months in a second
#
# To try many policies, replay them on a record: for each month and window (the months it learns from) a model was trained, and its error in all later months written down (`lessons/through_2020/windows.csv`). The replay has no gate, no drift report, no canary's verdict. Compare it with the flow:

# %% name="held"
POLICIES = {"never": lambda seen: 0, "monthly": lambda seen: 3, "error": lambda seen: 3 * (seen.error > 3.7)}
year = list(other.index)
rows = {}
for name in ("error", "monthly"):
    two = pd.DataFrame({"flow": recorded()[name]["error"], "replay": replay(POLICIES[name], year)["seen"]})
    rows[name] = {**two.mean(), "largest difference": (two["flow"] - two["replay"]).abs().max()}
pd.DataFrame(rows).T.round(2)

# %% [markdown]
# The replay lacks the gate: where the flow was refused in May, it releases, and July looks better by half a minute. On average it flatters by 0.08<!-- given --> minutes or less. It may choose among policies that differ by more, and may not promise an error.
#
# Now thirty months, July 2018 to December 2020, at the prices above.

# %% name="policies"
POLICIES |= {"monthly, 12": lambda seen: 12, "every quarter": lambda seen: 3 * (seen.age >= 3)}
POLICIES |= {"error, 12": lambda seen: 12 * (seen.error > 3.7)}
replays = {name: replay(policy) for name, policy in POLICIES.items()}
compared(replays, minute * city, release, draws).round({"error": 2}).astype({"retrainings": int})

# %% [markdown]
# (*low* and *high*: the 95<!-- given --> % interval of the dollars above *never*, blocks of three months drawn.)
#
# *monthly* has the smallest error, 3.34<!-- =policies[monthly, error] -->, and costs as much as *never*: the releases cost what it gains. *error* retrains 2<!-- =policies[error, retrainings] --> times in thirty months and is the cheapest; its interval nearly touches zero. *error, 12* still learns from the old city.

# %% name="sizes"
often, seldom = replays["monthly"], replays["error"]
dearer = release * ((often["window"] > 0).sum() - (seldom["window"] > 0).sum())
closer = minute * (seldom["error"] - often["error"]).sum()
print(f"monthly is cheaper than error from {dearer / closer:,.0f} trips a month on")

# %% [markdown]
# With less traffic than about 70,000<!-- given --> trips a month listen to the error, with more retrain every month; with very little do nothing (12a). It is rough: the two errors differ by 0.05<!-- given -->, less than the replay flatters.
#
# All of it hangs on **one shock**. A policy that fits April 2020 may know no more than its date.
#
# ### Your turn
#
# Write a policy. It is judged on the thirty months, on the quiet ones alone, and with the break elsewhere in the calendar.

# %% exercise="retrain_on"

# %%
exercise.check(retrain_on)

# %% [markdown]
# In the real flow: `projects.capstone.policies.POLICIES["mine"] = retrain_on`, then `loop.diary(lived(FILES / "mine", "mine", flow))`.
#
# ## And the demand?
#
# The flow also forecasts rides: those of five years before (2015 for 2020), so the shock is not in them. The baseline is last year's same weekday.

# %% name="demand"
gain = (told_by["demand naive"] - told_by["demand error"]).dropna()
low, high = mean_interval(gain, draws)
print(
    f"saved against last year: {gain.mean():.2f} thousand rides a day ({low:.2f} to {high:.2f}), in {(gain > 0).sum()} of {len(gain)} months"
)

# %% [markdown]
# ## Take-aways
#
# - Credit a flow with the difference to doing nothing on the same trips.
# - Ask where the days between shock and new answer go. Here most were waiting for the calendar.
# - A gate's no and a rollback have prices. Keep what was refused, and look for causes in the log.
# - Retries hide a fault that grows: watch tries and seconds.
# - A replay is a model: hold it to the real flow. One shock is one observation.

# %% [markdown]
# ## In an interview
#
# - *The error fell after you retrained. How much of that is yours?* Shown in [What doing nothing would have given](#What-doing-nothing-would-have-given).
# - *Every step has five retries and all is green. What don't you see?* Shown in [Green for twelve months](#Green-for-twelve-months).
# - *What do you think of before a backfill of two years?* Shown in [The year again](#The-year-again).
#
# With the points of a good answer, and more of them: `walkforward practice --lesson 17b` in a terminal.
#
# ## Up next
#
# [17c · Tell it](17c_tell_it.ipynb): ten minutes aloud, and a project of your own.
