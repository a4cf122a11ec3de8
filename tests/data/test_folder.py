"""Folders of images: layouts, what is left out, damage (R21), and memory that does not grow."""

from __future__ import annotations

import pickle
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgekit.data.dataset import Damaged, Dataset, load_data, load_images
from edgekit.data.images import BadImage, decode, resize
from edgekit.errors import BadInput, EdgekitWarning
from edgekit.preprocess import Preprocess, preset
from edgekit.progress import Progress

Maker = Callable[..., Path]
RAW = preset("raw", 6, 6)


def given(split: object) -> dict[str, str]:
    return {name: split.class_names[label] for name, label in zip(split.names, split.labels, strict=True)}


def all_names(data: Dataset) -> list[str]:
    return sorted(data.train.names + data.val.names + data.test.names)


def test_class_folders_are_split_70_10_20(pictures: Maker) -> None:
    root = pictures({"dog": 30, "cat": 20})
    data = load_data(root, preprocess=RAW, calibration_images=10)
    assert (data.name, data.class_names, data.damaged) == ("set", ("cat", "dog"), ())
    assert [len(s) for s in (data.train, data.val, data.test, data.calibration)] == [35, 5, 10, 10]
    assert all_names(data) == sorted(p.relative_to(root).as_posix() for p in root.rglob("*.png"))
    assert set(given(data.calibration).items()) <= set(given(data.train).items())
    assert all(name.startswith(label) for name, label in given(data.train).items())
    counts = data.class_counts()
    assert counts.to_dict() == {
        "train": {"cat": 14, "dog": 21},
        "val": {"cat": 2, "dog": 3},
        "test": {"cat": 4, "dog": 6},
    }


@pytest.mark.parametrize("val", ["val", "valid", "validation", "Val"])
def test_given_splits_are_kept(pictures: Maker, val: str) -> None:
    root = pictures({f"{part}/{name}": 4 for part in ("train", val, "test") for name in ("a", "b")})
    data = load_data(root, preprocess=RAW, calibration_images=4)
    for split, folder in ((data.train, "train"), (data.val, val), (data.test, "test")):
        assert given(split) == {f"{folder}/{c}/{i:03d}.png": c for c in ("a", "b") for i in range(4)}


def test_a_missing_val_is_a_tenth_of_train(pictures: Maker) -> None:
    data = load_data(
        pictures({"train/a": 15, "train/b": 15, "test/a": 3, "test/b": 3}), preprocess=RAW, calibration_images=9
    )
    assert [len(s) for s in (data.train, data.val, data.test)] == [27, 3, 6]
    assert all(name.startswith("train/") for name in data.val.names)


def test_a_missing_test_is_a_fifth_of_train(pictures: Maker) -> None:
    data = load_data(
        pictures({"train/a": 15, "train/b": 15, "val/a": 3, "val/b": 3}), preprocess=RAW, calibration_images=9
    )
    assert [len(s) for s in (data.train, data.val, data.test)] == [24, 6, 6]


def test_names_and_order_do_not_move_an_image_to_another_split(pictures: Maker, tmp_path: Path) -> None:
    """Renamed files and a re-encoded format (same pixels) give the same splits and the same sha256."""
    root = pictures({"a": 20, "b": 20})
    twin = tmp_path / "twin"
    for i, path in enumerate(sorted(root.rglob("*.png"))):
        (twin / path.parent.name).mkdir(parents=True, exist_ok=True)
        Image.open(path).save(twin / path.parent.name / f"x{999 - i}.bmp")
    first, second = (load_data(folder, preprocess=RAW, calibration_images=8) for folder in (root, twin))
    assert first.sha256 == second.sha256
    for name in ("train", "val", "test", "calibration"):
        one, other = getattr(first, name), getattr(second, name)
        assert sorted(one.hashes.tolist()) == sorted(other.hashes.tolist())
    (twin / "a" / "x999.bmp").rename(twin / "b" / "y.bmp")
    assert load_data(twin, preprocess=RAW, calibration_images=8).sha256 != first.sha256


def test_read_decodes_and_resizes_and_survives_a_worker_process(pictures: Maker) -> None:
    values = Preprocess(height=4, width=5, channels="bgr")
    root = pictures({"a": 6, "b": 6})
    train = pickle.loads(pickle.dumps(load_data(root, preprocess=values, calibration_images=2).train))
    batch = train.read([2, 0, -1])
    assert batch.dtype == np.uint8 and batch.shape == (3, 4, 5, 3)
    for row, index in enumerate([2, 0, -1]):
        np.testing.assert_array_equal(batch[row], resize(decode(root / train.names[index]), values))
    some = train.take([3, 1])
    assert some.names == (train.names[3], train.names[1])
    np.testing.assert_array_equal(some.read(range(2)), train.read([3, 1]))


