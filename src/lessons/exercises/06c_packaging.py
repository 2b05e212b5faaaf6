"""Exercises of lesson 06c: an MLproject to repair, and reports to read: what would have prevented them."""

import shlex
import sys
import tempfile
from pathlib import Path

import yaml
from mlflow.exceptions import ExecutionException
from mlflow.projects.utils import load_project

from course.exercise import also_right, checks, right, wrong

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
    """Is it the whole text of a file, from `name:` on? YAML wants equal indents and no tabs."""
    assert _main(answer).command, "the entry point main has no command"


@checks(repaired)
def the_rate_has_a_default(answer):
    """What happens when somebody runs it with two files and nothing else? Look at how the project of the lesson writes a parameter that need not be given."""
    options, _ = _options(answer)
    rate = options.get("--learning-rate")
    assert rate == "0.1", f"with two files and no rate, the script gets --learning-rate {rate}"


@checks(repaired)
def a_given_rate_arrives(answer):
    """To which parameter does each name in braces belong? Follow a rate from the command line to the script."""
    options, _ = _options(answer, learning_rate="0.3")
    rate = options.get("--learning-rate")
    assert rate == "0.3", f"-P learning_rate=0.3 arrives at the script as --learning-rate {rate}"


@checks(repaired)
def a_space_does_no_harm(answer):
    """Who puts quotes around a value, MLflow or you? If both do, they end each other."""
    options, files = _options(answer, "of New York.parquet")
    for key, path in files.items():
        got = options.get(f"--{key}")
        assert got == path, f"--{key} arrives as {got!r}"


@checks(repaired)
def a_missing_file_is_refused(answer):
    """For which type does MLflow look whether the file is there? It takes a type that it does not know for text."""
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


@also_right(repaired)
def in_flow_style():
    return """
    name: trip-duration
    entry_points:
      main:
        parameters: {train: path, test: {type: path}, learning_rate: {type: float, default: 0.1}}
        command: "python trip_duration.py train --train {train} --test {test} --learning-rate {learning_rate}"
    """


@also_right(repaired)
def made_by_yaml():
    parameters = {"train": {"type": "path"}, "test": {"type": "path"}}
    parameters |= {"learning_rate": {"type": "float", "default": 0.1}}
    command = "python trip_duration.py train --learning-rate {learning_rate} --train {train} --test {test}"
    project = {"name": "t", "entry_points": {"main": {"parameters": parameters, "command": command}}}
    return yaml.safe_dump(project)


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


# --- prevented_by -----------------------------------------------------------------------------------------------------


@right(value=True)
def prevented_by():
    """What is the smallest package that would have prevented each report? Bind `prevented_by` to a dict from "A" … "E".

    The values: "lock" (exact versions of all Python packages), "image" (a container's, named by its digest), "virtual
    machine" (its image), or "none": no package prevents it, it can only be recorded.
    """
    return {"A": "image", "B": "lock", "C": "none", "D": "virtual machine", "E": "none"}


_PACKAGES = {"lock", "image", "virtual machine", "none"}


def _of(answer, letter):
    assert isinstance(answer, dict), f"prevented_by is a {type(answer).__name__}, a dict is asked for"
    assert set(answer) == set("ABCDE"), f"the keys are A to E, not {sorted(map(str, answer))}"
    odd = sorted(set(map(str, answer.values())) - _PACKAGES)
    assert not odd, f"{odd}: the values are {sorted(_PACKAGES)}"
    return answer[letter]


@checks(prevented_by)
def packages_that_float(answer):
    """Which of the reports is about a Python package, and what is the smallest thing that holds its version?"""
    got = _of(answer, "B")
    assert got == "lock", f"B: a lock with exact versions is enough, or too little? You say {got}"


@checks(prevented_by)
def files_of_the_system(answer):
    """`libc` is a file of the operating system. Which package brings its own, and which takes the host's?"""
    got = _of(answer, "A")
    assert got == "image", f"A: whose `libc` does the program load? You say {got}"


@checks(prevented_by)
def a_kernel_of_its_own(answer):
    """Who answers a system call: the image or the host? Ask which package boots a kernel."""
    got = _of(answer, "D")
    assert got == "virtual machine", f"D: the host's kernel answered the system call. You say {got}"


@checks(prevented_by)
def what_no_package_holds(answer):
    """Is there a package that carries a processor? And should an image carry the training data?"""
    for letter, what in {"C": "the processor", "E": "the file on the share"}.items():
        got = _of(answer, letter)
        assert got == "none", f"{letter}: {what} is in no package, record it. You say {got}"


@also_right(prevented_by)
def by_package():
    reports = {"lock": "B", "image": "A", "virtual machine": "D", "none": "CE"}
    return {letter: package for package, letters in reports.items() for letter in letters}


@also_right(prevented_by)
def one_after_the_other():
    return dict(zip("ABCDE", ["image", "lock", "none", "virtual machine", "none"], strict=True))


@wrong(prevented_by, caught_by=packages_that_float)
def wants_an_image_for_everything():
    return dict.fromkeys("ABCDE", "image")


@wrong(prevented_by, caught_by=packages_that_float)
def answers_docker():
    return {**prevented_by(), "A": "docker"}


@wrong(prevented_by, caught_by=files_of_the_system)
def takes_a_lock_for_an_operating_system():
    return {**prevented_by(), "A": "lock"}


@wrong(prevented_by, caught_by=a_kernel_of_its_own)
def takes_a_container_for_a_machine():
    return {**prevented_by(), "D": "image"}


@wrong(prevented_by, caught_by=what_no_package_holds)
def believes_that_a_machine_has_its_own_processor():
    return {**prevented_by(), "C": "virtual machine"}


@wrong(prevented_by, caught_by=what_no_package_holds)
def copies_the_data_into_the_image():
    return {**prevented_by(), "E": "image"}
