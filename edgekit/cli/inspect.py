"""edgekit inspect: what a .tflite is, what it needs, and who takes it."""

from __future__ import annotations

import warnings
from pathlib import Path

import click

from edgekit.cli.outcome import Outcome, shared_options


@click.command("inspect", no_args_is_help=True)
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE")
@click.option("--check", is_flag=True, help="Exit code 1, with reasons, on what would break in an app.")
@click.option(
    "--runtime", metavar="VERSION", help="With --check: the oldest TensorFlow Lite that has to run it, as 2.14."
)
@click.option(
    "--graph", type=click.Path(path_type=Path), metavar="FILE.svg", help="Draw the operators into a new file."
)
@shared_options
def command(file: Path, check: bool, runtime: str | None, graph: Path | None) -> Outcome:
    """What a .tflite file is: inputs, outputs, every operator with its parameters and MACs, weights, memory.

    Also the oldest runtime that has its operators, and what the CPU (XNNPACK), a GPU, a microcontroller (TensorFlow
    Lite Micro) and a browser would take of it or refuse, and why. --check names what would break in an app: Flex and
    custom operators, sizes that are not fixed, operators newer than --runtime.

    \b
    edgekit inspect model.tflite
    edgekit inspect model.tflite --check --runtime 2.14
    """
    from edgekit.artifact import write_bytes
    from edgekit.cli.inspect_text import inspect_text
    from edgekit.errors import EdgekitWarning, UsageError
    from edgekit.report.op_graph import op_graph
    from edgekit.runtime.dissect import inspect
    from edgekit.runtime.op_versions import release
    from edgekit.runtime.shippable import shippable

    if runtime is not None and not check:
        raise UsageError("--runtime says nothing without --check.", "Add --check.")
    if runtime is not None:
        release(runtime)  # before any work
    if graph is not None and graph.exists():
        raise UsageError(f"{graph} exists already.", "Give another path with --graph.")
    found = inspect(file)
    result = found.to_json()
    if graph is not None:
        write_bytes(graph, op_graph(found).encode())
    if not check:
        return Outcome(result, inspect_text(found))
    checked = shippable(found, runtime)
    for said in checked.warnings:
        warnings.warn(said, EdgekitWarning, stacklevel=1)
    result["check"] = checked.to_json()
    return Outcome(result, inspect_text(found), checked.failed)
