# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
#   walkforward:
#     ci:
#       first_month: "2019-11"
# ---

# %% [markdown]
# # I5 · SQL and pandas
#
# After this walkthrough you can answer the questions on tables with which nearly every interview begins. You answer each twice, as a query and as a function of DataFrames, and deal with ties, missing values and empty groups before anybody asks.

# %% [markdown]
# > **You will learn to** say what NULL does in each clause · take one row of many without losing or doubling any · join without changing a sum · measure time on the calendar and not in rows · read what a planner does
# >
# > **Before you start** nothing of this course; you have written a SELECT with a GROUP BY before
# >
# > **Time** 265 minutes of study, in 5 sittings; it runs in a quarter of a minute
# >
# > **Interview questions it answers** The latest row of each key, please, and what happens with ties? · Why did the revenue double after the join? · Find the days in a row on which the station was closed.

# %% [markdown]
# ## Parameters

# %% tags=["parameters"]
first_month = "2019-07"  # taxi trips from this month
last_month = "2019-12"  # to this one, 10,000 a month

# %%
import pandas as pd

from course import exercise
from course.data.database import open_database, plan
from course.exercise import TODO

db = open_database(first_month, last_month)


def ask(query):
    return db.sql(query).df()


trips = ask("SELECT * FROM trips ORDER BY pickup_at, trip_id")

# %% [markdown]
# ## Sitting 1 · Groups, and what is missing
#
# **Time** 60 minutes. The database, the form of an answer, and five katas on GROUP BY and NULL.
#
# The tables are the course's own data in DuckDB, a database that runs inside this process:
#
# - `trips` by taxi in New York, with the zone of the pickup, the distance in miles and the fare in USD;
# - `payment_types`: payment_type, name;
# - `rides`: station, day, rides (in thousands), for 20 stations of Chicago's trains;
# - `games`: day, team, one row per home game in Chicago.

# %% name="tables"
trips.tail(3)

# %% [markdown]
# **The form.** Each kata asks for one function that returns two things, a query and a function of DataFrames, as here for the trips of each zone:
#
# ```python
# def trips_of_zones():
#     sql = "SELECT zone, COUNT(*) AS trips FROM trips GROUP BY zone"
#
#     def frames(trips):
#         return trips.groupby("zone").size().rename("trips").reset_index()
#
#     return sql, frames
# ```
#
# `check` runs both on made-up databases with ties, NULLs, missing days, one row, none; in their DataFrames NULL is NaN. The order of rows counts only where a kata asks for it. When an answer fails, you see that database and the rows that differ. Write the query first and return `sql, None`. Try it on the real data with `ask(trips_of_zones()[0])`. Give each kata eight minutes before you unfold what is below it.

# %% [markdown]
# ### Counting what is there
#
# Six months of taxi trips by payment type:

# %% name="by_type"
ask("SELECT payment_type, COUNT(*) AS trips FROM trips GROUP BY payment_type ORDER BY payment_type")

# %% [markdown]
# The last row is a group as well: 372<!-- =by_type[4, trips] --> trips of which nobody knows the payment type. The interviewer wants to hear what COUNT, AVG and GROUP BY do with them.

# %% exercise="payment_summary"
# %%
exercise.check(payment_summary)

# %% [markdown]
# <details><summary>The idea, and what they ask next</summary>
#
# `COUNT(*)` counts rows. `COUNT(x)`, `SUM(x)` and `AVG(x)` pass over NULL, so an average has another divisor than you may think. GROUP BY puts all NULLs into one group; pandas drops them unless you say `dropna=False`.
#
# ```sql
# SELECT payment_type, COUNT(*) AS trips, COUNT(passengers) AS with_passengers, AVG(fare) AS mean_fare
# FROM trips GROUP BY payment_type
# ```
#
# **Cost.** One pass, and a hash table with one entry per group. An index on `payment_type` does not help: every row is read.
#
# **They ask next.** *What is SUM over no rows?* NULL, and COUNT is 0. *COUNT(DISTINCT x)?* It keeps each value it has seen, so it needs memory; engines offer an approximate one.
#
# </details>

# %% [markdown]
# ### Neither true nor false
#
# **Predict first.** The first count below is of the trips in cash, the second of the trips not in cash. What is their sum?

# %% name="two_halves"
halves = ask("""
    SELECT COUNT(*) FILTER (WHERE payment_type = 2) AS cash,
        COUNT(*) FILTER (WHERE payment_type <> 2) AS not_cash, COUNT(*) AS trips
    FROM trips
""")
halves

# %% [markdown]
# The two halves lack the 372<!-- =by_type[4, trips] --> again. For them both conditions are NULL, and a row is kept only where its condition is true.

# %% exercise="not_by_cash"
# %%
exercise.check(not_by_cash)

# %% [markdown]
# Now the same comparison in pandas, on the column as the query gave it and on the same column with NaN:

# %% name="two_nulls"
with_nan = trips["payment_type"].astype("float64")
print(f"{trips['payment_type'].dtype}: {(trips['payment_type'] != 2).sum():,} are not 2")
print(f"{with_nan.dtype}: {(with_nan != 2).sum():,} are not 2")

