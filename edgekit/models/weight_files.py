"""Files of weights, read into one layer after the other; the model is not touched."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.errors import BadInput, unknown
from edgekit.models.hdf5 import BROKEN, array, child, open_hdf5, text, texts
from edgekit.models.row import Row
from edgekit.models.torch_names import in_order
from edgekit.models.torch_weights import read_torch

KERAS_MEMBER = "model.weights.h5"
MAX_EXPANSION = 1100  # deflate cannot do more


@dataclass(frozen=True)
class Saved:
    """One layer's arrays as the file has them, in Keras's layout and order. `name` is the file's own."""

    name: str
    arrays: tuple[np.ndarray, ...]


def read(path: Path, model: Any, row: Row | None) -> tuple[Saved, ...]:
    """The layers of a file of weights, in the order of `model`'s layers with weights.

    Keras: .weights.h5, .h5, .keras · numpy: .npz with arrays in the order of model.get_weights(), or named by the
    variables' paths · torch: .pth, .pt, for families with a rule of names. Raises BadInput.
    """
    if not path.is_file():
        raise BadInput(f"There is no file of weights {path}.", "Give a file, or imagenet.")
    for ending, reader in READERS.items():
        if path.name.lower().endswith(ending):
            return reader(path, model, row)
    raise unknown("kind of weights file", path.name, READERS)


def weighted(model: Any) -> Iterator[Any]:
    """The layers with weights, those of nested models included, in the model's order."""
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from weighted(layer)
        elif layer.weights:
            yield layer


def _read_h5(path: Path, model: Any, row: Row | None) -> tuple[Saved, ...]:
    with open_hdf5(path, str(path)) as file:
        if "layers" in file and "layer_names" not in file.attrs:  # written by Keras 3's save_weights
            return _by_place(file, model)
        return tuple(_by_order(child(file, "model_weights") if "model_weights" in file else file))


def _read_keras(path: Path, model: Any, row: Row | None) -> tuple[Saved, ...]:
    try:
        with zipfile.ZipFile(path) as archive:
            member = archive.getinfo(KERAS_MEMBER)
            if member.file_size > MAX_EXPANSION * max(member.compress_size, 1):
                raise ValueError(f"{KERAS_MEMBER} declares more bytes than it can hold")
            content = archive.read(member)
    except (zipfile.BadZipFile, *BROKEN) as error:
        reason = str(error).strip("'\"")
        raise BadInput(f"{path} is not a whole .keras file: {reason}.", "Copy or save it again.") from None
    with open_hdf5(io.BytesIO(content), str(path)) as file:
        return _by_place(file, model)


def _by_order(group: Any) -> Iterator[Saved]:
    """The layers of a file in the order of its list of names. A nested model's arrays are sorted to their layers."""
    names = texts(group, "layer_names")
    if not names:
        raise ValueError("it lists no layers, so it holds no Keras weights")
    for name in names:
        layer = child(group, name)
        parts: dict[str, list[np.ndarray]] = {}
        for variable in texts(layer, "weight_names"):
            parts.setdefault(variable.rpartition("/")[0] or name, []).append(array(layer, variable))
        for part, arrays in parts.items():
            yield Saved(part if len(parts) > 1 else name, tuple(arrays))


def _by_place(file: Any, model: Any) -> tuple[Saved, ...]:
    """The layers of a .weights.h5, which Keras names by their class and number; ours say which to look for."""
    places = dict(_places(model, ""))
    found = []
    for place, layer in places.items():
        if place not in file:
            found.append(Saved(place, ()))
            continue
        variables = child(file, place)
        arrays = tuple(array(variables, str(index)) for index in range(len(variables)))
        found.append(Saved(text(variables.attrs.get("name", layer.name)), arrays))
    strange = [place for place in _all_places(file) if place not in places]
    return (*found, *(Saved(place, ()) for place in strange))


def _places(model: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    """Where Keras 3 puts the variables of each layer with weights: "layers/conv2d_3/vars" (keras.saving.saving_lib)."""
    numbers: dict[str, int] = {}
    for layer in model.layers:
        kind = _snake(type(layer).__name__)
        number = numbers[kind] = numbers.get(kind, -1) + 1
        place = f"{prefix}layers/{kind}_{number}" if number else f"{prefix}layers/{kind}"
        if hasattr(layer, "layers"):
            yield from _places(layer, f"{place}/")
        elif layer.weights:
            yield f"{place}/vars", layer


def _all_places(file: Any) -> list[str]:
    """Every group of layer variables in the file that has some; optimizer and random seeds are none."""
    found: list[str] = []

    def visit(name: str, item: Any) -> None:
        if name.startswith("layers/") and name.endswith("/vars") and "seed_generator" not in name and len(item):
            found.append(name)

    file.visititems(visit)
    return found


def _snake(name: str) -> str:
    """Conv2D -> conv2d, BatchNormalization -> batch_normalization: keras.src.utils.naming.to_snake_case."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def _read_npz(path: Path, model: Any, row: Row | None) -> tuple[Saved, ...]:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (zipfile.BadZipFile, EOFError, MemoryError, *BROKEN) as error:
        raise BadInput(f"{path} is not a whole .npz file of numbers: {error}.", "Save it again.") from None
    layers = list(weighted(model))
    if all(re.fullmatch(r"arr_\d+", name) for name in arrays):
        left = iter([arrays[name] for name in sorted(arrays, key=lambda name: int(name[4:]))])
        found = [Saved(layer.name, tuple(a for _, a in zip(layer.weights, left, strict=False))) for layer in layers]
    else:
        found = [
            Saved(layer.name, tuple(arrays.pop(variable.path) for variable in layer.weights if variable.path in arrays))
            for layer in layers
        ]
        left = iter(list(arrays.values()))
    return (*found, *(Saved("an array too many", (extra,)) for extra in left))


def _read_torch(path: Path, model: Any, row: Row | None) -> tuple[Saved, ...]:
    tensors = read_torch(path)
    return tuple(Saved(name, arrays) for name, arrays in in_order(tensors, model, row, str(path)))


READERS = {
    ".h5": _read_h5,
    ".hdf5": _read_h5,
    ".keras": _read_keras,
    ".npz": _read_npz,
    ".pth": _read_torch,
    ".pt": _read_torch,
}
