"""Lesson 08c: each fault is refused by its question, the gate's errors, one gate for all callers."""

import json
import re
import sys
import threading
import time
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
import yaml
from mlflow import MlflowClient
from shown import Shown
from solved import smaller

from course.data import load_trips, months, prepare_trips
from course.exercise import source as exercise_source

ROOT = Path(__file__).resolve().parents[1]
STEM = "08c_the_gate"
NOTEBOOK = nbformat.read(ROOT / "notebooks" / f"{STEM}.ipynb", as_version=4)
output = Shown(STEM).output
EXERCISES = exercise_source.load(ROOT / "src" / "lessons" / "exercises" / f"{STEM}.py")
sys.path[:0] = [str(ROOT / "src")]

from lessons.challengers.challengers import SOURCES, challengers, make  # noqa: E402
from lessons.challengers.simulated import simulated  # noqa: E402
from projects.release_gate import gate, questions, registry  # noqa: E402
from projects.release_gate.release import Release, build, digest  # noqa: E402

FOLDER = Path(gate.__file__).resolve().parent
NAMES = {
    "saw May": "data",
    "scaled by batch": "code",
    "fewer trees": "metric",
    "no nights": "slices",
    "with holidays": "latency",
    "deep trees": "size",
    "new driver": "licence",
    "no seed": "reproducible",
}


@pytest.fixture(scope="module")
def trips():
    trips = prepare_trips(load_trips(months("2019-01", "2019-12")))
    trips["month"] = trips["pickup_datetime"].dt.strftime("%Y-%m")
    return trips[trips["month"].between("2019-01", "2019-12")]


@pytest.fixture(scope="module")
def releases(trips, tmp_path_factory):
    folder = tmp_path_factory.mktemp("releases")
    champion = build(folder / "champion", trips[trips["month"] < "2019-04"])
    return champion, challengers(folder, trips, "2019-05"), folder


@pytest.fixture(scope="module")
def small(trips, tmp_path_factory):
    """A champion and a challenger of a week each, for what does not depend on the model."""
    folder = tmp_path_factory.mktemp("small")
    january = trips[trips["month"] == "2019-01"]
    old = build(folder / "old", january.iloc[:2_000])
    new = build(folder / "new", january.iloc[:4_000])
    return questions.Case(new, old, trips[trips["month"] == "2019-03"].reset_index(drop=True))


def test_each_question_is_in_the_table_and_in_all_four_files():
    """A question that one pipeline does not ask is a hole in the gate."""
    asked = list(questions.QUESTIONS)
    makefile = (FOLDER / "Makefile").read_text(encoding="utf-8")
    assert list(gate.TABLE) == asked
    assert all(set(one) == {"asks", "limit"} for one in gate.TABLE.values())
    assert re.search(r"^QUESTIONS := (.*)$", makefile, re.MULTILINE)[1].split() == asked
    workflow = yaml.safe_load((FOLDER / "workflow.yml").read_text(encoding="utf-8"))
    runs = [step["run"] for step in workflow["jobs"]["gate"]["steps"] if "run" in step]
    assert runs == [f"make {name}" for name in [*asked, "promote"]]
    jenkins = (FOLDER / "Jenkinsfile").read_text(encoding="utf-8")
    stages = re.findall(r"stage\('(\w+)'\).*sh 'make (\w+)'", jenkins)
    assert stages == [(name, name) for name in [*asked, "promote"]]
    given = set(re.findall(r"\$\((\w+)\)", makefile)) - {"GATE", "CASE", "PYTHON", "QUESTIONS"}
    inputs = workflow[True]["workflow_dispatch"]["inputs"]  # YAML 1.1 reads `on` as True
    assert set(workflow["env"]) == set(inputs) == set(re.findall(r"name: '(\w+)'", jenkins)) == given


def test_each_bad_challenger_is_refused_by_its_question_and_the_sound_ones_pass(releases, trips):
    """In May and in June: the months that judge are not what makes the verdicts."""
    champion, new, _ = releases
    assert set(SOURCES) == set(NAMES) | {"one more month", "more trees"}
    for month in ("2019-05", "2019-06"):
        judge = trips[trips["month"] == month].reset_index(drop=True)
        if month == "2019-06":
            new = {name: one for name, one in new.items() if name not in ("saw May", "with holidays")}
        for name, one in new.items():
            asked = [NAMES[name]] if month == "2019-06" and name in NAMES else list(gate.TABLE)
            answers = gate.ask(questions.Case(one, champion, judge), asked)["yes"]
            refusing = [question for question, yes in answers.items() if not yes]
            if name not in NAMES or month == "2019-05":
                assert refusing == ([NAMES[name]] if name in NAMES else []), (month, name)
            else:
                assert NAMES[name] in refusing, (month, name)


