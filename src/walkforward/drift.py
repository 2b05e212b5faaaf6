"""Drift: what changed between a reference and a current frame, said only when it is sure and when it matters.

`schema_report` looks at names, types, categories, units and missing values, before any statistics;
`drift_report` compares column by column; `classifier_drift` asks whether a model can tell the two frames
apart, which also sees a change that no single column shows. `drift_history` repeats the report over periods.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy import special, stats

from walkforward.plots import PALETTE

Array = np.ndarray[Any, np.dtype[Any]]
THRESHOLDS = {"numeric": 0.06, "categorical": 0.06, "missing": 0.02}
"""The least effect that counts, in shares of rows: KS distance, total variation, change of missing share."""
MIN_VALUES = 20
"""With fewer values on one side there is no verdict: most shifts of a standard deviation would be missed."""
UNITS = {1.609344: "miles and km", 1000: "thousands", 100: "percent or cents", 60: "minutes and seconds"}
UNITS |= {
    3.28084: "metres and feet",
    2.204623: "kg and pounds",
    2.54: "inches and cm",
    3600: "hours and seconds",
}
_SIDES = ("reference", "current")
_QUANTILES = {"q05": 0.05, "q50": 0.5, "q95": 0.95}
_WORDS = {
    "numeric": "numbers",
    "categorical": "text",
    "boolean": "booleans",
    "date": "dates",
    "mixed": "mixed types",
}
_INFERRED = dict.fromkeys(("integer", "floating", "mixed-integer-float", "decimal"), "numeric")
_INFERRED |= dict.fromkeys(("datetime64", "datetime", "date"), "date") | {
    "boolean": "boolean",
    "string": "categorical",
}
_MEASURES = [
    "kind",
    *(f"{w}_{side}" for w in ("n", "missing", "mean", "std", *_QUANTILES) for side in _SIDES),
]
_MEASURES += ["ks", "wasserstein", "psi", "js", "kl", "tv", "chi2"]
_LIMIT = 1 / (
    np.arange(1, 101) * np.arange(2.0, 102)
)  # eigenvalues of A² without ties (Anderson, Darling 1952)
_TINY = np.finfo(float).tiny  # the least p-value; beyond it all are equal
_ANGLES = (np.arange(128) + 0.5) / 128 * np.pi - np.pi / 2


class DriftError(ValueError):
    """The frames can't be compared; the message is one line: the value, the rule, the way out."""


@dataclass
class _Test:
    """One hypothesis about a column; `p` is NaN where no test was possible or needed."""

    name: str
    statistic: float
    p: float
    effect: float
    threshold: float
    words: str
    corrected: float = np.nan


# ------------------------------------------------------------------------------------------ column by column
def drift_report(
    reference: pd.DataFrame,
    current: pd.DataFrame,
    columns: Sequence[Any] | None = None,
    alpha: float = 0.05,
    correction: str = "holm",
    *,
    categorical: Collection[Any] = (),
    thresholds: Mapping[str, float] | None = None,
    bins: int = 10,
) -> pd.DataFrame:
    """Compare two frames column by column; a row per column of `reference` (or of `columns`), worst first.

    Columns: `column`, `kind` (numeric, categorical, boolean, date, mixed), rows `n_*`, share `missing_*`,
    `mean_*`, `std_*`, `q05_*`, `q50_*`, `q95_*` (dates: days since 1970), `ks`, `wasserstein` (in standard
    deviations of the reference), `psi`, `js` (distance, base 2), `kl` (nats, current from reference), `tv`,
    `chi2`, then `test`, `statistic`, `p_value`, `p_corrected`, `effect`, `threshold`, the boolean `drift`,
    the `verdict` and its `reason`. NaN: not defined here.

    Numbers and dates: Anderson and Darling's two-sample test (Scholz and Stephens 1987, ties as midranks)
    with the limit distribution that these ties give. Categories: chi-squared, or the category that moved
    most, whichever is clearer (doubled). A changed share of missing values is a hypothesis of its own;
    infinite numbers count as missing. All p-values of the report are corrected together (`correction`:
    holm, bonferroni, none) for the error rate `alpha`. `drift` needs both: significance, and an effect of
    `thresholds` or more (`ks` for numbers, `tv` for categories, difference of the missing shares).
    `verdict`: drift, no drift, significant but small, too few rows (under MIN_VALUES). Values of another type
    than the reference's, and a lost column, are drift without a test.

    psi, js, kl and tv of numbers count rows between `bins` quantiles of the reference; rare categories (under
    five rows expected on a side) are pooled for every measure; psi and kl take an empty bin as half a row.
    Numbers that are codes belong into `categorical`. Raises DriftError.
    """
    names = _columns(reference, current, columns)
    limits = {**THRESHOLDS, **(thresholds or {})}
    if correction not in ("holm", "bonferroni", "none"):
        raise DriftError(f"correction={correction!r} is unknown: choose 'holm', 'bonferroni' or 'none'")
    if not 0 < alpha < 1:
        raise DriftError(f"alpha={alpha} is no error rate: choose one between 0 and 1, for example 0.05")
    if bins < 2:
        raise DriftError(f"bins={bins} compares nothing: choose 2 or more, for example 10")
    if unknown := [name for name in limits if name not in THRESHOLDS]:
        raise DriftError(f"thresholds knows no {unknown[0]!r}: it takes {', '.join(THRESHOLDS)}")
    if unknown := [name for name in categorical if name not in reference]:
        raise DriftError(f"categorical names {unknown[0]!r}, which is no column: correct the name")
    rows, tests = [], []
    for name in names:
        there = current[name] if name in current else None
        row, found = _compare(reference[name], there, name in categorical, limits, bins)
        rows.append({"column": name, **dict.fromkeys(_MEASURES, np.nan), **row})
        tests.append(found)
    family = [test for found in tests for test in found if test.p == test.p]
    _correct(family, correction)
    report = pd.DataFrame(
        [row | _verdict(row, found, alpha, len(family)) for row, found in zip(rows, tests, strict=True)]
    )
    ratio = (report["effect"] / report["threshold"]).fillna(0).replace(np.inf, 1e9)
    order = np.lexsort([-ratio.to_numpy(), ~report["drift"].to_numpy(bool)])
    return report.iloc[order].reset_index(drop=True)


