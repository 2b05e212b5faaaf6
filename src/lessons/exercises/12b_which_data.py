"""Exercises of lesson 12b: choose, judge and refit on the latest data; an error by slices for a month without labels."""

import math

import numpy as np
import pandas as pd

from course.exercise import also_right, checks, right, wrong

# --- nested -----------------------------------------------------------------------------------------------------------


@right
def nested(trips, candidates, fit, score):
    """Return three things: the chosen candidate, an honest estimate of its error, and the model to ship.

    `trips` has a column `day` (dates, rows in any order). Of its last 14 calendar days, the first seven choose and the
    last seven judge. `fit(candidate, rows)` returns a model, `score(model, rows)` its error, lower is better.

    1. Fit each candidate on what lies before the 14 days; choose the one with the lowest score on the first seven.
    2. Fit the chosen one on all that lies before the last seven days; its score on those is the estimate.
    3. Fit the chosen one on all trips; that model ships.
    """
    last = trips["day"].max()
    fortnight, week = last - pd.Timedelta(days=13), last - pd.Timedelta(days=6)
    early, before = trips[trips["day"] < fortnight], trips[trips["day"] < week]
    choosing, judging = before[before["day"] >= fortnight], trips[trips["day"] >= week]
    best = min(candidates, key=lambda one: score(fit(one, early), choosing))
    return best, score(fit(best, before), judging), fit(best, trips)


_ERRORS = {
    "A": (3.0, 1.0),
    "B": (2.0, 3.5),
    "C": (4.0, 4.0),
}  # in the week that chooses, in the one that judges
_START = pd.Timestamp("2019-01-01")


def _trips(quiet=False):
    """Thirty days, five trips each, rows shuffled; where `quiet`, the busiest days last and two days without a trip."""
    days = [day for day in range(30) for _ in range(5)]
    if quiet:
        days = [day for day in days if day not in (18, 27)] + [28, 29] * 40
    days = np.random.default_rng(0).permutation(days)
    return pd.DataFrame({"day": _START + pd.to_timedelta(days, unit="D"), "trip": np.arange(len(days))})


def _number(rows):
    return (rows["day"] - _START).dt.days


class _Model:
    def __init__(self, candidate, rows):
        self.candidate, self.trips, self.last = candidate, set(rows["trip"]), _number(rows).max()


def _score(model, rows):
    """Errors of the two weeks, and a tenth of a minute for each day by which the model is older than it must be."""
    assert len(rows), "`score` got no rows at all"
    day = _number(rows)
    first, second = _ERRORS[model.candidate]
    known = rows["trip"].isin(model.trips)
    age = max(0, day.min() - 1 - model.last) / 10
    return float(np.where(known, 0.0, np.where(day < 23, first, second)).mean() + age)


def _answer(answer, quiet=False):
    trips = _trips(quiet)
    given = trips.copy()
    found = answer(trips, ["A", "B", "C"], _Model, _score)
    assert isinstance(found, tuple | list) and len(found) == 3, (
        "return three things: the chosen candidate, the estimate and the model"
    )
    assert trips.equals(given), "the caller's trips are changed"
    return found


@checks(nested)
def returns_choice_estimate_and_model(answer):
    """What do people need from you? A name, a number and a model, in this order."""
    best, estimate, model = _answer(answer)
    assert isinstance(best, str) and best in _ERRORS, f"the first is a candidate, you return {best!r}"
    assert isinstance(estimate, float | int), (
        f"the second is a number, you return a {type(estimate).__name__}"
    )
    assert isinstance(model, _Model), f"the third is what `fit` returns, you return a {type(model).__name__}"


@checks(nested)
def the_first_week_chooses(answer):
    """Which days may the choice see? Those that judge are not among them."""
    best, _, _ = _answer(answer)
    assert best == "B", (
        f"in the week that chooses, A misses by 3, B by 2, C by 4 minutes; you choose {best} "
        "(only in the later week A is better)"
    )


@checks(nested)
def the_last_week_judges(answer):
    """Has the choice seen the rows that you report on? Has the model?"""
    _, estimate, _ = _answer(answer)
    assert estimate > 0.5, f"your estimate is {estimate:.2f}: the model has learnt the trips that judge it"
    assert estimate >= 3.4, (
        f"in the week that judges, B misses by 3.5 minutes; your estimate is {estimate:.2f}"
    )


