"""The ImageNet ResNets: 18 and 34 (basic blocks), 50, 101, 152 (bottlenecks), 50V2 (pre-activation); a table, a loop.

He et al. 2015, arXiv:1512.03385, table 1, and 2016, arXiv:1603.05027. The maps at 224 px are 112, 56 (max-pool), 28,
14 and 7 (R1). 50, 101, 152 and 50V2 have the structure, the biases and the order of weights of keras.applications; 18
and 34 are as torchvision has them: no biases, projections where stride or channels change. Before a stride of 2 all of
them pad alike on all sides, which "same" would not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
from keras import layers

from edgekit.models.mobilenet import BN_MOMENTUM
from edgekit.models.row import Wanted

STEM = 64
WIDTHS = (64, 128, 256, 512)


@dataclass(frozen=True)
class Net:
    """`repeats` blocks a stage; `bias`: its convolutions have one though normalization follows, as published."""

    repeats: tuple[int, int, int, int]
    block: Callable[..., Any]
    bias: bool
    epsilon: float
    preactivated: bool = False


def build(wanted: Wanted) -> keras.Model:
    """Float32 [n, h, w, c] -> logits [n, classes]; `strides`: those of the stem, the max-pool and the last 3 stages."""
    net = NETS[wanted.variant]
    inputs = keras.Input(wanted.input_shape, name="image")
    x = _conv(inputs, STEM, 7, wanted.strides[0], net.bias, "stem")
    x = x if net.preactivated else _norm_relu(x, net, "stem")
    x = layers.MaxPooling2D(3, wanted.strides[1], padding=_padding(wanted.strides[1]), name="stem_pool")(
        _padded(x, 3, wanted.strides[1], "stem_pool")
    )
    for stage, filters in enumerate(WIDTHS):
        x = _stage(x, net, stage, filters, wanted.strides[2:])
    x = _norm_relu(x, net, "last") if net.preactivated else x
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    if wanted.dropout:
        x = layers.Dropout(wanted.dropout, name="dropout")(x)
    return keras.Model(inputs, layers.Dense(wanted.classes, name="logits")(x), name=wanted.name)


def _stage(x: Any, net: Net, stage: int, filters: int, strides: tuple[int, ...]) -> Any:
    """V1 halves in the first block of each stage but the first, V2 in the last block of each but the last."""
    repeats = net.repeats[stage]
    halves = repeats - 1 if net.preactivated else 0
    ahead = (*strides, 1) if net.preactivated else (1, *strides)
    for number in range(repeats):
        stride = ahead[stage] if number == halves else 1
        x = net.block(x, filters, stride, number == 0, net, f"stage{stage}_block{number}")
    return x


def _basic(x: Any, filters: int, stride: int, first: bool, net: Net, name: str) -> Any:
    """Two 3x3 convolutions; the shortcut is projected where stride or channels change."""
    y = _norm_relu(_conv(x, filters, 3, stride, net.bias, f"{name}_first"), net, f"{name}_first")
    y = _norm(_conv(y, filters, 3, 1, net.bias, f"{name}_second"), net, f"{name}_second")
    if stride != 1 or x.shape[-1] != filters:
        x = _norm(_conv(x, filters, 1, stride, net.bias, f"{name}_shortcut"), net, f"{name}_shortcut")
    return layers.ReLU(name=f"{name}_relu")(layers.Add(name=f"{name}_add")([x, y]))


def _bottleneck(x: Any, filters: int, stride: int, first: bool, net: Net, name: str) -> Any:
    """1x1 (with the stride), 3x3, 1x1 to four times the width; a stage's first shortcut is projected (R3, R5)."""
    shortcut = x
    if first:
        shortcut = _conv(x, 4 * filters, 1, stride, net.bias, f"{name}_shortcut")
        shortcut = _norm(shortcut, net, f"{name}_shortcut")
    y = _norm_relu(_conv(x, filters, 1, stride, net.bias, f"{name}_first"), net, f"{name}_first")
    y = _norm_relu(_conv(y, filters, 3, 1, net.bias, f"{name}_second"), net, f"{name}_second")
    y = _norm(_conv(y, 4 * filters, 1, 1, net.bias, f"{name}_third"), net, f"{name}_third")
    return layers.ReLU(name=f"{name}_relu")(layers.Add(name=f"{name}_add")([shortcut, y]))


def _preactivated(x: Any, filters: int, stride: int, first: bool, net: Net, name: str) -> Any:
    """BN and ReLU before each convolution, none after the sum (R4); the shortcut of the halving block is subsampled."""
    ready = _norm_relu(x, net, f"{name}_before")
    shortcut = x
    if first:
        shortcut = _conv(ready, 4 * filters, 1, stride, True, f"{name}_shortcut")
    elif stride > 1:
        shortcut = layers.MaxPooling2D(1, stride, name=f"{name}_subsample")(x)
    y = _norm_relu(_conv(ready, filters, 1, 1, False, f"{name}_first"), net, f"{name}_first")
    y = _norm_relu(_conv(y, filters, 3, stride, False, f"{name}_second"), net, f"{name}_second")
    y = _conv(y, 4 * filters, 1, 1, True, f"{name}_third")
    return layers.Add(name=f"{name}_add")([shortcut, y])


def _conv(x: Any, filters: int, kernel: int, stride: int, bias: bool, name: str) -> Any:
    return layers.Conv2D(
        filters,
        kernel,
        strides=stride,
        padding=_padding(stride),
        use_bias=bias,
        kernel_initializer="he_normal",
        name=f"{name}_conv",
    )(_padded(x, kernel, stride, name))


def _padding(stride: int) -> str:
    return "same" if stride == 1 else "valid"


def _padded(x: Any, kernel: int, stride: int, name: str) -> Any:
    return x if stride == 1 or kernel == 1 else layers.ZeroPadding2D(kernel // 2, name=f"{name}_pad")(x)


def _norm(x: Any, net: Net, name: str) -> Any:
    return layers.BatchNormalization(momentum=BN_MOMENTUM, epsilon=net.epsilon, name=f"{name}_bn")(x)


def _norm_relu(x: Any, net: Net, name: str) -> Any:
    return layers.ReLU(name=f"{name}_relu")(_norm(x, net, name))


NETS: dict[str, Net] = {
    "18": Net((2, 2, 2, 2), _basic, bias=False, epsilon=1e-5),
    "34": Net((3, 4, 6, 3), _basic, bias=False, epsilon=1e-5),
    "50": Net((3, 4, 6, 3), _bottleneck, bias=True, epsilon=1.001e-5),
    "101": Net((3, 4, 23, 3), _bottleneck, bias=True, epsilon=1.001e-5),
    "152": Net((3, 8, 36, 3), _bottleneck, bias=True, epsilon=1.001e-5),
    "50_v2": Net((3, 4, 6, 3), _preactivated, bias=True, epsilon=1.001e-5, preactivated=True),
}
