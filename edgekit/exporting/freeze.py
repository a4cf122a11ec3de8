"""Freezing: a Keras model becomes one TensorFlow function of batch 1 whose weights are constants.

Converting such a function takes a fraction of the time that converting the Keras model does (benchmarks/conversion.py):
the converter then needs no SavedModel. It also makes the ranges of fake-quantization constants, which it insists on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edgekit.artifact import Normalization
from edgekit.errors import BadInput, UsageError


@dataclass(frozen=True)
class Frozen:
    """`function`: float32 [1, H, W, C] -> float32 [1, classes]; `graph`: its GraphDef with the weights as constants.

    The names become the serving signature's.
    """

    function: Any
    graph: Any
    input_name: str
    output_name: str


def freeze(model: Any, *, normalization: Normalization | None = None, softmax: bool = True) -> Frozen:
    """Freezes a functional Keras 3 model with one input and one output.

    With `normalization` the frozen function takes raw pixels, 0..255. With `softmax` its outputs are probabilities.
    Raises UsageError off the TensorFlow backend, BadInput for a model without a fixed input size.
    """
    import keras

    if keras.backend.backend() != "tensorflow":
        raise UsageError(
            f"Exporting needs the TensorFlow backend; Keras runs on {keras.backend.backend()}.",
            "Save the weights, set KERAS_BACKEND=tensorflow, load them and export.",
        )
    import tensorflow as tf
    from tensorflow.python.framework import convert_to_constants

    shape = tuple(model.input_shape[1:])
    if None in shape:
        raise BadInput(f"The model's input size {shape} is not fixed.", "Build it with a fixed height and width.")
    input_name, output_name = model.inputs[0].name, model.output_names[0]

    def serve(image: Any) -> Any:
        real = image if normalization is None else (image - normalization.mean) / normalization.std
        outputs = model(real, training=False)
        return tf.nn.softmax(outputs) if softmax else outputs

    signature = [tf.TensorSpec((1, *shape), tf.float32, name=input_name)]
    traced = tf.function(serve, input_signature=signature, autograph=False).get_concrete_function()
    # convert_variables_to_constants_v2 without its last step, which wraps the graph in a function nobody calls: for a
    # network of 100 MB that step takes most of the time.
    data = convert_to_constants._FunctionConverterDataInEager(
        traced, lower_control_flow=False, aggressive_inlining=False
    )
    graph, _ = convert_to_constants._replace_variables_by_constants(converter_data=data)
    return Frozen(traced, graph, input_name, output_name)


def ends_in_softmax(model: Any) -> bool:
    """Whether the model's last layer already yields probabilities."""
    last = model.layers[-1]
    activation = getattr(last, "activation", None)
    return type(last).__name__ == "Softmax" or getattr(activation, "__name__", "") == "softmax"
