"""Everything that training needs to go on after an epoch, kept in one file that is replaced whole."""

from __future__ import annotations

import hashlib
import io
import json
import math
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd

from edgekit.artifact import write_bytes
from edgekit.distil_config import Transfer
from edgekit.errors import EdgekitWarning
from edgekit.train_config import Train
from edgekit.training.schedules import Plateau

COLUMNS = (
    "epoch",
    "train_loss",
    "train_top1",
    "val_loss",
    "val_top1",
    "learning_rate",
    "seconds",
)


@dataclass(frozen=True)
class State:
    """After `rows` epochs. `best_weights` are `model.get_weights()` of the best one, by validation only."""

    rows: tuple[dict[str, float], ...] = ()
    best_epoch: int = 0
    best_score: tuple[float, float] = (-math.inf, -math.inf)
    best_weights: list[np.ndarray] = field(default_factory=list)
    plateau: Plateau = field(default_factory=Plateau)

    def finished(self, config: Train, counted_from: int = 0) -> bool:
        """All epochs done, or `early_stopping` of those behind epoch `counted_from` without a better one."""
        done = len(self.rows)
        waited = done - max(self.best_epoch, counted_from)
        stopped = config.early_stopping is not None and waited >= config.early_stopping
        return done >= config.epochs or (done > counted_from and stopped)

    def after(self, row: dict[str, float], model: keras.Model, config: Train, *, wanted: bool = True) -> State:
        """The state after one more epoch, which, where it is `wanted`, may be the best one by its `score_of`."""
        rows, plateau = (*self.rows, row), self.plateau.after(row["val_loss"], config)
        score = score_of(row)
        if not wanted or score <= self.best_score:
            return State(rows, self.best_epoch, self.best_score, self.best_weights, plateau)
        return State(rows, len(rows), score, model.get_weights(), plateau)

    def history(self) -> pd.DataFrame:
        """One row an epoch, counted from 1; losses in nats, accuracies as fractions, seconds of wall time.

        The columns are COLUMNS; of what learned from a teacher, those that there are and `val_agreement` with it.
        """
        columns = list(self.rows[0]) if self.rows else list(COLUMNS)
        return pd.DataFrame(self.rows, columns=columns).astype({"epoch": int})


def score_of(held_out: Mapping[str, float]) -> tuple[float, float]:
    """What makes an epoch the better one: a higher validation top-1, or the same at a lower loss. With a teacher the
    loss alone: it says more about a model near its teacher than the few answers that differ."""
    answers = 0.0 if "train_top1" not in held_out else held_out["val_top1"]
    return answers, -held_out["val_loss"]


@dataclass(frozen=True)
class Slots:
    """What the optimizer remembered after the last epoch, and of which phase of training it is the optimizer; and what
    else had learned beside the model."""

    phase: int = -1
    values: list[np.ndarray] = field(default_factory=list)
    extra: list[np.ndarray] = field(default_factory=list)

    def put(self, optimizer: Any, phase: int) -> None:
        """Gives it to the optimizer of the same phase; one that begins a phase starts fresh."""
        if phase == self.phase:
            for variable, value in zip(optimizer.variables, self.values, strict=True):
                variable.assign(value)

    def put_extra(self, variables: Sequence[Any]) -> None:
        """Gives it to the variables that learn beside the model; they begin to where there is none yet."""
        if self.extra:
            for variable, value in zip(variables, self.extra, strict=True):
                variable.assign(value)


class Store:
    """The state file and the log in a folder, or nothing at all where `folder` is None."""

    def __init__(self, folder: Path | None, fingerprint: str) -> None:
        self._folder, self._fingerprint = folder, fingerprint
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)

    def save(self, state: State, model: keras.Model, optimizer: Any, phase: int, extra: Sequence[Any] = ()) -> None:
        """Writes training.npz and history.csv; a kill at any moment leaves the old or the new file, never half."""
        if self._folder is None:
            return
        meta = {**asdict(state), "fingerprint": self._fingerprint, "phase": phase}
        del meta["best_weights"]
        arrays = {f"now{i}": value for i, value in enumerate(_values(model.variables))}
        arrays |= {f"slot{i}": value for i, value in enumerate(_values(optimizer.variables))}
        arrays |= {f"extra{i}": value for i, value in enumerate(_values(extra))}
        arrays |= {f"best{i}": value for i, value in enumerate(state.best_weights)}
        packed = io.BytesIO()
        np.savez(packed, meta=np.frombuffer(json.dumps(meta).encode(), np.uint8), **arrays)  # type: ignore[arg-type]
        # The log first: an epoch that is in the log only is trained, and logged, again.
        write_bytes(self._folder / "history.csv", state.history().to_csv(index=False).encode())
        write_bytes(self._folder / "training.npz", packed.getbuffer())

    def load(self, model: keras.Model) -> tuple[State, Slots]:
        """The state to go on from, with the model set to it, and the optimizer's variables; fresh where there is none.

        Warns, and starts anew, where the file is of other training (data, configuration, seed, first
        weights).
        """
        path = self._folder / "training.npz" if self._folder else None
        if path is None or not path.exists():
            return State(), Slots()
        try:
            with np.load(path) as stored:
                meta = json.loads(stored["meta"].tobytes())
                arrays = {name: stored[name] for name in stored.files}
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as damage:
            return _start_anew(f"{path} is damaged ({damage})")
        if meta.pop("fingerprint") != self._fingerprint:
            return _start_anew(f"{path} is of other training")
        for i, variable in enumerate(model.variables):
            variable.assign(arrays[f"now{i}"])
        best = [arrays[f"best{i}"] for i in range(len(model.weights))]
        score = tuple(meta["best_score"])
        slots = Slots(meta["phase"], _numbered(arrays, "slot"), _numbered(arrays, "extra"))
        return State(tuple(meta["rows"]), meta["best_epoch"], score, best, Plateau(**meta["plateau"])), slots


def fingerprint(
    model: keras.Model,
    config: Train,
    data_sha256: str,
    seed: int,
    teacher: keras.Model | None = None,
    transfer: Transfer | None = None,
) -> str:
    """What makes a training run the same one: sha256 of its inputs, the weights before the first step included, and
    those of the teacher."""
    digest = hashlib.sha256()
    said: list[Any] = [config.model_dump(mode="json"), transfer and transfer.model_dump(mode="json")]
    said += [data_sha256, seed, keras.backend.backend(), keras.__version__]
    digest.update(json.dumps(said, sort_keys=True).encode())
    for variable in (*model.variables, *(teacher.variables if teacher else ())):
        value = keras.ops.convert_to_numpy(variable)
        digest.update(f"{value.shape}{value.dtype}".encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    return digest.hexdigest()


def _start_anew(why: str) -> tuple[State, Slots]:
    warnings.warn(f"{why}; training starts from the beginning.", EdgekitWarning, stacklevel=4)
    return State(), Slots()


def _numbered(arrays: Mapping[str, np.ndarray], kind: str) -> list[np.ndarray]:
    return [arrays[f"{kind}{i}"] for i in range(sum(name.startswith(kind) for name in arrays))]


def _values(variables: Sequence[Any]) -> list[np.ndarray]:
    return [np.asarray(keras.ops.convert_to_numpy(variable)) for variable in variables]