def _columns(reference: pd.DataFrame, current: pd.DataFrame, columns: Sequence[Any] | None) -> list[Any]:
    """The columns to compare, once it is sure that there are any."""
    for frame, name in ((reference, "reference"), (current, "current")):
        if not isinstance(frame, pd.DataFrame):
            raise DriftError(f"{name} is a {type(frame).__name__}: pass a pandas DataFrame")
        if frame.columns.has_duplicates:
            doubled = frame.columns[frame.columns.duplicated()][0]
            raise DriftError(f"{name} has two columns {doubled!r}: rename or drop one of them")
    names = list(reference.columns if columns is None else columns)
    if lacking := [name for name in names if name not in reference]:
        raise DriftError(f"the reference has no column {lacking[0]!r}: it has {list(reference)[:8]}")
    if names and not any(name in current for name in names):
        raise DriftError("the frames share no column: schema_report tells which were lost or renamed")
    return names


def _side(values: pd.Series) -> str:
    """What one side holds: numeric, categorical, boolean, date, mixed, or "" when it holds no value."""
    if isinstance(values.dtype, pd.CategoricalDtype | pd.StringDtype):
        return "categorical" if values.first_valid_index() is not None else ""
    kind = {**dict.fromkeys("iufm", "numeric"), "b": "boolean", "M": "date"}.get(values.dtype.kind)
    kind = kind or _INFERRED.get(pd.api.types.infer_dtype(values, skipna=True), "mixed")
    return kind if values.first_valid_index() is not None else ""


def _compare(
    old: pd.Series, new: pd.Series | None, coded: bool, limits: Mapping[str, float], bins: int
) -> tuple[dict[str, Any], list[_Test]]:
    """The measures of one column, and the hypotheses that its verdict stands on."""
    if new is None:
        gone = _Test("schema", np.nan, np.nan, 1, 0, "the current frame has no such column")
        return {"kind": _side(old) or "numeric", "n_reference": len(old), "n_current": 0}, [gone]
    here, there = _side(old), _side(new)
    kind = here or there or "numeric"
    row: dict[str, Any] = {"kind": kind, "n_reference": len(old), "n_current": len(new)}
    if here and there and here != there:
        words = f"{_WORDS[here]} in the reference, {_WORDS[there]} in the current frame"
        row |= {"kind": "mixed", "missing_reference": old.isna().mean(), "missing_current": new.isna().mean()}
        return row, [_Test("schema", np.nan, np.nan, 1, 0, words)]
    if coded or kind not in ("numeric", "date"):
        row["kind"] = "categorical" if kind in ("numeric", "date") else kind
        found, test, sizes = _categories(old, new, limits["categorical"])
    else:
        found, test, sizes = _numbers(old, new, kind, limits["numeric"], bins)
    gone = [1 - size / max(1, len(side)) for size, side in zip(sizes, (old, new), strict=True)]
    row |= {"missing_reference": gone[0], "missing_current": gone[1]} | found
    tests = [test]
    if min(sizes) < MIN_VALUES:
        test.p = np.nan
    if any(gone) and min(len(old), len(new)) >= MIN_VALUES:
        p = stats.fisher_exact([[len(old) - sizes[0], sizes[0]], [len(new) - sizes[1], sizes[1]]]).pvalue
        words = f"missing in {gone[0]:.1%} of the reference and {gone[1]:.1%} of the current rows"
        effect = abs(gone[1] - gone[0])
        tests.append(_Test("missing share (Fisher)", gone[1] - gone[0], p, effect, limits["missing"], words))
    return row, tests


