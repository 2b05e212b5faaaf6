# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
#   walkforward:
#     ci:
#       draws: 200
#       sheets: 30
#       seeds: 20
# ---

# %% [markdown]
# # 02a · What a label costs
#
# After this lesson you can say how good a set of labels is before a model learns from it, and what better ones cost, in money and in privacy.

# %% [markdown]
# > **You will learn to** measure agreement by hand and say when kappa misleads · find the fault in a guideline instead of in a colleague · weigh votes by the quality of who gave them · price a labelling job · test what may leave the house
# >
# > **Before you start** [01b · Better models](01b_better_models.ipynb)
# >
# > **Time** 60 minutes of study; it runs in under half a minute
# >
# > **Interview questions it answers** Two raters agree on 94<!-- given --> % and kappa is 0.35<!-- given -->. Are the labels good? · Three votes a label, or a better guideline? · We hash the ids before we send the data out. Is that enough?

# %% [markdown]
# ## Parameters
#
# To label trips yourself below, set `label_myself = True` and run the cells one by one (some ten minutes more). Otherwise a program answers for you.

# %% tags=["parameters"]
label_myself = False  # True: buttons, and your labels are used below
draws = 1000  # bootstrap draws
sheets = 100  # sheets of twenty trips
seeds = 100  # simulated sets of votes
seconds, wage = 20, 30.0  # a reading takes 20 seconds, an hour of a labeller costs 30 dollars
guideline_price = 480.0  # eight hours of an expert

# %%
import hashlib

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.metrics import cohen_kappa_score

from course import exercise
from course.data import DATA
from course.exercise import TODO
from lessons.trip_labels import privacy, readers
from lessons.trip_labels.form import Form
from walkforward.plots import use_style

# %% [markdown]
# ## Six doctors
#
# Thirty psychiatric patients, six diagnoses of each (Fleiss 1971<!-- given -->). A row says how many doctors gave each.
#
# **Predict first.** For how many of the thirty do all six agree?

# %% name="diagnoses"
diagnoses = pd.read_csv(DATA / "ratings" / "diagnoses.csv", index_col="patient")
print("patients with six equal diagnoses:", (diagnoses == 6).any(axis=1).sum(), "of", len(diagnoses))
print(
    f"labels that are their patient's most frequent one: {diagnoses.max(axis=1).sum() / diagnoses.to_numpy().sum():.2f}"
)
diagnoses.head(4)

# %% [markdown]
# Only 5<!-- =diagnoses: diagnoses: (5) -->. A model that knew the most frequent diagnosis of each patient would be right on 0.72<!-- =diagnoses: one: ([\d.]+) --> of these labels. How much do two doctors agree? Take pairs who saw the same patient. The **observed agreement** $P_o$ is the share of such pairs with one diagnosis. Some of it is luck: if each draws a diagnosis $k$ with its overall share $p_k$, two are equal with probability $P_e = \sum_k p_k^2$. **Fleiss' kappa** is the part of the possible improvement on luck that is there:
#
# $$\kappa = \frac{P_o - P_e}{1 - P_e}$$


# %% name="fleiss"
def fleiss(counts):
    """Observed agreement, agreement by luck, kappa; the same number of labels for each item."""
    raters, shares = counts[0].sum(), counts.sum(axis=0) / counts.sum()
    observed = (counts * (counts - 1)).sum(axis=1).mean() / (raters * (raters - 1))
    by_luck = (shares**2).sum()
    return observed, by_luck, (observed - by_luck) / (1 - by_luck)


counts, rng = diagnoses.to_numpy(), np.random.default_rng(0)
again = [fleiss(counts[rng.integers(0, len(counts), len(counts))])[2] for _ in range(draws)]
print("observed {:.3f}, by luck {:.3f}, kappa {:.3f}".format(*fleiss(counts)))
low, high = np.quantile(again, [0.025, 0.975])
print(f"95 % interval of kappa, patients drawn again: {low:.2f} to {high:.2f}")

