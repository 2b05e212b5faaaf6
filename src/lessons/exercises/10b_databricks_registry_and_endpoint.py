"""Exercises of lesson 10b: which rights are missing, and which size each version behind an endpoint needs."""

from course.exercise import also_right, checks, right, wrong

# --- missing_grants ---------------------------------------------------------------------------------------------------


@right
def missing_grants(held, model):
    """Return the rights that somebody still needs to load `model`, as a list of pairs (privilege, object).

    `model` is a name of three parts. Needed are USE_CATALOG on its catalog, USE_SCHEMA on its schema and
    EXECUTE on the model; return what is missing in this order, each on its own object:
    `[("USE_SCHEMA", "main.demand")]`. `held` is a list of such pairs. A right on an object is inherited by all
    below it, and ALL_PRIVILEGES on an object is every right on it.
    """
    catalog, schema, _ = model.split(".")
    levels = [catalog, f"{catalog}.{schema}", model]
    missing = []
    for depth, privilege in enumerate(["USE_CATALOG", "USE_SCHEMA", "EXECUTE"]):
        here_or_above = levels[: depth + 1]
        if not any((one, name) in held for name in here_or_above for one in (privilege, "ALL_PRIVILEGES")):
            missing.append((privilege, levels[depth]))
    return missing


MODEL = "main.demand.minutes"
DOORS = [("USE_CATALOG", "main"), ("USE_SCHEMA", "main.demand")]
ALL = [*DOORS, ("EXECUTE", MODEL)]


def _missing(answer, held, model=MODEL):
    found = answer(held, model)
    assert isinstance(found, (list, tuple)), f"return a list of pairs; you returned a {type(found).__name__}"
    return [tuple(one) for one in found]


@checks(missing_grants)
def who_holds_nothing_needs_three(answer):
    """Which three doors lie between somebody and the model, from the outside in?"""
    assert (found := _missing(answer, [])) == ALL, (
        f"nothing is held, so {ALL} are missing; you return {found}"
    )


@checks(missing_grants)
def who_holds_all_needs_none(answer):
    """What is left when each of the three is held?"""
    assert (found := _missing(answer, ALL)) == [], f"all three are held; you return {found}"


@checks(missing_grants)
def execute_alone_opens_no_door(answer):
    """Does a right on the model let anybody into its schema?"""
    found = _missing(answer, [("EXECUTE", MODEL)])
    assert found == DOORS, f"EXECUTE is held, the two doors {DOORS} are not; you return {found}"


@checks(missing_grants)
def a_right_is_inherited_from_above(answer):
    """EXECUTE is held on the catalog. Which objects lie below it?"""
    held = [("USE_CATALOG", "main"), ("USE_SCHEMA", "main"), ("EXECUTE", "main")]
    assert (found := _missing(answer, held)) == [], f"all are held on the catalog; you return {found}"
    held = [*DOORS, ("EXECUTE", "main.demand")]
    assert (found := _missing(answer, held)) == [], f"EXECUTE is held on the schema; you return {found}"


@checks(missing_grants)
def all_privileges_are_every_right(answer):
    """What does ALL_PRIVILEGES on the schema contain, and what does it not?"""
    found = _missing(answer, [("ALL_PRIVILEGES", "main.demand")])
    assert found == [("USE_CATALOG", "main")], (
        f"schema and model are open, the catalog above is not; you return {found}"
    )


@checks(missing_grants)
def another_schema_of_a_like_name_does_not_count(answer):
    """Is `main.demand_old` above `main.demand.minutes`, or is `main` above `main2.demand.minutes`?"""
    held = [("USE_CATALOG", "main"), ("USE_SCHEMA", "main.demand"), ("EXECUTE", "main.demand")]
    found, wanted = _missing(answer, held, "main.demand_old.minutes"), "main.demand_old"
    assert found == [("USE_SCHEMA", wanted), ("EXECUTE", f"{wanted}.minutes")], (
        f"rights on main.demand are none on {wanted}; you return {found}"
    )


@wrong(missing_grants, caught_by=who_holds_all_needs_none)
def names_all_that_is_needed(held, model):
    return missing_grants([], model)


