"""Quantization of trained networks, every way edgekit has, against float on the same images.

python benchmarks/quantization.py CIFAR_FOLDER --work FOLDER [--photos FOLDER] [--only PART ...]

MobileNetV3-Small and EfficientNet-B0 at 32 px, trained on the CIFAR-10 set (cifar_networks.py), are compared on its
5,000 test images; EfficientNet-Lite0 with its ImageNet weights on photos named NUMBER_*.jpg after their class: 100 of
them calibrate, the others are compared on. Every part is kept under --work, and not measured again while edgekit's code
is the same; the results are written when all parts are there.
"""

from __future__ import annotations

import argparse
import functools
import json
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from cells import code, unchanged
from cifar_networks import SEED, Network, first, trained
from paired import against, beside_float, spread
from record import claim, conditions, save, timed

from edgekit.artifact import Artifact, write_bytes, write_json
from edgekit.data.calibration import choose
from edgekit.data.dataset import Dataset, load_data
from edgekit.evaluation.evaluate import evaluate
from edgekit.evaluation.parity import float_operators
from edgekit.exporting.calibration import Calibration
from edgekit.exporting.convert import convert
from edgekit.exporting.export import Exporter
from edgekit.exporting.freeze import freeze
from edgekit.exporting.samples import Images
from edgekit.preprocess import preset
from edgekit.quantize_config import Quantize
from edgekit.recipe import Verify
from edgekit.step_config import QuantizeAware
from edgekit.train_config import Augment, Train

NETWORKS = ("mobilenet_v3_small", "efficientnet_b0")
METHODS = ("quantile", "minmax", "percentile", "mse", "entropy")
DRAWS = 10  # of 100 calibration images, by each of
DRAWN = ("quantile", "minmax")
BUDGET = 0.3  # points of top-1 below float
QAT_IMAGES = 1000  # of every class, for quantization-aware training
LEARNED = "4-bit weights with learned rounding, ends and depthwise 8 bits"
BATCHES = Train(batch_size=64, augment=Augment(flip="horizontal", shift=0.125))
ITERATIONS = 300  # of learned rounding, a layer


def calibration(data: Dataset, method: str = "quantile") -> Calibration:
    return replace(Images(data).calibration("float32"), quantize=Quantize.model_validate({"calibration": method}))


def file(model: Any, data: Dataset, path: Path, variant: Any = "int8", method: str = "quantile") -> Artifact:
    """A model as it is, written to `path`."""
    used = None if variant == "float32" else calibration(data, method)
    write_bytes(path, convert(freeze(model), variant, calibration=used))
    return Artifact(path, None)


def reference(network: Network, folder: Path) -> Artifact:
    """The float file."""
    path = folder / "float32.tflite"
    return Artifact(path, None) if path.exists() else file(network.model, network.data, path, "float32")


def beside(network: Network, folder: Path, made: dict[str, Artifact]) -> dict[str, Any]:
    """Each file against float on the test images, and what of it computes in float."""
    found = beside_float(reference(network, folder), made, network.data.test)
    for name, artifact in made.items():
        found[name]["float_ops"] = list(float_operators(artifact.content))
    return found


def calibrated(network: Network, folder: Path, methods: tuple[str, ...] = METHODS) -> dict[str, Any]:
    """int8 by each way to choose the ranges."""
    made = {way: file(network.model, network.data, folder / f"{way}.tflite", method=way) for way in methods}
    return beside(network, folder, made)


def draws(network: Network, folder: Path) -> dict[str, Any]:
    """int8 by several draws of the calibration images, as edgekit calibrates and by all that was seen."""
    data, answers = network.data, evaluate(reference(network, folder), network.data.test)
    whole: dict[str, Any] = {}
    for method in DRAWN:
        found = {}
        for seed in range(DRAWS):
            drawn = replace(data, calibration=choose(data.train, len(data.calibration), seed))
            made = file(network.model, drawn, folder / f"draw_{seed}.tflite", method=method)
            found[f"draw {seed}"] = against(answers, evaluate(made, data.test))
        whole[method] = {"points": spread([one["points"] for one in found.values()]), "draws": found}
    return whole


def mixed(network: Network, folder: Path) -> dict[str, Any]:
    """The fewest layers left float that lose half the budget on the validation images, and what each layer costs.

    The other half is for chance: two sets of 5,000 images differ by 0.3 points in how many answers a file gets wrong.
    """
    from edgekit.compression.mixed import mix

    exporter = Exporter(network.model, network.data, name=network.name)
    found = mix(exporter, folder, max_drop_points=BUDGET / 2, state=folder / "mixed")
    print(found.sentence, flush=True)
    return {**beside(network, folder, {"mixed": found.exported.artifact}), "reached": found.reached,
            "report": found.report}  # fmt: skip


