"""What every command shares: exit codes, the configuration option, and how a command ends.

`predictor/cli.py` and `predictor/events_cli.py` use it. Nothing heavy may be imported here, because
`--help` loads it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from predictor.settings import Settings

EXIT_NEGATIVE, EXIT_USAGE, EXIT_UNREACHABLE, EXIT_INTERRUPTED = 1, 2, 3, 130
PIPED_WIDTH = 120
"""Characters of a table where no terminal says how many."""

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        envvar="MPLP_PREDICTOR_CONFIG",
        help="YAML configuration; without one the MPLP scaling guide's profile.",
    ),
]


def settings_of(config: Path | None, **overrides: str | None) -> Settings:
    """Flag over environment over file over default; a fault ends the command with exit code 2."""
    from predictor.config import ConfigError, load_settings

    flags = {name: value for name, value in overrides.items() if value is not None}
    try:
        return load_settings(config, os.environ, flags)
    except ConfigError as error:
        stop(EXIT_USAGE, "\n".join(error.faults))


def result_console(piped_width: int = PIPED_WIDTH) -> Console:
    """The console of a command's results; wide enough where no terminal says how wide it is."""
    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = max(console.width, piped_width)
    return console


def stop(code: int, message: str) -> NoReturn:
    """End the command with a sentence on standard error."""
    typer.echo(message, err=True)
    raise typer.Exit(code)
