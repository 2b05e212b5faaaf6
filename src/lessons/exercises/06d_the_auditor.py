"""Exercises of lesson 06d: what stood behind an answer, and runs on a file that was overwritten."""

import logging
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone

import mlflow
import pandas as pd
from mlflow import MlflowClient

from course.exercise import also_right, checks, right, wrong
from course.stores import own_store

logging.getLogger("mlflow").setLevel(logging.WARNING)  # else it reports the making of tables on stderr
_before: dict[str, MlflowClient] = {}  # a client made before the check began, as the notebook's `client` is

# --- behind -----------------------------------------------------------------------------------------------------------


def _moment(text):
    return datetime.strptime(text, "%Y-%m-%d %H:%M").replace(tzinfo=UTC)


def _dataset(content, name):
    table = pd.DataFrame({"minutes": [1.0, 2.0]})
    return mlflow.data.from_pandas(table, name=name, digest=content)


@contextmanager
def _deployed() -> Iterator[tuple[str, str, dict[str, dict[str, str]]]]:
    """A registry with two versions that took turns: yields the deployments' experiment, the name, the truth."""
    name = f"trips-{uuid.uuid4().hex[:8]}"
    _before["client"] = MlflowClient()
    with own_store() as experiment_id:
        client, truth = MlflowClient(), {}
        client.create_registered_model(name)
        for version, digest in (("1", "aaaa1111"), ("2", "bbbb2222")):
            tags = {"mlflow.source.git.commit": f"commit{version}"}
            with mlflow.start_run(experiment_id=experiment_id, tags=tags) as run:
                mlflow.log_input(_dataset("cccc3333", "october.parquet"), context="test")
                mlflow.log_input(_dataset(digest, "trips.parquet"), context="training")
            client.create_model_version(name, source="file:///nowhere", run_id=run.info.run_id)
            truth[version] = {"version": version, "run_id": run.info.run_id, "digest": digest}
            truth[version] |= {"commit": f"commit{version}"}
        deployments = client.create_experiment(f"deployments {name}")
        for text, version in (("11-18 14:00", "2"), ("11-04 08:00", "1"), ("11-25 09:00", "1")):
            start = int(_moment(f"2019-{text}").timestamp() * 1000)
            client.create_run(deployments, start_time=start, tags={"version": version})
        client.set_registered_model_alias(name, "champion", "1")
        try:
            yield deployments, name, truth
        finally:
            client.delete_registered_model(name)


@right
def behind(moment, deployments_id, name):
    """Return what stood behind the answers at a moment: {"version", "run_id", "digest", "commit"}, all texts.

    `moment` is a datetime with its time zone. In the experiment `deployments_id` each run is one deployment:
    it starts when a version goes live, and its tag `version` says which, of the registered model `name`. The
    digest is that of the data with the context `training`; the commit is the tag `mlflow.source.git.commit`.
    """
    client = MlflowClient()
    live = mlflow.search_runs(
        [deployments_id],
        filter_string=f"attributes.start_time <= {int(moment.timestamp() * 1000)}",
        order_by=["attributes.start_time DESC"],
        max_results=1,
        output_format="list",
    )
    version = live[0].data.tags["version"]
    run = client.get_run(client.get_model_version(name, version).run_id)
    contexts = {used.tags[0].value: used.dataset.digest for used in run.inputs.dataset_inputs}
    return {
        "version": version,
        "run_id": run.info.run_id,
        "digest": contexts["training"],
        "commit": run.data.tags["mlflow.source.git.commit"],
    }


def _told(answer, text, zone=UTC):
    """Return what the answer says of a moment, given in a time zone, and the truth of both versions."""
    with _deployed() as (deployments, name, truth):
        told = answer(_moment(text).astimezone(zone), deployments, name)
    assert isinstance(told, dict), f"you returned a {type(told).__name__}, a dict is asked for"
    lacking = sorted({"version", "run_id", "digest", "commit"} - set(told))
    assert not lacking, f"your dict has no {', '.join(lacking)}"
    return {key: str(value) for key, value in told.items()}, truth


@checks(behind)
def names_the_version_of_that_moment(answer):
    """What does an alias tell you about a day in the past? Ask who went live last before the moment."""
    told, _ = _told(answer, "2019-11-20 12:00")
    assert told["version"] == "2", f"on 20 November version 2 was live, you say {told['version']}"


