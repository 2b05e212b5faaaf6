"""Exercises of lesson 07b: an interval that resamples days, and the versions that a corrupt table has reached."""

import contextlib
import hashlib
import logging
import uuid
from collections.abc import Iterator

import mlflow
import numpy as np
import pandas as pd
from mlflow import MlflowClient

from course.exercise import also_right, checks, right, wrong
from course.stores import own_store

logging.getLogger("mlflow").setLevel(logging.WARNING)  # else it reports the making of tables on stderr
_made: list[str] = []  # names in the checks' own registry
_before: dict[str, MlflowClient] = {}  # a client made before the check began, as the notebook's `client` is


@contextlib.contextmanager
def _registry() -> Iterator[tuple[MlflowClient, str]]:
    """Yield a client of the checks' own store and a new experiment's id, and point MLflow back at the end.

    Names that `_named` registers inside are deleted at the end, or each check would read all those before it.
    """
    _before["client"] = MlflowClient()
    with own_store() as experiment_id:
        client = MlflowClient()
        try:
            yield client, experiment_id
        finally:
            while _made:
                client.delete_registered_model(_made.pop())


def _named(client: MlflowClient, versions: int) -> str:
    """Register a new name with so many versions, whose files don't matter here; return it."""
    name = f"trips-{uuid.uuid4().hex[:8]}"
    client.create_registered_model(name)
    _made.append(name)
    for _ in range(versions):
        client.create_model_version(name, source="file:///nowhere")
    return name


# --- interval_by_day --------------------------------------------------------------------------------------------------


@right
def interval_by_day(truth, champion, challenger, day, resamples=500):
    """Return the 95 % interval (low, high) of RMSE(challenger) − RMSE(champion), resampling whole days.

    All four are arrays of one length: true minutes, two models' answers, and the day of each trip. In each
    resample draw as many days as there are, with replacement, and take all trips of each drawn day, as often as
    it was drawn; both models are scored on these same trips. Use `np.random.default_rng(0)`.
    """
    rng = np.random.default_rng(0)
    rows = [np.flatnonzero(day == one) for one in np.unique(day)]
    differences = []
    for _ in range(resamples):
        drawn = rng.integers(0, len(rows), len(rows))
        sample = np.concatenate([rows[one] for one in drawn])
        errors = [np.sqrt(np.mean((truth[sample] - yhat[sample]) ** 2)) for yhat in (challenger, champion)]
        differences.append(errors[0] - errors[1])
    low, high = np.quantile(differences, [0.025, 0.975])
    return low, high


def _trips(spread_of_days=0.0, better=0.5, days=20, seed=1):
    """Return truth, champion, challenger, day: 50 trips a day, both models with nearly the same errors.

    On each day the challenger gains `better` minutes, give or take `spread_of_days`, the same for all its trips.
    """
    rng = np.random.default_rng(seed)
    day = np.repeat(np.arange(days), 50)
    truth = rng.uniform(5, 40, day.size)
    miss = rng.choice([-1, 1], day.size) * rng.uniform(3, 9, day.size)
    gain = better + rng.normal(0, 1, days)[day] * spread_of_days
    champion = truth + miss
    return truth, champion, truth + miss - np.sign(miss) * gain, day


def _interval(answer, *trips, **rest):
    """Return the two ends that the answer gives; their form is asserted."""
    ends = answer(*(part.copy() for part in trips), **rest)
    assert np.shape(ends) == (2,), (
        f"two numbers are asked for, low and high; you returned {type(ends).__name__}"
    )
    low, high = map(float, ends)
    assert np.isfinite([low, high]).all(), f"your interval is ({low}, {high})"
    assert low <= high, f"the low end, {low:.2f}, lies above the high end, {high:.2f}"
    return low, high


@checks(interval_by_day)
def lower_error_is_negative(answer):
    """Which sign has challenger minus champion when the challenger has the lower error? Return (low, high)."""
    low, high = _interval(answer, *_trips(better=1.0))
    assert high < 0, (
        f"the challenger misses each trip by a minute less, and your interval is ({low:.2f}, {high:.2f})"
    )