# %% [markdown]
# <details><summary>The idea, and what they ask next</summary>
#
# Logic in SQL has three values. A comparison with NULL is NULL, NOT of it is NULL, and WHERE, ON, HAVING and FILTER keep what is true. `IS DISTINCT FROM` compares and always says true or false.
#
# ```sql
# SELECT trip_id, fare FROM trips WHERE payment_type IS DISTINCT FROM 2
# ```
#
# In pandas it depends on the column. DuckDB gives whole numbers with NULL as a nullable column, in which `<NA> != 2` is `<NA>`, and a mask drops that row; `NaN != 2` is True. `isin([2])` says False for both.
#
# **Index.** `x = 2` can use an index on x. `COALESCE(x, 0) <> 2` hides the column in an expression; `x <> 2 OR x IS NULL` does not, but most rows fit it, so the planner reads the table.
#
# **They ask next.** *NULL OR true?* True. *NULL AND false?* False. *What does a CHECK constraint do with NULL?* It lets it pass.
#
# </details>

# %% [markdown]
# ### Conditions on rows, conditions on groups
#
# In which zones is a trip paid by card expensive? A query does not run in the order in which it is written:
#
# | runs | clause | sees |
# |---|---|---|
# | first | FROM, JOIN … ON | tables |
# | then | WHERE | rows |
# | | GROUP BY, HAVING | groups |
# | | SELECT, with its windows | what is left |
# | last | DISTINCT, ORDER BY, LIMIT | the result |

# %% exercise="dear_zones"
# %%
exercise.check(dear_zones)

# %% [markdown]
# EXPLAIN says what the planner makes of it, and `plan` shows that as a table. Read it from the bottom: each line takes the rows of the lines that are indented below it.

# %% name="plan_having"
plan(
    db,
    """SELECT zone, AVG(fare) FROM trips WHERE payment_type = 1
    GROUP BY zone HAVING COUNT(*) >= 2 AND AVG(fare) > 10""",
)

# %% [markdown]
# WHERE went into the scan, so that other rows never leave the table. HAVING is a filter above the groups. The estimate is a guess: 15,000<!-- =plan_having[2, estimate] --> card trips, where there are 42,513<!-- =by_type[0, trips] -->, because the planner takes the four values to be equally frequent. Many a slow query begins with a guess that is off by a factor of a hundred.
#
# <details><summary>The idea, and what they ask next</summary>
#
# ```sql
# SELECT zone, COUNT(*) AS card_trips, AVG(fare) AS mean_fare
# FROM trips WHERE payment_type = 1
# GROUP BY zone HAVING COUNT(*) >= 2 AND AVG(fare) > 10
# ```
#
# `WHERE fare > 10` answers another question: the mean of the expensive trips. In pandas the steps stand in the order in which they run: filter, group, aggregate, filter.
#
# **Index.** On `payment_type` it would stay unused: most rows are by card, and a scan reads those faster.
#
# **They ask next.** *May WHERE name an alias of SELECT?* Not in the standard, as it runs earlier; DuckDB allows it. *A condition that could stand in both?* In WHERE, it makes the groups smaller.
#
# </details>

# %% [markdown]
# ### A share of what is known
#
# One pass, several answers: a condition inside an aggregate. The trap is in the rows where the condition is NULL.

# %% exercise="cash_share"
# %%
exercise.check(cash_share)

# %% [markdown]
# <details><summary>The idea, and what they ask next</summary>
#
# ```sql
# SELECT zone, COUNT(*) AS trips,
#     AVG(CASE WHEN payment_type = 2 THEN 1.0 WHEN payment_type IS NOT NULL THEN 0.0 END) AS cash_share
# FROM trips GROUP BY zone
# ```
#
# Three branches: yes, no, unknown. `COUNT(CASE … THEN 1 ELSE 0 END)` counts every row, because 0 is a value. Where you divide counts, `NULLIF(n, 0)` turns an empty group into NULL: in DuckDB 2 a division of 1 by 0 gives infinity, in PostgreSQL an error.
#
# **Cost.** One pass for both counts; two queries and a join read the table twice.
#
# **They ask next.** *Is the share of unknown rows the same in all zones?* If not, the share is biased, whatever the query does.
#
# </details>

# %% [markdown]
# ### The mean of ratios
#
# What does a mile cost? Two colleagues, two queries, one table:

# %% name="per_mile"
ask("""
    SELECT ROUND(AVG(fare / distance), 2) AS mean_of_ratios,
        ROUND(SUM(fare) / SUM(distance), 2) AS ratio_of_sums
    FROM trips WHERE distance > 0
""")

# %% [markdown]
# 8.96<!-- =per_mile[0, mean_of_ratios] --> or 4.37<!-- =per_mile[0, ratio_of_sums] --> USD. In the first every trip counts the same, also those of a few yards with a minimum fare; in the second every mile does.

# %% exercise="fare_per_mile"
# %%
exercise.check(fare_per_mile)

# %% [markdown]
# <details><summary>The idea, and what they ask next</summary>
#
# A ratio of a group is the ratio of its sums. The mean of the parts' means is the mean of the whole only where all parts have the same size, which is also why a table of daily averages can't be averaged to a month.
#
# ```sql
# SELECT zone, SUM(fare) / SUM(distance) AS fare_per_mile
# FROM trips WHERE distance > 0 AND fare IS NOT NULL GROUP BY zone
# ```
#
# **Cost.** One pass, two sums per group. Sums of parts can be added, so many machines can share the work.
#
# **They ask next.** *What do you store in a summary table?* Sums and counts, which can be added later; no averages, no medians, no distinct counts.
#
# </details>