# %% [markdown]
# Two doctors agree on 0.556<!-- =fleiss: observed ([\d.]+) -->, and kappa is 0.430<!-- =fleiss: kappa ([\d.]+) -->, as published. Thirty patients leave it between 0.32<!-- =fleiss: again: ([\d.]+) --> and 0.53<!-- =fleiss: to ([\d.]+) -->.
#
# R packages ship this table with columns `rater1` to `rater6`, sorted in each row. **Cohen's kappa** takes two named raters, each with shares of their own: $P_e = \sum_k p_k q_k$. Try it on those columns.

# %% name="columns"
slots = np.array([np.repeat(np.arange(5), row) for row in counts])  # sorted, as in the packages
pairs = {"1 and 2": (0, 1), "3 and 4": (2, 3), "1 and 6": (0, 5)}
pd.Series(
    {name: cohen_kappa_score(slots[:, a], slots[:, b]) for name, (a, b) in pairs.items()}, name="kappa"
).round(2).to_frame()

# %% [markdown]
# From 0.08<!-- =columns[1 and 6, kappa] --> to 0.73<!-- =columns[3 and 4, kappa] -->, and all of it is meaningless: a column is no person. Forty-three doctors took part, and different ones saw different patients. Fleiss' kappa does not ask who; Cohen's does. Keep the rater's id with every label.

# %% [markdown]
# ## The same doctor again
#
# Here the columns are persons: five anaesthetists put 45<!-- given --> patients into four classes of fitness (Dawid and Skene 1979<!-- given -->). The first read each form three times, weeks apart.

# %% name="doctors"
doctors = pd.read_csv(DATA / "ratings" / "anaesthetists.csv", index_col="patient")
others = list(doctors)[1:]
agreement = pd.Series({name: (doctors["first"] == doctors[name]).mean() for name in others})
agreement.round(2).to_frame("agrees with the first reading")

# %% [markdown]
# The doctor agrees with their own earlier reading on 0.80<!-- =doctors[first again, agrees with the first reading] --> and 0.87<!-- =doctors[first a third time, agrees with the first reading] -->. Measure the others against that, not against perfection.
#
# ### Your turn

# %% exercise="cohen"

# %%
exercise.check(cohen)


# %% name="kappas"
def with_first(weights):
    return {name: cohen_kappa_score(doctors["first"], doctors[name], weights=weights) for name in others}


pd.DataFrame({"kappa": with_first(None), "quadratic": with_first("quadratic")}).round(2)

# %% [markdown]
# The classes are ordered, and plain kappa treats a neighbour like the far end. **Weighted kappa** (quadratic: the squared distance counts) gives 0.80<!-- =kappas[second, quadratic] --> where the plain one gives 0.54<!-- =kappas[second, kappa] -->: that doctor is often one step off, rarely two. Choose the weights before you look.
#
# ## Twenty trips
#
# Now you are the labeller. Twelve of these twenty records were picked because they are odd.

# %% name="sheet"
trips = readers.records("2019-01", "2019-12")
mine = Form(readers.sheet(trips, seed=0), version=1, by_hand=label_myself)
mine

# %% [markdown]
# A colleague has read the same sentence. (The colleague is a program. Its rules are in `src/lessons/trip_labels/readers.py`; look after you have labelled.)

# %% name="differ"
sheet, you = mine.sheet, mine.labels
colleague = readers.read(sheet, "colleague", version=1)
print(f"agreement {(you == colleague).mean():.2f}, kappa {cohen_kappa_score(you, colleague):.2f}")
readers.shown(sheet).assign(you=you, colleague=colleague)[you != colleague]

