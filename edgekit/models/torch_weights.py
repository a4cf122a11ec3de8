"""Tensors out of a torch file, without torch and without running anything that stands in it.

A torch file is a pickle of a dictionary whose tensors point into raw storages: a zip archive (since torch 1.6) or
five pickles and the storages one after the other (before). Source: torch/serialization.py (github.com/pytorch/pytorch).
"""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from edgekit.errors import BadInput
from edgekit.models.torch_pickle import Damaged, Reader, Refused, Storage, Tensor

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001
STATE_KEYS = ("state_dict", "model_state_dict", "model")  # where training scripts keep the weights in a checkpoint
SHARED_AT_MOST = 16  # tensors may be views of one storage (tied weights), but not a bomb of them
ADVICE = "Save the weights alone: torch.save(model.state_dict(), FILE)."

# What zipfile, pickletools and numpy raise about damaged files.
BROKEN = (Damaged, ValueError, LookupError, TypeError, EOFError, ArithmeticError, RuntimeError, zipfile.BadZipFile)

Contents = Callable[[Storage], "bytes | memoryview"]


def read_torch(path: str | Path) -> Mapping[str, np.ndarray]:
    """Every tensor of a torch file by its name, read-only, in the file's order and of its own dtype.

    A checkpoint's "state_dict" is taken where there is one. Nothing in the file is executed. Raises BadInput when
    the file is damaged, is no torch file, or asks for anything but tensors.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            zipped = file.read(2) == b"PK"
        found, contents = _read_zip(path) if zipped else _read_legacy(path)
        arrays = _arrays(found, contents, path.stat().st_size)
    except Refused as refused:
        raise BadInput(f"{path} is refused, and nothing in it was run: {refused}.", ADVICE) from None
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror or error}.") from None
    except BROKEN as error:
        raise BadInput(f"{path} is not a whole torch file: {error}.", "Download or save it again.") from None
    if not arrays:
        raise BadInput(f"{path} holds no tensors.", ADVICE)
    return arrays


def _read_zip(path: Path) -> tuple[Any, Contents]:
    """The unpickled dictionary and a reader of storages. torch stores without compressing, so there are no bombs."""
    with zipfile.ZipFile(path) as archive:
        members = {member.filename: member for member in archive.infolist()}
        if any(member.compress_type != zipfile.ZIP_STORED for member in members.values()):
            raise Damaged("its members are compressed, which torch does not do")
        if sum(member.file_size for member in members.values()) > path.stat().st_size:
            raise Damaged("its members are larger than the file")
        pickles = [name for name in members if PurePosixPath(name).name == "data.pkl"]
        if len(pickles) != 1:
            raise Damaged("it has no data.pkl")
        root = PurePosixPath(pickles[0]).parent
        order = str(root / "byteorder")
        if order in members and archive.read(order).strip() != b"little":
            raise Damaged("its numbers are big-endian")
        found = Reader(io.BytesIO(archive.read(pickles[0]))).load()
        raw = {name: archive.read(name) for name in members if PurePosixPath(name).parent == root / "data"}
    return found, lambda storage: raw[str(root / "data" / storage.key)]


def _read_legacy(path: Path) -> tuple[Any, Contents]:
    """The same of five pickles (magic, protocol, system, dictionary, keys) and the storages as the keys are ordered."""
    content = path.read_bytes()
    stream = io.BytesIO(content)
    if not content or Reader(stream).load() != LEGACY_MAGIC:
        raise Damaged("it does not begin like one")
    if Reader(stream).load() != LEGACY_PROTOCOL:
        raise Damaged("its protocol is unknown")
    system = Reader(stream).load()
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise Damaged("its numbers are not little-endian")
    reader = Reader(stream)
    found = reader.load()
    keys = Reader(stream).load()
    places: dict[str, memoryview] = {}
    for key in keys:
        count = stream.read(8)
        elements = int.from_bytes(count, "little")
        storage = reader.storages[key]
        size = elements * storage.kind.dtype.itemsize
        start = stream.tell()
        if len(count) < 8 or elements != storage.elements or start + size > len(content):
            raise Damaged("it ends within a tensor")
        places[key] = memoryview(content)[start : start + size]
        stream.seek(size, io.SEEK_CUR)
    return found, lambda storage: places[storage.key]


def _arrays(found: Any, contents: Contents, file_size: int) -> dict[str, np.ndarray]:
    """The tensors among the values of the dictionary, or of its state_dict. Their views share their storage."""
    if not isinstance(found, dict):
        raise Damaged(f"it holds a {type(found).__name__}, not a dictionary of tensors")
    found = next((found[key] for key in STATE_KEYS if isinstance(found.get(key), dict)), found)
    buffers: dict[str, np.ndarray] = {}
    arrays = {}
    for name, value in found.items():
        if not isinstance(value, Tensor):
            continue
        if value.storage.key not in buffers:
            buffers[value.storage.key] = _buffer(value.storage, contents(value.storage))
        arrays[str(name)] = _view(value, buffers[value.storage.key])
    if sum(array.nbytes for array in arrays.values()) > SHARED_AT_MOST * file_size:
        raise Damaged("its tensors are many times larger than the file")
    return arrays


def _buffer(storage: Storage, content: bytes | memoryview) -> np.ndarray:
    if len(content) != storage.elements * storage.kind.dtype.itemsize:
        raise Damaged(f"storage {storage.key} has {len(content)} bytes for {storage.elements} elements")
    flat = np.frombuffer(content, storage.kind.dtype)
    if storage.kind.wide:
        flat = (flat.astype(np.uint32) << 16).view(np.float32)
    flat.flags.writeable = False
    return flat


def _view(tensor: Tensor, flat: np.ndarray) -> np.ndarray:
    if math.prod(tensor.sizes) == 0:
        return np.broadcast_to(np.empty((), flat.dtype), tensor.sizes)
    steps = tuple(step * flat.itemsize for step in tensor.strides)
    return np.lib.stride_tricks.as_strided(flat[tensor.offset :], tensor.sizes, steps, writeable=False)
