"""The answers of a .tflite on labelled images, one by one in the data's order, from worker processes."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgekit.artifact import Artifact, sha256_of
from edgekit.data.images import normalize
from edgekit.errors import BadInput, UsageError
from edgekit.evaluation.metrics import Proportion, a_score_a_class, in_top, predictions, scores_fit, softmax
from edgekit.preprocess import Preprocess
from edgekit.progress import Progress, Reporter, silent
from edgekit.runtime import isolate
from edgekit.runtime.interpreter import Loaded, TensorInfo, open_model
from edgekit.runtime.probe import Probed, probe

if TYPE_CHECKING:
    import pandas as pd

    from edgekit.data.split import Split

# Batches pay off while they stay small: 32-px images run twice as fast by the hundred, 224-px ones no faster at all.
BATCH_BYTES, LARGEST_BATCH = 256 * 1024, 100
IMAGES_A_WORKER = 100  # fewer are not worth starting a process for
_CALLS_A_WORKER = 8
_SECONDS_AN_IMAGE = 5.0  # allowed for reading one, on top of 20 times the measured inference


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Raw per-image results of one file; every figure is derived from them.

    `labels`, `predictions`: int64 [n], positions in `class_names`; `top5_hits`: bool [n]; `confidence`: float32 [n],
    the probability of the prediction (after a softmax, for a file that gives logits). `batch_note` says why images ran
    one by one although a larger batch was asked for.
    """

    file: str
    sha256: str
    class_names: tuple[str, ...]
    names: tuple[str, ...]
    labels: np.ndarray
    predictions: np.ndarray
    top5_hits: np.ndarray
    confidence: np.ndarray
    batch: int
    batch_note: str = ""

    @property
    def n(self) -> int:
        return len(self.names)

    @property
    def correct(self) -> np.ndarray:
        """bool [n]"""
        return self.predictions == self.labels

    @property
    def top1(self) -> Proportion:
        return Proportion(int(self.correct.sum()), self.n)

    @property
    def top5(self) -> Proportion | None:
        """None for five classes or fewer, where it says nothing."""
        return Proportion(int(self.top5_hits.sum()), self.n) if len(self.class_names) > 5 else None

    @property
    def ci95(self) -> tuple[float, float]:
        """Of top1."""
        return self.top1.ci95

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

    def to_frame(self) -> pd.DataFrame:
        """One row an image: name, label, prediction (class names), correct, top5, confidence."""
        import pandas as pd

        names = np.array(self.class_names, dtype=object)
        return pd.DataFrame(
            {
                "name": self.names,
                "label": names[self.labels],
                "prediction": names[self.predictions],
                "correct": self.correct,
                "top5": self.top5_hits,
                "confidence": self.confidence,
            }
        )