@checks(nested)
def the_judged_model_is_up_to_date(answer):
    """How old is the model that you judge? A week of data lies between the training rows and the last week."""
    _, estimate, _ = _answer(answer)
    assert abs(estimate - 3.5) < 0.01, (
        f"fitted on all before the last week, B misses by 3.5 minutes; your estimate is {estimate:.2f}, "
        "a tenth more for each day that the model is older"
    )


@checks(nested)
def what_ships_knows_everything(answer):
    """Which trips does next month's model need most? They have done their work as a test."""
    best, _, model = _answer(answer)
    assert model.candidate == best, f"you choose {best} and ship {model.candidate}"
    missing = len(_trips()) - len(model.trips)
    assert missing == 0, f"the model that ships has not learnt from {missing} of 150 trips"


@checks(nested)
def days_are_days_of_the_calendar(answer):
    """What do you count, rows, days with trips, or days of the calendar?"""
    best, estimate, model = _answer(answer, quiet=True)
    assert best == "B" and abs(estimate - 3.5) < 0.01 and len(model.trips) == len(_trips(quiet=True)), (
        f"busy days at the end, and two days without a trip: {best} and {estimate:.2f} in place of B and 3.50"
    )


def _parts(trips):
    last = trips["day"].max()
    fortnight, week = last - pd.Timedelta(days=13), last - pd.Timedelta(days=6)
    early, before = trips[trips["day"] < fortnight], trips[trips["day"] < week]
    return early, before[before["day"] >= fortnight], before, trips[trips["day"] >= week]


@wrong(nested, caught_by=returns_choice_estimate_and_model)
def returns_the_scores(trips, candidates, fit, score):
    early, choosing, _, _ = _parts(trips)
    scores = {one: score(fit(one, early), choosing) for one in candidates}
    best = min(scores, key=scores.get)
    return best, scores, fit(best, trips)


@wrong(nested, caught_by=the_first_week_chooses)
def chooses_on_the_whole_fortnight(trips, candidates, fit, score):
    early, choosing, before, judging = _parts(trips)
    best = min(candidates, key=lambda one: score(fit(one, early), pd.concat([choosing, judging])))
    return best, score(fit(best, before), judging), fit(best, trips)


@wrong(nested, caught_by=the_first_week_chooses)
def takes_the_highest_score(trips, candidates, fit, score):
    early, choosing, before, judging = _parts(trips)
    best = max(candidates, key=lambda one: score(fit(one, early), choosing))
    return best, score(fit(best, before), judging), fit(best, trips)


@wrong(nested, caught_by=the_last_week_judges)
def reports_the_score_that_won(trips, candidates, fit, score):
    early, choosing, _, _ = _parts(trips)
    scores = {one: score(fit(one, early), choosing) for one in candidates}
    best = min(scores, key=scores.get)
    return best, scores[best], fit(best, trips)


@wrong(nested, caught_by=the_last_week_judges)
def scores_what_ships(trips, candidates, fit, score):
    early, choosing, _, judging = _parts(trips)
    best = min(candidates, key=lambda one: score(fit(one, early), choosing))
    model = fit(best, trips)
    return best, score(model, judging), model


@wrong(nested, caught_by=the_judged_model_is_up_to_date)
def judges_the_model_of_the_choice(trips, candidates, fit, score):
    early, choosing, _, judging = _parts(trips)
    best = min(candidates, key=lambda one: score(fit(one, early), choosing))
    return best, score(fit(best, early), judging), fit(best, trips)


@wrong(nested, caught_by=what_ships_knows_everything)
def ships_what_was_tested(trips, candidates, fit, score):
    early, choosing, before, judging = _parts(trips)
    best = min(candidates, key=lambda one: score(fit(one, early), choosing))
    model = fit(best, before)
    return best, score(model, judging), model


@wrong(nested, caught_by=days_are_days_of_the_calendar)
def counts_days_with_trips(trips, candidates, fit, score):
    days = sorted(trips["day"].unique())
    early, before = trips[trips["day"] < days[-14]], trips[trips["day"] < days[-7]]
    choosing, judging = before[before["day"] >= days[-14]], trips[trips["day"] >= days[-7]]
    best = min(candidates, key=lambda one: score(fit(one, early), choosing))
    return best, score(fit(best, before), judging), fit(best, trips)


