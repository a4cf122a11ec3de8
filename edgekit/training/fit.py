"""Training: epochs of Keras's `fit`, each followed by validation and by a state that training can go on from."""

from __future__ import annotations

import contextlib
import gc
import math
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import pandas as pd

from edgekit.data.dataset import Dataset
from edgekit.errors import BadInput, EdgekitWarning
from edgekit.models.head import ends_in_softmax
from edgekit.progress import Progress, Reporter, silent
from edgekit.train_config import Train
from edgekit.training.advice import curve_advice, learning_rate_advice, out_of_memory
from edgekit.training.batches import own_errors, stream
from edgekit.training.fused_norm import fused_norm
from edgekit.training.learner import Learner, Material, compile_model, head_alone, whole_model
from edgekit.training.optimizer import make_optimizer
from edgekit.training.phases import Phase, base_units, everything_trainable, phases, rate_factors, unfreeze
from edgekit.training.precision import mixed_precision
from edgekit.training.schedules import Plateau
from edgekit.training.shaping import Shaping
from edgekit.training.state import Slots, State, Store, fingerprint, score_of
from edgekit.training.teacher import Teacher, Teaching, check_taught, teacher_of, untouched
from edgekit.training.tensorboard import curve_writer

MEMORY_ERRORS = ("ResourceExhaustedError", "OutOfMemoryError")  # TensorFlow's and PyTorch's

SCORES = {"val_top1": "top-1", "val_agreement": "agreement"}


Report = Callable[[int, int], None]  # done and total steps


@dataclass(frozen=True)
class Trained:
    """What training did. `history` has a row an epoch (see State.history); `best_epoch` counts from 1, 0 is none.

    `seconds` is the wall time of all epochs, those before an interruption included. `notes` say how a teacher taught.
    """

    history: pd.DataFrame
    best_epoch: int
    seconds: float
    advice: tuple[str, ...]
    notes: tuple[str, ...] = ()


def train(
    model: keras.Model,
    dataset: Dataset,
    config: Train,
    *,
    teacher: Teacher | None = None,
    shaping: Shaping | None = None,
    state_dir: Path | None = None,
    seed: int = 0,
    progress: Reporter = silent,
) -> Trained:
    """Trains a classifier on logits in place; afterwards it has the weights of its best epoch on `dataset.val`.

    With a `teacher` that has no `transfer` it learns that one's outputs, be it a classifier or not, and no labels; if
    no epoch is better on `dataset.val` than the model was before, it stays as it was and `best_epoch` is 0. With one
    that has, by default the one that `config.distil` names, it is trained as without, and learns from it too.
    `shaping` is told of every step.

    With `config.fine_tune`, the layers that it names learn and batch normalization runs as in inference, whatever
    the model's `trainable` flags say; these are afterwards as they were.

    With `state_dir`, the same call after an interruption goes on behind the last finished epoch and ends with
    the same bits as without. Never reads `dataset.test`. Warns of an unusual learning rate. Raises BadInput
    where model and data do not fit or the loss is no longer finite (the model then has the weights of the best epoch
    so far, or those it began with), DeviceError where memory does not suffice.
    """
    if teacher is None and config.distil is not None and config.epochs:
        teacher = teacher_of(config.distil, dataset)
    check_fit(model, dataset, teacher)
    if config.epochs == 0:
        return Trained(State().history(), 0, 0.0, ())
    if not _imitates(teacher) and (unusual := learning_rate_advice(config)):
        warnings.warn(unusual, EdgekitWarning, stacklevel=2)
    taught_by = (teacher.model, teacher.transfer) if teacher else ()
    store = Store(state_dir, fingerprint(model, config, dataset.sha256, seed, *taught_by))
    first = model.get_weights()
    state, slots = store.load(model)
    run = _Run(model, dataset, config, seed, progress, teacher, shaping)
    if shaping is not None:
        shaping.start()
    write_curves = curve_writer(state_dir)
    try:
        with run.prepared():
            while not state.finished(config, run.last_unfreezing):
                state = run.begin(state, slots)
                row = run.epoch(len(state.rows), state.plateau.factor)
                state = state.after(row, model, config, wanted=run.settled(row["epoch"]))
                store.save(state, model, run.optimizer, run.phase_number, run.extra)
                write_curves(row)
    finally:
        model.set_weights(state.best_weights or first)
    history = state.history()
    curves = "train_top1" in history and "val_top1" in history
    advice = curve_advice(history, config, len(dataset.class_names)) if curves else ()
    return Trained(history, state.best_epoch, float(history["seconds"].sum()), advice, run.notes)