# %% [markdown]
# ## Sitting 2 · One row of many
#
# **Time** 55 minutes. Five katas on ROW_NUMBER, its relatives, and the frame of a window. From a fresh kernel, run the cells above Sitting 1 first.

# %% [markdown]
# ### Rows that were sent twice
#
# A sender that tries again makes a row twice, with a new id. You have to say what makes two rows the same trip: here, the same zone and second.

# %% name="repeats"
ask("""
    SELECT COUNT(*) AS n, COUNT(DISTINCT trip_id) AS ids, COUNT(DISTINCT (zone, pickup_at)) AS keys,
        COUNT(DISTINCT (zone, pickup_at, fare)) AS with_fare
    FROM trips
""")

# %% [markdown]
# Four rows share their key with another row, and with the fare beside the key all differ. So each is another taxi in the same second, and a blind deduplication would lose four trips: ask for the key before you write. The kata's table holds real repeats.

# %% exercise="without_repeats"
# %%
exercise.check(without_repeats)

# %% [markdown]
# <details><summary>The idea, and what they ask next</summary>
#
# Number the rows of each key in an order that decides, keep number 1. DISTINCT compares whole rows, and the ids differ; MIN of each column makes up a row that never existed.
#
# ```sql
# SELECT trip_id, zone, pickup_at, fare
# FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY zone, pickup_at ORDER BY trip_id) AS place FROM trips) AS placed
# WHERE place = 1
# ```
#
# **Index.** On `(zone, pickup_at, trip_id)` a row store reads the rows in the order of the window and sorts nothing.
#
# **They ask next.** *How do you keep repeats out?* A unique key and `INSERT … ON CONFLICT DO NOTHING`; the job may then run twice.
#
# </details>

# %% [markdown]
# ### The latest of each key
#
# The most asked of all: the last state of every customer, sensor, account. Here the latest trip of each zone. In pandas two lines look alike:

# %% name="last_or_tail"
ways = trips.groupby("zone")["payment_type"]
print(f"last(): {ways.last().isna().sum()} zones of unknown payment type")
print(f"tail(1): {ways.tail(1).isna().sum()} zones of unknown payment type")

# %% [markdown]
# Which of the two is the latest trip?

# %% exercise="latest_trip"
# %%
exercise.check(latest_trip)

# %% [markdown]
# What does it cost? EXPLAIN ANALYZE runs the query and counts the rows; its seconds, which are others each time, are left out here:

# %% name="plan_latest"
plan(
    db,
    """SELECT zone, trip_id, fare FROM trips
    QUALIFY ROW_NUMBER() OVER (PARTITION BY zone ORDER BY pickup_at DESC, trip_id DESC) = 1""",
    analyze=True,
)

# %% [markdown]
# The window numbers all 60,000<!-- =plan_latest[1, rows] --> rows, and the filter keeps 219<!-- =plan_latest[0, rows] -->, one per zone. The guess was 12,000<!-- =plan_latest[0, estimate] -->.
#
# <details><summary>The idea, and what they ask next</summary>
#
# ROW_NUMBER gives each row another number, RANK the same number to equal rows. For one row per key you want ROW_NUMBER, and an order that leaves no tie.
#
# ```sql
# SELECT zone, trip_id, fare FROM trips
# QUALIFY ROW_NUMBER() OVER (PARTITION BY zone ORDER BY pickup_at DESC, trip_id DESC) = 1
# ```
#
# QUALIFY filters after the window; in PostgreSQL write a subquery, or `DISTINCT ON (zone)`. pandas: `last()` takes the last value of each column that is not NaN.
#
# **Index.** On `(zone, pickup_at DESC)` a row store reads in the order of the window. With few keys and many rows each, a lateral subquery with LIMIT 1 makes that one look-up per key.
#
# **They ask next.** *And if late rows arrive?* Then "latest" needs two clocks, the event's and the arrival's.
#
# </details>

# %% [markdown]
# ### The best two of each
#
# Top N of each group, in order. Say what you do with ties before you are asked: all of them, or the first by a rule? Three functions, three answers:

# %% name="ranks"
ask("""
    SELECT rides, ROW_NUMBER() OVER (ORDER BY rides DESC) AS row_number,
        RANK() OVER (ORDER BY rides DESC) AS rank, DENSE_RANK() OVER (ORDER BY rides DESC) AS dense_rank
    FROM (VALUES (26), (25), (25), (24)) AS days(rides) ORDER BY row_number
""")

# %% exercise="two_best_days"
# %%
exercise.check(two_best_days)

# %% [markdown]
# <details><summary>The idea, and what they ask next</summary>
#
# ```sql
# SELECT station, place, day, rides
# FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY station ORDER BY rides DESC, day) AS place
#       FROM rides WHERE rides IS NOT NULL) AS placed
# WHERE place <= 2 ORDER BY station, place
# ```
#
# LIMIT knows no groups. A window runs after WHERE, so the place can't stand there in the same SELECT. And NULL has a place in an order: last in DuckDB, first under DESC in PostgreSQL; write `NULLS LAST` or leave them out.
#
# **Cost.** A sort of each group, n log n; for a fixed N a heap of N is enough, n log N.
#
# **They ask next.** *Without window functions?* Count the better ones in a correlated subquery; it is quadratic in the group.
#
# </details>

