"""Dates, numbers and names of every make, in every public function: the plain verdict, or our error."""

import datetime as dt
import decimal
import re
from contextlib import suppress

import hypothesis.strategies as st
import matplotlib
import matplotlib.figure
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from sklearn.linear_model import Ridge

from walkforward.forecasting import (
    Drift,
    ForecastError,
    SeasonalNaive,
    WalkForwardSplit,
    backtest,
    calendar_features,
    compare,
    conformal,
    find_leaks,
    lag_features,
    score,
)

matplotlib.use("agg")
quiet = {"n_jobs": 1, "progress": False}
SPLIT = WalkForwardSplit(7, 2)
PLAIN = pd.Series(pd.date_range("2019-03-01", periods=60))  # a change of the clocks lies in it
Y = np.resize(np.arange(7.0), 60) + np.arange(60) / 100
TWO_HOURS = dt.timezone(dt.timedelta(hours=2))


def objects(make) -> pd.Series:
    return pd.Series([make(i, day) for i, day in enumerate(PLAIN)], dtype=object)


TAKEN = {
    **{unit: PLAIN.dt.as_unit(unit) for unit in ("s", "ms", "ns")},
    **{zone: PLAIN.dt.tz_localize(zone) for zone in ("UTC", "Europe/Berlin", "America/New_York")},
    "offset": PLAIN.dt.tz_localize(TWO_HOURS),
    "arrow": PLAIN.astype("timestamp[us][pyarrow]"),
    "arrow in a zone": PLAIN.dt.tz_localize("Europe/Berlin").astype(
        "timestamp[us, tz=Europe/Berlin][pyarrow]"
    ),
    "arrow date32": PLAIN.astype("date32[pyarrow]"),
    "arrow date64": PLAIN.astype("date64[pyarrow]"),
    "period": PLAIN.dt.to_period("D"),
    "category": PLAIN.astype("category"),
    "dates": objects(lambda i, day: day.date()),
    "datetimes": objects(lambda i, day: day.to_pydatetime()),
    "datetimes with offset": objects(lambda i, day: day.to_pydatetime().replace(tzinfo=TWO_HOURS)),
    "two offsets": objects(
        lambda i, day: day.to_pydatetime().replace(tzinfo=TWO_HOURS if i < 30 else dt.UTC)
    ),
    "NumPy scalars": objects(lambda i, day: day.to_datetime64()),
    "period objects": objects(lambda i, day: day.to_period("D")),
}
SECONDS = PLAIN.astype("datetime64[s]").astype("int64")
REFUSED = {
    "text": PLAIN.astype(str),
    "text of Arrow": PLAIN.astype("string[pyarrow]"),
    "text in a category": PLAIN.astype(str).astype("category"),
    "text with two offsets": objects(lambda i, day: f"{day:%Y-%m-%d}T00:00+0{1 + i // 30}:00").astype("str"),
    "day first": PLAIN.dt.strftime("%d/%m/%Y"),
    "day first or month first": PLAIN.dt.strftime("%d/%m/%Y").where(PLAIN.dt.day < 13, "01/02/2019"),
    "points": PLAIN.dt.strftime("%d.%m.%Y"),
    "day first with hours": PLAIN.dt.strftime("%d/%m/%Y %H:%M"),
    "digits": PLAIN.dt.strftime("%Y%m%d"),
    "20190301": PLAIN.dt.strftime("%Y%m%d").astype(int),
    "20190301.0": PLAIN.dt.strftime("%Y%m%d").astype(float),
    "seconds": SECONDS,
    "milliseconds": SECONDS * 1_000,
    "nanoseconds": SECONDS * 1_000_000_000,
    "rows": pd.Series(range(60)),
    "words": pd.Series(["yesterday"] * 60),
    "flags": pd.Series([True] * 60),
    "time since": PLAIN - PLAIN[0],
    "nothing": pd.Series([None] * 60, dtype=object),
    "a gap": PLAIN.where(PLAIN.index != 7),
    "one without zone": objects(lambda i, day: day.tz_localize("UTC" if i else None)),
    "one word": objects(lambda i, day: day if i else "today"),
    "complex": pd.Series([1j] * 60),
    "lists": pd.Series([[1]] * 60),
    "intervals": pd.Series(pd.interval_range(0, 60)),
}
WAYS_OUT = {"text", "text of Arrow", "text in a category", "text with two offsets", "day first", "points"} | {
    *("day first with hours", "digits", "20190301", "20190301.0", "seconds", "milliseconds", "nanoseconds")
}


