"""Which preprocessing a classifier was trained with, found by trying the usual ones on labelled images.

The right one gives the labels the most probability. Candidates are compared with the best image by image: a few images
tell two of them apart by the probabilities long before the accuracies differ. First the scalings and the order of the
channels are tried; then, with those that are left, every way to resize and to crop.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.data.calibration import choose
from edgekit.data.classes import Classes
from edgekit.data.dataset import load_images
from edgekit.data.images import normalize, resize
from edgekit.data.split import Split
from edgekit.errors import BadInput, CheckFailed, UsageError
from edgekit.evaluation.evaluate import check_classifier, opened
from edgekit.evaluation.expects import classes_of, said_of
from edgekit.evaluation.metrics import Proportion, a_score_a_class, softmax, student
from edgekit.models.imagenet import imagenet_classes
from edgekit.preprocess import PRESETS, Preparation, Preprocess, preparation
from edgekit.progress import Progress, Reporter, silent
from edgekit.runtime import isolate
from edgekit.runtime.probe import Probed, probe

SCALINGS = tuple(PRESETS)  # their mean and std, whatever else they say
ORDERS = ("rgb", "bgr")
CROPS = ("none", "center")
FILTERS = (("bilinear", True), ("bilinear", False), ("bicubic", True), ("bicubic", False), ("area", True),
           ("nearest", True))  # fmt: skip
FEWEST = 10  # images
FLOOR = 1e-3  # of a label's probability: one hopeless image is not to outweigh the others
CONFIDENCE = 0.99  # that the better of two candidates is better
CHUNK = 5  # images at a time in a worker
ALLOWED = 120.0  # seconds for opening a file and decoding a chunk, on top of the inferences


@dataclass(frozen=True)
class Candidate:
    """`scaling` is the preset that the mean and the std are of."""

    scaling: str
    preprocess: Preprocess

    @property
    def preset(self) -> str | None:
        """The preset that this is in all that it says."""
        block = self.preprocess.model_dump(exclude={"height", "width"})
        return next((name for name in PRESETS if preparation(name).model_dump() == block), None)


@dataclass(frozen=True)
class Ranked:
    """A candidate on the images. `log_likelihood`: mean natural logarithm of the label's probability; `confidence`:
    mean probability of the prediction; `told_apart`: it is worse than the best, by more than chance explains."""

    candidate: Candidate
    top1: Proportion
    log_likelihood: float
    confidence: float
    told_apart: bool

    def to_json(self) -> dict[str, Any]:
        return {
            "preprocessing": self.candidate.preprocess.model_dump(mode="json"),
            "scaling": self.candidate.scaling,
            "preset": self.candidate.preset,
            "top1": self.top1.to_json(),
            "log_likelihood": self.log_likelihood,
            "confidence": self.confidence,
            "told_apart": self.told_apart,
        }


@dataclass(frozen=True)
class Detection:
    """`ranked`: the best first. `chosen` is one of those that are not told apart: a whole preset, where one is among
    them. `chance`: top1 of always naming the most frequent class."""

    file: str
    n: int
    chance: float
    chosen: Ranked
    ranked: tuple[Ranked, ...]

    @property
    def undecided(self) -> dict[str, list[Any]]:
        """Field -> its values among the candidates that are not told apart, where they are several."""
        tied = [one.candidate for one in self.ranked if not one.told_apart]
        found: dict[str, list[Any]] = {"scaling": [one.scaling for one in tied]}
        for name in ("channels", "resize", "antialias", "crop"):
            found[name] = [getattr(one.preprocess, name) for one in tied]
        return {name: list(dict.fromkeys(values)) for name, values in found.items() if len(set(values)) > 1}

    @property
    def failed(self) -> CheckFailed | None:
        """The error where the best is no better than always naming one class."""
        if self.chosen.top1.ci95[0] > self.chance:
            return None
        return CheckFailed(
            f"No usual preprocessing makes {self.file} better than guessing on these {self.n} images.",
            "Give its classes in the order of its outputs with --labels, or more images.",
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "file": self.file,
            "n": self.n,
            "chance": self.chance,
            "chosen": self.chosen.to_json(),
            "undecided": self.undecided,
            "ranked": [one.to_json() for one in self.ranked],
        }


def detect_preprocess(
    path: str | Path,
    data: str | Path,
    *,
    labels: Sequence[str] | None = None,
    images: int = 50,
    progress: Reporter = silent,
) -> Detection:
    """Tries the usual preprocessings on `images` labelled images of `data`, evenly over the classes.

    `labels` are the file's classes in the order of its outputs; by default those that it, or its card, names,
    ImageNet's for 1000 or 1001 outputs, and else the data's own. Raises BadInput for what is no classifier of RGB
    images, or of other classes, and for fewer than 10 images.
    """
    if images < FEWEST:
        raise UsageError(f"{images} images are too few to tell preprocessings apart.", f"Use {FEWEST} or more.")
    found = probe(path)
    split = _labelled(found, data, labels, images)
    base, (filters, crops) = split.preprocess, _that_matter(split)
    first = [_candidate(base, *looks, crop=crop) for *looks, crop in itertools.product(SCALINGS, ORDERS, crops)]
    answers = _answers(found, split, first, progress)
    left = [one.candidate for one in _ranked(answers) if not one.told_apart]
    looks = dict.fromkeys((one.scaling, one.preprocess.channels) for one in left)
    second = [_candidate(base, *look, resize=kind, antialias=smooth, crop=crop)
              for look, (kind, smooth), crop in itertools.product(looks, filters, crops)]  # fmt: skip
    answers |= _answers(found, split, [one for one in second if one not in answers], progress)
    ranked = _ranked(answers)
    chosen = next((one for one in ranked if one.candidate.preset and not one.told_apart), ranked[0])
    return Detection(str(path), len(split), int(np.bincount(split.labels).max()) / len(split), chosen, ranked)


def _candidate(base: Preprocess, scaling: str, order: str, **geometry: Any) -> Candidate:
    """The mean and std of a preset, in whatever order of the channels."""
    of = preparation(scaling)
    mean, std = (values if of.channels == order else values[::-1] for values in (of.mean, of.std))
    block = Preparation.model_validate({"mean": mean, "std": std, "channels": order, **geometry})
    return Candidate(scaling, block.to(base.height, base.width))


def _that_matter(split: Split) -> tuple[Sequence[tuple[str, bool]], Sequence[str]]:
    """The filters and crops that make a difference to these images; of all others the first, which the presets have."""
    shapes = {split.pixels.image(at).shape[:2] for at in range(len(split))}
    same = shapes == {(split.preprocess.height, split.preprocess.width)}
    square = all(high == wide for high, wide in shapes)
    return FILTERS[:1] if same else FILTERS, CROPS[:1] if square else CROPS


def _labelled(found: Probed, data: str | Path, labels: Sequence[str] | None, images: int) -> Split:
    """Some images, evenly over the classes; their labels are positions in the file's output."""
    shape = found.inputs[0].shape
    if len(shape) != 4:
        raise BadInput(f"{found.path} is not an image classifier: it takes {list(shape)}.", "Give an image classifier.")
    split = load_images(data, preparation("raw").to(*shape[1:3]))
    classes = _classes(found, labels, split)
    check_classifier(found, split.preprocess, classes.names)
    if len(split) < FEWEST:
        raise BadInput(f"{data} has {len(split)} images, too few to tell preprocessings apart.", f"Give {FEWEST}.")
    places = classes.positions(split.class_names, str(data))
    few = choose(split, min(images, len(split)))
    return replace(few, class_names=classes.names, labels=places[few.labels])


