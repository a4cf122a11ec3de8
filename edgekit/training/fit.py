"""Training: epochs of Keras's `fit`, each followed by validation and by a state that training can go on from."""

from __future__ import annotations

import contextlib
import gc
import math
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import keras
import pandas as pd

from edgekit.data.dataset import Dataset
from edgekit.errors import BadInput, EdgekitWarning
from edgekit.progress import Progress, Reporter, silent
from edgekit.train_config import Train
from edgekit.training.advice import curve_advice, learning_rate_advice, out_of_memory
from edgekit.training.augment import Augmenter
from edgekit.training.batches import PlainBatches, Remembering, TrainBatches, class_weights
from edgekit.training.fused_norm import fused_norm
from edgekit.training.precision import mixed_precision
from edgekit.training.schedules import rate_at
from edgekit.training.state import State, Store, fingerprint
from edgekit.training.tensorboard import curve_writer

UNDECAYED = ("bias", "beta", "gamma")
VAL_BATCH = 256
MEMORY_ERRORS = ("ResourceExhaustedError", "OutOfMemoryError")  # TensorFlow's and PyTorch's

Report = Callable[[int, int], None]  # done and total steps


@dataclass(frozen=True)
class Trained:
    """What training did. `history` has a row an epoch (see State.history); `best_epoch` counts from 1, 0 is none.

    `seconds` is the wall time of all epochs, those before an interruption included.
    """

    history: pd.DataFrame
    best_epoch: int
    seconds: float
    advice: tuple[str, ...]


def train(
    model: keras.Model,
    dataset: Dataset,
    config: Train,
    *,
    state_dir: Path | None = None,
    seed: int = 0,
    progress: Reporter = silent,
) -> Trained:
    """Trains a classifier on logits in place; afterwards it has the weights of its best epoch on `dataset.val`.

    With `state_dir`, the same call after an interruption goes on behind the last finished epoch and ends with
    the same bits as without. Never reads `dataset.test`. Warns of an unusual learning rate. Raises BadInput
    where model and data do not fit or the loss is no longer finite, DeviceError where memory does not
    suffice.
    """
    check_fit(model, dataset)
    if config.epochs == 0:
        return Trained(State().history(), 0, 0.0, ())
    if unusual := learning_rate_advice(config):
        warnings.warn(unusual, EdgekitWarning, stacklevel=2)
    store = Store(state_dir, fingerprint(model, config, dataset.sha256, seed))
    _compile(model, config)
    state = store.load(model)
    run = _Run(model, dataset, config, seed, progress)
    write_curves = curve_writer(state_dir)
    with run.prepared():
        while not state.finished(config):
            row = run.epoch(len(state.rows), state.plateau.factor)
            state = state.after(row, model, config)
            store.save(state, model)
            write_curves(row)
    model.set_weights(state.best_weights)
    history = state.history()
    advice = curve_advice(history, config, len(dataset.class_names))
    return Trained(history, state.best_epoch, float(history["seconds"].sum()), advice)


def check_fit(model: keras.Model, dataset: Dataset) -> None:
    """Raises BadInput where the model's input or output is not what the data have."""
    size = (dataset.preprocess.height, dataset.preprocess.width, 3)
    if tuple(model.input_shape[1:]) != size:
        want = "x".join(map(str, model.input_shape[1:]))
        raise BadInput(
            f"The model takes images of {want}, the data are prepared as {'x'.join(map(str, size))}.",
            "Build the model and load the data with the same image size.",
        )
    if model.output_shape[-1] != len(dataset.class_names):
        raise BadInput(
            f"The model has {model.output_shape[-1]} outputs, the data have {len(dataset.class_names)} classes.",
            "Build the model with as many classes as the data have.",
        )


