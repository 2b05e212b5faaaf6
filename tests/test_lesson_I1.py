"""I1: what each kata shows is so, solutions agree with libraries, and other right answers pass as well."""

import bisect
import functools
import heapq
import itertools
import random
import re
import statistics
from collections import Counter, deque
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
from scipy import stats
from solved import smaller

from course.data import load_ridership, load_trips
from course.exercise import source as exercise_source
from course.practice.bank import broken, load_bank

ROOT = Path(__file__).resolve().parents[1]
STEM = "I1_coding"
NOTEBOOK = nbformat.read(ROOT / "notebooks" / f"{STEM}.ipynb", as_version=4)
KATAS = exercise_source.load(ROOT / "src" / "lessons" / "exercises" / "I1_coding.py")
NAMES = exercise_source.names(ROOT / "src" / "lessons" / "exercises" / "I1_coding.py")


def output(name, notebook=NOTEBOOK):
    (cell,) = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.id == name]
    shown = [one.get("text") or one.get("data", {}).get("text/plain", "") for one in cell.outputs]
    return "\n".join(shown)


def numbers(name, pattern, notebook=NOTEBOOK):
    found = re.search(pattern, output(name, notebook))
    assert found, output(name, notebook)
    return [float(group.replace(",", "")) for group in found.groups()]


def result(name, answer):
    return getattr(KATAS, name).exercise.run(answer)


# ------------------------------------------------- twelve katas at least, three wrong answers each
def test_fourteen_katas_each_with_its_check_in_the_notebook():
    assert len(NAMES) == 14
    ids = [cell.id for cell in NOTEBOOK.cells]
    for name in NAMES:
        check = NOTEBOOK.cells[ids.index(f"exercise-{name}") + 1]
        assert check.source == f"exercise.check({name})"


@pytest.mark.parametrize("name", NAMES)
def test_at_least_three_wrong_answers(name):
    assert len(getattr(KATAS, name).exercise.wrong) >= 3


COUNTED = {
    "middle_element": "slices_the_first_half",
    "middle_node": "counts_first",
    "running_median": "sorts_again_and_again",
    "top_k": "sorts_the_best_each_time",
    "moving_average": "sums_the_window_each_time",
    "merge_intervals": "compares_each_with_each",
    "reservoir_sample": "lists_and_samples",
    "first_bad": "asks_one_after_the_other",
    "mean_by": "keeps_lists",
    "as_of_join": "scans_for_each_event",
    "ks_distance": "counts_for_each_value",
    "keep_recent": "keeps_the_order_in_a_list",
}


@pytest.mark.parametrize("name", COUNTED)
def test_an_answer_that_is_right_and_wasteful_fails_on_a_count(name, monkeypatch):
    """Every earlier check passes, so the results are right; and no clock is asked."""
    for clock in ("time", "perf_counter", "monotonic", "process_time"):
        monkeypatch.setattr(f"time.{clock}", lambda: pytest.fail("a clock was asked"))
    said = result(name, getattr(KATAS, COUNTED[name]))
    assert said.status == "failed"
    assert said.done >= 2, "its results are right"
    assert re.search(r"\d", said.message), "the message names a count"


# ------------------------------------------------- others' right answers
def by_insertion(stream):
    seen = []
    for value in stream:
        bisect.insort(seen, value)
        half, odd = divmod(len(seen), 2)
        yield seen[half] if odd else (seen[half - 1] + seen[half]) / 2


def by_a_late_second_pointer(head):
    if head is None:
        raise ValueError("empty")
    slow, fast, odd = head, head, True
    while fast.next is not None:
        fast, odd = fast.next, not odd
        if odd:
            slow = slow.next
    return slow.value


def by_fresh_sums(stream, width):
    """Two half windows, each summed afresh: the total is rebuilt from the deque once in a width."""
    window, total, since = deque(maxlen=width), 0.0, 0
    for value in stream:
        if len(window) == width:
            total -= window[0]
        window.append(value)
        total, since = total + value, since + 1
        if since == width:
            total, since = sum(window), 0
        if len(window) == width:
            yield total / width


def by_draws_with_keys(stream, k, rng):
    return [value for _, _, value in heapq.nlargest(k, ((rng.random(), -n, v) for n, v in enumerate(stream)))]


