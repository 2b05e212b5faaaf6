"""The frame, checked: series as matrices on one calendar, or an error that names series and day."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from walkforward.forecasting import calendars
from walkforward.forecasting.entry import Array, as_dates, day, target
from walkforward.forecasting.errors import ForecastError

Frame = pd.DataFrame
KEYS = ["unique_id", "ds", "cutoff"]
BEYOND = 1e100  # its square still is a number


@dataclass(frozen=True)
class Panel:
    """Checked series as matrices: S series × T days; NaN outside a series' own days."""

    frame: Frame  # sorted by unique_id and ds, with a column unique_id; ds without zone
    ids: pd.Index
    dates: pd.DatetimeIndex
    row: Array  # of each row of the frame: which series …
    day: Array  # … and which day
    origin: Array  # … and which row it was in the frame that was given
    first: int = 0  # of a part: the place of its first series in the whole

    def matrix(self, values: Any) -> Array:
        """A column of the frame (n,) or several (n, k) as S × T (× k)."""
        values = np.asarray(values, dtype=float)
        out = np.full((len(self.ids), len(self.dates), *values.shape[1:]), np.nan)
        out[self.row, self.day] = values
        return out

    def part(self, first: int, end: int) -> Panel:
        """The series from `first` up to `end`, on the same days."""
        rows = slice(*np.searchsorted(self.row, [first, end]))
        frame, row = self.frame[rows].reset_index(drop=True), self.row[rows] - first
        return Panel(frame, self.ids[first:end], self.dates, row, self.day[rows], self.origin[rows], first)


def panel(frame: Frame, *, freq: Any = None, missing_y: bool = False) -> Panel:
    """The frame, checked. Raises `ForecastError` that names series and date; NaN in y with `missing_y`."""
    return panel_and_faults(frame, freq=freq, missing_y=missing_y)[0]


def panel_and_faults(
    frame: Frame, *, freq: Any = None, missing_y: bool = False, drop: bool = False
) -> tuple[Panel, dict[Any, str]]:
    """The panel of the sound series, and why others were left out (with `drop`; else they are refused)."""
    rules = _Rules(freq, missing_y, drop)
    try:
        return _sound(_columns(frame), rules, {})
    except ForecastError:
        where = _clocks_change(frame, rules)
        if where is None:
            raise
        raise ForecastError(
            f"the clocks change on {day(where)}, and the wall time of ds (its zone taken off) then skips or "
            f"repeats hours: frame.assign(ds=pd.to_datetime(frame['ds'], utc=True)) counts them in UTC"
        ) from None


class _Rules(NamedTuple):
    """What is asked of the series."""

    freq: Any
    missing_y: bool  # NaN in y is no fault
    drop: bool  # series with a fault are left out, not refused


def _clocks_change(frame: Any, rules: _Rules) -> Any:
    """Where the zone's clocks change, if that is all that is wrong with the days: in UTC they are regular."""
    try:
        wall = as_dates(frame["ds"], "frame['ds']")
        world = pd.DatetimeIndex(pd.to_datetime(pd.Series(frame["ds"]), utc=True)).tz_localize(None)
        ahead = wall.to_numpy() - world.to_numpy()
        if (ahead == ahead[0]).all():
            return None
        _sound(_columns(frame.assign(ds=world)), rules, {})
    except (ValueError, TypeError, KeyError, AttributeError, IndexError):
        return None
    return wall[int(np.argmax(ahead != ahead[0]))]


def _columns(frame: Any) -> Frame:
    """The frame with plain dates and numbers, sorted by series."""
    if not isinstance(frame, Frame):
        _refuse_frame(f"is a {type(frame).__name__}")
    if isinstance(frame.columns, pd.MultiIndex):
        _refuse_frame("has columns in levels")
    refuse_twice(frame)
    if lost := [c for c in ("ds", "y") if c not in frame]:
        inside = [c for c in ("unique_id", "ds") if c in frame.index.names and c not in frame]
        _refuse_frame(f"lacks {' and '.join(lost)}", "; frame.reset_index() brings it back" * bool(inside))
    if frame.empty:
        _refuse_frame("has no rows")
    dates, y = as_dates(frame["ds"], "frame['ds']"), frame["y"]
    numbers = target(y)
    if not (isinstance(y.dtype, np.dtype) and y.dtype.kind in "iuf"):
        y = numbers
    ids = _ids(frame)
    clean = frame.assign(unique_id=ids, ds=dates, y=np.asarray(y))
    # Series may stand in any order, the days of each may not.
    try:
        return clean.reset_index(drop=True).sort_values("unique_id", kind="stable")
    except TypeError:
        kinds = " and ".join(sorted({type(one).__name__ for one in ids}))
        raise ForecastError(
            f"unique_id mixes {kinds}, which have no order: "
            f"frame.assign(unique_id=frame['unique_id'].astype(str)) makes all of them text"
        ) from None


