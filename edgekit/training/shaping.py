"""What changes a model's weights while it trains, beside the optimizer."""

from __future__ import annotations

from typing import Protocol


class Shaping(Protocol):
    """Such as pruning. Epochs that end before `share` of the training is over are not yet what is wanted: none of them
    is the best one."""

    share: float

    def start(self) -> None:
        """The model has the weights that training begins with, or goes on from."""

    def before_step(self, step: int, of: int) -> None:
        """Step `step` of all, counted from 0, is the next one."""
