"""Results as the commands write them, with what is planted in them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.evaluation.examine import Examined
from edgekit.evaluation.keep import keep
from tests.evaluation.answers import answering
from tests.measurement.example import measured

N, CLASSES = 1000, 5
LABELS = np.arange(N) % CLASSES


def evaluated(folder: Path, wrong: int = 100, file: str = "model.tflite", seed: int = 0, **fields: Any) -> Path:
    """`evaluate --out`: the first `wrong` images of a seeded order are answered wrongly."""
    order = np.random.default_rng(seed).permutation(N)[:wrong]
    predictions = LABELS.copy()
    predictions[order] = (predictions[order] + 1) % CLASSES
    found = answering(predictions, LABELS, file, **fields)
    keep((found,), Examined("photos", (found,)).to_json(), folder)
    return folder


def benched(path: Path, ms: float = 1.0, size: int = 4000, seed: int = 0, **fields: Any) -> Path:
    """`bench --out`, of a median of so many milliseconds."""
    one = measured("model.tflite", median=ms * 1e6, seed=seed, size_bytes=size, **fields)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"files": [one.to_json()], "comparisons": [], "gate": [], "inside": []}))
    return path
