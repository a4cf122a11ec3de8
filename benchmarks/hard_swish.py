"""MobileNetV3-Small in int8 with the hard-swish rewrite, without, and in float32, side by side.

python benchmarks/hard_swish.py [CIFAR_FOLDER --work FOLDER] [--processes 10]

Latency on one thread at 96 and 224 px, of 10 and of 1000 classes, every file in as many fresh processes as asked for,
in turns. The weights are random, with the batch statistics of some images: without these its signals die out, and
XNNPACK takes no addition whose scales are 2^8 times apart. With CIFAR_FOLDER also the accuracy of the trained network
(cifar_networks.py) on the same 5,000 test images; without it nothing is saved.
"""

from __future__ import annotations

import argparse
import itertools
import math
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from cifar_networks import trained
from paired import beside_float
from record import claim, conditions, save

from edgekit.compression.rewrite import rewrite
from edgekit.data.dataset import Dataset, load_data
from edgekit.data.images import normalize
from edgekit.evaluation.parity import float_operators
from edgekit.exporting.export import Exporter
from edgekit.measurement.bench import Measurement, bench
from edgekit.models.backend import import_keras
from edgekit.models.zoo import build
from edgekit.preprocess import preset
from edgekit.step_config import Rewrite

NETWORK = "mobilenet_v3_small"
SIZES = (96, 224)
CLASSES = (10, 1000)  # of one's own photos, and of ImageNet
REPLICATES = 10_000


def written(model: Any, data: Dataset, folder: Path, about: str = "", **settings: Any) -> dict[str, Any]:
    """The three files; the rewriting one is made of the rewritten model, in float the same function."""
    again = rewrite(model, Rewrite(hard_swish="exact")).model
    plain = Exporter(model, data, name=f"plain{about}", **settings)
    faster = Exporter(again, data, name=f"rewritten{about}", **settings)
    return {
        "float32": plain.write(folder, "float32").artifact,
        "int8": plain.write(folder, "int8").artifact,
        "int8, rewritten": faster.write(folder, "int8").artifact,
    }


def normalized(model: Any, data: Dataset) -> Any:
    """The model with the batch statistics of some images."""
    keras = import_keras("This benchmark")
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    kept = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    model(normalize(data.train.read(range(32)), data.preprocess), training=True)
    for norm, momentum in zip(norms, kept, strict=True):
        norm.momentum = momentum
    return model


def latencies(size: int, classes: int, folder: Path, processes: int) -> dict[str, Measurement]:
    """At `size` px, calibrated on digits: what the images are does not matter."""
    data = load_data("digits", preprocess=preset("tf", size, size), calibration_images=10)
    import_keras("This benchmark").utils.set_random_seed(0)
    model = normalized(build(NETWORK, classes=classes, input_shape=(size, size, 3)), data)
    files = written(model, data, folder, f"_{size}_{classes}", softmax=False, classifier=False)
    measured = bench(tuple(files.values()), processes=processes, min_runs=20 * processes, min_seconds=3.0)
    return dict(zip(files, measured, strict=True))


def ratio_ci95(slow: Measurement, fast: Measurement) -> tuple[float, float, float]:
    """Geometric mean over the turns of the ratio of medians, and its 95 % bootstrap interval."""
    medians = [np.array([np.median(process) for process in one.samples_ns]) for one in (slow, fast)]
    logs = np.log(medians[0] / medians[1])
    drawn = np.random.default_rng(0).integers(len(logs), size=(REPLICATES, len(logs)))
    low, high = np.percentile(logs[drawn].mean(axis=1), [2.5, 97.5])
    return math.exp(logs.mean()), math.exp(low), math.exp(high)


def claims_at(size: int, classes: int, found: dict[str, Measurement]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    claims, raw = [], {name: one.to_json() for name, one in found.items()}
    for other, asked in (("int8", 3.0), ("float32", 1.0)):
        value, low, high = ratio_ci95(found[other], found["int8, rewritten"])
        about = f"MobileNetV3-Small of {classes} classes at {size} px, int8 rewritten, faster than {other} without"
        claims.append(claim(f"{about} (95 %: {low:.2f} to {high:.2f})", value, "x", least=asked))
    raw["float_ops"] = {name: list(float_operators(Path(one.file).read_bytes())) for name, one in found.items()}
    return claims, raw


def accuracy(cifar: Path, work: Path, folder: Path) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    network = trained(NETWORK, cifar, work)
    files = written(network.model, network.data, folder)
    found = beside_float(files.pop("float32"), files, network.data.test)
    claims = [
        claim(f"MobileNetV3-Small on CIFAR-10, {name}: top-1 against float32, points", found[name]["points"], "",
              least=-0.5 if name != "int8" else None)
        for name in files
    ]  # fmt: skip
    return claims, {"training": network.training, "files": found}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("cifar", type=Path, nargs="?")
    arguments.add_argument("--work", type=Path, help="where the trained network is kept")
    arguments.add_argument("--processes", type=int, default=10)
    arguments.add_argument("--part", choices=("latency", "accuracy"), help="one of the two; nothing is saved then")
    given = arguments.parse_args()
    warnings.simplefilter("ignore")
    measured_under = conditions()
    claims: list[dict[str, Any]] = []
    raw: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for size, classes in itertools.product(SIZES, CLASSES) if given.part != "accuracy" else ():
            measured = latencies(size, classes, Path(folder), given.processes)
            found, raw[f"{size} px, {classes} classes"] = claims_at(size, classes, measured)
            claims += found
        if given.cifar is not None and given.part != "latency":
            found, raw["accuracy"] = accuracy(given.cifar, given.work, Path(folder))
            claims += found
    if given.part is None and given.cifar is not None:
        save("hard_swish", claims, raw, measured_under)
        return
    for one in claims:
        print(one["what"], one["measured"], one["unit"], one["met"])


if __name__ == "__main__":
    main()
