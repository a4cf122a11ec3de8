"""Training within a step: gently, on a teacher's outputs or on the labels, with the patterns of the weights kept."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

from edgekit.compression.step_context import StepContext
from edgekit.compression.weight_patterns import keeping
from edgekit.data.dataset import Dataset
from edgekit.errors import UsageError
from edgekit.progress import Progress
from edgekit.step_config import STEPS
from edgekit.train_config import Train
from edgekit.training.fit import train
from edgekit.training.shaping import Shaping
from edgekit.training.teacher import Teacher


def taught(
    step: str,
    model: Any,
    teacher: Any | None,
    epochs: int,
    learning_rate: float,
    context: StepContext,
    shaping: Shaping | None = None,
    how: Literal["gently", "as_trained"] = "gently",
) -> dict[str, Any]:
    """Trains a step's flat model in place, on a teacher's outputs or on the labels; what training did, as JSON.

    `teacher` is a model, whose outputs are learned, or a Teacher, who says what is. What the model's kernels have of
    zeros and shared values they keep, and `kept` names them. `how`: as `Channels.finetune`.
    """
    if not isinstance(context.data, Dataset):
        field = "epochs" if "epochs" in STEPS[step].model_fields else "finetune_epochs"
        raise UsageError(f"{step} cannot train on arrays.", f"Set its epochs to 0: --set steps.{step}.{field}=0")
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
            _config(context.train, epochs, learning_rate, how),
            teacher=teacher,
            shaping=shaping,
            state_dir=context.state,
            seed=context.seed,
            progress=tell,
        )
    history = trained.history.to_dict("records")
    return {"epochs": len(history), "best_epoch": trained.best_epoch, "seconds": trained.seconds, "history": history,
            "notes": list(trained.notes), "kept": [{"layer": one.layer, "text": one.text} for one in kept]}  # fmt: skip


def _config(config: Train, epochs: int, learning_rate: float, how: str) -> Train:
    """The recipe's training, on the images as they were trained on; for weights that are good already in small steps
    and with nothing decayed."""
    gently = {"optimizer": "adamw", "weight_decay": 0.0, "schedule": "cosine", "warmup_epochs": 0.5}
    return config.model_copy(update={
        "epochs": epochs,
        "learning_rate": learning_rate,
        "mixed_precision": False,
        "early_stopping": None,
        "fine_tune": None,
        "distil": None,
        **(gently if how == "gently" else {}),
    })  # fmt: skip