def learned(network: Network, folder: Path, epochs: int) -> dict[str, Any]:
    """Quantization-aware training towards the float model, without labels, its hard-swishes rewritten."""
    from edgekit.compression.rewrite import rewrite
    from edgekit.compression.step_context import StepContext
    from edgekit.compression.train_quantized import train_quantized

    part = replace(network.data, train=first(network.data.train, QAT_IMAGES)) if epochs else network.data
    wanted, name = QuantizeAware(epochs=epochs), f"{epochs} epochs"
    context = StepContext(part, folder / name, BATCHES, Quantize(), Verify(), True, True, SEED)
    seconds, stepped = timed(lambda: train_quantized(rewrite(network.model).model, wanted, context))
    made = {"int8": file(stepped.model, network.data, folder / f"{name}.tflite")}
    return {**beside(network, folder, made), "step": dict(stepped.figures), "seconds": seconds,
            "model_and_file": same(stepped.model, network.data, folder)}  # fmt: skip


def same(model: Any, data: Dataset, folder: Path) -> dict[str, Any]:
    """How the file of a fake-quantized model compares with that model, on test images."""
    tested = replace(data, val=data.test)  # the exporter compares on what it takes for held out
    found = Exporter(model, tested, limits=Verify(images=1000)).write(folder / "same", "int8").parity
    return {"n": found.n, "agreement": found.agreement, "ci95": list(found.ci95 or ()), "sqnr_db": found.sqnr_db}


def rounded(network: Network, folder: Path, bits: int) -> dict[str, Any]:
    """Weights of few bits, to the nearest and learned; the first, the last and the depthwise layers keep 8 bits."""
    from edgekit.compression.learned_rounding import learn_rounding

    used, made, seconds = calibration(network.data), {}, {}
    for name, iterations, corrected in (("nearest", 0, False), ("learned", ITERATIONS, True)):
        settings = {"weight_bits": bits, "iterations": iterations, "bias_correction": corrected, "seed": SEED}
        state = folder / f"rounding_{bits}_{name}"
        ask = functools.partial(learn_rounding, network.model, used, state=state, **settings)
        seconds[name], stepped = timed(ask)
        made[name] = file(stepped.model, network.data, folder / f"{name}_{bits}.tflite")
    return {**beside(network, folder, made), "seconds": seconds}


def plain(network: Network, folder: Path, bits: int) -> dict[str, Any]:
    """Weights of few bits to the nearest in every layer, the range of a channel that of its largest weight."""
    from edgekit.compression.quantize_aware import prepare

    stepped = prepare(network.model, calibration(network.data), weight_bits=bits, eight_bits=())
    return beside(network, folder, {"int8": file(stepped.model, network.data, folder / f"plain_{bits}.tflite")})


def biases(network: Network, folder: Path) -> dict[str, Any]:
    """int8 with equalized channels, and with corrected biases."""
    from edgekit.compression.bias import correct_bias
    from edgekit.compression.equalize import equalize
    from edgekit.compression.quantize_aware import prepare

    used = calibration(network.data)
    even = equalize(network.model, used)
    corrected = correct_bias(prepare(network.model, used).model, network.model, used)
    made = {
        "equalized": file(even.model, network.data, folder / "equalized.tflite"),
        "bias corrected": file(corrected.model, network.data, folder / "corrected.tflite"),
    }
    reports = {"equalized": even.to_json(), "bias corrected": corrected.to_json()}
    return {**beside(network, folder, made), "reports": reports}


def photos(folder: Path) -> Network:
    """EfficientNet-Lite0 with its ImageNet weights; the photos that do not calibrate are the test images."""
    from edgekit.models.zoo import build

    prepared = preset("lite", 224, 224)
    data = load_data(None, preprocess=prepared, calibration=folder, calibration_images=100, training=False)
    numbers = np.array([int(Path(name).name.split("_")[0]) for name in data.val.names])
    test = replace(data.val, labels=numbers, class_names=tuple(map(str, range(1000))))
    model = build("efficientnet_lite0", classes=1000, input_shape=(224, 224, 3), weights="imagenet")
    return Network("efficientnet_lite0", model, replace(data, test=test), {})


Part = Callable[[Network, Path], dict[str, Any]]
PARTS: dict[str, Part] = {
    "calibration": calibrated,
    "draws": draws,
    "mixed": mixed,
    "equalization and bias": biases,
    "qat": functools.partial(learned, epochs=2),
}
PHOTO_PARTS: dict[str, Part] = {
    "calibration": calibrated,
    "qat at zero steps": functools.partial(learned, epochs=0),
    "plain, 4 bits": functools.partial(plain, bits=4),
    "rounding, 4 bits": functools.partial(rounded, bits=4),
}
PARTS_OF: dict[str, dict[str, Part]] = {
    "mobilenet_v3_small": PARTS,
    "efficientnet_b0": {  # what is asked of it: the others take an hour
        "calibration": functools.partial(calibrated, methods=METHODS[:2]),
        "mixed": mixed,
        "qat": functools.partial(learned, epochs=1),
    },
    "efficientnet_lite0": PHOTO_PARTS,
}


