"""Exercises of lesson 12c: steps that are taken up again, and what answered on a day."""

import bisect

from course.exercise import also_right, checks, right, wrong

# --- take_up ----------------------------------------------------------------------------------------------------------


@right
def take_up(steps, done, write):
    """Do the steps that are not done yet, in their order, and return the names of those that you did.

    `steps` maps a name to a function without arguments that returns what it found, a dict. `done` maps the names of
    finished steps to what they found, from the journal. After each step call `write(name, found)`: only what is written
    is done. A step that found `{"stop": True}` is the last one, now and when the loop is started again. An exception
    goes through, and nothing is written for its step.
    """
    did = []
    for name, step in steps.items():
        found = done.get(name)
        if found is None:
            found = step()
            write(name, found)
            did.append(name)
        if found.get("stop"):
            break
    return did


class _Run:
    """Four steps that note what happened to them, in order."""

    def __init__(self, done=None, stop=None, breaks=None):
        self.happened, self.done = [], dict(done or {})
        self.stop, self.breaks = stop, breaks

    def step(self, name):
        def do():
            self.happened.append(name)
            if name == self.breaks:
                raise ConnectionError("the store does not answer")
            return {"stop": True} if name == self.stop else {"found": name}

        return do

    def write(self, name, found):
        self.happened.append(f"{name} written")
        assert found == ({"stop": True} if name == self.stop else {"found": name}), (
            f"write what the step `{name}` found; you wrote {found!r}"
        )

    def go(self, answer):
        steps = {name: self.step(name) for name in ("watch", "train", "judge", "promote")}
        found = answer(steps, self.done, self.write)
        assert isinstance(found, (list, tuple)), (
            f"return a list of names; you returned a {type(found).__name__}"
        )
        return list(found)


_FOUND = {name: {"found": name} for name in ("watch", "train", "judge", "promote")}


@checks(take_up)
def each_step_is_written_before_the_next(answer):
    """What does the journal know if the power fails in the third step? Write each step when it is done."""
    run = _Run()
    run.go(answer)
    wanted = [text for name in _FOUND for text in (name, f"{name} written")]
    assert run.happened == wanted, f"the order must be {wanted[:4]} and so on; yours is {run.happened}"


@checks(take_up)
def what_is_done_is_not_done_again(answer):
    """The loop died after the training. Which step comes first when it is started again?"""
    run = _Run(done={name: _FOUND[name] for name in ("watch", "train")})
    found = run.go(answer)
    assert run.happened == ["judge", "judge written", "promote", "promote written"], (
        f"`watch` and `train` are in the journal; you did {run.happened}"
    )
    assert found == ["judge", "promote"], f"you did `judge` and `promote`; you return {found}"


@checks(take_up)
def a_stop_ends_the_month(answer):
    """The gate said no. May anything come after it?"""
    run = _Run(stop="judge")
    found = run.go(answer)
    assert found == ["watch", "train", "judge"] and "judge written" in run.happened, (
        f"`judge` found a stop: it is written, and nothing follows; you did {run.happened}"
    )


@checks(take_up)
def a_stop_in_the_journal_still_stops(answer):
    """The gate said no last night, and the loop is started again this morning. What does the journal say of `judge`?"""
    run = _Run(done={"watch": _FOUND["watch"], "train": _FOUND["train"], "judge": {"stop": True}})
    found = run.go(answer)
    assert found == [] and run.happened == [], (
        f"the journal says that `judge` stopped the month, and you did {run.happened}"
    )


@checks(take_up)
def a_stop_that_is_false_does_not_stop(answer):
    """The trigger of this lesson always says `stop`: True in a quiet month, False after an alarm. Which of them ends it?"""
    run = _Run(done={"watch": {"stop": False}})
    found = run.go(answer)
    assert found == ["train", "judge", "promote"], (
        f'`watch` found {{"stop": False}}, so the other three follow; you did {run.happened}'
    )


