"""Evaluations of seeded scores, as a classifier could have given them."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgekit.evaluation.metrics import softmax
from edgekit.evaluation.record import Evaluation

NAMES = tuple("abcdefgh")


def world(n: int = 4000, classes: int = 8, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits [n, classes] that are right as often as they say, and labels drawn from them."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(0, 2, (n, classes))
    chances = softmax(logits).cumsum(axis=1)
    return logits, (generator.random((n, 1)) > chances).sum(axis=1).clip(max=classes - 1)


def evaluation(scores: np.ndarray, labels: np.ndarray, file: str = "a.tflite", **fields: Any) -> Evaluation:
    n, classes = scores.shape
    about = {"sha256": "ab" * 32, "class_names": NAMES[:classes], "names": tuple(f"{i:05}.png" for i in range(n)),
             "data_sha256": "11" * 32, "batch": 1, **fields}  # fmt: skip
    return Evaluation(file=file, labels=labels, scores=scores.astype(np.float32), **about)


def answering(predictions: np.ndarray, labels: np.ndarray, file: str = "a.tflite", **fields: Any) -> Evaluation:
    """One that is 90 % sure of each prediction."""
    classes = int(max(predictions.max(), labels.max())) + 1
    scores = np.full((len(labels), classes), 0.1 / (classes - 1))
    scores[np.arange(len(labels)), predictions] = 0.9
    return evaluation(scores, labels, file, **fields)
