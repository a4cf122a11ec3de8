"""Quantization-aware training: the fake-quantized model learns what the float model says, and is then held against
the very file that it becomes."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from edgekit.compression.quantize_aware import prepare
from edgekit.compression.step import Stepped
from edgekit.compression.weight_patterns import keep, keeping
from edgekit.data.arrays import ArrayData
from edgekit.data.dataset import Dataset
from edgekit.errors import UsageError
from edgekit.exporting.calibration import Calibration
from edgekit.exporting.export import Exporter
from edgekit.exporting.samples import Arrays, Images
from edgekit.progress import Progress, Reporter, silent
from edgekit.quantize_config import Quantize
from edgekit.recipe import Verify
from edgekit.runtime.ranges import Inputs
from edgekit.step_config import QuantizeAware
from edgekit.train_config import Train
from edgekit.training.fit import Shaping, train
from edgekit.training.teacher import Teacher


@dataclass(frozen=True)
class StepContext:
    """What a step has besides the model and its own configuration.

    `train` is the recipe's: batch size, augmentation and what concerns labels are the same here. `softmax`: the file
    gives the probabilities of the model's logits; `classifier`: its output has a score a class. `state` is the folder
    in which the step keeps what it needs to continue. `measure`: the latency in ms of what a model becomes on the
    device that counts; None where nothing is measured. `teacher` is that of `train.distil`, where a step learns from
    it.
    """

    data: Dataset | ArrayData
    state: Path
    train: Train
    quantize: Quantize
    limits: Verify
    softmax: bool
    classifier: bool
    seed: int = 0
    progress: Reporter = silent
    measure: Callable[[Any], float] | None = None
    teacher: Teacher | None = None

    def teaching(self, model: Any, distil: bool | Literal["teacher"]) -> Any | None:
        """From whom a step learns: the model before it, the recipe's teacher, or nobody but the labels."""
        if distil == "teacher" and self.teacher is None:
            raise UsageError("There is no teacher that distil: teacher could mean.", "Set train.distil.teacher.")
        return self.teacher if distil == "teacher" else model if distil else None

    def calibration(self) -> Calibration:
        return replace(_calibration(self.data), quantize=self.quantize)


def quantize_aware(
    model: Any,
    data: Dataset | ArrayData | np.ndarray | tuple[np.ndarray, ...],
    *,
    weight_bits: Literal[8, 4] = 8,
    exclude: Collection[str] = (),
    eight_bits: Collection[str] | None = None,
    batch_norm: Literal["frozen", "live"] = "frozen",
    quantize: Quantize | None = None,
) -> Stepped:
    """The fake-quantized model of a functional or sequential Keras model, to be trained by your own script.

    `data` calibrates the ranges: a data set's calibration images, or an array [n, ...] for each input, as the model
    takes it. Compile and fit `Stepped.model` as the model that was given, with a tenth of its learning rate or less;
    `export(..., variants=("int8",))` makes the file that answers like it. Its outputs are those of the model. Zeros of
    pruned layers stay zeros meanwhile, and values of clustered ones shared. Layers named by `exclude`, or by a pattern
    there, stay float; `eight_bits` are those of 8 bits where the others have 4. Raises as
    `compression.quantize_aware.prepare` does.
    """
    calibration = replace(_calibration(data), quantize=quantize or Quantize())
    prepared = prepare(
        model, calibration, weight_bits=weight_bits, exclude=exclude, eight_bits=eight_bits, batch_norm=batch_norm
    )
    return replace(prepared, done=(*prepared.done, *keep(prepared.model)))


