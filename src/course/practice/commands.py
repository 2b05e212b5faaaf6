"""The subcommands of `walkforward` for the interview. Each imports what it needs when it runs."""

from __future__ import annotations

from pathlib import Path

import click

from course.practice.kinds import KINDS, LEVELS, ROUNDS

KIND, LEVEL = click.Choice(KINDS), click.Choice(LEVELS)


def _ids(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    from course.practice.bank import ids

    return [name for name in ids() if name.startswith(incomplete)]


def _lessons(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    from course.practice.bank import NOTEBOOKS

    numbers = sorted(path.name.split("_")[0] for path in NOTEBOOKS.glob("*.ipynb"))
    return [number for number in numbers if number.lower().startswith(incomplete.lower())]


def _subjects(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    from course.practice.bank import subjects

    return [name for name in subjects() if name.startswith(incomplete)]


@click.command()
@click.argument("questions", nargs=-1, metavar="[ID]...", shell_complete=_ids)
@click.option("--lesson", shell_complete=_lessons, help="Of this lesson, such as 11b or I2.")
@click.option("--kind", type=KIND, help="Of this kind.")
@click.option("--subject", shell_complete=_subjects, help="Of this subject, such as azure.")
@click.option("--level", type=LEVEL, help="Of this level.")
@click.option("--weak", is_flag=True, help="What you answered worst first.")
@click.option("--today", is_flag=True, help="What your plan has for today.")
@click.option("--limit", type=click.IntRange(1), help="Questions at most; 10 when not given.")
@click.option(
    "--interview-date", metavar="DAY", help="2026-12-05: the schedule is made for it; none forgets it."
)
@click.option(
    "--import",
    "given",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Take in answers of the web site.",
)
@click.option(
    "--export", "wanted", type=click.Path(path_type=Path), metavar="FILE", help="Write your answers."
)
def practice(
    questions: tuple[str, ...],
    lesson: str | None,
    kind: str | None,
    subject: str | None,
    level: str | None,
    weak: bool,
    today: bool,
    limit: int | None,
    interview_date: str | None,
    given: Path | None,
    wanted: Path | None,
) -> int:
    """Answer questions aloud: due ones and new, or those with IDs."""
    if given or wanted:
        from course.practice import transfer

        if given:
            new, there = transfer.take_in(given)
            click.echo(f"New answers: {new}; there already: {there}.")
        if wanted:
            click.echo(f"Answers: {transfer.export(wanted)}, in {wanted}.")
        return 0
    from course.practice.sitting import practice

    return practice(lesson, kind, level, limit, interview_date, subject, questions, weak, today)


@click.command()
@click.option("--round", "name", type=click.Choice(ROUNDS), help="As it is held; without it, of all kinds.")
@click.option("--minutes", type=click.IntRange(1, 480), help="Of answers.  [default: 45, screen: 30]")
@click.option("--kind", type=KIND, help="Of this kind.")
@click.option("--lesson", shell_complete=_lessons, help="Of this lesson, such as 11b.")
@click.option("--level", type=LEVEL, help="Of this level.")
@click.option("--seed", type=click.IntRange(0), help="The same seed, the same questions.")
@click.option("--resume", is_flag=True, help="Grade an interview that was stopped.")
def mock(
    name: str | None,
    minutes: int | None,
    kind: str | None,
    lesson: str | None,
    level: str | None,
    seed: int | None,
    resume: bool,
) -> int:
    """Hold a timed interview; the rubric comes at its end.

    Without options it is the round that your plan has for today.
    """
    from course.practice.mock import mock

    return mock(minutes, level, seed, kind, lesson, name, resume)


def _katas(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    from course.practice.kata import names

    return [name for name in names() if name.startswith(incomplete)]


@click.command()
@click.argument("name", required=False, shell_complete=_katas)
@click.option("--minutes", type=click.FloatRange(1, 480), help="On the clock; 15 when not given.")
def kata(name: str | None, minutes: float | None) -> int:
    """Solve a kata in your editor; without NAME, list them."""
    from course.practice.kata import kata

    return kata(name, minutes)


def _tickets(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    from course.practice.tickets import names

    return [name for name in names() if name.startswith(incomplete)]


@click.command()
@click.argument("name", required=False, shell_complete=_tickets)
@click.option("--seed", type=click.IntRange(0), help="The same seed, the same fault.")
def ticket(name: str | None, seed: int | None) -> int:
    """Find a fault by asking for evidence."""
    from course.practice.tickets import ticket

    return ticket(name, seed)


def _paths(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    from course import outline

    return [path.name for path in outline.paths() if path.name.startswith(incomplete)]


def _stories(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    from course.practice.stories import stories

    return [file.stem for file in stories() if file.stem.startswith(incomplete)]


@click.command()
@click.option("--date", "day", metavar="DAY", help="The interview: 2026-12-13; none drops the plan.")
@click.option("--hours", metavar="HOURS", help="For each day, such as 1.5.")
@click.option(
    "--job", type=click.Path(), metavar="FILE", help="An advertisement's text; what it names comes first."
)
@click.option(
    "--path",
    metavar="NAME",
    shell_complete=_paths,
    help="The sittings of a path: interview, course, forecasting.",
)
@click.option("--done", multiple=True, metavar="SITTING", help="A sitting that you have done, such as I3.1.")
@click.option("--all", "whole", is_flag=True, help="Every day, and why something does not fit.")
def plan(
    day: str | None, hours: str | None, job: str | None, path: str | None, done: tuple[str, ...], whole: bool
) -> None:
    """Plan the days until the interview; say what today is."""
    from course.practice.agenda import plan

    plan(day, hours, job, path, done, whole)


@click.command()
def stats() -> None:
    """Show your strength per lesson, and coming reviews."""
    from course.practice.stats import stats

    stats()


@click.command("export-anki")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def export_anki(file: Path) -> None:
    """Write the questions to an Anki package (.apkg)."""
    from course.practice.anki import export

    click.echo(
        f"Notes: {export(file)}, in {file}. An import updates notes that are there and keeps their schedule."
    )


@click.group()
def story() -> None:
    """Keep your own stories of work, and rehearse them."""


@story.command()
@click.argument("title", nargs=-1, required=True)
def new(title: tuple[str, ...]) -> int:
    """Begin a story, in your editor or part by part."""
    from course.practice.stories import new

    return new(" ".join(title))


@story.command("list")
def show() -> None:
    """Show your stories, and how they were told."""
    from course.practice.stories import show

    show()


@story.command()
@click.argument("name", required=False, shell_complete=_stories)
def rehearse(name: str | None) -> int:
    """Tell a story aloud, then tick the listener's rubric."""
    from course.practice.stories import rehearse

    return rehearse(name)


COMMANDS = (plan, practice, mock, kata, ticket, stats, export_anki, story)
