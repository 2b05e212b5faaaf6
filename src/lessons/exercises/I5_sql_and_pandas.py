"""Exercises of I5, SQL and pandas: each kata is a query and a function of DataFrames, judged on made-up databases."""

import datetime
import random
import statistics
from collections import Counter, defaultdict

import pandas as pd

from course.exercise import also_right, checks, right, wrong
from course.exercise.tables import Table, Task

PATTERNS = {
    "groups and NULL": ("payment_summary", "not_by_cash", "dear_zones", "cash_share", "fare_per_mile"),
    "one row of many": (
        "without_repeats",
        "latest_trip",
        "two_best_days",
        "running_fares",
        "last_fare_of_zone",
    ),
    "joins": (
        "unused_types",
        "long_trips_by_type",
        "rides_on_game_days",
        "fare_known_then",
        "change_on_last_week",
    ),
    "the calendar": ("every_day", "rolling_week", "carried_forward", "closures"),
    "sessions, cohorts, percentiles": ("busy_spells", "retention", "fare_percentiles", "payments_pivot"),
}

# --- The made-up databases ------------------------------------------------------------------------------------------

TRIP = "trip_id int, zone int, pickup_at time, payment_type int, passengers int, distance float, fare float"
RIDE = "station text, day day, rides float"
START = datetime.datetime(2019, 7, 1, 8)


def _random_trips(seed, rows=60):
    chance = random.Random(seed)
    return Table(
        TRIP,
        [
            (
                number,
                chance.randint(1, 4),
                START + datetime.timedelta(minutes=15 * chance.randint(0, 400)),
                chance.choice([1, 1, 1, 2, 2, 3, None]),
                chance.choice([0, 1, 2, None]),
                chance.choice([0.0, 0.5, 2.5, 5.0, 8.0, -1.0, None]),
                chance.choice([4.0, 7.5, 12.0, 30.0, -4.0, None]),
            )
            for number in chance.sample(range(1, 500), rows)
        ],
    )


TRIPS = {
    "a plain day": Table(
        TRIP,
        """
        1 10 2019-07-01T08:00 1 1 2.0 10.0
        2 10 2019-07-01T08:10 2 2 4.0 16.0
        3 20 2019-07-01T08:20 1 1 1.0  6.5
        4 10 2019-07-01T09:00 1 3 9.0 30.0
        5 20 2019-07-02T08:00 1 1 6.0 20.0
        6 30 2019-08-03T08:00 2 1 1.0  5.0
        """,
    ),
    "not in the order of time": Table(
        TRIP,
        """
        9 10 2019-07-03T08:00 1 1 2.0 10.0
        4 10 2019-07-01T08:00 2 2 6.0 16.0
        7 20 2019-07-02T08:00 1 1 1.0  8.0
        2 10 2019-07-02T08:00 1 3 9.0 30.0
        5 20 2019-07-01T08:00 2 1 8.0 25.0
        """,
    ),
    "two at the same minute": Table(
        TRIP,
        """
        3 10 2019-07-01T08:00 1 1 2.0 10.0
        2 10 2019-07-01T08:00 1 1 2.0 14.0
        1 10 2019-07-01T07:00 2 1 6.0  9.0
        4 20 2019-07-01T08:00 1 1 2.0 10.0
        5 20 2019-07-01T08:00 1 1 2.0 10.0
        6 30 2019-07-01T08:00 1 1 2.0  8.0
        7 30 2019-07-01T08:00 1 1 2.0  9.0
        """,
    ),
    "NULLs": Table(
        TRIP,
        """
        1 10 2019-07-01T08:00 - - 8.0 -
        2 10 2019-07-01T08:30 1 1 2.0 12.0
        3 10 2019-07-01T09:30 2 - -   8.0
        4 10 2019-07-01T10:01 - - 0.0 -
        5 20 2019-07-01T08:00 - - -   -
        6 30 2019-07-01T08:00 2 1 0.0 50.0
        7 30 2019-07-01T08:30 1 0 6.0 10.0
        8 30 2019-07-01T08:40 1 1 2.0 14.0
        9 30 2019-07-01T08:50 1 1 1.0 -
        10 40 2019-07-01T08:00 1 1 2.0 20.0
        11 40 2019-07-01T09:00 1 1 2.0 -
        """,
    ),
    "seconds": Table(
        TRIP,
        """
        7 10 2019-07-01T08:00:05 1 1 2.0 10.0
        5 10 2019-07-01T08:00:10 1 1 2.0 12.0
        3 10 2019-07-01T08:30:50 2 1 2.0 14.0
        4 10 2019-07-01T09:00:50 1 1 6.0 16.0
        6 20 2019-07-01T08:00:00 1 1 2.0 11.0
        2 20 2019-07-01T08:00:40 2 1 2.0 13.0
        """,
    ),
    "one trip": Table(TRIP, "1 10 2019-07-01T08:00 1 1 2.0 10.0"),
    "no trips": Table(TRIP, ""),
    "sixty drawn at random": _random_trips(1),
    "sixty others": _random_trips(2),
}
ONLY_TRIPS = {name: {"trips": trips} for name, trips in TRIPS.items()}


def _random_rides(seed):
    chance = random.Random(seed)
    first = datetime.date(2019, 7, 1)
    days = {
        station: sorted(chance.sample(range(25), chance.randint(10, 20)))
        for station in ("adams", "clark", "polk")
    }
    rows = [
        (station, first + datetime.timedelta(days=day), chance.choice([0.0, 0.0, 1.0, 2.0, 3.5, 4.0, None]))
        for station, drawn in days.items()
        for day in drawn
    ]
    chance.shuffle(rows)
    return Table(RIDE, rows)


RIDES = {
    "a plain week": Table(
        RIDE,
        """
        clark 2019-07-01 3.0
        clark 2019-07-02 5.0
        clark 2019-07-03 4.0
        clark 2019-07-08 6.0
        polk  2019-07-01 1.0
        polk  2019-07-02 2.0
        """,
    ),
    "equal days, not in order": Table(
        RIDE,
        """
        polk  2019-07-09 2.0
        clark 2019-07-03 5.0
        clark 2019-07-01 5.0
        polk  2019-07-02 2.0
        clark 2019-07-02 5.0
        polk  2019-07-01 2.0
        clark 2019-07-08 4.0
        """,
    ),
    "days are missing": Table(
        RIDE,
        """
        clark 2019-07-01 2.0
        clark 2019-07-04 4.0
        clark 2019-07-11 6.0
        polk  2019-07-03 1.0
        polk  2019-07-05 3.0
        """,
    ),
    "NULLs": Table(
        RIDE,
        """
        clark 2019-07-01 -
        clark 2019-07-02 4.0
        clark 2019-07-03 -
        clark 2019-07-09 8.0
        polk  2019-07-01 -
        polk  2019-07-02 -
        adams 2019-07-01 2.0
        """,
    ),
    "zeros": Table(
        RIDE,
        """
        clark 2019-07-01 0.0
        clark 2019-07-02 0.0
        clark 2019-07-03 2.0
        clark 2019-07-04 0.0
        clark 2019-07-06 0.0
        clark 2019-07-08 3.0
        polk  2019-07-05 0.0
        polk  2019-07-06 0.0
        polk  2019-07-07 0.0
        """,
    ),
    "one day": Table(RIDE, "clark 2019-07-01 3.0"),
    "no days": Table(RIDE, ""),
    "drawn at random": _random_rides(1),
    "drawn again": _random_rides(2),
}
ONLY_RIDES = {name: {"rides": rides} for name, rides in RIDES.items()}


def _by(rows, *names):
    """Return the rows by the value (or values) of some columns, in the order of their first row."""
    groups = defaultdict(list)
    for row in rows:
        key = tuple(getattr(row, name) for name in names)
        groups[key if len(names) > 1 else key[0]].append(row)
    return groups


def _known(values):
    return [value for value in values if value is not None]


def _mean(values):
    return statistics.fmean(values) if values else None


def _in_time(trips):
    return sorted(trips, key=lambda trip: (trip.pickup_at, trip.trip_id))


# --- payment_summary ------------------------------------------------------------------------------------------------

SUMMARY = Task(
    "payment_type trips with_passengers mean_fare",
    ONLY_TRIPS,
    lambda trips: [
        (
            kind,
            len(rows),
            len(_known(row.passengers for row in rows)),
            _mean(_known(row.fare for row in rows)),
        )
        for kind, rows in _by(trips, "payment_type").items()
    ],
)


@right
def payment_summary():
    """Return `(sql, frames)`: a row for each payment type of `trips`, the unknown one (NULL) among them.

    Columns: payment_type, trips (how many), with_passengers (in how many the passengers are known), mean_fare (of the
    known fares). `frames(trips)` gives the same from a DataFrame, with NaN for NULL.
    """
    sql = """
        SELECT payment_type, COUNT(*) AS trips, COUNT(passengers) AS with_passengers, AVG(fare) AS mean_fare
        FROM trips
        GROUP BY payment_type
    """

    def frames(trips):
        groups = trips.groupby("payment_type", dropna=False)
        return groups.agg(
            trips=("trip_id", "size"), with_passengers=("passengers", "count"), mean_fare=("fare", "mean")
        ).reset_index()

    return sql, frames


@checks(payment_summary)
def the_summary_in_sql(answer):
    """`COUNT(*)` counts rows, `COUNT(passengers)` the values that are there. GROUP BY keeps NULL as a group."""
    SUMMARY.sql(answer)


@checks(payment_summary)
def the_summary_in_pandas(answer):
    """`groupby` drops the rows whose key is NaN unless you say `dropna=False`; `size` counts rows, `count` values."""
    SUMMARY.pandas(answer)


@also_right(payment_summary)
def summary_by_hand():
    sql = """
        SELECT payment_type, SUM(1) AS trips,
            SUM(CASE WHEN passengers IS NULL THEN 0 ELSE 1 END) AS with_passengers,
            SUM(fare) / COUNT(fare) AS mean_fare
        FROM trips GROUP BY 1
    """

    def frames(trips):
        rows = []
        for kind in trips["payment_type"].unique():
            same = trips["payment_type"].isna() if pd.isna(kind) else trips["payment_type"] == kind
            group = trips[same]
            rows.append((kind, len(group), group["passengers"].notna().sum(), group["fare"].mean()))
        return pd.DataFrame(rows, columns=["payment_type", "trips", "with_passengers", "mean_fare"])

    return sql, frames


@also_right(payment_summary)
def summary_by_windows():
    sql = """
        SELECT DISTINCT payment_type, COUNT(*) OVER same AS trips, COUNT(passengers) OVER same AS with_passengers,
            AVG(fare) OVER same AS mean_fare
        FROM trips WINDOW same AS (PARTITION BY payment_type)
    """

    def frames(trips):
        table = trips.assign(one=1, known=trips["passengers"].notna().astype(int))
        groups = table.groupby("payment_type", dropna=False, as_index=False)
        found = groups.agg(trips=("one", "sum"), with_passengers=("known", "sum"))
        found["mean_fare"] = groups["fare"].mean()["fare"]
        return found

    return sql, frames


@wrong(payment_summary, caught_by=the_summary_in_sql)
def counts_values_as_rows():
    sql = "SELECT payment_type, COUNT(payment_type) AS trips, COUNT(passengers) AS with_passengers, "
    return sql + "AVG(fare) AS mean_fare FROM trips GROUP BY payment_type", payment_summary()[1]


@wrong(payment_summary, caught_by=the_summary_in_sql)
def an_unknown_fare_is_zero():
    return payment_summary()[0].replace("AVG(fare)", "AVG(COALESCE(fare, 0))"), payment_summary()[1]


@wrong(payment_summary, caught_by=the_summary_in_sql)
def leaves_out_the_unknown_type():
    return payment_summary()[0].replace("GROUP BY", "WHERE payment_type IS NOT NULL GROUP BY"), None


@wrong(payment_summary, caught_by=the_summary_in_pandas)
def pandas_drops_the_unknown_type():
    def frames(trips):
        groups = trips.groupby("payment_type")
        return groups.agg(
            trips=("trip_id", "size"), with_passengers=("passengers", "count"), mean_fare=("fare", "mean")
        ).reset_index()

    return payment_summary()[0], frames


# --- not_by_cash ----------------------------------------------------------------------------------------------------

NOT_CASH = Task(
    "trip_id fare",
    ONLY_TRIPS,
    lambda trips: [(trip.trip_id, trip.fare) for trip in trips if trip.payment_type != 2],
)


@right
def not_by_cash():
    """Return `(sql, frames)`: all trips but those paid in cash (payment type 2), so the unknown (NULL) as well.

    Columns: trip_id, fare. `frames(trips)` gives the same from a DataFrame.
    """
    sql = "SELECT trip_id, fare FROM trips WHERE payment_type IS DISTINCT FROM 2"

    def frames(trips):
        return trips.loc[~trips["payment_type"].isin([2]), ["trip_id", "fare"]]

    return sql, frames


@checks(not_by_cash)
def not_cash_in_sql(answer):
    """`NULL <> 2` is neither true nor false but NULL, and WHERE keeps only what is true."""
    NOT_CASH.sql(answer)


@checks(not_by_cash)
def not_cash_in_pandas(answer):
    """`NaN != 2` is True, `pd.NA != 2` is <NA>, and a mask with <NA> drops the row. Which one is in your column?"""
    NOT_CASH.pandas(answer)


@also_right(not_by_cash)
def not_cash_or_unknown():
    def frames(trips):
        return trips.loc[trips["payment_type"] != 2, ["trip_id", "fare"]]

    return "SELECT trip_id, fare FROM trips WHERE payment_type <> 2 OR payment_type IS NULL", frames


@also_right(not_by_cash)
def not_cash_with_a_stand_in():
    def frames(trips):
        return trips[trips["payment_type"].fillna(0).ne(2)].filter(["trip_id", "fare"])

    return "SELECT trip_id, fare FROM trips WHERE COALESCE(payment_type, 0) <> 2", frames


@also_right(not_by_cash)
def not_cash_without_the_cash():
    def frames(trips):
        cash = trips.index[trips["payment_type"].eq(2)]
        return trips.drop(cash)[["trip_id", "fare"]]

    sql = "SELECT trip_id, fare FROM trips AS t WHERE NOT EXISTS "
    return sql + "(SELECT 1 FROM trips AS c WHERE c.trip_id = t.trip_id AND c.payment_type = 2)", frames


@wrong(not_by_cash, caught_by=not_cash_in_sql)
def unequal_loses_the_unknown():
    return "SELECT trip_id, fare FROM trips WHERE payment_type <> 2", not_by_cash()[1]


@wrong(not_by_cash, caught_by=not_cash_in_sql)
def the_negation_loses_them_too():
    return "SELECT trip_id, fare FROM trips WHERE NOT (payment_type = 2)", not_by_cash()[1]


@wrong(not_by_cash, caught_by=not_cash_in_sql)
def compares_with_null_by_equals():
    return "SELECT trip_id, fare FROM trips WHERE payment_type <> 2 OR payment_type = NULL", not_by_cash()[1]


