"""Exercises of lesson 07a: a promotion that can say no, and a question to the registry."""

import contextlib
import logging
import uuid
from collections.abc import Iterator

import mlflow
import pandas as pd
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

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
    """Which call moves a label from one version to another?

    `client.set_registered_model_alias(name, "champion", version)`; then return True.
    """
    answers, aliases = _aliases(answer, [("2", (-0.09, -0.03))], {"champion": "1"})
    assert aliases.get("champion") == 2, f"version 2 is better for certain, and the aliases are {aliases}"
    assert answers == [True], f"you promoted version 2 and returned {answers[0]!r}"


@checks(promote)
def interval_with_zero_is_refused(answer):
    """Which end of the interval is the worst case for the challenger?

    The whole interval lies below zero when its high end does.
    """
    answers, aliases = _aliases(answer, [("2", (-0.03, 0.01))], {"champion": "1"})
    assert aliases == {"champion": 1}, (
        f"the interval (−0.03, 0.01) holds zero, and now the aliases are {aliases}"
    )
    assert answers == [False], f"you refused and returned {answers[0]!r}; return False"


@checks(promote)
def worse_challenger_is_refused(answer):
    """An interval that excludes zero can lie on either side of it. Which side means *worse*?"""
    answers, aliases = _aliases(answer, [("2", (0.02, 0.08))], {"champion": "1"})
    assert (answers, aliases) == ([False], {"champion": 1}), (
        f"the interval (0.02, 0.08) says that version 2 is worse; you returned {answers[0]!r}, aliases {aliases}"
    )


@checks(promote)
def previous_champion_is_remembered(answer):
    """What do you need to know before you move `champion`, and can you still find it out afterwards?

    Read who is champion, set `previous` to it, and only then move `champion`.
    """
    _, aliases = _aliases(answer, [("2", (-0.09, -0.03)), ("4", (-0.05, -0.01))], {"champion": "1"})
    assert aliases == {"champion": 4, "previous": 2}, (
        f"after 1, 2 and 4 were champion the aliases are {aliases}"
    )


@checks(promote)
def first_champion_needs_no_interval(answer):
    """What does your function do on the day on which nobody is champion?

    `client.get_registered_model(name).aliases` is a dict from alias to version, and has no `champion` then.
    """
    answers, aliases = _aliases(answer, [("3", (-1.0, 1.0))])
    assert (answers, aliases) == ([True], {"champion": 3}), (
        f"a name without champion: you returned {answers[0]!r}, and the aliases are {aliases}"
    )


@checks(promote)
def promoting_twice_keeps_the_way_back(answer):
    """Somebody runs the cell twice. Where would `previous` point to after the second time?

    Compare versions as numbers: a server gives them as text, SQLite as int.
    """
    steps = [("2", (-0.09, -0.03)), ("2", (-0.09, -0.03))]
    answers, aliases = _aliases(answer, steps, {"champion": "1"})
    assert aliases == {"champion": 2, "previous": 1}, (
        f"version 2 was promoted twice; the aliases are {aliases}, so a roll-back would lead to version 2"
    )
    assert answers == [True, True], f"you returned {answers}"


@also_right(promote)
def asks_for_the_alias_and_expects_a_refusal(name, version, interval):
    client = MlflowClient()
    try:
        leaving = str(client.get_model_version_by_alias(name, "champion").version)
    except MlflowException:
        leaving = None
    if leaving == str(version):
        return True
    if leaving is None or max(interval) < 0:
        for alias, number in {"previous": leaving, "champion": version}.items():
            if number is not None:
                client.set_registered_model_alias(name, alias, number)
        return True
    return False


@also_right(promote)
def looks_through_the_versions(name, version, interval):
    client = mlflow.MlflowClient()
    numbers = [int(one.version) for one in client.search_model_versions(f"name = '{name}'")]
    of_champion = [n for n in numbers if "champion" in client.get_model_version(name, str(n)).aliases]
    low, high = interval
    allowed = not of_champion or (low < 0 and high < 0) or of_champion == [int(version)]
    if allowed and of_champion != [int(version)]:
        for number in of_champion:
            client.set_registered_model_alias(name, "previous", str(number))
        client.set_registered_model_alias(name, "champion", str(version))
    return allowed


