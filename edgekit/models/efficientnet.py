"""EfficientNet-B0..B7 and EfficientNet-Lite0..4: one table of stages, one of scales, and a loop for both.

Tan and Le 2019, arXiv:1905.11946; Lite after tensorflow/tpu, models/official/efficientnet/lite: no squeeze and
excitation, ReLU6 instead of swish, and neither the stem and the head nor the first and the last stage's depth scaled.
The scales are the authors' table, not powers of a coefficient. The structure, the order of the weights and the padding
of B are those of keras.applications; its padding before a stride of 2 is what "same" does at any map size. The
normalization that it has in the graph is the preset's here. Stochastic depth is left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
from keras import layers

from edgekit.models.mobilenet import BN_EPSILON, BN_MOMENTUM, rounded_width
from edgekit.models.row import Wanted

STEM, HEAD = 32, 1280
SQUEEZE = 4  # the excitation's bottleneck has a quarter of the block's INPUT channels, not of the widened ones
INITIALIZER = {"class_name": "VarianceScaling", "config": {"scale": 2.0, "mode": "fan_out"}}


@dataclass(frozen=True)
class Stage:
    """`repeats` blocks of `filters` output channels and a `kernel` px square; the first one halves where `halves`."""

    filters: int
    repeats: int
    kernel: int
    halves: bool
    expand: int = 6


STAGES = (
    Stage(16, 1, 3, False, expand=1),
    Stage(24, 2, 3, True),
    Stage(40, 2, 5, True),
    Stage(80, 3, 3, True),
    Stage(112, 3, 5, False),
    Stage(192, 4, 5, True),
    Stage(320, 1, 3, False),
)


@dataclass(frozen=True)
class Scale:
    """How much wider and deeper than the table."""

    width: float
    depth: float
    lite: bool = False


SCALES: dict[str, Scale] = {
    "b0": Scale(1.0, 1.0),
    "b1": Scale(1.0, 1.1),
    "b2": Scale(1.1, 1.2),
    "b3": Scale(1.2, 1.4),
    "b4": Scale(1.4, 1.8),
    "b5": Scale(1.6, 2.2),
    "b6": Scale(1.8, 2.6),
    "b7": Scale(2.0, 3.1),
    "lite0": Scale(1.0, 1.0, lite=True),
    "lite1": Scale(1.0, 1.1, lite=True),
    "lite2": Scale(1.1, 1.2, lite=True),
    "lite3": Scale(1.2, 1.4, lite=True),
    "lite4": Scale(1.4, 1.8, lite=True),
}


def build(wanted: Wanted) -> keras.Model:
    """Float32 [n, h, w, c] -> logits [n, classes]; `strides`: those of the stem and of each halving stage."""
    scale = SCALES[wanted.variant]
    left = iter(wanted.strides)
    inputs = keras.Input(wanted.input_shape, name="image")
    x = _conv(inputs, _end(STEM, scale), 3, "stem", scale, strides=next(left))
    for block, stage, stride in _blocks(scale, left):
        x = _inverted_residual(x, stage, stride, scale, block)
    x = _conv(x, _end(HEAD, scale), 1, "head", scale)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    if wanted.dropout:
        x = layers.Dropout(wanted.dropout, name="dropout")(x)
    return keras.Model(inputs, layers.Dense(wanted.classes, name="logits")(x), name=wanted.name)


def _end(filters: int, scale: Scale) -> int:
    return filters if scale.lite else rounded_width(filters, scale.width)


def _blocks(scale: Scale, strides: Iterator[int]) -> Iterator[tuple[str, Stage, int]]:
    """Each block's name, stage and stride, in order."""
    for number, stage in enumerate(STAGES, start=1):
        fixed = scale.lite and stage in (STAGES[0], STAGES[-1])
        repeats = stage.repeats if fixed else math.ceil(scale.depth * stage.repeats)
        for repeat in range(repeats):
            yield f"stage{number}_block{repeat}", stage, next(strides) if stage.halves and repeat == 0 else 1


def _inverted_residual(x: Any, stage: Stage, stride: int, scale: Scale, name: str) -> Any:
    """Widen, depthwise, squeeze and excite, narrow without an activation; added to the input if the shape is kept."""
    narrow, filters = x.shape[-1], rounded_width(stage.filters, scale.width)
    y = x if stage.expand == 1 else _conv(x, narrow * stage.expand, 1, f"{name}_expand", scale)
    y = layers.DepthwiseConv2D(
        stage.kernel,
        strides=stride,
        padding="same",
        use_bias=False,
        depthwise_initializer=INITIALIZER,
        name=f"{name}_depthwise",
    )(y)
    y = _activation(_norm(y, f"{name}_depthwise"), f"{name}_depthwise", scale)
    if not scale.lite:
        y = _squeeze_excite(y, max(1, narrow // SQUEEZE), name)
    y = _norm(_plain_conv(y, filters, 1, f"{name}_project"), f"{name}_project")
    return layers.Add(name=f"{name}_add")([x, y]) if stride == 1 and narrow == filters else y


def _squeeze_excite(x: Any, squeezed: int, name: str) -> Any:
    """Each channel times a factor in 0..1 that depends on the means of all channels."""
    y = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_squeeze_pool")(x)
    y = layers.Conv2D(squeezed, 1, kernel_initializer=INITIALIZER, name=f"{name}_squeeze_conv")(y)
    y = layers.Activation("silu", name=f"{name}_squeeze_silu")(y)
    y = layers.Conv2D(x.shape[-1], 1, kernel_initializer=INITIALIZER, name=f"{name}_excite_conv")(y)
    y = layers.Activation("sigmoid", name=f"{name}_excite_sigmoid")(y)
    return layers.Multiply(name=f"{name}_excite")([x, y])


def _conv(x: Any, filters: int, kernel: int, name: str, scale: Scale, strides: int = 1) -> Any:
    return _activation(_norm(_plain_conv(x, filters, kernel, name, strides), name), name, scale)


def _plain_conv(x: Any, filters: int, kernel: int, name: str, strides: int = 1) -> Any:
    return layers.Conv2D(
        filters,
        kernel,
        strides=strides,
        padding="same",
        use_bias=False,
        kernel_initializer=INITIALIZER,
        name=f"{name}_conv",
    )(x)


def _norm(x: Any, name: str) -> Any:
    return layers.BatchNormalization(momentum=BN_MOMENTUM, epsilon=BN_EPSILON, name=f"{name}_bn")(x)


def _activation(x: Any, name: str, scale: Scale) -> Any:
    layer = layers.ReLU(6.0, name=f"{name}_relu") if scale.lite else layers.Activation("silu", name=f"{name}_silu")
    return layer(x)
