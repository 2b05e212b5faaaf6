"""Steps are counted on the series' calendar: all frequencies of pandas, and what is refused."""

import re

import numpy as np
import pandas as pd
import pytest
from pandas._libs.tslibs.offsets import prefix_mapping
from sklearn.linear_model import Ridge
from xgboost import XGBRegressor

from walkforward.forecasting import (
    Drift,
    ForecastError,
    SeasonalNaive,
    WalkForwardSplit,
    backtest,
    calendar_features,
    find_leaks,
    lag_features,
    score,
)

quiet = {"n_jobs": 1, "progress": False}
offsets = pd.offsets
ALIASES = """D 2D 10D B 2B 5B C W W-MON 2W-WED W-FRI MS ME 2MS 3ME BMS BME 2BMS CBMS CBME QS QS-FEB QE QE-NOV
BQS BQS-MAR BQE BQE-NOV 2QS HYS HYE BHYS BHYE YS YE YS-JUL YE-MAR BYS BYE 2YS SMS SME SMS-10 SME-10 3SMS 3SME
WOM-3FRI WOM-1MON 2WOM-2TUE LWOM-FRI RE-N-DEC-MON REQ-N-DEC-MON-1 h 6h bh 2bh cbh 30min 15min min s 10s
ms us ns""".split()
OFFSETS = [
    offsets.LastWeekOfMonth(weekday=4),
    offsets.LastWeekOfMonth(2, weekday=0),
    offsets.DateOffset(months=1),
    offsets.DateOffset(days=3),
    offsets.Easter(),
    offsets.FY5253(weekday=4, startingMonth=1, variation="last"),
    pd.Timedelta(hours=5),
]


def days_of(freq, periods=60) -> pd.DatetimeIndex:
    days = pd.date_range("2000-01-03", periods=periods, freq=freq)
    return days.as_unit("ns" if freq == "ns" else "us")


CALENDARS = {str(freq): days_of(freq) for freq in [*ALIASES, *OFFSETS]} | {
    "the 15th of the month": pd.DatetimeIndex(
        [f"{2000 + i // 12}-{i % 12 + 1:02}-15" for i in range(60)]
    ).as_unit("us"),
    "the 30th, or the last": pd.date_range("2000-01-31", periods=60, freq="ME")
    - pd.to_timedelta(
        [int(day.day == 31) for day in pd.date_range("2000-01-31", periods=60, freq="ME")], "D"
    ),
    "the last Friday": days_of("LWOM-FRI"),
    "beyond 2262": pd.date_range(pd.Timestamp("2990-01-01").as_unit("s"), periods=60, freq="BME"),
}


def perfect(days, season=7) -> pd.DataFrame:
    return pd.DataFrame({"ds": days, "y": np.resize(np.arange(season, dtype=float), len(days))})


def exact(found) -> bool:
    return bool(len(found)) and np.allclose(found["y"], found["yhat"], rtol=0, atol=1e-9)


def test_every_alias_of_pandas_is_among_them():
    assert {re.sub(r"^\d+", "", alias).partition("-")[0] for alias in ALIASES} == set(prefix_mapping)


@pytest.mark.parametrize("name", CALENDARS)
def test_a_perfect_season_and_a_line_have_no_error(name):
    frame = perfect(CALENDARS[name])
    line = frame.assign(y=np.arange(60.0))
    for size, gap in ((60, 0), (53, 2)):
        splitter = WalkForwardSplit(5, 2, step=9, gap=gap)
        assert exact(backtest(frame.head(size), SeasonalNaive(7), splitter, **quiet))
        assert exact(backtest(line.head(size), Drift(), splitter, **quiet))
    for model, data in ((SeasonalNaive(7), frame), (Drift(), line)):
        ahead = data.tail(11)  # a day is left out between
        found = model.fit(data.head(48)).predict(ahead[["ds"]].sample(frac=1, random_state=0))
        assert exact(ahead.merge(found, on="ds"))


@pytest.mark.parametrize("name", ["D", "B", "MS", "BQE-NOV", "h", "30min", "bh", "SMS", "WOM-3FRI", "2W-WED"])
def test_at_every_cutoff(name):
    """One fold a day, so that each weekday, month and hour is a cutoff."""
    for days in (CALENDARS[name], CALENDARS[name].as_unit("ns")):
        assert exact(
            backtest(perfect(days), SeasonalNaive(7), WalkForwardSplit(8, initial=7, step=1), **quiet)
        )


@pytest.mark.parametrize("freq", [*ALIASES, *OFFSETS], ids=str)
def test_the_frequency_may_be_named(freq):
    frame = perfect(CALENDARS[str(freq)])
    assert exact(backtest(frame, SeasonalNaive(7), WalkForwardSplit(5, 2), freq=freq, **quiet))
    found = SeasonalNaive(7, freq=freq).fit(frame.head(40)).predict(frame[["ds"]].tail(15))
    assert found["yhat"].tolist() == frame["y"].tail(15).tolist()


