"""What corrected biases bring to int8 files that were only calibrated, without training: cells of steps_grid.py again.

python benchmarks/corrected.py ["NETWORK, METHOD" ...]

Weights that share a value share its rounding error too: within a sum such errors do not cancel out, and shift its mean
(`cluster`). `correct_bias` takes the shift out. The default are the cells of steps_grid.py's table that had less than
98 % of the answers of the model behind the steps.
"""

from __future__ import annotations

import argparse
import warnings

from record import claim, conditions, save
from steps_grid import ASKED, METHODS, NETWORKS, Steps, measure

CELLS = ("resnet8, cluster 16", "efficientnet_lite0, channels 30 %", "keras:EfficientNetV2B0, cluster 16")


def ways(method: str) -> dict[str, Steps]:
    """The method's steps, and the same with a correction behind."""
    return {"calibrated": METHODS[method], "biases corrected": (*METHODS[method], {"correct_bias": {}})}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    every = [f"{name}, {method}" for name in NETWORKS for method in METHODS]
    arguments.add_argument("cells", nargs="*", default=CELLS, metavar='"NETWORK, METHOD"')
    given = arguments.parse_args()
    if unknown := set(given.cells) - set(every):
        arguments.error(f"unknown: {'; '.join(sorted(unknown))}")
    warnings.simplefilter("ignore")
    measured_under, claims, raw = conditions(), [], {}
    for cell in given.cells:
        name, method = cell.split(", ", 1)
        raw[cell] = measure(name, ways(method))
        for way, found in raw[cell]["methods"].items():
            least = None if way == "calibrated" else 100 * ASKED
            claims += [claim(f"{cell}, {way}: same answers as the model", 100 * found["agreement"], "%", least=least),
                       claim(f"{cell}, {way}: signal over noise", found["sqnr_db"], "dB")]  # fmt: skip
    save("corrected", claims, raw, measured_under)


if __name__ == "__main__":
    main()
