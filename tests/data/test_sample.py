"""Samples of calibration images, and the set that ships with edgekit."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgekit.data.dataset import load_data, load_images
from edgekit.data.images import decode
from edgekit.data.sample import sample
from edgekit.errors import BadInput, EdgekitWarning
from edgekit.preprocess import preset

Maker = Callable[..., Path]
SHIPPED = Path(__file__).parents[2] / "calibration_data" / "digits"
NATIVE = preset("raw", 8, 8)


def test_files_are_copied_byte_for_byte_from_train_with_a_manifest(pictures: Maker, tmp_path: Path) -> None:
    root = pictures({"train/a": 9, "train/b": 9, "train/b/more": 2, "test/a": 3, "test/b": 3}, suffix=".jpg")
    made = sample(root, 8, tmp_path / "new" / "out")
    assert made.folder == tmp_path / "new" / "out"
    written = sorted(p.relative_to(made.folder).as_posix() for p in made.folder.rglob("*") if p.is_file())
    entries = made.manifest["files"]
    assert written == sorted([*(e["file"] for e in entries), "manifest.json"])
    for entry in entries:
        source, copy = root / "train" / entry["file"], made.folder / entry["file"]
        assert copy.read_bytes() == source.read_bytes()
        assert entry["sha256"] == hashlib.sha256(copy.read_bytes()).hexdigest()
        assert entry["label"] == entry["file"].split("/")[0]
    assert json.loads((made.folder / "manifest.json").read_text()) == made.manifest
    facts = {key: made.manifest[key] for key in ("schema", "source", "split", "count", "classes")}
    assert facts == {"schema": 1, "source": "set", "split": "train", "count": 8, "classes": {"a": 4, "b": 4}}


def test_a_sample_of_class_folders_stays_clear_of_the_splits_made_from_them(pictures: Maker, tmp_path: Path) -> None:
    root = pictures({"a": 20, "b": 20})
    sample(root, 28, tmp_path / "out")
    chosen = set(load_images(tmp_path / "out", NATIVE).hashes.tolist())
    data = load_data(root, preprocess=NATIVE, calibration_images=28, seed=5)
    assert len(chosen) == 28 and chosen == set(data.train.hashes.tolist())
    assert not chosen & set(data.test.hashes.tolist() + data.val.hashes.tolist())


def test_arrays_become_png_files(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (20, 5, 4, 3), np.uint8)
    np.savez(tmp_path / "x.npz", x=images, y=np.arange(20) % 2)
    made = sample(tmp_path / "x.npz", 4, tmp_path / "out")
    for entry in made.manifest["files"]:
        pixels = decode(made.folder / entry["file"])
        np.testing.assert_array_equal(pixels, images[int(Path(entry["file"]).stem)])


def test_an_occupied_folder_is_refused_and_untouched(pictures: Maker, tmp_path: Path) -> None:
    root = pictures({"a": 9, "b": 9})
    (tmp_path / "out").mkdir()
    assert len(list(sample(root, 2, tmp_path / "out").folder.rglob("*.png"))) == 2  # an empty one is all right
    before = sorted(tmp_path.rglob("*"))
    for occupied in (tmp_path / "out", root / "a" / "000.png"):
        with pytest.raises(BadInput, match=r"exists and is not empty\. Choose another folder with --out"):
            sample(root, 2, occupied)
    assert sorted(tmp_path.rglob("*")) == before


def test_nothing_is_left_behind_when_writing_fails(pictures: Maker, tmp_path: Path) -> None:
    root = pictures({"a": 9, "b": 9})
    (tmp_path / "file").write_text("in the way")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(OSError):
        sample(root, 2, tmp_path / "file" / "out")
    with pytest.raises(BadInput):
        sample(tmp_path / "nowhere" / "set", 2, tmp_path / "out")
    assert sorted(tmp_path.rglob("*")) == before


def test_fewer_than_asked_for_is_said(pictures: Maker, tmp_path: Path) -> None:
    root = pictures({"a": 10, "b": 10})
    with pytest.warns(EdgekitWarning, match="100 calibration images were asked for, there are 14"):
        assert sample(root, 100, tmp_path / "out").manifest["count"] == 14


def test_the_shipped_digits_are_what_sample_makes_today(tmp_path: Path) -> None:
    """10 a class from train, pixel by pixel; PNG bytes may differ between versions of Pillow's zlib."""
    shipped = json.loads((SHIPPED / "manifest.json").read_text())
    today = sample("digits", 100, tmp_path / "digits").manifest

    def essence(manifest: dict) -> dict:
        files = [{k: v for k, v in entry.items() if k != "sha256"} for entry in manifest["files"]]
        return {**manifest, "files": files}

    assert essence(shipped) == essence(today)
    assert shipped["count"] == 100 and shipped["classes"] == {str(i): 10 for i in range(10)}
    assert "CC BY 4.0" in shipped["licence"] and shipped["split"] == "train" and shipped["preprocessing"]
    for entry in shipped["files"]:
        assert hashlib.sha256((SHIPPED / entry["file"]).read_bytes()).hexdigest() == entry["sha256"]


def test_the_shipped_digits_are_the_calibration_split() -> None:
    split = load_images(SHIPPED, NATIVE)
    data = load_data("digits", preprocess=NATIVE)
    assert sorted(split.hashes.tolist()) == sorted(data.calibration.hashes.tolist())
    assert split.class_names == data.class_names
