"""--calibration DIR: images of a folder of their own, without labels."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgekit.data.classes import Classes
from edgekit.data.dataset import load_data
from edgekit.errors import BadInput, EdgekitWarning, UsageError
from edgekit.preprocess import preset
from tests import tiny

RAW = preset("raw", 8, 8)


def flat(root: Path, n: int, seed: int = 9) -> Path:
    """`n` random pictures side by side and in a subfolder."""
    (root / "more").mkdir(parents=True)
    for index, pixels in enumerate(np.random.default_rng(seed).integers(0, 255, (n, 8, 8, 3), np.uint8)):
        Image.fromarray(pixels).save(root / ("more" if index % 3 == 0 else ".") / f"{index}.png")
    return root


def test_without_labels_some_calibrate_and_the_others_verify(tmp_path: Path) -> None:
    data = load_data(None, preprocess=RAW, calibration=flat(tmp_path / "photos", 12), calibration_images=5)
    assert (data.name, data.class_names) == ("photos", ())
    assert (len(data.calibration), len(data.val), len(data.test)) == (5, 7, 7)
    assert not set(data.calibration.hashes) & set(data.val.hashes)
    assert data.class_counts().empty
    other = load_data(None, preprocess=RAW, calibration=tmp_path / "photos", calibration_images=5, seed=1)
    assert other.calibration_sha256 != data.calibration_sha256 and other.sha256 != data.sha256


def test_all_that_there_is_verifies_what_it_calibrated(tmp_path: Path) -> None:
    with pytest.warns(EdgekitWarning, match="no more images than calibrate: the same ones verify"):
        data = load_data(None, preprocess=RAW, calibration=flat(tmp_path / "photos", 5), calibration_images=5)
    assert data.val.names == data.calibration.names


def test_untrained_every_labelled_image_tests_but_those_that_calibrate(tmp_path: Path) -> None:
    labelled = tiny.folder(tmp_path / "labelled", 30)
    data = load_data(
        labelled, preprocess=RAW, calibration=flat(tmp_path / "photos", 12), calibration_images=5, training=False
    )
    assert len(data.test) == 30 and len(data.val) == 7 and data.class_names == tuple(f"row{i}" for i in range(6))
    with pytest.warns(EdgekitWarning, match="10 of 30 images are in calibration and to be tested on: left out of test"):
        both = load_data(labelled, preprocess=RAW, calibration=labelled, calibration_images=10, training=False)
    assert len(both.test) == 20 and not set(both.test.hashes) & set(both.calibration.hashes)


def test_a_test_folder_alone_is_enough_where_nothing_is_trained(tmp_path: Path) -> None:
    tiny.folder(tmp_path / "data" / "test", 30)
    given = {"preprocess": RAW, "calibration": flat(tmp_path / "photos", 12), "calibration_images": 5}
    assert len(load_data(tmp_path / "data", training=False, **given).test) == 30
    with pytest.raises(BadInput, match="has no train"):
        load_data(tmp_path / "data", **given)


def test_a_trained_model_is_calibrated_on_nothing_it_is_tested_on(tmp_path: Path) -> None:
    labelled = tiny.folder(tmp_path / "labelled", 60)
    plain = load_data(labelled, preprocess=RAW, calibration_images=10)
    held_out = len(plain.val) + len(plain.test)
    with pytest.warns(EdgekitWarning, match=f"{held_out} of 60 images .* left out of calibration"):
        data = load_data(labelled, preprocess=RAW, calibration=labelled, calibration_images=10)
    assert data.sha256 == plain.sha256 and len(data.calibration) == 10
    assert set(data.calibration.hashes) <= set(plain.train.hashes)


def test_the_models_classes_may_be_more_than_the_datas(tmp_path: Path) -> None:
    labelled = tiny.folder(tmp_path / "labelled", 60, classes=3)
    classes = Classes(("other", "row2", "row1", "row0"))
    data = load_data(labelled, preprocess=RAW, classes=classes, training=False, calibration_images=10)
    assert data.class_names == classes.names and set(data.test.labels.tolist()) == {1, 2, 3}
    with pytest.raises(BadInput, match="no image to train on for 'other'"):
        load_data(labelled, preprocess=RAW, classes=classes)


def test_bad_folders_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for folder, message in ((tmp_path / "absent", "There is no folder"), (tmp_path / "empty", "has no PNG")):
        with pytest.raises(BadInput, match=message):
            load_data(None, preprocess=RAW, calibration=folder)
    with pytest.raises(UsageError, match="There are no images"):
        load_data(None, preprocess=RAW)


def test_a_damaged_image_is_named_and_left_out(tmp_path: Path) -> None:
    folder = flat(tmp_path / "photos", 6)
    (folder / "torn.png").write_bytes((folder / "1.png").read_bytes()[:60])
    with pytest.warns(EdgekitWarning, match=r"1 of 7 images cannot be read, first: torn\.png"):
        data = load_data(None, preprocess=RAW, calibration=folder, calibration_images=2)
    assert [one.name for one in data.damaged] == ["torn.png"] and len(data.val) == 4
