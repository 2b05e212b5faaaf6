"""Exercises of lesson 02b: votes weighed by their rates, and labels that confident learning suspects."""

import numpy as np
import pandas as pd

from course.exercise import also_right, checks, right, wrong

# --- combine_votes ------------------------------------------------------------------------------------------------------------


@right
def combine_votes(votes, flat, other, share):
    """Return the probability that each trip is flat, one number a row of `votes`.

    `votes` has a column for each function, with the words 1 (yes), 0 (no) and -1 (silent). `flat` and `other` have
    the same columns and a row for each word: how often the function says it on flat trips, and on the others. The
    functions are independent within a class; `share` of all trips is flat. There may be hundreds of functions.
    """
    odds = np.full(len(votes), np.log(share / (1 - share)))
    for name in votes:
        odds += votes[name].map(np.log(flat[name] / other[name])).to_numpy()
    return 1 / (1 + np.exp(-odds))


_WORDS = [1, 0, -1]


def _rates(**functions):
    return pd.DataFrame(functions, _WORDS)


def _weighed(answer, votes, flat, other, share):
    votes = pd.DataFrame(votes, index=range(100, 100 + len(next(iter(votes.values())))))
    found = answer(votes, flat, other, share)
    fits = isinstance(found, (np.ndarray, pd.Series, list)) and np.shape(found) == (len(votes),)
    assert fits, f"return one probability for each of the {len(votes)} trips; you returned {found!r:.80}"
    found = np.asarray(found, float)
    assert np.isfinite(found).all(), (
        "a trip's answer is NaN or infinite; are products too large or too small?"
    )
    return found


_FLAT, _OTHER = (
    _rates(far=[0.8, 0.1, 0.1], queens=[0.9, 0.0625, 0.0375]),
    _rates(far=[0.1, 0.8, 0.1], queens=[0.3, 0.5, 0.2]),
)


@checks(combine_votes)
def one_vote_is_bayes(answer):
    """What does Bayes' rule say of one function? Flat trips times their rate, over all trips that get this vote."""
    (found,) = _weighed(answer, {"far": [1]}, _FLAT[["far"]], _OTHER[["far"]], 0.5)
    assert abs(found - 8 / 9) < 1e-6, (
        f"half of the trips are flat, yes is said on 0.8 of them and on 0.1 of the others: 8/9; you return {found:.3f}"
    )


@checks(combine_votes)
def a_rare_class_needs_more(answer):
    """How sure are you before anybody votes? Where does the share of flat trips enter?"""
    (found,) = _weighed(answer, {"far": [1]}, _FLAT[["far"]], _OTHER[["far"]], 0.02)
    assert abs(found - 8 / 57) < 1e-6, (
        f"with 2 flat trips in 100, the same yes leaves 8/57 = 0.140; you return {found:.3f}"
    )


@checks(combine_votes)
def a_no_speaks_for_the_others(answer):
    """On which class is this word said more often? A no has rates of its own."""
    (found,) = _weighed(answer, {"far": [0]}, _FLAT[["far"]], _OTHER[["far"]], 0.5)
    assert abs(found - 1 / 9) < 1e-6, f"no: 0.1 on flat trips, 0.8 on others: 1/9; you return {found:.3f}"


@checks(combine_votes)
def votes_multiply(answer):
    """What does independence allow you to do with two rates of one class? Averages count differently."""
    (found,) = _weighed(answer, {"far": [1], "queens": [1]}, _FLAT, _OTHER, 0.5)
    assert abs(found - 24 / 25) < 1e-6, (
        f"two yes: the odds 8 and 3 make 24 to 1, so 0.960; you return {found:.3f}"
    )


@checks(combine_votes)
def silence_is_a_word(answer):
    """Does a function say as much by silence on both classes? Look at the row -1 of the rates."""
    (found,) = _weighed(answer, {"queens": [-1]}, _FLAT[["queens"]], _OTHER[["queens"]], 0.5)
    assert abs(found - 3 / 19) < 1e-6, (
        f"silent on 0.0375 of the flat trips and on 0.2 of the others: 3/19 = 0.158; you return {found:.3f}"
    )