def test_a_calendar_of_ones_own_is_named():
    freq = offsets.CustomBusinessDay(holidays=["2000-01-17", "2000-02-21"])
    frame = perfect(pd.date_range("2000-01-03", periods=60, freq=freq))
    with pytest.raises(ForecastError, match=r"2000-01-17: the day is missing \(2 in all\).* with freq="):
        backtest(frame, SeasonalNaive(7), WalkForwardSplit(5, 2), **quiet)
    assert exact(backtest(frame, SeasonalNaive(7), WalkForwardSplit(5, 2), freq=freq, **quiet))
    assert lag_features(frame, [7], freq=freq)["lag_7"].iloc[7:].tolist() == frame["y"].iloc[7:].tolist()
    assert find_leaks(lambda f: pd.DataFrame({"lag": f["y"].shift(1)}), frame, freq=freq) == {}
    found = backtest(frame, Drift(), WalkForwardSplit(5, 2), freq=freq, **quiet)
    assert score(found, train=frame, season=3, freq=freq)["mase"].item() > 0


def test_what_the_days_dont_tell_is_the_callers_choice():
    week = perfect(pd.bdate_range("2020-01-06", periods=5), 5)
    tuesday = pd.DataFrame({"ds": pd.to_datetime(["2020-01-14"])})
    with pytest.raises(ForecastError, match=r"several calendars: give freq='D' or freq='B'$"):
        SeasonalNaive(5).fit(week).predict(tuesday)
    assert SeasonalNaive(5, freq="B").fit(week).predict(tuesday)["yhat"].tolist() == [1.0]
    assert SeasonalNaive(5, freq="D").fit(week).predict(tuesday)["yhat"].tolist() == [3.0]
    with pytest.raises(ForecastError, match="don't lie on the calendar of the training"):
        SeasonalNaive(5, freq="B").fit(week).predict(pd.DataFrame({"ds": pd.to_datetime(["2020-01-12"])}))


@pytest.mark.parametrize(
    "freq", ["nonsense", 5, "-1D", "0D", "M", b"D", [1], offsets.BusinessDay(0), "W"], ids=str
)
def test_what_is_no_frequency_of_these_days(freq):
    with pytest.raises(ForecastError, match=r"^freq=|is no day of the calendar that freq='W' makes") as found:
        backtest(perfect(CALENDARS["D"]), Drift(), WalkForwardSplit(5, 2), freq=freq, **quiet)
    assert "\n" not in str(found.value)


def test_series_of_unlike_length_keep_one_calendar():
    for freq in ("MS", "B", "W-WED", "30min"):
        days = days_of(freq, 90)
        parts = {"all": days, "late": days[30:], "early": days[:84], "far": days[40:]}
        frame = pd.concat([perfect(some).assign(unique_id=name) for name, some in parts.items()])
        found = backtest(frame, SeasonalNaive(7), WalkForwardSplit(5, 3, gap=1), **quiet)
        assert set(found["unique_id"]) == set(parts)
        assert exact(found)
    apart = pd.concat([perfect(days[:40]).assign(unique_id="a"), perfect(days[60:]).assign(unique_id="b")])
    assert lag_features(apart, [7])["lag_7"].notna().sum() == 33 + 23


# ---------------------------------------------------------------- irregular days
def irregular() -> dict[str, pd.DataFrame]:
    rng = np.random.default_rng(0)
    hours = pd.date_range("2020-01-01", periods=800, freq="h")[np.sort(rng.choice(800, 600, replace=False))]
    steps = pd.Timestamp("2020-01-01") + pd.to_timedelta(np.cumsum(np.resize([1, 2, 4, 7], 120)), unit="D")
    hundred = pd.date_range("2020-01-01", periods=120)
    frames = {
        "jitter and gaps": perfect(hours + pd.to_timedelta(rng.integers(0, 51, 600), unit="min")),
        "jitter of a millisecond": perfect(hundred + pd.to_timedelta(rng.integers(0, 2, 120), unit="ms")),
        "steps of 1, 2, 4, 7": perfect(steps),
        "two days missing": perfect(hundred).drop(index=[5, 60]),
        "a month missing": perfect(pd.date_range("2010-01-01", periods=120, freq="MS")).drop(index=7),
        "business days, one missing": perfect(pd.bdate_range("2020-01-06", periods=120)).drop(index=9),
        "half hours, one missing": perfect(pd.date_range("2020", periods=120, freq="30min")).drop(index=9),
    }
    two = pd.concat([frames["steps of 1, 2, 4, 7"].assign(unique_id=name) for name in "ab"])
    one = pd.concat(
        [perfect(hundred).assign(unique_id="a"), frames["two days missing"].assign(unique_id="b")]
    )
    return frames | {"two series": two, "one of two series": one}


@pytest.mark.parametrize("name", irregular())
def test_days_that_are_not_regular_are_refused_and_the_way_out_works(name):
    frame = irregular()[name]
    with pytest.raises(
        ForecastError, match=r"^series \w+, \d{4}-\d\d-\d\d.*\d+ (in all|of \d+ differ)\)"
    ) as found:
        backtest(frame, SeasonalNaive(7), WalkForwardSplit(7, 2), **quiet)
    (code,) = re.findall(r"frame\.\S.*?\.reset_index\(\)", str(found.value))
    mended = eval(code, {"frame": frame, "pd": pd})
    assert len(backtest(mended, SeasonalNaive(7), WalkForwardSplit(7, 2), **quiet))


