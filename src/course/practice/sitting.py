"""The interview half in the terminal: `walkforward practice`, `mock` and `stats`."""

from __future__ import annotations

import random
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta

import click
from fsrs import Rating

from course.practice.bank import Question, choose, load_bank
from course.practice.cards import section
from course.practice.reviews import SCHEDULER, Review, State, queue, utc_now
from course.practice.terminal import ask, bar, colour, forgive, minutes, rule, say, tick, timed, when, width
from course.student.workspace import WorkspaceError, work_folder
from walkforward.errors import WalkForwardError

COLOURS = {Rating.Again: "red", Rating.Hard: "yellow", Rating.Good: "green", Rating.Easy: "cyan"}
HALF_A_MINUTE = 30.0  # seconds: less time than this is left for no answer


class PracticeError(WalkForwardError, ValueError):
    """What is asked of a sitting can't be; the message says what can."""


def practice(
    lesson: str | None = None,
    kind: str | None = None,
    level: str | None = None,
    limit: int = 10,
    interview_date: str | None = None,
) -> int:
    """Ask what is due, then what is new, and grade it; return 0, or 130 when it was stopped.

    After each answer the queue is read again from the log: what another terminal graded meanwhile is not
    asked twice, and what failed ten minutes ago comes back. Raises BankError for a filter that nothing
    meets, PracticeError for a day that can't be.
    """
    bank, state = choose(load_bank(), lesson, kind, level), State()
    if interview_date is not None:
        _set_interview(state, interview_date)
    graded: list[Review] = []
    skipped: set[str] = set()

    def waiting() -> tuple[list[Question], list[Question]]:
        due, new = queue(bank, state.cards(), utc_now())
        return [one for one in due if one.id not in skipped], [one for one in new if one.id not in skipped]

    def sit() -> None:
        while len(graded) < limit and (ready := [*(lists := waiting())[0], *lists[1]]):
            question = ready[0]
            _show(question, f"{len(graded) + 1} of {min(limit, len(graded) + len(ready))}")
            answer = _answer(question, "skip it")
            if answer is None:
                skipped.add(question.id)
                continue
            review = state.record(question, *answer, "practice")
            graded.append(review)
            _verdict(question, review, state)
            _explain(question)
            if (
                len(graded) < limit
                and any(waiting())
                and ask("\n  Enter: next question; q: stop  ") in ("q", "Q")
            ):
                break

    due, new = waiting()
    day = state.interview()
    before = f"Interview on {day:%d %b %Y}: " if day and day >= utc_now().date() else ""
    click.echo(f"{before}{len(due)} due, {len(new)} new; at most {limit} now.")
    click.echo("Ctrl-C stops and keeps what is graded.")
    if code := _sit(sit, graded):
        return code
    if graded:
        told = Counter(review.rating for review in graded)
        parts = [
            colour(f"{rating.name} {told[rating]}", COLOURS[rating]) for rating in Rating if told[rating]
        ]
        click.echo(f"\n{len(graded)} graded: " + ", ".join(parts))
    _say_next(bank, state)
    return 0


def _sit(sit: Callable[[], None], graded: list[Review]) -> int:
    """Run a sitting; when it is stopped, by Ctrl-C or the end of input, say in one line what is kept."""
    forgive()
    try:
        sit()
    except (KeyboardInterrupt, EOFError):
        click.echo()
        sys.stdout.flush()
        click.echo(f"Stopped; graded and kept: {len(graded)}.", err=True)
        return 130
    return 0


def _set_interview(state: State, day: str) -> None:
    if day == "none":
        state.set("interview", "")
        return
    try:
        wanted = date.fromisoformat(day)
    except ValueError:
        raise PracticeError(
            f"--interview-date {day!r} is no day; write 2026-12-05, or none to forget it"
        ) from None
    if wanted < utc_now().date():
        raise PracticeError(f"--interview-date {day} is over; name a day to come, or none to forget it")
    state.set("interview", wanted.isoformat())


def _show(question: Question, place: str) -> None:
    rule(f"{place} · {question.topic} · {question.kind} · {question.level} · {question.minutes} min")
    say(question.prompt)
    click.echo()


def _answer(question: Question, way_out: str) -> tuple[list[bool], list[bool], float] | None:
    """Wait for the spoken answer, then ask for its points; None for `s`, whose meaning is `way_out`."""
    seconds, reply = timed(f"Answer aloud, then Enter; s: {way_out}.", 60 * question.minutes)
    if reply.lower() == "s":
        return None
    click.echo()
    say(colour("Did your answer have it? y or n; b goes back.", bold=True))
    must = [(f"must {place}/{len(question.must)}", text) for place, text in enumerate(question.must, 1)]
    good = [(f"good {place}/{len(question.good)}", text) for place, text in enumerate(question.good, 1)]
    had = tick(must + good)
    return had[: len(must)], had[len(must) :], seconds


