"""The user's own model: a Keras file or a SavedModel folder, as a functional Keras 3 model on the chosen backend.

Nothing in the file is run or imported (`model_config`, `legacy`), and no more memory is taken than the file accounts
for. Code comes from `--custom FILE.py` alone. That holds for Lambda layers too: one that calls a function of that
file by name is loaded, one whose code stands in the model file is refused, with `--custom` as well.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from edgekit.errors import BadInput, EdgekitError
from edgekit.models.backend import forget_deferred, import_keras
from edgekit.models.custom import load_custom
from edgekit.models.hdf5 import array, child, is_hdf5, open_hdf5, texts
from edgekit.models.model_config import MODELS, Config, check, operation_module, read_hdf5, read_zip, weights_alone
from edgekit.models.saved_model import MAX_INPUT, SavedModel, load_saved_model
from edgekit.models.weight_files import weighted
from edgekit.recipe_names import SAVED_MODEL, WEIGHT_SUFFIXES, is_path

__all__ = ["SavedModel", "is_path", "load_model"]

SMALL = 1 << 20  # weights; not worth a refusal
PER_BYTE = 64  # weights a byte of file; a float takes 4 bytes, and pruned ones compress well


def load_model(path: str | Path, custom: str | Path | None = None) -> Any:
    """The model of a .keras or .h5 file of Keras 2 or 3, or of a SavedModel folder, with its weights, not compiled.

    Functional, nested models kept as layers, on Keras 3's layers; a SavedModel that is no Keras model comes as
    `SavedModel`. `custom` is a Python file the user trusts. Raises BadInput, one sentence each: a file that is
    missing, damaged or no model; layers that are the file's own code, or not Keras's, or have channels first; an
    input whose size is not fixed.
    """
    path = Path(path)
    if path.is_dir():
        if not (path / SAVED_MODEL).is_file():
            raise BadInput(f"The folder {path} holds no SavedModel.", f"It would have a file {SAVED_MODEL}.")
        found = load_saved_model(path)
        return found if isinstance(found, SavedModel) else _checked(found, path)
    objects = load_custom(custom)
    try:
        config = _config(path)
        check(config, objects)
        model = _built(config, objects)
        _load_weights(model, config)
    except EdgekitError:
        raise
    except Exception as error:  # a foreign file: whatever Keras raises about it
        reason = str(error).strip("'\"").splitlines()[0].rstrip(".") if str(error) else type(error).__name__
        raise BadInput(
            f"{path} cannot be loaded: {reason}.", "Load it with the Keras that saved it and save it again."
        ) from error
    return _checked(model, path)


def _config(path: Path) -> Config:
    """The configuration in a file, told by its content. Raises BadInput."""
    if not path.is_file():
        raise BadInput(f"There is no file or folder {path}.", "Check the path, or choose a name of `edgekit models`.")
    with path.open("rb") as file:
        head = file.read(8)
    if head[4:8] == b"TFL3":
        raise BadInput(f"{path} is exported already.", "`edgekit evaluate` and `edgekit bench` take .tflite files.")
    if path.name.endswith(WEIGHT_SUFFIXES):
        raise weights_alone(path)
    zipped = head.startswith(b"PK")
    if not zipped and not is_hdf5(path):
        raise BadInput(f"{path} is not a model.", "Give a .keras or .h5 file of Keras, or a SavedModel folder.")
    endings = (".keras",) if zipped else (".h5", ".hdf5")
    if not path.name.endswith(endings):
        raise BadInput(f"{path} is in the format of {endings[0]} files.", f"Rename it to end in {endings[0]}.")
    return read_zip(path) if zipped else read_hdf5(path)


def _built(config: Config, objects: dict[str, Any]) -> Any:
    """The model with initial weights. They are made only once their number is known to fit the file."""
    keras = import_keras("Loading a model")
    with _deferred(keras):
        model = _deserialized(config, objects, keras)
        declared = sum(math.prod(variable.shape) for variable in getattr(model, "variables", ()))
        if declared > max(SMALL, PER_BYTE * config.size):
            raise BadInput(
                f"{config.path} describes {declared:,} weights, and its {config.size:,} bytes cannot hold them.",
                "The file is damaged or made up.",
            )
    return model


def _deferred(keras: Any) -> Any:
    class Deferred(keras.StatelessScope):  # type: ignore[misc, name-defined]
        """Variables made within get their values at its end, unless something was raised; nobody else's do."""

        def __enter__(self) -> Any:
            entered = super().__enter__()
            if self.original_scope is None:
                forget_deferred()  # what a scope left without values is never to have any
            return entered

        def __exit__(self, kind: Any, *rest: Any) -> None:
            if kind is not None:
                self.initialize_variables = False
                forget_deferred()
            super().__exit__(kind, *rest)

    return Deferred()


