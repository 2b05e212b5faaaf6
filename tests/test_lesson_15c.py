"""Lesson 15c: what its text says of budgets, leaks between series, new stations and a fault holds in it."""

import ast
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from shown import Shown
from weekly import weekly

from course.exercise import source as exercise_source
from lessons.twenty_stations import opening
from walkforward.forecasting import LeakError, WalkForwardSplit, backtest, compare, find_leaks

ROOT = Path(__file__).resolve().parents[1]
STEM = "15c_one_model_or_twenty"
SHOWN = Shown(STEM)
EXERCISES = exercise_source.load(ROOT / "src" / "lessons" / "exercises" / f"{STEM}.py")
output, number, table = SHOWN.output, SHOWN.number, SHOWN.table

GLOBAL, LOCAL = r"one global model: +MASE ([\d.]+)", r"twenty local models: +MASE ([\d.]+)"


def gap(name, start):
    """Difference, low, high and what follows of the line that begins so."""
    (line,) = [line for line in output(name).splitlines() if line.strip().startswith(start)]
    *values, word = re.search(r": +([+-][\d.]+) \(([+-][\d.]+) to ([+-][\d.]+)\) ?(.*)", line).groups()
    return *map(float, values), word


def test_equal_settings_lose_and_the_scale_gives_most_of_it_back():
    assert number("colleague", GLOBAL) > 1.1 * number("colleague", LOCAL)
    assert number("shares", GLOBAL) > number("shares", LOCAL)
    gained = [number("colleague", one) - number("shares", one) for one in (GLOBAL, LOCAL)]
    assert gained[0] > 2 * gained[1] > 0


def test_the_global_model_gains_from_budget_and_profile_the_local_ones_do_not():
    shown = table("choice").astype(float)
    assert list(shown.index) == ["60 × depth 4", "60 × depth 6", "75 × depth 8"]
    assert shown["twenty local"].idxmax() == "75 × depth 8", "the largest budget is their worst"
    assert shown["twenty local"].idxmin() == "60 × depth 6"
    for side in ("no name", "code", "profile"):
        column = shown[f"global {side}"]
        assert column["75 × depth 8"] < column["60 × depth 4"]
    largest = shown.loc["75 × depth 8"]
    assert largest["global profile"] < largest["global code"] < largest["global no name"]
    assert shown["global profile"].idxmin() == "75 × depth 8"
    assert 20 * 60 * 2**4 == 75 * 2**8 == 19_200


def test_no_verdict_between_one_and_twenty_and_their_mean_beats_both():
    assert gap("verdicts", "one global against")[3] == "no verdict"
    for start in ("their mean against twenty", "their mean against one"):
        assert gap("verdicts", start)[3] == "better"
    mase = table("contest")["MASE"].astype(float)
    assert mase["mean of the two"] < mase["one global"] < mase["twenty local"] < 0.6 * mase["seasonal naive"]


@weekly("the stored outputs hold the two years of the lesson")
@pytest.mark.parametrize(
    ("ends", "one_to_twenty", "mean_to_one"), [(104, "neither", "a"), (208, "a", "neither")]
)
def test_earlier_years_give_no_verdict_once_and_the_global_model_once(ends, one_to_twenty, mean_to_one):
    names = {"folds": 52, "train_days": 1461}
    exec(next(cell.source for cell in SHOWN.notebook.cells if "import numpy as np" in cell.source), names)
    for name in ("panel", "colleague"):
        exec(SHOWN.cell(name).source.split("\nprint(")[0], names)
    one_model, twenty, trees, panel = (names[name] for name in ("one_model", "twenty", "trees", "panel"))
    panel = panel[panel["ds"] <= panel["ds"].max() - pd.Timedelta(days=14 * ends)]
    opened = panel["ds"].max() - pd.Timedelta(days=14 * 52)
    wide = panel[panel["ds"] <= opened].pivot(index="ds", columns="unique_id", values="y")
    shares = opening.as_shares(panel).join(opening.profile(wide.tail(364)), on="unique_id")
    split = WalkForwardSplit(14, 52, window="rolling", max_train_size=1461)
    local = twenty(shares, trees(60, 6), split, 13)
    one = one_model(shares, trees(75, 8), split, ["saturday", "sunday"], 13)
    local, one = (
        opening.scaled(opening.in_rides(found, shares), wide.diff(7).abs().mean()) for found in (local, one)
    )
    both = one.assign(yhat=(one["yhat"] + local["yhat"]) / 2)
    assert compare(one, local).better == one_to_twenty
    assert compare(both, local).better == "a"
    assert compare(both, one).better == mean_to_one


