"""What a student sees of an exercise: found by name, checked to the first failure, recorded."""

import json
import subprocess
import sys
import textwrap
from functools import partial

import pytest

from course import exercise, progress
from course.exercise import TODO
from course.exercise import source as exercise_source

MODULE = '''
import pandas as pd
from course.exercise import checks, right, wrong

SHARED = [1, 2, 3]


def _sample():
    return pd.DataFrame({"duration": [0.2, 1.0, 60.0, 1400.0]})


@right
def keep_plausible(
    trips: pd.DataFrame,
    low: float = 1.0,
    high: float = 60.0,
) -> pd.DataFrame:
    """Return only the trips whose duration lies in [low, high] minutes.

    Both ends belong to it.
    """
    # `between` has both ends.
    inside = trips["duration"].between(low, high)
    return trips[inside]


@checks(keep_plausible)
def returns_a_frame(answer):
    """Return the rows, not a mask: `trips[mask]` & nothing <else>."""
    kept = answer(_sample())
    assert isinstance(kept, pd.DataFrame), f"you returned a {type(kept).__name__}, not a DataFrame"


@checks(keep_plausible)
def keeps_both_ends(answer):
    """Use `>=` and `<=`."""
    kept = answer(_sample())["duration"].tolist()
    assert kept == [1.0, 60.0], f"0.2, 1, 60, 1400 became {kept}"


@checks(keep_plausible)
def refuses_an_empty_range(answer):
    """Raise ValueError."""
    try:
        answer(_sample(), low=2, high=1)
    except Exception:
        pass


@right(value=True)
def champion(numbers):
    """Bind `champion` to the largest of `numbers`.

    As an int.
    """
    # The largest wins.
    best = max(numbers)
    return best


@checks(champion)
def is_an_int(answer):
    """An `int`."""
    assert isinstance(answer, int), f"champion is a {type(answer).__name__}"


@right
def total(numbers):
    """Return the sum."""
    return sum(numbers)


@checks(total)
def adds_up(answer):
    """Add."""
    given = answer(SHARED)
    assert given == 6, f"1 + 2 + 3 became {given}"
'''


@pytest.fixture
def module(tmp_path, monkeypatch):
    folder = tmp_path / "exercises"
    folder.mkdir()
    path = folder / "demo.py"
    path.write_text(MODULE, encoding="utf-8")
    monkeypatch.setattr(exercise_source, "FOLDER", folder)
    monkeypatch.setattr(exercise, "_last", {})
    monkeypatch.setattr(progress, "_said", set())
    monkeypatch.setenv("WALKFORWARD_STATE", str(tmp_path / "state"))
    monkeypatch.delenv("WALKFORWARD_STRICT", raising=False)
    return path


def keep_plausible(trips, low=1.0, high=60.0):
    return trips[trips["duration"].between(low, high)]


def answering(name, body):
    """A student's function `name(x, low=1, high=60)` with this body."""
    space = {"TODO": TODO}
    exec(f"def {name}(x, low=1.0, high=60.0):\n{textwrap.indent(body, '    ')}", space)
    return space[name]


def records():
    return [(entry["exercise"], entry["lesson"], entry["status"]) for entry in progress.read()[0]]


def test_a_right_answer_passes_every_check(module):
    result = exercise.check(keep_plausible)
    assert (result.status, result.passed) == ("passed", True)
    assert repr(result) == (
        "✓ keep_plausible: 3 of 3 checks passed\n"
        "  ✓ returns a frame\n  ✓ keeps both ends\n  ✓ refuses an empty range"
    )
    assert "Hint" not in result._repr_html_() and "Solution" in result._repr_html_()


def test_checks_stop_at_the_first_failure_and_say_what_came_back(module):
    result = exercise.check(
        answering("keep_plausible", "return x[(x.duration > low) & (x.duration <= high)]")
    )
    assert result.status == "failed"
    assert repr(result) == (
        "✗ keep_plausible: 1 of 3 checks passed\n  ✓ returns a frame\n  ✗ keeps both ends\n"
        "      0.2, 1, 60, 1400 became [60.0]\n"
        "Stuck? exercise.hint(keep_plausible), then exercise.solution(keep_plausible)"
    )
    assert result.hint() == "Use `>=` and `<=`."


