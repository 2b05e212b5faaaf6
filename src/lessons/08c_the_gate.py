# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
#   walkforward:
#     ci:
#       simulations: 60
#       judged_days: [7, 31]
# ---

# %% [markdown]
# # 08c · The gate
#
# After this lesson you can turn your tests into a gate that no bad model passes by accident, run it in any pipeline, and say how often it is wrong.

# %% [markdown]
# > **You will learn to** write a gate as a table of questions · ask for proof in the right direction · measure a latency on a busy machine · let a gate fail closed · count its false refusals and false passes
# >
# > **Before you start** [08b · Testing data and models](08b_testing_data_and_models.ipynb) · [04c · Is it better?](04c_is_it_better.ipynb) · [07b · Promotion and lineage](07b_promotion_and_lineage.ipynb)
# >
# > **Time** 50 minutes of study; it runs in half a minute
# >
# > **Interview questions it answers** What must be true before a model is released? · Your gate refused a good model. Is the gate wrong? · All checks are green and the release fails. How?

# %% [markdown]
# The champion learnt from January to March 2019. Ten challengers want its place. April is added to their rows, and the trips of May judge them.

# %% tags=["parameters"]
judged_month = "2019-05"  # judges the challengers; what comes after is the truth
simulations = 200  # challengers whose truth is known
judged_days = [7, 31, 62]  # days that judge them

# %% name="trips"
from pathlib import Path

import numpy as np
import pandas as pd

from course import exercise
from course.data import load_trips, months, prepare_trips
from course.exercise import TODO
from lessons.challengers.challengers import challengers, make
from projects.release_gate import gate, questions
from projects.release_gate.questions import Case
from projects.release_gate.release import build

trips = prepare_trips(load_trips(months("2019-01", "2019-12")))
trips["month"] = trips["pickup_datetime"].dt.strftime("%Y-%m")
trips = trips[trips["month"].between("2019-01", "2019-12")]  # a broken clock says 2008
judge = trips[trips["month"] == judged_month].reset_index(drop=True)
after = trips[trips["month"] > judged_month].reset_index(drop=True)

# %% [markdown]
# ## The best score of May
#
# A **release** is a folder: the code (`train.py`), the rows, the model, the pinned packages, and the digests (checksums) of rows and model. What is not in the folder can't be judged.
#
# Each challenger changes one thing, and its name says what. Three change the trees, and *one more month* only the rows. *Saw May* learns from May too, *no nights* only from trips after six in the morning, *no seed* from a random 80<!-- given --> % of the rows. *With holidays* adds a column, *new driver* a package. *Scaled by batch* divides each distance by the mean distance of the table that it gets.
#
# **Predict first.** Two of the ten are sound. Which would you release by this table, and which are you sure to refuse?

# %% name="scores"
FILES = Path("08c_the_gate_files")  # everything that this lesson writes
champion = build(FILES / "champion", trips[trips["month"] < "2019-04"])
new = challengers(FILES, trips, judged_month)


def rmse(release, rows):
    return float(np.sqrt(np.mean((rows["duration"] - release.answers(rows)) ** 2)))


scores = pd.Series({name: rmse(one, judge) for name, one in {"champion": champion, **new}.items()})
scores.sort_values().round(3).to_frame("RMSE in May")

# %% [markdown]
# A gate that looks only at this score promotes nine of ten. The first, *saw May*, has learnt from the days that judge it. *Scaled by batch* needs a whole table, and production asks for one trip at a time. Neither shows in the score.
#
# ## A row of questions
#
# A **gate** is a list of questions that must *all* be answered with yes. This is the whole table. It is a file, so changing a limit takes a pull request.

# %% name="table"
from projects.release_gate.gate import HERE

print((HERE / "questions.yaml").read_text(encoding="utf-8"))

# %% [markdown]
# Each question is a function that returns yes or no, and what it found. Two of them, then all eight about all ten challengers:

# %% name="functions"
import inspect

print(inspect.getsource(questions.metric))
print(inspect.getsource(questions.size))

# %% name="asked"
answers = {name: gate.ask(Case(one, champion, judge)) for name, one in new.items()}
asked = pd.DataFrame({name: told["yes"].map({True: "·", False: "NO"}) for name, told in answers.items()})
asked.T

