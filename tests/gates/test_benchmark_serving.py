"""The serving benchmark measures what it says; its record is the table in the README, and the goals hold."""

import itertools
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from benchmark_scripts import FOLDER, script

from course.paths import ROOT
from course.servers import fast_server

RECORD, SOAK = FOLDER / "results" / "serving.json", FOLDER / "results" / "serving_soak.json"


serving = script("serving")


def between(marker: str) -> str:
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    return text.partition(f"<!-- {marker} -->\n")[2].partition(f"\n<!-- /{marker} -->")[0]


def read(path: Path) -> dict:
    if not path.exists():
        pytest.skip(f"{path.name} is not recorded yet: benchmarks/serving.py --write")
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return serving.train(tmp_path_factory.mktemp("model"), trees=20, months=("2019-07", "2019-07"))


@pytest.fixture(scope="module")
def server(model, tmp_path_factory):
    with fast_server(model.path, tmp_path_factory.mktemp("server")) as server:
        yield server


# The record


def test_the_readme_shows_the_record():
    assert between("serving") == serving.table(read(RECORD))


def test_the_readme_shows_the_soak():
    assert between("soak") == serving.soak_line(read(SOAK))


def test_the_goals_hold_in_the_record():
    kept = read(RECORD)
    assert kept["ours_rps"] >= 10_000
    assert kept["ours_p99_ms"] < 10
    assert kept["ours_rps"] >= 30 * kept["mlflow_rps"]
    assert kept["ours_rps"] >= kept["limit_rps"] / 3


def test_the_record_is_whole():
    kept = read(RECORD)
    assert [rung["key"] for rung in kept["rungs"]] == [rung.key for rung in serving.RUNGS]
    assert [rung["key"] for rung in kept["rungs"] if rung["failed"]] == []
    assert {rung["runs"] for rung in kept["rungs"]} == {kept["runs"]}
    assert kept["runs"] >= 5
    assert kept["connections"] == 32
    assert [row["key"] for row in kept["bare"]] == list(serving.BARE)


def test_the_soak_on_record_had_no_error_and_no_growth():
    kept = read(SOAK)
    assert kept["minutes"] >= 30
    assert kept["share"] >= 0.8
    assert kept["errors"] == 0
    assert kept["rps"] == pytest.approx(kept["rate"], rel=0.02)
    assert kept["warm_up_s"] == 120
    assert kept["growth_percent"] < 5


# What makes the record


def test_a_short_soak_has_no_error_and_no_growth(model, server):
    kept = serving.soak(server, model.bodies, rate=400, seconds=8, sample=0.5)
    assert kept["errors"] == 0
    assert kept["statuses"] == {"200": kept["requests"]}
    assert kept["requests"] == pytest.approx(3_200, rel=0.05)
    assert len(kept["rss_mb"]) >= 8
    assert kept["rss_mb_warm"] > 50  # the worker's too, not only the supervisor's
    assert kept["growth_percent"] < 20


def test_a_soak_counts_errors_and_growth(model, server, monkeypatch):
    grown = itertools.count(100)
    monkeypatch.setattr(serving, "resident", lambda pid: next(grown))
    kept = serving.soak(server, [b"no JSON"], rate=50, seconds=2, sample=0.2)
    assert kept["errors"] == kept["requests"] == pytest.approx(100, rel=0.05)
    assert set(kept["statuses"]) == {"400"}
    assert kept["growth_percent"] > 2


def test_the_answers_are_checked(model, server):
    serving.check(f"{server.uri}/invocations", model)
    off = serving.Model(model.folder, model.path, model.bodies, model.expected * (1 + 1e-4))
    with pytest.raises(serving.Failed, match="off the pyfunc's"):
        serving.check(f"{server.uri}/invocations", off)
    wrong = serving.Model(model.folder, model.path, [b"{}"], model.expected[:1])
    with pytest.raises(serving.Failed, match="status 400"):
        serving.check(f"{server.uri}/invocations", wrong)


def test_the_requests_are_different_real_trips(model):
    assert len(set(model.bodies)) == len(model.bodies) == 200
    split = json.loads(model.bodies[0])["dataframe_split"]
    assert split["columns"] == serving.FEATURES
    assert np.isfinite(model.expected).all()


def small(key: str, command: list[str]) -> "serving.Rung":
    return serving.Rung(key, key, "nothing", None, lambda folder, path, port: command)


