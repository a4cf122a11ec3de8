"""Trained on JAX where there is no TensorFlow, the weights load here and give the same outputs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgekit.models.zoo import build

ROOT = Path(__file__).parents[1]
MODEL = {"name": "resnet8", "classes": 10, "input_shape": (32, 32, 3)}  # JAX compiles it in seconds

THERE = """
import importlib.util, sys
import numpy as np
from dataclasses import replace
from pathlib import Path
from edgekit.data.dataset import load_data
from edgekit.errors import MissingExtra
from edgekit.models.backend import require_exporting, require_training
from edgekit.models.zoo import build
from edgekit.preprocess import preset
from edgekit.train_config import Augment, Train
from edgekit.training.fit import train

assert importlib.util.find_spec("tensorflow") is None
require_training("Training")
try:
    require_exporting("Exporting")
    raise SystemExit("exporting needs TensorFlow")
except MissingExtra as missing:
    assert "edgekit[train]" in missing.remedy

import keras
assert keras.backend.backend() == "jax"
keras.utils.set_random_seed(0)
preprocess = preset("tf", 32, 32)
dataset = load_data("digits", preprocess=preprocess)
dataset = replace(dataset, train=dataset.train.take(range(320)))
model = build(**MODEL)
before = model.get_weights()
trained = train(model, dataset, Train(epochs=1, augment=Augment(shift=0.1, mixup=0.2)), seed=0)
assert len(trained.history) == 1 and np.isfinite(trained.history["train_loss"]).all()
assert any((a != b).any() for a, b in zip(before, model.get_weights()))

images = (dataset.test.read(range(20)) / 127.5 - 1).astype(np.float32)
folder = Path(sys.argv[1])
model.save_weights(folder / "w.weights.h5")
np.savez(folder / "outputs.npz", images=images, logits=np.asarray(model(images, training=False)))
"""


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with edgekit, Keras and JAX, and no TensorFlow."""
    folder = tmp_path_factory.mktemp("jax") / "env"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    wanted = [str(ROOT), "keras>=3.12", "jax", "scikit-learn"]
    installed = subprocess.run(
        [python, "-m", "pip", "install", "--quiet", *wanted], capture_output=True, text=True, check=False
    )
    if installed.returncode:
        pytest.skip(f"JAX cannot be installed: {installed.stderr.strip().splitlines()[-1]}")
    return python


@pytest.mark.slow
@pytest.mark.network
def test_weights_trained_on_jax_give_the_same_outputs_here(elsewhere: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "KERAS_BACKEND": "jax", "KERAS_HOME": str(tmp_path / "keras")}
    script = f"MODEL = {MODEL!r}\n{THERE}"
    there = subprocess.run(
        [elsewhere, "-c", script, tmp_path], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert there.returncode == 0, there.stderr[-2000:]
    ours = build(**MODEL, weights=str(tmp_path / "w.weights.h5"))
    with np.load(tmp_path / "outputs.npz") as outputs:
        got = np.asarray(ours(outputs["images"], training=False))
        assert np.ptp(outputs["logits"]) > 0.5
        np.testing.assert_allclose(got, outputs["logits"], atol=1e-4)