# %% name="found"
noes = pd.concat(answers, names=["challenger", "question"])
noes.loc[~noes["yes"].astype(bool), ["found"]]

# %% [markdown]
# Both sound ones pass, and each of the others is refused by the one question that names its fault. Most faults are tempting: *with holidays* has a lower error, and it builds the calendar of two centuries for each answer. *No seed* draws its rows with a random state that only its notebook had set, so nobody can make that model again.
#
# All eight are asked, even after a no: whoever repairs a challenger wants the whole list. (The list of licences is made up, and this course uses the package that it refuses. Your lawyers write the list.)

# %% [markdown]
# ## Who has to prove what?
#
# *Metric* is one half of 04c's equivalence test: the upper end of the 90<!-- given --> % interval of RMSE(challenger) − RMSE(champion) must stay below 0.1<!-- given --> minutes. That is a one-sided test at 5<!-- given --> %, if days are independent. Here the **challenger** has to prove that it is not worse. Few days make a wide interval, and *undecided* is a no.
#
# *Slices* has it the other way round: the **gate** has to prove the harm (t-test of daily sums, Holm's correction), and the harm must exceed 0.25<!-- given --> minutes. If a slice of a hundred trips had to prove that it is not worse, it hardly ever could, and nearly every challenger would be refused.
#
# So with few days the first question refuses too much, and the second passes too much.

# %% [markdown]
# ## Two hundred challengers
#
# How often is the gate wrong? You need challengers whose truth is known. Take June to December as the whole world, and mix real answers with random weights: the champion's, a better model's, a worse one's, and, at night, those of the model without nights. The truth is the error over all 214<!-- given --> days. A challenger is **bad** if it truly breaks the limit of *metric* or *slices*. The gate sees only some of the days, drawn at random.

# %% name="made"
from lessons.challengers.simulated import simulated

WORTH, HARM = (gate.TABLE[name]["limit"] for name in ("metric", "slices"))
MIXED = {"champion": champion, "better": new["more trees"], "worse": new["fewer trees"]}
MIXED["no nights"] = new["no nights"]
mixed = pd.DataFrame({name: release.answers(after) for name, release in MIXED.items()})
made = simulated(after, mixed, simulations)
bad = np.array([one.loss > WORTH or one.worst > HARM for one in made])
print(f"{len(made)} challengers, {bad.sum()} of them bad")


# %% name="gates"
def passes(one, days):
    """What three gates say after these days."""
    sums, harm, rides = one.sums.iloc[days], one.harm.iloc[days], one.trips.iloc[days]
    score = questions.interval(sums)[1] < WORTH
    both = score and not questions.worse_slices(harm, rides, HARM)
    return {"lower RMSE": sums["new"].sum() < sums["old"].sum(), "metric": score, "metric and slices": both}


# %% [markdown]
# A **false refusal** is a good challenger that is refused, a **false pass** a bad one that passes. The first is a share of the good ones, the second of the bad ones.
#
# **Predict first.** The naive gate passes whoever has the lower RMSE. Do more days cure it?

# %% name="rates"
rng, rates = np.random.default_rng(0), {}
for days in judged_days:
    drawn = [rng.choice(len(one.sums), days, replace=False) for one in made]
    said = pd.DataFrame([passes(one, place) for one, place in zip(made, drawn, strict=True)])
    for name, passed in said.items():
        rates[name, days] = {"good refused": (~passed[~bad]).sum(), "bad passed": passed[bad].sum()}
counts = pd.DataFrame(rates).T.rename_axis(["gate", "days"])
shares = 100 * counts / [(~bad).sum(), bad.sum()]
shares.round(1).add_prefix("% of ")

# %% name="figure_rates"
import matplotlib.pyplot as plt

from walkforward.plots import PALETTE, use_style

use_style()
fig, axes = plt.subplots(1, 2, figsize=(7, 2.7), sharey=True)
for ax, column in zip(axes, shares, strict=True):
    for name, color in {"lower RMSE": "red", "metric": "orange", "metric and slices": "blue"}.items():
        ax.plot(judged_days, shares.loc[name, column], marker="o", color=PALETTE[color], label=name)
    ax.set(title=f"% of the {column}", xlabel="days that judge", ylim=(0, 60))
axes[0].legend(loc="upper right")
fig.suptitle("More days cure only the gate that asks both questions", fontweight="bold", fontsize=11)
plt.show()

