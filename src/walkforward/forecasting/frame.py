"""The frame, checked: series as matrices on one calendar, or an error that names series and day."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

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

    def matrix(self, values: Any) -> Array:
        """A column of the frame (n,) or several (n, k) as S × T (× k)."""
        values = np.asarray(values, dtype=float)
        out = np.full((len(self.ids), len(self.dates), *values.shape[1:]), np.nan)
        out[self.row, self.day] = values
        return out


def panel(frame: Frame, *, freq: Any = None, missing_y: bool = False) -> Panel:
    """The frame, checked. Raises `ForecastError` that names series and date; NaN in y with `missing_y`."""
    return panel_and_faults(frame, freq=freq, missing_y=missing_y)[0]


def panel_and_faults(
    frame: Frame, *, freq: Any = None, missing_y: bool = False, drop: bool = False
) -> tuple[Panel, dict[Any, str]]:
    """The panel of the sound series, and why others were left out (with `drop`; else they are refused)."""
    try:
        return _sound(_columns(frame), freq, missing_y, drop)
    except ForecastError:
        where = _clocks_change(frame, freq, missing_y, drop)
        if where is None:
            raise
        raise ForecastError(
            f"the clocks change on {day(where)}, and the wall time of ds (its zone taken off) then skips or "
            f"repeats hours: frame.assign(ds=pd.to_datetime(frame['ds'], utc=True)) counts them in UTC"
        ) from None


def _clocks_change(frame: Any, freq: Any, missing_y: bool, drop: bool) -> Any:
    """Where the zone's clocks change, if that is all that is wrong with the days: in UTC they are regular."""
    try:
        wall = as_dates(frame["ds"], "frame['ds']")
        world = pd.DatetimeIndex(pd.to_datetime(pd.Series(frame["ds"]), utc=True)).tz_localize(None)
        ahead = wall.to_numpy() - world.to_numpy()
        if (ahead == ahead[0]).all():
            return None
        _sound(_columns(frame.assign(ds=world)), freq, missing_y, drop)
    except (ValueError, TypeError, KeyError, AttributeError, IndexError):
        return None
    return wall[int(np.argmax(ahead != ahead[0]))]


def _columns(frame: Any) -> Frame:
    """The frame with plain dates and numbers, sorted by series."""
    if not isinstance(frame, Frame):
        _refuse_frame(f"is a {type(frame).__name__}")
    if isinstance(frame.columns, pd.MultiIndex):
        _refuse_frame("has columns in levels")
    if frame.columns.duplicated().any():
        twice = frame.columns[frame.columns.duplicated()][0]
        raise ForecastError(
            f"column {twice!r} stands twice: frame.loc[:, ~frame.columns.duplicated()] keeps the first"
        )
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
        odd = next((one for one in ids if not isinstance(one, object) or not _hashable(one)), None)
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
    """The first fault of each series, by its name; the first of all where none may be left out."""

    def __init__(self, row: Array, ids: pd.Index, ds: pd.Series) -> None:
        self.row, self.ids, self.ds = row, ids, ds
        self.found: dict[Any, str] = {}

    def note(self, bad: Any, what: Callable[[int], str] | str, when: Any = None) -> None:
        """Rows that are `bad`: the first of each series is told, if nothing is yet."""
        rows = np.flatnonzero(np.asarray(bad))
        for i in rows[np.unique(self.row[rows], return_index=True)[1]]:
            name = self.ids[self.row[i]]
            date = day((self.ds if when is None else pd.Series(when)).iloc[i])
            text = what if isinstance(what, str) else what(int(i))
            self.found.setdefault(name, f"series {name}, {date}: {text}")