def test_r21_damaged_files_are_named_and_counted(pictures: Maker) -> None:
    root = pictures({"a": 30, "b": 30})
    (root / "a" / "000.png").write_bytes(b"not a picture")
    whole = (root / "b" / "007.png").read_bytes()
    (root / "b" / "007.png").write_bytes(whole[: len(whole) // 2])
    sentence = r"^2 of 60 images cannot be read, first: a/000.png \(not a PNG, JPEG, WebP or BMP file\)\.$"
    with pytest.warns(EdgekitWarning, match=sentence):
        data = load_data(root, preprocess=RAW, calibration_images=8)
    assert data.damaged == (
        Damaged("a/000.png", "not a PNG, JPEG, WebP or BMP file"),
        Damaged("b/007.png", "the file is truncated"),
    )
    assert len(all_names(data)) == 58 and not {"a/000.png", "b/007.png"} & set(all_names(data))


def test_a_file_damaged_later_is_named_when_read(pictures: Maker) -> None:
    root = pictures({"a": 6, "b": 6})
    train = load_data(root, preprocess=RAW, calibration_images=2).train
    (root / train.names[1]).write_bytes(b"")
    with pytest.raises(BadImage, match=train.names[1]):
        train.read([0, 1])


def test_many_files_are_read_in_worker_processes(pictures: Maker) -> None:
    root = pictures({"a": 260, "b": 260}, size=3)
    (root / "b" / "100.png").write_bytes(b"?")
    steps: list[Progress] = []
    with pytest.warns(EdgekitWarning, match="1 of 520 images cannot be read, first: b/100.png"):
        data = load_data(root, preprocess=RAW, progress=steps.append)
    assert [len(s) for s in (data.train, data.val, data.test, data.calibration)] == [363, 52, 104, 100]
    assert [step.done for step in steps] == [100, 200, 300, 400, 500, 520]
    assert {(step.stage, step.total) for step in steps} == {("read images", 520)}


def test_memory_does_not_grow_with_the_folder(pictures: Maker) -> None:
    root = pictures({"a": 150, "b": 150}, suffix=".jpg", size=160)
    decoded = 300 * 160 * 160 * 3
    tracemalloc.start()
    train = load_data(root, preprocess=preset("raw", 32, 32)).train
    for start in range(0, len(train), 16):
        train.read(range(start, min(start + 16, len(train))))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_500_000 < decoded / 9


def test_hidden_files_and_other_suffixes_do_not_count(pictures: Maker) -> None:
    root = pictures({"a": 10, "b": 10, ".cache": 3, "a/.thumbs": 2, "a/more": 2})
    (root / "a" / ".DS_Store").write_bytes(b"x")
    (root / "a" / "._000.png").write_bytes(b"x")
    (root / "a" / "notes.txt").write_text("x")
    (root / "readme.md").write_text("x")
    Image.new("RGB", (6, 6), "red").save(root / "b" / "UPPER.JPG")
    data = load_data(root, preprocess=RAW, calibration_images=4)
    assert data.class_names == ("a", "b")
    assert len(all_names(data)) == 23 and {"a/more/000.png", "b/UPPER.JPG"} <= set(all_names(data))


def test_pictures_of_other_kinds_and_links_out_are_left_out_with_a_warning(pictures: Maker, tmp_path: Path) -> None:
    root = pictures({"a": 10, "b": 10})
    elsewhere = pictures({"c": 2}, root="elsewhere")
    Image.new("RGB", (4, 4)).save(root / "a" / "x.gif")
    (root / "a" / "out.png").symlink_to(elsewhere / "c" / "000.png")
    (root / "a" / "loop").symlink_to(root)
    (root / "b" / "inside.png").symlink_to(root / "b" / "000.png")
    (root / "linked").symlink_to(elsewhere / "c")
    with pytest.warns(EdgekitWarning, match=r"3 files of .* left out \(1 .gif, 1 .png, 1 no suffix; first: a/"):
        data = load_data(root, preprocess=RAW, calibration_images=4)
    assert data.class_names == ("a", "b") and len(all_names(data)) == 21


def test_other_folders_beside_train_and_test_are_left_out_with_a_warning(pictures: Maker) -> None:
    root = pictures({"train/a": 10, "train/b": 10, "test/a": 2, "test/b": 2, "extra/a": 1})
    with pytest.warns(EdgekitWarning, match="has test/, train/; left out: 'extra'"):
        data = load_data(root, preprocess=RAW, calibration_images=4)
    assert [len(s) for s in (data.train, data.val, data.test)] == [18, 2, 4]


def test_r16_unbalanced_classes(pictures: Maker) -> None:
    root = pictures({"train/a": 31, "train/b": 10, "val/a": 1, "test/b": 1})
    with pytest.warns(EdgekitWarning, match="unbalanced: 'a' has 31 images to train on and 'b' 10; consider class"):
        load_data(root, preprocess=RAW, calibration_images=4)
    (root / "train" / "a" / "000.png").unlink()
    load_data(root, preprocess=RAW, calibration_images=4)  # three times is still all right


@pytest.mark.parametrize(
    ("counts", "fact"),
    [
        ({"": 0}, "is empty."),
        ({"": 3}, "has images but no class folders."),
        ({"a": 0, "b": 0}, "has class folders but no PNG, JPEG, WebP or BMP images."),
        ({"a": 9}, "has one class only ('a')."),
        ({"a": 9, "b": 0}, "has no image to train on for 'b'."),
        ({"a": 1, "b": 1}, "has 2 different images, which leaves none for train."),
        ({"test/a": 2, "test/b": 2}, "has no train/."),
        ({"train": 3, "test": 3}, "has 'test', 'train' but no class folders in them."),
        ({"train/a": 2, "train/b": 2, "val/a": 1, "valid/a": 1}, "has both val/ and valid/."),
        (
            {"train/a": 9, "train/b": 9, "test/a": 1, "test/x": 1},
            "test/ has classes that train/ does not have: 'x'.",
        ),
    ],
)
def test_bad_folders(pictures: Maker, counts: dict[str, int], fact: str) -> None:
    with pytest.raises(BadInput) as caught:
        load_data(pictures(counts), preprocess=RAW)
    assert caught.value.fact.endswith(fact) and caught.value.remedy and "\n" not in str(caught.value)


def test_all_damaged(pictures: Maker) -> None:
    root = pictures({"a": 2, "b": 2})
    for path in root.rglob("*.png"):
        path.write_bytes(b"x")
    with pytest.raises(BadInput, match=r"None of the 4 images of .* can be read, first: a/000.png \(not a PNG"):
        load_data(root, preprocess=RAW)


def test_evaluation_takes_test_then_val_then_the_class_folders(pictures: Maker) -> None:
    parts = {f"{part}/{name}": 2 for part in ("train", "val", "test") for name in ("a", "b")}
    assert {n.split("/")[0] for n in load_images(pictures(parts), RAW).names} == {"test"}
    del parts["test/a"], parts["test/b"]
    val = load_images(pictures(parts, root="no test"), RAW)
    assert {n.split("/")[0] for n in val.names} == {"val"} and val.class_names == ("a", "b")
    whole = load_images(pictures({"b": 2, "a": 3}, root="plain"), RAW)
    assert (len(whole), whole.class_names, whole.labels.tolist()) == (5, ("a", "b"), [0, 0, 0, 1, 1])
    with pytest.raises(BadInput, match="has no test/ and no val/"):
        load_images(pictures({"train/a": 2}, root="only train"), RAW)


def test_labels_are_mapped_to_the_models_classes(pictures: Maker) -> None:
    root = pictures({"dog": 2, "cat": 1})
    split = load_images(root, RAW, ("dog", "fox", "cat"))
    assert split.class_names == ("dog", "fox", "cat")
    assert given(split) == {"cat/000.png": "cat", "dog/000.png": "dog", "dog/001.png": "dog"}
    with pytest.raises(
        BadInput, match=r"has classes the model does not know: 'cat'\. The model's 2 classes are: dog, fox"
    ):
        load_images(root, RAW, ("dog", "fox"))


def test_a_file_is_not_judged_on_the_images_it_was_trained_on(pictures: Maker) -> None:
    root = pictures({"dog": 30, "cat": 20})
    data = load_data(root, preprocess=RAW, calibration_images=10)
    assert load_images(root, RAW, trained_on=data.sha256).names == data.test.names
    assert len(load_images(root, RAW, trained_on="0" * 64)) == len(load_images(root, RAW)) == 50
