"""What `edgekit bench --profile` says of MobileNetV3-Small in int8, and what following its advice brings.

python benchmarks/profile_v3.py [--processes 10] [--size 96]

The weights are random, with the batch statistics of some images (hard_swish.py says why). The step that is taken is
read from the advice itself. The other variants are measured beside the int8 file that the advice leads to: these are
the gains that the package quotes for them (gains.py).
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from pathlib import Path
from typing import Any

import yaml
from hard_swish import NETWORK, normalized, ratio_ci95
from record import claim, conditions, save

from edgekit.compression.rewrite import rewrite
from edgekit.data.dataset import Dataset, load_data
from edgekit.exporting.export import Exporter
from edgekit.measurement.bench import bench
from edgekit.measurement.look import Look, look
from edgekit.models.backend import import_keras
from edgekit.models.zoo import build
from edgekit.preprocess import preset
from edgekit.step_config import Rewrite

CLASSES = 10
ABOUT = "hard-swish-int8"
# What is held against the int8 file behind the advice: variant -> whether it is made of the rewritten model. TFLite has
# no hard-swish for int16x8.
OTHERS = {"dynamic": ("dynamic range", False), "float16": ("float16", False), "int16x8": ("int16x8", True)}


def stock(size: int) -> tuple[Any, Dataset]:
    """(the network, the images that calibrate it)"""
    data = load_data("digits", preprocess=preset("tf", size, size), calibration_images=10)
    import_keras("This benchmark").utils.set_random_seed(0)
    return normalized(build(NETWORK, classes=CLASSES, input_shape=(size, size, 3)), data), data


def exporter(model: Any, data: Dataset, name: str) -> Exporter:
    return Exporter(model, data, name=name, softmax=False, classifier=False)


def advised_step(found: Look) -> Rewrite:
    """The step of the advice on hard-swish, as a recipe would read it."""
    (advised,) = (one for one in found.advice if one.name == ABOUT)
    (step,) = yaml.safe_load(advised.step)["steps"]
    return Rewrite(**step["rewrite"])


def inside(about: str, found: Look) -> list[dict[str, Any]]:
    assert found.profile is not None
    hard = [one for one in found.profile.operators if one.op == "HARD_SWISH"]
    return [
        claim(f"{about}: hard-swish outside the delegate", sum(not one.delegated for one in hard), "ops"),
        claim(f"{about}: share of the time in hard-swish", 100 * sum(one.share for one in hard), "%"),
        claim(f"{about}: operators that the delegate runs", found.placement.percent, "%"),
        claim(f"{about}: sum of the operators over the inference with the profiler",
              100 * found.profile.sum_us / found.profile.profiled_us.median, "%"),
    ]  # fmt: skip


def measured(size: int, folder: Path, processes: int) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    model, data = stock(size)
    plain = exporter(model, data, "stock")
    before = look(plain.write(folder, "int8").artifact)
    faster = exporter(rewrite(model, advised_step(before)).model, data, "rewritten")
    after = look(faster.write(folder, "int8").artifact)
    writers = {name: faster if again else plain for name, (_, again) in OTHERS.items()}
    others = {name: writer.write(folder, name).artifact.path for name, writer in writers.items()}
    files = [Path(before.file), Path(after.file), *others.values()]
    times = dict(zip(files, bench(files, processes=processes, min_runs=20 * processes, min_seconds=3.0), strict=True))
    network = f"MobileNetV3-Small of {CLASSES} classes at {size} px"
    claims = inside(f"{network}, int8", before)
    value, low, high = ratio_ci95(times[files[0]], times[files[1]])
    said = f"{network}, int8: times as fast behind the advice (95 %: {low:.2f} to {high:.2f})"
    claims += [claim(said, value, "x", least=1.0), *inside(f"{network}, int8, behind the advice", after)]
    for name, path in others.items():
        value, low, high = ratio_ci95(times[path], times[files[1]])
        said = f"{network}, int8, faster than {OTHERS[name][0]} (95 %: {low:.2f} to {high:.2f})"
        claims.append(claim(said, value, "x"))
    raw = {"before": before.to_json(), "after": after.to_json(), "latency": [one.summary() for one in times.values()]}
    return claims, raw


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--processes", type=int, default=10)
    arguments.add_argument("--size", type=int, default=96)
    arguments.add_argument("--dry", action="store_true", help="print, and save nothing")
    given = arguments.parse_args()
    warnings.simplefilter("ignore")
    measured_under = conditions()
    with tempfile.TemporaryDirectory() as folder:
        claims, raw = measured(given.size, Path(folder), given.processes)
    if not given.dry:
        save("profile_v3", claims, raw, measured_under)
        return
    for one in claims:
        print(one["what"], one["measured"], one["unit"], one["met"])


if __name__ == "__main__":
    main()
