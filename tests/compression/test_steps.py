"""The table of steps: every one can be taken by its name, and gives a model and a report that is JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgekit as ek
from edgekit.compression.step_context import StepContext
from edgekit.compression.steps import TAKEN, take
from edgekit.models.fake_quant import is_fake_quantized
from edgekit.quantize_config import Quantize
from edgekit.recipe import Verify
from edgekit.step_config import QUANTIZING, STEPS, Step
from edgekit.train_config import Train
from edgekit.training.fit import train
from tests.training import small

CONFIGS: dict[str, dict[str, Any]] = {
    "rewrite": {},
    "channels": {"macs": 0.925, "multiple": 1, "importance": "taylor", "finetune_epochs": 0},
    "prune": {"sparsity": 0.05, "epochs": 0},
    "cluster": {"clusters": 32, "epochs": 0},
    "equalize": {},
    "learn_rounding": {"weight_bits": 4, "iterations": 20},
    "correct_bias": {},
    "quantize_aware": {"epochs": 0},
}


def test_the_table_has_every_step_of_a_recipe() -> None:
    assert list(TAKEN) == list(STEPS) == list(CONFIGS)


@pytest.fixture(scope="module")
def data() -> ek.Dataset:
    return ek.load_data("digits", preprocess=ek.preset("tf", small.SIZE, small.SIZE), calibration_images=20)


@pytest.fixture(scope="module")
def model(data: ek.Dataset) -> Any:
    model = small.model()
    train(model, data, Train(epochs=3, batch_size=32, learning_rate=5e-3))
    return model


@pytest.mark.parametrize("name", CONFIGS)
def test_every_step_gives_a_model_and_a_report(name: str, model: Any, data: ek.Dataset, tmp_path: Path) -> None:
    """Near the model it was made from; one that makes the int8 file's model is held against that file."""
    before = small.digest(model)
    context = StepContext(data=data, state=tmp_path, train=Train(), quantize=Quantize(), limits=Verify(images=60),
                          softmax=True, classifier=True)  # fmt: skip
    taken = take(model, Step.model_validate({name: CONFIGS[name]}), context)
    json.dumps(taken.to_json(), allow_nan=False)
    assert small.digest(model) == before and taken.model is not model
    images = (data.val.read(range(40)) / 127.5 - 1).astype(np.float32)
    ours, theirs = (np.asarray(one(images, training=False)) for one in (taken.model, model))
    assert np.abs(ours - theirs).max() < 0.25 * np.abs(theirs).max()
    assert is_fake_quantized(taken.model) == (name in QUANTIZING)
    if name in QUANTIZING:
        assert taken.figures["agreement"]["value"] >= 0.95 and taken.figures["float_ops"] == []