def by_bisect(n, is_bad):
    found = bisect.bisect_left(range(1, n + 1), True, key=is_bad) + 1
    return found if found <= n else None


def by_one_merged_walk(events, snapshots):
    rows = [(time, 0, n, key, None) for n, (key, time) in enumerate(events)]
    rows += [(time, 1, n, key, value) for n, (key, time, value) in enumerate(snapshots)]
    latest, joined = {}, [None] * len(events)
    for _, is_snapshot, n, key, value in sorted(rows, key=lambda row: (row[0], row[1], row[2])):
        if is_snapshot:
            latest[key] = value
        else:
            joined[n] = latest.get(key)
    return joined


def by_a_plain_dict(load, capacity):
    kept = {}

    def get(key):
        kept[key] = kept.pop(key) if key in kept else load(key)
        if len(kept) > capacity:
            del kept[next(iter(kept))]
        return kept[key]

    return get


OTHERS = {
    "running_median": by_insertion,
    "middle_node": by_a_late_second_pointer,
    "top_k": lambda stream, k: heapq.nlargest(k, stream),
    "moving_average": by_fresh_sums,
    "reservoir_sample": by_draws_with_keys,
    "first_bad": by_bisect,
    "as_of_join": by_one_merged_walk,
    "keep_recent": by_a_plain_dict,
}


@pytest.mark.parametrize("name", OTHERS)
def test_another_right_answer_passes(name):
    assert repr(result(name, OTHERS[name])).startswith("✓")


def test_the_cache_of_the_standard_library_passes():
    answer = lambda load, capacity: functools.lru_cache(maxsize=capacity)(load)  # noqa: E731
    assert result("keep_recent", answer).passed


# ------------------------------------------------- solutions against libraries, on inputs of their own
@pytest.mark.parametrize("seed", range(5))
def test_the_solutions_agree_with_libraries(seed):
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, 9, 57).tolist(), rng.integers(2, 12, 31).tolist()
    assert KATAS.ks_distance(a, b) == pytest.approx(stats.ks_2samp(a, b).statistic)
    assert list(KATAS.running_median(iter(a))) == [statistics.median(a[: n + 1]) for n in range(len(a))]
    assert KATAS.top_k(iter(a), 12) == sorted(a, reverse=True)[:12]
    rolled = pd.Series(a).rolling(7).mean().dropna().tolist()
    assert list(KATAS.moving_average(iter(a), 7)) == pytest.approx(rolled)
    frame = pd.DataFrame({"zone": rng.integers(0, 5, 200), "fare": rng.normal(20, 5, 200).round(2)})
    means = frame.groupby("zone")["fare"].mean().to_dict()
    assert KATAS.mean_by(frame.to_dict("records"), "zone", "fare") == pytest.approx(means)


@pytest.mark.parametrize("seed", range(5))
def test_the_join_is_merge_asof_without_exact_matches(seed):
    rng = np.random.default_rng(seed)
    events = pd.DataFrame({"key": rng.integers(0, 4, 80), "time": rng.integers(0, 60, 80)})
    known = pd.DataFrame(
        {"key": rng.integers(0, 5, 50), "time": rng.permutation(60)[:50], "value": range(50)}
    )
    joined = pd.merge_asof(
        events.reset_index().sort_values("time"),
        known.sort_values("time"),
        on="time",
        by="key",
        allow_exact_matches=False,
    ).sort_values("index")["value"]
    due = [None if pd.isna(value) else int(value) for value in joined]
    assert None in due
    rows = [list(frame.itertuples(index=False, name=None)) for frame in (events, known)]
    assert KATAS.as_of_join(*rows) == due


def test_intervals_against_a_grid():
    rng = random.Random(1)
    for _ in range(50):
        outages = [(start, start + rng.randint(1, 6)) for start in rng.sample(range(40), 8)]
        merged = KATAS.merge_intervals(outages)
        hours = {hour for start, end in outages for hour in range(start, end)}
        assert sum(end - start for start, end in merged) == len(hours)
        assert all(end < start for (_, end), (start, _) in itertools.pairwise(merged))


