"""The host's end of the kind "answers": inputs as a file, an answer of known shape and size, and its arrays."""

from __future__ import annotations

import base64
import binascii
import io
import math
from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

LARGEST = 64 * 1024 * 1024  # bytes of an answer, whatever runs it

Words = Annotated[str, Field(max_length=500, pattern=r"^[^\p{C}]*$")]
Told = Words | bool | int | Annotated[float, Field(allow_inf_nan=False)] | None


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class OutputTensor(_Strict):
    """`shape` is [n, ...], `data` the base64 of its little-endian bytes."""

    dtype: Literal["float32", "float16", "float64", "int8", "uint8", "int16", "int32", "int64", "bool"]
    shape: Annotated[list[Annotated[int, Field(ge=0, le=2**31)]], Field(max_length=9)]
    data: str

    def array(self) -> np.ndarray:
        """Raises ValueError where the bytes are not those of the shape."""
        try:
            held = base64.b64decode(self.data, validate=True)
        except binascii.Error as error:
            raise ValueError(f"an output is no base64 ({error})") from None
        kind = np.dtype(self.dtype).newbyteorder("<")
        if len(held) != math.prod(self.shape) * kind.itemsize:
            raise ValueError(f"an output of shape {self.shape} has {len(held)} bytes")
        return np.frombuffer(held, kind).reshape(self.shape)


class Answers(_Strict):
    """`notes` are what a runtime says of itself besides: its delegate, an adapter, an arena."""

    schema_: Literal[1] = Field(alias="schema")
    ok: Literal[True]
    kind: Literal["answers"]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}\z")]
    runtime: Words
    outputs: Annotated[list[OutputTensor], Field(min_length=1, max_length=10_000)]
    notes: Annotated[dict[Words, Told | list[Words]], Field(max_length=50)] = {}

    def arrays(self) -> tuple[np.ndarray, ...]:
        """[n, ...] an output. Raises ValueError."""
        return tuple(one.array() for one in self.outputs)


def inputs_file(tensors: Sequence[np.ndarray]) -> bytes:
    """The bytes of what the agent reads as "inputs": an array [n, ...] an input, in the file's own dtypes."""
    stream = io.BytesIO()
    np.savez(stream, **{str(at): values for at, values in enumerate(tensors)})  # type: ignore[arg-type]
    return stream.getvalue()
