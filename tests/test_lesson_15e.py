"""Lesson 15e: what its text says of zeros, rates, orders and adaptive intervals holds in its outputs."""

import re

import numpy as np
import pandas as pd
import pytest
from shown import Shown

from lessons.mostly_zero import zones

STEM = "15e_mostly_zero"
SHOWN = Shown(STEM)
output, number, table = SHOWN.output, SHOWN.number, SHOWN.table
NAMES = {"np": np, "pd": pd}
NUMBER = r"([+-][\d.]+)"


def of_cell(cell, name):
    """A function as a cell of the lesson defines it."""
    exec(SHOWN.cell(cell).source, found := dict(NAMES))
    return found[name]


def verdict(name):
    """Bias, and the difference in squared error with its interval."""
    line = rf"^{re.escape(name)} +MAE.*bias {NUMBER}  MSE {NUMBER} \({NUMBER} to {NUMBER}\)"
    return [float(one) for one in re.search(line, output("verdicts"), re.MULTILINE).groups()]


def test_nothing_wins_by_absolute_and_loses_by_squared_error():
    errors = table("zero_wins").astype(float)
    assert errors["mae"].idxmin() == "nothing" and errors["rmse"].idxmin() == "mean of 182 days"
    assert number("quiet", r"(\d+) % of the zones") > 50


@pytest.mark.parametrize("seed", range(5))
def test_the_median_the_mean_and_the_quantile_are_what_the_losses_ask_for(seed):
    demand = np.random.default_rng(seed).poisson(0.33, 2000)
    tried = np.arange(0, 3, 0.01)
    off = demand - tried[:, None]
    assert tried[np.abs(off).mean(axis=1).argmin()] == 0
    assert tried[(off**2).mean(axis=1).argmin()] == pytest.approx(demand.mean(), abs=0.01)
    cost = (4 * np.maximum(off, 0) + np.maximum(-off, 0)).mean(axis=1)
    assert tried[cost.argmin()] == pytest.approx(np.quantile(demand, 0.8, method="inverted_cdf"), abs=0.01)


def test_by_hand_is_what_statsforecast_forecasts():
    models = pytest.importorskip("statsforecast.models", reason="statsforecast has no wheel here")

    croston, tsb = of_cell("croston", "croston"), of_cell("tsb", "tsb")
    for seed in range(5):
        y = np.random.default_rng(seed).poisson(0.3, 300).astype(float)
        rate = croston(y)[-1]
        assert models.CrostonClassic().forecast(y, 1)["mean"][0] == pytest.approx(rate)
        assert models.CrostonSBA().forecast(y, 1)["mean"][0] == pytest.approx(0.95 * rate)
        assert models.TSB(0.1, 0.02).forecast(y, 1)["mean"][0] == pytest.approx(tsb(y)[-1])


def test_rates_know_nothing_of_later_days():
    y = np.random.default_rng(1).poisson(0.3, 300).astype(float)
    for name in ("croston", "tsb"):
        method = of_cell(name, name)
        assert np.allclose(method(y)[:200], method(y[:200]))


@pytest.mark.parametrize("seed", range(3))
def test_croston_is_too_high_and_sba_less_so(seed):
    y = np.random.default_rng(seed).poisson(0.15, 20_000)
    rate = of_cell("croston", "croston")(y)[500:].mean()
    assert rate > y.mean() and abs(0.95 * rate - y.mean()) < rate - y.mean()


def test_croston_stays_when_demand_ends():
    (before, after), (_, gone) = re.findall(r"([\d.]+) trips a day before, ([\d.]+) after", output("stops"))
    assert before == after and float(gone) < 0.05


def test_the_chosen_constant_takes_most_of_the_loss_and_trees_tie():
    assert verdict("Croston, α = 0.1")[1] > 2.5 * verdict("Croston")[1]
    for name in ("Croston", "SBA", "TSB"):
        assert verdict(name)[2] > 0, "worse than the mean"
    for name in ("two parts", "count:poisson"):
        assert verdict(name)[2] < 0 < verdict(name)[3]
    assert abs(verdict("SBA")[0]) < 0.2 * verdict("Croston")[0]