@wrong(not_by_cash, caught_by=not_cash_in_pandas)
def a_nullable_mask_drops_them():
    def frames(trips):
        return trips.loc[trips["payment_type"].astype("Int64") != 2, ["trip_id", "fare"]]

    return not_by_cash()[0], frames


@wrong(not_by_cash, caught_by=not_cash_in_pandas)
def lists_the_others():
    return not_by_cash()[0], lambda trips: trips.loc[
        trips["payment_type"].isin([1, 3, 4]), ["trip_id", "fare"]
    ]


# --- dear_zones -----------------------------------------------------------------------------------------------------


def _dear_zones(trips):
    found = []
    for zone, rows in _by([trip for trip in trips if trip.payment_type == 1], "zone").items():
        mean = _mean(_known(row.fare for row in rows))
        if len(rows) >= 2 and mean is not None and mean > 10:
            found.append((zone, len(rows), mean))
    return found


DEAR = Task("zone card_trips mean_fare", ONLY_TRIPS, _dear_zones)


@right
def dear_zones():
    """Return `(sql, frames)`: the zones with at least two trips paid by card (type 1) whose mean fare is over 10 USD.

    Columns: zone, card_trips, mean_fare (of these trips, where the fare is known). Other trips do not count.
    `frames(trips)` gives the same.
    """
    sql = """
        SELECT zone, COUNT(*) AS card_trips, AVG(fare) AS mean_fare
        FROM trips
        WHERE payment_type = 1
        GROUP BY zone
        HAVING COUNT(*) >= 2 AND AVG(fare) > 10
    """

    def frames(trips):
        cards = trips[trips["payment_type"] == 1].groupby("zone", as_index=False)
        found = cards.agg(card_trips=("trip_id", "size"), mean_fare=("fare", "mean"))
        return found[(found["card_trips"] >= 2) & (found["mean_fare"] > 10)]

    return sql, frames


@checks(dear_zones)
def dear_zones_in_sql(answer):
    """WHERE chooses rows before they are grouped, HAVING chooses groups. Which condition speaks of which?"""
    DEAR.sql(answer)


@checks(dear_zones)
def dear_zones_in_pandas(answer):
    """Filter the rows, group, aggregate, then filter the result: four steps in the order in which SQL runs."""
    DEAR.pandas(answer)


@also_right(dear_zones)
def dear_zones_from_a_subquery():
    sql = """
        SELECT * FROM (
            SELECT zone, COUNT(*) AS card_trips, AVG(fare) AS mean_fare FROM trips WHERE payment_type = 1 GROUP BY zone
        ) AS cards
        WHERE card_trips > 1 AND mean_fare > 10
    """

    def frames(trips):
        cards = trips.query("payment_type == 1")
        fares = cards.groupby("zone")["fare"]
        found = pd.DataFrame({"card_trips": fares.size(), "mean_fare": fares.mean()})
        return found.query("card_trips > 1 and mean_fare > 10").reset_index()

    return sql, frames


@also_right(dear_zones)
def dear_zones_by_conditions():
    sql = """
        SELECT zone, COUNT(*) FILTER (WHERE payment_type = 1) AS card_trips,
            AVG(CASE WHEN payment_type = 1 THEN fare END) AS mean_fare
        FROM trips GROUP BY zone
        HAVING COUNT(*) FILTER (WHERE payment_type = 1) >= 2 AND AVG(CASE WHEN payment_type = 1 THEN fare END) > 10
    """

    def frames(trips):
        rows = []
        for zone, group in trips.groupby("zone"):
            fares = group.loc[group["payment_type"] == 1, "fare"]
            if len(fares) >= 2 and fares.mean() > 10:
                rows.append({"zone": zone, "card_trips": len(fares), "mean_fare": fares.mean()})
        return pd.DataFrame(rows, columns=["zone", "card_trips", "mean_fare"])

    return sql, frames


@wrong(dear_zones, caught_by=dear_zones_in_sql)
def drops_the_cheap_trips_first():
    sql = "SELECT zone, COUNT(*) AS card_trips, AVG(fare) AS mean_fare FROM trips "
    return sql + "WHERE payment_type = 1 AND fare > 10 GROUP BY zone HAVING COUNT(*) >= 2", dear_zones()[1]


@wrong(dear_zones, caught_by=dear_zones_in_sql)
def forgets_the_payment_type():
    return dear_zones()[0].replace("WHERE payment_type = 1", ""), dear_zones()[1]


@wrong(dear_zones, caught_by=dear_zones_in_sql)
def puts_an_aggregate_into_where():
    sql = "SELECT zone, COUNT(*) AS card_trips, AVG(fare) AS mean_fare FROM trips "
    return sql + "WHERE payment_type = 1 AND AVG(fare) > 10 GROUP BY zone HAVING COUNT(*) >= 2", dear_zones()[
        1
    ]


@wrong(dear_zones, caught_by=dear_zones_in_pandas)
def counts_all_trips_of_the_zone():
    def frames(trips):
        busy = trips.groupby("zone").filter(lambda group: len(group) >= 2)
        found = busy[busy["payment_type"] == 1].groupby("zone", as_index=False)
        found = found.agg(card_trips=("trip_id", "size"), mean_fare=("fare", "mean"))
        return found[found["mean_fare"] > 10]

    return dear_zones()[0], frames


# --- cash_share -----------------------------------------------------------------------------------------------------

CASH = Task(
    "zone trips cash_share",
    ONLY_TRIPS,
    lambda trips: [
        (zone, len(rows), _mean([float(kind == 2) for kind in _known(row.payment_type for row in rows)]))
        for zone, rows in _by(trips, "zone").items()
    ],
)


@right
def cash_share():
    """Return `(sql, frames)`: for each zone the share of cash (payment type 2) among the trips of known payment type.

    Columns: zone, trips (all of the zone), cash_share (0 to 1; NULL where no payment type is known).
    `frames(trips)` gives the same, NaN for NULL.
    """
    sql = """
        SELECT zone, COUNT(*) AS trips,
            AVG(CASE WHEN payment_type = 2 THEN 1.0 WHEN payment_type IS NOT NULL THEN 0.0 END) AS cash_share
        FROM trips
        GROUP BY zone
    """

    def frames(trips):
        cash = trips["payment_type"].eq(2).astype(float).where(trips["payment_type"].notna())
        groups = trips.assign(cash=cash).groupby("zone")
        return groups.agg(trips=("trip_id", "size"), cash_share=("cash", "mean")).reset_index()

    return sql, frames


@checks(cash_share)
def the_share_in_sql(answer):
    """A CASE without ELSE gives NULL, which AVG, SUM and COUNT pass over; `ELSE 0` is a value and is counted."""
    CASH.sql(answer)


@checks(cash_share)
def the_share_in_pandas(answer):
    """`NaN == 2` is False, and a mean of it counts as "not cash". Make it NaN again with `where` before the mean."""
    CASH.pandas(answer)


@also_right(cash_share)
def the_share_of_two_counts():
    sql = """
        SELECT zone, COUNT(*) AS trips,
            COUNT(*) FILTER (WHERE payment_type = 2) * 1.0 / NULLIF(COUNT(payment_type), 0) AS cash_share
        FROM trips GROUP BY zone
    """

    def frames(trips):
        table = trips.assign(cash=trips["payment_type"] == 2)
        found = table.groupby("zone").agg(
            trips=("trip_id", "size"), cash=("cash", "sum"), known=("payment_type", "count")
        )
        found["cash_share"] = found["cash"] / found["known"].where(found["known"] > 0)
        return found.reset_index()[["zone", "trips", "cash_share"]]

    return sql, frames


@also_right(cash_share)
def the_share_by_a_join():
    sql = """
        WITH known AS (
            SELECT zone, AVG(CAST(payment_type = 2 AS INTEGER)) AS cash_share
            FROM trips WHERE payment_type IS NOT NULL GROUP BY zone
        ), counted AS (SELECT zone, COUNT(*) AS trips FROM trips GROUP BY zone)
        SELECT zone, trips, cash_share FROM counted LEFT JOIN known USING (zone)
    """

    def frames(trips):
        known = trips.dropna(subset=["payment_type"])
        share = known["payment_type"].eq(2).groupby(known["zone"]).mean().rename("cash_share")
        counted = trips.groupby("zone").size().rename("trips").reset_index()
        return counted.merge(share.reset_index(), on="zone", how="left")

    return sql, frames


@wrong(cash_share, caught_by=the_share_in_sql)
def counts_every_case():
    sql = "SELECT zone, COUNT(*) AS trips, COUNT(CASE WHEN payment_type = 2 THEN 1 ELSE 0 END) * 1.0 / "
    return sql + "NULLIF(COUNT(payment_type), 0) AS cash_share FROM trips GROUP BY zone", cash_share()[1]


@wrong(cash_share, caught_by=the_share_in_sql)
def the_unknown_are_no_cash():
    sql = (
        "SELECT zone, COUNT(*) AS trips, AVG(CASE WHEN payment_type = 2 THEN 1.0 ELSE 0.0 END) AS cash_share "
    )
    return sql + "FROM trips GROUP BY zone", cash_share()[1]


@wrong(cash_share, caught_by=the_share_in_sql)
def loses_the_zone_without_a_known_type():
    sql = "SELECT zone, COUNT(*) AS trips, AVG(CAST(payment_type = 2 AS INTEGER)) AS cash_share FROM trips "
    return sql + "WHERE payment_type IS NOT NULL GROUP BY zone", cash_share()[1]


@wrong(cash_share, caught_by=the_share_in_pandas)
def nan_is_not_two():
    def frames(trips):
        groups = trips.assign(cash=trips["payment_type"] == 2).groupby("zone")
        return groups.agg(trips=("trip_id", "size"), cash_share=("cash", "mean")).reset_index()

    return cash_share()[0], frames


# --- fare_per_mile --------------------------------------------------------------------------------------------------


def _fare_per_mile(trips):
    measured = [trip for trip in trips if (trip.distance or 0) > 0 and trip.fare is not None]
    return [
        (zone, sum(row.fare for row in rows) / sum(row.distance for row in rows))
        for zone, rows in _by(measured, "zone").items()
    ]


PER_MILE = Task("zone fare_per_mile", ONLY_TRIPS, _fare_per_mile)


@right
def fare_per_mile():
    """Return `(sql, frames)`: for each zone all dollars divided by all miles.

    Columns: zone, fare_per_mile. Only trips count that have a known fare and a distance above 0; a zone without one
    has no row. `frames(trips)` gives the same.
    """
    sql = """
        SELECT zone, SUM(fare) / SUM(distance) AS fare_per_mile
        FROM trips
        WHERE distance > 0 AND fare IS NOT NULL
        GROUP BY zone
    """

    def frames(trips):
        measured = trips[(trips["distance"] > 0) & trips["fare"].notna()]
        sums = measured.groupby("zone")[["fare", "distance"]].sum()
        return (sums["fare"] / sums["distance"]).rename("fare_per_mile").reset_index()

    return sql, frames


@checks(fare_per_mile)
def per_mile_in_sql(answer):
    """The mean of the trips' ratios gives a trip of half a mile the weight of one of nine. Divide sums."""
    PER_MILE.sql(answer)


@checks(fare_per_mile)
def per_mile_in_pandas(answer):
    """Leave out the same rows on both sides of the division, then sum each side, then divide."""
    PER_MILE.pandas(answer)


@also_right(fare_per_mile)
def per_mile_as_a_weighted_mean():
    sql = """
        SELECT zone, SUM(fare / distance * distance) / SUM(distance) AS fare_per_mile
        FROM (SELECT * FROM trips WHERE distance > 0 AND fare IS NOT NULL) AS measured GROUP BY zone
    """

    def frames(trips):
        measured = trips.query("distance > 0").dropna(subset=["fare"])
        found = measured.groupby("zone", as_index=False).agg(fare=("fare", "sum"), miles=("distance", "sum"))
        return found.assign(fare_per_mile=found["fare"] / found["miles"])[["zone", "fare_per_mile"]]

    return sql, frames


@also_right(fare_per_mile)
def per_mile_by_filters():
    sql = """
        SELECT zone, SUM(fare) FILTER (WHERE distance > 0) / SUM(distance) FILTER (WHERE distance > 0 AND fare IS NOT NULL)
            AS fare_per_mile
        FROM trips GROUP BY zone HAVING COUNT(*) FILTER (WHERE distance > 0 AND fare IS NOT NULL) > 0
    """

    def frames(trips):
        rows = [
            (zone, group["fare"].sum() / group["distance"].sum())
            for zone, group in trips[trips["distance"].gt(0) & ~trips["fare"].isna()].groupby("zone")
        ]
        return pd.DataFrame(rows, columns=["zone", "fare_per_mile"])

    return sql, frames


@wrong(fare_per_mile, caught_by=per_mile_in_sql)
def the_mean_of_ratios():
    return fare_per_mile()[0].replace("SUM(fare) / SUM(distance)", "AVG(fare / distance)"), fare_per_mile()[1]


@wrong(fare_per_mile, caught_by=per_mile_in_sql)
def counts_fares_without_a_distance():
    return (
        "SELECT zone, SUM(fare) / SUM(distance) AS fare_per_mile FROM trips GROUP BY zone",
        fare_per_mile()[1],
    )


@wrong(fare_per_mile, caught_by=per_mile_in_pandas)
def the_mean_of_ratios_in_pandas():
    def frames(trips):
        measured = trips[(trips["distance"] > 0) & trips["fare"].notna()]
        ratio = measured["fare"] / measured["distance"]
        return ratio.groupby(measured["zone"]).mean().rename("fare_per_mile").reset_index()

    return fare_per_mile()[0], frames


@wrong(fare_per_mile, caught_by=per_mile_in_sql)
def takes_a_distance_below_zero():
    return fare_per_mile()[0].replace("distance > 0", "distance <> 0"), fare_per_mile()[1]


@wrong(fare_per_mile, caught_by=per_mile_in_pandas)
def divides_by_nothing():
    def frames(trips):
        sums = trips.groupby("zone")[["fare", "distance"]].sum()
        return (sums["fare"] / sums["distance"]).rename("fare_per_mile").reset_index()

    return fare_per_mile()[0], frames


# --- without_repeats ------------------------------------------------------------------------------------------------

REPEATS = Task(
    "trip_id zone pickup_at fare",
    ONLY_TRIPS,
    lambda trips: [
        (row.trip_id, row.zone, row.pickup_at, row.fare)
        for rows in _by(trips, "zone", "pickup_at").values()
        for row in [min(rows)]
    ],
)


@right
def without_repeats():
    """Return `(sql, frames)`: the trips, each once. Two rows of the same zone and pickup_at are one trip, sent twice.

    Of such rows keep the one with the lowest trip_id, whole. Columns: trip_id, zone, pickup_at, fare.
    `frames(trips)` gives the same.
    """
    sql = """
        SELECT trip_id, zone, pickup_at, fare
        FROM (
            SELECT *, ROW_NUMBER() OVER (PARTITION BY zone, pickup_at ORDER BY trip_id) AS place FROM trips
        ) AS placed
        WHERE place = 1
    """

    def frames(trips):
        first = trips.sort_values("trip_id").drop_duplicates(["zone", "pickup_at"])
        return first[["trip_id", "zone", "pickup_at", "fare"]]

    return sql, frames


