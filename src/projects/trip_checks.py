"""What the lessons on release tests share: trips with a borough, models, faults, small measures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from lime.lime_tabular import LimeTabularExplainer
from pandera.errors import SchemaErrors
from pandera.pandas import DataFrameSchema
from scipy import stats
from xgboost import DMatrix, XGBRegressor

from course.data import load_trips, months, prepare_trips
from projects.trip_zones import borough

FEATURES = ["trip_distance", "pickup_location_id", "dropoff_location_id", "hour", "weekday"]
SEVEN = [*FEATURES, "passenger_count", "vendor_id"]
FIRST, LAST = "2018-01", "2019-12"


def released_trips() -> pd.DataFrame:
    """Trips of 1 to 60 minutes, 2018 and 2019: the columns SEVEN as floats, `month`, `day`, `borough`."""
    trips = prepare_trips(load_trips(months(FIRST, LAST))).dropna(subset=["passenger_count", "vendor_id"])
    pickup = trips["pickup_datetime"].dt
    trips["hour"], trips["weekday"], trips["month"] = pickup.hour, pickup.dayofweek, pickup.strftime("%Y-%m")
    trips["day"], trips["borough"] = pickup.normalize(), borough(trips["pickup_location_id"])
    trips[SEVEN] = trips[SEVEN].astype(float)
    return trips[trips["month"].between(FIRST, LAST)]  # a broken clock says 2008


def trained(rows: pd.DataFrame, columns: list[str], **extra: Any) -> XGBRegressor:
    """A model of a hundred trees on these columns of these trips."""
    model = XGBRegressor(n_estimators=100, max_depth=5, learning_rate=0.1, n_jobs=1, **extra)
    return model.fit(rows[columns], rows["duration"])


def answers(model: Any, rows: pd.DataFrame) -> np.ndarray:
    """Minutes, from the columns that the model has learnt from."""
    return model.predict(rows[model.feature_names_in_])


def rmse(model: Any, rows: pd.DataFrame) -> float:
    """Root mean squared error in minutes."""
    return float(np.sqrt(np.mean((rows["duration"] - answers(model, rows)) ** 2)))


def refused(schema: DataFrameSchema, rows: pd.DataFrame) -> list[str]:
    """The rules of the schema that a table breaks."""
    try:
        schema.validate(rows, lazy=True)
    except SchemaErrors as error:
        return sorted(set(error.failure_cases["check"].astype(str)))
    return []


def faulty_tables(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The table, and five faults as they happen in a pipeline."""
    miles, first = rows["trip_distance"], rows.index == rows.index[0]
    return {
        "as it was": rows,
        "distance in kilometres": rows.assign(trip_distance=1.609 * miles),
        "distance of another trip": rows.assign(trip_distance=np.random.default_rng(0).permutation(miles)),
        "hour in UTC": rows.assign(hour=(rows["hour"] + 4) % 24),
        "one trip to zone 300": rows.assign(dropoff_location_id=rows["dropoff_location_id"].mask(first, 300)),
        "one trip without passengers": rows.assign(passenger_count=rows["passenger_count"].mask(first)),
    }


def gain_interval(a: Any, b: Any, rows: pd.DataFrame, draws: int) -> tuple[float, float]:
    """The 95 % interval of RMSE(b) − RMSE(a): whole days are drawn, the same for both models."""
    squares = pd.DataFrame(
        {n: (rows["duration"] - answers(model, rows)) ** 2 for n, model in enumerate((a, b))}
    )
    sums = squares.assign(trips=1.0).groupby(rows["day"]).sum().to_numpy()
    rng = np.random.default_rng(0)
    drawn = np.array([sums[rng.integers(0, len(sums), len(sums))].sum(axis=0) for _ in range(draws)])
    first, second = np.sqrt(drawn[:, :2] / drawn[:, 2:]).T
    low, high = np.quantile(second - first, [0.025, 0.975])
    return float(low), float(high)


def by_slice(missed: pd.Series, groups: pd.Series) -> pd.DataFrame:
    """Trips and mean of each slice, with the 95 % t-interval of the mean."""
    table = missed.groupby(groups).agg(["size", "mean", "sem"])
    reach = stats.t.ppf(0.975, table["size"] - 1) * table["sem"]
    told = pd.DataFrame({"trips": table["size"], "error": table["mean"]})
    return told.assign(low=table["mean"] - reach, high=table["mean"] + reach)


def as_bad(errors: pd.Series, target: float) -> float:
    """By how many minutes a coin must push answers up or down until their mean absolute error is `target`."""
    coin = np.random.default_rng(0).choice([-1, 1], len(errors))
    steps = np.arange(0, 15, 0.1)
    return float(next(step for step in steps if (errors + step * coin).abs().mean() >= target))


def reasons(model: XGBRegressor, rows: pd.DataFrame) -> pd.DataFrame:
    """SHAP values in minutes: one row a trip, one column a feature."""
    values = model.get_booster().predict(DMatrix(rows[FEATURES]), pred_contribs=True)
    return pd.DataFrame(values[:, :-1], rows.index, FEATURES)


def lime_reasons(
    predict: Callable[[np.ndarray], np.ndarray], rows: pd.DataFrame, train: pd.DataFrame, seed: int
) -> pd.DataFrame:
    """LIME's weights in minutes: one row a trip, one column a feature."""
    sample = train[FEATURES].sample(2_000, random_state=0).to_numpy()
    form = {"feature_names": FEATURES, "mode": "regression", "feature_selection": "none"}
    explainer, told = LimeTabularExplainer(sample, random_state=seed, **form), []
    for trip in rows[FEATURES].to_numpy():
        one = explainer.explain_instance(trip, predict, num_features=len(FEATURES), num_samples=1_000)
        told.append(dict(one.as_map()[1]))
    return pd.DataFrame(told, rows.index)[list(range(len(FEATURES)))].set_axis(FEATURES, axis=1)
