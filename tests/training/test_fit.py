"""Training as a whole: it learns, repeats, stops, and goes on after a kill as if nothing had happened."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest

from edgekit.errors import BadInput, DeviceError, EdgekitWarning
from edgekit.progress import Progress
from edgekit.train_config import Augment, Train
from edgekit.training.fit import train
from edgekit.training.precision import bfloat16
from edgekit.training.state import COLUMNS
from tests.training import small

ROOT = Path(__file__).parents[2]
QUICK = Train(epochs=3, batch_size=24, learning_rate=5e-3)
FULL = Train(  # every kind of state: seeds, momentum, plateau, early stopping
    epochs=4,
    batch_size=24,
    optimizer="sgd",
    learning_rate=0.05,
    schedule="plateau",
    plateau_patience=1,
    early_stopping=3,
    label_smoothing=0.1,
    class_weights="balanced",
    augment=Augment(shift=0.1, mixup=0.2),
)


def val_top1(model: keras.Model) -> float:
    """Computed here from the images, not by Keras's metric."""
    split = small.digits().val
    images = (split.read(range(len(split))) / 127.5 - 1).astype(np.float32)
    answers = keras.ops.convert_to_numpy(model(images, training=False)).argmax(1)
    return float((answers == split.labels).mean())


def test_it_learns_reports_and_keeps_the_best_epoch(tmp_path: Path) -> None:
    """The test split cannot be touched (R17); history, log and curves say the same."""
    model, seen = small.model(), list[Progress]()
    trained = train(model, small.digits(), QUICK, state_dir=tmp_path, progress=seen.append)
    history = trained.history
    assert tuple(history.columns) == COLUMNS and list(history["epoch"]) == [1, 2, 3]
    assert history["train_loss"].iloc[-1] < history["train_loss"].iloc[0]
    best = history["val_top1"].max()
    assert history["val_top1"][trained.best_epoch - 1] == best > 0.3
    assert trained.seconds == pytest.approx(history["seconds"].sum())
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "history.csv"), history)

    assert [p.done for p in seen] == sorted(p.done for p in seen) and seen[-1].done == seen[-1].total == 12
    assert {p.stage for p in seen} == {"train"} and "validation top-1" in seen[-1].note

    assert val_top1(model) == pytest.approx(best)


def test_tensorboard_curves(tmp_path: Path) -> None:
    tf = pytest.importorskip("tensorflow")
    trained = train(small.model(), small.digits(), QUICK, state_dir=tmp_path)
    (events,) = (tmp_path / "tensorboard").iterdir()
    found = {
        (value.tag, event.step): tf.make_ndarray(value.tensor).item()
        for event in tf.compat.v1.train.summary_iterator(str(events))
        for value in event.summary.value
    }
    assert len(found) == 3 * (len(COLUMNS) - 1)
    assert found["val_top1", 3] == pytest.approx(trained.history["val_top1"].iloc[-1])


@pytest.mark.parametrize("config", [QUICK, FULL], ids=["adamw", "everything"])
def test_the_same_seed_gives_the_same_bits(config: Train) -> None:
    digests = []
    for seed in (0, 0, 1):
        model = small.model()
        train(model, small.digits(), config, seed=seed)
        digests.append(small.digest(model))
    assert digests[0] == digests[1] != digests[2]


KILLED_JOB = """
import os, signal, sys
from pathlib import Path
from edgekit.training.fit import train
from tests.training import small
from tests.training.test_fit import FULL

steps_left = int(sys.argv[2])
def progress(_):
    global steps_left
    steps_left -= 1
    if steps_left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

model = small.model()
train(model, small.digits(), FULL, state_dir=Path(sys.argv[1]), seed=3, progress=progress)
print(small.digest(model))
"""


