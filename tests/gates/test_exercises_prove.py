"""Every exercise of the course is proved, and so is the proof: each kind of faulty exercise is reported."""

import ast
import json
from functools import cache
from pathlib import Path

import pytest
import sklearn.ensemble  # noqa: F401  its threads are limited only once they are there
from mlflow.tracking._tracking_service import utils as tracking
from threadpoolctl import threadpool_limits
from weekly import weekly

from authoring.exercise_proof import problems, prove
from course import progress
from course.exercise import source as exercise_source
from course.paths import ROOT

MODULES = sorted(path for path in exercise_source.FOLDER.glob("*.py") if not path.name.startswith("_"))
EXERCISES = [(module, name) for module in MODULES for name in exercise_source.names(module)]


@cache
def decorated(source):
    """Return name and decorators of each function of a module; each worker asks before the first test."""
    functions = [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
    return [(node.name, [ast.unparse(one) for one in node.decorator_list]) for node in functions]


def check_names(source, exercise):
    """Return the names of the functions under `@checks(exercise)`."""
    return [
        name
        for name, decorators in decorated(source)
        if any(one.endswith(f"checks({exercise})") for one in decorators)
    ]


CHECKS = [
    (module, name, check)
    for module, name in EXERCISES
    for check in check_names(module.read_text(encoding="utf-8"), name)
]


def made_vacuous(source, name, check):
    """Return the module with the body of one check of an exercise cut down to its docstring."""
    lines = source.splitlines()
    (node,) = [
        n
        for n in ast.parse(source).body
        if isinstance(n, ast.FunctionDef)
        and n.name == check
        and f"checks({name})" in map(ast.unparse, n.decorator_list)
    ]
    return "\n".join([*lines[: node.body[0].end_lineno], "    return None", *lines[node.end_lineno :], ""])


@pytest.fixture(scope="module", autouse=True)
def _no_store_in_the_checkout(tmp_path_factory):
    """MLflow's own place is the folder where tests run: the checks' store would lie there, on the disk."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tracking, "_tracking_uri", None)
        store = tmp_path_factory.mktemp("no store") / "mlflow.db"
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store.as_posix()}")
        yield
    assert not store.exists(), "an exercise wrote into the student's store"


@pytest.fixture(autouse=True)
def _one_thread():
    """Models here are tiny, and threads that wait for a busy core make each of them ten times slower."""
    with threadpool_limits(1):
        yield


def label(value):
    return value.stem if isinstance(value, Path) else value


@pytest.mark.parametrize(("module", "name"), EXERCISES, ids=label)
def test_the_exercise_is_proved(module, name):
    assert prove(module, only=name) == []


@pytest.mark.parametrize(("module", "name"), EXERCISES, ids=label)
def test_every_check_is_the_first_to_catch_a_wrong_answer(module, name):
    """So the proof above refuses a vacuous check: what names it is passed, or caught by another (the zoo)."""
    exercise = getattr(exercise_source.load(module), name).exercise
    caught_first = {check.__name__ for _, check in exercise.wrong}
    assert {check.__name__ for check in exercise.checks} == caught_first
    assert caught_first == set(check_names(module.read_text(encoding="utf-8"), name))


@weekly("test_every_check_is_the_first_to_catch_a_wrong_answer, and the zoo of faulty exercises")
@pytest.mark.parametrize(("module", "name", "check"), CHECKS, ids=label)
def test_a_vacuous_check_is_noticed(module, name, check, tmp_path):
    copy = tmp_path / module.name
    copy.write_text(made_vacuous(module.read_text(encoding="utf-8"), name, check), encoding="utf-8")
    assert next(problems(copy, only=name), "nothing") != "nothing"


def test_names_are_unique_over_the_course():
    names = [name for _, name in EXERCISES]
    assert sorted(set(names)) == sorted(names)
    assert all(exercise_source.find(name) == module for module, name in EXERCISES)


def test_students_get_unfilled_stubs():
    filled, seen = [], 0
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            if cell.get("id", "").startswith("exercise-"):
                seen += 1
                name = cell["id"].removeprefix("exercise-")
                stub = exercise_source.stub_source(exercise_source.find(name), name)
                if "".join(cell["source"]).strip() != stub.strip():
                    filled.append(f"{path.name}: {name}")
    if not seen:
        pytest.skip("no built notebook holds an exercise yet")
    assert filled == []


# --- the zoo: one sound module, and faulty ones made from it by changing one thing --------------------------

SOUND = '''
from course.exercise import also_right, checks, right, wrong


def _numbers():
    return [3, 1, 2]


@right
def ordered(numbers):
    """Return the numbers in ascending order, as a list."""
    return sorted(numbers)


@checks(ordered)
def is_a_list(answer):
    """A list."""
    assert isinstance(answer(_numbers()), list), "not a list"


@checks(ordered)
def ascends(answer):
    """Use `sorted`."""
    got = answer(_numbers())
    assert got == [1, 2, 3], f"3, 1, 2 became {got}"


@wrong(ordered, caught_by=is_a_list)
def as_a_tuple(numbers):
    return tuple(sorted(numbers))


@wrong(ordered, caught_by=ascends)
def as_it_came(numbers):
    return list(numbers)


@also_right(ordered)
def in_place(numbers):
    numbers.sort()
    return numbers


@wrong(ordered, caught_by=ascends)
def appends_to_what_it_is_given(numbers):
    numbers.append(4)
    return sorted(numbers)


def context():
    return {"numbers": _numbers()}


@right(value=True)
def largest(numbers):
    """Bind `largest` to the largest of `numbers`."""
    best = max(numbers)
    return best


@checks(largest)
def is_three(answer):
    """It is 3."""
    assert answer == 3, f"largest is {answer}"


@wrong(largest, caught_by=is_three)
def the_first_but_one(numbers):
    return numbers[1]
'''

ZOO = {
    "a wrong answer that is right": (
        "return list(numbers)",
        "return sorted(numbers)",
        "ordered: wrong answer as_it_came is passed, must be failed (no check: )",
    ),
    "a wrong answer caught by another check": (
        "return list(numbers)",
        "return tuple(numbers)",
        "ordered: wrong answer as_it_came is caught by is_a_list, not by ascends, which it names",
    ),
    "a wrong answer that names a check of another exercise": (
        "@wrong(largest, caught_by=is_three)",
        "@wrong(largest, caught_by=ascends)",
        "largest: wrong answer the_first_but_one is caught by is_three, not by ascends, which it names",
    ),
    "a solution that fails": (
        "    return sorted(numbers)\n\n\n@checks",
        "    return sorted(numbers)[::-1]\n\n\n@checks",
        "ordered: the solution (tried last) is failed, must be passed (ascends: 3, 1, 2 became [3, 2, 1])",
    ),
    "a solution that raises": (
        "best = max(numbers)",
        "best = max(numbers) / 0",
        "largest: the solution (tried last) can't be made: ZeroDivisionError: division by zero",
    ),
    "a value solution with an early return": (
        "    best = max(numbers)\n",
        "    if not numbers:\n        return None\n    best = max(numbers)\n",
        "largest: the solution (tried last) can't be made: SyntaxError: 'return' outside function",
    ),
    "a value solution that does not end with a return": (
        "    return best\n",
        "    return best\n    best = 1\n",
        "largest: the solution (tried last) can't be made: ExerciseError: largest: the solution of a value",
    ),
    "a value exercise without its context": (
        '{"numbers": _numbers()}',
        "{}",
        "largest: wrong answer the_first_but_one can't be made: ExerciseError: context() gives no numbers",
    ),
    "a check without a wrong answer": (
        "@wrong(ordered, caught_by=ascends)",
        "@wrong(ordered, caught_by=is_a_list)",
        "ordered: check ascends has no wrong answer to catch",
    ),
    "a check without a hint": (
        '    """Use `sorted`."""\n',
        "",
        "ordered: check ascends has no docstring: it is the hint",
    ),
    "a solution without a task": (
        '    """Return the numbers in ascending order, as a list."""\n',
        "",
        "ordered: the blank stub can't be made: ExerciseError: ordered: the solution needs a docstring",
    ),
    "an exercise without a check": (
        "@checks(largest)",
        "@checks(ordered)",
        "largest: it has no check",
    ),
    "two checks of one name": (
        "@wrong(ordered, caught_by=is_a_list)",
        "@checks(ordered)\ndef is_a_list(answer):\n    'Again.'\n\n\n@wrong(ordered, caught_by=is_a_list)",
        "ordered: two checks are called is_a_list",
    ),
    "a check that crashes on None": (
        'assert isinstance(answer(_numbers()), list), "not a list"',
        'assert len(answer(_numbers())) == 3, "not three"',
        "ordered: check is_a_list crashes on None: TypeError",
    ),
    "a check that crashes on a wrong answer": (
        'assert isinstance(answer(_numbers()), list), "not a list"',
        'got = answer(_numbers())\n    assert got is not None, "None"\n    got.append(1)',
        "ordered: check is_a_list crashes on wrong answer as_a_tuple: AttributeError",
    ),
    "a check without a message": (
        ', f"largest is {answer}"',
        "",
        "largest: check is_three refuses wrong answer the_first_but_one without a message",
    ),
    "checks that never call the answer": (
        "answer(_numbers())",
        "[1, 2, 3]",
        "ordered: the blank stub is passed, must be not attempted (no check: )",
    ),
    "None that passes": (
        "assert answer == 3,",
        "assert answer in (3, None),",
        "largest: None is passed, must be failed (no check: )",
    ),
    "data that is shared instead of handed out": (
        "def _numbers():\n    return [3, 1, 2]",
        "_SHARED = [3, 1, 2]\n\n\ndef _numbers():\n    return _SHARED",
        "ordered: the solution (tried last) is failed, must be passed (ascends: ",
    ),
    "a check that refuses another right answer": (
        "assert isinstance(answer(_numbers()), list)",
        "given = _numbers()\n    assert isinstance(answer(given), list) and given == _numbers()",
        "ordered: right answer in_place is failed, must be passed (is_a_list: not a list)",
    ),
    "a module that does not load": (
        "def context",
        "import nothing_of_the_kind\ndef context",
        "can't be loaded",
    ),
}


def write(tmp_path, source):
    path = tmp_path / "zoo.py"
    path.write_text(source, encoding="utf-8")
    return path


def test_a_sound_module_is_proved(tmp_path, monkeypatch):
    monkeypatch.setenv("WALKFORWARD_STATE", str(tmp_path / "state"))
    assert prove(write(tmp_path, SOUND)) == []
    assert not progress.progress_file().exists()


@pytest.mark.parametrize("fault", ZOO)
def test_a_faulty_module_is_reported(fault, tmp_path):
    old, new, expected = ZOO[fault]
    assert old in SOUND
    found = prove(write(tmp_path, SOUND.replace(old, new)))
    assert any(expected in problem for problem in found), found


@pytest.mark.parametrize(
    ("name", "check"), [("ordered", "is_a_list"), ("ordered", "ascends"), ("largest", "is_three")]
)
def test_a_vacuous_check_of_the_zoo_is_reported(name, check, tmp_path):
    found = prove(write(tmp_path, made_vacuous(SOUND, name, check)))
    assert any(": wrong answer " in problem for problem in found), found


def test_an_empty_module_and_an_unknown_exercise_are_reported(tmp_path):
    assert prove(write(tmp_path, "")) == ["zoo.py holds no exercise"]
    assert prove(write(tmp_path, SOUND), only="nobody") == ["zoo.py holds no exercise nobody"]
    assert prove(write(tmp_path, SOUND), only="largest") == []
