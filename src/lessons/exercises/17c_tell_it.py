"""Exercises of lesson 17c: what breaks first when the load grows, and the cheapest change that carries it."""

import itertools
import math
import statistics

import numpy as np
import pandas as pd

from course.exercise import also_right, checks, right, wrong

# --- breaks_first -----------------------------------------------------------------------------------------------------


@right
def breaks_first(measured, limits):
    """Return the name of what reaches its limit first as the load grows, and at how many times today's load, not rounded.

    `measured` is a DataFrame with a row for each load that was run (its index: times today's load) and a column for
    each resource. `limits` maps each resource to the most that there is of it. Take each resource as a straight line
    through its measurements (least squares): a part that is always needed, and a part that grows with the load. What
    does not grow never breaks; if nothing breaks, return `(None, np.inf)`.
    """
    at = {}
    for name, limit in limits.items():
        slope, fixed = np.polyfit(measured.index, measured[name], 1)
        at[name] = (limit - fixed) / slope if slope > 1e-9 else np.inf
    first = min(at, key=at.get)
    return (first, at[first]) if at[first] < np.inf else (None, np.inf)


_NEVER = 1e6  # times the load: a slope of a rounding error is no growth


def _first(answer, measured, limits):
    found = answer(measured.copy(), dict(limits))
    assert isinstance(found, tuple | list) and len(found) == 2, (
        f"return a name and a number; you return {found!r}"
    )
    name, load = found
    assert name is None or name in limits, f"the name is one of {', '.join(limits)}; you return {name!r}"
    assert isinstance(load, int | float | np.number) and not math.isnan(load), (
        f"the load is a number; you return {load!r}"
    )
    return (None, math.inf) if load > _NEVER else (name, float(load))


def _lines(loads, **resources):
    """Measurements that lie on lines: for each resource what is always needed, and what a load adds."""
    table = {name: [fixed + load * more for load in loads] for name, (fixed, more) in resources.items()}
    return pd.DataFrame(table, index=loads)


def _same(found, name, load):
    return found[0] == name and math.isclose(found[1], load, rel_tol=1e-3)


@checks(breaks_first)
def the_part_that_is_always_needed_does_not_grow(answer):
    """A month needs 50 seconds whatever comes and 2 for each load. How many loads fit into 250 seconds?"""
    found = _first(answer, _lines([1, 2, 4], seconds=(50, 2)), {"seconds": 250})
    assert _same(found, "seconds", 100), (
        f"50 + 2 × load reaches 250 at 100 times the load; you return {found[0]} at {found[1]:.2f}"
    )


@checks(breaks_first)
def each_has_a_limit_of_its_own(answer):
    """Which one comes to its limit at the smallest load? It need not be the one that needs most, or grows fastest."""
    measured = _lines([1, 2, 4, 8], seconds=(90, 10), memory=(0.5, 0.05), disk=(0, 40))
    found = _first(answer, measured, {"seconds": 3600, "memory": 2, "disk": 50_000})
    assert _same(found, "memory", 30), (
        "seconds reach 3600 at 351 times the load, memory 2 at 30 times, disk 50,000 at 1250 times; "
        f"you return {found[0]} at {found[1]:.2f}"
    )


@checks(breaks_first)
def the_order_changes_beyond_the_loads_that_were_run(answer):
    """At the largest load that was run one resource is nearer to its limit. Is it still so further out?"""
    measured = _lines([1, 2, 4, 8], memory=(1.2, 0.01), disk=(0, 6))
    found = _first(answer, measured, {"memory": 2, "disk": 100})
    assert _same(found, "disk", 100 / 6), (
        "at 8 times the load memory is at 64 % of its limit and disk at 48 %; disk is full at 16.7 times, memory at 80; "
        f"you return {found[0]} at {found[1]:.2f}"
    )


@checks(breaks_first)
def every_measurement_counts(answer):
    """Measurements scatter. What does a line through two of them say, and what one through all?"""
    measured = pd.DataFrame({"seconds": [14.0, 11.0, 23.0, 25.0, 41.0]}, index=[1, 2, 4, 8, 16])
    slope, fixed = np.polyfit(measured.index, measured["seconds"], 1)
    found, load = _first(answer, measured, {"seconds": 100}), (100 - fixed) / slope
    assert _same(found, "seconds", load), (
        f"the line of least squares through all five reaches 100 at {load:.2f} times the load; you say {found[1]:.2f}"
    )


