"""Exercises of lesson 07: an interval that resamples days, a promotion that can say no, two questions to a registry."""

import contextlib
import logging
import uuid
from collections.abc import Iterator

import mlflow
import numpy as np
import pandas as pd
from mlflow import MlflowClient

from course.exercise import checks, right, wrong
from course.stores import own_store

logging.getLogger("mlflow").setLevel(logging.WARNING)  # else it reports the making of tables on stderr
_made: list[str] = []  # names in the checks' own registry


@contextlib.contextmanager
def _registry() -> Iterator[tuple[MlflowClient, str]]:
    """Yield a client of the checks' own store and a new experiment's id, and point MLflow back at the end.

    Names that `_named` registers inside are deleted at the end, or each check would read all those before it.
    """
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
    """The difference is challenger minus champion, so a better challenger has a negative one. Return (low, high)."""
    low, high = _interval(answer, *_trips(better=1.0))
    assert high < 0, (
        f"the challenger misses each trip by a minute less, and your interval is ({low:.2f}, {high:.2f})"
    )


@checks(interval_by_day)
def both_are_scored_on_the_same_trips(answer):
    """Draw once in each resample, and score both models on what was drawn. Two draws add the trips' own spread."""
    low, high = _interval(answer, *_trips(better=0.5))
    assert high - low < 0.1, (
        f"the challenger gains half a minute on each and every trip, yet your interval is {high - low:.2f} wide"
    )


@checks(interval_by_day)
def days_are_drawn_not_trips(answer):
    """`rows = [np.flatnonzero(day == one) for one in np.unique(day)]`, then draw among these, not among trips."""
    low, high = _interval(answer, *_trips(spread_of_days=2.0, better=0.0))
    assert high - low > 1.0, (
        "the challenger gains or loses about two minutes by day, on 20 days; your interval is only "
        f"{high - low:.2f} wide, as if its thousand trips told a thousand different stories"
    )


@checks(interval_by_day)
def it_is_an_interval_of_95_percent(answer):
    """`np.quantile(differences, [0.025, 0.975])` of the resampled differences themselves."""
    trips = _trips(spread_of_days=2.0, better=0.0)
    low, high = _interval(answer, *trips)
    wanted_low, wanted_high = interval_by_day(*trips)
    ratio = (high - low) / (wanted_high - wanted_low)
    assert 0.85 < ratio < 1.15, (
        f"your interval is {ratio:.2f} times as wide as one that holds 95 of 100 resamples"
    )


@checks(interval_by_day)
def busy_days_count_more(answer):
    """Put the drawn days' trips together with `np.concatenate` and take one RMSE; don't average the days' RMSEs."""
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


# --- promote ----------------------------------------------------------------------------------------------------------


@right
def promote(name, version, interval):
    """Make `version` of the model `name` the champion if its interval allows it; return True or False.

    `interval` is (low, high) of the challenger's error minus the champion's. Promote only if the whole interval
    lies below zero; else leave the registry as it is. Before the alias `champion` moves, the alias `previous` is
    set to the version that it leaves, so that anyone can roll back. A name without a champion gets its first one
    whatever the interval. Promoting the champion itself changes nothing and returns True.
    """
    client = MlflowClient()
    champion = client.get_registered_model(name).aliases.get("champion")
    if champion is not None:
        if int(champion) == int(version):
            return True
        if interval[1] >= 0:
            return False
        client.set_registered_model_alias(name, "previous", champion)
    client.set_registered_model_alias(name, "champion", version)
    return True


def _aliases(answer, steps, start=None):
    """Return (answers, aliases) after these steps of (version, interval) on a name with four versions."""
    with _registry() as (client, _):
        name = _named(client, 4)
        for alias, version in (start or {}).items():
            client.set_registered_model_alias(name, alias, version)
        answers = [answer(name, version, interval) for version, interval in steps]
        aliases = {
            alias: int(version) for alias, version in client.get_registered_model(name).aliases.items()
        }
        assert len(client.search_model_versions(f"name = '{name}'")) == 4, (
            "a version is gone; nothing is deleted"
        )
        return answers, aliases


