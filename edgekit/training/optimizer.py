"""The optimizer of a phase: which weights it decays, and how much slower than the head each of them learns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from edgekit.train_config import Train

UNDECAYED = ("bias", "beta", "gamma")


def make_optimizer(config: Train, variables: Sequence[Any], factors: Mapping[int, float] | None = None) -> Any:
    """A fresh optimizer with its slots for `variables`, so that the training step is traced once and not twice.

    `factors` are learning rates as shares of the optimizer's, by id of the variable, 1 where there is none.
    Weight decay is scaled along with them.
    """
    shares = [(factors or {}).get(id(variable), 1.0) for variable in variables]
    kind: Any = keras.optimizers.AdamW
    settings: dict[str, Any] = {"weight_decay": config.weight_decay}
    if config.optimizer == "sgd":
        kind, settings = keras.optimizers.SGD, {"weight_decay": config.weight_decay or None}
        settings["momentum"] = config.momentum
    optimizer = kind(config.learning_rate, **settings)
    if set(shares) - {1.0}:
        optimizer = _discriminative(type(optimizer))(config.learning_rate, **settings)
        optimizer.shares = tuple(shares)
    plain = [variable for variable in variables if variable.name in UNDECAYED]
    if config.weight_decay and plain:
        optimizer.exclude_from_weight_decay(var_list=plain)
    optimizer.build(list(variables))
    return optimizer


def _discriminative(kind: type) -> type:
    """An optimizer class with a learning rate for each group of variables (Howard and Ruder 2018, section 3.2).

    The update is done group by group at the group's rate: scaling gradients would change nothing, as Adam divides
    by their size. `kind` is what Keras made on its backend, so that PyTorch's updates of many tensors at once stay.
    """

    class Discriminative(kind):  # type: ignore[misc, valid-type]
        shares: tuple[float, ...] = ()
        share = 1.0

        def _backend_apply_gradients(self, grads: Sequence[Any], trainable_variables: Sequence[Any]) -> None:
            pairs = list(zip(grads, trainable_variables, strict=True))
            for share in sorted(set(self.shares)):
                group = [pair for pair in pairs if self.shares[self._get_variable_index(pair[1])] == share]
                if group:
                    self.share = share
                    super()._backend_apply_gradients(*map(list, zip(*group, strict=True)))
            self.share = 1.0

        def _get_current_learning_rate(self) -> Any:
            rate = super()._get_current_learning_rate()
            return rate if self.share == 1.0 else rate * self.share

    return Discriminative