def train_quantized(model: Any, config: QuantizeAware, context: StepContext) -> Stepped:
    """The step of a recipe: prepares and trains. `model` is on logits where it is a classifier.

    Its figures have `training`: epochs, best_epoch, seconds, history; None where nothing is trained. Raises BadInput,
    UsageError.
    """
    prepared = prepare(
        model,
        context.calibration(),
        weight_bits=config.weight_bits,
        exclude=config.exclude,
        eight_bits=config.eight_bits,
        batch_norm=config.batch_norm,
    )
    figures = {**prepared.figures, "training": None}
    if config.epochs:
        teacher = context.teaching(model, config.distil)
        figures["training"] = taught("quantize_aware", prepared.model, teacher, config.epochs,
                                     config.learning_rate, context)  # fmt: skip
    return replace(prepared, figures=figures)


def taught(
    step: str,
    model: Any,
    teacher: Any | None,
    epochs: int,
    learning_rate: float,
    context: StepContext,
    shaping: Shaping | None = None,
) -> dict[str, Any]:
    """Trains a step's flat model in place, on a teacher's outputs or on the labels; what training did, as JSON.

    `teacher` is a model, whose outputs are learned, or a Teacher, who says what is.
    What its kernels have of zeros and shared values they keep, and `kept` names them.
    """
    if not isinstance(context.data, Dataset):
        raise UsageError(f"{step} cannot train on arrays.", f"Set its epochs to 0: --set steps.{step}.epochs=0")
    if teacher is None and not context.data.class_names:
        raise UsageError(f"{step} with distil: false needs labels.", "Give --data, or leave distil as it is.")

    def tell(at: Progress) -> None:
        context.progress(replace(at, stage=step))

    if teacher is not None and not isinstance(teacher, Teacher):
        teacher = Teacher(teacher, context.classifier and model.output_shape[-1] > 1)
    with keeping(model) as kept:
        trained = train(
            model,
            context.data,
            _gently(context.train, epochs, learning_rate),
            teacher=teacher,
            shaping=shaping,
            state_dir=context.state,
            seed=context.seed,
            progress=tell,
        )
    history = trained.history.to_dict("records")
    return {"epochs": len(history), "best_epoch": trained.best_epoch, "seconds": trained.seconds, "history": history,
            "notes": list(trained.notes), "kept": [{"layer": one.layer, "text": one.text} for one in kept]}  # fmt: skip


def _gently(config: Train, epochs: int, learning_rate: float) -> Train:
    """For weights that are good already: the images as they were trained on, small steps, nothing decayed."""
    changes = {
        "epochs": epochs,
        "optimizer": "adamw",
        "learning_rate": learning_rate,
        "weight_decay": 0.0,
        "schedule": "cosine",
        "warmup_epochs": 0.5,
        "mixed_precision": False,
        "early_stopping": None,
        "fine_tune": None,
        "distil": None,
    }
    return config.model_copy(update=changes)


def compared(model: Any, context: StepContext) -> dict[str, Any]:
    """A fake-quantized model against the int8 file that is made of it, on held-out samples.

    `agreement` (value, n, ci95; None for what is no classifier), `sqnr_db` (None for equal values), `float_ops`.
    """
    exporter = Exporter(
        model,
        context.data,
        limits=context.limits,
        softmax=context.softmax,
        classifier=context.classifier,
        quantize=context.quantize,
    )
    with tempfile.TemporaryDirectory() as folder:
        found = exporter.write(Path(folder), "int8").parity
    value = found.agreement
    agreement = None if value is None else {"value": value, "n": found.n, "ci95": found.ci95 and list(found.ci95)}
    return {"agreement": agreement, "sqnr_db": found.sqnr_db, "float_ops": list(found.float_ops)}


def _calibration(data: Dataset | ArrayData | np.ndarray | tuple[np.ndarray, ...]) -> Calibration:
    if isinstance(data, Dataset):
        return Images(data).calibration("float32")
    if isinstance(data, ArrayData):
        return Arrays(data).calibration("float32")
    given = data if isinstance(data, tuple) else (data,)

    def samples() -> Iterator[Inputs]:
        return (tuple(np.asarray(values[i : i + 1], np.float32) for values in given) for i in range(len(given[0])))

    return Calibration(samples)
