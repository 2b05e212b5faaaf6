# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
#   walkforward:
#     ci:
#       first_month: "2019-07"
#       windows: 2
# ---

# %% [markdown]
# # 01a · Pipelines and baselines
#
# After this lesson you can turn raw trip records into a model whose error you would defend in a review, and you can tell
# a good score from one that is too good to be true.

# %% [markdown]
# > **You will learn to** split by time before you look for a model · find the baseline that is hard to beat · recognise a leak by its
# > score, and test for it · build a pipeline that learns everything inside the validation · forecast the error of next month
# >
# > **Before you start** [00a · Start here](00a_start_here.ipynb) · some Python and pandas
# >
# > **Time** 60 minutes of study; it runs in under a minute
# >
# > **Interview questions it answers** Why does a pipeline prevent leakage? · What is your baseline? · This score is too good. What do you do?

# %% [markdown]
# ## Parameters
#
# To run the lesson on your own city, put the path of a taxi file into `trips_path`.

# %% tags=["parameters"]
trips_path = None  # a Parquet or CSV file of your own; None takes the course's trips
max_trips = 60_000  # of a file of your own, drawn at random; more take more time and memory
first_month = "2019-01"
last_month = "2019-10"
test_from = "2019-10-01"  # trips that start on or after this day are the test set: closed in this lesson
windows = 6  # so many months before the test set are forecast, each from the three months before it

# %%
from course import own_data

if trips_path is not None:  # your file: what the lesson needs of it, or a line that says what it lacks
    trips, test_from = own_data.split_trips(
        trips_path, first_month, last_month, max_trips, test_from=test_from
    )
    trips = own_data.with_counts(trips, "passenger_count")

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression
from sklearn.metrics import root_mean_squared_error
from sklearn.model_selection import KFold, TimeSeriesSplit, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler, TargetEncoder
from threadpoolctl import threadpool_limits

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
# it should end, and how long the planned route is. You do not know the fare, the tip or the time of arrival: they are
# written down when the trip is over, so none of them may be a feature.
#
# The records hold the distance that was driven. We use it in place of the planned route, which they lack; with a navigation service,
# train on the planned route, because that is what you have when you answer.

# %% name="describe"
if trips_path is None:
    trips = load_trips(months(first_month, last_month))
trips["duration"] = (trips["dropoff_datetime"] - trips["pickup_datetime"]).dt.total_seconds() / 60
trips[["duration", "trip_distance", "passenger_count", "fare_amount"]].describe().round(2)

# %% [markdown]
# Ten months, 10,000<!-- given --> trips each. Read the rows `min` and `max` before anything else. A ride of
# 1,439<!-- =describe[max, duration] --> minutes is a meter that nobody switched off, a distance of zero is a trip that was never driven, and
# a negative fare is a refund. The course keeps trips of one minute to one hour.

# %% name="oldest"
print("oldest pickup:", trips["pickup_datetime"].min().date())
print("trips without a passenger count:", int(trips["passenger_count"].isna().sum()))
print("trips with zero passengers:     ", int((trips["passenger_count"] == 0).sum()))

# %% [markdown]
# One clock was set to 2008. Beside 241<!-- =oldest: without a passenger count: (\d+) --> missing passenger counts there
# are 3,051<!-- =oldest: zero passengers: +(\d+) --> trips with nobody on board. The driver enters this number by hand, and nobody pays for
# an empty ride: zero is a missing value in disguise.
#
# ### Your turn
#
# Turn the disguised missing values into real ones.

# %% exercise="passengers_or_missing"

# %%
exercise.check(passengers_or_missing)

# %% name="clean"
clean = trips[trips["duration"].between(1, 60)].sort_values("pickup_datetime", ignore_index=True)
clean["passenger_count"] = clean["passenger_count"].replace(0, np.nan)
clean["hour"] = clean["pickup_datetime"].dt.hour
clean["weekday"] = clean["pickup_datetime"].dt.dayofweek
print(f"kept {len(clean):,} of {len(trips):,} trips ({len(clean) / len(trips):.1%})")

# %% [markdown]
# ## Split first
#
# You will answer for trips that have not happened yet, so the test set is the future: October. It stays closed until lesson 01b has chosen a
# model. Everything that is learnt before, a median for imputation as well as the choice between two models, is learnt from the trips before October.
#
# ### Your turn

# %% exercise="split_at"

# %%
exercise.check(split_at)

# %% [markdown]
# Choices need judging before October, and one month is one draw. So repeat what October will ask, six times: forecast a month from the three
# months before it. scikit-learn's `TimeSeriesSplit` cuts such **windows** from rows in the order of time.
# It counts rows, not days: here a window is a ninth of the trips, about a month, and it is named after its middle day.