def leaky(frame) -> pd.DataFrame:
    return pd.DataFrame({"lag": frame["y"].shift(1), "today": frame["y"]})


def widths(thing) -> list[float]:
    ax = SPLIT.plot(thing, matplotlib.figure.Figure().subplots())
    return [patch.get_width() for patch in ax.patches]


def calls(ds, y=Y, **more) -> dict:
    """Every public function on these days: name → what makes its verdict."""
    ds = pd.Series(ds)
    frame = pd.DataFrame({"ds": ds, "y": y, "k": np.arange(60) % 3, **more})
    forecasts = frame.assign(unique_id="a", cutoff=ds, h=1, yhat=Y + np.sin(np.arange(60)))
    plain = pd.DataFrame({"ds": PLAIN, "y": Y})
    options = {"lags": [1, 7], "calendar": "US", "known": ["k"], **quiet}
    return {
        "backtest": lambda: backtest(frame, SeasonalNaive(7), SPLIT, **quiet),
        "backtest with features": lambda: backtest(
            frame, Ridge(), SPLIT, features=lambda f: f[["k"]].shift(1), **options
        ),
        "lag_features": lambda: lag_features(frame, [7]),
        "lag_features of a Series": lambda: lag_features(frame.set_index("ds")["y"], [7]).reset_index(
            drop=True
        ),
        "calendar_features": lambda: calendar_features(ds, names=True),
        "calendar_features of an index": lambda: calendar_features(pd.Index(ds)),
        "find_leaks": lambda: find_leaks(leaky, frame),
        "find_leaks at cutoffs": lambda: find_leaks(leaky, plain, cutoffs=ds[20:22]),
        "score": lambda: score(forecasts),
        "score with train": lambda: score(backtest(plain, Drift(), SPLIT, **quiet), train=frame),
        "compare": lambda: compare(forecasts, forecasts.assign(ds=PLAIN, cutoff=PLAIN, yhat=Y)),
        "conformal": lambda: conformal(forecasts)["yhat_lower"],
        "SeasonalNaive": lambda: SeasonalNaive(7).fit(frame.head(50)).predict(frame.tail(10)),
        "Drift": lambda: Drift().fit(plain.head(50)).predict(frame.tail(10)),
        "plot": lambda: widths(frame),
    }


def assert_alike(found, expected):
    if isinstance(expected, pd.DataFrame):
        pd.testing.assert_frame_equal(found, expected, check_dtype=False)
    elif isinstance(expected, pd.Series):
        pd.testing.assert_series_equal(found, expected)
    else:
        assert found == expected


EXPECTED = {name: call() for name, call in calls(PLAIN).items()}


@pytest.mark.parametrize("make", TAKEN)
def test_dates_of_every_make_are_taken_as_plain_ones(make):
    for name, call in calls(TAKEN[make]).items():
        assert_alike(call(), EXPECTED[name])


@pytest.mark.parametrize("make", REFUSED)
def test_what_is_no_date_is_refused_in_one_line(make):
    refused = 0
    for name, call in calls(REFUSED[make]).items():
        try:
            assert_alike(call(), EXPECTED[name])  # a text of ISO 8601 is taken where it can't be mistaken
        except ForecastError as error:
            assert "\n" not in str(error)
            assert "pd.to_datetime(frame['ds'])" not in str(error)  # it guesses, and 20190301 is 1970
            refused += 1
    assert refused >= 8


@pytest.mark.parametrize("make", sorted(WAYS_OUT))
def test_the_code_that_makes_dates_makes_them(make):
    frame = pd.DataFrame({"ds": REFUSED[make], "y": Y})
    with pytest.raises(ForecastError, match="^ds is .*, not dates") as found:
        lag_features(frame, [1])
    (code,) = re.findall(r"pd\.to_datetime\(frame\['ds'\].*\)(?= makes| takes)", str(found.value))
    made = eval(code, {"frame": frame, "pd": pd})
    assert made.tolist() == PLAIN.tolist()


def test_a_date_that_can_be_read_in_two_ways_is_not_guessed():
    with pytest.raises(ForecastError, match=r"in two ways.*format='%d/%m/%Y'\) or .*format='%m/%d/%Y'\)$"):
        calendar_features(["01/02/2019", "02/01/2019"])
    assert calendar_features(["2019-01-02"])["month"].tolist() == [1]


