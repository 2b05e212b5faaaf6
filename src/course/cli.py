"""The `walkforward` command. Each subcommand imports what it needs when it runs, so that help is instant."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from walkforward.errors import WalkForwardError

WITHOUT_COURSE = '{} is not installed, which the course needs: pip install "walkforward[course]"'

try:
    import click

    from course.practice.commands import COMMANDS as INTERVIEW
    from course.practice.terminal import forgive
    from course.student.commands import COMMANDS
    from walkforward.serving.command import serve
except ModuleNotFoundError as error:  # only what can be taken to work is installed
    raise SystemExit("Error: " + WITHOUT_COURSE.format(error.name)) from None


class OneLine(click.Group):
    """A group whose errors are one line on stderr and exit code 2, with no usage text in front."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run the command; a wrong call and an error of ours end in one line, a defect in its traceback."""
        if not kwargs.pop("standalone_mode", True):
            return super().main(*args, standalone_mode=False, **kwargs)
        forgive()
        try:
            _stand_somewhere()
            result = super().main(*args, standalone_mode=False, **kwargs)
            sys.stdout.flush()
        except click.exceptions.NoArgsIsHelpError as error:
            click.echo(error.ctx.get_help())
            sys.exit(0)
        except click.ClickException as error:
            _fail(error.format_message())
        except (click.Abort, KeyboardInterrupt):
            click.echo("Stopped.", err=True)
            sys.exit(130)
        except WalkForwardError as error:
            _fail(str(error))
        except ModuleNotFoundError as error:
            if (error.name or "walkforward").partition(".")[0] in {"walkforward", "course", "authoring"}:
                raise
            _fail(WITHOUT_COURSE.format(error.name))
        except OSError:
            if _is_taken():
                raise
            sys.exit(1)
        sys.exit(result or 0)


def _stand_somewhere() -> None:
    try:
        Path.cwd()
    except OSError as error:
        raise click.UsageError("the folder that you stand in is gone: cd to another") from error


def _is_taken() -> bool:
    """Whether what is printed is taken: not in `walkforward stats | head -1`, nor by a full disk."""
    try:
        print(flush=True)
    except OSError as error:
        if not isinstance(error, BrokenPipeError):
            click.echo(f"Error: what is printed can't be written ({error.strerror}): make room", err=True)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python tries again at its end
        return False
    return True


def _fail(message: str) -> None:
    click.echo("Error: " + " ".join(message.split()), err=True)
    sys.exit(2)


HELP = """\b
Walk-Forward: a course on forecasts that meet the future.
  walkforward lab                             start the course
"""


@click.group(cls=OneLine, help=HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="walkforward")
def main() -> None:
    """Read the command line; the subcommands do the work."""


for command in (*COMMANDS, *INTERVIEW, serve):
    main.add_command(command)
