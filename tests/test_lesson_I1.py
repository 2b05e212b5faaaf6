"""I1: what each kata shows is so, solutions agree with libraries, and other right answers pass as well."""

import itertools
import random
import re
import statistics
from collections import Counter
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.sparse import csgraph, csr_matrix
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


# ------------------------------------------------- the katas, by pattern, the attempt first
OF_BEFORE = """middle_element middle_node running_median top_k moving_average merge_intervals reservoir_sample
first_bad mean_by as_of_join split_by_time ks_distance mase_by_hand keep_recent""".split()


def test_fourteen_katas_of_before_and_fifteen_new_ones():
    assert len(NAMES) == 29 and set(OF_BEFORE) < set(NAMES)
    listed = [name for held in KATAS.PATTERNS.values() for name in held]
    assert sorted(listed) == sorted(NAMES) and len(KATAS.PATTERNS) == 11


def test_each_kata_is_request_clock_stub_and_check_and_then_what_is_folded():
    ids = [cell.id for cell in NOTEBOOK.cells]
    for name in NAMES:
        at = ids.index(f"exercise-{name}")
        request, clock, _, check, after = NOTEBOOK.cells[at - 2 : at + 3]
        assert request.source.startswith("## ") and "**You ask.**" in request.source
        assert clock.source == f'clock.start("{name}")' and check.source == f"exercise.check({name})"
        assert after.source.startswith("### After your first check: ")
        assert after.metadata["jp-MarkdownHeadingCollapsed"] is True, "JupyterLab folds what follows"
        shown, _, folded = after.source.partition("<details>")
        assert len(shown.splitlines()) <= 2 and folded.endswith("</details>"), "GitHub folds the text"
        for part in ("**Idea.**", "**Steps.**", "**Listened for**", "**Next question**"):
            assert part in folded and part not in request.source


def test_the_road_names_every_kata():
    (road,) = [cell.source for cell in NOTEBOOK.cells if "```mermaid" in cell.source]
    named = re.findall(r"\b[a-z]+(?:_[a-z]+)+\b", road)
    assert sorted(set(named)) == sorted(NAMES)
    places = dict(zip(NAMES, range(len(NAMES)), strict=True))
    order = [name.removeprefix("exercise-") for name in (cell.id for cell in NOTEBOOK.cells)]
    assert [name for name in order if name in places] == NAMES


def test_the_stored_notebook_holds_no_time():
    for cell in NOTEBOOK.cells:
        if cell.cell_type == "code" and "clock.start" in cell.source:
            (shown,) = cell.outputs
            assert shown.data["text/plain"].startswith("15 minutes for `")
    assert not re.search(r"\d:\d\d of \d", str([cell.get("outputs") for cell in NOTEBOOK.cells]))


def test_every_exercise_has_two_other_right_answers_and_its_hints_of_today_ask():
    for name in NAMES:
        exercise = getattr(KATAS, name).exercise
        assert len(exercise.also_right) >= 2
        if name not in OF_BEFORE:
            assert all("?" in check.__doc__ for check in exercise.checks), name
            assert all(re.match(r"[A-Z][^.]*\?", check.__doc__) for check in exercise.checks), name


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
    "added_and_removed": "sorts_the_difference_of_sets",
    "longest_stretch": "counts_from_every_start",
    "two_invoices": "tries_all_pairs",
    "sessions_of": "collects_the_times",
    "rate_limit": "filters_all_times",
    "merge_logs": "looks_at_all_heads",
    "smallest_capacity": "tries_one_after_the_other",
    "fewest_hops": "marks_on_each_way_only",
    "affected_by": "goes_round_until_nothing_changes",
    "build_order": "looks_for_a_ready_one_each_time",
    "merge_identities": "follows_long_chains",
    "days_until_higher": "looks_ahead_from_each_day",
    "fewest_batches": "tries_all_ways",
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


