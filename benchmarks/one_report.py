"""Float, int8, quantization-aware and pruned networks of one training on one page, counted again by other libraries.

python benchmarks/one_report.py CIFAR_FOLDER --work FOLDER [--epochs 6] [--more-epochs 2]

CIFAR_FOLDER holds train/CLASS/*.jpg and test/CLASS/*.jpg. ResNet-8 is trained once; int8 by calibration comes from that
run, the other two go on from its network. Then `edgekit report` puts the three runs on one page, and what it says of
accuracy is counted again from the raw answers by scikit-learn, statsmodels and pandas. Runs are kept under --work: an
interrupted one goes on.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pandas as pd
from record import claim, conditions, save
from sklearn.metrics import accuracy_score
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import proportion_confint

import edgekit as ek
from edgekit.models.zoo import ZOO
from edgekit.report.across import Across, across
from edgekit.report.read_run import read_run

NETWORK, SIZE = "resnet8", 32


def runs(cifar: Path, work: Path, epochs: int, more: int) -> list[Path]:
    """The run of each way to int8: calibrated, quantization-aware, pruned."""
    data = {"data.source": str(cifar), "data.image_size": SIZE}
    folders = [work / name for name in ("calibrated", "aware", "pruned")]
    ek.compress(ek.load_recipe("resnet-int8", {**data, "model.name": NETWORK, "train.epochs": epochs}), out=folders[0])
    trained = {
        "model.name": str(folders[0] / "artifacts" / f"{NETWORK}.keras"), "data.preprocess": ZOO[NETWORK].preprocess
    }  # fmt: skip
    ways = (("qat-int8", "steps.quantize_aware.epochs"), ("prune50-int8", "steps.prune.epochs"))
    for folder, (recipe, field) in zip(folders[1:], ways, strict=True):
        ek.compress(ek.load_recipe(recipe, {**data, **trained, field: more}), out=folder)
    return folders


def answers(folder: Path, variant: str) -> pd.DataFrame:
    return pd.read_csv(folder / "results" / f"evaluation_{variant}.csv", dtype=str, keep_default_na=False)


def counted_again(folders: list[Path], found: Across) -> list[dict[str, Any]]:
    """Of each file: what the page says of accuracy, less what other libraries make of its raw answers."""
    places = dict(zip(found.names, folders, strict=True))
    raw = {row["id"]: answers(places[row["run"]], row["variant"]) for row in found.rows}
    best = next(row for row in found.rows if row["paired"] is None)
    right = {name: (one["label"] == one["prediction"]).to_numpy() for name, one in raw.items()}
    rows = []
    for row in found.rows:
        here, there = right[row["id"]], right[best["id"]]
        top1 = accuracy_score(raw[row["id"]]["label"], raw[row["id"]]["prediction"])
        ends = proportion_confint(int(here.sum()), len(here), method="wilson")
        differences = [row["top1"]["value"] - top1, *(a - b for a, b in zip(row["top1"]["ci95"], ends, strict=True))]
        if row["paired"] is not None:
            table = [[sum(there & here), sum(there & ~here)], [sum(~there & here), sum(~there & ~here)]]
            differences += [row["paired"]["gained"] - table[1][0], row["paired"]["lost"] - table[0][1]]
            exact = row["paired"]["test"] == "exact"
            differences.append(row["paired"]["p_value"] - mcnemar(table, exact=exact).pvalue)
        rows.append({
            "file": row["id"], "top1": row["top1"], "points": row["points"], "paired": row["paired"],
            "size_bytes": row["size_bytes"], "gzip_bytes": row["gzip_bytes"], "verdict": row["verdict"],
            "latency_ms": row["latency_ms"]["median"], "largest_difference": float(max(map(abs, differences))),
        })  # fmt: skip
    return rows


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("cifar", type=Path)
    arguments.add_argument("--work", type=Path, required=True)
    arguments.add_argument("--epochs", type=int, default=6)
    arguments.add_argument("--more-epochs", type=int, default=2)
    given = arguments.parse_args()
    measured_under = conditions()
    folders = runs(given.cifar, given.work, given.epochs, given.more_epochs)
    page = ek.make_report(folders, out=given.work / "comparison.html")
    rows = counted_again(folders, across([read_run(folder) for folder in folders]))
    claims = [
        *(claim(f"{row['file']}: top-1 of {row['top1']['n']:,} images", 100 * row["top1"]["value"], "%")
          for row in rows),
        *(claim(f"{row['file']}: points against the best float32", row["points"], "") for row in rows),
        *(claim(f"{row['file']}: gzip", row["gzip_bytes"] / 1000, "kB") for row in rows),
        claim("largest difference to scikit-learn, statsmodels and pandas",
              max(row["largest_difference"] for row in rows), "", most=1e-9),
    ]  # fmt: skip
    save("one_report", claims, {"headline": page.headline, "files": rows, "recipe": vars(given) | {
        "cifar": given.cifar.name, "work": given.work.name}}, measured_under)  # fmt: skip


if __name__ == "__main__":
    main()
