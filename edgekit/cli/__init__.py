"""The command line: a lazily loaded group, one command a file, one place that makes output and exit codes."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

import click

from edgekit import __version__
from edgekit.cli.outcome import run

# command -> (module, one line for --help); written out so that `edgekit --help` imports none of them.
COMMANDS = {
    "compress": "Build or load a model, train, quantize, export, verify, measure and report.",
    "inspect": "What a .tflite is, what it needs to run, and what each target takes of it.",
    "metadata": "What a .tflite says of itself to apps, and writing it.",
    "verify": "Whether a .tflite gives the same answers on every runtime at hand.",
    "evaluate": "Accuracy of .tflite files on labelled images, and what one loses against another.",
    "detect-preprocess": "How images were prepared for a model that does not say.",
    "diff": "What differs between two .tflite files.",
    "reproduce": "Build a .tflite again from the recipe inside it.",
    "bench": "Latency, size and memory of .tflite files.",
    "gate": "Results against limits and a baseline: exit code 1, JUnit, SARIF, Markdown.",
    "report": "A run's report made again, or several runs on one page.",
    "recommend": "A network and a recipe for a budget, from measured results.",
    "bundle": "A folder to drop into an app, with a client and a check of itself.",
    "device": "Devices that are reached by ssh, and emulated Raspberry Pis.",
    "runtime": "Add, list and remove the other runtimes that verify asks.",
    "doctor": "Why a .tflite is slow or wrong; without a file, whether edgekit is installed whole.",
    "data": "Sample and check calibration images.",
    "models": "The models that --model takes, with their size and cost.",
    "recipes": "List, show or describe recipes.",
}


class LazyGroup(click.Group):
    """Imports a command's module only when it is called; `--help` needs no more than the table above."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        return importlib.import_module(f"edgekit.cli.{name.replace('-', '_')}").command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        from edgekit.errors import UsageError, unknown

        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            raise unknown("command", args[0], COMMANDS, UsageError)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="edgekit")
def group() -> None:
    """From a Keras image classifier to a small, fast, proven .tflite.

    \b
    edgekit compress --model mobilenet          the whole job on the built-in digits, offline
    edgekit compress --model resnet8 --data DIR your own folder of class subfolders
    edgekit bench FILE.tflite                   latency, size and memory on this machine

    Every command takes --json (one JSON document on stdout) and --debug (tracebacks).
    """


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point: runs a command line and returns its exit code."""
    return run(group, list(sys.argv[1:] if argv is None else argv))
