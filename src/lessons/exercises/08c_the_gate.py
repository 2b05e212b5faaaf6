"""Exercises of lesson 08c: a latency that a busy machine does not spoil, and a gate that fails closed."""

import statistics

import numpy as np

from course.exercise import also_right, checks, right, wrong

# --- latency_ratio ----------------------------------------------------------------------------------------------------


@right
def latency_ratio(old, new, clock, rounds=20):
    """Return how many times as long a call of `new` takes as a call of `old`: 1.0 when they are equally fast.

    `old` and `new` are called without arguments, `clock()` returns seconds. Time each of them `rounds` times. The
    machine is busy: the first call of each is slow, other programs slow it down for a while, and now and then a call
    is interrupted. None of that may move the ratio by more than a tenth.
    """
    old(), new()
    took = {"old": [], "new": []}
    for _ in range(rounds):
        for name, call in (("old", old), ("new", new)):
            started = clock()
            call()
            took[name].append(clock() - started)
    return min(took["new"]) / min(took["old"])


class _Machine:
    """A clock, and calls that take their time on it; `slower(t)` is the load at t, `pause` hits each n-th call."""

    def __init__(self, new, slower=lambda now: 1.0, first=1.0, every=0, old=0.01):
        self.now, self.calls, self.took = 100.0, {"old": 0, "new": 0}, {"old": old, "new": new}
        self.slower, self.first, self.every = slower, first, every

    def clock(self):
        return self.now

    def call(self, name):
        self.calls[name] += 1
        seconds = self.took[name] * self.slower(self.now - 100.0)
        if self.calls[name] == 1:
            seconds *= self.first
        if self.every and sum(self.calls.values()) % self.every == 0:
            seconds += 1.0
        self.now += seconds

    def ratio(self, answer, rounds=20):
        found = answer(lambda: self.call("old"), lambda: self.call("new"), self.clock, rounds)
        assert isinstance(found, (float, int)) and not isinstance(found, bool), (
            f"return one number; you returned a {type(found).__name__}"
        )
        return float(found)


@checks(latency_ratio)
def equal_ones_give_one(answer):
    """What do you divide by what? Two equal calls must give 1."""
    found = _Machine(0.01).ratio(answer)
    assert abs(found - 1) < 0.1, f"both take 0.01 s; you return {found:.2f}"


@checks(latency_ratio)
def a_slower_one_gives_its_factor(answer):
    """Is a challenger that takes three times as long 3, or a third?"""
    found = _Machine(0.03).ratio(answer)
    assert abs(found - 3) < 0.3, f"`new` takes 0.03 s and `old` 0.01 s; you return {found:.2f}"


@checks(latency_ratio)
def the_first_call_does_not_count(answer):
    """What does a first call do that the others don't? Let each run once before you time it."""
    found = _Machine(0.03, first=100).ratio(answer)
    assert abs(found - 3) < 0.3, (
        f"the first call of each takes a hundred times as long; you return {found:.2f}"
    )


@checks(latency_ratio)
def load_in_the_middle_hits_both(answer):
    """Does the load hit both alike, if you time all of one and then all of the other? Take turns."""
    for begins in (0.0, 0.15, 0.25, 0.4):
        found = _Machine(0.01, lambda now, begins=begins: 5.0 if now >= begins else 1.0).ratio(answer)
        assert abs(found - 1) < 0.1, (
            f"the machine gets five times slower after {begins} s, and both are equal; you return {found:.2f}"
        )


@checks(latency_ratio)
def an_interrupted_call_does_not_count(answer):
    """What does one second of interruption do to a mean of hundredths? Which summary does not notice it?"""
    for every in (7, 9):
        found = _Machine(0.02, every=every).ratio(answer)
        assert abs(found - 2) < 0.2, f"each {every}th call is interrupted for 1 s; you return {found:.2f}"


@checks(latency_ratio)
def each_is_timed_as_often_as_asked(answer):
    """How many calls does the caller pay for? `rounds` says it, and a warm-up or two come on top."""
    machine = _Machine(0.01)
    machine.ratio(answer, rounds=12)
    assert all(12 <= made <= 15 for made in machine.calls.values()), (
        f"12 rounds were asked for, and your calls are {machine.calls}"
    )


def _time(call, clock):
    started = clock()
    call()
    return clock() - started


@wrong(latency_ratio, caught_by=equal_ones_give_one)
def returns_the_difference(old, new, clock, rounds=20):
    old(), new()
    pairs = [(_time(old, clock), _time(new, clock)) for _ in range(rounds)]
    return min(b for _, b in pairs) - min(a for a, _ in pairs)


@wrong(latency_ratio, caught_by=a_slower_one_gives_its_factor)
def divides_the_wrong_way(old, new, clock, rounds=20):
    old(), new()
    pairs = [(_time(old, clock), _time(new, clock)) for _ in range(rounds)]
    return min(a for a, _ in pairs) / min(b for _, b in pairs)


