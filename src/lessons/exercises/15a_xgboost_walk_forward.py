"""Exercises of lesson 15a: a recursive forecast and the target matrix."""

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, RegressorMixin

from course.data import load_births
from course.exercise import also_right, checks, right, wrong


def _births(first="2013-01-01", last="2014-06-30"):
    """Return births a day in thousands, indexed by day."""
    births = load_births().set_index("ds")["y"][first:last] / 1000
    return births.rename_axis(None)


# --- forecast_recursively ---------------------------------------------------------------------------------------------


@right
def forecast_recursively(model, births, cutoff, lags, days):
    """Forecast the `days` days after `cutoff` with a fitted one-day-ahead `model`; return a Series indexed by day.

    `births` is a Series by day that goes on after the cutoff: nothing after it may be used. For each day the model
    takes one row: the births of `lags` days before (`lags=[1, 7]`: the day before, then a week before). Where such a
    day lies after the cutoff, the row takes the forecast of that day.
    """
    known = births[:cutoff].copy()
    for step in range(1, days + 1):
        day = pd.Timestamp(cutoff) + pd.Timedelta(days=step)
        row = [known[day - pd.Timedelta(days=lag)] for lag in lags]
        known[day] = model.predict(np.array([row]))[0]
    return known[-days:]


@also_right(forecast_recursively)
def keeps_the_past_in_a_dictionary(model, births, cutoff, lags, days):
    known = {day: value for day, value in births.items() if day <= cutoff}
    path = {}
    for day in pd.date_range(cutoff, periods=days + 1)[1:]:
        row = np.array([known[day - pd.DateOffset(days=lag)] for lag in lags], dtype=float)
        known[day] = path[day] = model.predict(row.reshape(1, -1)).item()
    return pd.Series(path)


@also_right(forecast_recursively)
def grows_a_list(model, births, cutoff, lags, days):
    values = births[births.index <= cutoff].tolist()
    for _ in range(days):
        values.append(float(model.predict([[values[-lag] for lag in lags]])[0]))
    return pd.Series(values[-days:], index=pd.date_range(cutoff, periods=days + 1, inclusive="right"))


class _Weighted(RegressorMixin, BaseEstimator):
    """Predicts a weighted sum of a row, and keeps the rows that it was shown."""

    def __init__(self, weights):
        self.weights = weights
        self.rows = []

    def predict(self, X):
        X = np.asarray(X, dtype=float)
        assert X.ndim == 2 and X.shape[1] == len(self.weights), (
            f"the model takes rows of {len(self.weights)} lags, you gave an array of shape {X.shape}"
        )
        self.rows += X.tolist()
        return X @ np.array(self.weights)


_CUTOFF = pd.Timestamp("2014-03-02")


def _path(answer, weights, lags, days, births=None):
    births = _births() if births is None else births
    path = answer(_Weighted(weights), births.copy(), _CUTOFF, list(lags), days)
    assert isinstance(path, pd.Series), f"return a Series, not a {type(path).__name__}"
    return path


@checks(forecast_recursively)
def is_a_series_of_the_days_ahead(answer):
    """Which day is the first that is not known at the cutoff? Each forecast keeps its day in the index."""
    path = _path(answer, [1.0], [7], 10)
    wanted = pd.date_range("2014-03-03", periods=10)
    assert list(path.index) == list(wanted), (
        f"10 days from 2014-03-03 to 2014-03-12 are wanted, your index is {list(path.index)[:2]} …, {len(path)} days"
    )


@checks(forecast_recursively)
def nothing_after_the_cutoff_is_used(answer):
    """What is on the table in the evening of the cutoff? Keep only that, and let the truth after it out of reach."""
    births = _births()
    changed = births.copy()
    changed[changed.index > _CUTOFF] += 5
    a, b = (_path(answer, [0.4, 0.6], [1, 7], 10, series) for series in (births, changed))
    assert np.allclose(a.to_numpy(float), b.to_numpy(float)), (
        "the forecast changes when births after the cutoff change: they are not known yet"
    )


