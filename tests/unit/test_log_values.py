"""What the log takes it takes for what it is, by type and shape; what it refuses it names, with a way out."""

import datetime as dt
import enum
import re
import uuid
from collections import OrderedDict, UserDict, deque, namedtuple
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from course.monitor import Monitor
from walkforward.monitoring import MonitoringError, PredictionLog, drift_metric, log_drift

TWO = pd.DataFrame({"km": [1.0, 2.0]}, index=[7, 5])
ONE = TWO[:1]


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    with_file = PredictionLog(tmp_path_factory.mktemp("log") / "log.db")
    sa.event.listen(with_file._sql, "connect", lambda raw, _: raw.execute("PRAGMA synchronous=OFF"))
    with_file.close()
    yield with_file
    with_file.close()


def recorded(log, *arguments, **named):
    """What is stored, a row a prediction, the features among the columns."""
    ids = log.record(*arguments, **named)
    ids = ids if isinstance(ids, list) else [ids]
    with log._begin(write=False) as sql:
        stored = log._stored(sql, ids)
    rows = [{**stored[one], **stored[one]["features"]} for one in ids]
    return pd.DataFrame(rows, index=ids, dtype=object)


# Features


Row = namedtuple("Row", ["km"])


@pytest.mark.parametrize(
    "features",
    [
        {"km": 2.5},
        OrderedDict(km=2.5),
        UserDict(km=2.5),
        MappingProxyType({"km": 2.5}),
        pd.Series({"km": 2.5}),
        pd.Series({"km": 2.5}, name=7),
        pd.Series([2.5], index=pd.Index(["km"], dtype="category")),
        [("km", 2.5)],
        (["km", 2.5],),
        {"km": Decimal("2.5")},
        {"km": np.float32(2.5)},
        {"km": np.longdouble(2.5)},
        {"km": np.array(2.5)},
        {np.str_("km"): 2.5},
        Row(2.5)._asdict(),
    ],
)
def test_one_row_of_every_kind(log, features):
    assert isinstance(log.record(features, 5.0), str)
    assert recorded(log, features, 5.0)["km"].tolist() == [2.5]


@pytest.mark.parametrize(
    "features",
    [
        TWO,
        TWO.convert_dtypes(),
        TWO.convert_dtypes(dtype_backend="pyarrow"),
        TWO.astype("category"),
        TWO.astype("Sparse[float]"),
        [{"km": 1.0}, {"km": 2.0}],
        [{"km": 1.0}, UserDict(km=2.0)],
    ],
)
def test_many_rows_of_every_kind(log, features):
    assert recorded(log, features, [3.0, 4.0])[["km", "yhat"]].to_numpy().tolist() == [[1, 3], [2, 4]]


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (np.array(["2019-01-02", "NaT"], dtype="datetime64[ns]"), ["2019-01-02T00:00:00", None]),
        (np.array(["2019-01-02"], dtype="datetime64[D]"), ["2019-01-02T00:00:00"]),
        (np.array([2.5], dtype=np.longdouble), [2.5]),
        (np.array([[1, 2]]), [[1, 2]]),
        (np.array([None, "a", Decimal("2.5")], dtype=object), [None, "a", 2.5]),
        (np.ma.array([1, 2], mask=[True, False]), [None, 2]),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Decimal("NaN"), None),
        ({"a": [np.int8(1)]}, {"a": [1]}),
        ((1, 2), [1, 2]),
        (pd.Timestamp("2019-01-02", tz="UTC"), "2019-01-02T00:00:00+00:00"),
    ],
)
def test_values_of_features_come_back_as_what_they_are(log, value, read):
    assert recorded(log, {"km": 1.0, "value": value}, 5.0)["value"].tolist() == [read]