@also_right(promote)
def uses_the_notebooks_client(name, version, interval):
    client = _before["client"]
    champion = client.get_registered_model(name).aliases.get("champion")
    if champion is None:
        client.set_registered_model_alias(name, "champion", version)
    elif int(champion) != int(version):
        if not interval[1] < 0:
            return False
        client.set_registered_model_alias(name, "previous", champion)
        client.set_registered_model_alias(name, "champion", version)
    return True


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

    A candidate has the tag `status` with the value `candidate`. It beats the bar if the metric `rmse` of its model
    is below `bar`; the run that made the model has the same metric. A version without model and run, or without
    that metric, does not beat it. Return a list of int.
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
                run_id, source = None, "file:///nowhere"
                if rmse != "no run":
                    run_id = client.create_run(experiment_id).info.run_id
                    model = client.create_logged_model(experiment_id, name="model", source_run_id=run_id)
                    source = f"models:/{model.model_id}"
                    if rmse is not None:
                        client.log_metric(run_id, "rmse", rmse, model_id=model.model_id)
                tags = {"status": status} if status else {}
                client.create_model_version(name=one, source=source, run_id=run_id, tags=tags)
        found = answer(name, bar)
    assert isinstance(found, list), f"you returned a {type(found).__name__}; a list is asked for"
    return found


@checks(shortlist)
def finds_version_numbers(answer):
    """Which call lists the versions of one name, and what type has `version` in what it returns?

    `client.search_model_versions(f"name = '{name}' and …")`; int() makes a number of `version`.
    """
    found = _shortlisted(answer, 5.3)
    assert found, "with a bar of 5.3 minutes you found nothing; five candidates are better"
    kinds = {type(one).__name__ for one in found}
    assert kinds == {"int"}, f"your list holds {', '.join(sorted(kinds))}; numbers are asked for"


@checks(shortlist)
def candidates_alone(answer):
    """Archived versions have errors too. What tells them apart?

    The tag goes into the filter, text in quotes: `tags.status = 'candidate'`.
    """
    extra = sorted(set(_shortlisted(answer, 5.3)) - {2, 3, 5, 6, 8, 9, 10, 11})
    assert not extra, f"the versions {extra} are no candidates of this name"


@checks(shortlist)
def rmse_comes_from_the_run(answer):
    """A version has no metric. Who has it, and how do you get there from a version? Mind those without.

    `client.get_run(version.run_id).data.metrics`, or `search_logged_models` and `version.source`.
    """
    found = set(_shortlisted(answer, 5.05))
    assert found == {2, 8, 9, 10}, (
        f"below a bar of 5.05 are the versions 2, 8, 9 and 10; you found {sorted(found)}"
    )


@checks(shortlist)
def newest_first_as_numbers(answer):
    """What comes first if you sort "9" and "10" as text? `sorted(…, reverse=True)` of numbers is newest first."""
    found = _shortlisted(answer, 5.05)
    assert found == [10, 9, 8, 2], f"newest first is 10, 9, 8, 2; your order is {found}"


@also_right(shortlist)
def asks_the_models_first(name, bar):
    experiments = [one.experiment_id for one in mlflow.search_experiments()]
    good = mlflow.search_logged_models(experiments, f"metrics.rmse < {bar}", output_format="list")
    sources = {f"models:/{model.model_id}" for model in good}
    versions = MlflowClient().search_model_versions(f"name = '{name}' and tags.status = 'candidate'")
    return sorted((int(one.version) for one in versions if one.source in sources), reverse=True)


@also_right(shortlist)
def joins_two_tables(name, bar):
    versions = MlflowClient().search_model_versions(f"name = '{name}'")
    table = pd.DataFrame(
        [(int(one.version), one.run_id, one.tags.get("status")) for one in versions],
        columns=["version", "run_id", "status"],
    )
    runs = mlflow.search_runs(search_all_experiments=True)[["run_id", "metrics.rmse"]]
    both = table.dropna(subset="run_id").merge(runs, on="run_id")
    kept = both[(both["status"] == "candidate") & (both["metrics.rmse"] < bar)]
    return kept["version"].sort_values(ascending=False).tolist()


@also_right(shortlist)
def asks_with_the_notebooks_client(name, bar):
    client, numbers = _before["client"], []
    for one in client.search_model_versions(f"name = '{name}'"):
        if one.tags.get("status") == "candidate" and one.run_id:
            if client.get_run(one.run_id).data.metrics.get("rmse", float("inf")) < bar:
                numbers.append(int(one.version))
    numbers.sort(reverse=True)
    return numbers


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
