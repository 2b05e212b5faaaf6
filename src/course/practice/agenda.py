"""`walkforward plan`: makes, changes and drops the plan, and says what today is."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path

import click

from course import lessons, outline
from course.practice import advertisement, timetable
from course.practice.advertisement import Term
from course.practice.bank import Question, load_bank
from course.practice.plan import (
    Course,
    Done,
    Plan,
    PlanError,
    Ready,
    changed,
    current,
    day_of,
    is_done,
    items_of,
    label,
    made_anew,
    terms_of,
)
from course.practice.reviews import State, utc_now
from course.practice.terminal import colour, forgive, rule, say, width
from course.practice.timetable import Item, hours, short

FARTHEST = 365  # days that a plan reaches
LEAST, MOST, USUAL = 0.25, 12.0, 1.5  # hours a day
USUAL_PATH = "interview"
MOST_NAMES = 8  # of what is left out, on the screen of today
PLURALS = (("sitting", "sittings"), ("round", "rounds"), ("story", "stories"), ("kata", "katas"))
WHATS = dict(PLURALS) | {"questions": "questions"}  # in the order in which a day has them


def plan(
    day: str | None = None,
    hours_a_day: str | None = None,
    job: str | None = None,
    path: str | None = None,
    done: Sequence[str] = (),
    whole: bool = False,
) -> None:
    """Make, change or drop the plan, then print today or, with `whole`, every day.

    Raises PlanError for a day or hours that can't be and where there is no plan, AdvertisementError for a
    file that is no advertisement, OutlineError for a path there is not.
    """
    forgive()
    state, now = State(), utc_now()
    if day == "none":
        _drop(state)
        return
    text = advertisement.read(Path(job)) if job not in (None, "none") else None
    asked = any(value is not None for value in (day, hours_a_day, job, path)) or bool(done)
    if asked:
        kept = _ask(state, now, day, hours_a_day, path, done, text, job)
    else:
        kept = current(state, now)
    interview, today_ = state.interview(), day_of(now)
    if kept is None:
        raise PlanError(f"there is no plan yet: {_example(today_)} makes one")
    if interview is None:
        raise PlanError(f"the interview's day was forgotten: {_example(today_)} plans again")
    if interview < today_:
        raise PlanError(
            f"the interview on {_day(interview, today_)} is over: {_example(today_)} plans the next one"
        )
    course = Course(kept, Done(state))
    if text is not None:
        _say_advertisement(course)
    if whole:
        _say_days(course, now)
    else:
        _say_today(course, now)


def _example(today: date) -> str:
    return f"`walkforward plan --date {today + timedelta(days=14)} --hours {USUAL}`"


def _day(day: date, today: date | None = None) -> str:
    """Return a day as one says it; with its year where that is not the one of `today`."""
    year = f" {day.year}" if today and day.year != today.year else ""
    return f"{day:%a} {day.day} {day:%b}{year}"


def _drop(state: State) -> None:
    while True:
        raw, day = state.setting("plan"), state.setting("interview")
        if state.change({"plan": "", "interview": ""}, seen={"plan": raw, "interview": day}):
            break
    if not raw:
        click.echo("There was no plan; no interview is set now.")
    else:
        click.echo(
            f"The plan{f' for the interview on {day}' if day else ''} is dropped. What you did is kept."
        )


def _ask(
    state: State,
    now: datetime,
    day: str | None,
    hours_a_day: str | None,
    path: str | None,
    said: Sequence[str],
    text: str | None,
    job: str | None,
) -> Plan | None:
    today_ = day_of(now)
    wanted = _date(day, today_) if day is not None else None
    minutes = _minutes(hours_a_day) if hours_a_day is not None else None
    if path is not None:
        outline.path_named(path)
    replaced: list[Plan] = []

    def change(old: Plan | None) -> Plan:
        interview = wanted or state.interview()
        if interview is None or interview <= today_:
            raise PlanError(f"for which day? {_example(today_)} makes a plan")
        follows = old if old and old.interview > today_ else None  # after an interview all begins anew
        base = follows or Plan(
            begun=now, made=today_, interview=interview, minutes=round(60 * USUAL), path=USUAL_PATH
        )
        update: dict[str, object] = {"interview": interview}
        if minutes:
            update["minutes"] = minutes
        if path:
            update["path"] = path
        if text is not None and job is not None:
            update |= {
                "job": Path(job).name,
                "terms": {one.term: one.word(text) for one in advertisement.named(text)},
            }
        elif job == "none":
            update |= {"job": "", "terms": {}}
        new = base.model_copy(update=update)
        if said:
            names = [*new.said, *_sittings_named(said, Course(new, Done(state)))]
            new = new.model_copy(update={"said": list(dict.fromkeys(names))})
        replaced[:] = [old] if old and (day, hours_a_day, path) != (None, None, None) else []
        return made_anew(new, follows, state, today_)

    kept = changed(state, change)
    for old in replaced:
        say(
            f"This replaces the plan for {_day(old.interview, today_)}, {hours(old.minutes)} a day, "
            f"path {old.path}. What you did is kept.",
            indent=0,
        )
    return kept


def _date(text: str, today: date) -> date:
    rule_ = f"write a day to come as {today + timedelta(days=14)}, or none to drop the plan"
    try:
        wanted = date.fromisoformat(text.strip())
    except ValueError:
        raise PlanError(f"--date {text!r} is no day: {rule_}") from None
    if wanted <= today:
        raise PlanError(f"--date {wanted} is {'today' if wanted == today else 'over'}: {rule_}")
    if (wanted - today).days > FARTHEST:
        raise PlanError(f"--date {wanted} is {(wanted - today).days} days away: a plan reaches {FARTHEST}")
    return wanted


def _minutes(text: str) -> int:
    try:
        wanted = float(text.replace(",", "."))
    except ValueError:
        wanted = math.nan
    if not LEAST <= wanted <= MOST:
        raise PlanError(
            f"--hours {text!r}: write the hours of a day, from {LEAST} to {MOST:.0f}, such as 1.5"
        )
    return round(60 * wanted)


def _sittings_named(said: Sequence[str], course: Course) -> Iterable[str]:
    for name in said:
        wanted = name.strip().lower()
        found = [
            one.name
            for one in course.sittings.values()
            if wanted
            in (one.name.lower(), one.stem.lower(), one.number.lower(), lessons.number(one.stem).lower())
        ]
        if not found:
            there = ", ".join(one.number for one in course.sittings.values())
            raise PlanError(f"--done {name!r} is no sitting of the plan: it has {there}")
        yield from found


# Said ------------------------------------------------------------------------------------------------------


def _say_today(course: Course, now: datetime) -> None:
    kept, day = course.plan, day_of(now)
    left = (kept.interview - day).days
    rule(f"{_day(day)} {day.year} · {'the interview' if not left else _days(left) + ' to the interview'}")
    items = items_of(kept, day)
    if not left:
        say("Your interview is today. No work: eat, walk, be early.")
        return
    if left > 1:
        _say_missed(kept)
    if not items:
        ahead = [one for one in kept.days if one.day > day and one.items]
        if ahead or left > 1:
            say("Nothing is left to do today.")
        else:
            say("Today is the day off before the interview. `walkforward practice` asks all the same.")
            return
        _say_left(kept)
        return
    planned = sum(item.minutes for item in items)
    say(f"Today: {planned} of {kept.minutes} minutes.")
    rows = [_row(item, course, day, now) for item in _joined(items)]
    length = max(len(text) for text, _ in rows) + 2
    wide = length + max(len(command) for _, command in rows) <= width()
    for text, command in rows:
        if wide:
            click.echo(text.ljust(length) + colour(command, "cyan"))
        else:
            say(text.strip(), indent=2, hang=13)
            click.echo(" " * 15 + colour(command, "cyan"))
    _say_left(kept)
    off = kept.interview - timedelta(days=1)
    click.echo()
    say(f"Interview on {_day(kept.interview, day)}, {_day(off)} is off. All days: walkforward plan --all")


def _days(number: int) -> str:
    return f"{number} day{'s' * (number != 1)}"


def _joined(items: Sequence[Item]) -> list[Item]:
    """Items with the stories of a day as one."""
    stories = [item for item in items if item.what == "story"]
    found = [item for item in items if item.what != "story"]
    if stories:
        minutes = sum(item.minutes for item in stories)
        found.append(Item(what="story", minutes=minutes, count=len(stories)))
    order = list(WHATS)
    return sorted(found, key=lambda item: order.index(item.what))


def _row(item: Item, course: Course, day: date, now: datetime) -> tuple[str, str]:
    """Return an item as a line, and the command that begins it."""
    box = "[x]" if is_done(item, day, course) else "[ ]"
    front = f"  {box} {item.minutes:>3} min  "
    if item.what == "sitting":
        one = course.sittings.get(item.name)
        title = one.title if one else ""
        part = f" ({item.part})" if item.part else ""
        return f"{front}{short(item.name)} {title}{part}", f"walkforward lab {short(item.name).split('.')[0]}"
    if item.what == "round":
        shorter = f" --minutes {item.minutes}" if item.minutes < timetable.ROUND[item.name] else ""
        return f"{front}the round {item.name}", f"walkforward mock --round {item.name}{shorter}"
    if item.what == "kata":
        return f"{front}kata {item.name}", f"walkforward kata {item.name}"
    if item.what == "story":
        from course.practice.stories import stories

        number = "a story of yours" if item.count == 1 else f"{item.count} stories of yours"
        few = len(stories()) < 4
        return f"{front}{number}", 'walkforward story new "TITLE"' if few else "walkforward story rehearse"
    open_ = item.count - course.done.answered[day]
    topics = _topics(Ready(course, now).take(open_)) if open_ > 0 else ""
    return f"{front}{_questions(item.count)}{topics}", "walkforward practice --today"


def _questions(number: int) -> str:
    return f"{number} question{'s' * (number != 1)}"


def _topics(asked: Sequence[Question]) -> str:
    names = list(dict.fromkeys(one.topic for one in asked))
    return f" ({', '.join(names[:4])}{' …' if len(names) > 4 else ''})" if names else ""


def _say_missed(kept: Plan) -> None:
    if not kept.missed:
        return
    parts = []
    for what, plural in WHATS.items():
        names = kept.missed.get(what, [])
        if what in ("story", "questions"):
            parts += [f"{plural} {name}" for name in names]
        elif names:
            shown = [short(name) for name in names] if what == "sitting" else names
            parts.append(f"{plural} {', '.join(shown)}")
    since = f" since {_day(kept.since)}" if kept.since else ""
    say(f"Missed{since}: {'; '.join(parts)}. What fits is moved to the days that are left.", hang=2)
    if kept.fallen:
        say(f"No longer fits: {', '.join(kept.fallen)}.", hang=2)
    click.echo()


def _say_left(kept: Plan, why: bool = False) -> None:
    if not kept.left:
        return
    click.echo()
    sittings = [one for one in kept.left if one.what == "sitting"]
    rounds = [one for one in kept.left if one.what == "round"]
    parts = []
    if sittings:
        number = "1 sitting is" if len(sittings) == 1 else f"{len(sittings)} sittings are"
        shown = sittings if why else sittings[:MOST_NAMES]
        names = ", ".join(short(one.name) for one in shown) + " …" * (len(shown) < len(sittings))
        parts.append(f"{number} left out ({names}), {hours(sum(one.minutes for one in sittings))}")
    if rounds:
        parts.append(f"the round{'s' * (len(rounds) > 1)} {', '.join(one.name for one in rounds)}")
    say(f"Does not fit: {'; and '.join(parts)}." + ("" if why else " `--all` says which and why."), hang=2)
    if not why:
        return
    reasons: dict[str, list[str]] = {}
    for one in kept.left:
        reasons.setdefault(one.why, []).append(label(one))
    for reason, names in reasons.items():
        say(f"{', '.join(names)}: {reason}.", indent=4, hang=2)


def _say_days(course: Course, now: datetime) -> None:
    kept = course.plan
    rule(f"{hours(kept.minutes)} a day until {_day(kept.interview, day_of(now))}, path {kept.path}")
    _say_missed(kept)
    ahead = [one for one in kept.days if one.day >= day_of(now)]
    ready = Ready(course, now)
    for one in ahead:
        parts = []
        for item in _joined(one.items):
            if item.what == "questions":
                answered = course.done.answered[one.day]
                parts.append(_questions(item.count) + _topics(ready.take(item.count - answered)))
            elif item.what == "sitting":
                parts.append(f"{short(item.name)}{f' ({item.part})' if item.part else ''}")
            elif item.what == "story":
                parts.append("a story" if item.count == 1 else f"{item.count} stories")
            else:
                parts.append(f"{item.what} {item.name}")
        last = one.day == kept.interview - timedelta(days=1)
        said = " · ".join(parts) or ("off" if last else "nothing is left to do")
        taken = sum(item.minutes for item in one.items)
        front = f"{one.day:%a} {one.day.day:>2} {one.day:%b} {taken:>4}  "
        say(front + said, hang=len(front))
    say(f"{kept.interview:%a} {kept.interview.day:>2} {kept.interview:%b}       the interview")
    say("The number after each day is its minutes. Questions are chosen on the day, by what is due then.")
    _say_left(kept, why=True)
    if kept.terms:
        click.echo()
        _say_advertisement(course)


def _say_advertisement(course: Course) -> None:
    """Say what an advertisement names, what of it is taught, and what of the path it does not name."""
    kept = course.plan
    there = list(course.lessons)
    terms = terms_of(kept)
    rule(f"{kept.job} names {len(terms)} term{'s' * (len(terms) != 1)} that are known here")
    if not terms:
        say(
            "The plan is the path's own. Names of tools are known in any language, other words in English "
            "and German."
        )
        return
    taught = [term for term in terms if term.stems(there) and not term.idea]
    ideas = [term for term in terms if term.idea and (term.stems(there) or term.coming(there))]
    coming = [term for term in terms if not term.idea and not term.stems(there) and term.coming(there)]
    known = {term.term for term in [*taught, *ideas, *coming]}
    untaught = [term for term in terms if term.term not in known]
    bank, word = load_bank(), kept.terms

    def asked(term: Term) -> str:
        number = sum(term.asks(one) for one in bank)
        return f" ({_questions(number)})" if number else ""

    def numbers(term: Term) -> str:
        return ", ".join(lessons.number(stem) for stem in term.stems(there)[:3])

    for title, rows in (
        ("Taught, and first in the plan", [f"{word[term.term]} {numbers(term)}" for term in taught]),
        ("Taught by the idea, not the tool", [f"{word[term.term]} ({term.idea})" for term in ideas]),
        ("Not taught yet, a lesson is to come", [word[term.term] + asked(term) for term in coming]),
        ("Not taught here", [word[term.term] + asked(term) for term in untaught]),
    ):
        if rows:
            say(f"{title}: {'; '.join(rows)}.", hang=2)
    wanted = set(course.weights.lessons)
    others = dict.fromkeys(one.number for one in course.route.sittings if one.stem not in wanted)
    if others:
        say(f"On the path, and not named: {', '.join(others)}.", hang=2)