def refuse_twice(frame: Frame) -> None:
    """Raise `ForecastError` where two columns have one name."""
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        raise ForecastError(
            f"column {twice[0]!r} stands twice: frame.loc[:, ~frame.columns.duplicated()] keeps the first"
        )


def _refuse_frame(what: str, way: str = "") -> None:
    raise ForecastError(
        f"the frame {what}: it has columns ds (days) and y, and unique_id where there are several{way}"
    )


def _ids(frame: Frame) -> Any:
    if "unique_id" not in frame:
        return "y"
    ids = frame["unique_id"]
    if isinstance(ids.dtype, pd.CategoricalDtype):
        ids = ids.astype(ids.dtype.categories.dtype)
    if ids.dtype == object:
        odd = next((one for one in ids if not _hashable(one)), None)
        if odd is not None:
            raise ForecastError(f"unique_id holds {odd!r}, a {type(odd).__name__}: give each series a name")
    return ids.array


def _hashable(one: Any) -> bool:
    try:
        hash(one)
    except TypeError:
        return False
    return True


class _Faults:
    """The first fault of each series, by its name. The rows are in order of series."""

    def __init__(self, row: Array, ids: pd.Index, ds: pd.Series) -> None:
        self.row, self.ids, self.ds = row, ids, ds
        self.follows = np.r_[False, row[1:] == row[:-1]]  # the row before is of the same series
        self.found: dict[Any, str] = {}

    @property
    def named(self) -> bool:
        """Are there several series, or one with a name of its own?"""
        return len(self.ids) > 1 or self.ids[0] != "y"

    def note(self, bad: Any, what: Callable[[int], str] | str, when: Any = None) -> None:
        """Rows that are `bad`: the first of each series is told, if nothing is yet."""
        rows, dates = np.flatnonzero(np.asarray(bad)), self.ds if when is None else pd.Series(when)
        for i in rows[np.unique(self.row[rows], return_index=True)[1]]:
            name, text = self.ids[self.row[i]], what if isinstance(what, str) else what(int(i))
            self.found.setdefault(name, f"series {name}, {day(dates.iloc[i])}: {text}")


def _sound(frame: Frame, rules: _Rules, left_out: dict[Any, str]) -> tuple[Panel, dict[Any, str]]:
    """The panel of a frame of plain columns, without the series that have a fault (told in `left_out`)."""
    plain = frame.reset_index(drop=True)
    row, names = pd.factorize(plain["unique_id"])
    if (row < 0).any():
        when = day(plain["ds"][int(np.argmax(row < 0))])
        raise ForecastError(
            f"series without a unique_id, {when}: a row belongs to no series; drop it, or name its series"
        )
    faults = _Faults(row, pd.Index(names), plain["ds"])
    _note_disorder(faults)
    if faults.found:
        return _without(faults, frame, rules, left_out)
    days, at, name = _on_calendar(faults, rules.freq)
    if name:
        _note_gaps(faults, days, at, name)
    _note_numbers(faults, target(plain["y"]), rules.missing_y)
    if faults.found:
        return _without(faults, frame, rules, left_out)
    return Panel(plain, faults.ids, days, row, at, frame.index.to_numpy()), left_out


def _without(
    faults: _Faults, frame: Frame, rules: _Rules, left_out: dict[Any, str]
) -> tuple[Panel, dict[Any, str]]:
    """The panel of the other series; the first fault is raised if there are none or none may be left out."""
    found = left_out | faults.found
    if rules.drop and len(faults.found) < len(faults.ids):
        return _sound(frame[~frame["unique_id"].isin(list(faults.found))], rules, found)
    more = f" (and {len(found) - 1} more series; bad_series='drop' leaves them out)" if len(found) > 1 else ""
    raise ForecastError(found[min(found)] + more)


def _note_disorder(faults: _Faults) -> None:
    step = faults.ds.diff().where(faults.follows)
    by = "['unique_id', 'ds']" if faults.named else "'ds'"
    faults.note(faults.ds.isna(), "a row has no date; drop it, or fill it in")
    faults.note(step < pd.Timedelta(0), f"comes after a later day; frame.sort_values({by})")
    faults.note(step == pd.Timedelta(0), "stands twice; keep one row a day")


