"""An advertisement of a job, read by its own words: what it names, and what of the course teaches that.

The words are data/terms.yaml. A name is found in other capitals, with or without hyphens, in the plural;
never inside another word.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from course import lessons
from course.paths import ROOT
from walkforward.errors import WalkForwardError

if TYPE_CHECKING:
    from course.practice.bank import Question

TERMS = ROOT / "data" / "terms.yaml"
MOST = 1_000_000  # bytes: an advertisement has a page or two
BEFORE = re.compile(r"(?:^|[\n,;:/(|•·*–—-]|\b(?:and|or|und|oder|sowie|y|et)\b)[ \t]*$", re.IGNORECASE)
SAID_OF = re.compile(
    r"\b(?:in|with|mit|of|like|wie|using|as|e\.g\.|know|knows|von|z\.\s?B\.)[ \t]+$", re.IGNORECASE
)
AFTER = re.compile(
    r"[ \t]*(?:$|[\n,;/)|.–—]|(?:and|or|und|oder|sowie|y|et|programming|language|developer|skills|experience|"
    r"preferred|code|is|are|Kenntnisse)\b)",
    re.IGNORECASE,
)
NO_LANGUAGE = re.compile(r"\s*(?:&|and\b|und\b)\s*D\b|['’²^-]|\s*\^|\s*squared")  # R and D, R², R's


class AdvertisementError(WalkForwardError, ValueError):
    """The advertisement or the file of terms can't be read; the message says why, and the way out."""


class Term(BaseModel):
    """A word of advertisements; the meaning of each key stands at the top of data/terms.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    term: str = Field(min_length=1)
    also: list[str] = []
    exact: bool = False
    listed: bool = False
    lessons: list[str] = []
    awaits: list[str] = []
    subjects: list[str] = []
    questions: list[str] = []
    idea: str = ""

    def word(self, text: str) -> str:
        """Return the words with which the text names the term first; its own where it does not name it."""
        own, *others = self._patterns
        found = [match for pattern in others for match in pattern.finditer(text)]
        found += [match for match in own.finditer(text) if self._is_name(match, text)]
        first = min(found, key=lambda match: (match.start(), -match.end()), default=None)
        return " ".join(first[0].split()) if first else self.term

    @cached_property
    def _patterns(self) -> list[re.Pattern[str]]:
        own = _pattern(self.term, plural=not (self.exact or self.listed))
        return [own, *(_pattern(name) for name in self.also)]

    def where(self, text: str) -> list[int]:
        """Return where the text names the term, as offsets; the text is one that `plain` made."""
        own, *others = self._patterns
        found = {match.start() for pattern in others for match in pattern.finditer(text)}
        found |= {match.start() for match in own.finditer(text) if self._is_name(match, text)}
        return sorted(found)

    def _is_name(self, match: re.Match[str], text: str) -> bool:
        if not (self.exact or self.listed):
            return True
        said, before = match[0], text[max(0, match.start() - 40) : match.start()]
        listed = bool(AFTER.match(text, match.end())) and not NO_LANGUAGE.match(text, match.end())
        if self.listed:
            return said == self.term and listed and bool(BEFORE.search(before) or SAID_OF.search(before))
        if said in (self.term, self.term.upper()):
            return True
        return listed and bool(BEFORE.search(before))

    def asks(self, question: Question) -> bool:
        """Whether a question is about the term: by its words, its subject or its id."""
        about = question.id in self.questions or question.subject in self.subjects
        return about or bool(self.where(_prompt(question.prompt)))

    def stems(self, there: Iterable[str]) -> list[str]:
        """Return the lessons that teach it, of those that are there, the first one first."""
        known = list(there)
        found = [stem for name in [*self.lessons, *self.awaits] for stem in lessons.named(name, known)]
        return list(dict.fromkeys(found))

    def coming(self, there: Iterable[str]) -> list[str]:
        """Return the numbers of the lessons to come that will teach it."""
        known = list(there)
        return [name for name in self.awaits if not lessons.named(name, known)]


def _pattern(name: str, plural: bool = True) -> re.Pattern[str]:
    """A name's words with any separator or none between them, in any capitals, as a word of its own."""
    words = [word for word in re.split(r"[\s\-_/.]+", plain(name)) if word]
    last = words[-1]
    ending = ""
    if plural and last.isalpha() and len(last) >= 3:
        ending = "(?:s|es|e|n|en)?" if len(last) >= 5 else "s?"
    body = r"[\s\-_/.]{0,3}".join(map(re.escape, words))
    return re.compile(rf"(?<![\w#+&]){body}{ending}(?![\w#+]|&\w)", re.IGNORECASE)


