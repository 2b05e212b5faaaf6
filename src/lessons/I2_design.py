# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
#   walkforward:
#     ci:
#       sim_shops: 12
#       panel_shops: 40
# ---

# %% [markdown]
# # I2 · Design
#
# After this walkthrough you can lead a design interview yourself: four steps in 45 minutes, each box with a reason, each number worked out where the interviewer can see it.

# %% [markdown]
# > **You will learn to** get from the cost of an error to the quantity to order · tell sales from demand · put a baseline and its price before any model · work out rows, bytes and minutes · say what is watched and who acts · answer a blank case against a clock
# >
# > **Before you start** [13b · Walk-forward](13b_walk_forward.ipynb); [09a · Serving](09a_serving.ipynb) and [11d · Detectors](11d_detectors.ipynb) help
# >
# > **Time** 100 minutes of study, in 3 sittings, then tell it aloud once in 45; it runs in a few seconds
# >
# > **Interview questions it answers** Design the daily demand forecasts for 10,000<!-- given --> shops. · What do you ask before you choose a model? · A table or a service?

# %% [markdown]
# ## Parameters

# %% tags=["parameters"]
shops = 10_000
daily_articles = 200  # of them, what is ordered every day: bread, salads, sandwiches
horizon = 14  # days in the table of each night
sim_shops = 60  # in the simulation of empty shelves
panel_shops = 200  # in the backtest
show_seconds = False  # True prints what your machine does a second

# %%
import io
from statistics import NormalDist
from time import perf_counter

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.stats import binomtest
from xgboost import XGBRegressor

from course import exercise
from course.exercise import TODO
from course.practice.cards import practice_card
from walkforward.plots import PALETTE, use_style

use_style()

# %% [markdown]
# All costs and all sales in this walkthrough are made up for it. What they show is not.
#
# ## Sitting 1 · What to order
#
# **Time** 45 minutes. From the cost of an error to a rule that a model has to beat.

# %% [markdown]
# ## The first answer
#
# **Interviewer.** *A retail chain has 10,000<!-- given --> shops. Design the daily demand forecasts.*
#
# **Candidate.** *I'd train an LSTM, because it learns the seasonality by itself, and serve it behind a REST endpoint in Kubernetes with autoscaling.*
#
# **Interviewer.** *The shops order between five and half past five. Who calls your endpoint, and how often?*

# %% name="endpoint"
orders = shops * daily_articles
window = 30 * 60  # seconds
print(f"{orders:,} forecasts a morning")
print(f"{orders / window:,.0f} requests a second in that half hour, none in the rest of the day")
print(f"the machines work {30 / (24 * 60):.1%} of the day")

# %% [markdown]
# Two million questions, all known the evening before, and a service that has to be awake for 2.1<!-- =endpoint: work ([\d.]+)% --> % of the day. The interviewer goes on: *How much does a shop order if the forecast says 20? What do they order today, and how wrong is that? Your
# training data are sales: what did customers want on the day the shelf was empty by noon? The endpoint is down at five: now what?* The answer named a model and a technology. All four questions are about something else, and none of them can be repaired by a better network.

# %% [markdown]
# ## Four steps, 45 minutes
#
# | step | minutes | you leave it with | what is heard |
# |---|---|---|---|
# | **1 Frame** | 10 | who decides what until when, and what an error costs in each direction | you build for a decision |
# | **2 Data and baseline** | 12 | what the records leave out, the rule of one line and its price, a backtest | you know when to stop |
# | **3 System** | 13 | a drawing with numbers, a fallback for each arrow | you can run it |
# | **4 Operate** | 10 | what is watched and who acts, how it is rolled out, how it goes back | you have been called at night |
#
# Say the four names and the minutes aloud at the start, and offer to go deeper where the interviewer wants to. The model comes at the end of step 2. Keep it short if nobody asks; where the round is about modelling, give it ten minutes and take them from step 3.
#
# ## Step 1: Frame
#
# **Candidate.** *Before I draw: who uses the forecast, and for what?*
#
# **Interviewer.** *Each shop's order for tomorrow leaves at five this morning. A planner may overrule it.*
#
# **Candidate.** *So the last day we know is yesterday, and we need tomorrow: two days ahead, not one. Which articles?*
#
# **Interviewer.** *3,000<!-- given --> a shop; 200<!-- given --> of them fresh, ordered daily.*
#
# **Candidate.** *The others keep. They need a rule by the week, with a stock level. I'd leave them
# out today and start with the fresh ones.*