# %% name="split"
known = clean[clean["pickup_datetime"] < test_from].copy()
month_of_trips = len(known) // (windows + 3)
forward = TimeSeriesSplit(windows, test_size=month_of_trips, max_train_size=3 * month_of_trips)
parts = list(forward.split(known))
days = [f"{known['pickup_datetime'].iloc[judge].median():%d %b}" for _, judge in parts]
names = days if len(set(days)) == windows else [f"part {k + 1}" for k in range(windows)]
learn, judge = parts[-1]
print(f"{len(learn):,} trips to learn from, {len(judge):,} to judge by, centred on {', '.join(names)}")

# %% [markdown]
# ## The baseline that is hard to beat
#
# The metric is the **RMSE**, the root of the mean squared error, in minutes. One error of twenty minutes costs as much as a hundred
# errors of two. The constant with the least RMSE is the mean; for the mean absolute error it is the median.
#
# Four answers need no machine learning: the mean of all trips; their median; so many minutes a mile, as a driver would say; and a table
# with fifty rows, the mean duration at about this distance.
#
# **Predict first.** Order the four from best to worst.


# %%
def minutes_a_mile(train, valid):
    moved = train[train["trip_distance"] > 0]
    return valid["trip_distance"] * (moved["duration"] / moved["trip_distance"]).median()


def mean_at_distance(train, valid):
    edges = np.unique(train["trip_distance"].quantile(np.linspace(0, 1, 51)))[1:-1]
    means = train["duration"].groupby(np.digitize(train["trip_distance"], edges)).mean()
    return means.reindex(np.digitize(valid["trip_distance"], edges)).to_numpy()


# %% name="baselines"
def by_window(predict) -> list[float]:
    pairs = [(known.iloc[learn], known.iloc[judge]) for learn, judge in parts]
    return [root_mean_squared_error(valid["duration"], predict(train, valid)) for train, valid in pairs]


def table(predictors) -> pd.DataFrame:
    errors = pd.DataFrame({name: by_window(predict) for name, predict in predictors.items()}, index=names).T
    return errors.assign(mean=errors.mean(axis=1)).round(2)


baselines = {
    "mean": lambda train, valid: np.full(len(valid), train["duration"].mean()),
    "median": lambda train, valid: np.full(len(valid), train["duration"].median()),
    "minutes a mile": minutes_a_mile,
    "mean at this distance": mean_at_distance,
}
table(baselines)

# %% [markdown]
# The driver's rule is the worst, in every window: 15.76<!-- =baselines[minutes a mile, mean] --> minutes, where a constant misses by
# 10.34<!-- =baselines[mean, mean] -->. The table with fifty rows gets 5.77<!-- =baselines[mean at this distance, mean] -->. Look at what the rule gets wrong.

# %%
train = known.iloc[learn]
miles = pd.DataFrame({"trip_distance": np.linspace(0.2, 20, 200)})
fig, ax = plt.subplots()
x, means, rule = miles["trip_distance"], mean_at_distance(train, miles), minutes_a_mile(train, miles)
ax.step(x, means, color=PALETTE["blue"], label="mean at this distance")
ax.plot(x, rule, "--", color=PALETTE["red"], label="minutes a mile")
ax.set(xlabel="distance (miles)", ylabel="duration (minutes)", ylim=(0, 120))
ax.set_title("The first miles take longest")
ax.legend()
plt.show()

# %% [markdown]
# *Figure: predicted duration against distance. The dashed rule rises straight to two hours at 20 miles; the table of means rises as steeply
# at first, then ever more slowly, to a little over 40 minutes.*
#
# A mile in Midtown takes long, a mile on the motorway does not. For a trip to the airport the rule promises more than an hour and a half;
# squared, these few trips cost more than all the others. The bar is 5.77<!-- =baselines[mean at this distance, mean] --> minutes, not 10.34<!-- =baselines[mean, mean] -->. Beside a
# constant every model looks good. Does a real model clear the bar?

# %% [markdown]
# ## One object from raw columns to minutes
#
# Take a linear model and give it all you know. It needs numbers without holes, and zones are names: is zone 132<!-- given --> more than zone 4?

# %% name="nan_refused"
NUMBERS = ["trip_distance", "passenger_count"]
CATEGORIES = ["pickup_location_id", "dropoff_location_id", "hour", "weekday"]
missing = train["passenger_count"].isna().mean()
print(f"missing passenger counts: {missing:.1%} of the training trips")
try:
    LinearRegression().fit(train[NUMBERS], train["duration"])