def measured(part: str, work: Part, network: Network, folder: Path) -> dict[str, Any]:
    """What a part found, now or before, with the same code."""
    kept = folder / f"{part}.json"
    if kept.exists():
        known = json.loads(kept.read_text("utf-8"))
        if unchanged(known):
            return dict(known)
    print(f"== {network.name}: {part}", flush=True)
    seconds, found = timed(lambda: work(network, folder))
    whole = {"code": code(), "part_seconds": seconds, **found}
    write_json(kept, whole)
    return whole


def photo_claims(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Of EfficientNet-Lite0."""
    one, n = found["efficientnet_lite0"], found["efficientnet_lite0"]["calibration"]["float32"]["top1"]["n"]
    about = f"EfficientNet-Lite0, ImageNet weights, {n} photos"
    rounding = one["rounding, 4 bits"]
    return [
        claim(f"{about}: int8 agrees with float", 100 * one["calibration"]["quantile"]["agreement"]["value"], "%",
              least=98),
        beside_claim(about, "QAT at zero steps", one["qat at zero steps"]["int8"], -1),
        beside_claim(about, "4-bit weights to the nearest", one["plain, 4 bits"]["int8"], None),
        beside_claim(about, LEARNED.replace("learned rounding", "nearest rounding"), rounding["nearest"], None),
        beside_claim(about, LEARNED, rounding["learned"], -3),
    ]  # fmt: skip


def claims(name: str, one: dict[str, Any]) -> list[dict[str, Any]]:
    """Of a network trained on CIFAR-10."""
    top1 = one["calibration"]["float32"]["top1"]
    about = f"{name} on CIFAR-10, {top1['n']} images"
    found = [
        claim(f"{about}: float top-1", 100 * top1["value"], "%"),
        *(
            beside_claim(about, f"int8, {way}", one["calibration"][way], None)
            for way in METHODS
            if way in one["calibration"]
        ),
        beside_claim(about, "mixed", one["mixed"]["mixed"], -BUDGET),
        beside_claim(about, "QAT without labels", one["qat"]["int8"], -BUDGET),
    ]
    if "draws" in one:
        for method in DRAWN:
            drawn = one["draws"][method]
            what = (
                f"{about}: int8, {method}, over {DRAWS} draws of the calibration images, largest less smallest, points"
            )
            found.append(claim(what, drawn["points"]["most"] - drawn["points"]["least"], ""))
    if "equalization and bias" in one:
        ways = ("equalized", "bias corrected")
        found += [beside_claim(about, f"int8, {way}", one["equalization and bias"][way], None) for way in ways]
    return found


def beside_claim(about: str, what: str, one: dict[str, Any], least: float | None) -> dict[str, Any]:
    """Points of top-1 against float on the same images, with their interval."""
    low, high = one["ci95_points"]
    return claim(f"{about}: {what}, points against float (95 %: {low:+.2f} to {high:+.2f})", one["points"], "",
                 least=least)  # fmt: skip


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("cifar", type=Path)
    arguments.add_argument("--work", type=Path, required=True, help="where networks and parts are kept")
    arguments.add_argument("--photos", type=Path, required=True)
    arguments.add_argument("--only", nargs="+", choices={**PARTS, **PHOTO_PARTS}, help="parts; nothing is saved then")
    arguments.add_argument("--network", choices=(*NETWORKS, "efficientnet_lite0"), help="one; nothing is saved then")
    given = arguments.parse_args()
    warnings.simplefilter("ignore")
    measured_under = conditions()
    found: dict[str, Any] = {}
    for name in (*NETWORKS, "efficientnet_lite0"):
        if given.network in (None, name):
            found[name] = _all_of(name, given)
    if given.only or given.network:
        return
    save("quantization", [*photo_claims(found), *(c for n in NETWORKS for c in claims(n, found[n]))], found,
         measured_under)  # fmt: skip


def _all_of(name: str, given: Any) -> dict[str, Any]:
    network = trained(name, given.cifar, given.work) if name in NETWORKS else photos(given.photos)
    folder = given.work / "quantization" / name
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {part: work for part, work in PARTS_OF[name].items() if given.only is None or part in given.only}
    return {"training": network.training,
            **{part: measured(part, work, network, folder) for part, work in wanted.items()}}  # fmt: skip


if __name__ == "__main__":
    main()