@checks(breaks_first)
def the_loads_are_in_the_index(answer):
    """What is on the line's other axis: the number of the row, or the load that was run?"""
    for loads in ([2, 5, 10], [8, 1, 4]):
        found = _first(answer, _lines(loads, seconds=(10, 3)), {"seconds": 310})
        assert _same(found, "seconds", 100), (
            f"loads {loads}: 10 + 3 × load reaches 310 at 100 times; you say {found[1]:.2f}"
        )


@checks(breaks_first)
def what_does_not_grow_never_breaks(answer):
    """Where does a line that is level, or falls, meet a limit above it? Look at the sign of what you get."""
    measured = _lines([1, 2, 4], journal=(7, 0), misses=(9, -1), seconds=(0, 5))
    found = _first(answer, measured, {"journal": 8, "misses": 10, "seconds": 100})
    assert _same(found, "seconds", 20), (
        f"journal is level, misses fall, seconds reach 100 at 20 times; you return {found[0]} at {found[1]:.2f}"
    )
    found = _first(answer, measured[["journal", "misses"]], {"journal": 8, "misses": 10})
    assert found == (None, math.inf), f"nothing grows: (None, inf); you return {found[0]} at {found[1]:.2f}"


@wrong(breaks_first, caught_by=the_part_that_is_always_needed_does_not_grow)
def all_grows_with_the_load(measured, limits):
    at = {name: limit / measured[name].iloc[0] * measured.index[0] for name, limit in limits.items()}
    first = min(at, key=at.get)
    return first, at[first]


@wrong(breaks_first, caught_by=the_part_that_is_always_needed_does_not_grow)
def divides_at_the_largest_load(measured, limits):
    at = {name: limit / measured[name].iloc[-1] * measured.index[-1] for name, limit in limits.items()}
    first = min(at, key=at.get)
    return first, at[first]


@wrong(breaks_first, caught_by=each_has_a_limit_of_its_own)
def the_steepest(measured, limits):
    lines = {name: np.polyfit(measured.index, measured[name], 1) for name in limits}
    first = max(lines, key=lambda name: lines[name][0])
    return first, (limits[first] - lines[first][1]) / lines[first][0]


@wrong(breaks_first, caught_by=each_has_a_limit_of_its_own)
def the_last_one(measured, limits):
    lines = {name: np.polyfit(measured.index, measured[name], 1) for name in limits}
    at = {name: (limits[name] - fixed) / slope for name, (slope, fixed) in lines.items()}
    first = max(at, key=at.get)
    return first, at[first]


@wrong(breaks_first, caught_by=the_order_changes_beyond_the_loads_that_were_run)
def nearest_to_its_limit_now(measured, limits):
    first = max(limits, key=lambda name: measured[name].iloc[-1] / limits[name])
    slope, fixed = np.polyfit(measured.index, measured[first], 1)
    return first, (limits[first] - fixed) / slope


@wrong(breaks_first, caught_by=every_measurement_counts)
def a_line_through_two(measured, limits):
    at = {}
    for name, limit in limits.items():
        slope = (measured[name].iloc[1] - measured[name].iloc[0]) / (measured.index[1] - measured.index[0])
        left = limit - measured[name].iloc[0]
        at[name] = measured.index[0] + left / slope if slope > 0 else math.inf
    first = min(at, key=at.get)
    return first, at[first]


@wrong(breaks_first, caught_by=every_measurement_counts)
def a_line_through_the_ends(measured, limits):
    at = {}
    for name, limit in limits.items():
        slope = (measured[name].iloc[-1] - measured[name].iloc[0]) / (measured.index[-1] - measured.index[0])
        left = limit - measured[name].iloc[0]
        at[name] = measured.index[0] + left / slope if slope > 0 else math.inf
    first = min(at, key=at.get)
    return first, at[first]


