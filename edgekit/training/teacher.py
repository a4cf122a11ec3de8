"""Learning from a teacher: a model is trained to give another one's outputs, which needs no labels.

Hinton et al. 2015, arXiv:1503.02531, with Keras's Distiller. The teacher sees the very images that the model sees,
augmented as they are, and computes as in inference.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from edgekit.errors import BadInput
from edgekit.train_config import Train
from edgekit.training.batches import PlainBatches, own_errors
from edgekit.training.learner import Learner, Material, jit
from edgekit.training.optimizer import make_optimizer

LEAST = 1e-7  # of a probability, in a logarithm


@dataclass(frozen=True)
class Teacher:
    """`model` gives logits [n, classes] where it is a `classifier`, and else any outputs; they are matched by the
    Kullback-Leibler divergence of their probabilities, or by their mean squared error."""

    model: keras.Model
    classifier: bool = True


def check_taught(model: keras.Model, teacher: Teacher) -> None:
    """Raises BadInput where teacher and model do not take or give the same."""
    for what, ours, theirs in (("inputs", model.inputs, teacher.model.inputs),
                               ("outputs", model.outputs, teacher.model.outputs)):  # fmt: skip
        shapes = [[tuple(tensor.shape[1:]) for tensor in side] for side in (ours, theirs)]
        if shapes[0] != shapes[1]:
            raise BadInput(
                f"The model's {what} are {shapes[0]}, its teacher's {shapes[1]}.", "Teach a model with the same ones."
            )
    if {id(one) for one in model.variables} & {id(one) for one in teacher.model.variables}:
        raise BadInput("The model shares weights with its teacher.", "Teach a copy: keras.models.clone_model(model).")


def taught(model: keras.Model, teacher: Teacher, material: Material, config: Train) -> Learner:
    """Everything that is trainable learns the teacher's outputs on the training images."""
    # As an object: Keras takes softmax of the logits for that alone, and not for the function "kl_divergence".
    kind = keras.losses.KLDivergence() if teacher.classifier else keras.losses.MeanSquaredError()
    losses = [kind] * len(model.outputs)
    loss = keras.distillation.LogitsDistillation(1.0, losses if len(losses) > 1 else kind)
    distiller = keras.distillation.Distiller(teacher.model, model, loss, student_loss_weight=0.0)
    optimizer = make_optimizer(config, model.trainable_variables)
    distiller.compile(optimizer, "mse", jit_compile=jit())  # the loss on labels is not used at weight 0
    val = material.validation()
    return Learner(distiller, Judge(model, teacher, val), material, val)


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
        self.model, self._classifier, self._labels = _twin(model), teacher.classifier, val.labels
        self._expected = _outputs(_twin(teacher.model), val)

    def evaluate(self, val: PlainBatches, **_: Any) -> dict[str, float]:
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
        return [np.asarray(one, np.float32) for one in keras.tree.flatten(model.predict(batches, verbose=0))]


def _probabilities(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return np.asarray(np.maximum(powers / powers.sum(axis=1, keepdims=True), LEAST))


def _mean(errors: Iterator[np.ndarray]) -> float:
    return float(sum(one.mean(dtype=np.float64) for one in errors))