@wrong(latency_ratio, caught_by=a_slower_one_gives_its_factor)
def returns_the_seconds_between(old, new, clock, rounds=20):
    old(), new()
    pairs = [(_time(old, clock), _time(new, clock)) for _ in range(rounds)]
    return 1 + min(b for _, b in pairs) - min(a for a, _ in pairs)


@wrong(latency_ratio, caught_by=the_first_call_does_not_count)
def means_with_the_first_call(old, new, clock, rounds=20):
    pairs = [(_time(old, clock), _time(new, clock)) for _ in range(rounds - 1)]
    new()  # a call more of one side
    return (sum(b for _, b in pairs[1:]) + pairs[0][1]) / sum(a for a, _ in pairs[1:])


@wrong(latency_ratio, caught_by=load_in_the_middle_hits_both)
def times_one_after_the_other(old, new, clock, rounds=20):
    old(), new()
    before = statistics.median(_time(old, clock) for _ in range(rounds))
    after = statistics.median(_time(new, clock) for _ in range(rounds))
    return after / before


@wrong(latency_ratio, caught_by=an_interrupted_call_does_not_count)
def takes_the_mean(old, new, clock, rounds=20):
    old(), new()
    pairs = [(_time(old, clock), _time(new, clock)) for _ in range(rounds)]
    return sum(b for _, b in pairs) / sum(a for a, _ in pairs)


@wrong(latency_ratio, caught_by=an_interrupted_call_does_not_count)
def takes_the_slowest(old, new, clock, rounds=20):
    old(), new()
    pairs = [(_time(old, clock), _time(new, clock)) for _ in range(rounds)]
    return max(b for _, b in pairs) / max(a for a, _ in pairs)


@wrong(latency_ratio, caught_by=load_in_the_middle_hits_both)
def averages_the_ratios(old, new, clock, rounds=20):
    old(), new()
    pairs = [(_time(old, clock), _time(new, clock)) for _ in range(rounds)]
    return statistics.mean(b / a for a, b in pairs)


@wrong(latency_ratio, caught_by=each_is_timed_as_often_as_asked)
def repeats_what_was_slow(old, new, clock, rounds=20):
    old(), new()
    pairs = [(_time(old, clock), _time(new, clock)) for _ in range(10 * rounds)]
    return min(b for _, b in pairs) / min(a for a, _ in pairs)


@also_right(latency_ratio)
def median_of_the_pairs(old, new, clock, rounds=20):
    old(), new()
    ratios = []
    for _ in range(rounds):
        before = clock()
        old()
        between = clock()
        new()
        ratios.append((clock() - between) / (between - before))
    return statistics.median(ratios)


@also_right(latency_ratio)
def with_numpy(old, new, clock, rounds=20):
    seconds = np.array([[_time(old, clock), _time(new, clock)] for _ in range(rounds + 1)])[1:]
    fastest = seconds.min(axis=0)
    return fastest[1] / fastest[0]


# --- refusals ---------------------------------------------------------------------------------------------------------


@right
def refusals(questions, case):
    """Return the names of the questions that refuse the case, in their order; an empty list when all say yes.

    `questions` maps a name to a function that takes the case. Yes is `True`, Python's or NumPy's, and nothing else: not
    None, not a missing number, not a text. A question that raises an exception is a no, and the others are asked all
    the same; who presses Ctrl-C is obeyed. A gate without any question raises a ValueError.
    """
    if not questions:
        raise ValueError("a gate without questions lets everything pass")
    refusing = []
    for name, question in questions.items():
        try:
            answer = question(case)
        except Exception:
            answer = False
        if not (isinstance(answer, (bool, np.bool_)) and answer):
            refusing.append(name)
    return refusing


def _yes(case):
    return True


def _refused(answer, **questions):
    found = answer(questions, "a case")
    assert isinstance(found, (list, tuple)), f"return a list of names; you returned a {type(found).__name__}"
    return list(found)


@checks(refusals)
def all_yes_passes(answer):
    """What do you return when nobody refuses? A test often answers with NumPy's `True`."""
    found = _refused(answer, data=_yes, metric=lambda case: np.bool_(True))
    assert found == [], f"both say yes, one as NumPy's True; you return {found}"


@checks(refusals)
def a_no_is_named_in_its_order(answer):
    """Who refuses? The caller wants names, in the order of the table."""
    found = _refused(answer, size=lambda case: False, data=_yes, metric=lambda case: np.bool_(False))
    assert found == ["size", "metric"], f"`size` and `metric` say no; you return {found}"


@checks(refusals)
def what_cannot_be_asked_is_a_no(answer):
    """The rows are missing and the question raises. Did anybody say yes? And who asks the questions after it?"""

    def broken(case):
        raise FileNotFoundError("the champion's folder")

    try:
        found = _refused(answer, data=_yes, metric=broken, size=lambda case: False)
    except FileNotFoundError:
        raise AssertionError(
            "`metric` raises FileNotFoundError, and you let it through: `size` is not asked"
        ) from None
    assert found == ["metric", "size"], f"`metric` raises, `size` says no; you return {found}"


