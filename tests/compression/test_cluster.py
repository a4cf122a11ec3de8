import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgekit as ek
from edgekit.compression.cluster import cluster
from edgekit.compression.prune import prune
from edgekit.compression.steps import take
from edgekit.compression.weight_patterns import sparsity, weighted_layers
from edgekit.errors import BadInput
from edgekit.models.backend import import_keras
from edgekit.models.zoo import build
from edgekit.recipe import Recipe
from edgekit.step_config import Step
from tests.compression.test_train_quantized import context, top1
from tests.compression.weight_codes import codes_of

keras = import_keras("Testing")


def test_every_layer_has_so_many_values_a_multiple_of_each_channels_largest(trained: Any) -> None:
    before = {layer.name: np.asarray(layer.kernel) for layer in weighted_layers(trained)}
    stepped = cluster(trained, clusters=12)
    for layer, row in zip(weighted_layers(stepped.model), stepped.figures["layers"], strict=True):
        kernel, axes = np.asarray(layer.kernel), tuple(range(len(layer.kernel.shape) - 1))
        largest = np.abs(before[layer.name]).max(axis=axes)
        np.testing.assert_allclose(np.abs(kernel).max(axis=axes), largest, rtol=1e-6)
        assert row["values"] == len(np.unique(np.round(kernel / largest, 5))) == 12
        assert row["sqnr_db"] > 15


@pytest.mark.parametrize("init", ["kmeans++", "linear", "density"])
def test_tfmots_way_is_a_few_values_in_all(init: str, trained: Any) -> None:
    stepped = cluster(trained, clusters=8, scale="layer", init=init)
    for layer in weighted_layers(stepped.model):
        assert len(np.unique(np.asarray(layer.kernel))) <= 8


def test_pruned_zeros_are_kept_and_nothing_else_becomes_zero(trained: Any) -> None:
    pruned = prune(trained, sparsity=0.6).model
    stepped = cluster(pruned, clusters=16)
    for before, after in zip(weighted_layers(pruned), weighted_layers(stepped.model), strict=True):
        np.testing.assert_array_equal(np.asarray(after.kernel) == 0, np.asarray(before.kernel) == 0)


def test_the_values_are_trained_and_the_int8_file_has_as_few_codes(
    trained: Any, data: ek.Dataset, tmp_path: Path
) -> None:
    """As a step, then through quantization-aware training into the file."""
    clustering = Step.model_validate({"cluster": {"clusters": 8, "epochs": 3, "learning_rate": 1e-3}})
    clustered = take(trained, clustering, context(data, tmp_path / "a"))
    assert top1(clustered.model, data.test) >= top1(trained, data.test) - 0.03
    aware = Step.model_validate({"quantize_aware": {"epochs": 2, "learning_rate": 1e-3}})
    stepped = take(clustered.model, aware, context(data, tmp_path / "b"))
    assert len(stepped.figures["training"]["kept"]) == 3
    plain = take(trained, aware, context(data, tmp_path / "c"))
    sizes = []
    for model in (stepped.model, plain.model):
        (artifact,) = ek.export(model, tmp_path, dataset=data, variants=("int8",))
        sizes.append(len(gzip.compress(b"".join(one.tobytes() for one in codes_of(artifact.content)))))
        several = [len(np.unique(one)) for one in codes_of(artifact.content)]
        assert max(several) <= 8 if model is stepped.model else min(several) > 64
    assert sizes[0] < 0.6 * sizes[1]
    assert top1(stepped.model, data.test) >= top1(trained, data.test) - 0.03


def test_sparse_clustered_and_quantized_keeps_all_of_it(trained: Any, data: ek.Dataset, tmp_path: Path) -> None:
    given = [{"prune": {"sparsity": 0.5, "epochs": 2}}, {"cluster": {"clusters": 12, "epochs": 1}},
             {"quantize_aware": {"epochs": 1}}]  # fmt: skip
    model = trained
    for number, one in enumerate(given):
        model = take(model, Step.model_validate(one), context(data, tmp_path / str(number))).model
    (artifact,) = ek.export(model, tmp_path, dataset=data, variants=("int8",))
    for codes in codes_of(artifact.content):
        assert len(np.unique(codes)) <= 12 and sparsity(codes) >= 0.5


def test_small_depthwise_and_excluded_layers_are_left_and_named() -> None:
    keras.utils.set_random_seed(0)
    model = build("mobilenet_v2", classes=10, input_shape=(32, 32, 3), alpha=0.35)
    stepped = cluster(model, clusters=16, exclude=("*logits",))
    reasons = {note.layer: note.text for note in stepped.skipped}
    assert reasons["block1_depthwise"].startswith("not clustered: depthwise")
    assert "excluded: not clustered" in reasons.values() and "too few for 16 values" in " ".join(reasons.values())
    assert not set(reasons) & {row["layer"] for row in stepped.figures["layers"]}


def test_a_network_too_small_for_the_clusters_is_said() -> None:
    keras.utils.set_random_seed(0)
    tiny = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="logits")])
    with pytest.raises(BadInput, match="has no layer to cluster: logits: not clustered: 12 weights are too few"):
        cluster(tiny)


def test_a_recipe_clusters_behind_what_changes_weights_apart() -> None:
    with pytest.raises(ValueError, match="cluster comes behind prune and equalize"):
        Recipe.model_validate({"steps": ["cluster", "prune"]})