def _sound(frame: Frame, freq: Any, missing_y: bool, drop: bool) -> tuple[Panel, dict[Any, str]]:
    origin, frame = frame.index.to_numpy(), frame.reset_index(drop=True)
    row, ids = pd.factorize(frame["unique_id"])
    ids = pd.Index(ids)
    if (row < 0).any():
        when = day(frame["ds"][int(np.argmax(row < 0))])
        raise ForecastError(
            f"series without a unique_id, {when}: a row belongs to no series; drop it, or name its series"
        )
    faults, ds = _Faults(row, ids, frame["ds"]), frame["ds"]
    faults.note(ds.isna(), "a row has no date; drop it, or fill it in")
    same = np.r_[False, row[1:] == row[:-1]]
    step = ds.diff().where(same)
    by = "['unique_id', 'ds']" if len(ids) > 1 or (ids != "y").any() else "'ds'"
    faults.note(step < pd.Timedelta(0), f"comes after a later day; frame.sort_values({by})")
    faults.note(step == pd.Timedelta(0), "stands twice; keep one row a day")
    y = target(frame["y"])
    bad = np.isinf(y) | (np.abs(y) > BEYOND) if missing_y else ~(np.abs(y) <= BEYOND)
    lacking = "missing or infinite" if not missing_y else "infinite"
    per = np.bincount(row, bad)[row].astype(int)
    early = dict(faults.found)
    if early and not drop:
        _raise_first(early, ids)
    keep = ~np.isin(row, [i for i, name in enumerate(ids) if name in early])
    if not keep.any():
        _raise_first(early, ids)
    days, at, name = _on_calendar(faults, keep, same, freq)
    if len(faults.found) == len(ids):
        _raise_first(faults.found, ids)
    if name:
        lost = np.where(same & (at >= 0) & (np.roll(at, 1) >= 0), np.diff(at, prepend=0) - 1, 0)
        after = days[np.minimum(np.roll(at, 1) + 1, len(days) - 1)]
        total = np.bincount(row, np.maximum(lost, 0))[row].astype(int)
        way = _fill(name, len(ids) > 1 or by != "'ds'")
        faults.note(
            lost > 0, lambda i: f"the day is missing ({total[i]} in all); fill in, or cut there{way}", after
        )
    faults.note(bad, lambda i: f"y is {lacking} ({per[i]} rows in all); fill it, or cut there")
    if faults.found and (not drop or len(faults.found) == len(ids)):
        _raise_first(faults.found, ids)
    if faults.found:
        rest = frame[~frame["unique_id"].isin(list(faults.found))]
        return _sound(rest, freq, missing_y, drop)[0], faults.found
    return Panel(frame, ids, days, row, at, origin), {}


def _raise_first(found: dict[Any, str], ids: pd.Index) -> None:
    more = f" (and {len(found) - 1} more series; bad_series='drop' leaves them out)" if len(found) > 1 else ""
    raise ForecastError(found[next(name for name in ids if name in found)] + more)


def _on_calendar(faults: _Faults, keep: Array, same: Array, freq: Any) -> tuple[pd.DatetimeIndex, Array, str]:
    """All days, of each row the position among them (-1: not there), and the calendar's name."""
    ds = pd.DatetimeIndex(faults.ds[keep])
    at = np.full(len(keep), -1)
    if freq is not None:
        made = calendars.given(pd.DatetimeIndex(np.sort(ds.unique())), freq)
        at[keep] = made.days.get_indexer(ds)
        off = keep & (at < 0)
        faults.note(
            off, f"is no day of the calendar that freq={made.name!r} makes; see to it, or leave it out"
        )
        return made.days, at, made.name
    made = calendars.told(ds, same[keep])
    if made is None:
        names = _calendars_apart(faults, keep)
        usual = Counter(names.values()).most_common(1)[0][0] if names else None
        for i, key in names.items():
            if key != usual:
                rule = f"is no day of the calendar that the others keep ({usual[0]}); put all on one calendar"
                faults.note(faults.row == i, rule)
        good = keep & np.isin(faults.row, [i for i, key in names.items() if key == usual])
        made = calendars.told(pd.DatetimeIndex(faults.ds[good]), same[good]) if good.any() else None
        if made is None:
            return pd.DatetimeIndex([]), at, ""
        keep = good
    at[keep] = made.days.get_indexer(pd.DatetimeIndex(faults.ds[keep]))
    return made.days, at, made.name


def _calendars_apart(faults: _Faults, keep: Array) -> dict[int, tuple[str, Any]]:
    """The calendar of each series by itself (its rule and time of day); a series without one is a fault."""
    found = {}
    for i in np.unique(faults.row[keep]):
        rows = np.flatnonzero(keep & (faults.row == i))
        days = pd.DatetimeIndex(faults.ds.iloc[rows])
        alone = calendars.told(days, np.arange(len(days)) > 0)
        if alone is not None and (len(alone.days) < 2 * len(days) or len(days) < 3):
            found[int(i)] = (alone.name, days[0] - days[0].normalize())
            continue
        step = pd.Series(np.diff(days.to_numpy()))
        usual = step.mode().iloc[0]
        odd, named = step != usual, len(faults.ids) > 1
        at = np.zeros(len(faults.row), dtype=bool)
        at[rows[int(np.argmax(odd)) + 1]] = True
        what = f"comes {step[int(np.argmax(odd))]} after the day before, where most steps are {usual}"
        way = f"give freq= if they keep a calendar, or {_resample(step.median(), named)}"
        faults.note(at, f"{what} ({odd.sum()} of {len(step)} differ): {way}")
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
