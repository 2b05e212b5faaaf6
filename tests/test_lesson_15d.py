"""Lesson 15d: what its text says of gaps, ways to reconcile and intervals holds in its outputs."""

import re

import numpy as np
import pandas as pd
import pytest
from shown import Shown

from course.data import load_stations

SHOWN = Shown("15d_hierarchies")
output, number, table = SHOWN.output, SHOWN.number, SHOWN.table
WAYS = ("bottom-up", "last year's shares", "forecast shares", "by hand)", "variances", "shrunken W")


def verdict(way, level):
    """The difference, its interval and the word of a way at a level."""
    line = rf"{re.escape(way)} +{level} +([+-][\d.]+) \(([+-][\d.]+) to ([+-][\d.]+)\) (.+)"
    difference, low, high, word = re.search(line, output("verdicts")).groups()
    return float(difference), float(low), float(high), word


def test_western_moves_with_the_orange_line():
    assert re.match(r"\{'archer_35th': 0\.8, 'ashland': 0\.7", output("lines"))


def test_the_lines_hold_each_station_once():
    exec(SHOWN.cell("lines").source.split("rides = ")[0], found := {})
    assert sorted(found["LINE_OF"]) == sorted(load_stations()["unique_id"].unique())
    assert sum(map(len, found["LINES"].values())) == 20


def test_separate_models_disagree_most_on_rare_days():
    worst = table("gap").astype(float)
    assert {"Fri 2015-12-25", "Mon 2015-02-16"} <= set(worst.index), "Christmas and Presidents' Day"
    assert number("gap", r"largest ([\d.]+)") > 20 * number("gap", r"the gap ([\d.]+)")


def test_fixed_shares_keep_the_city_and_double_the_error_below():
    mae = table("errors").astype(float)
    own, fixed = mae.loc["own models (don't add up)"], mae.loc["top-down, last year's shares"]
    assert fixed["city"] == own["city"]
    assert fixed["line"] > 2 * own["line"] and fixed["station"] >= 2 * own["station"]


def test_an_office_station_has_another_share_at_weekends():
    share = table("shares").astype(float)
    assert share.loc["quincy_wells", "weekend"] < 0.7 * share.loc["quincy_wells", "Monday to Friday"]
    assert share.loc["belmont", "weekend"] > share.loc["belmont", "Monday to Friday"]


def test_the_gap_is_shared_by_variances_and_closed():
    shown = table("shared").astype(float)
    moved = (shown["reconciled"] - shown["forecast"]).abs()
    assert moved.idxmin() == shown["error variance"].idxmin() == "california"
    assert shown.loc["west side", "reconciled"] == pytest.approx(
        shown.loc[["california", "polk"], "reconciled"].sum(), abs=0.0015
    )
    off = (shown["truth"] - shown["forecast"]).abs()
    assert off["polk"] > 1 and off["west side"] < 0.1, "on this day the sum had been right"


def test_by_hand_and_by_library_are_equal():
    assert "equal: True" in output("three_gap") and "0.000001: True" in output("equal")
    assert "by library equal: True" in output("mint_ways")
    assert number("mint_ways", r"whole W: (-[\d.]+)") < 0


def test_the_whole_matrix_loses_and_variances_never_do():
    assert verdict("by hand)", "city")[3] == "no verdict"
    assert verdict("by hand)", "line")[3] == verdict("by hand)", "station")[3] == "worse"
    assert verdict("variances", "city")[3] == verdict("variances", "station")[3] == "better"
    assert verdict("variances", "line")[3] == "no verdict"
    assert verdict("bottom-up", "city")[3] == "better"


def test_variances_are_the_best_in_the_first_judged_year_and_after():
    rows = re.findall(r"^\d +(-?[\d.]+) +(-?[\d.]+) +(-?[\d.]+)$", output("by_year"), re.MULTILINE)
    years = np.array(rows, dtype=float)
    assert years.shape == (3, 3) and (years.argmin(axis=1) == 2).all()
    assert (years[:, 0] < 0).all() and (years[:, 1] > 0).sum() == 2


def test_words_of_verdicts_are_those_of_the_intervals():
    for way in WAYS:
        for level in ("city", "line", "station"):
            _, low, high, word = verdict(way, level)
            assert low == 0 or high == 0 or (word == "no verdict") == (low < 0 < high), "zeros are rounded"


def test_summed_bounds_are_wider_and_hold_too_much_but_less_than_if_independent():
    bounds = table("bounds").astype(float)
    own, added = bounds.loc["from the city's errors"], bounds.loc["sum of stations' bounds"]
    assert added["width"] / own["width"] == pytest.approx(1.6, abs=0.05)
    assert added["coverage"] > 0.85 > own["coverage"] > 0.75


@pytest.mark.parametrize("seed", range(5))
def test_mint_is_the_best_with_a_known_matrix(seed):
    """The theorem on a made-up hierarchy: the whole W wins if known, not if few errors estimate it."""
    rng = np.random.default_rng(seed)
    exec(SHOWN.cell("three_gap").source.split("by_matrix")[0], found := {"np": np})
    S = np.vstack([np.ones(8), np.kron(np.eye(2), np.ones(4)), np.eye(8)])
    mixed = rng.normal(size=(11, 11))
    W = mixed @ mixed.T / 11 + 0.1 * np.eye(11)
    errors = rng.multivariate_normal(np.zeros(11), W, 4000)
    few = np.cov(rng.multivariate_normal(np.zeros(11), W, 13).T)

    def total(weights):
        return float((errors @ found["mint"](S, weights).T).var(axis=0).sum())

    assert total(W) < total(np.diag(np.diag(W))) and total(W) < total(np.eye(11))
    assert total(few) > total(W)
    G = pd.DataFrame(found["mint"](S, W))
    assert np.allclose(G @ G, G), "what adds up stays as it is"