def _verdict(question: Question, review: Review, state: State) -> None:
    due = state.cards()[question.id].due
    told = f"must {sum(review.must)} of {len(review.must)}, good {sum(review.good)} of {len(review.good)}"
    time = f"{minutes(review.seconds or 0)} of {minutes(60 * question.minutes)}"
    rating = colour(review.rating.name, COLOURS[review.rating], bold=True)
    click.echo(f"\n  {rating}: {told}, {time}. It comes back {when(due, utc_now())}.")


def _explain(question: Question) -> None:
    """Show what people say, what comes next, and where the lesson demonstrates it."""
    click.echo("\n  " + colour("What people say, and why it is wrong", bold=True))
    for wrong in question.wrong:
        say(f"✗ {wrong.says}", hang=2)
        say(wrong.why, indent=4)
    click.echo("\n  " + colour("What comes next", bold=True))
    for follow in question.follow_ups:
        say(f"? {follow.ask}", hang=2)
        say(follow.gist, indent=4)
    lab = _lab() if question.links else ""
    if question.links:
        click.echo("\n  " + colour("See it run", bold=True))
    for lesson, cell, text in question.links:
        notebook, heading = section(lesson, cell)
        say(f"{lab}{notebook.name}#cell-id={cell}")
        say(f"{heading}: {text}" if heading else text, indent=4)
    for source in question.sources:
        say(f"Source: {source.title} (checked {source.checked})", hang=8)
        say(source.url, indent=10)


def _lab() -> str:
    """Return what stands before a notebook's name in the address of a lab that runs; empty without one."""
    try:
        note = work_folder() / ".lab.json"
    except WorkspaceError:  # no lab can run there, and a sitting needs none
        return ""
    if not note.exists():
        return ""
    from course.student import lab

    root, found, _ = (lab.running_lab(note) or "").partition(
        "/lab/tree/"
    )  # the token stays out of the screen
    return root + found


def _say_next(bank: list[Question], state: State) -> None:
    cards, now = state.cards(), utc_now()
    dues = sorted(cards[question.id].due for question in bank if question.id in cards)
    if dues:
        soon = sum(due <= now + timedelta(days=1) for due in dues)
        click.echo(f"Next review: {when(dues[0], now)}; within a day: {soon}.")


# Mock interview ---------------------------------------------------------------------------------------------


def plan(bank: list[Question], length: int, seed: int) -> list[Question]:
    """Choose questions that fill `length` minutes, balanced over kinds, then over lessons; the same by seed.

    Each next question is of the kind that has got the fewest minutes so far, of the topic that has been asked
    least; a question longer than a third of the interview is taken only when nothing shorter fits.
    """
    order = list(bank)
    random.Random(seed).shuffle(order)
    chosen: list[Question] = []
    spent: Counter[str] = Counter()
    topics: Counter[str] = Counter()
    while fits := [one for one in order if one not in chosen and one.minutes <= length - spent.total()]:
        short = [one for one in fits if 3 * one.minutes <= length] or fits
        question = min(
            short, key=lambda one: (spent[one.kind], topics[one.topic])
        )  # ties: the shuffled order
        chosen.append(question)
        spent[question.kind] += question.minutes
        topics[question.topic] += 1
    return chosen


def mock(length: int = 45, level: str | None = None, seed: int | None = None) -> int:
    """Hold a timed interview and print a score sheet; return 0, or 130 when it was stopped.

    The clock counts answers, not the grading. When the minutes are over, what is left is not asked. A stopped
    interview keeps what was graded and prints the sheet so far.
    """
    bank, state = choose(load_bank(), level=level), State()
    seed = random.SystemRandom().randrange(10_000) if seed is None else seed
    planned = plan(bank, length, seed)
    if not planned:
        raise PracticeError(
            f"no question fits into --minutes {length}; the shortest wants "
            f"{min(question.minutes for question in bank)}"
        )
    filled = sum(question.minutes for question in planned)
    options = f"--minutes {length} " + (f"--level {level} " if level else "") + f"--seed {seed}"
    click.echo(
        f"Questions: {len(planned)}, {filled} of {length} minutes. The same again: walkforward mock {options}"
    )
    graded: list[Review] = []
    used = 0.0

    def sit() -> None:
        nonlocal used
        for place, question in enumerate(planned, start=1):
            if 60 * length - used < HALF_A_MINUTE:
                click.echo(f"\nTime is up; not asked: {len(planned) - place + 1}.")
                break
            _show(question, f"{place} of {len(planned)} · {minutes(max(0, 60 * length - used))} left")
            answer = _answer(question, "no answer")
            if answer is None:
                answer = [False] * len(question.must), [False] * len(question.good), 0.0
            used += answer[2]
            graded.append(state.record(question, *answer, "mock"))

    code = _sit(sit, graded)
    if graded:
        _sheet(planned, graded, used)
    return code