@checks(interval_by_day)
def both_are_scored_on_the_same_trips(answer):
    """A day of rain is hard for both models. When does it cancel in the difference, and when not?

    Draw once in each resample, and score both models on what was drawn.
    """
    low, high = _interval(answer, *_trips(better=0.5))
    assert high - low < 0.1, (
        f"the challenger gains half a minute on each and every trip, yet your interval is {high - low:.2f} wide"
    )


@checks(interval_by_day)
def days_are_drawn_not_trips(answer):
    """All trips of one day share its luck. How many independent things do you have: trips, or days?

    Collect the rows of each day, draw among the days, and take all rows of each drawn day.
    """
    low, high = _interval(answer, *_trips(spread_of_days=2.0, better=0.0))
    assert high - low > 1.0, (
        "the challenger gains or loses about two minutes by day, on 20 days; your interval is only "
        f"{high - low:.2f} wide, as if its thousand trips told a thousand different stories"
    )


@checks(interval_by_day)
def it_is_an_interval_of_95_percent(answer):
    """Which share of the resampled differences lies outside on each side? `np.quantile` takes such shares."""
    trips = _trips(spread_of_days=2.0, better=0.0)
    low, high = _interval(answer, *trips)
    wanted_low, wanted_high = interval_by_day(*trips)
    ratio = (high - low) / (wanted_high - wanted_low)
    assert 0.85 < ratio < 1.15, (
        f"your interval is {ratio:.2f} times as wide as one that holds 95 of 100 resamples"
    )


@checks(interval_by_day)
def busy_days_count_more(answer):
    """Is the mean of the days' errors the error of all trips, when days have different numbers of trips?

    Put the trips of the drawn days together (`np.concatenate`) and take one RMSE.
    """
    truth, champion, _, day = _trips()
    challenger = truth + (champion - truth) * np.where(day < 4, 0.5, 1.3)  # better on busy days only
    kept = np.random.default_rng(2).uniform(size=day.size) < np.where(day < 4, 1.0, 0.1)
    trips = [part[kept] for part in (truth, champion, challenger, day)]
    low, high = _interval(answer, *trips)
    wanted = interval_by_day(*trips)
    assert abs((low + high) / 2 - sum(wanted) / 2) < 0.3, (
        "with four busy days and sixteen quiet ones the middle of your interval is off by "
        f"{abs((low + high) / 2 - sum(wanted) / 2):.2f} minutes"
    )


def _by_day(truth, champion, challenger, day, score, resamples=500, level=0.95):
    """Resample days and return the quantiles of `score(sample)`."""
    rng = np.random.default_rng(0)
    rows = [np.flatnonzero(day == one) for one in np.unique(day)]
    drawn = [
        np.concatenate([rows[one] for one in rng.integers(0, len(rows), len(rows))]) for _ in range(resamples)
    ]
    return np.quantile([score(sample) for sample in drawn], [(1 - level) / 2, (1 + level) / 2])


def _rmse(truth, yhat):
    return np.sqrt(np.mean((truth - yhat) ** 2))


@also_right(interval_by_day)
def counts_how_often_each_day_is_drawn(truth, champion, challenger, day, resamples=500):
    names, code = np.unique(day, return_inverse=True)
    trips = np.bincount(code)
    squares = [np.bincount(code, (truth - yhat) ** 2) for yhat in (champion, challenger)]
    drawn = np.random.default_rng(0).multinomial(len(names), [1 / len(names)] * len(names), resamples)
    old, new = (np.sqrt(drawn @ one / (drawn @ trips)) for one in squares)
    return tuple(np.quantile(new - old, [0.025, 0.975]))


@also_right(interval_by_day)
def groups_and_samples_in_pandas(truth, champion, challenger, day, resamples=500):
    table = pd.DataFrame({"day": day, "old": (truth - champion) ** 2, "new": (truth - challenger) ** 2})
    by_day = table.groupby("day").agg(old=("old", "sum"), new=("new", "sum"), trips=("old", "size"))
    rng, differences = np.random.default_rng(0), []
    for _ in range(resamples):
        total = by_day.sample(frac=1, replace=True, random_state=rng).sum()
        differences.append((total["new"] / total["trips"]) ** 0.5 - (total["old"] / total["trips"]) ** 0.5)
    return np.percentile(differences, 2.5), np.percentile(differences, 97.5)