# %% [markdown]
# **Candidate.** *What does one sandwich too many cost, and one too few?*
#
# **Interviewer.** *Bought for 1.00<!-- given -->, sold for 2.50<!-- given -->, thrown away at night. An empty shelf loses the sale.*
#
# **Candidate.** *Only the sale, 1.50<!-- given -->? Or does the customer leave the basket there?*
#
# **Interviewer.** *Some do. Say
# another 2.50<!-- given --> on average.*
#
# That question was worth money. One too many costs 1, one too few 4. Order one piece more as long as the chance to sell it, times 4, exceeds the chance to be left with it, times 1. It stops where the chance that demand stays within the order is
#
# $$q = \frac{\text{too few}}{\text{too many} + \text{too few}}$$
#
# This is the **newsvendor** rule: the cost of an error is a **quantile** of demand. See what each answer to "how much" costs. Demand here scatters more than a Poisson count, as real demand does.

# %%
TOO_MANY, TOO_FEW = 1.0, 4.0
QUANTILE = TOO_FEW / (TOO_MANY + TOO_FEW)


# %%
def drawn(mean, rng, size=None) -> np.ndarray:
    """Demand with this mean, a count with a standard deviation of 8.4 at a mean of 20."""
    return rng.poisson(rng.gamma(8, np.asarray(mean) / 8, size))


# %%
def cost(order, demand) -> np.ndarray:
    return TOO_MANY * np.maximum(order - demand, 0) + TOO_FEW * np.maximum(demand - order, 0)


# %% name="quantity"
wanted = drawn(20.0, np.random.default_rng(7), 20_000)
answers = {"median": 0.5, "0.6 (basket forgotten)": 0.6, f"{QUANTILE:.1f} (newsvendor)": QUANTILE}
rows = {name: int(np.quantile(wanted, q)) for name, q in answers.items()}
rows = {"mean": round(wanted.mean())} | rows
table = {name: [n, cost(n, wanted).mean(), (wanted > n).mean()] for name, n in rows.items()}
table = pd.DataFrame(table, index=["order", "cost a day", "days with too few"]).T
table.astype({"order": int}).round(2)


# %% name="money"
saved = table.loc["mean", "cost a day"] - table.loc["0.8 (newsvendor)", "cost a day"]
print(f"one article, all shops, a year: {saved * shops * 365 / 1e6:.0f} million")
quantities = np.arange(10, 46)
ax = pd.Series([cost(n, wanted).mean() for n in quantities], quantities).plot()
ax.axvline(rows["mean"], color=PALETTE["red"], linestyle=":", label="mean")
ax.axvline(rows["0.8 (newsvendor)"], color=PALETTE["green"], linestyle="--", label="0.8 quantile")
ax.set(xlabel="pieces ordered", ylabel="cost a day", ylim=(0, None))
ax.set_title("The best order is six pieces above the best guess")
ax.legend()
plt.show()

# %% [markdown]
# *Figure: cost a day against pieces ordered. The curve falls steeply, is lowest at 26, and rises slowly. A dotted line marks the mean at 20, a dashed one the 0.8<!-- given --> quantile at 26.*
#
# A perfect forecast of the **mean** leaves too few on a share of 0.43<!-- =quantity[mean, days with too few] --> of all days, and no better model would repair it: the loss was wrong. The question about the basket and the quantile together are worth 13<!-- =money: year: (\d+) million --> million a year, for one sandwich of this made-up chain. You may say "RMSE" now only to say that it aims at the wrong number. The metric of this project is the cost above, which is pinball loss in money.
#
# ### Your turn

# %% exercise="order_quantity"

# %%
exercise.check(order_quantity)

# %% [markdown]
# ## Step 2: Data and baseline
#
# **Interviewer.** *You have three years of sales by shop, article and day.*
#
# **Candidate.** *And the stock? Sales stop at the order. On a day that sold out, demand was **at least** the sales: the day is **censored**.*
#
# **Interviewer.** *Some days. Drop them.*
#
# Try that. Some shops with a mean demand of 20, no season, nothing else that moves. Each week a shop orders the 0.8<!-- given --> quantile of what it has learned from the last eight weeks, starting from eight weeks with full shelves. Four ways to learn:


# %%
def quantile(values: np.ndarray) -> float:
    return float(np.quantile(values, QUANTILE, method="inverted_cdf"))


