"""The judge of queries and frames says what differs, and where; the database is the course's data."""

import datetime

import duckdb
import pandas as pd
import pytest

from course.data import DataError, load_ridership, load_stations, load_trips
from course.data.database import connect, open_database, plan
from course.exercise import TODO
from course.exercise.tables import Table, Task

TRIPS = Table(
    "zone int, clock time, fare float, name text, day day", "1 2019-07-01T08:30 2.5 a 2019-07-01\n2 - - - -"
)
TWO = {
    "two": {"trips": TRIPS},
    "none": {"trips": Table("zone int, clock time, fare float, name text, day day", "")},
}
SUMS = Task("zone total", TWO, lambda trips: [(row.zone, row.fare) for row in trips])
FIRST = Task("zone", TWO, lambda trips: [(row.zone,) for row in reversed(trips)], ordered=True)

SQL = "SELECT zone, SUM(fare) AS total FROM trips GROUP BY zone"


def frames(trips):
    return trips.groupby("zone", as_index=False).agg(total=("fare", lambda fares: fares.sum(min_count=1)))


def said(judge, sql, function):
    with pytest.raises(AssertionError) as error:
        judge(lambda: (sql, function))
    return str(error.value)


def test_a_table_is_the_same_in_both():
    with connect(threads=1) as connection:
        TRIPS.create(connection, "trips")
        first, second = connection.execute("SELECT * FROM trips ORDER BY zone").fetchall()
    assert first == (1, datetime.datetime(2019, 7, 1, 8, 30), 2.5, "a", datetime.date(2019, 7, 1))
    assert second == (2, None, None, None, None)
    frame = TRIPS.frame()
    assert list(map(str, frame.dtypes)) == ["int64", "datetime64[us]", "float64", "str", "datetime64[us]"]
    assert frame.iloc[1].isna().tolist() == [False, True, True, True, True]
    assert list(map(str, TWO["none"]["trips"].frame().dtypes)) == list(map(str, frame.dtypes))


def test_right_answers_pass_in_any_order_of_rows_and_columns():
    SUMS.sql(lambda: (SQL + " ORDER BY zone DESC", None))
    SUMS.sql(lambda: ("SELECT SUM(fare) AS total, zone FROM trips GROUP BY zone", None))
    SUMS.pandas(lambda: (SQL, frames))
    SUMS.pandas(lambda: (SQL, lambda trips: frames(trips).iloc[::-1].astype({"zone": "Int64"})))


def test_the_difference_is_shown_with_the_database():
    text = said(SUMS.sql, SQL.replace("SUM(fare)", "COALESCE(SUM(fare), 0)"), None)
    assert text.splitlines() == [
        "SQL, made-up database «two»: 2 rows are wanted, you have 2; these differ",
        "          zone  total",
        "  wanted  2     NULL",
        "  got     2     0",
        "trips",
        "  zone  clock             fare  name  day",
        "  1     2019-07-01 08:30  2.5   a     2019-07-01",
        "  2     NULL              NULL  NULL  NULL",
    ]
    assert "pandas, made-up database «two»: 2 rows are wanted, you have 1" in said(
        SUMS.pandas, SQL, lambda trips: frames(trips.dropna())
    )


def test_a_row_that_comes_twice_is_one_too_many():
    text = said(SUMS.sql, f"{SQL} UNION ALL {SQL}", None)
    assert "2 rows are wanted, you have 4" in text and text.count("got  ") == 2 and "wanted  " not in text


def test_order_counts_only_where_it_is_asked_for():
    FIRST.sql(lambda: ("SELECT zone FROM trips ORDER BY zone DESC", None))
    assert "the rows are right, their order is not" in said(
        FIRST.sql, "SELECT zone FROM trips ORDER BY zone", None
    )


@pytest.mark.parametrize(
    ("sql", "part"),
    [
        ("SELECT zone FROM trips", "the columns are zone, total; yours are zone"),
        ("SELECT zone form trips", "the query does not run: "),
        ("SELECT zone, fare AS total FROM 'data/ridership.parquet'", "the query does not run: "),
        ("SELECT 1 AS zone; SELECT 2 AS zone", "write one SELECT, not 2 statements"),
        ("", "write one SELECT, not 0 statements"),
        (5, "the first thing to return is the text of a query, not 5"),
    ],
)
def test_a_query_that_is_none_is_told_in_a_sentence(sql, part):
    assert part in said(SUMS.sql, sql, None)


