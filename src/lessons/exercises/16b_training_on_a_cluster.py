"""Exercises of lesson 16b: one split from the histograms of many workers, and how many workers a model needs."""

import math

import numpy as np

from course.exercise import also_right, checks, right, wrong

# --- best_split -------------------------------------------------------------------------------------------------------


@right
def best_split(histograms, lam=1.0):
    """Return the number of the bin after which all rows together are split best.

    `histograms` is a list, one for each worker, of arrays with a row for each bin: the sum of gradients G, the number
    of rows H. Bins up to and with the returned one go left, the others right; each side has at least one bin. The
    best split has the largest gain, G_L² / (H_L + lam) + G_R² / (H_R + lam) - G² / (H + lam); of equal ones the first
    counts.
    """
    total = np.sum(histograms, axis=0)
    left = total.cumsum(axis=0)[:-1]
    right_side = total.sum(axis=0) - left
    gain = (left[:, 0] ** 2) / (left[:, 1] + lam) + right_side[:, 0] ** 2 / (right_side[:, 1] + lam)
    return int(gain.argmax())  # the last term is the same for all of them


def _split(answer, histograms, lam=1.0):
    found = answer([one.copy() for one in histograms], lam)
    assert np.ndim(found) == 0 and found is not None, f"return the number of one bin; you return {found!r}"
    return int(found)


