"""MobileNetV1 and V2: a table and a block each, and one loop for both.

The structure, the order of the weights and the padding are those of keras.applications, so that its weights
fit: its ZeroPadding2D + "valid" before a stride of 2 is what "same" does (for V1 at even map sizes, which all
its published input sizes have), and "same" needs no extra op on the device.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
from keras import layers

from edgekit.models.row import Wanted

# keras.applications uses .99 and .999, tuned for hundreds of thousands of steps. A small data set has some 20
# steps an epoch, and validation stays at chance until the moving averages have arrived: .9 follows in one epoch.
BN_MOMENTUM = 0.9
BN_EPSILON = 1e-3


@dataclass(frozen=True)
class Stage:
    """`repeats` blocks of `filters` output channels; the first one halves the map where `halves`."""

    filters: int
    repeats: int
    halves: bool
    expand: int = 1


STEM = 32

V1 = (
    Stage(64, 1, False),
    Stage(128, 2, True),
    Stage(256, 2, True),
    Stage(512, 6, True),
    Stage(1024, 2, True),
)

V2 = (
    Stage(16, 1, False),
    Stage(24, 2, True, 6),
    Stage(32, 3, True, 6),
    Stage(64, 4, True, 6),
    Stage(96, 3, False, 6),
    Stage(160, 3, True, 6),
    Stage(320, 1, False, 6),
)
V2_LAST = 1280  # never narrower, whatever the width multiplier


def build(wanted: Wanted) -> keras.Model:
    """Float32 [n, h, w, c] -> logits [n, classes]; `strides`: those of the stem and of each halving stage."""
    table, block, width = FAMILIES[wanted.variant]
    left = iter(wanted.strides)
    inputs = keras.Input(wanted.input_shape, name="image")
    x = layers.Conv2D(
        width(STEM, wanted.alpha), 3, strides=next(left), padding="same", use_bias=False, name="stem_conv"
    )(inputs)
    x = _norm_relu(x, "stem")
    for number, (stage, stride) in enumerate(_blocks(table, left)):
        x = block(x, stage, width(stage.filters, wanted.alpha), stride, f"block{number}")
    if wanted.variant == "v2":
        x = layers.Conv2D(max(V2_LAST, width(V2_LAST, wanted.alpha)), 1, use_bias=False, name="last_conv")(x)
        x = _norm_relu(x, "last")
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    if wanted.dropout:
        x = layers.Dropout(wanted.dropout, name="dropout")(x)
    return keras.Model(inputs, layers.Dense(wanted.classes, name="logits")(x), name=wanted.name)


def _blocks(table: tuple[Stage, ...], strides: Iterator[int]) -> Iterator[tuple[Stage, int]]:
    """Each block's stage and stride, in order."""
    for stage in table:
        for repeat in range(stage.repeats):
            yield stage, next(strides) if stage.halves and repeat == 0 else 1


def _separable(x: Any, stage: Stage, filters: int, stride: int, name: str) -> Any:
    """V1: depthwise 3x3, then pointwise; each with BN and ReLU6."""
    x = layers.DepthwiseConv2D(3, strides=stride, padding="same", use_bias=False, name=f"{name}_depthwise")(x)
    x = _norm_relu(x, f"{name}_depthwise")
    x = layers.Conv2D(filters, 1, use_bias=False, name=f"{name}_conv")(x)
    return _norm_relu(x, name)


def _inverted_residual(x: Any, stage: Stage, filters: int, stride: int, name: str) -> Any:
    """V2: widen, depthwise 3x3, narrow without an activation; added to the input where the shape is kept."""
    y = x
    if stage.expand > 1:
        y = layers.Conv2D(x.shape[-1] * stage.expand, 1, use_bias=False, name=f"{name}_expand_conv")(y)
        y = _norm_relu(y, f"{name}_expand")
    y = layers.DepthwiseConv2D(3, strides=stride, padding="same", use_bias=False, name=f"{name}_depthwise")(y)
    y = _norm_relu(y, f"{name}_depthwise")
    y = layers.Conv2D(filters, 1, use_bias=False, name=f"{name}_project_conv")(y)
    y = _norm(y, f"{name}_project")
    return layers.Add(name=f"{name}_add")([x, y]) if stride == 1 and x.shape[-1] == filters else y


def _norm(x: Any, name: str) -> Any:
    return layers.BatchNormalization(momentum=BN_MOMENTUM, epsilon=BN_EPSILON, name=f"{name}_bn")(x)


def _norm_relu(x: Any, name: str) -> Any:
    return layers.ReLU(6.0, name=f"{name}_relu")(_norm(x, name))


def rounded_width(filters: int, alpha: float) -> int:
    """`filters * alpha` to the nearest multiple of 8, never below 90 % of it (as in the authors' code)."""
    wanted = filters * alpha
    rounded = max(8, int(wanted + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * wanted else rounded


FAMILIES: dict[str, tuple[tuple[Stage, ...], Callable[..., Any], Callable[[int, float], int]]] = {
    "v1": (V1, _separable, rounded_width),
    "v2": (V2, _inverted_residual, rounded_width),
}