# %% [markdown]
# Kappa is 0.35<!-- =differ: kappa ([\d.]+) -->. Nobody was careless. *Can a trip without a passenger have happened? One with money back? One of zero miles?* The sentence does not say, and each reader answers the same way every time. Such disagreement is **systematic**. A third reader only decides which reading wins. The other kind is a **slip**: a random error against one's own reading.
#
# So the guideline gets four rules; the first three answer these questions. Measure again, on **new** records (one came up again by chance): on the old ones the rules are already the answers.

# %% name="sheet_2"
mine = Form(readers.sheet(trips, seed=1), version=2, by_hand=label_myself)
mine

# %% name="again"
you, colleague = mine.labels, readers.read(mine.sheet, "colleague", version=2)
print(f"agreement {(you == colleague).mean():.2f}, kappa {cohen_kappa_score(you, colleague):.2f}")

# %% [markdown]
# 0.90<!-- =again: kappa ([\d.]+) -->, on twenty records. Is that the guideline or luck? Repeat with many sheets, and with 2,000<!-- given --> trips **as they come**. From now on each reader also slips on three labels in a hundred. *Both no*: when one reader says *no*, how often the other does.

# %% name="paradox"
rows = []
for seed in range(sheets):
    drawn = {
        "sheets": readers.sheet(trips, 1000 + seed),
        "as they come": trips.sample(2000, random_state=seed),
    }
    for name, some in drawn.items():
        for version in (1, 2):
            rows.append({"case": f"{name}, version {version}"} | readers.compared(some, version, seed))
cases = pd.DataFrame(rows).groupby("case", sort=False)
ends = cases["kappa"].quantile([0.025, 0.975]).unstack().set_axis(["kappa from", "to"], axis=1)
cases.mean().join(ends).round(2)

# %% [markdown]
# The guideline brought kappa from 0.33<!-- =paradox[sheets, version 1, kappa] --> to 0.83<!-- =paradox[sheets, version 2, kappa] --> on average (*from* and *to* hold 95<!-- given --> % of the sheets: a single sheet of twenty says little).
#
# Now the **paradox**. On trips as they come the same two readers agree on 0.94<!-- =paradox[as they come, version 2, agreement] -->, no less than on the sheets, and kappa is 0.35<!-- =paradox[as they come, version 2, kappa] -->. Hardly any trip is bad, so luck alone agrees on nearly everything, and the few *no* are mostly slips.

# %% name="curve"
share = np.linspace(0.005, 0.5, 100)
says_no = share * 0.97 + (1 - share) * 0.03  # a reader who slips on three labels in a hundred
observed, by_luck = 0.97**2 + 0.03**2, says_no**2 + (1 - says_no) ** 2
use_style()
ax = pd.DataFrame({"kappa": (observed - by_luck) / (1 - by_luck), "agreement": observed}, 100 * share).plot()
ax.set(xlabel="bad records, %", ylabel="between two equal readers", ylim=(0, 1.02))
ax.set_title("The rarer the class, the lower kappa")
plt.show()

# %% [markdown]
# *Figure: agreement and kappa of two readers of the same quality against the share of bad records. Agreement is level and high; kappa is nearly as high at one half, and falls steeply where bad records are rare.*
#
# So kappa measures readers **and** mixture. Compare it only between sets with the same shares, and report beside it the agreement on the rare class: *both no* is 0.38<!-- =paradox[as they come, version 2, both no] -->. No threshold ("0.6<!-- given --> is substantial") knows your shares.

# %% [markdown]
# ## What a vote is worth
#
# The **majority** counts every rater alike. Suppose you know better: a rater says *yes* to a true *yes* with probability $h$ (hit), and to a true *no* with probability $f$ (false alarm). By Bayes, a *yes* multiplies the odds by $h/f$, a *no* by $(1-h)/(1-f)$, **if raters err independently** given the truth.
#
# ### Your turn

# %% exercise="weigh"

# %%
exercise.check(weigh)

# %% [markdown]
# And if nobody tells you the quality? **Dawid and Skene** estimate it from the votes, by EM: guess the truth, count how each rater answers each class, weigh the votes by that, guess again.


