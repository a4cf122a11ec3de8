"""`edgekit models`: what --model takes, with size and cost."""

from __future__ import annotations

from typing import Any

import click

from edgekit.cli.outcome import Outcome, shared_options

HEADINGS = ("model", "input", "params", "MACs", "final map", "preprocessing", "also called")


@click.command("models")
@click.option(
    "--image-size", type=click.IntRange(min=1), help="Input height and width in pixels.  [default: published]"
)
@click.option(
    "--classes", type=click.IntRange(min=2), default=1000, show_default=True, help="Outputs of the last layer."
)
@shared_options
def command(image_size: int | None, classes: int) -> Outcome:
    """The models that --model takes, with their parameters, multiply-accumulates (MACs) and final map.

    Up to 64 pixels the first stride-2 layers keep the resolution until the final map is at least 4x4.
    """
    from edgekit.models.catalog import catalog

    rows = [row.__dict__ for row in catalog(image_size, classes)]
    return Outcome({"models": rows}, _table(rows))


def _table(rows: list[dict[str, Any]]) -> str:
    """Right-aligned numbers, two spaces between columns."""
    lines = [HEADINGS, *(_cells(row) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEADINGS))]
    left = {0, 5, 6}
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i in left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    size, (height, width) = row["image_size"], row["final_map"]
    return (
        row["name"],
        f"{size}x{size}",
        f"{row['params']:,}",
        f"{row['macs'] / 1e6:.2f} M",
        f"{height}x{width}",
        row["preprocess"],
        ", ".join(row["aliases"]),
    )
