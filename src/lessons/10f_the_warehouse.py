# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
#   walkforward:
#     ci:
#       copies: 6
# ---

# %% [markdown]
# # 10f · The warehouse
#
# After this lesson you can build features where the data lies, prove that no feature knows the future, and check SQL that was translated from Teradata.

# %% [markdown]
# > **You will learn to** choose between a row store and a column store · push work to the data and say what it saves · join as of a moment · choose a primary index · test translated SQL by its answers
# >
# > **Before you start** [10e · Object storage and the lake](10e_object_storage_and_the_lake.ipynb); you have written a SELECT with a GROUP BY
# >
# > **Time** 55 minutes of study; it runs in 20 seconds
# >
# > **Interview questions it answers** Your feature helped offline and does harm in production. Why? · What does the primary index do in Teradata? · Do you bring the data to the model or the model to the data?

# %% tags=["parameters"]
copies = 114  # of each trip, made inside the database: ten million rows
asked = 500  # trips whose features are also asked for one by one

# %% name="trips"
import contextlib

import pandas as pd

from course import exercise
from course.exercise import TODO
from lessons.the_warehouse.engines import engines, warehouse_trips
from projects.trip_checks import rmse, trained

running = contextlib.ExitStack()  # running.close() at the end stops the server
postgres, duck = running.enter_context(engines())
trips = warehouse_trips()
for engine in (postgres, duck):
    engine.load("trips", trips)
print(f"{len(trips):,} trips with {trips.shape[1]} columns, in two engines")


# %% [markdown]
# ## Rows or columns
#
# PostgreSQL keeps the values of one **row** side by side, in pages of 8 KB. DuckDB keeps the values of one **column** side by side and compresses them. Both hold the same trips. **Predict first.** How much does each read for the mean of one column of nine?

# %% name="read"
postgres.run("CREATE INDEX ON trips (trip_id)")
postgres.run("VACUUM ANALYZE trips")
read = {
    "one column": {
        "row store": postgres.kilobytes("SELECT AVG(seconds) FROM trips"),
        "column store": duck.kilobytes("trips", "seconds"),
    },
    "all columns": {
        "row store": postgres.kilobytes("SELECT * FROM trips"),
        "column store": duck.kilobytes("trips", *trips.columns),
    },
}
pd.DataFrame(read).T.rename_axis("KB read for")


# %% [markdown]
# The row store reads the whole table for one column: 9,024<!-- =read[one column, row store] --> KB. The column store opens 688<!-- =read[one column, column store] --> KB: eight columns stay closed, and equal kinds of values compress well. Training data is a few columns of many rows, so warehouses and Parquet are columnar.
#
# Serving asks the other way round: all of one customer's row, now.

# %% name="one_row"
print("one trip by its number:", postgres.kilobytes("SELECT * FROM trips WHERE trip_id = 777"), "KB")

# %% [markdown]
# An index leads to one page: 24<!-- =one_row: (\d+) KB --> KB in all. A column store opens a block of each of the nine columns, and a changed value means a new block. That is why many systems have two copies: a column store to train from, a row store to serve from. The two must agree; that is the second half of this lesson.

# %% [markdown]
# ## Push the work to the data
#
# Now ten million rows. The database makes them itself; pandas never holds them. Compare what leaves it when you fetch rows and group in pandas, and when you send the grouping there.

# %% name="crossing"
columns = "zone, to_zone, month, miles, seconds"
duck.run(f"CREATE TABLE many AS SELECT {columns} FROM trips CROSS JOIN range({copies})")
questions = {
    "fetch the rows": "SELECT * FROM many",
    "fetch two columns": "SELECT zone, seconds FROM many",
    "group there": "SELECT zone, COUNT(*) AS n, SUM(seconds)::BIGINT AS total FROM many GROUP BY zone",
}
leaves = {
    name: {
        "rows": int(duck.ask(f"SELECT COUNT(*) AS n FROM ({sql})")["n"][0]),
        "KB": duck.crossing(sql) // 1024,
    }
    for name, sql in questions.items()
}
pd.DataFrame(leaves).T

# %% [markdown]
# Grouping in pandas needs 159,038<!-- =crossing[fetch two columns, KB] --> KB first, grouping there 5<!-- =crossing[group there, KB] -->. The database makes and groups its ten million rows in a few seconds. On a network the bytes would be sent on each run; here they are memory. `SELECT *` costs 397,595<!-- =crossing[fetch the rows, KB] --> KB for the same answer.
#
# A pushed result must also be one that you can go on with. Somebody stores the mean of each zone and later averages the means.