@checks(without_repeats)
def repeats_in_sql(answer):
    """DISTINCT compares whole rows, and trip_id differs. Number the rows of each key and keep the first."""
    REPEATS.sql(answer)


@checks(without_repeats)
def repeats_in_pandas(answer):
    """`drop_duplicates` keeps the first in the order of the table. Which columns are the key, and what is the order?"""
    REPEATS.pandas(answer)


@also_right(without_repeats)
def repeats_by_the_lowest_id():
    sql = """
        SELECT trip_id, zone, pickup_at, fare FROM trips
        WHERE trip_id IN (SELECT MIN(trip_id) FROM trips GROUP BY zone, pickup_at)
    """

    def frames(trips):
        lowest = trips.groupby(["zone", "pickup_at"])["trip_id"].transform("min")
        return trips.loc[trips["trip_id"] == lowest, ["trip_id", "zone", "pickup_at", "fare"]]

    return sql, frames


@also_right(without_repeats)
def repeats_by_distinct_on():
    sql = """
        SELECT DISTINCT ON (zone, pickup_at) trip_id, zone, pickup_at, fare
        FROM trips ORDER BY zone, pickup_at, trip_id
    """

    def frames(trips):
        ordered = trips.sort_values(["zone", "pickup_at", "trip_id"])
        again = ordered.duplicated(["zone", "pickup_at"])
        return ordered.loc[~again, ["trip_id", "zone", "pickup_at", "fare"]]

    return sql, frames


@wrong(without_repeats, caught_by=repeats_in_sql)
def distinct_rows():
    return "SELECT DISTINCT trip_id, zone, pickup_at, fare FROM trips", without_repeats()[1]


@wrong(without_repeats, caught_by=repeats_in_sql)
def a_row_that_never_was():
    sql = "SELECT MIN(trip_id) AS trip_id, zone, pickup_at, MIN(fare) AS fare FROM trips GROUP BY zone, pickup_at"
    return sql, without_repeats()[1]


@wrong(without_repeats, caught_by=repeats_in_pandas)
def the_first_in_the_table():
    keep = ["trip_id", "zone", "pickup_at", "fare"]
    return without_repeats()[0], lambda trips: trips.drop_duplicates(["zone", "pickup_at"])[keep]


@wrong(without_repeats, caught_by=repeats_in_pandas)
def whole_rows_in_pandas():
    return without_repeats()[0], lambda trips: trips.drop_duplicates()[
        ["trip_id", "zone", "pickup_at", "fare"]
    ]


# --- latest_trip ----------------------------------------------------------------------------------------------------

LATEST = Task(
    "zone trip_id fare",
    ONLY_TRIPS,
    lambda trips: [
        (zone, row.trip_id, row.fare)
        for zone, rows in _by(trips, "zone").items()
        for row in _in_time(rows)[-1:]
    ],
)


@right
def latest_trip():
    """Return `(sql, frames)`: the latest trip of each zone; of two at the same pickup_at the one with the higher trip_id.

    Columns: zone, trip_id, fare, of one and the same row; an unknown fare stays unknown. `frames(trips)` gives the same.
    """
    sql = """
        SELECT zone, trip_id, fare
        FROM (
            SELECT *, ROW_NUMBER() OVER (PARTITION BY zone ORDER BY pickup_at DESC, trip_id DESC) AS place FROM trips
        ) AS placed
        WHERE place = 1
    """

    def frames(trips):
        ordered = trips.sort_values(["pickup_at", "trip_id"])
        return ordered.drop_duplicates("zone", keep="last")[["zone", "trip_id", "fare"]]

    return sql, frames


@checks(latest_trip)
def the_latest_in_sql(answer):
    """Take one whole row. RANK gives two rows the place 1 where pickup_at is the same; ROW_NUMBER never does."""
    LATEST.sql(answer)


@checks(latest_trip)
def the_latest_in_pandas(answer):
    """Sort, then take the last row with `tail(1)`. `last()` takes the last value that is not NaN, column by column."""
    LATEST.pandas(answer)


@also_right(latest_trip)
def the_latest_by_qualify():
    sql = """
        SELECT zone, trip_id, fare FROM trips
        QUALIFY ROW_NUMBER() OVER (PARTITION BY zone ORDER BY pickup_at DESC, trip_id DESC) = 1
    """

    def frames(trips):
        return (
            trips.sort_values(["pickup_at", "trip_id"]).groupby("zone").tail(1)[["zone", "trip_id", "fare"]]
        )

    return sql, frames


@also_right(latest_trip)
def the_latest_has_no_later():
    sql = """
        SELECT t.zone, t.trip_id, t.fare FROM trips AS t
        WHERE NOT EXISTS (
            SELECT 1 FROM trips AS later
            WHERE later.zone = t.zone AND (later.pickup_at, later.trip_id) > (t.pickup_at, t.trip_id)
        )
    """

    def frames(trips):
        rows = {}
        for row in trips.itertuples():
            if row.zone not in rows or (row.pickup_at, row.trip_id) > rows[row.zone][:2]:
                rows[row.zone] = (row.pickup_at, row.trip_id, row.fare)
        found = [(zone, trip_id, fare) for zone, (_, trip_id, fare) in rows.items()]
        return pd.DataFrame(found, columns=["zone", "trip_id", "fare"])

    return sql, frames


@wrong(latest_trip, caught_by=the_latest_in_sql)
def rank_keeps_both():
    sql = "SELECT zone, trip_id, fare FROM trips QUALIFY RANK() OVER (PARTITION BY zone ORDER BY pickup_at DESC) = 1"
    return sql, latest_trip()[1]


@wrong(latest_trip, caught_by=the_latest_in_sql)
def the_highest_of_each_column():
    return "SELECT zone, MAX(trip_id) AS trip_id, MAX(fare) AS fare FROM trips GROUP BY zone", latest_trip()[
        1
    ]


@wrong(latest_trip, caught_by=the_latest_in_sql)
def joins_on_the_latest_minute():
    sql = "SELECT t.zone, t.trip_id, t.fare FROM trips AS t JOIN "
    sql += "(SELECT zone, MAX(pickup_at) AS pickup_at FROM trips GROUP BY zone) AS m USING (zone, pickup_at)"
    return sql, latest_trip()[1]


@wrong(latest_trip, caught_by=the_latest_in_sql)
def looks_at_the_minute():
    return latest_trip()[0].replace(
        "ORDER BY pickup_at DESC", "ORDER BY date_trunc('minute', pickup_at) DESC"
    ), latest_trip()[1]


@wrong(latest_trip, caught_by=the_latest_in_sql)
def arg_max_passes_over_null():
    sql = "SELECT zone, arg_max(trip_id, (pickup_at, trip_id)) AS trip_id, "
    return sql + "arg_max(fare, (pickup_at, trip_id)) AS fare FROM trips GROUP BY zone", latest_trip()[1]


@wrong(latest_trip, caught_by=the_latest_in_pandas)
def last_passes_over_nan():
    def frames(trips):
        return (
            trips.sort_values(["pickup_at", "trip_id"])
            .groupby("zone")[["trip_id", "fare"]]
            .last()
            .reset_index()
        )

    return latest_trip()[0], frames


@wrong(latest_trip, caught_by=the_latest_in_pandas)
def does_not_sort():
    return latest_trip()[0], lambda trips: trips.groupby("zone").tail(1)[["zone", "trip_id", "fare"]]


# --- two_best_days --------------------------------------------------------------------------------------------------


def _two_best_days(rides):
    found = []
    for station, rows in sorted(_by(rides, "station").items()):
        known = [row for row in rows if row.rides is not None]
        known.sort(key=lambda row: (-row.rides, row.day))
        found += [(station, place, row.day, row.rides) for place, row in enumerate(known[:2], 1)]
    return found


TWO_BEST = Task("station place day rides", ONLY_RIDES, _two_best_days, ordered=True)


@right
def two_best_days():
    """Return `(sql, frames)`: the two days with the most rides of each station, **in order** of station and place.

    Columns: station, place (1 and 2), day, rides. Of equal days the earlier has the better place; a day whose rides are
    unknown has none. Station and day are unique. `frames(rides)` gives the same.
    """
    sql = """
        SELECT station, place, day, rides
        FROM (
            SELECT *, ROW_NUMBER() OVER (PARTITION BY station ORDER BY rides DESC, day) AS place
            FROM rides
            WHERE rides IS NOT NULL
        ) AS placed
        WHERE place <= 2
        ORDER BY station, place
    """

    def frames(rides):
        known = rides.dropna(subset=["rides"])
        ordered = known.sort_values(["station", "rides", "day"], ascending=[True, False, True])
        best = ordered.groupby("station").head(2)
        return best.assign(place=best.groupby("station").cumcount() + 1)

    return sql, frames


@checks(two_best_days)
def the_best_in_sql(answer):
    """Number the rows of each station. With ties RANK gives three rows the place 1, and LIMIT knows no stations."""
    TWO_BEST.sql(answer)


@checks(two_best_days)
def the_best_in_pandas(answer):
    """Sort by all that decides, then `groupby("station").head(2)`; `cumcount` numbers the rows from 0."""
    TWO_BEST.pandas(answer)


@also_right(two_best_days)
def the_best_by_counting_the_better():
    sql = """
        SELECT station, 1 + (
            SELECT COUNT(*) FROM rides AS b
            WHERE b.station = r.station AND (b.rides > r.rides OR (b.rides = r.rides AND b.day < r.day))
        ) AS place, day, rides
        FROM rides AS r WHERE rides IS NOT NULL AND place <= 2 ORDER BY station, place
    """

    def frames(rides):
        ordered = rides.dropna().sort_values("day").sort_values("rides", ascending=False, kind="stable")
        place = ordered.groupby("station").cumcount() + 1
        return ordered.assign(place=place)[place <= 2].sort_values(["station", "place"])

    return sql, frames


@also_right(two_best_days)
def the_best_by_qualify():
    sql = """
        SELECT station, ROW_NUMBER() OVER best AS place, day, rides FROM rides WHERE rides IS NOT NULL
        WINDOW best AS (PARTITION BY station ORDER BY rides DESC, day)
        QUALIFY place < 3 ORDER BY 1, 2
    """

    def frames(rides):
        rows = []
        for station, group in rides.dropna(subset=["rides"]).groupby("station"):
            best = group.sort_values(["rides", "day"], ascending=[False, True])[:2]
            rows += [(station, place, row.day, row.rides) for place, row in enumerate(best.itertuples(), 1)]
        return pd.DataFrame(rows, columns=["station", "place", "day", "rides"])

    return sql, frames


@wrong(two_best_days, caught_by=the_best_in_sql)
def rank_in_the_place_of_row_number():
    return two_best_days()[0].replace("ROW_NUMBER()", "RANK()").replace("rides DESC, day", "rides DESC"), None


@wrong(two_best_days, caught_by=the_best_in_sql)
def limit_for_all_stations():
    sql = "SELECT station, ROW_NUMBER() OVER (PARTITION BY station ORDER BY rides DESC, day) AS place, day, rides "
    return sql + "FROM rides WHERE rides IS NOT NULL ORDER BY station, place LIMIT 2", two_best_days()[1]


@wrong(two_best_days, caught_by=the_best_in_sql)
def the_unknown_come_first():
    sql = two_best_days()[0].replace("rides DESC, day", "rides DESC NULLS FIRST, day")
    return sql.replace("WHERE rides IS NOT NULL", ""), two_best_days()[1]


@wrong(two_best_days, caught_by=the_best_in_sql)
def a_filter_before_the_window():
    return two_best_days()[0].replace("WHERE rides IS NOT NULL", "").replace("place <= 2", "rides > 3"), None


@wrong(two_best_days, caught_by=the_best_in_pandas)
def the_largest_of_all():
    def frames(rides):
        best = rides.nlargest(2, "rides").sort_values(["station", "rides"], ascending=[True, False])
        return best.assign(place=best.groupby("station").cumcount() + 1)

    return two_best_days()[0], frames


@wrong(two_best_days, caught_by=the_best_in_pandas)
def equal_days_in_any_order():
    def frames(rides):
        ordered = rides.dropna().sort_values(["station", "rides"], ascending=[True, False], kind="stable")
        best = ordered.groupby("station").head(2)
        return best.assign(place=best.groupby("station").cumcount() + 1)

    return two_best_days()[0], frames


# --- running_fares --------------------------------------------------------------------------------------------------


def _running_fares(trips):
    found = []
    for zone, rows in _by(trips, "zone").items():
        total = 0
        for row in _in_time(rows):
            total += row.fare or 0
            found.append((row.trip_id, zone, total))
    return found


RUNNING = Task("trip_id zone so_far", ONLY_TRIPS, _running_fares)


@right
def running_fares():
    """Return `(sql, frames)`: for each trip the fares of its zone up to and with it, in order of pickup_at, trip_id.

    Columns: trip_id, zone, so_far. An unknown fare adds 0. `frames(trips)` gives the same.
    """
    sql = """
        SELECT trip_id, zone,
            SUM(COALESCE(fare, 0)) OVER (PARTITION BY zone ORDER BY pickup_at, trip_id) AS so_far
        FROM trips
    """

    def frames(trips):
        ordered = trips.sort_values(["pickup_at", "trip_id"])
        so_far = ordered["fare"].fillna(0).groupby(ordered["zone"]).cumsum()
        return ordered.assign(so_far=so_far)[["trip_id", "zone", "so_far"]]

    return sql, frames


@checks(running_fares)
def running_in_sql(answer):
    """The default frame is RANGE: rows that are equal in the ORDER BY come in together. Make the order unique."""
    RUNNING.sql(answer)


@checks(running_fares)
def running_in_pandas(answer):
    """`cumsum` takes the rows as they lie and leaves NaN where the fare is NaN. Sort first, fill first."""
    RUNNING.pandas(answer)


@also_right(running_fares)
def running_with_a_frame():
    sql = """
        SELECT trip_id, zone, COALESCE(SUM(fare) OVER (
            PARTITION BY zone ORDER BY pickup_at, trip_id ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ), 0) AS so_far
        FROM trips
    """

    def frames(trips):
        ordered = trips.fillna({"fare": 0}).sort_values(["zone", "pickup_at", "trip_id"])
        ordered["so_far"] = ordered.groupby("zone")["fare"].cumsum()
        return ordered[["trip_id", "zone", "so_far"]]

    return sql, frames


@also_right(running_fares)
def running_by_a_self_join():
    sql = """
        SELECT t.trip_id, t.zone, COALESCE(SUM(e.fare), 0) AS so_far
        FROM trips AS t JOIN trips AS e
            ON e.zone = t.zone AND (e.pickup_at, e.trip_id) <= (t.pickup_at, t.trip_id)
        GROUP BY t.trip_id, t.zone
    """

    def frames(trips):
        rows, totals = [], defaultdict(float)
        for row in trips.sort_values(["pickup_at", "trip_id"]).itertuples():
            totals[row.zone] += 0 if pd.isna(row.fare) else row.fare
            rows.append((row.trip_id, row.zone, totals[row.zone]))
        return pd.DataFrame(rows, columns=["trip_id", "zone", "so_far"])

    return sql, frames


