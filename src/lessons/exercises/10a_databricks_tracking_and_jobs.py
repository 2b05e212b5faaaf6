"""Exercises of lesson 10a: what a definition has lost, and the hours of which a bill is made."""

from course.exercise import also_right, checks, right, wrong

# --- lost_fields ------------------------------------------------------------------------------------------------------


@right
def lost_fields(given, kept):
    """Return the sorted list of the fields of `given` that are not in `kept`: two definitions of a job.

    Both are what YAML gives: dictionaries, lists and plain values. A field is named by its path:
    `"runas"`, `"tasks.0.max_retry"` (tasks are counted from 0). Only names count, not values. Of a field that
    is lost, what lies below it is not named as well. A list that came back shorter has lost its last items.
    """
    if isinstance(given, dict) and isinstance(kept, dict):
        pairs = given.items()
    elif isinstance(given, list) and isinstance(kept, list):
        pairs, kept = enumerate(given), dict(enumerate(kept))
    else:
        return []
    lost = []
    for name, value in pairs:
        if name not in kept:
            lost.append(str(name))
        else:
            lost += [f"{name}.{below}" for below in lost_fields(value, kept[name])]
    return sorted(lost)


def _lost(answer, given, kept):
    found = answer(given, kept)
    assert isinstance(found, (list, tuple)), f"return a list of paths; you returned a {type(found).__name__}"
    return list(found)


@checks(lost_fields)
def nothing_is_lost_when_nothing_changed(answer):
    """What do you return for two definitions that are the same? And when the second has a field more?"""
    job = {"name": "train", "tasks": [{"task_key": "a", "max_retries": 2}]}
    assert (found := _lost(answer, job, job)) == [], f"both are the same; you return {found}"
    found = _lost(answer, job, job | {"format": "MULTI_TASK"})
    assert found == [], f"the second has a field more, and none is lost; you return {found}"


@checks(lost_fields)
def a_field_at_the_top_is_found(answer):
    """Which keys has the first dictionary that the second does not have?"""
    found = _lost(answer, {"name": "train", "runas": {"user_name": "x"}}, {"name": "train"})
    assert found == ["runas"], f"runas is lost, and what is in it is not named as well; you return {found}"


@checks(lost_fields)
def a_field_deep_inside_is_found(answer):
    """A dictionary holds dictionaries. Who looks into those that both have?"""
    given = {"schedule": {"pause_status": "PAUSED", "timezone": "UTC"}}
    found = _lost(answer, given, {"schedule": {"pause_status": "PAUSED"}})
    assert found == ["schedule.timezone"], f"timezone is lost inside of schedule; you return {found}"


@checks(lost_fields)
def each_task_is_looked_at(answer):
    """Tasks are a list. How do you walk two lists side by side, and what is a task called in the path?"""
    given = {"tasks": [{"task_key": "a"}, {"task_key": "b", "max_retry": 2}]}
    found = _lost(answer, given, {"tasks": [{"task_key": "a"}, {"task_key": "b"}]})
    assert found == ["tasks.1.max_retry"], f"the second task has lost max_retry; you return {found}"
    found = _lost(answer, given, {"tasks": [{"task_key": "a"}]})
    assert found == ["tasks.1"], f"the second task is lost as a whole; you return {found}"


@checks(lost_fields)
def a_zero_is_not_lost(answer):
    """Is `kept.get(name)` empty because the field is missing, or because its value is 0 or False?"""
    job = {"max_retries": 0, "queue": {"enabled": False}, "description": None}
    assert (found := _lost(answer, job, job)) == [], (
        f"0, False and nothing are values too; you return {found}"
    )


@checks(lost_fields)
def a_changed_value_is_not_lost(answer):
    """Do you compare names or values? Defaults may be written in another way."""
    found = _lost(answer, {"timeout_seconds": "60", "tags": "x"}, {"timeout_seconds": 60, "tags": {}})
    assert found == [], f"both fields are there with other values; you return {found}"


@checks(lost_fields)
def all_are_named_in_order(answer):
    """Does the first loss end your search? The list is sorted."""
    given = {"tasks": [{"retries": 1, "key": "a"}], "runas": 1, "cron": 2}
    found = _lost(answer, given, {"tasks": [{}]})
    wanted = ["cron", "runas", "tasks.0.key", "tasks.0.retries"]
    assert found == wanted, f"{wanted} are lost; you return {found}"


@wrong(lost_fields, caught_by=a_field_at_the_top_is_found)
def names_what_lies_below_too(given, kept):
    def paths(value, at):
        if not isinstance(value, (dict, list)):
            return set()
        items = value.items() if isinstance(value, dict) else enumerate(value)
        found = {f"{at}{name}": below for name, below in items}
        return set(found).union(*(paths(below, f"{path}.") for path, below in found.items()))

    return sorted(paths(given, "") - paths(kept, ""))


@wrong(lost_fields, caught_by=a_field_deep_inside_is_found)
def looks_at_the_top_only(given, kept):
    return sorted(set(given) - set(kept))


