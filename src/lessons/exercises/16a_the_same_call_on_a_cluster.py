"""Exercises of lesson 16a: when the last worker is done, and parts of equal size."""

import heapq

import numpy as np

from course.exercise import also_right, checks, right, wrong

# --- finished ---------------------------------------------------------------------------------------------------------


@right
def finished(lengths, workers, overhead=0.0):
    """Return when the last task is done, in seconds from the start.

    `lengths` are the seconds of the tasks, in the order in which they are handed out. Each task goes to the worker that
    is free first, and keeps it busy for its length plus `overhead`. There are `workers` workers, all free at 0. No
    task at all is done at 0.
    """
    free = np.zeros(workers)
    for length in lengths:
        free[free.argmin()] += length + overhead
    return free.max()


@also_right(finished)
def in_plain_python(lengths, workers, overhead=0.0):
    busy_until = [0.0 for _ in range(workers)]
    for length in lengths:
        first = busy_until.index(min(busy_until))
        busy_until[first] += length + overhead
    return max(busy_until)


@also_right(finished)
def with_a_heap(lengths, workers, overhead=0.0):
    free = [0.0] * workers
    for length in lengths:
        heapq.heappush(free, heapq.heappop(free) + length + overhead)
    return max(free)


def _seconds(answer, *arguments, **options):
    value = answer(*arguments, **options)
    assert isinstance(value, int | float | np.number), (
        f"the answer is a number of seconds, not a {type(value).__name__}"
    )
    return float(value)


@checks(finished)
def one_worker_does_all(answer):
    """What does a single worker need for tasks of 3, 1 and 2 seconds?"""
    value = _seconds(answer, [3.0, 1.0, 2.0], 1)
    assert abs(value - 6) < 1e-9, f"one worker does 3, 1 and 2 seconds in 6, not in {value:g}"


@checks(finished)
def the_free_worker_takes_the_next(answer):
    """Two workers, tasks of 4, 1, 1 and 1 seconds: who takes the third task, and when?"""
    value = _seconds(answer, [4.0, 1.0, 1.0, 1.0], 2)
    assert abs(value - 4) < 1e-9, (
        f"one worker has the long task, the other the three short ones: 4 seconds, not {value:g}"
    )


@checks(finished)
def a_long_task_at_the_end_is_waited_for(answer):
    """The long task is handed out last. Is the mean of the work per worker what you wait for?"""
    value = _seconds(answer, [1.0, 1.0, 1.0, 4.0], 2)
    assert abs(value - 5) < 1e-9, f"the long task begins at second 1 and ends at 5; you returned {value:g}"


@checks(finished)
def overhead_counts_for_each_task(answer):
    """How often is the overhead paid: once, once a worker or once a task?"""
    value = _seconds(answer, [1.0] * 6, 3, overhead=0.5)
    assert abs(value - 3) < 1e-9, f"two tasks a worker, 1.5 seconds each: 3 seconds, not {value:g}"


@checks(finished)
def more_workers_than_tasks(answer):
    """Can a task be shared by two workers? And what do you return if there is no task?"""
    value = _seconds(answer, [2.0, 5.0], 10)
    assert abs(value - 5) < 1e-9, (
        f"the longest task alone takes 5 seconds, whatever the workers; not {value:g}"
    )
    none = _seconds(answer, [], 3)
    assert none == 0, f"no task is done at 0; you returned {none:g}"


@wrong(finished, caught_by=the_free_worker_takes_the_next)
def deals_them_out_in_turn(lengths, workers, overhead=0.0):
    return max([sum(length + overhead for length in lengths[i::workers]) for i in range(workers)])


@wrong(finished, caught_by=the_free_worker_takes_the_next)
def takes_the_mean(lengths, workers, overhead=0.0):
    return sum(length + overhead for length in lengths) / workers


@wrong(finished, caught_by=the_free_worker_takes_the_next)
def works_in_rounds(lengths, workers, overhead=0.0):
    rounds = [lengths[i : i + workers] for i in range(0, len(lengths), workers)]
    return sum(max(some) + overhead for some in rounds)


@wrong(finished, caught_by=a_long_task_at_the_end_is_waited_for)
def puts_the_longest_first(lengths, workers, overhead=0.0):
    return in_plain_python(sorted(lengths, reverse=True), workers, overhead)


@wrong(finished, caught_by=overhead_counts_for_each_task)
def pays_the_overhead_once(lengths, workers, overhead=0.0):
    return in_plain_python(lengths, workers) + (overhead if len(lengths) else 0)


@wrong(finished, caught_by=one_worker_does_all)
def takes_the_longest(lengths, workers, overhead=0.0):
    return max(lengths, default=0) + (overhead if len(lengths) else 0)


@wrong(finished, caught_by=a_long_task_at_the_end_is_waited_for)
def takes_the_lower_bound(lengths, workers, overhead=0.0):
    total = sum(length + overhead for length in lengths)
    return max(total / workers, max(lengths, default=-overhead) + overhead)