def evaluate(
    path: str | Path | Artifact,
    split: Split,
    preprocess: Preprocess | None = None,
    *,
    labels: tuple[str, ...] | None = None,
    workers: int | None = None,
    batch_size: int | None = None,
    progress: Reporter = silent,
) -> Evaluation:
    """Runs every image of `split` through the file, in `workers` processes with one interpreter thread each.

    `preprocess` is what the file expects of the caller (default: the split's), `labels` the file's class names in the
    order of its outputs (default: the split's). Defaults: one worker a usable core, a batch that fits the image size.
    The answers come in the data's order and do not depend on `workers`. Raises BadInput for a file that does not
    run, is no classifier of as many classes, or takes images of another size.
    """
    for name, value in (("workers", workers), ("batch_size", batch_size)):
        if value is not None and value < 1:
            raise UsageError(f"{name} is {value}.", "Give one or more.")
    file = Path(path.path if isinstance(path, Artifact) else path)
    preprocess = preprocess or split.preprocess
    class_names = tuple(split.class_names if labels is None else labels)
    if not len(split):
        raise BadInput("There are no images to evaluate on.", "Check --data.")
    found = probe(file, batch=batch_size or batch_for(preprocess))
    check_classifier(found, preprocess, class_names)
    if split.class_names != class_names:
        raise BadInput(
            f"{file} tells apart {_listed(class_names)}, the images are of {_listed(split.class_names)}.",
            "Give images of the same classes, in the same order.",
        )
    rows = list(_rows(found, split, preprocess, workers, progress))
    return _evaluation(found, split, class_names, rows)


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def batch_for(preprocess: Preprocess) -> int:
    """Images in a batch: as many as fit BATCH_BYTES of pixels, at most LARGEST_BATCH."""
    return max(1, min(LARGEST_BATCH, BATCH_BYTES // (preprocess.height * preprocess.width * 3)))


def check_classifier(found: Probed, preprocess: Preprocess, class_names: tuple[str, ...]) -> None:
    """Raises BadInput unless the file takes images [batch, height, width, 3] and gives one score a class.

    Of two classes one score is enough: the probability of the second.
    """
    if len(found.inputs) != 1 or len(found.inputs[0].shape) != 4 or found.inputs[0].shape[3] != 3:
        shapes = ", ".join(str(list(info.shape)) for info in found.inputs)
        raise BadInput(
            f"{found.path} is not a classifier of RGB images: it takes {shapes}.", "Give an image classifier."
        )
    height, width = found.inputs[0].shape[1:3]
    if (height, width) != (preprocess.height, preprocess.width):
        raise BadInput(
            f"{found.path} expects {height}x{width} images, not {preprocess.height}x{preprocess.width}.",
            f"Load the data with height={height} and width={width}.",
        )
    scores = found.outputs[0].shape
    if len(found.outputs) != 1 or math.prod(scores) != found.batch * scores[-1]:
        shapes = ", ".join(str(list(info.shape)) for info in found.outputs)
        raise BadInput(f"{found.path} is not a classifier: its outputs are {shapes}.", "Give an image classifier.")
    if not scores_fit(scores[-1], len(class_names)):
        raise BadInput(
            f"{found.path} gives {scores[-1]} scores and there are {len(class_names)} labels.",
            "Give the data, or the labels, that it was trained on.",
        )


@dataclass(frozen=True)
class _Rows:
    """What is kept of some images' scores. `unit`: all of them lie in [0, 1], as probabilities do."""

    predictions: np.ndarray
    top5_hits: np.ndarray
    highest: np.ndarray
    softmaxed: np.ndarray
    unit: bool


def _rows(found: Probed, split: Split, preprocess: Preprocess, workers: int | None, progress: Reporter) -> Any:
    from loky import cpu_count

    n = len(split)
    workers = min(workers or cpu_count(), math.ceil(n / found.batch))
    workers = max(1, min(workers, n // IMAGES_A_WORKER))
    # Whole batches, so that an image meets the same batch whatever the number of workers.
    size = found.batch * math.ceil(n / (found.batch * workers * _CALLS_A_WORKER))
    starts = range(0, n, size)
    calls = (
        (found.path, found.sha256, found.batch, split.take(range(start, min(start + size, n))), preprocess)
        for start in starts
    )
    allowed = 60 + size * (_SECONDS_AN_IMAGE + 20 * found.seconds / found.batch)
    answers = isolate.each(_answer, calls, workers=workers, what=str(found.path), timeout=allowed)
    for start, rows in zip(starts, answers, strict=True):
        yield rows
        progress(Progress("evaluate", min(start + size, n), n, found.path.name))


def _answer(path: Path, sha256: str, batch: int, split: Split, preprocess: Preprocess) -> _Rows:
    """In a worker: the images of `split` through the file."""
    loaded = _opened(path, sha256, batch)
    feed = _codes(preprocess, loaded.inputs[0])
    outputs = []
    for start in range(0, len(split), batch):
        images = split.read(range(start, min(start + batch, len(split))))
        outputs.append(_scores(loaded, feed, images))
    scores = np.concatenate(outputs)
    if not np.isfinite(scores).all():
        raise BadInput(f"{path} gives scores that are not finite.", "Check the model: it overflows on these images.")
    return _Rows(
        predictions(scores),
        in_top(scores, split.labels, 5),
        scores.max(axis=1),
        softmax(scores).max(axis=1).astype(np.float32),
        bool(scores.min() >= 0 and scores.max() <= 1),
    )


@functools.lru_cache(maxsize=1)
def _opened(path: Path, sha256: str, batch: int) -> Loaded:
    """Kept from one call of a worker to the next."""
    content = path.read_bytes()
    if sha256_of(content) != sha256:
        raise BadInput(f"{path} changed while it was evaluated.", "Evaluate it again.")
    return open_model(content, batch=batch, name=str(path))


@functools.lru_cache(maxsize=1)
def _codes(preprocess: Preprocess, info: TensorInfo) -> tuple[np.ndarray, ...]:
    """What each of the 256 pixel values becomes in the input tensor, a table a channel.

    Looking values up is faster than dividing and rounding every pixel, and gives the same by construction.
    """
    every = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    table = info.encode(normalize(every, preprocess))
    return tuple(np.ascontiguousarray(table[:, channel]) for channel in range(3))


def _scores(loaded: Loaded, codes: tuple[np.ndarray, ...], images: np.ndarray) -> np.ndarray:
    """uint8 [b, h, w, 3], b at most the batch -> float32 [b, classes]; a last short batch is filled up with zeros."""
    batch = np.zeros(loaded.inputs[0].shape, codes[0].dtype)
    for channel, table in enumerate(codes):
        batch[: len(images), ..., channel] = np.take(table, images[..., channel])
    scores = loaded.run(batch)[0].reshape(loaded.batch, -1)[: len(images)]
    return a_score_a_class(scores)


def _evaluation(found: Probed, split: Split, class_names: tuple[str, ...], rows: list[_Rows]) -> Evaluation:
    together = {
        name: np.concatenate([getattr(row, name) for row in rows])
        for name in ("predictions", "top5_hits", "highest", "softmaxed")
    }
    probabilities = all(row.unit for row in rows)
    return Evaluation(
        file=str(found.path), sha256=found.sha256, class_names=class_names, names=split.names, labels=split.labels,
        predictions=together["predictions"], top5_hits=together["top5_hits"],
        confidence=together["highest" if probabilities else "softmaxed"], batch=found.batch, batch_note=found.refused,
    )  # fmt: skip
