"""Sitting 09c's servers on paper: coordinated omission, a bounded queue, retries; by rate and bound."""

import math
from collections import deque
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from authoring import build

ROOT = Path(__file__).resolve().parents[1]
LESSON = build.read_lesson(ROOT / "src" / "lessons" / "09c_serving_under_load.py")


@pytest.fixture
def taught():
    """The names of the lesson's cells on paper, without what they show."""
    names = {"np": np, "pd": pd, "deque": deque}
    for cell in LESSON.cells:
        if cell.metadata.get("name") in ("paper", "overload", "request", "storm"):
            exec(cell.source, names)
    return names


@pytest.mark.parametrize("rate", [20, 50, 100])
def test_a_closed_loop_hides_the_stall_at_every_rate_and_a_schedule_shows_it(taught, rate):
    answered, closed, now = taught["answered"], [], 0.0
    while now < 60:
        done = answered(now, now)
        closed.append(done - now)
        now = max(done, now + 1 / rate)
    opened, free = [], 0.0
    for asked in np.arange(60 * rate) / rate:
        free = answered(asked, free)
        opened.append(free - asked)
    assert np.percentile(closed, 99) < 0.006 and np.percentile(opened, 99) > 1
    assert sum(latency > 1 for latency in closed) == 1


@pytest.mark.parametrize("bound", [5, 20, 50])
def test_a_bound_limits_the_wait_and_answers_no_fewer(taught, bound):
    overload = taught["overload"]
    (free, none_refused), (bounded, refused) = overload(10**9), overload(bound)
    assert none_refused == 0 and bounded[:, 1].max() <= 10 * bound + 1e-6
    assert free[:, 1].max() > 5_900
    assert refused == pytest.approx(1 - 100 / 120, abs=0.02)


def test_the_storm_heals_as_the_lesson_says(taught):
    storm = taught["storm"]
    good, sent = storm(0, 10**9)
    healed = next(second for second in range(15, 60) if good[second] > 0)
    assert healed in (50, 51)  # 450 in the queue, 10 a second less, until 100 are left
    good, sent = storm(3, 10**9)
    assert good[15:].sum() == 0 and sent.max() == 4 * 90
    for bound in (10, 50, 90):
        assert storm(3, bound)[0][20:].mean() > 0.99, bound
    assert storm(3, 50, budget=0.1)[1].max() <= 1.2 * 90
    assert storm(3, 10**9, budget=0.1)[0][15:].sum() == 0, "a budget alone leaves no room to heal"


def test_little_s_law_holds_in_the_queue_on_paper(taught):
    seen, _ = taught["overload"](20)
    steady = seen[seen[:, 0] > 10]
    inside = len(steady) / (steady[-1, 0] - steady[0, 0]) * steady[:, 1].mean() / 1000
    assert math.isclose(inside, 20, rel_tol=0.05)