@checks(promote)
def better_challenger_becomes_champion(answer):
    """`client.set_registered_model_alias(name, "champion", version)`, and return True."""
    answers, aliases = _aliases(answer, [("2", (-0.09, -0.03))], {"champion": "1"})
    assert aliases.get("champion") == 2, f"version 2 is better for certain, and the aliases are {aliases}"
    assert answers == [True], f"you promoted version 2 and returned {answers[0]!r}"


@checks(promote)
def interval_with_zero_is_refused(answer):
    """The whole interval has to lie below zero, so look at its high end, not at its middle."""
    answers, aliases = _aliases(answer, [("2", (-0.03, 0.01))], {"champion": "1"})
    assert aliases == {"champion": 1}, (
        f"the interval (−0.03, 0.01) holds zero, and now the aliases are {aliases}"
    )
    assert answers == [False], f"you refused and returned {answers[0]!r}; return False"


@checks(promote)
def worse_challenger_is_refused(answer):
    """An interval above zero excludes zero too: the challenger is worse for certain."""
    answers, aliases = _aliases(answer, [("2", (0.02, 0.08))], {"champion": "1"})
    assert (answers, aliases) == ([False], {"champion": 1}), (
        f"the interval (0.02, 0.08) says that version 2 is worse; you returned {answers[0]!r}, aliases {aliases}"
    )


@checks(promote)
def previous_champion_is_remembered(answer):
    """Read who is champion first, set `previous` to it, and only then move `champion`."""
    _, aliases = _aliases(answer, [("2", (-0.09, -0.03)), ("4", (-0.05, -0.01))], {"champion": "1"})
    assert aliases == {"champion": 4, "previous": 2}, (
        f"after 1, 2 and 4 were champion the aliases are {aliases}"
    )


@checks(promote)
def first_champion_needs_no_interval(answer):
    """`client.get_registered_model(name).aliases.get("champion")` is None where there is no champion yet."""
    answers, aliases = _aliases(answer, [("3", (-1.0, 1.0))])
    assert (answers, aliases) == ([True], {"champion": 3}), (
        f"a name without champion: you returned {answers[0]!r}, and the aliases are {aliases}"
    )


@checks(promote)
def promoting_twice_keeps_the_way_back(answer):
    """Somebody runs the cell twice. Compare as numbers: a server gives versions as text, SQLite as int."""
    steps = [("2", (-0.09, -0.03)), ("2", (-0.09, -0.03))]
    answers, aliases = _aliases(answer, steps, {"champion": "1"})
    assert aliases == {"champion": 2, "previous": 1}, (
        f"version 2 was promoted twice; the aliases are {aliases}, so a roll-back would lead to version 2"
    )
    assert answers == [True, True], f"you returned {answers}"


@wrong(promote, caught_by=better_challenger_becomes_champion)
def moves_to_the_stage_production(name, version, interval):
    client = MlflowClient()
    client.set_model_version_tag(name, version, "stage", "Production")
    return True


@wrong(promote, caught_by=better_challenger_becomes_champion)
def returns_nothing(name, version, interval):
    promote(name, version, interval)


@wrong(promote, caught_by=interval_with_zero_is_refused)
def looks_at_the_middle(name, version, interval):
    return promote(name, version, (0, -1.0 if sum(interval) < 0 else 1.0))


@wrong(promote, caught_by=interval_with_zero_is_refused)
def looks_at_the_low_end(name, version, interval):
    return promote(name, version, (0, interval[0]))


@wrong(promote, caught_by=worse_challenger_is_refused)
def asks_only_whether_zero_is_outside(name, version, interval):
    return promote(name, version, (0, 1.0 if interval[0] <= 0 <= interval[1] else -1.0))


@wrong(promote, caught_by=previous_champion_is_remembered)
def remembers_too_late(name, version, interval):
    client = MlflowClient()
    aliases = client.get_registered_model(name).aliases
    if "champion" in aliases and interval[1] >= 0:
        return False
    client.set_registered_model_alias(name, "champion", version)
    champion = client.get_model_version_by_alias(name, "champion")
    client.set_registered_model_alias(name, "previous", champion.version)
    return True


@wrong(promote, caught_by=previous_champion_is_remembered)
def takes_the_version_before(name, version, interval):
    client = MlflowClient()
    aliases = client.get_registered_model(name).aliases
    if "champion" in aliases and interval[1] >= 0:
        return False
    if "champion" in aliases:
        client.set_registered_model_alias(name, "previous", int(version) - 1)
    client.set_registered_model_alias(name, "champion", version)
    return True