# ------------------------------------------------- what the cells show
def test_doubling_tells_n_from_n_log_n():
    assert numbers("doubling", r"max: .* values ([\d.]+) times") == [2.0]
    (ratio,), (foretold,) = (
        numbers("doubling", r"sorted: .* values ([\d.]+) times"),
        numbers("doubling", r"foretells ([\d.]+)"),
    )
    assert 2.1 < ratio < 2.3 and ratio == pytest.approx(foretold, abs=0.08)


def test_two_passes_make_one_and_a_half_moves_a_node():
    first, second = numbers("two_passes", r"([\d,]+) moves to count, ([\d,]+) more")
    assert (first, second) == (2000, 999)
    chain = KATAS._Chain(2000)
    reads = Counter()
    original, chain.read = chain.read, lambda node: reads.update([id(node)]) or original(node)
    KATAS.middle_node(chain.head)
    assert sum(count > 0 for count in reads.values()) == 2000, "one pass goes through all of it as well"
    assert max(reads.values()) <= 4


def test_re_sorting_is_quadratic_and_insertion_pays_in_moves():
    rows = [
        list(map(int, line.replace(",", "").split()))
        for line in output("medians").splitlines()
        if line[:1].isdigit()
    ]
    assert [row[0] for row in rows] == [250, 500, 1000, 2000]
    for small, large in itertools.pairwise(rows):
        assert 3.7 < large[1] / small[1] < 4.3, "twice the values, four times the comparisons"
        assert large[2] / small[2] < 2.5
        assert 3.5 < large[3] / small[3] < 4.5, "the moves are quadratic as well"
    assert rows[-1][3] == pytest.approx(2000**2 / 4, rel=0.05)


def test_a_heap_of_ten_keeps_ten():
    compared, kept = numbers("sorts_everything", r"nlargest: ([\d,]+) comparisons, ([\d,]+) of")
    everything, all_kept = numbers("sorts_everything", r"sorted: ([\d,]+) comparisons, ([\d,]+) of")
    assert kept <= 15 and all_kept == 4000
    assert compared < 1.2 * 4000 < everything / 8


def test_the_running_total_never_recovers_and_the_solution_does():
    (shown,) = numbers("running_total", r"mean is ([\d.]+)")
    assert abs(shown - 20.7) > 1
    sensor = [20.7] * 30 + [1e18] + [20.7] * 1_000
    *_, last = KATAS.trusts_the_running_total(sensor, 10)
    assert round(last, 1) == shown
    *_, last = KATAS.moving_average(sensor, 10)
    assert last == pytest.approx(20.7)


def test_the_long_outage_is_shortened():
    assert numbers("last_end", r"0-24 and 2-3: (\d+) hours") == [3]
    assert KATAS.merge_intervals([(0, 24), (2, 3)]) == [(0, 24)]


def test_counting_from_zero_is_unfair_and_from_one_is_fair():
    shares = [float(share) for share in output("unfair").splitlines()[-1].split()]
    assert len(shares) == 10 and max(shares[:3]) < 0.25 and min(shares[3:]) > 0.31
    rng = random.Random(5)
    seen = Counter(
        itertools.chain.from_iterable(KATAS.reservoir_sample(range(10), 3, rng) for _ in range(10_000))
    )
    assert all(abs(seen[value] / 10_000 - 0.3) < 0.02 for value in range(10))


def test_bisection_answers_something_else_when_a_fault_was_mended():
    assert numbers("flapping", r"^bad from 700 on: (\d+) after (\d+)") == [700, 10]
    assert numbers("flapping", r"mended, bad from 700 on: (\d+) after") == [700], "the first bad one is 200"
    assert numbers("flapping", r"none is bad: (\d+) after") == [1001]
    assert KATAS.first_bad(1000, lambda version: False) is None


def test_neighbours_are_no_groups():
    assert output("neighbours_only").strip() == "{'JFK': 56.0, 'Harlem': 12.0}"
    rows = [("JFK", 52.0), ("Harlem", 8.0), ("JFK", 60.0), ("Harlem", 12.0), ("JFK", 56.0)]
    frame = pd.DataFrame(rows, columns=["zone", "fare"])
    assert frame.groupby("zone")["fare"].mean().to_dict() == {"JFK": 56.0, "Harlem": 10.0}


