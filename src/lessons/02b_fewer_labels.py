# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
#   walkforward:
#     ci:
#       seeds: 4
# ---

# %% [markdown]
# # 02b · Fewer labels
#
# After this lesson you can spend a small budget of labels four ways, say which way fits your task, and find labels that are wrong.

# %% [markdown]
# > **You will learn to** write labelling functions and read their coverage, accuracy and conflicts · combine them by a label model · let a model ask for labels · compare both with random labels on one budget · find wrong labels, and say when they are not wrong
# >
# > **Before you start** [01b · Better models](01b_better_models.ipynb) · [02a · What a label costs](02a_labels.ipynb)
# >
# > **Time** 60 minutes of study; it runs in half a minute
# >
# > **Interview questions it answers** You have a budget of 200<!-- given --> labels. Which rows do you label? · What is weak supervision, and when does it fail? · How do you find wrong labels?

# %% [markdown]
# A taxi from Kennedy airport to Manhattan, or back, costs a flat 52<!-- given --> dollars. The driver sets a **rate code**, and the meter follows it. Suppose that the feed you get has lost the codes, the fares, and the exact zones, and leaves you the borough of each end. An auditor can look up a trip's code on the receipt: that is a label, and an expensive one. Which trips were charged the flat fare? Here you kept the codes, so you can judge every way to save labels.

# %% tags=["parameters"]
seeds = 20  # repetitions of each comparison, each with its own pool
budget, first, batch = 200, 40, 20  # labels to buy; the first of them, and how many a time after that
pool_size = 5_000  # trips without labels

# %% name="trips"
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from cleanlab.filter import find_label_issues
from scipy.special import expit, logit
from sklearn.model_selection import cross_val_predict
from xgboost import XGBClassifier

from course import exercise
from course.exercise import TODO
from lessons.flat_fares.task import COLUMNS, between, coded_trips, fit, highest, hits, mean_interval, score
from walkforward.plots import use_style

use_style()
trips = coded_trips()
early = trips[trips["month"] < "2019-01"]
test = trips[trips["month"] >= "2019-07"].sample(20_000, random_state=0)
print(f"{len(early):,} trips of 2018, {early['flat'].mean():.1%} flat; {test['flat'].sum()} flat in the test")

# %% [markdown]
# ## Two hundred labels at random
#
# The obvious way: label trips drawn at random, and fit a small XGBoost model on distance, duration, hour, weekday and boroughs. One measure judges everything below. You inspect as many trips as there are flat ones, the highest scores first; the **hits** are the share that is flat. (At this cut, precision and recall are the same number.)
#
# **Predict first.** With 200<!-- given --> labels: how many of them say *flat*, and how many hits in a hundred?


# %% name="tested"
def pool_of(seed):
    """Trips whose labels you may buy, in random order."""
    return early.sample(pool_size, random_state=seed)


def tested(rows, labels, target="flat"):
    """Hits on the test of a model that learns from these labels."""
    return hits(score(fit(rows, labels), test), test[target])


# %% name="random"
sizes = [first, 100, budget, pool_size]
bought = [[tested(pool[:n], pool["flat"][:n]) for n in sizes] for pool in map(pool_of, range(seeds))]
at_random = mean_interval(pd.DataFrame(bought, columns=sizes)).rename_axis("labels")
at_random["flat ones"] = [size * early["flat"].mean() for size in sizes]
at_random.round(2)

# %% [markdown]
# You pay for 200<!-- given --> labels and get three or four flat trips among them. The hits are 0.49<!-- =random[200, mean] -->, against 0.83<!-- =random[5000, mean] --> with all labels of the pool. When a class is rare, most of a random budget buys the answer that you knew.
#
# The interval is a 95<!-- given --> % t-interval over seeds: other pools, one test. (Its 399<!-- =trips: ; (\d+) --> flat trips widen a mean's interval by about 0.04<!-- given --> on either side; a difference hardly changes.)

# %% [markdown]
# ## Write functions, not labels
#
# You know something about the city. A **labelling function** puts one such idea into a line: it votes *yes*, votes *no*, or is silent. None is always right. Labels made so are called **weak supervision**.


# %% name="functions"
YES, NO, SILENT = 1, 0, -1