def plain(text: str) -> str:
    """Return text with one kind of hyphen and blank, and words joined that a line's end had cut."""
    text = unicodedata.normalize("NFKC", text).replace("\u00ad", "").replace("\r\n", "\n")
    text = re.sub("[\u2010\u2011\u2012\u2212]", "-", text)
    return re.sub(r"(?<=[^\W\d_])-\n\s*(?=[a-zäöüß])", "", text)


@cache
def _prompt(text: str) -> str:
    return plain(text)


@cache
def load_terms(file: Path = TERMS) -> tuple[Term, ...]:
    """Return the words that are known; AdvertisementError when the file is not what it should be."""
    try:
        entries: Any = yaml.safe_load(file.read_text(encoding="utf-8"))
        return tuple(TypeAdapter(list[Term]).validate_python(entries))
    except (OSError, yaml.YAMLError, ValidationError, ValueError) as error:
        why = " ".join(str(error).split())
        raise AdvertisementError(f"{file.name} can't be read ({why}): restore it with git") from error


def read(file: Path) -> str:
    """Return the text of an advertisement, as `plain` has it.

    Raises AdvertisementError for a file that is empty, no text, a web page, or longer than a million bytes.
    """
    way_out = "save the advertisement's text in a file and name that"
    try:
        size = file.stat().st_size
        if size > MOST:
            raise AdvertisementError(
                f"{file} has {size / 1e6:.1f} MB, more than an advertisement's {MOST / 1e6:.0f} MB: {way_out}"
            )
        with file.open("rb") as source:
            raw = source.read(MOST + 1)  # a device has no size
        if len(raw) > MOST:
            raise AdvertisementError(
                f"{file} has more than an advertisement's {MOST / 1e6:.0f} MB: {way_out}"
            )
    except OSError as error:
        raise AdvertisementError(f"{file} can't be read ({error.strerror}): {way_out}") from error
    text = plain(_decoded(raw))
    if any(unicodedata.category(char) == "Cc" and char not in "\n\t\r\f\v" for char in text) or (
        raw[:5] in (b"%PDF-", b"{\\rtf")
    ):
        raise AdvertisementError(f"{file} is no text: {way_out}")
    if re.match(r"\s*<(?:!doctype|html)", text, re.IGNORECASE):
        raise AdvertisementError(f"{file} is a web page with its tags: {way_out}")
    if not text.strip():
        raise AdvertisementError(f"{file} is empty: {way_out}")
    return text


def _decoded(raw: bytes) -> str:
    """Return bytes as text: UTF-8, UTF-16 by its mark, else what Windows writes."""
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return raw.decode("utf-16", errors="replace")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("cp1252", errors="replace")


def named(text: str, terms: Iterable[Term] | None = None) -> list[Term]:
    """Return the terms that a text names: the one that is named most first, then by their place in it."""
    found = [(term, term.where(text)) for term in (load_terms() if terms is None else terms)]
    rows = [(-len(places), places[0], term) for term, places in found if places]
    return [term for *_, term in sorted(rows, key=lambda row: row[:2])]


def weight(term: Term) -> float:
    """Return what the lesson that teaches a term first is worth: half, where it teaches the idea alone."""
    return 0.5 if term.idea else 1


@dataclass(frozen=True)
class Weights:
    """How much the terms of an advertisement want each lesson and each question."""

    terms: Sequence[Term]
    there: Sequence[str]

    @cached_property
    def lessons(self) -> dict[str, float]:
        """Lessons that are named, with their weight, the most wanted first.

        A lesson that a term names first weighs 1, the next a half; by its idea alone it is half of that.
        """
        weights: dict[str, float] = {}
        for term in self.terms:
            for place, stem in enumerate(term.stems(self.there), start=1):
                weights[stem] = weights.get(stem, 0) + weight(term) / place
        return dict(sorted(weights.items(), key=lambda item: -item[1]))  # a tie: the earlier term

    @cached_property
    def own(self) -> list[str]:
        """Lessons that are the first to teach a named term, not by its idea only."""
        firsts = (term.stems(self.there)[:1] for term in self.terms if not term.idea)
        return list(dict.fromkeys(stem for first in firsts for stem in first))

    def questions(self, bank: Sequence[Question]) -> dict[str, list[Question]]:
        """Return, for each term, the questions about it, else those of the lessons that teach it.

        A term without any is left out.
        """
        found = {}
        for term in self.terms:
            numbers = {lessons.number(stem) for stem in term.stems(self.there)}
            about = [one for one in bank if term.asks(one)]
            found[term.term] = about or [one for one in bank if one.lesson in numbers]
        return {name: questions for name, questions in found.items() if questions}