# %%
def censored_quantile(sales: np.ndarray, sold_out: np.ndarray) -> float:
    """The Kaplan-Meier quantile: a sold-out day counts as "more than that" until its sales are passed."""
    above = 1.0
    for value in np.unique(sales[~sold_out]):
        at_value = ((sales == value) & ~sold_out).sum()
        above *= 1 - at_value / (sales >= value).sum()
        if 1 - above >= QUANTILE - 1e-12:
            return float(value)
    return float(sales.max() + 1)  # the shelf has never been full enough to see it: order one more


# %%
learners = {
    "sales as they are": lambda sales, sold_out, demand: quantile(sales),
    "sold-out days dropped": lambda sales, sold_out, demand: quantile(sales[~sold_out]),
    "sold-out days as censored": lambda sales, sold_out, demand: censored_quantile(sales, sold_out),
    "true demand (nobody has it)": lambda sales, sold_out, demand: quantile(demand),
}


# %%
def a_year(learn, shop: int, weeks: int = 52, memory: int = 56) -> pd.DataFrame:
    """Order by the week, see only what is sold, learn from it."""
    demand = drawn(20.0, np.random.default_rng([1, shop]), memory + 7 * weeks)
    sales, sold_out, log = demand.copy(), np.zeros(len(demand), bool), []
    for now in range(memory, len(demand), 7):
        past, week = slice(now - memory, now), slice(now, now + 7)
        seen = ~sold_out[past]
        order = learn(sales[past], sold_out[past], demand[past]) if seen.any() else sales[past].max()
        sales[week], sold_out[week] = np.minimum(demand[week], order), demand[week] >= order
        log.append([len(log) + 1, order, sold_out[week].mean(), cost(order, demand[week]).mean()])
    return pd.DataFrame(log, columns=["week", "order", "days sold out", "cost a day"])


# %% name="spiral"
years = {
    name: pd.concat([a_year(learn, shop) for shop in range(sim_shops)]) for name, learn in learners.items()
}
last = {name: year[year["week"] > 39].mean().drop("week") for name, year in years.items()}
pd.DataFrame(last).T.round(2)


# %% name="spiral_figure"
curves = {name: year.groupby("week")["order"].mean() for name, year in years.items()}
ax = pd.DataFrame(curves).plot()
ax.set(ylabel="pieces ordered a day", ylim=(0, 36))
ax.set_title("Learning from sales shrinks the order; dropping days ruins it")
ax.legend(fontsize=8, ncols=2, loc="upper center")
plt.show()

# %% [markdown]
# *Figure: pieces ordered over 52 weeks. Censored and true demand stay between 26 and 28. Sales as they are sink from 26 to 23. With the sold-out days dropped the order falls all year, to about 6.*

# %% [markdown]
# Read the last quarter in the table. **Sales as they are** order too little, and the shortage hides itself: the less you order, the less you sell, the surer the model is. **Dropping** the sold-out days, the repair that sounds careful, is far worse: it deletes the days with high demand and no others, and it ends at four
# times the cost. Treated as **censored**, they bring the order back to where true demand has it, with a piece to spare. In the interview say it in one line: *"I mark the days without stock and estimate demand from them as a lower bound; if there are hourly sales, from the share of the day that was open."* That second way is
# your exercise.

# %% [markdown]
# ### Your turn

# %% exercise="true_demand"

# %%
exercise.check(true_demand)

# %% [markdown]
# **Interviewer.** *Fine, you have demand. Which model?*
#
# **Candidate.** *First what a rule of one line costs, in money, on the same days.*
#
# A panel of shops of different size, with a week and a level that wanders. The last eight weeks are the backtest; each order uses days up to two before its own, because step 1 said so.

# %%
LEAD, DAYS, TEST = 2, 420, 56  # days ahead; days in the panel; days of the backtest
rng = np.random.default_rng(3)
size = rng.lognormal(2.7, 0.6, panel_shops)
wander = np.exp(np.cumsum(rng.normal(0, 0.02, (DAYS, panel_shops)), axis=0))
weekday = np.arange(DAYS) % 7
demand = drawn(size * wander * np.array([0.9, 0.85, 0.9, 1, 1.25, 1.4, 0.7])[weekday][:, None], rng)
first = DAYS - TEST
week_shape = np.array([demand[:first][weekday[:first] == day].mean() for day in range(7)])
week_shape /= week_shape.mean()


