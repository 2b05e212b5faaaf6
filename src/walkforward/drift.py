"""Drift: what changed between a reference and a current frame, said only when it is sure and when it matters.

Names, types, units: `schema_report`; each column: `drift_report`; all columns at once: `classifier_drift`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache
from itertools import combinations_with_replacement
from operator import itemgetter
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy import special, stats

from walkforward.errors import WalkForwardError
from walkforward.plots import PALETTE

Array, Frame = np.ndarray[Any, np.dtype[Any]], pd.DataFrame
Row = dict[str, Any]
THRESHOLDS = {"numeric": 0.06, "categorical": 0.08, "missing": 0.02}  # least effects: see `drift_report`
MIN_VALUES = (
    20  # with fewer on a side there is no verdict: most shifts of a standard deviation would be missed
)
MIN_MISSING = 5  # rows of the smaller side: a change of the missing share that is fewer does not count
UNITS = {1.609344: "miles, km", 1000: "thousands", 100: "percent, cents", 60: "minutes, seconds"}
UNITS |= {3.28084: "metres, feet", 2.204623: "kg, pounds", 2.54: "inches, cm", 3600: "hours, seconds"}
_SIDES = ("reference", "current")
_QUANTILES = {"q05": 0.05, "q50": 0.5, "q95": 0.95}
_PAIRS = [f"{name}_{side}" for name in ("n", "missing", "mean", "std", *_QUANTILES) for side in _SIDES]
_MEASURES = ["kind", *_PAIRS, "ks", "wasserstein", "psi", "js", "kl", "tv", "chi2"]
_TEST = ("test", "statistic", "p_value", "p_corrected", "effect", "threshold", "drift", "verdict", "reason")
_KINDS = dict.fromkeys(("integer", "floating", "mixed-integer-float", "decimal", *"iufm"), "numeric")
_KINDS |= dict.fromkeys(("datetime64", "datetime", "date", "M"), "date")
_KINDS |= {"boolean": "boolean", "b": "boolean", "string": "categorical"}
_WORDS = {"numeric": "numbers", "categorical": "text", "boolean": "booleans", "date": "dates", "": "nothing"}
_LIMIT = 1 / (np.arange(1, 101) * np.arange(2.0, 102))  # eigenvalues of A² without ties, the 100 largest
_ANGLES = (np.arange(128) + 0.5) / 128 * np.pi - np.pi / 2
_QUIET = np.errstate(over="ignore", invalid="ignore")  # numbers near 1e308 give infinite measures
_TINY = np.finfo(float).tiny  # the least p-value


class DriftError(WalkForwardError, ValueError):
    """The frames can't be compared; the message is one line: the value, the rule, the way out."""


def _require(rule: bool, message: str) -> None:
    if not rule:
        raise DriftError(message)


def drift_report(
    reference: Frame,
    current: Frame,
    columns: Sequence[Any] | None = None,
    alpha: float = 0.05,
    correction: str = "holm",
    *,
    categorical: Collection[Any] = (),
    thresholds: Mapping[str, float] | None = None,
    bins: int = 10,
) -> Frame:
    """Compare two frames column by column; a row per column of `reference` (or of `columns`), worst first.

    Columns: `column`, `kind` (numeric, categorical, boolean, date, mixed), rows `n_*`, share `missing_*`,
    `mean_*`, `std_*`, `q05_*`, `q50_*`, `q95_*` (dates: days since 1970), `ks`, `wasserstein` (in standard
    deviations of the reference), `psi`, `js` (distance, base 2), `kl` (nats, current from reference), `tv`,
    `chi2`, then `test`, `statistic`, `p_value`, `p_corrected`, `effect`, `threshold`, the boolean `drift`,
    the `verdict` and its `reason`. NaN: not defined here.

    Numbers and dates: Anderson and Darling's two-sample test (Scholz and Stephens 1987, ties as midranks)
    with the limit distribution that these ties give. Categories: chi-squared, or the category that moved
    most, whichever is clearer (doubled). A changed share of missing (and infinite) values is a hypothesis of
    its own. All p-values of the report are corrected together (`correction`: holm, bonferroni, none) for the
    error rate `alpha`. `drift` needs both: significance, and an effect of its threshold (default THRESHOLDS):
    `ks` for numbers; for categories `tv` less what chance alone brings; the difference of the missing shares,
    of MIN_MISSING rows at least. `verdict`: drift, no drift, significant but small, too few rows (under
    MIN_VALUES). Values of another type than the reference's, and a lost column, are drift without a test.

    psi, js, kl and tv of numbers count rows between `bins` quantiles of the reference; rare categories
    (under five rows expected on a side) are pooled for every measure; psi and kl take an empty bin as half
    a row. Numbers that are codes belong into `categorical`. Raises DriftError.
    """
    names = _columns(reference, current, columns)
    limits = {**THRESHOLDS, **(thresholds or {})}
    rules = ("holm", "bonferroni", "none")
    _require(correction in rules, f"correction={correction!r}: take holm, bonferroni or none")
    _require(0 < alpha < 1, f"alpha={alpha} is no error rate: take one between 0 and 1, for example 0.05")
    _require(bins > 1, f"bins={bins} compares nothing: take 2 or more, for example 10")
    unknown = [*(limits.keys() - THRESHOLDS), *(set(categorical) - set(reference))]
    kinds = ", ".join(THRESHOLDS)
    _require(not unknown, f"{unknown[:1]} is no column (categorical) or kind (thresholds: {kinds})")
    compared = [_compare(reference[a], current.get(a), a in categorical, limits, bins) for a in names]
    family = [test for _, tests in compared for test in tests if test["p_value"] == test["p_value"]]
    worst = 0.0
    for place, test in enumerate(sorted(family, key=itemgetter("p_value"))):  # Holm (1979) steps down
        times = {"holm": len(family) - place, "bonferroni": len(family), "none": 1}[correction]
        worst = test["p_corrected"] = min(1.0, max(worst, test["p_value"] * times))
    rows = [row | _verdict(row, tests, alpha, len(family)) for row, tests in compared]
    report = pd.DataFrame(rows, columns=["column", *_MEASURES, *_TEST])
    ratio = (report["effect"] / report["threshold"]).fillna(0)
    return report.iloc[np.lexsort([-ratio, ~report["drift"]])].reset_index(drop=True)