@checks(refusals)
def only_true_is_yes(answer):
    """What is `bool(float("nan"))`, and `bool("no")`? What is `1 == True`? Which answers do you take for a yes?"""
    told = {"none": None, "nan": float("nan"), "text": "no", "list": [False], "count": 1}
    found = _refused(answer, data=_yes, **{name: lambda case, one=one: one for name, one in told.items()})
    assert found == list(told), (
        f"None, NaN, 'no', [False] and 1 are not yes, so all five refuse; you return {found}"
    )


@checks(refusals)
def the_questions_get_the_case(answer):
    """What does a question judge? Hand it on."""
    seen = []
    found = _refused(answer, data=lambda case: seen.append(case) or True)
    assert seen == ["a case"] and found == [], f"the question was asked about {seen}"


@checks(refusals)
def no_questions_is_no_gate(answer):
    """What is `all([])`? Somebody empties the table by mistake; what should the gate do?"""
    try:
        found = answer({}, "a case")
    except ValueError:
        return
    raise AssertionError(f"a gate without questions must raise a ValueError; you return {found!r}")


@checks(refusals)
def ctrl_c_is_obeyed(answer):
    """Which exceptions are faults of a question, and which say that somebody wants to stop?"""

    def waits(case):
        raise KeyboardInterrupt

    try:
        _refused(answer, data=waits)
    except KeyboardInterrupt:
        return
    raise AssertionError("Ctrl-C was pressed, and the gate went on")


def _asked(questions, case):
    answers = {}
    for name, question in questions.items():
        try:
            answers[name] = question(case)
        except Exception:
            answers[name] = None
    return answers


def _not_empty(questions):
    if not questions:
        raise ValueError("no questions")


@wrong(refusals, caught_by=a_no_is_named_in_its_order)
def says_only_whether_it_passes(questions, case):
    _not_empty(questions)
    return (
        [] if all(answer is True or answer == 1 for answer in _asked(questions, case).values()) else ["gate"]
    )


@wrong(refusals, caught_by=a_no_is_named_in_its_order)
def stops_at_the_first_no(questions, case):
    _not_empty(questions)
    for name, answer in _asked(questions, case).items():
        if not answer:
            return [name]
    return []


@wrong(refusals, caught_by=what_cannot_be_asked_is_a_no)
def lets_exceptions_through(questions, case):
    _not_empty(questions)
    return [name for name, question in questions.items() if not question(case)]


@wrong(refusals, caught_by=what_cannot_be_asked_is_a_no)
def skips_what_cannot_be_asked(questions, case):
    _not_empty(questions)
    return [name for name, answer in _asked(questions, case).items() if answer is not None and not answer]


@wrong(refusals, caught_by=only_true_is_yes)
def takes_what_is_truthy(questions, case):
    _not_empty(questions)
    return [name for name, answer in _asked(questions, case).items() if not answer]


@wrong(refusals, caught_by=only_true_is_yes)
def compares_with_true(questions, case):
    _not_empty(questions)
    return [name for name, answer in _asked(questions, case).items() if answer != True]  # noqa: E712


@wrong(refusals, caught_by=all_yes_passes)
def forgets_numpy(questions, case):
    _not_empty(questions)
    return [name for name, answer in _asked(questions, case).items() if answer is not True]


@wrong(refusals, caught_by=the_questions_get_the_case)
def asks_about_the_questions(questions, case):
    _not_empty(questions)
    answers = _asked(questions, questions)
    return [name for name in questions if not (isinstance(answers[name], (bool, np.bool_)) and answers[name])]


@wrong(refusals, caught_by=no_questions_is_no_gate)
def passes_without_questions(questions, case):
    answers = _asked(questions, case)
    return [name for name in questions if not (isinstance(answers[name], (bool, np.bool_)) and answers[name])]


@wrong(refusals, caught_by=ctrl_c_is_obeyed)
def catches_everything(questions, case):
    _not_empty(questions)
    refusing = []
    for name, question in questions.items():
        try:
            answer = question(case)
        except BaseException:
            answer = None
        if not isinstance(answer, (bool, np.bool_)) or not answer:
            refusing.append(name)
    return refusing


@also_right(refusals)
def with_a_helper(questions, case):
    def says_yes(question):
        try:
            answer = question(case)
        except Exception:
            return False
        return answer is True or (type(answer) is np.bool_ and bool(answer))

    if len(questions) == 0:
        raise ValueError("no questions")
    return [name for name in questions if not says_yes(questions[name])]


@also_right(refusals)
def by_keeping_the_yes(questions, case):
    if not questions:
        raise ValueError
    passed = set()
    for name, question in questions.items():
        try:
            answer = question(case)
            if type(answer) in (bool, np.bool_) and answer:
                passed.add(name)
        except Exception:
            continue
    return tuple(name for name in questions if name not in passed)
