"""Learning from a teacher, with labels beside it or without any.

Hinton et al. 2015, arXiv:1503.02531, with Keras's Distiller. The teacher sees the very images that the model sees,
augmented as they are, and computes as in inference. Where the images are the same in every epoch, or that is asked for,
it sees them once.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import keras
import numpy as np

from edgekit.data.dataset import Dataset
from edgekit.distil_config import Distil, Transfer
from edgekit.errors import BadInput
from edgekit.models.head import ends_in_softmax
from edgekit.models.teachers import averaged, load_teachers
from edgekit.train_config import Train
from edgekit.training.batches import PlainBatches, own_errors, stream
from edgekit.training.distillation import Distilling, imitation, transferred
from edgekit.training.feature_maps import with_maps
from edgekit.training.learner import REMEMBERED, Learner, Material, compile_model, cross_entropy, jit, top1
from edgekit.training.optimizer import make_optimizer

LEAST = 1e-7  # of a probability, in a logarithm
SUM_TO_1 = 1e-3  # how far off the scores of an image may be that are probabilities nevertheless


@dataclass(frozen=True)
class Teacher:
    """`model` gives logits [n, classes] where it is a `classifier`, and else any outputs.

    Without a `transfer` a model learns to give these very outputs, and no labels: by the Kullback-Leibler divergence of
    the probabilities, or by the mean squared error. With one, which is for classifiers, it is trained as ever and
    learns from the teacher what that says. `feed` makes what `model` takes of what the student takes. `known` are its
    answers so far, by the images: several trainings in a row ask it once.
    """

    model: keras.Model
    classifier: bool = True
    transfer: Transfer | None = None
    feed: keras.Model | None = None
    known: dict[str, tuple[np.ndarray, ...]] = field(default_factory=dict, compare=False)

    @property
    def inputs(self) -> list[Any]:
        """What it takes, the feed before it."""
        return list((self.feed or self.model).inputs)

    @property
    def resized(self) -> str:
        """A sentence for the notes where the images have another size for it; else nothing."""
        if self.feed is None or self.feed.input_shape == self.feed.output_shape:
            return ""
        theirs, ours = ("x".join(map(str, one[1:3])) for one in (self.feed.output_shape, self.feed.input_shape))
        return f" It takes images of {theirs}, and got those of {ours} resized."

    def fed(self, model: keras.Model) -> keras.Model:
        """`model`, which takes what the teacher's takes, behind the feed."""
        if self.feed is None:
            return model
        return keras.Model(self.feed.inputs, model(self.feed.outputs[0]), name="teacher")


def teacher_of(config: Distil, dataset: Dataset) -> Teacher:
    """The teacher, or the teachers as one, that a configuration names. Raises BadInput as load_teachers does."""
    found = load_teachers(config, dataset.preprocess, dataset.class_names)
    if len(found) == 1:
        return Teacher(found[0].model, transfer=config, feed=found[0].feed)
    return Teacher(averaged(found, config.temperature), transfer=config)


def check_taught(model: keras.Model, teacher: Teacher, labelled: bool) -> None:
    """Raises BadInput where teacher and model do not take or give the same, or labels are wanted and missing."""
    for what, ours, theirs in (("inputs", model.inputs, teacher.inputs),
                               ("outputs", model.outputs, teacher.model.outputs)):  # fmt: skip
        shapes = [[tuple(tensor.shape[1:]) for tensor in side] for side in (ours, theirs)]
        if shapes[0] != shapes[1]:
            raise BadInput(
                f"The model's {what} are {shapes[0]}, its teacher's {shapes[1]}.", "Teach a model with the same ones."
            )
    if {id(one) for one in model.variables} & {id(one) for one in teacher.model.variables}:
        raise BadInput("The model shares weights with its teacher.", "Teach a copy: keras.models.clone_model(model).")
    if teacher.classifier and ends_in_softmax(teacher.model):
        raise BadInput(
            "The teacher ends in a softmax; what it says is taken from logits.",
            "Take edgekit.models.head.on_logits(model), the same network without it.",
        )
    asked = teacher.transfer
    if asked and not labelled and (asked.alpha < 1 or asked.kind == "decoupled"):
        raise BadInput(
            f"Learning from a teacher by {asked.kind} with alpha {asked.alpha:g} needs labels, and there are none.",
            "Give labelled images, or take the kind logits with alpha 1.",
        )


