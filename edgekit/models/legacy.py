"""Models of Keras 2, built with Keras 3 from the configuration that Keras 2 wrote.

Keras 3 reads most of it; what it does not read is translated here: keys that its layers no longer have, operators of
TensorFlow between layers, nested models, whose calls Keras 2 counted from 1, and Sequential models without a shape.
A key whose value changes nothing is dropped; one that matters is refused, never ignored.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import keras

from edgekit.errors import BadInput
from edgekit.models.tf_operators import OPERATORS

NESTED = ("Functional", "Model", "Sequential")
OPERATOR_KINDS = ("TFOpLambda", "SlicingOpLambda")
CONSTANT = "_CONSTANT_VALUE"

# What every Keras 3 layer takes beside its own parameters.
COMMON = frozenset({"name", "trainable", "dtype", "activity_regularizer"})
# Keys that Keras 3 lacks, and the value with which they change nothing. None and False never do.
HARMLESS: dict[str, tuple[Any, ...]] = {"groups": (1,), "implementation": (1, 2), "trainable": (True,)}
# The depthwise kinds have kernel_* from the class above them and never used it: they have depthwise_*.
UNUSED: dict[str, tuple[str, ...]] = {
    "DepthwiseConv2D": ("kernel_initializer", "kernel_regularizer", "kernel_constraint", "filters"),
    "SeparableConv2D": ("kernel_initializer", "kernel_regularizer", "kernel_constraint"),
}
RENAMED: dict[tuple[str, str], str] = {("LeakyReLU", "alpha"): "negative_slope"}


def build(tree: dict[str, Any], custom: Mapping[str, Any]) -> Any:
    """The model of a Keras 2 configuration {class_name, config}, with its initial weights.

    Raises BadInput naming a layer that cannot be translated; whatever Keras raises for a broken one.
    """
    kind, config = tree["class_name"], tree["config"]
    if kind == "Sequential":
        return _sequential(config, custom)
    if kind not in NESTED and kind in custom:
        return custom[kind].from_config(config)
    return _Graph(config, custom).model()


def _sequential(config: Any, custom: Mapping[str, Any]) -> Any:
    """A list of layers, whose first one may carry the shape that Keras 3 wants an InputLayer for."""
    entries = config["layers"] if isinstance(config, dict) else config  # Keras before 2.2 wrote the list alone
    model = keras.Sequential(name=config.get("name") if isinstance(config, dict) else None)
    shape = config.get("build_input_shape") if isinstance(config, dict) else None
    for index, entry in enumerate(entries):
        first = entry["config"].get("batch_input_shape") if isinstance(entry["config"], dict) else None
        if index == 0 and entry["class_name"] != "InputLayer" and (first or shape):
            model.add(keras.layers.InputLayer(batch_shape=first or shape))
        model.add(_made(entry, custom))
    return model


def _made(entry: dict[str, Any], custom: Mapping[str, Any]) -> Any:
    """The layer or nested model of an entry."""
    if entry["class_name"] in NESTED:
        made = build(entry, custom)
        trainable = entry["config"].get("trainable", True) if isinstance(entry["config"], dict) else True
        if not trainable:
            made.trainable = False
        return made
    return layer(entry, custom)


def layer(entry: dict[str, Any], custom: Mapping[str, Any]) -> Any:
    """The Keras 3 layer of a Keras 2 entry {class_name, config}. Raises BadInput for what would be lost."""
    kind, config = entry["class_name"], dict(entry["config"])
    own = custom.get(entry.get("registered_name") or kind, custom.get(kind, custom.get(kind.rpartition(">")[2])))
    if own is not None:
        return own.from_config(config)
    cls = getattr(keras.layers, kind)
    if kind == "InputLayer":
        config.setdefault("batch_shape", config.pop("batch_input_shape", None))
    config.pop("batch_input_shape", None)
    config = {key: _value(key, value) for key, value in config.items()}
    if kind == "BatchNormalization" and isinstance(config.get("axis"), list):
        (config["axis"],) = config["axis"]
    wrapped = config.get("layer")
    if isinstance(wrapped, dict):  # TimeDistributed and its like
        config["layer"] = _made(wrapped, custom)
        return cls(**config)
    return cls.from_config(_kept(cls, kind, config))


def _kept(cls: Any, kind: str, config: dict[str, Any]) -> dict[str, Any]:
    """The configuration without what Keras 3 has no parameter for. Raises BadInput where that would matter."""
    parameters = inspect.signature(cls.__init__).parameters
    open_ended = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    known = set(parameters) | (COMMON if open_ended else set())
    kept = {}
    for key, value in config.items():
        if key in known:
            kept[key] = value
            continue
        harmless = value is None or value is False or value in HARMLESS.get(key, ()) or key in UNUSED.get(kind, ())
        if (kind, key) in RENAMED:
            kept[RENAMED[kind, key]] = value
        elif not harmless:
            raise BadInput(
                f"The {kind} layer {config.get('name')} has {key}={value!r}, which Keras 3 cannot do.",
                "Rebuild the model without it, with Keras 3.",
            )
    return kept


def _value(key: str, value: Any) -> Any:
    """Policies by their name; objects by class and configuration alone, as Keras 3 looks them up by name."""
    if not isinstance(value, dict) or "class_name" not in value:
        return value
    if key == "dtype":
        return value["config"]["name"]
    if value["class_name"] in ("__ellipsis__", "__slice__") or key == "layer":
        return value
    return {"class_name": value["class_name"], "config": value["config"]}


class _Graph:
    """A functional configuration, whose layers are called once what they take is there."""

    def __init__(self, config: dict[str, Any], custom: Mapping[str, Any]) -> None:
        self._config = config
        self._layers: dict[str, Any] = {
            entry["name"]: None if entry["class_name"] in OPERATOR_KINDS else _made(entry, custom)
            for entry in config["layers"]
        }
        self._entries = {entry["name"]: entry for entry in config["layers"]}
        self._tensors: dict[tuple[str, int], list[Any]] = {}

    def model(self) -> Any:
        waiting = [
            (entry, number, node) for entry in self._config["layers"] for number, node in enumerate(_nodes(entry))
        ]
        for name, made in self._layers.items():
            if isinstance(made, keras.layers.InputLayer):
                self._tensors[name, 0] = [made.output]
        while waiting:
            ready = [item for item in waiting if all(self._there(place) for place in _places(item[2]))]
            if not ready:
                raise ValueError(f"the inputs of {waiting[0][0]['name']} come from nowhere")
            for entry, number, node in ready:
                self._call(entry, number, node)
            waiting = [item for item in waiting if not any(item is done for done in ready)]
        inputs, outputs = (self._ends(self._config[key]) for key in ("input_layers", "output_layers"))
        return keras.Model(inputs, outputs, name=self._config.get("name"))

    def _call(self, entry: dict[str, Any], number: int, node: Any) -> None:
        """Calls the layer on the tensors of a node; a nested model's first call is its number 1."""
        name = entry["name"]
        if entry["class_name"] in OPERATOR_KINDS:
            outputs = self._operate(entry, node)
        else:
            tensors, keywords = self._arguments(node)
            outputs = self._layers[name](tensors[0] if len(tensors) == 1 else tensors, **keywords)
        offset = 1 if entry["class_name"] in NESTED else 0
        self._tensors[name, number + offset] = list(outputs) if isinstance(outputs, list | tuple) else [outputs]

    def _operate(self, entry: dict[str, Any], node: Any) -> Any:
        """An operator's call. Raises BadInput for one that OPERATORS lacks, or with parameters it lacks."""
        name = entry["config"]["function"]
        tensors, keywords = self._arguments(node)
        keywords.pop("name", None)
        first = tensors if isinstance(node[0], list) else tensors[0]
        try:
            return OPERATORS[name](first, **keywords)
        except (KeyError, TypeError):
            raise BadInput(
                f"The layer {entry['name']} is TensorFlow's operator tf.{name}, which has no translation to Keras 3.",
                "Rebuild the model with Keras 3, or save it as a SavedModel, which is exported without retraining.",
            ) from None

    def _arguments(self, node: Any) -> tuple[list[Any], dict[str, Any]]:
        """A node's tensors and keyword arguments, in which tensors may stand as well."""
        parts = node if isinstance(node[0], list) else [node]
        tensors = [part[2] if part[0] == CONSTANT else self._tensor(part) for part in parts]
        keywords = dict(parts[0][3]) if len(parts[0]) > 3 else {}
        return tensors, {
            key: self._tensor(value) if _is_place(value, self._layers) else value for key, value in keywords.items()
        }

    def _tensor(self, place: Any) -> Any:
        name, number, output = place[:3]
        return self._tensors[name, number][output]

    def _there(self, place: Any) -> bool:
        return place[0] not in self._layers or (place[0], place[1]) in self._tensors

    def _ends(self, places: Any) -> Any:
        if _is_place(places, self._layers):
            return self._tensor(places)
        if isinstance(places, dict):
            return {key: self._ends(place) for key, place in places.items()}
        found = [self._tensor(place) for place in places]
        return found[0] if len(found) == 1 else found


def _nodes(entry: dict[str, Any]) -> list[Any]:
    return [node for node in entry.get("inbound_nodes", ()) if node]


def _places(node: Any) -> list[Any]:
    """What a node takes: [layer, call, output], among its tensors and its keyword arguments."""
    parts = node if isinstance(node[0], list) else [node]
    keywords = list(parts[0][3].values()) if len(parts[0]) > 3 else []
    return [*(part for part in parts if part[0] != CONSTANT), *(value for value in keywords if _is_place(value, None))]


def _is_place(value: Any, layers: Mapping[str, Any] | None) -> bool:
    shaped = isinstance(value, list) and len(value) == 3 and isinstance(value[0], str) and isinstance(value[1], int)
    return shaped and (layers is None or value[0] in layers)
