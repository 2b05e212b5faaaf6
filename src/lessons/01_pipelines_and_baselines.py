# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
#   walkforward:
#     ci:
#       first_month: "2019-09"
#       history_from: "2019-08"
#       learning_sizes: [500, 2000]
#       svm_sizes: [125, 250]
# ---

# %% [markdown]
# # 01 · Pipelines and baselines
#
# After this lesson you can turn raw trip records into a model whose error you would defend in a review, and you can tell
# a good score from one that is too good to be true.

# %% [markdown]
# > **You will learn to** set a baseline before any model · recognise a leak by its score · build a pipeline that cleans,
# > scales and encodes inside the validation · compare models by what they cost · decide between more data and a better model
# >
# > **Before you start** [00 · Start here](00_start_here.ipynb) · some Python and pandas
# >
# > **Time** 60 minutes of study; it runs in under a minute
# >
# > **Interview questions it answers** Why does a pipeline prevent leakage? · What is your baseline? · When do you buy more
# > data rather than a better model?

# %% [markdown]
# ## Parameters
#
# Everything that you may want to change stands here. To run the lesson on a month of your own city, put the path of a taxi
# file into `trips_path`. `test_from` is then chosen by the file, unless you give a day that lies in it.

# %% tags=["parameters"]
trips_path = None  # a Parquet or CSV file of your own; None takes the course's trips
max_trips = 40_000  # of a file of your own, drawn at random; more take more time and memory
first_month = "2019-07"
last_month = "2019-10"
test_from = "2019-10-01"  # trips that start on or after this day are the test set
history_from = "2018-01"  # how far the learning curve may reach back
learning_sizes = [1_000, 3_000, 10_000, 30_000, 100_000]
svm_sizes = [250, 500, 1_000, 2_000]
show_seconds = False  # True prints what each fit costs on your machine

# %%
from course import own_data

if trips_path is not None:  # your file: what the lesson needs of it, or a line that says what it lacks
    trips, test_from = own_data.split_trips(
        trips_path, first_month, last_month, max_trips, test_from=test_from
    )
    trips = own_data.with_counts(trips, "passenger_count")

# %%
from time import perf_counter

import holidays
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer, make_column_transformer
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Lasso, LinearRegression, Ridge
from sklearn.metrics import root_mean_squared_error
from sklearn.model_selection import GridSearchCV, KFold, TimeSeriesSplit, cross_val_score
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler, TargetEncoder
from sklearn.svm import SVR
from threadpoolctl import threadpool_limits

# %%
from course import exercise
from course.data import load_trips, months
from course.exercise import TODO
from walkforward.plots import PALETTE, use_style

use_style()
threads = threadpool_limits(limits=1, user_api="openmp")  # small fits lose time on more

# %% [markdown]
# ## The question
#
# A rider gets into a yellow taxi and asks: how many minutes? At that moment you know where and when the trip starts, where
# it should end, and how long the planned route is. You do not know the fare, the tip or the time of arrival. Those are
# written down when the trip is over, so none of them may be a feature.
#
# The records hold the distance that was driven. It stands in for the planned route here; with a navigation service you
# would use the planned one, because that is what you will have when you answer.

# %% name="describe"
if trips_path is None:
    trips = load_trips(months(first_month, last_month))
trips["duration"] = (trips["dropoff_datetime"] - trips["pickup_datetime"]).dt.total_seconds() / 60

columns = ["duration", "trip_distance", "passenger_count", "fare_amount"]
trips[columns].describe().round(2)

# %% [markdown]
# Four months of records, 40,000<!-- =describe[count, duration] --> trips. Read the rows `min` and `max` before anything else. A ride of
# 1,439<!-- =describe[max, duration] --> minutes is a meter that nobody switched off, a distance of zero is a trip that was never driven, and
# a negative fare is a refund.

# %% name="oldest"
print("oldest pickup:", trips["pickup_datetime"].min().date())
print("trips without a passenger count:", int(trips["passenger_count"].isna().sum()))
print("trips with zero passengers:     ", int((trips["passenger_count"] == 0).sum()))