@wrong(breaks_first, caught_by=the_part_that_is_always_needed_does_not_grow)
def counts_the_rows(measured, limits):
    at = {}
    for name, limit in limits.items():
        slope, fixed = np.polyfit(range(1, len(measured) + 1), measured[name], 1)
        at[name] = (limit - fixed) / slope if slope > 1e-9 else math.inf
    first = min(at, key=at.get)
    return first, at[first]


@wrong(breaks_first, caught_by=the_loads_are_in_the_index)
def powers_of_two(measured, limits):
    at = {}
    for name, limit in limits.items():
        slope, fixed = np.polyfit([2**row for row in range(len(measured))], measured[name], 1)
        at[name] = (limit - fixed) / slope if slope > 1e-9 else math.inf
    first = min(at, key=at.get)
    return (first, at[first]) if at[first] < math.inf else (None, math.inf)


@wrong(breaks_first, caught_by=what_does_not_grow_never_breaks)
def takes_what_falls(measured, limits):
    at = {}
    for name, limit in limits.items():
        slope, fixed = np.polyfit(measured.index, measured[name], 1)
        at[name] = (limit - fixed) / slope if abs(slope) > 1e-9 else math.inf
    first = min(at, key=at.get)
    return first, at[first]


@wrong(breaks_first, caught_by=what_does_not_grow_never_breaks)
def names_one_that_never_breaks(measured, limits):
    at = {}
    for name, limit in limits.items():
        slope, fixed = np.polyfit(measured.index, measured[name], 1)
        at[name] = (limit - fixed) / slope if slope > 1e-9 else 100.0
    first = min(at, key=at.get)
    return first, at[first]


@also_right(breaks_first)
def by_the_standard_library(measured, limits):
    at = []
    for name, limit in limits.items():
        line = statistics.linear_regression(list(measured.index), list(measured[name]))
        if line.slope > 0:
            at.append(((limit - line.intercept) / line.slope, name))
    if not at:
        return None, math.inf
    load, name = min(at)
    return name, load


@also_right(breaks_first)
def by_covariance(measured, limits):
    loads = pd.Series(measured.index, measured.index, dtype=float)
    names = list(limits)
    slope = measured[names].apply(lambda one: one.cov(loads)) / loads.var()
    fixed = measured[names].mean() - slope * loads.mean()
    at = ((pd.Series(limits)[names] - fixed) / slope)[slope > 1e-9]
    return (at.idxmin(), at.min()) if len(at) else (None, math.inf)


@also_right(breaks_first)
def by_equations(measured, limits):
    names, loads = list(limits), np.asarray(measured.index, dtype=float)
    (fixed, slope), *_ = np.linalg.lstsq(
        np.column_stack([np.ones(len(loads)), loads]), measured[names].to_numpy(), rcond=None
    )
    grows = slope > 1e-9
    at = np.where(
        grows, (np.array([limits[one] for one in names]) - fixed) / np.where(grows, slope, 1), np.inf
    )
    first = int(at.argmin())
    return (names[first], float(at[first])) if np.isfinite(at[first]) else (None, math.inf)


# --- cheapest_change --------------------------------------------------------------------------------------------------


@right
def cheapest_change(needs, limits, changes, budget):
    """Return what to change: a list of names, in alphabetical order, of the cheapest changes after which all needs fit.

    `needs` maps each resource to what it needs at the load that is asked for, `limits` to what there is of it; a need
    fits when it is no larger than its limit. `changes` maps a name to `{"cost": …, "times": {resource: factor}}`: the
    change multiplies the need of these resources, and of no others; several changes multiply one after the other. Each
    is made once or not at all, and all together cost at most `budget`. Return `[]` if nothing has to be changed, and
    `None` if nothing within the budget is enough.
    """
    best = None
    for number in range(len(changes) + 1):
        for chosen in itertools.combinations(sorted(changes), number):
            cost = sum(changes[one]["cost"] for one in chosen)
            after = dict(needs)
            for one in chosen:
                for name, factor in changes[one]["times"].items():
                    after[name] *= factor
            fits = all(after[name] <= limits[name] for name in needs)
            if fits and cost <= budget and (best is None or cost < best[0]):
                best = cost, list(chosen)
    return None if best is None else best[1]


