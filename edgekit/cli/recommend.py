"""`edgekit recommend`: a network and a recipe for a budget, from measured results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from edgekit.cli.outcome import Outcome, shared_options

if TYPE_CHECKING:
    from edgekit.recommendation import Option, Recommendation

MOST = 5  # rows of each list


@click.command("recommend")
@click.option("--max-latency-ms", type=float, metavar="MS", help="Median latency of one image on the device.")
@click.option("--device", default="cpu", show_default=True, metavar="NAME", help="Where the latency counts.")
@click.option("--max-size-mb", type=float, metavar="MB", help="File size.")
@click.option("--max-arena-kb", type=float, metavar="KB", help="Memory for tensors on a microcontroller.")
@click.option("--min-top1", type=float, metavar="PERCENT", help="Published or measured top-1; of which data is said.")
@click.option("--images", type=int, metavar="N", help="Images of each class that you have to train on.")
@click.option(
    "--image-size", type=int, default=96, show_default=True, metavar="PIXELS", help="What the model will take."
)
@shared_options
def command(**asked: Any) -> Outcome:
    """A network and a recipe for a budget, ranked by what was measured and what is published, each figure marked.

    \b
    edgekit recommend --max-size-mb 1 --max-latency-ms 5 --image-size 96 --images 200
    edgekit recommend --max-arena-kb 256 --max-size-mb 0.25 --image-size 32
    edgekit recommend --min-top1 70 --json

    Nothing is estimated: what was not measured at your image size, or on your device, is listed as not known.
    """
    from edgekit.recommendation import Asked, recommend

    found = recommend(Asked(**asked))
    return Outcome(found.to_json(), _text(found))


def _text(found: Recommendation) -> str:
    best = (found.fitting or found.open)[:1]
    blocks = [
        "\n".join(found.why),
        *[f"Try it:\n  {one.command}" for one in best],
        _listed("Meets the budget, as far as it can be known:", found.fitting),
        _listed("Not known to meet it:", found.open, lambda one: f"no {', no '.join(one.unknown)}"),
        _listed("Ruled out:", found.ruled_out, lambda one: "; ".join(one.over)),
        "Not known:\n" + "\n".join(f"  {said}" for said in found.not_known),
    ]
    return "\n\n".join(block for block in blocks if block)


def _listed(title: str, options: tuple[Option, ...], why: Any = None) -> str:
    if not options:
        return ""
    lines = [f"  {one.name}" + (f": {why(one)}" if why else "") for one in options[:MOST]]
    rest = len(options) - MOST
    return "\n".join([title, *lines, *([f"  and {rest} more (--json has all)"] if rest > 0 else [])])
