"""Exercises of I4: sentences without an I, claims without a number, and what three tellings lack."""

import re

from course.exercise import checks, right, wrong

# --- without_i --------------------------------------------------------------------------------------------------------


@right
def without_i(text):
    """Return the list of sentences of `text` in which you don't occur: no "I", alone or as in "I'd" and "I've".

    A sentence ends with a full stop, a question mark or an exclamation mark that is followed by a space or by
    nothing. Give the sentences in order, with their last mark and without spaces around them.
    """
    sentences = re.split(r"(?<=[.?!])\s+", text.strip())
    return [one for one in sentences if one and not re.search(r"\bI\b", one)]


def _sentences(answer, text):
    got = answer(text)
    assert isinstance(got, list) and all(isinstance(one, str) for one in got), (
        f"return a list of sentences, not {type(got).__name__}"
    )
    return got


@checks(without_i)
def finds_the_sentence_of_the_team(answer):
    """Split at the spaces behind a mark, `re.split(r"(?<=[.?!])\\s+", text)`, and keep what has no I."""
    got = _sentences(answer, "I asked support. We found the cause. Then I rolled back.")
    assert got == ["We found the cause."], (
        f'of three sentences only "We found the cause." has no I; you return {got}'
    )


@checks(without_i)
def decimals_do_not_end_a_sentence(answer):
    """A full stop inside of a number has no space behind it."""
    got = _sentences(answer, "The error rose from 3.1 to 4.4 minutes. I went back. Did it help? It did!")
    due = ["The error rose from 3.1 to 4.4 minutes.", "Did it help?", "It did!"]
    assert got == due, f"due are {due}; you return {got}"


@checks(without_i)
def words_that_begin_with_i_are_not_you(answer):
    """`\\bI\\b` is the word alone: "It", "If" and "AI" are not you."""
    got = _sentences(answer, "It was found by AI. In the end nobody knew.")
    assert len(got) == 2, f'"It", "AI" and "In" are not "I": both sentences lack you; you return {got}'


@checks(without_i)
def short_forms_are_you(answer):
    """An apostrophe or a comma ends a word: `\\bI\\b` finds I'd, I've and "I,"."""
    got = _sentences(answer, "I'd muted the alarm. It was I, nobody else. That's what I've learnt.")
    assert got == [], f'"I\'d", "I," and "I\'ve" are you; you return {got}'


@checks(without_i)
def nothing_gives_nothing(answer):
    """Splitting an empty text gives one empty piece: leave it out."""
    assert _sentences(answer, " ") == [], "a text without a sentence gives an empty list"


@wrong(without_i, caught_by=finds_the_sentence_of_the_team)
def keeps_the_others(text):
    return [one for one in re.split(r"(?<=[.?!])\s+", text.strip()) if re.search(r"\bI\b", one)]


@wrong(without_i, caught_by=finds_the_sentence_of_the_team)
def loses_the_full_stop(text):
    return [one for one in re.split(r"[.?!]\s*", text.strip()) if one and not re.search(r"\bI\b", one)]


@wrong(without_i, caught_by=finds_the_sentence_of_the_team)
def looks_for_we(text):
    return [one for one in text.split(". ") if "We " not in one]


@wrong(without_i, caught_by=decimals_do_not_end_a_sentence)
def splits_at_every_full_stop(text):
    pieces = [one.strip() + "." for one in text.split(".") if one.strip()]
    return [one for one in pieces if not re.search(r"\bI\b", one)]


@wrong(without_i, caught_by=decimals_do_not_end_a_sentence)
def knows_full_stops_only(text):
    return [one for one in re.split(r"(?<=\.)\s+", text.strip()) if one and not re.search(r"\bI\b", one)]


@wrong(without_i, caught_by=words_that_begin_with_i_are_not_you)
def looks_for_the_letter_at_a_words_end(text):
    return [one for one in re.split(r"(?<=[.?!])\s+", text.strip()) if one and not re.search(r"I\b", one)]


