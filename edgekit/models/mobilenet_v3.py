"""MobileNetV3-Small and -Large, and their minimalistic versions: a table of blocks each, and one loop.

Howard et al. 2019, arXiv:1905.02244. Minimalistic: 3x3 kernels and ReLU everywhere, no squeeze and excitation; made for
accelerators that have neither. The structure and the order of the weights are those of keras.applications; its padding
before a stride of 2 is what "same" does. The head is the published one, a widening layer behind the pooling, as dense
layers: keras.applications writes the same two as 1x1 convolutions of a 1x1 map.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
from keras import layers

from edgekit.models.mobilenet import BN_EPSILON, BN_MOMENTUM, rounded_width
from edgekit.models.row import Wanted

STEM = 16  # never scaled


@dataclass(frozen=True)
class Block:
    """`expand`: how many times wider than the block's input inside; `squeeze`: with squeeze and excitation."""

    filters: int
    expand: float
    kernel: int = 3
    halves: bool = False
    squeeze: bool = False
    hard: bool = False  # hard-swish instead of ReLU


SMALL = (
    Block(16, 1, halves=True, squeeze=True),
    Block(24, 72 / 16, halves=True),
    Block(24, 88 / 24),
    Block(40, 4, 5, halves=True, squeeze=True, hard=True),
    *(Block(40, 6, 5, squeeze=True, hard=True),) * 2,
    *(Block(48, 3, 5, squeeze=True, hard=True),) * 2,
    Block(96, 6, 5, halves=True, squeeze=True, hard=True),
    *(Block(96, 6, 5, squeeze=True, hard=True),) * 2,
)
LARGE = (
    Block(16, 1),
    Block(24, 4, halves=True),
    Block(24, 3),
    Block(40, 3, 5, halves=True, squeeze=True),
    *(Block(40, 3, 5, squeeze=True),) * 2,
    Block(80, 6, halves=True, hard=True),
    Block(80, 2.5, hard=True),
    *(Block(80, 2.3, hard=True),) * 2,
    *(Block(112, 6, squeeze=True, hard=True),) * 2,
    Block(160, 6, 5, halves=True, squeeze=True, hard=True),
    *(Block(160, 6, 5, squeeze=True, hard=True),) * 2,
)
# The blocks, and the width behind the pooling.
VARIANTS: dict[str, tuple[tuple[Block, ...], int]] = {"small": (SMALL, 1024), "large": (LARGE, 1280)}
MINIMALISTIC = "_minimalistic"


def build(wanted: Wanted) -> keras.Model:
    """Float32 [n, h, w, c] -> logits [n, classes]; `strides`: those of the stem and of each halving block."""
    table, head = VARIANTS[wanted.variant.removesuffix(MINIMALISTIC)]
    full = not wanted.variant.endswith(MINIMALISTIC)
    left = iter(wanted.strides)
    inputs = keras.Input(wanted.input_shape, name="image")
    x = layers.Conv2D(STEM, 3, strides=next(left), padding="same", use_bias=False, name="stem_conv")(inputs)
    x = _activation(_norm(x, "stem"), "stem", hard=full)
    for number, (block, stride) in enumerate(_blocks(table, left)):
        x = _inverted_residual(x, block, rounded_width(block.filters, wanted.alpha), stride, full, f"block{number}")
    x = layers.Conv2D(rounded_width(x.shape[-1], 6), 1, use_bias=False, name="last_conv")(x)
    x = _activation(_norm(x, "last"), "last", hard=full)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = layers.Dense(rounded_width(head, max(wanted.alpha, 1.0)), name="head")(x)  # never narrower
    x = _activation(x, "head", hard=full)
    if wanted.dropout:
        x = layers.Dropout(wanted.dropout, name="dropout")(x)
    return keras.Model(inputs, layers.Dense(wanted.classes, name="logits")(x), name=wanted.name)


def _blocks(table: tuple[Block, ...], strides: Iterator[int]) -> Iterator[tuple[Block, int]]:
    for block in table:
        yield block, next(strides) if block.halves else 1


def _inverted_residual(x: Any, block: Block, filters: int, stride: int, full: bool, name: str) -> Any:
    """Widen, depthwise, squeeze and excite, narrow without an activation; added to the input if the shape is kept."""
    y, wide, hard = x, rounded_width(x.shape[-1], block.expand), block.hard and full
    if block.expand > 1:
        y = layers.Conv2D(wide, 1, use_bias=False, name=f"{name}_expand_conv")(y)
        y = _activation(_norm(y, f"{name}_expand"), f"{name}_expand", hard)
    y = layers.DepthwiseConv2D(
        block.kernel if full else 3, strides=stride, padding="same", use_bias=False, name=f"{name}_depthwise"
    )(y)
    y = _activation(_norm(y, f"{name}_depthwise"), f"{name}_depthwise", hard)
    if block.squeeze and full:
        y = _squeeze_excite(y, rounded_width(wide, 0.25), name)
    y = layers.Conv2D(filters, 1, use_bias=False, name=f"{name}_project_conv")(y)
    y = _norm(y, f"{name}_project")
    return layers.Add(name=f"{name}_add")([x, y]) if stride == 1 and x.shape[-1] == filters else y


def _squeeze_excite(x: Any, squeezed: int, name: str) -> Any:
    """Each channel times a factor in 0..1 that depends on the means of all channels; a quarter of the WIDENED ones."""
    y = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_squeeze_pool")(x)
    y = layers.Conv2D(squeezed, 1, name=f"{name}_squeeze_conv")(y)
    y = layers.ReLU(name=f"{name}_squeeze_relu")(y)
    y = layers.Conv2D(x.shape[-1], 1, name=f"{name}_excite_conv")(y)
    y = layers.Activation("hard_sigmoid", name=f"{name}_excite_sigmoid")(y)
    return layers.Multiply(name=f"{name}_excite")([x, y])


def _norm(x: Any, name: str) -> Any:
    return layers.BatchNormalization(momentum=BN_MOMENTUM, epsilon=BN_EPSILON, name=f"{name}_bn")(x)


def _activation(x: Any, name: str, hard: bool) -> Any:
    layer = layers.Activation("hard_swish", name=f"{name}_swish") if hard else layers.ReLU(name=f"{name}_relu")
    return layer(x)
