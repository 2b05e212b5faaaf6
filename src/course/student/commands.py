"""The subcommands of `walkforward` that run the course. Each imports what it needs when it runs."""

from __future__ import annotations

from typing import Any

import click


@click.command()
@click.argument("lesson", default="00")
@click.option("--no-browser", is_flag=True, help="Print the addresses, open no browser.")
def lab(lesson: str, no_browser: bool) -> int:
    """Start JupyterLab and the course's MLflow server."""
    from course.student.lab import run_lab

    return run_lab(browser=not no_browser, lesson=lesson)


@click.command()
def doctor() -> int:
    """Check the environment; a line per thing, with the way out."""
    from course.student.doctor import run_checks

    return run_checks()


@click.command()
@click.argument("lessons", nargs=-1, metavar="[LESSON]...")
@click.option("-p", "parameters", nargs=2, multiple=True, metavar="NAME VALUE", help="A lesson's parameter.")
def run(lessons: tuple[str, ...], parameters: tuple[tuple[str, str], ...]) -> int:
    """Run lessons (all when none is named), write a report."""
    from course.student.lesson_run import run_lessons

    names = [name for name, _ in parameters]
    if twice := [name for name in names if names.count(name) > 1]:
        raise click.UsageError(f"-p {twice[0]} stands twice: give it once; several files are a list")
    return run_lessons(list(lessons), dict(parameters))


@click.command()
@click.option("--path", metavar="NAME", help="Along one path: interview, course, forecasting.")
def progress(path: str | None) -> None:
    """Show which exercises you have passed."""
    from course.student.report import show_progress

    show_progress(path)


@click.command()
@click.argument("lesson")
@click.option("--keep-answers", is_flag=True, help="Carry your answers over.")
def reset(lesson: str, keep_answers: bool) -> None:
    """Start a lesson afresh; your copy is backed up."""
    from course.student import workspace

    click.echo(f"Your old copy is in {workspace.reset(lesson, keep_answers=keep_answers)}")


@click.command(hidden=True)  # the lessons that need it say so; the list of commands fits a screen
@click.argument("name")
def env(name: str) -> None:
    """Make an environment beside the course's own: platforms, ci, lake, site."""
    from course import environments

    click.echo(f"{name}: {environments.make(name)}")


@click.command(hidden=True)
@click.option("--from", "first", metavar="MONTH", help="Run the months from this one (default 2018-01).")
@click.option("--to", "last", metavar="MONTH", help="Run them to this one (default 2020-12).")
@click.option("--month", metavar="MONTH", help="Run this month.")
@click.option("--next", "next_month", is_flag=True, help="Run the month that comes next.")
@click.option("--state", default="capstone", show_default=True, help="The folder that keeps all.")
@click.option(
    "--policy", metavar="NAME", help="When to retrain: never, monthly, error, drift, drift or error."
)
@click.option("--plant", metavar="MONTH", help="Plant a fault: kilometres are sent to this month's canary.")
@click.option("--engine", type=click.Choice(["loop", "metaflow"]), default="loop", show_default=True)
@click.option("--serve/--no-serve", default=True, help="Start each new version and ask it over HTTP.")
@click.option("--new", metavar="DIR", help="Make a repository of your own there, and end.")
@click.option("--schedule", is_flag=True, help="Print the schedule for a cluster, and end.")
def capstone(schedule: bool, new: str | None, **asked: Any) -> None:
    """Run the flow of lesson 17: from a month's data to a watched model."""
    if schedule:
        from projects.capstone.schedule import manifest

        click.echo(manifest())
        return
    if new is not None:
        from projects.capstone.new import make

        click.echo(f"{make(new)}: read its README.md")
        return
    from projects.capstone.command import run

    run(**asked, told=click.echo)


COMMANDS = (lab, doctor, run, progress, reset, env, capstone)
