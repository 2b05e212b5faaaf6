"""The browser's schedule is the terminal's: the same cards to the second, the same next questions."""

import random
from datetime import UTC, date, datetime, timedelta

import pytest
from fsrs import Rating
from in_node import needs_node, node

from course.practice.bank import load_bank
from course.practice.reviews import SCHEDULER, Review, State, rate, replayed, utc_now
from course.practice.schedule import Schedule, recall

MODULES = ("fsrs", "queue")


@needs_node
def test_twenty_thousand_reviews_give_the_same_cards():
    """Early, late, on the same day, under an interview's cap: due, stability, difficulty, recall."""
    rng, logs, wanted, reviews = random.Random(11), [], [], 0
    while reviews < 20_000:
        now = datetime(2026, 11, 1, rng.randrange(24), rng.randrange(60), tzinfo=UTC)
        interview = rng.choice([None, date(2026, 12, rng.randrange(1, 31)), date(2027, 6, 1)])
        log, cards = [], []
        for _ in range(rng.randrange(1, 16)):
            rating = rng.choice([1, 2, 3, 3, 3, 4])
            log.append(Review("one", Rating(rating), now, rng.choice([None, 31.5]), [], [], "practice"))
            card = replayed(log, interview)["one"]
            later = SCHEDULER.get_card_retrievability(card, now + timedelta(days=17))
            cards.append([card.due.timestamp() * 1000, card.stability, card.difficulty, later])
            now += (card.due - now) * rng.choice([1, 1, 0.3, 1.7, 0.01]) + timedelta(
                seconds=rng.randrange(60)
            )
            now = now.replace(microsecond=0)
        day = datetime(interview.year, interview.month, interview.day, tzinfo=UTC) if interview else None
        logs.append([day and day.timestamp() * 1000, [[one.rating, one.reviewed.isoformat()] for one in log]])
        wanted.append(cards)
        reviews += len(log)
    script = """
    return given.map(([interview, log]) => log.map((_, place) => {
      const own = log.slice(0, place + 1).map(([rating, reviewed]) => ({rating, reviewed}));
      const card = fsrs.replay(own, interview);
      return [card.due, card.stability, card.difficulty, fsrs.retrievability(card, card.last + 17 * 864e5)];
    }));"""
    for mine, theirs in zip(node(script, logs, MODULES), wanted, strict=True):
        for one, other in zip(mine, theirs, strict=True):
            assert one[0] == pytest.approx(other[0], abs=1), "due, in milliseconds"
            assert one[1:] == pytest.approx(other[1:], rel=1e-9)


@needs_node
def test_an_answer_is_rated_as_in_the_terminal():
    rng = random.Random(5)
    cases = [
        [
            rng.choice([1, 4, 20]),
            [rng.random() < 0.8 for _ in range(rng.randrange(1, 5))],
            [rng.random() < 0.7 for _ in range(rng.randrange(4))],
            rng.choice([None, 0, 3, 11.9, 12, 16, 59, 60, 61, 90, 91, 240, 361, 1200, 1801]),
        ]
        for _ in range(3000)
    ]
    found = node("return given.map((one) => fsrs.rate(...one));", cases, MODULES)
    assert found == [int(rate(*case)) for case in cases]
    assert set(found) == {1, 2, 3, 4}


@needs_node
@pytest.mark.parametrize("seed", range(6))
def test_the_next_questions_are_those_of_the_terminal(tmp_path, monkeypatch, seed):
    """Some days of practice, then the next twenty; an interview ahead, behind and none; of a choice."""
    rng = random.Random(seed)
    bank = rng.sample(load_bank(), 120)
    chosen = [one for one in bank if seed % 3 or one.kind == "concept"]
    monkeypatch.setenv("WALKFORWARD_NOW", "2026-11-20T09:00+00:00")
    state = State(tmp_path / "interview.sqlite")
    if seed in (1, 2, 5):
        state.set("interview", {1: "2026-12-02", 2: "2026-11-01", 5: "2027-03-01"}[seed])
    moment = datetime(2026, 11, 3, 8, tzinfo=UTC)
    for _ in range(60 * (seed > 0)):
        moment += timedelta(minutes=rng.choice([3, 7, 30, 600]))
        one = rng.choice(bank[:30])
        must = [rng.random() < 0.85 for _ in one.must]
        state.record(
            one, must, [rng.random() < 0.6 for _ in one.good], rng.choice([30, 100]), "practice", moment
        )
    now = utc_now()
    schedule = Schedule(bank, state, now, chosen)
    day = state.interview()
    given = {
        "bank": [{"id": one.id, "topic": one.topic, "kind": one.kind} for one in bank],
        "chosen": [one.id for one in chosen],
        "log": [
            {"question": one.question, "rating": int(one.rating), "reviewed": one.reviewed.isoformat()}
            for one in state.reviews()
        ],
        "interview": day and datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000,
        "now": now.timestamp() * 1000,
    }
    script = """
    const {bank, log, interview, now} = given, named = new Set(given.chosen);
    const schedule = new queue.Schedule(bank, log, interview, now, bank.filter((one) => named.has(one.id)));
    return [schedule.following(20).map((one) => one.id), schedule.due.map((one) => one.id), schedule.pace,
      schedule.days, Object.fromEntries(queue.recall(bank, log, now))];"""
    following, due, pace, days, strength = node(script, given, MODULES)
    assert following == [one.id for one in schedule.following(20)]
    assert due == [one.id for one in schedule.due]
    assert (pace, days) == (schedule.pace, schedule.days)
    assert strength == pytest.approx(recall(bank, state.reviews(), now))
    assert not seed or due, "something is due, or the test says little"
