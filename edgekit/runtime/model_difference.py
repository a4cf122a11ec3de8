"""What differs between the graphs of two .tflite files: operators, and the weights of each layer as real values."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from edgekit.errors import BadInput
from edgekit.runtime import isolate
from edgekit.runtime.embedded import NO_SENSE
from edgekit.runtime.flatbuffer import parse
from edgekit.runtime.op_costs import KERNEL, LAYERS, Stored, parameters
from edgekit.runtime.probe import TIMEOUT, Probed
from edgekit.runtime.stored_weights import codes_of
from edgekit.runtime.xnnpack import facts_of


@dataclass(frozen=True)
class Layer:
    """A kernel of both files. `max_abs` is the largest difference of two real values and `sqnr_db` the signal to noise
    of the second against the first; None where their shapes differ or they are equal."""

    layer: str
    op: str
    shapes: tuple[tuple[int, ...], tuple[int, ...]]
    dtypes: tuple[str, str]
    max_abs: float | None
    sqnr_db: float | None
    same: bool


@dataclass(frozen=True)
class ModelDifference:
    """`operators`: those whose number differs, "CONV_2D int8" -> (in the first, in the second); `reordered`: the same
    operators in another order. `layers` are matched in their order, where both files have as many, else by name;
    `unmatched` names the others."""

    operators: dict[str, tuple[int, int]]
    reordered: bool
    layers: tuple[Layer, ...]
    unmatched: tuple[tuple[str, ...], tuple[str, ...]]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class _Kernel:
    layer: str
    op: str
    dtype: str
    values: np.ndarray  # float64, as the layer sees them


def model_difference(first: Probed, second: Probed) -> ModelDifference:
    """Of two files that run. Raises BadInput where one of them cannot be read."""
    found: ModelDifference = isolate.call(
        _compared, first.content, second.content, what=f"{first.path} beside {second.path}", timeout=TIMEOUT
    )
    return found


def _compared(first: bytes, second: bytes) -> ModelDifference:
    try:
        (ours, kernels), (theirs, others) = _read(first), _read(second)
    except NO_SENSE as error:
        raise BadInput(
            f"One of the files is damaged ({type(error).__name__}).", "Inspect each: edgekit inspect"
        ) from None
    before, after = Counter(ours), Counter(theirs)
    changed = {name: (before[name], after[name]) for name in sorted({*before, *after}) if before[name] != after[name]}
    pairs = list(_pairs(kernels, others))
    alone = tuple(
        tuple(one.layer for one in side if not any(one is pair[at] for pair in pairs))
        for at, side in enumerate((kernels, others))
    )
    layers = tuple(_layer(*pair) for pair in pairs)
    return ModelDifference(changed, not changed and ours != theirs, layers, (alone[0], alone[1]))


def _read(content: bytes) -> tuple[list[str], list[_Kernel]]:
    """The operators in their order, each with what it computes in, and the layers' kernels."""
    model = parse(content)
    operators = list(model.subgraphs[0].operators or [])
    facts = tuple(facts_of(model, one) for one in operators)
    kernels = []
    for one, stored in zip(facts, parameters(facts, operators), strict=True):
        kernel = next((each for each in stored if one.op in LAYERS and each.place == KERNEL), None)
        if kernel is not None and (values := _real(kernel)) is not None:
            layer = one.outputs[0].name.decode(errors="replace").split(";")[0] if one.outputs else ""
            kernels.append(_Kernel(layer, one.op, kernel.dtype, values))
    return [f"{one.op} {one.dtype}" for one in facts], kernels


def _real(kernel: Stored) -> np.ndarray | None:
    codes = codes_of(kernel)
    if codes is None or codes.size != math.prod(kernel.shape):
        return None
    values = codes.astype(np.float64).reshape(kernel.shape)
    quantization = kernel.tensor.quantization
    scales = getattr(quantization, "scale", None)
    if scales is None or not len(scales):
        return values
    zeros = np.zeros(len(scales)) if quantization.zeroPoint is None else np.asarray(quantization.zeroPoint, np.float64)
    along = [1] * values.ndim
    along[quantization.quantizedDimension if len(scales) > 1 else 0] = len(scales)
    return (values - zeros.reshape(along)) * np.asarray(scales, np.float64).reshape(along)


def _pairs(first: list[_Kernel], second: list[_Kernel]) -> Iterator[tuple[_Kernel, _Kernel]]:
    if [one.op for one in first] == [one.op for one in second]:
        yield from zip(first, second, strict=True)
        return
    named = {one.layer: one for one in second}
    yield from ((one, named[one.layer]) for one in first if one.layer in named)


def _layer(first: _Kernel, second: _Kernel) -> Layer:
    shapes = (first.values.shape, second.values.shape)
    same = shapes[0] == shapes[1] and bool((first.values == second.values).all())
    largest, decibels = None, None
    if shapes[0] == shapes[1] and not same:
        apart = first.values - second.values
        largest, noise, signal = float(np.abs(apart).max()), float((apart**2).sum()), float((first.values**2).sum())
        decibels = 10 * math.log10(signal / noise) if signal > 0 and noise > 0 else None
    return Layer(first.layer, first.op, shapes, (first.dtype, second.dtype), largest, decibels, same)
