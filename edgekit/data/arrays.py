"""Samples of a model that does not take one RGB image: an array of any shape an input, from a .npz file."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from edgekit.errors import BadInput, EdgekitWarning

LARGEST = 2**31  # bytes of one array: samples are kept in memory


class InputSpec(Protocol):
    """What is asked of an array: `shape` is one sample's, `dtype` numpy's name."""

    @property
    def name(self) -> str: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> str: ...


@dataclass(frozen=True, eq=False)
class ArrayData:
    """`calibration` and `held_out`: an array [n, ...] for each input of the model, in the order of the inputs."""

    name: str
    calibration: tuple[np.ndarray, ...]
    held_out: tuple[np.ndarray, ...]
    sha256: str
    class_names: tuple[str, ...] = ()


def load_arrays(path: str | Path, inputs: Sequence[InputSpec], *, calibration_samples: int = 100) -> ArrayData:
    """A .npz file with an array [n, ...] of each input's name (any name, where the model has one input).

    The first `calibration_samples` calibrate, the others are held out for verification; where there are no others,
    the same ones verify, with a warning. Raises BadInput where the arrays do not fit the inputs.
    """
    path = Path(path).expanduser()
    found = _in_order(_read(path), inputs, path)
    for spec, values in zip(inputs, found, strict=True):
        _check(spec, values, path)
    counts = {len(values) for values in found}
    if len(counts) != 1 or counts == {0}:
        raise BadInput(f"The arrays of {path} have {sorted(counts)} samples.", "Give as many of each, at least one.")
    arrays = tuple(values.astype(spec.dtype) for spec, values in zip(inputs, found, strict=True))
    parts = (slice(calibration_samples), slice(calibration_samples, None))
    used, rest = (tuple(values[part] for values in arrays) for part in parts)
    if not len(rest[0]):
        sentence = f"{path} has {counts.pop():,} samples: all of them calibrate, and the same ones verify."
        warnings.warn(sentence, EdgekitWarning, stacklevel=2)
        rest = used
    return ArrayData(path.stem, used, rest, hashlib.sha256(path.read_bytes()).hexdigest())


def _read(path: Path) -> Mapping[str, np.ndarray]:
    if path.suffix.lower() != ".npz" or not path.is_file():
        raise BadInput(f"{path} is not a .npz file.", "Save one with numpy.savez, an array for each input.")
    try:
        with np.load(path, allow_pickle=False) as stored:
            if sum(entry.file_size for entry in stored.zip.infolist()) > LARGEST:
                raise BadInput(f"{path} holds more than 2 GiB.", "Keep some hundred samples.")
            return {name: stored[name] for name in stored.files}
    except (MemoryError, PermissionError, BadInput):
        raise
    except Exception as error:  # zip, zlib, header and pickle errors of many types; a .npy has no context manager
        raise BadInput(f"{path} cannot be read: {error}.", "Save it again with numpy.savez.") from None


def _in_order(given: Mapping[str, np.ndarray], inputs: Sequence[InputSpec], path: Path) -> list[np.ndarray]:
    if len(inputs) == 1 and len(given) == 1:
        return list(given.values())
    missing = [one.name for one in inputs if one.name not in given]
    if missing:
        raise BadInput(
            f"{path} has no array for the input {missing[0]!r}; it has {', '.join(given) or 'none'}.",
            f"Save one [n, ...] for each of: {', '.join(one.name for one in inputs)}.",
        )
    return [given[one.name] for one in inputs]


def _check(spec: InputSpec, values: np.ndarray, path: Path) -> None:
    if values.shape[1:] != tuple(spec.shape) or not values.ndim:
        raise BadInput(
            f"{path}: the samples of {spec.name!r} are {list(values.shape[1:])}, the model takes {list(spec.shape)}.",
            f"Give an array [n, {', '.join(map(str, spec.shape))}].",
        )
    if not np.issubdtype(values.dtype, np.number) and values.dtype != bool:
        raise BadInput(f"{path}: {spec.name!r} holds {values.dtype}, no numbers.", f"Give {spec.dtype}.")
    if np.issubdtype(values.dtype, np.floating) and not np.isfinite(values).all():
        raise BadInput(f"{path}: {spec.name!r} has values that are not finite.", "Take those samples out.")
