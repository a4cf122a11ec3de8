"""Lowering: any functional or sequential Keras 3 model becomes a flat graph of plain layers with the same outputs.

Nested models are spread out; operators (`x / 127.5`, `keras.ops.relu6(x)`) become layers; an activation within a layer
becomes a layer behind it; swish becomes x times its sigmoid, hard-sigmoid an addition, a ReLU6 and a multiplication;
separable convolutions become two; averaging over a map and reshaping it back becomes one layer. Batch normalization
stays where it is. What is not known here (the user's own layers, rare operators) stays too, and is named.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import activations, layers

from edgekit.compression.graph import clone, keras_nodes
from edgekit.compression.step import Note, Stepped
from edgekit.errors import BadInput
from edgekit.models.head import move_weights

IS_NONE = "is nothing that lowering knows: left as it is"


def lower(model: Any) -> Stepped:
    """The flat model, its outputs equal within 1e-5; `skipped` names what is left of unknown kinds.

    Layers keep their names, but where two models nested in one had the same; weights are copied. Raises BadInput for a
    model that is no graph of layers, and naming a layer that cannot be copied.
    """
    if not getattr(model, "inputs", None):
        raise BadInput(
            f"{type(model).__name__} is not a graph of layers.", "Give a functional or sequential Keras 3 model."
        )
    work = _Lowering()
    inputs = [keras.Input(tensor.shape[1:], dtype=tensor.dtype, name=tensor.name) for tensor in model.inputs]
    outputs = work.graph(model, inputs)
    flat = keras.Model(inputs, outputs[0] if len(outputs) == 1 else outputs, name=model.name)
    return Stepped(flat, tuple(work.done), tuple(work.skipped), {"layers": len(flat.layers) - len(inputs)})


class _Lowering:
    """One lowering: the layers made so far, and what is to be said about them."""

    def __init__(self) -> None:
        self.done: list[Note] = []
        self.skipped: list[Note] = []
        self._names: set[str] = set()
        self._made: dict[tuple[int, str], Any] = {}

    def graph(self, model: Any, tensors: Sequence[Any]) -> list[Any]:
        """The outputs of a model of layers on new input tensors."""
        values = dict(zip(map(id, model.inputs), tensors, strict=True))
        for node in keras_nodes(model):
            args, kwargs = node.arguments.fill_in(values)
            outputs = self._call(node.operation, args, kwargs)
            values.update(zip(map(id, node.outputs), keras.tree.flatten(outputs), strict=True))
        return [values[id(tensor)] for tensor in model.outputs]

    def _call(self, layer: Any, args: Any, kwargs: Any) -> Any:
        if isinstance(layer, keras.Model) and getattr(layer, "inputs", None):
            self.done.append(Note(layer.name, "a nested model: spread out"))
            outputs = self.graph(layer, keras.tree.flatten((args, kwargs.get("inputs", ())))[: len(layer.inputs)])
            return outputs[0] if len(outputs) == 1 else outputs
        rule = RULES.get(type(layer))
        made = None if rule is None else rule(self, layer, *args, **kwargs)
        return self._unknown(layer, args, kwargs) if made is None else made

    def _unknown(self, layer: Any, args: Any, kwargs: Any) -> Any:
        self.skipped.append(Note(layer.name, f"{type(layer).__name__} {IS_NONE}"))
        return self.copy(layer, call=lambda new: new(*args, **kwargs))

    def name(self, wanted: str) -> str:
        """The name, or the next one that is free."""
        free, number = wanted, 1
        while free in self._names:
            free, number = f"{wanted}_{number}", number + 1
        self._names.add(free)
        return free

    def new(self, kind: Any, name: str, *args: Any, **rest: Any) -> Any:
        """A new layer with a name that is free."""
        return kind(*args, name=self.name(name), **rest)

    def copy(self, layer: Any, *, call: Callable[[Any], Any], **changes: Any) -> Any:
        """Calls the layer's copy, which is made, and gets its weights, where it is called first."""
        known = self._made.get((id(layer), ""))
        if known is not None:
            return call(known)
        try:
            made = clone(layer, name=self.name(layer.name), **changes)
        except Exception as error:
            raise BadInput(
                f"The layer {layer.name!r} ({type(layer).__name__}) cannot be copied: {error}.",
                "Give its class a get_config with every argument of its constructor.",
            ) from error
        self._made[id(layer), ""] = made
        outputs = call(made)
        move_weights(layer, made)
        return outputs

    def part(self, layer: Any, part: str, kind: Any, weights: Sequence[Any], x: Any, **config: Any) -> Any:
        """Calls a new layer that does a part of what `layer` did, with a part of its weights."""
        made = self._made.get((id(layer), part))
        if made is not None:
            return made(x)
        made = self._made[id(layer), part] = self.new(kind, f"{layer.name}_{part}", **config)
        outputs = made(x)
        made.set_weights(weights)
        return outputs

    def affine(self, x: Any, scale: Any, offset: Any, name: str) -> Any:
        """x * scale + offset, each a number or one a channel; several in a row become one."""
        scale, offset = np.asarray(scale, np.float64), np.asarray(offset, np.float64)
        before = x._keras_history.operation
        if isinstance(before, layers.Rescaling):
            offset = np.asarray(before.offset, np.float64) * scale + offset
            scale = np.asarray(before.scale, np.float64) * scale
            x = before._inbound_nodes[x._keras_history.node_index].input_tensors[0]
        if np.all(scale == 1.0) and np.all(offset == 0.0):
            return x
        return self.new(layers.Rescaling, name, _constant(scale), _constant(offset))(x)

    def activation(self, function: Any, name: str, x: Any) -> Any:
        """An activation as layers; `name` is that of the layer it was in, or of its own."""
        rule = ACTIVATIONS.get(function)
        if rule is not None:
            return rule(self, name, x)
        return self.new(layers.Activation, name, function)(x)


