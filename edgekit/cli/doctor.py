"""edgekit doctor: why is it slow, why is it wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgekit.cli.outcome import Outcome, shared_options
from edgekit.cli.preprocessing import preparation_given, preprocessing_options


@click.command("doctor")
@click.argument("file", required=False, type=click.Path(path_type=Path), metavar="[FILE]")
@click.option("--data", metavar="DIR", help="Labelled images: without them nothing is said of accuracy.")
@preprocessing_options
@shared_options
def command(file: Path | None, data: str | None, **flags: Any) -> Outcome:
    """Why a file is slow, and why it is wrong: what costs most comes first, each with its evidence and what mends it.

    It inspects the file, times its operators, runs it on every runtime at hand and, with --data, on labelled images,
    also prepared in other ways. Exit code 1 for a file that does not work or is wrong. Without FILE: is the
    installation whole, the GPU there, are the devices reachable.

    \b
    edgekit doctor model.tflite --data photos/
    edgekit doctor
    """
    from edgekit.cli.bar import reporter
    from edgekit.cli.doctor_text import examined_text, installation_text
    from edgekit.errors import UsageError
    from edgekit.findings.examine import doctor
    from edgekit.findings.installation import installation

    look = preparation_given(flags)
    if file is None:
        if data is not None or look is not None:
            raise UsageError("--data and --preprocess are of a file.", "Give the path of a .tflite file.")
        with reporter() as progress:
            whole = installation(progress)
        return Outcome(whole.to_json(), installation_text(whole), whole.failed)
    with reporter() as progress:
        found = doctor(file, data=data, preprocess=look, progress=progress)
    return Outcome(found.to_json(), examined_text(found), found.failed)
