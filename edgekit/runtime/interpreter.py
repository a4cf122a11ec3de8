"""The only importer of an interpreter: opens a .tflite and runs batches through it.

LiteRT first, then tflite-runtime (32-bit Raspberry Pi OS), then TensorFlow's own copy. Only files that
`runtime.probe` has passed belong here: a damaged file can abort the process that opens it.
"""

from __future__ import annotations

import functools
import importlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.errors import BadInput, DeviceError
from edgekit.runtime.quantization import dequantize, quantize
from edgekit.runtime.quiet import captured_stderr

# distribution -> module that has the class Interpreter, in the order they are tried.
RUNTIMES = {
    "ai-edge-litert": "ai_edge_litert.interpreter",
    "tflite-runtime": "tflite_runtime.interpreter",
    "tensorflow": "tensorflow.lite.python.interpreter",
}

# What interpreters and numpy raise about files that are damaged or need something the runtime does not have.
REJECTIONS = (RuntimeError, ValueError, TypeError, LookupError, ArithmeticError)


@dataclass(frozen=True)
class TensorInfo:
    """An input or output. `dtype` is numpy's name; `scale` and `zero_point` are None unless it is quantized."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float | None = None
    zero_point: int | None = None

    def encode(self, values: np.ndarray) -> np.ndarray:
        """Real values -> what the tensor holds; values that have its dtype already pass unchanged."""
        if values.dtype == self.dtype:
            return values
        if self.scale is None or self.zero_point is None:
            return values.astype(self.dtype)
        return quantize(values, self.scale, self.zero_point, self.dtype)

    def decode(self, held: np.ndarray) -> np.ndarray:
        """What the tensor holds -> float32 real values."""
        if self.scale is None or self.zero_point is None:
            return held.astype(np.float32)
        return dequantize(held, self.scale, self.zero_point)


class Loaded:
    """An opened file, allocated for `batch` images at a time; `refused` says why it is not the batch asked for.

    One thread at a time: an interpreter has one set of tensors.
    """

    def __init__(self, interpreter: Any, runtime: str, name: str, refused: str) -> None:
        self._interpreter = interpreter
        self._in = interpreter.get_input_details()
        self._out = interpreter.get_output_details()
        self._name = name
        self.runtime = runtime
        self.refused = refused
        self.inputs = tuple(_info(detail) for detail in self._in)
        self.outputs = tuple(_info(detail) for detail in self._out)

    @property
    def batch(self) -> int:
        """The first dimension of the first input."""
        return self.inputs[0].shape[0] if self.inputs and self.inputs[0].shape else 1

    def run(self, *batches: np.ndarray) -> list[np.ndarray]:
        """One array an input, [batch, ...], real float32 or of the input's own dtype -> real float32 an output.

        Raises BadInput for a shape that is not the input's, naming the expected one, and when the runtime fails.
        """
        if len(batches) != len(self.inputs):
            raise BadInput(f"{self._name} has {len(self.inputs)} inputs and was given {len(batches)}.")
        for info, values in zip(self.inputs, batches, strict=True):
            if values.shape != info.shape:
                raise BadInput(
                    f"{self._name} expects input {list(info.shape)}, not {list(values.shape)}.",
                    "Resize the images to the expected size.",
                )
        with rejections_of(self._name):
            for info, detail, values in zip(self.inputs, self._in, batches, strict=True):
                self._interpreter.set_tensor(detail["index"], info.encode(values))
            self._interpreter.invoke()
            return [
                info.decode(self._interpreter.get_tensor(detail["index"]))
                for info, detail in zip(self.outputs, self._out, strict=True)
            ]


def open_model(source: Path | str | bytes, threads: int = 1, batch: int | None = None, name: str = "") -> Loaded:
    """Opens a .tflite (path or its bytes) for `batch` images at a time; None keeps the file's own batch.

    A file that cannot take the batch stays at its own one and `Loaded.refused` says why. `name` stands for the file in
    messages. Raises BadInput when the runtime rejects the file, DeviceError when there is no runtime.
    """
    kind, runtime = find_runtime()
    name = name or ("The model" if isinstance(source, bytes) else str(source))
    where = {"model_content": source} if isinstance(source, bytes) else {"model_path": str(source)}

    def opened(size: int | None, refused: str) -> Loaded:
        with captured_stderr():  # the runtime announces its delegate there
            interpreter = kind(num_threads=threads, **where)
            if size is not None:
                _resize(interpreter, size)
            interpreter.allocate_tensors()
        return Loaded(interpreter, runtime, name, refused)

    refused = ""
    if batch is not None:
        try:
            return opened(batch, refused)
        except REJECTIONS as error:
            refused = first_line(error)
    with rejections_of(name):
        return opened(None, refused)


@functools.cache
def find_runtime() -> tuple[Any, str]:
    """The class Interpreter and "name version" of the first runtime that is installed."""
    for distribution, module in RUNTIMES.items():
        try:
            kind = importlib.import_module(module).Interpreter
        except ImportError:
            continue
        return kind, f"{distribution} {metadata.version(distribution)}"
    raise DeviceError("No TensorFlow Lite runtime is installed.", "Run: pip install ai-edge-litert")


@contextmanager
def rejections_of(name: str) -> Iterator[None]:
    """Turns whatever a runtime raises about a file into BadInput with its own reason, in one line."""
    try:
        yield
    except REJECTIONS as error:
        if refused := too_new(name, first_line(error), find_runtime()[1]):
            raise refused from None
        raise BadInput(f"{name} cannot be run: {first_line(error)}.", "Check the file, or export it again.") from None


def too_new(name: str, said: str, runtime: str) -> BadInput | None:
    """The sentence where what `runtime` said of the file `name` is that it lacks an operator; None for any other
    complaint."""
    version = re.search(r"Didn't find op for builtin opcode '(\w+)' version '(\d+)'", said)
    code = re.search(r"builtin_code out of range: (\d+)", said)
    if not (version or code):
        return None
    needs = f"version {version[2]} of {version[1]}" if version else f"the operator number {code and code[1]}"
    dense = version and version[1] == "FULLY_CONNECTED"
    again = "with dense layers as convolutions (--set steps.rewrite.dense=conv)" if dense else "with its converter"
    return BadInput(
        f"{name} needs {needs}, which {runtime} does not have: the runtime is too old for it.",
        f"Install a newer runtime, or export the model again {again}.",
    )


def first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rstrip(".") if lines else type(error).__name__


def _resize(interpreter: Any, batch: int) -> None:
    for detail in interpreter.get_input_details():
        shape = [int(size) for size in detail["shape"]]
        if not shape:
            raise ValueError("an input is a scalar and has no batch dimension")
        if shape[0] != batch:
            interpreter.resize_tensor_input(detail["index"], [batch, *shape[1:]])


def _info(detail: dict[str, Any]) -> TensorInfo:
    scales = detail["quantization_parameters"]["scales"]
    zeros = detail["quantization_parameters"]["zero_points"]
    quantized = len(scales) == 1 and len(zeros) == 1 and np.issubdtype(detail["dtype"], np.integer)
    return TensorInfo(
        name=detail["name"],
        shape=tuple(int(size) for size in detail["shape"]),
        dtype=np.dtype(detail["dtype"]).name,
        scale=float(scales[0]) if quantized else None,
        zero_point=int(zeros[0]) if quantized else None,
    )