functions = {
    "over 15 miles": (YES, lambda trips: trips["miles"] > 15),
    "Manhattan and Queens": (YES, lambda trips: between(trips, "Manhattan", "Queens")),
    "over 30 minutes": (YES, lambda trips: trips["minutes"] > 30),
    "under 20 minutes": (NO, lambda trips: trips["minutes"] < 20),
    "one borough": (NO, lambda trips: trips["start"] == trips["end"]),
    "leaves the city": (NO, lambda trips: (trips["start"] == "other") | (trips["end"] == "other")),
}


# %% name="votes"
def votes_of(trips):
    columns = {name: np.where(when(trips), vote, SILENT) for name, (vote, when) in functions.items()}
    return pd.DataFrame(columns, trips.index)


def lead_of(votes):
    """By how many votes yes is ahead."""
    return (votes == YES).sum(axis=1) - (votes == NO).sum(axis=1)


# %% [markdown]
# Three numbers describe a function: its **coverage** (the share of trips on which it votes), its **accuracy** there, and its **conflicts** (the share of all trips on which it votes and another function says the opposite). Only accuracy needs labels.

# %% name="described"
votes = votes_of(early)
yes, no = (votes == YES).sum(axis=1), (votes == NO).sum(axis=1)
described = {}
for name, vote in votes.items():
    spoke = vote != SILENT
    row = {"coverage": spoke.mean(), "accuracy": (vote == early["flat"])[spoke].mean()}
    row["conflicts"] = (spoke & (yes > 0) & (no > 0)).mean()
    described[name] = row | {"votes in 200 trips": 200 * spoke.mean()}
pd.DataFrame(described).T.round(3)

# %% [markdown]
# (A function here votes one way only, so it is in conflict wherever both words are said.) Don't be charmed by 0.999<!-- =described[one borough, accuracy] -->: a function that says *no* is right on 98<!-- given --> % of the trips without knowing anything. And the accuracy of *over 15 miles* can't be had from 200<!-- given --> random labels, for it votes on five of them. Check such a function on trips where it votes.
#
# The functions disagree. The plain way out is the **majority vote**. But a *yes* that is said on few trips tells you more than a *no* that is said on most. You need, for each function, how often it says each word on flat trips and on others. Suppose that you know these rates.

# %% [markdown]
# ### Your turn

# %% exercise="combine_votes"

# %%
exercise.check(combine_votes)

# %% [markdown]
# ## The rates without labels
#
# You don't know the rates. A **label model** guesses the truth by majority, takes the rates from the guess, weighs the votes by the rates for a better guess, and repeats: the EM algorithm. It assumes that functions err **independently** within a class.


# %% name="label_model"
def label_model(votes, share=None, steps=50):
    """P(flat) of each trip; without `share`, the share of flat trips is guessed as well."""
    said = np.hstack([votes == word for word in (YES, NO, SILENT)]).astype(float)
    p = expit(3 * np.sign(lead_of(votes).to_numpy()))
    for _ in range(steps):
        flat, other = ((weight @ said + 0.01) / (weight.sum() + 0.03) for weight in (p, 1 - p))
        p = expit(logit(p.mean() if share is None else share) + said @ np.log(flat / other))
    return p


# %% [markdown]
# Snorkel made this idea known (its model is fitted in another way). Its last release is of February 2024<!-- given -->; the company sells a platform instead. So take the idea and these ten lines.
#
# Judge it on each month of 2018<!-- given -->. Give it a share of flat trips, 2<!-- given --> %, which the accounts would tell you. *Copies* has *over 30 minutes* three times, as if two colleagues had written the same function.
#
# **Predict first.** Which wins, majority or label model? What do the copies do to each?


# %% name="rivals"
def rivals(votes):
    """A score of each trip, by several ways."""
    scores = {"a rule": (votes.iloc[:, :2] == YES).all(axis=1)}
    copies = votes.assign(second=votes["over 30 minutes"], third=votes["over 30 minutes"])
    for note, table in {"": votes, ", copies": copies}.items():
        scores["majority" + note] = lead_of(table)
        scores["label model" + note] = label_model(table, share=0.02)
    scores |= {f"share of {share}": label_model(votes, share) for share in (0.005, 0.04, 0.08)}
    return scores | {"share guessed": label_model(votes)}


# %% name="combined"
months = {}
for month, rows in early.groupby("month"):
    scores = rivals(votes_of(rows))
    months[month] = {name: hits(one, rows["flat"]) for name, one in scores.items()}
