"""Lesson 17b: the year, what each decision cost, the replay against the flow, and the records it reads."""

import hashlib
import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from shown import Shown
from weekly import weekly

from course.exercise import source as exercise_source

ROOT = Path(__file__).resolve().parents[1]
STEM = "17b_through_2020"
SHOWN = Shown(STEM)
output, number, table = SHOWN.output, SHOWN.number, SHOWN.table
EXERCISES = exercise_source.load(ROOT / "src" / "lessons" / "exercises" / f"{STEM}.py")
sys.path[:0] = [str(ROOT / "src")]

from lessons.through_2020 import windows, years  # noqa: E402
from projects.capstone.state import CapstoneError  # noqa: E402

DIGESTS = {
    windows.RECORD: "4e5731381591f0b3",
    years.RECORD: "ffc980e94bc10103",
}


def test_the_year_has_an_alarm_a_refusal_a_rollback_and_a_recovery():
    said = dict(re.findall(r"(2020-\d\d) +[\d.]+ min  champion +\d+  \w+ +(.+)", output("year")))
    assert len(said) == 12 and {said[f"2020-0{month}"] for month in (1, 2, 3)} == {"kept"}
    assert said["2020-04"].startswith("drift of ") and said["2020-04"].endswith("version 2 is a canary")
    assert "champion is 2" in said["2020-05"] and said["2020-05"].endswith("refused: data mph 13.21")
    assert said["2020-06"].endswith("version 3 is a canary") and said["2020-08"].startswith("rolled back")
    assert said["2020-12"] == "kept"
    assert "incident-2020-04.html" in output("pages") and "model-4.html" in output("pages")


def test_most_of_the_days_went_to_the_calendar_and_a_daily_look_has_a_false_alarm():
    since = table("delay")["days since"].astype(int)
    assert list(since) == sorted(since) and since.iloc[2] - since.iloc[1] > since.iloc[-1] / 2
    assert output("delay").splitlines()[0] == "above it before March: 03 Jan"


def test_the_no_and_the_rollback_have_a_price():
    found = re.findall(r"(\S+) minutes a trip \((\S+) to (\S+)\)", output("refused") + output("rolled"))
    assert len(found) == 4 and all(float(low) > 0 and float(mean) < 1 for mean, low, _ in found)
    assert number("rolled", r"saved .*: \+([\d.]+)") > number("rolled", r"lost .*: +\+([\d.]+)") > 0.2
    assert float(table("inputs").loc["4", "against version 3"]) == pytest.approx(1.609, abs=0.15)


def test_doing_nothing_recovers_too_and_a_pace_that_moves_is_better_than_it_in_may():
    by_month = table("nothing").astype(float)
    assert (by_month.loc[:"2020-03", "never"] == by_month.loc[:"2020-03", "flow"]).all()
    for month in ("2020-05", "2020-06"):
        assert by_month.loc[month, "flow"] < by_month.loc[month, "pace moved"] < by_month.loc[month, "never"]
    assert (by_month.loc[:"2020-04", "pace moved"] > 1.3 * by_month.loc[:"2020-04", "never"]).all()
    fell, alone = (number("claim", rf"{who} by ([\d.]+)") for who in ("flow", "never"))
    assert 0.55 < alone / fell < 0.7
    saved = re.findall(r"against (.+), (.+): ([\d.]+) \(([\d.]+) to ([\d.]+)\)", output("claim"))
    assert len(saved) == 4 and all(float(low) < float(mean) < float(high) for _, _, mean, low, high in saved)


def test_a_minute_of_people_buys_some_hundred_minutes_and_tries_grow_unseen():
    people, trips = re.match(r"(\d+) minutes of people, ([\d,]+)", output("people")).groups()
    assert 140 < int(trips.replace(",", "")) / int(people) < 160
    tries = [int(one) for one in output("tries").split(":")[1].split()]
    assert tries == sorted(tries) and (tries[0], tries[-1]) == (1, 4)


def test_a_delivery_that_never_answers_ends_in_a_line():
    delivery = years.Delivery(tries=2)
    with pytest.raises(CapstoneError, match="the source of 2020-12 does not answer, 2 times: ask whoever"):
        delivery("2020-12")
    assert delivery.told == {"2020-12": 2}


def test_the_replay_is_too_good_by_less_than_policies_differ():
    held = table("held").astype(float)
    flattery = held["flow"] - held["replay"]
    assert ((flattery > 0) & (flattery < 0.09)).all()
    assert list(held["flow"].sort_values().index) == list(held["replay"].sort_values().index)
    assert held["largest difference"].max() > 0.4


def test_the_error_alarm_is_cheapest_and_monthly_has_the_smallest_error():
    found = table("policies").astype(float)
    assert found["error"].idxmin() == "monthly" and found["dollars"].idxmin() == "error"
    assert found.loc["monthly", "dollars"] > found.loc["never", "dollars"]
    assert found.loc["error", "high"] < 0 < found.loc["monthly", "high"]
    assert EXERCISES._bill(lambda seen: 0, "the thirty months") == pytest.approx(
        found.loc["never", "dollars"], abs=1
    )


def test_weeks_make_a_wider_interval_than_days_and_both_hold_the_mean():
    rng = np.random.default_rng(0)
    day = pd.date_range("2020-01-06", periods=210).repeat(20)
    gain = pd.Series(rng.normal(0.5, 1, len(day)) + np.repeat(rng.normal(0, 0.5, 30), 140), index=day)
    (low, high), (low_days, high_days) = years.interval(gain), years.interval(gain, "D")
    assert low < low_days < gain.mean() < high_days < high


def test_a_replay_waits_for_the_canary_and_shows_no_later_month():
    asked = []

    def policy(seen):
        asked.append(seen)
        return 3 if seen.month == "2020-04" else 0

    months = [f"2020-{month:02d}" for month in range(1, 13)]
    lived, kept = windows.replay(policy, months), windows.replay(lambda seen: 0, months)
    assert (lived["error"] == kept["error"])[:4].all() and (lived["error"] < kept["error"])[4:].all()
    assert [seen.age for seen in asked] == [1, 2, 3, 4, 1, 2, 3, 4, 5, 6, 7, 8]
    known = windows.recorded()["error"]
    half = (known["2019-12", 3, "2020-05"] + known["2020-04", 3, "2020-05"]) / 2
    assert lived.loc["2020-05", "error"] == pytest.approx(half)
    with pytest.raises(ValueError, match="return 0 to keep the model, or 1, 3 or 12 months"):
        windows.replay(lambda seen: 2, months)


def test_the_records_are_those_that_were_made():
    for file, digest in DIGESTS.items():
        text = file.read_text(encoding="utf-8").encode()
        assert hashlib.sha256(text).hexdigest()[:16] == digest, f"{file.name} was changed: make it anew"


def test_a_training_of_the_record_comes_out_the_same_again():
    for line in windows.lines_of(("2020-10", 1)):
        known = windows.recorded().loc[line["trained"], line["window"], line["month"]]
        assert (line["error"], line["seen"]) == pytest.approx((known["error"], known["seen"]), abs=0.002)


@weekly("a training of the record is made anew at each push, and the flow's own diary is held elsewhere")
def test_the_years_that_are_recorded_come_out_the_same_again(tmp_path):
    first = years.lived(tmp_path / "error", "error")
    assert years.told(first) == years.recorded()["error"].reset_index().to_dict("records")
