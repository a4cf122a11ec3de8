"""Fine-tuning: which weights move in which epoch, how fast, and that statistics and flags stay as they were."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
from keras import layers

from edgekit.errors import BadInput, EdgekitWarning
from edgekit.models.head import find_head
from edgekit.models.zoo import build
from edgekit.progress import Progress
from edgekit.train_config import Augment, FineTune, Train
from edgekit.training import learner
from edgekit.training.fit import train
from edgekit.training.optimizer import make_optimizer
from edgekit.training.phases import base_units, everything_trainable, phases, rate_factors
from edgekit.training.precision import bfloat16
from tests.training import small

BASE = ("first", "second", "third", "fourth")  # with first_norm and so on, but for the fourth
QUICK = Train(epochs=3, batch_size=24, learning_rate=5e-3, weight_decay=1e-3)


def network() -> keras.Model:
    """Four layers and a head; dropout in the base and in the head; statistics that have seen something."""
    keras.utils.set_random_seed(7)
    x = image = keras.Input((small.SIZE, small.SIZE, 3), name="image")
    for number, name in enumerate(BASE[:3]):
        x = layers.Conv2D(8, 3, strides=1 + number % 2, padding="same", use_bias=False, name=name)(x)
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.5, name=f"{name}_norm")(x))
    x = layers.Dropout(0.2, name="base_dropout")(layers.GlobalAveragePooling2D()(x))
    x = layers.Dropout(0.3, name="dropout")(layers.Dense(16, activation="relu", name="fourth")(x))
    return keras.Model(image, layers.Dense(10, name="logits")(x))


@functools.cache
def pretrained_weights() -> list[np.ndarray]:
    model = network()
    train(model, small.digits(600), QUICK.model_copy(update={"epochs": 6}))
    return model.get_weights()


def pretrained() -> keras.Model:
    """The network after some training, with a head that knows nothing."""
    model = network()
    model.set_weights(pretrained_weights())
    model.get_layer("logits").set_weights([np.zeros((16, 10), np.float32), np.zeros(10, np.float32)])
    return model


def tuned(**settings: Any) -> Train:
    return QUICK.model_copy(update={"fine_tune": FineTune(**settings)})


def values(model: keras.Model) -> dict[str, bytes]:
    return {v.path: keras.ops.convert_to_numpy(v).tobytes() for v in model.weights}


def moved(before: dict[str, bytes], after: dict[str, bytes]) -> set[str]:
    return {path for path in before if before[path] != after[path]}


def learnable(*names: str) -> set[str]:
    """The weights of these layers of `network` and of their normalizations."""
    kernels = {"logits": ("kernel", "bias"), "fourth": ("kernel", "bias")}
    plain = {f"{name}/{weight}" for name in names for weight in kernels.get(name, ("kernel",))}
    return plain | {f"{n}_norm/{w}" for n in names if n in BASE[:3] for w in ("gamma", "beta")}


def watched(config: Train, **rest: Any) -> list[dict[str, bytes]]:
    """All weights before training and after each epoch."""
    model = pretrained()
    seen = [values(model)]

    def look(now: Progress) -> None:
        if now.done == now.total * len(seen) // config.epochs and f"epoch {len(seen)}/" in now.note:
            seen.append(values(model))

    train(model, small.digits(), config, progress=look, **rest)
    assert len(seen) == config.epochs + 1
    return seen


ALL = learnable(*BASE, "logits")


@pytest.mark.parametrize(
    ("config", "moving"),
    [
        (tuned(mode="features"), [learnable("logits")] * 3),
        (tuned(mode="top", layers=1), [learnable("logits")] + [learnable("fourth", "logits")] * 2),
        (tuned(mode="top", layers=0.5), [learnable("logits")] + [learnable("third", "fourth", "logits")] * 2),
        (tuned(mode="top", layers=2, head_epochs=0), [learnable("third", "fourth", "logits")] * 3),
        (tuned(mode="full", head_epochs=2), [learnable("logits")] * 2 + [ALL]),
        (
            tuned(mode="progressive", groups=2, layer_rate=0.3),
            [learnable("logits"), learnable("third", "fourth", "logits"), ALL],
        ),
        (
            tuned(mode="top", layers=1).model_copy(update={"augment": Augment(shift=0.1)}),
            [learnable("logits")] + [learnable("fourth", "logits")] * 2,
        ),
        (
            tuned(mode="progressive", groups=3, head_epochs=0),
            [learnable("third", "fourth", "logits"), learnable("second", "third", "fourth", "logits"), ALL],
        ),
    ],
    ids=["features", "top 1", "top half", "no head epochs", "full", "progressive", "augmented", "at once"],
)
def test_which_weights_move_in_which_epoch(config: Train, moving: list[set[str]]) -> None:
    """Bit by bit; moving statistics are among those that never do (R2)."""
    seen = watched(config)
    assert [moved(*pair) for pair in itertools.pairwise(seen)] == moving
    assert {path for path in seen[0] if "moving" in path} == {
        f"{name}_norm/moving_{what}" for name in BASE[:3] for what in ("mean", "variance")
    }


def test_without_fine_tune_everything_moves_statistics_too() -> None:
    model = pretrained()
    before = values(model)
    train(model, small.digits(), QUICK)
    assert moved(before, values(model)) == set(before)


def test_it_learns() -> None:
    """The head alone beats guessing by far, and unfreezing the base improves on that."""
    scores = {}
    for mode in ("features", "full"):
        config = tuned(mode=mode).model_copy(update={"epochs": 12, "learning_rate": 1e-2})
        scores[mode] = train(pretrained(), small.digits(96, 180), config).history["val_top1"].max()
    assert 0.3 < scores["features"] < scores["full"]


@pytest.mark.parametrize("frozen", [True, False])
def test_the_flags_are_as_before(frozen: bool) -> None:
    """Those of layers and of single variables; also where training breaks off."""
    model = pretrained()
    model.get_layer("second").trainable = False
    model.get_layer("third_norm").gamma.trainable = False
    model.trainable = not frozen and model.trainable

    def flags() -> list[bool]:
        parts = model._flatten_layers()
        return [one.trainable for one in [*parts, *(v for part in parts for v in part.variables)]]

    before = flags()
    assert train(model, small.digits(), tuned(mode="full")).best_epoch > 0
    assert flags() == before

    def stop(_: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(model, small.digits(), tuned(mode="progressive", groups=2), progress=stop)
    assert flags() == before


def test_the_graph_and_the_saved_model_are_as_before(tmp_path: Path) -> None:
    model = pretrained()
    train(model, small.digits(), tuned(mode="top"))
    assert all(len(layer._inbound_nodes) == 1 for layer in model.layers)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert [type(x) for x in loaded.layers] == [type(x) for x in network().layers]
    assert type(loaded.optimizer) is keras.optimizers.AdamW or keras.backend.backend() == "torch"


def test_a_frozen_base_runs_over_each_image_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """On features kept from one run of the base, on kept ones for validation only, and on none: the same training."""
    config, results = tuned(mode="features"), []
    for kept_bytes in (learner.REMEMBERED, 4 * 16 * 40, 0):
        monkeypatch.setattr(learner, "REMEMBERED", kept_bytes)
        model = pretrained()
        results.append((train(model, small.digits(), config).history.drop(columns="seconds"), model.get_weights()))
    for history, weights in results[1:]:
        pd.testing.assert_frame_equal(history, results[0][0], atol=1e-4)
        for one, other in zip(weights, results[0][1], strict=True):
            np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.parametrize("mode", ["features", "full"])
def test_in_bfloat16_the_same_weights_move(mode: str) -> None:
    model = pretrained()
    before = values(model)
    with bfloat16(model):
        train(model, small.digits(), tuned(mode=mode, head_epochs=0))
    assert moved(before, values(model)) == (ALL if mode == "full" else learnable("logits"))
    assert {v.dtype for v in model.weights} == {"float32"}
    assert np.isfinite(np.concatenate([w.ravel() for w in model.get_weights()])).all()


def one_step(optimizer: str, settings: dict[str, float], decay: float = 0.0) -> dict[str, np.ndarray]:
    """By how much each weight moves in one step of the whole model."""
    model = pretrained()
    model.get_layer("logits").set_weights([np.full((16, 10), 0.1, np.float32), np.zeros(10, np.float32)])
    config = tuned(mode="full", groups=2, head_epochs=0, **settings).model_copy(
        update={"optimizer": optimizer, "learning_rate": 1e-2, "weight_decay": decay}
    )
    made = make_optimizer(config, model.trainable_variables, rate_factors(config, base_units(model)))
    before = [keras.ops.convert_to_numpy(v) for v in model.trainable_variables]
    rng = np.random.default_rng(0)
    gradients = [keras.ops.convert_to_tensor(rng.normal(size=v.shape).astype(np.float32)) for v in before]
    made.apply(gradients, model.trainable_variables)
    after = [keras.ops.convert_to_numpy(v) for v in model.trainable_variables]
    paths = [v.path for v in model.trainable_variables]
    return {path: b - a for path, a, b in zip(paths, before, after, strict=True)}


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("decay", [0.0, 0.5])
def test_each_group_learns_at_its_own_rate(optimizer: str, decay: float) -> None:
    """One step: the update itself is smaller by the factor, weight decay included, whatever the optimizer."""
    plain = one_step(optimizer, {"base_rate": 1.0}, decay)
    rated = one_step(optimizer, {"base_rate": 0.5, "layer_rate": 0.2}, decay)
    factors = {path: 1.0 if "logits" in path else 0.5 for path in plain}
    factors |= dict.fromkeys(learnable("first", "second"), 0.1)
    assert plain.keys() == ALL
    for path, factor in factors.items():
        np.testing.assert_allclose(rated[path], factor * plain[path], rtol=1e-3, atol=2e-7, err_msg=path)
        assert np.abs(plain[path]).max() > 1e-3


def test_training_itself_uses_the_rates() -> None:
    """With a base rate that is next to nothing the base hardly moves, although it learns."""
    first = pretrained().get_weights()
    distances = {}
    for rate, said in ((1e-6, "5e-09 is below the usual"), (1.0, "0.005 is above the usual")):
        model = pretrained()
        config = tuned(mode="full", head_epochs=0, base_rate=rate).model_copy(update={"weight_decay": 0.0})
        with pytest.warns(EdgekitWarning, match=f"{said} .* for fine-tuning the base"):
            train(model, small.digits(), config)
        distances[rate] = np.abs(model.get_layer("first").kernel - first[0]).max()
    assert 0 < distances[1e-6] < 1e-6 < 1e-3 < distances[1.0]


def test_the_schedule_runs_once_frozen_and_once_unfrozen() -> None:
    """Cosine: down to next to nothing before the base unfreezes, and again at the end; a warm-up each time."""
    config = QUICK.model_copy(
        update={"epochs": 12, "fine_tune": FineTune(mode="progressive", groups=2, head_epochs=4), "warmup_epochs": 0.5}
    )
    plan = phases(config, 4)
    assert [(p.start, p.end, p.unfrozen) for p in plan] == [(0, 4, 0), (4, 8, 2), (8, 12, 4)]
    rates = {
        at: next(p for p in plan if at < p.end).rate_at(config, at) for at in (0.1, 0.5, 3.99, 4.1, 4.5, 8.0, 8.25)
    }
    peak = config.learning_rate
    assert rates[0.1] == pytest.approx(0.2 * peak) and rates[0.5] == pytest.approx(peak)
    assert rates[3.99] < 1e-3 * peak and rates[4.1] == pytest.approx(0.2 * peak) and rates[4.5] == pytest.approx(peak)
    assert rates[8.0] == 0 and rates[8.25] == pytest.approx(0.5 * plan[1].rate_at(config, 8.25))


def test_early_stopping_waits_for_the_last_unfreezing() -> None:
    """A head that gets no better in its 4 epochs does not keep the base from its turn."""
    config = QUICK.model_copy(
        update={"epochs": 30, "early_stopping": 2, "learning_rate": 1e-3, "fine_tune": FineTune(head_epochs=6)}
    )
    model = pretrained()
    model.get_layer("logits").set_weights(pretrained_weights()[-2:])
    trained = train(model, small.digits(), config)
    assert len(trained.history) == max(trained.best_epoch, 6) + 2 < 30


JOB = QUICK.model_copy(
    update={
        "epochs": 6,
        "schedule": "plateau",
        "plateau_patience": 1,
        "fine_tune": FineTune(mode="progressive", groups=2, head_epochs=2, layer_rate=0.5),
    }
)


class Stopped(Exception):
    pass


def stop_after(reports: int) -> Callable[[Progress], None]:
    left = itertools.count(reports - 1, -1)

    def progress(_: Progress) -> None:
        if next(left) == 0:
            raise Stopped

    return progress


def test_stopped_in_every_phase_it_ends_with_the_same_bits(tmp_path: Path) -> None:
    """4 steps and an end to report an epoch: stopped with 1 epoch of the frozen base done, at the first unfreezing,
    and between that and the second."""
    for done in (1, 2, 3):
        with pytest.raises(Stopped):
            train(network(), small.digits(), JOB, state_dir=tmp_path, seed=3, progress=stop_after(7))
        assert len(pd.read_csv(tmp_path / "history.csv")) == done
    resumed, undisturbed = network(), network()
    history = train(resumed, small.digits(), JOB, state_dir=tmp_path, seed=3).history
    want = train(undisturbed, small.digits(), JOB, seed=3).history
    assert small.digest(resumed) == small.digest(undisturbed)
    pd.testing.assert_frame_equal(history.drop(columns="seconds"), want.drop(columns="seconds"), check_exact=True)


def test_nested_bases_unfreeze_from_the_top() -> None:
    inner = pretrained()
    features = keras.Model(inner.inputs, inner.get_layer("third_norm").output, name="base")
    image = keras.Input((small.SIZE, small.SIZE, 3))
    x = layers.GlobalAveragePooling2D()(features(image, training=False))
    model = keras.Model(image, layers.Dense(10, name="answer")(x))
    features.trainable = False  # as transfer models are saved
    before = values(model)
    train(model, small.digits(), tuned(mode="top", layers=2, head_epochs=0))
    want = learnable("second", "third") | {"answer/kernel", "answer/bias"}
    assert moved(before, values(model)) == want


def test_what_cannot_be_fine_tuned_is_refused() -> None:
    with pytest.raises(BadInput, match="4 layers with weights, of which 5 cannot learn"):
        train(pretrained(), small.digits(), tuned(mode="top", layers=5))
    image = keras.Input((small.SIZE, small.SIZE, 3))
    only_head = keras.Model(image, layers.Dense(10)(layers.Flatten()(image)))
    with pytest.raises(BadInput, match="no layers before its classifier"):
        train(only_head, small.digits(), tuned())
    probabilities = keras.Model(image, layers.Dense(10, activation="softmax")(layers.Flatten()(image)))
    with pytest.raises(BadInput, match=r"ends in a softmax.*on_logits"):
        train(probabilities, small.digits(), QUICK)


@pytest.mark.parametrize(
    ("settings", "epochs"),
    [
        ({"mode": "some"}, 9),
        ({"layers": 0}, 9),
        ({"layers": 1.0}, 9),
        ({"layers": 1.5}, 9),
        ({"layer_rate": 0.0}, 9),
        ({"layer_rate": 1.1}, 9),
        ({"base_rate": -0.1}, 9),
        ({"head_epochs": -1}, 9),
        ({"groups": 0}, 9),
        ({"depth": 3}, 9),
        ({"head_epochs": 9}, 9),
        ({"mode": "progressive", "head_epochs": 2, "groups": 3}, 4),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any], epochs: int) -> None:
    with pytest.raises(ValueError, match=next(iter(settings)) if epochs == 9 else "too few"):
        Train(epochs=epochs, fine_tune=settings)


def test_units_are_the_layers_from_the_top_with_their_normalization() -> None:
    model = pretrained()
    with everything_trainable(model):
        names = [[layer.name for layer in unit] for unit in base_units(model)]
    assert names == [["fourth"], ["third", "third_norm"], ["second", "second_norm"], ["first", "first_norm"]]


@pytest.mark.parametrize("name", ["mobilenet_v2", "mobilenet_v3_small", "efficientnet_lite0", "resnet8", "squeezenet"])
def test_every_weight_of_a_network_is_of_one_unit_or_of_the_head(name: str) -> None:
    """And the units go from the top to the stem."""
    model = build(name, classes=10, input_shape=(32, 32, 3), dropout=0.2)
    with everything_trainable(model):
        units = base_units(model)
    inside = [v.path for unit in units for layer in unit for v in layer.trainable_variables]
    head = [v.path for step in find_head(model).chain for v in step.trainable_variables]
    assert sorted(inside + head) == sorted(v.path for v in model.trainable_variables)
    first = next(layer for layer in model.layers if layer.weights)
    assert units[-1][0] is first and len(head) == 2
    assert rate_factors(tuned(groups=2, layer_rate=0.5), units).items() >= {
        (id(units[0][0].trainable_variables[0]), 0.1),
        (id(first.trainable_variables[0]), 0.05),
    }