def test_days_far_away():
    days = pd.date_range(pd.Timestamp("2990-12-01").as_unit("s"), periods=60)
    found = backtest(pd.DataFrame({"ds": days, "y": Y}), Ridge(), SPLIT, lags=[7], **quiet)
    assert found["ds"].tolist() == days[-14:].tolist()
    assert calendar_features(days, None)["month"].tolist() == days.month.tolist()
    with pytest.raises(
        ForecastError, match="holidays of US are known from .* to 2100, and ds goes from 2990 to"
    ):
        calendar_features(days)  # nobody knows, which is not "no holiday"
    merged = backtest(pd.DataFrame({"ds": days, "y": Y}), Drift(), SPLIT, **quiet)
    assert compare(found, merged.assign(ds=merged["ds"].dt.as_unit("us"))).better in ("a", "b", "neither")


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo"])
def test_a_holiday_is_one_on_the_wall_clock_of_its_zone(zone):
    days = pd.date_range("2020-07-03", periods=3)
    pd.testing.assert_frame_equal(calendar_features(days.tz_localize(zone)), calendar_features(days))


# ---------------------------------------------------------------- numbers and names
NUMBERS = {
    "decimal": [decimal.Decimal(str(round(value, 3))) for value in Y],
    "Arrow decimal": pd.Series(
        [decimal.Decimal(str(round(v, 3))) for v in Y], dtype=pd.ArrowDtype(pa.decimal128(9, 3))
    ),
    "Arrow double": pd.Series(Y).astype("double[pyarrow]"),
    "nullable": pd.Series(Y).astype("Float64"),
    "sparse": pd.Series(Y).astype(pd.SparseDtype(float)),
    "sparse, mostly 0": pd.Series(Y).astype(pd.SparseDtype(float, 0.0)),
    "objects": pd.Series(Y).astype(object),
}
NO_NUMBERS = {
    "text": pd.Series(Y).astype(str),
    "text of Arrow": pd.Series(Y).astype(str).astype("string[pyarrow]"),
    "category": pd.Series(Y).astype("category"),
    "complex": Y + 0j,
    "time": pd.to_timedelta(Y, unit="s"),
    "words": ["1"] * 59 + ["many"],
    "lists": [[1]] * 60,
    "dates": PLAIN,
    "intervals": pd.interval_range(0, 60),
    "too large": pd.Series([10**400] * 60, dtype=object),
    "1e200": Y * 1e200,
    "infinite": np.r_[Y[:-1], np.inf],
}


@pytest.mark.parametrize("make", NUMBERS)
def test_numbers_of_every_make_are_floats(make):
    for name, call in calls(PLAIN, pd.Series(NUMBERS[make])).items():
        assert_alike(call(), EXPECTED[name])


@pytest.mark.parametrize("make", NO_NUMBERS)
def test_what_is_no_number_is_refused_and_the_way_out_works(make):
    frame = pd.DataFrame({"ds": PLAIN, "y": pd.Series(NO_NUMBERS[make])})
    with pytest.raises(ForecastError) as found:
        backtest(frame, SeasonalNaive(7), SPLIT, **quiet)
    assert "\n" not in str(found.value)
    for code in re.findall(r"frame\.assign\(.*\)", str(found.value)):
        mended = eval(code, {"frame": frame, "pd": pd, "np": np})
        assert_alike(backtest(mended, SeasonalNaive(7), SPLIT, **quiet), EXPECTED["backtest"])


def test_large_numbers_are_numbers():
    found = backtest(pd.DataFrame({"ds": PLAIN, "y": Y * 1e30}), SeasonalNaive(7), SPLIT, **quiet)
    assert np.isfinite(score(found).to_numpy(dtype=float)).all()


def two(names) -> pd.DataFrame:
    parts = [pd.DataFrame({"unique_id": [name] * 60, "ds": PLAIN, "y": Y}) for name in names]
    return pd.concat(parts, ignore_index=True)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (two([1, "a"]), "unique_id mixes int and str"),
        (two([None, "a"]), "a row belongs to no series"),
        (pd.DataFrame({"unique_id": [["a"]] * 60, "ds": PLAIN, "y": Y}), r"unique_id holds \['a'\], a list"),
        (
            two("a").iloc[::-1].drop(columns="unique_id"),
            r"comes after a later day; frame.sort_values\('ds'\)$",
        ),
        (two("ab").iloc[::-1], r"comes after a later day; frame.sort_values\(\['unique_id', 'ds'\]\)"),
        (pd.concat([two("a"), two("a")["y"]], axis=1), "column 'y' stands twice"),
        (two("a").set_index("ds"), r"the frame lacks ds: .*frame.reset_index\(\)"),
    ],
)
def test_ways_out_of_frames_that_are_out_of_order(frame, message):
    with pytest.raises(ForecastError, match=message) as found:
        backtest(frame, SeasonalNaive(7), SPLIT, **quiet)
    for code in re.findall(r"frame\.(?:assign|sort_values|loc|reset_index)[(\[].*[)\]]", str(found.value)):
        code = code.partition(" makes")[0].partition(" (and")[0]
        mended = eval(code, {"frame": frame})
        assert len(backtest(mended, SeasonalNaive(7), SPLIT, **quiet)) in (14, 28)


