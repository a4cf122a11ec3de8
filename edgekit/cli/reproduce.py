"""edgekit reproduce: build a file again from the recipe inside it."""

from __future__ import annotations

from pathlib import Path

import click

from edgekit.cli.outcome import Outcome, shared_options


@click.command("reproduce", no_args_is_help=True)
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE")
@click.option("--data", metavar="SOURCE", help="The images, where they were your own.")
@click.option("--model", metavar="FILE", help="The model, where it was your own.")
@click.option("--weights", metavar="FILE", help="The weights, where they were your own.")
@click.option("--custom", metavar="FILE.py", help="The layers of your own model; the file is executed.")
@click.option("--calibration", metavar="DIR|FILE.npz", help="The calibration images, where they were apart.")
@click.option("--labels", metavar="FILE.txt", help="The labels, where they were given.")
@click.option("--teacher", metavar="FILE", help="The teacher, where it was your own.")
@click.option("--set", "assignments", multiple=True, metavar="FIELD=VALUE", help="Any other field of the recipe.")
@click.option("--out", type=click.Path(path_type=Path), help="Keep the run directory.  [default: it is removed]")
@shared_options
def command(file: Path, assignments: tuple[str, ...], out: Path | None, **own: str | None) -> Outcome:
    """Build FILE again from its recipe, and compare hashes, weights and metrics.

    Exit code 1: it became another model, and what differs is said. No file that the recipe names is opened: what was
    your own you give again.

    \b
    edgekit reproduce model.tflite --data photos/
    """
    from edgekit.cli.bar import reporter
    from edgekit.cli.diff_text import reproduction_text
    from edgekit.recipe_fields import FLAGS, parse_set
    from edgekit.reproduction import reproduce

    given = {FLAGS[name]: value for name, value in own.items() if value is not None}
    with reporter() as progress:
        found = reproduce(file, {**given, **parse_set(assignments)}, out=out, progress=progress)
    return Outcome(found.to_json(), reproduction_text(found), found.failed)
