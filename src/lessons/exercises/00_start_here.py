"""Exercises of lesson 00: the metric of the course, the stages of the lifecycle, and the ladder of needs."""

import numpy as np

from course.exercise import checks, right, wrong

# --- rmse -------------------------------------------------------------------------------------------------------------


@right
def rmse(y, yhat):
    """Return the root mean squared error of the predictions `yhat` for the true values `y` as one number."""
    return float(np.sqrt(np.mean((np.asarray(y) - np.asarray(yhat)) ** 2)))


def _number(answer, y, yhat) -> float:
    value = answer(y, yhat)
    assert np.ndim(value) == 0 and isinstance(value, int | float | np.number), (
        f"you returned a {type(value).__name__}; one number is asked for"
    )
    return float(value)


@checks(rmse)
def returns_one_number(answer):
    """The sum in the formula makes one number out of all the errors: `np.mean`."""
    _number(answer, np.array([1.0, 2.0]), np.array([2.0, 4.0]))


@checks(rmse)
def a_perfect_prediction_has_none(answer):
    """The error is the difference between the two, not their sum or product."""
    value = _number(answer, np.array([3.0, 5.0]), np.array([3.0, 5.0]))
    assert value == 0, f"for predictions that are all right you returned {value:g}"


@checks(rmse)
def errors_do_not_cancel(answer):
    """An error of +4 and one of -4 are two errors. Square each before you take the mean."""
    value = _number(answer, np.array([10.0, 10.0]), np.array([14.0, 6.0]))
    assert value != 0, "one prediction is 4 too high and one 4 too low, and you returned 0"


@checks(rmse)
def has_the_unit_of_the_target(answer):
    """Squared minutes are nobody's unit: take the root at the end."""
    value = _number(answer, np.array([10.0, 10.0]), np.array([14.0, 6.0]))
    assert abs(value - 4) < 1e-9, f"both predictions are 4 minutes off, and you returned {value:g}"


@checks(rmse)
def large_errors_weigh_more(answer):
    """Root of the mean of the squares, in this order. Without the squares it is another metric, the mean absolute error."""
    value = _number(answer, np.array([0.0, 0.0]), np.array([1.0, 7.0]))
    assert abs(value - 5) < 1e-9, (
        f"errors of 1 and 7 give the root of (1 + 49) / 2, which is 5; you returned {value:g}"
    )


@wrong(rmse, caught_by=returns_one_number)
def returns_every_error(y, yhat):
    return np.abs(y - yhat)


@wrong(rmse, caught_by=a_perfect_prediction_has_none)
def adds_instead_of_subtracting(y, yhat):
    return float(np.sqrt(np.mean((y + yhat) ** 2)))


@wrong(rmse, caught_by=errors_do_not_cancel)
def takes_the_mean_error(y, yhat):
    return float(np.mean(y - yhat))


@wrong(rmse, caught_by=has_the_unit_of_the_target)
def forgets_the_root(y, yhat):
    return float(np.mean((y - yhat) ** 2))


@wrong(rmse, caught_by=has_the_unit_of_the_target)
def takes_the_sum(y, yhat):
    return float(np.sqrt(np.sum((y - yhat) ** 2)))


@wrong(rmse, caught_by=large_errors_weigh_more)
def takes_the_absolute_error(y, yhat):
    return float(np.mean(np.abs(y - yhat)))


# --- stage_of ---------------------------------------------------------------------------------------------------------


@right(value=True)
def stage_of():
    """Bind `stage_of` to a dictionary from chore to stage. The chores:
    "drop rides of 24 hours", "plot the durations by hour",
    "turn the pickup time into a weekday", "choose the depth of the trees",
    "compare with the mean on unseen trips", "let 5 % of the riders see the new model",
    "compare predictions with the arrivals of yesterday".
    The stages: "data preparation", "exploratory analysis", "feature engineering",
    "training", "validation", "deployment", "monitoring"."""
    answer = {
        "drop rides of 24 hours": "data preparation",
        "plot the durations by hour": "exploratory analysis",
        "turn the pickup time into a weekday": "feature engineering",
        "choose the depth of the trees": "training",
        "compare with the mean on unseen trips": "validation",
        "let 5 % of the riders see the new model": "deployment",
        "compare predictions with the arrivals of yesterday": "monitoring",
    }
    return answer


_RIGHT = stage_of()
_CHORES, _STAGES = tuple(_RIGHT), set(_RIGHT.values())


@checks(stage_of)
def is_a_dictionary_of_all_chores(answer):
    """`{"drop rides of 24 hours": "…", …}`: the seven chores are the keys, copied letter by letter."""
    assert isinstance(answer, dict), f"stage_of is a {type(answer).__name__}; a dictionary is asked for"
    missing = [chore for chore in _CHORES if chore not in answer]
    assert not missing, f"{len(missing)} chores are missing, the first is {missing[0]!r}"


@checks(stage_of)
def names_the_seven_stages(answer):
    """Only the seven stages of the list count, in lower case."""
    unknown = sorted({str(stage) for stage in answer.values()} - _STAGES)
    assert not unknown, f"{unknown[0]!r} is none of the seven stages"


@checks(stage_of)
def preparation_comes_before_features(answer):
    """Throwing out what can't be true makes no new column; a weekday does. Looking at a plot makes neither."""
    expected = {
        "drop rides of 24 hours": "data preparation",
        "plot the durations by hour": "exploratory analysis",
        "turn the pickup time into a weekday": "feature engineering",
    }
    off = [chore for chore, stage in expected.items() if answer[chore] != stage]
    assert not off, f"{off[0]!r} does not belong to {answer[off[0]]}"