# %%
def same_weekday(day: int, weeks: int) -> np.ndarray:
    return demand[[day - 7 * back for back in range(1, weeks + 1)]]


# %% name="panel"
def level(day: int, lead: int = LEAD) -> np.ndarray:
    """What a shop sells on such a day: the mean of 28 known days without their weekday, times this one's."""
    known = np.arange(day - lead - 27, day - lead + 1)
    return (demand[known] / week_shape[weekday[known]][:, None]).mean(axis=0) * week_shape[weekday[day]]


# %% [markdown]
# Two rules look at one shop alone. **Pooled** borrows from all shops: each shop's level, times one factor that is the 0.8<!-- given --> quantile of demand ÷ level over every shop. It is a global model in one line. The last row is the model: boosted trees with pinball loss, on the same columns.

# %%
past = range(first - 100, first)
factor = np.quantile(np.concatenate([demand[day] / level(day) for day in past]), QUANTILE)


# %%
def features(day: int) -> np.ndarray:
    usual = same_weekday(day, 4).mean(axis=0)
    return np.column_stack([level(day), np.full(panel_shops, weekday[day]), demand[day - 7], usual])


# %% name="fit"
known = range(40, first)
inputs = np.concatenate([features(day) for day in known])
trees = XGBRegressor(
    objective="reg:quantileerror",
    quantile_alpha=QUANTILE,
    n_estimators=100,
    max_depth=4,
    learning_rate=0.1,
    n_jobs=1,
).fit(inputs, demand[known].ravel())


# %% name="backtest"
rules = {
    "the same weekday of last week": lambda day: demand[day - 7],
    "the mean of four same weekdays": lambda day: same_weekday(day, 4).mean(axis=0),
    "the quantile of eight same weekdays": lambda day: np.quantile(same_weekday(day, 8), QUANTILE, axis=0),
    "pooled": lambda day: level(day) * factor,
    "boosted trees": lambda day: trees.predict(features(day)),
}
days, truth = range(first, DAYS), demand[first:]
ordered = {name: np.ceil([rule(day) for day in days]) for name, rule in rules.items()}
rows = {
    name: [cost(n, truth).mean(), (truth > n).mean(), np.maximum(n - truth, 0).sum() / n.sum()]
    for name, n in ordered.items()
}
pd.DataFrame(rows, index=["cost a day", "days with too few", "thrown away"]).T.round(3)

# %% [markdown]
# Most of the gain came before the model. The cost falls from 23.00<!-- =backtest[the same weekday of last week, cost a day] --> to 13.11<!-- =backtest[pooled, cost a day] --> by averaging, by aiming at the quantile, and by borrowing from other shops. The trees bring it to
# 13.00<!-- =backtest[boosted trees, cost a day] -->. Whether that small step is worth a training pipeline is decided by a comparison in blocks, as in [13b](13b_walk_forward.ipynb), on your data: promotions, prices and holidays are what trees know and the rule does not, and this panel has none. Say so: *"I ship the
# pooled rule in week two. The trees replace it when they beat it on the same days by more than chance."*

# %% [markdown]
# Look at the other columns, too. You aimed at too few on 0.2<!-- given --> of the days and got 0.162<!-- =backtest[pooled, days with too few] -->: orders are whole pieces and are rounded up, and for a small shop one piece is a large step. And nearly a third is thrown away. That is what 4 against 1 asks for. If the chain can't stand it, the costs in step 1 were not the real ones; go back there instead of bending the model.

# %% [markdown]
# ## Sitting 2 · Build it and run it
#
# **Time** 25 minutes. Rows, bytes and minutes; what is watched, and how it is rolled out.

# %% [markdown]
# ## Step 3: System
#
# **Candidate.** *The questions are known at night, the answers change once a day. So a batch job writes a table, and the order system reads it. How large is it?*

# %%
rows_a_night = shops * daily_articles * horizon
names = {"shop": "int16", "article": "int16", "day": "int8", "order": "int16", "mean": "float32"}
sample_rng, three_shops = np.random.default_rng(0), 3 * daily_articles * horizon
sample = pd.DataFrame(
    {
        "shop": np.repeat(range(3), daily_articles * horizon),
        "article": np.tile(np.repeat(range(daily_articles), horizon), 3),
        "day": np.tile(range(horizon), 3 * daily_articles),
        "order": sample_rng.poisson(20, three_shops),
        "mean": sample_rng.gamma(8, 2.5, three_shops),
    }
).astype(names)

