"""Structured pruning in one go and in rounds: the target, what is kept and named, what is learned again, and a kill."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import pytest
from keras import layers, ops

import edgekit as ek
from edgekit.compression.channels import channels, take_channels
from edgekit.compression.step_context import StepContext
from edgekit.compression.steps import take
from edgekit.data.dataset import load_data
from edgekit.errors import BadInput, UsageError
from edgekit.models.count import count
from edgekit.models.zoo import build
from edgekit.preprocess import preset
from edgekit.progress import Progress
from edgekit.quantize_config import Quantize
from edgekit.recipe import Verify
from edgekit.step_config import Step
from edgekit.train_config import Train
from tests.compression.coupled import images, network, worst
from tests.compression.small import randomized
from tests.compression.test_train_quantized import top1
from tests.training import small


def zoo(name: str) -> Any:
    alpha = 0.35 if name.startswith("mobilenet") else None
    return randomized(build(name, classes=10, input_shape=(32, 32, 3), alpha=alpha))


@pytest.mark.parametrize("importance", ["l1", "bn", "taylor"])
@pytest.mark.parametrize("target", [{"macs": 0.5}, {"params": 0.4}])
def test_the_target_is_reached_in_multiples(importance: Any, target: dict[str, float]) -> None:
    model = zoo("resnet8")
    before = small.digest(model)
    found = channels(model, images(16, 32), importance=importance, **target)
    ((name, share),) = target.items()
    after, whole = count(found.model), count(model)
    assert getattr(after, name) / getattr(whole, name) == pytest.approx(share, abs=0.01)
    assert found.figures["macs"] == {"before": whole.macs, "after": after.macs}
    assert found.figures["params"] == {"before": whole.params, "after": after.params}
    assert found.figures["asked"] == target and small.digest(model) == before
    assert all(row["after"] % 8 == 0 for row in found.figures["groups"] if row["group"] != "logits")
    changed = {row["group"]: f"{row['before']} -> {row['after']} channels" for row in found.figures["groups"]
               if row["before"] != row["after"]}  # fmt: skip
    assert {note.layer: note.text for note in found.done} == changed
    assert [(note.layer, note.text) for note in found.skipped] == [
        ("logits", "its channels stay: they are an output of the model")
    ]
    json.dumps(found.to_json(), allow_nan=False)


def test_half_of_a_mobilenet_with_gates() -> None:
    model = zoo("mobilenet_v3_small")
    found = channels(model)
    assert found.figures["macs"]["after"] / found.figures["macs"]["before"] == pytest.approx(0.5, abs=0.01)
    for row in found.figures["groups"]:
        assert row["after"] >= row["before"] / 10
        assert row["after"] == row["before"] or row["after"] % (8 if row["before"] >= 16 else 4) == 0
    assert found.model.output_shape == model.output_shape


def test_excluded_layers_keep_their_channels() -> None:
    found = channels(zoo("resnet8"), macs=0.7, exclude=("stem*", "stage2*first_conv"))
    rows = {row["group"]: row for row in found.figures["groups"]}
    for name, why in (("stem_conv", "stem_conv"), ("stage2_block0_first_conv", "stage2_block0_first_conv")):
        assert rows[name]["before"] == rows[name]["after"] and rows[name]["blocked"] == f"{why} is excluded"
        assert any(note.layer == name and "is excluded" in note.text for note in found.skipped)
    with pytest.raises(BadInput, match="Unknown layer 'steam'"):
        channels(zoo("resnet8"), exclude=("steam",))


def test_what_cannot_be_reached_is_said_with_the_closest() -> None:
    with pytest.raises(BadInput, match=r"target, 1.0% of the MACs, cannot be reached.*closest is (\d+\.\d)%") as caught:
        channels(zoo("resnet8"), macs=0.01)
    share = float(str(caught.value).partition("Set macs to ")[2].partition(" ")[0].strip(","))
    found = channels(zoo("resnet8"), macs=share)
    assert found.figures["macs"]["after"] / found.figures["macs"]["before"] == pytest.approx(share, abs=0.001)
    with pytest.raises(BadInput, match="9.0% of the parameters, cannot be reached"):
        channels(zoo("resnet8"), params=0.09, multiple=32)


def test_a_model_with_nothing_to_remove_is_an_error_that_says_why() -> None:
    image = keras.Input((8, 8, 3))
    x = layers.LayerNormalization(name="ln")(layers.Conv2D(8, 3, name="conv")(image))
    model = keras.Model(image, x, name="stuck")
    with pytest.raises(BadInput, match=r"stuck has no channels that could be removed \(conv: what ln \(LayerNorm"):
        channels(model)


def test_what_is_missing_or_too_much_is_said() -> None:
    with pytest.raises(UsageError, match="macs and params are both targets; keep one"):
        channels(network("residual"), macs=0.5, params=0.5)
    with pytest.raises(UsageError, match="macs: Input should be less than 1"):
        channels(network("residual"), macs=50)
    with pytest.raises(UsageError, match="taylor needs samples"):
        channels(network("residual"), importance="taylor")
    with pytest.raises(UsageError, match="latency_ms needs a device to measure on"):
        channels(network("residual"), latency_ms=3)


def milliseconds(model: Any) -> float:
    """A device whose latency is that of the MACs, and a fixed part."""
    return 1.0 + count(model).macs / 2e6


@pytest.mark.parametrize("target", [{"latency": 0.6}, {"latency_ms": 4.0}])
def test_a_latency_is_met_and_as_much_is_left_as_meets_it(target: dict[str, float]) -> None:
    model, asked = zoo("resnet8"), []

    def measure(given: Any) -> float:
        asked.append(given)
        return milliseconds(given)

    found = channels(model, measure=measure, multiple=4, **target)
    before, after = found.figures["latency_ms"]["before"], found.figures["latency_ms"]["after"]
    wanted = target.get("latency_ms", before * target.get("latency", 0))
    assert before == milliseconds(model) and after == milliseconds(found.model)
    assert 0.95 * wanted <= after <= wanted and len(asked) <= 12


def test_a_latency_that_is_there_already_and_one_that_cannot_be() -> None:
    model = zoo("resnet8")
    found = channels(model, measure=milliseconds, latency_ms=100.0)
    assert found.done == () and worst(found.model, model, images(4, 32)) <= 1e-5
    assert any("left as it is: it takes 7.25 ms already" in note.text for note in found.skipped)
    with pytest.raises(BadInput, match=r"target, 0.5 ms, cannot be reached.*closest is 1\.\d+ ms"):
        channels(model, measure=milliseconds, latency_ms=0.5)


@pytest.mark.parametrize(
    ("config", "device", "figure"),
    [({"latency": 0.6}, "cpu", "latency_ms"), ({"latency_ms": 4.0, "device": "pi"}, "pi", "latency_ms"),
     ({"instructions": 0.6}, "rpi4:emulated", "instructions_millions")],
)  # fmt: skip
def test_a_step_measures_on_its_device(config: dict[str, Any], device: str, figure: str, tmp_path: Path) -> None:
    asked = []

    def meter(name: str) -> Any:
        asked.append(name)
        return milliseconds

    data = load_data("digits", preprocess=preset("tf", 32, 32))
    found = take_channels(zoo("resnet8"), step(**{"macs": None, "finetune_epochs": 0, **config}).config,
                          context(data, tmp_path, meter=meter))  # fmt: skip
    assert asked == [device] and found.figures["device"] == device
    assert found.figures[figure]["after"] == found.figures["rounds"][0][figure] == milliseconds(found.model)
    assert found.figures[figure]["before"] == milliseconds(zoo("resnet8"))


# ---- as a step, with training -------------------------------------------------------------------------------------


def context(data: Any, state: Path, **changes: Any) -> StepContext:
    usual: dict[str, Any] = {"train": Train(batch_size=32), "quantize": Quantize(), "limits": Verify(),
                             "softmax": True, "classifier": True}  # fmt: skip
    return StepContext(data=data, state=state, **{**usual, **changes})


def step(**config: Any) -> Step:
    usual = {"macs": 0.35, "multiple": 2, "finetune_epochs": 3, "learning_rate": 5e-3}
    return Step.model_validate({"channels": {**usual, **config}})


@pytest.mark.slow
@pytest.mark.parametrize("distil", [True, False], ids=["its own answers", "labels"])
def test_rounds_learn_again_what_was_lost(distil: bool, trained: Any, data: ek.Dataset, tmp_path: Path) -> None:
    found = take(trained, step(rounds=2, importance="taylor", distil=distil), context(data, tmp_path))
    untrained = take(trained, step(importance="taylor", finetune_epochs=0), context(data, tmp_path / "other"))
    assert untrained.figures["training"] is None
    assert top1(found.model, data.test) > top1(untrained.model, data.test) + 0.03
    assert top1(found.model, data.test) > top1(trained, data.test) - 0.1
    rounds, whole = found.figures["rounds"], found.figures["macs"]["before"]
    assert rounds[0]["macs"] / whole == pytest.approx(0.35**0.5, abs=0.05)
    assert rounds[1]["macs"] / whole == pytest.approx(0.35, abs=0.05) and count(found.model).macs == rounds[1]["macs"]
    assert all(len(row["training"]["history"]) == 3 for row in rounds)
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["other", "round-1", "round-2"]


def test_one_round_brings_back_what_was_lost(trained: Any, data: ek.Dataset, tmp_path: Path) -> None:
    untrained = channels(trained, data, macs=0.5, multiple=2, importance="taylor")
    found = take(trained, step(macs=0.5, importance="taylor"), context(data, tmp_path))
    assert top1(found.model, data.test) > top1(untrained.model, data.test) + 0.03
    assert found.figures["macs"] == untrained.figures["macs"]
    (only,) = found.figures["rounds"]
    assert only["training"] == found.figures["training"] and len(only["training"]["history"]) == 3


def test_it_learns_anew_as_the_recipe_trains(trained: Any, data: ek.Dataset, tmp_path: Path) -> None:
    """A decay that leaves next to nothing of the weights, and a schedule of one rate."""
    plain = Train(batch_size=32, optimizer="sgd", schedule="constant", warmup_epochs=0, momentum=0.0, weight_decay=50)
    rates, sizes = {}, {}
    for how in ("gently", "as_trained"):
        asked = step(macs=0.5, finetune=how, finetune_epochs=2, learning_rate=1e-3, distil=False)
        found = take(trained, asked, context(data, tmp_path / how, train=plain))
        rates[how] = [row["learning_rate"] for row in found.figures["training"]["history"]]
        sizes[how] = sum(float(abs(ops.convert_to_numpy(layer.kernel)).sum()) for layer in convolutions(found.model))
    assert rates["as_trained"] == pytest.approx([1e-3, 1e-3]) and rates["gently"][-1] < 1e-5
    assert sizes["as_trained"] < 0.5 * sizes["gently"]


def convolutions(model: Any) -> list[Any]:
    return [layer for layer in model.layers if isinstance(layer, layers.Conv2D)]


@pytest.mark.slow
def test_after_a_kill_it_goes_on_and_ends_with_the_same_bits(trained: Any, data: ek.Dataset, tmp_path: Path) -> None:
    config = step(rounds=2)
    whole = take(trained, config, context(data, tmp_path / "whole"))
    told: list[str] = []

    def stop(at: Progress) -> None:
        told.append(at.note)
        if told.count("choosing channels") == 2 and "epoch 2/3" in at.note:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        take(trained, config, context(data, tmp_path / "cut", progress=stop))
    later: list[Progress] = []
    resumed = take(trained, config, context(data, tmp_path / "cut", progress=later.append))
    assert small.digest(resumed.model) == small.digest(whole.model)
    assert [row["macs"] for row in resumed.figures["rounds"]] == [row["macs"] for row in whole.figures["rounds"]]
    assert not any("epoch 1/3" in at.note for at in later), "nor the first round, is trained again"
