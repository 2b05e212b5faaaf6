"""Exercises of lesson 09b: latency from the schedule, a bounded queue, a sticky canary, a rule that rolls back."""

import random
import zlib
from math import comb

import numpy as np

from course.exercise import checks, right, wrong

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
    """One number: times are given in seconds, 1 s is 1,000 ms. `np.percentile` wants 99, not 0.99."""
    found = _p99(answer, 10, [i / 10 for i in range(200)], [i / 10 + 0.004 for i in range(200)])
    assert abs(found - 4) < 0.01, f"every answer came 4 ms after its time; your p99 is {found:.4g}"


@checks(p99_from_schedule)
def waiting_to_be_sent_counts(answer):
    """The user's clock starts when the request was planned, `i / rate`, not when the generator got round to it."""
    rate, sent, answered = _stalled()
    found = _p99(answer, rate, sent, answered)
    worst = (np.asarray(answered) - np.asarray(sent)).max() * 1000
    assert found > 100, (
        f"the server stood still for a second, a fifth of the plan; your p99 is {found:.0f} ms (longest wait {worst:.0f})"
    )


@checks(p99_from_schedule)
def is_the_99th_percentile_from_second_zero(answer):
    """Request number i, counted from 0, was planned for second i / rate. Then `np.percentile(latencies, 99)`."""
    rate, sent, answered = _stalled()
    wanted = float(np.percentile(np.asarray(answered) - np.arange(500) / rate, 99) * 1000)
    found = _p99(answer, rate, list(sent), list(answered))
    assert abs(found - wanted) < 0.5, f"your p99 is {found:.1f} ms, it should be {wanted:.1f}"


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
    """Nobody is ahead and the work takes less than the limit: True."""
    assert _admits(answer, 0, 1, 0.1, 1.0), "the server is idle, the work takes 0.1 s of 1 s, and you refuse"


@checks(admit)
def refuses_what_would_be_late(answer):
    """It waits for those ahead, and then its own work takes time too: both together must be within the limit."""
    for ahead in (11, 10):
        assert not _admits(answer, ahead, 1, 0.125, 1.25), (
            f"{ahead} are ahead of it, 0.125 s each: it is answered after {(ahead + 1) * 0.125:.3f} s, the limit is 1.25"
        )
    assert not _admits(answer, 0, 1, 2.0, 1.0), "its own work takes 2 s, the limit is 1 s"


@checks(admit)
def uses_the_queue_while_there_is_time(answer):
    """A queue is no fault as long as it moves: refuse because of the time, not because somebody is ahead."""
    assert _admits(answer, 3, 1, 0.125, 1.25), "three are ahead, it would be answered after 0.5 s of 1.25 s"
    assert _admits(answer, 9, 1, 0.125, 1.25), "nine are ahead, it would be answered after exactly 1.25 s"


@checks(admit)
def counts_every_worker(answer):
    """With four workers, those ahead of you finish four at a time: you are in round `ahead // workers + 1`."""
    assert _admits(answer, 39, 4, 0.125, 1.25), "39 ahead and four workers: it is in the tenth round, in time"
    assert not _admits(answer, 40, 4, 0.125, 1.25), (
        "40 ahead and four workers: it is in the eleventh round, late"
    )
    assert not _admits(answer, 0, 4, 2.0, 1.0), (
        "four workers share requests; they do not make one any shorter"
    )


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


# --- route ------------------------------------------------------------------------------------------------------------


@right
def route(user_id, share, release):
    """Say which model answers this user: "challenger" for a `share` (0 to 1) of the users, "champion" for the rest.

    A user stays with one model during a release, in every process and on every machine. When `share` is raised, those
    who have the challenger keep it. The next `release` (a text) tries its luck on other users.
    """
    place = zlib.crc32(f"{release}/{user_id}".encode()) / 2**32
    return "challenger" if place < share else "champion"


def _routed(answer, users, share, release="v7"):
    said = [answer(user, share, release) for user in users]
    odd = [one for one in said if one not in ("champion", "challenger")]
    assert not odd, f'you returned {odd[0]!r}; a route is "champion" or "challenger"'
    return {user for user, one in zip(users, said, strict=True) if one == "challenger"}


def _users(count=20_000, step=1):
    return [f"user-{i * step}" for i in range(count)]


@checks(route)
def names_one_of_two_models(answer):
    """Return one of the two texts. With a share of 0 nobody gets the challenger, with a share of 1 everybody."""
    assert not _routed(answer, _users(300), 0.0), "with a share of 0 somebody got the challenger"
    assert len(_routed(answer, _users(300), 1.0)) == 300, "with a share of 1 somebody kept the champion"


@checks(route)
def user_stays_with_one_model(answer):
    """Nothing may be drawn at random: compute the route from the user's id, so that every call agrees."""
    first = _routed(answer, _users(2_000), 0.3)
    other = _routed(answer, _users(2_000)[::-1], 0.3)
    assert first == other, f"asked twice, {len(first ^ other)} of 2,000 users were sent to another model"