print(f"called flat by the label model: {(label_model(votes, 0.02) > 0.5).mean():.1%} of the trips")
mean_interval(pd.DataFrame(months).T).round(2)

# %% [markdown]
# - The label model wins, 0.90<!-- =combined[label model, mean] --> against 0.80<!-- =combined[majority, mean] -->, without a single label.
# - It knows the **order**, not the level: it calls 8<!-- =combined: model: (\d+) --> % of the trips flat, over four times too many, because distance and duration err together. Take its best 2<!-- given --> %, not all above 0.5<!-- given -->.
# - **Copies** ruin it: 0.18<!-- =combined[label model, copies, mean] -->. Three functions that always agree look like three witnesses, so EM finds *their* class, long trips. Majority loses little.
# - A share of 8<!-- given --> %, or a guessed one, gives about 0.78<!-- =combined[share guessed, mean] -->.
# - **A rule** (over 15<!-- given --> miles, Manhattan and Queens) does as well. If somebody knows the rule, write the rule.
#
# Was that the model, or luck with six functions? Take every set of three or more of them.

# %% name="sets"
from itertools import combinations

sample, gains = early.sample(20_000, random_state=0), []
for size in range(3, 7):
    for names in map(list, combinations(functions, size)):
        votes = votes_of(sample)[names]
        two = [hits(scores, sample["flat"]) for scores in (lead_of(votes), label_model(votes, 0.02))]
        gains.append({"functions": size, "gain": two[1] - two[0]})
gains = pd.DataFrame(gains).assign(better=lambda t: t["gain"] > 0.01, worse=lambda t: t["gain"] < -0.01)
print(f"label model better in {gains['better'].sum()} of {len(gains)} sets, worse in {gains['worse'].sum()}")
gains.groupby("functions").agg({"gain": ["size", "min", "mean", "max"]})["gain"].round(2)

# %% [markdown]
# It was luck. The label model is better by more than 0.01<!-- given --> in 4<!-- =sets: better in (\d+) --> of 42<!-- =sets: of (\d+) sets --> sets and worse in 15<!-- =sets: worse in (\d+) -->; in the rest it makes no difference. The votes can't tell you which case is yours. A few labels can: buy them where the two ways differ.

