"""Reads what a .tflite says of itself beyond the graph, and writes it: TFLite Model Metadata, associated files, and
edgekit's contract with its golden vectors.

Nothing here needs TensorFlow, and nothing is believed: a contract of another model, a file with a path for a name, a
vector of another length are BadInput.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import ValidationError

from edgekit.artifact import sha256_of
from edgekit.errors import BadInput
from edgekit.runtime import isolate
from edgekit.runtime.associated_files import NoFiles, files_of, with_files
from edgekit.runtime.contract import BLOCK, Contract, StoredTensor
from edgekit.runtime.escape import escaped
from edgekit.runtime.flatbuffer import pack, parse, without_metadata
from edgekit.runtime.metadata_schema import NoMetadata, decode, encode

STANDARD = "TFLITE_METADATA"  # the metadata entry that MediaPipe and ML Kit read
LABEL_FILE = "TENSOR_AXIS_LABELS"
TIMEOUT = 60.0  # seconds
NO_SENSE = (struct.error, TypeError, ValueError, LookupError, OverflowError, AttributeError, RecursionError)
LARGEST_TENSOR = 2**28  # bytes of a golden input or output, once it is unpacked
ANEW = "Get the file again, or write its metadata anew: edgekit metadata set --fresh"


@dataclass(frozen=True)
class Embedded:
    """What a file carries. `standard` is the ModelMetadata (see `metadata_schema`), None where there is none; `files`
    are the associated files, the contract's among them."""

    standard: Mapping[str, Any] | None
    files: Mapping[str, bytes]
    contract: Contract | None

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes in the order of the output; empty where the file names none."""
        name = (self.contract and self.contract.labels) or label_file(self.standard)
        text = self.files.get(name or "", b"").decode("utf-8", "replace").removesuffix("\n")
        return tuple(line.removesuffix("\r") for line in text.split("\n")) if text else ()


@dataclass(frozen=True)
class Vector:
    """A golden vector as arrays.

    `picture` is the PNG of a model that takes images, else None, and `inputs` has an array a tensor, as the model takes
    it. `outputs`: float32, an array an output. `pixels_sha256`: see `contract.GoldenVector`.
    """

    picture: bytes | None
    inputs: tuple[np.ndarray, ...]
    outputs: tuple[np.ndarray, ...]
    pixels_sha256: str | None


def read_embedded(content: bytes, name: str) -> Embedded:
    """Of a file that passed `runtime.validate`; read in a worker process, for a small file can be made to keep a reader
    busy for ever. Raises BadInput for damage, and for a contract of another model."""
    found: Embedded = isolate.call(embedded_of, content, name, what=name, timeout=TIMEOUT)
    return found


def embedded_of(content: bytes, name: str) -> Embedded:
    """The same within this process."""
    try:
        return _read(content, name)
    except NO_SENSE as error:
        raise _damaged(name, f"its parts do not fit together ({type(error).__name__})") from None


def _read(content: bytes, name: str) -> Embedded:
    held = _held(content)
    try:
        standard = None if held is None else decode(held)
        files = files_of(content)
    except NoMetadata as error:
        raise _damaged(name, f"its TFLite metadata cannot be read, {error}") from None
    except NoFiles as error:
        raise _damaged(name, str(error)) from None
    contract = _contract(files[BLOCK], name) if BLOCK in files else None
    if contract is not None:
        _check(contract, content, files, name)
    return Embedded(standard, files, contract)


def _held(content: bytes) -> bytes | None:
    """The bytes of the metadata flatbuffer."""
    model = parse(content)
    for entry in model.metadata or []:
        if entry.name == STANDARD.encode() and model.buffers[entry.buffer].data is not None:
            return bytes(model.buffers[entry.buffer].data)
    return None


def _contract(block: bytes, name: str) -> Contract:
    try:
        return Contract.model_validate_json(block)
    except ValidationError as error:
        first = error.errors()[0]
        where = escaped(".".join(map(str, first["loc"])) or "the block")
        raise _damaged(name, f"its {BLOCK} is no contract, {where}: {escaped(first['msg'])}") from None


def _check(contract: Contract, content: bytes, files: Mapping[str, bytes], name: str) -> None:
    """The contract is this model's, and what it names is there."""
    if contract.model_sha256 != sha256_of(without_metadata(content)):
        raise BadInput(
            f"{name} carries the metadata of another model: its SHA-256 is not the one that {BLOCK} states.",
            "Write its own: edgekit metadata set --fresh",
        )
    golden = contract.golden
    named = [one.file for each in golden.vectors for one in (*each.inputs, *each.outputs)] if golden else []
    missing = [one for one in (contract.labels, *named) if one is not None and one not in files]
    if missing:
        raise _damaged(name, f"its {BLOCK} names {escaped(missing[0])!r}, which it does not carry")
    if golden and any(len(each.outputs) != len(golden.tolerance) for each in golden.vectors):
        raise _damaged(name, f"its {BLOCK} has not one tolerance an output")


