"""The configuration in a Keras file: read, and refused where it names more than Keras's own layers.

Keras deserializes by importing what a configuration names. Here every name is looked at first: a model is made of
Keras's own classes and of those that the user trusts (`--custom`), so nothing that a file names is imported or run.
"""

from __future__ import annotations

import json
import sys
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit.errors import BadInput
from edgekit.models.backend import import_keras
from edgekit.models.hdf5 import open_hdf5, text

MAX_CONFIG = 64 << 20  # bytes; the largest of keras.applications has half a megabyte
REMEDY = "Give the Python file that defines them: --custom FILE.py."

# Where Keras's own classes and functions are found by name.
PUBLIC = ("layers", "models", "initializers", "regularizers", "constraints", "activations", "dtype_policies", "ops")
# Where the operators between layers are, such as x + y, in Keras 3's files.
OPERATIONS = tuple(f"keras.src.ops.{part}" for part in ("numpy", "nn", "core", "math", "image", "linalg", "einops"))
MODELS = ("Functional", "Model", "Sequential")
PLAIN = ("__keras_tensor__", "__numpy__", "__tensor__", "__bytes__", "__ellipsis__", "__slice__")
KERAS_2_OPERATORS = ("TFOpLambda", "SlicingOpLambda")
FOREIGN = ("TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer", "TensorFlowOpLayer")  # code of other frameworks


@dataclass(frozen=True)
class Config:
    """`tree` is the model's JSON, `keras2` whether Keras 2 wrote it, `hdf5` the container, `size` the file's bytes."""

    path: Path
    tree: dict[str, Any]
    keras2: bool
    hdf5: bool
    size: int


def read_zip(path: Path) -> Config:
    """Of a .keras file. Raises BadInput when it is damaged."""
    try:
        with zipfile.ZipFile(path) as archive:
            tree = json.loads(_member(archive, "config.json"))
            about = json.loads(_member(archive, "metadata.json")) if "metadata.json" in archive.namelist() else {}
    except (zipfile.BadZipFile, ValueError, KeyError, RuntimeError, OSError, EOFError) as error:
        raise _damaged(path, error) from None
    version = str(about.get("keras_version", "3")) if isinstance(about, dict) else "3"
    return Config(path, _tree(path, tree), version.startswith("2"), False, path.stat().st_size)


def read_hdf5(path: Path) -> Config:
    """Of an .h5 file. Raises BadInput when it is damaged or holds weights alone."""
    with open_hdf5(path, str(path)) as file:
        found = file.attrs.get("model_config")
        version = text(file.attrs.get("keras_version", "2"))
    if found is None:
        raise weights_alone(path)
    try:
        tree = json.loads(text(found))
    except (ValueError, RecursionError) as error:
        raise _damaged(path, error) from None
    return Config(path, _tree(path, tree), not version.startswith("3"), True, path.stat().st_size)


def weights_alone(path: Path) -> BadInput:
    """The error for a file of weights where a model is wanted."""
    return BadInput(f"{path} holds weights without a model.", "Name the model as well: --model NAME --weights FILE.")


def check(config: Config, custom: Mapping[str, Any]) -> None:
    """Raises BadInput naming the layers whose code is in the file or nowhere, and those with channels first."""
    keras = import_keras("Loading a model")
    lambdas, unknown, channels_first = [], [], []
    for layer, entry in _entries(config.tree, "the model"):
        kind, inner = entry["class_name"], entry["config"]
        if kind == "__lambda__" or kind in FOREIGN or (kind == "Lambda" and not _named_function(inner, custom)):
            lambdas.append(layer)
        elif not _known(entry, custom, keras):
            unknown.append(f"{layer} ({_name_of(entry)})")
        if isinstance(inner, dict) and inner.get("data_format") == "channels_first":
            channels_first.append(layer)
    _refuse(config.path, lambdas, unknown, channels_first)