class Teaching:
    """A model and its teacher in one call of `train`: what stays the same from phase to phase."""

    def __init__(self, model: keras.Model, teacher: Teacher, material: Material, config: Train, seed: int) -> None:
        self._model, self._teacher, self._material, self._config = model, teacher, material, config
        student, expert, added = with_maps(model, teacher.model, teacher.transfer, seed)
        self._student, self._expert = student, teacher.fed(expert)
        self._asked = [one.name for one in expert.outputs]  # the same in every call, which the feed's are not
        self._added = tuple(variable for layer in added for variable in layer.variables)
        count, asked = len(student.outputs), teacher.transfer
        self._terms = transferred(asked, count) if asked else imitation(count, teacher.classifier)

    def learner(self, factors: Mapping[int, float]) -> Learner:
        """Everything that is trainable learns, and what is only there to compare maps along with it."""
        model, config, asked = self._model, self._config, self._teacher.transfer
        hard = None if self._top1 is None else cross_entropy(config)
        weight = 1 - asked.alpha if asked else 0.0
        distiller = Distilling(self._expert, self._student, self._terms, hard=hard, hard_weight=weight)
        optimizer = make_optimizer(config, self._student.trainable_variables, factors)
        metrics = [top1()] if hard else None
        distiller.compile(optimizer, "mse", metrics=metrics, jit_compile=jit())  # its own loss on labels is not used
        val, judge = self._material.validation(), _twin(model)
        if hard:
            compile_model(judge, config, None)
        else:
            judge = Judge(judge, self._teacher, val)
        return Learner(distiller, judge, self._material, val, extra=self._added, answers=self._answers)

    @property
    def notes(self) -> tuple[str, ...]:
        """How good the teacher is, and whether it saw the training images once or in every epoch."""
        if not self._terms:
            said = "The teacher was not asked: its answers have no weight."
        elif self._why_live:
            said = f"The teacher saw every batch, since {self._why_live}."
        else:
            said = "The teacher saw each training image once, and its answers were remembered."
        said += self._teacher.resized
        return (said,) if self._top1 is None else (
            f"The teacher has {self._top1:.1%} of the validation images right.", said)  # fmt: skip

    @cached_property
    def _answers(self) -> tuple[np.ndarray, ...]:
        """float32 [n, ...] of the training images in their order, an output; none where the teacher runs along."""
        if not self._terms or self._why_live:
            return ()
        known, asked = self._teacher.known, f"{self._material.identity} {self._asked}"
        if asked not in known:
            known[asked] = tuple(_outputs(_twin(self._expert), self._material.plain(self._material.train)))
        return known[asked]

    @property
    def _why_live(self) -> str:
        asked = self._teacher.transfer
        if not (asked and asked.answers == "once"):
            if self._material.augmenter.changes:
                return "the images are augmented"
            if self._config.epochs == 1:
                return "there is one epoch"
        images = len(self._material.train)
        needed = 4 * images * sum(math.prod(one.shape[1:]) for one in self._expert.outputs)
        return f"its answers would take {needed / 1e6:,.0f} MB" if needed > REMEMBERED else ""

    @cached_property
    def _top1(self) -> float | None:
        """The teacher's own, of the validation images; None where there are no labels. Raises BadInput where its
        scores are probabilities: they would be taken for logits."""
        if not self._material.labelled:
            return None
        val = self._material.validation()
        scores = _outputs(_twin(self._teacher.fed(self._teacher.model)), val)[0]
        if scores.min() >= 0 and np.abs(scores.sum(axis=1) - 1).max() < SUM_TO_1:
            raise BadInput(
                "The teacher gives probabilities, and not by a softmax at its end that could be taken off.",
                "Give the model without it, on logits.",
            )
        return float((scores.argmax(axis=1) == val.labels).mean())


@contextlib.contextmanager
def untouched(teacher: Teacher | None) -> Iterator[None]:
    """Within it a Distiller may freeze the teacher; afterwards its flags are as they were."""
    layers = teacher.model._flatten_layers() if teacher else []
    variables = [variable for layer in layers for variable in layer._trainable_variables]
    before = [layer.trainable for layer in layers], [variable.trainable for variable in variables]
    try:
        yield
    finally:
        for layer, flag in zip(layers, before[0], strict=True):
            layer._trainable = flag
        for variable, flag in zip(variables, before[1], strict=True):
            variable.trainable = flag


class Judge:
    """How near a model's answers to the validation images are to its teacher's, and to the labels where there are."""

    def __init__(self, model: keras.Model, teacher: Teacher, val: PlainBatches) -> None:
        self.model, self._classifier, self._labels = model, teacher.classifier, val.labels
        self._expected = _outputs(_twin(teacher.fed(teacher.model)), val)

    def evaluate(self, val: PlainBatches) -> dict[str, float]:
        """`loss`: mean over the images of the divergence in nats, or squared error; of a classifier also `agreement`,
        the share of images with the same class, and `top1`."""
        found = _outputs(self.model, val)
        if not self._classifier:
            return {"loss": _mean(np.square(a - b) for a, b in zip(found, self._expected, strict=True))}
        wanted, given = _probabilities(self._expected[0]), _probabilities(found[0])
        divergence = (wanted * np.log(wanted / given)).sum(axis=1)
        answers = given.argmax(axis=1)
        scores = {"loss": float(divergence.mean()), "agreement": float((answers == wanted.argmax(axis=1)).mean())}
        if self._labels is not None:
            scores["top1"] = float((answers == self._labels).mean())
        return scores


def _twin(model: keras.Model) -> keras.Model:
    """The same layers, compiled to predict; the model itself stays as it is."""
    twin = keras.Model(model.inputs, model.outputs, name=model.name)
    twin.compile(None, jit_compile=jit())
    return twin


def _outputs(model: keras.Model, batches: PlainBatches) -> list[np.ndarray]:
    """float32 [n, ...] an output."""
    with own_errors(batches):
        return [np.asarray(one, np.float32) for one in keras.tree.flatten(model.predict(stream(batches), verbose=0))]


def _probabilities(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return np.asarray(np.maximum(powers / powers.sum(axis=1, keepdims=True), LEAST))


def _mean(errors: Iterator[np.ndarray]) -> float:
    return float(sum(one.mean(dtype=np.float64) for one in errors))