@pytest.mark.parametrize(
    "days",
    [
        pd.date_range("2020-03-20", periods=500, freq="h", tz="Europe/Berlin"),
        pd.date_range("2020-10-20", periods=500, freq="30min", tz="Europe/Berlin"),
        pd.date_range("2020-01-20", periods=500, freq="D", tz="UTC").tz_convert("Europe/Berlin"),
    ],
    ids=["spring", "autumn", "midnight elsewhere"],
)
@pytest.mark.parametrize("make", [None, "arrow", "objects"])
def test_hours_over_a_change_of_the_clocks(days, make):
    frame = perfect(days)
    if make == "arrow":
        frame["ds"] = frame["ds"].astype("timestamp[us, tz=Europe/Berlin][pyarrow]")
    elif make == "objects":
        frame["ds"] = pd.Series([day.to_pydatetime() for day in days], dtype=object)
    with pytest.raises(ForecastError, match=r"^the clocks change on 2020-\d\d-\d\d.*utc=True") as found:
        backtest(frame, SeasonalNaive(7), WalkForwardSplit(7, 2), **quiet)
    (code,) = re.findall(r"frame\.assign\(.*?\)\)", str(found.value))
    mended = eval(code, {"frame": frame, "pd": pd})
    assert exact(backtest(mended, SeasonalNaive(7), WalkForwardSplit(7, 2), **quiet))


def test_days_at_local_midnight_need_no_way_out():
    days = pd.date_range("2020-01-20", periods=500, freq="D", tz="Europe/Berlin")
    found = backtest(perfect(days), SeasonalNaive(7), WalkForwardSplit(7, 2), **quiet)
    assert exact(found)
    assert found["ds"].tolist() == days.tz_localize(None)[-14:].tolist()


# ---------------------------------------------------------------- a loop that rebuilds everything
def table(frame, lags, known) -> pd.DataFrame:
    y = frame.groupby("unique_id")["y"]
    parts = {f"lag_{lag}": y.shift(lag) for lag in lags}
    mean = sum((y.shift(i) for i in range(2, 4)), y.shift(1)) / 3
    return pd.concat(
        [pd.DataFrame(parts | {"mean_3": mean}), calendar_features(frame["ds"]), frame[known]], axis=1
    )


def rebuilt(frame, model, splitter, lags, known) -> pd.DataFrame:
    """Every table anew for every fold and every step, one row more a series and step."""
    days, out = pd.DatetimeIndex(np.sort(frame["ds"].unique())), []
    for train, test in splitter.split(days):
        cutoff = days[train[-1]]
        seen = frame[frame["ds"] <= cutoff].reset_index(drop=True)
        rows = table(seen, lags, known)
        full = rows.notna().all(axis=1)
        fitted = model().fit(rows.to_numpy(dtype=float)[full], seen["y"][full].to_numpy())
        here = seen.loc[seen["ds"] == cutoff, "unique_id"]
        for step, at in enumerate(test, start=1):
            new = frame[(frame["ds"] == days[at]) & frame["unique_id"].isin(here)]
            seen = pd.concat([seen, new.assign(y=np.nan)]).sort_values(["unique_id", "ds"], ignore_index=True)
            today = seen["ds"] == days[at]
            got = fitted.predict(table(seen, lags, known).to_numpy(dtype=float)[today])
            seen.loc[today, "y"] = got
            said = new[["unique_id", "ds"]].assign(cutoff=cutoff, h=step, y=new["y"], yhat=got.astype(float))
            out.append(said)
    return pd.concat(out).sort_values(["unique_id", "cutoff", "ds"], ignore_index=True)


@pytest.mark.parametrize("freq", ["MS", "W-MON", "B", "h", "30min"])
@pytest.mark.parametrize(
    "model", [Ridge, lambda: XGBRegressor(n_estimators=5, max_depth=3, n_jobs=1)], ids=["ridge", "xgb"]
)
def test_backtests_are_those_of_a_loop_that_rebuilds_everything(freq, model):
    rng = np.random.default_rng(1)
    days = pd.date_range("2015-01-01", periods=90, freq=freq)
    parts = [
        pd.DataFrame(
            {
                "unique_id": name,
                "ds": some,
                "y": rng.normal(10, 3, len(some)),
                "promo": rng.integers(0, 2, len(some)),
            }
        )
        for name, some in {"all": days, "late": days[25:]}.items()
    ]
    frame, splitter = pd.concat(parts, ignore_index=True), WalkForwardSplit(4, 2)
    what = {"lags": [1, 2, 7], "known": ["promo"]}
    found = backtest(frame, model(), splitter, rolling={3: "mean"}, calendar="US", **what, **quiet)
    expected = rebuilt(frame, model, splitter, **what)
    pd.testing.assert_frame_equal(found, expected, check_dtype=False, check_exact=True)
