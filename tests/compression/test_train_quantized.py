"""Quantization-aware training in the user's own script, and as a step: learned, kept, and true to its file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgekit as ek
from edgekit.compression.step_context import StepContext
from edgekit.compression.steps import take
from edgekit.data.arrays import ArrayData
from edgekit.distil_config import Transfer
from edgekit.errors import BadInput, UsageError
from edgekit.models.backend import import_keras
from edgekit.quantize_config import Quantize
from edgekit.recipe import Verify
from edgekit.step_config import Step
from edgekit.train_config import Train
from edgekit.training.fit import train
from edgekit.training.teacher import Teacher
from tests.training import small

keras = import_keras("Testing")


def arrays(split: Any) -> tuple[np.ndarray, np.ndarray]:
    return (split.read(range(len(split))) / 127.5 - 1).astype(np.float32), split.labels


def top1(model: Any, split: Any) -> float:
    images, labels = arrays(split)
    return float((np.asarray(model(images, training=False)).argmax(1) == labels).mean())


def test_in_a_script_of_ones_own(trained: Any, data: ek.Dataset, tmp_path: Path) -> None:
    """prepare, compile, fit, save, load, export: the file says what the trained model says."""
    stepped = ek.quantize_aware(trained, data)
    model = stepped.model
    before = top1(model, data.test)
    model.compile(keras.optimizers.Adam(1e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(*arrays(data.train), batch_size=32, epochs=2, verbose=0)
    assert before >= top1(trained, data.test) - 0.02 and top1(model, data.test) >= before - 0.02
    model.save(tmp_path / "mine.keras")
    loaded = keras.saving.load_model(tmp_path / "mine.keras")
    assert small.digest(loaded) == small.digest(model)
    (artifact,) = ek.export(loaded, tmp_path, dataset=data, variants=("int8",))
    card = artifact.card
    assert card is not None and card.verification["float_ops"] == [] and card.verification["agreement"] >= 0.98
    assert ek.evaluate(artifact, data.test, data.preprocess).summary()["top1"]["value"] == pytest.approx(
        top1(model, data.test), abs=0.01
    )


def test_arrays_calibrate_too(trained: Any, data: ek.Dataset) -> None:
    images, _ = arrays(data.calibration)
    by_array, by_data = (ek.quantize_aware(trained, given).model for given in (images, data))
    for ours, theirs in zip(by_array.get_weights()[1:], by_data.get_weights()[1:], strict=True):
        np.testing.assert_allclose(ours, theirs, atol=0.05)


def test_a_softmax_at_the_end_stays_there_once(trained: Any, data: ek.Dataset, tmp_path: Path) -> None:
    image = keras.Input(trained.input_shape[1:])
    model = keras.Model(image, keras.layers.Softmax()(trained(image)))
    stepped = ek.quantize_aware(model, data)
    images, _ = arrays(data.test)
    np.testing.assert_allclose(np.asarray(stepped.model(images)).sum(axis=1), 1, atol=0.02)
    (artifact,) = ek.export(stepped.model, tmp_path, dataset=data, variants=("int8",))
    assert artifact.card is not None and artifact.card.output_meaning == "probabilities"
    assert artifact.card.verification["agreement"] >= 0.98


def context(data: Any, state: Path, **changes: Any) -> StepContext:
    usual: dict[str, Any] = {"train": Train(batch_size=32), "quantize": Quantize(), "limits": Verify(),
                             "softmax": True, "classifier": True}  # fmt: skip
    return StepContext(data=data, state=state, **{**usual, **changes})


@pytest.mark.parametrize("distil", [True, False], ids=["its own answers", "labels"])
def test_the_step_brings_back_what_four_bits_lose(distil: bool, trained: Any, data: ek.Dataset, tmp_path: Path) -> None:
    config = {"epochs": 3, "weight_bits": 4, "learning_rate": 1e-3, "distil": distil}
    stepped = take(trained, Step.model_validate({"quantize_aware": config}), context(data, tmp_path))
    untrained = ek.quantize_aware(trained, data, weight_bits=4).model
    assert top1(stepped.model, data.test) >= max(top1(untrained, data.test), top1(trained, data.test) - 0.03)
    figures = stepped.figures
    assert figures["agreement"]["value"] >= 0.98 and figures["float_ops"] == [] and figures["layers"] == 3
    assert len(figures["training"]["history"]) == 3 and ("val_agreement" in figures["training"]["history"][0]) == distil


def test_the_step_learns_from_another_teacher(trained: Any, data: ek.Dataset, tmp_path: Path) -> None:
    """With the labels, as the teacher's configuration says; the best epoch is the one with the best answers."""
    step = Step.model_validate({"quantize_aware": {"epochs": 2, "learning_rate": 1e-3, "distil": "teacher"}})
    by = Teacher(trained, transfer=Transfer(kind="features", alpha=0.5))
    start = small.model(seed=5)
    before = top1(start, data.test)
    stepped = take(start, step, context(data, tmp_path, teacher=by))
    training = stepped.figures["training"]
    tops = [row["val_top1"] for row in training["history"]]
    assert tops[training["best_epoch"] - 1] == max(tops) and "val_agreement" not in training["history"][0]
    assert "images right" in training["notes"][0] and top1(stepped.model, data.test) > before + 0.3
    with pytest.raises(UsageError, match=r"no teacher.*Set train\.distil\.teacher"):
        take(start, step, context(data, tmp_path / "none"))