@checks(combine_votes)
def many_votes_stay_numbers(answer):
    """What becomes of a product of two thousand rates, or of odds that are multiplied by 8 four hundred times?

    Sum logarithms, and turn the sum into a probability by 1 / (1 + exp(-sum)).
    """
    flat = _rates(**{f"f{n}": [0.31, 0.39, 0.3] for n in range(2_000)})
    other = _rates(**{f"f{n}": [0.3, 0.4, 0.3] for n in range(2_000)})
    votes = {name: [n % 2, -1] for n, name in enumerate(flat)}
    found = _weighed(answer, votes, flat, other, 0.3)
    odds = 3 / 7 * (0.31 / 0.3 * 0.39 / 0.4) ** 1_000
    assert abs(found[0] - odds / (1 + odds)) < 1e-6, (
        f"two thousand votes leave {odds / (1 + odds):.4f}; you return {found[0]:.4f}"
    )
    assert abs(found[1] - 0.3) < 1e-6, f"two thousand silences tell nothing: 0.3; you return {found[1]:.4f}"
    flat = pd.DataFrame(dict.fromkeys(list(votes)[:400], _FLAT["far"]))
    other = pd.DataFrame(dict.fromkeys(flat, _OTHER["far"]))
    (found,) = _weighed(answer, {name: [1] for name in flat}, flat, other, 0.3)
    assert abs(found - 1) < 1e-6, (
        f"four hundred yes, each 8 to 1, leave no doubt: 1.0; you return {found:.4f}"
    )


@checks(combine_votes)
def functions_go_by_their_names(answer):
    """Are the columns in the same order everywhere? Take a function's rates by its name."""
    (found,) = _weighed(answer, {"queens": [1], "far": [0]}, _FLAT, _OTHER, 0.5)
    assert abs(found - 3 / 11) < 1e-6, (
        f"queens says yes (3 to 1), far says no (1 to 8): 3/11 = 0.273; you return {found:.3f}"
    )


def _odds(votes, flat, other, skip=None):
    told = np.log(flat / other)
    if skip is not None:
        told.loc[skip] = 0.0
    return sum((votes[name].map(told[name]).to_numpy() for name in votes), np.zeros(len(votes)))


@wrong(combine_votes, caught_by=a_rare_class_needs_more)
def forgets_the_share(votes, flat, other, share):
    return 1 / (1 + np.exp(-_odds(votes, flat, other)))


@wrong(combine_votes, caught_by=silence_is_a_word)
def skips_silence(votes, flat, other, share):
    return 1 / (1 + np.exp(-_odds(votes, flat, other, skip=-1) - np.log(share / (1 - share))))


@wrong(combine_votes, caught_by=one_vote_is_bayes)
def returns_the_odds(votes, flat, other, share):
    return np.exp(_odds(votes, flat, other)) * share / (1 - share)


@wrong(combine_votes, caught_by=one_vote_is_bayes)
def looks_at_flat_trips_only(votes, flat, other, share):
    rates = np.prod([votes[name].map(flat[name]).to_numpy() for name in votes], axis=0)
    return share * rates


@wrong(combine_votes, caught_by=votes_multiply)
def averages_the_functions(votes, flat, other, share):
    each = [
        1 / (1 + np.exp(-_odds(votes[[name]], flat, other) - np.log(share / (1 - share)))) for name in votes
    ]
    return np.mean(each, axis=0)


@wrong(combine_votes, caught_by=votes_multiply)
def counts_the_share_for_each_vote(votes, flat, other, share):
    return 1 / (1 + np.exp(-_odds(votes, flat, other) / votes.shape[1] - np.log(share / (1 - share))))


@wrong(combine_votes, caught_by=many_votes_stay_numbers)
def multiplies_rates(votes, flat, other, share):
    with np.errstate(all="ignore"):
        a = share * np.prod([votes[name].map(flat[name]).to_numpy() for name in votes], axis=0)
        b = (1 - share) * np.prod([votes[name].map(other[name]).to_numpy() for name in votes], axis=0)
        return a / (a + b)


@wrong(combine_votes, caught_by=many_votes_stay_numbers)
def multiplies_odds(votes, flat, other, share):
    with np.errstate(all="ignore"):
        odds = np.full(len(votes), share / (1 - share))
        for name in votes:
            odds *= votes[name].map(flat[name] / other[name]).to_numpy()
        return odds / (1 + odds)


@wrong(combine_votes, caught_by=functions_go_by_their_names)
def goes_by_position(votes, flat, other, share):
    return combine_votes(votes.set_axis(list(flat)[: votes.shape[1]], axis=1), flat, other, share)