# %% name="mean_of_means"
zones = duck.ask(questions["group there"])
means = zones["total"] / zones["n"] / 60
print(f"mean of the zones' means: {means.mean():.2f} minutes")
print(f"total by count:           {zones['total'].sum() / zones['n'].sum() / 60:.2f} minutes")

# %% [markdown]
# 19.26<!-- =mean_of_means: means: ([\d.]+) --> minutes, and the mean of all trips is 13.87<!-- =mean_of_means: count: +([\d.]+) -->: a zone with few trips counts like one with thousands. Store **sums and counts**; they add up over zones, days and machines. Medians and distinct counts do not, so they are computed from the rows, or approximated by sketches.
#
# When is pulling right? When rows are few, when the step is not SQL (a model), or when the database serves customers at that hour.

# %% [markdown]
# ## A feature that knew too much
#
# Traffic differs by zone and day, so you add a feature: the mean minutes of the trips that start in this zone on this day. You train on January to March, and test on each of the next six months.

# %% name="features"
duck.run("""
    CREATE TABLE daily AS
    SELECT zone, date_trunc('day', pickup_at)::TIMESTAMP AS day, AVG(seconds) / 60 AS mean,
           date_trunc('day', pickup_at)::TIMESTAMP + INTERVAL 26 HOURS AS known_at
    FROM trips GROUP BY ALL ORDER BY zone, day""")
same_day = """
    SELECT trips.*, mean FROM trips
    JOIN daily ON trips.zone = daily.zone AND date_trunc('day', pickup_at) = day ORDER BY trip_id"""
as_of = """
    SELECT trips.*, mean FROM trips
    ASOF LEFT JOIN daily ON trips.zone = daily.zone AND pickup_at >= known_at ORDER BY trip_id"""

# %% [markdown]
# Each day's mean is loaded at two in the following night; `known_at` says so. The first query joins on the day. The second is an **as-of join**: of the rows of the zone that were known at the pickup, the last one. **Predict first.** Which of the two gives the better score, and what does production get?

# %% name="models"
plain = ["miles", "zone", "to_zone", "hour", "weekday"]


def prepared(sql):
    rows = duck.ask(sql)
    pickup = rows["pickup_at"].dt
    return rows.assign(duration=rows["seconds"] / 60, hour=pickup.hour, weekday=pickup.weekday)


joined = {"same day": prepared(same_day), "as of": prepared(as_of)}
past = {name: rows[rows["month"] <= 3] for name, rows in joined.items()}
leaky = trained(past["same day"], [*plain, "mean"])
honest = trained(past["as of"], [*plain, "mean"])
without = trained(past["as of"], plain)

# %% name="leak"
scores = {}
for month in range(4, 10):
    day, moment = (rows[rows["month"] == month] for rows in joined.values())
    scores[month] = {
        "no feature": rmse(without, day),
        "same day (offline)": rmse(leaky, day),
        "same day (live)": rmse(leaky, moment),
        "as of (live)": rmse(honest, moment),
    }
scores = pd.DataFrame(scores).T.rename_axis("RMSE in month")
scores.round(2)

# %% [markdown]
# Offline, the feature gains in each of six months. Live, at the moment of the pickup, that mean does not exist; the model gets the last known one, and it is **worse than without the feature** in each month.

# %% name="gains"
gains = scores.drop(columns="no feature").rsub(scores["no feature"], axis=0)
half = 2.57 * gains.std() / len(gains) ** 0.5  # t of 5 degrees of freedom, 95 %
pd.DataFrame({"mean gain": gains.mean(), "from": gains.mean() - half, "to": gains.mean() + half}).round(3)

# %% [markdown]
# Why? A zone has a few trips a day here, and one of them is the trip itself: its own label is part of its feature. Many of the others end later. The trees trust a column that tells the answer in training and not in production. Trained on the as-of feature, the model gains 0.006<!-- =gains[as of (live), mean gain] --> minutes, with an interval that holds zero: the zone's number tells it all that yesterday's mean could. So the right decision is to do without the feature, and only the honest join shows that. (The interval is of six months in a row, so it is a rough one.)