def test_names_of_features_are_those_of_json(log):
    features = {"one": 1.0, 1: 2.0, 2.5: 3.0, np.int64(4): 4.0, None: 5.0, False: 6.0}
    row = recorded(log, features, 5.0)
    assert row.iloc[0][["one", "1", "2.5", "4", "null", "false"]].tolist() == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    ("features", "says"),
    [
        (None, "features: None, a 'NoneType', is no row: give a mapping or a Series for one row"),
        ("km", "'km', a 'str', is no row"),
        (b"km", "is no row"),
        (2.5, "is no row"),
        ([], "is no row"),
        ([2.5], "is no row"),
        ([{"km": 1.0}, 2.5], "is no row"),
        (Row(2.5), "is no row"),
        ({"km"}, "is no row"),
        (np.array([[1.0]]), "is no row"),
        (np.array([(1.0,)], dtype=[("km", float)]), "is no row"),
        (pa.table({"km": [1.0]}), "is no row"),
        ([("km", 1.0), ("km", 2.0)], "a name stands twice"),
        (pd.Series([1.0, 2.0], index=["km", "km"]), "a Series needs features that differ in name: 'km'"),
        (pd.DataFrame([[1, 2]], columns=["km", "km"]), "a frame needs columns that differ in name: 'km'"),
        ({1: 1.0, "1": 2.0}, "two features have the same name once they are texts"),
        ({("a", "b"): 1.0}, r"the name \('a', 'b'\) is a tuple: name features by texts"),
        (pd.DataFrame({("a", "b"): [1.0]}), "is a tuple: name features by texts"),
        ({pd.Timestamp("2019-01-01"): 1.0}, "is a Timestamp: name features by texts"),
        ({"request_id": 1.0}, "'request_id' is a column of the log, rename the feature"),
        ({"km": 1j}, "'1j' is a complex: log numbers, texts, dates or lists"),
        ({"km": np.timedelta64(1, "s")}, "is a timedelta64"),
        ({"km": np.array([1], dtype="timedelta64[s]")}, "is a timedelta64"),
        ({"km": pd.Series([1.0])}, "is a Series"),
        ({"km": pd.Timedelta("1s")}, "is a Timedelta"),
        ({"km": pd.Interval(0, 1)}, "is a Interval"),
        ({"km": b"1"}, "is a bytes"),
        ({"km": object()}, "is a object"),
        ({"km": {("a",): 1}}, "features: keys must be str"),
    ],
)
def test_what_is_no_row_of_features_is_named(log, features, says):
    with pytest.raises(MonitoringError, match=says) as caught:
        log.record(features, 5.0)
    assert "\n" not in str(caught.value)


def test_features_without_an_end_are_named(log):
    circle, deep = [], []
    circle.append(circle)
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(MonitoringError, match="features: a list holds itself: log a copy without it"):
        log.record({"km": circle}, 5.0)
    with pytest.raises(MonitoringError, match="features: lists lie too deep within lists: log numbers"):
        log.record({"km": deep}, 5.0)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (10**400, r"features: 1000000000… \(401 digits\) is beyond the range of a float: log it as a text"),
        ({"ids": [-(10**310)]}, "is beyond the range of a float"),
        ("half \ud83d", "'.ud83d' is half a character: log text.encode"),
    ],
)
def test_what_no_frame_could_hold_is_refused_when_it_is_logged(log, value, says):
    with pytest.raises(MonitoringError, match=says):
        log.record({"km": value}, 5.0)


def test_large_whole_numbers_and_whole_characters_come_back(log):
    mended = "\ud83d".encode(errors="replace").decode()
    log.record({"id": 10**30, "text": "😀 é " + "9" * 400, "way": mended}, 5.0, model_version="whole")
    row = log.read(model_version="whole").iloc[0]
    assert (row["id"], row["text"], row["way"]) == (10**30, "😀 é " + "9" * 400, "?")


# Predictions


@pytest.mark.parametrize(
    "prediction",
    [
        [3.0, 4],
        (3.0, 4.0),
        range(3, 5),
        deque([3.0, 4.0]),
        [[3.0], [4.0]],
        [np.array([3.0]), np.array([4.0])],
        [np.array(3.0), np.array(4.0)],
        np.array([3.0, 4.0]),
        np.array([3, 4], dtype="int8"),
        np.array([[3.0], [4.0]]),
        np.array([3.0, 4.0], dtype=object),
        np.ma.array([3.0, 4.0]),
        pd.Series([3.0, 4.0], index=[7, 5]),
        pd.Series([3, 4], index=[7, 5], dtype="Int64"),
        pd.Series([3, 4], index=[7, 5], dtype="int64[pyarrow]"),
        pd.Series([3, 4], index=[7, 5], dtype="category"),
        pd.Series([3.0, 4.0], index=[7, 5], dtype="Sparse[float]"),
        pd.DataFrame({"yhat": [3.0, 4.0]}, index=[7, 5]),
        pd.Index([3, 4]),
        pd.array([3, 4]),
        pa.array([3.0, 4.0]),
        pa.chunked_array([[3.0], [4.0]]),
        [Decimal("3"), Fraction(4)],
    ],
)
def test_a_prediction_a_row_of_every_kind(log, prediction):
    assert recorded(log, TWO, prediction)["yhat"].tolist() == [3, 4]


