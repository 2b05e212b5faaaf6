"""Exercises of sitting 09e: a sticky canary, and a rule that rolls it back."""

import hashlib
import random
import zlib
from math import comb

import numpy as np

from course.exercise import also_right, checks, right, wrong

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
    """Who gets the challenger when the share is 0, and who when it is 1? Return one of the two texts."""
    assert not _routed(answer, _users(300), 0.0), "with a share of 0 somebody got the challenger"
    assert len(_routed(answer, _users(300), 1.0)) == 300, "with a share of 1 somebody kept the champion"


@checks(route)
def user_stays_with_one_model(answer):
    """What do two calls for the same user have in common? Compute the route from that, and draw nothing at random."""
    first = _routed(answer, _users(2_000), 0.3)
    other = _routed(answer, _users(2_000)[::-1], 0.3)
    assert first == other, f"asked twice, {len(first ^ other)} of 2,000 users were sent to another model"


@checks(route)
def every_process_agrees(answer):
    """Do two processes get the same `hash` of a text? Python salts it anew in each; `zlib.crc32` and `hashlib` don't."""
    code = getattr(getattr(answer, "__wrapped__", answer), "__code__", None)
    assert "hash" not in getattr(code, "co_names", ()), (
        "`hash` of a text differs from process to process: two workers would disagree about a user"
    )


@checks(route)
def share_is_kept(answer):
    """How does a hash become a share? As a place between 0 and 1, evenly filled, whatever the ids look like."""
    for step in (1, 100):
        got = len(_routed(answer, _users(step=step), 0.05)) / 20_000
        assert 0.04 < got < 0.06, f"with a share of 0.05 the challenger got {got:.3f} of the users" + (
            "" if step == 1 else ", whose ids all end in 00"
        )
    got = len(_routed(answer, _users(), 0.005)) / 20_000
    assert 0.003 < got < 0.008, f"with a share of 0.005 the challenger got {got:.4f} of the users"


@checks(route)
def raising_the_share_moves_nobody_back(answer):
    """What must stay the same when the share grows? The user's place; only the bound that it is compared with moves."""
    small, large = _routed(answer, _users(), 0.05), _routed(answer, _users(), 0.25)
    lost = len(small - large)
    assert not lost, (
        f"from 0.05 to 0.25, {lost} of {len(small)} users lost the challenger that they had before"
    )


@checks(route)
def next_release_takes_other_users(answer):
    """Why would the same users be taken for each release? Because only their id decides; something else has to go into the hash."""
    first, second = _routed(answer, _users(), 0.05), _routed(answer, _users(), 0.05, "v8")
    again = len(first & second) / len(first)
    assert again < 0.2, f"{again:.0%} of the users who tried v7 are taken for v8 again"


@also_right(route)
def with_hashlib(user_id, share, release):
    digest = hashlib.sha256(f"{user_id}|{release}".encode()).hexdigest()
    return "challenger" if int(digest[:8], 16) < share * 16**8 else "champion"


@also_right(route)
def with_a_generator_of_its_own(user_id, share, release):
    place = random.Random(f"{release}:{user_id}").random()
    return ("champion", "challenger")[place < share]


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
    """Which requests does a look see? Count the failures among them, look by look, and return at the first look that is too bad."""
    broken = _stream(0.2, 1)
    said = _rolled_back(answer, list(broken))
    assert said == 100, (
        f"{sum(broken[:100])} of the first 100 requests failed, 0.01 is tolerated, and you returned {said}"
    )


@checks(failing_canary)
def keeps_a_sound_canary(answer):
    """What does one failure in the first few requests prove? Nothing: keep to the looks, and return None for a sound canary."""
    assert _rolled_back(answer, [False] * 400) is None, "no request failed, and it was rolled back"
    assert _rolled_back(answer, [True] + [False] * 399) is None, (
        "only the first of 400 requests failed, and it was rolled back"
    )


@checks(failing_canary)
def does_not_judge_a_look_before_its_requests_are_in(answer):
    """What do you know at a look whose requests are not all in? It does not count yet."""
    failed = [False] * 99
    for i in (3, 20, 47, 60, 80):
        failed[i] = True
    assert _rolled_back(answer, list(failed)) is None, "99 requests are in, and the first look is at 100"


@checks(failing_canary)
def false_alarms_stay_below_alpha(answer):
    """How many chances for a false alarm are there? Give each look its part of alpha. A share above what is
    tolerated is no proof: half of all sound canaries have one."""
    looks = tuple(range(50, 401, 50))
    alarms = np.mean([_rolled_back(answer, _stream(0.01, s), looks=looks) is not None for s in range(600)])
    assert alarms <= 0.05, (
        f"{alarms:.0%} of 600 canaries that fail exactly as often as tolerated were rolled back; 5% are allowed"
    )


@checks(failing_canary)
def finds_what_fails_five_times_too_often(answer):
    """How unlikely is the number of failures when the canary is sound? That is a tail of the binomial distribution, and it finds a bad canary soon."""
    found = np.mean([_rolled_back(answer, _stream(0.05, s)) is not None for s in range(600, 800)])
    assert found > 0.9, f"of 200 canaries that fail in 5% of requests you rolled back only {found:.0%}"


@checks(failing_canary)
def so_many_failures_or_more(answer):
    """With which number of failures does the tail begin? With the one that you saw: "as many or more", not "more"."""
    for requests, tolerated in ((100, 0.01), (200, 0.02), (400, 0.01)):
        options = {"looks": (requests,), "tolerated": tolerated, "alpha": 0.05}
        fewest = next(
            (
                count
                for count in range(1, requests)
                if _rolled_back(answer, [True] * count + [False] * (requests - count), **options)
            ),
            requests,
        )
        chance = _binomial_tail(fewest, requests, tolerated)
        assert chance <= 0.05, (
            f"one look at {requests} requests, {tolerated} tolerated, alpha 0.05: you roll back at {fewest} failures, "
            f"which a sound canary has, or more, with a chance of {chance:.3f}"
        )


@also_right(failing_canary)
def adds_the_terms_up(failed, tolerated=0.01, looks=(100, 200, 400), alpha=0.05):
    for look in sorted(looks):
        if len(failed) < look:
            break
        if _binomial_tail(sum(failed[:look]), look, tolerated) <= alpha / len(looks):
            return look
    return None


@also_right(failing_canary)
def knows_its_limits_beforehand(failed, tolerated=0.01, looks=(100, 200, 400), alpha=0.05):
    from scipy.stats import binom

    counts = np.cumsum(failed)
    for look in looks:
        too_many = binom.isf(alpha / len(looks), look, tolerated) + 1
        if len(counts) >= look and counts[look - 1] >= too_many:
            return look
    return None


@also_right(failing_canary)
def asks_for_a_test_of_scipy(failed, tolerated=0.01, looks=(100, 200, 400), alpha=0.05):
    from scipy.stats import binomtest

    for look in looks:
        seen = failed[:look]
        if len(seen) == look:
            test = binomtest(int(sum(seen)), look, tolerated, alternative="greater")
            if test.pvalue < alpha / len(looks):
                return look
    return None


@wrong(failing_canary, caught_by=so_many_failures_or_more)
def begins_the_tail_one_too_late(failed, tolerated=0.01, looks=(100, 200, 400), alpha=0.05):
    from scipy.stats import binom

    for look in looks:
        if len(failed) >= look and binom.sf(sum(failed[:look]), look, tolerated) < alpha / len(looks):
            return look
    return None


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
