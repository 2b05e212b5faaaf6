"""Every make of a column has the verdict of the dense one; whatever else comes, only a DriftError leaves."""

import datetime
import math
import warnings
from decimal import Decimal
from fractions import Fraction

import hypothesis.strategies as st
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings

from walkforward import drift

mpl.use("Agg")
UTC = datetime.UTC


def arrow(values, kind):
    return pd.Series(pd.arrays.ArrowExtensionArray(pa.array(values, kind)))


def as_objects(values):
    found = np.empty(len(values), object)
    found[:] = values
    return pd.Series(found, dtype=object)


def sparse(values, fill):
    return pd.Series(pd.arrays.SparseArray(values, fill_value=fill))


def each(convert):
    """A make that converts the values one by one, None stays."""
    return lambda values: as_objects([None if value is None else convert(value) for value in values])


def stamps(unit):
    return lambda values: pd.Series(np.array(values, "M8[us]").astype(f"M8[{unit}]"))


def zoned(values):
    return stamps("us")(values).dt.tz_localize("UTC").dt.tz_convert("America/New_York")


def arrow_category(values):
    levels = pd.Index(sorted({value for value in values if value}), dtype="string[pyarrow]")
    return pd.Series(pd.Categorical(values, categories=levels.astype(pd.ArrowDtype(pa.string()))))