@checks(take_up)
def nothing_found_is_done_too(answer):
    """A step found nothing and wrote an empty dict. Is it done?"""
    run = _Run(done={"watch": {}, "train": _FOUND["train"]})
    run.go(answer)
    assert "watch" not in run.happened, "`watch` is in the journal, with an empty dict, and you did it again"


@checks(take_up)
def a_broken_step_is_not_done(answer):
    """A step raises. Who should hear of it, and what may stand in the journal?"""
    run = _Run(breaks="train")
    try:
        run.go(answer)
    except ConnectionError:
        assert run.happened == ["watch", "watch written", "train"], (
            f"`train` raised: nothing is written for it, and nothing follows; you did {run.happened}"
        )
    else:
        raise AssertionError("`train` raised a ConnectionError, and nobody hears of it")


@wrong(take_up, caught_by=each_step_is_written_before_the_next)
def writes_at_the_end(steps, done, write):
    found = {}
    for name in steps:
        if name not in done:
            found[name] = steps[name]()
        if found.get(name, done.get(name, {})).get("stop"):
            break
    for name, one in found.items():
        write(name, one)
    return list(found)


@wrong(take_up, caught_by=each_step_is_written_before_the_next)
def writes_before_it_does(steps, done, write):
    did = []
    for name in steps:
        if name not in done:
            write(name, {"found": name})
            steps[name]()
            did.append(name)
    return did


@wrong(take_up, caught_by=what_is_done_is_not_done_again)
def begins_at_the_beginning(steps, done, write):
    did = []
    for name, step in steps.items():
        found = step()
        write(name, found)
        did.append(name)
        if found.get("stop"):
            break
    return did


@wrong(take_up, caught_by=a_stop_ends_the_month)
def does_not_stop(steps, done, write):
    did = []
    for name in steps:
        if name not in done:
            write(name, steps[name]())
            did.append(name)
    return did


@wrong(take_up, caught_by=a_stop_in_the_journal_still_stops)
def forgets_the_stop_of_last_night(steps, done, write):
    did = []
    for name, step in steps.items():
        if name in done:
            continue
        found = step()
        write(name, found)
        did.append(name)
        if found.get("stop"):
            break
    return did


@wrong(take_up, caught_by=a_stop_that_is_false_does_not_stop)
def looks_for_the_word_stop(steps, done, write):
    did = []
    for name, step in steps.items():
        if name in done:
            found = done[name]
        else:
            found = step()
            write(name, found)
            did.append(name)
        if "stop" in found:
            break
    return did


@wrong(take_up, caught_by=nothing_found_is_done_too)
def asks_whether_something_was_found(steps, done, write):
    did = []
    for name, step in steps.items():
        found = done.get(name)
        if not found:
            found = step()
            write(name, found)
            did.append(name)
        if found.get("stop"):
            break
    return did


@wrong(take_up, caught_by=a_broken_step_is_not_done)
def goes_on_after_a_fault(steps, done, write):
    did = []
    for name, step in steps.items():
        found = done.get(name)
        if found is None:
            try:
                found = step()
            except Exception:
                continue
            write(name, found)
            did.append(name)
        if found.get("stop"):
            break
    return did


@also_right(take_up)
def by_skipping(steps, done, write):
    did = []
    for name in steps:
        if name not in done:
            known = steps[name]()
            write(name, known)
            did += [name]
        else:
            known = done[name]
        if known.get("stop", False):
            return did
    return did


@also_right(take_up)
def with_a_generator(steps, done, write):
    def doing():
        for name, step in steps.items():
            fresh = name not in done
            found = step() if fresh else done[name]
            if fresh:
                write(name, found)
                yield name
            if found.get("stop") is True:
                return

    return tuple(doing())


# --- answered ---------------------------------------------------------------------------------------------------------


