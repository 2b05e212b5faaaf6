"""`walkforward mock`: an interview as it is held: first what is asked, then the rubric, then the sheet."""

from __future__ import annotations

import contextlib
import random
import sys
from collections import Counter

import click

from course.practice import drafts, rounds, sheet, stories, terminal
from course.practice.asking import PracticeError
from course.practice.bank import Question, choose, load_bank
from course.practice.drafts import Answer, Draft
from course.practice.reviews import State, utc_now
from course.practice.rounds import Step, part
from course.practice.terminal import Left, ask, colour, forgive, minutes, rule, say, tick, timed, width

HALF_A_MINUTE = 30.0  # seconds: less time than this is left for no answer
MINUTES = 45  # of an interview of all kinds
MIXED = "mixed"
TRIES = 40  # seeds; taken is what was met least, then what asks most about the plan's advertisement


def mock(
    length: int | None = None,
    level: str | None = None,
    seed: int | None = None,
    kind: str | None = None,
    lesson: str | None = None,
    name: str | None = None,
    resume: bool = False,
) -> int:
    """Hold an interview and print its score sheet; return 0, or 130 when it was interrupted.

    name: the round, None for questions of all kinds; then, without any other option, the round that the plan
    has for today is taken. The clock counts answers, not the grading. Each answer and each tick is on the
    disk when it is given; `resume` grades what an interrupted interview has left.
    """
    state = State()
    if resume:
        return _resume(state)
    if (length, level, seed, kind, lesson, name) == (None,) * 6 and (name := _todays(state)):
        _tell(
            f"Your plan has the round {name} today: this is it. Of all kinds: walkforward mock --minutes 45"
        )
    if name and kind:
        raise PracticeError(f"--kind {kind} and --round {name} exclude each other: a round has its own kinds")
    if name in rounds.OWN and (given := "--lesson" if lesson else "--level" if level else ""):
        raise PracticeError(f"{given} is for questions of the bank; the round {name} has its own: drop it")
    bank = load_bank()
    draft = _begin(bank, state, length, level, seed, kind, lesson, name)
    if left := drafts.waiting():
        began = left[0][1].began.astimezone()
        _tell(f"An interview of {began:%d %b, %H:%M} waits to be graded: walkforward mock --resume")
    return _hold(draft, state, bank)


def _begin(
    whole: list[Question],
    state: State,
    length: int | None,
    level: str | None,
    seed: int | None,
    kind: str | None,
    lesson: str | None,
    name: str | None,
) -> Draft:
    bank = choose(whole, lesson, kind, level)
    total = length or (rounds.forms()[name].minutes if name else MINUTES)
    if not name and (shortest := min(question.minutes for question in bank)) > total:
        raise PracticeError(f"no question fits into --minutes {total}; the shortest wants {shortest}")

    def steps(number: int) -> list[Step]:
        if name:
            return rounds.draw(name, bank, length, number, whole)
        return [rounds.asked(question) for question in rounds.mixed(bank, total, number)]

    if seed is None:
        met = Counter(review.question for review in state.reviews())
        met.update(
            one for attempt in state.attempts("round") for one in attempt.detail.get("steps", []) if one
        )
        wanted = part("plan").named(state, bank) if name else set()

        def worth(number: int) -> tuple[int, int]:
            asked = [step.name for step in steps(number)]
            return sum(met[one] for one in asked), -sum(one in wanted for one in asked)

        seed = min(random.SystemRandom().sample(range(10_000), TRIES if name else 1), key=worth)
    options = {"round": name, "minutes": length if name else total, "level": level}
    options |= {"kind": kind, "lesson": lesson, "seed": seed}
    again = "walkforward mock" + "".join(
        f" --{option} {value}" for option, value in options.items() if value is not None
    )
    planned = steps(seed)
    draft = Draft.begin(name or MIXED, seed, total, again, planned)
    if name:
        _tell(f"The round {name}, {total} minutes. {rounds.forms()[name].says}")
    else:
        filled = round(sum(step.seconds for step in planned) / 60)
        _tell(f"Questions: {len(planned)}, {filled} of {total} minutes.")
        click.echo("A round as it is held: walkforward mock --round design")
    _command("The same again", again)
    own = stories.stories()
    if own and any(step.behavioural for step in planned):
        _tell("Your stories: " + ", ".join(file.stem for file in own) + ". Tell each once at most.")
    _tell("q ends it and grades what you gave; Ctrl-C stops, and what you gave is kept.")
    return draft


