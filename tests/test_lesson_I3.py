"""I3: each fault shows the symptom that its ticket speaks of, and its repair removes it on real data."""

import re
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import train_test_split
from xgboost import XGBRegressor

from course.data import load_ridership, load_trips, months, prepare_trips
from course.exercise import source as exercise_source
from course.practice import tickets

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOK = nbformat.read(ROOT / "notebooks" / "I3_debugging.ipynb", as_version=4)
EXERCISES = ROOT / "src" / "lessons" / "exercises" / "I3_debugging.py"
CLINIC = exercise_source.load(EXERCISES)
NAMES = exercise_source.names(EXERCISES)
FEATURES = ["trip_distance", "pickup_location_id", "dropoff_location_id", "hour", "weekday"]
OCTOBER, SIXTEENTH = pd.Timestamp("2019-10-01"), pd.Timestamp("2019-10-16")


def output(name):
    (cell,) = [cell for cell in NOTEBOOK.cells if cell.cell_type == "code" and cell.id == name]
    shown = [one.get("text") or one.get("data", {}).get("text/plain", "") for one in cell.outputs]
    return "\n".join(shown)


def numbers(name, pattern):
    found = re.search(pattern, output(name))
    assert found, output(name)
    return [float(group.replace(",", "")) for group in found.groups()]


def row(name, label):
    """The cells of one row of a table in an output, as texts."""
    (line,) = [line for line in output(name).splitlines() if re.match(rf"{re.escape(label)}\s", line)]
    return line.removeprefix(label).split()


@pytest.fixture(scope="module")
def trips():
    trips = prepare_trips(load_trips(months("2019-07", "2019-10")))
    trips["hour"] = trips["pickup_datetime"].dt.hour
    trips["weekday"] = trips["pickup_datetime"].dt.dayofweek
    trips[FEATURES] = trips[FEATURES].astype(float)
    return trips


def october_error(trips, columns=FEATURES, test=None):
    """RMSE on October of a model of July to September; `test` replaces the test rows."""
    train = trips[trips["pickup_datetime"] < OCTOBER]
    test = trips[trips["pickup_datetime"] >= OCTOBER] if test is None else test
    model = XGBRegressor(max_depth=4, learning_rate=0.3, n_estimators=40, n_jobs=1)
    errors = model.fit(train[columns], train["duration"]).predict(test[columns]) - test["duration"]
    return float((errors**2).mean() ** 0.5)


# ------------------------------------------------- the clinic as a whole
def test_eight_tickets_eight_repairs_and_a_diagnosis():
    prose = "\n".join(cell.source for cell in NOTEBOOK.cells if cell.cell_type == "markdown")
    assert re.findall(r"^## Ticket ([A-Z]) · ", prose, re.M) == list("ABCDEFGH")
    assert re.findall(r"^### ([A-Z]) · ", prose, re.M) == list("ABCDEFGH")
    assert len(NAMES) == 10
    ids = [cell.id for cell in NOTEBOOK.cells]
    for name in NAMES:
        given = f"{name}={name}" if name == "diagnosis" else name
        assert NOTEBOOK.cells[ids.index(f"exercise-{name}") + 1].source == f"exercise.check({given})"


def test_names_come_after_the_round_and_repairs_after_the_names():
    ids = [cell.id for cell in NOTEBOOK.cells]
    tickets = [ids.index(f"ticket_{letter}") for letter in "abcdefgh"]
    named = ids.index("exercise-diagnosis")
    assert max(tickets) < named < min(ids.index(f"exercise-{name}") for name in NAMES if name != "diagnosis")


@pytest.mark.parametrize("name", NAMES)
def test_at_least_three_wrong_answers(name):
    assert len(getattr(CLINIC, name).exercise.wrong) >= 3


@pytest.mark.parametrize("letters", ["AC", "AF", "BH", "CF", "DE", "DG", "EG", "BD"])
def test_two_faults_that_are_mixed_up_are_refused(letters):
    names = CLINIC.diagnosis()
    one, other = letters
    mixed = {**names, one: names[other], other: names[one]}
    said = CLINIC.diagnosis.exercise.run(mixed)
    assert said.status == "failed" and "is not" in said.message
    assert CLINIC.diagnosis.exercise.run(names).status == "passed"


# ------------------------------------------------- A: target encoded before the split
def test_the_encoded_target_nearly_halves_the_error_by_a_leak():
    honest, leaky, mark = row("ticket_a", "rmse")
    assert float(leaky) < 0.65 * float(honest) and mark == "←"
    assert len(set(row("ticket_a", "data")[:2])) == 1, "the table is the same, the code is not"
    assert row("ticket_a", "code")[-1] == "←"
    assert numbers("spoil_a", r"last week: (\d+)%[^A]*A: (\d+)%") == [0, 100]


