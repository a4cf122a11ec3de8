"""Instructions of an inference on the emulated Raspberry Pi 4 and 5: whether they repeat, and what they tell apart.

python benchmarks/emulated.py FILE.tflite ...

Counts each file, the default model in float32 and int8, and in int8 with channels removed by edgekit until half of its
MACs are left, in three fresh processes a board. Files of which one is named X_float or X and another X_int8 or
X_quant are held against each other. The default model's weights are random: dense kernels take as many instructions
with any.
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from record import claim, conditions, save

from edgekit.compression.channels import channels
from edgekit.exporting.convert import Calibration, convert
from edgekit.exporting.freeze import freeze
from edgekit.measurement.emulated.boards import DEVICES
from edgekit.measurement.emulated.count import count_instructions
from edgekit.measurement.emulated.record import TOLERANCE, InstructionCount
from edgekit.models.zoo import build
from edgekit.recipe import Recipe
from edgekit.subject import SCRATCH_SIZE

RUNS = 3  # processes
FLOAT, INT8 = ("_float", "_float32", ""), ("_int8", "_quant")


def default_model(folder: Path) -> list[Path]:
    """default_float32, default_int8 and default_half_int8."""
    asked = Recipe()
    size = SCRATCH_SIZE
    model = build(asked.model.name, classes=10, input_shape=(size, size, 3), alpha=asked.model.alpha)
    images = np.random.default_rng(0).uniform(-1, 1, (8, size, size, 3)).astype(np.float32)
    ends = tuple((np.full((1, size, size, 3), end, np.float32),) for end in (-1, 1))
    calibration = Calibration(lambda: ((image[None],) for image in images), ends)
    found = []
    smaller = channels(model, macs=0.5).model
    for name, network, variants in (("default", model, ("float32", "int8")), ("default_half", smaller, ("int8",))):
        frozen = freeze(network, softmax=True)
        for variant in variants:
            path = folder / f"{name}_{variant}.tflite"
            how = {"calibration": calibration} if variant == "int8" else {}
            path.write_bytes(convert(frozen, variant, **how))
            found.append(path)
    return found


def pairs(names: list[str]) -> list[tuple[str, str]]:
    """(float, int8) of one network."""
    stems = {name: Path(name).stem for name in names}
    found = []
    for name, stem in stems.items():
        for end in INT8:
            if stem.endswith(end):
                theirs = {stem.removesuffix(end) + other for other in FLOAT}
                found += [(other, name) for other in names if stems[other] in theirs]
    return found


def claims_of(counts: dict[tuple[str, str], InstructionCount]) -> list[dict[str, Any]]:
    apart = max(one.spread / one.instructions for one in counts.values())
    int8 = [one.outputs for one in counts.values() if one.computes == "int8"]
    values = sum(one.values for one in int8)
    claims = [
        claim(f"Instructions on {' and '.join(DEVICES)}, {len(counts)} counts: the largest difference between {RUNS} "
              "processes, as a share", apart, "", most=TOLERANCE),
        claim(f"int8 outputs there that differ from this machine's in a bit, of {values}",
              sum(one.differing for one in int8), "", most=0),
        *(claim(f"{name}, {device}: millions of instructions", one.instructions / 1e6, "")
          for (name, device), one in counts.items()),
    ]  # fmt: skip
    names = list(dict.fromkeys(name for name, _ in counts))
    compared = [(*pair, "int8 takes fewer than float32, times") for pair in pairs(names)]
    compared += [
        (name.replace("_half", ""), name, "half of the MACs takes fewer, times") for name in names if "_half" in name
    ]
    for before, after, what in compared:
        for device in DEVICES:
            times = counts[before, device].instructions / counts[after, device].instructions
            claims.append(claim(f"{after}, {device}: {what}", times, "x"))
    return claims


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("files", type=Path, nargs="*")
    given = arguments.parse_args()
    warnings.simplefilter("ignore")
    measured_under = conditions()
    with tempfile.TemporaryDirectory() as folder:
        files = [*given.files, *default_model(Path(folder))]
        counts = {
            (path.name, device): count_instructions(path, device=device, processes=RUNS)
            for path in files
            for device in DEVICES
        }
    raw = [{**one.to_json(), "file": name} for (name, _), one in counts.items()]
    save("emulated", claims_of(counts), raw, measured_under)


if __name__ == "__main__":
    main()
