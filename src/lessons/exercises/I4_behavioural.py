"""Exercises of I4: who acts in a sentence, which number holds up a claim, and what three tellings lack."""

from course.exercise import also_right, checks, right, wrong

# --- who_acted --------------------------------------------------------------------------------------------------------


@right(value=True)
def who_acted():
    """Say for each of the six sentences who acts in it. Bind `who_acted` to a dict from the number to one of three words.

    "me": the teller acts, and a listener knows it. "other": somebody else acts, and the listener knows who. "nobody":
    something was done, and the listener can't tell by whom; a "we" that could be anybody counts as this, too.
    """
    return {1: "me", 2: "nobody", 3: "other", 4: "nobody", 5: "nobody", 6: "me"}


def _actors(answer, numbers):
    assert isinstance(answer, dict), f"who_acted is a {type(answer).__name__}, a dict is asked for"
    assert set(answer) == set(range(1, 7)), f"the keys are the numbers 1 to 6, not {sorted(map(str, answer))}"
    odd = sorted({str(value) for value in answer.values()} - {"me", "other", "nobody"})
    assert not odd, f'{odd}: the words are "me", "other" and "nobody"'
    return {number: answer[number] for number in numbers}


@checks(who_acted)
def the_tellers_own_deeds_are_heard(answer):
    """In which sentences could you draw the teller doing something? A fault of one's own is a deed as well."""
    for number, actor in _actors(answer, (1, 6)).items():
        assert actor == "me", f"sentence {number}: the teller acts here, you say {actor!r}"


@checks(who_acted)
def credit_names_somebody(answer):
    """Is a sentence without an I always a loss? Ask whether the listener knows whom to thank."""
    (actor,) = _actors(answer, (3,)).values()
    assert actor == "other", f"sentence 3 says who wrote the query, you say {actor!r}"


@checks(who_acted)
def passives_hide_the_doer(answer):
    """Who found it, and who agreed? If the sentence would be true with any subject, the listener has none."""
    for number, actor in _actors(answer, (2, 5)).items():
        assert actor == "nobody", f"sentence {number}: it was done, and by whom? You say {actor!r}"


@checks(who_acted)
def a_we_can_hide_him_too(answer):
    """Who decides when "we" decide? Ask whether the teller proposed it, opposed it, or heard of it later."""
    (actor,) = _actors(answer, (4,)).values()
    assert actor == "nobody", (
        f"sentence 4: was it the teller's decision? The sentence fits any member, not {actor!r}"
    )


@also_right(who_acted)
def grouped_first():
    groups = {"me": (1, 6), "other": (3,), "nobody": (2, 4, 5)}
    return {number: actor for actor, numbers in groups.items() for number in numbers}


@also_right(who_acted)
def from_a_list():
    return dict(enumerate(["me", "nobody", "other", "nobody", "nobody", "me"], start=1))


@wrong(who_acted, caught_by=the_tellers_own_deeds_are_heard)
def counts_faults_as_fate():
    return {**who_acted(), 6: "nobody"}


@wrong(who_acted, caught_by=the_tellers_own_deeds_are_heard)
def numbers_from_zero():
    return dict(enumerate(["me", "nobody", "other", "nobody", "nobody", "me"]))


@wrong(who_acted, caught_by=credit_names_somebody)
def looks_for_an_i_only():
    return {**who_acted(), 3: "nobody"}


@wrong(who_acted, caught_by=passives_hide_the_doer)
def takes_a_passive_for_modesty():
    return {**who_acted(), 2: "me", 5: "me"}


@wrong(who_acted, caught_by=a_we_can_hide_him_too)
def counts_we_as_me():
    return {**who_acted(), 4: "me"}


@wrong(who_acted, caught_by=a_we_can_hide_him_too)
def counts_we_as_somebody():
    return {**who_acted(), 4: "other"}


# --- evidence ---------------------------------------------------------------------------------------------------------


@right(value=True)
def evidence():
    """Which of the eight numbers holds up which claim? Bind `evidence` to a dict from "A", "B", "C", "D" to a number."""
    return {"A": 2, "B": 4, "C": 5, "D": 7}


def _held_up(answer, claim):
    assert isinstance(answer, dict) and set(answer) == set("ABCD"), 'the keys are "A", "B", "C" and "D"'
    got = answer[claim]
    assert got in range(1, 9), f"claim {claim}: give one number from 1 to 8, not {got!r}"
    return got


@checks(evidence)
def faster_needs_a_before(answer):
    """Faster than what? Look for the same measure, before and after."""
    got = _held_up(answer, "A")
    assert got == 2, f"claim A: does number {got} say how long a review took, before and after?"