def drift_history(reference: Frame, periods: Mapping[Any, Frame], **as_report: Any) -> Frame:
    """`drift_report` of every period against the reference: its rows, with the column `period` in front."""
    _require(len(periods) > 0, "periods is empty: pass a mapping of names to frames, one at least")
    reports = [drift_report(reference, frame, **as_report) for frame in periods.values()]
    return pd.concat(reports, keys=periods, names=["period"]).reset_index(level=0).reset_index(drop=True)


def _columns(
    reference: Frame, current: Frame, columns: Sequence[Any] | None = None, shared: bool = True
) -> list[Any]:
    """The columns to compare, once it is sure that both are frames which can be (and share any)."""
    for frame, side in zip((reference, current), _SIDES, strict=True):
        kind = type(frame).__name__
        _require(isinstance(frame, Frame), f"{side} is a {kind}: pass a pandas DataFrame")
        doubled = list(frame.columns[frame.columns.duplicated()])
        _require(not doubled, f"{side} has two columns {doubled[:1]}: rename or drop one of them")
    names = list(reference.columns if columns is None else columns)
    lacking = [name for name in names if name not in reference]
    _require(not lacking, f"the reference has no column {lacking[:1]}: it has {list(reference)[:8]}")
    words = "the frames share no column: schema_report tells which were lost or renamed"
    _require(not shared or any(name in current for name in names), words)
    return names


def _side(values: pd.Series) -> str:
    """What one side holds: numeric, categorical, boolean, date, mixed, or "" when it holds no value."""
    if values.first_valid_index() is None:
        return ""
    if isinstance(values.dtype, pd.CategoricalDtype | pd.StringDtype):
        return "categorical"
    return _KINDS.get(values.dtype.kind) or _KINDS.get(pd.api.types.infer_dtype(values, skipna=True), "mixed")


def _test(name: str, statistic: float, p: float, effect: float, threshold: float, reason: str) -> Row:
    found = {"test": name, "statistic": statistic, "p_value": p, "p_corrected": np.nan}
    return found | {"effect": effect, "threshold": threshold, "reason": reason}


def _types(here: str, there: str) -> str:
    return f"{_WORDS.get(here, here)} in the reference, {_WORDS.get(there, there)} in the current frame"


def _missing(lost: Array, rows: Array, limit: float) -> Row:
    """The hypothesis that the share of missing values changed, from missing and all rows of both sides."""
    old, new = lost / rows.clip(1)
    p = max(stats.fisher_exact([lost, rows - lost]).pvalue, _TINY)
    limit = max(limit, MIN_MISSING / max(1, rows.min()))
    words = f"missing in {old:.1%} of the reference and {new:.1%} of the current rows"
    return _test("missing share (Fisher)", new - old, p, abs(new - old), limit, words)


