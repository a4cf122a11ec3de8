"""What a file is and whether it runs, found out in a worker process: nothing else here opens a file before this."""

from __future__ import annotations

import functools
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from edgekit.artifact import sha256_of
from edgekit.errors import BadInput
from edgekit.runtime import isolate
from edgekit.runtime.interpreter import Loaded, TensorInfo, open_model, rejections_of
from edgekit.runtime.validate import read_model

TIMEOUT = 120.0  # seconds for opening a file and a few inferences


@dataclass(frozen=True)
class Probed:
    """A file that was validated, opened and invoked. `refused` says why `batch` is not the one asked for."""

    path: Path
    content: bytes
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    runtime: str
    batch: int
    refused: str
    seconds: float  # of one inference of `batch` images

    @functools.cached_property
    def sha256(self) -> str:
        return sha256_of(self.content)


def probe(path: Path | str, batch: int | None = None, timeout: float = TIMEOUT) -> Probed:
    """Validates the file, then runs it on seeded random input in a worker. Raises BadInput for a file that fails.

    `batch` is taken only if the file gives the same answers with it as one by one: a graph with its batch size wired in
    can accept another one and mix up the images.
    """
    path = Path(path)
    content = read_model(path)
    found: Probed = isolate.call(_probe, path, content, batch, what=str(path), timeout=timeout)
    return replace(found, content=content)


def random_inputs(inputs: tuple[TensorInfo, ...], seed: int = 0) -> list[np.ndarray]:
    """Seeded inputs of the tensors' own shapes and dtypes: floats in [-1, 1), integers over their whole range."""
    generator = np.random.default_rng(seed)

    def one(info: TensorInfo) -> np.ndarray:
        if np.issubdtype(info.dtype, np.integer):
            limits = np.iinfo(info.dtype)
            return generator.integers(limits.min, limits.max, info.shape, info.dtype, endpoint=True)
        return generator.uniform(-1, 1, info.shape).astype(info.dtype)

    return [one(info) for info in inputs]


def _probe(path: Path, content: bytes, batch: int | None) -> Probed:
    with rejections_of(str(path)):
        return _tried(path, content, batch)


def _tried(path: Path, content: bytes, batch: int | None) -> Probed:
    loaded = open_model(content, name=str(path))
    odd = [info.dtype for info in loaded.inputs if not np.issubdtype(info.dtype, np.number)]
    if odd or not loaded.inputs or not loaded.outputs:
        raise BadInput(f"{path} has no numeric input or no output.", "Give an image classifier.")
    refused = "" if batch in (None, loaded.batch) else f"its own batch is {loaded.batch}"
    if batch is not None and loaded.batch == 1 != batch:
        larger = open_model(content, batch=batch, name=str(path))
        refused = larger.refused or _differs(larger, loaded)
        loaded = loaded if refused else larger
    inputs = random_inputs(loaded.inputs)
    started = time.perf_counter()
    given = loaded.run(*inputs)
    seconds = time.perf_counter() - started
    # A graph may learn the shape of its outputs only by running.
    outputs = tuple(replace(info, shape=values.shape) for info, values in zip(loaded.outputs, given, strict=True))
    return Probed(path, b"", loaded.inputs, outputs, loaded.runtime, loaded.batch, refused, seconds)


def _differs(larger: Loaded, single: Loaded) -> str:
    """Why the larger batch cannot be used, or "": its first and last rows must be what one image alone gives."""
    inputs = random_inputs(larger.inputs)
    try:
        together = larger.run(*inputs)
    except BadInput as error:
        return error.fact
    for row in (0, larger.batch - 1):
        alone = single.run(*(values[row : row + 1] for values in inputs))
        if not all(_same_row(*outputs, row) for outputs in zip(single.outputs, alone, together, strict=True)):
            return "its answers change with the batch"
    return ""


def _same_row(info: TensorInfo, alone: np.ndarray, together: np.ndarray, row: int) -> bool:
    """Within one quantization step, or within 1e-4 of the largest value for floats."""
    if row >= len(together) or alone.shape[1:] != together.shape[1:]:
        return False
    near = (info.scale or 0.0) + 1e-4 * float(np.abs(alone).max(initial=0))
    return np.allclose(alone[0], together[row], rtol=0, atol=near, equal_nan=True)
