"""Networks for 32-px images that are smaller and faster than ResNet-8, as one table, and what builds them.

python benchmarks/small_networks.py NAME FILE.keras     writes one with random weights, for `edgekit compress --model`

XNNPACK's int8 kernels are at their best on plain 3x3 convolutions of 16 channels and more, so that there is little
to gain from depthwise ones here; the maps of 32 x 32 are where ResNet-8 spends its time, and the last 3x3 convolution,
of 64 channels, has half of its bytes.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit.models.backend import import_keras


@dataclass(frozen=True)
class Conv:
    """A convolution of `filters`, normalized, with ReLU."""

    filters: int
    stride: int = 1
    kernel: int = 3

    def __call__(self, keras: Any, x: Any, name: str, relu: bool = True) -> Any:
        layers = keras.layers
        x = layers.Conv2D(
            self.filters, self.kernel, strides=self.stride, padding="same", use_bias=False,
            kernel_initializer="he_normal", name=f"{name}_conv",
        )(x)  # fmt: skip
        x = layers.BatchNormalization(momentum=0.9, name=f"{name}_bn")(x)
        return layers.ReLU(name=f"{name}_relu")(x) if relu else x


@dataclass(frozen=True)
class Separable:
    """A depthwise 3x3 and a pointwise convolution, each normalized, with ReLU."""

    filters: int
    stride: int = 1

    def __call__(self, keras: Any, x: Any, name: str) -> Any:
        layers = keras.layers
        x = layers.DepthwiseConv2D(3, strides=self.stride, padding="same", use_bias=False, name=f"{name}_depthwise")(x)
        x = layers.ReLU(name=f"{name}_depthwise_relu")(layers.BatchNormalization(momentum=0.9, name=f"{name}_in")(x))
        return Conv(self.filters, kernel=1)(keras, x, name)


@dataclass(frozen=True)
class Residual:
    """He et al. 2015, arXiv:1512.03385: two 3x3 convolutions, of `middle` and `filters`, and a shortcut; with `narrow`
    a bottleneck of 1x1, 3x3 and 1x1 instead."""

    filters: int
    stride: int = 1
    middle: int | None = None
    narrow: bool = False

    def __call__(self, keras: Any, x: Any, name: str) -> Any:
        middle = self.middle or self.filters
        if self.narrow:
            y = Conv(middle, kernel=1)(keras, x, f"{name}_in")
            y = Conv(middle, self.stride)(keras, y, f"{name}_middle")
            y = Conv(self.filters, kernel=1)(keras, y, f"{name}_out", relu=False)
        else:
            y = Conv(middle, self.stride)(keras, x, f"{name}_first")
            y = Conv(self.filters)(keras, y, f"{name}_second", relu=False)
        if self.stride != 1 or x.shape[-1] != self.filters:
            x = Conv(self.filters, self.stride, 1)(keras, x, f"{name}_shortcut", relu=False)
        return keras.layers.ReLU(name=f"{name}_relu")(keras.layers.Add(name=f"{name}_add")([x, y]))


NETWORKS: dict[str, tuple[Any, ...]] = {
    "resnet8": (Conv(16), Residual(16), Residual(32, 2), Residual(64, 2)),
    "two_stages": (Conv(16), Residual(32, 2), Residual(40, 2, 24)),
    "two_stages_wide": (Conv(16), Residual(32, 2), Residual(48, 2, 32)),
    "three_thin": (Conv(16), Residual(24, 2), Residual(24), Residual(48, 2, 32)),
    "three_wide": (Conv(16), Residual(32, 2), Residual(32), Residual(48, 2, 32)),
    "three_wide_deeper": (Conv(16), Residual(32, 2), Residual(32), Residual(48, 2, 32), Residual(48, 1, 16)),
    "early_stride": (Conv(16, 2), Residual(32), Residual(64, 2, 24, narrow=True), Residual(64, 1, 24, narrow=True)),
    "two_strides": (
        Conv(16), Conv(16, 2), Residual(32), Residual(64, 2, 24, narrow=True), Residual(64, 1, 24, narrow=True)),
    "eight_first": (Conv(8), Conv(24, 2), Residual(32), Residual(40, 2, 24)),
    "separable": (Conv(32, 2), Separable(48), Separable(48), Separable(64, 2), Separable(64), Separable(96)),
}  # fmt: skip


GROWN = {"three_wide_deeper": "three_wide"}  # which begin with the weights of another, trained one


def network(name: str, classes: int = 10, size: int = 32) -> Any:
    """One of the table."""
    return built(NETWORKS[name], name, classes, size)


def built(blocks: tuple[Any, ...], name: str, classes: int = 10, size: int = 32) -> Any:
    """Float32 [n, size, size, 3] -> logits [n, classes], with random weights."""
    keras = import_keras("This benchmark")
    x = image = keras.Input((size, size, 3), name="image")
    for number, block in enumerate(blocks):
        x = block(keras, x, f"block{number}")
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(image, keras.layers.Dense(classes, name="logits")(x), name=name)


def written(name: str, path: Path) -> Path:
    """`path`, with the network of random weights in it; what is there is left."""
    if not path.exists():
        import_keras("This benchmark").utils.set_random_seed(0)
        path.parent.mkdir(parents=True, exist_ok=True)
        network(name).save(path)
    return path


def grown(name: str, start: Path, path: Path) -> Path:
    """`path`, with the network in it that gives the outputs of the trained one of `start`, of which it has all layers:
    the last normalization of each further block begins with a scale of 0. What is there is left."""
    if not path.exists():
        keras = import_keras("This benchmark")
        keras.utils.set_random_seed(0)
        model, known = network(name), keras.saving.load_model(start, compile=False)
        theirs = {layer.name: layer for layer in known.layers}
        for layer in model.layers:
            if layer.name in theirs:
                layer.set_weights(theirs[layer.name].get_weights())
            elif layer.name.endswith("_second_bn"):
                layer.gamma.assign(keras.ops.zeros_like(layer.gamma))
        model.save(path)
    return path


if __name__ == "__main__":
    written(sys.argv[1], Path(sys.argv[2]))