# %% [markdown]
# One meter thinks that it is 2008. And beside the 241<!-- =oldest: without a passenger count: (\d+) --> missing passenger counts there
# are 777<!-- =oldest: zero passengers: +(\d+) --> trips with nobody on board: a default that was never changed, which is a missing value in disguise.
#
# ### Your turn
#
# Two rules clean the data. Write the first: which trips can be true? The rule of this course is a duration between
# one minute and one hour, both included.

# %% exercise="keep_plausible"

# %%
exercise.check(keep_plausible)

# %% [markdown]
# The second rule turns the disguised missing values into honest ones.

# %% exercise="passengers_or_missing"

# %%
exercise.check(passengers_or_missing)

# %% [markdown]
# The lesson goes on with both rules applied, so that you can continue whether or not your answer stands yet.

# %% name="clean"
clean = trips[trips["duration"].between(1, 60)].copy()
clean["passenger_count"] = clean["passenger_count"].replace(0, np.nan)
print(f"kept {len(clean):,} of {len(trips):,} trips ({len(clean) / len(trips):.1%})")

# %%
fig, ax = plt.subplots()
ax.hist(clean["duration"], bins=59, range=(1, 60), color=PALETTE["sky"])
ax.axvline(clean["duration"].mean(), color=PALETTE["red"], label="mean")
ax.axvline(clean["duration"].median(), color=PALETTE["blue"], linestyle="--", label="median")
mean_minutes, median_minutes = clean["duration"].mean(), clean["duration"].median()
ax.set(xlabel="duration (minutes)", ylabel="trips")
ax.set_title(f"Half of the trips take under {median_minutes:.0f} minutes, the mean is {mean_minutes:.0f}")
ax.legend()
plt.show()

# %% [markdown]
# *Figure: histogram of trip durations from 1 to 60 minutes, a peak near 7 minutes and a long tail to the right; the mean lies
# to the right of the median.*
#
# The tail matters for the metric. **RMSE**, the root of the mean squared error, is in minutes like the target, and it
# punishes one error of twenty minutes as hard as a hundred errors of two. The squared error is least at the conditional
# mean; the mean absolute error is least at the conditional median. Choose by what an error costs your user. This lesson takes the RMSE.

# %% [markdown]
# ## Split first, then look for a baseline
#
# You will answer for trips that have not happened yet, so the test set is the future: October. Everything that is learnt,
# be it a median for imputation or the choice of a model, is learnt before October.

# %% name="split"
clean["hour"] = clean["pickup_datetime"].dt.hour
clean["weekday"] = clean["pickup_datetime"].dt.dayofweek

train = clean[clean["pickup_datetime"] < test_from].sort_values("pickup_datetime")
test = clean[clean["pickup_datetime"] >= test_from].sort_values("pickup_datetime")
test_month = f"{pd.Timestamp(test_from):%B}"
print(f"train {len(train):,} trips, test {len(test):,} trips")

# %% [markdown]
# Before you run the next cell, guess: three baselines need no machine learning. The mean of all trips; their median; and
# what a driver would say, so many minutes a mile. Which of them is best? (The first two also exist as a
# model, `DummyRegressor`, for places where a pipeline expects one.)

# %% name="baselines"
minutes_a_mile = (train["duration"] / train["trip_distance"].where(train["trip_distance"] > 0)).median()
baselines = {
    "mean": np.full(len(test), train["duration"].mean()),
    "median": np.full(len(test), train["duration"].median()),
    "minutes a mile": test["trip_distance"] * minutes_a_mile,
}
rmse_of_baseline = {name: root_mean_squared_error(test["duration"], yhat) for name, yhat in baselines.items()}
print(f"{minutes_a_mile:.1f} minutes a mile")
pd.Series(rmse_of_baseline, name="RMSE (minutes)").round(2).to_frame()

# %% [markdown]
# The driver's rule loses to a constant. At 6.0<!-- =baselines: ^([\d.]+) minutes a mile --> minutes a mile it is right for a short ride in
# Midtown, and it gives a trip of 17<!-- given --> miles to the airport more than an hour and a half, though most of that is motorway; squared,
# these few trips cost more than all the rest.
#
# 10.48<!-- =baselines[mean, RMSE (minutes)] --> minutes is the bar. A model that does not clear it has learnt nothing that a constant does not
# know.