def _change(cost, **times):
    return {"cost": cost, "times": times}


def _chosen(answer, needs, limits, changes, budget):
    copies = {name: {"cost": one["cost"], "times": dict(one["times"])} for name, one in changes.items()}
    found = answer(dict(needs), dict(limits), copies, budget)
    assert found is None or isinstance(found, list), f"return a list of names, or None; you return {found!r}"
    assert found is None or set(found) <= set(changes), f"you return {found}: not all of these are changes"
    return found


_NEEDS, _LIMITS = {"memory": 8.0, "hours": 0.5}, {"memory": 2.0, "hours": 1.0}


@checks(cheapest_change)
def what_fits_is_left_alone(answer):
    """All needs are within their limits. What does the cheapest change cost?"""
    changes = {"larger machine": _change(700, memory=0.25), "tidy up": _change(0.5, memory=0.9)}
    found = _chosen(answer, {"memory": 2.0, "hours": 0.5}, _LIMITS, changes, 1000)
    assert found == [], f"memory needs 2 and has 2, hours .5 and 1: nothing to change, []; you return {found}"


@checks(cheapest_change)
def the_cheapest_that_is_enough(answer):
    """One change is cheap and too little, one is enough, one is more than enough. Which do you take?"""
    changes = {
        "drop columns": _change(300, memory=0.5),
        "larger machine": _change(700, memory=0.25),
        "rewrite": _change(6000, memory=0.05),
    }
    found = _chosen(answer, _NEEDS, _LIMITS, changes, 10_000)
    assert found == ["larger machine"], f"memory 8 has to come to 2: a quarter, for 700; you return {found}"


@checks(cheapest_change)
def changes_multiply(answer):
    """Two changes halve the memory each. What is left of it?"""
    changes = {
        "drop columns": _change(300, memory=0.5),
        "half precision": _change(200, memory=0.5),
        "rewrite": _change(6000, memory=0.25),
    }
    found = _chosen(answer, _NEEDS, _LIMITS, changes, 10_000)
    assert found == ["drop columns", "half precision"], (
        f"two halves make a quarter of 8, which is 2, for 500 in place of 6000; you return {found}"
    )


@checks(cheapest_change)
def a_change_may_cost_another_resource(answer):
    """Reading in pieces saves memory and takes time. Do the hours still fit afterwards?"""
    changes = {
        "read in pieces": _change(400, memory=0.1, hours=3.0),
        "larger machine": _change(700, memory=0.25),
    }
    found = _chosen(answer, _NEEDS, _LIMITS, changes, 10_000)
    assert found == ["larger machine"], (
        f"in pieces the memory fits and .5 hours become 1.5, the limit is 1; you return {found}"
    )
    changes["two workers"] = _change(200, hours=0.5)
    found = _chosen(answer, _NEEDS, _LIMITS, changes, 10_000)
    assert found == ["read in pieces", "two workers"], (
        f"with two workers for 200 the pieces take .75 hours, and both cost 600, not 700; you return {found}"
    )


@checks(cheapest_change)
def the_budget_may_say_no(answer):
    """Nothing that is enough can be paid. What do you tell whoever asks?"""
    changes = {"drop columns": _change(300, memory=0.5), "larger machine": _change(700, memory=0.25)}
    found = _chosen(answer, _NEEDS, _LIMITS, changes, 699)
    assert found is None, f"only the larger machine is enough, it costs 700 of 699: None; you return {found}"
    found = _chosen(answer, _NEEDS, _LIMITS, changes, 700)
    assert found == ["larger machine"], f"700 of a budget of 700 can be paid; you return {found}"


@checks(cheapest_change)
def every_set_is_weighed(answer):
    """Cheap changes add up. Is a set of many cheaper than one that does it all, or the other way round?"""
    for seed in range(30):
        rng = np.random.default_rng(seed)
        names = ["memory", "hours", "disk"]
        needs = {name: float(rng.integers(1, 9)) for name in names}
        limits = dict.fromkeys(names, 2.0)
        changes = {}
        for one in "abcdef":
            which = rng.choice(names, rng.integers(1, 3), replace=False)
            times = {str(name): float(rng.choice([0.25, 0.5, 0.5, 2.0])) for name in which}
            changes[one] = _change(float(rng.integers(1, 100_000)), **times)
        budget = float(rng.choice([150_000, 400_000]))
        expected = cheapest_change(needs, limits, changes, budget)
        found = _chosen(answer, needs, limits, changes, budget)
        assert found == expected, (
            f"needs {needs}, limits of 2, budget {budget:,.0f}, changes {changes}: {expected}; you return {found}"
        )