def _imitates(teacher: Teacher | None) -> bool:
    """Whether its outputs are all that is learned."""
    return teacher is not None and teacher.transfer is None


def check_fit(model: keras.Model, dataset: Dataset, teacher: Teacher | None = None) -> None:
    """Raises BadInput where the model's input or output is not what the data or its teacher have, or its outputs are
    not logits."""
    size = (dataset.preprocess.height, dataset.preprocess.width, 3)
    if tuple(model.input_shape[1:]) != size:
        want = "x".join(map(str, model.input_shape[1:]))
        raise BadInput(
            f"The model takes images of {want}, the data are prepared as {'x'.join(map(str, size))}.",
            "Build the model and load the data with the same image size.",
        )
    labelled = bool(dataset.class_names) and not _imitates(teacher)
    if teacher is not None:
        check_taught(model, teacher, labelled)
    if (teacher is None or labelled) and model.output_shape[-1] != len(dataset.class_names):
        raise BadInput(
            f"The model has {model.output_shape[-1]} outputs, the data have {len(dataset.class_names)} classes.",
            "Build the model with as many classes as the data have.",
        )
    if (teacher is None or teacher.classifier) and ends_in_softmax(model):
        raise BadInput(
            "The model ends in a softmax; training is on logits.",
            "Take edgekit.models.head.on_logits(model), the same network without it.",
        )