except ValueError as error:
    print(str(error).splitlines()[0])

# %% [markdown]
# Drop these rows and you refuse 2.3<!-- =nan_refused: counts: ([\d.]+)% --> % of your users. Fill them with the median of the whole table and you
# use what you could not know. A **pipeline** learns such things in `fit`, from the rows that it is given:
#
# - `SimpleImputer` learns the median; `add_indicator=True` adds a column "this was missing", which may say something by itself;
# - `StandardScaler` learns mean and standard deviation (lesson 01b shows which models need it);
# - `OneHotEncoder` learns the categories and gives each frequent one a column of its own. `min_frequency=30` pools the rare zones, and a zone
#   that was never seen goes to the same column instead of raising an error.

# %% name="pipeline"
numeric = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
one_hot = OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=30)
features = make_column_transformer((numeric, NUMBERS), (one_hot, CATEGORIES))
linear = make_pipeline(features, LinearRegression())
linear.fit(train, train["duration"])


# %% name="against_the_bar"
def answers_of(model):
    return lambda train, valid: model.fit(train, train["duration"]).predict(valid)


print(f"{linear[0].transform(train).shape[1]} columns")
table({"mean at this distance": mean_at_distance, "linear model": answers_of(linear)})

# %% [markdown]
# A linear model with 192<!-- =against_the_bar: ^(\d+) columns --> columns, zones and hours among them, and a table of fifty means: 5.79<!-- =against_the_bar[linear model, mean] --> minutes
# against 5.77<!-- =against_the_bar[mean at this distance, mean] -->. The table wins in four windows of six. Against the
# constant you would have reported a success. The linear model knows more, but it draws a straight line through
# distance; lesson 01b repairs that.

# %% [markdown]
# ## A score too good to be true
#
# A colleague has an idea that sounds right: the best guide to this trip is *the same trip on other days*. She takes the
# average duration for each route at each hour (a **slot**), joins it to the table, and fits a linear model on four columns.
#
# **Predict first.** Which error would you believe?

# %% name="leak"
slot_of = [known[column].astype(str) for column in ("pickup_location_id", "dropoff_location_id", "hour")]
known["slot"] = slot_of[0].str.cat(slot_of[1:], sep="-")
known["slot_mean"] = known.groupby("slot")["duration"].transform("mean")

simple = ["trip_distance", "hour", "weekday"]
leaky = make_pipeline(make_column_transformer(("passthrough", [*simple, "slot_mean"])), LinearRegression())
table({"average over all rows": answers_of(leaky)})

# %% [markdown]
# 3.55<!-- =leak[average over all rows, mean] --> minutes, much the same in every window, from four columns. The bar is 5.77<!-- =baselines[mean at this distance, mean] -->. When a
# score makes you happy at once, ask what the model was allowed to see.

# %% name="slots"
alone = known.groupby("slot")["duration"].transform("size").iloc[judge] == 1
found = (known["slot_mean"] == known["duration"]).iloc[judge]
print(f"{alone.mean():.0%} of the trips in the last window are alone in their slot")
print("for them, slot_mean equals the answer:", bool(found[alone].all()))

# %% [markdown]
# For 24<!-- =slots: (\d+)% of the trips --> % of the trips the "average of the slot" is the average of one trip: its own. The answer was in the features. This is
# **target leakage**, and the order of two lines made it: the average was taken before the split.
#
# The repair seems obvious: take the averages from the training rows only. And take a far stronger model, gradient boosting: trees one after
# another, each fitted to the error that is left.

# %%
boosting = HistGradientBoostingRegressor(random_state=0)


def training_averages(train, valid):
    average = train.groupby("slot")["duration"].mean()
    overall = train["duration"].mean()

    def columns(rows):
        return rows[simple].assign(slot_mean=rows["slot"].map(average).fillna(overall))

    return boosting.fit(columns(train), train["duration"]).predict(columns(valid))


# %% [markdown]
# In this repair each training trip still finds its own duration in its own average. The model learns to trust the column, and next month the
# column no longer holds the answer. An honest average leaves the trip itself out. `TargetEncoder` does that by **cross-fitting**: it cuts the training rows into folds and
# gives each fold the averages of the others.

# %% name="honest"
cross_fitted = TargetEncoder(target_type="continuous", cv=KFold(5, shuffle=True, random_state=0))
with_slot = make_column_transformer(("passthrough", simple), (cross_fitted, ["slot"]))
without_slot = make_column_transformer(("passthrough", simple))
table(
    {
        "training averages": training_averages,
        "cross-fitted averages": answers_of(make_pipeline(with_slot, boosting)),
        "no averages": answers_of(make_pipeline(without_slot, boosting)),
    }
)

