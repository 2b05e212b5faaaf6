"""The tests of your flow: keep them green, and add one for each fault that you meet. `python -m pytest`."""

# ruff: noqa: ANN001, ANN201, D103

import flow
import numpy as np
import pandas as pd
import pytest


def made(days, seed=0):
    rng = np.random.default_rng(seed)
    wave = 10 + 3 * np.sin(np.arange(len(days)) * 2 * np.pi / 7)
    return pd.DataFrame({"ds": days, "y": wave + rng.normal(0, 0.5, len(days))})


@pytest.fixture
def daily():
    return made(pd.date_range("2022-01-01", periods=400, freq="D"))


@pytest.mark.parametrize("freq", ["D", "h", "MS", "ME", "W-SUN", "B"])
def test_the_calendar_is_told_from_the_days(freq):
    assert flow.calendar_of(pd.Series(pd.date_range("2020-01-01", periods=120, freq=freq))) == freq


def test_missing_days_are_filled_in_and_named(daily):
    whole, calendar, gaps = flow.complete(daily.drop(index=[10, 200]))
    assert (len(whole), calendar, len(gaps)) == (400, "D", 2) and whole["y"].notna().all()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda table: table.assign(y="many"), "y is no number"),
        (lambda table: table.assign(ds="soon"), "ds is no date"),
        (lambda table: table.rename(columns={"y": "sales"}), "no column 'y'; it has ds, sales"),
        (lambda table: pd.concat([table, table.tail(1)]), "stands twice"),
        (lambda table: table.head(30), "folds of 28 take"),
        (
            lambda table: table[(table.index % 4 > 0) | (table.index < 3)],
            "on the calendar D are missing",
        ),
    ],
)
def test_what_can_t_be_used_is_refused_in_a_line(daily, tmp_path, change, said):
    change(daily).to_csv(tmp_path / "table.csv", index=False)
    with pytest.raises(SystemExit, match=said):
        flow.run(tmp_path / "table.csv", "ds", "y", tmp_path / "state")


def test_no_column_of_a_day_knows_what_comes_within_the_horizon(daily):
    y, days = daily.set_index("ds")["y"], pd.date_range("2023-01-01", periods=28, freq="D")
    changed = y.where(y.index < "2023-01-01", 1e6)
    pd.testing.assert_frame_equal(flow.columns(y, days, "D"), flow.columns(changed, days, "D"))


def test_the_trees_answer_only_where_they_beat_the_naive_forecast():
    assert flow.decide({"trees": 1.0, "naive": 1.1}) == "trees"
    assert flow.decide({"trees": 1.1, "naive": 1.1}) == "naive"


def test_the_same_table_twice_changes_nothing(daily, tmp_path):
    daily.to_csv(tmp_path / "table.csv", index=False)
    first = flow.run(tmp_path / "table.csv", "ds", "y", tmp_path / "state")
    assert first == flow.run(tmp_path / "table.csv", "ds", "y", tmp_path / "state")
    assert first["answers"] == "trees" and first["version"] == "1"
    assert len(pd.read_csv(tmp_path / "state" / "forecast.csv")) == 28
