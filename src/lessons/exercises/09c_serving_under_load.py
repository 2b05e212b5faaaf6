"""Exercises of sitting 09c: latency from the schedule, and a bounded queue."""

import statistics
from math import ceil

import numpy as np
import pandas as pd

from course.exercise import also_right, checks, right, wrong

# --- p99_from_schedule ------------------------------------------------------------------------------------------------


@right
def p99_from_schedule(rate, sent, answered):
    """Return the 99th percentile of the latency that users saw, in milliseconds.

    `rate` requests a second were planned, evenly from second 0 on: the first at 0, the next at 1/rate and so on.
    `sent` and `answered` (lists of seconds) say when the generator sent each of them, and when its answer came.
    The generator waits for one answer before it sends the next request, so it can be late.
    """
    planned = np.arange(len(answered)) / rate
    return float(np.percentile(np.asarray(answered) - planned, 99) * 1000)


def _stalled(rate=100, count=500, service=0.002, stall=1.0):
    """Return rate, sent and answered of a generator that waits for each answer, one of which takes `stall` s more."""
    sent, answered, free = [], [], 0.0
    for i in range(count):
        sent.append(max(i / rate, free))
        free = sent[-1] + service + (stall if i == 100 else 0.0)
        answered.append(free)
    return rate, sent, answered


def _p99(answer, *data):
    found = answer(*data)
    assert isinstance(found, int | float | np.floating), (
        f"you returned a {type(found).__name__}; one number is asked for, in milliseconds"
    )
    return float(found)


@checks(p99_from_schedule)
def counts_in_milliseconds(answer):
    """In which unit are the times given, and in which is the answer asked for? And it is one number: `np.percentile` wants 99, not 0.99."""
    found = _p99(answer, 10, [i / 10 for i in range(200)], [i / 10 + 0.004 for i in range(200)])
    assert abs(found - 4) < 0.01, f"every answer came 4 ms after its time; your p99 is {found:.4g}"


@checks(p99_from_schedule)
def waiting_to_be_sent_counts(answer):
    """When does the user's clock start: when the request was sent, or when it was planned?"""
    rate, sent, answered = _stalled()
    found = _p99(answer, rate, sent, answered)
    worst = (np.asarray(answered) - np.asarray(sent)).max() * 1000
    assert found > 100, (
        f"the server stood still for a second, a fifth of the plan; your p99 is {found:.0f} ms (longest wait {worst:.0f})"
    )


@checks(p99_from_schedule)
def is_the_99th_percentile_from_second_zero(answer):
    """For which second was request number i planned, counted from 0? Of these latencies, which one do 99 of 100 stay under?"""
    rate, sent, answered = _stalled()
    seen = np.asarray(answered) - np.arange(500) / rate
    low, wanted, high = (float(np.percentile(seen, q) * 1000) for q in (98.6, 99, 99.4))
    found = _p99(answer, rate, list(sent), list(answered))  # definitions differ by a neighbour or two
    assert low <= found <= high, f"your p99 is {found:.1f} ms, it should be about {wanted:.1f}"


@also_right(p99_from_schedule)
def with_the_standard_library(rate, sent, answered):
    latencies = [done - i / rate for i, done in enumerate(answered)]
    return 1000 * statistics.quantiles(latencies, n=100)[98]


@also_right(p99_from_schedule)
def sorts_and_counts(rate, sent, answered):
    latencies = sorted(1000 * (answered[i] - i / rate) for i in range(len(answered)))
    return latencies[ceil(0.99 * len(latencies)) - 1]


@also_right(p99_from_schedule)
def with_pandas(rate, sent, answered):
    answered = pd.Series(answered)
    return (answered - answered.index / rate).quantile(0.99) * 1000


@wrong(p99_from_schedule, caught_by=counts_in_milliseconds)
def stays_in_seconds(rate, sent, answered):
    return float(np.percentile(np.asarray(answered) - np.arange(len(answered)) / rate, 99))


@wrong(p99_from_schedule, caught_by=counts_in_milliseconds)
def returns_every_latency(rate, sent, answered):
    return (np.asarray(answered) - np.arange(len(answered)) / rate) * 1000


@wrong(p99_from_schedule, caught_by=waiting_to_be_sent_counts)
def counts_from_sending(rate, sent, answered):
    return float(np.percentile(np.asarray(answered) - np.asarray(sent), 99) * 1000)


@wrong(p99_from_schedule, caught_by=waiting_to_be_sent_counts)
def asks_for_percentile_point_99(rate, sent, answered):
    return float(np.percentile(np.asarray(answered) - np.arange(len(answered)) / rate, 0.99) * 1000)


@wrong(p99_from_schedule, caught_by=is_the_99th_percentile_from_second_zero)
def takes_the_worst(rate, sent, answered):
    return float((np.asarray(answered) - np.arange(len(answered)) / rate).max() * 1000)


