"""Quantization-aware training: edgekit on Keras 3 against tfmot on tf_keras, from the same weights on the same batches.

python benchmarks/qat_vs_tfmot.py CIFAR_FOLDER --work FOLDER [--steps 400] [--part training|networks]

MobileNetV2 0.35 at 32 px, trained briefly (cifar_networks.py), moved to tf_keras; then the same steps with the same
optimizer, learning rates and batches on either side, in turns of 20. Each side is prepared as its guide says: tfmot by
quantize_model, edgekit by prepare on 100 calibration images. Then the networks that either takes.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from cifar_networks import Network, trained
from record import claim, conditions, ratio, save
from tfmot_side import FOUND, NETWORKS, REFUSED_AT, SETTINGS, Side, batch, normal, rate

from edgekit.artifact import write_json
from edgekit.compression.graph import graph_of
from edgekit.evaluation.compare import paired_ci95
from edgekit.evaluation.metrics import Proportion
from edgekit.evaluation.parity import float_operators
from edgekit.exporting.convert import Calibration, convert
from edgekit.exporting.freeze import freeze
from edgekit.exporting.samples import Images
from edgekit.runtime.interpreter import open_model
from edgekit.training.fused_norm import fused_norm

BATCH, TURN = 64, 20
LEARNING_RATE = 1e-3
REFERENCE = 16  # images that both float models must answer alike


def described(model: Any) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """A flat model as JSON, and the weights of its layers: what tfmot_side.network makes a tf_keras model of."""
    graph, rows, weights = graph_of(model), [], {}
    for node in graph.nodes:
        kind, config = type(node.layer).__name__, node.layer.get_config()
        values = node.layer.get_weights()
        settings = {name: config[name] for name in SETTINGS[kind]}
        rows.append({"kind": kind, "name": node.layer.name, "settings": settings, "inputs": node.inputs,
                     "output": node.output, "weights": len(values)})  # fmt: skip
        weights |= {f"{node.layer.name}/{i}": value for i, value in enumerate(values)}
    shape = model.input_shape[1:]
    return {"input_shape": shape, "input": graph.inputs[0], "output": graph.outputs[0], "layers": rows}, weights


def hand_over(network: Network, steps: int, folder: Path) -> dict[str, np.ndarray]:
    """Writes what the other side reads; returns the arrays that both sides have. Images are pixels, uint8."""
    spec, weights = described(network.model)
    (folder / "network.json").write_text(json.dumps(spec), encoding="utf-8")
    np.savez(folder / "weights.npz", **weights)
    train, test = network.data.train, network.data.test
    rows = np.random.default_rng(0).permutation(len(train))[: steps * BATCH]
    arrays = {
        "pixels": train.read(rows),
        "labels": train.labels[rows],
        "test": test.read(range(len(test))),
        "reference": test.read(range(REFERENCE)),
    }
    np.savez(folder / "images.npz", **arrays)
    return arrays


class Ours:
    """The same on Keras 3."""

    def __init__(self, network: Network, arrays: dict[str, np.ndarray], steps: int, batch_norm: str) -> None:
        import keras

        from edgekit.compression.quantize_aware import prepare

        self.arrays, self.steps = arrays, steps
        self.calibration: Calibration = Images(network.data).calibration("float32")
        started = perf_counter()
        self.model = prepare(network.model, self.calibration, batch_norm=batch_norm).model
        self.preparing = perf_counter() - started
        loss = keras.losses.CategoricalCrossentropy(from_logits=True)
        self.model.compile(keras.optimizers.SGD(LEARNING_RATE, momentum=0.9), loss, jit_compile=False)

    def train(self, begin: int, end: int) -> dict[str, Any]:
        seconds, losses = [], []
        with fused_norm(self.model):  # as edgekit trains, and tf_keras of itself
            for step in range(begin, end):
                images, labels = batch(self.arrays, step, BATCH)
                started = perf_counter()
                self.model.optimizer.learning_rate.assign(rate(LEARNING_RATE, step, self.steps))
                losses.append(float(self.model.train_on_batch(images, labels)))
                seconds.append(perf_counter() - started)
        return {"seconds": seconds, "losses": losses}

    def predict(self) -> dict[str, Any]:
        return {"classes": self.model.predict(normal(self.arrays["test"]), 256, verbose=0).argmax(1).tolist()}

    def convert(self, path: str) -> dict[str, Any]:
        started = perf_counter()
        content = convert(freeze(self.model, softmax=False), "int8", calibration=self.calibration)
        seconds = perf_counter() - started
        Path(path).write_bytes(content)
        return {"seconds": seconds}


class Theirs:
    """The other process, asked as `Ours` is."""

    def __init__(self, side: Side, steps: int) -> None:
        self._side = side
        answer = side.ask("quantize", learning_rate=LEARNING_RATE, steps=steps, batch_size=BATCH)
        self.preparing = answer["seconds"]

    def train(self, begin: int, end: int) -> dict[str, Any]:
        return dict(self._side.ask("train", begin=begin, end=end))

    def predict(self) -> dict[str, Any]:
        return dict(self._side.ask("predict"))

    def convert(self, path: str) -> dict[str, Any]:
        return dict(self._side.ask("convert", path=path))


def answers(content: bytes, pixels: np.ndarray) -> np.ndarray:
    """The classes a file gives, image by image."""
    model = open_model(content)
    return np.array([int(model.run(image[None])[0].argmax()) for image in normal(pixels)])


def outcome(side: Any, path: Path, arrays: dict[str, np.ndarray], labels: np.ndarray) -> dict[str, Any]:
    """Accuracy of the fake-quantized model and of its file on the test images, and how often they agree."""
    fake = np.array(side.predict()["classes"])
    seconds = side.convert(str(path))["seconds"]
    file = answers(path.read_bytes(), arrays["test"])
    n = len(labels)
    return {
        "fake_quant_top1": Proportion(int((fake == labels).sum()), n).to_json(),
        "file_top1": Proportion(int((file == labels).sum()), n).to_json(),
        "agreement": Proportion(int((fake == file).sum()), n).to_json(),
        "float_ops": list(float_operators(path.read_bytes())),
        "conversion_seconds": seconds,
        "file_right": (file == labels).tolist(),
    }


def against(other: dict[str, Any], reference: np.ndarray) -> dict[str, Any]:
    """Points of the file's top-1 above `reference`, which says of each image whether it is right there; paired."""
    right = np.array(other["file_right"])
    gained, lost = int((right & ~reference).sum()), int((reference & ~right).sum())
    low, high = paired_ci95(gained, lost, len(right))
    return {"points": 100 * (gained - lost) / len(right), "ci95_points": [100 * low, 100 * high]}