@wrong(running_fares, caught_by=running_in_sql)
def equal_minutes_come_together():
    return running_fares()[0].replace("ORDER BY pickup_at, trip_id", "ORDER BY pickup_at"), running_fares()[1]


@wrong(running_fares, caught_by=running_in_sql)
def starts_with_null():
    return running_fares()[0].replace("COALESCE(fare, 0)", "fare"), running_fares()[1]


@wrong(running_fares, caught_by=running_in_sql)
def runs_across_zones():
    return running_fares()[0].replace("PARTITION BY zone ", ""), running_fares()[1]


@wrong(running_fares, caught_by=running_in_pandas)
def sums_in_the_order_of_the_table():
    def frames(trips):
        so_far = trips["fare"].fillna(0).groupby(trips["zone"]).cumsum()
        return trips.assign(so_far=so_far)[["trip_id", "zone", "so_far"]]

    return running_fares()[0], frames


@wrong(running_fares, caught_by=running_in_pandas)
def nan_stays_nan():
    def frames(trips):
        ordered = trips.sort_values(["pickup_at", "trip_id"])
        return ordered.assign(so_far=ordered.groupby("zone")["fare"].cumsum())[["trip_id", "zone", "so_far"]]

    return running_fares()[0], frames


# --- last_fare_of_zone ----------------------------------------------------------------------------------------------

LAST_FARE = Task(
    "trip_id fare last_fare",
    ONLY_TRIPS,
    lambda trips: [
        (row.trip_id, row.fare, _in_time(rows)[-1].fare)
        for rows in _by(trips, "zone").values()
        for row in rows
    ],
)


@right
def last_fare_of_zone():
    """Return `(sql, frames)`: for each trip its own fare and the fare of the last trip of its zone.

    Columns: trip_id, fare, last_fare. The last is by pickup_at, then trip_id; where its fare is unknown, last_fare is
    NULL. `frames(trips)` gives the same.
    """
    sql = """
        SELECT trip_id, fare, LAST_VALUE(fare) OVER (
            PARTITION BY zone ORDER BY pickup_at, trip_id
            ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
        ) AS last_fare
        FROM trips
    """

    def frames(trips):
        ordered = trips.sort_values(["pickup_at", "trip_id"])
        last = ordered.groupby("zone").tail(1).set_index("zone")["fare"]
        return trips.assign(last_fare=trips["zone"].map(last))[["trip_id", "fare", "last_fare"]]

    return sql, frames


@checks(last_fare_of_zone)
def last_fare_in_sql(answer):
    """With an ORDER BY the window ends at the current row unless you say where it ends: write the frame out."""
    LAST_FARE.sql(answer)


@checks(last_fare_of_zone)
def last_fare_in_pandas(answer):
    """`transform("last")` gives the last value that is not NaN. Take the last row, then bring its fare to all."""
    LAST_FARE.pandas(answer)


@also_right(last_fare_of_zone)
def the_first_from_behind():
    sql = """
        SELECT trip_id, fare,
            FIRST_VALUE(fare) OVER (PARTITION BY zone ORDER BY pickup_at DESC, trip_id DESC) AS last_fare
        FROM trips
    """

    def frames(trips):
        ordered = trips.sort_values(["pickup_at", "trip_id"])
        last = ordered.groupby("zone")["fare"].transform(lambda fares: fares.iloc[-1])
        return ordered.assign(last_fare=last)[["trip_id", "fare", "last_fare"]]

    return sql, frames


@also_right(last_fare_of_zone)
def the_last_by_a_join():
    sql = """
        WITH last AS (
            SELECT zone, fare FROM trips
            QUALIFY ROW_NUMBER() OVER (PARTITION BY zone ORDER BY pickup_at DESC, trip_id DESC) = 1
        )
        SELECT t.trip_id, t.fare, last.fare AS last_fare FROM trips AS t JOIN last ON last.zone = t.zone
    """

    def frames(trips):
        last = trips.sort_values(["pickup_at", "trip_id"]).drop_duplicates("zone", keep="last")
        last = last[["zone", "fare"]].rename(columns={"fare": "last_fare"})
        return trips.merge(last, on="zone")[["trip_id", "fare", "last_fare"]]

    return sql, frames


@wrong(last_fare_of_zone, caught_by=last_fare_in_sql)
def leaves_the_tie_to_chance():
    sql = "SELECT trip_id, fare, FIRST_VALUE(fare) OVER (PARTITION BY zone ORDER BY pickup_at DESC) AS last_fare "
    return sql + "FROM trips", last_fare_of_zone()[1]


@wrong(last_fare_of_zone, caught_by=last_fare_in_sql)
def the_default_frame():
    sql = "SELECT trip_id, fare, LAST_VALUE(fare) OVER (PARTITION BY zone ORDER BY pickup_at, trip_id) AS last_fare "
    return sql + "FROM trips", last_fare_of_zone()[1]


@wrong(last_fare_of_zone, caught_by=last_fare_in_sql)
def the_highest_fare():
    return "SELECT trip_id, fare, MAX(fare) OVER (PARTITION BY zone) AS last_fare FROM trips", None


@wrong(last_fare_of_zone, caught_by=last_fare_in_sql)
def the_last_known_fare():
    return last_fare_of_zone()[0].replace("LAST_VALUE(fare)", "LAST_VALUE(fare IGNORE NULLS)"), None


@wrong(last_fare_of_zone, caught_by=last_fare_in_pandas)
def transform_last():
    def frames(trips):
        ordered = trips.sort_values(["pickup_at", "trip_id"])
        last = ordered.groupby("zone")["fare"].transform("last")
        return ordered.assign(last_fare=last)[["trip_id", "fare", "last_fare"]]

    return last_fare_of_zone()[0], frames


# --- unused_types ---------------------------------------------------------------------------------------------------

TYPE = "payment_type int, name text"
FOUR = "1 card\n2 cash\n3 free\n5 unknown"
TYPES = {
    "a plain day": FOUR,
    "not in the order of time": "2 cash",
    "NULLs": FOUR,
    "no trips": FOUR,
    "one trip": "",
    "sixty drawn at random": "1 card\n4 dispute\n5 unknown\n5 voided",
}
WITH_TYPES = {
    name: {"payment_types": Table(TYPE, rows), "trips": TRIPS[name]} for name, rows in TYPES.items()
}
WITH_TYPES["a type that is NULL"] = {
    "payment_types": Table(TYPE, "1 card\n- nameless\n6 voided"),
    "trips": TRIPS["NULLs"],
}

UNUSED = Task(
    "name",
    WITH_TYPES,
    lambda types, trips: [
        (kind.name,)
        for kind in types
        if kind.payment_type is None or kind.payment_type not in {trip.payment_type for trip in trips}
    ],
)


@right
def unused_types():
    """Return `(sql, frames)`: the names of the payment types in `payment_types` that occur in no row of `trips`.

    Column: name. Both columns payment_type may hold NULL, and NULL equals nothing, not even NULL.
    `frames(payment_types, trips)` gives the same.
    """
    sql = """
        SELECT name
        FROM payment_types AS kind
        WHERE NOT EXISTS (SELECT 1 FROM trips WHERE trips.payment_type = kind.payment_type)
    """

    def frames(payment_types, trips):
        used = payment_types["payment_type"].isin(trips["payment_type"].dropna())
        return payment_types.loc[~used, ["name"]]

    return sql, frames


@checks(unused_types)
def unused_in_sql(answer):
    """`x NOT IN (1, NULL)` means `x <> 1 AND x <> NULL`, and that is never true. Ask with NOT EXISTS."""
    UNUSED.sql(answer)


@checks(unused_types)
def unused_in_pandas(answer):
    """`isin` and `merge` take NaN for equal to NaN, and SQL does not. Drop the NaN of one side first."""
    UNUSED.pandas(answer)


@also_right(unused_types)
def unused_by_a_left_join():
    sql = """
        SELECT kind.name FROM payment_types AS kind LEFT JOIN trips ON trips.payment_type = kind.payment_type
        WHERE trips.trip_id IS NULL
    """

    def frames(payment_types, trips):
        used = trips[["payment_type"]].dropna().drop_duplicates()
        both = payment_types.merge(used, on="payment_type", how="left", indicator=True)
        return both.loc[both["_merge"] == "left_only", ["name"]]

    return sql, frames


@also_right(unused_types)
def unused_by_a_careful_not_in():
    sql = """
        SELECT name FROM payment_types
        WHERE payment_type IS NULL
            OR payment_type NOT IN (SELECT payment_type FROM trips WHERE payment_type IS NOT NULL)
    """

    def frames(payment_types, trips):
        used = set(trips["payment_type"].dropna())
        names = [row.name for row in payment_types.itertuples(index=False) if row.payment_type not in used]
        return pd.DataFrame({"name": names})

    return sql, frames


@wrong(unused_types, caught_by=unused_in_sql)
def not_in_a_list_with_null():
    sql = "SELECT name FROM payment_types WHERE payment_type NOT IN (SELECT payment_type FROM trips)"
    return sql, unused_types()[1]


@wrong(unused_types, caught_by=unused_in_sql)
def the_condition_tests_the_wrong_side():
    sql = "SELECT kind.name FROM payment_types AS kind LEFT JOIN trips USING (payment_type) "
    return sql + "WHERE kind.payment_type IS NULL", unused_types()[1]


@wrong(unused_types, caught_by=unused_in_sql)
def unequal_to_some_trip():
    sql = "SELECT DISTINCT kind.name FROM payment_types AS kind JOIN trips ON trips.payment_type <> kind.payment_type"
    return sql, unused_types()[1]


@wrong(unused_types, caught_by=unused_in_pandas)
def nan_is_in_the_list():
    def frames(payment_types, trips):
        return payment_types.loc[~payment_types["payment_type"].isin(trips["payment_type"]), ["name"]]

    return unused_types()[0], frames


@wrong(unused_types, caught_by=unused_in_pandas)
def nan_meets_nan_in_a_merge():
    def frames(payment_types, trips):
        used = trips[["payment_type"]].drop_duplicates()
        both = payment_types.merge(used, on="payment_type", how="left", indicator=True)
        return both.loc[both["_merge"] == "left_only", ["name"]]

    return unused_types()[0], frames


# --- long_trips_by_type ---------------------------------------------------------------------------------------------

LONG = Task(
    "name long_trips",
    WITH_TYPES,
    lambda types, trips: [
        (
            kind.name,
            sum(
                None is not kind.payment_type == trip.payment_type and (trip.distance or 0) > 5
                for trip in trips
            ),
        )
        for kind in types
    ],
)


@right
def long_trips_by_type():
    """Return `(sql, frames)`: for each row of `payment_types` how many trips of it are longer than 5 miles, 0 if none.

    Columns: name, long_trips. Names are unique. NULL equals nothing, not even NULL.
    `frames(payment_types, trips)` gives the same.
    """
    sql = """
        SELECT kind.name, COUNT(trips.trip_id) AS long_trips
        FROM payment_types AS kind
        LEFT JOIN trips ON trips.payment_type = kind.payment_type AND trips.distance > 5
        GROUP BY kind.name
    """

    def frames(payment_types, trips):
        counts = trips.loc[trips["distance"] > 5, "payment_type"].value_counts()
        found = payment_types["payment_type"].map(counts).fillna(0)
        return payment_types.assign(long_trips=found)[["name", "long_trips"]]

    return sql, frames


@checks(long_trips_by_type)
def long_trips_in_sql(answer):
    """A condition on the right table belongs into ON; in WHERE it removes the rows that the LEFT JOIN kept."""
    LONG.sql(answer)


@checks(long_trips_by_type)
def long_trips_in_pandas(answer):
    """Count first, then bring the counts to all types and fill with 0. Watch what NaN is merged with."""
    LONG.pandas(answer)


@also_right(long_trips_by_type)
def long_trips_by_a_subquery():
    sql = """
        SELECT name, (
            SELECT COUNT(*) FROM trips WHERE trips.payment_type = kind.payment_type AND trips.distance > 5
        ) AS long_trips
        FROM payment_types AS kind
    """

    def frames(payment_types, trips):
        far = trips[trips["distance"] > 5].dropna(subset=["payment_type"])
        both = payment_types.merge(far[["payment_type", "trip_id"]], on="payment_type", how="left")
        return both.groupby("name")["trip_id"].count().rename("long_trips").reset_index()

    return sql, frames


@also_right(long_trips_by_type)
def long_trips_counted_before_the_join():
    sql = """
        WITH counts AS (SELECT payment_type, COUNT(*) AS n FROM trips WHERE distance > 5 GROUP BY payment_type)
        SELECT name, COALESCE(n, 0) AS long_trips FROM payment_types LEFT JOIN counts USING (payment_type)
    """

    def frames(payment_types, trips):
        rows = [
            (kind.name, int((trips["payment_type"].eq(kind.payment_type) & trips["distance"].gt(5)).sum()))
            for kind in payment_types.itertuples(index=False)
        ]
        return pd.DataFrame(rows, columns=["name", "long_trips"])

    return sql, frames


@wrong(long_trips_by_type, caught_by=long_trips_in_sql)
def the_condition_in_where():
    return long_trips_by_type()[0].replace(
        "AND trips.distance", "WHERE trips.distance"
    ), long_trips_by_type()[1]


@wrong(long_trips_by_type, caught_by=long_trips_in_sql)
def counts_the_empty_row():
    return long_trips_by_type()[0].replace("COUNT(trips.trip_id)", "COUNT(*)"), long_trips_by_type()[1]


@wrong(long_trips_by_type, caught_by=long_trips_in_sql)
def five_miles_are_long():
    return long_trips_by_type()[0].replace("distance > 5", "distance >= 5"), long_trips_by_type()[1]


@wrong(long_trips_by_type, caught_by=long_trips_in_sql)
def an_inner_join():
    return long_trips_by_type()[0].replace("LEFT JOIN", "JOIN"), long_trips_by_type()[1]


@wrong(long_trips_by_type, caught_by=long_trips_in_pandas)
def merges_nan_with_nan():
    def frames(payment_types, trips):
        far = trips.loc[trips["distance"] > 5, ["payment_type", "trip_id"]]
        both = payment_types.merge(far, on="payment_type", how="left")
        return both.groupby("name")["trip_id"].count().rename("long_trips").reset_index()

    return long_trips_by_type()[0], frames


@wrong(long_trips_by_type, caught_by=long_trips_in_pandas)
def filters_after_the_merge():
    def frames(payment_types, trips):
        both = payment_types.merge(trips.dropna(subset=["payment_type"]), on="payment_type", how="left")
        return both[both["distance"] > 5].groupby("name").size().rename("long_trips").reset_index()

    return long_trips_by_type()[0], frames


# --- rides_on_game_days ---------------------------------------------------------------------------------------------

