"""The record of trials that lessons 04a to 04d search: complete, true of a training, true to itself."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

import tuning  # noqa: E402
from shared import README  # noqa: E402

SETTING = [*tuning.SPACE, "n_estimators"]
PARTS = [f"part_{i:02}" for i in range(tuning.PARTS)]
MEASURED = ["rmse_valid", "rmse_test", "rmse_fresh", *PARTS]
# The defaults; a slow learner with few leaves; one that samples rows and columns; deep trees at a high rate.
PROBES = [
    (0.3, 6, 1, 1.0, 1.0),
    (0.01, 2, 80, 1.0, 1.0),
    (0.1, 4, 20, 0.5, 0.6),
    (0.5, 8, 5, 0.75, 0.8),
]


@pytest.fixture(scope="module")
def record():
    return pd.read_parquet(tuning.RESULTS)


@pytest.fixture(scope="module")
def trips():
    return tuning.trips()


def of(record, probe):
    """The rows of a setting, by number of trees."""
    same = (record[list(tuning.SPACE)] == list(probe)).all(axis=1)
    return record[same].set_index("n_estimators")


def test_every_setting_is_there_once(record):
    levels = {**tuning.SPACE, "n_estimators": list(tuning.TREES)}
    assert {name: sorted(record[name].unique()) for name in SETTING} == levels
    assert len(record) == np.prod([len(values) for values in levels.values()]) == 6_912
    assert not record.duplicated(SETTING).any()
    assert record.notna().all(axis=None)


@pytest.mark.parametrize("probe", PROBES, ids=str)
def test_a_setting_trained_again_is_what_the_record_says(record, trips, probe):
    again = pd.DataFrame(tuning.evaluate(dict(zip(tuning.SPACE, probe, strict=True)), trips))
    again = again.set_index("n_estimators")
    kept = of(record, probe).loc[again.index]
    # Another processor may round otherwise; another setting differs in the second digit.
    assert np.allclose(again[MEASURED], kept[MEASURED], rtol=2e-3)
    assert (again["bytes"] / kept["bytes"]).between(0.98, 1.02).all()


def test_neighbours_in_the_grid_differ_by_more_than_that_tolerance(record):
    """Or the comparison above would pass for the wrong row."""
    kept = of(record, PROBES[0])[MEASURED]
    for column, value in [("learning_rate", 0.2), ("max_depth", 4), ("min_child_weight", 5)]:
        other = dict(zip(tuning.SPACE, PROBES[0], strict=True)) | {column: value}
        assert not np.allclose(of(record, other.values())[MEASURED], kept, rtol=2e-3)


def test_the_parts_make_up_the_validation_month(record, trips):
    sizes = np.bincount(np.arange(len(trips["valid"])) % tuning.PARTS)
    whole = np.sqrt((record[PARTS] ** 2 * sizes).sum(axis=1) / sizes.sum())
    assert np.allclose(whole, record["rmse_valid"], rtol=1e-5)


def test_costs_grow_with_the_trees(record):
    for cost in ("seconds", "bytes"):
        assert (record.groupby(list(tuning.SPACE))[cost].diff().dropna() > 0).all(), cost


def test_the_table_in_the_readme_is_the_records(record):
    assert tuning.summary(record) in README.read_text(encoding="utf-8")
