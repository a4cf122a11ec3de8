"""How far a latency that is estimated from the instructions of an inference is from the published ones of real boards.

python benchmarks/pi_estimate.py [--work FOLDER]     counts, fits, judges, and goes on with
python benchmarks/pi_estimate.py --ship              results/pi_estimate.json into the package; a test holds it to that

The model is one figure a board and kind of arithmetic: nanoseconds an instruction. It is fitted to some published rows,
in the logarithm, and judged on the others, which were chosen before anything was counted. The networks have random
weights; the instructions of dense kernels do not depend on them.

The rows of the Raspberry Pi 4 are from a 32-bit build of XNNPACK of its time, on all four cores; what is counted is a
64-bit build of today on one. A Raspberry Pi 5's are those of the 4 divided by the published ratio of the two, but for
the one that was published itself. All that is in the error.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import tempfile
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from record import RESULTS, claim, conditions, save

from edgekit.artifact import write_json
from edgekit.exporting.convert import Calibration, convert
from edgekit.exporting.freeze import freeze
from edgekit.measurement.emulated.count import count_instructions
from edgekit.models.zoo import build

SHIPPED = Path(__file__).parents[1] / "edgekit" / "measurement" / "emulated" / "estimate.json"
USEFUL_PERCENT = 25.0  # the largest error on a row held back with which an estimate is still worth showing
THREADS, SIZE = 4, 224
XNNPACK = "github.com/google/XNNPACK, README, multi-threaded on a Raspberry Pi 4"
# Raspberry Pi 5 over Raspberry Pi 4, times faster.
FASTER = {"float32": 3.2, "int8": 4.5}


@dataclass(frozen=True)
class Row:
    """A published latency. `fitted`: the figure is made of it; else it is judged on it."""

    network: str
    computes: str
    device: str
    ms: float
    fitted: bool
    source: str


PI4 = (
    Row("mobilenet_v1", "float32", "rpi4:emulated", 77, True, XNNPACK),
    Row("mobilenet_v2", "float32", "rpi4:emulated", 46, False, XNNPACK),
    Row("mobilenet_v3_large", "float32", "rpi4:emulated", 40, False, XNNPACK),
    Row("mobilenet_v3_small", "float32", "rpi4:emulated", 15, True, XNNPACK),
    Row("mobilenet_v1", "int8", "rpi4:emulated", 24, True, XNNPACK),
    Row("mobilenet_v2", "int8", "rpi4:emulated", 17, False, XNNPACK),
)
PI5 = tuple(
    Row(one.network, one.computes, "rpi5:emulated", one.ms / FASTER[one.computes], True,
        f"{one.source}, divided by {FASTER[one.computes]}") for one in PI4 if one.fitted
)  # fmt: skip
ROWS = (*PI4, *PI5, Row("efficientnet_b0", "float32", "rpi5:emulated", 24.8, False, "edge-compat, LiteRT, 4 threads"))


def files(folder: Path) -> dict[tuple[str, str], Path]:
    """(network, what it computes in) -> a .tflite of random weights."""
    images = np.random.default_rng(0).uniform(-1, 1, (4, SIZE, SIZE, 3)).astype(np.float32)
    calibration = Calibration(
        lambda: ((image[None],) for image in images),
        tuple((np.full((1, SIZE, SIZE, 3), end, np.float32),) for end in (-1, 1)),
    )
    found: dict[tuple[str, str], Path] = {}
    for network, computes in dict.fromkeys((row.network, row.computes) for row in ROWS):
        path = folder / f"{network}_{computes}.tflite"
        if not path.is_file():
            frozen = freeze(build(network, input_shape=(SIZE, SIZE, 3), classes=1000), softmax=True)
            how = {"calibration": calibration} if computes == "int8" else {}
            path.write_bytes(convert(frozen, computes, **how))
        found[network, computes] = path
    return found


def instructions(folder: Path) -> dict[str, int]:
    """Row -> instructions an inference."""
    paths = files(folder)
    found = {}
    for row in ROWS:
        counted = count_instructions(paths[row.network, row.computes], device=row.device, processes=1, operators=False)
        found[_key(row)] = counted.instructions
        print(f"{_key(row)}: {counted.instructions:,}", flush=True)
    return found


def judged(counts: dict[str, int]) -> list[dict[str, Any]]:
    """Every row with what is estimated for it, and by how many percent that is off."""
    found = []
    for row in ROWS:
        ms = counts[_key(row)] * nanoseconds(counts, row.device, row.computes) * 1e-6
        found.append({**asdict(row), "instructions": counts[_key(row)], "estimated_ms": ms,
                      "error_percent": 100 * (ms / row.ms - 1)})  # fmt: skip
    return found


def nanoseconds(counts: dict[str, int], device: str, computes: str) -> float:
    """An instruction: the geometric mean over the rows that are fitted."""
    rows = [row for row in ROWS if row.fitted and (row.device, row.computes) == (device, computes)]
    return math.exp(statistics.fmean(math.log(row.ms * 1e6 / counts[_key(row)]) for row in rows))


def recorded() -> dict[str, Any] | None:
    """results/pi_estimate.json; None where nothing has been judged."""
    path = RESULTS / "pi_estimate.json"
    return json.loads(path.read_text("utf-8")) if path.is_file() else None


def shipped(results: dict[str, Any] | None) -> dict[str, dict[str, Any]]:
    """Device -> what a file computes in -> the figure and its error, or why there is none."""
    found: dict[str, dict[str, Any]] = {}
    if results is None:
        return found
    for device, computes in dict.fromkeys((row.device, row.computes) for row in ROWS):
        rows = [row for row in results["raw"]["rows"] if (row["device"], row["computes"]) == (device, computes)]
        held = [row for row in rows if not row["fitted"]]
        worst = max((abs(row["error_percent"]) for row in held), default=None)
        if worst is None:
            entry: dict[str, Any] = {"refused": "no published latency is left to judge an estimate by"}
        elif worst > USEFUL_PERCENT:
            entry = {"refused": f"it is off by up to {worst:.0f} % on published latencies that were held back"}
        else:
            entry = {
                "nanoseconds": results["raw"]["nanoseconds"][device][computes], "threads": THREADS,
                "error_percent": worst, "held": len(held),
                "fewest": min(row["instructions"] for row in rows), "most": max(row["instructions"] for row in rows),
            }  # fmt: skip
        found.setdefault(device, {})[computes] = entry
    return found


def _key(row: Row) -> str:
    return f"{row.network} {row.computes} on {row.device}"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--work", type=Path, help="where the files are kept")
    arguments.add_argument("--ship", action="store_true", help="only write the package's file from the results")
    given = arguments.parse_args()
    warnings.simplefilter("ignore")
    if not given.ship:
        measured_under = conditions()
        with tempfile.TemporaryDirectory() as other:
            folder = given.work or Path(other)
            folder.mkdir(parents=True, exist_ok=True)
            counts = instructions(folder)
        rows = judged(counts)
        per: dict[str, dict[str, float]] = {}
        for row in ROWS:
            per.setdefault(row.device, {})[row.computes] = nanoseconds(counts, row.device, row.computes)
        claims = [
            claim(f"{row['network']} {row['computes']}, {row['device']}, {'used' if row['fitted'] else 'held back'}, "
                  f"published {row['ms']:.3g} ms, estimated {row['estimated_ms']:.3g}", row["error_percent"], "%")
            for row in rows
        ]  # fmt: skip
        save("pi_estimate", claims, {"rows": rows, "nanoseconds": per, "threads": THREADS}, measured_under)
    write_json(SHIPPED, shipped(recorded()))


if __name__ == "__main__":
    main()
