"""Exercises of lesson 06c: an MLproject to repair, what an environment freezes, and two questions of an auditor."""

import logging
import shlex
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import mlflow
import pandas as pd
import yaml
from mlflow import MlflowClient
from mlflow.exceptions import ExecutionException
from mlflow.projects.utils import load_project

from course.exercise import checks, right, wrong
from course.stores import own_store

logging.getLogger("mlflow").setLevel(logging.WARNING)  # else it reports the making of tables on stderr


# --- repaired ---------------------------------------------------------------------------------------------------------


def _mlproject(train="path", test="path", rate="{type: float, default: 0.1}", command=""):
    command = command or "--train {train} --test {test} --learning-rate {learning_rate}"
    return f"""
name: trip-duration
entry_points:
  main:
    parameters:
      train: {train}
      test: {test}
      learning_rate: {rate}
    command: python trip_duration.py train {command}
"""


@right(value=True)
def repaired():
    """Repair the text of `BROKEN`, and bind `repaired` to the whole text of the MLproject.

    `mlflow run` with `train` and `test` must be enough: the learning rate is then 0.1. A rate that is given
    reaches the script as `--learning-rate`. A file name with a space in it arrives whole. A file that is not
    there is refused by MLflow, before the script starts.
    """
    return """
    name: trip-duration
    entry_points:
      main:
        parameters:
          train: path
          test: path
          learning_rate: {type: float, default: 0.1}
        command: python trip_duration.py train --train {train} --test {test} --learning-rate {learning_rate}
    """


def _main(answer):
    """Return the entry point `main` as MLflow reads it."""
    assert isinstance(answer, str), (
        f"repaired is a {type(answer).__name__}; the text of the file is asked for"
    )
    with tempfile.TemporaryDirectory() as folder:
        for name in ("python_env.yaml", "conda.yaml", "requirements.txt"):
            Path(folder, name).touch()
        Path(folder, "MLproject").write_text(answer, encoding="utf-8")
        try:
            return load_project(folder).get_entry_point("main")
        except (yaml.YAMLError, ExecutionException, AttributeError) as error:
            line = str(error).splitlines()[0]
            raise AssertionError(f"MLflow can't read it: {line}") from None


def _options(answer, name="trips.parquet", **given):
    """Render the command as MLflow would; return its options, for two files that are there."""
    main = _main(answer)
    with tempfile.TemporaryDirectory() as folder:
        files = {key: str(Path(folder).resolve() / f"{key} {name}".strip()) for key in ("train", "test")}
        for path in files.values():
            Path(path).touch()
        try:
            command = main.compute_command(files | given, folder)
        except (ExecutionException, KeyError) as error:
            raise AssertionError(f"MLflow can't build the command: {error}") from None
    words = [word.strip('"') for word in shlex.split(command, posix=sys.platform != "win32")]
    assert "train" in words, "the command does not say `train` to the script any more"
    words = words[words.index("train") + 1 :]
    return dict(zip(words[::2], words[1::2], strict=False)), files


@checks(repaired)
def mlflow_reads_it(answer):
    """`repaired = '''…'''` with the whole text, beginning at `name:`. YAML wants equal indents and no tabs."""
    assert _main(answer).command, "the entry point main has no command"


@checks(repaired)
def the_rate_has_a_default(answer):
    """A parameter without a default has to be given: `learning_rate: {type: float, default: 0.1}`."""
    options, _ = _options(answer)
    rate = options.get("--learning-rate")
    assert rate == "0.1", f"with two files and no rate, the script gets --learning-rate {rate}"


@checks(repaired)
def a_given_rate_arrives(answer):
    """The name in braces is that of a parameter: `--learning-rate {learning_rate}`."""
    options, _ = _options(answer, learning_rate="0.3")
    rate = options.get("--learning-rate")
    assert rate == "0.3", f"-P learning_rate=0.3 arrives at the script as --learning-rate {rate}"


@checks(repaired)
def a_space_does_no_harm(answer):
    """MLflow puts quotes around each value where it needs them. Quotes of your own come on top of those."""
    options, files = _options(answer, "of New York.parquet")
    for key, path in files.items():
        got = options.get(f"--{key}")
        assert got == path, f"--{key} arrives as {got!r}"


