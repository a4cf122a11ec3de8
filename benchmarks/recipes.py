"""The ways to int8 as recipes, on the default network and the digits: how long each takes, and what it gives.

python benchmarks/recipes.py [NAME ...]     with names only these anew, the others' results stay
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from default_job import job
from record import RESULTS, claim, conditions, save

RECIPES = {
    "mobilenet-int8": "int8",
    "qat-int8": "int8",
    "qat-nolabels-int8": "int8",
    "mixed-int8": "mixed",
    "prune50-int8": "int8",
    "channels50-int8": "int8",
    "distil-int8": "int8",
    "distil-channels-qat": "int8",
    "mcu-tiny": "int8",
}


MICROCONTROLLER = "mcu-tiny"
FLASH_KB, ARENA_KB = 256, 64


def claims(name: str, found: dict[str, Any]) -> list[dict[str, Any]]:
    """Of one recipe, about the file that it is for."""
    variant = RECIPES[name]
    arena = []
    if name == MICROCONTROLLER:
        needed = found["arena_bytes"][variant] / 1000
        arena = [claim(f"recipe {name}: arena of {variant}, estimated", needed, "kB", most=ARENA_KB)]
    top1, n = found["top1"], found["n"]
    return [
        claim(f"recipe {name}: seconds", found["seconds"], "s"),
        claim(f"recipe {name}: top-1 of {variant} on {n} digits", 100 * top1[variant], "%"),
        claim(f"recipe {name}: points below float", 100 * (top1["float32"] - top1[variant]), "", most=1),
        claim(
            f"recipe {name}: size of {variant}",
            found["size_bytes"][variant] / 1000,
            "kB",
            most=FLASH_KB if arena else None,
        ),
        *arena,
        claim(
            f"recipe {name}: latency of {variant} over float32",
            found["latency_ms"][variant] / found["latency_ms"]["float32"],
            "x",
        ),
    ]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(RECIPES)}")
    given = arguments.parse_args()
    measured_under = conditions()
    before = json.loads((RESULTS / "recipes.json").read_text("utf-8"))["raw"] if given.names else {}
    found = {name: before[name] for name in RECIPES if name in before}
    with tempfile.TemporaryDirectory() as folder:
        for name in given.names or RECIPES:
            found[name] = {**job(["--recipe", name], Path(folder) / name), "conditions": measured_under}
    rows = [one for name in RECIPES if name in found for one in claims(name, found[name])]
    save("recipes", rows, found, measured_under)


if __name__ == "__main__":
    main()
