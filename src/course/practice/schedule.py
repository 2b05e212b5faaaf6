"""Which question comes next: the topic asked least for its size, with what is due spread over the days.

All follows from the log, so that two terminals agree. A question that was asked before is a repeat: of any
ten answers few are repeats as long as there are questions that were never asked, so that what is due can't
crowd them out. How few, follows from what is unseen, from the days that are left and from your pace.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from fsrs import Card, Rating

from course.practice.reviews import SCHEDULER, Review, State, replayed

if TYPE_CHECKING:
    from course.practice.bank import Question

TEN = 10  # answers among which repeats are counted, and the pace of one who has not begun
FEWEST, MOST = 2, 5  # repeats among ten answers while something is unseen
OFTEN = 4  # asked so many times, the next would be the fourth repetition: what is unseen comes before
FOUR_WEEKS = 28  # days that are planned for when no interview is in sight


@dataclass(frozen=True)
class Day:
    """A day to come by the schedule of today: how many repeats it brings, and how many new questions."""

    day: date
    repeats: int
    new: int


class Schedule:
    """What the log says of a moment: what is due, what is new, and in which order it is asked.

    bank: all questions, by which the turns are counted. chosen: those that may be asked, in the bank's order;
    all when left out.
    """

    def __init__(
        self,
        bank: Iterable[Question],
        state: State,
        now: datetime,
        chosen: Iterable[Question] | None = None,
    ) -> None:
        whole = {question.id: question for question in bank}
        self.chosen = list(whole.values() if chosen is None else chosen)
        whole.update((question.id, question) for question in self.chosen)
        log, interview, today = state.reviews(), state.interview(), now.astimezone(UTC).date()
        self.now, self.cards = now, replayed(log, interview)
        self._asked: Counter[str] = Counter()  # how often: a question
        self._turns: Counter[tuple[str, str]] = Counter()  # how often: a topic, a kind
        self._last: dict[tuple[str, str], int] = defaultdict(lambda: -1)  # when: the place in the log
        self._repeats: list[bool] = []  # of each answer in the log, whether it was one
        self._failed: set[str] = set()
        self._size = Counter(("kind", question.kind) for question in whole.values())
        self._size.update(("topic", question.topic) for question in whole.values())
        days: Counter[date] = Counter()
        for review in log:
            if review.question in whole:
                self._count(whole[review.question])
                days[review.reviewed.astimezone(UTC).date()] += 1
                (self._failed.add if review.rating == Rating.Again else self._failed.discard)(review.question)
        self.end = interview if interview and interview > today else None
        self.days = (self.end - today).days if self.end else FOUR_WEEKS
        lately = [count for day, count in days.items() if 0 < (today - day).days <= 14]
        self.pace = max(1, round(sum(lately) / len(lately))) if lately else TEN
        self._done = days[today]
        self._unseen = sum(not self._asked[name] for name in whole)

    def _count(self, question: Question) -> None:
        for what in (("topic", question.topic), ("kind", question.kind)):
            self._turns[what] += 1
            self._last[what] = len(self._repeats)
        self._repeats.append(self._asked[question.id] > 0)
        self._asked[question.id] += 1

    @property
    def due(self) -> list[Question]:
        """The questions whose review is due, first those that failed, then the least often asked."""
        found = [one for one in self.chosen if one.id in self.cards and self.cards[one.id].due <= self.now]
        return sorted(found, key=self._need)

    @property
    def new(self) -> list[Question]:
        """The questions that were never asked, in the bank's order."""
        return [one for one in self.chosen if not self._asked[one.id]]

    def _need(self, question: Question) -> tuple[bool, int, datetime]:
        card: Card = self.cards[question.id]
        return question.id not in self._failed, self._asked[question.id], card.last_review or card.due

    def repeats_in_ten(self, unseen: int, days: int) -> int:
        """Return how many of ten answers may be repeats, with so many unseen and so many days left."""
        if not unseen:
            return TEN
        share = unseen / (self.pace * max(1, days))
        return min(MOST, max(FEWEST, TEN - math.ceil(TEN * share)))

    def following(self, count: int, without: Iterable[str] = ()) -> list[Question]:
        """Return the next `count` questions in order, as if none of them changed what is due.

        without: ids that are passed over.
        """
        passed_over = set(without)
        due = [one for one in self.due if one.id not in passed_over]
        # By topic and kind, which are all that a turn depends on. Two have the same turn only while neither
        # was asked: then the bank's order decides.
        new: dict[tuple[str, str], deque[Question]] = defaultdict(deque)
        for one in self.new:
            if one.id not in passed_over:
                new[one.topic, one.kind].append(one)
        rare = [one for one in due if self._asked[one.id] < OFTEN]
        often = [one for one in due if self._asked[one.id] >= OFTEN]
        limit = self.repeats_in_ten(self._unseen, self.days)
        turns, last, repeats = self._turns.copy(), self._last.copy(), self._repeats[-TEN:]
        found: list[Question] = []
        while len(found) < count and (rare or often or new):
            if rare and (not new or sum(repeats[1 - TEN :]) < limit):
                question = rare.pop(0)
            elif new:
                first = min(new, key=lambda both: self._turn(*both, turns, last))
                question = new[first].popleft()
                if not new[first]:
                    del new[first]
            else:
                question = often.pop(0)
            found.append(question)
            for what in (("topic", question.topic), ("kind", question.kind)):
                turns[what] += 1
                last[what] = len(self._repeats) + len(found)
            repeats.append(self._asked[question.id] > 0)
        return found

    def _turn(
        self, topic: str, kind: str, turns: Counter[tuple[str, str]], last: dict[tuple[str, str], int]
    ) -> tuple[bool, float, float, int, int]:
        """Return what the next new question has least of.

        A topic that was never asked comes first. Then the turns of the kind, then those of the topic, each
        against the root of its size: what is large comes more often, what is small is not over at once. Then
        how long ago either was.
        """
        of_kind, of_topic = ("kind", kind), ("topic", topic)
        share, own_share = (turns[what] / math.sqrt(self._size[what]) for what in (of_kind, of_topic))
        return turns[of_topic] > 0, share, own_share, last[of_topic], last[of_kind]

    def ahead(self, days: int = 14) -> tuple[list[Day], int]:
        """Return the days to come, and how many due questions find no room before the interview.

        A day brings no more than your pace, and of that no more repeats than the turns allow: what is due and
        finds no room waits for the next day. Today counts what is left of it.
        """
        today = self.now.astimezone(UTC).date()
        dues = sorted(
            (one for one in self.chosen if one.id in self.cards), key=lambda one: self.cards[one.id].due
        )
        unseen, place, waiting, found = len(self.new), 0, 0, []
        for ahead in range(days):
            day = today + timedelta(days=ahead)
            while place < len(dues) and self.cards[dues[place].id].due.astimezone(UTC).date() <= day:
                place, waiting = place + 1, waiting + 1
            room = limit = max(0, self.pace - (0 if ahead else self._done))
            if unseen:
                limit = math.ceil(room * self.repeats_in_ten(unseen, self.days - ahead) / TEN)
            new = min(unseen, room - min(waiting, limit))
            repeats = min(waiting, room - new)
            waiting, unseen = waiting - repeats, unseen - new
            found.append(Day(day, repeats, new))
        return found, waiting


def recall(questions: Iterable[Question], log: Sequence[Review], now: datetime) -> dict[str, float]:
    """Return, by id, the probability that you would recall a question now; 0 when new or failed last.

    log: the reviews that count, in the order of time.
    """
    cards, last = replayed(log, None), {review.question: review.rating for review in log}
    return {
        question.id: SCHEDULER.get_card_retrievability(cards[question.id], now)
        if last.get(question.id, Rating.Again) != Rating.Again
        else 0.0
        for question in questions
    }
