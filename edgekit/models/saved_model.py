"""SavedModel folders: a Keras 3 model where Keras 2 wrote them, the serving signature otherwise.

Needs TensorFlow. A folder of Keras 2 keeps the configuration beside the graph; if that is made of Keras's own layers,
the model is built from it, as from an .h5 file, and can be trained, pruned and quantized. Of any other folder only the
graph is used, which holds no Python code.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.errors import BadInput, MissingExtra
from edgekit.models.model_config import Config, check

KERAS_METADATA = "keras_metadata.pb"
SIGNATURE = "serving_default"
MAX_INPUT = 1 << 28  # values an input
# Operators that reach out of the graph; a converter cannot take them either.
REACHING_OUT = ("ReadFile", "WriteFile", "PyFunc", "PyFuncStateless", "EagerPyFunc", "MatchingFiles", "PrintV2")


@dataclass(frozen=True)
class Spec:
    """An input or output: `shape` without the batch, `dtype` by numpy's name."""

    name: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class SavedModel:
    """A graph without layers. `function` takes a tensor an input, batch first, and gives a list, one an output.

    `reason` says why it is not a Keras model: what cannot be done with it (training, pruning) can say so.
    """

    path: Path
    function: Callable[..., list[Any]]
    inputs: tuple[Spec, ...]
    outputs: tuple[Spec, ...]
    reason: str = ""


def load_saved_model(path: Path) -> Any:
    """A Keras 3 model, or `SavedModel`. Raises BadInput for a damaged folder, a signature without fixed sizes, or
    operators that reach out of the graph; MissingExtra without TensorFlow."""
    try:
        import tensorflow as tf
    except ModuleNotFoundError:
        raise MissingExtra("Loading a SavedModel", "train") from None
    try:
        return _translated(path)
    except _NoKeras as no:
        reason = str(no)
    try:
        loaded = tf.saved_model.load(str(path))
        return _signature(path, loaded, reason)
    except (OSError, ValueError, KeyError, AttributeError, RuntimeError, tf.errors.OpError) as error:
        said = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
        raise BadInput(f"{path} is not a whole SavedModel: {said}.", "Copy or save it again.") from None


class _NoKeras(Exception):
    """Why a folder is not a Keras model, as a sentence."""


def _translated(path: Path) -> Any:
    """The Keras 3 model of a folder that Keras 2 wrote. Raises _NoKeras."""
    tree = _tree(path)
    try:
        check(Config(path, tree, keras2=True, hdf5=False, size=0), {})
    except BadInput as refused:
        raise _NoKeras(refused.fact) from None
    from edgekit.models import legacy

    try:
        theirs = _of_keras2(tree, path)
        ours = legacy.build(tree, {})
    except Exception as error:  # whatever either Keras raises; the graph remains
        raise _NoKeras(f"Keras cannot rebuild it: {str(error).splitlines()[0] if str(error) else error!r}") from None
    values = {place: layer.get_weights() for place, layer in _places(theirs)}
    for place, layer in _places(ours):
        if [np.shape(value) for value in values.get(place, ())] != [tuple(own.shape) for own in layer.weights]:
            raise _NoKeras(f"the weights of its layer {layer.name} are another's")
        layer.set_weights(values[place])
    return ours


def _of_keras2(tree: dict[str, Any], path: Path) -> Any:
    """Keras 2's model of the checked configuration, with the variables beside the graph, which is not loaded."""
    import tf_keras

    model = tf_keras.models.model_from_json(json.dumps(tree))
    status = model.load_weights(str(path / "variables" / "variables"))
    status.expect_partial().assert_existing_objects_matched()
    return model


def _places(model: Any, within: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Each layer with weights by its name and those of the models around it."""
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from _places(layer, (*within, layer.name))
        elif layer.weights:
            yield (*within, layer.name), layer


def _tree(path: Path) -> dict[str, Any]:
    """The model's configuration in keras_metadata.pb. Raises _NoKeras where there is none."""
    try:
        from tf_keras.protobuf import saved_metadata_pb2
    except ModuleNotFoundError:
        raise _NoKeras("the package tf_keras, which reads Keras 2's folders, is not installed") from None
    from google.protobuf.message import DecodeError

    if not (path / KERAS_METADATA).is_file():
        raise _NoKeras("it was not saved by Keras 2")
    metadata = saved_metadata_pb2.SavedMetadata()
    try:
        metadata.ParseFromString((path / KERAS_METADATA).read_bytes())
        root = next(node for node in metadata.nodes if node.node_path == "root")
        tree = _plain(json.loads(root.metadata))
        found = {"class_name": tree["class_name"], "config": tree["config"]}
    except (DecodeError, StopIteration, ValueError, KeyError, TypeError):
        raise _NoKeras("its Keras configuration is damaged") from None
    if not isinstance(found["config"], dict) or "layers" not in found["config"]:
        raise _NoKeras(f"it is a model of the class {found['class_name']}, not a graph of layers")
    return found


def _plain(value: Any) -> Any:
    """Tuples and shapes, which Keras 2 marks in SavedModels, as lists."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("class_name") in ("__tuple__", "TensorShape"):
        return _plain(value["items"])
    return {key: _plain(item) for key, item in value.items()}


def _signature(path: Path, loaded: Any, reason: str) -> SavedModel:
    signatures = loaded.signatures
    names = list(signatures)
    if SIGNATURE not in names and len(names) != 1:
        listed = ", ".join(names) or "none"
        raise BadInput(f"{path} has no signature {SIGNATURE}; it has {listed}.", "Save it with that signature.")
    signature = signatures[SIGNATURE if SIGNATURE in names else names[0]]
    _refuse_reaching_out(path, signature)
    inputs = tuple(_spec(path, name, spec) for name, spec in signature.structured_input_signature[1].items())
    outputs = tuple(_output(name, spec) for name, spec in signature.structured_outputs.items())

    def function(*tensors: Any) -> list[Any]:
        assert loaded is not None  # it owns the variables, which the signature holds weakly
        found = signature(**{spec.name: tensor for spec, tensor in zip(inputs, tensors, strict=True)})
        return [found[spec.name] for spec in outputs]

    return SavedModel(path, function, inputs, outputs, reason)


def _refuse_reaching_out(path: Path, signature: Any) -> None:
    graph = signature.graph.as_graph_def()
    kinds = {node.op for node in graph.node}
    kinds |= {node.op for function in graph.library.function for node in function.node_def}
    found = sorted(kinds & set(REACHING_OUT))
    if found:
        raise BadInput(
            f"{path} has operators that reach out of the graph: {', '.join(found)}.",
            "Save the model without them; a .tflite cannot have them.",
        )


def _spec(path: Path, name: str, spec: Any) -> Spec:
    shape = tuple(spec.shape.as_list()) if spec.shape.rank else ()
    if not shape or None in shape[1:]:
        raise BadInput(
            f"{path} has no fixed input size: its input {name} is {spec.shape}.",
            "Save it with a signature whose sizes are fixed but for the batch.",
        )
    if math.prod(shape[1:]) > MAX_INPUT:
        raise BadInput(f"{path} wants an input {name} of {spec.shape}, which nothing can hold.")
    return Spec(name, shape[1:], spec.dtype.name)


def _output(name: str, spec: Any) -> Spec:
    """An output's size is the graph's to tell; -1 where it does not."""
    shape = tuple(spec.shape.as_list())[1:] if spec.shape.rank else ()
    return Spec(name, tuple(-1 if side is None else int(side) for side in shape), spec.dtype.name)