@wrong(missing_grants, caught_by=execute_alone_opens_no_door)
def asks_for_execute_only(held, model):
    if not any(privilege == "EXECUTE" for privilege, _ in held):
        return missing_grants(held, model)
    return []


@wrong(missing_grants, caught_by=a_right_is_inherited_from_above)
def forgets_what_is_inherited(held, model):
    catalog, schema, _ = model.split(".")
    needed = [("USE_CATALOG", catalog), ("USE_SCHEMA", f"{catalog}.{schema}"), ("EXECUTE", model)]
    return [one for one in needed if one not in held and ("ALL_PRIVILEGES", one[1]) not in held]


@wrong(missing_grants, caught_by=all_privileges_are_every_right)
def does_not_know_all_privileges(held, model):
    return missing_grants([one for one in held if one[0] != "ALL_PRIVILEGES"], model)


@wrong(missing_grants, caught_by=all_privileges_are_every_right)
def takes_a_right_below_for_one_above(held, model):
    if any(privilege == "ALL_PRIVILEGES" for privilege, _ in held):
        return []
    return missing_grants(held, model)


@wrong(missing_grants, caught_by=another_schema_of_a_like_name_does_not_count)
def compares_beginnings(held, model):
    catalog, schema, _ = model.split(".")
    needed = [("USE_CATALOG", catalog), ("USE_SCHEMA", f"{catalog}.{schema}"), ("EXECUTE", model)]
    return [
        (wanted, name)
        for wanted, name in needed
        if not any(one in (wanted, "ALL_PRIVILEGES") and name.startswith(where) for one, where in held)
    ]


@wrong(missing_grants, caught_by=who_holds_nothing_needs_three)
def stops_at_the_first(held, model):
    return missing_grants(held, model)[:1]


@also_right(missing_grants)
def with_sets_of_levels(held, model):
    parts = model.split(".")
    levels = [".".join(parts[:depth]) for depth in (1, 2, 3)]
    missing = ()
    for depth, privilege in enumerate(("USE_CATALOG", "USE_SCHEMA", "EXECUTE"), 1):
        counts = {(one, name) for name in levels[:depth] for one in (privilege, "ALL_PRIVILEGES")}
        if counts.isdisjoint(map(tuple, held)):
            missing += ((privilege, levels[depth - 1]),)
    return missing


@also_right(missing_grants)
def by_walking_down(held, model):
    open_here, missing, name = set(), [], ""
    for part, privilege in zip(model.split("."), ["USE_CATALOG", "USE_SCHEMA", "EXECUTE"], strict=True):
        name = f"{name}.{part}".lstrip(".")
        open_here |= {one for one, where in held if where == name}
        if not open_here & {privilege, "ALL_PRIVILEGES"}:
            missing.append([privilege, name])
    return missing


# --- sizes ------------------------------------------------------------------------------------------------------------


@right
def sizes(rate, split, most=0.7):
    """Return the smallest size that each version behind an endpoint needs, as a dictionary by version.

    `rate` requests a second come to the endpoint. `split` maps a version to a pair: the percent of the traffic
    that it gets, and the seconds that one answer of it takes. By Little's law, requests inside a version =
    its requests a second times its seconds. A size works on so many at once: Small 4, Medium 16, Large 64, and
    may be used up to the share `most` of that. Where Large is too small, the size is None.
    """
    found = {}
    for version, (percent, seconds) in split.items():
        inside = rate * percent / 100 * seconds
        enough = [
            name for name, many in (("Small", 4), ("Medium", 16), ("Large", 64)) if inside <= most * many
        ]
        found[version] = enough[0] if enough else None
    return found


def _sizes(answer, *given, **more):
    found = answer(*given, **more)
    assert isinstance(found, dict), f"return a dictionary by version; you returned {found!r}"
    return found


@checks(sizes)
def inside_is_rate_times_seconds(answer):
    """200 requests a second, 0.05 seconds each: how many are inside, and which size holds them?"""
    found = _sizes(answer, 200, {"1": (100, 0.05)})
    assert found == {"1": "Medium"}, f"ten are inside, and Medium works on 16; you return {found}"


