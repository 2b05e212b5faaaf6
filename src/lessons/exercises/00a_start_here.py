"""Exercises of lesson 00a: the metric of the course, and the stages of the lifecycle."""

import math

import numpy as np
from sklearn.metrics import root_mean_squared_error

from course.exercise import also_right, checks, right, wrong

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
    """How does the formula make one number out of many errors? Look at the sum, and at what is in front of it."""
    _number(answer, np.array([1.0, 2.0]), np.array([2.0, 4.0]))


@checks(rmse)
def a_perfect_prediction_has_none(answer):
    """When is a prediction perfect, and what is then left of `y` and `yhat`? The formula begins with their difference."""
    value = _number(answer, np.array([3.0, 5.0]), np.array([3.0, 5.0]))
    assert value == 0, f"for predictions that are all right you returned {value:g}"


@checks(rmse)
def errors_do_not_cancel(answer):
    """What happens to an error of +4 and one of -4 if you add them up? Do something to each error first."""
    value = _number(answer, np.array([10.0, 10.0]), np.array([14.0, 6.0]))
    assert value != 0, "one prediction is 4 too high and one 4 too low, and you returned 0"


@checks(rmse)
def does_not_grow_with_the_rows(answer):
    """What if every trip were in the data twice: is the model then any worse, or better? Divide by n, and look at what is under the root."""
    y, yhat = np.array([10.0, 12.0]), np.array([14.0, 8.0])
    once, twice = _number(answer, y, yhat), _number(answer, np.tile(y, 4), np.tile(yhat, 4))
    assert abs(once - twice) < 1e-9, (
        f"for two errors you returned {once:g}, for the same errors four times over {twice:g}; n belongs under the root"
    )


@checks(rmse)
def has_the_unit_of_the_target(answer):
    """In which unit is your result: minutes, or minutes squared?"""
    value = _number(answer, np.array([10.0, 10.0]), np.array([14.0, 6.0]))
    assert abs(value - 4) < 1e-9, f"both predictions are 4 minutes off, and you returned {value:g}"


@checks(rmse)
def large_errors_weigh_more(answer):
    """In which order do square, mean and root come? Without the squares you get another metric, the mean absolute error."""
    value = _number(answer, np.array([0.0, 0.0]), np.array([1.0, 7.0]))
    assert abs(value - 5) < 1e-9, (
        f"errors of 1 and 7 give the root of (1 + 49) / 2, which is 5; you returned {value:g}"
    )


@also_right(rmse)
def loops_over_the_pairs(y, yhat):
    total = 0.0
    for truth, guess in zip(y, yhat, strict=True):
        total += (truth - guess) ** 2
    return math.sqrt(total / len(y))


@also_right(rmse)
def asks_scikit_learn(y, yhat):
    return root_mean_squared_error(y, yhat)


@also_right(rmse)
def takes_the_length_of_a_vector(y, yhat):
    return np.linalg.norm(np.subtract(y, yhat)) / np.sqrt(np.size(y))


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


@wrong(rmse, caught_by=does_not_grow_with_the_rows)
def divides_after_the_root(y, yhat):
    return float(np.sqrt(np.sum((y - yhat) ** 2)) / len(y))


@wrong(rmse, caught_by=does_not_grow_with_the_rows)
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
    """What are the keys of your dictionary? The seven chores, copied letter by letter, spaces too; the stages are the values."""
    assert isinstance(answer, dict), f"stage_of is a {type(answer).__name__}; a dictionary is asked for"
    missing = [chore for chore in _CHORES if chore not in answer]
    found = len(_CHORES) - len(missing)
    assert not missing, (
        f"{missing[0]!r} is no key of your dictionary; {found} of the {len(_CHORES)} chores are"
    )


@checks(stage_of)
def names_the_seven_stages(answer):
    """Is every value one of the seven stages of the task, in lower case?"""
    unknown = sorted({str(stage) for stage in answer.values()} - _STAGES)
    assert not unknown, f"{unknown[0]!r} is none of the seven stages"


@checks(stage_of)
def preparation_comes_before_features(answer):
    """Which chore makes a new column for the model, which throws rows out, and which does neither but look?"""
    expected = {
        "drop rides of 24 hours": "data preparation",
        "plot the durations by hour": "exploratory analysis",
        "turn the pickup time into a weekday": "feature engineering",
    }
    off = [chore for chore, stage in expected.items() if answer[chore] != stage]
    assert not off, f"{off[0]!r} does not belong to {answer[off[0]]}"


@checks(stage_of)
def unseen_trips_judge(answer):
    """Which chore makes the model what it is, and which one only judges it? The depth is chosen before the last judgement."""
    verdict = answer["compare with the mean on unseen trips"]
    assert verdict == "validation", f"a comparison on unseen trips judges the model; that is not {verdict}"
    depth = answer["choose the depth of the trees"]
    assert depth in ("training", "validation"), f"the depth of the trees is no matter of {depth}"


@checks(stage_of)
def before_and_after_the_launch(answer):
    """Is a launch to a few riders a launch? And when do the arrivals of yesterday exist?"""
    launch = answer["let 5 % of the riders see the new model"]
    assert launch == "deployment", f"letting riders see the model is not {launch}"
    watch = answer["compare predictions with the arrivals of yesterday"]
    assert watch == "monitoring", f"yesterday's arrivals exist only in production; that is not {watch}"


def _but(**changes: str) -> dict[str, str]:
    keys = {"drop": 0, "plot": 1, "weekday": 2, "depth": 3, "unseen": 4, "launch": 5, "yesterday": 6}
    return _RIGHT | {_CHORES[keys[name]]: stage for name, stage in changes.items()}


@also_right(stage_of)
def chooses_the_depth_by_validation():
    return _but(depth="validation")


@also_right(stage_of)
def zips_two_lists():
    stages = (
        "data preparation,exploratory analysis,feature engineering,training,validation,deployment,monitoring"
    )
    return dict(zip(_CHORES, stages.split(","), strict=True))


@also_right(stage_of)
def adds_one_after_the_other():
    answer = {}
    for chore in reversed(_CHORES):
        answer[chore] = _RIGHT[chore]
    return answer


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


@wrong(stage_of, caught_by=unseen_trips_judge)
def calls_the_judgement_training():
    return _but(unseen="training")


@wrong(stage_of, caught_by=unseen_trips_judge)
def chooses_the_depth_when_engineering():
    return _but(depth="feature engineering")


@wrong(stage_of, caught_by=before_and_after_the_launch)
def calls_monitoring_validation():
    return _but(yesterday="validation")


@wrong(stage_of, caught_by=before_and_after_the_launch)
def calls_the_canary_monitoring():
    return _but(launch="monitoring")