# %% [markdown]
# *Figure: per cent of good challengers refused (left) and of bad ones passed (right) against the number of days that judge, for three gates. Only the gate with metric and slices falls to almost zero on both sides.*

# %% name="month"
from scipy import stats

month = counts.loc["metric and slices", 31].astype(int)
for (name, wrong), of in zip(month.items(), [(~bad).sum(), bad.sum()], strict=True):
    low, high = stats.binomtest(wrong, of).proportion_ci(method="exact")
    print(f"{name}: {wrong} of {of}, 95 % interval {100 * low:.0f} to {100 * high:.0f} %")

# %% [markdown]
# The naive gate grants no tolerance, so it refuses 25.0<!-- =rates[lower RMSE / 62, % of good refused] --> % of the good ones after 62<!-- given --> days. It passes 19.3<!-- =rates[lower RMSE / 62, % of bad passed] --> % of the bad ones, which gain by day and lose at night. A wrong question stays wrong with more days. *Metric* alone passes 51.1<!-- =rates[metric / 62, % of bad passed] --> % of the bad.
#
# With both questions a week is too short: 30.7<!-- =rates[metric and slices / 7, % of bad passed] --> % of the bad ones pass. After a month 1<!-- =month: bad passed: (\d+) of --> of 88<!-- =month: bad passed: \d+ of (\d+) --> passes, and 4<!-- =month: good refused: (\d+) of --> of 112<!-- =month: good refused: \d+ of (\d+) --> good ones are refused: a refusal is no proof that the challenger is bad. What costs more, a month of waiting or a night of bad answers? That sets the days and the limits.

# %% [markdown]
# The other six questions have no luck in them. If all eight had, each with 5<!-- given --> % and independent, the row would refuse 1 − 0.95<!-- given -->⁸ = 34<!-- given --> % of the good challengers. Each question that you add has this price.

# %% [markdown]
# ## A busy machine
#
# *Latency* must not refuse a challenger because a colleague trains a model on the same machine. With a limit in milliseconds it would. So the gate times the champion too, in the same run on the same machine, and its limit is a ratio. How do you measure that ratio so that the load does not spoil it?
#
# ### Your turn

# %% exercise="latency_ratio"

# %%
exercise.check(latency_ratio)

# %% [markdown]
# The gate goes one step further and reads `time.thread_time`, the time for which this thread had the processor: what else runs is not counted at all. An example: two models of about the same speed, two cores, eleven busy programs, in turns, the fastest of thirty calls. By the wall clock the ratio lay between 0.43<!-- given --> and 3.6<!-- given -->, by thread time between 0.9<!-- given --> and 1.3<!-- given -->. The price: waiting for a network is not counted either, nor the slowest answers, nor many users at once. That is the load test of 09c.
#
# ## What was not asked is not a yes
#
# A gate breaks too: a file is missing, a question raises, a number is NaN. `all(...)` over what is left says yes. It must **fail closed**: whatever is not a plain yes is a no.
#
# ### Your turn

# %% exercise="refusals"

# %%
exercise.check(refusals)

# %% [markdown]
# ## One gate, four callers
#
# People, tests, GitHub and Jenkins should not each have a gate. So every question is a target of one Makefile, and the pipelines call targets and nothing else.

# %% name="callers"
import re

for file in ("workflow.yml", "Jenkinsfile"):
    print(f"{file:13}", *re.findall(r"make (\w+)", (HERE / file).read_text(encoding="utf-8")))
print(re.search(r"stage\('metric.*", (HERE / "Jenkinsfile").read_text(encoding="utf-8"))[0])

# %% [markdown]
# A test of the course reads table, Makefile, workflow and Jenkinsfile, and turns red when one of them lacks a question. No Jenkins runs on your machine, but what its stages call does:

# %% name="make"
judge.to_parquet(FILES / "judge.parquet")
sides = {"CHAMPION": champion.folder.resolve(), "ROWS": (FILES / "judge.parquet").resolve()}
said, succeeded = make("data", "size", CHALLENGER=new["saw May"].folder.resolve(), **sides)
print(said + f"succeeded: {succeeded}")

# %% [markdown]
# Each answer goes into `answers.json` in the challenger's folder, with the digests of challenger, champion and judging rows.
#
# ## The alias
#
# Only the gate sets `champion`. It looks whether all answers are yes, whether they are about *this* model, and whether the champion is still the one that was compared (07b).