def test_adding_daily_quantiles_costs_twice_and_errs_both_ways():
    costs = table("costs").astype(float)["cost a week"]
    added, of_sums = costs["sum of daily quantiles"], costs["quantile of weekly sums"]
    assert added > 1.9 * of_sums and added - of_sums == pytest.approx(2.13, abs=0.006)
    zone = table("both_ways").astype(float)
    assert zone.loc["zone 12", "sum of daily quantiles"] == 0 < zone.loc["zone 12", "needed"]
    assert zone.loc["zone 45", "sum of daily quantiles"] > zone.loc["zone 45", "quantile of weekly sums"]


def test_the_rule_matters_more_than_the_rate():
    line = rf"^(.+?) +{NUMBER} \({NUMBER} to {NUMBER}\)"
    found = {
        name: [float(a), float(b), float(c)] for name, a, b, c in re.findall(line, output("by_method"), re.M)
    }
    assert max(abs(one[0]) for one in found.values()) < 2.13 / 10
    assert all(found[name][1] > 0 for name in ("Croston", "SBA", "TSB"))
    assert all(found[name][1] < 0 < found[name][2] for name in ("two parts", "count:poisson"))


@pytest.mark.parametrize("seed", range(3))
def test_thinning_makes_counts_more_regular(seed):
    rng = np.random.default_rng(seed)
    lumps = rng.poisson(0.5, 5000) * rng.integers(1, 20, 5000)
    thinned = rng.binomial(lumps, 0.02)
    assert thinned.var() / thinned.mean() < 1.5 < lumps.var() / lumps.mean()


def test_adaptive_intervals_fall_less_and_the_worst_zone_gains_most():
    found = table("periods").astype(float)
    fixed, steered = found.loc["fixed"], found.loc["γ = 0.05"]
    assert number("periods", rf"March 15: [+-][\d.]+ \({NUMBER}") > 0
    assert fixed["spring 2020"] < steered["spring 2020"] < 0.8 < steered["after"]
    assert steered["worst zone"] - fixed["worst zone"] > steered["spring 2020"] - fixed["spring 2020"]
    assert number("weeks", r"2020 (\d+)") > 1.5 * number("weeks", r"2019 (\d+)")


def test_without_steps_adaptive_is_the_conformal_of_the_library():
    from walkforward.forecasting import conformal

    rng = np.random.default_rng(0)
    ds = pd.date_range("2019-01-06", periods=60, freq="W")
    weeks = pd.DataFrame({"unique_id": "a", "ds": ds, "cutoff": ds - pd.Timedelta(days=7), "h": 1})
    weeks = weeks.assign(y=rng.poisson(3, 60).astype(float), yhat=3.0)
    mine = of_cell("adaptive", "adaptive")(weeks, 0.0)
    theirs = conformal(weeks, 0.8).loc[mine.index]
    assert np.allclose(mine[["yhat_lower", "yhat_upper"]], theirs[["yhat_lower", "yhat_upper"]])


@pytest.mark.parametrize("seed", range(5))
def test_the_share_of_misses_keeps_the_bound_without_assumptions(seed):
    """Errors that explode half-way: the mean of the misses stays within the bound of Gibbs and Candès."""
    rng = np.random.default_rng(seed)
    weeks, gamma, level, misses = 400, 0.05, 0.2, []
    sizes = np.abs(rng.normal(size=weeks)) * np.where(np.arange(weeks) < 200, 1, 20)
    for week in range(20, weeks):
        rank = int(np.ceil((week + 1) * (1 - level)))
        half = np.sort(np.append(sizes[:week], np.inf))[np.clip(rank - 1, 0, week)] if rank > 0 else -1
        misses.append(sizes[week] > half)
        level += gamma * (0.2 - misses[-1])
    assert abs(np.mean(misses) - 0.2) <= (0.8 + gamma) / (gamma * len(misses))


def test_intervals_of_a_mean_hold_it():
    weeks = pd.Series(np.random.default_rng(0).normal(1, 1, 52))
    mean, low, high = (float(one) for one in re.findall(NUMBER, zones.interval(weeks)))
    assert low < mean < high