def run_killed(folder: Path, after_reports: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", KILLED_JOB, str(folder), str(after_reports)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=dict(os.environ), timeout=300)


def test_after_kill_9_the_same_call_ends_with_the_same_bits(tmp_path: Path) -> None:
    """Killed in the first epoch, then in the third, then at its end: bit-identical to an undisturbed run."""
    for reports in (2, 13, 5):
        killed = run_killed(tmp_path, reports)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
    finished = run_killed(tmp_path, 0)
    assert finished.returncode == 0, finished.stderr

    model = small.model()
    undisturbed = train(model, small.digits(), FULL, seed=3)
    assert finished.stdout.strip() == small.digest(model)
    resumed = pd.read_csv(tmp_path / "history.csv")
    pd.testing.assert_frame_equal(
        resumed.drop(columns="seconds"), undisturbed.history.drop(columns="seconds"), check_exact=True
    )


def test_a_finished_training_is_not_done_again(tmp_path: Path) -> None:
    first, second, seen = small.model(), small.model(), list[Progress]()
    done = train(first, small.digits(), QUICK, state_dir=tmp_path)
    again = train(second, small.digits(), QUICK, state_dir=tmp_path, progress=seen.append)
    assert seen == [] and small.digest(first) == small.digest(second)
    pd.testing.assert_frame_equal(done.history, again.history)


@pytest.mark.parametrize("what", ["damaged", "other training"])
def test_a_state_that_does_not_fit_is_said_and_not_used(tmp_path: Path, what: str) -> None:
    train(small.model(), small.digits(), QUICK.model_copy(update={"epochs": 1}), state_dir=tmp_path)
    if what == "damaged":
        (tmp_path / "training.npz").write_bytes((tmp_path / "training.npz").read_bytes()[:1000])
    model, fresh = small.model(), small.model()
    with pytest.warns(EdgekitWarning, match=f"{what}.*starts from the beginning"):
        train(model, small.digits(), QUICK, state_dir=tmp_path)
    train(fresh, small.digits(), QUICK)
    assert small.digest(model) == small.digest(fresh)


def test_early_stopping_keeps_the_best_weights() -> None:
    """A learning rate that breaks what was learned: stops 2 epochs after the best, and goes back to it."""
    model = small.model()
    train(model, small.digits(), QUICK)
    harmful = Train(epochs=20, batch_size=24, learning_rate=0.5, optimizer="sgd", schedule="constant", early_stopping=2)
    trained = train(model, small.digits(), harmful)
    assert len(trained.history) == trained.best_epoch + 2 < 20
    assert trained.history["learning_rate"].nunique() <= 2  # warm-up, then constant: no plateau in disguise
    assert val_top1(model) == pytest.approx(trained.history["val_top1"].max())
    assert trained.history["val_top1"].iloc[-1] < trained.history["val_top1"].max()


def test_label_smoothing_and_mixup_go_together() -> None:
    config = QUICK.model_copy(update={"label_smoothing": 0.1, "augment": Augment(mixup=0.2, cutmix=1.0)})
    assert np.isfinite(train(small.model(), small.digits(), config).history["train_loss"]).all()


def test_no_epochs_leave_the_model_alone() -> None:
    model = small.model()
    before = small.digest(model)
    trained = train(model, small.digits(), Train(epochs=0))
    assert (trained.best_epoch, trained.seconds, len(trained.history)) == (0, 0.0, 0)
    assert small.digest(model) == before


def test_weight_decay_spares_biases_and_normalization() -> None:
    """R14: with a learning rate but no useful gradient left, only kernels shrink."""
    model = small.model()
    train(model, small.digits(), Train(epochs=1, batch_size=96, learning_rate=1e-4, weight_decay=5.0))
    spared = {v.path for v in model.trainable_variables if not model.optimizer._use_weight_decay(v)}
    assert {path.rsplit("/")[-1] for path in spared} == {"bias", "gamma", "beta"}


@pytest.mark.parametrize(
    ("size", "classes", "said"), [(16, 10, "8x8x3.*prepared|16x16x3"), (8, 4, "4 outputs.*10 classes")]
)
def test_a_model_that_does_not_fit_the_data_is_refused(size: int, classes: int, said: str) -> None:
    """R15."""
    image = keras.Input((size, size, 3))
    model = keras.Model(image, keras.layers.Dense(classes)(keras.layers.Flatten()(image)))
    with pytest.raises(BadInput, match=said):
        train(model, small.digits(), QUICK)


def test_an_unusual_learning_rate_is_said_and_a_broken_loss_stops() -> None:
    """R13."""
    with pytest.warns(EdgekitWarning, match="above the usual"), pytest.raises(BadInput, match="no longer a number"):
        train(small.model(), small.digits(), Train(epochs=3, optimizer="sgd", learning_rate=1e30, warmup_epochs=0))


class Failing:
    """The training split, until the reading of a batch fails in the middle of an epoch."""

    def __init__(self, error: Exception) -> None:
        self._split, self._error, self._reads = small.digits().train, error, 0
        self.labels, self.preprocess = self._split.labels, self._split.preprocess
        self.class_names = self._split.class_names

    def __len__(self) -> int:
        return len(self._split)

    def read(self, rows: np.ndarray) -> np.ndarray:
        self._reads += 1
        if self._reads > 2:
            raise self._error
        return self._split.read(rows)


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (MemoryError(), DeviceError, "--batch-size 12"),  # R18
        (BadInput("cats/7.jpg cannot be read."), BadInput, "cats/7.jpg cannot be read."),
    ],
)
def test_what_happens_while_reading_is_said_as_it_is(error: Exception, kind: type, said: str) -> None:
    with pytest.raises(kind, match=said):
        train(small.model(), dataclasses.replace(small.digits(), train=Failing(error)), QUICK)


def test_mixed_precision_without_an_accelerator_is_said() -> None:
    pytest.importorskip("tensorflow")
    from edgekit.training.precision import has_accelerator

    if has_accelerator():
        pytest.skip("there is one here")
    with pytest.warns(EdgekitWarning, match="trains in float32"):
        train(small.model(), small.digits(), QUICK.model_copy(update={"epochs": 1, "mixed_precision": True}))


def test_bfloat16_holds_for_a_while_only() -> None:
    model, images = small.model(), np.ones((2, 8, 8, 3), np.float32)
    with bfloat16(model):
        assert model.get_layer("first").compute_dtype == "bfloat16"
        assert model(images, training=True).dtype == "float32"
    assert model.get_layer("first").compute_dtype == "float32"
    assert {v.dtype for v in model.weights} == {"float32"}


def test_the_model_is_plain_keras_afterwards(tmp_path: Path) -> None:
    """Augmentation, fused normalization and mixed precision leave nothing in what is saved."""
    model = small.model()
    train(model, small.digits(), FULL.model_copy(update={"epochs": 1}))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    assert [type(x) for x in loaded.layers] == [type(x) for x in small.model().layers]