# %% [markdown]
# ## A score too good to be true
#
# A colleague has an idea that sounds right: the best guide to this trip is *the same trip on other days*. She takes the
# average duration for each route at each hour, joins it to the table, splits, and fits a linear model. Write down what
# error you would believe.

# %% name="leak"
slot_of = [clean[column].astype(str) for column in ("pickup_location_id", "dropoff_location_id", "hour")]
clean["slot"] = slot_of[0].str.cat(slot_of[1:], sep="-")
clean["slot_mean"] = clean.groupby("slot")["duration"].transform("mean")
train, test = clean.loc[train.index], clean.loc[test.index]

simple = ["trip_distance", "hour", "weekday"]
leaky = LinearRegression().fit(train[[*simple, "slot_mean"]], train["duration"])
rmse_leaky = root_mean_squared_error(test["duration"], leaky.predict(test[[*simple, "slot_mean"]]))
print(f"RMSE {rmse_leaky:.2f} minutes")

# %% [markdown]
# 3.07<!-- =leak: RMSE ([\d.]+) --> minutes, less than a third of the baseline, from a linear model with four columns. No honest model in this
# lesson will come near it. When a score makes you happy at once, ask what the model was allowed to see.

# %% name="slots"
slot_size = clean.groupby("slot")["duration"].transform("size")
alone = slot_size.loc[test.index] == 1
print(f"{alone.mean():.0%} of the test trips are alone in their slot")
print(f"for them, slot_mean equals the answer: {bool((test['slot_mean'] == test['duration'])[alone].all())}")

# %% [markdown]
# There are more routes and hours than trips. For 39<!-- =slots: (\d+)% of the test --> % of the test trips the "average of the slot" is the
# average of one trip: its own. The answer was in the features. This is **target leakage**, and the order of two lines made it: the
# average was taken before the split.
#
# The repair seems obvious. Take the averages from the training months only, and look them up.

# %% name="lookup"
lookup = train.groupby("slot")["duration"].mean()
boosting = HistGradientBoostingRegressor(random_state=0)


