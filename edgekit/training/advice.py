"""What the numbers say, in words: learning rates out of range, under- and over-fitting, too little memory."""

from __future__ import annotations

import pandas as pd

from edgekit.errors import DeviceError
from edgekit.train_config import Train

# Usual peak learning rates: of all layers from scratch, of a new head, of the layers under it that bring weights.
USUAL_RATES = {
    "from scratch": {"adamw": (1e-4, 1e-2), "sgd": (1e-3, 1.0)},
    "for a new head": {"adamw": (1e-3, 1e-2), "sgd": (1e-3, 1.0)},
    "for fine-tuning the base": {"adamw": (1e-5, 1e-3), "sgd": (1e-4, 1e-1)},
}

LOW_TOP1 = 0.7  # training accuracy below which a model has not learned its own training set
GAP = 0.1  # of training over validation accuracy
STILL_GAINING = 0.005  # of validation accuracy an epoch, over the last third


def learning_rate_advice(config: Train) -> str | None:
    """A sentence where the learning rate is far outside what optimizer and stage usually take (R13)."""
    tuned, rate = config.fine_tune, config.learning_rate
    if tuned is None:
        return _unusual(config.optimizer, rate, "from scratch")
    base = None if tuned.mode == "features" else tuned.base_rate * rate
    said = [_unusual(config.optimizer, rate, "for a new head")]
    said += [_unusual(config.optimizer, base, "for fine-tuning the base")] if base else []
    return " ".join(sentence for sentence in said if sentence) or None


def _unusual(optimizer: str, rate: float, stage: str) -> str | None:
    low, high = USUAL_RATES[stage][optimizer]
    if low <= rate <= high:
        return None
    side = "below" if rate < low else "above"
    return f"A learning rate of {rate:g} is {side} the usual {low:g} to {high:g} of {optimizer} {stage}."


def curve_advice(history: pd.DataFrame, config: Train, classes: int) -> tuple[str, ...]:
    """What the curves suggest to change (R41); `history` as in `Trained`. Empty when nothing stands out."""
    if history.empty:
        return ()
    best = history.iloc[int(history["val_top1"].argmax())]
    train, val = float(history["train_top1"].iloc[-1]), float(best["val_top1"])
    mixed = config.augment.mixup > 0 or config.augment.cutmix > 0
    found = []
    if val < 1.5 / classes:
        found.append("Validation accuracy is at the level of guessing: check labels, preprocessing, learning rate.")
    elif not mixed and train < LOW_TOP1:
        found.append(_underfitting(train))
    if not mixed and train - val > GAP:
        found.append(_overfitting(train, val, config))
    if _still_gaining(history):
        found.append("Validation accuracy was still rising at the end: more epochs (--epochs) should help.")
    if int(best["epoch"]) < 0.6 * len(history) and float(history["val_loss"].iloc[-1]) > 1.2 * best["val_loss"]:
        found.append(f"Validation was best after epoch {int(best['epoch'])} of {len(history)}: fewer would do.")
    return tuple(found)


def _underfitting(train: float) -> str:
    return (
        f"Underfitting: {train:.0%} on the training images themselves. Train longer, use a larger model "
        "or a higher learning rate, or less augmentation and weight decay."
    )


def _overfitting(train: float, val: float, config: Train) -> str:
    more = "stronger" if config.augment.moves_pixels() else "some"
    return (
        f"Overfitting: {train:.0%} on training images but {val:.0%} on validation images. "
        f"Use {more} augmentation, more weight decay or dropout, more images or a smaller model."
    )


def _still_gaining(history: pd.DataFrame) -> bool:
    """Whether the last third of the epochs gained STILL_GAINING an epoch over the third before."""
    third = len(history) // 3
    if third == 0:
        return False
    scores = history["val_top1"]
    return float(scores.iloc[-third:].mean() - scores.iloc[-2 * third : -third].mean()) / third > STILL_GAINING


def out_of_memory(batch_size: int) -> DeviceError:
    """The error for training that does not fit (R18)."""
    smaller = f"--batch-size {max(1, batch_size // 2)}" if batch_size > 1 else "a smaller --image-size or model"
    return DeviceError(f"Training with {batch_size} images a step does not fit into memory.", f"Use {smaller}.")
