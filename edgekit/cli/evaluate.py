"""edgekit evaluate: how good .tflite files are on labelled images, and what one gains and loses against another."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgekit.cli.outcome import Outcome, shared_options
from edgekit.cli.preprocessing import preparation_given, preprocessing_options
from edgekit.errors import EdgekitError, UsageError

if TYPE_CHECKING:
    from edgekit.measurement.devices.accuracy import DeviceEvaluation

PATH = click.Path(path_type=Path)


@click.command("evaluate", no_args_is_help=True)
@click.argument("files", nargs=-1, required=True, type=PATH, metavar="FILE...")
@click.option("--data", "source", required=True, metavar="SOURCE", help="Folder of class subfolders, .npz or digits.")
@preprocessing_options
@click.option("--workers", type=click.IntRange(min=1), help="Processes; default: one a core.")
@click.option("--batch-size", type=click.IntRange(min=1), help="Images at a time; default: by their size.")
@click.option("--top-k", type=click.IntRange(min=1), multiple=True, help="Another top-k beside top-1 and top-5.")
@click.option(
    "--bins", type=click.IntRange(1, 1000), default=15, show_default=True, help="Of confidence, for the calibration."
)
@click.option(
    "--robustness", "robust", is_flag=True, help="Under noise, blur, JPEG, light, contrast, shifts, resizing too."
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the corruptions.")
@click.option("--layers", "apart", is_flag=True, help="Where in the network each file parts from the first.")
@click.option("--device", help="Run on this device (edgekit device), and compare with this machine image by image.")
@click.option("--decode-on-device", is_flag=True, help="Decode and resize there too, instead of sending pixels.")
@click.option(
    "--out", type=PATH, metavar="DIR", help="Write evaluation.json, the raw results, and of several files a page."
)
@click.option(
    "--format", "kind", type=click.Choice(["csv", "parquet"]), default="csv", show_default=True,
    help="Of the raw results.",
)  # fmt: skip
@shared_options
def command(
    files: tuple[Path, ...], source: str, workers: int | None, batch_size: int | None, top_k: tuple[int, ...],
    bins: int, robust: bool, seed: int, apart: bool, device: str | None, decode_on_device: bool, out: Path | None,
    kind: Any, **flags: Any,
) -> Outcome:  # fmt: skip
    """Accuracy of .tflite files on labelled images, with its interval; what is confused with what; whether the
    confidence can be believed.

    How images are prepared comes from the file's card (FILE.card.json); a file without one needs --preprocess, or
    --mean and --std. With several files each is compared with the first, image by image. With --device the answers are
    those of the device, and are compared with this machine's.

    \b
    edgekit evaluate model.tflite --data photos/
    edgekit evaluate float32.tflite int8.tflite --data photos/ --robustness --layers
    edgekit evaluate model.tflite --data photos/ --out evaluated/    for edgekit gate
    """
    from edgekit.cli.bar import reporter
    from edgekit.cli.evaluate_text import evaluate_text
    from edgekit.evaluation.evaluate import evaluate
    from edgekit.evaluation.examine import Examined
    from edgekit.evaluation.expects import fed
    from edgekit.evaluation.keep import keep, require_format
    from edgekit.evaluation.layers import layers
    from edgekit.evaluation.robustness import robustness
    from edgekit.evaluation_page import write_page

    _check_device(device, decode_on_device, workers, robust)
    if out is not None:
        require_format(kind)
    how: dict[str, Any] = {"workers": workers, "batch_size": batch_size}
    there: tuple[DeviceEvaluation, ...] = ()
    failed: EdgekitError | None = None
    with reporter() as progress:
        given = fed(files, source, preparation_given(flags), progress)
        if device is None:
            found = tuple(evaluate(one.file, one.split, one.preprocess, labels=one.labels, progress=progress, **how)
                          for one in given)  # fmt: skip
        else:
            from edgekit.measurement.devices.accuracy import evaluate_files_on

            there, failed = evaluate_files_on(
                device, given, batch_size=batch_size, decode_on_device=decode_on_device, progress=progress
            )
            found = tuple(one.there for one in there)
        curves = robustness(given, seed=seed, progress=progress, **how) if robust else None
    parts = tuple(layers(given[0], one) for one in given[1:]) if apart else ()
    done = Examined(source, found, curves, parts)
    done.warn(given[0].split)
    result = done.to_json(top_k, bins)
    for row, one in zip(result["files"], there, strict=False):
        row["on_device"] = one.to_json()
    if out is not None:
        keep(found, result, out, kind)
        write_page(done, result, given[0].split, out)
    return Outcome(result, evaluate_text(done, result), failed)


def _check_device(device: str | None, decode_on_device: bool, workers: int | None, robust: bool) -> None:
    for wrong, fact in (
        (device is None and decode_on_device, "--decode-on-device goes with --device."),
        (device is not None and workers is not None, "--workers is of this machine."),
        (device is not None and robust, "--robustness is of this machine."),
    ):
        if wrong:
            raise UsageError(fact, "See: edgekit evaluate --help")
