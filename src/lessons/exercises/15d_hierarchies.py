"""Exercises of lesson 15d: forecasts that don't add up are found, and a gap is shared."""

import numpy as np
import pandas as pd

from course.exercise import also_right, checks, right, wrong

# --- incoherent -------------------------------------------------------------------------------------------------------


@right
def incoherent(forecasts, children, tolerance=0.01):
    """Return the largest gap of each sum that doesn't add up, as a Series: sum → gap, the largest first.

    `forecasts`: a DataFrame, a row for each day and a column for each series. `children`: sum → list of its parts.
    A day's gap is the size of the sum minus its parts, infinity when one of these numbers is missing. Leave out
    the sums whose largest gap is at most `tolerance`.
    """
    gaps = {}
    for name, parts in children.items():
        gap = (forecasts[name] - forecasts[parts].sum(axis=1, skipna=False)).abs()
        gaps[name] = gap.fillna(np.inf).max()
    found = pd.Series(gaps, dtype=float)
    return found[found > tolerance].sort_values(ascending=False)


@also_right(incoherent)
def adds_with_numpy(forecasts, children, tolerance=0.01):
    largest = {}
    for name, parts in children.items():
        gap = np.abs(forecasts[name].to_numpy() - forecasts[parts].to_numpy().sum(axis=1))
        largest[name] = np.where(np.isnan(gap), np.inf, gap).max()
    order = sorted(largest, key=largest.get, reverse=True)
    return pd.Series({name: largest[name] for name in order if largest[name] > tolerance}, dtype=float)


@also_right(incoherent)
def walks_day_by_day(forecasts, children, tolerance=0.01):
    found = {}
    for name, parts in children.items():
        largest = 0.0
        for _, day in forecasts.iterrows():
            gap = abs(day[name] - sum(day[part] for part in parts))
            largest = max(largest, float("inf") if gap != gap else gap)
        if largest > tolerance:
            found[name] = largest
    return pd.Series(dict(sorted(found.items(), key=lambda pair: -pair[1])), dtype=float)


def _week(**columns):
    return pd.DataFrame(columns, pd.date_range("2016-08-01", periods=3), dtype=float)


def _gaps(answer, forecasts, children, *options):
    kept = forecasts.copy()
    try:
        found = pd.Series(answer(forecasts, children, *options), dtype=float).to_dict()
    except (TypeError, ValueError) as error:
        raise AssertionError(f"return a Series of numbers, named by the sums ({error})") from None
    assert forecasts.equals(kept), "the forecasts are no longer what they were: don't change them"
    return found


def _same(found, wanted, why):
    assert list(found) == list(wanted) and np.allclose(list(found.values()), list(wanted.values())), (
        f"{why}: {wanted}; you returned {found}"
    )


TREE = {"city": ["east", "west"], "east": ["a", "b"]}


@checks(incoherent)
def names_the_sum_that_is_off(answer):
    """Which sums have a gap above the tolerance? What adds up is not in the answer."""
    week = _week(city=[10, 10, 10], east=[4, 4, 4], west=[6, 6, 5], a=[1, 2, 3], b=[3, 2, 1])
    _same(_gaps(answer, week, TREE), {"city": 1.0}, "the city is 1 above its parts on the third day")


@checks(incoherent)
def a_gap_has_no_sign(answer):
    """Do a day of +2 and a day of -2 cancel? Two plans differ on both days."""
    week = _week(city=[12, 8, 10], east=[4, 4, 4], west=[6, 6, 6], a=[2, 2, 2], b=[2, 2, 2])
    _same(_gaps(answer, week, TREE), {"city": 2.0}, "the city is 2 above, then 2 below")
    week["city"] = [7.0, 10.0, 10.0]
    _same(_gaps(answer, week, TREE), {"city": 3.0}, "the city is 3 below on the first day")


@checks(incoherent)
def the_largest_first(answer):
    """In which order does the reader want them? The sums as they come are no order of urgency."""
    week = _week(city=[10, 10, 11], east=[4, 4, 4], west=[6, 6, 6], a=[1, 2, 0], b=[3, 2, 1])
    _same(_gaps(answer, week, TREE), {"east": 3.0, "city": 1.0}, "east is 3 off, the city 1")


@checks(incoherent)
def a_missing_part_is_no_zero(answer):
    """What does `sum` do with a missing number? A gate that takes it for zero lets the hole through."""
    week = _week(city=[10, 10, 4], east=[4, 4, 4], west=[6, 6, None], a=[2, 2, 2], b=[2, 2, 2])
    _same(_gaps(answer, week, TREE), {"city": np.inf}, "west is missing on the third day")