# %% name="em"
def dawid_skene(votes, steps=50):
    """votes[item, rater, class] counts labels; returns P(class) of each item, and P(says | true) of each rater."""
    items, raters, classes = votes.shape
    flat, truth = votes.reshape(items, -1), votes.sum(axis=1)
    truth = truth / truth.sum(axis=1, keepdims=True)
    for _ in range(steps):
        says = (truth.T @ flat).reshape(classes, raters, classes) + 0.001  # never quite zero
        says /= says.sum(axis=2, keepdims=True)
        logs = np.log(truth.mean(axis=0) + 1e-12) + flat @ np.log(says).reshape(classes, -1).T
        truth = np.exp(logs - logs.max(axis=1, keepdims=True))
        truth /= truth.sum(axis=1, keepdims=True)
    return truth, says


# %% name="settled"
one_hot = np.eye(4)[doctors.to_numpy() - 1]  # patient, column, class
votes = np.concatenate([one_hot[:, :3].sum(axis=1, keepdims=True), one_hot[:, 3:]], axis=1)
truth, says = dawid_skene(votes)
settled = doctors.assign(majority=votes.sum(axis=1).argmax(axis=1) + 1, model=truth.argmax(axis=1) + 1)
print(f"shares {truth.mean(axis=0).round(2)}; the first, of class 4, says {says[3, 0].round(2)}")
settled[settled["majority"] != settled["model"]]

# %% [markdown]
# The shares are those of the paper. Three patients are settled otherwise (patient 12<!-- given --> is a tie by votes). The majority counts the first doctor's three readings like any three votes; the model has found that this doctor says *three* to 0.56<!-- =settled: says \[\S+ +\S+ +([\d.]+) --> of class four. Is it right? Nobody knows, so simulate.


# %% name="simulate"
def simulated(seed, right, items, copied=False):
    """The truth and each rater's votes; `right`: how often each is right. Copied: the second repeats the first."""
    rng = np.random.default_rng(seed)
    truth, correct = rng.random(items) < 0.5, rng.random((items, len(right))) < right
    correct[:, 1] = correct[:, 0] if copied else correct[:, 1]
    return truth, correct == truth[:, None]


def scored(truth, votes, right):
    weights = np.log(np.array(right) / (1 - np.array(right)))  # log odds, here with h = 1 - f
    model = dawid_skene(np.stack([~votes, votes], axis=2).astype(float))[0][:, 1]
    told = {"one rater": votes.T, "majority": votes.mean(axis=1) > 0.5, "Dawid–Skene": model > 0.5}
    told["known quality"] = np.where(votes, 1, -1) @ weights > 0
    return {name: 100 * (said == truth).mean() for name, said in told.items()}


# %% name="em_trial"
mixed, alike = [0.6, 0.6, 0.6, 0.9, 0.9], [0.8] * 5
tried = {"mixed, 500 items": (mixed, 500), "mixed, 10 items": (mixed, 10), "alike, 500 items": (alike, 500)}
tried |= {"alike, 20 items": (alike, 20), "one copies": ([0.7, 0.7, 0.7, 0.9, 0.9], 500, True)}
table = {}
for name, (right, *rest) in tried.items():
    runs = pd.DataFrame([scored(*simulated(seed, right, *rest), right) for seed in range(seeds)])
    gain = runs["Dawid–Skene"] - runs["majority"]
    half = 1.96 * gain.std() / len(gain) ** 0.5
    ends = {"gain from": gain.mean() - half, "to": gain.mean() + half, "% worse": 100 * (gain < 0).mean()}
    table[name] = runs.mean().to_dict() | ends
pd.DataFrame(table).T.round(1)

