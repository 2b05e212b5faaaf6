"""Files such as a reader brings: taxi trips and daily series of other shapes than the course's, made here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd


def trips(first: str, days: float, rows: int, zones: int = 40, seed: int = 0) -> pd.DataFrame:
    """Made-up trips of another city, with the course's column names and some of the usual faults."""
    rng = np.random.default_rng(seed)
    start = pd.Timestamp(first) + pd.to_timedelta(np.sort(rng.uniform(0, days * 86_400, rows)).round(), "s")
    miles = rng.gamma(1.5, 1.6, rows).round(2)
    slow = 1 + 0.4 * np.isin(pd.DatetimeIndex(start).hour, [8, 9, 17, 18])
    minutes = (3 + 4 * miles * slow * rng.lognormal(0, 0.25, rows)).round(1)
    minutes[::97], miles[::89] = 1_439, 0.0
    pickup, dropoff = rng.zipf(1.6, (2, rows)) % zones + 301
    return pd.DataFrame(
        {
            "vendor_id": rng.integers(1, 3, rows),
            "pickup_datetime": start,
            "dropoff_datetime": start + pd.to_timedelta((minutes * 60).round(), "s"),
            "passenger_count": rng.choice([0, 1, 1, 1, 2, 5, np.nan], rows),
            "trip_distance": miles,
            "rate_code_id": rng.choice([1, 1, 1, 2, 5], rows),
            "pickup_location_id": pickup,
            "dropoff_location_id": dropoff,
            "payment_type": rng.integers(1, 4, rows),
            "fare_amount": (2.5 + 2 * miles).round(2),
        }
    )


def raw(frame: pd.DataFrame) -> pd.DataFrame:
    """The same with the names of the TLC's green files, and columns that the course drops."""
    names = {
        "vendor_id": "VendorID",
        "pickup_datetime": "lpep_pickup_datetime",
        "dropoff_datetime": "lpep_dropoff_datetime",
        "rate_code_id": "RatecodeID",
        "pickup_location_id": "PULocationID",
        "dropoff_location_id": "DOLocationID",
    }
    return frame.rename(columns=names).assign(store_and_fwd_flag="N", ehail_fee=None, trip_type=1.0)


def without_codes(frame: pd.DataFrame) -> pd.DataFrame:
    """No count of passengers, no vendor, one rate, one kind of payment, one fare."""
    nothing = dict.fromkeys(("passenger_count", "vendor_id"), np.nan)
    return frame.assign(**nothing, rate_code_id=1, payment_type=1, fare_amount=9.0)


def write_trips(folder: Path) -> dict[str, str]:
    """Taxi files by what is special about them; a path with {month} where there are several."""
    folder.mkdir(exist_ok=True)
    made = {
        "a month of a small city": str(folder / "smallville.parquet"),
        "three green months": str(folder / "green_tripdata_{month}.parquet"),
        "a week as CSV": str(folder / "week.csv"),
        "poor columns": str(folder / "poor.parquet"),
        "an hour": str(folder / "hour.csv.gz"),
        "ten months": str(folder / "ten_months.parquet"),
        "five poor months": str(folder / "poor_{month}.parquet"),
        "five trips": str(folder / "five.csv"),
    }
    trips("2024-03-01", 31, 3_000, zones=6).to_parquet(made["a month of a small city"])
    for number, month in enumerate(("2023-11", "2023-12", "2024-01")):
        days = pd.Period(month).days_in_month
        raw(trips(f"{month}-01", days, 2_500, zones=120, seed=number)).to_parquet(
            made["three green months"].replace("{month}", month)
        )
    trips("2017-02-06", 7, 900, zones=60, seed=4).to_csv(made["a week as CSV"], index=False)
    without_codes(trips("2022-06-01", 61, 2_000, zones=3, seed=5)).to_parquet(made["poor columns"])
    trips("2017-02-06 08:00", 1 / 24, 700, zones=60, seed=6).to_csv(made["an hour"], index=False)
    trips("2023-05-10", 300, 12_000, zones=50, seed=7).to_parquet(made["ten months"])
    for month in pd.period_range("2022-08", "2022-12", freq="M"):
        some = without_codes(trips(f"{month}-05", 20, 400, zones=2, seed=month.month))
        some.to_parquet(made["five poor months"].replace("{month}", str(month)))
    trips("2024-03-01", 31, 5).to_csv(made["five trips"], index=False)
    return made


def series(first: str, days: int, seed: int = 0) -> pd.DataFrame:
    """A made-up count a day with a week, a year and a trend."""
    rng, day = np.random.default_rng(seed), np.arange(days)
    week = np.array([1, 1.1, 1.1, 1.05, 1.2, 0.6, 0.4])[day % 7]
    level = 300 * (1 + 0.2 * np.sin(2 * np.pi * day / 365.25)) * (1 + day / 4_000)
    y = (level * week * rng.lognormal(0, 0.1, days)).round()
    return pd.DataFrame({"ds": pd.date_range(first, periods=days), "y": y})


def write_series(folder: Path) -> dict[str, str]:
    """Files of series by what is special about them."""
    folder.mkdir(exist_ok=True)
    two_years = series("2021-03-01", 760)
    rain = np.random.default_rng(1).gamma(0.5, 2, 760).round(1)
    many_zeros = series("2015-01-01", 1_500, seed=2)
    closed = np.random.default_rng(3).random(1_500) < 0.4
    closed[600:640] = True
    monthly = two_years.assign(ds=pd.date_range("1960-01-01", periods=760, freq="MS"))
    weekly = two_years.assign(ds=pd.date_range("2008-01-07", periods=760, freq="7D"))
    frames = {
        "200 days": series("2024-01-01", 200),
        "two years, no regressors": two_years,
        "rain and text names": two_years.assign(rain_mm=rain, constant=1).rename(columns={"ds": "Date"}),
        "many zeros": many_zeros.assign(y=many_zeros["y"].mask(closed, 0)),
        "monthly": monthly,
        "weekly": weekly,
        "constant": two_years.assign(y=5),
    }
    made = {}
    for name, frame in frames.items():
        made[name] = str(folder / f"{name.split(',')[0].replace(' ', '_')}.csv")
        frame.to_csv(made[name], index=False)
    return made