def _refuse(path: Path, lambdas: list[str], unknown: list[str], channels_first: list[str]) -> None:
    if lambdas:
        raise BadInput(
            f"{path} carries code of its own, which is never run: {_list(lambdas)}.",
            "Write it as a keras.layers.Layer in a Python file, save the model with that, and give --custom FILE.py.",
        )
    if unknown:
        raise BadInput(f"{path} has layers that are not Keras's own: {_list(unknown)}.", REMEDY)
    if channels_first:
        raise BadInput(
            f"{path} has layers with channels first, which .tflite does not know: {_list(channels_first)}.",
            "Build the model with data_format='channels_last', transpose its input, and load its weights there.",
        )


def _entries(value: Any, layer: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object in the tree, with the name of the innermost layer around it."""
    if isinstance(value, list):
        for item in value:
            yield from _entries(item, layer)
    elif isinstance(value, dict):
        if isinstance(value.get("class_name"), str) and "config" in value:
            inner = value["config"]
            name = value.get("name") or (inner.get("name") if isinstance(inner, dict) else None)
            layer = name if isinstance(name, str) and not value["class_name"].startswith("__") else layer
            yield layer, value
        for item in value.values():
            yield from _entries(item, layer)


def _known(entry: dict[str, Any], custom: Mapping[str, Any], keras: Any) -> bool:
    """Whether the entry is Keras's own, or the user's."""
    kind, module = entry["class_name"], entry.get("module")
    if _name_of(entry) in custom or kind in custom or kind in PLAIN:
        return True
    name = entry["config"] if kind == "function" else kind
    if not isinstance(name, str) or not isinstance(module, str | None):
        return False
    if name in custom:
        return True
    if kind in (*MODELS, *KERAS_2_OPERATORS):
        return True
    if operation_module(name, module):
        return True
    if module is not None and module.split(".")[0] not in ("keras", "tf_keras", "builtins"):
        return False
    if kind in ("Policy", "DTypePolicy", "DTypePolicyMap"):
        return True
    return any(hasattr(getattr(keras, place), name) for place in PUBLIC)


def operation_module(name: str, module: str | None = None) -> str | None:
    """The module of the operator class `name`, in `module` or wherever Keras has it; None if it is none."""
    import keras

    for place in OPERATIONS if module is None else {module} & set(OPERATIONS):
        found = vars(sys.modules[place]).get(name) if place in sys.modules else None
        if isinstance(found, type) and issubclass(found, keras.Operation):
            return place
    return None


def _named_function(config: Any, custom: Mapping[str, Any]) -> bool:
    """Whether a Lambda layer calls a function of the user's file by its name."""
    function = config.get("function") if isinstance(config, dict) else None
    name = (
        function.get("config") if isinstance(function, dict) and function.get("class_name") == "function" else function
    )
    return isinstance(name, str) and name in custom


def _name_of(entry: dict[str, Any]) -> str:
    """The name under which the user may have registered the class."""
    registered = entry.get("registered_name")
    return registered if isinstance(registered, str) else str(entry["class_name"])


def _list(names: list[str]) -> str:
    unique = list(dict.fromkeys(names))
    return ", ".join(unique[:8]) + (f" and {len(unique) - 8} more" if len(unique) > 8 else "")


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    if archive.getinfo(name).file_size > MAX_CONFIG:
        raise ValueError(f"{name} is absurdly large")
    return archive.read(name)


def _tree(path: Path, tree: Any) -> dict[str, Any]:
    if not isinstance(tree, dict) or not isinstance(tree.get("class_name"), str) or not tree.get("config"):
        raise BadInput(f"{path} describes no Keras model.", "Save it with model.save(FILE).")
    found: dict[str, Any] = _without_training(tree)
    return found


def _without_training(value: Any) -> Any:
    """The tree without optimizers, losses and metrics: a model is loaded to be used or trained anew."""
    if isinstance(value, dict):
        return {key: _without_training(item) for key, item in value.items() if key != "compile_config"}
    return [_without_training(item) for item in value] if isinstance(value, list) else value


def _damaged(path: Path, error: Exception) -> BadInput:
    reason = str(error).strip("'\"").splitlines()[0] if str(error) else type(error).__name__
    return BadInput(f"{path} is not a whole Keras model: {reason}.", "Copy or save it again.")