# %% [markdown]
# ### The sum so far
#
# **Predict first.** A running sum over the trips of one zone, in order of the pickup. Two of them begin in the same second. Which sum does the first of the two get?

# %% name="peers"
ask("""
    SELECT trip_id, pickup_at, fare, SUM(fare) OVER (ORDER BY pickup_at) AS so_far
    FROM trips WHERE zone = 230
    QUALIFY COUNT(*) OVER (PARTITION BY pickup_at) > 1 ORDER BY trip_id
""")

# %% [markdown]
# Both get the sum that includes both. Without a frame the default holds: RANGE up to the current row, which takes in all rows that are equal in the ORDER BY.

# %% exercise="running_fares"
# %%
exercise.check(running_fares)

# %% [markdown]
# <details><summary>The idea, and what they ask next</summary>
#
# Make the order unique, or write `ROWS UNBOUNDED PRECEDING`, whose sums may differ from run to run where the order has ties.
#
# ```sql
# SELECT trip_id, zone,
#     SUM(COALESCE(fare, 0)) OVER (PARTITION BY zone ORDER BY pickup_at, trip_id) AS so_far
# FROM trips
# ```
#
# pandas: `cumsum` takes the rows as they lie, and leaves NaN at a NaN.
#
# **Cost.** One sort, then one pass. The self-join that people wrote before windows is quadratic in the group.
#
# **They ask next.** *The share of the day's total so far?* The same window without ORDER BY is the total; divide.
#
# </details>

# %% [markdown]
# ### The last value
#
# **Predict first.** `LAST_VALUE(fare) OVER (PARTITION BY zone ORDER BY pickup_at, trip_id)`: in how many of 60,000<!-- =last_is_own[0, trips] --> trips is it the trip's own fare?

# %% name="last_is_own"
ask("""
    SELECT COUNT(*) AS trips, COUNT(*) FILTER (WHERE last = fare) AS own_fare
    FROM (SELECT fare, LAST_VALUE(fare) OVER (PARTITION BY zone ORDER BY pickup_at, trip_id) AS last
          FROM trips) AS looked
""")

# %% exercise="last_fare_of_zone"
# %%
exercise.check(last_fare_of_zone)

# %% [markdown]
# <details><summary>The idea, and what they ask next</summary>
#
# In all of them. With ORDER BY, the default frame ends at the current row, and the last value of the rows up to this one is this one's.
#
# ```sql
# SELECT trip_id, fare, LAST_VALUE(fare) OVER (
#     PARTITION BY zone ORDER BY pickup_at, trip_id
#     ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS last_fare
# FROM trips
# ```
#
# FIRST_VALUE of the reversed order needs no frame, because the default frame begins at the first row.
#
# **Cost.** Windows with the same PARTITION BY and ORDER BY can share one sort.
#
# **They ask next.** *MAX in its place?* That is the highest, not the last; the two agree on values that only grow, so a test on such data does not notice.
#
# </details>

# %% [markdown]
# ## Sitting 3 · Joins
#
# **Time** 60 minutes. Five katas: what has no partner, what has several, what was known then. From a fresh kernel, run the cells above Sitting 1 first.

# %% [markdown]
# ### What nobody used
#
# **Predict first.** The dictionary of payment types has six entries; the trips hold four of them, and NULL. How many rows does this give?

# %% name="not_in"
ask("SELECT name FROM payment_types WHERE payment_type NOT IN (SELECT payment_type FROM trips)")

# %% exercise="unused_types"
# %%
exercise.check(unused_types)

# %% [markdown]
# The plans of the two forms, NOT IN and NOT EXISTS, are different joins:

# %% name="plan_anti"
NOT_IN = "SELECT name FROM payment_types WHERE payment_type NOT IN (SELECT payment_type FROM trips)"
NOT_EXISTS = """SELECT name FROM payment_types AS kind
    WHERE NOT EXISTS (SELECT 1 FROM trips WHERE trips.payment_type = kind.payment_type)"""
plans = {"NOT IN": plan(db, NOT_IN, analyze=True), "NOT EXISTS": plan(db, NOT_EXISTS, analyze=True)}
pd.concat(plans).droplevel(1).drop(columns="estimate")

# %% [markdown]
# NOT IN is a *mark* join, which has to remember whether a NULL was there, and a filter that lets nothing through. NOT EXISTS is an *anti* join, and gives the two names.
#
# <details><summary>The idea, and what they ask next</summary>
#
# `5 NOT IN (1, 2, NULL)` is `5 <> 1 AND 5 <> 2 AND 5 <> NULL`: NULL, so never kept. One NULL empties the result, without an error.
#
# ```sql
# SELECT name FROM payment_types AS kind
# WHERE NOT EXISTS (SELECT 1 FROM trips WHERE trips.payment_type = kind.payment_type)
# ```
#
# `LEFT JOIN … WHERE trips.trip_id IS NULL` is the same; test a column that can't be NULL by itself. pandas: `isin` and `merge` take NaN for equal to NaN.
#
# **Index.** On `trips(payment_type)`: one look-up for each of six rows.
#
# **They ask next.** *EXCEPT?* It compares whole rows, takes NULL for equal and drops repeats.
#
# </details>

