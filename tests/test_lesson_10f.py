"""Lesson 10f: bytes of two engines, features as of a moment, placement by hash, translated SQL."""

from pathlib import Path
from time import monotonic
from zlib import crc32

import duckdb
import nbformat
import numpy as np
import pandas as pd
import pytest
from shown import flat_table
from solved import smaller

from course.exercise import source as exercise_source
from lessons.the_warehouse import teradata
from lessons.the_warehouse.engines import engines, warehouse_trips
from projects.trip_checks import rmse, trained

ROOT = Path(__file__).resolve().parents[1]
STEM = "10f_the_warehouse"
NOTEBOOK = nbformat.read(ROOT / "notebooks" / f"{STEM}.ipynb", as_version=4)
EXERCISES = exercise_source.load(ROOT / "src" / "lessons" / "exercises" / f"{STEM}.py")
SOME = "SELECT * FROM trips"


def numbers(notebook, name):
    return flat_table(notebook, name).apply(pd.to_numeric)


@pytest.fixture(scope="module")
def trips():
    return warehouse_trips()


@pytest.fixture(scope="module")
def two(trips):
    with engines() as (postgres, duck):
        postgres.load("trips", trips)
        duck.load("trips", trips)
        yield postgres, duck


@pytest.fixture(scope="module")
def daily(trips):
    day = trips["pickup_at"].dt.normalize()
    rows = trips.groupby(["zone", day.rename("day")])["seconds"].mean().div(60).rename("mean").reset_index()
    return rows.assign(known_at=rows["day"] + pd.Timedelta(hours=26))


def test_both_engines_hold_the_same_trips(two, trips):
    for engine in two:
        found = engine.ask("SELECT COUNT(*) AS n, SUM(seconds) AS total, MAX(pickup_at) AS last FROM trips")
        assert found["n"][0] == len(trips) and int(found["total"][0]) == trips["seconds"].sum()
        assert found["last"][0] == trips["pickup_at"].max()


def test_a_column_store_reads_less_for_a_column_and_a_row_store_little_for_a_row(two, trips):
    postgres, duck = two
    postgres.run("CREATE INDEX ON trips (trip_id)")
    postgres.run("VACUUM ANALYZE trips")
    for column in ("seconds", "miles", "zone"):
        whole = postgres.kilobytes(f"SELECT AVG({column}) FROM trips")
        assert whole == postgres.kilobytes(SOME)
        assert duck.kilobytes("trips", column) < whole / 5
    for trip in (0, 777, len(trips) - 1):
        assert postgres.kilobytes(f"SELECT * FROM trips WHERE trip_id = {trip}") <= 32


def test_grouping_there_hands_over_a_thousandth(two):
    grouped = "SELECT zone, COUNT(*) AS n, SUM(seconds)::BIGINT AS total FROM trips GROUP BY zone"
    for engine in two:
        assert engine.crossing(grouped) < engine.crossing("SELECT zone, seconds FROM trips") / 100


def test_ten_million_rows_are_made_and_grouped_in_seconds(two):
    """Held loosely: the prose says a few seconds, on a busy machine it is some more."""
    _, duck = two
    start = monotonic()
    duck.run("CREATE TABLE many AS SELECT zone, seconds FROM trips CROSS JOIN range(114)")
    found = duck.ask("SELECT COUNT(*) AS n FROM many GROUP BY zone")["n"]
    duck.run("DROP TABLE many")
    assert found.sum() > 10_000_000
    assert monotonic() - start < 60


def test_the_as_of_join_of_duckdb_is_that_of_pandas(two, trips, daily):
    _, duck = two
    duck.load("daily", daily)
    found = duck.ask(
        "SELECT trip_id, mean FROM trips ASOF LEFT JOIN daily "
        "ON trips.zone = daily.zone AND pickup_at >= known_at ORDER BY trip_id"
    )
    left = trips[["trip_id", "pickup_at", "zone"]]
    right = daily.sort_values("known_at")[["zone", "known_at", "mean"]].astype(
        {"known_at": left["pickup_at"].dtype}
    )
    wanted = pd.merge_asof(left, right, left_on="pickup_at", right_on="known_at", by="zone")
    np.testing.assert_allclose(found["mean"], wanted["mean"], rtol=1e-12)


