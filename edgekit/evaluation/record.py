"""One file's answers on labelled images as a value: raw scores, and every figure that is derived from them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgekit.evaluation.metrics import Proportion, in_top, predictions
from edgekit.evaluation.per_class import ClassFigures, OtherOrder, confused, confusion, figures, other_order, weak
from edgekit.evaluation.reliability import BINS, BLOCK, Reliability, Scores, reliability

if TYPE_CHECKING:
    import pandas as pd

TOP = 5
ERRORS = 20  # the most confident ones


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Raw per-image results of one file; every figure is derived from them.

    `labels`: int64 [n], positions in `class_names`; `scores`: float32 [n, classes] as the file gives them,
    probabilities or logits, perhaps mapped from a temporary file; `data_sha256`: of the images' pixels and classes in
    their order. `batch_note` says why images ran one by one although a larger batch was asked for.
    """

    file: str
    sha256: str
    class_names: tuple[str, ...]
    names: tuple[str, ...]
    labels: np.ndarray
    scores: np.ndarray
    data_sha256: str
    batch: int
    batch_note: str = ""

    @property
    def n(self) -> int:
        return len(self.names)

    @functools.cached_property
    def predictions(self) -> np.ndarray:
        """int64 [n], positions in `class_names`."""
        return self._each(lambda scores, _: predictions(scores))

    @property
    def correct(self) -> np.ndarray:
        """bool [n]"""
        return self.predictions == self.labels

    def in_top(self, k: int) -> np.ndarray:
        """Whether each label is among the k highest scores: bool [n]."""
        return self._each(lambda scores, labels: in_top(scores, labels, k))

    @functools.cached_property
    def top5_hits(self) -> np.ndarray:
        """bool [n]"""
        return self.in_top(TOP)

    @property
    def top1(self) -> Proportion:
        return Proportion(int(self.correct.sum()), self.n)

    def top(self, k: int) -> Proportion | None:
        """None for k classes or fewer, where it says nothing."""
        if len(self.class_names) <= k:
            return None
        return Proportion(int((self.top5_hits if k == TOP else self.in_top(k)).sum()), self.n)

    @property
    def top5(self) -> Proportion | None:
        return self.top(TOP)

    @property
    def ci95(self) -> tuple[float, float]:
        """Of top1."""
        return self.top1.ci95

    @functools.cached_property
    def beliefs(self) -> Scores:
        """The scores as probabilities: given as such where all lie in [0, 1], else by a softmax."""
        return Scores(self.scores, bool(self._each(lambda s, _: (s.min(axis=1) >= 0) & (s.max(axis=1) <= 1)).all()))

    @functools.cached_property
    def confidence(self) -> np.ndarray:
        """The probability of the prediction: float32 [n]."""
        return self.beliefs.confidence()

    def reliability(self, temperature: float = 1.0, bins: int = BINS) -> Reliability:
        """As the file is, or with its logits divided by a temperature."""
        sure = self.confidence if temperature == 1.0 else self.beliefs.confidence(temperature)
        return reliability(sure, self.correct, bins)

    @functools.cached_property
    def temperature(self) -> float:
        """What the logits are to be divided by to be calibrated on these images: above 1, the file is too sure."""
        return self.beliefs.temperature(self.labels)

    @functools.cached_property
    def confusion(self) -> np.ndarray:
        """int64 [classes, classes]: images by label (row) and prediction (column)."""
        return confusion(self.labels, self.predictions, len(self.class_names))

    @functools.cached_property
    def classes(self) -> tuple[ClassFigures, ...]:
        """Support, precision, recall and F1 of each class, in order."""
        return figures(self.confusion, self.class_names)

    @property
    def weak_classes(self) -> tuple[ClassFigures, ...]:
        """Those with a recall below 0.7, the weakest first."""
        return weak(self.classes)

    @property
    def empty_classes(self) -> tuple[str, ...]:
        """Those without an image."""
        return tuple(one.name for one in self.classes if not one.support)

    @property
    def other_order(self) -> OtherOrder | None:
        """The order of the classes that the answers fit, where it is not the one of the labels."""
        return other_order(self.confusion, self.class_names)

    def confident_errors(self, most: int = ERRORS) -> np.ndarray:
        """int64: the places of the wrong answers, the most confident first."""
        wrong = np.flatnonzero(~self.correct)
        return wrong[np.argsort(-self.confidence[wrong], kind="stable")][:most]

    def summary(self) -> dict[str, Any]:
        """The figures by their names in docs/contracts.md, JSON-able."""
        top5 = self.top5
        return {
            "file": self.file,
            "sha256": self.sha256,
            "n": self.n,
            "classes": len(self.class_names),
            "top1": self.top1.to_json(),
            "top5": top5.to_json() if top5 else None,
        }

    def to_json(self, top_k: Sequence[int] = (), bins: int = BINS) -> dict[str, Any]:
        """The summary, and all that is derived from the raw results."""
        others = {f"top{k}": found.to_json() for k in top_k if (found := self.top(k))}
        order = self.other_order
        return {
            **self.summary(),
            **others,
            "data_sha256": self.data_sha256,
            "class_names": list(self.class_names),
            "per_class": [one.to_json() for one in self.classes],
            "weak_classes": [one.name for one in self.weak_classes],
            "empty_classes": list(self.empty_classes),
            "other_order": order and {"taken_for": order.taken_for, "fits": order.fits.to_json()},
            "confused": [vars(one) for one in confused(self.confusion, self.class_names)],
            "calibration": self._calibration(bins),
            "confident_errors": self.to_frame(self.confident_errors()).drop(columns="correct").to_dict("records"),
            "batch": self.batch,
            "batch_note": self.batch_note,
        }

    def _calibration(self, bins: int) -> dict[str, Any]:
        found, mended = self.reliability(bins=bins), self.reliability(self.temperature, bins)
        return {
            "n": self.n,
            **found.to_json(),
            "log_loss": self.beliefs.surprise(self.labels),
            "temperature": self.temperature,
            "at_temperature": {**mended.to_json(), "log_loss": self.beliefs.surprise(self.labels, self.temperature)},
        }

    def to_frame(self, at: np.ndarray | None = None) -> pd.DataFrame:
        """One row an image (those at the places `at` only): name, label, prediction (class names), correct, top5,
        confidence."""
        import pandas as pd

        at = np.arange(self.n) if at is None else at
        names = np.array(self.class_names, dtype=object)
        return pd.DataFrame(
            {
                "name": [self.names[i] for i in at],
                "label": names[self.labels[at]],
                "prediction": names[self.predictions[at]],
                "correct": self.correct[at],
                "top5": self.top5_hits[at],
                "confidence": self.confidence[at],
            }
        )

    def per_class(self) -> pd.DataFrame:
        """One row a class: class, support, answered, hits, precision, recall, f1, ci95 (of the recall)."""
        import pandas as pd

        return pd.DataFrame([one.to_json() for one in self.classes])

    def _each(self, function: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> np.ndarray:
        """function(scores, labels) of a block of images after the other: all of them may be larger than memory."""
        starts = range(0, self.n, BLOCK)
        blocks = [(np.asarray(self.scores[i : i + BLOCK]), self.labels[i : i + BLOCK]) for i in starts]
        return np.concatenate([function(*block) for block in blocks])