def _workers(seed, workers=3, bins=12):
    """Workers whose rows differ: each has its own slope and its own number of rows."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(workers):
        rows = rng.integers(1, 400, bins).astype(float)
        level = np.where(np.arange(bins) < rng.integers(2, bins - 1), -1, 1) * rng.uniform(0.5, 3)
        made.append(np.column_stack([rows * (level + rng.normal(0, 0.3, bins)), rows]))
    return made


_ONE = [np.array([[-50.0, 10], [-48, 10], [-45, 10], [70, 10], [73, 10]])]


@checks(best_split)
def one_worker_splits_where_the_gradient_turns(answer):
    """After which bin does the sign of G change? That bin is the last one on the left."""
    found = _split(answer, _ONE)
    assert found == 2, f"bins 0 to 2 have negative sums, 3 and 4 positive ones: after bin 2, not {found}"


@checks(best_split)
def all_workers_rows_count(answer):
    """Each worker alone would choose another bin. Whose rows does the tree have to fit?"""
    for seed in range(20):
        histograms = _workers(seed)
        expected, found = best_split(histograms), _split(answer, histograms)
        assert found == expected, (
            f"three workers alone say {[best_split([one]) for one in histograms]}; "
            f"the rows of all together say {expected}, you say {found}"
        )


@checks(best_split)
def both_sides_have_a_bin(answer):
    """What is on the right when the last bin goes left?"""
    histograms = [np.array([[-50.0, 20], [-50, 20], [-50, 20]])]
    found = _split(answer, histograms, lam=100.0)
    assert found in (0, 1), f"after bin {found} of three, nothing is left for the right side"


@checks(best_split)
def lambda_holds_back_small_sides(answer):
    """A side of two rows with a huge sum: what does a larger denominator do to it?"""
    histograms = [np.array([[-40.0, 2], [-60, 50], [10, 50], [70, 50]])]
    for lam in (0.0, 30.0):
        expected, found = best_split(histograms, lam), _split(answer, histograms, lam)
        assert found == expected, f"with lam {lam:.0f} the best split is after bin {expected}, not {found}"
    shared = [one / 4 for one in histograms for _ in range(4)]
    expected, found = best_split(shared, 2.0), _split(answer, shared, 2.0)
    assert found == expected, (
        f"the same rows on four workers, lam 2: after bin {expected}, not {found}; "
        "lam is added once, to the sum of all workers"
    )


@wrong(best_split, caught_by=all_workers_rows_count)
def asks_the_first_worker(histograms, lam=1.0):
    return best_split(histograms[:1], lam)


@wrong(best_split, caught_by=all_workers_rows_count)
def lets_the_workers_vote(histograms, lam=1.0):
    votes = [best_split([one], lam) for one in histograms]
    return int(np.bincount(votes).argmax())


@wrong(best_split, caught_by=all_workers_rows_count)
def averages_the_bins(histograms, lam=1.0):
    return round(float(np.mean([best_split([one], lam) for one in histograms])))


@wrong(best_split, caught_by=all_workers_rows_count)
def averages_the_means(histograms, lam=1.0):
    means = [one / one[:, 1].sum() * 100 for one in histograms]
    return best_split(means, lam)


@wrong(best_split, caught_by=both_sides_have_a_bin)
def lets_all_go_left(histograms, lam=1.0):
    total = np.sum(histograms, axis=0)
    left = total.cumsum(axis=0)
    other = total.sum(axis=0) - left
    gain = left[:, 0] ** 2 / (left[:, 1] + lam) + other[:, 0] ** 2 / (other[:, 1] + lam)
    return int(gain.argmax())


@wrong(best_split, caught_by=one_worker_splits_where_the_gradient_turns)
def returns_the_first_bin_on_the_right(histograms, lam=1.0):
    return best_split(histograms, lam) + 1


@wrong(best_split, caught_by=one_worker_splits_where_the_gradient_turns)
def takes_the_largest_gradient(histograms, lam=1.0):
    return int(np.abs(np.sum(histograms, axis=0)[:, 0]).argmax())


@wrong(best_split, caught_by=lambda_holds_back_small_sides)
def takes_the_mean_of_the_histograms(histograms, lam=1.0):
    return best_split([np.mean(histograms, axis=0)], lam)


@wrong(best_split, caught_by=lambda_holds_back_small_sides)
def forgets_lambda(histograms, lam=1.0):
    return best_split(histograms, 0.0)


@also_right(best_split)
def in_plain_python(histograms, lam=1.0):
    bins = len(histograms[0])
    G = [sum(float(one[b][0]) for one in histograms) for b in range(bins)]
    H = [sum(float(one[b][1]) for one in histograms) for b in range(bins)]
    best, chosen = -math.inf, 0
    for cut in range(bins - 1):
        sides = [(sum(G[: cut + 1]), sum(H[: cut + 1])), (sum(G[cut + 1 :]), sum(H[cut + 1 :]))]
        gain = sum(g * g / (h + lam) for g, h in sides)
        if gain > best:
            best, chosen = gain, cut
    return chosen


@also_right(best_split)
def with_pandas(histograms, lam=1.0):
    import pandas as pd

    total = sum(pd.DataFrame(one, columns=["G", "H"]) for one in histograms)
    left, whole = total.cumsum(), total.sum()
    other = whole - left
    gain = (
        left["G"] ** 2 / (left["H"] + lam)
        + other["G"] ** 2 / (other["H"] + lam)
        - whole["G"] ** 2 / (whole["H"] + lam)
    )
    return int(gain.iloc[:-1].idxmax())


# --- workers_needed ---------------------------------------------------------------------------------------------------


@right
def workers_needed(parameters, memory, largest_layer, activations):
    """Return the least number of workers on which a fully sharded training fits, None if no number is enough.

    A parameter needs 16 bytes of state, shared evenly among the workers. Beside its share each worker holds the
    largest layer, gathered, in 2 bytes for each of its `largest_layer` parameters, and the `activations` of its own
    rows, in bytes. All of it has to be at most `memory` bytes.
    """
    room = memory - 2 * largest_layer - activations
    if room <= 0:
        return None
    return max(1, int(np.ceil(16 * parameters / room)))


_GB = 10**9


def _needed(answer, expected, why, parameters, memory, largest_layer, activations):
    found = answer(parameters, memory, largest_layer, activations)
    assert found == expected, f"{why}: {expected}, you return {found!r}"


@checks(workers_needed)
def the_state_is_shared(answer):
    """How many bytes does the state of all parameters take, and how many has one worker?"""
    _needed(answer, 4, "112 GB of state, 28 GB for each", 7 * _GB, 28 * _GB, 0, 0)


@checks(workers_needed)
def a_part_of_a_worker_is_a_worker(answer):
    """1.4 workers are needed. How many do you rent?"""
    _needed(answer, 2, "112 GB of state on cards of 80 GB", 7 * _GB, 80 * _GB, 0, 0)
    _needed(answer, 5, "112 GB of state on cards of 24 GB", 7 * _GB, 24 * _GB, 0, 0)


@checks(workers_needed)
def one_worker_is_the_least(answer):
    """A small model fits many times. Can you have a third of a worker?"""
    _needed(answer, 1, "1.6 GB of state on a card of 80 GB", _GB // 10, 80 * _GB, 0, 0)


@checks(workers_needed)
def activations_stay_on_each(answer):
    """Does a second worker make the activations of the first one's rows smaller?"""
    _needed(
        answer,
        12,
        "24 GB with 14 GB of activations leave 10 GB for the share of 112",
        7 * _GB,
        24 * _GB,
        0,
        14 * _GB,
    )
    why = "80 GB with 70 GB of activations leave 10 GB for the share of 16,000"
    _needed(answer, 1600, why, 1000 * _GB, 80 * _GB, 0, 70 * _GB)


