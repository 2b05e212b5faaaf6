"""I5: what the page says of the real tables is so, and each query agrees with its frames there as well."""

import inspect
import re
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from weekly import weekly

from authoring.marks import text_of
from course.data.database import open_database
from course.exercise import source as exercise_source
from course.exercise.tables import Task
from course.practice.bank import load_bank
from course.practice.kata import names, patterns

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOK = nbformat.read(ROOT / "notebooks" / "I5_sql_and_pandas.ipynb", as_version=4)
CELLS = {cell.id: cell for cell in NOTEBOOK.cells}
EXERCISES = ROOT / "src" / "lessons" / "exercises" / "I5_sql_and_pandas.py"
KATAS = exercise_source.load(EXERCISES)
NAMES = exercise_source.names(EXERCISES)


@pytest.fixture(scope="module")
def db():
    with open_database("2019-07", "2019-12") as connection:
        connection.execute("""
            CREATE TABLE usual_fares AS
            SELECT zone, date_trunc('month', pickup_at) + INTERVAL 1 MONTH AS known_from,
                MEDIAN(fare) AS usual_fare
            FROM trips GROUP BY ALL
        """)
        yield connection


def shown(name):
    return " ".join(text_of(CELLS[name]).split())


def same(left, right):
    """Compare two results as rows in any order, NULL and NaN alike, numbers to nine digits."""
    columns = sorted(left.columns)
    assert sorted(right.columns) == columns
    both = []
    for frame in (left, right):
        plain = pd.DataFrame(
            {
                column: frame[column].astype("float64").round(9)
                if pd.api.types.is_numeric_dtype(frame[column])
                else frame[column].astype("str")
                for column in columns
            }
        )
        both.append(plain.sort_values(columns, ignore_index=True))
    pd.testing.assert_frame_equal(*both)


@pytest.mark.parametrize("name", NAMES)
def test_query_and_frames_agree_on_the_real_tables(db, name):
    sql, frames = getattr(KATAS, name)()
    tables = {table: db.sql(f"SELECT * FROM {table}").df() for table in inspect.signature(frames).parameters}
    same(db.sql(sql).df(), frames(**tables))


def test_there_are_the_katas_that_are_asked_for():
    assert len(NAMES) >= 18
    assert names("I5") == NAMES
    assert [name for held in patterns("I5").values() for name in held] == NAMES
    exercises = [
        cell.id.removeprefix("exercise-") for cell in NOTEBOOK.cells if cell.id.startswith("exercise-")
    ]
    assert exercises == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_each_kata_meets_several_databases(name):
    """None, one row and NULLs are among them, and the wrong answers fall in SQL and in pandas."""
    exercise = getattr(KATAS, name).exercise
    (task,) = [
        one
        for one in vars(KATAS).values()
        if isinstance(one, Task) and one is getattr(KATAS, exercise.checks[0].__code__.co_names[0])
    ]
    first = [next(iter(database.values())) for database in task.databases.values()]
    assert len(task.databases) >= 5
    assert any("NULLs" in label for label in task.databases)
    assert any(not table.rows for database in task.databases.values() for table in database.values())
    assert any(len(table.rows) == 1 for database in task.databases.values() for table in database.values()), (
        first
    )
    assert {check.__name__ for _, check in exercise.wrong} == {check.__name__ for check in exercise.checks}
    assert len(exercise.wrong) >= 4 and len(exercise.also_right) >= 2


def test_attempt_first_then_what_is_behind_it():
    """Below each check the idea is folded, with the query and what is asked next."""
    for name in NAMES:
        place = next(i for i, cell in enumerate(NOTEBOOK.cells) if cell.id == f"exercise-{name}")
        behind = NOTEBOOK.cells[place + 2 :]
        folded = next(cell.source for cell in behind if "<details>" in cell.source)
        assert "**Cost.**" in folded or "**Index.**" in folded, name
        assert (
            "```sql" in folded and "**They ask next.**" in folded and folded.rstrip().endswith("</details>")
        ), name
        before = "".join(cell.source for cell in NOTEBOOK.cells[:place] if cell.cell_type == "markdown")
        assert before.count("<details>") == before.count("</details>") == NAMES.index(name)


