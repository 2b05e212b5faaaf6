"""Lesson 07b: promotions on other months, a digest that sees every value, and what a webhook tells."""

import sys
from pathlib import Path

import numpy as np
import pytest
from test_lesson_07a import outputs
from weekly import weekly

from authoring import build
from authoring.execute import Runner
from course.data import load_trips, months

ROOT = Path(__file__).resolve().parents[1]
LESSON = build.read_lesson(ROOT / "src" / "lessons" / "07b_promotion_and_lineage.py")
sys.path.insert(0, str(ROOT / "src" / "projects" / "trip_tracking"))


def printed(notebook, name):
    (cell,) = [cell for cell in notebook.cells if cell.id == name]
    return "".join(output.get("text", "") for output in cell.outputs)


@weekly("a variation of the whole lesson; its solved run promotes at each push")
@pytest.mark.slow
def test_it_goes_through_when_the_challenger_is_refused():
    """On other data an interval may contain zero: then nobody is promoted, and the rest still runs."""
    notebook = build.generate(LESSON)
    (cell,) = [cell for cell in notebook.cells if cell.id == "judged"]
    cell.source += "\njudged += 1  # as if it had never been better"
    outcome = Runner().run(notebook, parameters=LESSON.ci)
    assert outcome.faults == []
    assert printed(outcome.notebook, "promotion") == "champion: 1\n"
    (audited,) = [cell for cell in outcome.notebook.cells if cell.id == "report"]
    assert "champion" in audited.outputs[0]["data"]["text/plain"]


@pytest.mark.parametrize(
    ("trained", "judging", "better"),
    [
        (("2019-03", "2019-05"), "2019-06", True),
        (("2019-08", "2019-10"), "2019-11", True),
        (("2019-11", "2020-01"), "2020-02", False),
    ],
)
def test_version_2_is_better_in_most_months_and_undecided_in_winter(trained, judging, better):
    import trip_tracking

    train = trip_tracking.with_features(load_trips(months(*trained)))
    test = trip_tracking.with_features(load_trips([judging]))
    _, code = np.unique(test["pickup_datetime"].dt.date, return_inverse=True)
    squares = []
    for settings in [(4, 0.3, 100), (5, 0.2, 150)]:
        model = trip_tracking.boosted(*settings)
        model.fit(train[trip_tracking.FEATURES], train["duration"])
        missed = test["duration"] - model.predict(test[trip_tracking.FEATURES])
        squares.append(np.bincount(code, missed**2))
    n = code.max() + 1
    drawn = np.random.default_rng(0).multinomial(n, [1 / n] * n, size=1000)
    old, new = (np.sqrt(drawn @ one / (drawn @ np.bincount(code))) for one in squares)
    low, high = np.quantile(new - old, [0.025, 0.975])
    assert low < 0
    assert bool(high < 0) is better


def test_the_recorded_digest_sees_what_mlflows_own_does_not():
    import mlflow
    import trip_tracking

    trips = trip_tracking.with_features(load_trips(months("2019-07", "2019-09")))
    spoiled = trips.copy()
    spoiled.loc[spoiled.index[15_000:], "duration"] *= 2
    table = [*trip_tracking.FEATURES, "duration"]
    assert mlflow.data.from_pandas(trips[table]).digest == mlflow.data.from_pandas(spoiled[table]).digest
    assert trip_tracking.described(trips).digest != trip_tracking.described(spoiled).digest
    assert outputs("07b_promotion_and_lineage")["digests"].split()[-1] == "True"
    assert trip_tracking.described(trips).digest[:8] in outputs("07b_promotion_and_lineage")["report"]


def test_the_evidence_has_the_state_of_the_code():
    shown = outputs("07b_promotion_and_lineage")["report"]
    assert "code.state" in shown
    assert "commit" in shown


def test_a_change_past_the_server_sends_no_message():
    heard = outputs("07b_promotion_and_lineage")["heard"]
    assert "'alias': 'champion', 'version': '1'" in heard
    assert "messages: 1 · without the signature: 403" in heard


def test_a_filter_on_two_facts_of_a_data_set_is_met_by_two_data_sets(tmp_path):
    import mlflow
    import pandas as pd
    import trip_tracking

    before = mlflow.get_tracking_uri()
    try:
        experiment_id = trip_tracking.use_store(tmp_path, "filters")
        july, august = (
            mlflow.data.from_pandas(pd.DataFrame({"miles": [1.0]}), name="trips", digest=digest)
            for digest in ("july", "august")
        )
        with mlflow.start_run():
            mlflow.log_inputs([august, july], ["training", "test"], [None, None])
        wanted = "dataset.digest = 'july' and dataset.context = 'training'"
        assert len(mlflow.search_runs([experiment_id], filter_string=wanted)) == 1
    finally:
        mlflow.set_tracking_uri(before)