@wrong(finished, caught_by=more_workers_than_tasks)
def needs_a_task(lengths, workers, overhead=0.0):
    ends = []
    for i, length in enumerate(lengths):
        begin = 0.0 if i < workers else sorted(ends)[i - workers]
        ends.append(begin + length + overhead)
    return max(ends)


# --- in_parts ---------------------------------------------------------------------------------------------------------


@right
def in_parts(ids, most):
    """Return the list `ids` cut into lists of at most `most`: as few parts as possible, as equal in size as possible.

    The order stays, no id is lost, and no part is empty: an empty list gives no parts. The sizes of two parts differ by
    at most one.
    """
    number = -(-len(ids) // most)
    return [list(part) for part in np.array_split(np.array(ids, dtype=object), number)] if number else []


@also_right(in_parts)
def with_divmod(ids, most):
    if not ids:
        return []
    number = (len(ids) + most - 1) // most
    size, larger = divmod(len(ids), number)
    parts, at = [], 0
    for i in range(number):
        end = at + size + (i < larger)
        parts.append(ids[at:end])
        at = end
    return parts


@also_right(in_parts)
def with_rounded_edges(ids, most):
    number = int(np.ceil(len(ids) / most))
    edges = [round(i * len(ids) / number) for i in range(number + 1)] if number else []
    return [ids[a:b] for a, b in zip(edges, edges[1:], strict=False)]


def _parts(answer, n, most):
    parts = answer([f"s{i}" for i in range(n)], most)
    assert isinstance(parts, list | tuple), f"the answer is a list of lists, not a {type(parts).__name__}"
    kinds = {type(part).__name__ for part in parts if not isinstance(part, list | tuple | np.ndarray)}
    assert not kinds, f"the answer is a list of lists; yours holds a {min(kinds)}"
    return parts


def _sizes(answer, n, most):
    return [len(part) for part in _parts(answer, n, most)]


@checks(in_parts)
def nothing_is_lost(answer):
    """Put the parts together again: is it the same list, in the same order?"""
    whole = [one for part in _parts(answer, 10, 4) for one in part]
    assert whole == [f"s{i}" for i in range(10)], f"the parts of ten ids together are {whole}"


@checks(in_parts)
def none_is_too_large(answer):
    """How many parts do 10 ids need, if a part holds 4 at most?"""
    sizes = _sizes(answer, 10, 4)
    assert max(sizes, default=0) <= 4, f"a part of at most 4 has {max(sizes)}"
    assert len(sizes) == 3, f"10 ids need 3 parts of at most 4; you made {len(sizes)}"


@checks(in_parts)
def none_is_much_smaller(answer):
    """17 ids, 16 at most: what does the second worker do with a single one?"""
    sizes = _sizes(answer, 17, 16)
    assert sorted(sizes) == [8, 9], f"17 ids in two equal parts are 9 and 8, not {sizes}"
    sizes = _sizes(answer, 10, 4)
    assert sorted(sizes) == [3, 3, 4], (
        f"10 ids in three equal parts are 4, 3 and 3, not {sizes}: sizes differ by one at most"
    )


@checks(in_parts)
def whole_parts_stay_whole(answer):
    """Do 32 ids, 16 at most, need a third part? And no ids?"""
    sizes = _sizes(answer, 32, 16)
    assert sizes == [16, 16], f"32 ids are two parts of 16, not {sizes}"
    none = _parts(answer, 0, 16)
    assert len(none) == 0, f"no ids are no parts, not {none}"


@wrong(in_parts, caught_by=none_is_much_smaller)
def cuts_every_so_many(ids, most):
    return [ids[i : i + most] for i in range(0, len(ids), most)]


@wrong(in_parts, caught_by=none_is_much_smaller)
def fills_all_but_the_last(ids, most):
    number = -(-len(ids) // most)
    size = -(-len(ids) // number) if number else 1
    return [ids[i : i + size] for i in range(0, len(ids), size)]


@wrong(in_parts, caught_by=nothing_is_lost)
def deals_them_out(ids, most):
    number = -(-len(ids) // most)
    return [ids[i::number] for i in range(number)]


@wrong(in_parts, caught_by=none_is_too_large)
def rounds_down(ids, most):
    number = max(len(ids) // most, 1)
    return [list(part) for part in np.array_split(np.array(ids, dtype=object), number)]


@wrong(in_parts, caught_by=whole_parts_stay_whole)
def adds_one_always(ids, most):
    number = len(ids) // most + 1
    return [list(part) for part in np.array_split(np.array(ids, dtype=object), number)]


@wrong(in_parts, caught_by=nothing_is_lost)
def drops_the_rest(ids, most):
    number = -(-len(ids) // most)
    size = len(ids) // number if number else 0
    return [ids[i * size : (i + 1) * size] for i in range(number)]