@pytest.mark.parametrize(
    "prediction",
    [5.0, 5, np.float32(5), np.array(5.0), np.array([5.0]), np.array([[5.0]]), [5.0], [[5.0]], (5,),
     pd.Series([5.0]), pd.DataFrame([[5.0]]), Decimal(5), pd.array([5])],
    ids=repr,
)  # fmt: skip
@pytest.mark.parametrize(
    "features", [{"km": 2.5}, pd.DataFrame({"km": [2.5]}, index=[9])], ids=["map", "frame"]
)
def test_one_prediction_of_every_kind(log, features, prediction):
    assert recorded(log, features, prediction)["yhat"].tolist() == [5]


@pytest.mark.parametrize(
    "missing", [None, np.nan, pd.NA, pd.NaT, Decimal("NaN"), np.ma.masked, np.array(np.nan)]
)
def test_a_missing_prediction_is_missing(log, missing):
    assert recorded(log, {"km": 1.0}, missing)["yhat"].isna().all()
    assert recorded(log, TWO, [missing, 4.0])["yhat"].isna().tolist() == [True, False]


def test_truth_values_and_infinity_are_numbers(log):
    assert recorded(log, TWO, [True, np.bool_(False)])["yhat"].tolist() == [1, 0]
    assert recorded(log, TWO, [np.inf, -np.inf])["yhat"].tolist() == [np.inf, -np.inf]


@pytest.mark.parametrize(
    ("prediction", "says", "way_out"),
    [
        (np.ones((2, 2)), r"yhat has the shape \(2, 2\), and one value", "prediction[:, 0]"),
        (np.ones((2, 0)), r"yhat has the shape \(2, 0\)", None),
        (np.ones((2, 2, 2)), r"yhat has the shape \(2, 2, 2\)", "prediction[:, 0, 0]"),
        (pd.DataFrame(np.ones((2, 2))), r"yhat has the shape \(2, 2\)", "prediction.iloc[:, 0]"),
        (pd.Series([1.0, 1.0]), "yhat has another index than the features", "prediction.to_numpy()"),
        (pd.Series([1.0, 1.0], index=[5, 7]), "yhat has another index", "prediction.to_numpy()"),
        (pd.DataFrame({"yhat": [1.0, 1.0]}), "yhat has another index", "prediction.to_numpy()"),
        (pd.DataFrame({"yhat": [1.0, 1.0]}, index=[1, 2]), "yhat has another index", "prediction.to_numpy()"),
    ],
)
def test_what_is_no_column_is_named_and_its_way_out_works(log, prediction, says, way_out):
    with pytest.raises(MonitoringError, match=says) as caught:
        log.record(TWO, prediction)
    assert not re.search("0-dimensional|truth value|shorten it", str(caught.value))
    if way_out:
        assert way_out in str(caught.value)
        log.record(TWO.reset_index(drop=True), eval(way_out))