@checks(behind)
def the_hour_counts(answer):
    """In which unit does a run keep its start? A day is too coarse: two versions may share one.

    And `moment.timestamp()` heeds the time zone of `moment`.
    """
    told, _ = _told(answer, "2019-11-18 10:00")
    assert told["version"] == "1", (
        "version 2 went live on 18 November at 14:00, four hours after the question"
    )
    told, _ = _told(answer, "2019-11-18 10:00", timezone(timedelta(hours=5)))
    assert told["version"] == "1", (
        "15:00 in a time zone five hours east of UTC is 10:00 UTC, four hours before version 2 went live"
    )


@checks(behind)
def sees_the_rollback(answer):
    """May a version go live twice? Order by time, not by number."""
    told, _ = _told(answer, "2019-11-30 12:00")
    assert told["version"] == "1", f"since 25 November version 1 is back, you say {told['version']}"


@checks(behind)
def follows_the_version_to_its_run(answer):
    """Which of the two runs trained the model: the one that deployed it, or the one that its version names?"""
    told, truth = _told(answer, "2019-11-20 12:00")
    for key in ("run_id", "commit"):
        assert told[key] == truth["2"][key], f"the {key} is not that of the training run of version 2"


@checks(behind)
def the_digest_is_of_the_training_data(answer):
    """A run may have several inputs, in no promised order. What tells training data from test data?"""
    told, truth = _told(answer, "2019-11-20 12:00")
    assert told["digest"] == truth["2"]["digest"], (
        f"{told['digest']!r} is not the digest of the training data"
    )


def _with(moment, deployments_id, name, choose, context="training"):
    """The answer with another choice of the deployment."""
    client = MlflowClient()
    version = choose(MlflowClient(), moment, deployments_id, name)
    run = client.get_run(client.get_model_version(name, version).run_id)
    digests = {used.tags[0].value: used.dataset.digest for used in run.inputs.dataset_inputs}
    told = {"version": version, "run_id": run.info.run_id, "digest": digests[context]}
    return told | {"commit": run.data.tags["mlflow.source.git.commit"]}


def _deployments(deployments_id, **options):
    return mlflow.search_runs([deployments_id], output_format="list", **options)


@also_right(behind)
def with_the_clients_of_the_notebook(moment, deployments_id, name):
    client = _before["client"]  # as the notebook's own `client` is: made before the check
    before = [
        run
        for run in client.search_runs([deployments_id])
        if run.info.start_time <= moment.timestamp() * 1000
    ]
    version = max(before, key=lambda run: run.info.start_time).data.tags["version"]
    run = client.get_run(client.get_model_version(name, version).run_id)
    (digest,) = [
        used.dataset.digest
        for used in run.inputs.dataset_inputs
        if any(tag.value == "training" for tag in used.tags)
    ]
    commit = run.data.tags["mlflow.source.git.commit"]
    return {"version": version, "run_id": run.info.run_id, "digest": digest, "commit": commit}


@also_right(behind)
def from_a_table(moment, deployments_id, name):
    table = mlflow.search_runs([deployments_id]).sort_values("start_time").set_index("start_time")
    version = table.loc[: pd.Timestamp(moment), "tags.version"].iloc[-1]
    run = mlflow.get_run(MlflowClient().get_model_version(name, version).run_id)
    data = next(used.dataset for used in run.inputs.dataset_inputs if used.tags[0].value == "training")
    tags = run.data.tags
    return dict(
        zip(
            ("version", "run_id", "digest", "commit"),
            (version, run.info.run_id, data.digest, tags["mlflow.source.git.commit"]),
            strict=True,
        )
    )


@wrong(behind, caught_by=names_the_version_of_that_moment)
def asks_the_alias(moment, deployments_id, name):
    return _with(
        moment, deployments_id, name, lambda c, *_: c.get_model_version_by_alias(name, "champion").version
    )


@wrong(behind, caught_by=names_the_version_of_that_moment)
def takes_the_last_deployment_of_all(moment, deployments_id, name):
    live = _deployments(deployments_id, order_by=["attributes.start_time DESC"])[0]
    return _with(moment, deployments_id, name, lambda *_: live.data.tags["version"])


@wrong(behind, caught_by=names_the_version_of_that_moment)
def takes_the_first_before(moment, deployments_id, name):
    past = f"attributes.start_time <= {int(moment.timestamp() * 1000)}"
    live = _deployments(deployments_id, filter_string=past, order_by=["attributes.start_time ASC"])[0]
    return _with(moment, deployments_id, name, lambda *_: live.data.tags["version"])


