"""Size, arena and latency of networks of the zoo at a few image sizes, as float32 and int8, for `edgekit recommend`.

python benchmarks/zoo.py [NAME ...] [--image-size 32,96]     what was measured before of others stays

Weights are random, of 10 classes: size and latency do not depend on them. Each pair of files is measured in turns.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from record import claim, conditions, earlier, save

import edgekit as ek
from edgekit.models.zoo import ZOO, find
from edgekit.recipe import Verify
from edgekit.runtime.arena import arena

CLASSES = 10
SIZES = (32, 96, 224)
VARIANTS = ("float32", "int8")
ANY_ANSWERS = Verify(int8_agreement=0)  # those of random weights mean nothing


def measured(name: str, size: int, under: dict[str, Any], folder: Path) -> list[dict[str, Any]]:
    """Both files of one network at one image size."""
    data = ek.load_data("digits", preprocess=ek.preset(ZOO[name].preprocess, size, size))
    model = ek.build(name, classes=CLASSES, input_shape=(size, size, 3))
    made = ek.export(model, folder, dataset=data, variants=VARIANTS, limits=ANY_ANSWERS)
    found = ek.side_by_side([one.path for one in made])
    rows = []
    for one, speed in zip(made, found.measurements, strict=True):
        summary, needed = speed.summary(), arena(one.content)
        rows.append({
            "model": name, "image_size": size, "classes": CLASSES, "variant": one.card.variant,
            "size_bytes": one.card.size_bytes, "arena_bytes": needed and needed.total,
            **{key: summary[key] for key in ("latency_ms", "heap_bytes", "verdict", "doubts", "threads")},
            "conditions": under,
        })  # fmt: skip
    return rows


def key(row: dict[str, Any]) -> tuple[str, int]:
    return row["model"], row["image_size"]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("names", nargs="*", metavar="NAME", help="models of `edgekit models`; default: all")
    arguments.add_argument("--image-size", default=",".join(map(str, SIZES)), metavar="N[,N]")
    given = arguments.parse_args()
    under = conditions()
    rows = earlier("zoo", [])
    for name in [find(name)[0] for name in given.names] or list(ZOO):
        for size in map(int, given.image_size.split(",")):
            with tempfile.TemporaryDirectory() as folder:
                new = measured(name, size, under, Path(folder))
            rows = [row for row in rows if key(row) != (name, size)] + new
            claims = [claim(f"{row['model']} at {row['image_size']} px, {row['variant']}: latency",
                            row["latency_ms"]["median"], "ms") for row in rows]  # fmt: skip
            save("zoo", claims, sorted(rows, key=lambda row: (*key(row), row["variant"])), under)


if __name__ == "__main__":
    main()
