"""Everything that training needs to go on after an epoch, kept in one file that is replaced whole."""

from __future__ import annotations

import hashlib
import io
import json
import math
import warnings
import zipfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd

from edgekit.artifact import write_bytes
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

    def finished(self, config: Train) -> bool:
        """All epochs done, or `early_stopping` of them without a better one."""
        done = len(self.rows)
        stopped = config.early_stopping is not None and done - self.best_epoch >= config.early_stopping
        return done >= config.epochs or (done > 0 and stopped)

    def after(self, row: dict[str, float], model: keras.Model, config: Train) -> State:
        """The state after one more epoch. Better means a higher validation top-1, or the same at a lower loss."""
        rows, plateau = (*self.rows, row), self.plateau.after(row["val_loss"], config)
        score = (row["val_top1"], -row["val_loss"])
        if score <= self.best_score:
            return State(rows, self.best_epoch, self.best_score, self.best_weights, plateau)
        return State(rows, len(rows), score, model.get_weights(), plateau)

    def history(self) -> pd.DataFrame:
        """One row an epoch, counted from 1; losses in nats, accuracies as fractions, seconds of wall time."""
        return pd.DataFrame(self.rows, columns=list(COLUMNS)).astype({"epoch": int})


class Store:
    """The state file and the log in a folder, or nothing at all where `folder` is None."""

    def __init__(self, folder: Path | None, fingerprint: str) -> None:
        self._folder, self._fingerprint = folder, fingerprint
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)

    def save(self, state: State, model: keras.Model) -> None:
        """Writes training.npz and history.csv; a kill at any moment leaves the old or the new file, never half."""
        if self._folder is None:
            return
        meta = {**asdict(state), "fingerprint": self._fingerprint}
        del meta["best_weights"]
        arrays = {f"now{i}": np.asarray(value) for i, value in enumerate(_values(model))}
        arrays |= {f"best{i}": value for i, value in enumerate(state.best_weights)}
        packed = io.BytesIO()
        np.savez(packed, meta=np.frombuffer(json.dumps(meta).encode(), np.uint8), **arrays)  # type: ignore[arg-type]
        # The log first: an epoch that is in the log only is trained, and logged, again.
        write_bytes(self._folder / "history.csv", state.history().to_csv(index=False).encode())
        write_bytes(self._folder / "training.npz", packed.getbuffer())

    def load(self, model: keras.Model) -> State:
        """The state to go on from, with the model and its optimizer set to it; a fresh one where there is none.

        Warns, and starts anew, where the file is of other training (data, configuration, seed, first
        weights).
        """
        path = self._folder / "training.npz" if self._folder else None
        if path is None or not path.exists():
            return State()
        try:
            with np.load(path) as stored:
                meta = json.loads(stored["meta"].tobytes())
                arrays = {name: stored[name] for name in stored.files}
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as damage:
            return _start_anew(f"{path} is damaged ({damage})")
        if meta.pop("fingerprint") != self._fingerprint:
            return _start_anew(f"{path} is of other training")
        for i, variable in enumerate(_variables(model)):
            variable.assign(arrays[f"now{i}"])
        best = [arrays[f"best{i}"] for i in range(len(model.weights))]
        score = tuple(meta["best_score"])
        return State(tuple(meta["rows"]), meta["best_epoch"], score, best, Plateau(**meta["plateau"]))


def fingerprint(model: keras.Model, config: Train, data_sha256: str, seed: int) -> str:
    """What makes a training run the same one: sha256 of its inputs, the weights before the first step included."""
    digest = hashlib.sha256()
    said = [config.model_dump(mode="json"), data_sha256, seed, keras.backend.backend(), keras.__version__]
    digest.update(json.dumps(said, sort_keys=True).encode())
    for variable in model.variables:
        value = keras.ops.convert_to_numpy(variable)
        digest.update(f"{value.shape}{value.dtype}".encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    return digest.hexdigest()


def _start_anew(why: str) -> State:
    warnings.warn(f"{why}; training starts from the beginning.", EdgekitWarning, stacklevel=4)
    return State()


def _variables(model: keras.Model) -> list[Any]:
    """Weights, batch statistics, seed generators and the optimizer's own, in a fixed order."""
    return [*model.variables, *model.optimizer.variables]


def _values(model: keras.Model) -> list[np.ndarray]:
    return [keras.ops.convert_to_numpy(variable) for variable in _variables(model)]