def test_the_surprises_are_in_the_outputs():
    assert "Empty DataFrame" in shown("not_in")
    assert "16644 42984 60000" in shown("two_halves") and 16644 + 42984 + 372 == 60000
    assert "60000 60000" in shown("last_is_own")
    assert "exists 17312.0 1412" in shown("fan_out") and "join 17439.0 1450" in shown("fan_out")
    assert shown("two_nulls") == "Int32: 42,984 are not 2 float64: 43,356 are not 2"


def test_what_is_said_beside_the_outputs(db):
    """Claims of the text that no cell prints."""
    fares = db.sql(
        "SELECT fare FROM trips QUALIFY COUNT(*) OVER (PARTITION BY zone, pickup_at) > 1 ORDER BY zone"
    )
    assert len(fares.fetchall()) == 8  # four keys, twice each
    differ = (
        "SELECT zone FROM trips GROUP BY zone, pickup_at HAVING COUNT(*) > 1 AND COUNT(DISTINCT fare) = 2"
    )
    assert len(db.sql(differ).fetchall()) == 4
    games = "SELECT COUNT(*) FROM (SELECT day FROM games GROUP BY day HAVING COUNT(DISTINCT team) = 2) AS two"
    assert db.sql(games).fetchall()[0] == (38,)
    assert db.sql("SELECT CAST(1 AS DOUBLE) / 0, 1 / 0").fetchall()[0] == (float("inf"), float("inf"))
    logic = "NULL OR true, NULL AND false, NULL <> 2, NULL IS DISTINCT FROM 2, SUM(1)"
    assert db.sql(f"SELECT {logic} FROM trips WHERE false").fetchall()[0] == (True, False, None, True, None)


def test_the_questions_are_tied_to_its_cells():
    asked = [question for question in load_bank() if question.lesson == "I5"]
    assert len(asked) >= 8
    assert all(question.shows for question in asked)


SLIPS = [
    *[(">= ", "> "), ("<= ", "< "), (" > ", " >= "), (" = ", " <> "), ("DESC", ""), ("LEFT JOIN", "JOIN")],
    *[("PARTITION BY zone ", ""), ("PARTITION BY station ", ""), (", trip_id DESC", ""), (", trip_id", "")],
    *[
        ("COUNT(*)", "COUNT(fare)"),
        ("COUNT(*)", "COUNT(DISTINCT zone)"),
        ("NULLIF(", "("),
        ("COALESCE(", "("),
    ],
    *[("WHERE rides IS NOT NULL", ""), ("AND fare IS NOT NULL", ""), ("DISTINCT ", ""), ("MIN(", "MAX(")],
    *[
        ("SUM(", "AVG("),
        ("AVG(", "SUM("),
        ("6 DAYS", "5 DAYS"),
        ("IGNORE NULLS", ""),
        ("NOT EXISTS", "EXISTS"),
    ],
    *[("ORDER BY station, place", ""), ("ORDER BY station, first_day", ""), ("30 MINUTES", "29 MINUTES")],
    *[
        ("30 MINUTES", "44 MINUTES"),
        ("0.9", "0.95"),
        (" OR payment_type IS NULL", ""),
        ("day - 7", "day - 6"),
    ],
    *[(" AND AVG(fare) > 10", ""), ("COUNT(*) >= 2 AND ", ""), ("distance > 0", "distance > 0.5")],
    *[("distance > 5", "distance > 4.9"), ("'month'", "'year'"), ("trips.zone = usual_fares.zone AND ", "")],
]
SAME = {("retention", "COUNT(DISTINCT zone)")}  # zones are distinct already there


@weekly("test_exercises_prove: each check refuses the wrong answers that are kept")
@pytest.mark.parametrize("name", NAMES)
def test_a_slip_in_the_query_is_caught(name):
    """Each place where the course's query could be changed by one slip, run against the check."""
    sql, _ = getattr(KATAS, name)()
    check = getattr(KATAS, name).exercise.checks[0]
    slips = {
        sql[: place.start()] + slip + sql[place.end() :]
        for right, slip in SLIPS
        for place in re.finditer(re.escape(right), sql)
        if (name, slip) not in SAME
    } - {sql}
    assert slips
    passed = []
    for query in sorted(slips):
        try:
            check(lambda query=query: (query, None))
        except AssertionError:
            continue
        passed.append(query)
    assert passed == []