def test_no_epochs_is_no_training(trained: Any, data: ek.Dataset, tmp_path: Path) -> None:
    stepped = take(trained, Step.model_validate({"quantize_aware": {"epochs": 0}}), context(data, tmp_path))
    assert stepped.figures["training"] is None and stepped.figures["agreement"]["value"] >= 0.98
    assert list(tmp_path.iterdir()) == []


def test_a_rewrite_that_changes_the_function_is_fine_tuned(data: ek.Dataset, tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)
    image = keras.Input((small.SIZE, small.SIZE, 3))
    x = keras.layers.Conv2D(8, 3, strides=2, name="first")(image)
    x = keras.layers.Activation("hard_swish")(keras.layers.BatchNormalization()(x))
    model = keras.Model(image, keras.layers.Dense(10)(keras.layers.Flatten()(x)))
    train(model, data, Train(epochs=3, batch_size=32, learning_rate=5e-3))
    config = {"hard_swish": "relu6", "finetune_epochs": 3, "learning_rate": 5e-3}
    plain = take(model, Step.model_validate({"rewrite": {**config, "finetune_epochs": 0}}), context(data, tmp_path))
    tuned = take(model, Step.model_validate({"rewrite": config}), context(data, tmp_path))
    assert "training" not in plain.figures
    images, _ = arrays(data.test)
    wanted = np.asarray(model(images)).argmax(1)
    same = [float((np.asarray(one.model(images)).argmax(1) == wanted).mean()) for one in (plain, tuned)]
    assert tuned.figures["training"]["best_epoch"] > 0 and same[1] > same[0], same


def test_what_a_step_cannot_do_is_said(trained: Any, tmp_path: Path) -> None:
    step = Step.model_validate({"quantize_aware": {"epochs": 1}})
    with pytest.raises(BadInput, match="quantize_aware changes a Keras model, and this is a bare SavedModel"):
        take(object(), step, context(small.digits(), tmp_path))
    with pytest.raises(UsageError, match=r"cannot train on arrays.*--set steps.quantize_aware.epochs=0"):
        given = (np.random.default_rng(0).normal(size=(20, small.SIZE, small.SIZE, 3)).astype(np.float32),)
        data = ArrayData("a", given, given, "0")
        take(trained, step, context(data, tmp_path, softmax=False, classifier=False))
