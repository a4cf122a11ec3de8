"""Freezing: a model becomes one TensorFlow function of batch 1 whose weights are constants.

Converting such a function takes a fraction of the time that converting the Keras model does (benchmarks/conversion.py):
the converter then needs no SavedModel. It also makes the ranges of fake-quantization constants, which it insists on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from edgekit.artifact import Normalization
from edgekit.errors import BadInput, UsageError
from edgekit.models.fake_quant import Tap, recording
from edgekit.models.saved_model import Spec


@dataclass(frozen=True)
class Served:
    """A model as a function: `call(*tensors)` takes a tensor [n, ...] an input and gives a list, a tensor an output."""

    call: Callable[..., list[Any]]
    inputs: tuple[Spec, ...]
    output_names: tuple[str, ...]


@dataclass(frozen=True)
class Frozen:
    """`function`: [1, ...] an input -> [1, ...] an output; `graph`: its GraphDef with the weights as constants.

    The names become the serving signature's. `taps` are of a fake-quantized model: the `tensor` of each is its place
    among the function's outputs, where they come behind the model's own, or a negative one among its inputs.
    """

    function: Any
    graph: Any
    input_names: tuple[str, ...]
    output_names: tuple[str, ...]
    taps: tuple[Tap, ...] = ()


def served(model: Any) -> Served:
    """A functional or sequential Keras 3 model, or a `models.load.SavedModel`, with all its inputs and outputs.

    Raises UsageError off the TensorFlow backend, BadInput for an input without a fixed size, or of a size that is not
    known yet.
    """
    import keras

    if not isinstance(model, keras.Model):
        inputs = tuple(Spec(spec.name, _fixed(spec.name, spec.shape), spec.dtype) for spec in model.inputs)
        return Served(lambda *tensors: list(model.function(*tensors)), inputs, tuple(s.name for s in model.outputs))
    if keras.backend.backend() != "tensorflow":
        raise UsageError(
            f"Exporting needs the TensorFlow backend; Keras runs on {keras.backend.backend()}.",
            "Save the weights, set KERAS_BACKEND=tensorflow, load them and export.",
        )
    graph = model._functional if isinstance(model, keras.Sequential) else model
    if not getattr(graph, "inputs", None):
        raise BadInput(
            f"{model.name} does not know what it is given: it is no graph of layers, or was never built.",
            "Give a functional model, or a sequential one that begins with keras.Input.",
        )
    structure = getattr(model, "_inputs_struct", None)  # a functional model's may be a dict, a list or one tensor

    def call(*tensors: Any) -> list[Any]:
        given = tensors[0] if structure is None else keras.tree.pack_sequence_as(structure, list(tensors))
        return list(keras.tree.flatten(model(given, training=False)))

    inputs = tuple(Spec(t.name, _fixed(t.name, t.shape[1:]), keras.backend.standardize_dtype(t.dtype))
                   for t in model.inputs)  # fmt: skip
    return Served(call, inputs, tuple(graph.output_names))


def freeze(
    model: Any, *, normalization: Normalization | None = None, softmax: bool = True, temperature: float = 1.0
) -> Frozen:
    """Freezes what `served` takes.

    With `normalization` the frozen function takes raw pixels, 0..255: for a model whose one input is an image. With
    `softmax` its (one) output is probabilities, of the logits divided by `temperature`; the converter multiplies the
    weights in front of them instead, where it can. Raises as `served` does.
    """
    import tensorflow as tf
    from tensorflow.python.framework import convert_to_constants

    whole = served(model)
    taps: list[Tap] = []

    def serve(*inputs: Any) -> list[Any]:
        real = inputs if normalization is None else [(inputs[0] - normalization.mean) / normalization.std]
        with recording() as found:
            outputs = whole.call(*real)
        taps[:] = found
        cooled = outputs if temperature == 1.0 else [one / temperature for one in outputs]
        answers = [tf.nn.softmax(one) for one in cooled] if softmax else outputs
        return [*answers, *(tap.tensor for tap in _computed(found))]

    signature = [tf.TensorSpec((1, *one.shape), one.dtype, name=one.name) for one in whole.inputs]
    traced = tf.function(serve, input_signature=signature, autograph=False).get_concrete_function()
    # convert_variables_to_constants_v2 without its last step, which wraps the graph in a function nobody calls: for a
    # network of 100 MB that step takes most of the time.
    data = convert_to_constants._FunctionConverterDataInEager(
        traced, lower_control_flow=False, aggressive_inlining=False
    )
    graph, _ = convert_to_constants._replace_variables_by_constants(converter_data=data)
    names = tuple(one.name for one in whole.inputs)
    inputs = [one.name for one in traced.inputs[: len(names)]]  # behind them come the captured variables
    return Frozen(traced, graph, names, whole.output_names, _placed(taps, inputs, len(whole.output_names)))


def _computed(taps: Sequence[Tap]) -> list[Tap]:
    """Those of tensors that are not inputs of the function."""
    return [tap for tap in taps if tap.tensor.op.type != "Placeholder"]


def _placed(taps: Sequence[Tap], inputs: Sequence[str], behind: int) -> tuple[Tap, ...]:
    given = [
        replace(tap, tensor=inputs.index(tap.tensor.name) - len(inputs))
        for tap in taps
        if tap.tensor.op.type == "Placeholder"
    ]
    return (*given, *(replace(tap, tensor=behind + place) for place, tap in enumerate(_computed(taps))))


def _fixed(name: str, shape: Sequence[int | None]) -> tuple[int, ...]:
    if any(size is None for size in shape):
        raise BadInput(
            f"The size of the model's input {name!r}, {tuple(shape)}, is not fixed.",
            "Build it with a fixed height and width.",
        )
    return tuple(int(size) for size in shape if size is not None)