def test_the_table_of_the_lesson_says_the_same():
    rows = {line[:16].strip(): line[16:].split() for line in output("asked").splitlines()[1:]}
    assert {
        name: [q for q, a in zip(gate.TABLE, row, strict=True) if a == "NO"] for name, row in rows.items()
    } == {name: [NAMES[name]] if name in NAMES else [] for name in SOURCES}


def test_a_question_that_fails_is_a_no_and_the_others_are_asked(small, monkeypatch):
    def broken(case, limit):
        raise FileNotFoundError("rows")

    monkeypatch.setitem(questions.QUESTIONS, "metric", broken)
    told = gate.ask(small, ["metric", "size"])
    assert (
        told["yes"].tolist() == [False, True]
        and told.loc["metric", "found"] == "not answered: FileNotFoundError"
    )
    assert gate.noes({}) == list(gate.TABLE)
    assert gate.noes(dict.fromkeys(gate.TABLE, True) | {"size": None}) == ["size"]


def test_data_sees_kilometres_other_rows_and_a_tampered_table(small, trips, tmp_path):
    limit = gate.TABLE["data"]["limit"]
    rows = small.new.rows
    far = build(tmp_path / "km", rows.assign(trip_distance=1.609 * rows["trip_distance"]))
    assert "mph" in questions.data(questions.Case(far, small.old, small.rows), limit)[1]
    mixed = np.random.default_rng(0).permutation(rows["trip_distance"])
    joined = build(tmp_path / "join", rows.assign(trip_distance=mixed))
    assert "distance_with_fare" in questions.data(questions.Case(joined, small.old, small.rows), limit)[1]
    rows.assign(duration=2 * rows["duration"]).to_parquet(far.folder / "trips.parquet")
    changed = questions.Case(Release(far.folder), small.old, small.rows)
    assert "not the recorded rows" in questions.data(changed, limit)[1]


def test_the_interval_holds_its_level_on_equal_models():
    """Seeds 100 to 299: two equal models, days of thirty trips; the upper end is below zero in about 5 %."""
    below = 0
    for seed in range(100, 300):
        rng = np.random.default_rng(seed)
        errors = pd.DataFrame(rng.normal(0, 5, (900, 2)), columns=["new", "old"]).assign(
            day=np.repeat(range(30), 30)
        )
        below += questions.interval(questions.day_sums(errors), draws=300)[1] < 0
    assert 2 <= below <= 24


def test_slices_name_no_harm_where_there_is_none():
    """Seeds 100 to 199: ten slices without harm; Holm names any in at most about 5 % of the cases."""
    false = 0
    for seed in range(100, 200):
        rng = np.random.default_rng(seed)
        harm = pd.DataFrame(rng.normal(0, 30, (31, 10)))
        false += bool(questions.worse_slices(harm, pd.DataFrame(np.full((31, 10), 20.0)), 0.0))
    assert false <= 12


def test_a_licence_is_read_part_by_part(small, tmp_path):
    allowed = gate.TABLE["licence"]["limit"]
    for package, yes in (("numpy", True), ("pandas", True), ("psycopg", False), ("tqdm", False)):
        one = build(tmp_path / package, small.new.rows.head(200), packages=(package,))
        assert questions.licence(questions.Case(one, small.old, small.rows), allowed)[0] is yes, package
    (one.folder / "requirements.txt").write_text("pandas==0.1\n", encoding="utf-8")
    assert "not the pinned one" in questions.licence(questions.Case(one, small.old, small.rows), allowed)[1]


def test_latency_is_not_moved_by_other_threads_that_compute(small, releases):
    """Three busy threads beside it: the calendar still stands out from models that cost the same."""
    champion, new, _ = releases
    one, stop = small.rows.head(1), threading.Event()
    busy = [
        threading.Thread(target=lambda: [sum(range(1000)) for _ in iter(stop.is_set, True)]) for _ in range(3)
    ]
    for thread in busy:
        thread.start()
    try:
        told = {
            name: questions.ratio(lambda n=name: new[n].answers(one), lambda: champion.answers(one))
            for name in ("one more month", "deep trees", "with holidays")
        }
    finally:
        stop.set()
        for thread in busy:
            thread.join()
    # Each call waits its turn for the interpreter: that costs both sides the same, and draws ratios together.
    assert max(told["one more month"], told["deep trees"]) < 2 < told["with holidays"], told