@wrong(combine_votes, caught_by=a_no_speaks_for_the_others)
def takes_a_no_for_the_rest_of_yes(votes, flat, other, share):
    flat, other = flat.copy(), other.copy()
    for rates in (flat, other):
        rates.loc[0] = 1 - rates.loc[1]
    return combine_votes(votes, flat, other, share)


@also_right(combine_votes)
def with_one_hot_matrices(votes, flat, other, share):
    total = np.zeros(len(votes))
    for word in flat.index:
        total += (votes == word).to_numpy() @ np.log(
            flat.loc[word, votes.columns] / other.loc[word, votes.columns]
        )
    return share / (share + (1 - share) * np.exp(-total))


@also_right(combine_votes)
def in_plain_python(votes, flat, other, share):
    from math import exp, log

    answers = []
    for _, row in votes.iterrows():
        yes = log(share) + sum(log(flat.at[word, name]) for name, word in row.items())
        no = log(1 - share) + sum(log(other.at[word, name]) for name, word in row.items())
        top = max(yes, no)
        answers.append(exp(yes - top) / (exp(yes - top) + exp(no - top)))
    return answers


# --- label_suspects ---------------------------------------------------------------------------------------------------------


@right
def label_suspects(labels, probabilities):
    """Return the positions of the suspect labels, the likeliest error first.

    `labels` are 0 and 1; `probabilities` has a row for each label and a column for each class, from models that never
    saw the row. The threshold of a class is the mean probability of it among the rows that carry its label. A label
    is suspect if the OTHER class reaches its threshold and is more probable than the label's own class. Sort by the
    probability of the label itself, lowest first.
    """
    labels, rows = np.asarray(labels), np.arange(len(labels))
    thresholds = np.array([probabilities[labels == c, c].mean() for c in (0, 1)])
    own, other = probabilities[rows, labels], probabilities[rows, 1 - labels]
    suspect = np.flatnonzero((other >= thresholds[1 - labels]) & (other > own))
    return suspect[np.argsort(own[suspect], kind="stable")]


def _two(yes):
    yes = np.asarray(yes, float)
    return np.column_stack([1 - yes, yes])


def _suspects(answer, labels, yes):
    found = answer(np.array(labels), _two(yes))
    fits = isinstance(found, (np.ndarray, pd.Index, pd.Series, list)) and np.ndim(found) == 1
    assert fits, f"return the positions as an array or a list; you returned a {type(found).__name__}"
    assert not any(isinstance(one, (bool, np.bool_)) for one in found), (
        "return positions, and not a yes or no for each row"
    )
    return [int(one) for one in found]


@checks(label_suspects)
def a_sure_contradiction_is_suspect(answer):
    """Where is the model as sure of the other class as it usually is of that class's own rows?"""
    found = _suspects(answer, [0, 0, 0, 0, 1, 1, 1], [0.02, 0.04, 0.03, 0.97, 0.9, 0.95, 0.92])
    assert found == [3], (
        f"row 3 is labelled 0, and the model gives class 1 0.97, more than to the rows of class 1; you return {found}"
    )


@checks(label_suspects)
def each_class_has_its_threshold(answer):
    """Is a half sure enough in both classes? Take the mean of the rows with that label as the threshold."""
    found = _suspects(answer, [0] * 6 + [1] * 4, [0.01, 0.02, 0.01, 0.03, 0.7, 0.02, 0.95, 0.97, 0.9, 0.98])
    assert found == [], f"row 4 gets 0.7 for class 1, whose own rows get 0.95 on average; you return {found}"


@checks(label_suspects)
def a_hard_class_has_a_low_threshold(answer):
    """How probable is class 1 to its own rows, when the model knows it badly? The bar moves with the class."""
    found = _suspects(answer, [0] * 6 + [1] * 3, [0.02, 0.01, 0.65, 0.03, 0.02, 0.01, 0.6, 0.55, 0.62])
    assert found == [2], (
        f"the rows of class 1 get 0.59 on average, and row 2, labelled 0, gets 0.65; you return {found}"
    )


@checks(label_suspects)
def the_label_must_lose(answer):
    """Can the other class reach its threshold while the label is still the more probable one?"""
    found = _suspects(answer, [0] * 5 + [1] * 3, [0.1, 0.45, 0.05, 0.1, 0.05, 0.4, 0.3, 0.5])
    assert found == [], (
        f"row 1 gets 0.45 for class 1, above the mean 0.40, but 0.55 for its own label; you return {found}"
    )


