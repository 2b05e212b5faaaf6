"""Exercises of lesson 02a: Cohen's kappa of two raters, and votes weighed by the quality of the raters."""

import math
from collections import Counter

import numpy as np
import pandas as pd

from course.exercise import also_right, checks, right, wrong

# --- cohen ------------------------------------------------------------------------------------------------------------


@right
def cohen(first, second):
    """Return Cohen's kappa of two raters: (observed agreement − agreement by luck) / (1 − agreement by luck).

    `first` and `second` are Series of labels with one index; a label is any value, and a missing one (None or NaN)
    means that the rater did not label the item. Only items that both have labelled count, for the shares too. By
    luck the two agree with probability Σ p_k q_k, where p_k and q_k are the shares with which the first and the
    second give the label k. Where luck alone would always agree, kappa is not defined: return NaN.
    """
    both = first.notna() & second.notna()
    a, b = first[both], second[both]
    p, q = a.value_counts(normalize=True), b.value_counts(normalize=True)
    by_luck = p.mul(q, fill_value=0).sum()
    if by_luck == 1:
        return np.nan
    return float(((a == b).mean() - by_luck) / (1 - by_luck))


def _kappa(answer, first, second):
    found = answer(pd.Series(list(first)), pd.Series(list(second)))
    assert isinstance(found, (float, int)) and not isinstance(found, bool), (
        f"return one number; you returned a {type(found).__name__}"
    )
    return float(found)


@checks(cohen)
def perfect_agreement_is_one(answer):
    """What is left between agreement and perfection when two raters agree on everything?"""
    found = _kappa(answer, "yynn", "yynn")
    assert abs(found - 1) < 1e-9, f"four equal labels of two classes: kappa is 1; you return {found:.3f}"


@checks(cohen)
def luck_is_taken_off(answer):
    """How often would the two agree if each drew labels at random with the shares that they have?"""
    found = _kappa(answer, "yyynyyynyyyn", "yyyyyyyyynnn")
    luck, observed = 9 / 12 * 9 / 12 + 3 / 12 * 3 / 12, 8 / 12
    wanted = (observed - luck) / (1 - luck)
    assert abs(found - wanted) < 1e-9, (
        f"they agree on 8 of 12, by luck on {luck:.3f}: kappa is {wanted:.3f}; you return {found:.3f}"
    )


@checks(cohen)
def each_rater_has_shares_of_their_own(answer):
    """Whose shares do you multiply? One rater may say yes far more often than the other."""
    found = _kappa(answer, "yyyyyyyyyn", "yyyyynnnnn")
    luck = 0.9 * 0.5 + 0.1 * 0.5
    wanted = (0.6 - luck) / (1 - luck)
    assert abs(found - wanted) < 1e-9, (
        f"one says yes to nine of ten, the other to five: by luck {luck:.2f}, kappa {wanted:.2f}; "
        f"you return {found:.3f}"
    )


@checks(cohen)
def a_class_of_one_rater_counts(answer):
    """What is the share of a class that a rater never gives? Does it add to the agreement by luck?"""
    found = _kappa(answer, "aabccc", "aabbbb")
    luck = 2 / 6 * 2 / 6 + 1 / 6 * 4 / 6
    wanted = (3 / 6 - luck) / (1 - luck)
    assert abs(found - wanted) < 1e-9, (
        f"only the first rater says c; kappa is {wanted:.3f}; you return {found:.3f}"
    )


@checks(cohen)
def worse_than_luck_is_negative(answer):
    """Can two raters agree less often than luck would? What is kappa then?"""
    found = _kappa(answer, "ynyn", "nyny")
    assert abs(found + 1) < 1e-9, f"they contradict each other each time: kappa is -1; you return {found:.3f}"


@checks(cohen)
def an_item_of_one_rater_is_left_out(answer):
    """Did they disagree on an item that only one of them has seen? Take both columns of the same items."""
    found = _kappa(answer, [1, 1, 0, 0, 1, 1, None], [1, 1, 0, 0, None, None, 0])
    assert abs(found - 1) < 1e-9, f"four items are labelled by both, all four alike; you return {found:.3f}"
    found = _kappa(answer, ["a", "b", "a", "a", None, None], ["a", "b", "b", "a", "b", "b"])
    assert abs(found - 0.5) < 1e-9, (
        f"the shares come from the items that both have labelled, and kappa is 0.5; you return {found:.3f}"
    )


@checks(cohen)
def one_class_is_no_evidence(answer):
    """Two raters who only ever say yes: is that perfect agreement, or can you not know?"""
    found = _kappa(answer, "yyyy", "yyyy")
    assert math.isnan(found), (
        f"by luck they agree always, so kappa is 0 / 0, and that is NaN; you return {found:.3f}"
    )


def _both(first, second):
    both = first.notna() & second.notna()
    return first[both], second[both]


def _beyond(observed, by_luck):
    return math.nan if by_luck == 1 else float((observed - by_luck) / (1 - by_luck))


def _luck(a, b):
    return sum((a == k).mean() * (b == k).mean() for k in set(a) | set(b))