def test_waiting_is_not_seen_by_thread_time():
    assert questions.ratio(lambda: (time.sleep(0.01), sum(range(20_000))), lambda: sum(range(20_000))) < 3


def test_two_hundred_other_challengers_tell_the_same_story(releases, trips):
    """Seed 1: after a month both questions pass less than a tenth of the bad, the naive gate more."""
    champion, new, _ = releases
    rows = trips[trips["month"] > "2019-05"].reset_index(drop=True)
    sides = {
        "champion": champion,
        "better": new["more trees"],
        "worse": new["fewer trees"],
        "no nights": new["no nights"],
    }
    mixed = pd.DataFrame({name: one.answers(rows) for name, one in sides.items()})
    made = simulated(rows, mixed, 120, seed=1)
    worth, harm = gate.TABLE["metric"]["limit"], gate.TABLE["slices"]["limit"]
    bad = np.array([one.loss > worth or one.worst > harm for one in made])
    assert 30 < bad.sum() < 90
    passed, rng = {"naive": [], "both": []}, np.random.default_rng(5)
    for one in made:
        days = rng.choice(len(one.sums), 31, replace=False)
        sums = one.sums.iloc[days]
        passed["naive"].append(sums["new"].sum() < sums["old"].sum())
        slices = questions.worse_slices(one.harm.iloc[days], one.trips.iloc[days], harm)
        passed["both"].append(questions.interval(sums)[1] < worth and not slices)
    naive, both = np.array(passed["naive"]), np.array(passed["both"])
    assert both[bad].mean() < 0.1 < naive[bad].mean()
    assert (~both)[~bad].mean() < 0.15 < (~naive)[~bad].mean() + 0.05


def test_the_pipelines_targets_write_the_answers_that_promote_reads(small, tmp_path):
    small.rows.to_parquet(tmp_path / "rows.parquet")
    sides = {"CHALLENGER": small.new.folder, "CHAMPION": small.old.folder, "ROWS": tmp_path / "rows.parquet"}
    said, succeeded = make("size", "licence", **sides)
    assert succeeded and re.findall(r"(?m)^(\w+) +(\w+)", said) == [("yes", "size"), ("yes", "licence")]
    assert gate.kept(small) == {"size": True, "licence": True}
    (small.new.folder / gate.ANSWERS).unlink()


def test_the_alias_moves_only_when_all_is_yes_and_about_this_model(small, tmp_path):
    registry.use_store(tmp_path)
    client, name = MlflowClient(), "gate-test"
    versions = {one.folder.name: registry.register(name, one) for one in (small.old, small.new)}
    alias = {"client": client, "name": name, "version": versions["new"], "expected": None, "case": small}
    assert gate.promote(**alias).startswith("refused: data, code")
    yes = pd.DataFrame({"yes": dict.fromkeys(gate.TABLE, True), "found": ""})
    gate.keep(small, yes.drop("size"))
    assert gate.promote(**alias) == "refused: size"
    gate.keep(small, yes.loc[["size"]])  # the answers come one by one, as from a pipeline
    assert "another model" in gate.promote(**alias | {"version": versions["old"]})
    client.set_registered_model_alias(name, "champion", versions["old"])
    assert gate.promote(**alias) == f"refused: compared with version None, the champion is {versions['old']}"
    alias["expected"] = versions["old"]
    assert gate.promote(**alias) == f"champion is {versions['new']}"
    assert gate.promote(**alias) == f"champion is {versions['new']} already"
    aliases = client.get_registered_model(name).aliases
    assert {alias: str(version) for alias, version in aliases.items()} == {
        "champion": versions["new"],
        "previous": versions["old"],
    }
    record = json.loads((small.new.folder / gate.ANSWERS).read_text(encoding="utf-8"))
    assert record["of"] == {"new": small.new.digest, "old": small.old.digest, "rows": digest(small.rows)}
    other = questions.Case(small.new, small.old, small.rows.iloc[1:])
    assert gate.kept(other) == {}


@pytest.mark.slow
def test_a_smaller_run_tells_the_same_story():
    outcome = smaller(STEM)
    assert outcome.faults == []