@right
def answered(diary, day):
    """Return the version that was champion at the end of this day ("2020-05-11"), or None before the first.

    `diary` is a list of dicts with `on` (a day), `event` and `version`, in no order; what lies on one day is in order.
    The event "promoted" makes a version the champion. "rolled back" withdraws a version: if it is the champion, the one
    before it answers again; a canary that is rolled back was never champion. Other events change nothing.
    """
    champions = []
    for line in sorted(diary, key=lambda one: one["on"]):
        if line["on"] > day:
            break
        if line["event"] == "promoted":
            champions.append(line["version"])
        elif line["event"] == "rolled back":
            champions = [version for version in champions if version != line["version"]]
    return champions[-1] if champions else None


def _diary(*lines):
    return [dict(zip(("on", "event", "version"), line, strict=True)) for line in lines]


_YEAR = _diary(
    ("2020-01-01", "promoted", "1"),
    ("2020-05-01", "canary", "2"),
    ("2020-05-11", "promoted", "2"),
    ("2020-06-01", "refused", "3"),
    ("2020-08-11", "promoted", "4"),
)


@checks(answered)
def the_last_promotion_before_the_day_counts(answer):
    """Which promotions lie before the day? The last of them answers; what comes later is not known yet."""
    for day, version in (("2020-03-05", "1"), ("2020-07-01", "2"), ("2020-12-31", "4")):
        found = answer(_YEAR, day)
        assert found == version, f"on {day} version {version} answered; you return {found!r}"


@checks(answered)
def the_day_itself_counts(answer):
    """The question is about the end of the day. Does a promotion of that day count?"""
    found = answer(_YEAR, "2020-05-11")
    assert found == "2", f"version 2 was promoted on 2020-05-11; you return {found!r}"


@checks(answered)
def before_the_first_nobody_answers(answer):
    """What do you know of the days before the diary begins?"""
    found = answer(_YEAR, "2019-12-31")
    assert found is None, f"the first promotion is of 2020-01-01; for the day before you return {found!r}"


@checks(answered)
def the_lines_come_in_no_order(answer):
    """Two programs write the diary. Is its last line the latest?"""
    found = answer([_YEAR[4], _YEAR[2], _YEAR[3], _YEAR[0], _YEAR[1]], "2020-07-01")
    assert found == "2", f"the lines come in no order; on 2020-07-01 version 2 answered; you return {found!r}"


@checks(answered)
def a_rollback_brings_the_one_before(answer):
    """Who answers after a rollback? Look who was champion before, and before that."""
    diary = [*_YEAR, *_diary(("2020-09-02", "rolled back", "4"))]
    found = answer(diary, "2020-09-02")
    assert found == "2", f"version 4 was rolled back, before it answered version 2; you return {found!r}"
    found = answer([*diary, *_diary(("2020-09-03", "rolled back", "2"))], "2020-09-04")
    assert found == "1", f"versions 4 and 2 are rolled back one after the other; you return {found!r}"


@checks(answered)
def a_canary_was_never_champion(answer):
    """A canary is rolled back. Who was champion, and who is?"""
    diary = [*_YEAR, *_diary(("2020-09-10", "rolled back", "5"))]
    found = answer(diary, "2020-09-11")
    assert found == "4", f"version 5 was a canary only; the champion stays version 4; you return {found!r}"


@checks(answered)
def a_day_keeps_its_order(answer):
    """Promoted and rolled back on one day: which came last? Does your sort keep the order of equal days?"""
    diary = [*_YEAR, *_diary(("2020-09-01", "promoted", "6"), ("2020-09-01", "rolled back", "6"))]
    found = answer(diary, "2020-09-01")
    assert found == "4", f"version 6 was promoted and rolled back on the same day; you return {found!r}"
    diary = [*_YEAR, *_diary(("2020-09-01", "promoted", "7"), ("2020-09-01", "promoted", "6"))]
    found = answer(diary, "2020-09-01")
    assert found == "6", f"on one day version 7 was promoted, then version 6; you return {found!r}"