# %% [markdown]
# Per cent right; *gain* is the model against the majority, *% worse* the seeds in which it loses.
#
# - Raters of **mixed** quality, many items: 3.9<!-- =em_trial[mixed, 500 items, gain from] --> to 4.5<!-- =em_trial[mixed, 500 items, to] --> points better, close to knowing the quality. On ten items no sure gain is left.
# - Raters **alike**: nothing to gain, and on few items it loses, because quality is guessed from too little.
# - One rater **copies** another: it falls to 69.8<!-- =em_trial[one copies, Dawid–Skene] -->, where the majority has 86.6<!-- =em_trial[one copies, majority] -->. The two always agree, so the model takes them for the experts. Errors are not independent, and readers who share a misreading are such copies.
#
# So take the majority, unless raters differ, label many items each and work alone. And plant items whose answer you know: they measure each rater.

# %% [markdown]
# ## People
#
# The job: 10,000<!-- given --> trips as they come; truth is the guideline as its owner means it. Each reading goes to one of the two readers at random. A third reading is asked only where two differ, which gives the same majority.
#
# **Predict first.** Three readings of the old guideline, or one of the new?

# %% name="people"
reading = (mine.seconds or seconds) / 3600 * wage  # dollars
jobs = [row for seed in range(10) for version in (1, 2) for row in readers.job(trips, seed, version)]
plans = pd.DataFrame(jobs).groupby("plan")
table = plans.mean().join(plans["wrong"].agg(["min", "max"]))
table["dollars"] = 10_000 * table["readings"] * reading + guideline_price * table.index.str.endswith("2")
table.round(1).round({"dollars": 0})

# %% [markdown]
# *Wrong* is per 100<!-- given --> labels (*min* and *max*: ten draws), *bad found* per 100<!-- given --> bad trips. One reading under the old guideline is wrong more often than *yes to all*: 4.9<!-- =people[one reading, version 1, wrong] --> against 1.8<!-- =people[yes to all, wrong] -->. Votes bring that down to 2.3<!-- =people[two or three, version 1, wrong] -->, below the 3.0<!-- =people[one reading, version 2, wrong] --> of one reading of the new. But they cure slips, not misreadings: they find 61<!-- =people[two or three, version 1, bad found] --> of 100<!-- given --> bad trips as before. The new guideline costs 480<!-- given --> dollars once and finds 96<!-- =people[one reading, version 2, bad found] -->; with votes it is wrong for 0.3<!-- =people[two or three, version 2, wrong] -->. **First the guideline, then votes.** And rules two and three are arithmetic: a program applies them for nothing.

# %% [markdown]
# ## What may leave the house
#
# The labellers work for another firm. A colleague replaces each zone by its SHA-256<!-- given -->, "so it's anonymous".


# %% name="hashed"
def hashed(zone):
    return hashlib.sha256(str(zone).encode()).hexdigest()


read_back = {hashed(zone): zone for zone in range(1, 266)}
same = trips["zone"].map(hashed).map(read_back) == trips["zone"]
print(f"read back: {same.mean():.0%} of {len(trips):,} trips")

# %% [markdown]
# A hash of few values is a table (in 2014<!-- given --> New York's taxi numbers, hashed with MD5, were read back this way). So the colleague uses a secret **key** (HMAC): nobody can compute the table. But a zone keeps its habits. Compare the hours at which trips begin with a public table of the month before:

# %% name="keyed"
by_month = dict(list(trips.groupby("month")))
found = [privacy.read_back(by_month[now], by_month[now - 1], key=b"secret") for now in range(2, 13)]
print(f"read back: {np.mean(found):.0%} of the trips ({min(found):.0%} to {max(found):.0%} in 11 months)")
seen = [privacy.alone(rows[["zone", "day", "hour"]]) for rows in by_month.values()]
print(f"alone by zone, day and hour: {min(seen):.0f} to {max(seen):.0f} % of a month's trips")