# %% name="envelope"
sample.to_parquet(file := io.BytesIO(), index=False)
bytes_a_row = round(file.tell() / len(sample))
print(f"{rows_a_night / 1e6:.0f} million rows a night")
print(f"{bytes_a_row} bytes a row in Parquet: {rows_a_night * bytes_a_row / 1e6:.0f} MB a night")
print(f"{rows_a_night * bytes_a_row * 365 / 1e9:.0f} GB a year, if every night is kept")

# %% [markdown]
# Three shops written to Parquet gave the bytes; the rest is multiplication. Keep every night: it is what you need to judge a forecast as it was made. With all 3,000<!-- given --> articles it would be 15 times as much; step 1 saved that, not step 3.
#
# And the time? Assume a rate you have measured with room to spare, and check it:

# %% name="minutes"
RATE = 100_000  # rows a second on one core: assumed
rows = np.tile(inputs[:10_000], (20, 1))
started = perf_counter()
trees.get_booster().inplace_predict(rows)
measured = len(rows) / (perf_counter() - started)
if show_seconds:
    print(f"measured here: {measured:,.0f} rows a second")
print(f"one core does {RATE:,} rows a second at least: {measured > RATE}")
history = shops * daily_articles * 400 * 2  # bytes: 400 days of counts
print(f"predicting: {rows_a_night / RATE / 60:.1f} minutes of one core")
print(f"reading {history / 1e9:.1f} GB of history at 100 MB/s: {history / 100e6:.0f} s")
print(f"features at a tenth of that rate: {rows_a_night / RATE * 10 / 60 / 8:.0f} minutes on 8 cores")

# %% [markdown]
# Under ten minutes on one machine of eight cores, in a night that has hours. No cluster, no GPU, no stream. If somebody proposes Spark, you have the number that answers.
#
# ```mermaid
# flowchart LR
#   S[sales, stock, prices<br>until midnight] --> C{schema and<br>row counts}
#   C -- good --> D[demand: sold-out<br>days repaired]
#   C -- bad --> A[alarm, yesterday's<br>table stays]
#   D --> F[features known<br>two days ahead] --> P[predict, 14 days]
#   R[(registry:<br>champion)] --> P
#   P --> G{gate: all shops,<br>sums within limits}
#   G -- good --> T[(order table<br>by night)]
#   G -- bad --> A
#   T --> O[orders at 5:00] --> W[planner may overrule]
#   T --> M[monitoring]
#   W --> M
#   S --> M
# ```
#
# **Interviewer.** *The job fails at three.*
#
# **Candidate.** *Last night's table reaches 14 days ahead, so the day we order for is in it. What does it cost to use it?*

# %% name="stale"
aged = {"tonight's table": 0, "one night old": 1, "a week old": 7}
rows = {
    name: cost(np.ceil([level(day, LEAD + age) * factor for day in days]), truth).mean()
    for name, age in aged.items()
}
rows["no order"] = cost(0, truth).mean()
pd.Series(rows, name="cost a day").round(2).to_frame()

# %% [markdown]
# A table that is a week old costs hardly more than tonight's; no order costs six times as much. So the horizon of 14 days is the fallback, and it was free. (The levels of this panel wander slowly. Where promotions begin and end, the price of an old table is higher: compute it on your data.) It also answers "how fast must the job be repaired": not at three in the night. The service behind the endpoint would have needed somebody awake.

# %% [markdown]
# ## Step 4: Operate
#
# **Candidate.** *What will I know, and when?* Order and sales of a day are in by midnight. The demand of a sold-out day is never known. But one number of the design can be watched without it: how often the shelf is empty at closing time. It is tempting to write 1 − q = 0.2<!-- given --> beside it. Compute it first, for articles that sell little and much:

# %% name="visible"
z = NormalDist().inv_cdf(0.975)  # 95 % of days lie within z standard errors
rows = {}
for mean in (2, 5, 10, 20, 40):
    wanted = drawn(float(mean), np.random.default_rng(7), 20_000)
    order = quantile(wanted)
    empty = (wanted >= order).mean()
    error = (empty * (1 - empty) / shops) ** 0.5
    rows[mean] = [order, (wanted > order).mean(), empty, z * error]
columns = ["order", "too few", "shelf empty", "± over all shops"]
pd.DataFrame(rows, index=columns).T.rename_axis("mean demand").astype({"order": int}).round(3)