def test_names_are_left_as_they_are():
    frame = pd.concat([two(["007"]), two(["7"]), two(["NA"]), two(["1.10"])])
    found = backtest(frame, SeasonalNaive(7), SPLIT, **quiet)
    assert sorted(found["unique_id"].unique()) == ["007", "1.10", "7", "NA"]
    category = two("ab").astype({"unique_id": pd.CategoricalDtype(["b", "a", "c"])})
    assert lag_features(category, [1])["lag_1"].tolist()[1:60] == Y[:-1].tolist()


# ---------------------------------------------------------------- one bad series
def test_one_bad_series_is_named_first_and_can_be_left_out():
    parts = {
        "good": pd.DataFrame({"ds": PLAIN, "y": Y}),
        "constant": pd.DataFrame({"ds": PLAIN, "y": 1.0}),
        "gap": pd.DataFrame({"ds": PLAIN, "y": Y}).drop(index=9),
        "NaN": pd.DataFrame({"ds": PLAIN, "y": np.where(PLAIN.index == 9, np.nan, Y)}),
        "ended": pd.DataFrame({"ds": PLAIN, "y": Y}).head(20),
        "irregular": pd.DataFrame({"ds": PLAIN + pd.to_timedelta(np.arange(60) ** 2, unit="min"), "y": Y}),
        "twice": pd.DataFrame({"ds": PLAIN, "y": Y}).iloc[[*range(60), 59]],
    }
    frame = pd.concat([part.assign(unique_id=name) for name, part in parts.items()])

    def model():
        raise AssertionError("something was computed")

    with pytest.raises(ForecastError, match=r"^series twice, 2019-04-29: stands twice"):
        backtest(frame, model, SPLIT, **quiet)
    with pytest.raises(
        ForecastError, match=r"^series ended: its 20 days up to 2019-03-20 .*bad_series='drop'"
    ):
        backtest(frame[frame["unique_id"].isin(["good", "ended"])], model, SPLIT, **quiet)
    for one, options in ((SeasonalNaive(7), {}), (Ridge(), {"lags": [7]})):
        found = backtest(frame, one, SPLIT, bad_series="drop", **options, **quiet)
        assert set(found["unique_id"]) == {"good", "constant"}
        assert set(found.attrs["left_out"]) == set(parts) - {"good", "constant"}
        assert all(f"series {name}" in why for name, why in found.attrs["left_out"].items())
    scores = score(found, train=frame)  # what was left out of the backtest disturbs no score
    assert np.isfinite(scores["mase"].item())
    with pytest.raises(ForecastError, match='bad_series=\'skip\': it is "raise" or "drop"'):
        backtest(frame, model, SPLIT, bad_series="skip")


# ---------------------------------------------------------------- nothing to divide by
def test_mase_of_a_panel_with_a_constant_series_is_that_of_the_others():
    steps = np.r_[np.zeros(53), np.ones(7)]
    frame = pd.concat([two(["a"]), pd.DataFrame({"unique_id": "flat", "ds": PLAIN, "y": steps})])
    found = backtest(frame, SeasonalNaive(7), WalkForwardSplit(7, 1), **quiet)
    whole, alone = score(found, train=frame), score(found[found["unique_id"] == "a"], train=frame)
    assert whole["mase"].item() == alone["mase"].item() > 0
    assert whole["left_out"].item() == "mase: flat (constant or shorter than a season up to 2019-04-22)"
    assert "left_out" not in alone
    each = score(found, "unique_id", train=frame).set_index("unique_id")
    assert each["left_out"].tolist() == ["", whole["left_out"].item()]
    with pytest.raises(
        ForecastError, match="train gives no scale: up to 2019-04-22 every series is constant"
    ):
        score(found[found["unique_id"] == "flat"], train=frame)