def _note_gaps(faults: _Faults, days: pd.DatetimeIndex, at: Array, name: str) -> None:
    before = np.roll(at, 1)
    lost = np.where(faults.follows & (at >= 0) & (before >= 0), at - before - 1, 0)
    total = np.bincount(faults.row, np.maximum(lost, 0)).astype(int)
    first_lost = days[np.minimum(before + 1, len(days) - 1)]
    way = _fill(name, faults.named)
    faults.note(
        lost > 0,
        lambda i: f"the day is missing ({total[faults.row[i]]} in all); fill in, or cut there{way}",
        first_lost,
    )


def _note_numbers(faults: _Faults, y: Array, missing_y: bool) -> None:
    bad = ~(np.abs(y) <= BEYOND) & ~(missing_y & np.isnan(y))
    total = np.bincount(faults.row, bad).astype(int)
    lacking = "infinite" if missing_y else "missing or infinite"
    faults.note(bad, lambda i: f"y is {lacking} ({total[faults.row[i]]} rows in all); fill it, or cut there")


def _on_calendar(faults: _Faults, freq: Any) -> tuple[pd.DatetimeIndex, Array, str]:
    """All days, of each row the position among them (-1: not there), and the calendar's name."""
    ds = pd.DatetimeIndex(faults.ds)
    if freq is not None:
        made = calendars.given(pd.DatetimeIndex(np.sort(ds.unique())), freq)
        at = made.days.get_indexer(ds)
        rule = f"is no day of the calendar that freq={made.name!r} makes; see to it, or leave it out"
        faults.note(at < 0, rule)
        return made.days, at, made.name
    common = calendars.told(ds, faults.follows)
    if common is not None:
        return common.days, common.days.get_indexer(ds), common.name
    alone = _calendars_apart(faults)
    usual = Counter(alone.values()).most_common(1)[0][0] if alone else None
    for series, kept in alone.items():
        if kept != usual:
            rule = f"is no day of the calendar that the others keep ({usual[0]}); put all on one calendar"
            faults.note(faults.row == series, rule)
    good = np.isin(faults.row, [series for series, kept in alone.items() if kept == usual])
    made = calendars.told(ds[good], faults.follows[good]) if good.any() else None
    if made is None:
        return pd.DatetimeIndex([]), np.full(len(ds), -1), ""
    return made.days, np.where(good, made.days.get_indexer(ds), -1), made.name


def _calendars_apart(faults: _Faults) -> dict[int, tuple[str, Any]]:
    """The calendar of each series by itself (its rule and time of day); a series without one is a fault."""
    found = {}
    for series in range(len(faults.ids)):
        rows = np.flatnonzero(faults.row == series)
        days = pd.DatetimeIndex(faults.ds.iloc[rows])
        alone = calendars.told(days, np.arange(len(days)) > 0)
        if alone is not None and (len(alone.days) < 2 * len(days) or len(days) < 3):
            found[series] = (alone.name, days[0] - days[0].normalize())
            continue
        steps = pd.Series(np.diff(days.to_numpy()))
        usual = steps.mode().iloc[0]
        odd = steps != usual
        first = int(np.argmax(odd))
        what = f"comes {steps[first]} after the day before, where most steps are {usual}"
        way = f"give freq= if they keep a calendar, or {_resample(steps.median(), len(faults.ids) > 1)}"
        at = np.arange(len(faults.row)) == rows[first + 1]
        faults.note(at, f"{what} ({odd.sum()} of {len(steps)} differ): {way}")
    return found


def _resample(step: pd.Timedelta, named: bool) -> str:
    sizes = {"D": 86_400, "h": 3_600, "min": 60, "s": 1}
    alias = next((name for name, size in sizes.items() if step.total_seconds() > size / 2), "ms")
    return _over(f"resample('{alias}').mean()", named)


def _fill(name: str, named: bool) -> str:
    try:
        calendars.offset_of(name)
    except ForecastError:
        return ""
    return f": {_over(f'resample({name!r}).mean()', named)}, or name another calendar with freq="


def _over(what: str, named: bool) -> str:
    if named:
        groups = "frame.set_index('ds').groupby('unique_id')['y']"
        return f"{groups}.{what}.groupby('unique_id').ffill().reset_index()"
    return f"frame.set_index('ds')['y'].{what}.ffill().reset_index()"