# %% [markdown]
# ### A row for zero
#
# "How many of each type" has a row for each type, also where the answer is 0. This query was meant to have six rows:

# %% name="lost_zero"
ask("""
    SELECT name, COUNT(*) AS long_trips FROM payment_types LEFT JOIN trips USING (payment_type)
    WHERE distance > 5 GROUP BY name ORDER BY name
""")

# %% [markdown]
# And here pandas and SQL disagree. A table of one row has the name "nobody" for the payment type NULL; how many of the 372<!-- =by_type[4, trips] --> trips of unknown type does it join?

# %% name="null_keys"
nobody = pd.DataFrame({"payment_type": pd.array([None], dtype="Int32"), "name": ["nobody"]})
print(f"pandas: {len(trips.merge(nobody, on='payment_type'))} trips meet it")
db.register("nobody", nobody)
print(f"SQL: {len(ask('SELECT * FROM trips JOIN nobody USING (payment_type)'))} trips meet it")

# %% exercise="long_trips_by_type"
# %%
exercise.check(long_trips_by_type)

# %% [markdown]
# <details><summary>The idea, and what they ask next</summary>
#
# The LEFT JOIN kept six types, with NULL for the trips of two. Then WHERE asked whether NULL is over 5. A condition on the right table belongs in ON; and count a column of the right table, as `COUNT(*)` counts the row of NULLs too.
#
# ```sql
# SELECT kind.name, COUNT(trips.trip_id) AS long_trips
# FROM payment_types AS kind
# LEFT JOIN trips ON trips.payment_type = kind.payment_type AND trips.distance > 5
# GROUP BY kind.name
# ```
#
# **Cost.** Counting before the join makes it a join of two small tables; some planners do it for you.
#
# **They ask next.** *When is a condition in WHERE right after a LEFT JOIN?* When it speaks of the left table.
#
# </details>

# %% [markdown]
# ### When a join doubles rows
#
# **Predict first.** Rides at Clark/Lake on days with a home game. Does the join change the sum?

# %% name="fan_out"
ask("""
    SELECT 'join' AS way, ROUND(SUM(rides)) AS total, COUNT(*) AS n
    FROM rides JOIN games USING (day) WHERE station = 'clark_lake'
    UNION ALL
    SELECT 'exists', ROUND(SUM(rides)), COUNT(*) FROM rides
    WHERE station = 'clark_lake' AND EXISTS (SELECT 1 FROM games WHERE games.day = rides.day)
    ORDER BY way
""").set_index("way")

# %% [markdown]
# 17,439<!-- =fan_out[join, total] --> against 17,312<!-- =fan_out[exists, total] --> thousand rides. On 38 days two teams played, each of these days came twice, and the excess of under one percent looks like nothing. With a second such join it multiplies.

# %% exercise="rides_on_game_days"
# %%
exercise.check(rides_on_game_days)

# %% [markdown]
# <details><summary>The idea, and what they ask next</summary>
#
# Before each join ask: how many partners can a row have? If you need no column of the other table, ask with EXISTS or IN (a *semi* join). If you need one, make the key unique first.
#
# ```sql
# SELECT station, SUM(COALESCE(rides, 0)) AS total FROM rides
# WHERE EXISTS (SELECT 1 FROM games WHERE games.day = rides.day) GROUP BY station
# ```
#
# `SUM(DISTINCT rides)` seems to mend it, and loses a day whose rides happen to equal another day's. In pandas `merge(…, validate="many_to_one")` raises an error.
#
# **Cost.** A semi join looks up each row once; a join and a DISTINCT make all pairs and sort them out again.
#
# **They ask next.** *How do you see it in a pipeline?* Count the rows before and after each join, and the sum of one column.
#
# </details>

# %% [markdown]
# ### What was known then
#
# A feature for each trip: the usual fare of its zone, which a job computes at the end of each month. A join on zone and month looks right, and hands the model a median in which the trip itself is counted. So the table says from when a value was known:

# %% name="usual"
db.execute("""
    CREATE OR REPLACE TABLE usual_fares AS
    SELECT zone, date_trunc('month', pickup_at) + INTERVAL 1 MONTH AS known_from, MEDIAN(fare) AS usual_fare
    FROM trips GROUP BY ALL
""")
ask("SELECT * FROM usual_fares WHERE zone = 132 ORDER BY known_from LIMIT 3")

# %% exercise="fare_known_then"
# %%
exercise.check(fare_known_then)

# %% [markdown]
# <details><summary>The idea, and what they ask next</summary>
#
# Same key, not later than the event, of these the latest, and keep the events without any.
#
# ```sql
# SELECT trip_id, usual_fare
# FROM trips ASOF LEFT JOIN usual_fares
#     ON trips.zone = usual_fares.zone AND trips.pickup_at >= usual_fares.known_from
# ```
#
# Without ASOF: join on `known_from <= pickup_at` and keep ROW_NUMBER 1, or a lateral subquery with LIMIT 1, which an index on `(zone, known_from DESC)` makes one look-up per trip. pandas: `merge_asof`, backward by default, with `by`, both sides sorted.
#
# **Cost.** As-of sorts both sides once and walks along; the plain join first makes all pairs.
#
# **They ask next.** *At the same instant?* Decide: `>=` trusts a value written in that very second. *How old may it be?* `tolerance` in pandas, one more condition in SQL.
#
# </details>

