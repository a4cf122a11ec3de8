"""What comes before and behind the inference, timed apart: decode, resize, normalize; dequantize, softmax, argmax."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from time import perf_counter_ns
from typing import Any

import numpy as np

from edgekit.data.images import decode, normalize, resize
from edgekit.errors import BadInput
from edgekit.evaluation.expects import said_of
from edgekit.preprocess import Preprocess
from edgekit.runtime import isolate
from edgekit.runtime.interpreter import TensorInfo
from edgekit.runtime.probe import probe

SIZE = (640, 480)  # of the sample image
RUNS, UNTIMED = 100, 5


def time_processing(path: str | Path, image: Path | None = None) -> dict[str, Any]:
    """{"image": what it is, and raw nanoseconds: "decode_ns", "resize_ns", "normalize_ns", "postprocess_ns": [...]} of
    edgekit's own pre- and post-processing of one image, in a worker. Nothing of it is part of a latency.

    `image`: a file; by default a JPEG of 640 x 480 pixels is made. Raises BadInput for a file of which neither a card
    nor its own contract says how images are prepared, and for an image that cannot be read.
    """
    found = probe(path)
    said, _ = said_of(found.path, found.content)
    if said is None or said.preprocessing is None:
        raise BadInput(
            f"{path} has no card, and nothing in it says how images are prepared for it.",
            "Write it into the file: edgekit metadata set --preprocess, or measure it without --with-preprocessing.",
        )
    content, about = (image.read_bytes(), image.name) if image else (_sample(), f"a JPEG of {SIZE[0]} x {SIZE[1]}")
    return {
        "image": about,
        **isolate.call(
            _time_steps,
            (said.preprocessing, said.output_meaning),
            content,
            (found.inputs[0], found.outputs[0]),
            what=str(path),
            timeout=120,
        ),
    }


def _time_steps(
    said: tuple[Preprocess, str | None], content: bytes, ends: tuple[TensorInfo, TensorInfo]
) -> dict[str, list[int]]:
    """Nanoseconds of every step, each of RUNS times."""
    (preprocess, meaning), (takes, gives) = said, ends
    pixels = decode(content)
    small = resize(pixels, preprocess)
    raw = np.random.default_rng(0).integers(0, 100, gives.shape).astype(gives.dtype)
    steps: dict[str, Callable[[], Any]] = {
        "decode_ns": lambda: decode(content),
        "resize_ns": lambda: resize(pixels, preprocess),
        "normalize_ns": lambda: takes.encode(normalize(small[None], preprocess)),
        "postprocess_ns": lambda: _answer(gives.decode(raw), meaning),
    }
    return {name: _timed(step) for name, step in steps.items()}


def _answer(scores: np.ndarray, meaning: str | None) -> int:
    """The class of the first image."""
    if meaning == "raw":
        powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
        scores = powers / powers.sum(axis=-1, keepdims=True)
    return int(scores[0].argmax())


def _timed(step: Callable[[], Any]) -> list[int]:
    found = []
    for _ in range(UNTIMED + RUNS):
        before = perf_counter_ns()
        step()
        found.append(perf_counter_ns() - before)
    return found[UNTIMED:]


def _sample() -> bytes:
    """A seeded JPEG of shapes and some noise: as hard to decode as a photo of its size."""
    from PIL import Image

    generator = np.random.default_rng(0)
    coarse = generator.integers(0, 256, (SIZE[1] // 40, SIZE[0] // 40, 3), np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize(SIZE, Image.Resampling.BICUBIC), np.float64)
    noisy = np.clip(smooth + generator.normal(0, 8, smooth.shape), 0, 255).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noisy).save(stream, "JPEG", quality=90)
    return stream.getvalue()
