"""Training with a teacher and labels (R37): the terms of the loss, and what they make of a training run."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops
from pydantic import ValidationError

from edgekit.data.dataset import Dataset
from edgekit.distil_config import Distil, Transfer
from edgekit.errors import BadInput, EdgekitWarning
from edgekit.progress import Progress
from edgekit.train_config import Augment, FineTune, Train
from edgekit.training import teacher as teaching
from edgekit.training.distillation import Decoupled, Term, transferred
from edgekit.training.fit import train
from edgekit.training.learner import Material
from edgekit.training.teacher import Teacher, Teaching
from tests.training import small

QUICK = Train(epochs=2, batch_size=24, learning_rate=5e-3, warmup_epochs=0)
MOVED = QUICK.model_copy(update={"augment": Augment(shift=0.1, mixup=0.2), "class_weights": "balanced"})
KINDS = ("logits", "decoupled", "attention", "features")


def network(seed: int, channels: int = 12) -> keras.Model:
    """Maps of 8x8 and 4x4, as small.model has, with more channels."""
    keras.utils.set_random_seed(seed)
    image = keras.Input((small.SIZE, small.SIZE, 3), name="image")
    x = layers.ReLU(name="wide")(layers.Conv2D(channels, 3, padding="same", name="one")(image))
    x = layers.ReLU(name="narrow")(layers.Conv2D(2 * channels, 3, strides=2, padding="same", name="two")(x))
    return keras.Model(image, layers.Dense(10, name="logits")(layers.Flatten()(x)))


@pytest.fixture(scope="module")
def teacher() -> keras.Model:
    model = network(seed=1)
    train(model, small.digits(300), Train(epochs=4, batch_size=24, learning_rate=5e-3))
    return model


def logits(seed: int) -> Any:
    return np.random.default_rng(seed).normal(0, 3, (6, 5)).astype(np.float32)


def softmax(values: np.ndarray) -> np.ndarray:
    powers = np.exp(values - values.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def kl(theirs: np.ndarray, ours: np.ndarray) -> float:
    return float((theirs * np.log(theirs / ours)).sum(axis=-1).mean())


def value(term: Term, theirs: Any, ours: Any, labels: Any = None) -> float:
    return float(term.loss.compute_loss(ops.array(theirs), ops.array(ours), labels=labels))


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_the_soft_term_is_hintons(temperature: float) -> None:
    """R37: of logits, one softmax, times the square of the temperature; at 1 it is the plain divergence."""
    (term,) = transferred(Transfer(temperature=temperature, alpha=0.7), 1)
    theirs, ours = logits(0), logits(1)
    expected = temperature**2 * kl(softmax(theirs / temperature), softmax(ours / temperature))
    assert value(term, theirs, ours) == pytest.approx(expected, rel=1e-4)
    assert (term.weight, term.output) == (0.7, 0)


def test_the_decoupled_term_is_zhaos() -> None:
    """Equation 7; with the teacher's own share of the other classes as the second weight it is the whole divergence
    (equation 5)."""
    theirs, ours, labels = logits(0), logits(1), np.eye(5, dtype=np.float32)[[0, 1, 2, 3, 4, 0]]
    p, q, hit = softmax(theirs / 2), softmax(ours / 2), labels.astype(bool)
    binary = [np.stack([one[hit], 1 - one[hit]], axis=1) for one in (p, q)]
    others = [one[~hit].reshape(6, 4) / one[~hit].reshape(6, 4).sum(axis=1, keepdims=True) for one in (p, q)]
    (term,) = transferred(Transfer(kind="decoupled", temperature=2.0, target=0.5, non_target=3.0), 1)
    assert value(term, theirs, ours, labels) == pytest.approx(4 * (0.5 * kl(*binary) + 3 * kl(*others)), rel=1e-4)
    one = slice(0, 1)
    parts = [
        value(Term(Decoupled(2.0, *weights), 1.0, 0), theirs[one], ours[one], labels[one])
        for weights in ((1, 0), (0, 1))
    ]
    whole = parts[0] + (1 - p[0, 0]) * parts[1]
    assert whole == pytest.approx(4 * kl(p[one], q[one]), rel=1e-4)
    shared = 0.6 * labels + 0.4 * np.roll(labels, 1, axis=1)
    assert value(term, theirs, ours, shared) == value(term, theirs, ours, labels)


def test_maps_weigh_what_the_configuration_says() -> None:
    found = transferred(Transfer(kind="attention", alpha=0.0, weight=6.0), 4)
    assert [(term.weight, term.output) for term in found] == [(2.0, 1), (2.0, 2), (2.0, 3)]
    unit = np.eye(4, dtype=np.float32)
    assert value(found[0], unit, unit) == 0.0 and value(found[0], unit, unit[::-1].copy()) == pytest.approx(2.0)


@pytest.mark.parametrize("config", [QUICK, MOVED], ids=["plain", "moved"])
def test_alpha_0_is_training_without_a_teacher(teacher: keras.Model, config: Train) -> None:
    """R37: to the bit; the teacher is not even asked."""
    alone, student = small.model(seed=2), small.model(seed=2)
    plain = train(alone, small.digits(), config)
    trained = train(student, small.digits(), config, teacher=Teacher(teacher, transfer=Transfer(alpha=0.0)))
    assert small.digest(student) == small.digest(alone)
    assert list(trained.history.drop(columns="seconds")) == list(plain.history.drop(columns="seconds"))
    assert trained.history["val_top1"].tolist() == plain.history["val_top1"].tolist()
    assert "not asked" in trained.notes[1]


def test_alpha_1_at_temperature_1_is_imitation(teacher: keras.Model) -> None:
    """R37: soft only is the plain divergence, whatever the labels are, and the steps are those of learning the outputs;
    the best epoch is the one with the best answers."""
    data, config = small.digits(), QUICK.model_copy(update={"epochs": 1})
    imitating, student, misled = (small.model(seed=2) for _ in range(3))
    wrong = dataclasses.replace(data, train=dataclasses.replace(data.train, labels=9 - data.train.labels))
    soft = Teacher(teacher, transfer=Transfer(alpha=1.0, temperature=1.0))
    losses = [
        train(model, given, config, teacher=by).history["train_loss"][0]
        for model, given, by in ((imitating, data, Teacher(teacher)), (student, data, soft), (misled, wrong, soft))
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6) and losses[1] == losses[2]
    assert small.digest(student) == small.digest(misled)
    for ours, theirs in zip(student.get_weights(), imitating.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_learns_and_leaves_both_models_as_they_were(teacher: keras.Model, kind: Any) -> None:
    """R37: the teacher is frozen and unchanged; the student is the same graph; the best epoch is by top-1."""
    student = small.model(seed=2)
    before, flags = small.digest(teacher), [layer.trainable for layer in teacher._flatten_layers()]
    names, config = [layer.name for layer in student.layers], student.get_config()
    transfer = Transfer(kind=kind, alpha=0.9, weight=1.0)
    trained = train(student, small.digits(), MOVED, teacher=Teacher(teacher, transfer=transfer))
    history = trained.history
    assert history["train_loss"].iloc[-1] < history["train_loss"].iloc[0]
    assert history["val_top1"][trained.best_epoch - 1] == history["val_top1"].max()
    assert small.digest(teacher) == before and [layer.trainable for layer in teacher._flatten_layers()] == flags
    assert [layer.name for layer in student.layers] == names and student.get_config() == config
    alone = small.model(seed=2)
    train(alone, small.digits(), MOVED)
    assert small.digest(student) != small.digest(alone)
    assert "images are augmented" in trained.notes[1] and "of the validation images right" in trained.notes[0]


@pytest.mark.parametrize("kind", ["decoupled", "features"])
def test_interrupted_it_ends_with_the_same_bits(teacher: keras.Model, kind: Any, tmp_path: Path) -> None:
    """The projection of the maps, which is no part of the model, goes on too; another teacher starts anew."""

    class Killed(Exception):
        """As good as a kill: state is only what is on disk."""

    def stop(progress: Progress) -> None:
        if progress.done == 6:
            raise Killed

    data, by = small.digits(), Teacher(teacher, transfer=Transfer(kind=kind, alpha=0.5, weight=1.0))
    undisturbed, resumed = small.model(seed=2), small.model(seed=2)
    train(undisturbed, data, QUICK, teacher=by)
    with pytest.raises(Killed):
        train(small.model(seed=2), data, QUICK, teacher=by, state_dir=tmp_path, progress=stop)
    with np.load(tmp_path / "training.npz") as stored:
        assert sum(name.startswith("extra") for name in stored.files) == (4 if kind == "features" else 0)
    train(resumed, data, QUICK, teacher=by, state_dir=tmp_path)
    assert small.digest(resumed) == small.digest(undisturbed)
    other = dataclasses.replace(by, model=network(seed=5))
    with pytest.warns(EdgekitWarning, match="of other training; training starts from the beginning"):
        train(small.model(seed=2), data, QUICK, teacher=other, state_dir=tmp_path)


@pytest.mark.parametrize("kind", ["logits", "attention"])
def test_remembered_answers_are_those_of_the_teacher(
    teacher: keras.Model, kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same training with the teacher running along, as where its answers would not fit into memory."""
    by = Teacher(teacher, transfer=Transfer(kind=kind))
    once, along = small.model(seed=2), small.model(seed=2)
    first = train(once, small.digits(), QUICK, teacher=by)
    monkeypatch.setattr(teaching, "REMEMBERED", 1000)
    second = train(along, small.digits(), QUICK, teacher=by)
    assert "once" in first.notes[1] and "its answers would take 0 MB" in second.notes[1]
    for ours, theirs in zip(once.get_weights(), along.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_pairs_of_layers(teacher: keras.Model) -> None:
    """By name, or the last map of each size; what is not there is answered with what is."""

    def taught(**said: Any) -> None:
        by = Teacher(teacher, transfer=Transfer(kind="attention", **said))
        train(small.model(), small.digits(), QUICK.model_copy(update={"epochs": 1}), teacher=by)

    taught(layers=(("first", "wide"),))
    with pytest.raises(BadInput, match=r"teacher has no feature map 'last'.* wide \(8x8x12\), narrow \(4x4x24\)"):
        taught(layers=(("first", "last"),))
    with pytest.raises(BadInput, match=r"map of the model is 8x8x8, that of its teacher 4x4x24.*Name pairs"):
        taught(layers=(("first", "narrow"),))
    image = keras.Input((8, 8, 3))
    flat = keras.Model(image, layers.Dense(10)(layers.Flatten()(image)))
    with pytest.raises(BadInput, match=r"no feature maps of the same height and width.*the model's are none"):
        train(flat, small.digits(), QUICK, teacher=Teacher(teacher, transfer=Transfer(kind="features")))


def test_fine_tuning_listens_once_the_base_learns(teacher: keras.Model) -> None:
    tuned = FineTune(mode="full", head_epochs=1)
    config = QUICK.model_copy(update={"fine_tune": tuned, "learning_rate": 2e-3})
    student, alone = small.model(seed=2), small.model(seed=2)
    by = Teacher(teacher, transfer=Transfer(kind="features", weight=1.0))
    with_it = train(student, small.digits(), config, teacher=by).history
    without = train(alone, small.digits(), config).history
    assert with_it["train_loss"][0] == without["train_loss"][0]
    assert with_it["train_loss"][1] != without["train_loss"][1]
    assert all(variable.trainable for variable in student.trainable_variables)


def unlabelled(data: Dataset) -> Dataset:
    train_, val = (dataclasses.replace(s, labels=0 * s.labels, class_names=()) for s in (data.train, data.val))
    return dataclasses.replace(data, class_names=(), train=train_, val=val)


def test_without_labels_the_answers_are_enough(teacher: keras.Model) -> None:
    data = unlabelled(small.digits())
    soft = Teacher(teacher, transfer=Transfer(alpha=1.0))
    trained = train(small.model(seed=2), data, QUICK, teacher=soft)
    assert trained.best_epoch == trained.history["val_loss"].argmin() + 1 and "val_agreement" in trained.history
    with pytest.raises(BadInput, match="by logits with alpha 0.5 needs labels"):
        train(small.model(seed=2), data, QUICK, teacher=Teacher(teacher, transfer=Transfer()))


def test_probabilities_are_not_taken_for_logits(teacher: keras.Model) -> None:
    ended = keras.Model(teacher.inputs, layers.Softmax()(teacher.outputs[0]))
    with pytest.raises(BadInput, match="ends in a softmax"):
        train(small.model(), small.digits(), QUICK, teacher=Teacher(ended, transfer=Transfer()))
    hidden = keras.Model(teacher.inputs, ops.softmax(teacher.outputs[0]))
    with pytest.raises(BadInput, match="gives probabilities"):
        train(small.model(), small.digits(), QUICK, teacher=Teacher(hidden, transfer=Transfer()))


def test_answers_once_are_those_to_the_unchanged_images(teacher: keras.Model) -> None:
    """And the training, which moves its images, is told so."""
    moved = QUICK.model_copy(update={"augment": Augment(flip="horizontal", shift=0.1)})
    notes = {}
    for answers in ("live", "once"):
        transfer = Transfer(alpha=1.0, answers=answers)
        notes[answers] = train(
            small.model(seed=2), small.digits(), moved, teacher=Teacher(teacher, transfer=transfer)
        ).notes
    assert "saw every batch, since the images are augmented" in notes["live"][1]
    assert "saw each training image once" in notes["once"][1]
    material, asked = Material(small.digits(), moved, seed=0), Teacher(teacher, transfer=Transfer(answers="once"))
    learner = Teaching(small.model(seed=2), asked, material, moved, seed=0).learner({})
    plain = material.plain(material.train)
    expected = np.concatenate([teacher(plain.batch(at)[0], training=False) for at in range(len(plain))])
    np.testing.assert_allclose(learner.answers[0], expected, atol=1e-5)
    again = Teaching(small.model(seed=3), asked, material, moved, seed=1).learner({})
    assert again.answers[0] is learner.answers[0]  # it is not asked twice
    feed = keras.Sequential([keras.Input(teacher.input_shape[1:]), keras.layers.Rescaling(1.0)])
    fed = Teacher(teacher, transfer=asked.transfer, feed=feed)
    behind = [Teaching(small.model(seed=3), fed, material, moved, seed=1).learner({}).answers[0] for _ in range(2)]
    assert behind[0] is behind[1]  # nor behind a feed, whose tensors are new each time
    fewer = Material(small.digits(60), moved, seed=0)
    assert len(Teaching(small.model(seed=3), asked, fewer, moved, seed=1).learner({}).answers[0]) == len(fewer.train)


def test_what_a_configuration_cannot_mean() -> None:
    for said, wrong in (
        ("compares maps, which move with the image", {"teacher": "a.keras", "kind": "features", "answers": "once"}),
        ("kind logits compares no layers", {"teacher": "a.keras", "layers": [["a", "b"]]}),
        ("of one teacher, not of several", {"teacher": ["a.keras", "b.keras"], "kind": "features"}),
        ("teacher", {"teacher": []}),
    ):
        with pytest.raises(ValidationError, match=said):
            Distil.model_validate(wrong)
    with pytest.raises(ValidationError, match="distil.answers: once is of single images"):
        Train(augment=Augment(mixup=0.2), distil=Distil(teacher=("a.keras",), answers="once"))
    with pytest.raises(ValidationError, match="distil: fine_tune.mode features"):
        Train(fine_tune=FineTune(mode="features"), distil=Distil(teacher=("a.keras",)))


def test_the_configuration_names_the_teacher(teacher: keras.Model, tmp_path: Path) -> None:
    """A file that takes raw pixels and ends in a softmax teaches as the model itself does; two as their mean."""
    image = keras.Input((small.SIZE, small.SIZE, 3))
    copy = keras.models.clone_model(teacher)
    copy.set_weights(teacher.get_weights())
    scores = copy(layers.Rescaling(1 / 127.5, -1.0)(image))
    keras.Model(image, layers.Softmax()(scores)).save(tmp_path / "raw.keras")
    teacher.save(tmp_path / "plain.keras")
    named, given, two = (small.model(seed=2) for _ in range(3))
    config = QUICK.model_copy(update={"distil": Distil(teacher=(str(tmp_path / "raw.keras"),))})
    trained = train(named, small.digits(), config)
    train(given, small.digits(), QUICK, teacher=Teacher(teacher, transfer=Transfer()))
    for ours, theirs in zip(named.get_weights(), given.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-3)
    both = tuple(str(tmp_path / f"{name}.keras") for name in ("raw", "plain"))
    together = train(two, small.digits(), QUICK.model_copy(update={"distil": Distil(teacher=both)}))
    assert together.notes == trained.notes and "validation images right" in trained.notes[0]
    for ours, theirs in zip(two.get_weights(), given.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-3)
