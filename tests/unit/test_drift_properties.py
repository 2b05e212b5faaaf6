"""walkforward.drift's statistics equal SciPy's over random and awkward samples, and nothing crashes."""

import datetime
import warnings

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from scipy import stats
from scipy.spatial.distance import jensenshannon
from scipy.stats._morestats import _anderson_ksamp_midrank

from walkforward import drift
from walkforward.drift import measures

CLOSE = {"rel": 1e-9, "abs": 1e-9}
quick = settings(max_examples=60, deadline=None)
number = st.one_of(
    st.floats(-1e6, 1e6).map(lambda x: round(x, 3)),
    st.integers(-3, 3).map(float),
    st.sampled_from([0.0, 1e-12, 1e12, -1e12]),
)
numbers = st.lists(number, min_size=20, max_size=60)


def row(old, new, **options) -> pd.Series:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return drift.drift_report(pd.DataFrame({"x": old}), pd.DataFrame({"x": new}), **options).iloc[0]


def shuffled(values, seed=0):
    return np.random.default_rng(seed).permutation(np.asarray(values, dtype=float))


@quick
@given(numbers, numbers)
def test_numeric_measures_are_scipys(old, new):
    old, new = shuffled(old), shuffled(new)
    found = row(old, new)
    assert found["ks"] == pytest.approx(stats.ks_2samp(old, new, method="asymp").statistic, **CLOSE)
    scale = 1e-9 * np.abs(old).max()  # a sum of large numbers that cancel has no digits left to agree in
    assert found["mean_reference"] == pytest.approx(old.mean(), rel=1e-9, abs=max(scale, 1e-9))
    assert found["std_current"] == pytest.approx(new.std(ddof=1), **CLOSE)
    for name, q in (("q05", 0.05), ("q50", 0.5), ("q95", 0.95)):
        assert found[f"{name}_reference"] == pytest.approx(np.quantile(old, q), **CLOSE)
    distance, spread = stats.wasserstein_distance(old, new), old.std(ddof=1)
    if spread > 0:
        assert found["wasserstein"] == pytest.approx(distance / spread, **CLOSE)
    else:
        assert found["wasserstein"] == (np.inf if distance > 0 else 0)


@quick
@given(numbers, numbers)
def test_the_anderson_darling_statistic_is_scipys_before_it_is_normalised(old, new):
    old, new = shuffled(old), shuffled(new)
    both = np.sort(np.concatenate([old, new]))
    if both[0] == both[-1]:
        assert row(old, new)["p_value"] == 1
        return
    n = np.array([len(old), len(new)])
    theirs = _anderson_ksamp_midrank([old, new], both, np.unique(both), 2, n, n.sum())
    found = row(old, new)
    assert found["statistic"] == pytest.approx(theirs, **CLOSE)
    assert 0 < found["p_value"] <= 1


@quick
@given(numbers, numbers, st.integers(2, 20))
def test_the_binned_measures_are_scipys_on_the_same_bins(old, new, bins):
    old, new = shuffled(old), shuffled(new)
    edges, times = np.unique(np.quantile(old, np.arange(1, bins) / bins), return_counts=True)
    cells = []
    for values in (old, new):
        # below each edge; a doubled edge is a cell of its own
        cuts = sorted([(e, 1) for e in edges] + [(e, 0) for e in edges[times > 1]])
        upto = [np.sum(values <= e) if closed else np.sum(values < e) for e, closed in cuts]
        cells.append(np.diff([0, *upto, len(values)]))
    # quantiles may differ in the last bit, and a value may then change its bin
    found = row(old, new, bins=bins)
    if found["tv"] == pytest.approx(np.abs(cells[0] / len(old) - cells[1] / len(new)).sum() / 2, **CLOSE):
        shares_are_scipys(found, *cells)


def shares_are_scipys(found, a, b):
    half = [np.maximum(x, 0.5) for x in (a, b)]
    assert found["kl"] == pytest.approx(stats.entropy(half[1], half[0]), **CLOSE)
    assert found["psi"] == pytest.approx(stats.entropy(*half) + stats.entropy(*half[::-1]), **CLOSE)
    assert found["js"] == pytest.approx(jensenshannon(a, b, base=2), rel=1e-9, abs=1e-7)


categories = st.lists(st.integers(20, 80), min_size=2, max_size=8)


@quick
@given(categories, st.data())
def test_categorical_measures_are_scipys(a, data):
    b = data.draw(st.lists(st.integers(20, 80), min_size=len(a), max_size=len(a)))
    old, new = (np.repeat([f"level {k}" for k in range(len(x))], x) for x in (a, b))
    found = row(old, new)
    theirs = stats.chi2_contingency([a, b], correction=False)
    assert found["chi2"] == pytest.approx(theirs.statistic, **CLOSE)
    assert found["tv"] == pytest.approx(
        np.abs(np.divide(a, sum(a)) - np.divide(b, sum(b))).sum() / 2, **CLOSE
    )
    shares_are_scipys(found, np.array(a), np.array(b))
    if len(a) == 2:
        assert found["p_value"] == pytest.approx(theirs.pvalue, **CLOSE)
    else:
        singles = [
            stats.chi2_contingency([[x, sum(a) - x], [y, sum(b) - y]], correction=False, lambda_=0).pvalue
            for x, y in zip(a, b, strict=True)
        ]
        smaller = min(theirs.pvalue, len(a) * min(singles))
        assert found["p_value"] == pytest.approx(min(1, 2 * smaller), rel=1e-7, abs=1e-12)


