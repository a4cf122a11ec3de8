"""How far the answers of two files lie apart, without any data: on drawn pictures, or on drawn arrays."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from edgekit.errors import BadInput
from edgekit.evaluation.golden import drawn_picture, normalized, pixels
from edgekit.evaluation.metrics import sqnr_db
from edgekit.preprocess import Preprocess
from edgekit.runtime import isolate
from edgekit.runtime.interpreter import Loaded, open_model
from edgekit.runtime.probe import TIMEOUT, Probed

SAMPLES = 16
SIDE = 256  # pixels of the pictures


@dataclass(frozen=True)
class Apart:
    """Over `n` samples and all outputs: the largest difference of two real values, as it is and as a share of the
    first file's largest; the signal to noise of the worst output (None where they are equal); `agreement`: the share of
    samples with the same highest score in the first output. `fed`: pictures, each as its own file wants them, or
    arrays. `refused` says why the files cannot be fed the same."""

    n: int = 0
    fed: str = ""
    max_abs: float | None = None
    max_relative: float | None = None
    sqnr_db: float | None = None
    agreement: float | None = None
    refused: str = ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def answers_apart(first: Probed, second: Probed, looks: tuple[Preprocess | None, Preprocess | None]) -> Apart:
    """`looks`: what each file's caller does to a picture, None where nobody says. Seeded: twice the same."""
    if None in looks and [one.shape for one in first.inputs] != [one.shape for one in second.inputs]:
        return Apart(refused="Their inputs have other shapes, and they do not both say how pictures are prepared.")
    if [one.shape for one in first.outputs] != [one.shape for one in second.outputs]:
        return Apart(refused="Their outputs have other shapes.")
    ours, theirs = (
        isolate.call(_answers, one.content, look, what=str(one.path), timeout=TIMEOUT + 20 * SAMPLES * one.seconds)
        for one, look in zip((first, second), looks if None not in looks else (None, None), strict=True)
    )
    largest = max(float(np.abs(one).max(initial=0)) for one in ours)
    apart = max(float(np.abs(one - other).max(initial=0)) for one, other in zip(ours, theirs, strict=True))
    noise = [sqnr_db(one, other) for one, other in zip(ours, theirs, strict=True)]
    top = [one[0].reshape(SAMPLES, -1).argmax(axis=1) for one in (ours, theirs)]
    return Apart(
        n=SAMPLES,
        fed="arrays" if None in looks else "pictures",
        max_abs=apart,
        max_relative=apart / largest if largest else None,
        sqnr_db=min(noise) if np.isfinite(min(noise)) else None,
        agreement=float((top[0] == top[1]).mean()),
    )


def _answers(content: bytes, look: Preprocess | None) -> list[np.ndarray]:
    """In a worker: an array [SAMPLES, ...] an output."""
    model = open_model(content)
    answers = [model.run(*_drawn(model, look, seed)) for seed in range(SAMPLES)]
    if not all(np.isfinite(one).all() for answer in answers for one in answer):
        raise BadInput("An output is not finite on drawn inputs.", "Compare the files with --data.")
    return [np.stack(parts) for parts in zip(*answers, strict=True)]


def _drawn(model: Loaded, look: Preprocess | None, seed: int) -> tuple[np.ndarray, ...]:
    if look is not None:
        return (normalized(pixels(drawn_picture(SIDE, SIDE, seed), look), look, model.batch),)
    generator = np.random.default_rng(seed)
    return tuple(generator.uniform(-1, 1, one.shape).astype(np.float32) for one in model.inputs)