@wrong(cohen, caught_by=luck_is_taken_off)
def returns_the_agreement(first, second):
    a, b = _both(first, second)
    return float((a == b).mean())


@wrong(cohen, caught_by=luck_is_taken_off)
def takes_equal_shares(first, second):
    a, b = _both(first, second)
    return _beyond((a == b).mean(), 1 / len(set(a) | set(b)))


@wrong(cohen, caught_by=perfect_agreement_is_one)
def forgets_to_divide(first, second):
    a, b = _both(first, second)
    return float((a == b).mean() - _luck(a, b))


@wrong(cohen, caught_by=each_rater_has_shares_of_their_own)
def pools_the_shares(first, second):
    a, b = _both(first, second)
    shares = pd.concat([a, b]).value_counts(normalize=True)
    return _beyond((a == b).mean(), float((shares**2).sum()))


@wrong(cohen, caught_by=a_class_of_one_rater_counts)
def multiplies_by_position(first, second):
    a, b = _both(first, second)
    p, q = (one.value_counts(normalize=True).to_numpy() for one in (a, b))
    n = min(len(p), len(q))
    return _beyond((a == b).mean(), float((p[:n] * q[:n]).sum()))


@wrong(cohen, caught_by=worse_than_luck_is_negative)
def stops_at_zero(first, second):
    a, b = _both(first, second)
    return max(0.0, _beyond((a == b).mean(), _luck(a, b))) if _luck(a, b) < 1 else math.nan


@wrong(cohen, caught_by=an_item_of_one_rater_is_left_out)
def counts_what_one_has_not_seen(first, second):
    return _beyond((first == second).mean(), _luck(first.dropna(), second.dropna()))


@wrong(cohen, caught_by=an_item_of_one_rater_is_left_out)
def takes_shares_of_all_items(first, second):
    a, b = _both(first, second)
    return _beyond((a == b).mean(), _luck(first.dropna(), second.dropna()))


@wrong(cohen, caught_by=one_class_is_no_evidence)
def calls_it_perfect(first, second):
    a, b = _both(first, second)
    return 1.0 if (a == b).all() else _beyond((a == b).mean(), _luck(a, b))


@wrong(cohen, caught_by=one_class_is_no_evidence)
def calls_it_nothing(first, second):
    a, b = _both(first, second)
    return 0.0 if _luck(a, b) == 1 else _beyond((a == b).mean(), _luck(a, b))


@also_right(cohen)
def with_a_crosstab(first, second):
    table = pd.crosstab(first, second, normalize=True)  # leaves out what is missing on either side
    classes = table.index.union(table.columns)
    table = table.reindex(index=classes, columns=classes, fill_value=0.0)
    observed, luck = np.trace(table.to_numpy()), table.sum(axis=1) @ table.sum(axis=0)
    return np.nan if np.isclose(luck, 1) else (observed - luck) / (1 - luck)


@also_right(cohen)
def in_plain_python(first, second):
    pairs = [(a, b) for a, b in zip(first, second, strict=True) if not (pd.isna(a) or pd.isna(b))]
    mine, theirs = Counter(a for a, _ in pairs), Counter(b for _, b in pairs)
    n, luck = len(pairs), sum(mine[k] * theirs[k] for k in mine)
    if luck == n * n:
        return float("nan")
    return (n * sum(a == b for a, b in pairs) - luck) / (n * n - luck)


# --- weigh ------------------------------------------------------------------------------------------------------------


@right
def weigh(votes, hit, false_alarm, share):
    """Return the probability that each item is truly a yes, given what the raters say.

    `votes` is a DataFrame of items × raters: 1 is yes, 0 is no, NaN is no vote. `hit` and `false_alarm` are Series by
    rater, between 0 and 1: how often the rater says yes to a true yes and to a true no. `share` is the share of true
    yes among all items. Given the truth, raters err independently. Multiply the odds of a yes, share / (1 − share),
    by each vote's factor: hit / false alarm for a yes, (1 − hit) / (1 − false alarm) for a no.
    """
    yes, no = np.log(hit / false_alarm), np.log((1 - hit) / (1 - false_alarm))
    log_odds = np.log(share / (1 - share)) + ((votes == 1) * yes + (votes == 0) * no).sum(axis=1)
    return 1 / (1 + np.exp(-log_odds))


def _told(answer, votes, hit, false_alarm, share=0.5):
    """Return the probability of one item, labelled by raters a, b, c …"""
    names = list("abcdefgh")[: len(votes)]
    table = pd.DataFrame([votes, votes], columns=names, dtype=float)
    found = answer(table, pd.Series(hit, names), pd.Series(false_alarm, names), share)
    assert np.shape(found) == (2,), (
        f"return one probability for each of the 2 items; you return shape {np.shape(found)}"
    )
    return float(np.asarray(found)[0])


def _close(found, wanted, why):
    assert abs(found - wanted) < 1e-9, f"{why}: the probability is {wanted:.3f}; you return {found:.3f}"


@checks(weigh)
def one_yes_multiplies_the_odds(answer):
    """By how much more often does this rater say yes to a true yes than to a true no?"""
    _close(_told(answer, [1], [0.9], [0.3]), 0.75, "even odds, times 0.9 / 0.3 = 3")