@wrong(cheapest_change, caught_by=what_fits_is_left_alone)
def always_changes_something(needs, limits, changes, budget):
    best = None
    for number in range(1, len(changes) + 1):
        for chosen in itertools.combinations(sorted(changes), number):
            cost = sum(changes[one]["cost"] for one in chosen)
            after = {
                name: need * math.prod(changes[one]["times"].get(name, 1) for one in chosen)
                for name, need in needs.items()
            }
            fits = all(after[name] <= limits[name] for name in needs)
            if fits and cost <= budget and (best is None or cost < best[0]):
                best = cost, list(chosen)
    return None if best is None else best[1]


@wrong(cheapest_change, caught_by=what_fits_is_left_alone)
def below_the_limit_only(needs, limits, changes, budget):
    return cheapest_change(needs, {name: limit - 1e-6 for name, limit in limits.items()}, changes, budget)


@wrong(cheapest_change, caught_by=the_cheapest_that_is_enough)
def the_cheapest_that_helps(needs, limits, changes, budget):
    if all(needs[name] <= limits[name] for name in needs):
        return []
    return [min(changes, key=lambda one: changes[one]["cost"])]


@wrong(cheapest_change, caught_by=the_cheapest_that_is_enough)
def cheapest_first_until_it_fits(needs, limits, changes, budget):
    after, spent, chosen = dict(needs), 0, []
    for one in sorted(changes, key=lambda one: changes[one]["cost"]):
        if all(after[name] <= limits[name] for name in needs):
            break
        chosen.append(one)
        spent += changes[one]["cost"]
        for name, factor in changes[one]["times"].items():
            after[name] *= factor
    fits = all(after[name] <= limits[name] for name in needs)
    return sorted(chosen) if fits and spent <= budget else None


@wrong(cheapest_change, caught_by=the_cheapest_that_is_enough)
def all_that_the_budget_pays(needs, limits, changes, budget):
    if all(needs[name] <= limits[name] for name in needs):
        return []
    return sorted(changes) if sum(one["cost"] for one in changes.values()) <= budget else None


@wrong(cheapest_change, caught_by=the_cheapest_that_is_enough)
def one_change_with_the_largest_effect(needs, limits, changes, budget):
    if all(needs[name] <= limits[name] for name in needs):
        return []
    best = min(changes, key=lambda one: math.prod(changes[one]["times"].values()))
    return [best] if changes[best]["cost"] <= budget else None


@wrong(cheapest_change, caught_by=changes_multiply)
def one_change_at_most(needs, limits, changes, budget):
    if all(needs[name] <= limits[name] for name in needs):
        return []
    enough = [
        one
        for one, what in changes.items()
        if what["cost"] <= budget
        and all(needs[name] * what["times"].get(name, 1) <= limits[name] for name in needs)
    ]
    return [min(enough, key=lambda one: changes[one]["cost"])] if enough else None


@wrong(cheapest_change, caught_by=every_set_is_weighed)
def two_changes_at_most(needs, limits, changes, budget):
    best = None
    for number in range(3):
        for chosen in itertools.combinations(sorted(changes), number):
            cost = sum(changes[one]["cost"] for one in chosen)
            after = {
                name: need * math.prod(changes[one]["times"].get(name, 1) for one in chosen)
                for name, need in needs.items()
            }
            fits = all(after[name] <= limits[name] for name in needs)
            if fits and cost <= budget and (best is None or cost < best[0]):
                best = cost, list(chosen)
    return None if best is None else best[1]