@checks(route)
def every_process_agrees(answer):
    """Python salts `hash` of a text anew in each process. Take `zlib.crc32` or `hashlib` of the encoded text."""
    code = getattr(getattr(answer, "__wrapped__", answer), "__code__", None)
    assert "hash" not in getattr(code, "co_names", ()), (
        "`hash` of a text differs from process to process: two workers would disagree about a user"
    )


@checks(route)
def share_is_kept(answer):
    """Turn the hash into a place between 0 and 1 (`crc32(...) / 2**32`); the challenger has the places below share."""
    for step in (1, 100):
        got = len(_routed(answer, _users(step=step), 0.05)) / 20_000
        assert 0.04 < got < 0.06, f"with a share of 0.05 the challenger got {got:.3f} of the users" + (
            "" if step == 1 else ", whose ids all end in 00"
        )
    got = len(_routed(answer, _users(), 0.005)) / 20_000
    assert 0.003 < got < 0.008, f"with a share of 0.005 the challenger got {got:.4f} of the users"


@checks(route)
def raising_the_share_moves_nobody_back(answer):
    """The place of a user must not depend on `share`; compare the same place with a larger share."""
    small, large = _routed(answer, _users(), 0.05), _routed(answer, _users(), 0.25)
    lost = len(small - large)
    assert not lost, (
        f"from 0.05 to 0.25, {lost} of {len(small)} users lost the challenger that they had before"
    )


@checks(route)
def next_release_takes_other_users(answer):
    """Hash the release together with the user: `f"{release}/{user_id}"`."""
    first, second = _routed(answer, _users(), 0.05), _routed(answer, _users(), 0.05, "v8")
    again = len(first & second) / len(first)
    assert again < 0.2, f"{again:.0%} of the users who tried v7 are taken for v8 again"


@wrong(route, caught_by=names_one_of_two_models)
def answers_yes_or_no(user_id, share, release):
    return zlib.crc32(f"{release}/{user_id}".encode()) / 2**32 < share


@wrong(route, caught_by=names_one_of_two_models)
def swaps_the_models(user_id, share, release):
    return "champion" if zlib.crc32(f"{release}/{user_id}".encode()) / 2**32 < share else "challenger"


@wrong(route, caught_by=user_stays_with_one_model)
def draws_for_each_request(user_id, share, release):
    return "challenger" if random.random() < share else "champion"


@wrong(route, caught_by=every_process_agrees)
def trusts_hash(user_id, share, release):
    return "challenger" if hash((release, user_id)) % 10_000 < share * 10_000 else "champion"


@wrong(route, caught_by=share_is_kept)
def takes_the_last_digits(user_id, share, release):
    last = int("".join(filter(str.isdigit, user_id))[-2:])
    return "challenger" if last < share * 100 else "champion"


@wrong(route, caught_by=share_is_kept)
def counts_in_whole_percent(user_id, share, release):
    place = zlib.crc32(f"{release}/{user_id}".encode()) % 100
    return "challenger" if place < share * 100 else "champion"


@wrong(route, caught_by=raising_the_share_moves_nobody_back)
def hashes_the_share_too(user_id, share, release):
    place = zlib.crc32(f"{release}/{share}/{user_id}".encode()) / 2**32
    return "challenger" if place < share else "champion"


@wrong(route, caught_by=raising_the_share_moves_nobody_back)
def seeds_a_generator_and_draws_the_models(user_id, share, release):
    draw = random.Random(f"{release}/{user_id}").choices(range(1000), k=1 + int(share * 100))[-1]
    return "challenger" if draw < share * 1000 else "champion"


@wrong(route, caught_by=next_release_takes_other_users)
def takes_the_same_users_each_time(user_id, share, release):
    return "challenger" if zlib.crc32(user_id.encode()) / 2**32 < share else "champion"


# --- failing_canary ---------------------------------------------------------------------------------------------------


def _binomial_tail(failures, requests, chance):
    """The chance of `failures` or more among `requests` when each fails with this chance."""
    fewer = sum(comb(requests, k) * chance**k * (1 - chance) ** (requests - k) for k in range(failures))
    return 1 - fewer


@right
def failing_canary(failed, tolerated=0.01, looks=(100, 200, 400), alpha=0.05):
    """Return after how many requests the canary is rolled back for failing too often, or None if it is not.

    `failed` is a list of True and False, one for each request of the canary, in order. Look at it when `looks` requests
    are in, and never between. A canary that fails as often as `tolerated` may be rolled back with a chance of at most
    `alpha` over all looks together. The binomial distribution says which number of failures is too many to be luck.
    """
    from scipy.stats import binom

    for look in looks:
        failures = sum(failed[:look])
        chance = binom.sf(failures - 1, look, tolerated)  # of so many failures or more
        if len(failed) >= look and chance < alpha / len(looks):
            return look
    return None


