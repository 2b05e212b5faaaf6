"""Rows in time: drift_report's blocks keep the family-wise rate, and a cheap check warns without them."""

import warnings

import numpy as np
import pandas as pd
import pytest

from walkforward import drift
from walkforward.drift import dependence

WEEK = np.array([0.2, 0.3, 0.3, 0.3, 0.4, -0.7, -0.8])
SIZES = [(365, 30), (365, 90), (1000, 365)]
SERIES = ["a", "b", "c", "d"]


def days(rng, n, m, rho, shift=0.0):
    """n days and the m after them: AR(1) columns with a weekly season, the fourth cut to levels."""
    noise = rng.normal(size=(n + m + 100, 4)) * (1 - rho**2) ** 0.5
    for day in range(1, len(noise)):
        noise[day] += rho * noise[day - 1]
    stamps = pd.date_range("2020-01-01", periods=n + m) + pd.Timedelta(days=int(rng.integers(7)))
    x = noise[100:] + WEEK[stamps.dayofweek][:, None]
    x[n:, 0] += shift
    frame = pd.DataFrame({"day": stamps, "a": x[:, 0], "b": np.exp(x[:, 1]), "c": x[:, 2]})
    frame["d"] = np.array(["low", "mid", "high", "top"])[np.digitize(x[:, 3], [-1, 0, 1])]
    return frame[:n], frame[n:].reset_index(drop=True)


def alarms(runs, rho, sizes=SIZES, shift=0.0, seed=0, **options):
    """The share of comparisons with any alarm, by size."""
    found = {}
    for n, m in sizes:
        rng = np.random.default_rng(seed)
        pairs = (days(rng, n, m, rho, shift) for _ in range(runs))
        found[n, m] = np.mean([drift.drift_report(*pair, **options)["drift"].any() for pair in pairs])
    return found


@pytest.mark.parametrize("rho", [0.3, 0.7])
def test_days_without_drift_alarm_in_at_most_seven_percent(rho):
    found = alarms(50, rho, time="day")  # 500 runs of each are on record: benchmarks/drift.py
    assert np.mean([*found.values()]) <= 0.07
    assert max(found.values()) <= 0.07 + 2 * (0.07 * 0.93 / 50) ** 0.5


@pytest.mark.filterwarnings("ignore::walkforward.drift.DriftWarning")
def test_without_time_they_alarm_and_the_power_has_its_price():
    assert alarms(20, 0.7, SIZES[1:2], columns=SERIES)[365, 90] > 0.4
    found = alarms(20, 0.3, SIZES[1:2], shift=1.0, time="day")
    assert found[365, 90] > 0.85  # one of ninety days' own standard deviations
    assert alarms(20, 0.7, SIZES[2:], shift=1.0, time="day")[1000, 365] > 0.85


def test_blocks_of_rows_are_weeks_of_days():
    old, new = days(np.random.default_rng(1), 365, 90, 0.7, shift=1.5)
    by_time = drift.drift_report(old, new, time="day").set_index("column")
    by_rows = drift.drift_report(old, new, SERIES, block=7).set_index("column")
    pd.testing.assert_frame_equal(by_time, by_rows)
    assert by_time.loc["a", "test"] == "Anderson-Darling in blocks"
    assert by_time.loc["d", "test"] == "chi-squared in blocks"
    assert (by_time["n_current"] == 84).all()  # 12 whole weeks
    assert "day" not in by_time.index
    for block in ("7D", "168h", "W", "7 days", pd.Timedelta(days=7), np.timedelta64(7, "D")):
        again = drift.drift_report(old, new, time="day", block=block).set_index("column")
        pd.testing.assert_frame_equal(by_time, again)
    shuffled = drift.drift_report(*(side.sample(frac=1, random_state=0) for side in (old, new)), time="day")
    pd.testing.assert_frame_equal(by_time, shuffled.set_index("column"))
    history = drift.drift_history(old, {"spring": new}, time="day")
    assert history["p_value"].tolist() == by_time["p_value"].tolist()


