"""`edgekit report`: a run's report made again, or several runs on one page."""

from __future__ import annotations

from pathlib import Path

import click

from edgekit.cli.outcome import Outcome, shared_options


@click.command("report", no_args_is_help=True)
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="FILE.html",
    help="Where the page goes, its .md beside it; default: report.html of the one run, else comparison.html here.",
)  # fmt: skip
@click.option("--images/--no-images", default=True, help="The pictures that the model gets wrong, or not.")
@shared_options
def command(runs: tuple[Path, ...], out: Path | None, images: bool) -> Outcome:
    """The report of a run, made again from its raw results; of several runs, one page that compares all their variants.

    \b
    edgekit report runs/mobilenet_v2-digits-1a2b3c4d
    edgekit report runs/small runs/large --out comparison.html
    edgekit report runs/mobilenet_v2-photos-5e6f7a8b --no-images --out for-others.html

    Runs that are compared must be of the same data. What a run that is not finished lacks is shown as missing.
    """
    from edgekit.reports import make_report

    made = make_report(runs, out, images)
    files = "\n".join(f"  {file}" for file in made.files)
    return Outcome(made.to_json(), f"{made.text}\n\nWritten:\n{files}")