class _Run:
    """One call of `train`: what stays the same from epoch to epoch, and the phase that it is in."""

    def __init__(
        self,
        model: keras.Model,
        dataset: Dataset,
        config: Train,
        seed: int,
        progress: Reporter,
        teacher: Teacher | None,
        shaping: Shaping | None,
    ) -> None:
        self._model, self._config, self._teacher, self._shaping = model, config, teacher, shaping
        labels = teacher is None or bool(teacher.transfer and dataset.class_names)
        self._material = Material(dataset, config, seed, labels=labels)
        self._teaching = Teaching(model, teacher, self._material, config, seed) if teacher else None
        self._progress, self._note = progress, ""
        with everything_trainable(model):
            self._units = base_units(model) if config.fine_tune else ()
        self._phases = phases(config, len(self._units))
        self.last_unfreezing = self._phases[-1].start
        self.phase_number, self._started = -1, 0.0
        self._learner: Learner | None = None

    @contextlib.contextmanager
    def prepared(self) -> Iterator[None]:
        """The model as it computes while training; afterwards as it was, without the traced training graphs."""
        model, config = self._model, self._config
        flags = everything_trainable(model) if config.fine_tune else contextlib.nullcontext()
        try:
            with flags, mixed_precision(model, config.mixed_precision), fused_norm(model), untouched(self._teacher):
                yield
        except Exception as caught:
            if isinstance(caught, MemoryError) or type(caught).__name__ in MEMORY_ERRORS:
                raise out_of_memory(config.batch_size) from caught
            raise
        finally:
            self._end_phase()
        if config.fine_tune:  # what is saved with the model is an optimizer that Keras knows
            compile_model(model, config, make_optimizer(config, model.trainable_variables))

    @property
    def optimizer(self) -> Any:
        assert self._learner is not None
        return self._learner.model.optimizer

    @property
    def extra(self) -> tuple[Any, ...]:
        """What learns beside the model."""
        assert self._learner is not None
        return self._learner.extra

    @property
    def notes(self) -> tuple[str, ...]:
        return self._teaching.notes if self._teaching else ()

    def settled(self, epochs: float) -> bool:
        """Whether the model is what is wanted after so many epochs."""
        return self._shaping is None or epochs >= self._shaping.share * self._config.epochs

    def begin(self, state: State, slots: Slots) -> State:
        """Enters the phase of the next epoch; a plateau is waited for anew where the schedule starts.

        What is to give its teacher's outputs counts as the best so far: it is trained already.
        """
        done, self._started = len(state.rows), time.monotonic()
        number = next(i for i, phase in enumerate(self._phases) if done < phase.end)
        if number == self.phase_number:
            return state
        self._end_phase()
        phase, resumed = self._phases[number], self.phase_number < 0
        self.phase_number, self._learner = number, self._begin_phase(phase)
        slots.put(self.optimizer, number)
        if resumed:
            slots.put_extra(self.extra)
        if _imitates(self._teacher) and not done and self.settled(0):
            now = {f"val_{name}": value for name, value in self._learner.held_out().items()}
            state = replace(state, best_score=score_of(now), best_weights=self._model.get_weights())
        return replace(state, plateau=Plateau()) if done == phase.since else state

    def _begin_phase(self, phase: Phase) -> Learner:
        model, config = self._model, self._config
        if self._teaching and _imitates(self._teacher):
            return self._teaching.learner({})
        if phase.unfrozen is not None:
            unfreeze(model, self._units, phase)
        if phase.frozen_base:
            return head_alone(model, self._material, config)
        factors = rate_factors(config, self._units)
        if self._teaching:
            return self._teaching.learner(factors)
        return whole_model(model, self._material, config, factors)

    def _end_phase(self) -> None:
        if self._learner is not None:
            self._learner.close()
            self._learner = None
        gc.collect()

    def epoch(self, number: int, plateau: float) -> dict[str, float]:
        """Trains epoch `number`, counted from 0, and validates: a row of the history."""
        config, learner = self._config, self._learner
        assert learner is not None
        batches = learner.batches(number)
        steps = _Steps(config, self._phases[self.phase_number], number, len(batches), plateau, self._report,
                       self._shaping)  # fmt: skip
        with own_errors(batches, learner.val):
            fitted = learner.model.fit(stream(batches), verbose=0, shuffle=False, callbacks=[steps]).history
            held_out = learner.held_out()
        learner.hand_over()
        row = {
            "epoch": number + 1,
            **{f"train_{name}": fitted[name][0] for name in ("loss", "top1") if name in fitted},
            **{f"val_{name}": value for name, value in held_out.items()},
            "learning_rate": steps.rate,
            "seconds": round(time.monotonic() - self._started, 3),
        }
        _check_finite(row["train_loss"] + row["val_loss"], number, config)
        frozen = ", base frozen" if self._phases[self.phase_number].frozen_base else ""
        scores = [f"{said} {row[name]:.1%}" for name, said in SCORES.items() if name in row]
        scores = scores or [f"loss {row['val_loss']:.4g}"]
        self._note = f"epoch {number + 1}/{config.epochs}{frozen}, validation {' and '.join(scores)}"
        self._report((number + 1) * len(batches), config.epochs * len(batches))
        return row

    def _report(self, done: int, total: int) -> None:
        self._progress(Progress("train", done, total, self._note))


class _Steps(keras.callbacks.Callback):
    """Sets the learning rate before each step, from the middle of the step's share of the epoch, and reports it."""

    def __init__(
        self,
        config: Train,
        phase: Phase,
        epoch: int,
        steps: int,
        factor: float,
        report: Report,
        shaping: Shaping | None,
    ) -> None:
        super().__init__()
        self._config, self._phase, self._epoch, self._steps, self._factor = config, phase, epoch, steps, factor
        self._report, self._shaping, self.rate = report, shaping, math.nan

    def on_train_batch_begin(self, batch: int, logs: object = None) -> None:
        position = self._epoch + (batch + 0.5) / self._steps
        self.rate = self._phase.rate_at(self._config, position) * self._factor
        self.model.optimizer.learning_rate.assign(self.rate)
        if self._shaping is not None:
            self._shaping.before_step(self._epoch * self._steps + batch, self._config.epochs * self._steps)

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        _check_finite((logs or {}).get("loss", 0.0), self._epoch, self._config)
        self._report(self._epoch * self._steps + batch + 1, self._config.epochs * self._steps)


def _check_finite(loss: float, epoch: int, config: Train) -> None:
    if not math.isfinite(loss):
        raise BadInput(
            f"The loss is no longer a number in epoch {epoch + 1}; the weights of the best epoch before it are kept.",
            f"Use a lower learning rate than {config.learning_rate:g}, or a longer warm-up.",
        )
