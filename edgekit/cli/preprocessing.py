"""The flags that say how images are prepared: a preset or a file, and what differs from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

PREPROCESSING = ("preprocess", "mean", "std", "channels", "resize", "antialias", "crop")


class Triple(click.ParamType):
    """One number for all channels, or three with commas between."""

    name = "triple"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[float]:
        try:
            numbers = [float(part) for part in str(value).split(",")]
        except ValueError:
            numbers = []
        if len(numbers) not in (1, 3):
            self.fail(f"{value!r} is neither a number nor three with commas between.", param, ctx)
        return numbers * (3 // len(numbers))


def preprocessing_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the flags to a command."""
    for option in reversed((
        click.option("--preprocess", metavar="PRESET|FILE", help="raw, unit, tf, caffe, imagenet, lite, or a .json."),
        click.option("--mean", type=Triple(), metavar="X[,Y,Z]", help="Subtracted from pixels 0..255."),
        click.option("--std", type=Triple(), metavar="X[,Y,Z]", help="Then divided by."),
        click.option("--channels", metavar="ORDER", help="rgb or bgr."),
        click.option("--resize", metavar="FILTER", help="bilinear, bicubic, area or nearest."),
        click.option("--antialias/--no-antialias", default=None, help="Widen the filter when shrinking, or not."),
        click.option("--crop", metavar="HOW", help="none or center."),
    )):  # fmt: skip
        function = option(function)
    return function


def preparation_given(flags: Mapping[str, Any]) -> Any:
    """The value of a recipe's `data.preprocess`: a preset's name, a block with what the flags change, or None."""
    from edgekit.preprocess import load_block, preparation

    named = flags["preprocess"]
    changed = {name: value for name, value in flags.items() if name != "preprocess" and value is not None}
    if named is not None and named.endswith(".json"):
        return {**load_block(Path(named)).model_dump(mode="json"), **changed}
    if not changed:
        return named
    return changed if named is None else {**preparation(named).model_dump(mode="json"), **changed}
