"""The answers of a .tflite on labelled images, one by one in the data's order, from worker processes."""

from __future__ import annotations

import functools
import math
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgekit.artifact import Artifact, sha256_of
from edgekit.data.images import normalize
from edgekit.errors import BadInput, UsageError
from edgekit.evaluation.metrics import a_score_a_class, scores_fit
from edgekit.evaluation.record import Evaluation
from edgekit.preprocess import Preprocess
from edgekit.progress import Progress, Reporter, silent
from edgekit.runtime import isolate
from edgekit.runtime.interpreter import Loaded, TensorInfo, open_model
from edgekit.runtime.probe import Probed, probe

if TYPE_CHECKING:
    from edgekit.data.split import Split

# Batches pay off while they stay small: 32-px images run twice as fast by the hundred, 224-px ones no faster at all.
BATCH_BYTES, LARGEST_BATCH = 256 * 1024, 100
IN_MEMORY = 64 * 2**20  # bytes of scores; more of them lie in a temporary file
IMAGES_A_WORKER = 100  # fewer are not worth starting a process for
_CALLS_A_WORKER = 8
_SECONDS_AN_IMAGE = 5.0  # allowed for reading one, on top of 20 times the measured inference


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
    if workers is not None and workers < 1:
        raise UsageError(f"workers is {workers}.", "Give one or more.")
    preprocess = preprocess or split.preprocess
    found, class_names = judged(path, split, preprocess, labels, batch_size)
    return evaluation_of(found, split, class_names, _parts(found, split, preprocess, workers, progress))


def judged(
    path: str | Path | Artifact,
    split: Split,
    preprocess: Preprocess,
    labels: tuple[str, ...] | None = None,
    batch_size: int | None = None,
) -> tuple[Probed, tuple[str, ...]]:
    """The file, probed with the batch it will run in, and its class names. Raises as `evaluate` does."""
    if batch_size is not None and batch_size < 1:
        raise UsageError(f"batch_size is {batch_size}.", "Give one or more.")
    file = Path(path.path if isinstance(path, Artifact) else path)
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
    return found, class_names


def evaluation_of(found: Probed, split: Split, class_names: tuple[str, ...], parts: Iterable[np.ndarray]) -> Evaluation:
    """The scores of all images, float32 [some, classes] after the other in the data's order, as one value. Raises
    BadInput where they are not finite."""
    scores, start = _room(len(split), len(class_names)), 0
    for part in parts:
        if not np.isfinite(part).all():
            fact = f"{found.path} gives scores that are not finite."
            raise BadInput(fact, "Check the model: it overflows on these images.")
        scores[start : start + len(part)] = part
        start += len(part)
    return Evaluation(
        file=str(found.path), sha256=found.sha256, class_names=class_names, names=split.names, labels=split.labels,
        scores=scores, data_sha256=split.sha256, batch=found.batch, batch_note=found.refused,
    )  # fmt: skip


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


def _room(n: int, classes: int) -> np.ndarray:
    """float32 [n, classes], in a temporary file where it is large: memory does not grow with the images."""
    if 4 * n * classes <= IN_MEMORY:
        return np.empty((n, classes), np.float32)
    return np.memmap(tempfile.TemporaryFile(), np.float32, "w+", shape=(n, classes))  # type: ignore[no-any-return]


def _parts(
    found: Probed, split: Split, preprocess: Preprocess, workers: int | None, progress: Reporter
) -> Iterator[np.ndarray]:
    """The scores of the images, some after the others, from worker processes."""
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
    parts = isolate.each(_part, calls, workers=workers, what=str(found.path), timeout=allowed)
    for start, scores in zip(starts, parts, strict=True):
        yield scores
        progress(Progress("evaluate", min(start + size, n), n, found.path.name))


def _part(path: Path, sha256: str, batch: int, split: Split, preprocess: Preprocess) -> np.ndarray:
    """In a worker: the images of `split` through the file -> float32 [n, classes]."""
    return np.concatenate([scores for _, scores in answers(path, sha256, batch, split, preprocess)])


def answers(
    path: Path, sha256: str, batch: int, split: Split, preprocess: Preprocess
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(uint8 images [b, h, w, 3], float32 scores [b, classes]) of one batch after the other, in this process."""
    loaded = opened(path, sha256, batch)
    feed = codes(preprocess, loaded.inputs[0])
    for start in range(0, len(split), batch):
        images = split.read(range(start, min(start + batch, len(split))))
        yield images, _scores(loaded, feed, images)


@functools.lru_cache(maxsize=1)
def opened(path: Path, sha256: str, batch: int) -> Loaded:
    """In a worker: the file, kept from one call to the next. Raises BadInput where it is no longer the same."""
    content = path.read_bytes()
    if sha256_of(content) != sha256:
        raise BadInput(f"{path} changed while it was evaluated.", "Evaluate it again.")
    return open_model(content, batch=batch, name=str(path))


@functools.lru_cache(maxsize=1)
def codes(preprocess: Preprocess, info: TensorInfo) -> tuple[np.ndarray, ...]:
    """What each of the 256 pixel values becomes in the input tensor: a table [256] a channel, of the tensor's dtype.

    Looking values up is faster than dividing and rounding every pixel, and gives the same by construction.
    """
    every = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    table = info.encode(normalize(every, preprocess))
    return tuple(np.ascontiguousarray(table[:, channel]) for channel in range(3))


def _scores(loaded: Loaded, feed: tuple[np.ndarray, ...], images: np.ndarray) -> np.ndarray:
    """uint8 [b, h, w, 3], b at most the batch -> float32 [b, classes]; a last short batch is filled up with zeros."""
    batch = np.zeros(loaded.inputs[0].shape, feed[0].dtype)
    for channel, table in enumerate(feed):
        batch[: len(images), ..., channel] = np.take(table, images[..., channel])
    scores = loaded.run(batch)[0].reshape(loaded.batch, -1)[: len(images)]
    return a_score_a_class(scores)