@checks(forecast_recursively)
def lags_are_in_order(answer):
    """In which order was the model trained? The first column belongs to the first of `lags`, sorted or not."""
    path = _path(answer, [1.0, 0.0], [7, 1], 7)
    last_week = _births()["2014-02-24":"2014-03-02"]
    assert np.allclose(path.to_numpy(float), last_week.to_numpy()), (
        "a model that repeats its first column, with lags=[7, 1], repeats the last week; yours does not"
    )


@checks(forecast_recursively)
def forecasts_are_fed_back(answer):
    """Where does the second day find its yesterday? Each forecast has to be kept where the next row looks for it."""
    last = _births()[_CUTOFF]
    path = _path(answer, [0.9], [1], 4)
    assert np.allclose(path.to_numpy(float), last * 0.9 ** np.arange(1, 5)), (
        f"a model that says 0.9 × yesterday goes from {last:.3f} to {last * 0.9:.3f}, {last * 0.81:.3f}, …; "
        f"yours gives {path.round(3).tolist()}"
    )


@checks(forecast_recursively)
def given_series_stays_as_it_was(answer):
    """Does your known past share memory with the Series that came in? Work on a copy."""
    births = _births()
    answer(_Weighted([0.5]), births, _CUTOFF, [1], 5)
    assert births.equals(_births()), "the Series that was passed in has changed"


@wrong(forecast_recursively, caught_by=is_a_series_of_the_days_ahead)
def starts_on_the_cutoff(model, births, cutoff, lags, days):
    path = forecast_recursively(model, births, cutoff, lags, days)
    return path.set_axis(path.index - pd.Timedelta(days=1))


@wrong(forecast_recursively, caught_by=is_a_series_of_the_days_ahead)
def loses_the_days(model, births, cutoff, lags, days):
    return forecast_recursively(model, births, cutoff, lags, days).reset_index(drop=True)


@wrong(forecast_recursively, caught_by=nothing_after_the_cutoff_is_used)
def adds_the_truth(model, births, cutoff, lags, days):
    ahead = pd.date_range(pd.Timestamp(cutoff) + pd.Timedelta(days=1), periods=days)
    rows = [[births[day - pd.Timedelta(days=lag)] for lag in lags] for day in ahead]
    return pd.Series([model.predict(np.array([row]))[0] for row in rows], index=ahead)


@wrong(forecast_recursively, caught_by=lags_are_in_order)
def sorts_the_lags(model, births, cutoff, lags, days):
    return forecast_recursively(model, births, cutoff, sorted(lags), days)


@wrong(forecast_recursively, caught_by=forecasts_are_fed_back)
def repeats_the_last_row(model, births, cutoff, lags, days):
    known = births[:cutoff]
    ahead = pd.date_range(pd.Timestamp(cutoff) + pd.Timedelta(days=1), periods=days)
    rows = []
    for day in ahead:
        back = [day - pd.Timedelta(days=lag) for lag in lags]
        while max(back) > pd.Timestamp(cutoff):
            back = [one - pd.Timedelta(days=7) if one > pd.Timestamp(cutoff) else one for one in back]
        rows.append([known[one] for one in back])
    return pd.Series([model.predict(np.array([row]))[0] for row in rows], index=ahead)


@wrong(forecast_recursively, caught_by=given_series_stays_as_it_was)
def writes_into_the_series(model, births, cutoff, lags, days):
    path = forecast_recursively(model, births, cutoff, lags, days)
    births[path.index] = path
    return path


# --- target_matrix ----------------------------------------------------------------------------------------------------


@right
def target_matrix(births, steps, cutoff):
    """Return the targets that a multi-output model may be trained on at `cutoff`: a DataFrame, a row an evening t.

    Column k (the names are the numbers 1 to `steps`) holds the births of day t + k. `births` is a Series by day that
    goes on after the cutoff; a row stands there only when all its days have come by the cutoff.
    """
    known = births[:cutoff]
    return pd.DataFrame({k: known.shift(-k) for k in range(1, steps + 1)}).dropna()


@also_right(target_matrix)
def slides_a_window(births, steps, cutoff):
    known = births[births.index <= cutoff]
    windows = np.lib.stride_tricks.sliding_window_view(known.to_numpy(), steps + 1)
    return pd.DataFrame(windows[:, 1:], index=known.index[: len(windows)], columns=range(1, steps + 1))


