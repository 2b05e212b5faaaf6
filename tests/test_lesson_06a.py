"""Lessons 06a and 06b: what they say of causes, choices and metrics holds in small runs and in the record."""

import hashlib
import json
import re
import subprocess
import sys
from html import unescape
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import train_test_split
from threadpoolctl import threadpool_limits
from xgboost import XGBRegressor

from course.data import load_trips, months, prepare_trips
from course.exercise import source as exercise_source

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = [
    nbformat.read(ROOT / "notebooks" / f"{stem}.ipynb", as_version=4)
    for stem in ("06a_reproducibility", "06b_reports_and_records")
]
EXERCISES = exercise_source.load(ROOT / "src" / "lessons" / "exercises" / "06a_reproducibility.py")
RECORD = json.loads((ROOT / "benchmarks" / "results" / "reproducibility.json").read_text(encoding="utf-8"))
FEATURES = ["trip_distance", "pickup_location_id", "dropoff_location_id", "hour", "weekday"]
MODELS = ["xgboost", "xgboost, sampled", "histogram boosting", "forest", "linear", "network"]


def load(first, last):
    trips = prepare_trips(load_trips(months(first, last)))
    clock = trips["pickup_datetime"].dt
    return trips.assign(hour=clock.hour, weekday=clock.dayofweek).astype(dict.fromkeys(FEATURES, float))


@pytest.fixture(scope="module")
def trips():
    """Six months to choose seeds on; the lesson's own are among them."""
    return {month: load(month, month) for month in months("2018-09", "2019-05")}


@pytest.fixture(scope="module")
def train(trips):
    return pd.concat([trips["2019-01"], trips["2019-02"]], ignore_index=True)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    with threadpool_limits(limits=1):
        yield


def rmse(truth, yhat):
    return float(np.sqrt(np.mean((np.asarray(truth) - yhat) ** 2)))


def boosted(rows, to, columns=FEATURES, seed=0, sample=1.0, trees=30, threads=1):
    options = {"n_estimators": trees, "subsample": sample, "random_state": seed, "n_jobs": threads}
    model = XGBRegressor(**options).fit(rows[columns], rows["duration"])
    return model.predict(to[columns]).astype(float)


def table(name):
    """A table that one of the two sittings shows, its numbers as numbers."""
    cells = [cell for notebook in NOTEBOOKS for cell in notebook.cells]
    (cell,) = [cell for cell in cells if cell.cell_type == "code" and cell.id == name]
    (shown,) = [one.data["text/html"] for one in cell.outputs if "text/html" in one.get("data", {})]
    rows = [
        [unescape(text) for text in re.findall(r"<t[hd]>(.*?)</t[hd]>", row)]
        for row in re.findall(r"<tr>(.*?)</tr>", shown, re.DOTALL)
    ]
    head = re.findall(r"<th>(.*?)</th>", re.search(r"<thead>(.*?)</tr>", shown, re.DOTALL)[1])[1:]
    rows = [row for row in rows if row and any(row[1:])]
    frame = pd.DataFrame([row[1:] for row in rows], [row[0] for row in rows], [unescape(h) for h in head])
    numbers = frame.apply(pd.to_numeric, errors="coerce")
    return frame.where(numbers.isna(), numbers)


# The causes, live ---------------------------------------------------------------------------------------


def test_histogram_boosting_is_random_above_ten_thousand_rows_only(train):
    def repeats(rows, **options):
        models = [HistGradientBoostingRegressor(max_iter=5, **options) for _ in range(3)]
        return len(
            {m.fit(rows[FEATURES], rows["duration"]).predict(rows[FEATURES][:500]).tobytes() for m in models}
        )

    assert len(train) > 10_000
    assert repeats(train) == 3
    assert repeats(train, random_state=0) == 1
    assert repeats(train, early_stopping=False) == 1
    assert repeats(train[:10_000]) == 1
    assert repeats(train[:10_001]) == 3


