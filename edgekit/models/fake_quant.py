"""Layers that compute as an int8 file will: weights and activations rounded to their grid, gradients straight through.

Jacob et al. 2018, arXiv:1712.05877. Weights: per output channel, symmetric, to +-(2^(bits-1) - 1) steps of
max|w| / (2^(bits-1) - 1), from the weights as they are. Activations: 8 bits, asymmetric, over a range that is observed
first and then moves with what training batches have. Biases: int32, in steps of the input's times the weights'; left
out, this one would be seen, since a value close to the border between two codes goes to either side, and every layer
multiplies such differences. They need the TensorFlow backend.

A layer finds the range of its input where it is called on the symbolic tensor of a functional model, when that is built
or loaded.

While a model is exported, within `recording()`, the same layers let everything pass and tell their ranges instead: the
quantizer of TFLite then does what they stood for.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from edgekit.models.backend import import_keras

keras = import_keras("Quantization-aware training")
layers = keras.layers

# Layers whose int8 output has the scale of their input, or that are not in the file at all.
PASSING = (
    layers.MaxPooling2D, layers.AveragePooling2D, layers.GlobalMaxPooling2D, layers.Flatten, layers.Reshape,
    layers.Permute, layers.ZeroPadding2D, layers.Cropping2D, layers.Dropout, layers.SpatialDropout2D,
    layers.GaussianDropout, layers.GaussianNoise, layers.AlphaDropout, layers.ActivityRegularization,
)  # fmt: skip

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
class FakeQuantize(layers.Layer):  # type: ignore[misc, name-defined]
    """Rounds to 256 values over [low, high]: int8 activations. Any shape, float32.

    `source` is the layer whose output this is, or the last of those that one operator of the file computes;
    `weight_bits` are those of its weights. `passes`: not rounded here, since the layers around it stay float.
    `left_float`: its operators compute in float. `fixed`: the range never moves. `follows`: it has the range of the one
    before it, as the file's average pooling has. A layer that is not trainable keeps its range too.
    """

    def __init__(
        self,
        source: str,
        weight_bits: int = 8,
        passes: bool = False,
        left_float: bool = False,
        fixed: bool = False,
        follows: bool = False,
        **rest: Any,
    ) -> None:
        super().__init__(**rest)
        self.source, self.weight_bits = source, weight_bits
        self.passes, self.left_float, self.fixed, self.follows = passes, left_float, fixed, follows
        self._followed: Callable[[], FakeQuantize] | None = None

    def build(self, input_shape: Any) -> None:
        ends = {"low": -1.0, "high": 1.0}
        for name, value in ends.items():
            start = keras.initializers.Constant(value)
            setattr(self, name, self.add_weight(shape=(), initializer=start, trainable=False, name=name))

    def __call__(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        before = quantizer_of(x) if self.follows else None
        if before is not None:
            self._followed = lambda: before  # a function, so that Keras does not take it for a layer within this one
        return super().__call__(x, *args, **kwargs)

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
        taps = _taps.get()
        if self.follows and self._followed is not None:
            return x if taps is not None else self._followed().averaged(x)
        if taps is not None:
            taps.append(Tap(self.name, self.source, x, *self.get_range(), self.weight_bits, self.left_float))
            return x
        if training and self.trainable and not self.fixed:
            self._move(x)
        return x if self.passes else self.rounded(x)

    def rounded(self, x: Any) -> Any:
        """x on this layer's grid; the gradient passes within the range."""
        import tensorflow as tf

        return tf.quantization.fake_quant_with_min_max_vars(x, self.low.value, self.high.value, num_bits=8)

    def averaged(self, x: Any) -> Any:
        """Means of values of this grid, rounded to it as TFLite does: half away from code 0, not from the value 0.

        Of 4 values every fourth mean is such a half, so they are first freed from the error of float32.
        """
        ops, step = keras.ops, self.step()
        zero_point = ops.round(-self.low / step) - 128
        codes = ops.round(x / step * 1024) / 1024 + zero_point
        rounded = ops.sign(codes) * ops.floor(ops.abs(codes) + 0.5) - zero_point
        return x + ops.stop_gradient(rounded * step - x)

    def step(self) -> Any:
        """The distance between two codes, a tensor."""
        return (self.high - self.low) / 255.0

    def _move(self, x: Any) -> None:
        low, high = keras.ops.minimum(keras.ops.min(x), 0.0), keras.ops.maximum(keras.ops.max(x), 0.0)
        self.low.assign(MOMENTUM * self.low + (1 - MOMENTUM) * low)
        self.high.assign(keras.ops.maximum(MOMENTUM * self.high + (1 - MOMENTUM) * high, self.low + LEAST))

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        own = ("source", "weight_bits", "passes", "left_float", "fixed", "follows")
        return {**super().get_config(), **{name: getattr(self, name) for name in own}}


def levels(bits: int) -> int:
    """127 for 8 bits, 7 for 4: the largest value of narrow-range symmetric weights."""
    return 2 ** (bits - 1) - 1


def quantizer_of(x: Any) -> FakeQuantize | None:
    """The FakeQuantize that a symbolic tensor has its codes from; None where it is not int8."""
    while isinstance(x, keras.KerasTensor) and hasattr(x, "_keras_history"):
        layer, node, _ = x._keras_history
        if isinstance(layer, FakeQuantize) and not layer.follows:
            return None if layer.passes else layer
        if not isinstance(layer, (*PASSING, FakeQuantize)):
            return None
        x = layer._inbound_nodes[node].input_tensors[0]
    return None


def weight_step(kernel: Any, bits: int, axes: tuple[int, ...]) -> Any:
    """The distance between two weights of a channel, `axes` kept: those within a channel."""
    ops, top = keras.ops, levels(bits)
    return ops.stop_gradient(ops.maximum(ops.max(ops.abs(kernel), axis=axes, keepdims=True), LEAST * top) / top)