def _deserialized(config: Config, objects: dict[str, Any], keras: Any) -> Any:
    if config.keras2:
        from edgekit.models import legacy

        return legacy.build(config.tree, objects)
    tree = dict(_with_modules(config.tree))
    if tree["class_name"] in MODELS:  # whatever module it names
        tree = {
            "module": "keras",
            "class_name": tree["class_name"].replace("Functional", "Model"),
            "config": tree["config"],
        }
    return keras.saving.deserialize_keras_object(tree, custom_objects=objects, safe_mode=True)


def _with_modules(value: Any) -> Any:
    """The tree with the modules of operators, which Keras 3 leaves out in .h5 files and then does not find.

    Layers of the same name, such as Add, can be trained or not; operators have no such setting.
    """
    if isinstance(value, list):
        return [_with_modules(item) for item in value]
    if not isinstance(value, dict):
        return value
    found = {key: _with_modules(item) for key, item in value.items()}
    operator = "inbound_nodes" in value and "module" not in value and "trainable" not in value["config"]
    module = operation_module(str(value["class_name"])) if operator else None
    return {**found, "module": module, "registered_name": None} if module else found


def _load_weights(model: Any, config: Config) -> None:
    """Keras's own loader, by order; then by name: frozen and trained layers stand in different orders in old files."""
    if not getattr(model, "built", False):
        return
    model.load_weights(str(config.path))
    if not config.hdf5:
        return
    with open_hdf5(config.path, str(config.path)) as file:
        group = child(file, "model_weights")
        by_name: dict[str, list[list[Any]]] = {}
        for name in texts(group, "layer_names"):
            parts: dict[str, list[Any]] = {}
            for variable in texts(child(group, name), "weight_names"):
                owner = variable.rpartition("/")[0].rpartition("/")[2]
                parts.setdefault(owner, []).append(array(child(group, name), variable))
            for owner, arrays in parts.items():
                by_name.setdefault(owner, []).append(arrays)
    for layer in weighted(model):
        candidates = by_name.get(layer.name, [])
        shapes = [tuple(variable.shape) for variable in layer.weights]
        if len(candidates) == 1 and [value.shape for value in candidates[0]] == shapes:
            layer.set_weights(candidates[0])


def _checked(model: Any, path: Path) -> Any:
    """A functional model with inputs of a fixed size. Raises BadInput."""
    keras = import_keras("Loading a model")
    try:
        inputs, outputs = model.inputs, model.outputs
    except (AttributeError, ValueError):
        inputs, outputs = None, None
    if isinstance(model, keras.Sequential) and not inputs:
        raise BadInput(f"{path} has no input size.", "Build it with a keras.Input of (height, width, channels) first.")
    if not inputs or not outputs:
        raise BadInput(
            f"{path} is a model of the class {type(model).__name__}, not a graph of layers.",
            "Call it on a keras.Input and save keras.Model(input, output).",
        )
    for tensor in inputs:
        if None in tensor.shape[1:]:
            raise BadInput(
                f"{path} has no fixed input size: its input {tensor.name} is {list(tensor.shape)}.",
                "Rebuild it on a keras.Input of (height, width, channels), load the weights into it, and save that.",
            )
        if math.prod(tensor.shape[1:]) > MAX_INPUT:
            raise BadInput(f"{path} wants an input {tensor.name} of {list(tensor.shape)}, which nothing can hold.")
    if isinstance(model, keras.Sequential):
        return keras.Model(inputs, outputs, name=model.name)
    return model
