"""edgekit detect-preprocess: how images were prepared for a model that came without saying."""

from __future__ import annotations

from pathlib import Path

import click

from edgekit.cli.outcome import Outcome, shared_options


@click.command("detect-preprocess", no_args_is_help=True)
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE")
@click.option("--data", required=True, metavar="SOURCE", help="Labelled images: a folder of class folders, or a .npz.")
@click.option("--labels", type=click.Path(path_type=Path), metavar="FILE.txt",
              help="The file's classes in the order of its outputs, one a line.")  # fmt: skip
@click.option("--images", default=50, show_default=True, help="How many images to try, evenly over the classes.")
@shared_options
def command(file: Path, data: str, labels: Path | None, images: int) -> Outcome:
    """Try the usual scalings, orders of channels, filters and crops on a few labelled images, and rank them.

    What the images cannot tell apart is said. Exit code 1: none of them makes the model better than guessing.

    \b
    edgekit detect-preprocess model.tflite --data photos/
    """
    from edgekit.cli.bar import reporter
    from edgekit.cli.detect_text import detect_text
    from edgekit.data.classes import read_classes
    from edgekit.evaluation.detect import detect_preprocess

    names = None if labels is None else read_classes(labels).names
    with reporter() as progress:
        found = detect_preprocess(file, data, labels=names, images=images, progress=progress)
    return Outcome(found.to_json(), detect_text(found), found.failed)