@checks(stage_of)
def choosing_is_not_validating(answer):
    """Whatever chooses a setting is part of training, even when it measures something. Validation only judges."""
    assert answer["choose the depth of the trees"] == "training", (
        "choosing the depth makes the model what it is"
    )
    assert answer["compare with the mean on unseen trips"] == "validation", (
        "a comparison on unseen trips is a judgement"
    )


@checks(stage_of)
def before_and_after_the_launch(answer):
    """A launch to a few riders is still the launch. What compares with yesterday's truth comes after it, every day."""
    launch = answer["let 5 % of the riders see the new model"]
    assert launch == "deployment", f"letting riders see the model is not {launch}"
    watch = answer["compare predictions with the arrivals of yesterday"]
    assert watch == "monitoring", f"yesterday's arrivals exist only in production; that is not {watch}"


def _but(**changes: str) -> dict[str, str]:
    keys = {"drop": 0, "plot": 1, "weekday": 2, "depth": 3, "unseen": 4, "launch": 5, "yesterday": 6}
    return _RIGHT | {_CHORES[keys[name]]: stage for name, stage in changes.items()}


@wrong(stage_of, caught_by=is_a_dictionary_of_all_chores)
def lists_the_stages():
    return list(_STAGES)


@wrong(stage_of, caught_by=is_a_dictionary_of_all_chores)
def leaves_one_out():
    return {chore: stage for chore, stage in _but().items() if stage != "deployment"}


@wrong(stage_of, caught_by=names_the_seven_stages)
def invents_a_stage():
    return _but(depth="tuning")


@wrong(stage_of, caught_by=preparation_comes_before_features)
def calls_cleaning_a_feature():
    return _but(drop="feature engineering")


@wrong(stage_of, caught_by=choosing_is_not_validating)
def calls_tuning_validation():
    return _but(depth="validation")


@wrong(stage_of, caught_by=before_and_after_the_launch)
def calls_monitoring_validation():
    return _but(yesterday="validation")


@wrong(stage_of, caught_by=before_and_after_the_launch)
def calls_the_canary_monitoring():
    return _but(launch="monitoring")


# --- next_need --------------------------------------------------------------------------------------------------------

_NEEDS = ["collect", "store", "clean", "label", "baseline", "learn"]


@right
def next_need(needs, met):
    """Return the lowest of `needs` (a list, lowest first) that is not in `met` (a set),
    or "ready" when all are met. What is met above a gap does not count."""
    for need in needs:
        if need not in met:
            return need
    return "ready"


@checks(next_need)
def returns_a_name(answer):
    """`return need`, inside the loop: the name of the need, not its number, and not a list of all that are missing."""
    need = answer(list(_NEEDS), {"collect"})
    assert isinstance(need, str), f"you returned a {type(need).__name__}; the name of one need is asked for"


@checks(next_need)
def starts_at_the_bottom(answer):
    """Go through `needs` in their order. A set has no order, and the alphabet is none."""
    need = answer(list(_NEEDS), set())
    assert need == "collect", f"with nothing met the next need is 'collect', not {need!r}"
    need = answer(list(_NEEDS), {"collect", "store"})
    assert need == "clean", f"with 'collect' and 'store' met the next need is 'clean', not {need!r}"


@checks(next_need)
def a_gap_counts(answer):
    """A team may own a model and no storage. Look for the first need that is missing, not for the last that is met."""
    need = answer(list(_NEEDS), {"collect", "label", "learn"})
    assert need == "store", f"'collect', 'label' and 'learn' are met; the lowest gap is 'store', not {need!r}"


@checks(next_need)
def everything_met_is_ready(answer):
    """After the loop nothing is missing: return "ready"."""
    need = answer(list(_NEEDS), set(_NEEDS))
    assert need == "ready", f"with every need met you returned {need!r}"


@checks(next_need)
def works_for_another_ladder(answer):
    """Use the list that is passed in; the needs of another project have other names."""
    need = answer(["permit", "budget"], {"permit"})
    assert need == "budget", f"for the needs permit and budget, with permit met, you returned {need!r}"


@wrong(next_need, caught_by=returns_a_name)
def returns_all_that_is_missing(needs, met):
    return [need for need in needs if need not in met]


@wrong(next_need, caught_by=returns_a_name)
def returns_the_number(needs, met):
    return len([need for need in needs if need in met])


@wrong(next_need, caught_by=starts_at_the_bottom)
def starts_at_the_top(needs, met):
    return next((need for need in reversed(needs) if need not in met), "ready")


@wrong(next_need, caught_by=starts_at_the_bottom)
def goes_by_the_alphabet(needs, met):
    missing = sorted(set(needs) - met)
    return missing[0] if missing else "ready"


@wrong(next_need, caught_by=a_gap_counts)
def counts_what_is_met(needs, met):
    done = len([need for need in needs if need in met])
    return needs[done] if done < len(needs) else "ready"


@wrong(next_need, caught_by=a_gap_counts)
def looks_above_the_highest(needs, met):
    highest = max((needs.index(need) for need in met), default=-1)
    return needs[highest + 1] if highest + 1 < len(needs) else "ready"


@wrong(next_need, caught_by=everything_met_is_ready)
def returns_the_last_need(needs, met):
    for need in needs:
        if need not in met:
            return need
    return needs[-1]


@wrong(next_need, caught_by=works_for_another_ladder)
def writes_the_ladder_down(needs, met):
    for need in ("collect", "store", "clean", "label", "baseline", "learn"):
        if need not in met:
            return need
    return "ready"