def _todays(state: State) -> str | None:
    """Return the first round that the plan has left for today."""
    planned = part("plan").today(state, utc_now())
    return next(iter(planned.rounds), None) if planned else None


def _resume(state: State) -> int:
    for path, left in drafts.waiting():
        if draft := drafts.take(path, left):
            began = draft.began.astimezone()
            _tell(f"Grading: the round {draft.round} of {began:%d %b %Y, %H:%M}.")
            _command("The same again", draft.again)
            return _hold(draft, state, load_bank(), asking=False)
    raise PracticeError("no interview waits to be graded; `walkforward mock` begins one")


def _hold(draft: Draft, state: State, questions: list[Question], asking: bool = True) -> int:
    """Ask, grade, print the sheet; what is not graded yet stays on the disk."""
    forgive()
    bank = {question.id: question for question in questions}
    code = 0
    try:
        if asking:
            with contextlib.suppress(Left):
                _ask_all(draft)
        _grade(draft, state, bank)
    except Left:
        pass
    except (KeyboardInterrupt, EOFError):
        code = 130
    over = all(answer.graded for answer in draft.answers) and len(draft.scores) == len(_criteria(draft))
    if code or not over:
        graded = sum(answer.graded for answer in draft.answers)
        click.echo()
        sys.stdout.flush()
        click.echo(f"Stopped; graded and kept: {graded}.", err=True)
    if not draft.answers:
        return code
    sheet.show(draft, bank)
    if over:
        level, passed = sheet.outcome(draft)
        detail = {
            "seed": draft.seed,
            "minutes": draft.minutes,
            "again": draft.again,
            "level": level,
            "scores": draft.scores,
            "steps": [draft.steps[answer.step].name for answer in draft.answers],
            "answers": [answer.model_dump(mode="json") for answer in draft.answers],
        }
        state.record_attempt("round", draft.round, passed, draft.used, detail)
        draft.drop()
    else:
        draft.release()
        click.echo()
        _command("The rubric goes on where it stopped", "walkforward mock --resume")
    return code


def _tell(text: str) -> None:
    say(text, indent=0)


def _command(why: str, command: str) -> None:
    """Print a command that can be copied: whole in one line."""
    fits = len(why) + len(command) + 2 <= width()
    click.echo(f"{why}: {command}" if fits else f"{why}:\n  {command}")


def _criteria(draft: Draft) -> list[rounds.Criterion]:
    """The criteria of a round; none where nothing was answered, and none of the interview of all kinds."""
    form = rounds.forms().get(draft.round)
    return form.criteria if form and any(not answer.skipped for answer in draft.answers) else []


# What is asked


def _ask_all(draft: Draft) -> None:
    for place, step in enumerate(draft.steps):
        left = 60 * draft.minutes - draft.used
        if left < HALF_A_MINUTE:
            click.echo(f"\nTime is up; not asked: {len(draft.steps) - place}.")
            return
        rule(f"{place + 1} of {len(draft.steps)} · {step.title} · {minutes(left)} left")
        if step.what == "spoken":
            _spoken(draft, place)
            continue
        started = terminal.monotonic()
        answer = Answer(step=place, seconds=0, passed=False, detail={"stopped": True})
        try:
            answer = _kata(step) if step.what == "kata" else _ticket(step)
        except (KeyboardInterrupt, EOFError):  # what was tried is kept by the kata or the ticket itself
            answer.seconds = max(0.0, terminal.monotonic() - started)
            raise
        finally:
            answer.step = place
            draft.answers.append(answer)
            draft.keep()


def _spoken(draft: Draft, place: int) -> None:
    """Take one answer: lines that are typed are kept at once, an empty one ends it."""
    step, answer = draft.steps[place], Answer(step=place, seconds=0)
    say(step.ask)
    click.echo()
    way = "Answer aloud, then Enter; s: no answer."
    while True:
        try:
            seconds, line = timed(way, step.seconds, answer.seconds)
        except (KeyboardInterrupt, EOFError) as stopped:
            if typed := getattr(stopped, "typed", ""):  # half a line is a note as well
                answer.said.append(typed)
                draft.answers += [] if answer in draft.answers else [answer]
                draft.keep()
            raise
        if line.lower() == "q":
            raise Left
        if answer not in draft.answers:
            draft.answers.append(answer)
        answer.seconds += seconds
        if line.lower() == "s" and not answer.said:
            answer.skipped, answer.seconds = True, 0
        elif line:
            answer.said.append(line)
        draft.keep()
        if answer.skipped or not line:
            return
        way = "Noted. Enter alone ends it."