@checks(label_suspects)
def both_directions_count(answer):
    """Can a label 1 be wrong as well? Each label has another class."""
    found = _suspects(answer, [0, 0, 0, 0, 1, 1, 1, 1], [0.1, 0.2, 0.15, 0.1, 0.9, 0.02, 0.8, 0.85])
    assert found == [5], f"row 5 is labelled 1, and class 0 gets 0.98; you return {found}"


@checks(label_suspects)
def the_likeliest_comes_first(answer):
    """Which one does a person look at first? Sort by the probability of the label."""
    found = _suspects(
        answer, [0, 0, 0, 0, 0, 1, 1, 1, 1], [0.9, 0.02, 0.97, 0.05, 0.94, 0.85, 0.9, 0.8, 0.01]
    )
    assert found == [8, 2, 4, 0], f"their labels have 0.01, 0.03, 0.06 and 0.10; you return {found}"


def _parts(labels, probabilities):
    labels = np.asarray(labels)
    thresholds = np.array([probabilities[labels == c, c].mean() for c in (0, 1)])
    rows = np.arange(len(labels))
    return labels, thresholds, probabilities[rows, labels], probabilities[rows, 1 - labels]


def _sorted(chosen, own):
    found = np.flatnonzero(chosen)
    return found[np.argsort(own[found], kind="stable")]


@wrong(label_suspects, caught_by=each_class_has_its_threshold)
def takes_a_half(labels, probabilities):
    _, _, own, other = _parts(labels, probabilities)
    return _sorted(other > own, own)


@wrong(label_suspects, caught_by=a_hard_class_has_a_low_threshold)
def asks_for_nine_tenths(labels, probabilities):
    _, _, own, other = _parts(labels, probabilities)
    return _sorted(other > 0.9, own)


@wrong(label_suspects, caught_by=the_label_must_lose)
def forgets_the_label(labels, probabilities):
    labels, thresholds, own, other = _parts(labels, probabilities)
    return _sorted(other >= thresholds[1 - labels], own)


@wrong(label_suspects, caught_by=each_class_has_its_threshold)
def takes_the_threshold_over_all_rows(labels, probabilities):
    labels, _, own, other = _parts(labels, probabilities)
    return _sorted((own < probabilities.mean(axis=0)[labels]) & (other > 0.01), own)


@wrong(label_suspects, caught_by=both_directions_count)
def looks_at_zeros_only(labels, probabilities):
    labels, thresholds, own, other = _parts(labels, probabilities)
    return _sorted((other >= thresholds[1 - labels]) & (other > own) & (labels == 0), own)


@wrong(label_suspects, caught_by=a_sure_contradiction_is_suspect)
def returns_a_mask(labels, probabilities):
    labels, thresholds, own, other = _parts(labels, probabilities)
    return (other >= thresholds[1 - labels]) & (other > own)


@wrong(label_suspects, caught_by=the_likeliest_comes_first)
def leaves_them_as_they_come(labels, probabilities):
    labels, thresholds, own, other = _parts(labels, probabilities)
    return np.flatnonzero((other >= thresholds[1 - labels]) & (other > own))


@wrong(label_suspects, caught_by=the_likeliest_comes_first)
def puts_the_surest_label_first(labels, probabilities):
    labels, thresholds, own, other = _parts(labels, probabilities)
    return _sorted((other >= thresholds[1 - labels]) & (other > own), -own)


@also_right(label_suspects)
def with_pandas(labels, probabilities):
    table = pd.DataFrame(probabilities).assign(label=labels)
    thresholds = {c: table.loc[table["label"] == c, c].mean() for c in (0, 1)}
    told = 1 - table["label"]
    table["other"] = table[1].where(told == 1, table[0])
    table["own"] = table[0].where(told == 1, table[1])
    found = table[(table["other"] >= told.map(thresholds)) & (table["other"] > table["own"])]
    return found.sort_values("own", kind="stable").index


@also_right(label_suspects)
def row_by_row(labels, probabilities):
    members = {
        c: [p[c] for p, label in zip(probabilities, labels, strict=True) if label == c] for c in (0, 1)
    }
    threshold = {c: sum(p) / len(p) for c, p in members.items()}
    found = []
    for place, (p, label) in enumerate(zip(probabilities, labels, strict=True)):
        other = 1 - label
        if p[other] >= threshold[other] and p[other] > p[label]:
            found.append((p[label], place))
    return [place for _, place in sorted(found)]
