from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import yaml

import edgekit as ek
from edgekit.compression.prune import Ramp, lamp, largest_of, masks_of, prune, scheduled, updates
from edgekit.compression.steps import take
from edgekit.compression.weight_patterns import sparsity, weighted_layers
from edgekit.errors import BadInput, EdgekitError
from edgekit.models.backend import import_keras
from edgekit.models.zoo import build
from edgekit.recipe import load_recipe
from edgekit.step_config import Prune, Step
from tests.compression.test_train_quantized import context, top1
from tests.compression.weight_codes import codes_of
from tests.training import small

keras = import_keras("Testing")


def kernels(model: Any) -> dict[str, np.ndarray]:
    return {layer.name: np.asarray(layer.kernel) for layer in weighted_layers(model)}


def mobilenet() -> Any:
    keras.utils.set_random_seed(0)
    return build("mobilenet_v2", classes=10, input_shape=(32, 32, 3), alpha=0.35)


# ---- masks ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_each_layer_has_its_share_of_zeros_to_the_weight(share: float) -> None:
    stepped = prune(mobilenet(), sparsity=share)
    assert stepped.figures["sparsity"] == pytest.approx(share, abs=0.001)
    pruned = {row["layer"] for row in stepped.figures["layers"]}
    for name, kernel in kernels(stepped.model).items():
        wanted = round(share * kernel.size) if name in pruned else 0
        assert int((kernel == 0).sum()) == wanted, name
    reasons = {note.layer: note.text for note in stepped.skipped}
    assert reasons["block1_depthwise"].startswith("not pruned: depthwise") and "block1_depthwise" not in pruned


def test_over_all_layers_the_total_is_to_the_weight_and_no_layer_is_lost() -> None:
    stepped = prune(mobilenet(), sparsity=0.9, scope="global", depthwise=True)
    found = kernels(stepped.model)
    total = sum(kernel.size for kernel in found.values())
    assert stepped.figures["zeros"] == round(0.9 * total) == sum(int((k == 0).sum()) for k in found.values())
    shares = [sparsity(kernel) for kernel in found.values()]
    assert max(shares) < 1 and max(shares) - min(shares) > 0.2


def test_masks_are_those_of_tfmot() -> None:
    from tensorflow_model_optimization.python.core.sparsity.keras import pruning_impl, pruning_schedule

    kernel = np.random.default_rng(0).normal(size=(3, 3, 16, 24)).astype(np.float32)
    for config in (Prune(sparsity=0.7), Prune(pattern="2:4")):
        pattern = None if config.pattern is None else (2, 4)
        schedule = pruning_schedule.ConstantSparsity(config.target, 0)
        theirs = pruning_impl.Pruning(lambda: tf.constant(1), [], schedule, (1, 1), "AVG", sparsity_m_by_n=pattern)
        _, mask = theirs._maybe_update_block_mask(tf.constant(kernel))
        np.testing.assert_array_equal(masks_of({"one": kernel}, config, config.target)["one"], mask.numpy() == 1)


def test_equal_weights_are_pruned_to_the_count_too() -> None:
    kernel = np.ones((3, 3, 4, 4), np.float32)
    assert int((~masks_of({"one": kernel}, Prune(sparsity=0.25), 0.25)["one"]).sum()) == 36


def test_lamp_is_the_square_over_all_squares_not_smaller() -> None:
    np.testing.assert_allclose(lamp(np.float32([[3, -1], [0, 2]])), [[1, 1 / 14], [0, 4 / 13]])


def test_a_pattern_holds_along_the_input_channels_and_in_a_last_shorter_group() -> None:
    kernel = np.random.default_rng(0).normal(size=(1, 1, 6, 5))
    stay = largest_of(kernel, 2, 4)
    assert np.all(stay[0, 0, :4].sum(axis=0) == 2) and np.all(stay[0, 0, 4:].sum(axis=0) == 2)
    for channel in range(5):
        group = np.abs(kernel[0, 0, :4, channel])
        assert set(np.flatnonzero(stay[0, 0, :4, channel])) == set(np.argsort(-group)[:2])


# ---- schedule -------------------------------------------------------------------------------------------------------


def test_updates_fit_the_number_of_steps_and_end_with_the_ramp() -> None:
    assert updates(0) == () and updates(3) == (1, 2, 3) and updates(30) == tuple(range(1, 31))
    assert len(updates(250)) == 21 and updates(250)[-1] == 250
    assert updates(5000)[:2] == (100, 200) and updates(5000)[-1] == 5000


def test_sparsity_grows_as_in_the_paper() -> None:
    for step in (0, 25, 50, 99):
        assert scheduled(0.8, step, 100) == pytest.approx(0.8 * (1 - (1 - step / 100) ** 3), abs=1e-6)


