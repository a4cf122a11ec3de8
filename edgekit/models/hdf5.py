"""HDF5 files that may come from anyone: arrays are read only from the file itself, and only as large as it is.

HDF5 can point into other files (external links, external storage, virtual datasets) and declare arrays that it does
not store; all of them are refused.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from edgekit.errors import BadInput

EXPANSION = 1100  # gzip shrinks zeros about a thousandfold, and nothing more than that
SMALL = 1 << 20  # bytes; not worth a refusal
MAGIC = b"\x89HDF\r\n\x1a\n"

# What h5py raises about damaged files.
BROKEN = (OSError, RuntimeError, KeyError, ValueError, TypeError, UnicodeDecodeError)


@contextmanager
def open_hdf5(source: Path | BinaryIO, name: str) -> Iterator[Any]:
    """The opened file; `name` stands for it in messages. Raises BadInput for whatever goes wrong within."""
    import h5py

    try:
        with h5py.File(source, "r") as file:
            yield file
    except BadInput:
        raise
    except BROKEN as error:
        reason = str(error).strip("'\"").splitlines()[0] if str(error) else type(error).__name__
        raise BadInput(f"{name} is not a whole HDF5 file: {reason}.", "Copy or save it again.") from None


def is_hdf5(path: Path) -> bool:
    """Whether the file begins like one."""
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def child(group: Any, name: str) -> Any:
    """The group or dataset at `name` ("a/b"), reached by hard links alone. Raises KeyError, ValueError."""
    import h5py

    for part in name.split("/"):
        link = group.get(part, getlink=True)
        if link is None:
            raise KeyError(f"it has no {name}")
        if not isinstance(link, h5py.HardLink):
            raise ValueError(f"{name} points out of the file or elsewhere in it")
        group = group[part]
    return group


def array(group: Any, name: str) -> np.ndarray:
    """The dataset at `name`. Raises KeyError, or ValueError for one that is not stored in the file."""
    dataset = child(group, name)
    if not hasattr(dataset, "shape") or dataset.dtype.kind not in "fiub":
        raise ValueError(f"{name} is not an array of numbers")
    if dataset.external or dataset.is_virtual:
        raise ValueError(f"{name} points out of the file")
    declared = math.prod(dataset.shape) * dataset.dtype.itemsize
    if declared > SMALL and declared > EXPANSION * dataset.id.get_storage_size():
        raise ValueError(f"{name} declares {declared:,} bytes that the file does not hold")
    return np.asarray(dataset[()])


def texts(group: Any, attribute: str) -> list[str]:
    """A list of strings that Keras keeps as an attribute, in chunks NAME0, NAME1 ... where it is long."""
    if attribute in group.attrs:
        found = list(group.attrs[attribute])
    else:
        found, chunk = [], 0
        while f"{attribute}{chunk}" in group.attrs:
            found += list(group.attrs[f"{attribute}{chunk}"])
            chunk += 1
    return [text(value) for value in found]


def text(value: Any) -> str:
    """A string attribute, which may have been stored as bytes."""
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)