# %% [markdown]
# ### A week before
#
# Rides against the same weekday a week earlier. Clinton station was closed on some days of autumn 2009; on a table of the days that it was open, what does LAG look at?

# %% name="lag_rows"
db.execute("CREATE OR REPLACE TABLE open_days AS SELECT * FROM rides WHERE rides > 0")
ask("""
    SELECT day, LAG(day, 7) OVER (ORDER BY day) AS seven_rows_back FROM open_days
    WHERE station = 'clinton' QUALIFY day BETWEEN '2009-09-18' AND '2009-09-22' ORDER BY day
""")

# %% [markdown]
# On Monday the 21st it looks at Thursday the 10th: two closed weekends lie between.

# %% exercise="change_on_last_week"
# %%
exercise.check(change_on_last_week)

# %% [markdown]
# <details><summary>The idea, and what they ask next</summary>
#
# LAG counts rows. Seven rows back is a week only where no day is missing and none is there twice. Join the table with itself on the day, and guard the division.
#
# ```sql
# SELECT now.station, now.day, now.rides / NULLIF(before.rides, 0) AS ratio
# FROM rides AS now
# LEFT JOIN rides AS before ON before.station = now.station AND before.day = now.day - 7
# ```
#
# **Cost.** A hash join, one pass over each side; with a unique key on `(station, day)` it can't multiply rows.
#
# **They ask next.** *LAG is faster. When may you use it?* After a date spine, which is the next sitting.
#
# </details>

# %% [markdown]
# ## Sitting 4 · The calendar
#
# **Time** 45 minutes. Four katas in which a day that is missing matters. From a fresh kernel, run the cells above Sitting 1 first.

# %% [markdown]
# ### A row for every day
#
# What is not there can't be counted, averaged or joined. Polk station has days without a single ride:

# %% name="gaps"
db.execute("CREATE OR REPLACE TABLE open_days AS SELECT * FROM rides WHERE rides > 0")
ask("""
    SELECT station, COUNT(*) AS n, MAX(day) - MIN(day) + 1 AS calendar FROM open_days
    WHERE station IN ('polk', 'clinton', 'addison') GROUP BY station ORDER BY station
""").set_index("station")

# %% [markdown]
# Polk has 5,563<!-- =gaps[polk, n] --> rows for 5,698<!-- =gaps[polk, calendar] --> days. A model that takes rows for days learns a calendar with holes.

# %% exercise="every_day"
# %%
exercise.check(every_day)

# %% [markdown]
# <details><summary>The idea, and what they ask next</summary>
#
# First make the days that should be there, then LEFT JOIN what is there. A missing day is NULL: whether it was 0 or not measured is a question about the world, not about SQL.
#
# ```sql
# WITH ends AS (SELECT station, MIN(day) AS first, MAX(day) AS last FROM rides GROUP BY station),
# spine AS (SELECT station, CAST(UNNEST(generate_series(first, last, INTERVAL 1 DAY)) AS DATE) AS day FROM ends)
# SELECT station, day, rides FROM spine LEFT JOIN rides USING (station, day)
# ```
#
# PostgreSQL has `generate_series` as well; elsewhere there is a calendar table, or a recursive CTE. pandas: `asfreq("D")` for each station.
#
# **Cost.** Keys times days, whatever the table holds; so give each key its own days only.
#
# **They ask next.** *One spine for all stations?* Then a station that opened later gets rows before it was built.
#
# </details>

# %% [markdown]
# ### Seven days, or seven rows
#
# **Predict first.** The mean over "the last seven" at Polk, on its open days; on Sunday 21 January 2001 it was closed. Do ROWS and RANGE agree on the Monday?

# %% name="rows_or_range"
ask("""
    SELECT day, ROUND(AVG(rides) OVER (ORDER BY day ROWS 6 PRECEDING), 3) AS by_rows,
        ROUND(AVG(rides) OVER (ORDER BY day RANGE INTERVAL 6 DAYS PRECEDING), 3) AS by_days
    FROM open_days WHERE station = 'polk'
    QUALIFY day BETWEEN '2001-01-18' AND '2001-01-22' ORDER BY day
""")

# %% [markdown]
# The seven rows of Monday the 22nd reach back to the Monday before: 1.944<!-- =rows_or_range[3, by_rows] --> against 2.090<!-- =rows_or_range[3, by_days] --> thousand rides.

# %% exercise="rolling_week"
# %%
exercise.check(rolling_week)

# %% [markdown]
# <details><summary>The idea, and what they ask next</summary>
#
# ROWS counts rows. RANGE with an interval measures along the ORDER BY, so a missing day is not replaced by an eighth one.
#
# ```sql
# SELECT station, day, AVG(rides) OVER (
#     PARTITION BY station ORDER BY day RANGE BETWEEN INTERVAL 6 DAYS PRECEDING AND CURRENT ROW) AS mean_week
# FROM rides
# ```
#
# pandas: `rolling("7D", on="day")`; its result is in the order of the groups, so sort before you put it beside the rows.
#
# **Cost.** One sort; a sum can slide, so a longer window need not cost more. A self-join reads seven rows for each.
#
# **They ask next.** *As a feature for that day?* Then the window has to end the day before: its own value is the answer.
#
# </details>

