"""The ways to int8 as recipes, on the default network and the digits: how long each takes, and what it gives.

python benchmarks/recipes.py
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from default_job import job
from record import claim, conditions, save

RECIPES = {
    "mobilenet-int8": "int8",
    "qat-int8": "int8",
    "qat-nolabels-int8": "int8",
    "mixed-int8": "mixed",
    "prune50-int8": "int8",
    "channels50-int8": "int8",
}


def claims(name: str, found: dict[str, Any]) -> list[dict[str, Any]]:
    """Of one recipe, about the file that it is for."""
    variant = RECIPES[name]
    top1, n = found["top1"], found["n"]
    return [
        claim(f"recipe {name}: seconds", found["seconds"], "s"),
        claim(f"recipe {name}: top-1 of {variant} on {n} digits", 100 * top1[variant], "%"),
        claim(f"recipe {name}: points below float", 100 * (top1["float32"] - top1[variant]), "", most=1),
        claim(f"recipe {name}: size of {variant}", found["size_bytes"][variant] / 1000, "kB"),
        claim(
            f"recipe {name}: latency of {variant} over float32",
            found["latency_ms"][variant] / found["latency_ms"]["float32"],
            "x",
        ),
    ]


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    measured_under = conditions()
    with tempfile.TemporaryDirectory() as folder:
        found = {name: job(["--recipe", name], Path(folder) / name) for name in RECIPES}
    save("recipes", [one for name in RECIPES for one in claims(name, found[name])], found, measured_under)


if __name__ == "__main__":
    main()
