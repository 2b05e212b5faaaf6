"""Column by column: what moved, said only when it is sure and when it matters."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from numbers import Integral, Real
from operator import itemgetter
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from walkforward.drift.columns import Column, column_of
from walkforward.drift.compare import MEASURES, compare
from walkforward.drift.dependence import alike_neighbours, in_blocks
from walkforward.drift.frames import (
    MIN_VALUES,
    SIDES,
    DriftWarning,
    Frame,
    fraction,
    names_of,
    place_of,
    printed,
    require,
    several,
)
from walkforward.drift.measures import THRESHOLDS, Row

_TEST = ("test", "statistic", "p_value", "p_corrected", "effect", "threshold", "drift", "verdict", "reason")
_RULES = ("holm", "bonferroni", "none")


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
    time: Any = None,
    block: Any = None,
) -> Frame:
    """Compare two frames column by column.

    Drift needs both, significance and an effect of its threshold; values of another type and a lost column
    are drift without a test. Numbers and dates: Anderson and Darling's two-sample test (Scholz and Stephens
    1987, ties as midranks) with the limit distribution that these ties give; the effect is `ks`. Categories:
    chi-squared, or the category that moved most, whichever is clearer (doubled); the effect is `tv` less what
    chance alone brings. Where every category is rare: the share of levels that one side has alone, against
    what shuffling brings. A changed share of missing (and infinite) values is a hypothesis of its own.

    Where that is no drift, single shares are tested with EXTRA of `alpha` on top: each category, new or rare
    ones too, levels that one side has alone, and the outer 2.5 % of numbers. A category counts when it gains
    or loses half of its smaller share and the threshold `level`, a common one from `categorical` on.

    Not seen: what leaves the distribution of each column as it is (`classifier_drift`), the relation to an
    outcome, a change inside the outer 2.5 %, and any effect under its threshold.

    Args:
        reference: DataFrame of (rows, columns).
        current: The same columns, later.
        columns: Those to compare; default all of the reference.
        alpha: Error rate of the whole report; default 0.05.
        correction: Of all its p-values together: `holm` (Holm 1979, default), `bonferroni` or `none`.
        categorical: Columns whose numbers are codes.
        thresholds: Least effects that count, as shares, by kind; the others as in THRESHOLDS. All but
            `numeric` and `categorical` also need MIN_MISSING rows of the smaller side.
        bins: Quantiles of the reference between which psi, js, kl and tv of numbers count; default 10.
        time: The column of the rows' dates, which is not compared: rows in time resemble their neighbours or
            follow a season, and alarm without drift unless the tests take whole blocks of them.
        block: The stretch within which rows belong together, best a whole season: a number of rows, in order,
            or with `time` a length ("7D"). Default: none without `time`, else a week, or the rows of one date
            where dates lie further apart. Rows behind the last whole block are left out.

    Returns:
        A row per column, worst first: `column`, `kind` (numeric, categorical, boolean, date, mixed); of each
        side rows `n_*`, share `missing_*`, `mean_*`, `std_*`, `q05_*`, `q50_*`, `q95_*` (dates: days since
        1970); `ks`, `wasserstein` (in standard deviations of the reference), `psi`, `js` (distance, base 2),
        `kl` (nats, current from reference), `tv`, `chi2`; then `test`, `statistic`, `p_value`, `p_corrected`,
        `effect`, `threshold`, the boolean `drift`, the `verdict` (drift, no drift, significant but small, too
        few rows: under MIN_VALUES) and its `reason`. NaN: not defined here.

    Raises:
        DriftError: A frame or an argument does not fit.

    Warns:
        DriftWarning: Neighbouring rows are alike, and neither `time` nor `block` says so.

    >>> rows = pd.DataFrame({"km": range(150)}).sample(frac=1, random_state=0)
    >>> report = drift_report(rows[rows["km"] < 100], rows[rows["km"] >= 50])
    >>> report.loc[0, ["column", "test", "verdict"]].tolist()
    ['km', 'Anderson-Darling', 'drift']
    """
    limits = _limits(thresholds)
    require(
        isinstance(correction, str) and correction in _RULES,
        f"correction={correction!r}: take holm, bonferroni or none",
    )
    alpha = fraction("alpha", alpha)
    counts = isinstance(bins, Integral) and not isinstance(bins, bool)
    require(counts and bins > 1, f"bins={bins!r} compares nothing: take 2 or more, for example 10")
    names = names_of(reference, current, columns)
    coded = several("categorical", categorical)
    unknown = [name for name in coded if place_of(reference, name) is None]
    require(not unknown, f"categorical names {unknown[:1]}, which is no column of the reference")
    if columns is None and time is not None:
        names = [name for name in names if name != time]
        require(bool(names), f"time={time!r} is the only column: there is nothing to compare")
    reference, current, blocks = in_blocks(reference, current, time, block)
    sides = [_sides(reference, current, name, name in coded) for name in names]
    if blocks is None:
        _warn_of_neighbours([side for pair in sides for side in pair if side is not None], 2 * len(names))
    compared = [compare(old, new, limits, bins, blocks) for old, new in sides]
    family = [test for _, tests, _ in compared for test in tests if test["p_value"] == test["p_value"]]
    worst = 0.0
    for place, test in enumerate(sorted(family, key=itemgetter("p_value"))):  # Holm (1979) steps down
        times = {"holm": len(family) - place, "bonferroni": len(family), "none": 1}[correction]
        worst = test["p_corrected"] = min(1.0, max(worst, test["p_value"] * times))
    for claim in (claim for _, _, claims in compared for claim in claims):
        claim["p_corrected"] = min(1.0, claim["p_value"] * (1 if correction == "none" else len(family)))
    rows = [row | _verdict(row, tests, claims, alpha, len(family)) for row, tests, claims in compared]
    report = pd.DataFrame(rows, columns=["column", *MEASURES, *_TEST])
    ratio = (report["effect"] / report["threshold"]).fillna(0)
    return report.iloc[np.lexsort([-ratio, ~report["drift"]])].reset_index(drop=True)


def drift_history(reference: Frame, periods: Mapping[Any, Frame], **as_report: Any) -> Frame:
    """Compare every period with the reference.

    Args:
        reference: DataFrame of (rows, columns).
        periods: Frames by the name of their period, one at least.
        **as_report: Arguments of `drift_report`, the same for all.

    Returns:
        The rows of each `drift_report`, with the column `period` in front.

    Raises:
        DriftError: `periods` is no mapping or empty, or as in `drift_report`.

    >>> rows = pd.DataFrame({"km": range(150)}).sample(frac=1, random_state=0)
    >>> months = {"2020-01": rows, "2020-02": rows[rows["km"] >= 75]}
    >>> drift_history(rows, months)[["period", "column", "drift"]].to_numpy().tolist()
    [['2020-01', 'km', False], ['2020-02', 'km', True]]
    """
    kind = type(periods).__name__
    require(isinstance(periods, Mapping), f"periods is a {kind}: pass a mapping of names to frames")
    require(len(periods) > 0, "periods is empty: pass a mapping of names to frames, one at least")
    reports = [drift_report(reference, frame, **as_report) for frame in periods.values()]
    for name, report in zip(periods, reports, strict=True):
        report.insert(0, "period", [name] * len(report))
    return pd.concat(reports, ignore_index=True)


def _limits(thresholds: Mapping[str, float] | None) -> dict[str, float]:
    given = {} if thresholds is None else thresholds
    kinds = ", ".join(THRESHOLDS)
    require(isinstance(given, Mapping), f"thresholds={given!r}: pass a mapping of {kinds} to least effects")
    for kind, least in given.items():
        require(kind in THRESHOLDS, f"thresholds: {kind!r} is no kind (it has {kinds})")
        fits = isinstance(least, Real) and not isinstance(least, bool) and 0 <= least < np.inf
        require(fits, f"thresholds: {kind!r} is {least!r}: pass a least effect, such as {THRESHOLDS[kind]}")
    return {**THRESHOLDS, **given}


def _sides(reference: Frame, current: Frame, name: Any, coded: bool) -> tuple[Column, Column | None]:
    """The column of both frames; what is a category on one side is one on both."""
    old = column_of(reference, name)
    new = None if place_of(current, name) is None else column_of(current, name)
    coded = coded or old.coded or (new is not None and new.coded)
    return replace(old, coded=coded), None if new is None else replace(new, coded=coded)


def _verdict(row: Row, tests: list[Row], claims: list[Row], alpha: float, family: int) -> Row:
    """The hypothesis that decides about a column, with the verdict and its reason in words."""

    def sure(test: Row) -> bool:
        return test["p_corrected"] < alpha

    def drifted(test: Row) -> bool:
        return (sure(test) or test["test"] == "schema") and test["effect"] >= test["threshold"]

    def told(test: Row) -> bool:
        return test["p_value"] == test["p_value"]  # else too few rows, or nothing to test

    def order(test: Row) -> tuple[bool, bool, bool, float]:
        """Drift first, then what can't be said, then the largest effect that is sure, or the least p."""
        last = -test["effect"] / (test["threshold"] or 1) if sure(test) else test["p_value"]
        return not drifted(test), told(test), not sure(test), last

    main = min(tests, key=order)
    claim = min(claims, key=order, default=main)
    if drifted(main) or drifted(claim):
        return (main if drifted(main) else claim) | {"drift": True, "verdict": "drift"}
    if sure(main) and told(main):
        words = f"{main['effect']:.3f} < {main['threshold']:.3g}: {main['reason']}"
        return main | {"drift": False, "verdict": "significant but small", "reason": words}
    sizes = np.array([row[f"n_{side}"] * (1 - row[f"missing_{side}"]) for side in SIDES])
    # the normal shift that a comparison of this size finds in four of five cases
    error = np.sqrt((main["design"] / sizes.clip(1)).sum())
    seen = (stats.norm.isf(alpha / 2 / max(1, family)) + 0.84) * error
    measured = row["kind"] in ("numeric", "date")
    needed = f"{seen:.2g} standard deviations" if measured else f"{min(1, seen / 2):.0%} of the rows"
    if told(main):
        words = f"within chance (p = {main['p_corrected']:.2g}); a shift of {needed} would be seen"
        return main | {"drift": False, "verdict": "no drift", "reason": words}
    words = f"{sizes.min():.0f} values on a side: under {needed} nothing would be seen"
    reason = main["reason"] if sizes.min() >= MIN_VALUES else words
    return main | {"drift": False, "verdict": "too few rows", "reason": reason}


def _warn_of_neighbours(columns: list[Column], tests: int) -> None:
    alike = list(dict.fromkeys(alike_neighbours(columns, tests)))
    if not alike:
        return
    words = f"neighbouring rows are alike in {', '.join(map(printed, alike[:5]))}: p-values of"
    words += " independent rows are too small for them; pass time= (a column of dates) or block= (rows), or"
    words += " shuffle rows that were only sorted: reference.sample(frac=1)"
    warnings.warn(words, DriftWarning, stacklevel=3)