# %% [markdown]
# ### The last known value
#
# In the kata's tables the rides of some days are NULL: unknown, where 0 is known. What was known last? Watch the first rows of each station.

# %% exercise="carried_forward"
# %%
exercise.check(carried_forward)

# %% [markdown]
# <details><summary>The idea, and what they ask next</summary>
#
# ```sql
# SELECT station, day, LAST_VALUE(rides IGNORE NULLS) OVER (PARTITION BY station ORDER BY day) AS last_known
# FROM rides
# ```
#
# Here the default frame is what you want. Where a database lacks IGNORE NULLS, number the stretches: `COUNT(rides)` so far grows by one at each known value; in each stretch the MAX is that value. In pandas a plain `ffill` fills the first rows of a station with the last of the one above it.
#
# **Cost.** One sort and one pass. The correlated subquery wants an index on `(station, day)`.
#
# **They ask next.** *And backward?* Never in a feature: it is the future. *How far?* Say a limit; a value of last year is no value of today.
#
# </details>

# %% [markdown]
# ### Days in a row
#
# Gaps and islands: the closures of the stations, each as one row with its first and last day. There are 242<!-- =zeros[0, closed_days] --> days with 0 rides. (DuckDB takes `days` for a unit of time: write `AS days`.)

# %% name="zeros"
ask("SELECT COUNT(*) AS closed_days, COUNT(DISTINCT station) AS stations FROM rides WHERE rides = 0")

# %% exercise="closures"
# %%
exercise.check(closures)

# %% [markdown]
# <details><summary>The idea, and what they ask next</summary>
#
# Number the closed days. In a run, day and number grow together, so their difference stays: it names the island.
#
# ```sql
# SELECT station, MIN(day) AS first_day, MAX(day) AS last_day, COUNT(*) AS days
# FROM (SELECT *, day - CAST(ROW_NUMBER() OVER (PARTITION BY station ORDER BY day) AS INTEGER) AS island
#       FROM rides WHERE rides = 0) AS closed
# GROUP BY station, island HAVING COUNT(*) >= 2 ORDER BY station, first_day
# ```
#
# Or mark each beginning and take the running sum of the marks: it works for any rule of "goes on", and the next sitting uses it. Then run it on the real table and read the dates.
#
# **Cost.** WHERE runs before the window, so only the closed days are sorted. Joining each beginning with all ends is quadratic.
#
# **They ask next.** *The longest run?* The same, ordered by days. *With repeats in the table?* DISTINCT first, or the difference drifts.
#
# </details>

# %% [markdown]
# ## Sitting 5 · Sessions, cohorts, percentiles
#
# **Time** 45 minutes. Four katas from the end of an analyst's interview. From a fresh kernel, run the cells above Sitting 1 first.

# %% [markdown]
# ### Sessions
#
# A session ends when nothing happens for a while. For taxis: a busy spell of a zone ends after more than 30 minutes without a pickup.

# %% exercise="busy_spells"
# %%
exercise.check(busy_spells)

# %% [markdown]
# <details><summary>The idea, and what they ask next</summary>
#
# Three steps, each a line: the gap to the row before (LAG), a mark where something new begins (CASE), the running sum of the marks.
#
# ```sql
# WITH marked AS (
#     SELECT zone, pickup_at,
#         CASE WHEN pickup_at - LAG(pickup_at) OVER one <= INTERVAL 30 MINUTES THEN 0 ELSE 1 END AS is_new
#     FROM trips WINDOW one AS (PARTITION BY zone ORDER BY pickup_at)
# ), numbered AS (SELECT *, SUM(is_new) OVER (PARTITION BY zone ORDER BY pickup_at) AS spell FROM marked)
# SELECT zone, spell, MIN(pickup_at) AS begins, COUNT(*) AS trips FROM numbered GROUP BY zone, spell
# ```
#
# ELSE 1 serves the first row too, whose gap is NULL.
#
# **Cost.** Both windows have the same PARTITION BY and ORDER BY and can share one sort.
#
# **They ask next.** *On a stream?* Keep the last time per key as state; a late row can join two sessions.
#
# </details>

# %% [markdown]
# ### Cohorts and retention
#
# Of the zones with their first pickup in a month, how many are active later? **Predict first.** Which month is the oldest cohort of trips from July to December 2019?

# %% name="oldest"
ask("""
    SELECT date_trunc('month', MIN(pickup_at)) AS cohort, COUNT(DISTINCT zone) AS zones
    FROM (SELECT zone, pickup_at FROM trips QUALIFY pickup_at = MIN(pickup_at) OVER (PARTITION BY zone)) AS first
    GROUP BY date_trunc('month', pickup_at) ORDER BY cohort LIMIT 2
""")

# %% [markdown]
# The clock of one meter said 2008, and its zone is a cohort of its own. A minimum is the statistic that one wrong clock decides: look at the cohorts before you plot them. And these trips are a sample, so a zone without a pickup may have had one; with real users you would say the same of an unlogged visit.