@wrong(behind, caught_by=the_hour_counts)
def asks_for_the_whole_day(moment, deployments_id, name):
    end = moment.replace(hour=23, minute=59)
    past = f"attributes.start_time <= {int(end.timestamp() * 1000)}"
    live = _deployments(deployments_id, filter_string=past, order_by=["attributes.start_time DESC"])[0]
    return _with(moment, deployments_id, name, lambda *_: live.data.tags["version"])


@wrong(behind, caught_by=the_hour_counts)
def takes_every_clock_for_utc(moment, deployments_id, name):
    return behind(moment.replace(tzinfo=UTC), deployments_id, name)


@wrong(behind, caught_by=sees_the_rollback)
def takes_the_highest_version_so_far(moment, deployments_id, name):
    past = f"attributes.start_time <= {int(moment.timestamp() * 1000)}"
    live = _deployments(deployments_id, filter_string=past)
    return _with(moment, deployments_id, name, lambda *_: max(run.data.tags["version"] for run in live))


@wrong(behind, caught_by=follows_the_version_to_its_run)
def returns_the_run_of_the_deployment(moment, deployments_id, name):
    past = f"attributes.start_time <= {int(moment.timestamp() * 1000)}"
    live = _deployments(deployments_id, filter_string=past, order_by=["attributes.start_time DESC"])[0]
    told = _with(moment, deployments_id, name, lambda *_: live.data.tags["version"])
    return told | {"run_id": live.info.run_id}


@wrong(behind, caught_by=the_digest_is_of_the_training_data)
def takes_the_test_data(moment, deployments_id, name):
    return behind(moment, deployments_id, name) | {"digest": "cccc3333"}


@wrong(behind, caught_by=the_digest_is_of_the_training_data)
def returns_the_name_of_the_data(moment, deployments_id, name):
    return behind(moment, deployments_id, name) | {"digest": "trips.parquet"}


# --- other_content ----------------------------------------------------------------------------------------------------


@right
def other_content(run_id, experiment_id):
    """Return the ids of the runs that trained on the same file name as `run_id`, with another content.

    Look in the experiment `experiment_id`. Only data with the context `training` count; their content is told
    by the digest. Return a list, in any order.
    """
    client = MlflowClient()

    def trained_on(run):
        """The training data of a run: {name: digest}."""
        data = [used for used in run.inputs.dataset_inputs if used.tags[0].value == "training"]
        return {used.dataset.name: used.dataset.digest for used in data}

    wanted = trained_on(client.get_run(run_id))
    found = []
    for run in mlflow.search_runs([experiment_id], output_format="list"):
        theirs = trained_on(run)
        if any(theirs.get(name, digest) != digest for name, digest in wanted.items()):
            found.append(run.info.run_id)
    return found


_HISTORY = {  # run: (training file, its content, test file, its content)
    "first": ("trips.parquet", "aaaa", "october.parquet", "0000"),
    "again": ("trips.parquet", "aaaa", "october.parquet", "0000"),
    "overwritten": ("trips.parquet", "bbbb", "october.parquet", "0000"),
    "later": ("trips.parquet", "cccc", "october.parquet", "0000"),
    "green": ("green.parquet", "dddd", "october.parquet", "0000"),
    "november": ("trips.parquet", "aaaa", "november.parquet", "1111"),
    "reversed": ("october.parquet", "0000", "trips.parquet", "bbbb"),
}


def _runs_found(answer):
    """Return the names of the runs that the answer finds, for the run `first`."""
    _before["client"] = MlflowClient()
    with own_store() as experiment_id:
        ids = {}
        with mlflow.start_run(experiment_id=experiment_id) as run:
            ids[run.info.run_id] = "without data"  # broke off before it read a file
        for label, (training, content, test, other) in _HISTORY.items():
            with mlflow.start_run(experiment_id=experiment_id) as run:
                mlflow.log_input(_dataset(other, test), context="test")
                mlflow.log_input(_dataset(content, training), context="training")
            ids[run.info.run_id] = label
        first = next(key for key, label in ids.items() if label == "first")
        try:
            found = answer(first, experiment_id)
        except (KeyError, IndexError, StopIteration, AttributeError) as error:
            word = f"{type(error).__name__}: {error}"
            raise AssertionError(
                f"one run of the experiment has no data, and your function breaks off ({word})"
            ) from None
    assert isinstance(found, list), f"you returned a {type(found).__name__}, a list of ids is asked for"
    odd = [one for one in found if one not in ids]
    assert not odd, f"{odd[0]!r} is not the id of a run of the experiment"
    return sorted(ids[one] for one in found)


