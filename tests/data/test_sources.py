"""The built-in data sets, and names that are none."""

from __future__ import annotations

import gzip
import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from edgekit.data.dataset import load_data, load_images
from edgekit.errors import BadInput, MissingExtra
from edgekit.preprocess import Preprocess, preset

NATIVE = preset("raw", 8, 8)


def test_digits_are_all_there_scaled_and_disjoint() -> None:
    data = load_data(preprocess=NATIVE)
    splits = (data.train, data.val, data.test)
    assert [len(s) for s in (*splits, data.calibration)] == [1257, 180, 360, 100]
    bunch = load_digits()
    scale = np.array([0, 16, 32, 48, 64, 80, 96, 112, 128, 143, 159, 175, 191, 207, 223, 239, 255], np.uint8)
    for split in splits:
        rows = [int(name.removeprefix("digits/")) for name in split.names]
        expected = scale[bunch.images[rows].astype(int)]
        np.testing.assert_array_equal(split.read(range(len(split))), np.stack([expected] * 3, axis=3))
        np.testing.assert_array_equal(split.labels, bunch.target[rows])
    hashes = [set(split.hashes.tolist()) for split in splits]
    assert len(set.union(*hashes)) == 1797
    assert set(data.calibration.names) < set(data.train.names)
    assert data.class_names == tuple("0123456789") and data.name == "digits" and data.damaged == ()


def test_digits_are_the_same_for_every_seed_and_size() -> None:
    """Figures over seeds compare on the same test images; only the draw of calibration images changes."""
    first = load_data(preprocess=NATIVE)
    other = load_data(preprocess=Preprocess(height=32, width=24), seed=1)
    assert first.sha256 == other.sha256
    assert (first.train.names, first.val.names, first.test.names) == (
        other.train.names,
        other.val.names,
        other.test.names,
    )
    assert set(first.calibration.names) != set(other.calibration.names) < set(other.train.names)
    assert other.test.read([0, 5]).shape == (2, 32, 24, 3)


def test_every_class_has_its_share_of_each_digits_split() -> None:
    counts = load_data(preprocess=NATIVE).class_counts()
    assert list(counts.columns) == ["train", "val", "test"] and list(counts.index) == list("0123456789")
    assert (counts["test"] - 36).abs().max() <= 1 and (counts["val"] - 18).abs().max() <= 1


def test_evaluating_on_digits_is_on_their_test_split() -> None:
    split = load_images("digits", NATIVE)
    assert split.names == load_data(preprocess=NATIVE).test.names


def test_digits_without_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)  # what an import of a missing package meets
    with pytest.raises(MissingExtra, match=r"pip install 'edgekit\[train\]'"):
        load_data(preprocess=NATIVE)


@pytest.mark.parametrize(
    ("source", "fact", "remedy"),
    [
        ("digts", "Unknown data set, or folder, 'digts'.", "Did you mean 'digits'? Known: digits, "),
        ("CIFAR10", "Unknown data set, or folder, 'CIFAR10'.", "Did you mean 'cifar10'? Known: cifar10, "),
        ("data/flowers", "There is no folder or file 'data/flowers'.", "Check the path, or use one of: digits, "),
        ("x.npz", "There is no folder or file 'x.npz'.", "Check the path"),
        ("", "There is no folder or file ''.", "Check the path"),
        (__file__, f"{__file__} is neither a folder nor a .npz file.", "Give a folder"),
    ],
)
@pytest.mark.parametrize("read", [lambda s: load_data(s, preprocess=NATIVE), lambda s: load_images(s, NATIVE)])
def test_unknown_names(read: object, source: str, fact: str, remedy: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        read(source)
    assert caught.value.fact == fact and caught.value.remedy.startswith(remedy)


KERAS_CALL = """
import json, sys
from edgekit.data.dataset import load_data
from edgekit.errors import BadInput
from edgekit.preprocess import preset
for name in sys.argv[1:]:
    try:
        data = load_data(name, preprocess=preset("raw", 28, 28), calibration_images=10)
        print(json.dumps([len(data.train), len(data.val), len(data.test), data.class_names[0], data.train.names[0]]))
    except BadInput as caught:
        print(json.dumps([caught.fact, caught.remedy]))
"""


def idx(array: np.ndarray) -> bytes:
    """The format of Fashion-MNIST's files."""
    head = struct.pack(">I", 0x800 + array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    return gzip.compress(head + array.tobytes())


def test_keras_sets_from_the_cache_or_a_sentence_when_offline(tmp_path: Path) -> None:
    """One process: a small Fashion-MNIST in Keras' cache is read; the others cannot be fetched. Stdout stays clean."""
    cache = tmp_path / "datasets" / "fashion-mnist"
    cache.mkdir(parents=True)
    generator = np.random.default_rng(0)
    for part, count in (("train", 100), ("t10k", 20)):
        images = generator.integers(0, 256, (count, 28, 28), np.uint8)
        (cache / f"{part}-images-idx3-ubyte.gz").write_bytes(idx(images))
        (cache / f"{part}-labels-idx1-ubyte.gz").write_bytes(idx((np.arange(count) % 10).astype(np.uint8)))
    nowhere = "http://127.0.0.1:9"
    environment = os.environ | {"KERAS_HOME": str(tmp_path), "https_proxy": nowhere, "http_proxy": nowhere}
    call = [sys.executable, "-c", KERAS_CALL, "fashion_mnist", "cifar10", "cifar100", "mnist"]
    done = subprocess.run(call, env=environment, capture_output=True, text=True, timeout=120)
    lines = done.stdout.splitlines()
    assert lines[0] == '[90, 10, 20, "t-shirt_top", "fashion_mnist/train/0000"]', done.stderr
    for line, name, place in zip(
        lines[1:],
        ("cifar10", "cifar100", "mnist"),
        ("cifar-10-batches-py-target_archive", "cifar-100-python-target_archive", "mnist.npz"),
        strict=True,
    ):
        assert f"The {name} data set is not on this machine and cannot be downloaded." in line
        assert f"save it as ~/.keras/datasets/{place}, or use --data digits or a folder." in line
