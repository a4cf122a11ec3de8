"""What a teacher's answers add to the loss, and the model that learns from them: Keras's Distiller."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
from keras import ops
from keras.distillation import DistillationLoss, FeatureDistillation, LogitsDistillation

from edgekit.distil_config import Transfer

FAR = 1e9  # below any other logit


@dataclass(frozen=True)
class Term:
    """A loss of output number `output` of the model and of its teacher, and its weight."""

    loss: DistillationLoss
    weight: float
    output: int


def imitation(outputs: int, classifier: bool) -> tuple[Term, ...]:
    """The teacher's outputs, and nothing else: of a classifier KL(teacher || student) in nats, else squared error."""
    loss = _divergence(1.0) if classifier else LogitsDistillation(1.0, keras.losses.MeanSquaredError())
    return tuple(Term(loss, 1.0, output) for output in range(outputs))


def transferred(transfer: Transfer, outputs: int) -> tuple[Term, ...]:
    """What a configuration asks for where output 0 is logits, and 1 to `outputs` are maps; nothing of weight 0."""
    soft = _divergence(transfer.temperature)
    if transfer.kind == "decoupled":
        soft = Decoupled(transfer.temperature, transfer.target, transfer.non_target)
    maps = Attention() if transfer.kind == "attention" else FeatureDistillation("mse")
    found = [Term(maps, transfer.weight / (outputs - 1), output) for output in range(1, outputs)]
    return tuple(term for term in (Term(soft, transfer.alpha, 0), *found) if term.weight)


def _divergence(temperature: float) -> DistillationLoss:
    # As an object: Keras takes softmax of the logits for that alone, and not for the function "kl_divergence".
    return LogitsDistillation(temperature, keras.losses.KLDivergence())


class Decoupled(DistillationLoss):
    """Zhao et al. 2022, arXiv:2203.08679, equation 7, on logits [n, classes], in nats: at temperature T, T^2 times the
    weighted sum of the divergence of "the target class or not" and of that among the other classes."""

    def __init__(self, temperature: float, target: float, non_target: float) -> None:
        self._temperature, self._target, self._non_target = temperature, target, non_target

    def compute_loss(self, teacher_outputs: Any, student_outputs: Any, labels: Any = None, **_: Any) -> Any:
        """`labels`: float32 [n, classes]; the target is the class with the largest share."""
        classes = teacher_outputs.shape[-1]
        target = ops.one_hot(ops.argmax(labels, axis=-1), classes, dtype="float32")
        parts = [self._parts(outputs, target) for outputs in (teacher_outputs, student_outputs)]
        on_target, on_others = (_kl(theirs, ours) for theirs, ours in zip(*parts, strict=True))
        loss = self._target * ops.mean(on_target) + self._non_target * ops.mean(on_others)
        return self._temperature**2 * loss

    def _parts(self, logits: Any, target: Any) -> tuple[Any, Any]:
        """Log-probabilities of the target against the rest [n, 2], and among the rest [n, classes]."""
        logs = ops.log_softmax(logits / self._temperature, axis=-1)
        hit = ops.sum(target * logs, axis=-1)
        missed = ops.logsumexp(logs - FAR * target, axis=-1)
        return ops.stack([hit, missed], axis=-1), ops.log_softmax(logs - FAR * target, axis=-1)


def _kl(theirs: Any, ours: Any) -> Any:
    """KL divergence [n] of log-probabilities [n, k]."""
    return ops.sum(ops.exp(theirs) * (theirs - ours), axis=-1)


class Attention(DistillationLoss):
    """Mean over the images of the squared distance of attention maps [n, positions] of length 1 (Zagoruyko and
    Komodakis 2017, arXiv:1612.03928): 0 where they are alike, 2 where they have no position in common."""

    def compute_loss(self, teacher_outputs: Any, student_outputs: Any, **_: Any) -> Any:
        return ops.mean(ops.sum(ops.square(teacher_outputs - student_outputs), axis=-1))


class Distilling(keras.distillation.Distiller):
    """Keras's Distiller with what it lacks: the labels' term heeds sample weights and regularization, the loss of the
    teacher's answers may ask for the labels, and the answers may come with the batch instead of from the teacher.

    Its student gives a list of all that is compared, so that one pass is enough. (Keras computes the student twice
    where inner layers are compared, and its batch normalization sees each batch twice.) A batch is (images, {"labels":
    [n, classes], "answers": list of [n, ...]}, weights [n]), each of the two only where it is used.
    """

    def __init__(
        self,
        teacher: keras.Model,
        student: keras.Model,
        terms: tuple[Term, ...],
        *,
        hard: keras.losses.Loss | None = None,
        hard_weight: float = 0.0,
    ) -> None:
        """`hard` is the loss on labels, from logits; None where there are none."""
        losses, weights = [term.loss for term in terms], [term.weight for term in terms]
        super().__init__(teacher, student, losses, weights, student_loss_weight=0.0)  # it would not heed sample weights
        self._places = [term.output for term in terms]
        self._hard, self._hard_weight = hard, hard_weight

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        given, labels = y or {}, (y or {}).get("labels")
        found = keras.tree.flatten(y_pred)  # Keras gives a single output as it is, not in a list
        loss = 0.0
        if self._hard is not None:
            loss = self._hard_weight * self._hard(labels, found[0], sample_weight=sample_weight)
            loss = sum((ops.sum(extra) for extra in self.student.losses), loss)
        if self._places:
            answers = given["answers"] if "answers" in given else keras.tree.flatten(self.teacher(x, training=False))
            for place, kind, weight in zip(
                self._places, self.distillation_losses, self.distillation_loss_weights, strict=True
            ):
                loss = loss + weight * kind.compute_loss(answers[place], found[place], labels=labels)
        return loss

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Those of the labels, on logits."""
        labels = (y or {}).get("labels")
        if labels is None:
            return self.get_metrics_result()
        return super().compute_metrics(x, labels, keras.tree.flatten(y_pred)[0], sample_weight)