@also_right(target_matrix)
def cuts_the_evenings_by_date(births, steps, cutoff):
    columns = {k: births.shift(-k) for k in range(1, steps + 1)}
    return pd.DataFrame(columns).loc[: pd.Timestamp(cutoff) - pd.Timedelta(days=steps)]


@also_right(target_matrix)
def writes_the_rows_in_a_loop(births, steps, cutoff):
    known = births[:cutoff]
    rows = {known.index[i]: known.iloc[i + 1 : i + 1 + steps].tolist() for i in range(len(known) - steps)}
    return pd.DataFrame.from_dict(rows, orient="index", columns=[*range(1, steps + 1)])


def _targets(answer, steps=5):
    found = answer(_births(), steps, _CUTOFF)
    assert isinstance(found, pd.DataFrame), f"return a DataFrame, not a {type(found).__name__}"
    return found


@checks(target_matrix)
def has_a_column_for_each_step(answer):
    """Is the evening t itself a target? It is known; the columns begin with the day after it."""
    columns = list(_targets(answer).columns)
    assert columns == [1, 2, 3, 4, 5], f"for 5 steps the columns are 1 to 5, yours are {columns}"


@checks(target_matrix)
def looks_ahead(answer):
    """In which direction does `shift` move the values? A lag looks back, a target looks ahead."""
    found, births = _targets(answer), _births()
    evening = pd.Timestamp("2013-11-25")
    assert evening in found.index, "the evening of 2013-11-25 has all its days, and no row"
    wanted = births["2013-11-26":"2013-11-30"]
    assert np.allclose(found.loc[evening].to_numpy(float), wanted.to_numpy()), (
        f"on 2013-11-25 the next five days have {wanted.round(2).tolist()}, "
        f"your row says {found.loc[evening].round(2).tolist()}"
    )


@checks(target_matrix)
def ends_before_the_cutoff(answer):
    """Whose last target has come by the cutoff? The evenings right before it still wait for some of theirs."""
    last = _targets(answer).index[-1]
    assert last == pd.Timestamp("2014-02-25"), (
        f"at the cutoff 2014-03-02 the last evening with five known days is 2014-02-25, yours is {last:%Y-%m-%d}"
    )


@checks(target_matrix)
def every_number_is_a_birth_count(answer):
    """What may a row with a missing day teach? A filled target is an invented answer, a lost row is data thrown away."""
    found = _targets(answer)
    values = _births()[:_CUTOFF]
    assert not found.isna().any(axis=None), "there are holes in the matrix"
    assert len(found) == len(values) - 5, (
        f"{len(values)} days have {len(values) - 5} full rows, yours are {len(found)}"
    )


@wrong(target_matrix, caught_by=has_a_column_for_each_step)
def counts_from_today(births, steps, cutoff):
    known = births[:cutoff]
    return pd.DataFrame({k: known.shift(-k) for k in range(steps)}).dropna()


@wrong(target_matrix, caught_by=looks_ahead)
def makes_lags(births, steps, cutoff):
    known = births[:cutoff]
    return pd.DataFrame({k: known.shift(k) for k in range(1, steps + 1)}).dropna()


@wrong(target_matrix, caught_by=ends_before_the_cutoff)
def cuts_the_rows_only(births, steps, cutoff):
    return pd.DataFrame({k: births.shift(-k) for k in range(1, steps + 1)}).dropna()[:cutoff]


@wrong(target_matrix, caught_by=ends_before_the_cutoff)
def leaves_the_holes(births, steps, cutoff):
    known = births[:cutoff]
    return pd.DataFrame({k: known.shift(-k) for k in range(1, steps + 1)})


@wrong(target_matrix, caught_by=ends_before_the_cutoff)
def rolls_round(births, steps, cutoff):
    known = births[:cutoff]
    return pd.DataFrame({k: np.roll(known, -k) for k in range(1, steps + 1)}, index=known.index)


@wrong(target_matrix, caught_by=every_number_is_a_birth_count)
def starts_late(births, steps, cutoff):
    return target_matrix(births, steps, cutoff).iloc[steps:]


@wrong(target_matrix, caught_by=every_number_is_a_birth_count)
def marks_holidays_as_missing(births, steps, cutoff):
    found = target_matrix(births, steps, cutoff)
    return found.where(found > 7)
