"""Lessons on a file of the reader's own: they run, or say in their first cell what it lacks and what helps.

The first cells are driven over every file here; two whole lessons over one each. `make test WEEKLY=1`
drives every lesson over every file that its first cell accepts (half an hour).
"""

import re
import shlex
from functools import cache
from pathlib import Path

import own_files
import pandas as pd
import pytest
from weekly import weekly

from authoring import build, lint
from authoring.execute import Runner
from course import lessons, own_data
from course.data import load_ridership
from course.own_data import OwnDataError

ROOT = Path(__file__).resolve().parents[2]
SOURCES = build.Course(ROOT).sources()


@cache
def code_of(stem):
    """The lesson's parameters and its first code cell after them."""
    path = next(source for source in SOURCES if source.stem.split("_")[0] == stem)
    cells = [cell for cell in build.generate(build.read_lesson(path)).cells if cell.cell_type == "code"]
    at = next(i for i, cell in enumerate(cells) if "parameters" in cell.metadata.get("tags", []))
    return cells[at].source, cells[at + 1].source


def lessons_with(parameter):
    texts = {path.stem.split("_")[0]: path.read_text("utf-8") for path in SOURCES}
    return [stem for stem, text in texts.items() if re.search(rf"^{parameter} = None", text, re.M)]


def now(old):
    """The number that a lesson has today, of those it was cut into the first."""
    stems = [path.stem for path in SOURCES]
    names = [stem for stem in lessons.CUT if lessons.number(stem) == old]
    return lessons.number([*lessons.cut_into(names[0], stems), old][0])


TRIPS, SERIES = lessons_with("trips_path"), lessons_with("ridership_path")
BY_MONTH = [stem for stem in TRIPS if "monthly_trips(" in code_of(stem)[1]]


@pytest.fixture(scope="module")
def trip_files(tmp_path_factory):
    return own_files.write_trips(tmp_path_factory.mktemp("trips"))


@pytest.fixture(scope="module")
def series_files(tmp_path_factory):
    return own_files.write_series(tmp_path_factory.mktemp("series"))


def first_cell(stem, **given):
    """The names after the lesson's first cell, with these parameters."""
    parameters, first = code_of(stem)
    names = {}
    exec(parameters, names)
    assert set(given) <= set(names), "a parameter that the lesson does not have"
    names |= given
    exec(first, names)
    return names


def advised(message):
    """The parameters that a message advises, as `walkforward run` would take them."""
    words = shlex.split(message[message.index("-p ") :])
    given = dict(zip(words[1::3], words[2::3], strict=False))
    return {name: int(value) if value.isdigit() else value for name, value in given.items()}


def said_of(stem, capsys, **given):
    """What the first cell says of the file: the line about it, or the refusal; the advice is taken once."""
    try:
        first_cell(stem, **given)
    except OwnDataError as refusal:
        message = str(refusal)
        assert "\n" not in message
        ways_out = advised(message.rpartition(": ")[2]) if ": -p" in message else {}
        files = {"trips_path", "ridership_path"}
        if ways_out and not files & set(ways_out):
            capsys.readouterr()
            first_cell(stem, **given | ways_out)
            assert "Your file:" in capsys.readouterr().out
        else:
            assert re.search("-p (trips_path|ridership_path) ", message)
        return message
    return capsys.readouterr().out


# The first cell -----------------------------------------------------------------------------------------


def test_every_lesson_on_data_takes_a_file():
    assert {stem[:2] for stem in TRIPS} == {"00", "01", "03", "04", "05", "06", "07", "09", "11"}
    assert {stem[:2] for stem in BY_MONTH} == {"00", "04", "11"}
    assert {stem[:2] for stem in SERIES} == {"13", "15"}


@pytest.mark.parametrize("stem", [*TRIPS, *SERIES])
def test_with_the_courses_data_the_first_cell_says_nothing(stem, capsys):
    first_cell(stem)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("stem", [*TRIPS, *SERIES])
def test_what_gives_way_to_a_file_are_the_lessons_own_defaults(stem):
    parameters = first_cell(stem)
    if stem in SERIES:
        size = own_data.series_of(stem)
        assert {parameters["folds"], parameters.get("train_days", 0)} == {size["folds"], size["train_days"]}
        need = size["days"] + size["a_fold"] * size["folds"] + size["train_days"]
        assert need <= len(load_ridership())
    elif stem in BY_MONTH:
        known = [names for key, names in own_data.PLACES.items() if key[:2] == stem[:2]]
        assert any(len(set(names) & set(parameters)) > 1 for names in known)
    else:
        assert own_data.COURSE_DAY in (parameters.get("test_from"), parameters.get("live_from"))