@wrong(without_i, caught_by=short_forms_are_you)
def wants_spaces_around(text):
    return [one for one in re.split(r"(?<=[.?!])\s+", text.strip()) if one and "I" not in one.split()]


@wrong(without_i, caught_by=nothing_gives_nothing)
def keeps_the_empty_piece(text):
    return [one for one in re.split(r"(?<=[.?!])\s+", text.strip()) if not re.search(r"\bI\b", one)]


# --- unmeasured -------------------------------------------------------------------------------------------------------


@right
def unmeasured(sentences):
    """Return the list of those `sentences` that claim a size without measuring it, in order.

    A claim has one of the words better, faster, fewer, less, many, more, most, much, quickly, quite, significantly
    (in capitals or not). It is measured when the same sentence holds a digit.
    """
    words = "better|faster|fewer|less|many|more|most|much|quickly|quite|significantly"
    claims = [one for one in sentences if re.search(rf"\b(?:{words})\b", one, re.IGNORECASE)]
    return [one for one in claims if not re.search(r"\d", one)]


def _claims(answer, sentences):
    got = answer(list(sentences))
    assert isinstance(got, list), f"return a list of sentences, not {type(got).__name__}"
    return got


@checks(unmeasured)
def a_claim_without_a_digit_is_found(answer):
    """First find the sentences with such a word, then leave out those with a digit."""
    told = [
        "The review was much shorter.",
        "We met on Monday.",
        "Much was said.",
        "The build took 3 minutes less.",
    ]
    got = _claims(answer, told)
    assert got == [told[0], told[2]], f"unmeasured are {[told[0], told[2]]}; you return {got}"


@checks(unmeasured)
def a_number_elsewhere_does_not_help(answer):
    """Judge each sentence by itself: the listener wants the number where the claim is."""
    told = ["It took 4 days.", "Then it was faster."]
    got = _claims(answer, told)
    assert got == told[1:], f'the 4 does not measure "faster" in the next sentence; you return {got}'


@checks(unmeasured)
def parts_of_words_are_no_claim(answer):
    """`\\bmany\\b` is the word alone."""
    told = ["The supplier sat in Germany.", "Unless somebody asks, nothing changes.", "Almost nobody came."]
    got = _claims(answer, told)
    assert got == [], f'"Germany", "Unless" and "Almost" claim nothing; you return {got}'


@wrong(unmeasured, caught_by=a_claim_without_a_digit_is_found)
def finds_everything_without_a_digit(sentences):
    return [one for one in sentences if not re.search(r"\d", one)]


@wrong(unmeasured, caught_by=a_claim_without_a_digit_is_found)
def minds_capitals(sentences):
    words = r"\b(better|faster|fewer|less|many|more|most|much|quickly|quite|significantly)\b"
    return [one for one in sentences if re.search(words, one) and not re.search(r"\d", one)]


@wrong(unmeasured, caught_by=a_claim_without_a_digit_is_found)
def forgets_the_digits(sentences):
    words = r"\b(better|faster|fewer|less|many|more|most|much|quickly|quite|significantly)\b"
    return [one for one in sentences if re.search(words, one, re.IGNORECASE)]


@wrong(unmeasured, caught_by=a_number_elsewhere_does_not_help)
def looks_at_the_sentence_before(sentences):
    found = unmeasured(sentences)
    return [one for one in found if not re.search(r"\d", sentences[max(sentences.index(one) - 1, 0)])]


@wrong(unmeasured, caught_by=a_number_elsewhere_does_not_help)
def is_content_with_one_number(sentences):
    return [] if re.search(r"\d.*[.]$", sentences[0]) else unmeasured(sentences)


@wrong(unmeasured, caught_by=parts_of_words_are_no_claim)
def looks_inside_of_words(sentences):
    words = "better faster fewer less many more most much quickly quite significantly".split()
    return [
        one for one in sentences if any(word in one.lower() for word in words) and not re.search(r"\d", one)
    ]


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