# %% name="differ"
pool = pool_of(0)
both = lead_of(votes_of(pool)), label_model(votes_of(pool), 0.02)
best = [set(highest(scores, pool_size // 50)) for scores in both]
for name, mine, theirs in zip(("majority", "label model"), best, reversed(best), strict=True):
    only = pool["flat"].iloc[list(mine - theirs)]
    print(f"only in the best 2 % of the {name}: {len(only)} trips, {only.sum()} of them flat")

# %% [markdown]
# 28<!-- given --> labels settle it: 10<!-- =differ: model: \d+ trips, (\d+) --> of 14<!-- =differ: model: (\d+) --> against 0<!-- =differ: majority: \d+ trips, (\d+) --> of 14<!-- =differ: majority: (\d+) -->. Look for copies before you trust a label model, and keep the majority as its baseline.
#
# ## Let the model ask
#
# **Active learning** by uncertainty: fit on the first 40<!-- given --> labels, buy the labels of the 20<!-- given --> trips whose probability is nearest to a half, fit again, until the budget is spent.


# %% name="ask"
def asked(pool, target="flat"):
    """The positions that uncertainty buys, in the order of the purchase."""
    chosen = list(range(first))
    while len(chosen) < budget:
        rows = pool.iloc[chosen]
        doubt = -np.abs(score(fit(rows, rows[target]), pool) - 0.5)
        doubt[chosen] = -1
        chosen += list(highest(doubt, min(batch, budget - len(chosen))))
    return chosen


# %% [markdown]
# **Self-training** buys its labels at random. Then it takes the model's own sure answers on the rest as labels, and fits again.


# %% name="self"
def self_trained(pool, sure=0.9, rounds=3):
    """A model of the bought labels and of its own sure answers, and those answers."""
    known, rest = pool[:budget], pool[budget:]
    model, own = fit(known, known["flat"]), rest[:0]
    for _ in range(rounds):
        p = pd.Series(score(model, rest), rest.index)
        own = rest.assign(own=(p > 0.5).astype(int))[(p - 0.5).abs() > sure - 0.5]
        model = fit(pd.concat([known, own]), pd.concat([known["flat"], own["own"]]))
    return model, own


# %% [markdown]
# And the **functions**: the best 2<!-- given --> % of the pool by vote become yes, the rest no, and the same XGBoost learns from that. They are not free. If a label takes half a minute and a function ten, six functions cost 120<!-- given --> labels. The other 80<!-- given --> pay for the choice between majority and label model, as above.
#
# **Predict first.** Order the five ways by their hits: random, uncertainty, self-training, majority, label model.


# %% name="ways"
def by_functions(pool):
    votes, found = votes_of(pool), {}
    for name, scores in {"majority": lead_of(votes), "label model": label_model(votes, 0.02)}.items():
        best = highest(scores, pool_size // 50)
        found[name] = tested(pool, np.isin(np.arange(pool_size), best).astype(int))
    return found


# %% name="notes"
race, notes = [], []
for pool in map(pool_of, range(seeds)):
    chosen, (model, own) = pool.iloc[asked(pool)], self_trained(pool)
    row = {"at random": tested(pool[:budget], pool["flat"][:budget])}
    row |= {"self-training": hits(score(model, test), test["flat"])}
    race.append(row | {"uncertainty": tested(chosen, chosen["flat"])} | by_functions(pool))
    row = {"first": pool["flat"][:first].sum(), "chosen": chosen["flat"].mean()}
    notes.append(row | {"own yes": own.loc[own["own"] == 1, "flat"].mean()})

# %% name="race"
race, notes = pd.DataFrame(race), pd.DataFrame(notes)
gain = mean_interval(race.sub(race["at random"], axis=0))[["low", "high"]]
mean_interval(race).assign(worst=race.min()).join(gain, rsuffix=" of gain").round(2)

# %% name="spread"
figure, axes = plt.subplots(figsize=(7, 2.8))
for place, way in enumerate(race.columns[::-1]):
    axes.plot(race[way], np.full(seeds, place), "o", alpha=0.4)
axes.set_yticks(range(5), race.columns[::-1])
axes.set(xlabel="hits, a point a pool", title="Functions are steady; what 200 labels buy depends on luck")
plt.show()

# %% [markdown]
# *Figure: hits of five ways, a row of points each. Random labels, self-training and uncertainty spread from near 0<!-- given --> to 0.7<!-- given --> and more; majority lies near 0.76<!-- =race[majority, mean] --> and the label model near 0.83<!-- =race[label model, mean] -->, with little spread.*
#
# The table's gain is the difference to random labels, pool by pool.
#
# - **Uncertainty** turns 0.49<!-- =race[at random, mean] --> into 0.74<!-- =race[uncertainty, mean] -->. But look at its worst seed.
# - **Self-training** adds nothing that the interval can tell from zero. A model repeats what it believes.
# - **The label model** (of these six functions) reaches 0.83<!-- =race[label model, mean] --> with hardly a bad seed: as much as 5,000<!-- given --> labels do.
#
# ## Where each of them loses

# %% name="cold"
print(f"flat among the labels that uncertainty chose: {notes['chosen'].mean():.0%}")
print(f"right among self-training's own yes: {notes['own yes'].mean():.0%}")
start = pd.Series(np.where(notes["first"] == 0, "none", "one or more"), name="flat among the first 40")
race.groupby(start)["uncertainty"].agg(["size", "mean"]).round(2)

# %% [markdown]
# - **Random labels** lose when the class is rare.
# - **Uncertainty** starts blind. Without a flat trip among the first 40<!-- given --> labels there is no model to be uncertain, and it asks at random until one turns up (0.69<!-- =cold[none, mean] --> against 0.80<!-- =cold[one or more, mean] -->; twenty pools are few). And its labels are no sample: 28<!-- =cold: chose: (\d+) --> % of them are flat. Estimate no share and no score from them; keep a random test set (its labels cost too; here they were free).
# - **Self-training** loses by its own errors: of the trips that it surely calls flat, 70<!-- =cold: yes: (\d+) --> % are.
# - **Functions** lose by shared errors, and where nobody knows anything to write.
#
# The last case is common. Take another target, *paid in cash*, which is not rare (28<!-- given --> %) and hardly in the columns at all.

# %% name="cash"
cash = []
for pool in map(pool_of, range(seeds)):
    chosen = pool.iloc[asked(pool, "cash")]
    row = {"at random": tested(pool[:budget], pool["cash"][:budget], "cash")}
    cash.append(row | {"uncertainty": tested(chosen, chosen["cash"], "cash")})
cash = pd.DataFrame(cash)
cash["gain"] = cash["uncertainty"] - cash["at random"]
print(f"paid in cash: {test['cash'].mean():.3f}")
mean_interval(cash).round(3)

# %% [markdown]
# No gain: the interval holds zero. The model is uncertain because nobody can know, so its questions are as good as any. Where labels are cheap, or the columns can't tell, take random labels: they are also an honest sample.

# %% [markdown]
# ## Labels that are wrong
#
# You have taken the rate code for the truth. Is it? **Confident learning** looks for wrong labels with a model that never saw them: probabilities from cross-validation. The threshold of a class is the mean probability that its own members get. A row that reaches the threshold of **another** class is suspect. It assumes that errors depend on the class, and not on the row.

# %% [markdown]
# ### Your turn

# %% exercise="label_suspects"

# %%
exercise.check(label_suspects)

# %% [markdown]
# cleanlab does it (with its care for many classes) in `find_label_issues`. Run it on each quarter of 2018 and 2019. A witness judges: the exact zones, which the model never saw. By the tariff, *flat* is due between Kennedy airport and Manhattan and nowhere else.
#
# **Predict first.** Which suspects are wrong labels: those coded flat, or those coded standard?

# %% name="judged"
judge = XGBClassifier(n_estimators=50, max_depth=4, learning_rate=0.2, n_jobs=1)
found = []
for _, rows in trips.groupby("quarter"):
    p = cross_val_predict(judge, rows[COLUMNS].to_numpy(float), rows["flat"], cv=3, method="predict_proba")
    issue = find_label_issues(rows["flat"].to_numpy(), p, filter_by="confident_learning", n_jobs=1)
    found.append(rows.assign(suspect=issue))

# %% name="issues"
found = pd.concat(found).assign(wrong=lambda rows: rows["flat"] != rows["due"])
found["code"] = found["flat"].map({0: "standard", 1: "flat"})
suspect = found[found["suspect"]].groupby("code")["wrong"].agg(suspects="size", wrong="sum")
suspect["wrong of all"] = found.groupby("code")["wrong"].sum()
suspect

# %% [markdown]
# Two lists in one. Of the 136<!-- =issues[flat, suspects] --> suspects coded **flat** all but one break the tariff: most are short trips inside Manhattan. Of the 192<!-- =issues[standard, suspects] --> coded **standard** 26<!-- =issues[standard, wrong] --> are wrong. Most of the others are long trips between Manhattan and other parts of Queens, which look the same to the model. Delete the whole list, and you delete true, hard examples.
#
# Nor is the list complete: of 548<!-- =issues[flat, wrong of all] --> trips wrongly coded flat it has 135<!-- =issues[flat, wrong] -->. A wrong label on a trip that looks right can't be seen from these columns.
#
# And *wrong* has two meanings. The passenger did pay the flat fare, so as a record of the charge the code is right; as a record of what was due it is wrong. Say in the guideline which one you label.
#
# So a suspect is a question to a person, and the list says where to ask first.

# %% [markdown]
# ## Take-aways
#
# - A rare class makes random labels dear: most of them say no. They stay the only honest test set.
# - Labelling functions turn knowledge into labels. A label model beats majority where the functions err independently; check by labels where the two differ.
# - Uncertainty sampling helps when the class is rare and learnable. It starts blind, and its labels are no sample.
# - Self-training on few labels repeats the model's beliefs.
# - Confident learning lists disagreements between model and label. A person decides which side is wrong.

# %% [markdown]
# ## In an interview
#
# - *You have a budget of 200<!-- given --> labels. Which rows do you label?* Shown in [Let the model ask](#Let-the-model-ask) and [Where each of them loses](#Where-each-of-them-loses).
# - *What is weak supervision, and when does it fail?* Shown in [The rates without labels](#The-rates-without-labels).
# - *How do you find wrong labels?* Shown in [Labels that are wrong](#Labels-that-are-wrong).
#
# With the points of a good answer, and more of them: `walkforward practice --lesson 02b` in a terminal.
#
# ## Up next
#
# The labels are there; now models multiply. [03a · Tracking](03a_tracking.ipynb) keeps a record of each of them.
