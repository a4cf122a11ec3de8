"""R40: the schedules' exact values, and the shapes of the others."""

from __future__ import annotations

import pytest

from edgekit.train_config import Train
from edgekit.training.schedules import Plateau, rate_at

EPOCHS = (0, 9, 10, 25, 49)


def config(**fields: object) -> Train:
    return Train(**{"epochs": 50, "learning_rate": 1e-3, "warmup_epochs": 0, **fields})


@pytest.mark.parametrize(
    ("schedule", "values"),
    [
        ("step", (1e-3, 1e-3, 5e-4, 2.5e-4, 6.25e-5)),
        ("exponential", (1e-3, 4.07e-4, 3.68e-4, 8.21e-5, 7.45e-6)),
        ("cosine", (1e-3, 9.22e-4, 9.05e-4, 5e-4, 9.87e-7)),
        ("constant", (1e-3,) * 5),
        ("plateau", (1e-3,) * 5),
    ],
)
def test_values(schedule: str, values: tuple[float, ...]) -> None:
    found = [rate_at(config(schedule=schedule), epoch) for epoch in EPOCHS]
    assert found == pytest.approx(values, rel=2e-3)


def test_warm_restarts_start_again_at_the_base_in_cycles_twice_as_long() -> None:
    rate = [rate_at(config(schedule="warm_restarts"), epoch) for epoch in (0, 5, 9.999, 10, 20, 29.999, 30, 50)]
    assert rate == pytest.approx([1e-3, 5e-4, 0, 1e-3, 5e-4, 0, 1e-3, 5e-4], abs=1e-8)


def test_one_cycle_rises_to_the_peak_and_falls_to_nearly_nothing() -> None:
    rate = [rate_at(config(schedule="one_cycle", warmup_epochs=5), epoch) for epoch in (0, 7.5, 15, 32.5, 50)]
    assert rate == pytest.approx([4e-5, 5.2e-4, 1e-3, 5e-4, 4e-9], rel=1e-3)


def test_warm_up_rises_linearly_and_the_schedule_follows_it() -> None:
    warm = config(schedule="cosine", warmup_epochs=10)
    rates = [rate_at(warm, epoch) for epoch in (0, 2.5, 5, 10, 30, 50)]
    assert rates == pytest.approx([0, 2.5e-4, 5e-4, 1e-3, 5e-4, 0], abs=1e-12)


def test_a_short_run_is_not_all_warm_up() -> None:
    short = config(epochs=1, warmup_epochs=1)
    assert rate_at(short, 0.2) == 1e-3 and rate_at(short, 0.1) == 5e-4


def test_plateau_drops_after_as_many_epochs_without_a_lower_loss() -> None:
    settings, state, factors = config(schedule="plateau", plateau_patience=2), Plateau(), []
    for loss in (1.0, 0.8, 0.8, 0.9, 0.7, 0.7, 0.7, 0.7, 0.7):
        state = state.after(loss, settings)
        factors.append(state.factor)
    assert factors == [1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.125]
