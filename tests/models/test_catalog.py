"""The catalog: every row built without memory, counted, and what is published of it."""

from __future__ import annotations

import keras

from edgekit.models.catalog import catalog
from edgekit.models.zoo import ZOO
from edgekit.progress import Progress


def test_every_row_at_the_size_asked_for() -> None:
    seen: list[Progress] = []
    entries = {entry.name: entry for entry in catalog(32, classes=10, report=seen.append)}
    assert list(entries) == list(ZOO)
    v2, student = entries["mobilenet_v2"], entries["three_conv"]
    assert v2.final_map == (4, 4) and v2.aliases == ("mobilenet",) and v2.imagenet == ZOO["mobilenet_v2"].imagenet
    assert entries["resnet8"].deployed_params == 77_706 and entries["resnet8"].imagenet is None
    assert (student.estimated_float32_mb, student.estimated_int8_mb) == (0.116072, 0.029018)  # 29,018 parameters
    assert [progress.done for progress in seen] == list(range(len(ZOO) + 1))
    assert seen[-1].total == len(ZOO)


def test_one_model_by_an_alias_or_from_keras() -> None:
    (ours,), (theirs,) = catalog(model="efficientnet"), catalog(64, model="keras:VGG16")
    assert (ours.name, ours.image_size, ours.params) == ("efficientnet_b0", 224, 5_330_564)
    assert (theirs.name, theirs.image_size, theirs.final_map) == ("keras:VGG16", 64, (2, 2))
    assert theirs.imagenet is not None and theirs.imagenet.top1 == 71.3


def test_counting_leaves_no_scope_behind() -> None:
    """Models built afterwards have values again."""
    catalog(32, model="resnet8")
    assert keras.ops.convert_to_numpy(keras.layers.Dense(2)(keras.ops.ones((1, 3)))).shape == (1, 2)