def with_lookup(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[simple].assign(slot_mean=frame["slot"].map(lookup).fillna(train["duration"].mean()))


boosting.fit(with_lookup(train), train["duration"])
rmse_lookup = root_mean_squared_error(test["duration"], boosting.predict(with_lookup(test)))
rmse_training = root_mean_squared_error(train["duration"], boosting.predict(with_lookup(train)))
print(f"RMSE {rmse_training:.2f} in training, {rmse_lookup:.2f} on the test month")

# %% [markdown]
# Even gradient boosting, a far stronger model, now misses by 7.68<!-- =lookup: ([\d.]+) on the test --> minutes, and it believed in
# 2.42<!-- =lookup: RMSE ([\d.]+) in training -->. The test set is honest, but the training set is not: each training trip still finds its own
# duration in its own average. The model learns to trust a column that will not be trustworthy in October.
#
# An honest average leaves the trip itself out. scikit-learn's `TargetEncoder` does that by **cross-fitting**: it cuts the
# training rows into folds and gives each fold the averages of the others. It has to be refitted for every split, and that
# is what a **pipeline** is for.

# %% name="honest"
cross_fitted = TargetEncoder(target_type="continuous", cv=KFold(5, shuffle=True, random_state=0))
with_slot = make_column_transformer(("passthrough", simple), (cross_fitted, ["slot"]))
without_slot = make_column_transformer(("passthrough", simple))
rmse_of = {"average over all rows (leak), linear": rmse_leaky, "training averages, boosting": rmse_lookup}
features_of = {"cross-fitted averages, boosting": with_slot, "no averages, boosting": without_slot}
for name, features in features_of.items():
    model = make_pipeline(features, HistGradientBoostingRegressor(random_state=0))
    model.fit(train, train["duration"])
    rmse_of[name] = root_mean_squared_error(test["duration"], model.predict(test))
pd.Series(rmse_of, name="RMSE (minutes)").round(2).to_frame()

# %% [markdown]
# The brilliant idea is worth the step from 5.23<!-- =honest[no averages, boosting, RMSE (minutes)] --> to
# 5.15<!-- =honest[cross-fitted averages, boosting, RMSE (minutes)] --> minutes: almost nothing. The difference between the first row and the
# third is what you would have promised and not delivered.
#
# ```mermaid
# flowchart LR
#   subgraph before [Averages before the split]
#     A[all trips] --> B[averages] --> C[train]
#     B --> D[test]
#   end
#   subgraph inside [Averages inside the pipeline]
#     E[train] --> F[fit: averages, medians, scales] --> G[model]
#     H[test] --> I[apply what was fitted] --> G
#   end
# ```
#
# A pipeline has one `fit` and one `predict`. Everything that is learnt from data sits inside and is learnt from the rows
# that `fit` is given, in every fold of every cross-validation. It does not stop you from using the fare; that leak you
# have to see for yourself.

# %% [markdown]
# ## Missing values
#
# Today's trees accept a missing value. Linear models do not.

# %% name="nan_refused"
NUMBERS = ["trip_distance", "passenger_count"]
try:
    LinearRegression().fit(train[NUMBERS], train["duration"])
except ValueError as error:
    print(str(error).splitlines()[0])
missing = train["passenger_count"].isna()
print(f"missing passenger counts: {missing.mean():.1%} of the training trips")

# %% [markdown]
# You could drop these rows, and from then on refuse 2.5<!-- =nan_refused: ([\d.]+)% of the training --> % of your users. You could fill them with the median of the whole
# table, and leak again. `SimpleImputer` takes the median from the rows it is fitted on; `add_indicator=True` adds a column that says
# "this was missing", because a missing value often says something by itself.

# %%
numeric = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
prepared = numeric.set_output(transform="pandas").fit_transform(train[NUMBERS])
prepared.agg(["mean", "std", "min", "max"]).round(2)

# %% [markdown]
# ## Scaling: who needs it
#
# `StandardScaler` subtracts the mean and divides by the standard deviation. Does it help? Ask each model.

# %% name="scaling"
plain = [*NUMBERS, "pickup_location_id", "dropoff_location_id", "hour", "weekday"]
sample = train.sample(min(2_000, len(train)), random_state=0)
models = {"linear": LinearRegression(), "support vectors": SVR(C=10), "boosting": boosting}
rows = {}
for name, model in models.items():
    unscaled = make_pipeline(SimpleImputer(), model)
    scaled = make_pipeline(SimpleImputer(), StandardScaler(), model)
    rows[name] = [
        root_mean_squared_error(
            test["duration"], p.fit(sample[plain], sample["duration"]).predict(test[plain])
        )
        for p in (unscaled, scaled)
    ]
pd.DataFrame(rows, index=["unscaled", "scaled"]).T.round(2)

# %% [markdown]
# The linear model does not care: its coefficients absorb the scale. Trees do not care: they only compare. The support vector
# machine measures distances between rows, and zone numbers up to 265<!-- given --> drown the hour; scaling takes it from 8.24<!-- =scaling[support vectors, unscaled] --> to
# 5.78<!-- =scaling[support vectors, scaled] -->. Penalised models (ridge,
# lasso) and neural networks belong with the support vectors, since a penalty or a step size treats every column alike.

# %% [markdown]
# ## Categories
#
# Is zone 132<!-- given --> more than zone 4? The numbers are names. Given as numbers, a linear model has to fit one slope through
# all the zones of New York; one-hot encoding gives each frequent zone a column of its own.

# %% name="zones"
CATEGORIES = ["pickup_location_id", "dropoff_location_id", "hour", "weekday"]
one_hot = OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=30, sparse_output=False)
encodings = {
    "zones as numbers": make_column_transformer((numeric, NUMBERS), (StandardScaler(), CATEGORIES)),
    "zones one-hot": make_column_transformer((numeric, NUMBERS), (one_hot, CATEGORIES)),
}
rows = {}
for name, features in encodings.items():
    model = make_pipeline(features, LinearRegression()).fit(train, train["duration"])
    rows[name] = [
        model[0].transform(test).shape[1],
        root_mean_squared_error(test["duration"], model.predict(test)),
    ]
