"""The walk-forward benchmark works and tells bits apart; its record is what the README shows."""

import json
import os
import sys
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
from benchmark_scripts import FOLDER, script

RECORD = FOLDER / "results" / "forecasting.json"


forecasting = script("forecasting")
PARTS = forecasting.PARTS


def small(**options):
    return Namespace(**{"small": True, "runs": 1, "curve_runs": 1, "h1": 2} | options)


def recorded(part: str) -> dict:
    record = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else {}
    if part not in record:
        pytest.skip(f"{part} is not recorded yet: benchmarks/forecasting.py --only {part} --write")
    return record[part]


# The record


@pytest.mark.parametrize("part", PARTS)
def test_the_readme_shows_the_record(part):
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert forecasting.marked(part, forecasting.TABLES[part](recorded(part)), text) == text


def test_a_stale_table_is_seen():
    text = "before\n<!-- forecasting guard -->\n\nstale\n\n<!-- /forecasting guard -->\nafter\n"
    assert forecasting.marked("guard", "stale", text) == text
    assert forecasting.marked("guard", "fresh", text) == text.replace("stale", "fresh")
    with pytest.raises(SystemExit, match="no marks for forecasting curve"):
        forecasting.marked("curve", "fresh", text)


@pytest.mark.parametrize("key", ["H14", "H1"])
def test_recorded_predictions_are_the_loops_bit_for_bit(key):
    found = recorded("speed")
    assert found["runs"] >= 5
    assert found["tools"]["walkforward"][key]["equal"]
    if "failed" not in (peer := found["tools"]["skforecast"]):
        assert peer[key]["equal"]
    assert {"cpu", "wall", "times", "mb", "mae"} <= set(found["tools"]["walkforward"][key])


def test_recorded_forecasts_do_not_depend_on_the_cores():
    assert all(row["equal"] for row in recorded("cores")["cases"].values())


def test_recorded_curve_has_every_choice():
    points = recorded("curve")["points"]
    assert {"refit every day", "never refit", "16 bins", "window of 1 year", "seasonal naive"} <= set(points)
    assert all(row["wall"] > 0 and row["mae"] > 0 for row in points.values())


def test_recorded_guard_tells_every_case():
    found = recorded("guard")
    for key, cases in {"leaking": 33, "honest": 24}.items():
        assert found[key]["right"] == found[key]["of"] == cases


def test_recorded_model_beats_the_published_one():
    found = recorded("accuracy")
    assert (found["folds"], found["first day"], found["last day"]) == (52, "2014-09-01", "2016-08-28")
    taught, published = found["models"]["taught"], found["published"]
    assert taught["rmse"] < published
    assert taught["rmse_days"] < published
    assert taught["rmse_before"] < 1.001 * min(row["rmse_before"] for row in found["models"].values())


# The measurement


def test_predictions_one_bit_apart_are_not_equal(tmp_path):
    path = tmp_path / "series.npz"
    forecasting.write_series(path, 60)
    mine = np.linspace(1, 2, 14)
    other = mine.copy()
    other[3] = np.nextafter(other[3], 9)
    for name, values in {"loop": mine, "walkforward": mine, "skforecast": other}.items():
        np.save(tmp_path / f"{name}-H14.npy", values)
    tools = {name: {"H14": {}} for name in ("loop", "walkforward", "skforecast")}
    forecasting.agree(tools, "H14", path)
    assert tools["walkforward"]["H14"]["equal"]
    assert not tools["skforecast"]["H14"]["equal"]
    assert forecasting.verdict(tools["skforecast"]["H14"]).startswith("differ by")


def test_speed_of_two_tools(tmp_path, monkeypatch):
    monkeypatch.setattr(forecasting, "BUILD", tmp_path)
    *_, found = forecasting.speed(small(tools=["walkforward", "loop"]))
    for key in ("H14", "H1"):
        assert found["tools"]["walkforward"][key]["equal"]
        assert found["tools"]["walkforward"][key]["cpu"] > 0
    assert "| walkforward |" in forecasting.speed_table(found)


@pytest.mark.skipif(os.name != "posix", reason="asks for the program `false`")
def test_a_tool_that_fails_says_so_and_the_others_go_on(tmp_path, monkeypatch):
    monkeypatch.setattr(forecasting, "BUILD", tmp_path)
    monkeypatch.setattr(
        forecasting, "interpreter", lambda name: "false" if name == "darts" else sys.executable
    )
    monkeypatch.setattr(forecasting, "peak", lambda *_: 1.0)  # a process more: test_speed_of_two_tools
    *_, found = forecasting.speed(small(tools=["bare", "darts"]))
    assert found["tools"]["darts"] == {"failed": "no word"}
    assert found["tools"]["bare"]["H1"]["times"] == 1
    assert "| darts | failed: no word |" in forecasting.speed_table(found)


@pytest.mark.parametrize("part", ["cores", "curve", "accuracy"])
def test_the_other_parts_work(part):
    found = getattr(forecasting, part)(small())
    assert json.loads(json.dumps(found)) == found
    assert forecasting.TABLES[part](found).count("\n") > 5
    if part == "cores":
        assert all(row["equal"] for row in found["cases"].values())


def test_the_guard_counts_what_is_told_right(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    import leak_cases

    by_name = {case.name: case for case in leak_cases.CASES}
    honest, leak = by_name["rolling mean, shifted"], by_name["lead"]
    mislabelled = leak._replace(name="a leak called honest", leaks=False)
    monkeypatch.setattr(leak_cases, "CASES", [honest, leak, mislabelled])
    found = forecasting.guard(small())
    assert found["leaking"] == {"right": 1, "of": 1}
    assert found["honest"] == {"right": 1, "of": 2}
    assert "Wrong about: a leak called honest" in forecasting.guard_table(found)


def test_an_interrupted_run_keeps_the_parts_before(tmp_path, monkeypatch):
    readme, results = tmp_path / "README.md", tmp_path / "results" / "forecasting.json"
    readme.write_text((FOLDER / "README.md").read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.setattr(forecasting, "README", readme)
    monkeypatch.setattr(forecasting, "RESULTS", results)
    found = {"models": {}, "folds": 1, "published": 1.5, "first day": "a", "last day": "b"}
    monkeypatch.setattr(forecasting, "accuracy", lambda options: found)
    monkeypatch.setattr(forecasting, "cores", lambda options: {}["interrupted"])
    monkeypatch.setattr(sys, "argv", ["forecasting.py", "--only", "accuracy", "cores", "--small", "--write"])
    with pytest.raises(KeyError):
        forecasting.main()
    record = json.loads(results.read_text(encoding="utf-8"))
    assert list(record) == ["accuracy"]
    assert found.items() <= record["accuracy"].items()
    assert "1 folds of 14 days, a to b" in readme.read_text(encoding="utf-8")
    assert Path(FOLDER / "README.md").read_text(encoding="utf-8").count("1 folds of 14 days, a to b") == 0