@checks(evidence)
def better_needs_a_fair_comparison(answer):
    """Was the number chosen because it was the best? Ask on which days both models were judged, and how sure it is."""
    got = _held_up(answer, "B")
    assert got == 4, (
        f"claim B: would number {got} come out again next month, on the same days for both models?"
    )


@checks(evidence)
def an_effect_is_not_an_activity(answer):
    """What do users notice: what you wrote, or who called first? An activity is no effect."""
    got = _held_up(answer, "C")
    assert got == 5, f"claim C: does number {got} say who heard of a fault first?"


@checks(evidence)
def use_is_not_attendance(answer):
    """Who has taken something up: those who heard of it, or those who use it today?"""
    got = _held_up(answer, "D")
    assert got == 7, f"claim D: does number {got} count teams that use it?"


@also_right(evidence)
def as_pairs():
    return dict(zip("ABCD", (2, 4, 5, 7), strict=True))


@also_right(evidence)
def from_the_numbers():
    return {claim: number for number, claim in {2: "A", 4: "B", 5: "C", 7: "D"}.items()}


@wrong(evidence, caught_by=faster_needs_a_before)
def takes_volume_for_speed():
    return {**evidence(), "A": 1}


@wrong(evidence, caught_by=better_needs_a_fair_comparison)
def takes_the_best_run():
    return {**evidence(), "B": 3}


@wrong(evidence, caught_by=an_effect_is_not_an_activity)
def counts_tests():
    return {**evidence(), "C": 6}


@wrong(evidence, caught_by=use_is_not_attendance)
def counts_listeners():
    return {**evidence(), "D": 8}


# --- missing ----------------------------------------------------------------------------------------------------------


@right(value=True)
def missing():
    """Which points of the rubric do the three tellings lack? Bind `missing` to a dict from "A", "B" and "C" to a set.

    The points are called "situation", "your part", "number", "learnt" and "changed". A set may hold one point or more.
    """
    return {"A": {"your part"}, "B": {"situation", "number"}, "C": {"learnt", "changed"}}


_POINTS = {"situation", "your part", "number", "learnt", "changed"}


def _lacking(answer, telling):
    assert isinstance(answer, dict) and set(answer) == {"A", "B", "C"}, 'the keys are "A", "B" and "C"'
    got = answer[telling]
    assert isinstance(got, set | frozenset | list | tuple), (
        f'telling {telling}: give a set, {{"number"}} for example'
    )
    unknown = [point for point in got if point not in _POINTS]
    assert not unknown, f"{unknown} is no point of the rubric; there are {sorted(_POINTS)}"
    return set(got)


@checks(missing)
def telling_a(answer):
    """Who did it? Look for the subject of each sentence between the situation and the result."""
    got = _lacking(answer, "A")
    assert got == {"your part"}, (
        f"telling A has its number and its lesson; read who acts in it. You say {sorted(got)}"
    )


@checks(missing)
def telling_b(answer):
    """Count the sentences before the teller does something, then look for a digit."""
    got = _lacking(answer, "B")
    assert got == {"situation", "number"}, (
        f"telling B: count the sentences before the teller acts, and the measurements. You say {sorted(got)}"
    )


@checks(missing)
def telling_c(answer):
    """Ask of the last two sentences: is this something the teller did not know before, or does differently?"""
    got = _lacking(answer, "C")
    assert got == {"learnt", "changed"}, (
        f"telling C: who is asked to be different at its end, the teller or somebody else? You say {sorted(got)}"
    )


@also_right(missing)
def as_lists():
    return {"C": ["changed", "learnt"], "B": ["number", "situation"], "A": ["your part"]}


@also_right(missing)
def point_by_point():
    lacks = {"your part": "A", "situation": "B", "number": "B", "learnt": "C", "changed": "C"}
    return {telling: {point for point, where in lacks.items() if where == telling} for telling in "ABC"}


@wrong(missing, caught_by=telling_a)
def takes_we_for_i():
    return {"A": set(), "B": {"situation", "number"}, "C": {"learnt", "changed"}}


@wrong(missing, caught_by=telling_a)
def looks_for_digits_only():
    return {"A": {"number"}, "B": {"number"}, "C": set()}


@wrong(missing, caught_by=telling_b)
def does_not_count_sentences():
    return {"A": {"your part"}, "B": {"number"}, "C": {"learnt", "changed"}}


@wrong(missing, caught_by=telling_b)
def takes_much_for_a_number():
    return {"A": {"your part"}, "B": {"situation"}, "C": {"learnt", "changed"}}


@wrong(missing, caught_by=telling_c)
def takes_a_wish_for_a_lesson():
    return {"A": {"your part"}, "B": {"situation", "number"}, "C": {"changed"}}


@wrong(missing, caught_by=telling_c)
def takes_a_promise_for_a_change():
    return {"A": {"your part"}, "B": {"situation", "number"}, "C": {"learnt"}}