pd.DataFrame(rows, index=["columns", "RMSE (minutes)"]).T.astype({"columns": int}).round(2)

# %% [markdown]
# From 6.84<!-- =zones[zones as numbers, RMSE (minutes)] --> to 6.12<!-- =zones[zones one-hot, RMSE (minutes)] --> minutes, for
# 191<!-- =zones[zones one-hot, columns] --> columns instead of 7<!-- =zones[zones as numbers, columns] -->. `min_frequency=30` pools the rare zones into one column, and
# `handle_unknown="infrequent_if_exist"` sends a zone that was never seen to the same place instead of failing at two in the morning.

# %% [markdown]
# ## Combining tables
#
# Holidays empty the streets. The calendar is a second table, a row a day. Join it the way a first draft does:

# %% name="inner_join"
years = clean["pickup_datetime"].dt.year.unique()
calendar = pd.DataFrame(sorted(holidays.US(years=years).items()), columns=["day", "holiday"])
calendar["day"] = pd.to_datetime(calendar["day"])
dated = clean.assign(day=clean["pickup_datetime"].dt.normalize())
print(f"{len(dated):,} trips before the join, {len(dated.merge(calendar, on='day')):,} after")

# %% [markdown]
# No error, no warning, and 584<!-- =inner_join: ([\d,]+) after --> trips left. `merge` keeps the matching rows by default, and the table lists only holidays. The
# opposite accident is as quiet: a day that is listed twice doubles its trips. State what you expect and let pandas hold you to it.
#
# ### Your turn
#
# Join so that no trip is lost and none is doubled, and make the join fail if the calendar lists a day twice.

# %% exercise="add_holiday"

# %%
exercise.check(add_holiday)

# %% name="holiday"
marked = dated.merge(calendar, on="day", how="left", validate="many_to_one").set_index(dated.index)
clean["is_holiday"] = marked["holiday"].notna().astype(int)
train, test = clean.loc[train.index], clean.loc[test.index]
clean.groupby("is_holiday")["duration"].agg(["size", "mean"]).round(1)

# %% [markdown]
# A trip on a holiday takes 12.8<!-- =holiday[1, mean] --> minutes, on other days 14.3<!-- =holiday[0, mean] -->. So the column must help. Does it?
#
# ## The whole preparation in one object
#
# A `ColumnTransformer` sends each column to its own preparation. You need two: one-hot and scaled for models that compute
# distances and slopes, plain numbers for trees, which split a category by its number well enough and run faster on few columns.

# %%
ordinal = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)


def for_slopes(categories: list[str]) -> ColumnTransformer:
    return ColumnTransformer([("numbers", numeric, NUMBERS), ("categories", one_hot, categories)])


def for_trees(categories: list[str]) -> ColumnTransformer:
    return ColumnTransformer([("numbers", SimpleImputer(), NUMBERS), ("categories", ordinal, categories)])


make_pipeline(for_slopes([*CATEGORIES, "is_holiday"]), LinearRegression())

# %% name="worth"
rows = {}
for name, features, estimator in [
    ("linear", for_slopes, LinearRegression()),
    ("boosting", for_trees, boosting),
]:
    for categories in (CATEGORIES, [*CATEGORIES, "is_holiday"]):
        model = make_pipeline(features(categories), estimator).fit(train, train["duration"])
        column = "with holidays" if "is_holiday" in categories else "without"
        rows[name, column] = root_mean_squared_error(test["duration"], model.predict(test))
pd.Series(rows).unstack().round(2)

# %% [markdown]
# It does not: 6.13<!-- =worth[linear, with holidays] --> with it and 6.12<!-- =worth[linear, without] --> without for the linear model,
# 4.83<!-- =worth[boosting, with holidays] --> and 4.84<!-- =worth[boosting, without] --> for boosting. The effect is real and rare,
# 584<!-- =holiday[1, size] --> trips in four months, and the only holiday of October is Columbus Day, when New York goes to work. A true difference is not yet a useful feature. You take
# it out again, and write down that you tried: the next colleague will have the same idea.