def test_half_a_repair_of_the_encoding_is_worse_than_none_and_a_whole_one_gains_nothing():
    (half,) = numbers("mended_a", r"averages of the training months: RMSE ([\d.]+)")
    (full,) = numbers("mended_a", r"cross-fitted averages: RMSE ([\d.]+)")
    without = float(row("ticket_a", "rmse")[0])
    assert half > without + 1.5
    assert abs(full - without) < 0.1


def test_the_repaired_encoding_does_not_know_october(trips):
    spoilt = trips.assign(
        duration=trips["duration"].where(trips["pickup_datetime"] < OCTOBER, 2 * trips["duration"])
    )
    encoded = CLINIC.route_minutes(trips, OCTOBER)
    assert encoded.equals(CLINIC.route_minutes(spoilt, OCTOBER)) and encoded.notna().all()
    honest = october_error(trips.assign(route_minutes=encoded), [*FEATURES, "route_minutes"])
    leaky = trips.groupby(FEATURES[1:4])["duration"].transform("mean")
    assert october_error(trips.assign(route_minutes=leaky), [*FEATURES, "route_minutes"]) < honest - 1.5


# ------------------------------------------------- B: unit changed upstream
def test_kilometres_raise_the_error_at_once_and_retraining_on_both_units_is_no_cure():
    (broken,) = numbers("mended_b", r"in kilometres: .*? ([\d.]+) minutes")
    (mended,) = numbers("mended_b", r"in miles again: .*? ([\d.]+) minutes")
    assert broken > mended + 1
    names = ("old model", "retrained to the 23rd", "trained on 16th to 23rd")
    old, mixed, few = (numbers("retrained_b", rf"{name}: RMSE ([\d.]+)")[0] for name in names)
    assert few < mixed - 0.5 and mixed < old
    assert float(row("retrained_b", "trip_distance")[0]) > 1.4
    assert float(row("retrained_b", "fare_amount")[0]) == 1


def test_the_repair_finds_the_days_in_kilometres_and_no_other(trips):
    is_late = trips["pickup_datetime"] >= SIXTEENTH
    fed = trips.assign(
        trip_distance=trips["trip_distance"].where(~is_late, trips["trip_distance"] * 1.609344)
    )
    before, after = (table[table["pickup_datetime"] >= OCTOBER] for table in (trips, fed))
    assert october_error(trips, test=after) > october_error(trips) + 0.5
    reference = trips[trips["pickup_datetime"] < OCTOBER]
    mended = CLINIC.in_miles(after, reference)
    differs = ~np.isclose(mended["trip_distance"], before["trip_distance"])
    wrong_days = pd.Series(differs, before["pickup_datetime"].dt.day).groupby(level=0).any()
    assert not wrong_days.loc[:15].any(), "a day in miles was converted"
    assert wrong_days.sum() <= 3, f"days left in kilometres: {wrong_days[wrong_days].index.tolist()}"


# ------------------------------------------------- C: shuffled time split
def test_the_ticket_compares_both_rules_on_the_same_days():
    rides = load_ridership()[["ds", "y"]]
    rides = rides[rides["ds"] >= "2011-01-01"].reset_index(drop=True)
    _, test = train_test_split(rides.index, test_size=0.2, random_state=0)
    naive = (rides["y"] - rides["y"].shift(7)).loc[test].abs().mean()
    assert float(row("ticket_c", "mae")[0]) == pytest.approx(naive, abs=0.006)


def test_the_shuffled_split_promises_half_the_error_of_the_future():
    shuffled = float(row("ticket_c", "mae")[1])
    forward, naive = numbers("mended_c", r"forward: MAE ([\d.]+), last week's day: ([\d.]+)")
    assert shuffled < 0.65 * forward
    assert forward > naive, "the model loses to last week's day"
    assert numbers("spoil_c", r"day: (\d+)%[^C]*C: (\d+)%") == [0, 100]


# ------------------------------------------------- D: a stale model served
def test_the_alias_that_is_served_still_points_to_version_1():
    assert "alias champion: version 1" in output("live_d")
    assert "alias Champion: version 2" in output("live_d")
    old, share = numbers("live_d", r"version 1: RMSE ([\d.]+), (\d+)%")
    new, other = numbers("live_d", r"version 2: RMSE ([\d.]+), (\d+)%")
    assert share == 100 and other < 5
    assert new < old - 0.3, "the promotion would have been worth it"


# ------------------------------------------------- E: seed luck
def test_the_best_of_ten_seeds_is_no_better_on_months_that_did_not_choose_it():
    for month in ("November", "December"):
        winner, mean, rank = map(float, row("fresh_e", month))
        assert winner >= mean and rank > 5
    winner, mean, rank = map(float, row("fresh_e", "October"))
    assert winner < mean and rank == 1
    table = [line.split() for line in output("ticket_e").splitlines() if re.match(r"\d+ ", line)]
    assert len(table) == 10 and len({code for *_, code in table}) == 1, "the seed alone differs"
    assert len(set(numbers("repeat_e", r": ([\d.]+), and again: ([\d.]+)"))) == 1, "luck can be repeated"