def test_what_cannot_be_divided_is_said():
    found = backtest(
        pd.DataFrame({"ds": PLAIN, "y": np.r_[Y[:53], np.zeros(7)]}), Drift(), WalkForwardSplit(7, 1), **quiet
    )
    scores = score(found)
    assert scores["left_out"].item() == "wape: every y is 0"
    assert score(found.assign(yhat=0.0))["wape"].item() == 0
    bare = score(conformal(found))
    assert "no row has an interval" in bare["left_out"].item()
    for wrong in (
        found.head(0),
        found.assign(yhat=np.nan),
        found.assign(y=np.inf),
        found.drop(columns="yhat"),
    ):
        with pytest.raises(ForecastError):
            score(wrong)
    with pytest.raises(ForecastError, match="the forecasts have no column 'kind'"):
        score(found, "kind")


# ---------------------------------------------------------------- only our errors escape
COLUMNS = st.sampled_from(
    [
        *TAKEN.values(),
        *REFUSED.values(),
        *map(pd.Series, NUMBERS.values()),
        *map(pd.Series, NO_NUMBERS.values()),
    ]
)
FILTERS = [HealthCheck.too_slow, HealthCheck.data_too_large]


@settings(max_examples=12, deadline=None, suppress_health_check=FILTERS)
@given(ds=COLUMNS, y=COLUMNS, k=COLUMNS, ids=st.none() | COLUMNS, twice=st.booleans())
def test_no_other_error_escapes(ds, y, k, ids, twice):
    made = calls(ds if twice else PLAIN, y, k=k, **({} if ids is None else {"unique_id": ids}))
    for call in made.values():
        with suppress(ForecastError):
            call()


ODD = st.sampled_from(
    [None, 0, -1, 2.5, True, "x", b"x", [], [None], {}, object(), np.nan, np.inf, 10**6, ("a", 1)]
)


@settings(max_examples=15, deadline=None)
@given(odd=ODD)
def test_odd_arguments(odd):
    frame = pd.DataFrame({"ds": PLAIN, "y": Y, "k": 1.0})
    found = backtest(frame, SeasonalNaive(7), SPLIT, **quiet)
    tries = [
        lambda name=name: backtest(frame, Ridge(), SPLIT, **{"lags": [7], **quiet, name: odd})
        for name in (
            *(
                "strategy",
                "lags",
                "rolling",
                "calendar",
                "known",
                "past",
                "features",
                "refit",
                "intervals",
                "freq",
            ),
            "bad_series",
        )
    ]
    tries += [
        lambda: backtest(odd, Drift(), SPLIT, **quiet),
        lambda: backtest(frame, Drift(), odd, **quiet),
        lambda: lag_features(odd),
        lambda: lag_features(frame, odd),
        lambda: lag_features(frame, [7], odd),
        lambda: lag_features(frame, [7], None, odd),
        lambda: calendar_features(odd),
        lambda: calendar_features(PLAIN, odd),
        lambda: find_leaks(odd, frame),
        lambda: find_leaks(leaky, frame, horizon=odd),
        lambda: find_leaks(leaky, frame, known=odd),
        lambda: find_leaks(leaky, frame, cutoffs=odd),
        lambda: score(odd),
        lambda: score(found, season=odd, train=frame),
        lambda: score(found, level=odd),
        lambda: score(found, train=odd),
        lambda: conformal(found, odd),
        lambda: conformal(found, window=odd),
        lambda: compare(found, odd),
        lambda: compare(found, found, block=odd),
        lambda: compare(found, found, n=odd if odd != 10**6 else 0),
        lambda: compare(found, found, seed=odd),
        lambda: SeasonalNaive(odd).fit(frame),
        lambda: SeasonalNaive(7, freq=odd).fit(frame),
        lambda: SeasonalNaive(7).fit(odd),
        lambda: SeasonalNaive(7).fit(frame).predict(odd),
        lambda: WalkForwardSplit(odd, 1),
        lambda: list(SPLIT.split(odd)),
    ]
    for one in tries:
        with suppress(ForecastError):
            one()


def test_a_long_integer_and_a_regressor_beyond_all_numbers():
    """Two that only chance had found: 10**400 in a column of objects, and 1e200 in one known in advance."""
    frame = pd.DataFrame(
        {"ds": PLAIN, "y": Y, "k": pd.Series([10**400 + i for i in range(len(Y))], dtype=object)}
    )
    assert find_leaks(lambda f: f[["y"]].shift(1).rename(columns={"y": "lag"}), frame) == {}
    high = frame.assign(k=1e200 * np.where(np.arange(len(Y)) % 2, 1.0, -1.0))
    with pytest.raises(
        ForecastError, match=r"feature k goes up to 1e\+200, beyond 1e\+100: scale it, or leave"
    ):
        backtest(
            high, Ridge(), WalkForwardSplit(7, 1), known=["k"], features=lambda f: f[["k"]], progress=False
        )