@wrong(p99_from_schedule, caught_by=is_the_99th_percentile_from_second_zero)
def takes_the_mean(rate, sent, answered):
    latencies = np.asarray(answered) - np.arange(len(answered)) / rate
    return float(latencies.mean() * 1000)


# --- admit ------------------------------------------------------------------------------------------------------------


@right
def admit(ahead, workers, seconds_each, limit):
    """Say whether a request may enter: True if it will be answered within `limit` seconds, else False (a 503).

    `ahead` requests are in the server already, waiting or in work. `workers` requests are worked on at a time, and
    each takes `seconds_each`. Count those in work as if they had only started: a promise must hold in the worst case.
    """
    rounds = ahead // workers + 1
    return rounds * seconds_each <= limit


def _admits(answer, ahead, workers, seconds_each, limit):
    said = answer(ahead, workers, seconds_each, limit)
    assert isinstance(said, bool | np.bool_), (
        f"you returned {said!r}; the answer is True (let it in) or False (refuse)"
    )
    return bool(said)


@checks(admit)
def lets_in_what_finds_an_idle_server(answer):
    """What does a request wait for when nobody is ahead? Only for its own work. Answer True or False."""
    assert _admits(answer, 0, 1, 0.1, 1.0), "the server is idle, the work takes 0.1 s of 1 s, and you refuse"


@checks(admit)
def refuses_what_would_be_late(answer):
    """What comes after the waiting? Its own work takes time too, and both together must be within the limit."""
    for ahead in (11, 10):
        assert not _admits(answer, ahead, 1, 0.125, 1.25), (
            f"{ahead} are ahead of it, 0.125 s each: it is answered after {(ahead + 1) * 0.125:.3f} s, the limit is 1.25"
        )
    assert not _admits(answer, 0, 1, 2.0, 1.0), "its own work takes 2 s, the limit is 1 s"


@checks(admit)
def uses_the_queue_while_there_is_time(answer):
    """Is a queue a fault? Not while it moves: refuse because of the time, not because somebody is ahead."""
    assert _admits(answer, 3, 1, 0.125, 1.25), "three are ahead, it would be answered after 0.5 s of 1.25 s"
    assert _admits(answer, 9, 1, 0.125, 1.25), "nine are ahead, it would be answered after exactly 1.25 s"


@checks(admit)
def counts_every_worker(answer):
    """In which round is it worked on, when four finish at a time? And does a second worker make one request shorter?"""
    assert _admits(answer, 39, 4, 0.125, 1.25), "39 ahead and four workers: it is in the tenth round, in time"
    assert not _admits(answer, 40, 4, 0.125, 1.25), (
        "40 ahead and four workers: it is in the eleventh round, late"
    )
    assert not _admits(answer, 0, 4, 2.0, 1.0), (
        "four workers share requests; they do not make one any shorter"
    )


@also_right(admit)
def counts_who_may_be_inside(ahead, workers, seconds_each, limit):
    rounds_in_time = int(limit / seconds_each)
    return ahead < rounds_in_time * workers


@also_right(admit)
def plays_it_through(ahead, workers, seconds_each, limit):
    free = [0.0] * workers
    for _ in range(ahead + 1):
        done = min(free) + seconds_each
        free[free.index(min(free))] = done
    return done <= limit


@wrong(admit, caught_by=lets_in_what_finds_an_idle_server)
def returns_the_status(ahead, workers, seconds_each, limit):
    return 200 if (ahead // workers + 1) * seconds_each <= limit else 503


@wrong(admit, caught_by=lets_in_what_finds_an_idle_server)
def says_when_to_refuse(ahead, workers, seconds_each, limit):
    return (ahead // workers + 1) * seconds_each > limit


@wrong(admit, caught_by=refuses_what_would_be_late)
def lets_everybody_in(ahead, workers, seconds_each, limit):
    return True


@wrong(admit, caught_by=refuses_what_would_be_late)
def forgets_its_own_work(ahead, workers, seconds_each, limit):
    return ahead // workers * seconds_each <= limit


@wrong(admit, caught_by=uses_the_queue_while_there_is_time)
def refuses_when_somebody_waits(ahead, workers, seconds_each, limit):
    return ahead < workers and seconds_each <= limit


@wrong(admit, caught_by=uses_the_queue_while_there_is_time)
def is_stricter_than_asked(ahead, workers, seconds_each, limit):
    return (ahead // workers + 1) * seconds_each < limit


@wrong(admit, caught_by=counts_every_worker)
def forgets_the_workers(ahead, workers, seconds_each, limit):
    return (ahead + 1) * seconds_each <= limit


@wrong(admit, caught_by=counts_every_worker)
def divides_its_own_work_too(ahead, workers, seconds_each, limit):
    return (ahead + 1) * seconds_each / workers <= limit