@wrong(promote, caught_by=first_champion_needs_no_interval)
def asks_for_a_champion_that_is_not_there(name, version, interval):
    client = MlflowClient()
    champion = client.get_model_version_by_alias(name, "champion")
    if interval[1] >= 0:
        return False
    client.set_registered_model_alias(name, "previous", champion.version)
    client.set_registered_model_alias(name, "champion", version)
    return True


@wrong(promote, caught_by=promoting_twice_keeps_the_way_back)
def forgets_the_way_back_when_run_twice(name, version, interval):
    client = MlflowClient()
    champion = client.get_registered_model(name).aliases.get("champion")
    if champion is not None:
        if interval[1] >= 0:
            return False
        client.set_registered_model_alias(name, "previous", champion)
    client.set_registered_model_alias(name, "champion", version)
    return True


# --- shortlist --------------------------------------------------------------------------------------------------------


@right
def shortlist(name, bar):
    """Return the numbers of all versions of `name` that are tagged as candidates and beat the bar, newest first.

    A candidate has the tag `status` with the value `candidate`. It beats the bar if the metric `rmse` of the run
    that made it is below `bar`; a version without a run, or whose run has no such metric, does not. Return a
    list of int.
    """
    client = MlflowClient()
    candidates = client.search_model_versions(f"name = '{name}' and tags.status = 'candidate'")
    passing = []
    for candidate in candidates:
        metrics = client.get_run(candidate.run_id).data.metrics if candidate.run_id else {}
        if metrics.get("rmse", bar) < bar:
            passing.append(int(candidate.version))
    return sorted(passing, reverse=True)


# (status, rmse of the run) of the versions 1 to 12; "no run" and None for a run without the metric
_VERSIONS = [
    ("archived", 4.5), ("candidate", 4.9), ("candidate", 5.4), (None, 4.6), ("candidate", "no run"),
    ("candidate", None), ("archived", 6.0), ("candidate", 5.0), ("candidate", 4.7), ("candidate", 4.8),
    ("candidate", 5.1), (None, 5.2),
]  # fmt: skip


def _shortlisted(answer, bar):
    """Return what the answer finds among the twelve versions of one name, beside another name's."""
    with _registry() as (client, experiment_id):
        name, other = _named(client, 0), _named(client, 0)
        for one in (other, name):
            for status, rmse in _VERSIONS[:2] if one == other else _VERSIONS:
                run_id = None
                if rmse != "no run":
                    run_id = client.create_run(experiment_id).info.run_id
                    if rmse is not None:
                        client.log_metric(run_id, "rmse", rmse)
                tags = {"status": status} if status else {}
                client.create_model_version(name=one, source="file:///nowhere", run_id=run_id, tags=tags)
        found = answer(name, bar)
    assert isinstance(found, list), f"you returned a {type(found).__name__}; a list is asked for"
    return found


@checks(shortlist)
def finds_version_numbers(answer):
    """`client.search_model_versions(f"name = '{name}' and …")`; each result has a `version`. int() makes it a number."""
    found = _shortlisted(answer, 5.3)
    assert found, "with a bar of 5.3 minutes you found nothing; five candidates are better"
    kinds = {type(one).__name__ for one in found}
    assert kinds == {"int"}, f"your list holds {', '.join(sorted(kinds))}; numbers are asked for"


@checks(shortlist)
def candidates_alone(answer):
    """Put the tag into the filter: `tags.status = 'candidate'`, text in quotes. Archived versions stay out."""
    extra = sorted(set(_shortlisted(answer, 5.3)) - {2, 3, 5, 6, 8, 9, 10, 11})
    assert not extra, f"the versions {extra} are no candidates of this name"


@checks(shortlist)
def rmse_comes_from_the_run(answer):
    """A version has no metric of its own here: `client.get_run(version.run_id).data.metrics`. Mind those without."""
    found = set(_shortlisted(answer, 5.05))
    assert found == {2, 8, 9, 10}, (
        f"below a bar of 5.05 are the versions 2, 8, 9 and 10; you found {sorted(found)}"
    )


