"""What the stored weights of a file are like: zeros, how they lie, values that repeat, arrays that are there twice."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from edgekit.runtime.op_costs import KERNEL, LAYERS, Stored

FOURS = ("CONV_2D", "FULLY_CONNECTED")  # kernels [out, ..., in]: the others have no run of input channels
BY_OUTPUT = (*FOURS, "TRANSPOSE_CONV")  # kernels whose first axis is the output channel
NUMPY = {"float32": "<f4", "float16": "<f2", "bfloat16": "<u2", "int8": "i1", "uint8": "u1", "int16": "<i2"}


@dataclass(frozen=True)
class Values:
    """Of one or several kernels: `size` weights, `zeros` of them 0; `distinct` values of the kernel with the most, and
    `distinct_a_channel` of the output channel with the most. Of `fours`, the weights that form groups of four along
    the input channels, `two_of_four` are in groups with two zeros or more: what is called 2:4 where it is all."""

    size: int
    zeros: int
    distinct: int
    distinct_a_channel: int
    fours: int = 0
    two_of_four: int = 0

    @property
    def sparsity(self) -> float:
        return self.zeros / self.size if self.size else 0.0

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "sparsity": self.sparsity}


@dataclass(frozen=True)
class Repeats:
    """Arrays that are in the file again, and the bytes that it would save to store them once."""

    arrays: int
    bytes: int


def kernel_values(op: str, stored: Iterable[Stored]) -> Values | None:
    """Of a layer's kernel; None for an operator without one, or where its values lie behind the flatbuffer."""
    kernel = next((one for one in stored if op in LAYERS and one.place == KERNEL), None)
    codes = None if kernel is None else codes_of(kernel)
    if kernel is None or codes is None or not codes.size:
        return None
    zero = _zero(kernel.tensor) if kernel.dtype in ("int8", "uint8", "int16", "int4") else 0
    # What is stored sparse leaves zeros out, and so has no place for each weight.
    zeros = max(kernel.size - codes.size + int(np.count_nonzero(codes == zero)), 0)
    distinct = len(np.unique(codes))
    if codes.size != kernel.size:
        return Values(kernel.size, zeros, distinct, distinct)
    most = max(len(np.unique(row)) for row in _by_channel(op, codes.reshape(kernel.shape)))
    return Values(kernel.size, zeros, distinct, most, *_fours(op, codes.reshape(kernel.shape) != zero))


def _by_channel(op: str, codes: np.ndarray) -> np.ndarray:
    """[output channels, weights of each]; one row where an operator's channels are not known."""
    if op == "DEPTHWISE_CONV_2D":
        return codes.reshape(-1, codes.shape[-1]).T
    return codes.reshape(codes.shape[0] if op in BY_OUTPUT else 1, -1)


def _fours(op: str, nonzero: np.ndarray) -> tuple[int, int]:
    """(weights in groups of four along the input channels, those in groups of which two at most are not 0)"""
    whole = nonzero.shape[-1] // 4 * 4 if op in FOURS else 0
    groups = nonzero[..., :whole].reshape(-1, 4) if whole else np.empty((0, 4), bool)
    return groups.size, 4 * int((groups.sum(axis=1) <= 2).sum())


def together(found: Iterable[Values | None]) -> Values:
    known = [one for one in found if one is not None]
    summed = {name: sum(getattr(one, name) for one in known) for name in ("size", "zeros", "fours", "two_of_four")}
    most = {name: max((getattr(one, name) for one in known), default=0) for name in ("distinct", "distinct_a_channel")}
    return Values(**summed, **most)


def repeats(model: Any) -> Repeats:
    """Of a parsed file's buffers. Those that refer to the same place of the file are one already."""
    places: dict[bytes, set[int]] = {}
    sizes: dict[bytes, int] = {}
    for buffer in model.buffers:
        if buffer.data is None or not len(buffer.data):
            continue
        array = np.asarray(buffer.data, np.uint8)
        key = hashlib.sha256(array.tobytes()).digest()
        places.setdefault(key, set()).add(int(array.__array_interface__["data"][0]))
        sizes[key] = len(array)
    again = {key: len(where) - 1 for key, where in places.items() if len(where) > 1}
    return Repeats(sum(again.values()), sum(count * sizes[key] for key, count in again.items()))


def codes_of(kernel: Stored) -> np.ndarray | None:
    """What the file stores for it, one after the other; None where its values lie behind the flatbuffer."""
    if kernel.dtype == "int4":  # two to a byte, the lower half first
        halves = np.stack([kernel.held & 15, kernel.held >> 4], axis=-1).reshape(-1)[: kernel.size].astype(np.int8)
        return np.where(halves > 7, halves - 16, halves)
    kind = NUMPY.get(kernel.dtype)
    return None if kind is None or kernel.held.size % np.dtype(kind).itemsize else kernel.held.view(kind)


def _zero(tensor: Any) -> int:
    points = getattr(tensor.quantization, "zeroPoint", None)
    return int(points[0]) if points is not None and len(points) == 1 else 0