@wrong(cheapest_change, caught_by=changes_multiply)
def savings_add_up(needs, limits, changes, budget):
    best = None
    for number in range(len(changes) + 1):
        for chosen in itertools.combinations(sorted(changes), number):
            cost = sum(changes[one]["cost"] for one in chosen)
            after = {
                name: need * (1 - sum(1 - changes[one]["times"].get(name, 1) for one in chosen))
                for name, need in needs.items()
            }
            fits = all(after[name] <= limits[name] for name in needs) and min(after.values()) > 0
            if fits and cost <= budget and (best is None or cost < best[0]):
                best = cost, list(chosen)
    return None if best is None else best[1]


@wrong(cheapest_change, caught_by=changes_multiply)
def the_fewest_changes(needs, limits, changes, budget):
    for number in range(len(changes) + 1):
        enough = []
        for chosen in itertools.combinations(sorted(changes), number):
            cost = sum(changes[one]["cost"] for one in chosen)
            after = {
                name: need * math.prod(changes[one]["times"].get(name, 1) for one in chosen)
                for name, need in needs.items()
            }
            if cost <= budget and all(after[name] <= limits[name] for name in needs):
                enough.append((cost, list(chosen)))
        if enough:
            return min(enough)[1]
    return None


@wrong(cheapest_change, caught_by=a_change_may_cost_another_resource)
def looks_at_what_is_too_large_only(needs, limits, changes, budget):
    short = {name: need for name, need in needs.items() if need > limits[name]}
    only = {
        one: {"cost": what["cost"], "times": {n: f for n, f in what["times"].items() if n in short}}
        for one, what in changes.items()
    }
    return cheapest_change(short, limits, only, budget)


@wrong(cheapest_change, caught_by=the_budget_may_say_no)
def spends_what_it_takes(needs, limits, changes, budget):
    return cheapest_change(needs, limits, changes, math.inf)


@wrong(cheapest_change, caught_by=the_budget_may_say_no)
def does_nothing_when_it_can_t_pay(needs, limits, changes, budget):
    return cheapest_change(needs, limits, changes, budget) or []


@wrong(cheapest_change, caught_by=the_budget_may_say_no)
def keeps_a_little_of_the_budget(needs, limits, changes, budget):
    return cheapest_change(needs, limits, changes, budget - 1)


@also_right(cheapest_change)
def by_ones_and_zeros(needs, limits, changes, budget):
    names = sorted(changes)
    found = []
    for mask in itertools.product([0, 1], repeat=len(names)):
        chosen = list(itertools.compress(names, mask))
        cost = sum(changes[one]["cost"] for one in chosen)
        if cost <= budget and all(
            need * math.prod(changes[one]["times"].get(name, 1) for one in chosen) <= limits[name]
            for name, need in needs.items()
        ):
            found.append((cost, chosen))
    return min(found)[1] if found else None


@also_right(cheapest_change)
def with_or_without_the_first(needs, limits, changes, budget):
    def search(left, now, spent):
        if spent > budget:
            return None
        if not left:
            return (spent, []) if all(now[name] <= limits[name] for name in now) else None
        one, rest = left[0], left[1:]
        then = {name: need * changes[one]["times"].get(name, 1) for name, need in now.items()}
        without, within = search(rest, now, spent), search(rest, then, spent + changes[one]["cost"])
        within = within and (within[0], [one, *within[1]])
        return min(filter(None, (without, within)), default=None)

    best = search(sorted(changes), needs, 0)
    return best and best[1] if best is None else best[1]


@also_right(cheapest_change)
def by_matrix(needs, limits, changes, budget):
    names, resources = sorted(changes), list(needs)
    if not names:
        return [] if all(needs[one] <= limits[one] for one in resources) else None
    sets = np.array(list(itertools.product([False, True], repeat=len(names))))
    cost = sets @ np.array([changes[one]["cost"] for one in names], dtype=float)
    ok = cost <= budget
    for resource in resources:
        factor = np.array([changes[one]["times"].get(resource, 1) for one in names], dtype=float)
        ok &= needs[resource] * np.where(sets, factor, 1.0).prod(axis=1) <= limits[resource]
    if not ok.any():
        return None
    best = sets[np.flatnonzero(ok)[cost[ok].argmin()]]
    return [name for name, taken in zip(names, best, strict=True) if taken]