def _constant(value: np.ndarray) -> Any:
    return float(value.reshape(-1)[0]) if value.size == 1 else value.astype(np.float32).reshape(-1)


# ---- activations ----------------------------------------------------------------------------------------------------


def _swish(work: _Lowering, name: str, x: Any) -> Any:
    return work.new(layers.Multiply, name)([x, work.new(layers.Activation, f"{name}_sigmoid", "sigmoid")(x)])


def _hard_sigmoid(work: _Lowering, name: str, x: Any) -> Any:
    shifted = work.new(layers.Rescaling, f"{name}_shift", 1.0, 3.0)(x)
    return work.affine(work.new(layers.ReLU, f"{name}_relu6", 6.0)(shifted), 1 / 6, 0.0, name)


ACTIVATIONS: dict[Any, Callable[[_Lowering, str, Any], Any]] = {
    activations.linear: lambda work, name, x: x,
    activations.relu: lambda work, name, x: work.new(layers.ReLU, name)(x),
    activations.relu6: lambda work, name, x: work.new(layers.ReLU, name, 6.0)(x),
    activations.silu: _swish,
    activations.hard_sigmoid: _hard_sigmoid,
}


# ---- layers ---------------------------------------------------------------------------------------------------------


def _same(work: _Lowering, layer: Any, *args: Any, **kwargs: Any) -> Any:
    return work.copy(layer, call=lambda new: new(*args, **kwargs))


def _with_activation(work: _Lowering, layer: Any, x: Any, **_: Any) -> Any:
    y = work.copy(layer, call=lambda new: new(x), activation="linear")
    return y if layer.activation is activations.linear else work.activation(
        layer.activation, f"{layer.name}_{_said(layer.activation)}", y
    )  # fmt: skip


def _said(function: Any) -> str:
    return str(getattr(function, "__name__", type(function).__name__))


def _activation(work: _Lowering, layer: Any, x: Any, **_: Any) -> Any:
    return work.activation(layer.activation, layer.name, x)