@pytest.mark.parametrize("seed", range(8))
def test_the_new_solutions_agree_with_trying_everything(seed):
    rng = random.Random(seed)
    amounts = [rng.randrange(-9, 30) for _ in range(12)]
    pairs = [(i, j) for j in range(12) for i in range(j) if amounts[i] + amounts[j] == 25]
    assert KATAS.two_invoices(amounts, 25) == (pairs[0] if pairs else None)

    fine = [rng.random() < 0.7 for _ in range(30)]
    stretches = itertools.combinations(range(31), 2)
    longest = max((b - a for a, b in stretches if fine[a:b].count(False) <= 2), default=0)
    assert KATAS.longest_stretch(fine, 2) == longest

    errors = [rng.randrange(8) for _ in range(20)]
    due = [next((k for k in range(1, 20 - d) if errors[d + k] > errors[d]), None) for d in range(20)]
    assert KATAS.days_until_higher(errors) == due

    sizes, nights = [rng.randint(1, 12) for _ in range(9)], rng.randint(1, 9)
    cuts = itertools.combinations_with_replacement(range(10), nights - 1)
    loads = ([sum(sizes[a:b]) for a, b in itertools.pairwise((0, *cut, 9))] for cut in cuts)
    assert KATAS.smallest_capacity(sizes, nights) == min(max(load) for load in loads)

    batches = rng.sample(range(2, 9), 3)
    sums = {sum(c): n for n in range(9, -1, -1) for c in itertools.combinations_with_replacement(batches, n)}
    assert KATAS.fewest_batches(batches, 17) == sums.get(17)

    old, new = (sorted(rng.sample(range(40), rng.randint(0, 30))) for _ in range(2))
    changes = sorted(set(old) ^ set(new))
    assert list(KATAS.added_and_removed(old, new)) == [("-" if one in old else "+", one) for one in changes]

    times, allow, passed = sorted(rng.choices(range(60), k=40)), KATAS.rate_limit(3, 10), []
    for time in times:
        fits = sum(time - 10 < before for before in passed) < 3
        assert allow(time) is fits
        passed += [time] * fits

    logs = [sorted((rng.randrange(20), f"{place}") for _ in range(6)) for place in range(4)]
    assert list(KATAS.merge_logs(logs)) == sorted(itertools.chain(*logs), key=lambda row: row[0])


@pytest.mark.parametrize("seed", range(8))
def test_the_graphs_agree_with_scipy(seed):
    rng = np.random.default_rng(seed)
    linked = rng.random((12, 12)) < 0.13
    feeds = {a: np.flatnonzero(linked[a]).tolist() for a in range(12)}
    hops = csgraph.shortest_path(csr_matrix(linked.astype(int)), unweighted=True)
    for goal in range(12):
        way = KATAS.fewest_hops(feeds, 0, goal)
        assert (way is None) == np.isinf(hops[0, goal])
        assert way is None or len(way) == hops[0, goal] + 1
    for changed in range(12):
        reached = {b for b in range(12) if np.isfinite(hops[b, changed]) and b != changed}
        assert KATAS.affected_by(feeds, changed) == reached, "here a table reads what it is linked to"
    count, label = csgraph.connected_components(csr_matrix(linked), directed=False)
    pairs = [(a, b) for a in feeds for b in feeds[a]] + [(a, a) for a in feeds]
    groups = sorted(np.flatnonzero(label == one).tolist() for one in range(count))
    assert KATAS.merge_identities(pairs) == groups
    needs = {a: [b for b in feeds[a] if b > a] for a in feeds}  # no circle
    place = {one: at for at, one in enumerate(KATAS.build_order(needs))}
    assert len(place) == 12 and all(place[b] < place[a] for a in needs for b in needs[a])


def test_sessions_are_those_of_pandas():
    rng = np.random.default_rng(3)
    log = pd.DataFrame({"user": rng.integers(0, 4, 200), "time": np.sort(rng.integers(0, 9000, 200))})
    log["session"] = log.groupby("user")["time"].diff().gt(120).groupby(log["user"]).cumsum()
    rows = log.groupby(["user", "session"])["time"].agg(["min", "max", "size"])
    due = {user: [tuple(row) for row in own.to_numpy().tolist()] for user, own in rows.groupby(level=0)}
    got = KATAS.sessions_of(log[["user", "time"]].itertuples(index=False, name=None), 120)
    assert got == due and sum(map(len, got.values())) > 20


def test_own_times_add_up_to_the_whole():
    rng, trace, running, time = random.Random(4), [], [], 0
    while len(trace) < 300 or running:
        time += rng.randint(0, 5)
        if running and (len(trace) >= 300 or rng.random() < 0.5):
            trace.append((running.pop(), "end", time))
        else:
            running.append(rng.choice("fgh"))
            trace.append((running[-1], "begin", time))
    idle, depth, last = 0, 0, 0
    for _, what, now in trace:
        idle, last = idle + (now - last) * (depth == 0), now
        depth += 1 if what == "begin" else -1
    assert sum(KATAS.self_times(trace).values()) == time - idle > 0