# of each kind: the values of both sides, which drift, and its makes; the first one is the dense form
WHOLE = [[None, *(k % 7 for k in range(79))], [None, *(k % 5 for k in range(79))]]
DAYS = [
    [None, *(datetime.datetime(2020, 3, 1) + datetime.timedelta(hours=7 * k + late) for k in range(79))]
    for late in (0, 300)
]
EVER = [[datetime.datetime(9999, 12, 31)] * k + DAYS[0][k:] for k in (5, 40)]
HOURS = [[None if k is None else datetime.timedelta(hours=k) for k in side] for side in WHOLE]
TEXT = [[None if k is None else f"level {k}" for k in side] for side in WHOLE]
FLAGS = [[None if k is None else k > 2 for k in side] for side in WHOLE]
LISTS = [[None if k is None else [k, 1] for k in side] for side in WHOLE]
BYTES = [[None if k is None else bytes([k]) for k in side] for side in WHOLE]
NUMBERS = {
    "float64": lambda v: pd.Series(v, dtype="float64"),
    "float32": lambda v: pd.Series(v, dtype="float32"),
    "float16": lambda v: pd.Series(v, dtype="float16"),
    "longdouble": lambda v: pd.Series(np.array([np.nan if x is None else x for x in v], np.longdouble)),
    "Int64": lambda v: pd.Series(v, dtype="Int64"),
    "Int8": lambda v: pd.Series(v, dtype="Int8"),
    "Float32": lambda v: pd.Series(v, dtype="Float32"),
    "objects": as_objects,
    "Decimal": each(Decimal),
    "Fraction": each(Fraction),
    "float and Decimal": lambda v: as_objects([None, *map(Decimal, v[1:40]), *map(float, v[40:])]),
    "sparse": lambda v: sparse([np.nan if x is None else float(x) for x in v], 0.0),
    "int64[pyarrow]": lambda v: arrow(v, pa.int64()),
    "uint8[pyarrow]": lambda v: arrow(v, pa.uint8()),
    "double[pyarrow]": lambda v: arrow(v, pa.float64()),
    "halffloat[pyarrow]": lambda v: arrow([None if x is None else np.float16(x) for x in v], pa.float16()),
    "decimal128[pyarrow]": lambda v: arrow(each(Decimal)(v).tolist(), pa.decimal128(9, 3)),
}
CODES = {  # numbers that are labels
    "category": lambda v: pd.Series(pd.Categorical(v)),
    "ordered, unused": lambda v: pd.Series(pd.Categorical(v, categories=range(20), ordered=True)),
    "of floats": lambda v: pd.Series(pd.Categorical([np.nan if x is None else float(x) for x in v])),
    "dictionary[pyarrow]": lambda v: arrow(v, pa.dictionary(pa.int8(), pa.int64())),
}
DATES = {
    "datetime64[us]": stamps("us"),
    "datetime64[ms]": stamps("ms"),
    "datetime64[s]": stamps("s"),
    "zone": zoned,
    "objects": as_objects,
    "zones mixed": lambda v: as_objects(
        [*(x and x.replace(tzinfo=UTC) for x in v[:40]), *zoned(v[40:]).tolist()]
    ),
    "offset": each(
        lambda x: x.replace(tzinfo=UTC).astimezone(datetime.timezone(datetime.timedelta(hours=-5)))
    ),
    "numpy objects": each(lambda x: np.datetime64(x, "s")),
    "timestamp[us][pyarrow]": lambda v: arrow(v, pa.timestamp("us")),
    "timestamp[s, zone][pyarrow]": lambda v: arrow(v, pa.timestamp("s", "UTC")),
    "period": lambda v: pd.Series(pd.PeriodIndex(stamps("us")(v), freq="s")),
    "sparse": lambda v: sparse(np.array(v, "M8[us]"), np.datetime64("NaT")),
}
NANO = {
    "datetime64[ns]": stamps("ns"),
    "ns, zone": lambda v: zoned(v).astype("datetime64[ns, Europe/Paris]"),
    "timestamp[ns][pyarrow]": lambda v: arrow(v, pa.timestamp("ns")),
}
MIDNIGHTS = [[None if x is None else x.replace(hour=0) for x in side] for side in DAYS]
WHOLE_DAYS = {
    "datetime64[us]": stamps("us"),
    "date": each(lambda x: x.date()),
    "date32[pyarrow]": lambda v: arrow([None if x is None else x.date() for x in v], pa.date32()),
    "date64[pyarrow]": lambda v: arrow([None if x is None else x.date() for x in v], pa.date64()),
    "period of days": lambda v: pd.Series(pd.PeriodIndex(stamps("us")(v), freq="D")),
    "period objects": lambda v: as_objects(list(pd.PeriodIndex(stamps("us")(v), freq="D"))),
}
DATE_CODES = {
    "category": lambda v: pd.Series(pd.Categorical(stamps("us")(v))),
    "category of date": lambda v: pd.Series(pd.Categorical(each(lambda x: x.date())(v))),
    "category of periods": lambda v: pd.Series(pd.Categorical(pd.PeriodIndex(stamps("us")(v), freq="D"))),
}
DURATIONS = {
    "timedelta64[us]": lambda v: pd.Series(np.array(v, "m8[us]")),
    "timedelta64[s]": lambda v: pd.Series(np.array(v, "m8[us]").astype("m8[s]")),
    "timedelta64[ns]": lambda v: pd.Series(np.array(v, "m8[us]").astype("m8[ns]")),
    "objects": as_objects,
    "duration[ms][pyarrow]": lambda v: arrow(v, pa.duration("ms")),
}
TEXTS = {
    "str": lambda v: pd.Series(v, dtype="str"),
    "objects": as_objects,
    "string[python]": lambda v: pd.Series(v, dtype="string[python]"),
    "string[pyarrow]": lambda v: pd.Series(v, dtype="string[pyarrow]"),
    "large_string": lambda v: arrow(v, pa.large_string()),
    "category": lambda v: pd.Series(pd.Categorical(v)),
    "ordered, unused": lambda v: pd.Series(
        pd.Categorical(v, categories=[f"level {k}" for k in range(9)], ordered=True)
    ),
    "dictionary[pyarrow]": lambda v: arrow(v, pa.dictionary(pa.int8(), pa.string())),
    "sparse": lambda v: sparse(np.array(v, object), None),
}
BOOLEANS = {
    "objects": as_objects,
    "boolean": lambda v: pd.Series(v, dtype="boolean"),
    "bool[pyarrow]": lambda v: arrow(v, pa.bool_()),
    "numpy": each(np.bool_),
    "category": lambda v: pd.Series(pd.Categorical(v)),
}
NESTED = {
    "lists": as_objects,
    "tuples": each(tuple),
    "arrays": each(np.array),
    "list[pyarrow]": lambda v: arrow(v, pa.list_(pa.int64())),
    "large_list[pyarrow]": lambda v: arrow(v, pa.large_list(pa.int32())),
}
STRUCTS = {
    "dicts": each(lambda x: {"a": x[0]}),
    "other order": each(lambda x: {"b": None, "a": float(x[0])}),
    "struct[pyarrow]": lambda v: arrow(
        [None if x is None else {"a": x[0]} for x in v], pa.struct([("b", pa.string()), ("a", pa.int64())])
    ),
}
BINARY = {"bytes": as_objects, "binary[pyarrow]": lambda v: arrow(v, pa.binary())}
INTERVALS = {
    "category of intervals": lambda v: pd.Series(pd.cut(pd.Series(v, dtype="float64"), [-1, 1, 3, 4, 6])),
    "interval": lambda v: pd.Series(
        pd.array(pd.cut(pd.Series(v, dtype="float64"), [-1, 1, 3, 4, 6]).astype(object), dtype="interval")
    ),
}
GROUPS = {
    "numbers": (WHOLE, NUMBERS, ()),
    "codes": (WHOLE, NUMBERS | CODES, [*NUMBERS]),
    "dates": (DAYS, DATES | NANO, ()),
    "for ever": (EVER, DATES, ()),
    "days": (MIDNIGHTS, WHOLE_DAYS, ()),
    "day codes": (MIDNIGHTS, WHOLE_DAYS | DATE_CODES, [*WHOLE_DAYS]),
    "durations": (HOURS, DURATIONS, ()),
    "texts": (TEXT, TEXTS, ()),
    "booleans": (FLAGS, BOOLEANS, ()),
    "nested": (LISTS, NESTED, ()),
    "structs": (LISTS, STRUCTS, ()),
    "binary": (BYTES, BINARY, ()),
    "intervals": (WHOLE, INTERVALS, ()),
    "arrow categories": (TEXT, {"str": TEXTS["str"], "category": arrow_category}, ()),
    "codes of durations": (HOURS, DURATIONS | {"category": CODES["category"]}, [*DURATIONS]),
}


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.filterwarnings("error")
@pytest.mark.filterwarnings("ignore::walkforward.drift.DriftWarning")
def test_every_make_has_the_verdict_of_the_dense_form(group):
    """One column a make, each against its own kind, then against the dense form, in every function."""
    values, makes, coded = GROUPS[group]
    old, new = (pd.DataFrame({name: make(side) for name, make in makes.items()}) for side in values)
    dense = pd.DataFrame({name: next(iter(makes.values()))(values[0]) for name in makes})
    words = ["verdict", "drift", "test", "kind", "n_current", "threshold"]
    figures = [
        "missing_current",
        "p_value",
        "effect",
        "ks",
        "wasserstein",
        "psi",
        "tv",
        "chi2",
        "q50_current",
    ]
    for before in (old, dense):
        report = drift.drift_report(before, new, categorical=coded).set_index("column")
        assert len(report[words].drop_duplicates()) == 1, report[words]
        assert report.iloc[0]["test"] not in ("schema", "none")
        for figure in figures:
            assert report[figure].to_numpy(float) == pytest.approx(
                float(report[figure].iloc[0]), rel=1e-9, nan_ok=True
            )
        schema = drift.schema_report(before, new)
        found = [set(schema[schema["column"] == name]["change"]) - {"dtype"} for name in makes]
        if not coded:  # schema_report has no `categorical`
            assert found == [found[0]] * len(found), schema
    options = {"permutations": 3, "folds": 2}
    alone = [
        drift.classifier_drift(old, new, [name], categorical=coded and [name], **options) for name in makes
    ]
    assert len({(round(told.auc, 9), told.p_value) for told in alone}) == 1
    history = drift.drift_history(old, {"first": new}, categorical=coded)
    assert list(history["verdict"]) == [report.iloc[0]["verdict"]] * len(makes)
    for figure in (drift.plot_columns(old, new, n=2), drift.plot_history(history)):
        figure.canvas.draw()
        plt.close(figure)


