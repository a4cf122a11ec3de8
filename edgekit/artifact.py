"""An artifact: the .tflite bytes plus the card that says what they are and where they came from.

Files are written whole or not at all: into a temporary file beside the target, flushed to disk, then renamed.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edgekit.errors import BadInput
from edgekit.preprocess import Preprocess, Triple

VARIANTS = {
    "float32": "float weights and activations",
    "float16": "float16 weights, computed in float32",
    "dynamic": "int8 weights, activations quantized at run time",
    "int8": "full integer: int8 weights and activations, int32 biases",
    "int16x8": "int8 weights, int16 activations",
    "mixed": "full integer but for the fewest layers that have to stay float",
}
Variant = Literal["float32", "float16", "dynamic", "int8", "int16x8", "mixed"]
Io = Literal["float32", "uint8", "int8"]


class Frozen(BaseModel):
    """A frozen value that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class TensorSpec(Frozen):
    """A graph input or output. Quantized dtypes have `scale` and `zero_point`: real = (q - zero_point) * scale."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float | None = None
    zero_point: int | None = None


class Normalization(Frozen):
    """(x - mean) / std, per channel, on the 0..255 scale, carried out inside the graph."""

    mean: Triple
    std: Triple


class Card(Frozen):
    """What a .tflite file expects, says and is made of (docs/contracts.md, "Card").

    `preprocessing` is what the caller does before feeding the file, None where it takes no image. For `io` uint8 and
    int8 that is geometry only: the normalization is then inside the graph and stands in `normalization_in_graph`.
    `labels` are empty where the file is no classifier or nobody named its classes; `params` and `macs` are None where
    they could not be counted.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    schema_version: Literal[2] = Field(default=2, alias="schema")
    edgekit: str
    model: str
    variant: Variant
    io: Io
    sha256: str
    model_sha256: str
    size_bytes: int
    model_bytes: int
    gzip_bytes: int
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    output_meaning: Literal["probabilities", "raw"]
    preprocessing: Preprocess | None
    normalization_in_graph: Normalization | None = None
    labels: tuple[str, ...]
    params: int | None
    macs: int | None
    recipe: dict[str, Any]
    seed: int
    data: dict[str, Any]
    versions: dict[str, str]
    verification: dict[str, Any] = {}
    metrics: dict[str, Any] = {}
    created: str = ""


@dataclass(frozen=True)
class Artifact:
    """A file on disk and its card; `card` is None for a file that edgekit did not make."""

    path: Path
    card: Card | None

    @property
    def content(self) -> bytes:
        return self.path.read_bytes()


def card_path(path: Path) -> Path:
    """model.tflite -> model.card.json"""
    return path.with_suffix(".card.json")


def load_artifact(path: str | Path) -> Artifact:
    """The artifact at `path`. Raises BadInput where there is no file, or its card is damaged or another file's."""
    path = Path(path)
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise BadInput(f"{path} {what}.", "Give the path of a .tflite file.")
    beside = card_path(path)
    if not beside.is_file():
        return Artifact(path, None)
    card = read_card(beside)
    if card.sha256 != sha256_of(path.read_bytes()):
        raise BadInput(
            f"{beside} describes another file than {path.name}: the SHA-256 differs.",
            "Put the card that belongs to it back, or remove the card and pass --preprocess.",
        )
    return Artifact(path, card)


def read_card(path: Path) -> Card:
    """Raises BadInput naming the field that is wrong, or where there is no file."""
    try:
        return Card.model_validate_json(path.read_bytes())
    except (FileNotFoundError, IsADirectoryError):
        raise BadInput(f"There is no card {str(path)!r}.", "Check the path.") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise BadInput(
            f"{path} is not a card: {where}: {first['msg']}.", "Export the model again, or remove it."
        ) from None


def save_artifact(path: Path, content: bytes, card: Card) -> Artifact:
    """Writes the file, then its card, each atomically."""
    write_bytes(path, content)
    write_json(card_path(path), card.model_dump(mode="json", by_alias=True))
    return Artifact(path, card)


def sha256_of(content: bytes) -> str:
    """Hex SHA-256."""
    return hashlib.sha256(content).hexdigest()


def gzip_size(content: bytes) -> int:
    """Bytes after gzip -9: what an app store's compression makes of the file, near enough."""
    return len(gzip.compress(content, compresslevel=9, mtime=0))


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write to, which becomes `path` when the block is done; on an error nothing of it is left behind."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def write_bytes(path: Path, content: bytes | memoryview) -> None:
    """Writes the whole file or nothing, and leaves no temporary file behind on an error."""
    with whole_file(path) as file:
        file.write(content)


def write_text(path: Path, text: str) -> None:
    """UTF-8, atomically."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Indented JSON with a final newline, atomically. Raises ValueError for NaN and infinities: they are not JSON."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")