@pytest.mark.parametrize(
    ("prediction", "says"),
    [
        ([[1.0, 2.0], [3.0]], r"yhat: \[1.0, 2.0\] is a list: give a number"),
        ([[1.0, 2.0], [3.0, 4.0]], "is a list: give a number"),
        ([1.0], "yhat has 1 values for 2 rows"),
        ([1.0, 2.0, 3.0], "yhat has 3 values for 2 rows"),
        (1.0, "one prediction a row .2 rows, and yhat is 1.0."),
        (np.array(1.0), "one prediction a row"),
        (None, "one prediction a row .2 rows, and yhat is None."),
        ({7: 1.0, 5: 2.0}, "yhat is a dict: give a list, an array or a Series"),
        ({"predictions": [1.0, 2.0]}, "yhat is a dict"),
        ({1.0, 2.0}, "yhat is a set"),
        (iter([1.0, 2.0]), "yhat is a list_iterator"),
        ({"a": 1.0, "b": 2.0}.values(), "yhat is a dict_values"),
        (["1.0", "2.0"], "yhat: '1.0' is a text: give a number"),
        ([b"1.0", 2.0], "is a text"),
        (np.array(["1", "2"]), "is a text"),
        ([1j, 2.0], "yhat: 1j is a complex: give a number"),
        (np.array([1j, 2]), "complex"),
        (np.array(["2019", "2020"], dtype="datetime64[Y]"), "is a datetime64: give a number"),
        (np.array([1, 2], dtype="timedelta64[s]"), "is a timedelta64: give a number"),
        (pd.to_datetime(["2019-01-01", "2020-01-01"]), "is a Timestamp: give a number"),
        (pd.period_range("2019", periods=2), "is a Period: give a number"),
        (pd.Series(["a", "b"], index=[7, 5], dtype="category"), "is a text: give a number"),
        ([10**400, 1], "is beyond the range of a float"),
        ([10**5000, 1], "yhat: this int is beyond the range of a float"),
        ([Decimal("sNaN"), 1], "is a Decimal: give a number"),
        ([object(), 1], "is a object: give a number"),
        (np.array([(1.0,), (2.0,)], dtype=[("yhat", float)]), "is a void: give a number"),
    ],
)
def test_what_is_no_prediction_is_named(log, prediction, says):
    with pytest.raises(MonitoringError, match=says) as caught:
        log.record(TWO, prediction)
    assert "\n" not in str(caught.value)


def test_many_values_for_a_mapping_are_told_how(log):
    with pytest.raises(MonitoringError, match="2 values for 1 rows: .*many rows of features are a DataFrame"):
        log.record({"km": np.array([1.0, 2.0])}, np.array([1.0, 2.0]))


# Ids, versions, times


Colour = enum.IntEnum("Colour", "RED")


@pytest.mark.parametrize(
    ("request_id", "kept"),
    [
        (uuid.UUID(int=5), "00000000-0000-0000-0000-000000000005"),
        (np.str_("np-text"), "np-text"),
        (np.array("0-d text"), "0-d text"),
        (101, "101"),
        (np.int64(102), "102"),
        (np.uint8(103), "103"),
        (["in a list"], "in a list"),
        (pd.Series(["in a series"]), "in a series"),
        (pd.Index(["in an index"]), "in an index"),
        ("ä · 時", "ä · 時"),
    ],
)
def test_an_id_of_every_kind(log, request_id, kept):
    assert log.record({"km": 1.0}, 1.0, request_id=request_id) == kept
    assert log.add_labels({kept: 2.0}) == 1


@pytest.mark.parametrize(
    "ids",
    [[201, "202"], np.array([203, 204]), np.array(["205", "206"]), pd.Index([207, 208]), range(209, 211),
     pd.Series([211, 212], index=[7, 5]), pd.array(["213", "214"]), [uuid.uuid4(), uuid.uuid4()],
     pd.DataFrame({"id": ["215", "216"]}, index=[7, 5]), pa.array(["217", "218"])],
    ids=lambda ids: type(ids).__name__,
)  # fmt: skip
def test_ids_of_every_kind(log, ids):
    assert log.record(TWO, [1, 2], request_id=ids) == [str(one) for one in np.ravel(ids).tolist()]


@pytest.mark.parametrize(
    ("request_id", "says", "way_out"),
    [
        (7.0, "7.0 is a float: give a text or a whole number, such as int", "int(value)"),
        (np.float64(8), "is a float64: give a text or a whole number", "int(value)"),
        (7.5, "7.5 is a float: give a text or a whole number$", None),
        (b"abc", "b'abc' is a bytes: give a text", "value.decode()"),
        (np.bytes_(b"abcd"), "is a bytes_: give a text", "value.decode()"),
        (True, "True is a bool", None),
        (np.bool_(True), "is a bool", None),
        ([None], "None is a NoneType", None),
        (np.nan, "nan is a float: give a text or a whole number$", None),
        (pd.NA, "<NA> is a NAType", None),
        (("a", "b"), "request_id has 2 values for 1 rows", None),
        (dt.date(2019, 1, 1), "is a date", None),
        (np.timedelta64(1, "s"), "is a timedelta64", None),
        ("a\u2028b", "has characters that can't be printed: leave them out", None),
        ("\ud800", "has characters that can't be printed", None),
        ("x" * 201, "at most 200 printable characters: shorten it", "value[:200]"),
        ("", "a request id is empty or stands twice in one call .''.", None),
    ],
)
def test_what_is_no_id_is_named_and_its_way_out_works(log, request_id, says, way_out):
    with pytest.raises(MonitoringError, match=says):
        log.record({"km": 1.0}, 1.0, request_id=request_id)
    if way_out:
        assert log.record({"km": 1.0}, 1.0, request_id=eval(way_out, {"value": request_id}))


