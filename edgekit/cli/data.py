"""edgekit data: make a set of calibration images, and judge one."""

from __future__ import annotations

import dataclasses

import click

from edgekit.cli.outcome import Outcome, shared_options


@click.group("data")
def command() -> None:
    """Sample and check calibration images.

    \b
    edgekit data sample photos/ --n 100 --out calibration/
    edgekit data lint calibration/ --data photos/
    """


@command.command()
@click.argument("source", metavar="DIR")
@click.option("--n", "count", default=100, show_default=True, type=click.IntRange(min=1), help="How many images.")
@click.option("--out", help="The folder to make: a folder a class, manifest.json.  [default: calibration_data/NAME]")
@shared_options
def sample(source: str, count: int, out: str | None) -> Outcome:
    """Copy calibration images out of the training part of DIR, evenly over the classes.

    DIR is a folder of class folders, or of train/val/test folders; a .npz file or a data set's name works too. The
    same images are chosen every time, and never one that edgekit would validate or test on.
    """
    from pathlib import Path

    from edgekit.cli.bar import reporter
    from edgekit.data import sample as sampling

    with reporter() as progress:
        made = sampling.sample(source, count, out or Path("calibration_data") / Path(source).stem, progress)
    manifest = made.manifest
    counts = ", ".join(f"{name} {n}" for name, n in manifest["classes"].items())
    text = f"{made.folder}: {manifest['count']} images from the train split of {manifest['source']} ({counts})"
    return Outcome({"folder": str(made.folder), **manifest}, text)


@command.command()
@click.argument("folder", metavar="DIR")
@click.option("--data", help="The data set whose test images DIR must not hold: a folder, a .npz file or a name.")
@shared_options
def lint(folder: str, data: str | None) -> Outcome:
    """Judge a folder of calibration images; exit code 1 when an error is found."""
    from edgekit.cli.bar import reporter
    from edgekit.data import lint as linting

    with reporter() as progress:
        report = linting.lint(folder, data, progress)
    lines = []
    for finding in report.findings:
        lines.append(f"{finding.severity:9}{finding.check:12}{finding.message}")
        lines += [f"{'':21}{name}" for name in finding.files]
    result = {"folder": folder, "findings": [dataclasses.asdict(f) for f in report.findings]}
    return Outcome(result, "\n".join(lines), report.failed)