@wrong(interval_by_day, caught_by=lower_error_is_negative)
def subtracts_the_other_way(truth, champion, challenger, day, resamples=500):
    return interval_by_day(truth, challenger, champion, day, resamples)


@wrong(interval_by_day, caught_by=lower_error_is_negative)
def returns_all_the_differences(truth, champion, challenger, day, resamples=500):
    return [_rmse(truth, challenger) - _rmse(truth, champion)] * resamples


@wrong(interval_by_day, caught_by=both_are_scored_on_the_same_trips)
def draws_for_each_model_anew(truth, champion, challenger, day, resamples=500):
    rng = np.random.default_rng(0)
    rows = [np.flatnonzero(day == one) for one in np.unique(day)]

    def error(yhat):
        sample = np.concatenate([rows[one] for one in rng.integers(0, len(rows), len(rows))])
        return _rmse(truth[sample], yhat[sample])

    return np.quantile([error(challenger) - error(champion) for _ in range(resamples)], [0.025, 0.975])


@wrong(interval_by_day, caught_by=both_are_scored_on_the_same_trips)
def subtracts_the_ends_of_two_intervals(truth, champion, challenger, day, resamples=500):
    ends = [
        _by_day(truth, champion, challenger, day, lambda s, yhat=yhat: _rmse(truth[s], yhat[s]), resamples)
        for yhat in (challenger, champion)
    ]
    return ends[0][0] - ends[1][1], ends[0][1] - ends[1][0]


@wrong(interval_by_day, caught_by=days_are_drawn_not_trips)
def draws_trips(truth, champion, challenger, day, resamples=500):
    return interval_by_day(truth, champion, challenger, np.arange(len(truth)), resamples)


@wrong(interval_by_day, caught_by=it_is_an_interval_of_95_percent)
def takes_one_standard_deviation(truth, champion, challenger, day, resamples=500):
    def score(s):
        return _rmse(truth[s], challenger[s]) - _rmse(truth[s], champion[s])

    return _by_day(truth, champion, challenger, day, score, resamples, level=0.68)


@wrong(interval_by_day, caught_by=busy_days_count_more)
def averages_the_days(truth, champion, challenger, day, resamples=500):
    rng = np.random.default_rng(0)
    gains = [
        _rmse(truth[day == one], challenger[day == one]) - _rmse(truth[day == one], champion[day == one])
        for one in np.unique(day)
    ]
    means = [np.mean(rng.choice(gains, len(gains))) for _ in range(resamples)]
    return np.quantile(means, [0.025, 0.975])


# --- trained_on -------------------------------------------------------------------------------------------------------


@right
def trained_on(digest):
    """A data set turns out to be corrupt. Return every version in the registry that was trained on it.

    `digest` is the fingerprint of all its values, as `track` records it. A run keeps its data sets in
    `run.inputs.dataset_inputs`; the one with the tag `mlflow.data.context` of `training` counts, the one of
    `test` does not. Look at all names, not at one. Return a dict from (name, version number as int) to the
    list of that version's aliases, sorted. A version may name no run: its `run_id` is None.
    """
    client = MlflowClient()
    touched = {}
    for version in client.search_model_versions():
        if not version.run_id:
            continue
        for used in client.get_run(version.run_id).inputs.dataset_inputs:
            context = {tag.key: tag.value for tag in used.tags}.get("mlflow.data.context")
            if used.dataset.digest == digest and context == "training":
                aliases = client.get_model_version(version.name, version.version).aliases
                touched[version.name, int(version.version)] = sorted(aliases)
    return touched


_LONG = pd.DataFrame({"miles": np.arange(12_000.0)})


