"""`python -m walkforward.serving MODEL_URI`, which is `walkforward serve` in the course's command too."""

from __future__ import annotations

import sys
from typing import Any

import click

from walkforward.errors import WalkForwardError


@click.command()
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
@click.option("--batching/--no-batching", default=None, hidden=True, help="Of no effect.")
def serve(model_uri: str, **options: Any) -> int:
    """Serve an MLflow model, fast, over MLflow's protocol."""
    from walkforward import serving

    return serving.serve(model_uri, **options)  # imported here: MLflow takes seconds


def main() -> None:
    """Read the command line, serve, and end with the exit code; what is wrong is one line on stderr."""
    try:
        code = serve.main(prog_name="python -m walkforward.serving", standalone_mode=False)
    except (click.ClickException, WalkForwardError) as error:
        message = error.format_message() if isinstance(error, click.ClickException) else str(error)
        click.echo("Error: " + " ".join(message.split()), err=True)
        code = 2
    except (click.Abort, KeyboardInterrupt):
        click.echo("Stopped.", err=True)
        code = 130
    sys.exit(code or 0)