class _Run:
    """One call of `train`: what stays the same from epoch to epoch."""

    def __init__(self, model: keras.Model, dataset: Dataset, config: Train, seed: int, progress: Reporter) -> None:
        self._model, self._train, self._config, self._seed = model, Remembering(dataset.train), config, seed
        classes = len(dataset.class_names)
        self._weights = class_weights(dataset.train.labels, classes, config.class_weights)
        self._augmenter = Augmenter(config.augment.on(dataset.name))
        self._val = PlainBatches(Remembering(dataset.val), VAL_BATCH, classes)
        self._progress, self._note = progress, ""

    @contextlib.contextmanager
    def prepared(self) -> Iterator[None]:
        """The model as it computes while training; afterwards as it was, without the traced training graphs."""
        model = self._model
        try:
            with mixed_precision(model, self._config.mixed_precision), fused_norm(model):
                yield
        except Exception as caught:
            if isinstance(caught, MemoryError) or type(caught).__name__ in MEMORY_ERRORS:
                raise out_of_memory(self._config.batch_size) from caught
            raise
        finally:
            model.train_function = model.test_function = None
            gc.collect()

    def epoch(self, number: int, plateau: float) -> dict[str, float]:
        """Trains epoch `number`, counted from 0, and validates: a row of the history."""
        config, started = self._config, time.monotonic()
        batches = TrainBatches(self._train, config.batch_size, self._augmenter, self._weights, self._seed, number)
        steps = _Steps(config, number, len(batches), plateau, self._report)
        with _own_errors(batches, self._val):
            fitted = self._model.fit(batches, verbose=0, shuffle=False, callbacks=[steps]).history
            held_out = self._model.evaluate(self._val, verbose=0, return_dict=True)
        row = {
            "epoch": number + 1,
            "train_loss": fitted["loss"][0],
            "train_top1": fitted["top1"][0],
            "val_loss": held_out["loss"],
            "val_top1": held_out["top1"],
            "learning_rate": steps.rate,
            "seconds": round(time.monotonic() - started, 3),
        }
        _check_finite(row, config)
        self._note = f"epoch {number + 1}/{config.epochs}, validation top-1 {row['val_top1']:.1%}"
        self._report((number + 1) * len(batches), config.epochs * len(batches))
        return row

    def _report(self, done: int, total: int) -> None:
        self._progress(Progress("train", done, total, self._note))


class _Steps(keras.callbacks.Callback):
    """Sets the learning rate before each step, from the middle of the step's share of the epoch, and reports it."""

    def __init__(self, config: Train, epoch: int, steps: int, factor: float, report: Report) -> None:
        super().__init__()
        self._config, self._epoch, self._steps, self._factor = config, epoch, steps, factor
        self._report, self.rate = report, math.nan

    def on_train_batch_begin(self, batch: int, logs: object = None) -> None:
        position = self._epoch + (batch + 0.5) / self._steps
        self.rate = rate_at(self._config, position) * self._factor
        self.model.optimizer.learning_rate.assign(self.rate)

    def on_train_batch_end(self, batch: int, logs: object = None) -> None:
        self._report(self._epoch * self._steps + batch + 1, self._config.epochs * self._steps)


@contextlib.contextmanager
def _own_errors(*sources: TrainBatches | PlainBatches) -> Iterator[None]:
    """Raises what happened while reading a batch, such as BadInput, instead of the pipeline's error about it."""
    try:
        yield
    except Exception as caught:
        for source in sources:
            if source.failure is not None and source.failure is not caught:
                raise source.failure from caught
        raise


def _compile(model: keras.Model, config: Train) -> None:
    """A fresh optimizer with its variables, so that the training step is traced once and not twice."""
    decay = config.weight_decay or None
    if config.optimizer == "adamw":
        optimizer = keras.optimizers.AdamW(config.learning_rate, weight_decay=config.weight_decay)
    else:
        optimizer = keras.optimizers.SGD(config.learning_rate, momentum=config.momentum, weight_decay=decay)
    plain = [variable for variable in model.trainable_variables if variable.name in UNDECAYED]
    if config.weight_decay and plain:
        optimizer.exclude_from_weight_decay(var_list=plain)
    optimizer.build(model.trainable_variables)
    loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=config.label_smoothing)
    # XLA takes minutes to compile a MobileNet for a CPU; the other backends know best.
    jit = False if keras.backend.backend() == "tensorflow" else "auto"
    accuracy = keras.metrics.CategoricalAccuracy(name="top1")
    model.compile(optimizer, loss, metrics=[accuracy], jit_compile=jit)


def _check_finite(row: dict[str, float], config: Train) -> None:
    if not math.isfinite(row["train_loss"] + row["val_loss"]):
        raise BadInput(
            f"The loss is no longer a number after epoch {row['epoch']}.",
            f"Use a lower learning rate than {config.learning_rate:g}, or a longer warm-up.",
        )
