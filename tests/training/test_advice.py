"""R13, R18, R41: what is said for which numbers."""

from __future__ import annotations

import pandas as pd
import pytest

from edgekit.errors import DeviceError
from edgekit.train_config import Augment, FineTune, Train
from edgekit.training.advice import curve_advice, learning_rate_advice, out_of_memory


def history(train: list[float], val: list[float], val_loss: list[float] | None = None) -> pd.DataFrame:
    n = len(train)
    return pd.DataFrame(
        {"epoch": range(1, n + 1), "train_top1": train, "val_top1": val, "val_loss": val_loss or [1.0] * n}
    )


@pytest.mark.parametrize(
    ("curves", "config", "said"),
    [
        (history([0.5, 0.6, 0.6], [0.5, 0.6, 0.6]), Train(), ["Underfitting: 60%"]),
        (history([0.9, 0.99, 1.0], [0.7, 0.7, 0.7]), Train(), ["Overfitting: 100% .* 70% .* some augmentation"]),
        (history([1.0] * 3, [0.7] * 3), Train(augment=Augment(shift=0.1)), ["stronger augmentation"]),
        (history([0.1, 0.1, 0.12], [0.1, 0.1, 0.1]), Train(), ["level of guessing"]),
        (history([0.7, 0.8, 0.9], [0.7, 0.8, 0.9]), Train(), ["still rising"]),
        (history([0.9] * 5, [0.8, 0.9, 0.89, 0.89, 0.89], [1, 0.5, 0.6, 0.8, 0.9]), Train(), ["after epoch 2 of 5"]),
        (history([0.97, 0.98, 0.98], [0.96, 0.965, 0.965]), Train(), []),
        (history([0.4] * 3, [0.9] * 3), Train(augment=Augment(mixup=0.2)), []),
        (history([], []), Train(), []),
    ],
)
def test_curves(curves: pd.DataFrame, config: Train, said: list[str]) -> None:
    advice = curve_advice(curves, config, classes=10)
    assert len(advice) == len(said)
    for sentence, pattern in zip(advice, said, strict=True):
        assert pd.Series([sentence]).str.contains(pattern).all(), sentence


@pytest.mark.parametrize(
    ("optimizer", "rate", "side"),
    [
        ("adamw", 0.5, "above"),
        ("adamw", 1e-6, "below"),
        ("sgd", 1e-5, "below"),
        ("adamw", 2e-3, None),
        ("sgd", 0.1, None),
    ],
)
def test_learning_rate(optimizer: str, rate: float, side: str | None) -> None:
    said = learning_rate_advice(Train(optimizer=optimizer, learning_rate=rate))
    assert said is None if side is None else said is not None and f"is {side} the usual" in said


def test_out_of_memory_names_a_smaller_batch() -> None:
    error = out_of_memory(64)
    assert isinstance(error, DeviceError) and "64 images" in error.fact and "--batch-size 32" in error.remedy
    assert "--image-size" in out_of_memory(1).remedy


@pytest.mark.parametrize(
    ("rate", "tuned", "said"),
    [
        (2e-3, FineTune(), None),
        (2e-3, FineTune(mode="features", base_rate=1.0), None),
        (2e-4, FineTune(), "0.0002 is below the usual 0.001 to 0.01 of adamw for a new head."),
        (2e-3, FineTune(base_rate=1.0), "0.002 is above the usual 1e-05 to 0.001 of adamw for fine-tuning the base."),
        (2e-3, FineTune(base_rate=1e-3), "2e-06 is below the usual 1e-05 to 0.001 of adamw for fine-tuning the base."),
        (0.1, FineTune(), "for a new head. A learning rate of 0.01 is above"),
    ],
)
def test_learning_rates_of_fine_tuning_have_ranges_of_their_own(rate: float, tuned: FineTune, said: str | None) -> None:
    advice = learning_rate_advice(Train(learning_rate=rate, fine_tune=tuned))
    assert advice is None if said is None else advice is not None and said in advice