def _touched(answer):
    """Return (what the answer finds, what is right) in a registry with two names and three data sets."""
    with _registry() as (client, experiment_id):
        frames = {
            # One name and one table for MLflow's own digest: only the fingerprint of the bytes tells them apart.
            key: mlflow.data.from_pandas(
                _LONG, name="trips", digest=hashlib.sha256(key.encode()).hexdigest()[:32]
            )
            for key in ("july", "august", "october")
        }
        names = {"trips": _named(client, 0), "tips": _named(client, 0)}
        # name, trained on, tested on
        rows = [
            ("trips", "july", "october"), ("trips", "august", "july"), ("trips", None, None),
            ("trips", "july", "october"), ("tips", "july", "october"), ("tips", "august", "october"),
        ]  # fmt: skip
        for name, training, test in rows:
            run_id = None
            if training:
                with mlflow.start_run(experiment_id=experiment_id) as run:
                    mlflow.log_input(frames[test], context="test")
                    mlflow.log_input(frames[training], context="training")
                run_id = run.info.run_id
            client.create_model_version(names[name], source="file:///nowhere", run_id=run_id)
        for alias, version in {"previous": 1, "champion": 4, "shadow": 4}.items():
            client.set_registered_model_alias(names["trips"], alias, version)
        try:
            found = answer(frames["july"].digest)
        except TypeError as error:
            if "NoneType" not in str(error):
                raise
            raise AssertionError(
                f"version 3 of `trips` names no run (its run_id is None), and your function breaks off ({error})"
            ) from None
        wanted = {
            (names["trips"], 1): ["previous"],
            (names["trips"], 4): ["champion", "shadow"],
            (names["tips"], 1): [],
        }
    assert isinstance(found, dict), f"you returned a {type(found).__name__}; a dict is asked for"
    shown = {theirs: mine for mine, theirs in names.items()}
    readable = {(shown.get(key[0], key[0]), key[1]): value for key, value in found.items() if len(key) == 2}
    return {key: value for key, value in readable.items() if key[0] in names}, {
        (shown[name], version): aliases for (name, version), aliases in wanted.items()
    }


@checks(trained_on)
def finds_the_versions_of_one_name(answer):
    """A version does not know its data. Who does, and how do you get there from a version?

    `client.search_model_versions()` gives all versions; the run of one is `client.get_run(version.run_id)`,
    if it names a run.
    """
    found, _ = _touched(answer)
    assert {("trips", 1), ("trips", 4)} <= set(found), (
        f"the versions 1 and 4 of `trips` were trained on it; you found {sorted(found)}"
    )


@checks(trained_on)
def other_names_count_too(answer):
    """Which models may have been trained on a table that everybody could read? Ask without a filter by name."""
    found, _ = _touched(answer)
    assert ("tips", 1) in found, (
        f"version 1 of the model `tips` was trained on it too; you found {sorted(found)}"
    )


@checks(trained_on)
def tested_is_not_trained(answer):
    """Is a model damaged by a table that it was only tested on? Where does the run say which was which?

    Each data set of a run has tags; `mlflow.data.context` says `training` or `test`.
    """
    found, wanted = _touched(answer)
    extra = sorted(set(found) - set(wanted))
    assert not extra, f"{extra} was not trained on it; version 2 of `trips` was only tested on it"


@checks(trained_on)
def aliases_tell_who_answers_with_it(answer):
    """Which of these versions answer somebody today? What a search returns may come without its aliases.

    `client.get_model_version(name, version).aliases`, sorted.
    """
    found, wanted = _touched(answer)
    assert found == wanted, f"you returned {found}, right is {wanted}"


@also_right(trained_on)
def asks_for_the_runs_first(digest):
    client, found = MlflowClient(), {}
    runs = mlflow.search_runs(
        search_all_experiments=True, filter_string=f"dataset.digest = '{digest}'", output_format="list"
    )
    for run in runs:
        contexts = {
            tag.value for i in run.inputs.dataset_inputs if i.dataset.digest == digest for tag in i.tags
        }
        if "training" in contexts:
            for one in client.search_model_versions(f"run_id = '{run.info.run_id}'"):
                aliases = client.get_model_version(one.name, one.version).aliases
                found[one.name, int(one.version)] = sorted(aliases)
    return found