@_QUIET
def _compare(
    old: pd.Series, new: pd.Series | None, coded: bool, limits: Mapping[str, float], bins: int
) -> tuple[Row, list[Row]]:
    """The measures of one column, and the hypotheses that its verdict stands on."""
    here, there = _side(old), "" if new is None else _side(new)
    row = {"column": old.name, "kind": here or there or "numeric", "n_reference": len(old), "n_current": 0}
    if new is None:
        return row, [_test("schema", np.nan, np.nan, 1, 0, "the current frame has no such column")]
    for side, values in zip(_SIDES, (old, new), strict=True):
        row |= {f"n_{side}": len(values), f"missing_{side}": values.isna().sum() / max(1, len(values))}
    if here and there and here != there:
        return row | {"kind": "mixed"}, [_test("schema", np.nan, np.nan, 1, 0, _types(here, there))]
    if row["kind"] in ("numeric", "date") and not coded:
        tests = [_numbers(row, old, new, limits["numeric"], bins)]
    else:
        row["kind"] = row["kind"] if row["kind"] in ("boolean", "mixed") else "categorical"
        tests = [_categories(row, old, new, limits["categorical"])]
    rows = np.array([len(old), len(new)])
    lost = np.rint(rows * [row[f"missing_{side}"] for side in _SIDES]).astype(int)
    if (rows - lost).min() < MIN_VALUES:
        tests[0]["p_value"] = np.nan
    if lost.any() and rows.min() >= MIN_VALUES:
        tests.append(_missing(lost, rows, limits["missing"]))
    return row, tests


def _numbers(row: Row, old: pd.Series, new: pd.Series, limit: float, bins: int) -> Row:
    """All measures of a numeric column, from one sort of each sample."""
    r, c = sides = [_sorted(side, row["kind"]) for side in (old, new)]
    for values, side in zip(sides, _SIDES, strict=True):
        row[f"missing_{side}"] = 1 - len(values) / max(1, row[f"n_{side}"])
        if len(values):
            row[f"mean_{side}"] = values.mean()
            row[f"std_{side}"] = values.std(ddof=1) if len(values) > 1 else np.nan
            row |= {f"{name}_{side}": _quantile(values, q) for name, q in _QUANTILES.items()}
    if not (len(r) and len(c)):
        return _test("none", np.nan, np.nan, np.nan, limit, "")
    row["ks"], where, area, statistic, p = _merged(r, c)
    row["wasserstein"] = area / row["std_reference"] if row["std_reference"] > 0 else np.inf if area else 0.0
    edges, times = np.unique([_quantile(r, k / bins) for k in range(1, bins)], return_counts=True)
    # an edge that stands twice is a value of many rows: a bin of its own
    cuts = [np.sort([*v.searchsorted(edges, "right"), *v.searchsorted(edges[times > 1])]) for v in sides]
    row |= _shares(*(np.diff(cut, prepend=0, append=len(v)) for cut, v in zip(cuts, sides, strict=True)))
    below = [v.searchsorted(where, "right") / len(v) for v in sides]
    words = f"{below[0]:.1%} of the reference and {below[1]:.1%} of the current values are at most "
    return _test("Anderson-Darling", statistic, p, row["ks"], limit, words + _shown(where, row["kind"]))