@pytest.mark.parametrize("stem", TRIPS)
def test_a_taxi_file_runs_or_is_refused_in_a_line_that_helps(stem, trip_files, capsys):
    said = {name: said_of(stem, capsys, trips_path=path) for name, path in trip_files.items()}
    runs = [name for name, text in said.items() if "Your file:" in text]
    if stem not in BY_MONTH:
        assert set(said) - set(runs) == {"five trips"}
        assert "5 trips" in said["five trips"] or "4 trips" in said["five trips"]
    else:
        few = {"three green months"} if stem[:2] in ("00", "04") else set()
        assert set(runs) == {"ten months", "five poor months"} | few
        assert "/smallville.parquet has 2024-03: give files of more months" in said["a month of a small city"]
    for name in runs:
        lines = said[name].splitlines()
        assert re.match(r"Your file: [\d,]+ trips, \d{4}-\d\d-\d\d to \d{4}-\d\d-\d\d", lines[0])
        assert "The numbers in the text are the course's own; yours are in the outputs." in lines[0]
        assert len(lines) == 1 or lines[1].startswith("passenger_count is known of 0% of the trips")


@pytest.mark.parametrize("stem", SERIES)
def test_a_series_runs_or_is_refused_in_a_line_that_helps(stem, series_files, capsys):
    said = {name: said_of(stem, capsys, ridership_path=path) for name, path in series_files.items()}
    refused = {name: text for name, text in said.items() if "Your file:" not in text}
    assert set(refused) == {"200 days", "monthly", "weekly", "constant"}
    assert re.search(r"has 200 days, the lesson needs 7\d\d: give a longer series", refused["200 days"])
    assert "days" in refused["monthly"] and "days" in refused["weekly"]
    assert said["two years, no regressors"].count("\n") == 1


@pytest.mark.parametrize("stem", [stem for stem in TRIPS if stem not in BY_MONTH])
def test_a_day_of_the_readers_own_splits_the_file_or_the_message_has_one_that_does(stem, trip_files, capsys):
    cut = re.search(r"\b(test_from|live_from)\b", code_of(stem)[0])[1]
    path = trip_files["a month of a small city"]
    names = first_cell(stem, trips_path=path, **{cut: "2024-03-15"})
    assert names[cut] == "2024-03-15" and cut not in capsys.readouterr().out
    for wrong in ("2031-01-01", "2024-03-01", "next week", 20240315, "2024-03-15T00:00:00Z"):
        message = said_of(stem, capsys, trips_path=path, **{cut: wrong})
        assert repr(wrong) in message and f"-p {cut} 2024-03-24" in message


def test_months_of_the_readers_own_stay_and_others_are_placed_around_them(trip_files, capsys):
    path = trip_files["ten months"]
    given = {"train_from": "2023-06", "train_to": "2023-07", "live_from": "2023-08", "live_to": "2023-10"}
    names = first_cell(now("00"), trips_path=path, **given)
    assert {name: names[name] for name in given} == given
    assert (
        names["shock_month"] == "2023-09" and "chosen by it: shock_month 2023-09." in capsys.readouterr().out
    )
    assert "2031-02" in said_of(now("00"), capsys, trips_path=path, live_from="2031-02")
    message = said_of(now("11a"), capsys, trips_path=path, incident_month="2024-02", shock_month="2023-06")
    assert "incident_month 2024-02" in message or "shock_month 2023-06" in message
    names = first_cell(now("11b"), trips_path=path, quiet_month="2023-09", next_month="2023-10")
    assert (names["quiet_month"], names["next_month"]) == ("2023-09", "2023-10")


def test_folds_of_the_readers_own_fit_or_the_message_has_some_that_do(series_files, capsys):
    path = series_files["two years, no regressors"]
    message = said_of(now("15"), capsys, ridership_path=path, folds=6, train_days=700)
    assert "-p folds 6 -p train_days 214" in message
    assert first_cell(now("15"), ridership_path=path, folds=7)["train_days"] == 186
    assert first_cell(now("13"), ridership_path=series_files["rain and text names"])["weather"] == "rain_mm"
    assert first_cell(now("13"), ridership_path=path)["weather"] is None


def test_at_most_max_trips_are_drawn_and_the_line_says_so(trip_files, capsys):
    for path in (trip_files["ten months"], trip_files["three green months"]):
        names = first_cell(now("03"), trips_path=path, max_trips=900)
        assert len(names["trips"]) == 900
        assert re.search(
            r"Your file: 900 of [\d,]+ trips, drawn at random \(max_trips\)", capsys.readouterr().out
        )
    assert "max_trips 'all'" in refused(now("03"), trips_path=trip_files["an hour"], max_trips="all")