def _separable(work: _Lowering, layer: Any, x: Any, **_: Any) -> Any:
    """Depthwise with the layer's geometry, then 1x1 with its bias and activation."""
    x = work.part(
        layer, "depthwise", layers.DepthwiseConv2D, [layer.depthwise_kernel.numpy()], x,
        kernel_size=layer.kernel_size, strides=layer.strides, padding=layer.padding,
        depth_multiplier=layer.depth_multiplier, dilation_rate=layer.dilation_rate, use_bias=False,
    )  # fmt: skip
    weights = [layer.pointwise_kernel.numpy(), *([layer.bias.numpy()] if layer.use_bias else [])]
    x = work.part(
        layer, "pointwise", layers.Conv2D, weights, x, filters=layer.filters, kernel_size=1, use_bias=layer.use_bias
    )
    return work.activation(layer.activation, f"{layer.name}_{_said(layer.activation)}", x)


def _rescaling(work: _Lowering, layer: Any, x: Any, **_: Any) -> Any:
    return work.affine(x, layer.scale, layer.offset, layer.name)


def _normalization(work: _Lowering, layer: Any, x: Any, **_: Any) -> Any:
    """(x - mean) / sqrt(variance), a channel or all alike, as Keras computes it: the deviation is at least epsilon."""
    mean, variance = (
        np.asarray(keras.ops.convert_to_numpy(value), np.float64) for value in (layer.mean, layer.variance)
    )
    if layer.invert or mean.size not in (1, x.shape[-1]):
        return None
    deviation = np.maximum(np.sqrt(variance), keras.backend.epsilon())
    return work.affine(x, 1 / deviation.reshape(-1), (-mean / deviation).reshape(-1), layer.name)


def _average(work: _Lowering, layer: Any, tensors: Any, **_: Any) -> Any:
    return work.affine(work.new(layers.Add, f"{layer.name}_sum")(tensors), 1 / len(tensors), 0.0, layer.name)


def _reshape(work: _Lowering, layer: Any, x: Any, **_: Any) -> Any:
    """Behind a global pooling, back to a map of 1x1: the pooling then keeps it."""
    made = _as_map(work, layer.name, x, tuple(layer.target_shape))
    return _same(work, layer, x) if made is None else made


def _as_map(work: _Lowering, name: str, x: Any, target: tuple[int, ...]) -> Any:
    pool = x._keras_history.operation
    pools = (layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D)
    if not isinstance(pool, pools) or pool.keepdims or target not in ((1, 1, x.shape[-1]), (1, 1, -1)):
        return None
    return work.new(type(pool), name, keepdims=True)(pool._inbound_nodes[x._keras_history.node_index].input_tensors[0])


# ---- operators ------------------------------------------------------------------------------------------------------


def _operator(function: Any) -> Callable[..., Any]:
    return lambda work, layer, x, **_: work.activation(function, layer.name, x)


def _both(kind: Any, left: Callable[[Any], tuple[Any, Any]], right: Callable[[Any], tuple[Any, Any]]) -> Any:
    """Of two tensors a layer of `kind`; with a constant c on one side the scale and the offset that it means."""

    def rule(work: _Lowering, layer: Any, x1: Any, x2: Any) -> Any:
        if _is_tensor(x1) and _is_tensor(x2):
            return None if kind is None else work.new(kind, layer.name)([x1, x2])
        x, constant, meaning = (x1, x2, right) if _is_tensor(x1) else (x2, x1, left)
        value = np.asarray(keras.ops.convert_to_numpy(constant), np.float64)
        if meaning is None or value.size not in (1, x.shape[-1]) or (value.size > 1 and value.shape[-1] != value.size):
            return None
        return work.affine(x, *meaning(value), layer.name)

    return rule


def _is_tensor(value: Any) -> bool:
    return isinstance(value, keras.KerasTensor)


def _mean(work: _Lowering, layer: Any, x: Any) -> Any:
    return _over_map(work, layer, x, layers.GlobalAveragePooling2D)


def _max(work: _Lowering, layer: Any, x: Any) -> Any:
    return _over_map(work, layer, x, layers.GlobalMaxPooling2D)


def _over_map(work: _Lowering, layer: Any, x: Any, kind: Any) -> Any:
    axes = (
        tuple(sorted(axis % len(x.shape) for axis in keras.tree.flatten(layer.axis))) if layer.axis is not None else ()
    )
    return work.new(kind, layer.name, keepdims=layer.keepdims)(x) if axes == (1, 2) and len(x.shape) == 4 else None