# %% name="registered"
import mlflow

from projects.release_gate import registry

NAME = "trip-minutes"
registry.use_store(FILES / "store")
registry.set_aside(NAME)  # an earlier run's name: renamed, not deleted
compared = {"champion": champion, "saw May": new["saw May"], "more trees": new["more trees"]}
versions = {name: registry.register(NAME, release) for name, release in compared.items()}
client = mlflow.MlflowClient()
client.set_registered_model_alias(NAME, "champion", versions["champion"])

# %% name="promoted"
for name in ("saw May", "more trees"):
    case = Case(new[name], champion, judge)
    gate.keep(case, answers[name])
    print(f"{name}:", gate.promote(client, NAME, versions[name], versions["champion"], case))

# %% [markdown]
# (3<!-- given --> is the version of *more trees*.) Somebody improves another challenger after the gate has said yes, and trains in the same folder again:

# %% name="swapped"
gate.keep(Case(new["one more month"], champion, judge), answers["one more month"])
april = trips[(trips["month"] == "2019-04") & (trips["dropoff_datetime"] < judged_month)]
case = Case(build(new["one more month"].folder, april), champion, judge)
print(f"answers that count: {len(gate.kept(case))} of {len(gate.TABLE)}")
print(gate.promote(client, NAME, versions["more trees"], versions["champion"], case))

# %% [markdown]
# The answers were about another model, so none counts. (*Promote* looks at them first; it never came to the version.) Without the digests the eight old answers would still say yes.
#
# ## What a gate can't know
#
# The gate reads rows from a table. Production reads them from somewhere else, later, and with users behind them.

# %% name="later"
LATER = {"judged in May": judge, "June to December": after}
LATER["later in kilometres"] = after.assign(trip_distance=1.609 * after["trip_distance"])
gains = {
    name: {
        when: rmse(new[name], rows) - rmse(champion, after if "kilometres" in when else rows)
        for when, rows in LATER.items()
    }
    for name in ("more trees", "saw May")
}
pd.DataFrame(gains).T.round(2)

# %% [markdown]
# The table shows RMSE less the champion's, in minutes. *More trees* promised −0.16<!-- =later[more trees, judged in May] --> and keeps it. *Saw May* promised −0.28<!-- =later[saw May, judged in May] --> and delivers −0.10<!-- =later[saw May, June to December] -->. And if the service sends kilometres (09e), the model that passed all eight questions is 1.56<!-- =later[more trees, later in kilometres] --> minutes worse than the champion was: the gate has never seen the service.
#
# | | asks | needs |
# |---|---|---|
# | **gate** | is it good on rows that are known? | labels of the past |
# | **shadow** (09e) | does it answer real requests, as fast and as often? | a second computation, no user |
# | **canary** (09e) | does it harm a few users? | a way back, labels or counters |
# | **monitoring** (11) | is it still good? | somebody who looks |
#
# Each finds what the one before can't. Where a model is released once a year and three people use it, a checklist on paper is enough.

# %% [markdown]
# ## Take-aways
#
# - A gate is a row of questions that must all be yes, in one table, called by every pipeline. The score alone lets most faults pass.
# - Say who has to prove what: the challenger that it is not worse, the gate that a slice is harmed.
# - A gate has false refusals and false passes. Measure both on challengers whose truth you know; more days lower both, the wrong question stays wrong.
# - Fail closed. Bind answers to digests, so that a yes can't be used for another model.
# - A gate knows the past. Shadow and canary ask the present.

# %% [markdown]
# ## In an interview
#
# - *What must be true before a model is released?* Shown in [A row of questions](#A-row-of-questions).
# - *Your gate refused a good model. Is the gate wrong?* Shown in [Two hundred challengers](#Two-hundred-challengers).
# - *All checks are green and the release fails. How?* Shown in [What a gate can't know](#What-a-gate-can't-know).
#
# With the points of a good answer, and more of them: `walkforward practice --lesson 08c` in a terminal.
#
# ## Up next
#
# [09a · Serving](09a_serving.ipynb) puts the model that passed behind an address. [12c · The loop, closed](12c_the_loop_closed.ipynb) calls the gate when nobody is there.
