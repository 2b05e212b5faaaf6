"""Helpers of lesson 15e: daily trips of quiet taxi zones, forecasts held for a week, and the interval of a cost."""

import numpy as np
import pandas as pd

from course.data import load_trips


def quiet_zones():
    """Trips a day of the sample in zones with 0.1 to 1 a day in 2018: days × zones, 2018 to 2020, zeros kept."""
    months = [str(month) for month in pd.period_range("2018-01", "2020-12", freq="M")]
    trips = load_trips(months, sample=None)
    trips = trips[~trips["pickup_location_id"].isin([264, 265])]  # unknown or outside of the city
    counts = trips.groupby([trips["pickup_datetime"].dt.floor("D"), "pickup_location_id"]).size()
    days = pd.date_range("2018-01-01", "2020-12-27", name="ds")  # ends on a Sunday
    counts = counts.unstack(fill_value=0).reindex(days, fill_value=0)
    a_day = counts.loc["2018"].mean()
    return counts.loc[:, (a_day > 0.1) & (a_day < 1)].add_prefix("zone ").rename_axis(columns="unique_id")


def held(rates, counts, sundays):
    """The rates that are known on each Sunday, held for seven days, as a backtest."""
    known = rates.loc[sundays].rename_axis("cutoff").stack().rename("yhat").reset_index()
    days = [known.assign(h=h, ds=known["cutoff"] + pd.Timedelta(days=h)) for h in range(1, 8)]
    week = pd.concat(days).merge(counts.stack().rename("y").reset_index(), on=["unique_id", "ds"])
    return week.sort_values(["unique_id", "ds"], ignore_index=True)


def rates_before(frame):
    """Features of a panel: means of 28, 91 and 364 days that end seven days before the day."""
    y = frame.groupby("unique_id", sort=False)["y"]
    means = {
        n: y.transform(lambda one, n=n: one.rolling(n, min_periods=28).mean().shift(7)) for n in (28, 91, 364)
    }
    return pd.DataFrame(means).add_prefix("mean ")


def interval(weeks, n=2000):
    """The mean of a weekly Series with its 95 % interval, from blocks of four weeks, in words."""
    values = weeks.to_numpy()
    starts = np.random.default_rng(0).integers(len(values), size=(n, max(1, len(values) // 4), 1))
    drawn = values[(starts + np.arange(4)) % len(values)].mean(axis=(1, 2))
    low, high = np.quantile(drawn, [0.025, 0.975])
    return f"{values.mean():+.3f} ({low:+.3f} to {high:+.3f})"


def weekly(counts):
    """Weeks that end on a Sunday: y the trips, yhat seven times the mean of the 182 days before, as a backtest."""
    yhat = 7 * counts.rolling(182).mean().shift(7)
    both = {"y": counts.rolling(7).sum(), "yhat": yhat}
    weeks = pd.DataFrame({name: frame.stack() for name, frame in both.items()}).dropna().reset_index()
    weeks = weeks[weeks["ds"].dt.dayofweek == 6].assign(h=1)
    weeks["cutoff"] = weeks["ds"] - pd.Timedelta(days=7)
    return weeks.sort_values(["unique_id", "ds"], ignore_index=True)