def _numbers(
    old: pd.Series, new: pd.Series, kind: str, limit: float, bins: int
) -> tuple[dict[str, Any], _Test, tuple[int, int]]:
    """All measures of a numeric column, from one sort of each sample."""
    r, c = sides = _sorted(old, kind), _sorted(new, kind)
    found: dict[str, Any] = {}
    for side, values in zip(("reference", "current"), sides, strict=True):
        with np.errstate(over="ignore", invalid="ignore"):
            found[f"mean_{side}"] = values.mean() if len(values) else np.nan
            found[f"std_{side}"] = values.std(ddof=1) if len(values) > 1 else np.nan
        found |= {f"{name}_{side}": _quantile(values, q) for name, q in _QUANTILES.items()}
    if not (len(r) and len(c)):
        return found, _Test("none", np.nan, np.nan, np.nan, limit, ""), (len(r), len(c))
    ks, where, area, statistic, p = _merged(r, c)
    spread = found["std_reference"]
    found |= {"ks": ks, "wasserstein": area / spread if spread > 0 else np.inf if area > 0 else 0.0}
    edges, times = np.unique([_quantile(r, k / bins) for k in range(1, bins)], return_counts=True)
    # an edge that stands twice is a value of many rows: a bin of its own
    cuts = [np.sort([*v.searchsorted(edges, "right"), *v.searchsorted(edges[times > 1])]) for v in sides]
    found |= _shares(*(np.diff(cut, prepend=0, append=len(v)) for cut, v in zip(cuts, sides, strict=True)))
    below = [v.searchsorted(where, "right") / len(v) for v in sides]
    shown = f"{pd.Timestamp(where, unit='D'):%Y-%m-%d}" if kind == "date" else f"{where:.4g}"
    words = f"{below[0]:.1%} of the reference and {below[1]:.1%} of the current values are at most {shown}"
    return found, _Test("Anderson-Darling", statistic, p, ks, limit, words), (len(r), len(c))