def test_a_number_and_its_text_are_one_id(log):
    with pytest.raises(MonitoringError, match="stands twice in one call .'7'."):
        log.record(TWO, [1, 2], request_id=[7, "7"])


def test_versions_are_texts_and_whole_numbers(log):
    keys = [log.record({"km": 1.0}, 1.0, model_version=one) for one in ("301", 301, np.int64(301))]
    assert set(log.read(model_version=301)["request_id"]) == set(keys)
    assert set(log.read(model_version=np.str_("301"))["request_id"]) == set(keys)
    for wrong in (1.1, None, b"1", ["1", "2"], {"1"}):
        with pytest.raises(MonitoringError, match="model_version"):
            log.record({"km": 1.0}, 1.0, model_version=wrong)
    for wrong in (1.1, b"1", ["1", "2"], {"1"}):
        with pytest.raises(MonitoringError, match="model_version"):
            log.read(model_version=wrong)


NOON = pd.Timestamp("2020-04-01T12:00Z")


@pytest.mark.parametrize(
    "at",
    [
        "2020-04-01T12:00Z",
        "2020-04-01 14:00+02:00",
        np.str_("2020-04-01T12:00"),
        "20200401T1200",
        dt.datetime(2020, 4, 1, 12),
        dt.datetime(2020, 4, 1, 14, tzinfo=ZoneInfo("Europe/Berlin")),
        dt.datetime(2020, 4, 1, 7, tzinfo=dt.timezone(dt.timedelta(hours=-5))),
        NOON,
        NOON.tz_convert("Asia/Tokyo"),
        *(np.datetime64("2020-04-01T12", unit) for unit in ("h", "m", "s", "ms", "us", "ns")),
        np.array("2020-04-01T12:00", dtype="datetime64[ns]"),
        [NOON],
        pd.DatetimeIndex([NOON]),
        pd.Series([NOON]),
        pd.Series([NOON]).astype(pd.ArrowDtype(pa.timestamp("us", "UTC"))),
        np.array(["2020-04-01T12:00"], dtype="datetime64[ms]"),
        ["2020-04-01T12:00Z"],
    ],
    ids=lambda at: f"{type(at).__name__} {at}"[:40].partition(" at 0x")[0],  # the same in every process
)
def test_a_time_of_every_make(log, at):
    rows, hour = recorded(log, {"km": 1.0}, 1.0, at=at), pd.Timedelta("1h")
    assert rows["at"].tolist() == [NOON.tz_localize(None)]
    assert rows.index[0] in set(log.read(since=at, until=NOON + hour)["request_id"])
    assert rows.index[0] not in set(log.read(since=NOON - hour, until=at)["request_id"])


def test_a_date_and_an_early_and_a_late_time(log):
    for at in (dt.date(2020, 4, 1), np.datetime64("2020-04-01"), "2020-04-01", np.datetime64("2020-04", "M")):
        assert recorded(log, {"km": 1.0}, 1.0, at=at)["at"].tolist() == [dt.datetime(2020, 4, 1)]
    for year in (1600, 2500, 9999):
        key = log.record({"km": 1.0}, 1.0, at=dt.datetime(year, 1, 2))
        rows = log.read(since=dt.datetime(year, 1, 1), until=dt.datetime(year, 2, 1))
        assert rows["at"].dt.year.tolist() == [year] and rows["request_id"].tolist() == [key]