@wrong(lost_fields, caught_by=nothing_is_lost_when_nothing_changed)
def names_what_was_added_too(given, kept):
    return sorted(set(given) ^ set(kept))


@wrong(lost_fields, caught_by=a_zero_is_not_lost)
def takes_a_zero_for_missing(given, kept):
    lost = []
    if isinstance(given, list):
        given, kept = dict(enumerate(given)), dict(enumerate(kept))
    for name, value in given.items():
        if not kept.get(name):
            lost.append(str(name))
        elif isinstance(value, (dict, list)):
            lost += [f"{name}.{below}" for below in takes_a_zero_for_missing(value, kept[name])]
    return sorted(lost)


@wrong(lost_fields, caught_by=each_task_is_looked_at)
def walks_dictionaries_only(given, kept):
    lost = []
    for name, value in given.items():
        if name not in kept:
            lost.append(name)
        elif isinstance(value, dict) and isinstance(kept[name], dict):
            lost += [f"{name}.{below}" for below in walks_dictionaries_only(value, kept[name])]
    return sorted(lost)


@wrong(lost_fields, caught_by=each_task_is_looked_at)
def zips_the_shorter_list(given, kept):
    if isinstance(given, list) and isinstance(kept, list):
        pairs = enumerate(zip(given, kept, strict=False))
        return sorted(f"{n}.{below}" for n, pair in pairs for below in zips_the_shorter_list(*pair))
    if not (isinstance(given, dict) and isinstance(kept, dict)):
        return []
    lost = [name for name in given if name not in kept]
    for name in set(given) & set(kept):
        lost += [f"{name}.{below}" for below in zips_the_shorter_list(given[name], kept[name])]
    return sorted(lost)


@wrong(lost_fields, caught_by=a_changed_value_is_not_lost)
def compares_values(given, kept):
    if isinstance(given, list) and isinstance(kept, list):
        given, kept = dict(enumerate(given)), dict(enumerate(kept))
    if not (isinstance(given, dict) and isinstance(kept, dict)):
        return []
    lost = []
    for name, value in given.items():
        if name not in kept:
            lost.append(str(name))
        elif isinstance(value, (dict, list)) and type(value) is type(kept[name]):
            lost += [f"{name}.{below}" for below in compares_values(value, kept[name])]
        elif value != kept[name]:
            lost.append(str(name))
    return sorted(lost)


@wrong(lost_fields, caught_by=all_are_named_in_order)
def stops_at_the_first(given, kept):
    return with_a_stack(given, kept)[:1]


@also_right(lost_fields)
def with_a_generator(given, kept):
    def walk(old, new, at):
        if isinstance(old, list) and isinstance(new, list):
            old, new = dict(enumerate(old)), dict(enumerate(new))
        if not isinstance(old, dict) or not isinstance(new, dict):
            return
        for name in old.keys() - new.keys():
            yield ".".join([*at, str(name)])
        for name in old.keys() & new.keys():
            yield from walk(old[name], new[name], [*at, str(name)])

    return tuple(sorted(walk(given, kept, [])))


@also_right(lost_fields)
def with_a_stack(given, kept):
    lost, left = [], [("", given, kept)]
    while left:
        at, old, new = left.pop()
        if type(old) is not type(new) or not isinstance(old, (dict, list)):
            continue
        names = list(old) if isinstance(old, dict) else range(len(old))
        held = new if isinstance(new, dict) else range(len(new))
        for name in names:
            if name in held:
                left.append((f"{at}{name}.", old[name], new[name]))
            else:
                lost.append(f"{at}{name}")
    return sorted(lost)


# --- node_hours -------------------------------------------------------------------------------------------------------


@right
def node_hours(kind, minutes, every, start=5, idle=120):
    """Return the hours that one machine is billed in 30 days: a pair, hours of units and hours of the machine.

    A run works `minutes` and begins `every` so many minutes, longer than it works. `kind` is one of:

    - "serverless": units for the work; the machine has no bill of its own, so 0.
    - "jobs": units for the work, the machine also for `start` minutes before each run.
    - "interactive": as jobs, and after each run it stays on for `idle` minutes more, for which both are billed.
      If the next run begins before it has stopped, it never stops: both are billed for all 30 days.
    """
    runs = 30 * 24 * 60 / every
    if kind == "serverless":
        return minutes * runs / 60, 0.0
    if kind == "jobs":
        return minutes * runs / 60, (start + minutes) * runs / 60
    on = start + minutes + idle
    if on >= every:
        return 720.0, 720.0
    return (minutes + idle) * runs / 60, on * runs / 60


def _hours(answer, *given, **more):
    found = answer(*given, **more)
    assert isinstance(found, (list, tuple)) and len(found) == 2, (
        f"return a pair, hours of units and hours of the machine; you returned {found!r}"
    )
    return [round(float(one), 6) for one in found]