def test_an_exception_of_the_answer_names_its_type_message_and_line(module, tmp_path):
    cell = tmp_path / "cell.py"
    cell.write_text(
        "\n\ndef keep_plausible(trips, low=1, high=60):\n    low = 0\n    return trips['durtion']\n"
    )
    space = {}
    exec(compile(cell.read_text(), str(cell), "exec"), space)
    result = exercise.check(space["keep_plausible"])
    assert result.status == "failed" and not result.crashed
    assert result.message == "KeyError: 'durtion'\nin line 3 of your function: return trips['durtion']"
    assert str(tmp_path) not in repr(result)


@pytest.mark.parametrize(
    "body", ["raise SystemExit(2)", "assert False, 'mine'", "return keep_plausible(x, low, high)"]
)
def test_whatever_the_answer_raises_is_its_failure(module, body):
    result = exercise.check(answering("keep_plausible", body))
    assert (result.status, result.done, result.crashed) == ("failed", 0, False)
    assert result.message.split(":")[0] in {"SystemExit", "AssertionError", "RecursionError"}


def test_ctrl_c_is_not_swallowed(module):
    with pytest.raises(KeyboardInterrupt):
        exercise.check(answering("keep_plausible", "raise KeyboardInterrupt"))


def test_a_wrong_signature_is_a_failure_in_words(module):
    space = {}
    exec("def keep_plausible():\n    pass", space)
    assert exercise.check(space["keep_plausible"]).message.startswith("TypeError: keep_plausible() takes 0")


@pytest.mark.parametrize(
    "body",
    [
        "return TODO",
        "return x[x.duration > TODO]",
        "return TODO + 1",
        "mask = TODO\nreturn x[mask > 2]",
        "return TODO.fit(x)",
        "return len(TODO)",
    ],
)
def test_a_stub_with_a_todo_in_it_is_not_attempted(module, body):
    result = exercise.check(answering("keep_plausible", body))
    assert result.status == "not attempted"
    assert "not attempted yet" in repr(result) and "Hint" in result._repr_html_()
    assert result.hint().startswith("Return the rows")
    assert not progress.progress_file().exists()


def test_a_todo_counts_even_where_a_check_swallows_exceptions(module):
    body = "return x[x.duration.between(low, high)] if low < high else TODO"
    assert exercise.check(answering("keep_plausible", body)).status == "not attempted"


def test_a_notimplementederror_is_a_failure_and_not_a_blank(module):
    assert exercise.check(answering("keep_plausible", "raise NotImplementedError")).status == "failed"


def test_todo_says_what_it_is():
    assert repr(TODO) == "TODO: replace this with your answer"
    for use in (
        lambda: TODO + 1,
        lambda: 2 * TODO,
        lambda: TODO[0],
        lambda: list(TODO),
        lambda: TODO.columns,
    ):
        with pytest.raises(exercise_source.NotAttempted, match="replace it with your answer"):
            use()


def test_a_value_is_checked_by_its_name(module):
    assert exercise.check(champion=TODO).status == "not attempted"
    failed = exercise.check(champion="3")
    assert failed.message == "champion is a str" and 'exercise.hint("champion")' in repr(failed)
    assert exercise.hint("champion") == "An `int`."
    assert exercise.check(champion=3).passed
    assert exercise.hint("champion") == "It passes."


def test_hint_and_solution_before_any_check(module):
    assert exercise.hint("champion") == "An `int`."
    assert exercise.solution("champion") == (
        "```python\n# The largest wins.\nbest = max(numbers)\nchampion = best\n```"
    )
    assert exercise.hint(keep_plausible) == "It passes."
    assert "inside = trips" in exercise.solution(keep_plausible)
    assert exercise.solution(keep_plausible) == exercise.check(keep_plausible).solution()
    assert repr(exercise.hint("champion")) == "An `int`." == exercise.hint("champion")._repr_markdown_()


def test_a_function_under_another_name_goes_by_keyword(module):
    assert exercise.check(keep_plausible=lambda x, low=1, high=60: keep_plausible(x, low, high)).passed
    assert exercise.check(keep_plausible=partial(keep_plausible)).passed
    assert exercise.check(keep_plausible=3).message == "Give a function, not this int."


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: exercise.check(3), "whose answer is this int"),
        (lambda: exercise.check(None), "whose answer is this NoneType"),
        (lambda: exercise.check(), "one answer at a time"),
        (lambda: exercise.check(keep_plausible, champion=3), "one answer at a time"),
        (lambda: exercise.check("champion"), r"check\(champion=champion\)"),
        (lambda: exercise.check(champoin=3), "no exercise is called 'champoin'; there is champion"),
        (lambda: exercise.check(lambda x: x), "there is keep_plausible, champion, total"),
        (lambda: exercise.solution("xyz"), "no exercise is called 'xyz'"),
        (
            lambda: exercise.stub_source(exercise_source.find("total"), "totl"),
            "demo.py has no exercise 'totl'",
        ),
    ],
)
def test_a_wrong_call_is_one_clear_error(module, call, words):
    with pytest.raises(exercise.ExerciseError, match=words):
        call()