GAME = "day day, team text"
GAMES = {
    "a plain week": "2019-07-01 Bulls\n2019-07-03 Bears",
    "equal days, not in order": "2019-07-01 Bulls\n2019-07-01 Bears\n2019-07-02 Bears\n2019-07-02 Bulls",
    "NULLs": "2019-07-01 Bulls\n2019-07-02 Bulls\n- Bears\n2019-07-02 Bears",
    "zeros": "2019-07-05 Bulls",
    "one day": "2019-07-02 Bulls",
    "no days": "2019-07-02 Bulls",
    "days are missing": "",
    "drawn at random": "2019-07-02 Bulls\n2019-07-02 Bears\n2019-07-09 Bulls\n2019-07-20 Hawks\n2019-07-20 Bulls",
}
WITH_GAMES = {name: {"rides": RIDES[name], "games": Table(GAME, rows)} for name, rows in GAMES.items()}


def _on_game_days(rides, games):
    days = {game.day for game in games if game.day is not None}
    there = [row for row in rides if row.day in days]
    return [
        (station, sum(_known(row.rides for row in rows))) for station, rows in _by(there, "station").items()
    ]


ON_GAME_DAYS = Task("station total", WITH_GAMES, _on_game_days)


@right
def rides_on_game_days():
    """Return `(sql, frames)`: for each station the rides on all days with at least one game, each day counted once.

    Columns: station, total. `games` has a row per game, so a day may be in it twice. An unknown number of rides adds 0; a
    station without a row on such a day has no row. `frames(rides, games)` gives the same.
    """
    sql = """
        SELECT station, SUM(COALESCE(rides, 0)) AS total
        FROM rides
        WHERE EXISTS (SELECT 1 FROM games WHERE games.day = rides.day)
        GROUP BY station
    """

    def frames(rides, games):
        there = rides[rides["day"].isin(games["day"].dropna())]
        return there.groupby("station")["rides"].sum().rename("total").reset_index()

    return sql, frames


@checks(rides_on_game_days)
def game_days_in_sql(answer):
    """A join gives a row for each pair: a day with two games comes twice. You need no column of games: EXISTS."""
    ON_GAME_DAYS.sql(answer)


@checks(rides_on_game_days)
def game_days_in_pandas(answer):
    """`merge` multiplies rows as a join does. `isin` only asks, or drop the duplicates of the days first."""
    ON_GAME_DAYS.pandas(answer)


@also_right(rides_on_game_days)
def game_days_made_distinct():
    sql = """
        SELECT station, COALESCE(SUM(rides), 0) AS total
        FROM rides JOIN (SELECT DISTINCT day FROM games) AS days USING (day) GROUP BY station
    """

    def frames(rides, games):
        days = games[["day"]].drop_duplicates()
        there = rides.merge(days, on="day", validate="many_to_one")
        return there.groupby("station", as_index=False).agg(total=("rides", "sum"))

    return sql, frames


@also_right(rides_on_game_days)
def game_days_in_a_list():
    sql = """
        SELECT station, COALESCE(SUM(rides), 0) AS total FROM rides
        WHERE day IN (SELECT day FROM games) GROUP BY station
    """

    def frames(rides, games):
        days = set(games["day"])
        totals = {}
        for row in rides.itertuples():
            if row.day in days:
                totals[row.station] = totals.get(row.station, 0) + (0 if pd.isna(row.rides) else row.rides)
        return pd.DataFrame(totals.items(), columns=["station", "total"])

    return sql, frames


@wrong(rides_on_game_days, caught_by=game_days_in_sql)
def a_join_counts_games():
    sql = (
        "SELECT station, COALESCE(SUM(rides), 0) AS total FROM rides JOIN games USING (day) GROUP BY station"
    )
    return sql, rides_on_game_days()[1]


@wrong(rides_on_game_days, caught_by=game_days_in_sql)
def distinct_numbers():
    sql = "SELECT station, COALESCE(SUM(DISTINCT rides), 0) AS total FROM rides JOIN games USING (day) "
    return sql + "GROUP BY station", rides_on_game_days()[1]


@wrong(rides_on_game_days, caught_by=game_days_in_pandas)
def a_merge_counts_games():
    def frames(rides, games):
        return rides.merge(games, on="day").groupby("station", as_index=False).agg(total=("rides", "sum"))

    return rides_on_game_days()[0], frames


@wrong(rides_on_game_days, caught_by=game_days_in_pandas)
def drops_equal_rides():
    def frames(rides, games):
        there = rides.merge(games, on="day").drop_duplicates(["station", "rides"])
        return there.groupby("station", as_index=False).agg(total=("rides", "sum"))

    return rides_on_game_days()[0], frames


# --- fare_known_then ------------------------------------------------------------------------------------------------

USUAL = "zone int, known_from time, usual_fare float"
USUALS = {
    "a plain day": """
        10 2019-06-01T00:00 9.0
        10 2019-07-01T08:05 11.0
        10 2019-08-01T00:00 99.0
        20 2019-07-02T00:00 7.0
    """,
    "not in the order of time": """
        10 2019-07-02T00:00 12.0
        20 2019-07-01T00:00 8.0
        10 2019-06-01T00:00 9.0
    """,
    "two at the same minute": """
        10 2019-07-01T08:00 10.0
        20 2019-07-01T08:01 20.0
    """,
    "NULLs": """
        10 2019-06-01T00:00 9.0
        10 2019-07-01T09:00 -
        20 2019-07-01T00:00 -
        30 2019-07-01T08:15 6.0
    """,
    "one trip": "20 2019-06-01T00:00 9.0",
    "no trips": "10 2019-06-01T00:00 9.0",
    "sixty others": "\n".join(
        f"{zone} 2019-07-0{day}T{hour}:30 {zone + day}.5"
        for zone in (1, 2, 4)
        for day, hour in ((1, "09"), (3, "20"))
    ),
}
WITH_USUAL = {
    name: {"trips": TRIPS[name], "usual_fares": Table(USUAL, rows)} for name, rows in USUALS.items()
}


def _known_then(trips, usual):
    found = []
    for trip in trips:
        known = [row for row in usual if row.zone == trip.zone and row.known_from <= trip.pickup_at]
        found.append((trip.trip_id, max(known, key=lambda row: row.known_from).usual_fare if known else None))
    return found


THEN = Task("trip_id usual_fare", WITH_USUAL, _known_then)


@right
def fare_known_then():
    """Return `(sql, frames)`: for each trip the usual fare of its zone that was known at the pickup.

    `usual_fares(zone, known_from, usual_fare)` holds values with the moment from which each is known. Take the latest
    with known_from at or before pickup_at, even if its fare is NULL; NULL where there is none. Columns: trip_id,
    usual_fare, for every trip. Zone and known_from are unique. `frames(trips, usual_fares)` gives the same.
    """
    sql = """
        SELECT trip_id, usual_fare
        FROM trips ASOF LEFT JOIN usual_fares
            ON trips.zone = usual_fares.zone AND trips.pickup_at >= usual_fares.known_from
    """

    def frames(trips, usual_fares):
        return pd.merge_asof(
            trips.sort_values("pickup_at"),
            usual_fares.sort_values("known_from"),
            left_on="pickup_at",
            right_on="known_from",
            by="zone",
        )[["trip_id", "usual_fare"]]

    return sql, frames


@checks(fare_known_then)
def known_then_in_sql(answer):
    """Two conditions and a choice: same zone, known at or before the pickup, of these the latest. Keep every trip."""
    THEN.sql(answer)


@checks(fare_known_then)
def known_then_in_pandas(answer):
    """`merge_asof` looks backward by default, within `by`, and wants both sides sorted by the clock."""
    THEN.pandas(answer)


@also_right(fare_known_then)
def known_then_in_any_database():
    sql = """
        SELECT trip_id, usual_fare FROM (
            SELECT t.trip_id, u.usual_fare,
                ROW_NUMBER() OVER (PARTITION BY t.trip_id ORDER BY u.known_from DESC) AS place
            FROM trips AS t LEFT JOIN usual_fares AS u ON u.zone = t.zone AND u.known_from <= t.pickup_at
        ) AS placed WHERE place = 1
    """

    def frames(trips, usual_fares):
        both = trips[["trip_id", "zone", "pickup_at"]].merge(usual_fares, on="zone", how="left")
        both["usual_fare"] = both["usual_fare"].where(both["known_from"] <= both["pickup_at"])
        both["known_from"] = both["known_from"].where(both["known_from"] <= both["pickup_at"])
        both = both.sort_values("known_from", na_position="first")
        return both.drop_duplicates("trip_id", keep="last")[["trip_id", "usual_fare"]]

    return sql, frames


@also_right(fare_known_then)
def known_then_by_a_subquery():
    sql = """
        SELECT trip_id, (
            SELECT u.usual_fare FROM usual_fares AS u
            WHERE u.zone = trips.zone AND u.known_from <= trips.pickup_at ORDER BY u.known_from DESC LIMIT 1
        ) AS usual_fare
        FROM trips
    """

    def frames(trips, usual_fares):
        def known(trip):
            of_zone = usual_fares[
                (usual_fares["zone"] == trip.zone) & (usual_fares["known_from"] <= trip.pickup_at)
            ]
            return of_zone.sort_values("known_from")["usual_fare"].iloc[-1] if len(of_zone) else None

        rows = [(trip.trip_id, known(trip)) for trip in trips.itertuples()]
        return pd.DataFrame(rows, columns=["trip_id", "usual_fare"])

    return sql, frames


@wrong(fare_known_then, caught_by=known_then_in_sql)
def looks_ahead():
    sql = "SELECT trip_id, u.usual_fare FROM trips LEFT JOIN (SELECT zone, usual_fare FROM usual_fares "
    sql += "QUALIFY ROW_NUMBER() OVER (PARTITION BY zone ORDER BY known_from DESC) = 1) AS u ON u.zone = trips.zone"
    return sql, fare_known_then()[1]


@wrong(fare_known_then, caught_by=known_then_in_sql)
def misses_the_very_moment():
    return fare_known_then()[0].replace("pickup_at >= ", "pickup_at > "), fare_known_then()[1]


@wrong(fare_known_then, caught_by=known_then_in_sql)
def loses_the_trips_without_one():
    return fare_known_then()[0].replace("ASOF LEFT JOIN", "ASOF JOIN"), fare_known_then()[1]


@wrong(fare_known_then, caught_by=known_then_in_sql)
def gives_a_row_for_each_earlier_value():
    return fare_known_then()[0].replace("ASOF LEFT JOIN", "LEFT JOIN"), fare_known_then()[1]


@wrong(fare_known_then, caught_by=known_then_in_pandas)
def takes_the_nearest():
    def frames(trips, usual_fares):
        left, right_ = trips.sort_values("pickup_at"), usual_fares.sort_values("known_from")
        near = {"left_on": "pickup_at", "right_on": "known_from", "by": "zone", "direction": "nearest"}
        return pd.merge_asof(left, right_, **near)[["trip_id", "usual_fare"]]

    return fare_known_then()[0], frames


@wrong(fare_known_then, caught_by=known_then_in_pandas)
def takes_another_zone():
    def frames(trips, usual_fares):
        left, right_ = trips.sort_values("pickup_at"), usual_fares.sort_values("known_from")
        return pd.merge_asof(left, right_, left_on="pickup_at", right_on="known_from")[
            ["trip_id", "usual_fare"]
        ]

    return fare_known_then()[0], frames


# --- change_on_last_week --------------------------------------------------------------------------------------------


def _change(rides):
    by_day = {(row.station, row.day): row.rides for row in rides}
    found = []
    for row in rides:
        before = by_day.get((row.station, row.day - datetime.timedelta(days=7)))
        found.append((row.station, row.day, row.rides / before if before and row.rides is not None else None))
    return found


CHANGE = Task("station day ratio", ONLY_RIDES, _change)


@right
def change_on_last_week():
    """Return `(sql, frames)`: for each row of `rides` its rides divided by those of the same station 7 days before.

    Columns: station, day, ratio; NULL where that day has no row, is unknown or is 0. Station and day are unique, and
    days are missing. `frames(rides)` gives the same.
    """
    sql = """
        SELECT now.station, now.day, now.rides / NULLIF(before.rides, 0) AS ratio
        FROM rides AS now
        LEFT JOIN rides AS before ON before.station = now.station AND before.day = now.day - 7
    """

    def frames(rides):
        before = rides.assign(day=rides["day"] + pd.Timedelta(days=7))
        both = rides.merge(before, on=["station", "day"], how="left", suffixes=("", "_before"))
        both["ratio"] = both["rides"] / both["rides_before"].where(both["rides_before"] != 0)
        return both[["station", "day", "ratio"]]

    return sql, frames


@checks(change_on_last_week)
def change_in_sql(answer):
    """LAG(7) goes back seven rows. Where a day is missing that is another day: join on the day itself."""
    CHANGE.sql(answer)


@checks(change_on_last_week)
def change_in_pandas(answer):
    """`shift(7)` goes back seven rows as well. Move the day by 7 and merge on station and day."""
    CHANGE.pandas(answer)


@also_right(change_on_last_week)
def change_by_a_subquery():
    sql = """
        SELECT station, day, rides / (
            SELECT b.rides FROM rides AS b WHERE b.station = r.station AND b.day = r.day - 7 AND b.rides <> 0
        ) AS ratio
        FROM rides AS r
    """

    def frames(rides):
        known = rides.set_index(["station", "day"])["rides"].to_dict()
        ratio = []
        for row in rides.itertuples():
            before = known.get((row.station, row.day - pd.Timedelta(days=7)))
            ratio.append(row.rides / before if before else None)
        return rides.assign(ratio=ratio)[["station", "day", "ratio"]]

    return sql, frames


@also_right(change_on_last_week)
def change_by_a_range_frame():
    sql = """
        SELECT station, day, rides / NULLIF(MAX(rides) OVER (
            PARTITION BY station ORDER BY day RANGE BETWEEN INTERVAL 7 DAYS PRECEDING AND INTERVAL 7 DAYS PRECEDING
        ), 0) AS ratio
        FROM rides
    """

    def frames(rides):
        series = rides.set_index(["station", "day"])["rides"]
        back = pd.MultiIndex.from_arrays([rides["station"], rides["day"] - pd.Timedelta(days=7)])
        before = series.reindex(back).to_numpy()
        return rides.assign(
            ratio=rides["rides"] / pd.Series(before, rides.index).replace(0, float("nan"))
        ).drop(columns="rides")

    return sql, frames


@wrong(change_on_last_week, caught_by=change_in_sql)
def seven_rows_back():
    sql = "SELECT station, day, rides / NULLIF(LAG(rides, 7) OVER (PARTITION BY station ORDER BY day), 0) AS ratio "
    return sql + "FROM rides", change_on_last_week()[1]


@wrong(change_on_last_week, caught_by=change_in_sql)
def loses_the_first_week():
    return change_on_last_week()[0].replace("LEFT JOIN", "JOIN"), change_on_last_week()[1]


@wrong(change_on_last_week, caught_by=change_in_sql)
def forgets_the_station():
    sql = change_on_last_week()[0].replace("before.station = now.station AND ", "")
    return sql, change_on_last_week()[1]


@wrong(change_on_last_week, caught_by=change_in_pandas)
def shifts_seven_rows():
    def frames(rides):
        ordered = rides.sort_values(["station", "day"])
        before = ordered.groupby("station")["rides"].shift(7)
        return ordered.assign(ratio=ordered["rides"] / before)[["station", "day", "ratio"]]

    return change_on_last_week()[0], frames