# %% exercise="retention"
# %%
exercise.check(retention)

# %% [markdown]
# <details><summary>The idea, and what they ask next</summary>
#
# One row for each zone and month, its first month beside it, then count.
#
# ```sql
# WITH active AS (SELECT DISTINCT zone, date_trunc('month', pickup_at) AS month FROM trips),
# aged AS (SELECT *, MIN(month) OVER (PARTITION BY zone) AS cohort FROM active)
# SELECT cohort, date_diff('month', cohort, month) AS months_later, COUNT(*) AS zones
# FROM aged GROUP BY cohort, months_later
# ```
#
# Divide by the cohort's size, which is its row with 0 months. Young cohorts have fewer months behind them: an average over cohorts is at each age over a different set of them.
#
# **Cost.** DISTINCT first makes the table small: zones times months in the place of trips.
#
# **They ask next.** *Months or 30 days?* Months for a report; days since the first for a fair comparison of people who came on the 1st and on the 31st.
#
# </details>

# %% [markdown]
# ### Median and percentiles
#
# The median fare, in one step or over the zones' medians:

# %% name="medians"
ask("""
    SELECT MEDIAN(fare) AS of_trips, (
        SELECT MEDIAN(m) FROM (SELECT MEDIAN(fare) AS m FROM trips GROUP BY zone) AS zones
    ) AS of_zone_medians
    FROM trips
""")

# %% [markdown]
# 9.50<!-- =medians[0, of_trips] --> and 16.75<!-- =medians[0, of_zone_medians] --> USD. Many zones have few trips, long ones among them; in the second number such a zone counts as much as a busy one.

# %% exercise="fare_percentiles"
# %%
exercise.check(fare_percentiles)

# %% [markdown]
# <details><summary>The idea, and what they ask next</summary>
#
# ```sql
# SELECT zone, quantile_cont(fare, 0.5) AS median, quantile_cont(fare, 0.9) AS p90, COUNT(fare) AS fares
# FROM trips GROUP BY zone
# ```
#
# The standard's form is `PERCENTILE_CONT(0.9) WITHIN GROUP (ORDER BY fare)`. CONT draws a line between two values, DISC picks one that occurs. NTILE makes equal buckets, which is something else.
#
# **Cost.** It has to hold all values of a group, where a mean needs only a sum and a count. On billions of rows one takes a sketch (t-digest, KLL) that can be merged; percentiles themselves can't.
#
# **They ask next.** *The p99 of a day from the p99 of its hours?* Not possible. Keep histograms or sketches.
#
# </details>

# %% [markdown]
# ### Rows to columns
#
# One row per zone, one column per way to pay. Every trip belongs in one of the columns, so the columns add up. Do they here?

# %% name="crosstab"
wide = pd.crosstab(trips["zone"], trips["payment_type"])
print(f"{wide.to_numpy().sum():,} of {len(trips):,} trips are in the table")

# %% exercise="payments_pivot"
# %%
exercise.check(payments_pivot)

# %% [markdown]
# <details><summary>The idea, and what they ask next</summary>
#
# ```sql
# SELECT zone, COUNT(*) FILTER (WHERE payment_type = 1) AS card,
#     COUNT(*) FILTER (WHERE payment_type = 2) AS cash,
#     COUNT(*) FILTER (WHERE payment_type NOT IN (1, 2) OR payment_type IS NULL) AS other
# FROM trips GROUP BY zone
# ```
#
# The columns of a query are known before it runs, so a pivot names them. FILTER is standard; elsewhere it is `SUM(CASE WHEN … THEN 1 ELSE 0 END)`. pandas: `crosstab` leaves out NaN and every column that does not occur: name the unknown, `reindex`, fill with 0. Then check that the columns add up to the trips.
#
# **Cost.** One pass for all columns. A join for each column reads the table as often.
#
# **They ask next.** *Columns that nobody knows beforehand?* Two queries: the values first. Or stay long and let the report pivot.
#
# </details>

# %% [markdown]
# ## Take-aways
#
# - Before the first word of SQL, say the key, what decides a tie, and what NULL means. Half of the traps on this page come from these three.
# - WHERE keeps what is true, and a comparison with NULL never is, negated or not. Hence NOT EXISTS, and not NOT IN.
# - A join can lose rows and can multiply them. Count before and after.
# - Windows count rows unless you give them a calendar, and end at the current row unless you say where they end.
# - pandas has other rules for missing keys: groupby drops them, merge matches them, `last()` passes over them.
# - A plan is read from the bottom. Compare the estimate with the rows that came.
#
# ## Practice
#
# A kata in the terminal, in your editor and on a clock: `walkforward kata latest_trip`. The questions aloud: `walkforward practice --lesson I5`.

# %% [markdown]
# ## In an interview
#
# - *The latest row of each key, please, and what happens with ties?* Shown in [The latest of each key](#The-latest-of-each-key).
# - *Why did the revenue double after the join?* Shown in [When a join doubles rows](#When-a-join-doubles-rows).
# - *Find the days in a row on which the station was closed.* Shown in [Days in a row](#Days-in-a-row).

# %% [markdown]
# ## Up next
#
# [I1 · Coding](I1_coding.ipynb) asks for the same care without a database.