@checks(repaired)
def a_missing_file_is_refused(answer):
    """Only the type `path` is looked at, for both files. Types that MLflow does not know are taken for text."""
    main = _main(answer)
    with tempfile.TemporaryDirectory() as folder:
        there = Path(folder, "there.parquet")
        there.touch()
        for missing in ("train", "test"):
            given = dict.fromkeys(("train", "test"), str(there)) | {
                missing: str(Path(folder, "gone.parquet"))
            }
            try:
                main.compute_command(given | {"learning_rate": "0.1"}, folder)
            except ExecutionException:
                continue
            except KeyError as error:
                raise AssertionError(f"MLflow can't build the command: {error}") from None
            raise AssertionError(f"`{missing}` names a file that is not there, and MLflow starts the script")


@wrong(repaired, caught_by=mlflow_reads_it)
def names_another_entry_point():
    return _mlproject().replace("main:", "train:")


@wrong(repaired, caught_by=the_rate_has_a_default)
def leaves_the_default_out():
    return _mlproject(rate="float")


@wrong(repaired, caught_by=the_rate_has_a_default)
def calls_the_rate_by_another_name():
    return _mlproject(command="--train {train} --test {test} --learning-rate {rate}")


@wrong(repaired, caught_by=a_given_rate_arrives)
def writes_the_number_into_the_command():
    return _mlproject(command="--train {train} --test {test} --learning-rate 0.1")


@wrong(repaired, caught_by=a_space_does_no_harm)
def keeps_its_own_quotes():
    command = """--train "{train}" --test {test} --learning-rate {learning_rate}"""
    return _mlproject(command=command)


@wrong(repaired, caught_by=a_missing_file_is_refused)
def leaves_path_with_a_capital():
    return _mlproject(train="Path")


@wrong(repaired, caught_by=a_missing_file_is_refused)
def leaves_the_test_file_a_string():
    return _mlproject(test="string")


# --- frozen_by --------------------------------------------------------------------------------------------------------


@right(value=True)
def frozen_by():
    """What is the smallest thing that freezes each of these? Bind `frozen_by` to a dict.

    The keys: "xgboost's version", "Python's version", "the C library", "the Linux kernel", "the CPU",
    "the training file". The values: "python_env" (with its pinned requirements), "image" (a container's),
    "virtual machine" (its image), or "none" of these.
    """
    return {
        "xgboost's version": "python_env",
        "Python's version": "python_env",
        "the C library": "image",
        "the Linux kernel": "virtual machine",
        "the CPU": "none",
        "the training file": "none",
    }


_ITEMS = (
    "xgboost's version",
    "Python's version",
    "the C library",
    "the Linux kernel",
    "the CPU",
    "the training file",
)
_KINDS = {"python_env", "image", "virtual machine", "none"}


@checks(frozen_by)
def has_a_value_for_each(answer):
    """`{"the CPU": "…", …}` with all six keys; values are "python_env", "image", "virtual machine", "none"."""
    assert isinstance(answer, dict), f"frozen_by is a {type(answer).__name__}, a dict is asked for"
    odd = sorted(set(_ITEMS) ^ set(map(str, answer)))
    assert not odd, f"these keys are missing or unknown: {odd}"
    strange = sorted(set(map(str, answer.values())) - _KINDS)
    assert not strange, f"{strange} is no packaging of the list"


@checks(frozen_by)
def the_smallest_that_does_it(answer):
    """`python_env.yaml` names Python's own version too, and uv or pyenv fetch exactly that one."""
    for item in ("xgboost's version", "Python's version"):
        assert answer[item] == "python_env", f"{item}: {answer[item]} is more than you need, or too little"


@checks(frozen_by)
def a_container_has_no_kernel(answer):
    """A container is a process of the host: its files are its own, its kernel is the host's."""
    assert answer["the C library"] == "image", "the C library comes with the operating system's files"
    assert answer["the Linux kernel"] == "virtual machine", "which of them boots a kernel of its own?"


@checks(frozen_by)
def some_things_are_not_frozen(answer):
    """No package carries a CPU. A training file in an image would be copied with each version of the code."""
    for item in ("the CPU", "the training file"):
        assert answer[item] == "none", f"{item}: record it, a {answer[item]} does not freeze it"


@wrong(frozen_by, caught_by=has_a_value_for_each)
def answers_in_a_list():
    return ["python_env", "python_env", "image", "virtual machine", "none", "none"]


@wrong(frozen_by, caught_by=has_a_value_for_each)
def answers_docker():
    return frozen_by() | {"the C library": "docker"}


@wrong(frozen_by, caught_by=the_smallest_that_does_it)
def wants_an_image_for_python():
    return frozen_by() | {"Python's version": "image"}


@wrong(frozen_by, caught_by=a_container_has_no_kernel)
def takes_a_container_for_a_machine():
    return frozen_by() | {"the Linux kernel": "image"}


