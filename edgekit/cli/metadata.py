"""edgekit metadata: what a .tflite says of itself, and writing it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgekit.cli.outcome import Outcome, shared_options
from edgekit.cli.preprocessing import PREPROCESSING, preparation_given, preprocessing_options

PATH = click.Path(path_type=Path)


@click.group("metadata")
def command() -> None:
    """What a .tflite says of itself to apps, and writing it."""


@command.command()
@click.argument("file", type=PATH, metavar="FILE")
@shared_options
def show(file: Path) -> Outcome:
    """Name, author, licence, labels, how images are prepared, golden vectors, and what MediaPipe would refuse."""
    from edgekit.cli.metadata_text import metadata_text
    from edgekit.runtime.described import describe

    found = describe(file)
    return Outcome(found.to_json(), metadata_text(found))


@command.command("set", no_args_is_help=True)
@click.argument("file", type=PATH, metavar="FILE")
@click.option("--name", help="Of the model, for people.")
@click.option("--description")
@click.option("--version", help="Of the model.")
@click.option("--author")
@click.option("--license", metavar="TEXT", help="As Apache-2.0.")
@click.option("--labels", type=PATH, metavar="FILE.txt", help="The classes in the order of the output, one a line.")
@preprocessing_options
@click.option("--output", "output_meaning", type=click.Choice(["probabilities", "raw"]), help="What the output is.")
@click.option("--card", type=PATH, metavar="FILE.json", help="All of it from a card.  [default: the one beside FILE]")
@click.option("--golden/--no-golden", default=None, help="Golden vectors, or none.  [default: they are made]")
@click.option("--fresh", is_flag=True, help="Drop the metadata that FILE has; default: what is not said stays.")
@click.option("--out", type=PATH, help="A new file; default: FILE itself, whole or not at all.")
@shared_options
def set_(file: Path, labels: Path | None, out: Path | None, **given: Any) -> Outcome:
    """Write metadata that MediaPipe Tasks, ML Kit and edgekit read into any .tflite.

    \b
    edgekit metadata set model.tflite --labels labels.txt --preprocess tf --author "Jo Doe"
    edgekit metadata set model.tflite --labels labels.txt --mean 127 --std 128 --resize bicubic --crop center

    The model stays what it is: the new file has to answer bit for bit as the old one before it is written.
    """
    from edgekit.cli.metadata_text import metadata_text
    from edgekit.data.classes import read_classes
    from edgekit.exporting.set_metadata import TEXTS, Changes, set_metadata
    from edgekit.runtime.described import describe

    look = preparation_given({name: given.pop(name) for name in PREPROCESSING})
    names = None if labels is None else read_classes(labels).names
    texts = {name: text for name in TEXTS if (text := given.pop(name)) is not None}
    written = set_metadata(file, Changes(texts, names, look, **given), out)
    found = describe(written)
    return Outcome(found.to_json(), metadata_text(found))