@checks(weigh)
def a_no_is_evidence_too(answer):
    """What does a no say? Not one minus what a yes would say: compare how often it is said to each truth."""
    _close(_told(answer, [0], [0.9], [0.3]), 0.125, "even odds, times 0.1 / 0.7")


@checks(weigh)
def the_share_is_where_you_start(answer):
    """What did you know before the first vote? A rare class needs more votes."""
    _close(_told(answer, [1], [0.9], [0.3], share=0.1), 0.25, "odds of 1 to 9, times 3")


@checks(weigh)
def a_good_rater_outvotes_two_poor_ones(answer):
    """Does a vote of somebody who is nearly always right count as much as one of somebody who guesses?"""
    found = _told(answer, [1, 0, 0], [0.95, 0.6, 0.6], [0.05, 0.4, 0.4])
    odds = 19 * (0.4 / 0.6) ** 2
    _close(found, odds / (1 + odds), "a rater of 95 % says yes, two of 60 % say no")


@checks(weigh)
def a_contrary_rater_is_read_backwards(answer):
    """What do you learn from somebody who is nearly always wrong?"""
    _close(_told(answer, [0], [0.1], [0.9]), 0.9, "a no from a rater who is wrong nine times in ten")


@checks(weigh)
def no_vote_is_no_no(answer):
    """What does a rater say about an item that was never shown to them?"""
    _close(_told(answer, [1, np.nan], [0.9, 0.8], [0.3, 0.2]), 0.75, "the second rater has not voted")
    _close(_told(answer, [np.nan], [0.9], [0.3], share=0.2), 0.2, "nobody has voted")


def _odds(votes, yes, no, share):
    factors = votes.eq(1) * np.log(yes) + votes.eq(0) * np.log(no)
    return share / (1 - share) * np.exp(factors.sum(axis=1))


@wrong(weigh, caught_by=one_yes_multiplies_the_odds)
def returns_odds(votes, hit, false_alarm, share):
    return _odds(votes, hit / false_alarm, (1 - hit) / (1 - false_alarm), share)


@wrong(weigh, caught_by=one_yes_multiplies_the_odds)
def counts_heads(votes, hit, false_alarm, share):
    return votes.mean(axis=1).fillna(share)


@wrong(weigh, caught_by=one_yes_multiplies_the_odds)
def knows_the_hits_only(votes, hit, false_alarm, share):
    odds = _odds(votes, hit / (1 - hit), (1 - hit) / hit, share)
    return odds / (1 + odds)


@wrong(weigh, caught_by=a_no_is_evidence_too)
def turns_the_yes_around(votes, hit, false_alarm, share):
    odds = _odds(votes, hit / false_alarm, false_alarm / hit, share)
    return odds / (1 + odds)


@wrong(weigh, caught_by=a_no_is_evidence_too)
def hears_only_yes(votes, hit, false_alarm, share):
    odds = _odds(votes, hit / false_alarm, hit / hit, share)
    return odds / (1 + odds)


@wrong(weigh, caught_by=the_share_is_where_you_start)
def forgets_the_share(votes, hit, false_alarm, share):
    odds = _odds(votes, hit / false_alarm, (1 - hit) / (1 - false_alarm), 0.5)
    return odds / (1 + odds)


@wrong(weigh, caught_by=a_good_rater_outvotes_two_poor_ones)
def takes_the_mean_of_the_raters(votes, hit, false_alarm, share):
    yes, no = hit / false_alarm, (1 - hit) / (1 - false_alarm)
    each = [_odds(votes[[name]], yes[[name]], no[[name]], share) for name in votes]
    return sum(odds / (1 + odds) for odds in each) / len(each)


@wrong(weigh, caught_by=a_contrary_rater_is_read_backwards)
def leaves_out_the_contrary(votes, hit, false_alarm, share):
    good = hit[hit > false_alarm].index
    yes, no = hit / false_alarm, (1 - hit) / (1 - false_alarm)
    odds = _odds(votes[good], yes[good], no[good], share)
    return odds / (1 + odds)


@wrong(weigh, caught_by=no_vote_is_no_no)
def takes_silence_for_no(votes, hit, false_alarm, share):
    odds = _odds(votes.fillna(0), hit / false_alarm, (1 - hit) / (1 - false_alarm), share)
    return odds / (1 + odds)


@also_right(weigh)
def with_bayes_and_two_products(votes, hit, false_alarm, share):
    likely = []
    for rate, before in ((hit, share), (false_alarm, 1 - share)):
        said = np.where(votes == 1, rate, 1 - rate)
        likely.append(before * np.where(votes.isna(), 1.0, said).prod(axis=1))
    return likely[0] / (likely[0] + likely[1])


@also_right(weigh)
def vote_by_vote(votes, hit, false_alarm, share):
    told = []
    for _, row in votes.iterrows():
        p = share
        for rater, vote in row.dropna().items():
            a, b = (hit[rater], false_alarm[rater]) if vote else (1 - hit[rater], 1 - false_alarm[rater])
            p = p * a / (p * a + (1 - p) * b)
        told.append(p)
    return np.array(told)
