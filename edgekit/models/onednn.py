"""A way around a fault of oneDNN, with which TensorFlow computes on x86.

The kernel's gradient of a strided 1x1 convolution with fewer than 16 input channels is written past its memory
(https://github.com/uxlfoundation/oneDNN/issues/6035, open in version 3.12; TensorFlow 2.21 has it): training dies of a
corrupted heap, or learns from wrong gradients without a word. The shortcuts of a residual network whose channels are
removed become such convolutions. They see every stride-th pixel alone, so that the gradient is that of a convolution
without a stride over those pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

BLOCK = 16  # channels that oneDNN's kernels for AVX-512 take at a time; 8 for AVX2


def avoid_the_fault() -> None:
    """Gives TensorFlow's Conv2D another gradient where the fault is, once a process. TensorFlow is imported."""
    from tensorflow.python.framework import ops

    known = ops.gradient_registry.lookup("Conv2D")
    if not isinstance(known, _Gradient):
        del ops.gradient_registry._registry["Conv2D"]  # it takes nothing twice
        ops.gradient_registry.register(_Gradient(known), "Conv2D")


class _Gradient:
    """(operation, gradient of its output) -> the gradients of the images and of the kernel."""

    def __init__(self, known: Callable[[Any, Any], list[Any]]) -> None:
        self._known = known

    def __call__(self, operation: Any, gradient: Any) -> list[Any]:
        rows, columns = _strides(operation)
        if not _is_faulty(operation.inputs[1].shape, max(rows, columns)) or not _is_plain(operation):
            return self._known(operation, gradient)
        import tensorflow as tf

        images, kernel = operation.inputs
        # Of a 1x1 kernel SAME and VALID are one: nothing is padded.
        return [
            tf.raw_ops.Conv2DBackpropInput(
                input_sizes=tf.shape(images), filter=kernel, out_backprop=gradient, strides=[1, rows, columns, 1],
                padding="VALID",
            ),
            tf.raw_ops.Conv2DBackpropFilter(
                input=images[:, ::rows, ::columns], filter_sizes=tf.shape(kernel), out_backprop=gradient,
                strides=[1, 1, 1, 1], padding="VALID",
            ),
        ]  # fmt: skip


def _is_faulty(kernel: Any, stride: int) -> bool:
    height, width, channels, _ = kernel
    return (height, width) == (1, 1) and stride > 1 and (channels is None or channels < BLOCK)


def _is_plain(operation: Any) -> bool:
    """Of images [n, h, w, channels], without padding of its own."""
    return operation.get_attr("data_format") == b"NHWC" and operation.get_attr("padding") in (b"SAME", b"VALID")


def _strides(operation: Any) -> tuple[int, int]:
    _, rows, columns, _ = operation.get_attr("strides")
    return rows, columns