# %% [markdown]
# 49<!-- =keyed: back: (\d+) --> % of the trips have their zone again. Now somebody saw you get into a taxi there, in that hour. For 64<!-- =keyed: hour: (\d+) --> to 67<!-- =keyed: to (\d+) % of --> % of the trips a single row fits (if yours is in the file), and it shows where you went and what you paid. **Pseudonyms are not anonymity**; EU law treats such data as personal.
#
# So drop zone and clock, and send minutes, miles and fare. A row is **alone** if no other is equal: a receipt, or a public file, then finds it. (*k-anonymous*: each row has at least $k - 1$ equals.) Rounding hides it, and costs labels:

# %% name="alone"
owner, table = readers.read(trips, "owner", version=2), {}
steps_of = {"as it is": (1 / 60, 0.01, 0.01), "1 min, 0.1 mile, 1 dollar": (1, 0.1, 1)}
steps_of |= {"2 min, 0.5 mile, 2 dollars": (2, 0.5, 2), "5 min, 1 mile, 5 dollars": (5, 1, 5)}
for name, steps in steps_of.items():
    rows = readers.rounded(trips, *steps)
    sent = rows[["minutes", "trip_distance", "fare_amount"]]
    row = {"% alone in January": privacy.alone(sent[rows["month"] == 1]), "in the year": privacy.alone(sent)}
    row["kappa with exact"] = cohen_kappa_score(owner, readers.read(rows, "owner", version=2))
    table[name] = row
pd.DataFrame(table).T.round(2)

# %% [markdown]
# As they are, 93<!-- =alone[as it is, % alone in January] --> % of January's rows are alone. (In this **sample** of 10,000<!-- given -->: more rows hide each other, as the year shows, and the city's file has millions.) One minute, a tenth of a mile and a dollar leave 18<!-- =alone[1 min, 0.1 mile, 1 dollar, % alone in January] --> %, at a kappa of 0.96<!-- =alone[1 min, 0.1 mile, 1 dollar, kappa with exact] -->. The coarsest steps hide nearly all and ruin the labels. Send what the guideline needs, rounded as far as kappa allows.

# %% [markdown]
# ## One class more
#
# Later the owner wants a third class, *cancelled*: no miles, or less than a minute. Each reader of the old guideline gave half of the labels.

# %% name="class"
found = [readers.relabelled(trips.sample(10_000, random_state=seed), seed) for seed in range(10)]
pd.DataFrame(found).agg(["mean", "min", "max"]).round(0)

# %% [markdown]
# Reading the old *no* again finds 59<!-- =class[mean, % found there] --> % of the new class; the rest was called *yes*. Reading all 10,000<!-- given --> again costs as much as the first time. Had each *no* carried its **reason** (which rule), and the rules been clear, the answer would be a query. Label facts, and derive verdicts.

# %% [markdown]
# ## Take-aways
#
# - Measure agreement before accuracy, on items read twice. Kappa is agreement beyond luck; it falls with a rare class, so report the agreement on that class too.
# - Systematic disagreement is a fault of the guideline. Mend it, and measure again on new items. More votes cure slips only.
# - Dawid–Skene beats the majority when raters differ, label much and err independently. It loses on few items, and badly when raters copy.
# - A pseudonym is not anonymity. Send few columns, rounded, and test which rows are alone.
# - Keep rater, guideline version and reason with every label; the next class will ask for them.

# %% [markdown]
# ## In an interview
#
# - *Two raters agree on 94<!-- given --> % and kappa is 0.35<!-- given -->. Are the labels good?* Shown in [Twenty trips](#Twenty-trips).
# - *Three votes a label, or a better guideline?* Shown in [What a vote is worth](#What-a-vote-is-worth) and [People](#People).
# - *We hash the ids before we send the data out. Is that enough?* Shown in [What may leave the house](#What-may-leave-the-house).
#
# With the points of a good answer, and more of them: `walkforward practice --lesson 02a` in a terminal.
#
# ## Up next
#
# [02b · Fewer labels](02b_fewer_labels.ipynb) gets by with fewer: rules that vote, a model that asks, and a search for wrong labels.