def test_what_is_read_in_the_reports_words():
    dates = [stamps("us")(side) for side in EVER]
    row = drift.drift_report(*(pd.DataFrame({"valid_to": side}) for side in dates)).iloc[0]
    assert row["q95_current"] == 2932896
    assert row["drift"]
    # a category is one on both sides, whichever frame says so
    plain, category = (
        pd.DataFrame({"zone": make(WHOLE[0])}) for make in (NUMBERS["Int64"], CODES["category"])
    )
    assert drift.drift_report(plain, category).iloc[0][["kind", "verdict"]].tolist() == [
        "categorical",
        "no drift",
    ]
    huge = pd.DataFrame({"x": as_objects([10**400, *range(40)])})
    assert drift.drift_report(huge, huge).iloc[0]["missing_current"] == pytest.approx(1 / 41)
    with pytest.raises(drift.DriftError, match="column 'x' .* can't be read: .*leave it out"):
        drift.drift_report(*[pd.DataFrame({"x": as_objects([Decimal("sNaN")] * 30)})] * 2)


def test_numbers_at_the_ends_of_float64_have_finite_measures():
    shuffle = np.random.default_rng(0).permutation
    for values in ([1e308, -1e308, 5e307], [1e-320, 0.0, -3e-310], [1e30, -1.0, 2.0]):
        old = pd.DataFrame({"x": shuffle(values * 30)})
        new = pd.DataFrame({"x": shuffle(values[:2] * 40)})
        row = drift.drift_report(old, new).iloc[0]
        assert row["drift"]
        figures = [
            "effect",
            "p_value",
            "p_corrected",
            "statistic",
            "wasserstein",
            "mean_current",
            "std_current",
        ]
        assert np.isfinite(row[figures].astype(float)).all()
        drift.plot_columns(old, new).canvas.draw()
    plt.close("all")


