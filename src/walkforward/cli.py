"""The `walkforward` command. Each subcommand imports what it needs when it runs, so that help is instant."""

from __future__ import annotations

import sys
from typing import Any

import click

from course.commands import COMMANDS
from course.interview_commands import COMMANDS as INTERVIEW


class OneLine(click.Group):
    """A group whose errors are one line on stderr and exit code 2, with no usage text in front."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run the command; a wrong call, a missing file, a server that can't start end in one clear line."""
        if not kwargs.pop("standalone_mode", True):
            return super().main(*args, standalone_mode=False, **kwargs)
        try:
            result = super().main(*args, standalone_mode=False, **kwargs)
        except click.exceptions.NoArgsIsHelpError as error:
            click.echo(error.ctx.get_help())
            sys.exit(0)
        except click.ClickException as error:
            _fail(error.format_message())
        except (click.Abort, KeyboardInterrupt):
            click.echo("Stopped.", err=True)
            sys.exit(130)
        except (ValueError, OSError, LookupError, RuntimeError) as error:
            _fail(str(error) or type(error).__name__)
        sys.exit(result or 0)


def _fail(message: str) -> None:
    click.echo("Error: " + " ".join(message.split()), err=True)
    sys.exit(2)


HELP = """Walk-Forward: a course on forecasts that meet the future.

\b
Examples:
  walkforward lab                             start the course
  walkforward practice --lesson 11b           interview questions on a lesson
"""


@click.group(cls=OneLine, help=HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="walkforward")
def main() -> None:
    """Read the command line; the subcommands do the work."""


for command in (*COMMANDS, *INTERVIEW):
    main.add_command(command)


@main.command()
@click.argument("model_uri")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=5002, show_default=True)
@click.option("--workers", default=1, show_default=True, help="Processes.")
@click.option(
    "--queue", default=256, show_default=True, help="Requests that may wait in a worker; more get 503."
)
@click.option("--timeout", default=30.0, show_default=True, help="Seconds for a body, and for an answer.")
@click.option("--max-body", default=10.0, show_default=True, help="Megabytes.")
@click.option("--pyfunc", is_flag=True, help="Compile nothing.")
@click.option("--batching/--no-batching", default=True, help="Merge requests that wait for the pyfunc.")
def serve(model_uri: str, **options: Any) -> int:
    """Serve an MLflow model, fast, over MLflow's protocol."""
    from walkforward.serving import serve

    return serve(model_uri, **options)