@pytest.mark.parametrize(
    "at",
    [
        *(0, 1_585_742_400, 1e9, True, np.int64(5), np.float32(5), Decimal(5), np.timedelta64(5, "s")),
        *("soon", "now", "today", "", "NaT", "nan", "02/01/2019", "1/2/2019", "April 2020", "1585742400"),
        *("12", "2020-13-01", "2020-02-30", "2020-04-01 12:00 Europe/Berlin", "2020-W14-3"),
        *(
            [None],
            pd.NaT,
            np.datetime64("NaT"),
            [NOON, NOON],
            pd.Period("2020-04"),
            dt.time(12),
            b"2020-04-01",
        ),
        *(pd.Timedelta("1h"), object(), {"at": NOON}, np.datetime64("20000-01-01"), pd.NA, [[NOON, NOON]]),
        *(dt.datetime(1, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=5))), np.array([5])),
    ],
    ids=lambda at: f"{type(at).__name__} {at}"[:40].partition(" at 0x")[0],  # the same in every process
)
def test_what_is_no_time_is_named(log, at):
    for call in (
        lambda: log.record({"km": 1.0}, 1.0, at=at),
        lambda: log.add_labels({"x": 1.0}, at=at),
        lambda: log.read(since=at),
        lambda: log.read(until=at),
    ):
        with pytest.raises(
            MonitoringError, match="is no time: give a datetime|give one a row|is a dict"
        ) as caught:
            call()
        assert "\n" not in str(caught.value)


def test_other_values_are_one_for_all_or_one_a_row(log):
    rows = recorded(
        log, TWO, [1, 2], at=[NOON, "2020-04-02"], seconds=[0.5, None], model_version=[401, "402"]
    )
    assert rows["at"].tolist() == [NOON.tz_localize(None), dt.datetime(2020, 4, 2)]
    assert rows["seconds"].tolist()[0] == 0.5
    assert rows["model_version"].tolist() == ["401", "402"]
    rows = recorded(log, TWO, [1, 2], at=pd.Series([NOON, NOON], index=[7, 5]), seconds=np.array(0.25))
    assert rows["seconds"].tolist() == [0.25, 0.25]
    with pytest.raises(MonitoringError, match="at has another index than the features"):
        log.record(TWO, [1, 2], at=pd.Series([NOON, NOON]))
    with pytest.raises(MonitoringError, match="None is no time"):
        log.record(TWO, [1, 2], at=[NOON, None])


# Labels


@pytest.fixture
def four(log):
    return log.record(pd.DataFrame({"km": range(4)}), range(4))


@pytest.mark.parametrize(
    "made",
    [
        lambda a, b: {a: 1.5, b: 2.5},
        lambda a, b: pd.Series({a: 1.5, b: 2.5}),
        lambda a, b: pd.Series({a: 1.5, b: 2.5}, dtype="Float64"),
        lambda a, b: [(a, 1.5), (b, 2.5)],
        lambda a, b: {"request_id": [a, b], "y": np.array([[1.5], [2.5]])},
        lambda a, b: ([a, 1.5], [b, 2.5]),
        lambda a, b: pd.DataFrame({"request_id": [a, b], "y": [1.5, 2.5], "other": 1}),
        lambda a, b: pd.DataFrame({"y": [1.5, 2.5]}, index=pd.Index([a, b], name="request_id")),
        lambda a, b: MappingProxyType({a: Decimal("1.5"), b: np.float32(2.5)}),
        lambda a, b: {a: np.array(1.5), b: Decimal("2.5")},
        lambda a, b: {a: [1.5], b: np.array([2.5])},
    ],
)
def test_labels_of_every_kind(log, four, made):
    assert log.add_labels(made(*four[1:3])) == 2
    assert log.read().set_index("request_id").loc[four, "y"].tolist()[1:3] == [1.5, 2.5]


@pytest.mark.parametrize(
    "made",
    [
        list,
        lambda pairs: pd.Series([y for _, y in pairs], index=[key for key, _ in pairs]),
        lambda pairs: pd.DataFrame(pairs, columns=["request_id", "y"]),
    ],
)
def test_labels_that_come_twice_are_named(log, four, made):
    pairs = [(four[0], 1.0), ("nobody", 5.0), (four[0], 2.0), (four[1], 3.0)]
    joined = log.add_labels(made(pairs))
    assert (joined, joined.unknown, joined.differing) == (2, ["nobody"], [four[0]])