@checks(sizes)
def each_version_gets_its_share(answer):
    """Of the endpoint's requests, how many come to a version with 10 percent?"""
    found = _sizes(answer, 200, {"1": (90, 0.05), "2": (10, 0.05)})
    assert found == {"1": "Medium", "2": "Small"}, (
        f"nine are inside of 1, one inside of 2; you return {found}"
    )


@checks(sizes)
def a_slow_version_needs_more(answer):
    """Ten percent of the traffic, and answers that take twenty times as long: what is inside?"""
    found = _sizes(answer, 200, {"1": (90, 0.01), "2": (10, 0.5)})
    assert found == {"1": "Small", "2": "Medium"}, f"1.8 are inside of 1, ten of 2; you return {found}"


@checks(sizes)
def room_is_left(answer):
    """Twelve are inside, and Medium works on 16. Up to which number may it be used?"""
    found = _sizes(answer, 240, {"1": (100, 0.05)})
    assert found == {"1": "Large"}, f"twelve are more than 0.7 of 16; you return {found}"
    found = _sizes(answer, 240, {"1": (100, 0.05)}, most=0.9)
    assert found == {"1": "Medium"}, f"twelve are less than 0.9 of 16; you return {found}"


@checks(sizes)
def the_limit_itself_is_enough(answer):
    """*Up to* the share: is the limit itself allowed?"""
    found = _sizes(answer, 40, {"1": (100, 0.05)}, most=0.5)
    assert found == {"1": "Small"}, f"two are inside, and half of 4 is two; you return {found}"


@checks(sizes)
def too_much_is_none(answer):
    """3,000 requests a second, 0.05 seconds each: which size holds 150?"""
    found = _sizes(answer, 3000, {"1": (100, 0.05), "2": (0, 0.05)})
    assert found == {"1": None, "2": "Small"}, f"150 are too many for Large, 0 are not; you return {found}"


@wrong(sizes, caught_by=inside_is_rate_times_seconds)
def orders_by_the_rate(rate, split, most=0.7):
    return sizes(rate, {version: (percent, 1) for version, (percent, _) in split.items()}, most)


@wrong(sizes, caught_by=each_version_gets_its_share)
def gives_all_the_whole_load(rate, split, most=0.7):
    return sizes(rate, {version: (100, seconds) for version, (_, seconds) in split.items()}, most)


@wrong(sizes, caught_by=inside_is_rate_times_seconds)
def takes_percent_for_a_share(rate, split, most=0.7):
    return sizes(100 * rate, split, most)


@wrong(sizes, caught_by=a_slow_version_needs_more)
def uses_one_mean_latency(rate, split, most=0.7):
    mean = sum(percent / 100 * seconds for percent, seconds in split.values())
    return sizes(rate, {version: (percent, mean) for version, (percent, _) in split.items()}, most)


@wrong(sizes, caught_by=room_is_left)
def leaves_no_room(rate, split, most=0.7):
    return sizes(rate, split, 1.0)


@wrong(sizes, caught_by=room_is_left)
def writes_the_share_in(rate, split, most=0.7):
    return sizes(rate, split)


@wrong(sizes, caught_by=the_limit_itself_is_enough)
def wants_less_than_the_limit(rate, split, most=0.7):
    return sizes(rate, split, most - 1e-9)


@wrong(sizes, caught_by=too_much_is_none)
def gives_large_to_the_rest(rate, split, most=0.7):
    return {version: size or "Large" for version, size in sizes(rate, split, most).items()}


@also_right(sizes)
def with_conditions(rate, split, most=0.7):
    def size(percent, seconds):
        used = rate * percent / 100 * seconds / most
        if used <= 4:
            return "Small"
        if used <= 16:
            return "Medium"
        return "Large" if used <= 64 else None

    return {version: size(*row) for version, row in split.items()}


@also_right(sizes)
def with_pandas(rate, split, most=0.7):
    import numpy as np
    import pandas as pd

    table = pd.DataFrame(split, index=["percent", "seconds"]).T
    inside = rate * table["percent"] / 100 * table["seconds"]
    place = np.searchsorted([most * 4, most * 16, most * 64], inside)
    return dict(zip(split, (("Small", "Medium", "Large", None)[number] for number in place), strict=True))
