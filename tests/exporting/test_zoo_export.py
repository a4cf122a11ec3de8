"""Every row of the zoo becomes a verified float32 and an all-integer int8 file."""

from pathlib import Path
from typing import Any

import pytest

from edgekit.data.dataset import Dataset, load_data
from edgekit.data.images import normalize
from edgekit.exporting.export import Exporter
from edgekit.models.backend import import_keras
from edgekit.models.zoo import ZOO, build
from edgekit.preprocess import preset
from edgekit.recipe import Verify

keras = import_keras("Testing")
SIZE = 32

# What only repeats a smaller network's blocks, more often and wider: built and counted in tests/models.
LARGE = {
    *(f"efficientnet_b{number}" for number in range(1, 8)),
    *(f"efficientnet_lite{number}" for number in range(1, 5)),
    "mobilenet_v3_large", "mobilenet_v3_large_minimalistic", "resnet34", "resnet101", "resnet152", "alexnet",
}  # fmt: skip
FEW = 12  # images to calibrate with, and to compare on


def normalized(name: str, dataset: Dataset) -> Any:
    """The network with random weights and the batch statistics of some images: without, its signals die out."""
    keras.utils.set_random_seed(0)
    model = build(name, classes=10, input_shape=(SIZE, SIZE, 3))
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    kept = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    model(normalize(dataset.train.read(range(64)), dataset.preprocess), training=True)
    for norm, momentum in zip(norms, kept, strict=True):
        norm.momentum = momentum
    return model


@pytest.mark.parametrize("name", [name for name in ZOO if name not in LARGE])
def test_a_row_exports(name: str, tmp_path: Path) -> None:
    dataset = load_data("digits", preprocess=preset(ZOO[name].preprocess, SIZE, SIZE), calibration_images=FEW)
    # Random weights amplify what rounding does (learned ones are tested apart), but a wrong scale anywhere leaves more
    # noise than signal.
    limits = Verify(images=FEW, min_sqnr_db=3)
    exporter = Exporter(normalized(name, dataset), dataset, softmax=False, classifier=False, limits=limits)
    for variant in ("float32", "int8"):
        found = exporter.write(tmp_path, variant).parity
        assert found.verified, found.failures
    assert found.dtypes["float32"] == 2 and not found.float_ops  # the input and the output, nothing between
