"""What fewer channels, and fewer positions, bring: int8 latency of ResNet-8 in several widths, all files side by side.

python benchmarks/widths.py [--processes 5]
python benchmarks/without_amx.py python benchmarks/widths.py

The weights are random. XNNPACK's kernels for matrix units (AMX) compute up to 64 input channels and 16 output channels
of a convolution in the time of one: there the number of positions counts, and with it the stride and the first blocks.
Where there are such units, the whole network is also measured in turns with and without them; the second line above
measures all widths without them.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

from record import claim, conditions, figures_in_turn, ratio, save
from small_networks import Conv, Residual, built

from edgekit.artifact import Artifact
from edgekit.data.dataset import Dataset, load_data
from edgekit.exporting.export import Exporter
from edgekit.measurement.bench import bench
from edgekit.models.backend import import_keras
from edgekit.preprocess import preset
from edgekit.runtime.dissect import inspect

NETWORKS: dict[str, tuple[Any, ...]] = {
    "16, 32, 64": (Conv(16), Residual(16), Residual(32, 2), Residual(64, 2)),
    "8, 32, 64": (Conv(8), Residual(8), Residual(32, 2), Residual(64, 2)),
    "16, 16, 32": (Conv(16), Residual(16), Residual(16, 2), Residual(32, 2)),
    "8, 16, 32": (Conv(8), Residual(8), Residual(16, 2), Residual(32, 2)),
    "8, 8, 8": (Conv(8), Residual(8), Residual(8, 2), Residual(8, 2)),
    "16, 32, 64 without the first block": (Conv(16), Residual(32, 2), Residual(64, 2)),
    "16, 32, 64 with a first stride of 2": (Conv(16, 2), Residual(16), Residual(32, 2), Residual(64, 2)),
}
WHOLE = "16, 32, 64"


def written(name: str, data: Dataset, folder: Path) -> Artifact:
    """The int8 file."""
    import_keras("This benchmark").utils.set_random_seed(0)
    made: Artifact = Exporter(built(NETWORKS[name], "resnet"), data, classifier=False).write(folder, "int8").artifact
    return made


def median_ms(path: Path, *before: str) -> float:
    """Of the file, in a process of its own, with this command before it."""
    command = [sys.executable, "-m", "edgekit", "bench", str(path), "--processes", "1", "--no-store", "--json"]
    said = subprocess.run([*before, *command], check=True, capture_output=True, text=True).stdout
    return float(json.loads(said)["result"]["files"][0]["latency_ms"]["median"])


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--processes", type=int, default=5)
    given = arguments.parse_args()
    warnings.simplefilter("ignore")
    measured_under = conditions()
    data = load_data("digits", preprocess=preset("tf", 32, 32))
    with tempfile.TemporaryDirectory() as folder:
        paths = {}
        for number, name in enumerate(NETWORKS):
            place = Path(folder) / str(number)
            place.mkdir()
            paths[name] = written(name, data, place).path
        macs = {name: inspect(path).macs for name, path in paths.items()}
        speeds = bench(list(paths.values()), processes=given.processes, min_seconds=2.0)
        whole, refused = paths[WHOLE], str(Path(__file__).with_name("without_amx.py"))
        ways = {"with": lambda: median_ms(whole), "without": lambda: median_ms(whole, sys.executable, refused)}
        turns = figures_in_turn(ways, given.processes) if measured_under["amx"] else None
    found = {name: speed.latency_ms.median for name, speed in zip(paths, speeds, strict=True)}
    claims = [claim(f"ResNet-8, channels {name}: int8 latency, with {macs[name] / macs[WHOLE]:.0%} of the MACs",
                    found[name] / found[WHOLE], "x") for name in NETWORKS if name != WHOLE]  # fmt: skip
    raw = {"macs": macs, "latency": {name: speed.summary() for name, speed in zip(paths, speeds, strict=True)}}
    if turns:
        claims.append(claim("ResNet-8 int8: latency with AMX over that without", ratio(*turns.values()), "x"))
        raw["with and without AMX, ms"] = turns
    save("widths" if measured_under["amx"] else "widths_without_amx", claims, raw, measured_under)


if __name__ == "__main__":
    main()