def test_xgboost_without_a_seed_takes_seed_0(train):
    new = train[:500]
    unseeded, zero, one = (boosted(train, new, seed=seed, sample=0.8) for seed in (None, 0, 1))
    assert (unseeded == zero).all() and (unseeded != one).any()


def test_rows_matter_when_they_are_sampled_and_not_otherwise(train):
    new, other = train[:2_000], train.sample(frac=1, random_state=1)
    assert (boosted(train, new) == boosted(other, new)).all()
    assert np.abs(boosted(train, new, sample=0.8) - boosted(other, new, sample=0.8)).max() > 1
    # Sorted by all columns, the seed means the same trips again.
    key = [*FEATURES, "duration"]
    one, two = (boosted(rows.sort_values(key), new, sample=0.8) for rows in (train, other))
    assert (one == two).all()


def test_orders_of_columns_tie_on_the_training_trips_and_part_on_new_ones(train, trips):
    rng = np.random.default_rng(0)
    orders = [list(rng.permutation(FEATURES)) for _ in range(3)]

    def spread(to):
        return np.ptp([boosted(train, to, columns=columns) for columns in orders], axis=0)

    assert spread(train).max() == 0
    new = spread(trips["2019-04"])
    assert new.max() > 0.1 and np.mean(new > 0) < 0.2


def test_a_set_has_another_order_in_another_process():
    code = f"print(*set({FEATURES}))"
    orders = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": str(k)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for k in range(5)
    }
    assert len(orders) > 1


def test_one_corrected_trip_is_another_model(train, trips):
    late, new = train.copy(), trips["2019-04"]
    late.loc[500, "duration"] += 1
    before, after = boosted(train, new, trees=100), boosted(late, new, trees=100)
    assert np.abs(before - after).max() > 1
    assert abs(rmse(new["duration"], before) - rmse(new["duration"], after)) < 0.05


@pytest.mark.parametrize("threads", [2, 4])
def test_xgboost_has_the_same_bits_with_any_number_of_threads(train, threads):
    new = train[:2_000]
    assert (boosted(train, new, sample=0.8) == boosted(train, new, sample=0.8, threads=threads)).all()


def test_a_forest_trains_equal_trees_and_adds_them_in_any_order(train):
    def forest(train_threads, predict_threads):
        model = RandomForestRegressor(20, min_samples_leaf=5, random_state=0, n_jobs=train_threads)
        model.fit(train[FEATURES][:5_000], train["duration"][:5_000]).set_params(n_jobs=predict_threads)
        return model.predict(train[FEATURES][5_000:7_000])

    alone = forest(1, 1)
    assert (alone == forest(2, 1)).all()
    assert np.abs(alone - forest(2, 2)).max() < 1e-12


def test_a_linear_regression_is_noise_away_from_itself(train):
    one, two = (
        LinearRegression().fit(rows[FEATURES], rows["duration"]).predict(train[FEATURES])
        for rows in (train, train.sample(frac=1, random_state=0))
    )
    assert (one != two).any() and np.abs(one - two).max() < 1e-9


def test_sums_have_an_order_unless_there_is_room(train):
    minutes, rng = train["duration"].to_numpy(), np.random.default_rng(1)

    def totals(numbers, sums):
        orders = [rng.permutation(minutes.astype(numbers)) for _ in range(10)]
        return [float(np.cumsum(order, dtype=sums)[-1]) for order in orders]

    assert np.ptp(totals("float32", "float32")) > 0.1
    assert np.ptp(totals("float32", "float64")) == 0
    assert 0 < np.ptp(totals("float64", "float64")) < 1e-6


# The record ---------------------------------------------------------------------------------------------


def differences(variant):
    return {name: row["largest difference"] for name, row in RECORD["causes"][variant]["models"].items()}


def test_the_record_is_whole():
    assert {"machine", "causes", "cost"} <= set(RECORD)
    for found in RECORD["causes"].values():
        assert list(found["models"]) == [*MODELS, "dot product"]
        for row in found["models"].values():
            assert row["bit-equal"] == (row["largest difference"] == 0)