def test_no_labels_of_every_kind(log):
    nothing = [{}, [], (), pd.Series(dtype=float), pd.DataFrame({"request_id": [], "y": []})]
    assert [log.add_labels(none) for none in nothing] == [0] * 5


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        (None, "labels: None is a NoneType: give {request_id: y}, a Series, or a frame"),
        (5.0, "labels: 5.0 is a float"),
        ("ab", "labels: 'ab' is a str"),
        (["ab", "cd"], "labels: .* is a list"),
        ([("a", 1.0, 2.0)], "is a list"),
        ({"a", "b"}, "is a set"),
        (np.array([["a", 1.0]]), "is a ndarray"),
        (iter([("a", 1.0)]), "is a list_iterator"),
        ({"x": [1.0, 2.0]}, r"y: \[1.0, 2.0\] is a list"),
        ({"x": {"y": 1.0}}, "y: .* is a dict"),
        ({"x": dt.datetime(2020, 1, 1)}, "is a datetime"),
        ({1.5: 1.0}, "request_id: 1.5 is a float"),
        ({("a", "b"): 1.0}, r"request_id: \('a', 'b'\) is a tuple"),
        (pd.Series([1.0], index=pd.MultiIndex.from_tuples([("a", "b")])), "is a tuple"),
        (pd.Series({"x": pd.NA}), "label 'x' is missing: leave it out"),
        (pd.DataFrame([["a", 1.0, 2.0]], columns=["request_id", "y", "y"]), r"y has the shape \(1, 2\)"),
        (pd.DataFrame({"a": [1.0]}), "no column request_id, y: name it so"),
    ],
)
def test_what_is_no_label_is_named(log, labels, says):
    with pytest.raises(MonitoringError, match=says) as caught:
        log.add_labels(labels)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("wrong", ["no", 1, [True], pd.NA])
def test_with_labels_is_a_truth_value(log, wrong):
    with pytest.raises(MonitoringError, match="with_labels is .*: give True, False or None"):
        log.read(with_labels=wrong)
    assert len(log.read(with_labels=np.bool_(True))) == len(log.read(with_labels=True))


# Whatever it is, nothing else is raised

ODD = [pd.NA, pd.NaT, np.ma.masked, object(), len, Ellipsis, TWO, np.datetime64("NaT"), np.array(1)]
ODD += [
    np.timedelta64(1),
    np.timedelta64(1, "s"),
    np.longdouble(1),
    np.array([[1]]),
    pa.array([1]),
    np.void(b"a"),
]
ATOMS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(max_size=5)
ATOMS |= st.complex_numbers() | st.decimals() | st.fractions() | st.uuids() | st.datetimes() | st.times()
ATOMS |= st.timedeltas() | st.integers(0, len(ODD) - 1).map(ODD.__getitem__)
KEYS = (
    st.text(max_size=3) | st.integers() | st.none() | st.booleans() | st.floats() | st.tuples(st.integers())
)


def containers(inner):
    held = st.lists(inner, max_size=3)
    made = held | held.map(tuple) | held.map(iter) | held.map(lambda some: pd.Series(some, dtype=object))
    made |= st.dictionaries(KEYS, inner, max_size=3) | st.lists(KEYS, max_size=2).map(pd.Index)
    made |= st.dictionaries(KEYS, inner, max_size=3).map(lambda some: pd.Series(some, dtype=object))
    return made | st.lists(st.tuples(KEYS, inner), max_size=3)


NESTED = st.recursive(ATOMS, containers, max_leaves=6)


@settings(max_examples=40, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_only_errors_of_the_log_escape(log, data):
    features = data.draw(st.just({"km": 1.0}) | st.just(TWO) | NESTED)
    named = data.draw(
        st.dictionaries(st.sampled_from(["request_id", "model_version", "seconds", "at"]), NESTED, max_size=2)
    )
    calls = [
        lambda: log.record(features, data.draw(NESTED), **named),
        lambda: log.add_labels(data.draw(NESTED), at=data.draw(NESTED)),
        lambda: log.read(since=data.draw(NESTED), until=data.draw(NESTED)),
        lambda: log.read(model_version=data.draw(NESTED), with_labels=data.draw(NESTED)),
        lambda: Monitor().observe(data.draw(NESTED), data.draw(NESTED), data.draw(ATOMS)),
        lambda: Monitor().set_drift(data.draw(NESTED)),
        lambda: drift_metric(data.draw(st.just("effect") | NESTED), data.draw(ATOMS)),
        lambda: log_drift(data.draw(NESTED), step=data.draw(NESTED)),
    ]
    for call in calls:
        try:
            call()
        except MonitoringError as error:
            assert "\n" not in str(error)