@wrong(frozen_by, caught_by=a_container_has_no_kernel)
def takes_a_wheel_for_an_operating_system():
    return frozen_by() | {"the C library": "python_env"}


@wrong(frozen_by, caught_by=some_things_are_not_frozen)
def believes_that_a_machine_has_its_own_cpu():
    return frozen_by() | {"the CPU": "virtual machine"}


@wrong(frozen_by, caught_by=some_things_are_not_frozen)
def copies_the_data_into_the_image():
    return frozen_by() | {"the training file": "image"}


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


def _told(answer, text):
    """Return what the answer says of a moment, and the truth of both versions."""
    with _deployed() as (deployments, name, truth):
        told = answer(_moment(text), deployments, name)
    assert isinstance(told, dict), f"you returned a {type(told).__name__}, a dict is asked for"
    lacking = sorted({"version", "run_id", "digest", "commit"} - set(told))
    assert not lacking, f"your dict has no {', '.join(lacking)}"
    return {key: str(value) for key, value in told.items()}, truth


@checks(behind)
def names_the_version_of_that_moment(answer):
    """The last deployment that began before the moment. An alias knows today alone."""
    told, _ = _told(answer, "2019-11-20 12:00")
    assert told["version"] == "2", f"on 20 November version 2 was live, you say {told['version']}"


@checks(behind)
def the_hour_counts(answer):
    """`start_time` is in milliseconds since 1970, UTC: `int(moment.timestamp() * 1000)`."""
    told, _ = _told(answer, "2019-11-18 10:00")
    assert told["version"] == "1", (
        "version 2 went live on 18 November at 14:00, four hours after the question"
    )


@checks(behind)
def sees_the_rollback(answer):
    """The same version may go live twice. Take the last deployment before the moment, by its start."""
    told, _ = _told(answer, "2019-11-30 12:00")
    assert told["version"] == "1", f"since 25 November version 1 is back, you say {told['version']}"


@checks(behind)
def follows_the_version_to_its_run(answer):
    """`client.get_model_version(name, version).run_id`: the run that trained it, not the one that deployed it."""
    told, truth = _told(answer, "2019-11-20 12:00")
    for key in ("run_id", "commit"):
        assert told[key] == truth["2"][key], f"the {key} is not that of the training run of version 2"


@checks(behind)
def the_digest_is_of_the_training_data(answer):
    """Each of `run.inputs.dataset_inputs` has its context in `tags[0].value`; the order is not promised."""
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
    with own_store() as experiment_id:
        ids = {}
        for label, (training, content, test, other) in _HISTORY.items():
            with mlflow.start_run(experiment_id=experiment_id) as run:
                mlflow.log_input(_dataset(other, test), context="test")
                mlflow.log_input(_dataset(content, training), context="training")
            ids[run.info.run_id] = label
        first = next(key for key, label in ids.items() if label == "first")
        found = answer(first, experiment_id)
    assert isinstance(found, list), f"you returned a {type(found).__name__}, a list of ids is asked for"
    odd = [one for one in found if one not in ids]
    assert not odd, f"{odd[0]!r} is not the id of a run of the experiment"
    return sorted(ids[one] for one in found)


@checks(other_content)
def finds_the_overwritten_file(answer):
    """Compare `used.dataset.digest` where `used.dataset.name` is the same."""
    found = _runs_found(answer)
    assert {"overwritten", "later"} <= set(found), f"two runs had another content, you found {found}"


@checks(other_content)
def leaves_equal_content_out(answer):
    """The run itself, and others with its digest, trained on the same content."""
    found = set(_runs_found(answer))
    assert not found & {"first", "again", "november"}, f"same name, same content: {sorted(found)}"


@checks(other_content)
def leaves_other_names_out(answer):
    """Another file has another digest, and that is no news. Compare only where the name is the same."""
    assert "green" not in _runs_found(answer), "one of your runs trained on green.parquet, another file"


@checks(other_content)
def looks_at_training_data_alone(answer):
    """`used.tags[0].value` is the context: only `training` counts, the run's and theirs."""
    assert "reversed" not in _runs_found(answer), "one of your runs had trips.parquet as its test data"


def _inputs(run, context=("training",)):
    return [used.dataset for used in run.inputs.dataset_inputs if used.tags[0].value in context]


def _search(experiment_id, keep):
    runs = mlflow.search_runs([experiment_id], output_format="list")
    return [run.info.run_id for run in runs if keep(run)]


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