def test_names_in_snake_case_stay_so():
    rng = random.Random(5)
    for _ in range(500):
        name = "".join(rng.choices("abXYZ19 _-($", k=rng.randint(0, 9)))
        once = KATAS.snake_case(name)
        assert re.fullmatch(r"(?:[a-z0-9]+(?:_[a-z0-9]+)*)?", once)
        assert KATAS.snake_case(once) == once
        for other in KATAS.snake_case.exercise.also_right:
            assert other(name) == once, name


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


def test_one_row_in_front_changes_every_place():
    assert numbers("place_by_place", r"place: ([\d,]+) of ([\d,]+) rows differ") == [1000, 1000]
    assert numbers("place_by_place", r"id by id: (\d+)") == [1]


def test_the_obvious_answers_to_the_new_katas_pay_what_the_text_says():
    (looks,) = numbers("from_every_start", r"start: ([\d,]+) looks")
    assert looks > 100 * 4000
    assert numbers("finds_itself", r"([\d,]+) pairs, ([\d,]+) look-ups") == [1_999_000, 2000]
    assert "[(0, 0)]" in output("finds_itself") and KATAS.two_invoices([500, 300], 1000) is None
    assert numbers("one_last_time", r"gap 30: (\d+) session .*, (\d+) sessions") == [1, 8]
    (compared,) = numbers("on_a_tie", r"([\d.]+) comparisons an entry")
    assert compared < 8
    (entries,) = numbers("until_nothing_changes", r": ([\d,]+) entries")
    assert entries == 500 * 501
    (labels,) = numbers("labels_all_anew", r": ([\d,]+) labels")
    assert labels == pytest.approx(499**2 / 2, rel=0.02)
    assert numbers("looks_ahead", r"rising: ([\d,]+) comparisons") == [999]
    assert numbers("looks_ahead", r"falling: ([\d,]+) comparisons") == [1000 * 999 / 2]


def test_the_obvious_answers_to_the_new_katas_are_wrong_where_the_text_says():
    assert "PULocationID: _p_u_location_i_d" in output("every_capital")
    assert numbers("fixed_window", r"(\d+) calls passed within ([\d.]+) s") == [200, 0.2]
    allow = KATAS.rate_limit(100, 10)
    assert sum(allow(time) for time in [9.9] * 100 + [10.1] * 100) == 100
    assert "whole entries: ['a job'" in output("on_a_tie") and "by time: ['started'" in output("on_a_tie")
    assert KATAS.smallest_capacity([6, 6, 6], 2) == 12 > numbers("mean_of_a_night", r"night: (\d+)")[0]
    assert numbers("one_begin_a_name", r"time is (\d+)") == [11]
    assert output("depth_first").split("\n")[0] == "stack: raw > clean > x > y > report"
    assert "queue: raw > clean > report" in output("depth_first")
    assert "built before what it needs: score" in output("by_number_of_needs")
    assert "largest first: [4, 1, 1]" in output("greedy") and KATAS.fewest_batches([4, 3, 1], 6) == 2


def test_a_tree_of_calls_grows_by_three_fifths_a_row():
    counts = [1] + [0] * 40
    calls = []
    for rows in range(1, 41):
        counts[rows] = sum(counts[rows - size] for size in (1, 3, 4) if size <= rows)
        calls.append(sum(counts[: rows + 1]))
    assert calls[19] == numbers("greedy", r"tree: ([\d,]+) calls")[0]
    assert calls[39] / calls[38] == pytest.approx(1.6, abs=0.05)


# ------------------------------------------------- the bank, and the lesson made small
def test_the_questions_on_katas_are_shown_by_their_cells():
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
    named |= {"neighbours_only", "from_the_future", "cut_by_count"}
    named |= {"first_in_first_out", "finds_itself", "from_every_start", "fixed_window", "mean_of_a_night"}
    assert named | {"by_number_of_needs", "labels_all_anew"} <= cells


def test_made_small_it_tells_the_same_story():
    outcome = smaller("I1_coding")
    assert outcome.faults == []
    shares = [float(share) for share in output("unfair", outcome.notebook).splitlines()[-1].split()]
    assert max(shares[:3]) < 0.27 < min(shares[3:])
    assert numbers("sorts_everything", r"nlargest: .* comparisons, (\d+) of", outcome.notebook)[0] <= 15
