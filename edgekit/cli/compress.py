"""`edgekit compress`: the main job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgekit.cli.bar import reporter
from edgekit.cli.outcome import Outcome, shared_options
from edgekit.cli.preprocessing import PREPROCESSING, preparation_given, preprocessing_options


@click.command("compress")
@click.option("--recipe", metavar="NAME|FILE", help="A recipe (`edgekit recipes`); the default goes with the model.")
@click.option(
    "--model",
    metavar="NAME|FILE",
    help="A name `edgekit models` lists, keras:NAME, or your own .keras, .h5 or SavedModel.",
)
@click.option("--alpha", type=float, help="Width multiplier of the MobileNets.")
@click.option("--weights", metavar="imagenet|FILE", help="Pretrained weights; default: random ones, or the file's own.")
@click.option("--custom", metavar="FILE.py", help="Layers that your own model needs; the file is executed.")
@click.option("--data", metavar="SOURCE", help="digits (default), cifar10, mnist, a folder of class folders, a .npz.")
@click.option("--labels", metavar="FILE", help="The classes of your own model in the order of its outputs, one a line.")
@click.option("--image-size", type=int, metavar="PIXELS", help="Height and width the model takes.")
@preprocessing_options
@click.option(
    "--calibration",
    metavar="DIR|FILE.npz",
    help="Images without labels to observe int8 ranges on; for a model that takes no RGB image, an array an input.",
)
@click.option("--calibration-images", type=int, metavar="N", help="Images that int8 ranges are observed on.")
@click.option(
    "--calibration-method", metavar="NAME", help="How int8 ranges follow: quantile (default), minmax, percentile, ..."
)
@click.option("--teacher", metavar="FILE|NAME", help="Learn from its answers too: a .keras file, of a run say.")
@click.option(
    "--qat-epochs", type=int, metavar="N", help="Quantization-aware training; learns the float model's answers."
)
@click.option("--epochs", type=int)
@click.option("--batch-size", type=int)
@click.option("--learning-rate", type=float)
@click.option("--optimizer", metavar="NAME", help="adamw or sgd.")
@click.option("--schedule", metavar="NAME", help="constant, step, exponential, cosine, warm_restarts, one_cycle, ...")
@click.option("--variants", metavar="A,B", help="float32 (always made), float16, dynamic, int8, int16x8, mixed.")
@click.option(
    "--io", metavar="DTYPE", help="Input and output of int8 and mixed files: float32 (default), uint8 or int8."
)
@click.option("--max-drop-points", type=float, metavar="POINTS", help="Budget: top-1 points below float32.")
@click.option("--max-size-mb", type=float, metavar="MB", help="Budget: file size.")
@click.option("--max-latency-ms", type=float, metavar="MS", help="Budget: median latency.")
@click.option("--threads", metavar="N[,N]", help="Thread counts to measure with; the budget looks at the first.")
@click.option("--golden/--no-golden", default=None, help="Golden vectors in the files, or not; default: they are.")
@click.option("--seed", type=int)
@click.option("--repeats", type=click.IntRange(min=2), metavar="N", help="As many seeds: the spread of the accuracy.")
@click.option("--set", "assignments", multiple=True, metavar="FIELD=VALUE", help="Any recipe field: train.momentum=0.8")
@click.option("--out", type=click.Path(path_type=Path), help="Run directory; default runs/{model}-{data}-{hash}.")
@shared_options
def command(
    recipe: str | None, assignments: tuple[str, ...], out: Path | None, repeats: int | None, **flags: Any
) -> Outcome:
    """Build, train, quantize, export, verify, evaluate, measure, choose and report.

    \b
    edgekit compress --model mobilenet
    edgekit compress --model resnet8 --data photos/ --epochs 20
    edgekit compress --model my.keras --calibration photos/ --preprocess unit
    edgekit compress --recipe qat-nolabels-int8 --model my.keras --calibration photos/
    edgekit compress --recipe all-variants --max-size-mb 0.7

    The same command continues a run that was interrupted and repeats nothing that is done. Exit code 1: the files are
    there, but a budget or the verification failed.
    """
    from edgekit.errors import CheckFailed
    from edgekit.pipeline import compress
    from edgekit.recipe import load_recipe
    from edgekit.recipe_fields import FLAGS, parse_set
    from edgekit.repeats import repeat
    from edgekit.report.tables import text_report

    look = preparation_given({name: flags.pop(name) for name in PREPROCESSING})
    fields = {FLAGS[name]: _value(name, value) for name, value in flags.items() if value is not None}
    fields |= {} if look is None else {FLAGS["preprocess"]: look}
    resolved = load_recipe(recipe, {**fields, **parse_set(assignments)})
    with reporter() as progress:
        repeated = repeat(resolved, repeats, out=out, progress=progress) if repeats else None
        done = repeated.runs[0] if repeated else compress(resolved, out=out, progress=progress)
    try:
        done.check()
        failed = None
    except CheckFailed as error:
        failed = error
    result, text = {"folder": str(done.folder), **done.results}, text_report(done.results, done.folder)
    if repeated:
        result, text = {**result, "repeats": repeated.to_json()}, f"{text}\n\n{repeated.text()}"
    return Outcome(result, text, failed)


def _value(name: str, value: Any) -> Any:
    """Comma lists become lists."""
    if name == "variants":
        return value.split(",")
    if name == "threads":
        return [int(number) if number.isdigit() else number for number in value.split(",")]
    return value