def test_threads_and_processors_make_noise_at_most():
    variants = [name for name in RECORD["causes"] if "threads" in name or "processor" in name]
    assert len(variants) == 6
    for variant in variants:
        found = differences(variant)
        assert max(found.values()) < 1e-12
        assert found["xgboost"] == found["xgboost, sampled"] == found["histogram boosting"] == 0
    assert differences("2 threads")["forest"] > 0 and differences("2 threads, again")["forest"] > 0
    assert differences("2 threads")["dot product"] > 0
    assert differences("processor with AVX2")["linear"] > 0
    kernels = [tuple(RECORD["causes"][v]["kernels"]) for v in variants if "processor" in v]
    assert len(set(kernels)) == 3, "the simulated processors took the same kernels"


def test_versions_make_other_models_with_the_same_seed():
    of_2025, of_2023 = differences("libraries of 2025"), differences("libraries of 2023")
    assert of_2025["xgboost, sampled"] == 0 and of_2023["xgboost, sampled"] > 1
    assert of_2025["histogram boosting"] > 1
    errors = [
        RECORD["causes"][v]["models"]["histogram boosting"]["rmse"]
        for v in ("reference", "libraries of 2025")
    ]
    assert abs(errors[0] - errors[1]) < 0.01
    versions = {
        RECORD["causes"][v]["xgboost"] for v in ("reference", "libraries of 2025", "libraries of 2023")
    }
    assert len(versions) == 3


def test_a_seed_of_numpy_draws_the_same_in_all_environments():
    assert len({found["first random number"] for found in RECORD["causes"].values()}) == 1


def test_the_second_thread_is_worth_having_for_the_forest():
    assert RECORD["cost"]["forest"]["1"] > 1.5 * RECORD["cost"]["forest"]["2"]


def test_the_reference_is_what_the_lesson_trains(train, trips):
    """The record's XGBoost, trained again here: the same data, seed and error."""
    yhat = boosted(train, trips["2019-04"], sample=0.8, trees=100)
    recorded = RECORD["causes"]["reference"]["models"]["xgboost, sampled"]
    assert rmse(trips["2019-04"]["duration"], yhat) == pytest.approx(recorded["rmse"], abs=0.02)
    assert table("table").loc["nothing", "RMSE, from"] == pytest.approx(recorded["rmse"], abs=5e-4)


def test_the_lesson_shows_the_record():
    shown = table("recorded")
    assert shown.loc["libraries of 2025", "histogram boosting"] == pytest.approx(
        differences("libraries of 2025")["histogram boosting"], abs=0.005
    )
    assert (shown.loc["the same again"] == "equal").all()


# Does it matter? ----------------------------------------------------------------------------------------


def test_ten_seeds_spread_as_far_as_tuning_gains():
    """Lesson 04: the best of 6,912 settings is some 1.5 % better than the defaults in validation."""
    ranges = table("table")["range (%)"].astype(float)
    assert ranges["the seed"] > 1.2
    assert ranges["the seed"] > 10 * ranges["columns from a set; no sampling"] > 0
    assert ranges["nothing"] == ranges["order of the rows; no sampling"] == 0


def test_only_the_predictions_tell_noise_from_change():
    verdicts = table("tolerance")
    assert (verdicts["same hash"] == "False").all()
    assert (verdicts["RMSE within 0.01"] == "True").all()
    assert list(verdicts["each within 1e-4"]) == ["True", "False", "False", "False"]


def gains(scores):
    """Of the seed with the lowest first error: per cent below the mean, on the first and the second rows."""
    best = scores[0].idxmin()
    return 100 * (1 - scores.loc[best] / scores.mean())