# Only a DriftError leaves --------------------------------------------------------------------------------

NAMES = ["a|b", "line\nbreak", "$x_{", "", "_", ("one", 2), 7, None, 1.5, pd.Timestamp("2020-01-01"), b"x"]


def frame_of(names, seed=0):
    rng = np.random.default_rng(seed)
    columns = pd.Index(names, dtype=object, tupleize_cols=False)
    return pd.DataFrame(rng.normal(size=(60, len(names))) + seed, columns=columns)


def test_names_of_every_kind_in_reports_and_pictures():
    old, new = frame_of(NAMES), frame_of(NAMES, 1)
    report = drift.drift_report(old, new, NAMES, categorical=[None, "a|b"])
    assert sorted(map(repr, report["column"])) == sorted(map(repr, NAMES))
    assert not report["reason"].str.contains("\n").any()
    history = drift.drift_history(old, dict.fromkeys(NAMES, new))
    assert sorted(map(repr, set(history["period"]))) == sorted(map(repr, NAMES))
    assert len(drift.schema_report(old, new.iloc[:, ::-1])) > 0
    assert drift.classifier_drift(old, new, permutations=19).drift
    for figure in (drift.plot_columns(old, new, report, n=11), drift.plot_history(history)):
        figure.canvas.draw()
        titles = [axis.get_title() for axis in figure.axes]
        assert not any("\n" in title for title in titles)
        plt.close(figure)


def test_text_that_breaks_lines_stays_in_one():
    levels = ["a|b", "c\nd", "$x_{", "e" * 500]
    old, new = (
        pd.DataFrame({"x": np.repeat(levels, times)}) for times in ((20, 20, 20, 90), (90, 20, 20, 20))
    )
    report = drift.drift_report(old, new)
    assert report.loc[0, "drift"]
    assert "\n" not in report.loc[0, "reason"]
    assert len(report.loc[0, "reason"]) < 200
    schema = drift.schema_report(old[old["x"] != "c\nd"], new)
    assert schema[["current", "reason"]].to_numpy().tolist() == [
        ["c\\nd", "never seen before, in 13.3% of the rows"]
    ]
    drift.plot_columns(old, new).canvas.draw()
    plt.close("all")