@checks(incoherent)
def the_tolerance_counts(answer):
    """How large a gap is allowed? Forecasts that were rounded to two digits are a little off."""
    week = _week(city=[10, 10, 10.25], east=[4, 4, 4], west=[6, 6, 6], a=[2, 2, 2], b=[2, 2, 2])
    _same(_gaps(answer, week, TREE, 0.25), {}, "a gap of 0.25 is allowed at a tolerance of 0.25")
    _same(_gaps(answer, week, TREE, 0.2), {"city": 0.25}, "a gap of 0.25 at a tolerance of 0.2")


@wrong(incoherent, caught_by=names_the_sum_that_is_off)
def lists_every_sum(forecasts, children, tolerance=0.01):
    gaps = {
        name: (forecasts[name] - forecasts[parts].sum(axis=1)).abs().max() for name, parts in children.items()
    }
    return pd.Series(gaps).sort_values(ascending=False)


@wrong(incoherent, caught_by=a_gap_has_no_sign)
def looks_at_the_mean_gap(forecasts, children, tolerance=0.01):
    gaps = {
        name: abs((forecasts[name] - forecasts[parts].sum(axis=1, skipna=False)).sum())
        for name, parts in children.items()
    }
    found = pd.Series(gaps)
    return found[found > tolerance].sort_values(ascending=False)


@wrong(incoherent, caught_by=a_gap_has_no_sign)
def sees_only_sums_that_are_too_high(forecasts, children, tolerance=0.01):
    gaps = {name: (forecasts[name] - forecasts[parts].sum(axis=1)).max() for name, parts in children.items()}
    found = pd.Series(gaps)
    return found[found > tolerance].sort_values(ascending=False)


@wrong(incoherent, caught_by=the_largest_first)
def keeps_the_order_of_the_sums(forecasts, children, tolerance=0.01):
    found = incoherent(forecasts, children, tolerance)
    return found[[name for name in children if name in found]]


@wrong(incoherent, caught_by=a_missing_part_is_no_zero)
def lets_sum_skip_the_hole(forecasts, children, tolerance=0.01):
    gaps = {
        name: (forecasts[name] - forecasts[parts].sum(axis=1)).abs().max() for name, parts in children.items()
    }
    found = pd.Series(gaps)
    return found[found > tolerance].sort_values(ascending=False)


@wrong(incoherent, caught_by=the_tolerance_counts)
def writes_the_tolerance_down(forecasts, children, tolerance=0.01):
    return incoherent(forecasts, children, 0.01)


# --- share_the_gap ----------------------------------------------------------------------------------------------------


@right
def share_the_gap(total, parts, variances):
    """Return the reconciled parts, a DataFrame like `parts`, for a sum and its parts.

    `total`: a Series, the sum's own forecast of each day. `parts`: a DataFrame, the parts' own forecasts, a column
    each. `variances`: a Series of error variances, "total" and one for each part. Each day's gap, total minus the
    sum of the parts, is shared in proportion to the variances; the total takes its share too, so what is added up
    from your answer lies between the parts' sum and the total.
    """
    gap = total - parts.sum(axis=1)
    shares = variances[parts.columns] / variances[["total", *parts.columns]].sum()
    return parts + pd.DataFrame(np.outer(gap, shares), parts.index, parts.columns)


@also_right(share_the_gap)
def solves_the_regression(total, parts, variances):
    names = list(parts.columns)
    S = np.vstack([np.ones(len(names)), np.eye(len(names))])
    inverse = np.diag(1 / variances[["total", *names]].to_numpy())
    forecasts = np.column_stack([total, parts])
    solved = np.linalg.solve(S.T @ inverse @ S, S.T @ inverse @ forecasts.T)
    return pd.DataFrame(solved.T, parts.index, names)


@also_right(share_the_gap)
def goes_part_by_part(total, parts, variances):
    found, gap = parts.copy(), total - parts.sum(axis=1)
    everything = variances["total"] + sum(variances[name] for name in parts)
    for name in parts:
        found[name] = parts[name] + gap * variances[name] / everything
    return found


def _line():
    days = pd.date_range("2016-08-01", periods=2)
    parts = pd.DataFrame({"polk": [2.0, 3.0], "california": [1.0, 1.0]}, days)
    return pd.Series([4.0, 3.0], days), parts, pd.Series({"california": 1.0, "total": 4.0, "polk": 3.0})