# %% [markdown]
# A customer is sent away when demand **exceeds** the order; the shelf is empty when demand **reaches** it. You see the second share, and q speaks about the first. For an article that sells 2 a day the shelf is empty on a share of 0.319<!-- =visible[2, shelf empty] --> of the days although the order is right; for one that sells 40 on 0.210<!-- =visible[40, shelf empty] -->.
# An alarm at 0.2<!-- given --> ± 0.008<!-- =visible[20, ± over all shops] --> would ring every day for most articles. So each article gets its own expected share, computed from its own forecast distribution.
#
# The last column takes shops as independent. On a hot day they are not, so take the width of the band from past months, as in [11d](11d_detectors.ipynb). Each signal has an owner and an action, else it is a chart:
#
# | signal | known | limit | action | owner |
# |---|---|---|---|---|
# | rows, shops and articles in the table | 3:00 | 99.5<!-- given --> % of expected | use last night's table, page | data engineer |
# | sum of orders against the same weekday | 3:00 | beyond any day of last year | gate refuses, a person releases | planner |
# | share of empty shelves, by article and region | next day | expected share by article, band from past months | check stock data first, then the article's factor | data scientist |
# | thrown away, in money | next day | budget of the region | lower the quantile: the costs have changed | category manager |
# | orders overruled by planners, and who was right | weekly | 10<!-- given --> % overruled | talk to them: they know something the features don't | product owner |
# | cost a day against the pooled rule | weekly | the rule wins four weeks running | the rule goes back into service | data scientist |
#
# **Interviewer.** *How do you roll it out?*

# %% [markdown]
# **Candidate.** *First in the shadow: the table is written, nobody orders by it, two weeks. Then in shops drawn by lot against shops that go on as before, in pairs of the same size and region. All at once after that, with the old rule still computed. Going back is moving an alias to the version before, or reading the rule's table; we try both once before we need them.* How many shops? You work it out, without the help of the
# pairs.

# %% [markdown]
# ### Your turn

# %% exercise="shops_per_arm"

# %%
exercise.check(shops_per_arm)

# %% [markdown]
# The noise of the trial is the difference between shops, not between days. Compare each shop with its own past weeks: if that halves the standard deviation, the number of shops falls to a quarter. Whole shops are drawn, not articles: a planner who sees both orders side by side spoils the comparison.
#
# ## What you traded
#
# | chosen | instead of | because | would change with |
# |---|---|---|---|
# | quantile by cost | RMSE and the mean | errors cost 4 to 1 | costs that are equal |
# | fresh articles first | all 3,000<!-- given --> | a fifteenth of the rows, most of the waste | spoilage elsewhere |
# | table at night | service | questions known, answers change once a day | orders in the course of the day |
# | pooled rule, then trees | a network | 13.11<!-- =backtest[pooled, cost a day] --> against 13.00<!-- =backtest[boosted trees, cost a day] --> here | promotions and prices that pay in the backtest |
# | one global model | two million local ones | new shops and quiet articles borrow | a few long series unlike the rest |
# | one machine | Spark | minutes of work | a hundred times the rows |
# | 14 days of table | a job that never fails | an old table costs hardly more | demand that turns over night |
#
# Offer one of these before you are asked: *"The decision I am least sure of is … and I would test it by …"*
#
# ## Practice
#
# Close the page and answer aloud.

# %%
practice_card("design-demand-10000-shops")

# %%
practice_card("design-cost-of-errors")

# %%
practice_card("design-batch-or-online")

# %% [markdown]
# In a terminal, `walkforward practice --kind design` asks the others: recommendations, fraud, ad clicks, a service under load, late labels, retraining, releases, deletion.

# %% [markdown]
# ## Sitting 3 · A case of your own
#
# **Time** 30 minutes of study. Between them lie 35<!-- given --> minutes by the clock, in which you work and nobody helps you.