def plain():
    return pd.DataFrame({"x": np.random.default_rng(0).normal(size=60), "c": list("abc") * 20})


TIMES = pd.date_range("2020-01-01", periods=60)
BAD_CALLS = {
    "folds=0: pass a whole number, 2 or more": lambda f: drift.classifier_drift(f, f, folds=0),
    "folds=1:": lambda f: drift.classifier_drift(f, f, folds=1),
    "folds=-3:": lambda f: drift.classifier_drift(f, f, folds=-3),
    "folds=2.5:": lambda f: drift.classifier_drift(f, f, folds=2.5),
    "folds=500: there are 120 rows": lambda f: drift.classifier_drift(f, f, folds=500),
    "folds=True:": lambda f: drift.classifier_drift(f, f, folds=True),
    "permutations=0: pass a whole number, 1 or more": lambda f: drift.classifier_drift(f, f, permutations=0),
    "max_rows=3: pass a whole number, 20 or more": lambda f: drift.classifier_drift(f, f, max_rows=3),
    "seed='a':": lambda f: drift.classifier_drift(f, f, seed="a"),
    "alpha='x' is no error rate": lambda f: drift.classifier_drift(f, f, alpha="x"),
    "categorical names ['z']": lambda f: drift.classifier_drift(f, f, categorical=["z"]),
    "columns names ['x'] twice": lambda f: drift.drift_report(f, f, ["x", "x"]),
    "columns='x': pass a list of column names, columns=['x']": lambda f: drift.drift_report(f, f, "x"),
    "columns=7: pass a list": lambda f: drift.drift_report(f, f, 7),
    "has no column [['x']]": lambda f: drift.drift_report(f, f, [["x"]]),
    "categorical='c': pass a list of column names, categorical=['c']": lambda f: drift.drift_report(
        f, f, categorical="c"
    ),
    "alpha=nan is no error rate": lambda f: drift.drift_report(f, f, alpha=math.nan),
    "alpha=None is no error rate": lambda f: drift.drift_report(f, f, alpha=None),
    "correction=['holm']": lambda f: drift.drift_report(f, f, correction=["holm"]),
    "bins=2.5 compares nothing": lambda f: drift.drift_report(f, f, bins=2.5),
    "thresholds: 'numeric' is 'a'": lambda f: drift.drift_report(f, f, thresholds={"numeric": "a"}),
    "thresholds: 'level' is -1": lambda f: drift.drift_report(f, f, thresholds={"level": -1}),
    "thresholds=[1]: pass a mapping": lambda f: drift.drift_report(f, f, thresholds=[1]),
    "periods is a list": lambda f: drift.drift_history(f, [f]),
    "current is a NoneType": lambda f: drift.drift_history(f, {"a": None}),
    "reference is a ndarray": lambda f: drift.schema_report(f.to_numpy(), f),
    "current has two columns": lambda f: drift.schema_report(f, f[["x", "x"]]),
    "time='when': the reference frame has no such column": lambda f: drift.drift_report(f, f, time="when"),
    "time='c' holds categorical: pass a column of dates": lambda f: drift.drift_report(f, f, time="c"),
    "time='t' is missing in 1 rows": lambda f: drift.drift_report(
        *[f.assign(t=[None, *TIMES[1:]])] * 2, time="t"
    ),
    "block=0: pass a whole number, 1 or more": lambda f: drift.drift_report(f, f, block=0),
    "block=1.5:": lambda f: drift.drift_report(f, f, block=1.5),
    "block='7D' is a time: say which column holds it": lambda f: drift.drift_report(f, f, block="7D"),
    "block='soon' is no length of time": lambda f: drift.drift_report(
        *[f.assign(t=TIMES)] * 2, time="t", block="soon"
    ),
    "block='7h' is shorter than the usual step of 't', 1 days": lambda f: drift.drift_report(
        *[f.assign(t=TIMES)] * 2, time="t", block="7h"
    ),
    "block='MS' is no length of time": lambda f: drift.drift_report(
        *[f.assign(t=TIMES)] * 2, time="t", block="MS"
    ),
    "time='t' is the only column": lambda f: drift.drift_report(*[pd.DataFrame({"t": TIMES})] * 2, time="t"),
    "time='t' holds nothing": lambda f: drift.drift_report(*[f.assign(t=None)] * 2, time="t"),
    "n=-1: pass a whole number": lambda f: drift.plot_columns(f, f, n=-1),
    "nothing to show": lambda f: drift.plot_columns(f, f, n=0),
    "report is a dict": lambda f: drift.plot_columns(f, f, {}),
    "report has no column ['kind']": lambda f: drift.plot_columns(f, f, f.rename(columns={"x": "column"})),
    "history has no column ['period']": lambda f: drift.plot_history(f),
    "value='reason' is no number of the history": lambda f: drift.plot_history(
        drift.drift_history(f, {"a": f}), "reason"
    ),
    "has no rows": lambda f: drift.plot_history(drift.drift_history(f, {"a": f}).head(0)),
    "'x' twice in 'a'": lambda f: drift.plot_history(pd.concat([drift.drift_history(f, {"a": f})] * 2)),
}