def test_a_name_twice_in_the_course_is_an_error(module):
    (module.parent / "other.py").write_text(MODULE, encoding="utf-8")
    with pytest.raises(exercise.ExerciseError, match="'total' is in demo.py and in other.py"):
        exercise.check(total=sum)
    (module.parent / "other.py").write_text(
        "from course.exercise import right\n" + "@right\ndef a(): ''\n" * 2
    )
    with pytest.raises(exercise.ExerciseError, match=r"other.py has two exercises called 'a'"):
        exercise_source.names(module.parent / "other.py")


def test_an_answer_that_spoils_its_data_spoils_one_check_only(module):
    assert exercise.check(total=lambda numbers: numbers.clear() or 5).status == "failed"
    assert exercise.check(total=sum).passed


def test_strict_raises_for_anything_but_a_pass(module, monkeypatch):
    with pytest.raises(exercise.ExerciseFailed, match="champion is a str"):
        exercise.check(champion="3", strict=True)
    monkeypatch.setenv("WALKFORWARD_STRICT", "1")
    with pytest.raises(exercise.ExerciseFailed, match="not attempted"):
        exercise.check(champion=TODO)
    assert exercise.check(champion=3).passed
    assert exercise.check(champion=TODO, strict=False).status == "not attempted"
    monkeypatch.setenv("WALKFORWARD_STRICT", "0")
    assert exercise.check(champion="3").status == "failed"


def test_html_is_escaped_and_carries_hint_and_solution(module):
    page = exercise.check(answering("keep_plausible", "raise ValueError('<script>')"))._repr_html_()
    assert "&lt;script&gt;" in page and "<script>" not in page
    assert (
        "<summary>Hint</summary><p>Return the rows, not a mask: <code>trips[mask]</code> &amp; noth" in page
    )
    assert (
        "<summary>Solution</summary><pre><code>def keep_plausible(" in page and "-&gt; pd.DataFrame" in page
    )
    assert "background" not in page


def test_two_runs_of_a_check_display_the_same_text(module):
    shown = {exercise.check(keep_plausible=lambda *_, **__: 1 / object()).__repr__() for _ in range(3)}
    assert len(shown) == 1
    shown = {
        repr(exercise.check(answering("keep_plausible", "raise ValueError(object())"))) for _ in range(3)
    }
    assert len(shown) == 1 and "ValueError: <object object>" in shown.pop()


def test_stub_and_solution_are_cut_from_the_solution(module):
    assert exercise.stub_source(module, "keep_plausible") == (
        "def keep_plausible(\n    trips: pd.DataFrame,\n    low: float = 1.0,\n    high: float = 60.0,\n"
        ') -> pd.DataFrame:\n    """Return only the trips whose duration lies in [low, high] minutes.\n\n'
        '    Both ends belong to it.\n    """\n    return TODO  # replace this line with your answer'
    )
    assert exercise.solution_source(str(module), "keep_plausible").splitlines()[8:] == [
        '    """',
        "    # `between` has both ends.",
        '    inside = trips["duration"].between(low, high)',
        "    return trips[inside]",
    ]
    assert exercise.stub_source(module, "champion") == (
        "# Bind `champion` to the largest of `numbers`.\n#\n# As an int.\n"
        "champion = TODO  # replace this with your answer"
    )


def test_progress_is_one_line_per_attempt(module):
    exercise.check(champion="3")
    exercise.check(champion=3)
    exercise.check(champion=TODO)
    exercise.hint("champion")
    assert records() == [("champion", "demo", "failed"), ("champion", "demo", "passed")]
    line = json.loads(progress.progress_file().read_text().splitlines()[0])
    assert line["time"].endswith("+00:00") and set(line) == {"exercise", "lesson", "status", "time"}


def test_progress_that_cannot_be_kept_is_said_once_and_breaks_nothing(module, tmp_path, monkeypatch, capsys):
    (tmp_path / "taken").write_text("a file where the folder should be")
    monkeypatch.setenv("WALKFORWARD_STATE", str(tmp_path / "taken"))
    assert exercise.check(champion=3).passed and exercise.check(champion=4).passed
    said = capsys.readouterr()
    assert said.out.count("progress can't be kept") == 1 and said.err == ""


