"""edgekit diff: what differs between two .tflite files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgekit.cli.outcome import Outcome, shared_options
from edgekit.cli.preprocessing import preparation_given, preprocessing_options

PATH = click.Path(path_type=Path)


@click.command("diff", no_args_is_help=True)
@click.argument("first", type=PATH, metavar="A")
@click.argument("second", type=PATH, metavar="B")
@click.option("--data", metavar="SOURCE", help="Compare accuracy too: a folder of class subfolders, .npz or digits.")
@preprocessing_options
@click.option("--bench", is_flag=True, help="Compare latency too, measured in turns on this machine.")
@shared_options
def command(first: Path, second: Path, data: str | None, bench: bool, **flags: Any) -> Outcome:
    """Contract and recipe, operators, weights layer by layer, answers on drawn inputs, size.

    \b
    edgekit diff old.tflite new.tflite
    edgekit diff old.tflite new.tflite --data photos/ --bench
    """
    from edgekit.cli.bar import reporter
    from edgekit.cli.diff_text import diff_text
    from edgekit.difference import diff

    look = preparation_given(flags)
    with reporter() as progress:
        found = diff(first, second, data=data, bench=bench, preprocess=look, progress=progress)
    return Outcome(found.to_json(), diff_text(found))