def _until(diary, day):
    return sorted((line for line in diary if line["on"] <= day), key=lambda one: one["on"])


@wrong(answered, caught_by=the_last_promotion_before_the_day_counts)
def takes_the_present_champion(diary, day):
    return [line["version"] for line in diary if line["event"] == "promoted"][-1]


@wrong(answered, caught_by=the_last_promotion_before_the_day_counts)
def takes_any_last_event(diary, day):
    lines = _until(diary, day)
    return lines[-1]["version"] if lines else None


@wrong(answered, caught_by=the_day_itself_counts)
def leaves_the_day_out(diary, day):
    versions = [
        line["version"] for line in _until(diary, day) if line["event"] == "promoted" and line["on"] < day
    ]
    return versions[-1] if versions else None


@wrong(answered, caught_by=before_the_first_nobody_answers)
def begins_with_the_first(diary, day):
    versions = [line["version"] for line in _until(diary, day) if line["event"] == "promoted"]
    return versions[-1] if versions else min(diary, key=lambda one: one["on"])["version"]


@wrong(answered, caught_by=the_lines_come_in_no_order)
def takes_the_order_of_the_lines(diary, day):
    champions = []
    for line in diary:
        if line["on"] <= day and line["event"] == "promoted":
            champions.append(line["version"])
        elif line["on"] <= day and line["event"] == "rolled back" and line["version"] in champions:
            champions.remove(line["version"])
    return champions[-1] if champions else None


@wrong(answered, caught_by=a_rollback_brings_the_one_before)
def forgets_rollbacks(diary, day):
    versions = [line["version"] for line in _until(diary, day) if line["event"] == "promoted"]
    return versions[-1] if versions else None


@wrong(answered, caught_by=a_rollback_brings_the_one_before)
def keeps_only_one_before(diary, day):
    champion = previous = None
    for line in _until(diary, day):
        if line["event"] == "promoted":
            champion, previous = line["version"], champion
        elif line["event"] == "rolled back" and line["version"] == champion:
            champion, previous = previous, champion
    return champion


@wrong(answered, caught_by=a_canary_was_never_champion)
def takes_one_off_at_each_rollback(diary, day):
    champions = []
    for line in _until(diary, day):
        if line["event"] == "promoted":
            champions.append(line["version"])
        elif line["event"] == "rolled back":
            champions.pop()
    return champions[-1] if champions else None


@wrong(answered, caught_by=a_day_keeps_its_order)
def sorts_by_event_and_version_too(diary, day):
    champions = []
    for line in sorted(diary, key=lambda one: (one["on"], one["event"], one["version"])):
        if line["on"] <= day and line["event"] == "promoted":
            champions.append(line["version"])
        elif line["on"] <= day and line["event"] == "rolled back" and line["version"] in champions:
            champions.remove(line["version"])
    return champions[-1] if champions else None


@also_right(answered)
def from_the_end(diary, day):
    withdrawn = set()
    lines = sorted(diary, key=lambda one: one["on"])
    for line in reversed([one for one in lines if one["on"] <= day]):
        if line["event"] == "rolled back":
            withdrawn.add(line["version"])
        elif line["event"] == "promoted":
            if line["version"] not in withdrawn:
                return line["version"]
            withdrawn.discard(line["version"])
    return None


@also_right(answered)
def with_a_history(diary, day):
    lines, days, champions, stack = sorted(diary, key=lambda one: one["on"]), [], [], []
    for line in lines:
        if line["event"] == "promoted":
            stack = [*stack, line["version"]]
        if line["event"] == "rolled back" and line["version"] in stack:
            stack = [version for version in stack if version != line["version"]]
        days.append(line["on"])
        champions.append(stack[-1] if stack else None)
    place = bisect.bisect_right(days, day)
    return champions[place - 1] if place else None
