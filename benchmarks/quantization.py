"""Quantization of trained networks, every way edgekit has, against float on the same images.

python benchmarks/quantization.py CIFAR_FOLDER --work FOLDER [--photos FOLDER] [--only PART ...]

MobileNetV3-Small and EfficientNet-B0 at 32 px, trained on the CIFAR-10 set (cifar_networks.py), are compared on its
5,000 test images; EfficientNet-Lite0 with its ImageNet weights on photos named NUMBER_*.jpg after their class: 100 of
them calibrate, the others are compared on. Every part is kept under --work and not measured again while edgekit's code
is the same; the results are written when all parts are there.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from cifar_networks import SEED, Network, first
from paired import against, beside_float, spread

from edgekit.artifact import Artifact, write_bytes
from edgekit.data.calibration import choose
from edgekit.data.dataset import Dataset, load_data
from edgekit.evaluation.evaluate import evaluate
from edgekit.evaluation.parity import float_operators
from edgekit.exporting.calibration import Calibration
from edgekit.exporting.convert import convert
from edgekit.exporting.freeze import freeze
from edgekit.exporting.samples import Images
from edgekit.preprocess import preset
from edgekit.quantize_config import Quantize
from edgekit.train_config import Augment, Train

NETWORKS = ("mobilenet_v3_small", "efficientnet_b0")
METHODS = ("minmax", "percentile", "mse", "entropy")
DRAWS = 10  # of 100 calibration images
BUDGET = 0.3  # points of top-1 below float
QAT_IMAGES = 1500  # of every class
QAT = Train(epochs=2, batch_size=64, learning_rate=5e-4, weight_decay=2e-2, augment=Augment(flip="horizontal"))
ITERATIONS = 1000  # of learned rounding, a layer


def calibration(data: Dataset, method: str = "minmax") -> Calibration:
    return replace(Images(data).calibration("float32"), quantize=Quantize(calibration=method))


def file(model: Any, data: Dataset, path: Path, variant: Any = "int8", method: str = "minmax") -> Artifact:
    """A model as it is, written to `path`."""
    used = None if variant == "float32" else calibration(data, method)
    write_bytes(path, convert(freeze(model), variant, calibration=used))
    return Artifact(path, None)


def calibrated(network: Network, folder: Path) -> dict[str, Any]:
    """Float, and int8 by each way to choose the ranges."""
    files = {f"int8, {way}": file(network.model, network.data, folder / f"{way}.tflite", method=way) for way in METHODS}
    return beside_float(reference(network, folder), files, network.data.test)


def draws(network: Network, folder: Path) -> dict[str, Any]:
    """int8 by each of several draws of the calibration images."""
    data, answers = network.data, evaluate(reference(network, folder), network.data.test)
    found = {}
    for seed in range(DRAWS):
        drawn = replace(data, calibration=choose(data.train, len(data.calibration), seed))
        one = against(answers, evaluate(file(network.model, drawn, folder / f"draw_{seed}.tflite"), data.test))
        found[f"draw {seed}"] = one
    points = [one["points"] for one in found.values()]
    return {"points": spread(points), "draws": found}


def quantize_aware(network: Network, folder: Path, bits: int, epochs: int) -> dict[str, Any]:
    """The file of the fake-quantized model, trained to give the float model's outputs."""
    from edgekit.compression.quantize_aware import prepare
    from edgekit.training.fit import train
    from edgekit.training.teacher import Teacher

    started = time.monotonic()
    prepared = prepare(network.model, calibration(network.data), weight_bits=bits)
    part = replace(network.data, train=first(network.data.train, QAT_IMAGES))
    config = QAT.model_copy(update={"epochs": epochs})
    name = f"qat_{bits}_{epochs}"
    told = train(prepared.model, part, config, teacher=Teacher(network.model), state_dir=folder / name, seed=SEED)
    made = {name: file(prepared.model, network.data, folder / f"{name}.tflite")}
    found = beside_float(reference(network, folder), made, network.data.test)[name]
    return {
        **found,
        "float_ops": list(float_operators(made[name].content)),
        "history": told.history.to_dict("records"),
        "seconds": time.monotonic() - started,
    }


def reference(network: Network, folder: Path) -> Artifact:
    """The float file."""
    path = folder / "float32.tflite"
    return Artifact(path, None) if path.exists() else file(network.model, network.data, path, "float32")


def photos(folder: Path) -> Network:
    """EfficientNet-Lite0 with its ImageNet weights; the photos that do not calibrate are the test images."""
    from edgekit.models.zoo import build

    prepared = preset("lite", 224, 224)
    data = load_data(None, preprocess=prepared, calibration=folder, calibration_images=100, training=False)
    numbers = np.array([int(Path(name).name.split("_")[0]) for name in data.val.names])
    test = replace(data.val, labels=numbers, class_names=tuple(map(str, range(1000))))
    model = build("efficientnet_lite0", classes=1000, input_shape=(224, 224, 3), weights="imagenet")
    return Network("efficientnet_lite0", model, replace(data, test=test), {})