def _damaged(name: str, why: str) -> BadInput:
    return BadInput(f"{name} is damaged: {why}.", ANEW)


def label_file(standard: Mapping[str, Any] | None) -> str | None:
    """The name of the first label file of an output in TFLite metadata."""
    graphs = (standard or {}).get("subgraph_metadata", [])[:1]
    outputs = [one for graph in graphs for one in graph.get("output_tensor_metadata", [])]
    files = [one for output in outputs for one in output.get("associated_files", [])]
    return next((one.get("name") for one in files if one.get("type") == LABEL_FILE), None)


def golden_vectors(found: Embedded, name: str) -> tuple[Vector, ...]:
    """The golden vectors as arrays; none where the file has no contract, or that leaves them out. Raises BadInput."""
    golden = found.contract.golden if found.contract else None
    return tuple(
        Vector(
            picture=found.files[one.inputs[0].file] if one.inputs[0].picture else None,
            inputs=() if one.inputs[0].picture else tuple(_array(each, found.files, name) for each in one.inputs),
            outputs=tuple(_array(each, found.files, name).astype(np.float32) for each in one.outputs),
            pixels_sha256=one.pixels_sha256,
        )
        for one in (golden.vectors if golden else ())
    )


def _array(stored: StoredTensor, files: Mapping[str, bytes], name: str) -> np.ndarray:
    """Fewer values than the shape has are repeated."""
    kind = np.dtype(stored.dtype).newbyteorder("<")
    held, size = files[stored.file], math.prod(stored.shape) * kind.itemsize
    if not held or len(held) % kind.itemsize or not len(held) <= size <= LARGEST_TENSOR:
        raise _damaged(name, f"its golden {escaped(stored.file)!r} does not fit the shape {list(stored.shape)}")
    return np.resize(np.frombuffer(held, kind), stored.shape).astype(stored.dtype)


def with_embedded(content: bytes, standard: Mapping[str, Any], files: Mapping[str, bytes]) -> bytes:
    """The model with this metadata in place of what it had; its graph and its other entries stay as they are."""
    from ai_edge_litert import schema_py_generated as schema

    model = parse(content)
    kept = [entry for entry in model.metadata or [] if entry.name != STANDARD.encode()]
    dropped = {entry.buffer for entry in model.metadata or []} - {entry.buffer for entry in kept}
    for number in dropped:
        model.buffers[number].data = None
    while len(model.buffers) - 1 in dropped:
        model.buffers.pop()
    entry, buffer = schema.MetadataT(), schema.BufferT()
    entry.name, entry.buffer = STANDARD, len(model.buffers)
    buffer.data = np.frombuffer(encode(standard), np.uint8)
    model.buffers.append(buffer)
    model.metadata = [*kept, entry]
    return with_files(pack(model), files)