@pytest.mark.parametrize("words", BAD_CALLS)
def test_a_wrong_argument_is_one_line(words):
    with pytest.raises(drift.DriftError) as caught:
        BAD_CALLS[words](plain())
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


CONTENTS = [
    *(
        make(side)
        for side in (WHOLE[0], WHOLE[1][:1])
        for make in (NUMBERS | CODES).values()
        if len(side) > 1
    ),
    *(make(EVER[1]) for make in DATES.values()),
    *(make(TEXT[0]) for make in TEXTS.values()),
    *(make(LISTS[1]) for make in (NESTED | STRUCTS).values()),
    pd.Series([math.inf, -math.inf, math.nan, 1e308, 1e30] * 16),
    pd.Series(np.array([1j, 2] * 40)),
    as_objects([1, "1", None, b"1", [1], {2}, pd.Timestamp(0), 1.5] * 10),
    as_objects(["a", 7] * 40),
    as_objects([datetime.time(1), datetime.time(2)] * 40),
    as_objects([None] * 80),
    arrow([None] * 80, pa.null()),
    arrow([b"x", None] * 40, pa.binary()),
    as_objects([object()] * 80),
    pd.Series([pd.DateOffset(months=1)] * 80),
]
CALLS = [
    lambda a, b: drift.drift_report(a, b),
    lambda a, b: drift.drift_report(a, b, categorical=list(a)),
    lambda a, b: drift.drift_report(a, b, block=7),
    lambda a, b: drift.drift_report(a, b, time=next(iter(a), "x")),
    lambda a, b: drift.schema_report(a, b),
    lambda a, b: drift.classifier_drift(a, b, permutations=5),
    lambda a, b: drift.drift_history(a, {"p": b, 1: a}),
    lambda a, b: drift.plot_history(drift.drift_history(a, {"p": b, 1: a})),
    lambda a, b: drift.plot_columns(a, b),
]
side = st.lists(
    st.tuples(st.sampled_from(NAMES), st.sampled_from(range(len(CONTENTS)))), min_size=0, max_size=3
)


@settings(max_examples=40, deadline=None)
@given(side, side, st.sampled_from([0, 1, 19, 80]), st.sampled_from([1, 80]), st.sampled_from(CALLS))
def test_nothing_but_a_drift_error_leaves(old, new, n, m, call):
    frames = [
        pd.concat([CONTENTS[k] for _, k in one], axis=1) if one else pd.DataFrame() for one in (old, new)
    ]
    for frame, one in zip(frames, (old, new), strict=True):
        frame.columns = pd.Index([name for name, _ in one], dtype=object, tupleize_cols=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", drift.DriftWarning)
        try:
            call(frames[0].head(n), frames[1].head(m))
        except drift.DriftError as error:
            assert "\n" not in str(error)
    plt.close("all")