# %% [markdown]
# ## Cross-validation, and what it cannot know
#
# One split gives one number, and you want to know how far it would move. Five folds give five. Here are two ways to cut them: shuffled, and forward in time,
# where each fold is tested on what came after its training rows.

# %% name="cv"
tree_model = make_pipeline(for_trees(CATEGORIES), HistGradientBoostingRegressor(random_state=0))
cuts = {"shuffled": KFold(5, shuffle=True, random_state=0), "forward in time": TimeSeriesSplit(5)}
folds = {
    name: -cross_val_score(
        tree_model, train, train["duration"], cv=cut, scoring="neg_root_mean_squared_error"
    )
    for name, cut in cuts.items()
}
tree_model.fit(train, train["duration"])
rmse_test = root_mean_squared_error(test["duration"], tree_model.predict(test))
table = pd.DataFrame(folds, index=[f"fold {k}" for k in range(1, 6)]).T
table = table.assign(mean=table.mean(axis=1), spread=table.std(axis=1))
table.assign(**{test_month.lower(): rmse_test}).round(2)

# %% [markdown]
# The shuffled folds agree with each other to 0.05<!-- =cv[shuffled, spread] --> minutes, and what they agree on,
# 4.66<!-- =cv[shuffled, mean] -->, is too good for October: 4.84<!-- =cv[shuffled, october] -->. They were drawn from the same weeks as their
# training rows. The forward folds spread by 0.37<!-- =cv[forward in time, spread] -->, because weeks do differ: summer streets are empty,
# September's are not. Their mean of 4.82<!-- =cv[forward in time, mean] --> is the honest forecast of October, and their spread is the one to quote. Shuffle when rows are exchangeable; when you forecast, cut in time.
#
# ### Your turn

# %% exercise="split_at"

# %%
exercise.check(split_at)

# %% [markdown]
# ## Seven models, one table
#
# The same preparation, the same training months, the same October. The support vector machine gets 2,000<!-- =models_table[support vectors, trips] --> trips instead
# of all of them; the next section says why.

# %% name="models"
small = train.sample(min(max(svm_sizes), len(train)), random_state=0)
candidates = {
    "linear": (for_slopes(CATEGORIES), LinearRegression(), train),
    "ridge": (for_slopes(CATEGORIES), Ridge(alpha=10), train),
    "lasso": (for_slopes(CATEGORIES), Lasso(alpha=0.01), train),
    "support vectors": (for_slopes(CATEGORIES), SVR(C=20), small),
    "random forest": (
        for_trees(CATEGORIES),
        RandomForestRegressor(100, min_samples_leaf=5, n_jobs=2, random_state=0),
        train,
    ),
    "boosting": (for_trees(CATEGORIES), boosting, train),
    "neural network": (
        for_slopes(CATEGORIES),
        MLPRegressor(hidden_layer_sizes=(64, 32), early_stopping=True, random_state=0),
        train,
    ),
}

# %% name="models_table"
rows = {}
for name, (features, estimator, rows_used) in candidates.items():
    started = perf_counter()
    model = make_pipeline(features, estimator).fit(rows_used, rows_used["duration"])
    if show_seconds:
        print(f"{name}: {perf_counter() - started:.1f} s")
    rmse_train = root_mean_squared_error(rows_used["duration"], model.predict(rows_used))
    rows[name] = [len(rows_used), rmse_train, root_mean_squared_error(test["duration"], model.predict(test))]
results = pd.DataFrame(rows, index=["trips", "RMSE train", "RMSE test"]).T
results.astype({"trips": int}).round(2)

# %% [markdown]
# Read the table by differences, not by ranks. Ridge and lasso change nothing here: with 29,276<!-- =models_table[ridge, trips] --> trips and
# 191<!-- =zones[zones one-hot, columns] --> columns there is little to penalise. What helps is to let a mile cost more minutes at 5 p.m. than
# at 5 a.m., and everything that can bend does that: 4.84<!-- =models_table[boosting, RMSE test] --> for boosting,
# 4.76<!-- =models_table[neural network, RMSE test] --> for the network. The support vectors beat the linear model with a fifteenth of its
# trips. The forest has a large gap between training and test, 3.53<!-- =models_table[random forest, RMSE train] --> against
# 5.03<!-- =models_table[random forest, RMSE test] -->; the gap is no sin by itself, the test column decides.

