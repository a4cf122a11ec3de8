"""Learning from a teacher: without labels, without touching the teacher, and never to the worse."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from edgekit.data.dataset import Dataset
from edgekit.errors import BadInput
from edgekit.progress import Progress
from edgekit.train_config import Augment, Train
from edgekit.training.fit import train
from edgekit.training.teacher import Teacher
from tests.training import small

CONFIG = Train(epochs=8, batch_size=24, learning_rate=1e-2, augment=Augment(shift=0.1))


@pytest.fixture(scope="module")
def teacher() -> keras.Model:
    model = small.model(seed=1)
    train(model, small.digits(), Train(epochs=8, batch_size=24, learning_rate=5e-3))
    return model


def unlabelled() -> Dataset:
    data = small.digits()
    train_, val = (dataclasses.replace(s, labels=0 * s.labels, class_names=()) for s in (data.train, data.val))
    return dataclasses.replace(data, class_names=(), train=train_, val=val)


def images(data: Dataset) -> np.ndarray:
    return (data.val.read(range(len(data.val))) / 127.5 - 1).astype(np.float32)


def logits(model: keras.Model, data: Dataset) -> np.ndarray:
    return keras.ops.convert_to_numpy(model(images(data), training=False))


def test_it_learns_the_answers_without_labels(teacher: keras.Model) -> None:
    before, flags = small.digest(teacher), [layer.trainable for layer in teacher._flatten_layers()]
    student, seen = small.model(seed=2), list[Progress]()
    trained = train(student, unlabelled(), CONFIG, teacher=Teacher(teacher), progress=seen.append)
    history = trained.history
    assert list(history.columns) == ["epoch", "train_loss", "val_loss", "val_agreement", "learning_rate", "seconds"]
    assert history["train_loss"].iloc[-1] < history["train_loss"].iloc[0]
    ours, theirs = logits(student, unlabelled()), logits(teacher, unlabelled())
    agreement = float((ours.argmax(1) == theirs.argmax(1)).mean())
    assert agreement == pytest.approx(history["val_agreement"][trained.best_epoch - 1]) and agreement > 0.5
    assert trained.best_epoch == history["val_loss"].argmin() + 1
    loss = keras.losses.KLDivergence()(keras.ops.softmax(theirs), keras.ops.softmax(ours))
    assert float(loss) == pytest.approx(history["val_loss"][trained.best_epoch - 1], rel=1e-4)
    assert "agreement" in seen[-1].note and trained.advice == ()
    assert small.digest(teacher) == before and [layer.trainable for layer in teacher._flatten_layers()] == flags
    assert all(variable.trainable for variable in teacher.trainable_variables) and teacher.trainable_variables


def test_labels_are_told_but_do_not_choose(teacher: keras.Model) -> None:
    student = small.model(seed=2)
    trained = train(student, small.digits(), CONFIG, teacher=Teacher(teacher))
    top1 = float((logits(student, small.digits()).argmax(1) == small.digits().val.labels).mean())
    assert top1 == pytest.approx(trained.history["val_top1"][trained.best_epoch - 1])
    assert trained.best_epoch == trained.history["val_loss"].argmin() + 1


def test_what_is_no_classifier_learns_by_squared_error(teacher: keras.Model) -> None:
    student = small.model(seed=2)
    trained = train(student, unlabelled(), CONFIG, teacher=Teacher(teacher, classifier=False))
    error = np.square(logits(student, unlabelled()) - logits(teacher, unlabelled())).mean()
    assert float(error) == pytest.approx(trained.history["val_loss"].min(), rel=1e-4)
    assert "val_agreement" not in trained.history


def test_a_copy_of_the_teacher_is_not_made_worse(teacher: keras.Model) -> None:
    student = keras.models.clone_model(teacher)
    student.set_weights(teacher.get_weights())
    trained = train(student, unlabelled(), CONFIG, teacher=Teacher(teacher))
    assert trained.best_epoch == 0 and small.digest(student) == small.digest(teacher)


def test_interrupted_it_ends_with_the_same_bits(teacher: keras.Model, tmp_path: Path) -> None:
    class Killed(Exception):
        """As good as a kill: state is only what is on disk."""

    def stop(progress: Progress) -> None:
        if progress.done == 7:
            raise Killed

    undisturbed = small.model(seed=2)
    train(undisturbed, unlabelled(), CONFIG, teacher=Teacher(teacher))
    with pytest.raises(Killed):
        train(small.model(seed=2), unlabelled(), CONFIG, teacher=Teacher(teacher), state_dir=tmp_path, progress=stop)
    resumed = small.model(seed=2)
    train(resumed, unlabelled(), CONFIG, teacher=Teacher(teacher), state_dir=tmp_path)
    assert small.digest(resumed) == small.digest(undisturbed)


def test_a_loss_that_is_no_number_leaves_the_last_good_weights(teacher: keras.Model, tmp_path: Path) -> None:
    """It stops within the epoch; what is on disk is of the epoch before."""
    student = small.model(seed=2)
    train(student, unlabelled(), CONFIG.model_copy(update={"epochs": 1}), teacher=Teacher(teacher))
    good, seen = small.digest(student), list[Progress]()

    class Poisoned(layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.times = 1.0

        def call(self, x: object) -> object:
            return x * self.times

    image = keras.Input((8, 8, 3))
    poison = Poisoned()
    model = keras.Model(image, poison(student(image)))
    poison.times = float("nan")
    with pytest.raises(BadInput, match=r"no longer a number in epoch 1; .* Use a lower learning rate than 0.01"):
        train(model, unlabelled(), CONFIG, teacher=Teacher(teacher), state_dir=tmp_path, progress=seen.append)
    assert small.digest(student) == good
    assert len(seen) <= 1 and not (tmp_path / "training.npz").exists()


def test_who_cannot_teach(teacher: keras.Model) -> None:
    with pytest.raises(BadInput, match="shares weights with its teacher"):
        train(teacher, unlabelled(), CONFIG, teacher=Teacher(teacher))
    with pytest.raises(BadInput, match=r"outputs are \[\(7,\)\], its teacher's \[\(10,\)\]"):
        train(small.model(classes=7), unlabelled(), CONFIG, teacher=Teacher(teacher))