@quick
@given(st.integers(0, 60), st.integers(0, 60))
def test_the_missing_share_is_fishers(k, j):
    old, new = (pd.Series(np.r_[np.full(n, np.nan), shuffled(np.arange(100.0))]) for n in (k, j))
    found = drift.drift_report(pd.DataFrame({"x": old}), pd.DataFrame({"x": new}), correction="none").iloc[0]
    assert found["missing_current"] == pytest.approx(j / (j + 100))
    if found["test"].startswith("missing"):
        assert found["p_value"] == pytest.approx(stats.fisher_exact([[k, j], [100, 100]]).pvalue, **CLOSE)


# The p-value of A² -----------------------------------------------------------------------------------------


def test_the_limit_is_that_of_marsaglia_and_marsaglia():
    for z, p in ((0.5, 0.7468178), (1.0, 0.357286), (2.0, 0.0918358)):  # 1 - ADinf(z), Marsaglia 2004
        assert measures.tail(z - 1 / 101, measures.LIMIT) == pytest.approx(p, abs=5e-5)
    for z, p in ((1.933, 0.10), (2.492, 0.05), (3.070, 0.025), (3.857, 0.01)):  # Stephens 1974, table
        assert measures.tail(z - 1 / 101, measures.LIMIT) == pytest.approx(p, rel=0.03)


def test_the_tail_falls_forever_and_stays_above_zero():
    p = [measures.tail(z, measures.LIMIT) for z in np.linspace(0, 600, 1201)]
    assert all(b < a for a, b in zip(p, p[1:], strict=False) if a < 1)
    assert measures.tail(0, measures.LIMIT) == 1
    assert p[-1] < 1e-250
    assert 0 < measures.tail(1e6, measures.LIMIT) < 1e-300
    for z in (10, 30, 100):  # the leading term, sqrt(3) erfc(sqrt(z)), with its first correction
        leading = 3**0.5 * 2 * stats.norm.sf((2 * z) ** 0.5) * (1 + 11 / (36 * z))
        assert measures.tail(z - 1 / 101, measures.LIMIT) == pytest.approx(leading, rel=1e-3)


@pytest.mark.parametrize(
    "eigenvalues", [[1.0], [0.9, 0.1], [0.6, 0.3, 0.2, 0.1], [0.5, 0.25, 0.12, 0.06, 0.03]]
)
def test_the_mixture_is_what_simulation_says(eigenvalues):
    draws = np.random.default_rng(0).chisquare(1, (200_000, len(eigenvalues))) @ eigenvalues
    for q in (0.9, 0.99, 0.999):
        assert measures.tail(np.quantile(draws, q), np.array(eigenvalues)) == pytest.approx(1 - q, rel=0.12)


def test_ties_have_the_eigenvalues_of_their_own_distribution():
    half = measures.eigenvalues_of(np.array([0.3, 1.0]))
    assert half == pytest.approx([1.0])  # two values: A² is chi-squared with one degree of freedom
    fine = measures.eigenvalues_of(np.arange(1, 65) / 64)
    assert fine[:3] == pytest.approx(measures.LIMIT[:3], rel=0.07)


# Nothing crashes -------------------------------------------------------------------------------------------

awkward = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**60), 2**60),
    st.floats(),
    st.text(max_size=3),
    st.just(pd.Timestamp("2020-02-29")),
    st.just(datetime.date(2020, 2, 29)),
    st.just([1]),
)
column = st.one_of(
    st.lists(awkward, max_size=30),
    st.lists(st.floats(), min_size=20, max_size=40),
    st.lists(st.one_of(st.none(), st.booleans()), min_size=20, max_size=40),
    st.lists(st.sampled_from(["a", "b", None]), min_size=20, max_size=40),
)


def frame(values, dtype):
    series = pd.Series(values, dtype=object)
    if dtype == "as it is":
        return pd.DataFrame({"x": series})
    try:
        return pd.DataFrame({"x": pd.Series(values) if dtype is None else series.astype(dtype)})
    except (TypeError, ValueError, OverflowError):
        return pd.DataFrame({"x": series})


dtypes = st.sampled_from([None, "as it is", "float64", "Int64", "Float64", "boolean", "str", "category"])


@settings(max_examples=150, deadline=None)
@given(column, column, dtypes, dtypes)
@example([pd.Timestamp("2020-02-29")], [], None, "boolean")
@example([pd.Timestamp("2020-02-29")] * 30, [None] * 30, None, "boolean")
@pytest.mark.filterwarnings("error")
def test_awkward_columns_get_a_row_and_a_word(old, new, old_type, new_type):
    a, b = frame(old, old_type), frame(new, new_type)
    found = drift.drift_report(a, b)
    assert len(found) == 1
    one = found.iloc[0]
    assert one["verdict"] in ("drift", "no drift", "significant but small", "too few rows")
    assert one["reason"]
    assert one["drift"] == (one["verdict"] == "drift")
    if min(len(old), len(new)) < drift.MIN_VALUES:
        assert one["verdict"] == "too few rows" or one["test"] == "schema"
    assert set(drift.schema_report(a, b)["change"]) <= {"dtype", "missing", "unit", "range", "category"}
    if min(len(old), len(new)) >= drift.MIN_VALUES:
        said = drift.classifier_drift(a, b, permutations=20)
        assert 0 <= said.auc <= 1
        assert 0 < said.p_value <= 1
    else:
        with pytest.raises(drift.DriftError, match="a model needs 20"):
            drift.classifier_drift(a, b)