@wrong(change_on_last_week, caught_by=change_in_pandas)
def divides_by_zero():
    def frames(rides):
        before = rides.assign(day=rides["day"] + pd.Timedelta(days=7))
        both = rides.merge(before, on=["station", "day"], how="left", suffixes=("", "_before"))
        return both.assign(ratio=both["rides"] / both["rides_before"])[["station", "day", "ratio"]]

    return change_on_last_week()[0], frames


# --- every_day ------------------------------------------------------------------------------------------------------


def _every_day(rides):
    found = []
    for station, rows in _by(rides, "station").items():
        known = {row.day: row.rides for row in rows}
        for place in range((max(known) - min(known)).days + 1):
            day = min(known) + datetime.timedelta(days=place)
            found.append((station, day, known.get(day)))
    return found


EVERY_DAY = Task("station day rides", ONLY_RIDES, _every_day)


@right
def every_day():
    """Return `(sql, frames)`: for each station a row for every day from its own first to its own last.

    Columns: station, day, rides: as in the table, NULL on a day that is missing there. Station and day are unique.
    `frames(rides)` gives the same.
    """
    sql = """
        WITH ends AS (SELECT station, MIN(day) AS first, MAX(day) AS last FROM rides GROUP BY station),
        spine AS (SELECT station, CAST(UNNEST(generate_series(first, last, INTERVAL 1 DAY)) AS DATE) AS day FROM ends)
        SELECT station, day, rides
        FROM spine LEFT JOIN rides USING (station, day)
    """

    def frames(rides):
        ends = rides.groupby("station")["day"].agg(["min", "max"])
        days = [pd.date_range(first, last) for first, last in ends.itertuples(index=False)]
        spine = ends.assign(day=days).explode("day").reset_index()[["station", "day"]]
        spine["day"] = spine["day"].astype("datetime64[us]")
        return spine.merge(rides, on=["station", "day"], how="left")

    return sql, frames


@checks(every_day)
def the_spine_in_sql(answer):
    """First make the days that should be there, from each station's first and last; then LEFT JOIN what is there."""
    EVERY_DAY.sql(answer)


@checks(every_day)
def the_spine_in_pandas(answer):
    """`asfreq("D")` on one station with the day as index fills the gaps with NaN; do it for each station."""
    EVERY_DAY.pandas(answer)


@also_right(every_day)
def the_spine_by_range():
    sql = """
        SELECT s.station, s.day, rides.rides
        FROM (
            SELECT ends.station, ends.first + CAST(step.range AS INTEGER) AS day
            FROM (SELECT station, MIN(day) AS first, MAX(day) AS last FROM rides GROUP BY station) AS ends
            JOIN range(0, 10000) AS step ON step.range <= ends.last - ends.first
        ) AS s LEFT JOIN rides ON rides.station = s.station AND rides.day = s.day
    """

    def frames(rides):
        parts = [
            group.set_index("day")[["rides"]].sort_index().asfreq("D").assign(station=station)
            for station, group in rides.groupby("station")
        ]
        return pd.concat(parts).rename_axis("day").reset_index() if parts else rides

    return sql, frames


@also_right(every_day)
def the_spine_by_recursion():
    sql = """
        WITH RECURSIVE spine AS (
            SELECT station, MIN(day) AS day, MAX(day) AS last FROM rides GROUP BY station
            UNION ALL SELECT station, day + 1, last FROM spine WHERE day < last
        )
        SELECT spine.station, spine.day, rides.rides FROM spine LEFT JOIN rides USING (station, day)
    """

    def frames(rides):
        known = rides.set_index(["station", "day"])["rides"].to_dict()
        rows = []
        for station, days in rides.groupby("station")["day"]:
            for day in pd.date_range(days.min(), days.max()):
                rows.append((station, day, known.get((station, day))))
        return pd.DataFrame(rows, columns=["station", "day", "rides"])

    return sql, frames


@wrong(every_day, caught_by=the_spine_in_sql)
def one_spine_for_all():
    sql = "WITH spine AS (SELECT CAST(UNNEST(generate_series(MIN(day), MAX(day), INTERVAL 1 DAY)) AS DATE) AS day "
    sql += (
        "FROM rides) SELECT s.station, spine.day, rides.rides FROM (SELECT DISTINCT station FROM rides) AS s "
    )
    sql += "CROSS JOIN spine LEFT JOIN rides ON rides.station = s.station AND rides.day = spine.day"
    return sql, every_day()[1]


@wrong(every_day, caught_by=the_spine_in_sql)
def a_missing_day_is_zero():
    sql = every_day()[0].replace(
        "SELECT station, day, rides\n", "SELECT station, day, COALESCE(rides, 0) AS rides\n"
    )
    return sql, every_day()[1]


@wrong(every_day, caught_by=the_spine_in_sql)
def the_days_that_some_station_has():
    sql = "SELECT s.station, d.day, rides.rides FROM (SELECT DISTINCT station FROM rides) AS s "
    sql += "CROSS JOIN (SELECT DISTINCT day FROM rides) AS d LEFT JOIN rides USING (station, day)"
    return sql, every_day()[1]


@wrong(every_day, caught_by=the_spine_in_pandas)
def fills_with_zero():
    return every_day()[0], lambda rides: every_day()[1](rides).fillna({"rides": 0})


@wrong(every_day, caught_by=the_spine_in_pandas)
def unstacks_to_one_range():
    def frames(rides):
        wide = rides.pivot(index="day", columns="station", values="rides").asfreq("D")
        return wide.stack(future_stack=True).rename("rides").reset_index()

    return every_day()[0], frames


# --- rolling_week ---------------------------------------------------------------------------------------------------


def _rolling_week(rides):
    found = []
    for rows in _by(rides, "station").values():
        for row in rows:
            near = [other.rides for other in rows if 0 <= (row.day - other.day).days < 7]
            found.append((row.station, row.day, _mean(_known(near))))
    return found


ROLLING = Task("station day mean_week", ONLY_RIDES, _rolling_week)


@right
def rolling_week():
    """Return `(sql, frames)`: for each row of `rides` the station's mean over the seven calendar days that end with it.

    Columns: station, day, mean_week: of the rides that are known in these days, NULL where none is. Station and day are
    unique, and days are missing. `frames(rides)` gives the same.
    """
    sql = """
        SELECT station, day, AVG(rides) OVER (
            PARTITION BY station ORDER BY day RANGE BETWEEN INTERVAL 6 DAYS PRECEDING AND CURRENT ROW
        ) AS mean_week
        FROM rides
    """

    def frames(rides):
        ordered = rides.sort_values(["station", "day"])
        rolled = ordered.groupby("station").rolling("7D", on="day", min_periods=1)["rides"].mean()
        return ordered.assign(mean_week=rolled.to_numpy())[["station", "day", "mean_week"]]

    return sql, frames


@checks(rolling_week)
def rolling_in_sql(answer):
    """ROWS counts rows, RANGE measures the distance in the ORDER BY. Seven days are the day and INTERVAL 6 DAYS."""
    ROLLING.sql(answer)


@checks(rolling_week)
def rolling_in_pandas(answer):
    """`rolling(7)` counts rows, `rolling("7D", on="day")` measures days. And one station must not see another."""
    ROLLING.pandas(answer)


@also_right(rolling_week)
def rolling_by_a_self_join():
    sql = """
        SELECT r.station, r.day, AVG(near.rides) AS mean_week
        FROM rides AS r JOIN rides AS near
            ON near.station = r.station AND near.day BETWEEN r.day - 6 AND r.day
        GROUP BY r.station, r.day
    """

    def frames(rides):
        both = rides[["station", "day"]].merge(rides, on="station", suffixes=("", "_near"))
        age = (both["day"] - both["day_near"]).dt.days
        near = both[age.between(0, 6)].groupby(["station", "day"])["rides"].mean()
        return near.rename("mean_week").reset_index()

    return sql, frames


@also_right(rolling_week)
def rolling_by_a_subquery():
    sql = """
        SELECT station, day, (
            SELECT AVG(rides) FROM rides AS near
            WHERE near.station = r.station AND near.day <= r.day AND near.day > r.day - 7
        ) AS mean_week
        FROM rides AS r
    """

    def frames(rides):
        rows = []
        for row in rides.itertuples():
            age = (row.day - rides["day"]).dt.days
            near = rides.loc[(rides["station"] == row.station) & (age >= 0) & (age < 7), "rides"]
            rows.append((row.station, row.day, near.mean()))
        return pd.DataFrame(rows, columns=["station", "day", "mean_week"])

    return sql, frames


@wrong(rolling_week, caught_by=rolling_in_sql)
def seven_rows():
    sql = rolling_week()[0].replace("RANGE BETWEEN INTERVAL 6 DAYS PRECEDING", "ROWS BETWEEN 6 PRECEDING")
    return sql, rolling_week()[1]


@wrong(rolling_week, caught_by=rolling_in_sql)
def eight_days():
    return rolling_week()[0].replace("6 DAYS", "7 DAYS"), rolling_week()[1]


@wrong(rolling_week, caught_by=rolling_in_sql)
def all_stations_together():
    return rolling_week()[0].replace("PARTITION BY station ", ""), rolling_week()[1]


@wrong(rolling_week, caught_by=rolling_in_pandas)
def seven_rows_in_pandas():
    def frames(rides):
        ordered = rides.sort_values(["station", "day"])
        rolled = ordered.groupby("station")["rides"].transform(
            lambda one: one.rolling(7, min_periods=1).mean()
        )
        return ordered.assign(mean_week=rolled)[["station", "day", "mean_week"]]

    return rolling_week()[0], frames


@wrong(rolling_week, caught_by=rolling_in_pandas)
def in_the_order_of_the_table():
    def frames(rides):
        ordered = rides.sort_values(["station", "day"])
        rolled = ordered.groupby("station").rolling("7D", on="day", min_periods=1)["rides"].mean()
        return rides.assign(mean_week=rolled.to_numpy())[["station", "day", "mean_week"]]

    return rolling_week()[0], frames


# --- carried_forward ------------------------------------------------------------------------------------------------


def _carried(rides):
    found = []
    for station, rows in _by(rides, "station").items():
        last = None
        for row in sorted(rows, key=lambda row: row.day):
            last = last if row.rides is None else row.rides
            found.append((station, row.day, last))
    return found


CARRIED = Task("station day last_known", ONLY_RIDES, _carried)


@right
def carried_forward():
    """Return `(sql, frames)`: for each row of `rides` the station's last known rides, of that day or the latest before.

    Columns: station, day, last_known; NULL as long as nothing was known. Station and day are unique. `frames(rides)`
    gives the same.
    """
    sql = """
        SELECT station, day, LAST_VALUE(rides IGNORE NULLS) OVER (PARTITION BY station ORDER BY day) AS last_known
        FROM rides
    """

    def frames(rides):
        ordered = rides.sort_values(["station", "day"])
        return ordered.assign(last_known=ordered.groupby("station")["rides"].ffill()).drop(columns="rides")

    return sql, frames


@checks(carried_forward)
def carried_in_sql(answer):
    """The default frame, up to the current row, is right here: you want the last value in it that is not NULL."""
    CARRIED.sql(answer)


@checks(carried_forward)
def carried_in_pandas(answer):
    """`ffill` takes the row above, whichever station that is: sort, group, then fill."""
    CARRIED.pandas(answer)


@also_right(carried_forward)
def carried_in_groups():
    sql = """
        SELECT station, day, MAX(rides) OVER (PARTITION BY station, known) AS last_known
        FROM (SELECT *, COUNT(rides) OVER (PARTITION BY station ORDER BY day) AS known FROM rides) AS counted
    """

    def frames(rides):
        ordered = rides.sort_values("day")
        known = ordered["rides"].notna().groupby(ordered["station"]).cumsum()
        last = ordered["rides"].groupby([ordered["station"], known]).transform("first")
        return ordered.assign(last_known=last)[["station", "day", "last_known"]]

    return sql, frames


@also_right(carried_forward)
def carried_by_a_subquery():
    sql = """
        SELECT station, day, (
            SELECT p.rides FROM rides AS p
            WHERE p.station = r.station AND p.day <= r.day AND p.rides IS NOT NULL ORDER BY p.day DESC LIMIT 1
        ) AS last_known
        FROM rides AS r
    """

    def frames(rides):
        rows, last = [], {}
        for row in rides.sort_values("day").itertuples():
            if pd.notna(row.rides):
                last[row.station] = row.rides
            rows.append((row.station, row.day, last.get(row.station)))
        return pd.DataFrame(rows, columns=["station", "day", "last_known"])

    return sql, frames


@wrong(carried_forward, caught_by=carried_in_sql)
def one_row_back():
    sql = "SELECT station, day, COALESCE(rides, LAG(rides) OVER (PARTITION BY station ORDER BY day)) AS last_known "
    return sql + "FROM rides", carried_forward()[1]


@wrong(carried_forward, caught_by=carried_in_sql)
def from_the_station_above():
    return carried_forward()[0].replace("PARTITION BY station ORDER BY day", "ORDER BY station, day"), None


@wrong(carried_forward, caught_by=carried_in_sql)
def the_highest_so_far():
    sql = "SELECT station, day, MAX(rides) OVER (PARTITION BY station ORDER BY day) AS last_known FROM rides"
    return sql, carried_forward()[1]


@wrong(carried_forward, caught_by=carried_in_pandas)
def fills_across_stations():
    def frames(rides):
        return rides.sort_values(["station", "day"]).ffill().rename(columns={"rides": "last_known"})

    return carried_forward()[0], frames


@wrong(carried_forward, caught_by=carried_in_pandas)
def fills_from_the_future():
    def frames(rides):
        ordered = rides.sort_values(["station", "day"])
        filled = ordered.groupby("station")["rides"].transform(lambda one: one.ffill().bfill())
        return ordered.assign(last_known=filled)[["station", "day", "last_known"]]

    return carried_forward()[0], frames


MANY_RUNS = Table(
    RIDE,
    [
        (station, datetime.date(2019, 7, day), rides)
        for station in ("western", "polk", "monroe", "harlem", "clinton", "belmont", "austin", "adams")
        for day, rides in ((16, 0.0), (15, 0.0), (9, 2.0), (3, 0.0), (1, 0.0), (2, 0.0))
    ],
)

# --- closures -------------------------------------------------------------------------------------------------------


def _closures(rides):
    found = []
    for station, rows in sorted(_by(rides, "station").items()):
        closed = sorted(row.day for row in rows if row.rides == 0)
        runs = []
        for day in closed:
            if runs and (day - runs[-1][-1]).days == 1:
                runs[-1].append(day)
            else:
                runs.append([day])
        found += [(station, run[0], run[-1], len(run)) for run in runs if len(run) > 1]
    return found


CLOSURES = Task(
    "station first_day last_day days",
    ONLY_RIDES | {"eight stations": {"rides": MANY_RUNS}},
    _closures,
    ordered=True,
)