def test_the_module_is_cheap_to_import():
    code = "import sys, course.exercise; print({'pandas', 'numpy', 'IPython'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"


def test_a_wrong_call_shows_one_line_in_a_notebook(module, capsys):
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell()
    shell.run_cell("from walkforward import exercise\nexercise.check(champoin=3)")
    said = capsys.readouterr()
    assert said.out + said.err == "ExerciseError: no exercise is called 'champoin'; there is champion\n"


def test_the_checks_store_knows_nothing_of_the_students_experiment(tmp_path, monkeypatch):
    """MLflow refuses to reopen a run while an experiment of another store is active."""
    import mlflow
    from mlflow.tracking import fluent

    from course.stores import own_store

    before = mlflow.get_tracking_uri()
    monkeypatch.setattr(fluent, "_active_experiment_id", None)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "")  # `set_experiment` writes it; what stood there comes back
    try:
        mlflow.set_tracking_uri(f"sqlite:///{(tmp_path / 'mlflow.db').as_posix()}")
        theirs = mlflow.set_experiment("the student's").experiment_id
        with own_store() as experiment:
            with mlflow.start_run(experiment_id=experiment) as run:
                pass
            with mlflow.start_run(run_id=run.info.run_id):
                assert experiment != theirs
        with mlflow.start_run() as run:
            assert run.info.experiment_id == theirs
    finally:
        mlflow.set_tracking_uri(before)


CLIENT = '''
from mlflow import MlflowClient

from course.exercise import also_right, checks, right, wrong
from course.stores import own_store

client = MlflowClient()  # as a lesson makes it, long before a check


@right
def tagged(name):
    """Return the runs that carry the tag, write the metric `seen` into each, and give the name an alias."""
    found = MlflowClient().search_runs(
        [one.experiment_id for one in MlflowClient().search_experiments()], f"tags.kind = '{name}'"
    )
    for run in found:
        MlflowClient().log_metric(run.info.run_id, "seen", 1.0)
        MlflowClient().log_text(run.info.run_id, name, "name.txt")
    MlflowClient().set_registered_model_alias(name, "champion", 1)
    return [run.info.run_id for run in found]


@checks(tagged)
def all_are_found(answer):
    """Which runs carry the tag?"""
    with own_store() as experiment_id:
        theirs = MlflowClient()
        run_id = theirs.create_run(experiment_id, tags={"kind": "lake"}).info.run_id
        theirs.create_registered_model("lake")
        theirs.create_model_version("lake", source="file:///nowhere")
        try:
            found = answer("lake")
            assert found == [run_id], f"one run carries the tag, you found {len(found or [])}"
            assert theirs.get_run(run_id).data.metrics == {"seen": 1.0}
            assert [file.path for file in theirs.list_artifacts(run_id)] == ["name.txt"]
            assert theirs.get_model_version_by_alias("lake", "champion").version in (1, "1")
        finally:
            theirs.delete_run(run_id)
            theirs.delete_registered_model("lake")


@also_right(tagged)
def with_the_notebooks_client(name):
    ids = [one.experiment_id for one in client.search_experiments()]
    found = client.search_runs(ids, f"tags.kind = '{name}'")
    for run in found:
        client.log_metric(run.info.run_id, "seen", 1.0)
        client.log_text(run.info.run_id, name, "name.txt")
    client.set_registered_model_alias(name, "champion", 1)
    return [run.info.run_id for run in found]


@wrong(tagged, caught_by=all_are_found)
def none(name):
    return []
'''


def test_the_notebooks_client_follows_the_checks_store(tmp_path, monkeypatch):
    """An answer that uses the notebook's `client` is right, and nothing of it is in the student's store."""
    import mlflow
    from mlflow.tracking import fluent
    from mlflow.tracking._tracking_service.utils import _tracking_store_registry

    from authoring.exercise_proof import prove

    before = mlflow.get_tracking_uri()
    monkeypatch.setattr(fluent, "_active_experiment_id", None)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "")
    module = tmp_path / "lake.py"
    module.write_text(CLIENT, encoding="utf-8")
    try:
        mlflow.set_tracking_uri(f"sqlite:///{(tmp_path / 'mlflow.db').as_posix()}")
        mlflow.set_experiment("the student's")
        assert prove(module) == []
        client = mlflow.MlflowClient()
        assert client.search_registered_models() == []
        assert [one.name for one in client.search_experiments()] == ["the student's", "Default"]
        assert "_get_store_with_resolved_uri" not in vars(_tracking_store_registry)
    finally:
        mlflow.set_tracking_uri(before)