def test_most_stations_have_no_verdict():
    counts = ast.literal_eval(output("by_station").splitlines()[0])
    assert sum(counts.values()) == 20 and counts["no verdict"] > 10
    assert counts["local better"] == 1


def test_a_split_by_series_alone_is_too_good_and_turns_a_decision_round():
    shown = table("held_out").astype(float)
    leaky, honest = shown.loc["all days of others"], shown.loc["days of others before the contest"]
    known = table("contest")["MASE"].astype(float)["one global"]
    assert leaky["with day"] < leaky["without day"] < known < honest["without day"] < honest["with day"]


def test_the_day_of_the_network_is_refused_as_a_builder_and_passes_as_known():
    assert number("network", r"MASE ([\d.]+)") < 0.8 * table("contest")["MASE"].astype(float)["one global"]
    assert "feature network leaks" in output("network")
    days = pd.date_range("2020-01-01", periods=90)
    frame = pd.concat([pd.DataFrame({"unique_id": name, "ds": days, "y": range(90)}) for name in "ab"])

    def today(frame):
        return frame.groupby("ds")["y"].transform("mean").to_frame("network")

    def a_fortnight_old(frame):
        mean = frame.groupby("ds")["y"].mean().shift(14)
        return frame["ds"].map(mean).to_frame("network")

    assert list(find_leaks(today, frame, horizon=14)) == ["network"]
    assert find_leaks(a_fortnight_old, frame, horizon=14) == {}
    with pytest.raises(LeakError, match="network"):
        from sklearn.linear_model import LinearRegression

        backtest(frame, LinearRegression(), WalkForwardSplit(7, 1), features=today, progress=False)


def test_history_decides_who_wins():
    shown = table("history").replace("NaN", np.nan).astype(float)
    shown.index = shown.index.astype(int)
    assert shown.loc[0, "global"] > 2 * shown.loc[7, "global"], "a plan 20 % off costs more than the model"
    assert (shown["global"] < shown["naive"]).all()
    assert shown.loc[28, "global"] < 0.6 * shown.loc[28, "naive"]
    assert shown.loc[91, "local"] > 2 * shown.loc[91, "global"]
    assert gap("who_wins", "7 days, global against naive")[2] < 0
    assert number("one_day", r"right level: ([\d.]+)") < 0.5 * shown.loc[0, "global"]
    low, high = gap("who_wins", "91 days, local against naive")[1:3]
    assert low < 0 < high, "no better than naive"
    for days in (91, 364):
        assert gap("who_wins", f"{days} days, global against local")[2] < 0
    homes, offices = (number("one_day", rf"'{kind}': ([\d.]+)") for kind in ("homes", "offices"))
    assert offices > 2 * homes, "the one day is a Sunday"


def test_a_fault_of_one_series_can_reach_all():
    found = re.findall(r"fault at (\w+) .*: MASE ([\d.]+), with the fault ([\d.]+)", output("fault"))
    (_, sound, belmont), (_, same, california), (_, _, polk) = found
    naive = table("contest")["MASE"].astype(float)["seasonal naive"]
    assert float(belmont) > 0.9 * naive and float(polk) > 1.4 * float(sound)
    assert float(california) < 1.05 * float(same), "fenced off by luck"


def test_the_plan_counts_for_its_days():
    days = pd.date_range("2015-06-15", periods=14)
    shares = pd.Series(1.0, days)
    levels = [EXERCISES.opening_level(3 * shares[:n], shares, 4.0, 7) for n in (0, 7, 14)]
    assert levels == pytest.approx([4.0, 3.5, (14 * 3 + 7 * 4) / 21])