@wrong(nested, caught_by=days_are_days_of_the_calendar)
def counts_rows(trips, candidates, fit, score):
    rows = trips.sort_values("day")
    a_day = len(rows) // 30
    early, before, judging = rows[: -14 * a_day], rows[: -7 * a_day], rows[-7 * a_day :]
    best = min(candidates, key=lambda one: score(fit(one, early), before[-7 * a_day :]))
    return best, score(fit(best, before), judging), fit(best, trips)


@wrong(nested, caught_by=the_last_week_judges)
def takes_the_rows_as_they_come(trips, candidates, fit, score):
    a_day = len(trips) // 30
    early, before, judging = trips[: -14 * a_day], trips[: -7 * a_day], trips[-7 * a_day :]
    best = min(candidates, key=lambda one: score(fit(one, early), before[-7 * a_day :]))
    return best, score(fit(best, before), judging), fit(best, trips)


@also_right(nested)
def with_days_to_go(trips, candidates, fit, score):
    to_go = (trips["day"].max() - trips["day"]).dt.days  # 0 on the last day
    scores = []
    for candidate in candidates:
        model = fit(candidate, trips.loc[to_go >= 14])
        scores.append(score(model, trips.loc[to_go.between(7, 13)]))
    best = candidates[int(np.argmin(scores))]
    judged = fit(best, trips.loc[to_go >= 7])
    return best, score(judged, trips.loc[to_go < 7]), fit(best, trips)


@also_right(nested)
def with_labelled_parts(trips, candidates, fit, score):
    last = trips["day"].max()
    edges = [pd.Timestamp.min, last - pd.Timedelta("14D"), last - pd.Timedelta("7D"), last]
    part = pd.cut(trips["day"], edges, labels=["train", "choose", "judge"])
    groups = dict(list(trips.groupby(part, observed=True)))
    scored = pd.Series({one: score(fit(one, groups["train"]), groups["choose"]) for one in candidates})
    best = scored.idxmin()
    estimate = score(fit(best, pd.concat([groups["train"], groups["choose"]])), groups["judge"])
    return [best, estimate, fit(best, trips)]


# --- by_slices --------------------------------------------------------------------------------------------------------


@right
def by_slices(errors, old, now):
    """Return two numbers: the mean error to expect of the new trips, and the share of them that it speaks for.

    `errors` are the absolute errors of the labelled trips and `old` their slices: two Series with one index. `now` is
    a Series with the slices of the new trips, which have no labels. Each trip is in one slice. A slice's error is its
    mean in the labelled trips; the estimate weighs the slices by their numbers of new trips. New trips in a slice
    without any labelled trip are left out of the estimate and lower the share (0 to 1). If all are left out, the
    estimate is NaN and the share 0.
    """
    expected = now.map(errors.groupby(old).mean())
    return float(expected.mean()), float(expected.notna().mean())


def _slices(**counts):
    return pd.Series([name for name, count in counts.items() for _ in range(count)], dtype=object)


def _labelled():
    """Eight trips of the city with errors of 2 and 4 minutes, two of the airport with 9 and 11."""
    return pd.Series([2.0, 4.0] * 4 + [9.0, 11.0]), _slices(city=8, airport=2)


def _found(answer, now):
    errors, old = _labelled()
    found = answer(errors, old, now)
    assert isinstance(found, tuple | list) and len(found) == 2, (
        "return two numbers, the estimate and the share"
    )
    assert all(isinstance(one, float | int) for one in found), f"return two numbers, you return {found!r}"
    return found


def _expect(found, estimate, share, words):
    assert math.isclose(found[0], estimate, abs_tol=1e-9), (
        f"{words}: the estimate is {estimate:.2f}, you return {found[0]:.2f}"
    )
    assert math.isclose(found[1], share, abs_tol=1e-9), (
        f"{words}: the share is {share:.2f}, you return {found[1]:.2f}"
    )


@checks(by_slices)
def an_unchanged_mix_changes_nothing(answer):
    """What must come out when the new trips are like the old ones? Then nothing has to be corrected."""
    _expect(_found(answer, _slices(city=40, airport=10)), 4.4, 1, "eight in ten in the city, as before")