def _stream(chance, seed, count=400):
    return [bool(x) for x in np.random.default_rng(seed).random(count) < chance]


def _rolled_back(answer, failed, **options):
    said = answer(failed, **options)
    looks = options.get("looks", (100, 200, 400))
    assert said is None or (isinstance(said, int | np.integer) and not isinstance(said, bool)), (
        f"you returned {said!r}; return the look (a number of requests) or None"
    )
    assert said is None or said in looks, f"you rolled back after {said} requests; the looks are {looks}"
    return said


@checks(failing_canary)
def stops_a_broken_canary_at_the_first_look(answer):
    """Count the failures among the first `look` requests, look by look, and return at the first that is too bad."""
    broken = _stream(0.2, 1)
    said = _rolled_back(answer, list(broken))
    assert said == 100, (
        f"{sum(broken[:100])} of the first 100 requests failed, 0.01 is tolerated, and you returned {said}"
    )


@checks(failing_canary)
def keeps_a_sound_canary(answer):
    """None for a canary without a failure. One failure in the first few requests proves nothing: keep to the looks."""
    assert _rolled_back(answer, [False] * 400) is None, "no request failed, and it was rolled back"
    assert _rolled_back(answer, [True] + [False] * 399) is None, (
        "only the first of 400 requests failed, and it was rolled back"
    )


@checks(failing_canary)
def does_not_judge_a_look_before_its_requests_are_in(answer):
    """A look counts only when `len(failed) >= look`."""
    failed = [False] * 99
    for i in (3, 20, 47, 60, 80):
        failed[i] = True
    assert _rolled_back(answer, list(failed)) is None, "99 requests are in, and the first look is at 100"


@checks(failing_canary)
def false_alarms_stay_below_alpha(answer):
    """Each look is a chance for a false alarm. Give each a part of alpha: `alpha / len(looks)`. A share above what is
    tolerated is no proof: half of all sound canaries have one."""
    looks = tuple(range(50, 401, 50))
    alarms = np.mean([_rolled_back(answer, _stream(0.01, s), looks=looks) is not None for s in range(600)])
    assert alarms <= 0.05, (
        f"{alarms:.0%} of 600 canaries that fail exactly as often as tolerated were rolled back; 5% are allowed"
    )


@checks(failing_canary)
def finds_what_fails_five_times_too_often(answer):
    """Compare with the tail of the binomial distribution, `scipy.stats.binom.sf(failures - 1, look, tolerated)`."""
    found = np.mean([_rolled_back(answer, _stream(0.05, s)) is not None for s in range(600, 800)])
    assert found > 0.9, f"of 200 canaries that fail in 5% of requests you rolled back only {found:.0%}"


@wrong(failing_canary, caught_by=stops_a_broken_canary_at_the_first_look)
def says_only_that_it_is_bad(failed, tolerated=0.01, looks=(100, 200, 400), alpha=0.05):
    return any(_binomial_tail(sum(failed[:n]), n, tolerated) < alpha / len(looks) for n in looks)


@wrong(failing_canary, caught_by=stops_a_broken_canary_at_the_first_look)
def looks_only_at_the_end(failed, tolerated=0.01, looks=(100, 200, 400), alpha=0.05):
    bad = _binomial_tail(sum(failed), len(failed), tolerated) < alpha
    return looks[-1] if bad else None


@wrong(failing_canary, caught_by=keeps_a_sound_canary)
def stops_at_the_first_failure(failed, tolerated=0.01, looks=(100, 200, 400), alpha=0.05):
    return next((look for look in looks if any(failed[:look])), None)


@wrong(failing_canary, caught_by=does_not_judge_a_look_before_its_requests_are_in)
def judges_too_early(failed, tolerated=0.01, looks=(100, 200, 400), alpha=0.05):
    for look in looks:
        if _binomial_tail(sum(failed[:look]), look, tolerated) < alpha / len(looks):
            return look
    return None


@wrong(failing_canary, caught_by=false_alarms_stay_below_alpha)
def compares_the_shares(failed, tolerated=0.01, looks=(100, 200, 400), alpha=0.05):
    for look in looks:
        if len(failed) >= look and sum(failed[:look]) / look > tolerated:
            return look
    return None


@wrong(failing_canary, caught_by=false_alarms_stay_below_alpha)
def spends_alpha_at_every_look(failed, tolerated=0.01, looks=(100, 200, 400), alpha=0.05):
    for look in looks:
        if len(failed) >= look and _binomial_tail(sum(failed[:look]), look, tolerated) < alpha:
            return look
    return None


@wrong(failing_canary, caught_by=finds_what_fails_five_times_too_often)
def waits_for_a_tenth_to_fail(failed, tolerated=0.01, looks=(100, 200, 400), alpha=0.05):
    for look in looks:
        if len(failed) >= look and sum(failed[:look]) / look > 10 * tolerated:
            return look
    return None