# ------------------------------------------------- F: a scaler sees the future
def test_the_suspected_scaler_is_innocent_and_the_scale_of_the_week_is_not():
    before, after = (float(value) for value in row("ticket_f", "mae")[:2])
    assert abs(before - after) < 0.01, "moving the scaler into the pipeline changes nothing"
    own, honest = numbers("mended_f", r"own week's scale ([\d.]+), scale of the week before ([\d.]+)")
    (naive,) = numbers("mended_f", r"last week's day ([\d.]+)")
    assert own < 0.75 * honest
    assert abs(honest - naive) < 0.05, "without the leak it is as good as last week's day"
    shares = numbers("spoil_f", r"(?s)before review: ([\d.]+)%.*\nF: ([\d.]+)%")
    assert shares[0] == shares[1] > 0


def test_the_repaired_scale_does_not_move_with_the_rest_of_the_week():
    rides = load_ridership()[["ds", "y"]]
    wednesday = rides["ds"] >= pd.Timestamp("2016-02-03")
    spoilt = rides.assign(y=rides["y"].where(~wednesday, 2 * rides["y"]))
    one, other = (CLINIC.scaled_by_the_past(table)[~wednesday] for table in (rides, spoilt))
    assert one.equals(other)
    own, moved = (CLINIC.scales_by_its_own_week(table)[~wednesday] for table in (rides, spoilt))
    assert (own - moved).abs().gt(1e-9).sum() == 2, "Monday and Tuesday of that week"


# ------------------------------------------------- G: wrong metric direction
def test_descending_order_deploys_the_worst_run_of_the_grid():
    grid = [float(value) for depth in "248" for value in row("grid_g", depth)]
    (deployed,) = numbers("ticket_g", r"deployed: .*, RMSE ([\d.]+)")
    assert deployed == max(grid) > min(grid) + 1
    chosen = {
        name: numbers("mended_g", rf"{name}: .*RMSE ([\d.]+)")[0] for name in ("DESC", "ASC", "no order")
    }
    assert chosen["DESC"] == max(grid) and chosen["ASC"] == min(grid)
    newest = float(row("grid_g", "2")[-1])
    assert chosen["no order"] == newest not in (max(grid), min(grid)), "the newest run, whatever its score"


# ------------------------------------------------- H: train/serve skew
def test_no_run_claims_the_code_of_the_service():
    """Each run keeps the code that made its number; the service's own is in none, and the text says so."""
    card, report, mark = row("ticket_h", "code")
    assert card != report and mark == "←"
    assert row("ticket_h", "data")[0] == row("ticket_h", "data")[1]


def test_the_service_makes_other_features_of_the_same_trips():
    card, live, _ = row("ticket_h", "rmse")
    assert float(live) > float(card) + 0.7
    assert row("skew_h", "hour") == ["100.0%"]
    (weekday,) = row("skew_h", "weekday")
    assert 15 < float(weekday.rstrip("%")) < 30
    for same in FEATURES[:3]:
        assert row("skew_h", same) == ["0.0%"]


def test_the_repaired_features_are_those_of_training(trips):
    test = trips[trips["pickup_datetime"] >= OCTOBER]
    utc = test["pickup_datetime"].dt.tz_localize("America/New_York").dt.tz_convert("UTC")
    requests = pd.DataFrame({"pickup_utc": utc.dt.strftime("%Y-%m-%dT%H:%M:%SZ")})
    made = CLINIC.features_as_trained(requests)
    assert (made == test[["hour", "weekday"]]).all(axis=None)
    naive = CLINIC.takes_the_hour_as_it_comes(requests)
    assert (naive["hour"] != test["hour"]).all()


# ------------------------------------------------- blind tickets
def test_the_table_names_every_ticket_that_there_is():
    prose = "\n".join(cell.source for cell in NOTEBOOK.cells if cell.cell_type == "markdown")
    assert sorted(re.findall(r"^\| `(\w+)` \|", prose, re.M)) == tickets.names()


def test_the_ticket_that_is_shown_has_two_dates_and_a_cause_for_each():
    days = [float(value) for value in re.findall(r"week +([\d.]+) ", output("blind_days"))]
    assert len(days) == 14 and CLINIC.jump_days(days) == [8, 11], "Tuesday and Friday of the second week"
    assert set(re.findall(r"answers with version (\d+)", output("blind_version"))) == {"12"}
    old, new = numbers("blind_version", r"version 11 ([\d.]+) minutes, version 12 ([\d.]+)")
    assert new < old, "the reporter's suspect is the better model"
    assert numbers("blind_rows", r"hour: +(\d+) % of the rows differ") == [100]
    assert numbers("blind_inputs", r"phone +(\d+) % +(\d+) %") == [0, 100]
    faults = {fault.name for fault in tickets.case("two_steps", 3).faults}
    assert len(faults) == 2 and any("UTC" in name for name in faults) and any("0" in name for name in faults)