def _classes(found: Probed, labels: Sequence[str] | None, split: Split) -> Classes:
    scores = found.outputs[0].shape[-1]
    known = tuple(labels) if labels else said_of(found.path, found.content)[1]
    if known:
        return classes_of(known)
    if scores == len(split.class_names) or scores not in (1000, 1001):
        return Classes(split.class_names)
    published, before = imagenet_classes(), ("background",) * (scores - 1000)
    return Classes((*before, *published.names), {name: at + len(before) for name, at in published.also.items()})


@dataclass(frozen=True)
class _Answer:
    """Of one candidate, an array [n] each: the label's probability as the file gives it, and after a softmax; the
    prediction's, likewise; whether it is right; whether the scores lie in [0, 1]."""

    label: np.ndarray
    softened_label: np.ndarray
    highest: np.ndarray
    softened_highest: np.ndarray
    right: np.ndarray
    unit: np.ndarray


def _answers(
    found: Probed, split: Split, candidates: Sequence[Candidate], progress: Reporter
) -> dict[Candidate, _Answer]:
    """Every candidate on every image, a few images at a time in worker processes."""
    from loky import cpu_count

    if not candidates:
        return {}
    parts = [split.take(range(at, min(at + CHUNK, len(split)))) for at in range(0, len(split), CHUNK)]
    feeds = [one.preprocess for one in candidates]
    calls = ((found.path, found.sha256, part, feeds) for part in parts)
    allowed = ALLOWED + 20 * CHUNK * len(feeds) * found.seconds
    rows = []
    for row in isolate.each(_tried, calls, workers=cpu_count(), what=str(found.path), timeout=allowed):
        rows.append(row)
        progress(Progress("try", len(rows), len(parts), found.path.name))
    whole = np.concatenate(rows, axis=1)  # [candidate, image, figure]
    return {one: _Answer(*np.moveaxis(whole[at], -1, 0)) for at, one in enumerate(candidates)}