@pytest.mark.parametrize(
    ("function", "part"),
    [
        (None, "the query is right. Now return the second thing"),
        (TODO, "the query is right. Now return the second thing"),
        (5, "the second thing to return is a function of DataFrames, not 5"),
        (lambda trips: trips["zone"], "return a DataFrame, not a Series"),
        (lambda trips: trips.groupby("zone")[["fare"]].sum(), "zone is in the index; reset it"),
        (lambda trips: trips.nothing, "AttributeError: 'DataFrame' object has no attribute 'nothing'"),
        (lambda: None, "TypeError"),
    ],
)
def test_a_function_that_is_none_is_told_in_a_sentence(function, part):
    assert part in said(SUMS.pandas, SQL, function)


@pytest.mark.parametrize("given", [None, "SELECT", (SQL,), (SQL, frames, 3)])
def test_two_things_are_returned(given):
    with pytest.raises(AssertionError, match="return two things"):
        SUMS.sql(lambda: given)


def test_a_function_can_not_spoil_the_next_database():
    def spoils(trips):
        found = frames(trips)
        trips["fare"] = 0.0
        return found

    SUMS.pandas(lambda: (SQL, spoils))
    SUMS.pandas(lambda: (SQL, spoils))


def test_sql_nan_is_no_null():
    task = Task("x", {"one": {"t": Table("x float", "-")}}, lambda t: [(None,)])
    task.sql(lambda: ("SELECT x FROM t", None))
    assert "nan" in said(task.sql, "SELECT 'nan'::DOUBLE AS x FROM t", None)


# The course's database


@pytest.fixture(scope="module")
def db():
    with open_database("2020-05", "2020-06") as connection:
        yield connection


def test_the_tables_are_the_data(db):
    trips = load_trips(["2020-05", "2020-06"])
    found = db.sql("SELECT * FROM trips ORDER BY trip_id").df()
    pd.testing.assert_series_equal(found["fare"], trips["fare_amount"], check_names=False)
    pd.testing.assert_series_equal(found["pickup_at"], trips["pickup_datetime"], check_names=False)
    assert found["payment_type"].isna().sum() == trips["payment_type"].isna().sum() > 0
    rides = load_stations()
    assert db.sql("SELECT SUM(rides), COUNT(*) FROM rides").fetchall()[0] == pytest.approx(
        (rides["y"].sum(), len(rides))
    )
    days = load_ridership()
    teams = dict(db.sql("SELECT team, COUNT(*) FROM games GROUP BY team").fetchall())
    assert teams == {team: days[f"{team.lower()}_home"].sum() for team in ("Bears", "Blackhawks", "Bulls")}


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM 'data/ridership.parquet'",
        "COPY trips TO 'trips.csv'",
        "INSTALL httpfs",
        "SELECT * FROM elsewhere",
    ],
)
def test_the_database_keeps_to_itself(db, query):
    elsewhere = pd.DataFrame({"a": [1]})
    assert len(elsewhere) == 1
    with pytest.raises(duckdb.Error):
        db.sql(query).fetchall()


def test_a_file_is_written_once(tmp_path):
    file = tmp_path / "course.duckdb"
    open_database("2020-05", "2020-05", file).close()
    with connect(file) as connection:
        assert connection.sql("SELECT COUNT(*) FROM trips").fetchall()[0] == (10_000,)
    before = file.read_bytes()
    with pytest.raises(DataError, match=r"exists already: open it with duckdb.connect, or give another name"):
        open_database("2020-05", "2020-05", file)
    assert file.read_bytes() == before


def test_a_month_that_is_not_there_leaves_no_file(tmp_path):
    with pytest.raises(DataError, match="no trips of 2021-01"):
        open_database("2021-01", "2021-01", tmp_path / "course.duckdb")
    assert list(tmp_path.iterdir()) == []


def test_a_plan_is_a_tree_with_rows_and_no_seconds(db):
    query = "SELECT zone, COUNT(*) AS n FROM trips WHERE payment_type = 1 GROUP BY zone HAVING n > 10"
    tree = plan(db, query)
    assert list(tree) == ["operator", "what", "estimate"]
    depth = tree["operator"].str.count("·").tolist()
    assert depth == sorted(depth) and tree["operator"].iloc[-1].endswith("seq scan")
    assert tree["what"].iloc[-1] == "trips, (payment_type = 1)"
    counted = plan(db, query, analyze=True)
    cards = db.sql("SELECT COUNT(*) FROM trips WHERE payment_type = 1").fetchall()[0][0]
    assert list(counted) == ["operator", "what", "estimate", "rows"]
    assert counted["rows"].iloc[-1] == cards
    assert counted["rows"].iloc[0] == len(db.sql(query).fetchall())
    pd.testing.assert_frame_equal(counted, plan(db, query, analyze=True))