@checks(workers_needed)
def the_gathered_layer_takes_room(answer):
    """A layer is whole while it is used. On how many of the workers, and in how many bytes a parameter?"""
    _needed(answer, 10, "a layer of two billion takes 4 GB of 16 on each", 7 * _GB, 16 * _GB, 2 * _GB, 0)


@checks(workers_needed)
def some_models_never_fit(answer):
    """Layer and activations together fill the card. Does another worker make either of them smaller?"""
    for memory in (20 * _GB, 16 * _GB):
        _needed(
            answer, None, "layer and activations fill the card on any number", 7 * _GB, memory, _GB, 18 * _GB
        )


@wrong(workers_needed, caught_by=the_state_is_shared)
def counts_the_weights_only(parameters, memory, largest_layer, activations):
    room = memory - 2 * largest_layer - activations
    return max(1, math.ceil(2 * parameters / room)) if room > 0 else None


@wrong(workers_needed, caught_by=the_state_is_shared)
def adds_one_to_be_safe(parameters, memory, largest_layer, activations):
    room = memory - 2 * largest_layer - activations
    return 16 * parameters // room + 1 if room > 0 else None


@wrong(workers_needed, caught_by=a_part_of_a_worker_is_a_worker)
def rounds_down(parameters, memory, largest_layer, activations):
    room = memory - 2 * largest_layer - activations
    return max(1, 16 * parameters // room) if room > 0 else None


@wrong(workers_needed, caught_by=one_worker_is_the_least)
def returns_a_fraction(parameters, memory, largest_layer, activations):
    room = memory - 2 * largest_layer - activations
    if room <= 0:
        return None
    n = 16 * parameters / room
    return n if n < 1 else math.ceil(n)


@wrong(workers_needed, caught_by=activations_stay_on_each)
def shares_all_of_it(parameters, memory, largest_layer, activations):
    return max(1, math.ceil((16 * parameters + 2 * largest_layer + activations) / memory))


@wrong(workers_needed, caught_by=activations_stay_on_each)
def gives_up_at_1024(parameters, memory, largest_layer, activations):
    fixed = 2 * largest_layer + activations
    return next((n for n in range(1, 1025) if 16 * parameters / n + fixed <= memory), None)


@wrong(workers_needed, caught_by=the_gathered_layer_takes_room)
def counts_the_layer_in_one_byte(parameters, memory, largest_layer, activations):
    room = memory - largest_layer - activations
    return max(1, math.ceil(16 * parameters / room)) if room > largest_layer else None


@wrong(workers_needed, caught_by=the_gathered_layer_takes_room)
def shares_the_layer_too(parameters, memory, largest_layer, activations):
    room = memory - activations
    return (
        max(1, math.ceil((16 * parameters + 2 * largest_layer) / room)) if room > 2 * largest_layer else None
    )


@wrong(workers_needed, caught_by=the_gathered_layer_takes_room)
def forgets_the_layer(parameters, memory, largest_layer, activations):
    room = memory - activations
    return max(1, math.ceil(16 * parameters / room)) if room > 2 * largest_layer else None


@wrong(workers_needed, caught_by=some_models_never_fit)
def always_finds_a_number(parameters, memory, largest_layer, activations):
    room = memory - 2 * largest_layer - activations
    return max(1, math.ceil(16 * parameters / room)) if room else None


@also_right(workers_needed)
def counts_up(parameters, memory, largest_layer, activations):
    fixed = 2 * largest_layer + activations
    if fixed >= memory:
        return None
    n = 1
    while 16 * parameters > n * (memory - fixed):
        n += 1
    return n


@also_right(workers_needed)
def with_whole_numbers(parameters, memory, largest_layer, activations):
    room = memory - (2 * largest_layer + activations)
    return None if room < 1 else max(1, -(-16 * parameters // room))