@checks(by_slices)
def todays_mix_counts(answer):
    """Whose shares weigh the slices, last month's or this month's?"""
    _expect(_found(answer, _slices(city=1, airport=3)), 8.25, 1, "three of four at the airport")


@checks(by_slices)
def a_slice_that_is_gone_weighs_nothing(answer):
    """Who rides to the airport when no flight leaves?"""
    _expect(_found(answer, _slices(city=7)), 3, 1, "no trip at the airport")


@checks(by_slices)
def an_unknown_slice_is_no_zero(answer):
    """What do you know of the error where you have no label? It is not zero, and it is not the mean of the others."""
    estimate, _ = _found(answer, _slices(city=3, airport=1, ferry=1))
    assert math.isclose(estimate, 4.75), (
        f"one trip of five by ferry, the others have an error of 4.75; your estimate is {estimate:.2f}"
    )


@checks(by_slices)
def the_share_counts_trips(answer):
    """What is the share a share of? Passengers ride in trips, not in slices."""
    _expect(
        _found(answer, _slices(city=1, ferry=2, helicopter=7)), 3, 0.1, "nine trips of ten in two new slices"
    )


@checks(by_slices)
def nothing_known_is_nan(answer):
    """What is the mean of nothing? The function says that it does not know."""
    estimate, share = _found(answer, _slices(ferry=4))
    assert math.isnan(estimate) and share == 0, (
        f"no slice is known: NaN and 0, you return {estimate}, {share}"
    )


@wrong(by_slices, caught_by=an_unchanged_mix_changes_nothing)
def takes_the_mean_of_the_slices(errors, old, now):
    means = errors.groupby(old).mean()
    return float(means.mean()), float(now.isin(means.index).mean())


@wrong(by_slices, caught_by=todays_mix_counts)
def takes_last_months_mix(errors, old, now):
    return float(errors.mean()), float(now.isin(old).mean())


@wrong(by_slices, caught_by=a_slice_that_is_gone_weighs_nothing)
def expects_every_slice(errors, old, now):
    means, counts = errors.groupby(old).mean(), now.value_counts()
    return sum(means[name] * counts[name] for name in means.index) / len(now), float(now.isin(old).mean())


@wrong(by_slices, caught_by=an_unknown_slice_is_no_zero)
def lets_unknown_ones_be_zero(errors, old, now):
    expected = now.map(errors.groupby(old).mean())
    return float(expected.fillna(0).mean()), float(expected.notna().mean())


@wrong(by_slices, caught_by=an_unknown_slice_is_no_zero)
def fills_with_the_mean(errors, old, now):
    expected = now.map(errors.groupby(old).mean())
    return float(expected.fillna(errors.mean()).mean()), 1.0


@wrong(by_slices, caught_by=an_unknown_slice_is_no_zero)
def looks_every_slice_up(errors, old, now):
    means, shares = errors.groupby(old).mean().to_dict(), now.value_counts(normalize=True)
    return float(sum(means[name] * share for name, share in shares.items())), 1.0


@wrong(by_slices, caught_by=the_share_counts_trips)
def counts_slices(errors, old, now):
    expected = now.map(errors.groupby(old).mean())
    slices = set(now)
    return float(expected.mean()), len(slices & set(old)) / len(slices)


@wrong(by_slices, caught_by=nothing_known_is_nan)
def says_zero_of_nothing(errors, old, now):
    expected = now.map(errors.groupby(old).mean())
    return float(expected.fillna(0).sum() / max(expected.notna().sum(), 1)), float(expected.notna().mean())


@also_right(by_slices)
def with_weights(errors, old, now):
    weight = old.map(now.value_counts() / old.value_counts()).fillna(0)
    share = float(np.isin(now, old).mean())
    return (float((weight * errors).sum() / weight.sum()) if share else math.nan), share


@also_right(by_slices)
def with_plain_python(errors, old, now):
    known = {}
    for error, name in zip(errors, old, strict=True):
        known.setdefault(name, []).append(error)
    expected = [sum(known[name]) / len(known[name]) for name in now if name in known]
    return (sum(expected) / len(expected) if expected else float("nan")), len(expected) / len(now)
