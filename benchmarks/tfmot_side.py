"""tfmot's quantization-aware training on tf_keras, in a process of its own: what qat_vs_tfmot.py compares with.

Started by `Side`, which sends a command a line and reads an answer a line, both JSON. A network comes as a
description of its layers and the arrays of their weights, because no Keras reads the other's models.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

# What a layer of the network is made of again; everything else of its configuration is the default of both Keras.
SETTINGS = {
    "Conv2D": ("filters", "kernel_size", "strides", "padding", "use_bias"),
    "DepthwiseConv2D": ("kernel_size", "strides", "padding", "use_bias"),
    "BatchNormalization": ("momentum", "epsilon"),
    "ReLU": ("max_value",),
    "Dense": ("units",),
    "Add": (),
    "GlobalAveragePooling2D": (),
    "Dropout": ("rate",),
}
REFUSED_AT = 96  # px; what the networks of keras.applications are tried at
NETWORKS = ("MobileNetV2", "MobileNetV3Small", "MobileNetV3Large", "EfficientNetB0", "EfficientNetV2B0", "ResNet50",
            "ResNet50V2", "DenseNet121")  # fmt: skip
FOUND = (
    "with a Rescaling layer",
    "nested: a base in a Sequential",
    "Keras 3: MobileNetV2",
    "EfficientNetV2B0 without its Rescaling",
)


class Side:
    """The process. `ask` sends a command and returns its answer; an error there is an error here."""

    def __init__(self) -> None:
        environment = {**os.environ, "TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True, env=environment,
        )  # fmt: skip

    def ask(self, command: str, **given: Any) -> Any:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps({"command": command, **given}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"The process with tfmot ended while it was asked to {command}.")
        return json.loads(line)

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()


class Theirs:
    """The network on tf_keras, then its quantized model. `pixels` and `labels` are the batches, one after the other."""

    def __init__(self) -> None:
        self.model: Any = None
        self.arrays: dict[str, np.ndarray] = {}

    def build(self, folder: str) -> dict[str, Any]:
        """Of network.json, weights.npz and images.npz in `folder`; answers the outputs of the reference images."""
        described = json.loads((Path(folder) / "network.json").read_text("utf-8"))
        self.model = network(described, dict(np.load(Path(folder) / "weights.npz")))
        self.arrays = dict(np.load(Path(folder) / "images.npz"))
        return {"outputs": self.model(normal(self.arrays["reference"]), training=False).numpy().tolist()}

    def quantize(self, learning_rate: float, steps: int, batch_size: int) -> dict[str, Any]:
        import tensorflow_model_optimization as tfmot
        import tf_keras

        started = perf_counter()
        self.model = tfmot.quantization.keras.quantize_model(self.model)
        seconds = perf_counter() - started
        loss = tf_keras.losses.CategoricalCrossentropy(from_logits=True)
        self.model.compile(tf_keras.optimizers.SGD(learning_rate, momentum=0.9), loss)
        self.base, self.steps, self.batch_size = learning_rate, steps, batch_size
        return {"seconds": seconds}

    def train(self, begin: int, end: int) -> dict[str, Any]:
        """Steps `begin` to `end`: seconds and loss of each."""
        seconds, losses = [], []
        for step in range(begin, end):
            images, labels = batch(self.arrays, step, self.batch_size)
            started = perf_counter()
            self.model.optimizer.learning_rate.assign(rate(self.base, step, self.steps))
            losses.append(float(self.model.train_on_batch(images, labels)))
            seconds.append(perf_counter() - started)
        return {"seconds": seconds, "losses": losses}

    def predict(self) -> dict[str, Any]:
        """The classes that the fake-quantized model gives the test images."""
        return {"classes": self.model.predict(normal(self.arrays["test"]), 256, verbose=0).argmax(1).tolist()}

    def convert(self, path: str) -> dict[str, Any]:
        started = perf_counter()
        content = converted(self.model)
        seconds = perf_counter() - started
        Path(path).write_bytes(content)
        return {"seconds": seconds}

    def tried(self, name: str, path: str) -> dict[str, Any]:
        """What becomes of another network: {"quantized", "converted", "error"}."""
        import tensorflow_model_optimization as tfmot

        done = {"quantized": False, "converted": False, "error": ""}
        try:
            quantized = tfmot.quantization.keras.quantize_model(other(name))
            done["quantized"] = True
            Path(path).write_bytes(converted(quantized))
            done["converted"] = True
        except Exception as error:  # the answer that is asked for
            done["error"] = " ".join(f"{type(error).__name__}: {error}".split())
        return done


def network(described: dict[str, Any], weights: dict[str, np.ndarray]) -> Any:
    """The tf_keras model of a description (see qat_vs_tfmot.described)."""
    import tf_keras

    inputs = tf_keras.Input(described["input_shape"])
    tensors = {described["input"]: inputs}
    for row in described["layers"]:
        layer = getattr(tf_keras.layers, row["kind"])(name=row["name"], **row["settings"])
        taken = [tensors[number] for number in row["inputs"]]
        tensors[row["output"]] = layer(taken if len(taken) > 1 else taken[0])
        layer.set_weights([weights[f"{row['name']}/{i}"] for i in range(row["weights"])])
    return tf_keras.Model(inputs, tensors[described["output"]])


def other(name: str) -> Any:
    """A network of `NETWORKS` or `FOUND`, with random weights."""
    import tf_keras

    shape, layers = (REFUSED_AT, REFUSED_AT, 3), tf_keras.layers
    if name == FOUND[0]:
        tail = [layers.Conv2D(8, 3), layers.ReLU(), layers.GlobalAveragePooling2D(), layers.Dense(10)]
        return tf_keras.Sequential([layers.Input(shape), layers.Rescaling(1 / 255), *tail])
    if name == FOUND[1]:
        base = tf_keras.applications.MobileNetV2(weights=None, include_top=False, input_shape=shape)
        return tf_keras.Sequential([base, layers.GlobalAveragePooling2D(), layers.Dense(10)])
    if name == FOUND[2]:
        import keras

        return keras.applications.MobileNetV2(weights=None, input_shape=shape, classes=10)
    if name == FOUND[3]:
        network = tf_keras.applications.EfficientNetV2B0
        return network(weights=None, input_shape=shape, classes=10, include_preprocessing=False)
    return getattr(tf_keras.applications, name)(weights=None, input_shape=shape, classes=10)


def converted(model: Any) -> bytes:
    """As tfmot's guide converts: its ranges make the file integer."""
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    return bytes(converter.convert())


def normal(pixels: np.ndarray) -> np.ndarray:
    """The preset `tf`."""
    return pixels.astype(np.float32) / 127.5 - 1


def batch(arrays: dict[str, np.ndarray], step: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Images float32 [b, h, w, 3] and labels float32 [b, classes] of a step."""
    part = slice(step * size, (step + 1) * size)
    return normal(arrays["pixels"][part]), np.eye(10, dtype=np.float32)[arrays["labels"][part]]


def rate(base: float, step: int, steps: int) -> float:
    """The learning rate of a step: half a cosine down to 0."""
    return base * 0.5 * (1 + math.cos(math.pi * step / steps))


def serve() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the libraries print is no answer
    theirs = Theirs()
    for line in sys.stdin:
        given = json.loads(line)
        answers.write(json.dumps(getattr(theirs, given.pop("command"))(**given)) + "\n")
        answers.flush()


if __name__ == "__main__":
    serve()
