"""The learning rate as a plain function of the position in training, measured in epochs."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from edgekit.train_config import Train

LONGEST_WARMUP = 0.2  # of all epochs, so that a short run is not all warm-up
RISE = 0.3  # of one_cycle; with START and END these are the usual values (Smith and Topin 2017; torch.optim)
START = 1 / 25  # of the peak
END = START / 1e4
PLATEAU_TOLERANCE = 1e-4


def rate_at(config: Train, epoch: float) -> float:
    """The learning rate at `epoch` (0.0 = start, fractions count), warm-up included.

    `plateau` is constant here: what it has dropped so far is Plateau.factor.
    """
    if config.schedule == "one_cycle":
        return config.learning_rate * _one_cycle(epoch, config.epochs)
    warmup = min(config.warmup_epochs, LONGEST_WARMUP * config.epochs)
    if epoch < warmup:
        return config.learning_rate * epoch / warmup
    return config.learning_rate * SCHEDULES[config.schedule](config, epoch - warmup, config.epochs - warmup)


def _constant(config: Train, epoch: float, epochs: float) -> float:
    return 1.0


def _step(config: Train, epoch: float, epochs: float) -> float:
    return config.step_factor ** math.floor(epoch / config.step_every)


def _exponential(config: Train, epoch: float, epochs: float) -> float:
    return math.exp(-config.decay_rate * epoch)


def _cosine(config: Train, epoch: float, epochs: float) -> float:
    return _half_cosine(min(epoch / epochs, 1.0))


def _warm_restarts(config: Train, epoch: float, epochs: float) -> float:
    """Cosine cycles, each twice as long as the one before (Loshchilov and Hutter 2017, SGDR)."""
    length = config.restart_every
    while epoch >= length:
        epoch -= length
        length *= 2
    return _half_cosine(epoch / length)


def _one_cycle(epoch: float, epochs: float) -> float:
    """Up from START to 1 over the first RISE of the epochs, then down to END, along half cosines."""
    share = min(epoch / epochs, 1.0)
    if share < RISE:
        return 1 + (START - 1) * _half_cosine(share / RISE)
    return END + (1 - END) * _half_cosine((share - RISE) / (1 - RISE))


def _half_cosine(share: float) -> float:
    """1 at 0, 0 at 1."""
    return 0.5 * (1 + math.cos(math.pi * share))


SCHEDULES: dict[str, Callable[[Train, float, float], float]] = {
    "constant": _constant,
    "step": _step,
    "exponential": _exponential,
    "cosine": _cosine,
    "warm_restarts": _warm_restarts,
    "plateau": _constant,
}


@dataclass(frozen=True)
class Plateau:
    """What `plateau` remembers from epoch to epoch: the lowest validation loss, and the drops so far."""

    lowest: float = math.inf
    waited: int = 0
    factor: float = 1.0

    def after(self, loss: float, config: Train) -> Plateau:
        """The state after an epoch that ended with this validation loss; other schedules leave it alone."""
        if config.schedule != "plateau":
            return self
        if loss < self.lowest - PLATEAU_TOLERANCE:
            return replace(self, lowest=loss, waited=0)
        if self.waited + 1 < config.plateau_patience:
            return replace(self, waited=self.waited + 1)
        return replace(self, waited=0, factor=self.factor * config.step_factor)