def compared(network: Network, steps: int, folder: Path, names: tuple[str, ...]) -> dict[str, Any]:
    """Both sides at step 0 and after the last, and the seconds of every step."""
    arrays, labels = hand_over(network, steps, folder), network.data.test.labels
    reference = network.model.predict(normal(arrays["test"]), 256, verbose=0)
    right = reference.argmax(1) == labels
    side = Side()
    moved = np.array(side.ask("build", folder=str(folder))["outputs"])
    difference = float(np.abs(moved - reference[:REFERENCE]).max())
    sides: dict[str, Any] = {name: _prepared(name, network, arrays, steps, side) for name in names}
    found: dict[str, Any] = {
        "float_top1": Proportion(int(right.sum()), len(right)).to_json(),
        "largest_difference_of_the_float_models": difference,
        "steps": steps,
        "batch_size": BATCH,
        "learning_rate": LEARNING_RATE,
        "sides": {name: {"preparing_seconds": one.preparing, "seconds": [], "losses": []}
                  for name, one in sides.items()},
    }  # fmt: skip
    for name, one in sides.items():
        found["sides"][name]["before"] = outcome(one, folder / f"{name}_0.tflite", arrays, labels)
    for begin in range(0, steps, TURN):
        for name, one in sides.items():
            told = one.train(begin, min(begin + TURN, steps))
            for key, values in told.items():
                found["sides"][name][key] += values
    for name, one in sides.items():
        found["sides"][name]["after"] = outcome(one, folder / f"{name}.tflite", arrays, labels)
        for when in ("before", "after"):
            one_time = found["sides"][name][when]
            one_time["against_float"] = against(one_time, right)
    if {"edgekit, live", "tfmot"} <= set(names):
        theirs = np.array(found["sides"]["tfmot"]["after"]["file_right"])
        found["edgekit_against_tfmot"] = against(found["sides"]["edgekit, live"]["after"], theirs)
    side.close()
    return found


