"""The steps of a recipe by name: what each does to the model, and the report that it gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from edgekit.compression.bias import correct_bias
from edgekit.compression.channels import take_channels
from edgekit.compression.cluster import train_clustered
from edgekit.compression.equalize import equalize
from edgekit.compression.fine_tune import taught
from edgekit.compression.learned_rounding import learn_rounding
from edgekit.compression.prune import train_pruned
from edgekit.compression.quantize_aware import prepare
from edgekit.compression.rewrite import rewrite
from edgekit.compression.step import Stepped
from edgekit.compression.step_context import StepContext
from edgekit.compression.train_quantized import compared, train_quantized
from edgekit.errors import BadInput
from edgekit.step_config import CorrectBias, Equalize, LearnRounding, Rewrite, Step


def take(model: Any, step: Step, context: StepContext) -> Stepped:
    """The model after a step, and its report. `model` is on logits where it is a classifier.

    A step that makes the model of the int8 file is held against that file (see `compared`). Raises BadInput and
    UsageError as the step does, and where the model is no Keras model.
    """
    if not hasattr(model, "layers"):
        raise BadInput(
            f"{step.name} changes a Keras model, and this is a bare SavedModel.", "Give a .keras file, or no steps."
        )
    taken = TAKEN[step.name](model, step.config, context)
    return replace(taken, figures={**taken.figures, **compared(taken.model, context)}) if step.quantizing else taken


def _rewrite(model: Any, config: Rewrite, context: StepContext) -> Stepped:
    """Fine-tuning learns the outputs of the model before: the same function in another form needs no labels."""
    done = rewrite(model, config)
    if not config.finetune_epochs:
        return done
    training = taught("rewrite", done.model, model, config.finetune_epochs, config.learning_rate, context)
    return replace(done, figures={**done.figures, "training": training})


def _equalize(model: Any, _: Equalize, context: StepContext) -> Stepped:
    return equalize(model, context.calibration())


def _learn_rounding(model: Any, config: LearnRounding, context: StepContext) -> Stepped:
    return learn_rounding(
        model,
        context.calibration(),
        weight_bits=config.weight_bits,
        iterations=config.iterations,
        exclude=config.exclude,
        eight_bits=config.eight_bits,
        bias_correction=config.bias_correction,
        seed=context.seed,
        progress=context.progress,
        state=context.state,
    )


def _correct_bias(model: Any, _: CorrectBias, context: StepContext) -> Stepped:
    calibration = context.calibration()
    prepared = prepare(model, calibration)
    corrected = correct_bias(prepared.model, model, calibration)
    return replace(corrected, skipped=(*prepared.skipped, *corrected.skipped))


TAKEN: dict[str, Callable[[Any, Any, StepContext], Stepped]] = {
    "rewrite": _rewrite,
    "channels": take_channels,
    "prune": train_pruned,
    "cluster": train_clustered,
    "equalize": _equalize,
    "learn_rounding": _learn_rounding,
    "correct_bias": _correct_bias,
    "quantize_aware": train_quantized,
}