def test_month_files_are_found_by_their_names(tmp_path, capsys):
    months = [str(month) for month in pd.period_range("2023-06", "2024-01", freq="M")]
    for month in months:
        own_files.trips(f"{month}-01", 28, 300).to_parquet(tmp_path / f"taxi {month}.parquet")
    (tmp_path / "taxi 2023-13.parquet").write_bytes(b"no month")
    path = str(tmp_path / "taxi {month}.parquet")
    names = first_cell(now("03"), trips_path=path)
    course = pd.period_range(names["first_month"], names["last_month"], freq="M")
    assert len(names["trips"]) == len(course) * 300  # as many months as the course's, the last
    two = first_cell(now("03"), trips_path=path, first_month="2023-06", last_month="2023-07")
    assert two["trips"]["pickup_datetime"].max() < pd.Timestamp("2023-08-01")
    assert first_cell(now("11b"), trips_path=path)["last_month"] == "2024-01"
    assert "-p last_month 2023-06" in refused(now("03"), trips_path=path, first_month="2023-06")
    assert "no file is named" in refused(now("03"), trips_path=str(tmp_path / "none" / "{month}.csv"))
    assert "is missing" in refused(now("00"), trips_path=str(tmp_path / "gone.csv"))


def test_a_hole_in_the_months_and_a_broken_clock_are_no_months(tmp_path):
    parts = [
        own_files.trips(f"{month}-01", 28, 400) for month in ("2023-01", "2023-03", "2023-04", "2023-05")
    ]
    parts[0].loc[:5, ["pickup_datetime", "dropoff_datetime"]] -= pd.Timedelta(days=5_000)
    pd.concat(parts).to_parquet(tmp_path / "hole.parquet")
    names = first_cell(now("00"), trips_path=str(tmp_path / "hole.parquet"))
    assert (names["train_from"], names["live_to"]) == ("2023-03", "2023-05")
    assert len(names["records"]("2023-04")) == 400


def test_trips_without_a_distance_are_left_out_and_counted(tmp_path, capsys):
    frame = own_files.trips("2024-03-01", 31, 1_000)
    frame.loc[:9, "trip_distance"] = None
    frame.to_csv(tmp_path / "gaps.csv", index=False)
    assert len(first_cell(now("01"), trips_path=str(tmp_path / "gaps.csv"))["trips"]) == 990
    assert "990 trips" in (line := capsys.readouterr().out) or "10 of them without a distance" in line


def refused(stem, **given):
    with pytest.raises(OwnDataError) as refusal:
        first_cell(stem, **given)
    assert "\n" not in str(refusal.value) and "-p " in str(refusal.value) or "max_trips" in str(refusal.value)
    return str(refusal.value)


# Whole lessons ------------------------------------------------------------------------------------------

WHOLE = {
    now("00"): "three green months",
    now("04"): "three green months",
    now("11a"): "ten months",
    now("11b"): "five poor months",
    now("13"): "two years, no regressors",
    now("15"): "two years, no regressors",
}
ACCEPTED = {stem: ["ten months", "five poor months"] for stem in BY_MONTH}
ACCEPTED |= {
    stem: ["a month of a small city", "three green months", "a week as CSV", "poor columns", "an hour"]
    for stem in TRIPS
    if stem not in BY_MONTH
}
ACCEPTED |= {stem: ["two years, no regressors", "rain and text names", "many zeros"] for stem in SERIES}
PAIRS = [(stem, name) for stem, names in ACCEPTED.items() for name in names]
AT_EACH_PUSH = (now("00"), now("13"))  # one on trips by months, one on a series


DRIVEN = [
    pytest.param(
        stem,
        name,
        marks=()
        if stem in AT_EACH_PUSH and WHOLE[stem] == name
        else weekly("its first cell takes this file at each push, and lessons 00 and 13 run on theirs"),
    )
    for stem, name in dict.fromkeys([*WHOLE.items(), *PAIRS])
]


@pytest.mark.parametrize(("stem", "name"), DRIVEN)
def test_a_whole_lesson_runs_on_the_file(stem, name, trip_files, series_files):
    path = next(source for source in SOURCES if source.stem.split("_")[0] == stem)
    lesson = build.read_lesson(path)
    small = {
        key: value
        for key, value in lesson.ci.items()
        if key != "folds" and not key.endswith(("month", "_to"))
    }
    file = {"ridership_path": series_files[name]} if stem in SERIES else {"trips_path": trip_files[name]}
    outcome = Runner().run(build.generate(lesson), parameters=small | file)
    stderr = [fault for fault in lint.output_faults(outcome.notebook) if "writes to stderr" in fault]
    assert not outcome.faults + stderr, "\n".join(outcome.faults + stderr)
