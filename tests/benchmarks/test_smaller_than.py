"""The record's candidates are chosen without a look at the test images, and are what the committed recipe makes."""

import argparse
import shutil
from pathlib import Path

import pytest

from edgekit.pipeline import compress
from edgekit.train_config import Train
from edgekit.training.fit import train


@pytest.mark.slow
def test_a_candidate_is_what_compress_makes_of_the_recipe(tmp_path: Path) -> None:
    from small_networks import written
    from smaller_than import RECIPE, candidate, images, recipe_of

    given = argparse.Namespace(cifar="digits", teacher=written("separable", tmp_path / "teacher.keras"), work=tmp_path,
                               epochs=1)  # fmt: skip
    recipe = recipe_of("early_stride", given)
    file = candidate("early_stride", recipe, images(recipe), tmp_path / "chosen")
    chosen = file.content
    learned = {path: path.read_bytes() for path in (tmp_path / "chosen" / "stages").glob("*/done.json")}
    assert {path.parent.name for path in learned} == {"train", "step-0-quantize_aware"}
    assert not (tmp_path / "chosen" / "results").exists()  # nothing was evaluated

    own, teacher = str(tmp_path / "early_stride.keras"), str(given.teacher)
    run = compress(RECIPE, out=tmp_path / "chosen", model=own, data="digits", teacher=teacher, epochs=1)
    (int8,) = (one for one in run.artifacts if one.card and one.card.variant == "int8")
    assert int8.content == chosen
    assert {path: path.read_bytes() for path in learned} == learned


def test_what_was_trained_is_made_smaller_by_the_other_recipe(tmp_path: Path) -> None:
    from smaller_than import recipe_of

    given = argparse.Namespace(cifar="digits", teacher=tmp_path / "teacher.keras", work=tmp_path, epochs=3)
    recipe = recipe_of("early_stride_smaller", given)
    assert recipe.model.name == str(tmp_path / "early_stride" / "artifacts" / "early_stride.keras")
    assert recipe.train.epochs == 0 and [step.name for step in recipe.steps] == ["channels", "quantize_aware"]
    assert recipe_of("early_stride", given).train.epochs == 3


def test_a_network_grows_out_of_another_without_a_change_of_its_outputs(tmp_path: Path) -> None:
    import keras
    import numpy as np
    from small_networks import GROWN, grown, network

    ((name, start),) = GROWN.items()
    images = np.random.default_rng(0).normal(size=(4, 32, 32, 3)).astype(np.float32)
    trained = network(start)
    trained.save(tmp_path / "trained.keras")
    found = keras.saving.load_model(grown(name, tmp_path / "trained.keras", tmp_path / "grown.keras"), compile=False)
    assert found.count_params() > trained.count_params()
    np.testing.assert_allclose(found.predict(images, verbose=0), trained.predict(images, verbose=0), atol=1e-5)


def test_a_file_is_fed_as_its_card_says(tmp_path: Path) -> None:
    from smaller_than import as_fed

    import edgekit as ek
    from tests.training import small

    raw, own = (ek.load_data("digits", preprocess=ek.preset(name, 8, 8)) for name in ("raw", "tf"))
    model = small.model()
    train(model, own, Train(epochs=2, batch_size=32, learning_rate=5e-3))
    (file,) = ek.export(model, tmp_path, dataset=own, variants=("float32",))
    found = as_fed(file, raw.test, raw.test.preprocess)
    assert found.top1.value == ek.evaluate(file, own.test).top1.value > ek.evaluate(file, raw.test).top1.value
    bare = ek.load_artifact(shutil.copy(file.path, tmp_path / "bare.tflite"))
    assert bare.card is None and as_fed(bare, own.test, own.test.preprocess).top1.value == found.top1.value


def test_no_finalist_is_dropped_from_the_list() -> None:
    from smaller_than import with_earlier

    def row(name: str, top1: float, size: int, sha256: str = "") -> dict[str, object]:
        return {"name": name, "sha256": sha256 or name, "top1": {"value": top1}, "bytes": size, "latency": 1.0}

    earlier = with_earlier([row("floor", 0.8, 100), row("a", 0.7, 90), row("b", 0.6, 95)], [])
    assert [(one["name"], one["pareto"]) for one in earlier] == [("floor", True), ("a", True), ("b", False)]
    found = with_earlier([row("floor", 0.8, 100), row("b", 0.75, 80), row("c", 0.8, 90)], earlier)
    assert [(one["name"], one["pareto"]) for one in found] == [("floor", False), ("a", False), ("b", True), ("c", True)]
    assert [one["name"] for one in with_earlier([row("other", 0.8, 100)], earlier)] == ["other"]


def test_a_file_is_beaten_by_one_that_is_nowhere_worse() -> None:
    from smaller_than import unbeaten

    def row(top1: float, size: int, latency: float) -> dict[str, object]:
        return {"top1": {"value": top1}, "bytes": size, "latency": latency}

    def beats(one: dict[str, object], other: dict[str, object]) -> bool:
        return unbeaten([one, other]) == (True, False)

    known = row(0.8, 100, 1.0)
    assert beats(row(0.8, 90, 1.0), known) and beats(row(0.9, 90, 0.5), known)
    assert not any(beats(one, known) for one in (known, row(0.9, 110, 0.5), row(0.79, 50, 0.5), row(0.9, 90, 1.1)))
