"""`edgekit models`: what --model takes, with size, cost and published accuracy."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from edgekit.cli.outcome import Outcome, shared_options

if TYPE_CHECKING:
    from edgekit.models.catalog import Entry

LEFT = {"model", "preprocessing", "also called", "weights"}
HEADINGS = (
    "model",
    "input",
    "params",
    "in a file",
    "MACs",
    "~float32 MB",
    "~int8 MB",
    "final map",
    "ImageNet top-1",
    "weights",
    "preprocessing",
    "also called",
)
NOTES = (
    "in a file: parameters with normalization folded into the convolutions, as `edgekit inspect` counts them.",
    "~MB: estimated, 4 or 1 byte for each of these.",
    "ImageNet top-1: in percent, of float32 weights at 1000 classes and the published size, as published by:",
)


@click.command("models")
@click.option("--model", metavar="NAME", help="Only this one; keras:NAME is a network of keras.applications.")
@click.option(
    "--image-size", type=click.IntRange(min=1), help="Input height and width in pixels.  [default: published]"
)
@click.option(
    "--classes", type=click.IntRange(min=2), default=1000, show_default=True, help="Outputs of the last layer."
)
@shared_options
def command(model: str | None, image_size: int | None, classes: int) -> Outcome:
    """The models that --model takes, with their parameters, multiply-accumulates (MACs) and ImageNet accuracy.

    Up to 64 pixels the first stride-2 layers keep the resolution until the final map is at least 4x4.

    \b
    edgekit models
    edgekit models --model mobilenet --image-size 96 --classes 10
    """
    from edgekit.cli.bar import reporter
    from edgekit.models.catalog import catalog

    with reporter() as report:
        entries = catalog(image_size, classes, model, report)
    return Outcome({"models": [asdict(entry) for entry in entries]}, _text(entries))


def _text(entries: tuple[Entry, ...]) -> str:
    """The table, what its columns mean, and a numbered source for each published figure."""
    sources = list(dict.fromkeys(entry.imagenet.source for entry in entries if entry.imagenet))
    table = _table([HEADINGS, *(_cells(entry, sources) for entry in entries)])
    notes = [*NOTES, *(f"  [{number}] {source}" for number, source in enumerate(sources, 1))] if sources else NOTES[:2]
    return "\n".join([table, "", *notes])


def _table(lines: list[tuple[str, ...]]) -> str:
    """Right-aligned numbers, two spaces between columns."""
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEADINGS))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if heading in LEFT else cell.rjust(width)
            for heading, cell, width in zip(HEADINGS, line, widths, strict=True)
        ).rstrip()
        for line in lines
    )


def _cells(entry: Entry, sources: list[str]) -> tuple[str, ...]:
    published = entry.imagenet
    return (
        entry.name,
        f"{entry.image_size}x{entry.image_size}",
        f"{entry.params:,}",
        f"{entry.deployed_params:,}",
        f"{entry.macs / 1e6:,.2f} M",
        f"{entry.estimated_float32_mb:.2f}",
        f"{entry.estimated_int8_mb:.2f}",
        "x".join(map(str, entry.final_map)) if entry.final_map else "-",
        f"{published.top1:.1f} [{sources.index(published.source) + 1}]" if published else "-",
        "imagenet" if published and published.origin else "-",
        entry.preprocess,
        ", ".join(entry.aliases),
    )