# %% [markdown]
# ## Why the support vectors stop at two thousand trips
#
# Each fit below takes twice as many trips. The optimiser reports its own work: the number of iterations, each of which
# compares one trip with all the others.

# %% name="svm_cost"
work = {}
for n in svm_sizes:
    some = train.sample(min(n, len(train)), random_state=0)
    started = perf_counter()
    machine = make_pipeline(for_slopes(CATEGORIES), SVR(C=20)).fit(some, some["duration"])[-1]
    if show_seconds:
        print(f"{n:,} trips: {perf_counter() - started:.1f} s")
    work[f"{n:,}"] = [int(machine.n_iter_), len(machine.support_), machine.n_iter_ * n / 1e6]
work = pd.DataFrame(work, index=["iterations", "support vectors", "comparisons (millions)"]).T
work.astype({"iterations": int, "support vectors": int}).round(1)

# %% name="svm_growth"
growth = work["comparisons (millions)"].iloc[-1] / work["comparisons (millions)"].iloc[-2]
doublings = np.log2(len(train) / max(svm_sizes))
print(f"the last doubling of the trips made {growth:.1f} times the comparisons")
print(f"all training trips are {doublings:.1f} doublings away")

# %% [markdown]
# Twice the trips, 4.6<!-- =svm_growth: made ([\d.]+) times --> times the work: the cost grows faster than the square of the rows. And nearly
# every trip becomes a support vector that each prediction has to visit again. All training trips are
# 3.9<!-- =svm_growth: are ([\d.]+) doublings --> doublings away; even at four times a doubling that is more than two hundred times the work.
# Set `show_seconds = True` in the parameters to see it on
# your clock. A kernel machine is a fine tool for a few thousand rows.

# %% [markdown]
# ## Grid search, inside the pipeline
#
# Hyperparameters are learnt from data too, so the search cross-validates the whole pipeline. Nine settings, three
# forward folds; October stays out of it.

# %% name="grid"
step = "histgradientboostingregressor__"
grid = {f"{step}learning_rate": [0.03, 0.1, 0.3], f"{step}max_leaf_nodes": [15, 31, 63]}
estimator = make_pipeline(
    for_trees(CATEGORIES), HistGradientBoostingRegressor(early_stopping=False, random_state=0)
)
search = GridSearchCV(estimator, grid, cv=TimeSeriesSplit(3), scoring="neg_root_mean_squared_error", n_jobs=2)
search.fit(train, train["duration"])

scores = pd.DataFrame(search.cv_results_).assign(rmse=-search.cv_results_["mean_test_score"])
scores = scores.rename(columns=lambda name: name.removeprefix(f"param_{step}"))
scores.pivot(index="learning_rate", columns="max_leaf_nodes", values="rmse").round(2)

# %% name="grid_best"
rmse_tuned = root_mean_squared_error(test["duration"], search.predict(test))
print(f"default {rmse_test:.2f}, tuned {rmse_tuned:.2f} minutes on {test_month}")

# %% [markdown]
# The whole grid lies between 4.77<!-- =grid[0.10, 63] --> and 5.17<!-- =grid[0.03, 15] -->, and on October the best setting gets
# 4.75<!-- =grid_best: tuned ([\d.]+) --> where the default had 4.84<!-- =grid_best: default ([\d.]+) -->. Compare that with the step from linear
# to boosting, or from the baseline to linear. Tuning comes last because it buys least; whether a tenth of a minute is anything
# at all is the question of lesson 04.
#
# ### Your turn

# %% exercise="champion"

# %%
exercise.check(champion=champion)

# %% [markdown]
# ## More data, or a better model?
#
# "Get more data" is the best-known advice of the trade. You can test it: the archive goes back to 2018. Train both models on
# samples of growing size and watch October.

