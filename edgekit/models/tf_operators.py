"""The TensorFlow operators that Keras 2 keeps between layers (TFOpLambda, SlicingOpLambda), as keras.ops.

Keras 2 writes `x / 127.5` as the call of "math.truediv" with the keyword y; the names are those of TensorFlow's API.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras import ops


def _slice(x: Any, slice_spec: Any) -> Any:
    return x[tuple(_index(part) for part in (slice_spec if isinstance(slice_spec, list) else [slice_spec]))]


def _index(part: Any) -> Any:
    if isinstance(part, dict):
        if part.get("class_name") == "__ellipsis__":
            return Ellipsis
        return slice(part.get("start"), part.get("stop"), part.get("step"))
    return part


def _mean(input_tensor: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return ops.mean(input_tensor, axis=axis, keepdims=bool(keepdims))


# TensorFlow's name -> the same with TensorFlow's parameter names, which Keras 2 wrote down.
OPERATORS: dict[str, Callable[..., Any]] = {
    "__operators__.getitem": _slice,
    "__operators__.add": lambda x, y: ops.add(x, y),
    "math.add": lambda x, y: ops.add(x, y),
    "math.subtract": lambda x, y: ops.subtract(x, y),
    "math.multiply": lambda x, y: ops.multiply(x, y),
    "math.truediv": lambda x, y: ops.true_divide(x, y),
    "math.divide": lambda x, y: ops.true_divide(x, y),
    "math.negative": lambda x: ops.negative(x),
    "math.maximum": lambda x, y: ops.maximum(x, y),
    "math.minimum": lambda x, y: ops.minimum(x, y),
    "math.square": lambda x: ops.square(x),
    "math.sqrt": lambda x: ops.sqrt(x),
    "math.exp": lambda x: ops.exp(x),
    "math.sigmoid": lambda x: ops.sigmoid(x),
    "math.tanh": lambda x: ops.tanh(x),
    "math.reduce_mean": _mean,
    "math.reduce_sum": lambda input_tensor, axis=None, keepdims=False: ops.sum(input_tensor, axis, bool(keepdims)),
    "math.reduce_max": lambda input_tensor, axis=None, keepdims=False: ops.max(input_tensor, axis, bool(keepdims)),
    "nn.relu": lambda features: ops.relu(features),
    "nn.relu6": lambda features: ops.relu6(features),
    "nn.silu": lambda features: ops.silu(features),
    "nn.sigmoid": lambda x: ops.sigmoid(x),
    "nn.softmax": lambda logits, axis=-1: ops.softmax(logits, -1 if axis is None else axis),
    "nn.bias_add": lambda value, bias: ops.add(value, bias),
    "clip_by_value": lambda t, clip_value_min, clip_value_max: ops.clip(t, clip_value_min, clip_value_max),
    "cast": lambda x, dtype: ops.cast(x, dtype),
    "identity": lambda input: input,
    "reshape": lambda tensor, shape: ops.reshape(tensor, shape),
    "expand_dims": lambda input, axis: ops.expand_dims(input, axis),
    "squeeze": lambda input, axis=None: ops.squeeze(input, axis),
    "compat.v1.squeeze": lambda input, axis=None: ops.squeeze(input, axis),
    "transpose": lambda a, perm=None: ops.transpose(a, perm),
    "compat.v1.transpose": lambda a, perm=None: ops.transpose(a, perm),
    "concat": lambda values, axis: ops.concatenate(values, axis),
    "stack": lambda values, axis=0: ops.stack(values, axis),
    "pad": lambda tensor, paddings: ops.pad(tensor, paddings),
}