@pytest.mark.parametrize("make", ["ns", "s", "zone", "text", "arrow", "period"])
def test_time_of_every_make(make):
    old, new = days(np.random.default_rng(2), 120, 60, 0.3)
    convert = {
        "ns": lambda t: t.astype("datetime64[ns]"),
        "s": lambda t: t.astype("datetime64[s]"),
        "zone": lambda t: t.dt.tz_localize("Europe/Paris"),
        "text": lambda t: t.dt.date.astype(object),
        "arrow": lambda t: t.astype("timestamp[us][pyarrow]"),
        "period": lambda t: t.dt.to_period("D"),
    }[make]
    found = drift.drift_report(*(side.assign(day=convert(side["day"])) for side in (old, new)), time="day")
    expected = drift.drift_report(old, new, time="day")
    if make == "zone":  # a day of 23 hours ends its week an hour early
        assert found["verdict"].tolist() == expected["verdict"].tolist()
    else:
        pd.testing.assert_frame_equal(found, expected)


def test_many_rows_a_day_and_months():
    rng = np.random.default_rng(3)
    level = rng.normal(size=200)  # of each day: its 20 rows share it
    day = pd.Timestamp("2021-01-04") + pd.to_timedelta(rng.integers(0, 200, 4_000), unit="D")
    rows = pd.DataFrame({"day": day, "x": level[(day - day.min()).days] + rng.normal(size=4_000)})
    old, new = rows[rows["day"] < "2021-05-24"], rows[rows["day"] >= "2021-05-24"]
    independent = drift.drift_report(old.sample(frac=1, random_state=0), new, ["x"]).iloc[0]
    blocks = drift.drift_report(old, new, time="day").iloc[0]
    assert blocks["p_value"] > 100 * independent["p_value"]
    months = pd.DataFrame({"month": pd.date_range("2000-01-01", periods=180, freq="MS")})
    months["x"] = rng.normal(size=180)
    found = drift.drift_report(months[:120], months[120:], time="month").iloc[0]
    assert (found["n_current"], found["verdict"]) == (60, "no drift")  # each month is a block


def test_missing_values_new_levels_and_tails_in_blocks():
    old, new = days(np.random.default_rng(4), 1000, 365, 0.3)
    gone = drift.drift_report(old, new.assign(b=new["b"].mask(new.index % 3 == 0)), time="day").iloc[0]
    assert (gone["column"], gone["test"]) == ("b", "missing share (Fisher)")
    named = new.assign(d=new["d"].mask(new.index % 12 == 0, "new"))
    level = drift.drift_report(old, named, time="day").iloc[0]
    assert level["drift"]
    assert "never in the reference" in level["reason"] or "the reference lacks" in level["reason"]


def test_few_blocks_are_said():
    old, new = days(np.random.default_rng(5), 365, 35, 0.3)
    found = drift.drift_report(old, new, time="day", block="30D")
    assert set(found["verdict"]) == {"too few rows"}
    assert set(found["reason"]) == {"under 2 whole blocks on a side"}
    assert set(drift.drift_report(old, new.head(5), time="day")["verdict"]) == {"too few rows"}
    assert set(drift.drift_report(old, new.head(0), time="day")["verdict"]) == {"too few rows"}


# The check ------------------------------------------------------------------------------------------------


def warned(old, new, **options):
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        drift.drift_report(old, new, **options)
    return [str(one.message) for one in said if one.category is drift.DriftWarning]


def test_neighbours_that_are_alike_are_named_and_the_way_out_works():
    for rho in (0.3, 0.7):
        for seed in range(5):
            old, new = days(np.random.default_rng(seed), 365, 90, rho)
            (words,) = warned(old, new, columns=SERIES)
            assert "\n" not in words
            assert words.startswith("neighbouring rows are alike in " + ("a, b, c:" if rho > 0.5 else "a"))
    assert warned(old, new, time="day") == warned(old, new, columns=SERIES, block=7) == []
    reference = pd.DataFrame({"x": np.arange(500.0)})
    assert len(warned(reference, reference)) == 1
    shuffled = reference.sample(frac=1, random_state=0)  # as the warning says
    assert warned(shuffled, shuffled) == []


def test_independent_rows_don_t_warn():
    rng, count = np.random.default_rng(6), 0
    for _ in range(400):
        frames = [pd.DataFrame(rng.lognormal(size=(n, 5))) for n in (60, 300)]
        columns = [dependence.column_of(frame, name) for frame in frames for name in frame]
        count += bool(dependence.alike_neighbours(columns, 10))
    assert count <= 4