# %% name="history"
history = train
if trips_path is None:
    earlier = load_trips(months(history_from, last_month)).query("pickup_datetime < @test_from")
    earlier["duration"] = (earlier["dropoff_datetime"] - earlier["pickup_datetime"]).dt.total_seconds() / 60
    history = earlier[earlier["duration"].between(1, 60)].copy()
    history["passenger_count"] = history["passenger_count"].replace(0, np.nan)
    history["hour"], history["weekday"] = (
        history["pickup_datetime"].dt.hour,
        history["pickup_datetime"].dt.dayofweek,
    )
print(f"{len(history):,} trips before the test month")

# %% name="learning_curve"
curve = {}
for n in sorted({min(n, len(history)) for n in learning_sizes}):
    some = history.sample(n, random_state=0)
    for name, features, estimator in [("linear", for_slopes, Ridge()), ("boosting", for_trees, boosting)]:
        fitted = make_pipeline(features(CATEGORIES), estimator).fit(some, some["duration"])
        curve[n, name] = root_mean_squared_error(test["duration"], fitted.predict(test))
curve = pd.Series(curve).unstack()
curve.rename_axis("trips").round(2)

# %%
fig, ax = plt.subplots()
curve[["linear", "boosting"]].plot(ax=ax, logx=True, marker="o")
smallest, largest = curve.index[0], curve.index[-1]
ax.set(xlabel="trips in training (log scale)", ylabel=f"RMSE on {test_month} (minutes)", ylim=(0, None))
ax.set_title(f"Boosting on {smallest:,} trips beats a linear model on {largest:,}")
ax.legend(title=None)
plt.show()

# %% [markdown]
# *Figure: two falling curves of test error against training trips; the boosting curve lies below the linear one everywhere, and both are
# nearly flat at their right end.*
#
# Both curves fall, and both go flat. The linear model has seen enough after ten thousand trips: it lacks the form, not the data. Boosting
# goes from 5.57<!-- =learning_curve[1000, boosting] --> minutes on a thousand trips to 4.86<!-- =learning_curve[30000, boosting] --> on thirty
# thousand; the next seventy thousand take it to 4.79<!-- =learning_curve[100000, boosting] -->. The linear model ends at
# 6.08<!-- =learning_curve[100000, linear] -->: here a better model is worth more than a hundred times the data, and neither
# replaces what is missing, such as weather, road works and the route.
#
# So draw this curve before you pay for labels or for storage. Steep at its end: buy data. Flat: buy features, or a better model, or stop.

# %% [markdown]
# ## What changed
#
# Answers on the web lag behind the libraries. These calls of theirs fail or mislead today:
#
# {{ what_changed: sklearn, pandas }}

# %% [markdown]
# ## Take-aways
#
# - A baseline comes first. 10.48<!-- =baselines[mean, RMSE (minutes)] --> minutes for a constant is what every other number in this lesson is
#   measured against, and a rule that everybody believes can lose to it.
# - A score that is too good is a bug report. Ask what the model was allowed to see, and look at the rows where it is perfect.
# - A pipeline learns everything from the rows that `fit` is given, so imputation, scaling, encoding and search can't look ahead. It does
#   not know which columns exist only after the fact; you do.
# - Cross-validate the way you will be tested: forward in time when you forecast. The spread over folds belongs to the answer.
# - Read a learning curve before you ask for more data. The form of the model, the data and the tuning pay in that order here, and in your
#   project only a measurement says.
#
# ## In an interview
#
# - *Why does a pipeline prevent leakage, and which leak does it not prevent?* Shown in
#   [A score too good to be true](#A-score-too-good-to-be-true).
# - *What is your baseline, and why that one?* Shown in [Split first, then look for a baseline](#Split-first,-then-look-for-a-baseline).
# - *You may have ten times the data or one more month of modelling. Which?* Shown in
#   [More data, or a better model?](#More-data,-or-a-better-model?).
#
# With the points of a good answer, and more of them: `walkforward practice --lesson 01` in a terminal.
#
# ## Up next
#
# You fitted some fifty models and kept none of them. In [03 · Tracking](03_tracking.ipynb) every one leaves a record that you can search.
