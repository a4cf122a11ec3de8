"""edgekit evaluate: accuracy of .tflite files on labelled images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgekit.cli.outcome import Outcome, shared_options
from edgekit.cli.preprocessing import preparation_given, preprocessing_options


@click.command("evaluate", no_args_is_help=True)
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
@click.option("--data", "source", required=True, metavar="SOURCE", help="Folder of class subfolders, .npz or digits.")
@preprocessing_options
@click.option("--workers", type=click.IntRange(min=1), help="Processes; default: one a core.")
@click.option("--batch-size", type=click.IntRange(min=1), help="Images at a time; default: by their size.")
@shared_options
def command(files: tuple[Path, ...], source: str, workers: int | None, batch_size: int | None, **flags: Any) -> Outcome:
    """Top-1 and top-5 accuracy of .tflite files, with the number of images and the 95 % interval.

    How images are prepared comes from the file's card (FILE.card.json); a file without one needs --preprocess, or
    --mean and --std. With several files each is compared with the first, image by image.
    """
    from edgekit.cli.bar import reporter
    from edgekit.data.dataset import load_images
    from edgekit.evaluation.compare import compare
    from edgekit.evaluation.evaluate import evaluate
    from edgekit.evaluation.expects import expected

    look = preparation_given(flags)
    wanted = [expected(file, look) for file in files]
    with reporter() as progress:
        splits = {one: load_images(source, one.preprocess, one.classes, one.trained_on, progress)
                  for one in dict.fromkeys(wanted)}  # fmt: skip
        found = [evaluate(file, splits[one], one.preprocess, labels=one.labels, workers=workers, batch_size=batch_size,
                          progress=progress) for file, one in zip(files, wanted, strict=True)]  # fmt: skip
    rows = [{**one.summary(), "batch": one.batch, "batch_note": one.batch_note} for one in found]
    for row, other in zip(rows[1:], found[1:], strict=True):
        row["against_first"] = compare(found[0], other).to_json()
    return Outcome({"data": source, "files": rows}, _table(rows))


def _table(rows: list[dict[str, Any]]) -> str:
    import pandas as pd

    def interval(figure: dict[str, Any], unit: str = ".1%") -> str:
        low, high = figure["ci95"]
        return f"{figure['value']:{unit}} [{low:{unit}}, {high:{unit}}]"

    shown = []
    for row in rows:
        line = {"file": row["file"], "n": row["n"], "top1 [95 %]": interval(row["top1"])}
        line["top5"] = f"{row['top5']['value']:.1%}" if row["top5"] else "-"
        if len(rows) > 1:
            paired = row.get("against_first")
            line["agreement"] = interval(paired["agreement"]) if paired else "-"
            line["gained"], line["lost"] = (paired["gained"], paired["lost"]) if paired else ("-", "-")
            line["top1 difference"] = interval(paired["top1_difference"], "+.1%") if paired else "-"
        shown.append(line)
    notes = [f"{row['file']} ran {row['batch']} at a time: {row['batch_note']}" for row in rows if row["batch_note"]]
    return "\n".join([pd.DataFrame(shown).to_string(index=False), *notes])
