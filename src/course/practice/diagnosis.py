"""Reads a diagnosis in free text: which of the named things it blames, and which it clears.

A thing is known by patterns. A pattern has one or more parts, joined by " & ": regular expressions that must
all be found in one sentence, in any order. Text is read sentence by sentence and clause by clause, so that
"it is not the memory, an index is missing" blames the index and clears the memory. What belongs to the fault
itself ("is never closed") must be inside a part: a negation there denies nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

NOT = (
    r"(?:not|\w+n't|cannot|never|nobody|no one|no longer|without"
    r"|fails? to|failed to|forgets? to|forgot to)"
)
"""For patterns of faults whose own name is a negation: NOT + r" (?:\\w+ ){0,3}(?:closed|returned)"."""

_VERB = (
    r"(?:is|are|was|were|has|have|had|does|do|did|can|could|will|would"
    r"|looks?|seems?|stays?|stayed|\w+n't|'s|'re)"
)
_SENTENCE = re.compile(r"(?<=[.!?;])\s+|\n+|(?<=\w);")
_CLAUSE = re.compile(
    r",\s+|:\s+|\s+-+\s+|\s*[\u2013\u2014]\s*|\s+\(|\)\s*"
    r"|\s+(?=(?:but|because|since|however|although|though|while|whereas|which|so that|therefore)\b)",
)
_AND = re.compile(r"\s+(?:and|so)\s+")
_CLEARED = (
    r"(?:innocent|harmless|unrelated|irrelevant|a red herring|red herrings?|a coincidence|coincidental"
    r"|ruled out|excluded|cleared|fine|healthy|ok|okay|alright|in order|normal|flat|stable|clean"
    r"|unaffected|unchanged|untouched|a distraction|as (?:before|usual|ever|always|expected)"
    r"|(?:only |just )?(?:a |the )?(?:symptom|consequence))"
)
_NOT_CAUSE = (
    r"(?:not|n't|never|no) (?:really |itself |actually )?(?:(?:the|a|an|our|its|my|at) )?(?:real |root )?"
    r"(?:cause|reason|problem|culprit|issue|fault|suspect|bug|relevant|enough|related|guilty|involved"
    r"|responsible|it$|it\b|to blame|explain\w*|caus\w+|matter\w*|chang\w+|do this"
    r"|help\w*|fix\w*|solve\w*|mend\w*)"
)
_BEFORE = re.compile(
    r"(?:\b(?:not|never|neither|nor|no|nothing|without|rul(?:e|es|ed|ing) (?:\w+ )?out|exclud\w+|rather than"
    r"|instead of|unlike|doubt\w*|clears?|cleared|dismiss\w*|acquit\w*|innocent|unrelated|red herrings?"
    r"|coincidences?|distractions?|cannot|suspected|(?:first|initially) (?:thought|assumed|looked)|tempting"
    r"|(?:thought|assumed) (?:first|at first))|n't)\b",
)
_AFTER = re.compile(
    rf"\b(?:{_VERB}|be|been|remain\w*|turn\w* out)\b\s+(?:\w+\s+){{0,2}}?{_CLEARED}\b|{_NOT_CAUSE}"
    r"|\b(?:has|have|had) (?:nothing|little) to do"
    r"|\b(?:has|have|had|plays?|played) no (?:part|role|effect|influence)"
    r"|\b(?:cannot|can not|could not) (?:be|explain|cause|do)|\bexplains? (?:nothing|little|none)"
    r"|\b(?:would|will|could) (?:only|just|merely)\b|\bhelps? (?:nothing|nobody|little)"
    rf"|^\W*(?:as a )?{_CLEARED}\W*$|^\W*(?:no\W*$|nothing\b|none\b)",
)
_PRONOUN = re.compile(r"^(?:but |and |yet )?(?:which|that|this|it|they|these|those|both|neither|none)\b")
# "Ruled out: memory, deploy"
_HEAD = re.compile(rf"^(?:(?:the following|these|those) (?:is|are|were) )?(?:{_CLEARED}|not|no|neither)\W*$")
_REACH = 6  # words that may lie between a negation and what it denies


@dataclass(frozen=True)
class Reading:
    """What a text says of one thing."""

    blamed: bool
    cleared: bool


def read(text: str, patterns: Iterable[str]) -> Reading:
    """Return whether a text blames the thing that the patterns know, and whether it clears it."""
    blamed = cleared = False
    for clauses in _sentences(text):
        for pattern in patterns:
            verdicts = _in_sentence(
                clauses, [re.compile(rf"(?<!\w)(?:{part})") for part in pattern.split(" & ")]
            )
            blamed |= True in verdicts
            cleared |= False in verdicts
    return Reading(blamed, cleared and not blamed)


def _sentences(text: str) -> list[list[str]]:
    """Return the clauses of each sentence; a sentence that begins "that is not it" joins the one before."""
    text = re.sub("[\u2018\u2019`]", "'", text.lower())
    text = re.sub(r"[*_\"\u201c\u201d]", lambda found: "_" if found[0] == "_" else " ", text)
    found: list[list[str]] = []
    for sentence in _SENTENCE.split(text):
        clauses = []
        for clause in _CLAUSE.split(sentence):
            clauses += _divided(clause.strip())
        clauses = [clause for clause in clauses if clause.strip(" .!?;,")]
        if found and clauses and _PRONOUN.match(clauses[0]) and _AFTER.search(clauses[0]):
            found[-1] += clauses
        elif clauses:
            found.append(clauses)
    return found


def _divided(clause: str) -> list[str]:
    """Divide "the index is gone and memory is fine" at its "and", but not "deploy and memory are fine"."""
    for joint in _AND.finditer(clause):
        before, after = clause[: joint.start()], clause[joint.end() :]
        if re.search(rf"\b{_VERB}\b", before) and re.search(rf"\b{_VERB}\b", after):
            return [before, *_divided(after)]
    return [clause]


def _in_sentence(clauses: list[str], parts: list[re.Pattern[str]]) -> list[bool]:
    """Return True for each mention that blames and False for each that clears."""
    verdicts = []
    for place, clause in enumerate(clauses):
        spans = _spans(clause, parts)
        if spans:
            verdicts.append(not _denied(clauses, place, spans))
    if verdicts or len(parts) == 1:
        return verdicts
    whole = " , ".join(clauses)
    if not _spans(whole, parts):
        return []
    for place, clause in enumerate(clauses):  # the parts lie in several clauses: none of them may be denied
        spans = [found.span() for part in parts for found in part.finditer(clause)]
        if spans and _denied(clauses, place, spans):
            return [False]
    return [True]


def _spans(clause: str, parts: list[re.Pattern[str]]) -> list[tuple[int, int]]:
    """Return where the parts are, the widest mention of each; empty when one is missing."""
    spans = []
    for part in parts:
        found = max(
            (one.span() for one in part.finditer(clause)), key=lambda span: span[1] - span[0], default=None
        )
        if found is None:
            return []
        spans.append(found)
    return spans


def _denied(clauses: list[str], place: int, spans: list[tuple[int, int]]) -> bool:
    clause, first, last = clauses[place], min(span[0] for span in spans), max(span[1] for span in spans)
    for found in _BEFORE.finditer(clause):
        if any(start < found.end() and found.start() < end for start, end in spans):
            continue
        for start, _ in spans:  # "not the small pool", "the pool is not too small"
            reach = _REACH if start == first else 2
            if found.end() <= start and len(clause[found.end() : start].split()) < reach:
                return True
    if _AFTER.search(clause[last:]):
        return True
    following = clauses[place + 1] if place + 1 < len(clauses) else ""
    if _PRONOUN.match(following) and _AFTER.search(following):
        return True
    listed = not re.search(rf"\b{_VERB}\b", clause)
    heads = [one for one in clauses[:place] if _HEAD.search(one)]
    between = clauses[place - 1 : place] if place else []
    if listed and heads and all(not re.search(rf"\b{_VERB}\b", one) for one in between):
        return True
    # "The deploy, the traffic and the disk are fine": items without a verb share the verdict of the last one
    return bool(
        listed
        and re.match(r"(?:the|our|neither|both)\b", clause)
        and len(clause.split()) < 5
        and re.search(r"\band\b.*\b(?:are|were)\b", following)
        and _AFTER.search(following)
    )
