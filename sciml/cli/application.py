"""Find the commands, run one, and turn what went wrong into one line and an exit status."""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from sciml.cli import commands
from sciml.errors import InputError

SUCCESS, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line ``arguments`` (by default the process's own) and return its exit status.

    0 on success, 1 on a failed run, 2 on bad input, 130 when interrupted; every failure is one line on standard error.
    """
    try:
        status = typer.main.get_command(application())(args=arguments, prog_name="sciml", standalone_mode=False)
        if status == INTERRUPTED:  # typer's own answer to the key
            raise KeyboardInterrupt
    except typer.TyperException as error:  # the command line itself is wrong
        context = getattr(error, "ctx", None)
        hint = f"; see {context.command_path} --help" if context else ""
        return _fail(error.format_message().rstrip(".") + hint, error.exit_code)
    except InputError as error:
        return _fail(str(error), BAD_INPUT)
    except (KeyboardInterrupt, typer.Abort):
        return _fail("interrupted", INTERRUPTED)
    except Exception as error:
        if os.environ.get("SCIML_TRACEBACK"):
            raise
        return _fail(f"{type(error).__name__}: {error} (set SCIML_TRACEBACK=1 to see where)", FAILED)
    return status if isinstance(status, int) else SUCCESS


def application() -> typer.Typer:
    """The command line: every module of ``sciml.cli.commands`` is a command, its function ``command`` does the work."""
    app = typer.Typer(
        help="Solve partial differential equations by physics-informed machine learning.",
        invoke_without_command=True,
        add_completion=False,
    )
    app.callback()(_options)
    for module in pkgutil.iter_modules(commands.__path__):
        app.command(module.name)(importlib.import_module(f"{commands.__name__}.{module.name}").command)
    return app


def _options(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        from sciml import __version__

        typer.echo(f"sciml {__version__}")
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())


def _fail(message: str, status: int) -> int:
    print("sciml: " + " ".join(message.split()), file=sys.stderr)
    return status
