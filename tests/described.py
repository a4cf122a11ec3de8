"""Small .tflite files with metadata, made without TensorFlow: one operator that takes an RGB picture, or arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgekit.exporting.metadata import contract_files
from edgekit.exporting.set_metadata import Changes, set_metadata
from edgekit.runtime.contract import BLOCK, Contract
from edgekit.runtime.embedded import embedded_of, with_embedded
from tests.runtime.one_op import one_op

SIDE = 8
LABELS = ("red", "green", "blue")


def picture_model(dtype: str = "float32") -> bytes:
    """[1, 8, 8, 3] -> the same: three scores at each place."""
    return one_op("RELU", dtype, inputs=((1, SIDE, SIDE, 3),), output=(1, SIDE, SIDE, 3))


def array_model(dtype: str = "float32") -> bytes:
    """Two inputs that are no picture."""
    return one_op("ADD", dtype, inputs=((1, 40, 40, 2), (1, 40, 40, 2)), output=(1, 40, 40, 2))


def described(folder: Path, content: bytes | None = None, **changes: Any) -> Path:
    """A file whose metadata `edgekit metadata set` wrote; by default the picture model's, with labels."""
    path = folder / "model.tflite"
    path.write_bytes(picture_model() if content is None else content)
    given = {"labels": LABELS, "preprocess": "tf"} if content is None else {"texts": {"author": "me"}}
    return set_metadata(path, Changes(**{**given, **changes}))


def with_contract(content: bytes, **fields: Any) -> bytes:
    """A described file whose contract says something else."""
    held = embedded_of(content, "m")
    assert held.contract is not None and held.standard is not None
    changed = held.contract.model_dump(mode="json", by_alias=True) | fields
    block = contract_files(Contract.model_validate(changed), held.labels, {})[BLOCK]
    return with_embedded(content, held.standard, {**held.files, BLOCK: block})
