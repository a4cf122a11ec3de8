"""edgekit verify: the same answers on every runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgekit.cli.outcome import Outcome, shared_options
from edgekit.cli.preprocessing import preparation_given, preprocessing_options


@click.command("verify", no_args_is_help=True)
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE")
@click.option("--data", metavar="DIR", help="Images to compare on, besides the seeded inputs; no labels are needed.")
@preprocessing_options
@click.option("--device", "devices", multiple=True, metavar="NAME", help="A device of `edgekit device list`, besides.")
@click.option("--require", multiple=True, metavar="NAME", help="Exit code 1 unless this runtime gave its answer.")
@shared_options
def command(file: Path, data: str | None, devices: tuple[str, ...], require: tuple[str, ...], **flags: Any) -> Outcome:
    """The same inputs through every runtime at hand, held against LiteRT's default: how far the outputs are apart, and
    the first operator that differs.

    Runtimes: litert, litert-plain (without XNNPACK), litert-reference, litert-gpu, tflite-runtime, aarch64, tflm,
    mediapipe, browser, and devices. What is missing is listed with the command that adds it. Exit code 1 where outputs
    are further apart than the two ways to compute explain (docs/verify.md).

    \b
    edgekit verify model.tflite --data photos/
    edgekit verify model.tflite --require tflm
    """
    from edgekit.cli.bar import reporter
    from edgekit.cli.verify_text import verify_text
    from edgekit.verification.verify import verify

    look = preparation_given(flags)
    with reporter() as progress:
        found = verify(file, data=data, preprocess=look, devices=devices, require=require, progress=progress)
    return Outcome(found.to_json(), verify_text(found), found.failed)