def _prepared(name: str, network: Network, arrays: dict[str, np.ndarray], steps: int, side: Side) -> Any:
    if name == "tfmot":
        return Theirs(side, steps)
    return Ours(network, arrays, steps, "live" if name.endswith("live") else "frozen")


def accepted(work: Path, names: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """Every network by either side: quantized, converted, and what is left float. tfmot's process is a new one each
    time, since one that fails may take it down; what it answers is kept in `work`, as it does not change."""
    found: dict[str, dict[str, Any]] = {}
    for name in (*NETWORKS, *FOUND):
        found[name] = {}
        for side in names:
            path = work / "networks" / f"{side}_{name.replace(':', '').replace(' ', '_')}.tflite"
            path.parent.mkdir(parents=True, exist_ok=True)
            kept = path.with_suffix(".json")
            if side == "tfmot" and kept.exists():
                told = json.loads(kept.read_text("utf-8"))
            else:
                told = _tried_by_tfmot(name, path) if side == "tfmot" else _tried(name, path)
                told["float_ops"] = list(float_operators(path.read_bytes())) if told["converted"] else []
                write_json(kept, told)
            found[name][side] = told
            left = f"{len(told['float_ops'])} operators float" if told["converted"] else told["error"][:100]
            print(f"{name:32} {side:8} {left}", flush=True)
    return found


def _tried_by_tfmot(name: str, path: Path) -> dict[str, Any]:
    side = Side()
    try:
        return dict(side.ask("tried", name=name, path=str(path)))
    except RuntimeError as ended:
        return {"quantized": False, "converted": False, "error": str(ended)}
    finally:
        side.close()


def _tried(name: str, path: Path) -> dict[str, Any]:
    """The same by edgekit, at zero steps, on noise."""
    from edgekit.compression.quantize_aware import prepare

    done: dict[str, Any] = {"quantized": False, "converted": False, "error": ""}
    noise = np.random.default_rng(0).uniform(0, 255, (8, REFUSED_AT, REFUSED_AT, 3)).astype(np.float32)
    calibration = Calibration(lambda: _ones(noise))
    try:
        quantized = prepare(keras_3(name), calibration).model
        done["quantized"] = True
        path.write_bytes(convert(freeze(quantized, softmax=False), "int8", calibration=calibration))
        done["converted"] = True
    except Exception as error:  # the answer that is asked for
        done["error"] = " ".join(f"{type(error).__name__}: {error}".split())
    return done


def _ones(images: np.ndarray) -> Iterator[tuple[np.ndarray]]:
    return ((image[None],) for image in images)


def keras_3(name: str) -> Any:
    """What tfmot_side.other makes of a name, on Keras 3; the weights are random."""
    import keras

    keras.utils.set_random_seed(0)
    shape, layers = (REFUSED_AT, REFUSED_AT, 3), keras.layers
    if name == FOUND[0]:
        tail = [layers.Conv2D(8, 3), layers.ReLU(), layers.GlobalAveragePooling2D(), layers.Dense(10)]
        return keras.Sequential([layers.Input(shape), layers.Rescaling(1 / 255), *tail])
    if name == FOUND[1]:
        base = keras.applications.MobileNetV2(weights=None, include_top=False, input_shape=shape)
        return keras.Sequential([base, layers.GlobalAveragePooling2D(), layers.Dense(10)])
    if name == FOUND[3]:
        network = keras.applications.EfficientNetV2B0
        return network(weights=None, input_shape=shape, classes=10, include_preprocessing=False)
    return getattr(keras.applications, name.removeprefix("Keras 3: "))(weights=None, input_shape=shape, classes=10)


def claims_of(found: dict[str, Any], tried: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """tfmot trains with live batch normalization: what is like it is held against it."""
    about = f"QAT of MobileNetV2 0.35 at 32 px, {found['steps']} steps"
    sides = found["sides"]
    after = {name: one["after"] for name, one in sides.items()}
    seconds = {name: statistics.mean(one[when]["conversion_seconds"] for when in ("before", "after"))
               for name, one in sides.items()}  # fmt: skip
    refused = [name for name, one in tried.items() if not one["tfmot"]["converted"]]
    taken = [name for name in tried if tried[name]["edgekit"]["converted"] and not tried[name]["edgekit"]["float_ops"]]
    steps = {name: one["seconds"][TURN:] for name, one in sides.items()}  # the first step traces
    return [
        *(_top1_claim(f"{about}: int8 top-1, {LIKE[name]}", one["against_float"]) for name, one in after.items()),
        claim(f"{about}: int8 top-1, edgekit above tfmot, points", found["edgekit_against_tfmot"]["points"], "",
              least=0),
        *(claim(f"{about}: int8 top-1 before the first step, {name}", 100 * sides[name]["before"]["file_top1"]["value"],
                "%") for name in ("edgekit", "tfmot")),
        *(claim(f"{about}: agreement of model and file, {LIKE[name]}", 100 * one["agreement"]["value"], "%",
                least=None if name == "tfmot" else 98) for name, one in after.items()),
        *(claim(f"QAT step, time of tfmot / edgekit, {LIKE[name]}", ratio(steps["tfmot"], steps[name]), "x",
                least=1) for name in after if name != "tfmot"),
        claim("QAT conversion to .tflite, time of tfmot / edgekit", seconds["tfmot"] / seconds["edgekit"], "x",
              least=1),
        claim(f"of {len(tried)} kinds of networks, tfmot refuses", len(refused), ""),
        claim(f"of {len(tried)} kinds of networks, all-int8 by edgekit", len(taken), "", least=len(tried)),
    ]  # fmt: skip


LIKE = {
    "edgekit": "edgekit, frozen batch normalization",
    "edgekit, live": "edgekit, live batch normalization",
    "tfmot": "tfmot",
}


def _top1_claim(what: str, one: dict[str, Any]) -> dict[str, Any]:
    low, high = one["ci95_points"]
    return claim(f"{what}, points against float (95 %: {low:+.2f} to {high:+.2f})", one["points"], "")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("cifar", type=Path)
    arguments.add_argument("--work", type=Path, required=True, help="where the trained network is kept")
    arguments.add_argument("--steps", type=int, default=400)
    arguments.add_argument("--part", choices=("training", "networks"), help="one of the two; nothing is saved then")
    arguments.add_argument("--side", choices=("tfmot", "edgekit"), help="one of the two; nothing is saved then")
    given = arguments.parse_args()
    warnings.simplefilter("ignore")
    measured_under = conditions()
    names = (given.side,) if given.side else ("edgekit", "tfmot")
    with tempfile.TemporaryDirectory() as folder:
        tried = {} if given.part == "training" else accepted(given.work, names)
        more = () if given.side else ("edgekit, live",)
        found = {}
        if given.part != "networks":
            network = trained("mobilenet_v2", given.cifar, given.work)
            found = compared(network, given.steps, Path(folder), (*names, *more))
    if given.part or given.side:
        print(json.dumps(_brief({"training": found, "networks": tried}), indent=1))
        return
    save("qat_vs_tfmot", claims_of(found, tried), _brief({"training": found, "networks": tried}), measured_under)


def _brief(value: Any) -> Any:
    """Right and wrong, image by image, as a string of 1 and 0."""
    if isinstance(value, dict):
        return {name: "".join("01"[one] for one in item) if name == "file_right" else _brief(item)
                for name, item in value.items()}  # fmt: skip
    return value


if __name__ == "__main__":
    main()
