"""What a command gives back, how it is printed, and which exit code it becomes (docs/contracts.md)."""

from __future__ import annotations

import errno
import json
import sys
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import click

from edgekit import __version__
from edgekit.errors import DeviceError, EdgekitError, EdgekitWarning

SCHEMA = 1
INTERRUPTED = 130


@dataclass(frozen=True)
class Outcome:
    """A command's answer: `result` goes into the --json envelope, `text` to stdout without it.

    `failed` carries a check that failed although there are results to show: exit code 1, files kept.
    """

    result: Any
    text: str
    failed: EdgekitError | None = None


@dataclass
class _Call:
    """What the envelope needs to know about the call in progress."""

    as_json: bool
    debug: bool
    command: str
    warnings: list[str] = field(default_factory=list)


def shared_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """--json and --debug on every command; `run` reads them from the arguments, so the command does not see them."""
    function = click.option("--debug", is_flag=True, expose_value=False, help="Show tracebacks.")(function)
    return click.option("--json", is_flag=True, expose_value=False, help="Print one JSON document.")(function)


def run(group: click.Group, argv: list[str]) -> int:
    """Runs a command line, prints its outcome and returns the exit code. Never raises, unless --debug."""
    words = argv[: argv.index("--")] if "--" in argv else argv
    named = [word for word in words if not word.startswith("-")]
    call = _Call("--json" in words, "--debug" in words, named[0] if named else "")
    with warnings.catch_warnings():
        warnings.simplefilter("always", EdgekitWarning)
        warnings.showwarning = _collector(call, warnings.showwarning)
        try:
            outcome = group.main(args=argv, prog_name="edgekit", standalone_mode=False)
        except BaseException as caught:
            if call.debug and not isinstance(caught, (EdgekitError, click.ClickException, click.exceptions.Exit)):
                traceback.print_exc()
            return _print_error(call, caught)
    if not isinstance(outcome, Outcome):  # --help and --version have printed already
        return outcome if isinstance(outcome, int) else 0
    return _print_outcome(call, outcome)


def _collector(call: _Call, otherwise: Callable[..., None]) -> Callable[..., None]:
    def show(message: Any, category: type[Warning], *rest: Any, **more: Any) -> None:
        if not issubclass(category, EdgekitWarning):
            otherwise(message, category, *rest, **more)
        elif str(message) not in call.warnings:
            call.warnings.append(str(message))
            click.echo(f"warning: {message}", err=True)

    return show


def _print_outcome(call: _Call, outcome: Outcome) -> int:
    failed = outcome.failed
    if call.as_json:
        _print_envelope(call, outcome.result, failed)
    else:
        click.echo(outcome.text)
        if failed:
            click.echo(f"edgekit: {failed}", err=True)
    return failed.exit_code if failed else 0


def _print_error(call: _Call, caught: BaseException) -> int:
    if isinstance(caught, click.exceptions.Exit):
        return caught.exit_code
    error = _as_edgekit_error(caught)
    if call.as_json:
        _print_envelope(call, None, error)
    else:
        click.echo(f"edgekit: {error}", err=True)
    return error.exit_code


def _print_envelope(call: _Call, result: Any, error: EdgekitError | None) -> None:
    envelope = {
        "schema": SCHEMA,
        "edgekit": __version__,
        "command": call.command,
        "ok": error is None,
        "result": result,
        "warnings": call.warnings,
        "error": error and {"code": error.code, "message": error.fact, "remedy": error.remedy},
    }
    json.dump(envelope, sys.stdout, indent=2, allow_nan=False)
    sys.stdout.write("\n")


def _named(code: str, exit_code: int, fact: str, remedy: str = "") -> EdgekitError:
    error = EdgekitError(fact, remedy)
    error.code, error.exit_code = code, exit_code  # type: ignore[misc]
    return error


def _as_edgekit_error(caught: BaseException) -> EdgekitError:
    """The family, sentence and exit code for anything that can come out of a command."""
    if isinstance(caught, EdgekitError):
        return caught
    if isinstance(caught, click.ClickException):
        context = getattr(caught, "ctx", None)
        where = context.command_path if context else "edgekit"
        return _named("usage", 2, caught.format_message(), f"See: {where} --help")
    if isinstance(caught, (KeyboardInterrupt, click.Abort)):
        return _named("interrupted", INTERRUPTED, "Interrupted.", "The same command continues where it stopped.")
    if isinstance(caught, OSError) and caught.errno is not None:
        where = f" ({caught.filename})" if caught.filename else ""
        remedy = {
            errno.ENOSPC: "Free some disk space, or choose another folder with --out; then run it again.",
            errno.EACCES: "Check the permissions, or choose another folder with --out.",
            errno.EPERM: "Choose another folder with --out.",
            errno.EROFS: "Choose a folder that can be written to with --out.",
        }
        return DeviceError(f"{caught.strerror}{where}.", remedy.get(caught.errno, "Check the path and the disk."))
    if isinstance(caught, MemoryError):
        return DeviceError("Out of memory.", "Use a smaller --batch-size or --image-size.")
    kind = type(caught).__name__
    return _named(
        "internal",
        4,
        f"Unexpected {kind}: {str(caught).splitlines()[0] if str(caught) else ''}",
        "This is a bug in edgekit: run again with --debug and report what it prints.",
    )