@right
def closures():
    """Return `(sql, frames)`: the closures, two or more days in a row on which a station has 0 rides, **in order**.

    Columns: station, first_day, last_day, days; ordered by station and first_day. In a row means on the calendar; a day
    that is missing or unknown ends the run. Station and day are unique. `frames(rides)` gives the same.
    """
    sql = """
        SELECT station, MIN(day) AS first_day, MAX(day) AS last_day, COUNT(*) AS days
        FROM (
            SELECT *, day - CAST(ROW_NUMBER() OVER (PARTITION BY station ORDER BY day) AS INTEGER) AS island
            FROM rides
            WHERE rides = 0
        ) AS closed
        GROUP BY station, island
        HAVING COUNT(*) >= 2
        ORDER BY station, first_day
    """

    def frames(rides):
        closed = rides[rides["rides"] == 0].sort_values(["station", "day"])
        gap = closed.groupby("station")["day"].diff() != pd.Timedelta(days=1)
        runs = closed.groupby(["station", gap.cumsum().rename("island")])["day"]
        found = runs.agg(first_day="min", last_day="max", days="size").reset_index("station")
        return found[found["days"] >= 2].sort_values(["station", "first_day"])

    return sql, frames


@checks(closures)
def closures_in_sql(answer):
    """In a run, the day and the row number grow together, so their difference is the same: group by it."""
    CLOSURES.sql(answer)


@checks(closures)
def closures_in_pandas(answer):
    """A run begins where the day before is not the row before; a running sum of these beginnings numbers the runs."""
    CLOSURES.pandas(answer)


@also_right(closures)
def closures_by_their_beginnings():
    sql = """
        WITH marked AS (
            SELECT *, CASE WHEN day - LAG(day) OVER one = 1 THEN 0 ELSE 1 END AS begins
            FROM rides WHERE rides = 0 WINDOW one AS (PARTITION BY station ORDER BY day)
        ), numbered AS (SELECT *, SUM(begins) OVER (PARTITION BY station ORDER BY day) AS run FROM marked)
        SELECT station, MIN(day) AS first_day, MAX(day) AS last_day, MAX(day) - MIN(day) + 1 AS days
        FROM numbered GROUP BY station, run HAVING MAX(day) > MIN(day) ORDER BY 1, 2
    """

    def frames(rides):
        rows = []
        for row in rides[rides["rides"].eq(0)].sort_values(["station", "day"]).itertuples():
            if rows and rows[-1][0] == row.station and row.day - rows[-1][2] == pd.Timedelta(days=1):
                rows[-1][2:] = row.day, rows[-1][3] + 1
            else:
                rows.append([row.station, row.day, row.day, 1])
        rows = [row for row in rows if row[3] > 1]
        return pd.DataFrame(rows, columns=["station", "first_day", "last_day", "days"])

    return sql, frames


@also_right(closures)
def closures_by_their_ends():
    sql = """
        WITH closed AS (SELECT station, day FROM rides WHERE rides = 0),
        starts AS (
            SELECT * FROM closed AS c
            WHERE NOT EXISTS (SELECT 1 FROM closed AS b WHERE b.station = c.station AND b.day = c.day - 1)
        ), ends AS (
            SELECT * FROM closed AS c
            WHERE NOT EXISTS (SELECT 1 FROM closed AS a WHERE a.station = c.station AND a.day = c.day + 1)
        )
        SELECT s.station, s.day AS first_day, MIN(e.day) AS last_day, MIN(e.day) - s.day + 1 AS days
        FROM starts AS s JOIN ends AS e ON e.station = s.station AND e.day >= s.day
        GROUP BY s.station, s.day HAVING MIN(e.day) > s.day ORDER BY 1, 2
    """

    def frames(rides):
        closed = rides.query("rides == 0").sort_values(["station", "day"])
        island = closed["day"] - pd.to_timedelta(closed.groupby("station").cumcount(), unit="D")
        groups = closed.groupby([closed["station"], island.rename("island")])["day"]
        found = pd.DataFrame({"first_day": groups.min(), "last_day": groups.max(), "days": groups.count()})
        return found.query("days > 1").reset_index().drop(columns="island")

    return sql, frames


@wrong(closures, caught_by=closures_in_sql)
def rows_in_the_place_of_days():
    sql = "SELECT station, MIN(day) AS first_day, MAX(day) AS last_day, COUNT(*) AS days FROM (SELECT *, "
    sql += "ROW_NUMBER() OVER (PARTITION BY station ORDER BY day) - "
    sql += "ROW_NUMBER() OVER (PARTITION BY station, rides ORDER BY day) AS island FROM rides) AS placed "
    sql += "WHERE rides = 0 GROUP BY station, island HAVING COUNT(*) >= 2 ORDER BY station, first_day"
    return sql, closures()[1]


@wrong(closures, caught_by=closures_in_sql)
def one_closure_a_station():
    sql = "SELECT station, MIN(day) AS first_day, MAX(day) AS last_day, COUNT(*) AS days FROM rides "
    sql += "WHERE rides = 0 GROUP BY station HAVING COUNT(*) >= 2 ORDER BY station"
    return sql, closures()[1]


@wrong(closures, caught_by=closures_in_sql)
def numbers_all_stations_together():
    return closures()[0].replace("PARTITION BY station ORDER BY day", "ORDER BY day"), closures()[1]


@wrong(closures, caught_by=closures_in_pandas)
def a_day_that_is_missing_does_not_end_it():
    def frames(rides):
        ordered = rides.sort_values(["station", "day"])
        zero = ordered["rides"].eq(0)
        run = (zero != zero.groupby(ordered["station"]).shift()).cumsum().rename("run")
        found = (
            ordered[zero].groupby(["station", run])["day"].agg(first_day="min", last_day="max", days="size")
        )
        return found.query("days > 1").reset_index().drop(columns="run")

    return closures()[0], frames


@wrong(closures, caught_by=closures_in_pandas)
def the_unknown_are_zero():
    return closures()[0], lambda rides: closures()[1](rides.fillna({"rides": 0}))


# --- busy_spells ----------------------------------------------------------------------------------------------------


def _spells(trips):
    found = []
    for zone, rows in _by(trips, "zone").items():
        spells = []
        for row in _in_time(rows):
            if not spells or row.pickup_at - spells[-1][-1] > datetime.timedelta(minutes=30):
                spells.append([])
            spells[-1].append(row.pickup_at)
        found += [(zone, number, spell[0], len(spell)) for number, spell in enumerate(spells, 1)]
    return found


SPELLS = Task("zone spell begins trips", ONLY_TRIPS, _spells)


@right
def busy_spells():
    """Return `(sql, frames)`: the busy spells of each zone. A new one begins after more than 30 minutes without a pickup.

    Columns: zone, spell (1, 2, … in each zone), begins (its first pickup), trips (how many). Exactly 30 minutes do not
    end it. `frames(trips)` gives the same.
    """
    sql = """
        WITH marked AS (
            SELECT zone, pickup_at,
                CASE WHEN pickup_at - LAG(pickup_at) OVER one <= INTERVAL 30 MINUTES THEN 0 ELSE 1 END AS is_new
            FROM trips
            WINDOW one AS (PARTITION BY zone ORDER BY pickup_at)
        ), numbered AS (
            SELECT *, SUM(is_new) OVER (PARTITION BY zone ORDER BY pickup_at) AS spell FROM marked
        )
        SELECT zone, spell, MIN(pickup_at) AS begins, COUNT(*) AS trips
        FROM numbered
        GROUP BY zone, spell
    """

    def frames(trips):
        ordered = trips.sort_values(["zone", "pickup_at"])
        gap = ordered.groupby("zone")["pickup_at"].diff()
        is_new = ~(gap <= pd.Timedelta(minutes=30))
        ordered["spell"] = is_new.astype(int).groupby(ordered["zone"]).cumsum()
        found = ordered.groupby(["zone", "spell"])["pickup_at"].agg(begins="min", trips="size")
        return found.reset_index()

    return sql, frames


@checks(busy_spells)
def spells_in_sql(answer):
    """LAG gives the gap, CASE marks the rows that begin something new, a running sum of the marks numbers the spells."""
    SPELLS.sql(answer)


@checks(busy_spells)
def spells_in_pandas(answer):
    """`diff` inside each zone, compare with 30 minutes, `cumsum` inside each zone. The first gap is NaT: a new spell."""
    SPELLS.pandas(answer)


@also_right(busy_spells)
def spells_by_counting_beginnings():
    sql = """
        WITH begins AS (
            SELECT DISTINCT zone, pickup_at FROM trips AS t WHERE NOT EXISTS (
                SELECT 1 FROM trips AS b
                WHERE b.zone = t.zone AND b.pickup_at < t.pickup_at AND b.pickup_at >= t.pickup_at - INTERVAL 30 MINUTES
            )
        ), placed AS (
            SELECT t.zone, t.trip_id, COUNT(*) AS spell, MAX(b.pickup_at) AS begins
            FROM trips AS t JOIN begins AS b ON b.zone = t.zone AND b.pickup_at <= t.pickup_at
            GROUP BY t.zone, t.trip_id
        )
        SELECT zone, spell, begins, COUNT(*) AS trips FROM placed GROUP BY zone, spell, begins
    """

    def frames(trips):
        rows = []
        for zone, clocks in trips.groupby("zone")["pickup_at"]:
            last, spell = None, 0
            for clock in clocks.sort_values():
                if last is None or clock - last > pd.Timedelta(minutes=30):
                    spell += 1
                    rows.append([zone, spell, clock, 0])
                rows[-1][3] += 1
                last = clock
        return pd.DataFrame(rows, columns=["zone", "spell", "begins", "trips"])

    return sql, frames


@also_right(busy_spells)
def spells_in_subqueries():
    sql = """
        SELECT zone, spell, MIN(pickup_at) AS begins, COUNT(*) AS trips FROM (
            SELECT *, COUNT(*) FILTER (WHERE gap IS NULL OR gap > 30 * 60)
                OVER (PARTITION BY zone ORDER BY pickup_at) AS spell
            FROM (
                SELECT zone, pickup_at,
                    epoch(pickup_at) - LAG(epoch(pickup_at)) OVER (PARTITION BY zone ORDER BY pickup_at) AS gap
                FROM trips
            ) AS gaps
        ) AS numbered
        GROUP BY ALL
    """

    def frames(trips):
        ordered = trips.sort_values(["zone", "pickup_at"])
        before = ordered["pickup_at"].shift()
        same = ordered["zone"].eq(ordered["zone"].shift())
        ordered["run"] = (~(same & (ordered["pickup_at"] - before <= pd.Timedelta("30min")))).cumsum()
        found = ordered.groupby(["zone", "run"], as_index=False).agg(
            begins=("pickup_at", "first"), trips=("trip_id", "count")
        )
        return found.assign(spell=found.groupby("zone").cumcount() + 1).drop(columns="run")

    return sql, frames


@wrong(busy_spells, caught_by=spells_in_sql)
def thirty_minutes_end_it():
    return busy_spells()[0].replace("<= INTERVAL", "< INTERVAL"), busy_spells()[1]


@wrong(busy_spells, caught_by=spells_in_sql)
def counts_whole_minutes():
    return busy_spells()[0].replace(
        "pickup_at - LAG(pickup_at) OVER one <= INTERVAL 30 MINUTES",
        "date_diff('minute', LAG(pickup_at) OVER one, pickup_at) <= 30",
    ), busy_spells()[1]


@wrong(busy_spells, caught_by=spells_in_pandas)
def counts_whole_minutes_of_a_frame():
    def frames(trips):
        ordered = trips.sort_values(["zone", "pickup_at"])
        minutes = ordered.groupby("zone")["pickup_at"].diff().dt.total_seconds() // 60
        ordered["spell"] = (~(minutes <= 30)).astype(int).groupby(ordered["zone"]).cumsum()
        return ordered.groupby(["zone", "spell"])["pickup_at"].agg(begins="min", trips="size").reset_index()

    return busy_spells()[0], frames


@wrong(busy_spells, caught_by=spells_in_sql)
def half_hours_of_the_clock():
    sql = "SELECT zone, ROW_NUMBER() OVER (PARTITION BY zone ORDER BY MIN(pickup_at)) AS spell, "
    sql += "MIN(pickup_at) AS begins, COUNT(*) AS trips FROM trips "
    return sql + "GROUP BY zone, time_bucket(INTERVAL 30 MINUTES, pickup_at)", busy_spells()[1]


@wrong(busy_spells, caught_by=spells_in_sql)
def the_gap_to_another_zone():
    return busy_spells()[0].replace(
        "(PARTITION BY zone ORDER BY pickup_at)\n", "(ORDER BY pickup_at)\n"
    ), None


@wrong(busy_spells, caught_by=spells_in_pandas)
def a_gap_across_zones():
    def frames(trips):
        ordered = trips.sort_values(["zone", "pickup_at"])
        is_new = ordered["pickup_at"].diff().abs() > pd.Timedelta(minutes=30)
        ordered["spell"] = is_new.astype(int).groupby(ordered["zone"]).cumsum() + 1
        return ordered.groupby(["zone", "spell"])["pickup_at"].agg(begins="min", trips="size").reset_index()

    return busy_spells()[0], frames


@wrong(busy_spells, caught_by=spells_in_pandas)
def numbers_the_spells_from_zero():
    def frames(trips):
        found = busy_spells()[1](trips)
        return found.assign(spell=found["spell"] - 1)

    return busy_spells()[0], frames


# --- retention ------------------------------------------------------------------------------------------------------


