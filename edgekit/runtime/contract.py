"""edgekit's contract, the block that a .tflite carries: what the file expects, what it is made of, how it is checked.

The format is docs/contracts.md, "Metadata in the file". `runtime.embedded` reads it out of a file and writes it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from edgekit.artifact import Card, Frozen, Io, Normalization, Variant
from edgekit.preprocess import Preprocess

BLOCK = "edgekit.json"  # the associated file that is the contract
LABELS = "labels.txt"
Dtype = Literal["float32", "float16", "int8", "uint8", "int16", "int32", "int64"]
Meaning = Literal["probabilities", "raw"]
Side = Annotated[int, Field(ge=1)]


class StoredTensor(Frozen):
    """An associated file that holds a tensor: little-endian values in C order, or a .png: uint8 [h, w, 3] RGB.

    A file with fewer values than `shape` has is repeated to fill it.
    """

    file: str
    shape: Annotated[tuple[Side, ...], Field(max_length=8)]
    dtype: Dtype

    @property
    def picture(self) -> bool:
        return self.file.endswith(".png")


class GoldenVector(Frozen):
    """Inputs and the file's own outputs for them, as real values.

    `pixels_sha256` is of what the preprocessing makes of the picture before it is normalized: uint8 [height, width, 3].
    """

    inputs: Annotated[tuple[StoredTensor, ...], Field(min_length=1, max_length=100)]
    outputs: Annotated[tuple[StoredTensor, ...], Field(min_length=1, max_length=100)]
    pixels_sha256: str | None = None


class Golden(Frozen):
    """`tolerance`: of each output the largest difference, in its own unit, that is no other model."""

    tolerance: tuple[Annotated[float, Field(gt=0, allow_inf_nan=False)], ...]
    vectors: Annotated[tuple[GoldenVector, ...], Field(min_length=1, max_length=16)]


class Contract(Frozen):
    """edgekit's block: what decides the file and what it expects; no dates, no accuracy, no paths of a machine.

    The fields mean what they mean in a card. What nobody knows of a file that edgekit did not export is None. `labels`
    names the associated file with a label a line.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    schema_version: Literal[1] = Field(default=1, alias="schema")
    edgekit: str
    model: str
    variant: Variant | None = None
    io: Io | None = None
    model_sha256: str
    output_meaning: Meaning | None = None
    preprocessing: Preprocess | None = None
    normalization_in_graph: Normalization | None = None
    labels: str | None = None
    recipe: dict[str, Any] | None = None
    data: dict[str, Any] | None = None
    versions: dict[str, str] = Field(default={})
    golden: Golden | None = None


def contract_of(card: Card, labels: str | None, recipe: dict[str, Any] | None, golden: Golden | None) -> Contract:
    """The part of a card that may be in the file."""
    same = ("edgekit", "model", "variant", "io", "model_sha256", "output_meaning", "preprocessing",
            "normalization_in_graph", "data", "versions")  # fmt: skip
    fields = {name: getattr(card, name) for name in same}
    return Contract(**fields, labels=labels, recipe=recipe, golden=golden)