def test_a_rung_that_fails_does_not_lose_the_others(model, monkeypatch):
    runs = iter([{"requests": 9, "errors": 0, "rps": 9.0, "p50_ms": 1.0, "p99_ms": 2.0}] * 4)
    monkeypatch.setattr(serving, "load", lambda *_, **__: next(runs))
    rungs = [small("broken", [sys.executable, "-c", "raise ValueError('no model')"])]
    rungs += [rung for rung in serving.RUNGS if rung.key == "limit"]
    ladder = serving.Ladder(model, rungs, keep=True)
    try:
        for _ in range(2):
            for rung in rungs:
                ladder.measure(rung, 1.0)
    finally:
        ladder.close()
    options = SimpleNamespace(seconds=1.0, runs=2)
    bare = {"onnx": [5.0, 7.0, 6.0]}
    kept = serving.record(ladder, bare, serving.machine(), options) | {"stopped": False}
    broken, limit = kept["rungs"]
    assert "no model" in broken["failed"]
    assert (broken["runs"], broken["rps"], limit["runs"], limit["rps"]) == (0, None, 2, 9.0)
    assert kept["limit_rps"] == 9.0
    assert kept["ours_rps"] is None
    shown = serving.table(kept)
    assert "of 2 runs 0: " in shown
    assert "| ONNX Runtime | 6 | 5–7 |" in shown


@pytest.mark.parametrize("run", [{"requests": 9, "errors": 1}, {"requests": 0, "errors": 0}])
def test_a_run_with_errors_or_without_answers_is_refused(model, monkeypatch, run):
    monkeypatch.setattr(serving, "load", lambda *_, **__: run | {"rps": 9.0, "p50_ms": 1.0, "p99_ms": 1.0})
    (limit,) = [rung for rung in serving.RUNGS if rung.key == "limit"]
    ladder = serving.Ladder(model, [limit], keep=False)
    ladder.measure(limit, 1.0)
    ladder.close()
    assert ladder.runs["limit"] == []
    assert "run refused" in ladder.failed["limit"]


@pytest.mark.parametrize("with_wrk", [True, False])
def test_both_load_generators_count(model, server, monkeypatch, with_wrk):
    if with_wrk and not serving.shutil.which("wrk"):
        pytest.skip("wrk is not installed")
    if not with_wrk:
        monkeypatch.setattr(serving.shutil, "which", lambda name: None)
    url = f"{server.uri}/invocations"
    good = serving.load(url, model.bodies, seconds=1)
    assert good["errors"] == 0
    assert good["requests"] > 10
    assert good["rps"] > 10
    assert 0 < good["p50_ms"] <= good["p99_ms"]
    bad = serving.load(url, [b"no JSON", model.bodies[0]], seconds=1)
    assert bad["requests"] * 0.4 < bad["errors"] < bad["requests"] * 0.6


def test_the_apps_shown_to_readers_are_short():
    for path in (FOLDER / "serving").glob("*.py"):
        assert len(path.read_text(encoding="utf-8").splitlines()) < 40, path


def test_the_course_s_readme_quotes_the_record():
    kept, readme = read(RECORD), (ROOT / "README.md").read_text(encoding="utf-8")
    (sentence,) = [line for line in readme.split("\n\n") if "`walkforward serve MODEL_URI`" in line]
    words = " ".join(sentence.split())
    assert f"answered {kept['ours_rps']:,.0f} requests a second" in words
    assert f"p99 {kept['ours_p99_ms']:.1f} ms" in words
    assert f"`mlflow models serve` answered {kept['mlflow_rps']:,.0f} " in words


# The kinds of models


def kinds_benchmark():
    sys.modules.setdefault("serving", serving)  # the script beside it, not the package's module
    return script("serving_kinds")


def test_the_readme_shows_the_record_of_kinds():
    assert between("serving-kinds") == kinds_benchmark().table(
        read(FOLDER / "results" / "serving_kinds.json")
    )


def test_the_goals_of_the_kinds_hold_in_the_record():
    kept = read(FOLDER / "results" / "serving_kinds.json")
    rps = {kind["key"]: kind["rps"] for kind in kept["kinds"]}
    assert list(rps) == list(kinds_benchmark().kinds())
    for key, goal in {"onehot": 50, "texts": 20, "gaps": 20, "forest": 30, "large": 5, "xgboost": 30}.items():
        assert rps[key]["ours"] >= goal * rps[key]["stock"], key
        assert rps[key]["ours"] >= rps[key]["ours-pyfunc"], key


def test_the_requests_of_a_kind_are_answered_by_its_pyfunc(tmp_path):
    model = kinds_benchmark().saved(tmp_path, "texts", ["2019-07"])
    assert len(model.bodies) == len(model.expected) == 200
    assert len(set(model.bodies)) == 200
    with fast_server(model.path, tmp_path) as server:
        serving.check(f"{server.uri}/invocations", model)
    assert "served by ONNX Runtime (double)" in server.log.read_text(encoding="utf-8")