@also_right(trained_on)
def goes_by_name(digest):
    client, found = MlflowClient(), {}

    def ate(run_id):
        used = client.get_run(run_id).inputs.dataset_inputs if run_id else []
        contexts = [tag.value for one in used if one.dataset.digest == digest for tag in one.tags]
        return "training" in contexts

    for model in client.search_registered_models():
        for one in client.search_model_versions(f"name = '{model.name}'"):
            if ate(one.run_id):
                labels = [alias for alias, number in model.aliases.items() if int(number) == int(one.version)]
                found[model.name, int(one.version)] = sorted(labels)
    return found


@also_right(trained_on)
def asks_with_the_notebooks_client(digest):
    client = _before["client"]

    def was_trained_on_it(version):
        inputs = client.get_run(version.run_id).inputs.dataset_inputs if version.run_id else []
        return any(i.dataset.digest == digest and i.tags[0].value == "training" for i in inputs)

    return {
        (one.name, int(one.version)): sorted(client.get_model_version(one.name, one.version).aliases)
        for one in client.search_model_versions()
        if was_trained_on_it(one)
    }


@wrong(trained_on, caught_by=finds_the_versions_of_one_name)
def looks_at_the_latest_only(digest):
    client = MlflowClient()
    latest = {}
    for version in client.search_model_versions():
        latest[version.name] = max(latest.get(version.name, 0), int(version.version))
    return {key: aliases for key, aliases in trained_on(digest).items() if latest[key[0]] == key[1]}


@wrong(trained_on, caught_by=finds_the_versions_of_one_name)
def looks_at_the_first_data_set_only(digest):
    client = MlflowClient()
    touched = {}
    for version in client.search_model_versions():
        if version.run_id and client.get_run(version.run_id).inputs.dataset_inputs:
            used = client.get_run(version.run_id).inputs.dataset_inputs[0]
            if used.dataset.digest == digest and used.tags[0].value == "training":
                touched[version.name, int(version.version)] = sorted(version.aliases)
    return touched


@wrong(trained_on, caught_by=finds_the_versions_of_one_name)
def expects_a_run_behind_each_version(digest):
    client, touched = MlflowClient(), {}
    for version in client.search_model_versions():
        for used in client.get_run(version.run_id).inputs.dataset_inputs:
            if used.dataset.digest == digest and used.tags[0].value == "training":
                aliases = client.get_model_version(version.name, version.version).aliases
                touched[version.name, int(version.version)] = sorted(aliases)
    return touched


@wrong(trained_on, caught_by=other_names_count_too)
def looks_at_aliases_only(digest):
    return {key: aliases for key, aliases in trained_on(digest).items() if aliases}


@wrong(trained_on, caught_by=tested_is_not_trained)
def forgets_the_context(digest):
    client = MlflowClient()
    touched = {}
    for version in client.search_model_versions():
        if version.run_id:
            used = client.get_run(version.run_id).inputs.dataset_inputs
            if digest in [one.dataset.digest for one in used]:
                aliases = client.get_model_version(version.name, version.version).aliases
                touched[version.name, int(version.version)] = sorted(aliases)
    return touched


@wrong(trained_on, caught_by=tested_is_not_trained)
def trusts_a_filter_on_two_facts(digest):
    """Each condition may be met by another data set of the run."""
    client = MlflowClient()
    runs = mlflow.search_runs(
        search_all_experiments=True,
        filter_string=f"dataset.digest = '{digest}' and dataset.context = 'training'",
    )
    return {
        (one.name, int(one.version)): sorted(client.get_model_version(one.name, one.version).aliases)
        for run_id in runs["run_id"]
        for one in client.search_model_versions(f"run_id = '{run_id}'")
    }


@wrong(trained_on, caught_by=aliases_tell_who_answers_with_it)
def reports_no_aliases(digest):
    return dict.fromkeys(trained_on(digest), [])