def on_grid(kernel: Any, bits: int, axes: tuple[int, ...]) -> Any:
    """The kernel rounded to its grid, one a channel. The gradient passes."""
    return to_multiples(kernel, weight_step(kernel, bits, axes))


def to_multiples(values: Any, step: Any) -> Any:
    """The nearest multiples of `step`. The gradient passes."""
    ops = keras.ops
    return values + ops.stop_gradient(ops.round(values / step) * step - values)


class _Quantized:
    """What the three kinds of layers share: a kernel and a bias that are rounded each time they are used."""

    AXES: tuple[int, ...] = ()  # of the kernel, within an output channel

    def __init__(self, *args: Any, weight_bits: int = 8, **rest: Any) -> None:
        super().__init__(*args, **rest)
        self.weight_bits = weight_bits
        self.normalized = False  # a normalization follows, which rounds both biases as one
        self._input_steps: tuple[Callable[[], Any], ...] = ()

    def __call__(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        found = quantizer_of(x)
        if found is not None and found.step not in self._input_steps:
            self._input_steps = (*self._input_steps, found.step)
        return super().__call__(x, *args, **kwargs)  # type: ignore[misc]

    def bias_step(self) -> Any:
        """[channels]: what biases are multiples of; None where no bias is int32, or two calls want different ones."""
        if _taps.get() is not None or len(self._input_steps) != 1:
            return None
        step = weight_step(self.kernel, self.weight_bits, self.AXES)  # type: ignore[attr-defined]
        return keras.ops.reshape(step, (-1,)) * keras.ops.stop_gradient(self._input_steps[0]())

    def rounded_kernel(self) -> Any:
        """The kernel as the file will have it. The quantizer of 8 bits finds that grid by itself, and other grids
        within its own only where the weights are on them."""
        kernel = self.kernel  # type: ignore[attr-defined]
        left = _taps.get() is not None and self.weight_bits == 8
        return kernel if left else on_grid(kernel, self.weight_bits, self.AXES)

    def with_bias(self, outputs: Any) -> Any:
        """The outputs, the rounded bias added."""
        if not self.use_bias:  # type: ignore[attr-defined]
            return outputs
        step = None if self.normalized else self.bias_step()
        bias = self.bias  # type: ignore[attr-defined]
        return outputs + (bias if step is None else to_multiples(bias, step))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "weight_bits": self.weight_bits}  # type: ignore[misc]


@keras.saving.register_keras_serializable("edgekit")
class QuantizedConv2D(_Quantized, layers.Conv2D):  # type: ignore[misc, name-defined]
    """A Conv2D whose kernel [h, w, in, out] is rounded a channel out."""

    AXES = (0, 1, 2)

    def call(self, inputs: Any) -> Any:
        return self.with_bias(self.convolution_op(inputs, self.rounded_kernel()))


@keras.saving.register_keras_serializable("edgekit")
class QuantizedDepthwiseConv2D(_Quantized, layers.DepthwiseConv2D):  # type: ignore[misc, name-defined]
    """A DepthwiseConv2D whose kernel [h, w, in, multiplier] is rounded a channel out."""

    AXES = (0, 1)

    def call(self, inputs: Any) -> Any:
        outputs = keras.ops.depthwise_conv(
            inputs,
            self.rounded_kernel(),
            strides=self.strides,
            padding=self.padding,
            dilation_rate=self.dilation_rate,
            data_format=self.data_format,
        )
        return self.with_bias(outputs)


@keras.saving.register_keras_serializable("edgekit")
class QuantizedDense(_Quantized, layers.Dense):  # type: ignore[misc, name-defined]
    """A Dense whose kernel [in, out] is rounded an output."""

    AXES = (0,)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        return self.with_bias(keras.ops.matmul(inputs, self.rounded_kernel()))


@keras.saving.register_keras_serializable("edgekit")
class QuantizedBatchNormalization(layers.BatchNormalization):  # type: ignore[misc, name-defined]
    """A BatchNormalization behind one of those layers, whose shift and their bias are rounded as the one bias that the
    file has, where it uses its moving statistics."""

    def __init__(self, **config: Any) -> None:
        super().__init__(**config)
        self._before: Callable[[], Any] | None = None

    def __call__(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        before = x._keras_history.operation if hasattr(x, "_keras_history") else None
        if isinstance(before, _Quantized):
            before.normalized = True
            self._before = lambda: before
        return super().__call__(x, *args, **kwargs)

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        outputs = super().call(inputs, training=training, mask=mask)
        step = None if self._before is None or (training and self.trainable) else self._before().bias_step()
        return outputs if step is None else outputs + self._rounding(self._before(), step)  # type: ignore[misc]

    def _rounding(self, before: Any, step: Any) -> Any:
        """[channels]: what rounding adds to the bias."""
        ops = keras.ops
        factor = (self.gamma if self.scale else 1.0) / ops.sqrt(self.moving_variance + self.epsilon)
        bias = (self.beta if self.center else 0.0) - self.moving_mean * factor
        bias = bias + before.bias * factor if before.use_bias else bias
        # A channel that the normalization multiplies by 0 has no step.
        return ops.stop_gradient(to_multiples(bias, ops.maximum(step * ops.abs(factor), 1e-30)) - bias)


# Which layer takes whose place. Their own activations are `linear`: lowering makes a layer of every activation.
QUANTIZED: dict[Any, Any] = {
    layers.Conv2D: QuantizedConv2D,
    layers.DepthwiseConv2D: QuantizedDepthwiseConv2D,
    layers.Dense: QuantizedDense,
}
ROUNDED: tuple[Any, ...] = tuple(QUANTIZED.values())