@checks(other_content)
def finds_the_overwritten_file(answer):
    """What is a file known by, and what is its content known by? Runs without any data are there as well."""
    found = _runs_found(answer)
    assert {"overwritten", "later"} <= set(found), f"two runs had another content, you found {found}"


@checks(other_content)
def leaves_equal_content_out(answer):
    """Did the run itself, or its repetition, train on another content?"""
    found = set(_runs_found(answer))
    assert not found & {"first", "again", "november"}, f"same name, same content: {sorted(found)}"


@checks(other_content)
def leaves_other_names_out(answer):
    """Is it news that another file has another digest? Compare where the name is the same."""
    assert "green" not in _runs_found(answer), "one of your runs trained on green.parquet, another file"


@checks(other_content)
def looks_at_training_data_alone(answer):
    """A file can be training data in one run and test data in another. Which context counts, for both runs?"""
    assert "reversed" not in _runs_found(answer), "one of your runs had trips.parquet as its test data"


def _inputs(run, context=("training",)):
    return [used.dataset for used in run.inputs.dataset_inputs if used.tags[0].value in context]


def _search(experiment_id, keep):
    runs = mlflow.search_runs([experiment_id], output_format="list")
    return [run.info.run_id for run in runs if keep(run)]


@also_right(other_content)
def with_the_clients_of_the_notebook_too(run_id, experiment_id):
    client = _before["client"]  # as the notebook's own `client` is: made before the check
    mine = {(data.name, data.digest) for data in _inputs(client.get_run(run_id))}
    names = {name for name, _ in mine}

    def other(run):
        return any(d.name in names and (d.name, d.digest) not in mine for d in _inputs(run))

    return [run.info.run_id for run in client.search_runs([experiment_id]) if other(run)]


@also_right(other_content)
def by_a_table(run_id, experiment_id):
    rows = [
        (run.info.run_id, data.name, data.digest)
        for run in mlflow.search_runs([experiment_id], output_format="list")
        for data in _inputs(run)
    ]
    table = pd.DataFrame(rows, columns=["run", "name", "digest"])
    pairs = table.merge(table[table["run"] == run_id], on="name", suffixes=("", "_mine"))
    return pairs.loc[pairs["digest"] != pairs["digest_mine"], "run"].unique().tolist()


@wrong(other_content, caught_by=finds_the_overwritten_file)
def stumbles_over_a_run_without_data(run_id, experiment_id):
    def training(run):
        return {used.tags[0].value: used.dataset for used in run.inputs.dataset_inputs}["training"]

    mine = training(mlflow.get_run(run_id))
    runs = mlflow.search_runs([experiment_id], output_format="list")
    found = {run.info.run_id: training(run) for run in runs}
    return [key for key, data in found.items() if data.name == mine.name and data.digest != mine.digest]


@wrong(other_content, caught_by=finds_the_overwritten_file)
def searches_for_the_same_digest(run_id, experiment_id):
    mine = {data.digest for data in _inputs(mlflow.get_run(run_id))}
    return _search(experiment_id, lambda run: mine & {data.digest for data in _inputs(run)})


@wrong(other_content, caught_by=finds_the_overwritten_file)
def compares_the_first_input(run_id, experiment_id):
    mine = _inputs(mlflow.get_run(run_id), ("test",))[0]

    def differs(run):
        theirs = _inputs(run, ("test",))[0]
        return theirs.name == mine.name and theirs.digest != mine.digest

    return _search(experiment_id, differs)


@wrong(other_content, caught_by=leaves_equal_content_out)
def goes_by_the_name(run_id, experiment_id):
    mine = {data.name for data in _inputs(mlflow.get_run(run_id))}
    return _search(experiment_id, lambda run: mine & {data.name for data in _inputs(run)})


@wrong(other_content, caught_by=leaves_other_names_out)
def goes_by_the_digest_alone(run_id, experiment_id):
    mine = {data.digest for data in _inputs(mlflow.get_run(run_id))}
    return _search(experiment_id, lambda run: not mine & {data.digest for data in _inputs(run)})


@wrong(other_content, caught_by=looks_at_training_data_alone)
def forgets_the_context(run_id, experiment_id):
    both = ("training", "test")
    mine = {data.name: data.digest for data in _inputs(mlflow.get_run(run_id))}
    return _search(
        experiment_id,
        lambda run: any(mine.get(data.name, data.digest) != data.digest for data in _inputs(run, both)),
    )
