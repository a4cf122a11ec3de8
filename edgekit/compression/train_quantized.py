"""Quantization-aware training: the fake-quantized model learns what the float model says, and is then held against
the very file that it becomes."""

from __future__ import annotations

import tempfile
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from edgekit.compression.fine_tune import taught
from edgekit.compression.quantize_aware import prepare
from edgekit.compression.step import Stepped
from edgekit.compression.step_context import StepContext, calibration_of
from edgekit.compression.weight_patterns import keep
from edgekit.data.arrays import ArrayData
from edgekit.data.dataset import Dataset
from edgekit.exporting.export import Exporter
from edgekit.quantize_config import Quantize
from edgekit.step_config import QuantizeAware


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
    calibration = replace(calibration_of(data), quantize=quantize or Quantize())
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