def _retention(trips):
    months = defaultdict(set)
    for trip in trips:
        months[trip.zone].add(12 * trip.pickup_at.year + trip.pickup_at.month - 1)
    counts = Counter((min(active), month - min(active)) for active in months.values() for month in active)
    return [(datetime.date(first // 12, first % 12 + 1, 1), age, n) for (first, age), n in counts.items()]


def _year_of_trips(seed):
    chance = random.Random(seed)
    first = datetime.datetime(2019, 1, 31, 22)
    return Table(
        TRIP,
        [
            (number, zone, first + datetime.timedelta(hours=11 * chance.randint(0, 600)), 1, 1, 1.0, 5.0)
            for number, zone in enumerate(chance.choices(range(1, 25), k=90), 1)
        ],
    )


RETENTION = Task(
    "cohort months_later zones",
    ONLY_TRIPS
    | {
        "the end of a month": {
            "trips": Table(
                TRIP,
                """
                1 10 2019-01-31T23:00 1 1 1.0 5.0
                2 10 2019-02-01T01:00 1 1 1.0 5.0
                3 20 2019-02-01T08:00 1 1 1.0 5.0
                4 20 2019-04-30T08:00 1 1 1.0 5.0
                5 10 2020-01-01T08:00 1 1 1.0 5.0
                6 30 2019-01-02T08:00 1 1 1.0 5.0
                """,
            )
        },
        "a year": {"trips": _year_of_trips(3)},
    },
    _retention,
)


@right
def retention():
    """Return `(sql, frames)`: of the zones that begin in a month, how many have a pickup 0, 1, 2, … months later.

    A zone's cohort is the calendar month of its first pickup. Columns: cohort (the month's first day), months_later (in
    calendar months), zones (that are active in that month); no row where none is. `frames(trips)` gives the same.
    """
    sql = """
        WITH active AS (SELECT DISTINCT zone, date_trunc('month', pickup_at) AS month FROM trips),
        aged AS (SELECT *, MIN(month) OVER (PARTITION BY zone) AS cohort FROM active)
        SELECT cohort, date_diff('month', cohort, month) AS months_later, COUNT(*) AS zones
        FROM aged
        GROUP BY cohort, months_later
    """

    def frames(trips):
        month = trips["pickup_at"].dt.to_period("M")
        active = pd.DataFrame({"zone": trips["zone"], "month": month}).drop_duplicates()
        active["cohort"] = active.groupby("zone")["month"].transform("min")
        number = 12 * active["month"].dt.year + active["month"].dt.month
        active["months_later"] = number - 12 * active["cohort"].dt.year - active["cohort"].dt.month
        found = active.groupby(["cohort", "months_later"]).size().rename("zones").reset_index()
        return found.assign(cohort=found["cohort"].dt.to_timestamp())

    return sql, frames


@checks(retention)
def retention_in_sql(answer):
    """First one row for each zone and month, then each zone's first month, then count. Months, not days by 30."""
    RETENTION.sql(answer)


@checks(retention)
def retention_in_pandas(answer):
    """Months are periods: drop the duplicates of zone and month, `transform("min")` gives the cohort, then count."""
    RETENTION.pandas(answer)


@also_right(retention)
def retention_by_distinct_counts():
    sql = """
        SELECT f.cohort, 12 * (year(t.pickup_at) - year(f.cohort)) + month(t.pickup_at) - month(f.cohort)
            AS months_later, COUNT(DISTINCT t.zone) AS zones
        FROM trips AS t
        JOIN (SELECT zone, date_trunc('month', MIN(pickup_at)) AS cohort FROM trips GROUP BY zone) AS f USING (zone)
        GROUP BY 1, 2
    """

    def frames(trips):
        clock = trips["pickup_at"]
        first = clock.groupby(trips["zone"]).transform("min")
        later = 12 * (clock.dt.year - first.dt.year) + clock.dt.month - first.dt.month
        cohort = first.dt.normalize() - pd.to_timedelta(first.dt.day - 1, unit="D")
        table = trips.assign(cohort=cohort, months_later=later)
        return table.groupby(["cohort", "months_later"])["zone"].nunique().rename("zones").reset_index()

    return sql, frames


@also_right(retention)
def retention_step_by_step():
    sql = """
        WITH active AS (SELECT zone, date_trunc('month', pickup_at) AS month FROM trips GROUP BY ALL),
        cohorts AS (SELECT zone, MIN(month) AS cohort FROM active GROUP BY zone)
        SELECT cohort, date_diff('month', cohort, month) AS months_later, COUNT(zone) AS zones
        FROM active JOIN cohorts USING (zone) GROUP BY ALL
    """

    def frames(trips):
        months = defaultdict(set)
        for row in trips.itertuples():
            months[row.zone].add((row.pickup_at.year, row.pickup_at.month))
        counts = Counter()
        for active in months.values():
            year, month = min(active)
            counts.update((pd.Timestamp(year, month, 1), 12 * (y - year) + m - month) for y, m in active)
        rows = [(*key, number) for key, number in counts.items()]
        return pd.DataFrame(rows, columns=["cohort", "months_later", "zones"])

    return sql, frames


@wrong(retention, caught_by=retention_in_sql)
def counts_trips():
    return retention()[0].replace("SELECT DISTINCT zone", "SELECT zone"), retention()[1]


@wrong(retention, caught_by=retention_in_sql)
def months_of_thirty_days():
    sql = "SELECT date_trunc('month', first) AS cohort, date_diff('day', first, pickup_at) // 30 AS months_later, "
    sql += "COUNT(DISTINCT zone) AS zones FROM (SELECT *, MIN(pickup_at) OVER (PARTITION BY zone) AS first "
    return sql + "FROM trips) AS aged GROUP BY 1, 2", retention()[1]


@wrong(retention, caught_by=retention_in_sql)
def every_month_is_a_cohort():
    sql = "SELECT date_trunc('month', pickup_at) AS cohort, 0 AS months_later, COUNT(DISTINCT zone) AS zones "
    return sql + "FROM trips GROUP BY 1", retention()[1]


@wrong(retention, caught_by=retention_in_pandas)
def months_without_their_year():
    def frames(trips):
        first = trips["pickup_at"].groupby(trips["zone"]).transform("min")
        table = trips.assign(
            cohort=first.dt.to_period("M").dt.to_timestamp(),
            months_later=trips["pickup_at"].dt.month - first.dt.month,
        )
        return table.groupby(["cohort", "months_later"])["zone"].nunique().rename("zones").reset_index()

    return retention()[0], frames


@wrong(retention, caught_by=retention_in_pandas)
def counts_trips_in_pandas():
    def frames(trips):
        clock = trips["pickup_at"]
        first = clock.groupby(trips["zone"]).transform("min")
        later = 12 * (clock.dt.year - first.dt.year) + clock.dt.month - first.dt.month
        table = trips.assign(cohort=first.dt.to_period("M").dt.to_timestamp(), months_later=later)
        return table.groupby(["cohort", "months_later"])["zone"].count().rename("zones").reset_index()

    return retention()[0], frames


# --- fare_percentiles -----------------------------------------------------------------------------------------------


def _percentile(values, share):
    values = sorted(values)
    place = share * (len(values) - 1)
    below = int(place)
    above = min(below + 1, len(values) - 1)
    return values[below] + (place - below) * (values[above] - values[below])


def _percentiles(trips):
    found = []
    for zone, rows in _by(trips, "zone").items():
        fares = _known(row.fare for row in rows)
        both = [_percentile(fares, share) for share in (0.5, 0.9)] if fares else [None, None]
        found.append((zone, *both, len(fares)))
    return found


PERCENTILES = Task("zone median p90 fares", ONLY_TRIPS, _percentiles)


@right
def fare_percentiles():
    """Return `(sql, frames)`: for each zone the median and the 90th percentile of its known fares, interpolated.

    Columns: zone, median, p90, fares (how many are known); NULL, NULL, 0 for a zone without a known fare. Between two
    values take the straight line. `frames(trips)` gives the same.
    """
    sql = """
        SELECT zone, quantile_cont(fare, 0.5) AS median, quantile_cont(fare, 0.9) AS p90, COUNT(fare) AS fares
        FROM trips
        GROUP BY zone
    """

    def frames(trips):
        fares = trips.groupby("zone")["fare"]
        found = pd.DataFrame(
            {"median": fares.quantile(0.5), "p90": fares.quantile(0.9), "fares": fares.count()}
        )
        return found.reset_index()

    return sql, frames


@checks(fare_percentiles)
def percentiles_in_sql(answer):
    """`quantile_cont` (in the standard PERCENTILE_CONT … WITHIN GROUP) interpolates, `quantile_disc` picks a value."""
    PERCENTILES.sql(answer)


@checks(fare_percentiles)
def percentiles_in_pandas(answer):
    """`quantile` interpolates by default and passes over NaN. Two calls, one for each share, or a list of shares."""
    PERCENTILES.pandas(answer)


@also_right(fare_percentiles)
def percentiles_by_the_standard():
    sql = """
        SELECT zone, PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY fare) AS median,
            PERCENTILE_CONT(0.9) WITHIN GROUP (ORDER BY fare) AS p90, COUNT(fare) AS fares
        FROM trips GROUP BY zone
    """

    def frames(trips):
        groups = trips.groupby("zone")["fare"]
        return groups.agg(median="median", p90=lambda fares: fares.quantile(0.9), fares="count").reset_index()

    return sql, frames


@also_right(fare_percentiles)
def percentiles_by_hand():
    sql = """
        WITH placed AS (
            SELECT zone, fare, ROW_NUMBER() OVER (PARTITION BY zone ORDER BY fare) - 1 AS place,
                COUNT(*) OVER (PARTITION BY zone) - 1 AS last
            FROM trips WHERE fare IS NOT NULL
        ), found AS (
            SELECT zone, SUM(fare * GREATEST(0, 1 - ABS(place - 0.5 * last))) AS median,
                SUM(fare * GREATEST(0, 1 - ABS(place - 0.9 * last))) AS p90, COUNT(*) AS fares
            FROM placed GROUP BY zone
        )
        SELECT zone, median, p90, COALESCE(fares, 0) AS fares
        FROM (SELECT DISTINCT zone FROM trips) AS zones LEFT JOIN found USING (zone)
    """

    def frames(trips):
        rows = []
        for zone, fares in trips.groupby("zone")["fare"]:
            known = sorted(fares.dropna())
            both = [_percentile(known, share) for share in (0.5, 0.9)] if known else [None, None]
            rows.append((zone, *both, len(known)))
        return pd.DataFrame(rows, columns=["zone", "median", "p90", "fares"])

    return sql, frames


@wrong(fare_percentiles, caught_by=percentiles_in_sql)
def picks_a_value():
    return fare_percentiles()[0].replace("quantile_cont", "quantile_disc"), fare_percentiles()[1]


@wrong(fare_percentiles, caught_by=percentiles_in_sql)
def the_mean_for_the_median():
    return fare_percentiles()[0].replace("quantile_cont(fare, 0.5)", "AVG(fare)"), fare_percentiles()[1]


@wrong(fare_percentiles, caught_by=percentiles_in_sql)
def the_unknown_fare_is_zero():
    return fare_percentiles()[0].replace("cont(fare,", "cont(COALESCE(fare, 0),"), fare_percentiles()[1]


@wrong(fare_percentiles, caught_by=percentiles_in_pandas)
def picks_the_lower_value():
    def frames(trips):
        fares = trips.groupby("zone")["fare"]
        low = {"interpolation": "lower"}
        found = {
            "median": fares.quantile(0.5, **low),
            "p90": fares.quantile(0.9, **low),
            "fares": fares.count(),
        }
        return pd.DataFrame(found).reset_index()

    return fare_percentiles()[0], frames


@wrong(fare_percentiles, caught_by=percentiles_in_pandas)
def drops_the_zone():
    return fare_percentiles()[0], lambda trips: fare_percentiles()[1](trips.dropna(subset=["fare"]))


# --- payments_pivot -------------------------------------------------------------------------------------------------

PIVOT = Task(
    "zone card cash other",
    ONLY_TRIPS,
    lambda trips: [
        (
            zone,
            sum(row.payment_type == 1 for row in rows),
            sum(row.payment_type == 2 for row in rows),
            sum(row.payment_type not in (1, 2) for row in rows),
        )
        for zone, rows in _by(trips, "zone").items()
    ],
)


@right
def payments_pivot():
    """Return `(sql, frames)`: a row per zone, a column per way to pay: how many trips by card (1), cash (2), other.

    Columns: zone, card, cash, other; `other` holds all other types and the unknown (NULL). 0 where there is none.
    `frames(trips)` gives the same.
    """
    sql = """
        SELECT zone,
            COUNT(*) FILTER (WHERE payment_type = 1) AS card,
            COUNT(*) FILTER (WHERE payment_type = 2) AS cash,
            COUNT(*) FILTER (WHERE payment_type NOT IN (1, 2) OR payment_type IS NULL) AS other
        FROM trips
        GROUP BY zone
    """

    def frames(trips):
        way = trips["payment_type"].map({1: "card", 2: "cash"}).fillna("other")
        wide = pd.crosstab(trips["zone"], way).reindex(columns=["card", "cash", "other"], fill_value=0)
        return wide.reset_index()

    return sql, frames


@checks(payments_pivot)
def the_pivot_in_sql(answer):
    """A conditional count for each column. Which rows does no condition hold for, and where do they belong?"""
    PIVOT.sql(answer)


@checks(payments_pivot)
def the_pivot_in_pandas(answer):
    """`crosstab` and `pivot_table` leave out NaN, and a column that never occurs is missing: name, fill, reindex."""
    PIVOT.pandas(answer)


@also_right(payments_pivot)
def the_pivot_by_sums():
    sql = """
        SELECT zone, SUM(CASE WHEN payment_type = 1 THEN 1 ELSE 0 END) AS card,
            SUM(CASE WHEN payment_type = 2 THEN 1 ELSE 0 END) AS cash,
            SUM(CASE WHEN payment_type IN (1, 2) THEN 0 ELSE 1 END) AS other
        FROM trips GROUP BY zone
    """

    def frames(trips):
        kind = trips["payment_type"]
        table = trips[["zone"]].assign(card=kind == 1, cash=kind == 2, other=~kind.isin([1, 2]))
        return table.groupby("zone", as_index=False).sum()

    return sql, frames


@also_right(payments_pivot)
def the_pivot_by_subtraction():
    sql = """
        SELECT zone, COUNT(CASE payment_type WHEN 1 THEN 1 END) AS card,
            COUNT(CASE payment_type WHEN 2 THEN 1 END) AS cash, COUNT(*) - card - cash AS other
        FROM trips GROUP BY zone
    """

    def frames(trips):
        named = trips.assign(way="other")
        named.loc[trips["payment_type"] == 1, "way"] = "card"
        named.loc[trips["payment_type"] == 2, "way"] = "cash"
        wide = named.pivot_table(index="zone", columns="way", values="trip_id", aggfunc="count", fill_value=0)
        for way in ("card", "cash", "other"):
            if way not in wide:
                wide[way] = 0
        return wide.reset_index().rename_axis(columns=None)[["zone", "card", "cash", "other"]]

    return sql, frames


@wrong(payments_pivot, caught_by=the_pivot_in_sql)
def the_unknown_are_in_no_column():
    return payments_pivot()[0].replace(" OR payment_type IS NULL", ""), payments_pivot()[1]


@wrong(payments_pivot, caught_by=the_pivot_in_sql)
def counts_zero_as_one():
    return payments_pivot()[0].replace(
        "COUNT(*) FILTER (WHERE payment_type = 1)", "COUNT(payment_type = 1)"
    ), None


@wrong(payments_pivot, caught_by=the_pivot_in_sql)
def null_for_none():
    sql = "SELECT zone, SUM(CASE WHEN payment_type = 1 THEN 1 END) AS card, "
    sql += "SUM(CASE WHEN payment_type = 2 THEN 1 END) AS cash, "
    return (
        sql + "SUM(CASE WHEN payment_type IN (1, 2) THEN NULL ELSE 1 END) AS other FROM trips GROUP BY zone",
        None,
    )


@wrong(payments_pivot, caught_by=the_pivot_in_pandas)
def crosstab_leaves_out_nan():
    def frames(trips):
        way = trips["payment_type"].map({1: "card", 2: "cash", 3: "other", 4: "other"})
        wide = pd.crosstab(trips["zone"], way).reindex(columns=["card", "cash", "other"], fill_value=0)
        return wide.reset_index()

    return payments_pivot()[0], frames


@wrong(payments_pivot, caught_by=the_pivot_in_pandas)
def holes_stay_nan():
    def frames(trips):
        way = trips["payment_type"].map({1: "card", 2: "cash"}).fillna("other")
        counts = trips.groupby(["zone", way.rename("way")]).size()
        return counts.unstack().reindex(columns=["card", "cash", "other"]).reset_index()

    return payments_pivot()[0], frames