def test_the_leak_gains_offline_and_loses_live_from_another_training_window_too(trips, daily):
    """Trained on February to April, five months; and the honest feature gains nothing worth having."""
    pickup = trips["pickup_at"].dt
    rows = trips.assign(
        duration=trips["seconds"] / 60, hour=pickup.hour, weekday=pickup.weekday, day=pickup.normalize()
    )
    plain = ["miles", "zone", "to_zone", "hour", "weekday"]
    leaks = rows.merge(daily[["zone", "day", "mean"]], on=["zone", "day"], how="left")
    right = daily.sort_values("known_at")[["zone", "known_at", "mean"]].astype(
        {"known_at": rows["pickup_at"].dtype}
    )
    moment = pd.merge_asof(rows, right, left_on="pickup_at", right_on="known_at", by="zone")
    past = rows["month"].between(2, 4).to_numpy()
    leaky, honest = (trained(one[past], [*plain, "mean"]) for one in (leaks, moment))
    without = trained(rows[past], plain)
    for month in range(5, 10):
        now = (rows["month"] == month).to_numpy()
        base = rmse(without, rows[now])
        assert rmse(leaky, leaks[now]) < base - 0.1
        assert rmse(leaky, moment[now]) > base + 0.1
        assert abs(rmse(honest, moment[now]) - base) < 0.05


def test_the_notebook_shows_what_the_prose_says():
    scores, gains = numbers(NOTEBOOK, "leak"), numbers(NOTEBOOK, "gains")
    assert (scores["same day (offline)"] < scores["no feature"]).all()
    assert (scores["same day (live)"] > scores["no feature"]).all()
    assert gains.loc["as of (live)", "from"] < 0 < gains.loc["as of (live)", "to"]
    assert dict(flat_table(NOTEBOOK, "translated")["verdict"].value_counts()) == {
        "DIFFERENT": 5,
        "fails": 4,
        "same": 3,
    }


def test_a_row_per_state_gives_what_the_service_had():
    """Seeds 0 to 9: corrections appended with their time change nothing that was asked before."""
    for seed in range(10):
        rng = np.random.default_rng(seed)
        facts = pd.DataFrame({"zone": rng.integers(0, 4, 60), "day": rng.integers(0, 20, 60)})
        facts = facts.drop_duplicates().assign(known_at=lambda rows: rows["day"] + 1.1)
        facts["value"] = rng.random(len(facts))
        asks = pd.DataFrame({"zone": rng.integers(0, 5, 40), "at": rng.uniform(0, 25, 40)})
        served = EXERCISES.known(asks, facts)
        fixed = facts.assign(value=facts["value"] + 1, known_at=facts["known_at"] + 30)
        np.testing.assert_array_equal(EXERCISES.known(asks, pd.concat([facts, fixed])), served)


def test_an_index_with_few_values_leaves_amps_empty(trips):
    def placed(values):
        return EXERCISES.skew(values, 8, lambda value: crc32(str(value).encode()))

    shown = numbers(NOTEBOOK, "amps")["skew %"]
    for name in ("trip_id", "zone", "vendor"):
        assert placed(trips[name]) == pytest.approx(shown[name], abs=0.05)
    assert placed(trips["trip_id"]) < 5 < placed(trips["zone"]) < placed(trips["vendor"])


def test_statistics_from_before_the_load_expect_next_to_nothing(two, trips):
    """For three loads: the month that was not there is expected as a handful of rows, then as what it is."""
    postgres, _ = two
    for month in (4, 6, 8):
        name, ask = f"until_{month}", f"SELECT * FROM until_{month} WHERE month = {month}"
        postgres.load(name, trips[trips["month"] < month])
        postgres.run(f"ANALYZE {name}")
        postgres.load(name, trips[trips["month"] == month])
        rows = (trips["month"] == month).sum()
        assert postgres.expected(ask) < rows / 1000
        postgres.run(f"ANALYZE {name}")
        assert postgres.expected(ask) == pytest.approx(rows, rel=0.05)


def test_what_is_translated_runs_and_says_something_else():
    verdicts = teradata.checked()["verdict"]
    assert verdicts["SEL 7 / 2"] == "DIFFERENT" and verdicts["SEL ZEROIFNULL(NULL)"] == "fails"
    with pytest.raises(duckdb.Error):
        teradata.rows("COLLECT STATISTICS COLUMN (zone) ON rides")
    assert sorted(
        teradata.rows("SEL zone, miles FROM rides QUALIFY RANK() OVER (ORDER BY day DESC) = 1")
    ) == [("B", 2)]


def test_a_translated_sample_returns_all_rows_or_none():
    assert {len(teradata.rows("SEL * FROM rides SAMPLE .1")) for _ in range(30)} <= {0, 4}


@pytest.mark.slow
def test_a_smaller_run_tells_the_same_story():
    outcome = smaller(STEM)
    assert outcome.faults == []
    for name in ("leak", "gains", "amps", "translated"):
        assert flat_table(outcome.notebook, name).equals(flat_table(NOTEBOOK, name)), name