# %% [markdown]
# ## One answer, offline and online
#
# Training asks for all trips in one query. Serving asks for one zone, now. This is a **feature table**: zone, day, value, and when it was known. DuckDB builds it; PostgreSQL serves it.

# %% name="online"
postgres.load("daily", duck.ask("FROM daily"))
postgres.run("CREATE INDEX ON daily (zone, known_at)")
one = "SELECT mean FROM daily WHERE zone = %s AND known_at <= %s ORDER BY known_at DESC LIMIT 1"
some = joined["as of"].dropna(subset="mean").sample(asked, random_state=0)
online = [postgres.ask(one, int(trip.zone), trip.pickup_at)["mean"][0] for trip in some.itertuples()]
print("the same in both engines:", (some["mean"] == online).sum(), "of", asked)

# %% [markdown]
# Keep this comparison as a test that runs each day on logged requests. It finds another time zone, `<` in place of `<=`, a missing value filled differently, and this: ten days late, accounting corrects the values of each 15th and overwrites them (a dimension of **type 1**).

# %% name="overwritten"
duck.run("CREATE TABLE fixed AS FROM daily")
duck.run("UPDATE fixed SET mean = mean + 1 WHERE day(day) = 15")
again = duck.ask(as_of.replace("daily", "fixed")).set_index("trip_id")["mean"]
differs = (again.loc[some["trip_id"]].to_numpy() != some["mean"].to_numpy()).sum()
print("differ from what the service used:", differs, "of", asked)

# %% [markdown]
# The training set now holds values that nobody had. **Type 2** keeps each version with its time: append a row with the same day and a later `known_at`, never update. Then two times count: the day that a value is about, and when it was known. The last known *row* is no longer the right one, since a correction for the 15th arrives after the value of the 24th.
#
# ### Your turn

# %% exercise="known"

# %%
exercise.check(known)

# %% [markdown]
# ## Teradata: the hash decides
#
# Teradata runs on machines that share nothing. Each has **AMPs**, units with their own part of each table. The hash of the **primary index** decides on which AMP a row lies. It is no primary key: it need not be unique. A query ends when the fullest AMP ends. Eight AMPs, by hand (Teradata's hash is another one):

# %% name="amps"
from zlib import crc32


def amp_of(values, amps=8):
    return pd.Series([crc32(str(value).encode()) % amps for value in values])


indexes = {name: trips[name] for name in ("trip_id", "zone", "vendor")}
indexes["zone and month"] = zip(trips["zone"], trips["month"], strict=True)
placed = {}
for name, values in indexes.items():
    per_amp = amp_of(values).value_counts().reindex(range(8), fill_value=0)
    factor = 100 * (1 - per_amp.mean() / per_amp.max())
    placed[name] = {"emptiest": per_amp.min(), "fullest": per_amp.max(), "skew %": round(factor, 1)}
pd.DataFrame.from_dict(placed, orient="index")

# %% [markdown]
# The **skew factor** is 100<!-- given --> × (1 − mean ÷ maximum). With two vendors six AMPs have nothing to do: 80.2<!-- =amps[vendor, skew %] --> %. Zones are many, but a few are popular: 29.9<!-- =amps[zone, skew %] --> %. The trip's number is even. Is it the right index, then?

# %% name="moved"
moved = (amp_of(trips["trip_id"]) != amp_of(trips["zone"])).mean()
print(f"rows that move for a join on the zone: {moved:.0%} by trip_id, 0% by zone")

# %% [markdown]
# Rows are joined where they lie. A table placed by another column is **redistributed** first, on each run. Choose the column that large tables are joined on, if its skew is small; check with `HASHAMP(HASHBUCKET(HASHROW(zone)))` before you create the table. Intermediate rows use **spool**; a user's limit is shared out over the AMPs, so one full AMP ends the query with *no more spool space* while others are empty.
#
# ### Your turn

# %% exercise="skew"

# %%
exercise.check(skew)

# %% [markdown]
# ## Statistics
#
# An optimiser orders joins by the rows that it *expects*, from collected **statistics**. PostgreSQL shows what happens after a load; Teradata's `COLLECT STATISTICS` is the same idea.

# %% name="statistics"
postgres.load("growing", trips[trips["month"] <= 8])
postgres.run("ANALYZE growing")
postgres.load("growing", trips[trips["month"] == 9])
september = "SELECT * FROM growing WHERE month = 9"
print("expected after the load:", postgres.expected(september))
postgres.run("ANALYZE growing")
print("expected after ANALYZE:", postgres.expected(september), "· there are", (trips["month"] == 9).sum())

