"""What the columns of trips and series must hold, and which days a series: checks of `course.data`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from course.data.columns import DataError, Faults, as_dates, as_names, as_numbers, zone

if TYPE_CHECKING:
    from pandera.pandas import DataFrameSchema

_SPACINGS = {7: "week", **dict.fromkeys(range(28, 32), "month"), **dict.fromkeys(range(90, 93), "quarter")}
_SPACINGS |= dict.fromkeys((365, 366), "year")


def typed(
    values: pd.Series, kind: str, column: str, faults: Faults, *, dayfirst: bool | None, truths: bool
) -> pd.Series:
    """The column in the type `kind`; values that have no such form are faults, never dropped."""
    if kind == "str":
        names = as_names(values)
        faults.add(column, "is not a name", names.isna() & values.notna(), values)
        return names
    if kind.startswith("date"):
        dates = as_dates(values, dayfirst)
        faults.add(column, "is not a date as 2019-01-31", dates.isna(), values)
        return dates
    numbers, bad = as_numbers(values, truths)
    if kind == "float64":
        faults.add(column, "is not a number", bad, values)
        return numbers
    whole = (numbers == np.floor(numbers)) & (numbers.abs() < 2**53)  # beyond it float64 leaves numbers out
    faults.add(column, "is not a whole number", ~whole, values)
    return numbers.where(whole, 0).astype(kind)


@cache
def _schema(kind: str) -> DataFrameSchema:
    # 0.3 s: paid when data is first loaded, not by everyone who imports this module
    from pandera.pandas import Check, Column, DataFrameSchema

    not_negative, positive = Check.ge(0, error="is negative"), Check.ge(1, error="is below 1")
    if kind == "trips":
        day = Column("datetime64[us]")
        code, amount = (Column("float64", check, nullable=True) for check in (not_negative, None))
        zone = Column("int64", positive)
        return DataFrameSchema(
            {
                **dict.fromkeys(("pickup_datetime", "dropoff_datetime"), day),
                **dict.fromkeys(("vendor_id", "passenger_count", "rate_code_id", "payment_type"), code),
                **dict.fromkeys(("pickup_location_id", "dropoff_location_id"), zone),
                # below zero is a fault of the source which the lessons deal with
                **dict.fromkeys(("trip_distance", "fare_amount"), amount),
            }
        )
    columns = {
        "ds": Column("datetime64[us]"),
        "y": Column("int64" if kind == "births" else "float64", not_negative),
    }
    if kind == "stations":
        columns["unique_id"] = Column("str", Check.str_length(min_value=1, error="is empty"))
    if kind == "ridership":
        share = Check.in_range(0, 1, error="is not a share of 0 to 1")
        game = Check.isin([0, 1], error="is neither 0 nor 1")
        columns["^.+_share$"] = Column("float64", share, nullable=True, regex=True, required=False)
        columns["^.+_(away|home)$"] = Column("int64", game, regex=True, required=False)
    return DataFrameSchema(columns)


def check(frame: pd.DataFrame, kind: str, faults: Faults) -> None:
    """What breaks the schema becomes a fault."""
    schema = _schema(kind)
    from pandera.errors import SchemaErrors

    try:
        schema.validate(frame, lazy=True)
    except SchemaErrors as error:
        broken = error.failure_cases
    else:
        return
    for (column, rule), cases in broken.groupby(["column", "check"]):
        bad = pd.Series(frame.index.isin(cases["index"]), index=frame.index)
        faults.add(column, "is missing" if rule == "not_nullable" else rule, bad, frame[column])


def refuse_two_zones(pickup: pd.Series, dropoff: pd.Series, label: str) -> None:
    """Clocks lose their zone, so both must have the same."""
    zones = [zone(clock) or "no zone" for clock in (pickup, dropoff)]
    if zones[0] != zones[1]:
        raise DataError(
            f"{label}: pickup_datetime has {zones[0]}, dropoff_datetime {zones[1]}: write both alike"
        )


def refuse_broken_calendar(
    frame: pd.DataFrame, keys: list[str], label: str, theirs: Mapping[str, str], dayfirst: bool | None
) -> None:
    """Each day once and none left out, else a lag of seven rows is not a lag of seven days.

    The code in a message makes days of `frame`, the file as pandas reads it, with its own names (`theirs`).
    """
    local = f"frame[{theirs['ds']!r}].astype(str).str[:19]"  # without an offset, which differs in summer
    dated = f"frame.set_index(pd.to_datetime({local}{', dayfirst=True' if dayfirst else ''}))"
    by = f".groupby({theirs['unique_id']!r})" if keys else ""
    daily = f"{dated}{by}[{theirs['y']!r}].resample('D')"
    days, day = frame["ds"], pd.Timedelta(days=1)
    step = frame.groupby(keys)["ds"].diff() if keys else days.diff()
    usual = step[step > pd.Timedelta(0)].median()
    if (clock := days != days.dt.normalize()).any():
        hours = usual / pd.Timedelta(hours=1)
        often = f" (a row every {'hour' if hours == 1 else f'{hours:g} hours'})" if hours < 24 else ""
        raise DataError(
            f"{label}: ds has a time of day in {clock.sum():,} rows{often}, and this loader wants days: "
            f"`{daily}.sum().reset_index()` sums up to them"
        )
    if (twice := frame.duplicated([*keys, "ds"])).any():
        first = f"{days[twice].iloc[0]:%Y-%m-%d}"
        raise DataError(f"{label}: {twice.sum():,} rows repeat a day (the first: {first}); keep one of each")
    if usual > day:
        raise DataError(
            f"{label} has a row every {_SPACINGS.get(usual.days, f'{usual.days} days')}, and this loader "
            f"wants days: bring them, or repeat each row until the next: `{daily}.ffill().reset_index()`; "
            "walkforward.forecasting.backtest takes the file's own rows"
        )
    if (gap := step > day).any():
        lost = days[gap] - step[gap] + day
        where = f"{label}: {gap.sum():,} gaps in the days (the first: {lost.iloc[0]:%Y-%m-%d})"
        if (lost.dt.dayofweek == 5).all() and (step[gap] == 3 * day).all():
            raise DataError(f"{where}, all weekends: `{daily}.asfreq(fill_value=0).reset_index()` fills them")
        raise DataError(f"{where}; fill them, or cut there")