@pytest.mark.slow
def test_what_the_luckiest_model_promises_is_not_kept(trips):
    """Seeds 0 to 19, four pairs of months: the best in the next month, and what is left one month later."""
    found = []
    for first in ("2018-09", "2018-10", "2018-11", "2018-12"):
        one, two, test, fresh = months(first, "2019-05")[:4]
        rows, to = pd.concat([trips[one], trips[two]]), pd.concat([trips[test], trips[fresh]])
        cut, scores = len(trips[test]), []
        for seed in range(20):
            yhat = boosted(rows, to, seed=seed, sample=0.8, trees=50)
            scores.append([rmse(to["duration"][:cut], yhat[:cut]), rmse(to["duration"][cut:], yhat[cut:])])
        found.append(gains(pd.DataFrame(scores)))
    promised, kept = pd.DataFrame(found).mean()
    assert min(gain[1] for gain in found) < 0
    assert promised > 0.4
    assert kept < promised / 2, f"promised {promised:.2f} %, kept {kept:.2f} %"


def test_what_the_luckiest_split_promises_is_not_kept(train, trips):
    """Seeds 0 to 19: a random fifth of the training months chooses itself."""
    scores = []
    for seed in range(20):
        part, held_out = train_test_split(train, test_size=0.2, random_state=seed)
        to = pd.concat([held_out, trips["2019-05"]])
        yhat, cut = boosted(part, to, trees=50), len(held_out)
        scores.append([rmse(to["duration"][:cut], yhat[:cut]), rmse(to["duration"][cut:], yhat[cut:])])
    promised, kept = gains(pd.DataFrame(scores))
    assert promised > 2
    assert abs(kept) < promised / 3


def test_a_winner_by_one_definition_loses_by_another():
    accuracies, rmses = table("accuracies"), table("rmses")
    assert set(accuracies["better"]) == {"A", "B"} and accuracies.loc["R²", "better"] == "A"
    values = accuracies["A"].astype(float)
    assert values.max() - values.min() > 0.3
    assert rmses.loc["trips of 1 to 60 minutes", "better"] == "A"
    assert rmses.loc["trips of 1 to 30 minutes", "better"] == "B"
    assert rmses.loc["1 to 60 minutes, mean over zones", "better"] == "B"
    assert rmses.loc["all recorded trips", "A"] > 10 * rmses.loc["trips of 1 to 60 minutes", "A"]


@pytest.mark.parametrize("first", ["2018-09", "2018-10", "2018-11", "2018-12", "2019-01"])
def test_relative_errors_prefer_the_model_of_the_logarithm_more_than_squares_do(trips, first):
    one, two, _, test = months(first, "2019-05")[:4]
    rows, new = pd.concat([trips[one], trips[two]]), trips[test]
    a = boosted(rows, new)
    b = np.exp(boosted(rows.assign(duration=np.log(rows["duration"])), new))
    mape = [(np.abs(yhat - new["duration"]) / new["duration"]).mean() for yhat in (a, b)]
    squared = [rmse(new["duration"], yhat) for yhat in (a, b)]
    assert mape[1] / mape[0] < 0.98 * squared[1] / squared[0]


# The exercises against the lesson -----------------------------------------------------------------------


def test_the_tolerance_lies_between_the_noise_and_a_change(train, trips):
    new = trips["2019-04"]
    before, late = boosted(train, new), train.copy()
    late.loc[500, "duration"] += 1
    noise = max(
        differences(v)[name] for v in RECORD["causes"] if "libraries" not in v for name in differences(v)
    )
    assert EXERCISES.same_predictions(before, before + noise)
    assert EXERCISES.same_predictions(before, before.astype("float32"))
    assert not EXERCISES.same_predictions(before, boosted(late, new))
    digests = {hashlib.sha256(part.tobytes()).hexdigest() for part in (before, before + noise)}
    assert noise > 0 and len(digests) == 2


def test_the_table_in_the_benchmarks_readme_is_the_records():
    sys.path.insert(0, str(ROOT / "benchmarks"))
    import reproducibility
    from shared import README

    assert reproducibility.summary(RECORD) in README.read_text(encoding="utf-8")
