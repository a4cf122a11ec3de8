"""Layers that compute as an int8 file will: weights and activations rounded to their grid, gradients straight through.

Jacob et al. 2018, arXiv:1712.05877. Weights: per output channel, symmetric, to +-(2^(bits-1) - 1) steps of
max|w| / (2^(bits-1) - 1), from the weights as they are. Activations: 8 bits, asymmetric, over a range that is observed
first and then moves with what training batches have. They need the TensorFlow backend.

While a model is exported, within `recording()`, the same layers let everything pass and tell their ranges instead: the
quantizer of TFLite then does what they stood for.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from edgekit.models.backend import import_keras

keras = import_keras("Quantization-aware training")

MOMENTUM = 0.99  # of the moving ranges, a batch; tfmot has 0.999 and needs it less often than it starts at +-6
LEAST = 1e-6  # a narrower range has no scale


@dataclass(frozen=True)
class Tap:
    """A tensor that is int8 in the file: its `tensor` in the traced function, and its range.

    `name` is that of the FakeQuantize, `layer` that of the layer that computes it. `weight_bits` are those of its
    weights; `left_float` says that it computes in float.
    """

    name: str
    layer: str
    tensor: Any
    low: float
    high: float
    weight_bits: int = 8
    left_float: bool = False


_taps: ContextVar[list[Tap] | None] = ContextVar("taps", default=None)


@contextlib.contextmanager
def recording() -> Iterator[list[Tap]]:
    """Within it fake-quantization does nothing, and every `FakeQuantize` that is called adds to the list."""
    token = _taps.set([])
    try:
        yield _taps.get()  # type: ignore[misc]
    finally:
        _taps.reset(token)


def is_fake_quantized(model: Any) -> bool:
    """Whether there are such layers in a model."""
    layers = model._flatten_layers() if hasattr(model, "_flatten_layers") else ()
    return any(isinstance(layer, FakeQuantize) for layer in layers)


@keras.saving.register_keras_serializable("edgekit")
class FakeQuantize(keras.layers.Layer):  # type: ignore[misc, name-defined]
    """Rounds to 256 values over [low, high]: int8 activations. Any shape, float32.

    `source` is the layer whose output this is, or the last of those that one operator of the file computes;
    `weight_bits` are those of its weights. `passes`: not rounded here, since the layers around it stay float.
    `left_float`: its operators compute in float. `fixed`: the range never moves. A layer that is not trainable keeps
    its range too.
    """

    def __init__(
        self,
        source: str,
        weight_bits: int = 8,
        passes: bool = False,
        left_float: bool = False,
        fixed: bool = False,
        **rest: Any,
    ) -> None:
        super().__init__(**rest)
        self.source, self.weight_bits = source, weight_bits
        self.passes, self.left_float, self.fixed = passes, left_float, fixed

    def build(self, input_shape: Any) -> None:
        ends = {"low": -1.0, "high": 1.0}
        for name, value in ends.items():
            start = keras.initializers.Constant(value)
            setattr(self, name, self.add_weight(shape=(), initializer=start, trainable=False, name=name))

    def set_range(self, low: float, high: float) -> None:
        """Widened to hold 0, which every int8 range does."""
        low, high = min(float(low), 0.0), max(float(high), 0.0)
        self.low.assign(low)
        self.high.assign(max(high, low + LEAST))

    def get_range(self) -> tuple[float, float]:
        """The values now, within a traced function too."""
        import tensorflow as tf

        with tf.init_scope():
            return float(self.low.value), float(self.high.value)

    def call(self, x: Any, training: bool | None = None) -> Any:
        import tensorflow as tf

        taps = _taps.get()
        if taps is not None:
            taps.append(Tap(self.name, self.source, x, *self.get_range(), self.weight_bits, self.left_float))
            return x
        if training and self.trainable and not self.fixed:
            self._move(x)
        if self.passes:
            return x
        return tf.quantization.fake_quant_with_min_max_vars(x, self.low.value, self.high.value, num_bits=8)

    def _move(self, x: Any) -> None:
        low, high = keras.ops.minimum(keras.ops.min(x), 0.0), keras.ops.maximum(keras.ops.max(x), 0.0)
        self.low.assign(MOMENTUM * self.low + (1 - MOMENTUM) * low)
        self.high.assign(keras.ops.maximum(MOMENTUM * self.high + (1 - MOMENTUM) * high, self.low + LEAST))

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        own = ("source", "weight_bits", "passes", "left_float", "fixed")
        return {**super().get_config(), **{name: getattr(self, name) for name in own}}


def levels(bits: int) -> int:
    """127 for 8 bits, 7 for 4: the largest value of narrow-range symmetric weights."""
    return 2 ** (bits - 1) - 1


def on_grid(kernel: Any, bits: int, axes: tuple[int, ...]) -> Any:
    """The kernel rounded to its grid, one a channel: `axes` are those within a channel. The gradient passes."""
    ops = keras.ops
    top = levels(bits)
    scale = ops.stop_gradient(ops.maximum(ops.max(ops.abs(kernel), axis=axes, keepdims=True), LEAST * top) / top)
    return kernel + ops.stop_gradient(ops.round(kernel / scale) * scale - kernel)


class _Quantized:
    """What the three kinds of layers share: a kernel that is rounded each time it is used."""

    AXES: tuple[int, ...] = ()  # of the kernel, within an output channel

    def __init__(self, *args: Any, weight_bits: int = 8, **rest: Any) -> None:
        super().__init__(*args, **rest)
        self.weight_bits = weight_bits

    def quantized(self, kernel: Any) -> Any:
        """The kernel as the file will have it."""
        return kernel if _taps.get() is not None else on_grid(kernel, self.weight_bits, self.AXES)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "weight_bits": self.weight_bits}  # type: ignore[misc]


@keras.saving.register_keras_serializable("edgekit")
class QuantizedConv2D(_Quantized, keras.layers.Conv2D):  # type: ignore[misc, name-defined]
    """A Conv2D whose kernel [h, w, in, out] is rounded a channel out."""

    AXES = (0, 1, 2)

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        return super().convolution_op(inputs, self.quantized(kernel))


@keras.saving.register_keras_serializable("edgekit")
class QuantizedDepthwiseConv2D(_Quantized, keras.layers.DepthwiseConv2D):  # type: ignore[misc, name-defined]
    """A DepthwiseConv2D whose kernel [h, w, in, multiplier] is rounded a channel out."""

    AXES = (0, 1)

    def call(self, inputs: Any) -> Any:
        outputs = keras.ops.depthwise_conv(
            inputs,
            self.quantized(self.kernel),
            strides=self.strides,
            padding=self.padding,
            dilation_rate=self.dilation_rate,
            data_format=self.data_format,
        )
        return keras.ops.add(outputs, self.bias) if self.use_bias else outputs


@keras.saving.register_keras_serializable("edgekit")
class QuantizedDense(_Quantized, keras.layers.Dense):  # type: ignore[misc, name-defined]
    """A Dense whose kernel [in, out] is rounded an output."""

    AXES = (0,)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        outputs = keras.ops.matmul(inputs, self.quantized(self.kernel))
        return keras.ops.add(outputs, self.bias) if self.use_bias else outputs


# Which layer takes whose place. Their own activations are `linear`: lowering makes a layer of every activation.
QUANTIZED = {
    keras.layers.Conv2D: QuantizedConv2D,
    keras.layers.DepthwiseConv2D: QuantizedDepthwiseConv2D,
    keras.layers.Dense: QuantizedDense,
}