def _floats(values: pd.Series, kind: str) -> Array:
    """The values as numbers, NaN where missing; dates as days since 1970, durations as days."""
    if kind == "date":
        values = (pd.to_datetime(values, utc=True) - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(days=1)
    elif values.dtype.kind == "m":
        values = values / pd.Timedelta(days=1)
    plain = isinstance(values.dtype, np.dtype) and values.dtype.kind in "iuf"
    return values.to_numpy() if plain else values.to_numpy(dtype="float64", na_value=np.nan)


def _sorted(values: pd.Series, kind: str) -> Array:
    """The finite values as float64 in ascending order, shape (n,)."""
    found = np.sort(_floats(values, kind))
    found = found.astype("float64", copy=False)  # NaN is sorted to the end, behind infinity
    return found[found.searchsorted(-np.inf, "right") : found.searchsorted(np.inf)]


def _quantile(values: Array, q: float) -> float:
    """NumPy's linear quantile of values that are sorted already."""
    if not len(values):
        return np.nan
    low, part = divmod(q * (len(values) - 1), 1)
    return float(values[int(low)] * (1 - part) + values[min(int(low) + 1, len(values) - 1)] * part)


def _merged(r: Array, c: Array) -> tuple[float, float, float, float, float]:
    """KS distance, where it is, Wasserstein distance, A² and its p-value, from two sorted samples."""
    n, m = len(r), len(c)
    size = n + m
    both = np.concatenate([r, c])
    order = both.argsort(kind="stable")  # merges the two runs in linear time
    both = both[order]
    gap = (order < n) * float(size)
    del order
    gap -= n  # m for a value of the reference, -n for one of the current: every sum is exact
    np.cumsum(gap, out=gap)
    upto = np.arange(1.0, size + 1)
    new = both[1:] != both[:-1]
    if not new.all():
        last = np.append(np.flatnonzero(new), size - 1)
        both, gap, upto = both[last], gap[last], upto[last]
    if len(both) == 1:
        return 0.0, float(both[0]), 0.0, 0.0, 1.0
    height = np.abs(gap)
    at = int(height.argmax())
    area = float(np.dot(height[:-1], np.diff(both)))
    height = np.diff(upto, prepend=0.0)  # rows of each value
    shares = (
        upto / size if height.max() > 0.01 * size else None
    )  # without ties the limit is the classical one
    upto -= height / 2
    weight = height / (upto * (size - upto) - height * (size / 4))
    ks = float(np.abs(gap[at])) / n / m
    gap[1:] += gap[:-1]
    statistic = float(np.dot(weight, np.square(gap, out=gap))) / 4 * (size - 1) / size / n / m
    p = _tail(statistic - 1 / 101, _LIMIT) if shares is None else _tail(statistic, _eigenvalues(shares))
    return ks, float(both[at]), area / n / m, statistic, p


def _eigenvalues(upto: Array) -> Array:
    """Of the limit of A² with midranks, largest first: `upto`: the share of rows up to each value.

    The statistic is a weighted sum of squares of a Brownian bridge at the values; 64 of them are enough.
    """
    upto = np.unique(upto[upto.searchsorted(np.linspace(1 / 64, 1, 64) - 1e-12).clip(max=len(upto) - 1)])
    height = np.diff(upto, prepend=0)
    middle = upto - height / 2
    bridge = np.pad(np.minimum.outer(upto, upto) - np.outer(upto, upto), (1, 0))
    covariance = (bridge[1:, 1:] + bridge[:-1, :-1] + bridge[1:, :-1] + bridge[:-1, 1:]) / 4
    root = np.sqrt(height / (middle * (1 - middle) - height / 4))
    found = np.linalg.eigvalsh(root[:, None] * covariance * root)[::-1]
    return found[found > 1e-9 * found[0]]


def _tail(x: float, eigenvalues: Array) -> float:
    """P(sum of eigenvalue × χ²(1) > x): Smirnov's integrals between the poles, right to 1e-5 of its size."""
    if len(eigenvalues) == 1:
        return float(max(stats.chi2.sf(x / eigenvalues[0], 1), _TINY))
    p = 0.0
    for k in range(0, min(len(eigenvalues) - 1, 8), 2):
        low, high = 0.5 / eigenvalues[k : k + 2]
        t = (low + high) / 2 + (high - low) / 2 * np.sin(_ANGLES)
        others = np.abs(1 - 2 * np.outer(t, np.delete(eigenvalues, [k, k + 1]))).prod(axis=1)
        part = np.mean(np.exp(-t * max(x, 0)) / t / np.sqrt(others)) * np.sqrt(low * high)
        p += -part if k % 4 else part
    return float(np.clip(p, _TINY, 1))


def _categories(
    old: pd.Series, new: pd.Series, limit: float
) -> tuple[dict[str, Any], _Test, tuple[int, int]]:
    """The measures of a categorical column, from its counts; categories too rare to test are one."""
    counts = _counts(old, new)
    n, m = (int(total) for total in counts.sum())
    if not (n and m):
        return {}, _Test("none", np.nan, np.nan, np.nan, limit, ""), (n, m)
    rare = counts.sum(axis=1) * min(n, m) / (n + m) < 5
    if rare.sum() > 1 or (rare.any() and not rare.all()):
        pooled, kept = counts[rare].sum(), counts[~rare]
        if pooled.sum() * min(n, m) / (n + m) < 5 and len(kept):
            kept = kept.copy()
            kept.iloc[-1] += pooled
        else:
            kept = pd.concat([kept, pooled.rename("the rare ones").to_frame().T])
        counts = kept
    a, b = counts.to_numpy(float).T
    found = _shares(a, b)
    part = (a + b) / (n + m)
    chi2 = float(((a - n * part) ** 2 / (n * part) + (b - m * part) ** 2 / (m * part)).sum())
    # likelihood ratio of each category against all others: right in the tail, where a normal z is not
    cells = [(a, n * part), (n - a, n * (1 - part)), (b, m * part), (m - b, m * (1 - part))]
    single = 2 * sum(special.xlogy(x, np.divide(x, y, out=np.ones_like(x), where=x > 0)) for x, y in cells)
    p = stats.chi2.sf(chi2, len(a) - 1) if len(a) > 1 else 1.0
    if len(a) > 2:
        p = min(1.0, 2 * min(p, len(a) * stats.chi2.sf(single.max(), 1)))
    at = int(np.abs(a / n - b / m).argmax())
    words = (
        f"{counts.index[at]!r}: {a[at] / n:.1%} of the reference and {b[at] / m:.1%} of the current values"
    )
    test = _Test("chi-squared", chi2, float(max(p, _TINY)), found["tv"], limit, words)
    if len(a) == 1 and rare.all():
        test = _Test("none", np.nan, np.nan, np.nan, limit, "every category is rare")
    return {**found, "chi2": chi2}, test, (n, m)


def _counts(old: pd.Series, new: pd.Series) -> pd.DataFrame:
    """Rows of each category on both sides, most frequent first."""
    try:
        sides = [values.value_counts(sort=False) for values in (old, new)]
    except TypeError:  # lists, dicts: no hash
        sides = [values.dropna().map(repr).value_counts(sort=False) for values in (old, new)]
    for side, name in zip(sides, _SIDES, strict=True):
        side.index, side.name = side.index.astype(object), name
    counts = pd.concat(sides, axis=1).fillna(0).astype("int64")
    counts = counts[counts.sum(axis=1) > 0]
    return counts.iloc[np.argsort(-counts.sum(axis=1).to_numpy(), kind="stable")]


def _shares(a: Array, b: Array) -> dict[str, float]:
    """psi, js, kl and tv of two rows of counts; psi and kl take an empty bin as half a row."""
    p, q = a / a.sum(), b / b.sum()
    some, other = (np.maximum(x, 0.5) / np.maximum(x, 0.5).sum() for x in (a, b))
    kl, back = special.rel_entr(other, some).sum(), special.rel_entr(some, other).sum()
    js = (special.rel_entr(p, (p + q) / 2) + special.rel_entr(q, (p + q) / 2)).sum() / 2 / np.log(2)
    return {"psi": kl + back, "js": max(js, 0.0) ** 0.5, "kl": kl, "tv": np.abs(p - q).sum() / 2}


def _correct(tests: list[_Test], correction: str) -> None:
    """Set `corrected`: Holm (1979) steps down from the smallest p-value."""
    worst = 0.0
    for place, test in enumerate(sorted(tests, key=lambda test: test.p)):
        times = {"holm": len(tests) - place, "bonferroni": len(tests), "none": 1}[correction]
        worst = test.corrected = min(1.0, max(worst, test.p * times))


def _verdict(row: Mapping[str, Any], tests: list[_Test], alpha: float, family: int) -> dict[str, Any]:
    """What the hypotheses of a column say together, in words."""

    def alarm(test: _Test) -> bool:
        return test.name == "schema" or bool(test.corrected < alpha and test.effect >= test.threshold)

    test = min(tests, key=lambda test: (not alarm(test), test.p == test.p, test.corrected))
    # the normal shift that a comparison of this size finds in four of five cases
    sizes = [row[f"n_{side}"] * (1 - row[f"missing_{side}"]) for side in _SIDES]
    seen = (stats.norm.isf(alpha / 2 / max(1, family)) + 0.84) * sum(
        1 / max(1, size) for size in sizes
    ) ** 0.5
    is_number = row["kind"] in ("numeric", "date")
    needed = (
        f"a shift of {seen:.2g} standard deviations"
        if is_number
        else f"a change of {seen / 2:.0%} of the rows"
    )
    if alarm(test):
        verdict, words = "drift", test.words
    elif test.p != test.p:
        verdict, words = "too few rows", f"{min(sizes):.0f} values on a side: only {needed} would be seen"
    elif test.corrected < alpha:
        verdict, words = "significant but small", f"{test.effect:.3f} is below {test.threshold}: {test.words}"
    else:
        verdict, words = "no drift", f"within chance (p = {test.corrected:.2g}); {needed} would be seen"
    keys = (
        "test",
        "statistic",
        "p_value",
        "p_corrected",
        "effect",
        "threshold",
        "drift",
        "verdict",
        "reason",
    )
    said = (test.name, test.statistic, test.p, test.corrected, test.effect, test.threshold)
    return dict(zip(keys, (*said, verdict == "drift", verdict, words), strict=True))


def drift_history(
    reference: pd.DataFrame, periods: Mapping[str, pd.DataFrame], **as_report: Any
) -> pd.DataFrame:
    """`drift_report` of each period against the reference: its rows with the column `period` in front."""
    if not periods:
        raise DriftError("periods is empty: pass a mapping of names to frames, one at least")
    reports = [
        drift_report(reference, frame, **as_report).assign(period=name) for name, frame in periods.items()
    ]
    found = pd.concat(reports, ignore_index=True)
    return found[["period", *found.columns.drop("period")]]


# ------------------------------------------------------------------------------------------ schema
def schema_report(reference: pd.DataFrame, current: pd.DataFrame) -> pd.DataFrame:
    """What changed upstream, before any statistics: a row per change, none when nothing changed.

    Columns: `column`, `change` (lost, new, renamed, order, dtype, missing, category, unit, range),
    `reference`, `current`, `reason`. `renamed` and `unit` are guesses, from names and values. `range` needs more values
    outside than chance brings (1 in 1,000), or a sign that the reference never has; dates move on, so only
    those before the reference count. Raises DriftError.
    """
    _columns(reference, current, [])
    rows: list[tuple[Any, str, Any, Any, str]] = []
    lost, new = ([n for n in a if n not in b] for a, b in ((reference, current), (current, reference)))
    guesses = sorted((-_alike(reference[a], current[b]), a, b) for a in lost for b in new)
    for score, a, b in guesses:
        if score <= -0.6 and a in lost and b in new:
            rows.append((a, "renamed", a, b, f"name and values are alike ({-score:.0%}): a guess"))
            lost.remove(a)
            new.remove(b)
    pairs = [(n, n) for n in reference if n in current] + [(a, b) for a, _, _, b, _ in rows]
    rows += [(n, "lost", str(reference[n].dtype), "", "the current frame has no such column") for n in lost]
    rows += [(n, "new", "", str(current[n].dtype), "the reference has no such column") for n in new]
    common = [[n for n in a if n in b] for a, b in ((reference, current), (current, reference))]
    if common[0] != common[1]:
        rows.append(
            ("", "order", common[0], common[1], "a model that takes positions reads the wrong column")
        )
    for a, b in pairs:
        rows += [(b, *change) for change in _changes(reference[a], current[b])]
    return pd.DataFrame(rows, columns=["column", "change", "reference", "current", "reason"])


def _alike(old: pd.Series, new: pd.Series) -> float:
    """How likely a column was renamed, 0 to 1: half the name, half the values."""
    names = [str(side.name).lower().replace("_", "") for side in (old, new)]
    row, _ = _compare(old.head(10_000), new.head(10_000), False, THRESHOLDS, 10)
    distance = row.get("ks", row.get("tv", 1.0))
    return (SequenceMatcher(None, *names).ratio() + 1 - distance) / 2 if distance < 0.5 else 0.0


def _changes(old: pd.Series, new: pd.Series) -> list[tuple[str, Any, Any, str]]:
    """Changes of one column: (change, reference, current, reason)."""
    found: list[tuple[str, Any, Any, str]] = []
    here, there = _side(old), _side(new)
    if old.dtype != new.dtype or (here and there and here != there):
        reason = f"{_WORDS.get(here, 'nothing')} in the reference, {_WORDS.get(there, 'nothing')} in the current frame"
        if (here, there) == ("numeric", "categorical"):
            share = pd.to_numeric(new.dropna().astype(str), errors="coerce").notna().mean()
            reason += f": {share:.0%} of the text can be read as numbers"
        found.append(("dtype", str(old.dtype), str(new.dtype), reason))
    gone = [side.isna().mean() if len(side) else 0.0 for side in (old, new)]
    table = [[side.isna().sum(), side.notna().sum()] for side in (old, new)]
    if abs(gone[1] - gone[0]) >= THRESHOLDS["missing"] and stats.fisher_exact(table).pvalue < 0.001:
        found.append(("missing", f"{gone[0]:.1%}", f"{gone[1]:.1%}", "the share of missing values changed"))
    if here != there or not here:
        return found
    if here in ("numeric", "date"):
        r, c = _sorted(old, here), _sorted(new, here)
        if here == "numeric" and len(r) and len(c) and (scale := _unit(r, c)):
            return [*found, ("unit", f"{_quantile(r, 0.5):.4g}", f"{_quantile(c, 0.5):.4g}", scale)]
        share = len(c) / max(1, len(r) + len(c))
        outside = (
            {"below": int(c.searchsorted(r[0])), "above": len(c) - int(c.searchsorted(r[-1], "right"))}
            if len(r)
            else {}
        )
        for way, count in outside.items():
            sign = way == "below" and len(c) and c[0] < 0 <= r[0]
            if count and (share**count < 0.001 or sign) and not (here == "date" and way == "above"):
                limits = [f"{_shown(v[0], here)} to {_shown(v[-1], here)}" for v in (r, c)]
                found.append(("range", *limits, f"{count:,} values {way} all of the reference"))
    else:
        counts = _counts(old, new)
        unseen = counts[counts["reference"] == 0]
        if len(unseen) and (counts["reference"] > 0).sum() < 0.5 * len(old):
            names = ", ".join(map(str, unseen.index[:5])) + (", …" if len(unseen) > 5 else "")
            share = unseen["current"].sum() / counts["current"].sum()
            found.append(
                (
                    "category",
                    f"{(counts['reference'] > 0).sum()} known",
                    names,
                    f"{len(unseen)} never seen before, in {share:.1%} of the rows",
                )
            )
    return found


def _shown(value: float, kind: str) -> str:
    return f"{pd.Timestamp(value, unit='D'):%Y-%m-%d}" if kind == "date" else f"{value:.4g}"


def _unit(r: Array, c: Array) -> str:
    """The factor between two sorted samples, when one of UNITS explains nearly all of their difference."""
    (low, high), (small, large) = (np.quantile(np.abs(v), [0.5, 0.75]) for v in (r, c))
    before = stats.ks_2samp(r, c, method="asymp").statistic
    for factor, name in UNITS.items():
        for times, words in ((factor, f"× {factor:g}"), (1 / factor, f"÷ {factor:g}")):
            near = all(0.8 < b / (a * times) < 1.25 for a, b in ((low, small), (high, large)) if a)
            if (
                high > 0
                and near
                and stats.ks_2samp(r * times, c, method="asymp").statistic < min(0.1, before / 3)
            ):
                return f"the values are {words}: another unit ({name})? A guess"
    return ""


# ------------------------------------------------------------------------------------------ many columns at once
@dataclass(frozen=True)
class ClassifierDrift:
    """Whether a model tells the frames apart: `auc` on rows it has not seen, and `columns`, what it goes by.

    `columns` has `column`, `auc_drop` (when this column is shuffled) and `partner` (the column whose
    combination with it tells most; empty when it tells most alone), the largest drop first.
    """

    auc: float
    p_value: float
    drift: bool
    columns: pd.DataFrame


def classifier_drift(
    reference: pd.DataFrame,
    current: pd.DataFrame,
    columns: Sequence[Any] | None = None,
    *,
    folds: int = 5,
    permutations: int = 200,
    seed: int = 0,
    max_rows: int = 5000,
    categorical: Collection[Any] = (),
    alpha: float = 0.05,
) -> ClassifierDrift:
    """Can a model tell reference from current? It also sees a change that no single column shows.

    The features: numbers as normal scores of their ranks, categories as indicators (20 most frequent, from
    2 % of the rows), missing values as an indicator, and the products of every two columns. Each is weighted
    by the fifth power of its difference in standard errors, each pair of columns counting once: few clear
    differences outweigh many small ones. `auc` is out of fold. `p_value`: the share of `permutations` of the labels
    which the same model tells apart as well, on the rows it is fitted to; it is exact, since no feature
    depends on the labels. At most `max_rows` rows of each side, drawn by `seed`. Raises DriftError.
    """
    names = _columns(reference, current, columns)
    if lost := [name for name in names if name not in current]:
        raise DriftError(
            f"the current frame lacks {lost[0]!r}: repair the schema first, or leave it out by columns="
        )
    if min(len(reference), len(current)) < MIN_VALUES:
        raise DriftError(f"{len(reference)} and {len(current)} rows: a model needs {MIN_VALUES} of each")
    rng = np.random.default_rng(seed)
    parts = [
        frame[names].iloc[np.sort(rng.permutation(len(frame))[:max_rows])] for frame in (reference, current)
    ]
    rows = sum(map(len, parts))
    label = np.repeat([0.0, 1.0], [len(part) for part in parts]) - len(parts[1]) / rows
    labels = np.column_stack([label, *(rng.permutation(label) for _ in range(permutations))])
    fold, shuffled = rng.permutation(rows) % folds, rng.permutation(rows)
    blocks = {name: _features([part[name] for part in parts], name in categorical) for name in names}
    evidence, scores = np.zeros(permutations + 1), np.zeros(rows)
    change, best = {name: np.zeros(rows) for name in names}, dict.fromkeys(names, (0.0, ""))
    for one, other in [(a, b) for i, a in enumerate(names) for b in [None, *names[i:]]]:
        if other == one and blocks[one].shape[1] > 2:
            continue  # products of the indicators of one column say nothing new
        raw = _product(blocks, one, other)
        middle, spread = raw.mean(axis=0), raw.std(axis=0)
        varies = spread > 1e-9
        if not varies.any():
            continue

        def standard(values: Array, at: Array = varies, m: Array = middle, s: Array = spread) -> Array:
            return (values[:, at] - m[at]) / s[at]

        x = standard(raw)
        found = ((x.T @ labels / np.sqrt(label @ label)) ** 6).mean(axis=0)
        evidence += found
        weights = np.empty((rows, x.shape[1]))
        for k in range(folds):
            train = fold != k
            t = x[train].T @ label[train] / np.sqrt(label[train] @ label[train])
            weights[~train] = t**5 / len(t)
        part = (x * weights).sum(axis=1)
        scores += part
        for name in {one, other or one}:
            again = standard(_product(blocks, one, other, {name: shuffled}))
            change[name] += (again * weights).sum(axis=1) - part
            if found[0] > best[name][0]:
                best[name] = (found[0], "" if other in (None, one) else other if name == one else one)
    auc = _auc(scores, label)
    drop = [auc - _auc(scores + change[name], label) for name in names]
    told = pd.DataFrame({"column": names, "auc_drop": drop, "partner": [best[name][1] for name in names]})
    p = (1 + np.count_nonzero(evidence[1:] >= evidence[0] * (1 - 1e-9))) / (permutations + 1)
    told = told.sort_values("auc_drop", ascending=False, kind="stable", ignore_index=True)
    return ClassifierDrift(auc, float(p), bool(p <= alpha), told)


def _product(
    blocks: Mapping[Any, Array], one: Any, other: Any, order: Mapping[Any, Array] | None = None
) -> Array:
    """The features of one column, or the products of two columns' features; `order` shuffles rows of a column."""
    a, b = (
        blocks[name][order[name]] if order and name in order else blocks[name] for name in (one, other or one)
    )
    return a if other is None else (a[:, :, None] * b[:, None, :]).reshape(len(a), -1)


def _features(parts: list[pd.Series], coded: bool) -> Array:
    """Standardised features of one column over both frames, shape (rows, features)."""
    kinds = {_side(part) for part in parts} - {""}
    both = pd.concat(parts, ignore_index=True)
    if len(kinds) == 1 and kinds <= {"numeric", "date"} and not coded:
        values = _floats(both, *kinds)
        there = np.isfinite(values)
        block = np.zeros((len(both), 1))
        block[there, 0] = special.ndtri((stats.rankdata(values[there]) - 0.5) / there.sum())
    else:
        there = both.notna().to_numpy()
        text = both.map(str if len(kinds) == 1 else lambda value: type(value).__name__).to_numpy(object)
        levels = pd.Series(text[there]).value_counts()
        levels = levels.index[(levels >= 0.02 * len(both)).to_numpy()][:20]
        block = (text[:, None] == levels.to_numpy(object)) & there[:, None]
    block = np.column_stack([block, ~there]).astype(float)
    spread = block.std(axis=0)
    return ((block - block.mean(axis=0)) / np.where(spread > 0, spread, 1))[:, spread > 0]


def _auc(scores: Array, label: Array) -> float:
    """The probability that a current row (label above 0) has a higher score than one of the reference."""
    n, ranks = int((label > 0).sum()), stats.rankdata(scores)
    return float((ranks[label > 0].sum() - n * (n + 1) / 2) / (n * (len(label) - n)))


# ------------------------------------------------------------------------------------------ pictures
def plot_columns(
    reference: pd.DataFrame, current: pd.DataFrame, report: pd.DataFrame | None = None, n: int = 6
) -> Figure:
    """The reference against the current frame, a small panel for each of the `n` worst columns of `report`."""
    report = drift_report(reference, current) if report is None else report
    shown = report[report["column"].isin(list(current))].head(n)
    across = min(3, max(1, len(shown)))
    down = -(-max(1, len(shown)) // across)
    figure, axes = plt.subplots(down, across, figsize=(2.6 * across, 2.1 * down + 0.4), squeeze=False)
    for axis in axes.flat[len(shown) :]:
        axis.axis("off")
    for axis, (_, row) in zip(axes.flat, shown.iterrows(), strict=False):
        old, new = reference[row["column"]], current[row["column"]]
        if row["kind"] in ("numeric", "date"):
            r, c = _sorted(old, row["kind"]), _sorted(new, row["kind"])
            ends = [
                f([_quantile(v, q) for v in (r, c) if len(v)] or [0]) for f, q in ((min, 0.01), (max, 0.99))
            ]
            edges = np.linspace(ends[0], ends[1] if ends[1] > ends[0] else ends[0] + 1, 31)
            for values, colour, style, label in (
                (r, "blue", "-", "reference"),
                (c, "orange", "--", "current"),
            ):
                share = np.histogram(values, edges)[0] / max(1, len(values))
                axis.stairs(share, edges, color=PALETTE[colour], linestyle=style, linewidth=1.8, label=label)
        else:
            counts = _counts(old, new).head(8)
            at = np.arange(len(counts))
            for k, (side, colour) in enumerate(zip(_SIDES, ("blue", "orange"), strict=True)):
                share = counts[side] / max(1, (old, new)[k].notna().sum())
                axis.bar(
                    at + 0.4 * k,
                    share,
                    0.4,
                    color=PALETTE[colour],
                    hatch="//" * k,
                    edgecolor="white",
                    label=side,
                )
            axis.set_xticks(at + 0.2, [str(label)[:8] for label in counts.index], rotation=45, ha="right")
        axis.set_title(f"{row['column']}: {row['verdict']} ({row['effect']:.2f})", fontsize=9)
        axis.tick_params(labelsize=8)
    axes[0, 0].legend(fontsize=8)
    axes[0, 0].set_ylabel("share of rows")
    return figure


def plot_history(history: pd.DataFrame, value: str = "effect") -> Figure:
    """A heat map of `value`, columns × periods, from `drift_history`; a dot marks drift."""
    periods = list(dict.fromkeys(history["period"]))
    drift = history.pivot(index="column", columns="period", values="drift")[periods].astype(bool)
    table = history.pivot(index="column", columns="period", values=value)[periods].astype(float)
    order = table.max(axis=1).sort_values(ascending=False, kind="stable").index
    table, drift = table.loc[order], drift.loc[order]
    figure, axis = plt.subplots(figsize=(6.4, 1.2 + 0.3 * len(table)))
    image = axis.imshow(table, aspect="auto", cmap="cividis_r")
    y, x = np.nonzero(drift.to_numpy())
    axis.plot(x, y, "o", color=PALETTE["red"], markersize=4, markeredgecolor="white")
    axis.set_yticks(range(len(table)), [str(name) for name in table.index])
    every = -(-len(periods) // 12)
    axis.set_xticks(
        range(0, len(periods), every), [str(p) for p in periods[::every]], rotation=45, ha="right"
    )
    axis.grid(False)
    figure.colorbar(image, label=value)
    seen = drift.any()
    first = f", first {seen.idxmax()}" if seen.any() else ""
    axis.set_title(f"Drift in {int(seen.sum())} of {len(periods)} periods{first} (dots)")
    return figure