def _parts(answer, total, parts, variances):
    found = answer(total.copy(), parts.copy(), variances.copy())
    assert isinstance(found, pd.DataFrame) and list(found.columns) == list(parts.columns), (
        f"return a DataFrame with the columns {list(parts.columns)}, not {found!r}"
    )
    assert found.index.equals(parts.index), f"keep the days of `parts` as the index, not {list(found.index)}"
    return found


@checks(share_the_gap)
def the_unreliable_part_moves_more(answer):
    """Whose variance is 3 and whose is 1? A part's share of the gap is its share of all variances."""
    found = _parts(answer, *_line()).iloc[0].to_dict()
    wanted = {"polk": 2 + 3 / 8, "california": 1 + 1 / 8}
    assert np.allclose(list(found.values()), list(wanted.values())), (
        f"a gap of 1, variances 3 and 1 of 8 in all: {wanted}; you returned {found}"
    )


@checks(share_the_gap)
def a_negative_gap_goes_down(answer):
    """Which way do the parts go when they add up to more than the total? Read the second day."""
    found = _parts(answer, *_line()).iloc[1].to_dict()
    wanted = {"polk": 3 - 3 / 8, "california": 1 - 1 / 8}
    assert np.allclose(list(found.values()), list(wanted.values())), (
        f"a gap of -1: {wanted}; you returned {found}"
    )


@checks(share_the_gap)
def the_total_gives_way_too(answer):
    """Is the total always right? Its variance is in the sum of the variances, and it takes its share."""
    total, parts, variances = _line()
    summed = float(_parts(answer, total, parts, variances).iloc[0].sum())
    assert np.isclose(summed, 3.5), (
        f"parts of 3, total 4, half of all variance is the total's: 3.5; yours is {summed}"
    )
    variances["total"] = 1e-9
    summed = float(_parts(answer, total, parts, variances).iloc[0].sum())
    assert np.isclose(summed, 4.0), f"a total without error keeps its 4; the parts add up to {summed}"


@checks(share_the_gap)
def what_adds_up_stays(answer):
    """What is there to share when the parts add up to the total? Nothing moves."""
    total, parts, variances = _line()
    found = _parts(answer, parts.sum(axis=1), parts, variances)
    assert np.allclose(found, parts), f"no gap, so nothing moves; you returned {found.to_dict('list')}"


@wrong(share_the_gap, caught_by=the_unreliable_part_moves_more)
def shares_alike(total, parts, variances):
    gap = total - parts.sum(axis=1)
    return parts.add(gap / (len(parts.columns) + 1), axis=0)


@wrong(share_the_gap, caught_by=the_unreliable_part_moves_more)
def forgets_the_days(total, parts, variances):
    return share_the_gap(total, parts, variances).reset_index(drop=True)


@wrong(share_the_gap, caught_by=the_unreliable_part_moves_more)
def moves_the_reliable_part(total, parts, variances):
    return share_the_gap(total, parts, 1 / variances)


@wrong(share_the_gap, caught_by=the_unreliable_part_moves_more)
def takes_standard_deviations(total, parts, variances):
    return share_the_gap(total, parts, np.sqrt(variances))


@wrong(share_the_gap, caught_by=the_unreliable_part_moves_more)
def scales_to_the_total(total, parts, variances):
    return parts.mul(total / parts.sum(axis=1), axis=0)


@wrong(share_the_gap, caught_by=the_unreliable_part_moves_more)
def takes_variances_in_their_order(total, parts, variances):
    shares = variances.drop("total").to_numpy() / variances.sum()
    return parts + np.outer(total - parts.sum(axis=1), shares)


@wrong(share_the_gap, caught_by=a_negative_gap_goes_down)
def always_adds(total, parts, variances):
    gap = (total - parts.sum(axis=1)).abs()
    shares = variances[parts.columns] / variances.sum()
    return parts + np.outer(gap, shares)


@wrong(share_the_gap, caught_by=the_unreliable_part_moves_more)
def believes_the_total(total, parts, variances):
    gap = total - parts.sum(axis=1)
    shares = variances[parts.columns] / variances[parts.columns].sum()
    return parts + np.outer(gap, shares)


@wrong(share_the_gap, caught_by=the_total_gives_way_too)
def meets_in_the_middle(total, parts, variances):
    gap = (total - parts.sum(axis=1)) / 2
    shares = variances[parts.columns] / variances[parts.columns].sum()
    return parts + np.outer(gap, shares)


@wrong(share_the_gap, caught_by=what_adds_up_stays)
def pulls_towards_the_mean(total, parts, variances):
    found = share_the_gap(total, parts, variances)
    gap = (total - parts.sum(axis=1)).abs()
    return found.where(gap > 0, found.mean(axis=1), axis=0)