# %% [markdown]
# The obvious repair is worse than no averages at all: 7.44<!-- =honest[training averages, mean] --> against 5.02<!-- =honest[no averages, mean] -->. Cross-fitted, the
# averages help a little: 4.95<!-- =honest[cross-fitted averages, mean] -->. The colleague would have promised 3.55<!-- =leak[average over all rows, mean] -->.
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
# A pipeline learns everything from the rows that `fit` is given, in every window of every validation. It does not know that the
# fare is written down after the trip, and a column that was averaged before the pipeline passes through it.
#
# ### Your turn
#
# So test it. If an answer of the judged rows is hidden in a column, the column changes when these answers change. Write the test that finds it.

# %% exercise="leaking_columns"

# %%
exercise.check(leaking_columns)

# %% [markdown]
# ## The honest forecast of October
#
# The model is gradient boosting on all six columns. Trees take a missing value as it is, and a zone's number as a number (lesson 01b does better).
#
# Many validations shuffle. What does that change? Mix each judged month with its three months of training, cut the mixture into four
# folds, and look at the judged month again: the same trips, as many to learn from, some of them now from the month itself.

# %% name="shuffled"
FEATURES = [*NUMBERS, *CATEGORIES]  # boosting takes numbers with holes


def forward_in_time(train, valid):
    return boosting.fit(train[FEATURES], train["duration"]).predict(valid[FEATURES])


def shuffled(train, valid):
    rows, folds = pd.concat([train, valid]), KFold(4, shuffle=True, random_state=0)
    return cross_val_predict(boosting, rows[FEATURES], rows["duration"], cv=folds)[len(train) :]


errors = table({"shuffled": shuffled, "forward in time": forward_in_time})
errors

# %% name="forecast"
ahead = errors.loc["forward in time"].drop("mean")
gain = errors.loc["forward in time"] - errors.loc["shuffled"]
print(f"shuffled: better by {gain['mean']:.2f} minutes, in {(gain[names] > 0).sum()} of {windows} windows")
print(f"forecast of October: {ahead.mean():.2f}, months from {ahead.min():.2f} to {ahead.max():.2f}")

# %% [markdown]
# The shuffled folds are too good in every window, on average by 0.06<!-- =forecast: better by ([\d.]+) --> minutes. The features hold little of the time; with
# a lag (an earlier value of the target as a feature) the same mistake can make the whole score (lesson 13a). What matters more here: the forward error is 4.43<!-- =forecast: from ([\d.]+) --> minutes in one
# month and 5.10<!-- =forecast: to ([\d.]+) --> in another, because months differ. One shuffled validation
# over all months would average that away.
#
# So write down, before October is opened: about 4.65<!-- =forecast: October: ([\d.]+) --> minutes, and up to 5.1<!-- =forecast: to ([\d.]+) --> would be no surprise. The windows share
# training months, so this range is rough. Shuffle when rows are exchangeable (their order carries no information); when you forecast, cut in time.

# %% [markdown]
# ## Take-aways
#
# - The bar is the best answer without a model. The mean duration at the same distance misses by 5.77<!-- =baselines[mean at this distance, mean] --> minutes, a
#   constant by 10.34<!-- =baselines[mean, mean] -->; a linear model with 192<!-- =against_the_bar: ^(\d+) columns --> columns did not clear the bar.
# - A score that is too good is a bug report. Ask what the model was allowed to see, change the hidden answers, and see which columns move.
# - A pipeline learns everything from the rows that `fit` is given. It does not know which columns exist only after the fact; you do.
# - Averages of the target need cross-fitting: taken from the training rows alone they made the model worse than without them.
# - Validate the way you will be tested, on several windows forward in time. Their spread belongs to the answer.

# %% [markdown]
# ## In an interview
#
# - *Why does a pipeline prevent leakage, and which leak does it not prevent?* Shown in
#   [A score too good to be true](#A-score-too-good-to-be-true).
# - *What is your baseline, and why that one?* Shown in [The baseline that is hard to beat](#The-baseline-that-is-hard-to-beat).
# - *Shuffled folds or forward folds: which error do you report?* Shown in [The honest forecast of October](#The-honest-forecast-of-October).
#
# With the points of a good answer, and more of them: `walkforward practice --lesson 01a` in a terminal.

# %% [markdown]
# ## Up next
#
# [01b · Better models](01b_better_models.ipynb) clears the bar, says what each step was worth, and opens October.