@checks(shortlist)
def newest_first_as_numbers(answer):
    """As text "9" is greater than "10". Make them numbers before you sort: `sorted(…, reverse=True)`."""
    found = _shortlisted(answer, 5.05)
    assert found == [10, 9, 8, 2], f"newest first is 10, 9, 8, 2; your order is {found}"


@wrong(shortlist, caught_by=finds_version_numbers)
def filters_by_the_metric(name, bar):
    client = MlflowClient()
    return client.search_model_versions(f"name = '{name}' and metrics.rmse < {bar}")


@wrong(shortlist, caught_by=finds_version_numbers)
def returns_texts(name, bar):
    return [str(version) for version in shortlist(name, bar)]


@wrong(shortlist, caught_by=candidates_alone)
def forgets_the_tag(name, bar):
    client = MlflowClient()
    versions = [one for one in client.search_model_versions(f"name = '{name}'") if one.run_id]
    rmse = {int(one.version): client.get_run(one.run_id).data.metrics.get("rmse", bar) for one in versions}
    return sorted((version for version, error in rmse.items() if error < bar), reverse=True)


@wrong(shortlist, caught_by=rmse_comes_from_the_run)
def takes_every_candidate(name, bar):
    found = MlflowClient().search_model_versions(f"name = '{name}' and tags.status = 'candidate'")
    return sorted((int(one.version) for one in found), reverse=True)


@wrong(shortlist, caught_by=rmse_comes_from_the_run)
def takes_a_missing_metric_for_zero(name, bar):
    client = MlflowClient()
    found = client.search_model_versions(f"name = '{name}' and tags.status = 'candidate'")
    rmse = {
        int(one.version): client.get_run(one.run_id).data.metrics.get("rmse", 0)
        for one in found
        if one.run_id
    }
    return sorted((version for version, error in rmse.items() if error < bar), reverse=True)


@wrong(shortlist, caught_by=newest_first_as_numbers)
def sorts_as_text(name, bar):
    return sorted(shortlist(name, bar), key=str, reverse=True)


@wrong(shortlist, caught_by=newest_first_as_numbers)
def oldest_first(name, bar):
    return sorted(shortlist(name, bar))


# --- trained_on -------------------------------------------------------------------------------------------------------


@right
def trained_on(digest):
    """A data set turns out to be corrupt. Return every version in the registry that was trained on it.

    A run records its data sets in `run.inputs.dataset_inputs`; the one with the tag `mlflow.data.context` of
    `training` counts, the one of `test` does not. Look at all names, not at one. Return a dict from
    (name, version number as int) to the list of that version's aliases, sorted.
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


def _touched(answer):
    """Return (what the answer finds, what is right) in a registry with two names and three data sets."""
    with _registry() as (client, experiment_id):
        frames = {
            key: mlflow.data.from_pandas(pd.DataFrame({"miles": [float(i), 2.0]}), name="trips")
            for i, key in enumerate(("july", "august", "october"))
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
        found = answer(frames["july"].digest)
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
    """`client.search_model_versions()` without a filter gives all; the run of one is `client.get_run(version.run_id)`."""
    found, _ = _touched(answer)
    assert {("trips", 1), ("trips", 4)} <= set(found), (
        f"the versions 1 and 4 of `trips` were trained on it; you found {sorted(found)}"
    )


@checks(trained_on)
def other_names_count_too(answer):
    """Leave the filter out: the corrupt table may have fed any model in the registry, with an alias or without."""
    found, _ = _touched(answer)
    assert ("tips", 1) in found, (
        f"version 1 of the model `tips` was trained on it too; you found {sorted(found)}"
    )


@checks(trained_on)
def tested_is_not_trained(answer):
    """Each data set of a run has tags; `mlflow.data.context` says `training` or `test`."""
    found, wanted = _touched(answer)
    extra = sorted(set(found) - set(wanted))
    assert not extra, f"{extra} was not trained on it; version 2 of `trips` was only tested on it"


@checks(trained_on)
def aliases_tell_who_answers_with_it(answer):
    """`client.get_model_version(name, version).aliases`: what a search returns may come without them. Sort them."""
    found, wanted = _touched(answer)
    assert found == wanted, f"you returned {found}, right is {wanted}"


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


@wrong(trained_on, caught_by=aliases_tell_who_answers_with_it)
def reports_no_aliases(digest):
    return dict.fromkeys(trained_on(digest), [])