def _floats(values: pd.Series, kind: str) -> Array:
    """The values as numbers, NaN where missing; dates as days since 1970, durations as days."""
    if kind == "date":
        if not values.notna().any():  # of any type: an empty one says nothing
            return np.full(len(values), np.nan)
        values = (pd.to_datetime(values, utc=True) - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(days=1)
    elif values.dtype.kind == "m":
        values = values / pd.Timedelta(days=1)
    plain = isinstance(values.dtype, np.dtype) and values.dtype.kind in "iuf"
    return values.to_numpy() if plain else values.to_numpy(dtype="float64", na_value=np.nan)


def _sorted(values: pd.Series, kind: str) -> Array:
    """The finite values as float64 in ascending order, shape (n,)."""
    found = np.sort(_floats(values, kind)).astype("float64", copy=False)  # NaN goes behind infinity
    return found[found.searchsorted(-np.inf, "right") : found.searchsorted(np.inf)]


def _quantile(values: Array, q: float) -> float:
    """NumPy's linear quantile of values that are sorted already."""
    low, part = divmod(q * (len(values) - 1), 1)
    high = min(int(low) + 1, len(values) - 1)
    return float(values[int(low)] * (1 - part) + values[high] * part)


def _shown(value: float, kind: str) -> str:
    return f"{pd.Timestamp(value, unit='D'):%Y-%m-%d}" if kind == "date" else f"{value:.4g}"


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
    last, upto = both[1:] != both[:-1], None
    if last.all():
        weight = _weights(size)
    else:
        ends = np.append(np.flatnonzero(last), size - 1)
        both, gap, upto = both[ends], gap[ends], ends + 1.0
        if len(both) == 1:
            return 0.0, float(both[0]), 0.0, 0.0, 1.0
        height = np.diff(upto, prepend=0.0)
        weight = height / ((upto - height / 2) * (size - upto + height / 2) - height * (size / 4))
        upto = upto / size if height.max() > 0.01 * size else None  # fewer ties leave the limit as it is
    distance = np.abs(gap)
    at = int(distance.argmax())
    ks, area = distance[at] / n / m, float(distance[:-1] @ np.diff(both)) / n / m
    del distance
    gap[1:] += gap[:-1]
    statistic = float(weight @ np.square(gap, out=gap)) / 4 * (size - 1) / size / n / m
    p = _tail(statistic - 1 / 101, _LIMIT) if upto is None else _tail(statistic, _eigenvalues(upto))
    return float(ks), float(both[at]), area, statistic, p


@lru_cache(maxsize=1)
def _weights(size: int) -> Array:
    """The weights of A² without ties: the same for every column of a report."""
    upto = np.arange(0.5, size)
    return 1 / (upto * (size - upto) - size / 4)


def _eigenvalues(upto: Array) -> Array:
    """Of A²'s limit, a Brownian bridge's weighted squares; `upto`: shares of rows (64 of them are enough)."""
    upto = np.unique(upto[upto.searchsorted(np.linspace(1 / 64, 1, 64) - 1e-12).clip(max=len(upto) - 1)])
    height = np.diff(upto, prepend=0)
    root = np.sqrt(height / ((upto - height / 2) * (1 - upto + height / 2) - height / 4))
    bridge = np.pad(np.minimum.outer(upto, upto) - np.outer(upto, upto), (1, 0))
    mean = (bridge[1:, 1:] + bridge[:-1, :-1] + bridge[1:, :-1] + bridge[:-1, 1:]) / 4
    found = np.linalg.eigvalsh(root[:, None] * mean * root)[::-1]
    return found[found > 1e-9 * found[0]]


def _tail(x: float, eigenvalues: Array) -> float:
    """P(sum of eigenvalue × chi-squared(1) > x): Smirnov's integrals between the poles."""
    if len(eigenvalues) == 1:
        return float(np.clip(stats.chi2.sf(x / eigenvalues[0], 1), _TINY, 1))
    if len(eigenvalues) > 8 and x < 14 * eigenvalues[8]:
        return 1.0  # by 1 in 1,000; further left four integrals are not enough
    if len(eigenvalues) % 2:
        eigenvalues = np.append(eigenvalues, eigenvalues[-1] / 100)  # the last integral has no end
    p = 0.0
    for k in range(0, min(len(eigenvalues), 8), 2):
        low, high = 0.5 / eigenvalues[k : k + 2]
        t = (low + high) / 2 + (high - low) / 2 * np.sin(_ANGLES)
        others = np.abs(1 - 2 * np.outer(t, np.delete(eigenvalues, [k, k + 1]))).prod(axis=1)
        part = np.mean(np.exp(-t * max(x, 0)) / t / np.sqrt(others)) * np.sqrt(low * high)
        p += -part if k % 4 else part
    return float(np.clip(p, _TINY, 1))


def _categories(row: Row, old: pd.Series, new: pd.Series, limit: float) -> Row:
    """The measures of a categorical column, from its counts; the categories too rare to test are one."""
    counts = _counts(old, new)
    names, (a, b) = list(counts.index), counts.to_numpy(float).T
    n, m = a.sum(), b.sum()
    enough = 5 * (n + m) / max(1, min(n, m))
    kept = int((a + b >= enough).sum())  # the others stand behind
    if not (n and m and kept):
        return _test("none", np.nan, np.nan, np.nan, limit, "")
    if kept < len(a):
        kept -= kept > 1 and (a + b)[kept:].sum() < enough  # still too rare: one more joins them
        names = [*names[:kept], "(rare ones)"]
        a, b = (np.append(x[:kept], x[kept:].sum()) for x in (a, b))
    row |= _shares(a, b)
    part = (a + b) / (n + m)
    row["chi2"] = chi2 = float(((a - n * part) ** 2 / (n * part) + (b - m * part) ** 2 / (m * part)).sum())
    p = stats.chi2.sf(chi2, len(a) - 1) if len(a) > 1 else 1.0
    if len(a) == 2 and part.min() * min(n, m) < 5:
        p = stats.fisher_exact(np.array([a, b], dtype=int)).pvalue
    if len(a) > 2:
        # the likelihood ratio of each category against all others is right in the tail, a normal z is not
        cells = ((a, n * part), (n - a, n * (1 - part)), (b, m * part), (m - b, m * (1 - part)))
        single = 2 * sum(special.xlogy(x, np.where(x > 0, x / y, 1)) for x, y in cells)
        p = min(1.0, 2 * min(p, len(a) * stats.chi2.sf(single.max(), 1)))
    at = int(np.abs(a / n - b / m).argmax())
    chance = np.sqrt(part * (1 - part) * (1 / n + 1 / m) / (2 * np.pi)).sum()  # what tv is without any drift
    effect = float(np.sqrt(max(0.0, row["tv"] ** 2 - chance**2)))
    words = f"{names[at]!r}: {a[at] / n:.1%} of the reference and {b[at] / m:.1%} of the current values"
    return _test("chi-squared", chi2, float(max(p, _TINY)), effect, limit, words)


def _counts(old: pd.Series, new: pd.Series) -> Frame:
    """Rows of each category, columns reference and current, most frequent first."""
    try:
        sides = [side.value_counts(sort=False).to_dict() for side in (old, new)]
    except TypeError:  # lists and dicts have no hash
        sides = [side.dropna().map(repr).value_counts(sort=False).to_dict() for side in (old, new)]
    names = pd.Index(list(sides[0] | sides[1]), dtype=object, tupleize_cols=False)
    table = [[side.get(name, 0) for side in sides] for name in names]
    counts = pd.DataFrame(table, names, list(_SIDES), "int64")
    counts = counts[counts.any(axis=1)]  # a categorical type knows of more than there are
    return counts.iloc[np.argsort(-counts.sum(axis=1), kind="stable")]


def _shares(a: Array, b: Array) -> dict[str, float]:
    """psi, js, kl and tv of two rows of counts."""
    p, q = a / a.sum(), b / b.sum()
    some, other = (np.maximum(x, 0.5) / np.maximum(x, 0.5).sum() for x in (a, b))
    kl, back = special.rel_entr(other, some).sum(), special.rel_entr(some, other).sum()
    js = (special.rel_entr(p, (p + q) / 2) + special.rel_entr(q, (p + q) / 2)).sum() / 2 / np.log(2)
    return {"psi": kl + back, "js": max(js, 0.0) ** 0.5, "kl": kl, "tv": np.abs(p - q).sum() / 2}


def _verdict(row: Row, tests: list[Row], alpha: float, family: int) -> Row:
    """The hypothesis that decides about a column, with the verdict and its reason in words."""

    def rank(test: Row) -> tuple[bool, bool, bool, float]:
        """Drift first, then what can't be said, then the largest effect that is sure, or the least p."""
        sure, ratio = test["p_corrected"] < alpha, test["effect"] / (test["threshold"] or 1)
        drift = (sure or test["test"] == "schema") and test["effect"] >= test["threshold"]
        order = -ratio if sure else test["p_value"]
        return not drift, test["p_value"] == test["p_value"], not sure, order

    test = min(tests, key=rank)
    small, said, unsure, _ = rank(test)
    if not small:
        return test | {"drift": True, "verdict": "drift"}
    if said and not unsure:
        words = f"{test['effect']:.3f} < {test['threshold']:.3g}: {test['reason']}"
        return test | {"drift": False, "verdict": "significant but small", "reason": words}
    sizes = np.array([row[f"n_{side}"] * (1 - row[f"missing_{side}"]) for side in _SIDES])
    # the normal shift that a comparison of this size finds in four of five cases
    seen = (stats.norm.isf(alpha / 2 / max(1, family)) + 0.84) * np.sqrt((1 / sizes.clip(1)).sum())
    needed = f"{seen / 2:.0%} of the rows" if "chi2" in row else f"{seen:.2g} standard deviations"
    words = f"within chance (p = {test['p_corrected']:.2g}); a shift of {needed} would be seen"
    if not said:
        few = f"{sizes.min():.0f} values on a side (or each category is rare)"
        words = f"{few}: under {needed} nothing would be seen"
    return test | {"drift": False, "verdict": "no drift" if said else "too few rows", "reason": words}


def schema_report(reference: Frame, current: Frame) -> Frame:
    """What changed upstream, before any statistics: a row per change, none when nothing changed.

    Columns: `column`, `change` (renamed, lost, new, order, dtype, missing, unit, range, category),
    `reference`, `current`, `reason`. `renamed` and `unit` are guesses from names and values. `range` needs
    more values outside than chance brings (1 in 1,000), or a sign that the reference never has; dates move
    on, so only those before the reference count. Raises DriftError.
    """
    _columns(reference, current, shared=False)
    rows, partner = [], {name: name for name in reference if name in current}
    lost = [name for name in reference if name not in current]
    new = [name for name in current if name not in reference]
    guesses = ((_alike(reference[a], current[b]), a, b) for a in lost for b in new)
    for score, a, b in sorted(guesses, key=itemgetter(0)):
        if score < -0.6 and a not in partner and b not in partner.values():
            rows.append((b, "renamed", a, b, "name and values are alike: a guess"))
            partner[a] = b
    no_such = ("the current frame has no such column", "the reference has no such column")
    rows += [(a, "lost", reference[a].dtype, "", no_such[0]) for a in lost if a not in partner]
    rows += [(b, "new", "", current[b].dtype, no_such[1]) for b in new if b not in partner.values()]
    before, after = [a for a in reference if a in partner], [b for b in current if b in partner.values()]
    if [partner[a] for a in before] != after:
        rows.append(("", "order", before, after, "whoever takes columns by position reads the wrong one"))
    rows += [(b, *change) for a, b in partner.items() for change in _changes(reference[a], current[b])]
    report = pd.DataFrame(rows, columns=["column", "change", "reference", "current", "reason"])
    return report.assign(**{side: report[side].astype(str) for side in _SIDES})


def _alike(old: pd.Series, new: pd.Series) -> float:
    """Minus the likeness of two columns, 0 to -1: half the names', half the values'."""
    row, _ = _compare(old.head(10_000), new.head(10_000), False, THRESHOLDS, 10)
    names = [str(side.name).lower().replace("_", "") for side in (old, new)]
    distance = row.get("ks", row.get("tv", 1.0))
    return 0.0 if distance > 0.5 else (distance - 1 - SequenceMatcher(None, *names).ratio()) / 2


@_QUIET
def _changes(old: pd.Series, new: pd.Series) -> list[tuple[str, Any, Any, str]]:
    """The changes of one column: kind of change, reference, current, reason."""
    here, there, found = _side(old), _side(new), []
    if old.dtype != new.dtype or (here and there and here != there):
        words = _types(here, there)
        if (here, there) == ("numeric", "categorical"):
            read = pd.to_numeric(new.dropna().astype(str), errors="coerce").notna().mean()
            words += f": {read:.0%} of the text can be read as numbers"
        found.append(("dtype", old.dtype, new.dtype, words))
    lost, rows = np.array([[side.isna().sum(), len(side)] for side in (old, new)]).T
    test = _missing(lost, rows, THRESHOLDS["missing"])
    if test["effect"] >= test["threshold"] and test["p_value"] < 0.001:
        shares = [f"{share:.1%}" for share in lost / rows]
        found.append(("missing", *shares, "the share of missing values changed"))
    if here != there or not here:
        return found
    if here not in ("numeric", "date"):
        counts = _counts(old, new)
        known, unseen = counts[counts["reference"] > 0], counts[counts["reference"] == 0]
        if len(unseen) and len(known) < len(old) / 2:  # else every row has a value of its own
            share = unseen["current"].sum() / counts["current"].sum()
            names = ", ".join(map(str, unseen.index[:5])) + ", …" * (len(unseen) > 5)
            words = f"never seen before, in {share:.1%} of the rows"
            found.append(("category", f"{len(known)} categories", names, words))
        return found
    r, c = _sorted(old, here), _sorted(new, here)
    if not (len(r) and len(c)):
        return found
    if here == "numeric" and min(len(r), len(c)) >= MIN_VALUES and (words := _unit(r, c)):
        return [*found, ("unit", f"median {_quantile(r, 0.5):.4g}", f"median {_quantile(c, 0.5):.4g}", words)]
    limits = [f"{_shown(v[0], here)} to {_shown(v[-1], here)}" for v in (r, c)]
    below, above = int(c.searchsorted(r[0])), len(c) - int(c.searchsorted(r[-1], "right"))
    for count, way in ((below, "below"), (0 if here == "date" else above, "above")):
        if count and ((len(c) / (len(r) + len(c))) ** count < 0.001 or (way == "below" and c[0] < 0 <= r[0])):
            found.append(("range", *limits, f"{count:,} values {way} all of the reference"))
    return found


def _unit(r: Array, c: Array) -> str:
    """The factor of UNITS that explains nearly all of the difference of two sorted samples, in words."""
    old, new = (np.quantile(np.abs(v), [0.5, 0.9]) for v in (r, c))
    limit = min(0.06, _merged(r, c)[0] / 5)
    for factor, name in UNITS.items():
        for times, sign in ((factor, "×"), (1 / factor, "÷")):
            near = old[1] > 0 and np.all(np.abs(new / times / np.maximum(old, _TINY) - 1) < 0.1)
            if near and _merged(r * times, c)[0] < limit:
                return f"the values are {sign} {factor:g}: another unit ({name})? A guess"
    return ""


@dataclass(frozen=True)
class ClassifierDrift:
    """Whether a model tells the frames apart (`auc`: on rows it was not fitted to), and what it goes by."""

    auc: float
    p_value: float
    drift: bool
    columns: Frame  # column, auc_drop when it is shuffled, the partner with which it tells most ("": alone)


def classifier_drift(
    reference: Frame,
    current: Frame,
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

    Features: numbers as normal scores of their ranks, categories as indicators (the 20 most frequent, from
    2 % of the rows on), missing values as an indicator, and the products of every two columns. A feature
    weighs the fifth power of its difference in standard errors, and every pair of columns counts once: a
    few clear differences outweigh many small ones. `auc` is out of fold. `p_value`: in which share of
    `permutations` of the labels the same model tells the rows it is fitted to apart as well; it is exact,
    because no feature depends on the labels. At most `max_rows` of each side, drawn by `seed`.
    Raises DriftError.
    """
    from sklearn.metrics import roc_auc_score

    names = _columns(reference, current, columns)
    lost = [name for name in names if name not in current]
    _require(not lost, f"the current frame lacks {lost[:1]}: see schema_report, or leave it out (columns=)")
    sizes = len(reference), len(current)
    words = f"{sizes[0]} and {sizes[1]} rows: a model needs {MIN_VALUES} on each side"
    _require(min(sizes) >= MIN_VALUES, words)
    rng = np.random.default_rng(seed)
    parts = [frame.iloc[np.sort(rng.permutation(len(frame))[:max_rows])] for frame in (reference, current)]
    label = np.repeat([0.0, 1.0], [len(part) for part in parts])
    rows, label = len(label), label - label.mean()
    labels = np.column_stack([label, *(rng.permutation(label) for _ in range(permutations))])
    fold, shuffle = rng.permutation(rows) % folds, rng.permutation(rows)
    blocks = {name: _features([part[name] for part in parts], name in categorical) for name in names}
    blocks[None] = np.ones((rows, 1))
    evidence, scores = np.zeros(permutations + 1), np.zeros(rows)
    shuffled, best = {name: np.zeros(rows) for name in names}, dict.fromkeys(names, (0.0, ""))
    for a, b in [*((name, None) for name in names), *combinations_with_replacement(names, 2)]:
        if a == b and blocks[a].shape[1] > 2:
            continue  # the products of one column's indicators say nothing new
        x = _products(blocks[a], blocks[b])
        middle, spread = x.mean(axis=0), x.std(axis=0)
        keep = spread > 1e-9
        x = (x - middle)[:, keep] / spread[keep]
        found = ((x.T @ labels / np.sqrt(label @ label)) ** 6).sum(axis=0) / max(1, keep.sum())
        evidence += found
        weight = np.empty_like(x)
        for k in range(folds):
            train = fold != k
            difference = x[train].T @ label[train] / np.sqrt(label[train] @ label[train])
            weight[~train] = difference**5 / max(1, keep.sum())
        score = (x * weight).sum(axis=1)
        scores += score
        for name, partner in ({a: b} if b is None else {a: b, b: a}).items():
            again = _products(*(blocks[n][shuffle] if n == name else blocks[n] for n in (a, b)))
            shuffled[name] += ((again - middle)[:, keep] / spread[keep] * weight).sum(axis=1) - score
            best[name] = max(
                best[name], (found[0], "" if partner in (None, name) else partner), key=itemgetter(0)
            )
    auc = roc_auc_score(label > 0, scores)
    drop = [auc - roc_auc_score(label > 0, scores + shuffled[name]) for name in names]
    told = pd.DataFrame({"column": names, "auc_drop": drop, "partner": [best[name][1] for name in names]})
    told = told.sort_values("auc_drop", ascending=False, kind="stable", ignore_index=True)
    p = (1 + np.count_nonzero(evidence[1:] >= evidence[0] * (1 - 1e-9))) / (permutations + 1)
    return ClassifierDrift(auc, float(p), bool(p <= alpha), told)


def _products(a: Array, b: Array) -> Array:
    return (a[:, :, None] * b[:, None, :]).reshape(len(a), -1)


def _features(parts: list[pd.Series], coded: bool) -> Array:
    """Standardised features of one column over both frames, shape (rows, features)."""
    kinds = {_side(part) for part in parts} - {""}
    both = pd.concat(parts, ignore_index=True)
    if len(kinds) == 1 and kinds <= {"numeric", "date"} and not coded:
        values = _floats(both, *kinds)
        there, block = np.isfinite(values), np.zeros((len(both), 1))
        block[there, 0] = special.ndtri((stats.rankdata(values[there]) - 0.5) / max(1, there.sum()))
    else:
        there = both.notna().to_numpy()
        text = both.map(str if len(kinds) < 2 else lambda value: type(value).__name__).to_numpy(object)
        counts = pd.Series(text[there], dtype=object).value_counts()
        levels = counts.index[counts >= 0.02 * len(both)][:20].to_numpy(object)
        block = (text[:, None] == levels) & there[:, None]
    block = np.column_stack([block, ~there]).astype(float)
    spread = block.std(axis=0)
    return ((block - block.mean(axis=0)) / np.where(spread > 0, spread, 1))[:, spread > 0]


def plot_columns(reference: Frame, current: Frame, report: Frame | None = None, n: int = 6) -> plt.Figure:
    """Reference against current: a small panel for each of the `n` worst columns of `report`."""
    report = drift_report(reference, current) if report is None else report
    shown = report[report["column"].isin(list(current))].head(n)
    _require(len(shown) > 0, "nothing to show: pass the frames that the report compared, and n of 1 or more")
    across, down = min(3, len(shown)), -(-len(shown) // 3)
    figure = plt.figure(figsize=(2.6 * across, 2.1 * down + 0.4), layout="constrained")
    colors = [PALETTE["blue"], PALETTE["orange"]]
    for place, row in enumerate(shown.to_dict("records"), 1):
        axis = figure.add_subplot(down, across, place)
        sides = [reference[row["column"]], current[row["column"]]]
        if row["kind"] in ("numeric", "date"):
            values = [_sorted(side, row["kind"]) for side in sides]
            ends = [_quantile(v, q) for v in values if len(v) for q in (0.01, 0.99)]
            edges = np.histogram_bin_edges(ends, 30)
            for v, side, color, style in zip(values, _SIDES, colors, ("-", "--"), strict=True):
                share = np.histogram(v, edges)[0] / max(1, len(v))
                axis.stairs(share, edges, color=color, linestyle=style, linewidth=1.8, label=side)
        else:
            counts = _counts(*sides).rename(lambda name: str(name)[:10])
            shares = counts / counts.sum().clip(lower=1)
            moved = shares.diff(axis=1)["current"].abs().argsort(kind="stable")[::-1][:8]
            shares.iloc[moved].plot.bar(ax=axis, color=colors, width=0.8, rot=45, legend=False)
        gone = f"missing {row['missing_reference']:.0%} → {row['missing_current']:.0%}"
        said = gone if row["test"].startswith("missing") else f"{row['verdict']} ({row['effect']:.2f})"
        axis.set_title(f"{row['column']}: {said}", fontsize=9)
        axis.tick_params(labelsize=8)
    figure.supylabel("share of rows", fontsize=9)
    figure.legend(*axis.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def plot_history(history: Frame, value: str = "effect") -> plt.Figure:
    """A heat map of `value`, columns × periods, from `drift_history`; a dot marks drift."""
    periods = list(dict.fromkeys(history["period"]))
    table = history.pivot(index="column", columns="period", values=[value, "drift"]).astype(float)
    order = table[value].max(axis=1).sort_values(ascending=False, kind="stable").index
    shades, drift = (table.loc[order, name][periods] for name in (value, "drift"))
    figure, axis = plt.subplots(figsize=(6.4, 1.3 + 0.3 * len(order)), layout="constrained")
    figure.colorbar(axis.imshow(shades, aspect="auto", cmap="cividis_r"), label=value)
    y, x = np.nonzero(drift.to_numpy() > 0)
    axis.plot(x, y, "o", color=PALETTE["red"], markersize=4, markeredgecolor="white")
    every = -(-len(periods) // 12)
    axis.set_xticks(range(0, len(periods), every), map(str, periods[::every]), rotation=45, ha="right")
    axis.set_yticks(range(len(order)), map(str, order))
    axis.grid(False)
    seen = [str(period) for period in periods if drift[period].any()]
    first = f", first in {seen[0]}" if seen else ""
    axis.set_title(f"Drift (dots) in {len(seen)} of {len(periods)} periods{first}")
    return figure