def _sheet(planned: list[Question], graded: list[Review], used: float) -> None:
    by_id = {question.id: question for question in planned}
    pairs = [(by_id[review.question], review) for review in graded]
    passed = sum(all(review.must) for review in graded)
    rule(f"Score: {passed} of {len(graded)} passed, in {minutes(used)}; passed means that no must is missing")
    for title, key in (("kind", lambda question: question.kind), ("lesson", lambda question: question.topic)):
        click.echo(f"  {title:<14}{'passed':>8}{'must':>8}{'good':>8}{'minutes':>16}")
        for name in sorted({key(question) for question, _ in pairs}):
            rows = [(question, review) for question, review in pairs if key(question) == name]
            must = [had for _, review in rows for had in review.must]
            good = [had for _, review in rows for had in review.good]
            time = f"{minutes(sum(review.seconds or 0 for _, review in rows))} of "
            time += minutes(60 * sum(question.minutes for question, _ in rows))
            cells = (_of([all(review.must) for _, review in rows]), _of(must), _of(good))
            click.echo(f"  {name:<14}" + "".join(f"{cell:>8}" for cell in cells) + f"{time:>16}")
        click.echo()
    failed: dict[str, list[tuple[Question, Review]]] = {}
    for question, review in pairs:
        if not all(review.must):
            failed.setdefault(question.topic, []).append((question, review))
    if not failed:
        click.echo("  Nothing failed. `walkforward practice` keeps it so.")
        return
    click.echo("  " + colour("Study next", bold=True))
    for topic, rows in sorted(failed.items(), key=lambda item: -sum(r.must.count(False) for _, r in item[1])):
        lesson = rows[0][0].lesson
        say(f"{topic}: walkforward practice " + (f"--lesson {lesson}" if lesson else f"--kind {topic}"))
        for question, review in rows:
            for text, had in zip(question.must, review.must, strict=True):
                if not had:
                    say(f"- {question.id}: {text}"[2:], indent=4, hang=2)
            for where in dict.fromkeys(
                section(name, cell)[0].name + f"#cell-id={cell}" for name, cell, _ in question.links[:1]
            ):
                say(f"see {where}", indent=6)


def _of(had: list[bool]) -> str:
    return f"{sum(had)}/{len(had)}" if had else "-"


# Statistics -------------------------------------------------------------------------------------------------


def stats() -> None:
    """Print the strength per lesson and kind as bars, and how many reviews the next 14 days bring.

    A question's strength is the probability that you would recall it today, as fsrs has it; 0 for a new one
    and for one that failed last. The forecast is today's schedule: what you answer until then adds to it.
    """
    forgive()
    bank, state, now = load_bank(), State(), utc_now()
    cards, last = state.cards(), {review.question: review.rating for review in state.reviews()}
    strength = {
        question.id: SCHEDULER.get_card_retrievability(cards[question.id], now)
        if last.get(question.id, Rating.Again) != Rating.Again
        else 0.0
        for question in bank
    }
    for title, key in (("lesson", lambda question: question.topic), ("kind", lambda question: question.kind)):
        click.echo(colour(f"Strength by {title}: how much you would recall today", bold=True))
        for name in dict.fromkeys(map(key, bank)):
            own = [question.id for question in bank if key(question) == name]
            share = sum(strength[one] for one in own) / len(own)
            seen = f"seen {sum(one in cards for one in own)} of {len(own)}"
            name_of = "red" if share < 1 / 3 else "yellow" if share < 2 / 3 else "green"
            click.echo(f"  {name:<12} {bar(share, _room(38), name_of)} {share:>4.0%}  {seen}")
        click.echo()
    _forecast([cards[question.id].due for question in bank if question.id in cards], now)
    _countdown(state.interview(), sum(question.id not in cards for question in bank), now)


def _forecast(dues: Iterable[datetime], now: datetime) -> None:
    days = [now.date() + timedelta(days=ahead) for ahead in range(14)]
    counts = Counter(max(due.astimezone(UTC).date(), days[0]) for due in dues)
    most = max([10, *(counts[day] for day in days)])
    click.echo(colour("Reviews of the next 14 days, by the schedule of today", bold=True))
    for day in days:
        length = round(counts[day] / most * _room(24))
        length = max(length, 1) if counts[day] else 0
        click.echo(f"  {day:%a %d %b} {bar(1, length)}{' ' * bool(length)}{counts[day]}")


def _countdown(interview: date | None, new: int, now: datetime) -> None:
    left = (interview - now.date()).days if interview else 0
    if left > 0:
        click.echo(
            f"\nInterview on {interview:%d %b %Y}, in {left} days; new questions a day: {-(-new // left)}."
        )


def _room(taken: int) -> int:
    """Return the columns of a bar beside so many others."""
    return max(5, min(50, width() - taken))