def test_the_join_on_the_key_alone_reads_the_future():
    assert numbers("from_the_future", r"right for (\d+) %") == [100]
    assert numbers("from_the_future", r"(\d+) % of the joined values were written after") == [100]
    assert 65 < numbers("nobody", r"right for (\d+) %")[0] < 75


def test_a_cut_by_row_number_on_real_trips():
    trips = load_trips(["2019-01"])["pickup_datetime"]
    assert trips[:8000].max() > trips[8000:].min(), "not a split in time"
    days = trips.dt.dayofyear.tolist()
    train, test = KATAS.split_by_time(days, 0.2)
    assert max(days[row] for row in train) < min(days[row] for row in test)
    assert 2000 <= len(test) < 2400 and len(train) + len(test) == 10_000
    shared, before, after = numbers("cut_by_count", r"day (\d+) has (\d+) rows in training and (\d+)")
    assert before > 0 and before + after == days.count(shared)


def test_ties_make_a_month_differ_from_itself():
    month = load_trips(["2019-01"])["passenger_count"].tolist()
    (wrong, right) = numbers("ties", r"passenger_count .* one ([\d.]+), SciPy ([\d.]+)")
    assert right == 0 and KATAS.ks_distance(month, month) == 0
    assert wrong == pytest.approx(KATAS.steps_through_ties_one_by_one(month, month), abs=0.006)
    assert wrong == pytest.approx(month.count(1) / len(month), abs=0.006), "the share of single passengers"


def test_a_scale_from_the_test_turns_the_order_round():
    rides = load_ridership().set_index("ds")["y"]
    shown = {}
    for name, first, last in (
        ("July", "2014-07-21", "2014-08-03"),
        ("Christmas", "2013-12-16", "2013-12-29"),
    ):
        miss, by_test, by_history = numbers(
            "scaled_by_the_test", rf"{name}: misses by ([\d.]+), .* test ([\d.]+), by the history ([\d.]+)"
        )
        history = rides[:first][:-1].tolist()
        mase = KATAS.mase_by_hand(rides[first:last].tolist(), history[-14:], history, 7)
        assert mase == pytest.approx(by_history, abs=0.006)
        shown[name] = miss, by_test, by_history
    assert shown["Christmas"][1] < 1 < shown["July"][1], "scaled by the test July is the failure"
    assert shown["Christmas"][2] > 3 > 1 > shown["July"][2], "it was Christmas"
    assert shown["Christmas"][0] > 8 * shown["July"][0]


def test_a_cache_is_a_bet():
    (first_in,), (least_recent,) = (
        numbers("first_in_first_out", rf"popular, {rule}: ([\d,]+) loads")
        for rule in ("first in, first out", "least recently used")
    )
    assert 0.12 < 1 - least_recent / first_in < 0.17, "one load in seven"
    assert numbers("first_in_first_out", r"turn, least recently used: ([\d,]+) loads") == [5000]
    loads = []
    get = KATAS.keep_recent(loads.append, 5)
    for place in range(5000):
        get(place % 6)
    assert len(loads) == 5000


# ------------------------------------------------- the bank, and the lesson made small
def test_a_question_for_each_kata_shown_by_its_cell():
    asked = [question for question in load_bank() if question.lesson == "I1"]
    assert len(asked) >= 14 and all(question.kind == "coding" and question.shows for question in asked)
    assert broken(asked) == []
    cells = {cell for question in asked for _, cell, _ in question.links}
    named = {
        "rounds",
        "two_passes",
        "medians",
        "sorts_everything",
        "running_total",
        "last_end",
        "unfair",
        "flapping",
    }
    named |= {"neighbours_only", "from_the_future", "cut_by_count", "ties", "scaled_by_the_test"}
    assert named | {"first_in_first_out"} <= cells


def test_made_small_it_tells_the_same_story():
    outcome = smaller("I1_coding")
    assert outcome.faults == []
    shares = [float(share) for share in output("unfair", outcome.notebook).splitlines()[-1].split()]
    assert max(shares[:3]) < 0.27 < min(shares[3:])
    assert numbers("sorts_everything", r"nlargest: .* comparisons, (\d+) of", outcome.notebook)[0] <= 15