def _tried(path: Path, sha256: str, part: Split, feeds: Sequence[Preprocess]) -> np.ndarray:
    """In a worker: float64 [candidate, image, figure of _Answer]. An image is decoded once."""
    model = opened(path, sha256, 1)
    figures = np.empty((len(feeds), len(part), 6))
    for at, label in enumerate(part.labels):
        image, sizes = part.pixels.image(at), dict[tuple[Any, ...], np.ndarray]()
        for number, feed in enumerate(feeds):
            geometry = feed.channels, feed.resize, feed.antialias, feed.crop
            if geometry not in sizes:
                sizes[geometry] = resize(image, feed)
            batch = np.repeat(normalize(sizes[geometry][None], feed), model.batch, axis=0)
            figures[number, at] = _figures(a_score_a_class(model.run(batch)[0].reshape(model.batch, -1)[:1])[0], label)
    return figures


def _figures(scores: np.ndarray, label: int) -> tuple[float, ...]:
    if not np.isfinite(scores).all():  # a preparation that is far off may overflow
        return 0.0, 0.0, 0.0, 0.0, 0.0, 1.0
    soft = softmax(scores)
    unit = scores.min() >= 0 and scores.max() <= 1
    right = int(scores.argmax()) == label
    return float(scores[label]), float(soft[label]), float(scores.max()), float(soft.max()), float(right), float(unit)


def _ranked(answers: dict[Candidate, _Answer]) -> tuple[Ranked, ...]:
    probabilities = all(one.unit.all() for one in answers.values())
    labels = {name: one.label if probabilities else one.softened_label for name, one in answers.items()}
    logs = {name: np.log(np.maximum(values, FLOOR)) for name, values in labels.items()}
    order = sorted(answers, key=lambda name: -float(logs[name].mean()))  # of equal ones the first in the tables
    return tuple(
        Ranked(
            candidate=name,
            top1=Proportion(int(answers[name].right.sum()), len(logs[name])),
            log_likelihood=float(logs[name].mean()),
            confidence=float((answers[name].highest if probabilities else answers[name].softened_highest).mean()),
            told_apart=_worse(logs[order[0]] - logs[name]),
        )
        for name in order
    )


def _worse(behind: np.ndarray) -> bool:
    """Whether a mean of differences, an image each, is above 0 by more than chance: Student's interval."""
    error = float(behind.std(ddof=1)) / len(behind) ** 0.5
    return float(behind.mean()) > student(CONFIDENCE, len(behind) - 1) * error