def _reshaped(work: _Lowering, layer: Any, x: Any) -> Any:
    batch, *rest = layer.newshape
    if batch not in (-1, None, x.shape[0]) or (batch == -1 and -1 in rest):
        return None
    made = _as_map(work, layer.name, x, tuple(rest))
    return work.new(layers.Reshape, layer.name, tuple(rest))(x) if made is None else made


def _concatenated(work: _Lowering, layer: Any, xs: Any) -> Any:
    return work.new(layers.Concatenate, layer.name, axis=layer.axis)(list(xs))


def _clipped(work: _Lowering, layer: Any, x: Any, x_min: Any = None, x_max: Any = None) -> Any:
    low, high = (getattr(layer, "x_min", x_min), getattr(layer, "x_max", x_max))
    return work.new(layers.ReLU, layer.name, None if high is None else float(high))(x) if low == 0 else None


def _padded(work: _Lowering, layer: Any, x: Any, constant_values: Any = None) -> Any:
    widths = np.broadcast_to(np.asarray(layer.pad_width), (len(x.shape), 2)).tolist()
    plain = layer.mode == "constant" and constant_values in (None, 0)
    if len(x.shape) != 4 or not plain or widths[0] != [0, 0] or widths[3] != [0, 0]:
        return None
    return work.new(layers.ZeroPadding2D, layer.name, (tuple(widths[1]), tuple(widths[2])))(x)


def _operators() -> dict[Any, Callable[..., Any]]:
    """Keras's classes of operators have no public names: they are found as those of the graphs they make."""
    from keras.src.ops import nn, numpy

    same, halved = (lambda c: (1.0, c)), (lambda c: (1 / c, 0.0))
    return {
        numpy.Add: _both(layers.Add, same, same),
        numpy.Subtract: _both(layers.Subtract, lambda c: (-1.0, c), lambda c: (1.0, -c)),
        numpy.Multiply: _both(layers.Multiply, lambda c: (c, 0.0), lambda c: (c, 0.0)),
        numpy.Divide: _both(None, None, halved),  # type: ignore[arg-type]
        numpy.TrueDivide: _both(None, None, halved),  # type: ignore[arg-type]
        numpy.Negative: lambda work, layer, x: work.affine(x, -1.0, 0.0, layer.name),
        numpy.Mean: _mean,
        numpy.Max: _max,
        numpy.Reshape: _reshaped,
        numpy.Concatenate: _concatenated,
        numpy.Clip: _clipped,
        numpy.Pad: _padded,
        numpy.Tanh: _operator(activations.tanh),
        nn.Relu: _operator(activations.relu),
        nn.Relu6: _operator(activations.relu6),
        nn.Sigmoid: _operator(activations.sigmoid),
        nn.Silu: _operator(activations.silu),
        nn.HardSilu: _operator(activations.hard_silu),
        nn.HardSigmoid: _operator(activations.hard_sigmoid),
    }


PLAIN = (
    layers.BatchNormalization, layers.ReLU, layers.LeakyReLU, layers.PReLU, layers.Softmax, layers.Add,
    layers.Multiply, layers.Subtract, layers.Maximum, layers.Minimum, layers.Concatenate, layers.MaxPooling2D,
    layers.AveragePooling2D, layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D, layers.Flatten, layers.Permute,
    layers.ZeroPadding2D, layers.Cropping2D, layers.UpSampling2D, layers.Dropout, layers.SpatialDropout2D,
    layers.GaussianDropout, layers.GaussianNoise, layers.AlphaDropout, layers.ActivityRegularization,
)  # fmt: skip
RULES: dict[Any, Callable[..., Any]] = {
    **dict.fromkeys(PLAIN, _same),
    **dict.fromkeys((layers.Conv2D, layers.DepthwiseConv2D, layers.Dense, layers.Conv2DTranspose), _with_activation),
    layers.Activation: _activation,
    layers.SeparableConv2D: _separable,
    layers.Rescaling: _rescaling,
    layers.Normalization: _normalization,
    layers.Average: _average,
    layers.Reshape: _reshape,
    **_operators(),
}
