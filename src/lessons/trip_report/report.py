"""Lesson 01's notebook as a module: trips split by time, durations by distance, and the error as a report."""

from collections.abc import Callable

import numpy as np
import pandas as pd

EDGES = np.array([0.5, 1, 1.5, 2, 3, 4, 6, 9, 14])  # miles


def split(trips: pd.DataFrame, cut: pd.Timestamp, late: int = 0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The trips to learn from at the moment `cut`, and those to be judged by.

    A duration is known `late` days after the trip has ended: that must be before `cut`. A trip that begins
    at `cut` or later is judged by. What is under way, or not known yet, is in neither. Rows, columns and
    labels stay as they are.
    """
    known = trips["dropoff_datetime"] < cut - pd.Timedelta(days=late)
    return trips[known], trips[trips["pickup_datetime"] >= cut]


def mean_at_distance(train: pd.DataFrame, miles: pd.Series) -> np.ndarray:
    """The mean duration of the training trips of about this distance, for each of `miles`."""
    means = train["duration"].groupby(np.digitize(train["trip_distance"], EDGES)).mean()
    return means.reindex(np.digitize(miles, EDGES)).fillna(train["duration"].mean()).to_numpy()


def report(trips: pd.DataFrame, today: pd.Timestamp, save: Callable[[str, float], object]) -> None:
    """Judge the last 28 days before `today`, learnt from 84 days before them; `save` keeps each number."""
    cut = today - pd.Timedelta(days=28)
    recent = trips[trips["pickup_datetime"].between(cut - pd.Timedelta(days=84), today, inclusive="left")]
    train, test = split(recent, cut)
    missed = test["duration"] - mean_at_distance(train, test["trip_distance"])
    save("trips", len(test))
    save("rmse", float(np.sqrt((missed**2).mean())))