def _kata(step: Step) -> Answer:
    done = part("kata").sit(step.name, minutes=step.seconds / 60)
    return Answer(step=0, seconds=done.seconds, passed=done.passed, detail={"tries": done.tries})


def _ticket(step: Step) -> Answer:
    done = part("tickets").sit(step.name, step.seed, minutes=step.seconds / 60)
    return Answer(step=0, seconds=done.seconds, passed=done.passed, detail={"asked": list(done.asked)})


# What is graded


def _grade(draft: Draft, state: State, bank: dict[str, Question]) -> None:
    rest = [answer for answer in draft.answers if not answer.graded]
    ticked = [one.step for one in rest if draft.steps[one.step].must and not one.skipped]
    for answer in rest:
        step = draft.steps[answer.step]
        points = [(f"must {place}/{len(step.must)}", text) for place, text in enumerate(step.must, 1)]
        points += [(f"good {place}/{len(step.good)}", text) for place, text in enumerate(step.good, 1)]
        if answer.skipped:
            answer.had = [False] * len(points)
        elif points:
            rule(f"Rubric {ticked.index(answer.step) + 1} of {len(ticked)} · {step.title}")
            say(step.ask)
            for line in answer.said:
                say(f"» {line}", hang=2)
            say()
            say(colour("Did your answer have it? y or n; b goes back, q stops.", bold=True))
            _ticks(draft, answer, points)
            if step.behavioural:
                answer.story = _which_story(step)
        if step.question in bank:
            _record(draft, answer, bank[step.question], state)
        if answer.story:
            state.record_rehearsal(answer.story, answer.seconds, answer.had[: len(step.must)])
        answer.graded = True
        draft.keep()
    _scores(draft)


def _ticks(draft: Draft, answer: Answer, points: list[tuple[str, str]]) -> None:
    """Ask point by point; a tick is on the disk when it is given, and those of before are not asked again."""

    def kept(had: list[bool]) -> None:
        answer.had = had
        draft.keep()

    tick(points, had=answer.had, kept=kept)


def _record(draft: Draft, answer: Answer, question: Question, state: State) -> None:
    """Log a question's answer once; one whose points are others by now is not graded by them."""
    step = draft.steps[answer.step]
    if len(answer.had) != len(question.must) + len(question.good):
        return
    if draft.resumed and any(
        (review.question, review.source, review.seconds) == (question.id, "mock", answer.seconds)
        and review.reviewed >= draft.began
        for review in state.reviews()
    ):  # killed after the review was logged and before the draft said so
        return
    must, good = answer.had[: len(step.must)], answer.had[len(step.must) :]
    state.record(question, must, good, answer.seconds, "mock", said="\n".join(answer.said))


def _which_story(step: Step) -> str | None:
    """Ask which of the learner's own stories was told; None for another."""
    own = [file.stem for file in stories.stories()]
    if not own:
        return None
    say(colour("Which of your stories was it?", bold=True))
    for place, stem in enumerate(own, 1):
        say(f"{place}  {stem}", indent=4)
    while True:
        reply = ask("    Its number; Enter: none of them: ").lower()
        if reply == "q":
            raise Left
        if not reply:
            return None
        if reply.isascii() and reply.isdigit() and 1 <= int(reply) <= len(own):
            return own[int(reply) - 1]
        say(f"a number from 1 to {len(own)}, or Enter.", indent=4)


def _scores(draft: Draft) -> None:
    criteria = _criteria(draft)
    if not criteria or len(draft.scores) == len(criteria):
        return
    rule(f"Criteria of the round {draft.round}")
    say("Which sentence is the nearest to what you did? 0: none; b goes back, q stops.")
    while len(draft.scores) < len(criteria):
        one = criteria[len(draft.scores)]
        click.echo()
        say(colour(f"{len(draft.scores) + 1}/{len(criteria)}  {one.name}", bold=True))
        for number, text in enumerate((one.junior, one.mid, one.senior), 1):
            say(f"{number}  {text}", indent=4, hang=3)
        reply = ask("    0-3: ").lower()
        if reply == "q":
            raise Left
        if reply in ("b", "back") and draft.scores:
            draft.scores.popitem()
        elif reply in ("0", "1", "2", "3"):
            draft.scores[one.name] = int(reply)
        else:
            say("0, 1, 2 or 3; b goes back one criterion, q stops and keeps what is scored.", indent=4)
            continue
        draft.keep()