# %% [markdown]
# ## The case
#
# **Interviewer.** *We run 420<!-- given --> trains. A door that fails in service stops a line. We record what the doors do, and we keep a list of failures. Predict which door fails next, so that we repair it before it does.*
#
# Set a clock to 35<!-- given --> minutes and fill the form below. Speak while you write. Ask your questions aloud first, then open the answers that belong to them; an answer that you did not ask for stays closed. The model answer comes after the two estimates. It is worth nothing to you before you have an answer of your own.
#
# | step | minutes | what it must hold |
# |---|---|---|
# | **Requirements** | 6 | who acts on it, until when, what each error costs, what can be done in a night |
# | **Numbers** | 5 | doors, failures, bytes, alarms |
# | **Data and labels** | 7 | what a failure is, what is missing, what leaks |
# | **Baseline** | 4 | a rule without a model, and its price |
# | **Model and evaluation** | 6 | what it predicts, how you split, with how many failures you judge |
# | **Serving** | 3 | where it is computed, when, what happens if it is not |
# | **Monitoring** | 2 | what you see before the failures come in |
# | **Trade-offs** | 2 | what you chose against what, and what you are least sure of |

# %% [markdown]
# *Double-click this cell and write.*
#
# **Requirements.** …
#
# **Numbers.** …
#
# **Data and labels.** …
#
# **Baseline.** …
#
# **Model and evaluation.** …
#
# **Serving.** …
#
# **Monitoring.** …
#
# **Trade-offs.** …

# %% [markdown]
# ## What the interviewer answers
#
# <details><summary>What does a failure cost, and what does a repair?</summary>
#
# A failure in service costs 9,000<!-- given --> on average. Looking at a door at night costs 150<!-- given -->. If it was about to fail, the visit prevents it in 7<!-- given --> cases of 10<!-- given -->. The depot manages 12<!-- given --> doors a night.
#
# </details>
#
# <details><summary>How many failures are there?</summary>
#
# 130<!-- given --> in two years. They are work orders: a date, a text, often the number of the door. 30<!-- given --> of them are second failures of the same door within a week.
#
# </details>
#
# %% [markdown]
# <details><summary>By when do you need the list, and what is done today?</summary>
#
# By eight in the evening, for the night. A motor takes three days to arrive. Today each door is looked at every 90<!-- given --> days.
#
# </details>
#
# <details><summary>What is recorded?</summary>
#
# Each train has 16<!-- given --> doors, each door moves 600<!-- given --> times a day for 5<!-- given --> seconds. Four signals, 1,000<!-- given --> times a second, two bytes each. The trains have a link of 2<!-- given --> megabits a second.
#
# </details>
#
# <details><summary>Does anything change soon?</summary>
#
# In spring 60<!-- given --> trains get motors of another maker.
#
# </details>

# %% [markdown]
# ## Two estimates
#
# These two decide more of the design than the choice of a model. Work them out by hand first, as you would at the whiteboard; then write the function, so that the next question "and with twice the trains?" costs you nothing.

# %% exercise="sensor_load"

# %%
exercise.check(sensor_load)

# %% exercise="alarms_a_night"

# %%
exercise.check(alarms_a_night)

# %% [markdown]
# Here is what the second one says of this case. Each row is a model that finds 60<!-- given --> % of the doors that fail within five days; they differ in how often they ring for a healthy one. A visit pays when the share of real alarms times the 0.7<!-- given --> that a visit prevents times 9,000<!-- given --> exceeds 150<!-- given -->.

# %% name="rare"
DOORS, A_YEAR, NIGHTS, RECALL = 420 * 16, 65, 5, 0.6
VISIT, FAILURE, PREVENTED = 150, 9_000, 0.7
about_to_fail = A_YEAR * NIGHTS / 365
rates = pd.Series([0.03, 0.01, 0.001, 0.0002], name="false alarms, of healthy doors")
found, false = about_to_fail * RECALL, (DOORS - about_to_fail) * rates
rare = pd.DataFrame({"alarms a night": found + false, "share that is real": found / (found + false)})
rare["pays"] = rare["share that is real"] * PREVENTED * FAILURE > VISIT
rare.set_index(rates).round(3)

# %% [markdown]
# A model with 1<!-- given --> % of false alarms sounds good. It rings for 68<!-- =rare[0.0100, alarms a night] --> doors a night, of which a share of 0.008<!-- =rare[0.0100, share that is real] --> is real: more than the depot can visit, and each visit loses money. Accuracy and the ROC curve hide this, because healthy doors are nearly all there is. What counts is how many of the 12<!-- given --> doors at the top of the list are real.

# %% [markdown]
# The other number nobody likes to say aloud is how little a test on few failures proves. Three tests that all find 60<!-- given --> %:

# %% name="few"
tests = {"10 failures": (6, 10), "30 failures": (18, 30), "130 failures": (78, 130)}
bounds = {name: binomtest(*one).proportion_ci(method="wilson") for name, one in tests.items()}
pd.DataFrame({name: [low, high] for name, (low, high) in bounds.items()}, index=["from", "to"]).T.round(2)

# %% [markdown]
# With 30<!-- given --> failures in the test the true share lies anywhere from 0.42<!-- =few[30 failures, from] --> to 0.75<!-- =few[30 failures, to] -->. Two models that differ by five points can't be told apart. So test on all failures by walking forward through the two years, compare models on the same nights, and say the interval.

# %% [markdown]
# ## What each level answers
#
# Open it when your form is full. Hold your own line beside each row: which column is it in?
#
# <details><summary>Requirements, numbers, data, baseline</summary>
#
# | step | junior | mid | senior |
# |---|---|---|---|
# | **Requirements** | predict failure, yes or no | asks for costs and lead time; a ranked list for the night | the product is a list of 12<!-- given --> doors; a visit pays above 2.4<!-- given --> % precision; asks who may overrule the list |
# | **Numbers** | "big data, so Spark" | 161<!-- given --> GB a day raw, about 65<!-- given --> failures a year | sees that a train needs 26<!-- given --> minutes of its link a day; computes twenty features a movement on the train, keeps raw signals around failures |
# | **Data and labels** | uses the list of failures as it is | defines a window before a failure; drops the second failures or joins them to the first | knows that visits hide failures (a repaired door is censored); texts are read twice to measure the labels' own error; nothing from after the work order |
# | **Baseline** | none, or "always healthy" | oldest door first | today's 90<!-- given --> days in money; a rule on motor current against the door's own past; the model is worth what it adds to that |
#
# </details>

# %% [markdown]
# <details><summary>Model, serving, monitoring, trade-offs</summary>
#
# | step | junior | mid | senior |
# |---|---|---|---|
# | **Model and evaluation** | a network, accuracy, random split | boosted trees, class weights, split by time, average precision | each door against its own past and its sisters, then a small model; walk forward; no door in train and test of one fold; precision at 12<!-- given --> with an interval, and money; a survival model if repairs censor much |
# | **Serving** | an endpoint | a nightly batch, a table for the depot | computed before eight; if it fails, yesterday's list plus the oldest doors; the list gives a reason for each door, or nobody opens it |
# | **Monitoring** | accuracy in production | drift of features, share of visits that found something | what the mechanics found, as the label that arrives next day; some visits by lot, or the model only learns about doors that it chose; the new motors as a group of their own |
# | **Trade-offs** | none | recall against visits | says what is least sure, whether the texts are right, and spends the first two weeks on that; no model if the rule finds the same doors |
#
# </details>

# %% [markdown]
# Three things lift an answer by a level here. The list is as long as the depot's night, so the metric is set by the crew and not by you. A visited door can't fail any more, so the model's own success removes its labels, and some visits must be drawn by lot. And with 130<!-- given --> failures a simple rule on each door's own past is hard to beat; who says so, and says how it would be shown, is heard as senior.

# %% [markdown]
# ## Take-aways
#
# - Frame, data and baseline, system, operate: say the four steps, keep the time, and let the model come late.
# - The cost of one too many and one too few is a quantile. A perfect mean would run out on a share of 0.43<!-- =quantity[mean, days with too few] --> of all days here.
# - Sales are not demand. Learn from sales and orders shrink; drop the sold-out days and they collapse; treat them as censored and they hold.
# - A rule of one line has a price in money on the same days. The model is worth what it takes off that price.
# - Where failures are rare I first say how many alarms a night there are, and how many are real.
# - Rows, bytes and minutes decide between a table and a service, one machine and a cluster. A long enough horizon is a fallback.

# %% [markdown]
# ## In an interview
#
# - *Somebody asks for "a forecast as precise as possible". What do you ask back?* Shown in [Step 1: Frame](#Step-1:-Frame).
# - *Your training data are sales. What is wrong with that, and what do you do about sold-out days?* Shown in [Step 2: Data and baseline](#Step-2:-Data-and-baseline).
# - *The night job fails at three. What do shops order at five?* Shown in [Step 3: System](#Step-3:-System).

# %% [markdown]
# ## Up next
#
# The numbers of a design are half of an interview. The other half is what you do when it goes wrong: [I3 · Debugging clinic](I3_debugging.ipynb) hands you eight broken runs.
