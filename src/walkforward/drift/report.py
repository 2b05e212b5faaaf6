"""Column by column: what moved, said only when it is sure and when it matters."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from operator import itemgetter
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from walkforward.drift.frames import SIDES, Frame, names_of, require
from walkforward.drift.hypotheses import MEASURES, THRESHOLDS, Row, compare

TEST = ("test", "statistic", "p_value", "p_corrected", "effect", "threshold", "drift", "verdict", "reason")


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
    names = names_of(reference, current, columns)
    limits = {**THRESHOLDS, **(thresholds or {})}
    rules = ("holm", "bonferroni", "none")
    require(correction in rules, f"correction={correction!r}: take holm, bonferroni or none")
    require(0 < alpha < 1, f"alpha={alpha} is no error rate: take one between 0 and 1, for example 0.05")
    require(bins > 1, f"bins={bins} compares nothing: take 2 or more, for example 10")
    unknown = [*(limits.keys() - THRESHOLDS), *(set(categorical) - set(reference))]
    kinds = ", ".join(THRESHOLDS)
    require(not unknown, f"{unknown[:1]} is no column (categorical) or kind (thresholds: {kinds})")
    compared = [compare(reference[a], current.get(a), a in categorical, limits, bins) for a in names]
    family = [test for _, tests in compared for test in tests if test["p_value"] == test["p_value"]]
    worst = 0.0
    for place, test in enumerate(sorted(family, key=itemgetter("p_value"))):  # Holm (1979) steps down
        times = {"holm": len(family) - place, "bonferroni": len(family), "none": 1}[correction]
        worst = test["p_corrected"] = min(1.0, max(worst, test["p_value"] * times))
    rows = [row | _verdict(row, tests, alpha, len(family)) for row, tests in compared]
    report = pd.DataFrame(rows, columns=["column", *MEASURES, *TEST])
    ratio = (report["effect"] / report["threshold"]).fillna(0)
    return report.iloc[np.lexsort([-ratio, ~report["drift"]])].reset_index(drop=True)


def drift_history(reference: Frame, periods: Mapping[Any, Frame], **as_report: Any) -> Frame:
    """`drift_report` of every period against the reference: its rows, with the column `period` in front."""
    require(len(periods) > 0, "periods is empty: pass a mapping of names to frames, one at least")
    reports = [drift_report(reference, frame, **as_report) for frame in periods.values()]
    return pd.concat(reports, keys=periods, names=["period"]).reset_index(level=0).reset_index(drop=True)


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
    sizes = np.array([row[f"n_{side}"] * (1 - row[f"missing_{side}"]) for side in SIDES])
    # the normal shift that a comparison of this size finds in four of five cases
    seen = (stats.norm.isf(alpha / 2 / max(1, family)) + 0.84) * np.sqrt((1 / sizes.clip(1)).sum())
    needed = f"{seen / 2:.0%} of the rows" if "chi2" in row else f"{seen:.2g} standard deviations"
    words = f"within chance (p = {test['p_corrected']:.2g}); a shift of {needed} would be seen"
    if not said:
        few = f"{sizes.min():.0f} values on a side (or each category is rare)"
        words = f"{few}: under {needed} nothing would be seen"
    return test | {"drift": False, "verdict": "no drift" if said else "too few rows", "reason": words}