@checks(node_hours)
def serverless_has_one_bill(answer):
    """How often does it run in 30 days, how long, and who pays for the machine?"""
    found = _hours(answer, "serverless", 40, 1440)
    assert found == [20, 0], f"40 minutes on 30 days are 20 hours, and no machine; you return {found}"


@checks(node_hours)
def a_start_costs_the_machine_and_no_units(answer):
    """Which of the two bills runs while the cluster starts?"""
    found = _hours(answer, "jobs", 40, 1440)
    assert found == [20, 22.5], (
        f"20 hours of units; the machine 2.5 hours more, for 30 starts of five minutes; you return {found}"
    )


@checks(node_hours)
def it_starts_for_each_run(answer):
    """How many runs are there in 30 days, and how many starts?"""
    found = _hours(answer, "jobs", 10, 120, start=6)
    assert found == [60, 96], f"360 runs of ten minutes, each with a start of six; you return {found}"


@checks(node_hours)
def idle_time_is_billed_twice(answer):
    """Does the platform know that nobody works? Which bills run until the cluster stops?"""
    found = _hours(answer, "interactive", 40, 1440)
    assert found == [80, 82.5], (
        f"40 minutes and two idle hours on 30 days: 80 hours of units, 82.5 of the machine; you return {found}"
    )


@checks(node_hours)
def it_never_stops_when_the_next_run_comes_first(answer):
    """Two idle hours after a run, and the next run in one hour: when does it stop?"""
    found = _hours(answer, "interactive", 2, 60)
    assert found == [720, 720], f"it never stops: 720 hours of both, and no more; you return {found}"
    found = _hours(answer, "interactive", 15, 140)
    assert found == [720, 720], f"five, 15 and 120 minutes fill the 140: it never stops; you return {found}"


@checks(node_hours)
def the_stop_can_be_earlier(answer):
    """Which of your numbers is the parameter `idle`?"""
    found = _hours(answer, "interactive", 5, 60, idle=10)
    assert found == [180, 240], f"ten idle minutes each hour, and it stops; you return {found}"


@wrong(node_hours, caught_by=serverless_has_one_bill)
def counts_the_machine_of_serverless(kind, minutes, every, start=5, idle=120):
    units, machine = node_hours(kind, minutes, every, start, idle)
    return units, machine or units


@wrong(node_hours, caught_by=serverless_has_one_bill)
def forgets_the_hours(kind, minutes, every, start=5, idle=120):
    return tuple(60 * one for one in node_hours(kind, minutes, every, start, idle))


@wrong(node_hours, caught_by=a_start_costs_the_machine_and_no_units)
def bills_units_while_it_starts(kind, minutes, every, start=5, idle=120):
    units, machine = node_hours(kind, minutes, every, start, idle)
    return (units if kind == "serverless" else machine), machine


@wrong(node_hours, caught_by=a_start_costs_the_machine_and_no_units)
def starts_for_nothing(kind, minutes, every, start=5, idle=120):
    return node_hours(kind, minutes, every, 0, idle)


@wrong(node_hours, caught_by=it_starts_for_each_run)
def thinks_that_jobs_are_nightly(kind, minutes, every, start=5, idle=120):
    return node_hours(kind, minutes, 1440, start, idle)


@wrong(node_hours, caught_by=idle_time_is_billed_twice)
def bills_no_units_when_idle(kind, minutes, every, start=5, idle=120):
    units, machine = node_hours(kind, minutes, every, start, idle)
    return minutes * 720 / every, machine


@wrong(node_hours, caught_by=it_never_stops_when_the_next_run_comes_first)
def counts_idle_hours_that_overlap(kind, minutes, every, start=5, idle=120):
    runs = 720 / every
    idle = idle if kind == "interactive" else 0
    return (minutes + idle) * runs, 0 if kind == "serverless" else (start + minutes + idle) * runs


@wrong(node_hours, caught_by=the_stop_can_be_earlier)
def writes_the_two_hours_in(kind, minutes, every, start=5, idle=120):
    return node_hours(kind, minutes, every, start, 120)


@also_right(node_hours)
def with_minutes_of_a_run(kind, minutes, every, start=5, idle=120):
    units = minutes + (idle if kind == "interactive" else 0)
    machine = 0 if kind == "serverless" else start + units
    if machine >= every:
        units = machine = every
    return [units / every * 720, machine / every * 720]


@also_right(node_hours)
def by_walking_through_the_month(kind, minutes, every, start=5, idle=120):
    units, machine = 0.0, 0.0
    runs = 30 * 24 * 60 // every
    never_stops = kind == "interactive" and start + minutes + idle >= every
    for _ in range(int(runs)):
        if never_stops:
            units += every
            machine += every
            continue
        units += minutes
        if kind != "serverless":
            machine += start + minutes
        if kind == "interactive":
            units += idle
            machine += idle
    left = 30 * 24 * 60 - runs * every
    return (units + left * never_stops) / 60, (machine + left * never_stops) / 60