# ---- training -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("config", [
    {"sparsity": 0.7}, {"sparsity": 0.7, "scope": "global"}, {"pattern": "2:4"}, {"sparsity": 0.6, "distil": False},
    {"sparsity": 0.5, "schedule": "constant", "epochs": 2},
], ids=["layer", "global", "2:4", "labels", "constant"])  # fmt: skip
def test_the_step_prunes_while_it_trains_and_loses_little(
    config: dict[str, Any], trained: Any, data: ek.Dataset, tmp_path: Path
) -> None:
    before = trained.get_weights()
    wanted = {"learning_rate": 3e-3, "epochs": 4, "exclude": ["first"], **config}
    stepped = take(trained, Step.model_validate({"prune": wanted}), context(data, tmp_path))
    found, target = kernels(stepped.model), Prune(**wanted).target
    zeros = sum(int((found[name] == 0).sum()) for name in ("second", "logits"))
    assert stepped.figures["zeros"] == zeros and abs(stepped.figures["sparsity"] - target) < 0.001
    assert sparsity(found["first"]) < 0.01 and stepped.skipped[-1].text == "excluded: not pruned"
    assert top1(stepped.model, data.test) >= top1(trained, data.test) - 0.03
    assert stepped.figures["training"]["best_epoch"] >= (0 if "schedule" in config else 2)
    assert all(layer.kernel.constraint is None for layer in weighted_layers(stepped.model))
    for ours, theirs in zip(trained.get_weights(), before, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_zeros_grow_during_the_ramp_and_not_behind_it() -> None:
    model, seen = small.model(), []
    ramp = Ramp(weighted_layers(model), Prune(sparsity=0.8, recovery=0.5))
    ramp.start()
    for step in range(20):
        ramp.before_step(step, 20)
        seen.append(np.mean([sparsity(kernel) for kernel in kernels(model).values()]))
    assert seen[0] == 0 and all(a < b for a, b in pairwise(seen[:11]))
    assert seen[10:] == [pytest.approx(0.8, abs=0.01)] * 10


def test_without_a_recovery_all_zeros_are_there_at_the_end() -> None:
    model = small.model()
    ramp = Ramp(weighted_layers(model), Prune(sparsity=0.8, recovery=0))
    ramp.start()
    for step in range(20):
        ramp.before_step(step, 20)
    assert np.mean([sparsity(kernel) for kernel in kernels(model).values()]) == pytest.approx(0.8, abs=0.01)


def test_the_int8_file_has_the_zeros_and_the_pattern(trained: Any, data: ek.Dataset, tmp_path: Path) -> None:
    """Behind quantization-aware training, which trains every weight once more."""
    pruned = take(
        trained, Step.model_validate({"prune": {"pattern": "2:4", "epochs": 1}}), context(data, tmp_path / "a")
    )
    aware = Step.model_validate({"quantize_aware": {"epochs": 2, "learning_rate": 1e-3}})
    stepped = take(pruned.model, aware, context(data, tmp_path / "b"))
    assert {one["layer"] for one in stepped.figures["training"]["kept"]} == {"second", "logits"}
    (artifact,) = ek.export(stepped.model, tmp_path, dataset=data, variants=("int8",))
    second, logits = codes_of(artifact.content)[1:]
    for kernel in (second, logits):  # [..., input channels]
        assert (kernel != 0).reshape(*kernel.shape[:-1], -1, 4).sum(axis=-1).max() <= 2
        assert 0.5 <= (kernel == 0).mean() < 0.6


def test_a_run_that_was_killed_comes_out_the_same(trained: Any, data: ek.Dataset, tmp_path: Path) -> None:
    step = Step.model_validate({"prune": {"sparsity": 0.6, "epochs": 4}})
    whole = take(trained, step, context(data, tmp_path / "whole"))

    class Killed(Exception):
        pass

    def kill(at: Any) -> None:
        if at.done >= at.total * 0.6:
            raise Killed

    with pytest.raises(Killed):
        take(trained, step, context(data, tmp_path / "killed", progress=kill))
    again = take(trained, step, context(data, tmp_path / "killed"))
    for ours, theirs in zip(again.model.get_weights(), whole.model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_in_a_script_of_ones_own_zeros_grow_and_stay(data: ek.Dataset) -> None:
    model = small.model()
    model.compile(keras.optimizers.Adam(3e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    images = data.train.read(range(256)) / 127.5 - 1
    labels = data.train.labels[:256]
    model.fit(
        images, labels, epochs=4, verbose=0, callbacks=[ek.GradualPruning(model, sparsity=0.6, exclude=["first"])]
    )
    found = {name: sparsity(kernel) for name, kernel in kernels(model).items()}
    assert found == {"first": 0, "second": pytest.approx(0.6, abs=0.01), "logits": pytest.approx(0.6, abs=0.01)}
    stepped = ek.prune(model, sparsity=0.8)
    stepped.model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    stepped.model.fit(images, labels, verbose=0)
    assert all(sparsity(kernel) == pytest.approx(0.8, abs=0.01) for kernel in kernels(stepped.model).values())


# ---- what it is asked that cannot be --------------------------------------------------------------------------------


def test_a_pattern_longer_than_the_channels_is_said(trained: Any) -> None:
    stepped = prune(trained, pattern="2:4")
    assert {note.layer: note.text for note in stepped.skipped}["first"] == (
        "not pruned: 3 input channels are fewer than the pattern 2:4 counts"
    )
    with pytest.raises(BadInput, match="has no layer to prune: first: not pruned: 3 input channels are fewer"):
        prune(trained, pattern="300:600")


def test_a_pattern_may_stand_in_yaml_without_quotes() -> None:
    recipe = load_recipe("prune50-int8", {"steps.prune.pattern": yaml.safe_load("2:4")})
    assert recipe.steps[0].config.kept_of == (2, 4) and recipe.steps[0].config.target == 0.5


def test_settings_that_make_no_sense_are_refused() -> None:
    refused: list[tuple[dict[str, Any], str]] = [
        ({"pattern": "4:2"}, "leaves no zeros"),
        ({"sparsity": 1.0}, "less than 1"),
        ({"pattern": "2:4", "sparsity": 0.5}, "leave sparsity"),
        ({"pattern": "half"}, "pattern"),
    ]
    for given, said in refused:
        with pytest.raises((EdgekitError, ValueError), match=said):
            Prune.model_validate(given)