# %% [markdown]
# The newest month is what you ask for, and the planner expects 1<!-- =statistics: load: (\d+) --> row where 9,703<!-- =statistics: there are (\d+) --> are. For one row a nested loop is a good plan; for millions it is an hour in place of a minute. The job that loads collects statistics, on columns of joins and filters. In any plan compare rows expected with rows found.
#
# Bulk loads have names: **FastLoad** fills one empty table without secondary indexes, in blocks on many sessions; **MultiLoad** changes filled ones; **TPT** is today's tool that does both; **BTEQ** runs scripts. Load a new table, then switch readers to it.

# %% [markdown]
# ## Translated SQL
#
# The client leaves Teradata. `sqlglot` translates statements. `QUALIFY` filters by a window function, as HAVING does by a group: here the newest row of each zone.

# %% name="qualify"
from lessons.the_warehouse import teradata

newest = "SEL zone, miles FROM rides QUALIFY ROW_NUMBER() OVER (PARTITION BY zone ORDER BY day DESC) = 1"
print(teradata.translated(newest))
print(sorted(teradata.rows(newest)))

# %% [markdown]
# That runs and is right. Twelve more statements, on four rows, beside answers worked out by hand from Teradata's rules. **Predict first.** Which are worse, those that fail or those that run?

# %% name="translated"
print(teradata.RIDES.to_string(index=False))
teradata.checked()

# %% [markdown]
# Five of them run, and their answer is another: integers divide to a fraction, a cast rounds and does not cut, text compares with its case (Teradata's own session mode ignores it), a date becomes a timestamp, which in Python equals no date. Those that fail are found on the first day. The others are found months later, in a score. (`SAMPLE .1` is worse: on a small table the translation returns all rows or none.)
#
# So "it runs" proves nothing. For each query that a model depends on: a few rows with the awkward cases, an answer made by hand, compared by value **and type**; then counts and sums of real tables on both systems for a while.

# %% [markdown]
# ## Spark in one picture
#
# A warehouse plans as Spark does: each machine works on its part, and rows move when a key needs them together.
#
# ```mermaid
# flowchart LR
#     subgraph S1["Stage 1: no row moves"]
#         A1["part 1: read, filter, partial sums"]
#         A2["part 2: read, filter, partial sums"]
#         A3["part 3: read, filter, partial sums"]
#     end
#     subgraph X["Shuffle: hash of the key, over disk and network"]
#         H["zone to partition"]
#     end
#     subgraph S2["Stage 2: a partition holds whole keys"]
#         B1["zones of partition 1: done soon"]
#         B2["zones of partition 2: one popular zone, all wait (skew)"]
#     end
#     A1 --> H
#     A2 --> H
#     A3 --> H
#     H --> B1
#     H --> B2
#     B1 --> R["result"]
#     B2 --> R
# ```
#
# A **stage** is the work between two **shuffles**. A shuffle is Teradata's redistribution; skew is the fullest AMP again. Partial sums travel in place of rows, which is your grouping pushed down. It is run in chapter 16.

# %% name="stop"
running.close()

# %% [markdown]
# ## Take-aways
#
# - Columns for training, rows for serving; the two answers are compared each day.
# - Send the grouping to the data. Bring back sums and counts, not means.
# - A feature is joined as of the moment of the prediction, by the time at which its value was known.
# - A primary index places rows: many values, none dominant, and the column of the large joins.
# - Translated SQL is tested by answers made by hand. What fails is seen at once; what runs may be wrong.

# %% [markdown]
# ## In an interview
#
# - *Your feature helped offline and does harm in production. Why?* Shown in [A feature that knew too much](#A-feature-that-knew-too-much).
# - *What does the primary index do in Teradata?* Shown in [Teradata: the hash decides](#Teradata:-the-hash-decides).
# - *Do you bring the data to the model or the model to the data?* Shown in [Push the work to the data](#Push-the-work-to-the-data).
#
# More, with the points of a good answer: `walkforward practice --lesson 10f` in a terminal.

# %% [markdown]
# ## Up next
#
# The features are right at each moment. Next is who runs the pipeline that makes them: [10g · Who runs the pipeline](10g_who_runs_the_pipeline.ipynb).
